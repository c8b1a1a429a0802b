/**
 * Requests through proxies: which bytes go to whom, on how many connections, and what is left when a proxy refuses, stalls
 * or goes away. The network is real; time is virtual where it matters.
 */

import { execFile } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { inspect, promisify } from "node:util";
import { describe, expect, test } from "vitest";
import {
  Client,
  DialError,
  HeaderLimitError,
  HttpError,
  ProxyError,
  RemoteProtocolError,
  Request,
  TimeoutError,
  type TraceEvent,
  Transport,
  type TransportOptions,
} from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { fieldOf, rawOrigin, rawProxy, tunnelTo } from "../support/raw-proxy.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();
const authority = new CertificateAuthority();
const tls = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost", "DNS:origin.test"] });
const trust = { tls: { ca: authority.cert } };

/** A client on a transport of its own, which is destroyed at the end. */
function through(options: TransportOptions, clock?: SteeredClock) {
  const transport = clock === undefined ? new Transport(options) : new Transport(options, clock);
  const client = new Client({ transport });
  return { client, transport, [Symbol.asyncDispose]: () => transport.destroy() };
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not fail");
    },
    (error: unknown) => error,
  );
}

const says = (text: string) => (_: string, socket: Socket) => void socket.write(text, "latin1");

describe("Transport with a proxy", () => {
  test("sends an http request to it in absolute-form [TestTransportProxy/http via http]", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin();
    await using c = through({ proxy: proxy.url });
    const res = await c.client.get(origin.url("/a?b"));
    expect(await res.text()).toBe(`the proxy saw GET ${origin.url("/a?b")} HTTP/1.1`);
    expect(fieldOf(proxy.heads[0], "host")).toBe(`127.0.0.1:${origin.port}`);
    expect([proxy.connects.length, origin.sockets.length]).toEqual([0, 0]);
    expect(res.connection).toMatchObject({ proxy: proxy.url, remotePort: proxy.port });
  });

  test("sends an https request through CONNECT [TestTransportProxy/https via http]", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin(tls);
    await using c = through({ ...trust, proxy: proxy.url.replace("//", "//user:secret@") });
    const res = await c.client.get(origin.url("/a"));
    expect(await res.text()).toBe("the origin saw GET /a HTTP/1.1");
    expect(proxy.heads).toHaveLength(1);
    expect(proxy.heads[0]).toMatch(
      new RegExp(`^CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n`),
    );
    expect(origin.heads[0]).not.toMatch(/proxy/i);
    expect(res.connection).toMatchObject({ proxy: proxy.url, tls: { alpn: null } });
  });

  test("speaks TLS to an https proxy, and absolute-form in it [TestTransportProxy/http via https]", async () => {
    await using proxy = await rawProxy({ tls });
    await using origin = await rawOrigin();
    await using c = through({ ...trust, proxy: proxy.url });
    expect(await (await c.client.get(origin.url("/a"))).text()).toBe(`the proxy saw GET ${origin.url("/a")} HTTP/1.1`);
  });

  test("nests TLS: to the proxy, CONNECT, to the target [TestTransportProxy/https via https]", async () => {
    await using proxy = await rawProxy({ tls });
    await using origin = await rawOrigin(tls);
    await using c = through({ ...trust, proxy: proxy.url });
    for (let i = 0; i < 3; i++) {
      expect(await (await c.client.get(origin.url("/a"))).text()).toBe("the origin saw GET /a HTTP/1.1");
    }
    expect([proxy.connects.length, proxy.sockets.length, origin.sockets.length]).toEqual([1, 1, 1]);
  });

  test("moves big bodies both ways through nested TLS", async () => {
    await using proxy = await rawProxy({ tls });
    const big = "x".repeat(3 << 20);
    await using origin = await rawOrigin(tls);
    await using c = through({ ...trust, proxy: proxy.url });
    const res = await c.client.post(origin.url("/up"), { body: big });
    expect(await res.text()).toBe("the origin saw POST /up HTTP/1.1");
  });

  test("shares its connections among all http targets, and keeps a tunnel to its target", async () => {
    await using proxy = await rawProxy();
    await using one = await rawOrigin(tls);
    await using two = await rawOrigin(tls);
    await using c = through({ ...trust, proxy: proxy.url });
    for (const url of ["http://a.test/", "http://b.test/", "http://c.test:81/", "http://a.test/"]) {
      await (await c.client.get(url)).text();
    }
    expect([proxy.sockets.length, c.transport.stats().dialed]).toEqual([1, 1]);
    for (const url of [one.url(), two.url(), one.url(), two.url()]) await (await c.client.get(url)).text();
    expect([proxy.sockets.length, proxy.connects.length, c.transport.stats().dialed]).toEqual([3, 2, 3]);
  });

  test("with proxyTunnel takes http targets through CONNECT, too", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin();
    await using c = through({ proxy: proxy.url, proxyTunnel: true });
    for (let i = 0; i < 2; i++) {
      const res = await c.client.get(origin.url("/a"));
      expect(await res.text()).toBe("the origin saw GET /a HTTP/1.1");
      expect(res.connection).toMatchObject({ proxy: proxy.url, reused: i > 0 });
    }
    expect(proxy.connects).toHaveLength(1);
  });

  test.each(["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close"])(
    "takes any 2xx for a tunnel, whatever its fields say of a body: %s (RFC 9110 §9.3.6)",
    async (field) => {
      await using origin = await rawOrigin();
      const upstreams: Socket[] = [];
      await using proxy = await rawProxy({
        onConnect: (_, socket) => {
          const answer = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 Fine\r\n${field}\r\n\r\n`;
          upstreams.push(tunnelTo(origin.port, socket, answer));
        },
      });
      await using c = through({ proxy: proxy.url, proxyTunnel: true });
      for (let i = 0; i < 2; i++) {
        expect(await (await c.client.get(origin.url())).text()).toBe("the origin saw GET / HTTP/1.1");
      }
      expect(proxy.connects).toHaveLength(1);
      for (const upstream of upstreams) upstream.destroy();
    },
  );

  test("takes a function's answer, and a promise's, for each URL", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin();
    const asked: string[] = [];
    await using c = through({
      proxy: (url) => {
        asked.push(url.href);
        if (url.pathname === "/direct") return null;
        return url.pathname === "/later" ? Promise.resolve(new URL(proxy.url)) : proxy.url;
      },
    });
    const got = [];
    for (const path of ["/direct", "/later", "/now"]) got.push(await (await c.client.get(origin.url(path))).text());
    expect(got.map((text) => text.slice(0, 10))).toEqual(["the origin", "the proxy ", "the proxy "]);
    expect(asked).toEqual(["/direct", "/later", "/now"].map((path) => origin.url(path)));
  });

  test("fails with the very error of the function [TestRoundTripReturnsProxyError]", async () => {
    const mine = new Error("no proxy today");
    for (const proxy of [
      () => {
        throw mine;
      },
      () => Promise.reject(mine),
    ]) {
      await using c = through({ proxy });
      expect(await failure(c.client.get("http://origin.test/"))).toBe(mine);
      expect(c.transport.stats()).toMatchObject({ waiting: 0, dialing: 0, dialed: 0 });
    }
  });

  test("fails when the function's answer cannot be used", async () => {
    for (const answer of ["ftp://proxy", 7]) {
      await using c = through({ proxy: () => answer as string });
      expect(await failure(c.client.get("http://origin.test/"))).toBeInstanceOf(ProxyError);
    }
    expect(() => new Transport({ proxy: "ftp://u:secret@proxy" })).toThrow(/^Cannot use proxy: its scheme is ftp/);
    expect(() => new Transport({ proxy: 7 as unknown as string })).toThrow(/^Option proxy must be a string, a URL, /);
  });

  test("ends a call that waits for the function when it is aborted or the transport closes", async () => {
    await using c = through({ proxy: () => new Promise<null>(() => {}) });
    const abort = new AbortController();
    const call = failure(c.client.get("http://origin.test/", { signal: leaks().watch(abort.signal) }));
    abort.abort("enough");
    expect(await call).toBe("enough");

    // One that ends the call itself, in the middle of being asked.
    const own = new AbortController();
    await using ending = through({
      proxy: () => {
        own.abort("by the function");
        return null;
      },
    });
    const ended = ending.client.get("http://127.0.0.1:9/", { signal: leaks().watch(own.signal) });
    expect(await failure(ended)).toBe("by the function");
    // One that fails when the time of the call is over already: nobody looks at that any more.
    await using failing = through({ proxy: () => Promise.reject(new Error("too late")) });
    const deadline = { at: failing.transport.clock.now() - 1, limit: 1 };
    const request = new Request("http://127.0.0.1:9/");
    expect(await failure(failing.transport.roundTrip(request, { deadline }))).toMatchObject({ option: "timeout" });
    await turns(5);

    let answer = (_: null) => {};
    const late = through({ proxy: () => new Promise<null>((resolve) => (answer = resolve)) });
    const closed = failure(late.client.get("http://127.0.0.1:9/"));
    await late.transport.close();
    answer(null);
    expect(await closed).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
  });
});

describe("credentials", () => {
  const secret = "p%40ss%2Fw0rd!";
  const token = Buffer.from("user:p@ss/w0rd!").toString("base64");

  test("go to the proxy decoded, in requests to it [TestProxyAuthHeader]", async () => {
    await using proxy = await rawProxy();
    await using c = through({ proxy: `http://u:%40%2F%3F!@127.0.0.1:${proxy.port}` });
    await (await c.client.get("http://_/")).text();
    expect(fieldOf(proxy.heads[0], "proxy-authorization")).toBe(`Basic ${Buffer.from("u:@/?!").toString("base64")}`);
  });

  test("go into CONNECT, and never to the target", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin(tls);
    await using c = through({ ...trust, proxy: `http://user:${secret}@127.0.0.1:${proxy.port}` });
    await (await c.client.get(origin.url())).text();
    expect(fieldOf(proxy.connects[0], "proxy-authorization")).toBe(`Basic ${token}`);
    expect(origin.heads[0]).not.toMatch(/authorization/i);
  });

  test("of two kinds are two pools", async () => {
    await using proxy = await rawProxy();
    const users = ["a:1", "b:2", "a:1"];
    await using c = through({ proxy: () => `http://${users.shift()}@127.0.0.1:${proxy.port}` });
    for (let i = 0; i < 3; i++) await (await c.client.get("http://origin.test/")).text();
    expect(proxy.sockets).toHaveLength(2);
    expect(proxy.heads.map((head) => fieldOf(head, "proxy-authorization"))).toEqual(
      ["a:1", "b:2", "a:1"].map((pair) => `Basic ${Buffer.from(pair).toString("base64")}`),
    );
  });

  test("stand in no error, no trace, no inspect and no fact of a response (R13)", async () => {
    const echo = `HTTP/1.1 407 No ${token}\r\nX-Echo: Basic ${token}\r\nContent-Length: 60\r\n\r\n${`you said ${token} p@ss/w0rd!`.padEnd(60)}`;
    await using refusing = await rawProxy({ onConnect: says(echo) });
    await using proxy = await rawProxy();
    await using origin = await rawOrigin();
    const seen: unknown[] = [];
    const trace = (event: TraceEvent) => void seen.push(event);
    for (const [port, tunnel] of [
      [refusing.port, true],
      [proxy.port, true],
      [proxy.port, false],
      [1, true],
      [1, false],
    ] as const) {
      await using c = through({ proxy: `http://user:${secret}@127.0.0.1:${port}`, proxyTunnel: tunnel, trace });
      try {
        const res = await c.client.get(origin.url());
        seen.push(res, res.connection, await res.text());
      } catch (error) {
        seen.push(error, (error as Error).stack);
      }
      seen.push(c.transport, c.client, c.transport.stats());
    }
    expect(seen.some((one) => one instanceof ProxyError)).toBe(true);
    const text = seen.map((one) => `${inspect(one, { depth: 9, showHidden: true })}${JSON.stringify(one)}`).join("\n");
    expect(text).toContain(`http://127.0.0.1:${proxy.port}|http|`);
    for (const word of [token, secret, "p@ss/w0rd!"]) expect(text).not.toContain(word);
  });
});

