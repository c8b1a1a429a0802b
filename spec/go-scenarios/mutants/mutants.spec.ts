/** The mutants of rows: that the changed text does what the source does until one is on, and that the ledger counts fairly. */

import ts from "typescript";
import { expect, test } from "vitest";
import { instrument, type Mutant } from "./instrument.ts";
import {
  choose,
  complaints,
  figuresText,
  isBlunt,
  Ledger,
  page,
  parseFigures,
  parseTrials,
  summary,
  trialsText,
} from "./ledger.ts";
import * as switchboard from "./switchboard.ts";

/** The `f` of a source, with its mutants: called with one on, it gives its value and what it met. */
function made(source: string) {
  const { text, mutants } = instrument("lib/a.ts", source, "./switchboard.ts", 0);
  const { outputText } = ts.transpileModule(text.replace(/^import .*?; /, ""), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
  });
  // The function is whatever the source of the case defines; its cases know it.
  const f = new Function("board", `const { ${Object.keys(switchboard).join(", ")} } = board; ${outputText}; return f;`)(
    switchboard,
  ) as (...args: unknown[]) => unknown;
  const call = (change: string | null, ...args: unknown[]) => {
    const mutant = change === null ? null : mutants.find((one) => one.change === change);
    if (mutant === undefined)
      throw new Error(`no mutant ${change} among ${mutants.map((one) => one.change).join("; ")}`);
    switchboard.begin(mutant?.id ?? null);
    try {
      const value = f(...args);
      return { value, met: switchboard.end().map((id) => mutants[id]?.change) };
    } finally {
      switchboard.end();
    }
  };
  return { mutants, call };
}

test("instrument() forces each operand of a condition, and it is met where it was otherwise", () => {
  const { call } = made("function f(a, b) { if (a && !b) return 'x'; return 'y'; }");
  expect(call(null, true, false)).toEqual({ value: "x", met: ["a → false", "b → true", "'x' → \"\""] });
  expect(call("a → false", true, false)).toEqual({ value: "y", met: ["a → false"] });
  expect(call("b → true", true, false)).toEqual({ value: "y", met: ["b → true"] });
  expect(call("a → true", true, false)).toEqual({ value: "x", met: [] });
  expect(call("a → true", false, false)).toEqual({ value: "x", met: ["a → true"] });
});

test.each<[string, string, unknown[], unknown, unknown]>([
  ["function f(a, b) { return a < b; }", "a < b → a <= b", [1, 1], false, true],
  ["function f(a, b) { return a >= b; }", "a >= b → a > b", [1, 1], true, false],
  ["function f(a, b) { return a + b; }", "a + b → a - b", [3, 2], 5, 1],
  ["function f(a, b) { return a - b; }", "a - b → a + b", [3, 2], 1, 5],
  ["function f(a, b) { return a ?? b; }", "a ?? b → b", [3, 2], 3, 2],
  ["function f() { return true; }", "true → false", [], true, false],
  ["function f() { return { a: 1 }; }", "1 → 1 + 1", [], { a: 1 }, { a: 2 }],
  [`function f(a) { return \`<\${a}>\`; }`, `\`<\${a}>\` → ""`, [1], "<1>", ""],
  ["function f(a: number[]) { if (a) a.push(2); else a.pop(); return a; }", "a.push(2); → ;", [[1]], [1, 2], [1]],
  ["function f(a) { return (a as string) === 'x' ? 1 : 2; }", "(a as string) === 'x' → false", ["x"], 1, 2],
])("instrument() in %s has %s", (source, change, args, value, mutated) => {
  const { call } = made(source);
  expect(call(null, ...structuredClone(args)).value).toEqual(value);
  expect(call(null, ...structuredClone(args)).met).toContain(change);
  expect(call(change, ...structuredClone(args))).toEqual({ value: mutated, met: [change] });
});

test.each([
  ["a border that does not decide", "function f(a, b) { return a < b; }", "a < b → a <= b", [1, 2]],
  ["`+` that joins text", "function f(a, b) { return a + b; }", "a + b → a - b", ["1", 2]],
  ["a default that is needed", "function f(a, b) { return a ?? b; }", "a ?? b → b", [null, 2]],
])("instrument() has no case meet %s", (_, source, change, args) => {
  expect(made(source).call(change, ...args)).toEqual({ value: made(source).call(null, ...args).value, met: [] });
});

test("instrument() leaves types, imports, names, cases, error texts and compared strings alone, and lines where they are", () => {
  const source = [
    "import { g } from 'g';",
    "type T = 'a' | 1;",
    "const m = { 'k-1': g as T };",
    "switch (m) {",
    "  case 'b':",
    "}",
    `throw new DialError(\`no \${m} here\`, { cause: m === 'c' });`,
  ].join("\n");
  const { text, mutants } = instrument("lib/a.ts", source, "s", 7);
  expect(mutants.map(({ id, line, change }) => [id, line, change])).toEqual([
    [7, 7, "m === 'c' → true"],
    [8, 7, "m === 'c' → false"],
  ]);
  expect(text.split("\n").slice(1, 6)).toEqual(source.split("\n").slice(1, 6));
});

test("instrument() gives a mutant the same key when its line moves, and each of two alike its own", () => {
  const keys = (source: string) => instrument("lib/a.ts", source, "s", 0).mutants.map(({ key }) => key);
  const [one] = keys("f(1);");
  expect(keys("\n\n  f(1);")[0]).toBe(one);
  expect(new Set(keys("f(1);\nf(1);")).size).toBe(4);
});

