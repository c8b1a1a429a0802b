/** The base URL: what a path becomes, what is refused, and that nothing leads out of it. */

import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LocalProtocolError, Request, Response } from "../../lib/index.ts";
import { BaseUrl, BaseUrlClient, withBaseUrl } from "../../lib/middleware.ts";
import { errorOf, TimedSite, world } from "./harness.ts";

const BASE = "https://api.test/v1/";
const base = new BaseUrl(BASE);

describe("BaseUrl.resolve()", () => {
  test.each([
    ["users/7", `${BASE}users/7`],
    ["/users/7", `${BASE}users/7`],
    ["", BASE],
    ["/", BASE],
    ["./", BASE],
    ["users?page=2&q=a/../../b", `${BASE}users?page=2&q=a/../../b`],
    ["?page=2", `${BASE}?page=2`],
    ["#top", `${BASE}#top`],
    ["a/../b", `${BASE}b`],
    ["a/%2E%2e/b", `${BASE}b`],
    ["a%2Fb", `${BASE}a%2Fb`],
    ["a//b", `${BASE}a//b`],
    ["./a:b", `${BASE}a:b`],
    ["x/user@host", `${BASE}x/user@host`],
    ["...", `${BASE}...`],
    ["..a/b..", `${BASE}..a/b..`],
    ["ä", `${BASE}%C3%A4`],
  ])("%j is %s", (path, url) => {
    expect(base.resolve(path)).toBe(url);
  });

  test.each([
    ["//evil.test/", "names a host"],
    ["///evil.test/", "names a host"],
    ["http://evil.test/", "names a scheme"],
    ["HTTPS://api.test/v1/x", "names a scheme"],
    ["javascript:x", "names a scheme"],
    ["a:b", "names a scheme"],
    ["\\\\evil.test", "backslash"],
    ["/\\evil.test", "backslash"],
    ["a\\..\\..\\b", "backslash"],
    ["\thttp://evil.test", "control character"],
    ["ht\ntp://evil.test", "control character"],
    ["/\t/evil.test", "control character"],
    [".\r./x", "control character"],
    [" //evil.test", "blank"],
    ["a\0b", "control character"],
    ["..", "leaves the base"],
    ["../v2/x", "leaves the base"],
    ["/../x", "leaves the base"],
    ["a/../../x", "leaves the base"],
    ["%2e%2e/x", "leaves the base"],
    [".%2E/x", "leaves the base"],
    ["%2e%2e%2fx", "leaves the base"],
    ["a/..%2f..%2fx", "leaves the base"],
    ["..%5cx", "leaves the base"],
    ["%252e%252e/x", "leaves the base"],
    ["%25252e./x", "leaves the base"],
    ["a//../../x", "leaves the base"],
    ["../v1/x", "leaves the base"],
  ])("%j is refused: it %s", (path, problem) => {
    const give = () => base.resolve(path);
    expect(give).toThrow(LocalProtocolError);
    expect(give).toThrow(problem);
  });

  test("adds a query, encoded, to that of the path", () => {
    expect(base.resolve("s", { q: "a&b=c", n: 1, no: undefined, yes: false })).toBe(
      `${BASE}s?q=a%26b%3Dc&n=1&yes=false`,
    );
    expect(
      base.resolve(
        "s?a=1",
        new URLSearchParams([
          ["a", "2"],
          ["a", "3"],
        ]),
      ),
    ).toBe(`${BASE}s?a=1&a=2&a=3`);
  });

  test.each<[unknown, RegExp]>([
    ["api.test/v1", /no absolute URL$/],
    ["ftp://api.test/", /neither http nor https$/],
    ["https://u:sesame@api.test/", /a user name or a password$/],
    ["https://api.test/?x=1", /a query or a fragment$/],
    ["https://api.test/#x", /a query or a fragment$/],
    [7, /^Option base must be a string or a URL/],
  ])("a base of %j is refused", (url, message) => {
    expect(() => new BaseUrl(url as string)).toThrow(message);
    expect(() => new BaseUrl(url as string)).not.toThrow(/sesame/);
  });

  test("a base has a slash at its end, given or not", () => {
    expect(new BaseUrl(new URL("http://h:8080/a/b")).href).toBe("http://h:8080/a/b/");
    expect(new BaseUrl("http://h").resolve("x")).toBe("http://h/x");
  });
});

