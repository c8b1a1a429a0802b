/**
 * The way of a request: which connections can serve it, how one is dialed, and how its head is written. Which proxy there
 * is, if any, is asked here, once for each call.
 *
 * | the proxy is | the target is | the connection leads to | the head |
 * | --- | --- | --- | --- |
 * | none | any | the target | origin-form |
 * | http, https | http | the proxy, for all such targets | absolute-form, with Proxy-Authorization |
 * | http, https | https, or http with `proxyTunnel` | the target, through CONNECT | origin-form |
 * | socks5 | any | the target, through SOCKS | origin-form |
 *
 * Lives as long as its transport. Ways are remembered for each destination, and proxies by the text that names them.
 *
 * Never: gives the proxy's credentials to anything but the dial, the head of a request to the proxy, and the pool key.
 *
 * RFC 9112 §3.2 (forms of the target); RFC 9110 §11.7.2. Go net/http connectMethod.
 */

import { bare } from "./boundary.ts";
import type { DialTarget } from "./conn/dial.ts";
import type { TlsOptions } from "./conn/tls.ts";
import { TlsIdentities, type TlsIdentity } from "./conn/tls-identity.ts";
import { DialError, LocalProtocolError, ProxyError } from "./errors.ts";
import { parseIp } from "./ip.ts";
import { acceptEncoding } from "./message/decode.ts";
import { type Destination, destinationOf, httpSchemeOf } from "./message/destination.ts";
import { sameName } from "./message/headers.ts";
import type { ProxyOption, ResolvedOptions } from "./options.ts";
import { connKey, identityKey } from "./pool/conn-key.ts";
import { proxyFromEnvironment } from "./proxy/environment.ts";
import { type ProxyInput, type ProxyServer, proxyOf } from "./proxy/proxy-url.ts";
import { HeadWriter } from "./wire/head-writer.ts";
import type { OutgoingHead, WritableHead, WriterOptions } from "./wire/request-writer.ts";

export interface Way {
  /** For the pool; may hold a proxy's credentials. */
  readonly key: string;
  /** For traces. */
  readonly shownKey: string;
  /** Where the connection leads in the end: the proxy itself where the request goes to it as a request. */
  readonly target: DialTarget;
  readonly proxy: ProxyServer | null;
  /** Whether the connection goes through the proxy to the target, in place of ending there. */
  readonly tunnel: boolean;
  readonly heads: HeadWriter;
  /** Whether ALPN may choose another protocol than HTTP/1.1, whose connections many requests share (`nextProtocols`). */
  readonly negotiated: boolean;
  /** The same for requests that only HTTP/1.1 can carry: another key, and nothing else is offered. Null where this is so. */
  readonly plain: Way | null;
}

/** What a transport remembers of a proxy. */
interface KnownProxy {
  readonly proxy: ProxyServer;
  /** Of requests that it gets as requests. */
  readonly heads: HeadWriter;
  readonly ways: WeakMap<Destination, Way>;
}

/**
 * Of requests in a tunnel: the proxy never sees their fields, and the target is not whom the caller of Proxy-Authorization
 * trusts (GHSA-6cv7-626c-qhqw was that in undici).
 */
class TunnelledHeads extends HeadWriter {
  /** @throws {LocalProtocolError} see `writeHead`; and Proxy-Authorization */
  override write(head: OutgoingHead): WritableHead {
    for (const [name] of head.fields) {
      if (!sameName(name, "proxy-authorization")) continue;
      throw new LocalProtocolError(
        "header proxy-authorization",
        "Cannot make request: header proxy-authorization would go to the target, through the tunnel: options proxy (user and password of its URL) and proxyConnectHeader are for the proxy",
      );
    }
    return super.write(head);
  }
}

/** A program has few proxies; a function that makes one up for each call shall not fill the memory. */
const PROXIES_MAX = 256;

export class Ways {
  readonly #options: ResolvedOptions;
  /** Origin-form: of all ways but those that end at a proxy. */
  readonly #heads: HeadWriter;
  readonly #tunnelled: HeadWriter;
  readonly #direct = new WeakMap<Destination, Way>();
  readonly #proxies = new Map<string, KnownProxy>();
  readonly #proxy: ProxyOption;
  /** The proxy of every request; null where it is asked for each. */
  readonly #fixed: KnownProxy | null;
  /** What is offered by ALPN; null where there is nothing to choose. */
  readonly #alpn: readonly string[] | null;
  readonly #identities: TlsIdentities;
  /** Of calls with TLS options of their own: by identity, then by the way of those without. */
  readonly #identified = new WeakMap<TlsIdentity, WeakMap<Way, Way>>();
  /** What the environment said: it is read once, so its answer to a destination stands. */
  readonly #fromEnvironment = new WeakMap<Destination, KnownProxy | "none">();

