/**
 * The examples of a README, run as a stranger would: in a folder of their own, with the package as it is published, under
 * the runner that each names (a code block of `ts vitest` or `ts node:test`). Other blocks are read, not run.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { modules, published } from "./published.ts";

const root = new URL("../..", import.meta.url).pathname;

export interface ReadmeExample {
  readonly runner: "vitest" | "node:test";
  readonly code: string;
  readonly name: string;
  readonly index: number;
}

/** @param path from the root of the project */
export function readmeExamples(path: string): { readme: string; examples: ReadmeExample[] } {
  const readme = readFileSync(join(root, path), "utf8");
  const examples = [...readme.matchAll(/```ts (vitest|node:test)\n([\s\S]*?)```/g)].map(([, runner, code], index) => ({
    runner: runner as "vitest" | "node:test",
    code: code ?? "",
    name: /test\("([^"]+)"/.exec(code ?? "")?.[1] ?? `example ${index}`,
    index,
  }));
  return { readme, examples };
}

/** Adds a spec for each example. Call it within `describe`. */
export function runExamples(examples: readonly ReadmeExample[]): void {
  const stranger = published("readme", ["vitest", "fast-check"]);

  test.each(examples)(
    "$runner: $name",
    async ({ runner, code, index }) => {
      const { dir } = stranger;
      const file = join(dir, `example-${index}.test.ts`);
      writeFileSync(file, code);
      const vitest = [join(modules, "vitest/vitest.mjs"), "run", "--root", dir, `example-${index}.test.ts`];
      const tsx = pathToFileURL(join(modules, "tsx/dist/loader.mjs")).href;
      const args = runner === "vitest" ? vitest : ["--import", tsx, "--test", file];
      const { code: status, text } = await stranger.run(args);
      expect(text).toMatch(runner === "vitest" ? /Tests +1 passed/ : /# pass 1\b|ℹ pass 1\b/);
      expect(status).toBe(0);
    },
    60_000,
  );
}
