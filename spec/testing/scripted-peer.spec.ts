/** One peer, over memory and over a real socket: the same steps do the same. */

import { createConnection, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { memoryNetwork, type PeerConn, type ScriptedPeer, scriptedPeer } from "../../lib/testing/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";

interface Stage extends AsyncDisposable {
  readonly peer: ScriptedPeer;
  readonly stream: Duplex;
  readonly conn: PeerConn;
}

const STAGES: readonly [string, () => Promise<Stage>][] = [
  [
    "in memory",
    async () => {
      const network = memoryNetwork({ pair: { slice: (available) => Math.ceil(available / 2) } });
      const peer = network.listen("toy.test", 7);
      const stream = await network.connect("toy.test", 7);
      const conn = await peer.accept();
      return {
        peer,
        stream,
        conn,
        async [Symbol.asyncDispose]() {
          stream.destroy();
          await peer.close();
        },
      };
    },
  ],
  [
    "over a real socket",
    async () => {
      const peer = await scriptedPeer();
      const stream: Socket = createConnection({ port: peer.port, host: peer.host, allowHalfOpen: true });
      stream.on("error", () => {});
      const conn = await peer.accept();
      return {
        peer,
        stream,
        conn,
        async [Symbol.asyncDispose]() {
          stream.destroy();
          await peer.close();
        },
      };
    },
  ],
];

describe.each(STAGES)("PeerConn %s", (_where, stage) => {
  checkLeaks();

  test("expect() takes these very bytes, and says what came where others did", async () => {
    await using s = await stage();
    s.stream.write("hello, world");
    await s.conn.expect("hello");
    await expect(s.conn.expect(", moon")).rejects.toThrow('Peer expected ", moon", got ", worl"');
    expect(await s.conn.read(1)).toBe("d");
  });

  test("read(), readThrough() and readHead() wait for what they were asked for", async () => {
    await using s = await stage();
    s.stream.write("ab");
    const three = s.conn.read(3);
    s.stream.write("cline\nhead\r\n");
    expect(await three).toBe("abc");
    expect(await s.conn.readThrough("\n")).toBe("line\n");
    const head = s.conn.readHead();
    s.stream.write("\r\nrest");
    expect(await head).toBe("head\r\n\r\n");
  });

  test("what is asked for of a connection that ended fails, and says what there was", async () => {
    await using s = await stage();
    s.stream.end("half");
    await expect(s.conn.read(5)).rejects.toThrow('Peer\'s connection ended; it had "half"');
    expect(s.conn.ended).toBe(true);
    expect(await s.conn.readToEnd()).toBe("half");
    expect(await s.conn.readRequest()).toBeNull();
  });

  test("readRequest() takes a request apart: by length, by chunks with trailers, and without a body", async () => {
    await using s = await stage();
    s.stream.write("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    const first = await s.conn.readRequest();
    expect([first?.method, first?.target, first?.field("HOST"), first?.field("no")]).toEqual(["PUT", "/a", "x", null]);
    expect((await first?.body())?.toString()).toBe("abc");
    s.stream.write(
      "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n1;x=y\r\ny\r\n0\r\nT: v\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
    );
    const second = await s.conn.readRequest();
    expect((await second?.body())?.toString()).toBe("hey");
    expect(second?.trailers).toBe("T: v\r\n\r\n");
    const third = await s.conn.readRequest();
    expect([third?.method, third?.target, (await third?.body())?.length]).toEqual(["GET", "/c", 0]);
    expect(s.conn.requests).toBe(3);
  });

  test("reply(), replySlowly() and end() reach the other side in order", async () => {
    await using s = await stage();
    s.conn.reply("one ");
    await s.conn.replySlowly("two ", { bytes: 3 });
    s.conn.reply(Buffer.from("three"));
    s.conn.end();
    s.conn.reply("never");
    let text = "";
    for await (const chunk of s.stream) text += chunk.toString();
    expect(text).toBe("one two three");
    expect(s.conn.bytesSent).toBe("one two three".length);
  });

  test("reset() breaks the connection", async () => {
    await using s = await stage();
    const broken = new Promise<NodeJS.ErrnoException>((resolve) => s.stream.on("error", resolve));
    s.stream.resume();
    s.conn.reset();
    expect((await broken).code).toBe("ECONNRESET");
    await s.conn.closed;
  });

  test("close() ends it, and closed resolves", async () => {
    await using s = await stage();
    const ended = new Promise<void>((resolve) => s.stream.on("end", () => resolve()));
    s.stream.resume();
    s.conn.close();
    await ended;
    await s.conn.closed;
    await expect(s.conn.read(1)).rejects.toThrow("ended");
  });
});

describe("scriptedPeer()", () => {
  checkLeaks();

  test("a behaviour that throws is told when the peer is closed", async () => {
    const peer = await scriptedPeer({
      behaviour: () => {
        throw new Error("a mistake of the test's own");
      },
    });
    const stream = createConnection({ port: peer.port, host: peer.host });
    stream.on("error", () => {}).end("GET / HTTP/1.1\r\n\r\n");
    await until(() => peer.failures.length > 0, "the behaviour fails");
    stream.destroy();
    await expect(peer.close()).rejects.toThrow("a mistake of the test's own");
  });

  test("unknown options are refused", async () => {
    await expect(scriptedPeer({ prt: 80 } as never)).rejects.toThrow(/prt/);
  });
});
