/**
 * What a response head means: status, framing, whether the connection may go on. Pure: gets the text that llhttp let
 * pass and the spans that it found, and gives a ResponseHead, or refuses what llhttp should not have let pass.
 *
 * Framing is computed here from the fields, never taken from llhttp; where the two disagree the response is refused.
 *
 * RFC 9112 §2.3 (version), §4 (status line), §6.1–6.3 (framing), §9.3 (persistence); RFC 9110 §8.6, §9.3.2, §9.3.6, §15.
 */

import { cutBlanks } from "./abnf.ts";
import { TextFieldLines } from "./field-lines.ts";
import { type LenientFlag, lets } from "./lenient.ts";
import { SPAN_NUMBERS, type SpanStore } from "./llhttp/binding.ts";
import type { FieldLines, ResponseFraming, ResponseHead } from "./parser-events.ts";

/** Why a head was refused: thrown here, made a RemoteProtocolError by the parser, which knows what was being read. */
export class HeadRefusal {
  readonly reason: string;
  /** In bytes from the start of the head. */
  readonly offset: number;
  /** What would have let it pass. */
  readonly lenient: LenientFlag | null;
  constructor(reason: string, offset: number, lenient: LenientFlag | null = null) {
    this.reason = reason;
    this.offset = offset;
    this.lenient = lenient;
  }
}

/** What of the request decides how its response is framed. */
export type RequestKind = "head" | "connect" | "other";

/** @param method as sent; case-sensitive (RFC 9110 §9.1) */
export function requestKind(method: string): RequestKind {
  return method === "HEAD" ? "head" : method === "CONNECT" ? "connect" : "other";
}

class ParsedHead implements ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly minorVersion: 0 | 1;
  readonly fields: FieldLines;
  readonly framing: ResponseFraming;
  readonly contentLength: number | null;
  readonly contentEncoding: string | null;
  readonly keepAlive: boolean;
  readonly keepAliveTimeoutMs: number | null;
  readonly keepAliveMax: number | null;

  constructor(
    status: number,
    statusText: string,
    minorVersion: 0 | 1,
    fields: FieldLines,
    framing: ResponseFraming,
    contentLength: number | null,
    contentEncoding: string | null,
    keepAlive: boolean,
    hint: KeepAliveHint,
  ) {
    this.status = status;
    this.statusText = statusText;
    this.minorVersion = minorVersion;
    this.fields = fields;
    this.framing = framing;
    this.contentLength = contentLength;
    this.contentEncoding = contentEncoding;
    this.keepAlive = keepAlive;
    this.keepAliveTimeoutMs = hint.timeoutMs;
    this.keepAliveMax = hint.max;
  }
}

/** What the fields of one head say about framing, persistence and coding. One for the process: filled and read without a pause. */
const found = {
  lengthStart: -1,
  lengthEnd: 0,
  codings: 0,
  codingStart: 0,
  codingEnd: 0,
  contentEncoding: null as string | null,
  saysClose: false,
  saysKeepAlive: false,
  hint: null as KeepAliveHint | null,
};

/**
 * @param text the head in latin1, from the status line to its empty line
 * @param bytes holds the same head from `base` on; lent. (Bytes compare three times as fast as characters.)
 * @param spans as the parser found them; copied
 * @param closing whether a 1xx before it said close: that holds for the connection (RFC 9112 §9.6)
 * @param lenient what may pass, as made by `lenientMask`
 * @throws {HeadRefusal}
 */
