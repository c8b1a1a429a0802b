/** Two Duplex streams joined in memory: what is written to one is read from the other, with backpressure between them. */

import { Duplex } from "node:stream";

class Half extends Duplex {
  other: Half | null = null;
  /** Called when the other side can take more. */
  #resume: (() => void) | null = null;

  constructor() {
    super({ highWaterMark: 16 * 1024, allowHalfOpen: true });
  }

  override _read(): void {
    const writer = this.other;
    const resume = writer === null ? null : writer.#resume;
    if (writer !== null) writer.#resume = null;
    resume?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.other === null || this.other.destroyed) done();
    else if (this.other.push(chunk)) done();
    else this.#resume = done;
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { other } = this;
    this.other = null;
    if (other !== null && !other.destroyed) {
      other.other = null;
      if (error !== null) other.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
      else other.push(null);
    }
    done(error);
  }
}

export function duplexPair(): [Duplex, Duplex] {
  const [one, two] = [new Half(), new Half()];
  one.other = two;
  two.other = one;
  return [one, two];
}
