/**
 * A retry policy: a RoundTripper that sends a request again when it failed in a way that passes, after a delay that grows
 * and is spread by chance.
 *
 * Owns:  its delays, each of which keeps the process alive; `close()` ends them.
 * Never: sends again what could do something twice, unless the caller says that it bears it; waits beyond the call's
 *        deadline or signal; waits shorter than the server asks for; sends again once the caller has the answer, so a body that
 *        breaks later is the caller's to see.
 *
 * RFC 9110 §9.2.2 (idempotent methods), §10.2.3 (Retry-After); draft-ietf-httpapi-idempotency-key-header; "full jitter" as in
 * Brooker, "Exponential Backoff And Jitter".
 */

import { randomUUID } from "node:crypto";
import { throwLater } from "../boundary.ts";
import { TransportClosedError } from "../errors.ts";
import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { type Checks, checked, isCount, isDuration, isFunction, isFunctionOrNull } from "./options.ts";
import { retryAfter } from "./retry-after.ts";
import { RetryBudget } from "./retry-budget.ts";
import { type Failure, judge, type Verdict } from "./retry-rules.ts";
import { drop, letGo, type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

/** A failure, and what becomes of the request. */
export interface RetryDecision extends Failure {
  /** Why it is sent again, or not. */
  readonly reason: string;
  /** Milliseconds until it is; null where it is not. */
  readonly delay: number | null;
}

export interface RetryOptions {
  /** All attempts of a call, the first included. Default 3. */
  maxAttempts?: number;
  /** Before the second attempt, at most: the delay is any time from 0 to that. It doubles with each attempt. Default 200 ms. */
  baseDelay?: number;
  /** A delay is never longer, unless the server asks for it. Default 20 s. */
  maxDelay?: number;
  /** Where a server asks to wait for longer (Retry-After), its answer is the caller's. Default 60 s. */
  maxRetryAfter?: number;
  /** Answers worth another attempt. Default 408, 429, 502, 503, 504. */
  statuses?: readonly number[];
  /**
   * Gives a request that is not idempotent (POST, PATCH, …) an `Idempotency-Key`, the same for all its attempts: true for a
   * random one, in quotes as the draft has it; a function for your own, sent as given. For servers that know the field.
   * Default: none, so only a request that has the field already is sent again.
   */
  idempotencyKey?: boolean | ((request: Request) => string);
  /** What retries may cost; share one between several, or null for no limit. Default: one of its own. */
  budget?: RetryBudget | null;
  /**
   * Says of an answer with one of `statuses`, or of an error, whether it is worth another attempt, in the place of the
   * rules; the method does not count then. Default: the rules.
   */
  retryIf?: ((failure: Failure) => boolean) | null;
  /** Hears of each retry, before its delay. What it throws is an uncaught exception, and the call goes on. */
  onRetry?: ((decision: RetryDecision) => void) | null;
  /** Hears of each failure that is final. */
  onGiveUp?: ((decision: RetryDecision) => void) | null;
  /** Numbers from 0 to 1. Default: Math.random. */
  random?: () => number;
}

const isStatus = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 200 && Number(value) <= 599;

const CHECKS: Checks<RetryOptions> = {
  maxAttempts: isCount,
  baseDelay: isDuration,
  maxDelay: isDuration,
  maxRetryAfter: isDuration,
  statuses: (value) => (Array.isArray(value) && value.every(isStatus) ? null : "a list of statuses from 200 to 599"),
  idempotencyKey: (value) =>
    typeof value === "boolean" || typeof value === "function" ? null : "true, false or a function",
  budget: (value) => (value === null || value instanceof RetryBudget ? null : "a RetryBudget or null"),
  retryIf: isFunctionOrNull,
  onRetry: isFunctionOrNull,
  onGiveUp: isFunctionOrNull,
  random: isFunction,
};

/**
 * Sends again what failed in a way that passes.
 *
 * @throws {TypeError} unknown or wrong options, or no round tripper
 * @example
 * const client = new Client({ transport: withRetry(new Transport(), { maxAttempts: 5 }) });
 */
export function withRetry(next: RoundTripper, options: RetryOptions = {}): WrappedRoundTripper {
  return new RetryingRoundTripper(next, options);
}

class RetryingRoundTripper extends Wrapper {
  readonly #options: Required<Omit<RetryOptions, "statuses">>;
  readonly #statuses: ReadonlySet<number>;
  readonly #sleepers = new Set<(error: TransportClosedError) => void>();
  #closed = false;

  constructor(next: RoundTripper, options: RetryOptions) {
    super(next, "RetryingRoundTripper");
    const { statuses = [408, 429, 502, 503, 504], ...given } = checked(options, CHECKS);
    this.#statuses = new Set(statuses);
    this.#options = {
      maxAttempts: 3,
      baseDelay: 200,
      maxDelay: 20_000,
      maxRetryAfter: 60_000,
      idempotencyKey: false,
      retryIf: null,
      onRetry: null,
      onGiveUp: null,
      random: Math.random,
      ...given,
      budget: given.budget === undefined ? new RetryBudget() : given.budget,
    };
  }

  override close(): Promise<void> {
    this.#wake(undefined);
    return super.close();
  }

  override destroy(reason?: unknown): Promise<void> {
    this.#wake(reason);
    return super.destroy(reason);
  }

  protected async send(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { clock, next } = this;
    const { budget } = this.#options;
    const patience = new Patience(clock, request, call);
    const sent = this.#keyed(request);
    budget?.deposit(clock.now());
    for (let attempt = 1; ; attempt++) {
      let response: Response | null = null;
      let error: unknown = null;
      try {
        response = await next.roundTrip(sent, call);
      } catch (thrown) {
        if (patience.over) throw thrown; // the caller's own doing: no failure
        error = thrown;
      }
      if (response !== null && !this.#statuses.has(response.status)) return response;
      const failure = { request: sent, attempt, status: null, headers: null, error, ...headOf(response) };
      try {
        if (response !== null) patience.check();
        const decision = this.#decide(failure, call);
        tell(decision.delay === null ? this.#options.onGiveUp : this.#options.onRetry, decision);
        if (decision.delay === null) {
          if (response !== null) return response;
          throw error;
        }
        const gone = response === null ? null : letGo(response, clock, patience); // it drains while we wait
        gone?.catch(ignore); // what the delay ends with is said first
        await this.#sleep(decision.delay, patience, error);
        await gone;
      } catch (thrown) {
        if (response !== null) drop(response);
        throw thrown;
      }
    }
  }

  #decide(failure: Failure, call: RoundTripCall | undefined): RetryDecision {
    const { clock } = this;
    const { baseDelay, budget, maxAttempts, maxDelay, maxRetryAfter, random } = this.#options;
    const { attempt, headers, request } = failure;
    const final = (reason: string): RetryDecision => ({ ...failure, reason, delay: null });
    const verdict = this.#verdict(failure);
    if (!verdict.retry) return final(verdict.reason);
    if (request.body !== null && !request.body.regenerable) return final("the body cannot be made again");
    if (this.#closed) return final("the round tripper is closed");
    if (attempt >= maxAttempts) return final(`${attempt} attempts were made (option maxAttempts)`);
    const asked = retryAfter(headers?.get("retry-after") ?? null, clock.wallNow());
    if (asked !== null && asked > maxRetryAfter) {
      return final(`the server asks to wait for ${asked} ms (option maxRetryAfter)`);
    }
    // Never earlier than the server asks, and those whom it asks at once do not all come back at once.
    const delay = (asked ?? 0) + random() * Math.min(maxDelay, baseDelay * 2 ** (attempt - 1));
    const deadline = call?.deadline;
    if (deadline !== undefined && clock.now() + delay >= deadline.at) {
      return final(`the delay of ${Math.round(delay)} ms would exceed the call's time (option timeout)`);
    }
    if (budget !== null && !budget.withdraw(clock.now())) return final("the retry budget is used up (option budget)");
    return { ...failure, reason: verdict.reason, delay };
  }

  #verdict(failure: Failure): Verdict {
    const { retryIf } = this.#options;
    if (retryIf === null) return judge(failure, this.#statuses);
    return { retry: retryIf(failure) === true, reason: "option retryIf says so" };
  }

  /** The request as all attempts send it. */
  #keyed(request: Request): Request {
    const { idempotencyKey } = this.#options;
    const { body } = request;
    const wanted = idempotencyKey !== false && !request.idempotent && request.method !== "CONNECT";
    if (!wanted || (body !== null && !body.regenerable)) return request;
    const key = idempotencyKey === true ? `"${randomUUID()}"` : idempotencyKey(request);
    return request.with({ headers: [...request.pairs, ["Idempotency-Key", key]] });
  }

  /** Lets `ms` pass, but for the end of the call and of this. */
  async #sleep(ms: number, patience: Patience, cause: unknown): Promise<void> {
    if (ms === 0) return;
    let wake!: () => void; // both set by the executor
    let end!: (error: TransportClosedError) => void;
    const slept = new Promise<void>((resolve, reject) => {
      wake = resolve;
      end = reject;
    });
    const sleeper = (error: TransportClosedError): void => {
      if (cause !== null) error.cause ??= cause;
      end(error);
    };
    const timer = this.clock.deadline(ms, wake, { keepAlive: true });
    this.#sleepers.add(sleeper);
    try {
      await patience.wait(slept);
    } finally {
      this.#sleepers.delete(sleeper);
      timer.cancel();
    }
  }

  #wake(reason: unknown): void {
    this.#closed = true;
    for (const end of this.#sleepers) {
      const text = "Cannot send request again: the round tripper was closed while it waited";
      end(new TransportClosedError(text, reason === undefined ? {} : { cause: reason }));
    }
  }
}

function headOf(response: Response | null): Partial<Failure> {
  return response === null ? {} : { status: response.status, headers: response.headers };
}

function tell(hook: ((decision: RetryDecision) => void) | null, decision: RetryDecision): void {
  if (hook === null) return;
  try {
    hook(decision);
  } catch (error) {
    throwLater(error);
  }
}

function ignore(): void {}
