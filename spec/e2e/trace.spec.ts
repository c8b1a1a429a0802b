/**
 * What a listener hears, as words: each event with its call, its attempt and its connection, so that a log can be read
 * as the story of a request. Calls and connections are numbered in the order in which they appear.
 */

import { describe, expect, test } from "vitest";
import { Client, type TraceEvent, Transport } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { nextUncaught } from "../support/uncaught.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A listener that writes words: `call.attempt connection what happened`. */
class Log {
  readonly words: string[] = [];
  readonly events: TraceEvent[] = [];
  readonly #calls: number[] = [];
  readonly #connections: number[] = [];

  readonly on = (event: TraceEvent): void => {
    this.events.push(event);
    const call = event.call === null ? "-" : `${numbered(this.#calls, event.call)}.${event.attempt}`;
    const connection = event.connection === null ? "-" : `c${numbered(this.#connections, event.connection)}`;
    this.words.push(`${call} ${connection} ${this.#word(event)}`);
  };

  #word(event: TraceEvent): string {
    switch (event.type) {
      case "call-start":
        return `call-start ${event.method} ${new URL(event.url).pathname}`;
      case "pool-wait":
        return `pool-wait: ${event.idle} idle, ${event.waiting} waiting, ${event.dials} dials`;
      case "pool-assigned":
        return `pool-assigned: ${event.reused ? `reused, served ${event.served}` : "fresh"}`;
      case "connect-done":
        return `connect-done: ${event.tried.outcome}`;
      case "dial-done":
        return `dial-done: c${numbered(this.#connections, event.id)}`;
      case "tls-done":
        return `tls-done: ${event.protocol}`;
      case "request-sent":
        return "request-sent";
      case "head":
        return `head: ${event.status} ${event.framing}`;
      case "information":
        return `information: ${event.status}`;
      case "body-data":
      case "body-sent":
        return `${event.type}: ${event.bytes}`;
      case "retry":
      case "retry-refused":
      case "connection-closed":
        return `${event.type}: ${event.reason}`;
      case "call-failed":
        return `call-failed: ${(event.error as Error).name}`;
      default:
        return event.type;
    }
  }

  /** What was written since the last call. */
  take(): string[] {
    return this.words.splice(0);
  }
}

function numbered(known: number[], id: number): number {
  if (!known.includes(id)) known.push(id);
  return known.indexOf(id) + 1;
}

const FRESH = (n: number, c: number) => [
  `${n}.0 - call-start GET /`,
  `${n}.0 - pool-wait: 0 idle, 0 waiting, 0 dials`,
  `${n}.0 - dial-start`,
  `${n}.0 - connect-start`,
  `${n}.0 - connect-done: connected`,
  `${n}.0 - dial-done: c${c}`,
  `${n}.1 c${c} pool-assigned: fresh`,
  `${n}.1 c${c} request-write`,
  `${n}.1 c${c} request-head`,
  `${n}.1 c${c} request-sent`,
];
const ANSWERED = (n: number, c: number, attempt = 1) => [
  `${n}.${attempt} c${c} first-byte`,
  `${n}.${attempt} c${c} head: 200 length`,
  `${n}.${attempt} c${c} body-data: 2`,
  `${n}.${attempt} c${c} end`,
];

