/** The line that moves during a long download. */

import { describe, expect, test } from "vitest";
import { ASCII_GLYPHS } from "../../lib/cli/format.ts";
import { Progress, progressLine } from "../../lib/cli/progress.ts";
import { StandingClock } from "./standing-clock.ts";

const MIB = 1024 * 1024;

describe("progressLine()", () => {
  const cases: [string, number, number | null, number, number, string][] = [
    [
      "a known length has a share, a bar and a rest",
      25 * MIB,
      100 * MIB,
      1000,
      70,
      " 25 %  ####.............  25.0 MiB of 100.0 MiB  25.0 MiB/s  3 s left",
    ],
    ["an unknown one only a sum", 25 * MIB, null, 1000, 70, "25.0 MiB  25.0 MiB/s"],
    ["a bar needs room", MIB, 2 * MIB, 1000, 50, " 50 %  1.0 MiB of 2.0 MiB  1.0 MiB/s  1 s left"],
    ["no time has passed", 0, 100, 0, 60, "  0 %  .......................  0 B of 100 B  0 B/s  ? left"],
    [
      "hours are said as hours",
      MIB,
      7201 * MIB,
      1000,
      60,
      "  0 %  .....  1.0 MiB of 7.0 GiB  1.0 MiB/s  2 h 0 min left",
    ],
    [
      "more than was promised is all of it",
      20,
      10,
      1000,
      60,
      "100 %  ####################  20 B of 10 B  20 B/s  0 s left",
    ],
  ];
  test.each(cases)("%s", (_, bytes, total, elapsed, columns, expected) => {
    const line = progressLine(bytes, total, elapsed, columns, ASCII_GLYPHS);
    expect(line).toBe(expected);
    expect(line.length).toBeLessThan(columns);
  });

  test("is cut to a narrow terminal", () => {
    expect(progressLine(MIB, 2 * MIB, 100, 20).length).toBe(19);
  });
});

describe("Progress", () => {
  function progress() {
    const written: string[] = [];
    const clock = new StandingClock();
    const line = new Progress({ write: (text) => written.push(text) }, 60, clock, null, ASCII_GLYPHS);
    return { written, clock, line };
  }

  test("Progress shows nothing for what is over soon", () => {
    const { written, clock, line } = progress();
    clock.time = 499;
    line.add(10);
    line.end();
    expect(written).toEqual([]);
  });

  test("Progress draws at most ten times a second and wipes its line once", () => {
    const { written, clock, line } = progress();
    clock.time = 500;
    line.add(512);
    clock.time = 599;
    line.add(512);
    clock.time = 1000;
    line.add(0);
    line.end();
    line.end();
    expect(written).toEqual(["\r512 B  1.0 KiB/s\u001b[K", "\r1.0 KiB  1.0 KiB/s\u001b[K", "\r\u001b[K"]);
  });
});
