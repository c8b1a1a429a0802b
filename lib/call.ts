/**
 * One call of roundTrip: all its attempts. It waits for a connection, or has an exchange on one, or its answer is being
 * read, or it is over; each move is made at once by whoever causes it, so that nothing can come between a check and what
 * it permits.
 *
 * Owns:  the opened body until an exchange takes it, its wait in the pool, its listener on the signal, its deadlines.
 * Never: touches a socket; dials.
 */

import { AsyncResource } from "node:async_hooks";
import { onAbort } from "./abort.ts";
import type { Clock, Deadline } from "./clock.ts";
import { Exchange, type ExchangeCaller } from "./conn/exchange.ts";
import { pipelines } from "./conn/pipeline.ts";
import {
  type CloseReason,
  ConnectionClosedError,
  HttpError,
  PoolTimeoutError,
  TimeoutError,
  TransportClosedError,
} from "./errors.ts";
import type { DialOwner, Held } from "./held.ts";
import { Lease } from "./lease.ts";
import { headersOver } from "./message/headers.ts";
import type { Request } from "./message/request.ts";
import type { BodyReader } from "./message/request-body.ts";
import type { Response } from "./message/response.ts";
import { CALL_TIME_LIMITS, type CallTimeLimits, type ResolvedOptions, timeLimitsOf } from "./options.ts";
import { outgoingHead } from "./outgoing-head.ts";
import { NO_CALL, type OwnCall } from "./own-call.ts";
import type { Pool } from "./pool/pool.ts";
import type { Slot } from "./pool/slot.ts";
import { type Waiter, WantConn } from "./pool/want-conn.ts";
import { needsProbe, probeBody } from "./probe-body.ts";
import { shouldRetry } from "./retry.ts";
import type { RoundTripCall } from "./round-tripper.ts";
import type { Rider, SharedConns } from "./shared-conns.ts";
import { SharedLease } from "./shared-lease.ts";
import {
  CallTrace,
  lendTrace,
  TRACE_CALL,
  TRACE_DIAL,
  TRACE_POOL,
  type TraceOption,
  type Tracer,
  tracerOf,
} from "./trace.ts";
import type { TunnelTrace } from "./tunnel-dial.ts";
import { authorityOf, type Way, type Ways } from "./way.ts";
import type { ResponseHead } from "./wire/parser-events.ts";
import type { WritableHead } from "./wire/request-writer.ts";

/** Keeps the process alive for a waiter that has no time limit. */
export const FOR_EVER_MS = Number.MAX_SAFE_INTEGER;
export const KEEP_ALIVE = { keepAlive: true } as const;

/** What a call needs of its transport. */
export interface CallHost {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  readonly tracer: Tracer;
  readonly ways: Pick<Ways, "find" | "findAs" | "checkConnect">;
  readonly pool: Pool<Held, DialOwner>;
  /** Where ways are `negotiated`. */
  readonly shared: SharedConns;
  /** Set when the transport was closed: what the pool tells all who wait. */
  readonly closed: TransportClosedError | null;
  calls: number;
  retries: number;
  /** Requests that were sent behind others. */
  pipelined: number;
}

let lastCallId = 0;

/** How often one call may be refused by peers who say that they did nothing with it. */
const RIDES_MAX = 6;

export class Call implements ExchangeCaller, DialOwner, Rider, Waiter<Held> {
  readonly trace: CallTrace;
  /** Set by `start()` before the call meets the pool. */
  way!: Way;
  /** A dial has begun for it, and has brought it nothing yet. */
  dialing = false;
  readonly #host: CallHost;
  readonly #request: Request;
  readonly #call: OwnCall;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: unknown) => void;

  /** "between": on its way from one station to the next, where a listener may abort it: nobody holds it, so it just ends. */
  #state: "between" | "waiting" | "sent" | "riding" | "answered" | "over" = "between";
  readonly #limits: Required<CallTimeLimits>;
  #head: WritableHead | null = null;
  /** The body of the next attempt: opened with the call, then again for each retry. */
  #body: BodyReader | null = null;
  /** It was looked at, and there is none: the head says so. */
  #bodyIsEmpty = false;
  /** Its place in the pool's queue, kept for all attempts; null where it never stood there, or waits for a shared one. */
  #want: WantConn<Held, DialOwner> | null = null;
  /** Attempts on connections that are shared. */
  #rides = 0;
  #lease: Lease | null = null;
  #exchange: Exchange | null = null;
  #cancelled = false;
  /** Idle connections that a retry may still try; null until the first failure. */
  #retriesLeft: number | null = null;
  #exhausted = false;
  #poolWaitedMs = 0;
  #poolWaitFrom = 0;
  #poolDeadline: Deadline | null = null;
  #total: Deadline | null = null;
  #detach: (() => void) | null = null;
  /** The caller's async context: in it runs code of the caller's, and what listens for the warnings about the call. */
  readonly #context = new AsyncResource("persistconn.Call", { requireManualDestroy: true });

