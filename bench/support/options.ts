/**
 * The command line of the bench.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Settings } from "../measure.ts";
import { CONTESTANTS, type ContestantName, SCENARIOS, type Scenario } from "../scenarios.ts";
import type { Placement } from "./machine.ts";

export const USAGE = `node --import tsx run.ts [options]
  --quick            short rounds, to see that everything runs; the figures say little, and Go is not installed for it
  --scenario NAME,…  ${SCENARIOS.map((scenario) => scenario.name).join(", ")}
  --only NAME,…      ${CONTESTANTS.join(", ")}
  --rounds N         rounds for each contestant and scenario (5; with --quick 2)
  --placement WHERE  responder together with the contestant on one core, or apart (together with one worker, else apart)
  --json FILE        where the figures go (results/<time>.json)`;

const FULL: Settings = { rounds: 5, roundMs: 500, warmMs: 800, warmRequests: 12_000 };
const QUICK: Settings = { rounds: 2, roundMs: 100, warmMs: 150, warmRequests: 1_000 };

export interface Options {
  readonly quick: boolean;
  readonly settings: Settings;
  readonly scenarios: readonly Scenario[];
  readonly contestants: readonly ContestantName[];
  /** Undefined: as the scenario has it. */
  readonly placement: Placement | undefined;
  readonly json: string;
}

/** @returns null when only the usage is asked for */
export function readOptions(benchDir: string): Options | null {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      scenario: { type: "string" },
      only: { type: "string" },
      rounds: { type: "string" },
      placement: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const settings = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? settings.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: ${values.rounds} is not a count\n${USAGE}`);
  const stamp = new Date().toISOString().replace(/[:.]/g, "-");
  const placements: readonly Placement[] = ["together", "apart"];
  return {
    quick: values.quick,
    settings: { ...settings, rounds },
    scenarios: choose("scenario", values.scenario, SCENARIOS, (scenario) => scenario.name),
    contestants: choose("only", values.only, CONTESTANTS, (name) => name),
    placement:
      values.placement === undefined ? undefined : choose("placement", values.placement, placements, String)[0],
    json: resolve(values.json ?? join(benchDir, "results", `${stamp}.json`)),
  };
}

/** The entries of `all` that a comma-separated option names, in the order of `all`. */
function choose<T>(option: string, given: string | undefined, all: readonly T[], nameOf: (item: T) => string): T[] {
  if (given === undefined) return [...all];
  const names = given.split(",");
  const unknown = names.find((name) => !all.some((item) => nameOf(item) === name));
  if (unknown !== undefined) throw new Error(`--${option}: there is no ${unknown}\n${USAGE}`);
  return all.filter((item) => names.includes(nameOf(item)));
}
