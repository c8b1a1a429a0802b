/**
 * What stands between the events of a stream and the sink of a conduit: it keeps the part of the contract that is the
 * same for all three adapters, so that each is left with its own way to read and write. Lives as long as its conduit.
 *
 * It lets at most one `end` and one `error` through, nothing after `error` or `close()`; keeps what comes before a sink
 * is attached; and is the boundary round the sink: what it throws is our own mistake, so the connection is broken, the
 * sink hears of it once as `error`, and the event loop never does.
 *
 * Never: calls the sink from inside `attach` or `close`.
 */

import { throwLater } from "../boundary.ts";
import type { ConduitSink } from "./conduit.ts";

export class SinkGate {
  #sink: ConduitSink | null = null;
  #closed = false;
  #ended = false;
  /** What came before the sink did, in order; null as soon as events go straight through. */
  #early: (() => void)[] | null = [];
  readonly #connection: { destroy(): void };

  /** @param connection destroyed when the sink has thrown */
  constructor(connection: { destroy(): void }) {
    this.#connection = connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether events go straight to a sink. */
  get attached(): boolean {
    return this.#early === null;
  }

  /** @param then called when what came early has been told; reading may go on */
  attach(sink: ConduitSink, then: () => void): void {
    this.#sink = sink;
    const early = this.#early;
    if (early === null || early.length === 0) {
      this.#early = null;
      return;
    }
    queueMicrotask(() => {
      this.#early = null;
      for (const tell of early) tell();
      if (!this.#closed) then();
    });
  }

  data(view: Uint8Array, n: number): void {
    if (this.#closed) return;
    if (this.#early !== null) {
      const copy = view.slice(0, n);
      this.#early.push(() => this.data(copy, n));
      return;
    }
    try {
      this.#sink!.data(view, n); // attached, or it would be early
    } catch (error) {
      this.#failed(error);
    }
  }

  drained(): void {
    if (this.#closed) return;
    if (this.#early !== null) {
      this.#early.push(() => this.drained());
      return;
    }
    try {
      this.#sink!.drained(); // attached, or it would be early
    } catch (error) {
      this.#failed(error);
    }
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    if (this.#early !== null) {
      this.#early.push(() => this.end());
      return;
    }
    this.#ended = true;
    try {
      this.#sink!.end(); // attached, or it would be early
    } catch (error) {
      this.#failed(error);
    }
  }

  error(error: Error): void {
    if (this.#closed) return;
    if (this.#early !== null) {
      this.#early.push(() => this.error(error));
      return;
    }
    this.#closed = true;
    try {
      this.#sink!.error(error); // attached, or it would be early
    } catch (thrown) {
      throwLater(thrown);
    }
  }

  /** Nothing passes any more. */
  close(): void {
    this.#closed = true;
  }

  #failed(thrown: unknown): void {
    const heard = this.#closed;
    this.#closed = true;
    this.#connection.destroy();
    if (heard) {
      throwLater(thrown); // it destroyed the connection before it threw: there is no one to tell
      return;
    }
    try {
      this.#sink!.error(thrown instanceof Error ? thrown : new Error("Cannot take an event", { cause: thrown }));
    } catch (error) {
      throwLater(error);
    }
  }
}
