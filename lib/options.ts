/**
 * The options of Transport and of one call: names, defaults, and the check that refuses what cannot be meant. Pure.
 *
 * Defaults are for production: nobody should have to learn which ones to change first. Durations are milliseconds, sizes
 * bytes, and 0 means none.
 */

import { isAbortSignal } from "./abort.ts";
import type { UserDial } from "./conn/dial.ts";
import type { TlsOptions } from "./conn/tls.ts";
import type { Headers, HeadersInit } from "./message/headers.ts";
import { unknownOption, wrongType } from "./message/options.ts";
import type { NextProtocol } from "./next-protocol.ts";
import type { CallTimeLimits } from "./time-limits.ts";
import type { TraceGroup, TraceOption } from "./trace.ts";
import { LENIENT_NAMES, type LenientOptions, lenientMask } from "./wire/lenient.ts";
import type { ParserLimits } from "./wire/parser-events.ts";

export type { CallTimeLimits } from "./time-limits.ts";

export interface TransportOptions extends CallTimeLimits {
  /** DNS and all addresses of one dial. Default 10 s. TimeoutError, phase dns or connect. */
  dialTimeout?: number;
  /** The TLS handshake. Default 10 s, as Go. TimeoutError, phase tls. */
  tlsHandshakeTimeout?: number;
  /** Dials, live and idle connections of one key at most. Default 0: no limit, as Go. */
  maxConnsPerHost?: number;
  /**
   * Requests in flight on one connection at most (RFC 9112 §9.3.2). Default 1: none is sent before the last one is answered.
   * Above 1, where `maxConnsPerHost` leaves no other place, a GET, HEAD or OPTIONS without a body goes out behind others of
   * that kind, and gets its answer after theirs. `replay` says whether it goes again when theirs end the connection, or fails.
   * ConnectionClosedError, whose `behind` is true.
   */
  pipelining?: number;
  /** Idle connections of one key at most. Default 256; Go's 2 closes what it will need again. */
  maxIdleConnsPerHost?: number;
  /** Idle connections of all keys at most: the least recently used goes first. Default 1,024. */
  maxIdleConns?: number;
  /** An idle connection lives this long, or less where the server's `Keep-Alive: timeout` says so. Default 90 s. */
  idleConnTimeout?: number;
  /**
   * Learns from closes how long a server keeps idle connections: after two at about the same age, those older than 0.8 of
   * it are not given out. Default true.
   */
  learnIdleTimeout?: boolean;
  /** Whether connections are reused at all. Default true; false says `Connection: close`. */
  keepAlive?: boolean;
  /** Bytes of all heads of one exchange: 1xx, final and trailers. Default 256 KiB. HeaderLimitError. */
  maxResponseHeaderBytes?: number;
  /** Fields of all heads of one exchange. Default 1,000. HeaderLimitError. */
  maxResponseHeaders?: number;
  /** 1xx responses of one exchange. Default 32. HeaderLimitError. */
  max1xxResponses?: number;
  /** Idle time of a TCP connection before the kernel probes it. Default 30 s, as Go's dialer. */
  tcpKeepAlive?: number;
  /** Turns Nagle's algorithm off. Default true. */
  noDelay?: boolean;
  /**
   * When a request may be sent again over another connection: "nothing-written" (default) only if no byte of it was
   * handed to the kernel; "replayable" also, as Go does, a GET, HEAD, OPTIONS, TRACE or one with an Idempotency-Key that
   * got no byte of a response.
   */
  replay?: "nothing-written" | "replayable";
  /**
   * Asks for gzip, deflate, br (and zstd where Node has it and tells a cut body) and decodes what comes so. Not with HEAD or Range, and not for
   * a request with an Accept-Encoding of its own: then bytes and fields stay as they came. Default true.
   */
  decompress?: boolean;
  /**
   * Bytes that one byte received may become by decoding, beyond the first 16 MiB of an answer. Default 200, where Apache
   * draws its line too; plain text seldom reaches 20, and deflate ends at 1,032. 0 means no limit. DecompressError.
   */
  maxDecompressRatio?: number;
  /**
   * Refuses answers whose end only the close of the connection marks, by a RemoteProtocolError: over TLS that cannot be told
   * from truncation. Default false.
   */
  requireFraming?: boolean;
  /**
   * What may pass that breaks HTTP, by name: `{ optionalCrBeforeLf: true }`. The connection is closed after a response for
   * which it was needed. Default: none. RemoteProtocolError, whose `lenient` names the flag that was missing.
   */
  lenient?: LenientOptions;
  /** The User-Agent field; "" leaves it out. Default `persistconn/VERSION`. */
  userAgent?: string;
  /** What `tls.connect` is given for targets, and `pins`; one secure context is made of it, once. Default: none, so Node's own. TlsError. */
  tls?: TlsOptions;
  /** The same for https proxies. Default: none, so what `tls` says but for `servername` and `pins`. TlsError. */
  proxyTls?: TlsOptions;
  /** Replaces the dialer: gives a connected socket or Duplex of plain bytes. Default: none. DialError. */
  dial?: UserDial;
  /** Replaces dialer and TLS for `https`: gives a secured one. Default: none. DialError. */
  dialTls?: UserDial;
  /**
   * Asked for each IP address before it is dialed, a proxy's too, and for each target behind a proxy that is an address
   * itself: false refuses it, by a DialError. Not asked where `dial` or `dialTls` takes the dialing over. Default: none. See
   * `denyPrivateAddresses`.
   */
  allowAddress?: (address: string, port: number) => boolean;
  /**
   * The proxy of all requests, or a function that gives the one of a URL (null: none). `http`, `https`, `socks5` and
   * `socks5h` URLs; text without a scheme is taken for `http`. Default: none, whatever the environment says; `proxyFromEnvironment` asks that. ProxyError.
   */
  proxy?: ProxyOption;
  /** Whether `http` targets too go through a CONNECT tunnel of an HTTP proxy. Default false. */
  proxyTunnel?: boolean;
  /**
   * Fields of CONNECT requests, or a function that gives them for a proxy (its URL without credentials) and a target.
   * Default: none.
   */
  proxyConnectHeader?: HeadersInit | ((proxy: URL, target: string) => HeadersInit | Promise<HeadersInit>);
  /** Sees each answer to CONNECT before its status is judged; what it throws fails the dial. Default: none. */
  onProxyConnectResponse?: (response: ProxyConnectResponse) => void | Promise<void>;
  /** From the connection to the proxy to the tunnel: CONNECT or SOCKS, and your functions. Default 60 s, as Go. TimeoutError, phase proxy. */
  proxyConnectTimeout?: number;
  /**
   * Protocols to offer by ALPN before http/1.1, in this order, and who speaks each: `{ h2: h2() }` with the h2 of
   * `persistconn/h2`. Of `https` targets, through tunnels too. Go's TLSNextProto. Default: none.
   */
  nextProtocols?: Readonly<Record<string, NextProtocol>>;
  /** Hears what happens on every call, dial and connection: a function, or `{ groups, on }`. Default: none. */
  trace?: TraceOption;
}

