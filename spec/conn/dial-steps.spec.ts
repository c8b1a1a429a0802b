/**
 * A dial step by step: what it says at each, in errors, to its trace and to the dialers of users; and what a signal, a
 * limit or a listener does to it at each. Most of it in memory and on virtual time.
 */

import { once } from "node:events";
import { type AddressInfo, connect as connectSocket, createServer, Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect as connectTls, TLSSocket } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../lib/clock.ts";
import {
  Dialer,
  type Dialing,
  type DialOptions,
  type DialTarget,
  type DialTrace,
  NegotiatedStream,
  type UserDial,
} from "../../lib/conn/dial.ts";
import { DuplexConduit } from "../../lib/conn/duplex-conduit.ts";
import { memoryPair } from "../../lib/conn/memory-conduit.ts";
import { SocketConduit } from "../../lib/conn/socket-conduit.ts";
import { TlsLayer } from "../../lib/conn/tls.ts";
import { unixDialer } from "../../lib/conn/unix.ts";
import { isConduit } from "../../lib/conn/user-dial.ts";
import { type DialAttempt, DialError, TimeoutError, TransportClosedError } from "../../lib/errors.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { quiet, Recorder, until } from "./conduit-contract.ts";
import { ca, tlsEnds } from "./memory-tls.ts";

const leaks = checkLeaks();
const dir = tempFolder("steps");

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const DEFAULTS = { dialTimeout: 10_000, tlsHandshakeTimeout: 20_000, tcpKeepAlive: 30_000, noDelay: true };

function dialerOf(options: Partial<DialOptions> = {}, clock: Clock = new VirtualClock()): Dialer {
  const dialer = new Dialer({ ...DEFAULTS, ...options }, clock);
  closing.push(() => dialer.close());
  return dialer;
}

const never = () => new Promise<never>(() => {});
const http = (host = "name.test", port = 80): DialTarget => ({ scheme: "http", host, port });
const https = (host = "localhost", port = 443): DialTarget => ({ scheme: "https", host, port });

function signal(): AbortSignal {
  return leaks().watch(new AbortController().signal);
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error; // each spec says which
  }
  throw new Error("It did not fail");
}

/** Whether a promise is settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let is = false;
  const done = () => {
    is = true;
  };
  promise.then(done, done);
  await quiet();
  return is;
}

/** Takes down all that is told, with its fields; `on` is called after each. */
class TraceLog implements DialTrace {
  readonly log: unknown[][] = [];
  on: (event: string) => void = () => {};
  #note(...what: unknown[]): void {
    this.log.push(what);
    this.on(String(what[0]));
  }
  dnsStart(host: string): void {
    this.#note("dnsStart", host);
  }
  dnsDone(addresses: readonly string[]): void {
    this.#note("dnsDone", addresses);
  }
  dnsFailed(error: unknown): void {
    this.#note("dnsFailed", error);
  }
  connectStart(address: string, port: number): void {
    this.#note("connectStart", address, port);
  }
  connectDone(attempt: DialAttempt): void {
    this.#note("connectDone", attempt);
  }
  connected(): void {
    this.#note("connected");
  }
  tlsStart(): void {
    this.#note("tlsStart");
  }
  tlsDone(facts: unknown): void {
    this.#note("tlsDone", facts);
  }
  tlsFailed(error: unknown): void {
    this.#note("tlsFailed", error);
  }
  get names(): unknown[] {
    return this.log.map(([name]) => name);
  }
}

