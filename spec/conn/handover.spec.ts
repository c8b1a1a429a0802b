/**
 * A connection that an answer hands over, in memory and on virtual time: what the Duplex gives and takes, however the
 * bytes are cut; and every order in which the hand-over meets the request's end, the peer's, and the owner's.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { TimeoutError } from "../../lib/errors.ts";
import { nextUncaught } from "../support/uncaught.ts";
import { Upload } from "../support/upload.ts";
import { get, MemoryConn, post, RefusingConduit, type Sent } from "./memory-conn.ts";

const OFFER = { headers: { Upgrade: "foo" } };
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";

/** What a stream has given, and how it ended. */
class Reader {
  text = "";
  ended = false;
  closed = false;
  error: unknown = null;
  constructor(stream: Duplex, flowing = true) {
    stream.on("end", () => {
      this.ended = true;
    });
    stream.on("close", () => {
      this.closed = true;
    });
    stream.on("error", (error) => {
      this.error = error;
    });
    if (flowing)
      stream.on("data", (chunk: Buffer) => {
        this.text += chunk.toString("latin1");
      });
  }
}

async function switched(conn: MemoryConn, behind = "", request = get(OFFER)): Promise<[Sent, Duplex]> {
  const sent = conn.roundTrip(request);
  await conn.settle();
  conn.takeWritten();
  conn.reply(SWITCH + behind);
  await conn.settle();
  expect(sent.error).toBeNull();
  return [sent, sent.response!.duplex()];
}

describe("PersistConn: an answer that hands over", () => {
  test("is delivered with the connection, and the exchange is over: no signal and no limit holds", async () => {
    const conn = new MemoryConn();
    const [sent, duplex] = await switched(conn);
    expect(sent.response).toMatchObject({ status: 101, framing: "tunnel", body: null, bodyUsed: false });
    expect(sent.response?.headers.get("upgrade")).toBe("foo");
    expect(sent.overs).toBe(1);
    expect(conn.log).toEqual(["handed over"]);
    expect(conn.conn.closeReason).toBe("handed-over");
    expect(conn.clock.armed).toBe(0);
    expect(sent.response?.duplex()).toBe(duplex);
    expect(sent.events.slice(-2)).toEqual(["head", "handed-over"]);
    duplex.destroy();
    await conn.settle();
    expect(conn.destroyed).toBe(true);
    expect(conn.log).toEqual(["handed over", "handover closed"]);
  });

  const stream = `${SWITCH}the first bytes`;
  test.each([1, 2, 3, 7, 64])("gives what came behind the head first, in reads of %i bytes", async (size) => {
    const conn = new MemoryConn({ slice: () => size });
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(stream);
    await conn.settle();
    const reader = new Reader(sent.response!.duplex());
    conn.reply(", and more");
    conn.peer.end();
    await conn.settle();
    expect(reader.text).toBe("the first bytes, and more");
    expect(reader.ended).toBe(true);
  });

  test("gives what came behind the head first, wherever the two are cut", async () => {
    for (let at = 1; at < stream.length; at++) {
      const conn = new MemoryConn();
      const sent = conn.roundTrip(get(OFFER));
      await conn.settle();
      conn.reply(stream.slice(0, at));
      await conn.settle();
      // Taken as soon as it can be, so that the rest comes to a stream that is read already, or not yet.
      const early = sent.response === null ? null : new Reader(sent.response.duplex());
      conn.reply(stream.slice(at));
      await conn.settle();
      const reader = early ?? new Reader(sent.response!.duplex());
      await conn.settle();
      expect(reader.text, `cut at ${at}`).toBe("the first bytes");
    }
  });

  test("gives bytes that are the reader's own, though the conduit overwrites what it lends", async () => {
    const conn = new MemoryConn();
    const [, duplex] = await switched(conn, "early");
    const chunks: Buffer[] = [];
    duplex.on("data", (chunk) => chunks.push(chunk));
    await conn.settle();
    conn.reply("later");
    await conn.settle();
    expect(chunks.map(String)).toEqual(["early", "later"]);
    for (const chunk of chunks) expect(chunk.buffer.byteLength).toBe(chunk.length);
  });

  test("takes bytes at once, before the peer has sent any", async () => {
    const conn = new MemoryConn();
    const [, duplex] = await switched(conn);
    duplex.write("one ");
    duplex.cork();
    duplex.write("two ");
    duplex.write("three");
    duplex.uncork();
    await conn.settle();
    expect(conn.takeWritten()).toBe("one two three");
  });

  test.each([
    ["another protocol", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", get(OFFER)],
    ["no protocol [TestTransportTreat101Terminal]", "HTTP/1.1 101 Go\r\n\r\nHTTP/1.1 204 No\r\n\r\n", get(OFFER)],
    ["what was not asked for", SWITCH, get()],
    ["what was not asked for, to CONNECT", SWITCH, get({ method: "CONNECT" })],
  ])("is refused where it leads to %s", async (_, reply, request) => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(request);
    await conn.settle();
    conn.reply(reply);
    await conn.settle();
    expect(sent.response).toBeNull();
    expect(sent.facts).toMatchObject({ code: "ERR_HTTP_REMOTE_PROTOCOL" });
    expect(conn.log).toEqual(["closed protocol-error"]);
  });

  test.each([
    ["200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "no", "idle"],
    ["426", "HTTP/1.1 426 Up\r\nUpgrade: bar\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nno", "no", "idle"],
    ["204", "HTTP/1.1 204 No\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n", "", "idle"],
    [
      "200 that says close",
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
      "no",
      "closed response-says-close",
    ],
  ])("a refusal by %s is an answer like any other", async (_, reply, body, end) => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(reply);
    await conn.settle();
    expect(await sent.response?.text()).toBe(body);
    expect(() => sent.response?.duplex()).toThrow(TypeError);
    expect(conn.log).toEqual([end]);
  });

  test.each(["GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "MADEUP"])("may come to a %s", async (method) => {
    const conn = new MemoryConn();
    const [, duplex] = await switched(conn, "x", get({ method, ...OFFER }));
    expect(String(duplex.read())).toBe("x");
  });

  test("comes after 1xx answers, and after the 100 that let the body go", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(post("hello", { ...OFFER, expectContinue: true }));
    await conn.settle();
    conn.takeWritten();
    conn.reply("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    await conn.settle();
    expect(conn.takeWritten()).toBe("hello");
    conn.reply(SWITCH);
    await conn.settle();
    expect(sent.informed).toEqual([103, 100]);
    expect(sent.response?.status).toBe(101);
  });
});

