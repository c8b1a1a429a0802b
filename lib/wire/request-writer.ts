/**
 * A request's head as bytes: the single place where they are assembled, and so the single place where they are checked.
 * Whatever goes into a head comes through here, Host, the Content-Type of a body and proxy fields too. Pure.
 *
 * On the wire: request line; Host; User-Agent; Accept; Accept-Encoding; Content-Type; framing; Connection; Expect; the
 * transport's extra fields; then the caller's fields in their order and case. A caller's field takes the place of ours,
 * where it stands; only Host is moved to the front, where RFC 9110 §7.2 wants it, so that a server can route before it
 * has read the rest.
 *
 * Never: prints a field's value in an error, or cleans a value to make it fit.
 *
 * RFC 9112 §3 (request line), §5 (fields), §6 (framing), §9.6 (close); RFC 9110 §7.2, §7.6.1, §7.8, §10.1.
 */

import { InvariantError, LocalProtocolError } from "../errors.ts";
import { cutBlanks, isAuthorityForm, isFieldValue, isHost, isRequestTarget, isToken, tokenList } from "./abnf.ts";
import { chooseFraming, isForbiddenTrailer, NO_BODY, type RequestFraming } from "./body-framing.ts";
import { NO_PROTOCOLS, protocolList } from "./upgrade.ts";

/** A request's head before it is written. Strings hold one byte in each char code. */
export interface OutgoingHead {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** `host[:port]` of the URL: the value of Host, unless the caller gives one. */
  readonly authority: string;
  /** Origin-form; `*` for a server-wide OPTIONS; authority-form for CONNECT. Goes out as it is. */
  readonly target: string;
  /** The caller's, in order and case. */
  readonly fields: readonly (readonly [string, string])[];
  /** Body bytes; null when only its stream knows; undefined when there is no body. */
  readonly bodyLength: number | null | undefined;
  /** What the kind of body implies; a caller's field wins. */
  readonly contentType: string | null;
  /** Names of the trailer fields that will follow the body. */
  readonly trailerNames: readonly string[] | null;
  readonly expectContinue: boolean;
}

/** What the transport adds, the same for many requests. */
export interface WriterOptions {
  /** `""` leaves User-Agent out. */
  readonly userAgent: string;
  /** Left out with HEAD and with Range, whose answers are never decoded. */
  readonly acceptEncoding: string | null;
  /** `http://host/path` as target: for a proxy that is no tunnel (RFC 9112 §3.2.2). */
  readonly absoluteForm: boolean;
  /** Say `Connection: close`; not with Upgrade or CONNECT, which end the use of the connection for HTTP anyway. */
  readonly close: boolean;
  /** Proxy-Authorization and the like; a caller's field of the same name wins. */
  readonly extra: readonly (readonly [string, string])[];
}

export interface WritableHead {
  /** All of the head, the empty line too. latin1: one byte in each char code. */
  readonly text: string;
  readonly framing: RequestFraming;
  /** Whether the request says that it is the last of its connection. */
  readonly close: boolean;
  /** Whether our Accept-Encoding went out: an encoded answer is then ours to decode, and else the caller's. */
  readonly encodingAsked: boolean;
  /** Whether the body shall wait for a 100 (RFC 9110 §10.1.1). */
  readonly expectContinue: boolean;
  /** The protocols that it offers to switch to, in lower case (RFC 9110 §7.8). */
  readonly upgrade: readonly string[];
}

/** What the caller's fields say about what we would write ourselves. */
class CallerFields {
  hostName = "Host";
  host: string | null = null;
  userAgent = false;
  accept = false;
  /** Accept-Encoding, or Range, whose answers are never decoded. */
  coding = false;
  contentType = false;
  contentLength: string | null = null;
  transferEncoding: string | null = null;
  trailer: string | null = null;
  expect = false;
  te = false;
  upgrade: readonly string[] = NO_PROTOCOLS;
  /** The last Connection field's index, and the options of all of them. */
  connectionAt = -1;
  connection: readonly string[] = NO_OPTIONS;
}

const NO_OPTIONS: readonly string[] = Object.freeze([]);
const NO_FIELDS = new CallerFields();

