/**
 * What may be done with a stored response at a given time, for a given request. Pure: a list of reasons.
 *
 * The lifetime is the package's (`policy.ts`). What follows from it is decided here, since the package validates every
 * response with must-revalidate, fresh or not, and takes the Age field alone for the age.
 *
 * RFC 9111 §4.2 (fresh), §4.2.3 (age), §4.2.4 (stale), §5.2.1 (what requests say); RFC 5861.
 */

import { type Directives, secondsOf } from "./cache-control.ts";

export type Verdict =
  /** Fresh, or the request takes it stale. */
  | "use"
  /** stale-while-revalidate: used now, and validated behind the answer. */
  | "use-and-refresh"
  /** It is stale. */
  | "stale"
  /** It is fresh, or might be used stale, but the request wants better. */
  | "refused";

export interface Standing {
  /** Seconds, with fractions. */
  readonly age: number;
  /** Seconds for which it is fresh. */
  readonly lifetime: number;
  readonly response: Directives;
  readonly request: Directives;
  readonly shared: boolean;
}

/**
 * Age in milliseconds when it was received.
 *
 * @param ageValue of the Age field, in seconds
 * @param date of the Date field; null where there is none
 * @see RFC 9111 §4.2.3, "corrected_initial_age"
 */
export function initialAge(ageValue: number, date: number | null, requestTime: number, responseTime: number): number {
  // Date has whole seconds: what is left of one is no age.
  const apparent = date === null ? 0 : Math.max(0, Math.floor(responseTime / 1000) * 1000 - date);
  return Math.max(apparent, ageValue * 1000 + Math.max(0, responseTime - requestTime));
}

export function judge(standing: Standing): Verdict {
  const { age, lifetime, response, request } = standing;
  if (request.has("no-cache")) return "refused";
  const maxAge = secondsOf(request, "max-age");
  if (maxAge !== null && age > maxAge) return "refused";
  const minFresh = secondsOf(request, "min-fresh");
  if (minFresh !== null && lifetime - age < minFresh) return "refused";
  if (response.has("no-cache")) return "stale"; // never without validation (§5.2.2.4)
  if (lifetime > age) return "use";
  if (mustValidate(standing)) return "stale";
  const staleness = age - lifetime;
  if (request.has("max-stale")) {
    const limit = request.get("max-stale") === null ? Number.POSITIVE_INFINITY : (secondsOf(request, "max-stale") ?? 0);
    if (staleness <= limit) return "use";
  }
  const behind = secondsOf(response, "stale-while-revalidate");
  return behind !== null && staleness <= behind ? "use-and-refresh" : "stale";
}

/** Whether it may stand in for an answer that failed (RFC 5861 §4). Either side can allow it. */
export function mayReplaceError(standing: Standing): boolean {
  const { age, lifetime, response, request } = standing;
  if (request.has("no-cache") || response.has("no-cache") || mustValidate(standing)) return false;
  const limit = Math.max(secondsOf(response, "stale-if-error") ?? -1, secondsOf(request, "stale-if-error") ?? -1);
  return limit >= 0 && age - lifetime <= limit;
}

/** Whether its server forbids to use it stale (RFC 9111 §4.2.4). For shared caches s-maxage means that too (§5.2.2.10). */
function mustValidate({ response, shared }: Standing): boolean {
  if (response.has("must-revalidate")) return true;
  return shared && (response.has("proxy-revalidate") || response.has("s-maxage"));
}
