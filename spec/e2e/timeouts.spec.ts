/**
 * Time limits, phase by phase: each fires when its time is up and not before, says which it is, and leaves nothing.
 *
 * The network is real; time is virtual, and moves only when an event has shown where the exchange stands. The last part
 * is about a loop that was blocked: there time is real too.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import { describe, expect, test, vi } from "vitest";
import { Client, PoolTimeoutError, TimeoutError, Transport } from "../../lib/index.ts";
import { CALL_TIME_LIMITS, type TransportOptions } from "../../lib/options.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { deafServer } from "./deaf-server.ts";
import { quiet, type Reached, SCENARIOS, Stage } from "./phases.ts";

checkLeaks();

const LIMIT = 1234;
const LONGER = 4321;
const MONTH = 31 * 24 * 3_600_000;

/** No limit of any kind. */
const UNLIMITED: TransportOptions = {
  dialTimeout: 0,
  tlsHandshakeTimeout: 0,
  idleConnTimeout: 0,
  ...Object.fromEntries(CALL_TIME_LIMITS.map((name) => [name, 0])),
};

/** What a promise fails with. */
function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no failure",
    (error: unknown) => error,
  );
}

/** What the end of the phase does to the caller. */
function outcome(stage: Stage, { waiting, rest }: Reached): Promise<unknown> {
  return stage.driven(errorOf(waiting ?? rest?.() ?? Promise.resolve()));
}

/** No connection has ended, and no dial has failed. */
function expectNothingEnded(stage: Stage): void {
  const { closed, dialsFailed } = stage.peer.transport.stats();
  expect({ closed, dialsFailed }).toEqual({ closed: {}, dialsFailed: 0 });
}

/** Takes the warnings, instead of the terminal. */
function heardWarnings(stage: Stage) {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  stage.finally(() => warn.mockRestore());
  return warn.mock.calls;
}

/** Ends what a scenario holds beside the call in question. */
async function clear(stage: Stage): Promise<void> {
  stage.peer.transport.closeIdleConnections(); // a dial that outlived its request
  if (stage.peer.transport.stats().busy > 0) await stage.driven(stage.peer.transport.destroy()); // what was waited for
}

/** A scenario by its phase. */
function scenario(phase: string) {
  return SCENARIOS.find((one) => one.phase === phase)!; // the name is of this file
}

/** The options of the dialer, which no call can set. */
const OF_THE_DIALER = ["dialTimeout", "tlsHandshakeTimeout"];

describe.each(SCENARIOS)("$option in the phase $phase", ({ phase, option, options, reach }) => {
  test("fires when its time is up, names itself and leaves nothing", async () => {
    await using stage = await Stage.open({ ...options, [option]: LIMIT });
    heardWarnings(stage);
    const reached = await reach(stage, {});
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    const error = await outcome(stage, reached);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase, option, limit: LIMIT, origin: expect.stringMatching(/^https?:/) });
    expect((error as TimeoutError).message).toMatch(/^Cannot .+: .+ within 1234 ms/);
    expect((error as TimeoutError).message).toContain(`(option ${option})`);
    await clear(stage);
    await stage.expectNothingLeft();
  });

  test("with 0 is no limit: nothing happens in a month", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, ...options });
    const { waiting } = await reach(stage, {});
    const settled = vi.fn();
    waiting?.then(settled, settled);
    await stage.clock.advance(MONTH);
    expectNothingEnded(stage);
    expect(settled).not.toHaveBeenCalled();
  });

  test("gives way to the total limit where that ends first", async () => {
    await using stage = await Stage.open(options);
    const reached = await reach(stage, { timeout: LIMIT });
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    const error = await outcome(stage, reached);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ phase: "total", option: "timeout", limit: LIMIT });
    expect((error as TimeoutError).message).toMatch(/^Cannot finish \w+ https?:.+ within 1234 ms \(option timeout\)$/);
    await clear(stage);
    await stage.expectNothingLeft();
  });
});

