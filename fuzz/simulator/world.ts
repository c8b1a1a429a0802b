/**
 * The world of one run: its time, its chances, and the order in which everything happens in it. It turns as an event loop
 * does: a poll delivers what has arrived, then deadlines fire that were due before it, then turns of the loop. Between any
 * two of these, all promises settle that can. Within a poll the order is drawn; on one way of one connection it stands.
 *
 * Everything that the run does comes from here or from what this called, so the same seed gives the same run: the log
 * says so byte for byte.
 *
 * Owns:  the clock, the chances, the events under way, the log.
 * Never: waits for real time. A step of its own in the real loop only lets promises settle.
 */

import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type Chance, seeded } from "../../spec/support/seeded.ts";

interface Event {
  readonly at: number;
  /** Breaks ties: drawn, but in order on one channel. */
  readonly order: number;
  readonly run: () => void;
}

/** Immediates asked for at once. Between any two of them all microtasks and ticks run, and no poll of the real loop. */
const IMMEDIATES = 64;
let asked = 0;
let settled: (() => void) | null = null;

const tick = (): void => {
  asked--;
  const resolve = settled;
  settled = null;
  resolve?.();
};

/** Calls back when all microtasks and ticks have run. A world waits for one thing at a time, and worlds take turns. */
function whenSettled(resolve: () => void): void {
  if (settled !== null) throw new Error("Two worlds turn at once");
  settled = resolve;
  if (asked > 0) return;
  asked = IMMEDIATES;
  for (let i = 0; i < IMMEDIATES; i++) setImmediate(tick);
}

const LEAPS_MS = [5, 100, 1_000, 100_000] as const;
/** The last lines of the log that a failure shows. */
const LINES_KEPT = 400;
/** Polls after which a run has lost its way. */
const POLLS_MAX = 2_000_000;

export class World {
  readonly clock = new VirtualClock();
  readonly chance: Chance;
  /** Called between any two steps; what it throws ends the run. */
  watch: () => void = () => {};
  /** Called at the end of each poll. */
  polled: () => void = () => {};
  polls = 0;
  steps = 0;
  /** The most that an arrival takes, in ms; 0: all arrive with the next poll. */
  delayMs: number;
  /** At one poll in so many, time has leapt: the loop was blocked, or the machine slept. 0: never. */
  leapEvery = 0;
  readonly #leaps: { readonly from: number; readonly to: number }[] = [];
  readonly #events: Event[] = [];
  #closedBatch: (() => void)[] = [];
  #failure: { error: unknown } | null = null;
  readonly #everyLine: string[] | null;
  readonly #lines: string[] = [];
  #hash = 0x811c9dc5;
  #hash2 = 0;
  /** The time as the log writes it: many lines share it. */
  #stampedAt = -1;
  #stamp = "";

  constructor(seed: number, { delayMs = 0, keepLog = false } = {}) {
    this.chance = seeded(seed);
    this.delayMs = delayMs;
    this.#everyLine = keepLog ? [] : null;
  }

  get now(): number {
    return this.clock.now();
  }

