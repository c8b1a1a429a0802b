/**
 * The queue between a caller and a loop: an item that goes in and out again, a burst, and one that is waited for.
 */
import { EventEmitter } from "node:events";
import type { AsyncQueue as QueueOf } from "../../lib/conn/async-queue.ts";
import { compare, ours } from "./compare.ts";

const { AsyncQueue } = await ours<{ AsyncQueue: typeof QueueOf }>("conn/async-queue.js");
const item = { it: "em" };
const queue = new AsyncQueue<object>("write", 1_000);
const plain: object[] = [];
const emitter = new EventEmitter();
let heard: object | null = null;
emitter.on("item", (it: object) => {
  heard = it;
});

await compare("queue: one in, one out", {
  AsyncQueue: () => {
    queue.push(item);
    return queue.tryTake();
  },
  "array, push and shift": () => {
    plain.push(item);
    return plain.shift();
  },
  "EventEmitter.emit": () => {
    emitter.emit("item", item);
    return heard;
  },
});

const BURST = 64;
await compare(`queue: ${BURST} in, ${BURST} out`, {
  AsyncQueue: () => {
    for (let i = 0; i < BURST; i++) queue.push(item);
    for (let i = 0; i < BURST; i++) queue.tryTake();
  },
  "array, push and shift": () => {
    for (let i = 0; i < BURST; i++) plain.push(item);
    for (let i = 0; i < BURST; i++) plain.shift();
  },
});

const sleeper = new AsyncQueue<object>("write", 1_000);
const taker = new AsyncQueue<object>("write", 1_000);
await compare("queue: a consumer that waits is woken", {
  "AsyncQueue, sleep": () =>
    new Promise((resolve) => {
      sleeper.sleep(() => resolve(sleeper.tryTake()));
      sleeper.push(item);
    }),
  "AsyncQueue, take": () => {
    const next = taker.take();
    taker.push(item);
    return next;
  },
  "EventEmitter, once": () =>
    new Promise((resolve) => {
      emitter.once("next", resolve);
      emitter.emit("next", item);
    }),
});
