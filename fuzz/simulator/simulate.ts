/**
 * One run of the simulator: a seed draws a world, its network, its servers and its callers; the real Client, Transport,
 * pool and connections run in it; the invariants look on. Same seed, same run.
 */

import { type Clock, Transport } from "../../lib/index.ts";
import { type Admission, memoryNetwork } from "../../lib/testing/memory-network.ts";
import type { ScriptedPeer } from "../../lib/testing/scripted-peer.ts";
import { Callers } from "./calls.ts";
import { Invariants, Violation } from "./invariants.ts";
import { watchedDial } from "./links.ts";
import type { CallRecord, Link } from "./records.ts";
import { meanwhile, proxyOf, serverOf } from "./servers.ts";
import { drawSettings, PROXY, type Settings } from "./settings.ts";
import { World } from "./world.ts";

export interface RunOptions {
  /** About how many requests the run makes. Default 60. */
  readonly requests?: number;
  /** Keeps the whole log, and not its end only. */
  readonly keepLog?: boolean;
}

export interface RunResult {
  readonly seed: number;
  /** As they were asked for. */
  readonly options: RunOptions;
  readonly requests: number;
  readonly answered: number;
  readonly failed: number;
  readonly connections: number;
  readonly polls: number;
  readonly steps: number;
  /** Virtual milliseconds. */
  readonly ms: number;
  /** Stands for the whole log. */
  readonly fingerprint: string;
  readonly log: readonly string[];
  /** What did not hold, or null. */
  readonly error: unknown;
}

const UNCAUGHT = ["uncaughtException", "unhandledRejection"] as const;

/** How long a peer's turn of the loop takes. */
const PEER_TURN_MS = 0.05;

export async function simulate(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const { requests = 60, keepLog = false } = options;
  const world = new World(seed, { keepLog });
  const settings = drawSettings(world, seed, requests);
  const links = new Map<number, Link>();
  const invariants = new Invariants(world, settings, links);
  const callOf = (nonce: number) => callers.records.get(nonce) ?? null;
  const network = memoryNetwork({ clock: peerClock(world), pair: () => pairOf(world, settings) });
  const parts = { world, settings, links, invariants, callOf };
  const peers = new Map<string, ScriptedPeer>();
  const behaviour = settings.proxy === "tunnels" ? proxyOf(parts) : serverOf(parts);
  for (const { host, port } of settings.proxy === "none"
    ? settings.hosts.map((host) => ({ host, port: settings.secured ? 443 : 80 }))
    : [PROXY]) {
    const options = { behaviour, admit: () => admission(world, settings, host) };
    const peer = settings.secured ? network.listenTls(host, port, options) : network.listen(host, port, options);
    peers.set(host, peer);
    // A behaviour that throws is a mistake of the simulator's own.
    peer.failures.push = (error) => {
      world.fail(error);
      return 0;
    };
  }
  const dial = watchedDial(network, world, settings, links, invariants, callOf, (link, port) => {
    if (settings.faultEvery === 0 || settings.proxy === "tunnels") return;
    const peer = peers.get(settings.proxy === "none" ? link.host : PROXY.host);
    const far = peer?.accepted.findLast((conn) => conn.channel.facts.remotePort === port);
    if (far !== undefined) meanwhile(parts, link, far);
  });
  const transport = new Transport(
    {
      ...settings.transport,
      ...(settings.secured ? { dialTls: dial } : { dial }),
      trace: {
        groups: ["call", "pool", "dial", "connection", "body"],
        secrets: true, // nothing here is one, and hiding them costs more than all the rest of a listener
        on: (event) => {
          world.log(
            `  ${event.type} ${event.connection === null ? "" : invariants.nameOf(event.connection)} ${"reason" in event ? event.reason : ""}`,
          );
          const record = invariants.traced(event);
          meddle(world, settings, record, transport);
          // Last of all: what is closed from in here may start a dial of its own.
          if (event.type === "connect-start") invariants.dialing = event.call;
        },
      },
    },
    world.clock,
  );
  invariants.transport = transport;
  const callers = new Callers(world, settings, invariants, transport);
  const end = new Ending(world, settings, transport, callers, invariants);
  world.watch = () => invariants.count();
  world.polled = () => {
    invariants.polled();
    end.look();
  };
  let error: unknown = null;
  const warn = process.emitWarning;
  process.emitWarning = (warning) => world.log(`warning: ${warning}`);
  // What nobody catches ends the run that it belongs to, with its seed and its log.
  const uncaught = (thrown: unknown) => world.fail(thrown);
  for (const event of UNCAUGHT) process.on(event, uncaught);
  try {
    world.log(`seed ${seed}: ${JSON.stringify({ ...settings, dials: undefined })}`);
    end.plan();
    callers.start();
    await world.run(() => false);
    end.check();
  } catch (thrown) {
    error = thrown;
    // What of this run still stands must not go on beside the next.
    transport.destroy(new Error("the run has failed")).catch(() => {});
  } finally {
    process.emitWarning = warn;
    for (const event of UNCAUGHT) process.off(event, uncaught);
  }
  return {
    seed,
    options,
    requests: callers.records.size,
    answered: callers.answered,
    failed: callers.failed,
    connections: links.size,
    polls: world.polls,
    steps: world.steps,
    ms: world.now,
    fingerprint: world.fingerprint,
    log: world.lines,
    error,
  };
}

