/**
 * From rounds to figures and tables. Each figure is the median over the rounds, with the least and the most beside it
 * where it is the figure that counts. Ratios are formed round by round, between neighbours in time, and the median is of
 * them.
 */
import type { ColdResult } from "./cold.ts";
import type { Result, Round } from "./measure.ts";
import type { Scenario } from "./scenarios.ts";
import { median, pairedRatios, type Spread, spread } from "./statistics.ts";
import type { Placement } from "./support/machine.ts";

/** Above this share of its core the responder, not the contestant, sets the pace. */
export const RESPONDER_SHARE_MAX = 0.9;

export interface Figures {
  readonly cpuUs: Spread;
  readonly userUs: number;
  readonly sysUs: number;
  readonly perSecond: Spread;
  readonly perSecondVoid: boolean;
  readonly responderShare: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Share of its handshakes that resumed a session; absent where there were none. */
  readonly resumedShare?: number;
}

/** One contestant's figures as multiples of another's. */
export interface Ratios {
  readonly cpu: Spread;
  readonly perSecond: Spread;
  readonly p99: Spread;
}

export interface Row {
  readonly name: string;
  readonly figures?: Figures;
  /** By the name of the other; absent where that did not run. */
  readonly ratios?: Readonly<Record<string, Ratios>>;
  readonly failure?: string;
}

export interface Measured {
  readonly scenario: Scenario;
  /** Null where nothing is pinned. */
  readonly placement: Placement | null;
  readonly rows: readonly Row[];
}

export interface ColdRow {
  readonly name: string;
  readonly wallMs?: Spread;
  readonly cpuUs?: Spread;
  readonly processUs?: Spread;
  /** CPU as a multiple of another's; absent where that did not run. */
  readonly cpuRatios?: Readonly<Record<string, Spread>>;
  readonly failure?: string;
}

export function summarize(results: readonly Result[]): Row[] {
  const whole = results.filter(({ rounds, failure }) => failure === undefined && rounds.length > 0);
  return results.map(({ name, rounds, failure }) => {
    if (failure !== undefined || rounds.length === 0) return { name, failure: failure ?? "it ran no round" };
    const ratios: Record<string, Ratios> = {};
    for (const other of whole) if (other.name !== name) ratios[other.name] = ratiosOf(rounds, other.rounds);
    return { name, figures: figuresOf(rounds), ratios };
  });
}

function figuresOf(rounds: readonly Round[]): Figures {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick));
  const responderShare = of((round) => round.responderShare);
  const sum = (pick: (round: Round) => number) => rounds.reduce((total, round) => total + pick(round), 0);
  const handshakes = sum((round) => round.handshakes);
  return {
    cpuUs: spread(rounds.map((round) => round.cpuUs)),
    userUs: of((round) => round.userUs),
    sysUs: of((round) => round.sysUs),
    perSecond: spread(rounds.map((round) => round.perSecond)),
    perSecondVoid: responderShare > RESPONDER_SHARE_MAX,
    responderShare,
    p50Us: of((round) => round.p50Us),
    p99Us: of((round) => round.p99Us),
    ...(handshakes === 0 ? {} : { resumedShare: sum((round) => round.resumed) / handshakes }),
  };
}

function ratiosOf(of: readonly Round[], to: readonly Round[]): Ratios {
  const ratio = (pick: (round: Round) => number) => spread(pairedRatios(of.map(pick), to.map(pick)));
  return {
    cpu: ratio((round) => round.cpuUs),
    perSecond: ratio((round) => round.perSecond),
    p99: ratio((round) => round.p99Us),
  };
}

export function summarizeCold(results: readonly ColdResult[]): ColdRow[] {
  const whole = results.filter(({ rounds, failure }) => failure === undefined && rounds.length > 0);
  return results.map(({ name, rounds, failure }) => {
    if (failure !== undefined || rounds.length === 0) return { name, failure: failure ?? "it ran no round" };
    const cpu = rounds.map((round) => round.cpuUs);
    const cpuRatios: Record<string, Spread> = {};
    for (const other of whole) {
      if (other.name === name) continue;
      cpuRatios[other.name] = spread(
        pairedRatios(
          cpu,
          other.rounds.map((round) => round.cpuUs),
        ),
      );
    }
    return {
      name,
      wallMs: spread(rounds.map((round) => round.wallMs)),
      cpuUs: spread(cpu),
      processUs: spread(rounds.map((round) => round.processUs)),
      cpuRatios,
    };
  });
}

