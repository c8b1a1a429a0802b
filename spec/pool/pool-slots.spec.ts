/** maxConnsPerHost, and what becomes of a dial whose request has gone: no slot is ever lost. */

import { expect, test } from "vitest";
import { slowDialMs } from "../../lib/pool/pool.ts";
import { Harness } from "./harness.ts";

// Go: TestTransportMaxConnsPerHostIncludeDialInProgress
test("Pool.get() starts no dial over maxConnsPerHost: dials in progress count", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.get("a");
  h.get("b");
  expect(h.did).toEqual(["dial 1 for a"]);
  h.dialed(1);
  h.put(1);
  h.turn();
  expect(h.did).toEqual(["a has 1", "idle 1", "b has 1 (reused)"]);
});

// Go: TestTransportMaxConnsPerHost
test("Pool.remove() passes the slot to the oldest who waits", () => {
  const h = new Harness({ maxConnsPerHost: 2 });
  for (const name of ["a", "b", "c", "d"]) h.get(name);
  h.dialed(1);
  h.dialed(2);
  h.did;
  h.pool.remove(h.slot(2));
  expect(h.did).toEqual(["dial 3 for c"]);
  h.pool.remove(h.slot(2));
  expect(h.did).toEqual([]); // idempotent
  h.pool.remove(h.slot(1));
  expect(h.did).toEqual(["dial 4 for d"]);
});

test("Pool.release() gives the slot of a connection back that became a tunnel", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.get("a");
  h.dialed(1);
  h.get("b");
  h.did;
  h.pool.release(h.slot(1));
  expect(h.did).toEqual(["dial 2 for b"]);
});

test("Pool.put() over a limit frees the slot for another key's sake only: the same key's waiters take it idle", () => {
  const h = new Harness({ maxConnsPerHost: 1, keepAlive: false });
  h.get("a");
  h.dialed(1);
  h.get("b");
  h.did;
  h.put(1);
  expect(h.did).toEqual(["close 1: keep-alive-disabled", "dial 2 for b"]);
});

test("Pool.dialFailed() passes the slot on", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.get("a");
  h.get("b");
  h.did;
  h.dialFailed(1);
  expect(h.did).toEqual(["a failed: refused", "dial 2 for b"]);
});

test("Pool.get() counts idle connections in the limit, and a want waits for its turn and no dial", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.warm(1);
  h.get("a");
  h.get("b");
  expect(h.did).toEqual([]);
  h.turn();
  expect(h.did).toEqual(["a has 1 (reused)"]);
  h.put(1);
  h.turn();
  expect(h.did).toEqual(["idle 1", "b has 1 (reused)"]);
});

// Met by the fuzzer: between the idle list and the busy one the slot was in none, and looked free.
test("Pool.get(): at the limit a slow dial passes from hand to hand and is never detached while somebody waits", () => {
  const h = new Harness({ maxConnsPerHost: 2 });
  for (const name of ["a", "b", "c"]) h.get(name);
  h.dialed(1);
  h.now += slowDialMs;
  h.put(1);
  h.did;
  h.turn();
  expect(h.did).toEqual(["b has 1 (reused)"]);
  h.dialed(2);
  h.turn();
  expect(h.did).toEqual(["idle 2", "c has 2 (reused)"]);
});

// cancel()

// Go: TestTransportMaxConnsPerHostDialCancellation (65705, 32336)
test("Pool.cancel() leaves the dial to the next in line, who gets its product by a turn", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  const a = h.get("a");
  h.get("b");
  h.did;
  expect(h.pool.cancel(a)).toBe(true);
  expect(h.did).toEqual([]);
  h.dialed(1);
  h.turn();
  expect(h.did).toEqual(["idle 1", "b has 1 (reused)"]);
});

