/**
 * What the examples talk to, on ports of 127.0.0.1: an origin in the clear and one over TLS that also speaks HTTP/2, and a
 * proxy that leads every CONNECT to an echo. And the files that they read.
 */

import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { CertificateAuthority } from "../support/certs.ts";

export interface World extends AsyncDisposable {
  /** What a child process needs to live in it. */
  readonly env: Readonly<Record<string, string>>;
  /** Arguments of node. */
  readonly args: readonly string[];
  /** Files of the folder that examples run in. */
  readonly files: Readonly<Record<string, string>>;
}

function answer(req: IncomingMessage | Http2ServerRequest, res: ServerResponse | Http2ServerResponse): void {
  req.resume();
  req.on("end", () => {
    res.statusCode = req.method === "POST" ? 201 : 200;
    res.setHeader("content-type", "application/json");
    res.setHeader("cache-control", "max-age=60");
    res.end('{"name":"x"}\n');
  });
}

/** Says back what it hears. */
function echo(socket: Duplex): void {
  socket.on("error", () => {}); // examples end as they like
  socket.pipe(socket);
}

export async function openWorld(): Promise<World> {
  const authority = new CertificateAuthority();
  const names = ["DNS:bank.example", "DNS:example.org"];
  const origin = http.createServer(answer);
  const secure = createSecureServer({ ...authority.issue({ names }), allowHTTP1: true }, answer);
  const proxy = http.createServer(answer);
  origin.on("upgrade", (_, socket: Duplex) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    echo(socket);
  });
  proxy.on("connect", (_, socket: Duplex) => {
    socket.write("HTTP/1.1 200 Connected\r\n\r\n");
    echo(socket);
  });
  const servers: Server[] = [origin, secure, proxy];
  const sockets = new Set<Duplex>();
  for (const server of servers) {
    server.on("connection", (socket: Duplex) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const [plain, tls, proxied] = servers.map((server) => (server.address() as AddressInfo).port); // TCP, and listening
  const alice = authority.issue({ names: ["DNS:alice"] });
  return {
    env: { EXAMPLE_PORTS: JSON.stringify({ 80: plain, 8080: plain, 443: tls, 3128: proxied }) },
    args: ["--import", fileURLToPath(new URL("./preload.mjs", import.meta.url))],
    files: { "ca.pem": authority.cert, "alice.pem": alice.cert, "alice.key": alice.key },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(
        servers.map(async (server) => {
          server.close();
          await once(server, "close");
        }),
      );
    },
  };
}