/**
 * Writes a head.
 *
 * @throws {LocalProtocolError} what is given does not make a valid request; `field` says which part
 */
export function writeHead(head: OutgoingHead, options: WriterOptions): WritableHead {
  const { method, fields } = head;
  const caller = fields.length === 0 ? NO_FIELDS : readCallerFields(fields);
  const authority = caller.host ?? head.authority;
  checkAuthority(authority, caller.host === null ? "url" : "header host");
  const target = requestTarget(head, authority, options.absoluteForm);

  let lines = 2; // the request line and Host
  let text = `${method} ${target} HTTP/1.1\r\n${caller.hostName}: ${authority}\r\n`;
  const add = (name: string, value: string) => {
    lines++;
    text += `${name}: ${value}\r\n`;
  };
  if (options.userAgent !== "" && !caller.userAgent) add("User-Agent", checkedAgent(options.userAgent));
  if (!caller.accept) add("Accept", "*/*");
  let encodingAsked = false;
  if (options.acceptEncoding !== null && method !== "HEAD" && !caller.coding) {
    add("Accept-Encoding", checkedCodings(options.acceptEncoding));
    encodingAsked = true;
  }

  const framing = framingOf(head, caller);
  if (framing !== NO_BODY) {
    if (head.contentType !== null && !caller.contentType) {
      add("Content-Type", checkedValue("content-type", head.contentType));
    }
    if (framing.kind === "content-length") {
      if (caller.contentLength === null) add("Content-Length", `${framing.length}`);
    } else {
      if (caller.transferEncoding === null) add("Transfer-Encoding", "chunked");
      if (head.trailerNames !== null && head.trailerNames.length > 0 && caller.trailer === null)
        add("Trailer", head.trailerNames.join(", "));
    }
  }
  const goesOver = caller.upgrade.length > 0 || method === "CONNECT";
  const close = (options.close && !goesOver) || caller.connection.includes("close");
  const connection = missingConnectionOptions(caller, close);
  if (connection !== "" && caller.connectionAt < 0) add("Connection", connection);
  // An expectation without content is forbidden (RFC 9110 §10.1.1), and ours is only asked for in case there is some.
  const hasContent = framing.kind === "chunked" || (framing.kind === "content-length" && framing.length > 0);
  if (caller.expect && !hasContent) throw wrong("header expect", "there is no body to wait with (RFC 9110 §10.1.1)");
  const expectContinue = hasContent && (head.expectContinue || caller.expect);
  if (expectContinue && !caller.expect) add("Expect", "100-continue");

  for (const [name, value] of options.extra) {
    checkField(name, value);
    if (!fields.some((field) => field[0].length === name.length && field[0].toLowerCase() === name.toLowerCase())) {
      add(name, value);
    }
  }
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const name = field[0];
    const value = field[1];
    // Both were checked when the caller's fields were read; Host stands in front already.
    if (name.length === 4 && name.toLowerCase() === "host") continue;
    add(name, i === caller.connectionAt && connection !== "" ? joinList(value, connection) : value);
  }
  text += "\r\n";
  requireLines(text, lines + 1);
  return { text, framing, close, encodingAsked, expectContinue, upgrade: caller.upgrade };
}

/** The head of one chunk (RFC 9112 §7.1). Of an empty one there is none: it would end the body. */
export function chunkHeader(length: number): string {
  if (!(length > 0)) throw new InvariantError("Cannot write chunk: it is empty");
  return `${length.toString(16)}\r\n`;
}

/** What follows the data of each chunk. */
export const CHUNK_END = "\r\n";

const LAST_CHUNK = "0\r\n\r\n";

/**
 * The end of a chunked body, with its trailer section (RFC 9112 §7.1.2).
 *
 * @throws {LocalProtocolError} a malformed field, or one that may not be a trailer (RFC 9110 §6.5.1)
 */
export function lastChunk(trailers: readonly (readonly [string, string])[]): string {
  if (trailers.length === 0) return LAST_CHUNK;
  let text = "0\r\n";
  for (const [name, value] of trailers) {
    checkTrailerName(name);
    if (!isFieldValue(value))
      throw wrong(`trailer ${name.toLowerCase()}`, "its value has a byte that no field may have");
    text += `${name}: ${value}\r\n`;
  }
  text += "\r\n";
  requireLines(text, trailers.length + 2);
  return text;
}

