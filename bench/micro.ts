/**
 * `make bench-micro`: parser, writer, queue, pool and header fields, each against its alternatives. A process of its own
 * for each, pinned; micro/compare.ts says how they are timed.
 *
 *   node --import tsx micro.ts [--only parser,…] [--rounds 5] [--quick] [--json FILE]
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Compared } from "./micro/compare.ts";
import { table } from "./report.ts";
import { pinned } from "./support/machine.ts";
import { choose, count, stamp } from "./support/options.ts";
import { benchDir, perform, print, Stage } from "./support/stage.ts";

const PARTS = ["parser", "writer", "queue", "pool", "headers"] as const;

await perform(async (tempDir) => {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const parts = choose("only", values.only, PARTS, String);
  const rounds = count("rounds", values.rounds, values.quick ? 1 : 5);
  const stage = new Stage(tempDir);
  stage.describe();
  const compared: Compared[] = [];
  for (const part of parts) {
    const script = join(stage.compiled, "micro", `${part}.js`);
    const args = [pathToFileURL(stage.parts).href, String(rounds), values.quick ? "2" : "150"];
    const [program = "", ...rest] = pinned(stage.machine.pin?.contestants, [
      process.execPath,
      "--expose-gc",
      "--no-deprecation",
      script,
      ...args,
    ]);
    const { status, stdout, stderr } = spawnSync(program, rest, {
      encoding: "utf8",
      env: { PATH: process.env["PATH"] ?? "" },
    });
    if (status !== 0) throw new Error(`micro ${part}: ${stderr || `exited early (${status})`}`);
    for (const line of stdout.trimEnd().split("\n")) {
      const one = JSON.parse(line) as Compared; // compare.ts prints these
      compared.push(one);
      const first = one.candidates[0]!.ns.median;
      const lines = one.candidates.map(({ name, ns }) => [
        name,
        nanos(ns.median),
        `${nanos(ns.min)}–${nanos(ns.max)}`,
        (ns.median / first).toFixed(2),
      ]);
      print(`\n${one.part}\n${table([["", "ns", "min–max", "× first"], ...lines])}`);
    }
  }
  const json = resolve(values.json ?? join(benchDir, "results", `micro-${stamp()}.json`));
  mkdirSync(dirname(json), { recursive: true });
  const { machine, versions } = stage;
  writeFileSync(json, `${JSON.stringify({ at: new Date().toISOString(), machine, versions, compared }, null, 1)}\n`);
  print(`\nwritten to ${json}`);
  return 0;
});

function nanos(value: number): string {
  return value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}