describe.each(SCENARIOS.filter(({ option }) => !OF_THE_DIALER.includes(option)))(
  "$option of a call",
  ({ phase, option, options, reach }) => {
    test("stands in the place of the transport's", async () => {
      await using stage = await Stage.open({ ...options, [option]: LIMIT });
      heardWarnings(stage);
      const reached = await reach(stage, { [option]: LONGER });
      await stage.clock.advance(LONGER - 1);
      expectNothingEnded(stage);
      await stage.clock.advance(1);
      expect(await outcome(stage, reached)).toMatchObject({ phase, option, limit: LONGER });
    });

    test("with 0 takes the transport's away", async () => {
      await using stage = await Stage.open({ ...UNLIMITED, ...options, [option]: LIMIT });
      await reach(stage, { [option]: 0 });
      await stage.clock.advance(MONTH);
      expectNothingEnded(stage);
    });
  },
);

describe("dialTimeout", () => {
  test("ends a connect that hangs, and says which address hung", async () => {
    await using deaf = await deafServer();
    await using stage = await Stage.open({ dialTimeout: LIMIT });
    const call = quiet(stage.peer.client.get(`http://127.0.0.1:${deaf.port}/`));
    await stage.polls();
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    const error = await stage.driven(errorOf(call));
    expect(error).toMatchObject({ phase: "connect", option: "dialTimeout", limit: LIMIT, safeToRetry: true });
    expect((error as TimeoutError).cause).toMatchObject({
      attempts: [{ address: "127.0.0.1", port: deaf.port, outcome: "timeout", ms: LIMIT }],
    });
    await stage.expectNothingLeft();
  });

  test("is not reached by a handshake: that has a limit of its own, from its own start", async () => {
    await using stage = await Stage.open({ dialTimeout: LIMIT, tlsHandshakeTimeout: LONGER });
    const reached = await scenario("tls").reach(stage, {});
    await stage.clock.advance(LONGER - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await outcome(stage, reached)).toMatchObject({ phase: "tls", limit: LONGER });
  });
});

describe("writeTimeout", () => {
  test("fires over TLS, where every write waits a while", async () => {
    const authority = new CertificateAuthority();
    const serverTls = authority.issue({ names: ["IP:127.0.0.1"] });
    await using stage = await Stage.open({ ...UNLIMITED, writeTimeout: LIMIT, serverTls, tls: { ca: authority.cert } });
    const reached = await scenario("write").reach(stage, {});
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await outcome(stage, reached)).toMatchObject({ phase: "write", option: "writeTimeout", limit: LIMIT });
    await stage.expectNothingLeft();
  });

  test("starts anew whenever the kernel takes something", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, writeTimeout: LIMIT });
    const reached = await scenario("write").reach(stage, {});
    const { socket } = stage.peer.accepted[0]!; // the scenario has accepted it
    for (let i = 0; i < 3; i++) {
      await stage.clock.advance(LIMIT - 1);
      expectNothingEnded(stage);
      const before = socket.bytesRead;
      const pause = () => {
        if (socket.bytesRead - before > 4 * 1024 * 1024) socket.off("data", pause).pause();
      };
      socket.on("data", pause).resume();
      await stage.until(() => socket.isPaused());
      await stage.still(() => socket.bytesRead);
    }
    await stage.clock.advance(LIMIT);
    expect(await outcome(stage, reached)).toMatchObject({ phase: "write" });
  });
});

describe("expectContinueTimeout", () => {
  test("sends the body when no 100 came, and only then responseHeaderTimeout begins (RFC 9110 §10.1.1)", async () => {
    await using stage = await Stage.open({ expectContinueTimeout: 1000, responseHeaderTimeout: LIMIT });
    const call = quiet(stage.peer.client.put(stage.peer.url(), { body: "data", expectContinue: true }));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    await stage.clock.advance(999);
    expect(conn.pending).toBe("");
    await stage.clock.advance(1);
    await stage.driven(conn.expect("data"));
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await stage.driven(errorOf(call))).toMatchObject({ phase: "headers" });
  });
});

