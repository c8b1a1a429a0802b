/**
 * A small origin on node:http or node:https, a program of its own. It is two things in a run: one of the servers under
 * test, and the place where the others send POST /upload, since they cannot hash.
 *
 * GET, HEAD /NAME   the file
 * GET /chunked      `?bytes=N` bytes of no announced length
 * POST /upload      `{"bytes":…,"sha256":"…"}` of the body it received; `?slow` reads it with pauses
 *
 * Every answer says in `x-client-port` from which port its connection came, as every server under test does.
 */

import { createHash } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { pipeline, Readable } from "node:stream";
import { portOf, programSettings, serveParent } from "../../support/child.ts";

export interface OriginSettings {
  readonly root: string;
  readonly tls: { readonly cert: string; readonly key: string } | null;
}
export interface OriginReady {
  readonly port: number;
}
/** The answer to an upload. */
export interface Received {
  readonly bytes: number;
  readonly sha256: string;
}

/** A slow reader stops for so long after each so many bytes: a GiB then takes some four seconds more. */
const SLOW_BYTES = 2 ** 20;
const SLOW_MS = 3;
const CHUNK = Buffer.alloc(8_192, "c");

const settings = programSettings<OriginSettings>();

function answer(request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://origin");
  response.setHeader("x-client-port", String(request.socket.remotePort));
  if (request.method === "POST") receive(request, response, url.searchParams.has("slow"));
  else if (url.pathname === "/chunked") sendChunked(Number(url.searchParams.get("bytes")), response);
  else send(path.join(settings.root, path.basename(url.pathname)), request, response);
}

function receive(request: http.IncomingMessage, response: http.ServerResponse, slow: boolean): void {
  const hash = createHash("sha256");
  let bytes = 0;
  let untilPause = SLOW_BYTES;
  request.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
    untilPause -= chunk.length;
    if (!slow || untilPause > 0) return;
    untilPause = SLOW_BYTES;
    request.pause();
    setTimeout(() => request.resume(), SLOW_MS);
  });
  request.on("end", () => {
    const received: Received = { bytes, sha256: hash.digest("hex") };
    response.setHeader("content-type", "application/json").end(JSON.stringify(received));
  });
}

function send(file: string, request: http.IncomingMessage, response: http.ServerResponse): void {
  const bytes = statSync(file).size;
  response.setHeader("content-length", bytes);
  if (request.method === "HEAD") response.end();
  else if (bytes < 65_536) response.end(readFileSync(file));
  else pipeline(createReadStream(file), response, () => {});
}

function sendChunked(bytes: number, response: http.ServerResponse): void {
  const blocks = function* () {
    for (let left = bytes; left > 0; left -= CHUNK.length) yield left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
  };
  pipeline(Readable.from(blocks()), response, () => {});
}

const server =
  settings.tls === null
    ? http.createServer(answer)
    : https.createServer({ cert: readFileSync(settings.tls.cert), key: readFileSync(settings.tls.key) }, answer);
server.listen(0, "127.0.0.1", () => {
  const ready: OriginReady = { port: portOf(server) };
  serveParent(ready, () => null);
});
