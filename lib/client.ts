/**
 * The client: what a caller talks to. Adds default headers and the total deadline to a call and hands it to a
 * RoundTripper, by default a Transport of its own. One call may become several round trips: an answer that redirects, and
 * every call with a cookie jar, is a Chain's.
 *
 * Owns:  its transport, if it made it: `close()` closes that one and no other.
 *
 * Go net/http Client.
 */

import { inspect } from "node:util";
import type { Clock } from "./clock.ts";
import { clockOf } from "./clock.ts";
import { type CookieJar, isCookieJar } from "./cookies.ts";
import { LocalProtocolError } from "./errors.ts";
import { type Fetch, fetchOver } from "./fetch/fetch.ts";
import { type HeadersInit, normaliseHeaders, sameName } from "./message/headers.ts";
import { inspectCustom, unknownOption, wrongType } from "./message/options.ts";
import { isRequestLike, REQUEST_OPTIONS, Request, type RequestInit, type RequestLike } from "./message/request.ts";
import type { Response } from "./message/response.ts";
import { CALL_TIME_LIMITS, type CallTimeLimits, checkCall, checkOption } from "./options.ts";
import { isRedirect } from "./redirect.ts";
import { authorized, Chain, type ChainOwner } from "./redirect-chain.ts";
import {
  fetchRedirects,
  REDIRECT_DEFAULTS,
  REDIRECT_OPTIONS,
  type RedirectOptions,
  type ResolvedRedirects,
  resolveRedirects,
} from "./redirect-options.ts";
import type { RoundTripCall, RoundTripper } from "./round-tripper.ts";
import type { TraceOption } from "./trace.ts";
import { Transport } from "./transport.ts";

export interface ClientOptions extends RedirectOptions {
  /**
   * What carries the round trips. Default: a Transport of the client's own, on its defaults, so without a proxy: the
   * environment's is `new Transport({ proxy: proxyFromEnvironment })`, as `defaultClient` has it.
   */
  transport?: RoundTripper;
  /** From the call to the last byte off the wire. Default 0: none. TimeoutError, phase total. */
  timeout?: number;
  /** Go out with every request that does not have a field of the same name. Default: none. LocalProtocolError. */
  headers?: HeadersInit;
  /**
   * Asked for the cookies of every hop, and given those that its answer sets: a tough-cookie CookieJar, or anything of its
   * shape. Default: no cookies but those that the caller puts into a Cookie field.
   */
  cookieJar?: CookieJar;
}

/** What belongs to one call and not to the request, which may be sent again. */
export interface CallOptions extends CallTimeLimits, RedirectOptions {
  /** Ends the call with its reason, wherever the call stands. Default: the request's own. */
  signal?: AbortSignal | null;
  /**
   * From the call to the last byte off the wire, in ms; 0 means none. Default: the client's. TimeoutError, phase total.
   */
  timeout?: number;
  /** Hears what happens on this call, beside the transport's own listener. Default: none. */
  trace?: TraceOption;
  /** Hears each 1xx response; what it throws fails the call. Default: none. */
  onInformation?: RoundTripCall["onInformation"];
  /**
   * TLS options of this call over those of the transport; see `RoundTripCall.tls`. Where it is redirected to another
   * origin, what is the first one's alone stays behind: the client certificate and `servername`. Default: the transport's. TlsError.
   */
  tls?: RoundTripCall["tls"];
}

/** What `client.get(url, init)` and its kin take: the request's parts and the call's. */
export type CallInit = Omit<RequestInit, "method" | "signal"> & CallOptions;

/** What a Request can be made of. */
export type RequestInput = ConstructorParameters<typeof Request>[0];

const TRANSPORT_CALL_NAMES: readonly string[] = [
  "signal",
  "timeout",
  "trace",
  "onInformation",
  "tls",
  ...CALL_TIME_LIMITS,
];
/** The options of one call. */
export const CALL_NAMES: readonly string[] = [...TRANSPORT_CALL_NAMES, ...REDIRECT_OPTIONS];
const PART_NAMES: readonly string[] = REQUEST_OPTIONS.filter((name) => name !== "method" && name !== "signal");
export const CLIENT_NAMES: readonly string[] = ["transport", "timeout", "headers", "cookieJar", ...REDIRECT_OPTIONS];

/** Stands before what a prototype brings along: that is not the caller's. */
const UNSET = { transport: undefined, timeout: undefined, headers: undefined, cookieJar: undefined };

