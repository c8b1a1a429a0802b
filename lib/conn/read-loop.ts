/**
 * The read loop of one persistent connection: takes the exchange whose response begins from the exchange queue, feeds
 * the parser, and hands what it finds to that exchange. The conduit drives it: each arrival of bytes is one round.
 * Lives as long as the connection.
 *
 * Owns:  the parser, the read half's state, the read deadline, sawEnd, paused; nothing else writes them.
 * Reads: exchange.writeBegun (set by the write loop): no response may begin before its request does.
 * Never: waits for application code. A slow reader of a body pauses the conduit instead; an idle connection is never
 *        paused, since a paused socket sees neither FIN nor RST.
 *
 * RFC 9112 §6.3 (where a body ends), §9.2 (which request a response answers), §9.5 (early answers), §9.6 (tear-down).
 */

import type { Clock, Deadline } from "../clock.ts";
import {
  type CloseReason,
  ConnectionClosedError,
  IncompleteBodyError,
  RemoteProtocolError,
  TimeoutError,
} from "../errors.ts";
import { headersOver } from "../message/headers.ts";
import { TRACE_CONN } from "../trace.ts";
import type { FieldLines, ParserLimits, ResponseHead, ResponseSink } from "../wire/parser-events.ts";
import { ResponseParser } from "../wire/response-parser.ts";
import { switchRefusal } from "../wire/upgrade.ts";
import type { AsyncQueue } from "./async-queue.ts";
import type { Conduit } from "./conduit.ts";
import { READ_STATES, type ReadEvent, type ReadState, type State } from "./conn-state.ts";
import type { BodyHost, Exchange } from "./exchange.ts";
import { copyOf, RoundBody } from "./round-body.ts";

/** What the read loop asks of the connection that owns it. */
export interface ReadLoopHost {
  readonly conduit: Conduit;
  readonly clock: Clock;
  readonly peer: string;
  /** Whether the request in flight was written to its end. */
  readonly requestWritten: boolean;
  /** How many exchanges stand behind the one in flight (pipelining). */
  readonly behind: number;
  /** Whether what comes behind an answer is the answer to the next request: that has begun to leave. */
  readonly nextBegun: boolean;
  /** An answer is there: a request that went out in one write is sent, whether or not that was confirmed yet. */
  wholeSent(exchange: Exchange): void;
  /** The response is complete. `forbidden` says why the connection cannot be used again, or is null. */
  responseRead(exchange: Exchange, forbidden: CloseReason | null): void;
  /**
   * What follows is not HTTP, and the request is written to its end: the connection is the caller's from now on.
   *
   * @param early what came of it already
   * @param ended the peer has sent its last byte, and `early` ends with it
   */
  handOver(exchange: Exchange, head: ResponseHead, early: Uint8Array[], ended: boolean): void;
  /** The answer makes the rest of the request pointless. */
  stopWriting(exchange: Exchange): void;
  /** A 100 came, or a final answer that keeps the connection: a body that waits for it may go out. */
  continueWriting(): void;
  /** Closes the connection; the error, where there is one, goes to the exchange in flight. */
  close(reason: CloseReason, error?: unknown): void;
  /** A rule of ours was broken: closes as well, and rethrows where specs ask for it. */
  broken(error: unknown): void;
  /** A body has waited too long for its reader; the connection is closed after this. */
  warnReader(exchange: Exchange, error: TimeoutError): void;
  /** The idle time is up. */
  idleExpired(): void;
}

/** What the read deadline stands for at the moment. */
type Awaiting = "nothing" | "headers" | "body" | "unread-body" | "stalled-reader" | "drain" | "write" | "idle";

/** A closed body is drained in the background this far, so that its connection lives on (Go issue 77370). */
const DRAIN_BYTES_MAX = 256 * 1024;
const DRAIN_MS_MAX = 50;
/** What an unfinished write gets when the response is complete: a scheduling skew, not a slow upload (Go issue 7569). */
const WRITE_LINGER_MS = 50;

export class ReadLoop implements ResponseSink, BodyHost {
  readonly #host: ReadLoopHost;
  readonly #exchanges: AsyncQueue<Exchange>;
  readonly #parser: ResponseParser;
  readonly #deadline: Deadline;

