/**
 * As a new user would: `npx tsx spec/package/new-user.ts`, after `make build`.
 *
 * Packs the package, installs the tarball in an empty folder with what its examples say to install beside it, and pastes
 * each example of the README there: as TypeScript, which must pass a strict check against the published types, as an ES
 * module, and as CommonJS; and runs all three on the oldest and the newest Node. Prints a line for each and their sum;
 * exits with 1 where one failed.
 */

import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NODES, nodeOf } from "../runtimes/programs.ts";
import { asCommonJs, asJavaScript, examplesIn } from "./examples.ts";
import { openWorld, type World } from "./world.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** What the README tells its readers to install for one thing or another, and the types of Node. */
const BESIDE = ["http-cache-semantics", "@opentelemetry/api", "socks", "@types/node"];

const npm = (args: readonly string[], cwd: string): string =>
  execFileSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { cwd, encoding: "utf8" });

let failed = 0;
let passed = 0;

async function check(what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    passed++;
    console.log(`ok      ${what}`);
  } catch (error) {
    failed++;
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string }; // execFile's own
    console.log(`FAILED  ${what}\n${stdout}${stderr === "" ? message : stderr}`);
  }
}

function installed(folder: string): void {
  const packed: readonly { readonly filename: string }[] = JSON.parse(
    npm(["pack", "--json", "--pack-destination", folder], root),
  );
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "new-user", private: true }));
  const beside = BESIDE.map((name) => {
    const { version } = JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8"));
    return `${name}@${version}`;
  });
  npm(["install", `./${packed[0]?.filename}`, ...beside], folder);
}

async function typesHold(folder: string, files: readonly string[]): Promise<void> {
  const compilerOptions = { module: "nodenext", target: "es2022", strict: true, noEmit: true, types: ["node"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  await promisify(execFile)(join(root, "node_modules/.bin/tsc"), ["-p", folder]);
}

async function runs(path: string, folder: string, file: string, world: World): Promise<void> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  await promisify(execFile)(path, [...world.args, file], {
    cwd: folder,
    env: { ...env, ...world.env, NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"), NODE_NO_WARNINGS: "1" },
    timeout: 60_000,
  });
}

const folder = mkdtempSync(join(tmpdir(), "persistconn-new-user-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
await using world = await openWorld();
installed(folder);
for (const [name, text] of Object.entries(world.files)) writeFileSync(join(folder, name), text);

const examples = examplesIn(readFileSync(join(root, "README.md"), "utf8"));
const forms = [
  { kind: "TypeScript", file: (i: number) => `example-${i}.mts`, make: (code: string) => code },
  { kind: "an ES module", file: (i: number) => `example-${i}.mjs`, make: asJavaScript },
  { kind: "CommonJS", file: (i: number) => `example-${i}.cjs`, make: asCommonJs },
] as const;
for (const { file, make } of forms) {
  for (const [i, { code }] of examples.entries()) writeFileSync(join(folder, file(i)), make(code));
}

await check(`types of ${examples.length} examples, strict`, () =>
  typesHold(
    folder,
    examples.map((_, i) => forms[0].file(i)),
  ),
);
for (const node of [nodeOf(NODES[0]), nodeOf(NODES[NODES.length - 1] as string)]) {
  for (const { kind, file } of forms) {
    // Node takes types away by itself since 22.18.
    if (kind === "TypeScript" && node.name.startsWith("Node 20")) continue;
    for (const [i, { name }] of examples.entries()) {
      await check(`${node.name}, ${kind}: ${name}`, () => runs(node.path, folder, file(i), world));
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
