/**
 * A server of raw bytes, driven step by step: in a network in memory, or on a real loopback socket, where it tests any
 * client. Closed at the end of the test's scope; then nothing of it is left.
 *
 * A test is a line of steps: what the client does, what the peer must see, what it says back.
 */

import { type Clock, systemClock } from "../clock.ts";
import { unknownOption } from "../message/options.ts";
import { type Acceptor, type LoopbackOptions, listenOnLoopback, type SocketPeerConn } from "./loopback.ts";
import type { Behaviour, PeerConn } from "./peer-conn.ts";

export class ScriptedPeer<C extends PeerConn = PeerConn> {
  /** Every connection ever accepted, in order. */
  readonly accepted: C[] = [];
  /** What a behaviour has thrown, in order: a mistake of the test's own. `close` throws the first. */
  readonly failures: unknown[] = [];
  readonly #behaviour: Behaviour | undefined;
  readonly #scheme: "http" | "https";
  #acceptor: Acceptor | null = null;
  #taken = 0;
  #wake: (() => void)[] = [];

  /** @param behaviour answers every request of every connection; without one, the test accepts them itself */
  constructor(scheme: "http" | "https", behaviour?: Behaviour) {
    this.#scheme = scheme;
    this.#behaviour = behaviour;
  }

  /** @internal */
  listensAt(acceptor: Acceptor): this {
    this.#acceptor = acceptor;
    return this;
  }

  /** @internal */
  take(conn: C): void {
    this.accepted.push(conn);
    if (this.#behaviour !== undefined) conn.serve(this.#behaviour).catch((error) => this.failures.push(error));
    for (const resolve of this.#wake.splice(0)) resolve();
  }

  get host(): string {
    return this.#at.host;
  }

  get port(): number {
    return this.#at.port;
  }

  /** `host:port` as it stands in Host: without the port where it is the scheme's own. */
  get authority(): string {
    const standard = this.#scheme === "https" ? 443 : 80;
    return this.port === standard ? this.host : `${this.host}:${this.port}`;
  }

  url(path = "/"): string {
    return `${this.#scheme}://${this.authority}${path}`;
  }

  /** The next connection that no step has taken yet. */
  async accept(): Promise<C> {
    while (this.accepted.length === this.#taken) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.accepted[this.#taken++] as C; // the loop has just waited for it
  }

  /** Closes every connection and listens no more. */
  async close(): Promise<void> {
    for (const conn of this.accepted) conn.close();
    await this.#at.close();
    if (this.failures.length > 0) throw this.failures[0];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #at(): Acceptor {
    if (this.#acceptor === null) throw new Error("Peer does not listen");
    return this.#acceptor;
  }
}

export interface ScriptedPeerOptions extends LoopbackOptions {
  /** Answers every request of every connection; without one, the test takes them with `accept()`. */
  readonly behaviour?: Behaviour | undefined;
  /** What its `wait` goes by; the sockets stay real. */
  readonly clock?: Clock | undefined;
}

/**
 * Starts a peer on a real socket of the loopback, for any client. In memory, `memoryNetwork().listen()` gives the same.
 *
 * @throws {TypeError} an option that does not exist
 * @example
 * await using peer = await scriptedPeer();
 * const answer = client.get(peer.url("/up"));
 * const conn = await peer.accept();
 * await conn.readHead();
 * conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
 */
export async function scriptedPeer(options: ScriptedPeerOptions = {}): Promise<ScriptedPeer<SocketPeerConn>> {
  checkNames(options, ["behaviour", "clock", "tls", "path"]);
  const { behaviour, clock = systemClock, ...where } = options;
  const peer = new ScriptedPeer<SocketPeerConn>(where.tls === undefined ? "http" : "https", behaviour);
  return peer.listensAt(await listenOnLoopback(where, clock, (conn) => peer.take(conn)));
}

/** @throws {TypeError} a name that is not known: it would else be ignored in silence */
export function checkNames(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(name, known);
}
