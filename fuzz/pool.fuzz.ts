/**
 * However requests, returns, deaths, dials, turns and limits interleave, also where a request that is served calls the
 * pool at once: the pool does what the naive one does, line by line; every wait ends once; no connection is held by two;
 * no limit is exceeded; who is served from the pool is the first in line of his key; when all dials have ended and all
 * connections have come back, nobody waits; and after close() nothing is left.
 *
 * The pool's own invariant is looked at after each move.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import type { PoolLimits } from "../lib/pool/pool-hooks.ts";
import type { Slot } from "../lib/pool/slot.ts";
import type { WantConn } from "../lib/pool/want-conn.ts";
import { Harness } from "../spec/pool/harness.ts";
import { NaivePool, type NaiveSlot, type NaiveWant } from "./arbitraries/naive-pool.ts";
import { runs } from "./runs.ts";

/** What a want does as soon as it is served, from inside the pool's own call. */
const reactions = ["none", "none", "put", "remove", "replace", "retry", "get", "cancel-first", "cancel-last"] as const;
type Reaction = (typeof reactions)[number];

/** And as soon as its wait fails: a dial of its own, or close(). */
const failReactions = ["none", "none", "get", "cancel-first", "cancel-last", "close-idle"] as const;
type FailReaction = (typeof failReactions)[number];

/** What somebody does who hears that a dial was given up. */
const abandonReactions = ["none", "cancel-first", "cancel-last"] as const;
type AbandonReaction = (typeof abandonReactions)[number];

/** The pool under test, with what an onlooker can know of it without asking it. */
class Real {
  readonly h: Harness;
  readonly limits: PoolLimits;
  readonly wants = new Map<string, WantConn<number, string>>();
  /** Who waits, in order of arrival; a retried one is in front. */
  line: { name: string; key: string; fresh: boolean }[] = [];
  readonly lent = new Set<Slot<number>>();
  /** What is done inside of the pool's own calls, by when; the model has done it before. */
  readonly script = new Map<string, (real: Real) => void>();
  readonly #served = new Map<string, number>();

  constructor(limits: PoolLimits) {
    this.limits = limits;
    this.h = new Harness(limits);
    this.h.onConn = (name, slot) => this.#onConn(name, slot);
    this.h.onError = (name) => {
      this.#leave(name);
      this.script.get(`${name} failed`)?.(this);
    };
    this.h.onAbandon = (number) => this.script.get(`abandon ${number}`)?.(this);
  }

  get(name: string, key: string): void {
    this.line.push({ name, key, fresh: false });
    this.wants.set(name, this.h.get(name, key));
  }

  retry(name: string, number: number, fresh: boolean): void {
    const want = this.wants.get(name)!;
    this.lent.delete(this.h.slot(number));
    this.line.unshift({ name, key: want.key, fresh });
    this.h.pool.retry(want, this.h.slot(number), fresh);
  }

  cancel(name: string): void {
    this.#leave(name);
    this.h.pool.cancel(this.wants.get(name)!);
  }

  put(number: number, hintMs: number | null): void {
    this.lent.delete(this.h.slot(number));
    this.h.put(number, hintMs);
  }

  remove(number: number): void {
    this.lent.delete(this.h.slot(number));
    this.h.pool.remove(this.h.slot(number));
  }

  check(): void {
    const { maxConnsPerHost, maxIdleConnsPerHost, maxIdleConns, keepAlive } = this.limits;
    const live = this.h.slots.filter((slot) => slot.state !== "closed");
    const idle = live.filter((slot) => slot.state === "idle");
    expect(new Set(live.filter((slot) => slot.state === "busy"))).toEqual(this.lent);
    if (!keepAlive) expect(idle).toEqual([]);
    for (const key of new Set(live.map((slot) => slot.key))) {
      if (maxConnsPerHost > 0) {
        expect(live.filter((slot) => slot.key === key).length).toBeLessThanOrEqual(maxConnsPerHost);
      }
      const takers = this.line.filter((want) => want.key === key && !want.fresh).length;
      expect(idle.filter((slot) => slot.key === key).length).toBeLessThanOrEqual(maxIdleConnsPerHost + takers);
    }
    if (maxIdleConns > 0 && this.line.length === 0) expect(idle.length).toBeLessThanOrEqual(maxIdleConns);
    const { waiting, dialing, busy, idle: idleSaid } = this.h.pool.stats();
    expect([waiting, busy, idleSaid]).toEqual([this.line.length, this.lent.size, idle.length]);
    expect(dialing).toBe(live.length - idle.length - busy);
    expect(this.h.pool.isEmpty).toBe(live.length === 0 && this.line.length === 0);
  }

