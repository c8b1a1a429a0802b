/**
 * `make bench-profile`: where the CPU of a request goes, and what a promised limit would need. In each scenario the bare
 * socket, ours and the peer that the limit names run alone, one after the other, each in processes of its own: one whose
 * CPU is counted as the bench counts it, and one that V8 profiles. The profile slows a process down, so the microseconds
 * are the first one's and the shares the second one's. Ours is profiled in its parts, so that each sample has its file;
 * what is counted is the published build.
 *
 *   node --import tsx profile.ts [--scenario get-2kib-x64,post-2kib-x64] [--fetch] [--rounds 5] [--quick]
 *     [--markdown FILE] [--keep FOLDER]
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { FLOOR, inWords, standing } from "./floor.ts";
import { type Judged, judge } from "./judge.ts";
import { type Entrant, measure, type Result, type Round, type Settings } from "./measure.ts";
import { micros, table } from "./report.ts";
import { type ContestantName, defaultPlacement, quickened, SCENARIOS, type Scenario } from "./scenarios.ts";
import { median, type Spread, spread } from "./statistics.ts";
import { allStations, type CpuProfile, type Places, type Shares, sharesOf } from "./support/cpu-profile.ts";
import { markdown } from "./support/markdown.ts";
import { choose, count, FULL, QUICK } from "./support/options.ts";
import { perform, print, Stage } from "./support/stage.ts";

/** One window, long enough for some ten thousand samples. */
const PROFILED_MS = 2_000;
/** V8's own default is 1,000: this is as fine as goes without a sample costing more than what it samples. */
const INTERVAL_US = 200;
/** V8's profiler now and then stops the process that it looks at, for ever: seen over TLS. Then another is asked. */
const PROFILED_LIMIT_MS = 30_000;
const PROFILED_TRIES = 4;
const FUNCTIONS = 8;

/** One contestant in one scenario. */
interface Taken {
  readonly name: string;
  readonly cpuUs: Spread;
  readonly userUs: number;
  readonly sysUs: number;
  /** Of it what other threads than the main one had; 0 where the system does not tell. */
  readonly othersUs: number;
  /** CPU a request with the profiler at work. */
  readonly profiledUs: number;
  readonly shares: Shares;
}

/** Tables and words of one scenario, to be printed or written. */
interface Section {
  readonly title: string;
  readonly tables: readonly (readonly (readonly string[])[])[];
  /** One line for each limit. */
  readonly words: readonly string[];
}

type How = Pick<Entrant, "profile" | "limitMs" | "target">;

class Profiles {
  readonly #stage: Stage;
  readonly #settings: Settings;
  readonly #quick: boolean;
  readonly #keep: string | null;

  /** @param keep the folder that the profiles go to */
  constructor(stage: Stage, settings: Settings, quick: boolean, keep: string | null) {
    this.#stage = stage;
    this.#settings = settings;
    this.#quick = quick;
    this.#keep = keep;
  }

