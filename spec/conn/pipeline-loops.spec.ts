/** The two loops of a connection with several requests in flight: each step that a whole exchange does not show. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import type { CloseReason } from "../../lib/errors.ts";
import { HttpError } from "../../lib/errors.ts";
import { MemoryConn, RefusingConduit, type Sent, WatchedConduit } from "./memory-conn.ts";
import { answer, at, carrying, factsOf, LOST, pathsIn, proven, provenWatched } from "./pipelined.ts";

beforeEach(() => rethrowInvariants(true));
afterEach(() => rethrowInvariants(false));

const left = new Error("left");
const leave = (conn: MemoryConn, sent: Sent | undefined, reason: CloseReason = "aborted"): void => {
  if (sent !== undefined) conn.conn.abort(sent.exchange, reason, left);
};

describe("WriteLoop.follow()", () => {
  test("writes nothing where all who came have left before", async () => {
    const { conn, conduit } = await provenWatched();
    conn.roundTrip(at("/a"));
    await conn.settle();
    conduit.writes.length = 0;
    leave(conn, conn.follow(at("/b")));
    await conn.settle();
    expect(conduit.writes).toEqual([]);
    expect(conn.conn.closeReason).toBe(null);
  });

  test("tells of each request what it writes, as of one that is alone", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    conn.reply(answer("1") + answer("2") + answer("3"));
    await conn.settle();
    const asked = (fields: unknown) => (fields as () => unknown)();
    const [alone, ...behind] = sent.map((one) => [
      ...one.details("request-write").map((write) => ({ ...write, headers: asked(write["headers"]) })),
      ...one.details("request-head").map(({ fields }) => asked(fields)),
      ...one.details("request-sent"),
    ]);
    const bytes = "GET /a HTTP/1.1\r\nHost: peer\r\nAccept: */*\r\n\r\n".length;
    const headers = [
      ["Host", "peer"],
      ["Accept", "*/*"],
    ];
    expect(alone).toEqual([{ bytes, target: "/a", headers }, headers, { bytes }]);
    expect(behind).toEqual(["/b", "/c"].map((target) => [{ bytes, target, headers }, headers, { bytes }]));
  });

  test("stops where a listener that hears of a request closes the connection", async () => {
    const { conn, conduit } = await provenWatched();
    conn.roundTrip(at("/a"));
    await conn.settle();
    conduit.writes.length = 0;
    const b = conn.follow(at("/b"));
    const c = conn.follow(at("/c"));
    b.onEvent = ({ type }) => {
      if (type === "request-write") conn.conn.close("transport-closed");
    };
    await conn.settle();
    expect(conduit.writes).toEqual([]);
    expect([b.events, c.events]).toEqual([["request-write"], []]);
    expect(conn.log).toEqual(["closed transport-closed"]);
  });

  test("stops where a listener that hears of a head closes the connection: nobody is told to be sent, nor of a head behind it", async () => {
    const conn = await proven();
    conn.roundTrip(at("/a"));
    await conn.settle();
    const b = conn.follow(at("/b"));
    const c = conn.follow(at("/c"));
    b.onEvent = ({ type }) => {
      if (type === "request-head") conn.conn.close("transport-closed");
    };
    await conn.settle();
    expect(b.events).toEqual(["request-write", "request-head"]);
    expect(c.events).toEqual(["request-write"]);
    expect(factsOf(b)).toMatchObject({ ...LOST, written: true, phase: "headers" });
    expect(conn.log).toEqual(["closed transport-closed"]);
  });

  test("stops where a listener that hears that one is sent closes the connection: the next is not told so", async () => {
    const conn = await proven();
    conn.roundTrip(at("/a"));
    await conn.settle();
    const b = conn.follow(at("/b"));
    const c = conn.follow(at("/c"));
    b.onEvent = ({ type }) => {
      if (type === "request-sent") conn.conn.close("transport-closed");
    };
    await conn.settle();
    expect(b.events).toEqual(["request-write", "request-head", "request-sent"]);
    expect(c.events).toEqual(["request-write", "request-head"]);
  });

  test("a refusal proves nothing behind bytes that still wait, nor on a conduit whose refusals prove nothing", async () => {
    for (const [waiting, proves, written] of [
      [0, true, false],
      [5, true, true],
      [0, false, true],
    ] as const) {
      let conduit: WatchedConduit | undefined;
      const conn = await proven({}, (near) => {
        conduit = new WatchedConduit(near);
        return new RefusingConduit(conduit, 3, proves);
      });
      const a = conn.roundTrip(at("/a"));
      await conn.settle();
      if (conduit !== undefined) conduit.pending = waiting;
      const b = conn.follow(at("/b"));
      await conn.settle();
      expect(conn.conn.takesFollower(10)).toBe(false); // nothing can be written behind it any more
      conn.reply(answer("in time"));
      await conn.settle();
      expect(await a.response?.text()).toBe("in time");
      expect(factsOf(b)).toMatchObject({ ...LOST, written });
    }
  });

  test("a refusal, and then no answer, fails the one in front with what was refused", async () => {
    const conn = await proven({}, (near) => new RefusingConduit(near, 3));
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    const b = conn.follow(at("/b"));
    await conn.clock.advance(999);
    expect([a.error, b.error]).toEqual([null, null]);
    await conn.clock.advance(1);
    expect(a.error).toMatchObject({
      message: "Cannot read response head from peer:80: connection lost after 0 bytes",
      cause: {
        message: "Cannot write request to peer:80: the connection was lost before it was written",
        phase: "write",
        cause: { code: "EPIPE" },
      },
    });
    expect(factsOf(b)).toMatchObject({ ...LOST, written: false });
    expect(conn.log).toEqual(["closed socket-error"]);
  });

  test("a conduit that throws is a broken rule, told to all", async () => {
    rethrowInvariants(false);
    const { conn, conduit } = await provenWatched();
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    conduit.onWrite = () => {
      throw new Error("no such thing");
    };
    const b = conn.follow(at("/b"));
    await conn.settle();
    expect(a.error).toMatchObject({ code: "ERR_HTTP_INVARIANT", cause: { message: "no such thing" } });
    expect(factsOf(b)).toMatchObject({ ...LOST, written: false });
    expect(conn.log).toEqual(["closed invariant"]);
  });
});