export class Client {
  readonly transport: RoundTripper;
  readonly #ownTransport: Transport | null;
  readonly #timeout: number;
  readonly #headers: readonly (readonly [string, string])[];
  readonly #clock: Clock;
  readonly #redirects: ResolvedRedirects;
  readonly #chains: ChainOwner;
  #fetch: Fetch | null = null;

  /** @throws {TypeError} unknown or wrong options */
  constructor(options: ClientOptions = {}) {
    if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
    for (const name of Object.keys(options)) if (!CLIENT_NAMES.includes(name)) throw unknownOption(name, CLIENT_NAMES);
    const { transport, timeout = 0, headers, cookieJar } = { ...UNSET, ...options };
    if (transport !== undefined && typeof transport?.roundTrip !== "function") {
      throw wrongType("transport", "a Transport, or an object with roundTrip()", transport);
    }
    checkOption("timeout", "duration", timeout);
    if (cookieJar !== undefined && !isCookieJar(cookieJar)) {
      throw wrongType("cookieJar", "a CookieJar: an object with getCookieString() and setCookie()", cookieJar);
    }
    this.#redirects = resolveRedirects(REDIRECT_DEFAULTS, options);
    this.#ownTransport = transport === undefined ? new Transport() : null;
    this.transport = transport ?? (this.#ownTransport as Transport); // made in the line above where it was not given
    this.#timeout = timeout;
    this.#headers = headers === undefined ? [] : normaliseHeaders(headers);
    this.#clock = clockOf(this.transport); // deadlines are points in time on it
    this.#chains = { transport: this.transport, jar: cookieJar ?? null, clock: this.#clock };
  }

  /**
   * Sends a request and delivers the head of its answer, of the last one where it is redirected; a status is never an
   * error.
   *
   * @param request ours; or a standard Request, by its shape: its method, URL, fields and signal count, its `redirect`
   *   where that is "manual" or "error" and the options say nothing, and its body, which is a stream and goes out once.
   *   What only a browser can mean (`mode`, `credentials`, `cache`, `integrity`, …) does not count.
   * @throws {LocalProtocolError | TypeError} the request is wrong: before a connection is touched
   * @throws {HttpError} what went wrong on the way; see the classes
   */
  do(request: Request | RequestLike, options?: CallOptions): Promise<Response> {
    if (!(request instanceof Request)) return this.#doStandard(request, options);
    return this.#send(request, options, this.#redirects);
  }

  #send(request: Request, options: CallOptions | undefined, redirects: ResolvedRedirects): Promise<Response> {
    try {
      const call = this.#call(request, options);
      const rules = options === undefined ? redirects : resolveRedirects(redirects, options);
      if (rules.httpsOnly) refuseHttp(request);
      const first = this.#withDefaults(request);
      if (this.#chains.jar !== null) return new Chain(this.#chains, rules, call, first).run();
      const answer = this.transport.roundTrip(authorized(first), call);
      if (rules.redirect === "manual") return answer;
      // All that a call costs which is not redirected.
      return answer.then((response) =>
        isRedirect(response.status) ? new Chain(this.#chains, rules, call, first).follow(response) : response,
      );
    } catch (error) {
      // A body that can be read only once is ours from the call on, also when the call is refused.
      request.body?.discard(error);
      return Promise.reject(error);
    }
  }

  #doStandard(given: RequestLike, options: CallOptions | undefined): Promise<Response> {
    try {
      if (!isRequestLike(given)) throw wrongType("request", "a Request", given);
      const { redirect } = given;
      const request = Request.taken(given);
      if (redirect !== "manual" && redirect !== "error") return this.do(request, options);
      if (options !== undefined && (typeof options !== "object" || options === null)) return this.do(request, options);
      const own = { redirect: undefined, ...options };
      return this.do(request, { ...own, redirect: own.redirect ?? redirect });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sends a request of any method, which goes out as given: methods are case-sensitive. */
  request(method: string, url: RequestInput, init?: CallInit): Promise<Response> {
    try {
      if (init === undefined) {
        const plain = method === "GET" && typeof url === "string";
        return this.do(plain ? new Request(url) : new Request(url, {}, method));
      }
      if (hasPartsOnly(init)) return this.do(new Request(url, init, method));
      const [parts, call, stray] = split(init);
      const request = new Request(url, parts, method);
      if (stray === null) return this.do(request, call);
      const error = unknownOption(stray, [...PART_NAMES, ...CALL_NAMES]);
      request.body?.discard(error);
      throw error;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  get(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("GET", url, init);
  }
  head(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("HEAD", url, init);
  }
  options(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("OPTIONS", url, init);
  }
  post(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("POST", url, init);
  }
  put(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("PUT", url, init);
  }
  patch(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("PATCH", url, init);
  }
  delete(url: RequestInput, init?: CallInit): Promise<Response> {
    return this.request("DELETE", url, init);
  }

  /**
   * The standard call on this client, to be given to whatever takes a `fetch`: the same function each time, and it needs no
   * `this`. Default fields, jar, time limit and transport are the client's; redirects go by the standard's rules.
   *
   * @see Fetch standard, "fetch method"
   */
  get fetch(): Fetch {
    if (this.#fetch === null) {
      const rules = fetchRedirects(this.#redirects);
      this.#fetch = fetchOver((request, redirect) =>
        this.#send(request, undefined, redirect === undefined ? rules : { ...rules, redirect }),
      );
    }
    return this.#fetch;
  }

  /** Closes what is idle in the transport, as Go's CloseIdleConnections; nothing where the transport has no such method. */
  closeIdleConnections(): void {
    const transport: RoundTripper & { closeIdleConnections?: () => void } = this.transport;
    if (typeof transport.closeIdleConnections === "function") transport.closeIdleConnections();
  }

  /** Closes the transport, if this client made it; one that was given may serve others. */
  async close(): Promise<void> {
    await this.#ownTransport?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One line: `Client { Transport { 2 busy, 3 idle, 0 dialing, 0 waiting } }`. @internal */
  [inspectCustom](): string {
    return `${this.constructor.name} { ${inspect(this.transport, { depth: 0, breakLength: Number.POSITIVE_INFINITY })} }`;
  }

  /** The request with the client's default fields. Credentials in its URL are a field of its own, as far as that goes. */
  #withDefaults(request: Request): Request {
    if (this.#headers.length === 0) return request;
    const missing = this.#headers.filter(
      ([name]) => !request.headers.has(name) && !(request.userinfo !== null && sameName(name, "authorization")),
    );
    return missing.length === 0 ? request : request.with({ headers: [...missing, ...request.headers.raw] });
  }

  /** What travels beside the request; undefined where there is nothing of the kind, which costs nothing. */
  #call(request: Request, options: CallOptions | undefined): RoundTripCall | undefined {
    let timeout = this.#timeout;
    let signal = request.givenSignal;
    if (options === undefined && timeout === 0 && signal === null) return undefined;
    const call: RoundTripCall = {};
    if (options !== undefined) {
      checkCall(options, CALL_NAMES);
      for (const [name, value] of Object.entries(options)) {
        if (value === undefined || value === null || !TRANSPORT_CALL_NAMES.includes(name)) continue;
        if (name === "timeout") timeout = value;
        else if (name === "signal") signal = value;
        else Object.assign(call, { [name]: value });
      }
    }
    if (signal !== null) call.signal = signal;
    if (timeout > 0) call.deadline = { at: this.#clock.now() + timeout, limit: timeout };
    return call;
  }
}

function refuseHttp(request: Request): void {
  if (request.destination.scheme === "https") return;
  throw new LocalProtocolError("url", "Cannot make request: URL is refused: it is not https (option httpsOnly)");
}

/** Most calls have no options of their own, and then nothing has to be taken apart. */
function hasPartsOnly(init: CallInit): boolean {
  if (typeof init !== "object" || init === null) throw wrongType("options", "an object", init);
  for (const name in init) if (!PART_NAMES.includes(name) && Object.hasOwn(init, name)) return false; // no array for a name or two
  return true;
}

/**
 * Takes the parts of the request and those of the call apart; Request and `#call` check what is in them.
 *
 * @returns the third is a name that belongs to neither, or null
 */
function split(init: CallInit): [RequestInit, CallOptions | undefined, string | null] {
  const parts: Record<string, unknown> = {};
  let call: Record<string, unknown> | undefined;
  let stray: string | null = null;
  for (const name of Object.keys(init)) {
    const value = init[name as keyof CallInit]; // a name of the caller's
    if (PART_NAMES.includes(name)) parts[name] = value;
    else if (!CALL_NAMES.includes(name)) stray = name;
    else if (call === undefined) call = { [name]: value };
    else call[name] = value;
  }
  return [parts, call, stray];
}