describe("responseHeaderTimeout", () => {
  test("is not started anew by 1xx responses", async () => {
    await using stage = await Stage.open({ responseHeaderTimeout: LIMIT });
    let heard = 0;
    const onInformation = () => {
      heard++;
    };
    const reached = await scenario("headers").reach(stage, { onInformation });
    for (const count of [1, 2, 3]) {
      await stage.clock.advance(LIMIT / 4);
      stage.conns[0]?.reply("HTTP/1.1 102 Processing\r\n\r\n");
      await stage.until(() => heard === count);
    }
    await stage.clock.advance(LIMIT / 4 - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await outcome(stage, reached)).toMatchObject({ phase: "headers", limit: LIMIT });
  });

  test("does not count a slow upload, only what comes after it", async () => {
    await using stage = await Stage.open({ responseHeaderTimeout: LIMIT, writeTimeout: LIMIT });
    const body = new Readable({ read() {} });
    const call = quiet(stage.peer.client.post(stage.peer.url(), { body }));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    for (const letter of "slow") {
      body.push(letter);
      await stage.driven(conn.expect(`1\r\n${letter}\r\n`));
      await stage.clock.advance(10 * LIMIT);
    }
    body.push(null);
    await stage.driven(conn.expect("0\r\n\r\n"));
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await stage.driven(errorOf(call))).toMatchObject({ phase: "headers" });
  });

  test("is over with the head", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, responseHeaderTimeout: LIMIT });
    const { call } = await scenario("headers").reach(stage, {});
    stage.conns[0]?.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nda");
    const text = (await stage.driven(call)).text();
    await stage.clock.advance(MONTH);
    stage.conns[0]?.reply("ta");
    expect(await stage.driven(text)).toBe("data");
    expect(stage.clock.armed).toBe(0);
  });
});

describe("bodyTimeout", () => {
  test("starts anew with every byte", async () => {
    await using stage = await Stage.open({ bodyTimeout: LIMIT });
    const { call } = await scenario("headers").reach(stage, {});
    stage.conns[0]?.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    const chunks = (await stage.driven(call))[Symbol.asyncIterator]();
    for (const letter of "slow") {
      const chunk = chunks.next();
      await stage.clock.advance(LIMIT - 1);
      stage.conns[0]?.reply(letter);
      expect((await stage.driven(chunk)).value).toEqual(new Uint8Array([letter.charCodeAt(0)]));
    }
    const last = errorOf(chunks.next());
    await stage.clock.advance(LIMIT);
    expect(await stage.driven(last)).toMatchObject({ phase: "body" });
  });

  test("stands still while the reader has paused, and runs again when it reads on", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, bodyTimeout: LIMIT });
    const { rest } = await scenario("stalled-reader").reach(stage, {});
    await stage.clock.advance(MONTH);
    expectNothingEnded(stage);
    const failed = errorOf(rest!()); // a scenario in the body has it
    await stage.until(() => stage.conns[0]?.socket.writableLength === 0);
    await stage.polls();
    await stage.clock.advance(LIMIT - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await stage.driven(failed)).toMatchObject({ phase: "body", limit: LIMIT });
  });
});

describe("timeout", () => {
  test("is one budget over the wait for a connection and what follows", async () => {
    await using stage = await Stage.open({ maxConnsPerHost: 1 });
    const { call: waiting } = await scenario("pool").reach(stage, { timeout: LIMIT });
    await stage.clock.advance(1000);
    const [conn] = stage.conns;
    conn?.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await stage.driven(conn!.readHead()); // the scenario has accepted it
    await stage.clock.advance(LIMIT - 1000 - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await stage.driven(errorOf(waiting))).toMatchObject({ phase: "total", attempt: 1 });
  });

  test("is over with the last byte off the wire, though nobody has read", async () => {
    await using stage = await Stage.open({ ...UNLIMITED });
    const { call } = await scenario("headers").reach(stage, { timeout: LIMIT });
    stage.conns[0]?.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata");
    const response = await stage.driven(call);
    await stage.until(() => response.trailers !== null);
    expect(stage.clock.armed).toBe(0);
    await stage.clock.advance(MONTH);
    expect(await response.text()).toBe("data");
  });

  test("leaves what was buffered to the reader", async () => {
    await using stage = await Stage.open();
    const { call } = await scenario("headers").reach(stage, { timeout: LIMIT });
    stage.conns[0]?.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    const chunks = (await stage.driven(call))[Symbol.asyncIterator]();
    await stage.polls();
    await stage.clock.advance(LIMIT);
    expect((await chunks.next()).value).toEqual(new Uint8Array(Buffer.from("abc")));
    await expect(chunks.next()).rejects.toMatchObject({ phase: "total", option: "timeout" });
  });

  test("of the client holds where the call has none, and 0 in the call takes it away", async () => {
    await using stage = await Stage.open({ ...UNLIMITED });
    const client = new Client({ transport: stage.peer.transport, timeout: LIMIT });
    const limited = quiet(client.get(stage.peer.url()));
    const unlimited = quiet(client.get(stage.peer.url(), { timeout: 0 }));
    await stage.driven((await stage.accept()).readHead());
    await stage.driven((await stage.accept()).readHead());
    const settled = vi.fn();
    unlimited.catch(settled);
    await stage.clock.advance(MONTH);
    expect(await stage.driven(errorOf(limited))).toMatchObject({ option: "timeout", limit: LIMIT });
    expect(settled).not.toHaveBeenCalled();
  });
});

