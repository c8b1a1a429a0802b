/**
 * The pool by itself, with numbers in place of connections: what a get and a put cost, without sockets and without
 * waiting. Dials end at once, and a turn of the loop is over as soon as somebody waits for it.
 */
import type { Pool as PoolOf } from "../../lib/pool/pool.ts";
import type { PoolHooks, PoolLimits } from "../../lib/pool/pool-hooks.ts";
import type { Slot } from "../../lib/pool/slot.ts";
import type { Waiter, WantConn as WantOf } from "../../lib/pool/want-conn.ts";

const NO_LIMITS: PoolLimits = {
  maxConnsPerHost: 0,
  maxIdleConnsPerHost: 256,
  maxIdleConns: 0,
  idleTimeoutMs: 0,
  keepAlive: true,
};

export class PoolRig {
  readonly pool: PoolOf<number, null>;
  readonly #Want: typeof WantOf<number, null>;
  readonly #dials: Slot<number>[] = [];
  readonly #turns: ((batch: number) => void)[] = [];
  #batch = 0;
  #given: Slot<number> | null = null;
  readonly #waiter: Waiter<number> = {
    given: (slot) => {
      this.#given = slot;
    },
    refused: raise,
  };

  /** @param dist file: URL of the folder of our code in its parts */
  static async make(dist: string): Promise<PoolRig> {
    // The built files are not in the type program; their sources are.
    const { Pool } = (await import(`${dist}/pool/pool.js`)) as { Pool: typeof PoolOf<number, null> };
    const { WantConn } = (await import(`${dist}/pool/want-conn.js`)) as { WantConn: typeof WantOf<number, null> };
    return new PoolRig(Pool, WantConn);
  }

  constructor(Pool: typeof PoolOf<number, null>, WantConn: typeof WantOf<number, null>) {
    const nothing = (): void => {};
    const hooks: PoolHooks<number, null> = {
      now: () => 0,
      dial: (slot) => void this.#dials.push(slot),
      abandonDial: nothing,
      detachDial: nothing,
      attachDial: nothing,
      close: nothing,
      turn: (fire) => void this.#turns.push(fire),
      batch: () => this.#batch,
      idle: nothing,
    };
    this.pool = new Pool(NO_LIMITS, hooks);
    this.#Want = WantConn;
  }

  /** An idle connection of the key where there is one, else a new one. */
  get(key: string): Slot<number> {
    this.#given = null;
    this.pool.get(new this.#Want(key, this.#waiter, null));
    for (let slot = this.#dials.pop(); slot !== undefined; slot = this.#dials.pop()) this.pool.dialed(slot, 1);
    if (this.#turns.length > 0) {
      const batch = this.#batch++;
      for (const fire of this.#turns.splice(0)) fire(batch);
    }
    if (this.#given === null) throw new Error("pool rig: nobody was served");
    return this.#given;
  }

  put(slot: Slot<number>): void {
    this.pool.put(slot, null);
  }
}

function raise(error: Error): never {
  throw error;
}
