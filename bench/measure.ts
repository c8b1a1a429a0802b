/**
 * One scenario: every contestant in its own fresh process, all warmed up first, then rounds in turn, A B C, B C A, so
 * that whatever slows the machine for a while slows them all. Only one contestant works at any time.
 *
 * A round has an unmeasured start, which dials again what a contestant closed while the others ran (undici's keep-alive
 * is 4 s), and a measured window. After both the responder's counters must have moved by exactly what the contestant
 * says it did, or the contestant has failed: its figures would be of something else.
 *
 * With thousands of connections the processes live for one round each: side by side they would hold more sockets than a
 * machine has ports and memory for.
 */

import { REQUEST_HEADERS, type Scenario } from "./scenarios.ts";
import { Child } from "./support/child.ts";
import { pinned } from "./support/machine.ts";
import type {
  Order,
  Profiling,
  ResponderOrder,
  ResponderPorts,
  ResponderStats,
  Target,
  Window,
} from "./support/protocol.ts";
import { makeReply } from "./support/reply.ts";

export interface Settings {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmMs: number;
  /** V8 compiles the last of a client after some tens of thousands of requests: 12,000 were too few for ours. */
  readonly warmRequests: number;
  /** Fewest requests of a round, but for streams of a GiB, of which one is enough. */
  readonly requestsMin: number;
  /** Connections are dialled and checked with so many requests a worker before each measured window. */
  readonly startPerWorker: number;
  /** Starts all contestants of a scenario at once, which is quicker and makes their warm-up worthless. */
  readonly openAtOnce: boolean;
}

/** How to start one contestant. */
export interface Entrant {
  readonly name: string;
  readonly command: readonly string[];
  /** The same for a life of one request; the target is added as the last argument. */
  readonly coldCommand: readonly string[];
  /** What its target has beside the scenario's. */
  readonly target?: Partial<Target>;
  /** What its process finds in its environment beside what all do. */
  readonly env?: NodeJS.ProcessEnv;
  /** Its measured window is profiled; of several rounds the last one's profile stays. */
  readonly profile?: Profiling;
  /** How long its process may take for an order, in ms; long unless it is given. */
  readonly limitMs?: number;
}

export interface Setting {
  readonly responder: Child;
  readonly ports: ResponderPorts;
  readonly socketPath: string;
  readonly certFile: string;
  readonly persistconn: string;
  readonly core: number | undefined;
}

export interface Round {
  readonly requests: number;
  readonly cpuUs: number;
  readonly userUs: number;
  readonly sysUs: number;
  /** Of `cpuUs` the main thread's, where the system tells. */
  readonly mainUs?: number;
  readonly perSecond: number;
  /** Share of its core that the responder used, 0 to 1. */
  readonly responderShare: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** TLS handshakes in this round, and how many of them resumed a session. */
  readonly handshakes: number;
  readonly resumed: number;
}

export interface Result {
  readonly name: string;
  readonly rounds: readonly Round[];
  /** Why it was taken out; its rounds up to then count for nothing. */
  readonly failure?: string;
}

/** From so many connections on, a contestant's process lives for one round. */
const FRESH_FROM_WORKERS = 2_000;

interface Runner {
  readonly entrant: Entrant;
  readonly target: Target;
  child: Child | null;
  readonly rounds: Round[];
  count: number;
  failure: string | null;
}

/**
 * @param kept processes by contestant, which serve scenario after scenario: for a look at whether everything runs, where
 *   starting them would take most of the time. Whoever gives it closes them.
 */
export async function measure(
  scenario: Scenario,
  entrants: readonly Entrant[],
  setting: Setting,
  settings: Settings,
  kept: Map<string, Child> | null = null,
): Promise<Result[]> {
  const fresh = scenario.workers >= FRESH_FROM_WORKERS;
  const runners: Runner[] = entrants.map((entrant, index) => ({
    entrant,
    target: { ...makeTarget(scenario, setting, fresh ? index : null), ...entrant.target },
    child: null,
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
      runner.child?.kill();
      kept?.delete(runner.entrant.name);
    }
  };
  const end = async (runner: Runner) => {
    if (kept === null || runner.failure !== null) await runner.child?.close();
    runner.child = null;
  };

  try {
    if (!fresh && settings.openAtOnce) {
      await Promise.all(runners.map((runner) => attempt(runner, () => open(runner, setting, settings, kept))));
    } else if (!fresh) {
      for (const runner of runners) await attempt(runner, () => open(runner, setting, settings, kept));
    }
    for (let round = 0; round < settings.rounds; round++) {
      // Each round begins with another contestant, so that none always follows the same neighbour.
      for (let i = 0; i < runners.length; i++) {
        const runner = runners[(i + round) % runners.length]!;
        await attempt(runner, async () => {
          if (fresh) await open(runner, setting, settings, kept);
          runner.rounds.push(await runRound(runner, setting.responder, settings));
          if (fresh) await end(runner);
        });
      }
    }
  } finally {
    await Promise.all(runners.map(end));
  }
  return runners.map(({ entrant: { name }, rounds, failure }) =>
    failure === null ? { name, rounds } : { name, rounds, failure },
  );
}

/**
 * Nothing of the caller's environment but what finds programs: no NODE_OPTIONS, no proxies. The two certificate variables
 * are how each contestant, the global fetch included, comes to trust the responder without any option.
 */
export function contestantEnvironment(certFile: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"] ?? "",
    NODE_EXTRA_CA_CERTS: certFile,
    SSL_CERT_FILE: certFile,
    GOMAXPROCS: "1",
  };
}

