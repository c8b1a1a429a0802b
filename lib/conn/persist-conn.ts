/**
 * One persistent connection: owns one socket (behind a Conduit), its read loop and its write loop. Made by a dial; lives
 * until it is closed. Serves one exchange at a time, or, where requests are pipelined, one after the other.
 *
 * A caller's exchange goes through two queues, to the loop that writes its request and to the loop that reads its
 * response; the body comes back through a third. The loops never wait for each other; `fate()` joins them when the
 * response is complete.
 *
 * Owns:  the conduit, both loops, the exchange in flight, the reason for which it was closed.
 * Never: decides about retries, nor knows a pool: it tells its owner that it is idle, or closed.
 *
 * RFC 9112 §9 (connection management). Go net/http persistConn.
 */

import type { Clock } from "../clock.ts";
import { type CloseReason, ConnectionClosedError, HttpError, InvariantError, type TimeoutError } from "../errors.ts";
import type { ConnectionInfo } from "../message/response.ts";
import { TRACE_CONN } from "../trace.ts";
import type { ParserLimits, ResponseHead } from "../wire/parser-events.ts";
import { AsyncQueue } from "./async-queue.ts";
import type { Conduit, ConduitSink } from "./conduit.ts";
import { fate } from "./conn-state.ts";
import type { ConnectionFacts, Exchange } from "./exchange.ts";
import { Handover } from "./handover.ts";
import { canBeFollowed, NO_LINE, Pipeline, saysClose } from "./pipeline.ts";
import { ReadLoop, type ReadLoopHost } from "./read-loop.ts";
import { WriteLoop, type WriteLoopHost } from "./write-loop.ts";

/** What a connection tells the one that keeps it. */
export interface ConnOwner {
  /**
   * The exchange is over and the connection can serve another: called before the caller can learn of the end.
   *
   * @param keepAliveMs how long the server says it keeps an idle connection (`Keep-Alive: timeout`), or null
   */
  connIdle(conn: PersistConn, keepAliveMs: number | null): void;
  /**
   * An answer has handed the connection over: it is no longer this one's, and serves no other exchange. Called before the
   * caller can learn of it; `connHandoverClosed` follows, and `connClosed` does not.
   */
  connHandedOver(conn: PersistConn, handover: Handover): void;
  connHandoverClosed(conn: PersistConn, handover: Handover): void;
  /** The answer in front is over, and the turn of this exchange has come; called before the caller can learn of the end. */
  connNext(conn: PersistConn, exchange: Exchange): void;
  /**
   * It is closed, for `reason`; called once.
   *
   * @param unsettled whether the caller of an exchange is about to hear that it failed
   */
  connClosed(conn: PersistConn, reason: CloseReason, unsettled: boolean): void;
  /** It was idle for the time that `armIdle` was given. */
  connExpired(conn: PersistConn): void;
  /** A body has waited too long for its reader, or a connection that was handed over for whoever takes it. */
  connUnread(conn: PersistConn, exchange: Exchange, error: TimeoutError): void;
}

export interface PersistConnInit {
  readonly id: number;
  readonly conduit: Conduit;
  readonly clock: Clock;
  readonly owner: ConnOwner;
  readonly limits: ParserLimits;
  /** `host:port` or the path of a unix socket, for texts. */
  readonly peer: string;
  /** The proxy's URL, without credentials; absent where there is none. */
  readonly proxy?: string;
}

/** One request at a time: those that are pipelined stand in a line of their own until their turn comes. */
const EXCHANGES_MAX = 1;

/** What follows it runs in the next microtask. */
const SOON = Promise.resolve();

let rethrow = false;

/** Makes a broken invariant throw on as well, as specs and fuzzers want it. @internal */
export function rethrowInvariants(on: boolean): void {
  rethrow = on;
}

export class PersistConn implements ConduitSink, ReadLoopHost, WriteLoopHost {
  readonly id: number;
  readonly conduit: Conduit;
  readonly clock: Clock;
  readonly peer: string;
  readonly #owner: ConnOwner;

  readonly #writes: AsyncQueue<Exchange> = new AsyncQueue("write", EXCHANGES_MAX);
  readonly #exchanges: AsyncQueue<Exchange> = new AsyncQueue("exchange", EXCHANGES_MAX);
  readonly #writeLoop: WriteLoop;
  readonly #readLoop: ReadLoop;

