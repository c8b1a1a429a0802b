/**
 * Every way in which a caller can be wrong ends in a LocalProtocolError or a TypeError that names what is wrong, before a
 * connection is touched: nothing is dialed, nothing accepted. A header's value never stands in a text, and a body that
 * can be read once is given up, once.
 */

import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  BodyUsedError,
  type CallInit,
  Client,
  type ClientOptions,
  Headers,
  LocalProtocolError,
  Request,
  type RequestInput,
  type RoundTripCall,
  Transport,
  type TransportOptions,
} from "../../lib/index.ts";
import { turns } from "../support/loop.ts";
import { type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { Upload } from "../support/upload.ts";

let peer: ScriptedPeer;
beforeEach(async () => {
  peer = await scriptedPeer();
});
afterEach(async () => {
  await turns(3);
  const stats = peer.transport.stats();
  const { accepted } = peer;
  await peer[Symbol.asyncDispose]();
  expect(stats).toMatchObject({ dialed: 0, dialsFailed: 0, dialing: 0, busy: 0, waiting: 0 });
  expect(accepted).toHaveLength(0);
});

const SECRET = "s3cret";

/** What a caller in JavaScript can give, whatever the types say. */
type Anything = never;

async function refused(call: () => Promise<unknown>): Promise<Error> {
  let promise: Promise<unknown>;
  try {
    promise = call();
  } catch {
    throw new Error("It threw, where it should have rejected");
  }
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error(`It was not refused: ${inspect(error)}`);
  expect(inspect(error, { depth: 5 })).not.toContain(SECRET);
  return error;
}

/** The call is refused with a LocalProtocolError of that field. */
async function refusedField(call: () => Promise<unknown>, field: string): Promise<void> {
  const error = await refused(call);
  expect(error).toBeInstanceOf(LocalProtocolError);
  expect(error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field });
  expect(error.message.toLowerCase()).toContain(field.split(" ")[0]?.replace(/s$/, ""));
}

/** The call is refused with a TypeError whose text has that word. */
async function refusedType(call: () => Promise<unknown>, word: string): Promise<void> {
  const error = await refused(call);
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain(word);
}

const send = (init: CallInit, method = "POST") => peer.client.request(method, peer.url(), init);

describe("a request line that cannot be sent (RFC 9112 §3)", () => {
  test.each(["", "G T", "GET\r\nX: 1", "GET\0", "GÉT", "GET:", "(GET)"])("method %j", (method) =>
    refusedField(() => peer.client.request(method, peer.url()), "method"),
  );

  test.each([[5], [null], [{}]])("a method that is %o", (method) =>
    refusedType(() => peer.client.request(method as Anything, peer.url()), "method"),
  );

  test.each([
    "",
    "/relative",
    "example.org",
    "http://",
    "http:///",
    "http://a b/",
    "http://[::1",
    "http://example.org:99999/",
    "http://example.org:port/",
    ` http://example.org/`,
    "http://example.org/ ",
    "http://example.org/\r\nX: 1",
    "http://exam\tple.org/",
    "http://example.org/a\nb",
    `http://user:${SECRET}@exa mple.org/`,
    `ftp://user:${SECRET}@example.org/`,
    "ws://example.org/",
    "file:///etc/passwd",
    "data:text/plain,x",
  ])("URL %j", (url) => refusedField(() => peer.client.get(url), "url"));

  test.each([[5], [null], [undefined], [{}], [["http://example.org/"]]])("a URL that is %o", (url) =>
    refusedType(() => peer.client.get(url as Anything as RequestInput), "URL"),
  );

  test.each(["x", "", "/a b", "/a\r\nX: 1", "/é", "/\u0100", "http://example.org/", "/\0"])("target %j", (target) =>
    refusedField(() => send({ target }), "target"),
  );

  test("target * where the method is not OPTIONS", () => refusedField(() => send({ target: "*" }), "target"));

  test("a target beside CONNECT", () => refusedField(() => send({ target: "/x" }, "CONNECT"), "target"));
});

