/**
 * Peers on real sockets: a listener on a loopback port or a unix path, so that any client can be tested, and so that this
 * library's is tested over the kernel. Lives until it is closed; then no socket of it is left.
 */

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import type { Clock } from "../clock.ts";
import { SocketConduit } from "../conn/socket-conduit.ts";
import { type PeerChannel, PeerConn } from "./peer-conn.ts";

class SocketChannel extends SocketConduit implements PeerChannel {
  readonly #socket: Socket;

  constructor(socket: Socket, secured: boolean, clock: Clock) {
    super({ socket, kind: secured ? "tls" : "plain", reader: null, listensToData: true, clock });
    this.#socket = socket;
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

/** A peer's end of a real connection. */
export class SocketPeerConn extends PeerConn {
  /** The socket beneath, for what no step can say. */
  readonly socket: Socket;
  /** Resolves when the socket is wholly closed: one of TLS ends both directions at once, by itself. */
  override readonly closed: Promise<void>;

  constructor(socket: Socket, secured: boolean, clock: Clock) {
    socket.setNoDelay(true);
    super(new SocketChannel(socket, secured, clock), clock);
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
  }
}

export interface LoopbackOptions {
  /** Serve TLS with these options. */
  readonly tls?: TlsOptions | undefined;
  /** Listen on this unix socket instead of a port of 127.0.0.1. */
  readonly path?: string | undefined;
}

/** Where connections are accepted. */
export interface Acceptor {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Listens; resolves when connections can come. */
export async function listenOnLoopback(
  { tls, path }: LoopbackOptions,
  clock: Clock,
  accepted: (conn: SocketPeerConn) => void,
): Promise<Acceptor> {
  const sockets = new Set<Socket>();
  const server: Server = tls === undefined ? createServer({ allowHalfOpen: true }) : createTlsServer(tls);
  // Handshakes that fail leave a socket that no one else has.
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // resets are part of what is scripted
    socket.on("close", () => sockets.delete(socket));
  });
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    accepted(new SocketPeerConn(socket, tls !== undefined, clock));
  });
  if (tls !== undefined) server.on("tlsClientError", () => {});
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  const address = server.address();
  return {
    host: "127.0.0.1",
    port: address === null || typeof address === "string" ? 0 : address.port,
    async close() {
      const gone = [...sockets].map((socket) => new Promise<void>((resolve) => socket.on("close", () => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(gone);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
