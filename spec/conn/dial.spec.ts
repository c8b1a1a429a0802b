import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Conduit } from "../../lib/conn/conduit.ts";
import { Dialer, type DialOptions, type DialTarget, type DialTrace, type UserDial } from "../../lib/conn/dial.ts";
import type { Address } from "../../lib/conn/happy-eyeballs.ts";
import { unixDialer } from "../../lib/conn/unix.ts";
import { DialError, TimeoutError, TransportClosedError } from "../../lib/errors.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { quiet, Recorder, until } from "./conduit-contract.ts";

const leaks = checkLeaks();
const storage = new AsyncLocalStorage<string>();

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const DEFAULTS = { dialTimeout: 10_000, tlsHandshakeTimeout: 10_000, tcpKeepAlive: 30_000, noDelay: true };
const LOOPBACK_4: Address = { address: "127.0.0.1", family: 4 };
const LOOPBACK_6: Address = { address: "::1", family: 6 };

function dialerOf(options: Partial<DialOptions> = {}, clock: Clock = systemClock): Dialer {
  const dialer = new Dialer({ ...DEFAULTS, ...options }, clock);
  closing.push(() => dialer.close());
  return dialer;
}

/** A server that says back what it hears. */
async function echoServer(where: { path: string } | { port: number; host: string } = { port: 0, host: "127.0.0.1" }) {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => socket.write(chunk));
  });
  server.listen(where);
  await once(server, "listening");
  closing.push(async () => {
    for (const socket of accepted) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { server, accepted, port: (server.address() as AddressInfo).port }; // a path has none, and nobody asks for it
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server: Server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  server.close();
  await once(server, "close");
  return port;
}

function http(host: string, port: number): DialTarget {
  return { scheme: "http", host, port };
}

function signal(): AbortSignal {
  return leaks().watch(new AbortController().signal);
}

async function dialed(dialer: Dialer, target: DialTarget, trace: DialTrace | null = null): Promise<Conduit> {
  const conduit = await dialer.start(target, signal(), trace).promise;
  closing.push(() => conduit.destroy());
  return conduit;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("It did not fail");
}

/** Sends a word and waits for it to come back. */
async function echo(conduit: Conduit, sink = new Recorder()): Promise<Recorder> {
  conduit.attach(sink);
  conduit.write("echo");
  await until(() => sink.bytes.toString().endsWith("echo"), "the echo");
  return sink;
}

class TraceLog implements DialTrace {
  readonly log: string[] = [];
  dnsDone(addresses: readonly string[]): void {
    this.log.push(`dns ${addresses}`);
  }
  connectStart(address: string): void {
    this.log.push(`start ${address}`);
  }
  connectDone({ address, outcome }: { address: string; outcome: string }): void {
    this.log.push(`${outcome} ${address}`);
  }
  connected(): void {
    this.log.push("connected");
  }
  tlsDone(): void {
    this.log.push("tls");
  }
}

describe("Dialer.start(): addresses", () => {
  test("an address is dialed without a lookup", async () => {
    const { port } = await echoServer();
    const lookup = () => Promise.reject(new Error("asked"));
    const trace = new TraceLog();
    const conduit = await dialed(dialerOf({ lookup }), http("127.0.0.1", port), trace);
    await echo(conduit);
    expect(conduit.facts).toMatchObject({ remoteAddress: "127.0.0.1", remotePort: port, tls: null });
    expect(conduit.refusalProvesNothingWritten).toBe(true);
    expect(trace.log).toEqual(["start 127.0.0.1", "connected 127.0.0.1", "connected"]);
  });

  test("a name is looked up by the system", async () => {
    const { port } = await echoServer();
    const trace = new TraceLog();
    await echo(await dialed(dialerOf(), http("localhost", port), trace));
    expect(trace.log[0]).toMatch(/^dns .*127\.0\.0\.1/);
    expect(trace.log.at(-1)).toBe("connected");
  });

  test("the next address is tried when one refuses, and its family goes first the next time", async () => {
    const { port } = await echoServer();
    const dialer = dialerOf({ lookup: async () => [LOOPBACK_6, LOOPBACK_4] });
    const first = new TraceLog();
    await echo(await dialed(dialer, http("both.test", port), first));
    expect(first.log.slice(0, 2)).toEqual(["dns ::1,127.0.0.1", "start ::1"]);
    expect(first.log.slice(-3)).toEqual(["start 127.0.0.1", "connected 127.0.0.1", "connected"]);
    const second = new TraceLog();
    await dialed(dialer, http("both.test", port), second);
    expect(second.log.slice(1)).toEqual(["start 127.0.0.1", "connected 127.0.0.1", "connected"]);
    const other = new TraceLog();
    await dialed(dialer, http("other.test", port), other);
    expect(other.log[1]).toBe("start ::1");
  });

  test("DialError has every address that was tried, and the error of each", async () => {
    const port = await closedPort();
    const lookup = async (): Promise<Address[]> => [LOOPBACK_4, { address: "127.0.0.2", family: 4 }];
    const error = await failure(dialerOf({ lookup }).start(http("two.test", port), signal(), null).promise);
    expect(error).toBeInstanceOf(DialError);
    expect(error).toMatchObject({
      code: "ERR_HTTP_DIAL",
      phase: "connect",
      safeToRetry: true,
      message: `Cannot connect to two.test:${port}: ECONNREFUSED at 127.0.0.1, ECONNREFUSED at 127.0.0.2`,
      attempts: [
        { address: "127.0.0.1", port, family: 4, outcome: "ECONNREFUSED", ms: expect.any(Number) },
        { address: "127.0.0.2", port, family: 4, outcome: "ECONNREFUSED", ms: expect.any(Number) },
      ],
    });
    const { cause } = error as DialError;
    expect((cause as AggregateError).errors).toHaveLength(2);
  });

  test("DialError of one address has the system's error as its cause", async () => {
    const port = await closedPort();
    const error = await failure(dialerOf().start(http("127.0.0.1", port), signal(), null).promise);
    expect(error).toMatchObject({ name: "DialError", cause: { code: "ECONNREFUSED", syscall: "connect" } });
  });

  test("DialError says that a name was not resolved, or has no address", async () => {
    const unknown = Object.assign(new Error("unknown"), { code: "ENOTFOUND" });
    const failing = dialerOf({ lookup: () => Promise.reject(unknown) });
    expect(await failure(failing.start(http("gone.test", 80), signal(), null).promise)).toMatchObject({
      name: "DialError",
      phase: "dns",
      cause: unknown,
      attempts: [],
      message: "Cannot connect to gone.test:80: its name was not resolved (ENOTFOUND)",
    });
    const empty = dialerOf({ lookup: async () => [] });
    expect(await failure(empty.start(http("empty.test", 80), signal(), null).promise)).toMatchObject({
      message: "Cannot connect to empty.test:80: its name has no address",
    });
  });

  test("allowAddress() decides for each address before any is dialed, in the caller's context", async () => {
    const { port } = await echoServer();
    const asked: string[] = [];
    const dialer = dialerOf({
      lookup: async () => [LOOPBACK_6, LOOPBACK_4],
      allowAddress: (address, port) => {
        asked.push(`${address} ${port} for ${storage.getStore()}`);
        return !address.includes(":");
      },
    });
    const trace = new TraceLog();
    await storage.run("a call", () => dialed(dialer, http("both.test", port), trace));
    expect(asked).toEqual([`::1 ${port} for a call`, `127.0.0.1 ${port} for a call`]);
    expect(trace.log).toEqual([
      "dns ::1,127.0.0.1",
      "refused-by-policy ::1",
      "start 127.0.0.1",
      "connected 127.0.0.1",
      "connected",
    ]);
  });

  test("allowAddress() that refuses all, or throws, fails the dial", async () => {
    const none = dialerOf({ allowAddress: () => false });
    expect(await failure(none.start(http("127.0.0.1", 80), signal(), null).promise)).toMatchObject({
      name: "DialError",
      attempts: [{ address: "127.0.0.1", outcome: "refused-by-policy" }],
    });
    const broken = new Error("broken policy");
    const throwing = dialerOf({
      allowAddress: () => {
        throw broken;
      },
    });
    expect(await failure(throwing.start(http("127.0.0.1", 80), signal(), null).promise)).toMatchObject({
      name: "DialError",
      cause: broken,
    });
  });

  test("a port that cannot be is a DialError, not an exception", async () => {
    for (const port of [70_000, -1, 80.5]) {
      expect(await failure(dialerOf().start(http("127.0.0.1", port), signal(), null).promise)).toMatchObject({
        name: "DialError",
        message: `Cannot connect to 127.0.0.1:${port}: there is no such port`,
      });
    }
  });

  test("what a server says first is not lost", async () => {
    const server = createServer((socket) => void socket.on("error", () => {}).end("welcome")).listen(0, "127.0.0.1");
    await once(server, "listening");
    closing.push(() => server.close());
    const conduit = await dialed(dialerOf(), http("127.0.0.1", (server.address() as AddressInfo).port)); // it listens
    await quiet();
    const sink = new Recorder();
    conduit.attach(sink);
    await until(() => sink.count("end") > 0, "the end");
    expect(sink.bytes.toString()).toBe("welcome");
  });
});

describe("Dialer.start(): unix sockets", () => {
  const dir = tempFolder("dial");

  test("target.path is dialed instead of host and port", async () => {
    const path = join(dir, "one.sock");
    await echoServer({ path });
    const conduit = await dialed(dialerOf(), { scheme: "http", host: "daemon", port: 80, path });
    await echo(conduit);
    expect(conduit.facts).toMatchObject({ remoteAddress: path, remotePort: null });
    expect(conduit.refusalProvesNothingWritten).toBe(true);
  });

  test("DialError names the path", async () => {
    const path = join(dir, "gone.sock");
    const target: DialTarget = { scheme: "http", host: "daemon", port: 80, path };
    expect(await failure(dialerOf().start(target, signal(), null).promise)).toMatchObject({
      name: "DialError",
      attempts: [{ address: path, port: 0, family: 0, outcome: "ENOENT" }],
    });
  });

  test("unixDialer() goes to its path whatever the host, and reads through onread", async () => {
    const path = join(dir, "two.sock");
    const { accepted } = await echoServer({ path });
    const conduit = await dialed(dialerOf({ dial: unixDialer(path) }), http("anything.test", 80));
    await echo(conduit);
    expect(accepted).toHaveLength(1);
    expect(conduit.refusalProvesNothingWritten).toBe(true);
    const missing = dialerOf({ dial: unixDialer(join(dir, "gone.sock")) });
    expect(await failure(missing.start(http("anything.test", 80), signal(), null).promise)).toMatchObject({
      name: "DialError",
      cause: { code: "ENOENT" },
    });
  });
});

describe("Dialer.start(): dialers of users", () => {
  test("are told the target, in the context of the call; the socket's events are in none", async () => {
    const { port } = await echoServer();
    const told: unknown[] = [];
    const dial: UserDial = ({ onread, ...target }) => {
      told.push(target, storage.getStore());
      return connectTo(port, onread);
    };
    const target: DialTarget = { scheme: "http", host: "name.test", port: 8080, serverName: "sni.test" };
    const seen: (string | undefined)[] = [];
    await storage.run("a call", async () => {
      const conduit = await dialed(dialerOf({ dial }), target);
      await echo(conduit);
    });
    const plain = await storage.run("another", () => dialed(dialerOf(), http("127.0.0.1", port)));
    const sink = new Recorder();
    sink.onData = () => seen.push(storage.getStore());
    await storage.run("a third", () => echo(plain, sink));
    expect(told).toEqual([{ host: "name.test", port: 8080, serverName: "sni.test" }, "a call"]);
    expect(seen).toEqual([undefined]);
  });

  function connectTo(port: number, onread?: Parameters<UserDial>[0]["onread"]): Socket {
    return connect({ port, host: "127.0.0.1", ...(onread === undefined ? {} : { onread }) });
  }

  test("may return a socket that connects, one that is connected, or a promise of one", async () => {
    const { port } = await echoServer();
    const connected: UserDial = async () => {
      const socket = connectTo(port);
      await once(socket, "connect");
      return socket;
    };
    const ways: UserDial[] = [() => connectTo(port), connected, async ({ onread }) => connectTo(port, onread)];
    for (const dial of ways) {
      const conduit = await dialed(dialerOf({ dial }), http("user.test", 80));
      await echo(conduit);
      expect(conduit.facts.remotePort).toBe(port);
      expect(conduit.refusalProvesNothingWritten).toBe(true);
    }
  });

  test("a dialer that passes onread on is read through it: no byte comes by 'data'", async () => {
    const { port } = await echoServer();
    let socket: Socket | undefined;
    const dial: UserDial = ({ onread }) => {
      socket = connectTo(port, onread);
      return socket;
    };
    const conduit = await dialed(dialerOf({ dial }), http("user.test", 80));
    let byData = 0;
    socket?.on("data", () => byData++);
    await echo(conduit);
    expect(byData).toBe(0);
  });

  test("what a server says before a dialer returns is not lost, nor what it says after it", async () => {
    const long = "x".repeat(300_000);
    const server = createServer((socket) => {
      socket.on("error", () => {}).write(`welcome ${long}`);
      socket.on("data", () => socket.end("goodbye"));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    closing.push(() => server.close());
    const { port } = server.address() as AddressInfo; // it listens
    for (const passesOn of [true, false]) {
      const dial: UserDial = async ({ onread }) => {
        const socket = connectTo(port, passesOn ? onread : undefined);
        await once(socket, "connect");
        await quiet();
        return socket;
      };
      const conduit = await dialed(dialerOf({ dial }), http("user.test", 80));
      const sink = new Recorder();
      conduit.attach(sink);
      await until(() => sink.bytes.length === 8 + long.length, "all of the greeting");
      conduit.write("hello");
      await until(() => sink.count("end") > 0, "the end");
      expect(sink.bytes.toString()).toBe(`welcome ${long}goodbye`);
    }
  });

  test("may return any Duplex", async () => {
    const [near, far] = duplexPair();
    far.on("data", (chunk) => far.write(chunk));
    closing.push(() => far.destroy());
    const conduit = await dialed(dialerOf({ dial: () => near }), http("user.test", 80));
    await echo(conduit);
    expect(conduit.refusalProvesNothingWritten).toBe(false);
    expect(conduit.facts.remoteAddress).toBeNull();
  });

  test("get noDelay and keep-alive set on their sockets, as ours", async () => {
    const { port } = await echoServer();
    const calls: unknown[][] = [];
    const dial: UserDial = () => {
      const socket = connectTo(port);
      return Object.assign(socket, {
        setNoDelay: (...args: unknown[]) => calls.push(["noDelay", ...args]),
        setKeepAlive: (...args: unknown[]) => calls.push(["keepAlive", ...args]),
      });
    };
    await dialed(dialerOf({ dial }), http("user.test", 80));
    expect(calls).toEqual([
      ["noDelay", true],
      ["keepAlive", true, 30_000],
    ]);
    await dialed(dialerOf({ dial, noDelay: false, tcpKeepAlive: 0 }), http("user.test", 80));
    expect(calls).toHaveLength(2);
  });

  const broken = new Error("broken dialer");
  test.each<[string, unknown, unknown]>([
    ["nothing", () => undefined, { message: "Dialer returned nothing: it must return a net.Socket or a Duplex" }],
    ["a promise of null", async () => null, { message: expect.stringContaining("nothing") }],
    ["something else", () => ({ write() {} }), { message: expect.stringContaining("no Duplex stream") }],
    ["an exception", () => { throw broken; }, broken], // biome-ignore format: one row
    ["a rejection", () => Promise.reject(broken), broken],
    ["a rejection without an error", () => Promise.reject("no"), "no"],
    ["a destroyed socket", () => new Socket().destroy(), { message: "The dialer returned a destroyed stream" }],
  ])("a dialer that gives %s fails the dial with a DialError that has the cause", async (_, dial, cause) => {
    const dialer = dialerOf({ dial: dial as UserDial }); // some break the type on purpose
    expect(await failure(dialer.start(http("user.test", 80), signal(), null).promise)).toMatchObject({
      name: "DialError",
      phase: "connect",
      message: "Cannot connect to user.test:80: the dialer failed",
      attempts: [{ address: "user.test", port: 80, family: 0 }],
      cause,
    });
  });

  test("a socket that does not get connected fails the dial", async () => {
    const port = await closedPort();
    const error = await failure(
      dialerOf({ dial: () => connectTo(port) }).start(http("u.test", 80), signal(), null).promise,
    );
    expect(error).toMatchObject({ name: "DialError", cause: { code: "ECONNREFUSED" } });
  });

  test("what comes after the dial was given up is destroyed", async () => {
    const { port } = await echoServer();
    const controller = new AbortController();
    let give: (socket: Socket) => void = () => {};
    let aborted: unknown;
    const dial: UserDial = (_, signal) => {
      signal.addEventListener("abort", () => {
        aborted = signal.reason;
      });
      return new Promise((resolve) => {
        give = resolve;
      });
    };
    const dialing = dialerOf({ dial }).start(http("user.test", 80), leaks().watch(controller.signal), null);
    await quiet();
    const reason = new Error("given up");
    controller.abort(reason);
    expect(await failure(dialing.promise)).toBe(reason);
    expect(aborted).toBe(reason);
    const socket = connectTo(port);
    give(socket);
    await once(socket, "close");
  });
});

describe("Dialer.start(): giving up", () => {
  test("a signal that is aborted already dials nothing", async () => {
    let asked = 0;
    const lookup = async () => {
      asked++;
      return [LOOPBACK_4];
    };
    const reason = { any: "value" };
    const error = await failure(
      dialerOf({ lookup }).start(http("a.test", 80), AbortSignal.abort(reason), null).promise,
    );
    expect(error).toBe(reason);
    expect(asked).toBe(0);
  });

  test("an abort rejects with the signal's reason itself, during the lookup and while connecting", async () => {
    const clock = new VirtualClock();
    const { port } = await echoServer();
    for (const lookup of [() => new Promise<never>(() => {}), undefined]) {
      const controller = new AbortController();
      const dialer = dialerOf(lookup === undefined ? {} : { lookup }, clock);
      const host = lookup === undefined ? "127.0.0.1" : "slow.test";
      const dialing = dialer.start(http(host, port), leaks().watch(controller.signal), null);
      const reason = new Error("no longer wanted");
      controller.abort(reason);
      expect(await failure(dialing.promise)).toBe(reason);
      expect(clock.armed).toBe(0);
    }
  });

  test("dialTimeout ends a lookup that takes too long: phase dns", async () => {
    const clock = new VirtualClock();
    const dialer = dialerOf({ dialTimeout: 3000, lookup: () => new Promise<never>(() => {}) }, clock);
    const failed = failure(dialer.start(http("slow.test", 80), signal(), null).promise);
    await clock.advance(2999);
    expect(clock.armed).toBe(1);
    await clock.advance(1);
    expect(await failed).toBeInstanceOf(TimeoutError);
    expect(await failed).toMatchObject({
      phase: "dns",
      option: "dialTimeout",
      limit: 3000,
      safeToRetry: true,
      message: "Cannot connect to slow.test:80: no address within 3000 ms (option dialTimeout)",
    });
    expect(clock.armed).toBe(0);
  });

  test("dialTimeout covers lookup and connection together: phase connect, and the dialer is told", async () => {
    const clock = new VirtualClock();
    let given: AbortSignal | undefined;
    const dial: UserDial = (_, signal) => {
      given = signal;
      return new Promise(() => {});
    };
    const failed = failure(
      dialerOf({ dialTimeout: 3000, dial }, clock).start(http("u.test", 80), signal(), null).promise,
    );
    await clock.advance(3000);
    const error = await failed;
    expect(error).toMatchObject({ name: "TimeoutError", phase: "connect", option: "dialTimeout", limit: 3000 });
    expect(given?.aborted).toBe(true);
    expect(given?.reason).toBe(error);
  });

  test("dialTimeout 0 sets no limit", async () => {
    const clock = new VirtualClock();
    const dialer = dialerOf({ dialTimeout: 0, lookup: () => new Promise<never>(() => {}) }, clock);
    const dialing = dialer.start(http("slow.test", 80), signal(), null);
    await clock.advance(1e9);
    expect(clock.armed).toBe(0);
    dialer.close();
    expect(await failure(dialing.promise)).toBeInstanceOf(TransportClosedError);
  });

  test("close() ends every dial with TransportClosedError", async () => {
    const dialer = dialerOf({ lookup: () => new Promise<never>(() => {}) });
    const dials = [1, 2].map((n) => failure(dialer.start(http(`${n}.test`, 80), signal(), null).promise));
    dialer.close();
    for (const dial of dials) expect(await dial).toMatchObject({ name: "TransportClosedError", safeToRetry: true });
  });

  test("unref() takes the dial off what keeps the process alive; its limit stays", async () => {
    const clock = new VirtualClock();
    const dialer = dialerOf({ dialTimeout: 1000, lookup: () => new Promise<never>(() => {}) }, clock);
    const dialing = dialer.start(http("slow.test", 80), signal(), null);
    const failed = failure(dialing.promise);
    await clock.advance(400);
    expect([clock.armed, clock.keepingAlive]).toEqual([1, 1]);
    dialing.unref();
    dialing.unref();
    expect([clock.armed, clock.keepingAlive]).toEqual([1, 0]);
    await clock.advance(600);
    expect(await failed).toMatchObject({ name: "TimeoutError", phase: "dns" });
  });

  test("unref() before the connection stands leaves it unref'd", async () => {
    const clock = new VirtualClock();
    const { port } = await echoServer();
    const dialing = dialerOf({}, clock).start(http("127.0.0.1", port), signal(), null);
    dialing.unref();
    const conduit = await dialing.promise;
    expect(clock.holds).toBe(0);
    conduit.ref();
    conduit.ref();
    expect(clock.holds).toBe(1);
    conduit.destroy();
    expect(clock.holds).toBe(0);
    conduit.ref();
    expect(clock.holds).toBe(0);
  });
});