  /** @throws {ProxyError} the proxy in the options cannot be used */
  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#identities = new TlsIdentities(options.tls);
    this.#heads = new HeadWriter(this.#writerOptions(null));
    this.#tunnelled = new TunnelledHeads(this.#writerOptions(null));
    const next = Object.keys(options.nextProtocols ?? {});
    this.#alpn = next.length === 0 ? null : [...next, "http/1.1"];
    this.#proxy = options.proxy;
    this.#fixed = typeof options.proxy === "function" || options.proxy === null ? null : this.#known(options.proxy);
  }

  /**
   * The way to a destination; a promise only where the option `proxy` is a function that gives one.
   *
   * @throws what the function throws, as it is; {ProxyError} what it gives cannot be used; {DialError} `allowAddress`
   *   refuses a target that is reached through a proxy
   */
  find(destination: Destination): Way | Promise<Way> {
    if (this.#proxy === null) return this.#directly(destination);
    if (this.#fixed !== null) return this.#through(this.#fixed, destination);
    if (this.#proxy === proxyFromEnvironment) {
      let known = this.#fromEnvironment.get(destination);
      if (known === undefined) {
        const url = proxyFromEnvironment(new URL(destination.href));
        known = url === null ? "none" : this.#known(url);
        this.#fromEnvironment.set(destination, known);
      }
      return known === "none" ? this.#directly(destination) : this.#through(known, destination);
    }
    const ask = this.#proxy as Extract<ProxyOption, (url: URL) => unknown>; // neither null nor a fixed one
    const answer = ask(new URL(destination.href));
    if (typeof (answer as Partial<PromiseLike<unknown>> | null | undefined)?.then !== "function") {
      return this.#given(answer as ProxyInput | null | undefined, destination); // no promise, as was just seen
    }
    return Promise.resolve(answer).then((given) => this.#given(given, destination));
  }

  /**
   * The way of a call with TLS options of its own. They are those of the target: a way that leads to no https target is
   * the same for all, and so is the leg to an https proxy.
   *
   * @throws as `find`; {TypeError} options that cannot be meant
   */
  findAs(tls: TlsOptions, destination: Destination): Way | Promise<Way> {
    const identity = this.#identityOf(tls);
    const found = this.find(destination);
    if (identity === null || destination.scheme !== "https") return found;
    if (found instanceof Promise) return found.then((way) => this.#as(identity, way));
    return this.#as(identity, found);
  }

  /** The TLS sessions of calls are gone; those of the transport are its dialer's. */
  forgetSessions(): void {
    this.#identities.clear();
  }

  /**
   * Whether a connection that this way led to is one of those that a call with these options may use.
   *
   * @throws {TypeError} options that cannot be meant
   */
  serves(tls: TlsOptions, { target }: Way): boolean {
    if (target.scheme !== "https" || target.tls === "proxy") return true; // TLS options are those of https targets
    return this.#identityOf(tls)?.layer === target.tls;
  }

  #identityOf(tls: TlsOptions): TlsIdentity | null {
    if (this.#alpn !== null && Object.hasOwn(tls, "ALPNProtocols") && tls.ALPNProtocols !== undefined) {
      throw new TypeError("Options nextProtocols and tls.ALPNProtocols exclude each other: both say what is offered");
    }
    return this.#identities.of(tls);
  }

  #as(identity: TlsIdentity, way: Way): Way {
    let ways = this.#identified.get(identity);
    if (ways === undefined) {
      ways = new WeakMap();
      this.#identified.set(identity, ways);
    }
    let own = ways.get(way);
    if (own === undefined) {
      const target = bare({ ...way.target, tls: identity.layer });
      const [key, shownKey] = [identityKey(way.key, identity.id), identityKey(way.shownKey, identity.id)];
      const plain = way.plain === null ? null : this.#as(identity, way.plain);
      own = { ...way, key, shownKey, target, plain };
      ways.set(way, own);
    }
    return own;
  }

  #given(proxy: unknown, destination: Destination): Way {
    if (proxy === null || proxy === undefined) return this.#directly(destination);
    if (typeof proxy !== "string" && !(proxy instanceof URL)) {
      throw new ProxyError("Cannot use proxy: the function gave neither a string, a URL nor null", null);
    }
    return this.#through(this.#known(proxy), destination);
  }

  #directly(destination: Destination): Way {
    let way = this.#direct.get(destination);
    if (way === undefined) {
      const { canonicalHost, port } = destination;
      const scheme = httpSchemeOf(destination);
      const key = connKey({ proxy: null, scheme, host: canonicalHost, port });
      const target = targetOf(destination);
      way = this.#negotiating({ key, shownKey: key, target, proxy: null, tunnel: false, heads: this.#heads });
      this.#direct.set(destination, way);
    }
    return way;
  }

  #through(known: KnownProxy, destination: Destination): Way {
    // For each request and not for each dial: requests to many targets share a connection to the proxy.
    this.#askPolicy(destination);
    let way = known.ways.get(destination);
    if (way === undefined) {
      way = this.#proxied(known, destination);
      known.ways.set(destination, way);
    }
    return way;
  }

  #proxied({ proxy, heads }: KnownProxy, destination: Destination): Way {
    const { canonicalHost, port } = destination;
    const scheme = httpSchemeOf(destination);
    const tunnel = scheme === "https" || proxy.kind === "socks5" || this.#options.proxyTunnel;
    const keyOf = (by: string) => connKey({ proxy: by, scheme, host: canonicalHost, port, tunnel });
    const way = {
      key: keyOf(proxy.key),
      shownKey: keyOf(proxy.shown),
      target: tunnel ? targetOf(destination) : proxyTarget(proxy),
      proxy,
      tunnel,
      heads: tunnel ? this.#tunnelled : heads,
    };
    return tunnel ? this.#negotiating(way) : { ...way, negotiated: false, plain: null };
  }

  /** With what ALPN is to offer. Only who verifies the target chooses a protocol with it: a proxy as such speaks HTTP/1.1. */
  #negotiating(way: Omit<Way, "negotiated" | "plain">): Way {
    if (this.#alpn === null || way.target.scheme !== "https") return { ...way, negotiated: false, plain: null };
    const plain: Way = {
      ...way,
      key: `${way.key} http/1.1`,
      shownKey: `${way.shownKey} http/1.1`,
      target: bare({ ...way.target, alpn: ["http/1.1"] }),
      negotiated: false,
      plain: null,
    };
    return { ...way, target: bare({ ...way.target, alpn: this.#alpn }), negotiated: true, plain };
  }

  /**
   * Whether the target of a CONNECT of the caller's may be reached: whoever is asked for it is a proxy then.
   *
   * @throws {DialError} `allowAddress` refuses it
   */
  checkConnect(hostPort: string): void {
    if (this.#options.allowAddress !== undefined) this.#askPolicy(destinationOf(`http://${hostPort}`));
  }

  /** Of a target behind a proxy only a literal can be judged here: the proxy resolves the names. */
  #askPolicy({ canonicalHost, port, hostPort }: Destination): void {
    const { allowAddress } = this.#options;
    if (allowAddress === undefined || parseIp(canonicalHost) === null) return;
    const answer: unknown = allowAddress(canonicalHost, port);
    if (typeof answer !== "boolean") throw new TypeError("allowAddress must return true or false");
    if (answer) return;
    const family = canonicalHost.includes(":") ? 6 : 4;
    throw new DialError(
      `Cannot connect to ${hostPort}: allowAddress refused it`,
      [{ address: canonicalHost, family, port, outcome: "refused-by-policy", ms: 0 }],
      { phase: "connect" },
    );
  }

  #known(input: ProxyInput): KnownProxy {
    const text = typeof input === "string" ? input : input.href;
    let known = this.#proxies.get(text);
    if (known === undefined) {
      const proxy = proxyOf(text);
      known = { proxy, heads: new HeadWriter(this.#writerOptions(proxy)), ways: new WeakMap() };
      if (this.#proxies.size >= PROXIES_MAX) this.#proxies.clear();
      this.#proxies.set(text, known);
    }
    return known;
  }

  /** @param proxy gets these heads as requests; null: the target gets them */
  #writerOptions(proxy: ProxyServer | null): WriterOptions {
    const { userAgent, keepAlive, decompress } = this.#options;
    const authorization = proxy?.authorization ?? null;
    return {
      userAgent,
      // Asked for when it is needed: the answer loads node:zlib.
      get acceptEncoding() {
        return decompress ? acceptEncoding() : null;
      },
      absoluteForm: proxy !== null,
      close: !keepAlive,
      extra: authorization === null ? [] : [["Proxy-Authorization", authorization]],
    };
  }
}

/** The way of a connection that others speak over: it ends at the target, whatever the proxy, and speaks HTTP/1.1. */
export function wayToTarget(found: Way, destination: Destination): Way {
  if (found.proxy === null || found.tunnel) return found.plain ?? found;
  return { ...found, tunnel: true, target: targetOf(destination) };
}

function targetOf(destination: Destination): DialTarget {
  const { hostname, canonicalHost, port } = destination;
  const target = { scheme: httpSchemeOf(destination), host: hostname, port };
  return bare(hostname === canonicalHost ? target : { ...target, serverName: canonicalHost });
}

/** The first leg. The name to verify is the proxy's own, whatever TLS options say of the targets. */
export function proxyTarget(proxy: ProxyServer): DialTarget {
  const { kind, host, port } = proxy;
  const serverName = host.endsWith(".") ? host.slice(0, -1) : host;
  return bare({
    scheme: kind === "https" ? "https" : "http",
    host,
    port,
    serverName,
    label: `proxy ${authorityOf(host, port)}`,
    tls: "proxy",
  });
}

export function authorityOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
