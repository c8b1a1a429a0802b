/**
 * What can go wrong, as classes: one for each decision that a caller can take.
 *
 * Facts are fields, not text. The text says the action that failed, a colon, and the state; the raw error of the
 * system stays in `cause`. Header values and credentials never stand in a text.
 *
 * The second half of the file has the reasons for which the library itself closes a connection; they show in traces
 * and in `stats()`, and never reach a caller as an error class.
 */

import type { InspectOptions } from "node:util";
import { shownText } from "./secrets.ts";

/** What is known about the attempt that failed. Every field is optional: an error says what it knows. */
export interface ErrorFacts {
  /** The original error of the system or of the caller's own code. */
  cause?: unknown;
  /** What was being done: `"pool"`, `"dns"`, `"connect"`, `"tls"`, `"write"`, `"headers"`, `"body"`, … */
  phase?: Phase;
  /** `scheme://host:port` of the request, without credentials. */
  origin?: string;
  /** URL of the proxy, without credentials, where it is the proxy or the way to it that failed. */
  proxy?: string;
  /** 1 for the first attempt of a call, its wait for a connection and its dial included; each retry adds one. */
  attempt?: number;
  /** Whether the connection had been in the pool before, or was dialed for another request. */
  reused?: boolean;
  /** Bytes of this request handed to the socket in this attempt; over HTTP/2 the head counts as HTTP/1.1 would write it. */
  bytesSubmitted?: number;
  /** Bytes of this request that the kernel surely took in this attempt. */
  bytesAccepted?: number;
  /** Bytes of this request's response that came back. */
  bytesRead?: number;
  /**
   * True where sending again cannot do the same thing twice: nothing was written, or the method is idempotent
   * (RFC 9110 §9.2.2) or carries an Idempotency-Key and no byte of a response came.
   */
  safeToRetry?: boolean;
  /**
   * True where the peer has said that it did nothing with the request, or nobody handed it over: a protocol of
   * `nextProtocols` says so (HTTP/2: REFUSED_STREAM, GOAWAY, RFC 9113 §8.7), and then any request may go again.
   */
  unprocessed?: boolean;
  /**
   * True where the request stood behind others on its connection (option pipelining), which ended before its turn to be
   * answered. `bytesSubmitted` says whether it was written; `unprocessed`, that the answer in front of it said close, behind
   * which a server processes nothing (RFC 9112 §9.6).
   */
  behind?: boolean;
}

/** The phases of one exchange, as they stand in errors, time-outs and traces. */
export type Phase =
  | "pool"
  | "dns"
  | "connect"
  | "tls"
  | "proxy"
  | "write"
  | "headers"
  | "body"
  | "unread-body"
  | "stalled-reader"
  | "total";

/** In the order in which an error shows them. */
const FACT_NAMES = [
  "phase",
  "origin",
  "proxy",
  "attempt",
  "reused",
  "bytesSubmitted",
  "bytesAccepted",
  "bytesRead",
  "safeToRetry",
  "unprocessed",
  "behind",
] as const satisfies readonly (keyof ErrorFacts)[];
type FactName = (typeof FACT_NAMES)[number];

/** The base class of every error that this library makes. `code` is stable; the text is not. */
export abstract class HttpError extends Error {
  abstract readonly code: string;
  // Declared, not defined: an error has the fields that it knows, and shows no others.
  declare readonly phase?: Phase;
  declare origin?: string;
  declare proxy?: string;
  declare attempt?: number;
  declare reused?: boolean;
  declare bytesSubmitted?: number;
  declare bytesAccepted?: number;
  declare bytesRead?: number;
  declare safeToRetry?: boolean;
  declare unprocessed?: boolean;
  declare behind?: boolean;

  constructor(message: string, facts: ErrorFacts = {}) {
    super(message, "cause" in facts ? { cause: facts.cause } : undefined);
    this.addFacts(facts);
  }

  /** Adds what an outer station knows; never overwrites what an inner one said. @internal */
  addFacts(facts: ErrorFacts): this {
    const mine = this as Record<FactName, unknown>; // each field has the type that it has in ErrorFacts
    for (const name of FACT_NAMES) if (facts[name] !== undefined) mine[name] ??= facts[name];
    return this;
  }

