/**
 * How many retries are affordable: a token bucket. Each call puts a part of a token in, time puts some in, each retry
 * takes one out. While nearly all goes well a retry is always to be had; when a server is down, those who call it send
 * little more than without retries, and not a multiple.
 *
 * Lives as long as its user likes; several retry policies may share one. It reads no clock: it is told the time.
 *
 * gRPC "retry throttling" and Finagle's RetryBudget have the same idea; the ratio is that of "Handling Overload" in Google's
 * book on Site Reliability Engineering.
 */

import { inspectCustom } from "../message/options.ts";
import { type Checks, checked } from "./options.ts";

export interface RetryBudgetOptions {
  /** Retries for each call. Default 0.1. */
  ratio?: number;
  /** Retries for each second, whatever the calls: who calls seldom may retry too. Default 1. */
  perSecond?: number;
  /** What may be saved up, and what there is at the start. Default 10. */
  burst?: number;
}

const isAmount = (value: unknown): string | null =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? null : "a number, 0 or more";

const CHECKS: Checks<RetryBudgetOptions> = { ratio: isAmount, perSecond: isAmount, burst: isAmount };

/** Invariant: 0 ≤ tokens ≤ burst. */
export class RetryBudget {
  readonly #ratio: number;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  /** When the tokens were counted; null before the first call. */
  #at: number | null = null;

  /** @throws {TypeError} unknown or wrong options */
  constructor(options: RetryBudgetOptions = {}) {
    const { ratio = 0.1, perSecond = 1, burst = 10 } = checked(options, CHECKS);
    this.#ratio = ratio;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Retries that could be had at once, when it was last used. */
  get available(): number {
    return Math.floor(this.#tokens);
  }

  /** A call begins. @internal */
  deposit(now: number): void {
    this.#refill(now);
    this.#tokens = Math.min(this.#tokens + this.#ratio, this.#burst);
  }

  /** A retry is wanted. @returns whether it may be; it is paid for then @internal */
  withdraw(now: number): boolean {
    this.#refill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** @internal */
  [inspectCustom](): string {
    return `RetryBudget { ${this.available} of ${this.#burst} }`;
  }

  #refill(now: number): void {
    const passed = this.#at === null ? 0 : Math.max(now - this.#at, 0); // those who share it may have other clocks
    this.#at = now;
    this.#tokens = Math.min(this.#tokens + (passed / 1000) * this.#perSecond, this.#burst);
  }
}