describe("a header that cannot be sent (RFC 9110 §5)", () => {
  const forms = {
    record: (name: string, value: unknown) => ({ [name]: value }),
    pairs: (name: string, value: unknown) => [
      ["x-good", "1"],
      [name, value],
    ],
    map: (name: string, value: unknown) => new Map([[name, value]]),
    list: (name: string, value: unknown) => ({ [name]: ["good", value] }),
  };

  describe.each(Object.entries(forms))("given as a %s", (_, form) => {
    const sendHeader = (name: string, value: unknown) => () => send({ headers: form(name, value) as Anything });

    test.each([
      `${SECRET}\r\nX-Other: 1`,
      `${SECRET}\n`,
      `\r${SECRET}`,
      `${SECRET}\0`,
      `${SECRET}\u0100`,
      `${SECRET}\u{1F600}`,
      `${SECRET}\x7f`,
      `\x01${SECRET}`,
    ])("value %j", (value) => refusedField(sendHeader("x-token", value), "header x-token"));

    test.each(["", "x y", "x:", "x\r\ny", "é", "x\0", "(x)", "x\u0100"])("name %j", (name) =>
      refusedField(sendHeader(name, SECRET), `header ${JSON.stringify(name)}`),
    );

    test.each([[undefined], [null]])("value %j, which is a mistake of the caller's", (value) =>
      refusedType(sendHeader("x-token", value), "x-token"),
    );
  });

  test("a name that is a whole header shows its beginning only", async () => {
    const name = `${"x".repeat(80)}: ${SECRET}`;
    const error = await refused(() => send({ headers: { [name]: "1" } }));
    expect(error.message.length).toBeLessThan(200);
  });

  test.each([[5], ["accept: */*"], [[["a"]]], [[["a", "b", "c"]]], [["ab"]]])("headers that are %o", async (headers) =>
    refusedType(() => send({ headers: headers as Anything }), "eader"),
  );

  test("a Headers refuses it when it is made", () => {
    expect(() => new Headers({ "x-token": `${SECRET}\n\n${SECRET}` })).toThrow(TypeError);
  });

  test("default headers of a client are refused when it is made", () => {
    expect(() => new Client({ headers: { "x-token": `${SECRET}\r\n${SECRET}` } })).toThrow(LocalProtocolError);
  });

  test("the User-Agent of a transport", async () => {
    const transport = new Transport({ userAgent: `${SECRET}\r\nX: 1` });
    await refusedField(() => transport.roundTrip(new Request(peer.url())), "header user-agent");
    expect(transport.stats().dialed).toBe(0);
  });
});

describe("fields that contradict the request", () => {
  const cases: readonly (readonly [string, CallInit, string])[] = [
    ["a Content-Length below the body", { body: "hello", headers: { "Content-Length": "4" } }, "header content-length"],
    ["a Content-Length above the body", { body: "hello", headers: { "Content-Length": "6" } }, "header content-length"],
    ["a Content-Length without a body", { headers: { "content-length": "5" } }, "header content-length"],
    [
      "a Content-Length that is no number",
      { body: "hello", headers: { "content-length": "five" } },
      "header content-length",
    ],
    ["a negative Content-Length", { body: "hello", headers: { "content-length": "-5" } }, "header content-length"],
    ["a Content-Length with a sign", { body: "hello", headers: { "content-length": "+5" } }, "header content-length"],
    [
      "a Content-Length that is a list",
      { body: "hello", headers: { "content-length": "5, 5" } },
      "header content-length",
    ],
    [
      "a huge Content-Length",
      { body: new Upload(), headers: { "content-length": "9007199254740993" } },
      "header content-length",
    ],
    [
      "two Content-Lengths in different case",
      {
        body: "hello",
        headers: [
          ["content-length", "5"],
          ["Content-Length", "5"],
        ],
      },
      "header content-length",
    ],
    [
      "both framings",
      { body: "hello", headers: { "content-length": "5", "transfer-encoding": "chunked" } },
      "header transfer-encoding",
    ],
    [
      "a transfer coding that is not chunked",
      { body: "x", headers: { "transfer-encoding": "gzip, chunked" } },
      "header transfer-encoding",
    ],
    ["Transfer-Encoding without a body", { headers: { "transfer-encoding": "chunked" } }, "header transfer-encoding"],
    ["a Host that is none", { headers: { host: "a b" } }, "header host"],
    ["a Host with a path", { headers: { host: "a/b" } }, "header host"],
    [
      "two Hosts",
      {
        headers: [
          ["host", "a"],
          ["Host", "a"],
        ],
      },
      "header host",
    ],
    ["an expectation nobody knows", { body: "x", headers: { expect: "202-soon" } }, "header expect"],
    ["an expectation without a body", { headers: { expect: "100-continue" } }, "header expect"],
    ["a TE that asks for codings", { headers: { te: "gzip" } }, "header te"],
    ["a Connection that is no list", { headers: { connection: "a b" } }, "header connection"],
    ["a Connection that names Host", { headers: { connection: "host" } }, "header connection"],
    ["a Trailer without trailers", { body: "x", headers: { trailer: "x-sum" } }, "header trailer"],
    [
      "trailers beside a Content-Length",
      { body: "x", headers: { "content-length": "1" }, trailers: { names: ["x-sum"], values: {} } },
      "trailers",
    ],
    ["trailers without a body", { trailers: { names: ["x-sum"], values: {} } }, "trailers"],
    ["trailers without names", { body: "x", trailers: { names: [], values: {} } }, "trailers"],
    ["a trailer name that is none", { body: "x", trailers: { names: ["x y"], values: {} } }, "trailers"],
    [
      "a trailer that was not announced",
      { body: "x", trailers: { names: ["x-sum"], values: { "x-token": SECRET } } },
      "trailer x-token",
    ],
    [
      "a trailer that needs to be a header (RFC 9110 §6.5.1)",
      { body: "x", trailers: { names: ["Content-Length"], values: {} } },
      "trailer content-length",
    ],
  ];
  test.each(cases)("%s", (_, init, field) => refusedField(() => send(init), field));

  test.each(["TRACE", "CONNECT"])("%s with a body (RFC 9110 §9.3)", (method) =>
    refusedField(() => send({ body: "x" }, method), "body"),
  );

  test("GET with a Content-Length and nothing else", () =>
    refusedField(() => send({ headers: { "content-length": "3" } }, "GET"), "header content-length"));
});

