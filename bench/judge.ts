/**
 * What this client must hold, as a table, and what a run says of it. Pure: figures in, verdicts out.
 *
 * Every limit is a ratio to a contestant of the same run, and is compared with the median of the rounds' ratios. It is a
 * measurement and no test: who reads it judges; nothing fails by it.
 */
import { type ColdRow, type Measured, type Row, table } from "./report.ts";
import { COLD } from "./scenarios.ts";
import type { Spread } from "./statistics.ts";

/** `void`: the responder set the pace, so only CPU says anything. `missing`: somebody who is needed did not run. */
export type Verdict = "holds" | "misses" | "void" | "missing";

export interface Judged {
  readonly row: string;
  readonly scenario: string;
  readonly what: "CPU" | "requests/s" | "p99" | "cold CPU";
  /** Which of our own contestants is held to it. */
  readonly ours: "persistconn" | "persistconn-fetch";
  /** Whose figure the limit is a multiple of. */
  readonly base: string;
  readonly bound: "at most" | "at least";
  readonly limit: number;
  /** Null where it was not measured. */
  readonly ratio: Spread | null;
  readonly verdict: Verdict;
}

interface Limit {
  readonly scenario: string;
  readonly row: string;
  readonly cpu: readonly (readonly [base: string, atMost: number])[];
  /** Of `undici-request`'s requests a second. */
  readonly perSecond: number;
}

const OURS = "persistconn";
const UNDICI = "undici-request";
const limit = (row: string, scenario: string, ofUndici: number, perSecond: number): Limit => ({
  row,
  scenario,
  cpu: [[UNDICI, ofUndici]],
  perSecond,
});

const LIMITS: readonly Limit[] = [
  {
    row: "GET 2 KiB, 64 workers",
    scenario: "get-2kib-x64",
    cpu: [
      [UNDICI, 0.5],
      ["go", 0.9],
      ["bare-socket", 1.8],
    ],
    perSecond: 1.7,
  },
  {
    row: "GET 2 KiB, sequential",
    scenario: "get-2kib-x1",
    cpu: [
      [UNDICI, 0.62],
      ["go", 0.95],
      ["bare-socket", 1.7],
    ],
    perSecond: 1.3,
  },
  limit("GET with 35 header fields", "get-35-fields-x64", 0.35, 2),
  limit("GET 64 KiB", "get-64kib-x64", 0.45, 2),
  limit("GET 64 KiB, chunked", "get-64kib-chunked-x64", 0.45, 2),
  limit("GET 1 MiB", "get-1mib-x8", 0.4, 2),
  limit("GET 1 GiB, streamed", "get-1gib-x1", 0.4, 2),
  limit("POST 2 KiB", "post-2kib-x64", 0.6, 1.4),
  limit("POST 64 KiB", "post-64kib-x64", 0.6, 1.4),
  limit("POST 1 GiB, streamed", "post-1gib-x1", 0.6, 1.4),
  limit("TLS GET 2 KiB", "tls-get-2kib-x64", 0.6, 1.4),
  limit("TLS GET 64 KiB", "tls-get-64kib-x64", 0.45, 1.4),
];

const FETCH = { ours: "persistconn-fetch", base: "global-fetch", cpu: 0.15, perSecond: 5 } as const;
const P99_SEQUENTIAL = { scenario: "get-2kib-x1", base: "bare-socket", limit: 1.7 } as const;
const COLD_CPU = 0.5;

/** @param cold null where it did not run */
export function judge(measured: readonly Measured[], cold: readonly ColdRow[] | null): Judged[] {
  const rowOf = (scenario: string, name: string): Row | undefined =>
    measured.find((each) => each.scenario.name === scenario)?.rows.find((row) => row.name === name);
  const judged: Judged[] = [];

  const compare = (
    row: string,
    scenario: string,
    ours: Judged["ours"],
    base: string,
    what: Judged["what"],
    bound: number,
  ) => {
    const [mine, others] = [rowOf(scenario, ours), rowOf(scenario, base)];
    const ratios = mine?.ratios?.[base];
    const key = what === "requests/s" ? "perSecond" : what === "p99" ? "p99" : "cpu";
    const isVoid = [mine, others].some((each) => each?.figures?.perSecondVoid ?? false);
    judged.push(
      verdict(
        { row, scenario, what, ours, base, limit: bound, ratio: ratios?.[key] ?? null },
        what !== "CPU" && isVoid,
      ),
    );
  };

  for (const { row, scenario, cpu, perSecond } of LIMITS) {
    for (const [base, atMost] of cpu) compare(row, scenario, OURS, base, "CPU", atMost);
    compare(row, scenario, OURS, UNDICI, "requests/s", perSecond);
  }
  for (const { row, scenario } of LIMITS) {
    compare(`fetch: ${row}`, scenario, FETCH.ours, FETCH.base, "CPU", FETCH.cpu);
    compare(`fetch: ${row}`, scenario, FETCH.ours, FETCH.base, "requests/s", FETCH.perSecond);
  }
  const coldRatio = cold?.find(({ name }) => name === OURS)?.cpuRatios?.[UNDICI] ?? null;
  const coldRow = { row: "import and first request, cold process", scenario: COLD, what: "cold CPU" } as const;
  judged.push(verdict({ ...coldRow, ours: OURS, base: UNDICI, limit: COLD_CPU, ratio: coldRatio }, false));
  const { scenario, base, limit: p99 } = P99_SEQUENTIAL;
  compare("p99 sequential", scenario, OURS, base, "p99", p99);
  return judged;
}

function verdict(of: Omit<Judged, "bound" | "verdict">, isVoid: boolean): Judged {
  const bound = of.what === "requests/s" ? "at least" : "at most";
  const { ratio } = of;
  if (ratio === null) return { ...of, bound, verdict: "missing" };
  if (isVoid) return { ...of, bound, verdict: "void" };
  const holds = bound === "at most" ? ratio.median <= of.limit : ratio.median >= of.limit;
  return { ...of, bound, verdict: holds ? "holds" : "misses" };
}

/** The last table of a run: one line for each limit that was measured. */
export function judgement(judged: readonly Judged[]): string {
  const header = ["what must show", "scenario", "figure", "limit", "ours", "min–max", ""];
  const lines = judged
    .filter(({ ratio }) => ratio !== null)
    .map(({ row, scenario, what, base, bound, limit: at, ratio, verdict: said }) => [
      row,
      scenario,
      what,
      `${bound} ${at.toFixed(2)} × ${base}`,
      ratio!.median.toFixed(2),
      `${ratio!.min.toFixed(2)}–${ratio!.max.toFixed(2)}`,
      said,
    ]);
  const count = (of: Verdict) => judged.filter((each) => each.verdict === of).length;
  const said = (["holds", "misses", "void", "missing"] as const).map((of) => `${count(of)} ${of}`).join(", ");
  return `${table([header, ...lines])}\n  ${said}`;
}
