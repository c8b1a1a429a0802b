/**
 * `make bench`: this client beside its peers, in one run on one machine. Prepares, measures scenario by scenario, prints
 * a table for each, and writes everything as JSON.
 * Owns every process that it starts, and ends each by its own id: at the end, on an error and on Ctrl-C.
 *
 * Exit code: 0, 1 when a contestant failed, 2 when the bench itself could not go on.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Entrant, measure, type Result } from "./measure.ts";
import { overview, type Row, scenarioTable, summarize } from "./report.ts";
import { defaultPlacement, type Scenario } from "./scenarios.ts";
import { Child, killAll } from "./support/child.ts";
import { describeMachine, type Machine, type Placement, pinned, responderCore } from "./support/machine.ts";
import { type Options, readOptions, USAGE } from "./support/options.ts";
import { buildGo, compile, findDist, makeCertificate } from "./support/prepare.ts";

interface Measured {
  readonly scenario: Scenario;
  /** Null where nothing is pinned. */
  readonly placement: Placement | null;
  readonly rows: readonly Row[];
  readonly results: readonly Result[];
}

const benchDir = dirname(fileURLToPath(import.meta.url));
const root = dirname(benchDir);

const print = (text: string) => process.stdout.write(`${text}\n`);

async function main(options: Options, tempDir: string): Promise<number> {
  const machine = describeMachine();
  const versions: Record<string, string> = {
    node: machine.node,
    undici: undiciVersion(),
    "undici in fetch": process.versions["undici"] ?? "unknown",
  };
  const compiled = compile(benchDir);
  const certificate = makeCertificate(tempDir);
  const persistconn = options.contestants.includes("persistconn") ? pathToFileURL(findDist(root, print)).href : "";
  const entrants = makeEntrants(options, compiled, tempDir, versions);
  printMachine(machine, versions);

  const measured: Measured[] = [];
  for (const scenario of options.scenarios) {
    const placement = machine.pin === null ? null : (options.placement ?? defaultPlacement(scenario));
    const { certFile, keyFile } = certificate;
    const command = [process.execPath, join(compiled, "responder.js"), certFile, keyFile];
    const core = placement === null ? undefined : responderCore(machine.pin, placement);
    const responder = new Child("responder", pinned(core, command), { PATH: process.env["PATH"] ?? "" });
    const ports = await responder.next<{ port: number; tlsPort: number }>();
    const setting = { responder, ...ports, certFile, persistconn, core: machine.pin?.contestants };
    const results = await measure(scenario, entrants, setting, options.settings);
    await responder.close();
    const rows = summarize(results);
    measured.push({ scenario, placement, rows, results });
    print(`\n${scenarioTable(scenario, rows, options.settings.rounds, placement)}`);
  }
  if (measured.length > 1) print(`\n${overview(measured)}`);

  const { quick, settings } = options;
  const record = { at: new Date().toISOString(), machine, versions, quick, settings, scenarios: measured };
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(record, null, 2)}\n`);
  print(`\nwritten to ${options.json}`);
  return measured.some(({ rows }) => rows.some((row) => row.failure !== undefined)) ? 1 : 0;
}

/** @param versions gains Go's, where there is one */
function makeEntrants(
  options: Options,
  compiled: string,
  tempDir: string,
  versions: Record<string, string>,
): readonly Entrant[] {
  const entrants: Entrant[] = [];
  for (const name of options.contestants) {
    if (name !== "go") {
      entrants.push({ name, command: [process.execPath, join(compiled, "worker.js"), name] });
      continue;
    }
    const go = buildGo(benchDir, tempDir, !options.quick, print);
    if ("missing" in go) {
      print(`go: left out, ${go.missing}`);
    } else {
      versions["go"] = go.version;
      entrants.push({ name, command: [go.program] });
    }
  }
  return entrants;
}

function printMachine(machine: Machine, versions: Readonly<Record<string, string>>): void {
  const { cpu, cores, kernel, load, pin } = machine;
  print(`${cpu}, ${cores} cores, ${process.platform} ${kernel}, load ${load.toFixed(2)}`);
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  print(list.join(", "));
  if (pin === null) print("not pinned (taskset or a second core is missing): expect a wide spread");
  if (load > 0.5) print("the machine was busy when this began: expect a wide spread");
}

function undiciVersion(): string {
  // npm wrote this file; it has a version.
  const manifest = join(benchDir, "node_modules", "undici", "package.json");
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

const tempDir = mkdtempSync(join(tmpdir(), "persistconn-bench-"));
process.on("exit", () => {
  killAll();
  rmSync(tempDir, { recursive: true, force: true });
});
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

try {
  const options = readOptions(benchDir);
  if (options === null) print(USAGE);
  else process.exitCode = await main(options, tempDir);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(2);
}