// The parts of the request line

/** RFC 9112 §3.2: which form of target fits which method. */
function requestTarget(head: OutgoingHead, authority: string, absoluteForm: boolean): string {
  const { method, target } = head;
  if (!isToken(method)) throw wrong("method", "it is no token (RFC 9110 §9.1)");
  if (!isRequestTarget(target)) throw wrong("target", "it has a byte that no target may have (RFC 9112 §3.2)");
  if (method === "CONNECT") {
    if (!isAuthorityForm(target)) throw wrong("target", "CONNECT wants host:port (RFC 9112 §3.2.3)");
    return target;
  }
  if (target === "*") {
    if (method !== "OPTIONS") throw wrong("target", "* is for OPTIONS only (RFC 9112 §3.2.4)");
    // An empty path tells the last proxy to send "*" itself.
    return absoluteForm ? `${head.scheme}://${authority}` : target;
  }
  if (target.charCodeAt(0) !== SLASH) throw wrong("target", "it must begin with / (RFC 9112 §3.2.1)");
  return absoluteForm ? `${head.scheme}://${authority}${target}` : target;
}

const SLASH = 47;

// A transport writes the same few values again and again: the last good one of each kind need not be looked at again.
let goodAuthority: string | null = null;
let goodAgent = "";
let goodCodings = "";

function checkAuthority(authority: string, field: string): void {
  if (authority === goodAuthority) return;
  if (!isHost(authority)) throw wrong(field, "it is no host with an optional port (RFC 9110 §7.2)");
  goodAuthority = authority;
}

function checkedAgent(value: string): string {
  if (value !== goodAgent) goodAgent = checkedValue("user-agent", value);
  return value;
}

function checkedCodings(value: string): string {
  if (value !== goodCodings) goodCodings = checkedValue("accept-encoding", value);
  return value;
}

// Fields

function checkedValue(name: string, value: string): string {
  if (!isFieldValue(value))
    throw wrong(`header ${name}`, "its value has a byte that no field may have (RFC 9110 §5.5)");
  return value;
}

function checkField(name: string, value: string): void {
  if (!isToken(name)) {
    // What is no name may be anything, a whole header with its secret too: show its beginning only, escaped.
    throw wrong(`header ${JSON.stringify(`${name}`.slice(0, 32))}`, "its name is no token (RFC 9110 §5.1)");
  }
  if (!isFieldValue(value)) checkedValue(name.toLowerCase(), value);
}

/** Checks every field that the caller gave, and notes those that bear on what we write ourselves. */
function readCallerFields(fields: OutgoingHead["fields"]): CallerFields {
  const found = new CallerFields();
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const name = field[0];
    const value = field[1];
    checkField(name, value);
    switch (name.length) {
      case 2:
      case 4:
      case 5:
      case 6:
      case 7:
      case 10:
      case 12:
      case 14:
      case 15:
      case 17:
        note(found, name, name.toLowerCase(), value, i);
    }
  }
  return found;
}

