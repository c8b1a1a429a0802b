/**
 * How a request body is framed: the choice, and what may stand behind a chunked one. Pure.
 *
 * RFC 9112 §6 (message body), §7.1 (chunked); RFC 9110 §6.5.1 (trailers), §8.6 (Content-Length), §9.3.
 */

import { LocalProtocolError } from "../errors.ts";
import { cutBlanks } from "./abnf.ts";

/** How the receiver finds the end of a request body. */
export type RequestFraming =
  | { readonly kind: "none" }
  | { readonly kind: "content-length"; readonly length: number }
  | { readonly kind: "chunked" };

export const NO_BODY: RequestFraming = { kind: "none" };
const CHUNKED: RequestFraming = { kind: "chunked" };
const EMPTY_BODY: RequestFraming = { kind: "content-length", length: 0 };

/** What bears on the framing of one request. */
export interface FramingInput {
  /** As sent; case-sensitive (RFC 9110 §9.1). */
  readonly method: string;
  /** In bytes; null when only its stream knows; undefined when there is no body. */
  readonly bodyLength: number | null | undefined;
  /** Whether trailer fields shall follow. */
  readonly trailers: boolean;
  /** The value of the caller's own field; null where there is none. */
  readonly contentLength: string | null;
  readonly transferEncoding: string | null;
}

/**
 * Chooses how a request body is framed. A caller's field decides where it says something true.
 *
 * @returns "none" also for an empty body, except where RFC 9110 §8.6 wants a Content-Length: 0
 * @throws {LocalProtocolError} the caller's fields contradict each other or the body; TRACE or CONNECT with a body
 *   (RFC 9110 §9.3.8, §9.3.6); trailers without a body to chunk
 */
export function chooseFraming(input: FramingInput): RequestFraming {
  const { method, bodyLength, trailers, contentLength, transferEncoding } = input;
  const hasBody = bodyLength !== undefined && bodyLength !== 0;
  if (hasBody && method === "TRACE") throw wrong("body", "TRACE has no body (RFC 9110 §9.3.8)");
  if (hasBody && method === "CONNECT") throw wrong("body", "CONNECT has no body (RFC 9110 §9.3.6)");

  if (transferEncoding !== null) {
    if (contentLength !== null) {
      throw wrong("header transfer-encoding", "it stands beside a Content-Length (RFC 9112 §6.2)");
    }
    if (cutBlanks(transferEncoding).toLowerCase() !== "chunked") {
      throw wrong("header transfer-encoding", "only chunked can be sent (RFC 9112 §6.1)");
    }
    if (bodyLength === undefined) throw wrong("header transfer-encoding", "there is no body");
    return CHUNKED;
  }
  if (contentLength !== null) {
    if (trailers)
      throw wrong("trailers", "only a chunked body has them, and Content-Length was given (RFC 9112 §7.1.2)");
    const length = declaredLength(contentLength);
    if (bodyLength !== null && length !== (bodyLength ?? 0)) {
      throw wrong("header content-length", `it says ${length} bytes, the body has ${bodyLength ?? 0} (RFC 9110 §8.6)`);
    }
    return { kind: "content-length", length };
  }
  if (trailers) {
    if (bodyLength === undefined) throw wrong("trailers", "there is no body before them (RFC 9112 §7.1.2)");
    return CHUNKED;
  }
  if (bodyLength === null) return CHUNKED;
  if (hasBody) {
    if (!Number.isSafeInteger(bodyLength) || bodyLength < 0) throw wrong("body", "its length is no number of bytes");
    return { kind: "content-length", length: bodyLength };
  }
  // RFC 9110 §8.6: a method whose body means something says that there is none.
  return method === "POST" || method === "PUT" || method === "PATCH" ? EMPTY_BODY : NO_BODY;
}

/** Content-Length = 1*DIGIT, up to what a double counts. */
function declaredLength(value: string): number {
  const digits = cutBlanks(value);
  const length = Number(digits);
  if (!/^[0-9]+$/.test(digits) || !Number.isSafeInteger(length)) {
    throw wrong("header content-length", "it is no number of bytes (RFC 9110 §8.6)");
  }
  return length;
}

/**
 * Fields that a recipient needs before the content, or must never merge from behind it: framing, routing, modifiers,
 * authentication, content format (RFC 9110 §6.5.1).
 */
const FORBIDDEN_TRAILERS = new Set(
  (
    "transfer-encoding content-length host trailer te connection keep-alive proxy-connection upgrade expect max-forwards " +
    "cache-control pragma range if-match if-none-match if-modified-since if-unmodified-since if-range authorization " +
    "proxy-authorization cookie set-cookie content-encoding content-type content-range"
  ).split(" "),
);

export function isForbiddenTrailer(name: string): boolean {
  return FORBIDDEN_TRAILERS.has(name.toLowerCase());
}

function wrong(field: string, state: string): LocalProtocolError {
  return new LocalProtocolError(field, `Cannot write request, ${field}: ${state}`);
}
