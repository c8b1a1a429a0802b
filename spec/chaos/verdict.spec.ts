/** The rules of the chaos run: each is broken once here, since the run itself shows them kept. */

import { expect, test } from "vitest";
import { judge, type Outcome } from "./verdict.ts";

const FAULTLESS: Outcome = {
  requests: 10,
  right: 10,
  errors: {},
  untyped: [],
  wrong: [],
  wrongCount: 0,
  lost: 0,
  late: 0,
  latest: 0,
  stoodStill: 20,
  residentBefore: 100 * 2 ** 20,
  residentMost: 110 * 2 ** 20,
  pooled: 4,
  left: [],
  uncaught: [],
};

const judged = (change: Partial<Outcome>, twice: readonly string[] = [], harmless = false) =>
  judge({ outcome: { ...FAULTLESS, ...change }, twice }, harmless);

test("judge() finds nothing where every request had its answer or a typed error", () => {
  expect(judged({})).toEqual([]);
  expect(judged({ right: 7, errors: { "ERR_HTTP_TIMEOUT/headers": 2, "ERR_HTTP_DIAL/connect": 1 } })).toEqual([]);
});

test.each<[rule: string, change: Partial<Outcome>, told: RegExp]>([
  ["a request that never settled", { right: 9, lost: 1 }, /^1 requests never settled$/],
  ["a wrong answer", { right: 9, wrongCount: 1, wrong: ["x-3: the answer to x-4"] }, /^1 wrong answers: x-3/],
  ["a request that settled late", { late: 1, latest: 700 }, /^1 requests settled late, one by 700 ms/],
  ["an error without a type", { right: 9, errors: { ECONNRESET: 1 }, untyped: ["Error: x"] }, /^errors without a type/],
  ["memory beyond the bound", { residentMost: 165 * 2 ** 20 }, /^memory grew by 65 MiB/],
  ["what is left after close()", { left: ["2 sockets"] }, /^left after close\(\): 2 sockets$/],
  ["what nobody caught", { uncaught: ["Error: x"] }, /^uncaught: Error: x$/],
  ["a request that ended in no way at all", { right: 9 }, /^the sum of all ends/],
])("judge() tells %s", (_, change, told) => {
  expect(judged(change)).toEqual([expect.stringMatching(told)]);
});

test("judge() tells a POST that the server saw more than once", () => {
  expect(judged({}, ["x-3"])).toEqual(["POSTs sent more than once: x-3"]);
});

test("judge() tells an error where nothing was done", () => {
  const errors = { "ERR_HTTP_TIMEOUT/headers": 1 };
  expect(judged({ right: 9, errors })).toEqual([]);
  expect(judged({ right: 9, errors }, [], true)).toEqual(["1 errors, though nothing was done"]);
});
