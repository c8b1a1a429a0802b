/**
 * What all wrappers are: a RoundTripper around another, on the clock of that one. It lives as long as its user likes and
 * owns no connection.
 *
 * Closing goes through: a wrapper stands in the place of what it is around, so `close()`, `destroy()` and
 * `closeIdleConnections()` are those of the next one, where that has them. (A cache is another case: it has a store of its
 * own to close.)
 *
 * Never: changes a caller's request; leaves a body that can be read once unread where a call ends before it is sent.
 */

import { type Clock, clockOf } from "../clock.ts";
import { inspectCustom, wrongType } from "../message/options.ts";
import { Request } from "../message/request.ts";
import { drained, Response } from "../message/response.ts";
import type { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";

/** What a wrapper is: as good as the transport within, for a Client and for another wrapper. */
export interface WrappedRoundTripper extends RoundTripper {
  /** What it is around. */
  readonly next: RoundTripper;
  /** The clock of `next`, where that has one. */
  readonly clock: Clock;
  /** Those of `next`, where it has them. */
  closeIdleConnections(): void;
  close(): Promise<void>;
  destroy(reason?: unknown): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Puts something around a RoundTripper. */
export type Wrap = (next: RoundTripper) => RoundTripper;

/**
 * Several wrappers as one. The first is the outermost: it sees a request first and an answer last.
 *
 * @example
 * compose((next) => withHooks(next, hooks), (next) => withRetry(next))(transport)
 */
export function compose(...wraps: readonly Wrap[]): Wrap {
  for (const wrap of wraps) if (typeof wrap !== "function") throw wrongType("wraps", "functions", wrap);
  return (next) => wraps.reduceRight((inner, wrap) => wrap(inner), next);
}

/** What may be in the place of the next one, beside its one method. */
type Closable = RoundTripper & {
  closeIdleConnections?: () => void;
  close?: () => Promise<void>;
  destroy?: (reason?: unknown) => Promise<void>;
};

export abstract class Wrapper implements WrappedRoundTripper {
  readonly next: RoundTripper;
  readonly clock: Clock;
  readonly #name: string;

  /** @throws {TypeError} no round tripper */
  constructor(next: RoundTripper, name: string) {
    if (typeof next?.roundTrip !== "function") {
      throw wrongType("next", "a Transport, or an object with roundTrip()", next);
    }
    this.next = next;
    this.clock = clockOf(next);
    this.#name = name;
  }

  async roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    if (!(request instanceof Request)) throw wrongType("request", "a Request of this library", request);
    return this.send(request, call);
  }

  protected abstract send(request: Request, call: RoundTripCall | undefined): Promise<Response>;

  closeIdleConnections(): void {
    const next: Closable = this.next;
    if (typeof next.closeIdleConnections === "function") next.closeIdleConnections();
  }

  async close(): Promise<void> {
    const next: Closable = this.next;
    if (typeof next.close === "function") await next.close();
  }

  /** Where the next one cannot be destroyed, it is closed. */
  async destroy(reason?: unknown): Promise<void> {
    const next: Closable = this.next;
    if (typeof next.destroy === "function") await next.destroy(reason);
    else await this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  [inspectCustom](): string {
    return `${this.#name} { around ${this.next.constructor?.name ?? "Object"} }`;
  }
}

/** A little longer than a connection drains, whose own limit ends it nearly always. */
const DRAIN_WAIT_MS = 60;

/**
 * Closes an answer that the caller does not get, and waits until its connection can serve the request that follows: a
 * drain is bounded, and mostly over in less time than a dial.
 */
export async function letGo(response: Response, clock: Clock, patience: Patience): Promise<void> {
  if (!(response instanceof Response)) return;
  const drain = drained(response);
  if (drain === null) return;
  let stopWaiting = (): void => {};
  const limit = new Promise<void>((resolve) => {
    stopWaiting = resolve;
  });
  const enough = clock.deadline(DRAIN_WAIT_MS, stopWaiting, { keepAlive: true });
  try {
    await patience.wait(Promise.race([drain, limit]));
  } finally {
    enough.cancel();
  }
}

/** Closes an answer that nobody gets. */
export function drop(response: Response): void {
  response.close().catch(ignore);
}

function ignore(): void {}
