/**
 * The read side of one connection, over memory and on virtual time: what each byte, end, error and silence of the peer
 * comes to, in every state; in the words that a caller reads and with the reason that its owner is told.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import type { BodySource } from "../../lib/message/response-body.ts";
import { allocParser, freeParser } from "../../lib/wire/llhttp/binding.ts";
import { Upload } from "../support/upload.ts";
import {
  get,
  MemoryConn,
  type MemoryConnOptions,
  post,
  type Sent,
  WatchedConduit,
  watchedConn,
} from "./memory-conn.ts";
import { carrying } from "./pipelined.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LONG = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const READ_AHEAD = 64 * 1024;
const DRAIN_MAX = 256 * 1024;

// What would be a broken rule of ours is an uncaught exception here.
beforeEach(() => rethrowInvariants(true));
afterEach(() => rethrowInvariants(false));

/** What has to run before something that was made ready in this task is told. */
async function microtasks(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

/** Sends a request, and lets the peer answer with `reply`. */
async function answered(conn: MemoryConn, reply: string, request = get()): Promise<Sent> {
  const sent = conn.roundTrip(request);
  await conn.settle();
  conn.takeWritten();
  conn.reply(reply);
  await conn.settle();
  return sent;
}

/** The body as the connection gives it: a Response's reading takes more than one chunk at once. */
function source(sent: Sent): BodySource {
  const { body } = sent.exchange;
  if (body === null) throw new Error("There is no body");
  return body;
}

const words = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : `${error}`);

/** What the body's reader gets in the end. */
async function failureOf(sent: Sent): Promise<unknown> {
  return sent.response?.bytes().then(
    () => "no error",
    (error: unknown) => error,
  );
}

describe("the read side: bytes that nobody asked for", () => {
  test.each([
    ["the head of a 408", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", "server-closed-idle"],
    ["as much of a 408 as it takes", "HTTP/1.1 408", "server-closed-idle"],
    ["a 408 of HTTP/1.0", "HTTP/1.0 408", "server-closed-idle"],
    ["less of a 408", "HTTP/1.1 40", "unsolicited-bytes"],
    ["another answer", "HTTP/1.1 200 OK\r\n\r\n", "unsolicited-bytes"],
    ["another status that ends alike", "HTTP/1.1 2408", "unsolicited-bytes"],
    ["a 408 of another protocol", "ICAP/1.0 408", "unsolicited-bytes"],
    ["a 408 in the wrong place", " 408HTTP/1.1 ", "unsolicited-bytes"],
    ["one byte", "H", "unsolicited-bytes"],
  ])("%s closes an idle connection (Go is408Message)", async (_, bytes, reason) => {
    for (const served of [0, 1]) {
      const conn = new MemoryConn();
      if (served > 0) await answered(conn, OK);
      conn.log.length = 0;
      conn.reply(bytes);
      await conn.settle();
      expect(conn.log).toEqual([`closed ${reason}`]);
      expect([conn.destroyed, conn.clock.armed]).toEqual([true, 0]);
    }
  });

  test("a part of a 408 is none, whatever lies behind it in the buffer that is lent", async () => {
    const { conn, conduit } = watchedConn();
    conduit.sink.data(Buffer.from("HTTP/1.1 408 Request Timeout"), 11);
    expect(conn.log).toEqual(["closed unsolicited-bytes"]);
  });

  test.each([
    ["in one read", [`${OK}HTTP/1.1 200 OK\r\n`]],
    ["in several", ["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r\no", "kHTTP/1.1 200 OK\r\n"]],
  ])("behind an answer, %s, they end the connection; the answer is whole and counts without them", async (_, reads) => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    await conn.settle();
    for (const read of reads) {
      conn.reply(read);
      await conn.settle();
    }
    expect(await sent.response?.text()).toBe("ok");
    expect(conn.log).toEqual(["closed unsolicited-bytes"]);
    expect(sent.details("end")).toEqual([{ bytes: OK.length }]);
    expect(sent.exchange.bytesRead).toBe(OK.length);
  });

  test("while an answered request is still being written they end the connection, and the answer stays", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = await answered(conn, OK, post(upload));
    conn.reply("HTTP/1.1 200 OK\r\n");
    await conn.settle();
    expect(conn.log).toEqual(["closed unsolicited-bytes"]);
    expect([await sent.response?.text(), upload.returned]).toEqual(["ok", 1]);
  });
});

