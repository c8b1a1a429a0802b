/**
 * The transport: one round trip. Checks the request, gets a connection (idle or dialed), sends, and answers, or tries
 * again where `shouldRetry` says so. The only place where pool and connections meet.
 *
 * Owns:  the pool, the dialer, every connection; lives until `close()` or `destroy()`.
 * Never: interprets an answer: redirects, cookies and statuses are the Client's.
 *
 * Go net/http Transport.
 */

import { AsyncResource } from "node:async_hooks";
import { onAbort } from "./abort.ts";
import { detached } from "./boundary.ts";
import { type Clock, type Deadline, systemClock } from "./clock.ts";
import type { Conduit } from "./conn/conduit.ts";
import { Dialer, type Dialing, type DialTarget } from "./conn/dial.ts";
import { Exchange, type ExchangeCaller } from "./conn/exchange.ts";
import { type ConnOwner, PersistConn } from "./conn/persist-conn.ts";
import {
  type CloseReason,
  ConnectionClosedError,
  HttpError,
  PoolTimeoutError,
  TimeoutError,
  TransportClosedError,
} from "./errors.ts";
import { type Headers, headersOver } from "./message/headers.ts";
import { inspectCustom, wrongType } from "./message/options.ts";
import { Request } from "./message/request.ts";
import type { BodyReader } from "./message/request-body.ts";
import type { Response } from "./message/response.ts";
import {
  CALL_TIME_LIMITS,
  type CallTimeLimits,
  checkCall,
  type ResolvedOptions,
  resolveOptions,
  type TransportOptions,
  timeLimitsOf,
} from "./options.ts";
import { outgoingHead } from "./outgoing-head.ts";
import { Pool } from "./pool/pool.ts";
import type { Slot } from "./pool/slot.ts";
import { WantConn } from "./pool/want-conn.ts";
import { shouldRetry } from "./retry.ts";
import {
  CallTrace,
  TRACE_CALL,
  TRACE_CONN,
  TRACE_DIAL,
  TRACE_POOL,
  type TraceDetail,
  type TraceOption,
  type Tracer,
  tracerOf,
} from "./trace.ts";
import { TunnelDial, type TunnelTrace } from "./tunnel-dial.ts";
import { authorityOf, type Way, Ways } from "./way.ts";
import type { ResponseHead } from "./wire/parser-events.ts";
import type { WritableHead } from "./wire/request-writer.ts";

/** One HTTP transaction: the one seam. Caching, recording, retry policies and mocks are RoundTrippers around another. */
export interface RoundTripper {
  /**
   * Sends one request and delivers the head of its answer. Never interprets the answer; never changes the request; reads
   * the request's one-shot body to its end or destroys it, on every path.
   */
  roundTrip(request: Request, call?: RoundTripCall): Promise<Response>;
}

/** A point in time on the transport's clock, and the limit that set it, for the error's text. */
export interface CallDeadline {
  readonly at: number;
  readonly limit: number;
}

/** A 1xx response, as a hook sees it. */
export interface Information {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
}

/** What belongs to one call and travels beside the request. */
export interface RoundTripCall extends CallTimeLimits {
  signal?: AbortSignal;
  /** To the last byte off the wire, over pool wait and attempts; an outer station may share it between hops. */
  deadline?: CallDeadline;
  trace?: TraceOption;
  /** Hears each 1xx response; what it throws fails the call. */
  onInformation?: (information: Information) => void;
}

/** What a transport holds at the moment, and what it has done. */
export interface TransportStats {
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
  readonly waiting: number;
  /** Since the transport was made. */
  readonly dialed: number;
  readonly dialsFailed: number;
  readonly calls: number;
  readonly retries: number;
  /** Connections closed, by reason. */
  readonly closed: Readonly<Partial<Record<CloseReason, number>>>;
}

/** The server's word on how long it keeps an idle connection is taken with a margin: its clock started earlier. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** Keeps the process alive for a waiter that has no time limit. */
const FOR_EVER_MS = Number.MAX_SAFE_INTEGER;

export class Transport implements RoundTripper {
  readonly #core: Core;

  /** @throws {TypeError} unknown or wrong options */
  constructor(options: TransportOptions = {}, clock: Clock = systemClock) {
    this.#core = new Core(resolveOptions(options), clock);
  }

  /** The clock on which `RoundTripCall.deadline` stands. */
  get clock(): Clock {
    return this.#core.clock;
  }

