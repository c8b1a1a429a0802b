/**
 * The command line of `run.ts`.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Settings } from "../measure.ts";
import { COLD, CONTESTANTS, type ContestantName, GROUPS, quickened, SCENARIOS, type Scenario } from "../scenarios.ts";
import type { Placement } from "./machine.ts";

export const USAGE = `node --import tsx run.ts [options]
  --quick            every scenario once with tiny counts, to see that everything runs; the figures say nothing, bodies of
                     1 GiB and 10,000 workers are made smaller, and Go is not installed for it
  --scenario NAME,…  ${[...SCENARIOS.map((scenario) => scenario.name), COLD].join(", ")}
  --group NAME,…     ${GROUPS.join(", ")}; "must" has what the last table judges, cold included
  --only NAME,…      ${CONTESTANTS.join(", ")}
  --rounds N         rounds for each contestant and scenario (5; with --quick 1)
  --placement WHERE  responder together with the contestant on one core, or apart (together with one worker, else apart)
  --json FILE        where the figures go (results/<time>.json); the plots go beside it
  --reference        the figures and plots go to reference/ too, which is in git; README.md shows them`;

/** Of a run whose figures count. */
export const FULL: Settings = {
  rounds: 5,
  roundMs: 500,
  warmMs: 1_500,
  warmRequests: 40_000,
  requestsMin: 50,
  startPerWorker: 4,
  openAtOnce: false,
};
/** Of a run that only shows whether everything runs. */
export const QUICK: Settings = {
  rounds: 1,
  roundMs: 20,
  warmMs: 0,
  warmRequests: 16,
  requestsMin: 16,
  startPerWorker: 1,
  openAtOnce: true,
};
/** Cold processes for each round: they are short, and vary more. */
const COLD_PER_ROUND = 5;

export interface Options {
  readonly quick: boolean;
  readonly settings: Settings;
  readonly scenarios: readonly Scenario[];
  /** Cold processes of each contestant; 0: not asked for. */
  readonly coldRounds: number;
  readonly contestants: readonly ContestantName[];
  /** Undefined: as the scenario has it. */
  readonly placement: Placement | undefined;
  readonly json: string;
  readonly reference: boolean;
}

/** @returns null when only the usage is asked for */
export function readOptions(benchDir: string, args?: string[]): Options | null {
  const { values } = parseArgs({
    ...(args === undefined ? {} : { args }),
    options: {
      quick: { type: "boolean", default: false },
      scenario: { type: "string" },
      group: { type: "string" },
      only: { type: "string" },
      rounds: { type: "string" },
      placement: { type: "string" },
      json: { type: "string" },
      reference: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return null;
  const settings = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? settings.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: ${values.rounds} is not a count\n${USAGE}`);
  const placements: readonly Placement[] = ["together", "apart"];
  const names = [...SCENARIOS.map((scenario) => scenario.name), COLD];
  const named = choose("scenario", values.scenario, names, String);
  const groups = choose("group", values.group, GROUPS, String);
  const scenarios = SCENARIOS.filter(
    ({ name, groups: of }) => named.includes(name) && of.some((group) => groups.includes(group)),
  );
  const cold = named.includes(COLD) && groups.includes("must");
  return {
    quick: values.quick,
    settings: { ...settings, rounds },
    scenarios: values.quick ? scenarios.map(quickened) : scenarios,
    coldRounds: cold ? rounds * (values.quick ? 1 : COLD_PER_ROUND) : 0,
    contestants: choose("only", values.only, CONTESTANTS, (name) => name),
    placement:
      values.placement === undefined ? undefined : choose("placement", values.placement, placements, String)[0],
    json: resolve(values.json ?? join(benchDir, "results", `${stamp()}.json`)),
    reference: values.reference,
  };
}

/** The moment, as a part of a file's name. */
export function stamp(): string {
  return new Date().toISOString().replace(/[:.]/g, "-");
}

/** The entries of `all` that a comma-separated option names, in the order of `all`. */
export function choose<T>(
  option: string,
  given: string | undefined,
  all: readonly T[],
  nameOf: (item: T) => string,
): T[] {
  if (given === undefined) return [...all];
  const names = given.split(",");
  const unknown = names.find((name) => !all.some((item) => nameOf(item) === name));
  if (unknown !== undefined) throw new Error(`--${option}: there is no ${unknown}\n${USAGE}`);
  return all.filter((item) => names.includes(nameOf(item)));
}

/** @throws {Error} not a count of at least `least` */
export function count(option: string, given: string | undefined, otherwise: number, least = 1): number {
  if (given === undefined) return otherwise;
  const value = Number(given.replaceAll("_", ""));
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${option}: ${given} is not a count from ${least} on`);
  return value;
}
