/** The redirect rules as tables: what follows a 3xx, and what the next request carries. */

import { describe, expect, test } from "vitest";
import { Request, type RequestInit } from "../lib/message/request.ts";
import { type Hop, isRedirect, type Onward, onward, replacedHop } from "../lib/redirect.ts";

const RULES = { httpsOnly: false, strictRedirects: false };

function hopOf(url: string, init: RequestInit = {}): Hop {
  const request = new Request(url, init);
  return { request, fields: request.pairs };
}

function to(from: Hop, status: number, location: string, rules = RULES): Onward {
  return onward(from, status, [location], rules);
}

/** The hop that follows, which there is. */
function next(from: Hop, status: number, location: string, rules = RULES): Hop {
  const onwards = to(from, status, location, rules);
  if (onwards.kind !== "hop") throw new Error(`No hop follows: ${onwards.kind}`);
  return onwards.hop;
}

function fieldsOf({ request }: Hop): Record<string, string> {
  return Object.fromEntries(request.pairs);
}

test("isRedirect() is for 301, 302, 303, 307 and 308 alone (RFC 9110 §15.4)", () => {
  const all = Array.from({ length: 500 }, (_, i) => 100 + i);
  expect(all.filter(isRedirect)).toEqual([301, 302, 303, 307, 308]);
});

describe("onward() keeps or changes the method", () => {
  const GO: [string, readonly number[], string][] = [
    ["POST", [301, 302, 303], "GET"],
    ["POST", [307, 308], "POST"],
    ["HEAD", [301, 302, 303, 307, 308], "HEAD"],
    ["GET", [301, 302, 303, 307, 308], "GET"],
    ["DELETE", [301, 302, 303], "GET"],
    ["DELETE", [307, 308], "DELETE"],
    ["PUT", [301, 302, 303], "GET"],
    ["PUT", [307, 308], "PUT"],
    ["MADEUPMETHOD", [301, 302, 303], "GET"],
    ["MADEUPMETHOD", [307, 308], "MADEUPMETHOD"],
  ];
  const rows = GO.map(([method, statuses, then]) => {
    const which = statuses.length === 5 ? "all" : statuses.join(",");
    return [`${method} to ${then} [TestClientRedirectTypes/${method} ${which}]`, method, statuses, then] as const;
  });
  test.each(rows)("of %s", (_, method, statuses, then) => {
    for (const status of statuses) expect(next(hopOf("http://a/", { method }), status, "/b").request.method).toBe(then);
  });

  test("but follows none of a CONNECT, whose target is no resource (RFC 9110 §9.3.6)", () => {
    for (const status of [302, 307]) {
      expect(to(hopOf("http://a/", { method: "CONNECT" }), status, "/b")).toEqual({ kind: "answer" });
    }
  });
});