describe("pipelined requests that the kernel has not confirmed", () => {
  /** `a` sent, and behind it others in one write that is never confirmed. */
  async function unconfirmed(...paths: string[]) {
    const { conn, conduit } = await provenWatched();
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    conduit.pending = 1;
    const behind = paths.map((path) => conn.follow(at(path)));
    await conn.settle();
    return { conn, conduit, sent: [a, ...behind] };
  }
  const isSent = ({ events }: Sent): boolean => events.includes("request-sent");

  test("an answer tells that its request is sent, and those before it; not those behind", async () => {
    const { conn, sent } = await unconfirmed("/b", "/c", "/d");
    expect(sent.map(isSent)).toEqual([true, false, false, false]);
    conn.reply(answer("1"));
    await conn.settle();
    expect(sent.map(isSent)).toEqual([true, false, false, false]);
    conn.reply(answer("2"));
    await conn.settle();
    expect(sent.map(isSent)).toEqual([true, true, false, false]);
    conn.reply(answer("3"));
    await conn.settle();
    expect(sent.map(isSent)).toEqual([true, true, true, false]);
    conn.reply(answer("4"));
    await conn.settle();
    expect(await Promise.all(sent.map(({ response }) => response?.text()))).toEqual(["1", "2", "3", "4"]);
    expect(sent.map(isSent)).toEqual([true, true, true, true]);
    expect(conn.log).toEqual(["next", "next", "next", "idle"]);
    expect(conn.clock.armed).toBe(0); // nobody waits for the kernel any more
  });

  test("a confirmation behind all answers changes nothing, and the connection serves the next", async () => {
    const { conn, conduit, sent } = await unconfirmed("/b");
    conn.reply(answer("1") + answer("2"));
    await conn.settle();
    conduit.pending = 0;
    conduit.sink.drained();
    await conn.settle();
    expect(sent[1]?.events.filter((type) => type === "request-sent")).toHaveLength(1);
    expect(conn.log).toEqual(["next", "idle"]);
    const more = conn.roundTrip(at("/more"));
    await conn.settle();
    conn.reply(answer("more"));
    await conn.settle();
    expect(await more.response?.text()).toBe("more");
  });

  test("a confirmation tells that all of them are sent, once", async () => {
    const { conn, conduit, sent } = await unconfirmed("/b", "/c");
    conduit.pending = 0;
    conduit.sink.drained();
    await conn.settle();
    expect(sent.map(isSent)).toEqual([true, true, true]);
    conn.reply(answer("1") + answer("2") + answer("3"));
    await conn.settle();
    for (const { events } of sent) expect(events.filter((type) => type === "request-sent")).toHaveLength(1);
    expect(conn.log).toEqual(["next", "next", "idle"]);
  });

  test("a body in front whose reader leaves is drained all the same: its own request is written", async () => {
    const { conn, sent } = await unconfirmed("/b");
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhal");
    await conn.settle();
    await sent[0]?.response?.close();
    expect(conn.log).toEqual([]);
    conn.reply(`ves${answer("2")}`);
    await conn.settle();
    expect(await sent[1]?.response?.text()).toBe("2");
    expect(conn.log).toEqual(["next", "idle"]);
  });

  test("one that is sent behind another gives that no more time for its head", async () => {
    const conn = await proven({ responseHeaderTimeout: 1_000 });
    const front = conn.roundTrip(at("/a"));
    await conn.clock.advance(500);
    conn.follow(at("/b"));
    await conn.clock.advance(499);
    expect(front.error).toBe(null);
    await conn.clock.advance(1);
    expect(front.error).toMatchObject({ option: "responseHeaderTimeout", limit: 1_000 });
  });

  test("one that is confirmed before its turn waits for its head from its turn on", async () => {
    const conn = await proven({ responseHeaderTimeout: 1_000, writeTimeout: 5_000 });
    conn.roundTrip(at("/a"));
    await conn.clock.advance(500);
    const b = conn.follow(at("/b"));
    await conn.clock.advance(400);
    conn.reply(answer("1"));
    await conn.clock.advance(999);
    expect([b.error, conn.clock.armed]).toEqual([null, 1]);
    await conn.clock.advance(1);
    expect(b.error).toMatchObject({ option: "responseHeaderTimeout", limit: 1_000 });
  });

  test("writeTimeout counts from the turn on, and from each byte that is taken then", async () => {
    const { conn, conduit } = await provenWatched();
    const a = conn.roundTrip(at("/a"));
    await conn.settle();
    conduit.pending = 100;
    const b = conn.follow(at("/b"));
    await conn.settle();
    const limit = b.exchange.limits.writeTimeout;
    conduit.pending = 60; // taken before its turn
    conn.reply(answer("1"));
    await conn.clock.advance(limit - 1);
    expect([await a.response?.text(), b.error]).toEqual(["1", null]);
    conduit.pending = 50; // taken in its turn
    await conn.clock.advance(limit);
    expect(b.error).toBe(null);
    await conn.clock.advance(1);
    expect(b.error).toMatchObject({ option: "writeTimeout", phase: "write" });
  });
});

