/** A trace listener may destroy the transport at any event: the call ends, and no socket outlives it. */

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { TransportClosedError } from "../../lib/errors.ts";
import { Request } from "../../lib/message/request.ts";
import type { TraceDetail } from "../../lib/trace.ts";
import { Transport } from "../../lib/transport.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

/** Answers every request; `gone` settles when every socket that was accepted has closed. */
async function answering() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number }; // it listens on TCP
  const gone = async () => {
    // A connection that was begun before the probe is accepted before it.
    const probe = connect(port, "127.0.0.1");
    await once(server, "connection");
    probe.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { port, gone };
}

const events: TraceDetail["type"][] = [
  "call-start",
  "pool-wait",
  "dial-start",
  "dns-start",
  "dns-done",
  "connect-start",
  "connect-done",
  "dial-done",
  "pool-assigned",
  "request-write",
  "request-head",
  "request-sent",
  "first-byte",
  "head",
];

test.each(events.flatMap((type) => [[type, "localhost"] as const, [type, "127.0.0.1"] as const]))(
  "Transport.destroy() in a listener at %s of %s fails the call, and leaves no socket",
  async (type, host) => {
    if (type.startsWith("dns-") && host !== "localhost") return; // an address is not looked up
    const { port, gone } = await answering();
    let closing: Promise<void> | null = null;
    const transport: Transport = new Transport({
      trace(event) {
        if (event.type === type) closing ??= transport.destroy();
      },
    });
    const call = transport.roundTrip(new Request(`http://${host}:${port}/`));
    await expect(call).rejects.toBeInstanceOf(TransportClosedError);
    await closing;
    await gone();
  },
);
