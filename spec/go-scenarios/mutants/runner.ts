/**
 * The runner of a tree of mutants: as vitest's own, and it turns a mutant on around each case (its hooks among it, no others),
 * runs only the cases it is told to, and leaves in each case's `meta` what the case met.
 *
 * MUTANT_PLAN names a JSON file: spec file → its mutant and the cases to run. Without one every case runs, without a mutant.
 */

import { readFileSync } from "node:fs";
import type { File, Task, Test } from "@vitest/runner";
import { VitestTestRunner } from "vitest/runners";
import { type Plan, TIME_WAS_UP } from "./run-specs.ts";
import { begin, end } from "./switchboard.ts";

declare module "@vitest/runner" {
  interface TaskMeta {
    /** Ids of mutants. */
    met?: number[];
  }
}

/** A mutant that lets cases wait for ever tells little by them: after so many, the rest of the file is skipped. */
const TIMEOUTS_MAX = 3;

const path = process.env["MUTANT_PLAN"];
// The file is written by run-specs.ts, just before.
const plan = path === undefined ? null : (JSON.parse(readFileSync(path, "utf8")) as Plan);

/** The titles of the groups around a case and its own: what a report has as well. */
function titles(task: Task): string[] {
  return [...(task.suite === undefined ? [] : titles(task.suite)), task.name];
}

function leaves(task: Task): Test[] {
  return task.type === "test" ? [task] : task.tasks.flatMap(leaves);
}

export default class MutantRunner extends VitestTestRunner {
  #mutant: number | null = null;
  #timeouts = 0;

  onCollected(files: File[]): void {
    for (const file of plan === null ? [] : files) {
      const own = plan?.[file.name];
      this.#mutant = own?.mutant ?? null;
      const wanted = new Set(own?.cases);
      for (const test of leaves(file)) if (!wanted.has(titles(test).join(" › "))) test.mode = "skip";
    }
  }

  override async onBeforeRunTask(test: Test): Promise<void> {
    if (this.#mutant !== null && this.#timeouts >= TIMEOUTS_MAX) test.mode = "skip";
    await super.onBeforeRunTask(test);
  }

  override onBeforeTryTask(test: Task): void {
    begin(this.#mutant);
    super.onBeforeTryTask(test);
  }

  override onAfterRunTask(test: Task): void {
    test.meta.met = end();
    if (test.result?.errors?.some(({ message }) => TIME_WAS_UP.test(message))) this.#timeouts++;
    super.onAfterRunTask(test);
  }
}
