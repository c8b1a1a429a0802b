import { describe, expect, test } from "vitest";
import { judge, judgement } from "../../bench/judge.ts";
import type { Round } from "../../bench/measure.ts";
import { type ColdRow, type Measured, scenarioTable, summarize, summarizeCold } from "../../bench/report.ts";
import { SCENARIOS } from "../../bench/scenarios.ts";

const round = (cpuUs: number, more: Partial<Round> = {}): Round => ({
  requests: 100,
  cpuUs,
  userUs: cpuUs / 2,
  sysUs: cpuUs / 2,
  perSecond: 1e6 / cpuUs,
  responderShare: 0.5,
  p50Us: 2 * cpuUs,
  p99Us: 4 * cpuUs,
  handshakes: 0,
  resumed: 0,
  ...more,
});

/** Contestants by name, and the CPU of each of their rounds. */
function measured(name: string, cpu: Record<string, number[]>, more: Partial<Round> = {}): Measured {
  const scenario = SCENARIOS.find((each) => each.name === name)!;
  const results = Object.entries(cpu).map(([contestant, rounds]) => ({
    name: contestant,
    rounds: rounds.map((us) => round(us, more)),
  }));
  return { scenario, placement: "apart", rows: summarize(results) };
}

const verdicts = (of: Measured, cold: readonly ColdRow[] | null = null) =>
  judge([of], cold)
    .filter(({ verdict }) => verdict !== "missing")
    .map(({ what, base, verdict }) => `${what} of ${base}: ${verdict}`);

describe("summarize()", () => {
  test("forms each ratio within its round: a slow round of both moves nothing", () => {
    const { rows } = measured("get-2kib-x64", { "bare-socket": [10, 1_000, 10], persistconn: [15, 1_500, 15] });
    expect(rows[1]!.ratios!["bare-socket"]!.cpu).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
    expect(rows[1]!.figures!.cpuUs).toEqual({ median: 15, min: 15, max: 1_500 });
  });

  test("who failed has no figures, and nobody a ratio to it", () => {
    const rows = summarize([
      { name: "a", rounds: [round(1)] },
      { name: "b", rounds: [round(1)], failure: "b: exited early" },
      { name: "c", rounds: [] },
    ]);
    expect(rows.map(({ failure }) => failure)).toEqual([undefined, "b: exited early", "it ran no round"]);
    expect(rows[0]!.ratios).toEqual({});
  });

  test.each([
    [0.9, false],
    [0.901, true],
  ])("a responder at %d of its core: requests a second void is %s", (responderShare, isVoid) => {
    const { rows } = measured("get-2kib-x64", { persistconn: [10, 10, 10] }, { responderShare });
    expect(rows[0]!.figures!.perSecondVoid).toBe(isVoid);
  });

  test("the table says void in the place of the rate, and why", () => {
    const one = measured("get-2kib-x64", { persistconn: [10] }, { responderShare: 0.95 });
    const table = scenarioTable(one, 1);
    expect(table).toMatch(/persistconn .* void .* 95 %/);
    expect(table).toContain("void: the responder used more than 90 % of its core");
    expect(table).not.toContain("100,000");
  });

  test("the share of resumed handshakes is shown where there were any", () => {
    const one = measured("tls-resumed-2kib-x1", { persistconn: [10, 10] }, { handshakes: 4, resumed: 3 });
    expect(one.rows[0]!.figures!.resumedShare).toBe(0.75);
    expect(scenarioTable(one, 2)).toMatch(/resumed\n.*75 %/);
    expect(measured("get-2kib-x1", { persistconn: [10] }).rows[0]!.figures!.resumedShare).toBeUndefined();
  });
});

describe("judge()", () => {
  test("a ratio at its limit holds, one beyond it misses", () => {
    const at = measured("get-2kib-x64", { "bare-socket": [10], persistconn: [18], "undici-request": [36], go: [20] });
    expect(verdicts(at)).toEqual([
      "CPU of undici-request: holds",
      "CPU of go: holds",
      "CPU of bare-socket: holds",
      "requests/s of undici-request: holds",
    ]);
    const over = measured("get-2kib-x64", { "bare-socket": [9], persistconn: [18], "undici-request": [30], go: [19] });
    expect(verdicts(over)).toEqual([
      "CPU of undici-request: misses",
      "CPU of go: misses",
      "CPU of bare-socket: misses",
      "requests/s of undici-request: misses",
    ]);
  });

  test("with a void rate CPU alone counts", () => {
    const one = measured("get-64kib-x64", { persistconn: [10], "undici-request": [40] }, { responderShare: 0.99 });
    expect(verdicts(one)).toEqual(["CPU of undici-request: holds", "requests/s of undici-request: void"]);
  });

  test("the rate is void when only the other one's was the responder's", () => {
    const one = measured("get-64kib-x64", { persistconn: [10], "undici-request": [40] });
    const undici = one.rows[1]!;
    const rows = [one.rows[0]!, { ...undici, figures: { ...undici.figures!, perSecondVoid: true } }];
    expect(verdicts({ ...one, rows })).toContain("requests/s of undici-request: void");
  });

  test("our fetch is held against the global one, in every scenario that must show", () => {
    const one = measured("tls-get-2kib-x64", { "persistconn-fetch": [15], "global-fetch": [100] });
    expect(verdicts(one)).toEqual(["CPU of global-fetch: holds", "requests/s of global-fetch: holds"]);
    const judged = judge([], null).filter(({ row }) => row.startsWith("fetch: "));
    expect(new Set(judged.map(({ scenario }) => scenario)).size).toBe(12);
  });

  test("the sequential p99 is held against the bare socket's", () => {
    const one = measured("get-2kib-x1", { "bare-socket": [10], persistconn: [18] });
    expect(verdicts(one)).toEqual(["CPU of bare-socket: misses", "p99 of bare-socket: misses"]);
  });

  test("cold processes are compared by CPU, in pairs", () => {
    const cold = summarizeCold(
      [
        ["persistconn", 10_000, 60_000],
        ["undici-request", 20_000, 121_000],
      ].map(([name, ...cpu]) => ({
        name: String(name),
        rounds: cpu.map((us) => ({ wallMs: 1, cpuUs: Number(us), processUs: 1 })),
      })),
    );
    expect(cold[0]!.cpuRatios!["undici-request"]!.median).toBeCloseTo(0.498, 3);
    expect(judge([], cold).find(({ scenario }) => scenario === "cold")).toMatchObject({ verdict: "holds" });
  });

  test("what was not measured is missing, and never holds", () => {
    expect(new Set(judge([], null).map(({ verdict }) => verdict))).toEqual(new Set(["missing"]));
    expect(judgement(judge([], null))).toMatch(/0 holds, 0 misses, 0 void, \d+ missing$/);
  });

  test("every scenario that is judged is in the group `must`, and has those it is judged by", () => {
    for (const { scenario: name, base, row } of judge([], null)) {
      if (name === "cold") continue;
      const scenario = SCENARIOS.find((each) => each.name === name);
      expect(scenario?.groups, name).toContain("must");
      const ours = row.startsWith("fetch: ") ? "persistconn-fetch" : "persistconn";
      expect(scenario!.contestants, name).toEqual(expect.arrayContaining([ours, base]));
    }
  });
});
