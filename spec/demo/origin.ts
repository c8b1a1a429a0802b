/**
 * A small server to try the client against: a process of its own, on a port that the system chooses, told to its parent
 * over IPC or else on stdout. Ends with its parent.
 *
 *     /             a small JSON object
 *     /bytes/N      N bytes, with their length
 *     /chunked      a few chunks, a moment apart, and trailers
 *     /delay/MS     an answer after MS milliseconds
 *     /echo         the request's body and fields, as JSON
 *     /early-hints  a 103 before the answer
 *     /close        an answer that closes its connection
 *
 * node:http on purpose: what the client is shown to work with is not its author's own idea of a server.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";

const BYTES_MAX = 1024 ** 3;
const DELAY_MAX_MS = 60_000;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://origin");
  const [, name = "", argument = ""] = pathname.split("/");
  // Whatever it is: an unread body would close the connection.
  const body = await bytesOf(request);
  switch (name) {
    case "":
      return json(response, { hello: "from the demo origin", method: request.method });
    case "bytes":
      return sendBytes(response, Math.min(BYTES_MAX, wholeOr(argument, 1024)));
    case "chunked":
      return await sendChunked(response);
    case "delay":
      await setTimeout(Math.min(DELAY_MAX_MS, wholeOr(argument, 100)));
      return json(response, { waited: wholeOr(argument, 100) });
    case "echo":
      return json(response, { method: request.method, headers: request.headers, body: body.toString("utf8") });
    case "early-hints":
      response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
      return json(response, { hints: "came before" });
    case "close":
      response.setHeader("Connection", "close");
      return json(response, { connection: "closes now" });
    default:
      response.statusCode = 404;
      return json(response, { nothing: pathname });
  }
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function wholeOr(text: string, otherwise: number): number {
  return /^\d{1,12}$/.test(text) ? Number(text) : otherwise;
}

function json(response: ServerResponse, value: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(response.statusCode, { "Content-Type": "application/json", "Content-Length": bytes.length });
  response.end(bytes);
}

function sendBytes(response: ServerResponse, length: number): void {
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": length });
  const block = Buffer.alloc(64 * 1024, "persistconn ");
  let left = length;
  const fill = () => {
    while (left > 0) {
      const piece = block.subarray(0, Math.min(left, block.length));
      left -= piece.length;
      if (!response.write(piece)) return;
    }
    response.end();
  };
  response.on("drain", fill);
  fill();
}

async function sendChunked(response: ServerResponse): Promise<void> {
  response.writeHead(200, { "Content-Type": "text/plain", Trailer: "X-Lines" });
  const lines = ["one line\n", "another line\n", "and a last one\n"];
  for (const line of lines) {
    response.write(line);
    await setTimeout(10);
  }
  response.addTrailers({ "X-Lines": String(lines.length) });
  response.end();
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => request.destroy());
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  if (process.send === undefined) process.stdout.write(`http://127.0.0.1:${port}\n`);
  else process.send({ port });
});
process.on("disconnect", () => process.exit(0));
