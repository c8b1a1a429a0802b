/**
 * A server of Node's own for specs of whole libraries: it counts the connections that it accepted, knows which are open, and
 * is gone at the end of the spec's scope.
 */

import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TlsOptions } from "node:tls";

export interface CountingServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Those of them that are open. */
  readonly open: number;
  /** Requests that came, as `METHOD /target`. */
  readonly requests: readonly string[];
  readonly server: Server;
  /** Destroys every connection. */
  cut(): void;
  /** Resolves when no more than `n` connections are open. */
  openAtMost(n: number): Promise<void>;
}

export async function countingServer(answer: RequestListener, tls?: TlsOptions): Promise<CountingServer> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const gone = new EventEmitter();
  let accepted = 0;
  const serve: RequestListener = (req, res) => {
    requests.push(`${req.method} ${req.url}`);
    answer(req, res);
  };
  // Of https it is a server of another class with all that is used here.
  const server = tls === undefined ? createServer(serve) : (createTlsServer(tls, serve) as unknown as Server);
  server.keepAliveTimeout = 0;
  server.on("connection", (socket: Socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("error", () => {}); // resets are part of what is tested
    socket.on("close", () => {
      sockets.delete(socket);
      gone.emit("close");
    });
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    port,
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size;
    },
    requests,
    server,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async openAtMost(n) {
      while (sockets.size > n) await once(gone, "close");
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The whole body of a request. */
export async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}
