/**
 * Which proxy the environment asks for: HTTP_PROXY for `http` URLs, HTTPS_PROXY for `https`, and NO_PROXY for what goes
 * there directly. Upper-case names come before lower-case ones, and an empty variable counts as none.
 *
 * `proxyFromEnvironment` reads the environment once, at its first use, and keeps to that.
 *
 * localhost and loopback addresses are never proxied. NO_PROXY is a list with commas; of its entries, `*` lets everything
 * go directly, `10.0.0.0/8` is a block of addresses, `10.0.0.1` or `[::1]:8080` an address, `example.org` that host and
 * those below it, `.example.org` and `*.example.org` only those below it; a port says that the rest holds for it alone.
 *
 * Never: shows the value of a variable in an error: it may have a password.
 *
 * Go golang.org/x/net/http/httpproxy, net/http ProxyFromEnvironment.
 */

import { ProxyError } from "../errors.ts";
import { type IpBytes, type IpRange, inIpRange, isLoopback, parseIp, parseIpRange, sameIp } from "../ip.ts";
import { type ProxyServer, proxyOf } from "./proxy-url.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a URL is proxied, and the rule that says so. */
export interface ProxyExplanation {
  /** The proxy's URL without credentials; null: the request goes directly. */
  readonly proxy: string | null;
  readonly reason: string;
}

/** A decision for one URL. */
interface Decision {
  readonly proxy: ProxyServer | null;
  readonly reason: string;
}

/** One entry of NO_PROXY, with the words in which an explanation names it. */
interface Bypass {
  readonly entry: string;
  matches(host: string, port: string, ip: IpBytes | null): boolean;
}

/** The rules of one environment, read once. */
class EnvironmentProxies {
  readonly #http: () => ProxyServer | null;
  readonly #https: () => ProxyServer | null;
  readonly #httpName: string | null;
  readonly #httpsName: string | null;
  readonly #noProxyName: string;
  readonly #bypasses: readonly Bypass[];
  readonly #cgi: boolean;

  constructor(env: Environment) {
    this.#httpName = firstSet(env, "HTTP_PROXY", "http_proxy");
    this.#httpsName = firstSet(env, "HTTPS_PROXY", "https_proxy");
    const noProxy = firstSet(env, "NO_PROXY", "no_proxy");
    this.#noProxyName = noProxy ?? "NO_PROXY";
    this.#http = parsedOnce(env, this.#httpName);
    this.#https = parsedOnce(env, this.#httpsName);
    this.#bypasses = noProxy === null ? [] : parseNoProxy(env[noProxy] ?? "");
    this.#cgi = (env["REQUEST_METHOD"] ?? "") !== "";
  }

  /** The proxy's URL, credentials included, or null. Throws as `decide` does. */
  proxyFor(url: URL): URL | null {
    const { proxy } = this.decide(url);
    return proxy === null ? null : new URL(proxy.key);
  }

  /** @throws {ProxyError} the variable for this URL cannot be used */
  decide(url: URL): Decision {
    const secure = url.protocol === "https:";
    if (!secure && url.protocol !== "http:") {
      return { proxy: null, reason: `${url.protocol.slice(0, -1)} URLs have no proxy variable` };
    }
    const name = secure ? this.#httpsName : this.#httpName;
    if (name === null) return { proxy: null, reason: `${secure ? "HTTPS_PROXY" : "HTTP_PROXY"} is not set` };
    // A CGI program gets the header `Proxy` of a request as HTTP_PROXY: whoever asks would choose where it goes.
    if (!secure && this.#cgi) {
      throw new ProxyError(
        "Cannot use proxy: refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy",
        null,
      );
    }
    const proxy = (secure ? this.#https : this.#http)();
    const { hostname, port } = url;
    const direct = this.#whyDirect(hostname, port === "" ? (secure ? "443" : "80") : port);
    return direct === null ? { proxy, reason: `${name} is set` } : { proxy: null, reason: direct };
  }

  /** @param hostname as in `URL.hostname` */
  #whyDirect(hostname: string, port: string): string | null {
    const host = canonical(hostname);
    if (host === "localhost") return "localhost is never proxied";
    const ip = parseIp(host);
    if (ip !== null && isLoopback(ip)) return `loopback addresses are never proxied: ${host}`;
    const bypass = this.#bypasses.find((candidate) => candidate.matches(host, port, ip));
    return bypass === undefined ? null : `${this.#noProxyName} has ${bypass.entry}`;
  }
}