function note(found: CallerFields, name: string, lower: string, value: string, index: number): void {
  switch (lower) {
    case "host":
      if (found.host !== null) throw twice(lower);
      found.host = value;
      found.hostName = name;
      break;
    case "user-agent":
      found.userAgent = true;
      break;
    case "accept":
      found.accept = true;
      break;
    case "accept-encoding":
    case "range":
      found.coding = true;
      break;
    case "content-type":
      found.contentType = true;
      break;
    case "content-length":
      if (found.contentLength !== null) throw twice(lower);
      found.contentLength = value;
      break;
    case "transfer-encoding":
      if (found.transferEncoding !== null) throw twice(lower);
      found.transferEncoding = value;
      break;
    case "trailer":
      if (found.trailer !== null) throw twice(lower);
      found.trailer = value;
      break;
    case "expect":
      if (found.expect) throw twice(lower);
      if (cutBlanks(value).toLowerCase() !== "100-continue") {
        throw wrong("header expect", "100-continue is the only expectation there is (RFC 9110 §10.1.1)");
      }
      found.expect = true;
      break;
    case "te":
      // A coding that is asked for may come, and none but chunked is read here; chunked must not be named (RFC 9112 §7.4).
      if (cutBlanks(value).toLowerCase() !== "trailers") {
        throw wrong("header te", "trailers is all that can be asked for (RFC 9110 §10.1.4)");
      }
      found.te = true;
      break;
    case "upgrade": {
      const protocols = protocolList(value);
      if (protocols === null || protocols.length === 0) {
        throw wrong("header upgrade", "it is no list of protocols (RFC 9110 §7.8)");
      }
      found.upgrade = [...found.upgrade, ...protocols];
      break;
    }
    case "connection": {
      const options = tokenList(value);
      if (options === null) throw wrong("header connection", "it is no list of tokens (RFC 9110 §7.6.1)");
      const endToEnd = options.find((option) => END_TO_END.has(option));
      if (endToEnd !== undefined) {
        throw wrong("header connection", `it names ${endToEnd}, which every recipient needs (RFC 9110 §7.6.1)`);
      }
      found.connection = [...found.connection, ...options];
      found.connectionAt = index;
    }
  }
}

/** What an intermediary deletes when Connection names it, and what a request cannot do without. */
const END_TO_END = new Set(["host", "content-length", "transfer-encoding"]);

function framingOf(head: OutgoingHead, caller: CallerFields): RequestFraming {
  const { trailerNames } = head;
  const trailers = trailerNames !== null && trailerNames.length > 0;
  if (trailers) for (const name of trailerNames) checkTrailerName(name);
  const framing = chooseFraming({
    method: head.method,
    bodyLength: head.bodyLength,
    trailers,
    contentLength: caller.contentLength,
    transferEncoding: caller.transferEncoding,
  });
  if (caller.trailer !== null) {
    const announced = tokenList(caller.trailer);
    if (!trailers || announced === null || !trailerNames.every((name) => announced.includes(name.toLowerCase()))) {
      throw wrong("header trailer", "it does not name the trailers of this request (RFC 9110 §6.6.2)");
    }
  }
  return framing;
}

function checkTrailerName(name: string): void {
  if (!isToken(name)) throw wrong("trailers", "a name is no token (RFC 9110 §5.1)");
  if (isForbiddenTrailer(name)) {
    throw wrong(`trailer ${name.toLowerCase()}`, "it may not come after the body (RFC 9110 §6.5.1)");
  }
}

/**
 * The options that Connection must have and the caller did not write: `close`, and the names of the hop-by-hop fields
 * that go along (RFC 9110 §7.6.1: TE in §10.1.4, Upgrade in §7.8).
 */
function missingConnectionOptions(caller: CallerFields, close: boolean): string {
  const upgrade = caller.upgrade.length > 0;
  if (!close && !caller.te && !upgrade) return "";
  const has = (option: string) => caller.connection.includes(option);
  const missing: string[] = [];
  if (close && !has("close")) missing.push("close");
  if (caller.te && !has("te")) missing.push("TE");
  if (upgrade && !has("upgrade")) missing.push("Upgrade");
  return missing.join(", ");
}

function joinList(list: string, more: string): string {
  return cutBlanks(list) === "" ? more : `${list}, ${more}`;
}

/**
 * The last check before bytes leave (one more line than we wrote is somebody else's): whatever way a CR or LF found past
 * the checks above, and several clients had such ways, ends here. Each of our lines has one of both.
 */
function requireLines(text: string, lines: number): void {
  if (count(text, "\n") !== lines || count(text, "\r") !== lines) {
    throw new InvariantError(`Cannot write request: its head has other than ${lines} lines`);
  }
}

function count(text: string, what: string): number {
  let n = 0;
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at + 1)) n++;
  return n;
}

function twice(name: string): LocalProtocolError {
  return wrong(`header ${name}`, "it is there twice");
}

function wrong(field: string, state: string): LocalProtocolError {
  return new LocalProtocolError(field, `Cannot write request, ${field}: ${state}`);
}
