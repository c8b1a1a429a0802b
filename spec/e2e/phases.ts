/**
 * The ways to stand in each phase of an exchange, for the specs of what can end it there: time limits and aborts.
 *
 * A scenario goes to its phase and stays there. The network is real, or a peer's silence is; time is virtual, and moves
 * only when an event has shown that the phase was reached.
 */

import dns from "node:dns/promises";
import { inspect } from "node:util";
import { expect, vi } from "vitest";
import type { CallInit } from "../../lib/client.ts";
import type { Phase, Response, TraceEvent } from "../../lib/index.ts";
import type { CallTimeLimits, TransportOptions } from "../../lib/options.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type PeerConn, type PeerOptions, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";

/** A peer, and the clock on which its client lives. */
export class Stage implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly peer: ScriptedPeer;
  /** Connections that came, oldest first, those that hold something up for others included. */
  readonly conns: PeerConn[] = [];
  readonly #undo: (() => void)[] = [];

  private constructor(clock: VirtualClock, peer: ScriptedPeer) {
    this.clock = clock;
    this.peer = peer;
  }

  static async open(options: Omit<PeerOptions, "clock"> = {}): Promise<Stage> {
    const clock = new VirtualClock();
    return new Stage(clock, await scriptedPeer({ ...options, clock }));
  }

  /** What is undone when the scene is over. */
  finally(undo: () => void): void {
    this.#undo.push(undo);
  }

  async accept(): Promise<PeerConn> {
    const conn = await this.driven(this.peer.accept());
    this.conns.push(conn);
    return conn;
  }

  /** The promise's outcome; until then the network and the turns of the clock run, and time stands still. */
  async driven<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    while (!settled) await this.clock.settle();
    return promise;
  }

  /** Lets the network and the turns of the clock run until it is so. */
  async until(so: () => boolean): Promise<void> {
    while (!so()) await this.clock.settle();
  }

  /** Lets them run for some polls: what has not begun by then, nothing will begin. */
  async polls(count = 20): Promise<void> {
    for (let i = 0; i < count; i++) await this.clock.settle();
  }

  /** Waits until a number does not change any more: whatever made it change has stopped. */
  async still(count: () => number): Promise<void> {
    for (let polls = 0, before = Number.NaN; polls < 20; polls++) {
      await this.clock.settle();
      if (count() !== before) polls = 0;
      before = count();
    }
  }

  /** The transport holds nothing, no deadline is armed and none of its sockets is open. */
  async expectNothingLeft(): Promise<void> {
    expect(inspect(this.peer.transport)).toBe("Transport { 0 busy, 0 idle, 0 dialing, 0 waiting }");
    expect(this.clock.armed).toBe(0);
    for (const { socket } of this.peer.accepted) socket.resume();
    await this.driven(Promise.all(this.peer.accepted.map(async (conn) => conn.ended || (await conn.readToEnd()))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo) undo();
    await this.peer[Symbol.asyncDispose]();
  }
}

/** Standing in a phase. */
export interface Reached {
  readonly call: Promise<Response>;
  /** Reads what is left of the body; absent before there is a response. */
  readonly rest?: () => Promise<unknown>;
  /** Settles with what the phase's end does to the caller who waits now; absent where nobody waits. */
  readonly waiting?: Promise<unknown>;
}

export interface Scenario {
  readonly phase: Phase;
  /** The option that limits this phase. */
  readonly option: keyof CallTimeLimits | "dialTimeout" | "tlsHandshakeTimeout";
  /** What the transport needs for it. */
  readonly options?: TransportOptions;
  reach(stage: Stage, call: CallInit): Promise<Reached>;
}

/** A body of more than the kernel takes for a peer that does not read. */
const BODY_TOO_LARGE = Buffer.alloc(64 * 1024 * 1024);

/** A request that was sent and read by the peer. */
async function sent(stage: Stage, call: CallInit): Promise<{ call: Promise<Response>; conn: PeerConn }> {
  const response = quiet(stage.peer.client.get(stage.peer.url(), call));
  const conn = await stage.accept();
  await stage.driven(conn.readHead());
  return { call: response, conn };
}

/** Its rejection is looked at later. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Reads a body to its end, chunk by chunk. */
async function readAll(chunks: AsyncIterator<Uint8Array>, into: Uint8Array[]): Promise<Uint8Array[]> {
  for (;;) {
    const { done, value } = await chunks.next();
    if (done) return into;
    into.push(value);
  }
}

