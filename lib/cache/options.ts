/** The options of a cache: names, defaults, checks. Durations are milliseconds, sizes bytes, and 0 means none. */

import { unknownOption, wrongType } from "../message/options.ts";
import { isToken } from "../wire/abnf.ts";
import type { OnStoreError } from "./guarded-store.ts";
import { MemoryStore } from "./memory-store.ts";
import type { CacheStore } from "./store.ts";

export interface CacheOptions {
  /** What responses are kept in. Default: a MemoryStore of the cache's own. */
  store?: CacheStore;
  /**
   * Whether it serves more than one user. Default true: nothing private and nothing that an Authorization asked for is
   * stored, unless its server allows that in so many words. false is for one user's own cache.
   */
  shared?: boolean;
  /** Larger bodies are passed on and not stored. Default 8 MiB; 0 means no limit but the store's. */
  maxBodyBytes?: number;
  /** Part of the time since Last-Modified for which a response without a lifetime is fresh. Default 0.1; 0 means never. */
  heuristic?: number;
  /** For each answer of the store; later it counts as failed, and the request goes on without. Default 5 s. */
  storeTimeout?: number;
  /** Hears what the store fails with; requests never do. Default: one warning of the process for each operation. */
  onStoreError?: OnStoreError | null;
  /** Names the cache in Cache-Status. A token; default "persistconn". */
  name?: string;
}

export type ResolvedCacheOptions = Required<CacheOptions>;

const STORE_METHODS = ["find", "open", "begin", "update", "delete"] as const;

const CHECKS: { readonly [Name in keyof ResolvedCacheOptions]: (value: unknown) => string | null } = {
  store: (value) =>
    typeof value === "object" &&
    value !== null &&
    STORE_METHODS.every((name) => typeof (value as CacheStore)[name] === "function")
      ? null
      : `an object with ${STORE_METHODS.join("(), ")}()`,
  shared: (value) => (typeof value === "boolean" ? null : "true or false"),
  maxBodyBytes: (value) => (Number.isSafeInteger(value) && Number(value) >= 0 ? null : "a whole number, 0 or more"),
  heuristic: (value) => (typeof value === "number" && value >= 0 && value <= 1 ? null : "a number from 0 to 1"),
  storeTimeout: (value) =>
    typeof value === "number" && Number.isFinite(value) && value >= 0
      ? null
      : "a number of milliseconds, 0 or more (0 means none)",
  onStoreError: (value) => (value === null || typeof value === "function" ? null : "a function or null"),
  name: (value) =>
    typeof value === "string" && isToken(value) && /^[A-Za-z*]/.test(value)
      ? null
      : "a token that begins with a letter",
};

/** @throws {TypeError} unknown or wrong options */
export function resolveCacheOptions(options: CacheOptions): ResolvedCacheOptions {
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  const given: Record<string, unknown> = {};
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(CHECKS, name)) throw unknownOption(name, Object.keys(CHECKS));
    const value = options[name as keyof CacheOptions]; // it is one of them
    if (value === undefined) continue;
    const wanted = CHECKS[name as keyof CacheOptions](value);
    if (wanted !== null) throw wrongType(name, wanted, value);
    given[name] = value;
  }
  return {
    shared: true,
    maxBodyBytes: 8 * 1024 * 1024,
    heuristic: 0.1,
    storeTimeout: 5_000,
    onStoreError: null,
    name: "persistconn",
    ...given,
    store: (given["store"] as CacheStore | undefined) ?? new MemoryStore(), // checked above
  };
}
