/**
 * Cookies of a Client, over a small fake of tough-cookie's shape: when the jar is asked, what it is given, and which Cookie
 * field goes out. What cookies mean is the jar's own; `cookies-tough.spec.ts` has the real one.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter, getEventListeners, once } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { nameOf, withCookies, withoutCookies } from "../lib/cookies.ts";
import { Client, type CookieJar, Request, Response } from "../lib/index.ts";
import { FakeJar } from "./support/fake-jar.ts";
import { redirect, Site } from "./support/site.ts";

const BOTH: [string, boolean][] = [
  ["at once", false],
  ["by promises", true],
];

/** A jar that has cookies for a host already. */
function jarWith(host: string, cookies: Record<string, string>, async = false): FakeJar {
  const jar = new FakeJar({ async });
  for (const [name, value] of Object.entries(cookies)) void jar.setCookie(`${name}=${value}`, `http://${host}/`, {});
  jar.calls.length = 0;
  jar.options.length = 0;
  return jar;
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not reject");
    },
    (error: unknown) => error,
  );
}

describe.each(BOTH)("with a jar that answers %s", (_, async) => {
  const ways: [string, (client: Client, url: string) => Promise<Response>][] = [
    ["get", (client, url) => client.get(url)],
    ["head", (client, url) => client.head(url)],
    ["post", (client, url) => client.post(url, { body: "body", headers: { "Content-Type": "text/plain" } })],
    ["post of a form", (client, url) => client.post(url, { form: {} })],
    ["do", (client, url) => client.do(new Request(url))],
    ["request", (client, url) => client.request("PURGE", url)],
  ];
  test.each(ways)("Client sends its cookies by %s [TestClientSendsCookieFromJar]", async (_, send) => {
    const site = new Site(() => new Response("ok"));
    const cookieJar = jarWith("a.test", { first: "1", second: "2" }, async);
    await send(new Client({ transport: site, cookieJar }), "http://a.test/x");
    expect(site.sent("cookie")).toEqual(["first=1; second=2"]);
  });

  test("Client sends on the next hop what a redirect set [TestRedirectCookiesJar]", async () => {
    const site = new Site((_, count) =>
      count === 0
        ? redirect(302, "/", ["Set-Cookie", "ChocolateChip=tasty"], ["Set-Cookie", "Other=x; Path=/"])
        : new Response("ok", { headers: { "Set-Cookie": "Last=z" } }),
    );
    const cookieJar = jarWith("a.test", { Before: "b" }, async);
    const response = await new Client({ transport: site, cookieJar }).get("http://a.test/");
    expect(site.sent("cookie")).toEqual(["Before=b", "Before=b; ChocolateChip=tasty; Other=x"]);
    expect(response.headers.getSetCookie()).toEqual(["Last=z"]);
    expect(cookieJar.held("a.test")).toEqual({ Before: "b", ChocolateChip: "tasty", Other: "x", Last: "z" });
  });

  test("Client asks and gives in the order of the hops, and gives nothing where nothing was set [TestJarCalls]", async () => {
    const site = new Site(({ url }) => {
      if (url === "http://first.host.fake/") {
        return redirect(302, "http://second.host.fake/secondpath", ["Set-Cookie", "name1=value1"]);
      }
      if (url === "http://second.host.fake/secondpath") {
        return new Response("ok", {
          headers: [
            ["Set-Cookie", "name2=value2"],
            ["Set-Cookie", "name3=value3"],
          ],
        });
      }
      return new Response("no cookies");
    });
    const jar = new FakeJar({ async });
    const client = new Client({ transport: site, cookieJar: jar });
    await client.get("http://first.host.fake/");
    await client.get("http://third.host.fake/none");
    expect(jar.calls).toEqual([
      "get http://first.host.fake/",
      "set http://first.host.fake/ name1=value1",
      "get http://second.host.fake/secondpath",
      "set http://second.host.fake/secondpath name2=value2",
      "set http://second.host.fake/secondpath name3=value3",
      "get http://third.host.fake/none",
    ]);
  });

  test("Client takes a cookie of the caller's out when a redirect sets it, and keeps the others [TestClientAltersCookiesOnRedirect]", async () => {
    const site = new Site((_, count) => {
      switch (count) {
        case 0: // deletes one and changes one
          return redirect(
            302,
            "/",
            ["Set-Cookie", "Cookie1=OldValue1; Max-Age=0"],
            ["Set-Cookie", "Cookie2=New2; Path=/"],
          );
        case 1: // adds one
          return redirect(302, "/", ["Set-Cookie", "Cookie4=NewValue4"]);
        case 2: // changes it
          return redirect(302, "/", ["Set-Cookie", "Cookie4=NewNewValue4"]);
        default:
          return new Response("ok");
      }
    });
    const cookieJar = jarWith("a.test", { Cookie2: "Old2", Cookie5: "five" }, async);
    const request = new Request("http://a.test/", {
      headers: [
        ["Cookie", "Cookie1=OldValue1a; Cookie3=OldValue3"],
        ["X", "y"],
        ["cookie", "Cookie1=b; Cookie2=mine"],
      ],
    });
    await new Client({ transport: site, cookieJar }).do(request);
    expect(site.sent("cookie")).toEqual([
      "Cookie1=OldValue1a; Cookie3=OldValue3; Cookie1=b; Cookie2=mine; Cookie2=Old2; Cookie5=five",
      "Cookie3=OldValue3; Cookie2=New2; Cookie5=five",
      "Cookie3=OldValue3; Cookie2=New2; Cookie5=five; Cookie4=NewValue4",
      "Cookie3=OldValue3; Cookie2=New2; Cookie5=five; Cookie4=NewNewValue4",
    ]);
    expect(site.seen[0]?.request.pairs.map(([name]) => name)).toEqual(["Cookie", "X"]);
  });

  test("Client passes over a cookie that the jar cannot take, and says that it may", async () => {
    const headers: [string, string][] = [
      ["Set-Cookie", "good=1"],
      ["Set-Cookie", "bad"],
      ["Set-Cookie", "too=2"],
    ];
    const jar = new FakeJar({ async });
    const client = new Client({ transport: new Site(() => new Response("ok", { headers })), cookieJar: jar });
    expect(await (await client.get("http://a.test/")).text()).toBe("ok");
    expect(jar.held("a.test")).toEqual({ good: "1", too: "2" });
    expect(jar.options).toEqual(Array(3).fill({ ignoreError: true }));
  });
});

