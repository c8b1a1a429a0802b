/**
 * The queue between a caller and a loop, or between a loop and a caller: bounded, first in first out, one consumer,
 * closes with a reason. A connection has two (caller → write loop, caller → read loop), a response body one
 * (read loop → caller).
 *
 * - `push` never waits. It answers whether there is room for more; a producer that is told "full" stops its source.
 * - `tryTake` and `take` make no promise when an item is already there.
 * - `sleep` is for a loop, which takes all that is there and then sleeps until there is something again. It costs less than
 *   a promise for the item, and a sleeping loop holds nothing of what it last took.
 * - What was pushed before `close` is still taken after it, in order; then every take tells the reason.
 *
 * Invariant: a waiting or sleeping consumer means an empty, open queue; so a pushed item goes either to the consumer or to
 * the list, and never past another item.
 */

import { InvariantError } from "../errors.ts";

/** What the queue between two stations is called in a state line and in the specs that count what passes. */
export type QueueName = "write" | "exchange" | "body";

/** Empty places that may stand at the front of the list before it is moved up. */
const TAKEN_MAX = 64;

/** What follows it runs in the next microtask. */
const SOON = Promise.resolve();

export class AsyncQueue<T extends object> {
  readonly name: QueueName;
  /** `full` from this weight on. */
  readonly #weightMax: number;
  readonly #weigh: (item: T) => number;

  /** The oldest item. Most queues never hold two, so the list behind it is made when there is a second. */
  #oldest: T | undefined;
  #rest: (T | undefined)[] | null = null;
  #restAt = 0;
  #weight = 0;
  #closed = false;
  #reason: unknown;
  #waiting: ((item: T | undefined) => void) | null = null;
  #sleeping: (() => void) | null = null;

  /**
   * @param weightMax `push` answers false once the items in the queue weigh this much
   * @param weigh an item's weight; 1 for each unless given
   */
  constructor(name: QueueName, weightMax: number, weigh: (item: T) => number = one) {
    this.name = name;
    this.#weightMax = weightMax;
    this.#weigh = weigh;
  }

  /** The weight of the items that nobody took yet. */
  get weight(): number {
    return this.#weight;
  }

  get full(): boolean {
    return this.#weight >= this.#weightMax;
  }

  /** True once `close` was called, whether or not items are left. */
  get closed(): boolean {
    return this.#closed;
  }

  /** True when it is closed and nothing is left to take: every further take tells `reason`. */
  get ended(): boolean {
    return this.#closed && this.#oldest === undefined;
  }

  /** What `close` was given. */
  get reason(): unknown {
    return this.#reason;
  }

  /**
   * Hands an item over.
   *
   * @returns whether there is room for more; false does not mean that this item was refused
   * @throws {InvariantError} after `close`: whoever closes a queue also stops its producer
   */
  push(item: T): boolean {
    if (this.#closed) throw new InvariantError(`Cannot push to the ${this.name} queue: closed`);
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      waiting(item);
      return true;
    }
    if (this.#oldest === undefined) this.#oldest = item;
    else if (this.#rest === null) this.#rest = [item];
    else this.#rest.push(item);
    this.#weight += this.#weigh(item);
    if (this.#sleeping !== null) this.#awake(this.#sleeping);
    return this.#weight < this.#weightMax;
  }

  /** The oldest item, or undefined when none is there; `ended` tells whether one can still come. */
  tryTake(): T | undefined {
    const item = this.#oldest;
    if (item === undefined) return undefined;
    this.#weight -= this.#weigh(item);
    this.#oldest = this.#rest === null ? undefined : this.#second(this.#rest);
    return item;
  }

  /**
   * The oldest item, or a promise of the next. Undefined means closed and empty; `reason` says why.
   *
   * @throws {InvariantError} when a take is already waiting: the queue has one consumer
   */
  take(): T | undefined | Promise<T | undefined> {
    const item = this.tryTake();
    if (item !== undefined || this.#closed) return item;
    if (this.#waiting !== null || this.#sleeping !== null)
      throw new InvariantError(`Cannot take from the ${this.name} queue: a take is waiting`);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /**
   * Calls `wake` once, in a microtask, when an item has come or the queue was closed. Nothing may be there to take.
   *
   * @param wake must not throw
   * @throws {InvariantError} when somebody waits already: the queue has one consumer
   */
  sleep(wake: () => void): void {
    if (this.#waiting !== null || this.#sleeping !== null || this.#oldest !== undefined || this.#closed) {
      throw new InvariantError(`Cannot sleep at the ${this.name} queue: it is not empty and open, or somebody waits`);
    }
    this.#sleeping = wake;
  }

  #awake(wake: () => void): void {
    this.#sleeping = null;
    void SOON.then(wake);
  }

  /** No more items will come. The first reason stands. */
  close(reason: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = reason;
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      waiting(undefined);
    }
    if (this.#sleeping !== null) this.#awake(this.#sleeping);
  }

  /** Drops what nobody took, and returns its weight. */
  clear(): number {
    const dropped = this.#weight;
    this.#oldest = undefined;
    this.#rest = null;
    this.#restAt = 0;
    this.#weight = 0;
    return dropped;
  }

  /** Takes the item behind the oldest out of the list. What was taken is not kept, however long the list lives. */
  #second(rest: (T | undefined)[]): T | undefined {
    const item = rest[this.#restAt];
    rest[this.#restAt++] = undefined;
    if (this.#restAt === rest.length) {
      this.#rest = null;
      this.#restAt = 0;
    } else if (this.#restAt === TAKEN_MAX) {
      rest.splice(0, TAKEN_MAX);
      this.#restAt = 0;
    }
    return item;
  }
}

function one(): number {
  return 1;
}