describe("proxyConnectHeader", () => {
  test("goes into CONNECT and nowhere else [TestTransportProxyConnectHeader]", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin(tls);
    await using c = through({
      ...trust,
      proxy: proxy.url,
      proxyConnectHeader: { "User-Agent": "foo", Other: "bar" },
    });
    await (await c.client.get(origin.url())).text();
    expect([fieldOf(proxy.connects[0], "user-agent"), fieldOf(proxy.connects[0], "other")]).toEqual(["foo", "bar"]);
    expect(origin.heads[0]).toMatch(/User-Agent: persistconn/);
    expect(fieldOf(origin.heads[0], "other")).toBeNull();
    await (await c.client.get("http://origin.test/")).text();
    expect(fieldOf(proxy.heads.at(-1), "other")).toBeNull();
  });

  test("may be a function of proxy and target [TestTransportProxyGetConnectHeader]", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin(tls);
    const asked: unknown[] = [];
    await using c = through({
      ...trust,
      proxy: proxy.url.replace("//", "//user:secret@"),
      proxyConnectHeader: async (by, target) => {
        asked.push([by.href, target]);
        return [["Other2", "bar2"]];
      },
    });
    await (await c.client.get(origin.url())).text();
    expect(asked).toEqual([[`${proxy.url}/`, `127.0.0.1:${origin.port}`]]);
    expect(fieldOf(proxy.connects[0], "other2")).toBe("bar2");
  });

  test("is left as it was by a dial with credentials [TestTransportProxyDialDoesNotMutateProxyConnectHeader]", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin(tls);
    const header = { "Proxy-Authorization": "Basic configured", "X-One": "1" };
    const before = JSON.stringify(header);
    await using c = through({
      ...trust,
      proxy: proxy.url.replace("//", "//user:secret@"),
      proxyConnectHeader: header,
    });
    await (await c.client.get(origin.url())).text();
    expect(JSON.stringify(header)).toBe(before);
    const own = `Basic ${Buffer.from("user:secret").toString("base64")}`;
    expect(proxy.connects[0]?.match(/^proxy-authorization: .*$/gim)).toEqual([`Proxy-Authorization: ${own}`]);
  });

  test("that is malformed fails the dial before a byte of CONNECT (R1)", async () => {
    await using proxy = await rawProxy();
    await using c = through({ proxy: proxy.url, proxyTunnel: true, proxyConnectHeader: { A: "b\r\nEvil: 1" } });
    expect(await failure(c.client.get("http://origin.test/"))).toBeInstanceOf(Error);
    expect(proxy.heads).toEqual([]);
  });

  test("that throws fails the dial with its very error", async () => {
    await using proxy = await rawProxy();
    const mine = new Error("no header");
    await using c = through({
      proxy: proxy.url,
      proxyTunnel: true,
      proxyConnectHeader: () => {
        throw mine;
      },
    });
    expect(await failure(c.client.get("http://origin.test/"))).toBe(mine);
  });
});

