/**
 * `make bench-trace`: what the trace hooks cost, as a paired experiment. Four builds of the same client run in processes
 * of their own, window after window in turn: one without the trace calls (support/strip-trace.ts), the one that is
 * published, in its parts (rolled up, the calls could not be found), a copy of it (how far apart the same code comes out),
 * and the published one with every group of events listened to. A process is compiled and laid out in memory as chance has it, so each pair of processes counts once,
 * however many requests it served; the interval is of the mean over pairs.
 *
 * With the kernel's part the same code comes out some percent apart from process to process, which is more than what hooks
 * cost that are off. So those are also measured without the kernel, in processes that answer themselves from memory, and
 * the difference in µs is set against what a request costs over a socket: that interval is the one that is judged.
 *
 *   node --import tsx trace-cost.ts [--pairs 30] [--scenario get-2kib-x64] [--quick] [--json FILE]
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { contestantEnvironment, type Entrant, measure, type Settings } from "./measure.ts";
import { micros, table } from "./report.ts";
import { defaultPlacement, SCENARIOS } from "./scenarios.ts";
import { type MeanInterval, meanInterval, median } from "./statistics.ts";
import { Child } from "./support/child.ts";
import { pinned } from "./support/machine.ts";
import { choose, count, stamp } from "./support/options.ts";
import { benchDir, perform, print, root, Stage } from "./support/stage.ts";
import { stripTrace } from "./support/strip-trace.ts";

const FULL: Settings = {
  rounds: 4,
  roundMs: 250,
  warmMs: 600,
  warmRequests: 12_000,
  requestsMin: 50,
  startPerWorker: 4,
  openAtOnce: false,
};
const QUICK: Settings = {
  ...FULL,
  rounds: 1,
  roundMs: 20,
  warmMs: 0,
  warmRequests: 16,
  requestsMin: 16,
  startPerWorker: 1,
};

/** Of the published build over the stripped one; the upper end of the interval counts. */
const OFF_LIMIT = 0.02;
/** Of the listened-to one over the published one; the mean counts. */
const ON_LIMIT = 0.25;

const BUILDS = ["stripped", "published", "published again", "listened to"] as const;
type Build = (typeof BUILDS)[number];

