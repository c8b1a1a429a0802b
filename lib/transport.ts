/**
 * The transport: one round trip. Checks the request, gets a connection (idle or dialed), sends, and answers, or tries
 * again where `shouldRetry` says so. The only place where pool and connections meet.
 *
 * Owns:  the pool, the dialer, every connection; lives until `close()` or `destroy()`.
 * Never: interprets an answer: redirects, cookies and statuses are the Client's.
 *
 * Go net/http Transport.
 */

import type { Duplex } from "node:stream";
import { Alternates } from "./alternates.ts";
import { detached } from "./boundary.ts";
import { Call, type CallHost, closedError, dialTrace, FOR_EVER_MS, isClosed, KEEP_ALIVE } from "./call.ts";
import { withChannels } from "./channels.ts";
import {
  CLIENT_CONN_NAMES,
  type ClientConn,
  type ClientConnHost,
  type ClientConnOptions,
  openClientConn,
} from "./client-conn.ts";
import { type Clock, type Deadline, systemClock } from "./clock.ts";
import { type Dialed, Dialer, type Dialing, NegotiatedStream } from "./conn/dial.ts";
import type { Exchange } from "./conn/exchange.ts";
import type { Handover } from "./conn/handover.ts";
import type { TlsOptions } from "./conn/tls.ts";
import { debugListener } from "./debugging.ts";
import { type CloseReason, DialError, HttpError, type TimeoutError, TransportClosedError } from "./errors.ts";
import type { DialOwner, Held, HeldAside } from "./held.ts";
import { type Inspector, type InspectorOptions, serveInspector } from "./inspector.ts";
import { Lease, type LeaseHost } from "./lease.ts";
import { inspectCustom, wrongType } from "./message/options.ts";
import { Request } from "./message/request.ts";
import type { Response } from "./message/response.ts";
import {
  checkCall,
  checkOption,
  parserLimitsOf,
  type ResolvedOptions,
  resolveOptions,
  type TransportOptions,
} from "./options.ts";
import { NO_CALL, type OwnCall, ownCall } from "./own-call.ts";
import { IdleLessons, type LearnedIdle } from "./pool/idle-lessons.ts";
import { Pool, slowDialMs } from "./pool/pool.ts";
import type { Slot } from "./pool/slot.ts";
import { preconnect } from "./preconnect.ts";
import type { RoundTripCall, RoundTripper } from "./round-tripper.ts";
import { SharedConns } from "./shared-conns.ts";
import { type SharedLease, type SharedLeaseHost, speak } from "./shared-lease.ts";
import {
  CallTrace,
  GROUP_OF,
  OpenTracer,
  stamped,
  TRACE_CONN,
  TRACE_DIAL,
  TRACE_POOL,
  type TraceDetail,
  type TraceOption,
  type Tracer,
  tracerOf,
} from "./trace.ts";
import { TunnelDial, type TunnelTrace } from "./tunnel-dial.ts";
import { viewOf } from "./view.ts";
import { showWatched, type TransportView, type Watched } from "./watched.ts";
import { type Way, Ways, wayToTarget } from "./way.ts";
import type { ParserLimits } from "./wire/parser-events.ts";

/** What a transport holds at the moment, and what it has done. */
export interface TransportStats {
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
  readonly waiting: number;
  /** Connections that a 101 or CONNECT handed over and that are still open: out of the pool, and of every other figure. */
  readonly handedOver: number;
  /** Since the transport was made. */
  readonly dialed: number;
  readonly dialsFailed: number;
  readonly calls: number;
  readonly retries: number;
  /** Requests that were sent behind another on its connection (option pipelining). */
  readonly pipelined: number;
  /** Ages at which servers close idle connections, as far as was learned (option learnIdleTimeout). */
  readonly learnedIdle: readonly LearnedIdle[];
  /** Connections closed, by reason. */
  readonly closed: Readonly<Partial<Record<CloseReason, number>>>;
}

export class Transport implements RoundTripper {
  readonly #core: Core;

