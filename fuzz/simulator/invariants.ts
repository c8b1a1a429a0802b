/**
 * What must hold in every run, whatever the peers, the network and the callers do: each rule a sentence, and a check that
 * looks on at every step. They watch from outside: the bytes at the conduits, the events of the trace, the promises of the
 * callers, `stats()`. None asks the code under test whether it thinks that it is right.
 *
 * Lives as long as one run. A rule that does not hold ends the run: `Violation` names it.
 */

import type { TraceEvent, Transport } from "../../lib/index.ts";
import type { CallRecord, Link } from "./records.ts";
import type { Settings } from "./settings.ts";
import type { World } from "./world.ts";

export const RULES = {
  "settles-once": "Every request settles, and exactly once.",
  "own-answer": "An answer belongs to its request: nonce, status and every byte of the body.",
  "own-body":
    "A server gets every request as it was sent: method, and every byte of its body, or a connection that ends.",
  "written-once": "Nothing is sent again after a byte of it was written, unless the rule of replaying allows it.",
  "one-exchange":
    "No request begins before the answer of the last is over; or no more than pipelining allows, and none but GET and HEAD.",
  "asked-for": "No request is written to a connection that has brought a byte that nobody asked for, or has ended.",
  "one-place": "A connection is in exactly one place: dialing, idle, busy or closed; and once closed, it stays so.",
  "open-counted": "Connections that the pool counts are those that are open, and dials those that are under way.",
  limits: "Connections and dials never exceed the limit of their host, nor idle ones those of host and transport.",
  "in-order": "Who waits is served in the order of asking: a connection that comes back goes to the oldest who waits.",
  "polled-before-reuse": "A connection is used again only after a full poll since the request asked.",
  "deadline-kept": "No deadline is missed: heads, totals, dials and idle times end when they are due, and not before.",
  explained:
    "A request fails only for a reason: its caller's, its peer's or its limits'; never for none, or a broken rule.",
  bounded:
    "What is held in memory of an answer, or waits to be sent, is bounded by the limits, whatever the peer does.",
  "bodies-ended": "A body of the caller's is read to its end or told that it is over, exactly once.",
  "watched-idle": "An idle connection is never paused.",
  "nothing-left": "After close() nothing is left: no connection, dial, waiter, deadline or turn.",
} as const;

export type Rule = keyof typeof RULES;

export class Violation extends Error {
  override readonly name = "Violation";
  readonly rule: Rule;
  constructor(rule: Rule, detail: string) {
    super(`${RULES[rule]} (${rule})\n  ${detail}`);
    this.rule = rule;
  }
}

/** What one exchange may hold: the read-ahead, one delivery, a drain, and heads within their limit. */
const HELD_BYTES_MAX = 64 * 1024 + 64 * 1024 + 256 * 1024;
/** One slice of a body, and the head before it. */
const UNSENT_BYTES_MAX = 64 * 1024 + 8 * 1024;
/** Deadlines fire with the poll in which they are due; one that is set anew behind a leap takes a millisecond at least. */
const TICK_MS = 1.5;
/** What a closed body may be drained for. */
const DRAIN_MS_MAX = 50;
/** The pool reckons idle times on the wall clock, in whole milliseconds. */
const IDLE_TICK_MS = 2;

/** Events with which the pool's counts change. */
const STIRRING: ReadonlySet<TraceEvent["type"]> = new Set([
  "dial-start",
  "dial-done",
  "dial-failed",
  "pool-wait",
  "pool-assigned",
  "connection-idle",
  "connection-closed",
  "call-failed",
]);

type Place = "fresh" | "busy" | "idle" | "closed";

interface Waiter {
  readonly call: number;
  /** It came back after a failure, and may be waiting for a dial of its own. */
  readonly retry: boolean;
  readonly poll: number;
}

export class Invariants {
  readonly #world: World;
  readonly #settings: Settings;
  readonly #calls = new Map<number, CallRecord>();
  readonly #links: ReadonlyMap<number, Link>;
  readonly #byConnection = new Map<number, Link>();
  readonly #places = new Map<number, Place>();
  readonly #idleSince = new Map<number, number>();
  readonly #waiters = new Map<string, Waiter[]>();
  /** The key of each call that waits. */
  readonly #keys = new Map<number, string>();
  transport: Transport | null = null;

  constructor(world: World, settings: Settings, links: ReadonlyMap<number, Link>) {
    this.#world = world;
    this.#settings = settings;
    this.#links = links;
  }

  violate(rule: Rule, detail: string): void {
    this.#world.fail(new Violation(rule, detail));
  }

  /** Those that were open when they were last counted, and those that came since. */
  readonly #open = new Set<Link>();

  opened(link: Link): void {
    this.#open.add(link);
    this.stirred = true;
  }