describe("Client with a jar", () => {
  test("does not touch the caller's request, however often it is sent", async () => {
    const site = new Site(() => new Response("ok"));
    const client = new Client({ transport: site, cookieJar: jarWith("a.test", { a: "1" }) });
    const request = new Request("http://a.test/", { headers: { Cookie: "mine=0" } });
    await client.do(request);
    await client.do(request);
    expect(request.headers.raw).toEqual([["Cookie", "mine=0"]]);
    expect(site.sent("cookie")).toEqual(["mine=0; a=1", "mine=0; a=1"]);
  });

  test("does not carry the jar's cookies to another host", async () => {
    const site = new Site((_, count) => (count === 0 ? redirect(302, "http://b.test/") : new Response("ok")));
    const jar = jarWith("a.test", { a: "1" });
    void jar.setCookie("b=2", "http://b.test/", {});
    await new Client({ transport: site, cookieJar: jar }).get("http://a.test/", { headers: { Cookie: "mine=0" } });
    expect(site.sent("cookie")).toEqual(["mine=0; a=1", "b=2"]);
  });

  test("tells the jar nothing of a URL's user", async () => {
    const jar = new FakeJar();
    await new Client({ transport: new Site(() => new Response()), cookieJar: jar }).get("http://u:p@a.test/");
    expect(jar.calls).toEqual(["get http://a.test/"]);
  });

  test("gives it the cookies of a 3xx that is not followed, too", async () => {
    const jar = new FakeJar();
    const site = new Site(() => redirect(302, "/", ["Set-Cookie", "a=1"]));
    const client = new Client({ transport: site, cookieJar: jar });
    await client.get("http://a.test/", { redirect: "manual" });
    expect(jar.held("a.test")).toEqual({ a: "1" });
    await expect(client.get("http://a.test/", { redirect: "error" })).rejects.toThrow(/redirect/);
    expect(jar.calls.filter((call) => call.startsWith("set"))).toHaveLength(2);
  });

  test("without one removes no cookie of the caller's", async () => {
    const site = new Site((_, count) => (count === 0 ? redirect(302, "/", ["Set-Cookie", "a=2"]) : new Response()));
    await new Client({ transport: site }).get("http://a.test/", { headers: { Cookie: "a=1" } });
    expect(site.sent("cookie")).toEqual(["a=1", "a=1"]);
  });

  test("fails with what the jar fails with when it is asked, and sends nothing", async () => {
    const why = new Error("store is down");
    const site = new Site(() => new Response());
    for (const fail of [
      () => Promise.reject(why),
      () => {
        throw why;
      },
    ]) {
      const body = Readable.from(["x"]);
      const cookieJar: CookieJar = { getCookieString: fail, setCookie() {} };
      expect(await errorOf(new Client({ transport: site, cookieJar }).post("http://a.test/", { body }))).toBe(why);
      expect(body.destroyed).toBe(true);
    }
    expect(site.seen).toHaveLength(0);
  });

  test("sends nothing of a jar that gives no cookie string", async () => {
    const site = new Site(() => new Response());
    const cookieJar = { getCookieString: () => "a=1\r\nX-Evil: yes", setCookie() {} };
    await expect(new Client({ transport: site, cookieJar }).get("http://a.test/")).rejects.toMatchObject({
      name: "LocalProtocolError",
    });
    expect(site.seen).toHaveLength(0);
  });

  test("does not wait for it beyond an abort, before or after the answer, and leaves no listener", async () => {
    const never = new Promise<never>(() => {});
    const asked = new EventEmitter();
    const hang = () => {
      asked.emit("jar");
      return never;
    };
    const jars: [CookieJar, number][] = [
      [{ getCookieString: hang, setCookie() {} }, 0],
      [{ getCookieString: () => "", setCookie: hang }, 1],
    ];
    for (const [cookieJar, sent] of jars) {
      const answer = new Response("body", { headers: { "Set-Cookie": "a=1" } });
      const site = new Site(() => answer);
      const { signal, abort } = aborter();
      const why = new Error("enough");
      const body = Readable.from(["x"]);
      const reached = once(asked, "jar");
      const call = new Client({ transport: site, cookieJar }).post("http://a.test/", { signal, body });
      await reached;
      abort(why);
      expect(await errorOf(call)).toBe(why);
      expect(site.seen).toHaveLength(sent);
      expect(getEventListeners(signal, "abort")).toHaveLength(0);
      expect(body.destroyed).toBe(true);
      if (sent === 1) await expect(answer.text()).rejects.toThrow("closed");
    }
  });

  test("is not asked for a call that was aborted before", async () => {
    const jar = new FakeJar();
    const why = new Error("never");
    const client = new Client({ transport: new Site(() => new Response()), cookieJar: jar });
    expect(await errorOf(client.get("http://a.test/", { signal: AbortSignal.abort(why) }))).toBe(why);
    expect(jar.calls).toEqual([]);
  });

  test("fails with the error of a stream that broke while the jar was asked, and ends no process", async () => {
    const why = new Error("no such file");
    const body = new Readable({ read() {} });
    const cookieJar: CookieJar = {
      async getCookieString() {
        body.destroy(why);
        await new Promise((resolve) => body.once("close", resolve));
        return "a=1";
      },
      setCookie() {},
    };
    const site = new Site(() => new Response());
    expect(await errorOf(new Client({ transport: site, cookieJar }).post("http://a.test/", { body }))).toBe(why);
  });

  test("asks it in the async context of the call", async () => {
    const store = new AsyncLocalStorage<string>();
    const heard: (string | undefined)[] = [];
    const cookieJar: CookieJar = {
      getCookieString() {
        heard.push(store.getStore());
        return "";
      },
      setCookie: () => heard.push(store.getStore()),
    };
    const site = new Site((_, count) =>
      count % 2 === 0
        ? redirect(302, "/", ["Set-Cookie", "a=1"])
        : new Response("", { headers: { "Set-Cookie": "b=1" } }),
    );
    const client = new Client({ transport: site, cookieJar });
    await store.run("mine", () => client.get("http://a.test/"));
    expect(heard).toEqual(["mine", "mine", "mine", "mine"]);
  });

  test.each([{}, { getCookieString() {} }, { setCookie() {} }, null, 1, () => {}])("refuses %j as one", (cookieJar) => {
    expect(() => new Client({ cookieJar: cookieJar as never })).toThrow(/^Option cookieJar must be a CookieJar/); // JavaScript may
  });
});

