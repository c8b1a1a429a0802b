/**
 * `fetch`: the standard call over a client. It gives the Response that `client.get` gives, and fails as the standard
 * fails: with the signal's own reason, or with a TypeError whose `cause` has the facts.
 *
 * Lives as long as its client. A call costs, beside the client's own, one object and one promise.
 *
 * Never: makes a standard object, nor names one.
 *
 * Fetch standard, "fetch method", "main fetch". Where it speaks of pages (CORS, origins, referrers, tainting), it does
 * not apply.
 */

import { HttpError } from "../errors.ts";
import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import { answerOf } from "./data-url.ts";
import { type Integrity, verified } from "./integrity.ts";
import { type FetchCall, type FetchInit, type FetchInput, readCall } from "./read-call.ts";

export type { FetchInit, FetchInput } from "./read-call.ts";

/**
 * The standard call, to be given to whatever takes a `fetch`.
 *
 * @returns rejects with `signal.reason`, where that ended it; else with a TypeError: "fetch failed" where the request was
 *   right and its `cause`, an HttpError, says what happened; the refusal itself where it was not
 */
export type Fetch = (input: FetchInput, init?: FetchInit) => Promise<Response>;

/** Sends a request by the standard's redirect rules; `redirect` undefined: as the client does. */
export type Send = (request: Request, redirect: FetchCall["redirect"]) => Promise<Response>;

export function fetchOver(send: Send): Fetch {
  return function fetch(input, init) {
    let call: FetchCall;
    try {
      call = readCall(input, init);
    } catch (error) {
      return Promise.reject(refusalOf(error));
    }
    const { request, integrity, dataUrl } = call;
    const answer = dataUrl === null ? send(request, call.redirect) : saidBy(dataUrl, request);
    const failed = (error: unknown): never => {
      throw failureOf(error, request.givenSignal);
    };
    return integrity === null ? answer.catch(failed) : delivered(answer, integrity).catch(failed);
  };
}

async function delivered(answer: Promise<Response>, integrity: Integrity): Promise<Response> {
  return verified(await answer, integrity);
}

/** The answer to a data: URL, or the abort that came before the call. */
async function saidBy(url: string, { givenSignal, method }: Request): Promise<Response> {
  if (givenSignal?.aborted) throw givenSignal.reason;
  return answerOf(url, method);
}

/** The standard refuses in TypeErrors; what the caller's own code threw is theirs. */
function refusalOf(error: unknown): unknown {
  return error instanceof HttpError ? new TypeError(error.message, { cause: error }) : error;
}

function failureOf(error: unknown, signal: AbortSignal | null): unknown {
  if (signal?.aborted && error === signal.reason) return error;
  return new TypeError("fetch failed", { cause: error });
}
