/**
 * Response: what callers hold of an answer. Structurally the standard Response, and more: the raw field lines, trailers,
 * timings, facts of the connection, `close()`.
 *
 * A view on a backing (an exchange, or what `new Response` made) that costs one object: Headers, the body's reading and
 * its streams are made when touched. Headers and content stay readable when the connection serves others.
 *
 * Nothing here becomes an unhandled rejection when the caller ignores the body.
 *
 * Fetch standard, "Response class"; RFC 9110 §15 (status), §6.5 (trailers); Go net/http Response.
 */

import type { Duplex, Readable } from "node:stream";
import { shownText } from "../secrets.ts";
import { type Headers, headersOver, PairLines } from "./headers.ts";
import { MadeBacking, madeBacking, NOTHING } from "./made-response.ts";
import { serializedMimeType } from "./mime-type.ts";
import { inspectCustom } from "./options.ts";
import type { Request } from "./request.ts";
import { type BodyInit, RequestBody } from "./request-body.ts";
import type { ConnectionInfo, Framing, OnwardFacts, ResponseBacking, ResponseInit } from "./response-backing.ts";
import { type BodySource, type OwnBytes, ResponseBody, usedError } from "./response-body.ts";
import type { Timings } from "./timings.ts";

export type {
  ConnectionInfo,
  Framing,
  Handed,
  OnwardFacts,
  ResponseBacking,
  ResponseInit,
} from "./response-backing.ts";
export type { BodySource } from "./response-body.ts";
export type { Timings } from "./timings.ts";

/** What no longer holds of content that was decoded. */
const DECODED: ReadonlySet<string> = new Set(["content-encoding", "content-length"]);

/** Takes a byte order mark away; what is no UTF-8 becomes U+FFFD. It keeps no state between whole texts. */
const UTF8 = new TextDecoder();

/** Tells the constructor that a backing follows. Nobody outside has it. */
const FROM_BACKING = Symbol("from backing");

let make: (backing: ResponseBacking) => Response;
let setRedirected: (response: Response) => void;
let tellFollowed: (response: Response, onward: () => OnwardFacts) => void;
let closeAndWait: (response: Response) => Promise<void> | null;
let interpose: (response: Response, around: (source: BodySource) => BodySource) => void;
let takeApart: (response: Response) => { backing: ResponseBacking; content: BodySource | null };

export class Response {
  readonly #backing: ResponseBacking;
  #headers: Headers | null = null;
  #trailers: Headers | null = null;
  #body: ResponseBody | null = null;
  #redirected = false;