describe("onProxyConnectResponse", () => {
  test("sees the answer and may let it pass, or end the dial [TestOnProxyConnectResponse]", async () => {
    await using proxy = await rawProxy();
    await using origin = await rawOrigin(tls);
    const seen: unknown[] = [];
    const mine = new Error("not this one");
    let fail = false;
    await using c = through({
      ...trust,
      proxy: proxy.url.replace("//", "//user:secret@"),
      onProxyConnectResponse: async ({ proxy: by, target, status, statusText, headers }) => {
        seen.push([by, target, status, statusText, headers.raw]);
        await turns(2);
        if (fail) throw mine;
      },
    });
    await (await c.client.get(origin.url())).text();
    expect(seen).toEqual([[proxy.url, `127.0.0.1:${origin.port}`, 200, "Connection established", []]]);
    c.transport.closeIdleConnections();
    fail = true;
    expect(await failure(c.client.get(origin.url()))).toBe(mine);
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the proxy's connections are closed");
  });

  test("sees a refusal before it is judged", async () => {
    await using proxy = await rawProxy({ onConnect: says("HTTP/1.1 403 No\r\nX-Why: policy\r\n\r\n") });
    const mine = new Error("403 by policy");
    await using c = through({
      proxy: proxy.url,
      proxyTunnel: true,
      onProxyConnectResponse: ({ status, headers }) => {
        if (status === 403 && headers.get("x-why") === "policy") throw mine;
      },
    });
    expect(await failure(c.client.get("http://origin.test/"))).toBe(mine);
  });
});