  /** The call that is about to start hears its events by this record. */
  starting: CallRecord | null = null;
  /** The call whose dialer is being asked. */
  dialing: number | null = null;

  // ---- the trace

  /** @returns whose event it is */
  traced(event: TraceEvent): CallRecord | null {
    const { call, connection } = event;
    if (STIRRING.has(event.type)) this.stirred = true;
    if (event.type === "call-start" && call !== null && this.starting !== null) {
      this.#calls.set(call, this.starting);
      this.starting = null;
    }
    const record = call === null ? null : (this.#calls.get(call) ?? null);
    switch (event.type) {
      case "dial-done":
        this.#dialed(event.id, event.localPort, call);
        break;
      case "pool-wait":
        if (call !== null) this.#waits(call, event.key, event.attempt > 0);
        break;
      case "pool-assigned":
        if (call !== null && connection !== null)
          this.#assigned(call, connection, event.reused, record, event.behind !== undefined);
        break;
      case "connection-idle":
        if (connection !== null) this.#idle(connection);
        break;
      case "connection-closed":
        if (connection !== null) this.#closed(connection, event.reason);
        if (record !== null) record.wireOver = true;
        break;
      case "request-sent":
        if (record !== null) record.sentAt = this.#world.now; // whose turn it is not yet, has that set anew then
        break;
      case "first-byte":
        if (record !== null) record.gotBytes = true;
        break;
      case "head":
        if (record !== null) record.headAt = this.#world.now;
        break;
      case "end":
        if (record !== null) record.wireOver = true;
        if (this.#pipelining > 1 && connection !== null) this.#answered(connection, record, event.bytes);
        break;
      case "retry":
        if (record !== null) {
          record.wireOver = false;
          record.sentAt = null;
        }
        break;
      case "body-failed":
        // Where others wait behind it, what is left is drained: its connection is not closed with it.
        if (record !== null) record.left = true;
        break;
      case "call-failed":
        if (call !== null) this.#leaves(call);
        if (record === null) break;
        if (record.failed) this.violate("settles-once", `${record.name} failed twice`);
        // A listener that aborts it when it hears of the head is before the caller.
        if (record.headAt !== null && !record.aborted)
          this.violate("settles-once", `${record.name} failed after it was answered`);
        record.failed = true;
        record.wireOver = true;
        break;
      default:
    }
    return record;
  }

  #dialed(id: number, port: number | null, call: number | null): void {
    const link = port === null ? this.#dialedFor(call) : this.#links.get(port);
    if (link === undefined || link.dialed) return this.violate("one-place", `connection ${id} was never dialed`);
    link.dialed = true;
    this.#byConnection.set(id, link);
    this.#places.set(id, "fresh");
  }

  /** A stream has no port: it is the connection to which something has happened just now. */
  #dialedFor(call: number | null): Link | undefined {
    let latest: Link | undefined;
    for (const link of this.#open) {
      if (link.dialed || link.dialedFor !== call || !link.near.open) continue;
      if (latest === undefined || link.near.stamp > latest.near.stamp) latest = link;
    }
    return latest;
  }