  /** @throws (rejects) {TypeError} no Request, an option that does not exist or is of the wrong type */
  roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    return new Promise((resolve, reject) => {
      const own = call === undefined ? NO_CALL : ownCall(request, call);
      if (!(request instanceof Request)) throw wrongType("request", "a Request of this library", request);
      new Call(this.#core, request, own, resolve, reject).start();
    });
  }

  /**
   * Closes every idle connection, and those on loan when they come back, until the next request.
   *
   * @see Go net/http Transport.CloseIdleConnections
   */
  closeIdleConnections(): void {
    this.#core.pool.closeIdle();
  }

  /**
   * New calls and waiters fail at once, dials and idle connections end, exchanges in flight finish under their own time
   * limits. Resolves when nothing is left.
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  /** As `close()`, and ends the exchanges in flight too: with `reason`, or a TransportClosedError. */
  destroy(reason?: unknown): Promise<void> {
    return this.#core.destroy(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What it holds now, and what it has done. */
  stats(): TransportStats {
    return this.#core.stats();
  }

  /** One line: `Transport { 2 busy, 3 idle, 0 dialing, 0 waiting }`. */
  [inspectCustom](): string {
    const { busy, idle, dialing, waiting } = this.stats();
    return `Transport { ${busy} busy, ${idle} idle, ${dialing} dialing, ${waiting} waiting }`;
  }
}

/** The options of one call, each set to something: what a prototype brings along is not the caller's. */
interface OwnCall extends CallTimeLimits {
  signal: AbortSignal | undefined;
  deadline: CallDeadline | undefined;
  trace: TraceOption | undefined;
  onInformation: RoundTripCall["onInformation"];
}

const NO_CALL: OwnCall = Object.freeze({
  signal: undefined,
  deadline: undefined,
  trace: undefined,
  onInformation: undefined,
});
const CALL_NAMES: readonly string[] = [...Object.keys(NO_CALL), ...CALL_TIME_LIMITS];

/** What the caller owns of the options, checked. A body that can be read once is given up where they are refused. */
function ownCall(request: Request, call: RoundTripCall): OwnCall {
  try {
    checkCall(call, CALL_NAMES);
  } catch (error) {
    if (request instanceof Request) request.body?.discard(error);
    throw error;
  }
  return { ...NO_CALL, ...call, signal: call.signal ?? undefined };
}

/** What a transport is made of, as its calls and connections see it. */
class Core {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  readonly tracer: Tracer;
  readonly ways: Ways;
  /** Whether code of the caller's takes part in dials. */
  readonly dialsByCaller: boolean;
  readonly pool: Pool<Lease, Call>;
  readonly #dialer: Dialer;
  readonly #dials = new Map<Slot<Lease>, DialInProgress>();
  readonly #leases = new Set<Lease>();
  /** Origins that were warned about an unread body; one warning each. */
  readonly #warned = new Set<string>();
  closed: TransportClosedError | null = null;
  calls = 0;
  retries = 0;
  #dialed = 0;
  #dialsFailed = 0;
  readonly #closes: Partial<Record<CloseReason, number>> = {};

  constructor(options: ResolvedOptions, clock: Clock) {
    this.clock = clock;
    this.options = options;
    this.tracer = tracerOf(options.trace);
    const { dial, dialTls, allowAddress, proxyConnectHeader, onProxyConnectResponse } = options;
    const taking = [dial, dialTls, allowAddress, proxyConnectHeader, onProxyConnectResponse];
    this.dialsByCaller = taking.some((option) => option !== undefined);
    this.ways = new Ways(options);
    this.#dialer = new Dialer(options, clock);
    this.pool = new Pool(
      {
        maxConnsPerHost: options.maxConnsPerHost,
        maxIdleConnsPerHost: options.maxIdleConnsPerHost,
        maxIdleConns: options.maxIdleConns,
        idleTimeoutMs: options.idleConnTimeout,
        keepAlive: options.keepAlive,
      },
      {
        now: () => clock.wallNow(),
        batch: () => clock.batch,
        turn: (fire) => clock.turn(fire),
        dial: (slot, want) => this.#dial(slot, want.target),
        abandonDial: (slot) => this.#abandon(slot),
        detachDial: (slot) => this.#dials.get(slot)?.detach(),
        attachDial: (slot) => this.#dials.get(slot)?.attach(),
        idle: (slot, ms) => (slot.conn as Lease).idle(ms), // an idle slot has its connection
        close: (lease, _slot, reason) => lease.conn.close(reason),
      },
    );
  }

