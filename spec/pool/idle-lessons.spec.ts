/**
 * What closes of idle connections teach, and what they do not. Times are ms; a close is `[now, age]`.
 */

import { describe, expect, test } from "vitest";
import { IdleLessons } from "../../lib/pool/idle-lessons.ts";

const LATER = 1e5;

/** Tells closes, and what was learned of them. */
function learnedOf(...closes: readonly (readonly [now: number, age: number])[]): number | null {
  const lessons = new IdleLessons();
  for (const [now, age] of closes) lessons.closed("k", "shown", age, now);
  return lessons.learned(LATER)[0]?.closesAfter ?? null;
}

/** Lessons that say 5,000 ms, learned before 20,000. */
function taught(): IdleLessons {
  const lessons = new IdleLessons();
  lessons.closed("k", "shown", 5000, 10_000);
  lessons.closed("k", "shown", 5040, 18_000);
  return lessons;
}

describe("IdleLessons.closed()", () => {
  const cases: [string, readonly (readonly [number, number])[], number | null][] = [
    ["one close teaches nothing", [[10_000, 5000]], null],
    ["two at about the same age teach the smaller one", [[10_000, 5000], [20_000, 5040]], 5000], // biome-ignore format: a row
    ["two at different ages teach nothing", [[10_000, 5000], [20_000, 3000]], null], // biome-ignore format: a row
    ["a third close is held against the one before it", [[10_000, 3000], [20_000, 5000], [30_000, 5010]], 5000], // biome-ignore format: a row
    ["closes of one moment are one", [[10_000, 5000], [10_002, 5001], [10_900, 4990]], null], // biome-ignore format: a row
    ["two such moments teach", [[10_000, 5000], [10_002, 5001], [20_000, 5000], [20_001, 5002]], 5000], // biome-ignore format: a row
    ["a restart: ages that differ in one moment teach nothing", [[10_000, 5000], [10_001, 70], [10_001, 2400]], null], // biome-ignore format: a row
    [
      "a restart whose first close agrees with an earlier one teaches nothing either",
      [[10_000, 5000], [20_000, 5000], [20_001, 1200], [20_002, 300]], // biome-ignore format: a row
      null,
    ],
    [
      "a restart between two closes hides neither",
      [[10_000, 5000], [20_000, 4000], [20_001, 1200], [30_000, 5000]], // biome-ignore format: a row
      5000,
    ],
    ["a later pair teaches anew", [[10_000, 5000], [20_000, 5000], [30_000, 2000], [40_000, 2010]], 2000], // biome-ignore format: a row
    ["one close at another age does not", [[10_000, 5000], [20_000, 5000], [30_000, 2000]], 5000], // biome-ignore format: a row
    ["a server that closes at once teaches nothing", [[10_000, 3], [20_000, 3]], null], // biome-ignore format: a row
    ["a clock that was set back teaches no nonsense", [[10_000, -5], [20_000, Number.NaN]], null], // biome-ignore format: a row
  ];
  test.each(cases)("%s", (_, closes, expected) => {
    expect(learnedOf(...closes)).toBe(expected);
  });

  test("a moment that is not over has taught nothing yet", () => {
    const lessons = new IdleLessons();
    lessons.closed("k", "shown", 5000, 10_000);
    lessons.closed("k", "shown", 5000, 20_000);
    expect(lessons.learned(20_999)).toEqual([]);
    expect(lessons.learned(21_000)).toEqual([{ key: "shown", closesAfter: 5000 }]);
  });

  test("one key teaches nothing about another", () => {
    const lessons = taught();
    lessons.closed("other", "other", 5000, 30_000);
    expect(lessons.tooOld("other", 4900, LATER)).toBeNull();
  });

  test("forgets the key heard of longest ago where there are too many", () => {
    const lessons = new IdleLessons(2);
    const teach = (key: string, at: number) => {
      lessons.closed(key, key, 5000, at);
      lessons.closed(key, key, 5000, at + 2000);
    };
    for (const [i, key] of ["a", "b", "a", "c"].entries()) teach(key, i * 10_000);
    expect(lessons.learned(LATER).map(({ key }) => key)).toEqual(["a", "c"]);
  });
});

