/** How far a load is. */

import { describe, expect, test } from "vitest";
import { ASCII_GLYPHS } from "../../lib/cli/format.ts";
import { LoadProgress, loadLine } from "../../lib/cli/load-progress.ts";
import { StandingClock } from "./standing-clock.ts";

describe("loadLine()", () => {
  const cases: [string, number, number, number, number, number, string][] = [
    [
      "a share, a bar, a rate and a rest",
      2500,
      10_000,
      0,
      1000,
      70,
      " 25 %  #######......................  2500 of 10000  2500/s  3 s left",
    ],
    ["failures", 50, 100, 2, 1000, 70, " 50 %  ###########............  50 of 100  50/s  1 s left  2 failures"],
    ["no bar where there is no room", 50, 100, 0, 1000, 36, " 50 %  50 of 100  50/s  1 s left"],
    ["a log has no bar", 50, 100, 1, 1000, 0, "50 %  50 of 100  50/s  1 s left  1 failure"],
    ["no time has passed", 1, 100, 0, 0, 0, "1 %  1 of 100  0/s  ? left"],
  ];
  test.each(cases)("%s", (_, done, count, failed, elapsed, columns, expected) => {
    const line = loadLine(done, count, failed, elapsed, columns, ASCII_GLYPHS);
    expect(line).toBe(expected);
    if (columns > 0) expect(line.length).toBeLessThan(columns);
  });

  test("is cut to a narrow terminal", () => {
    expect(loadLine(50, 100, 0, 100, 20).length).toBe(19);
  });
});

describe("LoadProgress", () => {
  function progress(count: number, columns: number | null) {
    const written: string[] = [];
    const clock = new StandingClock();
    const out = { write: (text: string) => written.push(text) };
    return { written, clock, line: new LoadProgress(out, clock, count, columns, ASCII_GLYPHS) };
  }

  test("LoadProgress shows nothing for what is over soon, nor for its last answer", () => {
    const { written, clock, line } = progress(2, 60);
    clock.time = 499;
    line.add(true);
    clock.time = 5000;
    line.add(true);
    line.end();
    expect(written).toEqual([]);
  });

  test("LoadProgress moves a terminal's line at most ten times a second, and wipes it once", () => {
    const { written, clock, line } = progress(10_000, 60);
    for (clock.time = 500; clock.time < 1500; clock.time++) line.add(clock.time % 2 === 0);
    expect(written).toHaveLength(10);
    for (const text of written) expect(text.slice(0, 1) + text.slice(-3)).toBe("\r\u001b[K");
    for (const text of written) expect(text).toMatch(/ \d %.* of 10000 /);
    expect(written.at(-1)).toContain("failures");
    line.end();
    line.end();
    expect(written.slice(10)).toEqual(["\r\u001b[K"]);
  });

  test("LoadProgress writes a line every ten seconds where there is no terminal", () => {
    const { written, clock, line } = progress(10_000, null);
    for (clock.time = 0; clock.time < 25_000; clock.time += 10) line.add(true);
    line.end();
    expect(written).toEqual([
      "10 %  1001 of 10000  100/s  1 min 30 s left\n",
      "20 %  2001 of 10000  100/s  1 min 20 s left\n",
    ]);
  });
});
