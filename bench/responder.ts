/**
 * The responder: the other end of every connection of the bench, as little work per request as Node allows, so that
 * its core is not what is measured. No HTTP library: a request is what ends in an empty line, plus Content-Length bytes
 * or chunks; what it answers is support/reply.ts, by the path alone.
 * Lives as long as the bench; listens on loopback and on one unix socket only. It never closes a connection that keeps to
 * these rules, unless the path asks for it, sends no idle limit, and refuses (400, closed, counted) what it cannot read,
 * so that a contestant out of step is seen.
 *
 * Arguments: the files of the TLS certificate and its key, the path of the unix socket. Says where it listens first, then
 * answers each line with its counters.
 */
import { constants } from "node:crypto";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { say, serveLines } from "./support/line-server.ts";
import type { ResponderOrder, ResponderPorts, ResponderStats } from "./support/protocol.ts";
import { makeReply, type Reply } from "./support/reply.ts";

const BLANK_LINE = Buffer.from("\r\n\r\n");
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;
const piece = Buffer.alloc(1024 * 1024, "x");
const replies = new Map<string, Reply | null>();
const held: (() => void)[] = [];
/** Answers wait for "release". */
let holding = false;
let openConnections = 0;
let requests = 0;
let requestBodyBytes = 0;
let refused = 0;
let connections = 0;
let handshakes = 0;
let resumed = 0;

function replyTo(path: string): Reply | null {
  let reply = replies.get(path);
  if (reply === undefined) {
    reply = makeReply(path);
    replies.set(path, reply);
  }
  return reply;
}

/** Sends a long body at the pace of its reader. */
function stream(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      const size = Math.min(left, piece.length);
      left -= size;
      if (!socket.write(size === piece.length ? piece : piece.subarray(0, size))) break;
    }
    if (left > 0) socket.once("drain", more);
  };
  more();
}

/** Chunks of a request body: counts what is in them, and says where the last has ended. */
class ChunkCounter {
  #left = 0;
  #line = "";
  #state: "size" | "data" | "last" = "size";

  /** @returns where the body ended in `chunk`, or -1; throws on what is no chunk */
  take(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length) {
      if (this.#state === "data") {
        const taken = Math.min(this.#left, chunk.length - at);
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#state = "size";
        continue;
      }
      const end = chunk.indexOf(0x0a, at);
      this.#line += chunk.toString("latin1", at, end < 0 ? chunk.length : end + 1);
      if (end < 0) return -1;
      at = end + 1;
      const line = this.#line.trimEnd();
      this.#line = "";
      if (this.#state === "last") {
        if (line !== "") throw new Error("a trailer came");
        return at;
      }
      const size = Number.parseInt(line, 16);
      if (!(size >= 0)) throw new Error("no size of a chunk");
      requestBodyBytes += size;
      this.#state = size === 0 ? "last" : "data";
      this.#left = size + 2; // and the line end behind the data
    }
    return -1;
  }
}

function serve(socket: Socket): void {
  /** The start of a head whose end has not come yet; null nearly always. */
  let pending: Buffer | null = null;
  /** Bytes of the request body still to come, and what to answer after the last. */
  let bodyLeft = 0;
  let chunks: ChunkCounter | null = null;
  let reply: Reply | null = null;
  let isHead = false;

  const answer = (to: Reply, head: boolean) => {
    const bytes = head ? to.head : to.bytes;
    if (to.close) socket.end(bytes);
    else socket.write(bytes);
    if (to.streamedBytes > 0 && !head) stream(socket, to.streamedBytes);
  };
  const finish = () => {
    requests++;
    const [to, head] = [reply!, isHead];
    if (holding) held.push(() => answer(to, head));
    else if (to.delayMs > 0) setTimeout(answer, to.delayMs, to, head);
    else answer(to, head);
  };
  const refuse = () => {
    refused++;
    socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  };

  connections++;
  openConnections++;
  socket.on("close", () => openConnections--);
  if (socket instanceof TLSSocket) {
    handshakes++;
    if (socket.isSessionReused()) resumed++;
  }
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
      if (chunks !== null) {
        try {
          at = chunks.take(chunk, at);
        } catch {
          return refuse();
        }
        if (at < 0) return;
        chunks = null;
        finish();
        continue;
      }
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
      // The methods of the bench begin with different letters.
      const isPost = chunk[at] === 0x50;
      isHead = chunk[at] === 0x48;
      if (!isPost && !isHead && chunk[at] !== 0x47) return refuse();
      const start = chunk.indexOf(0x20, at) + 1;
      reply = replyTo(chunk.toString("latin1", start, chunk.indexOf(0x20, start)));
      if (reply === null) return refuse();
      if (isPost) {
        const head = chunk.toString("latin1", at, end);
        const length = LENGTH.exec(head)?.[1];
        if (length !== undefined) bodyLeft = Number(length);
        else if (CHUNKED.test(head)) chunks = new ChunkCounter();
        else return refuse();
      }
      at = end + BLANK_LINE.length;
      if (bodyLeft === 0 && chunks === null) finish();
    }
  });
}

function listen(server: Server, where: object): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen({ backlog: 4096, ...where }, () => {
      const address = server.address();
      resolve(typeof address === "string" ? 0 : (address as AddressInfo).port); // it listens, so it has an address
    });
  });
}

const [certFile, keyFile, socketPath] = process.argv.slice(2);
if (certFile === undefined || keyFile === undefined || socketPath === undefined) {
  throw new Error("responder: certificate, key or the path of the unix socket is missing");
}
const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile), noDelay: true };
const host = "127.0.0.1";
await listen(createServer(serve), { path: socketPath });
const ports: ResponderPorts = {
  port: await listen(createServer(serve), { host, port: 0 }),
  tlsPort: await listen(createTlsServer(tls, serve), { host, port: 0 }),
  // Without tickets a session would have to be found in a cache of the server's, and Node keeps none.
  coldTlsPort: await listen(createTlsServer({ ...tls, secureOptions: constants.SSL_OP_NO_TICKET }, serve), {
    host,
    port: 0,
  }),
  spare: await spareAddresses(),
};

/** Linux answers on all of 127/8; where another system does not, one address must do. */
async function spareAddresses(): Promise<{ host: string; port: number }[]> {
  const spare: { host: string; port: number }[] = [];
  for (let i = 2; i <= 6; i++) {
    const address = `127.0.0.${i}`;
    try {
      spare.push({ host: address, port: await listen(createServer(serve), { host: address, port: 0 }) });
    } catch {
      break;
    }
  }
  return spare;
}

serveLines((order: ResponderOrder): ResponderStats => {
  if (order.op === "hold") holding = true;
  else if (order.op === "release") {
    holding = false;
    for (const answer of held.splice(0)) answer();
  }
  const { user, system } = process.cpuUsage();
  return {
    requests,
    requestBodyBytes,
    refused,
    connections,
    handshakes,
    resumed,
    held: held.length,
    openConnections,
    userUs: user,
    sysUs: system,
    wallMs: performance.now(),
  };
});
say({ ok: true, ...ports });
