/** What Go's own tests say about TLS, on this library. Each title ends with the Go test's name. */

import { connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { Client, type TraceEvent, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { type RawOrigin, rawOrigin } from "../support/raw-proxy.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();

const authority = new CertificateAuthority();
const { cert: ca } = authority;
const example = authority.issue({ names: ["DNS:example.com", "IP:127.0.0.1"] });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function originOf(tls?: Parameters<typeof rawOrigin>[0]): Promise<RawOrigin> {
  const origin = await rawOrigin(tls);
  closing.push(() => origin[Symbol.asyncDispose]());
  return origin;
}

function clientOf(options: TransportOptions, clock?: SteeredClock): { client: Client; transport: Transport } {
  const transport = clock === undefined ? new Transport(options) : new Transport(options, clock);
  closing.push(() => transport.destroy());
  return { client: new Client({ transport }), transport };
}

async function listening(server: Server): Promise<number> {
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => void sockets.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as { port: number }).port; // it listens on TCP
}

async function handshakeTimesOut(options: (port: number) => TransportOptions): Promise<void> {
  const origin = await originOf(); // never speaks TLS: it waits for the end of a head
  const clock = new SteeredClock();
  const { client } = clientOf({ tlsHandshakeTimeout: 250, ...options(origin.port) }, clock);
  const call = client.get(`https://127.0.0.1:${origin.port}/`).catch((error: unknown) => error);
  await until(() => origin.sockets.length === 1, "the connection stands");
  await turns(20);
  await clock.advance(250);
  expect(await call).toMatchObject({ name: "TimeoutError", phase: "tls", option: "tlsHandshakeTimeout", limit: 250 });
  await until(() => origin.sockets[0]?.destroyed === true, "it is closed");
}

test("a handshake that does not end is a time-out of phase tls [TestTransportTLSHandshakeTimeout/dial]", async () => {
  await handshakeTimesOut(() => ({}));
});

test("the same over a connection of a dialer's [TestTransportTLSHandshakeTimeout/dialer hook]", async () => {
  await handshakeTimesOut((port) => ({ dial: ({ onread }) => connect({ port, host: "127.0.0.1", onread }) }));
});

test("a server that closes after an answer of keep-alive: every answer is whole, a request after it goes through [TestTLSServerClosesConnection]", async () => {
  const server = createTlsServer(example, (socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.setNoDelay(true);
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfoo");
      socket.end();
    });
  });
  const port = await listening(server);
  const { client } = clientOf({ tls: { ca } });
  for (let round = 0; round < 20; round++) {
    for (let request = 0; request < 2; request++) {
      // The close comes with the answer, so it is seen before the connection would be used again.
      const response = await client.get(`https://127.0.0.1:${port}/`);
      expect(await response.text()).toBe("foo");
    }
  }
});

async function dialsTls(dial: (port: number) => TLSSocket | Promise<TLSSocket>): Promise<void> {
  const origin = await originOf(example);
  let dialed = 0;
  const { client } = clientOf({
    dialTls: () => {
      dialed++;
      return dial(origin.port);
    },
  });
  const response = await client.get("https://example.com/");
  expect(await response.text()).toBe("the origin saw GET / HTTP/1.1");
  expect(dialed).toBe(1);
  expect(response.connection?.tls).toMatchObject({ protocol: "TLSv1.3", resumed: false });
}

test("dialTls is used for https, no TLS comes on top, and its facts are there [TestTransportDialTLS]", async () => {
  await dialsTls((port) => connectTls({ port, host: "127.0.0.1", ca, servername: "example.com" }));
});

test("dialTls may take its time, and gets a signal [TestTransportDialTLSContext]", async () => {
  await dialsTls(async (port) => {
    const socket = connectTls({ port, host: "127.0.0.1", ca, servername: "example.com" });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    return socket;
  });
  const signals: AbortSignal[] = [];
  const { client, transport } = clientOf({
    dialTls: (_, signal) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    },
  });
  const call = client.get("https://example.com/").catch((error: unknown) => error);
  await until(() => signals.length === 1, "the dialer was asked");
  await transport.destroy();
  expect(await call).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
  expect(signals[0]?.aborted).toBe(true);
});

