/** Basic and bearer credentials: to whom they go, to whom they never do, and what becomes of a token that is refused. */

import { Readable } from "node:stream";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Client, Request, type RequestInit, Response } from "../../lib/index.ts";
import {
  type BearerAuthOptions,
  type TokenSource,
  withBasicAuth,
  withBearerAuth,
  withDigestAuth,
} from "../../lib/middleware.ts";
import { gated } from "../cache/harness.ts";
import { errorOf, settled, TimedSite, world } from "./harness.ts";

const API = "https://api.test";
const ok = () => new Response("ok");
const basic = (username: string, password: string) =>
  withBasicAuth(new TimedSite(ok), { username, password, origins: API });

describe("withBasicAuth() (RFC 7617)", () => {
  test.each([
    ["Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="], // §2
    ["test", "123£", "Basic dGVzdDoxMjPCow=="], // §2.1
    ["test", "123\u00a3", "Basic dGVzdDoxMjPCow=="],
    ["a", "e\u0301", `Basic ${Buffer.from("a:\u00e9").toString("base64")}`], // Normalization Form C
    ["a", "with:colon", `Basic ${Buffer.from("a:with:colon").toString("base64")}`],
    ["", "", "Basic Og=="],
  ])("sends %j and %j from the first request on", async (username, password, expected) => {
    const site = new TimedSite(ok);
    const transport = withBasicAuth(site, { username, password, origins: API });
    await transport.roundTrip(new Request(`${API}/a`));
    expect(site.sent("authorization")).toEqual([expected]);
  });

  test("a refusal is the caller's: nothing is sent twice", async () => {
    const site = new TimedSite(
      () => new Response(null, { status: 401, headers: { "WWW-Authenticate": "Basic realm=x" } }),
    );
    const response = await withBasicAuth(site, { username: "a", password: "b", origins: API }).roundTrip(
      new Request(API),
    );
    expect([response.status, site.seen.length]).toEqual([401, 1]);
  });

  test.each<[string, object, RegExp]>([
    [
      "a colon in the name",
      { username: "a:b", password: "c", origins: API },
      /^Option username must be a string without a colon/,
    ],
    [
      "a control character",
      { username: "a", password: "c\n", origins: API },
      /^Option password must be a string without control/,
    ],
    ["no name", { password: "c", origins: API }, /^Option username is required$/],
    [
      "no origins",
      { username: "a", password: "c" },
      /^Option origins must be an origin as https:\/\/host, or a list of them: one is undefined$/,
    ],
    ["an empty list", { username: "a", password: "c", origins: [] }, /the list is empty$/],
    [
      "plain http",
      { username: "a", password: "c", origins: "http://api.test" },
      /http:\/\/api\.test is plain http.* \(option allowHttp\)$/,
    ],
    [
      "a path",
      { username: "a", password: "c", origins: "https://api.test/v1" },
      /more than an origin: https:\/\/api\.test is all that counts$/,
    ],
    [
      "a password in it",
      { username: "a", password: "c", origins: "https://u:sesame@api.test" },
      /has a user name or a password$/,
    ],
    ["another scheme", { username: "a", password: "c", origins: "ftp://api.test" }, /is of scheme ftp$/],
    ["no URL", { username: "a", password: "c", origins: "api.test" }, /no absolute URL$/],
    [
      "a misspelt option",
      { username: "a", password: "c", origin: API },
      /^Unknown option "origin": did you mean origins\?$/,
    ],
  ])("refuses %s", (_, options, message) => {
    const give = () => withBasicAuth(new TimedSite(ok), options as never);
    expect(give).toThrow(TypeError);
    expect(give).toThrow(message);
    expect(give).not.toThrow(/sesame/);
  });

  test("nothing that is printed shows a secret", () => {
    const wrapped = [
      basic("ann", "sesame"),
      withBearerAuth(new TimedSite(ok), { token: "sesame", origins: API }),
      withDigestAuth(new TimedSite(ok), { username: "ann", password: "sesame", origins: API }),
    ];
    for (const one of wrapped) expect(inspect(one, { depth: 9, showHidden: true })).not.toMatch(/sesame|c2VzYW1l/);
    expect(inspect(wrapped[0])).toBe("BasicAuthRoundTripper { around TimedSite }");
  });
});