describe("a body that cannot be sent", () => {
  test.each([[5], [true], [{ a: 1 }], [Symbol("x")], [new Date()], [Promise.resolve("x")]])("one that is %o", (body) =>
    refusedType(() => send({ body: body as Anything }), "body"),
  );

  test("a stream that was sent before: BodyUsedError, and nothing of it is read", async () => {
    const upload = new Upload();
    const request = new Request(peer.url(), { method: "POST", body: upload });
    request.body?.open().destroy();
    const error = await refused(() => peer.client.do(request));
    expect(error).toBeInstanceOf(BodyUsedError);
    expect(error).toMatchObject({ code: "ERR_HTTP_BODY_USED", origin: `http://${peer.authority}` });
    expect(upload).toMatchObject({ pulls: 0, returned: 1 });
  });

  test("a Node stream that has ended, was read, or is destroyed", async () => {
    const read = Readable.from(["a", "b"]);
    await read[Symbol.asyncIterator]().next();
    const ended = Readable.from([]);
    for await (const _ of ended);
    const destroyed = new Readable().destroy();
    for (const body of [read, ended, destroyed]) await refusedField(() => send({ body }), "body");
  });

  test("a web stream that is locked or was read", async () => {
    const locked = new ReadableStream();
    locked.getReader();
    const read = new ReadableStream({ pull: (controller) => controller.enqueue("x") });
    const reader = read.getReader();
    await reader.read();
    reader.releaseLock();
    for (const body of [locked, read]) await refusedField(() => send({ body: body as Anything }), "body");
  });

  test("more than one of body, json and form", () =>
    refusedType(() => send({ body: "x", json: {} }), "body, json and form"));

  test.each([[() => {}], [Symbol("x")]])("json that is %o", (json) => refusedType(() => send({ json }), "json"));

  test("json that JSON cannot say", async () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    await refusedType(() => send({ json: circle }), "circular");
    await refusedType(() => send({ json: 1n }), "BigInt");
  });

  test.each([[5], ["a=b"], [{ a: undefined }], [[["a"]]], [null]])("form that is %o", (form) =>
    refusedType(() => send({ form: form as Anything }), "form"),
  );
});

