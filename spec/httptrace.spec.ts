/**
 * `clientTrace()`: Go's hooks, each when and as often as Go calls it.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { type ClientTrace, clientTrace } from "../lib/httptrace.ts";
import { Client, Transport } from "../lib/index.ts";
import { tracerOf } from "../lib/trace.ts";
import { CertificateAuthority } from "./support/certs.ts";
import { h2Peer } from "./support/h2-peer.ts";
import { checkLeaks } from "./support/leak-check.ts";
import { until } from "./support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "./support/scripted-peer.ts";
import { SteeredClock } from "./support/steered-clock.ts";
import { nextUncaught } from "./support/uncaught.ts";
import { Upload } from "./support/upload.ts";

checkLeaks();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const HOOKS: readonly (keyof ClientTrace)[] = [
  "getConn",
  "gotConn",
  "putIdleConn",
  "gotFirstResponseByte",
  "got100Continue",
  "got1xxResponse",
  "dnsStart",
  "dnsDone",
  "connectStart",
  "connectDone",
  "tlsHandshakeStart",
  "tlsHandshakeDone",
  "wroteHeaderField",
  "wroteHeaders",
  "wait100Continue",
  "wroteRequest",
];

/** All hooks, and what they were called with. */
class Log {
  readonly calls: [hook: string, ...args: unknown[]][] = [];
  readonly hooks: ClientTrace = Object.fromEntries(
    HOOKS.map((name) => [name, (...args: unknown[]) => void this.calls.push([name, ...args])]),
  );

  /** The names in order, wroteHeaderField left out. */
  get names(): string[] {
    return this.calls.map(([name]) => name).filter((name) => name !== "wroteHeaderField");
  }
  of(hook: keyof ClientTrace): unknown[][] {
    return this.calls.filter(([name]) => name === hook).map(([, ...args]) => args);
  }
  clear(): void {
    this.calls.length = 0;
  }
}

async function answered(peer: ScriptedPeer, known?: PeerConn, trace?: ReturnType<typeof clientTrace>) {
  const call = peer.client.get(peer.url(), trace === undefined ? {} : { trace });
  const conn = known ?? (await peer.accept());
  await conn.readHead();
  conn.reply(OK);
  const response = await call;
  await response.bytes();
  return { conn, response };
}

