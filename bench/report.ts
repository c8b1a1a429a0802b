/**
 * From rounds to tables. Each figure is the median over the rounds, with the least and the most beside it where it is
 * the figure that counts. Ratios are formed round by round, between neighbours in time, and the median is of them.
 */
import type { Result, Round } from "./measure.ts";
import type { Scenario } from "./scenarios.ts";
import type { Placement } from "./support/machine.ts";

/** Above this share of its core the responder, not the contestant, sets the pace. */
export const RESPONDER_SHARE_MAX = 0.9;

export interface Figures {
  readonly cpuUs: Spread;
  readonly userUs: number;
  readonly sysUs: number;
  /** CPU as a multiple of the bare socket's, and of undici's `Pool.request`; absent where those did not run. */
  readonly toBareSocket?: number;
  readonly toUndiciRequest?: number;
  readonly perSecond: number;
  readonly perSecondVoid: boolean;
  readonly responderShare: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Row {
  readonly name: string;
  readonly figures?: Figures;
  readonly failure?: string;
}

export function summarize(results: readonly Result[]): Row[] {
  const roundsOf = (name: string) => {
    const result = results.find((other) => other.name === name);
    return result === undefined || result.failure !== undefined ? undefined : result.rounds;
  };
  const bare = roundsOf("bare-socket");
  const undici = roundsOf("undici-request");
  return results.map(({ name, rounds, failure }) => {
    if (failure !== undefined) return { name, failure };
    const of = (pick: (round: Round) => number) => median(rounds.map(pick));
    const cpu = rounds.map((round) => round.cpuUs);
    const responderShare = of((round) => round.responderShare);
    const ratio = (base: readonly Round[]) => median(rounds.map((round, i) => round.cpuUs / base[i]!.cpuUs));
    return {
      name,
      figures: {
        cpuUs: { median: median(cpu), min: Math.min(...cpu), max: Math.max(...cpu) },
        userUs: of((round) => round.userUs),
        sysUs: of((round) => round.sysUs),
        ...(bare === undefined ? {} : { toBareSocket: ratio(bare) }),
        ...(undici === undefined ? {} : { toUndiciRequest: ratio(undici) }),
        perSecond: of((round) => round.perSecond),
        perSecondVoid: responderShare > RESPONDER_SHARE_MAX,
        responderShare,
        ...(rounds[0]?.p50Us === undefined
          ? {}
          : { p50Us: of((round) => round.p50Us ?? 0), p99Us: of((round) => round.p99Us ?? 0) }),
      },
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function scenarioTable(
  scenario: Scenario,
  rows: readonly Row[],
  rounds: number,
  placement: Placement | null,
): string {
  const { method, tls, requestBytes, responseBytes, workers } = scenario;
  const sent = requestBytes > 0 ? `${requestBytes.toLocaleString("en")} bytes up, ` : "";
  const title =
    `${scenario.name}: ${method}${tls ? " over TLS" : ""}, ${sent}${responseBytes.toLocaleString("en")} bytes down, ` +
    `${workers} ${workers === 1 ? "worker" : "workers"}, median of ${rounds} rounds` +
    (placement === null ? "" : `, responder on the ${placement === "together" ? "same" : "other"} core`);
  const header = [
    "",
    "CPU µs/req",
    "min–max",
    "× bare",
    "× undici",
    "user",
    "sys",
    "req/s",
    "responder",
    "p50 µs",
    "p99 µs",
  ];
  const lines = rows.map(({ name, figures }) => {
    if (figures === undefined) return [name, "FAILED"];
    return [
      name,
      micros(figures.cpuUs.median),
      `${micros(figures.cpuUs.min)}–${micros(figures.cpuUs.max)}`,
      times(figures.toBareSocket),
      times(figures.toUndiciRequest),
      micros(figures.userUs),
      micros(figures.sysUs),
      figures.perSecondVoid ? "void" : Math.round(figures.perSecond).toLocaleString("en"),
      `${Math.round(figures.responderShare * 100)} %`,
      micros(figures.p50Us),
      micros(figures.p99Us),
    ];
  });
  const notes = rows.flatMap(({ failure }) => (failure === undefined ? [] : [`FAILED ${firstLines(failure)}`]));
  if (rows.some((row) => row.figures?.perSecondVoid)) {
    notes.push(`void: the responder used more than ${RESPONDER_SHARE_MAX * 100} % of its core and set the pace itself`);
  }
  return [title, table([header, ...lines]), ...notes.map((note) => `  ${note}`)].join("\n");
}

/** CPU µs per request of every contestant in every scenario. */
export function overview(scenarios: readonly { scenario: Scenario; rows: readonly Row[] }[]): string {
  const names = scenarios[0]?.rows.map((row) => row.name) ?? [];
  const lines = scenarios.map(({ scenario, rows }) => [
    scenario.name,
    ...rows.map((row) => (row.figures === undefined ? "FAILED" : micros(row.figures.cpuUs.median))),
  ]);
  return `CPU µs per request\n${table([["", ...names], ...lines])}`;
}

/** The start of a stack: the JSON has it whole. */
function firstLines(text: string): string {
  return text.split("\n").slice(0, 3).join("\n  ");
}

function micros(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(value < 100 ? 1 : 0);
}

function times(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(2);
}

function table(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [i, cell] of line.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const pad = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
  return lines.map((line) => `  ${line.map(pad).join("  ")}`.trimEnd()).join("\n");
}