  static {
    // The constructor's types are the standard's; the symbol says what really comes.
    make = (backing) => new Response(FROM_BACKING as never, backing as never);
    setRedirected = (response) => {
      response.#redirected = true;
    };
    takeApart = (response) => ({ backing: response.#backing, content: response.#reading()?.take() ?? null });
    interpose = (response, around) => {
      const reading = response.#reading();
      if (reading?.usable) response.#body = new ResponseBody(around(reading.take()));
    };
    tellFollowed = (response, onward) => response.#backing.followed?.(onward);
    closeAndWait = (response) => {
      const backing = response.#backing;
      response.#reading()?.close();
      if (backing.trailers() !== null || backing.whenOver === undefined) return null;
      return new Promise((resolve) => backing.whenOver?.(resolve));
    };
  }

  /**
   * @throws {RangeError} a status outside 200 to 599
   * @throws {TypeError} a body with a status that has none, a bad reason phrase, bad headers, a body that is none
   */
  constructor(body?: BodyInit | RequestBody | null, init?: ResponseInit) {
    this.#backing = (body as unknown) === FROM_BACKING ? (init as unknown as ResponseBacking) : madeBacking(body, init);
  }

  /** A Response with `data` as JSON. */
  static json(data: unknown, init?: ResponseInit): Response {
    return new Response(RequestBody.json(data), init);
  }

  /** A network error, as the standard has it: status 0, type "error". */
  static error(): Response {
    return make(new MadeBacking({ status: 0, statusText: "", fields: new PairLines([]), type: "error" }));
  }

  static redirect(url: string | URL, status = 302): Response {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`${status} is no redirect status`);
    const location = new URL(url).href;
    return make(
      new MadeBacking({ status, statusText: "", fields: new PairLines([["Location", location]]), type: "default" }),
    );
  }

  get status(): number {
    return this.#backing.status;
  }

  get statusText(): string {
    return this.#backing.statusText;
  }

  /** True for 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  /** Immutable. `headers.raw` has the lines as received. */
  get headers(): Headers {
    const { fields, decompressed } = this.#backing;
    this.#headers ??= headersOver(fields, decompressed ? DECODED : null);
    return this.#headers;
  }

  get type(): "basic" | "default" | "error" {
    return this.#backing.type ?? "basic";
  }

  /** The URL that answered, without its fragment: the last of a chain of redirects. */
  get url(): string {
    const { url } = this.#backing;
    const fragment = url.indexOf("#");
    return fragment < 0 ? url : url.slice(0, fragment);
  }

  get redirected(): boolean {
    return this.#redirected || this.#backing.redirected;
  }

  /** "1.0" or "1.1", as the peer said it; "2" where it came over HTTP/2. */
  get httpVersion(): "1.0" | "1.1" | "2" {
    return this.#backing.httpVersion;
  }

  /**
   * How the end of the body is known. "close": when the connection ends, so a cut body looks like a whole one, over TLS
   * too.
   */
  get framing(): Framing {
    return this.#backing.framing;
  }

  get decompressed(): boolean {
    return this.#backing.decompressed;
  }

  /** The request that was answered: the last of a chain of redirects. */
  get request(): Request | null {
    return this.#backing.request;
  }

  /** Null until the last byte came off the wire; then the trailer fields, maybe none. */
  get trailers(): Headers | null {
    if (this.#trailers === null) {
      const lines = this.#backing.trailers();
      if (lines !== null) this.#trailers = headersOver(lines);
    }
    return this.#trailers;
  }

  /** Made anew at each look; null where nothing was measured. */
  get timings(): Timings | null {
    return this.#backing.timings();
  }

  get connection(): ConnectionInfo | null {
    return this.#backing.connection;
  }

  /** The content as a web stream of bytes, made when first asked for; null where there is none. */
  get body(): ReadableStream<OwnBytes> | null {
    return this.#reading()?.stream() ?? null;
  }

  /** Whether any of the content was read or given up. */
  get bodyUsed(): boolean {
    return this.#body?.used ?? false;
  }

  /** The content as a Node stream. Destroying it early is `close()`. */
  readable(): Readable {
    const reading = this.#reading();
    if (reading !== null) return reading.readable();
    return process.getBuiltinModule("node:stream").Readable.from([]);
  }

  /**
   * The connection as a Node stream of bytes in both directions, after a 101 that the request asked for with Upgrade, or a
   * 2xx to CONNECT (`framing` is "tunnel" then). What came behind the head is the first that it gives; the same stream each
   * time.
   *
   * From the head on the connection is yours: out of the pool and of every limit on connections, and neither `signal` nor
   * any time limit ends it; but where nobody takes it within `unreadBodyTimeout`, it is closed. Destroy it, or end it and
   * read it to its end. The peer's end is no end of yours (`allowHalfOpen` is true; set it to false on the stream to
   * change that). `close()` destroys it, and so does `transport.destroy()`; `transport.close()` leaves it alone.
   *
   * @throws {TypeError} the answer hands nothing over, or was closed
   * @see RFC 9110 §7.8, §9.3.6; Go net/http Response.Body, which is an io.ReadWriteCloser then
   */
  duplex(): Duplex {
    const { handed } = this.#backing;
    if (handed !== null && handed !== undefined) return handed.take();
    throw new TypeError(
      `Cannot take connection over: status ${this.status} hands none over, only 101 and a 2xx to CONNECT do`,
    );
  }

  /** The content chunk by chunk, each chunk the caller's own. Leaving the loop early is `close()`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<OwnBytes> {
    return (this.#reading() ?? new ResponseBody(NOTHING)).iterate();
  }

  bytes(): Promise<OwnBytes> {
    // What an async function costs beside its promise is a part of a small answer that can be measured.
    try {
      const all = this.#collect();
      return all instanceof Promise ? all : Promise.resolve(all);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer } = await this.bytes(); // one that holds these bytes and no others
    return buffer;
  }

  /** Decoded as UTF-8; a byte order mark at the start is taken away. */
  async text(): Promise<string> {
    const all = this.#collect();
    return UTF8.decode(all instanceof Promise ? await all : all);
  }

  async json<T = unknown>(): Promise<T> {
    const all = this.#collect();
    return JSON.parse(UTF8.decode(all instanceof Promise ? await all : all));
  }

  async blob(): Promise<Blob> {
    const all = await this.bytes();
    const type = serializedMimeType(this.headers.get("content-type") ?? "");
    return new Blob([all], { type: type ?? "" });
  }

  /**
   * The fields of a multipart/form-data or urlencoded body. The one method that makes an object of the platform's own,
   * and so loads it.
   */
  // biome-ignore lint/style/noRestrictedGlobals: a type loads nothing
  async formData(): Promise<FormData> {
    const all = await this.bytes();
    const type = this.headers.get("content-type") ?? "";
    // biome-ignore lint/style/noRestrictedGlobals: the one place that is meant to load it
    const Platform = globalThis["Response"]; // its FormData comes with it, and its parser with that
    return new Platform(all, { headers: { "content-type": type } }).formData();
  }

  /** The text, decoded as it comes. */
  textStream(): ReadableStream<string> {
    return (this.#reading() ?? new ResponseBody(NOTHING)).textStream();
  }

  /**
   * A second Response over the same answer, both readable from the start. What one reads and the other did not yet is
   * kept in memory for it.
   *
   * @throws {TypeError} the body was read before
   */
  clone(): Response {
    const reading = this.#reading();
    if (reading !== null && !reading.usable) throw usedError();
    const copy = make(this.#backing);
    copy.#redirected = this.#redirected;
    if (reading === null) return copy;
    const [mine, theirs] = reading.tee();
    this.#body = new ResponseBody(mine);
    copy.#body = new ResponseBody(theirs);
    return copy;
  }

  /**
   * Nothing more of it is wanted. Returns at once: what it takes to make the connection ready for others goes on behind.
   * Later reads reject.
   */
  async close(): Promise<void> {
    this.#reading()?.close();
    this.#backing.handed?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get [Symbol.toStringTag](): string {
    return "Response";
  }

  /** @internal */
  [inspectCustom](): string {
    const words = [
      `${this.status} ${this.statusText}`.trimEnd(),
      shownText(this.url),
      `body ${this.bodyUsed ? "used" : "unread"}`,
    ];
    return `Response { ${words.filter((word) => word !== "").join(", ")} }`;
  }

  #reading(): ResponseBody | null {
    if (this.#body === null) {
      const { body } = this.#backing;
      if (body !== null) this.#body = new ResponseBody(body);
    }
    return this.#body;
  }

  #collect(): OwnBytes | Promise<OwnBytes> {
    const reading = this.#reading();
    return reading === null ? new Uint8Array(0) : reading.collect();
  }
}

/** Makes the Response of an exchange. */
export function responseOf(backing: ResponseBacking): Response {
  return make(backing);
}

/** Says of the answer that ends a chain that it does. */
export function markRedirected(response: Response): void {
  setRedirected(response);
}

/** Tells who listens to the exchange behind a response that its redirect is followed. */
export function markFollowed(response: Response, onward: () => OnwardFacts): void {
  tellFollowed(response, onward);
}

/**
 * `close()` for who will need the connection next.
 *
 * @returns settles when the connection is through with the body, drained or given up; null where it is already, or where
 *   nobody can tell
 */
export function drained(response: Response): Promise<void> | null {
  return closeAndWait(response);
}

/** Puts something between the content of a response and whoever will read it; nothing where there is none, or it was read. */
export function readThrough(response: Response, around: (source: BodySource) => BodySource): void {
  interpose(response, around);
}

/**
 * What a Response is made of, for one that takes its place: this one counts as read.
 *
 * @throws {TypeError} the body was read before
 */
export function takenApart(response: Response): { backing: ResponseBacking; content: BodySource | null } {
  return takeApart(response);
}
