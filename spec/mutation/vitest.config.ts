/**
 * How specs run against mutants: those of one area (`MUTATION_AREA`; with `MUTATION_NEAR` its near ones), in one thread, with one module graph for all files.
 * Seeds stand still, so that a mutant meets the same properties in each run.
 */

import { relative } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { AREAS } from "./areas.ts";

const name = process.env["MUTATION_AREA"] ?? "";
const area = AREAS[name];
if (area === undefined) throw new Error(`MUTATION_AREA is "${name}": there are ${Object.keys(AREAS).join(", ")}`);
const { near, late, runs } = area;
const far = process.env["MUTATION_NEAR"] === "1" ? [] : area.far;
const root = new URL("../..", import.meta.url).pathname;

/** Where in the order a file stands: near ones, late ones, far ones. */
function place(file: string): number {
  const path = relative(root, file);
  if (far.includes(path)) return late.length + 1;
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
    include: [...near, ...far],
    setupFiles: ["spec/mutation/setup.ts"],
    pool: "threads",
    isolate: false,
    maxWorkers: 1,
    sequence: { sequencer: LateLast },
    env: { RUNS: String(runs), SEED: "1" },
  },
});
