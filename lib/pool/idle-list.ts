/**
 * The idle connections of one key: last in, first out. Lives as long as its key; shares one LRU list with all other keys.
 *
 * The most recently used connection is the one least likely to be dead, and leaving the others alone lets them grow old
 * and go. What is evicted when all keys together hold too many is the least recently used of all of them.
 *
 * Invariant: from bottom to top, `idleBatch` never falls; each of ours is `idle`, here and in the LRU, and nowhere else.
 */

import { InvariantError } from "../errors.ts";
import { type Link, LinkedList } from "./linked-list.ts";
import type { Slot } from "./slot.ts";

export class IdleList<C> {
  readonly #slots = new LinkedList<Slot<C>>();
  readonly #lru: LinkedList<Slot<C>>;
  // Where the search of one turn has come to. Those above it are too young for this turn, so that a turn that hands out
  // many connections passes each of them once and not once for each hand-out.
  #cursor: Link<Slot<C>> | null = null;
  #cursorBatch = -1;

  /** @param lru the list of all idle connections of all keys, oldest first */
  constructor(lru: LinkedList<Slot<C>>) {
    this.#lru = lru;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The most recently added; null when there is none. */
  get top(): Slot<C> | null {
    return this.#slots.last === null ? null : this.#slots.last.item;
  }

  /** The one that has been idle longest; null when there is none. */
  get bottom(): Slot<C> | null {
    return this.#slots.first === null ? null : this.#slots.first.item;
  }

  push(slot: Slot<C>): void {
    this.#slots.push(slot.place);
    this.#lru.push(slot.side);
  }

  remove(slot: Slot<C>): void {
    if (this.#cursor === slot.place) this.#cursor = slot.place.prev;
    this.#slots.remove(slot.place);
    this.#lru.remove(slot.side);
  }

  /** Takes the most recently used one that was idle before `batch` closed, so that a poll has looked at it since. */
  take(batch: number): Slot<C> | null {
    let at = this.#cursorBatch === batch && this.#cursor !== null ? this.#cursor : this.#slots.last;
    while (at !== null && at.item.idleBatch > batch) at = at.prev;
    this.#cursor = at;
    this.#cursorBatch = batch;
    if (at === null) return null;
    this.remove(at.item);
    return at.item;
  }

  /** Throws where the invariant does not hold. */
  check(): void {
    let batch = Number.NEGATIVE_INFINITY;
    for (const slot of this.#slots) {
      if (slot.state !== "idle") throw new InvariantError(`A ${slot.state} slot stands among the idle ones`);
      if (slot.side.list !== this.#lru) throw new InvariantError("An idle slot is missing in the LRU");
      if (slot.idleBatch < batch) throw new InvariantError("The idle slots are out of order");
      batch = slot.idleBatch;
    }
  }
}
