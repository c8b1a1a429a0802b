/**
 * The fields of a message between HTTP/1.1 and HTTP/2. Pure.
 *
 * A request comes as the head that HTTP/1.1 would send, so that both carry the same fields, checked by the same rules;
 * what belongs to one connection stays behind.
 *
 * RFC 9113 §8.2 (fields), §8.2.2 (connection-specific ones), §8.2.3 (cookies), §8.3.1 (pseudo-fields of a request).
 */

import type { OutgoingHttpHeaders } from "node:http2";
import { LocalProtocolError } from "../errors.ts";
import { isForbiddenTrailer } from "../wire/body-framing.ts";

/** Of the connection alone, whatever Connection names besides (RFC 9113 §8.2.2). */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

type Pair = readonly [name: string, value: string];

/**
 * The fields of a request, pseudo-fields first.
 *
 * @param head as `writeHead` has made it: every byte of it was checked there
 */
export function requestFields(head: string, scheme: string): OutgoingHttpHeaders {
  const [requestLine = "", ...lines] = head.split("\r\n");
  const [method = "", path = ""] = requestLine.split(" ");
  const pairs: Pair[] = [];
  const dropped = new Set(CONNECTION_SPECIFIC);
  let authority = "";
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 0) continue; // the empty lines at the end
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "host") authority = value;
    else pairs.push([name, value]);
    if (name === "connection") for (const option of value.split(",")) dropped.add(option.trim().toLowerCase());
  }
  dropped.delete("te"); // the one that goes on, with the one word that the writer lets pass
  const fields = { ":method": method, ":scheme": scheme, ":authority": authority, ":path": path };
  return { ...fields, ...record(pairs.filter(([name]) => !dropped.has(name))) };
}

/** @throws {LocalProtocolError} one that may not come after a body (RFC 9110 §6.5.1) */
export function trailerFields(pairs: readonly Pair[]): OutgoingHttpHeaders {
  for (const [name] of pairs) {
    if (!isForbiddenTrailer(name)) continue;
    const lower = name.toLowerCase();
    throw new LocalProtocolError(`trailer ${lower}`, `Cannot send trailer ${lower}: it may not come after the body`);
  }
  return record(pairs.map(([name, value]) => [name.toLowerCase(), value]));
}

/** Repeated fields keep their order among themselves; the crumbs of a cookie are one again. */
function record(pairs: readonly Pair[]): OutgoingHttpHeaders {
  const fields: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of pairs) {
    const there = fields[name];
    if (there === undefined) fields[name] = value;
    else if (name === "cookie") fields[name] = `${there}; ${value}`;
    else if (typeof there === "string") fields[name] = [there, value];
    else there.push(value);
  }
  return fields;
}

/** The head or the trailers of a response, from the list that node:http2 gives: name, value, name, value. */
export interface ReceivedFields {
  /** 0 where there is none: trailers. */
  readonly status: number;
  readonly pairs: readonly Pair[];
  /** As the limits count them: names, values and 32 bytes each (RFC 9113 §6.5.2). */
  readonly bytes: number;
}

export function receivedFields(raw: readonly string[]): ReceivedFields {
  const pairs: Pair[] = [];
  let status = 0;
  let bytes = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string; // i + 1 is below the length
    const value = raw[i + 1] as string;
    bytes += name.length + value.length + 32;
    if (name === ":status") status = Number(value);
    else if (!name.startsWith(":")) pairs.push([name, value]);
  }
  return { status, pairs, bytes };
}

/** All values of a field as one; null where there is none (RFC 9110 §5.3). */
export function fieldOf(pairs: readonly Pair[], name: string): string | null {
  const values = pairs.filter(([other]) => other === name).map(([, value]) => value);
  return values.length === 0 ? null : values.join(", ");
}
