/**
 * The write side of one connection, over memory and on virtual time: what goes out and in which writes, what each wait is
 * ended by, and what the caller reads when a request cannot be written.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import type { RequestInit } from "../../lib/message/request.ts";
import { Upload } from "../support/upload.ts";
import { get, MemoryConn, post, RefusingConduit, type WatchedConduit, watchedConn } from "./memory-conn.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SLICE = 64 * 1024;

// What would be a broken rule of ours is an uncaught exception here.
beforeEach(() => rethrowInvariants(true));
afterEach(() => rethrowInvariants(false));

async function microtasks(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

const words = (error: unknown): string => (error instanceof Error ? `${error.name}: ${error.message}` : `${error}`);

/** What follows the head. */
const bodyOf = (text: string): string => text.slice(text.indexOf("\r\n\r\n") + 4);

/** The bytes of each write. */
const sizes = (conduit: WatchedConduit): number[] =>
  conduit.writes.map((pieces) => pieces.reduce((sum, piece) => sum + piece.length, 0));

describe("the write side: a body in memory", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);

  test.each<[string, RequestInit["body"], RequestInit, string, number]>([
    ["text", "hello", {}, "hello", 1],
    ["bytes of every value", bytes, {}, Buffer.from(bytes).toString("latin1"), 1],
    ["no byte", "", {}, "", 1],
    ["as much as one write takes", "x".repeat(SLICE), {}, "x".repeat(SLICE), 1],
    ["a byte more than that", "x".repeat(SLICE + 1), {}, "x".repeat(SLICE + 1), 2],
    ["text, in chunks", "hello", { headers: { "Transfer-Encoding": "chunked" } }, "5\r\nhello\r\n0\r\n\r\n", 2],
    ["no byte, in chunks", "", { headers: { "Transfer-Encoding": "chunked" } }, "0\r\n\r\n", 1],
  ])("%s goes out, in as few writes as it takes", async (_, body, init, wire, writes) => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30 });
    const sent = conn.roundTrip(post(body, init));
    await microtasks();
    // The first write waits for nothing: neither for the loop nor for anybody's turn.
    expect(conduit.writes).toHaveLength(1);
    await conn.settle();
    expect(bodyOf(conn.takeWritten())).toBe(wire);
    expect(conduit.writes).toHaveLength(writes);
    expect(conduit.writes.flat().filter(({ length }) => length === 0)).toEqual([]);
    expect(sent.events.at(-1)).toBe("request-sent");
    conn.reply(OK);
    await conn.settle();
    expect(conn.log).toEqual(["idle"]);
  });
});

describe("the write side: bytes in memory", () => {
  /** Of a request with a body of four digits. */
  const headLength = async (): Promise<number> => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30 });
    conn.roundTrip(post(new Uint8Array(1000)));
    await microtasks();
    return sizes(conduit)[0]! - 1000;
  };

  test("go as one piece with a head that has bytes beyond ASCII, each as one byte", async () => {
    const { conn, conduit } = watchedConn();
    conn.roundTrip(post(Uint8Array.of(1, 0xe9), { headers: { "X-A": "caf\xe9" } }));
    await microtasks();
    const [piece] = conduit.writes[0] ?? [];
    const text = Buffer.from(piece as Uint8Array).toString("latin1");
    expect(text).toContain("\r\nX-A: caf\xe9\r\n");
    expect(text.slice(-6)).toBe("\r\n\r\n\x01\xe9");
    conn.conn.close("transport-closed");
  });

  test.each([
    ["less than half of the pool that Node cuts small buffers from go as one piece", -1, 1],
    ["half of that are not copied", 0, 2],
  ])("that are with their head %s", async (_, more, pieces) => {
    const head = await headLength();
    const length = Buffer.poolSize / 2 - head + more;
    const { conn, conduit } = watchedConn({ window: 2 ** 30 });
    const body = new Uint8Array(length).fill(255);
    conn.roundTrip(post(body));
    await microtasks();
    expect(conduit.writes.map((write) => write.length)).toEqual([pieces]);
    body.fill(0); // a copy is what was sent, so this shows whether one was made
    const [last] = conduit.writes[0]?.slice(-1) ?? [];
    expect(typeof last === "string" ? "" : last?.at(-1)).toBe(pieces === 1 ? 255 : 0);
    expect(sizes(conduit)).toEqual([head + length]);
    conn.reply(OK);
    await conn.settle();
    expect(conn.log).toEqual(["idle"]);
  });
});