describe("a proxy that", () => {
  const refusals: [string, string, number, string, string][] = [
    [
      "wants credentials",
      "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nlogin",
      407,
      "login",
      "407 Proxy Authentication Required; its URL has no credentials",
    ],
    [
      "cannot reach the target",
      "HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n0\r\n\r\n",
      502,
      "down",
      "502 Bad Gateway",
    ],
    [
      "refuses with a body cut short",
      "HTTP/1.1 503 Busy\r\nContent-Length: 500\r\n\r\npartial",
      503,
      "partial",
      "503 Busy",
    ],
    ["answers without a reason [TestMissingStatusNoPanic]", "HTTP/1.1 400\r\n\r\n", 400, "", "400"],
    ["redirects", "HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n", 302, "", "302 Found"],
  ];
  test.each(refusals)("is a ProxyError with its answer where it %s", async (_, answer, status, body, words) => {
    await using proxy = await rawProxy({ onConnect: (_, socket) => socket.end(answer, "latin1") });
    await using c = through({ proxy: proxy.url, proxyTunnel: true });
    const error = await failure(c.client.get("http://origin.test/"));
    expect(error).toMatchObject({
      name: "ProxyError",
      code: "ERR_HTTP_PROXY",
      phase: "proxy",
      status,
      body,
      proxy: proxy.url,
      origin: "http://origin.test",
      safeToRetry: true,
      message: `Cannot open tunnel through proxy ${proxy.url} to origin.test:80: the proxy answered ${words}`,
    });
    const { headers } = error as ProxyError;
    expect(headers).toEqual(
      answer
        .split("\r\n\r\n")[0]
        ?.split("\r\n")
        .slice(1)
        .map((line) => line.split(": ")),
    );
    expect(c.transport.stats()).toMatchObject({ dialing: 0, busy: 0, idle: 0, waiting: 0, dialsFailed: 1 });
  });

  test("refuses with a body without end is heard for 4 KiB, and for a second", async () => {
    const clock = new SteeredClock();
    await using flood = await rawProxy({
      onConnect: (_, socket) => socket.write(`HTTP/1.1 403 No\r\n\r\n${"x".repeat(100_000)}`),
    });
    await using slow = await rawProxy({ onConnect: says("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nslow") });
    await using c = through({ proxy: (url) => (url.port === "1" ? flood.url : slow.url), proxyTunnel: true }, clock);
    expect(((await failure(c.client.get("http://origin.test:1/"))) as ProxyError).body).toBe("x".repeat(4096));
    const call = failure(c.client.get("http://origin.test:2/"));
    await until(() => slow.connects.length === 1, "the proxy is asked");
    await turns(20);
    await clock.advance(1_000);
    expect(((await call) as ProxyError).body).toBe("slow");
  });

  test("sends a header without end is stopped at the limit [TestTransportProxyWithInfiniteHeader]", async () => {
    await using proxy = await rawProxy({
      onConnect: (_, socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        const more = () => {
          while (!socket.destroyed && socket.write(`X-Line: ${"y".repeat(1000)}\r\n`));
        };
        socket.on("drain", more);
        more();
      },
    });
    await using c = through({ proxy: proxy.url, proxyTunnel: true, maxResponseHeaderBytes: 8_192 });
    const error = await failure(c.client.get("http://origin.test/"));
    expect(error).toBeInstanceOf(HeaderLimitError);
    expect(error).toMatchObject({ option: "maxResponseHeaderBytes", limit: 8_192, proxy: proxy.url });
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");
  });

  test.each([
    ["is no HTTP", "SSH-2.0-OpenSSH\r\n", RemoteProtocolError],
    ["closes at once", "", ProxyError],
    ["closes within the head", "HTTP/1.1 200 OK\r\nX: ", ProxyError],
  ])("%s fails the dial", async (_, answer, kind) => {
    await using proxy = await rawProxy({ onConnect: (_, socket) => socket.end(answer) });
    await using c = through({ proxy: proxy.url, proxyTunnel: true });
    const error = await failure(c.client.get("http://origin.test/"));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ proxy: proxy.url, origin: "http://origin.test" });
  });

  test("resets in place of an answer is a ProxyError", async () => {
    await using proxy = await rawProxy({ onConnect: (_, socket) => socket.resetAndDestroy() });
    await using c = through({ proxy: proxy.url, proxyTunnel: true });
    expect(await failure(c.client.get("http://origin.test/"))).toMatchObject({
      name: "ProxyError",
      status: null,
      cause: { code: "ECONNRESET" },
    });
  });

  test("dies in the middle of an answer leaves a failed body and nothing else", async () => {
    await using origin = await rawOrigin(tls);
    await using proxy = await rawProxy({
      onRequest: (_, socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    });
    await using c = through({ ...trust, proxy: proxy.url });
    const res = await c.client.get("http://origin.test/");
    expect(await failure(res.text())).toMatchObject({ name: "IncompleteBodyError", received: 4, expected: 10 });
    // And a tunnel that ends while it is idle.
    await (await c.client.get(origin.url())).text();
    expect(c.transport.stats().idle).toBe(1);
    for (const socket of proxy.sockets) socket.destroy();
    await until(() => c.transport.stats().idle === 0, "the dead tunnel is out of the pool");
  });

  test("is not there is a DialError of the proxy's leg [TestTransportDialPreservesNetOpProxyError]", async () => {
    for (const tunnel of [true, false]) {
      await using c = through({ proxy: "http://user:secret@127.0.0.1:1", proxyTunnel: tunnel });
      expect(await failure(c.client.get("http://origin.test/"))).toMatchObject({
        name: "DialError",
        phase: "connect",
        proxy: "http://127.0.0.1:1",
        origin: "http://origin.test",
        attempts: [{ address: "127.0.0.1", port: 1, outcome: "ECONNREFUSED" }],
        message: "Cannot connect to proxy 127.0.0.1:1: ECONNREFUSED at 127.0.0.1",
      });
    }
    await using other = through({});
    expect(await failure(other.client.get("http://127.0.0.1:1/"))).not.toHaveProperty("proxy");
  });

  test("refuses one request does not spoil the next", async () => {
    let refusals = 1;
    await using origin = await rawOrigin();
    const upstreams: Socket[] = [];
    await using proxy = await rawProxy({
      onConnect: (_, socket) => {
        if (refusals-- > 0) socket.end("HTTP/1.1 503 Busy\r\n\r\n");
        else upstreams.push(tunnelTo(origin.port, socket));
      },
    });
    await using c = through({ proxy: proxy.url, proxyTunnel: true, maxConnsPerHost: 1 });
    const [first, second] = await Promise.all([
      failure(c.client.get(origin.url())),
      c.client.get(origin.url()).then((res) => res.text()),
    ]);
    expect(first).toMatchObject({ status: 503 });
    expect(second).toBe("the origin saw GET / HTTP/1.1");
    for (const upstream of upstreams) upstream.destroy();
  });
});

