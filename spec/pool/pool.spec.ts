/** Who gets which connection, and when: the turn, order of arrival, and the race of a dial with what comes back. */

import { inspect } from "node:util";
import { expect, test } from "vitest";
import { slowDialMs } from "../../lib/pool/pool.ts";
import { Harness } from "./harness.ts";

test("Pool.get() dials at once when nothing is idle, and the product goes straight to its want", () => {
  const h = new Harness();
  h.get("a");
  expect(h.did).toEqual(["dial 1 for a"]);
  h.dialed(1);
  expect(h.did).toEqual(["a has 1"]);
  expect(h.turnsAsked).toBe(0);
});

test("Pool.get() gives an idle connection at the end of a turn, and not before", () => {
  const h = new Harness();
  h.warm(1);
  h.get("a");
  expect(h.pool.stateOf("k")).toMatchObject({ waiting: 1, idle: 1, dialing: 0 });
  h.closeBatch();
  expect(h.did).toEqual([]);
  h.endTurns();
  expect(h.did).toEqual(["a has 1 (reused)"]);
});

test("Pool.get() does not take a connection for a want that asked after the turn's batch had closed", () => {
  const h = new Harness();
  h.warm(2);
  h.get("early");
  h.closeBatch();
  h.get("late");
  h.endTurns();
  expect(h.did).toEqual(["early has 2 (reused)"]);
  h.turn();
  expect(h.did).toEqual(["late has 1 (reused)"]);
});

test("Pool.get() does not take a connection that became idle after the turn's batch had closed", () => {
  const h = new Harness();
  h.warm(2);
  h.get("x");
  h.turn(); // has 2; 1 stays idle
  h.get("a");
  h.closeBatch();
  h.put(2); // the most recent one, but no poll has looked at it since
  expect(h.did).toEqual(["x has 2 (reused)", "idle 2"]);
  h.endTurns();
  expect(h.did).toEqual(["a has 1 (reused)"]);
});

test("Pool.put() gives no hand-out without a turn, to one who waits neither", () => {
  const h = new Harness();
  h.get("a");
  h.get("b");
  h.dialed(1);
  h.did;
  h.put(1);
  expect(h.did).toEqual(["idle 1"]);
  h.turn();
  expect(h.did).toEqual(["detach 2", "b has 1 (reused)"]);
});

test("Pool.get() reuses last in, first out", () => {
  const h = new Harness();
  h.warm(3);
  for (const name of ["a", "b", "c"]) h.get(name);
  h.turn();
  expect(h.did).toEqual(["a has 3 (reused)", "b has 2 (reused)", "c has 1 (reused)"]);
});

test("Pool.get() asks for one turn for all who ask in one batch", () => {
  const h = new Harness();
  h.warm(5);
  for (let i = 0; i < 5; i++) h.get(`w${i}`);
  expect(h.turnsAsked).toBe(1);
});

test("Pool.get() dials for those whom the idle connections do not serve, and for no others", () => {
  const h = new Harness();
  h.warm(2);
  for (const name of ["a", "b", "c", "d"]) h.get(name);
  expect(h.did).toEqual(["dial 3 for c", "dial 4 for d"]);
  h.turn();
  expect(h.did).toEqual(["a has 2 (reused)", "b has 1 (reused)"]);
});

test("Pool.remove() during the turn: who counted on a connection that died gets a dial", () => {
  const h = new Harness();
  h.warm(1);
  h.get("a");
  h.pool.remove(h.slot(1));
  expect(h.did).toEqual(["dial 2 for a"]);
  h.turn();
  expect(h.did).toEqual([]);
  h.dialed(2);
  expect(h.did).toEqual(["a has 2"]);
});

test("Pool keeps keys apart", () => {
  const h = new Harness();
  h.warm(1, "one");
  h.get("a", "two");
  expect(h.did).toEqual(["dial 2 for a"]);
  h.turn();
  expect(h.did).toEqual([]);
});

// Late binding (Go: TestTransportSocketLateBinding, TestTransportPoolConnConnectionBecomesAvailableDuringDial)

