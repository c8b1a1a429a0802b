/** The pure parts: directives, dates, and that our verdicts agree with the package's where both speak. */

import CachePolicy from "http-cache-semantics";
import { describe, expect, test } from "vitest";
import { parseDirectives, secondsOf } from "../../lib/cache/cache-control.ts";
import { judge } from "../../lib/cache/freshness.ts";
import { Invalidations } from "../../lib/cache/invalidations.ts";
import { loadPolicy } from "../../lib/cache/policy.ts";
import { formatHttpDate, parseHttpDate } from "../../lib/message/http-date.ts";

describe("parseDirectives() (RFC 9111 §5.2)", () => {
  test.each([
    ["", []],
    ["max-age=5", [["max-age", "5"]]],
    [
      "Max-Age=5,NO-CACHE",
      [
        ["max-age", "5"],
        ["no-cache", null],
      ],
    ],
    [
      'private="a, b=1", public',
      [
        ["private", "a, b=1"],
        ["public", null],
      ],
    ],
    [
      'x="a\\"b, no-store", y',
      [
        ["x", 'a\\"b, no-store'],
        ["y", null],
      ],
    ],
    [
      " , ,a , b = 1 ,",
      [
        ["a", null],
        ["b", "1"],
      ],
    ],
    ["a=1, a=2", [["a", "1"]]],
    [
      "__proto__=1, constructor",
      [
        ["__proto__", "1"],
        ["constructor", null],
      ],
    ],
    [
      'no-store, x="unclosed',
      [
        ["no-store", null],
        ["x", ""],
        ["unclosed", null],
      ],
    ],
    [
      "=5, no-store",
      [
        ["5", null],
        ["no-store", null],
      ],
    ],
  ])("%j", (text, wanted) => {
    expect([...parseDirectives(text)]).toEqual(wanted);
  });

  test("takes the time of its length, whatever stands there", () => {
    const start = performance.now();
    for (const text of ['"'.repeat(1e5), "=".repeat(1e5), `a="${"\\".repeat(1e5)}`, `a=${" ".repeat(1e5)}`])
      parseDirectives(text);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  test.each([
    ["max-age=5", 5],
    ["max-age=99999999999999999999", 2 ** 31],
    ["max-age", 0],
    ["max-age=-1", 0],
    ["max-age=1.5", 0],
    ["max-age=", 0],
    ["other", null],
  ])("secondsOf() of %j is %s (RFC 9111 §1.2.2)", (text, seconds) => {
    expect(secondsOf(parseDirectives(text), "max-age")).toBe(seconds);
  });
});

describe("parseHttpDate() (RFC 9110 §5.6.7)", () => {
  const now = Date.UTC(2026, 0, 1);
  const at = Date.UTC(1994, 10, 6, 8, 49, 37);
  test.each([
    ["Sun, 06 Nov 1994 08:49:37 GMT", at],
    ["Sunday, 06-Nov-94 08:49:37 GMT", at],
    ["Sun Nov  6 08:49:37 1994", at],
    ["Friday, 01-Jan-77 00:00:00 GMT", Date.UTC(1977, 0, 1)],
    ["Wednesday, 01-Jan-76 00:00:00 GMT", Date.UTC(2076, 0, 1)],
    ["0", null],
    ["", null],
    ["1994-11-06T08:49:37Z", null],
    ["Sun, 06 Nov 1994 08:49:37 +0100", null],
    ["Sun, 06 Nov 1994 25:49:37 GMT", null],
    ["Sun, 00 Nov 1994 08:49:37 GMT", null],
    ["Sun, 06 Xyz 1994 08:49:37 GMT", null],
  ])("%j", (text, wanted) => {
    expect(parseHttpDate(text, now)).toBe(wanted);
  });

  test("each of the three forms is read, and junk is none [TestParseTime]", () => {
    const forms = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    expect(forms.map((form) => parseHttpDate(form, now))).toEqual([at, at, at]);
    for (const junk of ["", "junk", ...forms.map((form) => `${form}x`)]) expect(parseHttpDate(junk, now)).toBeNull();
  });

  test("reads what formatHttpDate() writes", () => {
    expect(formatHttpDate(at)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
  });
});

describe("verdicts", () => {
  const responses = [
    "max-age=60",
    "max-age=60, stale-while-revalidate=20",
    "no-cache, max-age=60",
    "max-age=0",
    "public",
    "s-maxage=60, max-age=10",
  ];
  const requests = ["", "no-cache", "max-age=10", "max-age=100", "min-fresh=20", "max-stale", "max-stale=4"];
  const ages = [0, 5, 30, 59, 61, 75, 500];

  // Left out is where they differ: must-revalidate (fresh is fresh), max-stale against no-cache and s-maxage (§4.2.4), and
  // a staleness of exactly max-stale ("no more than", §5.2.1.2).
  test.each(responses)("agree with the package's on Cache-Control: %s", async (control) => {
    const policyOf = await loadPolicy({ shared: true, heuristic: 0.1 });
    const response = parseDirectives(control);
    for (const asked of requests) {
      if (/^s-maxage|^no-cache/.test(control) && asked.startsWith("max-stale")) continue;
      for (const age of ages) {
        const theirs = new CachePolicy(
          { url: "/", method: "GET", headers: {} },
          { status: 200, headers: { "cache-control": control, age: `${age}` } },
        ).evaluateRequest({ url: "/", method: "GET", headers: { "cache-control": asked } });
        const lifetime = policyOf({
          url: "/",
          authorized: false,
          request: new Map(),
          status: 200,
          response,
          fields: () => null,
          responseTime: 0,
        });
        const verdict = judge({
          age,
          lifetime: lifetime ?? 0,
          response,
          request: parseDirectives(asked),
          shared: true,
        });
        const word =
          theirs.response === undefined ? "ask" : theirs.revalidation === undefined ? "use" : "use-and-refresh";
        const ours = verdict === "stale" || verdict === "refused" ? "ask" : verdict;
        expect(`${asked} at ${age}: ${ours}`).toBe(`${asked} at ${age}: ${word}`);
      }
    }
  });
});

describe("Invalidations", () => {
  test("know what came after a point, and are careful where they forgot", () => {
    const invalidations = new Invalidations();
    const before = invalidations.now;
    invalidations.add("a");
    const after = invalidations.now;
    expect([invalidations.since("a", before), invalidations.since("a", after)]).toEqual([true, false]);
    expect(invalidations.since("b", before)).toBe(false);
    for (let i = 0; i < 5_000; i++) invalidations.add(`k${i}`);
    expect(invalidations.since("a", before)).toBe(true);
    expect(invalidations.since("b", before)).toBe(true);
    expect(invalidations.since("b", invalidations.now)).toBe(false);
  });
});
