/**
 * How a property is run: how often, from which seed, and what a failure prints. RUNS scales all of them, SEED repeats a
 * run, AT (fast-check's path) goes straight to the smallest counterexample that it found.
 */

import fc from "fast-check";
import { expect } from "vitest";

const env = process.env;

/** `make fuzz` hands one fresh seed to all files; a plain run of the specs takes one for each. */
const SEED = env["SEED"] ? Number(env["SEED"]) : Math.floor(Math.random() * 2 ** 31);

/** Runs of a property of ordinary cost. */
const RUNS = Number(env["RUNS"]) || 200;

/**
 * @param file `NAME` of the fuzz file
 * @param weight how often this property is run for one run of an ordinary one
 */
export function runs<T>(file: string, weight = 1): fc.Parameters<T> {
  return {
    seed: SEED,
    numRuns: Math.max(5, Math.round(RUNS * weight)),
    ...(env["AT"] ? { path: env["AT"], endOnFailure: true } : {}),
    reporter: (details) => failWith(file, details),
  };
}

/** What to type to see the same failure again. A path is of one property, so that one is named with it. */
function failWith<T>(file: string, details: fc.RunDetails<T>): void {
  if (!details.failed) return;
  const { seed, counterexamplePath } = details;
  const name = (expect.getState().currentTestName ?? "").split(" > ").at(-1) ?? "";
  const at = counterexamplePath === null ? "" : ` AT='${counterexamplePath}' ONLY='${name.replace(/[^\w ,:]/g, ".")}'`;
  const again = `make fuzz NAME=${file} SEED=${seed} RUNS=${RUNS}${at}`;
  const text = `${fc.defaultReportMessage(details)}\n\nAgain: ${again}\n`;
  throw new Error(text, { cause: details.errorInstance });
}