  #onConn(name: string, slot: Slot<number>): void {
    const place = this.line.findIndex((want) => want.name === name);
    expect(place).not.toBe(-1); // its wait had not ended
    const { key, fresh } = this.line[place]!;
    expect(slot).toMatchObject({ state: "busy", key });
    expect(this.lent.has(slot)).toBe(false);
    if (slot.reused) {
      expect(fresh).toBe(false);
      expect(this.line.find((want) => want.key === key && !want.fresh)?.name).toBe(name);
    }
    this.line.splice(place, 1);
    this.lent.add(slot);
    const times = (this.#served.get(name) ?? 0) + 1;
    this.#served.set(name, times);
    this.script.get(`${name}/${times}`)?.(this);
  }

  #leave(name: string): void {
    this.line = this.line.filter((want) => want.name !== name);
  }
}

/** The naive pool, and who is who in it. It acts first; what it did inside of its own calls is written down for the real. */
class Model {
  readonly pool: NaivePool;
  readonly real: Real;
  /** How those who are served next react, in turn. */
  reactions: Reaction[] = [];
  failReactions: FailReaction[] = [];
  #names = 0;
  readonly #served = new Map<string, number>();

  constructor(limits: PoolLimits, real: Real, onAbandon: AbandonReaction) {
    this.pool = new NaivePool(limits);
    this.pool.onAbandoned = ({ key, number }) => {
      if (onAbandon !== "none")
        this.#cancelOther(key, onAbandon, (act) => this.real.script.set(`abandon ${number}`, act));
    };
    this.pool.onServed = (want, slot) => this.#react(want, slot);
    this.pool.onFailed = (want) => this.#reactFailed(want);
    this.real = real;
  }

  get name(): string {
    return `w${this.#names++}`;
  }

  slots(...states: NaiveSlot["state"][]): NaiveSlot[] {
    return this.pool.slots.filter((slot) => states.includes(slot.state));
  }

  /** Does one thing to both, and compares what they did. */
  step(naive: () => void, act: (real: Real) => void): void {
    naive();
    act(this.real);
    expect(this.real.h.did).toEqual(this.pool.log.splice(0));
    this.real.check();
  }

  #react(want: NaiveWant, slot: NaiveSlot): void {
    const times = (this.#served.get(want.name) ?? 0) + 1;
    this.#served.set(want.name, times);
    const write = (act: (real: Real) => void) => this.real.script.set(`${want.name}/${times}`, act);
    const { pool } = this;
    const reaction = this.reactions.shift() ?? "none";
    if (reaction === "put") {
      write((real) => real.put(slot.number, null));
      pool.put(slot, null);
    } else if (reaction === "remove") {
      write((real) => real.remove(slot.number));
      pool.remove(slot);
    } else if (reaction === "replace") {
      const { name } = this; // the key may have been empty in between
      write((real) => {
        real.remove(slot.number);
        real.get(name, want.key);
      });
      pool.remove(slot);
      pool.get(name, want.key);
    } else if (reaction === "retry") {
      write((real) => real.retry(want.name, slot.number, false));
      pool.retry(want, slot, false);
    } else if (reaction === "get") {
      const { name } = this;
      write((real) => real.get(name, want.key));
      pool.get(name, want.key);
    } else if (reaction !== "none") {
      this.#cancelOther(want.key, reaction, write);
    }
  }

  #reactFailed(want: NaiveWant): void {
    const write = (act: (real: Real) => void) => this.real.script.set(`${want.name} failed`, act);
    const { pool } = this;
    const reaction = this.failReactions.shift() ?? "none";
    if (reaction === "get") {
      const { name } = this;
      write((real) => real.get(name, want.key));
      pool.get(name, want.key);
    } else if (reaction === "close-idle") {
      write((real) => real.h.pool.closeIdle());
      pool.closeIdle();
    } else if (reaction !== "none") {
      this.#cancelOther(want.key, reaction, write);
    }
  }

  #cancelOther(key: string, which: "cancel-first" | "cancel-last", write: (act: (real: Real) => void) => void): void {
    const other = this.pool.waiting.filter((w) => w.key === key).at(which === "cancel-first" ? 0 : -1);
    if (other === undefined) return;
    write((real) => real.cancel(other.name));
    this.pool.cancel(other);
  }
}

