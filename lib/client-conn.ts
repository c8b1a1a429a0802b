/**
 * One connection that somebody holds: dialed outside of the transport's pool, and nobody else's. Lives until it is closed,
 * by its holder or by its peer.
 *
 * Within, it is a transport of one connection: the same calls, waits and leases, over a pool of one slot that dials once.
 * Who finds it taken waits, first come first served; room can be reserved, and the next request takes a reservation first.
 *
 * Owns:  the connection.
 * Never: dials a second time; is touched by what the transport does to its pool (`closeIdleConnections`, `close`).
 *
 * Go net/http ClientConn (1.26).
 */

import { onAbort } from "./abort.ts";
import { throwLater } from "./boundary.ts";
import { Call, type CallHost, dialTrace } from "./call.ts";
import type { Clock } from "./clock.ts";
import { type Dialed, type Dialing, NegotiatedStream } from "./conn/dial.ts";
import type { TlsOptions } from "./conn/tls.ts";
import { type CloseReason, ConnectionClosedError, LocalProtocolError } from "./errors.ts";
import type { DialOwner, Held, HeldAside } from "./held.ts";
import { Lease, type LeaseHost } from "./lease.ts";
import type { Destination } from "./message/destination.ts";
import { inspectCustom, wrongType } from "./message/options.ts";
import { Request } from "./message/request.ts";
import type { Response } from "./message/response.ts";
import type { ResolvedOptions } from "./options.ts";
import { NO_CALL, ownCall } from "./own-call.ts";
import { Pool } from "./pool/pool.ts";
import type { Slot } from "./pool/slot.ts";
import { WantConn } from "./pool/want-conn.ts";
import type { RoundTripCall, RoundTripper } from "./round-tripper.ts";
import { SharedConns } from "./shared-conns.ts";
import { SharedLease, type SharedLeaseHost, speak } from "./shared-lease.ts";
import { CallTrace, TRACE_CONN, TRACE_DIAL, type TraceDetail, type Tracer, tracerOf } from "./trace.ts";
import type { TunnelTrace } from "./tunnel-dial.ts";
import { authorityOf, type Way, type Ways } from "./way.ts";
import type { ParserLimits } from "./wire/parser-events.ts";

export interface ClientConnOptions {
  /** Ends the dial with its reason. Default: none. */
  signal?: AbortSignal;
  /**
   * TLS options of this connection in the place of the transport's, as `tls` of a call. Calls on it may give no others.
   * Default: the transport's. TlsError.
   */
  tls?: TlsOptions;
  /** Called, later and once for each change, when there is more room than before, or the connection is gone. Default: none. */
  onStateChange?: (conn: ClientConn) => void;
}

/** The options of newClientConn(). */
export const CLIENT_CONN_NAMES: readonly string[] = ["signal", "tls", "onStateChange"];

/** What a held connection has of its transport. */
export interface ClientConnHost {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  readonly parserLimits: ParserLimits;
  readonly tracer: Tracer;
  readonly ways: Pick<Ways, "serves" | "checkConnect">;
  startDial(way: Way, signal: AbortSignal, trace: TunnelTrace): Dialing<Dialed>;
  /** From its dial on, it is shown to who watches the transport. */
  holding(held: HeldAside): void;
  /** It is gone. */
  letGo(held: HeldAside): void;
  /** Tells the transport's listener what happens between calls. */
  emit(lease: Held, detail: TraceDetail): void;
}

export class ClientConn implements RoundTripper {
  readonly #one: OneConn;

  /** Made by `Transport.newClientConn`. @internal */
  constructor(one: OneConn) {
    this.#one = one;
  }

