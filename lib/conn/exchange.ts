/**
 * One request and its response on one connection: where the caller, the read loop and the write loop meet. Made by the
 * transport for each attempt; over when the last byte of the response came off the wire, or when it failed.
 *
 * Settles once: `answer` or `fail`, whoever comes first; the second learns that it lost. After an answer the body
 * settles once as well: `end` or `fail`.
 *
 * It is also what stands behind the caller's Response (status, fields, body), so it lives as long as that does; hence it
 * lets go of the connection as soon as it is over.
 *
 * RFC 9112 §9.2 (which request a response answers), RFC 9110 §9.2.2 (idempotent methods).
 */

import type { ErrorFacts } from "../errors.ts";
import { ContentDecoder, codingsOf } from "../message/decode.ts";
import type { Request } from "../message/request.ts";
import type { BodyReader } from "../message/request-body.ts";
import {
  type ConnectionInfo,
  type Framing,
  type Handed,
  type OnwardFacts,
  type Response,
  type ResponseBacking,
  responseOf,
} from "../message/response.ts";
import type { BodySource } from "../message/response-body.ts";
import type { Timings } from "../message/timings.ts";
import { type CallTrace, TRACE_BODY, TRACE_CALL } from "../trace.ts";
import type { FieldLines, ResponseHead } from "../wire/parser-events.ts";
import type { WritableHead } from "../wire/request-writer.ts";
import { AsyncQueue } from "./async-queue.ts";

/** Time limits of one exchange, in milliseconds; 0 means none. Names and defaults as in the options of Transport. */
export interface ExchangeLimits {
  readonly writeTimeout: number;
  readonly responseHeaderTimeout: number;
  readonly expectContinueTimeout: number;
  readonly bodyTimeout: number;
  readonly unreadBodyTimeout: number;
  readonly stalledReaderTimeout: number;
}

/** What all exchanges of a connection say of it. */
export type ConnectionFacts = Omit<ConnectionInfo, "reused" | "served">;

/** What the transport gives with a request. */
export interface ExchangeInit {
  readonly request: Request;
  readonly head: WritableHead;
  /** This sending of the body; null when there is none. */
  readonly body: BodyReader | null;
  readonly limits: ExchangeLimits;
  /** Refuse an answer whose end only the close of the connection marks. */
  readonly requireFraming: boolean;
  /** Bytes that one encoded byte may become, where the content is decoded; 0 means no limit. */
  readonly decompressRatioMax: number;
  readonly trace: CallTrace;
  /** The caller's hook for 1xx responses, bound to the caller's async context. */
  readonly onInformation: ((head: ResponseHead) => void) | null;
  /** The request's trailer fields, asked for behind its body; runs in the caller's async context. */
  readonly trailers: (() => readonly (readonly [string, string])[]) | null;
  readonly caller: ExchangeCaller;
}

/**
 * Who sent the request. Called in the middle of the connection's work, so it decides and returns; application code runs
 * later, from the promise that the transport gave out.
 */
export interface ExchangeCaller {
  /** The head of the final response is there. Exactly one of `answered` and `failed` is called, once. */
  answered(response: Response): void;
  /**
   * It failed before there was an answer. The connection is closed and its owner knows; or it goes on without this
   * exchange, for those that are written behind it or in front of it.
   */
  failed(error: unknown, exchange: Exchange): void;
  /** Nothing can come of it any more, answered or not: abort listeners and deadlines of the call go. Called once. */
  over(): void;
  /** Runs code in the async context of the call. */
  inContext(fn: () => void): void;
}

/** What the reader of a body asks of the connection. Null once the exchange is over. */
export interface BodyHost {
  /** A read found nothing: somebody waits for bytes. */
  readAsked(exchange: Exchange): void;
  /** A chunk was taken: there may be room again. */
  bodyTaken(exchange: Exchange): void;
  /** The reader wants no more. */
  bodyClosed(exchange: Exchange): void;
}

/** Read ahead at most this much whether or not anybody reads: a small answer never holds its connection. */
const READ_AHEAD_BYTES = 64 * 1024;

/** The reason with which the body queue closes when the body is complete. */
const COMPLETE = Symbol("complete");

export class Exchange implements ResponseBacking, BodySource {
  readonly request: Request;
  readonly outgoing: WritableHead;
  readonly outgoingBody: BodyReader | null;
  readonly limits: ExchangeLimits;
  readonly requireFraming: boolean;
  readonly #decompressRatioMax: number;
  readonly trace: CallTrace;
  readonly onInformation: ((head: ResponseHead) => void) | null;
  readonly outgoingTrailers: ExchangeInit["trailers"];

  // Owner: the connection, from roundTrip on.
  connectionFacts: ConnectionFacts | null = null;
  reused = false;
  served = 0;

  // Owner: the write loop.
  /** True from the moment the write loop hands the first byte to the conduit; no response may begin before. */
  writeBegun = false;
  /** Bytes handed to the conduit. Stays 0 where a first write was provably refused whole. */
  bytesSubmitted = 0;

