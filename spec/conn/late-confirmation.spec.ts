/**
 * A request whose one write is confirmed late: over TLS, node tells that the bytes are out in a tick of its own, which may
 * come after the whole of a quick answer. Met by ten HEADs over TLS that dialed a second connection.
 */

import { describe, expect, test } from "vitest";
import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";
import { get, MemoryConn, post, type Sent } from "./memory-conn.ts";

/** Says "full" to every write, and "drained" only when told to. */
class LateConduit implements Conduit {
  readonly #inner: Conduit;
  readonly facts: Conduit["facts"];
  readonly refusalProvesNothingWritten = false;
  pendingBytes = 0;
  #sink: ConduitSink | null = null;

  constructor(inner: Conduit) {
    this.#inner = inner;
    this.facts = inner.facts;
  }
  confirm(): void {
    this.pendingBytes = 0;
    this.#sink?.drained();
  }
  attach(sink: ConduitSink): void {
    this.#sink = sink;
    this.#inner.attach(sink);
  }
  write(data: string | readonly (Uint8Array | string)[]): "full" {
    this.pendingBytes += 1;
    this.#inner.write(data);
    return "full";
  }
  pause(): void {
    this.#inner.pause();
  }
  resume(): void {
    this.#inner.resume();
  }
  end(): void {
    this.#inner.end();
  }
  destroy(): void {
    this.#inner.destroy();
  }
  ref(): void {}
  unref(): void {}
}

function lateConn(): { conn: MemoryConn; late: LateConduit } {
  let late: LateConduit | undefined;
  const conn = new MemoryConn({}, (near) => {
    late = new LateConduit(near);
    return late;
  });
  return { conn, late: late as unknown as LateConduit }; // MemoryConn's constructor has just called back
}

describe("PersistConn, a request in one write that is confirmed after its answer", () => {
  test.each([
    ["200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ["404", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n"],
  ])("is idle when a whole %s was read, and serves the next request", async (_status, answer) => {
    const { conn, late } = lateConn();
    for (const request of [get(), post("body")]) {
      const sent = conn.roundTrip(request);
      await conn.settle();
      expect(conn.takeWritten()).toMatch(/^(GET|POST) \/ HTTP\/1\.1\r\n/);
      conn.reply(answer);
      await conn.settle();
      expect(sent.response?.status).toBe(Number(_status));
      expect(conn.log.splice(0)).toEqual(["idle"]);
      late.confirm();
      await conn.settle();
      expect(conn.log).toEqual([]);
    }
  });

  test("a confirmation that comes first changes nothing", async () => {
    const { conn, late } = lateConn();
    conn.roundTrip(get());
    await conn.settle();
    late.confirm();
    await conn.settle();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    await conn.settle();
    expect(conn.log).toEqual(["idle"]);
  });

  test("the next request, sent the moment it is idle, waits for a confirmation of its own", async () => {
    const { conn, late } = lateConn();
    conn.roundTrip(get());
    await conn.settle();
    const next: Sent[] = [];
    conn.onIdle = () => {
      if (next.length === 0) next.push(conn.roundTrip(get()));
    };
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    await conn.settle();
    expect(next.map(({ events }) => events)).toEqual([["request-write", "request-head"]]);
    late.confirm();
    await conn.settle();
    expect(next[0]?.events.at(-1)).toBe("request-sent");
  });
});