  /**
   * Sends a request over this connection, whatever host its URL names; its scheme must be the connection's. Takes a
   * reservation, else waits for room.
   *
   * @throws (rejects) as `Transport.roundTrip`; {ConnectionClosedError} the connection is gone
   */
  roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    return new Promise((resolve, reject) => {
      const own = call === undefined ? NO_CALL : ownCall(request, call);
      if (!(request instanceof Request)) throw wrongType("request", "a Request of this library", request);
      this.#one.begin(() => new Call(this.#one, request, own, resolve, reject).start());
    });
  }

  /** Keeps room for one request; false where there is none. */
  reserve(): boolean {
    return this.#one.reserve();
  }

  /** Gives a reservation back that no request took. */
  release(): void {
    this.#one.release();
  }

  /** Requests that could be sent or reserved now: of HTTP/1.1 one at most; 0 once it is closed. */
  get available(): number {
    return this.#one.available;
  }

  /** Requests under way, and reservations. */
  get inFlight(): number {
    return this.#one.inFlight;
  }

  /** Why it can carry nothing more; null while it can. */
  get error(): Error | null {
    return this.#one.error;
  }

  /** Closes it at once; what is under way fails. */
  close(): void {
    this.#one.end();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** One line: `ClientConn { 127.0.0.1:443, 1 available, 0 in flight }`. */
  [inspectCustom](): string {
    const state = this.error === null ? `${this.available} available, ${this.inFlight} in flight` : "closed";
    return `ClientConn { ${this.#one.peer}, ${state} }`;
  }
}

/** Dials it. */
export function openClientConn(
  host: ClientConnHost,
  way: Way,
  { signal, onStateChange }: ClientConnOptions,
): Promise<ClientConn> {
  return new Promise((resolve, reject) => {
    const one = new OneConn(host, way, () => {
      try {
        onStateChange?.(conn);
      } catch (error) {
        throwLater(error);
      }
    });
    const conn = new ClientConn(one);
    const leave = signal === undefined ? () => {} : onAbort(signal, () => one.giveUp(signal.reason));
    if (signal?.aborted) one.giveUp(signal.reason);
    one.dial().then(
      () => {
        leave();
        resolve(conn);
      },
      (error: unknown) => {
        leave();
        reject(error);
      },
    );
  });
}

/** The one connection, with all that a call needs of a transport. */
class OneConn implements HeldAside, CallHost, LeaseHost, SharedLeaseHost, DialOwner {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  readonly parserLimits: ParserLimits;
  readonly tracer: Tracer;
  readonly closed = null;
  readonly pool: Pool<Held, DialOwner>;
  readonly shared: SharedConns;
  readonly ways = {
    find: (destination: Destination) => this.#wayOf(destination),
    findAs: (tls: TlsOptions, destination: Destination) => this.#wayAs(tls, destination),
    checkConnect: (hostPort: string) => this.#host.ways.checkConnect(hostPort),
  };
  readonly way: Way;
  readonly trace: CallTrace;
  readonly waiting = false;
  readonly peer: string;
  calls = 0;
  retries = 0;
  pipelined = 0;
  error: Error | null = null;
  readonly #host: ClientConnHost;
  readonly #only: Way;
  readonly #changed: () => void;
  readonly #abort = new AbortController();
  #lease: Lease | SharedLease | null = null;
  #dialed = false;
  #reserved = 0;
  /** Room as it was when it was last looked at: more than that is a change. */
  #seen = 0;
  #seenDead = false;
  #looking = false;

  constructor(host: ClientConnHost, way: Way, changed: () => void) {
    this.#host = host;
    this.clock = host.clock;
    this.options = { ...host.options, maxConnsPerHost: 1, idleConnTimeout: 0, pipelining: 1 };
    this.parserLimits = host.parserLimits;
    this.tracer = host.tracer;
    this.way = way;
    this.#only = { ...way, plain: null };
    this.trace = new CallTrace(0, host.clock, host.tracer, tracerOf(undefined));
    this.peer = authorityOf(way.target.host, way.target.port);
    this.#changed = changed;
    this.shared = new SharedConns(host.clock);
    this.pool = new Pool<Held, DialOwner>(
      { maxConnsPerHost: 1, maxIdleConnsPerHost: 1, maxIdleConns: 0, idleTimeoutMs: 0, keepAlive: true },
      {
        now: () => host.clock.wallNow(),
        batch: () => host.clock.batch,
        turn: (fire) => host.clock.turn(fire),
        dial: (slot) => this.#dial(slot),
        abandonDial: () => this.#abort.abort(this.error),
        detachDial: () => {},
        attachDial: () => {},
        idle: (slot, ms) => (slot.conn as Held).idle(ms), // an idle slot has its connection
        close: (held, _slot, reason) => held.close(reason),
      },
    );
  }

  // ---- the dial

