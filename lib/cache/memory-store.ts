/**
 * A store in memory, bounded in bytes and entries: what was used longest ago goes first. Every move costs the same however
 * much it holds.
 *
 * Owns:  the bytes of stored bodies, and of those that are being written.
 *
 * Invariant: what is stored and what is being written is at most `maxBytes` together, the latter at most half of it;
 * `#bytes` is the sum over the list; every node is in the list and in its bucket.
 */

import { unknownOption, wrongType } from "../message/options.ts";
import type { CacheStore, CacheWriter, StoredHead, StoredResponse } from "./store.ts";

export interface MemoryStoreOptions {
  /** Of all bodies and fields together. Default 64 MiB. */
  maxBytes?: number;
  /** Default 10,000. */
  maxEntries?: number;
  /** Variants under one key (RFC 9111 §4.1); the one stored longest ago goes first. Default 32. */
  maxVariants?: number;
}

const DEFAULTS = { maxBytes: 64 * 1024 * 1024, maxEntries: 10_000, maxVariants: 32 };

/** What an entry costs beside its text and body, roughly. */
const ENTRY_OVERHEAD_BYTES = 512;

interface Node {
  readonly key: string;
  readonly chunks: readonly Uint8Array[];
  entry: StoredResponse;
  size: number;
  newer: Node | null;
  older: Node | null;
}

export class MemoryStore implements CacheStore {
  readonly #limits: Required<MemoryStoreOptions>;
  /** By key, then by variant. */
  readonly #buckets = new Map<string, Map<string, Node>>();
  #newest: Node | null = null;
  #oldest: Node | null = null;
  #entries = 0;
  #bytes = 0;
  #writing = 0;

  /** @throws {TypeError} unknown or wrong options */
  constructor(options: MemoryStoreOptions = {}) {
    if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
    const limits = { ...DEFAULTS };
    for (const name of Object.keys(options)) {
      if (!Object.hasOwn(DEFAULTS, name)) throw unknownOption(name, Object.keys(DEFAULTS));
      const limit = name as keyof MemoryStoreOptions; // it is one of them
      const value = options[limit];
      if (value === undefined) continue;
      if (!Number.isSafeInteger(value) || value < 1) throw wrongType(name, "a whole number, 1 or more", value);
      limits[limit] = value;
    }
    this.#limits = limits;
  }

  /** Stored entries. */
  get entries(): number {
    return this.#entries;
  }

  /** Of stored entries and of what is being written. */
  get bytes(): number {
    return this.#bytes + this.#writing;
  }

  find(key: string): StoredResponse[] {
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? [] : Array.from(bucket.values(), ({ entry }) => entry);
  }

  open(key: string, id: string): readonly Uint8Array[] | null {
    const node = this.#node(key, id);
    if (node === null) return null;
    this.#unlink(node);
    this.#link(node);
    return node.chunks;
  }

  begin(key: string, head: StoredHead): CacheWriter | null {
    if (headBytes(key, head) > this.#limits.maxBytes) return null;
    const chunks: Uint8Array[] = [];
    let held = 0;
    const release = (): void => {
      this.#writing -= held;
      held = 0;
    };
    return {
      write: (chunk) => {
        if (this.#writing + chunk.length > this.#limits.maxBytes / 2) return false;
        chunks.push(chunk);
        held += chunk.length;
        this.#writing += chunk.length;
        this.#evict();
        return undefined;
      },
      commit: (entry) => {
        release();
        this.#put(key, entry, chunks);
      },
      abort: release,
    };
  }

  update(key: string, entry: StoredResponse): void {
    const node = this.#node(key, entry.id);
    if (node === null) return;
    const bucket = this.#buckets.get(key);
    bucket?.delete(node.entry.variant);
    const rival = bucket?.get(entry.variant);
    if (rival !== undefined) this.#remove(rival);
    const size = entry.bytes + headBytes(key, entry);
    this.#bytes += size - node.size;
    node.size = size;
    node.entry = entry;
    this.#bucket(key).set(entry.variant, node);
    this.#evict();
  }

  delete(key: string, id?: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return;
    for (const node of [...bucket.values()]) if (id === undefined || node.entry.id === id) this.#remove(node);
  }

  /** Forgets everything; bodies that are being read stay readable. */
  clear(): void {
    for (let node = this.#oldest; node !== null; node = this.#oldest) this.#remove(node);
  }

  #put(key: string, entry: StoredResponse, chunks: readonly Uint8Array[]): void {
    const before = this.#buckets.get(key)?.get(entry.variant);
    if (before !== undefined) this.#remove(before);
    const bucket = this.#bucket(key);
    const size = entry.bytes + headBytes(key, entry);
    const node: Node = { key, chunks, entry, size, newer: null, older: null };
    bucket.set(entry.variant, node);
    this.#link(node);
    this.#entries++;
    this.#bytes += size;
    if (bucket.size > this.#limits.maxVariants) {
      const [first] = bucket.values();
      if (first !== undefined) this.#remove(first);
    }
    this.#evict();
  }

  #evict(): void {
    const { maxBytes, maxEntries } = this.#limits;
    while (this.#oldest !== null && (this.#bytes + this.#writing > maxBytes || this.#entries > maxEntries)) {
      this.#remove(this.#oldest);
    }
  }

  #bucket(key: string): Map<string, Node> {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new Map();
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  #node(key: string, id: string): Node | null {
    for (const node of this.#buckets.get(key)?.values() ?? []) if (node.entry.id === id) return node;
    return null;
  }

  #remove(node: Node): void {
    this.#unlink(node);
    this.#entries--;
    this.#bytes -= node.size;
    const bucket = this.#buckets.get(node.key);
    bucket?.delete(node.entry.variant);
    if (bucket?.size === 0) this.#buckets.delete(node.key);
  }

  #link(node: Node): void {
    node.older = this.#newest;
    if (this.#newest === null) this.#oldest = node;
    else this.#newest.newer = node;
    this.#newest = node;
  }

  #unlink(node: Node): void {
    const { newer, older } = node;
    if (newer === null) this.#newest = older;
    else newer.older = older;
    if (older === null) this.#oldest = newer;
    else older.newer = newer;
    node.newer = null;
    node.older = null;
  }
}

function headBytes(key: string, head: StoredHead): number {
  let bytes = ENTRY_OVERHEAD_BYTES + key.length;
  for (const [name, value] of head.fields) bytes += name.length + value.length;
  return bytes;
}
