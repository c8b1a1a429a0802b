/**
 * SocketConduit over a socket of the spec's own, that does what the spec says and nothing else: each order in which a
 * write, its callback, a drain, an end, an error and a close can come, and what is left after a failed write. What the
 * kernel does stands in socket-conduit.spec.ts.
 */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import type { TlsFacts } from "../../lib/conn/conduit.ts";
import {
  factsOf,
  SocketConduit,
  type SocketConduitInit,
  SocketReader,
  tlsFactsOf,
} from "../../lib/conn/socket-conduit.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { quiet, Recorder } from "./conduit-contract.ts";

/** What is asked of a node socket beside a Duplex; writes wait until the spec ends them. */
class FakeSocket extends Duplex {
  readonly calls: string[] = [];
  readonly localAddress = "10.0.0.1";
  readonly localPort = 1;
  readonly remoteAddress = "10.0.0.2";
  readonly remotePort = 2;
  /** Ends of writes under way. */
  readonly writing: ((error?: Error | null) => void)[] = [];
  /** What was handed to the kernel, one entry a write. */
  readonly taken: string[] = [];
  /** Takes all at once. */
  readonly takes: boolean;

  constructor(takes = true) {
    super({ allowHalfOpen: true, highWaterMark: 100 });
    this.takes = takes;
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#take(chunk.toString("latin1"), done);
  }
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#take(chunks.map(({ chunk }) => chunk.toString("latin1")).join("|"), done);
  }
  #take(text: string, done: (error?: Error | null) => void): void {
    this.taken.push(text);
    if (this.takes) done();
    else this.writing.push(done);
  }
  unref(): void {
    this.calls.push("unref");
  }
  override pause(): this {
    this.calls.push("pause");
    return super.pause();
  }
  override resume(): this {
    this.calls.push("resume");
    return super.resume();
  }
}

function made(given: Partial<SocketConduitInit> & { takes?: boolean; attach?: boolean } = {}) {
  const { takes, attach = true, ...init } = given;
  const fake = new FakeSocket(takes);
  const reader = new SocketReader();
  const clock = new VirtualClock();
  const socket = fake as unknown as Socket; // all of it that is used
  const conduit = new SocketConduit({ socket, kind: "plain", reader, listensToData: false, clock, ...init });
  const sink = new Recorder();
  if (attach) conduit.attach(sink);
  const arrive = (text: string) => reader.callback(text.length, new Uint8Array(Buffer.from(`${text} and more`)));
  return { fake, reader, clock, conduit, sink, arrive };
}

const refused = () => Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" });
const CLOSED = { name: "ConnectionClosedError", message: "Cannot write to connection: it is closed for writing" };

describe("SocketConduit: facts", () => {
  test("are the socket's, or the path where that was dialed", () => {
    const socket = new FakeSocket() as unknown as Socket;
    const plain = { localAddress: "10.0.0.1", localPort: 1, remoteAddress: "10.0.0.2", remotePort: 2, tls: null };
    expect(factsOf(socket, "plain", undefined)).toEqual(plain);
    expect(factsOf(socket, "plain", "/a.sock")).toEqual({ ...plain, remoteAddress: "/a.sock" });
    const nothing = { localAddress: null, localPort: null, remoteAddress: null, remotePort: null, tls: null };
    expect(factsOf({} as Socket, "plain", undefined)).toEqual(nothing);
    expect(made({ path: "/b.sock" }).conduit.facts.remoteAddress).toBe("/b.sock");
  });

  test.each<[unknown, string | false | null, Partial<TlsFacts>]>([
    [{ standardName: "TLS_A", name: "A" }, "h2", { cipher: "TLS_A", alpn: "h2" }],
    [{ name: "A" }, false, { cipher: "A", alpn: null }],
    [{}, null, { cipher: null, alpn: null }],
    [undefined, false, { cipher: null, alpn: null }],
  ])("of TLS: %j and %j", (cipher, alpnProtocol, facts) => {
    const tls = {
      getCipher: () => cipher,
      getProtocol: () => "TLSv1.3",
      alpnProtocol,
      isSessionReused: () => true,
    } as unknown as TLSSocket; // all of it that is used
    const expected = { protocol: "TLSv1.3", resumed: true, ...facts };
    expect(tlsFactsOf(tls)).toEqual(expected);
    expect(factsOf(tls, "tls", undefined).tls).toEqual(expected);
    expect(factsOf(tls, "plain", undefined).tls).toBeNull();
  });

  test("refusalProvesNothingWritten holds for plain sockets", () => {
    expect(made().conduit.refusalProvesNothingWritten).toBe(true);
  });
});

