/**
 * A SOCKS5 proxy for specs, spoken to by the package `socks`: takes anybody, leads to the named port of the loopback
 * whatever host is named, and is gone at the end of the spec's scope. RFC 1928.
 */

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface SocksProxy extends AsyncDisposable {
  readonly url: string;
  /** What it was asked for, as `host:port`. */
  readonly asked: readonly string[];
  readonly sockets: readonly Socket[];
}

/** @param silent it takes the request and never answers */
export async function socksProxy({ silent = false } = {}): Promise<SocksProxy> {
  const asked: string[] = [];
  const sockets: Socket[] = [];
  const keep = (socket: Socket) => {
    sockets.push(socket);
    return socket.setNoDelay(true).on("error", () => {});
  };
  const server = createServer((client) => {
    keep(client).once("data", () => {
      client.write(Buffer.from([5, 0]));
      client.once("data", (request) => {
        const isName = request[3] === 3;
        const end = isName ? 5 + request.readUInt8(4) : 8;
        const host = isName ? request.subarray(5, end).toString() : request.subarray(4, end).join(".");
        const port = request.readUInt16BE(end);
        asked.push(`${host}:${port}`);
        if (silent) return;
        const upstream = keep(connect(port, "127.0.0.1"));
        upstream.once("connect", () => {
          client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          client.pipe(upstream).pipe(client);
        });
        upstream.on("close", () => client.destroy());
        client.on("close", () => upstream.destroy());
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens, so it has a port");
  return {
    url: `socks5://127.0.0.1:${address.port}`,
    asked,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
