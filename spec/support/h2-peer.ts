/**
 * A peer that speaks HTTP/2, or HTTP/1.1 as ALPN has it, and a client of this library that offers both. Over loopback;
 * leaves nothing behind.
 */

import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { type H2Options, h2 } from "../../lib/h2/index.ts";
import { Client, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "./certs.ts";

const authority = new CertificateAuthority();
const certificate = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });

export type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, index: number) => void;

export interface H2PeerOptions extends TransportOptions {
  readonly h2?: H2Options;
  readonly server?: SecureServerOptions;
  readonly clock?: Clock;
  /** What becomes of a request over HTTP/1.1. */
  readonly onHttp1?: (request: Http2ServerRequest, response: Http2ServerResponse) => void;
}

export class H2Peer {
  readonly client: Client;
  readonly transport: Transport;
  readonly server: Http2SecureServer;
  readonly sessions: ServerHttp2Session[] = [];
  readonly streams: ServerHttp2Stream[] = [];
  /** Connections accepted, whatever they speak. */
  connections = 0;
  readonly #sockets = new Set<Socket>();

  constructor(server: Http2SecureServer, transport: Transport, onStream: OnStream) {
    this.server = server;
    this.transport = transport;
    this.client = new Client({ transport });
    // Not "connection": the sockets below TLS have lost their handles to those above.
    server.on("secureConnection", (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session) => {
      this.sessions.push(session);
      session.on("error", () => {});
    });
    server.on("sessionError", () => {});
    server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      onStream(stream, headers, this.streams.push(stream) - 1);
    });
  }

  get authority(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`; // it listens on TCP
  }

  url(path = "/"): string {
    return `https://${this.authority}${path}`;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport.destroy();
    for (const session of this.sessions) session.destroy();
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Answers 200 with a text. */
export const hello: OnStream = (stream, headers) => {
  stream.respond({ ":status": 200, "content-type": "text/plain" });
  stream.end(`hello ${headers[":path"]}`);
};

/** Starts a peer. Use it with `await using`. */
export async function h2Peer(onStream: OnStream = hello, options: H2PeerOptions = {}): Promise<H2Peer> {
  const { h2: h2Options, server: serverOptions, clock = systemClock, onHttp1, ...transportOptions } = options;
  const server = createSecureServer({ ...certificate, allowHTTP1: true, ...serverOptions });
  // With such a listener node:http2 takes part in every stream, trailers and expectations included.
  if (onHttp1 !== undefined) {
    server.on("request", (request, response) => {
      if (request.httpVersion !== "2.0") onHttp1(request, response);
    });
  }
  const nextProtocols = { h2: h2(h2Options) };
  const transport = new Transport({ tls: { ca: authority.cert }, nextProtocols, ...transportOptions }, clock);
  const peer = new H2Peer(server, transport, onStream);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return peer;
}

/** What its own client trusts, and a certificate for other servers. */
export const h2Ca = authority.cert;
export const h2Certificate = certificate;
