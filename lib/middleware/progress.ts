/**
 * Progress: tells how much of a request's body has gone out, and how much of an answer's body was read.
 *
 * Out: bytes count when the connection asks for what follows them, so the kernel had taken them, or its buffer had. In: bytes
 * count when the caller's reading takes them, decoded where the answer is decoded. Nothing is copied and nothing waits:
 * bodies flow at the pace at which they flow without, but a body in memory goes out in pieces so that there is progress to tell.
 *
 * Each transfer has exactly one last call, with `state` "complete" or "stopped" (it failed, was aborted, or nobody wants the
 * rest); none comes after it. A request's body is a transfer from the moment in which a connection is asked for, so where
 * none can be had it is "stopped" at 0; one that is sent again, by a retry, is another transfer. An answer's body is one
 * once it is read or closed. An empty body is one too; where there is no body there is none.
 *
 * Never: fails a transfer for what a callback throws. That is an uncaught exception of its own, and the transfer is told no
 * further.
 */

import { throwLater } from "../boundary.ts";
import type { Clock } from "../clock.ts";
import type { BodyReader } from "../message/body-reader.ts";
import type { Request } from "../message/request.ts";
import { Response, readThrough } from "../message/response.ts";
import type { BodySource } from "../message/response-body.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { type Checks, checked, isBytes, isDuration, isFunction } from "./options.ts";
import { type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

/** How far one transfer is. */
export interface Progress {
  /** As it came to this wrapper: to tell calls apart. */
  readonly request: Request;
  /** Of this transfer, so far. */
  readonly bytes: number;
  /** Of this transfer in all; null where only the end will tell. */
  readonly total: number | null;
  /** "going", and once at the end "complete" or "stopped". */
  readonly state: "going" | "complete" | "stopped";
}

export interface ProgressOptions {
  /** Hears how a request's body goes out. Default: nobody. */
  onUpload?: (progress: Progress) => void;
  /** Hears how an answer's body comes in. Default: nobody. */
  onDownload?: (progress: Progress) => void;
  /** Between two calls of one transfer at least; the last call does not wait. Default 100 ms; 0 means no limit. */
  everyMs?: number;
  /** Between two calls of one transfer at least; the last call does not wait. Default 0: no limit. */
  everyBytes?: number;
}

const CHECKS: Checks<ProgressOptions> = {
  onUpload: isFunction,
  onDownload: isFunction,
  everyMs: isDuration,
  everyBytes: isBytes,
};

/** As much as a connection writes at once. */
const PIECE_BYTES = 64 * 1024;

/**
 * Tells how bodies get on.
 *
 * @throws {TypeError} unknown or wrong options, or no round tripper
 * @example
 * withProgress(transport, { onDownload: ({ bytes, total }) => bar.set(bytes, total) })
 */
export function withProgress(next: RoundTripper, options: ProgressOptions): WrappedRoundTripper {
  return new ProgressRoundTripper(next, options);
}

class ProgressRoundTripper extends Wrapper {
  readonly #options: ProgressOptions;
  readonly #pace: Pace;

  constructor(next: RoundTripper, options: ProgressOptions) {
    super(next, "ProgressRoundTripper");
    const { everyMs = 100, everyBytes = 0, ...hooks } = checked(options, CHECKS);
    this.#options = hooks;
    this.#pace = { clock: this.clock, everyMs, everyBytes };
  }

  protected async send(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { onUpload, onDownload } = this.#options;
    const { body } = request;
    let sent = request;
    if (onUpload !== undefined && body !== null) {
      const counted = body.through((reader) => {
        return new CountedReader(reader, new Transfer(onUpload, this.#pace, request, reader.length));
      });
      sent = request.with({ body: counted, headers: request.pairs }); // with the Content-Type that was made for it
    }
    const response = await this.next.roundTrip(sent, call);
    if (onDownload !== undefined && response instanceof Response) {
      readThrough(response, (source) => {
        return new CountedSource(source, new Transfer(onDownload, this.#pace, request, source.length));
      });
    }
    return response;
  }
}

interface Pace {
  readonly clock: Clock;
  readonly everyMs: number;
  readonly everyBytes: number;
}

/** One body under way. Invariant: after "complete" or "stopped" nothing is told. */
class Transfer {
  readonly #pace: Pace;
  readonly #request: Request;
  readonly #total: number | null;
  /** Null once all is told, or it threw. */
  #hear: ((progress: Progress) => void) | null;
  #bytes = 0;
  #toldBytes = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(hear: (progress: Progress) => void, pace: Pace, request: Request, total: number | null) {
    this.#hear = hear;
    this.#pace = pace;
    this.#request = request;
    this.#total = total;
  }

  moved(bytes: number): void {
    if (bytes === 0 || this.#hear === null) return;
    this.#bytes += bytes;
    const { clock, everyBytes, everyMs } = this.#pace;
    if (this.#bytes - this.#toldBytes < everyBytes) return;
    const now = clock.now();
    if (now - this.#toldAt < everyMs) return;
    this.#toldAt = now;
    this.#toldBytes = this.#bytes;
    this.#tell("going");
  }

  end(state: "complete" | "stopped"): void {
    this.#tell(state);
    this.#hear = null;
  }

  #tell(state: Progress["state"]): void {
    try {
      this.#hear?.({ request: this.#request, bytes: this.#bytes, total: this.#total, state });
    } catch (error) {
      this.#hear = null;
      throwLater(error);
    }
  }
}

/** A sending whose bytes are counted once what follows them is asked for. */
class CountedReader implements BodyReader {
  readonly length: number | null;
  /** It goes out in pieces, so that each can be told of. */
  readonly memory = null;
  readonly #reader: BodyReader;
  readonly #transfer: Transfer;
  /** What was given last, and is counted when more is asked for. */
  #given = 0;
  /** What is left of a chunk that is given in pieces. */
  #rest: Uint8Array | null = null;

  constructor(reader: BodyReader, transfer: Transfer) {
    this.#reader = reader;
    this.#transfer = transfer;
    this.length = reader.length;
  }

  async next(): Promise<Uint8Array | null> {
    this.#transfer.moved(this.#given);
    try {
      const chunk = this.#rest ?? (await this.#reader.next());
      if (chunk === null) {
        this.#transfer.end("complete");
        return null;
      }
      const piece = chunk.length > PIECE_BYTES ? chunk.subarray(0, PIECE_BYTES) : chunk;
      this.#rest = piece.length < chunk.length ? chunk.subarray(PIECE_BYTES) : null;
      this.#given = piece.length;
      return piece;
    } catch (error) {
      this.#transfer.end("stopped");
      throw error;
    }
  }

  destroy(reason?: unknown): void {
    this.#rest = null;
    this.#transfer.end("stopped"); // nothing where it was complete
    this.#reader.destroy(reason);
  }
}

/** Content that is counted as it is read. */
class CountedSource implements BodySource {
  readonly #source: BodySource;
  readonly #transfer: Transfer;

  constructor(source: BodySource, transfer: Transfer) {
    this.#source = source;
    this.#transfer = transfer;
  }

  get length(): number | null {
    return this.#source.length;
  }

  get chunksAreAlone(): boolean {
    return this.#source.chunksAreAlone ?? false;
  }

  gatherInto(whole: Uint8Array, at: number): void {
    this.#source.gatherInto?.(whole, at); // chunks that were not gathered are copied by who asked
  }

  tryRead(): Uint8Array | null | undefined {
    try {
      const chunk = this.#source.tryRead();
      if (chunk !== undefined) this.#count(chunk);
      return chunk;
    } catch (error) {
      this.#transfer.end("stopped");
      throw error;
    }
  }

  async read(): Promise<Uint8Array | null> {
    try {
      const chunk = await this.#source.read();
      this.#count(chunk);
      return chunk;
    } catch (error) {
      this.#transfer.end("stopped");
      throw error;
    }
  }

  close(): void {
    this.#transfer.end("stopped");
    this.#source.close();
  }

  #count(chunk: Uint8Array | null): void {
    if (chunk === null) this.#transfer.end("complete");
    else this.#transfer.moved(chunk.length);
  }
}
