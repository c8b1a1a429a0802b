/** Many requests by a few workers. */

import { describe, expect, test } from "vitest";
import { ASCII_GLYPHS } from "../../lib/cli/format.ts";
import { failureKind, type LoadAnswer, percentile, renderLoad, runLoad } from "../../lib/cli/load.ts";
import { DialError, TimeoutError } from "../../lib/errors.ts";
import { StandingClock } from "./standing-clock.ts";

const ANSWER: LoadAnswer = { status: 200, reused: true, bytes: 100 };
const NEVER = new AbortController().signal;

describe("runLoad()", () => {
  test("runLoad() sends exactly as many as asked, and never more at a time than there are workers", async () => {
    let running = 0;
    let most = 0;
    let sent = 0;
    const send = async () => {
      sent++;
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      return ANSWER;
    };
    const result = await runLoad(send, { count: 25, concurrency: 4, clock: new StandingClock(), signal: NEVER });
    expect([sent, most, result.latencies.length, result.bytes, result.reused]).toEqual([25, 4, 25, 2500, 25]);
  });

  test("runLoad() begins no more workers than requests", async () => {
    let sent = 0;
    const send = async () => {
      sent++;
      return ANSWER;
    };
    await runLoad(send, { count: 2, concurrency: 50, clock: new StandingClock(), signal: NEVER });
    expect(sent).toBe(2);
  });

  test("runLoad() counts failures by kind and goes on", async () => {
    const clock = new StandingClock();
    let n = 0;
    const send = async () => {
      clock.time += 10;
      n++;
      if (n === 2)
        throw new DialError("Cannot connect to http://u:p@a", [], {
          cause: Object.assign(new Error(), { code: "ECONNREFUSED" }),
        });
      if (n > 3) throw new TimeoutError("headers", "timeout", 5, "Cannot read response head: time is up");
      return { ...ANSWER, status: n === 1 ? 200 : 404, reused: n > 1 };
    };
    const result = await runLoad(send, { count: 5, concurrency: 1, clock, signal: NEVER });
    expect(result.firstFailure).toMatchObject({ error: { name: "DialError" } });
    expect(renderLoad(result, 2)).toBe(
      [
        "requests     5 by 1 worker in 50.0 ms, 40 answers a second",
        "answers      1 with 200, 1 with 404",
        "failures     3",
        "             1 × DialError ECONNREFUSED: Cannot connect to http://a",
        "             2 × TimeoutError in headers: Cannot read response head: time is up",
        "connections  2 dialed; 1 answer on a reused one (50.0 %)",
        "latency      p50 10.0 ms, p90 10.0 ms, p99 10.0 ms, max 10.0 ms",
        "received     200 B of bodies",
        "",
      ].join("\n"),
    );
  });

  test("runLoad() tells of each end, and renderLoad() ends with how the latencies are spread", async () => {
    const clock = new StandingClock();
    const told: boolean[] = [];
    let n = 0;
    const send = async () => {
      clock.time += n < 45 ? 1 : 30;
      if (n++ === 3) throw new Error("lost");
      return ANSWER;
    };
    const ended = (answered: boolean) => told.push(answered);
    const result = await runLoad(send, { count: 50, concurrency: 1, clock, signal: NEVER, ended });
    expect(told).toEqual(Array.from({ length: 50 }, (_, i) => i !== 3));
    expect(renderLoad(result, 1, ASCII_GLYPHS).split("\n").slice(-7)).toEqual([
      expect.stringMatching(/^up to {12}1 ms {2}44 {2}89\.8 % {2}#{46}$/),
      expect.stringMatching(/^ {17}2 ms {3}0 {3}0\.0 %$/),
      expect.stringMatching(/^ {17}5 ms {3}0 {3}0\.0 %$/),
      expect.stringMatching(/^ {16}10 ms {3}0 {3}0\.0 %$/),
      expect.stringMatching(/^ {16}20 ms {3}0 {3}0\.0 %$/),
      expect.stringMatching(/^ {16}50 ms {3}5 {2}10\.2 % {2}#{5}$/),
      "",
    ]);
  });

  test("runLoad() stops at an abort, which is no failure of a request", async () => {
    const stop = new AbortController();
    let sent = 0;
    const send = async () => {
      if (++sent < 3) return ANSWER;
      stop.abort(new Error("interrupted"));
      throw stop.signal.reason;
    };
    const result = await runLoad(send, { count: 10, concurrency: 1, clock: new StandingClock(), signal: stop.signal });
    expect([sent, result.firstFailure, result.failures.size]).toEqual([3, null, 0]);
    expect(renderLoad(result, 1)).toContain("interrupted  8 not sent or not finished");
  });
});

test("percentile() is the nearest rank", () => {
  const sorted = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0.5, 0.9, 0.99, 1].map((share) => percentile(sorted, share))).toEqual([50, 90, 99, 100]);
  expect(percentile(Float64Array.of(7), 0.5)).toBe(7);
  expect(percentile(new Float64Array(), 0.5)).toBeNaN();
});

test("failureKind() tells two errors of a class apart by one fact", () => {
  expect(failureKind(new TimeoutError("body", "bodyTimeout", 5, "x"))).toBe("TimeoutError in body");
  expect(failureKind(new Error("x"))).toBe("Error");
  expect(failureKind("x")).toBe("thrown value");
});
