/** What of a body waits for its reader, over memory. */

import { describe, expect, test } from "vitest";
import { AsyncQueue } from "../../lib/conn/async-queue.ts";
import { get, MemoryConn, post } from "./memory-conn.ts";

describe("Exchange", () => {
  test("keeps a body of a byte a chunk from waiting in 64 Ki pieces: what a chunk costs counts too", async () => {
    let pushed = 0;
    const push = AsyncQueue.prototype.push;
    AsyncQueue.prototype.push = function (this: AsyncQueue<object>, item: object) {
      if (this.name === "body") pushed++;
      return push.call(this, item);
    };
    try {
      const conn = new MemoryConn({ slice: () => 4096 });
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