describe("ends without leaving anything:", () => {
  test("a CONNECT that is never answered, aborted [TestTransportProxyHTTPSConnectLeak]", async () => {
    await using proxy = await rawProxy({ onConnect: () => {} });
    await using c = through({ ...trust, proxy: proxy.url });
    const abort = new AbortController();
    const call = failure(c.client.get("https://origin.test/", { signal: leaks().watch(abort.signal) }));
    await until(() => proxy.connects.length === 1, "CONNECT has come");
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await call).toBe(reason);
    // The dial goes on for the next request, as a direct one would; it ends with the transport.
    await c.transport.close();
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the proxy's connection is closed");
    expect(c.transport.stats()).toMatchObject({ dialing: 0, waiting: 0 });
  });

  test("a CONNECT that is not answered in time", async () => {
    const clock = new SteeredClock();
    await using proxy = await rawProxy({ onConnect: says("HTTP/1.1 200 OK\r\nX: ") });
    await using c = through({ proxy: proxy.url, proxyTunnel: true }, clock);
    const call = failure(c.client.get("http://origin.test/"));
    await until(() => proxy.connects.length === 1, "CONNECT has come");
    await clock.advance(59_999);
    expect(c.transport.stats().dialing).toBe(1);
    await clock.advance(1);
    const error = await call;
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({
      phase: "proxy",
      option: "proxyConnectTimeout",
      limit: 60_000,
      proxy: proxy.url,
      safeToRetry: true,
      message: `Cannot open tunnel through proxy ${proxy.url} to origin.test:80: no tunnel within 60000 ms (option proxyConnectTimeout)`,
    });
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");
  });

  test("a function for the CONNECT header that never answers", async () => {
    const clock = new SteeredClock();
    await using proxy = await rawProxy();
    await using c = through(
      {
        proxy: proxy.url,
        proxyTunnel: true,
        proxyConnectTimeout: 500,
        proxyConnectHeader: () => new Promise<never>(() => {}),
      },
      clock,
    );
    const call = failure(c.client.get("http://origin.test/"));
    await until(() => proxy.sockets.length === 1, "the proxy is dialed");
    await turns(20);
    await clock.advance(500);
    expect(await call).toMatchObject({ option: "proxyConnectTimeout", limit: 500 });
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");
  });

  test.each(["accept", "connect", "tls"] as const)("a dial at the step %s, by destroy()", async (step) => {
    await using silent = await rawOrigin(); // takes no handshake: it waits for a head that does not come
    const upstreams: Socket[] = [];
    await using proxy = await rawProxy({
      onConnect: (_, socket) => {
        if (step === "tls") upstreams.push(tunnelTo(silent.port, socket));
      },
    });
    const url = step === "accept" ? `https://127.0.0.1:${silent.port}` : proxy.url;
    const c = through({ ...trust, proxy: url });
    const call = failure(c.client.get("https://origin.test/"));
    if (step === "accept") await until(() => silent.sockets.length === 1, "the proxy is dialed");
    if (step === "connect") await until(() => proxy.connects.length === 1, "CONNECT has come");
    if (step === "tls") await until(() => silent.sockets.length === 1, "the target is reached");
    await turns(20);
    await c.transport.destroy();
    expect(await call).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the proxy's connection is closed");
    for (const upstream of upstreams) upstream.destroy();
  });

  test("a target that does not shake hands in time", async () => {
    const clock = new SteeredClock();
    await using silent = await rawOrigin();
    await using proxy = await rawProxy();
    await using c = through({ ...trust, proxy: proxy.url }, clock);
    const call = failure(c.client.get(`https://origin.test:${silent.port}/`));
    await until(() => silent.sockets.length === 1, "the target is reached");
    await turns(20);
    await clock.advance(10_000);
    const error = await call;
    expect(error).toMatchObject({ phase: "tls", option: "tlsHandshakeTimeout" });
    expect(error).not.toHaveProperty("proxy");
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");
  });
});

