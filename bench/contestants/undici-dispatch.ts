/**
 * undici's `Pool.dispatch`: its lowest level, with raw headers and the handler shape that undici's core calls without
 * an adapter. The body is counted and dropped, as undici's own benchmark does; one promise a request tells its end.
 */
import { type DispatchHandler, Pool } from "undici";
import type { Target } from "../support/protocol.ts";
import { awaiting, type Contestant, requestBody } from "./contestant.ts";

class Counter implements DispatchHandler {
  #length = 0;
  readonly #resolve: (length: number) => void;
  readonly #reject: (error: Error) => void;

  constructor(resolve: (length: number) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }
  onConnect(): void {}
  onHeaders(): boolean {
    return true;
  }
  onData(chunk: Buffer): boolean {
    this.#length += chunk.length;
    return true;
  }
  onComplete(): void {
    this.#resolve(this.#length);
  }
  onError(error: Error): void {
    this.#reject(error);
  }
}

export function open(target: Target): Contestant {
  const pool = new Pool(new URL(target.url).origin, { connections: target.workers });
  const { method, path, headers } = target;
  const options = { method, path, headers, ...(target.requestBytes > 0 ? { body: requestBody(target) } : {}) };
  return awaiting(
    target,
    () => new Promise((resolve, reject) => void pool.dispatch(options, new Counter(resolve, reject))),
  );
}
