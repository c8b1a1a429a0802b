/**
 * The floor: sockets that write prebuilt bytes and count what comes back. No parser, no pool, no promise, no header:
 * nothing that speaks HTTP in Node can cost less, since this is only the system calls and the way in and out of
 * JavaScript. One static read buffer for all sockets (`onread`); one write a request, or pieces of 64 KiB with the wait
 * for their going out where the body is streamed. Where each answer closes its connection, a new one is dialled for each.
 */
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import type { Target } from "../support/protocol.ts";
import { type Contestant, PIECE_BYTES, requestBody, wrongLength } from "./contestant.ts";

const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);
const chunk = Buffer.concat([
  Buffer.from(`${PIECE_BYTES.toString(16)}\r\n`),
  Buffer.alloc(PIECE_BYTES, "y"),
  Buffer.from("\r\n"),
]);
const lastChunk = Buffer.from("0\r\n\r\n");

/** The last TLS session that was given out, for scenarios that resume. */
let session: Buffer | undefined;

class BareSocket {
  readonly #target: Target;
  readonly #requests: readonly Buffer[];
  #socket: Socket | null = null;
  #hop = 0;
  #left = 0;
  /** What to do when an answer is whole, or why there will be none; set for the length of a run. */
  onReply: () => void = () => {};
  onError: (error: Error) => void = () => {};

  constructor(target: Target, requests: readonly Buffer[]) {
    this.#target = target;
    this.#requests = requests;
  }

  /** @param onConnect after the handshake, where there is one */
  dial(onConnect: () => void): void {
    const target = this.#target;
    const onread = { buffer: readBuffer, callback: (bytes: number) => this.#count(bytes) };
    const where = target.socketPath === "" ? { host: target.host, port: target.port } : { path: target.socketPath };
    const options = { ...where, noDelay: true, onread };
    let socket: Socket;
    if (target.tls) {
      // The types of tls.connect() lack onread; it takes it all the same.
      const secured = { ...options, ...(target.resumes && session !== undefined ? { session } : {}) };
      const tls: TLSSocket = connectTls(secured as ConnectionOptions, onConnect);
      if (target.resumes) tls.on("session", (given) => (session = given));
      socket = tls;
    } else {
      // One of the two shapes of `where`, which the types keep apart.
      socket = connect(options as Parameters<typeof connect>[0] & object, onConnect);
    }
    socket.setNoDelay(true);
    socket.on("error", (error) => this.onError(error));
    socket.on("close", () => {
      if (socket !== this.#socket) return;
      if (!target.closes || this.#left > 0) this.onError(new Error("bare socket: closed by the responder"));
    });
    this.#socket = socket;
  }

  send(): void {
    this.#hop = 0;
    if (!this.#target.closes) this.#write();
    else this.dial(() => this.#write());
  }

  #write(): void {
    this.#left = this.#target.replyBytes[this.#hop]!;
    this.#socket!.write(this.#requests[this.#hop]!);
    if (this.#target.read === "stream" && this.#target.requestBytes > 0) this.#upload();
  }

  #upload(): void {
    const socket = this.#socket!;
    let left = this.#target.requestBytes;
    const more = () => {
      while (left > 0) {
        left -= PIECE_BYTES;
        if (!socket.write(chunk)) break;
      }
      if (left > 0) socket.once("drain", more);
      else socket.write(lastChunk);
    };
    more();
  }

  #count(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#left > 0) return true;
    if (this.#left < 0) {
      const expected = this.#target.replyBytes[this.#hop]!;
      this.onError(wrongLength(expected - this.#left, expected));
    } else if (++this.#hop < this.#requests.length) this.#write();
    else this.onReply();
    return true;
  }
}

function requestsOf(target: Target): Buffer[] {
  const streams = target.read === "stream";
  const body = streams ? Buffer.alloc(0) : requestBody(target);
  return target.paths.map((path) => {
    const fields = [`host: ${target.host}:${target.port}`, "connection: keep-alive"];
    for (const [name, value] of Object.entries(target.headers)) fields.push(`${name}: ${value}`);
    if (target.method === "POST") {
      fields.push(streams ? "transfer-encoding: chunked" : `content-length: ${body.length}`);
    }
    return Buffer.concat([Buffer.from(`${target.method} ${path} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`), body]);
  });
}

export async function open(target: Target): Promise<Contestant> {
  const requests = requestsOf(target);
  if (target.read === "stream" && target.requestBytes % PIECE_BYTES !== 0) {
    throw new Error("bare socket: a streamed body must be made of whole pieces");
  }
  const sockets: BareSocket[] = [];
  for (let i = 0; i < target.workers; i++) {
    const socket = new BareSocket(target, requests);
    sockets.push(socket);
    if (target.closes) continue;
    await new Promise<void>((resolve, reject) => {
      socket.onError = reject;
      socket.dial(resolve);
    });
  }
  return {
    run(count, times, workers = sockets.length) {
      return new Promise((resolve, reject) => {
        let started = 0;
        let finished = 0;
        for (const socket of sockets) {
          let last = performance.now();
          socket.onError = reject;
          socket.onReply = () => {
            const now = performance.now();
            times[finished++] = now - last;
            last = now;
            if (started < count) {
              started++;
              socket.send();
            } else if (finished === count) {
              resolve();
            }
          };
        }
        for (const socket of sockets.slice(0, workers)) {
          if (started === count) break;
          started++;
          socket.send();
        }
      });
    },
  };
}
