/**
 * RequestBody: what a request carries, normalised once. It can be sent as often as its kind allows: from memory and from
 * a factory again and again, also at once; a stream or an iterator once.
 *
 * Lives as long as its Request. Each sending is a BodyReader of its own.
 *
 * Never: copies bytes that are in memory (whoever changes them between two sendings sends the change); reads a stream
 *        before it is sent.
 */

import { BodyUsedError, LocalProtocolError } from "../errors.ts";
import {
  type BodyReader,
  type ChunkSource,
  ignore,
  isArrayBuffer,
  MemoryReader,
  SourceReader,
  toBytes,
} from "./body-reader.ts";
import {
  type BlobLike,
  FactorySource,
  IteratorSource,
  isBlob,
  isNodeStream,
  isWebStream,
  type NodeStreamLike,
  NodeStreamSource,
  PartsSource,
  spentBecause,
  type WebStreamLike,
  WebStreamSource,
} from "./body-sources.ts";
import { contentTypeOf, encodeMultipart, type FormDataLike, isFormData } from "./multipart.ts";
import { inspectCustom, kindOf } from "./options.ts";

export type { BodyReader } from "./body-reader.ts";

/** A body, but no factory of one. Strings and the strings of a stream are UTF-8. */
export type BodySourceInit =
  | string
  | NodeJS.ArrayBufferView
  | ArrayBuffer
  | URLSearchParams
  | BlobLike
  | FormDataLike
  | NodeStreamLike
  | WebStreamLike
  | AsyncIterable<unknown>
  | Iterable<unknown>;

/** A body, or a function that makes one for each sending. */
export type BodyInit = BodySourceInit | (() => BodySourceInit | Promise<BodySourceInit>);

/** What `form` takes: pairs, or a record whose values may be lists. */
export type FormInit =
  | URLSearchParams
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>>;

const FORM_TYPE = "application/x-www-form-urlencoded;charset=UTF-8";
const TEXT_TYPE = "text/plain;charset=UTF-8";

export class RequestBody {
  /** In memory; made for each sending; or a stream that can be sent once. */
  readonly kind: "memory" | "factory" | "one-shot";
  /** Bytes; null when only the end will tell. */
  readonly length: number | null;
  /** What Content-Type says unless the caller does; null for none. */
  readonly contentType: string | null;
  readonly #content: Uint8Array | string | (() => ChunkSource);
  readonly #stream: NodeStreamLike | null;
  #used = false;

  private constructor(
    kind: RequestBody["kind"],
    content: Uint8Array | string | (() => ChunkSource),
    length: number | null,
    contentType: string | null,
    stream: NodeStreamLike | null = null,
  ) {
    this.kind = kind;
    this.#stream = stream;
    this.length = length;
    this.contentType = contentType;
    this.#content = content;
  }

  /**
   * @throws {TypeError} it is nothing that has bytes
   * @throws {LocalProtocolError} a stream that was read from, locked, ended or destroyed before; a Blob with a bad type
   */
  static from(init: BodyInit | RequestBody): RequestBody {
    if (typeof init === "string") return RequestBody.#text(init, TEXT_TYPE);
    if (typeof init === "function") return RequestBody.#factory(init);
    if (init instanceof RequestBody) return init;
    if (typeof init !== "object" || init === null) throw noBody(init);
    if (ArrayBuffer.isView(init) || isArrayBuffer(init)) {
      const bytes = toBytes(init);
      return new RequestBody("memory", bytes, bytes.length, null);
    }
    if (kindOf(init) === "URLSearchParams") return RequestBody.#text(`${init}`, FORM_TYPE);
    if (isFormData(init)) {
      const { parts, length, contentType } = encodeMultipart(init);
      const [only] = parts;
      if (parts.length === 1 && only instanceof Uint8Array) return new RequestBody("memory", only, length, contentType);
      return new RequestBody("factory", () => new PartsSource(parts), length, contentType);
    }
    if (isBlob(init)) return new RequestBody("factory", () => new PartsSource([init]), init.size, contentTypeOf(init));
    if (isNodeStream(init) || isWebStream(init)) {
      refuseSpent(init);
      return new RequestBody("one-shot", () => streamSource(init), null, null, isNodeStream(init) ? init : null);
    }
    if (Array.isArray(init)) {
      const parts = init.map(toBytes);
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      return new RequestBody("factory", () => new PartsSource(parts), length, null);
    }
    if (Symbol.asyncIterator in init || Symbol.iterator in init) {
      return new RequestBody("one-shot", () => new IteratorSource(init), null, null);
    }
    throw noBody(init);
  }

