/**
 * Under which key a response is stored, and which of the variants under it belongs to a request. Pure.
 *
 * What chose a response is kept as a digest: the fields that Vary names may be credentials, and a store may be anywhere.
 *
 * RFC 9111 §2 (key), §4.1 (Vary); RFC 9110 §7.1 (a Host of the caller's own makes another target URI), §12.5.5.
 */

import { createHash } from "node:crypto";
import { destinationOf } from "../message/destination.ts";
import { type Headers, sameName } from "../message/headers.ts";
import { basicAuthorization, type Request } from "../message/request.ts";
import type { StoredResponse } from "./store.ts";

/** Caches with different rules may share a store, so the rules are part of the key. */
export function keyOf(request: Request, shared: boolean): string {
  const host = request.headers.get("host");
  return keyFor(shared, request.destination.origin, request.target, host);
}

function keyFor(shared: boolean, origin: string, target: string, host: string | null): string {
  return `${shared ? "shared" : "private"} ${origin}${target}${host === null ? "" : ` as ${host.toLowerCase()}`}`;
}

/**
 * Keys of what an answer to an unsafe request makes doubtful: its own URI, and those in Location and Content-Location that
 * have the same origin (RFC 9111 §4.4).
 */
export function keysInvalidated(request: Request, headers: Headers, shared: boolean): Set<string> {
  const keys = new Set([keyOf(request, shared)]);
  const { origin, target } = request.destination;
  keys.add(keyFor(shared, origin, target, null));
  for (const name of ["location", "content-location"]) {
    const value = headers.get(name);
    if (value === null) continue;
    try {
      const other = destinationOf(new URL(value, request.url).href);
      if (other.origin === origin) keys.add(keyFor(shared, origin, other.target, null));
    } catch {
      // It is no URL of a kind that could have been stored.
    }
  }
  return keys;
}

/** Whether the request goes out with an Authorization field. */
export function isAuthorized(request: Request): boolean {
  return request.hasField("authorization") || basicAuthorization(request) !== null;
}

/**
 * The fields of the request that choose a response, sorted; null where nothing can (`Vary: *`).
 *
 * Two are implied. In a private cache Authorization: one process may speak for many users, and what is one's is not
 * another's. And Accept-Encoding where the content is encoded: a caller that asks for an encoding gets it undecoded, and
 * others would get what they cannot read from a server that forgets to say Vary.
 */
export function varyOf(headers: Headers, encoded: boolean, shared: boolean): readonly string[] | null {
  const names = new Set<string>();
  for (const part of (headers.get("vary") ?? "").split(",")) {
    const name = part.trim().toLowerCase();
    if (name === "*") return null;
    if (name !== "") names.add(name);
  }
  if (!shared) names.add("authorization");
  if (encoded) names.add("accept-encoding");
  return [...names].sort();
}

/** What the request has to say in those fields, as a digest. */
export function variantOf(names: readonly string[], request: Request): string {
  if (names.length === 0) return "";
  const values = names.map((name) => {
    const value = saidIn(request, name);
    return value === null
      ? null
      : value
          .split(",")
          .map((part) => part.trim())
          .join(",");
  });
  return createHash("sha256")
    .update(JSON.stringify([names, values]))
    .digest("base64url");
}

/** The entry that was stored for such a request, the newest where there are several (RFC 9111 §4.1). */
export function select(entries: readonly StoredResponse[], request: Request): StoredResponse | null {
  let best: StoredResponse | null = null;
  for (const entry of entries) {
    if (best !== null && entry.responseTime < best.responseTime) continue;
    if (variantOf(entry.vary, request) === entry.variant) best = entry;
  }
  return best;
}

function saidIn(request: Request, name: string): string | null {
  if (name === "authorization") {
    const basic = basicAuthorization(request);
    if (basic !== null) return basic;
  }
  const values = request.pairs.filter((pair) => sameName(pair[0], name)).map(([, value]) => value);
  return values.length === 0 ? null : values.join(", ");
}
