/**
 * The facts of a stored response: made of an answer, updated by a 304, and turned into the fields of an answer again. Pure.
 *
 * RFC 9111 §3 (when), §3.1 (which fields), §3.2 (updating), §4 (Age), §4.3.4 (304).
 */

import { randomUUID } from "node:crypto";
import { type Headers, sameName } from "../message/headers.ts";
import { formatHttpDate, parseHttpDate } from "../message/http-date.ts";
import type { Request } from "../message/request.ts";
import { type Directives, parseDirectives, requestDirectives } from "./cache-control.ts";
import { fieldOf } from "./conditions.ts";
import { initialAge } from "./freshness.ts";
import type { Policy } from "./policy.ts";
import { isAuthorized, variantOf, varyOf } from "./selection.ts";
import type { StoredHead, StoredResponse } from "./store.ts";

type Pair = readonly [name: string, value: string];

/** An answer as it came, without its body. */
export interface Answered {
  readonly request: Request;
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: "1.0" | "1.1" | "2";
  readonly headers: Headers;
  readonly decompressed: boolean;
  readonly requestTime: number;
  readonly responseTime: number;
}

/** Fields of a connection or a proxy, not of the response (RFC 9111 §3.1; RFC 9110 §7.6.1). */
const NOT_STORED = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  // Not the RFC's: a cookie that was set once would be set again by every use, over what was set since.
  "set-cookie",
]);

/** What belongs to the stored body, whatever a 304 says (RFC 9111 §3.2). */
const OF_THE_BODY = new Set(["content-length", "content-encoding", "content-type", "content-range"]);

/** Directives that give a response a use after its freshness, so that it is worth storing without a validator. */
const LATER_USE = ["stale-while-revalidate", "stale-if-error"];

/** What is stored of an answer to GET; null where it may not be, or could never be used. */
export function storedHead(answered: Answered, policy: Policy, shared: boolean): StoredHead | null {
  const { request, status, headers, requestTime, responseTime } = answered;
  // In a shared cache a cookie for one would be the reason for what others see (RFC 9111 §7.3).
  const response = parseDirectives(headers.get("cache-control"));
  if (shared && headers.has("set-cookie") && !response.has("public")) return null;
  const vary = varyOf(headers, hasField(headers.raw, "content-encoding"), shared);
  if (vary === null) return null;
  const fields = storable(headers.raw);
  if (parseHttpDate(headers.get("date") ?? "", responseTime) === null) {
    fields.push(["Date", formatHttpDate(responseTime)]); // RFC 9110 §6.6.1
  }
  const authorized = isAuthorized(request);
  const lifetime = policy({
    url: request.url,
    authorized,
    request: requestDirectives(request.headers),
    status,
    response,
    fields: (name) => firstField(headers.raw, name),
    responseTime,
  });
  if (lifetime === null) return null;
  const head: StoredHead = {
    v: 1,
    id: randomUUID(),
    vary,
    variant: variantOf(vary, request),
    status,
    statusText: answered.statusText,
    httpVersion: answered.httpVersion,
    fields,
    decompressed: answered.decompressed,
    authorized,
    requestTime,
    responseTime,
    freshUntil: 0,
  };
  const useful = headers.has("etag") || headers.has("last-modified") || LATER_USE.some((name) => response.has(name));
  const freshUntil = freshUntilOf(head, lifetime);
  return useful || freshUntil > responseTime ? { ...head, freshUntil } : null;
}

/** What shall be stored of an entry that a 304 (or a HEAD that describes it) made current; null where nothing may be. */
export function updated(
  entry: StoredResponse,
  answered: Answered,
  policy: Policy,
  shared: boolean,
): StoredResponse | null {
  const now = refreshed(entry, answered);
  const response = directivesOf(now);
  if (shared && answered.headers.has("set-cookie") && !response.has("public")) return null;
  // Other fields choose it from now on, and what they said in the request that stored it is not known any more.
  if (fieldOf(now, "vary") !== fieldOf(entry, "vary")) return null;
  const lifetime = policy({
    url: answered.request.url,
    authorized: entry.authorized || isAuthorized(answered.request),
    request: requestDirectives(answered.request.headers),
    status: entry.status,
    response,
    fields: (name) => firstField(now.fields, name),
    responseTime: answered.responseTime,
  });
  return lifetime === null ? null : { ...now, freshUntil: freshUntilOf(now, lifetime) };
}

