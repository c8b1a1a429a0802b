/** HTTP/2 through `nextProtocols`, against node:http2: what goes over a stream, who shares a connection, how each ends. */

import { constants } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { h2 } from "../../lib/h2/index.ts";
import {
  Client,
  ConnectionClosedError,
  IncompleteBodyError,
  LocalProtocolError,
  RemoteProtocolError,
  Request,
  Transport,
  TransportClosedError,
} from "../../lib/index.ts";
import { type H2Peer, h2Ca, h2Certificate, h2Peer, hello } from "../support/h2-peer.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();

const get = async (peer: H2Peer, path = "/") => (await peer.client.get(peer.url(path))).text();

/** Streams that nobody answers. */
const deaf = () => {};

describe("an exchange over HTTP/2", () => {
  test("has fields, body, trailers, 1xx, facts and timings", async () => {
    await using peer = await h2Peer((stream) => {
      stream.additionalHeaders({ ":status": 103, link: "</style.css>" });
      stream.respond({ ":status": 201, "x-a": ["1", "2"] }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "abc" }));
      stream.end("body");
    });
    const seen: number[] = [];
    const res = await peer.client.get(peer.url(), { onInformation: ({ status }) => seen.push(status) });
    expect([res.status, res.httpVersion, res.framing, seen]).toEqual([201, "2", "stream", [103]]);
    expect(res.headers.raw.filter(([name]) => name === "x-a")).toEqual([
      ["x-a", "1"],
      ["x-a", "2"],
    ]);
    expect(res.trailers).toBe(null);
    expect(await res.text()).toBe("body");
    expect(res.trailers?.get("x-sum")).toBe("abc");
    expect(res.connection).toMatchObject({ reused: false, served: 0, tls: { alpn: "h2" }, proxy: null });
    const { queued, connect: connected, tls, assigned, requestSent, firstByte, headers, end } = res.timings ?? {};
    const order = [queued, connected, tls, assigned, requestSent, firstByte, headers, end] as number[];
    expect(order.every((at) => typeof at === "number")).toBe(true);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test("drops what belongs to a connection, and joins cookies (RFC 9113 §8.2.2, §8.2.3)", async () => {
    await using peer = await h2Peer((stream, headers) => {
      stream.respond({ ":status": 200 });
      stream.end(JSON.stringify(headers));
    });
    const headers = [
      ["Host", "other.example"],
      ["Connection", "X-Hop"],
      ["X-Hop", "1"],
      ["Keep-Alive", "timeout=5"],
      ["Proxy-Connection", "keep-alive"],
      ["TE", "trailers"],
      ["Cookie", "a=1"],
      ["Cookie", "b=2"],
      ["X-Kept", "yes"],
    ] as [string, string][];
    const seen = await (await peer.client.get(peer.url("/p?q"), { headers })).json<Record<string, string>>();
    expect(seen).toMatchObject({
      ":authority": "other.example",
      ":path": "/p?q",
      ":scheme": "https",
      ":method": "GET",
    });
    expect(seen).toMatchObject({ te: "trailers", cookie: "a=1; b=2", "x-kept": "yes", accept: "*/*" });
    for (const name of ["host", "connection", "x-hop", "keep-alive", "proxy-connection"])
      expect(seen).not.toHaveProperty(name);
  });

  test.each([
    ["in memory", () => "x".repeat(300_000), 300_000],
    [
      "as a stream",
      async function* () {
        for (let i = 0; i < 100; i++) yield "y".repeat(5_000);
      },
      500_000,
    ],
  ])("sends a body %s, with trailers, and reads one while it sends", async (_, body, length) => {
    let trailers: unknown;
    await using peer = await h2Peer((stream) => {
      stream.on("trailers", (fields) => {
        trailers = { ...fields };
      });
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    const res = await peer.client.post(peer.url(), {
      body: body(),
      trailers: { names: ["x-t"], values: { "x-t": "1" } },
    });
    expect((await res.bytes()).length).toBe(length);
    expect(trailers).toMatchObject({ "x-t": "1" });
  });

  test("decodes what it asked for", async () => {
    await using peer = await h2Peer((stream, headers) => {
      expect(headers["accept-encoding"]).toContain("gzip");
      stream.respond({ ":status": 200, "content-encoding": "gzip" });
      stream.end(gzipSync("zipped"));
    });
    const res = await peer.client.get(peer.url());
    expect([await res.text(), res.decompressed, res.headers.get("content-encoding")]).toEqual(["zipped", true, null]);
  });

  test("waits with the body for a 100, and does not send it after a refusal (RFC 9110 §10.1.1)", async () => {
    let received = 0;
    await using peer = await h2Peer((stream, headers) => {
      stream.on("data", (chunk) => {
        received += chunk.length;
      });
      if (headers[":path"] === "/no") return void stream.respond({ ":status": 417 }, { endStream: true });
      stream.additionalHeaders({ ":status": 100 });
      stream.on("end", () => stream.respond({ ":status": 200 }, { endStream: true }));
    });
    // node:http2 itself would answer the expectation in the compatibility layer only.
    const init = { body: "body", expectContinue: true, expectContinueTimeout: 0 };
    const refused = await peer.client.post(peer.url("/no"), init);
    expect([refused.status, received]).toEqual([417, 0]);
    await refused.text();
    expect((await peer.client.post(peer.url("/yes"), init)).status).toBe(200);
    expect(received).toBe(4);
  });

  test("pauses a body that nobody reads, and goes on when somebody does", async () => {
    let written = 0;
    const size = 4 * 1024 * 1024;
    await using peer = await h2Peer((stream) => {
      stream.respond({ ":status": 200 });
      const piece = Buffer.alloc(64 * 1024);
      const write = () => {
        while (written < size) {
          written += piece.length;
          if (!stream.write(piece)) return void stream.once("drain", write);
        }
        stream.end();
      };
      write();
    });
    const res = await peer.client.get(peer.url());
    await turns(300);
    expect(written).toBeLessThan(size / 2);
    expect((await res.bytes()).length).toBe(size);
  });

  test("of HEAD, 204 and 304 has no body", async () => {
    await using peer = await h2Peer((stream, headers) => {
      const status = Number(String(headers[":path"]).slice(1));
      stream.respond({ ":status": status, ...(status === 200 ? { "content-length": 5 } : {}) }, { endStream: true });
    });
    const head = await peer.client.head(peer.url("/200"));
    expect([head.body, head.headers.get("content-length")]).toEqual([null, "5"]);
    for (const status of [204, 304]) expect((await peer.client.get(peer.url(`/${status}`))).body).toBe(null);
    await until(() => peer.transport.stats().idle === 1, "it is idle");
  });

  test("refuses CONNECT only where it would have to speak it: such a request goes over HTTP/1.1", async () => {
    await using peer = await h2Peer(hello, {
      onHttp1: (request, response) => response.end(`${request.httpVersion} ${request.headers.upgrade}`),
    });
    expect(await get(peer)).toBe("hello /");
    const res = await peer.client.get(peer.url(), { headers: { Upgrade: "foo", Connection: "upgrade" } });
    expect([await res.text(), res.httpVersion]).toEqual(["1.1 foo", "1.1"]);
    expect(peer.connections).toBe(2);
  });
});

describe("requests for one origin", () => {
  test("share the first dial, and its connection", async () => {
    await using peer = await h2Peer();
    const texts = await Promise.all(Array.from({ length: 50 }, (_, i) => get(peer, `/${i}`)));
    expect(texts).toEqual(Array.from({ length: 50 }, (_, i) => `hello /${i}`));
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1, busy: 0, waiting: 0, retries: 0 });
    expect(await get(peer)).toBe("hello /");
    expect(peer.connections).toBe(1);
  });

  test("1,000 at once wait for room on one connection, where so is said", async () => {
    await using peer = await h2Peer(hello, {
      h2: { whenFull: "wait" },
      server: { settings: { maxConcurrentStreams: 100 } },
    });
    const texts = await Promise.all(Array.from({ length: 1000 }, (_, i) => get(peer, `/${i}`)));
    expect(texts.at(-1)).toBe("hello /999");
    expect([peer.connections, peer.transport.stats().retries]).toEqual([1, 0]);
  });

  test("dial another connection when one is full, within maxConnsPerHost", async () => {
    let most = 0;
    let open = 0;
    await using peer = await h2Peer(
      (stream, headers) => {
        most = Math.max(most, ++open);
        stream.on("close", () => open--);
        setImmediate(() => hello(stream, headers, 0));
      },
      { maxConnsPerHost: 2, server: { settings: { maxConcurrentStreams: 2 } } },
    );
    await get(peer); // the peer has said its limit by then
    await Promise.all(Array.from({ length: 30 }, (_, i) => get(peer, `/${i}`)));
    expect(peer.connections).toBe(2);
    expect(most).toBeLessThanOrEqual(4);
  });

  test("fall to HTTP/1.1 where the server chooses that, all that waited and all later ones", async () => {
    const sockets = new Set<Duplex>();
    const options = { ...h2Certificate, ALPNProtocols: ["http/1.1"] };
    const server = createHttpsServer(options, (req, res) => setTimeout(() => res.end(`one ${req.url}`), 20));
    server.on("secureConnection", (socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on TCP
    const transport = new Transport({ tls: { ca: h2Ca }, nextProtocols: { h2: h2() } });
    const client = new Client({ transport });
    const texts = [1, 2, 3, 4].map(async (i) => (await client.get(`${origin}/${i}`)).text());
    expect(await Promise.all(texts)).toEqual(["one /1", "one /2", "one /3", "one /4"]);
    const res = await client.get(`${origin}/again`);
    expect([await res.text(), res.connection?.reused, res.connection?.tls?.alpn]).toEqual([
      "one /again",
      true,
      "http/1.1",
    ]);
    expect([sockets.size, transport.stats().dialed]).toEqual([4, 4]);
    await transport.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test("go on when the one that dials is aborted", async () => {
    await using peer = await h2Peer();
    const controller = new AbortController();
    const first = peer.client.get(peer.url("/first"), { signal: leaks().watch(controller.signal) });
    const second = get(peer, "/second");
    controller.abort("enough");
    await expect(first).rejects.toBe("enough");
    expect(await second).toBe("hello /second");
    expect(peer.connections).toBe(1);
  });

  test("all hear of the dial that failed", async () => {
    await using peer = await h2Peer(hello, { allowAddress: () => false });
    const calls = Array.from({ length: 3 }, () => peer.client.get(peer.url()));
    for (const call of calls)
      await expect(call).rejects.toMatchObject({ name: "DialError", attempts: [{ outcome: "refused-by-policy" }] });
    expect(peer.transport.stats()).toMatchObject({ dialsFailed: 1, waiting: 0, dialing: 0 });
  });

  test("are all refused when the transport is closed while they wait", async () => {
    await using peer = await h2Peer();
    const calls = Array.from({ length: 3 }, () => peer.client.get(peer.url()));
    await peer.transport.close();
    for (const call of calls) await expect(call).rejects.toThrow(TransportClosedError);
  });

  test("share one tunnel through a proxy", async () => {
    let tunnels = 0;
    const proxy = createServer((near) => {
      near.on("error", () => {});
      near.once("data", (bytes) => {
        const [, host = "", port] = /^CONNECT ([^:]+):(\d+)/.exec(bytes.toString("latin1")) ?? [];
        tunnels++;
        const far = connectTcp(Number(port), host, () => {
          near.write("HTTP/1.1 200 OK\r\n\r\n");
          near.pipe(far).pipe(near);
        });
        far.on("error", () => {}).on("close", () => near.destroy());
        near.on("close", () => far.destroy());
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`; // it listens on TCP
    {
      await using peer = await h2Peer(hello, { proxy: proxyUrl });
      const texts = await Promise.all([1, 2, 3].map((i) => get(peer, `/${i}`)));
      expect([texts, tunnels]).toEqual([["hello /1", "hello /2", "hello /3"], 1]);
      const res = await peer.client.get(peer.url());
      expect([await res.text(), res.connection?.proxy]).toEqual(["hello /", proxyUrl]);
    }
    await new Promise((resolve) => proxy.close(resolve));
  });

  test("are preconnected by one connection", async () => {
    await using peer = await h2Peer();
    const [n, text] = await Promise.all([peer.transport.preconnect(peer.url(), 5), get(peer)]);
    expect([n, text, peer.connections]).toEqual([1, "hello /", 1]);
    expect(await peer.transport.preconnect(peer.url(), 5)).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ idle: 1, dialed: 1 });
  });
});

describe("an HTTP/2 connection", () => {
  test("that drains (GOAWAY) serves what it has, and another is dialed for what comes", async () => {
    await using peer = await h2Peer((stream, headers, index) => {
      if (index > 0) return hello(stream, headers, index);
      stream.session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
      setTimeout(() => hello(stream, headers, index), 20);
    });
    const first = get(peer, "/first");
    await until(() => peer.streams.length === 1, "the first came");
    await turns(20);
    expect(await get(peer, "/second")).toBe("hello /second");
    expect(await first).toBe("hello /first");
    expect(peer.connections).toBe(2);
  });

  test("has requests sent again that the peer says it did not process, whatever the method (RFC 9113 §8.7)", async () => {
    await using peer = await h2Peer((stream, headers, index) => {
      if (index === 0) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else hello(stream, headers, index);
    });
    const res = await peer.client.post(peer.url("/x"), { body: () => "body" });
    expect([await res.text(), peer.transport.stats().retries]).toEqual(["hello /x", 1]);
  });

  test("gives up on a peer that refuses for ever, and at once on a body that cannot be made again", async () => {
    await using peer = await h2Peer((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    await expect(peer.client.get(peer.url())).rejects.toMatchObject({
      name: "ConnectionClosedError",
      unprocessed: true,
    });
    expect(peer.transport.stats().retries).toBe(5);
    async function* once() {
      yield "x";
    }
    await expect(peer.client.post(peer.url(), { body: once() })).rejects.toMatchObject({ unprocessed: true });
    expect(peer.transport.stats().retries).toBe(5);
  });

  test("sends again what came behind the last stream of a GOAWAY, and not what came before", async () => {
    await using peer = await h2Peer((stream, headers, index) => {
      if (index < 2) {
        if (index === 1) stream.session?.goaway(constants.NGHTTP2_INTERNAL_ERROR, 1);
        return;
      }
      hello(stream, headers, index);
    });
    const first = peer.client.post(peer.url("/first"), { body: "x" });
    await until(() => peer.streams.length === 1, "the first came");
    const second = peer.client.post(peer.url("/second"), { body: "x" });
    await expect(first).rejects.toThrow(ConnectionClosedError);
    await expect(first).rejects.toMatchObject({ safeToRetry: false });
    expect(await (await second).text()).toBe("hello /second");
    expect(peer.transport.stats().retries).toBe(1);
  });

  test("that is cut fails what is in flight, by how far it was", async () => {
    await using peer = await h2Peer((stream, headers) => {
      if (headers[":path"] !== "/body") return;
      stream.respond({ ":status": 200, "content-length": 100 });
      stream.write("part");
    });
    const waiting = peer.client.get(peer.url("/head"));
    const reading = await peer.client.get(peer.url("/body"));
    const body = reading.text();
    await until(() => peer.streams.length === 2, "both came");
    await turns(20);
    peer.cut();
    await expect(waiting).rejects.toThrow(ConnectionClosedError);
    await expect(body).rejects.toThrow(IncompleteBodyError);
    await expect(body).rejects.toMatchObject({ expected: 100, received: 4 });
    await until(() => peer.transport.stats().busy === 0, "its slot is free");
  });

  test.each(["DELETE", "POST", "GET"])(
    "that is cut behind the HEADERS of a %s without a body: it goes once, however often the connection served",
    async (method) => {
      await using peer = await h2Peer((stream, headers, index) => {
        if (headers[":path"] === "/first") hello(stream, headers, index);
        else peer.cut();
      });
      await get(peer, "/first");
      const call = peer.client.request(method, peer.url("/gone"));
      await expect(call).rejects.toMatchObject({ name: "ConnectionClosedError", reused: true, bytesRead: 0 });
      const { bytesSubmitted, unprocessed, safeToRetry } = (await call.catch(
        (e: unknown) => e,
      )) as ConnectionClosedError;
      expect(bytesSubmitted).toBeGreaterThan(`${method} /gone`.length); // the head counts
      expect([unprocessed, safeToRetry]).toEqual([undefined, method !== "POST"]);
      expect([peer.streams.length, peer.connections, peer.transport.stats().retries]).toEqual([2, 1, 0]);
    },
  );

  test("that is cut behind HEADERS: what is replayable goes again where `replay` says so, and nothing else", async () => {
    let cuts = 0;
    await using peer = await h2Peer(
      (stream, headers, index) => {
        if (headers[":path"] !== "/cut" || ++cuts > 2) hello(stream, headers, index);
        else peer.cut();
      },
      { replay: "replayable" },
    );
    await get(peer, "/first");
    await expect(peer.client.delete(peer.url("/cut"))).rejects.toThrow(ConnectionClosedError);
    expect(peer.transport.stats().retries).toBe(0);
    await get(peer, "/again");
    expect(await get(peer, "/cut")).toBe("hello /cut");
    expect(peer.transport.stats().retries).toBe(1);
  });

  test("whose stream is reset tells the code, and goes on", async () => {
    await using peer = await h2Peer((stream, headers, index) => {
      if (index === 0) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else hello(stream, headers, index);
    });
    const call = peer.client.get(peer.url());
    await expect(call).rejects.toThrow(RemoteProtocolError);
    await expect(call).rejects.toThrow(/INTERNAL_ERROR/);
    expect(await get(peer)).toBe("hello /");
    expect(peer.connections).toBe(1);
  });

  test("goes on after an abort before the head, in the body, and of a body being sent", async () => {
    const codes: number[] = [];
    await using peer = await h2Peer((stream, headers) => {
      stream.on("close", () => codes.push(stream.rstCode ?? -1));
      if (headers[":path"] === "/ok") return hello(stream, headers, 0);
      if (headers[":path"] === "/body") stream.respond({ ":status": 200 });
    });
    const controllers = [1, 2, 3].map(() => new AbortController());
    const [a, b, c] = controllers.map(({ signal }) => leaks().watch(signal)) as [AbortSignal, AbortSignal, AbortSignal];
    const head = peer.client.get(peer.url("/head"), { signal: a });
    const res = await peer.client.get(peer.url("/body"), { signal: b });
    const text = res.text();
    const endless = async function* () {
      for (;;) {
        yield "x".repeat(1000);
        await turns(1);
      }
    };
    const upload = peer.client.post(peer.url("/up"), { body: endless(), signal: c });
    await until(() => peer.streams.length === 3, "all came");
    for (const controller of controllers) controller.abort("enough");
    for (const call of [head, text, upload]) await expect(call).rejects.toBe("enough");
    await until(() => codes.length === 3, "the peer heard");
    expect(codes).toEqual([8, 8, 8]);
    expect(await get(peer, "/ok")).toBe("hello /ok");
    expect(peer.connections).toBe(1);
  });

  test.each([
    ["responseHeaderTimeout", "headers"],
    ["timeout", "total"],
  ])("keeps %s", async (option, phase) => {
    await using peer = await h2Peer(deaf);
    const call = peer.client.get(peer.url(), { [option]: 30 });
    await expect(call).rejects.toMatchObject({ name: "TimeoutError", option, phase, limit: 30 });
  });

  test("keeps bodyTimeout, and unreadBodyTimeout", async () => {
    await using peer = await h2Peer((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("part");
    });
    const stalled = await peer.client.get(peer.url(), { bodyTimeout: 30 });
    await expect(stalled.text()).rejects.toMatchObject({ option: "bodyTimeout" });
    const unread = await peer.client.get(peer.url(), { unreadBodyTimeout: 30 });
    await until(() => peer.streams[1]?.closed === true, "it was given up");
    await unread.text().catch(() => {});
  });

  test("is closed when the peer answers no ping", async () => {
    const clock = new SteeredClock();
    let deafened = false;
    const relay = createServer((near) => {
      const far = connectTcp(Number(peer.authority.split(":")[1]), "127.0.0.1");
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on("data", (bytes) => deafened || to.write(bytes));
        from.on("error", () => {}).on("close", () => to.destroy());
      }
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const relayPort = (relay.address() as AddressInfo).port; // it listens on TCP
    const dial = () => connectTcp(relayPort, "127.0.0.1");
    await using peer = await h2Peer(deaf, { clock, dial, h2: { readIdleTimeout: 1000, pingTimeout: 500 } });
    const call = peer.client.get(peer.url());
    call.catch(() => {});
    await until(() => peer.streams.length === 1, "it came");
    await turns(50);
    let pings = 0;
    peer.sessions[0]?.on("ping", () => pings++);
    await clock.advance(1000);
    await until(() => pings === 1, "the ping came");
    await turns(200);
    await clock.advance(600);
    await turns(10);
    expect(peer.transport.stats().busy).toBe(1); // that ping was answered
    deafened = true;
    for (let i = 0; i < 4; i++) await clock.advance(500);
    await expect(call).rejects.toThrow(/no answer to a ping within 500 ms/);
    relay.close();
  });

  test("is idle in the pool, expires there, and is closed by closeIdleConnections()", async () => {
    const clock = new SteeredClock();
    await using peer = await h2Peer(hello, { clock, idleConnTimeout: 5000 });
    await get(peer);
    await clock.advance(4999);
    await get(peer);
    expect(peer.connections).toBe(1);
    await clock.advance(5001);
    expect(peer.transport.stats()).toMatchObject({ idle: 0, closed: { "idle-timeout": 1 } });
    await get(peer);
    peer.transport.closeIdleConnections();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, closed: { "close-idle-connections": 1 } });
  });

  test("lets what is in flight finish when the transport is closed, and not when it is destroyed", async () => {
    await using peer = await h2Peer((stream, headers) => setTimeout(() => hello(stream, headers, 0), 30));
    const call = get(peer);
    await until(() => peer.streams.length === 1, "it came");
    const closing = peer.transport.close();
    expect(await call).toBe("hello /");
    await closing;
    await using other = await h2Peer(deaf);
    const destroyed = other.client.get(other.url());
    await Promise.all([
      expect(destroyed).rejects.toBe("over"),
      until(() => other.streams.length === 1, "it came").then(() => other.transport.destroy("over")),
    ]);
  });

  test("that the server closes while it is idle is not used again", async () => {
    await using peer = await h2Peer();
    await get(peer);
    peer.sessions[0]?.close();
    await until(() => peer.transport.stats().idle === 0, "it heard");
    expect(await get(peer)).toBe("hello /");
    expect(peer.connections).toBe(2);
  });

  test("takes one place in the pool: maxIdleConns evicts it, maxConnsPerHost counts it", async () => {
    await using peer = await h2Peer(hello, { maxIdleConns: 1 });
    await get(peer);
    await (await peer.client.get(peer.url().replace("127.0.0.1", "localhost"))).text();
    await turns(2);
    expect(peer.transport.stats()).toMatchObject({ idle: 1, dialed: 2, closed: { "too-many-idle": 1 } });
  });

  test("serves one request where keepAlive is off; a cancelled one leaves no trace [TestNoCrashReturningTransportAltConn]", async () => {
    await using peer = await h2Peer(hello, {
      keepAlive: false,
      dialTls: async ({ host, port, alpn }) => {
        const socket = connect({ host, port, ca: h2Ca, ALPNProtocols: [...(alpn ?? [])] });
        await new Promise((resolve) => socket.once("secureConnect", resolve));
        return socket;
      },
    });
    const controller = new AbortController();
    const cancelled = peer.client.get(peer.url(), { signal: controller.signal });
    queueMicrotask(() => controller.abort("enough"));
    await expect(cancelled).rejects.toBe("enough");
    expect(await get(peer)).toBe("hello /");
    await until(() => peer.transport.stats().busy === 0, "its slot is free");
    expect(peer.transport.stats().closed).toEqual({ "keep-alive-disabled": 1 });
  });

  test("can be held: its room is what the peer allows", async () => {
    await using peer = await h2Peer(hello, { server: { settings: { maxConcurrentStreams: 3 } } });
    const conn = await peer.transport.newClientConn(peer.url());
    await until(() => conn.available === 3, "the peer said so");
    expect([conn.reserve(), conn.reserve(), conn.available, conn.inFlight]).toEqual([true, true, 1, 2]);
    const texts = await Promise.all(
      [1, 2, 3, 4, 5].map(async (i) => (await conn.roundTrip(new Request(peer.url(`/${i}`)))).text()),
    );
    expect(texts.length).toBe(5);
    await until(() => conn.available === 3, "all came back");
    expect([peer.connections, peer.transport.stats().dialed]).toEqual([1, 0]);
    conn.close();
    await expect(conn.roundTrip(new Request(peer.url()))).rejects.toThrow(ConnectionClosedError);
  });

  test("refuses fields that HTTP/2 cannot carry before anything is sent", async () => {
    await using peer = await h2Peer();
    const call = peer.client.get(peer.url(), {
      headers: [
        ["Referer", "a"],
        ["Referer", "b"],
      ],
    });
    await expect(call).rejects.toThrow(LocalProtocolError);
    expect(await get(peer)).toBe("hello /");
  });
});
