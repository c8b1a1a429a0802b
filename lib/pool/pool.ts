/**
 * The pool: who gets which connection, when a dial starts, what stays idle and what goes. Lives as long as its transport.
 *
 * It decides synchronously and acts through hooks; it knows no socket, no timer and no promise. Every operation is O(1),
 * amortised, in the number of connections, waiters and keys (but for stats(), closeIdle() and close()).
 *
 * How a want is served. It joins the queue of its key. Where idle connections are enough for all who wait without a
 * dial, it stands for one turn of the loop, in which the connections stay watched, and takes the one used last that is
 * still alive (`#fire`). Where they are not, a dial starts for it; it may still win a connection that comes back before,
 * and then its dial goes on: to the next who waits without one, or into the pool. So there are never more connections
 * than there were requests at once, however dials and returns interleave.
 *
 * Each move changes lists and states first, then calls back, then ends in `#settle()`, which makes good whatever the
 * move left to be done for the key. What it calls may call the pool again; loops look at the lists anew after each call.
 *
 * Invariant (after each move, for each key):
 *   - dialing + idle + busy ≤ maxConnsPerHost, if that is set;
 *   - more wait without a dial than there are idle connections only where no slot is free and no dial is unbound;
 *   - where some wait and some are idle, a turn was asked that has not ended;
 *   - idle ≤ maxIdleConnsPerHost + those who wait and will take them; the same in all for maxIdleConns, until the turn
 *     of the least recently used one's key has ended;
 *   - a key without slot and want has no entry.
 */

import { type CloseReason, InvariantError } from "../errors.ts";
import type { IdleLessons } from "./idle-lessons.ts";
import { LinkedList } from "./linked-list.ts";
import { PerKey } from "./per-key.ts";
import type { KeyState, PoolHooks, PoolLimits, PoolStats } from "./pool-hooks.ts";
import { Slot } from "./slot.ts";
import type { WantConn } from "./want-conn.ts";

/**
 * A dial in progress for longer than this is not counted on by others than the one it was started for: it probably lost a
 * packet, and a dial of their own is likely to be faster. The delay after which RFC 8305 §5 tries another address.
 */
export const slowDialMs = 250;

export class Pool<C, T = unknown> {
  readonly #limits: PoolLimits;
  readonly #hooks: PoolHooks<C, T>;
  readonly #pooling: boolean;
  readonly #checking: boolean;
  readonly #lessons: IdleLessons | null;
  readonly #keys = new Map<string, PerKey<C, T>>();
  /** All idle connections, least recently used first. */
  readonly #lru = new LinkedList<Slot<C>>();
  /** All dials in progress. */
  readonly #dials = new LinkedList<Slot<C>>();
  /** Who counts on a dial; one that is missing here stands in `spare` or `detached` of its key. */
  readonly #boundTo = new Map<Slot<C>, WantConn<C, T>>();
  /** The sum of `claimed` over all keys. */
  #claimed = 0;
  /** closeIdle() was called, and no get() since. */
  #closeIdle = false;
  #closed: Error | null = null;
  #whenEmpty: (() => void)[] = [];
  /** How many calls to the outside are on the stack; the invariant is looked at when there is none. */
  #outside = 0;
  readonly #fire = (at: PerKey<C, T>, batch: number): void => this.#endTurn(at, batch);

  /**
   * @param options.check look at the invariant after each move, which takes O(everything): for specs and fuzzers
   * @param options.lessons says which idle connections are too old to be given out
   */
  constructor(
    limits: PoolLimits,
    hooks: PoolHooks<C, T>,
    options: { check?: boolean; lessons?: IdleLessons | null } = {},
  ) {
    this.#limits = limits;
    this.#hooks = hooks;
    this.#pooling = limits.keepAlive && limits.maxIdleConnsPerHost > 0;
    this.#checking = options.check ?? false;
    this.#lessons = options.lessons ?? null;
  }

