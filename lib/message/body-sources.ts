/**
 * What callers give as a body that flows, each as a ChunkSource: Node streams, web streams, iterators, the parts of a
 * multipart body, and factories of any of these. Recognised by shape or tag: naming the platform's classes would load
 * undici.
 */

import type { Readable } from "node:stream";
import type { ChunkSource } from "./body-reader.ts";
import { ignore } from "./body-reader.ts";
import { kindOf } from "./options.ts";

/** What we use of a Node Readable. */
export interface NodeStreamLike {
  read(size?: number): unknown;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  removeListener(event: string, listener: (...args: unknown[]) => void): unknown;
  pipe(...args: never[]): unknown;
  destroy?(error?: Error): unknown;
  readonly destroyed?: boolean;
  readonly readableEnded?: boolean;
  readonly readableDidRead?: boolean;
  readonly errored?: Error | null;
}

/** What we use of a web ReadableStream. */
export interface WebStreamLike {
  readonly locked: boolean;
  getReader(): {
    read(): Promise<{ done: boolean; value?: unknown }>;
    cancel(reason?: unknown): Promise<void>;
  };
}

/** What we use of a Blob or File. */
export interface BlobLike {
  readonly size: number;
  readonly type: string;
  slice(start?: number, end?: number): BlobLike;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export function isNodeStream(value: object): value is NodeStreamLike {
  const { read, on, pipe } = value as Partial<NodeStreamLike>;
  return typeof read === "function" && typeof on === "function" && typeof pipe === "function";
}

export function isWebStream(value: object): value is WebStreamLike {
  return kindOf(value) === "ReadableStream" && typeof (value as Partial<WebStreamLike>).getReader === "function";
}

export function isBlob(value: object): value is BlobLike {
  const tag = kindOf(value);
  return (tag === "Blob" || tag === "File") && typeof (value as Partial<BlobLike>).arrayBuffer === "function";
}

/** Why a stream cannot be sent whole any more; null when it can. */
export function spentBecause(stream: NodeStreamLike | WebStreamLike): string | null {
  if (!isNodeStream(stream)) {
    if (stream.locked) return "the stream is locked to another reader";
    // Web streams do not say in public whether they were read from; Node knows, though its types speak of its own only.
    return process.getBuiltinModule("node:stream").Readable.isDisturbed(stream as unknown as Readable)
      ? "the stream was read from before"
      : null;
  }
  if (stream.readableEnded) return "the stream has ended";
  if (stream.destroyed) return "the stream is destroyed";
  return stream.readableDidRead ? "the stream was read from before" : null;
}

/**
 * A Node Readable, pulled by `read()`. Not by its async iterator: that listens only from the first `next` on, and an
 * error between the call and that (a file that is not there, while we dial) would be an uncaught exception.
 */
export class NodeStreamSource implements ChunkSource {
  readonly #stream: NodeStreamLike;
  #failure: { readonly error: unknown } | null = null;
  #ended = false;
  #closed = false;
  #wake: (() => void) | null = null;

  readonly #onReadable = (): void => this.#wakeUp();
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wakeUp();
  };
  readonly #onClose = (): void => {
    this.#closed = true;
    this.#wakeUp();
  };

  constructor(stream: NodeStreamLike) {
    this.#stream = stream;
    // Stays for good: what a stream says after it was destroyed must not end the process.
    stream.on("error", (error) => {
      this.#failure ??= { error };
      this.#wakeUp();
    });
    stream.on("end", this.#onEnd);
    stream.on("close", this.#onClose);
    stream.on("readable", this.#onReadable);
  }

  async next(): Promise<{ done: boolean; value?: unknown }> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      const chunk = this.#stream.read();
      if (chunk !== null && chunk !== undefined) return { done: false, value: chunk };
      if (this.#ended) {
        this.#detach();
        return { done: true };
      }
      if (this.#closed) {
        throw Object.assign(new Error("Cannot read request body: its stream was closed before its end"), {
          code: "ERR_STREAM_PREMATURE_CLOSE",
        });
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  destroy(reason: unknown): void {
    this.#detach();
    this.#stream.destroy?.(reason instanceof Error ? reason : undefined);
  }

  #detach(): void {
    this.#stream.removeListener("end", this.#onEnd);
    this.#stream.removeListener("close", this.#onClose);
    this.#stream.removeListener("readable", this.#onReadable);
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

export class WebStreamSource implements ChunkSource {
  readonly #reader: ReturnType<WebStreamLike["getReader"]>;
  constructor(stream: WebStreamLike) {
    this.#reader = stream.getReader();
  }
  next(): Promise<{ done: boolean; value?: unknown }> {
    return this.#reader.read();
  }
  destroy(reason: unknown): void {
    this.#reader.cancel(reason).catch(ignore);
  }
}

/** An iterator, async or not. One that threw or ended is not returned, as `for await` has it. */
export class IteratorSource implements ChunkSource {
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>;
  constructor(iterable: AsyncIterable<unknown> | Iterable<unknown>) {
    this.#iterator = Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
  }
  async next(): Promise<{ done?: boolean | undefined; value?: unknown }> {
    const { done, value } = await this.#iterator.next();
    return { done, value: done ? undefined : await value };
  }
  destroy(): void {
    Promise.resolve(this.#iterator.return?.()).catch(ignore);
  }
}

/** Read from a Blob at a time: it may be a file on disk. */
const BLOB_SLICE_BYTES = 256 * 1024;

/** Bytes and Blobs, one after the other. */
export class PartsSource implements ChunkSource {
  readonly #parts: readonly (Uint8Array | BlobLike)[];
  #part = 0;
  #offset = 0;
  constructor(parts: readonly (Uint8Array | BlobLike)[]) {
    this.#parts = parts;
  }
  async next(): Promise<{ done: boolean; value?: unknown }> {
    for (;;) {
      const part = this.#parts[this.#part];
      if (part === undefined) return { done: true };
      if (part instanceof Uint8Array) {
        this.#part++;
        return { done: false, value: part };
      }
      const start = this.#offset;
      if (start >= part.size) {
        this.#part++;
        this.#offset = 0;
        continue;
      }
      this.#offset = Math.min(start + BLOB_SLICE_BYTES, part.size);
      return { done: false, value: await part.slice(start, this.#offset).arrayBuffer() };
    }
  }
  destroy(): void {
    this.#part = this.#parts.length;
  }
}

/** A body made anew for each sending, when its first byte is asked for. */
export class FactorySource implements ChunkSource {
  readonly #make: () => Promise<ChunkSource>;
  #made: Promise<ChunkSource> | null = null;
  #destroyed = false;
  constructor(make: () => Promise<ChunkSource>) {
    this.#make = make;
  }
  async next(): Promise<{ done?: boolean | undefined; value?: unknown }> {
    this.#made ??= this.#make();
    const source = await this.#made;
    return this.#destroyed ? { done: true } : source.next();
  }
  destroy(reason: unknown): void {
    this.#destroyed = true;
    // One that is still being made is destroyed when it is there.
    this.#made?.then((source) => source.destroy(reason)).catch(ignore);
  }
}