describe("the read side: an answer's end, and what becomes of the connection", () => {
  const CLOSE = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
  const LENIENT = "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok";
  const mend: MemoryConnOptions = { lenient: { optionalCrBeforeLf: true } };
  const last: MemoryConnOptions = { keepAlive: false };

  test.each<[string, MemoryConnOptions, string, string]>([
    ["an answer that keeps it", {}, OK, "idle"],
    ["an answer of HTTP/1.0", {}, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "closed response-says-close"],
    ["an answer that says close", {}, CLOSE, "closed response-says-close"],
    ["a request that said close", last, OK, "closed request-says-close"],
    ["both saying close", last, CLOSE, "closed response-says-close"],
    ["an answer that had to be mended", mend, LENIENT, "closed lenient-parse"],
    ["one to mend, and more bytes", mend, `${LENIENT}x`, "closed lenient-parse"],
    ["one to mend, and a request that said close", { ...mend, ...last }, LENIENT, "closed lenient-parse"],
    ["more bytes", {}, `${OK}x`, "closed unsolicited-bytes"],
    ["more bytes behind one that says close", {}, `${CLOSE}x`, "closed unsolicited-bytes"],
    ["more bytes, and a request that said close", last, `${OK}x`, "closed unsolicited-bytes"],
  ])("%s", async (_, options, reply, log) => {
    const conn = new MemoryConn(options);
    const sent = await answered(conn, reply);
    expect(await sent.response?.text()).toBe("ok");
    expect(conn.log).toEqual([log]);
    expect([sent.overs, conn.clock.armed]).toEqual([1, 0]);
  });

  test.each([
    ["by length", "HTTP/1.1 200 OK\r\n\r\nok", {}],
    ["of HTTP/1.0 that wants to keep it", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nok", {}],
    ["of a request that said close", "HTTP/1.1 200 OK\r\n\r\nok", { keepAlive: false }],
  ])("a body that only the close ends, %s", async (_, reply, options) => {
    const conn = new MemoryConn(options);
    const sent = await answered(conn, reply);
    expect(conn.log).toEqual([]);
    conn.peer.end();
    await conn.settle();
    expect(await sent.response?.text()).toBe("ok");
    expect(conn.log).toEqual(["closed close-delimited"]);
    expect(sent.details("end")).toEqual([{ bytes: reply.length }]);
    expect(sent.traced.at(-1)).toMatchObject({ type: "connection-closed", reason: "close-delimited" });
  });

  test.each([
    ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true],
    ["GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true],
    ["GET", "HTTP/1.1 205 OK\r\nContent-Length: 0\r\n\r\n", true],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n", false],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false],
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", false],
    ["HEAD", "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n", false],
    ["HEAD", "HTTP/1.1 204 No Content\r\n\r\n", false],
  ])("an answer to %s, %j: has a body, %s (RFC 9112 §6.3)", async (method, reply, has) => {
    const conn = new MemoryConn();
    const sent = await answered(conn, reply, get({ method }));
    expect(sent.response?.body !== null).toBe(has);
    expect(conn.log).toEqual(["idle"]);
  });
});

describe("the read side: the peer's end and the connection's errors, in every state", () => {
  /** Brings a connection into a state; null where no exchange is in flight then. */
  const STATES: Record<string, (conn: MemoryConn) => Promise<Sent | null>> = {
    unused: async () => null,
    idle: async (conn) => {
      await answered(conn, OK);
      conn.log.length = 0;
      return null;
    },
    "asked, not yet written": async (conn) => conn.roundTrip(get()),
    "written, no byte of an answer": async (conn) => answered(conn, ""),
    "in the head": async (conn) => answered(conn, "HTTP/1.1 200 OK\r\n"),
    "behind a 1xx": async (conn) => answered(conn, "HTTP/1.1 103 Early\r\n\r\n"),
    "behind the head": async (conn) => answered(conn, LONG),
    "in the body": async (conn) => answered(conn, `${LONG}12345`),
    "in a chunked body": async (conn) => answered(conn, `${CHUNKED}5\r\n12345\r\n`),
    "answered, and still writing": async (conn) => answered(conn, OK, post(new Upload())),
  };
  const CLOSED = "ConnectionClosedError: Cannot read response";

  test.each([
    ["unused", "server-closed-idle", null, null],
    ["idle", "server-closed-idle", null, null],
    [
      "asked, not yet written",
      "server-closed",
      `${CLOSED} head from peer:80: connection closed by the peer before a response after 0 bytes`,
      { phase: "headers", bytesRead: 0, safeToRetry: true },
    ],
    [
      "written, no byte of an answer",
      "server-closed",
      `${CLOSED} head from peer:80: connection closed by the peer before a response after 0 bytes`,
      { phase: "headers", bytesRead: 0, safeToRetry: true },
    ],
    [
      "in the head",
      "server-closed",
      `${CLOSED} head: connection closed after 17 bytes`,
      { phase: "headers", bytesRead: 17, safeToRetry: false },
    ],
    [
      "behind a 1xx",
      "server-closed",
      `${CLOSED} head: connection closed after 22 bytes`,
      { phase: "headers", bytesRead: 22, safeToRetry: false },
    ],
    [
      "in the body",
      "incomplete-body",
      "IncompleteBodyError: Cannot read response body: connection ended after 5 of 1000 bytes",
      { phase: "body", bytesRead: LONG.length + 5, expected: 1000, received: 5 },
    ],
    [
      "in a chunked body",
      "incomplete-body",
      "IncompleteBodyError: Cannot read response body: connection ended after 5 bytes, before the last chunk",
      { phase: "body", bytesRead: CHUNKED.length + 10, expected: null, received: 5 },
    ],
    ["answered, and still writing", "peer-half-closed", "ok", null],
  ])("an end, %s: %s", async (state, reason, outcome, facts) => {
    const conn = new MemoryConn();
    const sent = await STATES[state]!(conn);
    conn.peer.end();
    await conn.settle();
    expect(conn.log).toEqual([`closed ${reason}`]);
    expect([conn.destroyed, conn.clock.armed]).toEqual([true, 0]);
    if (sent === null) return;
    if (outcome === "ok") return expect(await sent.response?.text()).toBe("ok");
    const error = sent.error ?? (await failureOf(sent));
    expect(words(error)).toBe(outcome);
    expect(error).toMatchObject(facts ?? {});
  });

  test.each([
    ["unused", "idle-error", null, null],
    ["idle", "idle-error", null, null],
    [
      "asked, not yet written",
      "socket-error",
      `${CLOSED} head from peer:80: connection lost after 0 bytes`,
      { phase: "headers", bytesRead: 0, safeToRetry: true },
    ],
    [
      "written, no byte of an answer",
      "socket-error",
      `${CLOSED} head from peer:80: connection lost after 0 bytes`,
      { phase: "headers", bytesRead: 0, safeToRetry: true },
    ],
    [
      "in the head",
      "socket-error",
      `${CLOSED} head from peer:80: connection lost after 17 bytes`,
      { phase: "headers", bytesRead: 17, safeToRetry: false },
    ],
    [
      "behind a 1xx",
      "socket-error",
      `${CLOSED} head from peer:80: connection lost after 22 bytes`,
      { phase: "headers", bytesRead: 22, safeToRetry: false },
    ],
    [
      "behind the head",
      "socket-error",
      `${CLOSED} body from peer:80: connection lost after ${LONG.length} bytes`,
      { phase: "body", bytesRead: LONG.length, safeToRetry: false },
    ],
    [
      "in the body",
      "socket-error",
      `${CLOSED} body from peer:80: connection lost after ${LONG.length + 5} bytes`,
      { phase: "body", bytesRead: LONG.length + 5, safeToRetry: false },
    ],
    ["answered, and still writing", "idle-error", "ok", null],
  ])("an error, %s: %s", async (state, reason, outcome, facts) => {
    const { conn, conduit } = watchedConn();
    const sent = await STATES[state]!(conn);
    const cause = new Error("read ECONNRESET");
    conduit.sink.error(cause);
    await conn.settle();
    expect(conn.log).toEqual([`closed ${reason}`]);
    expect([conn.destroyed, conn.clock.armed]).toEqual([true, 0]);
    if (sent === null) return;
    if (outcome === "ok") return expect(await sent.response?.text()).toBe("ok");
    const error = sent.error ?? (await failureOf(sent));
    expect(words(error)).toBe(outcome);
    expect(error).toMatchObject({ ...facts, cause });
  });

  test("an end that comes while a hand-over waits for the request is told with it", async () => {
    const { conn, conduit } = watchedConn();
    conduit.deaf = true;
    const upload = new Upload();
    const switched = "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    const sent = await answered(conn, `${switched}early`, post(upload, { headers: { Upgrade: "foo" } }));
    conn.reply(" more");
    await conn.settle();
    expect(conduit.calls).toEqual(["pause"]);
    conn.peer.end();
    await conn.settle();
    expect([sent.response, sent.error, conn.log]).toEqual([null, null, []]);
    expect(conn.clock.armed).toBe(0);
    upload.end();
    await conn.settle();
    expect(conn.log).toEqual(["handed over"]);
    const duplex = sent.response!.duplex();
    let text = "";
    for await (const chunk of duplex) text += chunk;
    expect(text).toBe("early more");
    expect(sent.exchange.bytesRead).toBe(switched.length);
  });
});

describe("the read side: refusals of its own", () => {
  test.each([
    [
      "a switch that nobody asked for",
      {},
      "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n",
      "RemoteProtocolError: Cannot read response from peer:80: it switches protocols unasked",
      "status 101 without Upgrade in the request (RFC 9110 §15.2.2)",
    ],
    [
      "a body that only the close ends, with requireFraming",
      { requireFraming: true },
      "HTTP/1.1 200 OK\r\n\r\nhello",
      "RemoteProtocolError: Cannot read response from peer:80: its end is marked by nothing but a close",
      "no framing (RFC 9112 §6.3; option requireFraming)",
    ],
  ])("%s", async (_, options, reply, text, reason) => {
    const conn = new MemoryConn(options);
    const { error } = await answered(conn, reply);
    expect(words(error)).toBe(text);
    expect(error).toMatchObject({
      phase: "headers",
      reason,
      offset: 0,
      excerpt: "",
      origin: "http://peer",
      bytesRead: reply.length,
      safeToRetry: false,
    });
    expect(conn.log).toEqual(["closed protocol-error"]);
  });

  test("with requireFraming every other end is taken", async () => {
    for (const reply of [OK, `${CHUNKED}2\r\nok\r\n0\r\n\r\n`]) {
      const conn = new MemoryConn({ requireFraming: true });
      const sent = await answered(conn, reply);
      expect([await sent.response?.text(), conn.log]).toEqual(["ok", ["idle"]]);
    }
  });

  test.each<[string, MemoryConnOptions, string, string, object]>([
    [
      "too many header bytes",
      { maxResponseHeaderBytes: 20 },
      OK,
      "closed protocol-error",
      { code: "ERR_HTTP_HEADER_LIMIT", option: "maxResponseHeaderBytes", limit: 20 },
    ],
    [
      "too many fields",
      { maxResponseHeaders: 1 },
      "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n\r\n",
      "closed protocol-error",
      { code: "ERR_HTTP_HEADER_LIMIT", option: "maxResponseHeaders", limit: 1 },
    ],
    [
      "too many 1xx",
      { max1xxResponses: 1 },
      "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 B\r\n\r\n",
      "closed protocol-error",
      { code: "ERR_HTTP_HEADER_LIMIT", option: "max1xxResponses", limit: 1 },
    ],
  ])("%s", async (_, options, reply, log, facts) => {
    const conn = new MemoryConn(options);
    const sent = await answered(conn, reply);
    expect(sent.error).toMatchObject({ ...facts, attempt: 0, reused: false });
    expect(conn.log).toEqual([log]);
  });
});

describe("the read side: 1xx and early answers (RFC 9110 §15.2, RFC 9112 §9.5)", () => {
  const patient = () => post("hello", { expectContinue: true });

  test("a 100 lets a body go that waits for it; no other 1xx does", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(patient());
    await conn.settle();
    conn.takeWritten();
    for (const status of [102, 103, 199]) {
      conn.reply(`HTTP/1.1 ${status} Not yet\r\n\r\n`);
      await conn.settle();
      expect(conn.takeWritten()).toBe("");
    }
    conn.reply("HTTP/1.1 100 Continue\r\n\r\n");
    await conn.settle();
    expect(conn.takeWritten()).toBe("hello");
    expect(sent.informed).toEqual([102, 103, 199, 100]);
  });

  test.each([
    ["200", "goes on", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
    ["399", "goes on", "HTTP/1.1 399 Odd\r\nContent-Length: 9\r\n\r\n"],
    ["400", "stops", "HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\n"],
    ["503", "stops", "HTTP/1.1 503 Later\r\nContent-Length: 9\r\n\r\n"],
    ["200 that says close", "stops", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"],
    ["400 that says close", "stops", "HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"],
  ])("a body that is being written, and a %s: it %s", async (_, what, reply) => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = await answered(conn, reply, post(upload));
    expect(upload.returned).toBe(what === "stops" ? 1 : 0);
    upload.give(3);
    upload.end();
    await conn.settle();
    expect(conn.takeWritten()).toBe(what === "stops" ? "" : "3\r\nUUU\r\n0\r\n\r\n");
    conn.reply("123456789");
    await conn.settle();
    expect(await sent.response?.text()).toBe("123456789");
    const closes = reply.includes("close") ? "response-says-close" : "write-unfinished";
    expect(conn.log).toEqual([what === "stops" ? `closed ${closes}` : "idle"]);
  });

  test.each([
    ["200", "hello", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
    ["417", "", "HTTP/1.1 417 No\r\nContent-Length: 9\r\n\r\n"],
    ["200 that says close", "", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"],
  ])("a body that waits for its 100, and a %s: %j goes out, and the answer is read on", async (_, written, reply) => {
    const conn = new MemoryConn();
    const sent = await answered(conn, reply, patient());
    expect(conn.takeWritten()).toBe(written);
    conn.reply("123456789");
    await conn.settle();
    expect(await sent.response?.text()).toBe("123456789");
  });

  test("a 1xx that nobody wants to hear of is passed over", async () => {
    const conn = new MemoryConn({ hooked: false });
    const sent = await answered(conn, `HTTP/1.1 103 Early\r\n\r\n${OK}`);
    expect([await sent.response?.text(), sent.error, conn.log]).toEqual(["ok", null, ["idle"]]);
  });

  test("a hook that throws is a mistake of ours: it closes the one connection", async () => {
    rethrowInvariants(false);
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    const cause = new Error("of the hook");
    sent.onInformed = () => {
      throw cause;
    };
    await conn.settle();
    conn.reply(`HTTP/1.1 103 Early\r\n\r\n${OK}`);
    await conn.settle();
    expect(words(sent.error)).toBe(
      "InvariantError: Cannot go on with connection to peer:80: an internal rule does not hold",
    );
    expect(sent.error).toMatchObject({ cause, origin: "http://peer", bytesRead: 22 + OK.length });
    expect(conn.log).toEqual(["closed invariant"]);
  });

  test("who closes the connection from the 1xx hook hears of nothing behind it", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    sent.onInformed = () => conn.conn.abort(sent.exchange, "aborted", "enough");
    await conn.settle();
    conn.reply(`HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 B\r\n\r\n${OK}`);
    await conn.settle();
    expect(sent).toMatchObject({ informed: [103], response: null, error: "enough", overs: 1 });
    expect(conn.log).toEqual(["closed aborted"]);
    expect(sent.events.at(-1)).toBe("connection-closed");
  });
});

describe("the read side: its deadlines", () => {
  const limits = {
    responseHeaderTimeout: 1_000,
    bodyTimeout: 2_000,
    unreadBodyTimeout: 3_000,
    stalledReaderTimeout: 4_000,
  };
  const said = (what: string, option: keyof typeof limits) =>
    `TimeoutError: Cannot read response from peer:80: ${what} within ${limits[option]} ms (option ${option})`;

  /** Lets time pass up to where the connection must still live, and over it. */
  async function closesIn(conn: MemoryConn, ms: number): Promise<void> {
    await conn.clock.advance(ms - 1);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect(conn.log.at(-1)).toBe("closed timeout");
    expect([conn.destroyed, conn.clock.armed]).toEqual([true, 0]);
  }

  test.each([
    ["no byte of an answer", [""], [0]],
    ["part of a head", ["HTTP/1.1 2", "00 OK\r\n"], [17]],
    ["nothing but 1xx", ["HTTP/1.1 103 A\r\n\r\n", "HTTP/1.1 103 B\r\n\r\n"], [36]],
  ])("responseHeaderTimeout, from the request's end: %s", async (_, replies, [bytesRead]) => {
    const conn = new MemoryConn(limits);
    await conn.clock.advance(500);
    const sent = conn.roundTrip(get());
    await conn.settle();
    for (const reply of replies) {
      await conn.clock.advance(100);
      conn.reply(reply);
    }
    await closesIn(conn, 1_000 - 100 * replies.length);
    expect(words(sent.error)).toBe(said("no response head came", "responseHeaderTimeout"));
    expect(sent.error).toMatchObject({ phase: "headers", option: "responseHeaderTimeout", limit: 1_000, bytesRead });
    expect(conn.log).toEqual(["closed timeout"]);
  });

  test("responseHeaderTimeout does not run while the request is written, and runs when it is, in a head too", async () => {
    const conn = new MemoryConn(limits);
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload));
    await conn.clock.advance(10_000);
    conn.reply("HTTP/1.1 200");
    await conn.clock.advance(10_000);
    expect(conn.log).toEqual([]);
    upload.end();
    await conn.settle();
    await closesIn(conn, 1_000);
    expect(sent.error).toMatchObject({ phase: "headers" });
  });

  test("responseHeaderTimeout of a later exchange is its own", async () => {
    const conn = new MemoryConn(limits);
    await answered(conn, OK);
    await conn.clock.advance(5_000);
    conn.log.length = 0;
    const sent = conn.roundTrip(get());
    await conn.settle();
    await closesIn(conn, 1_000);
    expect(sent.error).toMatchObject({ phase: "headers", bytesRead: 0 });
  });

  test("responseHeaderTimeout does not begin where the head is there already", async () => {
    const conn = new MemoryConn(limits);
    const upload = new Upload();
    const sent = await answered(conn, LONG, post(upload));
    await conn.clock.advance(500);
    upload.end();
    await conn.settle();
    await closesIn(conn, 1_500);
    expect(words(await failureOf(sent))).toBe(said("no byte of the body came", "bodyTimeout"));
  });

  test("bodyTimeout, from the last byte that came: who reads all waits for more", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, LONG);
    const read = sent.response!.bytes().catch((error: unknown) => error);
    for (let i = 0; i < 3; i++) {
      await conn.clock.advance(1_999);
      conn.reply("x");
      await conn.settle();
    }
    await closesIn(conn, 2_000);
    const error = await read;
    expect(words(error)).toBe(said("no byte of the body came", "bodyTimeout"));
    expect(error).toMatchObject({ phase: "body", option: "bodyTimeout", limit: 2_000, bytesRead: LONG.length + 3 });
    expect(conn.log).toEqual(["closed timeout"]);
  });

  test("bodyTimeout holds where nothing of a body came and nobody reads it", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, LONG);
    await closesIn(conn, 2_000);
    expect(words(await failureOf(sent))).toBe(said("no byte of the body came", "bodyTimeout"));
  });

  test("bodyTimeout does not begin anew when somebody asks, nor when the last chunk is taken", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, `${LONG}x`);
    source(sent).tryRead(); // nobody had read: it begins here
    await conn.clock.advance(500);
    conn.reply("y");
    await conn.clock.advance(1_000);
    expect(source(sent).tryRead()).toHaveLength(1);
    expect(source(sent).tryRead()).toBeUndefined();
    await closesIn(conn, 1_000);
    expect(() => source(sent).tryRead()).toThrow("no byte of the body came within 2000 ms");
  });

  test("bodyTimeout begins anew with what comes for a reader who still has something to take", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, `${LONG}x`);
    source(sent).tryRead();
    await conn.clock.advance(1_500);
    conn.reply("y");
    await conn.clock.advance(1_500);
    conn.reply("z");
    await conn.settle();
    await closesIn(conn, 2_000);
    expect(source(sent).tryRead()).toHaveLength(1);
    expect(source(sent).tryRead()).toHaveLength(1);
    expect(() => source(sent).tryRead()).toThrow("no byte of the body came");
  });

  test("unreadBodyTimeout, from the first byte on, however many follow; its owner hears of it first", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, `${LONG}x`);
    await conn.clock.advance(1_500);
    conn.reply("y");
    await closesIn(conn, 1_500);
    expect(conn.log).toEqual(["unread unreadBodyTimeout", "closed timeout"]);
    expect(sent.response?.bodyUsed).toBe(false);
    expect([source(sent).tryRead(), source(sent).tryRead()].map((chunk) => chunk?.length)).toEqual([1, 1]);
    const error = await source(sent)
      .read()
      .catch((thrown: unknown) => thrown);
    expect(words(error)).toBe(said("nobody read the body", "unreadBodyTimeout"));
    expect(error).toMatchObject({ phase: "unread-body", option: "unreadBodyTimeout", limit: 3_000 });
  });

  test("unreadBodyTimeout ends with the first read: from there on it is bodyTimeout", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, `${LONG}x`);
    await conn.clock.advance(2_999);
    source(sent).tryRead();
    await closesIn(conn, 2_000);
    expect(conn.log).toEqual(["closed timeout"]);
    expect(
      words(
        await source(sent)
          .read()
          .catch((error: unknown) => error),
      ),
    ).toContain("option bodyTimeout");
  });

  test("stalledReaderTimeout, from the last take, where more waits than is read ahead; its owner hears of it", async () => {
    const { conn, conduit } = watchedConn({ ...limits, slice: () => READ_AHEAD / 2, window: 2 ** 30 });
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.reply(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n`);
    await conn.settle();
    conn.reply("x".repeat(400_000));
    const reading = source(sent);
    reading.tryRead();
    await conn.settle();
    expect(conduit.calls).toEqual(["pause"]);
    await conn.clock.advance(3_000);
    expect(conn.log).toEqual([]); // neither bodyTimeout nor unreadBodyTimeout
    await closesIn(conn, 1_000);
    expect(conn.log).toEqual(["unread stalledReaderTimeout", "closed timeout"]);
    while (sent.exchange.buffered > 0) reading.tryRead();
    const error = await reading.read().catch((thrown: unknown) => thrown);
    expect(words(error)).toBe(said("the reader of the body took nothing", "stalledReaderTimeout"));
    expect(error).toMatchObject({ phase: "stalled-reader", option: "stalledReaderTimeout", limit: 4_000 });
  });

  test("stalledReaderTimeout begins anew with each take, and is not moved by what comes all the same", async () => {
    const { conn, conduit } = watchedConn({ ...limits, window: 2 ** 30, slice: () => 10_000 });
    conduit.deaf = true;
    const sent = await answered(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    source(sent).tryRead();
    conn.reply("x".repeat(150_000));
    await conn.settle();
    expect(conduit.calls).toEqual(["pause"]);
    await conn.clock.advance(3_999);
    source(sent).tryRead(); // still more than is read ahead
    expect(conduit.calls).toEqual(["pause"]);
    await conn.clock.advance(2_000);
    conn.reply("late");
    await conn.settle();
    await closesIn(conn, 2_000);
    expect(conn.log).toEqual(["unread stalledReaderTimeout", "closed timeout"]);
  });

  test("a limit of 0 is none", async () => {
    const none = { responseHeaderTimeout: 0, bodyTimeout: 0, unreadBodyTimeout: 0, stalledReaderTimeout: 0 };
    const conn = new MemoryConn(none);
    const sent = await answered(conn, "HTTP/1.1 200 OK\r\nContent-Le");
    await conn.clock.advance(1e9);
    conn.reply("ngth: 5\r\n\r\n12");
    await conn.clock.advance(1e9);
    source(sent).tryRead();
    await conn.clock.advance(1e9);
    expect([conn.log, conn.clock.armed]).toEqual([[], 0]);
  });

  test("nothing is armed behind the end, however long the body waits for its reader", async () => {
    const conn = new MemoryConn(limits);
    const sent = await answered(conn, OK);
    expect(conn.clock.armed).toBe(0);
    await conn.clock.advance(1e9);
    expect([conn.log, await sent.response?.text()]).toEqual([["idle"], "ok"]);
  });
});

describe("the read side: backpressure", () => {
  const BIG = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";

  test("a small answer is never paused, and neither is a large one that is read as it comes", async () => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30, slice: () => 30_000 });
    const sent = await answered(conn, BIG);
    const read = sent.response!.bytes();
    for (let i = 0; i < 10; i++) {
      conn.reply("x".repeat(30_000));
      await conn.settle();
    }
    expect(await read).toHaveLength(300_000);
    await answered(conn, OK);
    expect(conduit.calls).toEqual([]);
    expect(conn.log).toEqual(["idle", "idle"]);
  });

  test("one that nobody reads is paused once, and goes on when there is room again", async () => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30, slice: () => 10_000 });
    conduit.deaf = true;
    const sent = await answered(conn, BIG);
    conn.reply("x".repeat(150_000));
    await conn.settle();
    expect(conduit.calls).toEqual(["pause"]);
    let taken = 0;
    while (conduit.calls.length === 1) taken += source(sent).tryRead()?.length ?? Number.NaN;
    expect(conduit.calls).toEqual(["pause", "resume"]);
    expect(150_000 - taken).toBeLessThan(READ_AHEAD);
    expect(150_000 - taken).toBeGreaterThan(READ_AHEAD - 10_000 - 64 * 20);
    while (source(sent).tryRead() !== undefined);
    expect(conduit.calls).toEqual(["pause", "resume"]);
    conn.reply("x".repeat(149_999));
    await conn.settle();
    expect(conduit.calls).toEqual(["pause", "resume", "pause"]);
  });

  test("is over with the body: an idle connection reads, and a second one is paused by itself", async () => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30, slice: () => 10_000 });
    conduit.deaf = true;
    for (let i = 0; i < 2; i++) {
      await answered(conn, BIG);
      conn.reply("x".repeat(300_000));
      await conn.settle();
      expect(conduit.calls).toEqual(["pause", "resume"]);
      conduit.calls.length = 0;
    }
    expect(conn.log).toEqual(["idle", "idle"]);
  });

  test("is over where the request is still being written: its answer must not keep the peer's end away", async () => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30, slice: () => 10_000 });
    conduit.deaf = true;
    const sent = await answered(conn, BIG, post(new Upload()));
    conn.reply("x".repeat(300_000));
    await microtasks();
    expect(conduit.calls).toEqual(["pause", "resume"]);
    await conn.settle();
    expect((await sent.response?.bytes())?.length).toBe(300_000);
  });

  test("the peer is held by its window, not by our memory", async () => {
    const conn = new MemoryConn({ window: 1_000, slice: () => 1_000 });
    const sent = await answered(conn, BIG);
    conn.reply("x".repeat(300_000));
    await conn.settle();
    expect(sent.exchange.buffered).toBeLessThan(READ_AHEAD + 2_000);
    expect(conn.peer.pendingBytes).toBeGreaterThan(230_000);
    expect((await sent.response?.bytes())?.length).toBe(300_000);
    expect(conn.log).toEqual(["idle"]);
  });
});

describe("the read side: a body that its reader gave up", () => {
  const sized = (bytes: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`;

  test.each<[string, MemoryConnOptions, string, string | null]>([
    ["nothing came, and little is left", {}, sized(10), null],
    ["nothing came, and as much is left as is drained", {}, sized(DRAIN_MAX), null],
    ["nothing came, and a byte more is left", {}, sized(DRAIN_MAX + 1), "body-closed-early"],
    ["some came, and as much is left as is drained", {}, `${sized(DRAIN_MAX + 5)}12345`, null],
    ["some came, and a byte more is left", {}, `${sized(DRAIN_MAX + 6)}12345`, "body-closed-early"],
    ["nobody knows how much is left", {}, `${CHUNKED}5\r\n12345\r\n`, null],
    ["only a close ends it", {}, "HTTP/1.1 200 OK\r\n\r\n12345", "body-closed-early"],
    [
      "the answer says close",
      {},
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n",
      "body-closed-early",
    ],
    [
      "the answer had to be mended",
      { lenient: { optionalCrBeforeLf: true } },
      "HTTP/1.1 200 OK\nContent-Length: 9\r\n\r\n",
      "body-closed-early",
    ],
  ])("%s", async (_, options, reply, closed) => {
    const { conn, conduit } = watchedConn(options);
    const sent = await answered(conn, reply);
    await sent.response?.close();
    expect(conn.log).toEqual(closed === null ? [] : [`closed ${closed}`]);
    expect(sent.overs).toBe(1);
    if (closed !== null) return expect(conn.clock.armed).toBe(0);
    expect(conduit.calls).toEqual(["unref"]); // nobody waits for the rest: no process must live for it
    await conn.clock.advance(49);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect(conn.log).toEqual(["closed body-closed-early"]);
    expect([conduit.calls, conn.clock.armed]).toEqual([["unref", "destroy"], 0]);
  });

  test("the request is still being written: nothing is drained", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = await answered(conn, sized(10), post(upload));
    await sent.response?.close();
    expect([conn.log, upload.returned]).toEqual([["closed body-closed-early"], 1]);
  });

  test("its connection lives on where the rest comes in time, however it is cut", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, `${sized(100)}12345`);
    await sent.response?.close();
    await conn.clock.advance(30);
    conn.reply("x".repeat(45));
    await conn.clock.advance(19);
    conn.reply("x".repeat(50));
    await conn.settle();
    expect([conn.log, conn.clock.armed, sent.overs]).toEqual([["idle"], 0, 1]);
    expect(await (await answered(conn, OK)).response?.text()).toBe("ok");
  });

  test("what comes does not give it more time", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, sized(100));
    await sent.response?.close();
    await conn.clock.advance(40);
    conn.reply("x");
    await conn.clock.advance(9);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect(conn.log).toEqual(["closed body-closed-early"]);
  });

  test.each([
    ["as many as are drained", DRAIN_MAX, ["idle"]],
    ["one more", DRAIN_MAX + 1, ["closed body-closed-early"]],
  ])("bytes of a chunked body: %s", async (_, bytes, log) => {
    const conn = new MemoryConn({ window: 2 ** 30, slice: () => 50_000 });
    const sent = await answered(conn, `${CHUNKED}5\r\n12345\r\n`);
    await sent.response?.close();
    conn.reply(`${bytes.toString(16)}\r\n${"x".repeat(bytes)}\r\n0\r\n\r\n`);
    await conn.settle();
    expect(conn.log).toEqual(log);
  });

  test("counts what is drained of each body by itself", async () => {
    const conn = new MemoryConn({ window: 2 ** 30 });
    for (let i = 0; i < 3; i++) {
      const sent = await answered(conn, `${CHUNKED}1\r\n1\r\n`);
      await sent.response?.close();
      conn.reply(`1e000\r\n${"x".repeat(0x1e000)}\r\n0\r\n\r\n`);
      await conn.settle();
      const large = await answered(conn, `${sized(DRAIN_MAX + 5)}12345`);
      await large.response?.close();
      conn.reply("x".repeat(DRAIN_MAX));
      await conn.settle();
    }
    expect(conn.log).toEqual(Array(6).fill("idle"));
  });

  test("one that was paused is read on", async () => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30 });
    const sent = await answered(conn, `${sized(200_000)}${"x".repeat(100_000)}`);
    expect(conduit.calls).toEqual(["pause"]);
    await sent.response?.close();
    expect(conduit.calls).toEqual(["pause", "resume", "unref"]);
    expect(sent.exchange.buffered).toBe(0);
    conn.reply("x".repeat(100_000));
    await conn.settle();
    expect(conduit.calls).toEqual(["pause", "resume", "unref"]);
    expect(conn.log).toEqual(["idle"]);
  });

  test("is closed in vain behind its end", async () => {
    const { conn, conduit } = watchedConn();
    const sent = await answered(conn, OK);
    await sent.response?.close();
    expect([conn.log, conduit.calls, conn.clock.armed]).toEqual([["idle"], [], 0]);
  });
});

