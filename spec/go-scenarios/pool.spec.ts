/** Go's tests of which connection a request gets, and which one the next gets, told to this client: over loopback. */

import { connect, createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { Client, type RequestInit, type Response, Transport, type UserDial } from "../../lib/index.ts";
import { connKey } from "../../lib/pool/conn-key.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { answer, OK, warm } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";

checkLeaks();

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CLOSE = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/** Sends a request, answers it over `conn` or the next connection, and reads the answer. */
async function exchange(
  peer: ScriptedPeer,
  conn: PeerConn | null,
  text = OK,
  init: RequestInit = {},
): Promise<[Response, PeerConn]> {
  const call = peer.client.request(init.method ?? "GET", peer.url(), { headers: init.headers });
  const served = conn ?? (await peer.accept());
  await answer(served, text);
  const res = await call;
  await res.bytes();
  return [res, served];
}

/** A dialer that stands until it is told to go on, and says how many dials there were. */
function heldDials() {
  const waiting: (() => void)[] = [];
  const dials = {
    started: 0,
    /** Lets the nth dial of those that stand go on. */
    release: (n = 0) => waiting.splice(n, 1)[0]?.(),
    dial: (async ({ host, port, onread }) => {
      dials.started++;
      await new Promise<void>((resolve) => waiting.push(resolve));
      return connect({ host, port, onread, allowHalfOpen: true });
    }) satisfies UserDial,
  };
  return dials;
}

describe("two requests in turn", () => {
  test("share a connection; with keepAlive: false each has its own [TestTransportKeepAlives]", async () => {
    for (const keepAlive of [true, false]) {
      await using peer = await scriptedPeer({ keepAlive });
      const [first, conn] = await exchange(peer, null);
      const [second] = await exchange(peer, keepAlive ? conn : null);
      expect(second.connection?.localPort === first.connection?.localPort).toBe(keepAlive);
    }
  });

  test("do not share one whose answer said close [TestTransportConnectionCloseOnResponse]", async () => {
    await using peer = await scriptedPeer();
    const [first] = await exchange(peer, null, CLOSE);
    const [second] = await exchange(peer, null);
    expect(second.connection?.reused).toBe(false);
    expect(second.connection?.id).not.toBe(first.connection?.id);
  });

  test("share one whose answer did not [TestTransportConnectionCloseOnResponse/keep]", async () => {
    await using peer = await scriptedPeer();
    const [first, conn] = await exchange(peer, null);
    const [second] = await exchange(peer, conn);
    expect(second.connection).toMatchObject({ id: first.connection?.id, reused: true });
  });

  test("do not share one whose request said close [TestTransportConnectionCloseOnRequest]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url(), { headers: { Connection: "close" } });
    const conn = await peer.accept();
    expect(await answer(conn)).toContain("\r\nConnection: close\r\n");
    await (await call).bytes();
    expect(peer.transport.stats().idle).toBe(0);
    await exchange(peer, null);
    expect(peer.transport.stats().dialed).toBe(2);
  });

  test("share one whose request did not [TestTransportConnectionCloseOnRequest/keep]", async () => {
    await using peer = await scriptedPeer();
    const [, conn] = await exchange(peer, null, OK, { headers: { "X-A": "1" } });
    await exchange(peer, conn);
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("say close where the transport keeps no connection [TestTransportConnectionCloseOnRequestDisableKeepAlive]", async () => {
    await using peer = await scriptedPeer({ keepAlive: false });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    expect(await answer(conn)).toContain("\r\nConnection: close\r\n");
    await (await call).bytes();
  });

  test.each([
    ["no close where nobody wants one [TestTransportRespectRequestWantsClose/keepalive,close=false]", true, false, 0],
    [
      "one close where the request wants it [TestTransportRespectRequestWantsClose/keepalive,close=true]",
      true,
      true,
      1,
    ],
    [
      "one close where the transport wants it [TestTransportRespectRequestWantsClose/disabled,close=false]",
      false,
      false,
      1,
    ],
    ["one close where both want it [TestTransportRespectRequestWantsClose/disabled,close=true]", false, true, 1],
  ])("have %s", async (_, keepAlive, wants, times) => {
    await using peer = await scriptedPeer({ keepAlive });
    const call = peer.client.get(peer.url(), wants ? { headers: { Connection: "close" } } : {});
    const head = await answer(await peer.accept());
    await (await call).bytes();
    expect(head.match(/^Connection: close$/gim) ?? []).toHaveLength(times);
    expect(head.match(/close/gi) ?? []).toHaveLength(times);
  });

  test("the second takes the first's connection [TestTransportPoolConnReusePriorConnection]", async () => {
    await using peer = await scriptedPeer();
    const [, conn] = await exchange(peer, null);
    await exchange(peer, conn);
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
  });

  test("the second takes none that still serves the first [TestTransportPoolConnCannotReuseConnectionInUse]", async () => {
    await using peer = await scriptedPeer();
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    const res = await first;
    const [second] = await exchange(peer, null);
    expect(second.connection?.reused).toBe(false);
    conn.reply("k");
    expect(await res.text()).toBe("ok");
  });

  test("each has its own with keepAlive: false [TestTransportPoolDisableKeepAlives]", async () => {
    await using peer = await scriptedPeer({ keepAlive: false });
    for (let i = 0; i < 2; i++) {
      const [, conn] = await exchange(peer, null);
      await conn.readToEnd();
    }
    expect(peer.transport.stats()).toMatchObject({ dialed: 2, idle: 0 });
  });

  test("the second does not take one that broke within the first's answer [TestTransportPoolConnectionBroken]", async () => {
    await using peer = await scriptedPeer();
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok");
    const res = await first;
    conn.reset();
    await expect(res.text()).rejects.toMatchObject({ name: "ConnectionClosedError" });
    const [second] = await exchange(peer, null);
    expect(second.connection?.reused).toBe(false);
  });

  test("come from two ports where closeIdleConnections() stands between them [TestCloseIdleConnections]", async () => {
    await using peer = await scriptedPeer();
    const [first] = await exchange(peer, null);
    peer.client.closeIdleConnections();
    const [second] = await exchange(peer, null);
    expect(second.connection?.localPort).not.toBe(first.connection?.localPort);
  });
});

describe("a connection is free for the next request", () => {
  test("when the body was read to its last byte, though nobody asked for its end [TestTransportReadToEndReusesConn]", async () => {
    for (const text of ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfoo", `${CHUNKED}3\r\nfoo\r\n0\r\n\r\n`]) {
      await using peer = await scriptedPeer();
      let conn: PeerConn | null = null;
      const bodies: AsyncIterator<Uint8Array>[] = [];
      for (let i = 0; i < 5; i++) {
        const call = peer.client.get(peer.url());
        conn ??= await peer.accept();
        await answer(conn, text);
        const body = (await call)[Symbol.asyncIterator]();
        expect((await body.next()).value).toHaveLength(3); // and neither next() nor return() follows
        bodies.push(body);
      }
      expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
    }
  });

  test("when the last chunk was taken by a reader who stops there, and closes [TestKeepAliveFinalChunkWithEOF]", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (let i = 0; i < 2; i++) {
      const call = peer.client.get(peer.url());
      conn ??= await peer.accept();
      await answer(conn, `${CHUNKED}d\r\n{"json":true}\r\n`);
      const res = await call;
      const body = res[Symbol.asyncIterator]();
      expect((await body.next()).value).toHaveLength(13);
      conn.reply("0\r\n\r\n");
      await res.close();
      await until(() => peer.transport.stats().idle === 1, "it is idle");
    }
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("when the answer had no body, many times over [TestTransportReuseConnEmptyResponseBody]", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (let i = 0; i < 10; i++) [, conn] = await exchange(peer, conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("when the answers are 204, closed or not [TestChunkedNoContent]", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (const close of [true, false]) {
      for (let i = 0; i < 4; i++) {
        const call = peer.client.get(peer.url());
        conn ??= await peer.accept();
        await answer(conn, "HTTP/1.1 204 No Content\r\n\r\n");
        const res = await call;
        if (close) await res.close();
      }
    }
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
  });

  test.each([
    [
      "says its length, and that can be read [TestTransportHeadResponses]",
      "HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n",
      "123",
    ],
    ["says chunked [TestTransportHeadChunkedResponse]", CHUNKED, null],
  ])("when the answer to HEAD %s", async (_, text, length) => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (let i = 0; i < 2; i++) {
      const [res, served] = await exchange(peer, conn, text, { method: "HEAD" });
      conn = served;
      expect(res.headers.get("content-length")).toBe(length);
      expect(await res.text()).toBe("");
    }
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("when a short chunked body was closed unread: it is drained behind the caller's back [TestTransportNotReadToEndConnectionReuse/within limit]", async () => {
    await using peer = await scriptedPeer({ clock: new SteeredClock() });
    let conn: PeerConn | null = null;
    for (let i = 0; i < 10; i++) {
      const call = peer.client.get(peer.url());
      conn ??= await peer.accept();
      await answer(conn, `${CHUNKED}${"4000\r\n".concat("x".repeat(16384), "\r\n").repeat(12)}`);
      const res = await call;
      await res.close();
      await expect(res.bytes()).rejects.toBeInstanceOf(TypeError);
      conn.reply("0\r\n\r\n");
      await until(() => peer.transport.stats().idle === 1, "it is idle");
    }
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("when HEAD advertised a body that was closed: there is none to drain [TestTransportNotReadToEndConnectionReuse/HEAD]", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (let i = 0; i < 3; i++) {
      const call = peer.client.head(peer.url());
      conn ??= await peer.accept();
      await answer(conn, "HTTP/1.1 200 OK\r\nContent-Length: 512000\r\n\r\n");
      await (await call).close();
      expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
    }
  });

  test.each([
    [
      "with a length [TestReadResponseCloseInMiddle/plain]",
      "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n",
      "x".repeat(300_000),
    ],
    [
      "in chunks [TestReadResponseCloseInMiddle/chunked]",
      CHUNKED,
      `${"3e8\r\n".concat("x".repeat(1000), "\r\n").repeat(300)}0\r\n\r\n`,
    ],
    [
      "in chunks and encoded [TestReadResponseCloseInMiddle/chunked gzip]",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
      `${"3e8\r\n".concat("x".repeat(1000), "\r\n").repeat(300)}0\r\n\r\n`,
    ],
  ])("when a body was read in part and closed, the rest is taken, and nothing behind it: %s", async (_, head, body) => {
    await using peer = await scriptedPeer({ clock: new SteeredClock(), decompress: false });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await answer(conn, head + body.slice(0, 150_000));
    const res = await call;
    for await (const chunk of res) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    conn.reply(body.slice(150_000));
    await until(() => peer.transport.stats().idle === 1, "it is idle");
    const [next] = await exchange(peer, conn);
    expect(next).toMatchObject({ status: 200, connection: { reused: true } });
  });
});

describe("a connection is closed", () => {
  test("when a reader of an endless body leaves: the server's writes fail [TestTransportCloseResponseBody]", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      const more = () => {
        while (socket.write("7\r\nfoo bar\r\n"));
      };
      socket.once("data", () => {
        socket.write(CHUNKED);
        socket.on("drain", more);
        more();
      });
    });
    const gone = new Promise<void>((resolve) => {
      server.on("connection", (socket: Socket) => socket.on("close", resolve));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await using transport = new Transport();
    const { port } = server.address() as { port: number }; // it listens on TCP
    const res = await new Client({ transport }).get(`http://127.0.0.1:${port}/`);
    let read = "";
    for await (const chunk of res) {
      read += Buffer.from(chunk).toString();
      if (read.length >= 21) break;
    }
    expect(read.slice(0, 21)).toBe("foo bar".repeat(3));
    await gone;
    expect(transport.stats()).toMatchObject({ idle: 0, busy: 0 });
    await new Promise((resolve) => server.close(resolve));
  });

  test("by its server while it is idle, and the pool knows before the next request [TestTransportRemovesDeadIdleConnections]", async () => {
    await using peer = await scriptedPeer();
    const [conn] = await warm(peer);
    expect(peer.transport.stats().idle).toBe(1);
    conn!.end();
    await until(() => peer.transport.stats().idle === 0, "it is gone");
  });

  test("when idleConnTimeout has passed, and the next request dials [TestTransportRemovesConnsAfterIdle]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, idleConnTimeout: 1_000 });
    const [, conn] = await exchange(peer, null);
    await clock.advance(1_000);
    await conn.readToEnd();
    const [next] = await exchange(peer, null);
    expect(next.connection?.reused).toBe(false);
  });

  test("when it breaks while it is idle, and the next request dials [TestTransportRemovesConnsAfterBroken]", async () => {
    await using peer = await scriptedPeer();
    const [conn] = await warm(peer);
    conn!.reset();
    await until(() => peer.transport.stats().idle === 0, "it is gone");
    const [next] = await exchange(peer, null);
    expect(next.connection?.reused).toBe(false);
  });

  test.each(["HTTP/1.0 408", "HTTP/1.1 408 Request Timeout\r\n", "HTTP/1.8 408", "HTTP/2.0 408", "40", "408"])(
    "quietly by what comes unasked: %j, a 408 or not [TestIs408]",
    async (bytes) => {
      await using peer = await scriptedPeer();
      const [conn] = await warm(peer);
      conn!.reply(bytes);
      await conn!.readToEnd();
      const { idle, closed } = peer.transport.stats();
      expect(idle).toBe(0);
      expect(Object.keys(closed)).toEqual([
        /^HTTP\/1\.\d 408/.test(bytes) ? "server-closed-idle" : "unsolicited-bytes",
      ]);
    },
  );

  test("by a 408 right behind a whole answer, which is delivered, and nobody is told [TestTransportIgnores408]", async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on("warning", listen);
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await answer(conn, `${OK}HTTP/1.1 408 bye\r\n`);
    expect(await (await call).text()).toBe("ok");
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
    await turns(5);
    process.off("warning", listen);
    expect(warnings).toEqual([]);
  });

  test("not by closeIdleConnections() while it serves [TestTransportIdleConnCrash]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    peer.client.closeIdleConnections();
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
  });

  test("past maxIdleConnsPerHost the one that comes back later, and those of other hosts stay [TestTransportPoolClosesConnsPastMaxIdleConnsPerHost]", async () => {
    await using transport = new Transport({ maxIdleConnsPerHost: 1 });
    const client = new Client({ transport });
    await using host1 = await scriptedPeer();
    await using host2 = await scriptedPeer();
    const calls = [client.get(host1.url()), client.get(host1.url()), client.get(host2.url())];
    const conns = [await host1.accept(), await host1.accept(), await host2.accept()];
    for (const conn of conns) await conn.readHead();
    for (const n of [2, 1, 0]) {
      const left = transport.stats().busy;
      conns[n]!.reply(OK);
      await until(() => transport.stats().busy < left, "it came back");
    }
    await conns[0]!.readToEnd();
    for (const call of calls) await (await call).bytes();
    expect(transport.stats()).toMatchObject({ idle: 2, closed: { "too-many-idle-per-host": 1 } });
    for (const [peer, conn] of [
      [host1, conns[1]!],
      [host2, conns[2]!],
    ] as const) {
      const call = client.get(peer.url());
      await answer(conn);
      await (await call).bytes();
    }
  });
});

describe("the pool", () => {
  test("holds nothing, then the one that was used under scheme and host, then nothing [TestTransportIdleCacheKeys]", async () => {
    await using peer = await scriptedPeer();
    expect(peer.transport.stats().idle).toBe(0);
    await exchange(peer, null);
    expect(peer.transport.stats().idle).toBe(1);
    const way = { proxy: null, scheme: "http", host: "127.0.0.1", port: peer.port } as const;
    expect(connKey(way)).toBe(`|http|${peer.authority}`);
    peer.client.closeIdleConnections();
    expect(peer.transport.stats().idle).toBe(0);
  });

  test("serves a waiting request by the connection that comes back, and the next by the dial that one left [TestTransportPoolConnConnectionBecomesAvailableDuringDial]", async () => {
    const dials = heldDials();
    await using peer = await scriptedPeer({ dial: dials.dial });
    const first = peer.client.get(peer.url("/1"));
    await until(() => dials.started === 1, "the first dials");
    dials.release();
    const conn1 = await peer.accept();
    await conn1.readHead();
    const second = peer.client.get(peer.url("/2"));
    await until(() => dials.started === 2, "the second dials");
    conn1.reply(OK);
    await (await first).bytes();
    expect(await conn1.readHead()).toContain("GET /2 ");
    const third = peer.client.get(peer.url("/3"));
    await turns(5);
    dials.release(); // the second's
    const conn2 = await peer.accept();
    expect(await conn2.readHead()).toContain("GET /3 ");
    conn1.reply(OK);
    conn2.reply(OK);
    await (await second).bytes();
    await (await third).bytes();
    while (dials.started > peer.accepted.length) {
      dials.release();
      await peer.accept();
    }
    await until(() => peer.transport.stats().idle === dials.started, "all are idle");
  });

  test("does not keep a dial that its request gave up, with keepAlive: false [TestTransportPoolCancelRequestWithDisableKeepAlives]", async () => {
    await using peer = await scriptedPeer({ keepAlive: false });
    const controller = new AbortController();
    const first = peer.client.get(peer.url("/1"), { signal: controller.signal });
    const gone = expect(first).rejects.toThrow("no longer wanted");
    await until(() => peer.transport.stats().dialing === 1, "it dials");
    controller.abort(new Error("no longer wanted"));
    await gone;
    const second = peer.client.get(peer.url("/2"));
    let served: PeerConn | null = null;
    await until(() => {
      served = peer.accepted.find(({ pending }) => pending.includes("GET /2 ")) ?? null;
      return served !== null;
    }, "the second is served");
    await answer(served!);
    await (await second).bytes();
    await until(() => peer.transport.stats().dialing === 0, "no dial is left");
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
    for (const conn of peer.accepted) await conn.readToEnd();
  });

  test("has no waiter left where many requests went through two places [TestIdleConnChannelLeak]", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        for (const _ of String(bytes).match(/\r\n\r\n/g) ?? []) socket.write(OK);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number }; // it listens on TCP
    await using transport = new Transport({ maxConnsPerHost: 2, maxIdleConnsPerHost: 1 });
    const client = new Client({ transport });
    await Promise.all(Array.from({ length: 50 }, async () => (await client.get(`http://127.0.0.1:${port}/`)).bytes()));
    expect(transport.stats()).toMatchObject({ waiting: 0, busy: 0, dialing: 0 });
    await transport.close();
    await new Promise((resolve) => server.close(resolve));
  });

  test("gives everybody the own body at hundreds of requests at once over few hosts [TestTransportConcurrency]", async () => {
    const servers = Array.from({ length: 3 }, () =>
      createServer((socket) => {
        socket.on("error", () => {});
        socket.on("data", (bytes) => {
          for (const [, path] of String(bytes).matchAll(/^GET (\S+) HTTP/gm)) {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path!.length}\r\n\r\n${path}`);
          }
        });
      }),
    );
    for (const server of servers) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const ports = servers.map((server) => (server.address() as { port: number }).port); // they listen on TCP
    await using transport = new Transport({ maxIdleConnsPerHost: 5, maxConnsPerHost: 20 });
    const client = new Client({ transport });
    const bodies = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => (await client.get(`http://127.0.0.1:${ports[i % 3]}/${i}`)).text()),
    );
    expect(bodies).toEqual(bodies.map((_, i) => `/${i}`));
    expect(transport.stats()).toMatchObject({ busy: 0, waiting: 0 });
    expect(transport.stats().idle).toBeLessThanOrEqual(15);
    await transport.close();
    for (const server of servers) await new Promise((resolve) => server.close(resolve));
  });

  test("dials host:80 for http://host/, and the call returns when the answer is there and not before [TestHTTP1TransportTest]", async () => {
    const [near, far] = duplexPair();
    const dialed: string[] = [];
    await using transport = new Transport({
      dial: ({ host, port }) => {
        dialed.push(`${host}:${port}`);
        return near;
      },
    });
    let asked = "";
    far.on("data", (bytes: Buffer) => {
      asked += bytes;
    });
    let returned = false;
    const call = new Client({ transport }).get("http://example.tld/").finally(() => {
      returned = true;
    });
    await until(() => asked.endsWith("\r\n\r\n"), "it asks");
    await turns(5);
    expect([dialed, returned]).toEqual([["example.tld:80"], false]);
    far.write(OK);
    expect(await (await call).text()).toBe("ok");
    await transport.destroy();
    far.destroy();
  });
});
