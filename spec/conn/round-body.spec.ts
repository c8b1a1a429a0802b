/** The body bytes of one round, as they leave the lent view. */

import { describe, expect, test, vi } from "vitest";
import { RoundBody } from "../../lib/conn/round-body.ts";
import { expectMemory } from "../../lib/message/body-memory.ts";

vi.mock("../../lib/message/body-memory.ts", () => ({ expectMemory: vi.fn() }));

const lent = () => new Uint8Array(Buffer.from("0123456789"));
const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());

describe("RoundBody", () => {
  test.each([
    ["none", [], null],
    ["one", [[2, 5]], "234"],
    ["one from the start", [[0, 3]], "012"],
    [
      "two",
      [
        [0, 2],
        [7, 9],
      ],
      "0178",
    ],
    [
      "many of a byte",
      [
        [1, 2],
        [3, 4],
        [5, 6],
        [9, 10],
      ],
      "1359",
    ],
  ])("%s", (_, spans, whole) => {
    for (const view of [lent(), Buffer.from(lent())]) {
      const body = new RoundBody();
      for (const [from, to] of spans) body.add(from!, to!);
      const taken = body.take(view);
      view.fill(0);
      expect(text(taken)).toBe(whole);
      if (taken !== null) {
        expect(taken.constructor).toBe(Uint8Array);
        expect(taken.buffer.byteLength).toBe(taken.length); // the taker's alone
      }
    }
  });

  test("begins anew with each taking", () => {
    const body = new RoundBody();
    body.add(0, 1);
    body.add(2, 3);
    expect(text(body.take(lent()))).toBe("02");
    expect(body.take(lent())).toBeNull();
    body.add(4, 6);
    expect(text(body.take(lent()))).toBe("45");
    body.add(0, 1);
    body.add(9, 10);
    expect(text(body.take(lent()))).toBe("09");
  });

  test("says how much memory it is about to take, the spans together", () => {
    vi.mocked(expectMemory).mockClear();
    const body = new RoundBody();
    body.add(1, 5);
    body.take(lent());
    body.add(1, 3);
    body.add(5, 10);
    body.take(lent());
    expect(vi.mocked(expectMemory).mock.calls).toEqual([[4], [7]]);
  });
});
