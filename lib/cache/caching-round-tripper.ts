/**
 * An HTTP cache: a RoundTripper around another, that answers from what it has stored where RFC 9111 allows it, validates
 * what is stale, and stores what comes. Lives as long as its user likes; holds no connection and no timer of its own.
 *
 * Owns:  its store, if it made it; the validations that go on behind answers, until `close()`.
 * Never: fails a request for what the store does; stores what did not come whole; changes a caller's request.
 *
 * Safe methods but GET and HEAD, requests with a body, with Range or with conditions that only an origin can judge, and
 * those that say no-store, pass by; every other method makes doubtful what is stored under its URI.
 *
 * RFC 9111; RFC 5861 (stale-while-revalidate, stale-if-error); RFC 9211 (Cache-Status).
 */

import { detached } from "../boundary.ts";
import { type Clock, clockOf } from "../clock.ts";
import { inspectCustom, wrongType } from "../message/options.ts";
import { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { requestDirectives } from "./cache-control.ts";
import { concernsOriginOnly } from "./conditions.ts";
import { GuardedStore, quietly } from "./guarded-store.ts";
import { Invalidations } from "./invalidations.ts";
import { MemoryStore } from "./memory-store.ts";
import { type CacheOptions, resolveCacheOptions } from "./options.ts";
import { loadPolicy, type Policy } from "./policy.ts";
import { keysInvalidated } from "./selection.ts";
import type { CacheStore, StoredResponse } from "./store.ts";
import { Validations } from "./validations.ts";
import { refreshBehind, Visit, type VisitOwner } from "./visit.ts";

/** Methods after which everything stored still holds (RFC 9110 §9.2.1); of any other one cannot know. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

export class CachingRoundTripper implements RoundTripper {
  /** What goes to the network. The caller's: `close()` leaves it open. */
  readonly next: RoundTripper;
  readonly store: CacheStore;
  /** The clock of `next`, where that has one. */
  readonly clock: Clock;
  readonly #owner: VisitOwner;
  readonly #ownStore: MemoryStore | null;
  readonly #background = new AbortController();
  readonly #refreshing = new Set<Promise<void>>();

  /** @throws {TypeError} unknown or wrong options, or no round tripper */
  constructor(next: RoundTripper, options: CacheOptions = {}, clock?: Clock) {
    if (typeof next?.roundTrip !== "function") {
      throw wrongType("next", "a Transport, or an object with roundTrip()", next);
    }
    const resolved = resolveCacheOptions(options);
    this.next = next;
    this.store = resolved.store;
    this.#ownStore = options.store === undefined ? (resolved.store as MemoryStore) : null; // made where none was given
    this.clock = clock ?? clockOf(next);
    const validations = new Validations();
    let policy: Policy | Promise<Policy> | null = null;
    this.#owner = {
      next,
      clock: this.clock,
      store: new GuardedStore(resolved.store, this.clock, resolved.storeTimeout, resolved.onStoreError),
      invalidations: new Invalidations(),
      shared: resolved.shared,
      maxBodyBytes: resolved.maxBodyBytes,
      name: resolved.name,
      policy() {
        policy ??= loadPolicy(resolved).then(
          (loaded) => {
            policy = loaded;
            return loaded;
          },
          (error: unknown) => {
            policy = null;
            throw error;
          },
        );
        return policy;
      },
      validation: (id) => validations.get(id),
      beginValidation: (id) => validations.begin(id),
      refresh: (request, entry) => {
        if (validations.get(entry.id) === null) this.#refresh(request, entry);
      },
    };
  }

  /**
   * @throws (rejects) {MissingPackageError} `http-cache-semantics` is not installed; and whatever `next` rejects with
   */
  roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    if (!(request instanceof Request))
      return Promise.reject(wrongType("request", "a Request of this library", request));
    const { method } = request;
    const owner = this.#owner;
    if (!SAFE.has(method)) return this.#unsafe(request, call);
    if (method !== "GET" && method !== "HEAD") return Visit.bypass(owner, request, call, "method");
    if (request.body !== null || concernsOriginOnly(request)) return Visit.bypass(owner, request, call, "bypass");
    if (requestDirectives(request.headers).has("no-store")) return Visit.bypass(owner, request, call, "request");
    return new Visit(owner, request, call).run();
  }

  /** Closes what is idle in `next`, where that can. */
  closeIdleConnections(): void {
    const next: RoundTripper & { closeIdleConnections?: () => void } = this.next;
    if (typeof next.closeIdleConnections === "function") next.closeIdleConnections();
  }

  /** Ends what goes on behind answers, and forgets what is stored where the store is its own. `next` stays open. */
  async close(): Promise<void> {
    this.#background.abort();
    await Promise.all(this.#refreshing);
    this.#ownStore?.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  [inspectCustom](): string {
    const { store } = this;
    const held = store instanceof MemoryStore ? `${store.entries} entries, ${store.bytes} bytes, ` : "";
    return `CachingRoundTripper { ${this.#owner.shared ? "shared" : "private"}, ${held}${this.#refreshing.size} refreshing }`;
  }

  /** Forgets what the answer makes doubtful, before anybody learns of the answer (RFC 9111 §4.4). */
  async #unsafe(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { invalidations, shared, store } = this.#owner;
    const response = await Visit.bypass(this.#owner, request, call, "method");
    if (response.status < 200 || response.status > 399) return response;
    const keys = [...keysInvalidated(request, response.headers, shared)];
    for (const key of keys) invalidations.add(key); // first, so that nothing which is on its way is stored behind it
    const patience = new Patience(this.clock, request, call);
    try {
      const done = keys.map((key) => store.delete(key)).filter((step) => step instanceof Promise);
      if (done.length > 0) await patience.wait(Promise.all(done));
    } catch (error) {
      quietly(() => response.close());
      throw error;
    }
    return response;
  }

  /** It belongs to no call: none's async context, signal or time limit. What it fails with, the next request will see. */
  #refresh(request: Request, entry: StoredResponse): void {
    const { signal } = this.#background;
    if (signal.aborted) return;
    const job: Promise<void> = detached(() => refreshBehind(this.#owner, request, entry, signal)).then(
      () => void this.#refreshing.delete(job),
      () => void this.#refreshing.delete(job),
    );
    this.#refreshing.add(job);
  }
}
