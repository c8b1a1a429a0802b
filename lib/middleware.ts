/** The public names of `persistconn/middleware`; nothing is defined here. */

export { BaseUrl, type Query, withBaseUrl } from "./middleware/base-url.ts";
export { BaseUrlClient } from "./middleware/base-url-client.ts";
export { type BasicAuthOptions, withBasicAuth } from "./middleware/basic-auth.ts";
export { type BearerAuthOptions, type TokenSource, withBearerAuth } from "./middleware/bearer-auth.ts";
export type { BoundOptions, Origins } from "./middleware/credentials.ts";
export type { DigestAlgorithm } from "./middleware/digest.ts";
export { type DigestAuthOptions, withDigestAuth } from "./middleware/digest-auth.ts";
export { type Hooks, withHooks } from "./middleware/hooks.ts";
export { type Progress, type ProgressOptions, withProgress } from "./middleware/progress.ts";
export { type RetryDecision, type RetryOptions, withRetry } from "./middleware/retry.ts";
export { RetryBudget, type RetryBudgetOptions } from "./middleware/retry-budget.ts";
export type { Failure } from "./middleware/retry-rules.ts";
export { compose, type Wrap, type WrappedRoundTripper } from "./middleware/wrapper.ts";
