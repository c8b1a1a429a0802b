/**
 * Connections made before they are needed: dials for nobody, into the pool. Lives until its dials are over.
 *
 * Owns:  nothing: a connection that it was given goes into the pool at once.
 * Never: dials more than the limits of the pool allow to keep.
 */

import type { DialOwner, Held } from "./held.ts";
import type { Pool } from "./pool/pool.ts";
import type { Slot } from "./pool/slot.ts";
import { type Waiter, WantConn } from "./pool/want-conn.ts";
import type { Rider, SharedConns } from "./shared-conns.ts";
import { SharedLease } from "./shared-lease.ts";
import type { CallTrace } from "./trace.ts";
import type { Way } from "./way.ts";

export interface PreconnectHost {
  readonly pool: Pool<Held, DialOwner>;
  readonly shared: SharedConns;
  readonly options: {
    readonly keepAlive: boolean;
    readonly maxConnsPerHost: number;
    readonly maxIdleConnsPerHost: number;
    readonly maxIdleConns: number;
  };
}

/** What became of one dial. */
type Outcome = { readonly shared: boolean } | { readonly error: unknown };

/**
 * Sees to it that `n` connections stand, as far as limits go.
 *
 * @returns how many of them do: idle ones, and one that is shared counts for all
 * @throws the first dial's error, where none stands
 */
export async function preconnect(host: PreconnectHost, way: Way, trace: CallTrace, n: number): Promise<number> {
  const { options, pool, shared } = host;
  if (!options.keepAlive) return 0;
  const one = () => new Preconnect(host, way, trace).outcome;
  const { maxConnsPerHost, maxIdleConnsPerHost, maxIdleConns } = options;
  const kept = Math.min(n, maxIdleConnsPerHost, maxIdleConns === 0 ? n : maxIdleConns);
  const missing = () => {
    const { idle, busy, dialing, waiting } = pool.stateOf(way.key);
    const free = maxConnsPerHost === 0 ? n : maxConnsPerHost - idle - busy - dialing - waiting;
    return Math.max(0, Math.min(kept - idle, free));
  };
  if (way.negotiated) {
    if (shared.hasOpen(way.key)) return Math.min(n, 1);
    if (pool.stateOf(way.key).idle === 0 && missing() > 0) {
      // What is spoken there is not known yet, and one is enough where it can be shared.
      const first = await one();
      if ("shared" in first && first.shared) return 1;
      if ("error" in first) throw first.error;
    }
  }
  const { idle } = pool.stateOf(way.key);
  const outcomes = await Promise.all(Array.from({ length: missing() }, one));
  const stood = outcomes.filter((outcome) => "shared" in outcome).length;
  const connected = Math.min(n, idle) + stood;
  const failed = outcomes.find((outcome) => "error" in outcome);
  if (connected === 0 && failed !== undefined) throw failed.error;
  return connected;
}

/** One dial for nobody. */
class Preconnect implements DialOwner, Rider, Waiter<Held> {
  readonly way: Way;
  readonly trace: CallTrace;
  readonly waiting = false;
  readonly outcome: Promise<Outcome>;
  readonly #host: PreconnectHost;
  #end!: (outcome: Outcome) => void; // set by the promise's executor
  #want: WantConn<Held, DialOwner> | null = null;

  constructor(host: PreconnectHost, way: Way, trace: CallTrace) {
    this.#host = host;
    this.way = way;
    this.trace = trace;
    this.outcome = new Promise((resolve) => {
      this.#end = resolve;
    });
    if (way.negotiated) host.shared.join(way.key, this);
    else this.ask();
  }

  ask(): void {
    const { pool } = this.#host;
    const want = new WantConn<Held, DialOwner>(this.way.key, this, this);
    this.#want = want;
    pool.get(want, true);
  }

  unask(): void {
    const want = this.#want;
    this.#want = null;
    if (want !== null) this.#host.pool.cancel(want);
  }

  given(slot: Slot<Held>): void {
    const { pool, shared } = this.#host;
    this.#want = null;
    if (slot.conn instanceof SharedLease) {
      shared.left(this.way.key, this);
      return this.ride(slot.conn); // whoever gave it looks whether anybody is left on it
    }
    if (this.way.negotiated) shared.plain(this.way.key, this);
    if (slot.state === "busy") pool.put(slot, null);
    this.#end({ shared: false });
  }

  refused(error: unknown): void {
    this.#want = null;
    if (this.way.negotiated) this.#host.shared.failed(this.way.key, this, error);
    this.#end({ error });
  }

  ride(_lease: SharedLease): void {
    this.#end({ shared: true });
  }

  rideFailed(error: unknown): void {
    this.#end({ error });
  }

  ownsSlot(): void {}

  inContext<T>(fn: () => T): T {
    return fn();
  }
}
