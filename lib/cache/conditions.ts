/**
 * Conditional requests, both ways: those that the cache makes to validate what it stored, and those of callers that it
 * answers from there. Pure.
 *
 * RFC 9111 §4.3.1 (asking), §4.3.2 (answering), §4.3.4 (which entry a 304 is about), §4.3.5 (HEAD); RFC 9110 §8.8.3.2
 * (comparison), §13.1.2–13.1.3, §13.2.2 (precedence).
 */

import { type Headers, sameName } from "../message/headers.ts";
import { parseHttpDate } from "../message/http-date.ts";
import type { Request } from "../message/request.ts";
import type { StoredResponse } from "./store.ts";

/** What a cache cannot evaluate: it concerns the origin's state, or a part of it (RFC 9110 §13.1.1, §13.1.4, §14.2). */
const NOT_FOR_CACHES = ["range", "if-range", "if-match", "if-unmodified-since", "upgrade"];

export function concernsOriginOnly(request: Request): boolean {
  return NOT_FOR_CACHES.some((name) => request.hasField(name));
}

export function isConditional(request: Request): boolean {
  return request.hasField("if-none-match") || request.hasField("if-modified-since");
}

/** A field of an entry, all lines combined; null where it has none. */
export function fieldOf(entry: Pick<StoredResponse, "fields">, lower: string): string | null {
  const values = entry.fields.filter(([name]) => sameName(name, lower)).map(([, value]) => value);
  return values.length === 0 ? null : values.join(", ");
}

/**
 * The request that validates an entry; the request itself where the entry has no validator. A list of tags of the
 * caller's gets ours added, so that one answer serves both (RFC 9111 §4.3.2).
 */
export function validating(request: Request, entry: StoredResponse): Request {
  const tag = fieldOf(entry, "etag");
  const modified = fieldOf(entry, "last-modified");
  if (tag === null && modified === null) return request;
  const asked = request.headers.get("if-none-match");
  const headers = withoutConditions(request);
  if (asked !== null) {
    const known = asked.trim() === "*" || tag === null || tagsOf(asked).some((one) => sameTag(one, tag));
    headers.push(["If-None-Match", known ? asked : `${asked}, ${tag}`]);
    // Beside a list of the caller's a date of ours would be one more question: whose answer a 304 is could not be told.
    return request.with({ headers });
  }
  if (tag !== null) headers.push(["If-None-Match", tag]);
  if (modified !== null) headers.push(["If-Modified-Since", modified]);
  return request.with({ headers });
}

/** The request without conditions, and as GET: for what the cache fetches for itself. */
export function unconditional(request: Request): Request {
  return request.with({ method: "GET", headers: withoutConditions(request), signal: null });
}

function withoutConditions(request: Request): (readonly [string, string])[] {
  return request.pairs.filter(([name]) => !sameName(name, "if-none-match") && !sameName(name, "if-modified-since"));
}

/** Whether a 304 speaks of this entry (RFC 9111 §4.3.4). */
export function speaksOf(notModified: Headers, entry: StoredResponse): boolean {
  const tag = notModified.get("etag");
  const ours = fieldOf(entry, "etag");
  if (tag !== null) {
    if (ours === null) return false;
    return tag.startsWith("W/") || ours.startsWith("W/") ? sameTag(tag, ours) : tag === ours;
  }
  const modified = notModified.get("last-modified");
  // Without a validator it answers the one that was sent.
  return modified === null || ours !== null || modified === fieldOf(entry, "last-modified");
}

/**
 * What the answer to a HEAD says of the entry (RFC 9111 §4.3.5). null: nothing. A HEAD asks for no encoding, so beside an
 * entry that was encoded another tag or length may only mean another coding.
 */
export function describes(headers: Headers, entry: StoredResponse): boolean | null {
  for (const name of ["etag", "last-modified", "content-length"]) {
    const value = headers.get(name);
    const stored = fieldOf(entry, name);
    if (value === null || (stored === null && name === "content-length")) continue;
    if (value !== stored) return entry.decompressed ? null : false;
  }
  return true;
}

/** Whether the caller's own condition makes an answer from this entry a 304 (RFC 9111 §4.3.2). */
export function isNotModified(request: Request, entry: StoredResponse, now: number): boolean {
  if (entry.status !== 200) return false; // conditions are about what would be a 200 (RFC 9110 §13.2.1)
  const asked = request.headers.get("if-none-match");
  if (asked !== null) {
    if (asked.trim() === "*") return true;
    const tag = fieldOf(entry, "etag");
    return tag !== null && tagsOf(asked).some((one) => sameTag(one, tag));
  }
  const since = request.headers.get("if-modified-since");
  const limit = since === null ? null : parseHttpDate(since, now);
  if (limit === null) return false;
  const modified = fieldOf(entry, "last-modified") ?? fieldOf(entry, "date");
  const at = modified === null ? entry.responseTime : parseHttpDate(modified, now);
  return at !== null && at <= limit;
}

/** The entity tags of a list; a comma within one separates nothing. */
function tagsOf(list: string): string[] {
  return list.match(/(?:W\/)?"[^"]*"/g) ?? [];
}

/** Weak comparison (RFC 9110 §8.8.3.2). */
function sameTag(a: string, b: string): boolean {
  return opaque(a) === opaque(b);
}

function opaque(tag: string): string {
  return tag.startsWith("W/") ? tag.slice(2) : tag;
}
