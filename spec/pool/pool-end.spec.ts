/** close(), what is left after it, what the pool tells of itself, and that it keeps nothing it does not need. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Pool } from "../../lib/pool/pool.ts";
import type { Slot } from "../../lib/pool/slot.ts";
import { WantConn } from "../../lib/pool/want-conn.ts";
import { Harness, noLimits } from "./harness.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void; // a fresh context has the function that the flag exposes

const closed = new Error("closed");

test("Pool.close() fails who waits, ends dials and idle connections, and leaves what is lent", () => {
  const h = new Harness({ maxConnsPerHost: 2 });
  h.warm(1, "idle");
  h.get("lent");
  h.dialed(2);
  for (const name of ["a", "b"]) h.get(name);
  h.pool.cancel(h.get("c", "detached"));
  h.did;
  h.pool.close(closed);
  expect(h.did.sort()).toEqual([
    ...["a failed: closed", "abandon 3", "abandon 4", "b failed: closed"],
    "close 1: transport-closed",
  ]);
  expect(h.pool.stats()).toMatchObject({ waiting: 0, dialing: 0, idle: 0, busy: 1 });
});

test("Pool.close(): later wants fail at once, with the same error", () => {
  const h = new Harness();
  h.pool.close(closed);
  h.pool.close(new Error("another"));
  expect(h.get("a").state).toBe("failed");
  expect(h.did).toEqual(["a failed: closed"]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool.close(): a lent connection is closed when it comes back", () => {
  const h = new Harness();
  h.get("a");
  h.dialed(1);
  h.pool.close(closed);
  h.did;
  h.put(1);
  expect(h.did).toEqual(["close 1: transport-closed"]);
});

test("Pool.close(): who would go again fails", () => {
  const h = new Harness();
  const a = h.get("a");
  h.dialed(1);
  h.pool.close(closed);
  h.did;
  h.pool.retry(a, h.slot(1));
  expect(h.did).toEqual(["a failed: closed"]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool.close() may be told, by a want that fails, to cancel one whose turn to fail is still to come", () => {
  const h = new Harness();
  const answers: boolean[] = [];
  h.onError = (name) => {
    if (name === "a") answers.push(h.pool.cancel(b));
  };
  h.get("a");
  const b = h.get("b");
  h.did;
  h.pool.close(closed);
  expect(h.did.sort()).toEqual(["a failed: closed", "abandon 1", "abandon 2"]);
  expect(answers).toEqual([true]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool.close() may be told, by a dial that it gives up, to cancel the want that counted on it", () => {
  const h = new Harness();
  const wants = [h.get("a"), h.get("b")];
  h.did;
  h.onAbandon = (number) => h.pool.cancel(wants[number - 1]!); // there are two
  h.pool.close(closed);
  expect(h.did.sort()).toEqual(["a failed: closed", "abandon 1", "abandon 2", "b failed: closed"]);
  expect(wants.map((want) => want.state)).toEqual(["failed", "failed"]);
  expect(h.pool.isEmpty).toBe(true);
});

test("Pool: a want that gets an idle connection after closeIdle() is not between hands when its dial is given up", () => {
  const h = new Harness();
  h.get("first");
  h.dialed(1);
  const second = h.get("second");
  h.pool.closeIdle();
  h.put(1);
  h.onAbandon = () => expect(h.pool.cancel(second)).toBe(false);
  h.did;
  h.turn();
  expect(h.did).toEqual(["detach 2", "second has 1 (reused)", "abandon 2"]);
  expect(second.state).toBe("served");
});

test("Pool.whenEmpty() calls at once when nothing is left, else when the last thing goes", () => {
  const h = new Harness();
  const empty: number[] = [];
  h.pool.whenEmpty(() => empty.push(1));
  expect(empty).toEqual([1]);
  h.get("a");
  h.get("b");
  h.dialed(1);
  h.dialed(2);
  h.pool.whenEmpty(() => empty.push(2));
  h.pool.close(closed);
  h.put(1);
  expect(empty).toEqual([1]);
  h.pool.remove(h.slot(2));
  expect(empty).toEqual([1, 2]);
});

test("Pool.stateOf() and stats() tell what each key holds, and for how long", () => {
  const h = new Harness({ maxConnsPerHost: 3 });
  for (const name of ["a", "b", "c", "d"]) h.get(name);
  h.now = 2_000;
  h.dialed(1);
  h.now = 3_000;
  h.dialed(2);
  expect(h.pool.stateOf("k")).toEqual({ waiting: 2, dialing: 1, busy: 2, idle: 0, oldestBusySince: 2_000 });
  h.pool.remove(h.slot(1));
  expect(h.pool.stateOf("k")).toEqual({ waiting: 2, dialing: 2, busy: 1, idle: 0, oldestBusySince: 3_000 });
  h.put(2);
  expect(h.pool.stats()).toEqual({
    ...{ waiting: 2, dialing: 2, busy: 0, idle: 1 },
    keys: new Map([["k", { waiting: 2, dialing: 2, busy: 0, idle: 1, oldestBusySince: null }]]),
  });
  expect(h.pool.stateOf("unknown")).toEqual({ waiting: 0, dialing: 0, busy: 0, idle: 0, oldestBusySince: null });
});

// Go: TestIdleConnChannelLeak (10427)
test("Pool forgets a key with its last want and slot", () => {
  const h = new Harness();
  for (let i = 0; i < 20; i++) {
    const key = `host-${i}`;
    h.get("a", key);
    if (i % 2 === 0) h.dialFailed(h.slots.length);
    else {
      h.dialed(h.slots.length);
      h.pool.remove(h.slot(h.slots.length));
    }
    expect(h.pool.isEmpty).toBe(true);
  }
  expect(h.turnsAsked).toBe(0);
});

test("Pool: the turn of a key that was forgotten does nothing to its successor", () => {
  const h = new Harness();
  h.warm(1);
  const a = h.get("a"); // asks for a turn
  h.pool.cancel(a);
  h.pool.remove(h.slot(1));
  expect(h.pool.isEmpty).toBe(true);
  h.get("b");
  h.turn();
  h.dialed(2);
  expect(h.did).toEqual(["dial 2 for b", "b has 2"]);
});

// Go: TestTransportPersistConnContextLeakMaxConnsPerHost (33850)
test("Pool keeps no want alive that it has served, failed or forgotten, while its connections live", async () => {
  const h = new Harness({ maxConnsPerHost: 2 });
  const refs = ["served", "served too", "cancelled"].map((name) => new WeakRef(h.get(name)));
  h.pool.cancel(refs[2]!.deref()!);
  h.dialed(1);
  h.dialed(2);
  h.put(1);
  await new Promise((resolve) => setImmediate(resolve)); // a WeakRef that was read holds its target until the loop turns
  collectGarbage();
  expect(refs.map((ref) => ref.deref())).toEqual([undefined, undefined, undefined]);
});

test("Pool holds 100,000 keys, and as many who wait for one, at a cost that grows with their number only", () => {
  const many = 100_000;
  const dials: Slot<number>[] = [];
  const nothing = (): void => {};
  const hooks = { now: () => 0, dial: (slot: Slot<number>) => dials.push(slot), batch: () => 0, turn: nothing };
  const rest = { abandonDial: nothing, detachDial: nothing, attachDial: nothing, close: nothing, idle: nothing };
  const pool = new Pool<number, null>(
    { ...noLimits, maxConnsPerHost: 1, maxIdleConns: many / 2 },
    { ...hooks, ...rest },
  );
  const get = (key: string): WantConn<number, null> => {
    const want = new WantConn<number, null>(key, { given: nothing, refused: nothing }, null);
    pool.get(want);
    return want;
  };
  for (let i = 0; i < many; i++) get(`host-${i}`);
  for (const slot of dials) pool.dialed(slot, 1);
  for (const slot of dials) pool.put(slot, null);
  expect(pool.stats()).toMatchObject({ idle: many / 2, waiting: 0 });
  pool.closeIdle();
  expect(pool.isEmpty).toBe(true);
  const wants = Array.from({ length: many }, () => get("one"));
  for (let i = 0; i < many; i++) pool.cancel(wants[(i * 7_919) % many]!); // in no order
  expect(pool.stats()).toMatchObject({ waiting: 0, dialing: 1 });
}, 180_000);
