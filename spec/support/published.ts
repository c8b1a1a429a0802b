/**
 * The package as a stranger has it: built, in a folder of its own, beside the packages that his program needs. For specs
 * that run examples. The folder is gone when the file's specs are over.
 */

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll } from "vitest";

const root = new URL("../..", import.meta.url).pathname;
export const modules: string = join(root, "node_modules");

export interface Published {
  /** Made before the first spec runs. */
  readonly dir: string;
  /** Runs Node in it, and gives what it said, whichever way it ended. */
  run(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<{ code: number; text: string }>;
}

/**
 * Call it at the top of a spec file.
 *
 * @param packages those that its programs import, of what this project has for its own specs
 */
export function published(name: string, packages: readonly string[]): Published {
  let dir = "";
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), `spec-${name}-`));
    const own = join(dir, "node_modules/persistconn");
    mkdirSync(own, { recursive: true });
    execFileSync(join(modules, ".bin/tsc"), ["-p", "lib/tsconfig.json", "--outDir", join(own, "dist"), "--noCheck"], {
      cwd: root,
    });
    symlinkSync(join(root, "package.json"), join(own, "package.json"));
    for (const one of packages) {
      mkdirSync(dirname(join(dir, "node_modules", one)), { recursive: true });
      symlinkSync(join(modules, one), join(dir, "node_modules", one));
    }
    writeFileSync(join(dir, "package.json"), '{"type":"module"}');
    writeFileSync(join(dir, "tsconfig.json"), '{"compilerOptions":{"target":"es2022"}}');
  }, 300_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return {
    get dir() {
      return dir;
    },
    async run(args, more = {}) {
      const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
      try {
        const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
          cwd: dir,
          env: { ...env, ...more, NO_COLOR: "1" },
        });
        return { code: 0, text: stdout + stderr };
      } catch (error) {
        const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }; // execFile's own
        return { code, text: stdout + stderr };
      }
    },
  };
}