/** How a lenient server may read a path: decoded again and again, backslashes as slashes, empty segments merged. */
function readings(path: string): string[] {
  const all = [path];
  for (let text = path, i = 0; i < 4; i++) {
    text = text.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    all.push(text);
  }
  return all.map((text) => {
    const kept: string[] = [];
    for (const segment of text.split(/[/\\]+/)) {
      if (segment === "..") kept.pop();
      else if (segment !== "." && segment !== "") kept.push(segment);
    }
    return `/${kept.join("/")}/`;
  });
}

const nasty = fc
  .array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.constantFrom(
          "..",
          ".",
          "/",
          "//",
          "\\",
          "%2e",
          "%2E%2e",
          "%2f",
          "%5C",
          "%252e",
          "%25",
          "%",
          ":",
          "@",
          "?",
          "#",
          "\t",
          "\n",
          "\r",
          "\0",
          " ",
          "v1",
          "v2",
          "evil.test",
          "http:",
          "https://",
          "[::1]",
          "\u2025",
          "\uff0e",
          "\uff0f",
          ";",
        ),
      },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 3 }) },
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe("nothing leads out of a base", () => {
  test("whatever the path: it is refused, or under the base, as the standard reads it and as lenient servers do", () => {
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string({ unit: "binary" }), fc.webUrl()), (path) => {
        let href: string;
        try {
          href = base.resolve(path);
        } catch (error) {
          expect(error).toBeInstanceOf(LocalProtocolError);
          return;
        }
        const url = new URL(href);
        expect(url.origin).toBe("https://api.test");
        expect([url.username, url.password]).toEqual(["", ""]);
        expect(url.href).toBe(href);
        for (const reading of readings(url.pathname)) expect(reading.startsWith("/v1/")).toBe(true);
        // A relative reference means the same to whoever resolves it against the base.
        if (!path.startsWith("/")) expect(new URL(path, BASE).href).toBe(href);
      }),
      { numRuns: 3_000 },
    );
  });

  test("and most that is harmless passes", () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,9}$/);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
        expect(base.resolve(segments.join("/"))).toBe(BASE + segments.join("/"));
      }),
    );
  });
});

describe("withBaseUrl()", () => {
  const site = () => new TimedSite(() => new Response("ok"));

  test.each([
    ["https://api.test/v1/x", true],
    ["https://api.test/v1", true],
    ["https://API.test:443/v1/", true],
    ["https://user:pass@api.test/v1/", true],
    ["http://api.test/v1/x", false],
    ["https://api.test:444/v1/x", false],
    ["https://api.test/v2/x", false],
    ["https://api.test/v10/x", false],
    ["https://api.test/", false],
    ["https://evil.test/v1/x", false],
    ["https://api.test/v1/..%2f..%2fx", false],
    ["https://api.test/v1/%252e%252e/x", false],
    ["https://api.test/v1/../v2", false],
  ])("%s: %s", async (url, passes) => {
    const inner = site();
    const body = Readable.from(["x"]);
    const call = withBaseUrl(inner, BASE).roundTrip(new Request(url, { method: "POST", body }));
    if (passes) expect((await call).status).toBe(200);
    else expect(await errorOf(call)).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "url" });
    expect(inner.seen.length).toBe(passes ? 1 : 0);
    expect(body.destroyed || body.readableEnded).toBe(true);
  });

  test.each(["/v2/x", "/v1/../x", "/v1/%2e%2e/x", "*"])("the request target %s counts, not the URL", async (target) => {
    const inner = site();
    const request = new Request(`${BASE}x`, { target, method: "OPTIONS" });
    expect((await errorOf(withBaseUrl(inner, BASE).roundTrip(request))).message).toContain(
      "is not under https://api.test/v1/",
    );
    expect(inner.seen).toEqual([]);
  });
});