  /** What `response.connection` says of it; the same for all its exchanges. */
  readonly #facts: ConnectionFacts;
  #current: Exchange | null = null;
  #responseComplete = false;
  #closed: CloseReason | null = null;
  #served = 0;
  /** Those behind the exchange in flight. */
  #line = NO_LINE;
  #lineAsked = false;
  /** An HTTP/1.1 answer has come to its end, and the connection lived on (RFC 9112 §9.3.2). */
  #persistent = false;
  /** True once it was in the pool, used or not, or was dialed for another request (Go issue 70515). */
  reused = false;

  constructor(init: PersistConnInit) {
    this.id = init.id;
    this.conduit = init.conduit;
    this.clock = init.clock;
    this.peer = init.peer;
    this.#owner = init.owner;
    this.#facts = { id: this.id, ...this.conduit.facts, proxy: init.proxy ?? null };
    this.#readLoop = new ReadLoop(this, this.#exchanges, init.limits);
    this.#writeLoop = new WriteLoop(this, this.#writes);
    this.conduit.attach(this);
    this.#writeLoop.run();
  }

  /** How many exchanges it has carried to the end of their response. */
  get served(): number {
    return this.#served;
  }

  /** What `response.connection` would say of it now. */
  get info(): ConnectionInfo {
    return { ...this.#facts, reused: this.reused, served: this.#served };
  }

  /** Why it was closed, or null while it is open. */
  get closeReason(): CloseReason | null {
    return this.#closed;
  }

  /**
   * Sends the request and delivers the head of its response. Both queues get the exchange before anything is awaited, so
   * that no answer can come before there is somebody to take it.
   */
  roundTrip(exchange: Exchange): void {
    if (this.#closed !== null)
      throw new InvariantError(`Cannot send request to ${this.peer}: closed (${this.#closed})`);
    if (this.#current !== null)
      throw new InvariantError(`Cannot send request to ${this.peer}: an exchange is in flight`);
    this.#current = exchange;
    this.#responseComplete = false;
    exchange.reused = this.reused;
    exchange.connectionFacts = this.#facts;
    exchange.served = this.#served;
    exchange.trace.connection = this.id;
    this.#exchanges.push(exchange);
    this.#writes.push(exchange);
  }

  /** Whether a request may be written behind those that it has, `max` of them in all. */
  takesFollower(max: number): boolean {
    const current = this.#current;
    if (current === null || !this.#persistent || 1 + this.#line.size >= max) return false;
    return this.#writeLoop.refusal === null && !this.#readLoop.paused && canBeFollowed(current);
  }

  /**
   * Sends a request behind those in flight; only after `takesFollower()`. It is written in a microtask, together with
   * others that come until then, or when what is being written is.
   */
  follow(exchange: Exchange): void {
    if (this.#closed !== null || this.#current === null)
      throw new InvariantError(`Cannot pipeline request to ${this.peer}: nothing is in flight`);
    if (this.#line === NO_LINE) this.#line = new Pipeline();
    exchange.reused = true;
    exchange.connectionFacts = this.#facts;
    exchange.trace.connection = this.id;
    this.#line.push(exchange);
    this.#writeLine();
  }

  /** Whose answers are still to come, in their order. */
  get callsInFlight(): number[] {
    const current = this.#current;
    return current === null ? [] : [current.trace.id, ...this.#line.calls];
  }

  #writeLine(): void {
    if (this.#lineAsked || this.#line.unwritten === 0) return;
    this.#lineAsked = true;
    void SOON.then(() => {
      this.#lineAsked = false;
      try {
        if (this.#writeLoop.state === "done") this.#writeLoop.follow(this.#line);
      } catch (error) {
        this.broken(error);
      }
    });
  }

  /**
   * Ends this exchange with `error`, and the connection too, unless the answers to others are still to come: then it goes
   * on for those.
   */
  abort(exchange: Exchange, reason: CloseReason, error: unknown): void {
    if (this.#line.size > 0) return this.#leaveLine(exchange, reason, error);
    if (this.#current === exchange) this.close(reason, error);
    else exchange.fail(error);
  }

  #leaveLine(exchange: Exchange, reason: CloseReason, error: unknown): void {
    const current = this.#current as Exchange; // somebody is in front of a line
    if (exchange === current) {
      // Who was not written has lost nothing; and who does not answer in time keeps all others waiting.
      if (!this.#line.bound || reason === "timeout") return this.close(reason, error);
      exchange.leave(error);
      this.#readLoop.bodyClosed(exchange);
    } else if (this.#line.has(exchange)) {
      this.#line.drop(exchange);
      exchange.leave(error);
      if (current.over && !this.#line.bound) this.close("aborted", error);
    } else exchange.fail(error);
  }

  /** Tells the owner in `ms` that it was idle so long; 0 means never. */
  armIdle(ms: number): void {
    this.#readLoop.idle(ms);
  }

  // ---- from the loops

  /** What has others behind it was written before they were. */
  get requestWritten(): boolean {
    return this.#writeLoop.state === "done" || this.#line.size > 0;
  }

  get inFlight(): Exchange | null {
    return this.#current;
  }

  get behind(): number {
    return this.#line.size;
  }

  get nextBegun(): boolean {
    return this.#line.nextBegun;
  }

  requestSent(exchange: Exchange): void {
    const now = this.clock.now();
    exchange.trace.requestSentAt = now;
    if (exchange.trace.mask & TRACE_CONN)
      exchange.trace.emit({ type: "request-sent", bytes: exchange.bytesSubmitted }, now);
    if (this.#line.size > 0) this.#writeLine(); // others may have come while it was written
    if (exchange !== this.#current) return; // its turn is to come, and with it its time
    if (this.#responseComplete) this.#settle(exchange, null);
    else this.#readLoop.requestWritten(exchange, now);
  }

  // ---- from the conduit

  data(view: Uint8Array, n: number): void {
    this.#readLoop.received(view, n);
  }

  drained(): void {
    this.#writeLoop.drained();
  }

  end(): void {
    this.#readLoop.ended();
  }

  error(error: Error): void {
    if (this.#writeLoop.refusal !== null && this.#current?.settled === false) this.lost();
    else this.#readLoop.broke(error);
  }

  lost(): void {
    const refusal = this.#writeLoop.refusal;
    if (refusal === null || this.#closed !== null) return;
    // It was the request of another that was refused, behind this one.
    if (this.#line.size > 0) this.#readLoop.broke(refusal);
    else if (this.#current?.settled === false) this.close("socket-error", refusal);
  }

  wholeSent(exchange: Exchange): void {
    this.#writeLoop.wholeSent(exchange);
  }

  continueWriting(): void {
    this.#writeLoop.continued();
  }

  stopWriting(exchange: Exchange): void {
    exchange.outgoingBody?.destroy();
    this.#writeLoop.stop();
  }

  responseRead(exchange: Exchange, forbidden: CloseReason | null): void {
    this.#responseComplete = true;
    this.#served++;
    this.#settle(exchange, forbidden);
  }

  handOver(exchange: Exchange, head: ResponseHead, early: Uint8Array[], ended: boolean): void {
    if (exchange.trace.mask & TRACE_CONN) exchange.trace.emit({ type: "handed-over", status: head.status });
    if (this.#closed !== null) return; // by the listener
    this.#served++;
    this.#leave("handed-over");
    const handover = new Handover({
      conduit: this.conduit,
      clock: this.clock,
      peer: this.peer,
      early,
      ended,
      untakenMs: exchange.limits.unreadBodyTimeout,
      untaken: (error) => this.#owner.connUnread(this, exchange, error),
      closed: () => this.#owner.connHandoverClosed(this, handover),
    });
    this.#owner.connHandedOver(this, handover); // the slot goes to who waits, then the caller learns of it
    exchange.handOver(head, handover);
  }

  idleExpired(): void {
    this.#owner.connExpired(this);
  }

  warnReader(exchange: Exchange, error: TimeoutError): void {
    this.#owner.connUnread(this, exchange, error);
  }

  /** The response is complete; what now? Everything is put in its place before the caller can learn of the end. */
  #settle(exchange: Exchange, forbidden: CloseReason | null): void {
    switch (fate(this.#writeLoop.state, forbidden === null, this.#line.size > 0)) {
      case "next":
        return this.#next(exchange);
      case "recycle":
        this.#persistent = exchange.responseHead?.minorVersion === 1;
        this.#current = null;
        this.#writeLoop.recycle();
        this.#readLoop.recycle();
        exchange.release();
        this.#owner.connIdle(this, exchange.responseHead?.keepAliveTimeoutMs ?? null);
        exchange.end();
        return;
      case "linger":
        exchange.release();
        this.#readLoop.linger();
        // A write that is only a moment behind ends within a poll, and then the connection is pooled before the caller
        // learns of the end. One that takes longer is no business of the caller's, whose answer is whole.
        this.clock.turn(() => exchange.end());
        return;
      case "close":
        this.close(forbidden ?? "write-unfinished");
    }
  }

  /** The next answer to come is that of the oldest in the line. */
  #next(before: Exchange): void {
    if (!this.#line.awaited) return this.close("aborted");
    const exchange = this.#line.shift();
    this.#current = exchange;
    this.#responseComplete = false;
    this.#readLoop.recycle();
    before.release();
    exchange.served = this.#served;
    this.#exchanges.push(exchange);
    if (!exchange.writeBegun) {
      // It has come while the last write was outstanding: nothing is in front of it now, and it goes out as any other.
      this.#writeLoop.recycle();
      this.#writes.push(exchange);
    } else if (exchange.trace.requestSentAt >= 0) this.#readLoop.requestWritten(exchange, this.clock.now());
    else this.#writeLoop.turnOf(exchange);
    this.#owner.connNext(this, exchange);
    before.end();
  }

  broken(error: unknown): void {
    const broken =
      error instanceof InvariantError
        ? error
        : new InvariantError(`Cannot go on with connection to ${this.peer}: an internal rule does not hold`, {
            cause: error,
          });
    this.close("invariant", broken);
    if (rethrow) throw error;
  }

  /**
   * Closes the connection for good. Idempotent: the first reason stands.
   *
   * @param error what the exchange in flight fails with; an exchange whose response is complete does not fail
   */
  close(reason: CloseReason, error?: unknown): void {
    if (this.#closed !== null) return;
    const exchange = this.#current;
    const line = this.#line;
    const pending = Math.max(this.conduit.pendingBytes, this.#writeLoop.unsureBytes);
    this.conduit.destroy();
    this.#leave(reason);
    if (exchange !== null && exchange.trace.mask & TRACE_CONN)
      exchange.trace.emit({ type: "connection-closed", reason });
    const unsettled = exchange?.settled === false;
    this.#owner.connClosed(this, reason, unsettled || line.unsettled);
    if (exchange === null) return;
    if (this.#responseComplete) {
      exchange.outgoingBody?.destroy();
      exchange.end();
    } else {
      exchange.fail(this.#withFacts(exchange, reason, error, line.pendingInFront(pending)));
    }
    if (line.size === 0) return;
    const head = reason === "response-says-close" ? exchange.responseHead : null;
    line.fail(this.peer, reason, error, pending, head !== null && saysClose(head), unsettled);
  }

  /** Nothing passes through this any more. */
  #leave(reason: CloseReason): void {
    this.#closed = reason;
    this.#current = null;
    this.#line = NO_LINE;
    this.#writes.close(reason);
    this.#exchanges.close(reason);
    this.#writeLoop.closed();
    this.#readLoop.closed();
  }

  #withFacts(exchange: Exchange, reason: CloseReason, error: unknown, pending: number): unknown {
    if (reason === "aborted") return error; // the caller's own, be it null or an error that must not be touched
    const cause =
      error ??
      new ConnectionClosedError(`Cannot finish exchange with ${this.peer}: the connection was closed (${reason})`);
    return cause instanceof HttpError ? cause.addFacts(exchange.facts(pending)) : cause;
  }

  /** One line: `PersistConn { 127.0.0.1:80, read body, write done, 3 served }`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const state =
      this.#closed === null
        ? `read ${this.#readLoop.state}, write ${this.#writeLoop.state}${this.behind > 0 ? `, ${this.behind} behind` : ""}`
        : `closed: ${this.#closed}`;
    return `PersistConn { ${this.peer}, ${state}, ${this.#served} served }`;
  }
}
