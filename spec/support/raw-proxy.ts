/**
 * A proxy and an origin of raw bytes for specs: they keep every head that they see, count their connections, and are gone
 * at the end of the spec's scope.
 *
 * A head is taken when its body is there, which is dropped. The proxy takes CONNECT, whatever host it names, to that port of the loopback, and answers a request in absolute-form
 * itself, so that what each side saw can be compared. A spec may take the answering over.
 */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";

interface RawServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: readonly Socket[];
  /** In the order in which they came, over all connections; latin1. */
  readonly heads: readonly string[];
}

/** Answers a head. What is left of the bytes is the answerer's business where it takes the socket over. */
type Answer = (head: string, socket: Socket) => void;

async function rawServer(tls: TlsOptions | undefined, answer: (head: string, socket: Socket) => boolean) {
  const sockets: Socket[] = [];
  const inner: Socket[] = [];
  const heads: string[] = [];
  const serve = (socket: Socket) => {
    sockets.push(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {}); // resets are part of what is scripted
    let text = "";
    const read = (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const length = Number(/^content-length: *(\d+)/im.exec(text.slice(0, end))?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4 + length);
        heads.push(head);
        if (answer(head, socket)) continue;
        socket.off("data", read);
        return;
      }
    };
    socket.on("data", read);
  };
  const server: Server = tls === undefined ? createServer() : createTlsServer(tls);
  server.on(tls === undefined ? "connection" : "secureConnection", serve);
  // Handshakes that fail leave a socket that no one else has.
  server.on("connection", (socket: Socket) => {
    inner.push(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens, so it has a port");
  return {
    port: address.port,
    sockets,
    heads,
    async [Symbol.asyncDispose]() {
      for (const socket of [...sockets, ...inner]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface ProxyOptions {
  /** Serve TLS with these options. */
  readonly tls?: TlsOptions;
  /** Takes CONNECT over. */
  readonly onConnect?: Answer;
  /** Takes requests in absolute-form over. */
  readonly onRequest?: Answer;
}

export interface RawProxy extends RawServer {
  readonly url: string;
  /** The heads of CONNECT requests. */
  readonly connects: readonly string[];
}

export async function rawProxy({ tls, onConnect, onRequest }: ProxyOptions = {}): Promise<RawProxy> {
  const upstreams: Socket[] = [];
  const server = await rawServer(tls, (head, socket) => {
    if (!head.startsWith("CONNECT ")) {
      (onRequest ?? answerAs("the proxy"))(head, socket);
      return true;
    }
    if (onConnect === undefined) upstreams.push(tunnelTo(portOf(head), socket));
    else onConnect(head, socket);
    return false;
  });
  return {
    ...server,
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}`,
    get connects() {
      return server.heads.filter((head) => head.startsWith("CONNECT "));
    },
    async [Symbol.asyncDispose]() {
      for (const upstream of upstreams) upstream.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

function portOf(head: string): number {
  return Number(/^CONNECT \S+:(\d+) /.exec(head)?.[1]);
}

/** Answers 200 and joins both sides. */
export function tunnelTo(port: number, socket: Socket, answer = "HTTP/1.1 200 Connection established\r\n\r\n"): Socket {
  const upstream = connect(port, "127.0.0.1", () => {
    socket.write(answer, "latin1");
    socket.pipe(upstream).pipe(socket);
  });
  upstream.on("error", () => socket.destroy());
  socket.on("close", () => upstream.destroy());
  return upstream;
}

export interface RawOrigin extends RawServer {
  url(path?: string, host?: string): string;
}

/** Answers every request with its own head. */
export async function rawOrigin(tls?: TlsOptions): Promise<RawOrigin> {
  const server = await rawServer(tls, (head, socket) => {
    answerAs("the origin")(head, socket);
    return true;
  });
  const scheme = tls === undefined ? "http" : "https";
  return { ...server, url: (path = "/", host = "127.0.0.1") => `${scheme}://${host}:${server.port}${path}` };
}

function answerAs(who: string): Answer {
  return (head, socket) => {
    const [line] = head.split("\r\n", 1);
    const body = `${who} saw ${line}`;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`, "latin1");
  };
}

/** The value of a field in a head, or null. */
export function fieldOf(head: string | undefined, name: string): string | null {
  return new RegExp(`^${name}: *(.*)\\r$`, "im").exec(head ?? "")?.[1] ?? null;
}
