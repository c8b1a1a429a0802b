/** One connection that somebody holds, and connections made before they are needed. */

import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import {
  Client,
  DialError,
  LocalProtocolError,
  Request,
  type TraceEvent,
  Transport,
  TransportClosedError,
} from "../lib/index.ts";
import { watchedOf } from "../lib/watched.ts";
import { OK } from "./support/exchanges.ts";
import { checkLeaks } from "./support/leak-check.ts";
import { turns, until } from "./support/loop.ts";
import { type ScriptedPeer, scriptedPeer } from "./support/scripted-peer.ts";

const leaks = checkLeaks();

/** A held connection, the peer's end of it, and how often it told of a change. */
async function held(peer: ScriptedPeer) {
  const changes: [available: number, inFlight: number, dead: boolean][] = [];
  const dialing = peer.transport.newClientConn(peer.url(), {
    onStateChange: ({ available, inFlight, error }) => changes.push([available, inFlight, error !== null]),
  });
  const end = await peer.accept();
  const conn = await dialing;
  return { conn, end, changes, [Symbol.dispose]: () => conn.close() };
}

describe("Transport.newClientConn()", () => {
  test("gives one connection for any host, which the pool does not touch [TestTransportNewClientConnRoundTrip]", async () => {
    await using peer = await scriptedPeer();
    const { conn, end } = await held(peer);
    for (const host of ["one.example", "two.example"]) {
      const call = conn.roundTrip(new Request(`http://${host}/`));
      expect(await end.readHead()).toContain(`Host: ${host}\r\n`);
      end.reply(OK);
      expect(await (await call).text()).toBe("ok");
      peer.transport.closeIdleConnections();
    }
    expect(conn.error).toBe(null);
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, dialed: 0 });
    conn.close();
    expect(conn.error?.message).toMatch(/closed by its holder/);
    await expect(conn.roundTrip(new Request(peer.url()))).rejects.toMatchObject({
      safeToRetry: true,
      bytesSubmitted: 0,
    });
    await end.readToEnd();
    expect(peer.accepted.length).toBe(1);
  });

  test("takes nothing for an answer that came before its first request (RFC 9112 §9.2)", async () => {
    await using peer = await scriptedPeer();
    const dialing = peer.transport.newClientConn(peer.url());
    const end = await peer.accept();
    end.reply(OK);
    const conn = await dialing;
    await expect(conn.roundTrip(new Request(peer.url()))).rejects.toMatchObject({
      name: "ConnectionClosedError",
      safeToRetry: true,
    });
    expect(conn.error?.message).toContain("unsolicited-bytes");
    expect(end.pending).toBe("");
  });

  test("reserves what there is, which is one [TestClientConnReserveAll]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn } = holding;
    expect([conn.available, conn.inFlight]).toEqual([1, 0]);
    expect(conn.reserve()).toBe(true);
    expect([conn.available, conn.inFlight]).toEqual([0, 1]);
    expect(conn.reserve()).toBe(false);
  });

  test("reserves for as many as there is room for, of those who ask at once [TestClientConnReserveParallel]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn } = holding;
    const got = await Promise.all([1, 2, 3].map(async () => conn.reserve()));
    expect(got.filter((reserved) => reserved).length).toBe(1);
  });

  test("reserves and releases again and again [TestClientConnReserveRelease]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn } = holding;
    for (let i = 0; i < 100; i++) {
      expect(conn.reserve()).toBe(true);
      conn.release();
      conn.release(); // of which there is none: nothing
      expect([conn.available, conn.inFlight]).toEqual([1, 0]);
    }
  });

  test("gets a reservation back that is released [TestClientConnReserveAndConsume/release]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, changes } = holding;
    conn.reserve();
    await turns(2);
    expect(changes).toEqual([]);
    conn.release();
    await turns(2);
    expect(changes).toEqual([[1, 0, false]]);
  });

  test("gets it back from a request that is refused [TestClientConnReserveAndConsume/invalid field name]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, changes } = holding;
    conn.reserve();
    const bad = new Request("https://127.0.0.1/");
    await expect(conn.roundTrip(bad)).rejects.toThrow(LocalProtocolError);
    await turns(2);
    expect([conn.available, conn.error, changes]).toEqual([1, null, [[1, 0, false]]]);
  });

  test("gets it back when the exchange is over [TestClientConnReserveAndConsume/body close]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, end, changes } = holding;
    conn.reserve();
    const call = conn.roundTrip(new Request(peer.url()));
    await end.readHead();
    expect([conn.available, conn.inFlight]).toEqual([0, 1]);
    end.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    const res = await call;
    expect(changes).toEqual([]);
    end.reply("ok");
    await res.text();
    await turns(2);
    expect([conn.available, changes]).toEqual([1, [[1, 0, false]]]);
  });

  test("is gone with a request that is aborted [TestClientConnReserveAndConsume/cancel]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, end, changes } = holding;
    conn.reserve();
    const controller = new AbortController();
    const call = conn.roundTrip(new Request(peer.url()), { signal: leaks().watch(controller.signal) });
    await end.readHead();
    controller.abort("enough");
    await expect(call).rejects.toBe("enough");
    await turns(2);
    expect([conn.available, conn.inFlight, changes]).toEqual([0, 0, [[0, 0, true]]]);
    expect(conn.error?.message).toMatch(/aborted/);
  });

  test("is gone with a body that is closed early [TestClientConnReserveAndConsume/early body close]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, end, changes } = holding;
    conn.reserve();
    const call = conn.roundTrip(new Request(peer.url()));
    await end.readHead();
    end.reply("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nstart");
    await (await call).close();
    await end.readToEnd();
    await turns(2);
    expect([conn.available, conn.error !== null, changes]).toEqual([0, true, [[0, 0, true]]]);
  });

  test("makes those wait who find no room, and serves them one by one [TestClientConnRoundTripBlocks]", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, end } = holding;
    const calls = ["/1", "/2", "/3"].map((path) => conn.roundTrip(new Request(peer.url(path))));
    for (const [i, call] of calls.entries()) {
      expect(await end.readHead()).toContain(`GET /${i + 1} `);
      await turns(4);
      expect(end.pending).toBe("");
      expect([conn.available, conn.reserve()]).toEqual([0, false]);
      end.reply(OK);
      await (await call).text();
    }
    await turns(4);
    expect([conn.available, conn.inFlight]).toEqual([1, 0]);
  });

  test("hears of a peer that closes while it is idle, and fails those who wait", async () => {
    await using peer = await scriptedPeer();
    using holding = await held(peer);
    const { conn, end, changes } = holding;
    const first = conn.roundTrip(new Request(peer.url()));
    const second = conn.roundTrip(new Request(peer.url()));
    await end.readHead();
    end.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    expect((await first).status).toBe(200);
    await expect(second).rejects.toThrow(/the connection that was held is gone/);
    await turns(2);
    expect(changes).toEqual([[0, 0, true]]);
  });

  test("rejects with the reason of an abort, with what a dial fails with, and once the transport is closed", async () => {
    await using peer = await scriptedPeer();
    const aborted = peer.transport.newClientConn(peer.url(), { signal: AbortSignal.abort("enough") });
    await expect(aborted).rejects.toBe("enough");
    const transport = new Transport({ allowAddress: () => false });
    await expect(transport.newClientConn("http://127.0.0.1:1")).rejects.toThrow(DialError);
    await transport.close();
    await expect(transport.newClientConn("http://127.0.0.1:1")).rejects.toThrow(TransportClosedError);
    await expect(transport.newClientConn("http://127.0.0.1:1", { signals: 1 } as object)).rejects.toThrow(TypeError);
  });
});

