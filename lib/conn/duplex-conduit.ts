/**
 * A conduit over any Duplex: tunnels, and what the dialers of users return that is no node socket. Lives from the moment
 * it is made until `destroy()`.
 *
 * Owns:  the stream and every listener on it; the 'error' listener outlives `destroy()`.
 * Never: claims that a refused write wrote nothing. A Duplex may have taken a part of it, and no field of it tells.
 *
 * It is read by 'data' events, since a stream has no other public way that costs less. Nothing can be salvaged after a
 * failed write: a stream drops what comes after its error (see `socket-conduit.ts` for what a socket can do).
 */

import type { Duplex } from "node:stream";
import { ConnectionClosedError } from "../errors.ts";
import type { Conduit, ConduitFacts, ConduitSink } from "./conduit.ts";
import { SinkGate } from "./sink-gate.ts";

const NO_FACTS: ConduitFacts = {
  localAddress: null,
  localPort: null,
  remoteAddress: null,
  remotePort: null,
  tls: null,
};

export class DuplexConduit implements Conduit {
  readonly facts: ConduitFacts;
  readonly refusalProvesNothingWritten = false;
  readonly #stream: Duplex;
  readonly #gate: SinkGate;
  #draining = false;
  /** True while a method runs that may call back at once, as streams of users do. */
  #calling = false;
  /** What was told meanwhile. */
  readonly #waiting: (() => void)[] = [];

  constructor(stream: Duplex, facts: ConduitFacts = NO_FACTS) {
    this.facts = facts;
    this.#stream = stream;
    this.#gate = new SinkGate(this);
    stream.on("end", () => this.#outside(() => this.#gate.end()));
    stream.on("error", (error) => this.#outside(() => this.#gate.error(error)));
    stream.on("close", () => {
      if (this.#gate.ended && stream.writableFinished) return;
      const closed = new ConnectionClosedError("Cannot use connection: its stream was destroyed from outside");
      this.#outside(() => this.#gate.error(closed));
    });
    stream.on("data", (chunk: Uint8Array | string) => {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      this.#outside(() => this.#gate.data(bytes, bytes.length));
    });
    stream.resume(); // a dialer may have left it paused, and then a listener alone does not wake it
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  attach(sink: ConduitSink): void {
    this.#gate.attach(sink, () => {});
  }

  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    const stream = this.#stream;
    if (stream.destroyed || !stream.writable) {
      return stream.errored ?? new ConnectionClosedError("Cannot write to connection: it is closed for writing");
    }
    const pieces = typeof data === "string" ? [data] : data;
    const thrown = this.#call(() => {
      if (pieces.length > 1) stream.cork();
      for (let i = 0; i < pieces.length; i++) {
        const piece = pieces[i]!; // i < length
        const bytes = typeof piece === "string" ? Buffer.from(piece, "latin1") : piece;
        if (i === pieces.length - 1) stream.write(bytes, this.#taken);
        else stream.write(bytes);
      }
      if (pieces.length > 1) stream.uncork();
    });
    if (thrown !== null) return thrown;
    if (stream.errored !== null) return stream.errored;
    if (stream.writableLength === 0) return "ok";
    this.#draining = true;
    return "full";
  }

  readonly #taken = (): void => {
    this.#outside(() => {
      if (!this.#draining || this.#stream.errored !== null || this.#stream.writableLength > 0) return;
      this.#draining = false;
      this.#gate.drained();
    });
  };

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#call(() => this.#stream.end());
  }

  destroy(): void {
    this.#gate.close();
    this.#stream.destroy();
  }

  ref(): void {
    (this.#stream as { ref?(): void }).ref?.(); // sockets and some wrappers of them have it
  }

  unref(): void {
    (this.#stream as { unref?(): void }).unref?.(); // as above
  }

  /**
   * Runs a method of the stream that may call back at once. Where it throws, the stream is broken in the middle of it:
   * Node does not catch what the `_write` of a user throws, and such a stream would never call back.
   *
   * @returns what it threw, or null
   */
  #call(method: () => void): Error | null {
    this.#calling = true;
    try {
      method();
      return null;
    } catch (thrown) {
      const error =
        thrown instanceof Error ? thrown : new Error("Cannot use connection: its stream threw", { cause: thrown });
      this.#stream.destroy(error); // its 'error' follows, as after any write that is refused
      return error;
    } finally {
      this.#calling = false;
    }
  }

  /** Keeps the rule that nothing is told from inside a call, whatever the stream does, and keeps the order. */
  #outside(tell: () => void): void {
    if (!this.#calling && this.#waiting.length === 0) {
      tell();
      return;
    }
    if (this.#waiting.push(tell) > 1) return;
    queueMicrotask(() => {
      for (const next of this.#waiting) next();
      this.#waiting.length = 0;
    });
  }
}
