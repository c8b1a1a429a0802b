/**
 * The redirect rules, pure: what a 3xx answer asks for, and what the next request of the chain is made of. The Client's
 * `Chain` drives them.
 *
 * A chain only ever loses: fields, body and Host that one hop drops are taken out of what is carried on, so no later hop
 * can bring them back, whichever way it leads (CVE-2024-45336, Go issue 70530).
 *
 * Deliberately stricter than Go:
 * - Credentials go no further than their origin. Go lets them go to subdomains, to other ports and from http to https;
 *   each of these may be somebody else's server (CVE-2022-27774 of curl).
 * - A body that is dropped takes the fields that speak of it along; Go sends a GET with the Content-Type of a POST.
 * - An explicit Referer does not go from https to http; Go means to drop it, and does not.
 * - A custom Host is kept for a Location that names no host. Go keeps it for `//host/` too.
 * - The Referer has no fragment.
 *
 * `fetch` follows the standard where that disagrees with Go (`RedirectRules.standard`): 301 and 302 turn a POST into a GET
 * and leave every other method and its body; no Referer is made up; a Location with user name or password, a blocked port,
 * and a stream that was sent already fail the call.
 *
 * RFC 9110 §15.4 (redirection), §10.2.2 (Location), §10.1.3 (Referer); Fetch standard, "HTTP-redirect fetch"; Go net/http redirectBehavior, refererForURL,
 * makeHeadersCopier.
 */

import { isBlockedPort } from "./fetch/ports.ts";
import { type Destination, destinationOf } from "./message/destination.ts";
import { sameName } from "./message/headers.ts";
import type { Request } from "./message/request.ts";
import { SECRET_FIELDS } from "./secrets.ts";

/** Fields by which somebody proves who they are; `Proxy-` is looked at by its beginning. */
const CREDENTIALS: ReadonlySet<string> = new Set([...SECRET_FIELDS, "www-authenticate"]);

/** What a strict chain takes to another origin, beside the fields that describe the body. */
const SAFELISTED: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "range",
  "referer",
  "user-agent",
]);

/** Fields that speak of a body, beside those that begin with `Content-` (RFC 9110 §15.4). */
const OF_BODY: ReadonlySet<string> = new Set(["digest", "last-modified", "transfer-encoding", "trailer", "expect"]);

/** Text that no Location can name: what resolves to it has no host of its own. */
const NOWHERE = "location-without-host.invalid";

type Fields = readonly (readonly [string, string])[];

/** One hop of a chain: what was asked, and what the hops after it may still carry. */
export interface Hop {
  readonly request: Request;
  /** Of the first request's fields those that were not dropped on the way. */
  readonly fields: Fields;
}

/** What the chain allows. */
export interface RedirectRules {
  readonly httpsOnly: boolean;
  readonly strictRedirects: boolean;
  /** By the Fetch standard where it disagrees with Go. */
  readonly standard?: boolean;
}

export type Onward =
  /** There is nothing to follow, or it cannot be followed without sending a body twice that can be sent once. */
  | { readonly kind: "answer" }
  /** It must not be followed. `url`: where to, without credentials, as far as that could be read. */
  | { readonly kind: "refused"; readonly reason: string; readonly url: string | null }
  | { readonly kind: "hop"; readonly hop: Hop };

const ANSWER: Onward = Object.freeze({ kind: "answer" });

/** Whether a status asks to send the request elsewhere. 300, 304, 305 and 306 do not (RFC 9110 §15.4). */
export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * What comes after an answer whose status is a redirect's.
 *
 * @param locations the values of its Location fields
 */
export function onward(from: Hop, status: number, locations: readonly string[], rules: RedirectRules): Onward {
  const { request } = from;
  // A tunnel that was refused is not elsewhere: its target is no resource (RFC 9110 §9.3.6).
  if (request.method === "CONNECT") return ANSWER;
  const [location = ""] = locations;
  if (locations.some((other) => other !== location)) {
    return { kind: "refused", reason: "it has several Locations that differ", url: null };
  }
  if (location === "") return ANSWER; // Go issues 17773, 49281
  const { standard = false } = rules;
  const keepsBody = status === 307 || status === 308 || (standard && status !== 303 && request.method !== "POST");
  const spent = request.body?.regenerable === false;
  if (spent && standard && status !== 303) {
    return { kind: "refused", reason: "its body is a stream, which was sent already", url: null };
  }
  if (spent && keepsBody) return ANSWER;

  const to = resolveLocation(location, request.destination);
  if (typeof to === "string") return { kind: "refused", reason: to, url: null };
  const next = to.destination;
  if (rules.httpsOnly && next.scheme !== "https") {
    return { kind: "refused", reason: "it leads away from https (option httpsOnly)", url: next.href };
  }
  if (standard && next.userinfo !== null) {
    return { kind: "refused", reason: "its Location has a user name or a password", url: next.href };
  }
  if (standard && isBlockedPort(next.port)) {
    return { kind: "refused", reason: `port ${next.port} is blocked`, url: next.href };
  }
  return { kind: "hop", hop: nextHop(from, keepsBody, to, rules) };
}

