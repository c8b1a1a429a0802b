import { expect, test } from "vitest";
import { Slot } from "../../lib/pool/slot.ts";
import { WantConn } from "../../lib/pool/want-conn.ts";
import { WantQueue } from "../../lib/pool/want-queue.ts";

function want(name: string): WantConn<number, string> {
  const made = new WantConn<number, string>("k", { given: () => {}, refused: () => {} }, name);
  made.wait(0, false);
  return made;
}

function fixture(...names: string[]) {
  const queue = new WantQueue<number, string>();
  const wants = names.map(want);
  for (const each of wants) queue.push(each);
  return { queue, wants, bare: () => [queue.firstBare?.target, queue.lastBare?.target, queue.bareSize] };
}

test("WantQueue keeps the order of arrival, whoever leaves", () => {
  const { queue, wants } = fixture("a", "b", "c", "d");
  queue.remove(wants[1]!);
  queue.remove(wants[0]!);
  expect([queue.first?.target, queue.size]).toEqual(["c", 2]);
});

test("WantQueue.unshift() puts a want in front", () => {
  const { queue, bare } = fixture("a");
  queue.unshift(want("again"));
  expect(queue.first?.target).toBe("again");
  expect(bare()).toEqual(["again", "a", 2]);
});

test("WantQueue knows who waits without a dial", () => {
  const { queue, wants, bare } = fixture("a", "b", "c");
  queue.bind(wants[0]!, new Slot<number>("k", 0));
  expect(bare()).toEqual(["b", "c", 2]);
  queue.unbind(wants[0]!);
  expect(bare()).toEqual(["a", "c", 3]);
  expect(wants[0]?.dial).toBe(null);
});

test("WantQueue.remove() gives the dial back that the want counted on", () => {
  const { queue, wants } = fixture("a", "b");
  const dial = new Slot<number>("k", 0);
  queue.bind(wants[0]!, dial);
  expect(queue.remove(wants[0]!)).toBe(dial);
  expect(queue.remove(wants[1]!)).toBe(null);
  expect([queue.size, queue.bareSize, wants[0]?.dial]).toEqual([0, 0, null]);
});

test("WantQueue throws for a want that is in no queue, in one already, or has a dial already", () => {
  const { queue, wants } = fixture("a");
  expect(() => queue.remove(want("x"))).toThrow("not in it");
  expect(() => queue.push(wants[0]!)).toThrow("in one already");
  queue.bind(wants[0]!, new Slot<number>("k", 0));
  expect(() => queue.bind(wants[0]!, new Slot<number>("k", 0))).toThrow("not in it");
});

test("WantQueue.check() finds a want that does not wait, or stands in the wrong list", () => {
  const gone = fixture("a");
  gone.wants[0]?.cancel();
  expect(() => gone.queue.check()).toThrow("A cancelled want stands in the queue");
  const wrong = fixture("a");
  wrong.wants[0]!.dial = new Slot<number>("k", 0);
  expect(() => wrong.queue.check()).toThrow("wrong list");
});

test("WantQueue.check() finds a list of those without a dial that has one too many", () => {
  const { queue } = fixture("a");
  const other = want("stray");
  queue.firstLink?.item.bare.list?.push(other.bare);
  expect(() => queue.check()).toThrow("A want without a dial has left the queue but not the list");
});

test("WantQueue.firstLink begins a walk through all, and is null where there is nobody", () => {
  const { queue } = fixture("a", "b");
  const names: string[] = [];
  for (let link = queue.firstLink; link !== null; link = link.next) names.push(link.item.target);
  expect(names).toEqual(["a", "b"]);
  expect(fixture().queue.firstLink).toBeNull();
  expect([fixture().queue.first, fixture().queue.firstBare, fixture().queue.lastBare]).toEqual([null, null, null]);
});
