/** The judge of the scenarios: that nothing passes it which should not. */

import { expect, test } from "vitest";
import { type Answer, type Case, judge, page, parseAnswers, parseReport, parseRows, tagOf } from "./judge.ts";

const ROWS = parseRows(
  "test\tfile\tarea\tscenario\texpected\nTestA/x, y\ta.go\tpool\tasks\tgets\nTestB\tb.go\twire\twrites\t<reads>\n",
);
const of = (title: string, status = "passed"): Case => ({
  file: "spec/a.spec.ts",
  path: ["a"],
  title,
  status,
  timedOut: false,
});
const BOTH = [of("one [TestA/x, y]"), of("two [TestB]")];
const wrong = (answers: Answer[], cases: Case[]) => judge(ROWS, answers, cases).wrong;

test("tagOf() is what stands in brackets at the very end", () => {
  expect(["a [TestA/x, y]", "[TestB]", "a [TestA] b", "a [Foo]", "a"].map(tagOf)).toEqual([
    "TestA/x, y",
    "TestB",
    null,
    null,
    null,
  ]);
});

test("judge() finds nothing wrong where each row has its answer: cases, or a reason", () => {
  expect(wrong([], BOTH)).toEqual([]);
  expect(wrong([], [...BOTH, of("three [TestB]"), of("untagged"), of("it failed", "failed")])).toEqual([]);
  expect(wrong([{ test: "TestB", kind: "apart", reason: "server-side" }], BOTH.slice(0, 1))).toEqual([]);
  expect(wrong([{ test: "TestB", kind: "open", reason: "to come" }], BOTH)).toEqual([]);
});

test.each<[string, Answer[], Case[], RegExp]>([
  ["a row without an answer", [], BOTH.slice(0, 1), /^TestB: no case ran/],
  ["a case that failed", [], [BOTH[0]!, of("two [TestB]", "failed")], /failed, so it covers nothing/],
  ["a case that was skipped", [], [BOTH[0]!, of("two [TestB]", "skipped")], /skipped, so it covers nothing/],
  ["a tag that names no row", [], [...BOTH, of("three [TestC]")], /names no row/],
  ["a tag that does not stand at the end", [], [...BOTH, of("three [TestB] indeed")], /at the end/],
  ["two tags", [], [...BOTH, of("three [TestA/x, y] [TestB]")], /two tags/],
  ["a reason for what is covered", [{ test: "TestB", kind: "apart", reason: "x" }], BOTH, /a case covers it now/],
  ["a reason for no row", [{ test: "TestC", kind: "apart", reason: "x" }], BOTH, /no such row/],
  [
    "more than 5 % open",
    [{ test: "TestB", kind: "open", reason: "x" }],
    BOTH.slice(0, 1),
    /1 of 2 rows that apply are open/,
  ],
])("judge() says so of %s", (_, answers, cases, message) => {
  expect(wrong(answers, cases)).toContainEqual(expect.stringMatching(message));
});

test("parseAnswers() refuses a line without a reason, or of another kind", () => {
  expect(() => parseAnswers("test\tkind\treason\nTestB\tapart\t\n")).toThrow("TestB");
  expect(() => parseAnswers("test\tkind\treason\nTestB\tmaybe\tx\n")).toThrow("TestB");
});

test("parseReport() has the cases in the order of their files, however these ended", () => {
  const result = (name: string) => ({
    name: `/r/spec/${name}`,
    assertionResults: ["1", "2"].map((title) => ({ ancestorTitles: [], title, status: "passed" })),
  });
  const read = (...names: string[]) => parseReport(JSON.stringify({ testResults: names.map(result) }), "/r/");
  const cases = read("b.spec.ts", "a.spec.ts", "c.spec.ts");
  expect(cases.map(({ file, title }) => `${file} ${title}`)).toEqual([
    "spec/a.spec.ts 1",
    "spec/a.spec.ts 2",
    "spec/b.spec.ts 1",
    "spec/b.spec.ts 2",
    "spec/c.spec.ts 1",
    "spec/c.spec.ts 2",
  ]);
  expect(read("c.spec.ts", "b.spec.ts", "a.spec.ts")).toEqual(cases);
});

test("page() has the totals first, and names what answers each row", () => {
  const report = {
    testResults: [
      {
        name: "/r/spec/a.spec.ts",
        assertionResults: [{ ancestorTitles: ["a"], title: "one | [TestA/x, y]", status: "passed" }],
      },
    ],
  };
  const cases = parseReport(JSON.stringify(report), "/r/");
  const text = page(ROWS, judge(ROWS, [{ test: "TestB", kind: "apart", reason: "server-side: writing" }], cases));
  expect(text).toContain("| covered | 1 (100.0 % of those) |");
  expect(text).toContain("| – server-side | 1 |");
  expect(text).toContain("| TestA/x, y | asks | gets | spec/a.spec.ts: a › one \\| |");
  expect(text).toContain("| TestB | writes | &lt;reads> | *does not apply:* server-side: writing |");
});
