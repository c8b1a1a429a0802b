/** One connection over memory: what it writes and reads, byte for byte, and what becomes of it and of its exchange. */

import { describe, expect, test } from "vitest";
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
