/**
 * What the pool knows about one key: who waits, what is idle, busy and being dialed. Made with the first want or slot of
 * its key, forgotten with the last, so that a client of many origins keeps no entry for those it has left.
 *
 * Owns its lists and counts; all are written by Pool alone.
 */

import { IdleList } from "./idle-list.ts";
import { LinkedList } from "./linked-list.ts";
import type { Slot } from "./slot.ts";
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
}
