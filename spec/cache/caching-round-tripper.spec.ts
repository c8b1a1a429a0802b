/** What callers get of a cache, and what its origin is asked: over an origin in memory, on virtual time. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { CachingRoundTripper } from "../../lib/cache/caching-round-tripper.ts";
import { MemoryStore } from "../../lib/cache/memory-store.ts";
import { Client, ConnectionClosedError, Request, Response, TimeoutError } from "../../lib/index.ts";
import { errorOf, gated, Harness, statusOf, URL_ } from "./harness.ts";

const STALE = "stale; fwd-status=304";

describe("an answer from the store", () => {
  test("is the stored one, with its age now (RFC 9111 §5.1)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", Age: "5", "X-Thing": "a", "Content-Type": "text/x" });
    await harness.get();
    await harness.seconds(7);
    harness.version = 2;
    const request = new Request(URL_);
    const response = await harness.cache.roundTrip(request);
    expect(response).toMatchObject({ status: 200, url: URL_, redirected: false, framing: "length", connection: null });
    expect(response.request).toBe(request);
    expect(response.headers.get("age")).toBe("12");
    expect(response.headers.get("x-thing")).toBe("a");
    expect(response.headers.get("date")).toBe(harness.httpDate(-7));
    expect(response.headers.get("cache-status")).toBe("persistconn; hit; ttl=48");
    expect(await response.text()).toBe("version 1");
    expect(response.trailers?.raw).toEqual([]);
    expect(harness.count).toBe(1);
  });

  test("keeps order, case and repeats of its fields, and none of the connection's (RFC 9111 §3.1)", async () => {
    const harness = new Harness();
    const headers: [string, string][] = [
      ["X-One", "1"],
      ["Connection", "close, X-Hop"],
      ["x-TWO", "2"],
      ["X-Hop", "h"],
      ["Keep-Alive", "timeout=5"],
      ["X-One", "3"],
      ["Date", harness.httpDate()],
      ["Cache-Control", "max-age=60"],
    ];
    harness.next = () => new Response("x", { headers });
    await harness.get();
    const raw = (await harness.send()).headers.raw.filter(([name]) => /^x-|hop|conn|keep/i.test(name));
    expect(raw.map(([name, value]) => `${name}: ${value}`)).toEqual(["X-One: 1", "x-TWO: 2", "X-One: 3"]);
  });

  test("has a Date, where the origin gave none (RFC 9110 §6.6.1)", async () => {
    const harness = new Harness();
    harness.next = () => new Response("x", { headers: { "Cache-Control": "max-age=60" } });
    await harness.get();
    const date = harness.httpDate();
    await harness.seconds(5);
    expect((await harness.send()).headers.get("date")).toBe(date);
  });

  test("is each caller's own: what one does to the bytes, others do not see", async () => {
    const harness = new Harness();
    const first = await (await harness.send()).bytes();
    first.fill(0);
    const second = await (await harness.send()).bytes();
    second.fill(0);
    expect(await harness.get()).toBe("200 version 1 | hit");
  });

  test("goes out in every form of reading", async () => {
    const harness = new Harness();
    await harness.get();
    const streamed: string[] = [];
    for await (const chunk of (await harness.send()).body ?? []) streamed.push(Buffer.from(chunk).toString());
    for await (const chunk of (await harness.send()).readable()) streamed.push(`${chunk}`);
    const twice = await harness.send();
    const copy = twice.clone();
    streamed.push(await copy.text(), await twice.text());
    expect(streamed).toEqual(Array(4).fill("version 1"));
    expect(harness.count).toBe(1);
  });

  test("serves HEAD from what GET stored, without a body (RFC 9110 §9.3.2)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", "X-Thing": "a" });
    await harness.get();
    const response = await harness.send({ method: "HEAD" });
    expect(response.body).toBeNull();
    expect(response.headers.get("x-thing")).toBe("a");
    expect(statusOf(response)).toBe("hit");
  });

  test("is not made of what HEAD got", async () => {
    const harness = new Harness();
    expect(await harness.did({}, URL_, "HEAD")).toBe("fwd=uri-miss");
    expect(await harness.get()).toBe("200 version 1 | fwd=uri-miss; stored");
  });

  test("is for its own URI: query, port, scheme and a Host of the caller's tell them apart", async () => {
    const harness = new Harness();
    await harness.get();
    for (const url of [`${URL_}?a`, "http://origin.test:81/thing", "https://origin.test/thing"]) {
      expect(await harness.did({}, url)).toBe("fwd=uri-miss; stored");
    }
    expect(await harness.did({ Host: "other.test" })).toBe("fwd=uri-miss; stored");
    const response = await harness.send({ target: "/other" });
    expect(statusOf(response)).toBe("fwd=uri-miss; stored");
    expect(await harness.did({}, `${URL_}#part`)).toBe("hit");
  });

  test("never brings a cookie back that was set once", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", "Set-Cookie": "session=old" }, { shared: false });
    expect((await harness.send()).headers.getSetCookie()).toEqual(["session=old"]);
    await harness.get();
    const response = await harness.send();
    expect(statusOf(response)).toBe("hit");
    expect(response.headers.getSetCookie()).toEqual([]);
  });

  test("keeps several variants of one URI (RFC 9111 §4.1)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", Vary: "Accept-Language" });
    await harness.get({ "Accept-Language": "de" });
    harness.version = 2;
    await harness.get({ "Accept-Language": "en" });
    expect(await harness.get({ "Accept-Language": "de" })).toBe("200 version 1 | hit");
    expect(await harness.get({ "Accept-Language": "en" })).toBe("200 version 2 | hit");
  });

  test("does not show credentials to the store", async () => {
    const store = new MemoryStore();
    const harness = new Harness({ "Cache-Control": "max-age=60" }, { shared: false, store });
    await harness.get({ Authorization: "Bearer secret" });
    const [entry] = store.find(`private ${URL_}`);
    expect(entry).toMatchObject({ vary: ["authorization"], authorized: true });
    expect(JSON.stringify(entry)).not.toContain("secret");
  });

  test("stays as encoded as the caller asked for it, also where the server forgets Vary", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", "Content-Encoding": "x-odd" });
    expect(await harness.did({ "Accept-Encoding": "x-odd" })).toBe("fwd=uri-miss; stored");
    expect(await harness.did()).toBe("fwd=vary-miss; stored");
    expect(await harness.did({ "Accept-Encoding": "x-odd" })).toBe("hit");
  });
});

describe("only-if-cached", () => {
  test("without anything stored is a 504 that asked nobody (RFC 9111 §5.2.1.7)", async () => {
    const harness = new Harness();
    const response = await harness.send({ headers: { "Cache-Control": "only-if-cached" } });
    expect(response).toMatchObject({ status: 504, statusText: "Gateway Timeout" });
    expect(await response.text()).toBe("");
    expect(response.headers.get("cache-status")).toBe("persistconn; detail=only-if-cached");
    expect(harness.count).toBe(0);
  });
});

describe("validation", () => {
  test("asks with what is known, and nothing of the caller's request changes (RFC 9111 §4.3.1)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"', "Last-Modified": "@" });
    harness.fields = { ...harness.fields, "Last-Modified": harness.httpDate(-100) };
    await harness.get();
    await harness.seconds(61);
    const request = new Request(URL_, { headers: { "X-Mine": "1" } });
    const response = await harness.cache.roundTrip(request);
    expect(await response.text()).toBe("version 1");
    expect(harness.site.sent("if-none-match")).toEqual([null, '"v1"']);
    expect(harness.site.sent("if-modified-since")).toEqual([null, harness.fields["Last-Modified"]]);
    expect(harness.site.sent("x-mine")).toEqual([null, "1"]);
    expect(request.headers.raw).toEqual([["X-Mine", "1"]]);
    expect(response.request).toBe(request);
  });

  test("by a 304 updates what is stored: fields change, come and stay, those of the body do not (RFC 9111 §3.2)", async () => {
    const harness = new Harness({
      "Cache-Control": "max-age=60",
      ETag: '"a"',
      "X-Old": "1",
      "X-Both": "1",
      "Content-Type": "text/a",
      Age: "3",
    });
    await harness.get();
    await harness.seconds(61);
    harness.fields = {
      "Cache-Control": "max-age=100",
      ETag: '"a"',
      "X-New": "2",
      "X-Both": "2",
      "Content-Type": "text/b",
    };
    expect(await harness.get()).toBe(`200 version 1 | fwd=${STALE}`);
    await harness.seconds(99);
    const response = await harness.send();
    expect(statusOf(response)).toBe("hit");
    const shown = ["x-old", "x-new", "x-both", "content-type", "age"].map((name) => response.headers.get(name));
    expect(shown).toEqual(["1", "2", "2", "text/a", "99"]);
    expect(harness.count).toBe(2);
  });

  test("by a 200 puts the new one in its place (RFC 9111 §4.3.3)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    await harness.get();
    await harness.seconds(61);
    harness.version = 2;
    expect(await harness.get()).toBe("200 version 2 | fwd=stale; stored");
    expect(await harness.get()).toBe("200 version 2 | hit");
  });

  test("by an answer that may not be stored leaves nothing of the old one", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60, stale-while-revalidate=999", ETag: '"*v"' });
    await harness.get();
    harness.version = 2;
    harness.fields = { "Cache-Control": "no-store" };
    expect(await harness.get({ "Cache-Control": "no-cache" })).toBe("200 version 2 | fwd=request");
    expect(await harness.get()).toBe("200 version 2 | fwd=uri-miss");
  });

  test("by a 304 that says no-store answers once more, and forgets", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await harness.get();
    await harness.seconds(61);
    harness.fields = { "Cache-Control": "no-store", ETag: '"a"' };
    expect(await harness.get()).toBe(`200 version 1 | fwd=${STALE}`);
    expect(await harness.get()).toBe("200 version 1 | fwd=uri-miss");
  });

  test("by a 304 about another version asks again without conditions (RFC 9111 §4.3.4)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    await harness.get();
    await harness.seconds(61);
    harness.version = 2;
    harness.next = () => new Response(null, { status: 304, headers: { ETag: '"v2"' } });
    expect(await harness.get()).toBe("200 version 2 | fwd=stale; stored");
    expect(harness.site.sent("if-none-match")).toEqual([null, '"v1"', null]);
  });

  test.each([
    ['W/"a"', 'W/"a"', true],
    ['W/"a"', '"a"', true],
    ['"a"', '"b"', false],
    ['W/"a"', 'W/"b"', false],
  ])("compares the tag %s with %s of a 304: %s (RFC 9110 §8.8.3.2)", async (stored, confirmed, same) => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: stored });
    await harness.get();
    await harness.seconds(61);
    harness.next = () => new Response(null, { status: 304, headers: { ETag: confirmed } });
    await harness.get();
    expect(harness.count).toBe(same ? 2 : 3);
  });

  test("gives the cookies of a 304 to its caller, and to nobody else", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' }, { shared: false });
    await harness.get();
    await harness.seconds(61);
    harness.fields = { ...harness.fields, "Set-Cookie": "a=1" };
    expect((await harness.send()).headers.getSetCookie()).toEqual(["a=1"]);
    expect((await harness.send()).headers.getSetCookie()).toEqual([]);
  });

  test("by HEAD freshens what GET stored (RFC 9111 §4.3.5)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    await harness.get();
    await harness.seconds(61);
    harness.next = () =>
      new Response(null, { headers: { "Cache-Control": "max-age=60", ETag: '"v1"', Date: harness.httpDate() } });
    expect(await harness.did({}, URL_, "HEAD")).toBe("fwd=stale");
    expect(await harness.get()).toBe("200 version 1 | hit");
  });

  test("by HEAD that describes another version forgets it", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    await harness.get();
    harness.version = 2;
    await harness.did({ "Cache-Control": "no-cache" }, URL_, "HEAD");
    expect(await harness.get()).toBe("200 version 2 | fwd=uri-miss; stored");
  });

  test("of many at once asks once: a 304 serves all who came meanwhile", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await harness.get();
    await harness.seconds(61);
    const gate = gated<Response>();
    harness.next = () => gate.promise;
    const calls = [harness.get(), harness.get(), harness.get()];
    await harness.clock.settle();
    expect(harness.count).toBe(2);
    gate.resolve(new Response(null, { status: 304, headers: { ETag: '"a"', "Cache-Control": "max-age=60" } }));
    const collapsed = `200 version 1 | fwd=${STALE}; collapsed`;
    expect(await Promise.all(calls)).toEqual([`200 version 1 | fwd=${STALE}`, collapsed, collapsed]);
    expect(harness.count).toBe(2);
  });

  test("that fails fails its own caller only: the others ask for themselves", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await harness.get();
    await harness.seconds(61);
    const gate = gated<Response>();
    harness.next = () => gate.promise;
    const first = errorOf(harness.get());
    const second = harness.get();
    await harness.clock.settle();
    const lost = new Error("lost");
    gate.reject(lost);
    expect(await first).toBe(lost);
    expect(await second).toBe(`200 version 1 | fwd=${STALE}`);
  });

  test("waits for nobody where the request wants its own", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await harness.get();
    await harness.seconds(61);
    const gate = gated<Response>();
    harness.next = () => gate.promise;
    const first = harness.get();
    await harness.clock.settle();
    expect(await harness.did({ "Cache-Control": "no-cache" })).toBe("fwd=request; fwd-status=304");
    gate.resolve(new Response(null, { status: 304 }));
    await first;
  });
});

describe("conditions of the caller's own (RFC 9111 §4.3.2)", () => {
  const rows: [rule: string, asked: Record<string, string>, status: number][] = [
    ["a tag that is stored", { "If-None-Match": '"v1"' }, 304],
    ["a weak one: the comparison is weak", { "If-None-Match": 'W/"v1"' }, 304],
    ["one of a list, with a comma in another", { "If-None-Match": '"x,y", "v1"' }, 304],
    ["any", { "If-None-Match": "*" }, 304],
    ["another tag", { "If-None-Match": '"v2"' }, 200],
    [
      "another tag goes before a date that holds",
      { "If-None-Match": '"v2"', "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT" },
      200,
    ],
    ["a date after the last change", { "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT" }, 304],
    ["in an obsolete form", { "If-Modified-Since": "Thursday, 01-Jan-26 00:00:00 GMT" }, 304],
    ["in the other one", { "If-Modified-Since": "Thu Jan  1 00:00:00 2026" }, 304],
    ["a date before it", { "If-Modified-Since": "Mon, 01 Dec 2025 00:00:00 GMT" }, 200],
    ["what is no date", { "If-Modified-Since": "yesterday" }, 200],
  ];
  test.each(rows)("%s, of a fresh one: %j → %i", async (_, headers, status) => {
    const harness = new Harness({
      "Cache-Control": "max-age=60",
      ETag: '"*v"',
      "Last-Modified": "Wed, 31 Dec 2025 00:00:00 GMT",
      "Content-Type": "text/x",
    });
    await harness.get();
    const response = await harness.send({ headers });
    expect(response.status).toBe(status);
    expect(response.headers.get("etag")).toBe('"v1"');
    expect(response.headers.get("content-type")).toBe(status === 304 ? null : "text/x");
    expect(await response.text()).toBe(status === 304 ? "" : "version 1");
    expect(harness.count).toBe(1);
  });

  test("of a stale one go out with ours, and a 304 to ours is the caller's 200", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    await harness.get();
    await harness.seconds(61);
    expect(await harness.get({ "If-None-Match": '"v0"' })).toBe(`200 version 1 | fwd=${STALE}`);
    expect(harness.site.sent("if-none-match")).toEqual([null, '"v0", "v1"']);
  });

  test("that hold are a 304 to the caller, whatever is stored", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    await harness.get();
    await harness.seconds(61);
    harness.version = 2;
    expect(await harness.get({ "If-None-Match": '"v2"' })).toBe("304  | fwd=stale");
    expect(await harness.get({ "If-None-Match": '"v2"' }, `${URL_}?other`)).toBe("304  | fwd=uri-miss");
  });

  test("that do not hold store the 200 that comes", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"*v"' });
    expect(await harness.get({ "If-None-Match": '"v0"' })).toBe("200 version 1 | fwd=uri-miss; stored");
    expect(await harness.get()).toBe("200 version 1 | hit");
  });
});

describe("stale-while-revalidate (RFC 5861 §3)", () => {
  const FIELDS = { "Cache-Control": "max-age=60, stale-while-revalidate=60", ETag: '"*v"' };

  test("answers at once, and validates once behind that", async () => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    harness.version = 2;
    expect(await Promise.all([harness.get(), harness.get()])).toEqual(Array(2).fill("200 version 1 | hit"));
    await harness.clock.settle();
    expect(harness.count).toBe(2);
    expect(harness.site.sent("if-none-match")).toEqual([null, '"v1"']);
    expect(await harness.get()).toBe("200 version 2 | hit");
  });

  test("carries nothing of the call that set it off: no signal, no condition, no HEAD", async () => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    const abort = new AbortController();
    await harness.send({ method: "HEAD", headers: { "If-None-Match": '"x"' } }, { signal: abort.signal });
    abort.abort();
    await harness.clock.settle();
    const seen = harness.site.seen.at(-1);
    expect(seen?.method).toBe("GET");
    expect(seen?.request.headers.get("if-none-match")).toBe('"v1"');
    expect(seen?.call?.signal).not.toBe(abort.signal);
  });

  test("that fails is nobody's error, and the next request tries again", async () => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    harness.next = () => Promise.reject(new Error("lost"));
    expect(await harness.did()).toBe("hit");
    await harness.clock.settle();
    expect(await harness.did()).toBe("hit");
    await harness.clock.settle();
    expect(harness.count).toBe(3);
  });

  test("ends with close()", async () => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    const gate = gated<Response>();
    harness.next = () => gate.promise;
    await harness.did();
    await harness.clock.settle();
    const { signal } = harness.site.seen.at(-1)?.call ?? {};
    const closed = harness.cache.close();
    expect(signal?.aborted).toBe(true);
    gate.reject(signal?.reason);
    await closed;
    expect(inspect(harness.cache)).toBe("CachingRoundTripper { shared, 0 entries, 0 bytes, 0 refreshing }");
  });
});

describe("stale-if-error (RFC 5861 §4)", () => {
  const FIELDS = { "Cache-Control": "max-age=60, stale-if-error=60", ETag: '"a"' };
  const lost = new ConnectionClosedError("lost", {});

  test.each([500, 502, 503, 504])("stands in for a %i", async (status) => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    harness.next = () => new Response("down", { status });
    expect(await harness.get()).toBe(`200 version 1 | fwd=stale; fwd-status=${status}; detail=stale-if-error`);
  });

  test("stands in for an error of the way", async () => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    harness.next = () => Promise.reject(lost);
    expect(await harness.get()).toBe("200 version 1 | fwd=stale; detail=stale-if-error");
  });

  test("may be asked for by the request", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await harness.get();
    await harness.seconds(61);
    harness.next = () => Promise.reject(lost);
    expect(await harness.did({ "Cache-Control": "stale-if-error=5" })).toBe("fwd=stale; detail=stale-if-error");
  });

  test.each([
    ["beyond its seconds", FIELDS, {}, 121],
    ["without a word of it", { "Cache-Control": "max-age=60", ETag: '"a"' }, {}, 61],
    [
      "against must-revalidate",
      { "Cache-Control": "max-age=60, stale-if-error=60, must-revalidate", ETag: '"a"' },
      {},
      61,
    ],
    ["against the request's no-cache", FIELDS, { "Cache-Control": "no-cache" }, 61],
  ])("does not: %s", async (_, fields, headers, after) => {
    const harness = new Harness(fields);
    await harness.get();
    await harness.seconds(after);
    harness.next = () => Promise.reject(lost);
    expect(await errorOf(harness.get(headers))).toBe(lost);
    harness.next = () => new Response("down", { status: 503 });
    expect((await harness.send({ headers })).status).toBe(503);
    // A server that is down has said nothing of what is stored.
    harness.fields = fields;
    expect(await harness.get(headers)).toContain("fwd-status=304");
  });

  test("does not stand in for the caller's own abort", async () => {
    const harness = new Harness(FIELDS);
    await harness.get();
    await harness.seconds(61);
    const abort = new AbortController();
    harness.next = () => {
      abort.abort(new Error("enough"));
      return Promise.reject(abort.signal.reason);
    };
    expect(await errorOf(harness.send({}, { signal: abort.signal }))).toMatchObject({ message: "enough" });
  });
});

describe("invalidation (RFC 9111 §4.4)", () => {
  const other = "http://origin.test/other";

  test.each(["POST", "PUT", "DELETE", "PATCH", "X-UNKNOWN"])("%s forgets its URI", async (method) => {
    const harness = new Harness();
    await harness.get();
    expect(await harness.did({}, URL_, method)).toBe("fwd=method");
    expect(await harness.did()).toBe("fwd=uri-miss; stored");
  });

  test.each(["OPTIONS", "TRACE"])("%s does not", async (method) => {
    const harness = new Harness();
    await harness.get();
    await harness.did({}, URL_, method);
    expect(await harness.did()).toBe("hit");
  });

  test.each([
    ["Location", "/other", "fwd=uri-miss; stored"],
    ["Content-Location", other, "fwd=uri-miss; stored"],
    ["Location", "http://elsewhere.test/other", "hit"],
    ["Location", "https://origin.test/other", "hit"],
    ["Location", "http://[", "hit"],
  ])("%s: %s", async (name, value, did) => {
    const harness = new Harness();
    await harness.get({}, other);
    await harness.get({}, value.includes("elsewhere") || value.startsWith("https") ? value : other);
    harness.fields = { [name]: value };
    await harness.did({}, URL_, "POST");
    harness.fields = { "Cache-Control": "max-age=60" };
    expect(await harness.did({}, value.includes("elsewhere") || value.startsWith("https") ? value : other)).toBe(did);
  });

  test.each([400, 404, 500])("a %i has changed nothing", async (status) => {
    const harness = new Harness();
    await harness.get();
    harness.status = status;
    await harness.did({}, URL_, "POST");
    expect(await harness.did()).toBe("hit");
  });

  test("reaches every variant", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", Vary: "X-A" });
    await harness.get({ "X-A": "1" });
    await harness.get({ "X-A": "2" });
    await harness.did({}, URL_, "DELETE");
    expect(await harness.did({ "X-A": "1" })).toBe("fwd=uri-miss; stored");
  });

  test("reaches what was asked for before and comes after: it is not stored", async () => {
    const harness = new Harness();
    const old = await harness.send();
    await harness.did({}, URL_, "POST");
    expect(await old.text()).toBe("version 1");
    harness.version = 2;
    expect(await harness.get()).toBe("200 version 2 | fwd=uri-miss; stored");
  });

  test("reaches a validation under way", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await harness.get();
    await harness.seconds(61);
    const gate = gated<Response>();
    harness.next = () => gate.promise;
    const call = harness.get();
    await harness.clock.settle();
    await harness.did({}, URL_, "POST");
    harness.version = 2;
    gate.resolve(new Response(null, { status: 304, headers: { "Cache-Control": "max-age=60" } }));
    expect(await call).toBe("200 version 2 | fwd=stale; stored");
  });
});

describe("CachingRoundTripper", () => {
  test("is a Client's transport: clock, time limit and idle connections go through it", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' });
    await using client = new Client({ transport: harness.cache, timeout: 1_000 });
    expect(await (await client.get(URL_)).text()).toBe("version 1");
    expect(statusOf(await client.get(URL_))).toBe("hit");
    expect(harness.site.seen[0]?.call?.deadline).toEqual({ at: 1_000, limit: 1_000 });
    client.closeIdleConnections();
  });

  test("refuses what it does not know", () => {
    const site = new Harness().site;
    expect(() => new CachingRoundTripper({} as never)).toThrow("Option next must be a Transport");
    expect(() => new CachingRoundTripper(site, { sharde: true } as never)).toThrow("did you mean shared?");
    expect(() => new CachingRoundTripper(site, { shared: 1 } as never)).toThrow("Option shared must be true or false");
    expect(() => new CachingRoundTripper(site, { store: {} } as never)).toThrow("Option store must be an object with");
    expect(() => new CachingRoundTripper(site, { maxBodyBytes: -1 })).toThrow("Option maxBodyBytes must be");
    expect(() => new CachingRoundTripper(site, { heuristic: 2 })).toThrow("Option heuristic must be");
    expect(() => new CachingRoundTripper(site, { storeTimeout: -1 })).toThrow("Option storeTimeout must be");
    expect(() => new CachingRoundTripper(site, { name: "a b" })).toThrow("Option name must be a token");
    expect(() => new MemoryStore({ maxBytes: 0 })).toThrow("Option maxBytes must be");
    expect(() => new MemoryStore({ maxByte: 1 } as never)).toThrow("did you mean maxBytes?");
  });

  test("refuses what is no Request", async () => {
    const { cache } = new Harness();
    expect(await errorOf(cache.roundTrip({} as never))).toBeInstanceOf(TypeError);
  });

  test("adds its word behind those of caches before it (RFC 9211 §2)", async () => {
    const harness = new Harness({ "Cache-Control": "max-age=60", "Cache-Status": "cdn; hit" }, { name: "mine" });
    expect((await harness.send()).headers.get("cache-status")).toBe("cdn; hit, mine; fwd=uri-miss; stored");
  });

  test("ends a call whose signal or deadline is over before anything is asked", async () => {
    const harness = new Harness();
    const reason = new Error("enough");
    expect(await errorOf(harness.send({}, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    await harness.seconds(10);
    const error = await errorOf(harness.send({}, { deadline: { at: 5_000, limit: 5_000 } }));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase: "total", option: "timeout", limit: 5_000 });
    expect(harness.count).toBe(0);
  });

  test("passes an answer on that was read before, as it is", async () => {
    const harness = new Harness();
    const read = new Response("x", { headers: { "Cache-Control": "max-age=60" } });
    await read.text();
    harness.next = () => read;
    expect(await harness.send()).toBe(read);
    expect(await harness.did()).toBe("fwd=uri-miss; stored");
  });
});
