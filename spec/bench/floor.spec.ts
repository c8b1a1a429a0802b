import { describe, expect, test } from "vitest";
import { besideFloor, inWords, profileCommands, standing } from "../../bench/floor.ts";
import { judge } from "../../bench/judge.ts";
import type { Round } from "../../bench/measure.ts";
import { type ColdRow, type Measured, summarize, summarizeCold } from "../../bench/report.ts";
import { SCENARIOS } from "../../bench/scenarios.ts";

/** Contestants by name, and the CPU of their only round. */
function measured(name: string, cpu: Record<string, number>, more: Partial<Round> = {}): Measured {
  const results = Object.entries(cpu).map(([contestant, cpuUs]) => ({
    name: contestant,
    rounds: [
      {
        requests: 100,
        cpuUs,
        userUs: cpuUs,
        sysUs: 0,
        perSecond: 1e6 / cpuUs,
        responderShare: 0.5,
        p50Us: cpuUs,
        p99Us: 4 * cpuUs,
        handshakes: 0,
        resumed: 0,
        ...more,
      },
    ],
  }));
  const scenario = SCENARIOS.find((each) => each.name === name)!;
  return { scenario, placement: "apart", rows: summarize(results) };
}

const lines = (of: Measured, cold: readonly ColdRow[] | null = null) => besideFloor(judge([of], cold), [of], cold);

describe("standing()", () => {
  test.each([
    [
      { limit: 12, floor: 10, ours: 16 },
      { left: 2, used: 6, reach: "misses" },
    ],
    [
      { limit: 12, floor: 10, ours: 12 },
      { left: 2, used: 2, reach: "holds" },
    ],
    [
      { limit: 10, floor: 10, ours: 16 },
      { left: 0, used: 6, reach: "below the floor" },
    ],
    [
      { limit: 9, floor: 10, ours: 16 },
      { left: -1, used: 6, reach: "below the floor" },
    ],
    // The floor is measured too, and who meets a limit meets it.
    [
      { limit: 9, floor: 10, ours: 8 },
      { left: -1, used: -2, reach: "holds" },
    ],
  ])("%j is %j", (costs, expected) => expect(standing(costs)).toEqual(expected));

  test.each([
    [
      { limit: 12, floor: 10, ours: 16 },
      "leaves 2 µs above the bare socket, where ours uses 6 µs: 4 µs would have to go",
    ],
    [{ limit: 12, floor: 10, ours: 11 }, "holds, with 1 µs to spare"],
    [{ limit: 9, floor: 10, ours: 11 }, "below the bare socket: nothing on node:net can meet it"],
  ])("%j in words: %s", (costs, words) => expect(inWords(standing(costs), (us) => `${us} µs`)).toBe(words));
});

describe("besideFloor()", () => {
  test("says of each missed limit, and of no other, what it leaves above the bare socket of the same run", () => {
    const one = measured("get-2kib-x64", { "bare-socket": 10, persistconn: 17, "undici-request": 30 });
    expect(lines(one)).toEqual([
      "GET 2 KiB, 64 workers, CPU of undici-request: leaves 5.0 µs above the bare socket, where ours uses 7.0 µs: 2.0 µs would have to go",
    ]);
  });

  test("a limit over the bare socket leaves what it is above 1", () => {
    const one = measured("get-2kib-x64", { "bare-socket": 10, persistconn: 20 });
    expect(lines(one)).toEqual([
      "GET 2 KiB, 64 workers, CPU of bare-socket: leaves 8.0 µs above the bare socket, where ours uses 10.0 µs: 2.0 µs would have to go",
    ]);
  });

  test("says where a limit lies below the floor, in the units of the table", () => {
    const one = measured("post-1gib-x1", { "bare-socket": 92, persistconn: 130, "undici-request": 100 });
    expect(lines(one)).toEqual([
      "POST 1 GiB, streamed, CPU of undici-request: below the floor: the bare socket itself is 0.92",
      "POST 1 GiB, streamed, requests/s of undici-request: above the ceiling: the bare socket itself is 1.09",
    ]);
  });

  test("a rate that can be reached has ours and the bare socket's, unless that is the responder's", () => {
    const cpu = { "bare-socket": 10, persistconn: 25, "undici-request": 40 };
    expect(lines(measured("get-64kib-x64", cpu))[1]).toBe(
      "GET 64 KiB, requests/s of undici-request: ours is 1.60: the bare socket itself is 4.00",
    );
    const one = measured("get-64kib-x64", cpu);
    const bare = one.rows[0]!;
    const rows = [{ ...bare, figures: { ...bare.figures!, perSecondVoid: true } }, ...one.rows.slice(1)];
    expect(lines({ ...one, rows })[1]).toMatch(/: the bare socket's own rate was the responder's$/);
  });

  test("the sequential p99 is its own microseconds, not those of the CPU", () => {
    const one = measured("get-2kib-x1", { "bare-socket": 10, persistconn: 20 });
    expect(lines(one)[1]).toBe(
      "p99 sequential, p99 of bare-socket: leaves 28.0 µs above the bare socket, where ours uses 40.0 µs: 12.0 µs would have to go",
    );
  });

  test("our fetch stands beside the floor as well", () => {
    const one = measured("get-64kib-x64", { "bare-socket": 10, "persistconn-fetch": 40, "global-fetch": 200 });
    expect(lines(one)).toEqual([
      "fetch: GET 64 KiB, CPU of global-fetch: leaves 20.0 µs above the bare socket, where ours uses 30.0 µs: 10.0 µs would have to go",
    ]);
  });

  test("cold processes are told in ms", () => {
    const cold = summarizeCold(
      [["bare-socket", 10_000] as const, ["persistconn", 40_000] as const, ["undici-request", 50_000] as const].map(
        ([name, cpuUs]) => ({ name, rounds: [{ wallMs: 1, cpuUs, processUs: 1 }] }),
      ),
    );
    expect(besideFloor(judge([], cold), [], cold)).toEqual([
      "import and first request, cold process, cold CPU of undici-request: leaves 15.0 ms above the bare socket, where ours uses 30.0 ms: 15.0 ms would have to go",
    ]);
  });

  test("without a bare socket in the run it says so", () => {
    const one = measured("get-64kib-x64", { persistconn: 30, "undici-request": 40 });
    expect(lines(one)[0]).toBe("GET 64 KiB, CPU of undici-request: the bare socket did not run beside it");
  });
});

describe("profileCommands()", () => {
  test("names each scenario once, those of our fetch apart, and never the cold processes", () => {
    const missed = judge([], null)
      .filter(({ scenario, ours }) => {
        const named = ours === "persistconn" ? ["get-2kib-x64", "post-2kib-x64", "cold"] : ["get-64kib-x64"];
        return named.includes(scenario);
      })
      .map((one) => ({ ...one, verdict: "misses" as const }));
    expect(profileCommands(missed)).toEqual([
      'make bench-profile ARGS="--scenario get-2kib-x64,post-2kib-x64"',
      'make bench-profile ARGS="--fetch --scenario get-64kib-x64"',
    ]);
  });

  test("there is none where nothing is missed", () => expect(profileCommands(judge([], null))).toEqual([]));
});
