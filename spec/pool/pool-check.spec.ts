/** The pool's own look at its lists: each part seen to fire, after each kind of move and of call to the outside. */

import { describe, expect, test } from "vitest";
import { InvariantError } from "../../lib/errors.ts";
import type { IdleLessons } from "../../lib/pool/idle-lessons.ts";
import { Pool } from "../../lib/pool/pool.ts";
import { Slot } from "../../lib/pool/slot.ts";
import { WantConn } from "../../lib/pool/want-conn.ts";
import { Harness, noLimits } from "./harness.ts";

const SUMS = "Pool's sums over all keys are not what it counted";

describe("Pool's invariant is looked at", () => {
  /** Puts a slot into the list of all idle ones that belongs to no key; `h` has an idle connection 1. */
  const breakSums = (h: Harness): void => breakSumsOf(h, 1);
  function breakSumsOf(h: Harness, number: number): void {
    const lru = h.slot(number).side.list;
    if (lru === null) throw new Error(`connection ${number} is not idle`);
    const stray = new Slot<number>("nowhere", 0);
    stray.move("idle", 0);
    lru.push(stray.side);
  }

  test("after a move of one key, and of all", () => {
    const h = new Harness();
    h.warm(1);
    breakSums(h);
    expect(() => h.get("a")).toThrow(SUMS);
    expect(() => h.pool.closeIdle()).toThrow(InvariantError);
  });

  test("again when what a want was told has returned, with a connection or an error", () => {
    const h = new Harness();
    h.warm(1);
    h.get("a", "other");
    h.dialed(2);
    h.get("b", "other");
    h.dialFailed(3);
    breakSums(h);
    expect(() => h.put(2)).toThrow(SUMS);
  });

  test("again when a connection was closed", () => {
    const h = new Harness();
    h.warm(2);
    h.pool.remove(h.slot(2));
    h.get("a", "other");
    h.dialed(3);
    h.put(3);
    h.slot(3).idleMs = 1;
    h.now += 1;
    h.pool.expire(h.slot(3));
    breakSums(h);
    expect(() => h.get("b")).toThrow(SUMS);
  });

  test("again when a want was told whom it follows, and when a dial was abandoned", () => {
    const h = new Harness({ maxConnsPerHost: 1 });
    h.warm(1, "idle");
    h.get("front");
    h.dialed(2);
    h.hasRoom(2, 1);
    h.getOrFollow("behind");
    h.turn();
    h.pool.cancel(h.get("gone", "third"));
    h.pool.closeIdle(); // nobody counts on its dial
    expect(h.did.filter((line) => /follows|abandon/.test(line))).toEqual(["behind follows on 2", "abandon 3"]);
    h.warm(1, "idle");
    breakSumsOf(h, 4);
    expect(() => h.get("a", "fourth")).toThrow(SUMS);
  });

  test("not while a want is told whom it follows, nor by closeIdle() in that moment", () => {
    const h = new Harness({ maxConnsPerHost: 1 });
    h.get("front");
    h.dialed(1);
    h.hasRoom(1, 1);
    h.getOrFollow("behind");
    const other = h.get("other", "third");
    let told = false;
    h.onConn = () => {
      other.dial = new Slot<number>("third", 0);
      h.pool.closeIdle();
      told = true;
    };
    expect(() => h.turn()).toThrow("A dial and its want disagree");
    expect(told).toBe(true);
  });

  test("not while a want is being told, whose call may be in the midst of things", () => {
    const h = new Harness();
    h.warm(1);
    let inside = 0;
    h.onConn = (name) => {
      if (name !== "a") return;
      breakSums(h);
      h.get("b", "other");
      inside = h.slots.length;
    };
    h.get("a", "third");
    expect(() => h.dialed(2)).toThrow(SUMS);
    expect(inside).toBe(3);
  });

  test("for dials: each is counted on by the want that has it", () => {
    const h = new Harness();
    const a = h.get("a");
    a.dial = new Slot<number>("k", 0);
    expect(() => h.get("b")).toThrow("A dial and its want disagree");
  });

  test("for dials after a move of all keys, too", () => {
    const h = new Harness();
    const a = h.get("a");
    a.dial = new Slot<number>("k", 0);
    expect(() => h.pool.closeIdle()).toThrow("A dial and its want disagree");
  });

  test("for a dial that is none any more, and for one that no key has begun", () => {
    const ended = new Harness();
    ended.get("a");
    ended.slot(1).state = "busy";
    expect(() => ended.get("b", "other")).toThrow("A dial and its want disagree");
    const stray = new Harness();
    stray.get("a");
    stray.slot(1).place.list?.push(new Slot<number>("nowhere", 0).place);
    expect(() => stray.get("b", "other")).toThrow(SUMS);
  });

  test("for the count of idle connections that those who wait will take", () => {
    const h = new Harness({ maxConnsPerHost: 1 });
    h.warm(1);
    h.get("a");
    // Another key's state is out of reach; that of this one is told by the sum as soon as its connection goes unseen.
    h.slot(1).side.list?.remove(h.slot(1).side);
    expect(() => h.get("b")).toThrow("An idle slot is missing in the LRU");
  });

  test("never where it was not asked for: it takes O(everything)", () => {
    let looks = 0;
    const pool = new Pool<number, string>(noLimits, hooks(), {});
    const first = want("a");
    pool.get(first);
    Object.defineProperty(first, "state", {
      get() {
        looks++;
        return "waiting";
      },
    });
    pool.get(want("b"));
    pool.closeIdle();
    expect(looks).toBe(0);
  });
});

