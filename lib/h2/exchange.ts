/**
 * One request and its response: one stream of an HTTP/2 connection. Lives as long as the Response that it stands behind;
 * lets go of the stream as soon as it is over.
 *
 * Owns:  the stream, this sending of the body, the listener on the call's signal, its deadlines.
 * Never: delivers twice; reads more ahead than is asked for plus 64 KiB: then the stream is paused, and its window closes.
 *
 * Limits are those of HTTP/1.1, by the same names. A stream that fails takes no other with it.
 *
 * RFC 9113 §8.1 (message exchange), §8.7 (what may be sent again), §5.1 (stream states).
 */

import type { ClientHttp2Stream } from "node:http2";
import { onAbort } from "../abort.ts";
import type { Deadline } from "../clock.ts";
import { AsyncQueue } from "../conn/async-queue.ts";
import {
  ConnectionClosedError,
  type ErrorFacts,
  HeaderLimitError,
  HttpError,
  IncompleteBodyError,
  LocalProtocolError,
  type Phase,
  RemoteProtocolError,
  TimeoutError,
} from "../errors.ts";
import { ContentDecoder, codingsOf } from "../message/decode.ts";
import { type FieldLines, headersOver, PairLines } from "../message/headers.ts";
import type { Request } from "../message/request.ts";
import type { BodyReader } from "../message/request-body.ts";
import { type ConnectionInfo, type Response, type ResponseBacking, responseOf } from "../message/response.ts";
import type { BodySource } from "../message/response-body.ts";
import type { Timings } from "../message/timings.ts";
import type { NextProtocolConnection } from "../next-protocol.ts";
import { outgoingHead } from "../outgoing-head.ts";
import type { RoundTripCall } from "../round-tripper.ts";
import type { CallTimeLimits } from "../time-limits.ts";
import { CallTrace, headParts, lentTrace, TRACE_BODY, TRACE_CALL, TRACE_CONN, tracerOf } from "../trace.ts";
import type { HeadWriter } from "../wire/head-writer.ts";
import { errorName, NO_ERROR, REFUSED_STREAM } from "./error-codes.ts";
import { fieldOf, receivedFields, requestFields, trailerFields } from "./fields.ts";
import { Upload } from "./upload.ts";

/** What an exchange needs of its connection. */
export interface ExchangeHost {
  readonly connection: NextProtocolConnection;
  readonly session: import("node:http2").ClientHttp2Session;
  readonly heads: HeadWriter;
  readonly what: string;
  heard(): void;
  over(exchange: H2Exchange): void;
  unprocessed(id: number | undefined, refused: boolean): boolean;
  readonly lost: { readonly cause: unknown } | undefined;
}

interface Settle {
  readonly served: number;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

const READ_AHEAD_BYTES = 64 * 1024;
/** What a chunk costs beside its bytes, about. */
const CHUNK_COST_BYTES = 64;
const COMPLETE = Symbol("complete");
const NO_FIELDS = new PairLines([]);
/** The codes of RST_STREAM that we send (RFC 9113 §7). */
const CANCEL = 8;

export class H2Exchange implements ResponseBacking, BodySource {
  readonly request: Request;
  readonly httpVersion = "2";
  readonly redirected = false;
  statusText = "";
  decompressed = false;
  readonly #host: ExchangeHost;
  readonly #call: RoundTripCall;
  readonly #settle: Settle;
  readonly #trace: CallTrace;
  readonly #limits: Required<CallTimeLimits>;
  readonly #chunks = new AsyncQueue<Uint8Array>("body", READ_AHEAD_BYTES, (chunk) => chunk.length + CHUNK_COST_BYTES);
  #stream: ClientHttp2Stream | null = null;
  #upload: Upload | null = null;
  #headSubmitted = 0;
  #encodingAsked = false;
  #state: "pending" | "answered" | "over" = "pending";
  #requestSent = false;
  #responseEnded = false;
  #discarding = false;
  #wasRead = false;
  #informations = 0;
  #headBytes = 0;
  #headFields = 0;
  #received = 0;
  #status = 0;
  #fields: FieldLines = NO_FIELDS;
  #trailers: FieldLines | null = null;
  #length: number | null = null;
  #content: BodySource | null = null;
  #deadline: Deadline | null = null;
  #total: Deadline | null = null;
  #detach: (() => void) | null = null;
  #onOver: (() => void) | null = null;

