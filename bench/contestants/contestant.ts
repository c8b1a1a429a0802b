/**
 * What a contestant is to the worker, and the loop that nearly all of them share.
 */
import type { Target } from "../support/protocol.ts";

export interface Contestant {
  /**
   * Sends `count` requests, `target.workers` at once, and checks the length of each answer.
   *
   * @param ends where a single worker notes the time at which each request ended; null where several run
   * @throws when an answer has another length than the target says
   */
  run(count: number, ends: Float64Array | null): Promise<void>;
}

/** Each file of contestants/ exports one, by the name `open`. */
export type Open = (target: Target) => Contestant | Promise<Contestant>;

/** The request body of the scenarios that post; made once, so that nobody's making of it is measured. */
export function requestBody(target: Target): Buffer {
  return Buffer.alloc(target.requestBytes, "y");
}

/** A contestant whose every request is one promise for the length of the body it received. */
export function awaiting(target: Target, send: () => Promise<number>): Contestant {
  return {
    async run(count, ends) {
      let started = 0;
      const work = async () => {
        while (started < count) {
          const index = started++;
          const length = await send();
          if (length !== target.responseBytes) throw wrongLength(length, target.responseBytes);
          if (ends !== null) ends[index] = performance.now();
        }
      };
      await Promise.all(Array.from({ length: target.workers }, work));
    },
  };
}

export function wrongLength(received: number, expected: number): Error {
  return new Error(`response has the wrong length: received ${received} bytes, expected ${expected}`);
}
