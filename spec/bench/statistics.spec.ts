import { describe, expect, test } from "vitest";
import { meanInterval, median, pairedRatios, percentile, slope, spread, tQuantile975 } from "../../bench/statistics.ts";

describe("median() and spread()", () => {
  test.each([
    [[3], 3],
    [[1, 3], 2],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100], 10], // by number, not by text
  ])("median(%j) is %d", (values, expected) => expect(median(values)).toBe(expected));

  test("median() leaves its argument as it was", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test("spread() has the least and the most beside the median", () => {
    expect(spread([5, 1, 9, 2])).toEqual({ median: 3.5, min: 1, max: 9 });
  });

  test("there is no median of nothing: nothing measured is no figure", () => {
    expect(() => median([])).toThrow("there are no values");
    expect(() => percentile([], 0.5)).toThrow("there are no values");
  });
});

describe("percentile() is the nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  test.each([
    [0, 1],
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ])("%d of 1 to 100 is %d", (share, expected) => expect(percentile(hundred, share)).toBe(expected));

  test("of one value each share is that value", () => {
    expect([0, 0.5, 0.99, 1].map((share) => percentile(Float64Array.of(7), share))).toEqual([7, 7, 7, 7]);
  });
});

describe("pairedRatios()", () => {
  test("is formed round by round, so what slows both in one round drops out", () => {
    expect(median(pairedRatios([10, 100, 10], [20, 200, 20]))).toBe(0.5);
  });

  test("leaves out rounds that one side lacks, and a base of nothing", () => {
    expect(pairedRatios([1, 2, 3], [2, 4])).toEqual([0.5, 0.5]);
    expect(pairedRatios([1, 2], [0, 4])).toEqual([0.5]);
  });
});

describe("meanInterval()", () => {
  test("is the mean and Student's 95 % about it", () => {
    // Five values, deviation sqrt(2.5), t for 4 degrees 2.776: half of it is 2.776 × sqrt(2.5 / 5).
    const { mean, low, high, count } = meanInterval([1, 2, 3, 4, 5]);
    expect([mean, count]).toEqual([3, 5]);
    expect(low).toBeCloseTo(3 - 1.963, 3);
    expect(high).toBeCloseTo(3 + 1.963, 3);
  });

  test("of values that are all the same it has no width", () => {
    expect(meanInterval([2, 2, 2])).toEqual({ mean: 2, low: 2, high: 2, count: 3 });
  });

  test("needs two values: one says nothing about spread", () => {
    expect(() => meanInterval([1])).toThrow("it needs two values or more, there are 1");
  });

  // As tables of the distribution have it.
  test.each([
    [1, 12.706],
    [10, 2.228],
    [11, 2.201],
    [19, 2.093],
    [29, 2.045],
    [60, 2.0],
    [1_000, 1.962],
  ])("t of %d degrees of freedom is %d", (degrees, expected) => {
    expect(tQuantile975(degrees)).toBeCloseTo(expected, 3);
  });

  test("about the true mean 95 of 100 intervals hold it, give or take", () => {
    // A generator with a fixed seed: sums of twelve, near enough to normal.
    let seed = 1;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const normal = () => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6);
    const held = Array.from({ length: 1_000 }, () => {
      const { low, high } = meanInterval(Array.from({ length: 20 }, () => 5 + normal()));
      return low <= 5 && 5 <= high;
    }).filter(Boolean).length;
    expect(held).toBeGreaterThan(930);
    expect(held).toBeLessThan(970);
  });
});

describe("slope()", () => {
  test("is that of the line of least squares", () => {
    expect(
      slope([
        [0, 1],
        [1, 3],
        [2, 5],
      ]),
    ).toBe(2);
    expect(
      slope([
        [0, 0],
        [1, 1],
        [2, 0],
      ]),
    ).toBe(0);
  });

  test("needs two points", () => {
    expect(() => slope([[1, 1]])).toThrow("two points");
  });
});
