/**
 * A tunnel through an HTTP proxy: sends CONNECT over a stream that leads to the proxy, and reads what the proxy says.
 * Lives from the request to the end of the reply's head, or of the start of its body where it is no tunnel.
 *
 * Owns:  the listeners on the stream while it lives; it leaves none, and leaves the stream paused.
 * Never: destroys the stream, which is its caller's; reads a byte that belongs to the tunnel (what came behind the head is
 *        put back); or reads without a limit: the head has the transport's limits, the body 4 KiB and a second.
 *
 * RFC 9110 §9.3.6 (CONNECT), §11.7 (proxy authentication); RFC 9112 §3.2.3 (authority-form).
 */

import type { Duplex } from "node:stream";
import type { ProxyAnswer } from "../errors.ts";
import type { ParserLimits, ResponseHead, ResponseSink } from "../wire/parser-events.ts";
import { ResponseParser } from "../wire/response-parser.ts";

/** What a proxy has answered. */
export interface ConnectReply extends ProxyAnswer {
  readonly statusText: string;
}

/** Calls `fire` in `ms`, unless it is cancelled before. */
export type Timer = (ms: number, fire: () => void) => { cancel(): void };

/** Of a refusal's body, this much is kept, and waited for this long: it is for people to read. */
const BODY_BYTES_MAX = 4096;
const BODY_WAIT_MS = 1000;

/**
 * Sends a CONNECT request and waits for its answer, whatever its status. With a 2xx the stream is the tunnel, and what
 * came of it already is the next thing that it gives.
 *
 * @param head the whole request head; latin1
 * @param signal ends the waiting with its reason
 * @throws {RemoteProtocolError} the answer is not HTTP; {HeaderLimitError} it is too long; {ConnectionClosedError} the
 *   connection ended before it; the stream's own error
 */
export function connectThrough(
  stream: Duplex,
  head: string,
  limits: ParserLimits,
  signal: AbortSignal,
  timer: Timer,
): Promise<ConnectReply> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    // Its events are over, and nothing would ever come.
    if (stream.destroyed) return reject(stream.errored ?? new Error("The connection was closed"));
    new Connecting(stream, limits, signal, timer, resolve, reject).start(head);
  });
}

class Connecting implements ResponseSink {
  readonly #stream: Duplex;
  readonly #parser: ResponseParser;
  readonly #signal: AbortSignal;
  readonly #timer: Timer;
  readonly #resolve: (reply: ConnectReply) => void;
  readonly #reject: (reason: unknown) => void;
  #head: ResponseHead | null = null;
  readonly #body: Uint8Array[] = [];
  #bodyBytes = 0;
  #bodyWait: { cancel(): void } | null = null;
  #done = false;

  constructor(
    stream: Duplex,
    limits: ParserLimits,
    signal: AbortSignal,
    timer: Timer,
    resolve: (reply: ConnectReply) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#stream = stream;
    this.#parser = new ResponseParser(limits);
    this.#signal = signal;
    this.#timer = timer;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(head: string): void {
    this.#parser.begin("CONNECT");
    this.#signal.addEventListener("abort", this.#aborted);
    // The stream is paused where it comes from a dial: `resume`, since to listen alone would not make it flow.
    this.#stream.on("data", this.#received).on("end", this.#ended).on("error", this.#broke).on("close", this.#ended);
    this.#stream.resume();
    this.#stream.write(Buffer.from(head, "latin1"));
  }

  readonly #received = (chunk: Buffer): void => {
    try {
      const end = this.#parser.execute(chunk, 0, chunk.length, this);
      if (this.#head?.framing !== "tunnel") return;
      this.#finish();
      if (end < chunk.length) this.#stream.unshift(chunk.subarray(end));
    } catch (error) {
      this.#failed(error);
    }
  };

  readonly #ended = (): void => {
    try {
      if (this.#parser.finish(this) === "no-response") this.#failed(new Error("The connection was closed"));
    } catch (error) {
      this.#failed(error);
    }
  };

  readonly #broke = (error: Error): void => this.#failed(error);

  readonly #aborted = (): void => {
    if (this.#leave()) this.#reject(this.#signal.reason);
  };

  /** Where the head was there already, what broke behind it is only the body that explains it. */
  #failed(error: unknown): void {
    if (this.#head !== null) this.#finish();
    else if (this.#leave()) this.#reject(error);
  }

  #finish(): void {
    const head = this.#head;
    if (head === null || !this.#leave()) return;
    const { status, statusText, fields } = head;
    const headers: [string, string][] = [];
    for (let i = 0; i < fields.length; i++) headers.push([fields.name(i), fields.value(i)]);
    const body = Buffer.concat(this.#body).toString("latin1", 0, BODY_BYTES_MAX);
    this.#resolve({ status, statusText, headers, body });
  }

  #leave(): boolean {
    if (this.#done) return false;
    this.#done = true;
    this.#bodyWait?.cancel();
    this.#signal.removeEventListener("abort", this.#aborted);
    this.#stream.pause();
    this.#stream
      .off("data", this.#received)
      .off("end", this.#ended)
      .off("error", this.#broke)
      .off("close", this.#ended);
    this.#parser.free();
    return true;
  }

  // ---- ResponseSink

  information(): void {}

  head(head: ResponseHead): void {
    this.#head = head;
    if (head.framing !== "tunnel") this.#bodyWait = this.#timer(BODY_WAIT_MS, () => this.#finish());
  }

  data(view: Uint8Array, start: number, end: number): void {
    this.#body.push(view.slice(start, end)); // lent
    this.#bodyBytes += end - start;
    if (this.#bodyBytes >= BODY_BYTES_MAX) this.#finish();
  }

  trailers(): void {}

  end(): void {
    this.#finish();
  }
}
