/**
 * A conduit over a node socket: TCP, unix or TLS. Lives from the moment the connection stands until `destroy()`.
 *
 * Owns:  the socket and every listener on it. They are attached once and stay: the 'error' listener outlives `destroy`,
 *        since a late error without a listener would end the process.
 * Never: calls its sink from inside one of its own methods, or keeps a byte of what it lends.
 *
 * Reading goes through `onread`: the kernel reads into one buffer that all sockets of the thread share, since a read is
 * over before the next begins, and no stream buffering comes between. Sockets that were made without it (TLS over a
 * stream that was passed in, dialers of users) are read by 'data' events; whichever of the two a socket has is silent on
 * the other way.
 *
 * **An answer that arrived is not lost by our own write.** When a write meets a connection that the peer has reset, Node
 * destroys the socket at once, though the kernel still has what came before the reset. So the `destroy` that Node calls
 * for a failed write is held back here, and the socket is read on, poll by poll, until a poll brought nothing; then it is
 * destroyed and the write's error told. This works with `onread` (TCP, unix, and TLS where the record is whole). It does
 * not on sockets read by 'data': there Node drops what comes after an error. An end of stream that comes after a failed
 * write is not seen either, so a body delimited by close ends in the error, which is as well: it was cut.
 *
 * RFC 9112 §9.5 (early answers), §9.6 (tear-down).
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../clock.ts";
import { ConnectionClosedError } from "../errors.ts";
import type { Conduit, ConduitFacts, ConduitSink, TlsFacts } from "./conduit.ts";
import { SinkGate } from "./sink-gate.ts";

/** A body of 64 KiB comes with its head in one read, and need not be joined. */
const READ_BYTES = 80 * 1024;
/** No Buffer: `slice` copies only from a plain Uint8Array, and `subarray` costs a third. */
const readBuffer = new Uint8Array(READ_BYTES);

/** Polls granted to what the kernel still has after a failed write: some 2.5 MiB each at most. */
const SALVAGE_POLLS_MAX = 64;

/** The `onread` option of one socket. It is needed before the socket, so before its conduit: that moves in later. */
export class SocketReader {
  readonly buffer: Uint8Array = readBuffer;
  /** Set by the conduit; until then what comes is kept here, and reading stops. */
  take: ((n: number, view: Uint8Array) => void) | null = null;
  readonly early: Uint8Array[] = [];

  readonly callback = (n: number, view: Uint8Array): boolean => {
    if (this.take !== null) {
      this.take(n, view);
      return true; // pause() has stopped the socket itself where that was wanted
    }
    this.early.push(view.slice(0, n));
    return false;
  };
}

/** Plain is TCP or a unix socket. */
export type SocketKind = "plain" | "tls";

export interface SocketConduitInit {
  /** Connected; for TLS, with the handshake done. */
  readonly socket: Socket;
  readonly kind: SocketKind;
  /** The reader in whose `onread` the socket was made; null for the 'data' way only. */
  readonly reader: SocketReader | null;
  /** Whether the socket may have been made without the reader's `onread`, so that 'data' is listened to as well. */
  readonly listensToData: boolean;
  /** The path dialed, for unix sockets, which do not know their peer's address. */
  readonly path?: string | undefined;
  readonly clock: Clock;
}

export class SocketConduit implements Conduit {
  readonly facts: ConduitFacts;
  readonly refusalProvesNothingWritten: boolean;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #gate: SinkGate;
  readonly #secured: boolean;
  /** Node's own `destroy` of this socket, without what is held back. */
  readonly #destroySocket: (error?: Error) => void;
  /** `write()` answered "full", and the sink has not heard `drained` since. */
  #draining = false;
  #paused = false;
  /** Whether it keeps the process alive: by the clock, since the socket's own way costs a call into Node each time. */
  #held = true;
  /** The error of a failed write, from then on. */
  #writeError: Error | null = null;
  #salvagePolls = 0;
  #salvaged = false;