describe("the read side: an answer whose request is still being written", () => {
  /** The answer is whole, and the caller does not know it yet: that takes a turn. */
  async function lingering(conn: MemoryConn, reply = OK): Promise<{ sent: Sent; upload: Upload }> {
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    conn.reply(reply);
    await microtasks();
    expect(conn.log).toEqual([]);
    return { sent, upload };
  }

  test("gets 50 ms, and then the connection is closed", async () => {
    const conn = new MemoryConn();
    const { sent, upload } = await lingering(conn);
    await conn.clock.advance(49);
    expect([conn.log, await sent.response?.text(), upload.returned, sent.overs]).toEqual([[], "ok", 0, 1]);
    await conn.clock.advance(1);
    expect([conn.log, upload.returned, conn.clock.armed]).toEqual([["closed write-unfinished"], 1, 0]);
  });

  test("is the connection's last where a byte is missing, and not where it ends in time", async () => {
    const conn = new MemoryConn();
    const { upload } = await lingering(conn);
    await conn.clock.advance(49);
    upload.end();
    await conn.settle();
    expect([conn.log, conn.clock.armed]).toEqual([["idle"], 0]);
    expect(await (await answered(conn, OK)).response?.text()).toBe("ok");
  });

  test.each([
    ["takes a chunk", (body: BodySource) => expect(body.tryRead()).toHaveLength(2)],
    [
      "takes all there is and asks for more",
      (body: BodySource) => {
        expect(body.tryRead()).toHaveLength(2);
        expect(body.tryRead()).toBeUndefined();
      },
    ],
    ["closes the body", (body: BodySource) => body.close()],
  ])("keeps its 50 ms where the reader %s in the moment before the end is told", async (_, act) => {
    const { conn, conduit } = watchedConn();
    const { sent } = await lingering(conn);
    act(source(sent));
    expect([conn.log, conduit.calls]).toEqual([[], []]);
    await conn.clock.advance(49);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect(conn.log).toEqual(["closed write-unfinished"]);
  });
});

