/**
 * Small parts against their alternatives, by mitata: rounds in turn, the median of the rounds' medians. Runs in a process
 * of its own for each file of this folder, as plain compiled JavaScript.
 *
 * Arguments of the process: file: URL of the folder of our built code, rounds, milliseconds for each candidate and round.
 */
import { peer } from "../contestants/contestant.ts";
import { type Spread, spread } from "../statistics.ts";

export interface Compared {
  readonly part: string;
  /** Ours first. */
  readonly candidates: readonly { readonly name: string; readonly ns: Spread }[];
}

interface Mitata {
  /** Stats in ns. */
  measure(fn: () => unknown, options: object): Promise<{ p50: number }>;
  do_not_optimize(value: unknown): void;
}

const [distGiven = "", rounds = "5", millis = "100"] = process.argv.slice(2);

/** file: URL of the folder of our code in its parts. */
export const dist = distGiven;

const { measure, do_not_optimize: keep } = await peer<Mitata>("mitata");

export { keep };

/** A module of our code; the caller says which source it is of. */
export function ours<T>(path: string): Promise<T> {
  return import(`${dist}/${path}`) as Promise<T>; // the built files are not in the type program; their sources are
}

/** @param candidates by name, ours first; each does the same piece of work once, at once or by a promise */
export async function compare(part: string, candidates: Readonly<Record<string, () => unknown>>): Promise<void> {
  const list = Object.entries(candidates).map(([name, fn]) => ({ name, fn, rounds: [] as number[] }));
  for (let round = 0; round < Number(rounds); round++) {
    for (let i = 0; i < list.length; i++) {
      const candidate = list[(i + round) % list.length]!;
      const { p50 } = await measure(candidate.fn, { min_cpu_time: Number(millis) * 1e6, inner_gc: false });
      candidate.rounds.push(p50);
    }
  }
  const result: Compared = { part, candidates: list.map(({ name, rounds: ns }) => ({ name, ns: spread(ns) })) };
  console.log(JSON.stringify(result));
}
