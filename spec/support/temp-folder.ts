/** A folder for what a spec file writes, gone when the file's specs are over. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** Call it at the top of a spec file, or within `describe`. */
export function tempFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `spec-${name}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