describe("the trace of", () => {
  test("a fresh connection that goes into the pool, and of its reuse", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: log.on });
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await first).bytes();
    expect(log.take()).toEqual([
      ...FRESH(1, 1),
      ...ANSWERED(1, 1),
      "- c1 connection-idle",
      "1.1 c1 connection-returned",
    ]);

    const second = peer.client.get(peer.url());
    await conn.readHead();
    conn.reply(OK);
    await (await second).bytes();
    expect(log.take()).toEqual([
      "2.0 - call-start GET /",
      "2.0 - pool-wait: 1 idle, 0 waiting, 0 dials",
      "2.1 c1 pool-assigned: reused, served 1",
      "2.1 c1 request-write",
      "2.1 c1 request-head",
      "2.1 c1 request-sent",
      ...ANSWERED(2, 1),
      "- c1 connection-idle",
      "2.1 c1 connection-returned",
    ]);
  });

  test("who has the connections is named only where too few are idle for those who wait", async () => {
    const waits: (TraceEvent & { type: "pool-wait" })[] = [];
    await using peer = await scriptedPeer({ trace: (event) => void (event.type === "pool-wait" && waits.push(event)) });
    const calls = [peer.client.get(peer.url())];
    const conn = await peer.accept();
    await conn.readHead();
    calls.push(peer.client.get(peer.url()));
    await (await peer.accept()).readHead();
    conn.reply(OK);
    await (await calls[0])?.bytes(); // its connection is idle, the other one lent
    calls.push(peer.client.get(peer.url()), peer.client.get(peer.url()));
    const told = waits.map(({ idle, waiting, ahead, holders }) => ({ idle, waiting, ahead, holders }));
    const [first, second, third] = waits.map(({ call }) => call);
    expect(told).toEqual([
      { idle: 0, waiting: 0, ahead: [], holders: [] },
      { idle: 0, waiting: 0, ahead: [], holders: [first] },
      { idle: 1, waiting: 0, ahead: [], holders: [] },
      { idle: 1, waiting: 1, ahead: [third], holders: [second] },
    ]);
    await peer.transport.destroy();
    await Promise.allSettled(calls);
  });

  test("a connection that dies while idle: told once, of no call", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: log.on });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await call).bytes();
    log.take();
    conn.end();
    await conn.readToEnd();
    expect(log.take()).toEqual(["- c1 connection-closed: server-closed-idle"]);
  });

  test("a connection that is closed after its answer: told once, of its call", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: log.on });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    await (await call).bytes();
    expect(log.take()).toEqual([...FRESH(1, 1), ...ANSWERED(1, 1), "1.1 c1 connection-closed: response-says-close"]);
  });

  test("a stale connection that is avoided: never assigned, and no retry", async () => {
    const log = new Log();
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ trace: log.on, clock });
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await first).bytes();
    log.take();

    clock.onTurnAsked = () => {
      clock.onTurnAsked = null;
      conn.reset();
    };
    const second = peer.client.get(peer.url());
    const other = await peer.accept();
    await other.readHead();
    other.reply(OK);
    await (await second).bytes();
    expect(log.take()).toEqual([
      "2.0 - call-start GET /",
      "2.0 - pool-wait: 1 idle, 0 waiting, 0 dials",
      "- c1 connection-closed: idle-error",
      "2.0 - dial-start",
      "2.0 - connect-start",
      "2.0 - connect-done: connected",
      "2.0 - dial-done: c2",
      "2.1 c2 pool-assigned: fresh",
      "2.1 c2 request-write",
      "2.1 c2 request-head",
      "2.1 c2 request-sent",
      ...ANSWERED(2, 2),
      "- c2 connection-idle",
      "2.1 c2 connection-returned",
    ]);
  });

  test("a retry: the dead connection, the reason, the next attempt", async () => {
    const log = new Log();
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ trace: log.on, clock });
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await first).bytes();
    log.take();

    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      conn.reset();
    };
    const second = peer.client.get(peer.url());
    const other = await peer.accept();
    await other.readHead();
    other.reply(OK);
    await (await second).bytes();
    expect(log.take()).toEqual([
      "2.0 - call-start GET /",
      "2.0 - pool-wait: 1 idle, 0 waiting, 0 dials",
      "2.1 c1 pool-assigned: reused, served 1",
      "2.1 c1 request-write",
      "2.1 c1 connection-closed: socket-error",
      "2.1 c1 retry: nothing was written",
      "2.1 c1 pool-wait: 0 idle, 0 waiting, 0 dials",
      "2.1 c1 dial-start",
      "2.1 c1 connect-start",
      "2.1 c1 connect-done: connected",
      "2.1 c1 dial-done: c2",
      "2.2 c2 pool-assigned: fresh",
      "2.2 c2 request-write",
      "2.2 c2 request-head",
      "2.2 c2 request-sent",
      ...ANSWERED(2, 2, 2),
      "- c2 connection-idle",
      "2.2 c2 connection-returned",
    ]);
  });

  test("a retry that is refused: the reason, and the failure", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: log.on });
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reset();
    await failed;
    expect(log.take()).toEqual([
      ...FRESH(1, 1),
      "1.1 c1 connection-closed: socket-error",
      "1.1 c1 retry-refused: the connection was dialed for this request",
      "1.1 c1 call-failed: ConnectionClosedError",
    ]);
  });

  test("a retry that the closing of the transport prevents: not told as one", async () => {
    const log = new Log();
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ trace: { groups: ["call"], on: log.on }, clock });
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await first).bytes();
    log.take();

    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      conn.reset();
      queueMicrotask(() => void peer.transport.close()); // before the write loop gets to it
    };
    await expect(peer.client.get(peer.url())).rejects.toThrow();
    expect(log.take().filter((word) => word.includes("retry"))).toEqual([
      "2.1 c1 retry-refused: the transport is closed",
    ]);
  });

  test("an early answer that stops an upload", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: log.on });
    const upload = new Upload();
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(5);
    await conn.expect("5\r\nUUUUU\r\n");
    await until(() => log.words.some((word) => word.includes("body-sent")), "the chunk is told");
    conn.reply("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    await (await call).bytes();
    expect(log.take().slice(6)).toEqual([
      "1.1 c1 pool-assigned: fresh",
      "1.1 c1 request-write",
      "1.1 c1 request-head",
      "1.1 c1 body-sent: 5",
      "1.1 c1 first-byte",
      "1.1 c1 head: 413 length",
      "1.1 c1 body-data: 3",
      "1.1 c1 end",
      "1.1 c1 connection-closed: write-unfinished",
    ]);
  });

  test.each([
    ["a string", "some body"],
    ["bytes", Buffer.from("some body")],
  ])("a body of %s that goes out with its head", async (_, body) => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: { groups: ["connection", "body"], on: log.on } });
    const call = peer.client.post(peer.url(), { body });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.expect("some body");
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await (await call).bytes();
    expect(log.take().slice(0, 4)).toEqual([
      "1.1 c1 request-write",
      "1.1 c1 request-head",
      "1.1 c1 body-sent: 9",
      "1.1 c1 request-sent",
    ]);
  });

  test("a dial that fails", async () => {
    const log = new Log();
    const peer = await scriptedPeer();
    const { authority } = peer;
    await peer[Symbol.asyncDispose]();
    await using transport = new Transport({ trace: log.on });
    await expect(new Client({ transport }).get(`http://${authority}/`)).rejects.toMatchObject({
      code: "ERR_HTTP_DIAL",
    });
    expect(log.take()).toEqual([
      "1.0 - call-start GET /",
      "1.0 - pool-wait: 0 idle, 0 waiting, 0 dials",
      "1.0 - dial-start",
      "1.0 - connect-start",
      "1.0 - connect-done: ECONNREFUSED",
      "1.0 - dial-failed",
      "1.0 - call-failed: DialError",
    ]);
  });

  test("TLS, 1xx and chunks", async () => {
    const log = new Log();
    const authority = new CertificateAuthority();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    await using peer = await scriptedPeer({ trace: log.on, serverTls, tls: { ca: authority.cert } });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    await turns(3); // the write over TLS is confirmed in a poll of its own
    conn.reply(
      "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    await (await call).bytes();
    expect(log.take().slice(2)).toEqual([
      "1.0 - dial-start",
      "1.0 - connect-start",
      "1.0 - connect-done: connected",
      "1.0 - tls-start",
      "1.0 - tls-done: TLSv1.3",
      "1.0 - dial-done: c1",
      "1.1 c1 pool-assigned: fresh",
      "1.1 c1 request-write",
      "1.1 c1 request-head",
      "1.1 c1 request-sent",
      "1.1 c1 first-byte",
      "1.1 c1 information: 103",
      "1.1 c1 head: 200 chunked",
      "1.1 c1 body-data: 2",
      "1.1 c1 end",
      "- c1 connection-idle",
      "1.1 c1 connection-returned",
    ]);
  });
});

