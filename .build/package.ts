/**
 * Looks at what `npm pack` would publish, after `make build`: `tsx .build/package.ts`. Prints its size by parts and fails
 * where one has outgrown its budget, or what a bundler makes of it; then asks publint about the manifest, and attw (Are
 * The Types Wrong) how the types of each subpath meet every kind of importer.
 *
 * Budgets stand a few per cent above what is there: who exceeds one either finds out why, or raises it in the same commit
 * and says for what.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../", import.meta.url));
const KIB = 1024;

/** What the parts may weigh, in KiB; a file belongs to the first that knows it. */
const PARTS: readonly { readonly name: string; readonly files: RegExp; readonly budget: number }[] = [
  { name: "types of every subpath", files: /\.d\.ts$/, budget: 147 },
  { name: "persistconn, its parser's 20 KiB among it", files: /^dist\/(index|shared\/core)\.js$/, budget: 294 },
  { name: "persistconn/testing", files: /^dist\/testing\//, budget: 34 },
  { name: "persistconn/cache", files: /^dist\/cache\.js$/, budget: 33 },
  { name: "persistconn/middleware", files: /^dist\/middleware\.js$/, budget: 25 },
  { name: "persistconn/h2", files: /^dist\/h2\//, budget: 17 },
  { name: "adapters", files: /^dist\/adapters\//, budget: 13 },
  { name: "the command", files: /^dist\/cli\//, budget: 36 },
  { name: "persistconn/observe, the live view, and what several share", files: /^dist\//, budget: 70 },
  { name: "README, licences, manifest", files: /./, budget: 52 },
];
const BUDGET = 705;

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** What a program that uses one name weighs, bundled and minified, in KiB. */
const BUNDLES: Readonly<Record<string, number>> = { get: 265, Headers: 35, HttpError: 35 };

const folder = mkdtempSync(join(tmpdir(), "persistconn-package-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function pack(): Packed {
  const args = ["pack", "--json", "--ignore-scripts", "--loglevel=error", "--pack-destination", folder];
  const [packed]: readonly Packed[] = JSON.parse(execFileSync("npm", args, { cwd: root, encoding: "utf8" }));
  if (packed === undefined) throw new Error("npm packed nothing");
  return packed;
}

/** Prints a row. */
function fits(name: string, bytes: number, budget: number): boolean {
  const within = bytes <= budget * KIB;
  const size = (bytes / KIB).toFixed(1).padStart(7);
  console.log(`${within ? "ok     " : "TOO BIG"} ${size} KiB of ${String(budget).padStart(3)}  ${name}`);
  return within;
}

function sizes(packed: Packed): boolean {
  const weights = new Map(PARTS.map((part) => [part, 0]));
  for (const { path, size } of packed.files) {
    const part = PARTS.find(({ files }) => files.test(path));
    if (part !== undefined) weights.set(part, (weights.get(part) ?? 0) + size);
  }
  const within = [...weights].map(([{ name, budget }, bytes]) => fits(name, bytes, budget));
  const whole = fits(`installed, in ${packed.files.length} files`, packed.unpackedSize, BUDGET);
  console.log(`${" ".repeat(8)}${(packed.size / KIB).toFixed(1).padStart(7)} KiB as a tarball`);
  return whole && !within.includes(false);
}

/** @see spec/package/tree-shaking.spec.ts, for what is in that of `get`; pure.ts, for what keeps the others small */
async function bundleOf(name: string, budget: number): Promise<boolean> {
  const { outputFiles } = await build({
    stdin: { contents: `import { ${name} } from "./dist/index.js"; console.log(${name});`, resolveDir: root },
    bundle: true,
    minify: true,
    splitting: true,
    platform: "node",
    format: "esm",
    outdir: folder,
    write: false,
  });
  // What is loaded later, by an import expression, is the live view's and that of NODE_DEBUG.
  const start = outputFiles.filter(({ path }) => !/\/(server|words)-/.test(path));
  return fits(
    `a program of \`${name}\` alone, bundled`,
    start.reduce((sum, { contents }) => sum + contents.length, 0),
    budget,
  );
}

function passes(tool: string, args: readonly string[]): boolean {
  const { status } = spawnSync(join(root, "node_modules/.bin", tool), args, { cwd: root, stdio: "inherit" });
  if (status !== 0) console.log(`FAILED  ${tool} ${args.join(" ")}`);
  return status === 0;
}

const packed = pack();
const good = [
  sizes(packed),
  ...(await Promise.all(Object.entries(BUNDLES).map(([name, budget]) => bundleOf(name, budget)))),
  passes("publint", ["--strict"]),
  // The package is an ES module alone. CommonJS gets it by require() from Node 20.19 on, the oldest that is supported, and
  // attw's rows for resolvers that know no `exports`, or no ES modules, are about programs that cannot run it.
  passes("attw", [join(folder, packed.filename), "--profile", "esm-only", "--quiet"]),
];
if (good.includes(false)) process.exitCode = 1;
