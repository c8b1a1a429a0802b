/**
 * What a call of `fetch` asks for: its input and its init, read once, checked by the standard's rules and turned into a
 * Request of ours. What only a browser can mean is checked like the rest, and then does not count.
 *
 * An init is a dictionary of the standard: names that it does not know are other people's, and pass. One is refused:
 * `dispatcher`, undici's way to say which proxy or which TLS a call shall have, because to pass it over would be to go
 * another way than the caller said.
 *
 * Fetch standard, "Request class", "new Request(input, init)", "fetch method".
 */

import { Headers, type HeadersInit } from "../message/headers.ts";
import { wrongType } from "../message/options.ts";
import { isRequestLike, Request, type RequestInit, type RequestLike } from "../message/request.ts";
import { type BodyInit, RequestBody } from "../message/request-body.ts";
import { isDataUrl } from "./data-url.ts";
import { type Integrity, parseIntegrity } from "./integrity.ts";
import { isBlockedPort } from "./ports.ts";

/** A URL, a Request of ours, or a standard one, by its shape. */
export type FetchInput = string | URL | Request | RequestLike;

/** The standard's RequestInit. */
export interface FetchInit {
  /** delete, get, head, options, post and put count in any case; others go out as given. Default "GET", or the Request's. */
  method?: string | undefined;
  headers?: HeadersInit | undefined;
  /**
   * As of `client.request`. A stream or an iterable needs `duplex: "half"`; a function that makes a body does not, and can
   * be sent again.
   */
  body?: BodyInit | RequestBody | ArrayBufferView | null | undefined;
  /** "manual": the 3xx is the answer; "error": it fails the call. Default: the client's. At most 20 are followed. */
  redirect?: "follow" | "manual" | "error" | undefined;
  /** Ends call and body with its reason. Default: the Request's. */
  signal?: AbortSignal | null | undefined;
  /** Required with a body that is a stream: it is sent while the answer may come already. */
  duplex?: "half" | undefined;
  /** Digests (`sha256-…`, `sha384-…`, `sha512-…` in base64), one of which the content must have. Default: none. */
  integrity?: string | undefined;
  /** Refused: it is undici's. `createFetch` gives a fetch that has the transport you want. */
  dispatcher?: unknown;
  // Checked, and nothing else: they speak of pages, of a browser's cache and of its cookies.
  cache?: string | undefined;
  credentials?: string | undefined;
  keepalive?: boolean | undefined;
  mode?: string | undefined;
  priority?: string | undefined;
  referrer?: string | undefined;
  referrerPolicy?: string | undefined;
  window?: unknown;
}

/** What is to be done. */
export interface FetchCall {
  readonly request: Request;
  /** Undefined where the call says nothing. */
  readonly redirect: "follow" | "manual" | "error" | undefined;
  readonly integrity: Integrity | null;
  /** Then the request has the rest of what was asked, and is not sent. */
  readonly dataUrl: string | null;
}

