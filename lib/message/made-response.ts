/**
 * Responses that came from no connection: what caches, mocks and the standard constructor make. They stand on a
 * RequestBody, which knows every kind of body there is.
 *
 * Fetch standard, "initialize a response".
 */

import { LocalProtocolError } from "../errors.ts";
import { isFieldValue } from "../wire/abnf.ts";
import { type BodyReader, isArrayBuffer } from "./body-reader.ts";
import { type FieldLines, Headers, PairLines } from "./headers.ts";
import { kindOf } from "./options.ts";
import type { Request } from "./request.ts";
import { type BodyInit, RequestBody } from "./request-body.ts";
import type { ConnectionInfo, Framing, ResponseBacking, ResponseInit } from "./response-backing.ts";
import type { BodySource } from "./response-body.ts";
import type { Timings } from "./timings.ts";

/** A body with nothing in it. */
export const NOTHING: BodySource = { length: 0, tryRead: () => null, read: async () => null, close() {} };

interface MadeFacts {
  readonly status: number;
  readonly statusText: string;
  readonly fields: FieldLines;
  readonly body?: RequestBody;
  readonly type: "default" | "error";
  readonly url?: string;
  readonly request?: Request | null;
  readonly trailers?: FieldLines;
  readonly timings?: Timings | null;
  readonly connection?: ConnectionInfo | null;
}

export class MadeBacking implements ResponseBacking {
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion = "1.1";
  readonly fields: FieldLines;
  readonly framing: Framing;
  readonly body: MadeSource | null;
  readonly url: string;
  readonly request: Request | null;
  readonly redirected = false;
  readonly decompressed = false;
  readonly type: "default" | "error";
  readonly connection: ConnectionInfo | null;
  readonly #trailers: FieldLines;
  readonly #timings: Timings | null;

  constructor(facts: MadeFacts) {
    this.status = facts.status;
    this.statusText = facts.statusText;
    this.fields = facts.fields;
    this.type = facts.type;
    this.body = facts.body === undefined ? null : new MadeSource(facts.body);
    this.framing = facts.body === undefined ? "none" : facts.body.length === null ? "chunked" : "length";
    this.url = facts.url ?? "";
    this.request = facts.request ?? null;
    this.connection = facts.connection ?? null;
    this.#trailers = facts.trailers ?? new PairLines([]);
    this.#timings = facts.timings ?? null;
  }

  trailers(): FieldLines | null {
    return this.body === null || this.body.ended ? this.#trailers : null;
  }

  timings(): Timings | null {
    return this.#timings;
  }
}

/** Reads a made body like one off the wire. The bytes it gives are copies: the caller may have kept the others. */
class MadeSource implements BodySource {
  readonly #body: RequestBody;
  #reader: BodyReader | null = null;
  ended = false;

  constructor(body: RequestBody) {
    this.#body = body;
  }

  get length(): number | null {
    return this.#body.length;
  }

  tryRead(): Uint8Array | null | undefined {
    if (this.ended) return null;
    const { memory } = this.#body;
    if (memory === null) return undefined;
    this.ended = true;
    if (memory.length === 0) return null;
    return typeof memory === "string" ? new Uint8Array(Buffer.from(memory, "latin1")) : new Uint8Array(memory);
  }

  async read(): Promise<Uint8Array | null> {
    const now = this.tryRead();
    if (now !== undefined) return now;
    this.#reader ??= this.#body.open();
    const chunk = await this.#reader.next();
    if (chunk !== null) return new Uint8Array(chunk);
    this.ended = true;
    return null;
  }

  close(): void {
    if (this.ended) return;
    const reason = new Error("The response was closed");
    if (this.#reader === null) this.#body.discard(reason);
    else this.#reader.destroy(reason);
  }
}

/** Statuses whose responses have no body in the standard (RFC 9110 §15.2, §15.3.5, §15.3.6, §15.4.5). */
const BODILESS = new Set([101, 103, 204, 205, 304]);

/**
 * What `new Response(body, init)` stands on. The standard's three are read as the standard reads them, so that a
 * Response can be the init of another; ours are read only where the object itself has them.
 */
export function madeBacking(body: BodyInit | RequestBody | null | undefined, init: ResponseInit = {}): MadeBacking {
  if (typeof init !== "object" || init === null)
    throw new TypeError(`Response options must be an object: they are ${kindOf(init)}`);
  const { status = 200, statusText = "", headers: given } = init;
  const code = Number(status);
  if (!Number.isInteger(code) || code < 200 || code > 599)
    throw new RangeError(`Response status must be 200 to 599: it is ${status}`);
  const reason = `${statusText}`;
  if (!isFieldValue(reason)) throw new TypeError("Response statusText has characters that no reason phrase may have");
  const headers = new Headers(given);
  const own = <K extends keyof ResponseInit>(name: K): ResponseInit[K] =>
    Object.hasOwn(init, name) ? init[name] : undefined;
  const facts = {
    status: code,
    statusText: reason,
    fields: new PairLines(headers.raw),
    type: "default",
    url: own("url") ?? "",
    request: own("request") ?? null,
    trailers: new PairLines(new Headers(own("trailers")).raw),
    timings: own("timings") ?? null,
    connection: own("connection") ?? null,
  } as const;
  if (body === null || body === undefined) return new MadeBacking(facts);
  if (BODILESS.has(code)) throw new TypeError(`Response with status ${code} cannot have a body`);
  const content = contentOf(body);
  if (content.contentType !== null && !headers.has("content-type")) headers.append("Content-Type", content.contentType);
  return new MadeBacking({ ...facts, fields: new PairLines(headers.raw), body: content });
}

function contentOf(body: BodyInit | RequestBody): RequestBody {
  // The standard keeps a copy of what is in memory, and a cache relies on it.
  const kept = ArrayBuffer.isView(body)
    ? new Uint8Array(new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
    : isArrayBuffer(body)
      ? body.slice(0)
      : body;
  try {
    return RequestBody.from(kept);
  } catch (error) {
    if (!(error instanceof LocalProtocolError)) throw error;
    throw new TypeError("Cannot make response: its body cannot be read whole", { cause: error }); // the standard's kind of error
  }
}
