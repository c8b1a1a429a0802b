/**
 * A connection on loan from the pool or in it, and what is kept beside it: its slot, and the exchange in flight.
 *
 * Owns:  its PersistConn. Lives from the end of a dial until the connection is closed.
 * Never: decides: the pool says when it is idle, the call when its exchange may go again.
 */

import type { Clock } from "./clock.ts";
import type { Conduit } from "./conn/conduit.ts";
import type { DialTarget } from "./conn/dial.ts";
import type { Exchange } from "./conn/exchange.ts";
import type { Handover } from "./conn/handover.ts";
import { type ConnOwner, PersistConn } from "./conn/persist-conn.ts";
import { type CloseReason, ConnectionClosedError, type TimeoutError } from "./errors.ts";
import { type Held, nextConnectionId } from "./held.ts";
import { inspectCustom } from "./message/options.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Slot } from "./pool/slot.ts";
import { TRACE_POOL } from "./trace.ts";
import { authorityOf, type Way } from "./way.ts";
import type { ParserLimits } from "./wire/parser-events.ts";

/** The server's word on how long it keeps an idle connection is taken with a margin: its clock started earlier. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** Who lends it out: what a lease tells on. */
export interface LeaseHost {
  readonly clock: Clock;
  readonly options: ResolvedOptions;
  readonly parserLimits: ParserLimits;
  /** It went into the pool. */
  leaseIdle(lease: Lease, keepMs: number): void;
  /** Its exchange is over; the server keeps the connection for so long (with a margin), where it said. */
  leaseReturned(lease: Lease, keepAliveMs: number | null): void;
  leaseExpired(lease: Lease): void;
  /** It serves no other exchange, and its slot is free. */
  leaseHandedOver(lease: Lease, handover: Handover): void;
  leaseHandoverClosed(lease: Lease, handover: Handover): void;
  /** One of its exchanges is over, and the next has its turn: another may be written behind them. */
  leaseHasRoom(lease: Lease): void;
  /** @param unsettled the call of one of its exchanges is about to hear of it, and decides what becomes of the slot */
  leaseClosed(lease: Lease, reason: CloseReason, unsettled: boolean): void;
  leaseUnread(exchange: Exchange, error: TimeoutError): void;
}

/** Ends of a connection between the dial and the first request. */
const EARLY_ENDS: Readonly<Partial<Record<CloseReason, string>>> = {
  "unsolicited-bytes": "the server sent bytes before the request: is this a server of HTTP?",
  "server-closed-idle": "the server closed the connection before the request",
};

export class Lease implements ConnOwner, Held {
  readonly slot: Slot<Held>;
  readonly conn: PersistConn;
  readonly #host: LeaseHost;
  exchange: Exchange | null = null;
  /** Its key, for people. */
  readonly shownKey: string;

  constructor(host: LeaseHost, slot: Slot<Held>, conduit: Conduit, { target, proxy, shownKey }: Way) {
    this.shownKey = shownKey;
    this.#host = host;
    this.slot = slot;
    this.conn = new PersistConn({
      id: nextConnectionId(),
      conduit,
      clock: host.clock,
      owner: this,
      limits: host.parserLimits,
      peer: peerOf(target),
      ...(proxy === null ? {} : { proxy: proxy.shown }),
    });
  }

  get id(): number {
    return this.conn.id;
  }

  close(reason: CloseReason, error?: unknown): void {
    this.conn.close(reason, error);
  }

  /** In the pool from now on: keeps no process alive, and expires in `ms` (0: never). */
  idle(ms: number): void {
    this.conn.conduit.unref();
    this.conn.armIdle(ms);
    this.#host.leaseIdle(this, ms);
  }

  /** What a request that was to be its first one fails with. */
  lostEarly(reason: CloseReason): ConnectionClosedError {
    const state = EARLY_ENDS[reason] ?? "the connection was lost before the request";
    const text = `Cannot send request to ${this.conn.peer}: ${state} (${reason})`;
    return new ConnectionClosedError(text, { phase: "connect", reused: false, safeToRetry: true });
  }

  /** As its connection. */
  [inspectCustom](): string {
    return process.getBuiltinModule("node:util").inspect(this.conn);
  }

  connIdle(_conn: PersistConn, keepAliveMs: number | null): void {
    const trace = this.exchange?.trace;
    this.exchange = null;
    this.#host.leaseReturned(this, keepAliveMs === null ? null : Math.max(1, keepAliveMs - KEEP_ALIVE_MARGIN_MS));
    if (trace !== undefined && trace.mask & TRACE_POOL)
      trace.emit({ type: "connection-returned", refused: this.conn.closeReason });
  }
  connNext(_conn: PersistConn, exchange: Exchange): void {
    this.exchange = exchange;
    this.#host.leaseHasRoom(this);
  }
  connClosed(_conn: PersistConn, reason: CloseReason, unsettled: boolean): void {
    this.#host.leaseClosed(this, reason, unsettled);
  }
  connHandedOver(_conn: PersistConn, handover: Handover): void {
    this.#host.leaseHandedOver(this, handover);
  }
  connHandoverClosed(_conn: PersistConn, handover: Handover): void {
    this.#host.leaseHandoverClosed(this, handover);
  }
  connExpired(): void {
    this.#host.leaseExpired(this);
  }
  connUnread(_conn: PersistConn, exchange: Exchange, error: TimeoutError): void {
    this.#host.leaseUnread(exchange, error);
  }
}

function peerOf({ host, port, path, label }: DialTarget): string {
  return label ?? path ?? authorityOf(host, port);
}
