/**
 * Mutation testing: Stryker breaks the files of each area in every way it knows, one at a time, and the area's specs must
 * notice. Prints a table, writes `survivors.md`, and fails below SCORE_MIN in any area.
 *
 * Results are kept in coverage/mutation: a later run tries only what changed, and survivors that a new test meets.
 * FORCE=1 tries all again; FILES=a.ts,b.ts only those of an area, beside what is known of its others. PROCESSES=3 runs
 * three at once, instead of one for each processor.
 *
 * Usage: run.ts [AREA…], with the names of `areas.ts`; all of them by default.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { LogLevel } from "@stryker-mutator/api/core";
import { Stryker } from "@stryker-mutator/core";
import { AREAS, type Area } from "./areas.ts";
import {
  type Figures,
  figuresOf,
  judge,
  type Mutant,
  pageOf,
  parseJudgements,
  scoreOf,
  survivorsOf,
  tableOf,
} from "./survivors.ts";

const SCORE_MIN = 85;
const root = new URL("../../", import.meta.url).pathname;
const here = new URL(".", import.meta.url).pathname;
const kept = "coverage/mutation";
/** Processes at once. A test waits about as long as it works, where a mutant has left it without an answer. */
const concurrency = Number(process.env["PROCESSES"]) || availableParallelism();

interface Outcome {
  readonly figures: Figures;
  readonly mutants: readonly Mutant[];
  readonly seconds: number;
}

async function mutate(name: string, area: Area): Promise<Outcome> {
  process.env["MUTATION_AREA"] = name;
  const started = Date.now();
  const mutants = await new Stryker({
    mutate: process.env["FILES"]?.split(",") ?? [...area.mutate],
    testRunner: "in-process",
    plugins: [join(here, "runner.ts")],
    testRunnerNodeArgs: ["--import", "tsx", "--import", new URL("register.mjs", import.meta.url).href],
    coverageAnalysis: "perTest",
    // Types are not checked: that would cost more than the specs. A mutant with a type error counts as any other.
    disableTypeChecks: false,
    ignorePatterns: ["/bench", "/dist", "/coverage"],
    ignoreStatic: process.env["STATIC"] === "0",
    incremental: true,
    incrementalFile: `${kept}/${name}.json`,
    force: process.env["FORCE"] === "1",
    tempDirName: `${kept}/sandbox`,
    concurrency,
    // What broken code has left running, timers and sockets, goes with its process.
    maxTestRunnerReuse: 150,
    // A busy machine is slow, and what is too slow counts as noticed; loops without an end are seen by other means.
    timeoutMS: 20_000,
    timeoutFactor: process.env["BUDGET"] ? 0 : 3 * Math.ceil(concurrency / availableParallelism()),
    reporters: process.stdout.isTTY ? ["progress"] : ["progress-append-only"],
    logLevel: "warn" as LogLevel.Warning, // a const enum of declarations only, which isolated modules cannot name
    allowConsoleColors: false,
    // What all mutants together came to is judged here.
    thresholds: { high: 100, low: 0, break: null },
  }).runMutationTest();
  const shown = mutants.map((mutant) => ({ ...mutant, fileName: relative(root, mutant.fileName) }));
  return { figures: figuresOf(mutants), mutants: shown, seconds: Math.round((Date.now() - started) / 1000) };
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(AREAS);
const outcomes = new Map<string, Outcome>();
mkdirSync(join(root, kept), { recursive: true });
process.chdir(root);
// A mutant may leave behind what the specs would have removed.
const temporary = mkdtempSync(join(tmpdir(), "mutants-"));
process.env["TMPDIR"] = temporary;
try {
  for (const name of names) {
    const area = AREAS[name];
    if (area === undefined) throw new Error(`There is no area "${name}": there are ${Object.keys(AREAS).join(", ")}`);
    outcomes.set(name, await mutate(name, area));
  }
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

const mutants = [...outcomes.values()].flatMap((outcome) => outcome.mutants);
const survivors = survivorsOf(mutants, (file) => readFileSync(join(root, file), "utf8"));
const judgements = join(here, "judgements.tsv");
const { judged, stale } = judge(
  survivors,
  existsSync(judgements) ? parseJudgements(readFileSync(judgements, "utf8")) : [],
);
const table = tableOf(new Map([...outcomes].map(([name, { figures }]) => [name, figures])));
const times = [...outcomes].map(([name, { seconds }]) => `${name} ${seconds} s`).join(", ");
if (names.length === Object.keys(AREAS).length) {
  writeFileSync(join(here, "survivors.md"), pageOf(table, `This run took ${times}.`, judged));
}

console.log(`\n${table}\n\nThis run took ${times}.`);
for (const [{ file, line, key }, why] of judged) {
  if (why === null) console.log(`new      ${file}:${line}  ${key.split("\t").slice(1).join(" | ")}`);
}
const run = new Set(mutants.map(({ fileName }) => fileName));
for (const { key, count } of stale) {
  const file = key.split("\t", 1)[0] ?? "";
  if (run.has(file)) console.log(`caught   ${count} of judgements.tsv: ${key.replaceAll("\t", " | ")}`);
}
for (const { fileName, location, status, statusReason } of mutants) {
  if (status === "Ignored") console.log(`ignored  ${fileName}:${location.start.line}  ${statusReason}`);
}
for (const [name, { figures }] of outcomes) {
  if (scoreOf(figures) >= SCORE_MIN) continue;
  console.log(`${name} is below ${SCORE_MIN} %`);
  process.exitCode = 1;
}
