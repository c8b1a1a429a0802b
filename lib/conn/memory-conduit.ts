/**
 * Two conduits joined in memory, for specs and for the simulator: what one writes, the other is told. Each lives until
 * its own `destroy()`; they own nothing but their queues.
 *
 * They keep the contract of a plain TCP socket: bytes are taken up to a window and wait beyond it; a half close leaves
 * the other direction open; a destroyed end resets its peer if bytes were still unread or come later, and else sends its
 * FIN; a paused end sees neither end nor error; what lies before a reset is delivered first. Every delivery is a task of
 * its own for the given scheduler, and bytes are lent in a buffer that is overwritten as soon as the sink returns, so
 * that whoever keeps a view is found out.
 *
 * Nothing here is random and nothing waits for time: with the same scheduler and slices, the same thing happens.
 */

import { ConnectionClosedError, InvariantError } from "../errors.ts";
import type { Conduit, ConduitFacts, ConduitSink } from "./conduit.ts";
import { SinkGate } from "./sink-gate.ts";

export interface MemoryPairOptions {
  /** Bytes taken in each direction before `write()` answers "full". Default 64 KiB. */
  readonly window?: number;
  /** Runs a task later, in the order given for each end: 0 the first, 1 the second. Default: a microtask. */
  readonly schedule?: (task: () => void, end: 0 | 1) => void;
  /** How many of the `available` bytes the next delivery brings; at least 1. Default: all, 64 KiB at most. */
  readonly slice?: (available: number) => number;
  /** The facts of the first and of the second end. */
  readonly facts?: readonly [Partial<ConduitFacts>, Partial<ConduitFacts>];
}

const WINDOW_BYTES = 64 * 1024;
const LENT_BYTES = 80 * 1024;
/** One for all, as with sockets: a delivery is over before the next begins. */
const lent = new Uint8Array(LENT_BYTES);
/** What a lent buffer holds once it is no longer lent. */
const OVERWRITTEN = 0xdb;

const NO_FACTS: ConduitFacts = {
  localAddress: null,
  localPort: null,
  remoteAddress: null,
  remotePort: null,
  tls: null,
};

/** The two ends of one connection in memory. */
export function memoryPair(options: MemoryPairOptions = {}): [MemoryConduit, MemoryConduit] {
  const first = new MemoryConduit(options, 0);
  const second = new MemoryConduit(options, 1);
  first.join(second);
  second.join(first);
  return [first, second];
}

/** What is under way to one end, in order: bytes, and at most one FIN or reset behind them. */
type Arrival = Uint8Array | "end" | Error;

export class MemoryConduit implements Conduit {
  readonly facts: ConduitFacts;
  /** As sockets have it: where the facts say TLS, no. */
  readonly refusalProvesNothingWritten: boolean;
  readonly #window: number;
  readonly #schedule: (task: () => void) => void;
  readonly #slice: (available: number) => number;
  readonly #gate: SinkGate;
  #peer: MemoryConduit | null = null;

  /** Under way to this end; bytes among them are counted in `#unread`. */
  readonly #arrivals: Arrival[] = [];
  #unread = 0;
  #delivering = false;
  #paused = false;

  /** Why a write is refused; null while the peer takes bytes, as far as this end can know. */
  #refused: Error | null = null;
  #ended = false;
  #destroyed = false;
  #draining = false;

  constructor(options: MemoryPairOptions, end: 0 | 1) {
    this.facts = { ...NO_FACTS, ...options.facts?.[end] };
    this.refusalProvesNothingWritten = this.facts.tls === null;
    this.#window = options.window ?? WINDOW_BYTES;
    const { schedule = queueMicrotask } = options;
    this.#schedule = (task) => schedule(task, end);
    this.#slice = options.slice ?? ((available) => available);
    this.#gate = new SinkGate(this);
  }

  /** @internal */
  join(peer: MemoryConduit): void {
    this.#peer = peer;
  }

  get #other(): MemoryConduit {
    if (this.#peer === null) throw new InvariantError("Cannot use memory conduit: it has no peer");
    return this.#peer;
  }