export function interpretHead(
  text: string,
  bytes: Uint8Array,
  base: number,
  spans: SpanStore,
  kind: RequestKind,
  closing: boolean,
  lenient: number,
): ResponseHead {
  const status = spans.status;
  const minorVersion = minorVersionOf(bytes, base, lenient);
  if (status < 100) throw new HeadRefusal("status below 100 (RFC 9110 §15)", 9);
  const statusText = reasonPhrase(text, bytes, base, spans.fields > 0 ? spans.array[0]! - 2 : text.length - 4);

  readFields(text, bytes, base, spans);
  // What follows 101, or a 2xx to CONNECT, is not HTTP: framing fields are not even looked at (RFC 9110 §9.3.6).
  const tunnel = status === 101 || (kind === "connect" && status >= 200 && status < 300);
  const contentLength =
    tunnel || found.lengthStart < 0 ? null : lengthOf(bytes, base, found.lengthStart, found.lengthEnd);

  let framing: ResponseFraming;
  let keepAlive = !closing && !found.saysClose && (minorVersion === 1 || found.saysKeepAlive);
  if (tunnel) {
    framing = "tunnel";
    keepAlive = false;
  } else if (status < 200 || status === 204 || status === 304 || kind === "head") {
    framing = "none";
    // A server that frames a body where there is none may send it, and it would be taken for the next response. Where
    // the fields describe what a GET would have got (HEAD, 304) they say nothing of the kind (RFC 9110 §8.6).
    if ((status < 200 || status === 204) && (found.codings > 0 || (contentLength ?? 0) > 0)) keepAlive = false;
  } else if (found.codings > 0) {
    framing = codingOf(text, bytes, base, spans, lenient);
    // RFC 9112 §6.1: chunked from an HTTP/1.0 sender is faulty framing; read it, and use the connection no more.
    if (minorVersion === 0 || framing === "close") keepAlive = false;
  } else if (contentLength !== null) {
    framing = contentLength === 0 ? "none" : "length";
  } else {
    framing = "close";
    keepAlive = false;
  }

  // llhttp does not know the method, so it is asked only where the method decides nothing.
  if (spans.needsEof !== (framing === "close") && framing !== "tunnel" && !(framing === "none" && kind === "head")) {
    throw new HeadRefusal("framing understood in two ways (RFC 9112 §6.3)", found.codings > 0 ? found.codingStart : 0);
  }

  const fields = new TextFieldLines(text, spans.fields, lenient === 0 ? null : copySpans(spans));
  const hint = found.hint ?? NO_HINT;
  return new ParsedHead(
    status,
    statusText,
    minorVersion,
    fields,
    framing,
    framing === "length" ? contentLength : null,
    found.contentEncoding,
    keepAlive,
    hint,
  );
}

/** An ordinary array: a typed one of this size costs more to make than all that it holds is worth. */
function copySpans(spans: SpanStore): number[] {
  const from = spans.array;
  const length = spans.fields * SPAN_NUMBERS;
  const copy = new Array<number>(length);
  for (let i = 0; i < length; i++) copy[i] = from[i]!;
  return copy;
}

/**
 * HTTP-version = "HTTP/" DIGIT "." DIGIT (RFC 9112 §2.3). llhttp also lets HTTP/0.9 and 2.0, RTSP and ICE pass; of those
 * that it lets pass, only HTTP begins with an H.
 */
function minorVersionOf(bytes: Uint8Array, base: number, lenient: number): 0 | 1 {
  const minor = bytes[base + 7]! - ZERO;
  const isHttp = bytes[base] === H;
  if (isHttp && bytes[base + 5] === ONE && (minor === 0 || minor === 1)) return minor;
  // Whoever says a higher one can be read as 1.1, a lower one as 1.0 (RFC 9110 §2.5).
  if (isHttp && lets(lenient, "version")) return bytes[base + 5]! >= ONE ? 1 : 0;
  throw new HeadRefusal("version other than HTTP/1.1 and HTTP/1.0 (RFC 9112 §2.3)", 0, isHttp ? "version" : null);
}

/**
 * reason-phrase = 1*( HTAB / SP / VCHAR / obs-text ) (RFC 9112 §4). llhttp lets control bytes pass in it, and takes
 * any byte after its CR for the LF (RFC 9112 §2.2: a bare CR is invalid).
 *
 * @param end where the line's CRLF must be: two bytes before the first field, or before the empty line
 */
