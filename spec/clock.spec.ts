import { AsyncLocalStorage } from "node:async_hooks";
import { spawnSync } from "node:child_process";
import { setImmediate, setTimeout } from "node:timers";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { type Clock, type Deadline, SystemClock, systemClock } from "../lib/clock.ts";
import { VirtualClock } from "../lib/testing/virtual-clock.ts";
import { nextUncaught } from "./support/uncaught.ts";

/** Runs `ms` of either clock: the real one by waiting for a deadline of its own, which cannot be early. */
const clocks: [string, () => { clock: Clock; pass(ms: number): Promise<void> }][] = [
  [
    "SystemClock",
    () => {
      const clock = new SystemClock();
      return {
        clock,
        async pass(ms) {
          const until = clock.now() + ms;
          while (clock.now() <= until + 4) await sleep(1); // a deadline may be a little late
          await nextTurn();
          await nextTurn();
        },
      };
    },
  ],
  [
    "VirtualClock",
    () => {
      const clock = new VirtualClock();
      return { clock, pass: (ms) => clock.advance(ms) };
    },
  ],
];

describe.each(clocks)("%s", (_, make) => {
  test("deadline() fires once, never early", async () => {
    const { clock, pass } = make();
    const begun = clock.now();
    const fired: number[] = [];
    clock.deadline(20, () => fired.push(clock.now() - begun));
    await pass(60);
    expect(fired).toHaveLength(1);
    expect(fired[0]).toBeGreaterThanOrEqual(20);
  });

  test("deadline() fires in the order of the times, whatever the order in which they were set", async () => {
    const { clock, pass } = make();
    const fired: number[] = [];
    for (const ms of [30, 10, 40, 20, 25, 15, 5, 35]) clock.deadline(ms, () => fired.push(ms));
    await pass(60);
    expect(fired).toEqual([5, 10, 15, 20, 25, 30, 35, 40]);
  });

  test("deadline(0) is disarmed until it is reset", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const deadline = clock.deadline(0, () => fired++);
    await pass(5);
    expect(fired).toBe(0);
    deadline.reset(5);
    await pass(20);
    expect(fired).toBe(1);
  });

  test("reset() to later moves a deadline, however often", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const deadline = clock.deadline(15, () => fired++);
    for (let i = 0; i < 5; i++) {
      await pass(5);
      deadline.reset(200);
    }
    expect(fired).toBe(0);
    deadline.reset(5);
    await pass(20);
    expect(fired).toBe(1);
  });

  test("reset() to earlier moves a deadline", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const deadline = clock.deadline(10_000, () => fired++);
    deadline.reset(5);
    await pass(20);
    expect(fired).toBe(1);
  });

  test("reset() counts from the time that it is given", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const begun = clock.now();
    const deadline = clock.deadline(0, () => fired++);
    await pass(30);
    deadline.reset(40, begun);
    await pass(20);
    expect(fired).toBe(1);
  });

  test("reset(0) disarms, and a later reset() arms again", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const deadline = clock.deadline(5, () => fired++);
    deadline.reset(0);
    await pass(20);
    expect(fired).toBe(0);
    deadline.reset(5);
    await pass(20);
    expect(fired).toBe(1);
  });

  test("reset() arms a deadline again that has fired, from inside its own call too", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const deadline: Deadline = clock.deadline(5, () => {
      if (++fired < 3) deadline.reset(5);
    });
    await pass(60);
    expect(fired).toBe(3);
  });

  test("cancel() is for good, and idempotent", async () => {
    const { clock, pass } = make();
    let fired = 0;
    const deadline = clock.deadline(5, () => fired++);
    deadline.cancel();
    deadline.cancel();
    deadline.reset(5);
    await pass(20);
    expect(fired).toBe(0);
  });

  test("a deadline that fires may cancel another that is due at the same time", async () => {
    const { clock, pass } = make();
    const now = clock.now();
    const fired: string[] = [];
    const first = clock.deadline(0, () => {
      fired.push("first");
      second.cancel();
      third.reset(10_000);
    });
    const second = clock.deadline(0, () => fired.push("second"));
    const third = clock.deadline(0, () => fired.push("third"));
    first.reset(5, now);
    second.reset(5.01, now);
    third.reset(5.02, now);
    await pass(30);
    expect(fired.slice(0, 1)).toEqual(["first"]);
    if (fired.length > 1) expect(fired).not.toContain("second");
    third.cancel();
  });

  test("reset(NaN) throws: an option that is no number must not become an endless wait", () => {
    const { clock } = make();
    const deadline = clock.deadline(0, () => {});
    expect(() => deadline.reset(Number.NaN)).toThrow();
  });

  test("turn() calls who asked together in their order, with the number of their batch", async () => {
    const { clock, pass } = make();
    const calls: string[] = [];
    const asked = clock.batch;
    clock.turn((batch) => calls.push(`a${batch - asked}`));
    clock.turn((batch) => calls.push(`b${batch - asked}`));
    expect(clock.batch).toBe(asked);
    await pass(1);
    expect(calls).toEqual(["a0", "b0"]);
    expect(clock.batch).toBe(asked + 1);
  });

  test("turn() asked for within a turn belongs to a later batch", async () => {
    const { clock, pass } = make();
    const batches: number[] = [];
    const stamps: number[] = [];
    clock.turn((batch) => {
      batches.push(batch);
      stamps.push(clock.batch);
      clock.turn((later) => batches.push(later));
    });
    await pass(1);
    expect(batches).toHaveLength(2);
    expect(batches[1]).toBeGreaterThan(batches[0]!);
    expect(batches[1]).toBeGreaterThanOrEqual(stamps[0]!);
  });
});

