/**
 * Canaries: deliberate bugs, each a patch beside this file, that the suite must catch. Each patch says what it breaks and
 * by whom it must be found: `simulator N` within N worlds from seed 1 on, or specs by path.
 *
 * A canary is applied to a copy of the tree in a temporary directory, never here. One that no longer applies is a mistake
 * of its own: it is missed. `make canaries`, or NAME=… for those whose name contains it.
 */

import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = new URL(".", import.meta.url).pathname;
const root = new URL("../..", import.meta.url).pathname;
const COPIED = ["lib", "spec", "fuzz", "package.json", "tsconfig.json"];
/** The most that one canary may take. What is cut off then has found nothing: slowness is not a catch. */
const PATIENCE_MS = 1_800_000;
/** A tree that does not load, or names what is not there, fails everything and says nothing about the bug. */
const DOES_NOT_LOAD = /SyntaxError|ReferenceError|TransformError|Transform failed|ERR_MODULE_NOT_FOUND|Failed to load/;

interface Canary {
  readonly name: string;
  readonly file: string;
  readonly what: string;
  readonly by: string;
}

type Outcome = { readonly caught: true; readonly how: string } | { readonly caught: false; readonly why: string };

function canaries(part: string): Canary[] {
  const files = readdirSync(here).filter((file) => file.endsWith(".patch") && file.includes(part));
  return files.sort().map((file) => {
    const text = readFileSync(join(here, file), "utf8");
    const by = /^Caught-by: (.+)$/m.exec(text)?.[1];
    if (by === undefined) throw new Error(`${file} does not say by whom it is caught`);
    return { name: file.slice(0, -".patch".length), file: join(here, file), what: text.split("\n", 1)[0] ?? "", by };
  });
}

/** @param file null: nothing is broken, and nothing may be found */
async function release({ file, by }: Pick<Canary, "by"> & { readonly file: string | null }): Promise<Outcome> {
  const dir = mkdtempSync(join(tmpdir(), "persistconn-canary-"));
  try {
    for (const name of COPIED) cpSync(join(root, name), join(dir, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
    if (file !== null) {
      const applied = spawnSync("patch", ["-p1", "--silent", "--fuzz=2", "-i", file], { cwd: dir, encoding: "utf8" });
      if (applied.status !== 0) return { caught: false, why: `it does not apply: ${applied.stdout}${applied.stderr}` };
    }
    const [who, runs] = by.split(" ");
    if (who === "simulator") return await bySimulator(dir, runs ?? "0");
    return await bySpecs(dir, by.split(" "));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function bySimulator(dir: string, runs: string): Promise<Outcome> {
  const environment = { SEED: "1", RUNS: runs, REQUESTS: "60", STOP: "1" };
  const { status, text } = await run(dir, ["--import", "tsx", "fuzz/simulator/run.ts"], environment);
  const found = /^Simulator, seed (\d+): (.*)$/m.exec(text);
  if (found !== null && !DOES_NOT_LOAD.test(found[2] ?? ""))
    return { caught: true, how: `seed ${found[1]}: ${found[2]}` };
  if (status === 0) return { caught: false, why: `${runs} worlds found nothing` };
  if (status === null || DOES_NOT_LOAD.test(text)) return { caught: false, why: lastLine(text) };
  return { caught: true, how: `the run came down: ${lastLine(text)}` };
}

async function bySpecs(dir: string, specs: readonly string[]): Promise<Outcome> {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const { status, text } = await run(
    dir,
    [vitest, "run", "--bail=1", "--config", "spec/vitest.config.ts", ...specs],
    {},
  );
  const found = /FAIL\s+(.+)/.exec(text) ?? /(Unhandled .+)/.exec(text);
  if (status === 0) return { caught: false, why: `${specs.join(", ")} did not fail` };
  if (found === null || DOES_NOT_LOAD.test(text)) return { caught: false, why: lastLine(text) };
  return { caught: true, how: found[1] ?? "" };
}

function run(
  cwd: string,
  args: string[],
  environment: NodeJS.ProcessEnv,
): Promise<{ status: number | null; text: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, NO_COLOR: "1", ...environment },
      timeout: PATIENCE_MS,
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.on("close", (status) => resolve({ status, text }));
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

const all = canaries(process.argv[2] ?? "");
const startedAt = Date.now();
let missed = 0;
// Worlds that find something where nothing is broken would find it with every canary, whatever that breaks.
for (const by of new Set(all.map((canary) => canary.by).filter((by) => by.startsWith("simulator")))) {
  const outcome = await release({ file: null, by });
  if (!outcome.caught) continue;
  console.log(`Nothing is broken, and ${by} finds something: ${outcome.how}`);
  process.exitCode = 1;
}
for (const canary of all) {
  const outcome = await release(canary);
  if (outcome.caught) console.log(`caught  ${canary.name}: ${outcome.how}`);
  else {
    missed++;
    console.log(`MISSED  ${canary.name} (${canary.what}): ${outcome.why}`);
  }
}
console.log(
  `${all.length - missed} caught, ${missed} missed, in ${Math.round((Date.now() - startedAt) / 60_000)} minutes`,
);
if (missed > 0 || all.length === 0) process.exitCode = 1;
