/**
 * The body bytes of one round of the read loop: spans of the lent bytes, cut by the framing of chunks, that become one
 * chunk of the reader's. A server that writes chunks of a few bytes costs a copy each round, not one each chunk.
 *
 * Never: outlives the round, or changes what is lent.
 */

import { expectMemory } from "../message/body-memory.ts";

export class RoundBody {
  /** From and to, in turn: the first span, which is mostly the only one, and those behind it. */
  #from = 0;
  #to = 0;
  #more: number[] | null = null;

  add(from: number, to: number): void {
    if (this.#to === 0) {
      this.#from = from;
      this.#to = to;
    } else if (this.#more === null) this.#more = [from, to];
    else this.#more.push(from, to);
  }

  /** What was added, as bytes that are the taker's alone; null where there is nothing. Begins anew. */
  take(view: Uint8Array): Uint8Array | null {
    const from = this.#from;
    const to = this.#to;
    if (to === 0) return null;
    this.#from = 0;
    this.#to = 0;
    if (this.#more !== null) return this.#joined(view, from, to, this.#more);
    expectMemory(to - from);
    return copyOf(view, from, to);
  }

  #joined(view: Uint8Array, from: number, to: number, more: readonly number[]): Uint8Array {
    this.#more = null;
    let length = to - from;
    for (let i = 0; i < more.length; i += 2) length += more[i + 1]! - more[i]!; // they come in pairs
    expectMemory(length);
    const all = new Uint8Array(length);
    all.set(view.subarray(from, to));
    let at = to - from;
    for (let i = 0; i < more.length; i += 2) {
      const span = view.subarray(more[i], more[i + 1]);
      all.set(span, at);
      at += span.length;
    }
    return all;
  }
}

/** A plain Uint8Array with a buffer of its own, whatever is lent: `slice` of a Buffer would be a view, and a Buffer. */
export function copyOf(view: Uint8Array, start: number, end: number): Uint8Array {
  if (view.constructor === Uint8Array) return view.slice(start, end);
  return new Uint8Array(view.subarray(start, end));
}