  get pendingBytes(): number {
    return Math.max(0, this.#other.#unread - this.#window);
  }

  /** Whether `destroy()` or `reset()` was called on this end. */
  get destroyed(): boolean {
    return this.#destroyed;
  }

  attach(sink: ConduitSink): void {
    this.#gate.attach(sink, () => {});
    this.#deliverLater();
  }

  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    if (this.#refused !== null) return this.#refused;
    if (this.#destroyed || this.#ended) {
      return new ConnectionClosedError("Cannot write to connection: it is closed for writing");
    }
    const peer = this.#other;
    for (const piece of typeof data === "string" ? [data] : data) {
      peer.#arrive(typeof piece === "string" ? Buffer.from(piece, "latin1") : Uint8Array.from(piece));
    }
    if (this.pendingBytes === 0) return "ok";
    this.#draining = true;
    return "full";
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliverLater();
  }

  end(): void {
    if (this.#ended || this.#destroyed) return;
    this.#ended = true;
    this.#other.#arrive("end");
  }

  destroy(): void {
    if (this.#destroyed) return;
    // As the kernel: whoever closes with bytes unread answers with a reset; so does one that bytes reach after it closed.
    if (this.#unread > 0) this.#break(systemError("ECONNRESET", "read"));
    else if (!this.#ended) this.#other.#arrive("end");
    this.#close();
  }

  /** Resets the connection: the peer reads what was under way, then breaks, and its writes are refused. */
  reset(): void {
    if (this.#destroyed) return;
    this.#break(systemError("ECONNRESET", "read"));
    this.#close();
  }

  ref(): void {}

  unref(): void {}

  #close(): void {
    this.#destroyed = true;
    this.#gate.close();
    this.#arrivals.length = 0;
    this.#unread = 0;
  }

  #break(error: Error): void {
    const peer = this.#other;
    peer.#arrive(error);
    // It knows when the reset has come to its kernel, whether or not it has read up to there.
    peer.#schedule(() => {
      if (!peer.#destroyed) peer.#refused ??= systemError("EPIPE", "write");
    });
  }

  #arrive(arrival: Arrival): void {
    if (this.#destroyed) {
      if (arrival instanceof Uint8Array) this.#break(systemError("ECONNRESET", "read"));
      return;
    }
    if (arrival instanceof Uint8Array) {
      if (arrival.length === 0) return;
      this.#unread += arrival.length;
    }
    this.#arrivals.push(arrival);
    this.#deliverLater();
  }

  #deliverLater(): void {
    if (this.#delivering || this.#paused || this.#arrivals.length === 0 || !this.#gate.attached) return;
    this.#delivering = true;
    this.#schedule(() => {
      this.#delivering = false;
      if (!this.#paused && !this.#destroyed) this.#deliver();
      this.#deliverLater();
    });
  }

  #deliver(): void {
    const next = this.#arrivals[0];
    if (next === "end") {
      this.#arrivals.shift();
      this.#gate.end();
    } else if (next instanceof Error) {
      this.#arrivals.shift();
      this.#gate.error(next);
    } else if (next !== undefined) {
      const n = this.#lend();
      this.#took();
      this.#gate.data(lent, n);
      lent.fill(OVERWRITTEN, 0, n);
    }
  }

  /** Moves the next slice of bytes into the lent buffer. A slice may span what was written in several pieces. */
  #lend(): number {
    let available = 0;
    for (const arrival of this.#arrivals) {
      if (!(arrival instanceof Uint8Array)) break;
      available += arrival.length;
    }
    const wanted = Math.min(Math.max(1, Math.floor(this.#slice(available))), available, LENT_BYTES);
    let n = 0;
    while (n < wanted) {
      const bytes = this.#arrivals[0] as Uint8Array; // only bytes stand before the first `available`
      const part = bytes.subarray(0, wanted - n);
      lent.set(part, n);
      n += part.length;
      if (part.length === bytes.length) this.#arrivals.shift();
      else this.#arrivals[0] = bytes.subarray(part.length);
    }
    this.#unread -= n;
    return n;
  }

  /** Room was made: the writer on the other side may have waited for it. */
  #took(): void {
    const writer = this.#other;
    if (!writer.#draining || writer.pendingBytes > 0) return;
    writer.#draining = false;
    writer.#schedule(() => writer.#gate.drained());
  }
}

function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}
