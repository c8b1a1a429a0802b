/**
 * What a cache keeps its responses in: the seam for memory, disk, Redis. A store only keeps; what may be used, and when, is
 * the cache's.
 *
 * Contract: calls that concern one key take effect in the order in which they were made. What `find` gives is whole: an
 * entry shows only after `commit`. A store may forget anything at any time, and may be slow, throw or reject: the cache
 * then goes to the network, and reports it.
 */

export type Awaitable<T> = T | PromiseLike<T>;

/** A stored response without its body: plain data that JSON can say. */
export interface StoredResponse {
  /** Version of this shape; entries of another are passed over. */
  readonly v: 1;
  /** Unique: names the body too. */
  readonly id: string;
  /** Fields of the request that chose it, by lower-case name (RFC 9111 §4.1). */
  readonly vary: readonly string[];
  /** A digest of their values, or "" where `vary` is empty. Of one key and variant a store keeps one entry, the last. */
  readonly variant: string;
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: "1.0" | "1.1" | "2";
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The body is stored decoded; `fields` still speak of the encoded one. */
  readonly decompressed: boolean;
  /** The request had an Authorization field. */
  readonly authorized: boolean;
  /** Milliseconds since the epoch. */
  readonly requestTime: number;
  readonly responseTime: number;
  /** Milliseconds since the epoch until which it is fresh. Later it can still be validated; a hint for stores that tidy up. */
  readonly freshUntil: number;
  /** Of the body. */
  readonly bytes: number;
}

/** What is known of a response before its body was seen. */
export type StoredHead = Omit<StoredResponse, "bytes">;

/** Takes one body, chunk by chunk. `commit` or `abort` comes last, once. No call is made before the last one settled. */
export interface CacheWriter {
  /**
   * The chunk is the writer's own. `false` means that it wants no more, which is no error: `abort` follows.
   */
  write(chunk: Uint8Array): Awaitable<undefined | false | void>;
  /** The body is whole: the entry takes the place of the one with the same key and variant. */
  commit(entry: StoredResponse): Awaitable<void>;
  /** Forget it. It may come while a call is under way. */
  abort(): Awaitable<void>;
}

/** Bytes of a body, in any cut. Leaving early calls `return` of the iterator. */
export type StoredBody = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface CacheStore {
  /** All variants under a key; none is an empty list. */
  find(key: string): Awaitable<readonly StoredResponse[]>;
  /** The body of an entry; null where it is gone. Once given it stays readable, or fails, though its entry may go. */
  open(key: string, id: string): Awaitable<StoredBody | null>;
  /** Begins to store; null where the store does not want it. */
  begin(key: string, head: StoredHead): Awaitable<CacheWriter | null>;
  /** Puts new facts in the place of those with the same `id`; does nothing where that is gone. The body stays. */
  update(key: string, entry: StoredResponse): Awaitable<void>;
  /** Forgets one entry, or without `id` all of the key. */
  delete(key: string, id?: string): Awaitable<void>;
}

/** Whether what a store gave has the shape of an entry: disks and networks give anything. */
export function isStoredResponse(value: unknown): value is StoredResponse {
  if (typeof value !== "object" || value === null) return false;
  const entry = value as Partial<StoredResponse>; // each field is looked at
  return (
    entry.v === 1 &&
    typeof entry.id === "string" &&
    Array.isArray(entry.vary) &&
    entry.vary.every((name) => typeof name === "string") &&
    typeof entry.variant === "string" &&
    Number.isInteger(entry.status) &&
    typeof entry.statusText === "string" &&
    (entry.httpVersion === "1.0" || entry.httpVersion === "1.1" || entry.httpVersion === "2") &&
    Array.isArray(entry.fields) &&
    entry.fields.every((pair) => Array.isArray(pair) && typeof pair[0] === "string" && typeof pair[1] === "string") &&
    typeof entry.decompressed === "boolean" &&
    typeof entry.authorized === "boolean" &&
    Number.isFinite(entry.requestTime) &&
    Number.isFinite(entry.responseTime) &&
    Number.isFinite(entry.freshUntil) &&
    Number.isSafeInteger(entry.bytes)
  );
}