function want(name: string): WantConn<number, string> {
  return new WantConn<number, string>("k", { given: () => {}, refused: () => {} }, name);
}

function hooks() {
  return {
    now: () => 0,
    dial: () => {},
    abandonDial: () => {},
    detachDial: () => {},
    attachDial: () => {},
    close: () => {},
    turn: () => {},
    batch: () => 0,
    idle: () => {},
  };
}

describe("Pool.whoHas()", () => {
  test("tells nothing of a key that it does not know", () => {
    expect(new Harness().pool.whoHas("k", 5)).toEqual({ waits: [], lent: [] });
  });

  test("tells who waits, those first who want a dial of their own, and what is lent, the longest first", () => {
    const h = new Harness({ maxConnsPerHost: 2 });
    for (const name of ["a", "b"]) h.get(name);
    h.dialed(2);
    h.dialed(1);
    for (const name of ["c", "d"]) h.get(name);
    h.get("e", "k", true);
    expect(h.pool.whoHas("k", 5)).toEqual({ waits: ["e", "c", "d"], lent: [2, 1] });
  });

  test("tells so many of each and no more", () => {
    const h = new Harness({ maxConnsPerHost: 2 });
    for (const name of ["a", "b"]) h.get(name);
    for (const number of [1, 2]) h.dialed(number);
    for (const name of ["c", "d"]) h.get(name);
    expect(h.pool.whoHas("k", 1)).toEqual({ waits: ["c"], lent: [1] });
    expect(h.pool.whoHas("k", 2)).toEqual({ waits: ["c", "d"], lent: [1, 2] });
  });
});

describe("Slot.idledMs", () => {
  test("tells how long a connection was idle before it was lent, and null where it was dialed", () => {
    const h = new Harness();
    h.get("a");
    h.dialed(1);
    expect(h.slot(1).idledMs).toBeNull();
    h.put(1);
    h.now += 700;
    h.get("b");
    h.turn();
    expect(h.slot(1).idledMs).toBe(700);
  });

  test("is never below 0, though the wall clock was set back", () => {
    const h = new Harness();
    h.warm(1);
    h.now -= 700;
    h.get("b");
    h.turn();
    expect(h.slot(1).idledMs).toBe(0);
  });

  test("is that of the last time", () => {
    const h = new Harness();
    h.warm(1);
    h.now += 5;
    h.get("a");
    h.turn();
    h.put(1);
    h.get("b");
    h.turn();
    expect(h.slot(1).idledMs).toBe(0);
  });
});

describe("Pool passes over a connection that is too old by what was learned", () => {
  /** Says of ages from `limit` on that the server closes at `limit + 1`. */
  function lessons(limit: number, asked: number[]): IdleLessons {
    const fake: Pick<IdleLessons, "tooOld"> = {
      tooOld: (_key, age) => {
        asked.push(age);
        return age >= limit ? limit + 1 : null;
      },
    };
    return fake as IdleLessons; // the pool asks it nothing else
  }

  function fixture(limit: number) {
    const asked: number[] = [];
    const h = new Harness({}, lessons(limit, asked));
    h.warm(1);
    h.now += 40;
    h.get("w", "k"); // dials nothing: the idle one is enough
    return { h, asked };
  }

  test("closes it, tells of it before, and serves the want otherwise", () => {
    const { h, asked } = fixture(30);
    h.turn();
    expect(h.did).toEqual([
      "pass over 1 for w: idle 40, closes after 31",
      "close 1: learned-idle-timeout",
      "dial 2 for w",
    ]);
    expect(asked).toEqual([40]);
    expect(h.slot(1).state).toBe("closed");
  });

  test("and gives out what is younger", () => {
    const { h, asked } = fixture(41);
    h.turn();
    expect(h.did).toEqual(["w has 1 (reused)"]);
    expect(asked).toEqual([40]);
  });

  test("also where nobody wants to hear of it", () => {
    const closed: string[] = [];
    const slots: Slot<number>[] = [];
    const fires: ((batch: number) => void)[] = [];
    const pool = new Pool<number, string>(
      noLimits,
      {
        ...hooks(),
        dial: (slot) => slots.push(slot),
        close: (conn, _slot, reason) => closed.push(`${conn}: ${reason}`),
        turn: (fire) => fires.push(fire),
      },
      { lessons: lessons(0, []) },
    );
    pool.get(want("a"));
    pool.dialed(slots[0]!, 1);
    pool.put(slots[0]!, null);
    pool.get(want("b"));
    for (const fire of fires) fire(0);
    expect([closed, slots.length]).toEqual([["1: learned-idle-timeout"], 2]);
  });

  test("and looks at the invariant afterwards", () => {
    const { h } = fixture(30);
    h.turn();
    const stray = new Slot<number>("nowhere", 0);
    stray.move("idle", 0);
    h.dialed(2);
    h.put(2);
    h.slot(2).side.list?.push(stray.side);
    expect(() => h.get("x")).toThrow(SUMS);
  });
});