/** The entry as the one request sees it that was answered by a 304, whether it is stored so or not. */
export function refreshed(entry: StoredResponse, answered: Answered): StoredResponse {
  const { requestTime, responseTime } = answered;
  return { ...entry, fields: mergedFields(entry, answered), requestTime, responseTime, freshUntil: responseTime };
}

/** Seconds since it was made at its origin (RFC 9111 §4.2.3). */
export function ageOf(entry: StoredHead, now: number): number {
  return (initialAgeOf(entry) + Math.max(0, now - entry.responseTime)) / 1000;
}

/** Seconds for which it is fresh, of which its age is to be taken. */
export function lifetimeOf(entry: StoredHead): number {
  return Math.max(0, entry.freshUntil - entry.responseTime + initialAgeOf(entry)) / 1000;
}

export function directivesOf(entry: StoredHead): Directives {
  return parseDirectives(fieldOf(entry, "cache-control"));
}

/** The fields of an answer from the entry: its own, and its age now (RFC 9111 §5.1). */
export function fieldsNow(entry: StoredHead, now: number): Pair[] {
  const fields = entry.fields.filter(([name]) => !sameName(name, "age"));
  fields.push(["Age", `${Math.floor(ageOf(entry, now))}`]);
  return fields;
}

/** What a 304 carries of a 200 (RFC 9110 §15.4.5). */
const OF_NOT_MODIFIED = new Set([
  "age",
  "cache-control",
  "content-location",
  "date",
  "etag",
  "expires",
  "last-modified",
  "vary",
]);

export function fieldsOfNotModified(fields: readonly Pair[]): Pair[] {
  return fields.filter(([name]) => OF_NOT_MODIFIED.has(name.toLowerCase()));
}

function freshUntilOf(head: StoredHead, lifetime: number): number {
  return head.responseTime + lifetime * 1000 - initialAgeOf(head);
}

function initialAgeOf({ fields, requestTime, responseTime }: StoredHead): number {
  const age = firstField(fields, "age")?.split(",")[0]?.trim() ?? "";
  const date = firstField(fields, "date");
  return initialAge(
    /^\d+$/.test(age) ? Math.min(Number(age), 2 ** 31) : 0,
    date === null ? null : parseHttpDate(date, responseTime),
    requestTime,
    responseTime,
  );
}

function mergedFields(entry: StoredHead, { headers, responseTime }: Answered): Pair[] {
  const fresh = storable(headers.raw).filter(([name]) => !OF_THE_BODY.has(name.toLowerCase()));
  const names = new Set(fresh.map(([name]) => name.toLowerCase()));
  // Its age is that of the 304 from now on, and without a Date of its own the 304 was made when it came.
  names.add("age");
  if (!names.has("date")) {
    names.add("date");
    fresh.push(["Date", formatHttpDate(responseTime)]);
  }
  return [...entry.fields.filter(([name]) => !names.has(name.toLowerCase())), ...fresh];
}

function storable(raw: readonly Pair[]): Pair[] {
  const named = new Set<string>();
  for (const [name, value] of raw) {
    if (sameName(name, "connection")) for (const part of value.split(",")) named.add(part.trim().toLowerCase());
  }
  return raw.filter(([name]) => {
    const lower = name.toLowerCase();
    return !NOT_STORED.has(lower) && !named.has(lower);
  });
}

function hasField(pairs: readonly Pair[], lower: string): boolean {
  return pairs.some(([name]) => sameName(name, lower));
}

/** The first line: of several dates one must count, and combined they are none. */
function firstField(pairs: readonly Pair[], lower: string): string | null {
  return pairs.find(([name]) => sameName(name, lower))?.[1] ?? null;
}