  // ---- dialing

  /** Dials for a slot. The call is the one that asked; the dial may outlive it and serve another. */
  #dial(slot: Slot<Lease>, call: Call): void {
    call.ownsSlot();
    const { way, trace } = call;
    const { target, proxy } = way;
    const dial = new DialInProgress(this.clock);
    this.#dials.set(slot, dial); // before a listener can end the call, and the pool abandon or detach its dial
    if (trace.mask & TRACE_DIAL) {
      const { host, port } = target;
      trace.emit({ type: "dial-start", host, port, ...(proxy === null ? {} : { proxy: proxy.shown }) });
    }
    if (isClosed(slot)) return; // nobody else wants it
    const dialing = call.inContext(() => this.#startDial(way, dial.abort.signal, dialTrace(call)));
    dial.begun(dialing);
    dialing.promise.then(
      (conduit) => {
        if (!this.#ended(slot)) return conduit.destroy(); // abandoned while its success was on the way
        this.#dialed++;
        const lease = detached(() => new Lease(this, slot, conduit, way)); // its loops will serve others
        this.#leases.add(lease);
        if (trace.mask & TRACE_DIAL) {
          const { localAddress, localPort } = conduit.facts;
          trace.emit({ type: "dial-done", id: lease.conn.id, localAddress, localPort });
        }
        this.pool.dialed(slot, lease);
      },
      (error: unknown) => {
        if (!this.#ended(slot)) return;
        this.#dialsFailed++;
        // A request that goes to the proxy itself: what failed is the way to the proxy.
        if (proxy !== null && !way.tunnel && error instanceof HttpError) error.addFacts({ proxy: proxy.shown });
        if (trace.mask & TRACE_DIAL) trace.emit({ type: "dial-failed", error });
        this.pool.dialFailed(slot, error as Error); // its own error classes, or what a hook of the caller's threw
      },
    );
  }

  #startDial(way: Way, signal: AbortSignal, trace: TunnelTrace): Dialing {
    const { proxy } = way;
    if (proxy === null || !way.tunnel) return this.#dialer.start(way.target, signal, trace);
    return new TunnelDial(this.#dialer, this.clock, this.options, { ...way, proxy }, signal, trace);
  }

  #ended(slot: Slot<Lease>): boolean {
    this.#dials.get(slot)?.ended();
    return this.#dials.delete(slot);
  }

  #abandon(slot: Slot<Lease>): void {
    const dial = this.#dials.get(slot);
    this.#ended(slot);
    dial?.abort.abort();
  }

  // ---- connections

  leaseClosed(lease: Lease, reason: CloseReason): void {
    this.#leases.delete(lease);
    this.#closes[reason] = (this.#closes[reason] ?? 0) + 1;
    const exchange = lease.exchange;
    const unsettled = exchange !== null && !exchange.settled;
    // One that had an exchange has told it on the trace of that.
    if (exchange === null && this.tracer.mask & TRACE_CONN) this.emit(lease, { type: "connection-closed", reason });
    // An exchange that is about to fail may go again, and then the slot is its own: its call decides.
    if (!unsettled) this.pool.remove(lease.slot);
  }

  /** Tells the transport's own listener what happens between calls. */
  emit(lease: Lease, detail: TraceDetail): void {
    this.tracer.emit({ ...detail, at: this.clock.now(), call: null, attempt: 0, connection: lease.conn.id });
  }

