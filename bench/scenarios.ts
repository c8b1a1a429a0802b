/**
 * What is measured: one row a scenario, each named by its whole condition, and who takes part. Lengths as JSON APIs have
 * them (2 KiB), then those at which copying counts (64 KiB, one read of most clients; 1 MiB, many; 1 GiB, a stream).
 *
 * `x64` is 64 workers, each of which waits for its answer before it sends again. The scenarios that are judged (judge.ts)
 * have as many as keep the client busy; those with one worker are the sequential loop.
 */

import type { Placement } from "./support/machine.ts";

export interface Scenario {
  readonly name: string;
  /** One line for the tables. */
  readonly title: string;
  readonly groups: readonly Group[];
  readonly method: "GET" | "HEAD" | "POST";
  readonly tls: boolean;
  readonly unix: boolean;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** What the path asks of the responder beside the length: see support/reply.ts. */
  readonly ask: "" | "chunked" | "json" | "redirect" | "close" | `f${number}` | `d${number}`;
  /** How the body is taken; "stream": as it comes, and a request body goes out as it is made. */
  readonly read: "bytes" | "json" | "stream";
  readonly extra: Extra;
  /** TLS without tickets from the server: each handshake is a whole one. */
  readonly noTickets: boolean;
  readonly workers: number;
  /** Connections at most; 0: as many as workers. And requests in flight on each: above 1 they are pipelined. */
  readonly connections: number;
  readonly pipelining: number;
  readonly contestants: readonly ContestantName[];
}

/** What a call carries beyond the plain one. */
export type Extra = "none" | "timeouts" | "signal" | "hooks";

/** The parts that `--group` names. `must`: what judge.ts judges. */
export const GROUPS = ["must", "sizes", "connections", "heads", "uploads", "tls", "extras"] as const;
export type Group = (typeof GROUPS)[number];

/** In the order of the tables. The name is also the file in contestants/, but for Go's, which is go/main.go. */
export const CONTESTANTS = [
  "bare-socket",
  "persistconn",
  "persistconn-fetch",
  "undici-request",
  "undici-dispatch",
  "undici8-request",
  "node-http",
  "global-fetch",
  "got",
  "axios",
  "node-fetch",
  "go",
] as const;
export type ContestantName = (typeof CONTESTANTS)[number];

const WRAPPERS: readonly ContestantName[] = ["got", "axios", "node-fetch"];
const CORE = CONTESTANTS.filter((name) => !WRAPPERS.includes(name));
/** Without those whose place the others tell. */
const FEW: readonly ContestantName[] = ["bare-socket", "persistconn", "undici-request", "node-http", "go"];
const without = (names: readonly ContestantName[], ...left: readonly ContestantName[]) =>
  names.filter((name) => !left.includes(name));

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

const get: Omit<Scenario, "name" | "title" | "groups" | "responseBytes"> = {
  method: "GET",
  tls: false,
  unix: false,
  requestBytes: 0,
  ask: "",
  read: "bytes",
  extra: "none",
  noTickets: false,
  workers: 1,
  connections: 0,
  pipelining: 1,
  contestants: CORE,
};
const post = { ...get, method: "POST", responseBytes: 0 } as const;
const tls = { ...get, tls: true } as const;
const x64 = { workers: 64 } as const;
const all = { contestants: CONTESTANTS } as const;
const few = { contestants: FEW } as const;

