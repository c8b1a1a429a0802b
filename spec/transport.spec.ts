/** The transport's own face: which requests share a connection, what it says about itself, what an answer carries. */

import { connect } from "node:net";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Request, type RoundTripper, Transport } from "../lib/index.ts";
import { CertificateAuthority } from "./support/certs.ts";
import { answer, OK, warm } from "./support/exchanges.ts";
import { checkLeaks } from "./support/leak-check.ts";
import { turns, until } from "./support/loop.ts";
import { type PeerConn, scriptedPeer } from "./support/scripted-peer.ts";
import { SteeredClock } from "./support/steered-clock.ts";
import { Upload } from "./support/upload.ts";

checkLeaks();

describe("Transport.roundTrip()", () => {
  test("is all that a RoundTripper has, and never interprets an answer", async () => {
    await using peer = await scriptedPeer();
    const tripper: RoundTripper = peer.transport;
    const call = tripper.roundTrip(new Request(peer.url("/from")));
    await answer(await peer.accept(), "HTTP/1.1 302 Found\r\nLocation: /to\r\nContent-Length: 0\r\n\r\n");
    const res = await call;
    expect([res.status, res.headers.get("location"), res.redirected]).toEqual([302, "/to", false]);
    await res.bytes();
  });

  test("never changes the request, and names it on the answer", async () => {
    await using peer = await scriptedPeer();
    const request = new Request(peer.url("/a?b#c"), { headers: [["X-A", "1"]] });
    const before = inspect(request);
    const call = peer.transport.roundTrip(request);
    expect(await answer(await peer.accept())).toMatch(/^GET \/a\?b HTTP\/1\.1\r\n/);
    const res = await call;
    expect(res.request).toBe(request);
    expect(res.url).toBe(peer.url("/a?b"));
    expect(inspect(request)).toBe(before);
    expect(request.headers.raw).toEqual([["X-A", "1"]]);
    await res.bytes();
  });

  test("resolves with the head, before the body: in its own time that comes", async () => {
    await using peer = await scriptedPeer();
    const call = peer.transport.roundTrip(new Request(peer.url()));
    const conn = await peer.accept();
    await answer(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    const res = await call;
    expect(res.timings?.end).toBe(null);
    conn.reply("ok");
    expect(await res.text()).toBe("ok");
    expect(res.timings?.end).toBeGreaterThan(0);
  });

  test("with a deadline that has passed sends nothing, and says which limit it was", async () => {
    await using peer = await scriptedPeer();
    const upload = new Upload();
    const request = new Request(peer.url(), { method: "POST", body: upload });
    const deadline = { at: peer.transport.clock.now(), limit: 70 };
    await expect(peer.transport.roundTrip(request, { deadline })).rejects.toMatchObject({
      code: "ERR_HTTP_TIMEOUT",
      phase: "total",
      option: "timeout",
      limit: 70,
    });
    expect(upload).toMatchObject({ pulls: 0, returned: 1 });
    expect(peer.transport.stats().dialed).toBe(0);
  });

  test("with a deadline ends the call at it, head or body, and no later call", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const timed = () =>
      peer.transport.roundTrip(new Request(peer.url()), { deadline: { at: clock.now() + 100, limit: 100 } });
    const headless = timed();
    const failed = expect(headless).rejects.toMatchObject({ phase: "total", limit: 100 });
    await (await peer.accept()).readHead();
    await clock.advance(100);
    await failed;

    const bodiless = timed();
    await answer(await peer.accept(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    const res = await bodiless;
    const cut = expect(res.text()).rejects.toMatchObject({ phase: "total", limit: 100 });
    await clock.advance(100);
    await cut;

    const whole = timed();
    const conn = await peer.accept();
    await answer(conn);
    await (await whole).bytes();
    await clock.advance(1_000);
    expect(peer.transport.stats()).toMatchObject({ idle: 1, closed: { timeout: 2 } });
  });
});

describe("requests share a connection", () => {
  const onePeer = async (paths: (authority: string) => readonly string[]): Promise<number> => {
    await using peer = await scriptedPeer();
    let last: PeerConn | null = null;
    for (const url of paths(peer.authority)) {
      const before = peer.accepted.length;
      const call = peer.client.get(url);
      await until(() => peer.accepted.length > before || (last?.pending ?? "") !== "", "the request is there");
      if (peer.accepted.length > before) last = peer.accepted.at(-1) as PeerConn;
      await answer(last as PeerConn);
      await (await call).bytes();
    }
    return peer.accepted.length;
  };

  test("whatever path, query, fragment and credentials their URLs have", async () => {
    expect(
      await onePeer((host) => [`http://${host}/`, `http://${host}/a?b`, `http://${host}/#c`, `http://u:p@${host}/`]),
    ).toBe(1);
  });

  test("whatever Host field they carry: the URL says where they go", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (const host of ["a.test", "b.test"]) {
      const call = peer.client.get(peer.url(), { headers: { host } });
      conn ??= await peer.accept();
      expect(await answer(conn)).toContain(`\r\nhost: ${host}\r\n`);
      await (await call).bytes();
    }
    expect(peer.accepted).toHaveLength(1);
  });

  test("of one name in every spelling: case, a trailing dot, the scheme's own port", async () => {
    const dialed: string[] = [];
    await using peer = await scriptedPeer();
    await using transport = new Transport({
      dial: ({ host, port, onread }) => {
        dialed.push(`${host}:${port}`);
        return connect({ host: "127.0.0.1", port: peer.port, onread, allowHalfOpen: true });
      },
    });
    let conn: PeerConn | null = null;
    for (const url of ["http://some.test/", "http://SOME.test/", "http://some.test:80/", "http://some.test./"]) {
      const call = transport.roundTrip(new Request(url));
      conn ??= await peer.accept();
      await answer(conn);
      await (await call).bytes();
    }
    expect(dialed).toEqual(["some.test:80"]);
    for (const url of ["http://some.test:81/", "http://other.test/"]) {
      const call = transport.roundTrip(new Request(url));
      await answer(await peer.accept());
      await (await call).bytes();
    }
    expect(dialed).toEqual(["some.test:80", "some.test:81", "other.test:80"]);
  });

  test("of one transport only", async () => {
    await using peer = await scriptedPeer();
    await warm(peer);
    await using other = new Transport();
    const call = other.roundTrip(new Request(peer.url()));
    await answer(await peer.accept());
    await (await call).bytes();
    expect(peer.accepted).toHaveLength(2);
  });
});

describe("stats() and inspect", () => {
  test("say what is held now, and what was done", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 2 });
    const { transport } = peer;
    expect(transport.stats()).toEqual({
      dialing: 0,
      busy: 0,
      idle: 0,
      waiting: 0,
      dialed: 0,
      handedOver: 0,
      learnedIdle: [],
      dialsFailed: 0,
      calls: 0,
      retries: 0,
      pipelined: 0,
      closed: {},
    });
    const calls = [1, 2, 3].map(() => peer.client.get(peer.url()));
    expect(transport.stats()).toMatchObject({ dialing: 2, waiting: 3, calls: 3 });
    const [a, b] = [await peer.accept(), await peer.accept()];
    await a.readHead();
    await b.readHead();
    expect(inspect(transport)).toBe("Transport { 2 busy, 0 idle, 0 dialing, 1 waiting }");
    a.reply(OK);
    await answer(a);
    b.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    for (const call of calls) await (await call).bytes();
    expect(inspect(transport)).toBe("Transport { 0 busy, 1 idle, 0 dialing, 0 waiting }");
    expect(transport.stats()).toMatchObject({ dialed: 2, calls: 3, retries: 0, closed: { "response-says-close": 1 } });
  });

  test("are a copy: who changes it changes nothing", async () => {
    const transport = new Transport();
    const { closed } = transport.stats() as { closed: Record<string, number> };
    closed["aborted"] = 5;
    expect(transport.stats().closed).toEqual({});
  });
});