  /**
   * Waits for a connection. After close() it fails at once, before this returns.
   *
   * @param fresh it takes no idle connection, but only what is dialed for it: who asks so has seen that a slot is free
   */
  get(want: WantConn<C, T>, fresh = false): void {
    if (want.state !== "new") throw new InvariantError(`Cannot wait for connection: this wait is ${want.state}`);
    this.#closeIdle = false;
    want.wait(this.#hooks.batch(), fresh);
    if (this.#closed !== null) {
      want.fail(this.#closed);
      return;
    }
    const at = this.#at(want.key);
    this.#queue(at, want).push(want);
    this.#settle(at);
  }

  /**
   * Its connection died and it may go again. Called in place of remove(): it waits in front of all others, and the slot
   * of its dead connection is its own. How often a request may go again is the caller's to bound.
   *
   * @param fresh it takes no idle connection this time, but only what is dialed for it
   */
  retry(want: WantConn<C, T>, slot: Slot<C>, fresh = false): void {
    want.wait(this.#hooks.batch(), fresh);
    if (this.#closed !== null) {
      this.remove(slot);
      want.fail(this.#closed);
      return;
    }
    const at = this.#at(want.key);
    (fresh ? at.freshWants : at.wants).unshift(want);
    if (slot.state === "closed") this.#settle(at);
    else this.remove(slot);
  }

  /**
   * Ends a wait (abort, time-out); false where it has ended already, and its connection is the caller's to see to.
   *
   * A dial outlives its want where another waits for the key, one dial for each of them, or as the only such dial of
   * the key: it is likely to be needed, and under load the handshakes of impatient callers are not thrown away for ever.
   * All others are destroyed at once, so that an unreachable host gathers no dials.
   */
  cancel(want: WantConn<C, T>): boolean {
    if (!want.cancel()) return false;
    const at = this.#at(want.key);
    const dial = this.#leave(at, want);
    if (dial !== null) this.#orphan(at, dial);
    for (let max = Math.max(1, at.waiting); at.detached.size > max; ) this.#abandon(at, at.detached.last!.item);
    this.#settle(at);
    return true;
  }

  /**
   * A dial has made its connection.
   *
   * @param shared many can use it at once: it goes to whoever counted on the dial and stays lent, for others to join, until
   *   it is put or removed
   */
  dialed(slot: Slot<C>, conn: C, shared = false): void {
    slot.conn = conn;
    if (slot.state === "closed") {
      this.#shut(slot, "dial-unwanted"); // it was abandoned, but had ended before it heard of that
      return;
    }
    if (slot.state !== "dialing") throw new InvariantError(`Cannot take dialed connection: its slot is ${slot.state}`);
    const at = this.#at(slot.key);
    const want = this.#endDial(at, slot);
    try {
      if (shared) {
        this.#lend(at, slot, this.#hooks.now());
        if (want !== null) {
          this.#leave(at, want);
          this.#deliver(want, slot);
        }
      } else if (want === null) this.#park(at, slot, null);
      else if (slot.reused) {
        at.wants.unbind(want); // it counted on another's dial: that goes into the pool, where the first in line takes it
        this.#park(at, slot, null);
      } else {
        this.#lend(at, slot, this.#hooks.now());
        this.#leave(at, want);
        this.#deliver(want, slot);
      }
    } finally {
      this.#settle(at);
    }
  }

  /** A dial has failed. The want it was started for hears of it; nobody else does. */
  dialFailed(slot: Slot<C>, error: Error): void {
    if (slot.state === "closed") return;
    if (slot.state !== "dialing") throw new InvariantError(`Cannot take failed dial: its slot is ${slot.state}`);
    const at = this.#at(slot.key);
    const want = this.#endDial(at, slot);
    slot.move("closed", this.#hooks.now());
    try {
      if (want !== null && slot.reused) at.wants.unbind(want);
      else if (want !== null) {
        this.#leave(at, want);
        this.#fail(want, error);
      }
    } finally {
      this.#settle(at);
    }
  }

  /**
   * The exchange has ended and the connection can serve another: it is idle from now on, or closed by a limit.
   *
   * @param hintMs how long the server said it keeps it; null or 0: it did not say
   */
  put(slot: Slot<C>, hintMs: number | null): void {
    if (slot.state !== "busy") throw new InvariantError(`Cannot put connection: its slot is ${slot.state}`);
    const at = this.#at(slot.key);
    this.#unlend(at, slot);
    this.#park(at, slot, hintMs);
    this.#settle(at);
  }

  /**
   * A lent connection may have room for a request behind those that it serves: `hooks.takesFollower` is asked when there
   * is one for it. Who could be given a slot of its own, or an idle connection, is never sent behind another.
   */
  hasRoom(slot: Slot<C>): void {
    if (slot.state !== "busy" || slot.side.list !== null) return;
    const at = this.#at(slot.key);
    at.roomy.push(slot.side);
    this.#settle(at);
  }

  /** Lends an idle connection out of turn: one that many share, by who looked after it since. False where it is not idle. */
  claim(slot: Slot<C>): boolean {
    if (slot.state !== "idle") return false;
    this.#closeIdle = false;
    const at = this.#at(slot.key);
    at.idle.remove(slot);
    this.#lend(at, slot, this.#hooks.now());
    this.#settle(at);
    return true;
  }

  /** Its connection is gone, whatever it was doing. Idempotent. The slot passes to the oldest who waits without a dial. */
  remove(slot: Slot<C>): void {
    if (slot.state === "closed") return;
    const at = this.#at(slot.key);
    if (slot.state === "busy") this.#unlend(at, slot);
    else if (slot.state === "idle") at.idle.remove(slot);
    else {
      const want = this.#endDial(at, slot);
      if (want !== null) this.#queue(at, want).unbind(want);
    }
    slot.move("closed", this.#hooks.now());
    this.#settle(at);
  }

  /** After 101 or CONNECT: the connection lives on, but is no longer ours. Gives its slot back. */
  release(slot: Slot<C>): void {
    if (slot.state !== "busy") throw new InvariantError(`Cannot release connection: its slot is ${slot.state}`);
    this.remove(slot);
  }

  /**
   * The deadline that `hooks.idle` asked for has fired. Closes the connection where it is still idle and really that old;
   * where the wall clock says otherwise (it has whole milliseconds, and may be set back) the deadline is asked anew.
   */
  expire(slot: Slot<C>): void {
    if (slot.state !== "idle" || slot.idleMs === 0) return;
    const left = slot.since + slot.idleMs - this.#hooks.now();
    if (left > 0) {
      this.#hooks.idle(slot, Math.min(left, slot.idleMs));
      return;
    }
    const at = this.#at(slot.key);
    this.#closeIdleOne(at, slot, "idle-timeout");
    this.#settle(at);
  }

  /** Closes what is idle, what comes back before the next get(), and the dials that nobody is bound to. */
  closeIdle(): void {
    this.#closeIdle = true;
    for (const slot of [...this.#lru]) {
      if (slot.state === "idle") this.#closeIdleOne(this.#at(slot.key), slot, "close-idle-connections");
    }
    // Whoever hears of an abandoned dial may cancel a want, and with that end another dial.
    for (const slot of [...this.#dials]) {
      if (slot.state === "dialing" && !this.#boundTo.has(slot)) this.#abandon(this.#at(slot.key), slot);
    }
    this.#settleAll();
  }

  /** Fails all who wait, now and later, with `error`; ends dials and idle connections. Lent ones are closed when put. */
  close(error: Error): void {
    if (this.#closed !== null) return;
    this.#closed = error;
    for (const at of [...this.#keys.values()]) {
      for (;;) {
        const want = at.wants.first ?? at.freshWants.first;
        if (want === null) break;
        // Its dial is abandoned below: whoever hears of that may cancel any want, but none that is out of its queue.
        this.#leave(at, want);
        this.#fail(want, error);
      }
    }
    for (const slot of [...this.#dials]) if (slot.state === "dialing") this.#abandon(this.#at(slot.key), slot);
    for (const slot of [...this.#lru]) {
      if (slot.state === "idle") this.#closeIdleOne(this.#at(slot.key), slot, "transport-closed");
    }
    this.#settleAll();
  }

  /** Nothing waits, is being dialed, idle or lent. */
  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  /** Calls `fn` once: now if the pool is empty, else when it next is. */
  whenEmpty(fn: () => void): void {
    if (this.isEmpty) fn();
    else this.#whenEmpty.push(fn);
  }

  stateOf(key: string): KeyState {
    const at = this.#keys.get(key);
    if (at === undefined) return { waiting: 0, dialing: 0, busy: 0, idle: 0, oldestBusySince: null };
    const oldest = at.busy.first;
    return {
      waiting: at.waiting,
      dialing: at.dialing,
      busy: at.busy.size,
      idle: at.idle.size,
      oldestBusySince: oldest === null ? null : oldest.item.since,
    };
  }

  /** What those want who wait for the key, the first in line first, and what is lent, the longest first; `max` at most of each. */
  whoHas(key: string, max: number): { waits: T[]; lent: C[] } {
    const waits: T[] = [];
    const lent: C[] = [];
    const at = this.#keys.get(key);
    if (at === undefined) return { waits, lent };
    for (const queue of [at.freshWants, at.wants]) {
      for (let link = queue.firstLink; link !== null && waits.length < max; link = link.next)
        waits.push(link.item.target);
    }
    for (let link = at.busy.first; link !== null && lent.length < max; link = link.next) lent.push(link.item.conn as C); // busy
    return { waits, lent };
  }

  stats(): PoolStats {
    const keys = new Map<string, KeyState>();
    const sum = { waiting: 0, dialing: 0, busy: 0, idle: 0 };
    for (const key of this.#keys.keys()) {
      const state = this.stateOf(key);
      keys.set(key, state);
      sum.waiting += state.waiting;
      sum.dialing += state.dialing;
      sum.busy += state.busy;
      sum.idle += state.idle;
    }
    return { ...sum, keys };
  }

  // The turn

  /**
   * A turn of `batch` has ended: what was idle before that batch closed was polled after those asked who asked before it
   * closed, so a connection that had died by then is out of the list. Others wait for their own turn, which was asked
   * when they came. The first in line is never overtaken, though it may be the one who asked too late (a retry).
   */
  #endTurn(at: PerKey<C, T>, batch: number): void {
    at.endedBatch = batch;
    if (at.wants.size === 0 || (at.idle.size === 0 && at.roomy.size === 0)) return;
    const now = this.#hooks.now();
    try {
      for (;;) {
        const want = at.wants.first;
        if (want === null || want.batch > batch) break;
        const slot = at.idle.take(batch);
        if (slot === null) break;
        if (slot.idleMs > 0 && now - slot.since >= slot.idleMs) {
          // The machine slept, or the loop was blocked: the deadline is late, and the peer has surely gone.
          slot.move("closed", now);
          this.#shut(slot, "idle-timeout");
          continue;
        }
        const closesAfter = this.#lessons?.tooOld(at.key, now - slot.since, now) ?? null;
        if (closesAfter !== null) {
          this.#passOver(slot, want, now, closesAfter);
          continue;
        }
        this.#lend(at, slot, now); // first of all: a slot in no list would look free
        const dial = this.#leave(at, want);
        // One that nobody can use is given up when the move is made good, below, and not while the want is between hands.
        if (dial !== null) this.#bequeath(at, dial, at.spare);
        this.#deliver(want, slot);
      }
      if (at.roomy.size > 0) this.#sendBehind(at, batch);
    } finally {
      this.#settle(at);
    }
  }

  /**
   * Sends those who asked before this turn behind others, the connections taking turns. They have been watched since, as
   * all that are busy are.
   */
  #sendBehind(at: PerKey<C, T>, batch: number): void {
    for (let want = at.nextFollower(this.#limits); want !== null; want = at.nextFollower(this.#limits)) {
      if (want.batch > batch) return;
      const slot = at.roomy.first!.item; // there is one, or nobody could follow
      at.roomy.remove(slot.side);
      if (!this.#takesFollower(slot)) continue;
      this.#leave(at, want);
      this.#outside++;
      try {
        if (!want.deliverBehind(slot)) throw new InvariantError(`Cannot serve follower: its wait is ${want.state}`);
      } finally {
        this.#outside--;
      }
      if (slot.state === "busy" && slot.side.list === null && this.#takesFollower(slot)) at.roomy.push(slot.side);
    }
  }

  #takesFollower(slot: Slot<C>): boolean {
    return this.#hooks.takesFollower?.(slot.conn as C) === true; // a lent slot has its connection
  }

  #unlend(at: PerKey<C, T>, slot: Slot<C>): void {
    at.busy.remove(slot.place);
    if (slot.side.list !== null) at.roomy.remove(slot.side);
  }

  #lend(at: PerKey<C, T>, slot: Slot<C>, now: number): void {
    slot.idledMs = slot.state === "idle" ? Math.max(0, now - slot.since) : null;
    slot.move("busy", now);
    at.busy.push(slot.place);
  }

  #deliver(want: WantConn<C, T>, slot: Slot<C>): void {
    this.#outside++;
    try {
      if (!want.deliver(slot)) throw new InvariantError(`Cannot serve first in line: its wait is ${want.state}`);
    } finally {
      this.#outside--;
    }
  }

  #fail(want: WantConn<C, T>, error: Error): void {
    this.#outside++;
    try {
      if (!want.fail(error)) throw new InvariantError(`Cannot serve first in line: its wait is ${want.state}`);
    } finally {
      this.#outside--;
    }
  }

  // Going idle, and being closed

  /** Takes a connection that serves nobody: into the idle list, or closed. The order of reasons is Go's tryPutIdleConn. */
  #park(at: PerKey<C, T>, slot: Slot<C>, hintMs: number | null): void {
    const now = this.#hooks.now();
    slot.reused = true;
    const refusal = this.#refusal(at);
    if (refusal !== null) {
      slot.move("closed", now);
      this.#shut(slot, refusal);
      return;
    }
    slot.idleMs = this.#idleMs(hintMs);
    slot.idleBatch = this.#hooks.batch();
    slot.move("idle", now);
    at.idle.push(slot);
    this.#hooks.idle(slot, slot.idleMs);
  }

  #idleMs(hintMs: number | null): number {
    const { idleTimeoutMs } = this.#limits;
    if (hintMs === null || hintMs <= 0) return idleTimeoutMs;
    return idleTimeoutMs === 0 ? hintMs : Math.min(idleTimeoutMs, hintMs);
  }

  #refusal(at: PerKey<C, T>): CloseReason | null {
    if (this.#closed !== null) return "transport-closed";
    if (!this.#pooling) return "keep-alive-disabled";
    if (this.#closeIdle && at.waiting === 0) return "close-idle-connections";
    // Those that waiters will take at the next turn are not what the limit is about: a burst that ends within one turn
    // would else close connections for which requests wait.
    if (at.idle.size >= this.#limits.maxIdleConnsPerHost + at.wants.size) return "too-many-idle-per-host";
    return null;
  }

  /** The server is about to close it: a request on it would be lost, or sent again. */
  #passOver(slot: Slot<C>, want: WantConn<C, T>, now: number, closesAfter: number): void {
    const idleMs = now - slot.since;
    slot.move("closed", now);
    this.#outside++;
    try {
      this.#hooks.passedOver?.(slot, want, idleMs, closesAfter);
    } finally {
      this.#outside--;
    }
    this.#shut(slot, "learned-idle-timeout");
  }

  #closeIdleOne(at: PerKey<C, T>, slot: Slot<C>, reason: CloseReason): void {
    at.idle.remove(slot);
    slot.move("closed", this.#hooks.now());
    this.#shut(slot, reason);
  }

  #shut(slot: Slot<C>, reason: CloseReason): void {
    const conn = slot.conn as C; // a slot that was dialed has its connection, and C may include null
    this.#outside++;
    try {
      this.#hooks.close(conn, slot, reason);
    } finally {
      this.#outside--;
    }
  }

  // Dials

  #startDial(at: PerKey<C, T>, want: WantConn<C, T>): void {
    const slot = new Slot<C>(at.key, this.#hooks.now());
    at.dialing++;
    this.#dials.push(slot.place);
    this.#queue(at, want).bind(want, slot);
    this.#boundTo.set(slot, want);
    this.#hooks.dial(slot, want);
  }

  /** Takes a dial off the books, ended or not; the slot is the caller's to move. Returns who counted on it. */
  #endDial(at: PerKey<C, T>, slot: Slot<C>): WantConn<C, T> | null {
    at.dialing--;
    this.#dials.remove(slot.place);
    slot.side.list?.remove(slot.side);
    const want = this.#boundTo.get(slot) ?? null;
    this.#boundTo.delete(slot);
    return want;
  }

  #abandon(at: PerKey<C, T>, slot: Slot<C>): void {
    this.#endDial(at, slot);
    slot.move("closed", this.#hooks.now());
    this.#outside++;
    try {
      this.#hooks.abandonDial(slot);
    } finally {
      this.#outside--;
    }
  }

  /** A dial whose want has left goes to one who needs it, or is detached, or ends. */
  #orphan(at: PerKey<C, T>, slot: Slot<C>): void {
    const refused = !this.#pooling || this.#closed !== null || (this.#closeIdle && at.waiting === 0);
    if (refused)
      this.#abandon(at, slot); // its connection would be refused by the pool
    else this.#bequeath(at, slot, at.detached);
  }

  #bequeath(at: PerKey<C, T>, slot: Slot<C>, list: PerKey<C, T>["spare"]): void {
    slot.reused = true; // whoever gets it did not dial it
    const heir = this.#uncovered(at);
    if (heir !== null && this.#worthWaitingFor(at, slot)) {
      at.wants.bind(heir, slot);
      this.#boundTo.set(slot, heir);
    } else if (list === at.detached && list.size >= Math.max(1, at.waiting)) {
      this.#abandon(at, slot);
    } else {
      list.push(slot.side);
      this.#hooks.detachDial(slot);
    }
  }

  #worthWaitingFor(at: PerKey<C, T>, dial: Slot<C>): boolean {
    return !at.slotIsFree(this.#limits) || this.#hooks.now() - dial.since < slowDialMs;
  }

  /**
   * Who waits with nothing to come: neither a dial nor, counted from the front, an idle connection. The one in line after
   * those whom the idle connections serve, where he is the last; else the first, who will be served from the idle ones
   * and then leaves his dial to the next.
   */
  #uncovered(at: PerKey<C, T>): WantConn<C, T> | null {
    const missing = at.wants.bareSize - at.idle.size;
    if (missing <= 0) return null;
    return missing === 1 ? at.wants.lastBare : at.wants.firstBare;
  }

  /** Gives a dial to everybody who needs one, as far as slots go. */
  #dialForAll(at: PerKey<C, T>): void {
    for (let want = at.freshWants.firstBare; want !== null; want = at.freshWants.firstBare) {
      if (at.slotIsFree(this.#limits)) this.#startDial(at, want);
      else if (at.idle.bottom === null) break;
      // It has lost its own slot to another (its connection's end was told by remove), and idle ones, which it will not
      // take, hold all others: without this it would wait as long as they live.
      else this.#closeIdleOne(at, at.idle.bottom, "too-many-idle-per-host");
    }
    for (let want = this.#uncovered(at); want !== null; want = this.#uncovered(at)) {
      const loose = at.loose;
      if (loose !== null && this.#worthWaitingFor(at, loose)) {
        loose.side.list?.remove(loose.side);
        at.wants.bind(want, loose);
        this.#boundTo.set(loose, want);
        this.#hooks.attachDial(loose);
      } else if (at.slotIsFree(this.#limits)) this.#startDial(at, want);
      else break;
    }
  }

  // After each move

  /** Makes good what a move left to be done for the key; does nothing where nothing is. */
  #mend(at: PerKey<C, T>): void {
    if (at.waiting > 0) {
      this.#dialForAll(at);
      if ((at.idle.size > 0 && at.wants.size > 0) || at.nextFollower(this.#limits) !== null) {
        const batch = this.#hooks.batch();
        if (at.askedBatch !== batch) {
          at.askedBatch = batch;
          this.#hooks.turn(at.fire);
        }
      }
    } else if (this.#closeIdle) this.#sweep(at);
    while (at.idle.size > this.#limits.maxIdleConnsPerHost + at.wants.size) {
      this.#closeIdleOne(at, at.idle.top!, "too-many-idle-per-host"); // who would have taken it has left
    }
    const claimed = Math.min(at.idle.size, at.wants.size);
    this.#claimed += claimed - at.claimed;
    at.claimed = claimed;
    if (this.#limits.maxIdleConns > 0) this.#evict();
    this.#forgetIfEmpty(at);
  }

  #settle(at: PerKey<C, T>): void {
    this.#mend(at);
    if (this.#checking && this.#outside === 0) this.#check();
  }

  #settleAll(): void {
    for (const at of [...this.#keys.values()]) this.#mend(at);
    if (this.#checking && this.#outside === 0) this.#check();
  }

  /** closeIdle() was called while some waited, who then left: what they would have taken goes too. */
  #sweep(at: PerKey<C, T>): void {
    while (at.idle.top !== null) this.#closeIdleOne(at, at.idle.top, "close-idle-connections");
    for (let loose = at.loose; loose !== null; loose = at.loose) this.#abandon(at, loose);
  }

  /**
   * Closes the least recently used ones of all keys while there are too many. What waiters will take is neither counted
   * nor closed; where the oldest is such a one, the end of its turn, which is near, looks again.
   */
  #evict(): void {
    while (this.#lru.size - this.#claimed > this.#limits.maxIdleConns) {
      const oldest = this.#lru.first!.item; // there are more than maxIdleConns
      const at = this.#at(oldest.key);
      if (at.idle.size <= at.wants.size) return;
      this.#closeIdleOne(at, oldest, "too-many-idle");
      this.#forgetIfEmpty(at);
    }
  }

  #forgetIfEmpty(at: PerKey<C, T>): void {
    if (at.slots > 0 || at.waiting > 0 || this.#keys.get(at.key) !== at) return;
    this.#keys.delete(at.key);
    if (this.#keys.size > 0 || this.#whenEmpty.length === 0) return;
    const callbacks = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const fn of callbacks) fn();
  }

  #at(key: string): PerKey<C, T> {
    let at = this.#keys.get(key);
    if (at === undefined) {
      at = new PerKey<C, T>(key, this.#lru, this.#fire);
      this.#keys.set(key, at);
    }
    return at;
  }

  #queue(at: PerKey<C, T>, want: WantConn<C, T>): PerKey<C, T>["wants"] {
    return want.fresh ? at.freshWants : at.wants;
  }

  /** Takes a want out of its queue; what it counted on is left unbound. */
  #leave(at: PerKey<C, T>, want: WantConn<C, T>): Slot<C> | null {
    const dial = this.#queue(at, want).remove(want);
    if (dial !== null) this.#boundTo.delete(dial);
    return dial;
  }

  #check(): void {
    const { maxIdleConns } = this.#limits;
    const sum = { idle: 0, dialing: 0, bound: 0, claimed: 0 };
    for (const at of this.#keys.values()) {
      at.check(this.#limits, this.#closeIdle);
      sum.idle += at.idle.size;
      sum.dialing += at.dialing;
      sum.bound += at.bound;
      sum.claimed += at.claimed;
    }
    const agree =
      sum.idle === this.#lru.size &&
      sum.dialing === this.#dials.size &&
      sum.bound === this.#boundTo.size &&
      sum.claimed === this.#claimed;
    if (!agree) throw new InvariantError("Pool's sums over all keys are not what it counted");
    for (const [slot, want] of this.#boundTo) {
      if (want.dial !== slot || slot.state !== "dialing") throw new InvariantError("A dial and its want disagree");
    }
    const oldest = this.#lru.first === null ? null : this.#at(this.#lru.first.item.key);
    const tooMany = maxIdleConns > 0 && this.#lru.size - this.#claimed > maxIdleConns;
    if (tooMany && oldest !== null && oldest.idle.size > oldest.wants.size) {
      throw new InvariantError("More connections are idle than maxIdleConns");
    }
  }

  /** One line, without keys: they may hold a proxy's credentials. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    const { busy, idle, dialing, waiting } = this.stats();
    return `Pool { ${busy} busy, ${idle} idle, ${dialing} dialing, ${waiting} waiting }`;
  }
}