/** Starts a contestant's process, warms it up, and finds how many requests make a round. */
async function open(
  runner: Runner,
  setting: Setting,
  settings: Settings,
  kept: Map<string, Child> | null,
): Promise<void> {
  const { entrant, target } = runner;
  const child =
    kept?.get(entrant.name) ??
    new Child(
      entrant.name,
      pinned(setting.core, entrant.command),
      { ...contestantEnvironment(setting.certFile), ...entrant.env },
      entrant.limitMs,
    );
  kept?.set(entrant.name, child);
  runner.child = child;
  await child.ask({ op: "open", target } satisfies Order);
  const streams = target.read === "stream";
  const last = await child.ask<Window>({
    op: "warm",
    millis: streams ? 0 : settings.warmMs,
    requests: streams ? 1 : settings.warmRequests,
    first: streams ? 1 : Math.min(64, settings.requestsMin),
  } satisfies Order);
  const least = streams ? 1 : Math.max(Math.min(2, settings.startPerWorker) * target.workers, settings.requestsMin);
  runner.count = Math.max(least, Math.round((last.count / last.wallMs) * settings.roundMs));
}

/** @param spareIndex takes one of the addresses of their own, by turns; null: the one that all share */
export function makeTarget(scenario: Scenario, setting: Setting, spareIndex: number | null = null): Target {
  const { ports } = setting;
  const { method, ask, tls, responseBytes, workers, read, extra } = scenario;
  const spare = spareIndex === null ? undefined : ports.spare[spareIndex % Math.max(1, ports.spare.length)];
  const host = spare?.host ?? "127.0.0.1";
  const port = tls ? (scenario.noTickets ? ports.coldTlsPort : ports.tlsPort) : (spare?.port ?? ports.port);
  const path = `/${responseBytes}${ask === "" ? "" : `-${ask}`}`;
  const paths = ask === "redirect" ? [path, `/${responseBytes}`] : [path];
  const replyBytes = paths.map((asked) => {
    const reply = makeReply(asked);
    if (reply === null) throw new Error(`Cannot measure ${scenario.name}: the responder has no ${asked}`);
    return method === "HEAD" ? reply.head.length : reply.bytes.length + reply.streamedBytes;
  });
  return {
    method,
    url: `${tls ? "https" : "http"}://${host}:${port}${path}`,
    host,
    port,
    path,
    tls,
    socketPath: scenario.unix ? setting.socketPath : "",
    headers: REQUEST_HEADERS,
    requestBytes: scenario.requestBytes,
    responseBytes,
    replyBytes,
    paths,
    read,
    extra,
    closes: ask === "close",
    resumes: ask === "close" && !scenario.noTickets,
    workers,
    connections: scenario.connections,
    pipelining: scenario.pipelining,
    limited: false,
    keepsIdle: false,
    persistconn: setting.persistconn,
  };
}

async function runRound(runner: Runner, responder: Child, settings: Settings): Promise<Round> {
  const { target, entrant, child } = runner;
  const stats = () => responder.ask<ResponderStats>({ op: "stats" } satisfies ResponderOrder);
  const run = (count: number, how: Pick<Entrant, "profile"> = {}) =>
    child!.ask<Window>({ op: "run", count, ...how } satisfies Order); // open() came before
  if (target.read !== "stream") {
    const atStart = await stats();
    // Thousands at once have all been dialled after one each; a second finds whom the first has left out.
    const perWorker = Math.min(settings.startPerWorker, target.workers >= FRESH_FROM_WORKERS ? 2 : Infinity);
    const start = await run(perWorker * target.workers);
    checkCounters(entrant.name, atStart, await stats(), start.count, target);
  }
  const before = await stats();
  const window = await run(runner.count, entrant.profile === undefined ? {} : { profile: entrant.profile });
  const after = await stats();
  checkCounters(entrant.name, before, after, runner.count, target);
  const responderUs = after.userUs + after.sysUs - before.userUs - before.sysUs;
  const perRequest = (micros: number) => micros / window.count;
  return {
    requests: window.count,
    cpuUs: perRequest(window.userUs + window.sysUs),
    userUs: perRequest(window.userUs),
    sysUs: perRequest(window.sysUs),
    ...(window.mainUs === undefined ? {} : { mainUs: perRequest(window.mainUs) }),
    perSecond: (window.count / window.wallMs) * 1000,
    responderShare: responderUs / 1000 / (after.wallMs - before.wallMs),
    p50Us: window.p50Us,
    p99Us: window.p99Us,
    handshakes: after.handshakes - before.handshakes,
    resumed: after.resumed - before.resumed,
  };
}

/** @throws when the responder did not serve exactly what the contestant says it has sent */
export function checkCounters(
  name: string,
  before: ResponderStats,
  after: ResponderStats,
  count: number,
  target: Pick<Target, "requestBytes" | "paths">,
): void {
  const served = after.requests - before.requests;
  const expected = count * target.paths.length;
  if (served !== expected) {
    throw new Error(`${name}: miscounts: says ${expected} requests, the responder served ${served}`);
  }
  const bytes = after.requestBodyBytes - before.requestBodyBytes;
  if (bytes !== count * target.requestBytes) {
    throw new Error(
      `${name}: miscounts: should have sent ${count * target.requestBytes} body bytes, the responder read ${bytes}`,
    );
  }
  if (after.refused !== before.refused) throw new Error(`${name}: sent what the responder could not read`);
}
