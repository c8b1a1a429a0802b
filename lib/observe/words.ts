/**
 * Each event of the stream in a sentence, and each reason in words: what a reader wants who was not there. The words are
 * part of the public interface. Pure.
 *
 * Never: shows a secret. What an error says is not ours alone, so its text is looked through.
 */

import { type CloseReason, TimeoutError } from "../errors.ts";
import { shownText } from "../secrets.ts";
import type { TraceEvent } from "../trace.ts";

/** Why a connection was closed. */
export const CLOSE_WORDS: Readonly<Record<CloseReason, string>> = {
  "server-closed-idle": "the server closed it while it was idle",
  "idle-error": "it broke while it was idle",
  "unsolicited-bytes": "bytes came that nobody had asked for (RFC 9112 §9.2)",
  "idle-timeout": "it was idle for too long (idleConnTimeout, or the server's Keep-Alive)",
  "learned-idle-timeout": "its server has closed others that were idle for about as long (learnIdleTimeout)",
  "too-many-idle": "more were idle than maxIdleConns allows, and it was the one unused longest",
  "too-many-idle-per-host": "more were idle for its key than maxIdleConnsPerHost allows",
  "close-idle-connections": "closeIdleConnections() was called",
  "response-says-close": "the answer said that it is the last (RFC 9112 §9.3)",
  "request-says-close": "the request said that it is the last (RFC 9112 §9.6)",
  "close-delimited": "only its end could tell the end of the body (RFC 9112 §6.3)",
  "peer-half-closed": "the server had closed its side",
  "write-unfinished": "the answer was whole before the request was, and nobody wants the rest (RFC 9112 §9.5)",
  "keep-alive-disabled": "connections are used once (keepAlive or maxIdleConnsPerHost)",
  "lenient-parse": "the answer was read with leniency",
  aborted: "its call was aborted",
  timeout: "a time limit was reached",
  "protocol-error": "the server broke HTTP/1.1",
  "socket-error": "it broke",
  "server-closed": "the server closed it before it had answered",
  "body-error": "the request's body failed",
  "body-closed-early": "the reader left the body before its end",
  "incomplete-body": "it ended within the body of an answer",
  invariant: "a rule of this library did not hold",
  "transport-closed": "the transport was closed",
  "transport-destroyed": "the transport was destroyed",
  "dial-unwanted": "nobody waited for it any more",
  "handed-over": "it had been handed over, and its taker is through with it",
};

/** What happened, in a sentence without its subject: that is the call, or the connection where there is none. */
export function explain(event: TraceEvent): string {
  switch (event.type) {
    case "call-start":
      return `${event.method} ${event.url} begins${event.hop > 0 ? `, after ${counted(event.hop, "redirect")}` : ""}`;
    case "retry":
      return `is sent again, since ${event.reason}; this attempt failed with ${errorWords(event.error)}`;
    case "retry-refused":
      return `is not sent again, since ${event.reason}`;
    case "redirect":
      return redirectWords(event);
    case "call-failed":
      return `fails: ${errorWords(event.error)}`;
    case "body-failed":
      return `fails in the body of the answer: ${errorWords(event.error)}`;
    case "pool-wait":
      return waitWords(event);
    case "pool-assigned":
      return assignedWords(event);
    case "connection-idle": {
      const keep = event.keepMs > 0 ? `for at most ${round(event.keepMs)} ms` : "without a limit";
      return `goes into the pool, ${keep}, after ${counted(event.served, "exchange")}`;
    }
    case "dial-start": {
      const through = event.proxy === undefined ? "" : ` through ${event.proxy}`;
      return `a connection is dialed for it, to ${address(event.host, event.port)}${through}`;
    }
    case "connection-passed-over":
      return `does not get connection ${event.id}, idle for ${round(event.idleMs)} ms: its server closes them at about ${round(event.closesAfterMs)} ms`;
    case "connection-returned":
      return event.refused === null
        ? "has given its connection back"
        : `has given its connection back, which is closed: ${CLOSE_WORDS[event.refused]}`;
    case "dns-start":
      return `asks for the addresses of ${event.host}`;
    case "dns-failed":
      return `its host's name is not resolved: ${errorWords(event.error)}`;
    case "tls-start":
      return "begins TLS";
    case "tls-failed":
      return `its TLS failed: ${errorWords(event.error)}`;
    case "request-head":
      return "has written its head";
    case "continue-wait":
      return "holds its body back until a 100 comes (Expect)";
    case "dns-done":
      return `its host's name is resolved: ${event.addresses.join(", ")}`;
    case "connect-start":
      return `tries ${address(event.address, event.port)}`;
    case "connect-done":
      return `${address(event.tried.address, event.tried.port)}: ${event.tried.outcome}`;
    case "tls-done": {
      const facts = [event.protocol, event.cipher, event.alpn === null ? null : `ALPN ${event.alpn}`];
      const known = facts.filter((fact) => fact !== null).join(", ");
      return `TLS stands: ${known}${event.resumed ? ", the session resumed" : ""}`;
    }
    case "tunnel-start":
      return `asks ${event.proxy} for a tunnel to ${event.target}`;
    case "tunnel-done":
      return `has its tunnel${event.status === null ? "" : `: the proxy answered ${event.status}`}`;
    case "dial-done":
      return `its dial has made connection ${event.id}`;
    case "dial-failed":
      return `its dial failed: ${errorWords(event.error)}`;
    case "dial-abandoned":
      return "its dial is given up, since nobody waits for it";
    case "request-write":
      return `begins to write: ${counted(event.bytes, "byte")}`;
    case "request-sent":
      return `is sent: ${counted(event.bytes, "byte")}`;
    case "first-byte":
      return "hears the first byte of an answer";
    case "information":
      return `hears ${event.status}, and waits for the answer`;
    case "head": {
      const early = event.early ? ", before the request was wholly sent" : "";
      return `is answered with ${event.status} ${event.statusText}`.trimEnd() + early;
    }
    case "end":
      return `has its last byte: ${counted(event.bytes, "byte")} of answer`;
    case "handed-over":
      return `is answered with ${event.status}: the connection is the caller's now`;
    case "connection-closed":
      return event.call === null
        ? `is closed: ${CLOSE_WORDS[event.reason]}`
        : `its connection is closed: ${CLOSE_WORDS[event.reason]}`;
    case "body-data":
      return `hears ${counted(event.bytes, "byte")} of body`;
    case "body-sent":
      return `has written ${counted(event.bytes, "byte")} of body`;
  }
}

