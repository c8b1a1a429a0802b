/**
 * What a Client and each of its calls can say about redirects: names, defaults, the check. Pure.
 *
 * Go net/http Client.CheckRedirect, ErrUseLastResponse.
 */

import type { Request } from "./message/request.ts";
import type { Response } from "./message/response.ts";
import { checkOption, REDIRECT_KINDS } from "./options.ts";

/**
 * Returned or thrown by `checkRedirect`: the redirect is not followed, and the 3xx is the answer, its body unread.
 *
 * @see Go net/http ErrUseLastResponse
 */
export const errUseLastResponse: Error = Object.freeze(
  Object.assign(new Error("Use the last response"), { name: "UseLastResponse", code: "ERR_HTTP_USE_LAST_RESPONSE" }),
);

/**
 * Asked before each redirect is followed.
 *
 * @param request what will be sent next, before the jar's cookies
 * @param via what was sent, the oldest first
 * @param response the answer that redirects; whoever does not follow may read it
 * @returns nothing to go on; a Request to send in the place of `request` (its fields hold for this one hop);
 *   `errUseLastResponse`; or another error, which fails the call as if it were thrown. May be a promise.
 */
export type CheckRedirect = (
  request: Request,
  via: readonly Request[],
  response: Response,
) => CheckRedirectResult | PromiseLike<CheckRedirectResult>;

export type CheckRedirectResult = Request | Error | undefined | void;

export interface RedirectOptions {
  /** "follow" (default); "manual": a 3xx is an answer like any other; "error": it fails the call with a RedirectError. */
  redirect?: "follow" | "manual" | "error";
  /**
   * How many redirects are followed; one more is a TooManyRedirectsError. Default 10, and 50 where a `checkRedirect` of
   * the caller's decides (in Go that one takes the place of the limit). 0: none.
   */
  maxRedirects?: number;
  /** Asked before each redirect. Default null: all are followed. */
  checkRedirect?: CheckRedirect | null;
  /** Refuses every http URL: the first (LocalProtocolError) and each that a redirect leads to (RedirectError). Default false. */
  httpsOnly?: boolean;
  /**
   * A redirect to another scheme, host or port drops every field of the caller's but Accept, Accept-Encoding,
   * Accept-Language, Content-*, Range, Referer and User-Agent, and the Referer tells the origin alone. Default false:
   * only what proves who one is (Authorization, Cookie, Proxy-*, X-Api-Key, …) is dropped, always.
   */
  strictRedirects?: boolean;
}

/** The options with every default in its place; `maxRedirects` is null where its default depends on the others. */
export interface ResolvedRedirects {
  readonly redirect: "follow" | "manual" | "error";
  readonly maxRedirects: number | null;
  readonly checkRedirect: CheckRedirect | null;
  readonly httpsOnly: boolean;
  readonly strictRedirects: boolean;
  /** By the Fetch standard where it disagrees with Go: for `fetch` alone. */
  readonly standard: boolean;
}

export const REDIRECT_DEFAULTS: ResolvedRedirects = Object.freeze({
  redirect: "follow",
  maxRedirects: null,
  checkRedirect: null,
  httpsOnly: false,
  strictRedirects: false,
  standard: false,
});

export const REDIRECT_OPTIONS = Object.keys(REDIRECT_KINDS) as readonly (keyof RedirectOptions)[]; // its own keys

/** As in curl: more than any chain that is meant has, and an end for the others. */
const CHECKED_REDIRECTS_MAX = 50;
const REDIRECTS_MAX = 10;
/** Fetch standard, "HTTP-redirect fetch". */
const FETCH_REDIRECTS_MAX = 20;

/** How many redirects may be followed. */
export function redirectsMax({ maxRedirects, checkRedirect }: ResolvedRedirects): number {
  return maxRedirects ?? (checkRedirect === null ? REDIRECTS_MAX : CHECKED_REDIRECTS_MAX);
}

/** What a client's rules are for its `fetch`. */
export function fetchRedirects(rules: ResolvedRedirects): ResolvedRedirects {
  return { ...rules, maxRedirects: rules.maxRedirects ?? FETCH_REDIRECTS_MAX, standard: true };
}

/**
 * What `options` say, and `base` where they say nothing.
 *
 * @throws {TypeError} a wrong type
 */
export function resolveRedirects(base: ResolvedRedirects, options: RedirectOptions): ResolvedRedirects {
  let own: Record<string, unknown> | null = null;
  for (const name of REDIRECT_OPTIONS) {
    if (!Object.hasOwn(options, name)) continue;
    const value = options[name];
    if (value === undefined) continue;
    checkOption(name, REDIRECT_KINDS[name], value);
    own ??= {};
    own[name] = value;
  }
  return own === null ? base : { ...base, ...own };
}
