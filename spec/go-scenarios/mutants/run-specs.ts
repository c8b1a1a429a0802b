/** One run of specs in a tree of mutants: what each case said, and which mutants it met. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RAN_AWAY } from "./switchboard.ts";

/**
 * For each spec file its cases to run (the titles of the groups around each and its own, joined by ` › `), and for each the
 * mutants to run it with, one after the other.
 */
export type Plan = Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;

/** What a case said to a mutant that it met. Late: TIME_WAS_UP, and it was not seen again. */
export interface Try {
  readonly id: number;
  readonly status: "passed" | "failed" | "late";
}

export interface Told {
  readonly spec: string;
  readonly title: string;
  /** The row that the case answers; null for a case of none. */
  readonly row: string | null;
  /** Without a plan; with one, see the tries. */
  readonly passed: boolean;
  /** Without a plan: all that it met. */
  readonly met: readonly number[];
  readonly tries: readonly Try[];
  /** Mutants that it was not run with after all: for another process. */
  readonly left: readonly number[];
}

/** A case's time was up, which a busy machine does too, or a loop ran away, which a mutant does to itself. */
export const TIME_WAS_UP = new RegExp(`(Test|Hook) timed out|STACK_TRACE_ERROR|${RAN_AWAY}`);
/** A run that a mutant keeps busy for ever, though no loop of lib/ is what it runs in, is ended then. */
const PATIENCE_MS = 900_000;

/**
 * @param specs files, from the tree's root
 * @param plan what to run in which of them; null for every case, without a mutant
 * @returns what cases said until the run's end, whatever that was: each says it when it ends
 */
export async function runSpecs(root: string, specs: readonly string[], plan: Plan | null): Promise<Told[]> {
  const told = join(root, "told.jsonl");
  writeFileSync(told, "");
  const env: NodeJS.ProcessEnv = { ...process.env, MUTANT_TOLD: told };
  delete env["MUTANT_PLAN"];
  if (plan !== null) {
    env["MUTANT_PLAN"] = join(root, "plan.json");
    writeFileSync(env["MUTANT_PLAN"], JSON.stringify(plan));
  }
  // A mutant makes many cases wait, which costs nothing: hence more processes than there may be cores.
  const args = [
    "run",
    "--config=spec/go-scenarios/mutants/vitest.config.ts",
    `--testTimeout=${plan === null ? 60_000 : 2000}`,
    `--maxWorkers=${plan === null ? 2 : 6}`,
    ...specs,
  ];
  const child = spawn("node_modules/.bin/vitest", args, { cwd: root, env, stdio: "ignore", detached: true });
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), PATIENCE_MS);
  await once(child, "close");
  clearTimeout(timer);
  // Each line is one `Told`, as runner.ts writes it.
  const lines = readFileSync(told, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Told);
}