describe("SystemClock", () => {
  test("wallNow() is the time of day, now() is not", () => {
    expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(1000);
    expect(systemClock.now()).toBeLessThan(systemClock.wallNow());
  });

  test("is not moved by a test framework that replaces time", () => {
    const real = systemClock.now();
    vi.useFakeTimers({ now: 0 });
    try {
      expect(systemClock.now()).toBeGreaterThanOrEqual(real);
      expect(systemClock.wallNow()).toBeGreaterThan(1e12);
    } finally {
      vi.useRealTimers();
    }
  });

  test("deadline() lets the loop poll once before it fires: an answer that waited takes it off", async () => {
    const clock = new SystemClock();
    const fired: string[] = [];
    const deadline = clock.deadline(5, () => fired.push("deadline"));
    // A blocked loop: when it is free again, the timers run before what waits to be read. An immediate that a timer asks
    // for runs after the poll, as a read would.
    setTimeout(() => {
      const until = clock.now() + 20;
      while (clock.now() < until);
    }, 1);
    setTimeout(() => setImmediate(() => deadline.cancel()), 2);
    await sleep(60);
    expect(fired).toEqual([]);
  });

  test("deadline() is late by at most 10 ms on a free loop", async () => {
    const clock = new SystemClock();
    const late: number[] = [];
    for (const ms of [1, 7.5, 20, 33.3, 50]) {
      const begun = clock.now();
      clock.deadline(ms, () => late.push(clock.now() - begun - ms));
    }
    while (late.length < 5) await sleep(5);
    // The machine of a test is shared, so the bound is wider than the promise; the least must keep it all the same.
    expect(Math.min(...late)).toBeLessThan(10);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  });

  test("a deadline that throws stops no other, and its error gets out by itself", async () => {
    const clock = new SystemClock();
    const thrown = nextUncaught();
    const fired: string[] = [];
    const now = clock.now();
    const first = clock.deadline(0, () => {
      throw new Error("of a deadline");
    });
    const second = clock.deadline(0, () => fired.push("second"));
    first.reset(5, now);
    second.reset(5.01, now);
    expect(await thrown).toMatchObject({ message: "of a deadline" });
    while (fired.length === 0) await sleep(1);
    expect(fired).toEqual(["second"]);
  });

  test("a turn that throws stops no other of its batch", async () => {
    const clock = new SystemClock();
    const thrown = nextUncaught();
    let called = 0;
    clock.turn(() => {
      throw new Error("of a turn");
    });
    clock.turn(() => called++);
    expect(await thrown).toMatchObject({ message: "of a turn" });
    await nextTurn();
    expect(called).toBe(1);
  });

  test("turn() has a full poll of the loop between asking and firing", async () => {
    const clock = new SystemClock();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      clock.turn(() => {
        order.push("turn");
        resolve();
      });
      // What an immediate of this phase asks for runs one poll later: not before it may the turn come.
      setImmediate(() => {
        order.push("first check");
        setImmediate(() => order.push("second check"));
      });
    });
    await nextTurn();
    expect(order[0]).toBe("first check");
    expect(order).toContain("turn");
  });

  test("turn() serves who asked during the poll of another batch with a poll of their own", async () => {
    const clock = new SystemClock();
    const calls: [string, number][] = [];
    const first = clock.batch;
    await new Promise<void>((resolve) => {
      clock.turn((batch) => calls.push(["a", batch - first]));
      setImmediate(() => {
        expect(clock.batch).toBe(first + 1); // a's batch has closed
        clock.turn((batch) => {
          calls.push(["b", batch - first]);
          resolve();
        });
      });
    });
    expect(calls).toEqual([
      ["a", 0],
      ["b", 1],
    ]);
  });

  test("deadlines and turns run outside of the async context of who asked", async () => {
    const clock = new SystemClock();
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    await storage.run("a request", async () => {
      clock.deadline(2, () => seen.push(storage.getStore()));
      clock.turn(() => seen.push(storage.getStore()));
      while (seen.length < 2) await sleep(2);
      expect(storage.getStore()).toBe("a request");
    });
    expect(seen).toEqual([undefined, undefined]);
  });

  test("many deadlines reset at random all fire at their last time", async () => {
    const clock = new SystemClock();
    // A fixed sequence, so that a failure comes again.
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed / 2 ** 31;
    };
    const due = new Map<number, number>();
    const wrong: string[] = [];
    const deadlines = Array.from({ length: 300 }, (_, i) =>
      clock.deadline(0, () => {
        const at = due.get(i);
        if (at === undefined || clock.now() < at) wrong.push(`${i} fired at ${clock.now()}, due at ${at}`);
        due.delete(i);
      }),
    );
    const cancelled = new Set<number>();
    for (let step = 0; step < 5000; step++) {
      const i = Math.floor(random() * deadlines.length);
      const ms = random() < 0.2 ? 0 : 1 + random() * 60;
      const now = clock.now();
      deadlines[i]!.reset(ms, now);
      if (ms === 0 || cancelled.has(i)) due.delete(i);
      else due.set(i, now + ms);
      if (random() < 0.01) {
        deadlines[i]!.cancel();
        cancelled.add(i);
        due.delete(i);
      }
    }
    while (due.size > 0) await sleep(5);
    expect(wrong).toEqual([]);
  });

  test.each([
    ["an armed deadline keeps the process alive only where it says so", "clock.deadline(60_000, () => {})", "exit"],
    ["a deadline with keepAlive", 'clock.deadline(30, () => console.log("fired"), { keepAlive: true })', "fired exit"],
    [
      "a deadline with keepAlive that was disarmed",
      "clock.deadline(60_000, () => {}, { keepAlive: true }).reset(0)",
      "exit",
    ],
    [
      "a deadline with keepAlive that was cancelled",
      "clock.deadline(60_000, () => {}, { keepAlive: true }).cancel()",
      "exit",
    ],
    [
      "one without keepAlive, armed before one with it",
      'clock.deadline(60_000, () => {}); clock.deadline(30, () => console.log("fired"), { keepAlive: true })',
      "fired exit",
    ],
    [
      "hold() until release()",
      'clock.hold(); setTimeout(() => { console.log("fired"); clock.release(); }, 30).unref()',
      "fired exit",
    ],
    [
      "hold() goes on when the last deadline has fired",
      'clock.hold(); clock.deadline(10, () => {}); setTimeout(() => { console.log("fired"); clock.release(); }, 80).unref()',
      "fired exit",
    ],
    [
      "as many release() as hold()",
      "clock.deadline(60_000, () => {}); clock.hold(); clock.hold(); clock.release(); clock.release()",
      "exit",
    ],
    [
      "one release() of two",
      'clock.hold(); clock.hold(); clock.release(); setTimeout(() => { console.log("fired"); clock.release(); }, 30).unref()',
      "fired exit",
    ],
    ["a turn keeps the process alive", 'clock.turn(() => console.log("fired"))', "fired exit"],
  ])("%s", (_name, script, expected) => {
    const source = `
      const { systemClock: clock } = await import(${JSON.stringify(new URL("../lib/clock.ts", import.meta.url).href)});
      process.on("exit", () => console.log("exit"));
      ${script};
    `;
    const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", source], {
      encoding: "utf8",
      timeout: 15_000,
    });
    expect(run.stdout.trim().split("\n").join(" "), run.stderr).toBe(expected);
  });
});

