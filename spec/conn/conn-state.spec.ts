import { describe, expect, test } from "vitest";
import { fate, READ_STATES, WRITE_MOVES, WRITE_STATES, type WriteState } from "../../lib/conn/conn-state.ts";
import { InvariantError } from "../../lib/errors.ts";

describe("READ_STATES", () => {
  test("a response with or without a body goes idle, head, body, done, idle", () => {
    const { idle } = READ_STATES;
    const seen = [idle.firstByte, idle.firstByte.head, idle.firstByte.head.end, idle.firstByte.head.end.recycle];
    expect(seen.map(({ name }) => name)).toEqual(["head", "body", "done", "idle"]);
    expect(seen[3]).toBe(idle);
  });

  test("a byte after the end moves nothing: done waits for the connection's word", () => {
    expect(() => READ_STATES.done.firstByte).toThrow(InvariantError);
    expect(() => READ_STATES.done.firstByte).toThrow('Cannot move the read half by "firstByte": it is done');
  });
});

describe("WRITE_STATES", () => {
  test("a stopped request can only be followed by a close (RFC 9112 §9.5)", () => {
    expect(Object.keys(WRITE_MOVES.stopped)).toEqual(["close"]);
    expect(() => WRITE_STATES.stopped.recycle).toThrow(InvariantError);
  });

  test("a second request cannot begin before the first is recycled", () => {
    expect(() => WRITE_STATES.writing.begin).toThrow('Cannot move the write half by "begin": it is writing');
    expect(() => WRITE_STATES.done.begin).toThrow(InvariantError);
  });

  test("one that is pipelined can follow what is written to its end, and nothing else (RFC 9112 §9.3.2)", () => {
    expect(WRITE_STATES.done.follow).toBe(WRITE_STATES.writing);
    for (const name of ["idle", "writing", "stopped", "closed"] as const)
      expect(() => WRITE_STATES[name].follow).toThrow(InvariantError);
  });
});

describe("every state", () => {
  test("can be closed, and closed again", () => {
    for (const state of Object.values(READ_STATES)) expect(state.close).toBe(READ_STATES.closed);
    for (const state of Object.values(WRITE_STATES)) expect(state.close).toBe(WRITE_STATES.closed);
  });
});

describe("fate()", () => {
  const table: [WriteState, boolean, boolean, ReturnType<typeof fate>][] = [
    ["done", true, false, "recycle"],
    ["writing", true, false, "linger"],
    ["stopped", true, false, "close"],
    ["idle", true, false, "close"],
    ["closed", true, false, "close"],
    ["done", false, false, "close"],
    ["writing", false, false, "close"],
    ["stopped", false, false, "close"],
    ["done", true, true, "next"],
    ["writing", true, true, "next"],
    ["stopped", true, true, "close"],
    ["idle", true, true, "close"],
    ["done", false, true, "close"],
    ["writing", false, true, "close"],
  ];
  test.each(table)("write half %s, reusable %s, others behind %s: %s", (write, reusable, behind, expected) => {
    expect(fate(write, reusable, behind)).toBe(expected);
  });
});