describe("the answers of pipelined requests", () => {
  test("each has the bytes that are its own, however they are read", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    const parts = [answer("first"), answer("2"), answer("third")];
    conn.reply(parts.join("").slice(0, -8));
    await conn.settle();
    const read = () => sent.map(({ exchange }) => exchange.bytesRead);
    const [one = "", two = "", three = ""] = parts;
    expect(read()).toEqual([one.length, two.length, three.length - 8]);
    conn.reply(three.slice(-8));
    await conn.settle();
    expect(read()).toEqual(parts.map(({ length }) => length));
    expect(sent.flatMap((each) => each.details("end"))).toEqual(parts.map(({ length }) => ({ bytes: length })));
  });

  test("a broken one says after how many of its own bytes", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    const broken = "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n";
    conn.reply(answer("first") + broken);
    await conn.settle();
    expect(sent[1]?.error).toMatchObject({ code: "ERR_HTTP_REMOTE_PROTOCOL", bytesRead: broken.length });
  });

  test("one that nobody wants, without a body, says close as others do", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    leave(conn, sent[0]);
    conn.reply("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    await conn.settle();
    expect(conn.log).toEqual(["closed response-says-close"]);
    expect(factsOf(sent[1]!)).toMatchObject({ ...LOST, unprocessed: true });
  });

  test("one whose caller leaves when it hears of the head is dropped, and those behind get theirs", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    sent[0]!.onEvent = ({ type }) => {
      if (type === "head") leave(conn, sent[0]);
    };
    conn.reply(answer("1") + answer("2"));
    await conn.settle();
    expect([sent[0]?.error, sent[0]?.response]).toEqual([left, null]);
    expect(await sent[1]?.response?.text()).toBe("2");
    expect(conn.log).toEqual(["next", "idle"]);
  });

  test("one that nobody wants is dropped up to 256 KiB, also where its length is not said", async () => {
    for (const [chunks, log] of [
      [4, ["next", "idle"]],
      [5, ["closed body-closed-early"]],
    ] as const) {
      const { conn, sent } = await carrying("/a", "/b");
      leave(conn, sent[0]);
      conn.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (let i = 0; i < chunks; i++) {
        conn.reply(`10000\r\n${"x".repeat(65_536)}\r\n`);
        await conn.settle();
      }
      conn.reply(`0\r\n\r\n${answer("2")}`);
      await conn.settle();
      expect(conn.log).toEqual(log);
    }
  });

  test("while one is dropped the process is held for those behind; behind the last it is not", async () => {
    const { conn, conduit } = await provenWatched();
    const a = conn.roundTrip(at("/a"));
    const b = conn.follow(at("/b"));
    await conn.settle();
    conduit.calls.length = 0;
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1");
    await conn.settle();
    await a.response?.close();
    expect(conduit.calls).not.toContain("unref");
    conn.reply("23HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n1");
    await conn.settle();
    await b.response?.close();
    expect(conduit.calls).toContain("unref");
  });
});