describe("the write side: a body of its own source", () => {
  test.each<[string, RequestInit, string, number[]]>([
    ["in chunks", {}, `10000\r\n${"U".repeat(SLICE)}\r\n`, [SLICE + 9]],
    ["with its length", { headers: { "Content-Length": `${SLICE}` } }, "U".repeat(SLICE), [SLICE]],
    [
      "in chunks, of two slices",
      {},
      `10000\r\n${"U".repeat(SLICE)}\r\n10000\r\n${"U".repeat(SLICE)}\r\n`,
      [SLICE + 9, SLICE + 9],
    ],
  ])("a chunk that fills its slices is no more than these, %s", async (_, init, wire, expected) => {
    const { conn, conduit } = watchedConn({ window: 2 ** 30 });
    const upload = new Upload();
    conn.roundTrip(post(upload, init));
    await conn.settle();
    conn.takeWritten();
    conduit.writes.length = 0;
    upload.give(expected.length * SLICE);
    await conn.settle();
    expect(conn.takeWritten()).toBe(wire);
    expect(sizes(conduit)).toEqual(expected);
    expect(conduit.writes.flat().filter(({ length }) => length === 0)).toEqual([]);
  });

  test.each([
    ["less, and none at all", [], "0"],
    ["less", [3], "3"],
    ["less, in pieces", [1, 2], "3"],
    ["more", [6], "at least 6"],
    ["more, in pieces", [3, 4], "at least 7"],
  ])("gives %s than its Content-Length", async (_, gives, has) => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload, { headers: { "Content-Length": "5" } }));
    await conn.settle();
    for (const bytes of gives) {
      upload.give(bytes);
      await conn.settle();
    }
    upload.end();
    await conn.settle();
    expect(words(sent.error)).toBe(
      `LocalProtocolError: Cannot write request body to peer:80: Content-Length says 5 bytes, the body has ${has}`,
    );
    expect(sent.error).toMatchObject({ field: "body", phase: "write", origin: "http://peer", bytesRead: 0 });
    expect(conn.log).toEqual(["closed body-error"]);
  });

  test("gives what its Content-Length says, in pieces", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    conn.roundTrip(post(upload, { headers: { "Content-Length": "5" } }));
    for (const bytes of [2, 3]) {
      upload.give(bytes);
      await conn.settle();
    }
    expect(bodyOf(conn.takeWritten())).toBe("UUUUU");
    upload.end();
    conn.reply(OK);
    await conn.settle();
    expect([conn.log, upload.returned]).toEqual([["idle"], 0]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("of the trailers");
      },
      "Error: of the trailers",
    ],
    [
      "gives a field that may not be one (RFC 9110 §6.5.1)",
      () => ({ "X-Sum": "a\nb" }),
      /^LocalProtocolError: Cannot make request: header X-Sum /,
    ],
  ])(
    "who asks for trailers and gets what %s has a failed exchange, and no end on the wire",
    async (_, values, text) => {
      const conn = new MemoryConn();
      const sent = conn.roundTrip(post("hello", { trailers: { names: ["X-Sum"], values } }));
      await conn.settle();
      if (typeof text === "string") expect(words(sent.error)).toBe(text);
      else expect(words(sent.error)).toMatch(text);
      expect(bodyOf(conn.takeWritten())).toBe("5\r\nhello\r\n");
      expect(conn.log).toEqual(["closed body-error"]);
    },
  );

  test("a conduit that throws within a body is a broken rule, told to the exchange", async () => {
    rethrowInvariants(false);
    const { conn, conduit } = watchedConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    conduit.onWrite = () => {
      throw new Error("no such thing");
    };
    upload.give(3);
    await conn.settle();
    expect(sent.error).toMatchObject({
      code: "ERR_HTTP_INVARIANT",
      message: "Cannot go on with connection to peer:80: an internal rule does not hold",
      cause: { message: "no such thing" },
    });
    expect([conn.log, upload.returned]).toEqual([["closed invariant"], 1]);
  });
});