describe("a listener", () => {
  test("of one call hears that call only, in its groups only, beside the transport's own", async () => {
    const all = new Log();
    const mine = new Log();
    await using peer = await scriptedPeer({ trace: { groups: ["call", "pool"], on: all.on } });
    const first = peer.client.get(peer.url(), { trace: { groups: ["connection"], on: mine.on } });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await first).bytes();
    const second = peer.client.get(peer.url());
    await conn.readHead();
    conn.reply(OK);
    await (await second).bytes();
    expect(mine.words).toEqual([
      "1.1 c1 request-write",
      "1.1 c1 request-head",
      "1.1 c1 request-sent",
      "1.1 c1 first-byte",
      "1.1 c1 head: 200 length",
      "1.1 c1 end",
    ]);
    expect(new Set(all.events.map(({ type }) => type))).toEqual(
      new Set(["call-start", "pool-wait", "pool-assigned", "connection-idle", "connection-returned"]),
    );
  });

  test("hears times that never go back", async () => {
    const log = new Log();
    await using peer = await scriptedPeer({ trace: log.on });
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    const res = await call;
    await res.bytes();
    const times = log.events.map(({ at }) => at);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test("that throws harms nothing, and its error is an uncaught exception of its own", async () => {
    let thrown = 0;
    await using peer = await scriptedPeer({
      trace: {
        groups: ["connection"],
        on: ({ type }) => {
          if (type !== "head") return;
          thrown++;
          throw new Error("of the listener");
        },
      },
    });
    const uncaught = nextUncaught();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
    expect(await uncaught).toMatchObject({ message: "of the listener" });
    expect(thrown).toBe(1);
  });
});
