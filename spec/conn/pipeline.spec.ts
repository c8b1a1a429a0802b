/** One connection with several requests in flight (RFC 9112 §9.3.2): whose answer is whose, and who loses what when it ends. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { pipelines } from "../../lib/conn/pipeline.ts";
import { type HttpError, InvariantError, TransportClosedError } from "../../lib/errors.ts";
import { Request, type RequestInit } from "../../lib/message/request.ts";
import { writeHead } from "../../lib/wire/request-writer.ts";
import { MemoryConn, post, RefusingConduit, type Sent } from "./memory-conn.ts";
import { answer, at, carrying, factsOf, LOST, pathsIn, proven } from "./pipelined.ts";

describe("pipelines()", () => {
  const headOf = (method: string, init: RequestInit) => {
    const request = new Request("http://peer/", { method, ...init });
    const body = request.body?.open() ?? null;
    return writeHead(
      {
        method,
        scheme: "http",
        authority: "peer",
        target: "/",
        fields: request.pairs,
        bodyLength: body === null ? undefined : body.length,
        contentType: null,
        trailerNames: null,
        expectContinue: request.expectContinue,
      },
      { userAgent: "", acceptEncoding: null, absoluteForm: false, close: false, extra: [] },
    );
  };
  const table: [string, string, RequestInit, boolean][] = [
    ["GET", "GET", {}, true],
    ["HEAD", "HEAD", {}, true],
    ["OPTIONS", "OPTIONS", {}, true],
    ["GET with a body", "GET", { body: "x" }, false],
    ["GET with an upgrade", "GET", { headers: { Upgrade: "websocket" } }, false],
    ["GET that says close", "GET", { headers: { Connection: "close" } }, false],
    ["POST, which is not idempotent", "POST", {}, false],
    ["PUT, which has a body", "PUT", { body: "x" }, false],
    ["DELETE, which may not be asked twice lightly", "DELETE", {}, false],
    ["TRACE", "TRACE", {}, false],
  ];
  test.each(table)("%s (RFC 9112 §9.3.2, RFC 9110 §9.2.2)", (_name, method, init, expected) => {
    expect(pipelines(method, headOf(method, init))).toBe(expected);
  });
});

describe("PersistConn.takesFollower()", () => {
  test("not before an answer has come to its end on the connection (RFC 9112 §9.3.2)", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(at("/"));
    await conn.settle();
    expect(conn.conn.takesFollower(10)).toBe(false);
  });

  test("not after an HTTP/1.0 answer, though it keeps the connection", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(at("/"));
    await conn.settle();
    conn.reply("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
    await conn.settle();
    expect(conn.log).toEqual(["idle"]);
    conn.roundTrip(at("/"));
    expect(conn.conn.takesFollower(10)).toBe(false);
  });

  test("not where nothing is in flight, nor behind what is not to be pipelined", async () => {
    const conn = await proven();
    expect(conn.conn.takesFollower(10)).toBe(false);
    conn.roundTrip(post("x"));
    expect(conn.conn.takesFollower(10)).toBe(false);
    expect(() => new MemoryConn().follow(at("/"))).toThrow(InvariantError);
  });

  test("up to so many in flight", async () => {
    const conn = await proven();
    conn.roundTrip(at("/a"));
    expect([1, 2].map((max) => conn.conn.takesFollower(max))).toEqual([false, true]);
    conn.follow(at("/b"));
    expect([2, 3].map((max) => conn.conn.takesFollower(max))).toEqual([false, true]);
    expect(inspect(conn.conn)).toBe("PersistConn { peer:80, read idle, write idle, 1 behind, 1 served }");
  });

  test("not behind an answer that says close, or that its reader has closed, or is slow to read", async () => {
    const closing = await carrying("/a");
    closing.conn.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n");
    await closing.conn.settle();
    expect(closing.conn.conn.takesFollower(10)).toBe(false);

    const closed = await carrying("/a");
    closed.conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    await closed.conn.settle();
    expect(closed.conn.conn.takesFollower(10)).toBe(true);
    await closed.sent[0]?.response?.close();
    expect(closed.conn.conn.takesFollower(10)).toBe(false);

    const slow = await carrying("/a");
    slow.conn.reply(`HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${"x".repeat(100_000)}`);
    await slow.conn.settle();
    expect(slow.conn.conn.takesFollower(10)).toBe(false);
  });
});

describe("PersistConn.follow()", () => {
  test("writes what comes in one turn of the loop as one piece, in order", async () => {
    const conn = await proven();
    const writes: string[] = [];
    conn.peer.attach({
      data: (view, n) => writes.push(Buffer.from(view.subarray(0, n)).toString("latin1")),
      drained() {},
      end() {},
      error() {},
    });
    conn.roundTrip(at("/a"));
    for (const path of ["/b", "/c", "/d"]) conn.follow(at(path));
    await conn.settle();
    expect(pathsIn(writes.join(""))).toEqual(["/a", "/b", "/c", "/d"]);
  });

  test("answers come in the order of the requests, whole or in pieces", async () => {
    for (const size of [1, 7, 1_000]) {
      const { conn, sent } = await carrying("/a", "/b", "/c");
      const all = answer("first") + answer("") + answer("third");
      for (let i = 0; i < all.length; i += size) {
        conn.reply(all.slice(i, i + size));
        await conn.settle();
      }
      expect(await Promise.all(sent.map(({ response }) => response?.text()))).toEqual(["first", "", "third"]);
      expect(conn.log).toEqual(["next", "next", "idle"]);
      expect(sent.map(({ overs }) => overs)).toEqual([1, 1, 1]);
      expect(sent.map(({ response }) => response?.connection?.served)).toEqual([1, 2, 3]);
      expect(sent.map(({ response }) => response?.connection?.reused)).toEqual([false, true, true]);
    }
  });

  test("a HEAD in the middle has no body, and a 1xx belongs to whose turn it is", async () => {
    const conn = await proven();
    const a = conn.roundTrip(at("/a"));
    const b = conn.follow(at("/b", { method: "HEAD" }));
    const c = conn.follow(at("/c"));
    await conn.settle();
    conn.reply(
      `${answer("one")}HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n${answer("two")}`,
    );
    await conn.settle();
    expect([a.informed, b.informed, c.informed]).toEqual([[], [103], []]);
    expect([await a.response?.text(), b.response?.body, await c.response?.text()]).toEqual(["one", null, "two"]);
  });

  test("a slow reader of one answer holds those behind it", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.reply(`HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n${"x".repeat(100_000)}`);
    await conn.settle();
    conn.reply("x".repeat(300_000));
    conn.reply(answer("second"));
    await conn.settle();
    expect(sent[1]?.response).toBe(null);
    expect((await sent[0]?.response?.bytes())?.length).toBe(400_000);
    await conn.settle();
    expect(await sent[1]?.response?.text()).toBe("second");
  });

  test("bytes behind the last answer close the connection, and fail nobody", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.reply(`${answer("1")}${answer("2")}HTTP/1.1 200 OK\r\n`);
    await conn.settle();
    expect(await sent[1]?.response?.text()).toBe("2");
    expect(conn.log).toEqual(["next", "closed unsolicited-bytes"]);
  });

  test("bytes that come before a request has left are not its answer (RFC 9112 §9.2)", async () => {
    const { conn, sent } = await carrying("/a");
    const late = conn.follow(at("/b"));
    conn.peer.write(answer("1") + answer("unasked"));
    conn.conn.abort(late.exchange, "aborted", "left"); // before it was written
    await conn.settle();
    expect(await sent[0]?.response?.text()).toBe("1");
    expect(conn.log).toEqual(["closed unsolicited-bytes"]);
  });

  test("waits with its write until the kernel has taken the last one", async () => {
    const conn = await proven({ window: 60 });
    conn.roundTrip(at("/a"));
    conn.follow(at("/b"));
    await conn.settle();
    conn.follow(at("/c"));
    await conn.settle();
    expect(pathsIn(conn.takeWritten())).toEqual(["/a", "/b", "/c"]);
    conn.reply(answer("1") + answer("2") + answer("3"));
    await conn.settle();
    expect(conn.log).toEqual(["next", "next", "idle"]);
  });

  test("writes what came while the last write was outstanding, whoever is in front", async () => {
    const conn = await proven({ window: 60 });
    conn.roundTrip(at("/a"));
    await conn.settle();
    conn.peer.pause();
    conn.follow(at(`/${"b".repeat(200)}`));
    await Promise.resolve();
    conn.follow(at("/c"));
    await conn.settle();
    expect(conn.takeWritten()).not.toContain("GET /c");
    conn.peer.resume();
    await conn.settle();
    expect(conn.takeWritten()).toContain("GET /c");
  });

  test("one whose turn comes before it was written goes out as any other", async () => {
    const { conn, sent } = await carrying("/a");
    conn.peer.write(answer("1"));
    const b = conn.follow(at("/b")); // the answer is delivered before the line is written
    conn.follow(at("/c"));
    await conn.settle();
    expect(conn.log).toEqual(["next"]);
    expect(pathsIn(conn.takeWritten())).toEqual(["/b", "/c"]);
    conn.reply(answer("2") + answer("3"));
    await conn.settle();
    expect([await sent[0]?.response?.text(), await b.response?.text()]).toEqual(["1", "2"]);
    expect(conn.log).toEqual(["next", "next", "idle"]);
  });

  test("traces each request as if it were alone", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.reply(answer("1") + answer("2"));
    await conn.settle();
    const told = ["request-write", "request-head", "request-sent", "first-byte", "head", "body-data", "end"];
    expect(sent.map(({ events }) => events)).toEqual([told, told]);
  });
});

describe("what the end of a pipelined connection costs", () => {
  test("behind an answer that says close nothing was processed (RFC 9112 §9.6)", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    conn.reply(answer("last", "Connection: close"));
    await conn.settle();
    expect(await sent[0]?.response?.text()).toBe("last");
    for (const lost of sent.slice(1))
      expect(factsOf(lost)).toMatchObject({ ...LOST, unprocessed: true, written: true });
    expect(conn.log).toEqual(["closed response-says-close"]);
  });

  test.each([
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "response-says-close"],
    ["an answer that only the close ends", "HTTP/1.1 200 OK\r\n\r\nto the end", "close-delimited"],
  ])("behind %s nobody knows: it was written, and is idempotent", async (_what, text, reason) => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.reply(text);
    conn.peer.end();
    await conn.settle();
    expect(sent[0]?.response?.status).toBe(200);
    expect(factsOf(sent[1]!)).toMatchObject({ ...LOST, unprocessed: undefined, written: true, phase: "headers" });
    expect(conn.log).toEqual([`closed ${reason}`]);
  });

  test("a server that ends without a word: the oldest was in front, the others behind it", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    conn.reply(answer("1"));
    conn.peer.end();
    await conn.settle();
    expect(factsOf(sent[1]!)).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", behind: undefined, written: true });
    expect(factsOf(sent[2]!)).toMatchObject({ ...LOST, written: true });
    expect(conn.log).toEqual(["next", "closed server-closed"]);
  });

  test("what was not written is told apart from what was", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    const late = conn.follow(at("/c"));
    conn.conn.close("transport-closed");
    expect(factsOf(sent[1]!)).toMatchObject({ ...LOST, written: true, phase: "headers" });
    expect(factsOf(late)).toMatchObject({ ...LOST, written: false, phase: "write" });
    await conn.settle();
    expect(conn.takeWritten()).toBe("");
  });

  test("bytes that the kernel never took are reckoned from the last request on", async () => {
    const conn = await proven({ window: 60 });
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    const long = at(`/${"b".repeat(200)}`);
    const b = conn.follow(long);
    await Promise.resolve();
    await Promise.resolve();
    conn.conn.close("socket-error");
    expect(a.facts).toMatchObject({ bytesAccepted: a.exchange.bytesSubmitted });
    expect(b.exchange.bytesSubmitted).toBeGreaterThan(200);
    expect((b.error as HttpError).bytesAccepted).toBeLessThan(b.exchange.bytesSubmitted);
  });

  test("a write that is refused leaves the answer in front time to come, and proves that nothing was written", async () => {
    const conn = await proven({}, (near) => new RefusingConduit(near, 3));
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    const b = conn.follow(at("/b"));
    await conn.settle();
    expect(b.error).toBe(null);
    conn.reply(answer("in time"));
    await conn.settle();
    expect(await a.response?.text()).toBe("in time");
    expect(factsOf(b)).toMatchObject({ ...LOST, written: false });
    expect(conn.log).toEqual(["closed write-unfinished"]);
  });

  test("a write that is refused, and no answer: each hears its own story", async () => {
    const conn = await proven({}, (near) => new RefusingConduit(near, 3));
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    const b = conn.follow(at("/b"));
    await conn.settle();
    conn.peer.reset();
    await conn.settle();
    expect(a.facts).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", phase: "headers" });
    expect(factsOf(b)).toMatchObject({ ...LOST, written: false });
    expect(conn.log).toEqual(["closed socket-error"]);
  });

  test("destroyed: all hear why", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    const reason = new Error("enough");
    conn.conn.close("transport-destroyed", reason);
    expect(sent.map(({ error }) => error)).toEqual([reason, reason, reason]);

    const other = await carrying("/a", "/b");
    other.conn.conn.close("transport-destroyed", new TransportClosedError("gone"));
    expect(other.sent[0]?.error).not.toBe(other.sent[1]?.error); // each has its own facts
    expect(other.sent[1]?.error).toBeInstanceOf(TransportClosedError);
  });

  test("the oldest hears first, the others from the last on: each goes before the one that it stood before", async () => {
    for (const front of ["waits", "has its answer"]) {
      const { conn, sent } = await carrying("/a", "/b", "/c", "/d");
      const order: number[] = [];
      for (const [i, one] of sent.entries()) one.failed = () => order.push(i);
      if (front !== "waits") conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
      await conn.settle();
      conn.conn.close("socket-error");
      expect(order).toEqual(front === "waits" ? [0, 3, 2, 1] : [1, 3, 2]);
    }
  });
});

describe("a caller that leaves a pipelined connection", () => {
  const left = new Error("left");
  const leave = (conn: MemoryConn, sent: Sent) => conn.conn.abort(sent.exchange, "aborted", left);

  test("before its request is written: nobody notices", async () => {
    const { conn, sent } = await carrying("/a");
    const b = conn.follow(at("/b"));
    const c = conn.follow(at("/c"));
    leave(conn, b);
    await conn.settle();
    expect(pathsIn(conn.takeWritten())).toEqual(["/c"]);
    conn.reply(answer("1") + answer("3"));
    await conn.settle();
    expect([await sent[0]?.response?.text(), b.error, await c.response?.text()]).toEqual(["1", left, "3"]);
    expect(conn.log).toEqual(["next", "idle"]);
  });

  test("behind others: its answer is read and dropped, and those around it get theirs", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    leave(conn, sent[1]!);
    expect(sent[1]?.error).toBe(left);
    conn.reply(answer("1") + answer("x".repeat(70_000)) + answer("3"));
    await conn.settle();
    expect([await sent[0]?.response?.text(), await sent[2]?.response?.text()]).toEqual(["1", "3"]);
    expect(conn.log).toEqual(["next", "next", "idle"]);
    expect(sent[1]?.overs).toBe(1);
  });

  test("behind others, whose answer is large: closed when its turn has come, and those behind are told", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    leave(conn, sent[1]!);
    conn.reply(`${answer("1")}HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n`);
    await conn.settle();
    expect(await sent[0]?.response?.text()).toBe("1");
    expect(factsOf(sent[2]!)).toMatchObject({ ...LOST, written: true });
    expect(conn.log).toEqual(["next", "closed body-closed-early"]);
  });

  test("in front, before its head: that is waited for, and its answer dropped", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    leave(conn, sent[0]!);
    expect(sent[0]?.error).toBe(left);
    await conn.clock.advance(1_000);
    expect(conn.log).toEqual([]);
    conn.reply(`HTTP/1.1 103 Early Hints\r\n\r\n${answer("1")}${answer("2")}`);
    await conn.settle();
    expect(sent[0]?.informed).toEqual([]);
    expect(await sent[1]?.response?.text()).toBe("2");
    expect(conn.log).toEqual(["next", "idle"]);
  });

  test("in front, its head too late: closed by its limit, and those behind are told", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    leave(conn, sent[0]!);
    await conn.clock.advance(300_000);
    expect(factsOf(sent[1]!)).toMatchObject({ ...LOST, written: true });
    expect(conn.log).toEqual(["closed timeout"]);
  });

  test("in front, in the middle of its body: drained within 50 ms, or closed", async () => {
    for (const [ms, log] of [
      [49, ["next", "idle"]],
      [50, ["closed body-closed-early"]],
    ] as const) {
      const { conn, sent } = await carrying("/a", "/b");
      conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhal");
      await conn.settle();
      leave(conn, sent[0]!);
      await expect(sent[0]?.response?.text()).rejects.toBe(left);
      await conn.clock.advance(ms);
      conn.reply(`ves${answer("2")}`);
      await conn.settle();
      expect(conn.log).toEqual(log);
      expect(sent[1]?.response?.status).toBe(log.length === 2 ? 200 : undefined);
    }
  });

  test("in front, where those behind are not written: closed, and they have lost nothing", async () => {
    const { conn, sent } = await carrying("/a");
    const b = conn.follow(at("/b"));
    leave(conn, sent[0]!);
    expect(factsOf(b)).toMatchObject({ ...LOST, written: false });
    expect(conn.log).toEqual(["closed aborted"]);
  });

  test("in front, since its whole time is up: closed, since its server keeps all others waiting", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.conn.abort(sent[0]!.exchange, "timeout", left);
    expect(sent[0]?.error).toBe(left);
    expect(factsOf(sent[1]!)).toMatchObject({ ...LOST, written: true });
  });

  test("the last one that anybody waits for: closed", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    leave(conn, sent[1]!);
    leave(conn, sent[0]!);
    expect(conn.log).toEqual([]);
    leave(conn, sent[2]!);
    expect(conn.log).toEqual(["closed aborted"]);
    expect(sent.map(({ error }) => error)).toEqual([left, left, left]);
  });

  test("and the answer in front of it ends: closed, where nobody waits for what is to come", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    leave(conn, sent[1]!);
    const late = conn.follow(at("/c"));
    conn.reply(answer("1"));
    leave(conn, late);
    await conn.settle();
    expect(await sent[0]?.response?.text()).toBe("1");
    expect(conn.log).toEqual(["closed aborted"]);
  });

  test("an answer that its reader closes is drained as usual, and holds the process for those behind it", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhal");
    await conn.settle();
    await sent[0]?.response?.close();
    conn.reply(`ves${answer("2")}`);
    await conn.settle();
    expect(await sent[1]?.response?.text()).toBe("2");
    expect(conn.log).toEqual(["next", "idle"]);
  });
});

describe("time limits of pipelined requests", () => {
  test("responseHeaderTimeout runs from the request's turn on, not from its write", async () => {
    const conn = await proven({ responseHeaderTimeout: 1_000 });
    conn.roundTrip(at("/a"));
    const b = conn.follow(at("/b"));
    await conn.clock.advance(900);
    conn.reply(answer("1"));
    await conn.clock.advance(999);
    expect(b.error).toBe(null);
    await conn.clock.advance(1);
    expect(b.error).toMatchObject({ option: "responseHeaderTimeout", limit: 1_000 });
    expect(conn.clock.armed).toBe(0);
  });

  test("writeTimeout too: what is in front may keep the server from reading", async () => {
    const conn = await proven({ window: 60, writeTimeout: 1_000 });
    conn.roundTrip(at("/a"));
    await conn.settle();
    conn.peer.pause(); // reads nothing more
    const b = conn.follow(at(`/${"b".repeat(200)}`));
    await conn.clock.advance(5_000);
    expect(conn.log).toEqual([]);
    conn.reply(answer("1"));
    await conn.clock.advance(999);
    expect(b.error).toBe(null);
    await conn.clock.advance(1);
    expect(b.error).toMatchObject({ option: "writeTimeout", phase: "write" });
  });
});