export const SCENARIOS: readonly Scenario[] = [
  // sizes, in a sequential loop
  { ...get, name: "get-0b-x1", title: "GET, no body", groups: ["sizes"], responseBytes: 0, ...few },
  {
    ...get,
    ...all,
    name: "get-2kib-x1",
    title: "GET 2 KiB",
    groups: ["must", "sizes", "connections"],
    responseBytes: 2 * KIB,
  },
  { ...get, ...few, name: "get-64kib-x1", title: "GET 64 KiB", groups: ["sizes"], responseBytes: 64 * KIB },
  { ...get, ...few, name: "get-1mib-x1", title: "GET 1 MiB", groups: ["sizes"], responseBytes: MIB },
  {
    ...get,
    name: "get-1gib-x1",
    title: "GET 1 GiB, streamed",
    groups: ["must", "sizes"],
    responseBytes: GIB,
    read: "stream",
    contestants: without(CORE, "undici8-request"),
  },
  // sizes, with workers enough to keep the client busy
  { ...get, ...x64, ...few, name: "get-0b-x64", title: "GET, no body", groups: ["heads"], responseBytes: 0 },
  {
    ...get,
    ...x64,
    ...all,
    name: "get-2kib-x64",
    title: "GET 2 KiB",
    groups: ["must", "connections", "heads"],
    responseBytes: 2 * KIB,
  },
  {
    ...get,
    ...x64,
    ...all,
    name: "get-64kib-x64",
    title: "GET 64 KiB",
    groups: ["must"],
    responseBytes: 64 * KIB,
  },
  { ...get, name: "get-1mib-x8", title: "GET 1 MiB", groups: ["must"], responseBytes: MIB, workers: 8 },
  // heads and framings
  {
    ...get,
    ...x64,
    name: "get-35-fields-x64",
    title: "GET 2 KiB with 35 header fields",
    groups: ["must", "heads"],
    responseBytes: 2 * KIB,
    ask: "f35",
  },
  {
    ...get,
    ...x64,
    name: "get-64kib-chunked-x64",
    title: "GET 64 KiB, chunked",
    groups: ["must"],
    responseBytes: 64 * KIB,
    ask: "chunked",
  },
  {
    ...get,
    ...x64,
    ...few,
    name: "head-x64",
    title: "HEAD",
    groups: ["heads"],
    method: "HEAD",
    responseBytes: 2 * KIB,
  },
  {
    ...get,
    ...x64,
    ...all,
    name: "json-2kib-x64",
    title: "GET 2 KiB of JSON, parsed",
    groups: ["heads"],
    responseBytes: 2 * KIB,
    ask: "json",
    read: "json",
    contestants: without(CONTESTANTS, "undici-dispatch"),
  },
  // uploads
  {
    ...post,
    ...few,
    name: "post-2kib-x1",
    title: "POST 2 KiB",
    groups: ["uploads"],
    requestBytes: 2 * KIB,
  },
  {
    ...post,
    ...x64,
    ...all,
    name: "post-2kib-x64",
    title: "POST 2 KiB",
    groups: ["must", "uploads"],
    requestBytes: 2 * KIB,
  },
  {
    ...post,
    ...x64,
    name: "post-64kib-x64",
    title: "POST 64 KiB",
    groups: ["must", "uploads"],
    requestBytes: 64 * KIB,
  },
  {
    ...post,
    name: "post-1gib-x1",
    title: "POST 1 GiB, streamed",
    groups: ["must", "uploads"],
    requestBytes: GIB,
    read: "stream",
    contestants: without(CORE, "undici8-request"),
  },
  // TLS
  {
    ...tls,
    ...few,
    name: "tls-get-2kib-x1",
    title: "TLS GET 2 KiB",
    groups: ["tls"],
    responseBytes: 2 * KIB,
  },
  {
    ...tls,
    ...x64,
    ...all,
    name: "tls-get-2kib-x64",
    title: "TLS GET 2 KiB",
    groups: ["must", "tls"],
    responseBytes: 2 * KIB,
  },
  {
    ...tls,
    ...x64,
    name: "tls-get-64kib-x64",
    title: "TLS GET 64 KiB",
    groups: ["must", "tls"],
    responseBytes: 64 * KIB,
  },
  ...(["cold", "resumed"] as const).flatMap((kind) =>
    ([2, 64] as const).map(
      (kib): Scenario => ({
        ...tls,
        ...few,
        name: `tls-${kind}-${kib}kib-x1`,
        title: `TLS GET ${kib} KiB, each over a new connection, ${kind === "cold" ? "whole handshake" : "session resumed"}`,
        groups: ["tls"],
        responseBytes: kib * KIB,
        ask: "close",
        noTickets: kind === "cold",
      }),
    ),
  ),
  // connections
  ...[10, 500].map(
    (workers): Scenario => ({
      ...get,
      ...few,
      name: `get-2kib-x${workers}`,
      title: "GET 2 KiB",
      groups: ["connections"],
      responseBytes: 2 * KIB,
      workers,
    }),
  ),
  {
    ...get,
    ...few,
    name: "get-2kib-x10000",
    title: "GET 2 KiB",
    groups: ["connections"],
    responseBytes: 2 * KIB,
    workers: 10_000,
  },
  // what a call may carry
  {
    ...get,
    ...x64,
    name: "timeouts-x64",
    title: "GET 2 KiB, every time-out set",
    groups: ["extras"],
    responseBytes: 2 * KIB,
    extra: "timeouts",
    contestants: without(CONTESTANTS, "bare-socket", "undici-dispatch", "undici8-request"),
  },
  {
    ...get,
    ...x64,
    name: "signal-x64",
    title: "GET 2 KiB, each with a signal of its own",
    groups: ["extras"],
    responseBytes: 2 * KIB,
    extra: "signal",
    contestants: without(CONTESTANTS, "bare-socket", "undici-dispatch", "undici8-request"),
  },
  {
    ...get,
    ...x64,
    name: "hooks-x64",
    title: "GET 2 KiB, every hook listened to",
    groups: ["extras"],
    responseBytes: 2 * KIB,
    extra: "hooks",
    contestants: ["persistconn", "persistconn-fetch", "undici-request", "node-http", "global-fetch", "go"],
  },
  {
    ...get,
    ...x64,
    name: "redirect-x64",
    title: "GET 2 KiB behind one redirect",
    groups: ["extras"],
    responseBytes: 2 * KIB,
    ask: "redirect",
    contestants: without(CONTESTANTS, "undici-dispatch", "undici8-request", "node-http"),
  },
  // few connections for many workers, and several requests on each
  ...[1, 10].map(
    (pipelining): Scenario => ({
      ...get,
      ...x64,
      name: `get-2kib-x64-${pipelining === 1 ? "on-8" : "pipelined"}`,
      title: `GET 2 KiB over 8 connections, ${pipelining === 1 ? "one request on each" : "up to 10 requests pipelined on each"}`,
      groups: ["extras"],
      responseBytes: 2 * KIB,
      connections: 8,
      pipelining,
      contestants: ["persistconn", "undici-request", "undici-dispatch"],
    }),
  ),
  {
    ...get,
    ...x64,
    name: "unix-get-2kib-x64",
    title: "GET 2 KiB over a unix socket",
    groups: ["extras"],
    responseBytes: 2 * KIB,
    unix: true,
    contestants: without(CONTESTANTS, "persistconn-fetch", "undici-dispatch", "undici8-request", "global-fetch"),
  },
];

/** The one that is measured by processes in pairs (cold.ts), not by rounds. */
export const COLD = "cold";

/** Bodies from this length on are made and taken piece by piece at both ends. */
export const STREAMED_FROM = 4 * MIB;

/** The fields each contestant is given to send, beside those it adds itself. */
export const REQUEST_HEADERS = { accept: "application/json", "user-agent": "persistconn-bench" } as const;

/** Where the responder runs unless the command line says otherwise; support/machine.ts has the reason. */
export function defaultPlacement(scenario: Scenario): Placement {
  // Whoever streams a body keeps both ends at work, whatever the number of workers.
  return scenario.workers === 1 && scenario.read !== "stream" ? "together" : "apart";
}

/** The same for a look at whether it runs: nothing that takes long because of its size. */
export function quickened(scenario: Scenario): Scenario {
  const small = (bytes: number) => Math.min(bytes, 2 * STREAMED_FROM);
  const { requestBytes, responseBytes, workers } = scenario;
  return {
    ...scenario,
    requestBytes: small(requestBytes),
    responseBytes: small(responseBytes),
    workers: Math.min(workers, 2_000),
  };
}
