/**
 * What the response parser tells its reader, in the order in which it comes off the wire:
 * `information`* `head` `data`* `trailers`? `end`. After `end` nothing until the next `begin()`.
 */

/** Ordered field lines as received: names in their case, values latin1 with outer blanks cut, repeats kept. */
export interface FieldLines {
  readonly length: number;
  name(index: number): string;
  value(index: number): string;
}

/**
 * How a response body ends (RFC 9112 §6.3): `none` no body; `length` after `contentLength` bytes; `chunked`;
 * `close` when the connection ends; `tunnel` never: 101, or a 2xx to CONNECT, and the bytes that follow are not HTTP.
 */
export type ResponseFraming = "none" | "length" | "chunked" | "close" | "tunnel";

/** The head of one response, 1xx or final. Its parts are cut from one string when they are asked for. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  readonly minorVersion: 0 | 1;
  readonly fields: FieldLines;
  readonly framing: ResponseFraming;
  /** Body bytes when `framing` is "length" (0 is "none"), else null. What a HEAD or 304 declares is in `fields`. */
  readonly contentLength: number | null;
  /** The Content-Encoding fields, joined by ", " (RFC 9110 §5.3); null where there is none. */
  readonly contentEncoding: string | null;
  /** Whether, as far as this message says, the connection may serve another exchange (RFC 9112 §9.3). */
  readonly keepAlive: boolean;
  /** `Keep-Alive: timeout=…` in milliseconds, `max=…` in requests; null where absent. */
  readonly keepAliveTimeoutMs: number | null;
  readonly keepAliveMax: number | null;
}

export interface ResponseSink {
  /** A 1xx response other than 101. */
  information(head: ResponseHead): void;
  /** The final response, or 101. */
  head(head: ResponseHead): void;
  /** Body bytes `view[start, end)`, chunk framing removed. Lent: valid until this returns. */
  data(view: Uint8Array, start: number, end: number): void;
  /** The trailer section of a chunked body, where it has fields. */
  trailers(fields: FieldLines): void;
  /** The message is complete. */
  end(): void;
}

/** Limits of one exchange: over all its 1xx heads, its head and its trailers together. */
export interface ParserLimits {
  /** `maxResponseHeaderBytes`, default 256 KiB. */
  readonly headBytesMax: number;
  /** `maxResponseHeaders`, default 1,000 fields. */
  readonly headerCountMax: number;
  /** `max1xxResponses`, default 32. */
  readonly informationMax: number;
  /** What may pass, as made by `lenientMask`; absent: nothing, and errors do not say what could. */
  readonly lenient?: number;
}