  warnUnread(exchange: Exchange, error: TimeoutError): void {
    const { origin } = exchange.request.destination;
    if (this.#warned.has(origin)) return;
    this.#warned.add(origin);
    const age = Math.round(this.clock.now() - exchange.trace.startedAt);
    process.emitWarning(
      `The body of ${exchange.request.method} ${exchange.request.url} was left unread (${error.option}), ${age} ms after the request: read it, or call close()`,
      { type: "PersistConnWarning", code: error.code },
    );
  }

  // ---- the end

  close(): Promise<void> {
    if (this.closed === null) {
      this.closed = closedError();
      this.pool.close(this.closed);
      this.#dialer.close();
    }
    return new Promise((resolve) => this.pool.whenEmpty(resolve));
  }

  destroy(reason: unknown): Promise<void> {
    const closing = this.close();
    for (const lease of [...this.#leases]) {
      lease.conn.close(
        "transport-destroyed",
        reason ?? new TransportClosedError("Cannot finish exchange: the transport was destroyed"),
      );
    }
    return closing;
  }

  stats(): TransportStats {
    const { dialing, busy, idle, waiting } = this.pool.stats();
    const { calls, retries } = this;
    const closed = { ...this.#closes };
    return {
      dialing,
      busy,
      idle,
      waiting,
      dialed: this.#dialed,
      dialsFailed: this.#dialsFailed,
      calls,
      retries,
      closed,
    };
  }
}

/** A dial, and whether the process stays alive for it: while a request counts on it, and no longer. */
class DialInProgress {
  readonly abort = new AbortController();
  readonly #clock: Clock;
  #dialing: Dialing | null = null;
  #detached = false;
  #keeper: Deadline | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begun(dialing: Dialing): void {
    this.#dialing = dialing;
    if (this.#detached) dialing.unref();
  }

  detach(): void {
    this.#detached = true; // for good: who counts on it later has a keeper
    this.#keeper?.cancel();
    this.#keeper = null;
    this.#dialing?.unref();
  }

  attach(): void {
    this.#keeper ??= this.#clock.deadline(FOR_EVER_MS, () => {}, KEEP_ALIVE);
  }

  ended(): void {
    this.#keeper?.cancel();
    this.#keeper = null;
  }
}

/** Asked anew after each word to a listener, which may do anything. */
function isClosed(slot: Slot<Lease>): boolean {
  return slot.state === "closed";
}

let lastConnectionId = 0;
let lastCallId = 0;

/** A connection and what the transport keeps beside it: its slot in the pool, and the last exchange it was given. */
class Lease implements ConnOwner {
  readonly slot: Slot<Lease>;
  readonly conn: PersistConn;
  readonly #core: Core;
  exchange: Exchange | null = null;

  constructor(core: Core, slot: Slot<Lease>, conduit: Conduit, { target, proxy }: Way) {
    this.#core = core;
    this.slot = slot;
    this.conn = new PersistConn({
      id: ++lastConnectionId,
      conduit,
      clock: core.clock,
      owner: this,
      limits: {
        headBytesMax: core.options.maxResponseHeaderBytes,
        headerCountMax: core.options.maxResponseHeaders,
        informationMax: core.options.max1xxResponses,
      },
      peer: peerOf(target),
      ...(proxy === null ? {} : { proxy: proxy.shown }),
    });
  }

  /** In the pool from now on: keeps no process alive, and expires in `ms` (0: never). */
  idle(ms: number): void {
    this.conn.conduit.unref();
    this.conn.armIdle(ms);
    if (this.#core.tracer.mask & TRACE_POOL) this.#core.emit(this, { type: "connection-idle" });
  }

  connIdle(_conn: PersistConn, keepAliveMs: number | null): void {
    this.exchange = null;
    const hint = keepAliveMs === null ? null : Math.max(1, keepAliveMs - KEEP_ALIVE_MARGIN_MS);
    this.#core.pool.put(this.slot, hint);
  }
  connClosed(_conn: PersistConn, reason: CloseReason): void {
    this.#core.leaseClosed(this, reason);
  }
  connExpired(): void {
    this.#core.pool.expire(this.slot);
  }
  connUnread(_conn: PersistConn, exchange: Exchange, error: TimeoutError): void {
    this.#core.warnUnread(exchange, error);
  }
}

/**
 * One call of roundTrip: all its attempts. It waits for a connection, or has an exchange on one, or its answer is being
 * read, or it is over; each move is made at once by whoever causes it, so that nothing can come between a check and what
 * it permits.
 */
class Call implements ExchangeCaller {
  readonly trace: CallTrace;
  /** Set by `start()` before the call meets the pool. */
  way!: Way;
  readonly #core: Core;
  readonly #request: Request;
  readonly #call: OwnCall;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: unknown) => void;

  /** "between": on its way from one station to the next, where a listener may abort it: nobody holds it, so it just ends. */
  #state: "between" | "waiting" | "sent" | "answered" | "over" = "between";
  readonly #limits: Required<CallTimeLimits>;
  #head: WritableHead | null = null;
  /** The body of the next attempt: opened with the call, then again for each retry. */
  #body: BodyReader | null = null;
  /** One for all attempts; null before the first. */
  #want: WantConn<Lease, Call> | null = null;
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
  /** The caller's async context, where code of the caller may have to run later. */
  #context: AsyncResource | null = null;

  constructor(
    core: Core,
    request: Request,
    call: OwnCall,
    resolve: (response: Response) => void,
    reject: (error: unknown) => void,
  ) {
    this.#core = core;
    this.#request = request;
    this.#call = call;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#limits = call === NO_CALL ? core.options : timeLimitsOf(core.options, call);
    // Where code of the caller's may run later. A body looks after itself, but for one that is opened again.
    const hooked = call.trace !== undefined || call.onInformation !== undefined;
    if (hooked || request.trailers !== null || request.body?.kind === "factory" || core.dialsByCaller) {
      this.#context = new AsyncResource("persistconn.Call", { requireManualDestroy: true });
    }
    this.trace = new CallTrace(++lastCallId, core.clock, core.tracer, this.#tracer(call.trace));
  }

  /** Runs code that may call the caller's, in the async context of the call. */
  inContext<T>(fn: () => T): T {
    return this.#context === null ? fn() : this.#context.runInAsyncScope(fn);
  }

  #tracer(option: TraceOption | undefined): Tracer {
    const tracer = tracerOf(option);
    if (tracer.mask === 0) return tracer;
    return { mask: tracer.mask, emit: (event) => this.inContext(() => tracer.emit(event)) };
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
    const core = this.#core;
    const { signal, deadline } = this.#call;
    let found: Way | Promise<Way>;
    core.calls++;
    if (this.trace.mask & TRACE_CALL) {
      this.trace.emit({ type: "call-start", method: this.#request.method, url: this.#request.url });
    }
    try {
      // A body that can be read only once is ours from here on, so it is opened before anything can fail.
      this.#body = this.#request.body?.open() ?? null;
      this.#requireGoingOn();
      found = core.ways.find(this.#request.destination);
      if (found instanceof Promise)
        found.catch(() => {}); // it is looked at below, unless the call ends before
      else this.#take(found);
      this.#requireGoingOn(); // a function that chose the proxy may have ended either
    } catch (error) {
      return this.#finish(error);
    }
    if (signal !== undefined) this.#detach = onAbort(signal, () => this.#cancel("aborted", signal.reason));
    if (deadline !== undefined) {
      const left = deadline.at - core.clock.now();
      if (left <= 0) return this.#finish(this.#totalTimeout(deadline.limit));
      this.#total = core.clock.deadline(
        left,
        () => this.#cancel("timeout", this.#totalTimeout(deadline.limit)),
        KEEP_ALIVE,
      );
    }
    this.trace.queuedAt = this.trace.startedAt; // nothing is awaited before, but for a proxy
    if (!(found instanceof Promise)) return this.#enqueue();
    found.then(
      (way) => this.#wayFound(way),
      (error: unknown) => {
        if (!this.#isOver) this.#finish(error);
      },
    );
  }

  /** @throws the reason of an abort, or a TransportClosedError */
  #requireGoingOn(): void {
    if (this.#core.closed !== null) throw closedError();
    if (this.#call.signal?.aborted) throw this.#call.signal.reason;
  }

  /** @throws {LocalProtocolError} the request cannot be sent as it is */
  #take(way: Way): void {
    this.way = way;
    this.#head = way.heads.write(outgoingHead(this.#request, this.#body));
  }

  /** A function of the caller took its time to say which proxy. */
  #wayFound(way: Way): void {
    if (this.#isOver) return;
    try {
      if (this.#core.closed !== null) throw closedError();
      this.#take(way);
    } catch (error) {
      return this.#finish(error);
    }
    this.trace.queuedAt = this.#core.clock.now();
    this.#enqueue();
  }

  #enqueue(): void {
    const core = this.#core;
    this.#tracePoolWait();
    if (this.#isOver) return;
    this.#state = "waiting";
    const want = new WantConn<Lease, Call>(
      this.way.key,
      (slot) => this.#given(slot),
      // The dial made for it failed, or the transport was closed, which the pool says to all in one error.
      (error) => this.#finish(error === core.closed ? closedError() : error),
      this,
    );
    this.#want = want;
    core.pool.get(want);
    this.#watchPoolWait(want);
  }

  #totalTimeout(limit: number): TimeoutError {
    const what = `Cannot finish ${this.#request.method} ${this.#request.url}`;
    return new TimeoutError("total", "timeout", limit, `${what}: not complete within ${limit} ms (option timeout)`);
  }

  #tracePoolWait(): void {
    if (!(this.trace.mask & TRACE_POOL)) return;
    const { idle, waiting, dialing } = this.#core.pool.stateOf(this.way.key);
    this.trace.emit({ type: "pool-wait", key: this.way.shownKey, idle, waiting, dials: dialing });
  }

  /** `poolTimeout` runs while the request waits and owns no slot: no dial of its own, and none to come at this turn. */
  #watchPoolWait(want: WantConn<Lease, Call>): void {
    if (want.state !== "waiting" || want.dial !== null || this.#core.options.maxConnsPerHost === 0) return;
    const { poolTimeout } = this.#limits;
    const left = poolTimeout === 0 ? FOR_EVER_MS : Math.max(1, poolTimeout - this.#poolWaitedMs);
    this.#poolWaitFrom = this.#core.clock.now();
    this.#poolDeadline = this.#core.clock.deadline(left, () => this.#poolWaitedLong(want, poolTimeout), KEEP_ALIVE);
  }

  #poolWaitedLong(want: WantConn<Lease, Call>, limit: number): void {
    const deadline = this.#poolDeadline;
    if (want.dial !== null) {
      // It owns a slot by now: the dial of a request that has left. It may lose that again, and then waits as before.
      this.#poolWaitFrom = this.#core.clock.now();
      deadline?.reset(limit);
    } else if (this.#core.pool.stateOf(this.way.key).idle > 0) {
      // A connection came back in the poll before this; the turn that it then began says whose it is.
      this.#core.clock.turn(() => {
        if (this.#poolDeadline === deadline) this.#poolTimedOut(limit);
      });
    } else this.#poolTimedOut(limit);
  }

  /** A dial of its own has begun, or it was given a connection, or it waits no more. */
  ownsSlot(): void {
    if (this.#poolDeadline === null) return;
    this.#poolDeadline.cancel();
    this.#poolDeadline = null;
    this.#poolWaitedMs += this.#core.clock.now() - this.#poolWaitFrom;
  }

  #poolTimedOut(limit: number): void {
    const now = this.#core.clock.wallNow();
    const { waiting, dialing, busy, idle, oldestBusySince } = this.#core.pool.stateOf(this.way.key);
    const oldestBusyMs = oldestBusySince === null ? null : now - oldestBusySince;
    const held = `${busy} busy${oldestBusyMs === null ? "" : ` (the oldest for ${Math.round(oldestBusyMs)} ms)`}, ${dialing} dialing, ${idle} idle`;
    const text = `Cannot get connection to ${this.#request.destination.origin}: none free within ${limit} ms (option poolTimeout); ${waiting} waiting, ${held}`;
    this.#cancel("timeout", new PoolTimeoutError(limit, text, { waiting, dialing, busy, idle, oldestBusyMs }));
  }

  /** The pool has a connection for this call: it is sent at once, before anything can happen to it. */
  #given(slot: Slot<Lease>): void {
    this.ownsSlot();
    const lease = slot.conn as Lease; // the pool gives out live connections only
    const { trace } = this;
    this.#state = "between";
    trace.attempt++;
    trace.assignedAt = this.#core.clock.now();
    trace.connection = lease.conn.id;
    lease.conn.reused = slot.reused;
    if (trace.mask & TRACE_POOL) trace.emit({ type: "pool-assigned", reused: slot.reused, served: lease.conn.served });
    if (isClosed(slot)) {
      // The listener has destroyed the transport, and this connection with it: nothing was sent on it.
      if (this.#isOver) return;
      this.#state = "waiting";
      return this.#core.pool.retry(this.#want as WantConn<Lease, Call>, slot); // it was given through its wait
    }
    if (this.#isOver) return this.#core.pool.put(slot, null); // as it came
    lease.conn.conduit.ref();
    const body = this.#body ?? this.#reopened();
    this.#body = null;
    const { trailers } = this.#request;
    const exchange = new Exchange({
      request: this.#request,
      head: this.#head as WritableHead, // written by start(), before there was anything to wait for
      body,
      limits: this.#limits,
      requireFraming: this.#core.options.requireFraming,
      decompressRatioMax: this.#core.options.maxDecompressRatio,
      trace,
      onInformation: this.#call.onInformation === undefined ? null : (head) => this.#inform(head),
      trailers: trailers === null ? null : () => this.inContext(() => trailers.collect()),
      caller: this,
    });
    this.#state = "sent";
    this.#lease = lease;
    this.#exchange = exchange;
    lease.exchange = exchange;
    lease.conn.roundTrip(exchange);
  }

  /** The body anew for another attempt, opened in the context of the call: a factory is the caller's code. */
  #reopened(): BodyReader | null {
    const { body } = this.#request;
    if (body === null) return null;
    return this.inContext(() => body.open());
  }

  // ---- from the exchange

  answered(response: Response): void {
    this.#state = "answered";
    this.#resolve(response);
  }

  failed(error: unknown, exchange: Exchange): void {
    const { pool } = this.#core;
    const slot = (this.#lease as Lease).slot; // an exchange is on a lease
    const asked = shouldRetry({
      cancelled: this.#cancelled,
      reused: exchange.reused,
      nothingWritten: exchange.nothingWritten,
      bytesRead: exchange.bytesRead,
      connectionLost: error instanceof ConnectionClosedError,
      regenerable: this.#request.body?.regenerable ?? true,
      replayable: this.#request.replayable,
      replay: this.#core.options.replay,
      exhausted: this.#exhausted,
    });
    const decision = asked.retry && this.#core.closed !== null ? NO_RETRY_CLOSED : asked;
    this.#state = "between";
    if (this.trace.mask & TRACE_CALL && !this.#cancelled) {
      this.trace.emit({ type: decision.retry ? "retry" : "retry-refused", reason: decision.reason });
    }
    if (this.#isOver) return pool.remove(slot);
    if (!decision.retry) {
      pool.remove(slot);
      return this.#finish(error);
    }
    this.#core.retries++;
    // At most the connections that were idle at the first failure are tried; then one dial, made for this request.
    this.#retriesLeft ??= pool.stateOf(this.way.key).idle;
    this.#exhausted = this.#retriesLeft-- <= 0;
    this.#lease = null;
    this.#exchange = null;
    this.#tracePoolWait();
    if (this.#isOver) return pool.remove(slot);
    this.#state = "waiting";
    const want = this.#want as WantConn<Lease, Call>; // there was an attempt, so there was a wait
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
    this.#cancelled = true;
    switch (this.#state) {
      case "between":
        return this.#finish(error);
      case "waiting":
        this.#core.pool.cancel(this.#want as WantConn<Lease, Call>); // set while it waits
        return this.#finish(error);
      case "sent":
      case "answered":
        (this.#lease as Lease).conn.abort(this.#exchange as Exchange, reason, error); // both set when it was sent
    }
  }

  #finish(error: unknown): void {
    this.#state = "over";
    this.#release();
    this.#body?.destroy(error);
    this.#body = null;
    // The reason of an abort is the caller's own, also where it is an error of ours from elsewhere.
    if (error instanceof HttpError && error !== this.#call.signal?.reason)
      error.addFacts({ origin: this.#request.destination.origin, attempt: this.trace.attempt });
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

/** For each call its own, since it gets that call's facts. */
function closedError(): TransportClosedError {
  return new TransportClosedError("Cannot send request: the transport is closed", { safeToRetry: true });
}

const NO_RETRY_CLOSED = { retry: false, reason: "the transport is closed" } as const;

const KEEP_ALIVE = { keepAlive: true } as const;

/** Reports a dial on the trace of the call that asked for it, and stamps its timings while it waits. */
function dialTrace(call: Call): TunnelTrace {
  const { trace } = call;
  const dialing = trace.mask & TRACE_DIAL;
  return {
    dnsDone(addresses) {
      if (call.waiting) trace.dnsAt = trace.clock.now();
      if (dialing) trace.emit({ type: "dns-done", addresses });
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
    tlsDone({ protocol, resumed }) {
      if (call.waiting) trace.tlsAt = trace.clock.now();
      if (dialing) trace.emit({ type: "tls-done", protocol, resumed });
    },
    tunnelStart(proxy, target) {
      if (dialing) trace.emit({ type: "tunnel-start", proxy, target });
    },
    tunnelDone(status) {
      if (dialing) trace.emit({ type: "tunnel-done", status });
    },
  };
}

function peerOf({ host, port, path, label }: DialTarget): string {
  return label ?? path ?? authorityOf(host, port);
}
