/**
 * One sending of a request body over a stream: a slice at a time, the next one when the last was taken, so that the peer's
 * window is what sets the pace. Lives until the body is sent, stopped or destroyed.
 *
 * Owns:  the body's reader; one deadline, for whatever it waits for: a 100, or the peer to take a slice.
 * Never: holds the stream open once it was stopped; tells of a failure that came after.
 */

import type { ClientHttp2Stream } from "node:http2";
import type { Clock, Deadline } from "../clock.ts";
import type { BodyReader } from "../message/request-body.ts";

const SLICE_BYTES_MAX = 64 * 1024;

export interface UploadHooks {
  /** Whether it waits for a 100 before it begins (RFC 9110 §10.1.1). */
  readonly expectContinue: boolean;
  readonly limits: { readonly writeTimeout: number; readonly expectContinueTimeout: number };
  /** A slice was taken. */
  wrote(bytes: number): void;
  /** The last byte was handed over. */
  sent(): void;
  /** The body itself failed. */
  failed(error: unknown): void;
  /** The peer takes nothing. */
  slow(): void;
}

export class Upload {
  readonly #stream: ClientHttp2Stream;
  readonly #reader: BodyReader;
  readonly #hooks: UploadHooks;
  readonly #deadline: Deadline;
  #over = false;
  #begin: (() => void) | null = null;
  /** Body bytes handed over. */
  bytes = 0;

  constructor(stream: ClientHttp2Stream, reader: BodyReader, clock: Clock, hooks: UploadHooks) {
    this.#stream = stream;
    this.#reader = reader;
    this.#hooks = hooks;
    this.#deadline = clock.deadline(0, () => {
      if (this.#begin !== null) this.goOn();
      else if (!this.#over) hooks.slow();
    });
  }

  run(): void {
    if (!this.#hooks.expectContinue) return void this.#run();
    this.#begin = () => void this.#run();
    this.#deadline.reset(this.#hooks.limits.expectContinueTimeout);
  }

  /** A 100 came, or an answer that lets the body go on. */
  goOn(): void {
    const begin = this.#begin;
    if (begin === null) return;
    this.#begin = null;
    this.#deadline.reset(0);
    begin();
  }

  async #run(): Promise<void> {
    try {
      for (let chunk = await this.#reader.next(); chunk !== null; chunk = await this.#reader.next()) {
        for (let at = 0; at < chunk.length; at += SLICE_BYTES_MAX) {
          if (this.#over) return;
          await this.#write(chunk.subarray(at, at + SLICE_BYTES_MAX));
        }
        if (this.#over) return;
      }
    } catch (error) {
      if (!this.#over) this.#hooks.failed(error);
      return;
    }
    if (this.#over) return;
    this.#over = true;
    this.#deadline.cancel();
    this.#stream.end();
    this.#hooks.sent();
  }

  /** Settles when the slice was taken, or the stream is gone: why, is told elsewhere. */
  #write(slice: Uint8Array): Promise<void> {
    this.bytes += slice.length;
    this.#deadline.reset(this.#hooks.limits.writeTimeout);
    return new Promise((resolve) => {
      this.#stream.write(slice, (error) => {
        this.#deadline.reset(0);
        if (error) this.release();
        else this.#hooks.wrote(slice.length);
        resolve();
      });
    });
  }

  /** The answer came and the rest is not wanted. */
  stop(): void {
    this.destroy(undefined);
  }

  destroy(reason: unknown): void {
    this.release();
    this.#reader.destroy(reason);
  }

  release(): void {
    this.#over = true;
    this.#begin = null;
    this.#deadline.cancel();
  }
}