/** `call 3`, `call 3, attempt 2`, `connection 1`: whom `explain` speaks of. */
export function subjectOf(event: TraceEvent): string {
  if (event.call === null) return event.connection === null ? "the transport" : `connection ${event.connection}`;
  return event.attempt > 1 ? `call ${event.call}, attempt ${event.attempt}` : `call ${event.call}`;
}

/** What failed: of a time limit its phase, its option and its value, of all else the class and its text. */
export function errorWords(error: unknown): string {
  if (error instanceof TimeoutError) {
    return `${error.name}: phase ${error.phase}, no progress within ${error.limit} ms (option ${error.option})`;
  }
  if (error instanceof Error) return shownText(`${error.name}: ${error.message}`);
  return `${typeof error === "string" ? shownText(error) : `a thrown ${typeof error}`}`;
}

function waitWords({ idle, waiting, dials, busy, limit, ahead, holders }: TraceEvent & { type: "pool-wait" }): string {
  if (idle > waiting)
    return `asks for a connection: ${idle} idle, and the one used last is its own if it lives for a poll`;
  const held = holders.length === 0 ? "" : `, held by ${calls(holders)}`;
  const line = waiting === 0 ? "" : `, behind ${ahead.length === 0 ? `${waiting} others` : calls(ahead)}`;
  const slots = `${busy} busy${held}, ${dials} dialing, ${idle} idle`;
  if (limit > 0 && busy + dials + idle >= limit) {
    return `waits for a connection${line}: the limit of ${limit} (maxConnsPerHost) is reached (${slots})`;
  }
  return `asks for a connection${line}: none is free (${slots}), so one is dialed, and it takes whichever comes first`;
}

function assignedWords(event: TraceEvent & { type: "pool-assigned" }): string {
  const { reused, served, connection, dialLeft, behind } = event;
  if (behind !== undefined)
    return `is sent on connection ${connection} behind ${calls(behind)}, whose answers come first`;
  if (!reused) return `gets connection ${connection}, dialed for it`;
  const which = served > 0 ? `used ${counted(served, "time")} before` : "dialed for another call, and not yet used";
  const left = dialLeft ? "; it came back before the dial begun for this call had ended, which goes on for others" : "";
  return `gets connection ${connection}, ${which}${left}`;
}

function redirectWords({ status, method, url, crossed, dropped }: TraceEvent & { type: "redirect" }): string {
  const where = crossed ? "another origin" : "the same origin";
  const behind =
    dropped.length === 0 ? "" : `; ${dropped.join(", ")} ${dropped.length === 1 ? "stays" : "stay"} behind`;
  return `is sent on by ${status}: ${method} ${url}, ${where}${behind}`;
}

function calls(ids: readonly number[]): string {
  return `${ids.length === 1 ? "call" : "calls"} ${ids.join(", ")}`;
}

function counted(n: number, one: string): string {
  return `${n} ${n === 1 ? one : `${one}s`}`;
}

function round(ms: number): number {
  return Math.round(ms);
}

function address(host: string, port: number): string {
  if (port === 0) return host; // the path of a unix socket
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
