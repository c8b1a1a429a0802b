/**
 * Whatever the network, the peers and the callers do, the rules of `simulator/invariants.ts` hold: in worlds drawn from
 * seeds, in virtual time, with the real client.
 *
 * RUNS sets the number of worlds (30), SEED the first of them (default: a fresh one), REQUESTS about how many requests
 * each of them makes (60). A failure prints its own seed and the command that replays it; the same seed gives the same run.
 */

import { randomInt } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RULES } from "./simulator/invariants.ts";
import { reportOf } from "./simulator/report.ts";
import { simulate } from "./simulator/simulate.ts";

const runs = Number(process.env["RUNS"] || 30);
const first = Number(process.env["SEED"] || randomInt(2 ** 31));
const options = process.env["REQUESTS"] ? { requests: Number(process.env["REQUESTS"]) } : {};

const unhandled: unknown[] = [];
const keep = (error: unknown) => unhandled.push(error);
beforeEach(() => {
  process.on("unhandledRejection", keep);
});
afterEach(() => {
  process.off("unhandledRejection", keep);
  expect(unhandled).toEqual([]);
});

describe("the simulator", () => {
  test(
    `${runs} worlds from seed ${first} on, in which ${Object.keys(RULES).length} rules hold`,
    async () => {
      if (process.env["RUNS"]) console.log(`simulator: seeds ${first} to ${first + runs - 1}`);
      let requests = 0;
      let answered = 0;
      for (let seed = first; seed < first + runs; seed++) {
        const result = await simulate(seed, options);
        if (result.error !== null) throw new Error(reportOf(result));
        requests += result.requests;
        answered += result.answered;
      }
      // A simulator in which nothing succeeds, or nothing is tried, proves nothing.
      expect(requests).toBeGreaterThan(runs);
      if (runs >= 30) expect(answered).toBeGreaterThan(requests / 4);
    },
    60_000 + runs * 1_000,
  );

  test("the same seed gives the same run, byte for byte", async () => {
    for (let seed = first; seed < first + Math.min(runs, 8); seed++) {
      const one = await simulate(seed, { keepLog: true });
      const two = await simulate(seed, { keepLog: true });
      expect(two.log.join("\n")).toBe(one.log.join("\n"));
      expect(two.fingerprint).toBe(one.fingerprint);
    }
  }, 60_000);

  test("another seed gives another run", async () => {
    const [one, two] = [await simulate(first), await simulate(first + 1)];
    expect(two.fingerprint).not.toBe(one.fingerprint);
  });
});