describe("CONNECT (RFC 9110 §9.3.6)", () => {
  test.each([
    ["200", "HTTP/1.1 200 OK\r\n\r\n"],
    ["200 of HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["299", "HTTP/1.1 299 Odd\r\n\r\n"],
    ["200 with a Content-Length, which says nothing", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    ["200 with a Transfer-Encoding, which says nothing", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["200 that says close, which says nothing", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"],
    ["200 after a 100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
  ])("hands over after %s", async (_, head) => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get({ method: "CONNECT" }));
    await conn.settle();
    expect(conn.takeWritten()).toMatch(/^CONNECT peer:80 HTTP\/1.1\r\nHost: peer\r\n/);
    conn.reply(`${head}5\r\nhello`);
    await conn.settle();
    expect(String(sent.response?.duplex().read())).toBe("5\r\nhello");
    expect(conn.log).toEqual(["handed over"]);
  });

  test.each([
    ["300", "HTTP/1.1 300 No\r\nContent-Length: 2\r\n\r\nno"],
    ["403", "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"],
    ["407", "HTTP/1.1 407 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"],
  ])("%s is an answer with a body, and the connection lives on", async (_, reply) => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get({ method: "CONNECT" }));
    await conn.settle();
    conn.reply(reply);
    await conn.settle();
    expect(await sent.response?.text()).toBe("no");
    expect(() => sent.response?.duplex()).toThrow(/only 101 and a 2xx to CONNECT do/);
    expect(conn.log).toEqual(["idle"]);
  });
});

describe("a hand-over before the request was written to its end", () => {
  const start = async (init = {}) => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload, { ...OFFER, ...init }));
    upload.give(3);
    await conn.settle();
    conn.reply(`${SWITCH}early`);
    await conn.settle();
    return { conn, upload, sent };
  };

  test("waits for it: nobody can switch in the middle of a message (RFC 9110 §7.8)", async () => {
    const { conn, upload, sent } = await start();
    conn.takeWritten();
    expect([sent.response, conn.log]).toEqual([null, []]);
    conn.reply(" more");
    upload.give(2);
    await conn.settle();
    expect(conn.takeWritten()).toBe("2\r\nUU\r\n");
    upload.end();
    await conn.settle();
    expect(conn.takeWritten()).toBe("0\r\n\r\n");
    const reader = new Reader(sent.response!.duplex());
    await conn.settle();
    expect(reader.text).toBe("early more");
    expect(conn.log).toEqual(["handed over"]);
    expect(upload.returned).toBe(0);
  });

  test("sends a body that waits for its 100, too", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(post("hello", { ...OFFER, expectContinue: true }));
    await conn.settle();
    conn.takeWritten();
    conn.reply(SWITCH);
    await conn.settle();
    expect(conn.takeWritten()).toBe("hello");
    expect(sent.response?.status).toBe(101);
  });

  test("is nothing where the body fails", async () => {
    const { conn, upload, sent } = await start();
    upload.fail(new Error("no more"));
    await conn.settle();
    expect(sent).toMatchObject({ response: null, error: { message: "no more" } });
    expect(conn.log).toEqual(["closed body-error"]);
  });

  test("is nothing where the call is aborted", async () => {
    const { conn, upload, sent } = await start();
    conn.conn.abort(sent.exchange, "aborted", "reason");
    await conn.settle();
    expect(sent).toMatchObject({ response: null, error: "reason" });
    expect([upload.returned, conn.log]).toEqual([1, ["closed aborted"]]);
  });

  test("is nothing where the connection breaks at the next write", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 3));
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload, OFFER));
    upload.give(3);
    await conn.settle();
    conn.reply(SWITCH);
    await conn.settle();
    upload.give(3);
    await conn.settle();
    await conn.clock.advance(2_000);
    expect(sent.facts).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", phase: "write" });
    expect(conn.log).toEqual(["closed socket-error"]);
  });

  test("brings the peer's end along, where that came meanwhile", async () => {
    const { conn, upload, sent } = await start();
    conn.peer.end();
    upload.end();
    await conn.settle();
    const reader = new Reader(sent.response!.duplex());
    await conn.settle();
    expect([reader.text, reader.ended]).toEqual(["early", true]);
  });
});

