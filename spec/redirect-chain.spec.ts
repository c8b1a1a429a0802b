/** Chains of redirects, hop by hop, over servers without a network: what is asked, what is answered, what ends them. */

import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../lib/clock.ts";
import {
  type CallOptions,
  Client,
  errUseLastResponse,
  LocalProtocolError,
  RedirectError,
  Request,
  Response,
  type RoundTripCall,
  TooManyRedirectsError,
  Transport,
} from "../lib/index.ts";
import { redirect, Site } from "./support/site.ts";

/** Answers `/CODE?next=CODE…` by redirecting to what comes next, as Go's own test server; any other code is the answer. */
function goSite(): Site {
  return new Site((request) => {
    const { pathname, searchParams } = new URL(request.url);
    const code = Number(pathname.slice(1));
    const [next = "200", ...rest] = (searchParams.get("next") ?? "").split(",").filter((part) => part !== "");
    if (code < 300 || code >= 400) return new Response(null, { status: code });
    return redirect(code, `/${next}?next=${rest.join(",")}`);
  });
}

/** Redirects `/?n=0` to `/?n=1` and so on, `last` times; without it for ever. */
function counting(last = Number.POSITIVE_INFINITY, status = 307): Site {
  return new Site((request) => {
    const n = Number(new URL(request.url).searchParams.get("n"));
    return n < last ? redirect(status, `/?n=${n + 1}`) : new Response("the end");
  });
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not reject");
    },
    (error: unknown) => error,
  );
}