type Step = fc.Command<Model, Real>;

/** A command on one of the things that `pick` finds; not run where there is none. */
function on<T>(what: string, pick: (m: Model) => T[], at: number, run: (m: Model, chosen: T) => void): Step {
  return {
    check: (m) => pick(m as Model).length > 0, // fast-check hands it out as Readonly, which drops nothing that is read here
    run(m) {
      const all = pick(m);
      run(m, all[at % all.length]!);
    },
    toString: () => `${what}(${at})`,
  };
}

const simple = (what: string, run: (m: Model) => void): Step => ({ check: () => true, run, toString: () => what });

const at = fc.nat(7);
const waiting = (m: Model) => m.pool.waiting;
const dialing = (m: Model) => m.slots("dialing");
const busy = (m: Model) => m.slots("busy");

const get = fc.constantFrom("k", "k", "k", "other", "third").map((key) =>
  simple(`get ${key}`, (m) => {
    const { name } = m;
    m.step(
      () => m.pool.get(name, key),
      (r) => r.get(name, key),
    );
  }),
);
const closeBatch = fc.constant(
  simple("closeBatch", (m) =>
    m.step(
      () => m.pool.closeBatch(),
      (r) => r.h.closeBatch(),
    ),
  ),
);
const endTurns = fc.array(fc.constantFrom(...reactions), { maxLength: 4 }).map((some) =>
  simple(`endTurns, ${some}`, (m) => {
    m.reactions = [...some];
    m.step(
      () => m.pool.endTurns(),
      (r) => r.h.endTurns(),
    );
    m.reactions = [];
  }),
);
const dialed = fc.tuple(at, fc.constantFrom(...reactions)).map(([i, reaction]) =>
  on(`dialed, ${reaction}`, dialing, i, (m, slot) => {
    m.reactions = [reaction];
    m.step(
      () => m.pool.dialed(slot),
      (r) => r.h.dialed(slot.number),
    );
    m.reactions = [];
  }),
);
const failing = fc.array(fc.constantFrom(...failReactions), { maxLength: 3 });
const dialFailed = fc.tuple(at, failing).map(([i, some]) =>
  on(`dialFailed, ${some}`, dialing, i, (m, slot) => {
    m.failReactions = [...some];
    m.step(
      () => m.pool.dialFailed(slot, "refused"),
      (r) => r.h.dialFailed(slot.number),
    );
    m.failReactions = [];
  }),
);
/** In the middle: what comes after it must fail or end, and nothing may come to life. */
const close = failing.map((some) =>
  simple(`close, ${some}`, (m) => {
    m.failReactions = [...some];
    m.step(
      () => m.pool.close("closed"),
      (r) => r.h.pool.close(new Error("closed")),
    );
    m.failReactions = [];
  }),
);
const put = fc.tuple(at, fc.constantFrom(null, 0, 20)).map(([i, hint]) =>
  on(`put, ${hint}`, busy, i, (m, slot) =>
    m.step(
      () => m.pool.put(slot, hint),
      (r) => r.put(slot.number, hint),
    ),
  ),
);
const remove = at.map((i) =>
  on(
    "remove",
    (m) => m.slots("dialing", "idle", "busy"),
    i,
    (m, slot) =>
      m.step(
        () => m.pool.remove(slot),
        (r) => r.remove(slot.number),
      ),
  ),
);
const retry = fc.tuple(at, fc.boolean()).map(([i, fresh]) =>
  on(`retry${fresh ? " fresh" : ""}`, busy, i, (m, slot) => {
    const want = m.pool.slots[slot.number - 1]!.holder!;
    if (want.state !== "served") return;
    m.step(
      () => m.pool.retry(want, slot, fresh),
      (r) => r.retry(want.name, slot.number, fresh),
    );
  }),
);
/** The connection's end was told first, and its slot may have gone to another. */
const removeThenRetry = fc.tuple(at, fc.boolean()).map(([i, fresh]) =>
  on(`remove, then retry${fresh ? " fresh" : ""}`, busy, i, (m, slot) => {
    const want = m.pool.slots[slot.number - 1]!.holder!;
    if (want.state !== "served") return;
    m.step(
      () => m.pool.remove(slot),
      (r) => r.remove(slot.number),
    );
    m.step(
      () => m.pool.retry(want, slot, fresh),
      (r) => r.retry(want.name, slot.number, fresh),
    );
  }),
);
const cancel = at.map((i) =>
  on("cancel", waiting, i, (m, want) =>
    m.step(
      () => m.pool.cancel(want),
      (r) => r.cancel(want.name),
    ),
  ),
);
const advance = fc.constantFrom(1, 10, 50, 250, -100).map((ms) =>
  simple(`advance ${ms}`, (m) =>
    m.step(
      () => {
        m.pool.now += ms;
      },
      (r) => {
        r.h.now += ms;
      },
    ),
  ),
);
const expire = at.map((i) =>
  on(
    "expire",
    (m) => m.slots("idle"),
    i,
    (m, slot) =>
      m.step(
        () => m.pool.expire(slot),
        (r) => r.h.pool.expire(r.h.slot(slot.number)),
      ),
  ),
);
const closeIdle = fc.constant(
  simple("closeIdle", (m) =>
    m.step(
      () => m.pool.closeIdle(),
      (r) => r.h.pool.closeIdle(),
    ),
  ),
);

