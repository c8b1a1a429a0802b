/**
 * What a dial makes of the connection that stands: a conduit, which is what it is for; or the stream itself, for the leg to
 * a proxy, through which a tunnel is then opened and dialed over.
 *
 * Owns nothing: a product belongs to whoever awaited the dial.
 */

import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Conduit, ConduitFacts, TlsFacts } from "./conduit.ts";
import { discard } from "./connecting.ts";
import { DuplexConduit } from "./duplex-conduit.ts";
import { factsOf, SocketConduit, type SocketConduitInit, SocketReader, tlsFactsOf } from "./socket-conduit.ts";

export interface Product<T> {
  /** How sockets of ours are read from the start; null: as streams are. */
  reader(): SocketReader | null;
  /** @param alpn what was offered; undefined where nothing but http/1.1 can have been chosen */
  ofSocket(init: SocketConduitInit, alpn: readonly string[] | undefined): T;
  ofStream(stream: Duplex): T;
  /** @throws {TypeError} a stream is wanted */
  ofConduit(conduit: Conduit): T;
  tlsOf(product: T): TlsFacts | null;
  unref(product: T): void;
}

/**
 * A secured connection on which another protocol than HTTP/1.1 was chosen. It is its taker's, listeners and all; nothing of
 * what came on it was taken.
 */
export class NegotiatedStream {
  readonly stream: Socket;
  readonly protocol: string;
  readonly facts: ConduitFacts;

  constructor({ socket, reader, kind }: SocketConduitInit, protocol: string) {
    this.stream = socket;
    this.protocol = protocol;
    this.facts = factsOf(socket, kind, undefined);
    socket.on("error", ignore); // it changes hands, and an error that comes in between must not end the process
    // What comes through `onread` is put back into the stream, where whoever takes it looks first.
    if (reader === null) return;
    for (const bytes of reader.early) socket.push(bytes);
    reader.take = (n, view) => {
      if (!socket.push(Buffer.from(view.subarray(0, n)))) socket.pause(); // a copy: the view is lent
    };
  }

  unref(): void {
    this.stream.unref();
  }

  destroy(): void {
    discard(this.stream);
  }
}

function ignore(): void {}

export type Dialed = Conduit | NegotiatedStream;

export const CONDUIT: Product<Conduit> = {
  reader: () => new SocketReader(),
  ofSocket: (init) => new SocketConduit(init),
  ofStream: (stream) => new DuplexConduit(stream),
  ofConduit: (conduit) => conduit,
  tlsOf: (conduit) => conduit.facts.tls,
  unref: (conduit) => conduit.unref(),
};

/** As ALPN decides. */
export const NEGOTIATED: Product<Dialed> = {
  ...CONDUIT,
  ofSocket: (init, alpn) => {
    const chosen = (init.socket as Partial<TLSSocket>).alpnProtocol; // of plain sockets there is none
    if (!chosen || chosen === "http/1.1" || !alpn?.includes(chosen)) return new SocketConduit(init);
    return new NegotiatedStream(init, chosen);
  },
  tlsOf: (dialed) => dialed.facts.tls,
  unref: (dialed) => dialed.unref(),
};

export const STREAM: Product<Duplex> = {
  reader: () => null,
  ofSocket: ({ socket }) => guarded(socket),
  ofStream: (stream) => guarded(stream),
  ofConduit: (conduit) => {
    conduit.destroy();
    throw new TypeError("Dialer returned a Conduit: a tunnel needs a stream");
  },
  tlsOf: (stream) => (stream instanceof Socket && isTls(stream) ? tlsFactsOf(stream) : null),
  unref: unrefStream,
};

/** It changes hands several times, and an error that comes in between must not end the process. */
function guarded(stream: Duplex): Duplex {
  return stream.on("error", () => {});
}

/** The `onread` for a user's dialer where a stream is wanted: what comes that way is put back into the stream. */
export class StreamReader {
  readonly buffer: Uint8Array = new SocketReader().buffer;
  #stream: Duplex | null = null;
  readonly #early: Uint8Array[] = [];

  pushTo(stream: Duplex): void {
    this.#stream = stream;
    for (const bytes of this.#early) stream.push(bytes);
  }

  readonly callback = (n: number, view: Uint8Array): boolean => {
    const bytes = Buffer.from(view.subarray(0, n)); // a copy: the view is lent
    if (this.#stream !== null) return this.#stream.push(bytes);
    this.#early.push(bytes);
    return false;
  };
}

export function unrefStream(stream: Duplex): void {
  (stream as { unref?(): void }).unref?.(); // sockets have it
}

export function isTls(socket: Socket): socket is TLSSocket {
  return (socket as Partial<TLSSocket>).encrypted === true; // true on every TLSSocket, absent elsewhere
}