describe("the read side: bytes that are lent", () => {
  /** Lends Buffers, as a Duplex does, and overwrites them like the conduit in memory. */
  class BufferConduit extends WatchedConduit {
    override attach(sink: Parameters<WatchedConduit["attach"]>[0]): void {
      super.attach({
        data: (view, n) => {
          const buffer = Buffer.from(view.subarray(0, n));
          sink.data(buffer, n);
          buffer.fill(0xdb);
        },
        drained: () => sink.drained(),
        end: () => sink.end(),
        error: (error) => sink.error(error),
      });
    }
  }

  test.each<[string, (near: ConstructorParameters<typeof WatchedConduit>[0]) => WatchedConduit]>([
    ["a plain view", (near) => new WatchedConduit(near)],
    ["a Buffer", (near) => new BufferConduit(near)],
  ])("a chunk is a plain Uint8Array alone in its buffer, out of %s", async (_, wrap) => {
    const conn = new MemoryConn({}, wrap);
    const sent = await answered(conn, `${LONG}hello`);
    const chunk = source(sent).tryRead() as Uint8Array;
    expect(chunk.constructor).toBe(Uint8Array);
    expect([Buffer.from(chunk).toString(), chunk.buffer.byteLength]).toEqual(["hello", 5]);
  });
});

