/**
 * A pool of numbers with everything around it under the spec's hand: dials end when told, turns end when stepped, the
 * clock stands until moved. What the pool does is a log of short lines, to be compared with what it should have done.
 *
 * Slots are named by the number of their dial: `dial 1`, and the connection that it gives is the number 1.
 */

import type { IdleLessons } from "../../lib/pool/idle-lessons.ts";
import { Pool } from "../../lib/pool/pool.ts";
import type { PoolHooks, PoolLimits } from "../../lib/pool/pool-hooks.ts";
import type { Slot } from "../../lib/pool/slot.ts";
import { type Waiter, WantConn } from "../../lib/pool/want-conn.ts";

export const noLimits: PoolLimits = {
  maxConnsPerHost: 0,
  maxIdleConnsPerHost: 256,
  maxIdleConns: 0,
  idleTimeoutMs: 0,
  keepAlive: true,
};

export class Harness {
  readonly pool: Pool<number, string>;
  readonly slots: Slot<number>[] = [];
  /** What happened since it was read last. */
  #log: string[] = [];
  now = 1_000;
  batch = 0;
  #turns: { batch: number; fire: (batch: number) => void }[] = [];
  /** Where a spec wants to act inside a callback. */
  onError: ((name: string) => void) | null = null;
  onConn: ((name: string, slot: Slot<number>) => void) | null = null;
  /** How many more requests each connection takes behind those that it serves. */
  readonly room = new Map<number, number>();
  onClose: ((slot: Slot<number>) => void) | null = null;
  onAbandon: ((number: number) => void) | null = null;

  constructor(limits: Partial<PoolLimits> = {}, lessons: IdleLessons | null = null) {
    const hooks: PoolHooks<number, string> = {
      now: () => this.now,
      dial: (slot, want) => {
        this.slots.push(slot);
        this.#log.push(`dial ${this.slots.length} for ${want.target}`);
      },
      abandonDial: (slot) => {
        this.#log.push(`abandon ${this.#number(slot)}`);
        this.onAbandon?.(this.#number(slot));
      },
      detachDial: (slot) => this.#log.push(`detach ${this.#number(slot)}`),
      attachDial: (slot) => this.#log.push(`attach ${this.#number(slot)}`),
      close: (conn, slot, reason) => {
        this.#log.push(`close ${conn}: ${reason}`);
        this.onClose?.(slot);
      },
      passedOver: (slot, want, idleMs, closesAfterMs) => {
        const what = `pass over ${slot.conn} for ${want.target}: idle ${idleMs}, closes after ${closesAfterMs}`;
        this.#log.push(what);
      },
      takesFollower: (conn) => (this.room.get(conn) ?? 0) > 0,
      turn: (fire) => this.#turns.push({ batch: this.batch, fire }),
      batch: () => this.batch,
      idle: (slot, ms) => this.#log.push(`idle ${slot.conn}${ms === 0 ? "" : ` for ${ms}`}`),
    };
    this.pool = new Pool({ ...noLimits, ...limits }, hooks, { check: true, lessons });
  }

  /** The log since the last call. */
  get did(): string[] {
    const log = this.#log;
    this.#log = [];
    return log;
  }

  /** Turns that were asked and have not ended. */
  get turnsAsked(): number {
    return this.#turns.length;
  }

  /** A request asks for a connection. */
  get(name: string, key = "k", fresh = false, canFollow = false): WantConn<number, string> {
    const waiter: Waiter<number> = {
      given: (slot) => {
        this.#log.push(`${name} has ${slot.conn}${slot.reused ? " (reused)" : ""}`);
        this.onConn?.(name, slot);
      },
      follows: (slot) => {
        this.#log.push(`${name} follows on ${slot.conn}`);
        this.room.set(slot.conn as number, (this.room.get(slot.conn as number) ?? 0) - 1);
        this.onConn?.(name, slot);
      },
      refused: (error) => {
        this.#log.push(`${name} failed: ${error.message}`);
        this.onError?.(name);
      },
    };
    const want = new WantConn<number, string>(key, waiter, name);
    want.canFollow = canFollow;
    this.pool.get(want, fresh);
    return want;
  }

  /** A request that may be sent behind another asks for a connection. */
  getOrFollow(name: string): WantConn<number, string> {
    return this.get(name, "k", false, true);
  }

  /** A busy connection takes so many more. */
  hasRoom(number: number, room: number): void {
    this.room.set(number, room);
    this.pool.hasRoom(this.slot(number));
  }

  slot(number: number): Slot<number> {
    const slot = this.slots[number - 1];
    if (slot === undefined) throw new Error(`there is no dial ${number}`);
    return slot;
  }

  dialed(number: number): void {
    this.pool.dialed(this.slot(number), number);
  }

  dialFailed(number: number, message = "refused"): void {
    this.pool.dialFailed(this.slot(number), new Error(message));
  }

  put(number: number, hintMs: number | null = null): void {
    this.pool.put(this.slot(number), hintMs);
  }

  /** The first of the two immediates: the open batch closes, and another opens. */
  closeBatch(): void {
    this.batch++;
  }

  /** The second: all turns of closed batches end. */
  endTurns(): void {
    const due = this.#turns.filter((t) => t.batch < this.batch);
    this.#turns = this.#turns.filter((t) => t.batch >= this.batch);
    for (const { batch, fire } of due) fire(batch);
  }

  /** One whole turn. */
  turn(): void {
    this.closeBatch();
    this.endTurns();
  }

  /** Leaves `count` connections idle that were used once, the last one on top; the log starts anew. */
  warm(count: number, key = "k"): void {
    const first = this.slots.length + 1;
    for (let i = 0; i < count; i++) this.get(`warm-${i}`, key);
    for (let i = 0; i < count; i++) this.dialed(first + i);
    for (let i = 0; i < count; i++) this.put(first + i);
    this.turn();
    this.#log = [];
  }

  #number(slot: Slot<number>): number {
    return this.slots.indexOf(slot) + 1;
  }
}
