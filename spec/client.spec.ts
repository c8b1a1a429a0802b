/** The client over a round tripper that writes down what it is given: what a call becomes before it leaves. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Client, type ClientOptions, Request, Response, type RoundTripCall, Transport } from "../lib/index.ts";
import { VirtualClock } from "../lib/testing/virtual-clock.ts";
import { answer } from "./support/exchanges.ts";
import { turns } from "./support/loop.ts";
import { polluted } from "./support/polluted.ts";
import { scriptedPeer } from "./support/scripted-peer.ts";
import { Site } from "./support/site.ts";
import { Upload } from "./support/upload.ts";

const URL_ = "http://example.test/path";

/** Answers everything with 200 and keeps it. */
class Recorder {
  readonly requests: Request[] = [];
  readonly calls: (RoundTripCall | undefined)[] = [];

  async roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    this.requests.push(request);
    this.calls.push(call);
    return new Response("ok");
  }

  get request(): Request {
    return this.requests.at(-1) as Request;
  }
  get call(): RoundTripCall | undefined {
    return this.calls.at(-1);
  }
}

function recording(options: Omit<ClientOptions, "transport"> = {}): [Client, Recorder] {
  const recorder = new Recorder();
  return [new Client({ transport: recorder, ...options }), recorder];
}

describe("Client.request() and its kin", () => {
  test.each(["get", "head", "options", "post", "put", "patch", "delete"] as const)("%s()", async (name) => {
    const [client, recorder] = recording();
    await client[name](URL_);
    expect(recorder.request).toMatchObject({ method: name.toUpperCase(), url: URL_, body: null });
    await client[name](URL_, { headers: { a: "1" } });
    expect(recorder.request.method).toBe(name.toUpperCase());
    expect(recorder.request.headers.get("a")).toBe("1");
  });

  test("send a method as it is given: methods are case-sensitive (RFC 9110 §9.1)", async () => {
    const [client, recorder] = recording();
    await client.request("get", URL_);
    expect(recorder.request.method).toBe("get");
    await client.request("X-Purge", URL_, { body: "x" });
    expect(recorder.request).toMatchObject({ method: "X-Purge", body: { length: 1 } });
  });

  test("take a URL, a Request of ours and what looks like a standard one", async () => {
    const [client, recorder] = recording();
    await client.get(new URL(URL_));
    expect(recorder.request.url).toBe(URL_);
    await client.put(new Request(URL_, { headers: { a: "1" }, body: "x" }));
    expect(recorder.request).toMatchObject({ method: "PUT", body: { length: 1 } });
    expect(recorder.request.headers.get("a")).toBe("1");
    await client.post(new globalThis.Request(URL_, { headers: { a: "2" } }));
    expect(recorder.request.headers.get("a")).toBe("2");
  });

  test("take the parts of the request and of the call apart", async () => {
    const [client, recorder] = recording();
    const { signal } = new AbortController();
    const trace = () => {};
    const onInformation = () => {};
    await client.post(URL_, { body: "x", headers: { a: "1" }, signal, trace, onInformation, bodyTimeout: 5 });
    expect(recorder.request.headers.raw).toEqual([
      ["Content-Type", "text/plain;charset=UTF-8"],
      ["a", "1"],
    ]);
    expect(recorder.call).toEqual({ signal, trace, onInformation, bodyTimeout: 5 });
  });

  test("hand nothing on that was not given", async () => {
    const [client, recorder] = recording();
    await client.get(URL_);
    expect(recorder.call).toBe(undefined);
    await client.get(URL_, { headers: {} });
    expect(recorder.call).toBe(undefined);
    await client.get(URL_, { bodyTimeout: undefined } as object);
    expect(recorder.call ?? {}).toEqual({});
  });

  test("reject, and never throw", async () => {
    const [client] = recording();
    for (const call of [
      () => client.get("nowhere"),
      () => client.get(URL_, null as never),
      () => client.request(5 as never, URL_),
      () => client.do(null as never),
    ]) {
      await expect(call()).rejects.toThrow();
    }
  });
});