describe("the read side: the chunks of a read are one of the reader's", () => {
  const taken = (sent: Sent) => {
    const chunk = source(sent).tryRead();
    return chunk instanceof Uint8Array ? Buffer.from(chunk).toString() : chunk;
  };

  test("whole, with its end and its trailers in the same read", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, `${CHUNKED}2\r\nab\r\n3;x=y\r\ncde\r\n1\r\nf\r\n0\r\nX-T: 1\r\n\r\n`);
    expect([taken(sent), taken(sent)]).toEqual(["abcdef", null]);
    expect(sent.details("body-data")).toEqual([{ bytes: 6 }]);
    expect(sent.events.slice(-2)).toEqual(["body-data", "end"]);
    expect((await sent.response?.trailers)?.get("x-t")).toBe("1");
    expect(conn.log).toEqual(["idle"]);
  });

  test("over several reads, one each; none for a read of framing alone", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, `${CHUNKED}2\r\nab\r\n3\r\nc`);
    for (const read of ["de\r\n1\r\nf\r\n", "1", "\r\n", "g\r\n0\r\n\r\n"]) {
      conn.reply(read);
      await conn.settle();
    }
    expect([taken(sent), taken(sent), taken(sent), taken(sent)]).toEqual(["abc", "def", "g", null]);
  });

  test("what came before a mistake in the same read is given out before the error", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, `${CHUNKED}2\r\nab\r\n3\r\ncdeX`);
    expect(taken(sent)).toBe("abcde");
    expect(() => taken(sent)).toThrow("chunk");
    expect(conn.log).toEqual(["closed protocol-error"]);
  });

  test("each answer has its own, where several come in a read (pipelining)", async () => {
    const { conn, sent } = await carrying("/a", "/b");
    const answer = (a: string, b: string) => `${CHUNKED}1\r\n${a}\r\n1\r\n${b}\r\n0\r\n\r\n`;
    conn.reply(answer("a", "b") + answer("c", "d"));
    await conn.settle();
    expect(sent.map((each) => [taken(each), taken(each)])).toEqual([
      ["ab", null],
      ["cd", null],
    ]);
  });
});

