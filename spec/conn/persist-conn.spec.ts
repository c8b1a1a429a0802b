/** One connection over memory: what it writes and reads, byte for byte, and what becomes of it and of its exchange. */

import { describe, expect, test } from "vitest";
import { MemoryConn, post } from "./memory-conn.ts";

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
