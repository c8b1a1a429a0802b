/**
 * Reads one response from bytes that came from anywhere: a file, a capture, another transport (Go's ReadResponse). The
 * same parser as on a connection, with its default limits.
 *
 * Lives until the body ended, failed or was closed; then the source is given up. What follows the response in the source
 * is not read as another one.
 *
 * Owns: the source, from the call on. It is read to the response's end or destroyed, exactly once.
 *
 * RFC 9112 §2.2, §6.3; Go net/http ReadResponse.
 */

import { ConnectionClosedError } from "./errors.ts";
import { unknownOption, wrongType } from "./message/options.ts";
import { Request } from "./message/request.ts";
import { type BodyReader, RequestBody } from "./message/request-body.ts";
import {
  type BodySource,
  type ConnectionInfo,
  type Framing,
  type Response,
  type ResponseBacking,
  responseOf,
  type Timings,
} from "./message/response.ts";
import { checkOption, parserLimitsOf, resolveOptions } from "./options.ts";
import type { LenientOptions } from "./wire/lenient.ts";
import type { FieldLines, ResponseHead, ResponseSink } from "./wire/parser-events.ts";
import { ResponseParser } from "./wire/response-parser.ts";

/** A string counts as its UTF-8 bytes. Streams may give strings and bytes. */
export type ResponseInput =
  | string
  | Uint8Array
  | AsyncIterable<string | Uint8Array>
  | ReadableStream<string | Uint8Array>
  | NodeJS.ReadableStream;

/**
 * Resolves at the head of the final response; 1xx responses before it are passed over. The body is read from the source
 * as it is asked for.
 *
 * @param request what is answered: its method says whether there is a body (RFC 9112 §6.3). Default: a GET
 * @throws (rejects) {TypeError} an option that does not exist or is of the wrong type
 * @throws {RemoteProtocolError} that is not HTTP/1.1; {HeaderLimitError} too much of it; {ConnectionClosedError} it ends
 *   before the head does; and the source's own error
 */
export async function readResponse(
  source: ResponseInput,
  request?: Request | { readonly method: string },
  options: ReadResponseOptions = {},
): Promise<Response> {
  checkOptions(options);
  const reading = new Reading(RequestBody.from(source).open(), request, options.lenient);
  await reading.begin();
  return responseOf(reading);
}

/** Options of `readResponse`. */
export interface ReadResponseOptions {
  /** What may pass that breaks HTTP; as the option of a Transport. Default: none. RemoteProtocolError. */
  readonly lenient?: LenientOptions;
}

/** @throws {TypeError} */
function checkOptions(options: ReadResponseOptions): void {
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  for (const name of Object.keys(options)) if (name !== "lenient") throw unknownOption(name, ["lenient"]);
  if (options.lenient !== undefined) checkOption("lenient", "lenient", options.lenient);
}

/** Gives the parser's memory back when a response was dropped without being read or closed. */
const abandoned = new FinalizationRegistry((parser: ResponseParser) => parser.free());

const NO_FIELDS: FieldLines = { length: 0, name: () => "", value: () => "" };

class Reading implements ResponseBacking, BodySource {
  readonly request: Request | null;
  readonly url: string;
  readonly redirected = false;
  readonly decompressed = false;
  readonly connection: ConnectionInfo | null = null;

  readonly #reader: BodyReader;
  readonly #method: string;
  readonly #parser: ResponseParser;
  #head: ResponseHead | null = null;
  readonly #chunks: Uint8Array[] = [];
  #trailers: FieldLines | null = null;
  #state: "open" | "ended" | { readonly error: unknown } = "open";

  readonly #sink: ResponseSink = {
    information() {},
    head: (head) => {
      this.#head = head;
    },
    data: (view, start, end) => {
      this.#chunks.push(new Uint8Array(view.subarray(start, end))); // the view is lent, and the source may keep it
    },
    trailers: (fields) => {
      this.#trailers = fields;
    },
    end: () => this.#finish("ended"),
  };

  constructor(
    reader: BodyReader,
    request: Request | { readonly method: string } | undefined,
    lenient: LenientOptions | undefined,
  ) {
    this.#reader = reader;
    this.#method = request?.method ?? "GET";
    this.request = request instanceof Request ? request : null;
    this.url = this.request?.url ?? "";
    this.#parser = new ResponseParser(parserLimitsOf({ ...resolveOptions({}), lenient }));
    abandoned.register(this, this.#parser, this);
    this.#parser.begin(this.#method);
  }

  async begin(): Promise<void> {
    while (this.#head === null) {
      await this.#feed();
      if (typeof this.#state === "object") throw this.#state.error;
    }
    // Where there is no body the end is known now, and nobody will ask for it.
    if (this.body === null && this.#state === "open") this.#finish("ended");
  }

  /** Gives the parser what the source has next. */
  async #feed(): Promise<void> {
    try {
      const bytes = await this.#reader.next();
      if (this.#state !== "open") return; // closed meanwhile
      if (bytes !== null) this.#parser.execute(bytes, 0, bytes.length, this.#sink);
      else if (this.#parser.finish(this.#sink) === "no-response") {
        throw new ConnectionClosedError("Cannot read response head: the source ended before its first byte", {
          phase: "headers",
        });
      }
    } catch (error) {
      this.#finish({ error });
    }
  }

  #finish(state: "ended" | { readonly error: unknown }): void {
    if (this.#state !== "open") return;
    this.#state = state;
    if (state === "ended") this.#trailers ??= NO_FIELDS;
    this.#reader.destroy(state === "ended" ? undefined : state.error);
    this.#parser.free();
    abandoned.unregister(this);
  }

  // ---- BodySource

  get length(): number | null {
    return this.#answered.contentLength;
  }

  tryRead(): Uint8Array | null | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return chunk;
    if (this.#state === "ended") return null;
    if (typeof this.#state === "object") throw this.#state.error;
    return undefined;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const now = this.tryRead();
      if (now !== undefined) return now;
      await this.#feed();
    }
  }

  close(): void {
    this.#chunks.length = 0;
    this.#finish({ error: new Error("The response was closed") });
  }

  // ---- ResponseBacking

  get status(): number {
    return this.#answered.status;
  }
  get statusText(): string {
    return this.#answered.statusText;
  }
  get httpVersion(): "1.0" | "1.1" {
    return this.#answered.minorVersion === 1 ? "1.1" : "1.0";
  }
  get fields(): FieldLines {
    return this.#answered.fields;
  }
  get framing(): Framing {
    return this.#answered.framing;
  }
  get body(): BodySource | null {
    const { status, framing } = this.#answered;
    const bodiless = this.#method === "HEAD" || status === 204 || status === 304 || framing === "tunnel";
    return bodiless ? null : this;
  }
  trailers(): FieldLines | null {
    return this.#state === "ended" ? this.#trailers : null;
  }
  timings(): Timings | null {
    return null;
  }

  get #answered(): ResponseHead {
    return this.#head as ResponseHead; // begin() has resolved, so there is one
  }
}
