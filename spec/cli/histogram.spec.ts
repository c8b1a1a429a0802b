/** Latencies as a picture. */

import { expect, test } from "vitest";
import { ASCII_GLYPHS } from "../../lib/cli/format.ts";
import { bucketsOf, renderHistogram } from "../../lib/cli/histogram.ts";

const sorted = (...values: number[]) => Float64Array.from(values).sort();

test("bucketsOf() steps by 1, 2, 5 where that makes enough rows, from the first to the last that is filled", () => {
  const latencies = sorted(0.4, 0.5, 1, 3, 3, 3, 12, 40);
  expect(bucketsOf(latencies)).toEqual([
    { to: 0.5, count: 2 },
    { to: 1, count: 1 },
    { to: 2, count: 0 },
    { to: 5, count: 3 },
    { to: 10, count: 0 },
    { to: 20, count: 1 },
    { to: 50, count: 1 },
  ]);
});

test("bucketsOf() takes finer steps where all is close together", () => {
  expect(bucketsOf(sorted(11, 12, 13, 16, 19))).toEqual([
    { to: 12.5, count: 2 },
    { to: 15, count: 1 },
    { to: 20, count: 2 },
  ]);
});

test.each([
  ["nothing", []],
  ["no time at all", [0, 0]],
  ["one", [7]],
  ["a power of ten", [10, 100, 1000]],
  ["the very short and the very long", [0.0001, 3_600_000]],
])("bucketsOf() counts each once: %s", (_, values) => {
  const buckets = bucketsOf(sorted(...values));
  expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
  expect(buckets.length).toBeLessThan(100);
  if (values.length > 0) expect(buckets.at(-1)?.count).toBeGreaterThan(0);
});

test("renderHistogram() draws a row for each step, in so many columns, and leaves no answer without a mark", () => {
  const latencies = sorted(...Array.from({ length: 990 }, () => 1.5), ...Array.from({ length: 10 }, () => 80));
  const lines = renderHistogram(latencies, 60, ASCII_GLYPHS);
  expect(lines).toEqual([
    "up to            2 ms  990  99.0 %  #########################",
    "                 5 ms    0   0.0 %",
    "                10 ms    0   0.0 %",
    "                20 ms    0   0.0 %",
    "                50 ms    0   0.0 %",
    "               100 ms   10   1.0 %  #",
  ]);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(62);
});

test("renderHistogram() draws nothing of a few, which the percentiles tell", () => {
  expect(renderHistogram(sorted(1, 2, 3), 80)).toEqual([]);
});
