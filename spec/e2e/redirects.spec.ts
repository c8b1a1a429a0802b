/**
 * Redirects over real connections: what is on the wire, which connections live on, and what a signal and the time limit
 * end in the middle of a chain. The rules themselves are in `redirect.spec.ts` and `redirect-chain.spec.ts`.
 */

import { getEventListeners } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { Client, errUseLastResponse, Request, TimeoutError } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { FakeJar } from "../support/fake-jar.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { quiet, Stage } from "./phases.ts";

const leaks = checkLeaks();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const moved = (location: string, ...lines: string[]) =>
  `${["HTTP/1.1 302 Found", `Location: ${location}`, ...lines].join("\r\n")}\r\n\r\n`;

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not reject");
    },
    (error: unknown) => error,
  );
}

describe("a redirect within an origin", () => {
  test("goes over the same connection, three in a row, and the answer tells where it ended [TestClientRedirectEatsBody_h1]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url("/one#part"), { headers: { "X-Mine": "y" } });
    const conn = await peer.accept();
    await conn.expect(peer.head("GET /one", "X-Mine: y"));
    conn.reply(`${moved("/two", "Content-Length: 5")}moved`);
    await conn.expect(peer.head("GET /two", "X-Mine: y", `Referer: ${peer.url("/one")}`));
    conn.reply(`${moved("three?q", "Transfer-Encoding: chunked")}5\r\nmoved\r\n0\r\n\r\n`);
    await conn.expect(peer.head("GET /three?q", "X-Mine: y", `Referer: ${peer.url("/two")}`));
    conn.reply(OK);
    const response = await call;
    expect(await response.text()).toBe("ok");
    expect(response).toMatchObject({ status: 200, redirected: true, url: peer.url("/three?q") });
    expect(response.request?.url).toBe(peer.url("/three?q#part"));
    expect(peer.accepted).toHaveLength(1);
    expect(peer.transport.stats()).toMatchObject({ idle: 1, dialed: 1, calls: 3 });
  });

  test("has the last request behind its answer [TestRequestRedirect]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.do(new Request(peer.url("/foo/")));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(moved("/bar/", "Content-Length: 0"));
    await conn.readHead();
    conn.reply(OK);
    const response = await call;
    expect(response.request?.url).toBe(peer.url("/bar/"));
    await response.close();
  });

  test("does not decode the body that it passes over (R17)", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url("/one"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${moved("/two", "Content-Encoding: gzip", "Content-Length: 7")}no gzip`);
    await conn.readHead();
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
    expect(peer.accepted).toHaveLength(1);
  });

  test("waits for a body that comes after the head, rather than dial", async () => {
    await using peer = await scriptedPeer();
    let asked = () => {};
    const checked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const call = peer.client.get(peer.url("/one"), { checkRedirect: () => asked() });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${moved("/two", "Content-Length: 10")}first`);
    await checked; // the head is through
    conn.reply("later");
    await conn.readHead();
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
    expect(peer.accepted).toHaveLength(1);
  });

  const unread: [string, string][] = [
    ["is too large to be drained", moved("/two", "Content-Length: 1000000")],
    ["does not come to an end", `${moved("/two", "Transfer-Encoding: chunked")}5\r\nmoved\r\n`],
    ["ends with the connection", `${moved("/two")}moved`],
    ["says close", `${moved("/two", "Connection: close", "Content-Length: 5")}moved`],
  ];
  test.each(unread)("takes another connection where the body %s", async (_, answer) => {
    await using stage = await Stage.open();
    const call = quiet(stage.peer.client.get(stage.peer.url("/one")));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply(answer);
    await stage.polls();
    await stage.clock.advance(50); // the longest that a drain may take
    const second = await stage.accept();
    await stage.driven(second.readHead());
    second.reply(OK);
    expect(await stage.driven((await stage.driven(call)).text())).toBe("ok");
    expect(conn.ended).toBe(true);
  });

  test("of a body in memory sends it again, and of a stream gives the 307 as the answer", async () => {
    await using peer = await scriptedPeer();
    const temporary = `HTTP/1.1 307 Temporary Redirect\r\nLocation: /two\r\nContent-Length: 4\r\n\r\nlook`;
    const call = peer.client.post(peer.url("/one"), { body: "body" });
    const conn = await peer.accept();
    const length = ["Content-Length: 4", "Content-Type: text/plain;charset=UTF-8"];
    await conn.expect(`${peer.head("POST /one", ...length)}body`);
    conn.reply(temporary);
    await conn.expect(`${peer.head("POST /two", ...length, `Referer: ${peer.url("/one")}`)}body`);
    conn.reply(OK);
    await (await call).text();

    const once = peer.client.post(peer.url("/one"), { body: Readable.from(["body"]) });
    await conn.readHead();
    await conn.expect("4\r\nbody\r\n0\r\n\r\n");
    conn.reply(temporary);
    const answer = await once;
    expect([answer.status, await answer.text(), answer.redirected]).toEqual([307, "look", false]);
  });

  test("of a POST at 303 says nothing of the body any more", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.post(peer.url("/one"), { json: { a: 1 } });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.expect('{"a":1}');
    conn.reply("HTTP/1.1 303 See Other\r\nLocation: /two\r\nContent-Length: 0\r\n\r\n");
    await conn.expect(peer.head("GET /two", `Referer: ${peer.url("/one")}`));
    conn.reply(OK);
    await (await call).text();
  });

  test("that the caller does not follow has its body unread", async () => {
    await using peer = await scriptedPeer();
    const client = new Client({ transport: peer.transport, checkRedirect: () => errUseLastResponse });
    const call = client.get(peer.url("/one"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${moved("/two", "Content-Length: 5")}moved`);
    expect(await (await call).text()).toBe("moved");
    expect(peer.transport.stats().idle).toBe(1);
  });

  test("that the caller refuses leaves its connection to others", async () => {
    await using peer = await scriptedPeer();
    const why = new Error("no");
    const call = quiet(peer.client.get(peer.url("/one"), { checkRedirect: () => why }));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${moved("/two", "Content-Length: 5")}moved`);
    expect(await errorOf(call)).toBe(why);
    expect(peer.transport.stats().idle).toBe(1);
  });
});

