/**
 * Who waits for one key, in order of arrival, and which of them wait without a dial. Lives as long as its key.
 *
 * Every operation is O(1); a waiter that leaves is unlinked at once, so dead ones leave no garbage.
 *
 * Invariant: all in the queue are waiting; in the second list stand exactly those whose `dial` is null.
 */

import { InvariantError } from "../errors.ts";
import { type Link, LinkedList } from "./linked-list.ts";
import type { Slot } from "./slot.ts";
import type { WantConn } from "./want-conn.ts";

export class WantQueue<C, T> {
  readonly #line = new LinkedList<WantConn<C, T>>();
  readonly #bare = new LinkedList<WantConn<C, T>>();

  get size(): number {
    return this.#line.size;
  }

  /** How many wait without a dial. */
  get bareSize(): number {
    return this.#bare.size;
  }

  get first(): WantConn<C, T> | null {
    const link = this.#line.first;
    return link === null ? null : link.item;
  }

  /** Where a walk through the queue begins; it must not change meanwhile. */
  get firstLink(): Link<WantConn<C, T>> | null {
    return this.#line.first;
  }

  get firstBare(): WantConn<C, T> | null {
    const link = this.#bare.first;
    return link === null ? null : link.item;
  }

  get lastBare(): WantConn<C, T> | null {
    const link = this.#bare.last;
    return link === null ? null : link.item;
  }

  push(want: WantConn<C, T>): void {
    this.#line.push(want.line);
    this.#bare.push(want.bare);
  }

  /** In front of all others: a request that goes again keeps its place. */
  unshift(want: WantConn<C, T>): void {
    this.#line.unshift(want.line);
    this.#bare.unshift(want.bare);
  }

  /** Takes it out; its dial, if it has one, is left with nobody and returned. */
  remove(want: WantConn<C, T>): Slot<C> | null {
    const dial = want.dial;
    this.#line.remove(want.line);
    if (dial === null) this.#bare.remove(want.bare);
    want.dial = null;
    return dial;
  }

  /** It has a dial from now on. */
  bind(want: WantConn<C, T>, dial: Slot<C>): void {
    this.#bare.remove(want.bare);
    want.dial = dial;
  }

  /** It has lost its dial. It goes before those who never had one: it came earlier than they in all but rare cases. */
  unbind(want: WantConn<C, T>): void {
    want.dial = null;
    this.#bare.unshift(want.bare);
  }

  check(): void {
    let bare = 0;
    for (const want of this.#line) {
      if (want.state !== "waiting") throw new InvariantError(`A ${want.state} want stands in the queue`);
      if (want.dial === null) bare++;
      if ((want.dial === null) !== (want.bare.list === this.#bare)) {
        throw new InvariantError("A want stands in the wrong list for its dial");
      }
    }
    if (bare !== this.#bare.size) throw new InvariantError("A want without a dial has left the queue but not the list");
  }
}