describe("clientTrace()", () => {
  test("calls each hook once with what it is about, for a POST that expects a 100; then for a reuse [TestTransportEventTrace]", async () => {
    const log = new Log();
    await using peer = await scriptedPeer();
    const url = `http://localhost:${peer.port}/`;
    const call = peer.client.post(url, {
      body: "some body",
      headers: [
        ["X-Foo-Multiple-Vals", "bar"],
        ["x-foo-multiple-vals", "baz"],
      ],
      expectContinue: true,
      trace: clientTrace(log.hooks),
    });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 100 Continue\r\nX-Hint: yes\r\n\r\n");
    await conn.expect("some body");
    conn.reply(OK);
    const response = await call;
    await response.bytes();

    const host = `localhost:${peer.port}`;
    const once = log.names.filter((name) => !name.startsWith("connect")); // "::1" may be tried beside
    expect(once).toEqual([
      "getConn",
      "dnsStart",
      "dnsDone",
      "gotConn",
      "wroteHeaders",
      "wait100Continue",
      "gotFirstResponseByte",
      "got100Continue",
      "got1xxResponse",
      "wroteRequest",
      "putIdleConn",
    ]);
    expect(log.of("getConn")).toEqual([[host]]);
    expect(log.of("dnsStart")).toEqual([[{ host: "localhost" }]]);
    expect(log.of("dnsDone")).toEqual([[{ addresses: expect.arrayContaining(["127.0.0.1"]), error: null }]]);
    expect(log.of("connectStart")).toContainEqual(["tcp", peer.authority]);
    expect(log.of("connectDone")).toContainEqual(["tcp", peer.authority, null]);
    const { connection } = response;
    expect(log.of("gotConn")).toEqual([[{ conn: connection, reused: false, wasIdle: false, idleTime: 0 }]]);
    expect(log.of("wroteHeaderField")).toEqual(
      expect.arrayContaining([
        ["Host", [host]],
        ["User-Agent", ["persistconn/0.1.0"]],
        ["Content-Length", ["9"]],
        ["Expect", ["100-continue"]],
        ["X-Foo-Multiple-Vals", ["bar", "baz"]],
      ]),
    );
    const [[status, headers] = []] = log.of("got1xxResponse") as [number, Headers][];
    expect([status, headers?.get("x-hint")]).toEqual([100, "yes"]);
    expect(log.of("wroteRequest")).toEqual([[{ error: null }]]);
    expect(log.of("putIdleConn")).toEqual([[null]]);

    log.clear();
    const again = peer.client.get(url, { trace: clientTrace(log.hooks) });
    await conn.readHead();
    conn.reply(OK);
    await (await again).bytes();
    expect(log.names).toEqual([
      "getConn",
      "gotConn",
      "wroteHeaders",
      "wroteRequest",
      "gotFirstResponseByte",
      "putIdleConn",
    ]);
    expect(log.of("gotConn")).toMatchObject([[{ conn: { served: 1 }, reused: true, wasIdle: true }]]);
  });

  test("without hooks listens to nothing [TestTransportEventTrace_NoHooks]", async () => {
    expect(tracerOf(clientTrace({})).mask).toBe(0);
    expect(tracerOf(clientTrace({ getConn: undefined as never })).mask).toBe(0);
    await using peer = await scriptedPeer({ trace: clientTrace({}) });
    await answered(peer, undefined, clientTrace({}));
  });

  test("listens to the groups of its hooks only", () => {
    expect(clientTrace({ gotConn() {} })).toMatchObject({ groups: ["pool"] });
    expect(clientTrace({ dnsDone() {}, wroteHeaders() {} })).toMatchObject({ groups: ["dial", "connection"] });
  });

  test("tells start and end of a handshake [TestTLSHandshakeTrace]", async () => {
    const log = new Log();
    const authority = new CertificateAuthority();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    await using peer = await scriptedPeer({ serverTls, tls: { ca: authority.cert } });
    await answered(peer, undefined, clientTrace(log.hooks));
    expect(log.names.filter((name) => name.startsWith("tls"))).toEqual(["tlsHandshakeStart", "tlsHandshakeDone"]);
    const state = { protocol: "TLSv1.3", cipher: expect.any(String), alpn: null, resumed: false };
    expect(log.of("tlsHandshakeDone")).toEqual([[state, null]]);
  });

  test("tells a handshake that fails once, with its error [TestTransportEventTraceTLSVerify]", async () => {
    const log = new Log();
    const serverTls = new CertificateAuthority().issue({ names: ["IP:127.0.0.1"] });
    await using peer = await scriptedPeer({ serverTls });
    const error = await peer.client.get(peer.url(), { trace: clientTrace(log.hooks) }).catch((reason) => reason);
    expect(log.names.slice(-2)).toEqual(["tlsHandshakeStart", "tlsHandshakeDone"]);
    expect(log.of("tlsHandshakeDone")).toEqual([[null, error]]);
    expect(error).toMatchObject({ name: "TlsError" });
  });

  test("tells a name that does not resolve, and no connect [TestTransportEventTraceRealDNS]", async () => {
    const log = new Log();
    await using transport = new Transport();
    const client = new Client({ transport });
    const call = client.get("http://no-such-host.invalid/", { trace: clientTrace(log.hooks) });
    const error = await call.catch((reason) => reason);
    expect(log.names).toEqual(["getConn", "dnsStart", "dnsDone"]);
    expect(log.of("dnsDone")).toEqual([[{ addresses: [], error }]]);
    expect(error).toMatchObject({ name: "DialError", phase: "dns" });
  });

  test("tells the address that refuses", async () => {
    const log = new Log();
    const peer = await scriptedPeer();
    const { authority } = peer;
    await peer[Symbol.asyncDispose]();
    await using transport = new Transport({ trace: clientTrace(log.hooks) });
    await expect(new Client({ transport }).get(`http://${authority}/`)).rejects.toThrow();
    expect(log.calls).toEqual([
      ["getConn", authority],
      ["connectStart", "tcp", authority],
      ["connectDone", "tcp", authority, "ECONNREFUSED"],
    ]);
  });

  test("calls the hooks of each attempt anew", async () => {
    const log = new Log();
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const { conn } = await answered(peer);
    await clock.advance(1500);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      conn.reset();
    };
    await answered(peer, undefined, clientTrace(log.hooks));
    expect(log.names).toEqual([
      "getConn",
      "gotConn",
      "wroteRequest",
      "getConn",
      "connectStart",
      "connectDone",
      "gotConn",
      "wroteHeaders",
      "wroteRequest",
      "gotFirstResponseByte",
      "putIdleConn",
    ]);
    expect(log.of("gotConn")).toMatchObject([
      [{ reused: true, wasIdle: true, idleTime: 1500 }],
      [{ reused: false, wasIdle: false, idleTime: 0 }],
    ]);
    expect(log.of("wroteRequest")).toEqual([[{ error: "socket-error" }], [{ error: null }]]);
  });

  test("tells why a request was not written to its end", async () => {
    const log = new Log();
    await using peer = await scriptedPeer();
    const upload = new Upload();
    const call = peer.client.post(peer.url(), { body: upload, trace: clientTrace(log.hooks) });
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(5);
    await conn.expect("5\r\nUUUUU\r\n");
    conn.reply("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    await (await call).bytes();
    await until(() => log.names.includes("wroteRequest"), "the end of the write is told");
    expect(log.of("wroteRequest")).toEqual([[{ error: "write-unfinished" }]]);
    expect(log.names).not.toContain("putIdleConn");
  });

  test("tells why a connection did not go into the pool", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ maxIdleConnsPerHost: 0 });
    await answered(peer, undefined, clientTrace(log.hooks));
    expect(log.of("putIdleConn")).toEqual([["keep-alive-disabled"]]);
  });

  test("names the proxy as the one who is asked for", async () => {
    const log = new Log();
    await using proxy = await scriptedPeer();
    await using transport = new Transport({ proxy: proxy.url(), trace: clientTrace(log.hooks) });
    const call = new Client({ transport }).get("http://origin.test/");
    const conn = await proxy.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await call).bytes();
    expect(log.of("getConn")).toEqual([[proxy.authority]]);
    expect(log.of("wroteHeaderField")).toContainEqual(["Host", ["origin.test"]]);
  });

  test("of the transport hears every call; a call's own hears that call only", async () => {
    const all = new Log();
    const mine = new Log();
    await using peer = await scriptedPeer({ trace: clientTrace(all.hooks) });
    const { conn } = await answered(peer, undefined, clientTrace(mine.hooks));
    await answered(peer, conn);
    expect(all.of("gotConn")).toHaveLength(2);
    expect(mine.of("gotConn")).toHaveLength(1);
  });

  test("runs hooks in the async context of their call", async () => {
    const store = new AsyncLocalStorage<string>();
    const seen = new Set<string | undefined>();
    const hooks = Object.fromEntries(HOOKS.map((name) => [name, () => void seen.add(store.getStore())]));
    await using peer = await scriptedPeer();
    const { conn } = await answered(peer);
    await store.run("mine", () => answered(peer, conn, clientTrace(hooks)));
    expect([...seen]).toEqual(["mine"]);
  });

  test("a hook that throws stops neither the call nor the other hooks", async () => {
    const log = new Log();
    await using peer = await scriptedPeer();
    const uncaught = nextUncaught();
    let thrown = false;
    const wroteHeaderField = () => {
      if (thrown) return;
      thrown = true;
      throw new Error("of the hook");
    };
    await answered(peer, undefined, clientTrace({ ...log.hooks, wroteHeaderField }, clientTrace(log.hooks)));
    expect(await uncaught).toMatchObject({ message: "of the hook" });
    expect(log.of("wroteHeaders")).toHaveLength(2);
    expect(log.of("wroteHeaderField").map(([name]) => name)).toContain("Host");
  });

  test("calls the newer trace before the one beneath [TestWithClientTrace]", async () => {
    const order: string[] = [];
    const old = clientTrace({ connectStart: () => void order.push("old") });
    const trace = clientTrace({ connectStart: () => void order.push("new") }, old);
    await using peer = await scriptedPeer();
    await answered(peer, undefined, trace);
    expect(order).toEqual(["new", "old"]);
  });

  const both = (order: string[]): [string, ClientTrace, ClientTrace | undefined, string[]][] => [
    ["a new trace alone [TestCompose/0]", { getConn: () => void order.push("T") }, undefined, ["T"]],
    [
      "the new hook, then the old one, where both are there [TestCompose/1]",
      { getConn: () => void order.push("T") },
      { getConn: () => void order.push("O") },
      ["T", "O"],
    ],
    ["the old hook where the new trace has none [TestCompose/2]", {}, { getConn: () => void order.push("O") }, ["O"]],
  ];
  test.each([0, 1, 2].map((row) => [both([])[row]?.[0] ?? "", row] as const))("calls %s", async (_, row) => {
    const order: string[] = [];
    const [, trace, old, expected] = both(order)[row] as ReturnType<typeof both>[number];
    await using peer = await scriptedPeer();
    await answered(peer, undefined, clientTrace(trace, old === undefined ? undefined : clientTrace(old)));
    expect(order).toEqual(expected);
  });

  test("lies on a listener of plain events as well", async () => {
    const events: string[] = [];
    const log = new Log();
    const beneath = { groups: ["call" as const], on: ({ type }: { type: string }) => void events.push(type) };
    await using peer = await scriptedPeer();
    await answered(peer, undefined, clientTrace({ gotConn: log.hooks.gotConn as () => void }, beneath));
    expect(events).toEqual(["call-start"]);
    expect(log.names).toEqual(["gotConn"]);
  });

  test("refuses what is no hook", () => {
    expect(() => clientTrace({ gotCon() {} } as never)).toThrow('Unknown option "gotCon": did you mean gotConn?');
    expect(() => clientTrace({ gotConn: 1 } as never)).toThrow("Option gotConn must be a function: it is number");
    expect(() => clientTrace(null as never)).toThrow("Option hooks must be an object: it is null");
  });
});

