/**
 * The one seam: a RoundTripper sends one request and delivers its answer. A Transport is one, and whatever stands around
 * it: caching, recording, retry policies, mocks.
 *
 * Go net/http RoundTripper.
 */

import type { TlsOptions } from "./conn/tls.ts";
import type { Headers } from "./message/headers.ts";
import type { Request } from "./message/request.ts";
import type { Response } from "./message/response.ts";
import type { CallTimeLimits } from "./time-limits.ts";
import type { TraceOption } from "./trace.ts";

/** One HTTP transaction: the one seam. Caching, recording, retry policies and mocks are RoundTrippers around another. */
export interface RoundTripper {
  /**
   * Sends one request and delivers the head of its answer. Never interprets the answer; never changes the request; reads
   * the request's one-shot body to its end or destroys it, on every path.
   */
  roundTrip(request: Request, call?: RoundTripCall): Promise<Response>;
}

/** A point in time on the transport's clock, and the limit that set it, for the error's text. */
export interface CallDeadline {
  readonly at: number;
  readonly limit: number;
}

/** A 1xx response, as a hook sees it. */
export interface Information {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
}

/** What belongs to one call and travels beside the request. */
export interface RoundTripCall extends CallTimeLimits {
  /** Ends the call with its reason, wherever the call stands. Default: none. */
  signal?: AbortSignal;
  /**
   * To the last byte off the wire, over pool wait and attempts, in ms of the transport's clock; an outer station may share
   * it between hops. Default: none. TimeoutError, phase total.
   */
  deadline?: CallDeadline;
  /** Hears what happens on this call, beside the transport's own listener. Default: none. */
  trace?: TraceOption;
  /** How many redirects led to it, for who listens. Default 0. */
  hop?: number;
  /** Hears each 1xx response; what it throws fails the call. Default: none. */
  onInformation?: (information: Information) => void;
  /**
   * TLS options of this call in the place of the transport's, each by its name; `cert`, `key`, `passphrase` and `pfx` are
   * one, and so is what `secureContext` replaces. Connections and sessions are shared only with calls whose options mean
   * the same, byte for byte. For the target, never for a proxy. Keep the object for the next call: it is then hashed once.
   * Default: the transport's. TlsError.
   */
  tls?: TlsOptions;
}