describe("the write side: a kernel that takes its time", () => {
  /** A conduit that has taken nothing yet, until `taken()`. */
  function slow(options = {}) {
    const { conn, conduit } = watchedConn({ writeTimeout: 1_000, ...options });
    conduit.pending = 500;
    const taken = async (left = 0) => {
      conduit.pending = left;
      if (left === 0) conduit.sink.drained();
      await conn.settle();
    };
    return { conn, conduit, taken };
  }
  const timedOut =
    "TimeoutError: Cannot write request to peer:80: the peer took no byte within 1000 ms (option writeTimeout)";

  test.each<[string, () => ReturnType<typeof post>]>([
    ["a request without a body", () => get()],
    ["a body that goes with its head", () => post("hello")],
    ["a body of its own source", () => post(new Upload(10))],
    ["a body that waits for its 100", () => post("hello", { expectContinue: true })],
  ])("writeTimeout: %s", async (_, request) => {
    const { conn } = slow();
    const sent = conn.roundTrip(request());
    await conn.clock.advance(999);
    expect([sent.error, conn.log]).toEqual([null, []]);
    await conn.clock.advance(1);
    expect(words(sent.error)).toBe(timedOut);
    expect(sent.error).toMatchObject({ phase: "write", option: "writeTimeout", limit: 1_000, bytesRead: 0 });
    expect([conn.log, conn.destroyed, conn.clock.armed]).toEqual([["closed timeout"], true, 0]);
    const written = conn.takeWritten();
    await conn.clock.advance(10_000);
    expect([bodyOf(written), conn.takeWritten()]).toEqual([written.endsWith("hello") ? "hello" : "", ""]);
  });

  test("writeTimeout speaks of a peer that takes nothing: each byte begins it anew", async () => {
    const { conn, taken } = slow();
    const sent = conn.roundTrip(post("hello"));
    for (const left of [400, 399, 1]) {
      await conn.clock.advance(999);
      await taken(left);
      await conn.clock.advance(1);
      expect([sent.error, conn.log]).toEqual([null, []]);
    }
    await conn.clock.advance(999);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect([words(sent.error), conn.log]).toEqual([timedOut, ["closed timeout"]]);
  });

  test("writeTimeout of 0 is none", async () => {
    const { conn, taken } = slow({ writeTimeout: 0 });
    const sent = conn.roundTrip(get());
    await conn.clock.advance(1e9);
    expect([sent.error, conn.clock.armed]).toEqual([null, 0]);
    await taken();
    expect(sent.events.at(-1)).toBe("request-sent");
  });

  test("writeTimeout ends with the write", async () => {
    const { conn, taken } = slow({ responseHeaderTimeout: 0 });
    conn.roundTrip(get());
    await conn.settle();
    await taken();
    expect(conn.clock.armed).toBe(0);
    await conn.clock.advance(1e9);
    expect(conn.log).toEqual([]);
  });

  test.each([
    ["without a body", () => get()],
    ["with a body in memory", () => post("hello")],
    ["with a body of the most that goes with its head", () => post("x".repeat(SLICE))],
  ])("a request %s is sent when it was taken: then responseHeaderTimeout begins", async (_, request) => {
    const { conn, taken } = slow({ responseHeaderTimeout: 300, window: 2 ** 30 });
    const sent = conn.roundTrip(request());
    await conn.clock.advance(900);
    expect(sent.events).not.toContain("request-sent");
    await taken();
    expect(sent.events.at(-1)).toBe("request-sent");
    await conn.clock.advance(299);
    expect(conn.log).toEqual([]);
    await conn.clock.advance(1);
    expect(sent.error).toMatchObject({ option: "responseHeaderTimeout" });
  });

  test.each([
    ["without a body", () => get()],
    ["with a body in memory", () => post("hello")],
    ["with a body of the most that goes with its head", () => post("x".repeat(SLICE))],
  ])("a request %s is sent when its answer is there, and the next one may go at once", async (_, request) => {
    const { conn, conduit } = slow({ window: 2 ** 30 });
    for (let i = 0; i < 3; i++) {
      const sent = conn.roundTrip(request());
      await conn.settle();
      expect(conn.takeWritten()).toMatch(/^(GET|POST) /);
      conn.reply(OK);
      await conn.settle();
      expect(sent.events).toContain("request-sent");
      expect([await sent.response?.text(), conn.clock.armed]).toEqual(["ok", 0]);
      await conn.clock.advance(10_000);
    }
    expect(conn.log).toEqual(["idle", "idle", "idle"]);
    expect(conduit.writes).toHaveLength(3);
  });

  test("has one write at a time: what follows waits until all was taken", async () => {
    const { conn, conduit, taken } = slow();
    const upload = new Upload();
    conn.roundTrip(post(upload));
    upload.give(3);
    await conn.settle();
    expect(conduit.writes).toHaveLength(1);
    conduit.pending = 1;
    await conn.clock.advance(999);
    expect(conduit.writes).toHaveLength(1);
    await taken();
    expect(conduit.writes).toHaveLength(2);
  });

  test("a close while it waits for the kernel writes no more, and leaves nothing armed", async () => {
    const { conn, taken, conduit } = slow();
    const upload = new Upload(10);
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    conn.conn.abort(sent.exchange, "aborted", "enough");
    await taken();
    expect([sent.error, conduit.writes.length, conn.clock.armed, conn.log]).toEqual([
      "enough",
      1,
      0,
      ["closed aborted"],
    ]);
    expect([upload.pulls, upload.returned]).toEqual([0, 1]);
  });
});

