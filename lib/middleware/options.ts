/**
 * The options of wrappers: only what the caller owns is read, a name nobody knows is refused, and what is wrong is said
 * without showing it. Pure. Durations are milliseconds, sizes bytes.
 */

import { unknownOption, wrongType } from "../message/options.ts";

/** For each option what it must be, in words, where the value is not that; null where it is. */
export type Checks<T> = { readonly [Name in keyof T]-?: (value: unknown) => string | null };

/**
 * What of `options` is set to something, checked.
 *
 * @throws {TypeError} unknown or wrong options
 */
export function checked<T extends object>(options: T, checks: Checks<T>): Partial<T> {
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  const given: Partial<T> = {};
  for (const name of Object.keys(options) as (keyof T & string)[]) {
    if (!Object.hasOwn(checks, name)) throw unknownOption(name, Object.keys(checks));
    const value = options[name];
    if (value === undefined) continue;
    const wanted = checks[name](value);
    if (wanted !== null) throw wrongType(name, wanted, value);
    given[name] = value;
  }
  return given;
}

export const isDuration = (value: unknown): string | null =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? null : "a number of milliseconds, 0 or more";

export const isBytes = (value: unknown): string | null =>
  Number.isSafeInteger(value) && Number(value) >= 0 ? null : "a whole number of bytes, 0 or more";

export const isCount = (value: unknown): string | null =>
  Number.isSafeInteger(value) && Number(value) >= 1 ? null : "a whole number, 1 or more";

export const isBoolean = (value: unknown): string | null => (typeof value === "boolean" ? null : "true or false");

export const isFunction = (value: unknown): string | null => (typeof value === "function" ? null : "a function");

export const isFunctionOrNull = (value: unknown): string | null =>
  value === null || typeof value === "function" ? null : "a function or null";