describe("onward() takes the body along or drops it", () => {
  const post = () =>
    hopOf("http://a/", {
      method: "POST",
      json: 1,
      headers: [
        ["Content-Language", "en"],
        ["Digest", "x"],
        ["Expect", "100-continue"],
        ["X-Kept", "y"],
      ],
    });

  test.each([301, 302, 303])("drops it at %i, with all fields that speak of it (RFC 9110 §15.4)", (status) => {
    const { request } = next(post(), status, "/b");
    expect(request.body).toBeNull();
    expect(request.pairs).toEqual([
      ["X-Kept", "y"],
      ["Referer", "http://a/"],
    ]);
  });

  test.each([307, 308])("keeps it at %i, with its fields", (status) => {
    const from = post();
    const { request } = next(from, status, "/b");
    expect(request.body).toBe(from.request.body);
    expect(request.pairs).toEqual([...from.request.pairs, ["Referer", "http://a/"]]);
  });

  test("drops trailers and 100-continue with it, and keeps them with it", () => {
    const from = hopOf("http://a/", {
      method: "POST",
      body: "x",
      expectContinue: true,
      trailers: { names: ["x-sum"], values: { "x-sum": "1" } },
    });
    expect(next(from, 303, "/b").request).toMatchObject({ trailers: null, expectContinue: false });
    expect(next(from, 307, "/b").request).toMatchObject({ trailers: from.request.trailers, expectContinue: true });
  });

  test("drops that of a GET, too, and keeps the Content-Type of one that had none", () => {
    const { request } = next(hopOf("http://a/", { body: "x" }), 302, "/b");
    expect([request.body, request.hasField("content-type")]).toEqual([null, false]);
    const bare = hopOf("http://a/", { headers: { "Content-Type": "application/json" } });
    expect(fieldsOf(next(bare, 302, "/b"))).toMatchObject({ "Content-Type": "application/json" });
  });

  test("drops the Content-Type of a POST without one, when that becomes a GET", () => {
    const empty = hopOf("http://a/", { method: "POST", headers: { "Content-Type": "application/json" } });
    expect(next(empty, 303, "/b").request.hasField("content-type")).toBe(false);
    expect(next(empty, 307, "/b").request.hasField("content-type")).toBe(true);
  });

  test("never brings it back at a later 307", () => {
    const afterwards = next(next(post(), 303, "/b"), 307, "/c");
    expect([afterwards.request.method, afterwards.request.body]).toEqual(["GET", null]);
    expect(afterwards.fields).toEqual([["X-Kept", "y"]]);
  });

  test("answers with a 307 or 308 whose body could be sent once, and follows the others", () => {
    const once = () => hopOf("http://a/", { method: "POST", body: (function* () {})() });
    for (const status of [307, 308]) expect(to(once(), status, "/b")).toEqual({ kind: "answer" });
    for (const status of [301, 302, 303]) expect(next(once(), status, "/b").request.method).toBe("GET");
  });

  test("leaves a target behind that was for the first request", () => {
    const from = hopOf("http://a/", { target: "/verbatim" });
    expect(next(from, 307, "/b").request.target).toBe("/b");
  });
});

describe("onward() resolves the Location (RFC 9110 §10.2.2)", () => {
  const cases: [name: string, from: string, location: string, url: string][] = [
    ["a path", "http://a:8080/x/y?z", "/b?c", "http://a:8080/b?c"],
    ["a relative path", "http://a/x/y", "b", "http://a/x/b"],
    ["dots", "http://a/x/y/z", "../b", "http://a/x/b"],
    ["a query alone", "http://a/x?y", "?b", "http://a/x?b"],
    ["a host without a scheme", "https://a/x", "//b/c", "https://b/c"],
    ["a host in capitals, with the port of its scheme", "http://a/", "HTTP://B:80/", "http://b/"],
    ["a name that is not ASCII", "http://a/", "http://b\xc3\xbccher.test/", "http://xn--bcher-kva.test/"],
    ["bytes that are not ASCII, as they are", "http://a/", "/\xc3\xa9?\xe9", "http://a/%C3%A9?%E9"],
    ["blanks inside", "http://a/", "/b c", "http://a/b%20c"],
    ["backslashes, as browsers do", "http://a/", "/\\b/c", "http://b/c"],
    ["a fragment of its own", "http://a/#one", "/b#two", "http://a/b#two"],
    ["an empty fragment of its own", "http://a/#one", "/b#", "http://a/b#"],
    ["the fragment it inherits", "http://a/#one", "/b", "http://a/b#one"],
    ["the fragment it inherits elsewhere", "http://a/#one", "http://b/", "http://b/#one"],
    ["an IPv6 address", "http://a/", "http://[::1]:8/", "http://[::1]:8/"],
  ];
  test.each(cases)("%s", (_, from, location, url) => {
    expect(next(hopOf(from), 302, location).request.url).toBe(url);
  });

  test("and answers where there is none, or an empty one (Go issues 17773, 49281)", () => {
    expect(onward(hopOf("http://a/"), 302, [], RULES)).toEqual({ kind: "answer" });
    expect(onward(hopOf("http://a/"), 302, [""], RULES)).toEqual({ kind: "answer" });
  });

  const refused: [name: string, locations: string[], reason: RegExp][] = [
    ["another scheme (R20)", ["ftp://b/"], /scheme is ftp/],
    ["a file", ["file:///etc/passwd"], /scheme is file/],
    ["a unix socket (R20, CVE-2022-33987)", ["unix:/var/run/docker.sock:http://x/"], /scheme is unix/],
    ["a script", ["javascript:alert(1)"], /scheme is javascript/],
    ["no URL", ["http://[::1"], /no valid URL/],
    ["a host that is none", ["http://a b/"], /no valid URL/],
    ["no host", ["http://./"], /no valid URL/],
    ["a port that is none", ["http://a:99999/"], /no valid URL/],
    ["a tab", ["/b\tc"], /tab/],
    ["two that differ", ["/b", "/c"], /several/],
    ["an IPv6 zone (CVE-2023-45289)", ["http://[::1%25.a]/"], /no valid URL/],
  ];
  test.each(refused)("and refuses %s", (_, locations, reason) => {
    const onwards = onward(hopOf("http://a/"), 302, locations, RULES);
    expect(onwards).toMatchObject({ kind: "refused", url: null });
    expect(onwards).toHaveProperty("reason", expect.stringMatching(reason));
  });

  test("and takes the same one twice as one", () => {
    expect(onward(hopOf("http://a/"), 302, ["/b", "/b"], RULES).kind).toBe("hop");
  });

  test("and never shows a password that does not parse", () => {
    expect(JSON.stringify(to(hopOf("http://a/"), 302, "http://u:secret@[::1"))).not.toContain("secret");
  });
});

