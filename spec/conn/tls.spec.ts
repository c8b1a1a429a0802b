import { EventEmitter, once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import {
  connect as connectTls,
  createServer as createTlsServer,
  type TlsOptions as ServerOptions,
  TLSSocket,
} from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Conduit, TlsFacts } from "../../lib/conn/conduit.ts";
import { Dialer, type DialOptions, type DialTarget, type DialTrace } from "../../lib/conn/dial.ts";
import { checkTlsOptions, TlsLayer, type TlsOptions } from "../../lib/conn/tls.ts";
import { TlsError } from "../../lib/errors.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { quiet, Recorder, until } from "./conduit-contract.ts";

const leaks = checkLeaks();
const authority = new CertificateAuthority();
const ca = authority.cert;
const good = authority.issue({ names: ["DNS:localhost", "DNS:other.test", "IP:127.0.0.1"] });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const DEFAULTS = { dialTimeout: 10_000, tlsHandshakeTimeout: 10_000, tcpKeepAlive: 30_000, noDelay: true };

function dialerOf(tls: TlsOptions, options: Partial<DialOptions> = {}, clock: Clock = systemClock): Dialer {
  const dialer = new Dialer({ ...DEFAULTS, ...options, tls }, clock);
  closing.push(() => dialer.close());
  return dialer;
}

async function listening(server: Server, sockets: Set<Socket>): Promise<number> {
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return (server.address() as AddressInfo).port; // it listens on TCP
}

/** A TLS server that says back what it hears; `secured` are the sockets as it sees them. */
async function tlsServer(options: ServerOptions = good) {
  const secured: TLSSocket[] = [];
  const server = createTlsServer(options, (socket) => {
    secured.push(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk) => socket.write(chunk));
  });
  server.on("tlsClientError", () => {});
  return { port: await listening(server, new Set()), secured };
}

/** A plain server that does with a connection what it is told. */
async function plainServer(serve: (socket: Socket) => void): Promise<number> {
  return listening(createServer(serve), new Set());
}

function https(port: number, host = "localhost", serverName?: string): DialTarget {
  return { scheme: "https", host, port, ...(serverName === undefined ? {} : { serverName }) };
}

function signal(): AbortSignal {
  return leaks().watch(new AbortController().signal);
}

async function dialed(dialer: Dialer, target: DialTarget, trace: DialTrace | null = null): Promise<Conduit> {
  const conduit = await dialer.start(target, signal(), trace).promise;
  closing.push(() => conduit.destroy());
  return conduit;
}

async function echo(conduit: Conduit, sink = new Recorder()): Promise<Recorder> {
  conduit.attach(sink);
  conduit.write("echo");
  await until(() => sink.bytes.toString().endsWith("echo"), "the echo");
  return sink;
}

async function failureOf(dialer: Dialer, target: DialTarget): Promise<unknown> {
  try {
    (await dialer.start(target, signal(), null).promise).destroy();
  } catch (error) {
    return error;
  }
  throw new Error("It did not fail");
}