describe("one Cookie line goes out (RFC 6265 §5.4)", () => {
  const cases: [string, [string, string][], string, [string, string][]][] = [
    ["none where there are none [TestAddCookie]", [["X", "y"]], "", [["X", "y"]]],
    ["one cookie [TestAddCookie]", [], "a=1", [["Cookie", "a=1"]]],
    ["three cookies [TestAddCookie]", [["Cookie", "a=1; b=2"]], "c=3", [["Cookie", "a=1; b=2; c=3"]]],
    [
      "behind the other fields",
      [["X", "y"]],
      "a=1",
      [
        ["X", "y"],
        ["Cookie", "a=1"],
      ],
    ],
    [
      "in the place and case of the first",
      [
        ["COOKIE", "a=1"],
        ["X", "y"],
        ["Cookie", "b=2"],
      ],
      "c=3",
      [
        ["COOKIE", "a=1; b=2; c=3"],
        ["X", "y"],
      ],
    ],
    ["two of one name [TestRequestCookie]", [["Cookie", "a=1"]], "a=2", [["Cookie", "a=1; a=2"]]],
  ];
  test.each(cases)("withCookies() makes %s", (_, fields, fromJar, expected) => {
    expect(withCookies(fields, fromJar)).toEqual(expected);
  });

  const without: [string, string, string[], [string, string][]][] = [
    ["one", "a=1; b=2", ["a"], [["Cookie", "b=2"]]],
    ["each of a name", "a=1; b=2;a=3", ["a"], [["Cookie", "b=2"]]],
    ["the last of them, with its line", "a=1", ["a"], []],
    ["a quoted one whole", 'a="x y"; b=2', ["a"], [["Cookie", "b=2"]]],
    ["one without a value", "a; b=2", ["a"], [["Cookie", "b=2"]]],
    ["none of another case", "A=1", ["a"], [["Cookie", "A=1"]]],
    ["none whose name is in a value", "b=a=1", ["a"], [["Cookie", "b=a=1"]]],
  ];
  test.each(without)("withoutCookies() takes %s away", (_, line, names, expected) => {
    expect(withoutCookies([["Cookie", line]], new Set(names))).toEqual(expected);
  });

  test.each([
    ["a=1; Path=/", "a"],
    [" a =1", "a"],
    ["a", "a"],
    ["a; Path=/x", "a"],
    ["=1", ""],
  ])("nameOf(%j) is %j", (cookie, name) => {
    expect(nameOf(cookie)).toBe(name);
  });
});

function aborter() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason: unknown) => controller.abort(reason) };
}