/** A server that says back what it hears, and keeps its half open. */
async function echoServer() {
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => socket.write(chunk));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(async () => {
    for (const socket of accepted) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { accepted, port: (server.address() as AddressInfo).port }; // it listens on TCP
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  server.close();
  await once(server, "close");
  return port;
}

/** What sockets are told while `run` runs. */
async function socketCalls(run: () => Promise<unknown>): Promise<unknown[][]> {
  const calls: unknown[][] = [];
  const proto = Socket.prototype;
  const { setNoDelay, setKeepAlive } = proto;
  proto.setNoDelay = function (...args) {
    calls.push(["setNoDelay", ...args]);
    return setNoDelay.apply(this, args);
  };
  proto.setKeepAlive = function (...args) {
    calls.push(["setKeepAlive", ...args]);
    return setKeepAlive.apply(this, args as []); // its overloads are of no interest here
  };
  try {
    await run();
  } finally {
    Object.assign(proto, { setNoDelay, setKeepAlive });
  }
  return calls;
}

function track<T extends { destroy(): void }>(promise: Promise<T>): Promise<T> {
  promise.then(
    (made) => closing.push(() => made.destroy()),
    () => {},
  );
  return promise;
}

describe("DialError and TimeoutError say whom they are about", () => {
  test.each<[string, DialTarget]>([
    ["name.test:80", http()],
    ["[fe80::1%no]:80", http("fe80::1%no")],
    ["a label", { ...http(), label: "a label" }],
  ])("%s", async (peer, target) => {
    const { promise } = dialerOf({ lookup: async () => [], dial: () => Promise.reject("no") }).start(
      target,
      signal(),
      null,
    );
    expect((await failure(promise)).message).toContain(`Cannot connect to ${peer}: `);
  });

  test("the path, where that is dialed, and the label before it", async () => {
    const gone = { ...http(), path: "/nowhere/at/all.sock" };
    expect(await failure(dialerOf({}, systemClock).start(gone, signal(), null).promise)).toMatchObject({
      message: "Cannot connect to /nowhere/at/all.sock: ENOENT at /nowhere/at/all.sock",
      phase: "connect",
    });
    const labelled = dialerOf({ dial: never }).start({ ...gone, label: "the daemon" }, signal(), null);
    closing.pop()?.();
    expect((await failure(labelled.promise)).message).toBe("Cannot connect to the daemon: the transport was closed");
  });

  test.each([-1, 65_536, 80.5, Number.NaN])("a port that cannot be: %d", async (port) => {
    const asked: unknown[] = [];
    const dialer = dialerOf({ dial: (target) => void asked.push(target) as never, dialTimeout: 5 }); // gives nothing
    const trace = new TraceLog();
    const error = await failure(dialer.start(http("name.test", port), signal(), trace).promise);
    expect(error).toBeInstanceOf(DialError);
    expect(error).toMatchObject({
      message: `Cannot connect to name.test:${port}: there is no such port`,
      phase: "dns",
      attempts: [],
      safeToRetry: true,
    });
    expect("cause" in error).toBe(false);
    expect(asked).toEqual([]);
    expect(trace.log).toEqual([]);
  });

  test.each([0, 65_535])("a port at the end of the range is dialed: %d", async (port) => {
    const trace = new TraceLog();
    const [near] = memoryPair();
    const { promise } = dialerOf({ dial: () => near }).start(http("name.test", port), signal(), trace);
    expect(await promise).toBe(near);
    expect(trace.log[0]).toEqual(["connectStart", "name.test", port]);
  });
});

describe("Dialer: the lookup", () => {
  test("is told to the trace: the host, then the addresses", async () => {
    const trace = new TraceLog();
    const asked: string[] = [];
    const lookup = async (host: string) => {
      asked.push(host);
      return [];
    };
    const error = await failure(dialerOf({ lookup }).start(http(), signal(), trace).promise);
    expect(asked).toEqual(["name.test"]);
    expect(trace.log).toEqual([
      ["dnsStart", "name.test"],
      ["dnsDone", []],
    ]);
    expect(error).toMatchObject({
      message: "Cannot connect to name.test:80: its name has no address",
      phase: "dns",
      attempts: [],
    });
  });

  test.each([
    ["the code", Object.assign(new Error("x"), { code: "ENOTFOUND" }), "ENOTFOUND"],
    ["the name where it has none", new RangeError("x"), "RangeError"],
    ["the name where its code is no text", Object.assign(new Error("x"), { code: 5 }), "Error"],
    ["a word for what is no error", "no", "rejected"],
  ])("that fails is told with %s", async (_, thrown, outcome) => {
    const trace = new TraceLog();
    const lookup = () => Promise.reject(thrown);
    const error = await failure(dialerOf({ lookup }).start(http(), signal(), trace).promise);
    expect(error).toMatchObject({
      message: `Cannot connect to name.test:80: its name was not resolved (${outcome})`,
      phase: "dns",
      cause: thrown,
    });
    expect(trace.log).toEqual([
      ["dnsStart", "name.test"],
      ["dnsFailed", error],
    ]);
  });

  test("is not asked for where a listener that hears of it gives the dial up", async () => {
    const controller = new AbortController();
    const trace = new TraceLog();
    trace.on = () => controller.abort("enough");
    let asked = 0;
    const lookup = async () => {
      asked++;
      return [];
    };
    const clock = new VirtualClock();
    const { promise } = dialerOf({ lookup }, clock).start(http(), leaks().watch(controller.signal), trace);
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(asked).toBe(0);
    expect(trace.log).toEqual([
      ["dnsStart", "name.test"],
      ["dnsFailed", "enough"],
    ]);
    expect(clock.armed).toBe(0);
  });

  test("that ends after the dial was given up is told to nobody, and dials nothing", async () => {
    const found = async () => [{ address: "127.0.0.1", family: 4 as const }];
    for (const result of [found, () => Promise.reject("late")]) {
      const controller = new AbortController();
      const trace = new TraceLog();
      let go: () => void = () => {};
      const lookup = async () => {
        await new Promise<void>((resolve) => {
          go = resolve;
        });
        return result();
      };
      const { promise } = dialerOf({ lookup }).start(http(), leaks().watch(controller.signal), trace);
      controller.abort("given up");
      expect(await promise.catch((reason: unknown) => reason)).toBe("given up");
      go();
      await quiet();
      expect(trace.log).toEqual([
        ["dnsStart", "name.test"],
        ["dnsFailed", "given up"],
      ]);
    }
  });

  test("a listener that hears of the addresses may give the dial up", async () => {
    const controller = new AbortController();
    const trace = new TraceLog();
    trace.on = (event) => event === "dnsDone" && controller.abort("enough");
    const dialer = dialerOf({ lookup: async () => [{ address: "127.0.0.1", family: 4 }] });
    const { promise } = dialer.start(http(), leaks().watch(controller.signal), trace);
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(trace.names).toEqual(["dnsStart", "dnsDone"]);
  });
});

describe("Dialer: what is over before it begins", () => {
  test("a signal that is aborted already: nothing is told, looked up or armed, and a stream is destroyed", async () => {
    const clock = new VirtualClock();
    const trace = new TraceLog();
    const aborted = AbortSignal.abort("before");
    const dialer = dialerOf({ lookup: never }, clock);
    const start = dialer.start(http(), aborted, trace);
    expect(await start.promise.catch((reason: unknown) => reason)).toBe("before");
    const [near, far] = duplexPair();
    const over = dialer.over(near, https(), aborted, trace);
    expect(await over.promise.catch((reason: unknown) => reason)).toBe("before");
    expect(near.destroyed).toBe(true);
    expect(trace.log).toEqual([]);
    expect(clock.armed).toBe(0);
    far.destroy();
  });

  test("the time of a lookup that is up has no attempt in its cause", async () => {
    const clock = new VirtualClock();
    const failed = failure(dialerOf({ lookup: never, dialTimeout: 5 }, clock).start(http(), signal(), null).promise);
    await clock.advance(5);
    expect(await failed).toMatchObject({ phase: "dns", cause: { name: "DialError", phase: "dns", attempts: [] } });
  });
});

describe("Dialer: allowAddress()", () => {
  const both = async () => [
    { address: "127.0.0.1", family: 4 as const },
    { address: "::1", family: 6 as const },
  ];

  test("that refuses all: each is told, and the error has each", async () => {
    const trace = new TraceLog();
    const dialer = dialerOf({ lookup: both, allowAddress: () => false });
    const error = await failure(dialer.start(http("both.test", 8080), signal(), trace).promise);
    const refused = [
      { address: "127.0.0.1", family: 4, port: 8080, outcome: "refused-by-policy", ms: 0 },
      { address: "::1", family: 6, port: 8080, outcome: "refused-by-policy", ms: 0 },
    ];
    expect(error).toMatchObject({
      message: "Cannot connect to both.test:8080: allowAddress refused every address",
      phase: "dns",
      attempts: refused,
    });
    expect(trace.log.slice(2)).toEqual(refused.map((attempt) => ["connectDone", attempt]));
  });

  test.each<[string, () => unknown, unknown]>([
    ["throws", () => { throw new RangeError("no policy"); }, { name: "RangeError" }], // biome-ignore format: one row
    ["gives a promise", async () => true, { name: "TypeError", message: "allowAddress must return true or false" }],
    ["gives nothing", () => undefined, { name: "TypeError", message: "allowAddress must return true or false" }],
  ])("that %s fails the dial, with those refused before", async (_, answer, cause) => {
    let asked = 0;
    const allowAddress = () => (asked++ === 0 ? false : answer()) as boolean; // some are none, on purpose
    const trace = new TraceLog();
    const error = await failure(dialerOf({ lookup: both, allowAddress }).start(http(), signal(), trace).promise);
    expect(error).toMatchObject({
      message: "Cannot connect to name.test:80: allowAddress has thrown",
      attempts: [{ address: "127.0.0.1", family: 4, port: 80, outcome: "refused-by-policy", ms: 0 }],
      cause,
    });
    expect(trace.names).toEqual(["dnsStart", "dnsDone"]);
  });

  test("is asked for an address that needs no lookup, too; and a policy may give the dial up", async () => {
    const asked: unknown[] = [];
    const controller = new AbortController();
    const allowAddress = (...about: unknown[]) => {
      asked.push(about);
      controller.abort("by the policy");
      return true;
    };
    const trace = new TraceLog();
    const dialing = dialerOf({ allowAddress }).start(http("::1", 9), leaks().watch(controller.signal), trace);
    expect(await dialing.promise.catch((reason: unknown) => reason)).toBe("by the policy");
    expect(asked).toEqual([["::1", 9]]);
    expect(trace.log).toEqual([]);
  });
});

describe("Dialer: sockets of its own", () => {
  test("are tuned as the options say, and keep their half open", async () => {
    const { port, accepted } = await echoServer();
    const dial = (options: Partial<DialOptions>) =>
      track(dialerOf(options, systemClock).start(http("127.0.0.1", port), signal(), null).promise);
    expect(await socketCalls(() => dial({}))).toEqual([
      ["setNoDelay", true],
      ["setKeepAlive", true, 30_000],
    ]);
    expect(await socketCalls(() => dial({ noDelay: false, tcpKeepAlive: 0 }))).toEqual([]);
    const conduit = await dial({});
    const sink = new Recorder();
    conduit.attach(sink);
    await until(() => accepted.length === 3, "the connection");
    accepted[2]?.end();
    await until(() => sink.count("end") === 1, "the peer's end");
    let heard = "";
    accepted[2]?.on("data", (chunk) => {
      heard += chunk;
    });
    conduit.write("half open");
    await until(() => heard === "half open", "our bytes");
  });

  test("unixDialer() keeps the half open, too", async () => {
    const path = join(dir, "half.sock");
    let heard = "";
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {}).on("data", (chunk) => (heard += chunk));
      socket.on("end", () => socket.destroy());
      socket.end();
    }).listen({ path });
    await once(server, "listening");
    closing.push(() => server.close());
    const conduit = await track(
      dialerOf({ dial: unixDialer(path) }, systemClock).start(http(), signal(), null).promise,
    );
    const sink = new Recorder();
    conduit.attach(sink);
    await until(() => sink.count("end") === 1, "the peer's end");
    conduit.write("half open");
    await until(() => heard === "half open", "our bytes");
    conduit.end();
  });

  test("the limit ends an attempt under way, and is told with it", async () => {
    const { port } = await echoServer();
    const clock = new VirtualClock();
    const trace = new TraceLog();
    const dialing = dialerOf({ dialTimeout: 3000 }, clock).start(http("127.0.0.1", port), signal(), trace);
    expect(dialing.holdsProcess).toBe(true);
    clock.moveTo(3000); // before the loop has looked: it is connecting
    for (const fire of clock.due()) fire();
    const error = await failure(dialing.promise);
    const attempt = { address: "127.0.0.1", family: 4, port, outcome: "timeout", ms: 3000 };
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({
      message: `Cannot connect to 127.0.0.1:${port}: no connection within 3000 ms (option dialTimeout)`,
      phase: "connect",
      option: "dialTimeout",
      limit: 3000,
      safeToRetry: true,
      cause: {
        name: "DialError",
        message: `Cannot connect to 127.0.0.1:${port}: the time is up`,
        phase: "connect",
        attempts: [attempt],
      },
    });
    expect(trace.log).toEqual([
      ["connectStart", "127.0.0.1", port],
      ["connectDone", attempt],
    ]);
    expect(dialing.holdsProcess).toBe(false);
    await quiet();
    expect(trace.log).toHaveLength(2);
  });

  test("an abort ends an attempt under way, and is told with it", async () => {
    const { port } = await echoServer();
    const trace = new TraceLog();
    const controller = new AbortController();
    const dialing = dialerOf().start(http("127.0.0.1", port), leaks().watch(controller.signal), trace);
    controller.abort("enough");
    expect(await dialing.promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(trace.log.slice(1)).toEqual([
      ["connectDone", { address: "127.0.0.1", family: 4, port, outcome: "aborted", ms: 0 }],
    ]);
  });

  test("a listener that hears that one stands may give the dial up: the socket is destroyed", async () => {
    const { port, accepted } = await echoServer();
    const controller = new AbortController();
    const trace = new TraceLog();
    trace.on = (event) => event === "connectDone" && controller.abort("enough");
    const dialing = dialerOf().start(http("127.0.0.1", port), leaks().watch(controller.signal), trace);
    expect(await dialing.promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(trace.names).toEqual(["connectStart", "connectDone"]);
    let closed = false;
    await until(() => accepted.length === 1, "the connection");
    accepted[0]?.on("end", () => {
      closed = true;
    });
    await until(() => closed, "the end at the server");
  });

  test("the second address is tried after 250 ms, or when the option says", async () => {
    for (const [fallbackDelayMs, after] of [
      [undefined, 250],
      [7, 7],
    ] as const) {
      const { port } = await echoServer();
      const clock = new VirtualClock();
      const trace = new TraceLog();
      const lookup = async () => [
        { address: "127.0.0.1", family: 4 as const },
        { address: "127.0.0.2", family: 4 as const },
      ];
      const policy: { address: string }[] = [];
      const dialer = dialerOf(
        { lookup, fallbackDelayMs, allowAddress: (address) => policy.push({ address }) > 0 },
        clock,
      );
      const { promise } = dialer.start(http("two.test", port), signal(), trace);
      for (let i = 0; i < 10 && policy.length < 2; i++) await Promise.resolve(); // microtasks only: nothing connects meanwhile
      expect(clock.untilNext).toBe(after);
      track(promise);
      await promise;
      expect(trace.log.at(-2)?.[1]).toMatchObject({ address: "127.0.0.1", outcome: "connected" });
      expect(clock.armed).toBe(0);
    }
  });

  test("the family that gave the connection goes first the next time; of a single address nothing is learned", async () => {
    const { port } = await echoServer();
    let addresses = [{ address: "::ffff:127.0.0.1", family: 6 as 4 | 6 }];
    const dialer = dialerOf({ lookup: async () => addresses }, systemClock);
    await track(dialer.start(http("two.test", port), signal(), null).promise);
    addresses = [
      { address: "127.0.0.1", family: 4 },
      { address: "::ffff:127.0.0.1", family: 6 },
    ];
    const trace = new TraceLog();
    await track(dialer.start(http("two.test", port), signal(), trace).promise);
    expect(trace.log[2]).toEqual(["connectStart", "127.0.0.1", port]);
  });

  test("DialError of several addresses has all errors, of one address its own", async () => {
    const port = await closedPort();
    const lookup = async () => [
      { address: "127.0.0.1", family: 4 as const },
      { address: "127.0.0.2", family: 4 as const },
    ];
    const trace = new TraceLog();
    const error = (await failure(
      dialerOf({ lookup }).start(http("two.test", port), signal(), trace).promise,
    )) as DialError;
    expect(error.message).toBe(
      `Cannot connect to two.test:${port}: ECONNREFUSED at 127.0.0.1, ECONNREFUSED at 127.0.0.2`,
    );
    expect(error.cause).toBeInstanceOf(AggregateError);
    expect((error.cause as AggregateError).errors).toMatchObject([{ code: "ECONNREFUSED" }, { code: "ECONNREFUSED" }]);
    expect(trace.log.slice(2)).toEqual([
      ["connectStart", "127.0.0.1", port],
      ["connectDone", error.attempts[0]],
      ["connectStart", "127.0.0.2", port],
      ["connectDone", error.attempts[1]],
    ]);
    const one = (await failure(dialerOf().start(http("127.0.0.1", port), signal(), null).promise)) as DialError;
    expect(one.cause).toMatchObject({ code: "ECONNREFUSED", syscall: "connect" });
  });

  test("TLS options of which no context can be made end the race, and leave no socket", async () => {
    const clock = new VirtualClock();
    const trace = new TraceLog();
    const dialer = dialerOf({ tls: { cert: "no certificate" } }, clock);
    const error = await failure(dialer.start(https("127.0.0.1", 1), signal(), trace).promise);
    expect(error.message).toBe("Cannot make secure context: the options in tls are not usable");
    expect(clock.armed).toBe(0);
    expect(trace.names).toEqual(["connectStart"]);
  });
});

