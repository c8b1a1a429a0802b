/**
 * One listener per AbortSignal, however many requests share it. A signal of a whole program may be given to thousands
 * of calls at once: a listener for each costs more than the call's own bookkeeping, and the eleventh warns on Node 20.
 *
 * A fan holds the subscribers of one signal as a linked list, so that leaving costs the same wherever one stands. It
 * lives from the first subscriber to the last: then its listener is removed, and nothing is left on the signal.
 */

import { throwLater } from "./boundary.ts";

/** What is used of an AbortSignal; any object of this shape serves. */
export type SignalLike = Pick<AbortSignal, "aborted" | "reason" | "addEventListener" | "removeEventListener">;

const fans = new WeakMap<SignalLike, Fan>();

/**
 * Calls `fn` once when `signal` is aborted; subscribers are called in the order in which they came, and what one throws
 * stops no other. Whether the signal is aborted already is the caller's to look at: then `fn` is never called.
 *
 * @returns what takes `fn` off again; idempotent, and harmless after the abort
 */
export function onAbort(signal: SignalLike, fn: () => void): () => void {
  let fan = fans.get(signal);
  if (fan === undefined) {
    fan = new Fan(signal);
    fans.set(signal, fan);
  }
  return fan.add(fn);
}

/** Whether `value` can be used as an AbortSignal. By shape: signals of other realms and of polyfills are as good. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== "object" || value === null) return false;
  const signal = value as Partial<AbortSignal>; // each field is looked at below
  return (
    typeof signal.aborted === "boolean" &&
    typeof signal.addEventListener === "function" &&
    typeof signal.removeEventListener === "function"
  );
}

interface Subscriber {
  fn: (() => void) | null;
  previous: Subscriber | null;
  next: Subscriber | null;
}

class Fan {
  readonly #signal: SignalLike;
  #first: Subscriber | null = null;
  #last: Subscriber | null = null;

  constructor(signal: SignalLike) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#aborted);
  }

  add(fn: () => void): () => void {
    const subscriber: Subscriber = { fn, previous: this.#last, next: null };
    if (this.#last === null) this.#first = subscriber;
    else this.#last.next = subscriber;
    this.#last = subscriber;
    return () => {
      if (subscriber.fn === null) return;
      this.#remove(subscriber);
      if (this.#first === null) this.#close();
    };
  }

  #remove(subscriber: Subscriber): void {
    subscriber.fn = null;
    const { previous, next } = subscriber;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
  }

  #close(): void {
    this.#signal.removeEventListener("abort", this.#aborted);
    fans.delete(this.#signal);
  }

  /** Takes the first until none is left, so that a subscriber may take itself or any other off meanwhile. */
  readonly #aborted = (): void => {
    this.#close();
    for (let first = this.#first; first !== null; first = this.#first) {
      const { fn } = first;
      this.#remove(first);
      try {
        fn?.();
      } catch (error) {
        throwLater(error);
      }
    }
  };
}
