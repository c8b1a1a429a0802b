/**
 * The runner of a tree of mutants: as vitest's own, and it turns a mutant on around each case (its hooks among it, no others).
 * Without a plan every case runs once, without a mutant, and tells what it met. With one, a case runs once for each mutant
 * that it is to meet, and tells what came of each.
 *
 * Invariant: a mutant is tried only after the same case has passed in the same process, in the run before it. So what the
 * last one broke cannot be laid to the next: after a failure the case runs once without a mutant, and where it fails then
 * as well (it leaves something behind, or runs but once), its other mutants are left to another process.
 *
 * A case that waits for ever notices a mutant too, as one whose peer stands at a connection that nobody comes by. But on a
 * busy machine time runs out by itself. So that counts as a failure only where it happened twice, and each time the run
 * without the mutant, right after it, came to its end in a third of the time.
 *
 * MUTANT_PLAN names the JSON file with the plan, MUTANT_TOLD the file to which each case adds a line when it ends.
 */

import { appendFileSync, readFileSync } from "node:fs";
import type { RunnerTestFile as File, RunnerTask as Task, RunnerTestCase as Test } from "vitest";
import { VitestTestRunner } from "vitest/runners";
import { tagOf } from "../judge.ts";
import { type Plan, TIME_WAS_UP, type Told, type Try } from "./run-specs.ts";
import { begin, end } from "./switchboard.ts";

/** A mutant that lets cases wait for ever tells little by them: after so many, the rest of the file is left out. */
const TIMEOUTS_MAX = 2;

/** After so many cases that wait for ever without a mutant, something of an earlier one goes on in this process. */
const STUCK_MAX = 3;
/** A long case, slower yet under the switchboard, leaves the rest of its mutants to another process. */
const SERIES_MS_MAX = 20_000;

const tellTo = process.env["MUTANT_TOLD"];
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

/** The tries of one case. */
interface Series {
  readonly left: number[];
  readonly done: Try[];
  /** The mutant on in the run under way; null for the run without one. */
  mutant: number | null;
  /** A mutant under which time ran out, how often, and not yet told of. */
  late: { readonly id: number; times: number } | null;
  /** When the run under way began, in ms. */
  began: number;
  /** When it began, in ms since the process did; 0 before that. */
  since: number;
  /** Whether the run before passed: the first follows a run of all cases. */
  clean: boolean;
  over: boolean;
}

const NO_MORE = new Error("no mutant is left for this case");

export default class MutantRunner extends VitestTestRunner {
  readonly #series = new Map<Test, Series>();
  readonly #timeouts = new Map<number, number>();
  /** Cases whose time was up without a mutant. */
  #stuck = 0;

  onCollected(files: File[]): void {
    for (const file of plan === null ? [] : files) {
      for (const test of leaves(file)) {
        const own = plan?.[file.name]?.[titles(test).join(" › ")];
        if (own === undefined) {
          test.mode = "skip";
          continue;
        }
        this.#series.set(test, {
          left: [...own],
          done: [],
          mutant: null,
          late: null,
          began: 0,
          since: 0,
          clean: true,
          over: false,
        });
        // Each mutant, and a run without one after it, and both again; those that are not needed end as they begin.
        test.repeats = own.length * 4 - 1;
      }
    }
  }

  override onBeforeTryTask(test: Test): void {
    const series = this.#series.get(test);
    if (series === undefined) begin(null);
    else {
      series.since ||= performance.now();
      series.over ||= this.#stuck >= STUCK_MAX || performance.now() - series.since > SERIES_MS_MAX;
      series.mutant = series.clean ? this.#next(series) : null;
      series.over ||= series.clean && series.mutant === null;
      if (series.over) throw NO_MORE;
      series.began = performance.now();
      begin(series.mutant);
    }
    super.onBeforeTryTask(test);
  }

  #next({ left }: Series): number | null {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      if ((this.#timeouts.get(id) ?? 0) < TIMEOUTS_MAX) return id;
    }
    return null;
  }

  onAfterRetryTask(test: Test): void {
    const series = this.#series.get(test);
    const { result } = test;
    if (series === undefined || result === undefined) return;
    if (!series.over) {
      const met = end();
      const failed = result.state === "fail";
      const late = result.errors?.some(({ message }) => TIME_WAS_UP.test(message)) === true;
      const { mutant } = series;
      if (mutant === null) {
        series.over = failed;
        if (late) this.#stuck++;
        this.#confirm(series, !failed && performance.now() - series.began < test.timeout / 3);
      } else if (late && met.length > 0) {
        series.late = { id: mutant, times: (series.late?.times ?? 0) + 1 };
      } else {
        series.late = null;
        if (met.length > 0) series.done.push({ id: mutant, status: failed ? "failed" : "passed" });
      }
      series.clean = !failed;
    }
    // One result would stand for all runs, and none passes after one that failed.
    result.state = "pass";
    delete result.errors;
  }

  /** After a run without a mutant. @param quick it passed, in good time */
  #confirm(series: Series, quick: boolean): void {
    const { late } = series;
    if (late === null) return;
    if (quick && late.times === 1) {
      series.left.unshift(late.id);
      return;
    }
    series.late = null;
    this.#timeouts.set(late.id, (this.#timeouts.get(late.id) ?? 0) + 1);
    series.done.push({ id: late.id, status: quick ? "failed" : "late" });
  }

  override onAfterRunTask(test: Test): void {
    const series = this.#series.get(test);
    const told: Told = {
      spec: test.file.name,
      title: titles(test).join(" › "),
      row: tagOf(test.name),
      passed: test.result?.state === "pass",
      met: series === undefined ? end() : [],
      tries: series?.done ?? [],
      left: series?.left ?? [],
    };
    if (tellTo !== undefined) appendFileSync(tellTo, `${JSON.stringify(told)}\n`);
    super.onAfterRunTask(test);
  }
}