  constructor(init: SocketConduitInit) {
    const { socket, kind, reader } = init;
    this.#socket = socket;
    this.#clock = init.clock;
    this.#secured = kind === "tls";
    this.refusalProvesNothingWritten = kind !== "tls";
    this.facts = factsOf(socket, kind, init.path);
    this.#gate = new SinkGate(this);
    this.#clock.hold();
    socket.unref();

    const destroySocket = socket.destroy;
    this.#destroySocket = (error) => destroySocket.call(socket, error);
    socket.destroy = (error?: Error) => {
      if (!this.#holdsBack(error)) destroySocket.call(socket, error);
      return socket;
    };
    if (reader !== null) {
      for (const bytes of reader.early) this.#gate.data(bytes, bytes.length);
      reader.take = (n, view) => this.#read(n, view);
    }
    if (init.listensToData) socket.on("data", (chunk: Buffer) => this.#read(chunk.length, chunk));
    if (socket.isPaused()) socket.resume(); // a dialer of a user left it so; a listener alone does not wake it
    socket.on("end", () => this.#gate.end());
    socket.on("drain", () => this.#taken());
    socket.on("error", (error) => this.#gate.error(this.#writeError ?? error));
    socket.on("close", () => {
      this.unref();
      if (!this.#gate.ended || !socket.writableFinished) {
        this.#gate.error(new ConnectionClosedError("Cannot use connection: its socket was destroyed from outside"));
      }
    });
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  attach(sink: ConduitSink): void {
    this.#gate.attach(sink, () => {
      if (!this.#paused) this.#socket.resume();
    });
  }

  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    const socket = this.#socket;
    if (!socket.writable || this.#writeError !== null) return this.#refusal(); // a destroyed one is not writable
    let belowMark = true;
    if (typeof data === "string") belowMark = this.#put(data, true);
    else if (data.length === 1)
      belowMark = this.#put(data[0]!, true); // its length was just compared
    else if (data.length > 1) {
      const last = data.length - 1;
      socket.cork();
      for (let i = 0; i <= last; i++) belowMark = this.#put(data[i]!, i === last); // i stays within data
      socket.uncork();
    }
    if (socket.errored !== null) return socket.errored;
    if (socket.writableLength === 0) return "ok";
    this.#draining = true;
    // 'drain' comes only after a write that answered false; an empty one behind it has a callback of its own. This is
    // rare (a TCP buffer that filled up within the last few KiB), so that the usual write needs no callback.
    if (belowMark && !this.#secured) socket.write("", "latin1", this.#taken);
    return "full";
  }

  /** A TLS write is always pending, so its callback is the cheapest way to hear that it is not. */
  #put(piece: string | Uint8Array, last: boolean): boolean {
    const socket = this.#socket;
    if (this.#secured && last) {
      return typeof piece === "string" ? socket.write(piece, "latin1", this.#taken) : socket.write(piece, this.#taken);
    }
    return typeof piece === "string" ? socket.write(piece, "latin1") : socket.write(piece);
  }

  /** Some write is done; `drained` is told when all are. */
  readonly #taken = (): void => {
    if (!this.#draining || this.#writeError !== null || this.#socket.writableLength > 0) return;
    if (this.#socket.errored !== null) return;
    this.#draining = false;
    this.#gate.drained();
  };

  #refusal(): Error {
    return (
      this.#writeError ??
      this.#socket.errored ??
      new ConnectionClosedError("Cannot write to connection: it is closed for writing")
    );
  }

  #read(n: number, view: Uint8Array): void {
    this.#salvaged = true;
    this.#gate.data(view, n);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
    if (this.#writeError !== null) this.#salvage();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.unref();
    this.#gate.close();
    this.#destroySocket();
  }

  ref(): void {
    if (this.#held || this.#socket.destroyed) return;
    this.#held = true;
    this.#clock.hold();
  }

  unref(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#clock.release();
  }

  /** Whether a `destroy(error)` that Node calls is for a failed write, after which there may still be something to read. */
  #holdsBack(error: Error | undefined): boolean {
    if (error === undefined || this.#writeError !== null || this.#gate.closed || this.#gate.ended) return false;
    if ((error as NodeJS.ErrnoException).syscall !== "write") return false; // system errors have it, others do not
    this.#writeError = error;
    this.#salvage();
    return true;
  }

  #salvage(): void {
    this.#salvaged = false;
    this.#clock.turn(() => {
      if (this.#gate.closed || this.#paused) return; // resume() goes on
      if (this.#salvaged && ++this.#salvagePolls < SALVAGE_POLLS_MAX) this.#salvage();
      else this.#destroySocket(this.#writeError!); // set before the first turn was asked for
    });
  }
}

export function factsOf(socket: Socket, kind: SocketKind, path: string | undefined): ConduitFacts {
  return {
    localAddress: socket.localAddress ?? null,
    localPort: socket.localPort ?? null,
    remoteAddress: path ?? socket.remoteAddress ?? null,
    remotePort: socket.remotePort ?? null,
    tls: kind === "tls" ? tlsFactsOf(socket as TLSSocket) : null, // its kind says so
  };
}

/** Asked once a connection: the cipher's object costs half a microsecond. */
export function tlsFactsOf(socket: TLSSocket): TlsFacts {
  const cipher = socket.getCipher() as { standardName?: string; name?: string } | undefined; // none before the handshake
  return {
    protocol: socket.getProtocol(),
    cipher: cipher?.standardName ?? cipher?.name ?? null,
    alpn: socket.alpnProtocol || null,
    resumed: socket.isSessionReused(),
  };
}
