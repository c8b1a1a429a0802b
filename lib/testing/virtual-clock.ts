/**
 * Time that only moves when a test says so. `advance(ms)` fires what becomes due, in order, and lets promises, turns of
 * the clock and the real loop run between; `settle()` lets them run without moving time. Given to a Transport or a peer
 * as its clock, it drives every deadline that they set. Lives as long as whoever made it keeps it; owns no timer.
 *
 * It keeps the contract of the Clock that it stands for: a due deadline waits for a poll before it fires, a turn takes
 * one poll after its batch closed, batches are numbered. A "poll" here is a real one, after which all microtasks and
 * ticks have run.
 */

import { type Clock, type Deadline, systemClock } from "../clock.ts";

const NEVER = Number.POSITIVE_INFINITY;
/** The first of January 2026. */
const EPOCH_MS = 1_767_225_600_000;

/**
 * A clock that stands still until `advance()`.
 *
 * @param epoch what `wallNow()` says at time 0
 * @example
 * const clock = virtualClock();
 * const transport = new Transport({ dial: network.dial }, clock);
 * await clock.advance(300_000); // five minutes, at once
 */
export function virtualClock(epoch = EPOCH_MS): VirtualClock {
  return new VirtualClock(epoch);
}

export class VirtualClock implements Clock {
  #now = 0;
  readonly #epoch: number;
  readonly #deadlines = new Set<VirtualDeadline>();
  /** Deadlines with the same time fire in the order in which they were armed. */
  #armings = 0;
  #batch = 1;
  #asking: ((batch: number) => void)[] = [];

  /** @param epoch what `wallNow()` says at time 0 */
  constructor(epoch = EPOCH_MS) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#epoch + this.#now;
  }

  deadline(ms: number, fire: () => void, options?: { keepAlive?: boolean }): Deadline {
    const deadline = new VirtualDeadline(this, fire, options?.keepAlive === true);
    deadline.reset(ms);
    return deadline;
  }

  turn(fire: (batch: number) => void): void {
    this.#asking.push(fire);
  }

  get batch(): number {
    return this.#batch;
  }

  /** Holds that were not released: 0 when nothing would keep the process alive. */
  holds = 0;

  hold(): void {
    this.holds++;
  }

  release(): void {
    this.holds--;
  }

  /** Deadlines armed now: 0 when everybody cleaned up. */
  get armed(): number {
    return this.#deadlines.size;
  }

  /** Armed deadlines that would keep the process alive. */
  get keepingAlive(): number {
    return [...this.#deadlines].filter((deadline) => deadline.keepAlive).length;
  }

  /** Turns asked for that have not come yet. */
  get turning(): number {
    return this.#asking.length;
  }

  /** Milliseconds until the next deadline; null when none is armed. */
  get untilNext(): number | null {
    const first = this.#first();
    return first === null ? null : first.due - this.#now;
  }

  /** Moves time on by `ms`, through every deadline on the way. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await this.settle();
    for (let next = this.nextAt; next !== null && next <= target; next = this.nextAt) {
      this.moveTo(next);
      await this.settle();
      for (const fire of this.due()) fire();
      await this.settle();
    }
    this.#now = target;
    await this.settle();
  }

  /** Lets all promises and turns run that are ready, and those that they make ready. */
  async settle(): Promise<void> {
    await poll();
    while (this.#asking.length > 0) {
      const fire = this.closeBatch();
      await poll();
      for (const turn of fire) turn();
      await poll();
    }
  }

  // ---- for those who drive time themselves, step by step

  /** When the next deadline is due; null when none is armed. */
  get nextAt(): number | null {
    return this.#first()?.due ?? null;
  }

  /** Sets the time, never back, and fires nothing. */
  moveTo(at: number): void {
    this.#now = Math.max(this.#now, at);
  }

  /** What fires the deadlines that are due now, in this order; each does nothing where another has reset it meanwhile. */
  due(): (() => void)[] {
    const due = [...this.#deadlines].filter((deadline) => deadline.due <= this.#now).sort(inOrder);
    return due.map((deadline) => () => {
      if (deadline.due <= this.#now) deadline.expire();
    });
  }

  /** Ends the batch of turns that is open: those in it are to be called one poll later, in this order. */
  closeBatch(): (() => void)[] {
    const due = this.#asking;
    if (due.length === 0) return [];
    const number = this.#batch++;
    this.#asking = [];
    return due.map((fire) => () => fire(number));
  }

  /** @internal */
  link(deadline: VirtualDeadline): number {
    this.#deadlines.add(deadline);
    return this.#armings++;
  }

  /** @internal */
  unlink(deadline: VirtualDeadline): void {
    this.#deadlines.delete(deadline);
  }

  #first(): VirtualDeadline | null {
    let first: VirtualDeadline | null = null;
    for (const deadline of this.#deadlines) if (first === null || inOrder(deadline, first) < 0) first = deadline;
    return first;
  }
}

class VirtualDeadline implements Deadline {
  due = NEVER;
  order = 0;
  readonly keepAlive: boolean;
  readonly #clock: VirtualClock;
  readonly #fire: () => void;
  #cancelled = false;

  constructor(clock: VirtualClock, fire: () => void, keepAlive: boolean) {
    this.#clock = clock;
    this.#fire = fire;
    this.keepAlive = keepAlive;
  }

  reset(ms: number, now = this.#clock.now()): void {
    if (Number.isNaN(ms) || Number.isNaN(now)) throw new Error("A deadline was armed for NaN");
    this.#clock.unlink(this);
    this.due = NEVER;
    if (ms === 0 || this.#cancelled || now + ms === NEVER) return;
    this.due = now + ms;
    this.order = this.#clock.link(this);
  }

  cancel(): void {
    this.reset(0);
    this.#cancelled = true;
  }

  expire(): void {
    this.reset(0);
    this.#fire();
  }
}

function inOrder(a: VirtualDeadline, b: VirtualDeadline): number {
  return a.due - b.due || a.order - b.order;
}

function poll(): Promise<void> {
  return new Promise((resolve) => systemClock.turn(() => resolve()));
}
