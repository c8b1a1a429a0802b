/**
 * Where a request goes, parsed from its URL: once for each distinct text, since `client.get(url)` makes a Request for
 * every call and parsing costs more than all the rest of it.
 *
 * A URL is taken as the WHATWG parser reads it. What that parser would silently clean (tab, CR and LF anywhere, blanks at
 * the ends) is refused: cleaned text is another text than the one that was checked before it came here.
 *
 * RFC 9110 §4.2 (http, https; userinfo §4.2.4), RFC 9112 §3.2 (target, Host); URL standard.
 */

import { LocalProtocolError } from "../errors.ts";
import { kindOf } from "./options.ts";

export interface Destination {
  /** The URL as serialised, fragment included, without user name and password. */
  readonly href: string;
  /** "http", "https", or one that was registered (`registerScheme`). */
  readonly scheme: string;
  /** To dial: lower-case, in ASCII, an IPv6 address without its brackets; a trailing dot is kept for the resolver. */
  readonly hostname: string;
  /** To compare and to verify (pool key, TLS name, address rules): `hostname` without a trailing dot. */
  readonly canonicalHost: string;
  /** The port, also where it is the scheme's own; 0 where a registered scheme's URL names none. */
  readonly port: number;
  /** For the Host field: host, and the port where it is not the scheme's own. */
  readonly authority: string;
  /** Host and port, always both: the authority-form, for CONNECT. */
  readonly hostPort: string;
  /** Path and query: the origin-form of the request target. */
  readonly target: string;
  /** `scheme://host[:port]`, as the standard serialises it. */
  readonly origin: string;
  /** User name and password, decoded; null where the URL has none. */
  readonly userinfo: { readonly username: string; readonly password: string } | null;
}

/** A working set of URLs; more would be ids, which never come again. */
const CACHED_URLS_MAX = 512;

const cache = new Map<string, Destination>();

/**
 * Schemes for which somebody in this program has registered a RoundTripper. A Request is made before it is known who will
 * carry it, so this says only whether anybody could; whether this one can, a Transport says.
 */
const registered = new Set<string>();

/** What is carried over connections of ours. */
export type HttpScheme = "http" | "https";

/** @throws {LocalProtocolError} a scheme that somebody has registered, but not with whoever carries this */
export function httpSchemeOf({ scheme }: Destination): HttpScheme {
  if (scheme === "http" || scheme === "https") return scheme;
  throw new LocalProtocolError(
    "url",
    `Cannot send request: its scheme is ${scheme}, which was not registered with this transport (registerProtocol)`,
  );
}

/** From now on URLs of this scheme make Requests. `scheme` is lower-case and without the colon. */
export function registerScheme(scheme: string): void {
  registered.add(scheme);
}

/**
 * @throws {LocalProtocolError} no absolute URL of a scheme that is known, or one that the parser would have cleaned
 */
export function destinationOf(url: string): Destination {
  const known = cache.get(url);
  if (known !== undefined) return known;
  const made = parse(url);
  // All at once: the next round of calls fills it again, and nothing has to be kept about who was used when.
  if (cache.size >= CACHED_URLS_MAX) cache.clear();
  cache.set(url, made);
  return made;
}

function parse(text: string): Destination {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new LocalProtocolError(
      "url",
      "Cannot make request: URL is not valid: it must be absolute, as in http://host/",
      { cause: hideInput(cause) },
    );
  }
  // What reads back as it was given was not cleaned, and most URLs do.
  if (url.href !== text && /[\t\n\r]|^[\0- ]|[\0- ]$/.test(text)) {
    throw refused("it has a tab, a line end or outer blanks");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return registeredDestination(url);
  }
  const scheme = url.protocol === "http:" ? "http" : "https";
  const hostname = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  const canonicalHost = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  if (canonicalHost === "") throw refused("its host is empty");
  const userinfo = takeUserinfo(url);
  const port = url.port === "" ? (scheme === "http" ? 80 : 443) : Number(url.port);
  return Object.freeze({
    href: url.href,
    scheme,
    hostname,
    canonicalHost,
    port,
    authority: url.host,
    hostPort: `${url.hostname}:${port}`,
    target: url.pathname + url.search,
    origin: url.origin,
    userinfo,
  });
}

/** What a RoundTripper of its scheme makes of it is that one's affair: a host may be missing, and a port too. */
function registeredDestination(url: URL): Destination {
  const scheme = url.protocol.slice(0, -1);
  if (!registered.has(scheme)) {
    throw refused(
      `its scheme is ${scheme}, and only http and https are known, and what Transport.registerProtocol() was given`,
    );
  }
  const userinfo = takeUserinfo(url);
  const hostname = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  const port = Number(url.port);
  return Object.freeze({
    href: url.href,
    scheme,
    hostname,
    canonicalHost: hostname.endsWith(".") ? hostname.slice(0, -1) : hostname,
    port,
    authority: url.host,
    hostPort: `${url.hostname}:${port}`,
    target: url.pathname + url.search,
    origin: `${scheme}://${url.host}`, // the parser has "null" for what it does not know
    userinfo,
  });
}

/** User name and password, decoded; they are gone from the URL then. */
function takeUserinfo(url: URL): Destination["userinfo"] {
  if (url.username === "" && url.password === "") return null;
  const userinfo = Object.freeze({ username: decoded(url.username), password: decoded(url.password) });
  url.username = "";
  url.password = "";
  return userinfo;
}

function refused(problem: string): LocalProtocolError {
  return new LocalProtocolError("url", `Cannot make request: URL is refused: ${problem}`);
}

/** The parser's error carries the whole text, and the text may have a password. */
function hideInput(cause: unknown): unknown {
  return cause instanceof Error ? new TypeError(`${kindOf(cause)}: Invalid URL`) : cause;
}

/** Percent-decoded; text that is no valid encoding stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
