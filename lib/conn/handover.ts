/**
 * A connection that an answer has handed over: what follows a 101, or a 2xx to CONNECT, is not HTTP. It is out of the
 * pool and of the hands of the loops, and waits to be taken as a Duplex; then the bytes that came behind the head are
 * the first that the Duplex gives.
 *
 * Lives from the hand-over until the Duplex is destroyed (a Duplex destroys itself when both sides have ended), or until
 * nobody took it in time, or the response was closed, or the transport destroyed.
 *
 * Owns:  the conduit, whose sink it is from now on; the Duplex; the one deadline there is, before that is made.
 * Never: reads before it is taken, or ahead of a reader that lags: the conduit is paused, and the kernel's window closes.
 *        Looks at time once it is taken (no time limit of HTTP holds here).
 *
 * The two directions end by themselves: the peer's FIN is the end of the readable side, and `end()` sends ours behind
 * what was written. `allowHalfOpen` is true, since a tunnel may be one-way for long (RFC 9110 §9.3.6); who wants the other
 * habit sets `duplex.allowHalfOpen = false`.
 *
 * RFC 9110 §7.8, §9.3.6, §15.2.2. Go net/http readWriteCloserBody.
 */

import { AsyncResource } from "node:async_hooks";
import { Duplex } from "node:stream";
import { throwLater } from "../boundary.ts";
import type { Clock, Deadline } from "../clock.ts";
import { TimeoutError } from "../errors.ts";
import type { Handed } from "../message/response.ts";
import type { Conduit, ConduitSink } from "./conduit.ts";

export interface HandoverInit {
  readonly conduit: Conduit;
  readonly clock: Clock;
  /** `host:port`, for texts. */
  readonly peer: string;
  /** What came behind the head, in order; owned from now on. */
  readonly early: Uint8Array[];
  /** The peer has sent its last byte, and `early` ends with it. */
  readonly ended: boolean;
  /** `unreadBodyTimeout`: how long it waits to be taken; 0 means for ever. */
  readonly untakenMs: number;
  /** Nobody took it in time; it is closed after this. */
  untaken(error: TimeoutError): void;
  /** It is closed; called once. */
  closed(handover: Handover): void;
}

/** As much as is read at once. */
const HIGH_WATER_BYTES = 64 * 1024;

export class Handover implements Handed, ConduitSink {
  readonly #init: HandoverInit;
  readonly #conduit: Conduit;
  readonly #untaken: Deadline;
  #stream: Duplex | null = null;
  /** The context of whoever took it: the stream's events are told in it. */
  #scope: AsyncResource | null = null;

  /** What came and the stream has not; nothing comes past it. */
  readonly #early: Uint8Array[];
  #ended: boolean;
  #failure: { readonly error: unknown } | null = null;
  #paused = true;
  /** Ends the write that the kernel has not taken yet. */
  #writing: ((error?: Error | null) => void) | null = null;
  #over = false;
  /** The response was closed before this was taken. */
  #given = false;

  constructor(init: HandoverInit) {
    this.#init = init;
    this.#conduit = init.conduit;
    this.#early = init.early;
    this.#ended = init.ended;
    this.#untaken = init.clock.deadline(init.untakenMs, () => this.#leftUntaken());
    this.#conduit.pause();
    this.#conduit.attach(this);
  }

  // ---- from the response

  /**
   * The stream: the same one each time.
   *
   * @throws {TypeError} the response was closed before
   */
  take(): Duplex {
    if (this.#given) throw new TypeError("Cannot take connection over: the response was closed");
    if (this.#stream !== null) return this.#stream;
    this.#untaken.cancel();
    this.#scope = new AsyncResource("persistconn.Handover");
    const handover = this;
    this.#stream = new Duplex({
      highWaterMark: HIGH_WATER_BYTES,
      read() {
        handover.#readMore(this);
      },
      write(chunk: Uint8Array, _encoding, done) {
        handover.#write([chunk], done);
      },
      writev(chunks, done) {
        handover.#write(
          chunks.map(({ chunk }) => chunk as Uint8Array), // a Writable makes bytes of strings first
          done,
        );
      },
      final(done) {
        handover.#final(done);
      },
      destroy(error, done) {
        handover.#close(error);
        done(error);
      },
    });
    if (this.#failure !== null && this.#early.length === 0) this.#stream.destroy(this.#failure.error as Error); // as in destroy()
    return this.#stream;
  }

