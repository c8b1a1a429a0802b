/**
 * What a server sends before it was asked, on a connection that is new: bytes that were in the client's kernel at the last
 * poll before the request's first byte are no answer to it (RFC 9112 §9.2). And all that can happen in the poll that a new
 * connection waits for that.
 */

import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { Client, type TraceEvent, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { SteeredClock } from "../support/steered-clock.ts";

const leaks = checkLeaks();

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";

const authority = new CertificateAuthority();

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Does with each connection what it is told, and keeps what it hears. */
async function serverOf(greet: (socket: Socket) => void, server: Server = createServer(), event = "connection") {
  const sockets: Socket[] = [];
  const heard: string[] = [];
  server.on("connection", (socket: Socket) => void sockets.push(socket.on("error", () => {})));
  server.on(event, (socket: Socket) => {
    socket.setNoDelay(true).on("error", () => {});
    socket.on("data", (bytes) => heard.push(bytes.toString("latin1")));
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as { port: number }).port, sockets, heard }; // it listens on TCP
}

function clientOf(options: TransportOptions = {}, clock = new SteeredClock()) {
  const transport = new Transport(options, clock);
  closing.push(() => transport.destroy());
  return { client: new Client({ transport }), transport, clock };
}

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error("It did not fail");
    },
    (error: unknown) => error,
  );

describe("an answer before the request", () => {
  /** Its bytes are in our kernel, unread, when the connection is handed over. */
  const late = (port: number) => async () => {
    const socket = connect({ port, host: "127.0.0.1" }).pause();
    await new Promise((resolve) => socket.once("connect", resolve));
    await turns(20);
    return socket;
  };

  test.each(["our own dialer", "a user's dialer"])("is not taken for its answer, with %s", async (whose) => {
    const server = await serverOf((socket) => socket.write(ANSWER));
    const reasons: string[] = [];
    const trace = (event: TraceEvent) => void (event.type === "connection-closed" && reasons.push(event.reason));
    const dial = whose === "a user's dialer" ? { dial: late(server.port) } : {};
    const { client, transport } = clientOf({ ...dial, trace });
    const error = await failureOf(client.post(`http://127.0.0.1:${server.port}/`, { body: "mine" }));
    expect(error).toMatchObject({
      name: "ConnectionClosedError",
      phase: "connect",
      safeToRetry: true,
      reused: false,
      attempt: 1,
      message: `Cannot send request to 127.0.0.1:${server.port}: the server sent bytes before the request: is this a server of HTTP? (unsolicited-bytes)`,
    });
    await until(() => server.sockets.every((socket) => socket.destroyed), "the connection is closed");
    expect(server.heard).toEqual([]);
    expect(reasons).toEqual(["unsolicited-bytes"]);
    expect(transport.stats()).toMatchObject({ dialing: 0, idle: 0, busy: 0, waiting: 0 });
  });

  test("is not taken over TLS either", async () => {
    const certificate = authority.issue({ names: ["IP:127.0.0.1"] });
    const secured = createTlsServer({ ...certificate, maxVersion: "TLSv1.2" });
    const server = await serverOf((socket) => socket.write(ANSWER), secured, "secureConnection");
    const { client } = clientOf({ tls: { ca: authority.cert } });
    const error = await failureOf(client.get(`https://127.0.0.1:${server.port}/`));
    expect(error).toMatchObject({
      name: "ConnectionClosedError",
      message: expect.stringContaining("unsolicited-bytes"),
    });
    expect(server.heard).toEqual([]);
  });

  test("spoils no other request: the next one dials anew", async () => {
    let greeting = true;
    const server = await serverOf((socket) => {
      if (greeting) socket.write(ANSWER);
      else socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"));
    });
    const { client } = clientOf();
    await failureOf(client.get(`http://127.0.0.1:${server.port}/`));
    greeting = false;
    expect(await (await client.get(`http://127.0.0.1:${server.port}/`)).text()).toBe("yes");
  });
});

test("a server that closes at once is told as such, and hears nothing of the request", async () => {
  const server = await serverOf((socket) => socket.end());
  const { client } = clientOf();
  const error = await failureOf(client.get(`http://127.0.0.1:${server.port}/`));
  expect(error).toMatchObject({
    name: "ConnectionClosedError",
    safeToRetry: true,
    message: expect.stringContaining("the server closed the connection before the request (server-closed-idle)"),
  });
  expect(server.heard).toEqual([]);
});

describe("in the poll that a new connection waits", () => {
  const answering = () =>
    serverOf((socket) => socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")));

  /** A call whose connection stands; `then` runs when its turn is asked for. */
  async function waiting(then: (transport: Transport) => void) {
    const server = await answering();
    const { client, transport, clock } = clientOf();
    let asked = 0;
    clock.onTurnAsked = () => {
      if (++asked === 1) queueMicrotask(() => then(transport));
    };
    return { server, client, transport, url: `http://127.0.0.1:${server.port}/` };
  }

  test("an abort ends the call, and the connection serves the next", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const { client, transport, server, url } = await waiting(() => controller.abort(reason));
    expect(await failureOf(client.get(url, { signal: leaks().watch(controller.signal) }))).toBe(reason);
    expect(await (await client.get(url)).text()).toBe("yes");
    expect(transport.stats()).toMatchObject({ dialed: 1, idle: 1 });
    expect(server.sockets).toHaveLength(1);
  });

  test.each(["close", "destroy"] as const)("%s() of the transport ends call and connection", async (how) => {
    let closed: Promise<void> | undefined;
    const { client, transport, server, url } = await waiting((t) => {
      closed = t[how]();
    });
    expect(await failureOf(client.get(url))).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
    await closed;
    await until(() => server.sockets.every((socket) => socket.destroyed), "the connection is closed");
    expect(transport.stats()).toMatchObject({ dialing: 0, busy: 0, idle: 0, dialed: 1 });
    expect(server.heard).toEqual([]);
  });

  test("closeIdleConnections() leaves a connection alone that a call waits for", async () => {
    const { client, url } = await waiting((transport) => transport.closeIdleConnections());
    expect(await (await client.get(url)).text()).toBe("yes");
  });

  test("a reset is told, and nothing is sent", async () => {
    const server = await serverOf((socket) => socket.resetAndDestroy());
    const { client } = clientOf();
    const error = await failureOf(client.get(`http://127.0.0.1:${server.port}/`));
    // It may be there before the connection was seen to stand.
    expect(error).toMatchObject({
      code: expect.stringMatching(/^ERR_HTTP_(CONNECTION_CLOSED|DIAL)$/),
      safeToRetry: true,
    });
    expect(server.heard).toEqual([]);
  });
});