  /** As any error is shown, its first line what happened and its last ones the facts, without the secrets of URLs. @internal */
  [Symbol.for("nodejs.util.inspect.custom")](
    depth: number,
    options: InspectOptions,
    inspect: (value: unknown, options: InspectOptions) => string,
  ): string {
    return shownText(inspect(this, { ...options, depth, customInspect: false }));
  }
}

/** You broke HTTP: the request cannot be sent as it is. Thrown before a connection is touched where it can be seen then. */
export class LocalProtocolError extends HttpError {
  override readonly name = "LocalProtocolError";
  readonly code = "ERR_HTTP_LOCAL_PROTOCOL";
  /** Which part of the request is wrong: `"method"`, `"url"`, `"header x-name"`, `"body"`, … */
  readonly field: string;
  constructor(field: string, message: string, facts?: ErrorFacts) {
    super(message, facts);
    this.field = field;
  }
}

/** The peer broke HTTP/1.1. The connection is closed before this is thrown. Never retried: bytes were exchanged. */
export class RemoteProtocolError extends HttpError {
  override readonly name: string = "RemoteProtocolError";
  readonly code: string = "ERR_HTTP_REMOTE_PROTOCOL";
  /** The rule that was broken, short: `"bare CR after the status line (RFC 9112 §2.2)"`, or llhttp's reason. */
  readonly reason: string;
  /** Where, in bytes from the start of this response's head or body part. */
  readonly offset: number;
  /** Some bytes around it, as latin1 with everything but printable ASCII escaped. */
  readonly excerpt: string;
  /** The flag of the option `lenient` that would have let it pass; absent where none would. */
  declare readonly lenient?: string;
  constructor(
    message: string,
    detail: { reason: string; offset: number; excerpt: string; lenient?: string | null },
    facts?: ErrorFacts,
  ) {
    super(message, facts);
    this.reason = detail.reason;
    this.offset = detail.offset;
    this.excerpt = detail.excerpt;
    if (detail.lenient != null) this.lenient = detail.lenient;
  }
}

/** More header bytes, header fields, 1xx responses or chunk overhead than the limits of the transport allow. */
export class HeaderLimitError extends RemoteProtocolError {
  override readonly name = "HeaderLimitError";
  override readonly code = "ERR_HTTP_HEADER_LIMIT";
  /** The option that set the limit, e.g. `"maxResponseHeaderBytes"`, and its value. */
  readonly option: string;
  readonly limit: number;
  constructor(option: string, limit: number, message: string, offset: number, facts?: ErrorFacts) {
    super(message, { reason: `${option} exceeded`, offset, excerpt: "" }, facts);
    this.option = option;
    this.limit = limit;
  }
}

/** The connection ended inside a framed body. What arrived before stays readable. */
export class IncompleteBodyError extends HttpError {
  override readonly name = "IncompleteBodyError";
  readonly code = "ERR_HTTP_INCOMPLETE_BODY";
  /** Body bytes promised by Content-Length; null where chunked framing promised none. */
  readonly expected: number | null;
  /** Body bytes received. */
  readonly received: number;
  constructor(message: string, expected: number | null, received: number, facts?: ErrorFacts) {
    super(message, { phase: "body", ...facts });
    this.expected = expected;
    this.received = received;
  }
}

/**
 * The content of a response cannot be decoded, or grows out of proportion. What was decoded before was delivered; the
 * bytes as received can be had with `decompress: false`.
 */
