/**
 * What the pool knows about one key: who waits, what is idle, busy and being dialed. Made with the first want or slot of
 * its key, forgotten with the last, so that a client of many origins keeps no entry for those it has left.
 *
 * Owns its lists and counts; all are written by Pool alone.
 */

import { InvariantError } from "../errors.ts";
import { IdleList } from "./idle-list.ts";
import { LinkedList } from "./linked-list.ts";
import type { PoolLimits } from "./pool-hooks.ts";
import type { Slot } from "./slot.ts";
import type { WantConn } from "./want-conn.ts";
import { WantQueue } from "./want-queue.ts";

export class PerKey<C, T> {
  readonly key: string;
  /** Those who take whatever comes first. */
  readonly wants = new WantQueue<C, T>();
  /** Those who take only a connection dialed for them. */
  readonly freshWants = new WantQueue<C, T>();
  readonly idle: IdleList<C>;
  /** Lent connections, in the order in which they were given out: the first is out longest. */
  readonly busy = new LinkedList<Slot<C>>();
  /** Those of them that may have room for one more request behind theirs: who was given one last stands last. */
  readonly roomy = new LinkedList<Slot<C>>();
  /** Dials in progress, bound or not. */
  dialing = 0;
  /** Dials whose want was served by an idle connection: losers of the race, on their way to the pool. */
  readonly spare = new LinkedList<Slot<C>>();
  /** Dials whose want was cancelled. */
  readonly detached = new LinkedList<Slot<C>>();
  /** Idle connections that those in `wants` will take at the next turn; limits on idle ones do not count them. */
  claimed = 0;
  /** The last batch for which a turn was asked. */
  askedBatch = -1;
  /** The last batch whose turn has ended. */
  endedBatch = -1;
  /** The end of a turn; one function for all turns of this key. */
  readonly fire: (batch: number) => void;

  constructor(key: string, lru: LinkedList<Slot<C>>, fire: (perKey: PerKey<C, T>, batch: number) => void) {
    this.key = key;
    this.idle = new IdleList(lru);
    this.fire = (batch) => fire(this, batch);
  }

  get slots(): number {
    return this.dialing + this.idle.size + this.busy.size;
  }

  get waiting(): number {
    return this.wants.size + this.freshWants.size;
  }

  /** A dial that nobody is bound to, the one left last; null when there is none. */
  get loose(): Slot<C> | null {
    const link = this.detached.last ?? this.spare.last;
    return link === null ? null : link.item;
  }

  /** Dials that somebody counts on. */
  get bound(): number {
    return this.waiting - this.wants.bareSize - this.freshWants.bareSize;
  }

  slotIsFree({ maxConnsPerHost }: PoolLimits): boolean {
    return maxConnsPerHost === 0 || this.slots < maxConnsPerHost;
  }

  /**
   * Who is next to be sent behind another: the first who has nothing else to come, where all slots are taken and none is
   * idle. One that cannot follow lets nobody past: connections would never come back for it.
   */
  nextFollower({ maxConnsPerHost }: PoolLimits): WantConn<C, T> | null {
    if (this.roomy.size === 0 || this.idle.size > 0 || this.freshWants.bareSize > 0) return null;
    if (maxConnsPerHost === 0 || this.slots < maxConnsPerHost) return null;
    const want = this.wants.firstBare;
    return want?.canFollow === true ? want : null;
  }

  /** Throws where a part of Pool's invariant that is about one key does not hold. */
  check(limits: PoolLimits, closeIdle: boolean): void {
    this.wants.check();
    this.freshWants.check();
    this.idle.check();
    const starved = this.wants.bareSize > this.idle.size;
    const freshStarved = this.freshWants.bareSize > 0;
    const following = this.nextFollower(limits) !== null;
    const standing = this.wants.size > 0 && this.idle.size > 0;
    const rules: [rule: string, holds: boolean][] = [
      ["a key without slot and want has no entry", this.slots > 0 || this.waiting > 0],
      ["slots ≤ maxConnsPerHost", limits.maxConnsPerHost === 0 || this.slots <= limits.maxConnsPerHost],
      ["a dial is bound, spare or detached", this.dialing === this.bound + this.spare.size + this.detached.size],
      ["who lacks a dial finds no slot free", (!starved && !freshStarved) || !this.slotIsFree(limits)],
      ["who lacks a dial finds none unbound", !starved || this.loose === null],
      ["who takes no idle connection finds none to close", !freshStarved || this.idle.size === 0],
      ["where some wait and some are idle, a turn was asked", !standing || this.askedBatch > this.endedBatch],
      ["who may follow another has asked a turn", !following || this.askedBatch > this.endedBatch],
      ["idle ≤ maxIdleConnsPerHost + takers", this.idle.size <= limits.maxIdleConnsPerHost + this.wants.size],
      ["claimed = min(idle, takers)", this.claimed === Math.min(this.idle.size, this.wants.size)],
      ["closeIdle() leaves none idle", !closeIdle || this.waiting > 0 || this.idle.size === 0],
      ["what is lent is busy", [...this.busy, ...this.roomy].every((slot) => slot.state === "busy")],
    ];
    for (const [rule, holds] of rules) if (!holds) throw new InvariantError(`The pool breaks its rule: ${rule}`);
  }
}
