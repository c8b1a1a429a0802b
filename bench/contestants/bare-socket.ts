/**
 * The floor: sockets that write prebuilt bytes and count what comes back. No parser, no pool, no promise, no header:
 * nothing that speaks HTTP in Node can cost less, since this is only the system calls and the way in and out of
 * JavaScript. One static read buffer for all sockets (`onread`); one write a request.
 */
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Target } from "../support/protocol.ts";
import { type Contestant, requestBody, wrongLength } from "./contestant.ts";

const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

class BareSocket {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #replyBytes: number;
  #left = 0;
  /** What to do when an answer is whole, or why there will be none; set for the length of a run. */
  onReply: () => void = () => {};
  onError: (error: Error) => void = () => {};

  constructor(target: Target, request: Buffer, onConnect: () => void) {
    const options: TcpNetConnectOpts = {
      host: target.host,
      port: target.port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (bytes) => this.#count(bytes) },
    };
    // The types of tls.connect() lack onread; it takes it all the same.
    this.#socket = target.tls ? connectTls(options as ConnectionOptions, onConnect) : connect(options, onConnect);
    this.#socket.setNoDelay(true);
    this.#socket.on("error", (error) => this.onError(error));
    this.#socket.on("close", () => this.onError(new Error("bare socket: closed by the responder")));
    this.#request = request;
    this.#replyBytes = target.replyBytes;
  }

  send(): void {
    this.#left = this.#replyBytes;
    this.#socket.write(this.#request);
  }

  #count(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#left === 0) this.onReply();
    else if (this.#left < 0) this.onError(wrongLength(this.#replyBytes - this.#left, this.#replyBytes));
    return true;
  }
}

function requestBytes(target: Target): Buffer {
  const body = requestBody(target);
  const fields = [`host: ${target.host}:${target.port}`, "connection: keep-alive"];
  for (const [name, value] of Object.entries(target.headers)) fields.push(`${name}: ${value}`);
  if (body.length > 0) fields.push(`content-length: ${body.length}`);
  return Buffer.concat([
    Buffer.from(`${target.method} ${target.path} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`),
    body,
  ]);
}

export async function open(target: Target): Promise<Contestant> {
  const request = requestBytes(target);
  const sockets: BareSocket[] = [];
  for (let i = 0; i < target.workers; i++) {
    await new Promise<void>((resolve) => sockets.push(new BareSocket(target, request, resolve)));
  }
  return {
    run(count, ends) {
      return new Promise((resolve, reject) => {
        let started = 0;
        let finished = 0;
        for (const socket of sockets) {
          socket.onError = reject;
          socket.onReply = () => {
            if (ends !== null) ends[finished] = performance.now();
            finished++;
            if (started < count) {
              started++;
              socket.send();
            } else if (finished === count) {
              resolve();
            }
          };
        }
        for (const socket of sockets) {
          if (started === count) break;
          started++;
          socket.send();
        }
      });
    },
  };
}