  #move(id: number, from: readonly Place[], to: Place): void {
    const place = this.#places.get(id);
    if (place === undefined || !from.includes(place)) {
      this.violate("one-place", `connection ${this.nameOf(id)} is ${place ?? "unknown"} and was to become ${to}`);
    }
    this.#places.set(id, to);
    this.#idleSince.delete(id);
  }

  nameOf(id: number): string {
    return this.#byConnection.get(id)?.name ?? `#${id}`;
  }

  #idle(id: number): void {
    this.#move(id, ["fresh", "busy"], "idle");
    this.#idleSince.set(id, this.#world.now);
    const link = this.#byConnection.get(id);
    if (link === undefined) return;
    link.near.inFlight.length = 0;
    if (link.near.paused) this.violate("watched-idle", `${link.name} is idle and paused`);
  }

  /** The polls in which connections ended that had been given to nobody yet. */
  #diedYoung: number[] = [];

  #closed(id: number, reason: string): void {
    const link = this.#byConnection.get(id);
    if (this.#places.get(id) === "fresh") {
      this.#diedYoung.push(this.#world.polls);
      // Who had it dialed hears of its end, though it was never given out; the last one is that which was.
      if (link !== undefined) this.#calls.get(link.dialedFor ?? 0)?.links.unshift(link);
    }
    this.#move(id, ["fresh", "busy", "idle"], "closed");
    if (reason === "invariant") this.violate("explained", `${this.nameOf(id)} was closed for a broken rule of its own`);
  }

  // ---- waiting

  #waits(call: number, key: string, retry: boolean): void {
    let queue = this.#waiters.get(key);
    if (queue === undefined) {
      queue = [];
      this.#waiters.set(key, queue);
    }
    this.#keys.set(call, key);
    const waiter = { call, retry, poll: this.#world.polls };
    if (retry) queue.unshift(waiter);
    else queue.push(waiter);
  }

  #leaves(call: number): Waiter | null {
    const key = this.#keys.get(call);
    this.#keys.delete(call);
    const queue = key === undefined ? undefined : this.#waiters.get(key);
    const index = queue?.findIndex((waiter) => waiter.call === call) ?? -1;
    if (queue === undefined || index < 0) return null;
    return queue.splice(index, 1)[0]!; // it was just found
  }

  #assigned(call: number, id: number, reused: boolean, record: CallRecord | null, behind: boolean): void {
    const queue = this.#waiters.get(this.#keys.get(call) ?? "") ?? [];
    // Behind another goes the first who has nothing else to come: those with a dial of their own wait for that.
    if (reused && !behind) {
      for (const { call: other, retry } of queue) {
        if (other === call) break;
        if (!retry) {
          this.violate("in-order", `call ${this.#calls.get(call)?.name} overtook ${this.#calls.get(other)?.name}`);
        }
      }
    }
    const waiter = this.#leaves(call);
    if (waiter === null) this.violate("in-order", `call ${record?.name} was served and did not wait`);
    else if (reused && this.#world.polls <= waiter.poll) {
      this.violate("polled-before-reuse", `${record?.name} got ${this.nameOf(id)} in the poll in which it asked`);
    }
    this.#move(id, behind ? ["busy"] : ["fresh", "idle"], "busy");
    const link = this.#byConnection.get(id);
    if (link === undefined) return;
    if (record !== null) record.links.push(link);
  }

  get #pipelining(): number {
    return this.#settings.transport.pipelining ?? 1;
  }

  /** Of those in flight on a connection the oldest has its answer: what comes is the next one's, and so is the time. */
  #answered(id: number, record: CallRecord | null, bytes: number): void {
    const link = this.#byConnection.get(id);
    if (link === undefined) return;
    const { near } = link;
    const first = near.inFlight.shift();
    // One whose caller has left is forgotten; its answer comes all the same.
    if (record === null ? first?.failed !== true : first !== record)
      this.violate("own-answer", `${record?.name} was answered in the place of ${first?.name}`);
    near.exchangeFrom += bytes;
    const [next] = near.inFlight;
    if (next !== undefined && next.sentAt !== null) next.sentAt = this.#world.now;
  }

  // ---- at the conduits

  /** A request begins on a connection. */
  wrote(link: Link, record: CallRecord | null, accepted: boolean): void {
    const { near } = link;
    const [first] = near.inFlight;
    const all = record === null ? near.inFlight : [...near.inFlight, record];
    if (first !== undefined && (all.length > this.#pipelining || all.some(({ replayable }) => !replayable))) {
      const others = near.inFlight.map(({ name }) => name).join(", ");
      this.violate("one-exchange", `${record?.name} was written to ${link.name} in the exchange of ${others}`);
    }
    if (near.tainted) {
      this.violate("asked-for", `${record?.name} was written to ${link.name}, which had brought bytes unasked`);
    }
    if (near.sawEnd) this.violate("asked-for", `${record?.name} was written to ${link.name}, which had ended`);
    if (record === null) return this.violate("own-body", `a request that nobody made was written to ${link.name}`);
    near.requests++;
    near.inFlight.push(record);
    if (first === undefined) near.exchangeFrom = near.delivered;
    if (!accepted) return;
    if (record.writes > 0) {
      const replay = this.#settings.transport.replay === "replayable" && record.replayable && !record.gotBytes;
      // Behind an answer that said close nothing is processed.
      const unseen = this.#pipelining > 1 && record.links.at(-2)?.saidClose === true && !record.gotBytes;
      if (!replay && !unseen)
        this.violate("written-once", `${record.name} was written to ${link.name}, after ${record.writes} others`);
    }
    record.writes++;
  }

  /** Something was handed over to be sent. */
  unsent({ name, near }: Link): void {
    if (near.pendingBytes <= UNSENT_BYTES_MAX) return;
    this.violate("bounded", `${near.pendingBytes} bytes wait to be sent on ${name}`);
  }

  delivered(link: Link): void {
    const { near, unsolicited } = link;
    if (unsolicited !== null && !link.outOfStep && near.delivered > unsolicited.bytes) {
      if (near.requests > unsolicited.answers) link.outOfStep = true;
      else near.tainted = true;
    }
    const [record] = near.inFlight;
    if (record === undefined) return;
    // Not by the end of the answer before it, nor by what was never looked at.
    if (this.#pipelining === 1 || (near.open && near.delivered > near.exchangeFrom)) record.gotBytes = true;
    const held = near.delivered - near.exchangeFrom - record.taken;
    const allowed = HELD_BYTES_MAX + 2 * (this.#settings.transport.maxResponseHeaderBytes ?? 0);
    if (near.open && held > allowed) {
      this.violate("bounded", `${held} bytes of the answer to ${record.name} are held on ${link.name}`);
    }
  }

  // ---- at each step, and at the end of each poll

  /** Something has come or gone since the last count. */
  stirred = true;

  count(): void {
    if (!this.stirred) return;
    this.stirred = false;
    this.#count();
  }

  polled(): void {
    this.count();
    this.#lookAtDeadlines();
  }

  #count(): void {
    const { transport } = this.#settings;
    const open = new Map<string, number>();
    let opened = 0;
    let dialing = 0;
    for (const link of this.#open) {
      if (!link.near.open) {
        this.#open.delete(link);
        continue;
      }
      opened++;
      open.set(link.host, (open.get(link.host) ?? 0) + 1);
    }
    for (const dial of this.#settings.dials) {
      dialing++;
      open.set(dial.host, (open.get(dial.host) ?? 0) + 1);
    }
    for (const [host, count] of open) {
      const max = transport.maxConnsPerHost ?? 0;
      // A tunnel belongs to the host behind it, and all of them are dialed at the proxy.
      const keys = this.#settings.proxy === "tunnels" ? this.#settings.hosts.length : 1;
      if (max > 0 && count > max * keys) this.violate("limits", `${count} connections and dials to ${host}, of ${max}`);
    }
    const stats = this.transport?.stats();
    if (stats !== undefined) {
      // A connection that stands is a dial for one poll more: what it brings before its first request is no answer.
      const young = stats.dialing - dialing;
      const dead = stats.busy + stats.idle + young - opened;
      if (young < 0 || dead < 0 || dead > this.#deadYoung()) {
        this.violate(
          "open-counted",
          `${opened} open, ${dialing} dialing; the pool says ${stats.busy} busy, ${stats.idle} idle, ${stats.dialing} dialing`,
        );
      }
      const maxIdle = transport.maxIdleConns ?? 0;
      // While some wait, what they will take is not counted, nor closed before their turn has ended.
      if (maxIdle > 0 && stats.waiting === 0 && stats.idle > maxIdle) {
        this.violate("limits", `${stats.idle} idle, of ${maxIdle}`);
      }
      const perHost = (transport.maxIdleConnsPerHost ?? 0) * this.#settings.hosts.length;
      if (stats.idle > perHost + stats.waiting) {
        this.violate("limits", `${stats.idle} idle, of ${perHost} for all hosts, and ${stats.waiting} waiting`);
      }
    }
  }

  /** Those that have ended before that poll was over are still taken for dials. */
  #deadYoung(): number {
    const { polls } = this.#world;
    this.#diedYoung = this.#diedYoung.filter((poll) => polls - poll < 2);
    if (this.#diedYoung.length > 0) this.stirred = true; // to be looked at again
    return this.#diedYoung.length;
  }

  #lookAtDeadlines(): void {
    const { now } = this.#world;
    const { transport } = this.#settings;
    for (const dial of this.#settings.dials) this.#due("dial", dial.at, transport.dialTimeout ?? 0, dial.host);
    for (const [id, since] of this.#idleSince) {
      const limit = transport.idleConnTimeout ?? 0;
      if (limit > 0 && now > this.#world.seenTo(since + limit) + IDLE_TICK_MS) {
        this.violate("deadline-kept", `${this.nameOf(id)} is idle for ${now - since} ms, of ${limit}`);
      }
    }
    for (const [call, record] of this.#calls) {
      if (record.wireOver && record.settled) {
        this.#calls.delete(call);
        continue;
      }
      if (record.wireOver) continue;
      const drain = record.left ? DRAIN_MS_MAX : 0;
      if (record.timeout > 0) this.#due("total", record.startedAt, record.timeout, record.name, drain);
      if (record.sentAt !== null && record.headAt === null && this.#hasItsTurn(record)) {
        this.#due("head", record.sentAt, transport.responseHeaderTimeout ?? 0, record.name);
      }
    }
  }

  /** Whether no other answer is to come first on its connection. */
  #hasItsTurn(record: CallRecord): boolean {
    const [first] = record.links.at(-1)?.near.inFlight ?? [];
    return first === undefined || first === record;
  }

  #due(what: string, since: number, limit: number, name: string, grace = 0): void {
    if (limit > 0 && this.#world.now > this.#world.seenTo(since + limit) + grace + TICK_MS) {
      this.violate("deadline-kept", `${what} of ${name} takes ${this.#world.now - since} ms, of ${limit}`);
    }
  }
}
