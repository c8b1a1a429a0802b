/**
 * The programs that JavaScript runs in, each from the npm package that carries its binary; kept in a cache of this
 * checkout, so that a second run needs no registry.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { arch, execPath, platform, version } from "node:process";
import { fileURLToPath } from "node:url";

export interface Program {
  readonly name: string;
  readonly path: string;
}

/** Exact versions: one of each line of Node that is supported, and of what else runs our kind of code. */
export const NODES = ["20.19.0", "22.23.3", "24.21.0", "26.10.0"] as const;
const BUN = "1.4.5";
const DENO = "2.9.6";

const CACHE = fileURLToPath(new URL("../../node_modules/.cache/runtimes/", import.meta.url));

/** This very Node for its own version. */
export function nodeOf(wanted: string): Program {
  if (version === `v${wanted}`) return { name: `Node ${wanted}`, path: execPath };
  return { name: `Node ${wanted}`, path: binary(`node-${platform}-${arch}`, wanted, "bin/node") };
}

export function bun(): Program {
  const cpu = arch === "arm64" ? "aarch64" : arch;
  return { name: `Bun ${BUN}`, path: binary(`@oven/bun-${platform}-${cpu}`, BUN, "bin/bun") };
}

export function deno(): Program {
  return { name: `Deno ${DENO}`, path: binary(`@deno/${platform}-${arch}-glibc`, DENO, "deno") };
}

/** @throws {Error} the registry cannot be reached, or has no such package for this platform */
function binary(name: string, wanted: string, path: string): string {
  const folder = `${CACHE}${name.replace("/", "-")}-${wanted}`;
  const file = `${folder}/node_modules/${name}/${path}`;
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, '{"private":true}');
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", `${name}@${wanted}`];
    execFileSync("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  }
  return file;
}