describe("what an answer says of its connection and of time", () => {
  test("connection: which, how often used, from where to where", async () => {
    await using peer = await scriptedPeer();
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await answer(conn);
    const one = await first;
    await one.bytes();
    expect(one.connection).toEqual({
      id: expect.any(Number),
      reused: false,
      served: 0,
      localAddress: "127.0.0.1",
      localPort: conn.socket.remotePort,
      remoteAddress: "127.0.0.1",
      remotePort: peer.port,
      tls: null,
      proxy: null,
    });
    const second = peer.client.get(peer.url());
    await answer(conn);
    const two = await second;
    await two.bytes();
    expect(two.connection).toEqual({ ...one.connection, reused: true, served: 1 });
    expect(one.connection).toMatchObject({ reused: false, served: 0 });
  });

  test("connection: the facts of TLS", async () => {
    const authority = new CertificateAuthority();
    const serverTls = { ...authority.issue({ names: ["IP:127.0.0.1"] }), ALPNProtocols: ["http/1.1"] };
    await using peer = await scriptedPeer({ serverTls, tls: { ca: authority.cert } });
    const call = peer.client.get(peer.url());
    await answer(await peer.accept());
    const { connection } = await call;
    expect(connection?.tls).toMatchObject({
      protocol: "TLSv1.3",
      cipher: expect.stringContaining("TLS_"),
      resumed: false,
    });
    await (await call).bytes();
  });

  test("timings: in the order of the route, null where it did not happen", async () => {
    await using peer = await scriptedPeer();
    const before = Date.now();
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await answer(conn);
    const one = await first;
    await one.bytes();
    const t = one.timings!;
    expect(t.startedAt).toBeGreaterThanOrEqual(before - 1);
    expect(t.startedAt).toBeLessThanOrEqual(Date.now() + 1);
    expect([t.dns, t.tls]).toEqual([null, null]);
    const route = [t.queued, t.connect, t.assigned, t.requestSent, t.firstByte, t.headers, t.end] as number[];
    expect(route).toEqual([...route].sort((a, b) => a - b));
    expect(route[0]).toBeGreaterThanOrEqual(0);

    const second = peer.client.get(peer.url());
    await answer(conn);
    const two = await second;
    await two.bytes();
    expect(two.timings).toMatchObject({ dns: null, connect: null, tls: null, assigned: expect.any(Number) });
  });

  test("timings: of the last attempt where it was sent again", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const [stale] = await warm(peer);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      stale!.reset();
    };
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    await clock.advance(500);
    conn.reply(OK);
    const res = await call;
    await res.bytes();
    expect(res.timings).toMatchObject({ queued: 0, assigned: 0, requestSent: 0, firstByte: 500, end: 500 });
    expect(res.connection).toMatchObject({ reused: false });
  });

  test("httpVersion, statusText and framing", async () => {
    await using peer = await scriptedPeer();
    const answers = [
      ["HTTP/1.1 200 Fine  by me\r\nContent-Length: 2\r\n\r\nok", "1.1", "Fine  by me", "length"],
      ["HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "1.1", "", "chunked"],
      ["HTTP/1.1 204 No Content\r\n\r\n", "1.1", "No Content", "none"],
      ["HTTP/1.0 200 OK\r\n\r\n", "1.0", "OK", "close"],
    ] as const;
    for (const [text, version, statusText, framing] of answers) {
      const call = peer.client.get(peer.url());
      const conn = peer.accepted[0] ?? (await peer.accept());
      await answer(conn, text);
      const res = await call;
      expect([res.httpVersion, res.statusText, res.framing]).toEqual([version, statusText, framing]);
      if (framing === "close") conn.end();
      await res.bytes();
    }
    await turns(3);
  });
});