  // Owner: the read loop.
  /** Bytes of this response off the wire, framing included. */
  bytesRead = 0;
  #head: ResponseHead | null = null;
  #trailers: FieldLines | null = null;
  #chunks: AsyncQueue<Uint8Array> | null = null;
  /** What the Response reads: this, or what decodes it; null where there is no body. */
  #content: BodySource | null = null;

  // Owner: the caller, through its Response.
  /** Whether the body was ever asked for. */
  wasRead = false;
  /** The reader closed the body: what still comes is dropped. */
  discarding = false;
  /** What the reader gathers the whole body in, and how far it is filled. */
  #whole: Uint8Array | null = null;
  #wholeAt = 0;

  #state: "pending" | "answered" | "over" = "pending";
  #onOver: (() => void) | null = null;
  #caller: ExchangeCaller | null;
  #host: BodyHost | null = null;

  constructor(init: ExchangeInit) {
    this.request = init.request;
    this.outgoing = init.head;
    this.outgoingBody = init.body;
    this.limits = init.limits;
    this.requireFraming = init.requireFraming;
    this.#decompressRatioMax = init.decompressRatioMax;
    this.trace = init.trace;
    this.onInformation = init.onInformation;
    this.outgoingTrailers = init.trailers;
    this.#caller = init.caller;
  }

  /** Whether a response or an error was delivered. */
  get settled(): boolean {
    return this.#state !== "pending";
  }

  /** Whether it failed, or all of its answer came. */
  get over(): boolean {
    return this.#state === "over";
  }

  /** True where no byte of this request was handed to the kernel: the one meaning of "nothing was written". */
  get nothingWritten(): boolean {
    return this.bytesSubmitted === 0;
  }

  /** The final head, once it is read. */
  get responseHead(): ResponseHead | null {
    return this.#head;
  }

  // ---- read loop → caller

