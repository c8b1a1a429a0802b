/**
 * HTTP/2 beside what else a transport does: TLS identities and pins, connections that are handed over, bodies that are
 * looked at first, bytes that come before the request, listeners that end it all.
 */

import { once } from "node:events";
import type { Http2ServerRequest } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { h2 } from "../../lib/h2/index.ts";
import { ConnectionClosedError, LocalProtocolError, Request, TlsError, Transport } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { type H2Peer, h2Ca, h2Certificate, h2Peer } from "../support/h2-peer.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";

checkLeaks();

const clients = new CertificateAuthority("Authority of clients");
const alice = clients.issue({ names: ["DNS:alice.test"] });
const bob = clients.issue({ names: ["DNS:bob.test"] });
/** Of servers that ask who the client is. */
const ASKING = { ca: clients.cert, requestCert: true, rejectUnauthorized: false };
const WRONG_PIN = `sha256/${Buffer.alloc(32).toString("base64")}`;

/** Switches protocols when asked to, and then says who the client is, and whatever that says. */
async function switchingPeer(): Promise<H2Peer> {
  const peer = await h2Peer(undefined, { server: ASKING });
  peer.server.on("upgrade", (_request: Http2ServerRequest, socket: Duplex) => {
    socket.on("error", () => {});
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n${clientOf(socket)}, `,
    );
    socket.pipe(socket);
  });
  return peer;
}

const ECHO = { headers: { Upgrade: "echo" } };

function clientOf(socket: Duplex): string {
  return String((socket as TLSSocket).getPeerCertificate().subject?.CN ?? "nobody"); // a TLSSocket or its like
}

async function read(stream: Duplex, length: number): Promise<string> {
  let text = "";
  while (text.length < length) text += String((await once(stream, "data"))[0]);
  return text;
}

async function connectionOf(peer: H2Peer, init: object = {}) {
  const response = await peer.client.get(peer.url(), init);
  await response.text();
  return [response.httpVersion, response.connection?.id] as const;
}

test("a connection is shared within one TLS identity, and no further", async () => {
  await using peer = await h2Peer(
    (stream) => {
      stream.respond({ ":status": 200 });
      stream.end(clientOf(stream.session!.socket)); // it stands
    },
    { server: ASKING },
  );
  const said = async (init = {}) => {
    const response = await peer.client.get(peer.url(), init);
    return [response.httpVersion, await response.text()];
  };
  const [nobody, a, b] = await Promise.all([said(), said({ tls: alice }), said({ tls: bob })]);
  await Promise.all([said({ tls: { ...alice } }), said({ tls: alice }), said({ tls: bob }), said()]);
  expect([nobody[0], a[0], b[0], peer.connections]).toEqual(["2", "2", "2", 3]);
  expect(new Set([nobody[1], a[1], b[1]]).size).toBe(3);
  expect(peer.transport.stats()).toMatchObject({ dialed: 3, idle: 3, waiting: 0 });
});

test("what a call says of ALPN is refused, since nextProtocols says it", async () => {
  await using peer = await h2Peer();
  const call = peer.client.get(peer.url(), { tls: { ALPNProtocols: ["http/1.1"] } });
  await expect(call).rejects.toThrow("nextProtocols and tls.ALPNProtocols exclude each other");
  expect(peer.connections).toBe(0);
});

test("pins are judged before HTTP/2 begins, a call's own and on a resumed session too", async () => {
  await using peer = await h2Peer();
  expect((await connectionOf(peer))[0]).toBe("2");
  peer.transport.closeIdleConnections();
  const call = peer.client.get(peer.url(), { tls: { pins: [WRONG_PIN] } });
  await expect(call).rejects.toThrow(TlsError);
  await expect(call).rejects.toMatchObject({ pins: { expected: [WRONG_PIN] } });
  expect([peer.streams.length, peer.transport.stats().dialsFailed]).toEqual([1, 1]);
});

test.each([
  ["the transport's", {}, "nobody"],
  ["its own", { tls: alice }, "leaf1"],
])("an Upgrade is handed over beside a shared connection, with TLS options that are %s", async (_, own, who) => {
  await using peer = await switchingPeer();
  const [version, id] = await connectionOf(peer, own);
  const response = await peer.client.get(peer.url(), { ...ECHO, ...own });
  expect([response.status, response.framing, response.connection?.tls?.alpn]).toEqual([101, "tunnel", "http/1.1"]);
  const duplex = response.duplex();
  duplex.write("there");
  expect(await read(duplex, who.length + 7)).toBe(`${who}, there`);
  expect(peer.transport.stats()).toMatchObject({ handedOver: 1, busy: 0, idle: 1, waiting: 0, dialed: 2 });
  expect([version, ...(await connectionOf(peer, own))]).toEqual(["2", "2", id]);
  duplex.destroy();
  await until(() => peer.transport.stats().handedOver === 0, "it was let go");
});

test("an Upgrade goes over a held connection that speaks HTTP/1.1, and that is gone then for its holder", async () => {
  const server = createHttpsServer({ ...h2Certificate, ALPNProtocols: ["http/1.1"] });
  let connections = 0;
  server.on("secureConnection", () => connections++);
  server.on("upgrade", (_request, socket: Duplex) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`; // it listens on TCP
  await using transport = new Transport({ tls: { ca: h2Ca }, nextProtocols: { h2: h2() } });
  let changes = 0;
  const conn = await transport.newClientConn(url, { onStateChange: () => void changes++ });
  const response = await conn.roundTrip(new Request(url, ECHO));
  const next = conn.roundTrip(new Request(url));
  await expect(next).rejects.toThrow("the connection that was held is gone");
  expect([conn.available, conn.inFlight, changes]).toEqual([0, 0, 1]);
  expect(conn.error).toMatchObject({ message: expect.stringContaining("an answer handed it over") });
  conn.close();
  expect(await read(response.duplex(), 2)).toBe("hi"); // it is no longer the holder's to close
  response.close();
  expect(connections).toBe(1);
  await new Promise((resolve) => server.close(resolve));
});

test("a held connection that speaks HTTP/2 refuses Upgrade and CONNECT, and other TLS options than its own", async () => {
  await using peer = await h2Peer();
  const conn = await peer.transport.newClientConn(peer.url(), { tls: alice });
  await expect(conn.roundTrip(new Request(peer.url(), ECHO))).rejects.toThrow("HTTP/2 has no Upgrade");
  await expect(conn.roundTrip(new Request(peer.url(), { method: "CONNECT" }))).rejects.toThrow(LocalProtocolError);
  for (const tls of [bob, { pins: [WRONG_PIN] }, {}]) {
    await expect(conn.roundTrip(new Request(peer.url()), { tls })).rejects.toMatchObject({ field: "tls" });
  }
  const response = await conn.roundTrip(new Request(peer.url()), { tls: { ...alice } });
  expect([response.httpVersion, await response.text()]).toEqual(["2", "hello /"]);
  expect([peer.connections, peer.streams.length]).toEqual([1, 1]);
  conn.close();
});

test("a body that is looked at first and empty is none; one that is not goes out whole, and is opened once", async () => {
  const seen: unknown[] = [];
  await using peer = await h2Peer(async (stream, headers) => {
    const { endAfterHeaders } = stream;
    let body = "";
    for await (const chunk of stream) body += chunk;
    seen.push([headers["content-length"], endAfterHeaders, body]);
    stream.respond({ ":status": 200 });
    stream.end();
  });
  let opened = 0;
  async function* yields(...chunks: string[]) {
    opened++;
    yield* chunks;
  }
  const bodies = [yields(), () => yields(), yields("a", "b"), () => yields("a", "b")];
  for (const body of bodies) await (await peer.client.request("DELETE", peer.url(), { body })).text();
  expect(seen).toEqual([
    [undefined, true, ""],
    [undefined, true, ""],
    [undefined, false, "ab"],
    [undefined, false, "ab"],
  ]);
  expect(opened).toBe(4);
});

test("bytes before the request are no answer where ALPN chose HTTP/1.1, for none of those who wait", async () => {
  const sockets: Socket[] = [];
  const heard: unknown[] = [];
  const server = createTlsServer({ ...h2Certificate, ALPNProtocols: ["http/1.1"], maxVersion: "TLSv1.2" }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {}).on("data", (chunk) => heard.push(chunk));
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`; // it listens on TCP
  await using transport = new Transport({ tls: { ca: h2Ca }, nextProtocols: { h2: h2() } });
  const calls = [1, 2, 3].map(() => transport.roundTrip(new Request(url)));
  for (const call of calls) {
    await expect(call).rejects.toThrow(ConnectionClosedError);
    await expect(call).rejects.toThrow(/unsolicited-bytes/);
  }
  expect(transport.stats()).toMatchObject({ dialing: 0, busy: 0, idle: 0, waiting: 0 });
  await until(() => sockets.every((socket) => socket.destroyed), "all are closed");
  expect(heard).toEqual([]);
  await new Promise((resolve) => server.close(resolve));
});

test.each(["destroy", "close"] as const)("a listener that hears dial-done may %s the transport", async (how) => {
  let ended: Promise<void> | null = null;
  await using peer: H2Peer = await h2Peer(undefined, {
    trace: ({ type }) => {
      if (type === "dial-done") ended = peer.transport[how]();
    },
  });
  const calls = [1, 2].map(() => peer.client.get(peer.url()));
  for (const call of calls) await expect(call).rejects.toMatchObject({ name: "TransportClosedError" });
  await ended;
  expect(peer.transport.stats()).toMatchObject({
    dialing: 0,
    busy: 0,
    idle: 0,
    waiting: 0,
    closed: { "dial-unwanted": 1 },
  });
  expect(peer.streams.length).toBe(0);
});