describe("a dialer of the caller's", () => {
  test.each([true, false])("dials the proxy, passing onread on: %j", async (passed) => {
    await using proxy = await rawProxy({ tls });
    await using plainProxy = await rawProxy();
    await using secure = await rawOrigin(tls);
    await using plain = await rawOrigin();
    const dialed: number[] = [];
    const dial: TransportOptions["dial"] = ({ host, port, onread }) => {
      dialed.push(port);
      return passed
        ? connect({ host, port, onread, allowHalfOpen: true })
        : connect({ host, port, allowHalfOpen: true });
    };
    const big = "x".repeat(1 << 20);
    for (const by of [plainProxy, proxy]) {
      await using c = through({ ...trust, proxy: by.url, proxyTunnel: true, dial });
      for (const origin of [plain, secure]) {
        const res = await c.client.post(origin.url("/up"), { body: big });
        expect(await res.text()).toBe("the origin saw POST /up HTTP/1.1");
        expect(await (await c.client.get(origin.url("/again"))).text()).toBe("the origin saw GET /again HTTP/1.1");
      }
    }
    expect(dialed).toEqual([plainProxy.port, plainProxy.port, proxy.port, proxy.port]);
  });
});

describe("bytes that come through onread before the dialer has returned", () => {
  test("are the first that the tunnel's opening reads", async () => {
    await using origin = await rawOrigin();
    const sockets: Socket[] = [];
    const hasty = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.write("HTTP/1.1 200 OK\r\n\r\n"); // before it was asked
      socket.once("data", (bytes) => {
        const upstream = connect(origin.port, "127.0.0.1");
        sockets.push(upstream);
        upstream.write(bytes.subarray(bytes.indexOf("\r\n\r\n") + 4)); // the request may have come along
        socket.pipe(upstream).pipe(socket);
      });
    });
    await new Promise<void>((resolve) => hasty.listen(0, "127.0.0.1", resolve));
    const { port } = hasty.address() as AddressInfo; // it listens on TCP
    await using c = through({
      proxy: `http://127.0.0.1:${port}`,
      proxyTunnel: true,
      dial: async ({ host, port, onread }) => {
        const socket = connect({ host, port, onread, allowHalfOpen: true });
        await until(() => socket.bytesRead > 0, "the proxy has spoken");
        return socket;
      },
    });
    for (let i = 0; i < 2; i++) {
      expect(await (await c.client.get(origin.url())).text()).toBe("the origin saw GET / HTTP/1.1");
    }
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => hasty.close(resolve));
  });
});