  // ---- chances

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.chance.below(n) === 0;
  }

  between(low: number, high: number): number {
    return low + this.chance.below(high - low + 1);
  }

  // ---- time

  /** When what is due at `at` can be seen to at the earliest: behind the leap that went over it, if one did. */
  seenTo(at: number): number {
    return this.#leaps.find(({ from, to }) => from < at && at < to)?.to ?? at;
  }

  // ---- events

  /** Runs something in a poll, `ms` from now or later. */
  after(ms: number, run: () => void): void {
    this.#push({ at: this.now + ms, order: this.chance.next(), run });
  }

  /** A way on which things arrive in the order in which they were sent, each after a time of its own. */
  channel(): (run: () => void) => void {
    let lastAt = 0;
    let lastOrder = 0;
    return (run) => {
      const at = Math.max(lastAt, this.now + this.#delay());
      lastOrder = at === lastAt ? lastOrder + Number.EPSILON * 4 : this.chance.next();
      lastAt = at;
      this.#push({ at, order: lastOrder, run });
    };
  }

  /** Resolves `ms` from now, in a poll. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  #delay(): number {
    if (this.delayMs === 0 || this.chance.below(2) === 0) return 0;
    if (this.chance.below(200) === 0) return this.delayMs * 50;
    return this.chance.next() * this.delayMs;
  }

  // ---- the log

  log(line: string): void {
    if (this.now !== this.#stampedAt) {
      this.#stampedAt = this.now;
      this.#stamp = this.now.toFixed(3);
    }
    const stamped = `${this.#stamp} ${line}`;
    let hash = this.#hash;
    for (let i = 0; i < stamped.length; i++) hash = Math.imul(hash ^ stamped.charCodeAt(i), 0x01000193);
    this.#hash = hash;
    this.#hash2 = (Math.imul(this.#hash2, 31) + hash) | 0;
    if (this.#everyLine !== null) this.#everyLine.push(stamped);
    else if (this.#lines.push(stamped) > 2 * LINES_KEPT) this.#lines.splice(0, LINES_KEPT);
  }

  /** The log as far as it was kept, oldest first. */
  get lines(): readonly string[] {
    return this.#everyLine ?? this.#lines.slice(-LINES_KEPT);
  }

  /** Stands for the whole log. */
  get fingerprint(): string {
    return `${(this.#hash >>> 0).toString(16)}-${(this.#hash2 >>> 0).toString(16)}`;
  }

  // ---- turning

  /** Ends the run with an error, from wherever it is found. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /**
   * Turns until nothing is left that could happen, or `done`.
   *
   * @throws what `watch`, `polled` or `fail` said
   */
  async run(done: () => boolean): Promise<void> {
    await this.#settle();
    while (!done()) {
      if (++this.polls > POLLS_MAX) throw new Error(`Nothing came to an end within ${POLLS_MAX} polls`);
      if (!this.#moveOn()) return;
      for (const event of this.#arrived()) await this.#step(event.run);
      for (const fire of this.clock.due()) await this.#step(fire);
      const turns = this.#closedBatch;
      this.#closedBatch = this.clock.closeBatch();
      for (const turn of turns) await this.#step(turn);
      this.polled();
      this.#throwFailure();
    }
  }

  /** Moves time to where something can happen; false where nothing can. */
  #moveOn(): boolean {
    if (this.#closedBatch.length > 0 || this.clock.turning > 0) {
      // A turn of the loop takes a moment: what arrives in it is read first.
      if (this.delayMs > 0 && this.chance.below(4) === 0) this.#moveTo(this.now + this.chance.next() / 4);
      return true;
    }
    const event = this.#events[0]?.at ?? Number.POSITIVE_INFINITY;
    const next = Math.min(event, this.clock.nextAt ?? Number.POSITIVE_INFINITY);
    if (next === Number.POSITIVE_INFINITY) return false;
    if (this.leapEvery > 0 && this.oneIn(this.leapEvery)) {
      // What has come meanwhile is read before what became due meanwhile.
      const from = this.now;
      this.clock.moveTo(next + this.chance.pick(LEAPS_MS) * this.chance.next());
      this.#leaps.push({ from, to: this.now });
      this.log("time has leapt");
    } else this.#moveTo(next);
    return true;
  }

  /** But in a leap, deadlines are never passed by: none fires later than it is due. */
  #moveTo(at: number): void {
    this.clock.moveTo(Math.min(at, this.clock.nextAt ?? at));
  }

  async #step(run: () => void): Promise<void> {
    this.steps++;
    run();
    await this.#settle();
    this.watch();
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  #settle(): Promise<void> {
    return new Promise(whenSettled);
  }

  /** Takes what has arrived by now. What arrives meanwhile is for the next poll. */
  #arrived(): Event[] {
    const arrived: Event[] = [];
    while (this.#events.length > 0 && this.#events[0]!.at <= this.now) arrived.push(this.#pop());
    return arrived;
  }

  #push(event: Event): void {
    const heap = this.#events;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!before(event, heap[above]!)) break;
      heap[index] = heap[above]!;
      index = above;
    }
    heap[index] = event;
  }

  #pop(): Event {
    const heap = this.#events;
    const first = heap[0]!; // asked only where there is one
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below++;
      if (!before(heap[below]!, last)) break;
      heap[index] = heap[below]!;
      index = below;
    }
    heap[index] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
