/**
 * What the pool holds and for whom it dials, as types: a connection with one exchange at a time (`Lease`) or one that many
 * requests share (`SharedLease`); a call, or whoever wants a connection to stand.
 */

import type { CloseReason } from "./errors.ts";
import type { Pool } from "./pool/pool.ts";
import type { CallTrace } from "./trace.ts";
import type { Way } from "./way.ts";

export interface Held {
  readonly id: number;
  /** Its key, for people. */
  readonly shownKey: string;
  /** Its place in the pool. */
  readonly slot: {
    readonly key: string;
    readonly state: "dialing" | "idle" | "busy" | "closed";
    readonly since: number;
  };
  /** In the pool from now on: keeps no process alive, and expires in `ms` (0: never). */
  idle(ms: number): void;
  /** @param error what is in flight fails with */
  close(reason: CloseReason, error?: unknown): void;
}

/** A connection that somebody holds, outside of the transport's pool: its own pool has it and those who wait for it. */
export interface HeldAside {
  readonly way: Way;
  /** Null until its dial is done. */
  readonly lease: Held | null;
  readonly pool: Pool<Held, DialOwner>;
}

/** For whom a dial is made. */
export interface DialOwner {
  readonly way: Way;
  readonly trace: CallTrace;
  /** Whether it still stands in the queue: a dial that goes on without it reports nothing to its timings. */
  readonly waiting: boolean;
  /** A dial of its own has begun, or it was given a connection, or it waits no more. */
  ownsSlot(): void;
  /** Runs code that may call the caller's, in the async context of the caller. */
  inContext<T>(fn: () => T): T;
}

let last = 0;

/** Connections of the process are counted, whatever they speak. */
export function nextConnectionId(): number {
  return ++last;
}
