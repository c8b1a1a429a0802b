/**
 * Where the answer goes: stdout or a file, through the stream's own backpressure.
 *
 * Lives for one run. A reader that went away (`| head`) is no failure: `gone` becomes true, later writes do nothing,
 * and `onGone` lets the caller stop the download. Anything else that keeps bytes from their place is an OutputError.
 */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";

/** The output could not be written. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  constructor(what: string, cause: unknown) {
    super(`Cannot write to ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export class Output {
  readonly #stream: Writable;
  readonly #name: string;
  readonly #ours: boolean;
  #failure: unknown = null;
  #endsWithNewline = true;
  gone = false;

  /** @param ours whether `close` ends the stream (a file), or only waits for its bytes (stdout) */
  constructor(stream: Writable, name: string, ours: boolean, onGone: () => void) {
    this.#stream = stream;
    this.#name = name;
    this.#ours = ours;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (this.gone || this.#failure !== null) return;
      if (!ours && error.code === "EPIPE") {
        this.gone = true;
        onGone();
      } else {
        this.#failure = error;
      }
    });
  }

  static file(path: string): Output {
    return new Output(createWriteStream(path), path, true, () => {});
  }

  /** Whether a line that follows on the same terminal would stand at its left edge. */
  get atLineStart(): boolean {
    return this.#endsWithNewline;
  }

  /** @throws {OutputError} when the bytes, or any before them, could not be written */
  async write(chunk: Uint8Array | string): Promise<void> {
    this.#check();
    if (this.gone || chunk.length === 0) return;
    this.#endsWithNewline = typeof chunk === "string" ? chunk.endsWith("\n") : chunk[chunk.length - 1] === 0x0a;
    if (this.#stream.write(chunk)) return;
    await this.#settled(once(this.#stream, "drain"));
  }

  /** Waits until every byte has left the process; closes what is ours. */
  async close(): Promise<void> {
    this.#check();
    if (this.gone) return;
    if (this.#ours) {
      this.#stream.end();
      await this.#settled(once(this.#stream, "close"));
      return;
    }
    await this.#settled(new Promise((resolve) => this.#stream.write("", resolve)));
  }

  /** Lets go of a file that will not be completed; what was written stays, as with curl. */
  abandon(): void {
    if (this.#ours) this.#stream.destroy();
  }

  /** An `error` while waiting has been noted by the listener: look there, since `once` only repeats it. */
  async #settled(wait: Promise<unknown>): Promise<void> {
    try {
      await wait;
    } catch (error) {
      if (!this.gone) this.#failure ??= error;
    }
    this.#check();
  }

  #check(): void {
    if (this.#failure !== null) throw new OutputError(this.#name, this.#failure);
  }
}
