/** A dialer of a user may hand its stream over paused, as one does that has spoken to a proxy on it first. */

import { once } from "node:events";
import { connect, createServer } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { Request } from "../../lib/message/request.ts";
import { Transport, type TransportStats } from "../../lib/transport.ts";

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
});
afterEach(() => server.close());

test.each([
  ["a socket", false, false],
  ["a socket that reads through onread", true, false],
  ["a Duplex", false, true],
])("option dial: %s that is paused is read all the same", async (_, passesOnread, wraps) => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number }; // it listens on TCP
  const transport = new Transport({
    responseHeaderTimeout: 2_000,
    async dial({ host, onread }) {
      const socket = connect({ host, port, ...(passesOnread ? { onread } : {}) });
      await once(socket, "connect");
      const stream = wraps ? Duplex.from({ readable: socket, writable: socket }) : socket;
      return stream.pause();
    },
  });
  for (let i = 0; i < 2; i++) {
    const response = await transport.roundTrip(new Request(`http://127.0.0.1:${port}/`));
    expect(await response.text()).toBe("ok");
  }
  expect(transport.stats()).toMatchObject({ dialed: 1, idle: 1 } satisfies Partial<TransportStats>);
  await transport.close();
});