describe("Client follows redirects", () => {
  const cases: [method: string, path: string, steps: string[], status: number, row: string][] = [
    ["POST", "/200", ['POST "c"'], 200, "TestPostRedirects/200"],
    ["POST", "/301?next=302", ['POST "c"', "GET", "GET"], 200, "TestPostRedirects/301"],
    ["POST", "/302?next=302", ['POST "c"', "GET", "GET"], 200, "TestPostRedirects/302"],
    ["POST", "/303?next=301", ['POST "c"', "GET", "GET"], 200, "TestPostRedirects/303"],
    ["POST", "/304", ['POST "c"'], 304, "TestPostRedirects/304"],
    ["POST", "/305", ['POST "c"'], 305, "TestPostRedirects/305"],
    [
      "POST",
      "/307?next=303,308,302",
      ['POST "c"', 'POST "c"', "GET", "GET", "GET"],
      200,
      "TestPostRedirects/307 chain",
    ],
    ["POST", "/308?next=302,301", ['POST "c"', 'POST "c"', "GET", "GET"], 200, "TestPostRedirects/308 chain"],
    ["POST", "/404", ['POST "c"'], 404, "TestPostRedirects/404"],
    ["DELETE", "/301?next=302,308", ['DELETE "c"', "GET", "GET", "GET"], 200, "TestDeleteRedirects/301"],
    ["DELETE", "/302?next=302", ['DELETE "c"', "GET", "GET"], 200, "TestDeleteRedirects/302"],
    ["DELETE", "/303", ['DELETE "c"', "GET"], 200, "TestDeleteRedirects/303"],
    [
      "DELETE",
      "/307?next=301,308,303,302,304",
      ['DELETE "c"', 'DELETE "c"', "GET", "GET", "GET", "GET"],
      304,
      "TestDeleteRedirects/307 chain",
    ],
    ["DELETE", "/308?next=307", ['DELETE "c"', 'DELETE "c"', 'DELETE "c"'], 200, "TestDeleteRedirects/308 chain"],
    ["DELETE", "/404", ['DELETE "c"'], 404, "TestDeleteRedirects/404"],
  ];
  const bodies: [name: string, make: () => string | (() => string)][] = [
    ["bytes in memory", () => "c"],
    ["a factory", () => () => "c"],
  ];
  describe.each(bodies)("with a body of %s", (_, make) => {
    test.each(cases)("%s %s: %j, %i [%s]", async (method, path, steps, status) => {
      const site = goSite();
      const client = new Client({ transport: site });
      const response = await client.request(method, `http://a.test${path}`, { body: make() });
      expect(site.steps).toEqual(steps);
      expect(response.status).toBe(status);
      expect(response.redirected).toBe(steps.length > 1);
    });
  });

  test("and a clone of the answer was redirected, too", async () => {
    const response = await new Client({ transport: counting(1) }).get("http://a.test/?n=0");
    expect(response.clone().redirected).toBe(true);
    const empty = new Site((_, count) => (count === 0 ? redirect(302, "/") : new Response(null, { status: 204 })));
    expect((await new Client({ transport: empty }).get("http://a.test/")).clone().redirected).toBe(true);
  });

  test("and names in Referer the hop before [TestClientRedirects/referer]", async () => {
    const site = counting(9);
    await new Client({ transport: site }).get("http://u:p@a.test/?n=0");
    expect(site.sent("referer")[7]).toBe("http://a.test/?n=6");
    expect(site.sent("referer")).toEqual([null, ...Array.from({ length: 9 }, (_, n) => `http://a.test/?n=${n}`)]);
  });

  test("not where the answer has no Location [TestClientRedirectNoLocation]", async () => {
    const site = new Site(() => new Response("here", { status: 302, headers: { Foo: "Bar" } }));
    const response = await new Client({ transport: site }).get("http://a.test/");
    expect([response.status, response.headers.get("foo"), await response.text()]).toEqual([302, "Bar", "here"]);
    expect(response.redirected).toBe(false);
  });

  test("not with a body that was sent once and can be sent no second time [TestClientRedirect308NoGetBody]", async () => {
    const site = goSite();
    const response = await new Client({ transport: site }).post("http://a.test/308", { body: Readable.from(["c"]) });
    expect([response.status, response.headers.get("location")]).toEqual([308, "/200?next="]);
    expect(site.steps).toEqual(['POST "c"']);
  });

  test("where one that was sent once is not needed again", async () => {
    const site = goSite();
    await new Client({ transport: site }).post("http://a.test/303?next=307", { body: Readable.from(["c"]) });
    expect(site.steps).toEqual(['POST "c"', "GET", "GET"]);
  });

  test("over round trippers that do not say which request they answered [TestClientRedirectResponseWithoutRequest]", async () => {
    const site = new Site(() => redirect(303, "http://b.test/"));
    const checkRedirect = () => new Error("no redirects!");
    const client = new Client({ transport: site, checkRedirect });
    await expect(client.get("http://a.test/")).rejects.toThrow("no redirects!");
  });

  test("and closes the answers that it follows", async () => {
    const answers: Response[] = [];
    const site = new Site((_, count) => {
      answers.push(
        new Response(count < 2 ? "moved" : "end", { status: count < 2 ? 302 : 200, headers: { Location: "/" } }),
      );
      return answers.at(-1)!; // just pushed
    });
    expect(await (await new Client({ transport: site }).get("http://a.test/")).text()).toBe("end");
    for (const followed of answers.slice(0, 2)) await expect(followed.text()).rejects.toThrow("closed");
  });

  test("and leaves the caller's request and options as they were", async () => {
    const request = new Request("http://u:p@a.test/?n=0", { method: "POST", body: "c", headers: { Cookie: "a=1" } });
    const before = [...request.pairs];
    const options: CallOptions = Object.freeze({ redirect: "follow" as const, maxRedirects: 3 });
    const site = counting(2);
    const client = new Client({ transport: site, headers: { "X-Default": "d" } });
    await client.do(request, options);
    await client.do(request, options);
    expect(request.pairs).toEqual(before);
    expect(site.sent("x-default")).toEqual(Array(6).fill("d"));
    expect(site.sent("authorization")).toEqual(Array(6).fill("Basic dTpw"));
  });
});