describe("Dialing.unref() and holdsProcess", () => {
  test("holds while it looks up and while it connects by itself; not while a dialer of the user does, or after", async () => {
    const { port } = await echoServer();
    const looking = dialerOf({ lookup: never }).start(http(), signal(), null);
    expect(looking.holdsProcess).toBe(true);
    const own = dialerOf().start(http("127.0.0.1", port), signal(), null);
    expect(own.holdsProcess).toBe(true);
    await track(own.promise);
    expect(own.holdsProcess).toBe(false);
    const byUser = dialerOf({ dial: never }).start(http(), signal(), null);
    expect(byUser.holdsProcess).toBe(false);
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const securing = dialerOf({ tls: { ca }, dial: () => ends.near }).start(https(), signal(), null);
    expect(securing.holdsProcess).toBe(false);
    await track(securing.promise);
    expect(securing.holdsProcess).toBe(false);
    for (const dialing of [looking, byUser]) dialing.promise.catch(() => {});
    const trace = new TraceLog();
    const silent = dialerOf({ tls: { ca } }).start(https("127.0.0.1", port), signal(), trace);
    silent.promise.catch(() => {});
    await until(() => trace.names.includes("tlsStart"), "the handshake");
    expect(silent.holdsProcess).toBe(false);
  });

  test("the limit keeps its time, and does not keep the process alive", async () => {
    const clock = new VirtualClock();
    const dialing = dialerOf({ dialTimeout: 1000, dial: never }, clock).start(http(), signal(), null);
    const failed = failure(dialing.promise);
    await clock.advance(400);
    dialing.unref();
    await clock.advance(599);
    expect(await settled(failed)).toBe(false);
    expect(clock.keepingAlive).toBe(0);
    await clock.advance(1);
    expect(await failed).toMatchObject({ name: "TimeoutError", phase: "connect", limit: 1000 });
  });

  test("at the very end of the limit it is not lifted", async () => {
    const clock = new VirtualClock();
    const dialing = dialerOf({ dialTimeout: 1000, dial: never }, clock).start(http(), signal(), null);
    const failed = failure(dialing.promise);
    clock.moveTo(1000);
    dialing.unref();
    expect(clock.untilNext).toBe(1);
    await clock.advance(1);
    expect(await failed).toMatchObject({ name: "TimeoutError" });
  });

  test("without a limit it arms none, and after the end it does nothing", async () => {
    const clock = new VirtualClock();
    const [near] = memoryPair();
    let give: (conduit: typeof near) => void = () => {};
    const dial = () => new Promise<typeof near>((resolve) => (give = resolve));
    const dialing = dialerOf({ dialTimeout: 0, dial }, clock).start(http(), signal(), null);
    dialing.unref();
    expect(clock.armed).toBe(0);
    give(near);
    await dialing.promise;
    let unrefs = 0;
    near.unref = () => void unrefs++;
    dialing.unref();
    expect(unrefs).toBe(0);
    expect(clock.armed).toBe(0);
  });

  test("reaches the socket that connects, and the one that another address gets later", async () => {
    const { port } = await echoServer();
    const clock = new VirtualClock();
    const dialing = dialerOf({}, clock).start(http("127.0.0.1", port), signal(), null);
    const before = process.getActiveResourcesInfo().filter((type) => type === "TCPSocketWrap").length;
    dialing.unref();
    const after = process.getActiveResourcesInfo().filter((type) => type === "TCPSocketWrap").length;
    expect(after).toBeLessThan(before);
    expect((await track(dialing.promise)).facts.remotePort).toBe(port);
    expect(clock.holds).toBe(0);
  });

  test("before the lookup has ended: the race begins unref'd", async () => {
    const { port } = await echoServer();
    const clock = new VirtualClock();
    let give: () => void = () => {};
    const lookup = async () => {
      await new Promise<void>((resolve) => (give = resolve));
      return [{ address: "127.0.0.1", family: 4 as const }];
    };
    const sockets = () => process.getActiveResourcesInfo().filter((type) => type.startsWith("TCPSocket")).length;
    const before = sockets();
    const trace = new TraceLog();
    const dialing = dialerOf({ lookup }, clock).start(http("late.test", port), signal(), trace);
    dialing.unref();
    give();
    while (!trace.names.includes("connectStart")) await Promise.resolve(); // microtasks only: it cannot connect meanwhile
    await Promise.resolve();
    expect(sockets()).toBe(before);
    await track(dialing.promise);
    expect(clock.holds).toBe(0);
  });

  test("reaches once what is current: a socket that connects, one that was given, one that is secured", async () => {
    const { port } = await echoServer();
    const unrefs: unknown[] = [];
    const { unref } = Socket.prototype;
    Socket.prototype.unref = function () {
      unrefs.push(this);
      return unref.call(this);
    };
    try {
      let given: Socket | undefined;
      const dial = () => {
        given = connectSocket({ port, host: "127.0.0.1" });
        return given;
      };
      const byUser = dialerOf({ dial }).start(http(), signal(), null);
      for (let i = 0; i < 3; i++) await Promise.resolve();
      for (let i = 0; i < 2; i++) byUser.unref();
      expect(unrefs).toEqual([given]);
      await track(byUser.promise);
      unrefs.length = 0;
      for (const way of ["own", "given", "over"]) {
        const trace = new TraceLog();
        const [near, far] = duplexPair();
        far.resume();
        const dialer = dialerOf(way === "given" ? { dial: () => near, tls: { ca } } : { tls: { ca } });
        const target = https("127.0.0.1", port);
        const dialing =
          way === "over" ? dialer.over(near, target, signal(), trace) : dialer.start(target, signal(), trace);
        dialing.promise.catch(() => {});
        await until(() => trace.names.includes("tlsStart"), "the handshake");
        dialing.unref();
        expect(unrefs.splice(0), way).toEqual([expect.any(TLSSocket)]);
        dialer.close();
        near.destroy();
        far.destroy();
      }
    } finally {
      Socket.prototype.unref = unref;
    }
  });

  test("within connectDone reaches what was given; without it nothing is unref'd", async () => {
    for (const makes of [() => memoryPair()[0], () => duplexPair()[0]]) {
      for (const asked of [true, false]) {
        let unrefs = 0;
        const given = Object.assign(makes(), { unref: () => void unrefs++ });
        const trace = new TraceLog();
        const dialing = dialerOf({ dial: () => given }).start(http(), signal(), trace);
        if (asked) trace.on = (event) => event === "connectDone" && dialing.unref();
        await track(dialing.promise);
        expect(unrefs).toBe(asked ? 2 : 0); // as what was given, and as the product
      }
    }
  });

  test("a stream whose unref() gives the dial up ends it before its connection is told", async () => {
    const controller = new AbortController();
    const [near, far] = duplexPair();
    Object.assign(near, { unref: () => controller.abort("enough") });
    const trace = new TraceLog();
    const dialing = dialerOf({ dial: async () => near }).start(http(), leaks().watch(controller.signal), trace);
    dialing.unref();
    expect(await dialing.promise.catch((reason: unknown) => reason)).toBe("enough");
    await quiet();
    expect(trace.names).toEqual(["connectStart"]);
    far.destroy();
  });

  test("reaches what a dialer gives, before and after it is given, and a stream that is dialed over", async () => {
    const unrefs: string[] = [];
    const streamOf = (name: string): [Duplex, Duplex] => {
      const [near, far] = duplexPair();
      closing.push(() => far.destroy());
      return [Object.assign(near, { unref: () => void unrefs.push(name) }), far];
    };
    // Given while it is unref'd already.
    const [early] = streamOf("early");
    const first = dialerOf({ dial: async () => early }).start(http(), signal(), null);
    first.unref();
    await track(first.promise);
    expect(unrefs).toEqual(["early", "early"]);
    // Unref'd while it is being secured.
    const [late] = streamOf("late");
    const second = dialerOf({ dial: () => late, tls: { ca } }).start(https(), signal(), null);
    await quiet();
    second.unref();
    second.promise.catch(() => {});
    // A conduit, unref'd once it is there.
    const [near] = memoryPair();
    near.unref = () => void unrefs.push("conduit");
    const third = dialerOf({ dial: async () => near }).start(http(), signal(), null);
    third.unref();
    await third.promise;
    expect(unrefs.filter((name) => name === "conduit")).toEqual(["conduit"]);
    // A stream that was handed in.
    const [over] = streamOf("over");
    const fourth = dialerOf().over(over, http(), signal(), null);
    fourth.unref();
    await track(fourth.promise);
    expect(unrefs.filter((name) => name === "over")).toEqual([]);
  });
});