  /** Not wanted, or not any more. */
  close(): void {
    if (this.#stream !== null) this.#stream.destroy();
    else {
      this.#given = true;
      this.#close(null);
    }
  }

  /** From outside: whoever holds the stream, or takes it later, gets the reason as its error. */
  destroy(reason: unknown): void {
    const stream = this.#stream;
    if (stream !== null) {
      this.#tell(() => stream.destroy(reason as Error)); // as with any abort, the caller's own reason
      return;
    }
    this.#failure ??= { error: reason };
    this.#early.length = 0;
    this.#close(null);
  }

  // ---- the stream's side

  #readMore(stream: Duplex): void {
    for (let next = this.#early.shift(); next !== undefined; next = this.#early.shift()) {
      if (!stream.push(next)) return; // it asks again
    }
    if (this.#failure !== null)
      stream.destroy(this.#failure.error as Error); // as in destroy()
    else if (this.#ended) stream.push(null);
    else if (this.#paused) {
      this.#paused = false;
      this.#conduit.resume();
    }
  }

  #write(pieces: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    const answer = this.#conduit.write(pieces);
    if (answer === "full") this.#writing = done;
    else done(answer === "ok" ? null : answer);
  }

  /** One poll, in which close_notify leaves: when this was the second end, the stream destroys itself at once. */
  #final(done: (error?: Error | null) => void): void {
    this.#conduit.end();
    this.#init.clock.turn(() => this.#tell(() => done()));
  }

  #close(error: Error | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#untaken.cancel();
    this.#conduit.destroy();
    const writing = this.#writing;
    this.#writing = null;
    writing?.(error ?? new Error("Cannot write to stream: it was destroyed"));
    this.#init.closed(this);
  }

  // ---- the conduit's side

  data(view: Uint8Array, n: number): void {
    const chunk = Buffer.allocUnsafeSlow(n); // lent bytes, and what is handed out is the caller's alone
    chunk.set(view.subarray(0, n));
    const stream = this.#stream;
    if (stream === null || this.#early.length > 0) {
      this.#early.push(chunk); // TLS: what was decrypted when it was paused
      return;
    }
    this.#tell(() => {
      if (stream.push(chunk) || this.#paused) return;
      this.#paused = true;
      this.#conduit.pause();
    });
  }

  drained(): void {
    const writing = this.#writing;
    this.#writing = null;
    if (writing !== null) this.#tell(() => writing());
  }

  end(): void {
    this.#ended = true;
    const stream = this.#stream;
    if (stream !== null && this.#early.length === 0) this.#tell(() => void stream.push(null));
  }

  error(error: Error): void {
    const stream = this.#stream;
    if (stream !== null) {
      this.#tell(() => stream.destroy(error));
      return;
    }
    this.#failure ??= { error };
    this.#close(null);
  }

  /** Code of the caller's runs in here: in its own context, and what it throws is its own affair, not the connection's. */
  #tell(news: () => void): void {
    try {
      this.#scope!.runInAsyncScope(news); // made with the stream, and there is nobody to tell before
    } catch (error) {
      throwLater(error);
    }
  }

  // ---- time

  #leftUntaken(): void {
    const { peer, untakenMs } = this.#init;
    const text = `Cannot hand connection to ${peer} over: nobody took it within ${untakenMs} ms (option unreadBodyTimeout)`;
    const error = new TimeoutError("unread-body", "unreadBodyTimeout", untakenMs, text);
    this.#init.untaken(error);
    this.destroy(error);
  }
}