describe("onward() takes fields along", () => {
  const SECRETS = [
    "Authorization",
    "cookie",
    "Cookie2",
    "WWW-Authenticate",
    "Proxy-Authorization",
    "PROXY-X",
    "x-api-key",
  ];
  const OTHERS = ["User-Agent", "X-Foo", "Accept", "If-None-Match"];
  const from = (url: string) => hopOf(url, { headers: [...SECRETS, ...OTHERS].map((name) => [name, "v"]) });
  const names = (hop: Hop) => hop.fields.map(([name]) => name);

  /** Go's own table, row by row: where Go keeps credentials and we do not, the origin is another one all the same. */
  const GO: [header: string, from: string, to: string, copied: boolean, go: boolean, row: string][] = [
    ["User-Agent", "http://foo.com/", "http://bar.com/", true, true, "user-agent cross"],
    ["X-Foo", "http://foo.com/", "http://bar.com/", true, true, "x-foo cross"],
    ["Authorization", "http://foo.com/", "https://foo.com/", false, true, "authorization scheme"],
    ["Authorization", "http://foo.com:1234/", "http://foo.com:4321/", false, true, "authorization port"],
    ["Www-Authenticate", "http://foo.com/", "http://foo.com/", true, true, "www-authenticate same"],
    ["Www-Authenticate", "http://foo.com/", "http://sub.foo.com/", false, true, "www-authenticate sub"],
    ["Www-Authenticate", "http://foo.com/", "https://foo.com/", false, true, "www-authenticate https"],
    ["Www-Authenticate", "http://foo.com:80/", "http://foo.com/", true, true, "www-authenticate 80 to default"],
    ["Www-Authenticate", "http://foo.com:80/", "http://sub.foo.com/", false, true, "www-authenticate 80 to sub"],
    ["Www-Authenticate", "http://foo.com:443/", "https://foo.com/", false, true, "www-authenticate 443 to https"],
    [
      "Www-Authenticate",
      "http://foo.com:443/",
      "https://sub.foo.com/",
      false,
      true,
      "www-authenticate 443 to https sub",
    ],
    ["Www-Authenticate", "http://foo.com:1234/", "http://foo.com/", false, true, "www-authenticate 1234 to default"],
    ["Authorization", "http://foo.com/", "http://foo.com/", true, true, "authorization same"],
    ["Authorization", "http://foo.com/", "http://sub.foo.com/", false, true, "authorization sub"],
    ["Authorization", "http://foo.com/", "https://foo.com/", false, true, "authorization https"],
    ["Authorization", "http://foo.com:80/", "http://foo.com/", true, true, "authorization ports"],
    ["Authorization", "http://foo.com:80/", "http://sub.foo.com/", false, true, "authorization ports"],
    ["Authorization", "http://foo.com:443/", "https://foo.com/", false, true, "authorization ports"],
    ["Authorization", "http://foo.com:443/", "https://sub.foo.com/", false, true, "authorization ports"],
    ["Authorization", "http://foo.com:1234/", "http://foo.com/", false, true, "authorization ports"],
    ["Cookie", "http://foo.com/", "http://bar.com/", false, false, "cookie cross"],
    ["Cookie2", "http://foo.com/", "http://bar.com/", false, false, "cookie2 cross"],
    ["Authorization", "http://foo.com/", "http://bar.com/", false, false, "authorization cross"],
    ["Www-Authenticate", "http://foo.com/", "http://bar.com/", false, false, "www-authenticate cross"],
    ["Www-Authenticate", "http://foo.com/", "http://notfoo.com/", false, false, "www-authenticate lookalike"],
    ["Authorization", "http://foo.com/", "http://notfoo.com/", false, false, "authorization lookalike"],
  ];
  test.each(
    GO.map(([header, a, b, copied, go, row]) => {
      const what = `${copied ? "takes" : "drops"} ${header} from ${a} to ${b}${copied === go ? "" : ", where Go takes it"}`;
      return [what, row, header, a, b, copied] as const;
    }),
  )("%s [TestShouldCopyHeaderOnRedirect/%s]", (_what, _row, header, a, b, copied) => {
    const hop = next(hopOf(a, { headers: { [header]: "v" } }), 302, b);
    expect(hop.request.hasField(header.toLowerCase())).toBe(copied);
  });

  test("and to an IPv6 zone nothing goes: it is no URL [TestShouldCopyHeaderOnRedirect/ipv6 zone]", () => {
    expect(
      to(hopOf("http://foo.com/", { headers: { "Www-Authenticate": "v" } }), 302, "http://[::1%25.foo.com]/").kind,
    ).toBe("refused");
  });

  const elsewhere: [string, string, string][] = [
    ["scheme", "http://a.test/", "https://a.test/"],
    ["scheme, downwards", "https://a.test/", "http://a.test/"],
    ["scheme at the same port", "http://a.test:8443/", "https://a.test:8443/"],
    ["host", "http://a.test/", "http://b.test/"],
    ["subdomain", "http://a.test/", "http://www.a.test/"],
    ["parent domain", "http://www.a.test/", "http://a.test/"],
    ["port", "http://a.test/", "http://a.test:8080/"],
    ["trailing dot", "http://a.test/", "http://a.test./"],
    ["user before the host", "http://a.test/", "http://a.test@b.test/"],
  ];
  test.each(elsewhere)("without credentials to another %s, and never again (R11)", (_, a, b) => {
    const away = next(from(a), 302, b);
    expect(names(away)).toEqual(OTHERS);
    expect(names(next(away, 302, "/on"))).toEqual(OTHERS);
    const home = next(away, 302, a);
    expect(names(home)).toEqual(OTHERS);
    expect(home.request.url).toBe(a);
  });

  test("all of them within one origin, in their order", () => {
    expect(names(next(from("http://a.test/x"), 302, "http://a.test:80/y"))).toEqual([...SECRETS, ...OTHERS]);
  });

  test("of a short list only where the chain is strict, and the Referer names the origin alone (R11)", () => {
    const strict = { httpsOnly: false, strictRedirects: true };
    const wide = hopOf("http://a.test/x?y", {
      method: "PUT",
      body: "b",
      headers: [
        ...["X-Foo", "X-My-Secret", "Accept", "Accept-Language", "User-Agent", "Range", "Content-Encoding"].map(
          (name): [string, string] => [name, "v"],
        ),
      ],
    });
    const away = next(wide, 307, "http://b.test/", strict);
    expect(names(away)).toEqual([
      "Content-Type",
      "Accept",
      "Accept-Language",
      "User-Agent",
      "Range",
      "Content-Encoding",
    ]);
    expect(away.request.headers.get("referer")).toBe("http://a.test/");
    expect(names(next(wide, 307, "/z", strict))).toEqual(names(wide as Hop));
    expect(next(wide, 307, "/z", strict).request.headers.get("referer")).toBe("http://a.test/x?y");
  });

  test("replacedHop() takes no credentials to where only the caller leads", () => {
    const planned = next(from("http://a.test/"), 302, "/y");
    const there = replacedHop(planned, planned.request.with({ url: "http://b.test/" }));
    expect(names(there)).toEqual(OTHERS);
    expect(names(replacedHop(planned, planned.request.with({ headers: {} })))).toEqual([...SECRETS, ...OTHERS]);
  });
});