describe("IdleLessons.tooOld()", () => {
  test.each([
    [3999, null],
    [4000, null],
    [4001, 5000],
    [6250, 5000],
  ])("says at an age of %i: %s", (age, expected) => {
    expect(taught().tooOld("k", age, 20_000)).toBe(expected);
  });

  test("unlearns where a connection is alive that is clearly older", () => {
    const lessons = taught();
    expect(lessons.tooOld("k", 6251, 20_000)).toBeNull();
    expect(lessons.tooOld("k", 4500, 20_000)).toBeNull();
    expect(lessons.learned(20_000)).toEqual([]);
  });

  test("unlearns what no close has confirmed for ten minutes", () => {
    const lessons = taught();
    expect(lessons.tooOld("k", 4500, 20_000)).toBe(5000);
    expect(lessons.tooOld("k", 4500, 620_001)).toBeNull();
    expect(lessons.tooOld("k", 4500, 20_000)).toBeNull();
  });

  test("a close confirms", () => {
    const lessons = taught();
    expect(lessons.tooOld("k", 4500, 20_000)).toBe(5000);
    lessons.closed("k", "shown", 5000, 500_000);
    expect(lessons.tooOld("k", 4500, 700_000)).toBe(5000);
  });
});

/** A generator of numbers in [0, 1) from a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("against a server of which everything is known", () => {
  const seeds = Array.from({ length: 40 }, (_, i) => i + 1);

  test.each(seeds)("that only restarts: nothing is learned (seed %i)", (seed) => {
    const next = random(seed);
    const lessons = new IdleLessons();
    let now = 0;
    for (let restart = 0; restart < 50; restart++) {
      now += 5000 + next() * 60_000;
      const count = 3 + Math.floor(next() * 20);
      // Idle for anything up to 30 s, the youngest and the oldest far enough apart to be told apart.
      const ages = [200, 20_000 + next() * 10_000, ...Array.from({ length: count }, () => next() * 30_000)];
      for (const age of ages) lessons.closed("k", "k", age, now + next() * 100);
      expect(lessons.learned(now + 2000)).toEqual([]);
    }
  });

  test.each(seeds)("that closes after T, and restarts at times: T is learned, and nothing else (seed %i)", (seed) => {
    const next = random(seed);
    const lessons = new IdleLessons();
    const idle = 1000 + next() * 60_000;
    let now = 0;
    let closes = 0;
    for (let step = 0; step < 60; step++) {
      now += 2000 + next() * 20_000;
      if (next() < 0.2) {
        for (const age of [150, idle * next(), idle * 0.99]) lessons.closed("k", "k", age, now);
      } else {
        lessons.closed("k", "k", idle + next() * idle * 0.05, now);
        closes++;
      }
      const [learned] = lessons.learned(now + 1500);
      if (closes >= 2) expect(learned?.closesAfter).toBeGreaterThanOrEqual(idle * 0.999);
      if (learned !== undefined) expect(learned.closesAfter).toBeLessThanOrEqual(idle * 1.05);
    }
    expect(closes).toBeGreaterThan(2);
    expect(lessons.tooOld("k", idle * 0.75, now)).toBeNull();
    expect(lessons.tooOld("k", idle * 0.9, now)).not.toBeNull();
  });
});

describe("IdleLessons at its bounds", () => {
  test("an age of 100 ms is the first that can teach, and ages are alike down to nine tenths", () => {
    expect(learnedOf([10_000, 100], [20_000, 100])).toBe(100);
    expect(learnedOf([10_000, 99.9], [20_000, 99.9])).toBeNull();
    expect(learnedOf([10_000, 900], [20_000, 1000])).toBe(900);
    expect(learnedOf([10_000, 899], [20_000, 1000])).toBeNull();
  });

  test("a lesson holds for ten minutes to the millisecond", () => {
    const lessons = taught();
    lessons.learned(20_000); // the second close counts from here on
    expect(lessons.tooOld("k", 5000, 20_000 + 600_000)).toBe(5000);
    expect(lessons.tooOld("k", 5000, 20_000 + 600_001)).toBeNull();
  });

  test("a key that was never heard of has no age that is too old, beside one that has", () => {
    expect(taught().tooOld("other", 1e9, 20_000)).toBeNull();
  });

  test("a connection that is given out between two closes takes nothing back of what the first one said", () => {
    const lessons = new IdleLessons();
    lessons.closed("k", "shown", 5000, 10_000);
    expect(lessons.tooOld("k", 9000, 15_000)).toBeNull();
    lessons.closed("k", "shown", 5000, 20_000);
    expect(lessons.tooOld("k", 5000, 30_000)).toBe(5000);
  });
});
