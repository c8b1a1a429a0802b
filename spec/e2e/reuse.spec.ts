/**
 * When a connection serves a further request, which one, and why it does not: over loopback, every byte scripted, time
 * under the spec's hand.
 */

import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Client, Request, type Response, Transport, unixDialer } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { answer, OK, warm } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { still, turns, until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { tempFolder } from "../support/temp-folder.ts";

checkLeaks();

const KIB = 1024;
const dir = tempFolder("reuse");

const length = (n: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${n}\r\n\r\n`;
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const chunk = (n: number) => `${n.toString(16)}\r\n${"x".repeat(n)}\r\n`;

/** Sends a request, answers it, and gives the response and the connection that served it. */
async function exchange(peer: ScriptedPeer, conn: PeerConn | null, text = OK): Promise<[Response, PeerConn]> {
  const call = peer.client.get(peer.url());
  const served = conn ?? (await peer.accept());
  await answer(served, text);
  return [await call, served];
}

/** The next request is served by this connection. */
async function expectReuse(peer: ScriptedPeer, conn: PeerConn): Promise<void> {
  const [res] = await exchange(peer, conn);
  expect(await res.text()).toBe("ok");
  expect(res.connection?.reused).toBe(true);
}

describe("the next request", () => {
  test("takes the connection that was used last (LIFO)", async () => {
    await using peer = await scriptedPeer();
    const conns = await warm(peer, 3);
    const calls: Promise<Response>[] = [];
    for (const conn of [...conns].reverse()) {
      calls.push(peer.client.get(peer.url()));
      await conn.readHead(); // the others stay idle meanwhile
      expect(conns.filter(({ pending }) => pending !== "")).toEqual([]);
    }
    for (const conn of conns) conn.reply(OK);
    for (const call of calls) await (await call).bytes();
    expect(peer.transport.stats()).toMatchObject({ dialed: 3, idle: 3 });
  });

  const readings: Record<string, (res: Response) => Promise<unknown>> = {
    "bytes()": (res) => res.bytes(),
    "text()": (res) => res.text(),
    iteration: async (res) => {
      for await (const _ of res);
    },
    "the web stream": async (res) => {
      for await (const _ of res.body as AsyncIterable<Uint8Array>);
    },
    "the Node stream": async (res) => {
      for await (const _ of res.readable());
    },
  };
  const answers: Record<string, readonly string[]> = {
    "in one piece": [OK],
    "in pieces": [length(4), "ab", "cd"],
    "in chunks": [CHUNKED, chunk(3), "0\r\n\r\n"],
    "in chunks with a trailer": [CHUNKED, chunk(3), "0\r\nX-A: 1\r\n", "\r\n"],
  };
  describe.each(Object.entries(answers))("right after an answer %s", (_, parts) => {
    test.each(Object.entries(readings))("was read by %s reuses its connection (Go issue 13633)", async (__, read) => {
      await using peer = await scriptedPeer();
      const conn = (await warm(peer))[0]!;
      for (let i = 0; i < 3; i++) {
        const call = peer.client.get(peer.url());
        await conn.readHead();
        const rest = call.then(read);
        for (const part of parts) {
          conn.reply(part);
          await turns(3);
        }
        await rest;
      }
      expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
    });
  });

  test.each([
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"],
    ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"],
    ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["HEAD", "HTTP/1.1 200 OK\r\n\r\n"],
  ])("after %s and %j needs nobody to read anything", async (method, text) => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (let i = 0; i < 3; i++) {
      const call = peer.client.request(method, peer.url());
      conn ??= await peer.accept();
      await answer(conn, text);
      const { bodyUsed } = await call;
      expect(bodyUsed).toBe(false);
      expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
    }
  });

  test("is not kept waiting by an answer that nobody reads, if that is small; it stays readable", async () => {
    await using peer = await scriptedPeer();
    const [first, conn] = await exchange(peer, null, length(60 * KIB));
    for (let i = 0; i < 6; i++) {
      conn.reply("x".repeat(10 * KIB));
      await turns(3);
    }
    await until(() => peer.transport.stats().idle === 1, "it is idle");
    const [second] = await exchange(peer, conn, `${length(5)}hello`);
    expect(await second.text()).toBe("hello");
    expect((await first.text()).length).toBe(60 * KIB);
  });

  test("dials where an answer that nobody reads is large: reading ahead has an end", async () => {
    await using peer = await scriptedPeer();
    const [first] = await exchange(peer, null, length(8192 * KIB) + "x".repeat(8192 * KIB));
    const [second] = await exchange(peer, null);
    await second.bytes();
    expect(peer.transport.stats()).toMatchObject({ dialed: 2, busy: 1, idle: 1 });
    expect((await first.text()).length).toBe(8192 * KIB);
    expect(peer.transport.stats()).toMatchObject({ dialed: 2, busy: 0, idle: 2 });
  });

  test("reuses whatever the status was", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (const status of [200, 301, 401, 404, 429, 500, 503]) {
      const [res, served] = await exchange(peer, conn, `HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`);
      expect(res.status).toBe(status);
      conn = served;
    }
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("may be the same Request, a hundred times in turn and a hundred at once, whole each time [TestReuseRequest]", async () => {
    await using peer = await scriptedPeer();
    const request = new Request(peer.url("/same"), { method: "POST", body: "hello" });
    let conn: PeerConn | null = null;
    for (let i = 0; i < 100; i++) {
      const call = peer.client.do(request);
      conn ??= await peer.accept();
      await conn.readHead();
      await conn.expect("hello");
      conn.reply(OK);
      await (await call).bytes();
    }
    expect(peer.transport.stats().dialed).toBe(1);
    const calls = Array.from({ length: 100 }, () => peer.client.do(request));
    await until(() => peer.accepted.length === 100, "each has a connection");
    for (const served of peer.accepted) {
      await served.readHead();
      await served.expect("hello");
      served.reply(OK);
    }
    for (const call of calls) await (await call).bytes();
    expect(peer.transport.stats()).toMatchObject({ dialed: 100, idle: 100 });
  });

  test("over TLS reuses as well, and a further connection resumes the session", async () => {
    const authority = new CertificateAuthority();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    await using peer = await scriptedPeer({ serverTls, tls: { ca: authority.cert } });
    const [first, conn] = await exchange(peer, null);
    await first.bytes();
    expect(first.connection?.tls).toMatchObject({ protocol: "TLSv1.3", resumed: false });
    await expectReuse(peer, conn);
    const held = peer.client.get(peer.url());
    await conn.readHead();
    const [other] = await exchange(peer, null);
    expect(other.connection?.tls?.resumed).toBe(true);
    await other.bytes();
    conn.reply(OK);
    await (await held).bytes();
  });
});

describe("response.close()", () => {
  const closings: Record<string, (res: Response) => unknown> = {
    "close()": (res) => res.close(),
    break: async (res) => {
      for await (const _ of res) break;
    },
    "body.cancel()": (res) => res.body?.cancel(),
    "readable().destroy()": (res) => res.readable().destroy(),
    "async dispose": (res) => res[Symbol.asyncDispose](),
  };

  describe.each(Object.entries(closings))("by %s", (_, close) => {
    test("leaves the connection idle where nothing is left", async () => {
      await using peer = await scriptedPeer();
      const [res, conn] = await exchange(peer, null);
      await turns(3);
      await close(res);
      expect(peer.transport.stats()).toMatchObject({ idle: 1, busy: 0 });
      await expectReuse(peer, conn);
    });

    test("drains a rest of up to 256 KiB in the background, and then the connection is idle (Go issue 77370) [TestTransportNotReadToEndConnectionReuse/within limit, known length]", async () => {
      const clock = new SteeredClock();
      await using peer = await scriptedPeer({ clock });
      const [res, conn] = await exchange(peer, null, `${length(256 * KIB + 1)}x`);
      await close(res);
      expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 1 });
      await clock.advance(49);
      conn.reply("x".repeat(256 * KIB));
      await until(() => peer.transport.stats().idle === 1, "it is idle");
      await expectReuse(peer, conn);
    });

    test("closes the connection where more than 256 KiB are known to be left [TestTransportNotReadToEndConnectionReuse/over limit, known length]", async () => {
      await using peer = await scriptedPeer();
      const [res, conn] = await exchange(peer, null, `${length(256 * KIB + 2)}x`);
      await close(res);
      expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, closed: { "body-closed-early": 1 } });
      await conn.readToEnd();
    });

    test("closes the connection where chunks go on beyond 256 KiB [TestTransportNotReadToEndConnectionReuse/over limit]", async () => {
      await using peer = await scriptedPeer({ clock: new SteeredClock() });
      const [res, conn] = await exchange(peer, null, CHUNKED + chunk(1));
      await close(res);
      for (let sent = 0; sent <= 256; sent += 32) conn.reply(chunk(32 * KIB));
      await conn.readToEnd();
      expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, closed: { "body-closed-early": 1 } });
    });

    test("closes the connection where the rest does not come within 50 ms", async () => {
      const clock = new SteeredClock();
      await using peer = await scriptedPeer({ clock });
      const [res, conn] = await exchange(peer, null, `${length(10)}x`);
      await close(res);
      await clock.advance(49);
      conn.reply("x"); // a byte does not buy it more time
      await turns(5);
      expect(peer.transport.stats().busy).toBe(1);
      await clock.advance(1);
      await conn.readToEnd();
      expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, closed: { "body-closed-early": 1 } });
    });

    test("makes every later read reject", async () => {
      await using peer = await scriptedPeer();
      const [res] = await exchange(peer, null, `${length(10)}x`);
      await close(res);
      await expect(res.text()).rejects.toMatchObject({ name: "TypeError", code: "ERR_HTTP_BODY_USED" });
    });
  });

  test("returns at once, and lets no request wait: the next one dials [TestTransportNotReadToEndConnectionReuse/overlapping requests]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const [res, conn] = await exchange(peer, null, `${length(10)}x`);
    await res.close();
    const [next] = await exchange(peer, null);
    await next.bytes();
    conn.reply("x".repeat(9));
    await until(() => peer.transport.stats().idle === 2, "both are idle");
  });

  test("keeps the slot while it drains: under maxConnsPerHost the next one waits for it", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, maxConnsPerHost: 1 });
    const [res, conn] = await exchange(peer, null, `${length(10)}x`);
    await res.close();
    const call = peer.client.get(peer.url());
    await still(() => clock.turns);
    expect(peer.transport.stats()).toMatchObject({ busy: 1, waiting: 1, dialed: 1 });
    conn.reply("x".repeat(9));
    await answer(conn);
    expect(await (await call).text()).toBe("ok");
    expect(peer.transport.stats().dialed).toBe(1);
  });

  test("of a body delimited by close closes the connection", async () => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(peer, null, "HTTP/1.1 200 OK\r\n\r\nabc");
    await res.close();
    expect(peer.transport.stats().closed).toEqual({ "body-closed-early": 1 });
    await conn.readToEnd();
  });

  test("of an answer that will close anyway does not drain", async () => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(
      peer,
      null,
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nabc",
    );
    await res.close();
    expect(peer.transport.stats().closed).toEqual({ "body-closed-early": 1 });
    await conn.readToEnd();
  });

  test("resumes a connection that its slow reader had paused", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const [res, conn] = await exchange(peer, null, CHUNKED + chunk(200 * KIB));
    await still(() => clock.turns); // 64 KiB are read ahead, and the conduit stands
    await res.close();
    conn.reply("0\r\n\r\n");
    await until(() => peer.transport.stats().idle === 1, "it is idle");
    await expectReuse(peer, conn);
  });
});

describe("a connection is closed behind its answer", () => {
  const reasons: readonly (readonly [string, string, string])[] = [
    ["says close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "response-says-close"],
    [
      "says close among others",
      "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok",
      "response-says-close",
    ],
    ["is HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "response-says-close"],
    ["has a byte behind it", `${OK}x`, "unsolicited-bytes"],
    ["has an empty line behind it", `${OK}\r\n`, "unsolicited-bytes"],
    ["has another answer behind it", OK + OK, "unsolicited-bytes"],
    ["has a chunk behind its last one", `${CHUNKED}2\r\nok\r\n0\r\n\r\n0\r\n\r\n`, "unsolicited-bytes"],
  ];
  test.each(reasons)("that %s, which is whole", async (_, text, reason) => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(peer, null, text);
    expect(await res.text()).toBe("ok");
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, closed: { [reason]: 1 } });
    const [next] = await exchange(peer, null);
    expect(await next.text()).toBe("ok");
  });

  test.each([
    ["HEAD", `${length(2)}ok`],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\nok"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok"],
  ])("to %s that has a body where there is none: %j", async (method, text) => {
    await using peer = await scriptedPeer();
    const call = peer.client.request(method, peer.url());
    const conn = await peer.accept();
    await answer(conn, text);
    const res = await call;
    expect((await res.bytes()).length).toBe(0);
    await conn.readToEnd();
    expect(peer.transport.stats().closed).toEqual({ "unsolicited-bytes": 1 });
  });

  test("that only its close delimits, which is whole with it", async () => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(peer, null, "HTTP/1.1 200 OK\r\n\r\nhello ");
    conn.reply("world");
    conn.end();
    expect(await res.text()).toBe("hello world");
    expect(res.framing).toBe("close");
    expect(peer.transport.stats().closed).toEqual({ "close-delimited": 1 });
  });

  test("if the request said so, once, in the caller's place or ours", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url(), { headers: { connection: "close" } });
    const conn = await peer.accept();
    expect((await answer(conn)).match(/^connection: close$/gim)).toHaveLength(1);
    expect(await (await call).text()).toBe("ok");
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, closed: { "request-says-close": 1 } });
  });

  test("always, with keepAlive: false", async () => {
    await using peer = await scriptedPeer({ keepAlive: false });
    for (const headers of [{}, { connection: "close" }, { connection: "keep-alive, close" }]) {
      const call = peer.client.get(peer.url(), { headers });
      const conn = await peer.accept();
      expect((await answer(conn)).match(/\bclose\b/gi)).toHaveLength(1);
      expect(await (await call).text()).toBe("ok");
      await conn.readToEnd();
    }
    expect(peer.transport.stats()).toMatchObject({ dialed: 3, idle: 0 });
  });

  test("but not one of HTTP/1.0 that says keep-alive (RFC 9112 §9.3)", async () => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(
      peer,
      null,
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    );
    await res.bytes();
    expect(res.httpVersion).toBe("1.0");
    await expectReuse(peer, conn);
  });
});

describe("an idle connection is watched", () => {
  const ends: readonly (readonly [string, (conn: PeerConn) => void, string])[] = [
    ["FIN", (conn) => conn.end(), "server-closed-idle"],
    ["a reset", (conn) => conn.reset(), "idle-error"],
    ["one unsolicited byte", (conn) => conn.reply("x"), "unsolicited-bytes"],
    ["an unsolicited answer", (conn) => conn.reply(OK), "unsolicited-bytes"],
    [
      "a 408 (Go issue 32310)",
      (conn) => conn.reply("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
      "server-closed-idle",
    ],
  ];
  test.each(ends)("%s takes it out of the pool", async (_, end, reason) => {
    await using peer = await scriptedPeer();
    const [conn] = await warm(peer);
    end(conn!);
    await until(() => peer.transport.stats().idle === 0, "it is gone");
    expect(peer.transport.stats()).toMatchObject({ busy: 0, closed: { [reason]: 1 } });
    const [next] = await exchange(peer, null);
    expect(await next.text()).toBe("ok");
    expect(peer.transport.stats().retries).toBe(0);
  });

  test("a FIN that comes with the end of its answer does not harm that [TestTransportIssue10457]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    conn.end();
    expect(await (await call).text()).toBe("ok");
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
    const [next] = await exchange(peer, null);
    await next.bytes();
  });

  test("an answer that came before it was asked for is never given to a request", async () => {
    await using peer = await scriptedPeer();
    const [conn] = await warm(peer);
    conn!.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    const [res] = await exchange(peer, null);
    expect(await res.text()).toBe("ok");
    expect(conn!.pending).toBe("");
  });

  test("also after it was paused by a slow reader", async () => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(peer, null, length(1024 * KIB) + "x".repeat(1024 * KIB));
    await turns(50);
    await res.bytes();
    expect(peer.transport.stats().idle).toBe(1);
    conn.end();
    await until(() => peer.transport.stats().idle === 0, "it is gone");
  });
});

describe("an idle connection is closed by us", () => {
  test.each([
    ["after 90 s", {}, OK, 90_000],
    ["after idleConnTimeout", { idleConnTimeout: 5_000 }, OK, 5_000],
    [
      "a second before the server's Keep-Alive",
      {},
      `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 2\r\n\r\nok`,
      4_000,
    ],
    [
      "at once where the server keeps it for a second",
      {},
      `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok`,
      1,
    ],
    [
      "after idleConnTimeout where the server keeps it longer",
      { idleConnTimeout: 3_000 },
      `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 2\r\n\r\nok`,
      3_000,
    ],
  ])("%s", async (_, options, text, ms) => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, ...options });
    const [res, conn] = await exchange(peer, null, text);
    await res.bytes();
    await clock.advance(ms - 1);
    expect(peer.transport.stats().idle).toBe(1);
    await clock.advance(1);
    expect(peer.transport.stats()).toMatchObject({ idle: 0, closed: { "idle-timeout": 1 } });
    await conn.readToEnd();
  });

  test("never with idleConnTimeout 0", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, idleConnTimeout: 0 });
    const [conn] = await warm(peer);
    await clock.advance(10 * 24 * 3600 * 1000);
    await expectReuse(peer, conn!);
  });

  test("that time begins anew with each use [TestTransportIdleConnTimeout]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, idleConnTimeout: 1_000 });
    const [conn] = await warm(peer);
    for (let i = 0; i < 3; i++) {
      await clock.advance(900);
      await expectReuse(peer, conn!);
    }
    await clock.advance(1_000);
    expect(peer.transport.stats().idle).toBe(0);
  });

  test("above maxIdleConnsPerHost [TestTransportMaxPerHostIdleConns]", async () => {
    await using peer = await scriptedPeer({ maxIdleConnsPerHost: 2 });
    const calls = [1, 2, 3].map(() => peer.client.get(peer.url()));
    for (const _ of calls) await answer(await peer.accept());
    for (const call of calls) await (await call).bytes();
    expect(peer.transport.stats()).toMatchObject({ idle: 2, busy: 0, closed: { "too-many-idle-per-host": 1 } });
  });

  test("above maxIdleConns, the least recently used of all hosts first [TestTransportMaxIdleConns]", async () => {
    await using transport = new Transport({ maxIdleConns: 2 });
    const client = new Client({ transport });
    await using a = await scriptedPeer();
    await using b = await scriptedPeer();
    await using c = await scriptedPeer();
    const ask = async (peer: ScriptedPeer, conn: PeerConn | null) => {
      const call = client.get(peer.url());
      const served = conn ?? (await peer.accept());
      await answer(served);
      await (await call).bytes();
      return served;
    };
    const ofA = await ask(a, null);
    const ofB = await ask(b, null);
    await ask(a, ofA); // now b's is the older one
    await ask(c, null);
    await ofB.readToEnd();
    expect(transport.stats()).toMatchObject({ idle: 2, closed: { "too-many-idle": 1 } });
    await ask(a, ofA);
  });

  test("by closeIdleConnections(): also what is on loan, when it comes back, until the next request [TestTransportCloseIdleConnsThenReturn]", async () => {
    await using peer = await scriptedPeer();
    const [idle] = await warm(peer);
    const lent = peer.client.get(peer.url());
    await idle!.readHead();
    const other = peer.client.get(peer.url());
    await answer(await peer.accept());
    await (await other).bytes();
    expect(peer.transport.stats()).toMatchObject({ idle: 1, busy: 1 });
    peer.client.closeIdleConnections();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 1 });
    idle!.reply(OK);
    expect(await (await lent).text()).toBe("ok");
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, closed: { "close-idle-connections": 2 } });
    const [, conn] = await exchange(peer, null);
    await turns(3);
    await expectReuse(peer, conn);
  });
});

describe("maxConnsPerHost", () => {
  test("serves those who wait in the order in which they came, each by the connection that comes back", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const calls = Array.from({ length: 5 }, (_, n) => peer.client.get(peer.url(`/${n}`)));
    const conn = await peer.accept();
    for (let n = 0; n < calls.length; n++) {
      expect(await conn.readHead()).toContain(`GET /${n} `);
      expect(peer.transport.stats()).toMatchObject({ busy: 1, waiting: calls.length - 1 - n });
      conn.reply(OK);
    }
    for (const call of calls) await (await call).bytes();
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
  });

  test("counts dials: a second request starts none [TestTransportMaxConnsPerHostIncludeDialInProgress]", async () => {
    let dials = 0;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using peer = await scriptedPeer({
      maxConnsPerHost: 1,
      dial: async ({ host, port, onread }) => {
        dials++;
        await held;
        return connect({ host, port, onread, allowHalfOpen: true });
      },
    });
    const calls = [peer.client.get(peer.url()), peer.client.get(peer.url())];
    await turns(20);
    expect(dials).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ dialing: 1, waiting: 2 });
    release();
    const conn = await peer.accept();
    for (const call of calls) {
      await answer(conn);
      await (await call).bytes();
    }
    expect(dials).toBe(1);
  });

  test("a slot whose connection ends passes to who waits, with a dial of its own [TestTransportMaxConnsPerHost]", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const first = peer.client.get(peer.url());
    const second = peer.client.get(peer.url());
    await answer(await peer.accept(), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    await (await first).bytes();
    await answer(await peer.accept());
    expect((await second).connection?.reused).toBe(false);
    await (await second).bytes();
  });

  test("an aborted wait leaves its place to the next", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const controller = new AbortController();
    const first = peer.client.get(peer.url("/1"));
    const second = peer.client.get(peer.url("/2"), { signal: controller.signal });
    const third = peer.client.get(peer.url("/3"));
    const gone = expect(second).rejects.toThrow("abort");
    const conn = await peer.accept();
    controller.abort();
    await gone;
    await answer(conn);
    await (await first).bytes();
    expect(await answer(conn)).toContain("GET /3 ");
    await (await third).bytes();
  });

  test("is each host's own", async () => {
    await using transport = new Transport({ maxConnsPerHost: 1 });
    const client = new Client({ transport });
    await using a = await scriptedPeer();
    await using b = await scriptedPeer();
    const held = client.get(a.url());
    const conn = await a.accept();
    const free = client.get(b.url());
    await answer(await b.accept());
    await (await free).bytes();
    await answer(conn);
    await (await held).bytes();
  });
});

describe("a dial and a connection that comes back race for each request (late binding)", () => {
  test("the one that comes back wins, and the dial's goes into the pool [TestTransportSocketLateBinding]", async () => {
    let dials = 0;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using peer = await scriptedPeer({
      dial: async ({ host, port, onread }) => {
        if (++dials === 2) await held;
        return connect({ host, port, onread, allowHalfOpen: true });
      },
    });
    const first = peer.client.get(peer.url("/1"));
    const conn = await peer.accept();
    await conn.readHead();
    const second = peer.client.get(peer.url("/2"));
    await until(() => dials === 2, "the second dials");
    conn.reply(OK);
    await (await first).bytes();
    expect(await answer(conn)).toContain("GET /2 ");
    const res = await second;
    expect(res.connection).toMatchObject({ reused: true, served: 1 });
    await res.bytes();
    release();
    await until(() => peer.transport.stats().idle === 2, "both are idle");
    const [third] = await exchange(peer, await peer.accept());
    expect(third.connection).toMatchObject({ reused: true, served: 0 });
    await third.bytes();
  });
});

describe("transport.close() and destroy()", () => {
  test("close() ends what is idle, refuses what comes, lets what is under way finish, and resolves with it", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 2 });
    const conns = await warm(peer, 2);
    const lent = peer.client.get(peer.url());
    const conn = conns[1]!;
    await conn.readHead();
    let closed = false;
    const closing = peer.transport.close().then(() => {
      closed = true;
    });
    await conns[0]!.readToEnd();
    await expect(peer.client.get(peer.url())).rejects.toMatchObject({
      code: "ERR_HTTP_TRANSPORT_CLOSED",
      safeToRetry: true,
    });
    expect(closed).toBe(false);
    conn.reply(`${length(4)}ab`);
    const res = await lent;
    await turns(5);
    expect(closed).toBe(false);
    conn.reply("cd");
    expect(await res.text()).toBe("abcd");
    await closing;
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0, closed: { "transport-closed": 2 } });
  });

  test("close() fails those who wait and those who dial, at once and safely", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1, dial: () => new Promise<never>(() => {}) });
    const calls = [peer.client.get(peer.url()), peer.client.post(peer.url(), { body: "x" })];
    const failed = calls.map((call) =>
      expect(call).rejects.toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED", safeToRetry: true }),
    );
    await turns(3);
    await peer.transport.close();
    await Promise.all(failed);
  });

  test("destroy(reason) ends what is under way with it, too", async () => {
    await using peer = await scriptedPeer();
    const [res, conn] = await exchange(peer, null, `${length(4)}ab`);
    const pending = peer.client.get(peer.url());
    const other = await peer.accept();
    const reason = new Error("shut down");
    const failed = expect(pending).rejects.toBe(reason);
    await other.readHead();
    await peer.transport.destroy(reason);
    await failed;
    await expect(res.text()).rejects.toBe(reason);
    await Promise.all([conn.readToEnd(), other.readToEnd()]);
    expect(peer.transport.stats()).toMatchObject({ busy: 0, closed: { "transport-destroyed": 2 } });
  });

  test("what was buffered stays readable after close() and destroy()", async () => {
    await using peer = await scriptedPeer();
    const [res] = await exchange(peer, null);
    await turns(3);
    await peer.transport.destroy();
    expect(await res.text()).toBe("ok");
  });

  test("both may be called again", async () => {
    const transport = new Transport();
    await Promise.all([transport.close(), transport.close(), transport.destroy(), transport.destroy()]);
    await using disposed = new Transport();
    await disposed.close();
  });
});

describe("dialers", () => {
  test("a unix socket serves whatever host the URL names, with that in Host", async () => {
    const unixPath = join(dir, "a.sock");
    await using peer = await scriptedPeer({ unixPath, dial: unixDialer(unixPath) });
    const call = peer.client.get("http://docker.internal:99/v1");
    const conn = await peer.accept();
    expect(await answer(conn)).toContain("\r\nHost: docker.internal:99\r\n");
    await (await call).bytes();
    const again = peer.client.get("http://docker.internal:99/v2");
    await answer(conn);
    const res = await again;
    expect(res.connection).toMatchObject({ reused: true, remotePort: null });
    await res.bytes();
  });

  test("a Duplex of the caller's is a connection like any other", async () => {
    const [near, far] = duplexPair();
    await using transport = new Transport({ dial: () => near });
    const client = new Client({ transport });
    let asked = "";
    far.on("data", (bytes: Buffer) => {
      asked += bytes;
      if (asked.endsWith("\r\n\r\n")) far.write(OK);
    });
    for (const reused of [false, true]) {
      const res = await client.get("http://somewhere/");
      expect(await res.text()).toBe("ok");
      expect(res.connection).toMatchObject({ reused, localPort: null });
    }
    expect(asked.match(/GET/g)).toHaveLength(2);
    far.end();
    await until(() => transport.stats().idle === 0, "it is gone");
    far.destroy();
  });
});