export class DecompressError extends HttpError {
  override readonly name = "DecompressError";
  readonly code = "ERR_HTTP_DECOMPRESS";
  /** `ratio`: see the option maxDecompressRatio; `trailing-data`: bytes behind the end of the encoded data. */
  readonly reason: "corrupt" | "truncated" | "trailing-data" | "ratio" | "too-many-codings";
  /** The coding that failed; all of them where they are too many. */
  readonly coding: string;
  /** Encoded bytes taken so far, and bytes that this coding made of them. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  constructor(
    message: string,
    detail: { reason: DecompressError["reason"]; coding: string; bytesIn: number; bytesOut: number },
    facts?: ErrorFacts,
  ) {
    super(message, facts);
    this.reason = detail.reason;
    this.coding = detail.coding;
    this.bytesIn = detail.bytesIn;
    this.bytesOut = detail.bytesOut;
  }
}

/** The connection ended before a response, or while it was written to. The facts say when, and after how many bytes. */
export class ConnectionClosedError extends HttpError {
  override readonly name = "ConnectionClosedError";
  readonly code = "ERR_HTTP_CONNECTION_CLOSED";
}

/** One address that was tried while dialing. */
export interface DialAttempt {
  /** IP address, or the path of a unix socket. */
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6 | 0;
  /** The system's error code, `"aborted"`, `"refused-by-policy"`, … */
  readonly outcome: string;
  /** Milliseconds from the attempt's start to its outcome. */
  readonly ms: number;
}

/** No connection could be made. `attempts` has every address that was tried. Always safe to retry. */
export class DialError extends HttpError {
  override readonly name = "DialError";
  readonly code = "ERR_HTTP_DIAL";
  readonly attempts: readonly DialAttempt[];
  constructor(message: string, attempts: readonly DialAttempt[], facts?: ErrorFacts) {
    super(message, { safeToRetry: true, ...facts });
    this.attempts = attempts;
  }
}

/** What a proxy has answered to CONNECT, where it was not a tunnel. */
export interface ProxyAnswer {
  readonly status: number;
  /** As received, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The start of the body as latin1, 4 KiB at most: proxies say in it what they have against the request. */
  readonly body: string;
}

/**
 * The proxy refused, failed or cannot be used as it was given. Nothing of the request was sent. `status` is null where it
 * did not answer in HTTP. Its credentials stand nowhere in this error.
 */
export class ProxyError extends HttpError {
  override readonly name = "ProxyError";
  readonly code = "ERR_HTTP_PROXY";
  readonly status: number | null;
  readonly headers: ProxyAnswer["headers"];
  readonly body: string;
  constructor(message: string, answer: ProxyAnswer | null, facts?: ErrorFacts) {
    super(message, { phase: "proxy", safeToRetry: true, ...facts });
    this.status = answer?.status ?? null;
    this.headers = answer?.headers ?? [];
    this.body = answer?.body ?? "";
  }
}

/** The pins that a peer's certificates were to match, and those that would have matched. */
export interface PinMismatch {
  readonly expected: readonly string[];
  /** The keys of its chain as `sha256/BASE64`, from the leaf on, then the leaf's SHA-256 fingerprint. */
  readonly seen: readonly string[];
}

/** The TLS handshake failed, the peer does not speak TLS, or it is not whom `tls.pins` name. */
export class TlsError extends HttpError {
  override readonly name = "TlsError";
  readonly code = "ERR_HTTP_TLS";
  /** Null where pins are not the matter. */
  readonly pins: PinMismatch | null;
  constructor(message: string, facts?: ErrorFacts, pins: PinMismatch | null = null) {
    super(message, { phase: "tls", safeToRetry: true, ...facts });
    this.pins = pins;
  }
}

/** A time limit was reached. `phase` says in what, `option` which setting set it, `limit` its value in milliseconds. */
export class TimeoutError extends HttpError {
  override readonly name: string = "TimeoutError";
  readonly code: string = "ERR_HTTP_TIMEOUT";
  readonly option: string;
  readonly limit: number;
  constructor(phase: Phase, option: string, limit: number, message: string, facts?: ErrorFacts) {
    super(message, { phase, ...facts });
    this.option = option;
    this.limit = limit;
  }
}

/** No connection became free within `poolTimeout`: tells how many wait and what holds the connections. */
export class PoolTimeoutError extends TimeoutError {
  override readonly name = "PoolTimeoutError";
  override readonly code = "ERR_HTTP_POOL_TIMEOUT";
  /** Requests that waited for the same key, this one included. */
  readonly waiting: number;
  /** Slots of the key by what they do. */
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
  /** Milliseconds since the oldest busy connection was given out; null where none is busy. */
  readonly oldestBusyMs: number | null;
  constructor(
    limit: number,
    message: string,
    state: { waiting: number; dialing: number; busy: number; idle: number; oldestBusyMs: number | null },
    facts?: ErrorFacts,
  ) {
    super("pool", "poolTimeout", limit, message, { safeToRetry: true, ...facts });
    this.waiting = state.waiting;
    this.dialing = state.dialing;
    this.busy = state.busy;
    this.idle = state.idle;
    this.oldestBusyMs = state.oldestBusyMs;
  }
}

/** The transport was closed or destroyed. */
export class TransportClosedError extends HttpError {
  override readonly name = "TransportClosedError";
  readonly code = "ERR_HTTP_TRANSPORT_CLOSED";
}

/** A request whose body can be read only once was sent a second time. Thrown before a connection is touched. */
export class BodyUsedError extends HttpError {
  override readonly name = "BodyUsedError";
  readonly code = "ERR_HTTP_BODY_USED";
}

/**
 * An answer sends the request elsewhere, and that is not followed: the option `redirect` says so, or its Location is no
 * URL that could be, or it leads away from https under `httpsOnly`. The answer's body is closed.
 */
export class RedirectError extends HttpError {
  override readonly name: string = "RedirectError";
  readonly code: string = "ERR_HTTP_REDIRECT";
  /** Of the answer. */
  readonly status: number;
  /** What answered so. */
  readonly url: string;
  /** Where it leads, resolved and without credentials; null where that could not be read. */
  readonly location: string | null;
  constructor(message: string, detail: { status: number; url: string; location: string | null }, facts?: ErrorFacts) {
    super(message, facts);
    this.status = detail.status;
    this.url = detail.url;
    this.location = detail.location;
  }
}

/** More redirects than `maxRedirects` allows: a loop, most of the time. */
export class TooManyRedirectsError extends RedirectError {
  override readonly name = "TooManyRedirectsError";
  override readonly code = "ERR_HTTP_TOO_MANY_REDIRECTS";
  /** Redirects that were followed. */
  readonly limit: number;
  constructor(
    limit: number,
    message: string,
    detail: { status: number; url: string; location: string | null },
    facts?: ErrorFacts,
  ) {
    super(message, detail, facts);
    this.limit = limit;
  }
}

/** Our own mistake: a rule that the code relies on does not hold. Closes one connection and fails one request. */
export class InvariantError extends HttpError {
  override readonly name = "InvariantError";
  readonly code = "ERR_HTTP_INVARIANT";
}

/**
 * Why a connection was closed, one word per cause.
 *
 * Not closed by us, or closed while idle: `server-closed-idle`, `idle-error`, `unsolicited-bytes`, `idle-timeout`,
 * `learned-idle-timeout` (asked for at an age at which its server is about to close it), `too-many-idle`, `too-many-idle-per-host`, `close-idle-connections`.
 * After an answer: `response-says-close`, `request-says-close`, `close-delimited`, `peer-half-closed`,
 * `write-unfinished`, `keep-alive-disabled`, `lenient-parse`.
 * Within an exchange: `aborted`, `timeout`, `protocol-error`, `socket-error`, `server-closed`, `body-error`,
 * `body-closed-early`, `incomplete-body`, `invariant`.
 * From outside: `transport-closed`, `transport-destroyed`, `dial-unwanted`, `handed-over` (101, CONNECT: however its
 * taker closed it).
 */
export type CloseReason =
  | "server-closed-idle"
  | "idle-error"
  | "unsolicited-bytes"
  | "idle-timeout"
  | "learned-idle-timeout"
  | "too-many-idle"
  | "too-many-idle-per-host"
  | "close-idle-connections"
  | "response-says-close"
  | "request-says-close"
  | "close-delimited"
  | "peer-half-closed"
  | "write-unfinished"
  | "keep-alive-disabled"
  | "lenient-parse"
  | "aborted"
  | "timeout"
  | "protocol-error"
  | "socket-error"
  | "server-closed"
  | "body-error"
  | "body-closed-early"
  | "incomplete-body"
  | "invariant"
  | "transport-closed"
  | "transport-destroyed"
  | "dial-unwanted"
  | "handed-over";
