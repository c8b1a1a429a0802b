import { AsyncLocalStorage } from "node:async_hooks";
import { Readable } from "node:stream";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { BodyUsedError, LocalProtocolError } from "../../lib/errors.ts";
import { destinationOf } from "../../lib/message/destination.ts";
import { Headers } from "../../lib/message/headers.ts";
import { basicAuthorization, Request, type RequestInit } from "../../lib/message/request.ts";

const URL_ = "http://host/";

function refusal(run: () => unknown): LocalProtocolError {
  try {
    run();
  } catch (error) {
    if (error instanceof LocalProtocolError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("destinationOf()", () => {
  test.each([
    [
      "http://h",
      { href: "http://h/", scheme: "http", hostname: "h", port: 80, authority: "h", target: "/", hostPort: "h:80" },
    ],
    ["HTTPS://H:443/a?b#c", { href: "https://h/a?b#c", scheme: "https", port: 443, authority: "h", target: "/a?b" }],
    ["http://h:8080/a b/ü", { authority: "h:8080", port: 8080, target: "/a%20b/%C3%BC", origin: "http://h:8080" }],
    ["http://[::1]:81/", { hostname: "::1", canonicalHost: "::1", authority: "[::1]:81", hostPort: "[::1]:81" }],
    ["http://bücher.example./x", { hostname: "xn--bcher-kva.example.", canonicalHost: "xn--bcher-kva.example" }],
    ["http://0x7f.1/", { hostname: "127.0.0.1" }],
    ["http://h//evil.example/", { authority: "h", target: "//evil.example/" }],
    ["http://a%40b:c%3Ad@h/", { href: "http://h/", userinfo: { username: "a@b", password: "c:d" } }],
    ["http://u@h/", { userinfo: { username: "u", password: "" } }],
    ["http://%zz:x@h/", { userinfo: { username: "%zz", password: "x" } }],
  ])("%s", (url, parts) => {
    expect(destinationOf(url)).toMatchObject(parts);
  });

  test("gives the same frozen parts for the same text, and forgets rather than grows", () => {
    const parts = destinationOf("http://same/");
    expect(destinationOf("http://same/")).toBe(parts);
    expect(Object.isFrozen(parts)).toBe(true);
    for (let i = 0; i < 600; i++) destinationOf(`http://h/${i}`);
    expect(destinationOf("http://same/")).not.toBe(parts);
    expect(destinationOf("http://same/")).toEqual(parts);
  });

  test.each([
    ["a leading blank", " http://h/"],
    ["a trailing line end", "http://h/\n"],
    ["a tab inside", "http://h/a\tb"],
    ["a CR inside", "http://h/a\rb"],
    ["a leading NUL", "\0http://h/"],
    ["no scheme", "/path"],
    ["no text", ""],
    ["another scheme", "ftp://h/"],
    ["no host", "http:///"],
    ["a dot for a host", "http://./"],
    ["a port out of range", "http://h:65536/"],
    ["a CR LF in the host", "http://h%0d%0a/"],
  ])("refuses %s, naming the URL", (_, url) => {
    expect(refusal(() => destinationOf(url)).field).toBe("url");
  });

  test("an error about a URL never shows its password", () => {
    for (const url of [
      "http://user:secret@h:99999/",
      "http://user:secret@/",
      "foo://user:secret@h/",
      " http://user:secret@h/",
    ]) {
      expect(
        inspect(
          refusal(() => destinationOf(url)),
          { depth: 9 },
        ),
      ).not.toContain("secret");
    }
  });
});

describe("Request", () => {
  test("of a URL alone is a GET without anything", () => {
    const request = new Request("http://host:8/a?b#c");
    expect(request).toMatchObject({
      method: "GET",
      url: "http://host:8/a?b#c",
      target: "/a?b",
      body: null,
      trailers: null,
      bodyUsed: false,
      expectContinue: false,
    });
    expect([...request.headers]).toEqual([]);
    expect(request.pairs).toEqual([]);
    expect(request.getBody()).toBeNull();
    expect(request.givenSignal).toBeNull();
    expect(request.signal.aborted).toBe(false);
    expect(inspect(request)).toBe("Request { GET http://host:8/a?b#c }");
  });

  test("takes a URL object, and keeps what it said then", () => {
    const url = new URL("http://host/a");
    const request = new Request(url);
    url.pathname = "/b";
    expect(request.url).toBe("http://host/a");
  });

  test("takes a standard Request by shape", async () => {
    const standard = new globalThis.Request("http://host/a", { method: "POST", body: "abc", headers: { "X-A": "1" } });
    const request = new Request(standard);
    expect([request.method, request.url, request.headers.get("x-a"), request.headers.get("content-type")]).toEqual([
      "POST",
      "http://host/a",
      "1",
      "text/plain;charset=UTF-8",
    ]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of request.getBody()!) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe("abc");
    expect(() => new Request(standard)).toThrow(LocalProtocolError);
    expect(new Request(standard, { body: "new" }).body?.memory).toBe("new");
  });

  test("sends headers in order and case, Content-Type of the body first unless the caller has one", () => {
    const request = new Request(URL_, {
      method: "POST",
      json: {},
      headers: [
        ["X-B", "1"],
        ["x-a", " 2"],
      ],
    });
    expect(request.headers.raw).toEqual([
      ["Content-Type", "application/json"],
      ["X-B", "1"],
      ["x-a", "2"],
    ]);
    expect(new Request(URL_, { method: "POST", json: {}, headers: { "content-TYPE": "x/y" } }).headers.raw).toEqual([
      ["content-TYPE", "x/y"],
    ]);
  });

  test("headers are immutable, and not the caller's object", () => {
    const given = { a: "1" };
    const request = new Request(URL_, { headers: given });
    given.a = "2";
    expect(request.headers.get("a")).toBe("1");
    expect(() => request.headers.set("a", "2")).toThrow(TypeError);
    expect(() => {
      (request as { method: string }).method = "PUT";
    }).toThrow(TypeError);
  });

  test("with() copies with changes, and takes a body and its type away", () => {
    const request = new Request(URL_, {
      method: "POST",
      json: {},
      headers: { a: "1" },
      expectContinue: true,
      target: "//x",
    });
    expect(request.with({})).toMatchObject({
      method: "POST",
      url: URL_,
      target: "//x",
      expectContinue: true,
      body: request.body,
    });
    const bare = request.with({ method: "GET", body: null, url: "http://other/p", target: null });
    expect([bare.method, bare.url, bare.target, bare.body, bare.headers.raw]).toEqual([
      "GET",
      "http://other/p",
      "/p",
      null,
      [["a", "1"]],
    ]);
    expect(request.with({ headers: [] }).headers.raw).toEqual([["Content-Type", "application/json"]]);
    expect(request.with({ form: { b: 1 } }).headers.get("content-type")).toMatch(/urlencoded/);
    expect(request.headers.get("a")).toBe("1");
  });

  test.each([
    ["method", { method: "GE T" }, "method"],
    ["empty method", { method: "" }, "method"],
    ["header value", { headers: { "x-name": "a\r\nb" } }, "header x-name"],
    ["header name", { headers: { "x name": "a" } }, 'header "x name"'],
    ["TRACE with a body", { method: "TRACE", body: "x" }, "body"],
    ["target without slash", { target: "http://evil/" }, "target"],
    ["target with a blank", { target: "/a b" }, "target"],
    ["target with a line end", { target: "/a\r\nx: y" }, "target"],
    ["target * with GET", { target: "*" }, "target"],
    ["target that is a path with CONNECT", { method: "CONNECT", target: "/x" }, "target"],
    ["target * with CONNECT", { method: "CONNECT", target: "*" }, "target"],
    ["target without a port with CONNECT", { method: "CONNECT", target: "h" }, "target"],
    ["target that is an authority with GET", { target: "h:1" }, "target"],
    ["trailers without a body", { trailers: { names: ["x"], values: {} } }, "trailers"],
    ["trailers without names", { body: "x", trailers: { names: [], values: {} } }, "trailers"],
    ["trailer names that are no tokens", { body: "x", trailers: { names: ["a b"], values: {} } }, "trailers"],
    ["trailers that were not announced", { body: "x", trailers: { names: ["a"], values: { b: "1" } } }, "trailer b"],
  ] as [string, RequestInit, string][])("refuses a bad %s and names it", (_, init, field) => {
    expect(refusal(() => new Request(URL_, init)).field).toBe(field);
    expect(refusal(() => new Request(URL_).with(init)).field).toBe(field);
  });

  test.each([
    ["no URL", undefined, undefined],
    ["an unknown option", URL_, { bdoy: "x" }],
    ["options that are none", URL_, "POST"],
    ["a method that is no string", URL_, { method: 1 }],
    ["a signal that is none", URL_, { signal: {} }],
    ["expectContinue that is no boolean", URL_, { expectContinue: 1 }],
    ["a target that is no string", URL_, { target: 1 }],
    ["two bodies", URL_, { body: "a", json: 1 }],
    ["trailers that are none", URL_, { body: "a", trailers: { a: "1" } }],
    ["trailers with more", URL_, { body: "a", trailers: { names: ["a"], values: {}, more: 1 } }],
  ])("throws a TypeError for %s", (_, input, init) => {
    expect(() => new Request(input as never, init as never)).toThrow(TypeError);
  });

  test("tells the nearest option, url among those of with()", () => {
    expect(() => new Request(URL_, { bdoy: "x" } as never)).toThrow("did you mean body?");
    expect(() => new Request(URL_, { url: "x" } as never)).toThrow(/Unknown option "url"/);
    expect(() => new Request(URL_).with({ uri: "x" } as never)).toThrow("did you mean url?");
  });

  test("undefined is not given, and what a prototype brings along is not the caller's", () => {
    const request = new Request(URL_, {
      method: undefined,
      headers: undefined,
      body: undefined,
      json: undefined,
      signal: undefined,
    });
    expect([request.method, request.body]).toEqual(["GET", null]);
    expect(new Request(URL_, Object.create({ method: "EVIL" })).method).toBe("GET");
  });

  test("CONNECT has host and port for a target (RFC 9112 §3.2.3)", () => {
    expect(new Request("https://h/ignored", { method: "CONNECT" }).target).toBe("h:443");
    const through = new Request("http://proxy:3128", { method: "CONNECT", target: "[::1]:22" });
    expect(through.target).toBe("[::1]:22");
    expect(through.with({ target: null }).target).toBe("proxy:3128");
  });

  test("destroys a stream that was given with something wrong", () => {
    for (const make of [
      (body: Readable) => new Request(URL_, { method: "a b", body }),
      (body: Readable) => new Request("nonsense", { body }),
      (body: Readable) => new Request(URL_, { body, json: 1 }),
      (body: Readable) => new Request(URL_).with({ body, method: "a b" }),
    ]) {
      const stream = new Readable({ read() {} });
      expect(() => make(stream)).toThrow();
      expect(stream.destroyed).toBe(true);
    }
  });

  test("getBody() gives a body in memory anew each time, and a stream once", async () => {
    const read = async (request: Request) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request.getBody()!) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    const memory = new Request(URL_, { body: "abc" });
    expect([await read(memory), await read(memory), memory.bodyUsed]).toEqual(["abc", "abc", false]);
    const stream = new Request(URL_, { body: Readable.from(["abc"]) });
    expect([await read(stream), stream.bodyUsed]).toEqual(["abc", true]);
    expect(() => stream.getBody()).toThrow(BodyUsedError);
  });

  test("leaving the iteration of getBody() destroys a stream", async () => {
    const stream = Readable.from(["a", "b"]);
    for await (const _ of new Request(URL_, { body: stream }).getBody()!) break;
    expect(stream.destroyed).toBe(true);
  });

  test.each([
    ["GET", {}, true, true],
    ["OPTIONS", {}, true, true],
    ["PUT", {}, true, false],
    ["DELETE", {}, true, false],
    ["POST", {}, false, false],
    ["PATCH", {}, false, false],
    ["get", {}, false, false],
    ["POST", { "Idempotency-Key": "k" }, true, true],
    ["POST", { "x-idempotency-key": "" }, true, true],
  ])("%s with %j: idempotent %s, replayable %s", (method, headers, idempotent, replayable) => {
    const request = new Request(URL_, { method, headers: headers as Record<string, string> });
    expect([request.idempotent, request.replayable]).toEqual([idempotent, replayable]);
  });

  test("trailers come from a function called for each sending, in the async context of whoever sends", () => {
    const store = new AsyncLocalStorage<string>();
    let calls = 0;
    const values = () => new Headers({ "X-Sum": `${++calls} ${store.getStore()}` });
    const request = store.run("maker", () => new Request(URL_, { body: "a", trailers: { names: ["x-sum"], values } }));
    expect(request.trailers?.names).toEqual(["x-sum"]);
    expect(store.run("caller", () => request.trailers?.collect())).toEqual([["X-Sum", "1 caller"]]);
    expect(store.run("other", () => request.trailers?.collect())).toEqual([["X-Sum", "2 other"]]);
  });

  test("trailers refuse a field that was not announced", () => {
    const request = new Request(URL_, { body: "a", trailers: { names: ["a"], values: () => ({ b: "1" }) } });
    expect(refusal(() => request.trailers?.collect()).field).toBe("trailer b");
  });

  test("user name and password become Basic, unless the caller has an Authorization, and are never printed", () => {
    const request = new Request("http://us%C3%A9r:p%40ss@host/");
    expect(basicAuthorization(request)).toBe(`Basic ${Buffer.from("usér:p@ss").toString("base64")}`);
    expect(basicAuthorization(request.with({ headers: { authorization: "x" } }))).toBeNull();
    expect(basicAuthorization(new Request(URL_))).toBeNull();
    expect(inspect(request, { depth: 9, showHidden: true }) + request.url + JSON.stringify(request)).not.toContain(
      "p@ss",
    );
  });
});