describe("credentials are bound to their origins (RFC 9110 §11.5)", () => {
  const wraps: [
    string,
    (site: TimedSite, origins: BearerAuthOptions["origins"]) => ReturnType<typeof withBasicAuth>,
  ][] = [
    [
      "withBasicAuth",
      (site, origins) => withBasicAuth(site, { username: "a", password: "b", origins, allowHttp: true }),
    ],
    ["withBearerAuth", (site, origins) => withBearerAuth(site, { token: "t", origins, allowHttp: true })],
  ];

  describe.each(wraps)("%s", (_, wrap) => {
    test.each([
      ["https://api.test/any/path?q=1", true],
      ["https://api.test:443/", true],
      ["https://API.test/", true],
      ["http://plain.test:8080/", true],
      ["http://api.test/", false],
      ["https://api.test:8443/", false],
      ["https://api.test.evil.example/", false],
      ["https://sub.api.test/", false],
      ["https://evil.example/https://api.test/", false],
      ["http://plain.test/", false],
    ])("%s: %s", async (url, sent) => {
      const site = new TimedSite(ok);
      await wrap(site, [new URL(API), "http://plain.test:8080"]).roundTrip(new Request(url));
      expect(site.sent("authorization")[0] !== null).toBe(sent);
    });

    test("an Authorization of the caller's is left as it is, and so are credentials in a URL", async () => {
      const site = new TimedSite(ok);
      const client = new Client({ transport: wrap(site, API) });
      await client.get(API, { headers: { authorization: "Own x" } });
      await client.get("https://user:pass@api.test/");
      expect(site.sent("authorization")).toEqual(["Own x", "Basic dXNlcjpwYXNz"]);
    });

    test("a redirect to another origin goes without, and back home with them", async () => {
      const to = (Location: string) => new Response(null, { status: 307, headers: { Location } });
      const site = new TimedSite(
        (_, count) => [to("https://evil.example/"), to(`${API}/home`), ok()][count] as Response,
      );
      await new Client({ transport: wrap(site, API) }).post(API, { body: "x" });
      expect(site.sent("authorization").map((value) => value !== null)).toEqual([true, false, true]);
      expect(site.sent("referer").join()).not.toMatch(/Bearer|Basic/);
    });

    test("the caller's request stays as it is", async () => {
      const request = new Request(API, { json: {}, method: "POST" });
      const site = new TimedSite(ok);
      await wrap(site, API).roundTrip(request);
      expect(request.headers.raw).toEqual([["Content-Type", "application/json"]]);
      expect(site.sent("content-type")).toEqual(["application/json"]);
    });
  });
});

/** A server that takes one token; and a source that counts. */
function tokens(taken: string, source?: TokenSource) {
  const asked: (string | null)[] = [];
  const give = source ?? ((refused) => (refused === null ? "old" : "new"));
  const site = new TimedSite(({ headers }) =>
    headers.get("authorization") === `Bearer ${taken}`
      ? ok()
      : new Response("no", { status: 401, headers: { "WWW-Authenticate": 'Bearer error="invalid_token"' } }),
  );
  const transport = withBearerAuth(site, {
    token(refused) {
      asked.push(refused);
      return give(refused);
    },
    origins: API,
  });
  const send = (init: RequestInit = {}, call = {}) => transport.roundTrip(new Request(API, init), call);
  return { site, transport, send, asked };
}

