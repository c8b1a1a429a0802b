/**
 * A doubly linked list whose links live inside their items, so that whoever holds an item takes it out in O(1), and an
 * item that was taken out leaves nothing behind (a cancelled waiter no garbage, a dead connection no hole).
 *
 * Lives as long as its owner. Never holds an item twice: a link is in one list or in none, and a second insertion or a
 * removal from a list that it is not in throws.
 */

import { InvariantError } from "../errors.ts";

/** The place of one item in at most one list. An item that stands in several lists at once has one link for each. */
export class Link<T> {
  readonly item: T;
  list: LinkedList<T> | null = null;
  prev: Link<T> | null = null;
  next: Link<T> | null = null;

  constructor(item: T) {
    this.item = item;
  }
}

export class LinkedList<T> {
  first: Link<T> | null = null;
  last: Link<T> | null = null;
  size = 0;

  /** Adds at the end. */
  push(link: Link<T>): void {
    this.#adopt(link);
    const last = this.last;
    link.prev = last;
    if (last === null) this.first = link;
    else last.next = link;
    this.last = link;
  }

  /** Adds at the front. */
  unshift(link: Link<T>): void {
    this.#adopt(link);
    const first = this.first;
    link.next = first;
    if (first === null) this.last = link;
    else first.prev = link;
    this.first = link;
  }

  remove(link: Link<T>): void {
    if (link.list !== this) throw new InvariantError("Cannot take an item out of a list: it is not in it");
    const { prev, next } = link;
    if (prev === null) this.first = next;
    else prev.next = next;
    if (next === null) this.last = prev;
    else next.prev = prev;
    link.list = null;
    link.prev = null;
    link.next = null;
    this.size--;
  }

  /** From first to last. The list must not change meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    for (let at = this.first; at !== null; at = at.next) yield at.item;
  }

  #adopt(link: Link<T>): void {
    if (link.list !== null) throw new InvariantError("Cannot add an item to a list: it is in one already");
    link.list = this;
    this.size++;
  }
}