let processProxies: EnvironmentProxies | null = null;

/** Those of the process, read at the first use. */
function ofProcess(): EnvironmentProxies {
  processProxies ??= new EnvironmentProxies(process.env);
  return processProxies;
}

/**
 * For the option `proxy` of Transport: the proxy that the process's environment asks for, or null.
 *
 * @returns the proxy's URL, credentials included
 * @throws {ProxyError} the variable for this URL cannot be used
 */
export function proxyFromEnvironment(url: URL): URL | null {
  return ofProcess().proxyFor(url);
}

/** As `proxyFromEnvironment`, for an environment of one's own: the option `proxy` of a transport. */
export function environmentProxy(env: Environment): (url: URL) => URL | null {
  const rules = new EnvironmentProxies(env);
  return (url) => rules.proxyFor(url);
}

/**
 * Why a URL is proxied or not. Without `env` it tells what `proxyFromEnvironment` does; with one, what that would do there.
 *
 * @throws {TypeError} no URL
 */
export function explainProxy(url: string | URL, env?: Environment): ProxyExplanation {
  const rules = env === undefined ? ofProcess() : new EnvironmentProxies(env);
  try {
    const { proxy, reason } = rules.decide(new URL(url));
    return { proxy: proxy?.shown ?? null, reason };
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return { proxy: null, reason: `the request fails: ${error.message}` };
  }
}

/** The first of the names that has a value. */
function firstSet(env: Environment, ...names: readonly string[]): string | null {
  return names.find((name) => (env[name] ?? "") !== "") ?? null;
}

/** A proxy that is parsed when it is first wanted: one that cannot be used hurts only those who would use it. */
function parsedOnce(env: Environment, name: string | null): () => ProxyServer | null {
  let parsed: ProxyServer | undefined;
  return () => {
    if (name === null) return null;
    try {
      parsed ??= proxyOf(env[name] ?? "");
      return parsed;
    } catch (cause) {
      throw new ProxyError(`Cannot use proxy: the value of ${name} is no proxy's URL`, null, { cause });
    }
  };
}

/** Lower case, without brackets, without the dot that only says that the name is whole. */
function canonical(host: string): string {
  const lower = host.toLowerCase();
  const bare = lower.startsWith("[") && lower.endsWith("]") ? lower.slice(1, -1) : lower;
  return bare.endsWith(".") ? bare.slice(0, -1) : bare;
}

/** Entries in their order; one that says nothing is left out, as in Go. */
function parseNoProxy(list: string): Bypass[] {
  const bypasses: Bypass[] = [];
  for (const part of list.split(",")) {
    const entry = part.trim();
    const bypass = entry === "" ? null : bypassOf(entry);
    if (bypass !== null) bypasses.push(bypass);
  }
  return bypasses;
}

function bypassOf(entry: string): Bypass | null {
  if (entry === "*") return { entry, matches: () => true };
  const range = parseIpRange(entry);
  if (range !== null) return ofRange(entry, range);
  const [name, port] = splitPort(entry);
  const samePort = (other: string) => port === null || port === other;
  const host = canonical(name);
  const address = parseIp(host);
  if (address !== null) {
    return { entry, matches: (_, other, ip) => ip !== null && sameIp(ip, address) && samePort(other) };
  }
  const below = host.startsWith("*.") ? host.slice(1) : host;
  if (below === "" || below === ".") return null;
  const onlyBelow = below.startsWith(".");
  const suffix = onlyBelow ? below : `.${below}`;
  const domain = ascii(suffix.slice(1));
  return {
    entry,
    // An address is in no domain, also one whose zone ends like it (CVE-2025-22870): `parseIp` leaves the zone out.
    matches: (name, other, ip) =>
      ip === null && (name.endsWith(`.${domain}`) || (!onlyBelow && name === domain)) && samePort(other),
  };
}

function ofRange(entry: string, range: IpRange): Bypass {
  return { entry, matches: (_, __, ip) => ip !== null && inIpRange(ip, range) };
}

/** `host:port` and `[address]:port` in two; an IPv6 address without brackets has no port. */
function splitPort(entry: string): [host: string, port: string | null] {
  const found = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  return found === null ? [entry, null] : [found[1] ?? "", String(Number(found[2]))];
}

/** Names are compared as a URL has them: in punycode. */
function ascii(domain: string): string {
  return URL.canParse(`http://${domain}/`) ? new URL(`http://${domain}/`).hostname : domain;
}