describe("Dialer: dialers of users", () => {
  test("are told all of the target but its scheme; its own TLS options only where the call has some", async () => {
    const told: unknown[] = [];
    const dial: UserDial = ({ onread, ...target }) => {
      told.push(target);
      expect(onread.buffer).toBeInstanceOf(Uint8Array);
      expect(onread.callback).toBeInstanceOf(Function);
      return memoryPair()[0];
    };
    const target: DialTarget = { ...https("name.test"), path: "/p", serverName: "sni.test", label: "l", alpn: ["h2"] };
    const dialer = dialerOf({ dialTls: dial, dial: () => Promise.reject(new Error("asked")), tls: { ca } });
    await dialer.start(target, signal(), null).promise;
    await dialer.start({ ...target, tls: new TlsLayer({ servername: "own" }) }, signal(), null).promise;
    await dialer.start({ ...target, tls: "proxy" }, signal(), null).promise;
    const plain = { host: "name.test", port: 443, path: "/p", serverName: "sni.test", label: "l", alpn: ["h2"] };
    expect(told).toEqual([plain, { ...plain, tls: { servername: "own" } }, plain]);
  });

  test("dial is asked for http though there is a dialTls", async () => {
    const [near] = memoryPair();
    const dialTls = () => Promise.reject(new Error("asked"));
    expect(await dialerOf({ dial: () => near, dialTls }).start(http(), signal(), null).promise).toBe(near);
  });

  test("are told to the trace with the time they took, by the address that they reached", async () => {
    const clock = new VirtualClock();
    const facts = [{ remoteAddress: "10.1.1.1" }, {}] as const;
    for (const [target, given, address] of [
      [http(), memoryPair({ facts })[0], "10.1.1.1"],
      [http(), memoryPair()[0], "name.test"],
      [{ ...http(), path: "/a.sock" }, memoryPair()[0], "/a.sock"],
      [http(), duplexPair()[0], "name.test"],
    ] as const) {
      const trace = new TraceLog();
      const start = clock.now();
      const dial = async () => {
        await clock.advance(30);
        return given;
      };
      await track(dialerOf({ dial }, clock).start(target, signal(), trace).promise);
      expect(clock.now() - start).toBe(30);
      expect(trace.log).toEqual([
        ["connectStart", "path" in target ? "/a.sock" : "name.test", 80],
        ["connectDone", { address, port: 80, family: 0, outcome: "connected", ms: 30 }],
        ["connected"],
      ]);
    }
  });

  test("that fail are told with the error's code; a DialError of theirs is passed on as it is", async () => {
    const trace = new TraceLog();
    const refused = Object.assign(new Error("no"), { code: "EACCES" });
    const target = { ...http(), path: "/a.sock" };
    const error = await failure(
      dialerOf({ dial: () => Promise.reject(refused) }).start(target, signal(), trace).promise,
    );
    const attempt = { address: "/a.sock", port: 80, family: 0, outcome: "EACCES", ms: 0 };
    expect(error).toMatchObject({
      message: "Cannot connect to /a.sock: the dialer failed",
      phase: "connect",
      attempts: [attempt],
      cause: refused,
    });
    expect(trace.log).toEqual([
      ["connectStart", "/a.sock", 80],
      ["connectDone", attempt],
    ]);
    const own = new DialError("their own", []);
    expect(await failure(dialerOf({ dial: () => Promise.reject(own) }).start(http(), signal(), null).promise)).toBe(
      own,
    );
  });

  test("that fail after the dial was given up are told to nobody", async () => {
    const controller = new AbortController();
    const trace = new TraceLog();
    let fail: (error: Error) => void = () => {};
    const dial = () => new Promise<never>((_, reject) => (fail = reject));
    const { promise } = dialerOf({ dial }).start(http(), leaks().watch(controller.signal), trace);
    controller.abort("given up");
    expect(await promise.catch((reason: unknown) => reason)).toBe("given up");
    fail(new Error("late"));
    await quiet();
    expect(trace.names).toEqual(["connectStart"]);
  });

  test("what they gave is destroyed when the dial is given up while it connects, and they are told why", async () => {
    const { port } = await echoServer();
    const controller = new AbortController();
    let given: Socket | undefined;
    let told: AbortSignal | undefined;
    const dial: UserDial = (_, signal) => {
      told = signal;
      given = connectSocket({ port, host: "127.0.0.1" });
      return given;
    };
    const { promise } = dialerOf({ dial }).start(http(), leaks().watch(controller.signal), null);
    await Promise.resolve();
    await Promise.resolve();
    controller.abort("enough");
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(told?.reason).toBe("enough");
    expect(given?.destroyed).toBe(true);
  });

  test.each(["connectDone", "connected"])(
    "a listener of %s may give the dial up: what was given is destroyed",
    async (when) => {
      for (const given of [memoryPair()[0], duplexPair()[0]]) {
        const controller = new AbortController();
        const trace = new TraceLog();
        trace.on = (event) => event === when && controller.abort("enough");
        const { promise } = dialerOf({ dial: () => given }).start(http(), leaks().watch(controller.signal), trace);
        expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
        expect(trace.names.at(-1)).toBe(when);
        expect(given.destroyed).toBe(true);
      }
    },
  );

  test("a listener of connected that gives a secured Conduit up hears no more", async () => {
    const tls = { protocol: "TLSv1.3", cipher: "c", alpn: null, resumed: false };
    const [secured] = memoryPair({ facts: [{ tls }, {}] });
    const controller = new AbortController();
    const trace = new TraceLog();
    trace.on = (event) => event === "connected" && controller.abort("enough");
    const { promise } = dialerOf({ dialTls: () => secured }).start(https(), leaks().watch(controller.signal), trace);
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(trace.names).toEqual(["connectStart", "connectDone", "connected"]);
  });

  test("a Conduit that comes when the dial was given up is destroyed", async () => {
    const controller = new AbortController();
    const [late] = memoryPair();
    let give: (conduit: typeof late) => void = () => {};
    const dial = () => new Promise<typeof late>((resolve) => (give = resolve));
    const { promise } = dialerOf({ dial }).start(http(), leaks().watch(controller.signal), null);
    controller.abort("enough");
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    give(late);
    await quiet();
    expect(late.destroyed).toBe(true);
  });

  const method = () => {};
  const conduit = { attach: method, write: method, destroy: method, facts: {} };
  const duplex = { write: method, on: method, destroy: method, resume: method };
  test.each<[string, unknown]>([
    ...Object.keys(conduit).map(
      (name) => [`a Conduit without ${name}`, { ...conduit, [name]: undefined }] as [string, unknown],
    ),
    ...Object.keys(duplex).map(
      (name) => [`a Duplex without ${name}`, { ...duplex, [name]: undefined }] as [string, unknown],
    ),
    ["a word", "socket"],
    ["a function", method],
  ])("what they give is looked at: %s is no stream", async (_, given) => {
    expect(isConduit(given)).toBe(false);
    const dial = () => given as never; // no stream, on purpose
    expect(await failure(dialerOf({ dial }).start(http(), signal(), null).promise)).toMatchObject({
      cause: { message: "Dialer returned no Duplex stream: it must return a net.Socket or a Duplex" },
    });
  });

  test("by shape a Conduit is one", () => {
    expect(isConduit(conduit)).toBe(true);
    expect([isConduit(null), isConduit(undefined), isConduit(duplex)]).toEqual([false, false, false]);
  });

  test("pins are judged of what dialTls gives, and not of what dial gives for http", async () => {
    const pins = [`sha256/${"A".repeat(43)}=`];
    const [near, far] = duplexPair();
    const error = await failure(
      dialerOf({ dialTls: () => near, tls: { pins } }).start(https(), signal(), null).promise,
    );
    expect(error.message).toBe(
      "Cannot secure connection to localhost:443: dialTls gave no TLSSocket, whose certificates could be judged (option tls.pins)",
    );
    expect(near.destroyed).toBe(true);
    far.destroy();
    for (const finished of [true, false]) {
      const ends = tlsEnds();
      closing.push(() => ends.destroy());
      const dialTls = async () => {
        const socket = connectTls({ socket: ends.near, ca, servername: "localhost" });
        if (finished) await once(socket, "secureConnect");
        return socket;
      };
      const refused = await failure(dialerOf({ dialTls, tls: { pins } }).start(https(), signal(), null).promise);
      expect(refused.message).toMatch(/^Cannot secure connection to localhost:443: no certificate of its chain/);
      expect(ends.near.destroyed).toBe(true);
      const plain = tlsEnds();
      closing.push(() => plain.destroy());
      const dial = async () => {
        const socket = connectTls({ socket: plain.near, ca, servername: "localhost" });
        if (finished) await once(socket, "secureConnect");
        return socket;
      };
      await track(dialerOf({ dial, tls: { pins } }).start(http(), signal(), null).promise);
    }
  });

  test("whenever the dial is given up, nothing is told after that, and what was given is destroyed", async () => {
    for (const makes of [() => memoryPair()[0], () => duplexPair()[0]]) {
      for (let after = 0; after < 12; after++) {
        const controller = new AbortController();
        const trace = new TraceLog();
        const given = makes();
        const { promise } = dialerOf({ dial: () => given }).start(http(), leaks().watch(controller.signal), trace);
        promise.catch(() => {});
        for (let i = 0; i < after; i++) await Promise.resolve();
        const told = trace.log.length;
        controller.abort("enough");
        const end = await promise.then(
          (conduit) => conduit,
          (reason: unknown) => reason,
        );
        await quiet();
        expect(trace.log).toHaveLength(told);
        if (end === "enough") expect(given.destroyed).toBe(true);
        else (end as { destroy(): void }).destroy();
      }
    }
  });

  test("a Conduit for https must come from dialTls, and a tunnel needs a stream", async () => {
    const [plain] = memoryPair();
    const error = await failure(dialerOf({ dial: () => plain }).start(https(), signal(), null).promise);
    expect(error).toMatchObject({
      message: "Cannot connect to localhost:443: the dialer failed",
      attempts: [],
      phase: "connect",
      cause: {
        name: "TypeError",
        message: "TLS needs a stream: a Conduit for https is given by dialTls, and is taken for a secured one",
      },
    });
    expect(plain.destroyed).toBe(true);
    const tls = { protocol: "TLSv1.3", cipher: "c", alpn: null, resumed: false };
    const [secured] = memoryPair({ facts: [{ tls }, {}] });
    const trace = new TraceLog();
    expect(await dialerOf({ dialTls: () => secured }).start(https(), signal(), trace).promise).toBe(secured);
    expect(trace.log.slice(1)).toEqual([
      ["connectDone", { address: "localhost", port: 443, family: 0, outcome: "connected", ms: 0 }],
      ["connected"],
      ["tlsStart"],
      ["tlsDone", tls],
    ]);
    const [leg] = memoryPair();
    expect(await failure(dialerOf({ dial: () => leg }).open(http(), signal(), null).promise)).toMatchObject({
      message: "Cannot connect to name.test:80: the dialer failed",
      cause: { name: "TypeError", message: "Dialer returned a Conduit: a tunnel needs a stream" },
    });
    expect(leg.destroyed).toBe(true);
  });

  test("their sockets are tuned as ours", async () => {
    const { port } = await echoServer();
    const dial = () => connectSocket({ port, host: "127.0.0.1" });
    const run = (options: Partial<DialOptions>) =>
      socketCalls(() => track(dialerOf({ dial, ...options }, systemClock).start(http(), signal(), null).promise));
    expect(await run({})).toEqual([
      ["setNoDelay", true],
      ["setKeepAlive", true, 30_000],
    ]);
    expect(await run({ noDelay: false, tcpKeepAlive: 0 })).toEqual([]);
  });

  test("a TLSSocket from dial, for http, is a secured connection all the same: the dialer's own affair", async () => {
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const dial = async () => {
      const socket = connectTls({ socket: ends.near, ca, servername: "localhost" });
      await once(socket, "secureConnect");
      return socket;
    };
    const pinned = `sha256/${"A".repeat(43)}=`;
    const conduit = await track(dialerOf({ dial, tls: { pins: [pinned] } }).start(http(), signal(), null).promise);
    expect(conduit).toBeInstanceOf(SocketConduit);
    expect(conduit.facts.tls).toMatchObject({ protocol: "TLSv1.3" });
    expect(conduit.refusalProvesNothingWritten).toBe(false);
  });

  test("from dialTls, a TLSSocket is waited for within tlsHandshakeTimeout, and its step is told", async () => {
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const trace = new TraceLog();
    const dialTls = () => connectTls({ socket: ends.near, ca, servername: "localhost" });
    const conduit = await track(dialerOf({ dialTls }).start(https(), signal(), trace).promise);
    expect(trace.names).toEqual(["connectStart", "connectDone", "connected", "tlsStart", "tlsDone"]);
    expect(trace.log.at(-1)?.[1]).toEqual(conduit.facts.tls);
    const [silent, other] = duplexPair();
    other.resume();
    const clock = new VirtualClock();
    const dialer = dialerOf({ dialTls: () => connectTls({ socket: silent, ca, servername: "localhost" }) }, clock);
    const failed = failure(dialer.start(https(), signal(), null).promise);
    await quiet();
    expect(clock.untilNext).toBe(20_000);
    await clock.advance(20_000);
    expect(await failed).toMatchObject({
      name: "TimeoutError",
      phase: "tls",
      option: "tlsHandshakeTimeout",
      limit: 20_000,
      safeToRetry: true,
      message:
        "Cannot secure connection to localhost:443: no end of the handshake within 20000 ms (option tlsHandshakeTimeout)",
    });
    silent.destroy();
    other.destroy();
  });

  test("from dialTls, a TLSSocket whose handshake fails is destroyed", async () => {
    const [near, far] = duplexPair();
    let socket: TLSSocket | undefined;
    const dialTls = () => {
      socket = connectTls({ socket: near, ca, servername: "localhost" });
      return socket;
    };
    far.once("data", () => far.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const trace = new TraceLog();
    const error = await failure(dialerOf({ dialTls }).start(https(), signal(), trace).promise);
    expect(error).toMatchObject({ name: "TlsError" });
    expect(trace.log.at(-1)).toEqual(["tlsFailed", error]);
    expect(socket?.destroyed).toBe(true);
    far.destroy();
  });
});

describe("Dialer.open(): the stream itself", () => {
  test("of our own, plain and secured, read by 'data'; a late error of it ends nothing", async () => {
    const { port } = await echoServer();
    const stream = await track(dialerOf({}, systemClock).open(http("127.0.0.1", port), signal(), null).promise);
    expect(stream).toBeInstanceOf(Socket);
    stream.write("echo");
    expect(String((await once(stream, "data"))[0])).toBe("echo");
    stream.emit("error", new Error("in between"));
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const trace = new TraceLog();
    const dialer = dialerOf({ tls: { ca } });
    const secured = await track(dialer.openOver(ends.near, https(), signal(), trace).promise);
    expect(secured).toBeInstanceOf(TLSSocket);
    expect(trace.names).toEqual(["tlsStart", "tlsDone"]);
    expect(trace.log[1]?.[1]).toMatchObject({ protocol: "TLSv1.3", alpn: null, resumed: false });
    secured.emit("error", new Error("in between"));
  });

  test("what a dialer's socket got through onread comes from the stream, before and after it was given", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {}).write("welcome ");
      socket.once("data", () => socket.end("and goodbye"));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    closing.push(() => server.close());
    const { port } = server.address() as AddressInfo; // it listens on TCP
    for (const waits of [true, false]) {
      const dial: UserDial = async ({ onread }) => {
        const socket = connectSocket({ port, host: "127.0.0.1", onread });
        await once(socket, "connect");
        if (waits) await until(() => socket.bytesRead > 0, "the greeting");
        return socket;
      };
      const stream = await track(dialerOf({ dial }, systemClock).open(http(), signal(), null).promise);
      let heard = "";
      let ended = false;
      stream.on("data", (chunk) => {
        heard += chunk;
        if (heard === "welcome ") stream.write("hello");
      });
      stream.on("end", () => {
        ended = true;
      });
      await until(() => ended, "the end");
      expect(heard).toBe("welcome and goodbye");
    }
  });

  test("of a dialer's own Duplex: that very one, unref'd where it can be", async () => {
    const [near, far] = duplexPair();
    closing.push(() => far.destroy());
    const dialing = dialerOf({ dial: () => near }).open(http(), signal(), null);
    dialing.unref(); // it has no unref()
    expect(await track(dialing.promise)).toBe(near);
    near.emit("error", new Error("in between"));
  });
});

