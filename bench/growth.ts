/**
 * `make bench-growth`: what a request costs, and what is held, as everything around it grows: idle connections, requests
 * that wait, keys of the pool, hosts, header fields, body bytes; ten thousand connections at once; and, when asked for,
 * millions of requests on a heap that must stay flat. Prints tables, judges the limits that the project has set itself,
 * writes JSON and plots.
 *
 * Exit code: 0, whatever the figures say; 1 when somebody failed, 2 when it could not go on.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { HostsPoint } from "./growth/hosts.ts";
import type { KeysPoint } from "./growth/keys.ts";
import type { Cost, GrowthOrder, Memory } from "./growth/orders.ts";
import { contestantEnvironment, type Entrant, makeTarget, measure, type Setting, type Settings } from "./measure.ts";
import { costSpec, draw, point, type Spec } from "./plots.ts";
import { micros, summarize, table } from "./report.ts";
import { KIB, MIB, SCENARIOS, type Scenario } from "./scenarios.ts";
import { pairedRatios, type Spread, slope, spread } from "./statistics.ts";
import { Child } from "./support/child.ts";
import { pinned } from "./support/machine.ts";
import { choose, count, stamp } from "./support/options.ts";
import type { ResponderOrder, ResponderStats } from "./support/protocol.ts";
import { benchDir, perform, print, Stage } from "./support/stage.ts";

const PARTS = ["idle", "waiting", "keys", "hosts", "fields", "sizes", "concurrent"] as const;
type Part = (typeof PARTS)[number] | "soak";

const USAGE = `node --import tsx growth.ts [options]
  --only NAME,…        ${PARTS.join(", ")}
  --connections N      the most idle connections, and those at once (10,000)
  --rounds N           for what is measured in rounds (5)
  --soak N             N requests with the heap looked at between them, and nothing else unless --only names it
  --quick              small counts, to see that it runs
  --json FILE          where the figures go (results/growth-<time>.json); the plots go beside it`;

/** What this client must hold (ratios). */
const IDLE_MEMORY_MAX = { tcp: 0.5, tls: 0.75 } as const;
const CONCURRENT_COST_MAX = 1.3;
/** What the heap may rise over the second half of a soak, by the line of least squares: less is noise of the collector. */
const SOAK_MIB_MAX = 1;

const CLIENTS = ["persistconn", "undici-request", "node-http"] as const;
const MEASURED: Settings = {
  rounds: 5,
  roundMs: 300,
  warmMs: 600,
  warmRequests: 10_000,
  requestsMin: 50,
  startPerWorker: 4,
  openAtOnce: false,
};
const PLAIN = SCENARIOS.find(({ name }) => name === "get-2kib-x1")!; // it is in the table

interface Verdict {
  readonly what: string;
  readonly ratio: number;
  readonly limit: number;
}

interface Scale {
  readonly quick: boolean;
  readonly connections: number;
  readonly rounds: number;
  readonly waiting: readonly number[];
  readonly keys: readonly number[];
  readonly hosts: readonly number[];
  readonly fields: readonly number[];
  readonly sizes: readonly number[];
  readonly settings: Settings;
}

function scaleOf(quick: boolean, connections: number, rounds: number): Scale {
  const tens = (least: number, most: number) => {
    const list: number[] = [];
    for (let n = least; n < most; n *= 10) list.push(n);
    return [...list, most];
  };
  const settings = { ...MEASURED, rounds };
  if (quick) {
    return {
      quick,
      connections,
      rounds,
      waiting: [100, 1_000],
      keys: [100, 1_000],
      hosts: [2_500, 3_000],
      fields: [8, 35],
      sizes: [0, 64 * KIB],
      settings: { ...settings, roundMs: 20, warmMs: 0, warmRequests: 16, requestsMin: 16, startPerWorker: 1 },
    };
  }
  return {
    quick,
    connections,
    rounds,
    waiting: tens(1, 100_000),
    keys: tens(10, 100_000),
    hosts: [10_000, 25_000, 50_000, 100_000],
    fields: [2, 8, 20, 35, 70, 140],
    sizes: [0, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB],
    settings,
  };
}

