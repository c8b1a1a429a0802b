/** Bytes kept from several reads, as one: the head or trailer section that did not arrive whole. Grows by doubling. */

import { Buffer } from "node:buffer";

export class ByteHoard {
  #bytes = Buffer.allocUnsafeSlow(0);
  length = 0;

  append(view: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.length));
      this.#bytes = grown;
    }
    this.#bytes.set(view.subarray(start, end), this.length);
    this.length = length;
  }

  at(index: number): number | undefined {
    return index < this.length ? this.#bytes[index] : undefined;
  }

  /** A view, valid until the next `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  text(): string {
    return this.#bytes.toString("latin1", 0, this.length);
  }
}
