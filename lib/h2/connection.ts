/**
 * One HTTP/2 connection: a session of node:http2 over a stream that was secured already, and the exchanges on it. Lives
 * from the end of the handshake until the session is closed.
 *
 * Owns:  the session and the stream below it; which exchanges are in flight; one deadline, for pings.
 * Never: opens more streams than the peer allows, or one after GOAWAY; dials; sends a request a second time.
 *
 * node:http2 is loaded when the first connection is made: a server that chooses HTTP/1.1 costs nothing.
 *
 * RFC 9113 §5.1.2 (concurrency), §6.5 (SETTINGS), §6.7 (PING), §6.8 (GOAWAY). Go: golang.org/x/net/http2 ClientConn.
 */

import type { ClientHttp2Session } from "node:http2";
import type { Deadline } from "../clock.ts";
import { ConnectionClosedError } from "../errors.ts";
import { acceptEncoding } from "../message/decode.ts";
import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import type { NextProtocolConn, NextProtocolConnection } from "../next-protocol.ts";
import type { RoundTripCall } from "../round-tripper.ts";
import { HeadWriter } from "../wire/head-writer.ts";
import { type ExchangeHost, H2Exchange } from "./exchange.ts";
import type { ResolvedH2Options } from "./options.ts";

/** Taken to be allowed until the peer's SETTINGS say what is (RFC 9113 §6.5.2: no less is wise). */
const STREAMS_AT_FIRST = 100;

/** What one session of node:http2 may hold in all, in MB. Windows bound it already; its own 10 would refuse streams. */
const SESSION_MEMORY_MB = 256;

export class H2Connection implements NextProtocolConn, ExchangeHost {
  readonly connection: NextProtocolConnection;
  readonly #options: ResolvedH2Options;
  readonly session: ClientHttp2Session;
  readonly heads: HeadWriter;
  readonly #exchanges = new Set<H2Exchange>();
  readonly #ping: Deadline;
  #state: NextProtocolConn["state"] = "open";
  /** Streams that the peer allows; null before it has said so. */
  #streamsMax: number | null = null;
  #served = 0;
  /** Whatever came last. */
  #heardAt = 0;
  /** The last stream that the peer may have acted on, where it said GOAWAY. */
  #lastStreamId: number | null = null;
  /** Why the session broke, where it did. */
  #cause: unknown = null;
  /** Whether it keeps the process alive: by the clock, as the connections of HTTP/1.1 do. */
  #held = true;

