/**
 * What ends one call of a library before its time: the library's signal, its time limit, or whatever else it has. All of
 * them become the one signal that the client is given.
 *
 * Lives from the call to the end of its answer's body. Owns one deadline and its listeners; `over()` takes them off.
 */

import type { Readable } from "node:stream";
import { isAbortSignal, onAbort } from "../abort.ts";
import type { Clock, Deadline } from "../clock.ts";
import type { Response } from "../message/response.ts";

export class CallEnd {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  #deadline: Deadline | null = null;
  readonly #leave: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For the client. Its reason is what the call rejects with, and its body after the head. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** @param signal of the library, which may be none; `reason` makes what the call shall reject with */
  follow(signal: unknown, reason: (signal: AbortSignal) => unknown): void {
    if (!isAbortSignal(signal)) return;
    if (signal.aborted) this.end(reason(signal));
    else this.whenOver(onAbort(signal, () => this.end(reason(signal))));
  }

  /** @param ms 0 means none */
  limit(ms: number, reason: () => unknown): void {
    if (ms > 0) this.#deadline = this.#clock.deadline(ms, () => this.end(reason()));
  }

  /**
   * The head is there, and the content is the library's: it has no time limit any more. The signal ends it until the stream
   * is closed, or the last byte has come: then nothing is left that could be ended.
   */
  handOver(stream: Readable, answer: Response): void {
    this.#deadline?.cancel();
    if (answer.trailers !== null) this.over();
    else stream.once("close", () => this.over());
  }

  whenOver(leave: () => void): void {
    this.#leave.push(leave);
  }

  over(): void {
    this.#deadline?.cancel();
    for (const leave of this.#leave.splice(0)) leave();
  }
}