describe("a redirect to another origin", () => {
  test("takes no credentials to another port of the same host, and none back (R11)", async () => {
    await using home = await scriptedPeer();
    await using away = await scriptedPeer();
    const url = `http://user:pass@${home.authority}/one`;
    const jar = new FakeJar();
    const client = new Client({ transport: home.transport, cookieJar: jar, headers: { "X-Api-Key": "k" } });
    const call = client.get(url, { headers: { Cookie: "mine=0", "X-Foo": "foo" } });
    const first = await home.accept();
    const basic = "Authorization: Basic dXNlcjpwYXNz";
    await first.expect(home.head("GET /one", basic, "X-Api-Key: k", "Cookie: mine=0", "X-Foo: foo"));
    first.reply(moved(away.url("/two"), "Set-Cookie: home=1", "Content-Length: 0"));
    const second = await away.accept();
    await second.expect(away.head("GET /two", "X-Foo: foo", `Referer: ${home.url("/one")}`));
    second.reply(moved(home.url("/three"), "Set-Cookie: away=2", "Content-Length: 0"));
    await first.expect(home.head("GET /three", "X-Foo: foo", `Referer: ${away.url("/two")}`, "Cookie: home=1"));
    first.reply(OK);
    await (await call).text();
  });

  describe("from https", () => {
    const authority = new CertificateAuthority();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    const options = { serverTls, tls: { ca: authority.cert } };

    test("to http is told neither credentials nor where one comes from (R11)", async () => {
      await using secure = await scriptedPeer(options);
      await using plain = await scriptedPeer();
      const call = secure.client.get(secure.url("/secret"), { headers: { Authorization: "a", Cookie: "b=c", X: "y" } });
      const first = await secure.accept();
      await first.readHead();
      first.reply(moved(plain.url("/two"), "Content-Length: 0"));
      const second = await plain.accept();
      await second.expect(plain.head("GET /two", "X: y"));
      second.reply(OK);
      await (await call).text();
    });

    test("to http is refused with httpsOnly, before anything is dialed", async () => {
      await using secure = await scriptedPeer(options);
      await using plain = await scriptedPeer();
      const call = quiet(secure.client.get(secure.url("/"), { httpsOnly: true }));
      const first = await secure.accept();
      await first.readHead();
      first.reply(moved(plain.url("/two"), "Content-Length: 0"));
      expect(await errorOf(call)).toMatchObject({ name: "RedirectError", location: plain.url("/two") });
      expect(secure.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
    });
  });
});

describe("in the middle of a chain", () => {
  /** A call whose second hop was read by the peer. */
  async function onSecondHop(stage: Stage, init: { signal?: AbortSignal; timeout?: number }) {
    const call = quiet(stage.peer.client.get(stage.peer.url("/one"), init));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply(moved("/two", "Content-Length: 0"));
    await stage.driven(conn.readHead());
    return { call, conn };
  }

  test("an abort ends the call with its reason and leaves nothing", async () => {
    await using stage = await Stage.open();
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const { call } = await onSecondHop(stage, { signal: controller.signal });
    const why = new Error("enough");
    controller.abort(why);
    expect(await stage.driven(errorOf(call))).toBe(why);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
    await stage.expectNothingLeft();
  });

  test("an abort while a followed body is waited for ends it, too", async () => {
    await using stage = await Stage.open();
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const call = quiet(stage.peer.client.get(stage.peer.url("/one"), { signal: controller.signal }));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply(moved("/two", "Content-Length: 10"));
    await stage.polls();
    const why = new Error("enough");
    controller.abort(why);
    expect(await stage.driven(errorOf(call))).toBe(why);
    await stage.clock.advance(50); // the drain goes on without the call
    await stage.expectNothingLeft();
    expect(conn.pending).toBe("");
  });

  test("the time limit counts from the first hop", async () => {
    await using stage = await Stage.open();
    const call = quiet(stage.peer.client.get(stage.peer.url("/one"), { timeout: 1000 }));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    await stage.clock.advance(600);
    conn.reply(moved("/two", "Content-Length: 0"));
    await stage.driven(conn.readHead());
    await stage.clock.advance(399);
    expect(await Promise.race([call.catch(() => "failed"), Promise.resolve("waits")])).toBe("waits");
    await stage.clock.advance(2);
    const error = await stage.driven(errorOf(call));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase: "total", option: "timeout", limit: 1000 });
    expect(String(error)).toContain(stage.peer.url("/two"));
    await stage.expectNothingLeft();
  });

  test("the time limit covers the last body [TestClientTimeout]", async () => {
    await using stage = await Stage.open();
    const { call, conn } = await onSecondHop(stage, { timeout: 1000 });
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nslow");
    const response = await stage.driven(call);
    const text = quiet(response.text());
    await stage.clock.advance(1001);
    const error = await stage.driven(errorOf(text));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase: "total", option: "timeout" });
    await stage.expectNothingLeft();
  });

  test("the time limit does not wait for a checkRedirect that never settles", async () => {
    await using stage = await Stage.open();
    const call = quiet(
      stage.peer.client.get(stage.peer.url("/one"), {
        timeout: 1000,
        checkRedirect: () => new Promise<void>(() => {}),
      }),
    );
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply(moved("/two", "Content-Length: 0"));
    await stage.until(() => stage.peer.transport.stats().idle === 1);
    await stage.polls();
    await stage.clock.advance(1001);
    expect(await stage.driven(errorOf(call))).toMatchObject({ name: "TimeoutError", option: "timeout", limit: 1000 });
    stage.peer.transport.closeIdleConnections();
    await stage.expectNothingLeft();
  });

  test("a connection that is refused is an error of its own hop", async () => {
    await using gone = await scriptedPeer();
    const url = gone.url("/");
    await gone[Symbol.asyncDispose]();
    await using peer = await scriptedPeer();
    const call = quiet(peer.client.get(peer.url("/one")));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(moved(url, "Content-Length: 0"));
    expect(await errorOf(call)).toMatchObject({ name: "DialError", origin: new URL(url).origin });
  });
});
