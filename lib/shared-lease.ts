/**
 * A connection that many requests share, and its slot in the pool. Busy as long as somebody rides it or has it reserved;
 * else idle in the pool, which closes it by the same rules as any other.
 *
 * Owns:  the protocol's speaker (`NextProtocolConn`). Lives from the end of a dial until that is closed.
 * Never: decides who rides it: `SharedConns` does; nor when it has been idle too long: the pool does.
 */

import type { Clock, Deadline } from "./clock.ts";
import type { NegotiatedStream } from "./conn/dial.ts";
import type { CloseReason } from "./errors.ts";
import { type Held, nextConnectionId } from "./held.ts";
import { inspectCustom } from "./message/options.ts";
import type { ConnectionInfo } from "./message/response.ts";
import type { NextProtocolConn, NextProtocolConnection, NextProtocolSettings } from "./next-protocol.ts";
import { CALL_TIME_LIMITS, type CallTimeLimits, type ResolvedOptions } from "./options.ts";
import type { Slot } from "./pool/slot.ts";
import { authorityOf, type Way } from "./way.ts";

/** Who lends it out: what it tells on. */
export interface SharedLeaseHost {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  /** It may have more or less room, or be draining or closed. */
  sharedChanged(lease: SharedLease): void;
  /** Nobody rides it any more. */
  sharedIdle(lease: SharedLease): void;
  /** Somebody will ride it, and it is idle in the pool: takes it out. */
  sharedClaimed(lease: SharedLease): void;
  /** It went into the pool. */
  sharedParked(lease: SharedLease, keepMs: number): void;
  sharedExpired(lease: SharedLease): void;
  sharedClosed(lease: SharedLease, reason: CloseReason): void;
}

export class SharedLease implements Held {
  readonly id: number;
  readonly slot: Slot<Held>;
  readonly conn: NextProtocolConn;
  readonly shownKey: string;
  readonly #facts: NextProtocolConnection["info"];
  readonly #host: SharedLeaseHost;
  /** Requests that it was given. */
  served = 0;
  /** Room that is kept for its holder. */
  reserved = 0;
  #idleDeadline: Deadline | null = null;
  #closed: CloseReason | null = null;

  constructor(
    facts: NextProtocolConnection["info"],
    shownKey: string,
    host: SharedLeaseHost,
    slot: Slot<Held>,
    conn: NextProtocolConn,
  ) {
    this.shownKey = shownKey;
    this.id = facts.id;
    this.#facts = facts;
    this.slot = slot;
    this.conn = conn;
    this.#host = host;
  }

  /** What `response.connection` would say of it now. */
  get info(): ConnectionInfo {
    return { ...this.#facts, reused: this.served > 0, served: this.served };
  }

  get state(): NextProtocolConn["state"] {
    return this.#closed === null ? this.conn.state : "closed";
  }

  get exclusive(): boolean {
    return this.conn.exclusive;
  }

  get hasRoom(): boolean {
    return this.state === "open" && this.conn.available - this.reserved > 0;
  }

  /** Somebody rides it from now on: the next thing to happen is its roundTrip(). */
  board(): void {
    if (this.slot.state === "idle") this.#host.sharedClaimed(this);
    this.#idleDeadline?.reset(0);
    this.conn.ref();
    this.served++;
  }

  /** In the pool from now on: keeps no process alive, and expires in `ms` (0: never). */
  idle(ms: number): void {
    this.conn.unref();
    this.#idleDeadline ??= this.#host.clock.deadline(0, () => this.#host.sharedExpired(this));
    this.#idleDeadline.reset(ms);
    this.#host.sharedParked(this, ms);
  }

  /** The speaker says that something changed. */
  changed(): void {
    if (this.#closed !== null) return;
    if (this.conn.state === "closed") return this.#ended("server-closed");
    this.#host.sharedChanged(this);
    this.settle();
  }

  /** Looks whether anybody is left on it. */
  settle(): void {
    if (this.#closed !== null || this.slot.state !== "busy") return;
    if (this.conn.inFlight > 0 || this.reserved > 0) return;
    if (this.conn.state === "open") this.#host.sharedIdle(this);
    else this.close("server-closed"); // drained
  }

  close(reason: CloseReason, error?: unknown): void {
    if (this.#closed !== null) return;
    this.#ended(reason);
    this.conn.close(error);
  }

  /** One line: `SharedConn { 127.0.0.1:443, h2, open, 2 in flight, 3 served }`. */
  [inspectCustom](): string {
    const { remoteAddress, remotePort, tls } = this.#facts;
    const peer = remotePort === null ? (remoteAddress ?? "?") : authorityOf(remoteAddress ?? "?", remotePort);
    const state = this.#closed === null ? `${this.state}, ${this.conn.inFlight} in flight` : `closed: ${this.#closed}`;
    return `SharedConn { ${peer}, ${tls?.alpn ?? "?"}, ${state}, ${this.served} served }`;
  }

  #ended(reason: CloseReason): void {
    this.#closed = reason;
    this.#idleDeadline?.cancel();
    this.#host.sharedChanged(this);
    this.#host.sharedClosed(this, reason);
  }
}

/**
 * Has the protocol spoken that was chosen.
 *
 * @throws whatever its speaker throws; {TypeError} it gives no NextProtocolConn
 */
export function speak(host: SharedLeaseHost, slot: Slot<Held>, negotiated: NegotiatedStream, way: Way): SharedLease {
  const { protocol, stream, facts } = negotiated;
  const begin = host.options.nextProtocols?.[protocol];
  if (begin === undefined) throw new TypeError(`Nobody speaks ${protocol}, and yet it was offered`);
  const info = { id: nextConnectionId(), ...facts, proxy: way.proxy?.shown ?? null };
  let lease: SharedLease | null = null;
  const conn: unknown = begin({
    protocol,
    authority: authorityOf(way.target.host, way.target.port),
    stream,
    info,
    settings: settingsOf(host.options),
    clock: host.clock,
    changed: () => lease?.changed(),
  });
  if (!isNextProtocolConn(conn)) {
    throw new TypeError(
      `Option nextProtocols.${protocol} must give a connection: an object with roundTrip() and close()`,
    );
  }
  lease = new SharedLease(info, way.shownKey, host, slot, conn);
  return lease;
}

/** Nothing of what is secret: keys and proxies are no speaker's business. */
function settingsOf(options: ResolvedOptions): NextProtocolSettings {
  const { maxResponseHeaderBytes, maxResponseHeaders, max1xxResponses, decompress, maxDecompressRatio, userAgent } =
    options;
  const settings = {
    maxResponseHeaderBytes,
    maxResponseHeaders,
    max1xxResponses,
    decompress,
    maxDecompressRatio,
    userAgent,
  };
  const limits = Object.fromEntries(CALL_TIME_LIMITS.map((name) => [name, options[name]]));
  return { ...settings, ...(limits as Required<CallTimeLimits>) }; // every name of it was just put in
}

function isNextProtocolConn(value: unknown): value is NextProtocolConn {
  if (typeof value !== "object" || value === null) return false;
  const { roundTrip, close, ref, unref, available, inFlight } = value as Partial<NextProtocolConn>; // each is looked at
  const does = [roundTrip, close, ref, unref].every((method) => typeof method === "function");
  return does && typeof available === "number" && typeof inFlight === "number";
}
