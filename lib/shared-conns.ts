/**
 * Connections that many requests share: those on which ALPN chose another protocol than HTTP/1.1. Who waits for one, when
 * one more is dialed, and who rides which.
 *
 * The pool below holds their slots and does the dialing; it knows nothing of sharing. So, of all calls for a key, one
 * stands in the pool's queue (the asker), and the others wait here for what comes of it:
 *
 * | the dial gives | then |
 * | --- | --- |
 * | a connection to share | all ride it, as far as it has room; for the rest the next one asks, or they wait (`exclusive`) |
 * | HTTP/1.1 | all go into the pool's queue, now and later: each needs a connection of its own |
 * | an error | all who counted on it hear it, as in Go's HTTP/2 pool |
 * | nothing, since the asker left | the next in line asks; the pool binds it to the dial under way |
 *
 * A request that finds a connection stands for one full poll of the loop before it rides, as with HTTP/1.1: what the peer
 * said meanwhile (GOAWAY, a close) is then known. One dialed for it is taken at once.
 *
 * Lives as long as its transport. Owns the waits here, and which connections are offered.
 * Never: awaits between a look at a connection and its use; holds a connection that is closed or draining.
 *
 * RFC 9113 §9.1; Go net/http tryPutIdleConn (alt), golang.org/x/net/http2 clientConnPool.
 */

import type { Clock } from "./clock.ts";
import type { SharedLease } from "./shared-lease.ts";

/** Who wants to ride: a call, or whoever only wants a connection to stand. */
export interface Rider {
  /** Takes its place in the pool's queue. */
  ask(): void;
  /** Leaves the pool's queue: it rides another connection. */
  unask(): void;
  /** The connection is given to it; it is used before anything else can happen. */
  ride(lease: SharedLease): void;
  /** What it waited for failed. */
  rideFailed(error: unknown): void;
}

/** What is known of one key. */
class Shared {
  /** Those to offer, in the order in which they came. */
  readonly open = new Set<SharedLease>();
  /** All who wait, in order, with the batch in which each came; the asker among them. */
  readonly waiting = new Map<Rider, number>();
  asker: Rider | null = null;
  turnAsked = false;
  /** The last dial came out as HTTP/1.1. */
  plain = false;
}

/** Keys whose servers are known to speak only HTTP/1.1 are remembered; a program may meet any number of them. */
const KEYS_MAX = 1000;