describe("Transport.preconnect()", () => {
  test("makes connections that requests then take, and counts the idle ones", async () => {
    await using peer = await scriptedPeer();
    expect(await peer.transport.preconnect(peer.url(), 3)).toBe(3);
    expect(peer.transport.stats()).toMatchObject({ idle: 3, dialed: 3 });
    expect(await peer.transport.preconnect(peer.url(), 2)).toBe(2);
    expect(await peer.transport.preconnect(peer.url(), 4)).toBe(4);
    expect(peer.transport.stats()).toMatchObject({ idle: 4, dialed: 4 });
    const call = peer.client.get(peer.url());
    await expect.poll(() => peer.accepted.some(({ pending }) => pending !== "")).toBe(true);
    peer.accepted.find(({ pending }) => pending !== "")?.reply(OK);
    expect((await call).connection?.reused).toBe(true);
    await (await call).text();
    expect(peer.transport.stats().dialed).toBe(4);
  });

  test.each([
    ["maxConnsPerHost", 2],
    ["maxIdleConnsPerHost", 2],
    ["maxIdleConns", 2],
  ])("keeps to %s", async (name, limit) => {
    await using peer = await scriptedPeer({ [name]: limit });
    expect(await peer.transport.preconnect(peer.url(), 5)).toBe(limit);
    expect(peer.transport.stats()).toMatchObject({ idle: limit, dialed: limit, closed: {} });
  });

  test("rejects where none stands, and asks allowAddress", async () => {
    const asked: string[] = [];
    const allowAddress = (address: string) => {
      asked.push(address);
      return false;
    };
    await using transport = new Transport({ allowAddress });
    await expect(transport.preconnect("http://127.0.0.1:1", 2)).rejects.toThrow(DialError);
    expect(asked).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  test("rejects when the transport is closed meanwhile", async () => {
    const transport = new Transport({ dial: () => new Promise<never>(() => {}) });
    const call = transport.preconnect("http://127.0.0.1:1", 2);
    await turns(1);
    await transport.close();
    await expect(call).rejects.toThrow(TransportClosedError);
    expect(await new Transport({ keepAlive: false }).preconnect("http://127.0.0.1:1")).toBe(0);
  });

  test("goes through a proxy as requests do", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).resume());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const transport = new Transport({ proxy: `http://127.0.0.1:${port}` });
    expect(await transport.preconnect("http://one.example", 1)).toBe(1);
    expect(await new Client({ transport }).get("http://two.example/", { timeout: 50 }).catch(({ name }) => name)).toBe(
      "TimeoutError",
    );
    expect(transport.stats().dialed).toBe(1); // that request took it
    await transport.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("a connection that newClientConn() gave, to who watches its transport", () => {
  test("is in the view with its exchange and with who waits for it, and in no figure of the pool, until it is closed", async () => {
    await using peer = await scriptedPeer();
    const watched = watchedOf(peer.transport)!; // one of ours
    const { conn, end } = await held(peer);
    const key = `|http|${peer.authority} (newClientConn)`;
    expect(watched.view(9).connections).toMatchObject([{ key, state: "idle", call: null }]);
    const first = conn.roundTrip(new Request(peer.url("/first?sig=signed")));
    const second = conn.roundTrip(new Request(peer.url("/second")));
    await end.readHead();
    const view = watched.view(9);
    expect(view.connections).toMatchObject([
      { key, state: "busy", request: expect.stringMatching(/first\?sig=\[hidden\]$/) },
    ]);
    expect(view.waiters).toMatchObject([{ key }]);
    expect(view.pools).toMatchObject([{ key, busy: 1, waiting: 1 }]);
    expect(view.figures).toMatchObject({ busy: 0, idle: 0, waiting: 0, dialed: 0 });
    expect(view.more).toEqual({ pools: 0, connections: 0, waiters: 0 });
    expect(watched.view(0).more).toEqual({ pools: 1, connections: 1, waiters: 1 });
    end.reply(OK);
    await (await first).bytes();
    await end.readHead();
    end.reply(OK);
    await (await second).bytes();
    conn.close();
    expect(watched.view(9)).toMatchObject({ connections: [], pools: [], waiters: [] });
  });

  test("is in none where its dial failed", async () => {
    await using transport = new Transport({ dial: () => Promise.reject(new Error("no")) });
    await expect(transport.newClientConn("http://a.example/")).rejects.toThrow();
    expect(watchedOf(transport)?.view(9)).toMatchObject({ connections: [], pools: [] });
  });

  test("tells of its dial and, closed between two calls, of its end and the reason", async () => {
    const events: TraceEvent[] = [];
    await using peer = await scriptedPeer({ trace: (event) => events.push(event) });
    const { conn, end } = await held(peer);
    const call = conn.roundTrip(new Request(peer.url()));
    await end.readHead();
    end.reply(OK);
    await (await call).bytes();
    end.end();
    await until(() => conn.error !== null, "the connection was lost");
    const of = (type: TraceEvent["type"]) => events.filter((event) => event.type === type);
    expect(of("dial-start")).toHaveLength(1);
    const [made] = of("dial-done") as Extract<TraceEvent, { type: "dial-done" }>[];
    expect(of("connection-closed")).toMatchObject([{ reason: "server-closed-idle", connection: made?.id, call: null }]);
    expect(of("connection-idle")).toEqual([]); // it never goes into the pool
  });
});