test("a dialTls that comes with another protocol after its call was cancelled harms nobody [TestNoCrashReturningTransportAltConn]", async () => {
  const port = await listening(createTlsServer({ ...example, ALPNProtocols: ["foo"] }));
  let give = () => {};
  const asked = new Promise<void>((resolve) => {
    give = resolve;
  });
  const given: TLSSocket[] = [];
  const { client, transport } = clientOf({
    keepAlive: false,
    dialTls: async () => {
      const socket = connectTls({ port, host: "127.0.0.1", ca, servername: "example.com", ALPNProtocols: ["foo"] });
      given.push(socket);
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      await asked;
      return socket;
    },
  });
  const controller = new AbortController();
  const call = client
    .get("https://example.com/", { signal: leaks().watch(controller.signal) })
    .catch((error: unknown) => error);
  await until(() => given[0]?.alpnProtocol === "foo", "its handshake is done");
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await call).toBe(reason);
  give();
  await transport.close();
  await until(() => given[0]?.destroyed === true, "its connection is closed");
});

/** The steps of a dial that have to do with TLS. */
function traced(): { steps: string[]; trace: (event: TraceEvent) => void } {
  const steps: string[] = [];
  const watched = ["connect-done", "tls-done", "dial-done", "dial-failed"];
  return { steps, trace: ({ type }) => void (watched.includes(type) && steps.push(type)) };
}

test("a certificate that is not trusted: the dial's steps are traced once each, with the error [TestTransportEventTraceTLSVerify]", async () => {
  const origin = await originOf(example);
  const { steps, trace } = traced();
  const errors: unknown[] = [];
  const { client } = clientOf({
    trace: (event) => {
      trace(event);
      if (event.type === "dial-failed") errors.push(event.error);
    },
  });
  const error = await client.get(origin.url()).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ name: "TlsError", cause: { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" } });
  expect(steps).toEqual(["connect-done", "dial-failed"]);
  expect(errors).toEqual([error]);
});

test("a handshake is traced, and has its time [TestTLSHandshakeTrace]", async () => {
  const origin = await originOf(example);
  const { steps, trace } = traced();
  const { client } = clientOf({ tls: { ca }, trace });
  const response = await client.get(origin.url());
  await response.text();
  expect(steps).toEqual(["connect-done", "tls-done", "dial-done"]);
  expect(response.timings?.tls).toBeGreaterThanOrEqual(response.timings?.connect ?? Number.NaN);
});

test("rejectUnauthorized false takes what is not trusted, and by default nothing is sent [TestClientInsecureTransport]", async () => {
  const origin = await originOf(authority.issue({ names: ["DNS:example.com"], selfSigned: true }));
  const insecure = clientOf({ tls: { rejectUnauthorized: false } });
  expect((await insecure.client.get(origin.url())).status).toBe(200);
  await expect(clientOf({}).client.get(origin.url())).rejects.toMatchObject({ name: "TlsError" });
  expect(origin.heads).toHaveLength(1);
});

test("tls.servername that the certificate has is sent and verified [TestClientWithCorrectTLSServerName]", async () => {
  const origin = await originOf(example);
  const { client } = clientOf({ tls: { ca, servername: "example.com" } });
  expect((await client.get(origin.url())).status).toBe(200);
  expect(origin.sockets.map((socket) => (socket as TLSSocket & { servername?: string }).servername)).toEqual([
    "example.com",
  ]);
});

test("tls.servername that the certificate lacks fails, naming both [TestClientWithIncorrectTLSServerName]", async () => {
  const origin = await originOf(example);
  const { client } = clientOf({ tls: { ca, servername: "badserver" } });
  const error = await client.get(origin.url()).catch((failure: unknown) => failure);
  expect(error).toMatchObject({
    name: "TlsError",
    message: expect.stringContaining("its certificate is for other names"),
  });
  const { message } = (error as Error).cause as Error;
  expect(message).toContain("badserver");
  expect(message).toContain("example.com");
  expect(origin.heads).toEqual([]);
});

test("tls.servername is verified in place of the URL's host [TestTransportUsesTLSConfigServerName]", async () => {
  const origin = await originOf(example);
  const { client } = clientOf({
    tls: { ca, servername: "example.com" },
    dial: ({ onread }) => connect({ port: origin.port, host: "127.0.0.1", onread }),
  });
  expect((await client.get("https://some-other-host.tld/")).status).toBe(200);
});

test("a response tells the protocol and the cipher that were chosen [TestResponseSetsTLSConnectionState]", async () => {
  const origin = await originOf(example);
  const { client } = clientOf({
    tls: { ca, maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" },
  });
  const { connection } = await client.get(origin.url());
  expect(connection?.tls).toEqual({
    protocol: "TLSv1.2",
    cipher: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    alpn: null,
    resumed: false,
  });
});

test("a server of plain HTTP is told as such [TestHTTPSClientDetectsHTTPServer]", async () => {
  const server = createServer((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
  });
  const port = await listening(server);
  const { client } = clientOf({});
  await expect(client.get(`https://127.0.0.1:${port}/`)).rejects.toThrow("server gave HTTP response to HTTPS client");
});