describe("Client stops", () => {
  const ways: [string, (client: Client, url: string) => Promise<Response>, string][] = [
    ["get", (client, url) => client.get(url), "GET"],
    ["head", (client, url) => client.head(url), "HEAD"],
    ["do", (client, url) => client.do(new Request(url)), "GET"],
    ["request without a method of its own", (client, url) => client.do(new Request(url, {})), "GET"],
  ];
  test.each(ways)("after ten redirects of %s [TestClientRedirects]", async (_, send, method) => {
    const site = counting();
    const error = await errorOf(send(new Client({ transport: site }), "http://a.test/?n=0"));
    expect(error).toBeInstanceOf(TooManyRedirectsError);
    expect(error).toBeInstanceOf(RedirectError);
    expect(error).toMatchObject({
      name: "TooManyRedirectsError",
      code: "ERR_HTTP_TOO_MANY_REDIRECTS",
      limit: 10,
      status: 307,
      url: "http://a.test/?n=10",
      location: "http://a.test/?n=11",
      origin: "http://a.test",
      message: `Cannot follow redirect 307 of ${method} http://a.test/?n=10 to http://a.test/?n=11: 10 were followed already (option maxRedirects)`,
    });
    expect(site.seen).toHaveLength(11);
  });

  test.each([0, 1, 3])("after maxRedirects: %i, and not before", async (maxRedirects) => {
    const enough = counting(maxRedirects);
    expect((await new Client({ transport: enough, maxRedirects }).get("http://a.test/?n=0")).status).toBe(200);
    const tooFew = counting(maxRedirects + 1);
    await expect(new Client({ transport: tooFew, maxRedirects }).get("http://a.test/?n=0")).rejects.toMatchObject({
      limit: maxRedirects,
    });
    const call = counting(maxRedirects + 1);
    await expect(new Client({ transport: call }).get("http://a.test/?n=0", { maxRedirects })).rejects.toThrow(
      TooManyRedirectsError,
    );
  });

  test("after fifty where checkRedirect lets all pass, and after maxRedirects where that is given, too", async () => {
    const site = counting();
    const client = new Client({ transport: site, checkRedirect: () => {} });
    await expect(client.get("http://a.test/?n=0")).rejects.toMatchObject({ limit: 50 });
    await expect(client.get("http://a.test/?n=0", { maxRedirects: 2 })).rejects.toMatchObject({ limit: 2 });
    await expect(client.get("http://a.test/?n=0", { checkRedirect: null })).rejects.toMatchObject({ limit: 10 });
  });

  test('before the first with redirect: "manual", of the client or of the call', async () => {
    const site = counting();
    const answers = [
      await new Client({ transport: site, redirect: "manual" }).get("http://a.test/?n=0"),
      await new Client({ transport: site }).get("http://a.test/?n=0", { redirect: "manual" }),
    ];
    for (const { status, redirected } of answers) expect([status, redirected]).toEqual([307, false]);
    const follows = new Client({ transport: counting(1), redirect: "manual" });
    expect((await follows.get("http://a.test/?n=0", { redirect: "follow" })).status).toBe(200);
  });

  test('with an error at the first with redirect: "error", with or without a Location', async () => {
    const site = counting();
    const client = new Client({ transport: site, redirect: "error" });
    const error = await errorOf(client.get("http://a.test/?n=0"));
    expect(error).toBeInstanceOf(RedirectError);
    expect(error).toMatchObject({ code: "ERR_HTTP_REDIRECT", status: 307, url: "http://a.test/?n=0", location: null });
    const bare = new Client({ transport: new Site(() => new Response(null, { status: 301 })), redirect: "error" });
    await expect(bare.get("http://a.test/")).rejects.toThrow(RedirectError);
    const other = new Client({ transport: new Site(() => new Response(null, { status: 304 })), redirect: "error" });
    expect((await other.get("http://a.test/")).status).toBe(304);
  });

  test("at a Location that cannot be followed, and shows none of it that is secret", async () => {
    const answer = new Response("moved", { status: 302, headers: { Location: "ftp://user:secret@b.test/" } });
    const error = await errorOf(new Client({ transport: new Site(() => answer) }).get("http://u:hidden@a.test/"));
    expect(error).toMatchObject({ name: "RedirectError", url: "http://a.test/", location: null });
    expect(String(error)).toMatch(
      /^RedirectError: Cannot follow redirect 302 of GET http:\/\/a\.test\/: its scheme is ftp/,
    );
    expect(JSON.stringify(error) + String(error)).not.toMatch(/secret|hidden/);
    await expect(answer.text()).rejects.toThrow("closed");
  });

  test("with httpsOnly before an http URL is asked, first or last, whoever names it", async () => {
    const site = new Site(() => redirect(302, "http://b.test/"));
    const client = new Client({ transport: site, httpsOnly: true });
    const body = Readable.from(["x"]);
    await expect(client.post("http://a.test/", { body })).rejects.toThrow(LocalProtocolError);
    expect(body.destroyed).toBe(true);
    expect(site.seen).toHaveLength(0);
    await expect(client.get("https://a.test/")).rejects.toMatchObject({
      name: "RedirectError",
      location: "http://b.test/",
    });
    const misled = new Client({
      transport: new Site(() => redirect(302, "/b")),
      httpsOnly: true,
      checkRedirect: (request) => request.with({ url: "http://b.test/" }),
    });
    await expect(misled.get("https://a.test/")).rejects.toThrow(RedirectError);
    expect(site.seen).toHaveLength(1);
  });
});

