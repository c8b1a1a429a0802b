/**
 * What RFC 9111 and RFC 5861 say, row by row: an answer of the origin, time that passes, a second request, and what the
 * cache does with it.
 */

import { describe, expect, test } from "vitest";
import { type Fields, Harness } from "./harness.ts";

interface Row {
  readonly rfc: string;
  readonly rule: string;
  /** Fields of the origin's answers; `@N` in a value is the date N seconds from the start. */
  readonly answer: Fields;
  readonly status?: number;
  readonly first?: Fields;
  /** Seconds until the second request. Default 10. */
  readonly after?: number;
  readonly second?: Fields;
  readonly private?: true;
  /** What the cache did with the second request. */
  readonly did: string;
}

const STORED = "fwd=uri-miss; stored";
const MISS = "fwd=uri-miss";
const HIT = "hit";
const VALID = "fwd=stale; fwd-status=304";

const rows: Row[] = [
  // ---- §3: what may be stored
  {
    rfc: "§3",
    rule: "a response with max-age is stored and used",
    answer: { "Cache-Control": "max-age=60" },
    did: HIT,
  },
  { rfc: "§3", rule: "one without lifetime and validator is not stored", answer: {}, did: MISS },
  { rfc: "§3", rule: "a 404 with max-age is stored", status: 404, answer: { "Cache-Control": "max-age=60" }, did: HIT },
  {
    rfc: "§3",
    rule: "a 302 needs an explicit lifetime",
    status: 302,
    answer: { "Last-Modified": "@-9999", Location: "/" },
    did: MISS,
  },
  {
    rfc: "§3",
    rule: "a 302 with max-age is stored",
    status: 302,
    answer: { "Cache-Control": "max-age=60", Location: "/" },
    did: HIT,
  },
  {
    rfc: "§3",
    rule: "a 204 has no body and is stored",
    status: 204,
    answer: { "Cache-Control": "max-age=60" },
    did: HIT,
  },
  { rfc: "§3", rule: "a 500 is not stored", status: 500, answer: { "Cache-Control": "max-age=60" }, did: MISS },
  {
    rfc: "§3",
    rule: "a status that is not understood is not stored",
    status: 299,
    answer: { "Cache-Control": "max-age=60" },
    did: MISS,
  },
  // ---- §3.5: Authorization
  {
    rfc: "§3.5",
    rule: "a shared cache stores nothing that an Authorization asked for",
    first: { Authorization: "a" },
    second: { Authorization: "a" },
    answer: { "Cache-Control": "max-age=60" },
    did: MISS,
  },
  {
    rfc: "§3.5",
    rule: "but with public",
    first: { Authorization: "a" },
    answer: { "Cache-Control": "max-age=60, public" },
    did: HIT,
  },
  {
    rfc: "§3.5",
    rule: "but with s-maxage",
    first: { Authorization: "a" },
    answer: { "Cache-Control": "s-maxage=60" },
    did: HIT,
  },
  {
    rfc: "§3.5",
    rule: "but with must-revalidate",
    first: { Authorization: "a" },
    answer: { "Cache-Control": "max-age=60, must-revalidate" },
    did: HIT,
  },
  {
    rfc: "§3.5",
    rule: "a private cache stores it",
    private: true,
    first: { Authorization: "a" },
    second: { Authorization: "a" },
    answer: { "Cache-Control": "max-age=60" },
    did: HIT,
  },
  {
    rfc: "§3.5",
    rule: "a private cache gives no user what another asked for",
    private: true,
    first: { Authorization: "a" },
    second: { Authorization: "b" },
    answer: { "Cache-Control": "max-age=60" },
    did: "fwd=vary-miss; stored",
  },
  {
    rfc: "§3.5",
    rule: "nor to somebody without credentials",
    private: true,
    first: { Authorization: "a" },
    answer: { "Cache-Control": "max-age=60" },
    did: "fwd=vary-miss; stored",
  },
  // ---- §4.1: Vary
  {
    rfc: "§4.1",
    rule: "the same fields choose it",
    first: { "X-A": "1" },
    second: { "x-a": "1" },
    answer: { "Cache-Control": "max-age=60", Vary: "X-A" },
    did: HIT,
  },
  {
    rfc: "§4.1",
    rule: "other fields do not",
    first: { "X-A": "1" },
    second: { "X-A": "2" },
    answer: { "Cache-Control": "max-age=60", Vary: "X-A" },
    did: "fwd=vary-miss; stored",
  },
  {
    rfc: "§4.1",
    rule: "nor a missing one",
    first: { "X-A": "1" },
    answer: { "Cache-Control": "max-age=60", Vary: "X-A" },
    did: "fwd=vary-miss; stored",
  },
  {
    rfc: "§4.1",
    rule: "blanks around commas make no difference",
    first: { "X-A": "1,2" },
    second: { "X-A": "1 , 2" },
    answer: { "Cache-Control": "max-age=60", Vary: "X-A" },
    did: HIT,
  },
  {
    rfc: "§4.1",
    rule: "a field that Vary does not name makes none",
    first: { "X-B": "1" },
    second: { "X-B": "2" },
    answer: { "Cache-Control": "max-age=60", Vary: "X-A" },
    did: HIT,
  },
  { rfc: "§4.1", rule: "Vary: * never matches", answer: { "Cache-Control": "max-age=60", Vary: "X-A, *" }, did: MISS },
  // ---- §4.2: freshness
  {
    rfc: "§4.2.1",
    rule: "max-age ends",
    after: 61,
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§4.2.1",
    rule: "at its very second",
    after: 60,
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§4.2.1",
    rule: "s-maxage goes before max-age in a shared cache",
    after: 30,
    answer: { "Cache-Control": "max-age=10, s-maxage=60", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§4.2.1",
    rule: "and means nothing in a private one",
    private: true,
    after: 30,
    answer: { "Cache-Control": "max-age=10, s-maxage=60", ETag: '"a"' },
    did: VALID,
  },
  { rfc: "§4.2.1", rule: "Expires counts from Date", after: 59, answer: { Expires: "@60" }, did: HIT },
  {
    rfc: "§4.2.1",
    rule: "max-age goes before Expires",
    after: 30,
    answer: { "Cache-Control": "max-age=60", Expires: "@-60" },
    did: HIT,
  },
  {
    rfc: "§5.3",
    rule: "an Expires that is no date is in the past",
    answer: { Expires: "soon", ETag: '"a"' },
    did: VALID,
  },
  { rfc: "§4.2.1", rule: "names of directives have no case", answer: { "Cache-Control": "Max-Age=60" }, did: HIT },
  { rfc: "§4.2.1", rule: "a quoted number counts", answer: { "Cache-Control": 'max-age="60"' }, did: HIT },
  {
    rfc: "§4.2.1",
    rule: "a lifetime that is no number is none",
    answer: { "Cache-Control": "max-age=1m", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§4.2.1",
    rule: "of two the first counts",
    after: 30,
    answer: { "Cache-Control": "max-age=10, max-age=60", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§4.2.2",
    rule: "a tenth of the time since Last-Modified",
    after: 99,
    answer: { "Last-Modified": "@-1000" },
    did: HIT,
  },
  { rfc: "§4.2.2", rule: "and no more", after: 101, answer: { "Last-Modified": "@-1000" }, did: VALID },
  {
    rfc: "§4.2.3",
    rule: "Age counts",
    after: 15,
    answer: { "Cache-Control": "max-age=60", Age: "50", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§4.2.3",
    rule: "so does a Date in the past",
    after: 15,
    answer: { "Cache-Control": "max-age=60", Date: "@-50", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§4.2.3",
    rule: "a Date in the future makes nothing younger",
    after: 61,
    answer: { "Cache-Control": "max-age=60", Date: "@500", ETag: '"a"' },
    did: VALID,
  },
  // ---- §5.2.1: what requests say
  {
    rfc: "§5.2.1.1",
    rule: "max-age: older ones are validated",
    second: { "Cache-Control": "max-age=9" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: "fwd=request; fwd-status=304",
  },
  {
    rfc: "§5.2.1.1",
    rule: "max-age: young enough",
    second: { "Cache-Control": "max-age=10" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§5.2.1.2",
    rule: "max-stale takes any stale one",
    after: 999,
    second: { "Cache-Control": "max-stale" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§5.2.1.2",
    rule: "max-stale up to its seconds",
    after: 70,
    second: { "Cache-Control": "max-stale=10" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§5.2.1.2",
    rule: "and not beyond",
    after: 71,
    second: { "Cache-Control": "max-stale=10" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§5.2.1.3",
    rule: "min-fresh wants more freshness left",
    second: { "Cache-Control": "min-fresh=51" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: "fwd=request; fwd-status=304",
  },
  {
    rfc: "§5.2.1.3",
    rule: "min-fresh gets it",
    second: { "Cache-Control": "min-fresh=50" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§5.2.1.4",
    rule: "no-cache validates",
    second: { "Cache-Control": "no-cache" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: "fwd=request; fwd-status=304",
  },
  {
    rfc: "§5.2.1.5",
    rule: "no-store stores nothing",
    first: { "Cache-Control": "no-store" },
    answer: { "Cache-Control": "max-age=60" },
    did: STORED,
  },
  {
    rfc: "§5.2.1.7",
    rule: "only-if-cached: what is fresh",
    second: { "Cache-Control": "only-if-cached" },
    answer: { "Cache-Control": "max-age=60" },
    did: HIT,
  },
  {
    rfc: "§5.2.1.7",
    rule: "only-if-cached: else a 504",
    after: 61,
    second: { "Cache-Control": "only-if-cached" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: "detail=only-if-cached",
  },
  {
    rfc: "§5.4",
    rule: "Pragma: no-cache is no-cache",
    second: { Pragma: "no-cache" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: "fwd=request; fwd-status=304",
  },
  {
    rfc: "§5.4",
    rule: "but not beside a Cache-Control",
    second: { Pragma: "no-cache", "Cache-Control": "max-age=60" },
    answer: { "Cache-Control": "max-age=60", ETag: '"a"' },
    did: HIT,
  },
  // ---- §5.2.2: what responses say
  {
    rfc: "§5.2.2.2",
    rule: "must-revalidate: fresh ones are used",
    answer: { "Cache-Control": "max-age=60, must-revalidate", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§5.2.2.2",
    rule: "must-revalidate: stale ones never, whatever the request takes",
    after: 61,
    second: { "Cache-Control": "max-stale" },
    answer: { "Cache-Control": "max-age=60, must-revalidate", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§5.2.2.3",
    rule: "must-understand goes before no-store where the status is known",
    answer: { "Cache-Control": "max-age=60, must-understand, no-store" },
    did: HIT,
  },
  {
    rfc: "§5.2.2.3",
    rule: "and stores nothing where it is not",
    status: 299,
    answer: { "Cache-Control": "max-age=60, must-understand, public" },
    did: MISS,
  },
  {
    rfc: "§5.2.2.4",
    rule: "no-cache: validated every time",
    answer: { "Cache-Control": "no-cache, max-age=60", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§5.2.2.4",
    rule: "no-cache: also for a request that takes stale ones",
    second: { "Cache-Control": "max-stale" },
    answer: { "Cache-Control": "no-cache", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§5.2.2.4",
    rule: "no-cache with fields is no-cache, a comma in them separates nothing",
    answer: { "Cache-Control": 'no-cache="a, max-age=9", max-age=60', ETag: '"a"' },
    did: VALID,
  },
  { rfc: "§5.2.2.5", rule: "no-store", answer: { "Cache-Control": "no-store, max-age=60" }, did: MISS },
  {
    rfc: "§5.2.2.7",
    rule: "private is nothing for a shared cache",
    answer: { "Cache-Control": "private, max-age=60" },
    did: MISS,
  },
  {
    rfc: "§5.2.2.7",
    rule: "but for a private one",
    private: true,
    answer: { "Cache-Control": "private, max-age=60" },
    did: HIT,
  },
  {
    rfc: "§5.2.2.8",
    rule: "proxy-revalidate binds a shared cache",
    after: 61,
    second: { "Cache-Control": "max-stale" },
    answer: { "Cache-Control": "max-age=60, proxy-revalidate", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "§5.2.2.8",
    rule: "and not a private one",
    private: true,
    after: 61,
    second: { "Cache-Control": "max-stale" },
    answer: { "Cache-Control": "max-age=60, proxy-revalidate", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "§5.2.2.10",
    rule: "s-maxage forbids a shared cache what is stale",
    after: 61,
    second: { "Cache-Control": "max-stale" },
    answer: { "Cache-Control": "s-maxage=60", ETag: '"a"' },
    did: VALID,
  },
  // ---- §7.3
  {
    rfc: "§7.3",
    rule: "a shared cache stores nothing that sets a cookie",
    answer: { "Cache-Control": "max-age=60", "Set-Cookie": "a=1" },
    did: MISS,
  },
  {
    rfc: "§7.3",
    rule: "but where it is public",
    answer: { "Cache-Control": "max-age=60, public", "Set-Cookie": "a=1" },
    did: HIT,
  },
  // ---- RFC 5861
  {
    rfc: "RFC 5861 §3",
    rule: "stale-while-revalidate: used within its seconds",
    after: 70,
    answer: { "Cache-Control": "max-age=60, stale-while-revalidate=10", ETag: '"a"' },
    did: HIT,
  },
  {
    rfc: "RFC 5861 §3",
    rule: "and not beyond",
    after: 71,
    answer: { "Cache-Control": "max-age=60, stale-while-revalidate=10", ETag: '"a"' },
    did: VALID,
  },
  {
    rfc: "RFC 5861 §3",
    rule: "nor against must-revalidate",
    after: 61,
    answer: { "Cache-Control": "max-age=60, must-revalidate, stale-while-revalidate=10", ETag: '"a"' },
    did: VALID,
  },
  // ---- what passes by
  {
    rfc: "RFC 9110 §14.2",
    rule: "Range is the origin's",
    second: { Range: "bytes=0-1" },
    answer: { "Cache-Control": "max-age=60" },
    did: "fwd=bypass",
  },
  {
    rfc: "RFC 9110 §13.1.1",
    rule: "If-Match too",
    second: { "If-Match": '"a"' },
    answer: { "Cache-Control": "max-age=60" },
    did: "fwd=bypass",
  },
];

describe.each(rows)("$rfc $rule", (row) => {
  test(`→ ${row.did}`, async () => {
    const harness = new Harness({}, { shared: row.private !== true });
    harness.fields = Object.fromEntries(
      Object.entries(row.answer).map(([name, value]) => [
        name,
        value.replace(/@(-?\d+)/, (_, seconds) => harness.httpDate(Number(seconds))),
      ]),
    );
    harness.status = row.status ?? 200;
    await harness.did(row.first);
    await harness.seconds(row.after ?? 10);
    expect(await harness.did(row.second)).toBe(row.did);
    expect(harness.errors).toEqual([]);
    expect(harness.clock.armed).toBe(0);
    await harness.cache.close();
  });
});