test("Pool.put() wins the race against a dial, whose product goes into the pool as reused", () => {
  const h = new Harness();
  h.get("one");
  h.dialed(1);
  h.get("two");
  h.put(1);
  expect(h.did).toEqual(["dial 1 for one", "one has 1", "dial 2 for two", "idle 1"]);
  h.turn();
  expect(h.did).toEqual(["detach 2", "two has 1 (reused)"]);
  h.dialed(2);
  expect(h.did).toEqual(["idle 2"]);
  h.get("three");
  h.turn();
  expect(h.did).toEqual(["three has 2 (reused)"]);
});

test("Pool.get() counts on a dial that lost its race, and keeps the process alive for it", () => {
  const h = new Harness();
  h.get("one");
  h.dialed(1);
  h.get("two");
  h.put(1);
  h.turn();
  h.did;
  h.get("three");
  expect(h.did).toEqual(["attach 2"]);
  h.dialed(2);
  expect(h.did).toEqual(["idle 2"]); // not dialed for three: a reuse, which takes its turn
  h.turn();
  expect(h.did).toEqual(["three has 2 (reused)"]);
});

test("Pool never has more connections than there were requests at once, however returns and dials interleave", () => {
  const workers = 51;
  const h = new Harness();
  const lent: number[] = [];
  h.onConn = (_name, slot) => lent.push(slot.conn as number);
  for (let i = 0; i < workers; i++) h.get(`w${i}`);
  // Each worker asks again as soon as it is served, while the dials of the others end one by one.
  for (let dial = 1; dial <= workers; dial++) {
    if (h.slot(dial).state === "dialing") h.dialed(dial);
    for (const number of lent.splice(0)) {
      h.put(number);
      h.get("again");
    }
    h.turn();
  }
  expect(h.slots.length).toBe(workers);
});

test("Pool.get() does not count on another's dial that looks stuck", () => {
  const h = new Harness();
  h.get("one");
  h.dialed(1);
  h.get("two");
  h.put(1);
  h.turn();
  h.now += slowDialMs;
  h.did;
  h.get("three");
  expect(h.did).toEqual(["dial 3 for three"]);
  h.dialed(2); // not stuck after all: three takes whichever comes first
  h.turn();
  expect(h.did).toEqual(["idle 2", "detach 3", "three has 2 (reused)"]);
});

test("Pool.dialed() of another's dial serves the first in line, and the others keep what they count on", () => {
  const h = new Harness();
  h.get("one");
  h.dialed(1);
  for (const name of ["two", "three"]) h.get(name);
  h.put(1);
  h.get("four"); // counts on 1: three wait, and two dials and one idle connection come
  h.turn(); // two has 1, so four counts on two's dial now
  expect(h.did.slice(-2)).toEqual(["idle 1", "two has 1 (reused)"]);
  h.dialed(2);
  h.turn();
  expect(h.did).toEqual(["idle 2", "three has 2 (reused)"]);
  h.dialed(3); // three's own, which four inherited
  h.turn();
  expect(h.did).toEqual(["idle 3", "four has 3 (reused)"]);
});

test("Pool.dialFailed() fails the want that the dial was started for, and nobody else", () => {
  const h = new Harness();
  h.get("a");
  h.get("b");
  h.did;
  h.dialFailed(1);
  expect(h.did).toEqual(["a failed: refused"]);
  h.dialed(2);
  expect(h.did).toEqual(["b has 2"]);
});

test("Pool.dialFailed() of another's dial gives a dial of its own to who counted on it", () => {
  const h = new Harness();
  h.get("one");
  h.dialed(1);
  h.get("two");
  h.put(1);
  h.get("three");
  h.turn();
  h.did;
  h.dialFailed(2);
  expect(h.did).toEqual(["dial 3 for three"]);
});

