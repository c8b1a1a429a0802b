/** What `fetch` is over, and what is not the standard's: clients, round trippers, Requests of ours, causes. */

import { getEventListeners } from "node:events";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { isBlockedPort } from "../../lib/fetch/ports.ts";
import {
  BodyUsedError,
  Client,
  createFetch,
  defaultClient,
  fetch,
  HttpError,
  RedirectError,
  Request,
  Response,
  TooManyRedirectsError,
  Transport,
} from "../../lib/index.ts";
import { FakeJar } from "../support/fake-jar.ts";
import { polluted } from "../support/polluted.ts";
import { redirect, Site } from "../support/site.ts";

const ok = () => new Site(() => new Response("ok"));
const over = (site: Site) => new Client({ transport: site });
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => new Error("It did not reject"),
    (error) => error,
  );

describe("client.fetch", () => {
  test("is the same function each time, and needs no this", async () => {
    const client = over(ok());
    const { fetch: bound } = client;
    expect(bound).toBe(client.fetch);
    expect(bound.name).toBe("fetch");
    expect(await (await bound("http://a/")).text()).toBe("ok");
  });

  test("sends the client's default fields and its jar's cookies", async () => {
    const site = ok();
    const jar = new FakeJar();
    await jar.setCookie("a=1", "http://a/", {});
    const client = new Client({ transport: site, headers: { "x-default": "1" }, cookieJar: jar });
    await client.fetch("http://a/");
    expect(site.sent("x-default")).toEqual(["1"]);
    expect(site.sent("cookie")).toEqual(["a=1"]);
  });

  test("follows 20 redirects, or as many as the client says", async () => {
    const site = new Site((_, n) => redirect(302, `/${n}`));
    expect((await errorOf(over(site).fetch("http://a/"))).cause).toMatchObject({ limit: 20 });
    expect(site.seen.length).toBe(21);
    const client = new Client({ transport: site, maxRedirects: 2 });
    const error = await errorOf(client.fetch("http://a/"));
    expect(error.cause).toBeInstanceOf(TooManyRedirectsError);
    expect(error.cause).toMatchObject({ limit: 2 });
  });

  test("does as the client says where the call does not, and not otherwise", async () => {
    const site = new Site((request) => (request.url.endsWith("/b") ? new Response("b") : redirect(302, "/b")));
    const client = new Client({ transport: site, redirect: "manual" });
    expect((await client.fetch("http://a/")).status).toBe(302);
    expect((await client.fetch("http://a/", { redirect: "follow" })).status).toBe(200);
    expect((await errorOf(client.fetch("http://a/", { redirect: "error" }))).cause).toBeInstanceOf(RedirectError);
  });

  test("asks the client's checkRedirect", async () => {
    const site = new Site(() => redirect(302, "/b"));
    const refusal = new Error("not there");
    const client = new Client({ transport: site, checkRedirect: () => refusal });
    expect((await errorOf(client.fetch("http://a/"))).cause).toBe(refusal);
  });

  test("leaves the rules of client.request alone: there PUT becomes GET, and a Referer is sent", async () => {
    const site = new Site((_, n) => (n % 2 === 0 ? redirect(302, "/b") : new Response("b")));
    const client = over(site);
    await client.fetch("http://a/", { method: "PUT", body: "x" });
    await client.put("http://a/", { body: "x" });
    expect(site.steps).toEqual(['PUT "x"', 'PUT "x"', 'PUT "x"', "GET"]);
    expect(site.sent("referer")).toEqual([null, null, null, "http://a/"]);
  });
});

describe("createFetch()", () => {
  test("of a client is client.fetch", () => {
    const client = over(ok());
    expect(createFetch(client)).toBe(client.fetch);
    expect(createFetch(defaultClient)).toBe(defaultClient.fetch);
  });

  test("of a round tripper calls that", async () => {
    const site = ok();
    await createFetch(site)("http://a/b");
    expect(site.seen.map(({ url }) => url)).toEqual(["http://a/b"]);
  });

  test("of anything else is refused", () => {
    for (const wrong of [undefined, null, {}, "x"]) expect(() => createFetch(wrong as never)).toThrow(TypeError);
  });
});

test("fetch is over the default client", async () => {
  expect(await (await fetch("data:,x")).text()).toBe("x");
});

