/**
 * Which failures are worth another attempt, and whether that could do the same thing twice. Pure. The transport's own
 * retries (`lib/retry.ts`) are another thing: those come before, cost no time, and are never seen.
 *
 * RFC 9110 §9.2.2 (idempotent methods); draft-ietf-httpapi-idempotency-key-header.
 */

import {
  ConnectionClosedError,
  DialError,
  HttpError,
  PoolTimeoutError,
  ProxyError,
  TimeoutError,
  TlsError,
} from "../errors.ts";
import type { Headers } from "../message/headers.ts";
import type { Request } from "../message/request.ts";

/** An attempt that did not bring what was wanted: either an answer with one of the statuses, or an error. */
export interface Failure {
  /** As it was sent. */
  readonly request: Request;
  /** 1 for the first. */
  readonly attempt: number;
  /** Of the answer; null where there was none. */
  readonly status: number | null;
  /** Of the answer; null where there was none. */
  readonly headers: Headers | null;
  /** Null where there was an answer. */
  readonly error: unknown;
}

export interface Verdict {
  readonly retry: boolean;
  readonly reason: string;
}

const no = (reason: string): Verdict => ({ retry: false, reason });
const yes = (reason: string): Verdict => ({ retry: true, reason });

/** What the network does, and may do better the next time; what else went wrong would go wrong again. */
const PASSING: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "EPIPE",
  "ETIMEDOUT",
]);

/**
 * What the failure itself says: attempts, budget and time are another matter.
 *
 * @param statuses those that are worth it
 */
export function judge({ request, status, error }: Failure, statuses: ReadonlySet<number>): Verdict {
  if (status !== null) {
    // A server that answers has seen the request, and 503 may come from the last of many stations.
    if (!request.idempotent) return no(`${request.method} may have been acted on: it has no idempotency key`);
    return yes(`status ${status}`);
  }
  if (!(error instanceof HttpError)) return no("it is no failure of the network");
  if (error.unprocessed === true) return yes("the peer has not processed it");
  if (!isPassing(error, statuses)) return no(`${error.name} would come again`);
  // Nothing was written, or the method bears it and no answer had begun.
  if (error.safeToRetry === true) return yes(`${error.name}, and sending again is safe`);
  // The head of an answer was cut: what it would have said is lost, and the method bears to ask again.
  if (request.idempotent && error instanceof ConnectionClosedError) return yes("the connection was lost");
  return no(`${request.method} may have been acted on`);
}

/** Whether it has to do with the moment and not with the request, the configuration or this side's own load. */
function isPassing(error: HttpError, statuses: ReadonlySet<number>): boolean {
  if (error instanceof PoolTimeoutError) return false; // who waits for connections already would wait among more
  if (error instanceof TimeoutError) return error.phase !== "total";
  if (error instanceof ProxyError) return error.status === null || statuses.has(error.status);
  if (error instanceof DialError) {
    const codes = [codeOf(error.cause), ...error.attempts.map(({ outcome }) => outcome)];
    return codes.some((code) => code !== null && PASSING.has(code));
  }
  if (error instanceof TlsError) return PASSING.has(codeOf(error.cause) ?? "");
  return error instanceof ConnectionClosedError;
}

function codeOf(cause: unknown): string | null {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : null;
}