  #state: State<ReadState, ReadEvent> = READ_STATES.idle;
  /** Set from the first byte of a response until the connection is recycled or closed. */
  #exchange: Exchange | null = null;
  /** Set from the end of the request's write: whose time limits the deadline speaks of before a byte came. */
  #written: Exchange | null = null;
  #awaiting: Awaiting = "nothing";
  #paused = false;
  #sawEnd = false;
  #messageDone = false;
  /** Set by a head behind which there is no HTTP, and what came behind it. */
  #switching: { readonly head: ResponseHead; readonly early: Uint8Array[] } | null = null;
  readonly #roundBody = new RoundBody();
  #bodyBytes = 0;
  #drainedBytes = 0;
  /** The clock at the start of this round: one reading serves every stamp and deadline of it. */
  #now = 0;
  #inRound = false;

  constructor(host: ReadLoopHost, exchanges: AsyncQueue<Exchange>, limits: ParserLimits) {
    this.#host = host;
    this.#exchanges = exchanges;
    this.#parser = new ResponseParser(limits);
    this.#deadline = host.clock.deadline(0, () => this.#expired());
  }

  get state(): ReadState {
    return this.#state.name;
  }

  /** Whether a reader lags so far that nothing is read for now. */
  get paused(): boolean {
    return this.#paused;
  }

  // ---- from the conduit