describe("SocketConduit: reading", () => {
  test("what came before it was made is told first, then what comes through onread", async () => {
    const reader = new SocketReader();
    expect(reader.callback(5, new Uint8Array(Buffer.from("early, and more")))).toBe(false);
    const { sink, fake } = made({ reader });
    expect(sink.events).toEqual([]);
    await Promise.resolve();
    expect(sink.bytes.toString()).toBe("early");
    expect(fake.calls).toContain("resume"); // reading had stopped
    expect(reader.callback(4, new Uint8Array(Buffer.from("late, and more")))).toBe(true);
    expect(sink.bytes.toString()).toBe("earlylate");
  });

  test("does not go on reading where it was paused meanwhile", async () => {
    const reader = new SocketReader();
    reader.callback(5, new Uint8Array(Buffer.from("early")));
    const { conduit, fake, sink } = made({ reader, attach: false });
    conduit.pause();
    fake.calls.length = 0;
    conduit.attach(sink);
    await Promise.resolve();
    expect(sink.bytes.toString()).toBe("early");
    expect(fake.calls).toEqual([]);
    conduit.resume();
    conduit.resume();
    expect(fake.calls).toEqual(["resume"]);
  });

  test("listens to 'data' where it is told to, and wakes a socket that was left paused; else it does neither", async () => {
    const paused = new FakeSocket();
    paused.pause();
    paused.calls.length = 0;
    const clock = new VirtualClock();
    const socket = paused as unknown as Socket; // all of it that is used
    const conduit = new SocketConduit({ socket, kind: "plain", reader: null, listensToData: true, clock });
    const sink = new Recorder();
    conduit.attach(sink);
    expect(paused.calls).toEqual(["unref", "resume"]);
    paused.push("by data");
    await quiet();
    expect(sink.bytes.toString()).toBe("by data");
    expect(made().fake.listenerCount("data")).toBe(0);
    expect(made().fake.calls).toEqual(["unref"]);
  });

  test("pause() and resume() are the socket's", () => {
    const { conduit, fake } = made();
    fake.calls.length = 0;
    conduit.resume();
    conduit.pause();
    conduit.resume();
    expect(fake.calls).toEqual(["pause", "resume"]);
  });

  test("the peer's end is told; a close after both ends is none that needs telling", async () => {
    const { conduit, fake, sink } = made({ listensToData: true });
    fake.push(null);
    await quiet();
    expect(sink.events).toEqual(["end"]);
    conduit.end();
    await quiet();
    expect(fake.destroyed).toBe(true); // as streams do when both sides have ended
    expect(sink.events).toEqual(["end"]);
  });

  test.each([false, true])(
    "a close from outside is told as an error, whether the peer has ended (%s) or not",
    async (ended) => {
      const { fake, sink, clock } = made({ listensToData: true });
      if (ended) fake.push(null);
      await quiet();
      fake.destroy();
      await quiet();
      expect(sink.errors).toMatchObject([
        { name: "ConnectionClosedError", message: "Cannot use connection: its socket was destroyed from outside" },
      ]);
      expect(clock.holds).toBe(0);
    },
  );

  test("a close after our end alone is told as an error", async () => {
    const { conduit, fake, sink } = made();
    conduit.end();
    await quiet();
    fake.destroy();
    await quiet();
    expect(sink.story).toBe("error");
  });

  test("a sink that throws has its socket destroyed, and is told what it threw", async () => {
    const { fake, sink, arrive, clock } = made();
    const broken = new Error("a broken rule");
    sink.onData = () => {
      throw broken;
    };
    arrive("bytes");
    await quiet();
    expect([fake.destroyed, clock.holds, sink.errors]).toEqual([true, 0, [broken]]);
  });

  test("an error is told, and its close is not", async () => {
    const { fake, sink } = made();
    const broken = new Error("read ECONNRESET");
    fake.destroy(broken);
    await quiet();
    expect(sink.errors).toEqual([broken]);
    expect(sink.story).toBe("error");
  });
});

