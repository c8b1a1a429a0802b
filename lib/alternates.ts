/**
 * RoundTrippers registered for a scheme: `file:`, `memory:`, or http and https themselves. Lives as long as its transport.
 *
 * Never: reads a body, or decides about an answer: what is registered does all of it. It may pass a request on, and then
 * the transport carries it as if nothing were registered.
 *
 * Go net/http Transport.RegisterProtocol, ErrSkipAltProtocol, alternateRoundTripper.
 */

import { onAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { ConnectionClosedError, TimeoutError } from "./errors.ts";
import { registerScheme } from "./message/destination.ts";
import { wrongType } from "./message/options.ts";
import type { Request } from "./message/request.ts";
import type { Response } from "./message/response.ts";
import type { OwnCall } from "./own-call.ts";
import type { RoundTripCall, RoundTripper } from "./round-tripper.ts";

/** Thrown by a registered RoundTripper: the transport is to carry this request by itself. */
export const errSkipAltProtocol: Error = Object.freeze(
  Object.assign(new Error("Skip alternate protocol"), { code: "ERR_HTTP_SKIP_ALT_PROTOCOL" }),
);

/** How often a request goes again that was not processed. */
const TRIES_MAX = 6;

/** RFC 3986 §3.1, in the lower case of parsed URLs. */
const SCHEME = /^[a-z][a-z0-9+.-]*$/;

export class Alternates {
  readonly #clock: Clock;
  readonly #byScheme = new Map<string, RoundTripper>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws {TypeError} no scheme, one that is registered already, or no RoundTripper */
  register(scheme: string, roundTripper: RoundTripper): void {
    if (typeof scheme !== "string" || !SCHEME.test(scheme)) {
      throw wrongType("scheme", "the scheme of URLs, in lower case and without the colon", scheme);
    }
    if (typeof roundTripper?.roundTrip !== "function") {
      throw wrongType("roundTripper", "an object with roundTrip()", roundTripper);
    }
    if (this.#byScheme.has(scheme)) throw new TypeError(`Protocol ${scheme} is already registered`);
    this.#byScheme.set(scheme, roundTripper);
    registerScheme(scheme);
  }

  /** Who carries a request; null: the transport itself. What asks for an upgrade needs a connection of HTTP/1.1 (as Go). */
  for(request: Request): RoundTripper | null {
    if (this.#byScheme.size === 0) return null;
    const { scheme } = request.destination;
    const found = this.#byScheme.get(scheme) ?? null;
    return found !== null && scheme === "https" && request.hasField("upgrade") ? null : found;
  }

  /**
   * Has it carried.
   *
   * @returns null where the RoundTripper passed it on
   * @throws what the RoundTripper throws
   */
  async carry(roundTripper: RoundTripper, request: Request, own: OwnCall): Promise<Response | null> {
    const [call, answered] = this.#callOf(request, own);
    try {
      for (let tries = 1; ; tries++) {
        try {
          return await roundTripper.roundTrip(request, call);
        } catch (error) {
          if (error === errSkipAltProtocol) return null;
          const unprocessed = error instanceof ConnectionClosedError && error.unprocessed === true;
          const again = unprocessed && (request.body?.regenerable ?? true) && !own.signal?.aborted;
          if (!again || tries >= TRIES_MAX) throw error;
        }
      }
    } finally {
      answered();
    }
  }

  /** Who does not know deadlines still hears of their end: by the signal. */
  #callOf(request: Request, own: OwnCall): [call: RoundTripCall, answered: () => void] {
    const given = Object.entries(own).filter(([, value]) => value !== undefined);
    const call: RoundTripCall = Object.fromEntries(given);
    const { signal, deadline } = own;
    if (deadline === undefined) return [call, () => {}];
    const controller = new AbortController();
    const { limit, at } = deadline;
    const leave = signal === undefined ? () => {} : onAbort(signal, () => controller.abort(signal.reason));
    const end = () => {
      leave();
      const text = `Cannot finish ${request.method} ${request.url}: not complete within ${limit} ms (option timeout)`;
      controller.abort(new TimeoutError("total", "timeout", limit, text, { origin: request.destination.origin }));
    };
    const left = () => Math.max(1, at - this.#clock.now());
    const waiting = this.#clock.deadline(left(), end, { keepAlive: true });
    const answered = () => {
      waiting.cancel();
      // The body of the answer has as long, but keeps no process alive by this.
      if (!controller.signal.aborted) this.#clock.deadline(left(), end);
    };
    return [{ ...call, signal: controller.signal }, answered];
  }
}
