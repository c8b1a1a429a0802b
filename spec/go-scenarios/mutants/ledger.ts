/**
 * What is known of rows and mutants, over all runs: which mutant was tried on which spec file, and for each row how many it
 * met and how many made a case of it fail. Pure: tables in, choices and tables out.
 *
 * Invariant: a row's killer is a trial that stands; trials whose line of lib/ has changed since are gone, and so is what
 * they told of a row.
 */

import type { Kind, Mutant } from "./instrument.ts";

/** One mutant tried on one spec file, whose cases answer rows. */
export interface Trial {
  readonly key: string;
  readonly spec: string;
  readonly file: string;
  readonly kind: Kind;
  readonly change: string;
  /** How many rows of the whole suite meet it. */
  readonly reach: number;
  /** How many rows of the spec file met it, how many of these a case failed for, and for how many time ran out but once, which is neither. */
  readonly met: number;
  readonly failed: number;
  readonly late: number;
}

/** What a row has shown. Blunt trials count only where the row survived them. */
export interface Figures {
  readonly row: string;
  readonly met: number;
  readonly killed: number;
  /** The trial that says most: that mutant of its kills which fewest rows met. Null without one. */
  readonly killer: string | null;
  /** What it met and let pass; kept while nothing is killed. */
  readonly survived: readonly string[];
}

/** Enough mutants for a row that has killed one. */
const MET_ENOUGH = 4;
/** So many met and none killed: more of them will not help. */
const MET_IN_VAIN = 25;
/** What more rows of the suite meet is on the road that all share: more than these, of some 560. Sixty have a broken answer. */
const SHARED_REACH = 100;
/** A mutant that a larger share of a spec file's rows meet waits until no finer one is left. */
const FINE_SHARE = 0.25;
/** What a spec file is given at a time: many, for what a process costs is its start. */
const A_FILE_MAX = 24;
const WEIGHT: Record<Kind, number> = {
  condition: 1,
  border: 1,
  boolean: 1,
  sum: 0.8,
  default: 0.8,
  statement: 0.8,
  number: 0.6,
  string: 0.6,
};

/**
 * Whether a mutant is on the shared road, and breaks most of what comes along: that shows that a line is used, not that a
 * row's own rule is asserted.
 */
export const isBlunt = ({ reach, met, failed }: Pick<Trial, "reach" | "met" | "failed">): boolean =>
  reach > SHARED_REACH && failed * 2 > met;

const TRIAL_HEAD = "key\tspec\tfile\tkind\tchange\treach\tmet\tfailed\tlate";
const FIGURES_HEAD = "row\tmet\tkilled\tby\tsurvived";
const fields = (tsv: string): string[][] =>
  tsv
    .split("\n")
    .slice(1)
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));

export function parseTrials(tsv: string): Trial[] {
  return fields(tsv).map(([key = "", spec = "", file = "", kind, change = "", reach, met, failed, late]) => ({
    key,
    spec,
    file,
    // As trialsText() wrote it.
    kind: kind as Kind,
    change,
    reach: Number(reach),
    met: Number(met),
    failed: Number(failed),
    late: Number(late),
  }));
}

export function trialsText(trials: readonly Trial[]): string {
  const order = (a: Trial, b: Trial) =>
    a.file.localeCompare(b.file, "en") || a.key.localeCompare(b.key, "en") || a.spec.localeCompare(b.spec, "en");
  const lines = [...trials]
    .sort(order)
    .map(({ key, spec, file, kind, change, reach, met, failed, late }) =>
      [key, spec, file, kind, change, reach, met, failed, late].join("\t"),
    );
  return `${[TRIAL_HEAD, ...lines].join("\n")}\n`;
}

export function parseFigures(tsv: string): Figures[] {
  return fields(tsv).map(([row = "", met, killed, killer = "", survived = ""]) => ({
    row,
    met: Number(met),
    killed: Number(killed),
    killer: killer === "" ? null : killer,
    survived: survived === "" ? [] : survived.split(" "),
  }));
}

export function figuresText(figures: readonly Figures[]): string {
  const lines = figures.map(({ row, met, killed, killer, survived }) =>
    [row, met, killed, killer ?? "", survived.join(" ")].join("\t"),
  );
  return `${[FIGURES_HEAD, ...lines].join("\n")}\n`;
}

/** What cases of a spec file said while a mutant was on: rows that met it, by what became of them. */
export interface Outcome {
  readonly mutant: Mutant;
  readonly spec: string;
  readonly reach: number;
  readonly failed: readonly string[];
  readonly passed: readonly string[];
  readonly late: readonly string[];
}