  /** @throws {TypeError} JSON has no word for it */
  static json(value: unknown): RequestBody {
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined)
      throw new TypeError(`Option json must be something that JSON can say: it is ${kindOf(value)}`);
    return RequestBody.#text(text, "application/json");
  }

  static form(init: FormInit): RequestBody {
    if (typeof init !== "object" || init === null) {
      throw new TypeError(`Option form must be pairs or a record: it is ${kindOf(init)}`);
    }
    if (Symbol.iterator in init) return RequestBody.#text(`${new URLSearchParams([...init].map(asPair))}`, FORM_TYPE);
    const params = new URLSearchParams();
    for (const name of Object.keys(init)) {
      const value = init[name];
      if (value === undefined || value === null) {
        throw new TypeError(`Option form must have a value for each name: ${JSON.stringify(name)} is ${kindOf(value)}`);
      }
      if (typeof value === "object") for (const one of value) params.append(name, `${one}`);
      else params.append(name, `${value}`);
    }
    return RequestBody.#text(`${params}`, FORM_TYPE);
  }

  static #text(text: string, contentType: string): RequestBody {
    // A character outside ASCII takes more bytes than it has code units, so equal counts mean there is none.
    const length = Buffer.byteLength(text, "utf8");
    return new RequestBody("memory", length === text.length ? text : Buffer.from(text, "utf8"), length, contentType);
  }

  static #factory(make: () => BodySourceInit | Promise<BodySourceInit>): RequestBody {
    const open = async (): Promise<ChunkSource> => {
      const made = await make();
      if (typeof made === "function") throw new TypeError("A body factory must give a body: it gave a function");
      return RequestBody.from(made).#source();
    };
    return new RequestBody("factory", () => new FactorySource(open), null, null);
  }

  /**
   * The same body, each of whose sendings goes through `around`. It is sent as often as this one can be, which counts what
   * is sent of either.
   *
   * @internal
   */
  through(around: (reader: BodyReader) => BodyReader): RequestBody {
    const open = (): ChunkSource => {
      const reader = around(this.open());
      return {
        async next() {
          const value = await reader.next();
          return value === null ? { done: true } : { value };
        },
        destroy: (reason) => reader.destroy(reason),
      };
    };
    const kind = this.kind === "memory" ? "factory" : this.kind; // what goes through is not there all at once
    return new RequestBody(kind, open, this.length, this.contentType, this.#stream);
  }

  /** Whether it can be sent again. */
  get regenerable(): boolean {
    return this.kind !== "one-shot";
  }

  /** True once a body that can be sent only once was opened. */
  get used(): boolean {
    return this.#used;
  }

  /** The bytes where they are in memory; a string only when pure ASCII. Looked at, not consumed. */
  get memory(): Uint8Array | string | null {
    return typeof this.#content === "function" ? null : this.#content;
  }

  /**
   * Begins one sending. The caller's code runs in the async context of this call.
   *
   * @throws {BodyUsedError} it can be sent once, and was
   * @throws {LocalProtocolError} the stream was read from by others since the request was made; its own error where it
   *   broke meanwhile
   */
  open(): BodyReader {
    if (typeof this.#content !== "function") return new MemoryReader(this.#content);
    return new SourceReader(this.length, () => this.#source());
  }

  /**
   * The call has begun, and something is waited for before the body is opened: should a stream break meanwhile, that is
   * told when it is opened and ends no process.
   */
  guard(): void {
    if (!this.#used) this.#stream?.on("error", ignore);
  }

  /** Gives up a body that will not be sent: a stream that nobody opened is destroyed. */
  discard(reason: unknown): void {
    if (this.kind !== "one-shot" || this.#used) return;
    try {
      this.open().destroy(reason);
    } catch {
      // Others broke it or took it before us: it is not ours to clean up, and the call fails for `reason` already.
    }
  }

  #source(): ChunkSource {
    if (typeof this.#content !== "function") return new PartsSource([toBytes(this.#content)]);
    if (this.kind === "one-shot") {
      if (this.#used)
        throw new BodyUsedError("Cannot send request: its body can be read only once and was read before");
      this.#used = true;
    }
    return this.#content();
  }

  /** @internal */
  [inspectCustom](): string {
    return `RequestBody { ${this.kind}, ${this.length === null ? "unknown length" : `${this.length} bytes`}${this.#used ? ", used" : ""} }`;
  }
}

/** Looks again: between the making of a request and its sending others may have read the stream. */
function streamSource(stream: NodeStreamLike | WebStreamLike): ChunkSource {
  if (!isNodeStream(stream)) {
    refuseSpent(stream);
    return new WebStreamSource(stream);
  }
  if (stream.errored) throw stream.errored;
  refuseSpent(stream);
  return new NodeStreamSource(stream);
}

function refuseSpent(stream: NodeStreamLike | WebStreamLike): void {
  const reason = spentBecause(stream);
  if (reason !== null) throw new LocalProtocolError("body", `Cannot use body: ${reason}`);
}

function noBody(value: unknown): TypeError {
  const hint = typeof value === "object" && value !== null ? "; option json sends an object as JSON" : "";
  return new TypeError(
    `Option body must be a string, bytes, URLSearchParams, Blob, FormData, stream, iterable or a function that gives one: it is ${kindOf(value)}${hint}`,
  );
}

function asPair(item: readonly string[]): [string, string] {
  const [name, value, ...more] = item;
  if (name === undefined || value === undefined || more.length > 0)
    throw new TypeError("Option form must have pairs of name and value");
  return [name, value];
}
