/**
 * undici's `Pool.dispatch`: its lowest level, with raw headers and the handler shape that undici 7's core calls without
 * an adapter. The body is counted and dropped, as undici's own benchmark does; one promise a request tells its end.
 */
import type { Target } from "../support/protocol.ts";
import { awaiting, type Contestant, peer, pieces } from "./contestant.ts";
import { type DispatchHandler, dispatchOptions, makePool, type Undici } from "./undici.ts";

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

export async function open(target: Target): Promise<Contestant> {
  const pool = makePool(await peer<Undici>("undici"), target);
  const fixed = dispatchOptions(target);
  const uploads = target.read === "stream" && target.requestBytes > 0;
  const options = () => (uploads ? { ...fixed, body: pieces(target.requestBytes) } : fixed);
  return awaiting(
    target,
    () => new Promise((resolve, reject) => void pool.dispatch(options(), new Counter(resolve, reject))),
  );
}