/** Members that are one of some words; the standard refuses any other. */
const WORDS: readonly (readonly [name: keyof FetchInit, words: readonly string[]])[] = [
  ["redirect", ["follow", "manual", "error"]],
  ["duplex", ["half"]],
  ["mode", ["same-origin", "no-cors", "cors"]], // navigate is not for callers
  ["credentials", ["omit", "same-origin", "include"]],
  ["cache", ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"]],
  [
    "referrerPolicy",
    [
      "",
      "no-referrer",
      "no-referrer-when-downgrade",
      "same-origin",
      "origin",
      "strict-origin",
      "origin-when-cross-origin",
      "strict-origin-when-cross-origin",
      "unsafe-url",
    ],
  ],
];

const NORMALISED: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

/** Carries what is asked beside a data: URL: it is checked like any other, and nothing is sent. */
const NOWHERE = "http://data.invalid/";

/**
 * @throws {TypeError} the standard's kind of refusal
 * @throws {LocalProtocolError} ours
 */
export function readCall(input: FetchInput, init: FetchInit | undefined): FetchCall {
  if (typeof input === "string" && (init === undefined || init === null)) {
    const dataUrl = isDataUrl(input) ? input : null;
    return checked({
      request: new Request(dataUrl === null ? input : NOWHERE),
      redirect: undefined,
      integrity: null,
      dataUrl,
    });
  }
  const given = (init ?? {}) as FetchInit; // of null, as of undefined, nothing is read
  const body = bodyOf(given);
  try {
    return read(input, given, body);
  } catch (error) {
    // A stream is ours from the call on, and nobody will send this one.
    body?.discard(error);
    throw error;
  }
}

function read(input: FetchInput, init: FetchInit, body: RequestBody | undefined): FetchCall {
  if (typeof init !== "object") throw wrongType("init", "an object", init);
  for (const [name, words] of WORDS) {
    const value = member(init, name);
    if (value !== undefined && !words.includes(`${value}`)) {
      throw new TypeError(`Option ${name} must be one of ${words.map((word) => JSON.stringify(word)).join(", ")}`);
    }
  }
  const dispatcher = member(init, "dispatcher");
  if (dispatcher !== undefined && dispatcher !== null) {
    throw new TypeError("Option dispatcher is undici's: give createFetch() a Client whose Transport has what it said");
  }
  const window = member(init, "window");
  if (window !== undefined && window !== null) throw wrongType("window", "null", window);
  if (member(init, "cache") === "only-if-cached" && member(init, "mode") !== "same-origin") {
    throw new TypeError('Option cache can be "only-if-cached" only where mode is "same-origin"');
  }
  if (body?.kind === "one-shot" && member(init, "duplex") === undefined) {
    throw new TypeError('Option duplex must be "half" where the body is a stream');
  }

  const like = standardRequest(input);
  const parts: { -readonly [K in keyof RequestInit]: RequestInit[K] } = {};
  const method = member(init, "method");
  const headers = member(init, "headers");
  const signal = member(init, "signal");
  if (method !== undefined) parts.method = normalised(`${method}`);
  // By the standard's manner: what is undefined goes out as that word. Ours are clean already.
  if (headers !== undefined) parts.headers = headers instanceof Headers ? headers : new Headers(headers);
  if (signal !== undefined) parts.signal = signal;
  if (body !== undefined) parts.body = body;

  const text = input instanceof Request || like !== null ? null : textOf(input);
  const dataUrl = dataUrlOf(like, text);
  const integrity = member(init, "integrity") ?? like?.integrity;
  const said = member(init, "redirect") ?? (like === null ? undefined : notFollow(like.redirect));
  return checked({
    request: requestOf(input, like, dataUrl, text, parts),
    redirect: said,
    integrity: integrity === undefined || integrity === "" ? null : parseIntegrity(`${integrity}`),
    dataUrl,
  });
}

type StandardRequest = RequestLike & { readonly integrity?: string };

function standardRequest(input: FetchInput): StandardRequest | null {
  return typeof input !== "string" && !(input instanceof Request) && isRequestLike(input) ? input : null;
}

function textOf(input: Exclude<FetchInput, Request | RequestLike> | FetchInput): string {
  return typeof input === "string" ? input : `${input as URL}`; // the standard's conversion, of whatever it is
}

function dataUrlOf(like: RequestLike | null, text: string | null): string | null {
  const url = text ?? like?.url ?? "";
  return isDataUrl(url) ? url : null;
}

function requestOf(
  input: FetchInput,
  like: RequestLike | null,
  dataUrl: string | null,
  text: string | null,
  parts: RequestInit,
): Request {
  if (input instanceof Request) return Object.keys(parts).length === 0 ? input : input.with(parts);
  if (text !== null) return new Request(dataUrl === null ? text : NOWHERE, parts);
  const standard = like as RequestLike; // there is no fourth kind of input
  if (dataUrl === null) return parts.body === undefined ? adopted(standard, parts) : new Request(standard, parts);
  return new Request(NOWHERE, { method: standard.method, ...parts });
}

/** A standard Request's body is ours like any other. */
function adopted(standard: RequestLike, parts: RequestInit): Request {
  const request = Request.taken(standard);
  try {
    return request.with(parts);
  } catch (error) {
    request.body?.discard(error);
    throw error;
  }
}

/** "follow", which a standard Request always has, is not the caller's word. */
function notFollow(redirect: string | undefined): "manual" | "error" | undefined {
  return redirect === "manual" || redirect === "error" ? redirect : undefined;
}

/** What only the whole can be wrong about. */
function checked(call: FetchCall): FetchCall {
  const { request } = call;
  const { method } = request;
  const { destination } = request;
  if (method !== "GET" && method !== "POST" && isForbidden(method)) {
    throw refusal(request, new TypeError(`Method ${method} is not for fetch: client.request() sends it`));
  }
  if (request.body !== null && (method === "GET" || method === "HEAD")) {
    throw refusal(request, new TypeError(`${method} cannot have a body in fetch: client.request() sends one`));
  }
  if (destination.userinfo !== null) {
    throw refusal(
      request,
      new TypeError("The URL has a user name or a password: fetch takes them in an Authorization field"),
    );
  }
  if (isBlockedPort(destination.port)) {
    const cause = new Error(
      `Port ${destination.port} is blocked: no fetch goes there (Fetch standard, "port blocking")`,
    );
    throw refusal(request, new TypeError("fetch failed", { cause }));
  }
  return call;
}

function refusal(request: Request, error: TypeError): TypeError {
  request.body?.discard(error);
  return error;
}

/** Of the standard's forbidden methods, and of those that hand a connection over. */
function isForbidden(method: string): boolean {
  const upper = method.toUpperCase();
  return upper === "CONNECT" || upper === "TRACE" || upper === "TRACK";
}

function normalised(method: string): string {
  const upper = method.toUpperCase();
  return NORMALISED.has(upper) ? upper : method;
}

function bodyOf(init: FetchInit): RequestBody | undefined {
  if (typeof init !== "object") return undefined;
  const body: unknown = member(init, "body");
  if (body === undefined || body === null) return undefined;
  // A number is text, as the standard has it. So would be any object, but "[object Object]" is nobody's meaning.
  const isText = typeof body === "number" || typeof body === "boolean" || typeof body === "bigint";
  return RequestBody.from(isText ? `${body}` : (body as BodyInit)); // it checks what it is
}

/**
 * A member of the init: its own, or of the class that it is an instance of (a Request may be an init). What somebody hung
 * on every object of the program is not the caller's.
 */
function member<K extends keyof FetchInit>(init: FetchInit, name: K): FetchInit[K] {
  const value = init[name];
  if (value === undefined || Object.hasOwn(init, name)) return value;
  return Object.hasOwn(Object.prototype, name) && value === Reflect.get(Object.prototype, name) ? undefined : value;
}