describe("response.timings", () => {
  test("of a fresh connection: in the order of the route", async () => {
    await using peer = await scriptedPeer();
    const { response } = await answered(peer);
    const { queued, connect, assigned, requestSent, firstByte, headers, end } = response.timings ?? ({} as never);
    const times = [queued, connect, assigned, requestSent, firstByte, headers, end] as number[];
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(response.timings).toMatchObject({ dns: null, tls: null });
  });

  test("of a connection that was quicker than the dial for it: nothing of that dial", async () => {
    const authority = new CertificateAuthority();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    await using silent = await scriptedPeer();
    const ports = [silent.port];
    const dial = async ({ port }: { port: number }) => {
      const socket = connect(ports.length === 1 ? port : silent.port, "127.0.0.1");
      ports.push(port);
      await once(socket, "connect");
      return socket;
    };
    await using peer = await scriptedPeer({ serverTls, tls: { ca: authority.cert }, dial });
    const slow = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    const seen: string[] = [];
    const second = peer.client.get(peer.url(), { trace: ({ type }) => void seen.push(type) });
    await until(() => seen.includes("tls-start"), "the dial waits for its handshake");
    conn.reply(OK);
    await (await slow).bytes();
    await conn.readHead();
    conn.reply(OK);
    const response = await second;
    await response.bytes();
    expect(seen).toContain("connect-done");
    expect(response.connection?.reused).toBe(true);
    expect(response.timings).toMatchObject({ dns: null, connect: null, tls: null });
  });

  test("of a request that was sent again: those of its last attempt, none of an earlier one", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, replay: "replayable" });
    const { conn } = await answered(peer);
    const call = peer.client.get(peer.url());
    await conn.readHead();
    await clock.advance(100);
    conn.reset();
    const other = await peer.accept();
    await other.readHead();
    other.reply(OK);
    const response = await call;
    await response.bytes();
    expect(response.timings).toMatchObject({ queued: 0, connect: 100, assigned: 100, requestSent: 100, end: 100 });
  });

  test("of a redirected call: of its last hop", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    await clock.advance(100);
    conn.reply("HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n");
    await conn.readHead();
    await clock.advance(10);
    conn.reply(OK);
    const response = await call;
    await response.bytes();
    expect(response.timings).toMatchObject({ queued: 0, connect: null, assigned: 0, firstByte: 10, end: 10 });
  });

  test("through a tunnel: `connect` is the proxy's, `tls` the target's", async () => {
    const authority = new CertificateAuthority();
    const clock = new SteeredClock();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    await using proxy = await scriptedPeer({ serverTls, clock });
    const options = { proxy: proxy.url(), proxyTunnel: true, proxyTls: { ca: authority.cert } };
    await using transport = new Transport(options, clock);
    const call = new Client({ transport }).get("http://origin.test/");
    const conn = await proxy.accept();
    await conn.readHead();
    await clock.advance(100);
    conn.reply("HTTP/1.1 200 OK\r\n\r\n");
    await conn.readHead();
    conn.reply(OK);
    const response = await call;
    await response.bytes();
    expect(response.timings).toMatchObject({ connect: 0, tls: 0, assigned: 100 });
  });
});

describe("clientTrace() over HTTP/2", () => {
  test("calls the hooks of a request that waits for a 100, but the one for a connection that was given back", async () => {
    const log = new Log();
    await using peer = await h2Peer((stream) => {
      stream.resume().once("end", () => {
        stream.respond({ ":status": 200 });
        stream.end("ok");
      });
    });
    const headers = { Expect: "100-continue", "X-A": "1" };
    await (await peer.client.post(peer.url(), { body: "abc", headers, trace: clientTrace(log.hooks) })).bytes();
    const names = log.names.slice(log.names.indexOf("gotConn"));
    expect(names.slice(0, 3)).toEqual(["gotConn", "wroteHeaders", "wait100Continue"]);
    expect(log.of("wroteHeaderField")).toContainEqual(["X-A", ["1"]]);
    expect(log.of("wroteRequest")).toEqual([[{ error: null }]]);
    expect(names).not.toContain("putIdleConn");
  });
});