test("Pool.dialFailed() of a dial that nobody waits for is dropped", () => {
  const h = new Harness();
  h.get("one");
  h.dialed(1);
  h.get("two");
  h.put(1);
  h.turn();
  h.did;
  h.dialFailed(2);
  expect(h.did).toEqual([]);
  expect(h.pool.stateOf("k")).toMatchObject({ dialing: 0, busy: 1 });
});

test("Pool.remove() of a dialing slot gives its want another dial", () => {
  const h = new Harness();
  h.get("a");
  h.pool.remove(h.slot(1));
  expect(h.did).toEqual(["dial 1 for a", "dial 2 for a"]);
});

test("Pool.dialed() closes a connection whose dial was abandoned too late to stop it", () => {
  const h = new Harness();
  const a = h.get("a");
  h.get("b");
  const c = h.get("c");
  h.pool.cancel(a);
  h.pool.cancel(c);
  expect(h.did.slice(3)).toEqual(["detach 1", "abandon 3"]);
  h.dialed(3);
  h.pool.dialFailed(h.slot(3), new Error("aborted"));
  expect(h.did).toEqual(["close 3: dial-unwanted"]);
});

test("Pool calls back into a pool that may be called: a want served within a turn may ask, put and cancel", () => {
  const h = new Harness();
  h.warm(3);
  const b = h.get("b0");
  h.pool.cancel(b);
  const names: string[] = [];
  h.onConn = (name, slot) => {
    names.push(name);
    if (name !== "a") return;
    h.pool.cancel(second);
    h.pool.put(slot, null);
    h.get("nested");
  };
  h.get("a");
  const second = h.get("b");
  h.get("c");
  h.turn();
  expect(names).toEqual(["a", "c"]);
  h.turn();
  expect(names).toEqual(["a", "c", "nested"]);
});

test("Pool forgets a key once: what a callback began anew for it stays", () => {
  const h = new Harness();
  h.warm(1);
  h.onConn = (name, slot) => {
    if (name !== "a") return;
    h.pool.remove(slot); // the last that the key held
    h.get("b");
  };
  h.get("a");
  h.turn();
  expect(h.pool.stateOf("k")).toMatchObject({ waiting: 1, dialing: 1 });
  h.dialed(2);
  expect(h.did).toEqual(["a has 1 (reused)", "dial 2 for b", "b has 2"]);
});

test("Pool goes on for the others where a callback throws", () => {
  const h = new Harness();
  h.warm(2);
  h.onConn = (name) => {
    if (name === "a") throw new Error("thrown by a");
  };
  h.get("a");
  h.get("b");
  expect(() => h.turn()).toThrow("thrown by a");
  h.turn();
  expect(h.did).toEqual(["a has 2 (reused)", "b has 1 (reused)"]);
});

test("Pool throws InvariantError where a slot would be in two places, or a want would wait twice", () => {
  const h = new Harness();
  const a = h.get("a");
  expect(() => h.put(1)).toThrow("Cannot put connection: its slot is dialing");
  h.dialed(1);
  expect(() => h.dialed(1)).toThrow("Cannot take dialed connection: its slot is busy");
  expect(() => h.dialFailed(1)).toThrow("Cannot take failed dial: its slot is busy");
  expect(() => h.pool.get(a)).toThrow("this wait is served");
  h.put(1);
  expect(() => h.put(1)).toThrow("Cannot put connection: its slot is idle");
  expect(() => h.pool.release(h.slot(1))).toThrow("Cannot release connection: its slot is idle");
  h.pool.remove(h.slot(1));
  expect(() => h.put(1)).toThrow("its slot is closed");
});

test("Pool names no key in its errors, nor where it is inspected: a key may hold a proxy's credentials", () => {
  const h = new Harness();
  const key = "http://user:secret@proxy|http|";
  h.get("a", key);
  expect(inspect(h.pool)).toBe("Pool { 0 busy, 0 idle, 1 dialing, 1 waiting }");
  for (const wrong of [() => h.put(1), () => h.pool.release(h.slot(1)), () => h.slot(1).move("dialing", 0)]) {
    expect(wrong).toThrow(/^(?!.*secret).*dialing/);
  }
});