describe("SocketConduit: writing", () => {
  test("a string, one piece, several pieces and none: one write each, in latin1", () => {
    const { conduit, fake } = made();
    expect(conduit.write("\xe9")).toBe("ok");
    expect(conduit.write(["one"])).toBe("ok");
    expect(conduit.write([new Uint8Array([255])])).toBe("ok");
    expect(conduit.write(["\xe9", Buffer.from("b"), "c"])).toBe("ok");
    expect(conduit.write([])).toBe("ok");
    expect(fake.taken).toEqual(["\xe9", "one", "\xff", "\xe9|b|c"]);
  });

  test("full below the mark: an empty write behind it tells when all was taken", async () => {
    const { conduit, fake, sink } = made({ takes: false });
    expect(sink.call(() => conduit.write("some"))).toBe("full");
    expect(conduit.pendingBytes).toBe(4);
    fake.writing.shift()?.();
    await quiet();
    expect(fake.taken).toEqual(["some", ""]);
    expect(sink.events).toEqual([]);
    fake.writing.shift()?.();
    await quiet();
    expect(sink.events).toEqual(["drained"]);
    expect(conduit.pendingBytes).toBe(0);
  });

  test("full above the mark: 'drain' tells, and nothing more is written", async () => {
    const { conduit, fake, sink } = made({ takes: false });
    expect(sink.call(() => conduit.write("x".repeat(200)))).toBe("full");
    fake.writing.shift()?.();
    await quiet();
    expect(fake.taken).toHaveLength(1);
    expect(sink.events).toEqual(["drained"]);
    fake.emit("drain");
    expect(sink.events).toEqual(["drained"]);
  });

  test("a drain of what nobody was told to wait for is not told, nor one after a failed write", () => {
    const { conduit, fake, sink } = made({ takes: false });
    fake.emit("drain");
    expect(sink.events).toEqual([]);
    conduit.write("x".repeat(200));
    fake.destroy(refused());
    fake.writing.shift()?.();
    fake.emit("drain");
    expect(sink.events).toEqual([]);
  });

  test("drained() waits for all that was written", async () => {
    const { conduit, fake, sink } = made({ takes: false });
    conduit.write("x".repeat(200));
    conduit.write("more");
    fake.emit("drain"); // as a drain of what was before may come
    expect(sink.events).toEqual([]);
    while (fake.writing.length > 0) {
      fake.writing.shift()?.();
      await quiet();
    }
    expect(sink.events).toEqual(["drained"]);
  });

  test.each<[string, string | (string | Uint8Array)[], string]>([
    ["a string", "\xe9", "\xe9"],
    ["one piece of text", ["\xe9"], "\xe9"],
    ["one of bytes", [new Uint8Array([255])], "\xff"],
    ["several, the last of text", [new Uint8Array([255]), "\xe9"], "\xff|\xe9"],
    ["several, the last of bytes", ["\xe9", new Uint8Array([255])], "\xe9|\xff"],
  ])("over TLS %s is told by its callback, and no empty write follows", async (_, data, taken) => {
    const { conduit, fake, sink } = tls({ takes: false });
    expect(sink.call(() => conduit.write(data))).toBe("full");
    fake.writing.shift()?.();
    await quiet();
    expect(sink.events).toEqual(["drained"]);
    expect(fake.taken).toEqual([taken]);
    expect(fake.writing).toEqual([]);
    expect(conduit.refusalProvesNothingWritten).toBe(false);
  });

  function tls(given: { takes: boolean }) {
    const fake = Object.assign(new FakeSocket(given.takes), {
      getCipher: () => ({}),
      getProtocol: () => "TLSv1.3",
      alpnProtocol: false,
      isSessionReused: () => false,
    });
    const clock = new VirtualClock();
    const socket = fake as unknown as Socket; // all of it that is used
    const conduit = new SocketConduit({ socket, kind: "tls", reader: null, listensToData: true, clock });
    const sink = new Recorder();
    conduit.attach(sink);
    return { conduit, fake, sink };
  }

  test("end() ends our side; then it is closed for writing, and so it is once destroyed", async () => {
    const { conduit, fake, sink } = made();
    conduit.end();
    expect(fake.writableEnded).toBe(true);
    expect(conduit.write("more")).toMatchObject(CLOSED);
    conduit.destroy();
    expect(fake.destroyed).toBe(true);
    expect(conduit.write("more")).toMatchObject(CLOSED);
    await quiet();
    expect(sink.events).toEqual([]);
  });

  test("what the socket broke with is the answer to a later write", async () => {
    const { conduit, fake } = made();
    const broken = new Error("read ECONNRESET");
    fake.destroy(broken);
    await quiet();
    expect(conduit.write("more")).toBe(broken);
  });

  test("a write that the socket refuses within it is answered with its error", () => {
    const { conduit, fake } = made();
    const broken = refused();
    fake._write = (_chunk, _encoding, done) => done(broken);
    expect(conduit.write("x")).toBe(broken);
    expect(conduit.write("more")).toBe(broken);
  });

  test("a write that fails later is not told as taken", async () => {
    const { conduit, fake, sink, clock } = made({ takes: false });
    conduit.write("some");
    fake.writing.shift()?.(refused());
    await quiet();
    expect(sink.events).toEqual([]);
    await clock.settle();
    expect(sink.story).toBe("error");
  });
});

