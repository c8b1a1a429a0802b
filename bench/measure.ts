/**
 * One scenario: every contestant in its own fresh process, all warmed up first, then rounds in turn, A B C A B C, so
 * that whatever slows the machine for a while slows them all. Only one contestant works at any time.
 *
 * A round has an unmeasured start, which dials again what a contestant closed while the others ran (undici's keep-alive
 * is 4 s), and a measured window. After both the responder's counters must have moved by exactly what the contestant
 * says it did, or the contestant has failed: its figures would be of something else.
 */

import { REQUEST_HEADERS, type Scenario } from "./scenarios.ts";
import { Child } from "./support/child.ts";
import { pinned } from "./support/machine.ts";
import type { Order, ResponderStats, Target, Window } from "./support/protocol.ts";
import { makeReply } from "./support/reply.ts";

export interface Settings {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmMs: number;
  /** V8 compiles the last of a client after some ten thousand requests: seen in undici, node:http and fetch. */
  readonly warmRequests: number;
}

/** How to start one contestant. */
export interface Entrant {
  readonly name: string;
  readonly command: readonly string[];
}

export interface Setting {
  readonly responder: Child;
  readonly port: number;
  readonly tlsPort: number;
  readonly certFile: string;
  readonly persistconn: string;
  readonly core: number | undefined;
}

export interface Round {
  readonly requests: number;
  readonly cpuUs: number;
  readonly userUs: number;
  readonly sysUs: number;
  readonly perSecond: number;
  /** Share of its core that the responder used, 0 to 1. */
  readonly responderShare: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
}

export interface Result {
  readonly name: string;
  readonly rounds: readonly Round[];
  /** Why it was taken out; its rounds up to then count for nothing. */
  readonly failure?: string;
}

/** Connections are dialled and checked with this many requests a worker before each measured window. */
const START_REQUESTS_PER_WORKER = 4;

interface Runner {
  readonly name: string;
  readonly child: Child;
  readonly rounds: Round[];
  count: number;
  failure: string | null;
}

export async function measure(
  scenario: Scenario,
  entrants: readonly Entrant[],
  setting: Setting,
  settings: Settings,
): Promise<Result[]> {
  const target = makeTarget(scenario, setting);
  // Nothing of the caller's environment but what finds programs: no NODE_OPTIONS, no proxies. The two certificate
  // variables are how each contestant, the global fetch included, comes to trust the responder without any option.
  const env = {
    PATH: process.env["PATH"] ?? "",
    NODE_EXTRA_CA_CERTS: setting.certFile,
    SSL_CERT_FILE: setting.certFile,
    GOMAXPROCS: "1",
  };
  const runners: Runner[] = entrants.map(({ name, command }) => ({
    name,
    child: new Child(name, pinned(setting.core, command), env),
    rounds: [],
    count: 0,
    failure: null,
  }));
  const attempt = async (runner: Runner, step: () => Promise<void>) => {
    if (runner.failure !== null) return;
    try {
      await step();
    } catch (error) {
      runner.failure = error instanceof Error ? error.message : String(error);
      runner.child.kill();
    }
  };

  try {
    for (const runner of runners) {
      await attempt(runner, async () => {
        await runner.child.ask({ op: "open", target } satisfies Order);
        const last = await runner.child.ask<Window>({
          op: "warm",
          millis: settings.warmMs,
          requests: settings.warmRequests,
        } satisfies Order);
        runner.count = Math.max(2 * target.workers, 50, Math.round((last.count / last.wallMs) * settings.roundMs));
      });
    }
    for (let round = 0; round < settings.rounds; round++) {
      // Each round begins with another contestant, so that none always follows the same neighbour.
      for (let i = 0; i < runners.length; i++) {
        const runner = runners[(i + round) % runners.length]!;
        await attempt(runner, async () => {
          runner.rounds.push(await runRound(runner, target, setting.responder));
        });
      }
    }
  } finally {
    await Promise.all(runners.map((runner) => runner.child.close()));
  }
  return runners.map(({ name, rounds, failure }) => (failure === null ? { name, rounds } : { name, rounds, failure }));
}

function makeTarget(scenario: Scenario, setting: Setting): Target {
  const host = "127.0.0.1";
  const port = scenario.tls ? setting.tlsPort : setting.port;
  const path = `/${scenario.responseBytes}`;
  return {
    method: scenario.method,
    url: `${scenario.tls ? "https" : "http"}://${host}:${port}${path}`,
    host,
    port,
    path,
    tls: scenario.tls,
    headers: REQUEST_HEADERS,
    requestBytes: scenario.requestBytes,
    responseBytes: scenario.responseBytes,
    replyBytes: makeReply(scenario.responseBytes).length,
    workers: scenario.workers,
    persistconn: setting.persistconn,
  };
}

async function runRound(runner: Runner, target: Target, responder: Child): Promise<Round> {
  const stats = () => responder.ask<ResponderStats>({ op: "stats" });
  const run = (count: number) => runner.child.ask<Window>({ op: "run", count } satisfies Order);
  const atStart = await stats();
  const start = await run(START_REQUESTS_PER_WORKER * target.workers);
  const before = await stats();
  checkCounters(runner.name, atStart, before, start.count, target);
  const window = await run(runner.count);
  const after = await stats();
  checkCounters(runner.name, before, after, runner.count, target);
  const responderUs = after.userUs + after.sysUs - before.userUs - before.sysUs;
  const perRequest = (micros: number) => micros / window.count;
  return {
    requests: window.count,
    cpuUs: perRequest(window.userUs + window.sysUs),
    userUs: perRequest(window.userUs),
    sysUs: perRequest(window.sysUs),
    perSecond: (window.count / window.wallMs) * 1000,
    responderShare: responderUs / 1000 / (after.wallMs - before.wallMs),
    ...(window.p50Us === undefined || window.p99Us === undefined ? {} : { p50Us: window.p50Us, p99Us: window.p99Us }),
  };
}

function checkCounters(
  name: string,
  before: ResponderStats,
  after: ResponderStats,
  count: number,
  target: Target,
): void {
  const served = after.requests - before.requests;
  if (served !== count) throw new Error(`${name}: miscounts: says ${count} requests, the responder served ${served}`);
  const bytes = after.requestBodyBytes - before.requestBodyBytes;
  if (bytes !== count * target.requestBytes) {
    throw new Error(
      `${name}: miscounts: should have sent ${count * target.requestBytes} body bytes, the responder read ${bytes}`,
    );
  }
  if (after.refused !== before.refused) throw new Error(`${name}: sent what the responder could not read`);
}