describe("checkRedirect", () => {
  test("is asked before each hop, with all that was sent, the oldest first [TestClientRedirects/custom policy]", async () => {
    const site = counting(15);
    const seen: [string, string[], number][] = [];
    const kept: (readonly Request[])[] = [];
    const first = new Request("http://a.test/?n=0");
    let oldest: Request | undefined;
    const client = new Client({
      transport: site,
      checkRedirect(request, via, response) {
        oldest ??= via[0];
        kept.push(via);
        seen.push([request.url, via.map(({ url }) => url), response.status]);
      },
    });
    expect(await (await client.do(first)).text()).toBe("the end");
    expect(oldest).toBe(first);
    expect(kept.map(({ length }) => length)).toEqual(Array.from({ length: 15 }, (_, n) => n + 1)); // each its own
    expect(seen).toHaveLength(15);
    expect(seen.at(-1)).toEqual([
      "http://a.test/?n=15",
      Array.from({ length: 15 }, (_, n) => `http://a.test/?n=${n}`),
      307,
    ]);
  });

  test("of the call takes the place of the client's", async () => {
    const client = new Client({ transport: counting(1), checkRedirect: () => new Error("the client's") });
    const mine = new Error("the call's");
    expect(await errorOf(client.get("http://a.test/?n=0", { checkRedirect: () => mine }))).toBe(mine);
  });

  const failing: [string, (error: Error) => unknown][] = [
    ["gives", (error) => error],
    [
      "throws",
      (error) => {
        throw error;
      },
    ],
    ["promises", (error) => Promise.resolve(error)],
    ["rejects with", (error) => Promise.reject(error)],
  ];
  test.each(failing)(
    "that %s an error ends the call with it, and saw the answer [TestClientRedirects/policy error]",
    async (_, fail) => {
      const why = new Error("no");
      let location: string | null = null;
      let answer: Response | null = null;
      const client = new Client({
        transport: counting(),
        checkRedirect(_request, _via, response) {
          answer = response;
          location = response.headers.get("location");
          return fail(why) as Error; // what it does is the case
        },
      });
      expect(await errorOf(client.get("http://a.test/?n=0"))).toBe(why);
      expect(location).toBe("/?n=1");
      expect(answer).toBeInstanceOf(Response);
    },
  );

  test.each(failing)(
    "that %s errUseLastResponse leaves the 3xx, its body unread [TestClientRedirectUseResponse]",
    async (_, use) => {
      const site = new Site(() => new Response("a body", { status: 302, headers: { Location: "/other" } }));
      const client = new Client({ transport: site, checkRedirect: () => use(errUseLastResponse) as Error }); // as above
      const response = await client.get("http://a.test/");
      expect([response.status, response.redirected, await response.text()]).toEqual([302, false, "a body"]);
    },
  );

  test("may put another request in the place of the next one, whose fields hold for that hop alone", async () => {
    const site = counting(3, 307);
    const client = new Client({
      transport: site,
      checkRedirect(request, via) {
        if (via.length !== 1) return;
        return request.with({ method: "PATCH", body: "new", headers: [...request.headers.raw, ["X-Hop", "1"]] });
      },
    });
    await client.put("http://a.test/?n=0", { body: "old", headers: { "X-All": "y" } });
    expect(site.steps).toEqual(['PUT "old"', 'PATCH "new"', 'PATCH "new"', 'PATCH "new"']);
    expect(site.sent("x-hop")).toEqual([null, "1", null, null]);
    expect(site.sent("x-all")).toEqual(["y", "y", "y", "y"]);
  });

  test("that leads to another origin by itself gets the credentials it wrote there, and the chain carries none on", async () => {
    const site = counting(3);
    const client = new Client({
      transport: site,
      checkRedirect: (request, via) => (via.length === 1 ? request.with({ url: "http://b.test/?n=1" }) : undefined),
    });
    await client.get("http://a.test/?n=0", { headers: { Authorization: "mine" } });
    expect(site.sent("authorization")).toEqual(["mine", "mine", null, null]);
  });

  test.each([true, false, null, "stop", 0, {}])("that gives %j is a mistake of the caller's", async (value) => {
    const client = new Client({ transport: counting(), checkRedirect: () => value as never }); // JavaScript may
    await expect(client.get("http://a.test/?n=0")).rejects.toThrow(/^checkRedirect must give nothing, a Request,/);
  });

  test("is not asked where nothing is followed", async () => {
    const asked: string[] = [];
    const checkRedirect = ({ url }: Request) => void asked.push(url);
    for (const answer of [new Response(null, { status: 302 }), new Response("x"), redirect(304, "/")]) {
      await new Client({ transport: new Site(() => answer), checkRedirect }).get("http://a.test/");
    }
    await new Client({ transport: counting(), checkRedirect, redirect: "manual" }).get("http://a.test/?n=0");
    expect(asked).toEqual([]);
  });

  test("runs in the async context of its call", async () => {
    const store = new AsyncLocalStorage<string>();
    const heard: (string | undefined)[] = [];
    const checkRedirect = () => void heard.push(store.getStore());
    const client = new Client({ transport: counting(2), checkRedirect });
    await Promise.all(["one", "two"].map((name) => store.run(name, () => client.get("http://a.test/?n=0"))));
    expect(heard.sort()).toEqual(["one", "one", "two", "two"]);
  });
});

