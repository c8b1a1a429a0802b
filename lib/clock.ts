/**
 * Time: the only file that sets timers, asks for turns of the loop, or reads a clock. Handed to Client, Transport and
 * PersistConn, and replaced whole in specs by a virtual one.
 */

import { performance } from "node:perf_hooks";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import { detached, throwLater } from "./boundary.ts";
import { InvariantError } from "./errors.ts";

export interface Clock {
  /** Monotonic milliseconds, with fractions. */
  now(): number;
  /** Milliseconds since the epoch; goes on while the machine sleeps. */
  wallNow(): number;
  /**
   * Calls `fire` once, `ms` after now. `ms` 0 makes a disarmed deadline, to be armed with `reset`.
   * Never early; late by at most 10 ms or 1 % on a free loop. Before a due deadline fires, the loop polls once, so that
   * an answer which already waits is not called late: what it does may still cancel or reset the deadline.
   * A deadline does not keep the process alive unless `keepAlive` is set.
   */
  deadline(ms: number, fire: () => void, options?: { keepAlive?: boolean }): Deadline;
  /**
   * Calls `fire` after one full poll of the event loop (two `setImmediate`s with the poll between them). Who asks before
   * the first of them ran shares it: they stand in one batch, and are called in the order in which they asked.
   * `fire` gets the number of its batch; see `batch`.
   */
  turn(fire: (batch: number) => void): void;
  /**
   * The number of the batch that a turn asked for now would belong to. Numbers grow by one whenever a batch closes, so
   * what was stamped with `batch` b has seen a full poll when a turn of a batch ≥ b fires.
   */
  readonly batch: number;
  /**
   * Keeps the process alive until as many `release` as `hold` were called. Of many holds at once only the first costs
   * more than a count, which is why busy connections use it and not their sockets' own `ref`.
   */
  hold(): void;
  release(): void;
}

export interface Deadline {
  /**
   * Arms it anew, `ms` from `now` (default: the clock's); 0 disarms it. Cheap: a deadline that only moves later is left
   * where it stands and looked at when its old time comes.
   */
  reset(ms: number, now?: number): void;
  /** Takes it off the clock for good. Idempotent. */
  cancel(): void;
}

/** The time of a disarmed deadline. */
const NEVER = Number.POSITIVE_INFINITY;

/** Longer delays make setTimeout fire at once; one that is cut off here is looked at again when it fires. */
const TIMER_MS_MAX = 2 ** 30;

// Taken when the module is loaded: test frameworks replace the methods, not what was bound before.
const monotonic = performance.now.bind(performance);
const wall = Date.now;

/**
 * The real clock: one timer for all deadlines, one pair of immediates for all turns of a batch.
 *
 * A deadline stands in a heap by its linked time, which is never later than its due time. `reset()` to a later time and
 * disarming only store; the heap learns of it when the linked time comes. The timer may therefore stand too early, never
 * too late. `cancel()` takes out of the heap, so what is over is not kept for the rest of its five minutes.
 *
 * The timer and the immediates belong to no call: they are made in the async context of the program's start.
 *
 * Invariant: the heap is empty (a timer may stand then that only keeps the process alive), or an immediate to fire what
 * is due is on its way, or the timer stands at or before the first linked time.
 */
export class SystemClock implements Clock {
  readonly #heap: SystemDeadline[] = [];
  #timer: NodeJS.Timeout | null = null;
  /** When the timer fires; NEVER without one, or with one that only keeps the process alive; -1 while due deadlines wait for their poll, when nothing may be armed. */
  #timerAt = NEVER;
  /** Armed deadlines that keep the process alive, and 1 while anything is held. */
  #keepers = 0;
  #holds = 0;
  /** What was due when the timer fired: only that has seen a poll when the immediate runs. */
  #cutoff = 0;

  #batch = 1;
  #ticking = false;
  /** Who asked since the last tick; who stood in the batch that closed at it; an empty list to take turns with. */
  #open: ((batch: number) => void)[] = [];
  #closed: ((batch: number) => void)[] = [];
  #spare: ((batch: number) => void)[] = [];

