/**
 * Request: what shall be sent, checked once, when it is made, and immutable from then on. It knows nothing of any one
 * call (time limits, traces and the like travel beside it), so the same Request can be sent a hundred times, in turn or
 * at once; only a body that is a stream can be sent once.
 *
 * A plain GET of a known URL costs a look into the URL cache and one object: no header list, no Headers, no signal is
 * made until somebody asks.
 *
 * Never: keeps the caller's URL, option or header objects; what was checked is what is kept.
 *
 * RFC 9110 §9.1 (method), §4.2 (URL), §7.1 (target), §9.3.8 (TRACE), §9.2.2 (idempotent); RFC 9112 §3.2 (target forms).
 */

import { LocalProtocolError } from "../errors.ts";
import { shownText } from "../secrets.ts";
import { isAuthorityForm, isRequestTarget, isToken } from "../wire/abnf.ts";
import { type Destination, destinationOf } from "./destination.ts";
import {
  type HeaderPair,
  type Headers,
  type HeadersInit,
  headersOver,
  normaliseHeaders,
  PairLines,
  sameName,
} from "./headers.ts";
import { inspectCustom, kindOf, unknownOption, wrongType } from "./options.ts";
import { type BodyInit, type FormInit, RequestBody } from "./request-body.ts";
import { RequestTrailers, type TrailersInit } from "./request-trailers.ts";

export type { Destination } from "./destination.ts";

export interface RequestInit {
  /** Sent as given: methods are case-sensitive. Default "GET". LocalProtocolError. */
  readonly method?: string | undefined;
  /** Sent in this order and case. Default: none but those that go out by themselves. LocalProtocolError. */
  readonly headers?: HeadersInit | undefined;
  /**
   * A string, bytes, URLSearchParams, Blob, FormData, stream, iterable, or a function that gives any of these. Default:
   * none. TypeError, LocalProtocolError; BodyUsedError where a stream was sent before.
   */
  readonly body?: BodyInit | RequestBody | null | undefined;
  /** Sent as JSON, with that Content-Type unless `headers` has one. Default: none. TypeError. */
  readonly json?: unknown;
  /** Sent as application/x-www-form-urlencoded, likewise. Default: none. TypeError. */
  readonly form?: FormInit | undefined;
  /** `{ names, values }`: fields behind the body, announced by name. Default: none. LocalProtocolError. */
  readonly trailers?: TrailersInit | null | undefined;
  /** Ask with `Expect: 100-continue` before the body is sent. Default false. */
  readonly expectContinue?: boolean | undefined;
  /** For calls that have none of their own. Default: none. */
  readonly signal?: AbortSignal | null | undefined;
  /**
   * The request target, verbatim, in place of the URL's path and query: it starts with `/`, or is `*`. Of CONNECT it is
   * `host:port`, where the tunnel leads, and the URL is the proxy's; without it the URL has both. Default: path and query.
   * LocalProtocolError.
   */
  readonly target?: string | null | undefined;
}

/** What `with` changes; what is undefined stays. */
export interface RequestChanges extends RequestInit {
  readonly url?: string | URL | undefined;
}

/** A standard Request object, by shape. */
export interface RequestLike {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<readonly string[]>;
  readonly body?: BodyInit | null | undefined;
  readonly bodyUsed?: boolean;
  readonly signal?: AbortSignal | null;
  /** Of `client.do()`: "manual" and "error" hold for the call; "follow", which a standard one always has, says nothing. */
  readonly redirect?: string;
}

/** The options of a Request, by name. */
export const REQUEST_OPTIONS: readonly (keyof RequestInit)[] = Object.freeze([
  "method",
  "headers",
  "body",
  "json",
  "form",
  "trailers",
  "expectContinue",
  "signal",
  "target",
] as const);

const NO_PAIRS: readonly HeaderPair[] = Object.freeze([]);

export class Request {
  #method = "GET";
  /** Set by every constructor that returns. */
  #destination!: Destination;
  #target: string | null = null;
  #pairs: readonly HeaderPair[] = NO_PAIRS;
  #body: RequestBody | null = null;
  #trailers: RequestTrailers | null = null;
  #expectContinue = false;
  #signal: AbortSignal | null = null;
  #headers: Headers | null = null;
  /** The first pair is the Content-Type of the body, not the caller's. */
  #typeIsDerived = false;

