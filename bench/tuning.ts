/**
 * `make bench-tuning`: what a user can set, measured: how many connections, what a limit costs, how many idle ones to
 * keep, what the allocator does. Prints the tables of TUNING.md; with --write it puts them there, with the machine and the day.
 *
 *   node --import tsx tuning.ts [--rounds 5] [--quick] [--write]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { contestantEnvironment, type Entrant, makeTarget, measure, type Settings } from "./measure.ts";
import { micros, summarize } from "./report.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { type Spread, spread } from "./statistics.ts";
import { Child } from "./support/child.ts";
import { pinned } from "./support/machine.ts";
import { markdown, replaceTables } from "./support/markdown.ts";
import { count } from "./support/options.ts";
import type { Order, ResponderOrder, ResponderStats, Target, Window } from "./support/protocol.ts";
import { benchDir, perform, print, Stage } from "./support/stage.ts";

const FULL: Settings = {
  rounds: 5,
  roundMs: 500,
  warmMs: 800,
  warmRequests: 12_000,
  requestsMin: 50,
  startPerWorker: 4,
  openAtOnce: false,
};
const QUICK: Settings = { ...FULL, roundMs: 30, warmMs: 0, warmRequests: 64, requestsMin: 64, startPerWorker: 1 };
const scenario = (name: string): Scenario => SCENARIOS.find((each) => each.name === name)!; // of those in the table
const PLAIN = scenario("get-2kib-x64");

/** glibc keeps up to 64 MiB of what is freed, and takes no block below that from the kernel by itself. */
const KEEPING = { MALLOC_TRIM_THRESHOLD_: "67108864", MALLOC_MMAP_THRESHOLD_: "67108864" };
/** Processes of each kind: whether one gives memory back at each collection hangs on where its blocks happen to lie. */
const PROCESSES = 4;

/** Callers at once, where there are more of them than connections. */
const CALLERS = 256;
/** In a burst, each of which begins when the one before it is over. */
const BURST = 64;

class Tuning {
  readonly #stage: Stage;
  readonly #settings: Settings;
  readonly #quick: boolean;

  constructor(stage: Stage, settings: Settings, quick: boolean) {
    this.#stage = stage;
    this.#settings = settings;
    this.#quick = quick;
  }