test("a listener that is told of body bytes and reads the body there gets them all, in order", async () => {
  const conn = new MemoryConn();
  const sent = conn.roundTrip(get());
  let text: Promise<string> | undefined;
  sent.onEvent = ({ type }) => {
    if (type === "body-data") text ??= sent.response?.text();
  };
  await conn.settle();
  for (const read of ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "def", "ghi"]) {
    conn.reply(read);
    await conn.settle();
  }
  expect(await text).toBe("abcdefghi");
});

describe("the read side: its parser", () => {
  test.each<[string, MemoryConnOptions, (conn: MemoryConn) => Promise<unknown>]>([
    ["unused and closed", {}, async (conn) => conn.conn.close("idle-timeout")],
    [
      "closed between two reads",
      {},
      async (conn) => {
        await answered(conn, "HTTP/1.1 2");
        conn.conn.close("aborted");
      },
    ],
    ["closed by what it read", {}, (conn) => answered(conn, "SSH\r\n")],
    ["closed by bytes that nobody asked for", {}, async (conn) => conn.reply("x")],
    ["closed by its answer", { keepAlive: false }, (conn) => answered(conn, OK)],
    ["closed by an end", {}, async (conn) => conn.peer.end()],
    [
      "closed by an end within a head",
      {},
      async (conn) => {
        await answered(conn, "HTTP/1.1 2");
        conn.peer.end();
      },
    ],
    [
      "handed over, when the peer had sent its end before",
      {},
      async (conn) => {
        const upload = new Upload();
        const reply = "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
        const sent = await answered(conn, reply, post(upload, { headers: { Upgrade: "foo" } }));
        conn.peer.end();
        await conn.settle();
        upload.end();
        await conn.settle();
        sent.response?.duplex().destroy();
      },
    ],
    [
      "closed by a listener, within a round",
      {},
      async (conn) => {
        const sent = conn.roundTrip(get());
        sent.onInformed = () => conn.conn.close("aborted");
        await conn.settle();
        conn.reply(`HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 A\r\n\r\n${OK}`);
      },
    ],
  ])("gives its memory back: %s", async (_, options, close) => {
    const open: number[] = [];
    const probe = () => {
      const at = allocParser();
      open.push(at);
      return at;
    };
    const before = probe();
    freeParser(before);
    for (let i = 0; i < 3; i++) {
      const { conn, conduit } = watchedConn(options);
      conduit.deaf = true;
      await close(conn);
      await conn.settle();
      expect(conn.destroyed).toBe(true);
    }
    const after = probe();
    freeParser(after);
    expect(after).toBe(before);
  });
});

