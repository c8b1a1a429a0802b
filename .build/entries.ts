/**
 * What is published, by the manifest: the subpaths, and the programs of the command line. Pure but for reading the manifest.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Files that are run by path, and that no `import` of the package reaches. */
export const PROGRAMS = ["cli/main", "cli/inspect-preload"] as const;

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

/** Each published subpath and its entry, without its ending: `"./cache"` and `"cache"`. */
function subpaths(): readonly (readonly [subpath: string, entry: string])[] {
  const manifest: Manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return Object.entries(manifest.exports).flatMap(([subpath, to]) => {
    if (typeof to === "string") return [];
    return [[subpath, to.default.replace(/^\.\/dist\/(.+)\.js$/, "$1")] as const];
  });
}

/** Entries for rollup: a name without its ending, and its file in `folder`. */
export function entries(folder: string, ending: string, programs: readonly string[]): Record<string, string> {
  const suffix = ending === ".d.ts" ? ".d" : "";
  const names = [...subpaths().map(([, entry]) => entry), ...programs];
  return Object.fromEntries(names.map((name) => [`${name}${suffix}`, join(folder, `${name}${ending}`)]));
}
