/**
 * One wait for a connection: a dial of its own, an idle connection or an abort, the first wins. Lives as long as its
 * call; a retried call waits again with the same WantConn.
 *
 * The judge of that race is `#settle()`: whoever settles it second learns that it lost, and finds another home for what
 * it brought. Never settles twice, and never calls back after it was cancelled.
 *
 * Whoever waits must not throw in either of its methods; it may call the pool.
 */

import { InvariantError } from "../errors.ts";
import { Link } from "./linked-list.ts";
import type { Slot } from "./slot.ts";

export type WantState = "new" | "waiting" | "served" | "failed" | "cancelled";

/** Whom a wait is for. One of the two is called, once for each wait. */
export interface Waiter<C> {
  given(slot: Slot<C>): void;
  /** In the place of `given`: a connection that serves another, behind which there is room. Only where `canFollow`. */
  follows?(slot: Slot<C>): void;
  refused(error: Error): void;
}

export class WantConn<C, T = unknown> {
  readonly key: string;
  /** What the transport must know to dial for it. */
  readonly target: T;
  state: WantState = "new";
  /** The dial in progress that it counts on: one started for it, or one adopted. Null while it owns no slot. */
  dial: Slot<C> | null = null;
  /** It may be sent behind another request, on a connection that serves that. */
  canFollow = false;

  /** @internal The batch of turns that was open when it asked: a reused connection must be polled after that. */
  batch = 0;
  /** @internal It takes no idle connection, only what was dialed for it. */
  fresh = false;
  /** @internal Its place among all who wait for the key. */
  readonly line: Link<WantConn<C, T>>;
  /** @internal Its place among those who wait without a dial. */
  readonly bare: Link<WantConn<C, T>>;
  readonly #waiter: Waiter<C>;

  constructor(key: string, waiter: Waiter<C>, target: T) {
    this.key = key;
    this.target = target;
    this.#waiter = waiter;
    this.line = new Link<WantConn<C, T>>(this);
    this.bare = new Link<WantConn<C, T>>(this);
  }

  /** @internal It joins the queue: for the first time, or again after its connection died. */
  wait(batch: number, fresh: boolean): void {
    if (this.state !== "new" && this.state !== "served") {
      throw new InvariantError(`Cannot wait for connection: this wait is ${this.state}`);
    }
    this.state = "waiting";
    this.batch = batch;
    this.fresh = fresh;
  }

  /** @internal Hands it a connection, which is busy from now on; false where it waits no more. */
  deliver(slot: Slot<C>): boolean {
    if (!this.#settle("served")) return false;
    this.#waiter.given(slot);
    return true;
  }

  /** @internal Gives it a place on a connection that serves another; false where it waits no more. */
  deliverBehind(slot: Slot<C>): boolean {
    if (!this.#settle("served")) return false;
    this.#waiter.follows?.(slot);
    return true;
  }

  /** @internal Ends the wait; false where it had ended already. */
  fail(error: Error): boolean {
    if (!this.#settle("failed")) return false;
    this.#waiter.refused(error);
    return true;
  }

  /** @internal Ends the wait without a word: who cancels knows why. */
  cancel(): boolean {
    return this.#settle("cancelled");
  }

  #settle(state: WantState): boolean {
    if (this.state !== "waiting") return false;
    this.state = state;
    return true;
  }
}