  constructor(
    host: CallHost,
    request: Request,
    call: OwnCall,
    resolve: (response: Response) => void,
    reject: (error: unknown) => void,
  ) {
    this.#host = host;
    this.#request = request;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#limits = call === NO_CALL ? host.options : timeLimitsOf(host.options, call);
    this.trace = new CallTrace(++lastCallId, host.clock, host.tracer, this.#tracer(call.trace));
  }

  /** Runs code that may call the caller's, in the async context of the call. */
  inContext<T>(fn: () => T): T {
    return this.#context.runInAsyncScope(fn);
  }

  #tracer(option: TraceOption | undefined): Tracer {
    const tracer = tracerOf(option);
    if (tracer.mask === 0) return tracer;
    return { mask: tracer.mask, emit: (event, bit) => this.inContext(() => tracer.emit(event, bit)) };
  }

  // ---- before a connection

  /** Whether it stands in the pool's queue: a dial that goes on without it reports nothing to its timings. */
  get waiting(): boolean {
    return this.#state === "waiting";
  }

  get #isOver(): boolean {
    return this.#state === "over";
  }

  start(): void {
    const host = this.#host;
    const { signal, deadline, tls } = this.#call;
    let found: Way | Promise<Way>;
    host.calls++;
    if (this.trace.mask & TRACE_CALL) {
      const { method, url } = this.#request;
      const startedAt = host.clock.wallNow();
      this.trace.emit({ type: "call-start", method, url, startedAt, hop: this.#call.hop ?? 0 }, this.trace.startedAt);
    }
    try {
      // A body that can be read only once is ours from here on, so it is opened before anything can fail.
      this.#body = this.#request.body?.open() ?? null;
      this.#requireGoingOn();
      const { destination } = this.#request;
      found = tls === undefined ? host.ways.find(destination) : host.ways.findAs(tls, destination);
      if (this.#request.method === "CONNECT") host.ways.checkConnect(this.#request.target);
      if (found instanceof Promise)
        found.catch(() => {}); // it is looked at below, unless the call ends before
      else this.#take(found);
      this.#requireGoingOn(); // a function that chose the proxy may have ended either
    } catch (error) {
      return this.#finish(error);
    }
    if (signal !== undefined) this.#detach = onAbort(signal, () => this.#cancel("aborted", signal.reason));
    if (deadline !== undefined) {
      const left = deadline.at - host.clock.now();
      if (left <= 0) return this.#finish(this.#totalTimeout(deadline.limit));
      this.#total = host.clock.deadline(
        left,
        () => this.#cancel("timeout", this.#totalTimeout(deadline.limit)),
        KEEP_ALIVE,
      );
    }
    this.trace.queuedAt = this.trace.startedAt; // nothing is awaited before, but for a proxy and a body that is looked at
    if (!(found instanceof Promise)) return this.#ready();
    found.then(
      (way) => this.#wayFound(way),
      (error: unknown) => {
        if (!this.#isOver) this.#finish(error);
      },
    );
  }

  /** @throws the reason of an abort, or a TransportClosedError */
  #requireGoingOn(): void {
    if (this.#host.closed !== null) throw closedError();
    if (this.#call.signal?.aborted) throw this.#call.signal.reason;
  }

  /** @throws {LocalProtocolError} the request cannot be sent as it is */
  #take(found: Way): void {
    // What asks for another protocol on this very connection can be asked in HTTP/1.1 only.
    const plain = found.plain !== null && (this.#request.method === "CONNECT" || this.#request.hasField("upgrade"));
    const way = plain ? (found.plain as Way) : found; // it was just seen
    this.way = way;
    this.#head = way.heads.write(outgoingHead(this.#request, this.#body));
  }

  /** A function of the caller took its time to say which proxy. */
  #wayFound(way: Way): void {
    if (this.#isOver) return;
    try {
      if (this.#host.closed !== null) throw closedError();
      this.#take(way);
    } catch (error) {
      return this.#finish(error);
    }
    this.trace.queuedAt = this.#host.clock.now();
    this.#ready();
  }

  #ready(): void {
    const body = this.#body;
    if (body === null || !needsProbe(this.#request, this.#head as WritableHead)) return this.#enqueue(); // just written
    probeBody(body, this.#host.clock).then(
      (probed) => this.#probed(probed),
      (error: unknown) => {
        if (!this.#isOver) this.#finish(error);
      },
    );
  }

  /** @param body null: it is empty, and the head must not promise it */
  #probed(body: BodyReader | null): void {
    if (this.#isOver) return;
    this.#body = body;
    try {
      if (this.#host.closed !== null) throw closedError();
      if (body === null) {
        this.#bodyIsEmpty = true;
        this.#take(this.way);
      }
    } catch (error) {
      return this.#finish(error);
    }
    this.trace.queuedAt = this.#host.clock.now();
    this.#enqueue();
  }

  #enqueue(): void {
    const host = this.#host;
    this.#tracePoolWait(false);
    if (this.#isOver) return;
    this.#state = "waiting";
    if (!this.way.negotiated || !host.options.keepAlive) return this.ask();
    host.shared.join(this.way.key, this);
    this.#watchPoolWait(this.#want);
  }

  /** Takes its place in the pool's queue. */
  ask(): void {
    const want = new WantConn<Held, DialOwner>(this.way.key, this, this);
    this.#want = want;
    if (this.#host.options.pipelining > 1) want.canFollow = pipelines(this.#request.method, this.#head as WritableHead); // written by start()
    this.#host.pool.get(want);
    this.#watchPoolWait(want);
  }

  /** It will ride a connection that others have. */
  unask(): void {
    const want = this.#want;
    this.#want = null;
    if (want !== null) this.#host.pool.cancel(want);
  }

  /** The dial made for it failed, or the transport was closed, which the pool says to all in one error. */
  refused(error: unknown): void {
    this.#want = null;
    const told = error === this.#host.closed ? closedError() : error;
    if (this.way.negotiated) this.#host.shared.failed(this.way.key, this, error);
    this.#finish(told);
  }

  /** The dial of another, on which it counted, failed. */
  rideFailed(error: unknown): void {
    if (!this.#isOver) this.#finish(error);
  }

  #totalTimeout(limit: number): TimeoutError {
    const what = `Cannot finish ${this.#request.method} ${this.#request.url}`;
    return new TimeoutError("total", "timeout", limit, `${what}: not complete within ${limit} ms (option timeout)`);
  }

  /** @param again it waits in front of all others, in the slot of the connection that it has lost */
  #tracePoolWait(again: boolean): void {
    if (!(this.trace.mask & TRACE_POOL)) return;
    const { idle, waiting, dialing, busy } = this.#host.pool.stateOf(this.way.key);
    const ahead: number[] = [];
    const holders: number[] = [];
    if (idle <= waiting) this.#nameWhoHas(ahead, holders, again);
    const { shownKey: key, target, proxy } = this.way;
    this.trace.emit({
      type: "pool-wait",
      key,
      hostPort: target.path ?? authorityOf((proxy ?? target).host, (proxy ?? target).port),
      idle,
      waiting,
      dials: dialing,
      busy: again ? busy - 1 : busy,
      limit: this.#host.options.maxConnsPerHost,
      ahead,
      holders,
    });
  }

  #nameWhoHas(ahead: number[], holders: number[], again: boolean): void {
    const { waits, lent } = this.#host.pool.whoHas(this.way.key, TOLD_MAX);
    if (!again) for (const call of waits) ahead.push(call.trace.id);
    for (const held of lent) {
      const trace = held instanceof Lease ? held.exchange?.trace : undefined;
      if (trace !== undefined && trace !== this.trace) holders.push(trace.id);
    }
  }

  /** `poolTimeout` runs while the request waits and owns no slot: no dial of its own, and none to come at this turn. */
  #watchPoolWait(want: WantConn<Held, DialOwner> | null): void {
    if (this.#state !== "waiting" || this.#poolDeadline !== null) return;
    if (want !== null && (want.state !== "waiting" || want.dial !== null)) return;
    // Who waits for a dial of others is bound by that; who waits for room on a connection that stands is not.
    const bounded = this.#host.options.maxConnsPerHost === 0;
    if (bounded && (want !== null || !this.#host.shared.hasOpen(this.way.key))) return;
    const { poolTimeout } = this.#limits;
    const left = poolTimeout === 0 ? FOR_EVER_MS : Math.max(1, poolTimeout - this.#poolWaitedMs);
    this.#poolWaitFrom = this.#host.clock.now();
    this.#poolDeadline = this.#host.clock.deadline(left, () => this.#poolWaitedLong(want, poolTimeout), KEEP_ALIVE);
  }

  #poolWaitedLong(want: WantConn<Held, DialOwner> | null, limit: number): void {
    const deadline = this.#poolDeadline;
    if (want !== null && want.dial !== null) {
      // It owns a slot by now: the dial of a request that has left. It may lose that again, and then waits as before.
      this.#poolWaitFrom = this.#host.clock.now();
      deadline?.reset(limit);
    } else if (this.#host.pool.stateOf(this.way.key).idle > 0) {
      // A connection came back in the poll before this; the turn that it then began says whose it is.
      this.#host.clock.turn(() => {
        if (this.#poolDeadline === deadline) this.#poolTimedOut(limit);
      });
    } else this.#poolTimedOut(limit);
  }

  /** A dial of its own has begun, or it was given a connection, or it waits no more. */
  ownsSlot(): void {
    if (this.#poolDeadline === null) return;
    this.#poolDeadline.cancel();
    this.#poolDeadline = null;
    this.#poolWaitedMs += this.#host.clock.now() - this.#poolWaitFrom;
  }

  #poolTimedOut(limit: number): void {
    const now = this.#host.clock.wallNow();
    const { dialing, busy, idle, oldestBusySince, ...pool } = this.#host.pool.stateOf(this.way.key);
    const waiting = pool.waiting + this.#host.shared.waiting(this.way.key);
    const oldestBusyMs = oldestBusySince === null ? null : now - oldestBusySince;
    const held = `${busy} busy${oldestBusyMs === null ? "" : ` (the oldest for ${Math.round(oldestBusyMs)} ms)`}, ${dialing} dialing, ${idle} idle`;
    const text = `Cannot get connection to ${this.#request.destination.origin}: none free within ${limit} ms (option poolTimeout); ${waiting} waiting, ${held}`;
    this.#cancel("timeout", new PoolTimeoutError(limit, text, { waiting, dialing, busy, idle, oldestBusyMs }));
  }

  /** The pool has a connection for this call: it is sent at once, before anything can happen to it. */
  given(slot: Slot<Held>): void {
    this.ownsSlot();
    const { trace } = this;
    if (slot.conn instanceof SharedLease) {
      this.#want = null;
      this.#host.shared.left(this.way.key, this);
      return this.ride(slot.conn);
    }
    const lease = slot.conn as Lease; // the pool gives out live connections only
    if (this.way.negotiated && this.#host.options.keepAlive) this.#host.shared.plain(this.way.key, this);
    this.#state = "between";
    trace.attempt++;
    trace.assignedAt = this.#host.clock.now();
    trace.connection = lease.conn.id;
    // What an earlier attempt has left, and a dial of its own that another connection was quicker than.
    trace.requestSentAt = -1;
    if (slot.reused) trace.dnsAt = trace.connectAt = trace.tlsAt = -1;
    const { conn } = lease;
    conn.reused = slot.reused;
    const dialLeft = this.dialing && slot.reused;
    this.dialing = false;
    if (trace.mask & TRACE_POOL) {
      const { reused, idledMs: idleMs } = slot;
      const { served } = conn;
      trace.emit({ type: "pool-assigned", reused, served, idleMs, dialLeft, info: () => conn.info }, trace.assignedAt);
    }
    if (isClosed(slot)) {
      // The listener has destroyed the transport, and this connection with it: nothing was sent on it.
      if (this.#isOver) return;
      this.#state = "waiting";
      return this.#host.pool.retry(this.#want as WantConn<Held, DialOwner>, slot); // it was given through its wait
    }
    if (this.#isOver) return this.#host.pool.put(slot, null); // as it came
    lease.conn.conduit.ref();
    const exchange = this.#exchangeOn(lease);
    lease.exchange = exchange;
    lease.conn.roundTrip(exchange);
    if (this.#host.options.pipelining > 1) this.#host.pool.hasRoom(slot);
  }

  /** The pool has a place behind the exchange of another call: it is written with the next microtask. */
  follows(slot: Slot<Held>): void {
    this.ownsSlot();
    const { trace } = this;
    const lease = slot.conn as Lease; // the pool has asked it whether it takes one
    this.#state = "between";
    trace.attempt++;
    trace.assignedAt = this.#host.clock.now();
    const { conn } = lease;
    trace.connection = conn.id;
    if (this.way.negotiated && this.#host.options.keepAlive) this.#host.shared.plain(this.way.key, this);
    const dialLeft = this.dialing;
    this.dialing = false;
    trace.requestSentAt = trace.dnsAt = trace.connectAt = trace.tlsAt = -1;
    this.#host.pipelined++;
    if (trace.mask & TRACE_POOL) {
      const behind = conn.callsInFlight;
      trace.emit({
        type: "pool-assigned",
        reused: true,
        served: conn.served,
        idleMs: null,
        dialLeft,
        behind,
        info: () => conn.info,
      });
    }
    if (this.#isOver) return;
    if (isClosed(slot)) {
      // The listener has ended it: nothing was sent on it.
      this.#state = "waiting";
      return this.#host.pool.retry(this.#want as WantConn<Held, DialOwner>, slot); // it was given through its wait
    }
    conn.conduit.ref();
    conn.follow(this.#exchangeOn(lease));
  }

  #exchangeOn(lease: Lease): Exchange {
    const body = this.#body ?? this.#reopened();
    this.#body = null;
    const { trailers } = this.#request;
    const exchange = new Exchange({
      request: this.#request,
      head: this.#head as WritableHead, // written by start(), before there was anything to wait for
      body,
      limits: this.#limits,
      requireFraming: this.#host.options.requireFraming,
      decompressRatioMax: this.#host.options.maxDecompressRatio,
      trace: this.trace,
      onInformation: this.#call.onInformation === undefined ? null : (head) => this.#inform(head),
      trailers: trailers === null ? null : () => this.inContext(() => trailers.collect()),
      caller: this,
    });
    this.#state = "sent";
    this.#lease = lease;
    this.#exchange = exchange;
    return exchange;
  }

  // ---- on a connection that others use too

  /** Sends it at once over a connection that has room. Whoever speaks there keeps signal, deadline and limits from here on. */
  ride(lease: SharedLease): void {
    this.ownsSlot();
    const { trace } = this;
    this.#state = "between";
    trace.attempt++;
    trace.assignedAt = this.#host.clock.now();
    trace.connection = lease.id;
    const { served, slot, info } = lease;
    const reused = served > 0;
    trace.requestSentAt = -1;
    if (reused) trace.dnsAt = trace.connectAt = trace.tlsAt = -1;
    const dialLeft = this.dialing && reused;
    this.dialing = false;
    if (trace.mask & TRACE_POOL) {
      const idleMs = slot.state === "idle" ? Math.max(0, this.#host.clock.wallNow() - slot.since) : null;
      trace.emit({ type: "pool-assigned", reused, served, idleMs, dialLeft, info: () => info });
    }
    if (this.#isOver) return lease.settle(); // the listener has ended it
    if (lease.state !== "open") return this.#enqueue(); // or the connection
    lease.board();
    this.#rides++;
    this.#state = "riding";
    const request = this.#ridingRequest();
    const call = this.#ridingCall();
    lendTrace(call, trace);
    let answer: Promise<Response>;
    try {
      answer = Promise.resolve(this.inContext(() => lease.conn.roundTrip(request, call)));
    } catch (error) {
      answer = Promise.reject(error);
    }
    answer.then(
      (response) => {
        this.#release();
        this.answered(response);
      },
      (error: unknown) => this.#fellOff(error, lease, reused),
    );
  }

  /** The request, with the body that was opened for it where there is no other. */
  #ridingRequest(): Request {
    const reader = this.#body;
    this.#body = null;
    if (this.#bodyIsEmpty) return this.#request.with({ body: null });
    if (reader === null) return this.#request;
    // A factory may have been asked already, by a look at what it gives: it is not asked twice for one sending.
    if (reader.length === null) return this.#request.with({ body: chunksOf(reader) });
    reader.destroy();
    return this.#request;
  }

  #ridingCall(): RoundTripCall {
    const { signal, deadline, onInformation } = this.#call;
    const { trace } = this;
    const call: RoundTripCall = {};
    for (const name of CALL_TIME_LIMITS) call[name] = this.#limits[name];
    if (signal !== undefined) call.signal = signal;
    if (deadline !== undefined) call.deadline = deadline;
    if (onInformation !== undefined) {
      call.onInformation = (information) => this.inContext(() => onInformation(information));
    }
    // Who does not take the trace that is lent has its events told as this call's.
    if (trace.mask !== 0)
      call.trace = ({ at, call: _, attempt: __, connection: ___, ...detail }) => trace.emit(detail, at);
    return call;
  }

  #fellOff(error: unknown, lease: SharedLease, reused: boolean): void {
    lease.settle();
    const lost = error instanceof ConnectionClosedError ? error : null;
    const asked = shouldRetry({
      cancelled: this.#cancelled,
      reused,
      // Who speaks there may have handed fields over and no byte of a body: only its own word says that nothing went.
      nothingWritten: false,
      unprocessed: lost?.unprocessed === true,
      bytesRead: lost?.bytesRead ?? 0,
      connectionLost: lost !== null,
      regenerable: this.#request.body?.regenerable ?? true,
      replayable: this.#request.replayable,
      replay: this.#host.options.replay,
      exhausted: this.#rides >= RIDES_MAX,
    });
    const decision = asked.retry && this.#host.closed !== null ? NO_RETRY_CLOSED : asked;
    this.#state = "between";
    if (this.trace.mask & TRACE_CALL && !this.#cancelled) {
      this.trace.emit({ type: decision.retry ? "retry" : "retry-refused", reason: decision.reason, error });
    }
    if (this.#isOver) return;
    if (!decision.retry) return this.#finish(error);
    this.#host.retries++;
    this.#enqueue();
  }

  /** The body anew for another attempt, opened in the context of the call: a factory is the caller's code. */
  #reopened(): BodyReader | null {
    const { body } = this.#request;
    if (body === null || this.#bodyIsEmpty) return null;
    return this.inContext(() => body.open());
  }

  // ---- from the exchange

  answered(response: Response): void {
    this.#state = "answered";
    this.#resolve(response);
  }

  failed(error: unknown, exchange: Exchange): void {
    const { pool } = this.#host;
    const { slot, conn } = this.#lease as Lease; // an exchange is on a lease
    const lost = error instanceof ConnectionClosedError ? error : null;
    const behind = lost?.behind === true;
    const asked = shouldRetry({
      cancelled: this.#cancelled,
      reused: exchange.reused,
      nothingWritten: exchange.nothingWritten,
      bytesRead: exchange.bytesRead,
      connectionLost: lost !== null,
      unprocessed: lost?.unprocessed === true,
      behind,
      regenerable: this.#request.body?.regenerable ?? true,
      replayable: this.#request.replayable,
      replay: this.#host.options.replay,
      exhausted: this.#exhausted,
    });
    const decision = asked.retry && this.#host.closed !== null ? NO_RETRY_CLOSED : asked;
    this.#state = "between";
    if (this.trace.mask & TRACE_CALL && !this.#cancelled) {
      this.trace.emit({ type: decision.retry ? "retry" : "retry-refused", reason: decision.reason, error });
    }
    if (conn.closeReason === null) {
      if (!this.#isOver) this.#finish(error); // the connection goes on for others, and so does its slot
      return;
    }
    if (this.#isOver) return pool.remove(slot);
    if (!decision.retry) {
      pool.remove(slot);
      return this.#finish(error);
    }
    this.#host.retries++;
    // At most the connections that were idle at the first failure are tried; then one dial, made for this request. One
    // that was lost for what stood in front of it has tried none; but it stands behind no other again.
    if (!behind) {
      this.#retriesLeft ??= pool.stateOf(this.way.key).idle;
      this.#exhausted = this.#retriesLeft-- <= 0;
    }
    this.#lease = null;
    this.#exchange = null;
    this.#tracePoolWait(true);
    if (this.#isOver) return pool.remove(slot);
    this.#state = "waiting";
    const want = this.#want as WantConn<Held, DialOwner>; // there was an attempt, so there was a wait
    want.canFollow = false; // RFC 9112 §9.3.2: not at once
    pool.retry(want, slot, this.#exhausted);
    this.#watchPoolWait(want);
  }

  over(): void {
    if (this.#state === "answered") this.#release();
  }

  /** In the context of the caller. What the hook throws fails the call, and not the process. */
  #inform(head: ResponseHead): void {
    const { status, statusText } = head;
    const information = { status, statusText, headers: headersOver(head.fields) };
    try {
      this.inContext(() => this.#call.onInformation?.(information));
    } catch (error) {
      this.#cancel("aborted", error);
    }
  }

  // ---- the end

  /** Ends the call wherever it stands. After the last byte off the wire nobody can call this any more. */
  #cancel(reason: CloseReason, error: unknown): void {
    if (this.#cancelled) return; // by what a listener heard of its end: the first reason stands
    this.#cancelled = true;
    switch (this.#state) {
      case "between":
        return this.#finish(error);
      case "waiting":
        if (this.#want !== null) this.#host.pool.cancel(this.#want);
        if (this.way.negotiated) this.#host.shared.left(this.way.key, this);
        // A listener that heard of its dial's end may have closed the transport, which ends who waits for a shared one.
        if (!this.#isOver) this.#finish(error);
        return;
      case "sent":
      case "answered":
        (this.#lease as Lease).conn.abort(this.#exchange as Exchange, reason, error); // both set when it was sent
    }
  }

  #finish(error: unknown): void {
    // Who waits for a connection waits for that of the next attempt.
    const attempt = Math.max(1, this.trace.attempt + (this.#state === "waiting" ? 1 : 0));
    this.#state = "over";
    this.#release();
    this.#body?.destroy(error);
    this.#body = null;
    // The reason of an abort is the caller's own, also where it is an error of ours from elsewhere.
    if (error instanceof HttpError && error !== this.#call.signal?.reason)
      error.addFacts({ origin: this.#request.destination.origin, attempt });
    if (this.trace.mask & TRACE_CALL) this.trace.emit({ type: "call-failed", error });
    this.#reject(error);
  }

  #release(): void {
    this.ownsSlot();
    this.#detach?.();
    this.#detach = null;
    this.#total?.cancel();
    this.#total = null;
  }
}

/** Calls that a `pool-wait` names: enough to see who is in the way, and no list of thousands for each who waits. */
const TOLD_MAX = 16;

/** For each call its own, since it gets that call's facts. */
export function closedError(): TransportClosedError {
  return new TransportClosedError("Cannot send request: the transport is closed", { safeToRetry: true });
}

/** What is left of an opened body, as a request's body: leaving it early destroys it, begun or not. */
function chunksOf(reader: BodyReader): AsyncIterable<Uint8Array> {
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

const NO_RETRY_CLOSED = { retry: false, reason: "the transport is closed" } as const;

/** Reports a dial on the trace of the call that asked for it, and stamps its timings while it waits. */
export function dialTrace(call: Pick<DialOwner, "trace" | "waiting">): TunnelTrace {
  const { trace } = call;
  const dialing = trace.mask & TRACE_DIAL;
  return {
    dnsStart(host) {
      if (dialing) trace.emit({ type: "dns-start", host });
    },
    dnsDone(addresses) {
      if (call.waiting) trace.dnsAt = trace.clock.now();
      if (dialing) trace.emit({ type: "dns-done", addresses });
    },
    dnsFailed(error) {
      if (dialing) trace.emit({ type: "dns-failed", error });
    },
    connectStart(address, port) {
      if (dialing) trace.emit({ type: "connect-start", address, port });
    },
    connectDone(tried) {
      if (dialing) trace.emit({ type: "connect-done", tried });
    },
    connected() {
      if (call.waiting) trace.connectAt = trace.clock.now();
    },
    tlsStart() {
      if (dialing) trace.emit({ type: "tls-start" });
    },
    tlsDone(facts) {
      if (call.waiting) trace.tlsAt = trace.clock.now();
      if (dialing) trace.emit({ type: "tls-done", ...facts });
    },
    tlsFailed(error) {
      if (dialing) trace.emit({ type: "tls-failed", error });
    },
    tunnelStart(proxy, target) {
      if (dialing) trace.emit({ type: "tunnel-start", proxy, target });
    },
    tunnelDone(status) {
      if (dialing) trace.emit({ type: "tunnel-done", status });
    },
  };
}

/** Asked anew after each word to a listener, which may do anything. */
export function isClosed(slot: Slot<Held>): boolean {
  return slot.state === "closed";
}