describe("credentials stay with their origin (R11)", () => {
  /** a.test sends to b.test, which sends on within itself and then back. */
  const tour = () =>
    new Site(({ url }) => {
      const { host, pathname } = new URL(url);
      if (host === "a.example.com" && pathname === "/") return redirect(302, "http://b.example.com/");
      if (host === "b.example.com" && pathname === "/") return redirect(302, "/redirect");
      if (host === "b.example.com") return redirect(302, "http://a.example.com/home");
      return new Response("home");
    });
  const headers = { Cookie: "foo=bar", Authorization: "secretpassword", "Proxy-Authorization": "proxysecret" };

  test("none of them reaches another host [TestClientStripHeadersOnRepeatedRedirect/first hop away]", async () => {
    const site = tour();
    await new Client({ transport: site }).get("http://a.example.com/", { headers });
    for (const [name, value] of Object.entries(headers)) expect(site.sent(name).slice(0, 2)).toEqual([value, null]);
  });

  test("and none comes back with the way home [TestClientStripHeadersOnRepeatedRedirect/back home]", async () => {
    const site = tour();
    const response = await new Client({ transport: site, headers }).get("http://u:p@a.example.com/");
    expect(await response.text()).toBe("home");
    expect(site.seen).toHaveLength(4);
    expect(site.sent("cookie")).toEqual(["foo=bar", null, null, null]);
    expect(site.sent("authorization")).toEqual(["Basic dTpw", null, null, null]);
    expect(site.sent("proxy-authorization")).toEqual(["proxysecret", null, null, null]);
  });

  test("fields that are none go along to another port, with a Referer; checkRedirect sees them [TestClientCopyHeadersOnRedirect]", async () => {
    const site = new Site((_, count) => (count === 0 ? redirect(302, "http://a.test:81/x") : new Response("ok")));
    let checked: unknown;
    const client = new Client({
      transport: site,
      checkRedirect: (request) => {
        checked = request.headers.raw;
      },
    });
    await client.get("http://a.test:80/start", {
      headers: { "User-Agent": "ua", "X-Foo": "foo", Cookie: "c=d", Authorization: "a" },
    });
    const expected = [
      ["User-Agent", "ua"],
      ["X-Foo", "foo"],
      ["Referer", "http://a.test/start"],
    ];
    expect(checked).toEqual(expected);
    expect(site.seen[1]?.request.headers.raw).toEqual(expected);
  });

  test("a Host of the caller's stays where the Location is relative [TestClientCopyHostOnRedirect]", async () => {
    const site = new Site((_, count) =>
      count === 0 ? redirect(302, "/hop") : count === 1 ? redirect(302, "http://b.test/final") : new Response("ok"),
    );
    await new Client({ transport: site }).get("http://a.test/", { headers: { Host: "virtual.test" } });
    expect(site.sent("host")).toEqual(["virtual.test", "virtual.test", null]);
  });

  test("a user in a Location is asked for what it is", async () => {
    const site = new Site((_, count) => (count === 0 ? redirect(302, "http://u:p@b.test/") : new Response("ok")));
    await new Client({ transport: site }).get("http://a.test/", { headers: { Authorization: "mine" } });
    expect(site.sent("authorization")).toEqual(["mine", "Basic dTpw"]);
  });
});

