/**
 * Cookies between a Client and the jar that it was given: which Cookie field goes out, and which names a redirect has
 * taken over. Pure. What a cookie means (domain, path, expiry, public suffixes) is the jar's to know.
 *
 * Never: decodes or encodes anything of a cookie.
 *
 * RFC 6265 §5.4 (one Cookie field), §4.1.1 (Set-Cookie); Go net/http Request.AddCookie.
 */

import { type HeaderPair, sameName } from "./message/headers.ts";

/** What is used of a tough-cookie CookieJar; anything of this shape serves, and its answers may be promises. */
export interface CookieJar {
  /** The value of the Cookie field for a URL; "" for none. */
  getCookieString(url: string): string | PromiseLike<string>;
  /** Takes one Set-Cookie value. `ignoreError`: a cookie that cannot be taken is passed over. */
  setCookie(value: string, url: string, options: { ignoreError: boolean }): unknown;
}

type Fields = readonly (readonly [string, string])[];

export function isCookieJar(value: unknown): value is CookieJar {
  if (typeof value !== "object" || value === null) return false;
  const { getCookieString, setCookie } = value as Partial<CookieJar>; // each is looked at below
  return typeof getCookieString === "function" && typeof setCookie === "function";
}

/** The fields with one Cookie line: what the caller gave comes first, the jar's behind it. */
export function withCookies(fields: Fields, fromJar: string): Fields {
  if (fromJar === "") return fields;
  const own = fields.filter(([name]) => sameName(name, "cookie"));
  const [first] = own;
  const line: HeaderPair = [first?.[0] ?? "Cookie", [...own.map(([, value]) => value), fromJar].join("; ")];
  if (first === undefined) return [...fields, line];
  return fields.flatMap((pair) => (pair === first ? [line] : sameName(pair[0], "cookie") ? [] : [pair]));
}

/** The fields without the cookies of those names; a Cookie line with none left goes whole. */
export function withoutCookies(fields: Fields, names: ReadonlySet<string>): Fields {
  if (names.size === 0) return fields;
  return fields.flatMap(([name, value]): Fields => {
    if (!sameName(name, "cookie")) return [[name, value]];
    const kept = value.split(";").filter((cookie) => !names.has(nameOf(cookie)));
    return kept.length === 0 ? [] : [[name, kept.join(";").trim()]];
  });
}

/** The name of a cookie, in a Cookie or a Set-Cookie field. */
export function nameOf(cookie: string): string {
  const end = cookie.search(/[=;]/);
  return (end < 0 ? cookie : cookie.slice(0, end)).trim();
}