  /** @throws {TypeError} unknown or wrong options */
  constructor(options: TransportOptions = {}, clock: Clock = systemClock) {
    this.#core = new Core(resolveOptions(options), clock);
    showWatched(this, this.#core);
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
      const core = this.#core;
      const alternate = core.alternates.for(request);
      if (alternate === null) return new Call(core, request, own, resolve, reject).start();
      core.carryBy(alternate, request, own).then((answer) => {
        if (answer === null) new Call(core, request, own, resolve, reject).start();
        else resolve(answer);
      }, reject);
    });
  }

  /**
   * Has all requests of a scheme carried by another RoundTripper: of `file:` or `memory:`, or of http and https in place of
   * this transport. It may throw `errSkipAltProtocol`, and then this transport carries the request by itself. URLs of the
   * scheme make Requests from then on, in the whole program; a redirect never leads to one.
   *
   * @param scheme in lower case, without the colon
   * @throws {TypeError} it is registered already, or is none
   * @see Go net/http Transport.RegisterProtocol
   */
  registerProtocol(scheme: string, roundTripper: RoundTripper): void {
    this.#core.alternates.register(scheme, roundTripper);
  }

  /**
   * Dials one connection that is the caller's alone: outside of the pool, until it is closed. Addresses, proxies and TLS
   * are this transport's.
   *
   * @param url where it leads; its path means nothing
   * @throws (rejects) as a request that needs a dial; the signal's reason
   * @see Go net/http Transport.NewClientConn
   */
  async newClientConn(url: string | URL, options: ClientConnOptions = {}): Promise<ClientConn> {
    checkCall(options, CLIENT_CONN_NAMES);
    return openClientConn(this.#core, await this.#core.wayTo(url, options.tls), options);
  }

  /**
   * Dials until `n` connections to an origin stand idle, as far as maxConnsPerHost, maxIdleConnsPerHost and maxIdleConns
   * allow. One that many requests share (HTTP/2) is enough.
   *
   * @returns how many stand
   * @throws (rejects) {DialError} none does; as a request that needs a dial
   */
  async preconnect(url: string | URL, n = 1): Promise<number> {
    checkOption("n", "count", n);
    const core = this.#core;
    const way = await core.wayTo(url);
    return preconnect(core, way, new CallTrace(0, core.clock, core.tracer, tracerOf(undefined)), n);
  }

  /**
   * Dials one connection outside of everything here, as the stream that it is, for who speaks HTTP/1.1 by himself; through
   * a tunnel where there is a proxy. It is its taker's: not counted, and not closed with the transport.
   *
   * @throws (rejects) as a request that needs a dial; the signal's reason
   * @internal
   */
  openStream(url: string, signal: AbortSignal, tls?: TlsOptions): Promise<Duplex> {
    return this.#core.openStream(url, signal, tls);
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
   * limits. Resolves when nothing is left but connections that were handed over, which are left alone.
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  /**
   * As `close()`, and ends the exchanges in flight too, and connections that were handed over: with `reason`, or a
   * TransportClosedError.
   */
  destroy(reason?: unknown): Promise<void> {
    return this.#core.destroy(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Serves a page on 127.0.0.1 that shows pools, connections, waiters and recent exchanges as they change, secrets hidden.
   * It ends with its `close()`, or with this transport, and keeps no process alive unless told to.
   *
   * @throws (rejects) {TypeError} unknown or wrong options; {TransportClosedError}; the system's error where the port
   *   cannot be had
   */
  async serveInspector(options?: InspectorOptions): Promise<Inspector> {
    if (this.#core.closed !== null) throw closedError();
    return serveInspector(this.#core, options);
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

/** What a transport is made of, as its calls and connections see it. */
class Core implements CallHost, LeaseHost, SharedLeaseHost, ClientConnHost, Watched {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  readonly parserLimits: ParserLimits;
  readonly tracer: Tracer;
  readonly #listeners: OpenTracer;
  readonly #whenClosed = new Set<() => void>();
  readonly ways: Ways;
  readonly pool: Pool<Held, DialOwner>;
  readonly #lessons: IdleLessons | null;
  readonly shared: SharedConns;
  readonly alternates: Alternates;
  readonly #dialer: Dialer;
  readonly #dials = new Map<Slot<Held>, DialInProgress>();
  readonly #leases = new Set<Held>();
  /** What newClientConn() gave, while it stands. */
  readonly #aside = new Set<HeldAside>();
  readonly #handedOver = new Set<Handover>();
  /** Origins that were warned about an unread body; one warning each. */
  readonly #warned = new Set<string>();
  closed: TransportClosedError | null = null;
  calls = 0;
  retries = 0;
  pipelined = 0;
  #dialed = 0;
  #dialsFailed = 0;
  readonly #closes: Partial<Record<CloseReason, number>> = {};

  constructor(options: ResolvedOptions, clock: Clock) {
    this.clock = clock;
    this.options = options;
    this.parserLimits = parserLimitsOf(options);
    this.#listeners = new OpenTracer(tracerOf(options.trace));
    const debug = debugListener();
    if (debug !== null) this.#listeners.add(debug);
    this.tracer = withChannels(this.#listeners);
    this.ways = new Ways(options);
    this.#dialer = new Dialer(options, clock);
    this.#lessons = options.learnIdleTimeout ? new IdleLessons() : null;
    this.shared = new SharedConns(clock);
    this.alternates = new Alternates(clock);
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
        idle: (slot, ms) => (slot.conn as Held).idle(ms), // an idle slot has its connection
        passedOver: ({ conn }, { target: { trace } }, idleMs, closesAfterMs) => {
          if (!(trace.mask & TRACE_POOL)) return;
          const { id } = conn as Held; // an idle slot has its connection
          trace.emit({ type: "connection-passed-over", id, idleMs, closesAfterMs });
        },
        close: (lease, _slot, reason) => lease.close(reason),
        takesFollower: (held) => held instanceof Lease && held.conn.takesFollower(options.pipelining),
      },
      { lessons: this.#lessons },
    );
  }

  /** @returns null where the other passes it on */
  async carryBy(alternate: RoundTripper, request: Request, own: OwnCall): Promise<Response | null> {
    this.calls++;
    const refusal = this.closed !== null ? closedError() : own.signal?.aborted ? own.signal.reason : null;
    if (refusal !== null) {
      request.body?.discard(refusal);
      throw refusal;
    }
    const answer = await this.alternates.carry(alternate, request, own);
    if (answer === null) this.calls--; // it is counted where it is carried
    return answer;
  }

  /** @throws (rejects) {LocalProtocolError} no URL; {TransportClosedError}; whatever a function for the proxy throws */
  async wayTo(url: string | URL, tls?: TlsOptions): Promise<Way> {
    const { destination } = new Request(url);
    const way = await (tls === undefined ? this.ways.find(destination) : this.ways.findAs(tls, destination));
    if (this.closed !== null) throw closedError();
    return way;
  }

  async openStream(url: string, signal: AbortSignal, tls?: TlsOptions): Promise<Duplex> {
    const { destination } = new Request(url);
    const found = await (tls === undefined ? this.ways.find(destination) : this.ways.findAs(tls, destination));
    if (this.closed !== null) throw closedError();
    const way = wayToTarget(found, destination);
    const trace = dialTrace({ trace: new CallTrace(0, this.clock, this.tracer, tracerOf(undefined)), waiting: false });
    const { target, proxy } = way;
    if (proxy === null) return this.#dialer.open(target, signal, trace).promise;
    const over = (stream: Duplex) => this.#dialer.openOver(stream, target, signal, trace);
    return new TunnelDial(this.#dialer, this.clock, this.options, { ...way, proxy }, signal, trace, over).promise;
  }

  // ---- dialing

  /** Dials for a slot. The call is the one that asked; the dial may outlive it and serve another. */
  #dial(slot: Slot<Held>, call: DialOwner): void {
    call.ownsSlot();
    if (call instanceof Call) call.dialing = true;
    const { way, trace } = call;
    const { target, proxy } = way;
    const dial = new DialInProgress(this.clock, trace, way);
    this.#dials.set(slot, dial); // before a listener can end the call, and the pool abandon or detach its dial
    if (trace.mask & TRACE_DIAL) {
      const { host, port } = target;
      trace.emit({ type: "dial-start", host, port, ...(proxy === null ? {} : { proxy: proxy.shown }) });
    }
    if (isClosed(slot)) return; // nobody else wants it
    const dialing = call.inContext(() => this.startDial(way, dial.abort.signal, dialTrace(call)));
    dial.begun(dialing);
    dialing.promise.then(
      (dialed) => {
        if (!this.#dials.has(slot)) return dialed.destroy(); // abandoned while its success was on the way
        let lease: Lease | SharedLease;
        try {
          // Its loops will serve others.
          lease = detached(() =>
            dialed instanceof NegotiatedStream ? speak(this, slot, dialed, way) : new Lease(this, slot, dialed, way),
          );
        } catch (error) {
          dialed.destroy(); // who was to speak its protocol cannot
          this.#ended(slot);
          this.#dialsFailed++;
          return this.pool.dialFailed(slot, error as Error); // whatever a function of the caller's threw
        }
        this.#dialed++;
        dial.lease = lease;
        this.#leases.add(lease);
        if (trace.mask & TRACE_DIAL) {
          const { localAddress, localPort, remoteAddress, remotePort } = dialed.facts;
          trace.emit({ type: "dial-done", id: lease.id, localAddress, localPort, remoteAddress, remotePort });
        }
        // It is read from here on, and given out a full poll later: bytes that were in our kernel by then came before the
        // request did, so they are no answer to it, and close the connection (RFC 9112 §9.2). Where ALPN chose another
        // protocol than HTTP/1.1, its server may speak first (RFC 9113 §3.4), and answers say themselves what they answer.
        if (lease instanceof Lease) this.clock.turn(() => this.#dialedBefore(slot, lease));
        else this.#share(slot, lease);
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

  /** A poll has passed since the dial was done. */
  #dialedBefore(slot: Slot<Held>, lease: Lease): void {
    if (!this.#ended(slot)) return; // abandoned meanwhile, and closed with that
    const { closeReason } = lease.conn;
    if (closeReason === null) this.pool.dialed(slot, lease);
    else this.pool.dialFailed(slot, lease.lostEarly(closeReason));
  }

  /** Those who wait for the key ride it too, unless every request is to have a connection of its own. */
  #share(slot: Slot<Held>, lease: SharedLease): void {
    if (!this.#ended(slot)) return; // abandoned by a listener, and closed with that
    const deliver = () => this.pool.dialed(slot, lease, true);
    if (this.options.keepAlive) this.shared.opened(slot.key, lease, deliver);
    else deliver();
    lease.settle();
  }

  startDial(way: Way, signal: AbortSignal, trace: TunnelTrace): Dialing<Dialed> {
    const { proxy } = way;
    if (proxy === null || !way.tunnel) return this.#dialer.negotiate(way.target, signal, trace);
    const over = (stream: Duplex) => this.#dialer.negotiateOver(stream, way.target, signal, trace);
    return new TunnelDial(this.#dialer, this.clock, this.options, { ...way, proxy }, signal, trace, over);
  }

  #ended(slot: Slot<Held>): boolean {
    this.#dials.get(slot)?.ended();
    return this.#dials.delete(slot);
  }

  #abandon(slot: Slot<Held>): void {
    const dial = this.#dials.get(slot);
    dial?.lease?.close("dial-unwanted");
    this.#ended(slot);
    dial?.abort.abort();
    if (dial !== undefined && dial.trace.mask & TRACE_DIAL) dial.trace.emit({ type: "dial-abandoned" });
  }

  // ---- connections

  leaseIdle(lease: Lease, keepMs: number): void {
    if (this.tracer.mask & TRACE_POOL) this.emit(lease, { type: "connection-idle", served: lease.conn.served, keepMs });
  }

  leaseReturned(lease: Lease, keepAliveMs: number | null): void {
    this.pool.put(lease.slot, keepAliveMs);
  }

  leaseExpired(lease: Lease): void {
    this.pool.expire(lease.slot);
  }

  leaseHasRoom(lease: Lease): void {
    this.pool.hasRoom(lease.slot);
  }

  leaseClosed(lease: Lease, reason: CloseReason, unsettled: boolean): void {
    this.#leases.delete(lease);
    this.#closes[reason] = (this.#closes[reason] ?? 0) + 1;
    // One that had an exchange has told it on the trace of that.
    if (lease.exchange === null && this.tracer.mask & TRACE_CONN)
      this.emit(lease, { type: "connection-closed", reason });
    if (this.#dials.has(lease.slot)) return; // the slot is still its dial's
    this.#learn(lease, reason);
    // An exchange that is about to fail may go again, and then the slot is its own: its call decides.
    if (!unsettled) this.pool.remove(lease.slot);
  }

  /** One that never served waits for its first request, which is another limit of the server's. */
  #learn({ slot, conn, shownKey }: Lease, reason: CloseReason): void {
    if (this.#lessons === null || slot.state !== "idle" || conn.served === 0) return;
    if (reason !== "server-closed-idle" && reason !== "idle-error") return;
    const now = this.clock.wallNow();
    this.#lessons.closed(slot.key, shownKey, now - slot.since, now);
  }

  sharedChanged(lease: SharedLease): void {
    this.shared.changed(lease.slot.key, lease);
  }

  sharedIdle(lease: SharedLease): void {
    this.pool.put(lease.slot, null);
  }

  sharedClaimed(lease: SharedLease): void {
    this.pool.claim(lease.slot);
  }

  sharedParked(lease: SharedLease, keepMs: number): void {
    if (this.tracer.mask & TRACE_POOL) this.emit(lease, { type: "connection-idle", served: lease.served, keepMs });
  }

  sharedExpired(lease: SharedLease): void {
    this.pool.expire(lease.slot);
  }

  sharedClosed(lease: SharedLease, reason: CloseReason): void {
    this.#leases.delete(lease);
    this.#closes[reason] = (this.#closes[reason] ?? 0) + 1;
    if (this.tracer.mask & TRACE_CONN) this.emit(lease, { type: "connection-closed", reason });
    if (this.#dials.has(lease.slot)) return; // the slot is still its dial's
    this.pool.remove(lease.slot);
  }

  leaseHandedOver(lease: Lease, handover: Handover): void {
    this.#leases.delete(lease);
    this.#handedOver.add(handover);
    this.pool.release(lease.slot);
  }

  leaseHandoverClosed(lease: Lease, handover: Handover): void {
    this.#handedOver.delete(handover);
    this.#closes["handed-over"] = (this.#closes["handed-over"] ?? 0) + 1;
    if (this.tracer.mask & TRACE_CONN) this.emit(lease, { type: "connection-closed", reason: "handed-over" });
  }

  holding(held: HeldAside): void {
    this.#aside.add(held);
  }

  letGo(held: HeldAside): void {
    this.#aside.delete(held);
  }

  /** Tells the transport's own listener what happens between calls. */
  emit(lease: Held, detail: TraceDetail): void {
    this.tracer.emit(stamped(detail, this.clock.now(), null, 0, lease.id), GROUP_OF[detail.type]);
  }

  leaseUnread(exchange: Exchange, error: TimeoutError): void {
    const { origin } = exchange.request.destination;
    if (this.#warned.has(origin)) return;
    this.#warned.add(origin);
    const age = Math.round(this.clock.now() - exchange.trace.startedAt);
    const [what, left, remedy] =
      exchange.handed === null
        ? ["The body of", "was left unread", "read it"]
        : ["The connection of", "was left untaken", "call duplex()"];
    const text = `${what} ${exchange.request.method} ${exchange.request.url} ${left} (${error.option}), ${age} ms after the request: ${remedy}, or call close()`;
    exchange.inContext(() => process.emitWarning(text, { type: "PersistConnWarning", code: error.code }));
  }

  // ---- the end

  close(): Promise<void> {
    if (this.closed === null) {
      this.closed = closedError();
      for (const tell of [...this.#whenClosed]) tell();
      this.shared.close(closedError);
      this.pool.close(this.closed);
      this.#dialer.close();
      this.ways.forgetSessions();
    }
    return new Promise((resolve) => this.pool.whenEmpty(resolve));
  }

  destroy(reason: unknown): Promise<void> {
    const closing = this.close();
    for (const lease of [...this.#leases]) {
      lease.close(
        "transport-destroyed",
        reason ?? new TransportClosedError("Cannot finish exchange: the transport was destroyed"),
      );
    }
    for (const handover of [...this.#handedOver]) {
      handover.destroy(reason ?? new TransportClosedError("Cannot go on with connection: the transport was destroyed"));
    }
    return closing;
  }

  // ---- being watched

  view(max: number): TransportView {
    const { clock, pool } = this;
    const dialsFor = [...this.#dials.values()];
    const { leases, aside } = { leases: this.#leases, aside: this.#aside };
    return viewOf({ clock, pool, leases, aside, dialsFor, stats: () => this.stats() }, max);
  }

  listen(trace: TraceOption): () => void {
    return this.#listeners.add(trace);
  }

  whenClosed(fn: () => void): () => void {
    if (this.closed !== null) fn();
    else this.#whenClosed.add(fn);
    return () => this.#whenClosed.delete(fn);
  }

  stats(): TransportStats {
    const { dialing, busy, idle, waiting } = this.pool.stats();
    const riders = this.shared.allWaiting;
    const { calls, retries, pipelined } = this;
    const closed = { ...this.#closes };
    return {
      dialing,
      busy,
      idle,
      waiting: waiting + riders,
      handedOver: this.#handedOver.size,
      learnedIdle: this.#lessons?.learned(this.clock.wallNow()) ?? [],
      dialed: this.#dialed,
      dialsFailed: this.#dialsFailed,
      calls,
      retries,
      pipelined,
      closed,
    };
  }
}

/** A dial, and whether the process stays alive for it: while a request counts on it, and no longer. */
class DialInProgress {
  readonly abort = new AbortController();
  /** What it has brought, until that is given out. */
  lease: Held | null = null;
  readonly #clock: Clock;
  readonly trace: CallTrace;
  readonly way: Way;
  #dialing: Dialing<Dialed> | null = null;
  #detached = false;
  #keeper: Deadline | null = null;
  #patience: Deadline | null = null;

  constructor(clock: Clock, trace: CallTrace, way: Way) {
    this.#clock = clock;
    this.trace = trace;
    this.way = way;
  }

  begun(dialing: Dialing<Dialed>): void {
    this.#dialing = dialing;
    if (this.#detached) dialing.unref();
  }

  /** A connect keeps the process alive whatever is unref'd: nobody waits longer for one than others would count on it. */
  #impatient(): void {
    this.#patience ??= this.#clock.deadline(slowDialMs, () => {
      if (this.#dialing?.holdsProcess !== true) return;
      this.abort.abort(new DialError("Cannot connect: nobody waits for it any more", []));
    });
  }

  detach(): void {
    this.#detached = true; // for good: who counts on it later has a keeper
    this.#keeper?.cancel();
    this.#keeper = null;
    this.#dialing?.unref();
    this.#impatient();
  }

  attach(): void {
    this.#patience?.cancel();
    this.#patience = null;
    this.#keeper ??= this.#clock.deadline(FOR_EVER_MS, () => {}, KEEP_ALIVE);
  }

  ended(): void {
    this.#patience?.cancel();
    this.#patience = null;
    this.#keeper?.cancel();
    this.#keeper = null;
  }
}
