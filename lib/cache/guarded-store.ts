/**
 * A store as the cache uses it: nothing it does fails or hangs a request. What it throws, rejects, or does not answer
 * within the limit is reported, and counts as "nothing there" or "not stored".
 *
 * What is there at once is given at once: a store in memory costs no promise.
 */

import { throwLater } from "../boundary.ts";
import type { Clock } from "../clock.ts";
import { kindOf } from "../message/options.ts";
import {
  type Awaitable,
  type CacheStore,
  type CacheWriter,
  isStoredResponse,
  type StoredBody,
  type StoredHead,
  type StoredResponse,
} from "./store.ts";

/** What of the store failed. */
export type StoreOperation = "find" | "open" | "read" | "begin" | "write" | "commit" | "abort" | "update" | "delete";

export type OnStoreError = (error: unknown, operation: StoreOperation, key: string) => void;

export type MaybePromise<T> = T | Promise<T>;

export class GuardedStore {
  readonly #store: CacheStore;
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #onError: OnStoreError | null;
  /** Operations that were warned about; one warning each. */
  readonly #warned = new Set<StoreOperation>();

  /** @param limit in ms for each answer of the store, 0 for none */
  constructor(store: CacheStore, clock: Clock, limit: number, onError: OnStoreError | null) {
    this.#store = store;
    this.#clock = clock;
    this.#limit = limit;
    this.#onError = onError;
  }

  find(key: string): MaybePromise<readonly StoredResponse[]> {
    const found = this.#ask<unknown>("find", key, () => this.#store.find(key), []);
    return found instanceof Promise ? found.then((entries) => this.#checked(key, entries)) : this.#checked(key, found);
  }

  open(key: string, id: string): MaybePromise<StoredBody | null> {
    return this.#ask("open", key, () => this.#store.open(key, id), null, abandon);
  }

  /** One step of reading a body; null where it failed. */
  read(
    key: string,
    step: () => Awaitable<IteratorResult<Uint8Array>>,
  ): MaybePromise<IteratorResult<Uint8Array> | null> {
    return this.#ask("read", key, step, null);
  }

  begin(key: string, head: StoredHead): MaybePromise<CacheWriter | null> {
    return this.#ask(
      "begin",
      key,
      () => this.#store.begin(key, head),
      null,
      (writer) => void writer?.abort(),
    );
  }

  /** @returns whether it goes on */
  write(key: string, writer: CacheWriter, chunk: Uint8Array): MaybePromise<boolean> {
    const said = this.#ask<unknown>("write", key, () => writer.write(chunk), false);
    return said instanceof Promise ? said.then((word) => word !== false) : said !== false;
  }

  commit(key: string, writer: CacheWriter, entry: StoredResponse): MaybePromise<boolean> {
    return this.#ask("commit", key, () => after(writer.commit(entry), true), false);
  }

  abort(key: string, writer: CacheWriter): void {
    this.#ask("abort", key, () => writer.abort(), undefined);
  }

  update(key: string, entry: StoredResponse): MaybePromise<void> {
    return this.#ask("update", key, () => this.#store.update(key, entry), undefined);
  }

  delete(key: string, id?: string): MaybePromise<void> {
    return this.#ask("delete", key, () => this.#store.delete(key, id), undefined);
  }

  report(error: unknown, operation: StoreOperation, key: string): void {
    if (this.#onError !== null) {
      try {
        this.#onError(error, operation, key);
      } catch (thrown) {
        throwLater(thrown);
      }
      return;
    }
    if (this.#warned.has(operation)) return;
    this.#warned.add(operation);
    const text = error instanceof Error ? error.message : `${kindOf(error)} was thrown`;
    process.emitWarning(
      `Cache store failed to ${operation}: ${text}; requests go on without it (option onStoreError)`,
      {
        code: "PERSISTCONN_CACHE_STORE",
      },
    );
  }

  #checked(key: string, found: unknown): readonly StoredResponse[] {
    if (!Array.isArray(found)) {
      this.report(new TypeError(`find() must give a list: it gave ${kindOf(found)}`), "find", key);
      return [];
    }
    const entries = found.filter(isStoredResponse);
    if (entries.length < found.length) this.report(new TypeError("find() gave what is no entry"), "find", key);
    return entries;
  }

  /** @param late is given what comes after the limit, to be let go */
  #ask<T>(
    operation: StoreOperation,
    key: string,
    work: () => Awaitable<T>,
    otherwise: T,
    late: (value: T) => void = ignore,
  ): MaybePromise<T> {
    let said: Awaitable<T>;
    try {
      said = work();
    } catch (error) {
      this.report(error, operation, key);
      return otherwise;
    }
    if (!isThenable(said)) return said;
    const answer = said;
    return new Promise<T>((resolve) => {
      let over = false;
      const limit =
        this.#limit === 0
          ? null
          : this.#clock.deadline(
              this.#limit,
              () => {
                over = true;
                this.report(new Error(`no answer within ${this.#limit} ms (option storeTimeout)`), operation, key);
                resolve(otherwise);
              },
              { keepAlive: true },
            );
      answer.then(
        (value) => {
          limit?.cancel();
          if (over) quietly(() => late(value));
          else resolve(value);
        },
        (error: unknown) => {
          limit?.cancel();
          if (over) return; // it was reported as late
          this.report(error, operation, key);
          resolve(otherwise);
        },
      );
    });
  }
}

/** Lets a body go that nobody began to read. */
export function abandon(body: StoredBody | null): void {
  if (body === null) return;
  quietly(() => {
    const iterator = Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]();
    return iterator.return?.();
  });
}

/** For clean-up: what it throws or rejects with changes nothing any more. */
export function quietly(work: () => unknown): void {
  try {
    const said = work();
    if (isThenable(said)) said.then(ignore, ignore);
  } catch {
    // It was given up already.
  }
}

/** Goes on with a value at once where it is there. */
function after<T>(done: Awaitable<unknown>, value: T): MaybePromise<T> {
  return isThenable(done) ? Promise.resolve(done).then(() => value) : value;
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function ignore(): void {}
