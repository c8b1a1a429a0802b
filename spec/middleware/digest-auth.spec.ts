/** Digest against a server of its own on the loopback that checks every answer by itself. */

import { Readable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { Client, Request, type RequestInit, Response, Transport } from "../../lib/index.ts";
import { type DigestAlgorithm, type DigestAuthOptions, withDigestAuth } from "../../lib/middleware.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { DigestServer, type DigestServerOptions } from "./digest-server.ts";
import { errorOf, settled, TimedSite, world } from "./harness.ts";

checkLeaks();

const USERNAME = "ann";
const PASSWORD = 's3cret, "it" is';

let transport: Transport | null = null;
afterEach(async () => {
  await transport?.close();
  transport = null;
});

async function serving(options: DigestServerOptions = {}, auth: Partial<DigestAuthOptions> = {}) {
  const server = await new DigestServer(options).listen();
  transport = new Transport();
  const client = new Client({
    transport: withDigestAuth(transport, {
      username: options.username ?? USERNAME,
      password: options.password ?? PASSWORD,
      origins: server.origin,
      ...auth,
    }),
  });
  return { server, client };
}

const challenge = (algorithm: string, more = 'qop="auth"') =>
  `Digest realm="r \\"quoted\\"", nonce="NONCE", opaque="op", ${algorithm === "" ? "" : `algorithm=${algorithm}, `}${more}`;

describe("withDigestAuth() (RFC 7616)", () => {
  test.each(["", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])(
    "%s: one refusal, then every request is counted, over one connection",
    async (algorithm) => {
      const { server, client } = await serving({ challenges: [challenge(algorithm)] });
      await using _ = server;
      for (const path of ["/a?b=%20c", "/", "/x"]) {
        expect(await (await client.get(server.origin + path)).text()).toBe("hello, 0 bytes");
      }
      expect(server.log).toEqual(["401 new", "200", "200", "200"]);
      expect(server.authorizations.map((given) => given.get("nc"))).toEqual(["00000001", "00000002", "00000003"]);
      expect(server.sockets).toBe(1);
    },
  );

  test.each<[string, DigestServerOptions]>([
    ["userhash", { challenges: [challenge("SHA-256", "qop=auth, userhash=true")] }],
    [
      "a name beyond ASCII",
      { username: "Jäsøn (Doe)*'", challenges: [challenge("SHA-256", "qop=auth, charset=UTF-8")] },
    ],
    ["a name with quotes", { username: 'a"\\b' }],
    ["no qop, as RFC 2069", { challenges: [challenge("MD5", "stale=false")] }],
    ["the strongest of several fields", { challenges: [challenge("MD5"), 'Basic realm="r"', challenge("SHA-256")] }],
    [
      "the strongest of one field",
      { challenges: [`Basic realm="r", ${challenge("MD5")}, Negotiate, ${challenge("SHA-256")}`] },
    ],
  ])("%s", async (_name, options) => {
    const { server, client } = await serving(options);
    await using _ = server;
    expect((await client.post(`${server.origin}/in`, { body: "four" })).status).toBe(200);
    expect(server.log).toEqual(["401 new", "200"]);
    if ((options.challenges?.join() ?? "").includes("Basic")) {
      expect(server.authorizations[0]?.get("algorithm")).toBe("SHA-256");
    }
  });

  test.each<[string, () => RequestInit]>([
    ["none", () => ({})],
    ["in memory", () => ({ method: "POST", body: "four" })],
    ["made anew", () => ({ method: "PUT", body: () => Readable.from(["fo", "ur"]) })],
  ])("auth-int hashes a body: %s", async (_name, init) => {
    const { server, client } = await serving({ challenges: [challenge("SHA-256", 'qop="auth-int"')] });
    await using _ = server;
    for (let i = 0; i < 2; i++) expect((await client.do(new Request(server.origin, init()))).status).toBe(200);
    expect(server.log).toEqual(["401 new", "200", "200"]);
    expect(server.authorizations[0]?.get("qop")).toBe("auth-int");
  });

  test("auth-int refuses a body that can be read once, before anything is sent", async () => {
    const { server, client } = await serving({ challenges: [challenge("MD5", 'qop="auth-int"')] });
    await using _ = server;
    await (await client.get(server.origin)).close();
    const body = Readable.from(["once"]);
    const error = await errorOf(client.post(server.origin, { body }));
    expect(error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
    expect(error.message).toContain("auth-int");
    expect([body.destroyed, server.log]).toEqual([true, ["401 new", "200"]]);
  });

  test("a body that can be read once meets the refusal; the next request answers from the start", async () => {
    const { server, client } = await serving();
    await using _ = server;
    const refused = await client.post(server.origin, { body: Readable.from(["once"]) });
    expect(refused.status).toBe(401);
    await refused.close();
    expect(await (await client.post(server.origin, { body: Readable.from(["twice"]) })).text()).toBe("hello, 5 bytes");
    expect(server.log).toEqual(["401 new", "200"]);
  });

  test("a stale nonce is replaced without the caller's knowing", async () => {
    const { server, client } = await serving({ uses: 2 });
    await using _ = server;
    for (let i = 0; i < 5; i++) expect(await (await client.get(server.origin)).text()).toContain("hello");
    expect(server.log).toEqual(["401 new", "200", "200", "401 stale", "200", "200", "401 stale", "200"]);
    expect(server.sockets).toBe(1);
  });

  test("a nonce that is stale whenever it is used is given up after two answers", async () => {
    const { server, client } = await serving({ uses: 0 });
    await using _ = server;
    expect((await client.get(server.origin)).status).toBe(401);
    expect(server.log).toEqual(["401 new", "401 stale", "401 stale"]);
  });

  test.each(["SHA-256", "SHA-256-sess"])(
    "%s: nextnonce is used for the next request, counted from one",
    async (algorithm) => {
      const { server, client } = await serving({ nextNonce: true, uses: 1, challenges: [challenge(algorithm)] });
      await using _ = server;
      for (let i = 0; i < 4; i++) await (await client.get(server.origin)).text();
      expect(server.log).toEqual(["401 new", "200", "200", "200", "200"]);
      expect(new Set(server.authorizations.map((given) => given.get("nc")))).toEqual(new Set(["00000001"]));
      expect(new Set(server.authorizations.map((given) => given.get("nonce"))).size).toBe(4);
    },
  );

  test("wrong credentials are sent once for each call, and the 401 is the caller's", async () => {
    const { server, client } = await serving({ password: "right" }, { password: "wrong" });
    await using _ = server;
    for (let i = 0; i < 2; i++) {
      const response = await client.get(server.origin);
      expect(response.status).toBe(401);
      expect(await response.text()).toHaveLength(10_000);
    }
    expect(server.log).toEqual(["401 new", "401 wrong: response", "401 new", "401 wrong: response"]);
  });

  test("many requests at once never use a count twice", async () => {
    const { server, client } = await serving();
    await using _ = server;
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => client.get(`${server.origin}/${i}`)));
    for (const response of all) expect(await response.text()).toBe("hello, 0 bytes");
    await Promise.all(Array.from({ length: 40 }, async () => (await client.get(server.origin)).text()));
    expect(server.log.filter((line) => line.includes("again"))).toEqual([]);
    expect(server.log.filter((line) => line === "200")).toHaveLength(80);
  });

  test("a challenge that cannot be answered, or may not be, is the caller's", async () => {
    for (const [challenges, algorithms] of [
      [['Basic realm="r"']],
      [["Bearer"]],
      [[challenge("MD5")], ["SHA-256"]],
      [[]],
    ] as [string[], DigestAlgorithm[]?][]) {
      const { server, client } = await serving({ challenges }, algorithms === undefined ? {} : { algorithms });
      await using _ = server;
      const response = await client.get(server.origin);
      expect([response.status, server.log]).toEqual([401, ["401 new"]]);
      await response.close();
      await transport?.close();
    }
  });

  test("credentials go to no other origin, whatever it asks for", async () => {
    const site = new TimedSite(({ url }) =>
      url.startsWith("http://home.test")
        ? new Response(null, { status: 307, headers: { Location: "http://evil.test/" } })
        : new Response(null, { status: 401, headers: { "WWW-Authenticate": challenge("MD5").replace("NONCE", "n") } }),
    );
    const wrapped = withDigestAuth(site, { username: "a", password: "b", origins: "http://home.test" });
    expect((await new Client({ transport: wrapped }).get("http://home.test/")).status).toBe(401);
    expect(site.sent("authorization")).toEqual([null, null]);
  });

  test("an Authorization of the caller's is left as it is, its refusal too", async () => {
    const { server, client } = await serving();
    await using _ = server;
    const response = await client.get(server.origin, { headers: { Authorization: "Digest own=1" } });
    expect([response.status, server.log]).toEqual([401, ["401 wrong: unknown nonce"]]);
    await response.close();
  });

  test("fetch goes through it, and an abort between the attempts ends the call", async () => {
    const { server, client } = await serving();
    await using _ = server;
    expect(await (await client.fetch(server.origin, { method: "post", body: "abc" })).text()).toBe("hello, 3 bytes");
    const controller = new AbortController();
    const site = new TimedSite(() => {
      controller.abort("enough");
      return new Response("no", { status: 401, headers: { "WWW-Authenticate": challenge("MD5") } });
    });
    const wrapped = withDigestAuth(site, { username: "a", password: "b", origins: "http://a.test" });
    await expect(wrapped.roundTrip(new Request("http://a.test/"), { signal: controller.signal })).rejects.toBe(
      "enough",
    );
    expect(site.seen).toHaveLength(1);
  });

  test("a refusal is drained: its connection serves the answer", async () => {
    const {
      clock,
      transport: inner,
      origin,
    } = world((_, count) => {
      if (count > 0) return { body: "in" };
      return async (_request, conn) => {
        conn.reply(`HTTP/1.1 401 No\r\nWWW-Authenticate: ${challenge("MD5")}\r\nContent-Length: 4\r\n\r\n`);
        await conn.wait(20);
        conn.reply("late");
      };
    });
    const wrapped = withDigestAuth(inner, { username: "a", password: "b", origins: origin.url() });
    const response = await settled(clock, wrapped.roundTrip(new Request(origin.url())));
    expect([await response.text(), inner.stats().dialed]).toEqual(["in", 1]);
    await inner.close();
  });

  test("refuses wrong options", () => {
    const give = (options: object) => () => withDigestAuth(new TimedSite(() => new Response()), options as never);
    const good = { username: "a", password: "b", origins: "http://a.test" };
    expect(give({ ...good, algorithms: ["SHA-1"] })).toThrow(
      /^Option algorithms must be a list of SHA-256, .*: it is Array$/,
    );
    expect(give({ ...good, algorithms: [] })).toThrow(TypeError);
    expect(give({ ...good, username: "a\0" })).toThrow("control characters");
    expect(give({ ...good, origins: undefined })).toThrow("Option origins must be");
    expect(give({ ...good, allowHttp: true })).toThrow('Unknown option "allowHttp"');
  });
});