export const SCENARIOS: readonly Scenario[] = [
  {
    phase: "pool",
    option: "poolTimeout",
    options: { maxConnsPerHost: 1 },
    async reach(stage, call) {
      await sent(stage, {});
      const waiting = quiet(stage.peer.client.get(stage.peer.url("/waits"), call));
      await stage.until(() => stage.peer.transport.stats().waiting === 1);
      return { call: waiting, waiting };
    },
  },
  {
    phase: "dns",
    option: "dialTimeout",
    async reach(stage, call) {
      const lookup = vi.spyOn(dns, "lookup").mockImplementation(() => new Promise(() => {}));
      stage.finally(() => lookup.mockRestore());
      const waiting = quiet(stage.peer.client.get(`http://name.invalid:${stage.peer.port}/`, call));
      await stage.until(() => lookup.mock.calls.length === 1);
      return { call: waiting, waiting };
    },
  },
  {
    phase: "connect",
    option: "dialTimeout",
    options: {
      dial: (_, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
    async reach(stage, call) {
      const waiting = quiet(stage.peer.client.get(stage.peer.url(), call));
      await stage.until(() => stage.peer.transport.stats().dialing === 1);
      await stage.polls();
      return { call: waiting, waiting };
    },
  },
  {
    phase: "tls",
    option: "tlsHandshakeTimeout",
    async reach(stage, call) {
      const waiting = quiet(stage.peer.client.get(`https://${stage.peer.authority}/`, call));
      const conn = await stage.accept();
      expect(await stage.driven(conn.read(2))).toBe("\x16\x03"); // a handshake record: the hello that nobody answers
      return { call: waiting, waiting };
    },
  },
  {
    phase: "write",
    option: "writeTimeout",
    async reach(stage, call) {
      let bytes = 0;
      const trace = (event: TraceEvent) => {
        if (event.type === "body-sent") bytes += event.bytes;
      };
      const waiting = quiet(stage.peer.client.put(stage.peer.url(), { ...call, body: BODY_TOO_LARGE, trace }));
      // At once: the client would write as long as somebody reads.
      const accepted = stage.peer.accept().then((conn) => conn.socket.pause());
      await stage.driven(accepted);
      await stage.still(() => bytes);
      expect(bytes).toBeLessThan(BODY_TOO_LARGE.length);
      return { call: waiting, waiting };
    },
  },
  {
    phase: "headers",
    option: "responseHeaderTimeout",
    async reach(stage, call) {
      const { call: waiting } = await sent(stage, call);
      return { call: waiting, waiting };
    },
  },
  {
    phase: "body",
    option: "bodyTimeout",
    async reach(stage, call) {
      const { call: response, conn } = await sent(stage, call);
      conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
      const chunks = (await stage.driven(response))[Symbol.asyncIterator]();
      expect((await stage.driven(chunks.next())).value).toEqual(new Uint8Array(Buffer.from("abc")));
      const waiting = quiet(chunks.next());
      return { call: response, waiting, rest: () => readAll(chunks, []) };
    },
  },
  {
    phase: "unread-body",
    option: "unreadBodyTimeout",
    async reach(stage, call) {
      const { call: response, conn } = await sent(stage, call);
      conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
      const chunks = (await stage.driven(response))[Symbol.asyncIterator]();
      await stage.polls(); // the first bytes may have come behind the head
      return { call: response, rest: () => readAll(chunks, []) };
    },
  },
  {
    phase: "stalled-reader",
    option: "stalledReaderTimeout",
    async reach(stage, call) {
      const { call: response, conn } = await sent(stage, call);
      conn.reply(`HTTP/1.1 200 OK\r\nContent-Length: ${STALLED_BYTES + 2}\r\n\r\nx`);
      const chunks = (await stage.driven(response))[Symbol.asyncIterator]();
      await stage.driven(chunks.next());
      conn.reply("x".repeat(STALLED_BYTES));
      await stage.still(() => conn.socket.writableLength);
      expect(conn.socket.writableLength).toBeGreaterThan(0); // the client has stopped reading, and the kernels are full
      return { call: response, rest: () => readAll(chunks, []) };
    },
  },
];

/** More than the kernels and the client take while nobody reads. */
const STALLED_BYTES = 32 * 1024 * 1024;