describe("withBearerAuth() (RFC 6750)", () => {
  test("a token that is refused is renewed once, and the request is sent once more", async () => {
    const { site, send, asked } = tokens("new");
    expect((await send({ method: "POST", body: "x" })).status).toBe(200);
    expect(site.sent("authorization")).toEqual(["Bearer old", "Bearer new"]);
    expect(site.steps).toEqual(['POST "x"', 'POST "x"']);
    await send();
    expect(asked).toEqual([null, "old"]); // kept from then on
    expect(site.sent("authorization")).toEqual(["Bearer old", "Bearer new", "Bearer new"]);
  });

  test("a new one that is refused too is the caller's 401, and the next call has another", async () => {
    let count = 0;
    const { site, send, asked } = tokens("t3", () => `t${++count}`);
    const response = await send();
    expect([response.status, await response.text()]).toEqual([401, "no"]);
    expect(site.seen).toHaveLength(2);
    expect((await send()).status).toBe(200);
    expect(asked).toEqual([null, "t1", "t2"]);
  });

  test("a source that has no other token is not asked for a third", async () => {
    const { site, send, asked } = tokens("other", () => "same");
    expect(await (await send()).text()).toBe("no");
    expect([site.seen.length, asked]).toEqual([1, [null, "same"]]);
  });

  test("a token that was given is never renewed", async () => {
    const site = new TimedSite(() => new Response(null, { status: 401 }));
    const transport = withBearerAuth(site, { token: "t", origins: API });
    expect((await transport.roundTrip(new Request(API))).status).toBe(401);
    expect(site.sent("authorization")).toEqual(["Bearer t"]);
  });

  test("many calls that are refused at once share one renewal, and so do those that come meanwhile", async () => {
    const gate = gated<string>();
    const { site, send, asked } = tokens("new", (refused) => (refused === null ? "old" : gate.promise));
    const calls = [send(), send(), send()];
    await site.clock.settle(); // all three were refused
    calls.push(send());
    await site.clock.settle();
    expect(asked).toEqual([null, "old"]);
    expect(site.seen).toHaveLength(3);
    gate.resolve("new");
    for (const call of calls) expect((await call).status).toBe(200);
    expect(asked).toEqual([null, "old"]);
    expect(site.seen).toHaveLength(7);
  });

  test("a call that is refused with a token which others have replaced meanwhile asks for none", async () => {
    const slow = gated<void>();
    const asked: (string | null)[] = [];
    const site = new TimedSite(async ({ headers }, count) => {
      if (count === 0) await slow.promise;
      return new Response(null, { status: headers.get("authorization") === "Bearer new" ? 200 : 401 });
    });
    const token: TokenSource = (refused) => {
      asked.push(refused);
      return refused === null ? "old" : "new";
    };
    const transport = withBearerAuth(site, { token, origins: API });
    const first = transport.roundTrip(new Request(API));
    await site.clock.settle();
    expect((await transport.roundTrip(new Request(API))).status).toBe(200);
    slow.resolve();
    expect((await first).status).toBe(200);
    expect(asked).toEqual([null, "old"]);
  });

  test("a body that can be read once is sent once; the next call has a new token", async () => {
    const { site, send } = tokens("new");
    const response = await send({ method: "POST", body: Readable.from(["once"]) });
    expect([response.status, await response.text()]).toEqual([401, "no"]);
    expect((await send()).status).toBe(200);
    expect(site.sent("authorization")).toEqual(["Bearer old", "Bearer new"]);
  });

  test("what the source throws fails the calls that wait, gives their bodies up, and the next call asks again", async () => {
    let fail = true;
    const { site, send, asked } = tokens("good", () => {
      if (fail) throw new Error("no login");
      return "good";
    });
    const body = Readable.from(["x"]);
    const both = await Promise.all([errorOf(send({ method: "POST", body })), errorOf(send())]);
    expect(both.map(({ message }) => message)).toEqual(["no login", "no login"]);
    expect([body.destroyed, asked.length, site.seen.length]).toEqual([true, 1, 0]);
    fail = false;
    expect((await send()).status).toBe(200);
  });

  test("a renewal that fails closes the 401", async () => {
    const { clock, transport: inner, origin } = world(() => ({ status: 401, body: "x".repeat(200_000) }));
    const transport = withBearerAuth(inner, {
      token(refused) {
        if (refused !== null) throw new Error("no login");
        return "t";
      },
      origins: origin.url().slice(0, -1),
      allowHttp: true,
    });
    expect((await errorOf(settled(clock, transport.roundTrip(new Request(origin.url()))))).message).toBe("no login");
    await clock.settle();
    expect(inner.stats()).toMatchObject({ busy: 0, idle: 1 });
    await inner.close();
  });

  test("both attempts go over one connection", async () => {
    const {
      clock,
      transport: inner,
      origin,
    } = world((request) =>
      request.field("authorization") === "Bearer new"
        ? { body: "in" }
        : { status: 401, body: "x".repeat(100_000), framing: "chunked" },
    );
    const token: TokenSource = (refused) => (refused === null ? "old" : "new");
    const transport = withBearerAuth(inner, { token, origins: origin.url(), allowHttp: true });
    const response = await settled(clock, transport.roundTrip(new Request(origin.url())));
    expect([await response.text(), inner.stats().dialed]).toEqual(["in", 1]);
    await inner.close();
  });

  test("an abort ends the wait for a token, and the others get it all the same", async () => {
    const gate = gated<string>();
    const { site, send, asked } = tokens("good", () => gate.promise);
    const controller = new AbortController();
    const body = Readable.from(["x"]);
    const first = send({ method: "POST", body }, { signal: controller.signal });
    const second = send();
    controller.abort("enough");
    await expect(first).rejects.toBe("enough");
    expect(body.destroyed).toBe(true);
    const late = errorOf(send({}, { deadline: { at: 10, limit: 10 } }));
    await site.clock.advance(10);
    expect(await late).toMatchObject({ code: "ERR_HTTP_TIMEOUT", phase: "total" });
    gate.resolve("good");
    expect((await second).status).toBe(200);
    expect(asked).toEqual([null]);
    expect(site.clock.armed).toBe(0);
  });

  test("refuses what is no token, and shows none of it", async () => {
    expect(() => withBearerAuth(new TimedSite(ok), { token: "a b", origins: API })).toThrow(
      "Option token must be a token (RFC 6750 §2.1) or a function: it is string",
    );
    for (const wrong of ["sesame\r\nX: y", "", 7]) {
      const { send, site } = tokens("x", () => wrong as string);
      const error = await errorOf(send());
      expect(error.message).toBe("Option token must give a token (RFC 6750 §2.1): it gave something else");
      expect(site.seen).toEqual([]);
    }
  });
});