describe("Dialer.over(): the far end of a tunnel", () => {
  test("plain: any Duplex, a socket, a TLSSocket, each as what it is", async () => {
    const [near, far] = duplexPair();
    closing.push(() => far.destroy());
    const trace = new TraceLog();
    const plain = await track(dialerOf().over(near, http(), signal(), trace).promise);
    expect(plain).toBeInstanceOf(DuplexConduit);
    expect(trace.log).toEqual([]);
    const { port } = await echoServer();
    const socket = connectSocket({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    const tcp = await track(dialerOf({}, systemClock).over(socket, http(), signal(), null).promise);
    expect(tcp).toBeInstanceOf(SocketConduit);
    expect(tcp.facts).toMatchObject({ remotePort: port, tls: null });
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const leg = connectTls({ socket: ends.near, ca, servername: "localhost" });
    await once(leg, "secureConnect");
    const tunnelled = new TraceLog();
    const tls = await track(dialerOf().over(leg, http(), signal(), tunnelled).promise);
    expect(tls.facts.tls).toMatchObject({ protocol: "TLSv1.3" });
    expect(tunnelled.log).toEqual([]); // the leg's handshake was told by who made it
    for (const conduit of [tcp, tls]) {
      const sink = new Recorder();
      conduit.attach(sink);
      conduit.write("echo");
      await until(() => sink.bytes.toString() === "echo", "the echo");
    }
  });

  test("that was closed before says so, with the error it had", async () => {
    for (const error of [undefined, new Error("cut")]) {
      const [near, far] = duplexPair();
      for (const one of [near, far]) one.on("error", () => {});
      near.destroy(error);
      const failed = await failure(dialerOf().over(near, { ...http(), label: "far" }, signal(), null).promise);
      expect(failed).toMatchObject({ message: "Cannot connect to far: its tunnel was closed", attempts: [] });
      expect(failed.cause).toBe(error);
      far.destroy();
    }
  });

  test("secured: both layers are destroyed when it is given up, and its trace says so", async () => {
    const [near, far] = duplexPair();
    far.resume();
    const controller = new AbortController();
    const trace = new TraceLog();
    const clock = new VirtualClock();
    const dialing = dialerOf({ tls: { ca } }, clock).over(near, https(), leaks().watch(controller.signal), trace);
    expect(clock.untilNext).toBe(20_000);
    expect(dialing.holdsProcess).toBe(false);
    await quiet();
    controller.abort("enough");
    expect(await dialing.promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(trace.log).toEqual([["tlsStart"], ["tlsFailed", "enough"]]);
    expect(near.destroyed).toBe(true);
    expect(clock.armed).toBe(0);
    far.destroy();
  });

  test("tlsHandshakeTimeout 0 sets no limit; a listener of the step's start may give it up", async () => {
    const [near, far] = duplexPair();
    far.resume();
    const clock = new VirtualClock();
    const controller = new AbortController();
    const trace = new TraceLog();
    const dialer = dialerOf({ tls: { ca }, tlsHandshakeTimeout: 0 }, clock);
    const silent = dialer.over(near, https(), signal(), null);
    silent.promise.catch(() => {});
    await clock.advance(1e9);
    expect(clock.armed).toBe(0);
    trace.on = () => controller.abort("enough");
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const { promise } = dialer.over(ends.near, https(), leaks().watch(controller.signal), trace);
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    expect(trace.log).toEqual([["tlsStart"], ["tlsFailed", "enough"]]);
    expect(ends.near.destroyed).toBe(true);
    far.destroy();
  });

  test("the handshake's failure is told with what it means, to the trace too", async () => {
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const trace = new TraceLog();
    const target = { ...https("wrong.test"), label: "the far end" };
    const error = await failure(dialerOf({ tls: { ca } }).over(ends.near, target, signal(), trace).promise);
    expect(error.message).toBe(
      "Cannot secure connection to the far end: its certificate is for other names (ERR_TLS_CERT_ALTNAME_INVALID); ask for one of those, or set tls.servername if this is the server you mean",
    );
    expect(trace.log).toEqual([["tlsStart"], ["tlsFailed", error]]);
  });

  test("a pin that does not match fails the step, and its words name the peer", async () => {
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const trace = new TraceLog();
    const pins = [`sha256/${"A".repeat(43)}=`];
    const error = await failure(dialerOf({ tls: { ca, pins } }).over(ends.near, https(), signal(), trace).promise);
    expect(error.message).toMatch(/^Cannot secure connection to localhost:443: no certificate of its chain is pinned/);
    expect(trace.log).toEqual([["tlsStart"], ["tlsFailed", error]]);
    expect(ends.near.destroyed).toBe(true);
  });
});

describe("Dialer: identities", () => {
  async function resumed(dialer: Dialer, target: DialTarget): Promise<boolean | undefined> {
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    const conduit = await track(dialer.over(ends.near, target, signal(), null).promise);
    const sink = new Recorder();
    conduit.attach(sink);
    conduit.write("echo");
    await until(() => sink.bytes.length === 4, "the echo"); // a TLS 1.3 session comes with the first bytes
    return conduit.facts.tls?.resumed;
  }

  test("proxies are secured as targets are, but for their names and pins", async () => {
    const pins = [`sha256/${"A".repeat(43)}=`];
    const dialer = dialerOf({ tls: { ca, pins, servername: "unknown.test" } });
    expect(await resumed(dialer, { ...https(), tls: "proxy" })).toBe(false);
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    expect(await failure(dialer.over(ends.near, https(), signal(), null).promise)).toMatchObject({ name: "TlsError" });
  });

  test("proxyTls is all there is for proxies where it is given", async () => {
    const dialer = dialerOf({ tls: {}, proxyTls: { ca } });
    expect(await resumed(dialer, { ...https(), tls: "proxy" })).toBe(false);
    const ends = tlsEnds();
    closing.push(() => ends.destroy());
    expect(await failure(dialer.over(ends.near, https(), signal(), null).promise)).toMatchObject({ name: "TlsError" });
    const other = dialerOf({ tls: { ca }, proxyTls: {} });
    const more = tlsEnds();
    closing.push(() => more.destroy());
    const target: DialTarget = { ...https(), tls: "proxy" };
    expect(await failure(other.over(more.near, target, signal(), null).promise)).toMatchObject({ name: "TlsError" });
  });

  test("a call's own layer is used, with sessions of its own", async () => {
    const dialer = dialerOf({ tls: {} });
    const layer = new TlsLayer({ ca });
    expect(await resumed(dialer, { ...https(), tls: layer })).toBe(false);
    expect(await resumed(dialer, { ...https(), tls: layer })).toBe(true);
    expect(await resumed(dialer, { ...https(), tls: new TlsLayer({ ca }) })).toBe(false);
  });

  test("close() forgets the sessions of targets and of proxies", async () => {
    const dialer = dialerOf({ tls: { ca } });
    const proxy: DialTarget = { ...https(), tls: "proxy" };
    for (const target of [https(), proxy]) {
      expect(await resumed(dialer, target)).toBe(false);
      expect(await resumed(dialer, target)).toBe(true);
      dialer.close();
      expect(await resumed(dialer, target)).toBe(false);
    }
  });

  test("a handshake that is given up costs no session; one that fails does", async () => {
    const dialer = dialerOf({ tls: { ca } });
    expect(await resumed(dialer, https())).toBe(false);
    const controller = new AbortController();
    const [near, far] = duplexPair();
    far.resume();
    const { promise } = dialer.over(near, https(), leaks().watch(controller.signal), null);
    controller.abort("enough");
    expect(await promise.catch((reason: unknown) => reason)).toBe("enough");
    await quiet();
    far.destroy();
    expect(await resumed(dialer, https())).toBe(true);
    const [broken, peer] = duplexPair();
    peer.once("data", () => peer.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await failure(dialer.over(broken, https(), signal(), null).promise);
    peer.destroy();
    expect(await resumed(dialer, https())).toBe(false);
  });

  test("close() tells each dial, by its peer", async () => {
    const dialer = dialerOf({ lookup: never });
    const failed = [1, 2].map((n) => failure(dialer.start(http(`${n}.test`), signal(), null).promise));
    dialer.close();
    for (const [i, one] of failed.entries()) {
      expect(await one).toBeInstanceOf(TransportClosedError);
      expect(await one).toMatchObject({
        message: `Cannot connect to ${i + 1}.test:80: the transport was closed`,
        safeToRetry: true,
      });
    }
  });
});

describe("Dialer.negotiate(): as ALPN decides", () => {
  const h2 = { ALPNProtocols: ["h2", "http/1.1"] };
  const offer = (...alpn: string[]): DialTarget => ({ ...https(), alpn });

  async function negotiated(options: { ALPNProtocols?: string[] }, target: DialTarget) {
    const ends = tlsEnds(options);
    closing.push(() => ends.destroy());
    const dialing = dialerOf({ tls: { ca } }).negotiateOver(ends.near, target, signal(), null);
    return { dialed: await track(dialing.promise), ends };
  }

  test("another protocol gives the stream, with its facts; what it carries was not touched", async () => {
    const { dialed, ends } = await negotiated(h2, offer("h2", "http/1.1"));
    expect(dialed).toBeInstanceOf(NegotiatedStream);
    const stream = dialed as NegotiatedStream; // as was just seen
    expect(stream.protocol).toBe("h2");
    expect(stream.facts.tls).toMatchObject({ alpn: "h2", protocol: "TLSv1.3" });
    ends.server.write("preface");
    expect(String((await once(stream.stream, "data"))[0])).toBe("preface");
    stream.stream.emit("error", new Error("in between"));
    stream.unref();
    stream.destroy();
    expect(stream.stream.destroyed).toBe(true);
  });

  test.each<[string, { ALPNProtocols?: string[] }, DialTarget]>([
    ["http/1.1 was chosen", { ALPNProtocols: ["http/1.1"] }, offer("h2", "http/1.1")],
    ["nothing was chosen", {}, offer("h2")],
    ["nothing was offered but by the options", h2, https()],
  ])("where %s it is a conduit", async (_, options, target) => {
    expect((await negotiated(options, target)).dialed).toBeInstanceOf(SocketConduit);
  });

  test("what was not offered is a conduit, whatever a dialer's socket says", async () => {
    const ends = tlsEnds(h2);
    closing.push(() => ends.destroy());
    const dialTls = async () => {
      const socket = connectTls({ socket: ends.near, ca, servername: "localhost", ALPNProtocols: ["h2"] });
      await once(socket, "secureConnect");
      return socket;
    };
    const dialer = dialerOf({ dialTls });
    expect(await track(dialer.negotiate(https(), signal(), null).promise)).toBeInstanceOf(SocketConduit);
  });

  test("of plain bytes it is a conduit; unref() reaches whatever it is", async () => {
    const { port } = await echoServer();
    const clock = new VirtualClock();
    const dialing: Dialing<unknown> = dialerOf({}, clock).negotiate(http("127.0.0.1", port), signal(), null);
    dialing.unref();
    const conduit = (await dialing.promise) as SocketConduit; // plain
    closing.push(() => conduit.destroy());
    expect(conduit).toBeInstanceOf(SocketConduit);
    expect(clock.holds).toBe(0);
  });
});
