/**
 * What is measured: one row a scenario, each named by its whole condition. Bodies as JSON APIs have them (13 bytes,
 * 2 KiB), then lengths at which copying counts (64 KiB, one read of most clients; 1 MiB, many).
 */

import type { Placement } from "./support/machine.ts";

export interface Scenario {
  readonly name: string;
  readonly method: "GET" | "POST";
  readonly tls: boolean;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly workers: number;
}

const get = { method: "GET", tls: false, requestBytes: 0, workers: 1 } as const;
const KIB = 1024;

export const SCENARIOS: readonly Scenario[] = [
  { ...get, name: "get-13b-x1", responseBytes: 13 },
  { ...get, name: "get-2kib-x1", responseBytes: 2 * KIB },
  { ...get, name: "get-13b-x64", responseBytes: 13, workers: 64 },
  { ...get, name: "get-2kib-x64", responseBytes: 2 * KIB, workers: 64 },
  { ...get, name: "get-64kib-x1", responseBytes: 64 * KIB },
  { ...get, name: "get-1mib-x1", responseBytes: KIB * KIB },
  { ...get, name: "post-2kib-x1", method: "POST", requestBytes: 2 * KIB, responseBytes: 13 },
  { ...get, name: "tls-get-2kib-x1", tls: true, responseBytes: 2 * KIB },
];

/** The fields each contestant is given to send, beside those it adds itself. */
export const REQUEST_HEADERS = { accept: "application/json", "user-agent": "persistconn-bench" } as const;

/** In the order of the tables. The name is also the file in contestants/, but for Go's, which is go/main.go. */
export const CONTESTANTS = [
  "bare-socket",
  "persistconn",
  "undici-request",
  "undici-dispatch",
  "node-http",
  "global-fetch",
  "go",
] as const;

export type ContestantName = (typeof CONTESTANTS)[number];

/** Where the responder runs unless the command line says otherwise; support/machine.ts has the reason. */
export function defaultPlacement(scenario: Scenario): Placement {
  return scenario.workers === 1 ? "together" : "apart";
}
