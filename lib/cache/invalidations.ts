/**
 * Which keys were invalidated, and when: a response that was asked for before that must not be stored after it, however
 * long its body takes. Bounded: where it is no longer known, the careful answer is given.
 *
 * Owns:  the order of invalidations, counted since the cache was made.
 *
 * RFC 9111 §4.4.
 */

/** More than are likely while one body is on its way. */
const KEYS_MAX = 4096;

export class Invalidations {
  readonly #last = new Map<string, number>();
  #count = 0;
  /** Of keys that are not in the map nothing newer than this is forgotten. */
  #forgotten = 0;

  /** The point in time now, to ask `since` with. */
  get now(): number {
    return this.#count;
  }

  add(key: string): void {
    if (this.#last.size >= KEYS_MAX && !this.#last.has(key)) {
      this.#forgotten = this.#count; // all at once, as it happens seldom and costs only what is being stored now
      this.#last.clear();
    }
    this.#last.set(key, ++this.#count);
  }

  /** Whether the key was, or may have been, invalidated after that point. */
  since(key: string, point: number): boolean {
    return (this.#last.get(key) ?? this.#forgotten) > point;
  }
}
