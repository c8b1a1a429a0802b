/**
 * Which rows of Go's own tests notice a mistake: breaks lines of lib/ one at a time, in a copy of the tree, runs specs, and
 * writes down the rows whose cases failed on none. A row listed there is one whose spec may assert too little, or whose
 * lines no mutant met: the page says how many were tried, and on which files.
 *
 * A mutant is a condition negated, or a comparison, `&&` or `||` turned into its neighbour: found by text, line by line, so
 * that some change nothing that could be seen. Which ones are tried is drawn by seed.
 *
 * Usage: mutants.ts COUNT SEED LIB_FILE,… SPEC_FILTER…
 */

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Case, parseReport, tagOf } from "./judge.ts";

const root = new URL("../../", import.meta.url).pathname;
/** A mutant that makes specs wait for ever is ended, and has told nothing; nor does one case whose time was up. */
const PATIENCE_MS = 60_000;

interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly before: string;
  readonly after: string;
}

const SWAPS: readonly (readonly [RegExp, string])[] = [
  [/\bif \((?!!\()(.+)\) (return|throw|break|continue|\{|this|yield)/, "if (!($1)) $2"],
  [/ === /, " !== "],
  [/ !== /, " === "],
  [/ && /, " || "],
  [/ \|\| /, " && "],
  [/ < /, " <= "],
  [/ > /, " >= "],
  [/\breturn true;/, "return false;"],
  [/\breturn false;/, "return true;"],
];

/** Every mutant of a file, one change each. Comments, types and imports are left alone. */
function mutantsOf(file: string): Mutant[] {
  return readFileSync(join(root, file), "utf8")
    .split("\n")
    .flatMap((before, i) => {
      if (/^\s*(\/\/|\*|\/\*|import|export type|type |interface )/.test(before)) return [];
      return SWAPS.map(([from, to]) => before.replace(from, to))
        .filter((after) => after !== before)
        .map((after) => ({ file, line: i + 1, before, after }));
    });
}

/** `count` of them in the order that the seed gives (a linear congruence is enough to mix a list). */
function drawn(all: Mutant[], count: number, seed: number): Mutant[] {
  let state = seed >>> 0;
  const keyed = all.map((mutant) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return [state, mutant] as const;
  });
  return keyed
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, mutant]) => mutant);
}

/** Runs the specs of a tree; null where they did not come to an end. */
function run(tree: string, filters: readonly string[]): Promise<Case[] | null> {
  const report = join(tree, "report.json");
  rmSync(report, { force: true });
  const args = [
    "run",
    "--config",
    "spec/vitest.config.ts",
    "--testTimeout=2000",
    "--reporter=json",
    `--outputFile=${report}`,
  ];
  const child = spawn("node_modules/.bin/vitest", [...args, ...filters], {
    cwd: tree,
    stdio: "ignore",
    detached: true,
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), PATIENCE_MS);
    child.once("close", () => {
      clearTimeout(timer);
      try {
        resolve(parseReport(readFileSync(report, "utf8"), `${tree}/`));
      } catch {
        resolve(null);
      }
    });
  });
}

const [count = "20", seed = "1", files = "", ...filters] = process.argv.slice(2);
const mutants = drawn(files.split(",").flatMap(mutantsOf), Number(count), Number(seed));
const tree = mkdtempSync(join(tmpdir(), "scenario-mutants-"));
const rows = new Map<string, string | null>();
let killed = 0;
let mute = 0;
try {
  for (const name of ["lib", "spec", "fuzz", "package.json", "tsconfig.json"]) {
    cpSync(join(root, name), join(tree, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  for (const { title, status } of (await run(tree, filters)) ?? []) {
    const tag = tagOf(title);
    if (tag !== null && status === "passed") rows.set(tag, null);
  }
  if (rows.size === 0) throw new Error("No case with a tag passes in these specs as they are");
  for (const { file, line, before, after } of mutants) {
    const path = join(tree, file);
    const text = readFileSync(path, "utf8");
    const lines = text.split("\n");
    lines[line - 1] = after;
    writeFileSync(path, lines.join("\n"));
    const cases = await run(tree, filters);
    writeFileSync(path, text);
    const failed = (cases ?? []).filter(({ status, timedOut }) => status === "failed" && !timedOut);
    if (cases === null) mute++;
    else if (failed.length > 0) killed++;
    for (const { title } of failed) {
      const tag = tagOf(title);
      if (tag !== null && rows.get(tag) === null) rows.set(tag, `${file}:${line}`);
    }
    const found = cases === null ? "did not end" : `${failed.length} cases fail`;
    console.log(`${file}:${line}: ${found}: ${before.trim()} → ${after.trim()}`);
  }
} finally {
  rmSync(tree, { recursive: true, force: true });
}

const never = [...rows].filter(([, by]) => by === null).map(([row]) => row);
const out = [
  "# Rows that failed on no mutant",
  "",
  "Written by `spec/go-scenarios/mutants.ts`; do not edit. A row stands here where none of the mutants tried made a case of it fail:",
  "its spec asserts too little, or no mutant met its lines. The fewer were tried, the less it says.",
  "",
  `- mutants tried: ${mutants.length} (seed ${seed}), of ${files.split(",").join(", ")}`,
  `- of these ${killed} made a case fail, ${mute} did not let the specs end, ${mutants.length - killed - mute} were noticed by none`,
  `- specs run: ${filters.join(", ")}`,
  `- rows that failed on some mutant: ${rows.size - never.length} of ${rows.size}`,
  "",
  ...never.map((row) => `- ${row}`),
];
writeFileSync(new URL("../go-scenarios-unkilled.md", import.meta.url), `${out.join("\n")}\n`);
console.log(
  `${mutants.length} mutants, ${killed} noticed, ${mute} without an end; ${never.length} of ${rows.size} rows failed on none`,
);