describe("Client.do() of a standard Request", () => {
  const Standard = globalThis.Request;

  test("sends its method, URL, fields and body, once", async () => {
    await using peer = await scriptedPeer({ decompress: false });
    const headers = { "X-One": "1", "Content-Type": "a/b" };
    const standard = new Standard(peer.url("/a?b"), { method: "put", headers, body: "hello" });
    const call = peer.client.do(standard);
    const conn = await peer.accept();
    await conn.expect(
      `${peer.head("PUT /a?b", "Transfer-Encoding: chunked", "content-type: a/b", "x-one: 1")}5\r\nhello\r\n0\r\n\r\n`,
    );
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    expect((await call).request).toBeInstanceOf(Request);
    expect(standard.bodyUsed).toBe(true);
    await expect(peer.client.do(standard)).rejects.toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
    expect(peer.accepted).toHaveLength(1);
    expect(conn.pending).toBe("");
  });

  test("ends with its signal, and with that of the call in its place", async () => {
    const [client, recorder] = recording();
    const [its, mine] = [new AbortController(), new AbortController()];
    await client.do(new Standard(URL_, { signal: its.signal }));
    its.abort("its");
    expect(recorder.call?.signal).toMatchObject({ aborted: true, reason: "its" });
    await client.do(new Standard(URL_, { signal: its.signal }), { signal: mine.signal });
    expect(recorder.call?.signal).toBe(mine.signal);
    await using peer = await scriptedPeer();
    await expect(peer.client.do(new Standard(peer.url(), { signal: its.signal }))).rejects.toBe("its");
    expect(peer.accepted).toEqual([]);
  });

  const MOVED = () => new Response(null, { status: 302, headers: { location: "/b" } });
  test.each([
    // the client's, the Request's, the call's
    [undefined, "manual", undefined, "302"],
    [undefined, "error", undefined, "ERR_HTTP_REDIRECT"],
    [undefined, "follow", undefined, "200"],
    ["manual", "follow", undefined, "302"],
    ["manual", "error", undefined, "ERR_HTTP_REDIRECT"],
    [undefined, "manual", "follow", "200"],
    [undefined, "error", "manual", "302"],
  ] as const)("client %s, Request %s, call %s: %s", async (ofClient, ofRequest, ofCall, outcome) => {
    const site = new Site((_, count) => (count === 0 ? MOVED() : new Response("ok")));
    const client = new Client({ transport: site, ...(ofClient === undefined ? {} : { redirect: ofClient }) });
    const options = ofCall === undefined ? undefined : { redirect: ofCall };
    const call = client.do(new Standard("http://a.test/a", { redirect: ofRequest }), options);
    const said = await call.then(
      ({ status }) => `${status}`,
      (error: { code: string }) => error.code,
    );
    expect(said).toBe(outcome);
  });

  test("cancels its stream where it cannot be sent, whatever is wrong", async () => {
    const [client] = recording();
    const wrong: [url: string, options: object | undefined][] = [
      ["ws://h/", undefined],
      [URL_, { timeOut: 5 }],
      [URL_, { redirect: "never" }],
      [URL_, 5 as never],
    ];
    for (const [url, options] of wrong) {
      let cancelled = 0;
      const body = new ReadableStream({ cancel: () => void cancelled++ }, { highWaterMark: 0 });
      const init = { method: "POST", body, duplex: "half", redirect: "error" } as const;
      await expect(client.do(new Standard(url, init), options)).rejects.toThrow();
      await turns(2);
      expect([url, options, cancelled]).toEqual([url, options, 1]);
    }
  });

  test("takes what has the shape of one, and nothing less", async () => {
    const [client, recorder] = recording();
    await client.do({ method: "DELETE", url: URL_, headers: [["a", "1"]] });
    expect(recorder.request).toMatchObject({ method: "DELETE", url: URL_, body: null });
    await expect(client.do({ method: "DELETE", url: URL_ } as never)).rejects.toThrow(/must be a Request/);
  });
});

