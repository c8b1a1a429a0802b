/** Two streams, each of which reads what the other writes: a connection in memory. */
import { Duplex } from "node:stream";

class Half extends Duplex {
  other: Half | null = null;
  #then: (() => void) | null = null;

  override _read(): void {
    const then = this.#then;
    this.#then = null;
    then?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.other!.deliver(chunk, callback);
  }

  override _final(callback: () => void): void {
    this.other!.deliver(null, () => {});
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const other = this.other;
    this.other = null;
    if (other !== null && !other.destroyed) process.nextTick(() => other.destroy());
    callback(error);
  }

  /** The next piece of the other's; `then` when there is room for more. */
  deliver(chunk: Buffer | null, then: () => void): void {
    if (this.push(chunk)) process.nextTick(then);
    else this.#then = then;
  }
}

export function duplexPair(): [Duplex, Duplex] {
  const [a, b] = [new Half(), new Half()];
  a.other = b;
  b.other = a;
  return [a, b];
}
