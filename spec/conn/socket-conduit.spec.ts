import { once } from "node:events";
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { type Clock, SystemClock, systemClock } from "../../lib/clock.ts";
import { SocketConduit, type SocketConduitInit, SocketReader } from "../../lib/conn/socket-conduit.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { conduitContract, type FarEnd, pattern, quiet, Recorder, type Rig, until } from "./conduit-contract.ts";

checkLeaks();

const authority = new CertificateAuthority();
const leaf = authority.issue({ names: ["DNS:localhost"] });
const dir = tempFolder("socket");
let sockets = 0;

/** A server's socket as the contract drives it. */
class SocketFarEnd implements FarEnd {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly reset: () => void;
  sawEnd = false;

  /** @param reset breaks the connection, in the way of its kind */
  constructor(socket: Socket, reset: () => void) {
    this.#socket = socket;
    this.reset = reset;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#chunks.push(chunk));
    for (const event of ["end", "close", "error"]) {
      socket.on(event, () => {
        this.sawEnd = true;
      });
    }
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

type Carrier = "tcp" | "unix" | "tls";

const kindOf = (carrier: Carrier) => (carrier === "tls" ? "tls" : "plain");

interface Opened {
  readonly socket: Socket;
  readonly reader: SocketReader;
  readonly accepted: Socket;
  /** What carries it: itself, or the socket below TLS, which alone can be reset. */
  readonly carrier: Socket;
  readonly server: Server;
}

/** A socket to a server of its own, connected, both ends at hand. `onread` off makes one that is read by 'data'. */
async function openSocket(kind: Carrier, onread = true): Promise<Opened> {
  const reader = new SocketReader();
  const raw: Socket[] = [];
  const server =
    kind === "tls"
      ? createTlsServer({ ...leaf, allowHalfOpen: true }).on("connection", (socket) => raw.push(socket))
      : createServer({ allowHalfOpen: true });
  const path = join(dir, `${++sockets}.sock`);
  server.listen(kind === "unix" ? { path } : { port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  const address = server.address();
  const where = typeof address === "object" ? { host: "127.0.0.1", port: address!.port } : { path }; // it listens
  const options = { ...where, allowHalfOpen: true, ...(onread ? { onread: reader } : {}) };
  const accepted = once(server, kind === "tls" ? "secureConnection" : "connection");
  let socket: Socket;
  if (kind === "tls") {
    const secure = { ...options, ca: authority.cert, servername: "localhost" };
    socket = connectTls(secure);
    await once(socket, "secureConnect");
  } else {
    socket = connectSocket(options);
    await once(socket, "connect");
  }
  const [other] = (await accepted) as [Socket];
  return { socket, reader, accepted: other, carrier: raw[0] ?? other, server };
}

async function rig(kind: Carrier, onread = true): Promise<Rig & { socket: Socket; far: SocketFarEnd }> {
  const { socket, reader, accepted, carrier, server } = await openSocket(kind, onread);
  const init: SocketConduitInit = {
    socket,
    kind: kindOf(kind),
    reader: onread ? reader : null,
    listensToData: !onread,
    clock: systemClock,
  };
  const conduit = new SocketConduit(init);
  const far = new SocketFarEnd(accepted, () => {
    if (kind !== "unix") {
      carrier.resetAndDestroy();
      return;
    }
    // Unix sockets know no reset; closing one with bytes unread has the same effect.
    socket.write("unread");
    accepted.destroy();
  });
  return {
    conduit,
    far,
    socket,
    async close() {
      conduit.destroy();
      far.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function open(kind: Carrier, onread = true) {
  const made = await rig(kind, onread);
  closing.push(made.close);
  const sink = new Recorder();
  made.conduit.attach(sink);
  return { ...made, sink };
}

const TOO_MUCH = 24 * 1024 * 1024;

conduitContract({ name: "TCP", make: () => rig("tcp"), tooMuch: TOO_MUCH, provesRefusal: true });
conduitContract({ name: "a unix socket", make: () => rig("unix"), tooMuch: TOO_MUCH, provesRefusal: true });
conduitContract({
  name: "TLS",
  make: () => rig("tls"),
  tooMuch: TOO_MUCH,
  provesRefusal: false,
  alwaysPending: true,
});
conduitContract({
  name: "TCP read by 'data'",
  make: () => rig("tcp", false),
  tooMuch: TOO_MUCH,
  provesRefusal: true,
});

describe("SocketConduit", () => {
  test.each(["tcp", "unix", "tls"] as const)("facts of %s are taken once, and outlive the socket", async (kind) => {
    const { conduit, socket } = await open(kind);
    const { facts } = conduit;
    conduit.destroy();
    await once(socket, "close");
    if (kind === "unix") {
      expect(facts).toMatchObject({ remotePort: null, tls: null });
    } else {
      expect(facts).toMatchObject({ localAddress: "127.0.0.1", remoteAddress: "127.0.0.1" });
      expect(facts.remotePort).toBeGreaterThan(0);
      expect(facts.localPort).toBeGreaterThan(0);
    }
    if (kind === "tls") {
      expect(facts.tls).toEqual({
        protocol: "TLSv1.3",
        cipher: expect.stringMatching(/^TLS_/),
        alpn: null,
        resumed: false,
      });
    }
  });

  test("adds no listener for a write, a pause or a drain", async () => {
    for (const kind of ["tcp", "tls"] as const) {
      const { conduit, far, socket, sink } = await open(kind);
      const listeners = () => socket.eventNames().map((name) => [name, socket.listenerCount(name)]);
      const before = listeners();
      for (let i = 0; i < 20; i++) {
        conduit.write(["head", pattern(100_000)]);
        conduit.pause();
        conduit.resume();
        await until(() => conduit.pendingBytes === 0, "the write");
      }
      await until(() => far.received.length === 20 * 100_004, "all bytes");
      await quiet();
      expect(listeners()).toEqual(before);
      expect(sink.count("error")).toBe(0);
    }
  });

  test("all sockets read into one buffer", async () => {
    const buffers = new Set<ArrayBufferLike>();
    for (const kind of ["tcp", "unix", "tls"] as const) {
      const { far, sink } = await open(kind);
      const data = sink.data.bind(sink);
      sink.data = (view, n) => {
        buffers.add(view.buffer);
        data(view, n);
      };
      far.send(Buffer.from("bytes"));
      await until(() => sink.bytes.length === 5, "the bytes");
    }
    expect(buffers.size).toBe(1);
  });

  test("an error that the socket has after destroy() is nobody's uncaught exception", async () => {
    const { conduit, socket, sink } = await open("tcp");
    conduit.destroy();
    socket.emit("error", new Error("late"));
    await quiet();
    expect(sink.events).toEqual([]);
  });

  test("a socket that somebody else destroys is told as an error", async () => {
    const { socket, sink } = await open("tcp");
    socket.destroy();
    await until(() => sink.errors.length > 0, "the error");
    expect(sink.errors[0]).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
  });

  test("pause() stops the kernel: the peer can write only what its buffers hold", async () => {
    const { conduit, far, sink } = await open("tcp");
    conduit.pause();
    far.send(pattern(TOO_MUCH));
    await quiet();
    expect(sink.bytes.length).toBe(0);
  });

  test("a first write that the kernel refuses whole is answered with the error", async () => {
    for (const kind of ["tcp", "unix"] as const) {
      const { conduit, sink } = await resetUnseen(kind, "");
      expect(sink.call(() => conduit.write("GET / HTTP/1.1\r\n\r\n"))).toMatchObject({
        code: expect.stringMatching(/^(EPIPE|ECONNRESET)$/),
        syscall: "write",
      });
      await until(() => sink.count("error") === 1, "the error");
      expect(sink.story).toBe("error");
    }
  });
});

/**
 * A connection whose peer has answered and reset while this thread was blocked, so that both wait in the kernel unread.
 * The peer lives in a thread of its own.
 */
async function resetUnseen(kind: Carrier, answer: string, clock: Clock = systemClock) {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const path = join(dir, `${++sockets}.sock`);
  const worker = new Worker(PEER, { eval: true, workerData: { shared, kind, path, answer, leaf } });
  const [port] = (await once(worker, "message")) as [number];
  const reader = new SocketReader();
  const where = kind === "unix" ? { path } : { host: "127.0.0.1", port };
  const options = { ...where, onread: reader, allowHalfOpen: true, ca: authority.cert, servername: "localhost" };
  let socket: Socket | TLSSocket;
  if (kind === "tls") {
    socket = connectTls(options);
    await once(socket, "secureConnect");
  } else {
    socket = connectSocket(options);
    await once(socket, "connect");
  }
  const conduit = new SocketConduit({ socket, kind: kindOf(kind), reader, listensToData: false, clock });
  const sink = new Recorder();
  conduit.attach(sink);
  closing.push(async () => {
    conduit.destroy();
    await worker.terminate();
  });
  // What TLS still has to say after the handshake (session tickets) is read before the thread is blocked.
  await quiet();
  conduit.write("POST / HTTP/1.1\r\n\r\n");
  await until(() => conduit.pendingBytes === 0, "the head to be written");
  Atomics.wait(shared, 0, 0, 5000);
  // The reset is on its way through the loopback when the peer says so; it needs no event of this thread.
  Atomics.wait(shared, 0, 1, 20);
  return { conduit, sink };
}

const PEER = `
  const { workerData: { shared, kind, path, answer, leaf }, parentPort } = require("node:worker_threads");
  const serve = (socket, raw) => {
    socket.on("error", () => {});
    raw.on("error", () => {});
    socket.once("data", () => {
      const reset = () => {
        const gone = () => { Atomics.store(shared, 0, 1); Atomics.notify(shared, 0); };
        if (kind === "unix") raw.destroy(); else raw.resetAndDestroy();
        raw.once("close", gone);
      };
      if (answer === "") reset(); else socket.write(answer, () => setImmediate(reset));
    });
  };
  let server;
  if (kind === "tls") {
    let raw;
    server = require("node:tls").createServer(leaf, (socket) => { socket.setNoDelay(true); serve(socket, raw); });
    server.on("connection", (socket) => { raw = socket; });
  } else {
    server = require("node:net").createServer((socket) => serve(socket, socket));
  }
  server.listen(kind === "unix" ? { path } : { port: 0, host: "127.0.0.1" }, () => {
    parentPort.postMessage(kind === "unix" ? 0 : server.address().port);
  });
`;

describe("SocketConduit: an answer that waits in the kernel is not lost by our own write (RFC 9112 §9.5)", () => {
  const answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
  test.each(["tcp", "unix", "tls"] as const)("over %s", async (kind) => {
    for (let i = 0; i < 5; i++) {
      const { conduit, sink } = await resetUnseen(kind, answer);
      const answered = sink.call(() => conduit.write([pattern(64 * 1024)]));
      if (kind !== "tls") expect(answered).toMatchObject({ syscall: "write" });
      await until(() => sink.count("error") + sink.count("end") > 0, "the end of the story");
      expect(sink.bytes.toString()).toBe(answer);
      expect(sink.call(() => conduit.write("more"))).toBeInstanceOf(Error);
      conduit.destroy();
    }
  });

  test("it is read poll by poll until a poll brought nothing; then the error of the write is told", async () => {
    const polls: string[] = [];
    class WatchedClock extends SystemClock {
      override turn(fire: (batch: number) => void): void {
        super.turn((batch) => {
          polls.push(sink.story);
          fire(batch);
        });
      }
    }
    const { conduit, sink } = await resetUnseen("tcp", answer, new WatchedClock());
    sink.call(() => conduit.write([pattern(64 * 1024)]));
    await until(() => sink.count("error") > 0, "the error");
    expect(polls).toEqual(["data", "data"]);
    expect(sink.story).toBe("data error");
    expect(sink.errors[0]).toMatchObject({ syscall: "write" });
  });

  test("it waits for a reader that has paused", async () => {
    const { conduit, sink } = await resetUnseen("tcp", answer);
    conduit.pause();
    sink.call(() => conduit.write([pattern(1000)]));
    await quiet();
    expect(sink.events).toEqual([]);
    conduit.resume();
    await until(() => sink.count("error") > 0, "the error");
    expect(sink.bytes.toString()).toBe(answer);
  });

  test("destroy() ends it", async () => {
    const { conduit, sink } = await resetUnseen("tcp", answer);
    sink.call(() => conduit.write([pattern(1000)]));
    conduit.destroy();
    await quiet();
    expect(sink.events).toEqual([]);
  });
});

test.each<[string, (socket: Socket) => Socket]>([
  ["the same socket", (socket) => socket],
  ["one that inherits from it", (socket) => Object.create(socket)], // as who overrides one of its methods makes it
])(
  "two conduits over %s, as a dialer may give it twice: each hears of its end, and none calls itself",
  async (_, again) => {
    const { socket, accepted, server } = await openSocket("tcp", false);
    const sinks = [socket, again(socket)].map((given) => {
      const conduit = new SocketConduit({
        socket: given,
        kind: "plain",
        reader: null,
        listensToData: true,
        clock: systemClock,
      });
      const sink = new Recorder();
      conduit.attach(sink);
      return sink;
    });
    await quiet();
    socket.destroy(new Error("from outside"));
    await until(() => sinks.every(({ errors }) => errors.length > 0), "both to hear of it");
    expect(sinks.map(({ errors }) => errors.map(({ message }) => message))).toEqual([
      ["from outside"],
      ["from outside"],
    ]);
    accepted.destroy();
    server.close();
  },
);

test("SocketReader: what came before there was a conduit is kept, whatever is read into the shared buffer after it", () => {
  const first = new SocketReader();
  const second = new SocketReader();
  expect(second.buffer).toBe(first.buffer);
  first.buffer.set(Buffer.from("first"));
  expect(first.callback(5, first.buffer)).toBe(false);
  second.buffer.set(Buffer.from("other"));
  expect(second.callback(5, second.buffer)).toBe(false);
  expect([...first.early, ...second.early].map((bytes) => Buffer.from(bytes).toString())).toEqual(["first", "other"]);
});