  constructor(host: ExchangeHost, request: Request, call: RoundTripCall, settle: Settle) {
    const { clock, settings } = host.connection;
    this.#host = host;
    this.request = request;
    this.#call = call;
    this.#settle = settle;
    this.#limits = { ...settings, ...withoutUndefined(call) };
    this.#trace = lentTrace(call) ?? new CallTrace(0, clock, tracerOf(undefined), tracerOf(call.trace));
  }

  // ---- the request

  start(): void {
    const { signal, deadline } = this.#call;
    const { clock } = this.#host.connection;
    let body: BodyReader | null = null;
    try {
      body = this.request.body?.open() ?? null; // ours from here on, whatever fails
      if (signal?.aborted) throw signal.reason;
      if (this.request.method === "CONNECT") {
        throw new LocalProtocolError("method", "Cannot send request: CONNECT is not spoken over HTTP/2 here");
      }
      if (this.request.hasField("upgrade")) {
        throw new LocalProtocolError("header upgrade", "Cannot send request: HTTP/2 has no Upgrade (RFC 9113 §8.6)");
      }
      const left = deadline === undefined ? 0 : deadline.at - clock.now();
      if (deadline !== undefined && left <= 0) throw this.#timeout("total", "timeout", deadline.limit);
      this.#open(body);
      this.#deadline = clock.deadline(0, () => this.#late());
      if (signal !== undefined) this.#detach = onAbort(signal, () => this.fail(signal.reason));
      if (deadline !== undefined) {
        const { limit } = deadline;
        this.#total = clock.deadline(left, () => this.fail(this.#timeout("total", "timeout", limit)));
      }
    } catch (error) {
      body?.destroy(error);
      this.fail(error);
      return;
    }
    this.#upload?.run();
    if (this.#upload === null) this.#sent();
  }

  /** @throws {LocalProtocolError} the request cannot be sent as it is; {ConnectionClosedError} the session takes none */
  #open(body: BodyReader | null): void {
    const { heads, session, connection } = this.#host;
    const head = heads.write(outgoingHead(this.request, body));
    this.#encodingAsked = head.encodingAsked;
    const { scheme } = this.request.destination;
    const { trailers } = this.request;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(requestFields(head.text, scheme), {
        endStream: body === null,
        waitForTrailers: trailers !== null,
      });
    } catch (cause) {
      if (cause instanceof HttpError) throw cause;
      const state = session.closed || session.destroyed;
      if (!state) {
        throw new LocalProtocolError("headers", "Cannot send request: HTTP/2 cannot carry its fields", { cause });
      }
      const facts = { cause, unprocessed: true, safeToRetry: true, bytesSubmitted: 0, bytesRead: 0 };
      throw new ConnectionClosedError(
        `Cannot send request to ${connection.authority}: it takes no more requests`,
        facts,
      );
    }
    this.#stream = stream;
    this.#headSubmitted = head.text.length;
    this.#listen(stream);
    if (this.#trace.mask & TRACE_CONN) {
      const { target, headers } = headParts(head.text);
      this.#trace.emit({ type: "request-write", bytes: head.text.length, target, headers });
      this.#trace.emit({ type: "request-head", fields: headers });
      if (body !== null && head.expectContinue) this.#trace.emit({ type: "continue-wait" });
    }
    if (body === null) return;
    this.#upload = new Upload(stream, body, connection.clock, {
      expectContinue: head.expectContinue,
      limits: this.#limits,
      wrote: (bytes) => {
        if (this.#trace.mask & TRACE_BODY) this.#trace.emit({ type: "body-sent", bytes });
      },
      sent: () => this.#sent(),
      failed: (error) => this.fail(error),
      slow: () => this.fail(this.#timeout("write", "writeTimeout", this.#limits.writeTimeout)),
    });
    if (trailers !== null) {
      stream.on("wantTrailers", () => {
        try {
          stream.sendTrailers(trailerFields(trailers.collect()));
        } catch (error) {
          this.fail(error);
        }
      });
    }
  }

  #sent(): void {
    this.#requestSent = true;
    const at = this.#host.connection.clock.now();
    this.#trace.requestSentAt = at;
    if (this.#trace.mask & TRACE_CONN) this.#trace.emit({ type: "request-sent", bytes: this.#submitted }, at);
    if (this.#responseEnded) this.#complete();
    else this.#watch(at);
  }

  /** The head as HTTP/1.1 would write it: what is left of it when it is compressed, node:http2 keeps to itself. */
  get #submitted(): number {
    return this.#headSubmitted + (this.#upload?.bytes ?? 0);
  }