  /**
   * @param input an absolute http or https URL; or a Request, ours or a standard one, to begin from
   * @throws {LocalProtocolError} it cannot be sent; `field` says what of it
   * @throws {TypeError} an option of the wrong type, or one that does not exist
   */
  constructor(input: string | URL | Request | RequestLike, init?: RequestInit);
  /** For who has the method beside the options, which then have none: they need not be copied. @internal */
  constructor(input: string | URL | Request | RequestLike, init: RequestInit, method: string);
  constructor(input: string | URL | Request | RequestLike, init?: RequestInit, method?: string) {
    if (init === undefined) {
      this.#begin(input, init);
      return;
    }
    try {
      this.#begin(input, init);
      if (method !== undefined) this.#method = checkedMethod(method);
      this.#apply(init, REQUEST_OPTIONS);
      this.#check();
    } catch (error) {
      giveUp(init, error);
      throw error;
    }
  }

  /** Sent as is; case-sensitive. */
  get method(): string {
    return this.#method;
  }

  /** The URL as the WHATWG parser serialises it, without user name and password. The fragment stays here and is not sent. */
  get url(): string {
    return this.#destination.href;
  }

  /** Immutable; `raw` has the pairs in the order and case in which they go out, after the fields that go out by themselves. */
  get headers(): Headers {
    this.#headers ??= headersOver(new PairLines(this.#pairs));
    return this.#headers;
  }

  /** For calls that have none of their own; where none was given, one that never aborts. */
  get signal(): AbortSignal {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }

  get body(): RequestBody | null {
    return this.#body;
  }

  /** True once a body that can be sent only once was opened. */
  get bodyUsed(): boolean {
    return this.#body?.used ?? false;
  }

  get trailers(): RequestTrailers | null {
    return this.#trailers;
  }

  get expectContinue(): boolean {
    return this.#expectContinue;
  }

  /** What stands in the request line: the option `target`, or path and query; of CONNECT, host and port (RFC 9112 §3.2). */
  get target(): string {
    return this.#target ?? (this.#method === "CONNECT" ? this.#destination.hostPort : this.#destination.target);
  }

  /** User name and password of the URL, decoded; null where it has none. Kept out of `url` and of whatever is printed. */
  get userinfo(): Destination["userinfo"] {
    return this.#destination.userinfo;
  }

  /** Whether sending it twice is meant to do the same as once (RFC 9110 §9.2.2), or an Idempotency-Key says so. */
  get idempotent(): boolean {
    return this.replayable || this.#method === "PUT" || this.#method === "DELETE";
  }