  constructor(connection: NextProtocolConnection, options: ResolvedH2Options) {
    const { settings, authority, stream, clock } = connection;
    this.connection = connection;
    this.#options = options;
    this.heads = new HeadWriter({
      userAgent: settings.userAgent,
      get acceptEncoding() {
        return settings.decompress ? acceptEncoding() : null;
      },
      absoluteForm: false,
      close: false,
      extra: [],
    });
    const { connect } = process.getBuiltinModule("node:http2");
    this.session = connect(`https://${authority}`, {
      createConnection: () => stream,
      settings: {
        enablePush: false,
        initialWindowSize: options.initialWindowSize,
        maxHeaderListSize: settings.maxResponseHeaderBytes,
      },
      maxHeaderListPairs: settings.maxResponseHeaders + 1, // :status is one of them
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    this.#ping = clock.deadline(0, () => this.#pingDue());
    clock.hold();
    this.session.unref();
    this.#listen(this.session);
  }

  #listen(session: ClientHttp2Session): void {
    session.on("connect", () => {
      if (!session.destroyed) session.setLocalWindowSize(this.#options.connectionWindowSize); // it is told a turn later
    });
    session.on("remoteSettings", ({ maxConcurrentStreams }) => {
      this.#streamsMax = maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
      this.heard();
      this.connection.changed();
    });
    session.on("goaway", (_code, lastStreamId) => {
      this.#lastStreamId = lastStreamId;
      this.#drain();
    });
    session.on("error", (error) => {
      this.#cause ??= error;
    });
    session.on("close", () => this.#gone());
    // No frame comes behind it; a socket that is made half-open, as all are here, would stay so.
    this.connection.stream.on("end", () => session.destroy());
  }

  // ---- NextProtocolConn

  get state(): NextProtocolConn["state"] {
    // Node closes a session by itself, and tells of it later.
    return this.#state === "open" && (this.session.closed || this.session.destroyed) ? "draining" : this.#state;
  }

  get available(): number {
    if (this.state !== "open") return 0;
    const { maxConcurrentStreams } = this.#options;
    const own = maxConcurrentStreams === 0 ? Number.POSITIVE_INFINITY : maxConcurrentStreams;
    return Math.max(0, Math.min(own, this.#streamsMax ?? STREAMS_AT_FIRST) - this.#exchanges.size);
  }

  get inFlight(): number {
    return this.#exchanges.size;
  }

  /** Until the peer has said how many streams it takes, to dial another for want of room would be hasty. */
  get exclusive(): boolean {
    return this.#options.whenFull === "wait" || this.#streamsMax === null;
  }

  roundTrip(request: Request, call: RoundTripCall = {}): Promise<Response> {
    return new Promise((resolve, reject) => {
      const exchange = new H2Exchange(this, request, call, { served: this.#served, resolve, reject });
      this.#served++;
      if (this.available === 0) return exchange.fail(this.#refusal());
      this.#exchanges.add(exchange);
      this.heard();
      exchange.start();
    });
  }

  close(reason?: unknown): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.unref();
    this.#ping.cancel();
    const closed = () => new ConnectionClosedError(`${this.what}: the connection was closed`);
    for (const exchange of [...this.#exchanges]) exchange.fail(reason ?? closed());
    this.session.destroy();
    this.connection.stream.destroy();
  }

  ref(): void {
    if (this.#held || this.#state === "closed") return;
    this.#held = true;
    this.connection.clock.hold();
  }

  unref(): void {
    if (!this.#held) return;
    this.#held = false;
    this.connection.clock.release();
  }

  // ---- of exchanges

  get what(): string {
    return `Cannot finish exchange with ${this.connection.authority}`;
  }

  /** Something came from the peer. */
  heard(): void {
    this.#heardAt = this.connection.clock.now();
    const { readIdleTimeout } = this.#options;
    if (readIdleTimeout > 0 && this.#exchanges.size > 0) this.#ping.reset(readIdleTimeout, this.#heardAt);
  }

  over(exchange: H2Exchange): void {
    if (!this.#exchanges.delete(exchange)) return;
    if (this.#exchanges.size === 0) this.#ping.reset(0);
    if (this.#state !== "closed") this.connection.changed();
  }

  /** Whether the peer said that it did not look at this stream. */
  unprocessed(id: number | undefined, refused: boolean): boolean {
    return refused || id === undefined || (this.#lastStreamId !== null && id > this.#lastStreamId);
  }

  /** What broke the connection; undefined while it stands. */
  get lost(): { readonly cause: unknown } | undefined {
    const { stream } = this.connection;
    const broken = this.session.destroyed || stream.destroyed || stream.readableEnded || this.#state === "closed";
    return broken ? { cause: this.#cause ?? stream.errored } : undefined;
  }

  // ---- the end

  #refusal(): ConnectionClosedError {
    const why = this.state === "open" ? "it has no room for another stream" : "it takes no more requests";
    const facts = { unprocessed: true, safeToRetry: true, bytesSubmitted: 0, bytesRead: 0 };
    return new ConnectionClosedError(`Cannot send request to ${this.connection.authority}: ${why}`, facts);
  }

  #drain(): void {
    if (this.#state !== "open") return;
    this.#state = "draining";
    this.connection.changed();
  }

  #gone(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.unref();
    this.#ping.cancel();
    for (const exchange of [...this.#exchanges]) exchange.closed();
    this.connection.stream.destroy();
    this.connection.changed();
  }

  /** Nothing came for a while, though something is in flight: is anybody there? */
  #pingDue(): void {
    const { pingTimeout } = this.#options;
    if (this.#exchanges.size === 0 || this.#state === "closed" || this.session.destroyed) return;
    let late: Deadline | null = null;
    const asked = this.session.ping((error) => {
      late?.cancel();
      if (error === null) this.heard();
    });
    if (!asked || pingTimeout === 0) return;
    late = this.connection.clock.deadline(pingTimeout, () => {
      const text = `${this.what}: no answer to a ping within ${pingTimeout} ms (option pingTimeout of h2)`;
      this.close(new ConnectionClosedError(text));
      this.connection.changed();
    });
  }
}
