/**
 * Where the pool meets the rest: what it is told (limits), what it does (hooks), what it tells (states). Types only.
 */

import type { CloseReason } from "../errors.ts";
import type { Slot } from "./slot.ts";
import type { WantConn } from "./want-conn.ts";

export interface PoolLimits {
  /** Dials and connections of one key, all together; 0: no limit. */
  readonly maxConnsPerHost: number;
  /** Idle connections kept for one key; 0: none are kept. */
  readonly maxIdleConnsPerHost: number;
  /** Idle connections kept for all keys together; 0: no limit. */
  readonly maxIdleConns: number;
  /** How long a connection may be idle, in ms; 0: for ever. */
  readonly idleTimeoutMs: number;
  /** False: every connection serves one request. */
  readonly keepAlive: boolean;
}

/**
 * How the pool acts. It has moved the slot before it calls, so what it calls may look at it. Only `close` and `passedOver`
 * (and whoever waits) may call the pool before they return.
 */
export interface PoolHooks<C, T = unknown> {
  /** Wall-clock ms: goes on while the machine sleeps, so that it does not wake with dead connections that look fresh. */
  now(): number;
  /** Starts a dial. It ends in `dialed()` or `dialFailed()`, once and later, unless `abandonDial` comes first. */
  dial(slot: Slot<C>, want: WantConn<C, T>): void;
  /** Destroys this dial: its slot is free already. */
  abandonDial(slot: Slot<C>): void;
  /** The dial goes on although nobody waits for it: it must not keep the process alive. */
  detachDial(slot: Slot<C>): void;
  /** A request counts on this detached dial again: it keeps the process alive. */
  attachDial(slot: Slot<C>): void;
  /** Closes a connection whose slot is free already. A `remove()` for it is not needed, and does nothing. */
  close(conn: C, slot: Slot<C>, reason: CloseReason): void;
  /** This idle connection would have been the want's, but it is too old; `close` follows. May call the pool. */
  passedOver?(slot: Slot<C>, want: WantConn<C, T>, idleMs: number, closesAfterMs: number): void;
  /** Whether a request may be sent behind those that this lent connection serves. Default: it may not. */
  takesFollower?(conn: C): boolean;
  /** `Clock.turn`. */
  turn(fire: (batch: number) => void): void;
  /** `Clock.batch`. */
  batch(): number;
  /** The connection is idle from now on: `expire()` is to be called in `ms` (0: never) unless it is lent before. */
  idle(slot: Slot<C>, ms: number): void;
}

/** What one key holds now. */
export interface KeyState {
  readonly waiting: number;
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
  /** When the connection that is out longest was lent, by the wall clock in ms; null when none is. */
  readonly oldestBusySince: number | null;
}

/** What the whole pool holds now. */
export interface PoolStats {
  readonly waiting: number;
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
  readonly keys: ReadonlyMap<string, KeyState>;
}
