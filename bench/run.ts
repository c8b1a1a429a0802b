/**
 * `make bench`: this client beside its peers, in one run on one machine. Prepares, measures scenario by scenario, prints
 * a table for each and at the end what must show, and writes everything as JSON and the plots beside it.
 *
 * Exit code: 0, whatever the figures say; 1 when a contestant failed, 2 when the bench itself could not go on.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ColdResult, measureCold } from "./cold.ts";
import { besideFloor, profileCommands } from "./floor.ts";
import { judge, judgement } from "./judge.ts";
import { type Entrant, measure, type Result } from "./measure.ts";
import { drawRun } from "./plots.ts";
import { type ColdRow, coldTable, type Measured, overview, scenarioTable, summarize, summarizeCold } from "./report.ts";
import { type ContestantName, defaultPlacement, SCENARIOS, type Scenario } from "./scenarios.ts";
import type { Child } from "./support/child.ts";
import { type Options, readOptions, USAGE } from "./support/options.ts";
import { buildGo } from "./support/prepare.ts";
import { benchDir, perform, print, Stage } from "./support/stage.ts";

/** undici 8's own word on it. */
const UNDICI_8_NODE = [22, 19] as const;

async function main(options: Options, tempDir: string): Promise<number> {
  const stage = new Stage(tempDir);
  const entrants = makeEntrants(options, stage);
  stage.describe();
  const { quick, settings } = options;
  if (quick) print("quick: it only looks whether everything runs; the figures say nothing");

  const started = performance.now();
  const kept = quick ? new Map<string, Child>() : null;
  const measured: (Measured & { readonly results: readonly Result[] })[] = [];
  for (const scenario of options.scenarios) {
    const placement = stage.machine.pin === null ? null : (options.placement ?? defaultPlacement(scenario));
    const results = await withResponder(stage, placement, (setting) =>
      measure(scenario, taking(entrants, scenario), setting, settings, kept),
    );
    const one = { scenario, placement, rows: summarize(results), results };
    measured.push(one);
    print(`\n${scenarioTable(one, settings.rounds)}`);
  }
  await Promise.all([...(kept?.values() ?? [])].map((child) => child.close()));
  let cold: readonly ColdRow[] | null = null;
  let coldResults: readonly ColdResult[] = [];
  if (options.coldRounds > 0) {
    const placement = stage.machine.pin === null ? null : "together";
    const scenario = SCENARIOS.find(({ name }) => name === "get-2kib-x1")!; // it is in the table
    coldResults = await withResponder(stage, placement, (setting) =>
      measureCold(scenario, entrants, setting, options.coldRounds),
    );
    cold = summarizeCold(coldResults);
    print(`\n${coldTable(cold, options.coldRounds)}`);
  }
  if (measured.length > 1) print(`\n${overview(measured)}`);
  const judged = judge(measured, cold);
  print(`\n${judgement(judged)}`);
  const missed = besideFloor(judged, measured, cold);
  if (missed.length > 0) print(`\nwhat is missed, beside the floor\n  ${missed.join("\n  ")}`);
  for (const command of profileCommands(judged)) print(`  where the time goes: ${command}`);
  if (quick) print("  quick: tiny counts, so none of these verdicts means anything");

  const { machine, versions } = stage;
  const minutes = (performance.now() - started) / 60_000;
  const head = { at: new Date().toISOString(), minutes, machine, versions, quick, settings };
  const summary = { ...head, judged, scenarios: measured.map(({ results: _, ...rest }) => rest), cold };

  write(options.json, { ...head, judged, scenarios: measured, cold, coldResults });
  const plots = await drawRun(measured, dirname(options.json), baseName(options.json));
  print(`\n${minutes.toFixed(1)} minutes; written to ${[options.json, ...plots].join(", ")}`);
  if (options.reference) {
    const folder = join(benchDir, "reference");
    mkdirSync(folder, { recursive: true });
    for (const file of readdirSync(folder)) if (file.startsWith("run")) rmSync(join(folder, file));
    write(join(folder, "run.json"), brief(summary, ["bare-socket", ...judged.map(({ base }) => base)]));
    print(`and to ${[join(folder, "run.json"), ...(await drawRun(measured, folder, "run"))].join(", ")}`);
  }
  const failed = (rows: readonly { failure?: string }[]) => rows.some((row) => row.failure !== undefined);
  return measured.some(({ rows }) => failed(rows)) || failed(cold ?? []) ? 1 : 0;
}

/** The same to four digits, and with the ratios to those that are named. */
function brief(summary: object, named: readonly string[]): object {
  const short = (key: string, value: unknown) => {
    if (typeof value === "number") return Number(value.toPrecision(4));
    if (key !== "ratios" || typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).filter(([other]) => named.includes(other)));
  };
  return JSON.parse(JSON.stringify(summary, short));
}

async function withResponder<T>(
  stage: Stage,
  placement: Measured["placement"],
  use: (setting: Awaited<ReturnType<Stage["responder"]>>) => Promise<T>,
): Promise<T> {
  const setting = await stage.responder(placement);
  try {
    return await use(setting);
  } finally {
    await setting.responder.close();
  }
}

function taking(entrants: readonly Entrant[], scenario: Scenario): Entrant[] {
  const names: readonly string[] = scenario.contestants;
  return entrants.filter(({ name }) => names.includes(name));
}

/** Those who can run here; `stage.versions` gains Go's, where there is one. */
function makeEntrants(options: Options, stage: Stage): readonly Entrant[] {
  const { compiled, tempDir, versions } = stage;
  const entrants: Entrant[] = [];
  const node = (name: ContestantName) => {
    const command = (file: string) => [process.execPath, join(compiled, file), name];
    entrants.push({ name, command: command("worker.js"), coldCommand: command("cold-worker.js") });
  };
  for (const name of options.contestants) {
    if (name === "undici8-request" && !nodeIsFrom(UNDICI_8_NODE)) {
      print(`undici8-request: left out, undici 8 wants Node ${UNDICI_8_NODE.join(".")}`);
      delete versions["undici-8"];
    } else if (name !== "go") {
      node(name);
    } else {
      const go = buildGo(benchDir, tempDir, !options.quick, print);
      if ("missing" in go) {
        print(`go: left out, ${go.missing}`);
      } else {
        versions["go"] = go.version;
        entrants.push({ name, command: [go.program], coldCommand: [go.program, "cold"] });
      }
    }
  }
  return entrants;
}

function nodeIsFrom([major, minor]: readonly [number, number]): boolean {
  const [ours = 0, ourMinor = 0] = process.versions.node.split(".").map(Number);
  return ours > major || (ours === major && ourMinor >= minor);
}

function write(file: string, record: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
}

function baseName(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(/\.json$/, "");
}

await perform(async (tempDir) => {
  const options = readOptions(benchDir);
  if (options !== null) return main(options, tempDir);
  print(USAGE);
  return 0;
});
