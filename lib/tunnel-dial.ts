/**
 * A dial through a proxy to the target behind it: dial the proxy (and secure that, where it is an https one), open a tunnel
 * by CONNECT or SOCKS, then secure the target over it. The same dialer makes both ends, so that addresses, policies, names
 * and sessions follow the same rules as in a direct dial.
 *
 * One lives as long as its dial. Owns the stream between the dialer's two turns: whatever ends the dial then destroys it.
 *
 * Never: lets the proxy's credentials out of what is sent to the proxy.
 *
 * RFC 9110 §9.3.6 (CONNECT). Go net/http Transport.dialConn.
 */

import type { Duplex } from "node:stream";
import { onAbort } from "./abort.ts";
import type { Clock, Deadline } from "./clock.ts";
import { discard } from "./conn/connecting.ts";
import type { Dialer, Dialing, DialTrace } from "./conn/dial.ts";
import { HttpError, ProxyError, TimeoutError } from "./errors.ts";
import { headersOver, normaliseHeaders, PairLines } from "./message/headers.ts";
import type { ResolvedOptions } from "./options.ts";
import type { ProxyServer } from "./proxy/proxy-url.ts";
import { socksThrough } from "./proxy/socks.ts";
import { type ConnectReply, connectThrough } from "./proxy/tunnel.ts";
import { authorityOf, proxyTarget, type Way } from "./way.ts";
import { writeHead } from "./wire/request-writer.ts";

export interface TunnelTrace extends DialTrace {
  tunnelStart(proxy: string, target: string): void;
  tunnelDone(status: number | null): void;
}

/** What is under way, and how the process is told not to wait for it. */
interface Stage {
  unref(): void;
  readonly holdsProcess?: boolean;
}

export class TunnelDial<T> implements Dialing<T> {
  readonly promise: Promise<T>;
  readonly #dialer: Dialer;
  readonly #clock: Clock;
  readonly #options: ResolvedOptions;
  readonly #way: Way;
  readonly #proxy: ProxyServer;
  readonly #target: string;
  readonly #signal: AbortSignal;
  readonly #trace: TunnelTrace;
  readonly #over: (stream: Duplex) => Dialing<T>;
  #stage: Stage | null = null;
  #unreferenced = false;

  /** @param over the dial of the target, over the tunnel */
  constructor(
    dialer: Dialer,
    clock: Clock,
    options: ResolvedOptions,
    way: Way & { readonly proxy: ProxyServer },
    signal: AbortSignal,
    trace: TunnelTrace,
    over: (stream: Duplex) => Dialing<T>,
  ) {
    this.#dialer = dialer;
    this.#clock = clock;
    this.#options = options;
    this.#way = way;
    this.#proxy = way.proxy;
    this.#target = authorityOf(way.target.host, way.target.port);
    this.#signal = signal;
    this.#trace = trace;
    this.#over = over;
    this.promise = this.#run();
  }

  unref(): void {
    this.#unreferenced = true;
    this.#stage?.unref();
  }

  get holdsProcess(): boolean {
    return this.#stage?.holdsProcess ?? false;
  }

  #enter(stage: Stage): void {
    this.#stage = stage;
    if (this.#unreferenced) stage.unref();
  }