describe("PersistConn with a line", () => {
  test("follow() where nothing is in flight says so", async () => {
    const conn = await proven();
    const words = "Cannot pipeline request to peer:80: nothing is in flight";
    expect(() => conn.follow(at("/"))).toThrow(words);
    conn.roundTrip(at("/a"));
    conn.conn.close("transport-closed");
    expect(() => conn.follow(at("/"))).toThrow(words);
  });

  test("callsInFlight names those whose answers are to come", async () => {
    const conn = await proven();
    expect(conn.conn.callsInFlight).toEqual([]);
    const a = conn.roundTrip(at("/a"));
    const b = conn.follow(at("/b"));
    expect(conn.conn.callsInFlight).toEqual([a.exchange.trace.id, b.exchange.trace.id]);
  });

  test("a follower knows its connection from the start, and that it was used before", async () => {
    const conn = await proven();
    conn.roundTrip(at("/a"));
    const { exchange } = conn.follow(at("/b"));
    expect([exchange.reused, exchange.trace.connection, exchange.connectionFacts?.id]).toEqual([true, 1, 1]);
  });

  test("abort() of one that stands nowhere fails it, and nobody else", async () => {
    const { conn } = await carrying("/a", "/b");
    const other = new MemoryConn().roundTrip(at("/other"));
    leave(conn, other);
    expect(other.error).toBe(left);
    expect(conn.log).toEqual([]);
  });

  test("abort() of one behind, where the one in front has left and another is wanted: goes on", async () => {
    const { conn, sent } = await carrying("/a", "/b", "/c");
    leave(conn, sent[0]);
    leave(conn, sent[1]);
    expect(conn.log).toEqual([]);
    conn.reply(answer("1") + answer("2") + answer("3"));
    await conn.settle();
    expect(await sent[2]?.response?.text()).toBe("3");
  });

  test("tells its owner whether anybody is about to hear of a failure, be it only behind", async () => {
    for (const [reply, left, expected] of [
      ["", [], true],
      ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", [], true],
      ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", [1], false],
    ] as const) {
      const { conn, sent } = await carrying("/a", "/b");
      const told: boolean[] = [];
      Object.assign(conn, { connClosed: (_conn: unknown, _reason: CloseReason, some: boolean) => told.push(some) });
      conn.reply(reply);
      await conn.settle();
      for (const i of left) leave(conn, sent[i]);
      conn.conn.close("socket-error");
      expect(told).toEqual([expected]);
    }
  });

  test("an answer that said close and was cut off says nothing of those behind", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    conn.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nab");
    await conn.settle();
    conn.peer.reset();
    await conn.settle();
    expect(conn.log).toEqual(["closed socket-error"]);
    expect(sent[1]?.error).toBeInstanceOf(HttpError);
    expect(factsOf(sent[1]!)).toMatchObject({ ...LOST, unprocessed: undefined });
  });

  test("those that came while others were written go out when these are sent, all of them", async () => {
    const { conn, conduit } = await provenWatched();
    conn.roundTrip(at("/a"));
    await conn.settle();
    conduit.pending = 1;
    conn.follow(at("/b"));
    await conn.settle();
    conn.follow(at("/c"));
    conn.follow(at("/d"));
    await conn.settle();
    expect(pathsIn(conn.takeWritten())).toEqual(["/a", "/b"]);
    conduit.pending = 0;
    conduit.sink.drained();
    await conn.settle();
    expect(pathsIn(conn.takeWritten())).toEqual(["/c", "/d"]);
  });
});
