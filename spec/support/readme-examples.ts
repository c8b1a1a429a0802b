/**
 * The examples of a README, run as a stranger would: in a folder of their own, with the package as it is published, under
 * the runner that each names (a code block of `ts vitest` or `ts node:test`). Other blocks are read, not run.
 */

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { tempFolder } from "./temp-folder.ts";

const root = new URL("../..", import.meta.url).pathname;
const modules = join(root, "node_modules");

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
  const dir = tempFolder("readme");

  beforeAll(() => {
    const own = join(dir, "node_modules/persistconn");
    mkdirSync(own, { recursive: true });
    execFileSync(join(modules, ".bin/tsc"), ["-p", "lib/tsconfig.json", "--outDir", join(own, "dist"), "--noCheck"], {
      cwd: root,
    });
    symlinkSync(join(root, "package.json"), join(own, "package.json"));
    for (const name of ["vitest", "fast-check"]) symlinkSync(join(modules, name), join(dir, "node_modules", name));
    writeFileSync(join(dir, "package.json"), '{"type":"module"}');
    writeFileSync(join(dir, "tsconfig.json"), '{"compilerOptions":{"target":"es2022"}}');
  }, 120_000);

  test.each(examples)(
    "$runner: $name",
    async ({ runner, code, index }) => {
      const file = join(dir, `example-${index}.test.ts`);
      writeFileSync(file, code);
      const vitest = [join(modules, "vitest/vitest.mjs"), "run", "--root", dir, `example-${index}.test.ts`];
      const tsx = pathToFileURL(join(modules, "tsx/dist/loader.mjs")).href;
      const args = runner === "vitest" ? vitest : ["--import", tsx, "--test", file];
      const { code: status, text } = await output(dir, args);
      expect(text).toMatch(runner === "vitest" ? /Tests +1 passed/ : /# pass 1\b|ℹ pass 1\b/);
      expect(status).toBe(0);
    },
    60_000,
  );
}

/** What a runner said, whichever way it ended. */
async function output(cwd: string, args: string[]): Promise<{ code: number; text: string }> {
  const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
      cwd,
      env: { ...env, NO_COLOR: "1" },
    });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }; // execFile's own
    return { code, text: stdout + stderr };
  }
}