export class Ledger {
  readonly #trials = new Map<string, Trial>();
  readonly #figures = new Map<string, Figures>();

  /**
   * @param mutants those that there are; what is told of others is dropped
   * @param rows those to be answered for, in their order
   */
  constructor(
    trials: readonly Trial[],
    figures: readonly Figures[],
    mutants: ReadonlySet<string>,
    rows: readonly string[],
  ) {
    for (const trial of trials) if (mutants.has(trial.key)) this.#trials.set(`${trial.key} ${trial.spec}`, trial);
    const old = new Map(figures.map((one) => [one.row, one]));
    for (const row of rows) {
      const { met = 0, killed = 0, killer = null, survived = [] } = old.get(row) ?? {};
      const standing = survived.filter((key) => mutants.has(key));
      if (killer !== null && mutants.has(killer)) this.#figures.set(row, { row, met, killed, killer, survived: [] });
      else this.#figures.set(row, { row, met: standing.length, killed: 0, killer: null, survived: standing });
    }
  }

  /** Those that some row met. A run to come may try the others again, this one does not. */
  trials(): Trial[] {
    return [...this.#trials.values()].filter(({ met }) => met > 0);
  }

  figures(): Figures[] {
    return [...this.#figures.values()];
  }

  wasTried({ key }: Mutant, spec: string): boolean {
    return this.#trials.has(`${key} ${spec}`);
  }

  /** How much a row still wants to meet mutants: nothing once it has met enough, and where it is none to be answered for. */
  need(row: string): number {
    const figures = this.#figures.get(row);
    if (figures === undefined) return 0;
    const { met, killed } = figures;
    if (killed > 0) return met < MET_ENOUGH ? 1 : 0;
    return met < MET_IN_VAIN ? (met < MET_ENOUGH ? 4 : 2) : 0;
  }

  add({ mutant, spec, reach, failed, passed, late }: Outcome): void {
    const { key, file, kind, change } = mutant;
    const met = failed.length + passed.length + late.length;
    const trial = { key, spec, file, kind, change, reach, met, failed: failed.length, late: late.length };
    this.#trials.set(`${key} ${spec}`, trial);
    for (const row of isBlunt(trial) ? [] : failed) this.#change(row, trial, true);
    for (const row of passed) this.#change(row, trial, false);
  }

  #change(row: string, { key, reach }: Trial, kills: boolean): void {
    const old = this.#figures.get(row);
    if (old === undefined) return;
    const killed = old.killed + (kills ? 1 : 0);
    const finer = kills && reach < this.#reach(old.killer);
    this.#figures.set(row, {
      row,
      met: old.met + 1,
      killed,
      killer: finer ? key : old.killer,
      survived: killed > 0 ? [] : [...old.survived, key],
    });
  }

  #reach(key: string | null): number {
    if (key === null) return Number.POSITIVE_INFINITY;
    return this.trials().find((trial) => trial.key === key)?.reach ?? Number.POSITIVE_INFINITY;
  }
}

/** Which rows' cases of a spec file meet which mutants, as learned from a run without any. */
export type Meetings = ReadonlyMap<string, ReadonlyMap<number, ReadonlySet<string>>>;

export interface Choice {
  readonly spec: string;
  readonly mutant: Mutant;
  /** How many rows of the whole suite meet it. */
  readonly reach: number;
  /** Those of the file, with those among them which need no more. */
  readonly rows: ReadonlySet<string>;
}

/**
 * The next trials: for each spec file with rows that need mutants, those which most of them meet, and few other rows of the
 * suite do. So a mutant near a row's own subject comes before one on the road that all share.
 *
 * @param mutants by id
 * @param random in [0, 1); it decides between those that are nearly equal
 */
