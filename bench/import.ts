/**
 * What `import "persistconn"` costs a process that starts, beside `import "undici"`: fresh processes in turn, and the
 * median of each. Exits with 1 where ours costs more CPU.
 *
 *   node --import tsx import.ts [--rounds 31]
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { table } from "./report.ts";
import { median } from "./statistics.ts";
import { count } from "./support/options.ts";
import { findDist } from "./support/prepare.ts";
import { benchDir, print, root } from "./support/stage.ts";

const { values } = parseArgs({ options: { rounds: { type: "string" } } });
const rounds = count("rounds", values.rounds, 31);
const modules: Readonly<Record<string, string>> = {
  persistconn: findDist(root, print),
  undici: join(benchDir, "node_modules", "undici", "index.js"),
};

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function once(file: string): Cost {
  const program = `const wall = performance.now(), cpu = process.cpuUsage();
    await import(${JSON.stringify(pathToFileURL(file).href)});
    const { user, system } = process.cpuUsage(cpu);
    console.log(JSON.stringify({ wallMs: performance.now() - wall, cpuMs: (user + system) / 1000 }));`;
  const env = { PATH: process.env["PATH"] ?? "" };
  const args = ["--input-type=module", "--eval", program];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`Cannot import ${file}: ${stderr}`);
  return JSON.parse(stdout) as Cost; // the program above prints it
}

const costs = Object.entries(modules).map(([name, file]) => ({ name, file, all: [] as Cost[] }));
// The first of each only brings its files into memory.
for (let round = -1; round < rounds; round++) {
  for (const { file, all } of costs) {
    const cost = once(file);
    if (round >= 0) all.push(cost);
  }
}
const medians = costs.map(({ name, all }) => ({
  name,
  cpu: median(all.map(({ cpuMs }) => cpuMs)),
  wall: median(all.map(({ wallMs }) => wallMs)),
}));
const [ours, theirs] = medians;
const ratio = ours!.cpu / theirs!.cpu; // there are two
const rows = medians.map(({ name, cpu, wall }) => [name, cpu.toFixed(1), wall.toFixed(1)]);
print(`import of a fresh process, median of ${rounds} each, in turn`);
print(table([["", "CPU ms", "wall ms"], ...rows]));
print(`CPU × undici: ${ratio.toFixed(2)}, at most 1`);
if (ratio > 1) process.exitCode = 1;
