/**
 * A short run of the program that looks for what requests leave behind; `leaks.ts` says what it asserts.
 */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const REQUESTS = 4_000;

test("4,000 requests, aborted, closed early, left unread or read, leave nothing", { timeout: 120_000 }, async () => {
  const args = ["--expose-gc", "--import", "tsx", "spec/e2e/leaks.ts", `${REQUESTS}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  expect(stdout).toMatch(/^requests +4000 in .* aborted/);
  expect(stdout).toMatch(/^left +nothing$/m);
});
