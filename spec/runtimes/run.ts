/**
 * The runtime matrix: `npx tsx spec/runtimes/run.ts`, after `make build`. All specs on one Node of each supported line,
 * the named core (core.mjs) on each of them and on Bun and Deno. Prints a table; exits with 1 where anything failed.
 *
 * --core        only the named core, which takes seconds
 * --node 26     only the Node of this line
 */

import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CertificateAuthority } from "../support/certs.ts";
import { bun, deno, NODES, nodeOf, type Program } from "./programs.ts";

const { values } = parseArgs({ options: { core: { type: "boolean", default: false }, node: { type: "string" } } });
const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "persistconn-runtimes-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly passed: number;
  /** What failed, by name. */
  readonly failed: readonly string[];
}

const authority = new CertificateAuthority();
const { cert, key } = authority.issue({ names: ["DNS:localhost"] });

function core(path: string, args: readonly string[]): Outcome {
  const env = { ...process.env, NODE_OPTIONS: "", CERT: cert, KEY: key, CA: authority.cert };
  const all = [...args, join(root, "spec/runtimes/core.mjs")];
  const { stdout, stderr } = spawnSync(path, all, { env, encoding: "utf8", timeout: 300_000 });
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) return { passed: 0, failed: [`did not come to its end: ${stderr.slice(-500)}`] };
  const outcomes = Object.entries<string>(JSON.parse(last));
  const failed = outcomes.filter(([, outcome]) => outcome !== "ok").map(([name, outcome]) => `${name}: ${outcome}`);
  return { passed: outcomes.length - failed.length, failed };
}

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

function specs(path: string, name: string): Outcome {
  const file = join(folder, `${name}.json`);
  const args = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--config", "spec/vitest.config.ts"];
  spawnSync(path, [...args, "--reporter=json", `--outputFile.json=${file}`], { cwd: root, stdio: "inherit" });
  const report: Report = JSON.parse(readFileSync(file, "utf8"));
  const failed = report.testResults.flatMap(({ name: spec, status, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === "failed").map(({ fullName }) => fullName);
    return tests.length === 0 && status === "failed" ? [`${spec} as a whole`] : tests;
  });
  return { passed: report.numPassedTests, failed };
}

const rows: { readonly program: Program; readonly what: string; readonly outcome: Outcome }[] = [];
for (const version of NODES) {
  if (values.node !== undefined && !version.startsWith(`${values.node}.`)) continue;
  const program = nodeOf(version);
  rows.push({ program, what: "named core", outcome: core(program.path, []) });
  if (!values.core) rows.push({ program, what: "all specs", outcome: specs(program.path, version) });
}
if (values.node === undefined) {
  for (const [program, args] of [
    [bun(), []],
    [deno(), ["run", "-A"]],
  ] as const) {
    chmodSync(program.path, 0o755); // npm keeps no mode for what is no bin of the package
    rows.push({ program, what: "named core", outcome: core(program.path, args) });
  }
}

console.log("| runtime | what | passed | failed |\n| --- | --- | --- | --- |");
for (const { program, what, outcome } of rows) {
  console.log(`| ${program.name} | ${what} | ${outcome.passed} | ${outcome.failed.length} |`);
}
for (const { program, outcome } of rows)
  for (const name of outcome.failed) console.log(`FAILED  ${program.name}: ${name}`);
process.exitCode = rows.some(({ outcome }) => outcome.failed.length > 0) ? 1 : 0;