  /** Bytes came in: `view[0, n)`, lent. */
  received(view: Uint8Array, n: number): void {
    this.#now = this.#host.clock.now();
    this.#inRound = true;
    try {
      this.#round(view, 0, n);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#inRound = false;
      if (this.#state.name === "closed") this.#parser.free();
    }
  }

  /** Reads `view[from, n)`: of one answer, or of several where requests were pipelined. */
  #round(view: Uint8Array, from: number, n: number): void {
    if (this.#state.name === "done") return this.#host.close("unsolicited-bytes");
    const exchange = this.#exchange ?? this.#begin();
    // Nobody asked, or somebody asked but no byte of the request has left: this cannot be an answer to it.
    if (exchange === null) return this.#host.close(is408(view, n) ? "server-closed-idle" : "unsolicited-bytes");
    const before = exchange.bytesRead;
    exchange.bytesRead = before + n - from;
    let consumed: number;
    try {
      consumed = this.#parser.execute(view, from, n, this);
    } finally {
      this.#deliver(exchange, view);
    }
    if (this.#state.name === "closed") return;
    if (this.#messageDone) {
      exchange.bytesRead = before + consumed - from;
      this.#complete(exchange, consumed === n || this.#host.nextBegun ? null : "unsolicited-bytes");
      // Idle, and not closed: the rest is the answer to the request behind.
      if (consumed < n && this.state === "idle") this.#round(view, consumed, n);
    } else if (this.#switching !== null) {
      exchange.bytesRead = before + consumed;
      if (consumed < n) this.#switching.early.push(copyOf(view, consumed, n));
      this.#switch(exchange);
    } else if (this.#state.name === "body") {
      this.#awaitMore(exchange);
    }
  }

  /** A first byte while nothing is read: the oldest exchange whose request has begun to leave. */
  #begin(): Exchange | null {
    const exchange = this.#exchanges.tryTake();
    if (exchange === undefined || !exchange.writeBegun) return null;
    this.#exchange = exchange;
    this.#messageDone = false;
    this.#bodyBytes = 0;
    this.#drainedBytes = 0;
    this.#state = this.#state.firstByte;
    this.#parser.begin(exchange.request.method);
    exchange.trace.firstByteAt = this.#now;
    if (exchange.trace.mask & TRACE_CONN) exchange.trace.emit({ type: "first-byte" }, this.#now);
    return exchange;
  }

  /** The peer sent its last byte. */
  ended(): void {
    this.#sawEnd = true;
    this.#now = this.#host.clock.now();
    this.#inRound = true;
    try {
      const exchange = this.#exchange;
      if (this.#switching !== null) {
        // Told with the rest, when the request is written to its end.
      } else if (exchange !== null && this.#state.name !== "done") {
        this.#parser.finish(this); // throws where the message is not whole
        this.#complete(exchange, "close-delimited");
      } else if (exchange !== null) {
        // The response is whole and only the write lags: what remains to be written has no reader.
        this.#host.close("peer-half-closed");
      } else if (this.#exchanges.weight > 0) {
        const what = "connection closed by the peer before a response";
        this.#host.close("server-closed", new ConnectionClosedError(this.#text(what), { phase: "headers" }));
      } else {
        this.#host.close("server-closed-idle");
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#inRound = false;
      if (this.#state.name === "closed") this.#parser.free();
    }
  }

  /** The connection broke. */
  broke(cause: Error): void {
    const idle = this.#exchange === null && this.#exchanges.weight === 0;
    if (idle || this.#state.name === "done") return this.#host.close("idle-error");
    const phase = this.#state.name === "body" ? "body" : "headers";
    this.#host.close("socket-error", new ConnectionClosedError(this.#text("connection lost"), { phase, cause }));
  }

  #text(state: string): string {
    const bytes = this.#exchange?.bytesRead ?? 0;
    const part = this.#state.name === "body" ? "response body" : "response head";
    return `Cannot read ${part} from ${this.#host.peer}: ${state} after ${bytes} bytes`;
  }

  // ---- from the parser, within a round

  information(head: ResponseHead): void {
    const exchange = this.#exchange;
    if (exchange === null || this.#state.name === "closed") return;
    if (exchange.trace.mask & TRACE_CONN) {
      const { status, fields } = head;
      exchange.trace.emit({ type: "information", status, headers: () => headersOver(fields) }, this.#now);
    }
    if (head.status === 100) this.#host.continueWriting();
    if (!exchange.over) exchange.onInformation?.(head);
  }

  head(head: ResponseHead): void {
    const exchange = this.#exchange;
    if (exchange === null || this.#state.name === "closed") return;
    if (head.framing === "tunnel" && head.status === 101) {
      const refusal = switchRefusal(exchange.outgoing.upgrade, head.fields);
      if (refusal !== null) throw this.#refused("it switches protocols unasked", refusal);
    }
    if (head.framing === "close" && exchange.requireFraming) {
      throw this.#refused(
        "its end is marked by nothing but a close",
        "no framing (RFC 9112 §6.3; option requireFraming)",
      );
    }
    this.#state = this.#state.head;
    const trace = exchange.trace;
    trace.headersAt = this.#now;
    if (trace.mask & TRACE_CONN) this.#traceHead(exchange, head);
    if (head.framing === "tunnel") return this.#leaveHttp(exchange, head);
    const hasBody = exchange.request.method !== "HEAD" && head.status !== 204 && head.status !== 304;
    const wanted = exchange.answer(head, hasBody, this);
    this.#host.wholeSent(exchange);
    if (!wanted && head.framing !== "none") return this.bodyClosed(exchange); // its caller has left, others wait behind
    if (this.#host.requestWritten) return;
    // A server that answers with an error, or will close, does not want the rest of the body (RFC 9112 §9.5).
    if (head.status >= 400 || !head.keepAlive) this.#host.stopWriting(exchange);
    else this.#host.continueWriting();
  }

  #traceHead({ trace }: Exchange, { status, framing, statusText, minorVersion, fields }: ResponseHead): void {
    const headers = () => Array.from({ length: fields.length }, (_, i) => [fields.name(i), fields.value(i)] as const);
    const httpVersion = minorVersion === 1 ? "1.1" : "1.0";
    const early = !this.#host.requestWritten;
    trace.emit({ type: "head", status, framing, statusText, httpVersion, headers, early }, this.#now);
  }

  /** The rest of the round, and of the request, is waited for: nobody can switch in the middle of a message. */
  #leaveHttp(exchange: Exchange, head: ResponseHead): void {
    this.#host.wholeSent(exchange);
    if (this.#state.name === "closed") return; // by a listener
    if (!this.#host.requestWritten) this.#host.continueWriting();
    this.#switching = { head, early: [] };
  }

  #switch(exchange: Exchange): void {
    if (this.#switching === null) return;
    if (this.#host.requestWritten) {
      const { head, early } = this.#switching;
      return this.#host.handOver(exchange, head, early, this.#sawEnd);
    }
    if (this.#paused) return;
    this.#paused = true;
    this.#host.conduit.pause();
    this.#await("nothing", 0);
  }

  #refused(state: string, reason: string): RemoteProtocolError {
    const text = `Cannot read response from ${this.#host.peer}: ${state}`;
    return new RemoteProtocolError(text, { reason, offset: 0, excerpt: "" }, { phase: "headers" });
  }

  data(view: Uint8Array, start: number, end: number): void {
    const exchange = this.#exchange;
    if (exchange === null || this.#state.name === "closed") return;
    const n = end - start;
    this.#bodyBytes += n;
    if (exchange.discarding) {
      this.#drainedBytes += n;
      if (this.#drainedBytes > DRAIN_BYTES_MAX) this.#host.close("body-closed-early");
      return;
    }
    // The view is lent; what the caller gets is the caller's: a part of the whole that it gathers, or a copy.
    const place = exchange.placeFor(n);
    if (place === null) return this.#roundBody.add(start, end);
    place.set(view.subarray(start, end));
    exchange.push(place, this.#now);
  }

  /** What came of the body, before its end or an error is told. */
  #deliver(exchange: Exchange, view: Uint8Array): void {
    const chunk = this.#roundBody.take(view);
    if (chunk !== null) exchange.push(chunk, this.#now);
  }

  trailers(fields: FieldLines): void {
    this.#exchange?.setTrailers(fields);
  }

  end(): void {
    this.#messageDone = true;
  }

  // ---- the body's reader

  /** Ends a round within a body: pauses where the reader lags, and says what the deadline stands for now. */
  #awaitMore(exchange: Exchange): void {
    if (exchange.discarding) return;
    if (exchange.full && !this.#paused) {
      this.#paused = true;
      this.#host.conduit.pause();
    }
    if (exchange.buffered === 0) this.#await("body", exchange.limits.bodyTimeout);
    else if (!exchange.wasRead) this.#awaitOnce("unread-body", exchange.limits.unreadBodyTimeout);
    else if (this.#paused) this.#awaitOnce("stalled-reader", exchange.limits.stalledReaderTimeout);
    else this.#await("body", exchange.limits.bodyTimeout);
  }

  readAsked(exchange: Exchange): void {
    if (exchange !== this.#exchange || this.#state.name !== "body") return;
    if (this.#paused) this.#resume();
    if (this.#awaiting !== "body") this.#await("body", exchange.limits.bodyTimeout);
  }

  bodyTaken(exchange: Exchange): void {
    if (exchange !== this.#exchange || this.#state.name !== "body") return;
    if (this.#paused && !exchange.full) this.#resume();
    if (this.#paused) this.#await("stalled-reader", exchange.limits.stalledReaderTimeout);
    else if (this.#awaiting !== "body") this.#await("body", exchange.limits.bodyTimeout);
  }

  /**
   * The reader wants no more: what is left is drained in the background where it is little and comes soon, so that the
   * connection lives on; nobody waits for that but the slot that it holds.
   */
  bodyClosed(exchange: Exchange): void {
    if (exchange !== this.#exchange || this.#state.name !== "body") return;
    const head = exchange.responseHead;
    if (head === null) return; // a listener that hears of the head ends the call: it is delivered to nobody, in a moment
    const left = head.contentLength === null ? 0 : head.contentLength - this.#bodyBytes;
    const endless = head.framing === "close" || left > DRAIN_BYTES_MAX || !head.keepAlive || this.#parser.wasLenient;
    if (endless || !this.#host.requestWritten) return this.#host.close("body-closed-early");
    if (this.#paused) this.#resume();
    this.#await("drain", DRAIN_MS_MAX);
    if (this.#host.behind === 0) this.#host.conduit.unref();
    exchange.release();
  }

  #resume(): void {
    this.#paused = false;
    this.#host.conduit.resume();
  }

  // ---- the end of a response

  #complete(exchange: Exchange, forbidden: CloseReason | null): void {
    this.#state = this.#state.end;
    const head = exchange.responseHead as ResponseHead; // the message is done, so its head was delivered
    exchange.trace.endAt = this.#now;
    if (exchange.trace.mask & TRACE_CONN) exchange.trace.emit({ type: "end", bytes: exchange.bytesRead }, this.#now);
    this.#await("nothing", 0);
    let why = forbidden;
    if (this.#parser.wasLenient) why = "lenient-parse";
    else if (head.framing === "close") why = "close-delimited";
    else if (why === null && !head.keepAlive) why = "response-says-close";
    else if (why === null && exchange.outgoing.close) why = "request-says-close";
    else if (why === null && this.#sawEnd) why = "peer-half-closed";
    this.#host.responseRead(exchange, why);
  }

  // ---- from the connection

  /** The request is wholly handed over: from now on the head is awaited. */
  requestWritten(exchange: Exchange, now: number): void {
    if (this.#switching !== null) return this.#switch(exchange);
    if (this.#state.name !== "idle" && this.#state.name !== "head") return;
    this.#written = exchange;
    this.#awaiting = "headers";
    this.#deadline.reset(exchange.limits.responseHeaderTimeout, now);
  }

  /** The response is complete, and the write loop is behind: it gets a moment. */
  linger(): void {
    if (this.#paused) this.#resume();
    this.#await("write", WRITE_LINGER_MS);
  }

  /** Both halves are done. An idle connection reads, whatever its last reader did. */
  recycle(): void {
    this.#state = this.#state.recycle;
    this.#exchange = null;
    this.#written = null;
    if (this.#paused) this.#resume();
    this.#await("nothing", 0);
  }

  /** Idle from now on; `idleExpired` is called in `ms` (0: never). */
  idle(ms: number): void {
    this.#awaiting = "idle";
    if (this.#inRound) this.#deadline.reset(ms, this.#now);
    else this.#deadline.reset(ms);
  }

  /** Nothing comes any more. */
  closed(): void {
    this.#state = this.#state.close;
    this.#exchange = null;
    this.#written = null;
    this.#switching = null;
    this.#deadline.cancel();
    // The parser's memory cannot go while it is at work: then the round frees it.
    if (!this.#inRound) this.#parser.free();
  }

  // ---- time

  #await(what: Awaiting, ms: number): void {
    this.#awaiting = what;
    this.#deadline.reset(ms);
  }

  #awaitOnce(what: Awaiting, ms: number): void {
    if (this.#awaiting !== what) this.#await(what, ms);
  }

  #expired(): void {
    const exchange = this.#exchange ?? this.#written;
    switch (this.#awaiting) {
      case "nothing":
        return;
      case "idle":
        return this.#host.idleExpired();
      case "drain":
        return this.#host.close("body-closed-early");
      case "write":
        return this.#host.close("write-unfinished");
      default:
        if (exchange !== null) this.#timeOut(exchange, this.#awaiting);
    }
  }

  #timeOut(exchange: Exchange, phase: "headers" | "body" | "unread-body" | "stalled-reader"): void {
    const [option, what] = TIME_LIMITS[phase];
    const limit = exchange.limits[option];
    const error = new TimeoutError(
      phase,
      option,
      limit,
      `Cannot read response from ${this.#host.peer}: ${what} within ${limit} ms (option ${option})`,
    );
    if (phase === "unread-body" || phase === "stalled-reader") this.#host.warnReader(exchange, error);
    this.#host.close("timeout", error);
  }

  #failed(error: unknown): void {
    if (error instanceof RemoteProtocolError) this.#host.close("protocol-error", error);
    else if (error instanceof IncompleteBodyError) this.#host.close("incomplete-body", error);
    else if (error instanceof ConnectionClosedError) this.#host.close("server-closed", error);
    else this.#host.broken(error);
  }
}

/** The option of each phase, and what did not happen. */
const TIME_LIMITS = {
  headers: ["responseHeaderTimeout", "no response head came"],
  body: ["bodyTimeout", "no byte of the body came"],
  "unread-body": ["unreadBodyTimeout", "nobody read the body"],
  "stalled-reader": ["stalledReaderTimeout", "the reader of the body took nothing"],
} as const;

/** A load balancer's way to say that it closes an idle connection (Go is408Message, issue 32310). */
function is408(view: Uint8Array, n: number): boolean {
  if (n < 12) return false;
  const start = String.fromCharCode(...view.subarray(0, 12));
  return start.startsWith("HTTP/1.") && start.endsWith(" 408");
}
