/**
 * What stands behind the answers of a cache: one from the store, or one of the network with a field more. Both are as
 * good as what a transport gives.
 */

import { IncompleteBodyError } from "../errors.ts";
import { type FieldLines, PairLines } from "../message/headers.ts";
import { NOTHING } from "../message/made-response.ts";
import type { Request } from "../message/request.ts";
import { type Response, responseOf } from "../message/response.ts";
import type { ConnectionInfo, Framing, ResponseBacking } from "../message/response-backing.ts";
import type { BodySource } from "../message/response-body.ts";
import type { Timings } from "../message/timings.ts";
import type { Patience } from "../patience.ts";
import { type GuardedStore, quietly } from "./guarded-store.ts";
import type { StoredBody, StoredResponse } from "./store.ts";

type Pair = readonly [name: string, value: string];

interface MadeAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: "1.0" | "1.1" | "2";
  readonly fields: readonly Pair[];
  readonly decompressed: boolean;
  /** null where there is none: HEAD, 204, 304. */
  readonly body: BodySource | null;
  readonly request: Request;
}

/** An answer that no connection carried. */
export function madeAnswer(made: MadeAnswer): Response {
  return responseOf(new CacheBacking(made));
}

class CacheBacking implements ResponseBacking {
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: "1.0" | "1.1" | "2";
  readonly fields: FieldLines;
  readonly framing: Framing;
  readonly body: BodySource | null;
  readonly url: string;
  readonly request: Request;
  readonly redirected = false;
  readonly decompressed: boolean;
  readonly type = "basic";
  readonly connection: ConnectionInfo | null = null;

  constructor(made: MadeAnswer) {
    this.status = made.status;
    this.statusText = made.statusText;
    this.httpVersion = made.httpVersion;
    this.fields = new PairLines(made.fields);
    this.body = made.body;
    this.framing = made.body === null ? "none" : "length";
    this.url = made.request.url;
    this.request = made.request;
    this.decompressed = made.decompressed;
  }

  /** None are stored (RFC 9111 §3.1 allows to discard them), and the end is known. */
  trailers(): FieldLines {
    return NO_LINES;
  }

  timings(): Timings | null {
    return null;
  }
}

const NO_LINES = new PairLines([]);

/** An answer of the network as the cache passes it on: with one more field, and a body that may be stored on its way. */
export class PassedOn implements ResponseBacking {
  readonly #inner: ResponseBacking;
  readonly fields: FieldLines;
  readonly body: BodySource | null;
  readonly request: Request;
  readonly redirected: boolean;

  /** @param request the caller's, where the cache sent another */
  constructor(inner: ResponseBacking, body: BodySource | null, request: Request, redirected: boolean, added: Pair) {
    this.#inner = inner;
    this.body = body;
    this.request = request;
    this.redirected = redirected;
    this.fields = new OneMore(inner.fields, added);
  }

  get status(): number {
    return this.#inner.status;
  }
  get statusText(): string {
    return this.#inner.statusText;
  }
  get httpVersion(): "1.0" | "1.1" | "2" {
    return this.#inner.httpVersion;
  }
  get framing(): Framing {
    return this.#inner.framing;
  }
  get url(): string {
    return this.#inner.url === "" ? this.request.url : this.#inner.url;
  }
  get decompressed(): boolean {
    return this.#inner.decompressed;
  }
  get type(): "basic" | "default" | "error" {
    return this.#inner.type ?? "basic";
  }
  get connection(): ConnectionInfo | null {
    return this.#inner.connection;
  }
  trailers(): FieldLines | null {
    return this.#inner.trailers();
  }
  timings(): Timings | null {
    return this.#inner.timings();
  }
  whenOver(fn: () => void): void {
    if (this.#inner.whenOver === undefined) fn();
    else this.#inner.whenOver(fn);
  }
}

class OneMore implements FieldLines {
  readonly #lines: FieldLines;
  readonly #added: Pair;
  constructor(lines: FieldLines, added: Pair) {
    this.#lines = lines;
    this.#added = added;
  }
  get length(): number {
    return this.#lines.length + 1;
  }
  name(index: number): string {
    return index === this.#lines.length ? this.#added[0] : this.#lines.name(index);
  }
  value(index: number): string {
    return index === this.#lines.length ? this.#added[1] : this.#lines.value(index);
  }
}

/**
 * Begins to read a stored body: its first chunk must be there before anything is answered from it, since until then the
 * network can still be asked.
 *
 * @returns null where it is gone or fails
 */
export async function openStored(
  store: GuardedStore,
  key: string,
  entry: StoredResponse,
  body: StoredBody,
  patience: Patience,
): Promise<BodySource | null> {
  let iterator: StoredIterator;
  try {
    const async = Symbol.asyncIterator in body;
    iterator = async ? body[Symbol.asyncIterator]() : body[Symbol.iterator]();
  } catch (error) {
    store.report(error, "open", key);
    return null;
  }
  if (entry.bytes === 0) {
    quietly(() => iterator.return?.());
    return NOTHING;
  }
  const source = new StoredSource(store, key, entry, iterator, patience);
  try {
    return (await source.prefetch()) ? source : null;
  } catch (error) {
    source.close();
    throw error;
  }
}

type StoredIterator = Iterator<Uint8Array> | AsyncIterator<Uint8Array>;

/** Reads a stored body. The bytes it gives are copies: others read the same ones. */
class StoredSource implements BodySource {
  readonly length: number;
  readonly #store: GuardedStore;
  readonly #key: string;
  readonly #entry: StoredResponse;
  readonly #iterator: StoredIterator;
  readonly #patience: Patience;
  #given = 0;
  #first: Uint8Array | null = null;
  #state: "open" | "ended" | { readonly error: unknown } = "open";
  /** What the iterator gives next comes by promises, as far as is known. */
  #slow = false;