export type ProxyOption =
  | string
  | URL
  | null
  | ((url: URL) => string | URL | null | undefined | Promise<string | URL | null | undefined>);

/** What a proxy has answered to CONNECT. */
export interface ProxyConnectResponse {
  /** The proxy's URL, without credentials. */
  readonly proxy: string;
  /** Where the tunnel leads: `host:port`. */
  readonly target: string;
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
}

type Kind =
  | "duration"
  | "count"
  | "boolean"
  | "string"
  | "function"
  | "object"
  | "trace"
  | "replay"
  | "signal"
  | "deadline"
  | "redirect"
  | "policy"
  | "proxy"
  | "fields"
  | "protocols"
  | "lenient";

/** Every option of a Transport, and what it must be. */
export const KINDS: Readonly<Record<keyof TransportOptions, Kind>> = {
  writeTimeout: "duration",
  responseHeaderTimeout: "duration",
  expectContinueTimeout: "duration",
  bodyTimeout: "duration",
  unreadBodyTimeout: "duration",
  stalledReaderTimeout: "duration",
  poolTimeout: "duration",
  dialTimeout: "duration",
  tlsHandshakeTimeout: "duration",
  maxConnsPerHost: "count",
  pipelining: "count",
  maxIdleConnsPerHost: "count",
  maxIdleConns: "count",
  idleConnTimeout: "duration",
  learnIdleTimeout: "boolean",
  keepAlive: "boolean",
  maxResponseHeaderBytes: "count",
  maxResponseHeaders: "count",
  max1xxResponses: "count",
  tcpKeepAlive: "duration",
  noDelay: "boolean",
  replay: "replay",
  decompress: "boolean",
  maxDecompressRatio: "count",
  requireFraming: "boolean",
  lenient: "lenient",
  userAgent: "string",
  tls: "object",
  proxyTls: "object",
  dial: "function",
  dialTls: "function",
  allowAddress: "function",
  proxy: "proxy",
  proxyTunnel: "boolean",
  proxyConnectHeader: "fields",
  onProxyConnectResponse: "function",
  proxyConnectTimeout: "duration",
  nextProtocols: "protocols",
  trace: "trace",
};

export const CALL_TIME_LIMITS = [
  "writeTimeout",
  "responseHeaderTimeout",
  "expectContinueTimeout",
  "bodyTimeout",
  "unreadBodyTimeout",
  "stalledReaderTimeout",
  "poolTimeout",
] as const satisfies readonly (keyof CallTimeLimits)[];

