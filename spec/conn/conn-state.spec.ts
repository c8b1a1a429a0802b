import { describe, expect, test } from "vitest";
import { fate, move, READ_MOVES, WRITE_MOVES, type WriteState } from "../../lib/conn/conn-state.ts";
import { InvariantError } from "../../lib/errors.ts";

describe("READ_MOVES", () => {
  test("a response with or without a body goes idle, head, body, done, idle", () => {
    const events = ["firstByte", "head", "end", "recycle"] as const;
    let state = "idle" as Parameters<typeof move<keyof typeof READ_MOVES, (typeof events)[number]>>[2];
    const seen = events.map((event) => {
      state = move(READ_MOVES, "read", state, event);
      return state;
    });
    expect(seen).toEqual(["head", "body", "done", "idle"]);
  });

  test("a byte after the end moves nothing: done waits for the connection's word", () => {
    expect(() => move(READ_MOVES, "read", "done", "firstByte")).toThrow(InvariantError);
  });
});

describe("WRITE_MOVES", () => {
  test("a stopped request can only be followed by a close (RFC 9112 §9.5)", () => {
    expect(Object.keys(WRITE_MOVES.stopped)).toEqual(["close"]);
  });

  test("a second request cannot begin before the first is recycled", () => {
    expect(() => move(WRITE_MOVES, "write", "writing", "begin")).toThrow(/Cannot move the write half by "begin"/);
    expect(() => move(WRITE_MOVES, "write", "done", "begin")).toThrow(InvariantError);
  });
});

describe("every state", () => {
  test("can be closed, and closed again", () => {
    for (const state of Object.keys(READ_MOVES) as (keyof typeof READ_MOVES)[]) {
      expect(move(READ_MOVES, "read", state, "close")).toBe("closed");
    }
    for (const state of Object.keys(WRITE_MOVES) as (keyof typeof WRITE_MOVES)[]) {
      expect(move(WRITE_MOVES, "write", state, "close")).toBe("closed");
    }
  });
});

describe("fate()", () => {
  const table: [WriteState, boolean, ReturnType<typeof fate>][] = [
    ["done", true, "recycle"],
    ["writing", true, "linger"],
    ["stopped", true, "close"],
    ["idle", true, "close"],
    ["closed", true, "close"],
    ["done", false, "close"],
    ["writing", false, "close"],
    ["stopped", false, "close"],
  ];
  test.each(table)("write half %s, reusable %s: %s", (write, reusable, expected) => {
    expect(fate(write, reusable)).toBe(expected);
  });
});