describe("an option that cannot be meant", () => {
  const durations = [
    "writeTimeout",
    "responseHeaderTimeout",
    "expectContinueTimeout",
    "bodyTimeout",
    "unreadBodyTimeout",
    "stalledReaderTimeout",
    "poolTimeout",
  ];
  const noDurations = [-1, Number.NaN, Number.POSITIVE_INFINITY, "5", null, {}];

  test.each([...durations, "timeout"])("%s of a call", async (name) => {
    for (const value of noDurations) {
      await refusedType(() => send({ [name]: value } as Anything), name);
    }
  });

  const wrong: readonly (readonly [string, unknown])[] = [
    ["signal", 5],
    ["signal", {}],
    ["signal", new AbortController()],
    ["trace", 5],
    ["trace", null],
    ["trace", {}],
    ["trace", { groups: ["call"], on: 5 }],
    ["trace", { groups: ["calls"], on() {} }],
    ["trace", { groups: "call", on() {} }],
    ["onInformation", 5],
    ["onInformation", {}],
  ];
  const wrongRedirects: readonly (readonly [string, unknown])[] = [
    ["redirect", "yes"],
    ["redirect", true],
    ["maxRedirects", -1],
    ["maxRedirects", 1.5],
    ["checkRedirect", 5],
    ["httpsOnly", 1],
    ["strictRedirects", "yes"],
  ];
  test.each([...wrong, ...wrongRedirects])("%s of a call: %o", (name, value) =>
    refusedType(() => send({ [name]: value } as Anything), name),
  );

  test.each(wrongRedirects)("%s of a Client: %o; of roundTrip() there is no such thing", async (name, value) => {
    expect(() => new Client({ [name]: value } as Anything)).toThrow(TypeError);
    expect(() => new Client({ [name]: value } as Anything)).toThrow(name);
    const request = new Request(peer.url());
    await refusedType(() => peer.transport.roundTrip(request, { [name]: value } as Anything), `option "${name}"`);
  });

  test.each(wrong)("%s of roundTrip(): %o", (name, value) =>
    refusedType(() => peer.transport.roundTrip(new Request(peer.url()), { [name]: value } as Anything), name),
  );

  test.each([[5], ["soon"], [null], [{}], [{ at: "1", limit: 1 }], [{ at: Number.NaN, limit: 1 }]])(
    "deadline of roundTrip(): %o",
    (deadline) =>
      refusedType(
        () => peer.transport.roundTrip(new Request(peer.url()), { deadline } as Anything as RoundTripCall),
        "deadline",
      ),
  );

  test("a name that nobody knows, with the one that was meant", async () => {
    await refusedType(() => send({ timeOut: 5 } as Anything), "did you mean timeout?");
    await refusedType(() => send({ header: {} } as Anything), "did you mean headers?");
    await refusedType(() => send({ method: "GET" } as Anything), 'Unknown option "method"');
    const request = new Request(peer.url());
    await refusedType(() => peer.client.do(request, { timeOut: 5 } as Anything), "did you mean timeout?");
    await refusedType(() => peer.client.do(request, { headers: {} } as Anything), "headers");
    await refusedType(() => peer.transport.roundTrip(request, { singal: 5 } as Anything), "did you mean signal?");
    await refusedType(() => peer.transport.roundTrip(request, { timeout: 5 } as Anything), "timeout");
  });

  test.each([[5], [null], ["x"], [() => {}]])("options that are %o", async (options) => {
    const request = new Request(peer.url());
    await refusedType(() => peer.client.do(request, options as Anything), "an object");
    await refusedType(() => peer.client.get(peer.url(), options as Anything), "an object");
    await refusedType(() => peer.transport.roundTrip(request, options as Anything), "an object");
  });

  test.each([[5], [null], [undefined], ["http://example.org/"], [{}]])("a request that is %o", async (request) => {
    await refusedType(() => peer.client.do(request as Anything), "Request");
    await refusedType(() => peer.transport.roundTrip(request as Anything), "Request");
  });

  test("expectContinue and signal of a request", async () => {
    await refusedType(() => send({ body: "x", expectContinue: "yes" as Anything }), "expectContinue");
    expect(() => new Request(peer.url(), { signal: {} as Anything })).toThrow(/signal/);
    expect(() => new Request(peer.url(), { sginal: 1 } as Anything)).toThrow(/did you mean signal\?/);
  });

  const transportOptions: readonly (readonly [keyof TransportOptions, readonly unknown[]])[] = [
    ...[...durations, "dialTimeout", "tlsHandshakeTimeout", "idleConnTimeout", "tcpKeepAlive"].map(
      (name) => [name as keyof TransportOptions, noDurations] as const,
    ),
    ...(
      [
        "maxConnsPerHost",
        "maxIdleConnsPerHost",
        "maxIdleConns",
        "maxResponseHeaderBytes",
        "maxResponseHeaders",
        "max1xxResponses",
        "maxDecompressRatio",
      ] as const
    ).map((name) => [name, [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null]] as const),
    ...(["keepAlive", "noDelay", "requireFraming", "decompress"] as const).map(
      (name) => [name, [0, "true", null]] as const,
    ),
    ["replay", ["always", true, null]],
    ["userAgent", [5, null]],
    ["tls", [5, "x", null]],
    ["dial", [{}, null]],
    ["dialTls", [{}, null]],
    ["trace", [5, null, {}, { groups: ["call"] }, { groups: ["calls"], on() {} }, { groups: 5, on() {} }]],
  ];
  test.each(transportOptions)("%s of a Transport", (name, values) => {
    for (const value of values) {
      const make = () => new Transport({ [name]: value } as Anything);
      expect(make, `${name}: ${inspect(value)}`).toThrow(TypeError);
      expect(make).toThrow(name);
    }
  });

  test("of a Transport or Client, a name that nobody knows, and no options at all", () => {
    expect(() => new Transport({ maxIdleConnPerHost: 5 } as Anything)).toThrow("did you mean maxIdleConnsPerHost?");
    expect(() => new Client({ timeOut: 5 } as Anything)).toThrow("did you mean timeout?");
    for (const options of [5, null, "x"]) {
      expect(() => new Transport(options as Anything)).toThrow("Option options must be an object");
      expect(() => new Client(options as Anything)).toThrow("Option options must be an object");
    }
  });

  test.each([
    ["transport", 5],
    ["transport", {}],
    ["transport", null],
    ["timeout", -1],
    ["timeout", "5"],
    ["headers", 5],
    ["cookieJar", 5],
    ["cookieJar", {}],
  ])("%s of a Client: %o", (name, value) => {
    const make = () => new Client({ [name]: value } as Anything as ClientOptions);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(new RegExp(name, "i"));
  });
});

