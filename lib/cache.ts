/** The public names of `persistconn/cache`; nothing is defined here. */

export { CachingRoundTripper } from "./cache/caching-round-tripper.ts";
export type { OnStoreError, StoreOperation } from "./cache/guarded-store.ts";
export { MemoryStore, type MemoryStoreOptions } from "./cache/memory-store.ts";
export type { CacheOptions } from "./cache/options.ts";
export { MissingPackageError } from "./cache/policy.ts";
export type { Awaitable, CacheStore, CacheWriter, StoredBody, StoredHead, StoredResponse } from "./cache/store.ts";
