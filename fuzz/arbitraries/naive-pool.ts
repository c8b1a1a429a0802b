/**
 * The pool as one would write it in an hour: arrays, searched from the front for every question. It follows the same
 * rules as lib/pool, shares none of its code, and writes the same log, line by line, so that the two can be compared.
 *
 * What it does not know: linked lists, cursors, counters kept beside lists, entries of keys that come and go.
 */

import type { PoolLimits } from "../../lib/pool/pool-hooks.ts";

const slowDialMs = 250;

export interface NaiveWant {
  readonly name: string;
  readonly key: string;
  state: "waiting" | "served" | "failed" | "cancelled";
  batch: number;
  fresh: boolean;
  dial: NaiveSlot | null;
}

export interface NaiveSlot {
  readonly number: number;
  readonly key: string;
  state: "dialing" | "idle" | "busy" | "closed";
  reused: boolean;
  since: number;
  idleBatch: number;
  idleMs: number;
  /** Dialing, and nobody counts on it: why. */
  loose: "spare" | "detached" | null;
  /** Busy: whom it was lent to. */
  holder: NaiveWant | null;
}

export class NaivePool {
  readonly limits: PoolLimits;
  readonly log: string[] = [];
  now = 1_000;
  batch = 0;
  /** All who wait, of all keys, in order. */
  waiting: NaiveWant[] = [];
  /** Those without a dial, in the order in which they get one. */
  bare: NaiveWant[] = [];
  readonly slots: NaiveSlot[] = [];
  /** Idle ones of all keys, least recently used first. */
  idle: NaiveSlot[] = [];
  /** Dials that nobody counts on, in the order in which they came to that. */
  loose: NaiveSlot[] = [];
  turns: { key: string; batch: number }[] = [];
  closeIdleCalled = false;
  closed: string | null = null;
  /** Keys that hold anything, in the order in which they came to. */
  readonly #order = new Set<string>();
  /** What a want does when it is served; the pool is called from inside of its own call then. */
  onServed: (want: NaiveWant, slot: NaiveSlot) => void = () => {};
  /** What it does when its wait fails, likewise. */
  onFailed: (want: NaiveWant) => void = () => {};
  /** What is done when a dial is given up. */
  onAbandoned: (slot: NaiveSlot) => void = () => {};

  constructor(limits: PoolLimits) {
    this.limits = limits;
  }

  get(name: string, key: string): NaiveWant {
    const want: NaiveWant = { name, key, state: "waiting", batch: this.batch, fresh: false, dial: null };
    this.closeIdleCalled = false;
    if (this.closed !== null) this.#fail(want, this.closed);
    else {
      this.#order.add(key);
      this.waiting.push(want);
      this.bare.push(want);
      this.#mend(key);
    }
    return want;
  }

  retry(want: NaiveWant, slot: NaiveSlot, fresh: boolean): void {
    Object.assign(want, { state: "waiting", batch: this.batch, fresh });
    if (this.closed !== null) {
      this.remove(slot);
      return this.#fail(want, this.closed);
    }
    this.#order.add(want.key);
    this.waiting.unshift(want);
    this.bare.unshift(want);
    if (slot.state === "closed") this.#mend(want.key);
    else this.remove(slot);
  }

