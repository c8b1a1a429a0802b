/**
 * The server of a chaos run, a program of its own in the namespace of servers. Answers what traffic.ts asks: with the
 * nonce, the checksum of what it received, and the body that belongs to the nonce.
 *
 * It writes the nonce of each POST to a file as soon as its head is there, before it has read the body or answered: the
 * file outlives its writer, so a request that reaches two lives of a killed server counts twice, as one does that is sent
 * twice to the same. Each line is one write of less than a page to a file that is open for appending.
 *
 * It listens when it is told to, so that the successor of a killed one can be ready before; on a port as it should be,
 * and on another whose backlog takes one connection.
 */

import { openSync, writeSync } from "node:fs";
import http from "node:http";
import { programSettings, serveParent } from "../support/child.ts";
import { checksum, contentOf } from "./traffic.ts";

export interface ServerSettings {
  /** Where nonces of POSTs are written. */
  readonly log: string;
  readonly port: number;
  readonly shortBacklogPort: number;
}

const settings = programSettings<ServerSettings>();
const log = openSync(settings.log, "a");

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://server");
  const nonce = url.pathname.slice(1);
  if (request.method === "POST") writeSync(log, `${nonce}\n`);
  const chunks: Buffer[] = [];
  request.on("error", () => {}); // its client has gone
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const reply = () => {
      const body = contentOf(nonce, "down", Number(url.searchParams.get("down")));
      response.setHeader("x-nonce", nonce).setHeader("x-received", checksum(Buffer.concat(chunks)));
      if (url.searchParams.get("close") === "true") response.setHeader("connection", "close");
      if (url.searchParams.get("chunked") === "true") response.write(body.subarray(0, body.length / 2));
      else response.setHeader("content-length", body.length);
      response.end(url.searchParams.get("chunked") === "true" ? body.subarray(body.length / 2) : body);
    };
    const think = Number(url.searchParams.get("think"));
    if (think > 0) setTimeout(reply, think);
    else reply();
  });
}

function listen(port: number, backlog: number): Promise<void> {
  // Nothing here is closed for being idle: which connections end, and when, is the fault's to say.
  const server = http.createServer({ keepAliveTimeout: 0, requestTimeout: 0, noDelay: true }, answer);
  server.on("clientError", (_, socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "0.0.0.0", backlog }, resolve);
  });
}

serveParent(null, async () => {
  await listen(settings.port, 511);
  await listen(settings.shortBacklogPort, 1);
  return null;
});