  /** Go's narrower word for it: GET, HEAD, OPTIONS, TRACE, or an Idempotency-Key. The body is another question. */
  get replayable(): boolean {
    const method = this.#method;
    if (method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE") return true;
    return this.hasField("idempotency-key") || this.hasField("x-idempotency-key");
  }

  /** Where it goes, for the transport. @internal */
  get destination(): Destination {
    return this.#destination;
  }

  /** The caller's fields (and the body's Content-Type, first), for the writer. @internal */
  get pairs(): readonly (readonly [string, string])[] {
    return this.#pairs;
  }

  /** The signal that was given, or null; does not make one. @internal */
  get givenSignal(): AbortSignal | null {
    return this.#signal;
  }

  /** Whether a field of that lower-case name is there, without making a Headers. @internal */
  hasField(lower: string): boolean {
    for (const pair of this.#pairs) if (sameName(pair[0], lower)) return true;
    return false;
  }

  /**
   * The body anew, chunk by chunk (Go's GetBody); null where there is none. Of a stream it is the one sending there is.
   *
   * @throws {BodyUsedError} that was used up before
   */
  getBody(): AsyncIterable<Uint8Array> | null {
    const reader = this.#body?.open();
    if (reader === undefined) return null;
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          const value = await reader.next();
          return value === null ? { done: true, value: undefined } : { done: false, value };
        },
        async return() {
          reader.destroy();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  /** A copy with changes. `body: null` takes the body away; `headers` replaces all of the caller's. */
  with(changes: RequestChanges): Request {
    const copy = new Request(this);
    try {
      const { url } = changes;
      if (url !== undefined) copy.#destination = destinationOf(checkedUrl(url));
      copy.#apply(changes, CHANGES);
      copy.#check();
    } catch (error) {
      giveUp(changes, error);
      throw error;
    }
    return copy;
  }

  get [Symbol.toStringTag](): string {
    return "Request";
  }

  /** @internal */
  [inspectCustom](): string {
    return `Request { ${this.#method} ${shownText(this.url)}${this.#body === null ? "" : `, body ${this.#body.kind}`} }`;
  }

  /**
   * A Request for a standard one. Its body is ours from here on, so it is cancelled where this throws.
   *
   * @throws as the constructor
   * @internal
   */
  static taken(other: RequestLike): Request {
    try {
      return new Request(other);
    } catch (error) {
      if (!other.bodyUsed) discardBody(other.body, error);
      throw error;
    }
  }

  #begin(input: string | URL | Request | RequestLike, init: RequestInit | undefined): void {
    if (typeof input === "string") {
      this.#destination = destinationOf(input);
    } else if (input instanceof Request) {
      this.#copy(input);
    } else if (isUrl(input)) {
      this.#destination = destinationOf(`${input.href}`);
    } else if (isRequestLike(input)) {
      this.#destination = destinationOf(`${input.url}`);
      this.#adopt(input, init);
      this.#check();
    } else {
      throw new TypeError(`A request needs a URL or a Request: it got ${kindOf(input)}`);
    }
  }

  #copy(other: Request): void {
    this.#destination = other.#destination;
    this.#method = other.#method;
    this.#target = other.#target;
    this.#pairs = other.#pairs;
    this.#typeIsDerived = other.#typeIsDerived;
    this.#body = other.#body;
    this.#trailers = other.#trailers;
    this.#expectContinue = other.#expectContinue;
    this.#signal = other.#signal;
  }

  /** Takes a standard Request over. Its `body` getter is touched only where the options do not replace the body. */
  #adopt(other: RequestLike, init: RequestInit | undefined): void {
    this.#method = checkedMethod(other.method);
    this.#pairs = normaliseHeaders(other.headers);
    this.#signal = other.signal ? checkedSignal(other.signal) : null;
    if (init !== undefined && BODY_OPTIONS.some((name) => Object.hasOwn(init, name) && init[name] !== undefined))
      return;
    if (other.bodyUsed)
      throw new LocalProtocolError(
        "body",
        "Cannot make request: body cannot be sent whole: the Request was read before",
      );
    const { body } = other;
    if (body !== null && body !== undefined) this.#body = RequestBody.from(body);
  }

  /** Reads what the options own, each once: what a prototype brings along is not the caller's. */
  #apply(init: RequestInit, known: readonly string[]): void {
    if (typeof init !== "object" || init === null)
      throw new TypeError(`Request options must be an object: they are ${kindOf(init)}`);
    let bodies = 0;
    let body = this.#body;
    let own = this.#typeIsDerived ? this.#pairs.slice(1) : this.#pairs;
    for (const name in init) {
      if (!Object.hasOwn(init, name)) continue;
      // undefined is "not given"; a name is checked all the same
      const value = init[name as keyof RequestInit];
      if (value === undefined && known.includes(name)) continue;
      switch (name) {
        case "method":
          this.#method = checkedMethod(value);
          break;
        case "headers":
          own = normaliseHeaders(value as HeadersInit); // it checks what it is
          this.#headers = null;
          break;
        case "body":
          body = value === null ? null : RequestBody.from(value as BodyInit); // it checks what it is
          bodies++;
          break;
        case "json":
          body = RequestBody.json(value);
          bodies++;
          break;
        case "form":
          body = RequestBody.form(value as FormInit); // it checks what it is
          bodies++;
          break;
        case "trailers":
          this.#trailers = value === null ? null : new RequestTrailers(value as TrailersInit); // it checks what it is
          break;
        case "expectContinue":
          if (typeof value !== "boolean") throw wrongType(name, "true or false", value);
          this.#expectContinue = value;
          break;
        case "signal":
          this.#signal = value === null ? null : checkedSignal(value);
          break;
        case "target":
          this.#target = value === null ? null : checkedTarget(value);
          break;
        default:
          if (!known.includes(name)) throw unknownOption(name, known);
      }
    }
    if (bodies > 1) throw new TypeError("Options body, json and form exclude each other: more than one was given");
    this.#body = body;
    const type = body?.contentType ?? null;
    this.#typeIsDerived = type !== null && !own.some(([name]) => sameName(name, "content-type"));
    this.#pairs = this.#typeIsDerived ? [["Content-Type", type as string], ...own] : own; // null is not derived
  }