describe("a connection that nobody takes", () => {
  test("is paused: the peer is stopped by its window, not by our memory", async () => {
    const conn = new MemoryConn({ window: 10 });
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(SWITCH);
    await conn.settle();
    expect(conn.peer.write("x".repeat(20))).toBe("full");
    await conn.settle();
    expect(conn.peer.pendingBytes).toBe(10);
    const reader = new Reader(sent.response!.duplex());
    await conn.settle();
    expect(reader.text).toHaveLength(20);
  });

  test("is closed after unreadBodyTimeout, with a word; who comes later gets the error", async () => {
    const conn = new MemoryConn({ unreadBodyTimeout: 1_000 });
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(SWITCH);
    await conn.clock.advance(999);
    expect(conn.destroyed).toBe(false);
    await conn.clock.advance(2);
    expect(conn.log).toEqual(["handed over", "unread unreadBodyTimeout", "handover closed"]);
    expect(conn.destroyed).toBe(true);
    const reader = new Reader(sent.response!.duplex());
    await conn.settle();
    expect(reader.error).toBeInstanceOf(TimeoutError);
    expect(reader.error).toMatchObject({ option: "unreadBodyTimeout", limit: 1_000, phase: "unread-body" });
  });

  test("waits for ever where that is 0, and once it is taken", async () => {
    const waiting = new MemoryConn({ unreadBodyTimeout: 0 });
    const [, duplex] = await switched(new MemoryConn({ unreadBodyTimeout: 1 }));
    waiting.roundTrip(get(OFFER));
    await waiting.settle();
    waiting.reply(SWITCH);
    await waiting.clock.advance(1e9);
    expect(waiting.destroyed).toBe(false);
    expect(duplex.destroyed).toBe(false);
  });

  test("is closed with its response, and can then not be taken", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(`${SWITCH}early`);
    await conn.settle();
    await sent.response?.close();
    await sent.response?.close();
    expect(conn.destroyed).toBe(true);
    expect(conn.log).toEqual(["handed over", "handover closed"]);
    expect(conn.clock.armed).toBe(0);
    expect(() => sent.response?.duplex()).toThrow(TypeError);
  });

  test("keeps what came before it broke for who takes it", async () => {
    // A conduit that is paused sees no end; one that says so all the same must not lose what came before.
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(`${SWITCH}early`);
    conn.peer.reset();
    await conn.settle();
    const reader = new Reader(sent.response!.duplex());
    await conn.settle();
    expect(reader.text).toBe("early");
    expect(reader.error).toMatchObject({ code: "ECONNRESET" });
    expect(reader.closed).toBe(true);
    expect(conn.log).toEqual(["handed over", "handover closed"]);
  });
});

