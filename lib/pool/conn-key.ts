/**
 * What makes two requests able to share a connection: Go's connectMethodKey. Pure.
 *
 * | request | key |
 * | --- | --- |
 * | `http://a.example/`, direct | `\|http\|a.example:80` |
 * | `https://a.example/`, direct | `\|https\|a.example:443` |
 * | `http://a.example/` through `http://proxy:3128` | `http://proxy:3128\|http\|` |
 * | the same with CONNECT (`tunnel`) | `http://proxy:3128\|http\|a.example:80` |
 * | `https://a.example/` through `http://proxy:3128` | `http://proxy:3128\|https\|a.example:443` |
 * | `http://a.example/` through `socks5://proxy:1080` | `socks5://proxy:1080\|http\|a.example:80` |
 * | `http://a.example/` over a unix socket | `\|http\|a.example:80\|/run/app.sock` |
 * | `https://a.example/` with TLS options of its own | `tls-3\|https\|a.example:443`: any of the above after `tls-ID` |
 *
 * Two different ways give two different keys: scheme, host and port hold no `|`, only a key with a path begins with `|`
 * and has more than two of them, and the path stands last. A proxy's scheme is none that begins with `tls-`.
 */

/** The way to an origin. `host` is as in `URL.hostname`: lower case, punycode, IPv6 in brackets. */
export interface ConnWay {
  /** The proxy's URL with its credentials, serialised; null where there is none. Two sets of credentials are two pools. */
  readonly proxy: string | null;
  readonly scheme: "http" | "https";
  readonly host: string;
  readonly port: number;
  /** The request goes through a CONNECT tunnel although its scheme is `http`. */
  readonly tunnel?: boolean;
  /** A unix socket, dialed in place of host and port; never together with a proxy. */
  readonly path?: string;
}

/**
 * @returns equal strings for requests that may share a connection. For an `http` target through an HTTP or HTTPS proxy
 * the address is left out: such requests name it in their absolute-form (RFC 9112 §3.2.2), so that all of them share the
 * connections to the proxy. A SOCKS proxy and a CONNECT tunnel bind a connection to its address, so there it stays.
 */
export function connKey({ proxy, scheme, host, port, tunnel, path }: ConnWay): string {
  if (proxy === null) return path === undefined ? `|${scheme}|${host}:${port}` : `|${scheme}|${host}:${port}|${path}`;
  if (scheme === "http" && tunnel !== true && /^https?:/.test(proxy)) return `${proxy}|http|`;
  return `${proxy}|${scheme}|${host}:${port}`;
}

/** The key of the same way for one TLS identity: connections of one serve no other. */
export function identityKey(key: string, identity: number): string {
  return `tls-${identity}${key.startsWith("|") ? "" : "|"}${key}`;
}
