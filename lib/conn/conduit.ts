/**
 * What the two loops see instead of a socket: bytes out, bytes in, and a few facts.
 *
 * Three adapters make one: `socket-conduit.ts` (node sockets with `onread`), `duplex-conduit.ts` (tunnels and the
 * dialers of users), `memory-conduit.ts` (specs and the simulator; it keeps the first one's contract and overwrites the
 * lent buffer after each callback).
 *
 * The contract:
 * - `sink.data(view, n)` lends `view[0, n)` until it returns; whoever keeps bytes copies them. Never re-entered. The sink's
 *   methods are called as such: they need their `this`.
 * - After `destroy()` no callback comes any more. `end` and `error` come at most once, and nothing after `error`.
 * - After `pause()` some data may still come (TLS: up to 64 KiB that were decrypted already). A paused conduit sees
 *   neither end nor error, so an idle connection is never paused.
 * - `write()` answers at once: `"ok"` all was taken by the kernel (or, for memory, by the peer's window); `"full"` some
 *   waits, and `drained()` follows when none does; an Error when it was refused: nothing of it was taken if it was the
 *   only write outstanding, on TCP and unix sockets (`refusalProvesNothingWritten`), and nothing more can be written.
 *   What the peer had sent before is still told where the kernel has it (an early answer may be among it), then `error`
 *   follows, unless `destroy()` comes first.
 * - No callback comes from inside `write`, `pause`, `resume`, `end` or `destroy`.
 */

/** Facts about a connection, taken once when it is made. */
export interface ConduitFacts {
  readonly localAddress: string | null;
  readonly localPort: number | null;
  /** The address dialed, or the path of a unix socket. */
  readonly remoteAddress: string | null;
  readonly remotePort: number | null;
  readonly tls: TlsFacts | null;
}

export interface TlsFacts {
  /** `"TLSv1.3"`, … */
  readonly protocol: string | null;
  /** The standard name of the cipher. */
  readonly cipher: string | null;
  /** The protocol chosen by ALPN, or null. */
  readonly alpn: string | null;
  /** Whether the session was resumed. */
  readonly resumed: boolean;
}

/** Where the events of a conduit go. */
export interface ConduitSink {
  /** `view[0, n)` came in; lent until this returns. */
  data(view: Uint8Array, n: number): void;
  /** All that was written has been taken. Only after a `write()` that answered "full". */
  drained(): void;
  /** The peer has sent its last byte. */
  end(): void;
  /** The connection broke. */
  error(error: Error): void;
}

export interface Conduit {
  readonly facts: ConduitFacts;
  /** True on plain TCP and unix sockets: there a first write that fails at once was refused whole (DESIGN.md). */
  readonly refusalProvesNothingWritten: boolean;
  /** Bytes handed to `write()` that the kernel has not surely taken. */
  readonly pendingBytes: number;
  /** Sets where events go: before the first event can come, and again where the connection is handed over. */
  attach(sink: ConduitSink): void;
  /** Hands bytes over, in order, as one write. A string holds one byte in each char code (latin1). */
  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error;
  pause(): void;
  resume(): void;
  /** Sends FIN after what was written. */
  end(): void;
  /** Closes at once and for good; what waits to be written is dropped. Idempotent. */
  destroy(): void;
  /** Whether the process stays alive for this connection. */
  ref(): void;
  unref(): void;
}
