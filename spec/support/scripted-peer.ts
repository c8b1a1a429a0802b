/**
 * A server of raw bytes on a loopback port, driven step by step by the spec, and a client that talks to it. Closed at the
 * end of the spec's scope; then nothing of it may be left.
 *
 * A spec is a line of steps: what the client does, what the peer must see, what it says back.
 */

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Client, Transport, type TransportOptions } from "../../lib/index.ts";
import { acceptEncoding } from "../../lib/message/decode.ts";

/** One accepted connection. Bytes that came are kept until a step asks for them. */
export class PeerConn {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void)[] = [];
  /** Resolves when the socket is wholly closed, however it ended. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#notify();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#notify();
    });
    socket.on("error", () => {}); // resets are part of what is scripted; 'close' follows
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#ended = true;
        this.#notify();
        resolve();
      });
    });
  }

  /** What came and no step has taken, as latin1. */
  get pending(): string {
    return this.#received.toString("latin1");
  }

  /** Whether the client has sent its last byte. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Waits for these very bytes, and takes them. */
  async expect(text: string): Promise<void> {
    const got = await this.read(Buffer.byteLength(text, "latin1"));
    if (got !== text) throw new Error(`Peer expected ${JSON.stringify(text)}, got ${JSON.stringify(got)}`);
  }

  /** Waits for `n` bytes, and takes them, as latin1. */
  async read(n: number): Promise<string> {
    await this.#until(() => this.#received.length >= n);
    return this.#take(n);
  }

  /** Waits for a whole head, and takes it, its empty line too. */
  async readHead(): Promise<string> {
    await this.#until(() => this.#received.includes("\r\n\r\n"));
    return this.#take(this.#received.indexOf("\r\n\r\n") + 4);
  }

  /** Waits for the client's last byte, and takes all there is. */
  async readToEnd(): Promise<string> {
    while (!this.#ended) await this.#change();
    return this.#take(this.#received.length);
  }

  reply(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** FIN. */
  end(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async #until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      if (this.#ended) throw new Error(`Peer's connection ended; it had ${JSON.stringify(this.pending.slice(0, 500))}`);
      await this.#change();
    }
  }

  #take(n: number): string {
    const taken = this.#received.toString("latin1", 0, n);
    this.#received = this.#received.subarray(n);
    return taken;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }
}

export interface PeerOptions extends TransportOptions {
  /** Serve TLS with these options; `tls` beside it is the client's. */
  serverTls?: TlsOptions;
  /** Listen on this unix socket instead of a port. */
  unixPath?: string;
  /** The client's time; the network stays real. */
  clock?: Clock;
}

export class ScriptedPeer {
  readonly transport: Transport;
  readonly client: Client;
  readonly #server: Server;
  readonly #secured: boolean;
  readonly #asksEncoding: boolean;
  /** Every connection ever accepted, in order. */
  readonly accepted: PeerConn[] = [];
  #taken = 0;
  #wake: (() => void)[] = [];

  constructor(server: Server, secured: boolean, options: TransportOptions, clock: Clock) {
    this.#server = server;
    this.#secured = secured;
    this.#asksEncoding = options.decompress ?? true;
    this.transport = new Transport(options, clock);
    this.client = new Client({ transport: this.transport });
    server.on(secured ? "secureConnection" : "connection", (socket: Socket) => {
      this.accepted.push(new PeerConn(socket));
      for (const resolve of this.#wake.splice(0)) resolve();
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("Peer has no port");
    return address.port;
  }

  /** `host:port` as it stands in Host. */
  get authority(): string {
    return `127.0.0.1:${this.port}`;
  }

  url(path = "/"): string {
    return `${this.#secured ? "https" : "http"}://${this.authority}${path}`;
  }

  /** The next connection that no step has taken yet. */
  async accept(): Promise<PeerConn> {
    while (this.accepted.length === this.#taken) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.accepted[this.#taken++] as PeerConn; // the loop has just waited for it
  }

  /** The head that a plain request of this client has, `lines` standing where the caller's fields go. */
  head(startLine: string, ...lines: string[]): string {
    const own = [`Host: ${this.authority}`, "User-Agent: persistconn/0.1.0", "Accept: */*"];
    const asks = this.#asksEncoding && !startLine.startsWith("HEAD ") && !lines.some((line) => OWN_ENCODING.test(line));
    if (asks) own.push(`Accept-Encoding: ${acceptEncoding()}`);
    return `${[`${startLine} HTTP/1.1`, ...own, ...lines].join("\r\n")}\r\n\r\n`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport.destroy();
    for (const { socket } of this.accepted) socket.destroy();
    await Promise.all(this.accepted.map(({ closed }) => closed));
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Fields with which the client asks for no encoding of its own accord. */
const OWN_ENCODING = /^(range|accept-encoding):/i;

/** Starts a peer. Use it with `await using`. */
export async function scriptedPeer(options: PeerOptions = {}): Promise<ScriptedPeer> {
  const { serverTls, unixPath, clock = systemClock, ...transport } = options;
  const server = serverTls === undefined ? createServer({ allowHalfOpen: true }) : createTlsServer(serverTls);
  const peer = new ScriptedPeer(server, serverTls !== undefined, transport, clock);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if (unixPath === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(unixPath, resolve);
  });
  return peer;
}