  // ---- the response

  #listen(stream: ClientHttp2Stream): void {
    stream.on("headers", (_headers, _flags, raw?: readonly string[]) => this.#inform(raw ?? []));
    // The types of some events lack the list of fields as they came, which is their last argument.
    const on = stream.on.bind(stream) as (event: string, listener: (...args: never[]) => void) => unknown;
    on("response", (_headers: object, _flags: number, raw: readonly string[]) => this.#head(raw));
    on("trailers", (_headers: object, _flags: number, raw: readonly string[]) => this.#trail(raw));
    stream.on("data", (chunk: Uint8Array) => this.#data(chunk));
    stream.on("end", () => this.#end(stream));
    stream.on("error", () => {}); // what it means is told by the close that follows
    stream.on("close", () => this.closed());
  }

  /** A 1xx response. */
  #inform(raw: readonly string[]): void {
    const { status, pairs } = this.#counted(raw);
    if (this.#state !== "pending") return;
    if (++this.#informations > this.#host.connection.settings.max1xxResponses) {
      const { max1xxResponses: max } = this.#host.connection.settings;
      return this.fail(this.#tooMany("max1xxResponses", max, "more 1xx responses than the limit"));
    }
    const headers = () => headersOver(new PairLines(pairs));
    if (this.#trace.mask & TRACE_CONN) this.#trace.emit({ type: "information", status, headers });
    if (status === 100) this.#upload?.goOn();
    try {
      this.#call.onInformation?.({ status, statusText: "", headers: headers() });
    } catch (error) {
      this.fail(error);
    }
  }

  #head(raw: readonly string[]): void {
    const { status, pairs } = this.#counted(raw);
    if (this.#state !== "pending") return;
    const now = this.#host.connection.clock.now();
    const trace = this.#trace;
    trace.headersAt = now;
    this.#status = status;
    this.#fields = new PairLines(pairs);
    const length = fieldOf(pairs, "content-length");
    const bodiless = this.request.method === "HEAD" || status === 204 || status === 304;
    this.#length = !bodiless && length !== null && /^\d+$/.test(length) ? Number(length) : null;
    if (!bodiless) this.#content = this.#contentOf(fieldOf(pairs, "content-encoding"));
    if (trace.mask & TRACE_CONN) {
      const facts = {
        statusText: "",
        httpVersion: "2",
        headers: () => pairs.map(([name, value]) => [name, value] as const),
        early: !this.#requestSent,
      } as const;
      trace.emit({ type: "head", status, framing: this.framing, ...facts }, now);
    }
    if (this.#isOver) return; // the listener has ended it
    this.#state = "answered";
    if (status >= 400)
      this.#upload?.stop(); // nobody wants the rest; what waits for a 100 never goes
    else this.#upload?.goOn();
    this.#watch(now);
    this.#settle.resolve(responseOf(this));
  }

  #contentOf(encoding: string | null): BodySource {
    if (!this.#encodingAsked || encoding === null) return this;
    const codings = codingsOf(encoding);
    if (codings.length === 0) return this;
    this.decompressed = true;
    const { maxDecompressRatio: ratioMax } = this.#host.connection.settings;
    return new ContentDecoder(this, codings, { ratioMax, facts: () => this.#facts });
  }

  #counted(raw: readonly string[]): ReturnType<typeof receivedFields> {
    const received = receivedFields(raw);
    this.#first();
    const { maxResponseHeaderBytes, maxResponseHeaders } = this.#host.connection.settings;
    this.#headBytes += received.bytes;
    this.#headFields += received.pairs.length;
    if (this.#headBytes > maxResponseHeaderBytes) {
      this.fail(this.#tooMany("maxResponseHeaderBytes", maxResponseHeaderBytes, "its fields are too long"));
    } else if (this.#headFields > maxResponseHeaders) {
      this.fail(this.#tooMany("maxResponseHeaders", maxResponseHeaders, "it has too many fields"));
    }
    return received;
  }

  #first(): void {
    this.#host.heard();
    const trace = this.#trace;
    if (trace.firstByteAt >= 0) return;
    trace.firstByteAt = this.#host.connection.clock.now();
    if (trace.mask & TRACE_CONN) trace.emit({ type: "first-byte" }, trace.firstByteAt);
  }

  #data(chunk: Uint8Array): void {
    const now = this.#host.connection.clock.now();
    this.#host.heard();
    this.#received += chunk.length;
    if (this.#state !== "answered" || this.#discarding) return;
    if (this.#trace.mask & TRACE_BODY) this.#trace.emit({ type: "body-data", bytes: chunk.length }, now);
    this.#chunks.push(new Uint8Array(chunk)); // a copy: node:http2 cuts many from one buffer
    if (this.#chunks.full) this.#stream?.pause();
    this.#watch(now);
  }

  #trail(raw: readonly string[]): void {
    const { pairs } = this.#counted(raw);
    if (!this.#isOver) this.#trailers = new PairLines(pairs);
  }

  /** Node says so for a stream that was cut, too. */
  #end(stream: ClientHttp2Stream): void {
    if (this.#isOver) return;
    const cut = stream.rstCode !== NO_ERROR || this.#state === "pending" || this.#host.lost !== undefined;
    const short = this.#length !== null && this.#received < this.#length;
    if (cut || short) return this.closed();
    this.#responseEnded = true;
    if (this.#requestSent) return this.#complete();
    // The answer is whole, and the peer has no use for the rest of the request (RFC 9113 §8.1).
    this.#upload?.stop();
    this.#complete();
  }

  #complete(): void {
    if (this.#isOver) return;
    const stream = this.#stream;
    const unsent = !this.#requestSent;
    this.#state = "over";
    this.#trailers ??= NO_FIELDS;
    this.#trace.endAt = this.#host.connection.clock.now();
    if (this.#trace.mask & TRACE_CONN) this.#trace.emit({ type: "end", bytes: this.#received }, this.#trace.endAt);
    this.#release();
    if (unsent) stream?.close(CANCEL);
    this.#chunks.close(COMPLETE);
    this.#over();
  }

  // ---- failure

  /** The stream is gone, or what came of it ends where no message does. */
  closed(): void {
    if (this.#isOver) return;
    const stream = this.#stream;
    const code = stream?.rstCode ?? NO_ERROR;
    const { lost, what } = this.#host;
    const unprocessed = this.#state === "pending" && this.#host.unprocessed(stream?.id, code === REFUSED_STREAM);
    if (unprocessed) {
      const why =
        code === REFUSED_STREAM ? "the peer refused the stream" : "the peer did not process it before it left";
      return this.fail(
        new ConnectionClosedError(`${what}: ${why}`, { unprocessed, safeToRetry: true, cause: lost?.cause }),
      );
    }
    const cause = lost?.cause == null ? {} : { cause: lost.cause };
    if (this.#state === "answered" && (lost !== undefined || code === NO_ERROR)) {
      const of = this.#length === null ? "" : ` of ${this.#length}`;
      const text = `${what}: the body ended after ${this.#received}${of} bytes`;
      return this.fail(new IncompleteBodyError(text, this.#length, this.#received, cause));
    }
    if (lost !== undefined) {
      return this.fail(new ConnectionClosedError(`${what}: the connection was closed`, { phase: "headers", ...cause }));
    }
    const name = errorName(code);
    this.fail(
      new RemoteProtocolError(`${what}: the peer reset the stream (${name})`, {
        reason: `the stream was reset: ${name} (RFC 9113 §7)`,
        offset: this.#received,
        excerpt: "",
      }),
    );
  }

  /** Before an answer the call rejects; after it the reader of the body gets the error behind what was buffered. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    const pending = this.#state === "pending";
    this.#state = "over";
    const aborted = this.#call.signal?.aborted === true && error === this.#call.signal.reason;
    if (error instanceof HttpError && !aborted) error.addFacts(this.#facts);
    this.#release();
    if (this.#upload === null) this.request.body?.discard(error);
    else this.#upload.destroy(error);
    const stream = this.#stream;
    if (stream !== null && !stream.closed && !stream.destroyed) stream.close(CANCEL);
    stream?.resume(); // what still comes goes nowhere; without this it would never close
    if (pending) this.#settle.reject(error);
    else {
      if (this.#trace.mask & TRACE_CALL) this.#trace.emit({ type: "body-failed", error });
      this.#chunks.close(error);
    }
    this.#over();
  }

  #over(): void {
    this.#host.over(this);
    this.#onOver?.();
    this.#onOver = null;
  }

  #release(): void {
    this.#detach?.();
    this.#detach = null;
    this.#total?.cancel();
    this.#deadline?.cancel();
    this.#upload?.release();
  }

  get #isOver(): boolean {
    return this.#state === "over";
  }

  get #facts(): ErrorFacts {
    const written = this.#stream !== null;
    return {
      origin: this.request.destination.origin,
      reused: this.#settle.served > 0,
      bytesSubmitted: this.#submitted,
      bytesRead: this.#received + this.#headBytes,
      safeToRetry: !written || (this.#headBytes === 0 && this.request.idempotent),
    };
  }

  #tooMany(option: string, limit: number, why: string): HeaderLimitError {
    return new HeaderLimitError(option, limit, `Cannot read response head: ${why} (option ${option})`, this.#headBytes);
  }

  #timeout(phase: Phase, option: string, limit: number): TimeoutError {
    const text = `${this.#host.what}: not within ${limit} ms (option ${option})`;
    return new TimeoutError(phase, option, limit, text);
  }

  // ---- time

  /** One deadline for what is waited for at the moment. */
  #watch(now: number): void {
    if (this.#isOver) return;
    this.#deadline?.reset(this.#waitedFor().limit, now);
  }

  #waitedFor(): { readonly phase: Phase; readonly option: keyof CallTimeLimits; readonly limit: number } {
    const of = (phase: Phase, option: keyof CallTimeLimits) => ({ phase, option, limit: this.#limits[option] });
    if (this.#state === "pending") {
      return this.#requestSent ? of("headers", "responseHeaderTimeout") : { ...of("write", "writeTimeout"), limit: 0 };
    }
    if (this.#chunks.weight === 0) return of("body", "bodyTimeout");
    return this.#wasRead ? of("stalled-reader", "stalledReaderTimeout") : of("unread-body", "unreadBodyTimeout");
  }

  #late(): void {
    const { phase, option, limit } = this.#waitedFor();
    this.fail(this.#timeout(phase, option, limit));
  }

  // ---- BodySource

  get length(): number | null {
    return this.#length;
  }

  tryRead(): Uint8Array | null | undefined {
    this.#wasRead = true;
    const chunk = this.#chunks.tryTake();
    if (chunk !== undefined) return this.#took(chunk);
    return this.#chunks.closed ? this.#ending() : undefined;
  }

  async read(): Promise<Uint8Array | null> {
    const now = this.tryRead();
    if (now !== undefined) return now;
    const chunk = await this.#chunks.take();
    return chunk === undefined ? this.#ending() : this.#took(chunk);
  }

  #took(chunk: Uint8Array): Uint8Array {
    if (!this.#isOver) {
      if (!this.#chunks.full) this.#stream?.resume();
      this.#watch(this.#host.connection.clock.now());
    }
    return chunk;
  }

  #ending(): null {
    if (this.#chunks.reason === COMPLETE) return null;
    throw this.#chunks.reason;
  }

  /** The reader wants no more: the stream is cancelled, which costs the connection nothing. */
  close(): void {
    if (this.#discarding) return;
    this.#discarding = true;
    this.#chunks.clear();
    if (!this.#isOver) this.fail(new ConnectionClosedError(`${this.#host.what}: the response was closed`));
  }

  // ---- ResponseBacking

  get status(): number {
    return this.#status;
  }
  get fields(): FieldLines {
    return this.#fields;
  }
  get framing(): "none" | "length" | "stream" {
    if (this.#content === null) return "none";
    return this.#length === null ? "stream" : "length";
  }
  get body(): BodySource | null {
    return this.#content;
  }
  get url(): string {
    return this.request.url;
  }
  trailers(): FieldLines | null {
    return this.#trailers;
  }
  timings(): Timings {
    return this.#trace.timings();
  }
  get connection(): ConnectionInfo {
    const { served } = this.#settle;
    return { ...this.#host.connection.info, reused: served > 0, served };
  }
  whenOver(fn: () => void): void {
    if (this.#isOver) fn();
    else this.#onOver = fn;
  }
}

function withoutUndefined(call: RoundTripCall): Partial<Required<CallTimeLimits>> {
  // Limits and what else a call has: of this only the limits are ever read.
  return Object.fromEntries(Object.entries(call).filter(([, value]) => value !== undefined));
}