async function main(tempDir: string): Promise<number> {
  const { values } = parseArgs({
    options: {
      pairs: { type: "string" },
      scenario: { type: "string", default: "get-2kib-x64" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const pairs = count("pairs", values.pairs, values.quick ? 2 : 30, 2);
  const scenarios = choose("scenario", values.scenario, SCENARIOS, ({ name }) => name);
  const stage = new Stage(tempDir);
  stage.describe();
  const settings = values.quick ? QUICK : FULL;
  const entrants = makeBuilds(stage, tempDir);
  const records = [];
  for (const scenario of scenarios) {
    const placement = stage.machine.pin === null ? null : defaultPlacement(scenario);
    const setting = await stage.responder(placement);
    const cpu = new Map<Build, number[]>(BUILDS.map((build) => [build, []]));
    for (let pair = 0; pair < pairs; pair++) {
      // Whoever is started first is another one each time.
      const turned = entrants.map((_, i) => entrants[(i + pair) % entrants.length]!);
      for (const { name, rounds, failure } of await measure(scenario, turned, setting, settings)) {
        if (failure !== undefined) throw new Error(failure);
        cpu.get(name as Build)!.push(median(rounds.map((round) => round.cpuUs))); // BUILDS named the entrants
      }
    }
    await setting.responder.close();
    const over = (build: Build, base: Build): MeanInterval => {
      const [of, to] = [cpu.get(build)!, cpu.get(base)!];
      return meanInterval(of.map((value, i) => value / to[i]! - 1));
    };
    const onSockets = over("published", "stripped");
    const perRequest = median(cpu.get("published")!);
    const inMemory = await withoutKernel(entrants, pairs, settings, setting.core);
    const share = ({ mean, low, high, count }: MeanInterval): MeanInterval => ({
      mean: mean / perRequest,
      low: low / perRequest,
      high: high / perRequest,
      count,
    });
    const off = share(inMemory.off);
    const noise = share(inMemory.control);
    const control = over("published again", "published");
    const on = over("listened to", "published");
    print(`\n${scenario.name}: ${pairs} pairs of processes, each by ${settings.rounds} windows in turn`);
    const line = (what: string, of: MeanInterval, limit: string, holds: boolean | null) => [
      what,
      percent(of.mean),
      `${percent(of.low)} to ${percent(of.high)}`,
      limit,
      holds === null ? "" : holds ? "holds" : "misses",
    ];
    print(
      table([
        ["paired difference of CPU a request", "mean", "95 % interval", "limit", ""],
        line("all hooks off, over the build without", onSockets, "", null),
        line("the same code twice", control, "", null),
        line("all hooks off, without the kernel's spread", off, "interval below 2 %", off.high < OFF_LIMIT),
        line("the same code twice, likewise", noise, "", null),
        line("all hooks on, over all off", on, "at most 25 %", on.mean <= ON_LIMIT),
      ]),
    );
    const medians = BUILDS.map((build) => `${build} ${micros(median(cpu.get(build)!))}`).join(", ");
    print(`  CPU µs a request: ${medians}`);
    const nanos = (value: number) => `${(value * 1000).toFixed(0)} ns`;
    const { mean, low, high } = inMemory.off;
    print(`  hooks that are off, in memory: ${nanos(mean)} a request, ${nanos(low)} to ${nanos(high)}`);
    records.push({
      scenario: scenario.name,
      pairs,
      onSockets,
      control,
      inMemory,
      off,
      on,
      cpuUs: Object.fromEntries(cpu),
    });
  }
  const json = resolve(values.json ?? join(benchDir, "results", `trace-${stamp()}.json`));
  mkdirSync(dirname(json), { recursive: true });
  writeFileSync(
    json,
    `${JSON.stringify({ at: new Date().toISOString(), machine: stage.machine, records }, null, 1)}\n`,
  );
  print(`\nwritten to ${json}`);
  return 0;
}

interface InMemory {
  /** µs a request: published less stripped. */
  readonly off: MeanInterval;
  /** Published again less published. */
  readonly control: MeanInterval;
}

/** The first three builds in turn, each pair in processes of its own, which answer themselves from memory. */
async function withoutKernel(
  entrants: readonly Entrant[],
  pairs: number,
  { rounds, warmRequests, roundMs }: Settings,
  core: number | undefined,
): Promise<InMemory> {
  const off: number[] = [];
  const control: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const children = entrants.slice(0, 3).map(({ name, command: [node = ""], target }) => {
      const command = [node, join(benchDir, "dist", "support", "memory-worker.js"), target!.persistconn!];
      return { child: new Child(name, pinned(core, command), contestantEnvironment("")), cpuUs: [] as number[] };
    });
    try {
      // Whoever works first is another one each time.
      const turned = children.map((_, i) => children[(i + pair) % children.length]!);
      for (const { child } of turned) await child.ask({ count: 2 * warmRequests });
      for (let round = 0; round < 2 * rounds; round++) {
        for (const { child, cpuUs } of turned) {
          const window = await child.ask<{ cpuUs: number }>({ count: Math.max(64, roundMs * REQUESTS_PER_MS) });
          cpuUs.push(window.cpuUs);
        }
      }
    } finally {
      await Promise.all(children.map(({ child }) => child.close()));
    }
    const [stripped = 0, published = 0, again = 0] = children.map(({ cpuUs }) => median(cpuUs));
    off.push(published - stripped);
    control.push(again - published);
  }
  return { off: meanInterval(off), control: meanInterval(control) };
}

/** A request without the kernel takes about 5 µs; a window need not be longer than its share of a round. */
const REQUESTS_PER_MS = 60;

/** The builds side by side in folders of their own, and who runs them. */
function makeBuilds(stage: Stage, tempDir: string): Entrant[] {
  const command = [process.execPath, join(stage.compiled, "worker.js"), "persistconn"];
  const entrant = (name: Build, folder: string, extra: "none" | "hooks" = "none"): Entrant => {
    const persistconn = pathToFileURL(join(folder, "dist", "index.js")).href;
    return { name, command, coldCommand: command, target: { persistconn, extra } };
  };
  const folders = ["stripped", "published", "again", "listened"].map((name) => join(tempDir, name));
  for (const folder of folders) {
    mkdirSync(folder);
    cpSync(join(root, "package.json"), join(folder, "package.json"));
    cpSync(stage.parts, join(folder, "dist"), { recursive: true });
  }
  const [stripped = "", published = "", again = "", listened = ""] = folders;
  let questions = 0;
  for (const file of readdirSync(join(stripped, "dist"), { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".js")) continue;
    const path = join(stripped, "dist", file);
    const result = stripTrace(readFileSync(path, "utf8"), file);
    if (result.questions === 0) continue;
    questions += result.questions;
    writeFileSync(path, result.code);
  }
  print(`${questions} places where a trace call is asked for or made are stripped`);
  return [
    entrant("stripped", stripped),
    entrant("published", published),
    entrant("published again", again),
    entrant("listened to", listened, "hooks"),
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

await perform(main);