  constructor(store: GuardedStore, key: string, entry: StoredResponse, iterator: StoredIterator, patience: Patience) {
    this.#store = store;
    this.#key = key;
    this.#entry = entry;
    this.#iterator = iterator;
    this.#patience = patience;
    this.length = entry.bytes;
  }

  /** @returns whether there is a first chunk */
  async prefetch(): Promise<boolean> {
    try {
      this.#first = await this.read();
      return this.#first !== null;
    } catch (error) {
      if (error instanceof IncompleteBodyError) return false;
      throw error;
    }
  }

  tryRead(): Uint8Array | null | undefined {
    if (this.#first !== null) {
      const first = this.#first;
      this.#first = null;
      return first;
    }
    return this.#slow ? undefined : this.#next(false);
  }

  async read(): Promise<Uint8Array | null> {
    const now = this.#first === null ? this.#next(true) : this.tryRead();
    return now instanceof Promise ? now : (now ?? null);
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#first = null;
    quietly(() => this.#iterator.return?.());
  }

  #next(wait: false): Uint8Array | null | undefined;
  #next(wait: true): Uint8Array | null | Promise<Uint8Array | null>;
  #next(wait: boolean): Uint8Array | null | undefined | Promise<Uint8Array | null> {
    for (;;) {
      if (this.#state === "ended") return null;
      if (this.#state !== "open") throw this.#state.error;
      if (this.#slow && !wait) return undefined;
      const step = this.#store.read(this.#key, () => this.#iterator.next());
      if (step instanceof Promise) {
        this.#slow = true;
        return this.#later(step);
      }
      const chunk = this.#took(step);
      if (chunk === null || chunk.length > 0) return chunk;
    }
  }

  async #later(step: Promise<IteratorResult<Uint8Array> | null>): Promise<Uint8Array | null> {
    let chunk: Uint8Array | null;
    try {
      chunk = this.#took(await this.#patience.wait(step));
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    return chunk === null || chunk.length > 0 ? chunk : this.#next(true);
  }

  #took(result: IteratorResult<Uint8Array> | null): Uint8Array | null {
    if (this.#state === "ended") return null; // closed meanwhile
    const value = result === null || result.done ? null : result.value;
    if (value instanceof Uint8Array && this.#given + value.length <= this.length) {
      this.#given += value.length;
      return new Uint8Array(value);
    }
    if (result?.done && this.#given === this.length) {
      this.#state = "ended";
      return null;
    }
    const text = `Cannot read stored body of ${this.#key}: ${this.#given} of ${this.length} bytes came from the store`;
    const error = new IncompleteBodyError(text, this.length, this.#given);
    if (result !== null) this.#store.report(error, "read", this.#key); // what failed by itself was reported
    quietly(() => this.#store.delete(this.#key, this.#entry.id));
    this.#fail(error);
    throw error;
  }

  #fail(error: unknown): void {
    if (this.#state !== "open") return;
    this.#state = { error };
    quietly(() => this.#iterator.return?.());
  }
}