function reasonPhrase(text: string, bytes: Uint8Array, base: number, end: number): string {
  for (let i = 13; i < end; i++) {
    const c = bytes[base + i]!;
    if (c === CR) {
      // Its line ends here, and the first name does not begin the next: llhttp's leniency for headers has skipped a blank.
      if (bytes[base + i + 1] === LF) throw new HeadRefusal(BLANK_LINE, i + 2);
      throw new HeadRefusal(BARE_CR, i, "optionalLfAfterCr");
    }
    if ((c < 32 && c !== TAB) || c === 127) {
      throw new HeadRefusal("control byte in the reason phrase (RFC 9112 §4)", i);
    }
  }
  if (bytes[base + end] !== CR || bytes[base + end + 1] !== LF) {
    throw new HeadRefusal(BARE_CR, end, "optionalLfAfterCr");
  }
  if (end === 15 && bytes[base + 13] === O && bytes[base + 14] === K) return "OK";
  return end > 13 ? text.slice(13, end) : "";
}

const TAB = 9;
const SP = 32;
const ZERO = 48;
const ONE = 49;
const H = 72;
const K = 75;
const O = 79;
const CR = 13;
const LF = 10;
const BARE_CR = "bare CR after the status line (RFC 9112 §2.2)";
export const BLANK_LINE = "blank between the status line and the first field (RFC 9112 §2.2)";

const word = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const CONNECTION = word("connection");
const KEEP_ALIVE = word("keep-alive");
const CONTENT_LENGTH = word("content-length");
const CONTENT_ENCODING = word("content-encoding");
const TRANSFER_ENCODING = word("transfer-encoding");
const CLOSE = word("close");
const CHUNKED = word("chunked");

/** Finds the five fields that we act on by the length of their names; nothing is made for the others. */
function readFields(text: string, bytes: Uint8Array, base: number, spans: SpanStore): void {
  found.lengthStart = -1;
  found.codings = 0;
  found.contentEncoding = null;
  found.saysClose = false;
  found.saysKeepAlive = false;
  found.hint = null;
  const { array, fields } = spans;
  for (let i = 0, at = 0; i < fields; i++, at += SPAN_NUMBERS) {
    const length = array[at + 1]!;
    if (length !== 10 && length !== 14 && length !== 16 && length !== 17) continue;
    const name = base + array[at]!;
    const start = array[at + 2]!;
    let end = start + array[at + 3]!;
    // llhttp leaves the blanks after a value to us (RFC 9110 §5.5).
    while (end > start && (bytes[base + end - 1] === SP || bytes[base + end - 1] === TAB)) end--;
    if (length === 10) {
      if (isText(bytes, name, length, CONNECTION)) readConnection(text, bytes, base, start, end);
      else if (isText(bytes, name, length, KEEP_ALIVE)) readKeepAlive(text, bytes, base, start, end);
    } else if (length === 14) {
      if (isText(bytes, name, length, CONTENT_LENGTH)) {
        // llhttp refuses a second one, and equal ones have become one before it saw them.
        found.lengthStart = start;
        found.lengthEnd = end;
      }
    } else if (length === 16) {
      if (isText(bytes, name, length, CONTENT_ENCODING)) {
        const value = text.slice(start, end);
        found.contentEncoding = found.contentEncoding === null ? value : `${found.contentEncoding}, ${value}`;
      }
    } else if (isText(bytes, name, length, TRANSFER_ENCODING)) {
      found.codings++;
      found.codingStart = start;
      found.codingEnd = end;
    }
  }
}

/**
 * Whether `bytes` has this word at `start`, whatever the case of its letters. Words are of letters and "-": what else
 * the bit of the lower case would turn into one of these is a control byte, which llhttp has refused.
 */
function isText(bytes: Uint8Array, start: number, length: number, word: Uint8Array): boolean {
  if (length !== word.length) return false;
  for (let i = 0; i < length; i++) if ((bytes[start + i]! | 0x20) !== word[i]) return false;
  return true;
}

/** Connection = #connection-option, compared without case (RFC 9110 §7.6.1). */
function readConnection(text: string, bytes: Uint8Array, base: number, start: number, end: number): void {
  if (isText(bytes, base + start, end - start, KEEP_ALIVE)) {
    found.saysKeepAlive = true;
  } else if (isText(bytes, base + start, end - start, CLOSE)) {
    found.saysClose = true;
  } else {
    // A member that is no token is nothing that we know, like an option that we do not know.
    for (const member of text.slice(start, end).toLowerCase().split(",")) {
      const option = cutBlanks(member);
      if (option === "close") found.saysClose = true;
      else if (option === "keep-alive") found.saysKeepAlive = true;
    }
  }
}