describe("SocketConduit: after a failed write", () => {
  test("the socket is read on, poll by poll, until one brought nothing; then the write's error is told", async () => {
    const { conduit, fake, sink, clock, arrive } = made();
    const broken = refused();
    fake.destroy(broken); // as Node does for a failed write
    expect(fake.destroyed).toBe(false);
    expect(conduit.write("more")).toBe(broken);
    expect(clock.turning).toBe(1);
    for (const word of ["an ", "early ", "answer"]) {
      arrive(word);
      turn(clock);
      expect([fake.destroyed, clock.turning]).toEqual([false, 1]);
    }
    turn(clock);
    expect([fake.destroyed, clock.turning]).toEqual([true, 0]);
    await quiet();
    expect(sink.story).toBe("data error");
    expect(sink.bytes.toString()).toBe("an early answer");
    expect(sink.errors).toEqual([broken]);
  });

  test("what came before it counts for no poll", () => {
    const { fake, clock, arrive } = made();
    arrive("before");
    fake.destroy(refused());
    turn(clock);
    expect(fake.destroyed).toBe(true);
  });

  test("it is granted sixty-four polls, and no more", () => {
    const { fake, clock, arrive } = made();
    fake.destroy(refused());
    let polls = 0;
    while (!fake.destroyed && polls < 100) {
      arrive("x");
      turn(clock);
      polls++;
    }
    expect(polls).toBe(64);
  });

  test("a reader that has paused is waited for; resume() goes on", async () => {
    const { conduit, fake, sink, clock, arrive } = made();
    conduit.pause();
    fake.destroy(refused());
    turn(clock);
    expect([fake.destroyed, clock.turning]).toEqual([false, 0]);
    conduit.resume();
    expect(clock.turning).toBe(1);
    arrive("late");
    turn(clock);
    expect(fake.destroyed).toBe(false);
    turn(clock);
    expect(fake.destroyed).toBe(true);
    await quiet();
    expect(sink.story).toBe("data error");
  });

  test("resume() without one asks for no poll", () => {
    const { conduit, clock } = made();
    conduit.pause();
    conduit.resume();
    expect(clock.turning).toBe(0);
  });

  test("destroy() ends it at once", async () => {
    const { conduit, fake, sink, clock, arrive } = made();
    fake.destroy(refused());
    conduit.destroy();
    expect(fake.destroyed).toBe(true);
    arrive("late");
    turn(clock);
    expect(clock.turning).toBe(0);
    await quiet();
    expect(sink.events).toEqual([]);
  });

  test("a second error of the socket is not held back, and the write's is the one that is told", async () => {
    const { fake, sink } = made();
    const broken = refused();
    fake.destroy(broken);
    fake.destroy(refused());
    expect(fake.destroyed).toBe(true);
    await quiet();
    expect(sink.errors).toEqual([broken]);
  });

  test.each<[string, Error | undefined]>([
    ["no error", undefined],
    ["the error of a read", Object.assign(new Error("read ECONNRESET"), { syscall: "read" })],
    ["an error without a syscall", new Error("aborted")],
  ])("only that of a write is held back, not %s", (_, error) => {
    const { fake, clock } = made();
    expect(fake.destroy(error)).toBe(fake);
    expect(fake.destroyed).toBe(true);
    expect(clock.turning).toBe(0);
  });

  test("after the peer's end there is nothing to hold back for, nor after destroy()", async () => {
    const { fake, clock } = made({ listensToData: true });
    fake.push(null);
    await quiet();
    fake.destroy(refused());
    expect([fake.destroyed, clock.turning]).toEqual([true, 0]);
    const closed = made();
    closed.conduit.destroy();
    closed.fake.destroy(refused());
    expect(closed.clock.turning).toBe(0);
  });

  test("destroy() of the socket answers with the socket while it holds back", () => {
    const { fake } = made();
    expect(fake.destroy(refused())).toBe(fake);
  });
});

describe("SocketConduit: what keeps the process alive", () => {
  test("is the clock's hold, once, and not the socket", () => {
    const { conduit, clock, fake } = made();
    expect(fake.calls).toEqual(["unref"]);
    expect(clock.holds).toBe(1);
    for (const [call, holds] of [
      ["ref", 1],
      ["unref", 0],
      ["unref", 0],
      ["ref", 1],
      ["ref", 1],
    ] as const) {
      conduit[call]();
      expect(clock.holds).toBe(holds);
    }
    conduit.destroy();
    expect(clock.holds).toBe(0);
    conduit.ref();
    expect(clock.holds).toBe(0);
    conduit.destroy();
    expect(clock.holds).toBe(0);
  });
});

/** Lets one batch of turns come. */
function turn(clock: VirtualClock): void {
  for (const fire of clock.closeBatch()) fire();
}