function turn(m: Model): void {
  for (const act of ["closeBatch", "endTurns"] as const) {
    m.step(
      () => m.pool[act](),
      (r) => r.h[act](),
    );
  }
}

/** All dials end well and all connections come back, until nothing is left to happen. */
function comeToRest(m: Model): void {
  for (let round = 0; round < 200; round++) {
    const [dial] = dialing(m);
    const [lent] = busy(m);
    if (dial === undefined && lent === undefined && m.pool.waiting.length === 0) return;
    if (dial !== undefined) {
      m.step(
        () => m.pool.dialed(dial),
        (r) => r.h.dialed(dial.number),
      );
    }
    if (lent !== undefined) {
      m.step(
        () => m.pool.put(lent, null),
        (r) => r.put(lent.number, null),
      );
    }
    turn(m);
  }
  throw new Error(`After all dials and returns some still wait: ${m.pool.waiting.map((want) => want.name)}`);
}

const limits: fc.Arbitrary<PoolLimits> = fc.record({
  maxConnsPerHost: fc.constantFrom(0, 0, 1, 2, 3),
  maxIdleConnsPerHost: fc.constantFrom(0, 1, 2, 100, 100),
  maxIdleConns: fc.constantFrom(0, 1, 2, 4),
  idleTimeoutMs: fc.constantFrom(0, 30),
  keepAlive: fc.constantFrom(true, true, true, true, false),
});
const commands = [
  get,
  get,
  get,
  closeBatch,
  endTurns,
  endTurns,
  dialed,
  dialed,
  dialFailed,
  put,
  put,
  put,
  remove,
  retry,
];
const rarer = [removeThenRetry, cancel, cancel, advance, expire, closeIdle];
const rarest = fc.oneof({ weight: 30, arbitrary: fc.oneof(...commands, ...rarer) }, { weight: 1, arbitrary: close });

const onAbandon = fc.constantFrom(...abandonReactions);

test("Pool does what the naive pool does, whatever interleaves", () => {
  fc.assert(
    fc.property(
      limits,
      onAbandon,
      fc.commands([rarest], { maxCommands: 80, size: "max" }),
      fc.boolean(),
      (some, told, steps, rest) => {
        const real = new Real(some);
        const model = new Model(some, real, told);
        fc.modelRun(() => ({ model, real }), steps);
        if (rest) comeToRest(model);
        let empty = false;
        model.step(
          () => model.pool.close("closed"),
          (r) => r.h.pool.close(new Error("closed")),
        );
        real.h.pool.whenEmpty(() => {
          empty = true;
        });
        expect(model.pool.waiting).toEqual([]);
        for (const slot of busy(model)) {
          expect(empty).toBe(false);
          model.step(
            () => model.pool.put(slot, null),
            (r) => r.put(slot.number, null),
          );
        }
        expect(empty).toBe(true);
        expect(model.slots("dialing", "idle", "busy")).toEqual([]);
        turn(model);
      },
    ),
    runs("pool", 1.5),
  );
}, 600_000);
