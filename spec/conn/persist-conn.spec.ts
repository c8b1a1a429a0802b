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