describe("Pool.dialed() of a shared connection", () => {
  test("lends it though nobody counts on the dial any more", () => {
    const h = new Harness();
    h.warm(1);
    for (const name of ["a", "b"]) h.get(name);
    h.turn(); // connection 1 serves a; the dial for b goes on
    h.put(1);
    h.turn();
    h.did;
    h.pool.dialed(h.slot(2), 2, true);
    expect(h.did).toEqual([]);
    expect(h.pool.stats()).toMatchObject({ busy: 2, idle: 0, dialing: 0 });
  });
});

test("Pool.whenEmpty() calls once, when the last key has gone", () => {
  const h = new Harness();
  let calls = 0;
  h.warm(1);
  h.warm(1, "other");
  h.pool.whenEmpty(() => calls++);
  h.pool.remove(h.slot(1));
  expect(calls).toBe(0);
  h.pool.remove(h.slot(2));
  expect(calls).toBe(1);
  h.warm(1);
  h.pool.remove(h.slot(3));
  expect(calls).toBe(1);
});

test("Pool.expire() leaves a connection alone that is not idle, or may be idle for ever", () => {
  const h = new Harness();
  h.warm(1);
  h.now += 1_000_000;
  h.pool.expire(h.slot(1));
  expect([h.did, h.slot(1).state]).toEqual([[], "idle"]);
});

describe("Pool.closeIdle()", () => {
  test("leaves alone what the closing of another connection has ended already", () => {
    const h = new Harness();
    h.warm(3);
    h.onClose = () => h.pool.remove(h.slot(2));
    h.pool.closeIdle();
    expect(h.did).toEqual(["close 1: close-idle-connections", "close 3: close-idle-connections"]);
  });

  test("so does close()", () => {
    const h = new Harness();
    h.warm(3);
    h.onClose = () => h.pool.remove(h.slot(2));
    h.pool.close(new Error("closed"));
    expect(h.did).toEqual(["close 1: transport-closed", "close 3: transport-closed"]);
  });

  test("and abandons no dial twice that the abandoning of another has ended", () => {
    const h = new Harness();
    for (const name of ["a", "b"]) h.get(name);
    h.onAbandon = (number) => {
      if (number === 1) h.dialFailed(2);
    };
    h.did;
    h.pool.close(new Error("closed"));
    expect(h.did.filter((line) => line.startsWith("abandon"))).toEqual(["abandon 1"]);
    expect(h.pool.isEmpty).toBe(true);
  });

  test("leaves a dial to those who still wait, though its own want has gone", () => {
    const h = new Harness();
    h.get("a");
    const b = h.get("b");
    h.pool.closeIdle();
    h.pool.cancel(b);
    expect(h.did).toEqual(["dial 1 for a", "dial 2 for b", "detach 2"]);
  });

  test("ends the dials that nobody counts on, when the last who waited has left", () => {
    const h = new Harness();
    const a = h.get("a");
    const b = h.get("b");
    h.pool.closeIdle();
    h.pool.cancel(a);
    h.did;
    h.pool.cancel(b);
    expect(h.did).toEqual(["abandon 2", "abandon 1"]);
    expect(h.pool.isEmpty).toBe(true);
  });
});

test("Pool lets all dials go on whose wants were served by connections that came back", () => {
  const h = new Harness();
  for (const name of ["a", "b"]) h.get(name);
  for (const number of [1, 2]) h.dialed(number);
  for (const name of ["c", "d"]) h.get(name);
  for (const number of [1, 2]) h.put(number);
  h.did;
  h.turn();
  expect(h.did).toEqual(["detach 3", "c has 2 (reused)", "detach 4", "d has 1 (reused)"]);
  expect(h.pool.stats()).toMatchObject({ busy: 2, dialing: 2, waiting: 0 });
});

test("Pool gives out no connection at the very moment at which it may no longer be idle", () => {
  const h = new Harness({ idleTimeoutMs: 100 });
  h.get("a");
  h.dialed(1);
  h.put(1);
  h.now += 100;
  h.get("b");
  h.did;
  h.turn();
  expect(h.did).toEqual(["close 1: idle-timeout", "dial 2 for b"]);
});

test("Pool asks no turn for one who takes no idle connection", () => {
  const h = new Harness();
  h.warm(1);
  h.get("a", "k", true);
  expect([h.did, h.turnsAsked]).toEqual([["dial 2 for a"], 0]);
});

test("Pool.get() takes an idle connection where nothing else was said", () => {
  const h = new Harness();
  h.warm(1);
  h.pool.get(want("a"));
  expect(h.did).toEqual([]);
  expect(h.turnsAsked).toBe(1);
});
