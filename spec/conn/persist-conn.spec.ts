/** One connection over memory: what it writes and reads, byte for byte, and what becomes of it and of its exchange. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import type { Conduit } from "../../lib/conn/conduit.ts";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import { InvariantError } from "../../lib/errors.ts";
import { QueueTap } from "../support/queue-tap.ts";
import { nextUncaught } from "../support/uncaught.ts";
import { Upload } from "../support/upload.ts";
import { get, MemoryConn, post, RefusingConduit } from "./memory-conn.ts";

describe("PersistConn: the request on the wire", () => {
  test("a body in memory goes out in chunks where trailers follow it (RFC 9112 §7.1.2)", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(post("hello", { trailers: { names: ["X-Sum"], values: () => ({ "X-Sum": "5" }) } }));
    await conn.settle();
    expect(conn.takeWritten()).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n$/);
  });

  test("a body in memory goes out in chunks where the caller says so (RFC 9112 §7.1)", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(post("hello", { headers: { "Transfer-Encoding": "chunked" } }));
    await conn.settle();
    expect(conn.takeWritten()).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
  });
});

describe("PersistConn: Expect: 100-continue (RFC 9110 §10.1.1)", () => {
  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const patient = (body: string) => post(body, { expectContinue: true });

  test("a 100 that comes late belongs to its own request, and lets no later one go unasked", async () => {
    const conn = new MemoryConn({ expectContinueTimeout: 1_000 });
    conn.roundTrip(patient("first"));
    await conn.clock.advance(1_000);
    expect(conn.takeWritten()).toMatch(/first$/);
    conn.reply(`HTTP/1.1 100 Continue\r\n\r\n${ok}`);
    await conn.settle();
    expect(conn.log).toEqual(["idle"]);

    conn.roundTrip(patient("second"));
    await conn.settle();
    expect(conn.takeWritten()).toMatch(/\r\n\r\n$/);
    await conn.clock.advance(1_000);
    expect(conn.takeWritten()).toBe("second");
  });
});

describe("PersistConn: a write that is refused", () => {
  const refusing = (nth: number) => new MemoryConn({}, (near) => new RefusingConduit(near, nth));

  test("fails the exchange at once where it was the first: there is nothing to wait for", async () => {
    const conn = refusing(1);
    const sent = conn.roundTrip(post("hello"));
    await conn.settle();
    expect(sent.facts).toMatchObject({ phase: "write", bytesSubmitted: 0, bytesAccepted: 0, safeToRetry: true });
    expect(conn.log).toEqual(["closed socket-error"]);
  });

  test("lets an answer win that comes behind it (Go issue 11745)", async () => {
    const conn = refusing(3);
    const upload = new Upload(10);
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    expect(upload.returned).toBe(1);
    expect(conn.log).toEqual([]);
    conn.reply("HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig");
    await conn.settle();
    expect(sent.response?.status).toBe(413);
    expect(await sent.response?.text()).toBe("big");
    expect(conn.log).toEqual(["closed write-unfinished"]);
  });

  test("lets an answer win that came whole before the connection broke", async () => {
    const conn = refusing(3);
    const sent = conn.roundTrip(post(new Upload(10)));
    await conn.settle();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
    conn.peer.reset();
    await conn.settle();
    expect(await sent.response?.text()).toBe("yes");
  });

  test("is what the exchange fails with when the connection breaks without an answer", async () => {
    const conn = refusing(3);
    const upload = new Upload(10);
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    conn.peer.reset();
    await conn.settle();
    expect(sent.facts).toMatchObject({ phase: "write", bytesRead: 0, safeToRetry: false });
    expect(upload.returned).toBe(1);
    expect(conn.log).toEqual(["closed socket-error"]);
  });

  test("is what the exchange fails with after a second of silence", async () => {
    const conn = refusing(3);
    const sent = conn.roundTrip(post(new Upload(10)));
    await conn.clock.advance(999);
    expect(sent.error).toBe(null);
    await conn.clock.advance(1);
    expect(sent.facts).toMatchObject({ phase: "write", safeToRetry: false });
    expect(conn.destroyed).toBe(true);
    expect(conn.clock.armed).toBe(0);
  });

  test("says nothing of an answer that breaks behind it", async () => {
    const conn = refusing(3);
    const sent = conn.roundTrip(post(new Upload(10)));
    await conn.settle();
    conn.reply("HTTP/1.1 413 No\r\nContent-Length: 6\r\n\r\nbig");
    await conn.settle();
    conn.peer.reset();
    await conn.settle();
    const error = await sent.response?.text().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ phase: "body", message: expect.stringContaining("connection lost after") });
    expect(conn.log).toEqual(["closed socket-error"]);
  });

  test("does not cut an answer that streams on", async () => {
    const conn = refusing(3);
    const sent = conn.roundTrip(post(new Upload(10)));
    await conn.settle();
    conn.reply("HTTP/1.1 413 No\r\nContent-Length: 6\r\n\r\nbig");
    await conn.clock.advance(5_000);
    conn.reply("ger");
    await conn.settle();
    expect(await sent.response?.text()).toBe("bigger");
  });
});

describe("PersistConn: what an error says was written", () => {
  const reset = async (conn: MemoryConn) => {
    conn.peer.reset();
    await conn.settle();
  };

  test("all of it is submitted and accepted where the kernel took it", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(post("hello"));
    await conn.settle();
    const bytes = conn.takeWritten().length;
    await reset(conn);
    expect(sent.facts).toMatchObject({ phase: "headers", bytesSubmitted: bytes, bytesAccepted: bytes, bytesRead: 0 });
  });

  test("a write that was refused is submitted and not accepted", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 3));
    const sent = conn.roundTrip(post(new Upload(10)));
    await conn.settle();
    const accepted = conn.takeWritten().length;
    await reset(conn);
    expect(sent.facts).toMatchObject({ bytesSubmitted: accepted + 15, bytesAccepted: accepted, safeToRetry: false });
  });

  test("a first write that was refused whole is neither, where that proves it (DESIGN: nothing was written)", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 1));
    const sent = conn.roundTrip(post("hello"));
    await conn.settle();
    expect(sent.facts).toMatchObject({ bytesSubmitted: 0, bytesAccepted: 0, safeToRetry: true });
  });

  test("a first write that was refused is submitted where that proves nothing, as over TLS", async () => {
    const conn = new MemoryConn({}, (near) => new RefusingConduit(near, 1, false));
    const sent = conn.roundTrip(post("hello"));
    await conn.settle();
    expect(sent.facts).toMatchObject({ bytesAccepted: 0, safeToRetry: false });
    expect(sent.facts["bytesSubmitted"]).toBeGreaterThan(5);
  });

  test("what waits for the kernel is submitted and not accepted", async () => {
    const conn = new MemoryConn({ window: 100 });
    conn.peer.pause();
    const sent = conn.roundTrip(post(new Upload(1_000)));
    await conn.settle();
    conn.conn.close("socket-error", undefined);
    const { bytesSubmitted, bytesAccepted } = sent.facts as { bytesSubmitted: number; bytesAccepted: number };
    expect(bytesSubmitted).toBeGreaterThan(1_000);
    expect(bytesAccepted).toBeLessThanOrEqual(bytesSubmitted - 1_000);
  });

  test("an idempotent request is safe to retry until a byte of a response came (RFC 9110 §9.2.2)", async () => {
    for (const [method, safe] of [
      ["GET", true],
      ["PUT", true],
      ["DELETE", true],
      ["POST", false],
      ["PATCH", false],
    ] as const) {
      const conn = new MemoryConn();
      const sent = conn.roundTrip(get({ method }));
      await conn.settle();
      await reset(conn);
      expect([method, sent.facts["safeToRetry"]]).toEqual([method, safe]);
    }
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.reply("HTTP/1.1 2");
    await conn.settle();
    await reset(conn);
    expect(sent.facts).toMatchObject({ bytesRead: 10, safeToRetry: false });
  });
});

describe("PersistConn: the read side", () => {
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  /** Goes on for a while after `pause()`, as TLS does with what was decrypted already. */
  class LateConduit extends RefusingConduit {
    paused = false;
    constructor(inner: Conduit) {
      super(inner, Number.POSITIVE_INFINITY);
    }
    override pause(): void {
      this.paused = true;
    }
    override resume(): void {
      this.paused = false;
    }
  }

  test("an idle connection is not paused, though its last body ended behind a pause: it must see FIN", async () => {
    let conduit: LateConduit | null = null;
    const conn = new MemoryConn({}, (near) => {
      conduit = new LateConduit(near);
      return conduit;
    });
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.reply(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(70_000)}`);
    await conn.settle();
    expect(conduit).toMatchObject({ paused: true });
    conn.reply("x".repeat(30_000));
    await conn.settle();
    expect(conn.log).toEqual(["idle"]);
    expect(conduit).toMatchObject({ paused: false });
    expect((await sent.response?.text())?.length).toBe(100_000);
  });

  test("a response before the first byte of its request belongs to nobody (RFC 9112 §9.2)", async () => {
    const conn = new MemoryConn();
    conn.reply(OK); // on its way before the request is
    const sent = conn.roundTrip(get());
    await conn.settle();
    expect(sent.response).toBe(null);
    expect(sent.facts).toMatchObject({ bytesSubmitted: 0, bytesRead: 0, safeToRetry: true });
    expect(conn.log).toEqual(["closed unsolicited-bytes"]);
  });

  test("a FIN between a request's asking and its write: nothing was written", async () => {
    const conn = new MemoryConn();
    conn.peer.end();
    const sent = conn.roundTrip(get());
    await conn.settle();
    expect(sent.facts).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", bytesRead: 0, safeToRetry: true });
    expect(conn.log).toEqual(["closed server-closed"]);
  });

  test("a response is the same however its bytes are cut", async () => {
    for (const slice of [1, 2, 3, 7, 1_000]) {
      const conn = new MemoryConn({ slice: () => slice });
      const sent = conn.roundTrip(get());
      await conn.settle();
      conn.reply("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      conn.reply("5\r\nhello\r\n6\r\n world\r\n0\r\nX-A: 1\r\n\r\n");
      await conn.settle();
      expect(sent.informed).toEqual([103]);
      expect(await sent.response?.text()).toBe("hello world");
      expect(sent.response?.trailers?.raw).toEqual([["X-A", "1"]]);
      expect(conn.log).toEqual(["idle"]);
    }
  });

  test("what a caller keeps of a body stays what it was: the read buffer is lent", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    await conn.settle();
    const kept: Uint8Array[] = [];
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    await conn.settle();
    const chunks = sent.response![Symbol.asyncIterator]();
    kept.push((await chunks.next()).value as Uint8Array);
    conn.reply("world");
    await conn.settle();
    kept.push((await chunks.next()).value as Uint8Array);
    expect(kept.map((chunk) => Buffer.from(chunk).toString())).toEqual(["hello", "world"]);
  });

  test.each([
    ["within a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", { expected: 10, received: 5 }],
    [
      "within chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
      { expected: null, received: 5 },
    ],
  ])("an end %s is an incomplete body; what came before stays readable", async (_, text, facts) => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.reply(text);
    conn.peer.end();
    await conn.settle();
    const chunks = sent.response![Symbol.asyncIterator]();
    expect(Buffer.from((await chunks.next()).value as Uint8Array).toString()).toBe("hello");
    await expect(chunks.next()).rejects.toMatchObject({ code: "ERR_HTTP_INCOMPLETE_BODY", phase: "body", ...facts });
    expect(conn.log).toEqual(["closed incomplete-body"]);
  });

  test("a body that only a close delimits is refused with requireFraming", async () => {
    const conn = new MemoryConn({ requireFraming: true });
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.reply("HTTP/1.1 200 OK\r\n\r\nhello");
    await conn.settle();
    expect(sent.error).toMatchObject({ code: "ERR_HTTP_REMOTE_PROTOCOL" });
    expect((sent.error as Error).message).toContain("close");
  });

  test("bytes that are no HTTP end the exchange with what is wrong and where", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.reply("SSH-2.0-OpenSSH_9.6\r\n");
    await conn.settle();
    expect(sent.error).toMatchObject({ code: "ERR_HTTP_REMOTE_PROTOCOL", offset: 0, attempt: 0, reused: false });
    expect(conn.log).toEqual(["closed protocol-error"]);
  });
});

describe("PersistConn: its life", () => {
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  test("serves one exchange after the other, and counts them", async () => {
    const conn = new MemoryConn();
    for (let served = 0; served < 3; served++) {
      expect(conn.conn.served).toBe(served);
      const sent = conn.roundTrip(get());
      await conn.settle();
      conn.reply(OK);
      await conn.settle();
      expect(await sent.response?.text()).toBe("ok");
      expect(sent.response?.connection?.served).toBe(served);
      expect(sent.overs).toBe(1);
    }
    expect(conn.log).toEqual(["idle", "idle", "idle"]);
  });

  test("tells how long the server keeps it", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(get());
    await conn.settle();
    conn.reply("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n");
    await conn.settle();
    expect(conn.log).toEqual(["idle 5000"]);
  });

  test("a second exchange at once is our mistake: it would be pipelined", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(get());
    expect(() => conn.roundTrip(get())).toThrow(InvariantError);
    conn.conn.close("aborted");
    expect(() => conn.roundTrip(get())).toThrow(InvariantError);
  });

  test("close() is told once, with the first reason, and leaves nothing armed", async () => {
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    await conn.settle();
    conn.conn.close("aborted", new Error("first"));
    conn.conn.close("timeout", new Error("second"));
    expect(sent.error).toMatchObject({ message: "first" });
    expect(conn.log).toEqual(["closed aborted"]);
    expect(conn.conn.closeReason).toBe("aborted");
    expect(conn.destroyed).toBe(true);
    expect(conn.clock.armed).toBe(0);
    expect(sent.overs).toBe(1);
  });

  test("an exchange passes its queues, and no other", async () => {
    using tap = new QueueTap();
    const conn = new MemoryConn();
    conn.roundTrip(get());
    await conn.settle();
    conn.reply(OK);
    await conn.settle();
    expect([tap.write, tap.exchange, tap.body].map(({ pushed, passed }) => [pushed, passed])).toEqual([
      [1, 1],
      [1, 1],
      [1, 0], // nobody has read it
    ]);
  });

  test("says why it cannot send", async () => {
    const conn = new MemoryConn();
    const first = conn.roundTrip(get());
    expect(() => conn.roundTrip(get())).toThrow("Cannot send request to peer:80: an exchange is in flight");
    conn.conn.close("idle-timeout");
    expect(() => conn.roundTrip(get())).toThrow("Cannot send request to peer:80: closed (idle-timeout)");
    expect(first.error).toMatchObject({
      name: "ConnectionClosedError",
      message: "Cannot finish exchange with peer:80: the connection was closed (idle-timeout)",
      origin: "http://peer",
      safeToRetry: true,
    });
  });

  test("an abort's reason is the caller's, whatever it is, and is not touched", async () => {
    const own = new InvariantError("Cannot go on: of the caller");
    for (const reason of [own, "text", null, undefined, 0]) {
      const conn = new MemoryConn();
      const sent = conn.roundTrip(get());
      sent.error = "nothing yet";
      conn.conn.abort(sent.exchange, "aborted", reason);
      expect(sent.error).toBe(reason);
    }
    expect(own).not.toHaveProperty("attempt");
    const conn = new MemoryConn();
    const sent = conn.roundTrip(get());
    conn.conn.abort(sent.exchange, "timeout", own);
    expect(sent.error).toMatchObject({ attempt: 0, origin: "http://peer" });
  });

  test("an abort of an exchange that is not in flight leaves the connection alone", async () => {
    const conn = new MemoryConn();
    const other = new MemoryConn().roundTrip(get());
    const sent = conn.roundTrip(get());
    conn.conn.abort(other.exchange, "aborted", "enough");
    await conn.settle();
    conn.reply(OK);
    await conn.settle();
    conn.conn.abort(sent.exchange, "aborted", "too late");
    expect([other.error, sent.error, await sent.response?.text(), conn.log]).toEqual(["enough", null, "ok", ["idle"]]);
  });

  test("counts what it hands over as served", async () => {
    const conn = new MemoryConn();
    conn.roundTrip(get({ method: "CONNECT" }));
    await conn.settle();
    conn.reply("HTTP/1.1 200 OK\r\n\r\n");
    await conn.settle();
    expect([conn.log, conn.conn.served]).toEqual([["handed over"], 1]);
  });

  test("expires when it was told to, unless it serves again before", async () => {
    const conn = new MemoryConn();
    conn.conn.armIdle(1_000);
    await conn.clock.advance(999);
    conn.roundTrip(get());
    await conn.clock.advance(10_000);
    expect(conn.log).toEqual([]);
    conn.reply(OK);
    await conn.settle();
    conn.conn.armIdle(1_000);
    await conn.clock.advance(1_000);
    expect(conn.log).toEqual(["idle", "expired"]);
  });

  test("shows its state in one line", async () => {
    const conn = new MemoryConn();
    const line = () => inspect(conn.conn);
    expect(line()).toBe("PersistConn { peer:80, read idle, write idle, 0 served }");
    conn.roundTrip(post(new Upload()));
    await conn.settle();
    expect(line()).toBe("PersistConn { peer:80, read idle, write writing, 0 served }");
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    await conn.settle();
    expect(line()).toBe("PersistConn { peer:80, read body, write writing, 0 served }");
    conn.reply("ok");
    await conn.settle();
    expect(line()).toBe("PersistConn { peer:80, read done, write writing, 1 served }");
    await conn.clock.advance(50);
    expect(line()).toBe("PersistConn { peer:80, closed: write-unfinished, 1 served }");
  });

  test("a broken rule closes one connection and fails one request", async () => {
    const conn = new MemoryConn({}, (near) => {
      const broken = new RefusingConduit(near, Number.POSITIVE_INFINITY);
      broken.write = () => {
        throw new Error("no such thing");
      };
      return broken;
    });
    const sent = conn.roundTrip(get());
    await conn.settle();
    expect(sent.error).toMatchObject({ code: "ERR_HTTP_INVARIANT", cause: { message: "no such thing" } });
    expect(conn.log).toEqual(["closed invariant"]);
  });
});

describe("rethrowInvariants()", () => {
  test("makes a broken rule an uncaught exception as well", async () => {
    const broken = async () => {
      const conn = new MemoryConn();
      const sent = conn.roundTrip(get());
      sent.onInformed = () => {
        throw new Error("no such thing");
      };
      await conn.settle();
      conn.reply("HTTP/1.1 103 Early\r\n\r\n");
      await conn.settle();
      expect(conn.log).toEqual(["closed invariant"]);
    };
    const uncaught = nextUncaught();
    rethrowInvariants(true);
    await broken();
    expect(await uncaught).toMatchObject({ message: "no such thing" });
    rethrowInvariants(false);
    await broken();
  });
});

describe("PersistConn: a body of its own source", () => {
  test("that fails ends the exchange with the source's own error", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload));
    await conn.settle();
    const mine = new Error("of the source");
    upload.fail(mine);
    await conn.settle();
    expect(sent.error).toBe(mine);
    expect(conn.log).toEqual(["closed body-error"]);
    expect(conn.takeWritten()).not.toContain("\r\n0\r\n");
  });

  test("that gives more than its Content-Length: what is over never leaves (RFC 9112 §6.3)", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload, { headers: { "content-length": "5" } }));
    await conn.settle();
    upload.give(3);
    await conn.settle();
    upload.give(3);
    await conn.settle();
    expect(sent.error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
    expect(conn.takeWritten()).toMatch(/\r\n\r\nUUU$/);
    expect(upload.returned).toBe(1);
    expect(conn.log).toEqual(["closed body-error"]);
  });

  test("that gives less than its Content-Length costs the connection: the next request would be its rest", async () => {
    const conn = new MemoryConn();
    const upload = new Upload();
    const sent = conn.roundTrip(post(upload, { headers: { "content-length": "5" } }));
    await conn.settle();
    upload.give(3);
    upload.end();
    await conn.settle();
    expect(sent.error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
    expect(conn.log).toEqual(["closed body-error"]);
  });

  test.each([
    ["in memory", () => new Uint8Array(200 * 1024)],
    ["from a source", () => [Buffer.alloc(200 * 1024)].values()],
  ])("%s goes out in slices of at most 64 KiB, each write behind a poll of its own", async (_, body) => {
    const writes: { bytes: number; turn: number }[] = [];
    const conn = new MemoryConn({ window: 2 ** 30 }, (near) => {
      const counting = new RefusingConduit(near, Number.POSITIVE_INFINITY);
      const write = counting.write.bind(counting);
      counting.write = (data) => {
        const pieces = typeof data === "string" ? [data] : data;
        const own = pieces.filter((piece) => typeof piece !== "string"); // heads and chunk framing are strings
        writes.push({ bytes: own.reduce((sum, piece) => sum + piece.length, 0), turn: conn.clock.batch });
        return write(data);
      };
      return counting;
    });
    const sent = conn.roundTrip(post(body()));
    await conn.settle();
    const slices = writes.filter(({ bytes }) => bytes > 0);
    expect(slices.map(({ bytes }) => bytes)).toEqual([65_536, 65_536, 65_536, 8_192]);
    expect(new Set(writes.map(({ turn }) => turn)).size).toBe(writes.length);
    expect(sent.events.filter((event) => event === "body-sent")).toHaveLength(4);
  });

  test("of up to 64 KiB in memory goes out with its head, in one write", async () => {
    for (const body of ["x".repeat(64 * 1024), Buffer.alloc(64 * 1024)]) {
      let writes = 0;
      const conn = new MemoryConn({ window: 2 ** 30 }, (near) => {
        const counting = new RefusingConduit(near, Number.POSITIVE_INFINITY);
        const write = counting.write.bind(counting);
        counting.write = (data) => {
          writes++;
          return write(data);
        };
        return counting;
      });
      conn.roundTrip(post(body));
      await conn.settle();
      expect(writes).toBe(1);
      expect(conn.takeWritten().split("\r\n\r\n")[1]).toHaveLength(64 * 1024);
    }
  });
});
