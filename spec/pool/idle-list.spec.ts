import { expect, test } from "vitest";
import { IdleList } from "../../lib/pool/idle-list.ts";
import { LinkedList } from "../../lib/pool/linked-list.ts";
import { Slot } from "../../lib/pool/slot.ts";

function fixture(batches: number[]) {
  const lru = new LinkedList<Slot<number>>();
  const list = new IdleList<number>(lru);
  const add = (number: number, batch: number): Slot<number> => {
    const slot = new Slot<number>("k", 0);
    slot.conn = number;
    slot.idleBatch = batch;
    slot.move("idle", 0);
    list.push(slot);
    return slot;
  };
  const slots = batches.map((batch, i) => add(i + 1, batch));
  return { list, lru, slots, add, take: (batch: number) => list.take(batch)?.conn ?? null };
}

test("IdleList.take() gives the connection used last", () => {
  const { take } = fixture([1, 1, 1]);
  expect([take(1), take(1), take(1), take(1)]).toEqual([3, 2, 1, null]);
});

test("IdleList.take() passes over those that became idle after the batch", () => {
  const { take } = fixture([1, 1, 2, 2]);
  expect([take(1), take(1), take(1)]).toEqual([2, 1, null]);
  expect([take(2), take(2)]).toEqual([4, 3]);
});

test("IdleList.take() sees what is added, and misses what is removed, between two calls of one turn", () => {
  const { take, list, slots, add } = fixture([1, 1, 1, 2]);
  expect(take(1)).toBe(3);
  list.remove(slots[1]!);
  const late = add(5, 2);
  expect(take(1)).toBe(1);
  expect(take(1)).toBe(null);
  list.remove(late);
  expect([take(2), take(2)]).toEqual([4, null]);
});

test("IdleList.take() looks at each connection that is too young once in a turn, however many it gives", () => {
  const { list, slots } = fixture([...Array(100).fill(1), ...Array(100).fill(2)]);
  let looks = 0;
  for (const slot of slots.slice(100)) {
    Object.defineProperty(slot, "idleBatch", {
      get() {
        looks++;
        return 2;
      },
    });
  }
  for (let i = 0; i < 100; i++) list.take(1);
  expect(looks).toBe(100);
});

test("IdleList.remove() takes it out of the list and of the LRU over all keys", () => {
  const { list, lru, slots } = fixture([1, 1, 1]);
  list.remove(slots[1]!);
  expect([...lru].map((slot) => slot.conn)).toEqual([1, 3]);
  expect([list.size, list.bottom?.conn, list.top?.conn]).toEqual([2, 1, 3]);
  expect(() => list.remove(slots[1]!)).toThrow("not in it");
});

test("IdleList.push() throws for what is idle already", () => {
  const { list, slots } = fixture([1]);
  expect(() => list.push(slots[0]!)).toThrow("in one already");
});

test("IdleList.check() finds a slot that is not idle, not in the LRU, or out of order", () => {
  const lent = fixture([1]);
  lent.slots[0]!.move("busy", 0);
  expect(() => lent.list.check()).toThrow("A busy slot stands among the idle ones");
  const missing = fixture([1]);
  missing.lru.remove(missing.slots[0]!.side);
  expect(() => missing.list.check()).toThrow("missing in the LRU");
  expect(() => fixture([2, 1]).list.check()).toThrow("out of order");
  expect(() => fixture([1, 2]).list.check()).not.toThrow();
});

test("IdleList.take() goes on where it was, whatever is removed below", () => {
  const { take, list, slots } = fixture([1, 1, 1, 1]);
  expect(take(1)).toBe(4);
  list.remove(slots[1]!);
  expect([take(1), take(1), take(1)]).toEqual([3, 1, null]);
});

test("IdleList.take() that found none looks anew, since more may have come", () => {
  const { take, add } = fixture([1]);
  expect([take(1), take(1)]).toEqual([1, null]);
  add(7, 1);
  expect(take(1)).toBe(7);
});