function nextHop(from: Hop, keepsBody: boolean, to: Target, rules: RedirectRules): Hop {
  const { request } = from;
  const { destination: next } = to;
  const method = keepsBody || request.method === "HEAD" ? request.method : "GET";
  const dropsBody = !keepsBody && (request.body !== null || method !== request.method);
  const crossed = next.origin !== request.destination.origin;
  const downgrade = request.destination.scheme === "https" && next.scheme === "http";

  const fields = from.fields.filter(([name]) => {
    const lower = name.toLowerCase();
    if (lower === "host") return !crossed && namesNoHost(to.location, next);
    if (crossed && isCredential(lower)) return false;
    if (crossed && rules.strictRedirects && !lower.startsWith("content-") && !SAFELISTED.has(lower)) return false;
    if (dropsBody && (lower.startsWith("content-") || OF_BODY.has(lower))) return false;
    return !(downgrade && lower === "referer");
  });
  const own = downgrade || fields.some(([name]) => sameName(name, "referer"));
  // Browsers, too, tell another origin no more than where they come from.
  const referer = crossed && rules.strictRedirects ? `${request.destination.origin}/` : withoutFragment(request.url);
  const headers: Fields = own || rules.standard ? fields : [...fields, ["Referer", referer]];
  return {
    fields,
    request: request.with({
      url: to.url,
      method,
      headers,
      target: null,
      ...(keepsBody ? {} : { body: null, trailers: null, expectContinue: false }),
    }),
  };
}

/** Whether a field, by its lower-case name, belongs to its origin alone. */
function isCredential(lower: string): boolean {
  return CREDENTIALS.has(lower) || lower.startsWith("proxy-");
}

/** A hop that the caller put in the place of the one planned: to another origin the planned one's credentials do not go. */
export function replacedHop(planned: Hop, request: Request): Hop {
  const crossed = request.destination.origin !== planned.request.destination.origin;
  return {
    request,
    fields: crossed ? planned.fields.filter(([name]) => !isCredential(name.toLowerCase())) : planned.fields,
  };
}

interface Target {
  readonly destination: Destination;
  /** What a Request is made of: with user name and password where it has some. */
  readonly url: string;
  readonly location: string;
}

/** Where a Location leads, or why it leads nowhere. */
function resolveLocation(given: string, from: Destination): Target | string {
  if (given.includes("\t")) return "its Location has a tab"; // the parser would take it out, and read another text
  // The bytes of the field as they came (RFC 3986 §2.1): a parser that took them for characters would encode them twice.
  const location = given.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  try {
    const url = new URL(location, from.href);
    if (!location.includes("#")) url.hash = fragmentOf(from.href); // RFC 9110 §10.2.2
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      return `its scheme is ${url.protocol.slice(0, -1)}, and only http and https are followed`;
    }
    if (url.username === "" && url.password === "" && from.userinfo !== null && url.origin === from.origin) {
      url.username = encodeURIComponent(from.userinfo.username);
      url.password = encodeURIComponent(from.userinfo.password);
    }
    return { destination: destinationOf(url.href), url: url.href, location };
  } catch {
    return "its Location is no valid URL"; // what the parser says may show a password
  }
}

/** Only asked where the origin stayed the same, so a Location that names NOWHERE by its name is not mistaken. */
function namesNoHost(location: string, next: Destination): boolean {
  return new URL(location, `${next.scheme}://${NOWHERE}/`).hostname === NOWHERE;
}

function fragmentOf(href: string): string {
  const at = href.indexOf("#");
  return at < 0 ? "" : href.slice(at);
}

function withoutFragment(href: string): string {
  const at = href.indexOf("#");
  return at < 0 ? href : href.slice(0, at);
}