/** What a listener may do in the middle of a move of the library's. */
function meddle(world: World, settings: Settings, record: CallRecord | null, transport: Transport): void {
  if (settings.meddleEvery === 0 || !world.oneIn(settings.meddleEvery)) return;
  if (world.oneIn(4)) {
    world.log("meddling: close what is idle");
    transport.closeIdleConnections();
  } else if (record?.abort && !record.settled) record.abort();
}

/** How the transport ends, and what must then be gone. */
class Ending {
  readonly #world: World;
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #callers: Callers;
  readonly #invariants: Invariants;
  #closing = false;
  #closed = false;

  constructor(world: World, settings: Settings, transport: Transport, callers: Callers, invariants: Invariants) {
    this.#world = world;
    this.#settings = settings;
    this.#transport = transport;
    this.#callers = callers;
    this.#invariants = invariants;
  }

  /** What happens to the transport on the way. */
  plan(): void {
    const world = this.#world;
    const { ending } = this.#settings;
    if (world.oneIn(4)) world.after(world.chance.below(500), () => this.#transport.closeIdleConnections());
    if (world.oneIn(4)) {
      const { hosts, secured } = this.#settings;
      const url = `${secured ? "https" : "http"}://${hosts[0]}/`;
      const count = world.between(1, 5);
      world.after(world.chance.below(500), () => {
        world.log(`preconnect ${count}`);
        this.#transport.preconnect(url, count).then(
          (stand) => world.log(`${stand} stand`),
          (error: unknown) => world.log(`none stands: ${error}`),
        );
      });
    }
    if (ending === "close") return;
    world.after(world.chance.below(1_000), () => {
      world.log(ending);
      this.#end(ending === "destroy-early");
    });
  }

  /** At the end of each poll. */
  look(): void {
    if (!this.#closing && this.#callers.active === 0) {
      this.#world.log("all is done: close");
      this.#end(false);
    }
  }

  #end(now: boolean): void {
    this.#closing = true;
    this.#callers.ending = true;
    const ended = now ? this.#transport.destroy() : this.#transport.close();
    ended.then(
      () => {
        this.#closed = true;
        this.#world.log("closed");
      },
      (error: unknown) => this.#world.fail(error),
    );
  }

  /** Nothing can happen any more. */
  check(): void {
    const { clock } = this.#world;
    const { active, bodies, records } = this.#callers;
    const fail = (detail: string) => {
      throw new Violation("nothing-left", detail);
    };
    if (active > 0) {
      const hang = [...records.values()]
        .filter(({ settled, wireOver }) => !settled || !wireOver)
        .map(({ name }) => name);
      throw new Violation("settles-once", `${active} callers wait for ever: ${hang.join(", ")}`);
    }
    if (!this.#closed) fail("close() never resolves");
    const { busy, idle, dialing, waiting } = this.#transport.stats();
    if (busy + idle + dialing + waiting > 0) fail(JSON.stringify(this.#transport.stats()));
    if (clock.armed > 0) fail(`${clock.armed} deadlines are armed`);
    if (clock.turning > 0) fail(`${clock.turning} turns are asked for`);
    if (bodies.over !== bodies.opened) {
      throw new Violation("bodies-ended", `${bodies.opened} were opened, ${bodies.over} were ended`);
    }
    this.#invariants.polled();
  }
}

/** Ways of a connection: one for each direction, and cut as this run cuts. */
function pairOf(world: World, settings: Settings) {
  const ways = [world.channel(), world.channel()] as const;
  const { secured, window } = settings;
  // Cut small, a connection takes hundreds of steps: that is for some of them.
  const sliceMax = world.oneIn(4) ? settings.sliceMax : 0;
  return {
    window,
    schedule: (task: () => void, end: 0 | 1) => ways[end](task),
    slice: (available: number) => {
      if (sliceMax > 0) return 1 + world.chance.below(Math.max(sliceMax, available > 2_000 ? 1_460 : 1));
      // Records of TLS come whole or not at all.
      if (secured) return Math.min(available, 1 << world.between(8, 14));
      return world.oneIn(6) ? 1 + world.chance.below(available) : available;
    },
  };
}

async function admission(world: World, settings: Settings, host: string): Promise<Admission> {
  const { chance } = world;
  if (settings.dialFaultEvery > 0 && world.oneIn(settings.dialFaultEvery)) {
    const admitted = chance.pick(["refused", "refused", "ignored", "slow"] as const);
    world.log(`dial to ${host}: ${admitted}`);
    if (admitted !== "slow") return admitted;
    await world.wait(chance.below(600));
    return "accepted";
  }
  await world.wait(world.delayMs * chance.next());
  return "accepted";
}

/** The peers' time: it is the world's, but none of its deadlines is the client's. */
function peerClock(world: World): Clock {
  return {
    now: () => world.now,
    wallNow: () => world.clock.wallNow(),
    deadline(ms, fire) {
      let wanted = true;
      world.after(ms, () => {
        if (wanted) fire();
      });
      const cancel = () => {
        wanted = false;
      };
      return { reset: cancel, cancel };
    },
    turn: (fire) => world.after(PEER_TURN_MS, () => fire(0)),
    batch: 0,
    hold() {},
    release() {},
  };
}
