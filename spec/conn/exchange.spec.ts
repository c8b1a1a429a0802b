/** One exchange, over memory: what its caller is told and when, what stands behind its Response, what of a body waits. */

import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AsyncQueue } from "../../lib/conn/async-queue.ts";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import type { ResponseHead } from "../../lib/wire/parser-events.ts";
import { Upload } from "../support/upload.ts";
import { answered, get, MemoryConn, type MemoryConnOptions, post, Sent, watchedConn } from "./memory-conn.ts";

// What would be a broken rule of ours is an uncaught exception here.
beforeEach(() => rethrowInvariants(true));
afterEach(() => rethrowInvariants(false));

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO_HOST = { readAsked() {}, bodyTaken() {}, bodyClosed() {} };

describe("Exchange", () => {
  test("keeps a body of a byte a read from waiting in 64 Ki pieces: what a piece costs counts too", async () => {
    let pushed = 0;
    const push = AsyncQueue.prototype.push;
    AsyncQueue.prototype.push = function (this: AsyncQueue<object>, item: object) {
      if (this.name === "body") pushed++;
      return push.call(this, item);
    };
    try {
      const conn = new MemoryConn({ slice: () => "1\r\nx\r\n".length });
      conn.roundTrip(get());
      await conn.settle();
      conn.reply(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(20_000)}`);
      await conn.settle();
      expect(pushed).toBeGreaterThan(100);
      expect(pushed).toBeLessThan(3_000);
    } finally {
      AsyncQueue.prototype.push = push;
    }
  });
});

describe("PersistConn, a body in memory of more than one slice", () => {
  test.each([
    ["with its length", {}, /\r\nContent-Length: 100000\r\n[\s\S]*\r\n\r\nx{100000}$/],
    ["in chunks", { headers: { "Transfer-Encoding": "chunked" } }, /\r\n\r\n10000\r\nx+\r\n86a0\r\nx+\r\n0\r\n\r\n$/],
  ])("begins in one write with the head, %s", async (_how, init, wire) => {
    const writes: number[] = [];
    const conn = new MemoryConn({}, (near) => {
      const write = near.write.bind(near);
      near.write = (data) => {
        writes.push(typeof data === "string" ? data.length : data.reduce((n, { length }) => n + length, 0));
        return write(data);
      };
      return near;
    });
    conn.roundTrip(post("x".repeat(100_000), init));
    await conn.settle();
    expect(conn.takeWritten()).toMatch(wire);
    expect(writes[0]).toBeGreaterThan(64 * 1024);
  });
});

describe("Exchange: what stands behind its Response", () => {
  test("says what the head said, and no more", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, "HTTP/1.1 203 Not quite\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok");
    expect(sent.response).toMatchObject({
      status: 203,
      statusText: "Not quite",
      httpVersion: "1.1",
      framing: "length",
      url: "http://peer/",
      redirected: false,
      decompressed: false,
      type: "basic",
    });
    expect(sent.response?.headers.raw).toEqual([
      ["X-A", "1"],
      ["Content-Length", "2"],
    ]);
    expect(sent.response?.request).toBe(sent.exchange.request);
    expect(sent.exchange).toMatchObject({ length: 2, chunksAreAlone: true, handed: null });
  });

  test("says HTTP/1.0 of one", async () => {
    const sent = await answered(new MemoryConn(), "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect(sent.response).toMatchObject({ httpVersion: "1.0", framing: "chunked" });
    expect(sent.exchange.length).toBeNull();
  });

  test("has trailers when the last byte came: none, or those that came", async () => {
    const conn = new MemoryConn();
    for (const [last, trailers] of [
      ["0\r\n\r\n", []],
      ["0\r\nX-T: 1\r\n\r\n", [["X-T", "1"]]],
    ] as const) {
      const sent = await answered(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
      expect(sent.response?.trailers).toBeNull();
      conn.reply(last);
      await conn.settle();
      expect(sent.response?.trailers?.raw).toEqual(trailers);
    }
    const handed = await answered(conn, "HTTP/1.1 200 OK\r\n\r\n", get({ method: "CONNECT" }));
    expect(handed.response?.trailers?.raw).toEqual([]);
  });

  test("tells of its connection, and who had it before", async () => {
    const conn = new MemoryConn({
      proxyUrl: "http://proxy:3128",
      facts: [{ remoteAddress: "10.0.0.1", remotePort: 80 }, {}],
    });
    const facts = {
      id: 1,
      localAddress: null,
      localPort: null,
      remoteAddress: "10.0.0.1",
      remotePort: 80,
      tls: null,
      proxy: "http://proxy:3128",
    };
    expect(conn.conn.info).toEqual({ ...facts, reused: false, served: 0 });
    const first = await answered(conn, OK);
    conn.conn.reused = true;
    const second = await answered(conn, OK);
    expect(first.response?.connection).toEqual({ ...facts, reused: false, served: 0 });
    expect(second.response?.connection).toEqual({ ...facts, reused: true, served: 1 });
    expect(conn.conn.info).toEqual({ ...facts, reused: true, served: 2 });
    expect((await answered(new MemoryConn(), OK)).response?.connection).toMatchObject({ proxy: null });
  });

  test("knows nothing before it is sent", () => {
    const { exchange } = new Sent(get(), new VirtualClock(), {});
    expect(exchange).toMatchObject({ connection: null, length: null, settled: false, nothingWritten: true });
    expect(exchange.trailers()).toBeNull();
    expect(exchange.facts(0)).toEqual({
      origin: "http://peer",
      attempt: 0,
      reused: false,
      bytesSubmitted: 0,
      bytesAccepted: 0,
      bytesRead: 0,
      safeToRetry: true,
    });
  });

  test.each(["HEAD", "GET"])(
    "an answer without a body has nothing to read and nothing that waits: %s",
    async (method) => {
      const reply = method === "HEAD" ? OK.slice(0, -2) : "HTTP/1.1 204 No Content\r\n\r\n";
      const { exchange, response } = await answered(new MemoryConn(), reply, get({ method }));
      expect([exchange.body, exchange.tryRead(), exchange.buffered, exchange.full]).toEqual([null, null, 0, false]);
      exchange.close();
      expect([await response?.text(), response?.body]).toEqual(["", null]);
    },
  );
});

describe("Exchange: content that is encoded", () => {
  const gzip = gzipSync("hello").toString("latin1");
  const encoded = (coding: string, body = gzip) =>
    `HTTP/1.1 200 OK\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`;
  /** MemoryConn writes strings in latin1, so each char code is a byte. */
  const reply = (coding: string, body = gzip) => encoded(coding, body) + body;
  const asked: MemoryConnOptions = { acceptEncoding: "gzip" };

  test.each<[string, MemoryConnOptions, RequestParameters, string, boolean]>([
    ["that was asked for", asked, {}, "gzip", true],
    ["that was asked for, under another name", asked, {}, "identity, X-GZIP", true],
    ["that nobody asked for", {}, {}, "gzip", false],
    ["that the caller asked for", asked, { headers: { "Accept-Encoding": "gzip" } }, "gzip", false],
    ["that nobody knows", asked, {}, "rot13", false],
    ["by nothing", asked, {}, "identity", false],
  ])("%s", async (_, options, init, coding, decoded) => {
    const conn = new MemoryConn(options);
    const sent = await answered(conn, reply(coding), get(init));
    expect(sent.response?.decompressed).toBe(decoded);
    expect(sent.response?.headers.has("content-encoding")).toBe(!decoded);
    const bytes = Buffer.from((await sent.response?.bytes()) ?? []).toString("latin1");
    expect(bytes).toBe(decoded ? "hello" : gzip);
    expect(conn.log).toEqual(["idle"]);
  });

  test("of no byte is none: the fields stay as they came (Go net/http)", async () => {
    const sent = await answered(new MemoryConn(asked), reply("gzip", ""));
    expect(sent.response?.decompressed).toBe(false);
    expect(sent.response?.headers.get("content-encoding")).toBe("gzip");
    expect(await sent.response?.text()).toBe("");
  });

  test("that is corrupt is told with the facts of the attempt", async () => {
    const conn = new MemoryConn(asked);
    const sent = conn.roundTrip(get());
    sent.exchange.trace.attempt = 3;
    await conn.settle();
    conn.reply(reply("gzip", "this is no gzip"));
    await conn.settle();
    const error = await sent.response?.text().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "ERR_HTTP_DECOMPRESS",
      reason: "corrupt",
      origin: "http://peer",
      attempt: 3,
      bytesRead: reply("gzip", "this is no gzip").length,
    });
  });
});

type RequestParameters = NonNullable<Parameters<typeof get>[0]>;

describe("Exchange: it settles once", () => {
  const head = { status: 200, framing: "length", contentLength: 2, contentEncoding: null } as ResponseHead;
  const sent = () => new Sent(get(), new VirtualClock(), {});

  test("an answer that comes behind a failure is none", () => {
    const one = sent();
    expect(one.exchange.fail("enough")).toBe(true);
    expect(one.exchange.answer(head, true, NO_HOST)).toBe(false);
    expect([one.response, one.error, one.overs]).toEqual([null, "enough", 1]);
    expect(one.exchange.settled).toBe(true);
  });

  test("a second answer is none", () => {
    const one = sent();
    expect(one.exchange.answer(head, true, NO_HOST)).toBe(true);
    const { response } = one;
    expect(one.exchange.answer(head, true, NO_HOST)).toBe(false);
    expect(one.response).toBe(response);
    expect([one.overs, one.exchange.settled]).toEqual([0, true]);
  });

  test.each<[string, (one: Sent) => void]>([
    ["a failure", ({ exchange }) => void exchange.fail("first")],
    ["the end", ({ exchange }) => exchange.end()],
    ["a hand-over", ({ exchange }) => exchange.handOver(head, { take: () => null as never, close() {} })],
  ])("a failure behind %s is none", (_, first) => {
    const one = sent();
    first(one);
    const { error, response } = one;
    expect(one.exchange.fail("second")).toBe(false);
    expect([one.error, one.response, one.overs, one.events]).toEqual([error, response, 1, []]);
  });

  test("a failure behind the answer is the body's: what came before it is read first", async () => {
    const one = sent();
    one.exchange.answer(head, true, NO_HOST);
    one.exchange.push(Buffer.from("o"), 0);
    expect(one.exchange.fail("enough")).toBe(true);
    one.exchange.push(Buffer.from("k"), 0); // of the same round, behind a listener that ended it
    expect([one.error, one.overs]).toEqual([null, 1]);
    expect(one.exchange.tryRead()).toHaveLength(1);
    expect(() => one.exchange.tryRead()).toThrow("enough");
    await expect(one.exchange.read()).rejects.toBe("enough");
  });

  test("a failure of an answer without a body has nobody to tell", () => {
    const one = sent();
    one.exchange.answer(head, false, NO_HOST);
    expect(one.exchange.fail("enough")).toBe(true);
    expect([one.error, one.overs, one.events]).toEqual([null, 1, ["body-failed"]]);
  });

  test("a failure gives up what was being sent", async () => {
    const upload = new Upload();
    const one = new Sent(post(upload), new VirtualClock(), {});
    one.exchange.fail("enough");
    expect(upload.returned).toBe(1);
  });

  test.each<[string, (one: Sent) => void]>([
    ["the end", ({ exchange }) => exchange.end()],
    ["a failure", ({ exchange }) => void exchange.fail("enough")],
    ["a hand-over", ({ exchange }) => exchange.handOver(head, { take: () => null as never, close() {} })],
  ])("who waits for its end is told at %s, once, and at once behind it", (_, end) => {
    const one = sent();
    const told: string[] = [];
    one.exchange.whenOver(() => told.push("before"));
    expect(told).toEqual([]);
    end(one);
    expect(told).toEqual(["before"]);
    one.exchange.whenOver(() => told.push("behind"));
    expect(told).toEqual(["before", "behind"]);
    one.exchange.release();
    expect([told.length, one.overs]).toEqual([2, 1]);
  });

  test("code runs in the call's context while there is one, and all the same behind it", () => {
    const one = sent();
    let runs = 0;
    one.exchange.inContext(() => runs++);
    expect([runs, one.inContexts]).toEqual([1, 1]);
    one.exchange.fail("enough");
    one.exchange.inContext(() => runs++);
    expect([runs, one.inContexts]).toEqual([2, 1]);
  });
});

describe("Exchange: what its reader gathers", () => {
  test("a body whose rest must be waited for goes to its place as it comes", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
    const whole = sent.response!.bytes();
    for (const part of ["cde", "fghi", "j"]) {
      conn.reply(part);
      await conn.settle();
    }
    expect(Buffer.from(await whole).toString()).toBe("abcdefghij");
    expect((await whole).buffer.byteLength).toBe(10);
  });

  test("has room for what was announced, from where it was told to begin, and for no byte more", () => {
    const { exchange } = new Sent(get(), new VirtualClock(), {});
    expect(exchange.placeFor(1)).toBeNull();
    const whole = new Uint8Array(10);
    exchange.gatherInto(whole, 4);
    expect(exchange.placeFor(7)).toBeNull();
    exchange.placeFor(2)?.fill(1);
    expect(exchange.placeFor(5)).toBeNull();
    exchange.placeFor(4)?.fill(2);
    expect([...whole]).toEqual([0, 0, 0, 0, 1, 1, 2, 2, 2, 2]);
    expect(exchange.placeFor(1)).toBeNull();
  });

  test("has no place once the body is closed", () => {
    const { exchange } = new Sent(get(), new VirtualClock(), {});
    exchange.gatherInto(new Uint8Array(10), 0);
    exchange.close();
    expect(exchange.placeFor(1)).toBeNull();
  });
});

describe("Exchange: what is read ahead", () => {
  test.each([
    ["64 KiB but a byte", 65_535, []],
    ["64 KiB", 65_536, ["pause"]],
  ])("%s in one chunk", async (_, bytes, calls) => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30 });
    await answered(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    conn.reply("x".repeat(bytes));
    await conn.settle();
    expect(conduit.calls).toEqual(calls);
  });

  test("its body is closed once: a second time gives no more time to what is drained", async () => {
    const { conn, conduit } = watchedConn();
    const { exchange } = await answered(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    exchange.close();
    await conn.clock.advance(40);
    exchange.close();
    expect(conduit.calls).toEqual(["unref"]);
    await conn.clock.advance(10);
    expect(conn.log).toEqual(["closed body-closed-early"]);
  });
});