describe("Client.do()", () => {
  test("hands the caller's own request on, and gives the answer's as it is", async () => {
    const [client, recorder] = recording();
    const request = new Request(URL_, { body: "x", method: "POST" });
    const res = await client.do(request);
    expect(recorder.request).toBe(request);
    expect(await res.text()).toBe("ok");
  });

  test("turns what a round tripper throws into a rejection, and gives the body up", async () => {
    const mine = new Error("of the transport");
    const client = new Client({
      transport: {
        roundTrip() {
          throw mine;
        },
      },
    });
    const body = new Upload();
    await expect(client.post(URL_, { body })).rejects.toBe(mine);
    expect(body.returned).toBe(1);
  });

  test("works with a signal: the call's own, or else the request's", async () => {
    const [client, recorder] = recording();
    const [mine, theirs] = [new AbortController(), new AbortController()];
    const request = new Request(URL_, { signal: theirs.signal });
    await client.do(request);
    expect(recorder.call).toEqual({ signal: theirs.signal });
    await client.do(request, { signal: mine.signal });
    expect(recorder.call).toEqual({ signal: mine.signal });
    await client.do(request, { signal: null });
    expect(recorder.call).toEqual({ signal: theirs.signal });
  });
});

describe("timeout", () => {
  const setUp = (timeout?: number) => {
    const clock = new VirtualClock();
    const seen: (RoundTripCall | undefined)[] = [];
    const transport = new Transport({}, clock);
    transport.roundTrip = async (_, call) => {
      seen.push(call);
      return new Response();
    };
    return { clock, seen, client: new Client({ transport, ...(timeout === undefined ? {} : { timeout }) }) };
  };

  test("becomes a deadline on the transport's clock, from the call on", async () => {
    const { clock, seen, client } = setUp(1_000);
    await clock.advance(500);
    await client.get(URL_);
    expect(seen).toEqual([{ deadline: { at: 1_500, limit: 1_000 } }]);
  });

  test("of a call takes the place of the client's; 0 means none", async () => {
    const { seen, client } = setUp(1_000);
    await client.get(URL_, { timeout: 50 });
    await client.get(URL_, { timeout: 0 });
    await client.get(URL_, { timeout: undefined } as object);
    expect(seen).toEqual([{ deadline: { at: 50, limit: 50 } }, {}, { deadline: { at: 1_000, limit: 1_000 } }]);
  });

  test("is none unless it is set", async () => {
    const { seen, client } = setUp();
    await client.get(URL_);
    expect(seen).toEqual([undefined]);
  });
});

describe("headers of the client", () => {
  test("go out where the request has none of that name, in front of its own", async () => {
    const [client, recorder] = recording({
      headers: [
        ["X-A", "1"],
        ["X-B", "2"],
        ["x-b", "3"],
      ],
    });
    await client.get(URL_, { headers: { "x-a": "mine", "x-c": "4" } });
    expect(recorder.request.headers.raw).toEqual([
      ["X-B", "2"],
      ["x-b", "3"],
      ["x-a", "mine"],
      ["x-c", "4"],
    ]);
  });

  test("do not change the caller's Request, which can be sent elsewhere", async () => {
    const [client, recorder] = recording({ headers: { "x-a": "1" } });
    const request = new Request(URL_, { method: "POST", body: "x" });
    await client.do(request);
    expect(request.headers.has("x-a")).toBe(false);
    expect(recorder.request.headers.get("x-a")).toBe("1");
    expect(recorder.request.body).toBe(request.body);
  });

  test("do not take the place of the Content-Type that a body implies", async () => {
    const [client, recorder] = recording({ headers: { "content-type": "text/html" } });
    await client.post(URL_, { json: {} });
    expect(recorder.request.headers.get("content-type")).toBe("application/json");
  });

  test("are read once, when the client is made", async () => {
    const given: Record<string, string> = { "x-a": "1" };
    const [client, recorder] = recording({ headers: given });
    given["x-a"] = "2";
    await client.get(URL_);
    expect(recorder.request.headers.get("x-a")).toBe("1");
  });
});