describe("onward() says where it comes from", () => {
  const cases: [row: string, from: string, to: string, referer: string | null][] = [
    ["strip user http", "http://gopher@test.com", "http://link.com", "http://test.com/"],
    ["strip user https", "https://gopher@test.com", "https://link.com", "https://test.com/"],
    ["strip user+pass http", "http://gopher:go@test.com", "http://link.com", "http://test.com/"],
    ["strip user+pass https", "https://gopher:go@test.com", "https://link.com", "https://test.com/"],
    ["plain http", "http://test.com/x?y#z", "http://link.com", "http://test.com/x?y"],
    ["plain https", "https://test.com", "https://link.com", "https://test.com/"],
    ["downgrade", "https://test.com", "http://link.com", null],
    ["downgrade with userinfo", "https://gopher:go@test.com", "http://link.com", null],
  ];
  const rows = cases.map(([row, ...rest]) => [...rest, row] as const);
  test.each(rows)("from %s to %s: %s [TestReferer/%s]", (from, location, referer) => {
    expect(next(hopOf(from), 302, location).request.headers.get("referer")).toBe(referer);
  });

  const explicit = (url: string) => hopOf(url, { headers: { Referer: "http://mine/" } });
  test.each(["https://test.com", "https://gopher:go@test.com"])(
    "of %s to http not even in the caller's words [TestReferer/downgrade explicit]",
    (from) => {
      const hop = next(explicit(from), 302, "http://link.com");
      expect(hop.request.hasField("referer")).toBe(false);
      expect(next(hop, 302, "https://test.com").request.headers.get("referer")).toBe("http://link.com/");
    },
  );
  test.each(["https://test.com", "https://gopher:go@test.com"])(
    "of %s in the caller's words where there are any [TestReferer/explicit kept]",
    (from) => {
      expect(next(explicit(from), 302, "https://link.com").request.headers.raw).toEqual([["Referer", "http://mine/"]]);
    },
  );
});

