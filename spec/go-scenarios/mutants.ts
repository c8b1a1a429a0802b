/**
 * `make mutants`: which rows of Go's own tests notice a mistake. It makes small mistakes in lib/, one at a time, in a copy of
 * the tree, runs the cases that meet each, and notes per row how many it met and killed. A row that kills none is listed in
 * spec/go-scenarios-unkilled.md: its spec asserts too little, or judgements.tsv says why nothing can be noticed.
 *
 * A row *exercises* an expression when a case with its tag evaluates it, from the case's first hook to its last; it *meets* a
 * mutant of it when the mutant's value is another one there (switchboard.ts). It *kills* the mutant when a case of it that
 * met it then fails, having passed just before. A case that waits until its time is up fails too, if it does so twice and
 * comes to its end quickly without the mutant between (runner.ts). What counts as nothing: any other case whose time was up,
 * as on a busy machine; a case that its process's end kept from ending; and failures under a mutant of the road that all
 * share, which most rows asked notice (isBlunt in ledger.ts). A mutant is on only around cases, never while modules load, so
 * none fails a file by its import.
 *
 * The ways: one run without a mutant tells which rows meet which (all cases with a tag must pass in it); then, pass by pass, each
 * spec file gets the mutants that most of its rows in need meet (choose in ledger.ts), one after the other, until every row has
 * met enough. What was learned is kept in mutants/*.tsv after each pass, so that a run goes on where the last one ended.
 * The results of a changed line of lib/ are dropped and tried again. The seed decides between mutants that are nearly equal.
 *
 * Usage: mutants.ts [PASSES] [SEED] [AGAIN]. PASSES 0 runs nothing: it prints the figures and writes the page. AGAIN names the
 * spec files (part of a path) that were mended: what their rows have shown is forgotten, and shown anew.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "./mutants/instrument.ts";
import {
  choose,
  figuresText,
  Ledger,
  type Meetings,
  page,
  parseFigures,
  parseJudgements,
  parseTrials,
  summary,
  trialsText,
} from "./mutants/ledger.ts";
import { type Plan, runSpecs, type Told } from "./mutants/run-specs.ts";
import { mutantTree } from "./mutants/tree.ts";

const root = new URL("../../", import.meta.url).pathname;

/** What a process leaves goes on in another, so often in one pass. */
const ROUNDS_MAX = 4;

const [passes = "1000", seed = "1", again] = process.argv.slice(2);
const read = (name: string): string => {
  const url = new URL(`mutants/${name}`, import.meta.url);
  return existsSync(url) ? readFileSync(url, "utf8") : "";
};
const trials = parseTrials(read("trials.tsv"));
const figures = parseFigures(read("rows.tsv"));
const judgements = parseJudgements(read("judgements.tsv"));

if (passes === "0") {
  writeFileSync(new URL("../go-scenarios-unkilled.md", import.meta.url), page(trials, figures, judgements));
  console.log(summary(trials, figures));
} else {
  using tree = mutantTree(root);
  const told = await runSpecs(tree.root, specsWithTags(), null);
  const wrong = told.filter(({ row, passed }) => row !== null && !passed);
  if (wrong.length > 0) {
    throw new Error(`Cannot begin: cases fail without a mutant: ${wrong.map(({ title }) => title).join("; ")}`);
  }
  const cases = told.filter(({ row }) => row !== null);
  const covered = new Set(cases.map(({ row }) => row));
  const rows = rowNames().filter((row) => covered.has(row));
  const forgotten = new Set(
    again === undefined ? [] : cases.filter(({ spec }) => spec.includes(again)).map(({ row }) => row),
  );
  const ledger = new Ledger(
    trials.filter(({ spec }) => again === undefined || !spec.includes(again)),
    figures.filter(({ row }) => !forgotten.has(row)),
    new Set(tree.mutants.map(({ key }) => key)),
    rows,
  );
  const meetings = meetingsOf(cases);
  const random = sequence(Number(seed));
  for (let pass = 1; pass <= Number(passes); pass++) {
    const done = await onePass(tree.root, ledger, meetings, tree.mutants, cases, random);
    if (done === 0) break;
    save(ledger);
    console.log(`pass ${pass}: ${done} trials; ${summary(ledger.trials(), ledger.figures())}`);
  }
  save(ledger);
  console.log(summary(ledger.trials(), ledger.figures()));
}

function rowNames(): string[] {
  const tsv = readFileSync(new URL("rows.tsv", import.meta.url), "utf8");
  return tsv
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t", 1)[0] ?? "");
}

/** The spec files with a tag in their text; those whose cases answer no row do no harm. */
function specsWithTags(): string[] {
  return readdirSync(join(root, "spec"), { recursive: true, encoding: "utf8" })
    .map((name) => join("spec", name))
    .filter((name) => name.endsWith(".spec.ts") && readFileSync(join(root, name), "utf8").includes("[Test"));
}

function meetingsOf(cases: readonly Told[]): Meetings {
  const all = new Map<string, Map<number, Set<string>>>();
  for (const { spec, row, met } of cases) {
    if (row === null) continue;
    const mutants = all.get(spec) ?? new Map<number, Set<string>>();
    all.set(spec, mutants);
    for (const id of met) mutants.set(id, (mutants.get(id) ?? new Set()).add(row));
  }
  return all;
}

/** Numbers in [0, 1), the same for the same seed. */
function sequence(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function planOf(cases: readonly Told[], mutants: (one: Told) => readonly number[]): Plan {
  const plan: Record<string, Record<string, readonly number[]>> = {};
  for (const one of cases) {
    const own = mutants(one);
    if (own.length > 0) plan[one.spec] = { ...plan[one.spec], [one.title]: own };
  }
  return plan;
}

/** One pass: the number of its trials. */
async function onePass(
  treeRoot: string,
  ledger: Ledger,
  meetings: Meetings,
  mutants: readonly Mutant[],
  cases: readonly Told[],
  random: () => number,
): Promise<number> {
  const chosen = choose(ledger, meetings, mutants, random);
  if (chosen.length === 0) return 0;
  const told: Told[] = [];
  let plan = planOf(cases, ({ spec, met }) =>
    chosen.flatMap(({ spec: where, mutant: { id } }) => (where === spec && met.includes(id) ? id : [])),
  );
  for (let round = 1; round <= ROUNDS_MAX && Object.keys(plan).length > 0; round++) {
    const now = await runSpecs(treeRoot, Object.keys(plan), plan);
    told.push(...now);
    plan = planOf(now, ({ left }) => left);
  }
  for (const { spec, mutant, reach } of chosen) {
    const by = { failed: new Set<string>(), late: new Set<string>(), passed: new Set<string>() };
    for (const one of told) {
      if (one.spec !== spec || one.row === null) continue;
      for (const { id, status } of one.tries) if (id === mutant.id) by[status].add(one.row);
    }
    // A row of several cases notices what one of them does.
    const late = [...by.late].filter((row) => !by.failed.has(row));
    const passed = [...by.passed].filter((row) => !by.failed.has(row) && !by.late.has(row));
    ledger.add({ mutant, spec, reach, failed: [...by.failed], passed, late });
  }
  return chosen.length;
}

function save(ledger: Ledger): void {
  const write = (name: string, text: string): void => writeFileSync(new URL(name, import.meta.url), text);
  write("mutants/trials.tsv", trialsText(ledger.trials()));
  write("mutants/rows.tsv", figuresText(ledger.figures()));
  write("../go-scenarios-unkilled.md", page(ledger.trials(), ledger.figures(), judgements));
}