describe("unreadBodyTimeout", () => {
  test("is not started anew by bytes that come", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, unreadBodyTimeout: LIMIT });
    heardWarnings(stage);
    const { rest } = await scenario("unread-body").reach(stage, {});
    for (const letter of "def") {
      await stage.clock.advance(LIMIT / 4);
      stage.conns[0]?.reply(letter);
      await stage.polls();
    }
    await stage.clock.advance(LIMIT / 4 - 1);
    expectNothingEnded(stage);
    await stage.clock.advance(1);
    expect(await stage.driven(errorOf(rest!()))).toMatchObject({ phase: "unread-body" }); // a scenario in the body has it
  });

  test("is over with the first read", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, unreadBodyTimeout: LIMIT });
    const { rest } = await scenario("unread-body").reach(stage, {});
    const all = rest!(); // a scenario in the body has it
    await stage.clock.advance(MONTH);
    stage.conns[0]?.reply("defghij");
    expect(await stage.driven(all)).toHaveLength(2);
  });
});

describe("stalledReaderTimeout", () => {
  test("starts anew whenever the reader takes something", async () => {
    await using stage = await Stage.open({ ...UNLIMITED, stalledReaderTimeout: LIMIT });
    const warnings = heardWarnings(stage);
    const { call } = await scenario("headers").reach(stage, {});
    stage.conns[0]?.reply(`HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n${"x".repeat(32 * 1024 * 1024)}`);
    const chunks = (await stage.driven(call))[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) {
      await stage.driven(chunks.next());
      await stage.still(() => stage.conns[0]!.socket.writableLength); // accepted by the scenario
      await stage.clock.advance(LIMIT - 1);
      expectNothingEnded(stage);
    }
    await stage.clock.advance(1);
    expect(stage.peer.transport.stats().closed).toEqual({ timeout: 1 });
    expect(warnings).toMatchObject([[expect.stringContaining("(stalledReaderTimeout)"), { code: "ERR_HTTP_TIMEOUT" }]]);
  });
});

describe("a body that nobody reads", () => {
  /** An answer with more to come, of which nothing is read. */
  async function unread(stage: Stage, url: string): Promise<void> {
    const call = stage.peer.client.get(url);
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    await stage.clock.advance(100);
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    await stage.driven(call);
    await stage.polls();
    await stage.clock.advance(LIMIT);
    expect(stage.peer.transport.stats().busy).toBe(0);
  }

  test("warns once per origin, with method, URL and age, and without credentials", async () => {
    await using stage = await Stage.open({ unreadBodyTimeout: LIMIT });
    const warnings = heardWarnings(stage);
    await unread(stage, `http://user:secret@${stage.peer.authority}/first?q=1`);
    expect(warnings).toEqual([
      [
        `The body of GET ${stage.peer.url("/first?q=1")} was left unread (unreadBodyTimeout), 1334 ms after the request: read it, or call close()`,
        { type: "PersistConnWarning", code: "ERR_HTTP_TIMEOUT" },
      ],
    ]);
    await unread(stage, stage.peer.url("/second"));
    expect(warnings).toHaveLength(1);
    await unread(stage, `http://localhost:${stage.peer.port}/`);
    expect(warnings).toHaveLength(2);
  });

  test("warns in the async context of its own call, on a connection that another made", async () => {
    const storage = new AsyncLocalStorage<string>();
    await using stage = await Stage.open({ unreadBodyTimeout: LIMIT });
    const heard: unknown[] = [];
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => void heard.push(storage.getStore()));
    stage.finally(() => warn.mockRestore());
    const first = storage.run("the first", () => stage.peer.client.get(stage.peer.url("/first")));
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await stage.driven(first);
    const second = storage.run("the second", () => stage.peer.client.get(stage.peer.url("/second")));
    await stage.driven(conn.readHead());
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    expect((await stage.driven(second)).connection).toMatchObject({ reused: true });
    await stage.polls();
    await stage.clock.advance(LIMIT);
    expect(heard).toEqual(["the second"]);
  });

  test("warns by the process's own way", async () => {
    await using stage = await Stage.open({ unreadBodyTimeout: LIMIT });
    const terminal = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    stage.finally(() => terminal.mockRestore());
    const warned = once(process, "warning");
    await unread(stage, stage.peer.url("/"));
    const [warning] = await warned;
    expect(warning).toMatchObject({ name: "PersistConnWarning", message: expect.stringContaining("GET http://") });
  });
});