  cancel(want: NaiveWant): boolean {
    if (want.state !== "waiting") return false;
    want.state = "cancelled";
    const dial = this.#leave(want);
    if (dial !== null) this.#orphan(dial);
    for (;;) {
      const detached = this.loose.filter((s) => s.key === want.key && s.loose === "detached");
      if (detached.length <= Math.max(1, this.#waitingFor(want.key).length)) break;
      this.#abandon(detached.at(-1)!);
    }
    this.#mend(want.key);
    return true;
  }

  dialed(slot: NaiveSlot): void {
    const want = this.waiting.find((w) => w.dial === slot);
    this.loose = this.loose.filter((s) => s !== slot);
    slot.loose = null;
    if (want !== undefined && !slot.reused) {
      this.#leave(want);
      this.#lend(slot, want);
    } else {
      if (want !== undefined) this.#unbind(want);
      this.#park(slot, null);
    }
    this.#mend(slot.key);
  }

  dialFailed(slot: NaiveSlot, message: string): void {
    const want = this.waiting.find((w) => w.dial === slot);
    this.loose = this.loose.filter((s) => s !== slot);
    slot.state = "closed";
    if (want !== undefined && slot.reused) this.#unbind(want);
    else if (want !== undefined) {
      this.#leave(want);
      this.#fail(want, message);
    }
    this.#mend(slot.key);
  }

  put(slot: NaiveSlot, hintMs: number | null): void {
    this.#park(slot, hintMs);
    this.#mend(slot.key);
  }

  remove(slot: NaiveSlot): void {
    if (slot.state === "closed") return;
    const want = this.waiting.find((w) => w.dial === slot);
    if (want !== undefined) this.#unbind(want);
    this.idle = this.idle.filter((s) => s !== slot);
    this.loose = this.loose.filter((s) => s !== slot);
    slot.state = "closed";
    this.#mend(slot.key);
  }

  expire(slot: NaiveSlot): void {
    if (slot.state !== "idle" || slot.idleMs === 0) return;
    const left = slot.since + slot.idleMs - this.now;
    if (left > 0) this.#say(`idle ${slot.number} for ${Math.min(left, slot.idleMs)}`);
    else {
      this.#shut(slot, "idle-timeout");
      this.#mend(slot.key);
    }
  }

  closeIdle(): void {
    this.closeIdleCalled = true;
    for (const slot of this.idle) this.#shut(slot, "close-idle-connections");
    for (const slot of this.slots) {
      if (slot.state === "dialing" && !this.waiting.some((w) => w.dial === slot)) this.#abandon(slot);
    }
    this.#mendAll();
  }

  close(message: string): void {
    if (this.closed !== null) return;
    this.closed = message;
    for (const key of [...this.#order]) {
      const inOrder = () => [...this.#wants(key), ...this.waiting.filter((w) => w.key === key && w.fresh)];
      for (let want = inOrder()[0]; want !== undefined; want = inOrder()[0]) {
        this.#leave(want);
        this.#fail(want, message);
      }
    }
    for (const slot of this.slots) if (slot.state === "dialing") this.#abandon(slot);
    for (const slot of this.idle) this.#shut(slot, "transport-closed");
    this.#mendAll();
  }

  closeBatch(): void {
    this.batch++;
  }

  endTurns(): void {
    const due = this.turns.filter((t) => t.batch < this.batch);
    this.turns = this.turns.filter((t) => t.batch >= this.batch);
    for (const { key, batch } of due) this.#endTurn(key, batch);
  }

  #endTurn(key: string, batch: number): void {
    for (;;) {
      const want = this.#wants(key)[0];
      const slot = this.idle.filter((s) => s.key === key && s.idleBatch <= batch).at(-1);
      if (want === undefined || want.batch > batch || slot === undefined) break;
      if (slot.idleMs > 0 && this.now - slot.since >= slot.idleMs) {
        this.#shut(slot, "idle-timeout");
        continue;
      }
      this.idle = this.idle.filter((s) => s !== slot);
      const dial = this.#leave(want);
      if (dial !== null) this.#bequeath(dial, "spare");
      this.#lend(slot, want);
    }
    this.#mend(key);
  }

  #mend(key: string): void {
    const fresh = () => this.bare.find((w) => w.key === key && w.fresh);
    const idleOf = () => this.idle.filter((s) => s.key === key);
    for (let want = fresh(); want !== undefined; want = fresh()) {
      if (this.#slotIsFree(key)) this.#dial(want);
      else if (idleOf().length === 0) break;
      else this.#shut(idleOf()[0]!, "too-many-idle-per-host");
    }
    for (let want = this.#uncovered(key); want !== null; want = this.#uncovered(key)) {
      const loose = this.#lastLoose(key);
      if (loose !== undefined && this.#worthWaitingFor(loose)) {
        this.loose = this.loose.filter((s) => s !== loose);
        this.#bind(want, loose);
        this.#say(`attach ${loose.number}`);
      } else if (this.#slotIsFree(key)) this.#dial(want);
      else break;
    }
    const wanted = this.#wants(key).length;
    if (wanted > 0 && idleOf().length > 0 && !this.turns.some((t) => t.key === key && t.batch === this.batch)) {
      this.turns.push({ key, batch: this.batch });
    }
    if (this.closeIdleCalled && this.#waitingFor(key).length === 0) {
      while (idleOf().length > 0) this.#shut(idleOf().at(-1)!, "close-idle-connections");
      for (let loose = this.#lastLoose(key); loose !== undefined; loose = this.#lastLoose(key)) this.#abandon(loose);
    }
    while (idleOf().length > this.limits.maxIdleConnsPerHost + wanted) {
      this.#shut(idleOf().at(-1)!, "too-many-idle-per-host");
    }
    while (this.limits.maxIdleConns > 0 && this.idle.length - this.#claimed() > this.limits.maxIdleConns) {
      const oldest = this.idle[0]!;
      if (this.idle.filter((s) => s.key === oldest.key).length <= this.#wants(oldest.key).length) break;
      this.#shut(oldest, "too-many-idle");
    }
    for (const each of [...this.#order]) {
      if (this.#waitingFor(each).length + this.#live(each).length > 0) continue;
      this.#order.delete(each);
      this.turns = this.turns.filter((turn) => turn.key !== each); // for nobody: who comes next asks for his own
    }
  }

  #mendAll(): void {
    for (const key of [...this.#order]) this.#mend(key);
  }

  /** How many of the idle ones will be taken at the next turns. */
  #claimed(): number {
    return [...this.#order].reduce(
      (sum, key) => sum + Math.min(this.#wants(key).length, this.idle.filter((s) => s.key === key).length),
      0,
    );
  }

  #uncovered(key: string): NaiveWant | null {
    const bare = this.bare.filter((w) => w.key === key && !w.fresh);
    const missing = bare.length - this.idle.filter((s) => s.key === key).length;
    if (missing <= 0) return null;
    return (missing === 1 ? bare.at(-1) : bare[0]) ?? null;
  }

  #lastLoose(key: string): NaiveSlot | undefined {
    const mine = this.loose.filter((s) => s.key === key);
    return mine.filter((s) => s.loose === "detached").at(-1) ?? mine.at(-1);
  }

  #wants(key: string): NaiveWant[] {
    return this.waiting.filter((w) => w.key === key && !w.fresh);
  }

  #waitingFor(key: string): NaiveWant[] {
    return this.waiting.filter((w) => w.key === key);
  }

  #live(key: string): NaiveSlot[] {
    return this.slots.filter((s) => s.key === key && s.state !== "closed");
  }

  #slotIsFree(key: string): boolean {
    return this.limits.maxConnsPerHost === 0 || this.#live(key).length < this.limits.maxConnsPerHost;
  }

  #worthWaitingFor(dial: NaiveSlot): boolean {
    return !this.#slotIsFree(dial.key) || this.now - dial.since < slowDialMs;
  }

  get #pooling(): boolean {
    return this.limits.keepAlive && this.limits.maxIdleConnsPerHost > 0;
  }

  #bind(want: NaiveWant, slot: NaiveSlot): void {
    want.dial = slot;
    slot.loose = null;
    this.bare = this.bare.filter((w) => w !== want);
  }

