/**
 * The far end of one connection, driven step by step: it waits for bytes, sends bytes, and ends as badly as it is told to.
 * It speaks raw bytes, so any protocol; `readRequest` and `serve` know HTTP/1.1 besides. The connection beneath may be in
 * memory or a real socket. Lives until both sides have ended, or one has broken it.
 *
 * Owns:  the channel, and what came over it that no step has taken.
 * Never: answers anything by itself.
 *
 * RFC 9112 §6 and §7 (where a request ends).
 */

import type { Clock } from "../clock.ts";
import type { Conduit } from "../conn/conduit.ts";
import { PeerRequest } from "./peer-request.ts";

/** What a peer drives: a conduit that can also be broken off. */
export interface PeerChannel extends Conduit {
  /** RST: what is under way to the other side may still come; nothing else does. */
  reset(): void;
}

/** Answers one request; the next one of the connection waits until it is done. Fault presets are such functions. */
export type Behaviour = (request: PeerRequest, conn: PeerConn) => Promise<void> | void;

export class PeerConn {
  readonly channel: PeerChannel;
  readonly clock: Clock;
  /** Resolves when the connection is over for this side too. */
  readonly closed: Promise<void>;
  /** Requests that `readRequest` gave. */
  requests = 0;
  /** Bytes that were handed to the channel. */
  bytesSent = 0;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #broken: Error | null = null;
  #over = false;
  #sentLast = false;
  #resolveClosed!: () => void; // set by the promise's executor, in the constructor
  #wake: (() => void)[] = [];

  constructor(channel: PeerChannel, clock: Clock) {
    this.channel = channel;
    this.clock = clock;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    channel.attach({
      data: (view, n) => {
        const bytes = Buffer.from(view.subarray(0, n)); // a copy: the view is lent
        this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
        this.#changed();
      },
      drained: () => this.#changed(),
      end: () => {
        this.#ended = true;
        if (this.#sentLast) this.#leave();
        this.#changed();
      },
      error: (error) => {
        this.#broken = error;
        this.#ended = true;
        this.#leave();
        this.#changed();
      },
    });
  }

  /** What came and no step has taken, as latin1. */
  get pending(): string {
    return this.#received.toString("latin1");
  }

  /** Whether the other side has sent its last byte, or the connection broke. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why the connection broke; null while it has not, or where it ended in order. */
  get broken(): Error | null {
    return this.#broken;
  }

  // ---- what must come

  /**
   * Waits for these very bytes, and takes them.
   *
   * @throws {Error} other bytes came, or the connection ended before: with both texts
   */
  async expect(text: string): Promise<void> {
    const got = await this.read(Buffer.byteLength(text, "latin1"));
    if (got !== text) throw new Error(`Peer expected ${JSON.stringify(text)}, got ${JSON.stringify(got)}`);
  }

  /** Waits for `n` bytes, and takes them, as latin1. */
  async read(n: number): Promise<string> {
    return (await this.readBytes(n)).toString("latin1");
  }

  /** Waits for `n` bytes, and takes them. */
  async readBytes(n: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= n);
    const taken = this.#received.subarray(0, n);
    this.#received = this.#received.subarray(n);
    return taken;
  }

  /** Waits for `mark`, and takes all up to its end, as latin1. */
  async readThrough(mark: string): Promise<string> {
    let end = -1;
    await this.#until(() => {
      end = this.#received.indexOf(mark, 0, "latin1");
      return end >= 0;
    });
    return this.read(end + mark.length);
  }

  /** Waits for a whole head, and takes it, its empty line too. */
  readHead(): Promise<string> {
    return this.readThrough("\r\n\r\n");
  }

  /** Waits for the head of a request; null when the connection ends before another begins. */
  async readRequest(): Promise<PeerRequest | null> {
    while (this.#received.length === 0 && !this.#ended) await this.#change();
    if (this.#received.length === 0) return null;
    this.requests++;
    return new PeerRequest(await this.readHead(), this);
  }

  /** Waits for the other side's last byte, and takes all there is, as latin1. */
  async readToEnd(): Promise<string> {
    while (!this.#ended) await this.#change();
    return this.read(this.#received.length);
  }

  /**
   * Answers request after request until the connection ends. What of a request's body the behaviour has not read is read
   * before the next.
   *
   * @throws what the behaviour throws, unless the connection ended meanwhile: then it is over, and that is no failure
   */
  async serve(behaviour: Behaviour): Promise<void> {
    try {
      for (let request = await this.readRequest(); request !== null; request = await this.readRequest()) {
        await behaviour(request, this);
        if (this.#over || this.#sentLast) return;
        await request.body();
      }
    } catch (error) {
      if (!this.#ended && !this.#over) throw error;
    }
    this.close();
  }

  // ---- what is said

  /** Sends bytes; a string holds one in each character (latin1). What the window cannot take waits. */
  reply(data: string | Uint8Array): void {
    if (this.#over || this.#sentLast) return;
    this.bytesSent += data.length;
    this.channel.write(typeof data === "string" ? data : [data]);
  }

  /** Sends bytes in pieces of `bytes`, `everyMs` apart (0: each in a turn of the loop of its own). */
  async replySlowly(data: string | Uint8Array, { bytes = 1, everyMs = 0 } = {}): Promise<void> {
    for (let at = 0; at < data.length && !this.#over; at += bytes) {
      if (at > 0) await this.wait(everyMs);
      this.reply(data.slice(at, at + bytes));
    }
  }

  /** Waits until the other side (or the kernel for it) has taken what was sent, or the connection is over. */
  async drained(): Promise<void> {
    while (!this.#over && this.channel.pendingBytes > 0) await this.#change();
  }

  /** Lets `ms` pass on the peer's clock; 0 waits for one turn of the loop. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (ms === 0) this.clock.turn(() => resolve());
      else this.clock.deadline(ms, resolve, { keepAlive: true });
    });
  }

  // ---- how it ends

  /** FIN: it sends no more, and still reads. */
  end(): void {
    if (this.#sentLast || this.#over) return;
    this.#sentLast = true;
    this.channel.end();
    if (this.#ended) this.#leave();
  }

  /** Closes for good. As the kernel does it, that resets where bytes were still unread or come later. */
  close(): void {
    if (this.#over) return;
    this.channel.destroy();
    this.#leave();
    this.#changed();
  }

  /** RST. */
  reset(): void {
    if (this.#over) return;
    this.channel.reset();
    this.#leave();
    this.#changed();
  }

  /** Reads no more until `resume()`: the window fills up, and the other side's writes wait. */
  pause(): void {
    this.channel.pause();
  }

  resume(): void {
    this.channel.resume();
  }

  /** @throws {Error} the connection ended before there was enough */
  async #until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (this.#ended || this.#over) {
        throw new Error(`Peer's connection ended; it had ${JSON.stringify(this.pending.slice(0, 500))}`);
      }
      await this.#change();
    }
  }

  #leave(): void {
    this.#over = true;
    this.#ended = true;
    this.#resolveClosed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    if (this.#wake.length === 0) return;
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