class Growth {
  readonly #stage: Stage;
  readonly #scale: Scale;
  readonly #fileLimit: number;
  readonly #raise: readonly string[];
  readonly plots: Record<string, Spec> = {};
  readonly verdicts: Verdict[] = [];

  constructor(stage: Stage, scale: Scale) {
    this.#stage = stage;
    this.#scale = scale;
    const limit = openFilesMax();
    const wanted = scale.connections + 1_000;
    // Only the superuser may raise the hard limit; Node raises the soft one to it by itself.
    const may = limit < wanted && process.getuid?.() === 0 && spawnSync("prlimit", ["--version"]).status === 0;
    this.#raise = may ? ["prlimit", `--nofile=${wanted}`, "--"] : [];
    this.#fileLimit = may ? wanted : limit;
    if (this.#fileLimit < wanted) print(`a process may open ${limit} files: fewer connections than asked for`);
  }

  get #connections(): number {
    return Math.min(this.#scale.connections, this.#fileLimit - 500);
  }

  /** A client in a process of its own, opened. */
  async #client(name: string, setting: Setting, scenario: Scenario, more: object): Promise<Child> {
    const command = [process.execPath, "--expose-gc", join(this.#stage.compiled, "growth", "worker.js"), name];
    const child = new Child(
      name,
      [...this.#raise, ...pinned(setting.core, command)],
      contestantEnvironment(setting.certFile),
    );
    const target = { ...makeTarget(scenario, setting), keepsIdle: true, ...more };
    await child.ask({ op: "open", target } satisfies GrowthOrder);
    return child;
  }

  /** As many requests as `from` to `to` say, in the responder's hands and not answered. */
  async #hold(client: Child, { responder }: Setting, from: number, to: number): Promise<void> {
    // In steps that fit the queue of connections that the kernel has not handed over yet.
    for (let done = from; done < to; ) {
      const step = Math.min(500, to - done);
      await client.ask({ op: "start", count: step } satisfies GrowthOrder);
      done += step;
      while ((await stats(responder)).held < done) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Cost of a request beside N idle connections, and the memory of one idle and of one request in flight. */
  async idle(): Promise<object[]> {
    const { quick } = this.#scale;
    const most = this.#connections;
    const counts = quick
      ? [1, most]
      : [1, 10, 100, 1_000, most].filter((n, i, all) => all.indexOf(n) === i && n <= most);
    const records: IdlePoint[] = [];
    for (const secured of [false, true]) {
      for (const connections of secured ? [most] : counts) {
        for (const name of CLIENTS) records.push(await this.#idlePoint(name, connections, secured));
      }
    }
    print("\nidle connections: a sequential GET of 2 KiB beside them, and what each of them holds");
    const header = ["", "", "connections", "still open", "CPU µs/req", "min–max", "B idle (rss)", "B idle (heap)"];
    const lines = records.map((each) => [
      each.client,
      each.tls ? "TLS" : "TCP",
      each.connections.toLocaleString("en"),
      each.open.toLocaleString("en"),
      micros(each.cpuUs.median),
      `${micros(each.cpuUs.min)}–${micros(each.cpuUs.max)}`,
      // What few connections hold is lost in what the process holds.
      ...(each.connections < Math.min(1_000, most)
        ? []
        : [each.idleRss, each.idleHeap, each.flightRss, each.flightHeap].map(bytes)),
    ]);
    print(table([[...header, "B in flight (rss)", "B in flight (heap)"], ...lines]));
    for (const secured of [false, true]) {
      const of = (client: string) =>
        records.find((each) => each.client === client && each.tls === secured && each.connections === most)!;
      const kind = secured ? "tls" : "tcp";
      this.verdicts.push({
        what: `memory of an idle connection over ${kind.toUpperCase()}, × undici`,
        ratio: of("persistconn").idleRss / of("undici-request").idleRss,
        limit: IDLE_MEMORY_MAX[kind],
      });
    }
    this.plots["idle"] = costSpec(
      "A sequential GET beside idle connections",
      "idle connections (log)",
      records.filter(({ tls }) => !tls).map((each) => point(each.client, "idle", each.connections, each.cpuUs)),
    );
    return records;
  }

  async #idlePoint(name: string, connections: number, secured: boolean): Promise<IdlePoint> {
    const setting = await this.#stage.responder("together");
    const client = await this.#client(name, setting, { ...PLAIN, tls: secured, workers: connections }, {});
    const ask = <A>(order: GrowthOrder) => client.ask<A>(order);
    try {
      const warm = this.#scale.quick ? 20 : 5_000;
      await ask({ op: "run", count: warm, workers: 1 });
      const before = await ask<Memory>({ op: "memory" });
      await order(setting.responder, "hold");
      await this.#hold(client, setting, 0, connections);
      const flying = await ask<Memory>({ op: "memory" });
      await order(setting.responder, "release");
      await ask({ op: "settle" });
      const idle = await ask<Memory>({ op: "memory" });
      const rounds: number[] = [];
      for (let round = 0; round < this.#scale.rounds; round++) {
        const { cpuUs } = await ask<Cost>({ op: "run", count: warm, workers: 1 });
        rounds.push(cpuUs / warm);
      }
      const { openConnections: open } = await stats(setting.responder);
      const each = (memory: Memory, of: (memory: Memory) => number) => (of(memory) - of(before)) / connections;
      const heap = (memory: Memory) => memory.heapUsed + memory.external;
      return {
        client: name,
        tls: secured,
        connections,
        open,
        cpuUs: spread(rounds),
        idleRss: each(idle, ({ rss }) => rss),
        idleHeap: each(idle, heap),
        flightRss: each(flying, ({ rss }) => rss),
        flightHeap: each(flying, heap),
      };
    } finally {
      await client.close();
      await setting.responder.close();
    }
  }

  /** N requests wait for 64 connections: what each holds, and what it costs in the end. */
  async waiting(): Promise<object[]> {
    const workers = 64;
    const records: { client: string; waiting: number; cpuUs: number; heap: number }[] = [];
    for (const waiting of this.#scale.waiting) {
      for (const name of CLIENTS) {
        const setting = await this.#stage.responder("apart");
        const client = await this.#client(name, setting, { ...PLAIN, workers }, { limited: true });
        try {
          // As many again as will be sent, so that all is compiled alike.
          const warm = this.#scale.quick ? 64 : 20_000;
          await client.ask({ op: "run", count: warm, workers } satisfies GrowthOrder);
          await order(setting.responder, "hold");
          await this.#hold(client, setting, 0, workers);
          const before = await client.ask<Memory>({ op: "memory" } satisfies GrowthOrder);
          await client.ask({ op: "start", count: waiting } satisfies GrowthOrder);
          const after = await client.ask<Memory>({ op: "memory" } satisfies GrowthOrder);
          await order(setting.responder, "release");
          const { cpuUs } = await client.ask<Cost>({ op: "settle" } satisfies GrowthOrder);
          const heap = (after.heapUsed - before.heapUsed + after.external - before.external) / waiting;
          records.push({ client: name, waiting, cpuUs: cpuUs / (waiting + workers), heap });
        } finally {
          await client.close();
          await setting.responder.close();
        }
      }
    }
    print(
      `\nwaiting requests: behind ${workers} connections that are all busy; the cost is of all from the release on`,
    );
    const lines = records.map(({ client, waiting, cpuUs, heap }) => [
      client,
      waiting.toLocaleString("en"),
      micros(cpuUs),
      waiting < 100 ? "" : bytes(heap),
    ]);
    print(table([["", "waiting", "CPU µs/req", "B each (heap)"], ...lines]));
    this.plots["waiting"] = costSpec(
      `Requests that waited for one of ${workers} connections`,
      "waiting at once (log)",
      records.map((each) => point(each.client, "waiting", each.waiting, one(each.cpuUs))),
    );
    return records;
  }

  async keys(): Promise<readonly KeysPoint[]> {
    const points = await this.#script<readonly KeysPoint[]>("keys.js", this.#scale.keys);
    print("\nkeys of the pool, by itself: one idle connection each, a get and a put");
    const lines = points.map(({ keys, hotNs, spreadNs, bytesPerKey }) => [
      keys.toLocaleString("en"),
      hotNs.toFixed(0),
      spreadNs.toFixed(0),
      bytes(bytesPerKey),
    ]);
    print(table([["keys", "CPU ns, one hot key", "CPU ns, all in turn", "B a key"], ...lines]));
    return points;
  }

  async hosts(): Promise<readonly HostsPoint[]> {
    const points = await this.#script<readonly HostsPoint[]>("hosts.js", this.#scale.hosts);
    print("\nhosts: each request to another one, over a network in memory; dial and close are in the cost");
    const lines = points.map(({ hosts, cpuUs, heapBytes }) => [
      hosts.toLocaleString("en"),
      micros(cpuUs),
      bytes(heapBytes),
    ]);
    print(table([["hosts so far", "CPU µs/req", "heap"], ...lines]));
    return points;
  }

  async fields(): Promise<object[]> {
    return this.#series(
      "fields",
      "header fields of the response",
      this.#scale.fields,
      "log",
      (fields): Scenario => ({
        ...PLAIN,
        name: `${fields} fields`,
        title: `GET 2 KiB with ${fields} header fields`,
        ask: `f${fields}`,
        workers: 64,
      }),
    );
  }

  async sizes(): Promise<object[]> {
    return this.#series(
      "sizes",
      "body bytes",
      this.#scale.sizes,
      "symlog",
      (size): Scenario => ({
        ...PLAIN,
        name: `${size} bytes`,
        title: `GET ${bytes(size)}`,
        responseBytes: size,
        workers: 8,
      }),
    );
  }

  async #series(
    name: "fields" | "sizes",
    axis: string,
    values: readonly number[],
    scale: "log" | "symlog",
    scenarioOf: (value: number) => Scenario,
  ): Promise<object[]> {
    const entrants = ["bare-socket", ...CLIENTS].map((client) => this.#entrant(client));
    const records: { client: string; value: number; cpuUs: Spread }[] = [];
    for (const value of values) {
      const setting = await this.#stage.responder("apart");
      const results = await measure(scenarioOf(value), entrants, setting, this.#scale.settings);
      await setting.responder.close();
      for (const { name: client, figures, failure } of summarize(results)) {
        if (figures === undefined) throw new Error(failure);
        records.push({ client, value, cpuUs: figures.cpuUs });
      }
    }
    print(`\n${axis}: CPU µs a request`);
    const clients = entrants.map((entrant) => entrant.name);
    const lines = values.map((value) => [
      value.toLocaleString("en"),
      ...clients.map((client) => micros(records.find((r) => r.client === client && r.value === value)!.cpuUs.median)),
    ]);
    print(table([[axis, ...clients], ...lines]));
    this.plots[name] = costSpec(
      `GET, CPU per request against ${axis}`,
      `${axis} (log)`,
      records.map(({ client, value, cpuUs }) => point(client, name, value, cpuUs)),
      scale,
    );
    return records;
  }

  /** The same load by 64 workers and by ten thousand, in turn. */
  async concurrent(): Promise<object[]> {
    const most = this.#connections;
    const records: { client: string; at64: Spread; atMost: Spread; ratio: Spread }[] = [];
    const settings = { ...this.#scale.settings, rounds: 1 };
    const clients = ["bare-socket", ...CLIENTS];
    const cost = new Map<string, [number[], number[]]>(clients.map((name) => [name, [[], []]]));
    const entrants = clients.map((name) => this.#entrant(name));
    for (let round = 0; round < this.#scale.rounds; round++) {
      for (const [place, workers] of [64, most].entries()) {
        const setting = await this.#stage.responder("apart");
        const scenario = { ...PLAIN, name: `x${workers}`, workers };
        for (const { name, figures, failure } of summarize(await measure(scenario, entrants, setting, settings))) {
          if (figures === undefined) throw new Error(failure);
          cost.get(name)![place]!.push(figures.cpuUs.median);
        }
        await setting.responder.close();
      }
    }
    for (const [client, [few, many]] of cost) {
      records.push({ client, at64: spread(few), atMost: spread(many), ratio: spread(pairedRatios(many, few)) });
    }
    print(`\nworkers at once: GET 2 KiB, all answered; median of ${this.#scale.rounds} pairs`);
    const shown = most.toLocaleString("en");
    const lines = records.map(({ client, at64, atMost, ratio }) => [
      client,
      micros(at64.median),
      micros(atMost.median),
      ratio.median.toFixed(2),
      `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
    ]);
    print(table([["", "CPU µs/req at 64", `at ${shown}`, "ratio", "min–max"], ...lines]));
    this.verdicts.push({
      what: `cost of a request by ${shown} workers, × that by 64`,
      ratio: records.find(({ client }) => client === "persistconn")!.ratio.median,
      limit: CONCURRENT_COST_MAX,
    });
    return records;
  }

  /** @param requests in all; the heap is looked at forty times */
  async soak(requests: number): Promise<object[]> {
    const setting = await this.#stage.responder("apart");
    const target = JSON.stringify(makeTarget({ ...PLAIN, workers: 64 }, setting));
    const samples: { requests: number; cpuUs: number; heapUsed: number; rss: number }[] = [];
    print(`\nsoak: ${requests.toLocaleString("en")} GETs of 2 KiB by 64 workers`);
    await this.#run("soak.js", [target, String(requests), "40"], setting.core, (text) => {
      const sample = JSON.parse(text) as (typeof samples)[number]; // soak.ts prints these names
      samples.push(sample);
      print(
        `  ${sample.requests.toLocaleString("en").padStart(12)} requests  heap ${bytes(sample.heapUsed)}  ` +
          `rss ${bytes(sample.rss)}  ${micros(sample.cpuUs)} µs/req`,
      );
    });
    await setting.responder.close();
    const later = samples.slice(samples.length >> 1);
    const perRequest = slope(later.map((sample) => [sample.requests, sample.heapUsed]));
    const grown = perRequest * (later.at(-1)!.requests - later[0]!.requests);
    print(`  over the second half the heap's line rises by ${bytes(grown)}, ${perRequest.toFixed(4)} B a request`);
    this.verdicts.push({
      what: "growth of the heap over the second half of the soak, MiB",
      ratio: grown / MIB,
      limit: SOAK_MIB_MAX,
    });
    return samples;
  }

  #entrant(name: string): Entrant {
    const command = [...this.#raise, process.execPath, join(this.#stage.compiled, "worker.js"), name];
    return { name, command, coldCommand: command };
  }

  /** What a script of growth/ prints as one line of JSON. */
  async #script<T>(file: string, counts: readonly number[]): Promise<T> {
    // Keys are counted on the pool by itself; hosts on a client as it is published.
    const folder = file === "keys.js" ? this.#stage.parts : this.#stage.dist;
    const dist = pathToFileURL(folder).href;
    let last = "";
    const args = [dist, ...counts.map(String)];
    await this.#run(file, args, this.#stage.machine.pin?.contestants, (line) => (last = line));
    return JSON.parse(last) as T; // the script's own type
  }

  #run(file: string, args: readonly string[], core: number | undefined, line: (text: string) => void): Promise<void> {
    const script = join(this.#stage.compiled, "growth", file);
    const [program = "", ...rest] = pinned(core, [process.execPath, "--expose-gc", script, ...args]);
    const env = contestantEnvironment(this.#stage.certificate.certFile);
    const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"], env });
    process.on("exit", () => child.kill("SIGKILL"));
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        line(text.slice(0, end));
        text = text.slice(end + 1);
      }
    });
    return new Promise((done, fail) => {
      child.on("error", fail);
      child.on("close", (code, signal) =>
        code === 0 ? done() : fail(new Error(`${file}: exited early (${signal ?? code})`)),
      );
    });
  }
}

interface IdlePoint {
  readonly client: string;
  readonly tls: boolean;
  readonly connections: number;
  readonly open: number;
  readonly cpuUs: Spread;
  readonly idleRss: number;
  readonly idleHeap: number;
  readonly flightRss: number;
  readonly flightHeap: number;
}

function order(responder: Child, op: ResponderOrder["op"]): Promise<ResponderStats> {
  return responder.ask<ResponderStats>({ op } satisfies ResponderOrder);
}

function stats(responder: Child): Promise<ResponderStats> {
  return order(responder, "stats");
}

function one(value: number): Spread {
  return { median: value, min: value, max: value };
}

/** Files that a process of ours may open at most. */
function openFilesMax(): number {
  try {
    const text = readFileSync("/proc/self/limits", "utf8");
    const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1] ?? "";
    return hard === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(hard) || 1_024;
  } catch {
    return 10_240; // what macOS gives
  }
}

function bytes(value: number): string {
  if (Math.abs(value) < 10 * KIB) return `${Math.round(value)} B`;
  return Math.abs(value) < 10 * MIB ? `${(value / KIB).toFixed(1)} KiB` : `${(value / MIB).toFixed(1)} MiB`;
}

async function main(tempDir: string): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      connections: { type: "string" },
      rounds: { type: "string" },
      soak: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  const soak = values.soak === undefined ? 0 : count("soak", values.soak, 0, 1_000);
  const parts: readonly Part[] =
    soak > 0 && values.only === undefined ? [] : choose("only", values.only, PARTS, String);
  const connections = count("connections", values.connections, values.quick ? 100 : 10_000, 2);
  const rounds = count("rounds", values.rounds, values.quick ? 1 : 5);
  const stage = new Stage(tempDir);
  stage.describe();
  const started = performance.now();
  const growth = new Growth(stage, scaleOf(values.quick, connections, rounds));
  const records: Partial<Record<Part, unknown>> = {};
  for (const part of parts) if (part !== "soak") records[part] = await growth[part]();
  if (soak > 0) records.soak = await growth.soak(soak);

  if (growth.verdicts.length > 0) {
    const lines = growth.verdicts.map(({ what, ratio, limit }) => [
      what,
      ratio.toFixed(2),
      `at most ${limit.toFixed(2)}`,
      ratio <= limit ? "holds" : "misses",
    ]);
    print(`\n${table([["what must show", "ours", "limit", ""], ...lines])}`);
  }
  const json = resolve(values.json ?? join(benchDir, "results", `growth-${stamp()}.json`));
  mkdirSync(dirname(json), { recursive: true });
  const { machine, versions } = stage;
  const record = { at: new Date().toISOString(), machine, versions, verdicts: growth.verdicts, ...records };
  writeFileSync(json, `${JSON.stringify(record, null, 1)}\n`);
  const base = json.slice(json.lastIndexOf("/") + 1).replace(/\.json$/, "");
  const named = Object.fromEntries(Object.entries(growth.plots).map(([name, spec]) => [`${base}-${name}`, spec]));
  const files = await draw(named, dirname(json));
  print(`\n${((performance.now() - started) / 60_000).toFixed(1)} minutes; written to ${[json, ...files].join(", ")}`);
  return 0;
}

await perform(main);