/** Content-Length = 1*DIGIT (RFC 9110 §8.6). What a double cannot count is refused, whether a body follows or not. */
function lengthOf(bytes: Uint8Array, base: number, start: number, end: number): number {
  let length = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[base + i]! - ZERO;
    if (!(digit >= 0 && digit <= 9)) throw new HeadRefusal("Content-Length is not a number (RFC 9110 §8.6)", i);
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) throw new HeadRefusal("Content-Length above 2^53 (RFC 9110 §8.6)", start);
  }
  if (end === start) throw new HeadRefusal("empty Content-Length (RFC 9110 §8.6)", start);
  return length;
}

/** We sent no TE that allows more, so chunked, once and alone, is all that may be there (RFC 9112 §6.1, §7.1). */
function codingOf(
  text: string,
  bytes: Uint8Array,
  base: number,
  spans: SpanStore,
  lenient: number,
): "chunked" | "close" {
  const { codings, codingStart, codingEnd } = found;
  const isChunked = codings === 1 && isText(bytes, base + codingStart, codingEnd - codingStart, CHUNKED);
  if (isChunked) return "chunked";
  // What is let pass is framed as RFC 9112 §6.3 says: chunked where that comes last, else to the end of the connection.
  // The codings before it are the reader's to undo.
  if (lets(lenient, "transferEncoding")) return lastCoding(text, spans) === "chunked" ? "chunked" : "close";
  const reason =
    codings > 1
      ? "more than one Transfer-Encoding (RFC 9112 §6.1)"
      : codingEnd === codingStart
        ? "empty Transfer-Encoding (RFC 9112 §6.1)"
        : "transfer coding other than one chunked (RFC 9112 §6.1, §7)";
  throw new HeadRefusal(reason, codingStart, "transferEncoding");
}

/** Of all Transfer-Encoding fields, the last member in lower case; "" where there is none. */
function lastCoding(text: string, spans: SpanStore): string {
  const { array, fields } = spans;
  let last = "";
  for (let at = 0; at < fields * SPAN_NUMBERS; at += SPAN_NUMBERS) {
    const [name, nameLength, value, length] = [array[at]!, array[at + 1]!, array[at + 2]!, array[at + 3]!];
    if (text.slice(name, name + nameLength).toLowerCase() !== "transfer-encoding") continue;
    for (const member of text
      .slice(value, value + length)
      .toLowerCase()
      .split(","))
      last = cutBlanks(member) || last;
  }
  return last;
}

interface KeepAliveHint {
  readonly timeoutMs: number | null;
  readonly max: number | null;
}

const NO_HINT: KeepAliveHint = { timeoutMs: null, max: null };

// A server says the same in each response, so the last answer is kept.
let lastValue = new Uint8Array(0);
let lastHint: KeepAliveHint = NO_HINT;

/** `timeout=5, max=100`: any order, any case, over several fields; what is not understood is left out (RFC 2068 §19.7.1.1). */
function readKeepAlive(text: string, bytes: Uint8Array, base: number, start: number, end: number): void {
  if (!isValue(bytes, base + start, end - start, lastValue)) {
    lastValue = bytes.slice(base + start, base + end);
    lastHint = parseKeepAlive(text.slice(start, end));
  }
  const before = found.hint;
  found.hint =
    before === null ? lastHint : { timeoutMs: before.timeoutMs ?? lastHint.timeoutMs, max: before.max ?? lastHint.max };
}

function isValue(bytes: Uint8Array, start: number, length: number, value: Uint8Array): boolean {
  if (length !== value.length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== value[i]) return false;
  return true;
}

function parseKeepAlive(value: string): KeepAliveHint {
  let timeoutMs: number | null = null;
  let max: number | null = null;
  for (const part of value.toLowerCase().split(/[,;]/)) {
    const [name = "", number = ""] = part.split("=", 2);
    const digits = cutBlanks(number);
    if (!/^[0-9]{1,9}$/.test(digits)) continue;
    if (cutBlanks(name) === "timeout") timeoutMs ??= Number(digits) * 1000;
    else if (cutBlanks(name) === "max") max ??= Number(digits);
  }
  return { timeoutMs, max };
}