describe("the write side: Expect: 100-continue (RFC 9110 §10.1.1)", () => {
  const patient = (body: RequestInit["body"] = "hello") => post(body, { expectContinue: true });

  test.each([
    ["in memory", () => patient()],
    ["of more than one write", () => patient("x".repeat(SLICE + 10))],
    ["of a source", () => patient([Buffer.from("hello")].values())],
  ])("a body %s waits for expectContinueTimeout, and then goes", async (_, request) => {
    const conn = new MemoryConn({ expectContinueTimeout: 700 });
    conn.roundTrip(request());
    await conn.clock.advance(699);
    expect(bodyOf(conn.takeWritten())).toBe("");
    await conn.clock.advance(1);
    expect(conn.takeWritten()).toMatch(/^(5\r\n)?(hello|x+)(\r\n0\r\n\r\n)?$/);
  });

  test("an expectContinueTimeout of 0 does not wait", async () => {
    const conn = new MemoryConn({ expectContinueTimeout: 0 });
    const sent = conn.roundTrip(patient());
    await conn.settle();
    expect(bodyOf(conn.takeWritten())).toBe("hello");
    expect(sent.events).not.toContain("continue-wait");
  });

  test("a 100 that comes while the head still waits for the kernel lets the body go behind it, not before", async () => {
    const { conn, conduit } = watchedConn({ expectContinueTimeout: 700 });
    conduit.pending = 1;
    const sent = conn.roundTrip(patient());
    await conn.settle();
    conn.reply("HTTP/1.1 100 Continue\r\n\r\n");
    await conn.settle();
    expect(bodyOf(conn.takeWritten())).toBe("");
    conduit.pending = 0;
    conduit.sink.drained();
    await conn.settle();
    expect(conn.takeWritten()).toBe("hello");
    expect(sent.events).not.toContain("continue-wait");
  });

  test("a confirmation of the request before it ends no wait", async () => {
    const { conn, conduit } = watchedConn({ expectContinueTimeout: 700 });
    conduit.pending = 1;
    conn.roundTrip(get());
    await conn.settle();
    conn.reply(OK);
    await conn.settle();
    conduit.pending = 0; // TLS tells it in a tick of its own
    conn.roundTrip(patient());
    await conn.settle();
    conn.takeWritten();
    conduit.sink.drained();
    await conn.clock.advance(699);
    expect(conn.takeWritten()).toBe("");
    await conn.clock.advance(1);
    expect(conn.takeWritten()).toBe("hello");
  });

  test.each([
    ["in memory", "hello"],
    ["of a source", null],
  ])("a close while it waits: the body %s never goes, and nothing is armed", async (_, text) => {
    const conn = new MemoryConn({ expectContinueTimeout: 700 });
    const upload = new Upload(10);
    const sent = conn.roundTrip(patient(text ?? upload));
    await conn.settle();
    conn.takeWritten();
    conn.conn.abort(sent.exchange, "aborted", "enough");
    await conn.clock.advance(10_000);
    expect([sent.error, conn.takeWritten(), conn.log, conn.clock.armed]).toEqual(["enough", "", ["closed aborted"], 0]);
    expect([upload.pulls, upload.returned]).toEqual([0, text === null ? 1 : 0]);
  });

  test.each([
    ["in memory", "hello"],
    ["of a source", null],
  ])(
    "a final answer that says no while it waits: the body %s never goes, the answer is read to its end",
    async (_, text) => {
      const conn = new MemoryConn({ expectContinueTimeout: 700 });
      const upload = new Upload(10);
      const sent = conn.roundTrip(patient(text ?? upload));
      await conn.settle();
      conn.takeWritten();
      conn.reply("HTTP/1.1 417 No\r\nContent-Length: 3\r\n\r\n");
      await conn.clock.advance(10_000);
      expect([conn.takeWritten(), conn.log, upload.pulls]).toEqual(["", [], 0]);
      conn.reply("abc");
      await conn.settle();
      expect(await sent.response?.text()).toBe("abc");
      expect([conn.log, conn.clock.armed]).toEqual([["closed write-unfinished"], 0]);
    },
  );

  test("an answer of both in one read, a 100 and the end: the body goes all the same", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(patient());
    await conn.settle();
    conn.takeWritten();
    conn.reply(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    await conn.settle();
    expect(conn.takeWritten()).toBe("hello");
    expect([await sent.response?.text(), conn.log]).toEqual(["ok", ["idle"]]);
  });
});

