/** Who is sent behind another, on a connection that is busy (RFC 9112 §9.3.2): only who has no other place, and in order. */

import { describe, expect, test } from "vitest";
import { Pool } from "../../lib/pool/pool.ts";
import type { Slot } from "../../lib/pool/slot.ts";
import { WantConn } from "../../lib/pool/want-conn.ts";
import { Harness, noLimits } from "./harness.ts";

/** A pool whose one connection of a limit of one is busy. */
function busy(maxConnsPerHost = 1): Harness {
  const pool = new Harness({ maxConnsPerHost });
  pool.warm(1);
  pool.get("front");
  pool.turn();
  expect(pool.did).toEqual(["front has 1 (reused)"]);
  return pool;
}

describe("Pool.hasRoom()", () => {
  test("sends those who wait behind it at the end of their turn, as many as it takes", () => {
    const pool = busy();
    pool.hasRoom(1, 2);
    for (const name of ["a", "b", "c"]) pool.getOrFollow(name);
    expect(pool.did).toEqual([]);
    pool.turn();
    expect(pool.did).toEqual(["a follows on 1", "b follows on 1"]);
    expect(pool.pool.stateOf("k")).toMatchObject({ waiting: 1, busy: 1 });
    pool.put(1);
    pool.turn();
    expect(pool.did).toEqual(["idle 1", "c has 1 (reused)"]);
  });

  test("serves who waits already, a full poll later", () => {
    const pool = busy();
    pool.getOrFollow("a");
    pool.turn();
    expect(pool.did).toEqual([]);
    pool.hasRoom(1, 1);
    expect(pool.did).toEqual([]);
    pool.turn();
    expect(pool.did).toEqual(["a follows on 1"]);
  });

  test("who asked after the turn closed waits for the next", () => {
    const pool = busy();
    pool.hasRoom(1, 2);
    pool.getOrFollow("early");
    pool.closeBatch();
    pool.getOrFollow("late");
    pool.endTurns();
    expect(pool.did).toEqual(["early follows on 1"]);
    pool.turn();
    expect(pool.did).toEqual(["late follows on 1"]);
  });

  test("a free slot, a dial and an idle connection are all better", () => {
    const free = busy(2);
    free.hasRoom(1, 5);
    free.getOrFollow("a");
    expect(free.did).toEqual(["dial 2 for a"]);
    free.turn();
    expect(free.did).toEqual([]);
    free.getOrFollow("b"); // no slot is left for it
    free.turn();
    expect(free.did).toEqual(["b follows on 1"]);
    free.dialed(2);
    expect(free.did).toEqual(["a has 2"]);

    const idle = busy(2);
    idle.get("second");
    idle.dialed(2);
    idle.hasRoom(1, 5);
    idle.put(2);
    idle.turn();
    void idle.did;
    idle.getOrFollow("c");
    idle.turn();
    expect(idle.did).toEqual(["c has 2 (reused)"]);
  });

  test("what is left behind those whom idle ones serve follows in the same turn", () => {
    const pool = busy(2);
    pool.get("second");
    pool.dialed(2);
    pool.hasRoom(1, 5);
    pool.getOrFollow("a");
    pool.getOrFollow("b");
    pool.put(2);
    pool.turn();
    expect(pool.did.slice(-3)).toEqual(["idle 2", "a has 2 (reused)", "b follows on 1"]);
  });

  test("who cannot follow lets nobody past: a connection comes back for it", () => {
    const pool = busy();
    pool.hasRoom(1, 5);
    pool.get("POST");
    pool.getOrFollow("GET");
    pool.turn();
    expect(pool.did).toEqual([]);
    pool.put(1);
    pool.turn();
    expect(pool.did).toEqual(["idle 1", "POST has 1 (reused)"]);
    pool.hasRoom(1, 5);
    pool.turn();
    expect(pool.did).toEqual(["GET follows on 1"]);
  });

  test("who waits for a fresh dial lets nobody past either", () => {
    const pool = busy();
    pool.hasRoom(1, 5);
    pool.get("fresh", "k", true);
    pool.getOrFollow("GET");
    pool.turn();
    expect(pool.did).toEqual([]);
  });

  test("connections take turns", () => {
    const pool = busy(2);
    pool.get("second");
    pool.dialed(2);
    void pool.did;
    pool.hasRoom(1, 5);
    pool.hasRoom(2, 5);
    for (const name of ["a", "b", "c", "d"]) pool.getOrFollow(name);
    pool.turn();
    expect(pool.did).toEqual(["a follows on 1", "b follows on 2", "c follows on 1", "d follows on 2"]);
  });

  test("one that takes none after all is left out, until it says so again", () => {
    const pool = busy();
    pool.hasRoom(1, 1);
    pool.room.set(1, 0);
    pool.getOrFollow("a");
    pool.turn();
    expect(pool.did).toEqual([]);
    expect(pool.turnsAsked).toBe(0);
    pool.hasRoom(1, 1);
    pool.turn();
    expect(pool.did).toEqual(["a follows on 1"]);
  });

  test("one that is idle, closed or told twice changes nothing", () => {
    const pool = busy();
    pool.hasRoom(1, 1);
    pool.hasRoom(1, 1);
    pool.put(1);
    pool.hasRoom(1, 1);
    expect(pool.pool.stateOf("k")).toMatchObject({ idle: 1, busy: 0 });
    pool.pool.remove(pool.slot(1));
    pool.hasRoom(1, 1);
    expect(pool.pool.isEmpty).toBe(true);
  });

  test("one that dies in the turn is not followed: who waits gets its slot", () => {
    const pool = busy();
    pool.hasRoom(1, 5);
    pool.getOrFollow("a");
    pool.closeBatch();
    pool.pool.remove(pool.slot(1));
    expect(pool.did).toEqual(["dial 2 for a"]);
    pool.endTurns();
    expect(pool.did).toEqual([]);
  });

  test("a follower may end the connection that it was given", () => {
    const pool = busy();
    pool.hasRoom(1, 5);
    const wants = ["a", "b"].map((name) => pool.getOrFollow(name));
    pool.onConn = (_name, slot) => {
      pool.onConn = null;
      pool.pool.retry(wants[0]!, slot);
    };
    pool.turn();
    expect(pool.did).toEqual(["a follows on 1", "dial 2 for a"]);
    expect(pool.pool.stateOf("k")).toMatchObject({ waiting: 2, dialing: 1, busy: 0 });
  });

  test("one that is closed is not followed, where others of its key live on", () => {
    const pool = busy(2);
    pool.get("second");
    pool.dialed(2);
    pool.pool.remove(pool.slot(1));
    void pool.did;
    pool.get("third"); // takes the slot
    pool.hasRoom(1, 5);
    pool.getOrFollow("a");
    pool.turn();
    expect(pool.did).toEqual(["dial 3 for third"]);
  });

  test("a follower may tell of more room on its connection itself", () => {
    const pool = busy();
    pool.hasRoom(1, 2);
    for (const name of ["a", "b", "c"]) pool.getOrFollow(name);
    pool.onConn = (_name, slot) => pool.pool.hasRoom(slot);
    pool.turn();
    expect(pool.did).toEqual(["a follows on 1", "b follows on 1"]);
    expect(pool.pool.stateOf("k")).toMatchObject({ waiting: 1, busy: 1 });
  });

  test("nobody follows where nobody says what a connection takes", () => {
    const slots: Slot<number>[] = [];
    const fires: ((batch: number) => void)[] = [];
    const pool = new Pool<number, string>(
      { ...noLimits, maxConnsPerHost: 1 },
      {
        now: () => 0,
        dial: (slot) => slots.push(slot),
        abandonDial: () => {},
        detachDial: () => {},
        attachDial: () => {},
        close: () => {},
        turn: (fire) => fires.push(fire),
        batch: () => 0,
        idle: () => {},
      },
      { check: true },
    );
    const told: string[] = [];
    const want = (name: string) =>
      new WantConn<number, string>("k", { given: () => told.push(name), refused: () => {} }, name);
    pool.get(want("a"));
    pool.dialed(slots[0]!, 1);
    pool.hasRoom(slots[0]!);
    const b = want("b");
    b.canFollow = true;
    pool.get(b);
    for (const fire of fires) fire(0);
    expect([told, b.state, fires.length > 0]).toEqual([["a"], "waiting", true]);
  });
});