/** What a Client and its calls say about redirects. */
export const REDIRECT_KINDS = {
  redirect: "redirect",
  maxRedirects: "count",
  checkRedirect: "policy",
  httpsOnly: "boolean",
  strictRedirects: "boolean",
} as const satisfies Readonly<Record<string, Kind>>;

/** What travels beside a request: of `roundTrip`, and of the calls of a Client, which say `timeout` for `deadline`. */
export const CALL_KINDS: Readonly<Record<string, Kind>> = {
  signal: "signal",
  deadline: "deadline",
  timeout: "duration",
  trace: "trace",
  hop: "count",
  onInformation: "function",
  onStateChange: "function",
  tls: "object",
  writeTimeout: "duration",
  responseHeaderTimeout: "duration",
  expectContinueTimeout: "duration",
  bodyTimeout: "duration",
  unreadBodyTimeout: "duration",
  stalledReaderTimeout: "duration",
  poolTimeout: "duration",
  ...REDIRECT_KINDS,
};

/** What has no default, and stays absent where it was. */
type Absent =
  | "lenient"
  | "tls"
  | "proxyTls"
  | "dial"
  | "dialTls"
  | "allowAddress"
  | "proxyConnectHeader"
  | "onProxyConnectResponse"
  | "nextProtocols"
  | "trace";

/** The options with every default in its place. */
export type ResolvedOptions = Required<Omit<TransportOptions, Absent>> & {
  readonly [Name in Absent]: TransportOptions[Name] | undefined;
};

export const VERSION = "0.1.0";

export const DEFAULTS: ResolvedOptions = {
  writeTimeout: 60_000,
  responseHeaderTimeout: 300_000,
  expectContinueTimeout: 1_000,
  bodyTimeout: 300_000,
  unreadBodyTimeout: 60_000,
  stalledReaderTimeout: 600_000,
  poolTimeout: 30_000,
  dialTimeout: 10_000,
  tlsHandshakeTimeout: 10_000,
  maxConnsPerHost: 0,
  pipelining: 1,
  maxIdleConnsPerHost: 256,
  maxIdleConns: 1024,
  idleConnTimeout: 90_000,
  learnIdleTimeout: true,
  keepAlive: true,
  maxResponseHeaderBytes: 256 * 1024,
  maxResponseHeaders: 1000,
  max1xxResponses: 32,
  proxy: null,
  proxyTunnel: false,
  proxyConnectTimeout: 60_000,
  tcpKeepAlive: 30_000,
  noDelay: true,
  replay: "nothing-written",
  decompress: true,
  maxDecompressRatio: 200,
  requireFraming: false,
  userAgent: `persistconn/${VERSION}`,
  // Named, so that what a prototype brings along is not taken for the caller's.
  lenient: undefined,
  tls: undefined,
  proxyTls: undefined,
  dial: undefined,
  dialTls: undefined,
  allowAddress: undefined,
  proxyConnectHeader: undefined,
  onProxyConnectResponse: undefined,
  nextProtocols: undefined,
  trace: undefined,
};

/**
 * Checks an options object and fills in the defaults.
 *
 * @throws {TypeError} an unknown name (with the nearest known one), a wrong type, a negative or fractional count
 */
export function resolveOptions(options: TransportOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  const resolved: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(KINDS, name)) throw unknownOption(name, Object.keys(KINDS));
    if (value === undefined) continue;
    checkOption(name, KINDS[name as keyof TransportOptions], value); // hasOwn has just said that it is one of them
    resolved[name] = value;
  }
  const tls = resolved["tls"] as TlsOptions | undefined; // an object, as was checked
  if (resolved["nextProtocols"] !== undefined && tls?.ALPNProtocols !== undefined) {
    throw new TypeError("Options nextProtocols and tls.ALPNProtocols exclude each other: both say what is offered");
  }
  return resolved as ResolvedOptions; // every name of DEFAULTS is there, and every other was checked against KINDS
}

/**
 * Checks what travels beside a request: the options that the caller owns; what a prototype brings along is not theirs.
 *
 * @param known the names that there are
 * @throws {TypeError} no object, an unknown name, a wrong type
 */
export function checkCall(call: object, known: readonly string[]): void {
  if (typeof call !== "object" || call === null) throw wrongType("options", "an object", call);
  for (const name of Object.keys(call)) {
    if (!known.includes(name)) throw unknownOption(name, known);
    const value = call[name as keyof typeof call];
    if (value === undefined || (value === null && name === "signal")) continue; // as the standard has it: none
    checkOption(name, CALL_KINDS[name] as Kind, value); // `known` has no name without a kind
  }
}

