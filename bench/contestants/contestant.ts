/**
 * What a contestant is to the worker, and what nearly all of them share: the loop, the bodies, and the peers' modules.
 */
import { Readable } from "node:stream";
import type { Target } from "../support/protocol.ts";

export interface Contestant {
  /**
   * Sends `count` requests, `workers` at once, and checks the length of each answer.
   *
   * @param workers as many as the target says, unless it is given
   * @param times takes how long each request took, in ms: from the end of the one before it, of the same worker
   * @throws when an answer has another length than the target says
   */
  run(count: number, times: Float64Array, workers?: number): Promise<void>;
  /** Gives the connections up. Only what growth is measured with has it; other processes just exit. */
  close?(): void;
}

/** Each file of contestants/ exports one, by the name `open`. */
export type Open = (target: Target) => Contestant | Promise<Contestant>;

/**
 * A peer's module. By a name that the compiler does not follow: the peers are installed in bench/ only, and the types of
 * the whole project are checked without them. Each contestant says what of it it uses.
 */
export function peer<T>(name: string): Promise<T> {
  return import(name) as Promise<T>; // the one place where a peer's shape is taken on trust: the bench runs it
}

/** The request body of the scenarios that post; made once, so that nobody's making of it is measured. */
export function requestBody(target: Target): Buffer {
  return Buffer.alloc(target.requestBytes, "y");
}

/** Of one piece of a streamed request body. */
export const PIECE_BYTES = 64 * 1024;
const piece = Buffer.alloc(PIECE_BYTES, "y");

/** A request body that is made while it goes out; nobody knows its length before. */
export async function* pieces(bytes: number): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    yield left >= PIECE_BYTES ? piece : piece.subarray(0, left);
  }
}

/** The same for who wants a Node stream. */
export function pieceStream(bytes: number): Readable {
  return Readable.from(pieces(bytes), { objectMode: false });
}

export async function countBytes(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.byteLength;
  return bytes;
}

/** What the responder's JSON says of its own length. */
export function bytesOfJson(value: unknown): number {
  return (value as { bytes: number }).bytes; // the responder's own object; another would have the wrong length
}

/** A contestant whose every request is one promise for the length of the body it received. */
export function awaiting(target: Target, send: () => Promise<number>, close?: () => void): Contestant {
  const expected = target.method === "HEAD" ? 0 : target.responseBytes;
  return {
    async run(count, times, workers = target.workers) {
      let started = 0;
      const work = async () => {
        let last = performance.now();
        while (started < count) {
          const index = started++;
          const length = await send();
          if (length !== expected) throw wrongLength(length, expected);
          const now = performance.now();
          times[index] = now - last;
          last = now;
        }
      };
      await Promise.all(Array.from({ length: Math.min(workers, count) }, work));
    },
    ...(close === undefined ? {} : { close }),
  };
}

export function wrongLength(received: number, expected: number): Error {
  return new Error(`response has the wrong length: received ${received} bytes, expected ${expected}`);
}

/** Every limit of time that the contestants are given where a scenario asks for them: far away, so that none ends a call. */
export const LIMIT_MS = 60_000;