describe("onward() keeps a custom Host", () => {
  const custom = hopOf("http://a.test/x", { headers: { Host: "virtual.test" } });
  const host = (hop: Hop) => hop.request.headers.get("host");

  test.each(["/b", "b", "?b", "http:b"])("where the Location is relative: %s", (location) => {
    expect(host(next(custom, 302, location))).toBe("virtual.test");
  });
  test.each([
    "http://a.test/b",
    "//a.test/b",
    "//b.test/",
    "http://virtual.test/",
    "https://a.test/",
    "http://location-without-host.invalid/",
  ])("no longer where it names a host: %s", (location) => {
    const hop = next(custom, 302, location);
    expect(host(hop)).toBeNull();
    expect(host(next(hop, 302, "/b"))).toBeNull();
  });
});

describe("onward() keeps the user of a URL", () => {
  const users = (hop: Hop) => hop.request.userinfo;
  const from = hopOf("http://us%2541er:p%40ss%25@a.test/x");

  test("within its origin, to the letter", () => {
    const same = { username: "us%41er", password: "p@ss%" };
    expect(users(from)).toEqual(same);
    expect(users(next(from, 302, "/b"))).toEqual(same);
    expect(users(next(from, 302, "http://a.test/c"))).toEqual(same);
  });
  test("not where another one is named, and not elsewhere", () => {
    expect(users(next(from, 302, "http://other@a.test/c"))).toEqual({ username: "other", password: "" });
    const away = next(from, 302, "http://b.test/");
    expect(users(away)).toBeNull();
    expect(users(next(away, 302, "http://a.test/"))).toBeNull();
    expect(users(next(from, 302, "https://a.test/"))).toBeNull();
  });
});

test("onward() refuses to leave https where https is all that is allowed, and says where to without credentials", () => {
  const rules = { httpsOnly: true, strictRedirects: false };
  expect(to(hopOf("https://a.test/"), 302, "http://u:p@a.test/b", rules)).toMatchObject({
    kind: "refused",
    url: "http://a.test/b",
  });
  expect(to(hopOf("https://a.test/"), 302, "https://b.test/", rules).kind).toBe("hop");
});

