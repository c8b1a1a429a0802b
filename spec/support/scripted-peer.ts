/**
 * A server of raw bytes on a loopback port, driven step by step by the spec, and a client that talks to it. Closed at the
 * end of the spec's scope; then nothing of it may be left.
 *
 * A spec is a line of steps: what the client does, what the peer must see, what it says back.
 */

import type { TlsOptions } from "node:tls";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Client, Transport, type TransportOptions } from "../../lib/index.ts";
import { acceptEncoding } from "../../lib/message/decode.ts";
import type { SocketPeerConn } from "../../lib/testing/loopback.ts";
import { type ScriptedPeer as PeerAlone, scriptedPeer as peerAlone } from "../../lib/testing/scripted-peer.ts";

/** One accepted connection. Bytes that came are kept until a step asks for them. */
export type PeerConn = SocketPeerConn;

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
  readonly #peer: PeerAlone<SocketPeerConn>;
  readonly #asksEncoding: boolean;

  constructor(peer: PeerAlone<SocketPeerConn>, options: TransportOptions, clock: Clock) {
    this.#peer = peer;
    this.#asksEncoding = options.decompress ?? true;
    this.transport = new Transport(options, clock);
    this.client = new Client({ transport: this.transport });
  }

  /** Every connection ever accepted, in order. */
  get accepted(): PeerConn[] {
    return this.#peer.accepted;
  }

  get port(): number {
    return this.#peer.port;
  }

  /** `host:port` as it stands in Host. */
  get authority(): string {
    return this.#peer.authority;
  }

  url(path = "/"): string {
    return this.#peer.url(path);
  }

  /** The next connection that no step has taken yet. */
  accept(): Promise<PeerConn> {
    return this.#peer.accept();
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
    await this.#peer.close();
  }
}

/** Fields with which the client asks for no encoding of its own accord. */
const OWN_ENCODING = /^(range|accept-encoding):/i;

/** Starts a peer. Use it with `await using`. */
export async function scriptedPeer(options: PeerOptions = {}): Promise<ScriptedPeer> {
  const { serverTls, unixPath, clock = systemClock, ...transport } = options;
  const peer = await peerAlone({
    ...(serverTls === undefined ? {} : { tls: serverTls }),
    ...(unixPath === undefined ? {} : { path: unixPath }),
  });
  return new ScriptedPeer(peer, transport, clock);
}
