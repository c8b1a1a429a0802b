/**
 * How specs run against mutants: those of one area (`MUTATION_AREA`), in one thread, with one module graph for all files.
 * Seeds stand still, so that a mutant meets the same properties in each run.
 */

import { relative } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { AREAS } from "./areas.ts";

const name = process.env["MUTATION_AREA"] ?? "";
const area = AREAS[name];
if (area === undefined) throw new Error(`MUTATION_AREA is "${name}": there are ${Object.keys(AREAS).join(", ")}`);
const { specs, late, runs } = area;
const root = new URL("../..", import.meta.url).pathname;

/** 0 for what is not late. */
function place(file: string): number {
  const path = relative(root, file);
  return late.findIndex((start) => path.startsWith(start)) + 1;
}

class LateLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.sort((a, b) => place(a.moduleId) - place(b.moduleId) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

export default defineConfig({
  root,
  test: {
    include: [...specs],
    setupFiles: ["spec/mutation/skip-slow.ts"],
    pool: "threads",
    isolate: false,
    maxWorkers: 1,
    sequence: { sequencer: LateLast },
    // A mutant that makes a spec wait for ever has been noticed when this is over.
    testTimeout: 4_000,
    hookTimeout: 4_000,
    env: { RUNS: String(runs), SEED: "1" },
  },
});
