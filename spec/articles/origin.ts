/**
 * The server of the experiments, a process of its own: node:http, so that it shares no code and no event loop with what
 * it measures. Told what to do over IPC; ends with the process that started it.
 *
 * It opens one port for each load, so that neither counts nor TIME_WAIT sockets of one run into the next.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { clearTimeout, setTimeout as startTimer } from "node:timers";
import { setTimeout } from "node:timers/promises";
import type { Command, Counts, ListenOptions } from "./origin-process.ts";

interface Port {
  readonly server: Server;
  readonly counts: { -readonly [K in keyof Counts]: Counts[K] };
}

const ports = new Map<number, Port>();

async function listen(options: ListenOptions): Promise<number> {
  const counts = { accepted: 0, answered: 0, incomplete: 0 };
  const server = createServer((request, response) => {
    answer(request, response, options, counts).catch(() => request.destroy());
    if (options.idleMs > 0) closeWhenIdle(request, response, options.idleMs);
  });
  server.on("connection", () => counts.accepted++);
  // Longer than any experiment.
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 1024, resolve));
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  ports.set(port, { server, counts });
  return port;
}

/** By hand: node:http's own time limit is a second longer than it is told. */
function closeWhenIdle(request: IncomingMessage, response: ServerResponse, idleMs: number): void {
  const { socket } = request;
  response.once("finish", () => {
    const timer = startTimer(() => socket.end(), idleMs);
    socket.once("data", () => clearTimeout(timer));
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ListenOptions,
  counts: Port["counts"],
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (options.expect !== null && !body.equals(Buffer.from(options.expect))) counts.incomplete++;
  const [least, most] = options.delayMs;
  if (most > 0) await setTimeout(least + Math.random() * (most - least));
  const size = /^\/bytes\/(\d+)$/.exec(request.url ?? "");
  const bytes = size === null ? Buffer.from(`{"got":${body.length}}\n`) : Buffer.alloc(Number(size[1]), "x");
  counts.answered++;
  // "Connection" by hand keeps node:http from telling its time limit in Keep-Alive: a server that says nothing is the
  // harder case for a client.
  response.writeHead(200, { Connection: "keep-alive", "Content-Length": bytes.length, "Cache-Control": "max-age=60" });
  response.end(bytes);
}

async function obey(command: Command): Promise<unknown> {
  if (command.do === "listen") return await listen(command.options);
  const port = ports.get(command.port);
  if (port === undefined) throw new Error(`no such port: ${command.port}`);
  if (command.do === "counts") return port.counts;
  port.server.closeIdleConnections();
  return null;
}

process.on("message", (message: { id: number; command: Command }) => {
  obey(message.command).then(
    (result) => process.send?.({ id: message.id, result }),
    (error: Error) => process.send?.({ id: message.id, error: error.message }),
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true });