  dial(): Promise<void> {
    return new Promise((resolve, reject) => {
      const given = (slot: Slot<Held>) => {
        if (slot.conn instanceof SharedLease) slot.conn.settle();
        else this.pool.put(slot, null);
        this.#seen = this.available;
        resolve();
      };
      this.pool.get(new WantConn<Held, DialOwner>(this.way.key, { given, refused: reject }, this));
    });
  }

  #dial(slot: Slot<Held>): void {
    if (this.#dialed) {
      // Somebody waits for a connection that has gone.
      queueMicrotask(() => this.pool.dialFailed(slot, this.#gone()));
      return;
    }
    this.#dialed = true;
    const { trace } = this;
    const { target, proxy } = this.way;
    this.#host.holding(this);
    if (trace.mask & TRACE_DIAL) {
      const { host, port } = target;
      trace.emit({ type: "dial-start", host, port, ...(proxy === null ? {} : { proxy: proxy.shown }) });
    }
    const dialing = this.#host.startDial(this.way, this.#abort.signal, dialTrace(this));
    dialing.promise.then(
      (dialed) => {
        try {
          if (dialed instanceof NegotiatedStream) {
            const lease = speak(this, slot, dialed, this.way);
            this.#stands(lease, dialed);
            this.shared.opened(slot.key, lease, () => this.pool.dialed(slot, lease, true));
          } else {
            const lease = new Lease(this, slot, dialed, this.way);
            this.#stands(lease, dialed);
            this.pool.dialed(slot, lease);
          }
        } catch (error) {
          dialed.destroy();
          this.#host.letGo(this);
          this.pool.dialFailed(slot, error as Error); // whatever a function of the caller's threw
        }
      },
      (error: unknown) => {
        this.#host.letGo(this);
        if (trace.mask & TRACE_DIAL) trace.emit({ type: "dial-failed", error });
        this.pool.dialFailed(slot, error as Error); // its own classes, or what a hook threw
      },
    );
  }

  #stands(lease: Lease | SharedLease, { facts }: Dialed): void {
    this.#lease = lease;
    if (!(this.trace.mask & TRACE_DIAL)) return;
    const { localAddress, localPort, remoteAddress, remotePort } = facts;
    this.trace.emit({ type: "dial-done", id: lease.id, localAddress, localPort, remoteAddress, remotePort });
  }

