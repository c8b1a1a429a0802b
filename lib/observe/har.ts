/**
 * A recording as an HTTP Archive, HAR 1.2, for the browsers' developer tools: one entry for each attempt. Pure.
 *
 * Bodies are not in it, but for their sizes. What a HAR has no place for stands in fields that begin with an underscore,
 * as the format has it: the connection's life in `_events`, failures in `_error`.
 *
 * The format: http://www.softwareishard.com/blog/har-12-spec/
 */

import { VERSION } from "../options.ts";
import { HIDDEN } from "../secrets.ts";
import type { TraceFields } from "../trace.ts";
import type { RecordedAttempt, Recording } from "./recording.ts";
import { errorWords, explain } from "./words.ts";

interface Pair {
  readonly name: string;
  readonly value: string;
}

export interface HarEntry {
  readonly startedDateTime: string;
  readonly time: number;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly httpVersion: string;
    readonly cookies: readonly Pair[];
    readonly headers: readonly Pair[];
    readonly queryString: readonly Pair[];
    readonly headersSize: number;
    readonly bodySize: number;
  };
  readonly response: {
    readonly status: number;
    readonly statusText: string;
    readonly httpVersion: string;
    readonly cookies: readonly Pair[];
    readonly headers: readonly Pair[];
    readonly content: { readonly size: number; readonly mimeType: string };
    readonly redirectURL: string;
    readonly headersSize: number;
    readonly bodySize: number;
    /** Why there is no answer, or no whole one. */
    readonly _error?: string;
  };
  readonly cache: Readonly<Record<string, never>>;
  /** Milliseconds; -1 where it did not happen. `connect` has `ssl` in it. */
  readonly timings: {
    readonly blocked: number;
    readonly dns: number;
    readonly connect: number;
    readonly ssl: number;
    readonly send: number;
    readonly wait: number;
    readonly receive: number;
  };
  readonly serverIPAddress?: string;
  /** The id of the connection. */
  readonly connection?: string;
  /** What happened, in words, each with its milliseconds since the attempt began. */
  readonly _events: readonly { readonly at: number; readonly text: string }[];
}

export interface Har {
  readonly log: {
    readonly version: "1.2";
    readonly creator: { readonly name: string; readonly version: string };
    readonly entries: readonly HarEntry[];
    readonly comment?: string;
  };
}

// biome-ignore lint/style/noRestrictedGlobals: its arithmetic of the calendar is used, never its clock
const Calendar = Date;

/** The archive as data: `JSON.stringify` makes the file of it. */
export function har(recording: Recording): Har {
  const { attempts, connections, dropped } = recording;
  const addresses = new Map(connections.map(({ id, remoteAddress }) => [id, remoteAddress]));
  const entries = attempts.map((attempt) => entryOf(attempt, addresses.get(attempt.connection ?? -1) ?? null));
  const comment = dropped === 0 ? {} : { comment: `${dropped} attempts or connections are not in it (maxAttempts)` };
  return { log: { version: "1.2", creator: { name: "persistconn", version: VERSION }, entries, ...comment } };
}

function entryOf(attempt: RecordedAttempt, address: string | null): HarEntry {
  const timings = timingsOf(attempt);
  const { blocked, dns, connect, send, wait, receive } = timings;
  const time = [blocked, dns, connect, send, wait, receive].reduce((sum, ms) => sum + Math.max(0, ms), 0);
  const { requestHeaders, responseHeaders, error, from } = attempt;
  return {
    startedDateTime: new Calendar(attempt.startedAt).toISOString(),
    time,
    request: {
      method: attempt.method,
      url: attempt.url,
      httpVersion: attempt.httpVersion === "2" ? "HTTP/2" : "HTTP/1.1",
      cookies: cookiesOf(requestHeaders, "cookie"),
      headers: pairsOf(requestHeaders),
      queryString: queryOf(attempt.url),
      headersSize: -1,
      bodySize: -1,
    },
    response: {
      status: attempt.status ?? 0,
      statusText: attempt.statusText,
      httpVersion: attempt.status === null ? "" : `HTTP/${attempt.httpVersion}`,
      cookies: cookiesOf(responseHeaders, "set-cookie"),
      headers: pairsOf(responseHeaders),
      content: { size: attempt.bytesReceived, mimeType: firstOf(responseHeaders, "content-type") ?? "" },
      redirectURL: attempt.redirectUrl,
      headersSize: -1,
      bodySize: attempt.bytesReceived,
      ...(error === undefined ? {} : { _error: errorWords(error) }),
    },
    cache: {},
    timings,
    ...(address === null ? {} : { serverIPAddress: address }),
    ...(attempt.connection === null ? {} : { connection: `${attempt.connection}` }),
    _events: attempt.events.map((event) => ({ at: event.at - from, text: explain(event) })),
  };
}

/** Where its time went, one after the other; an answer that overtakes its request leaves nothing to wait for. */
function timingsOf(attempt: RecordedAttempt): HarEntry["timings"] {
  const { from, dialedAt, resolvedAt, connectedAt, securedAt, assignedAt, firstByteAt, endAt } = attempt;
  let at = from;
  const since = (to: number | null): number => {
    if (to === null || to < at) return 0;
    const ms = to - at;
    at = to;
    return ms;
  };
  const blocked = since(dialedAt ?? assignedAt ?? endAt);
  const dns = resolvedAt === null ? -1 : since(resolvedAt);
  const tcp = connectedAt === null ? -1 : since(connectedAt);
  const ssl = securedAt === null ? -1 : since(securedAt);
  const waited = since(assignedAt); // the poll in which a new connection is watched
  const send = since(attempt.sentAt ?? firstByteAt);
  const wait = since(firstByteAt);
  const receive = since(endAt);
  const connect = tcp < 0 ? -1 : tcp + Math.max(0, ssl);
  return { blocked: blocked + waited, dns, connect, ssl, send, wait, receive };
}

function pairsOf(fields: TraceFields): Pair[] {
  return fields.map(([name, value]) => ({ name, value }));
}

function queryOf(url: string): Pair[] {
  if (!URL.canParse(url)) return [];
  return [...new URL(url).searchParams].map(([name, value]) => ({ name, value }));
}

/** Of hidden ones there is nothing to take apart. */
function cookiesOf(fields: TraceFields, field: "cookie" | "set-cookie"): Pair[] {
  return fields
    .filter(([name, value]) => name.toLowerCase() === field && value !== HIDDEN)
    .flatMap(([, value]) => (field === "cookie" ? value.split(";") : value.split(";", 1)))
    .map((pair) => {
      const equals = pair.indexOf("=");
      return { name: pair.slice(0, Math.max(0, equals)).trim(), value: pair.slice(equals + 1).trim() };
    });
}

function firstOf(fields: TraceFields, lower: string): string | null {
  return fields.find(([name]) => name.toLowerCase() === lower)?.[1] ?? null;
}