describe("credentials in a URL", () => {
  test("become Basic (RFC 7617), unless the request has an Authorization", async () => {
    const [client, recorder] = recording();
    await client.get("http://us%C3%A9r:p%3Ass@example.test/");
    const basic = `Basic ${Buffer.from("us\u00e9r:p:ss").toString("base64")}`;
    expect(recorder.request.headers.get("authorization")).toBe(basic);
    expect(recorder.request.url).toBe("http://example.test/");
    await client.get("http://user:pass@example.test/", { headers: { authorization: "Bearer x" } });
    expect(recorder.request.headers.get("authorization")).toBe("Bearer x");
  });
});

describe("a polluted prototype", () => {
  test("brings no option along", async () => {
    const [, recorder] = recording();
    const properties = {
      timeout: 1,
      signal: AbortSignal.abort(),
      headers: { "x-evil": "1" },
      trace: () => {},
      onInformation: () => {},
      bodyTimeout: 1,
      body: "evil",
      transport: 5,
    };
    const calls = polluted(properties, () => {
      const client = new Client({ transport: recorder });
      return [client.get(URL_), client.get(URL_, {}), client.do(new Request(URL_), {})];
    });
    await Promise.all(calls);
    for (const request of recorder.requests) {
      expect(request.headers.raw).toEqual([]);
      expect(request.body).toBe(null);
    }
    for (const call of recorder.calls) expect(call ?? {}).toEqual({});
  });

  test("brings none along for a transport either", async () => {
    await using peer = await scriptedPeer();
    const dialed: unknown[] = [];
    const properties = {
      dial: () => dialed.push("evil"),
      deadline: { at: 0, limit: 0 },
      trace: () => dialed.push("heard"),
      onInformation: () => dialed.push("heard"),
      bodyTimeout: 0.001,
    };
    await using transport = new Transport();
    const calls = polluted(properties, () => [
      transport.roundTrip(new Request(peer.url())),
      transport.roundTrip(new Request(peer.url()), {}),
    ]);
    for (const call of calls) {
      await answer(await peer.accept());
      expect(await (await call).text()).toBe("ok");
    }
    expect(dialed).toEqual([]);
  });
});

describe("the transport of a client", () => {
  test("is its own unless one is given; close() closes that one and no other", async () => {
    const own = new Client();
    expect(own.transport).toBeInstanceOf(Transport);
    await own.close();
    await expect(own.get(URL_)).rejects.toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });

    await using peer = await scriptedPeer();
    const client = new Client({ transport: peer.transport });
    expect(client.transport).toBe(peer.transport);
    await client.close();
    const call = client.get(peer.url());
    await answer(await peer.accept());
    expect(await (await call).text()).toBe("ok");
  });

  test("is closed with the client's scope", async () => {
    let transport: unknown;
    {
      await using client = new Client();
      transport = client.transport;
    }
    await expect((transport as Transport).roundTrip(new Request(URL_))).rejects.toMatchObject({
      code: "ERR_HTTP_TRANSPORT_CLOSED",
    });
  });

  test("gets closeIdleConnections() where it has that", async () => {
    let closed = 0;
    const recorder = new Recorder();
    new Client({ transport: recorder }).closeIdleConnections();
    const transport = Object.assign(recorder, { closeIdleConnections: () => closed++ });
    new Client({ transport }).closeIdleConnections();
    expect(closed).toBe(1);
  });

  test("may be one around another: recording, retry policies and mocks are round trippers", async () => {
    await using peer = await scriptedPeer();
    const statuses: number[] = [];
    const client = new Client({
      transport: {
        async roundTrip(request, call) {
          const response = await peer.transport.roundTrip(request, call);
          statuses.push(response.status);
          return response.status === 503 ? this.roundTrip(request, call) : response;
        },
      },
    });
    const call = client.post(peer.url(), { body: "again" });
    const conn = await peer.accept();
    for (const status of [503, 503, 200]) {
      await conn.readHead();
      await conn.expect("again");
      conn.reply(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`);
    }
    expect((await call).status).toBe(200);
    expect(statuses).toEqual([503, 503, 200]);
  });
});

test("inspect() of a client is one line, which tells of its transport", async () => {
  await using client = new Client({ headers: { Authorization: "Bearer secret" } });
  expect(inspect(client)).toBe("Client { Transport { 0 busy, 0 idle, 0 dialing, 0 waiting } }");
});