  /** It serves nobody any more. What had an exchange has told of its end on the trace of that. */
  #ended(lease: Held, told: boolean, reason: CloseReason): void {
    this.#host.letGo(this);
    if (!told && this.tracer.mask & TRACE_CONN) this.#host.emit(lease, { type: "connection-closed", reason });
  }

  /** What it holds, for who watches. */
  get lease(): Held | null {
    return this.#lease;
  }

  giveUp(reason: unknown): void {
    this.#abort.abort(reason);
  }

  ownsSlot(): void {}

  inContext<T>(fn: () => T): T {
    return fn();
  }

  /** Whatever host the URL names: who holds a connection knows where it leads. But clear text is not for what is secret. */
  #wayOf({ scheme }: Destination): Way {
    // What was chosen is chosen: there is no other connection for what only HTTP/1.1 can carry.
    if (scheme === this.#scheme) return this.#only;
    throw new LocalProtocolError(
      "url",
      `Cannot send request over the connection to ${this.peer}: its scheme is ${scheme}, the connection's is ${this.#scheme}`,
    );
  }

  /** What is secured stays as it was secured: other pins or another certificate would be judged by nobody. */
  #wayAs(tls: TlsOptions, destination: Destination): Way {
    const way = this.#wayOf(destination);
    if (this.#host.ways.serves(tls, way)) return way;
    throw new LocalProtocolError(
      "tls",
      `Cannot send request over the connection to ${this.peer}: option tls is not what it was secured with; give it to newClientConn()`,
    );
  }

  get #scheme(): string {
    return this.way.proxy !== null && !this.way.tunnel ? "http" : this.way.target.scheme;
  }

  // ---- room

  get available(): number {
    const lease = this.#lease;
    if (lease === null || this.error !== null) return 0;
    if (lease instanceof SharedLease) return lease.hasRoom ? lease.conn.available - lease.reserved : 0;
    return lease.slot.state === "idle" && this.pool.stateOf(this.way.key).waiting === 0 ? 1 : 0;
  }

  get inFlight(): number {
    const lease = this.#lease;
    if (lease === null || this.error !== null) return 0;
    if (lease instanceof SharedLease) return lease.conn.inFlight + lease.reserved;
    return lease.slot.state === "idle" && this.pool.stateOf(this.way.key).waiting === 0 ? 0 : 1;
  }

  reserve(): boolean {
    const lease = this.#lease;
    if (lease === null || this.available === 0) return false;
    if (lease instanceof SharedLease) {
      if (lease.slot.state === "idle") this.pool.claim(lease.slot);
      lease.reserved++;
    } else this.pool.claim(lease.slot);
    this.#reserved++;
    this.#seen = Math.min(this.#seen, this.available);
    return true;
  }

  release(): void {
    if (this.#giveBack()) this.#look();
  }

  /** Begins a request: what was reserved for one is its own. */
  begin(start: () => void): void {
    this.#giveBack();
    start();
    this.#seen = Math.min(this.#seen, this.available);
    this.#look(); // it may have been refused
  }

  #giveBack(): boolean {
    const lease = this.#lease;
    if (lease === null || this.#reserved === 0 || this.error !== null) return false;
    // Nobody stands before the next request: others would have taken the reservation.
    if (this.#reserved === 1 && this.inFlight === 1) this.#seen = 0;
    this.#reserved--;
    if (lease instanceof SharedLease) {
      lease.reserved--;
      lease.changed();
    } else this.pool.put(lease.slot, null);
    return true;
  }

  /** Tells of more room, or of the end; later, when whatever makes it has been done. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    queueMicrotask(() => {
      this.#looking = false;
      const { available } = this;
      const died = this.error !== null && !this.#seenDead;
      const more = available > this.#seen;
      this.#seen = available;
      this.#seenDead = this.error !== null;
      if (died || more) this.#changed();
    });
  }

  // ---- the end

  end(): void {
    this.#die(new ConnectionClosedError(`Cannot use connection to ${this.peer}: it was closed by its holder`));
    this.#lease?.close("transport-closed", this.error);
  }

  #die(error: Error): void {
    if (this.error !== null) return;
    this.error = error;
    this.#look();
  }

  #gone(): ConnectionClosedError {
    const cause = this.error;
    return new ConnectionClosedError(`Cannot send request to ${this.peer}: the connection that was held is gone`, {
      safeToRetry: true,
      bytesSubmitted: 0,
      ...(cause === null ? {} : { cause }),
    });
  }

  #lost(reason: CloseReason): void {
    this.#die(new ConnectionClosedError(`Cannot use connection to ${this.peer}: it was closed (${reason})`));
  }

  // ---- from the lease

  leaseIdle(): void {
    this.#look();
  }

  leaseReturned(lease: Lease, keepAliveMs: number | null): void {
    this.pool.put(lease.slot, keepAliveMs);
  }

  leaseExpired(lease: Lease): void {
    this.pool.expire(lease.slot);
  }

  leaseHasRoom(): void {}

  leaseClosed(lease: Lease, reason: CloseReason, unsettled: boolean): void {
    this.#lost(reason);
    this.#ended(lease, lease.exchange !== null, reason);
    if (!unsettled) this.pool.remove(lease.slot); // else its call decides
  }

  leaseHandedOver(lease: Lease): void {
    this.#die(new ConnectionClosedError(`Cannot use connection to ${this.peer}: an answer handed it over`));
    this.pool.release(lease.slot);
  }

  leaseHandoverClosed(lease: Lease): void {
    this.#ended(lease, false, "handed-over");
  }

  leaseUnread(): void {}

  sharedChanged(lease: SharedLease): void {
    this.shared.changed(lease.slot.key, lease);
    if (lease.state !== "open") this.#lost("server-closed");
    this.#look();
  }

  sharedIdle(lease: SharedLease): void {
    this.pool.put(lease.slot, null);
  }

  sharedClaimed(lease: SharedLease): void {
    this.pool.claim(lease.slot);
  }

  sharedParked(): void {
    this.#look();
  }

  sharedExpired(lease: SharedLease): void {
    this.pool.expire(lease.slot);
  }

  sharedClosed(lease: SharedLease, reason: CloseReason): void {
    this.#lost(reason);
    this.#ended(lease, false, reason);
    this.pool.remove(lease.slot);
  }
}
