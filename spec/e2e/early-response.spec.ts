/**
 * Answers that come while the request is still being written (RFC 9112 §9.3, §9.5). They always arrive; the connection
 * lives on only if the request was written to its end; no byte of an upload ever reaches another request.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { still, turns, until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const authority = new CertificateAuthority();
const leaf = authority.issue({ names: ["IP:127.0.0.1"] });
const SLICE_BYTES = 64 * 1024;

const TOO_LARGE = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe.each(["http", "https"] as const)("an early answer over %s", (scheme) => {
  let clock: SteeredClock;
  let peer: ScriptedPeer;

  beforeEach(async () => {
    clock = new SteeredClock();
    const tls = scheme === "https" ? { serverTls: leaf, tls: { ca: authority.cert } } : {};
    peer = await scriptedPeer({ clock, ...tls });
  });
  afterEach(() => peer[Symbol.asyncDispose]());

  /** The next request goes over another connection, whose bytes are its own from the first on. */
  async function expectFreshConnection(): Promise<void> {
    const call = peer.client.get(peer.url("/next"));
    const conn = await peer.accept();
    await conn.expect(peer.head("GET /next"));
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
  }

  const endings = {
    "closes behind it": (conn: PeerConn) => {
      conn.reply(TOO_LARGE);
      conn.end();
    },
    "resets behind it": (conn: PeerConn) => {
      conn.socket.pause();
      conn.reply(TOO_LARGE);
      if (scheme === "http") conn.reset();
      else conn.socket.destroy(); // bytes of the upload are unread, so the kernel resets
    },
    "goes on reading": (conn: PeerConn) => conn.reply(TOO_LARGE),
  };

  for (const [what, answer] of Object.entries(endings)) {
    test(`413 during an upload arrives when the server ${what}, and stops the upload (RFC 9112 §9.5)`, async () => {
      const upload = new Upload(SLICE_BYTES);
      const call = peer.client.post(peer.url("/up"), { body: upload });
      const conn = await peer.accept();
      await conn.readHead();
      await conn.read(200_000);
      answer(conn);
      const res = await call;
      expect(res.status).toBe(413);
      expect(await res.text()).toBe("big");
      await conn.readToEnd();
      expect(upload.returned).toBe(1);
      expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0, closed: { "write-unfinished": 1 } });
      const { pulls } = upload;
      await expectFreshConnection();
      expect(upload.pulls).toBe(pulls);
    });

    test(`413 that comes behind the poll before a write arrives when the server ${what} (Go issue 11745) [TestTransportPrefersResponseOverWriteError]`, async () => {
      const upload = new Upload();
      const call = peer.client.post(peer.url("/up"), { body: upload });
      const conn = await peer.accept();
      await conn.readHead();
      upload.give(SLICE_BYTES);
      await conn.read(SLICE_BYTES);
      conn.socket.pause();
      upload.give(SLICE_BYTES);
      await until(() => upload.bytes === 2 * SLICE_BYTES, "the second chunk is taken");
      await still(() => clock.turns);
      // The third write has its poll behind it when the answer and the end of the connection come.
      clock.beforeTurn = () => {
        clock.beforeTurn = null;
        answer(conn);
      };
      upload.give(SLICE_BYTES);
      const res = await call;
      expect(res.status).toBe(413);
      expect(await res.text()).toBe("big");
      conn.socket.resume();
      await conn.readToEnd();
      expect(upload.returned).toBe(1);
      await expectFreshConnection();
    });
  }

  test("a keep-alive 200 lets the upload go on, and the connection is pooled when that ends within 50 ms", async () => {
    const upload = new Upload();
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(5);
    await conn.expect("5\r\nUUUUU\r\n");
    conn.reply(OK);
    const res = await call;
    expect(res.status).toBe(200);
    const text = res.text();
    await clock.advance(49);
    upload.give(3);
    await conn.expect("3\r\nUUU\r\n");
    upload.end();
    await conn.expect("0\r\n\r\n");
    expect(await text).toBe("ok");
    expect(upload.returned).toBe(0);
    await until(() => peer.transport.stats().idle === 1, "the connection is pooled");
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 1 });

    const next = peer.client.get(peer.url("/next"));
    await conn.expect(peer.head("GET /next"));
    conn.reply(OK);
    expect((await next).connection).toMatchObject({ reused: true, served: 1 });
    await (await next).close();
  });

  test("a keep-alive 200 whose upload does not end within 50 ms costs the connection, not the answer [TestTransportNoReuseAfterEarlyResponse]", async () => {
    const upload = new Upload();
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(5);
    await conn.expect("5\r\nUUUUU\r\n");
    conn.reply(OK);
    const res = await call;
    const text = res.text();
    await until(() => res.timings?.end != null, "the answer is complete");
    await clock.advance(49);
    expect(peer.transport.stats().busy).toBe(1);
    await clock.advance(2);
    expect(await text).toBe("ok");
    await conn.readToEnd();
    expect(upload.returned).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0, closed: { "write-unfinished": 1 } });
    await expectFreshConnection();
  });

  test("a keep-alive 200 is whole for its caller at once; only the connection waits for the upload, and no abort ends that", async () => {
    const upload = new Upload();
    const abort = new AbortController();
    const call = peer.client.post(peer.url("/up"), { body: upload, signal: abort.signal });
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(5);
    await conn.expect("5\r\nUUUUU\r\n");
    conn.reply(OK);
    const res = await call;
    expect(await res.text()).toBe("ok"); // time stands still
    expect(peer.transport.stats()).toMatchObject({ busy: 1, idle: 0, closed: {} });
    abort.abort(new Error("too late"));
    expect(upload.returned).toBe(0);
    expect(peer.transport.stats()).toMatchObject({ busy: 1, closed: {} });
    await clock.advance(51);
    await conn.readToEnd();
    expect(upload.returned).toBe(1);
    expect(peer.transport.stats().closed).toEqual({ "write-unfinished": 1 });
  });

  test("a keep-alive 200 while the kernel takes no more of the upload costs the connection after 50 ms", async () => {
    const upload = new Upload(SLICE_BYTES);
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    conn.socket.pause();
    await still(() => upload.bytes);
    conn.reply(OK);
    const res = await call;
    const text = res.text();
    await until(() => res.timings?.end != null, "the answer is complete");
    await clock.advance(51);
    expect(await text).toBe("ok");
    expect(upload.returned).toBe(1);
    expect(peer.transport.stats().closed).toEqual({ "write-unfinished": 1 });
    conn.socket.resume();
    await expectFreshConnection();
  });

  test("an answer that says close stops the upload, whatever its status", async () => {
    const upload = new Upload(SLICE_BYTES);
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.read(100_000);
    conn.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\no");
    const res = await call;
    expect(upload.returned).toBe(1);
    const { pulls } = upload;
    conn.reply("k");
    expect(await res.text()).toBe("ok");
    await conn.readToEnd();
    expect(upload).toMatchObject({ pulls, returned: 1 });
    expect(peer.transport.stats().closed).toEqual({ "response-says-close": 1 });
  });

  test("the answer's own body is streamed on while the upload has stopped", async () => {
    const upload = new Upload(SLICE_BYTES);
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.read(100_000);
    conn.reply("HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    const res = await call;
    const chunks = res[Symbol.asyncIterator]();
    expect(Buffer.from((await chunks.next()).value as Uint8Array).toString()).toBe("one");
    const { pulls } = upload;
    expect(upload.returned).toBe(1);
    conn.reply("3\r\ntwo\r\n0\r\n\r\n");
    expect(Buffer.from((await chunks.next()).value as Uint8Array).toString()).toBe("two");
    expect((await chunks.next()).done).toBe(true);
    await turns(3);
    expect(upload.pulls).toBe(pulls);
  });

  test("a body in memory that is half written is given up as well", async () => {
    const call = peer.client.post(peer.url("/up"), { body: new Uint8Array(32 * 2 ** 20).fill(85) });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.read(100_000);
    conn.reply(TOO_LARGE);
    expect(await (await call).text()).toBe("big");
    expect((await conn.readToEnd()).length).toBeLessThan(31 * 2 ** 20);
    await expectFreshConnection();
  });
});
