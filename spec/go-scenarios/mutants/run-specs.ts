/** One run of specs in a tree of mutants: what each case said, and which mutants it met. */

import { spawn } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tagOf } from "../judge.ts";
import { RAN_AWAY } from "./switchboard.ts";

/** For each spec file its mutant, and the cases to run: the titles of the groups around each and its own, joined by ` › `. */
export type Plan = Readonly<Record<string, { readonly mutant: number; readonly cases: readonly string[] }>>;

export interface Told {
  readonly spec: string;
  readonly title: string;
  /** The row that the case answers; null for a case of none. */
  readonly row: string | null;
  readonly status: string;
  /** Its time was up, or a loop ran away: on a busy machine the one says nothing, and the other is what a mutant does to itself. */
  readonly timedOut: boolean;
  readonly met: readonly number[];
}

/** What of vitest's JSON report is read. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
      readonly meta?: { readonly met?: readonly number[] };
    }[];
  }[];
}

export const TIME_WAS_UP = new RegExp(`(Test|Hook) timed out|STACK_TRACE_ERROR|${RAN_AWAY}`);
/** A run that a mutant keeps busy for ever, though no loop of lib/ is what it runs in, is ended then; it has told nothing. */
const PATIENCE_MS = 900_000;

/** A spec file under another name, so that one run has it several times, each with another mutant. */
export function copyOf(root: string, spec: string, nth: number): string {
  if (nth === 0) return spec;
  const name = spec.replace(/\.spec\.ts$/, `.copy${nth}.spec.ts`);
  copyFileSync(join(root, spec), join(root, name));
  return name;
}

/**
 * @param specs files, from the tree's root
 * @param plan what to run in which of them; null for every case, without a mutant
 * @returns null where the run did not come to its end
 */
export function runSpecs(root: string, specs: readonly string[], plan: Plan | null): Promise<Told[] | null> {
  const report = join(root, "report.json");
  rmSync(report, { force: true });
  const env = { ...process.env };
  delete env["MUTANT_PLAN"];
  if (plan !== null) {
    env["MUTANT_PLAN"] = join(root, "plan.json");
    writeFileSync(env["MUTANT_PLAN"], JSON.stringify(plan));
  }
  const args = [
    "run",
    "--config=spec/go-scenarios/mutants/vitest.config.ts",
    `--testTimeout=${plan === null ? 20_000 : 3000}`,
    "--maxWorkers=2",
    "--reporter=json",
    `--outputFile=${report}`,
  ];
  const child = spawn("node_modules/.bin/vitest", [...args, ...specs], {
    cwd: root,
    env,
    stdio: "ignore",
    detached: true,
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), PATIENCE_MS);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      try {
        resolve(parse(readFileSync(report, "utf8"), `${root}/`));
      } catch {
        resolve(null);
      }
    });
  });
}

function parse(json: string, root: string): Told[] {
  // The report is vitest's own, written by the run just before; its shape is `Report` by vitest's documentation.
  const report = JSON.parse(json) as Report;
  return report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ ancestorTitles, title, status, failureMessages = [], meta }) => ({
      spec: name.slice(root.length),
      title: [...ancestorTitles, title].join(" › "),
      row: tagOf(title),
      status,
      timedOut: failureMessages.some((message) => TIME_WAS_UP.test(message)),
      met: meta?.met ?? [],
    })),
  );
}