  #unbind(want: NaiveWant): void {
    want.dial = null;
    this.bare.unshift(want);
  }

  #leave(want: NaiveWant): NaiveSlot | null {
    const { dial } = want;
    want.dial = null;
    this.waiting = this.waiting.filter((w) => w !== want);
    this.bare = this.bare.filter((w) => w !== want);
    return dial;
  }

  #dial(want: NaiveWant): void {
    const slot: NaiveSlot = {
      ...{ number: this.slots.length + 1, key: want.key, state: "dialing", reused: false, since: this.now },
      ...{ idleBatch: 0, idleMs: 0, loose: null, holder: null },
    };
    this.slots.push(slot);
    this.#bind(want, slot);
    this.#say(`dial ${slot.number} for ${want.name}`);
  }

  #orphan(slot: NaiveSlot): void {
    const waiting = this.#waitingFor(slot.key).length;
    if (!this.#pooling || this.closed !== null || (this.closeIdleCalled && waiting === 0)) this.#abandon(slot);
    else this.#bequeath(slot, "detached");
  }

  #bequeath(slot: NaiveSlot, why: "spare" | "detached"): void {
    slot.reused = true;
    const waiting = this.#waitingFor(slot.key).length;
    const heir = this.#uncovered(slot.key);
    if (heir !== null && this.#worthWaitingFor(slot)) return this.#bind(heir, slot);
    const detached = this.loose.filter((s) => s.key === slot.key && s.loose === "detached").length;
    if (why === "detached" && detached >= Math.max(1, waiting)) return this.#abandon(slot);
    slot.loose = why;
    this.loose.push(slot);
    this.#say(`detach ${slot.number}`);
  }

  #abandon(slot: NaiveSlot): void {
    slot.state = "closed";
    this.loose = this.loose.filter((s) => s !== slot);
    this.#say(`abandon ${slot.number}`);
    this.onAbandoned(slot);
  }

  #park(slot: NaiveSlot, hintMs: number | null): void {
    slot.reused = true;
    slot.holder = null;
    const idle = this.idle.filter((s) => s.key === slot.key).length;
    if (this.closed !== null) return this.#shut(slot, "transport-closed");
    if (!this.#pooling) return this.#shut(slot, "keep-alive-disabled");
    if (this.closeIdleCalled && this.#waitingFor(slot.key).length === 0) {
      return this.#shut(slot, "close-idle-connections");
    }
    if (idle >= this.limits.maxIdleConnsPerHost + this.#wants(slot.key).length) {
      return this.#shut(slot, "too-many-idle-per-host");
    }
    const times = [this.limits.idleTimeoutMs, hintMs ?? 0].filter((ms) => ms > 0);
    slot.idleMs = times.length === 0 ? 0 : Math.min(...times);
    Object.assign(slot, { state: "idle", since: this.now, idleBatch: this.batch });
    this.idle.push(slot);
    this.#say(`idle ${slot.number}${slot.idleMs === 0 ? "" : ` for ${slot.idleMs}`}`);
  }

  #shut(slot: NaiveSlot, reason: string): void {
    slot.state = "closed";
    this.idle = this.idle.filter((s) => s !== slot);
    this.#say(`close ${slot.number}: ${reason}`);
  }

  #lend(slot: NaiveSlot, want: NaiveWant): void {
    want.state = "served";
    slot.state = "busy";
    slot.since = this.now;
    slot.holder = want;
    this.#say(`${want.name} has ${slot.number}${slot.reused ? " (reused)" : ""}`);
    this.onServed(want, slot);
  }

  #fail(want: NaiveWant, message: string): void {
    want.state = "failed";
    this.#say(`${want.name} failed: ${message}`);
    this.onFailed(want);
  }

  #say(line: string): void {
    this.log.push(line);
  }
}
