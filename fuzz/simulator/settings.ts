/**
 * What a run is like: drawn once, before it begins. Some runs have nothing wrong with them, so that what is lost there has
 * no excuse; some have limits so tight that every request meets one; some have peers that do nothing right.
 */

import type { TransportOptions } from "../../lib/index.ts";
import { seeded } from "../../spec/support/seeded.ts";
import type { World } from "./world.ts";

export const PROXY = { host: "proxy.test", port: 3128 } as const;
const PROXY_URL = `http://${PROXY.host}:${PROXY.port}`;

export interface Settings {
  readonly transport: TransportOptions;
  readonly hosts: readonly string[];
  readonly callers: number;
  readonly requestsPerCaller: number;
  /** One request in so many meets a fault of its peer; 0: none does. */
  readonly faultEvery: number;
  /** One dial in so many fails or is slow. */
  readonly dialFaultEvery: number;
  /** One call in so many is aborted. */
  readonly abortEvery: number;
  /** At one event of the trace in so many, its listener ends a call, or what is idle: in the middle of a move; 0: none. */
  readonly meddleEvery: number;
  /** One body in so many is no good; 0: none. */
  readonly bodyTroubleEvery: number;
  /** Calls share signals, and are aborted many at once. */
  readonly groups: boolean;
  /** How requests come to their hosts. */
  readonly proxy: "none" | "requests" | "tunnels";
  /** The dialer gives streams: what a tunnel needs, and what others than this library's own have. */
  readonly streams: boolean;
  /** The time limit of every call, 0 for none. */
  readonly timeout: number;
  /** Answers in a hundred that exceed what is read ahead, or come near it. */
  readonly largePercent: number;
  /** Bytes in each direction before a write waits. */
  readonly window: number;
  /** The most bytes a delivery brings; 0: all there are. */
  readonly sliceMax: number;
  /** Connections are taken for secured ones, and come in records. */
  readonly secured: boolean;
  /** How the transport ends: when all is done, or in the middle of it. */
  readonly ending: "close" | "close-early" | "destroy-early";
  /** Dials under way. */
  readonly dials: Set<{ readonly host: string; readonly at: number }>;
}

export function drawSettings(world: World, seed: number, requests: number): Settings {
  const { chance } = world;
  // By chances of their own, so that all other worlds stay as they were.
  const aside = seeded(~seed);
  const pipelining = aside.below(4) === 0 ? aside.pick([2, 3, 10]) : 1;
  const calm = world.oneIn(4);
  const callers = chance.pick([1, 2, 4, 8, 16]);
  const secured = world.oneIn(4);
  const proxy = secured ? "none" : chance.pick(["none", "none", "none", "requests", "tunnels"] as const);
  world.delayMs = chance.pick([0, 0, 0.5, 5, 40]);
  world.leapEvery = chance.pick([0, 0, 0, 30, 300]);
  return {
    transport: {
      ...limitsOf(chance.pick([0, 0, 1, 2, 3, 8]), pipelining),
      maxIdleConnsPerHost: chance.pick([256, 256, 1, 2, 0]),
      maxIdleConns: chance.pick([1024, 1024, 1, 3]),
      idleConnTimeout: chance.pick([90_000, 500, 30, 0]),
      keepAlive: !world.oneIn(12),
      replay: chance.pick(["nothing-written", "nothing-written", "replayable"]),
      dialTimeout: chance.pick([10_000, 400]),
      responseHeaderTimeout: chance.pick([3_000, 700]),
      bodyTimeout: chance.pick([3_000, 800]),
      writeTimeout: chance.pick([3_000, 900]),
      unreadBodyTimeout: 1_000,
      stalledReaderTimeout: 2_000,
      poolTimeout: chance.pick([30_000, 2_000, 300]),
      expectContinueTimeout: chance.pick([1_000, 20]),
      maxResponseHeaderBytes: 16 * 1024,
      maxResponseHeaders: 100,
      max1xxResponses: 8,
      decompress: false,
      requireFraming: world.oneIn(10),
      ...(proxy === "none" ? {} : { proxy: PROXY_URL, proxyTunnel: proxy === "tunnels" }),
      proxyConnectTimeout: chance.pick([60_000, 300]),
    },
    hosts: chance.pick([["a.test"], ["a.test"], ["a.test", "b.test", "c.test"]]),
    callers,
    requestsPerCaller: Math.max(1, Math.round(requests / callers)),
    faultEvery: calm ? 0 : chance.pick([4, 15, 40, 100]),
    dialFaultEvery: calm ? 0 : chance.pick([4, 20, 100]),
    abortEvery: world.oneIn(3) ? 0 : chance.pick([4, 15, 60]),
    meddleEvery: chance.pick([0, 0, 0, 400, 40]),
    bodyTroubleEvery: calm ? 0 : chance.pick([0, 4, 40]),
    groups: world.oneIn(5),
    proxy,
    streams: proxy === "tunnels" || (!secured && world.oneIn(6)),
    timeout: calm ? chance.pick([0, 60_000]) : chance.pick([6_000, 6_000, 2_000, 250]),
    largePercent: chance.pick([1, 1, 1, 20]),
    // Heads in a line have to wait for each other where the window is smaller than one.
    window: windowOf(chance.pick([64 * 1024, 64 * 1024, 4 * 1024, 700]), pipelining > 1 && aside.below(3) === 0),
    sliceMax: chance.pick([0, 0, 0, 0, 1, 20, 200, 1460]),
    secured,
    ending: chance.pick(["close", "close", "close", "close", "close-early", "destroy-early"]),
    dials: new Set(),
  };
}

function windowOf(drawn: number, tiny: boolean): number {
  return tiny ? 100 : drawn;
}

/** Where there is no limit, every request has a connection of its own. */
function limitsOf(maxConnsPerHost: number, pipelining: number): TransportOptions {
  if (pipelining === 1) return { maxConnsPerHost };
  return { maxConnsPerHost: maxConnsPerHost === 0 ? 1 : maxConnsPerHost, pipelining };
}
