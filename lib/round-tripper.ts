/**
 * The one seam: a RoundTripper sends one request and delivers its answer. A Transport is one, and whatever stands around
 * it: caching, recording, retry policies, mocks.
 *
 * Go net/http RoundTripper.
 */

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
  signal?: AbortSignal;
  /** To the last byte off the wire, over pool wait and attempts; an outer station may share it between hops. */
  deadline?: CallDeadline;
  trace?: TraceOption;
  /** Hears each 1xx response; what it throws fails the call. */
  onInformation?: (information: Information) => void;
}
