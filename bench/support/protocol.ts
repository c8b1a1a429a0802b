/**
 * What the bench and its processes say to each other: one JSON object a line, an order in, an answer out, never two
 * orders at once. The Go program speaks the same lines (go/main.go mirrors these names).
 * The end of the input means: exit. So no process outlives the bench, not even one that was killed.
 */

import type { Extra } from "../scenarios.ts";

/** What a contestant is to do, over and over: the same for every contestant of a scenario. */
export interface Target {
  readonly method: "GET" | "HEAD" | "POST";
  /** The whole URL; its path says what the responder sends back (support/reply.ts). */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly tls: boolean;
  /** The unix socket to dial instead of host and port; "" for none. */
  readonly socketPath: string;
  /** Header fields every contestant adds to its own. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the request body; 0 for none. */
  readonly requestBytes: number;
  /** Bytes of the response body as the caller gets it; another length is an error. */
  readonly responseBytes: number;
  /** Bytes of the whole response, for the contestant that does not parse: of each hop, where it is redirected. */
  readonly replyBytes: readonly number[];
  /** The paths that one request asks for in turn: two where it is redirected. */
  readonly paths: readonly string[];
  readonly read: "bytes" | "json" | "stream";
  readonly extra: Extra;
  /** Each answer closes its connection. */
  readonly closes: boolean;
  /** Sessions are resumed where the contestant can. */
  readonly resumes: boolean;
  /** Requests in flight at once, and connections at most where the contestant takes such a limit. */
  readonly workers: number;
  /** Ours is told not to open more connections than workers either; the others always are. */
  readonly limited: boolean;
  /** Connections at most; 0: as many as workers. */
  readonly connections: number;
  /** Requests in flight on one connection at most. */
  readonly pipelining: number;
  /** Idle connections are kept for ten minutes by whoever would close them before. */
  readonly keepsIdle: boolean;
  /** file: URL of our built entry point. */
  readonly persistconn: string;
  /** Options of ours beyond the scenario's: of the transport, and of each call. */
  readonly ownOptions?: { readonly transport?: object; readonly call?: object };
}

export type Order =
  | { readonly op: "open"; readonly target: Target }
  /**
   * Runs for `millis`, and on until `requests` are done, but never for more than four times `millis`; in batches, the first
   * of `first`.
   */
  | { readonly op: "warm"; readonly millis: number; readonly requests: number; readonly first: number }
  /**
   * `repeat` times, one after the other, each with a new start of all workers; once where it is left out. With `profile`,
   * V8's profile of just this window goes to its file.
   */
  | { readonly op: "run"; readonly count: number; readonly repeat?: number; readonly profile?: Profiling };

/** Taken by the processes that run on V8; Go's knows nothing of it. */
export interface Profiling {
  readonly file: string;
  /** Between two samples. */
  readonly intervalUs: number;
}

/** CPU and time of one measured window; CPU is user + sys of the whole process. */
export interface Window {
  readonly count: number;
  readonly wallMs: number;
  readonly userUs: number;
  readonly sysUs: number;
  /** Of it the main thread's, where the system tells: the rest is helpers of the collector and the compiler, and a profiler. */
  readonly mainUs?: number;
  /** Of single requests: from the end of the one before it, of the same worker, to its own. */
  readonly p50Us: number;
  readonly p99Us: number;
}

/** What a process that lives for one request has to tell. */
export interface ColdWindow {
  /** From the first line of the program: imports, client, request. */
  readonly wallMs: number;
  readonly cpuUs: number;
  /** All that the process has used, its runtime's start included. */
  readonly processUs: number;
}

/** "hold": answers wait from now on, for "release"; each is answered with the counters. */
export type ResponderOrder = { readonly op: "stats" | "hold" | "release" };

/** What the responder has done since it started. */
export interface ResponderStats {
  readonly requests: number;
  readonly requestBodyBytes: number;
  /** Requests it could not read; any is an error. */
  readonly refused: number;
  /** Connections taken, over TLS and in all; and of those over TLS how many resumed a session. */
  readonly connections: number;
  readonly handshakes: number;
  readonly resumed: number;
  /** Answers that wait for "release". */
  readonly held: number;
  /** Connections that are open now. */
  readonly openConnections: number;
  readonly userUs: number;
  readonly sysUs: number;
  readonly wallMs: number;
}

/** Where the responder listens. */
export interface ResponderPorts {
  readonly port: number;
  readonly tlsPort: number;
  /** TLS whose sessions cannot be resumed. */
  readonly coldTlsPort: number;
  /** Loopback addresses of their own, so that ten thousand connections each do not run out of ports. */
  readonly spare: readonly { readonly host: string; readonly port: number }[];
}