describe("poolTimeout", () => {
  test("tells how many wait and what holds the connections", async () => {
    let dials = 0;
    await using stage = await Stage.open({
      maxConnsPerHost: 2,
      poolTimeout: LIMIT,
      dial: ({ host, port }) => (++dials === 1 ? connect(port, host) : new Promise(() => {})),
    });
    await scenario("headers").reach(stage, {});
    await stage.clock.advance(1000);
    const url = stage.peer.url();
    const calls = ["dialing", "waiting", "waiting"].map(() => quiet(stage.peer.client.get(url)));
    const patient = quiet(stage.peer.client.get(url, { poolTimeout: LONGER }));
    await stage.clock.advance(LIMIT);
    const [, first, second] = await Promise.all(
      calls.map((call, i) => (i === 0 ? undefined : stage.driven(errorOf(call)))),
    );
    expect(first).toBeInstanceOf(PoolTimeoutError);
    const held = { dialing: 1, busy: 1, idle: 0, oldestBusyMs: 1000 + LIMIT };
    expect(first).toMatchObject({ waiting: 4, safeToRetry: true, attempt: 1, ...held });
    expect((first as PoolTimeoutError).message).toBe(
      `Cannot get connection to http://${stage.peer.authority}: none free within 1234 ms (option poolTimeout); 4 waiting, 1 busy (the oldest for 2234 ms), 1 dialing, 0 idle`,
    );
    expect(second).toMatchObject({ waiting: 3, ...held });
    await stage.clock.advance(LONGER - LIMIT);
    expect(await stage.driven(errorOf(patient))).toMatchObject({ waiting: 2, limit: LONGER });
  });

  test("does not run while the request owns a slot: its own dial may take its time", async () => {
    let connectNow = () => {};
    await using stage = await Stage.open({
      ...UNLIMITED,
      maxConnsPerHost: 1,
      poolTimeout: LIMIT,
      dial: ({ host, port }) =>
        new Promise((resolve) => {
          connectNow = () => resolve(connect(port, host));
        }),
    });
    const call = stage.peer.client.get(stage.peer.url());
    await stage.clock.advance(MONTH);
    connectNow();
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    expect((await stage.driven(call)).status).toBe(204);
  });

  test("does not run while the request owns a slot: nor may a dial that another left to it end it", async () => {
    let connectNow = () => {};
    await using stage = await Stage.open({
      ...UNLIMITED,
      maxConnsPerHost: 1,
      poolTimeout: LIMIT,
      dial: ({ host, port }) =>
        new Promise((resolve) => {
          connectNow = () => resolve(connect(port, host));
        }),
    });
    const leaves = new AbortController();
    const first = quiet(stage.peer.client.get(stage.peer.url(), { signal: leaves.signal }));
    const heir = stage.peer.client.get(stage.peer.url());
    await stage.clock.advance(LIMIT - 1);
    leaves.abort();
    await stage.driven(errorOf(first));
    await stage.clock.advance(10 * LIMIT);
    connectNow();
    const conn = await stage.accept();
    await stage.driven(conn.readHead());
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    expect((await stage.driven(heir)).status).toBe(204);
  });
});

