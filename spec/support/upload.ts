/**
 * A request body under the spec's hand: it gives a chunk when told, ends when told, and counts how it was treated. Its
 * bytes are all `U`, so that one that strays into another request is found.
 */

export class Upload implements AsyncIterableIterator<Uint8Array> {
  /** How often a chunk was asked for. */
  pulls = 0;
  /** Bytes handed out. */
  bytes = 0;
  /** How often it was told that no more is wanted. */
  returned = 0;
  readonly #ready: (Uint8Array | "end" | Error)[] = [];
  #wanted: { resolve: (result: IteratorResult<Uint8Array>) => void; reject: (error: Error) => void } | null = null;
  readonly #endlessBytes: number;

  /** @param endlessBytes chunks of this size come without being told, for ever */
  constructor(endlessBytes = 0) {
    this.#endlessBytes = endlessBytes;
  }

  give(bytes: number): void {
    this.#add(chunk(bytes));
  }

  end(): void {
    this.#add("end");
  }

  fail(error: Error): void {
    this.#add(error);
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    this.pulls++;
    if (this.#endlessBytes > 0) this.#ready.push(chunk(this.#endlessBytes));
    return new Promise((resolve, reject) => {
      this.#wanted = { resolve, reject };
      this.#serve();
    });
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.returned++;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #add(item: Uint8Array | "end" | Error): void {
    this.#ready.push(item);
    this.#serve();
  }

  #serve(): void {
    const wanted = this.#wanted;
    const item = this.#ready[0];
    if (wanted === null || item === undefined) return;
    this.#wanted = null;
    this.#ready.shift();
    if (item instanceof Error) return wanted.reject(item);
    if (item === "end") return wanted.resolve({ done: true, value: undefined });
    this.bytes += item.length;
    wanted.resolve({ done: false, value: item });
  }
}

function chunk(bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(85); // U
}