  async #run(): Promise<T> {
    const first = await this.#firstLeg();
    const stream = await this.#tunnel(first);
    const last = this.#over(stream);
    this.#enter(last);
    return await last.promise;
  }

  async #firstLeg(): Promise<Duplex> {
    const leg = this.#dialer.open(proxyTarget(this.#proxy), this.#signal, this.#trace);
    this.#enter(leg);
    try {
      return await leg.promise;
    } catch (error) {
      throw this.#tagged(error);
    }
  }

  /** An error of the proxy's leg says so. What the caller gave as reason of an abort is not ours to touch. */
  #tagged(error: unknown): unknown {
    if (error instanceof HttpError && error !== this.#signal.reason) error.addFacts({ proxy: this.#proxy.shown });
    return error;
  }

  /** The tunnel has one limit and one way to end early, whoever is waited for: the proxy, or a function of the caller. */
  async #tunnel(first: Duplex): Promise<Duplex> {
    const stop = new AbortController();
    const ended = new Promise<never>((_, reject) => {
      stop.signal.addEventListener("abort", () => reject(stop.signal.reason), { once: true });
    });
    ended.catch(() => {}); // it is raced below, and may lose
    const { proxyConnectTimeout } = this.#options;
    const limit = new Limit(this.#clock, proxyConnectTimeout, () => stop.abort(this.#timeout(proxyConnectTimeout)));
    const leave = onAbort(this.#signal, () => stop.abort(this.#signal.reason));
    this.#enter({
      unref: () => {
        limit.unref();
        (first as { unref?(): void }).unref?.(); // sockets have it
      },
    });
    try {
      if (this.#signal.aborted) throw this.#signal.reason;
      this.#trace.tunnelStart(this.#proxy.shown, this.#target);
      return await Promise.race([this.#opened(first, stop.signal), ended]);
    } catch (error) {
      discard(first);
      throw this.#tagged(error);
    } finally {
      limit.cancel();
      leave();
    }
  }

  #timeout(limit: number): TimeoutError {
    const text = `${this.#what}: no tunnel within ${limit} ms (option proxyConnectTimeout)`;
    return new TimeoutError("proxy", "proxyConnectTimeout", limit, text, { safeToRetry: true });
  }

  get #what(): string {
    return `Cannot open tunnel through proxy ${this.#proxy.shown} to ${this.#target}`;
  }

  async #opened(first: Duplex, signal: AbortSignal): Promise<Duplex> {
    const { host, port } = this.#way.target;
    if (this.#proxy.kind === "socks5") {
      const stream = await socksThrough(first, this.#proxy, host, port, this.#options.proxyConnectTimeout);
      if (!signal.aborted) this.#trace.tunnelDone(null);
      return stream;
    }
    const head = await this.#head();
    if (signal.aborted) throw signal.reason;
    const reply = await this.#connect(first, head, signal);
    if (signal.aborted) throw signal.reason;
    this.#trace.tunnelDone(reply.status);
    await this.#show(reply);
    if (reply.status < 200 || reply.status > 299) throw this.#refused(reply);
    return first;
  }

  /** Every byte of it is checked where all heads are. The proxy's own credentials win over configured ones, as in Go. */
  async #head(): Promise<string> {
    const { proxyConnectHeader, userAgent } = this.#options;
    const { authorization, shown } = this.#proxy;
    const given =
      typeof proxyConnectHeader === "function"
        ? await proxyConnectHeader(new URL(shown), this.#target)
        : proxyConnectHeader;
    const pairs = given === undefined ? [] : normaliseHeaders(given);
    const fields = authorization === null ? pairs : pairs.filter(([name]) => !/^proxy-authorization$/i.test(name));
    const { text } = writeHead(
      {
        method: "CONNECT",
        scheme: "http",
        authority: this.#target,
        target: this.#target,
        fields,
        bodyLength: undefined,
        contentType: null,
        trailerNames: null,
        expectContinue: false,
      },
      {
        userAgent,
        acceptEncoding: null,
        absoluteForm: false,
        close: false,
        extra: authorization === null ? [] : [["Proxy-Authorization", authorization]],
      },
    );
    return text;
  }

  async #connect(first: Duplex, head: string, signal: AbortSignal): Promise<ConnectReply> {
    const { maxResponseHeaderBytes, maxResponseHeaders, max1xxResponses } = this.#options;
    const limits = {
      headBytesMax: maxResponseHeaderBytes,
      headerCountMax: maxResponseHeaders,
      informationMax: max1xxResponses,
    };
    try {
      return await connectThrough(first, head, limits, signal, (ms, fire) => this.#clock.deadline(ms, fire));
    } catch (cause) {
      // What the peer broke is told as for any answer; what broke below it is told as the proxy's failure.
      if (signal.aborted || (cause instanceof HttpError && cause.code !== "ERR_HTTP_CONNECTION_CLOSED")) throw cause;
      throw new ProxyError(`${this.#what}: the proxy closed the connection without an answer`, null, { cause });
    }
  }

  /** Before the status is judged, as in Go: what the hook throws ends the dial. */
  async #show({ status, statusText, headers }: ConnectReply): Promise<void> {
    const { onProxyConnectResponse } = this.#options;
    if (onProxyConnectResponse === undefined) return;
    await onProxyConnectResponse({
      proxy: this.#proxy.shown,
      target: this.#target,
      status,
      statusText,
      headers: headersOver(new PairLines(headers)),
    });
  }

  #refused(reply: ConnectReply): ProxyError {
    const redact = (text: string) => this.#proxy.redact(text);
    const answer = {
      status: reply.status,
      headers: reply.headers.map(([name, value]) => [name, redact(value)] as const),
      body: redact(reply.body),
    };
    const words = `${reply.status} ${redact(reply.statusText)}`.trimEnd();
    const advice = reply.status === 407 && this.#proxy.credentials === null ? "; its URL has no credentials" : "";
    return new ProxyError(`${this.#what}: the proxy answered ${words}${advice}`, answer);
  }
}

/** A deadline that may stop keeping the process alive. */
class Limit {
  readonly #clock: Clock;
  readonly #fire: () => void;
  readonly #at: number;
  #deadline: Deadline | null;

  constructor(clock: Clock, ms: number, fire: () => void) {
    this.#clock = clock;
    this.#fire = fire;
    this.#at = clock.now() + ms;
    this.#deadline = ms === 0 ? null : clock.deadline(ms, fire, { keepAlive: true });
  }

  /** The same once more, since a deadline cannot change what it keeps alive. */
  unref(): void {
    if (this.#deadline === null) return;
    this.#deadline.cancel();
    this.#deadline = this.#clock.deadline(Math.max(1, this.#at - this.#clock.now()), this.#fire);
  }

  cancel(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
  }
}