describe("onward() where only https is allowed, or elsewhere", () => {
  test("says in whole words why it goes nowhere", () => {
    const reasonOf = (onwards: Onward) => (onwards.kind === "refused" ? onwards.reason : null);
    const from = hopOf("http://a/");
    expect(reasonOf(to(from, 302, "ftp://b/"))).toBe("its scheme is ftp, and only http and https are followed");
    expect(reasonOf(to(from, 302, "http://[::1"))).toBe("its Location is no valid URL");
    expect(reasonOf(to(from, 302, "/\t"))).toBe("its Location has a tab");
    expect(reasonOf(onward(from, 302, ["/b", "/c"], RULES))).toBe("it has several Locations that differ");
    expect(reasonOf(to(hopOf("https://a/"), 302, "http://a/", { ...RULES, httpsOnly: true }))).toBe(
      "it leads away from https (option httpsOnly)",
    );
  });

  test("a password alone in a Location is a user of its own", () => {
    const from = hopOf("http://user:word@a.test/");
    expect(next(from, 302, "http://:other@a.test/").request.userinfo).toEqual({ username: "", password: "other" });
  });

  test.each(["Digest", "Last-Modified", "Trailer", "Transfer-Encoding", "Content-MD5"])(
    "drops %s with the body",
    (name) => {
      const from = hopOf("http://a/", { method: "POST", body: "x" });
      const hop = next({ ...from, fields: [...from.fields, [name, "x"]] }, 303, "/b");
      expect(hop.fields).toEqual([]);
    },
  );

  test.each(["accept", "accept-encoding", "accept-language", "range", "referer", "user-agent"])(
    "takes %s to another origin however strict the chain is",
    (name) => {
      const from = hopOf("http://a/");
      const hop = next(
        {
          ...from,
          fields: [
            [name, "v"],
            ["x-own", "v"],
          ],
        },
        302,
        "http://b/",
        {
          ...RULES,
          strictRedirects: true,
        },
      );
      expect(hop.fields).toEqual([[name, "v"]]);
    },
  );
});

describe('onward() by the Fetch standard ("HTTP-redirect fetch")', () => {
  const standard = { ...RULES, standard: true };
  const once = () => (function* () {})();

  test.each([
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "POST", "GET"],
    [307, "POST", "POST"],
    [308, "POST", "POST"],
    [301, "PUT", "PUT"],
    [302, "PUT", "PUT"],
    [303, "PUT", "GET"],
    [307, "PUT", "PUT"],
  ])("%i of a %s asks with %s, and takes its body along where the method stays", (status, method, then) => {
    const { request } = next(hopOf("http://a/", { method, body: "x" }), status, "/b", standard);
    expect([request.method, request.body !== null]).toEqual([then, then === method]);
  });

  test("makes up no Referer", () => {
    expect(next(hopOf("http://a/x"), 302, "/b", standard).request.pairs).toEqual([]);
  });

  test.each([301, 302, 307, 308])("refuses %i after a body that was a stream, whatever its method", (status) => {
    for (const method of ["POST", "PUT"]) {
      expect(to(hopOf("http://a/", { method, body: once() }), status, "/b", standard)).toEqual({
        kind: "refused",
        reason: "its body is a stream, which was sent already",
        url: null,
      });
    }
  });

  test("follows 303 after one, without it", () => {
    const { request } = next(hopOf("http://a/", { method: "POST", body: once() }), 303, "/b", standard);
    expect([request.method, request.body]).toEqual(["GET", null]);
  });

  test("refuses a Location with a user name or a password, and shows neither", () => {
    expect(to(hopOf("http://a/"), 302, "http://u:p@b/c", standard)).toEqual({
      kind: "refused",
      reason: "its Location has a user name or a password",
      url: "http://b/c",
    });
  });

  test("refuses a blocked port, which Go's rules do not know", () => {
    expect(to(hopOf("http://a/"), 302, "http://a:25/", standard)).toEqual({
      kind: "refused",
      reason: "port 25 is blocked",
      url: "http://a:25/",
    });
    expect(to(hopOf("http://a/"), 302, "http://a:25/").kind).toBe("hop");
    expect(to(hopOf("http://a/"), 302, "http://a:2500/", standard).kind).toBe("hop");
  });
});
