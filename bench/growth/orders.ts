/** What growth.ts and its processes say to each other, in the line protocol of support/. */
import type { Target } from "../support/protocol.ts";

export type GrowthOrder =
  | { readonly op: "open"; readonly target: Target }
  | { readonly op: "run"; readonly count: number; readonly workers: number }
  /** Starts as many requests at once as it says, and waits for none. */
  | { readonly op: "start"; readonly count: number }
  /** Waits for all that were started; answers with what that cost. */
  | { readonly op: "settle" }
  | { readonly op: "memory" };

export interface Cost {
  readonly cpuUs: number;
  readonly wallMs: number;
}

export interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}