describe("the write side: who ends the exchange between two writes", () => {
  test.each<[string, (conn: MemoryConn, upload: Upload) => void, string[]]>([
    ["an answer that says no", (conn) => conn.reply("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n"), []],
    ["a close", (conn) => conn.conn.close("aborted", "enough"), ["closed aborted"]],
    ["a reset", (conn) => conn.peer.reset(), ["closed socket-error"]],
  ])("%s: the chunk that was read already does not go", async (_, act, log) => {
    const conn = new MemoryConn();
    const upload = new Upload();
    conn.roundTrip(post(upload));
    await conn.settle();
    conn.takeWritten();
    upload.give(3);
    await microtasks(); // it is read, and the write waits for its turn
    act(conn, upload);
    await conn.settle();
    expect([conn.takeWritten(), conn.log, upload.returned]).toEqual(["", log, 1]);
  });

  test.each<[string, (conn: MemoryConn) => void, string[]]>([
    ["an answer that says no", (conn) => conn.reply("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n"), []],
    ["a close", (conn) => conn.conn.close("aborted", "enough"), ["closed aborted"]],
  ])("%s, between the last chunk and the end: the end does not go", async (_, act, log) => {
    const conn = new MemoryConn();
    const upload = new Upload();
    conn.roundTrip(post(upload));
    await conn.settle();
    conn.takeWritten();
    upload.end();
    await microtasks();
    act(conn);
    await conn.settle();
    expect([conn.takeWritten(), conn.log]).toEqual(["", log]);
  });

  test("a source that fails behind an answer that says no fails nothing: the answer is read", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    conn.reply("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n");
    await conn.settle();
    upload.fail(new Error("too late"));
    await conn.settle();
    conn.reply("no");
    await conn.settle();
    expect([sent.error, await sent.response?.text()]).toEqual([null, "no"]);
    expect(conn.log).toEqual(["closed write-unfinished"]);
  });

  test("an abort while the source is asked: it is told, and what it gives then goes nowhere", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    conn.takeWritten();
    conn.conn.abort(sent.exchange, "aborted", "enough");
    upload.give(3);
    await conn.settle();
    expect([sent.error, conn.takeWritten(), upload.returned]).toEqual(["enough", "", 1]);
  });
});

