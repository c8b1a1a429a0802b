/**
 * Cache-Control, as a map of its directives. Pure.
 *
 * RFC 9111 §5.2 (names are case-insensitive; both forms of an argument are taken), §1.2.2 (delta-seconds), §4.2.1 (of
 * several the first counts).
 */

import type { Headers } from "../message/headers.ts";

/** By lower-case name; null where it has no argument. */
export type Directives = ReadonlyMap<string, string | null>;

/** One member of the list: a token, and maybe `=` with a token or a quoted string, in which a comma ends nothing. */
const MEMBER = /([^\s,;="]+)[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/y;

/** What larger numbers are taken for (RFC 9111 §1.2.2). */
const DELTA_MAX = 2 ** 31;

/** @param value of the field, all lines combined; null where it is missing */
export function parseDirectives(value: string | null): Directives {
  const directives = new Map<string, string | null>();
  if (value === null) return directives;
  let at = 0;
  while (at < value.length) {
    MEMBER.lastIndex = at;
    const found = MEMBER.exec(value);
    if (found === null) {
      at++; // a separator, or what belongs to no directive
      continue;
    }
    const name = (found[1] as string).toLowerCase(); // the group is not optional
    if (!directives.has(name)) directives.set(name, found[2] ?? found[3] ?? null);
    at = MEMBER.lastIndex;
  }
  return directives;
}

/** Of a request: Pragma counts where there is no Cache-Control (RFC 9111 §5.4). */
export function requestDirectives(headers: Headers): Directives {
  const directives = parseDirectives(headers.get("cache-control"));
  if (directives.size === 0 && parseDirectives(headers.get("pragma")).has("no-cache"))
    return new Map([["no-cache", null]]);
  return directives;
}

/**
 * Seconds; null where the directive is missing. One that is no number counts as 0: what may be stale is taken for stale
 * (RFC 9111 §4.2.1).
 */
export function secondsOf(directives: Directives, name: string): number | null {
  const value = directives.get(name);
  if (value === undefined) return null;
  if (value === null || !/^\d+$/.test(value)) return 0;
  return Math.min(Number(value), DELTA_MAX);
}
