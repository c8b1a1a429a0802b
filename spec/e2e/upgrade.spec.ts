/**
 * Upgrade over real sockets: who gets which bytes, what becomes of the pool, and what is left at the end. Servers are
 * node:http, a hand-made WebSocket, and raw peers.
 */

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { Client, type TraceEvent, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { readAll, readText, shout } from "../support/duplexes.ts";
import { OK, warm } from "../support/exchanges.ts";
import { FakeJar } from "../support/fake-jar.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { still, turns, until } from "../support/loop.ts";
import { rawProxy } from "../support/raw-proxy.ts";
import { type PeerConn, type PeerOptions, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();
const authority = new CertificateAuthority();
const certificate = authority.issue({ names: ["IP:127.0.0.1"] });
const trust = { tls: { ca: authority.cert } };

const OFFER = { headers: { Upgrade: "foo" } };
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";

interface Site extends AsyncDisposable {
  readonly server: Server;
  readonly transport: Transport;
  readonly client: Client;
  readonly url: string;
  /** Sockets that were upgraded. */
  readonly upgraded: Duplex[];
}

/** A node:http server that answers requests with "plain", and a client of it. */
async function site(options: TransportOptions = {}): Promise<Site> {
  const server = createServer((_, response) => response.end("plain"));
  const upgraded: Duplex[] = [];
  server.on("upgrade", (_, socket) => upgraded.push(socket));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const transport = new Transport(options);
  const { port } = server.address() as { port: number }; // it listens on TCP
  return {
    server,
    transport,
    client: new Client({ transport }),
    url: `http://127.0.0.1:${port}/`,
    upgraded,
    async [Symbol.asyncDispose]() {
      await transport.destroy();
      for (const socket of upgraded) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A peer whose first request was upgraded: the stream, and the peer's end of it. */
async function upgraded(options: PeerOptions = {}, call = {}) {
  const peer = await scriptedPeer(options);
  const answer = peer.client.get(peer.url("/up"), { ...OFFER, ...call });
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(SWITCH);
  const res = await answer;
  const duplex = res.duplex();
  const end = () => {
    duplex.destroy(); // or nobody would hear the transport's reason for it
    return peer[Symbol.asyncDispose]();
  };
  return { peer, conn, res, duplex, [Symbol.asyncDispose]: end };
}

describe("Upgrade against node:http", () => {
  test("gives what came with the head first, then echoes [TestTransportResponseBodyWritableOnProtocolSwitch]", async () => {
    await using s = await site();
    s.server.on("upgrade", (request, socket) => {
      expect([request.headers.connection, request.headers.upgrade]).toEqual(["Upgrade", "foo"]);
      socket.write(
        "HTTP/1.1 101 Switching Protocols Hi\r\nConnection: upgRADe\r\nUpgrade: foo\r\n\r\nSome buffered data\n",
      );
      shout(socket);
    });
    const res = await s.client.get(s.url, OFFER);
    expect(res).toMatchObject({ status: 101, statusText: "Switching Protocols Hi", framing: "tunnel", body: null });
    const duplex = res.duplex();
    expect(await readText(duplex, 19)).toBe("Some buffered data\n");
    duplex.write("echo me\n");
    expect(await readText(duplex, 8)).toBe("ECHO ME\n");
    duplex.end("last");
    expect(await readAll(duplex)).toBe("LAST");
    await until(() => s.transport.stats().handedOver === 0, "the connection is over");
    expect(s.transport.stats().closed).toEqual({ "handed-over": 1 });
  });

  test("is not told to close where keep-alive is off [TestDisableKeepAliveUpgrade]", async () => {
    await using s = await site({ keepAlive: false });
    let connection: string | undefined;
    s.server.on("upgrade", (request, socket) => {
      connection = request.headers.connection;
      socket.write(SWITCH);
      shout(socket);
    });
    const duplex = (await s.client.get(s.url, OFFER)).duplex();
    duplex.write("hello");
    expect(await readText(duplex, 5)).toBe("HELLO");
    expect(connection).toBe("Upgrade");
    // A refusal keeps nothing alive, all the same.
    s.server.removeAllListeners("upgrade");
    expect(await (await s.client.get(s.url, OFFER)).text()).toBe("plain");
    expect(s.transport.stats()).toMatchObject({ idle: 0, closed: { "keep-alive-disabled": 1 } });
    duplex.destroy();
  });

  test.each([200, 404, 426])(
    "that is refused with %i is an ordinary answer, and the connection lives on",
    async (status) => {
      await using s = await site();
      s.server.removeAllListeners("upgrade").removeAllListeners("request");
      s.server.on("request", (_, response) => {
        response.writeHead(status, status === 426 ? { Upgrade: "bar", Connection: "Upgrade" } : {}).end("no");
      });
      const first = await s.client.get(s.url, OFFER);
      expect([first.status, await first.text()]).toEqual([status, "no"]);
      expect(() => first.duplex()).toThrow(TypeError);
      const second = await s.client.get(s.url);
      expect(second.connection).toMatchObject({ id: first.connection?.id, reused: true });
      await second.close();
      expect(s.transport.stats()).toMatchObject({ dialed: 1, handedOver: 0 });
    },
  );

  // From Node 26 on the server's parser reads that body, and its bytes are not on the socket to be looked at.
  const readsBodies = Number(process.versions.node.split(".")[0]) >= 26;
  test.skipIf(readsBodies)("takes a body along, and all of it is sent first", async () => {
    await using s = await site();
    s.server.on("upgrade", (_, socket, head) => {
      // Node reads no body of an upgrade: what came of it stands before what follows.
      socket.write(SWITCH);
      socket.write(head);
      socket.pipe(socket);
    });
    async function* slowly() {
      yield "one ";
      await turns(3);
      yield "two";
    }
    const res = await s.client.post(s.url, { ...OFFER, body: slowly() });
    expect(res.status).toBe(101);
    const duplex = res.duplex();
    duplex.write("three");
    const body = "4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n";
    expect(await readText(duplex, body.length + 5)).toBe(`${body}three`);
    duplex.destroy();
  });
});

describe("a WebSocket, made by hand (RFC 6455)", () => {
  const frame = (masked: boolean, opcode: number, payload: Buffer): Buffer => {
    const mask = masked ? randomBytes(4) : Buffer.alloc(0);
    const data = Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0)));
    const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
    length[0]! |= masked ? 128 : 0;
    return Buffer.concat([Buffer.from([128 | opcode, ...length]), mask, data]);
  };
  const readFrame = async (read: (n: number) => Promise<string>): Promise<[number, Buffer]> => {
    const bytes = async (n: number) => Buffer.from(n === 0 ? "" : await read(n), "latin1");
    const head = await bytes(2);
    let length = head[1]! & 127;
    if (length === 126) length = (await bytes(2)).readUInt16BE();
    const mask = head[1]! & 128 ? await bytes(4) : Buffer.alloc(4);
    const data = await bytes(length);
    return [head[0]! & 15, Buffer.from(data.map((byte, i) => byte ^ mask[i % 4]!))];
  };
  const acceptOf = (key: string) =>
    createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

  test.each(["http", "https"])("echoes frames of every size over %s [TestH12_WebSocketUpgrade]", async (scheme) => {
    await using peer = await scriptedPeer(scheme === "https" ? { serverTls: certificate, ...trust } : {});
    const key = randomBytes(16).toString("base64");
    const call = peer.client.get(peer.url("/chat"), {
      headers: { Upgrade: "websocket", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13" },
    });
    const conn = await peer.accept();
    const head = await conn.readHead();
    expect(head).toMatch(/\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    const theirs = /sec-websocket-key: (.*)\r\n/i.exec(head)?.[1] ?? "";
    const { socket } = conn;
    socket.write(
      Buffer.concat([
        Buffer.from(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(theirs)}\r\n\r\n`,
        ),
        frame(false, 1, Buffer.from("welcome")), // in the segment of the head
      ]),
    );
    const echo = (async () => {
      for (;;) {
        const [opcode, data] = await readFrame((n) => conn.read(n));
        socket.write(frame(false, opcode, data));
        if (opcode === 8) return socket.end();
      }
    })();
    const res = await call;
    expect(res.headers.get("sec-websocket-accept")).toBe(acceptOf(key));
    const ws = res.duplex();
    const read = (n: number) => readText(ws, n);
    expect(await readFrame(read)).toEqual([1, Buffer.from("welcome")]);
    for (const size of [0, 1, 125, 126, 60_000]) {
      const data = randomBytes(size);
      ws.write(frame(true, 2, data));
      expect(await readFrame(read)).toEqual([2, data]);
    }
    ws.write(frame(true, 8, Buffer.from([3, 232])));
    expect(await readFrame(read)).toEqual([8, Buffer.from([3, 232])]);
    expect(await readAll(ws)).toBe("");
    ws.end();
    await echo;
    await until(() => peer.transport.stats().handedOver === 0, "the connection is over");
  });
});

describe.each(["http", "https"])("an upgraded connection over %s", (scheme) => {
  const secured: PeerOptions = scheme === "https" ? { serverTls: certificate, ...trust } : {};

  test("gives what came in the segment of the head, and what comes byte by byte", async () => {
    const sent = `${SWITCH}first frame`;
    for (const size of [sent.length, 1, 5]) {
      await using peer = await scriptedPeer(secured);
      const call = peer.client.get(peer.url(), OFFER);
      const conn = await peer.accept();
      await conn.readHead();
      for (let at = 0; at < sent.length; at += size) {
        conn.reply(sent.slice(at, at + size));
        await turns(1);
      }
      const duplex = (await call).duplex();
      expect(await readText(duplex, 11)).toBe("first frame");
      duplex.destroy();
    }
  });

  test("ends one side at a time: ours, then the peer's", async () => {
    await using up = await upgraded(secured);
    up.duplex.end("our last");
    expect(await up.conn.readToEnd()).toBe("our last");
    if (scheme === "http") {
      up.conn.reply("their last"); // a TLS server of Node's ends both at once
      up.conn.end();
      expect(await readAll(up.duplex)).toBe("their last");
    } else {
      up.duplex.resume();
    }
    await up.conn.closed;
    await until(() => up.duplex.closed, "the stream is closed");
    expect(up.duplex.errored).toBeNull();
  });

  test("ends one side at a time: the peer's, then ours", async () => {
    await using up = await upgraded(secured);
    up.conn.reply("their last");
    up.conn.end();
    expect(await readAll(up.duplex)).toBe("their last");
    expect(up.duplex.destroyed).toBe(false);
    up.duplex.end("our last");
    expect(await up.conn.readToEnd()).toBe("our last");
    await up.conn.closed;
    await until(() => up.duplex.closed, "the stream is closed");
    expect([up.duplex.errored, up.peer.transport.stats().handedOver]).toEqual([null, 0]);
  });

  test("fails when the peer breaks it", async () => {
    await using up = await upgraded(secured);
    up.duplex.resume();
    const failed = once(up.duplex, "error");
    if (scheme === "http") up.conn.reset();
    else up.conn.socket.destroy(new Error("reset"));
    if (scheme === "https") up.duplex.end();
    else expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
    failed.catch(() => {});
    await until(() => up.duplex.closed, "the stream is closed");
    expect(up.peer.transport.stats()).toMatchObject({ handedOver: 0, closed: { "handed-over": 1 } });
  });

  test("is ended by destroy(), and the peer sees it", async () => {
    await using up = await upgraded(secured);
    up.duplex.destroy();
    expect(await up.conn.readToEnd()).toBe("");
    expect(up.peer.transport.stats().handedOver).toBe(0);
  });

  const MIB = 1024 * 1024;
  const BIG = 64;

  test("carries 64 MiB to a slow reader in bounded memory, and stops the peer meanwhile", async () => {
    await using up = await upgraded(secured);
    const piece = Buffer.alloc(MIB, "p");
    let written = 0;
    const pour = (async () => {
      for (; written < BIG; written++) if (!up.conn.socket.write(piece)) await once(up.conn.socket, "drain");
      up.conn.end();
    })();
    up.duplex.read(0);
    // Nobody reads: what the kernel and the two streams hold is all that can have left.
    expect(await still(() => written)).toBeLessThan(BIG / 2);
    expect(up.duplex.readableLength).toBeLessThanOrEqual(256 * 1024);
    let got = 0;
    let held = 0;
    for await (const chunk of up.duplex.iterator({ destroyOnReturn: false })) {
      got += (chunk as Buffer).length;
      held = Math.max(held, up.duplex.readableLength);
      if (got % 64 === 0) await turns(1);
    }
    await pour;
    expect(got).toBe(BIG * MIB);
    expect(held).toBeLessThanOrEqual(256 * 1024);
    up.duplex.end();
    await up.conn.closed;
  });

  test("takes 64 MiB to a slow peer, and stops its writer meanwhile", async () => {
    await using up = await upgraded(secured);
    const piece = Buffer.alloc(MIB, "p");
    let received = 0;
    const { socket } = up.conn;
    socket.removeAllListeners("data");
    socket.pause();
    let written = 0;
    const pour = (async () => {
      for (; written < BIG; written++) if (!up.duplex.write(piece)) await once(up.duplex, "drain");
      up.duplex.end();
    })();
    expect(await still(() => written)).toBeLessThan(BIG / 2);
    expect(up.duplex.writableLength).toBeLessThanOrEqual(MIB);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    socket.resume();
    await pour;
    await until(() => received === BIG * MIB, "all has come");
    up.duplex.resume();
    up.conn.end();
    await up.conn.closed;
  });
});

describe("the transport of an upgraded connection", () => {
  test("gives its slot to who waits, before the caller learns of it", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const call = peer.client.get(peer.url("/up"), OFFER);
    const waiting = peer.client.get(peer.url("/next"));
    const conn = await peer.accept();
    await conn.readHead();
    expect(peer.transport.stats()).toMatchObject({ busy: 1, waiting: 1, handedOver: 0 });
    conn.reply(SWITCH);
    const res = await call;
    expect(peer.transport.stats()).toMatchObject({ busy: 0, dialing: 1, handedOver: 1 });
    const next = await peer.accept();
    expect(await next.readHead()).toMatch(/^GET \/next /);
    next.reply(OK);
    expect(await (await waiting).text()).toBe("ok");
    expect(peer.transport.stats()).toMatchObject({ dialed: 2, idle: 1, busy: 0, handedOver: 1 });
    await res.close();
    expect(peer.transport.stats()).toMatchObject({ handedOver: 0, closed: { "handed-over": 1 } });
  });

  test("may hand over one that was used before, and uses it no more", async () => {
    await using peer = await scriptedPeer();
    const [conn] = (await warm(peer)) as [PeerConn];
    const call = peer.client.get(peer.url("/up"), OFFER);
    await conn.readHead();
    conn.reply(SWITCH);
    const res = await call;
    expect(res.connection).toMatchObject({ reused: true, served: 1, remotePort: peer.port, tls: null, proxy: null });
    const next = peer.client.get(peer.url());
    const fresh = await peer.accept();
    await fresh.readHead();
    fresh.reply(OK);
    expect((await next).connection).toMatchObject({ reused: false });
    await (await next).close();
    res.duplex().write("still mine");
    await conn.expect("still mine");
    await res.close();
  });

  test("leaves it alone at close() and closeIdleConnections(), and ends it at destroy()", async () => {
    await using up = await upgraded();
    up.peer.transport.closeIdleConnections();
    await up.peer.transport.close(); // resolves: nothing that is the transport's is left
    up.duplex.write("on we go");
    await up.conn.expect("on we go");
    up.conn.reply("so do we");
    expect(await readText(up.duplex, 8)).toBe("so do we");
    const failed = once(up.duplex, "error");
    await up.peer.transport.destroy();
    expect((await failed)[0]).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
    await up.conn.readToEnd();
    expect(up.peer.transport.stats().handedOver).toBe(0);
  });

  test("ends it with the reason that destroy() was given, taken or not", async () => {
    for (const taken of [true, false]) {
      await using peer = await scriptedPeer();
      const call = peer.client.get(peer.url(), OFFER);
      const conn = await peer.accept();
      await conn.readHead();
      conn.reply(`${SWITCH}early`);
      const res = await call;
      const reason = new Error("enough");
      const before = taken ? once(res.duplex(), "error") : null;
      await peer.transport.destroy(reason);
      expect((await (before ?? once(res.duplex(), "error")))[0]).toBe(reason);
    }
  });

  test("has no hold on it by signal or time: both end with the head", async () => {
    const clock = new SteeredClock();
    const abort = new AbortController();
    leaks().watch(abort.signal);
    const limits = { bodyTimeout: 5, stalledReaderTimeout: 5, writeTimeout: 5, unreadBodyTimeout: 5 };
    await using up = await upgraded({ clock, ...limits }, { signal: abort.signal, timeout: 1_000 });
    abort.abort(new Error("too late"));
    await clock.advance(1e9);
    up.conn.reply("hello");
    expect(await readText(up.duplex, 5)).toBe("hello");
    await clock.advance(1e9);
    up.duplex.write("hello");
    await up.conn.expect("hello");
  });

  test("warns once of one that nobody takes, and closes it", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, unreadBodyTimeout: 1_000 });
    const call = peer.client.get(peer.url("/up"), OFFER);
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(SWITCH);
    const res = await call;
    const warned = once(process, "warning");
    await clock.advance(1_001);
    const [warning] = (await warned) as [Error];
    expect(warning.message).toMatch(
      /^The connection of GET http:.*\/up was left untaken \(unreadBodyTimeout\), \d+ ms after the request: call duplex\(\), or call close\(\)$/,
    );
    await conn.readToEnd();
    const [error] = await once(res.duplex(), "error");
    expect(error).toMatchObject({ code: "ERR_HTTP_TIMEOUT", option: "unreadBodyTimeout" });
  });

  test("reports it on the trace", async () => {
    const events: TraceEvent[] = [];
    await using up = await upgraded({ trace: { groups: ["connection", "pool"], on: (event) => events.push(event) } });
    up.duplex.destroy();
    await up.conn.readToEnd();
    const [id] = [up.res.connection?.id];
    const told = events.map(({ type, call, connection }) => `${type} ${call === null ? "-" : "call"} ${connection}`);
    expect(told).toEqual([
      "pool-wait call null",
      `pool-assigned call ${id}`,
      `request-write call ${id}`,
      `request-head call ${id}`,
      `request-sent call ${id}`,
      `first-byte call ${id}`,
      `head call ${id}`,
      `handed-over call ${id}`,
      `connection-closed - ${id}`,
    ]);
    expect(events.at(-1)).toMatchObject({ reason: "handed-over" });
    expect(events.at(-2)).toMatchObject({ status: 101 });
  });

  test.each(["head", "handed-over"])("may be destroyed by a listener at %s", async (type) => {
    let transport: Transport | null = null;
    await using peer = await scriptedPeer({
      trace: (event) => {
        if (event.type === type) void transport?.destroy(new Error("enough"));
      },
    });
    transport = peer.transport;
    const call = peer.client.get(peer.url(), OFFER);
    const failed = expect(call).rejects.toThrow("enough");
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${SWITCH}early`);
    await failed;
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ busy: 0, handedOver: 0, closed: { "transport-destroyed": 1 } });
  });

  test("fails a call that is aborted before the 101, and does not hand over", async () => {
    await using peer = await scriptedPeer();
    const abort = new AbortController();
    leaks().watch(abort.signal);
    const call = peer.client.get(peer.url(), { ...OFFER, signal: abort.signal });
    const failed = expect(call).rejects.toThrow("no");
    const conn = await peer.accept();
    await conn.readHead();
    abort.abort(new Error("no"));
    await failed;
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ busy: 0, handedOver: 0, closed: { aborted: 1 } });
  });
});

describe("the Client hands a 101 on untouched", () => {
  test("at the end of a chain of redirects, with its own Upgrade on every hop", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url("/a"), OFFER);
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 307 Go\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    expect(await conn.readHead()).toMatch(/^GET \/b (.|\r\n)*\r\nUpgrade: foo\r\n/);
    conn.reply(`${SWITCH}early`);
    const res = await call;
    expect(res).toMatchObject({ status: 101, redirected: true, url: peer.url("/b") });
    expect(await readText(res.duplex(), 5)).toBe("early");
    await res.close();
  });

  test("and its cookies to the jar", async () => {
    await using peer = await scriptedPeer();
    const jar = new FakeJar();
    const client = new Client({ transport: peer.transport, cookieJar: jar });
    const call = client.get(peer.url(), OFFER);
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${SWITCH.slice(0, -2)}Set-Cookie: a=1\r\n\r\nearly`);
    const res = await call;
    expect(await readText(res.duplex(), 5)).toBe("early");
    await res.close();
    expect(await jar.getCookieString(peer.url())).toContain("a=1");
  });
});

describe("Upgrade through a proxy", () => {
  async function throughTunnel(origin: ScriptedPeer, options: TransportOptions, proxyUrl: string) {
    const transport = new Transport({ proxy: proxyUrl, ...options });
    const call = new Client({ transport }).get(origin.url("/up"), OFFER);
    const conn = await origin.accept();
    expect(await conn.readHead()).toMatch(/^GET \/up HTTP/);
    conn.reply(`${SWITCH}early`);
    const res = await call;
    expect(res.connection?.proxy).toBe(proxyUrl);
    const duplex = res.duplex();
    expect(await readText(duplex, 5)).toBe("early");
    duplex.write("hello");
    await conn.expect("hello");
    conn.reply("again");
    expect(await readText(duplex, 5)).toBe("again");
    duplex.end();
    expect(await conn.readToEnd()).toBe("");
    conn.end();
    expect(await readAll(duplex)).toBe("");
    await until(() => transport.stats().handedOver === 0, "the connection is over");
    await transport.destroy();
  }

  test.each([
    ["http through http", {}, {}],
    ["https through http", { serverTls: certificate }, {}],
    ["https through https", { serverTls: certificate }, { tls: certificate }],
  ])("%s, in a tunnel", async (_, origin, proxy) => {
    await using peer = await scriptedPeer(origin);
    await using relay = await rawProxy(proxy);
    await throughTunnel(peer, { proxyTunnel: true, ...trust }, relay.url);
    expect(relay.connects).toHaveLength(1);
  });

  test("goes to a proxy in absolute-form where there is no tunnel, and the proxy may switch", async () => {
    await using relay = await rawProxy({
      onRequest: (_, socket) => {
        socket.removeAllListeners("data");
        socket.write(SWITCH);
        shout(socket);
      },
    });
    const transport = new Transport({ proxy: relay.url });
    const res = await new Client({ transport }).get("http://origin.test/up", OFFER);
    const duplex = res.duplex();
    duplex.write("hello");
    expect(await readText(duplex, 5)).toBe("HELLO");
    expect(relay.heads[0]).toMatch(/^GET http:\/\/origin.test\/up HTTP/);
    await res.close();
    await transport.destroy();
  });
});