  /**
   * Delivers the final head.
   *
   * @param hasBody false for what has no body by its method or status: `response.body` is null then
   * @returns false when a failure came first
   */
  answer(head: ResponseHead, hasBody: boolean, host: BodyHost): boolean {
    this.#head = head;
    if (this.#state !== "pending") return false;
    this.#state = "answered";
    this.#host = host;
    if (hasBody) {
      this.#chunks = new AsyncQueue("body", READ_AHEAD_BYTES + CHUNK_COST_BYTES, weight);
      this.#content = head.contentEncoding === null ? this : this.#contentOf(head, head.contentEncoding);
    }
    this.#caller?.answered(responseOf(this));
    return true;
  }

  /** The content: decoded where our Accept-Encoding asked for it, and where there is any (as Go). */
  #contentOf(head: ResponseHead, field: string): BodySource {
    if (!this.outgoing.encodingAsked || head.framing === "none") return this;
    const codings = codingsOf(field);
    if (codings.length === 0) return this;
    this.decompressed = true;
    return new ContentDecoder(this, codings, { ratioMax: this.#decompressRatioMax, facts: () => this.facts(0) });
  }

  /** Where the next `n` body bytes belong, if their reader has set a place aside for the whole; else null. */
  placeFor(n: number): Uint8Array | null {
    const whole = this.#whole;
    if (whole === null || n > whole.length - this.#wholeAt) return null;
    const place = whole.subarray(this.#wholeAt, this.#wholeAt + n);
    this.#wholeAt += n;
    return place;
  }

  /** Delivers the head of an answer behind which there is no HTTP, and with it the connection. The exchange is over. */
  handOver(head: ResponseHead, handed: Handed): void {
    this.#state = "over";
    this.#head = head;
    this.#trailers = NO_FIELDS;
    this.handed = handed;
    this.#caller?.answered(responseOf(this));
    this.release();
  }

  /** Hands body bytes over; they are the caller's from now on. `full` tells whether the source should stop. */
  push(chunk: Uint8Array, at: number): void {
    // First: a listener that reads the body there and then has to find what it is told of.
    if (this.#state === "answered") this.#chunks?.push(chunk); // a listener may have aborted it
    if (this.trace.mask & TRACE_BODY) this.trace.emit({ type: "body-data", bytes: chunk.length }, at);
  }

  setTrailers(fields: FieldLines): void {
    this.#trailers = fields;
  }

  /** The body is complete. The connection was pooled or closed before this is called (Go issue 13633). */
  end(): void {
    this.#state = "over";
    this.#trailers ??= NO_FIELDS;
    this.#host = null;
    this.#chunks?.close(COMPLETE);
    this.release();
  }

  /**
   * It failed: before an answer the call rejects, after it the reader of the body gets the error behind what was
   * buffered.
   *
   * @returns false when it was over already
   */
  fail(error: unknown): boolean {
    if (this.#state === "over") return false;
    const wasPending = this.#state === "pending";
    this.#state = "over";
    this.#host = null;
    this.outgoingBody?.destroy(error);
    if (wasPending) this.#caller?.failed(error, this);
    else {
      if (this.trace.mask & TRACE_CALL) this.trace.emit({ type: "body-failed", error });
      this.#chunks?.close(error);
    }
    this.release();
    return true;
  }

  /** Its caller leaves, and the connection goes on for others: what still comes of its answer is dropped. */
  leave(error: unknown): void {
    this.discarding = true;
    this.#whole = null;
    this.fail(error);
  }

  /** Tells the transport, once, that abort and time limits of the call have nothing to act on any more. */
  release(): void {
    const caller = this.#caller;
    this.#caller = null;
    caller?.over();
    this.#onOver?.();
    this.#onOver = null;
  }

  /** Runs what the caller may hear in the async context of the call; once that is over there is none. */
  inContext(fn: () => void): void {
    if (this.#caller === null) fn();
    else this.#caller.inContext(fn);
  }

  // ---- facts

  /** What an error of this exchange says about the attempt. */
  facts(bytesPending: number): ErrorFacts {
    return {
      origin: this.request.destination.origin,
      attempt: this.trace.attempt,
      reused: this.reused,
      bytesSubmitted: this.bytesSubmitted,
      bytesAccepted: Math.max(0, this.bytesSubmitted - bytesPending),
      bytesRead: this.bytesRead,
      safeToRetry: this.nothingWritten || (this.bytesRead === 0 && this.request.idempotent),
    };
  }

  // ---- BodySource: what the Response reads from

  readonly chunksAreAlone = true;

  get length(): number | null {
    return this.#head?.contentLength ?? null;
  }

  tryRead(): Uint8Array | null | undefined {
    const chunks = this.#chunks;
    if (chunks === null) return null;
    this.wasRead = true;
    const chunk = chunks.tryTake();
    if (chunk !== undefined) {
      this.#host?.bodyTaken(this);
      return chunk;
    }
    if (!chunks.closed) {
      this.#host?.readAsked(this);
      return undefined;
    }
    return this.#ending(chunks);
  }

  async read(): Promise<Uint8Array | null> {
    const now = this.tryRead();
    if (now !== undefined) return now;
    const chunks = this.#chunks as AsyncQueue<Uint8Array>; // null would have been an end
    const chunk = await chunks.take();
    if (chunk === undefined) return this.#ending(chunks);
    this.#host?.bodyTaken(this);
    return chunk;
  }

  gatherInto(whole: Uint8Array, at: number): void {
    this.#whole = whole;
    this.#wholeAt = at;
  }

  close(): void {
    if (this.discarding) return;
    this.discarding = true;
    this.#whole = null;
    this.#chunks?.clear();
    this.#host?.bodyClosed(this);
  }

  /** Bytes that wait for the reader. */
  get buffered(): number {
    return this.#chunks?.weight ?? 0;
  }

  /** Whether more waits than is read ahead. */
  get full(): boolean {
    return this.#chunks?.full ?? false;
  }

  #ending(chunks: AsyncQueue<Uint8Array>): null {
    if (chunks.reason === COMPLETE) return null;
    throw chunks.reason;
  }

  // ---- ResponseBacking

  get status(): number {
    return this.#answered.status;
  }
  get statusText(): string {
    return this.#answered.statusText;
  }
  get httpVersion(): "1.0" | "1.1" {
    return this.#answered.minorVersion === 1 ? "1.1" : "1.0";
  }
  get fields(): FieldLines {
    return this.#answered.fields;
  }
  get framing(): Framing {
    return this.#answered.framing;
  }
  get body(): BodySource | null {
    return this.#content;
  }
  get url(): string {
    return this.request.url;
  }
  /** The connection, where the answer handed it over. */
  handed: Handed | null = null;
  readonly redirected = false;
  /** The content is decoded: an encoded one came, and our Accept-Encoding had asked for it. */
  decompressed = false;
  trailers(): FieldLines | null {
    return this.#trailers;
  }
  timings(): Timings {
    return this.trace.timings();
  }
  get connection(): ConnectionInfo | null {
    if (this.connectionFacts === null) return null;
    return { ...this.connectionFacts, reused: this.reused, served: this.served };
  }
  followed(onward: () => OnwardFacts): void {
    if (this.trace.mask & TRACE_CALL) {
      this.trace.emit({ type: "redirect", status: this.#answered.status, ...onward() });
    }
  }
  whenOver(fn: () => void): void {
    if (this.#state === "over") fn();
    else this.#onOver = fn;
  }

  get #answered(): ResponseHead {
    return this.#head as ResponseHead; // a Response is made by answer() only, which sets it
  }
}

const NO_FIELDS: FieldLines = { length: 0, name: () => "", value: () => "" };

/** What a chunk costs beside its bytes, about: a body of a byte a read must not wait in 64 Ki pieces. */
const CHUNK_COST_BYTES = 64;

function weight(chunk: Uint8Array): number {
  return chunk.length + CHUNK_COST_BYTES;
}
