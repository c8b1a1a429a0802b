/** What the specs of the command line share: a server on raw sockets, captured streams. */

import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Readable, Writable } from "node:stream";
import { run } from "../../lib/cli/run.ts";
import { systemClock } from "../../lib/clock.ts";

/** One request as the server saw it: the bytes up to its end, as latin1. */
export interface SeenRequest {
  readonly text: string;
  readonly socket: Socket;
}

/** A server on raw sockets, so that what is compared is bytes. Understands Content-Length, and no more. */
export interface RawServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** In the order in which they came, over all connections. */
  readonly requests: string[];
  accepted: number;
}

/** Listens on a port of the system's choice, or on a unix socket, and calls `answer` for each whole request. */
export async function rawServer(answer: (request: SeenRequest) => void, path?: string): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    raw.accepted++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
      for (let end = endOfRequest(text); end > 0; end = endOfRequest(text)) {
        const request = text.slice(0, end);
        text = text.slice(end);
        raw.requests.push(request);
        answer({ text: request, socket });
      }
    });
  });
  const raw = {
    url: "",
    port: 0,
    requests: [] as string[],
    accepted: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  if (path === undefined) raw.port = (server.address() as AddressInfo).port; // a TCP server that listens has one
  raw.url = `http://127.0.0.1:${raw.port}`;
  return raw;
}

function endOfRequest(text: string): number {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return 0;
  const length = /^content-length: *(\d+)/im.exec(text.slice(0, head));
  const end = head + 4 + (length === null ? 0 : Number(length[1]));
  return text.length >= end ? end : 0;
}

/** A 200 with that body, and those field lines. */
export function ok(body: string | Buffer = "", fields = ""): Buffer {
  const bytes = Buffer.from(body);
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes.length}\r\n${fields}\r\n`, "latin1"),
    bytes,
  ]);
}

/** A stream that keeps what is written to it, and may pass for a terminal. */
class Captured extends Writable {
  readonly chunks: Buffer[] = [];
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly #onChunk: () => void;
  constructor(isTTY = false, onChunk = () => {}) {
    super();
    this.isTTY = isTTY;
    this.#onChunk = onChunk;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk));
    this.#onChunk();
    done();
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
  get text(): string {
    return this.bytes.toString("utf8");
  }
}

export interface CliResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a command line in this process. */
export async function cli(
  argv: readonly string[],
  {
    stdin = "",
    stdoutTty = false,
    stderrTty = false,
    signal = new AbortController().signal,
    clock = systemClock,
    onStdout = () => {},
    env = {} as Readonly<Record<string, string>>,
  } = {},
): Promise<CliResult> {
  const stdout = new Captured(stdoutTty, onStdout);
  const stderr = new Captured(stderrTty);
  const code = await run(argv, { stdin: Readable.from([Buffer.from(stdin)]), stdout, stderr, env, clock, signal });
  return { code, stdout: stdout.bytes, stderr: stderr.text };
}
