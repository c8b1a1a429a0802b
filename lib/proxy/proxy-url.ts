/**
 * A proxy, parsed from the URL that names it: once, when it is first seen. Holds its credentials and gives them out for
 * two things only: what is sent to the proxy itself, and the pool key, since two sets of credentials are two pools.
 *
 * Never: shows the credentials, in a text or in `inspect`.
 *
 * RFC 9110 §11.7.2 (Proxy-Authorization), RFC 7617 (Basic), RFC 1928 and 1929 (SOCKS5).
 */

import { ProxyError } from "../errors.ts";

export type ProxyKind = "http" | "https" | "socks5";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

const KINDS: Readonly<Record<string, readonly [kind: ProxyKind, defaultPort: number]>> = {
  "http:": ["http", 80],
  "https:": ["https", 443],
  // Both leave names to the proxy, as in Go: looking them up here would tell others where one goes.
  "socks5:": ["socks5", 1080],
  "socks5h:": ["socks5", 1080],
};

export class ProxyServer {
  readonly kind: ProxyKind;
  /** To dial: lower-case, an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** The URL without credentials: `http://proxy.example:3128`. For texts, traces and `response.connection`. */
  readonly shown: string;
  readonly #credentials: Credentials | null;
  readonly #key: string;

  constructor(kind: ProxyKind, scheme: string, url: URL, port: number) {
    const hostname = url.hostname.toLowerCase(); // the URL standard leaves the hosts of schemes that it does not know
    this.kind = kind;
    this.host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
    this.port = port;
    this.shown = `${scheme}//${hostname}:${port}`;
    const { username, password } = url;
    const none = username === "" && password === "";
    this.#credentials = none ? null : { username: decoded(username), password: decoded(password) };
    this.#key = none ? this.shown : `${scheme}//${username}:${password}@${hostname}:${port}`;
  }

  /** With the credentials: for the pool, which never prints it. */
  get key(): string {
    return this.#key;
  }

  /** The user name and the password, decoded; null where the URL has none. */
  get credentials(): Credentials | null {
    return this.#credentials;
  }

  /** The value of Proxy-Authorization; null where the URL has no credentials. */
  get authorization(): string | null {
    if (this.#credentials === null) return null;
    const { username, password } = this.#credentials;
    return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  }

  /** Text of the proxy's own with the credentials taken out, in case it says what it was told. */
  redact(text: string): string {
    if (this.#credentials === null) return text;
    const { username, password } = this.#credentials;
    const secrets = [this.authorization?.slice("Basic ".length) ?? "", password, encodeURIComponent(password)];
    let shown = text;
    for (const secret of secrets)
      if (secret !== "" && secret !== username) shown = shown.replaceAll(secret, "(hidden)");
    return shown;
  }
}

/** What proxies are given as; text without a scheme is taken for `http://`, as in Go. */
export type ProxyInput = string | URL;

/**
 * @throws {ProxyError} no URL, or one of a scheme that is not known; the text does not show it, since it may have a
 *   password
 */
export function proxyOf(input: ProxyInput): ProxyServer {
  const url = parse(typeof input === "string" ? input : input.href);
  if (url === null || url.hostname === "") throw unusable("its URL is not valid");
  const known = KINDS[url.protocol];
  if (known === undefined) {
    throw unusable(`its scheme is ${url.protocol.slice(0, -1)}, and only http, https, socks5 and socks5h are known`);
  }
  const [kind, defaultPort] = known;
  return new ProxyServer(kind, url.protocol, url, url.port === "" ? defaultPort : Number(url.port));
}

function parse(text: string): URL | null {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  return URL.canParse(whole) ? new URL(whole) : null;
}

function unusable(state: string): ProxyError {
  return new ProxyError(`Cannot use proxy: ${state}`, null);
}

/** Percent-decoded; text that is no valid encoding stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