describe("fetch of a Request of ours", () => {
  test("sends it as it is, as often as one likes", async () => {
    const site = ok();
    const request = new Request("http://a/", { method: "POST", json: { a: 1 } });
    const { fetch } = over(site);
    await fetch(request);
    await fetch(request);
    expect(site.steps).toEqual(['POST "{\\"a\\":1}"', 'POST "{\\"a\\":1}"']);
    expect(site.seen[0]?.request).toBe(request);
  });

  test("with an init sends a changed one", async () => {
    const site = ok();
    const request = new Request("http://a/", { method: "POST", body: "old", headers: { "x-a": "1" } });
    await over(site).fetch(request, { body: "new", headers: { "x-b": "2" } });
    expect(site.steps).toEqual(['POST "new"']);
    expect([site.sent("x-a"), site.sent("x-b")]).toEqual([[null], ["2"]]);
  });

  test("needs no duplex for its stream, which goes out once", async () => {
    const { fetch } = over(ok());
    const request = new Request("http://a/", { method: "POST", body: Readable.from(["x"]) });
    expect((await fetch(request)).status).toBe(200);
    const error = await errorOf(fetch(request));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.cause).toBeInstanceOf(BodyUsedError);
  });

  test("refuses what fetch never sends", async () => {
    const { fetch } = over(ok());
    for (const request of [
      new Request("http://a/", { body: "x" }),
      new Request("http://a/", { method: "TRACE" }),
      new Request("http://proxy/", { method: "CONNECT", target: "a:1" }),
      new Request("http://user:secret@a/"),
    ]) {
      const error = await errorOf(fetch(request));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).not.toContain("secret");
    }
  });
});

describe("a blocked port", () => {
  test("is not gone to, nor redirected to", async () => {
    const site = new Site(() => redirect(302, "http://b:6667/"));
    const { fetch } = over(site);
    expect((await errorOf(fetch("http://a:6667/"))).cause.message).toContain("Port 6667 is blocked");
    expect(site.seen).toEqual([]);
    expect((await errorOf(fetch("http://a/"))).cause).toBeInstanceOf(RedirectError);
    expect(site.steps).toEqual(["GET"]);
  });

  test("is blocked in the global fetch too", async () => {
    const blocked = Array.from({ length: 65_536 }, (_, port) => port).filter(isBlockedPort);
    expect(blocked.length).toBeGreaterThan(70);
    // The oracle of Node 20 does not know of port 0, which nobody can listen on.
    for (const port of blocked.filter((port) => port !== 0)) {
      const error = await errorOf(globalThis.fetch(`http://127.0.0.1:${port}/`));
      expect([port, error.cause?.message]).toEqual([port, "bad port"]);
    }
  });
});

describe("a call that is refused", () => {
  test.each([
    ["without duplex", {}],
    ["with GET", { method: "GET", duplex: "half" }],
    ["with a bad method", { method: "a b", duplex: "half" }],
    ["with bad headers", { headers: { "a b": "c" }, duplex: "half" }],
    ["with a bad redirect", { redirect: "x", duplex: "half" }],
    ["with a dispatcher", { dispatcher: {}, duplex: "half" }],
  ])("destroys its stream, %s", async (_, init) => {
    const body = Readable.from(["x"]);
    const site = ok();
    const error = await errorOf(over(site).fetch("http://a/", { method: "POST", body, ...init } as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(body.destroyed).toBe(true);
    expect(site.seen).toEqual([]);
  });

  test("destroys it, with a bad URL, credentials or a blocked port", async () => {
    for (const url of ["nowhere", "http://user@a/", "http://a:22/"]) {
      const body = Readable.from(["x"]);
      const init = { method: "POST", body, duplex: "half" } as const;
      expect(await errorOf(over(ok()).fetch(url, init))).toBeInstanceOf(TypeError);
      expect(body.destroyed).toBe(true);
    }
  });
});

test("a fetch reads nothing that others hung on every object", async () => {
  const site = ok();
  const others = { method: "DELETE", body: "x", dispatcher: {}, integrity: "sha256-AAAA", window: {}, redirect: "x" };
  const call = polluted(others, () => over(site).fetch("http://a/", {}));
  expect((await call).status).toBe(200);
  expect(site.steps).toEqual(["GET"]);
});

test("a failed fetch has the HttpError as its cause, with what it knows", async () => {
  await using client = new Client({ transport: new Transport({ dial: () => Promise.reject(new Error("no way")) }) });
  const error = await errorOf(client.fetch("http://a/"));
  expect(error).toMatchObject({ name: "TypeError", message: "fetch failed" });
  expect(error.cause).toBeInstanceOf(HttpError);
  expect(error.cause).toMatchObject({ code: "ERR_HTTP_DIAL", safeToRetry: true, origin: "http://a" });
});

test("a fetch leaves no listener on its signal", async () => {
  const { signal } = new AbortController();
  await using client = new Client();
  await errorOf(client.fetch("http://127.0.0.1:2/", { signal }));
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("an answer whose integrity was verified keeps facts of its connection, and can be cloned", async () => {
  const integrity = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
  const site = new Site((request) => new Response("hello", { url: request.url, request, headers: { "x-a": "1" } }));
  const response = await over(site).fetch("http://a/", { integrity });
  expect(response.request?.url).toBe("http://a/");
  expect([response.headers.get("x-a"), response.url, response.bodyUsed]).toEqual(["1", "http://a/", false]);
  expect([await response.clone().text(), await response.text()]).toEqual(["hello", "hello"]);
});