export class SharedConns {
  readonly #clock: Clock;
  readonly #keys = new Map<string, Shared>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for a connection of this key: calls back `ask`, `ride` or `rideFailed`, maybe before this returns. */
  join(key: string, rider: Rider): void {
    const at = this.#at(key);
    if (at.plain && at.open.size === 0) return rider.ask();
    at.waiting.set(rider, this.#clock.batch);
    this.#move(key, at);
  }

  /** It waits no more: aborted, too late, or served by the pool. Where it asked, the next one does. */
  left(key: string, rider: Rider): void {
    const at = this.#keys.get(key);
    if (at === undefined || !at.waiting.delete(rider)) return;
    if (at.asker === rider) at.asker = null;
    this.#move(key, at);
  }

  /** The asker was given a connection that cannot be shared: nobody needs to wait for another's dial any more. */
  plain(key: string, rider: Rider): void {
    const at = this.#at(key);
    if (at.asker === rider) at.asker = null;
    at.waiting.delete(rider);
    if (at.open.size > 0) return this.#move(key, at); // a server that speaks both, or a connection from before
    at.plain = true;
    const riders = [...at.waiting.keys()];
    at.waiting.clear();
    at.asker = null;
    for (const other of riders) if (other !== rider) other.ask();
    this.#forget(key, at);
  }

  /** The asker's dial failed. Those who counted on it hear of it too; where others are open, they wait for those. */
  failed(key: string, rider: Rider, error: unknown): void {
    const at = this.#keys.get(key);
    if (at === undefined || at.asker !== rider) return this.left(key, rider);
    at.asker = null;
    at.waiting.delete(rider);
    if (at.open.size > 0) return this.#move(key, at);
    const riders = [...at.waiting.keys()];
    at.waiting.clear();
    for (const other of riders) other.rideFailed(error);
    this.#forget(key, at);
  }

  /**
   * A connection stands.
   *
   * @param deliver gives it, through the pool, to who asked for it; the others ride it right after, since it is fresh
   */
  opened(key: string, lease: SharedLease, deliver: () => void): void {
    const at = this.#at(key);
    at.plain = false;
    at.open.add(lease); // before: who asked leaves its place, and nobody else must ask in its stead
    deliver();
    this.#serve(at, Number.POSITIVE_INFINITY);
    this.#move(key, at);
  }

  /** Something about a connection changed: how much room it has, or whether it takes anything. */
  changed(key: string, lease: SharedLease): void {
    const at = this.#keys.get(key);
    if (at === undefined) return;
    if (lease.state !== "open") at.open.delete(lease);
    this.#move(key, at);
  }

  /** Fails all who wait; the connections are the pool's to close. */
  close(error: () => unknown): void {
    for (const at of this.#keys.values()) {
      const riders = [...at.waiting.keys()];
      at.waiting.clear();
      at.asker?.unask();
      at.asker = null;
      for (const rider of riders) rider.rideFailed(error());
    }
  }

  /** Those who wait here for the key, but for the one that the pool knows. */
  waiting(key: string): number {
    const at = this.#keys.get(key);
    return at === undefined ? 0 : at.waiting.size - (at.asker === null ? 0 : 1);
  }

  get allWaiting(): number {
    let sum = 0;
    for (const key of this.#keys.keys()) sum += this.waiting(key);
    return sum;
  }

  /** Whether requests may be waiting for room on a connection that stands. */
  hasOpen(key: string): boolean {
    return (this.#keys.get(key)?.open.size ?? 0) > 0;
  }

  // ---- moves

  #move(key: string, at: Shared): void {
    if (at.waiting.size === 0) return this.#forget(key, at);
    if (roomIn(at) !== null) {
      if (at.turnAsked) return;
      at.turnAsked = true;
      this.#clock.turn((batch) => {
        at.turnAsked = false;
        this.#serve(at, batch);
        this.#move(key, at);
      });
      return;
    }
    if (at.asker !== null || [...at.open].some((lease) => lease.exclusive)) return;
    const [first] = at.waiting.keys();
    if (first === undefined) return;
    at.asker = first;
    first.ask();
  }

  /** Gives out room, first come first served, to those who came before `batch` closed. */
  #serve(at: Shared, batch: number): void {
    for (const [rider, since] of at.waiting) {
      const lease = roomIn(at);
      if (lease === null || since > batch) return; // they stand in order
      at.waiting.delete(rider);
      if (at.asker === rider) {
        at.asker = null;
        rider.unask();
      }
      rider.ride(lease);
    }
  }

  #at(key: string): Shared {
    let at = this.#keys.get(key);
    if (at === undefined) {
      at = new Shared();
      this.#keys.set(key, at);
      if (this.#keys.size > KEYS_MAX) this.#forgetOldest();
    }
    return at;
  }

  #forget(key: string, at: Shared): void {
    if (at.waiting.size === 0 && at.open.size === 0 && !at.plain && !at.turnAsked && this.#keys.get(key) === at)
      this.#keys.delete(key);
  }

  #forgetOldest(): void {
    for (const [key, at] of this.#keys) {
      if (at.waiting.size > 0 || at.open.size > 0) continue;
      this.#keys.delete(key);
      return;
    }
  }
}

/** The first that takes one more: one connection is filled before the next is used, so that the others can end. */
function roomIn(at: Shared): SharedLease | null {
  for (const lease of at.open) if (lease.hasRoom) return lease;
  return null;
}
