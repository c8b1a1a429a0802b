/**
 * How long one call waits for what is not the network's (a store, the caller's own code, a delay): its signal and its
 * deadline end every wait, as they end the round trip itself.
 */

import { onAbort } from "./abort.ts";
import type { Clock, Deadline } from "./clock.ts";
import { TimeoutError } from "./errors.ts";
import type { Request } from "./message/request.ts";
import type { RoundTripCall } from "./round-tripper.ts";

export class Patience {
  readonly #clock: Clock;
  readonly #request: Request;
  readonly #call: RoundTripCall | undefined;

  constructor(clock: Clock, request: Request, call: RoundTripCall | undefined) {
    this.#clock = clock;
    this.#request = request;
    this.#call = call;
  }

  /** @throws the signal's reason, or a TimeoutError, where the call is over */
  check(): void {
    const { signal, deadline } = this.#call ?? {};
    if (signal?.aborted) throw signal.reason;
    if (deadline !== undefined && deadline.at <= this.#clock.now()) throw this.#timedOut(deadline.limit);
  }

  /** Whether the call is over, so that a failure is its own and nobody else's. */
  get over(): boolean {
    const { signal, deadline } = this.#call ?? {};
    return signal?.aborted === true || (deadline !== undefined && deadline.at <= this.#clock.now());
  }

  /**
   * The value, unless the call ends before.
   *
   * @param late is given what comes after that, to be let go
   */
  wait<T>(work: T | Promise<T>, late: (value: T) => void = ignore): T | Promise<T> {
    if (!(work instanceof Promise)) {
      if (this.over) late(work);
      this.check();
      return work;
    }
    const { signal, deadline } = this.#call ?? {};
    if (signal === undefined && deadline === undefined) return work;
    return new Promise<T>((resolve, reject) => {
      let over = false;
      let timer: Deadline | null = null;
      let detach: (() => void) | null = null;
      const end = (): void => {
        over = true;
        detach?.();
        timer?.cancel();
      };
      const fail = (reason: unknown): void => {
        end();
        reject(reason);
      };
      work.then(
        (value) => {
          if (over) return late(value);
          end();
          resolve(value);
        },
        (error: unknown) => {
          if (!over) fail(error);
        },
      );
      if (signal?.aborted) return fail(signal.reason);
      if (signal !== undefined) detach = onAbort(signal, () => fail(signal.reason));
      if (deadline === undefined) return;
      const left = deadline.at - this.#clock.now();
      if (left <= 0) return fail(this.#timedOut(deadline.limit));
      timer = this.#clock.deadline(left, () => fail(this.#timedOut(deadline.limit)), { keepAlive: true });
    });
  }

  #timedOut(limit: number): TimeoutError {
    const { method, url, destination } = this.#request;
    const text = `Cannot finish ${method} ${url}: not complete within ${limit} ms (option timeout)`;
    return new TimeoutError("total", "timeout", limit, text, { origin: destination.origin });
  }
}

function ignore(): void {}
