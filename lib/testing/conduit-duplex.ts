/**
 * A stream over a conduit, for clients that take a Duplex. Lives until it is destroyed, or both directions have ended;
 * owns the conduit.
 */

import { Duplex } from "node:stream";
import type { Conduit } from "../conn/conduit.ts";

export class ConduitDuplex extends Duplex {
  readonly #conduit: Conduit;
  #written: ((error?: Error | null) => void) | null = null;

  constructor(conduit: Conduit) {
    super({ allowHalfOpen: true });
    this.#conduit = conduit;
    conduit.attach({
      data: (view, n) => {
        const bytes = Buffer.from(view.subarray(0, n)); // a copy: the view is lent
        if (!this.push(bytes)) conduit.pause();
      },
      drained: () => this.#done(null),
      end: () => void this.push(null),
      error: (error) => void this.destroy(error),
    });
  }

  override _read(): void {
    this.#conduit.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const answer = this.#conduit.write([chunk]);
    if (answer === "full") this.#written = done;
    else done(answer === "ok" ? null : answer);
  }

  override _final(done: () => void): void {
    this.#conduit.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#conduit.destroy();
    this.#done(error);
    done(error);
  }

  #done(error: Error | null): void {
    const done = this.#written;
    this.#written = null;
    done?.(error);
  }
}