test("begin() ends a loop that a mutant made endless", () => {
  const { call } = made("function f(n) { let i = 0; while (i !== n) i++; return i; }");
  expect(call(null, 5).value).toBe(5);
  expect(() => call("i !== n → true", 5)).toThrow(switchboard.RAN_AWAY);
});

const MUTANTS = instrument("lib/a.ts", "f(1);\nif (a) g();\nh(2);", "s", 0).mutants;
const [CALL, ONE, A_TRUE, A_FALSE] = MUTANTS as [Mutant, Mutant, Mutant, Mutant];
const KEYS = new Set(MUTANTS.map(({ key }) => key));
const none = { reach: 1, failed: [], passed: [], late: [] };

test("Ledger.add() counts what a row met and killed; a time that was up is neither", () => {
  const ledger = new Ledger([], [], KEYS, ["TestA", "TestB", "TestC"]);
  ledger.add({ mutant: CALL, spec: "s", reach: 2, failed: ["TestA"], passed: ["TestB"], late: ["TestC"] });
  ledger.add({ ...none, mutant: ONE, spec: "s", failed: ["TestA"] });
  expect(ledger.figures()).toEqual([
    { row: "TestA", met: 2, killed: 2, killer: ONE.key, survived: [] },
    { row: "TestB", met: 1, killed: 0, killer: null, survived: [CALL.key] },
    { row: "TestC", met: 0, killed: 0, killer: null, survived: [] },
  ]);
  expect([ledger.wasTried(CALL, "s"), ledger.wasTried(CALL, "t"), ledger.wasTried(A_TRUE, "s")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(summary(ledger.trials(), ledger.figures())).toBe(
    "2 mutants tried, 2 made a case fail; 3 rows, 2 met a mutant, 1 killed one, 2 listed",
  );
});

test("Ledger.add() counts no kill of a blunt mutant, on the shared road; who survives it has met it", () => {
  expect(isBlunt({ reach: 101, met: 4, failed: 3 })).toBe(true);
  expect(isBlunt({ reach: 101, met: 4, failed: 2 })).toBe(false);
  expect(isBlunt({ reach: 100, met: 4, failed: 4 })).toBe(false);
  const ledger = new Ledger([], [], KEYS, ["TestA", "TestB", "TestC"]);
  ledger.add({ ...none, mutant: CALL, spec: "s", reach: 400, failed: ["TestA", "TestB"], passed: ["TestC"] });
  expect(ledger.figures().map(({ met, killed }) => [met, killed])).toEqual([
    [0, 0],
    [0, 0],
    [1, 0],
  ]);
});

test("Ledger drops what a changed line told, and asks such a row again", () => {
  const before = new Ledger([], [], KEYS, ["TestA", "TestB"]);
  before.add({ ...none, mutant: A_TRUE, spec: "s", failed: ["TestA"], passed: ["TestB"] });
  before.add({ ...none, mutant: ONE, spec: "s", passed: ["TestB"] });
  const trials = parseTrials(trialsText(before.trials()));
  const figures = parseFigures(figuresText(before.figures()));
  expect([trials.length, figures]).toEqual([2, before.figures()]);
  const after = new Ledger(trials, figures, new Set([ONE.key]), ["TestA", "TestB"]);
  expect(after.figures()).toEqual([
    { row: "TestA", met: 0, killed: 0, killer: null, survived: [] },
    { row: "TestB", met: 1, killed: 0, killer: null, survived: [ONE.key] },
  ]);
  expect(after.wasTried(A_TRUE, "s")).toBe(false);
});

test("choose() takes the mutant near the row before the one that all rows meet, none twice, and none for rows in no need", () => {
  const rows = Array.from({ length: 20 }, (_, i) => `Test${i}`);
  const meetings = new Map([
    [
      "s",
      new Map([
        [CALL.id, new Set(rows)],
        [A_TRUE.id, new Set(rows.slice(0, 4))],
      ]),
    ],
    ["t", new Map([[A_FALSE.id, new Set(["TestDone"])]])],
  ]);
  const ledger = new Ledger([], [{ row: "TestDone", met: 9, killed: 1, killer: ONE.key, survived: [] }], KEYS, [
    ...rows,
    "TestDone",
  ]);
  const names = () => choose(ledger, meetings, MUTANTS, () => 0.5).map(({ spec, mutant }) => [spec, mutant.change]);
  expect(names()).toEqual([
    ["s", "a → true"],
    ["s", "f(1); → ;"],
  ]);
  ledger.add({ ...none, mutant: A_TRUE, spec: "s", passed: rows.slice(0, 4) });
  expect(names()).toEqual([["s", "f(1); → ;"]]);
});

test("complaints() names covered rows that met nothing, or killed nothing without a judgement, and idle judgements", () => {
  const ledger = new Ledger([], [], KEYS, ["TestA", "TestB"]);
  ledger.add({ ...none, mutant: CALL, spec: "s", failed: ["TestA"], passed: ["TestB"] });
  const figures = ledger.figures();
  const wrong = (judged: [string, string][]) => complaints(["TestA", "TestB", "TestC"], figures, new Map(judged));
  expect(wrong([["TestB", "why"]])).toEqual([expect.stringMatching(/^TestC: it has met no mutant/)]);
  expect(wrong([["TestA", "why"]])).toEqual([
    expect.stringMatching(/^TestB: it kills no mutant/),
    expect.stringMatching(/^TestC/),
    expect.stringMatching(/^judgements.tsv: TestA/),
  ]);
  expect(page(ledger.trials(), figures, new Map([["TestB", "It cannot."]]))).toContain(
    "\n- TestB: 1 met. It cannot.\n",
  );
  expect(page(ledger.trials(), figures, new Map())).toContain("\n- TestB: 1 met. Not judged yet.\n");
});
