/**
 * `make scenarios`: reads the JSON report of a whole run of the specs, judges it against rows.tsv and answers.tsv, and writes
 * spec/go-scenarios.md; open rows that are covered now go out of answers.tsv. With --check, as `make test` has it, it writes
 * nothing and fails where the page is out of date. It fails on whatever judge() finds wrong, and on a covered row that has
 * neither killed a mutant nor a judgement why not (mutants.ts finds out which; here only its tables are read).
 *
 * Usage: run.ts REPORT.json [--check]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { judge, page, parseAnswers, parseReport, parseRows } from "./judge.ts";
import {
  complaints,
  parseFigures,
  parseJudgements,
  parseTrials,
  summary,
  page as unkilledPage,
} from "./mutants/ledger.ts";

const root = new URL("../../", import.meta.url).pathname;
const read = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8");
const [report, mode] = process.argv.slice(2);
if (report === undefined) throw new Error("usage: run.ts REPORT.json [--check]");

const rows = parseRows(read("rows.tsv"));
const verdict = judge(rows, parseAnswers(read("answers.tsv")), parseReport(readFileSync(report, "utf8"), root));
const wrong = [...verdict.wrong];
const trials = parseTrials(read("mutants/trials.tsv"));
const figures = parseFigures(read("mutants/rows.tsv"));
const judgements = parseJudgements(read("mutants/judgements.tsv"));
wrong.push(...complaints(verdict.covered.keys(), figures, judgements));
const unkilled = new URL("../go-scenarios-unkilled.md", import.meta.url);
const unkilledText = unkilledPage(trials, figures, judgements);
const target = new URL("../go-scenarios.md", import.meta.url);
const text = page(rows, verdict);
if (mode !== "--check") {
  writeFileSync(target, text);
  writeFileSync(unkilled, unkilledText);
  const waits = ([test = "", kind]: string[]) => kind !== "open" || !verdict.covered.has(test);
  const still = read("answers.tsv")
    .split("\n")
    .filter((line) => waits(line.split("\t")));
  writeFileSync(new URL("answers.tsv", import.meta.url), still.join("\n"));
} else {
  if (readFileSync(target, "utf8") !== text) wrong.push("spec/go-scenarios.md is out of date: run `make scenarios`");
  if (readFileSync(unkilled, "utf8") !== unkilledText) {
    wrong.push("spec/go-scenarios-unkilled.md is out of date: run `make mutants`");
  }
}

for (const line of wrong) console.error(line);
const { covered, apart, open } = verdict;
console.log(
  `go-scenarios: ${rows.length} rows: ${covered.size} covered, ${apart.size} do not apply, ${open.size} open; ${wrong.length} wrong`,
);
console.log(`go-scenarios: ${summary(trials, figures)}`);
if (wrong.length > 0) process.exitCode = 1;
