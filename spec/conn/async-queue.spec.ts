import { describe, expect, test } from "vitest";
import { AsyncQueue } from "../../lib/conn/async-queue.ts";
import { InvariantError } from "../../lib/errors.ts";

const item = (n: number) => ({ n });
const byN = (x: { n: number }) => x.n;

describe("AsyncQueue", () => {
  test("take() makes no promise when an item is there", () => {
    const queue = new AsyncQueue<{ n: number }>("body", 10);
    queue.push(item(1));
    expect(queue.take()).toEqual({ n: 1 });
  });

  test("is first in first out, over waits as well", async () => {
    const queue = new AsyncQueue<{ n: number }>("body", 10);
    const first = queue.take();
    queue.push(item(1));
    queue.push(item(2));
    queue.push(item(3));
    expect(await first).toEqual({ n: 1 });
    expect(queue.tryTake()).toEqual({ n: 2 });
    expect(queue.take()).toEqual({ n: 3 });
    expect(queue.tryTake()).toBeUndefined();
  });

  test("keeps its order and its count over a thousand items that are never wholly taken", () => {
    const queue = new AsyncQueue<{ n: number }>("body", 10_000);
    const taken: number[] = [];
    for (let n = 0; n < 1_000; n++) {
      queue.push(item(n));
      if (n > 2) taken.push(queue.tryTake()?.n ?? -1);
    }
    expect(queue.weight).toBe(3);
    for (let next = queue.tryTake(); next !== undefined; next = queue.tryTake()) taken.push(next.n);
    expect(taken).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(queue.weight).toBe(0);
  });

  test("push() tells when it is full, by weight, and room comes back by taking", () => {
    const queue = new AsyncQueue<{ n: number }>("body", 10, byN);
    expect(queue.push(item(4))).toBe(true);
    expect(queue.push(item(6))).toBe(false);
    expect(queue.full).toBe(true);
    queue.tryTake();
    expect(queue.full).toBe(false);
    expect(queue.weight).toBe(6);
  });

  test("an item that goes to a waiting consumer weighs nothing", async () => {
    const queue = new AsyncQueue<{ n: number }>("body", 10, byN);
    const taken = queue.take();
    expect(queue.push(item(99))).toBe(true);
    expect(queue.weight).toBe(0);
    expect(await taken).toEqual({ n: 99 });
  });

  test("sleep() wakes once, in a microtask, for an item or for the end, and leaves the item to be taken", async () => {
    const queue = new AsyncQueue<{ n: number }>("write", 10);
    const woken: string[] = [];
    queue.sleep(() => woken.push("first"));
    expect(queue.push(item(1))).toBe(true);
    queue.push(item(2));
    expect(woken).toEqual([]);
    await Promise.resolve();
    expect(woken).toEqual(["first"]);
    expect([queue.tryTake(), queue.tryTake(), queue.tryTake()]).toEqual([{ n: 1 }, { n: 2 }, undefined]);
    queue.sleep(() => woken.push("second"));
    queue.close("over");
    await Promise.resolve();
    expect(woken).toEqual(["first", "second"]);
  });

  test("sleep() is for an empty, open queue that nobody waits at", () => {
    const queue = new AsyncQueue<{ n: number }>("write", 10);
    queue.push(item(1));
    expect(() => queue.sleep(() => {})).toThrow(InvariantError);
    queue.tryTake();
    queue.sleep(() => {});
    expect(() => queue.sleep(() => {})).toThrow(InvariantError);
    expect(() => queue.take()).toThrow(InvariantError);
    const closed = new AsyncQueue<{ n: number }>("write", 10);
    closed.close("over");
    expect(() => closed.sleep(() => {})).toThrow(InvariantError);
  });

  test("close() leaves what was pushed to be taken, then every take tells the end", () => {
    const queue = new AsyncQueue<{ n: number }>("body", 10);
    queue.push(item(1));
    queue.close("done");
    expect(queue.closed).toBe(true);
    expect(queue.ended).toBe(false);
    expect(queue.take()).toEqual({ n: 1 });
    expect(queue.ended).toBe(true);
    expect(queue.take()).toBeUndefined();
    expect(queue.reason).toBe("done");
  });

  test("close() wakes a waiting take; the first reason stands", async () => {
    const queue = new AsyncQueue<{ n: number }>("write", 1);
    const taken = queue.take();
    queue.close("first");
    queue.close("second");
    expect(await taken).toBeUndefined();
    expect(queue.reason).toBe("first");
  });

  test("push() after close and a second take at once are mistakes of ours", () => {
    const queue = new AsyncQueue<{ n: number }>("write", 1);
    void queue.take();
    expect(() => queue.take()).toThrow(new InvariantError("Cannot take from the write queue: a take is waiting"));
    expect(() => queue.sleep(() => {})).toThrow(
      new InvariantError("Cannot sleep at the write queue: it is not empty and open, or somebody waits"),
    );
    queue.close("closed");
    expect(() => queue.push(item(1))).toThrow(new InvariantError("Cannot push to the write queue: closed"));
  });

  test("clear() drops what nobody took and says how much it was", () => {
    const queue = new AsyncQueue<{ n: number }>("body", 100, byN);
    queue.push(item(4));
    queue.push(item(5));
    expect(queue.clear()).toBe(9);
    expect(queue.weight).toBe(0);
    expect(queue.tryTake()).toBeUndefined();
  });
});