  now(): number {
    return monotonic();
  }

  wallNow(): number {
    return wall();
  }

  deadline(ms: number, fire: () => void, options?: { keepAlive?: boolean }): Deadline {
    const deadline = new SystemDeadline(this, fire, options?.keepAlive === true);
    deadline.reset(ms);
    return deadline;
  }

  get batch(): number {
    return this.#batch;
  }

  hold(): void {
    if (++this.#holds > 1) return;
    this.keep(1);
    if (this.#timer === null && this.#timerAt === NEVER) this.#arm(NEVER); // what is due soon arms one itself
  }

  release(): void {
    if (--this.#holds === 0) this.keep(-1);
  }

  turn(fire: (batch: number) => void): void {
    this.#open.push(fire);
    if (this.#ticking) return;
    this.#ticking = true;
    detached(setImmediate, this.#tick);
  }

  /**
   * One check phase of the loop: the batch that closed a poll ago is called, the open one closes. Immediates asked for
   * here run in the next check phase, so between two ticks lies one full poll, and one tick serves two batches.
   */
  readonly #tick = (): void => {
    const due = this.#closed;
    const number = this.#batch - 1;
    this.#closed = this.#open;
    this.#open = this.#spare;
    if (this.#closed.length > 0) this.#batch++;
    for (let i = 0; i < due.length; i++) {
      try {
        due[i]!(number);
      } catch (error) {
        throwLater(error);
      }
    }
    due.length = 0;
    this.#spare = due;
    if (this.#closed.length > 0 || this.#open.length > 0) setImmediate(this.#tick);
    else this.#ticking = false;
  };

  /** Takes a deadline into the heap, or moves it forward in it. @internal */
  link(deadline: SystemDeadline): void {
    if (deadline.index < 0) deadline.index = this.#heap.push(deadline) - 1;
    deadline.linked = deadline.due;
    this.#up(deadline);
    if (deadline.linked < this.#timerAt) this.#arm(deadline.linked);
  }

  /** Takes a deadline out of the heap. @internal */
  unlink(deadline: SystemDeadline): void {
    const last = this.#heap.pop()!; // the deadline stands in the heap, so it is not empty
    if (last !== deadline) {
      last.index = deadline.index;
      this.#heap[last.index] = last;
      this.#up(last);
      this.#down(last);
    }
    deadline.index = -1;
  }

  /** Counts what keeps the process alive: armed deadlines that do, and all holds as one. @internal */
  keep(change: 1 | -1): void {
    this.#keepers += change;
    if (this.#timer === null) return;
    if (this.#keepers === 0) this.#timer.unref();
    else if (change === 1 && this.#keepers === 1) this.#timer.ref();
  }

  #arm(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    // One more than needed: timers count whole milliseconds from the loop's own, slightly older time.
    const ms = Math.min(Math.ceil(at - monotonic()) + 1, TIMER_MS_MAX);
    this.#timer = detached(setTimeout, this.#timerFired, ms);
    if (this.#keepers === 0) this.#timer.unref();
  }

  readonly #timerFired = (): void => {
    this.#timer = null;
    this.#timerAt = NEVER;
    const now = monotonic();
    if (this.#firstIsDue(now)) {
      // After a blocked loop the timers run before the sockets are read: the answer that ends the wait may lie there.
      this.#cutoff = now;
      this.#timerAt = -1;
      setImmediate(this.#fireDue);
    } else {
      this.#armNext();
    }
  };

  /** Runs one poll after the timer. What became due since then waits for the next time. */
  readonly #fireDue = (): void => {
    const due: SystemDeadline[] = [];
    while (this.#firstIsDue(this.#cutoff)) {
      const first = this.#heap[0]!; // #firstIsDue looked at it
      this.unlink(first);
      due.push(first);
    }
    for (const deadline of due) {
      // One that fired before may have reset this one (it is linked again) or cancelled it (it is due never).
      if (deadline.index < 0 && deadline.due <= this.#cutoff) deadline.expire();
    }
    this.#timerAt = NEVER;
    this.#armNext();
  };

  /** For the first deadline; without one, for as long as timers go, where somebody keeps the process alive. */
  #armNext(): void {
    const first = this.#heap[0];
    if (first !== undefined) this.#arm(first.linked);
    else if (this.#keepers > 0) this.#arm(NEVER);
  }

  /** Whether the first deadline is due at `now`; moves those to their place that were reset since they were linked. */
  #firstIsDue(now: number): boolean {
    for (let first = this.#heap[0]; first !== undefined && first.linked <= now; first = this.#heap[0]) {
      if (first.due <= now) return true;
      if (first.due === NEVER) {
        this.unlink(first);
      } else {
        first.linked = first.due;
        this.#down(first);
      }
    }
    return false;
  }

  #up(deadline: SystemDeadline): void {
    const heap = this.#heap;
    let index = deadline.index;
    while (index > 0) {
      const above = heap[(index - 1) >> 1]!; // within the heap by its shape
      if (above.linked <= deadline.linked) break;
      heap[index] = above;
      above.index = index;
      index = (index - 1) >> 1;
    }
    heap[index] = deadline;
    deadline.index = index;
  }

  #down(deadline: SystemDeadline): void {
    const heap = this.#heap;
    let index = deadline.index;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && heap[below + 1]!.linked < heap[below]!.linked) below++;
      const child = heap[below]!; // below < heap.length
      if (child.linked >= deadline.linked) break;
      heap[index] = child;
      child.index = index;
      index = below;
    }
    heap[index] = deadline;
    deadline.index = index;
  }
}

/** One deadline of the system clock. Its fields are the heap's, which is why they are not private. */
class SystemDeadline implements Deadline {
  /** When it fires; NEVER when disarmed. */
  due = NEVER;
  /** Where it stands in the heap, by time and by place; -1 when it is not in it. */
  linked = 0;
  index = -1;
  readonly #clock: SystemClock;
  readonly #fire: () => void;
  readonly #keepAlive: boolean;
  #cancelled = false;

  constructor(clock: SystemClock, fire: () => void, keepAlive: boolean) {
    this.#clock = clock;
    this.#fire = fire;
    this.#keepAlive = keepAlive;
  }

  reset(ms: number, now?: number): void {
    if (ms === 0 || this.#cancelled) {
      this.#disarm();
      return;
    }
    const due = (now === undefined ? monotonic() : now) + ms;
    // NaN would stand in the heap without an order; an endless wait needs no place in it.
    if (!(due < NEVER)) {
      if (Number.isNaN(due)) throw new InvariantError("Cannot arm a deadline: its time is not a number");
      this.#disarm();
      return;
    }
    if (this.#keepAlive && this.due === NEVER) this.#clock.keep(1);
    this.due = due;
    if (this.index < 0 || due < this.linked) this.#clock.link(this);
  }

  cancel(): void {
    this.#cancelled = true;
    this.#disarm();
    if (this.index >= 0) this.#clock.unlink(this);
  }

  /** Called by the clock, out of the heap already. */
  expire(): void {
    this.#disarm();
    try {
      this.#fire();
    } catch (error) {
      throwLater(error);
    }
  }

  #disarm(): void {
    if (this.due === NEVER) return;
    this.due = NEVER;
    if (this.#keepAlive) this.#clock.keep(-1);
  }
}

/** The clock of this process. */
export const systemClock: Clock = new SystemClock();

/** The clock of a round tripper that has one, as a Transport does and what stands around it should; else the real one. */
export function clockOf(owner: object): Clock {
  const { clock } = owner as { readonly clock?: Partial<Clock> }; // what is used of it is looked at
  return typeof clock?.now === "function" && typeof clock.deadline === "function" ? (clock as Clock) : systemClock;
}