describe("a loop that was blocked beyond a time limit", () => {
  /** A server in a thread of its own, so that it answers while this one is blocked. */
  const SERVER = `
    const { createServer } = require("node:net");
    const { parentPort, workerData } = require("node:worker_threads");
    let last;
    const server = createServer((socket) => {
      last = socket.on("error", () => {}).on("data", (data) => {
        if (data.includes("\\r\\n\\r\\n")) parentPort.postMessage("asked");
      });
    });
    server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
    parentPort.on("message", (answer) => last.write(answer, () => {
      Atomics.store(workerData, 0, 1);
      Atomics.notify(workerData, 0);
    }));
  `;

  class BlockingStage implements AsyncDisposable {
    readonly #worker: Worker;
    readonly #written: Int32Array;
    readonly client: Client;
    readonly transport: Transport;
    readonly url: string;

    private constructor(worker: Worker, written: Int32Array, port: number, options: TransportOptions) {
      this.#worker = worker;
      this.#written = written;
      this.transport = new Transport(options);
      this.client = new Client({ transport: this.transport });
      this.url = `http://127.0.0.1:${port}/`;
    }

    static async open(options: TransportOptions): Promise<BlockingStage> {
      const written = new Int32Array(new SharedArrayBuffer(4));
      const worker = new Worker(SERVER, { eval: true, workerData: written });
      const [port] = (await once(worker, "message")) as [number]; // what SERVER posts first
      return new BlockingStage(worker, written, port, options);
    }

    /** The server has read a request. */
    async asked(): Promise<void> {
      await once(this.#worker, "message");
    }

    /** Blocks the loop until the server's answer is in our kernel, and longer than `limit`. */
    answeredWhileBlocked(answer: string, limit: number): void {
      const start = performance.now();
      this.#worker.postMessage(answer);
      Atomics.wait(this.#written, 0, 0);
      Atomics.store(this.#written, 0, 0);
      blockUntil(start + 2 * limit);
    }

    async [Symbol.asyncDispose](): Promise<void> {
      await this.transport.destroy();
      await this.#worker.terminate();
    }
  }

  function blockUntil(time: number): void {
    while (performance.now() < time);
  }

  const SHORT = 50;
  const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndata";

  test.each<[string, TransportOptions, { timeout?: number }]>([
    ["responseHeaderTimeout", { responseHeaderTimeout: SHORT }, {}],
    ["timeout", {}, { timeout: SHORT }],
  ])("%s does not fail a call whose answer already waits", async (_, options, limits) => {
    await using stage = await BlockingStage.open(options);
    const asked = stage.asked();
    const call = quiet(stage.client.get(stage.url, limits));
    await asked;
    stage.answeredWhileBlocked(ANSWER, SHORT);
    expect(await (await call).text()).toBe("data");
  });

  test.each<[string, TransportOptions, { timeout?: number }]>([
    ["bodyTimeout", { bodyTimeout: SHORT }, {}],
    ["timeout", {}, { timeout: 4 * SHORT }],
  ])("%s does not fail a body whose bytes already wait", async (_, options, limits) => {
    await using stage = await BlockingStage.open(options);
    const asked = stage.asked();
    const call = quiet(stage.client.get(stage.url, limits));
    await asked;
    stage.answeredWhileBlocked("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nda", 0);
    const text = quiet((await call).text());
    stage.answeredWhileBlocked("ta", 4 * SHORT);
    expect(await text).toBe("data");
  });

  test("poolTimeout does not fail a request whose connection is about to come back", async () => {
    await using stage = await BlockingStage.open({ maxConnsPerHost: 1, poolTimeout: SHORT });
    let asked = stage.asked();
    const first = stage.client.get(stage.url);
    await asked;
    const second = quiet(stage.client.get(stage.url));
    asked = stage.asked();
    stage.answeredWhileBlocked(ANSWER, SHORT);
    expect(await (await first).text()).toBe("data");
    await Promise.race([asked, second]);
    stage.answeredWhileBlocked(ANSWER, 0);
    expect(await (await second).text()).toBe("data");
  });

  test("dialTimeout does not fail a dial whose connection already stands", async () => {
    await using peer = await scriptedPeer({ dialTimeout: SHORT });
    const call = peer.client.get(peer.url());
    await new Promise<void>((resolve) => process.nextTick(resolve));
    blockUntil(performance.now() + 2 * SHORT);
    const conn = await Promise.race([peer.accept(), call]);
    if ("reply" in conn) {
      await conn.readHead(); // before that it would be no answer
      conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    }
    expect((await call).status).toBe(204);
  });
});
