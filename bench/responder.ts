/**
 * The responder: the other end of every connection of the bench, as little work per request as Node allows, so that
 * its core is not what is measured. No HTTP library: a request is what ends in an empty line, plus Content-Length
 * bytes; `GET /2048` and `POST /2048` are both answered with 2,048 bytes (support/reply.ts).
 * Lives as long as the bench; listens on 127.0.0.1 only. It never closes a connection that keeps to these rules, sends
 * no idle limit, and refuses (400, closed, counted) what it cannot read, so that a contestant out of step is seen.
 *
 * Arguments: the files of the TLS certificate and its key. Says its two ports first, then answers each line with its
 * counters.
 */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { say, serveLines } from "./support/line-server.ts";
import type { ResponderStats } from "./support/protocol.ts";
import { makeReply } from "./support/reply.ts";

const BLANK_LINE = Buffer.from("\r\n\r\n");
const replies = new Map<number, Buffer>();
let requests = 0;
let requestBodyBytes = 0;
let refused = 0;

/** The length asked for, or -1; the path is digits between the method and a space. */
function lengthAsked(chunk: Buffer, start: number): number {
  let at = chunk.indexOf(0x2f, start) + 1;
  let length = 0;
  for (; chunk[at] !== 0x20; at++) {
    const digit = (chunk[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

function replyFor(bodyBytes: number): Buffer {
  let reply = replies.get(bodyBytes);
  if (reply === undefined) {
    reply = makeReply(bodyBytes);
    replies.set(bodyBytes, reply);
  }
  return reply;
}

function serve(socket: Socket): void {
  /** The start of a head whose end has not come yet; null nearly always. */
  let pending: Buffer | null = null;
  /** Bytes of the request body still to come, and what to answer after the last. */
  let bodyLeft = 0;
  let reply = replyFor(0);

  const finish = () => {
    requests++;
    socket.write(reply);
  };
  const refuse = () => {
    refused++;
    socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  };

  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data: Buffer) => {
    let chunk = data;
    if (pending !== null) {
      chunk = Buffer.concat([pending, chunk]);
      pending = null;
    }
    let at = 0;
    while (at < chunk.length) {
      if (bodyLeft > 0) {
        const taken = Math.min(bodyLeft, chunk.length - at);
        requestBodyBytes += taken;
        bodyLeft -= taken;
        at += taken;
        if (bodyLeft === 0) finish();
        continue;
      }
      const end = chunk.indexOf(BLANK_LINE, at);
      if (end < 0) {
        pending = Buffer.from(chunk.subarray(at));
        return;
      }
      const isGet = chunk[at] === 0x47 && chunk[at + 1] === 0x45;
      const isPost = chunk[at] === 0x50 && chunk[at + 1] === 0x4f;
      const asked = lengthAsked(chunk, at);
      if ((!isGet && !isPost) || asked < 0) return refuse();
      reply = replyFor(asked);
      if (isPost) {
        const length = /\r\ncontent-length: *(\d+)/i.exec(chunk.toString("latin1", at, end))?.[1];
        if (length === undefined) return refuse();
        bodyLeft = Number(length);
      }
      at = end + BLANK_LINE.length;
      if (bodyLeft === 0) finish();
    }
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    // The type of address() also covers pipes; this server listens on a port.
    server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port));
  });
}

const [certFile, keyFile] = process.argv.slice(2);
if (certFile === undefined || keyFile === undefined)
  throw new Error("responder: certificate and key files are missing");
const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile), noDelay: true };
const port = await listen(createServer(serve));
const tlsPort = await listen(createTlsServer(tls, serve));

serveLines((): ResponderStats => {
  const { user, system } = process.cpuUsage();
  return { requests, requestBodyBytes, refused, userUs: user, sysUs: system, wallMs: performance.now() };
});
say({ ok: true, port, tlsPort });