describe("signal and time limit cover the whole chain", () => {
  test("an abort within checkRedirect ends the call with its reason [TestClientRedirectsContext]", async () => {
    const controller = new AbortController();
    const site = counting();
    const why = new Error("enough");
    const client = new Client({ transport: site, checkRedirect: () => controller.abort(why) });
    expect(await errorOf(client.get("http://a.test/?n=0", { signal: controller.signal }))).toBe(why);
    expect(site.seen).toHaveLength(1);
  });

  test("each hop gets the signal of the call, or else the request's [TestClientRedirects/cancel propagated]", async () => {
    const { signal } = new AbortController();
    const site = counting(2);
    const client = new Client({ transport: site });
    await client.get("http://a.test/?n=0", { signal });
    await client.do(new Request("http://a.test/?n=0", { signal }));
    expect(site.seen.map(({ call }) => call?.signal)).toEqual(Array(6).fill(signal));
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("an abort does not wait for a checkRedirect that never settles, and leaves no listener", async () => {
    const controller = new AbortController();
    const why = new Error("enough");
    const client = new Client({
      transport: counting(),
      checkRedirect: () => {
        queueMicrotask(() => controller.abort(why));
        return new Promise<void>(() => {});
      },
    });
    expect(await errorOf(client.get("http://a.test/?n=0", { signal: controller.signal }))).toBe(why);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("a checkRedirect that settles late leaves no listener either", async () => {
    const controller = new AbortController();
    const client = new Client({ transport: counting(3), checkRedirect: async () => {}, timeout: 60_000 });
    await client.get("http://a.test/?n=0", { signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  test("nobody is asked when the time is up already", async () => {
    let now = 0;
    const clock = Object.assign(Object.create(systemClock) as Clock, { now: () => now });
    const site = counting();
    class InTime extends Transport {
      override roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
        now += 1000; // the loop was blocked: no deadline could fire
        return site.roundTrip(request, call);
      }
    }
    let asked = 0;
    const checkRedirect = () => {
      asked++;
      return new Promise<void>(() => {});
    };
    const client = new Client({ transport: new InTime({}, clock), checkRedirect, timeout: 1000 });
    await expect(client.get("http://a.test/?n=0")).rejects.toMatchObject({ name: "TimeoutError", limit: 1000 });
    expect(asked).toBe(0);
  });

  test("each hop gets the one deadline of the call", async () => {
    const site = counting(2);
    await new Client({ transport: site, timeout: 60_000 }).get("http://a.test/?n=0");
    const deadlines = site.seen.map(({ call }) => call?.deadline);
    expect(deadlines[0]).toMatchObject({ limit: 60_000 });
    expect(new Set(deadlines).size).toBe(1);
  });
});

describe("the options of redirects", () => {
  const wrong: [object, RegExp][] = [
    [{ redirect: "folow" }, /^Option redirect must be "follow", "manual" or "error": it is string$/],
    [{ maxRedirects: -1 }, /^Option maxRedirects must be a whole number/],
    [{ maxRedirects: 1.5 }, /^Option maxRedirects/],
    [{ checkRedirect: true }, /^Option checkRedirect must be a function or null: it is boolean$/],
    [{ httpsOnly: 1 }, /^Option httpsOnly must be a boolean/],
    [{ strictRedirects: "yes" }, /^Option strictRedirects must be a boolean/],
    [{ maxRedirect: 1 }, /did you mean maxRedirects/],
  ];
  test.each(wrong)("%j is refused, of a client and of a call", async (options, message) => {
    expect(() => new Client(options)).toThrow(message);
    const site = counting();
    await expect(new Client({ transport: site }).get("http://a.test/", options)).rejects.toThrow(message);
    expect(site.seen).toHaveLength(0);
  });

  test("that a prototype brings along are not the caller's", async () => {
    const polluted = Object.create({ redirect: "manual", maxRedirects: 0, checkRedirect: () => new Error("no") });
    const site = counting(1);
    const client = new Client(Object.assign(Object.create({ redirect: "error" }), { transport: site }));
    expect((await client.get("http://a.test/?n=0", polluted)).status).toBe(200);
  });

  test("do not reach the round tripper", async () => {
    const site = counting(1);
    const client = new Client({ transport: site });
    await client.get("http://a.test/?n=0", { redirect: "follow", maxRedirects: 5, writeTimeout: 7 });
    const [first, second] = site.seen;
    expect(first?.call).toEqual({ writeTimeout: 7 });
    expect(second?.call).toEqual({ writeTimeout: 7, hop: 1 }); // told to who listens
  });
});