describe("VirtualClock", () => {
  test("armed counts what nobody took off", async () => {
    const clock = new VirtualClock();
    const kept = clock.deadline(10, () => {}, { keepAlive: true });
    clock.deadline(5, () => {});
    expect([clock.armed, clock.keepingAlive, clock.untilNext]).toEqual([2, 1, 5]);
    await clock.advance(5);
    expect([clock.armed, clock.keepingAlive, clock.untilNext]).toEqual([1, 1, 5]);
    kept.cancel();
    expect([clock.armed, clock.keepingAlive, clock.untilNext]).toEqual([0, 0, null]);
  });

  test("advance() shows each deadline its own time, and lets promises run between two of them", async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.deadline(10, () => {
      seen.push(`first at ${clock.now()}`);
      void Promise.resolve().then(() => clock.deadline(5, () => seen.push(`made at 10, due at ${clock.now()}`)));
    });
    clock.deadline(20, () => seen.push(`last at ${clock.now()}`));
    await clock.advance(30);
    expect(seen).toEqual(["first at 10", "made at 10, due at 15", "last at 20"]);
    expect(clock.now()).toBe(30);
    expect(clock.wallNow()).toBe(Date.UTC(2026, 0, 1) + 30);
  });

  test("a due deadline can still be taken off by what the poll before it brings", async () => {
    const clock = new VirtualClock();
    let fired = 0;
    const deadline = clock.deadline(10, () => fired++);
    clock.deadline(10, () => {});
    const settled = clock.settle.bind(clock);
    clock.settle = async () => {
      if (clock.now() === 10) deadline.cancel();
      await settled();
    };
    await clock.advance(20);
    expect(fired).toBe(0);
  });
});