describe("the Duplex", () => {
  test("stops the peer where its reader lags", async () => {
    const conn = new MemoryConn({ window: 1_000 });
    const [, duplex] = await switched(conn);
    duplex.read(0);
    for (let i = 0; i < 300; i++) conn.peer.write("x".repeat(1_000));
    await conn.settle();
    expect(duplex.readableLength).toBeLessThanOrEqual(3 * 64 * 1024);
    expect(conn.peer.pendingBytes).toBeGreaterThan(90_000);
    const reader = new Reader(duplex);
    await conn.settle();
    expect(reader.text).toHaveLength(300_000);
  });

  test("stops its writer where the peer lags, and goes on when it does", async () => {
    const conn = new MemoryConn({ window: 10 });
    const [, duplex] = await switched(conn);
    conn.peer.pause();
    let written = 0;
    for (let i = 0; i < 3; i++) duplex.write("y".repeat(20), () => written++);
    await conn.settle();
    expect(written).toBe(0);
    expect(duplex.writableLength).toBe(60);
    conn.peer.resume();
    await conn.settle();
    expect(written).toBe(3);
    expect(conn.takeWritten()).toBe("y".repeat(60));
  });

  test("ends one side at a time: ours first", async () => {
    const conn = new MemoryConn();
    const [, duplex] = await switched(conn);
    const reader = new Reader(duplex);
    duplex.end("last words");
    await conn.settle();
    expect([conn.takeWritten(), conn.sawEnd]).toEqual(["last words", true]);
    conn.reply("and theirs");
    await conn.settle();
    expect(reader).toMatchObject({ text: "and theirs", ended: false, closed: false });
    conn.peer.end();
    await conn.settle();
    expect(reader).toMatchObject({ ended: true, closed: true, error: null });
    expect(conn.log).toEqual(["handed over", "handover closed"]);
  });

  test("ends one side at a time: the peer's first", async () => {
    const conn = new MemoryConn();
    const [, duplex] = await switched(conn);
    const reader = new Reader(duplex);
    conn.peer.end();
    await conn.settle();
    expect(reader).toMatchObject({ ended: true, closed: false });
    duplex.write("still here");
    await conn.settle();
    expect([conn.takeWritten(), conn.sawEnd]).toEqual(["still here", false]);
    duplex.end();
    await conn.settle();
    expect(conn.sawEnd).toBe(true);
    expect(reader).toMatchObject({ closed: true, error: null });
    expect(conn.sawReset).toBe(false);
  });

  test("ends both at the peer's end where allowHalfOpen was set to false", async () => {
    const conn = new MemoryConn();
    const [, duplex] = await switched(conn);
    duplex.allowHalfOpen = false;
    const reader = new Reader(duplex);
    conn.peer.end();
    await conn.settle();
    expect([reader.closed, conn.sawEnd]).toEqual([true, true]);
  });

  test("fails with the connection's own error, a write under way included", async () => {
    const conn = new MemoryConn({ window: 10 });
    const [, duplex] = await switched(conn);
    const reader = new Reader(duplex);
    conn.peer.pause();
    let failed: unknown;
    duplex.write("y".repeat(20), (error) => {
      failed = error;
    });
    await conn.settle();
    conn.peer.reset();
    await conn.settle();
    expect(reader.error).toMatchObject({ code: "ECONNRESET" });
    expect(failed).toMatchObject({ code: "ECONNRESET" });
    expect(reader.closed).toBe(true);
    expect(conn.log).toEqual(["handed over", "handover closed"]);
  });

  test("fails where a write is refused", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 2));
    const [, duplex] = await switched(conn);
    const reader = new Reader(duplex);
    duplex.write("x");
    await conn.settle();
    expect(reader.error).toMatchObject({ code: "EPIPE" });
    expect(conn.destroyed).toBe(true);
  });

  test("ends a write under way when it is destroyed", async () => {
    const conn = new MemoryConn({ window: 10 });
    const [, duplex] = await switched(conn);
    conn.peer.pause();
    let told: unknown;
    duplex.write("y".repeat(20), (error) => {
      told = error;
    });
    await conn.settle();
    duplex.destroy();
    await conn.settle();
    expect(told).toBeInstanceOf(Error);
    expect(conn.destroyed).toBe(true);
  });

  test("is destroyed with its response, taken or not", async () => {
    const conn = new MemoryConn();
    const [sent, duplex] = await switched(conn);
    const reader = new Reader(duplex);
    await sent.response?.[Symbol.asyncDispose]();
    await conn.settle();
    expect([duplex.destroyed, reader.closed, reader.error, conn.destroyed]).toEqual([true, true, null, true]);
    expect(sent.response?.duplex()).toBe(duplex);
  });

  test("tells its events in the context of who took it, and what a listener throws ends nothing", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get(OFFER));
    await conn.settle();
    conn.reply(SWITCH);
    await conn.settle();
    const store = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const broken = new Error("a listener threw");
    const duplex = store.run("mine", () => sent.response!.duplex());
    duplex.on("data", () => {
      seen.push(store.getStore());
      if (seen.length === 1) throw broken;
    });
    await conn.settle();
    const uncaught = nextUncaught();
    conn.reply("one");
    expect(await uncaught).toBe(broken);
    conn.reply("two");
    await conn.settle();
    expect(seen).toEqual(["mine", "mine"]);
    expect(duplex.destroyed).toBe(false);
    duplex.destroy();
  });
});
