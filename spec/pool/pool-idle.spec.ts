/** What stays idle, for how long, and what goes first. */

import { expect, test } from "vitest";
import { Harness } from "./harness.ts";

/** Lends `count` connections at `key`, each to a want of its own; returns their numbers. */
function lend(h: Harness, count: number, key = "k"): number[] {
  const first = h.slots.length + 1;
  const numbers = Array.from({ length: count }, (_, i) => first + i);
  for (const number of numbers) h.get(`lent-${number}`, key);
  for (const number of numbers) h.dialed(number);
  h.did;
  return numbers;
}

// Go: TestTransportPoolDisableKeepAlives
test.each([
  ["keepAlive is off", { keepAlive: false }],
  ["maxIdleConnsPerHost is 0", { maxIdleConnsPerHost: 0 }],
])("Pool.put() closes the connection where %s, though somebody waits", (_name, limits) => {
  const h = new Harness(limits);
  lend(h, 1);
  h.get("b");
  h.did;
  h.put(1);
  h.turn();
  expect(h.did).toEqual(["close 1: keep-alive-disabled"]);
});

// Go: TestTransportMaxPerHostIdleConns
test("Pool.put() keeps maxIdleConnsPerHost idle connections, and closes the one that comes too late", () => {
  const h = new Harness({ maxIdleConnsPerHost: 2 });
  lend(h, 3);
  for (const number of [1, 2, 3]) h.put(number);
  expect(h.did).toEqual(["idle 1", "idle 2", "close 3: too-many-idle-per-host"]);
});

// Go: TestTransportPoolClosesConnsPastMaxIdleConnsPerHost
test("Pool.put() counts maxIdleConnsPerHost for each key on its own", () => {
  const h = new Harness({ maxIdleConnsPerHost: 1 });
  lend(h, 2, "host1");
  lend(h, 1, "host2");
  for (const number of [3, 2, 1]) h.put(number);
  expect(h.did).toEqual(["idle 3", "idle 2", "close 1: too-many-idle-per-host"]);
  h.get("a", "host1");
  h.get("b", "host2");
  h.turn();
  expect(h.did).toEqual(["a has 2 (reused)", "b has 3 (reused)"]);
});

test("Pool.put() does not count what waiters are about to take", () => {
  const h = new Harness({ maxIdleConnsPerHost: 1, maxIdleConns: 1, maxConnsPerHost: 4 });
  lend(h, 4);
  for (let i = 0; i < 3; i++) h.get(`w${i}`);
  for (const number of [1, 2, 3, 4]) h.put(number);
  h.turn();
  expect(h.did).toEqual([
    ...["idle 1", "idle 2", "idle 3", "idle 4"],
    ...["w0 has 4 (reused)", "w1 has 3 (reused)", "w2 has 2 (reused)"],
  ]);
});

test("Pool.cancel() of a waiter closes what he would have taken, where it is one too many", () => {
  const h = new Harness({ maxIdleConnsPerHost: 1, maxConnsPerHost: 2 });
  lend(h, 2);
  const a = h.get("a");
  h.put(1);
  h.put(2);
  expect(h.did).toEqual(["idle 1", "idle 2"]);
  h.pool.cancel(a);
  expect(h.did).toEqual(["close 2: too-many-idle-per-host"]);
});

// Go: TestTransportMaxIdleConns
test("Pool.put() closes the least recently used of all keys over maxIdleConns", () => {
  const h = new Harness({ maxIdleConns: 4 });
  for (let i = 0; i < 5; i++) lend(h, 1, `host-${i}`);
  for (let i = 1; i <= 5; i++) h.put(i);
  expect(h.did).toEqual(["idle 1", "idle 2", "idle 3", "idle 4", "idle 5", "close 1: too-many-idle"]);
  expect([...h.pool.stats().keys.keys()]).toEqual(["host-1", "host-2", "host-3", "host-4"]);
});

test("Pool.put(): a connection that was used again is the most recently used one", () => {
  const h = new Harness({ maxIdleConns: 2 });
  h.warm(1, "one");
  h.warm(1, "two");
  h.get("a", "one");
  h.turn();
  h.put(1);
  lend(h, 1, "three");
  h.put(3);
  expect(h.did).toEqual(["idle 3", "close 2: too-many-idle"]);
});

test("Pool.put() does not evict for maxIdleConns what a waiter of another key is about to take", () => {
  const h = new Harness({ maxIdleConns: 1 });
  h.warm(1, "one");
  lend(h, 2, "two");
  h.get("a", "one");
  h.put(2);
  h.put(3);
  expect(h.did).toEqual(["idle 2", "idle 3"]); // the oldest is promised to a: seen to when its turn ends
  h.turn();
  expect(h.did).toEqual(["a has 1 (reused)", "close 2: too-many-idle"]);
});

// Idle time

test.each([
  { idleTimeoutMs: 0, hint: null, ms: 0 },
  { idleTimeoutMs: 0, hint: 5_000, ms: 5_000 },
  { idleTimeoutMs: 90_000, hint: null, ms: 90_000 },
  { idleTimeoutMs: 90_000, hint: 0, ms: 90_000 },
  { idleTimeoutMs: 90_000, hint: 5_000, ms: 5_000 },
  { idleTimeoutMs: 90_000, hint: 600_000, ms: 90_000 },
])(
  "Pool.put() with idleTimeoutMs $idleTimeoutMs and the hint $hint keeps it for $ms ms",
  ({ idleTimeoutMs, hint, ms }) => {
    const h = new Harness({ idleTimeoutMs });
    lend(h, 1);
    h.put(1, hint);
    expect(h.did).toEqual([ms === 0 ? "idle 1" : `idle 1 for ${ms}`]);
  },
);