describe("the write side: a write that is refused", () => {
  const lost = (bytes: number | string) =>
    `ConnectionClosedError: Cannot write request to peer:80: the connection was lost after ${bytes} bytes`;

  test("says how much had left, and why", async () => {
    const first = new MemoryConn({}, (near) => new RefusingConduit(near, 1));
    const sent = first.roundTrip(post("hello"));
    await first.settle();
    expect(words(sent.error)).toBe(lost(0));
    expect(sent.error).toMatchObject({ phase: "write", cause: { code: "EPIPE" } });

    const second = new MemoryConn({}, (near) => new RefusingConduit(near, 2));
    const upload = new Upload(10);
    const later = second.roundTrip(post(upload));
    await second.clock.advance(1_000);
    const written = second.takeWritten().length;
    expect(words(later.error)).toBe(lost(written + 15));
    expect(later.error).toMatchObject({ phase: "write", bytesAccepted: written, cause: { code: "EPIPE" } });
    expect(upload.returned).toBe(1);
    expect(second.clock.armed).toBe(0);
  });

  test("proves nothing where something else was still queued", async () => {
    class Queued extends RefusingConduit {
      override get pendingBytes(): number {
        return 1;
      }
    }
    const conn = new MemoryConn({}, (near) => new Queued(near, 1));
    const sent = conn.roundTrip(post("hello"));
    await conn.settle();
    expect(sent.facts).toMatchObject({ safeToRetry: false });
    expect(sent.facts["bytesSubmitted"]).toBeGreaterThan(5);
  });

  test("a body in memory: nothing more of it goes, and an answer wins", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 2));
    const sent = conn.roundTrip(post("x".repeat(200_000)));
    await conn.settle();
    conn.reply(OK);
    await conn.settle();
    expect([sent.error, await sent.response?.text()]).toEqual([null, "ok"]);
    expect(conn.log).toEqual(["closed write-unfinished"]);
  });

  test("its second of waiting ends with an answer, however long that lasts", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 2));
    const sent = conn.roundTrip(post(new Upload(10)));
    await conn.clock.advance(999);
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    await conn.clock.advance(5_000);
    expect([sent.response?.status, sent.error, conn.log]).toEqual([200, null, []]);
  });
});

describe("the write side: after a close", () => {
  test("a request that was asked for and not written never is", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    conn.conn.close("aborted", "enough");
    await conn.clock.advance(10_000);
    expect([conn.takeWritten(), sent.error, conn.clock.armed]).toEqual(["", "enough", 0]);
  });

  test("what the conduit tells late is nothing", async () => {
    const { conn, conduit } = watchedConn();
    conduit.pending = 1;
    conn.roundTrip(post("hello"));
    await conn.settle();
    conn.conn.close("aborted", "enough");
    conduit.pending = 0;
    conduit.sink.drained();
    await conn.settle();
    expect(conn.log).toEqual(["closed aborted"]);
  });
});
