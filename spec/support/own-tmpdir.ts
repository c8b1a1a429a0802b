/**
 * Gives a run of the suite a folder for temporary files of its own, and fails the run when something is left in it: every
 * spec removes what it writes. The processes of the specs, and their children, take the folder from TMPDIR.
 */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What tools that the specs run keep for their next run; name and reason. */
const CACHES: readonly (readonly [RegExp, string])[] = [
  [/^tsx-\d+$/, "what tsx has compiled"],
  [/^node-compile-cache$/, "what Node has compiled for them"],
];

export function setup(): () => void {
  const outer = process.env["TMPDIR"];
  const folder = mkdtempSync(join(tmpdir(), "specs-"));
  process.env["TMPDIR"] = folder;
  return () => {
    const left = readdirSync(folder).filter((name) => !CACHES.some(([pattern]) => pattern.test(name)));
    rmSync(folder, { recursive: true, force: true });
    if (outer === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = outer;
    if (left.length === 0) return;
    process.exitCode = 1; // vitest prints what is thrown here, and ends well all the same
    throw new Error(`Specs left temporary files behind: ${left.join(", ")}`);
  };
}