export function scenarioTable({ scenario, rows, placement }: Measured, rounds: number): string {
  const { workers } = scenario;
  const title =
    `${scenario.name}: ${scenario.title}, ${workers.toLocaleString("en")} ${workers === 1 ? "worker" : "workers"}, ` +
    `median of ${rounds} rounds` +
    (placement === null ? "" : `, responder on the ${placement === "together" ? "same" : "other"} core`);
  const resumes = rows.some(({ figures }) => figures?.resumedShare !== undefined);
  const header = ["", "CPU µs/req", "min–max", "× bare", "× undici", "user", "sys", "req/s", "min–max", "responder"];
  const lines = rows.map(({ name, figures, ratios }) => {
    if (figures === undefined) return [name, "FAILED"];
    const { cpuUs, perSecond, perSecondVoid } = figures;
    return [
      name,
      micros(cpuUs.median),
      `${micros(cpuUs.min)}–${micros(cpuUs.max)}`,
      times(ratios?.["bare-socket"]?.cpu.median),
      times(ratios?.["undici-request"]?.cpu.median),
      micros(figures.userUs),
      micros(figures.sysUs),
      perSecondVoid ? "void" : rate(perSecond.median),
      perSecondVoid ? "" : `${rate(perSecond.min)}–${rate(perSecond.max)}`,
      percent(figures.responderShare),
      micros(figures.p50Us),
      micros(figures.p99Us),
      ...(resumes ? [figures.resumedShare === undefined ? "" : percent(figures.resumedShare)] : []),
    ];
  });
  const notes = failures(rows);
  if (rows.some((row) => row.figures?.perSecondVoid)) {
    notes.push(`void: the responder used more than ${RESPONDER_SHARE_MAX * 100} % of its core and set the pace itself`);
  }
  const whole = [...header, "p50 µs", "p99 µs", ...(resumes ? ["resumed"] : [])];
  return [title, table([whole, ...lines]), ...notes].join("\n");
}

export function coldTable(rows: readonly ColdRow[], rounds: number): string {
  const lines = rows.map(({ name, cpuUs, wallMs, processUs, cpuRatios }) => {
    if (cpuUs === undefined || wallMs === undefined || processUs === undefined) return [name, "FAILED"];
    const ms = (us: number) => (us / 1000).toFixed(1);
    return [
      name,
      ms(cpuUs.median),
      `${ms(cpuUs.min)}–${ms(cpuUs.max)}`,
      times(cpuRatios?.["undici-request"]?.median),
      wallMs.median.toFixed(1),
      ms(processUs.median),
    ];
  });
  const header = ["", "CPU ms", "min–max", "× undici", "wall ms", "whole process, CPU ms"];
  const title = `cold: import and first request of a fresh process, median of ${rounds} processes each, in turn`;
  return [title, table([header, ...lines]), ...failures(rows)].join("\n");
}

/** CPU µs per request of every contestant in every scenario. */
export function overview(measured: readonly Measured[]): string {
  const names = [...new Set(measured.flatMap(({ rows }) => rows.map((row) => row.name)))];
  const lines = measured.map(({ scenario, rows }) => [
    scenario.name,
    ...names.map((name) => {
      const row = rows.find((other) => other.name === name);
      if (row === undefined) return "";
      return row.figures === undefined ? "FAILED" : micros(row.figures.cpuUs.median);
    }),
  ]);
  return `CPU µs per request\n${table([["", ...names], ...lines])}`;
}

function failures(rows: readonly { readonly failure?: string }[]): string[] {
  // The start of a stack: the JSON has it whole.
  return rows.flatMap(({ failure }) =>
    failure === undefined ? [] : [`  FAILED ${failure.split("\n").slice(0, 3).join("\n    ")}`],
  );
}

export function micros(value: number): string {
  return value >= 10_000 ? rate(value) : value.toFixed(value < 100 ? 1 : 0);
}

function rate(value: number): string {
  return value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function times(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(2);
}

/** Columns under each other: the first to the left, the others to the right. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [i, cell] of line.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const pad = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
  return lines.map((line) => `  ${line.map(pad).join("  ")}`.trimEnd()).join("\n");
}
