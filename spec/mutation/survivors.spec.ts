/** The figures of a mutation run, and how survivors are known again. */

import { describe, expect, test } from "vitest";
import { figuresOf, judge, type Mutant, pageOf, parseJudgements, scoreOf, survivorsOf, tableOf } from "./survivors.ts";

const SOURCE = "const a = 1;\nif (a > 0) {\n  done(a);\n}\n";

/** A mutant of the condition in SOURCE. */
function mutant(status: string, replacement = "true"): Mutant {
  const location = { start: { line: 2, column: 5 }, end: { line: 2, column: 10 } };
  return { fileName: "lib/a.ts", mutatorName: "ConditionalExpression", replacement, location, status };
}

const KEY = "lib/a.ts\tConditionalExpression\tif (a > 0) {\ta > 0\ttrue";

describe("scoreOf()", () => {
  test.each([
    [["Killed", "Timeout", "Survived", "NoCoverage"], 50],
    [["Killed", "Killed", "Killed", "NoCoverage"], 75],
    [["Killed", "Ignored", "RuntimeError", "CompileError"], 100],
    [[], 100],
  ])("of %j is %d", (statuses, score) => {
    expect(scoreOf(figuresOf(statuses.map((status) => mutant(status))))).toBe(score);
  });
});

test("tableOf() adds the areas up, and weighs them by their mutants", () => {
  const areas = new Map([
    ["one", figuresOf([mutant("Killed"), mutant("Killed"), mutant("Timeout")])],
    ["two", figuresOf([mutant("Survived"), mutant("Ignored"), mutant("RuntimeError")])],
  ]);
  expect(tableOf(areas).split("\n").slice(2)).toEqual([
    "| one | 3 | 2 | 1 | 0 | 0 | 0 | 0 | 100.00 % |",
    "| two | 3 | 0 | 0 | 1 | 0 | 1 | 1 | 0.00 % |",
    "| **all** | 6 | 2 | 1 | 1 | 0 | 1 | 1 | 75.00 % |",
  ]);
});

describe("survivorsOf()", () => {
  test("lists what survived and what no spec meets, with what stood there", () => {
    const all = [mutant("Killed"), mutant("Survived"), mutant("NoCoverage", "false")];
    expect(survivorsOf(all, () => SOURCE)).toEqual([
      { file: "lib/a.ts", line: 2, covered: true, key: KEY },
      { file: "lib/a.ts", line: 2, covered: false, key: KEY.replace(/true$/, "false") },
    ]);
  });

  test("shows what runs over lines as one line", () => {
    const block = {
      ...mutant("Survived", "{}"),
      location: { start: { line: 2, column: 12 }, end: { line: 4, column: 2 } },
    };
    expect(survivorsOf([block], () => SOURCE)[0]?.key).toBe(
      "lib/a.ts\tConditionalExpression\tif (a > 0) {\t{ done(a); }\t{}",
    );
  });
});

describe("judge()", () => {
  const survivor = { file: "lib/a.ts", line: 2, covered: true, key: KEY };

  test("knows a survivor again wherever its line went", () => {
    const moved = survivorsOf(
      [{ ...mutant("Survived"), location: { start: { line: 4, column: 5 }, end: { line: 4, column: 10 } } }],
      () => `\n\n${SOURCE}`,
    );
    const { judged, stale } = judge(moved, parseJudgements(`# file\n${KEY}\t1\tnever below 1\n`));
    expect(judged).toEqual([[{ ...survivor, line: 4 }, "never below 1"]]);
    expect(stale).toEqual([]);
  });

  test("one more that is alike is a new one", () => {
    const { judged } = judge([survivor, survivor], parseJudgements(`${KEY}\t1\twhy`));
    expect(judged.map(([, why]) => why)).toEqual(["why", null]);
  });

  test("tells the judgements of those that are caught by now", () => {
    expect(judge([], parseJudgements(`${KEY}\t2\twhy`)).stale).toEqual([{ key: KEY, count: 2, why: "why" }]);
  });

  test("refuses a line of another shape", () => {
    expect(() => parseJudgements(`${KEY}\twhy`)).toThrow("seven parts are wanted");
  });
});

test("pageOf() says which survivors nobody judged and which no spec meets", () => {
  const one = { file: "lib/a.ts", line: 2, covered: true, key: KEY };
  const page = pageOf("TABLE", "It took 1 s.", [
    [one, null],
    [{ ...one, covered: false }, "why"],
  ]);
  expect(page).toContain("| 2 | ConditionalExpression | `a > 0` → `true` | **not judged** |");
  expect(page).toContain("| 2 | ConditionalExpression | `a > 0` → `true` | no spec meets it: why |");
});