describe("BaseUrlClient", () => {
  const answering = (location: string | null = null) =>
    new TimedSite((_, count) =>
      location !== null && count === 0
        ? new Response(null, { status: 307, headers: { Location: location } })
        : new Response("ok"),
    );

  test("every verb takes a path; fetch too, the same function each time", async () => {
    const site = answering();
    const api = new BaseUrlClient(BASE, { transport: site, headers: { "X-Client": "a" } });
    await api.get("a");
    await api.head("/b");
    await api.post("c", { json: 1 });
    await api.delete("d?x=1");
    await api.request("PURGE", "e");
    const { fetch } = api;
    expect(api.fetch).toBe(fetch);
    await fetch("f", { method: "put", body: "x" });
    await fetch(new URL(`${BASE}g`));
    await api.do(new Request(`${BASE}h`));
    expect(site.seen.map(({ method, url }) => `${method} ${url.replace(BASE, "")}`)).toEqual([
      "GET a",
      "HEAD b",
      "POST c",
      "DELETE d?x=1",
      "PURGE e",
      "PUT f",
      "GET g",
      "GET h",
    ]);
    expect(new Set(site.sent("x-client"))).toEqual(new Set(["a"]));
  });

  test("what leads elsewhere is rejected, never thrown: as text, as a URL, as a Request, by fetch", async () => {
    const site = answering();
    const api = new BaseUrlClient(base, { transport: site });
    for (const path of ["//evil.test", "https://api.test/v1/x", "../x"]) {
      expect(await errorOf(api.get(path))).toBeInstanceOf(LocalProtocolError);
      expect(await errorOf(api.fetch(path))).toMatchObject({
        name: "TypeError",
        cause: { code: "ERR_HTTP_LOCAL_PROTOCOL" },
      });
    }
    expect(await errorOf(api.get(new URL("https://evil.test/")))).toBeInstanceOf(LocalProtocolError);
    expect(await errorOf(api.do(new Request("https://api.test/v2")))).toBeInstanceOf(LocalProtocolError);
    expect(await errorOf(api.fetch(new URL("https://evil.test/")))).toMatchObject({ message: "fetch failed" });
    expect(site.seen).toEqual([]);
  });

  test.each(["https://evil.test/", "//evil.test/v1/", "/v2/", "../../x", "http://api.test/v1/"])(
    "a redirect to %s is not followed: the call fails",
    async (location) => {
      const site = answering(location);
      const api = new BaseUrlClient(BASE, { transport: site });
      expect((await errorOf(api.get("a/b"))).message).toMatch(/is not under https:\/\/api\.test\/v1\/$/);
      expect(site.seen).toHaveLength(1);
    },
  );

  test("a redirect within is followed", async () => {
    const site = answering("../c");
    expect((await new BaseUrlClient(BASE, { transport: site }).get("a/b")).redirected).toBe(true);
    expect(site.seen[1]?.url).toBe(`${BASE}c`);
  });

  test("closes the transport that it made, and leaves one that was given", async () => {
    const site = answering();
    await new BaseUrlClient(BASE, { transport: site }).close();
    expect(site.closed).toEqual([]);
    const api = new BaseUrlClient("http://127.0.0.1:1/");
    await api.close();
    expect(await errorOf(api.get("x"))).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
  });

  test("its deadlines are on the clock of the transport within", async () => {
    const { clock, transport } = world(() => () => {});
    const call = errorOf(new BaseUrlClient("http://origin.test/v1", { transport, timeout: 100 }).get("x"));
    await clock.advance(100);
    expect(await call).toMatchObject({ code: "ERR_HTTP_TIMEOUT", phase: "total" });
    await transport.close();
  });
});