  /** What only the parts together can be wrong about. */
  #check(): void {
    if (this.#method === "TRACE" && this.#body !== null) {
      throw new LocalProtocolError("body", "Cannot make request: TRACE cannot have a body (RFC 9110 §9.3.8)");
    }
    if (this.#target === "*" && this.#method !== "OPTIONS") {
      throw new LocalProtocolError("target", "Cannot make request: target * is for OPTIONS only (RFC 9112 §3.2.4)");
    }
    if (this.#target !== null && isAuthorityForm(this.#target) !== (this.#method === "CONNECT")) {
      throw new LocalProtocolError(
        "target",
        "Cannot make request: the target of CONNECT is host:port, and that of no other method is (RFC 9112 §3.2.3)",
      );
    }
    if (this.#trailers !== null && this.#body === null) {
      throw new LocalProtocolError(
        "trailers",
        "Cannot make request: trailers need a body before them (RFC 9112 §7.1.2)",
      );
    }
  }
}

const BODY_OPTIONS = ["body", "json", "form"] as const;
const CHANGES: readonly string[] = [...REQUEST_OPTIONS, "url"];

/**
 * The Authorization that a URL's user name and password ask for, as Go sends it; null where the URL has none or the
 * request says its own.
 *
 * @see RFC 7617 §2: UTF-8, base64
 */
export function basicAuthorization(request: Request): string | null {
  const { userinfo } = request;
  if (userinfo === null || request.hasField("authorization")) return null;
  return `Basic ${Buffer.from(`${userinfo.username}:${userinfo.password}`, "utf8").toString("base64")}`;
}

/** A stream is ours from the call on, and a call that fails at its first check is one: its producer must not wait for ever. */
function giveUp(init: RequestInit, error: unknown): void {
  if (typeof init !== "object" || init === null || !Object.hasOwn(init, "body")) return;
  discardBody(init.body, error);
}

function discardBody(body: unknown, error: unknown): void {
  try {
    RequestBody.from(body as BodyInit).discard(error); // whatever is no body throws
  } catch {
    // It is no body, or one that others broke: nothing of it is ours.
  }
}

function checkedMethod(value: unknown): string {
  if (value === "GET") return value;
  if (typeof value !== "string") throw wrongType("method", "a string", value);
  if (!isToken(value)) {
    throw new LocalProtocolError(
      "method",
      `Cannot make request: method ${JSON.stringify(value.slice(0, 64))} is no token (RFC 9110 §9.1)`,
    );
  }
  return value;
}

function checkedTarget(value: unknown): string {
  if (typeof value !== "string") throw wrongType("target", "a string", value);
  if (value !== "*" && !(value.startsWith("/") && isRequestTarget(value)) && !isAuthorityForm(value)) {
    throw new LocalProtocolError(
      "target",
      "Cannot make request: target must start with / and have visible ASCII only, or be *, or host:port for CONNECT",
    );
  }
  return value;
}

function checkedUrl(value: unknown): string {
  if (typeof value === "string") return value;
  if (!isUrl(value)) throw wrongType("url", "a string or a URL", value);
  return `${value.href}`;
}

/** By shape, so that polyfills and other realms count. */
function checkedSignal(value: unknown): AbortSignal {
  const signal = value as Partial<AbortSignal> | null;
  if (
    typeof signal !== "object" ||
    signal === null ||
    typeof signal.aborted !== "boolean" ||
    typeof signal.addEventListener !== "function"
  ) {
    throw wrongType("signal", "an AbortSignal", value);
  }
  return value as AbortSignal; // the two members that were looked at are what makes one
}

function isUrl(value: unknown): value is URL {
  return kindOf(value) === "URL" && typeof (value as URL).href === "string";
}

/** Whether it looks like a standard Request. */
export function isRequestLike(value: unknown): value is RequestLike {
  if (typeof value !== "object" || value === null) return false;
  const { url, method, headers } = value as Partial<RequestLike>;
  return typeof url === "string" && typeof method === "string" && typeof headers === "object" && headers !== null;
}
