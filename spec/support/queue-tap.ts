/**
 * Counts what passes through the queues between callers and loops, by the queues' names, and can let a queue swallow what
 * is pushed: then nothing may come out at its other end, unless something goes round it.
 *
 * A pass is an item that was pushed into a queue and taken out of the same one.
 */

import { AsyncQueue, type QueueName } from "../../lib/conn/async-queue.ts";

type AnyQueue = AsyncQueue<object>;

class QueueCount {
  pushed = 0;
  passed = 0;
  /** Bytes of the chunks that passed. */
  bytes = 0;
  /** The most bytes that waited in one queue at a time. */
  peakBytes = 0;
  /** What passed, if it is chunks. */
  readonly chunks = new WeakSet<object>();
}

export class QueueTap {
  readonly write = new QueueCount();
  readonly exchange = new QueueCount();
  readonly body = new QueueCount();
  /** A queue of this name takes items and never gives them out. */
  swallow: QueueName | null = null;
  readonly #inside = new WeakMap<object, Set<object>>();
  readonly #original = {
    push: AsyncQueue.prototype.push,
    tryTake: AsyncQueue.prototype.tryTake,
    take: AsyncQueue.prototype.take,
  };

  constructor() {
    const tap = this;
    const { push, tryTake, take } = this.#original;
    let taking = false; // take() may be made of tryTake(): its item passes once
    AsyncQueue.prototype.push = function (this: AnyQueue, item: object) {
      const count = tap[this.name];
      count.pushed++;
      if (tap.swallow === this.name) return true;
      tap.#items(this).add(item);
      const room = push.call(this, item);
      if (this.name === "body") count.peakBytes = Math.max(count.peakBytes, this.weight);
      return room;
    };
    AsyncQueue.prototype.tryTake = function (this: AnyQueue) {
      const item = tryTake.call(this) as object | undefined;
      if (!taking) tap.#took(this, item);
      return item as never;
    };
    AsyncQueue.prototype.take = function (this: AnyQueue) {
      taking = true;
      const item = take.call(this) as object | undefined | Promise<object | undefined>;
      taking = false;
      if (!(item instanceof Promise)) {
        tap.#took(this, item);
        return item as never;
      }
      return item.then((later) => {
        tap.#took(this, later);
        return later;
      }) as never;
    };
  }

  #items(queue: object): Set<object> {
    let items = this.#inside.get(queue);
    if (items === undefined) {
      items = new Set();
      this.#inside.set(queue, items);
    }
    return items;
  }

  #took(queue: AnyQueue, item: object | undefined): void {
    if (item === undefined) return;
    if (!this.#items(queue).delete(item)) throw new Error(`The ${queue.name} queue gave out what was not pushed`);
    const count = this[queue.name];
    count.passed++;
    if (item instanceof Uint8Array) {
      count.bytes += item.length;
      count.chunks.add(item);
    }
  }

  [Symbol.dispose](): void {
    Object.assign(AsyncQueue.prototype, this.#original);
  }
}