test("Pool.cancel() leaves the dial to the next in line, who gets a dial of its own if that fails", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  const a = h.get("a");
  h.get("b");
  h.pool.cancel(a);
  h.did;
  h.dialFailed(1);
  expect(h.did).toEqual(["dial 2 for b"]);
  h.dialFailed(2);
  expect(h.did).toEqual(["b failed: refused"]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool.cancel() of all in line at limit 1 leaves one detached dial, and its slot is found again", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  const wants = ["a", "b", "c"].map((name) => h.get(name));
  for (const want of wants) h.pool.cancel(want);
  expect(h.did).toEqual(["dial 1 for a", "detach 1"]);
  h.get("d");
  expect(h.did).toEqual(["attach 1"]);
  h.dialFailed(1);
  expect(h.did).toEqual(["dial 2 for d"]);
});

test("Pool.cancel(): at the limit even a stuck dial is counted on, since it holds the slot", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.pool.cancel(h.get("a"));
  h.now += 2 * slowDialMs;
  h.get("b");
  expect(h.did).toEqual(["dial 1 for a", "detach 1", "attach 1"]);
});

test("Pool.cancel() of a want without a dial takes nothing with it", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.get("a");
  const b = h.get("b");
  h.get("c");
  h.pool.cancel(b);
  h.dialed(1);
  h.did;
  h.put(1);
  h.turn();
  expect(h.did).toEqual(["idle 1", "c has 1 (reused)"]);
});

test("Pool.cancel() of a want that was served tells so and does nothing", () => {
  const h = new Harness();
  const a = h.get("a");
  h.dialed(1);
  expect(h.pool.cancel(a)).toBe(false);
  expect(h.pool.stateOf("k")).toMatchObject({ busy: 1 });
});

test("Pool.cancel() twice is once", () => {
  const h = new Harness();
  const a = h.get("a");
  expect([h.pool.cancel(a), h.pool.cancel(a)]).toEqual([true, false]);
});

// Go: TestTransportPoolCancelRequestReusesConn
test("Pool.cancel() keeps the only dial of its key, for the next request", () => {
  const h = new Harness();
  h.pool.cancel(h.get("a"));
  expect(h.did).toEqual(["dial 1 for a", "detach 1"]);
  h.get("b");
  h.dialed(1);
  h.turn();
  expect(h.did).toEqual(["attach 1", "idle 1", "b has 1 (reused)"]);
});

test("Pool.cancel() keeps a dial while another request waits, though that has a dial of its own", () => {
  const h = new Harness();
  const a = h.get("a");
  h.get("b");
  h.did;
  h.pool.cancel(a);
  expect(h.did).toEqual(["detach 1"]);
  h.dialed(1);
  h.turn();
  expect(h.did).toEqual(["idle 1", "detach 2", "b has 1 (reused)"]);
});

// Go issue 76784: detached dials to an unreachable host must not gather
test("Pool.cancel() keeps one dial for each who waits, and one when nobody does", () => {
  const h = new Harness();
  const wants = Array.from({ length: 10 }, (_, i) => h.get(`w${i}`));
  for (const want of wants) h.pool.cancel(want);
  expect(h.pool.stateOf("k")).toMatchObject({ waiting: 0, dialing: 1 });
  h.pool.cancel(h.get("later"));
  expect(h.pool.stateOf("k")).toMatchObject({ waiting: 0, dialing: 1 });
});

test("Pool.cancel() gathers no dials while others come and go at an unreachable host", () => {
  const h = new Harness();
  let before = h.get("first");
  for (let i = 0; i < 100; i++) {
    h.now += 1_000;
    const next = h.get(`n${i}`);
    h.pool.cancel(before);
    before = next;
  }
  expect(h.pool.stateOf("k").dialing).toBeLessThanOrEqual(3);
});

test("Pool.cancel() does not touch a dial whose want was served by another connection", () => {
  const h = new Harness();
  for (const name of ["a", "b", "c"]) h.get(name);
  h.dialed(1);
  h.put(1);
  h.turn(); // b has 1, its dial 2 is on its way to the pool
  const d = h.get("d"); // counts on 2
  h.did;
  h.pool.cancel(d);
  h.pool.cancel(h.get("e"));
  expect(h.did).toEqual(["detach 2", "attach 2", "detach 2"]);
});

// Go: TestTransportPoolCancelRequestWithDisableKeepAlives
test("Pool.cancel() destroys the dial where nothing is pooled, and its slot passes on", () => {
  const h = new Harness({ keepAlive: false, maxConnsPerHost: 1 });
  const a = h.get("a");
  h.get("b");
  h.did;
  h.pool.cancel(a);
  expect(h.did).toEqual(["abandon 1", "dial 2 for b"]);
});

