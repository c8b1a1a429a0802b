/**
 * Ten situations, told by the trace alone: what happened, and why. The words are what a reader of a log, of the waterfall
 * or of `-v` sees, so they are compared whole.
 */

import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { TransportOptions, UserDial } from "../../lib/index.ts";
import { quiet, SCENARIOS, Stage } from "../e2e/phases.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { Upload } from "../support/upload.ts";
import { Story } from "./story.ts";

checkLeaks();
afterEach(() => vi.restoreAllMocks());

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A peer whose client tells a story. */
async function told(options: TransportOptions = {}, clock = new SteeredClock()) {
  const story = new Story();
  const peer = await scriptedPeer({ ...options, trace: story.on, clock });
  story.name(peer.authority, "peer");
  return { story, peer, clock, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
}

/** A GET that is answered, and its connection, which is idle then. */
async function served(peer: ScriptedPeer): Promise<PeerConn> {
  const call = peer.client.get(peer.url());
  const conn = await peer.accept();
  await answer(conn, call);
  return conn;
}

async function answer(conn: PeerConn, call: Promise<{ bytes(): Promise<unknown> }>): Promise<void> {
  await conn.readHead();
  conn.reply(OK);
  await (await call).bytes();
}

const ASKED = (n: number) => [
  `call ${n} asks for a connection: none is free (0 busy, 0 dialing, 0 idle), so one is dialed, and it takes whichever comes first`,
  `call ${n} a connection is dialed for it, to peer`,
  `call ${n} peer: connected`,
];
const FRESH = (n: number, c: number, who = `call ${n}`) => [
  `call ${n} its dial has made connection ${c}`,
  `${who} gets connection ${c}, dialed for it`,
];
const ANSWERED = (who: string) => [
  `${who} begins to write: N bytes`,
  `${who} has written its head`,
  `${who} is sent: N bytes`,
  `${who} hears the first byte of an answer`,
  `${who} is answered with 200 OK`,
  `${who} has its last byte: N bytes of answer`,
];
const BACK = (who: string) => `${who} has given its connection back`;
const POOLED = (c: number, times: string) => `connection ${c} goes into the pool, for at most 90000 ms, after ${times}`;

describe("the trace alone tells", () => {
  test("of a fresh connection that it was dialed, and where it went afterwards", async () => {
    await using scene = await told();
    await served(scene.peer);
    expect(scene.story.take()).toEqual([
      "call 1 GET http://peer/ begins",
      ...ASKED(1),
      ...FRESH(1, 1),
      ...ANSWERED("call 1"),
      POOLED(1, "1 exchange"),
      BACK("call 1"),
    ]);
  });

  test("of a reuse which connection it was, and how often it had been used", async () => {
    await using scene = await told();
    const conn = await served(scene.peer);
    scene.story.take();
    await answer(conn, scene.peer.client.get(scene.peer.url()));
    expect(scene.story.take()).toEqual([
      "call 2 GET http://peer/ begins",
      "call 2 asks for a connection: 1 idle, and the one used last is its own if it lives for a poll",
      "call 2 gets connection 1, used 1 time before",
      ...ANSWERED("call 2"),
      POOLED(1, "2 exchanges"),
      BACK("call 2"),
    ]);
  });

  test("of a wait behind a limit which limit it is, who has the connection and who is ahead", async () => {
    await using scene = await told({ maxConnsPerHost: 1 });
    const { peer, story } = scene;
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    story.take();
    const second = peer.client.get(peer.url("/2"));
    const third = peer.client.get(peer.url("/3"));
    expect(story.take()).toEqual([
      "call 2 GET http://peer/2 begins",
      "call 2 waits for a connection: the limit of 1 (maxConnsPerHost) is reached (1 busy, held by call 1, 0 dialing, 0 idle)",
      "call 3 GET http://peer/3 begins",
      "call 3 waits for a connection, behind call 2: the limit of 1 (maxConnsPerHost) is reached (1 busy, held by call 1, 0 dialing, 0 idle)",
    ]);
    conn.reply(OK);
    await (await first).bytes();
    await answer(conn, second);
    await answer(conn, third);
    expect(story.take().filter((line) => line.includes("gets"))).toEqual([
      "call 2 gets connection 1, used 1 time before",
      "call 3 gets connection 1, used 2 times before",
    ]);
  });

  test("of a pipelined request behind whom it goes out", async () => {
    await using scene = await told({ maxConnsPerHost: 1, pipelining: 3 });
    const { peer, story } = scene;
    const conn = await served(peer);
    const calls = ["/2", "/3", "/4"].map((path) => peer.client.get(peer.url(path)));
    for (const _ of calls) await conn.readHead();
    conn.reply(OK.repeat(3));
    for (const call of calls) await (await call).bytes();
    expect(story.take().filter((line) => /gets|sent on/.test(line))).toEqual([
      "call 1 gets connection 1, dialed for it",
      "call 2 gets connection 1, used 1 time before",
      "call 3 is sent on connection 1 behind call 2, whose answers come first",
      "call 4 is sent on connection 1 behind calls 2, 3, whose answers come first",
    ]);
  });

  test("of late binding that the connection came before the dial, and what becomes of that", async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let dials = 0;
    const dial: UserDial = async ({ host, port }) => {
      if (++dials > 1) await gate;
      const socket = connect({ host, port });
      await once(socket, "connect");
      return socket;
    };
    await using scene = await told({ dial });
    const { peer, story } = scene;
    const first = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    story.take();
    const second = peer.client.get(peer.url("/2"));
    conn.reply(OK);
    await (await first).bytes();
    await answer(conn, second);
    open();
    await until(() => peer.transport.stats().idle === 2, "the dial goes into the pool");
    expect(story.take().filter((line) => !line.startsWith("call 1"))).toEqual([
      "call 2 GET http://peer/2 begins",
      "call 2 asks for a connection: none is free (1 busy, held by call 1, 0 dialing, 0 idle), so one is dialed, and it takes whichever comes first",
      "call 2 a connection is dialed for it, to peer",
      POOLED(1, "1 exchange"),
      "call 2 gets connection 1, used 1 time before; it came back before the dial begun for this call had ended, which goes on for others",
      ...ANSWERED("call 2"),
      POOLED(1, "2 exchanges"),
      BACK("call 2"),
      "call 2 peer: connected",
      "call 2 its dial has made connection 2",
      POOLED(2, "0 exchanges"),
    ]);
  });

  test("of a stale connection that is avoided why it was closed, and that the request went elsewhere", async () => {
    await using scene = await told();
    const { peer, story, clock } = scene;
    const conn = await served(peer);
    story.take();
    clock.onTurnAsked = () => {
      clock.onTurnAsked = null;
      conn.end();
    };
    const call = peer.client.get(peer.url());
    await answer(await peer.accept(), call);
    expect(story.take()).toEqual([
      "call 2 GET http://peer/ begins",
      "call 2 asks for a connection: 1 idle, and the one used last is its own if it lives for a poll",
      "connection 1 is closed: the server closed it while it was idle",
      "call 2 a connection is dialed for it, to peer",
      "call 2 peer: connected",
      ...FRESH(2, 2),
      ...ANSWERED("call 2"),
      POOLED(2, "1 exchange"),
      BACK("call 2"),
    ]);
  });

  test("of a retry what failed, and why it may go again", async () => {
    await using scene = await told();
    const { peer, story, clock } = scene;
    const conn = await served(peer);
    story.take();
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      conn.reset();
    };
    const call = peer.client.get(peer.url());
    await answer(await peer.accept(), call);
    expect(story.take()).toEqual([
      "call 2 GET http://peer/ begins",
      "call 2 asks for a connection: 1 idle, and the one used last is its own if it lives for a poll",
      "call 2 gets connection 1, used 1 time before",
      "call 2 begins to write: N bytes",
      "call 2 its connection is closed: it broke",
      "call 2 is sent again, since nothing was written; this attempt failed with ConnectionClosedError: Cannot write request to peer: the connection was lost after N bytes",
      ...ASKED(2),
      ...FRESH(2, 2, "call 2, attempt 2"),
      ...ANSWERED("call 2, attempt 2"),
      POOLED(2, "1 exchange"),
      BACK("call 2, attempt 2"),
    ]);
  });

  test("of a refused retry why it may not go again, and what the caller gets", async () => {
    await using scene = await told();
    const { peer, story } = scene;
    const conn = await served(peer);
    story.take();
    const call = quiet(peer.client.post(peer.url(), { body: "x" }));
    await conn.readHead();
    conn.end();
    await expect(call).rejects.toThrow();
    expect(story.take().slice(-3)).toEqual([
      "call 2 its connection is closed: the server closed it before it had answered",
      "call 2 is not sent again, since bytes were written",
      "call 2 fails: ConnectionClosedError: Cannot read response head from peer: connection closed by the peer before a response after N bytes",
    ]);
  });

  test("of an early response that the request was not through, and what that costs", async () => {
    await using scene = await told();
    const { peer, story } = scene;
    const upload = new Upload();
    const call = peer.client.post(peer.url("/up"), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(5);
    await conn.expect("5\r\nUUUUU\r\n");
    await until(() => story.events.some(({ type }) => type === "body-sent"), "the chunk is told");
    story.take();
    conn.reply("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    await (await call).bytes();
    expect(story.take()).toEqual([
      "call 1 hears the first byte of an answer",
      "call 1 is answered with 413 Too Large, before the request was wholly sent",
      "call 1 has its last byte: N bytes of answer",
      "call 1 its connection is closed: the answer was whole before the request was, and nobody wants the rest (RFC 9112 §9.5)",
    ]);
  });

  test("of a redirect across origins where it leads, and what stays behind", async () => {
    await using scene = await told();
    await using other = await scriptedPeer();
    const { peer, story } = scene;
    story.name(other.authority, "other");
    const headers = { Authorization: "Bearer secret", Cookie: "a=b" };
    const call = peer.client.get(peer.url(), { headers });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`HTTP/1.1 302 Found\r\nLocation: ${other.url("/there")}\r\nContent-Length: 0\r\n\r\n`);
    await answer(await other.accept(), call);
    expect(story.take().slice(8)).toEqual([
      "call 1 is sent: N bytes",
      "call 1 hears the first byte of an answer",
      "call 1 is answered with 302 Found",
      "call 1 has its last byte: N bytes of answer",
      POOLED(1, "1 exchange"),
      BACK("call 1"),
      "call 1 is sent on by 302: GET http://other/there, another origin; Authorization, Cookie stay behind",
      "call 2 GET http://other/there begins, after 1 redirect",
      ...[...ASKED(2), ...FRESH(2, 2), ...ANSWERED("call 2")].map((line) => line.replace("peer", "other")),
      POOLED(2, "1 exchange"),
      BACK("call 2"),
    ]);
  });

  /** The last words of a call: of the dial, the attempt and the call itself. */
  const LAST_WORDS: Record<string, string[]> = {
    pool: ["fails: PoolTimeoutError: phase pool, no progress within 1234 ms (option poolTimeout)"],
    dns: ["fails: TimeoutError: phase dns, no progress within 1234 ms (option dialTimeout)"],
    connect: ["fails: TimeoutError: phase connect, no progress within 1234 ms (option dialTimeout)"],
    tls: ["fails: TimeoutError: phase tls, no progress within 1234 ms (option tlsHandshakeTimeout)"],
    write: [
      "its connection is closed: a time limit was reached",
      "is not sent again, since the failure was not a lost connection",
      "fails: TimeoutError: phase write, no progress within 1234 ms (option writeTimeout)",
    ],
    headers: [
      "its connection is closed: a time limit was reached",
      "is not sent again, since the failure was not a lost connection",
      "fails: TimeoutError: phase headers, no progress within 1234 ms (option responseHeaderTimeout)",
    ],
    body: [
      "its connection is closed: a time limit was reached",
      "fails in the body of the answer: TimeoutError: phase body, no progress within 1234 ms (option bodyTimeout)",
    ],
    "unread-body": [
      "its connection is closed: a time limit was reached",
      "fails in the body of the answer: TimeoutError: phase unread-body, no progress within 1234 ms (option unreadBodyTimeout)",
    ],
    "stalled-reader": [
      "its connection is closed: a time limit was reached",
      "fails in the body of the answer: TimeoutError: phase stalled-reader, no progress within 1234 ms (option stalledReaderTimeout)",
    ],
  };

  test.each(SCENARIOS)("of a time-out in the phase $phase which limit it was", async (scenario) => {
    const { phase, option, options, reach } = scenario;
    const story = new Story();
    await using stage = await Stage.open({ ...options, [option]: 1234, trace: story.on });
    vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { waiting, rest } = await reach(stage, {});
    story.take();
    await stage.clock.advance(1234);
    await stage.driven((waiting ?? rest?.() ?? Promise.resolve()).then(undefined, () => {}));
    const expected = LAST_WORDS[phase]!;
    const last = story.take().slice(-expected.length);
    expect(last.map((line) => line.replace(/^call \d+ /, ""))).toEqual(expected);
    await stage.driven(stage.peer.transport.destroy());
  });
});