describe("the read side: idle time", () => {
  test("is counted from where it was armed, on a fresh connection and on a used one", async () => {
    const conn = new MemoryConn();
    await conn.clock.advance(700);
    conn.conn.armIdle(1_000);
    await conn.clock.advance(999);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect(conn.log).toEqual(["expired"]);
    await answered(conn, OK);
    await conn.clock.advance(700);
    conn.conn.armIdle(1_000);
    await conn.clock.advance(999);
    expect(conn.log).toEqual(["expired", "idle"]);
    await conn.clock.advance(1);
    expect(conn.log).toEqual(["expired", "idle", "expired"]);
  });

  test("is counted from the round in which it became idle, where it is armed there", async () => {
    const conn = new MemoryConn();
    conn.onIdle = () => conn.conn.armIdle(1_000);
    await conn.clock.advance(700);
    await answered(conn, OK);
    await conn.clock.advance(999);
    expect(conn.log).toEqual(["idle"]);
    await conn.clock.advance(1);
    expect(conn.log).toEqual(["idle", "expired"]);
    conn.onIdle = () => {};
  });

  test("0 is for ever", async () => {
    const conn = new MemoryConn();
    conn.conn.armIdle(1_000);
    conn.conn.armIdle(0);
    await conn.clock.advance(1e9);
    expect([conn.log, conn.clock.armed]).toEqual([[], 0]);
  });
});