// Go: TestTransportRemovesConnsAfterIdle
test("Pool.expire() closes what is still idle and that old", () => {
  const h = new Harness({ idleTimeoutMs: 100 });
  h.warm(1);
  h.now += 100;
  h.pool.expire(h.slot(1));
  h.pool.expire(h.slot(1));
  expect(h.did).toEqual(["close 1: idle-timeout"]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool.expire() does nothing where the connection is lent again", () => {
  const h = new Harness({ idleTimeoutMs: 100 });
  h.warm(1);
  h.get("a");
  h.turn();
  h.did;
  h.now += 100;
  h.pool.expire(h.slot(1));
  expect(h.did).toEqual([]);
});

test("Pool.expire() asks for the deadline anew where the connection is younger by the wall clock", () => {
  const h = new Harness({ idleTimeoutMs: 100 });
  h.warm(1);
  h.now += 99;
  h.pool.expire(h.slot(1));
  expect(h.did).toEqual(["idle 1 for 1"]);
  h.now -= 5_000; // the clock was set back
  h.pool.expire(h.slot(1));
  expect(h.did).toEqual(["idle 1 for 100"]);
});

test("Pool.get() does not take a connection that is too old by the wall clock, though its deadline has not fired", () => {
  const h = new Harness({ idleTimeoutMs: 100 });
  h.warm(2);
  h.now += 60;
  h.get("x");
  h.turn();
  h.put(2);
  h.did;
  h.now += 60; // the machine slept: 1 is 120 ms old, 2 is 60
  h.get("a");
  h.get("b");
  h.turn();
  expect(h.did).toEqual(["a has 2 (reused)", "close 1: idle-timeout", "dial 3 for b"]);
});

// Go: TestTransportRemovesDeadIdleConnections, TestTransportRemovesConnsAfterBroken
test("Pool.remove() of an idle connection takes it out of the pool", () => {
  const h = new Harness();
  h.warm(2);
  h.pool.remove(h.slot(2));
  h.pool.remove(h.slot(2));
  h.get("a");
  h.turn();
  expect(h.did).toEqual(["a has 1 (reused)"]);
});

// closeIdle()

// Go: TestCloseIdleConnections, TestTransportIdleCacheKeys
test("Pool.closeIdle() closes what is idle", () => {
  const h = new Harness();
  h.warm(2, "one");
  h.warm(1, "two");
  h.pool.closeIdle();
  expect(h.did).toEqual([1, 2, 3].map((n) => `close ${n}: close-idle-connections`));
  expect(h.pool.isEmpty).toBe(true);
});

// Go: TestTransportCloseIdleConnsThenReturn
test("Pool.closeIdle() closes what comes back later, until the next get()", () => {
  const h = new Harness();
  lend(h, 2);
  h.pool.closeIdle();
  h.put(1);
  expect(h.did).toEqual(["close 1: close-idle-connections"]);
  h.get("a");
  h.put(2);
  h.turn();
  expect(h.did).toEqual(["dial 3 for a", "idle 2", "detach 3", "a has 2 (reused)"]);
});

test("Pool.closeIdle() does not hold back a connection from one who waits already", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  lend(h, 1);
  h.get("a");
  h.pool.closeIdle();
  h.put(1);
  h.turn();
  expect(h.did).toEqual(["idle 1", "a has 1 (reused)"]);
  h.put(1);
  expect(h.did).toEqual(["close 1: close-idle-connections"]);
});

test("Pool.closeIdle(): what came back for a waiter goes when he leaves", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  lend(h, 1);
  const a = h.get("a");
  h.pool.closeIdle();
  h.put(1);
  h.pool.cancel(a);
  expect(h.did).toEqual(["idle 1", "close 1: close-idle-connections"]);
});

test("Pool.closeIdle() takes the connection of one who stands his turn, who gets a dial", () => {
  const h = new Harness();
  h.warm(1);
  h.get("a");
  h.pool.closeIdle();
  expect(h.did).toEqual(["close 1: close-idle-connections", "dial 2 for a"]);
});

test("Pool.closeIdle() ends the dials that nobody is bound to, and keeps none afterwards", () => {
  const h = new Harness();
  h.pool.cancel(h.get("a"));
  const b = h.get("b", "other");
  h.pool.closeIdle();
  expect(h.did).toEqual(["dial 1 for a", "detach 1", "dial 2 for b", "abandon 1"]);
  h.pool.cancel(b);
  expect(h.did).toEqual(["abandon 2"]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool.close hooks may tell the pool at once that the connection is gone", () => {
  const h = new Harness({ maxIdleConnsPerHost: 1 });
  h.onClose = (slot) => h.pool.remove(slot);
  lend(h, 2);
  h.put(1);
  h.put(2);
  h.pool.closeIdle();
  expect(h.did).toEqual(["idle 1", "close 2: too-many-idle-per-host", "close 1: close-idle-connections"]);
});