export function choose(ledger: Ledger, meetings: Meetings, mutants: readonly Mutant[], random: () => number): Choice[] {
  const reach = new Map<number, number>();
  for (const met of meetings.values()) {
    for (const [id, rows] of met) reach.set(id, (reach.get(id) ?? 0) + rows.size);
  }
  return [...meetings].flatMap(([spec, met]) => {
    const all = new Set([...met.values()].flatMap((rows) => [...rows]));
    const needs = new Map([...all].map((row) => [row, ledger.need(row)]));
    const planned = new Map<string, number>();
    const left: (Choice & { readonly worth: number })[] = [];
    for (const [id, rows] of met) {
      const mutant = mutants[id];
      if (mutant === undefined || ledger.wasTried(mutant, spec)) continue;
      const coarse = rows.size > all.size * FINE_SHARE && rows.size > 2 ? 0.05 : 1;
      const luck = 0.7 + 0.6 * random();
      const far = reach.get(id) ?? 0;
      left.push({ spec, mutant, reach: far, rows, worth: (luck * coarse * WEIGHT[mutant.kind]) / Math.sqrt(far) });
    }
    const chosen: Choice[] = [];
    while (chosen.length < A_FILE_MAX) {
      let best: (typeof left)[number] | null = null;
      let most = 0;
      for (const one of left) {
        let need = 0;
        for (const row of one.rows) need += needs.get(row) ?? 0;
        if (need * one.worth > most) [best, most] = [one, need * one.worth];
      }
      if (best === null) break;
      chosen.push(best);
      left.splice(left.indexOf(best), 1);
      for (const row of best.rows) {
        const times = (planned.get(row) ?? 0) + 1;
        planned.set(row, times);
        needs.set(row, times < MET_ENOUGH ? (needs.get(row) ?? 0) / 1.5 : 0);
      }
    }
    return chosen;
  });
}

/** What is wrong, a line each: a covered row that no run has met yet, a row listed without a judgement, and the reverse. */
export function complaints(
  covered: Iterable<string>,
  figures: readonly Figures[],
  judgements: ReadonlyMap<string, string>,
): string[] {
  const known = new Map(figures.map((one) => [one.row, one]));
  const wrong: string[] = [];
  for (const row of covered) {
    const found = known.get(row);
    if (found === undefined) wrong.push(`${row}: it has met no mutant: run \`make mutants\``);
    else if (found.killed === 0 && !judgements.has(row))
      wrong.push(`${row}: it kills no mutant: mend its spec, or say why in judgements.tsv`);
  }
  for (const row of judgements.keys()) {
    if (known.get(row)?.killed !== 0)
      wrong.push(`judgements.tsv: ${row}: it is no row without a kill: take the line out`);
  }
  return wrong;
}

export function parseJudgements(tsv: string): Map<string, string> {
  return new Map(fields(tsv).map(([row = "", judgement = ""]) => [row, judgement]));
}

/** The figures, in one line. */
export function summary(trials: readonly Trial[], figures: readonly Figures[]): string {
  const tried = new Set(trials.map(({ key }) => key));
  const noticed = new Set(trials.filter(({ failed }) => failed > 0).map(({ key }) => key));
  const met = figures.filter((one) => one.met > 0).length;
  const killers = figures.filter(({ killed }) => killed > 0).length;
  return (
    `${tried.size} mutants tried, ${noticed.size} made a case fail; ${figures.length} rows, ${met} met a mutant, ` +
    `${killers} killed one, ${figures.length - killers} listed`
  );
}

export function page(
  trials: readonly Trial[],
  figures: readonly Figures[],
  judgements: ReadonlyMap<string, string>,
): string {
  const count = (list: readonly Trial[]) => new Set(list.map(({ key }) => key)).size;
  const listed = figures.filter(({ killed }) => killed === 0);
  const mets = figures.map(({ met }) => met).sort((a, b) => a - b);
  const out = [
    "# Rows of Go's tests that kill no mutant",
    "",
    "Written by `make mutants` from `spec/go-scenarios/mutants/*.tsv`; do not edit. A mutant is one small mistake in `lib/`: a condition",
    "forced, a border moved, a statement left out. A row meets one when a case of it evaluates the changed expression and gets another",
    "value; it kills one when that case then fails. Not counted: time that ran out but once, and failures by a mutant that more than",
    `${SHARED_REACH} rows of the suite meet and more than half of those asked notice, which shows that a line is used, no more.`,
    "What is said of a row below was judged by reading its spec and the mutants that it met; it is no proof.",
    "",
    "| | |",
    "| --- | ---: |",
    `| mutants tried | ${count(trials)} |`,
    `| of these, made a case fail | ${count(trials.filter(({ failed }) => failed > 0))} |`,
    `| files of lib/ they are in | ${new Set(trials.map(({ file }) => file)).size} |`,
    `| rows covered | ${figures.length} |`,
    `| that met a mutant | ${figures.filter(({ met }) => met > 0).length} |`,
    `| mutants met by a row, fewest and in the middle | ${mets[0] ?? 0} and ${mets[mets.length >> 1] ?? 0} |`,
    `| rows that killed one | ${figures.length - listed.length} |`,
    `| rows that killed none | ${listed.length} |`,
    "",
    ...listed.map(({ row, met }) => `- ${row}: ${met} met. ${judgements.get(row) ?? "Not judged yet."}`),
  ];
  return `${out.join("\n").trimEnd()}\n`;
}
