/**
 * What stands behind the Response of a `fetch` whose content is in memory: of a data: URL, and of an answer whose
 * `integrity` was verified, which nobody may see before its last byte is.
 *
 * Fetch standard, "main fetch", "scheme fetch".
 */

import type { FieldLines } from "../message/headers.ts";
import type { Request } from "../message/request.ts";
import type { BodySource, ConnectionInfo, Framing, ResponseBacking, Timings } from "../message/response.ts";

/** The facts of a backing, without its body. */
export type Facts = Omit<ResponseBacking, "body" | "trailers" | "timings" | "handed" | "whenOver"> & {
  trailers(): FieldLines | null;
  timings(): Timings | null;
};

export class MemoryBacking implements ResponseBacking {
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: ResponseBacking["httpVersion"];
  readonly fields: FieldLines;
  readonly framing: Framing;
  readonly body: BodySource | null;
  readonly url: string;
  readonly request: Request | null;
  readonly redirected: boolean;
  readonly decompressed: boolean;
  readonly connection: ConnectionInfo | null;
  readonly #facts: Facts;

  /** @param bytes null where there is no body */
  constructor(facts: Facts, bytes: Uint8Array | null) {
    this.#facts = facts;
    this.status = facts.status;
    this.statusText = facts.statusText;
    this.httpVersion = facts.httpVersion;
    this.fields = facts.fields;
    this.framing = facts.framing;
    this.url = facts.url;
    this.request = facts.request;
    this.redirected = facts.redirected;
    this.decompressed = facts.decompressed;
    this.connection = facts.connection;
    this.body = bytes === null ? null : sourceOf(bytes);
  }

  trailers(): FieldLines | null {
    return this.#facts.trailers();
  }

  timings(): Timings | null {
    return this.#facts.timings();
  }
}

/** Gives the bytes once. */
function sourceOf(bytes: Uint8Array): BodySource {
  let rest: Uint8Array | null = bytes.length === 0 ? null : bytes;
  const tryRead = (): Uint8Array | null => {
    const chunk = rest;
    rest = null;
    return chunk;
  };
  return {
    length: bytes.length,
    tryRead,
    read: async () => tryRead(),
    close() {
      rest = null;
    },
  };
}
