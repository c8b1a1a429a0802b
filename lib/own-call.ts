/**
 * What a caller of `roundTrip` gave beside the request, checked and made whole.
 *
 * Never: takes what a prototype brings along for the caller's.
 */

import type { TlsOptions } from "./conn/tls.ts";
import { Request } from "./message/request.ts";
import { CALL_TIME_LIMITS, type CallTimeLimits, checkCall } from "./options.ts";
import type { CallDeadline, RoundTripCall } from "./round-tripper.ts";
import type { TraceOption } from "./trace.ts";

/** The options of one call, each set to something: what a prototype brings along is not the caller's. */
export interface OwnCall extends CallTimeLimits {
  signal: AbortSignal | undefined;
  deadline: CallDeadline | undefined;
  trace: TraceOption | undefined;
  hop: number | undefined;
  onInformation: RoundTripCall["onInformation"];
  tls: TlsOptions | undefined;
}

export const NO_CALL: OwnCall = Object.freeze({
  signal: undefined,
  deadline: undefined,
  trace: undefined,
  hop: undefined,
  onInformation: undefined,
  tls: undefined,
});
/** The options of roundTrip(). */
export const ROUND_TRIP_NAMES: readonly string[] = [...Object.keys(NO_CALL), ...CALL_TIME_LIMITS];

/** What the caller owns of the options, checked. A body that can be read once is given up where they are refused. */
export function ownCall(request: Request, call: RoundTripCall): OwnCall {
  try {
    checkCall(call, ROUND_TRIP_NAMES);
  } catch (error) {
    if (request instanceof Request) request.body?.discard(error);
    throw error;
  }
  return { ...NO_CALL, ...call, signal: call.signal ?? undefined };
}
