/** Encoded bodies for specs, made by node:zlib, and sources that give them in pieces. */

import * as zlib from "node:zlib";
import { acceptEncoding } from "../../lib/message/decode.ts";
import type { BodySource } from "../../lib/message/response-body.ts";

/** What the types of Node 20 do not know; undefined where Node has no zstd. */
const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Uint8Array) => Buffer };

/** Node has it, and it was not found wanting. */
export const hasZstd = acceptEncoding().includes("zstd");

/** Encoders by the word of Content-Encoding; `raw` is what some send as deflate. */
export const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Buffer>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  raw: (bytes) => zlib.deflateRawSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
  ...(zstdCompressSync !== undefined && hasZstd ? { zstd: zstdCompressSync } : {}),
};

/** As `Content-Encoding: first, second` has it: the first is applied first. */
export function encode(bytes: Uint8Array | string, ...codings: string[]): Buffer {
  return codings.reduce<Buffer>((data, coding) => {
    const encoder = ENCODERS[coding];
    if (encoder === undefined) throw new Error(`No encoder for ${coding}`);
    return encoder(data);
  }, Buffer.from(bytes));
}

/** A source that gives what it is given when it is given it, and counts what becomes of it. */
export class FedSource implements BodySource {
  readonly length: number | null;
  readonly #queue: (Uint8Array | null | { readonly error: unknown })[] = [];
  #wake: (() => void) | null = null;
  closes = 0;
  /** Chunks taken. */
  taken = 0;
  #asked: (() => void) | null = null;
  #waits = false;

  constructor(length: number | null = null) {
    this.length = length;
  }

  /** Resolves when somebody waits for what is not there yet. */
  async asked(): Promise<void> {
    if (this.#waits) return;
    await new Promise<void>((resolve) => {
      this.#asked = resolve;
    });
  }

  give(chunk: Uint8Array): this {
    return this.#put(new Uint8Array(chunk));
  }
  end(): this {
    return this.#put(null);
  }
  fail(error: unknown): this {
    return this.#put({ error });
  }

  #put(item: Uint8Array | null | { readonly error: unknown }): this {
    this.#queue.push(item);
    this.#wake?.();
    this.#wake = null;
    return this;
  }

  tryRead(): Uint8Array | null | undefined {
    const [next] = this.#queue;
    if (next === undefined || next === null) return next;
    if (!(next instanceof Uint8Array)) throw next.error;
    this.#queue.shift();
    this.taken++;
    return next;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const now = this.tryRead();
      if (now !== undefined) return now;
      this.#waits = true;
      this.#asked?.();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#waits = false;
    }
  }

  close(): void {
    this.closes++;
  }
}

/** All at once, or in pieces of `size` bytes, with its end. */
export function whole(bytes: Uint8Array, size = bytes.length || 1, length: number | null = null): FedSource {
  const source = new FedSource(length);
  for (let at = 0; at < bytes.length; at += size) source.give(bytes.subarray(at, at + size));
  return source.end();
}