// retry()

test("Pool.retry() waits in front of all others, and the slot of its dead connection is its own", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.warm(1);
  const a = h.get("a");
  h.turn();
  h.get("b");
  h.did;
  h.pool.retry(a, h.slot(1));
  expect(h.did).toEqual(["dial 2 for a"]);
  h.dialed(2);
  expect(h.did).toEqual(["a has 2"]);
  h.put(2);
  h.turn();
  expect(h.did).toEqual(["idle 2", "b has 2 (reused)"]);
});

test("Pool.retry() after the end of the connection was told waits in front, for the next slot", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.warm(1);
  const a = h.get("a");
  h.turn();
  h.get("b");
  h.get("c");
  h.pool.remove(h.slot(1));
  h.pool.retry(a, h.slot(1));
  h.did;
  h.dialFailed(2); // b's
  expect(h.did).toEqual(["b failed: refused", "dial 3 for a"]);
});

test("Pool.retry() after the end of the only connection was told dials, where nobody else waits", () => {
  const h = new Harness();
  h.warm(1);
  const a = h.get("a");
  h.turn();
  h.pool.remove(h.slot(1));
  h.did;
  h.pool.retry(a, h.slot(1));
  expect(h.did).toEqual(["dial 2 for a"]);
});

test("Pool.retry() tries idle connections first, by a turn of its own", () => {
  const h = new Harness();
  h.warm(2);
  const a = h.get("a");
  h.turn();
  h.did;
  h.pool.retry(a, h.slot(2));
  expect(h.did).toEqual([]);
  h.turn();
  expect(h.did).toEqual(["a has 1 (reused)"]);
});

test("Pool.retry() is not overtaken, though it asked after the batch of those behind it had closed", () => {
  const h = new Harness({ maxConnsPerHost: 2 });
  h.warm(2);
  const a = h.get("a");
  h.turn();
  h.get("b");
  h.closeBatch();
  h.pool.retry(a, h.slot(2));
  h.did;
  h.endTurns();
  expect(h.did).toEqual([]);
  h.turn();
  expect(h.did).toEqual(["a has 1 (reused)"]);
});

test("Pool.retry(fresh) takes no idle connection, but one dialed for it", () => {
  const h = new Harness();
  h.warm(2);
  const a = h.get("a");
  h.turn();
  h.did;
  h.pool.retry(a, h.slot(2), true);
  h.turn();
  expect(h.did).toEqual(["dial 3 for a"]);
  h.dialed(3);
  expect(h.did).toEqual(["a has 3"]);
});

test("Pool.retry(fresh) makes room where idle connections hold all slots", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.warm(1);
  const a = h.get("a");
  h.turn();
  const b = h.get("b");
  h.pool.remove(h.slot(1)); // told before the retry, so that its slot went to b
  h.did;
  h.pool.retry(a, h.slot(1), true);
  expect(h.did).toEqual([]);
  h.dialed(2);
  h.put(2);
  expect(h.did).toEqual(["b has 2", "idle 2", "close 2: too-many-idle-per-host", "dial 3 for a"]);
  expect(b.state).toBe("served");
});

test("Pool.retry(fresh) that is cancelled leaves its dial to the others", () => {
  const h = new Harness({ maxConnsPerHost: 1 });
  h.warm(1);
  const a = h.get("a");
  h.turn();
  h.get("b");
  h.pool.retry(a, h.slot(1), true);
  h.pool.cancel(a);
  h.did;
  h.dialed(2);
  h.turn();
  expect(h.did).toEqual(["idle 2", "b has 2 (reused)"]);
});

test("Pool.retry() throws for a want that waits or has ended without a connection", () => {
  const h = new Harness();
  const a = h.get("a");
  expect(() => h.pool.retry(a, h.slot(1))).toThrow("this wait is waiting");
  h.pool.cancel(a);
  expect(() => h.pool.retry(a, h.slot(1))).toThrow("this wait is cancelled");
});
