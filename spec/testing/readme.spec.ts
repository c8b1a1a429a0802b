/**
 * The examples of lib/testing/README.md, run as a stranger would: in a folder of their own, with the package as it is
 * published, under the runner that each names.
 */

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
const modules = join(root, "node_modules");
const readme = readFileSync(join(root, "lib/testing/README.md"), "utf8");
const examples = [...readme.matchAll(/```ts (vitest|node:test)\n([\s\S]*?)```/g)].map(([, runner, code], index) => ({
  runner: runner as "vitest" | "node:test",
  code: code ?? "",
  name: /test\("([^"]+)"/.exec(code ?? "")?.[1] ?? `example ${index}`,
  index,
}));

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "spec-testing-readme-"));
  const own = join(dir, "node_modules/persistconn");
  mkdirSync(own, { recursive: true });
  execFileSync(join(modules, ".bin/tsc"), ["-p", "lib/tsconfig.json", "--outDir", join(own, "dist"), "--noCheck"], {
    cwd: root,
  });
  symlinkSync(join(root, "package.json"), join(own, "package.json"));
  for (const name of ["vitest", "fast-check"]) symlinkSync(join(modules, name), join(dir, "node_modules", name));
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  writeFileSync(join(dir, "tsconfig.json"), '{"compilerOptions":{"target":"es2022"}}');
}, 60_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What a runner said, whichever way it ended. */
async function output(args: string[]): Promise<{ code: number; text: string }> {
  const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
      cwd: dir,
      env: { ...env, NO_COLOR: "1" },
    });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }; // execFile's own
    return { code, text: stdout + stderr };
  }
}

describe("lib/testing/README.md", () => {
  test("has examples for both runners, and a property test of a protocol that is not HTTP", () => {
    expect(new Set(examples.map(({ runner }) => runner))).toEqual(new Set(["vitest", "node:test"]));
    const stranger = examples.find(({ code }) => code.includes("toy.test"));
    const [, body = ""] = stranger?.code.split("\ntest(") ?? [];
    expect(body.split("\n").length).toBeLessThanOrEqual(30);
    expect(stranger?.code.match(/from "([^"]+)"/g)).toEqual([
      'from "fast-check"',
      'from "vitest"',
      'from "persistconn/testing"',
    ]);
  });

  test.each(examples)(
    "$runner: $name",
    async ({ runner, code, index }) => {
      const file = join(dir, `example-${index}.test.ts`);
      writeFileSync(file, code);
      const vitest = [join(modules, "vitest/vitest.mjs"), "run", "--root", dir, `example-${index}.test.ts`];
      const tsx = pathToFileURL(join(modules, "tsx/dist/loader.mjs")).href;
      const { code: status, text } = await output(runner === "vitest" ? vitest : ["--import", tsx, "--test", file]);
      expect(text).toMatch(runner === "vitest" ? /Tests +1 passed/ : /# pass 1\b|ℹ pass 1\b/);
      expect(status).toBe(0);
    },
    60_000,
  );

  test("names every preset, and every preset that it names is there", async () => {
    const kit: Record<string, unknown> = await import("../../lib/testing/index.ts");
    const functions = Object.keys(kit).filter((name) => typeof kit[name] === "function" && !/^[A-Z]/.test(name));
    const named = new Set([...readme.matchAll(/`(\w+)\(/g)].map(([, name]) => name));
    expect(functions.filter((name) => !named.has(name) && name !== "answerBytes")).toEqual([]);
  });
});