/** The time limits of one call: the transport's, and the call's own in their place. They are checked already. */
export function timeLimitsOf(options: ResolvedOptions, call: CallTimeLimits): Required<CallTimeLimits> {
  let own: Partial<Record<keyof CallTimeLimits, number>> | null = null;
  for (const name of CALL_TIME_LIMITS) {
    const value = Object.hasOwn(call, name) ? call[name] : undefined;
    if (value === undefined) continue;
    own ??= {};
    own[name] = value;
  }
  return own === null ? options : { ...options, ...own };
}

/** Checks one option against its kind. */
export function checkOption(name: string, kind: Kind, value: unknown): void {
  switch (kind) {
    case "duration":
      if (typeof value !== "number" || !(value >= 0) || value === Number.POSITIVE_INFINITY) {
        throw wrongType(name, "a number of milliseconds, 0 or more (0 means none)", value);
      }
      return;
    case "count":
      if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
        throw wrongType(name, "a whole number, 0 or more", value);
      }
      return;
    case "replay":
      if (value !== "nothing-written" && value !== "replayable") {
        throw wrongType(name, '"nothing-written" or "replayable"', value);
      }
      return;
    case "trace":
      if (!isTraceOption(value)) {
        throw wrongType(name, `a function, or { groups, on } with groups among ${TRACE_GROUPS.join(", ")}`, value);
      }
      for (const own of typeof value === "object" ? Object.keys(value as object) : []) {
        if (!TRACE_NAMES.includes(own)) throw unknownOption(`trace.${own}`, TRACE_NAMES, "trace.");
      }
      return;
    case "redirect":
      if (value === "follow" || value === "manual" || value === "error") return;
      throw wrongType(name, '"follow", "manual" or "error"', value);
    case "policy":
      if (value !== null && typeof value !== "function") throw wrongType(name, "a function or null", value);
      return;
    case "signal":
      if (!isAbortSignal(value)) throw wrongType(name, "an AbortSignal", value);
      return;
    case "deadline": {
      const { at, limit } = (value ?? {}) as Record<string, unknown>; // each is looked at
      if (typeof at !== "number" || Number.isNaN(at) || typeof limit !== "number") {
        throw wrongType(name, "{ at, limit } in milliseconds of the transport's clock", value);
      }
      return;
    }
    case "proxy":
      if (typeof value === "string" || typeof value === "function" || value === null || value instanceof URL) return;
      throw wrongType(name, "a string, a URL, a function or null", value);
    case "fields":
      if (typeof value === "function" || (typeof value === "object" && value !== null)) return;
      throw wrongType(name, "what headers can be made of, or a function", value);
    case "lenient":
      if (typeof value !== "object" || value === null) throw wrongType(name, "an object of flags", value);
      for (const [flag, on] of Object.entries(value)) {
        if (!(LENIENT_NAMES as readonly string[]).includes(flag)) {
          throw unknownOption(`lenient.${flag}`, LENIENT_NAMES, "lenient.");
        }
        if (on !== undefined && typeof on !== "boolean") throw wrongType(`lenient.${flag}`, "a boolean", on);
      }
      return;
    case "protocols":
      if (typeof value !== "object" || value === null) throw wrongType(name, "an object", value);
      for (const [protocol, speaks] of Object.entries(value)) {
        if (protocol === "" || protocol.length > 255 || protocol === "http/1.1") {
          throw new TypeError(
            `Option ${name} must have names of protocols other than http/1.1: it has ${JSON.stringify(protocol)}`,
          );
        }
        if (typeof speaks !== "function") throw wrongType(`${name}.${protocol}`, "a function", speaks);
      }
      return;
    case "object":
      if (typeof value !== "object" || value === null) throw wrongType(name, "an object", value);
      return;
    default:
      if (typeof value !== kind) throw wrongType(name, `a ${kind}`, value);
  }
}

const TRACE_NAMES: readonly string[] = ["groups", "on", "secrets"];
const TRACE_GROUPS: readonly string[] = ["call", "pool", "dial", "connection", "body"] satisfies TraceGroup[];

function isTraceOption(value: unknown): boolean {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null) return false;
  const { groups = TRACE_GROUPS, on, secrets = false } = value as Record<string, unknown>; // each is looked at
  if (typeof on !== "function" || typeof secrets !== "boolean") return false;
  return Array.isArray(groups) && groups.every((group) => TRACE_GROUPS.includes(group));
}

/** What a parser of answers is to allow; a transport has one such object for all its connections. */
export function parserLimitsOf(options: ResolvedOptions): ParserLimits {
  return {
    headBytesMax: options.maxResponseHeaderBytes,
    headerCountMax: options.maxResponseHeaders,
    informationMax: options.max1xxResponses,
    lenient: lenientMask(options.lenient),
  };
}