  /** One after the other, in the order of the names. */
  async of(scenario: Scenario, names: readonly ContestantName[]): Promise<Taken[]> {
    const taken: Taken[] = [];
    for (const name of names) taken.push(await this.#take(scenario, name));
    return taken;
  }

  async #take(scenario: Scenario, name: ContestantName): Promise<Taken> {
    const { tempDir, parts, compiled } = this.#stage;
    const { rounds } = await this.#measure(scenario, name, {}, this.#settings);
    const file = join(tempDir, `${scenario.name}-${name}.cpuprofile`);
    const inParts = pathToFileURL(join(parts, "index.js")).href;
    const how = { target: { persistconn: inParts }, profile: { file, intervalUs: INTERVAL_US } };
    const window = { ...this.#settings, rounds: 1, roundMs: this.#quick ? 50 : PROFILED_MS };
    const profiled = await this.#profiled(scenario, name, how, window);
    if (this.#keep !== null) copyFileSync(file, join(this.#keep, `${scenario.name}-${name}.cpuprofile`));
    const places: Places = { parts: folderUrl(parts), bench: folderUrl(compiled) };
    const profile = JSON.parse(readFileSync(file, "utf8")) as CpuProfile; // V8 wrote it
    const { requests, cpuUs, mainUs = cpuUs } = profiled;
    return {
      name,
      cpuUs: spread(rounds.map((round) => round.cpuUs)),
      userUs: median(rounds.map((round) => round.userUs)),
      sysUs: median(rounds.map((round) => round.sysUs)),
      // What the kernel says of one thread may be a tick old, and so be more than all.
      othersUs: Math.max(0, median(rounds.map((round) => round.cpuUs - (round.mainUs ?? round.cpuUs)))),
      profiledUs: cpuUs,
      shares: sharesOf(profile, requests * mainUs, places),
    };
  }

  async #profiled(scenario: Scenario, name: ContestantName, how: How, window: Settings): Promise<Round> {
    for (let tries = 1; ; tries++) {
      try {
        const [round] = (await this.#measure(scenario, name, { ...how, limitMs: PROFILED_LIMIT_MS }, window)).rounds;
        if (round === undefined) throw new Error(`Cannot profile ${name}: it ran no round`);
        return round;
      } catch (error) {
        if (tries === PROFILED_TRIES) throw error;
        print(`${error instanceof Error ? error.message : error}: its profile is taken again`);
      }
    }
  }

  /** Alone, with a responder of its own. */
  async #measure(scenario: Scenario, name: ContestantName, how: How, settings: Settings): Promise<Result> {
    const { machine, compiled } = this.#stage;
    const setting = await this.#stage.responder(machine.pin === null ? null : defaultPlacement(scenario));
    const command = [process.execPath, join(compiled, "worker.js"), name];
    try {
      const [result] = await measure(scenario, [{ name, command, coldCommand: command, ...how }], setting, settings);
      if (result?.failure !== undefined) throw new Error(result.failure);
      return result!; // one entrant, one result
    } finally {
      await setting.responder.close();
    }
  }
}

function sectionOf(scenario: Scenario, taken: readonly Taken[], limits: readonly Judged[]): Section {
  const [floor, ours] = [taken[0]!, taken[1]!]; // the bare socket is named first, then ours
  const figures = [
    ["CPU µs/req, alone", "median", "min–max", "× bare", "user", "sys", "profiled"],
    ...taken.map(({ name, cpuUs, userUs, sysUs, profiledUs }) => [
      name,
      micros(cpuUs.median),
      `${micros(cpuUs.min)}–${micros(cpuUs.max)}`,
      (cpuUs.median / floor.cpuUs.median).toFixed(2),
      micros(userUs),
      micros(sysUs),
      micros(profiledUs),
    ]),
  ];
  const microsOf = (of: Taken, share: number) => share * (of.cpuUs.median - of.othersUs);
  const percent = (us: number) => `${((us / ours.cpuUs.median) * 100).toFixed(1)} %`;
  const peers = taken.filter((of) => of !== ours);
  const line = (what: string, usOf: (of: Taken) => number | undefined) => {
    const cell = (of: Taken) => fine(usOf(of), of.cpuUs.median);
    const us = usOf(ours);
    return [what, cell(ours), us === undefined ? "" : percent(us), ...peers.map(cell)];
  };
  const stations = [
    ["where it goes, µs/req", "ours", "share", ...peers.map(({ name }) => name)],
    ...allStations(taken.map(({ shares }) => shares)).map((station) =>
      line(station, (of) => {
        const spent = of.shares.stations.find(({ what }) => what === station);
        return spent === undefined ? undefined : microsOf(of, spent.share);
      }),
    ),
    line("other threads: collector, compiler", ({ othersUs }) => othersUs),
  ];
  const functions = [
    ["functions of ours, by self time", "µs/req", "share"],
    ...ours.shares.functions.slice(0, FUNCTIONS).map(({ what, share }) => {
      const us = microsOf(ours, share);
      return [what, fine(us, ours.cpuUs.median), percent(us)];
    }),
  ];
  const held = limits.map(({ base, limit: times }) => {
    const limit = times * taken.find(({ name }) => name === base)!.cpuUs.median; // who is no contestant here was left out
    const stands = standing({ limit, floor: floor.cpuUs.median, ours: ours.cpuUs.median });
    return { name: `${times.toFixed(2)} × ${base}`, limit, ...stands };
  });
  const needed = [
    ["what would be needed, µs/req", "limit", "bare socket", "left above it", "ours uses above it"],
    ...held.map(({ name, limit, left, used }) => [
      name,
      micros(limit),
      micros(floor.cpuUs.median),
      left > 0 ? micros(left) : "nothing",
      used > 0 ? micros(used) : "nothing",
    ]),
  ];
  const words = held.map(({ name, ...stands }) => `${name}: ${inWords(stands, (us) => `${micros(us)} µs`)}`);
  const { workers } = scenario;
  const title = `${scenario.name}: ${scenario.title}, ${workers} ${workers === 1 ? "worker" : "workers"}`;
  return { title, tables: [figures, stations, functions, ...(held.length > 0 ? [needed] : [])], words };
}

/** Parts of a small whole need two digits. */
function fine(us: number | undefined, whole: number): string {
  if (us === undefined) return "";
  return whole < 100 ? us.toFixed(2) : micros(us);
}

function folderUrl(folder: string): string {
  return `${pathToFileURL(folder).href}/`;
}

function printed({ title, tables, words }: Section): string {
  return [title, ...tables.map((lines) => `\n${table(lines)}`), ...words.map((line) => `  ${line}`)].join("\n");
}

function written({ title, tables, words }: Section): string {
  const list = words.map((line) => `- ${line}`).join("\n");
  return [`## ${title}`, ...tables.map(markdown), ...(list === "" ? [] : [list])].join("\n\n");
}

await perform(async (tempDir) => {
  const { values } = parseArgs({
    options: {
      scenario: { type: "string" },
      fetch: { type: "boolean", default: false },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      markdown: { type: "string" },
      keep: { type: "string" },
    },
  });
  const names: readonly ContestantName[] = values.fetch
    ? [FLOOR, "persistconn-fetch", "global-fetch"]
    : [FLOOR, "persistconn", "undici-request"];
  const promised = judge([], null).filter(
    ({ what, ours, base }) => what === "CPU" && ours === names[1] && names.some((name) => name === base),
  );
  const limitsOf = (scenario: Scenario) => promised.filter((limit) => limit.scenario === scenario.name);
  const possible = SCENARIOS.filter(({ contestants }) => names.every((name) => contestants.includes(name)));
  const scenarios =
    values.scenario === undefined
      ? possible.filter((scenario) => limitsOf(scenario).length > 0)
      : choose("scenario", values.scenario, possible, ({ name }) => name);
  const settings = values.quick ? QUICK : FULL;
  const rounds = count("rounds", values.rounds, settings.rounds);
  const keep = values.keep === undefined ? null : resolve(values.keep);
  if (keep !== null) mkdirSync(keep, { recursive: true });

  const stage = new Stage(tempDir);
  stage.describe();
  if (values.quick) print("quick: it only looks whether everything runs; the figures say nothing");
  const profiles = new Profiles(stage, { ...settings, rounds }, values.quick, keep);
  const sections: Section[] = [];
  for (const scenario of scenarios) {
    const taken = await profiles.of(values.quick ? quickened(scenario) : scenario, names);
    const section = sectionOf(scenario, taken, limitsOf(scenario));
    sections.push(section);
    print(`\n${printed(section)}`);
  }
  if (values.markdown !== undefined) {
    const { cpu, cores, load, node } = stage.machine;
    const where =
      `Measured on ${new Date().toISOString().slice(0, 10)} with Node ${node}: ${cpu}, ${cores} cores, ` +
      `load ${load.toFixed(1)} at the start; medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}, shares of one ` +
      `profiled window${values.quick ? ", of tiny counts, which say little" : ""}. [README.md](README.md) says how to read it.`;
    const file = resolve(values.markdown);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${["# Where the CPU goes", where, ...sections.map(written)].join("\n\n")}\n`);
    print(`\nwritten to ${file}`);
  }
  if (keep !== null) print(`\nprofiles for developer tools are in ${keep}`);
  return 0;
});