describe("the process", () => {
  test("is not kept alive by a tunnel that nobody waits for", async () => {
    await using proxy = await rawProxy({ onConnect: () => {} });
    const program = `
      import { Client, Transport } from "${new URL("../../lib/index.ts", import.meta.url)}";
      const transport = new Transport({ proxy: "${proxy.url}" });
      const abort = new AbortController();
      const call = new Client({ transport }).get("https://origin.test/", { signal: abort.signal });
      setTimeout(() => abort.abort("enough"), 300);
      console.log(await call.catch((reason) => reason));`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: new URL("../..", import.meta.url),
      timeout: 15_000,
    });
    expect([stdout, proxy.connects.length]).toEqual(["enough\n", 1]);
  });
});

describe("the trace of a tunnel", () => {
  test("has its steps in order", async () => {
    await using proxy = await rawProxy({ tls });
    await using origin = await rawOrigin(tls);
    const words: string[] = [];
    await using c = through({
      ...trust,
      proxy: proxy.url.replace("//", "//user:secret@"),
      trace: {
        groups: ["dial"],
        on: (event) => {
          words.push(event.type);
          if (event.type === "dial-start") expect(event).toMatchObject({ proxy: proxy.url, port: origin.port });
          if (event.type === "tunnel-start") expect(event).toMatchObject({ proxy: proxy.url });
          if (event.type === "tunnel-done") expect(event.status).toBe(200);
        },
      },
    });
    const res = await c.client.get(origin.url());
    await res.text();
    expect(words).toEqual([
      "dial-start",
      "connect-start",
      "connect-done",
      "tls-start",
      "tls-done",
      "tunnel-start",
      "tunnel-done",
      "tls-start",
      "tls-done",
      "dial-done",
    ]);
    expect(res.timings?.tls).not.toBeNull();
  });
});

