/**
 * One sending of a request body, chunk by chunk: what the write loop reads from. Made by `RequestBody.open()`; over when
 * it said null, failed, or was destroyed.
 *
 * Owns:  the caller's stream or iterator from `open()` on. It is read to its end or destroyed, exactly once.
 * Never: reads after `destroy()`; lets an error of the clean-up become an unhandled rejection.
 */

import { AsyncResource } from "node:async_hooks";
import { kindOf } from "./options.ts";

export interface BodyReader {
  /** Bytes, or null when only the end will tell. */
  readonly length: number | null;
  /**
   * The whole body where it is in memory; a string only when it is pure ASCII, so that head and body can go out as one
   * latin1 string. Bytes are the caller's, not a copy.
   */
  readonly memory: Uint8Array | string | null;
  /**
   * The next chunk, never empty; null at the end. Rejects with the source's own error, with a TypeError for a chunk that
   * is neither string nor bytes, and, when destroyed meanwhile or before, with the reason of that. One call at a time.
   */
  next(): Promise<Uint8Array | null>;
  /**
   * No more is wanted. Idempotent; after the end it does nothing. A stream is destroyed, a web stream cancelled, an
   * iterator returned.
   */
  destroy(reason?: unknown): void;
}

/** Where chunks come from, in the caller's own words. `destroy` is called at most once, and never after an end or error. */
export interface ChunkSource {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  destroy(reason: unknown): void;
}

/** A body in memory is one chunk. */
export class MemoryReader implements BodyReader {
  readonly length: number;
  readonly memory: Uint8Array | string;
  #left: boolean;

  constructor(memory: Uint8Array | string) {
    this.memory = memory;
    this.length = memory.length; // a string is ASCII, so it has as many bytes as characters
    this.#left = memory.length > 0;
  }

  async next(): Promise<Uint8Array | null> {
    if (!this.#left) return null;
    this.#left = false;
    return typeof this.memory === "string" ? Buffer.from(this.memory, "latin1") : this.memory;
  }

  destroy(): void {
    this.#left = false;
  }
}

/** A body that the caller's code gives: it runs in the async context of the call that opened it. */
export class SourceReader implements BodyReader {
  readonly length: number | null;
  readonly memory = null;
  readonly #scope = new AsyncResource("persistconn.body");
  #state: "open" | "ended" | { readonly reason: unknown } = "open";
  #source: ChunkSource;
  /** The read under way, to be ended by `destroy`: a source that never answers would hold the writer for ever. */
  #pending: { readonly promise: Promise<Uint8Array | null>; readonly reject: (reason: unknown) => void } | null = null;

  /** @param open called at once, in the context of the caller */
  constructor(length: number | null, open: () => ChunkSource) {
    this.length = length;
    this.#source = open();
  }

  next(): Promise<Uint8Array | null> {
    if (this.#state === "ended") return Promise.resolve(null);
    if (this.#state !== "open") return Promise.reject(this.#state.reason);
    let settle!: { resolve: (chunk: Uint8Array | null) => void; reject: (reason: unknown) => void }; // set by the executor
    const promise = new Promise<Uint8Array | null>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#pending = { promise, reject: settle.reject };
    this.#scope.runInAsyncScope(this.#pull, this, settle.resolve);
    return promise;
  }

  destroy(reason?: unknown): void {
    if (this.#state !== "open") return;
    const why = reason ?? new Error("Request body was destroyed");
    this.#state = { reason: why };
    const pending = this.#pending;
    this.#pending = null;
    if (pending !== null) {
      pending.promise.catch(ignore); // whoever destroys a body may have left its read
      pending.reject(why);
    }
    this.#scope.runInAsyncScope(this.#dispose, this, why);
  }

  /** Asks for chunks until one has bytes: an empty one would end a chunked body (RFC 9112 §7.1). */
  async #pull(resolve: (chunk: Uint8Array | null) => void): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#source.next();
        if (this.#state !== "open") return;
        if (done) {
          this.#state = "ended";
          break;
        }
        let chunk: Uint8Array;
        try {
          chunk = toBytes(value);
        } catch (error) {
          this.destroy(error); // the source is well and does not know: it must be told
          return;
        }
        if (chunk.length === 0) continue;
        this.#pending = null;
        resolve(chunk);
        return;
      }
      this.#pending = null;
      resolve(null);
    } catch (error) {
      if (this.#state !== "open") return;
      this.#state = { reason: error };
      this.#pending?.reject(error);
      this.#pending = null;
    }
  }

  #dispose(reason: unknown): void {
    try {
      this.#source.destroy(reason);
    } catch {
      // The body is given up already, for a reason of its own; what its clean-up says cannot change that.
    }
  }
}

/**
 * The bytes of one chunk, uncopied where it has bytes; strings are UTF-8.
 *
 * @throws {TypeError} it is neither a string nor bytes
 */
export function toBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === "string") return Buffer.from(chunk, "utf8");
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (isArrayBuffer(chunk)) return new Uint8Array(chunk);
  throw new TypeError(`A request body must be made of strings and bytes: a chunk of it is ${kindOf(chunk)}`);
}

/** By tag, so that one of another realm counts too. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return kindOf(value) === "ArrayBuffer" && typeof (value as ArrayBuffer).byteLength === "number";
}

export function ignore(): void {}
