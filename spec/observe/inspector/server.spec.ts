/** The server of the live view, over real sockets: who gets in, what it shows, what it never does to its program. */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Inspector, Transport, TransportClosedError } from "../../../lib/index.ts";
import { InspectorServer } from "../../../lib/observe/inspector/server.ts";
import type { TransportView, Watched } from "../../../lib/watched.ts";
import { checkLeaks } from "../../support/leak-check.ts";
import { scriptedPeer } from "../../support/scripted-peer.ts";
import { SteeredClock } from "../../support/steered-clock.ts";

checkLeaks();

/** A connection of a reader, and what it has read. */
class Reader implements Disposable {
  readonly socket: Socket;
  text = "";
  #wake = () => {};

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setEncoding("utf8");
    this.socket.on("data", (chunk) => {
      this.text += chunk;
      this.#wake();
    });
    this.socket.on("close", () => this.#wake());
    this.socket.on("error", () => {});
  }

  /** Until what was read is as asked, or the connection is closed. */
  async until(found: (text: string) => boolean): Promise<string> {
    while (!found(this.text) && !this.socket.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  toEnd(): Promise<string> {
    return this.until(() => false);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Sends a head, and reads what comes until the server closes. */
async function ask(port: number, head: string): Promise<string> {
  using reader = new Reader(port);
  reader.socket.write(head);
  return await reader.toEnd();
}

const get = ({ url, port }: { url: string; port: number }, path = "", ...fields: string[]) =>
  `GET ${new URL(url).pathname}${path} HTTP/1.1\r\n${[`Host: 127.0.0.1:${port}`, ...fields].join("\r\n")}\r\n\r\n`;

/** Frames of a stream, as far as they have come whole. */
function frames(text: string) {
  const [, ...parts] = text.split(/(?:^|\n\n)(?=data: )|\r\n\r\n(?=data: )/);
  return parts
    .map((part) => part.split("\n")[0]!)
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line.slice(6)) as { transports: { view: TransportView; rows: { state: string }[] }[] });
}

describe("transport.serveInspector()", () => {
  test("serveInspector() gives a page on loopback that nobody may keep, frame or feed", async () => {
    await using transport = new Transport();
    await using inspector = await transport.serveInspector();
    expect(inspector.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[A-Za-z0-9_-]{32}\/$/);
    const page = await ask(inspector.port, get(inspector));
    const [head = "", body = ""] = page.split("\r\n\r\n");
    expect(head.split("\r\n")[0]).toBe("HTTP/1.1 200 OK");
    for (const field of [
      "Cache-Control: no-store",
      "X-Frame-Options: DENY",
      "X-Content-Type-Options: nosniff",
      "Referrer-Policy: no-referrer",
      "Cross-Origin-Resource-Policy: same-origin",
      "Connection: close",
    ])
      expect(head).toContain(field);
    expect(head).not.toMatch(/access-control/i);
    const nonces = [...page.matchAll(/nonce[-=]"?([A-Za-z0-9+/=]+)/g)].map(([, nonce]) => nonce);
    expect(nonces).toHaveLength(4);
    expect(new Set(nonces).size).toBe(1);
    expect(head).toContain("default-src 'none'");
    expect(body).toMatch(/^<!doctype html>/);
    expect(body).not.toContain(new URL(inspector.url).pathname.slice(1, -1)); // the token stays in the address bar
  });

  test("serveInspector() takes another token each time, and answers no other", async () => {
    await using transport = new Transport();
    await using one = await transport.serveInspector();
    await using two = await transport.serveInspector();
    expect(new URL(one.url).pathname).not.toBe(new URL(two.url).pathname);
    expect(await ask(one.port, get({ url: two.url, port: one.port }))).toMatch(/^HTTP\/1\.1 404 /);
  });

  test.each([
    ["wrong token", (i: Inspector) => get({ url: "http://x/nope/", port: i.port }), 404],
    ["wrong Host (DNS rebinding)", (i: Inspector) => get(i).replace(/Host: .*/, `Host: evil.example:${i.port}`), 421],
    ["wrong method", (i: Inspector) => get(i).replace("GET", "POST"), 405],
    ["cross-origin", (i: Inspector) => get(i, "events", "Origin: http://evil.example"), 403],
    ["cross-site", (i: Inspector) => get(i, "events", "Sec-Fetch-Site: cross-site"), 403],
    ["no such path", (i: Inspector) => get(i, "nothing"), 404],
    ["a huge request line", (i: Inspector) => get(i, "x".repeat(10_000)), 431],
    ["a huge request line without an end", () => `GET /${"x".repeat(100_000)}`, 431],
    ["many fields", (i: Inspector) => get(i, "", ...Array.from({ length: 2000 }, (_, n) => `X-${n}: 1`)), 431],
    ["TLS", () => "\x16\x03\x01\x02\x00\r\n\r\n", 400],
  ])("serveInspector() refuses: %s", async (_, head, status) => {
    await using transport = new Transport();
    await using inspector = await transport.serveInspector();
    const answer = await ask(inspector.port, head(inspector));
    // A reset may overtake the answer where there is more to read than was read.
    if (answer !== "") expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).not.toContain("<!doctype");
    expect(answer).not.toContain(new URL(inspector.url).pathname.slice(1, -1));
    if (status === 405) expect(answer).toContain("\r\nAllow: GET\r\n");
  });

  test("serveInspector() reads a head that comes byte by byte", async () => {
    await using transport = new Transport();
    await using inspector = await transport.serveInspector();
    using reader = new Reader(inspector.port);
    for (const byte of get(inspector)) {
      reader.socket.write(byte);
      await setImmediate();
    }
    expect(await reader.toEnd()).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("serveInspector() streams what a transport does: the state first, then each change, then its end", async () => {
    await using peer = await scriptedPeer();
    const inspector = await peer.transport.serveInspector();
    using reader = new Reader(inspector.port);
    reader.socket.write(get(inspector, "events"));
    await reader.until((text) => frames(text).length === 1);
    expect(reader.text).toMatch(/\r\nContent-Type: text\/event-stream/);

    const call = peer.client.get(peer.url("/slow?access_token=secret"), {
      headers: { Authorization: "Bearer secret" },
    });
    const conn = await peer.accept();
    await conn.readHead();
    const last = () => frames(reader.text).at(-1)?.transports[0];
    await reader.until(() => last()?.view.connections[0]?.request != null);
    const { view } = last()!; // just seen
    expect(view.figures).toMatchObject({ busy: 1, idle: 0, calls: 1 });
    expect(view.pools).toEqual([{ key: `|http|${peer.authority}`, waiting: 0, dialing: 0, busy: 1, idle: 0 }]);
    expect(view.connections[0]).toMatchObject({
      state: "busy",
      request: expect.stringContaining("access_token=[hidden]"),
    });
    expect(view.connections[0]?.line).toMatch(/^PersistConn \{ 127\.0\.0\.1:\d+, read idle, write done, 0 served \}$/);

    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await (await call).bytes();
    await reader.until(() => last()?.view.figures.idle === 1);
    expect(reader.text).toContain('"state":"200 OK"');

    const [, id] = /"call":(\d+),"method"/.exec(reader.text) ?? [];
    const story = await ask(inspector.port, get(inspector, `calls/1/${id}`));
    expect(story).toContain("is answered with 200 OK");
    expect(await ask(inspector.port, get(inspector, "calls/1/999999999"))).toMatch(/\r\n\r\nnull$/);
    expect(reader.text + story).not.toContain("secret");

    await inspector.close();
    await reader.toEnd();
    expect(reader.text).toMatch(/event: end\n/);
  });

  test("serveInspector() shows who waits, and for whom", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    await using inspector = await peer.transport.serveInspector();
    const calls = [peer.client.get(peer.url("/a")), peer.client.get(peer.url("/b"))];
    const conn = await peer.accept();
    await conn.readHead();
    using reader = new Reader(inspector.port);
    reader.socket.write(get(inspector, "events"));
    await reader.until((text) => frames(text).length > 0);
    const { view } = frames(reader.text)[0]!.transports[0]!; // the first frame has the transport
    expect(view.waiters).toEqual([
      { call: expect.any(Number), key: `|http|${peer.authority}`, ms: expect.any(Number) },
    ]);
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await conn.readHead();
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await Promise.all(calls);
  });

  test("inspector.add() shows other transports until they are closed, and no other thing", async () => {
    await using transport = new Transport();
    await using inspector = await transport.serveInspector();
    const other = new Transport();
    inspector.add(other, "the other");
    using reader = new Reader(inspector.port);
    reader.socket.write(get(inspector, "events"));
    await reader.until((text) => frames(text).at(-1)?.transports.length === 2);
    expect(reader.text).toContain('"name":"the other"');
    await other.close();
    await reader.until((text) => frames(text).at(-1)?.transports.length === 1);
    expect(() => inspector.add({})).toThrow(TypeError);
  });

  test("serveInspector() ends with its transport, and begins on none that is closed", async () => {
    const transport = new Transport();
    const inspector = await transport.serveInspector();
    using reader = new Reader(inspector.port);
    reader.socket.write(get(inspector, "events"));
    await reader.until((text) => frames(text).length === 1);
    await transport.close();
    await reader.toEnd();
    await inspector.close(); // again, and nothing happens
    await expect(transport.serveInspector()).rejects.toBeInstanceOf(TransportClosedError);
  });

  test("serveInspector() holds no process, unless it is told to", async () => {
    const servers = () => process.getActiveResourcesInfo().filter((type) => type === "TCPServerWrap").length;
    const before = servers();
    await using transport = new Transport();
    await using _ = await transport.serveInspector();
    expect(servers()).toBe(before);
    const holding = await transport.serveInspector({ keepAlive: true });
    expect(servers()).toBe(before + 1);
    await holding.close();
    await expect.poll(servers).toBe(before);
  });

  test("serveInspector() refuses options that it does not know, and says when a port is taken", async () => {
    await using transport = new Transport();
    for (const options of [{ prot: 1 }, { port: -1 }, { port: "80" }, { port: 70_000 }, { keepAlive: 1 }, null]) {
      await expect(transport.serveInspector(options as never)).rejects.toBeInstanceOf(TypeError); // wrong on purpose
    }
    await using inspector = await transport.serveInspector();
    await expect(transport.serveInspector({ port: inspector.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("persistconn:transport tells of each new transport what may be seen of it", async () => {
    const told: Watched[] = [];
    const on = (message: unknown) => told.push(message as Watched); // what the channel carries
    subscribe("persistconn:transport", on);
    try {
      await using _ = new Transport();
      expect(told).toHaveLength(1);
      expect(Object.keys(told[0]!)).toEqual(["view", "listen", "whenClosed"]);
      expect(told[0]!.view(1).figures.calls).toBe(0);
    } finally {
      unsubscribe("persistconn:transport", on);
    }
  });
});

/** A transport whose view is as large as a spec wants, and changes when it says so. */
function watched(padding: string): Watched & { views: number } {
  const figures = { dialing: 0, busy: 0, idle: 0, waiting: 0, handedOver: 0, dialed: 0, dialsFailed: 0, calls: 0 };
  const lists = { pools: [], connections: [], waiters: [], more: { pools: 0, connections: 0, waiters: 0 } };
  return {
    views: 0,
    view() {
      this.views++;
      const closed = { [padding]: 1 } as TransportView["closed"]; // any text will do
      return { at: 0, figures: { ...figures, retries: this.views }, closed, ...lists };
    },
    listen: () => () => {},
    whenClosed: () => () => {},
  };
}

describe("InspectorServer", () => {
  test("InspectorServer gives up who connects and says nothing, or half of it", async () => {
    const clock = new SteeredClock();
    const server = await InspectorServer.listen({ port: 0, keepAlive: false, clock });
    using silent = new Reader(server.port);
    using half = new Reader(server.port);
    half.socket.write("GET / HTTP/1.1\r\nHost: 127");
    using leaving = new Reader(server.port);
    leaving.socket.end("GET / HT"); // its side is closed, ours is not
    await leaving.toEnd();
    await Promise.all([silent, half].map(({ socket }) => socket.connecting && once(socket, "connect")));
    // Both are accepted before who asks after them is answered.
    expect(await ask(server.port, get(server))).toMatch(/^HTTP\/1\.1 200 /);
    await clock.advance(10_000);
    expect(await silent.toEnd()).toBe("");
    expect(await half.toEnd()).toBe("");
    await server.close();
  });

  test("InspectorServer has room for 32 connections and 16 streams, and again when one has gone", async () => {
    const server = await InspectorServer.listen({ port: 0, keepAlive: false });
    const readers: Reader[] = [];
    for (let i = 0; i < 16; i++) {
      const reader = new Reader(server.port);
      readers.push(reader);
      reader.socket.write(get(server, "events"));
      await reader.until((text) => text.includes("\r\n\r\n"));
    }
    expect(await ask(server.port, get(server, "events"))).toMatch(/^HTTP\/1\.1 503 /);
    expect(await ask(server.port, get(server))).toMatch(/^HTTP\/1\.1 200 /);
    // 16 more have room, or as many less as have ended and are not gone yet; the others are closed at once.
    for (let i = 0; i < 24; i++) readers.push(new Reader(server.port));
    const closed = () => readers.slice(16).filter(({ socket }) => socket.closed).length;
    await expect.poll(closed, { timeout: 15_000 }).toBeGreaterThanOrEqual(8);
    expect(closed()).toBeLessThanOrEqual(10);
    for (const { socket } of readers.slice(16)) socket.destroy();
    for (;;) if ((await ask(server.port, get(server))) !== "") break; // the server hears of that when it hears of it
    await server.close();
    for (const reader of readers) {
      await reader.toEnd();
      reader.socket.destroy();
    }
  });

  test("InspectorServer waits for no reader: who is slow gets the newest state, and what it has not read does not pile up", async () => {
    const clock = new SteeredClock();
    const server = await InspectorServer.listen({ port: 0, keepAlive: false, clock });
    const transport = watched("x".repeat(1024 * 1024));
    server.watch(transport);
    using slow = new Reader(server.port);
    slow.socket.pause();
    slow.socket.write(get(server, "events"));
    using brisk = new Reader(server.port);
    brisk.socket.write(get(server, "events"));
    const seen = () => brisk.text.match(/"retries":/g)?.length ?? 0;
    for (let i = 1; i <= 24; i++) {
      while (seen() < i) {
        await clock.advance(2_000);
        await setImmediate();
      }
    }
    // 24 MiB would have been for it. It was sent what the kernel took, and one that it did not.
    expect(transport.views).toBeLessThan(24 + 16);
    slow.socket.resume();
    await slow.until((text) => text.includes('"retries":'));
    await server.close();
  }, 60_000);

  test("InspectorServer gives up a reader that takes nothing for a minute", async () => {
    const clock = new SteeredClock();
    const server = await InspectorServer.listen({ port: 0, keepAlive: false, clock });
    server.watch(watched("x".repeat(32 * 1024 * 1024)));
    using stalled = new Reader(server.port);
    stalled.socket.pause();
    stalled.socket.write(get(server, "events"));
    using other = new Reader(server.port);
    other.socket.write(get(server, "nothing"));
    await other.toEnd(); // the stream was opened before
    await clock.advance(150);
    await clock.advance(60_000);
    stalled.socket.resume();
    expect(frames(await stalled.toEnd())).toEqual([]); // cut in the middle of its first frame
    await server.close();
  });
});