describe("allowAddress", () => {
  test("is asked for the proxy's address, and for a target behind it that is an address", async () => {
    await using proxy = await rawProxy();
    const asked: string[] = [];
    await using c = through({
      proxy: proxy.url,
      allowAddress: (address, port) => {
        asked.push(`${address}:${port}`);
        return address !== "169.254.169.254" && address !== "::1" && address !== "::ffff:a9fe:a9fe";
      },
    });
    await (await c.client.get("http://origin.test/")).text();
    expect(asked.splice(0)).toEqual([`127.0.0.1:${proxy.port}`]);
    for (const url of [
      "http://169.254.169.254/latest",
      "https://169.254.169.254/",
      "http://[::1]:81/",
      "http://[::ffff:169.254.169.254]/",
    ]) {
      const error = await failure(c.client.get(url));
      expect(error).toBeInstanceOf(DialError);
      expect(error).toMatchObject({ attempts: [{ outcome: "refused-by-policy" }] });
    }
    expect(asked).toEqual(["169.254.169.254:80", "169.254.169.254:443", "::1:81", "::ffff:a9fe:a9fe:80"]);
    expect([proxy.heads.length, proxy.sockets.length]).toEqual([1, 1]);
    // Over the pooled connection too: the policy is about targets, not about dials.
    expect(await failure(c.client.get("http://169.254.169.254/latest"))).toBeInstanceOf(DialError);
  });

  test("is asked for every hop of a redirect, behind a proxy and without one", async () => {
    const away = says("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n");
    await using proxy = await rawProxy({ onRequest: away });
    const policy = { allowAddress: (address: string) => address !== "169.254.169.254" };
    await using behind = through({ ...policy, proxy: proxy.url });
    expect(await failure(behind.client.get("http://origin.test/"))).toBeInstanceOf(DialError);
    expect(proxy.heads).toHaveLength(1);
    await using direct = through(policy); // the same server as an origin
    expect(await failure(direct.client.get(proxy.url))).toMatchObject({
      attempts: [{ address: "169.254.169.254", outcome: "refused-by-policy" }],
    });
  });

  test("that refuses the proxy ends the dial; one that returns no boolean refuses, too", async () => {
    await using proxy = await rawProxy();
    await using c = through({ proxy: proxy.url, allowAddress: () => false });
    expect(await failure(c.client.get("http://origin.test/"))).toMatchObject({ name: "DialError", proxy: proxy.url });
    await using promising = through({ allowAddress: (async () => false) as unknown as () => boolean });
    const error = await failure(promising.client.get(`http://127.0.0.1:${proxy.port}/`));
    expect(error).toMatchObject({ cause: { message: "allowAddress must return true or false" } });
    expect(error).toBeInstanceOf(HttpError);
    expect(proxy.sockets).toEqual([]);
  });
});