describe("Dialer.start() for https", () => {
  test("secures, verifies, asks for http/1.1, and says so", async () => {
    const { port, secured } = await tlsServer({ ...good, ALPNProtocols: ["h2", "http/1.1"] });
    const seen: (TlsFacts | string)[] = [];
    const trace: DialTrace = {
      dnsStart() {},
      dnsDone() {},
      dnsFailed() {},
      connectStart() {},
      connectDone() {},
      connected: () => void seen.push("connected"),
      tlsStart: () => void seen.push("tls"),
      tlsDone: (facts) => void seen.push(facts),
      tlsFailed() {},
    };
    const conduit = await dialed(dialerOf({ ca }), https(port), trace);
    await echo(conduit);
    const facts = { protocol: "TLSv1.3", cipher: expect.stringMatching(/^TLS_/), alpn: "http/1.1", resumed: false };
    expect(conduit.facts).toMatchObject({ remoteAddress: "127.0.0.1", remotePort: port, tls: facts });
    expect(seen).toEqual(["connected", "tls", facts]);
    expect(conduit.refusalProvesNothingWritten).toBe(false);
    expect(secured[0]).toMatchObject({ servername: "localhost", alpnProtocol: "http/1.1" });
  });

  test("is read through the buffer that all sockets share", async () => {
    const { port } = await tlsServer();
    const conduit = await dialed(dialerOf({ ca }), https(port));
    const views = new Set<ArrayBufferLike>();
    const sink = new Recorder();
    const data = sink.data.bind(sink);
    sink.data = (view, n) => {
      views.add(view.buffer);
      data(view, n);
    };
    await echo(conduit, sink);
    expect([...views].map(({ byteLength }) => byteLength)).toEqual([80 * 1024]);
  });

  test("an address is verified as an address, and no name is asked for (RFC 6066 §3)", async () => {
    const { port, secured } = await tlsServer();
    await echo(await dialed(dialerOf({ ca }), https(port, "127.0.0.1")));
    expect(secured[0]?.servername).toBe(false);
    const named = await tlsServer(authority.issue({ names: ["DNS:localhost"] }));
    expect(await failureOf(dialerOf({ ca }), https(named.port, "127.0.0.1"))).toMatchObject({
      cause: { code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    });
  });

  test.each([
    ["the target's serverName", {}, "other.test"],
    ["tls.servername", { servername: "other.test" }, undefined],
    ["a name in capitals, with a final dot", {}, "Other.Test."],
  ])("%s is asked for and verified instead of the host", async (_, tls, serverName) => {
    const { port, secured } = await tlsServer(authority.issue({ names: ["DNS:other.test"] }));
    await echo(await dialed(dialerOf({ ca, ...tls }), https(port, "localhost", serverName)));
    expect(secured[0]?.servername).toBe("other.test");
    expect(await failureOf(dialerOf({ ca }), https(port))).toBeInstanceOf(TlsError);
  });

  test("tls.servername may be an address: it is verified, and not sent", async () => {
    const { port, secured } = await tlsServer();
    await echo(await dialed(dialerOf({ ca, servername: "127.0.0.1" }), https(port)));
    expect(secured[0]?.servername).toBe(false);
    expect(await failureOf(dialerOf({ ca, servername: "127.0.0.9" }), https(port))).toMatchObject({
      cause: { code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    });
  });

  test("a client certificate goes along", async () => {
    const client = authority.issue({ names: ["DNS:client.test"] });
    const { port, secured } = await tlsServer({ ...good, ca, requestCert: true, rejectUnauthorized: true });
    await echo(await dialed(dialerOf({ ca, cert: client.cert, key: client.key }), https(port)));
    expect(secured[0]?.authorized).toBe(true);
  });

  test("tls.checkServerIdentity gets the name that is verified, and its error fails the dial", async () => {
    const { port } = await tlsServer();
    const asked: string[] = [];
    const pinned = new Error("not the pinned key");
    const checkServerIdentity = (name: string) => {
      asked.push(name);
      return name === "localhost" ? undefined : pinned;
    };
    const dialer = dialerOf({ ca, checkServerIdentity });
    await dialed(dialer, https(port));
    expect(await failureOf(dialer, https(port, "127.0.0.1"))).toMatchObject({ name: "TlsError", cause: pinned });
    expect(asked).toEqual(["localhost", "127.0.0.1"]);
  });

  test("what tls.checkServerIdentity throws fails the dial, and not the process", async () => {
    const { port } = await tlsServer();
    const thrown = new Error("thrown by the check");
    const checkServerIdentity = () => {
      throw thrown;
    };
    expect(await failureOf(dialerOf({ ca, checkServerIdentity }), https(port))).toMatchObject({
      name: "TlsError",
      cause: thrown,
    });
  });

  test("tls.rejectUnauthorized false takes any certificate", async () => {
    const { port } = await tlsServer(authority.issue({ names: ["DNS:wrong.test"], selfSigned: true, expired: true }));
    await echo(await dialed(dialerOf({ rejectUnauthorized: false }), https(port)));
  });
});

describe("TlsError", () => {
  const wrong = authority.issue({ names: ["DNS:wrong.test"] });
  const selfSigned = authority.issue({ names: ["DNS:localhost"], selfSigned: true });
  const expired = authority.issue({ names: ["DNS:localhost"], expired: true });
  test.each([
    ["another name", wrong, { ca }, "ERR_TLS_CERT_ALTNAME_INVALID", "tls.servername"],
    ["no known signer", selfSigned, { ca }, "DEPTH_ZERO_SELF_SIGNED_CERT", "give it as tls.ca"],
    ["an authority that is not trusted", good, {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls.ca"],
    ["its days behind it", expired, { ca }, "CERT_HAS_EXPIRED", "expired"],
  ])("of a certificate with %s has the code and says what to do", async (_, certificate, tls, code, advice) => {
    const { port } = await tlsServer(certificate);
    const error = await failureOf(dialerOf(tls), https(port));
    expect(error).toBeInstanceOf(TlsError);
    expect(error).toMatchObject({ code: "ERR_HTTP_TLS", phase: "tls", safeToRetry: true, cause: { code } });
    expect((error as TlsError).message).toMatch(`Cannot secure connection to localhost:${port}: `);
    expect((error as TlsError).message).toMatch(`(${code})`);
    expect((error as TlsError).message).toMatch(advice);
  });

  test("of a peer that answers in plain HTTP says so", async () => {
    const port = await plainServer((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
    });
    expect(await failureOf(dialerOf({ ca }), https(port))).toMatchObject({
      name: "TlsError",
      message: expect.stringContaining("server gave HTTP response to HTTPS client"),
      cause: { code: "ERR_SSL_WRONG_VERSION_NUMBER" },
    });
  });

  test.each([
    ["closes", (socket: Socket) => void socket.end()],
    ["resets", (socket: Socket) => void socket.resetAndDestroy()],
  ])("of a peer that %s within the handshake says so", async (_, serve) => {
    const port = await plainServer((socket) => socket.once("data", () => serve(socket)));
    expect(await failureOf(dialerOf({ ca }), https(port))).toMatchObject({
      name: "TlsError",
      message: expect.stringContaining("the connection was closed during the handshake (ECONNRESET)"),
    });
  });

  test("of versions that do not meet", async () => {
    const { port } = await tlsServer({ ...good, minVersion: "TLSv1.3" });
    expect(await failureOf(dialerOf({ ca, maxVersion: "TLSv1.2" }), https(port))).toMatchObject({
      message: expect.stringContaining("tls.minVersion and tls.maxVersion"),
    });
  });

  test("of options of which no context can be made", async () => {
    const { port } = await tlsServer();
    expect(await failureOf(dialerOf({ cert: "no certificate" }), https(port))).toMatchObject({
      name: "TlsError",
      message: "Cannot make secure context: the options in tls are not usable",
      cause: expect.any(Error),
    });
    const [near, far] = duplexPair();
    const { promise } = dialerOf({ cert: "no certificate" }).over(near, https(443), signal(), null);
    expect(await promise.catch((error: unknown) => error)).toMatchObject({
      message: "Cannot make secure context: the options in tls are not usable",
    });
    expect(near.destroyed).toBe(true);
    far.destroy();
  });
});

describe("Dialer.start(): a handshake is given up", () => {
  test("tlsHandshakeTimeout: phase tls, its limit, and the socket is gone", async () => {
    let accepted: Socket | undefined;
    const port = await plainServer((socket) => {
      accepted = socket.resume();
    });
    const clock = new VirtualClock();
    const dialing = dialerOf({ ca }, { tlsHandshakeTimeout: 2000 }, clock).start(
      https(port, "127.0.0.1"),
      signal(),
      null,
    );
    const failed = dialing.promise.then(
      () => "secured",
      (error: unknown) => error,
    );
    await until(() => accepted !== undefined, "the connection");
    await quiet();
    await clock.advance(1999);
    expect(accepted?.closed).toBe(false);
    await clock.advance(1);
    expect(await failed).toMatchObject({
      name: "TimeoutError",
      phase: "tls",
      option: "tlsHandshakeTimeout",
      limit: 2000,
      message: `Cannot secure connection to 127.0.0.1:${port}: no end of the handshake within 2000 ms (option tlsHandshakeTimeout)`,
    });
    expect(clock.armed).toBe(0);
    await until(() => accepted?.closed === true, "the close at the server");
  });

  test("an abort rejects with the signal's reason itself", async () => {
    let accepted: Socket | undefined;
    const port = await plainServer((socket) => {
      accepted = socket.resume();
    });
    const controller = new AbortController();
    const dialing = dialerOf({ ca }).start(https(port), leaks().watch(controller.signal), null);
    const failed = dialing.promise.catch((error: unknown) => error);
    await until(() => accepted !== undefined, "the connection");
    const reason = new Error("no longer wanted");
    controller.abort(reason);
    expect(await failed).toBe(reason);
    await until(() => accepted?.closed === true, "the close at the server");
  });
});

describe("TLS sessions", () => {
  async function resumed(dialer: Dialer, target: DialTarget): Promise<boolean | undefined> {
    const conduit = await dialed(dialer, target);
    await echo(conduit); // a TLS 1.3 session comes with the first bytes
    await quiet();
    return conduit.facts.tls?.resumed;
  }

  test.each(["TLSv1.2", "TLSv1.3"] as const)("%s: the second dial resumes the first one's session", async (version) => {
    const { port } = await tlsServer();
    const dialer = dialerOf({ ca, maxVersion: version });
    expect(await resumed(dialer, https(port))).toBe(false);
    expect(await resumed(dialer, https(port))).toBe(true);
    expect(await resumed(dialer, https(port))).toBe(true);
  });

  test("a session is not used for another name, host, port or dialer, nor after close()", async () => {
    const { port } = await tlsServer();
    const dialer = dialerOf({ ca });
    expect(await resumed(dialer, https(port))).toBe(false);
    expect(await resumed(dialer, https(port, "localhost", "other.test"))).toBe(false);
    expect(await resumed(dialer, https(port, "127.0.0.1"))).toBe(false);
    expect(await resumed(dialerOf({ ca }), https(port))).toBe(false);
    expect(await resumed(dialerOf({ ca, rejectUnauthorized: false }), https(port))).toBe(false);
    expect(await resumed(dialer, https((await tlsServer()).port))).toBe(false);
    dialer.close();
    expect(await resumed(dialer, https(port))).toBe(false);
  });

  test("a name that the certificate lacks is refused though a session for the same peer is at hand", async () => {
    const { port } = await tlsServer(authority.issue({ names: ["DNS:localhost"] }));
    const dialer = dialerOf({ ca });
    expect(await resumed(dialer, https(port))).toBe(false);
    expect(await failureOf(dialer, https(port, "localhost", "other.test"))).toMatchObject({
      cause: { code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    });
    expect(await resumed(dialer, https(port))).toBe(true);
  });

  test("TlsLayer keeps a hundred, the most recently used; and forgets one that failed", () => {
    const layer = new TlsLayer();
    const peer = (n: number) => ({ host: `${n}.test`, port: 443 });
    const session = (n: number) => layer.handshakeOptions(peer(n)).session?.toString();
    for (let n = 0; n < 100; n++) {
      const socket = new EventEmitter() as TLSSocket; // only its event is used
      layer.watch(socket, peer(n));
      layer.accept(socket, peer(n), "");
      socket.emit("session", Buffer.from(`older ${n}`));
      socket.emit("session", Buffer.from(`session ${n}`));
    }
    expect(session(0)).toBe("session 0");
    const last = new EventEmitter() as TLSSocket; // as above
    layer.watch(last, peer(100));
    layer.accept(last, peer(100), "");
    last.emit("session", Buffer.from("session 100"));
    expect([0, 1, 2, 99, 100].map(session)).toEqual(["session 0", undefined, "session 2", "session 99", "session 100"]);
    layer.forgetSession(peer(2));
    expect(session(2)).toBeUndefined();
  });
});

describe("TLS over streams that are passed in", () => {
  test("over a user's socket: the target is verified", async () => {
    const { port, secured } = await tlsServer();
    const dialer = dialerOf({ ca }, { dial: ({ onread }) => connect({ port, host: "127.0.0.1", onread }) });
    const conduit = await dialed(dialer, https(443));
    await echo(conduit);
    expect(conduit.facts.tls).toMatchObject({ protocol: "TLSv1.3" });
    expect(conduit.facts.remotePort).toBe(port);
    expect(secured[0]?.servername).toBe("localhost");
    expect(await failureOf(dialer, https(443, "wrong.test"))).toMatchObject({
      message: expect.stringContaining(
        "Cannot secure connection to wrong.test:443: its certificate is for other names",
      ),
    });
  });

  test("over() secures any Duplex, as at the far end of a tunnel", async () => {
    const [near, far] = duplexPair();
    const server = new TLSSocket(far, { isServer: true, ...good });
    server.on("data", (chunk) => server.write(chunk));
    closing.push(() => server.destroy());
    const conduit = await dialerOf({ ca }).over(near, https(443), signal(), null).promise;
    closing.push(() => conduit.destroy());
    const sink = await echo(conduit);
    conduit.unref();
    conduit.ref();
    conduit.write("x".repeat(200_000));
    await until(() => sink.bytes.length === 200_004, "all bytes");
  });

  test("over() secures a TLS connection", async () => {
    const inner = await tlsServer();
    const outer = createTlsServer(good, (socket) => {
      const on = connect(inner.port, "127.0.0.1");
      for (const one of [socket, on]) one.on("error", () => {}).on("close", () => (one === on ? socket : on).destroy());
      socket.pipe(on).pipe(socket);
    });
    const port = await listening(outer, new Set());
    const tunnel = connectTls({ port, host: "127.0.0.1", ca, servername: "localhost" });
    await once(tunnel, "secureConnect");
    const conduit = await dialerOf({ ca }).over(tunnel, https(443, "other.test"), signal(), null).promise;
    await echo(conduit);
    expect(inner.secured[0]?.servername).toBe("other.test");
    conduit.destroy();
    await once(tunnel, "close");
  });

  test("over() that fails destroys the stream", async () => {
    const [near, far] = duplexPair();
    far.on("data", () => far.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const error = await dialerOf({ ca })
      .over(near, https(443), signal(), null)
      .promise.catch((error: unknown) => error);
    expect(error).toMatchObject({ message: expect.stringContaining("server gave HTTP response to HTTPS client") });
    await quiet();
    expect(near.destroyed).toBe(true);
    far.destroy();
  });

  test("over() with a signal that is aborted destroys the stream", async () => {
    const [near, far] = duplexPair();
    const reason = new Error("gone");
    const { promise } = dialerOf({ ca }).over(near, https(443), AbortSignal.abort(reason), null);
    expect(await promise.catch((error: unknown) => error)).toBe(reason);
    expect(near.destroyed).toBe(true);
    far.destroy();
  });

  test("dialTls gives a secured connection itself, its handshake done or not", async () => {
    const { port } = await tlsServer();
    const options = { port, host: "127.0.0.1", ca, servername: "localhost" };
    const done = async () => {
      const socket = connectTls(options);
      await once(socket, "secureConnect");
      return socket;
    };
    for (const dialTls of [() => connectTls(options), done]) {
      const dialer = dialerOf({}, { dialTls, dial: () => Promise.reject(new Error("not for https")) });
      const conduit = await dialed(dialer, https(443, "any.test"));
      await echo(conduit);
      expect(conduit.facts.tls).toMatchObject({ protocol: "TLSv1.3" });
      expect(conduit.refusalProvesNothingWritten).toBe(false);
    }
  });
});

describe("checkTlsOptions()", () => {
  test.each([
    ["no object", "on", /Option tls must be an object: it is string/],
    ["null", null, /it is null/],
    ["an array", [], /it is Array/],
    [
      "a name that nobody knows",
      { rejectUnauthorised: false },
      /"tls.rejectUnauthorised": did you mean tls.rejectUnauthorized\?/,
    ],
    ["what is the dialer's", { port: 443 }, /Unknown option "tls.port"/],
    ["a flag that is none", { rejectUnauthorized: 0 }, /tls.rejectUnauthorized must be a boolean: it is number/],
    ["a check that is none", { checkServerIdentity: true }, /tls.checkServerIdentity must be a function/],
    ["a name that is none", { servername: 1 }, /tls.servername must be a string/],
    [
      "what has no effect beside a context",
      { secureContext: {}, ca },
      /Option tls.ca has no effect: tls.secureContext is given/,
    ],
  ])("refuses %s", (_, options, message) => {
    expect(() => checkTlsOptions(options)).toThrow(message);
    expect(() => checkTlsOptions(options)).toThrow(TypeError);
  });

  test("takes what tls.connect takes, and undefined for absent", () => {
    const options = {
      ca,
      cert: good.cert,
      key: good.key,
      minVersion: "TLSv1.2",
      servername: "a.test",
      ciphers: undefined,
    };
    expect(checkTlsOptions(options)).toBe(options);
    expect(() => new TlsLayer(undefined)).not.toThrow();
  });
});