describe("a body that can be read once is given up, once, when the call is refused for", () => {
  const mistakes: readonly (readonly [string, (body: Upload) => Promise<unknown>])[] = [
    ["its method", (body) => peer.client.request("G T", peer.url(), { body })],
    ["its URL", (body) => peer.client.post("nowhere", { body })],
    ["a header", (body) => send({ body, headers: { "x-token": "\r\n" } })],
    ["its framing", (body) => send({ body, headers: { "content-length": "x" } })],
    ["an option of the request", (body) => send({ body, target: "x" })],
    ["an option nobody knows", (body) => send({ body, timeOut: 1 } as Anything)],
    ["an option of the call", (body) => send({ body, timeout: -1 })],
    ["a time limit of the call", (body) => send({ body, bodyTimeout: -1 })],
    ["its signal", (body) => send({ body, signal: 5 as Anything })],
    ["an aborted signal", (body) => send({ body, signal: AbortSignal.abort(new Error("before")) })],
    [
      "an option of roundTrip()",
      (body) => {
        const request = new Request(peer.url(), { method: "POST", body });
        return peer.transport.roundTrip(request, { signal: 5 as Anything });
      },
    ],
    [
      "an option nobody knows of roundTrip()",
      (body) => {
        const request = new Request(peer.url(), { method: "POST", body });
        return peer.transport.roundTrip(request, { x: 5 } as Anything);
      },
    ],
    [
      "a deadline that has passed",
      (body) => {
        const request = new Request(peer.url(), { method: "POST", body });
        return peer.transport.roundTrip(request, { deadline: { at: 0, limit: 1 } });
      },
    ],
    [
      "a transport that is closed",
      async (body) => {
        const transport = new Transport();
        await transport.close();
        return new Client({ transport }).post(peer.url(), { body });
      },
    ],
  ];
  test.each(mistakes)("%s", async (_, call) => {
    const body = new Upload();
    await refused(() => call(body));
    expect(body).toMatchObject({ pulls: 0, returned: 1 });
  });
});