  #variant(name: string, target: Partial<Target>): Entrant {
    const command = [process.execPath, join(this.#stage.compiled, "worker.js"), "persistconn"];
    return { name, command, coldCommand: command, target };
  }

  /** Few connections or many, for a server that takes no time and for one that takes 5 ms. */
  async connections(): Promise<string> {
    const limits = this.#quick ? [8, 0] : [1, 2, 4, 8, 16, 32, 64, 128, 0];
    const entrants = limits.map((maxConnsPerHost) =>
      this.#variant(String(maxConnsPerHost), { ownOptions: { transport: { maxConnsPerHost } } }),
    );
    const lines: string[][] = [];
    for (const delay of [0, 5]) {
      const scenario: Scenario = { ...PLAIN, name: `d${delay}`, workers: CALLERS, ask: delay === 0 ? "" : `d${delay}` };
      for (const { name, figures, failure } of await this.#measure(scenario, entrants)) {
        if (figures === undefined) throw new Error(failure);
        const { cpuUs, perSecond, p50Us, p99Us, responderShare } = figures;
        lines.push([
          `${delay} ms`,
          name === "0" ? "0 (none)" : name,
          Math.round(perSecond.median).toLocaleString("en"),
          millis(p50Us),
          millis(p99Us),
          micros(cpuUs.median),
          `${Math.round(responderShare * 100)} %`,
        ]);
      }
    }
    const header = [
      "server takes",
      "`maxConnsPerHost`",
      "requests/s",
      "p50 ms",
      "p99 ms",
      "CPU µs/req",
      "server's core",
    ];
    return markdown([header, ...lines]);
  }

  /** One option at a time, against the defaults. */
  async limits(): Promise<string> {
    const none = {
      dialTimeout: 0,
      tlsHandshakeTimeout: 0,
      writeTimeout: 0,
      responseHeaderTimeout: 0,
      bodyTimeout: 0,
      unreadBodyTimeout: 0,
      stalledReaderTimeout: 0,
      poolTimeout: 0,
    };
    const transport = (options: object): Partial<Target> => ({ ownOptions: { transport: options } });
    const variants: [string, Partial<Target>][] = [
      ["the defaults", {}],
      ["the same again", {}],
      ["every time limit 0", transport(none)],
      ["every time limit set, and `timeout`", { extra: "timeouts" }],
      ["`timeout: 30_000` for each call", { ownOptions: { call: { timeout: 30_000 } } }],
      ["a new `signal` for each call", { extra: "signal" }],
      ["`maxConnsPerHost: 64`, nobody waits", transport({ maxConnsPerHost: 64 })],
      ["`maxConnsPerHost: 16`, most wait", transport({ maxConnsPerHost: 16 })],
      ["`decompress: false`", transport({ decompress: false })],
      ["`learnIdleTimeout: false`", transport({ learnIdleTimeout: false })],
      ["`keepAlive: false`: a connection for each", transport({ keepAlive: false })],
      ["`trace`, every group", { extra: "hooks" }],
    ];
    const rows = await this.#measure(
      PLAIN,
      variants.map(([name, target]) => this.#variant(name, target)),
    );
    const lines = rows.map(({ name, figures, ratios, failure }) => {
      if (figures === undefined) throw new Error(failure);
      const ratio: Spread | undefined = ratios?.["the defaults"]?.cpu;
      return [
        name,
        micros(figures.cpuUs.median),
        ratio === undefined ? "" : ratio.median.toFixed(2),
        ratio === undefined ? "" : `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
        millis(figures.p99Us),
      ];
    });
    return markdown([["option", "CPU µs/req", "× defaults", "min–max", "p99 ms"], ...lines]);
  }

  /** Bursts with a rest between them, by how many idle connections outlast the rest. */
  async idle(): Promise<string> {
    const repeat = this.#quick ? 2 : 40;
    const setting = await this.#stage.responder("apart");
    const lines: string[][] = [];
    for (const maxIdleConnsPerHost of this.#quick ? [2, 256] : [2, 8, 32, 64, 256]) {
      const target: Target = {
        ...makeTarget({ ...PLAIN, workers: BURST }, setting),
        ownOptions: { transport: { maxIdleConnsPerHost } },
      };
      const command = [process.execPath, join(this.#stage.compiled, "worker.js"), "persistconn"];
      const child = new Child("persistconn", pinned(setting.core, command), contestantEnvironment(setting.certFile));
      await child.ask({ op: "open", target } satisfies Order);
      const burst = () => child.ask<Window>({ op: "run", count: BURST, repeat } satisfies Order);
      const stats = () => setting.responder.ask<ResponderStats>({ op: "stats" } satisfies ResponderOrder);
      for (let i = 0; i < (this.#quick ? 1 : 8); i++) await burst();
      const cpu: number[] = [];
      const p99: number[] = [];
      const before = await stats();
      for (let round = 0; round < this.#settings.rounds; round++) {
        const { userUs, sysUs, count: requests, p99Us } = await burst();
        cpu.push((userUs + sysUs) / requests);
        p99.push(p99Us);
      }
      const dials = (await stats()).connections - before.connections;
      await child.close();
      lines.push([
        maxIdleConnsPerHost === 256 ? "256 (default)" : String(maxIdleConnsPerHost),
        (dials / (this.#settings.rounds * repeat)).toFixed(1),
        micros(spread(cpu).median),
        millis(spread(p99).median),
      ]);
    }
    await setting.responder.close();
    return markdown([[`\`maxIdleConnsPerHost\``, "dials a burst", "CPU µs/req", "p99 ms"], ...lines]);
  }

  /** Large bodies read whole, with the memory that is freed given back to the kernel, or kept. */
  async allocator(): Promise<string> {
    const lines: string[][] = [];
    for (const of of [scenario("get-64kib-x64"), scenario("get-1mib-x8")]) {
      for (const who of ["persistconn", "undici-request"]) {
        for (const env of [{}, KEEPING]) {
          const command = [process.execPath, join(this.#stage.compiled, "worker.js"), who];
          const cpu: number[] = [];
          const sys: number[] = [];
          // One after the other: side by side they would share what is measured, the caches and the kernel's free pages.
          for (let i = 0; i < (this.#quick ? 1 : PROCESSES); i++) {
            const [row] = await this.#measure(of, [{ name: who, command, coldCommand: command, env }]);
            if (row?.figures === undefined) throw new Error(row?.failure);
            cpu.push(row.figures.cpuUs.median);
            sys.push(row.figures.sysUs);
          }
          const [whole, kernel] = [spread(cpu), spread(sys)];
          const allocator = env === KEEPING ? "told to keep" : "nothing set";
          const among = `${micros(whole.min)}–${micros(whole.max)}`;
          lines.push([of.title, who, allocator, micros(whole.median), among, micros(kernel.median)]);
        }
      }
    }
    const header = ["scenario", "who", "allocator", "CPU µs/req", "among processes", "of it the kernel's"];
    return markdown([header, ...lines]);
  }

  async #measure(scenario: Scenario, entrants: readonly Entrant[]) {
    const setting = await this.#stage.responder("apart");
    const results = await measure(scenario, entrants, setting, this.#settings);
    await setting.responder.close();
    return summarize(results);
  }
}

function millis(us: number): string {
  return (us / 1000).toFixed(2);
}

await perform(async (tempDir) => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  });
  const rounds = count("rounds", values.rounds, values.quick ? 1 : 5);
  const stage = new Stage(tempDir);
  stage.describe();
  const tuning = new Tuning(stage, { ...(values.quick ? QUICK : FULL), rounds }, values.quick);
  const { cpu, cores, load } = stage.machine;
  const day = new Date().toISOString().slice(0, 10);
  const where =
    `Measured on ${day} with Node ${process.versions.node}: ${cpu}, ${cores} cores, load ${load.toFixed(1)} at the start; ` +
    `medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}${values.quick ? " of tiny counts, which say little" : ""}.`;
  const tables: Record<string, string> = { machine: where };
  for (const part of ["connections", "limits", "idle", "allocator"] as const) {
    tables[part] = await tuning[part]();
    print(`\n${part}\n\n${tables[part]}`);
  }
  if (values.write) {
    const file = join(benchDir, "TUNING.md");
    writeFileSync(file, replaceTables(readFileSync(file, "utf8"), tables));
    print(`\nwritten to ${file}`);
  }
  return 0;
});
