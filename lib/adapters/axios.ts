/**
 * The adapter for axios: its requests over a Client. axios makes the configuration, runs interceptors and transforms, and
 * judges what came; this sends.
 *
 * Lives as long as the axios instance that has it; owns nothing, and never closes the client.
 *
 * axios is handed in, never loaded: its errors and headers must be of the very copy that the program has. Its types come
 * from the package, since whoever hands it in has it.
 *
 * Never: passes over an option that says how to connect. That is the client's here, and the option is refused: to leave out
 * a proxy or a certificate would be to go another way than was asked for.
 */

import { PassThrough, pipeline, type Readable, Transform } from "node:stream";
import { promisify } from "node:util";
import type {
  AxiosAdapter,
  AxiosHeaders,
  AxiosProgressEvent,
  AxiosRequestConfig,
  AxiosResponse,
  AxiosStatic,
  InternalAxiosRequestConfig,
} from "axios";
import type { CallOptions, Client } from "../client.ts";
import { type Clock, clockOf } from "../clock.ts";
import {
  DecompressError,
  IncompleteBodyError,
  LocalProtocolError,
  RemoteProtocolError,
  TimeoutError,
  TooManyRedirectsError,
} from "../errors.ts";
import { isBlob } from "../message/body-sources.ts";
import { isFormData } from "../message/multipart.ts";
import { Request } from "../message/request.ts";
import { type BodyInit, type BodyReader, RequestBody } from "../message/request-body.ts";
import type { Response } from "../message/response.ts";
import { CallEnd } from "./call-end.ts";
import { failureCode } from "./failure-code.ts";

type Config = InternalAxiosRequestConfig;

/** They say how to connect, or what to do on the way: the client's affairs. */
const REFUSED = [
  "httpAgent",
  "httpsAgent",
  "proxy",
  "socketPath",
  "transport",
  "lookup",
  "family",
  "insecureHTTPParser",
  "beforeRedirect",
  "maxRate",
] as const satisfies readonly (keyof Config)[];

/** What axios asks for itself, where it is to decode nothing. */
const ENCODINGS = "gzip, compress, deflate, br";

/** A body in memory is reported in pieces of this size. */
const PIECE_BYTES = 64 * 1024;

/**
 * @example
 * const http = axios.create({ adapter: axiosAdapter(client, axios) });
 */
export function axiosAdapter(client: Client, axios: AxiosStatic): AxiosAdapter {
  const clock = clockOf(client.transport);
  return async (config) => {
    const call = new AxiosCall(axios, config, clock);
    try {
      return await call.run(client);
    } catch (error) {
      throw call.failure(error);
    }
  };
}

class AxiosCall {
  readonly #axios: AxiosStatic;
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #end: CallEnd;
  #request: Request | undefined;
  #response: AxiosResponse | undefined;
  /** What ends the call ends the stream too, which the caller has from then on. */
  #streams = false;

  constructor(axios: AxiosStatic, config: Config, clock: Clock) {
    this.#axios = axios;
    this.#config = config;
    this.#clock = clock;
    this.#end = new CallEnd(clock);
  }

  async run(client: Client): Promise<AxiosResponse> {
    const config = this.#config;
    this.#checkOptions();
    try {
      this.#limit();
      const request = await this.#makeRequest();
      this.#request = request;
      const { maxRedirects } = config;
      const call: CallOptions = { signal: this.#end.signal };
      if (maxRedirects === 0) call.redirect = "manual";
      else if (maxRedirects !== undefined) Object.assign(call, { redirect: "follow", maxRedirects });
      const answer = await client.do(request, call);
      const response: AxiosResponse = {
        data: undefined,
        status: answer.status,
        statusText: answer.statusText,
        headers: this.#headersOf(answer),
        config,
        request: answer.request,
      };
      this.#response = response;
      response.data = config.responseType === "stream" ? this.#stream(answer) : await this.#content(answer);
      return this.#settled(response);
    } finally {
      if (!this.#streams) this.#end.over();
    }
  }

  #checkOptions(): void {
    const { httpVersion } = this.#config;
    const refused = REFUSED.find((name) => {
      const value = this.#config[name];
      return value !== undefined && value !== null && value !== false;
    });
    const name = refused ?? (httpVersion === undefined || httpVersion === 1 ? null : "httpVersion");
    if (name === null) return;
    const text = `Option ${name} is not for this adapter: give it a Client whose Transport does what ${name} should`;
    throw this.#error(text, "ERR_BAD_OPTION");
  }

  #limit(): void {
    const { signal, cancelToken, timeout = 0, timeoutErrorMessage, transitional } = this.#config;
    const ms = Number(timeout);
    if (Number.isNaN(ms)) throw this.#error("Option timeout must be a number of milliseconds", "ERR_BAD_OPTION_VALUE");
    this.#end.follow(signal, () => new this.#axios.CanceledError(undefined, this.#config, this.#request));
    this.#end.limit(ms, () => {
      const code = transitional?.clarifyTimeoutError ? "ETIMEDOUT" : "ECONNABORTED";
      return this.#error(timeoutErrorMessage || `timeout of ${ms}ms exceeded`, code);
    });
    if (cancelToken === undefined) return;
    const cancel = (reason: unknown) => this.#end.end(reason); // a CanceledError that the token has made
    cancelToken.subscribe(cancel);
    this.#end.whenOver(() => cancelToken.unsubscribe(cancel));
  }

  // ---- the request

  async #makeRequest(): Promise<Request> {
    const { url, baseURL, params, paramsSerializer, allowAbsoluteUrls, auth, method = "get" } = this.#config;
    // The types tell undefined from absent, axios does not.
    const parts = { url, baseURL, params, paramsSerializer, allowAbsoluteUrls } as AxiosRequestConfig;
    const headers = new this.#axios.AxiosHeaders(this.#config.headers);
    const body = await this.#body(headers);
    if (auth) {
      const credentials = Buffer.from(`${auth.username ?? ""}:${auth.password ?? ""}`).toString("base64");
      headers.set("Authorization", `Basic ${credentials}`);
    }
    this.#askForEncoding(headers);
    const pairs: [string, string][] = [];
    for (const [name, value] of headers) {
      for (const one of Array.isArray(value) ? value : [value]) pairs.push([name, `${one}`]);
    }
    return new Request(this.#axios.getUri(parts), { method: method.toUpperCase(), headers: pairs, body });
  }

  /**
   * axios promises decoded data, whatever was asked for; the transport decodes what it asked for itself. So its own word
   * goes out in the place of a caller's, but for one who wants nothing encoded.
   */
  #askForEncoding(headers: AxiosHeaders): void {
    if (this.#config.decompress === false) headers.set("Accept-Encoding", ENCODINGS, false);
    else if (`${headers.get("Accept-Encoding") ?? ""}`.trim().toLowerCase() !== "identity") {
      headers.delete("Accept-Encoding");
    }
  }

  /** What axios's transforms have left, with the fields that go with it. */
  async #body(headers: AxiosHeaders): Promise<RequestBody | null> {
    const { data } = this.#config as { data?: unknown }; // of any type
    if (data === undefined || data === null || data === "") return null;
    if (typeof data !== "string" && typeof data !== "object") throw this.#noBody();
    let init: unknown = data;
    if (typeof data === "object") {
      if (isFormData(data))
        headers.delete("Content-Type"); // with the boundary that is ours to make
      else if (isBlob(data)) headers.setContentType(data.type || "application/octet-stream");
      else if (isOldStream(data)) init = await adopted(data, headers);
    }
    let body: RequestBody;
    try {
      body = RequestBody.from(init as BodyInit); // it refuses what is none
    } catch (error) {
      throw error instanceof TypeError ? this.#noBody() : error;
    }
    return this.#measured(body, headers);
  }

  #noBody(): Error {
    return this.#error(
      "Data after transformation must be a string, bytes, a stream, a Blob or a FormData",
      "ERR_BAD_REQUEST",
    );
  }

  #measured(body: RequestBody, headers: AxiosHeaders): RequestBody {
    const { maxBodyLength = -1, onUploadProgress } = this.#config;
    const { length } = body;
    const check = (bytes: number): void => {
      if (maxBodyLength < 0 || bytes <= maxBodyLength) return;
      throw this.#error("Request body larger than maxBodyLength limit", "ERR_BAD_REQUEST");
    };
    if (length !== null) check(length);
    if (onUploadProgress === undefined && (maxBodyLength < 0 || length !== null)) return body;
    if (length !== null) headers.setContentLength(length, false);
    const total = length ?? (Number(headers.getContentLength()) || null);
    const begin = (): AsyncIterable<Uint8Array> => {
      const progress = new Progress(this.#clock, onUploadProgress, total, "upload");
      return pieces(body.open(), (bytes) => check(progress.add(bytes)));
    };
    return RequestBody.from(body.regenerable ? begin : begin());
  }

  // ---- the answer

  /** As Node's: names in lower case, each once; of Set-Cookie a list. */
  #headersOf(answer: Response): AxiosHeaders {
    const fields: Record<string, string | string[]> = {};
    const cookies = answer.headers.getSetCookie();
    for (const [name, value] of answer.headers) fields[name] = value;
    if (cookies.length > 0) fields["set-cookie"] = cookies;
    return new this.#axios.AxiosHeaders(fields);
  }

  async #content(answer: Response): Promise<unknown> {
    const { responseType, responseEncoding } = this.#config;
    const bytes = await this.#bytes(answer);
    if (responseType === "arraybuffer") return bytes;
    if (responseType === "blob") return new Blob([bytes], { type: answer.headers.get("content-type") ?? "" });
    const text = bytes.toString((responseEncoding ?? "utf8") as BufferEncoding); // Node's names, by axios's contract
    return text.startsWith("\ufeff") ? text.slice(1) : text;
  }

  async #bytes(answer: Response): Promise<Buffer<ArrayBuffer>> {
    const take = this.#meter(answer);
    if (take === null) return Buffer.from((await answer.bytes()).buffer);
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer) {
      take(chunk.length);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #stream(answer: Response): Readable {
    const take = this.#meter(answer);
    const source = answer.readable();
    let stream = source;
    if (take !== null) {
      const meter = new Transform({
        transform(chunk: Uint8Array, _encoding, done) {
          try {
            take(chunk.length);
            done(null, chunk);
          } catch (error) {
            done(error as Error); // the one that `take` throws
          }
        },
      });
      stream = pipeline(source, meter, () => {}); // its failure is the stream's, told there
    }
    this.#streams = true;
    this.#end.handOver(source, answer);
    return stream;
  }

  /** @returns what counts each chunk, and throws when there are too many; null where nobody wants to know */
  #meter(answer: Response): ((bytes: number) => void) | null {
    const { maxContentLength = -1, onDownloadProgress } = this.#config;
    if (maxContentLength < 0 && onDownloadProgress === undefined) return null;
    const total = Number(answer.headers.get("content-length")) || null; // not there where it is not true of the content
    const progress = new Progress(this.#clock, onDownloadProgress, total, "download");
    return (bytes) => {
      const loaded = progress.add(bytes);
      if (maxContentLength < 0 || loaded <= maxContentLength) return;
      throw this.#error(`maxContentLength size of ${maxContentLength} exceeded`, "ERR_BAD_RESPONSE");
    };
  }

  #settled(response: AxiosResponse): AxiosResponse {
    const { status } = response;
    const { validateStatus } = this.#config;
    if (!validateStatus || validateStatus(status)) return response;
    const code = status >= 400 && status < 500 ? "ERR_BAD_REQUEST" : "ERR_BAD_RESPONSE";
    throw this.#error(`Request failed with status code ${status}`, code, response);
  }

  // ---- errors

  #error(text: string, code: string, response?: AxiosResponse): Error {
    return new this.#axios.AxiosError(text, code, this.#config, this.#request, response);
  }

  /** What failed, as axios would say it; ours, with all its facts, is the cause. */
  failure(error: unknown): unknown {
    if (this.#axios.isAxiosError(error) || this.#axios.isCancel(error)) return error;
    const { transitional } = this.#config;
    const code = codeOf(error, transitional?.clarifyTimeoutError === true);
    return this.#axios.AxiosError.from(error, code, this.#config, this.#request, this.#response);
  }
}

/** The codes of axios's own http adapter, as far as there are equals. */
function codeOf(error: unknown, clarifyTimeout: boolean): string {
  if (error instanceof LocalProtocolError) return error.field === "url" ? "ERR_INVALID_URL" : "ERR_BAD_REQUEST";
  if (error instanceof TypeError) return "ERR_BAD_REQUEST";
  if (error instanceof TooManyRedirectsError) return "ERR_FR_TOO_MANY_REDIRECTS";
  if (error instanceof TimeoutError) return clarifyTimeout ? "ETIMEDOUT" : "ECONNABORTED";
  if (
    error instanceof IncompleteBodyError ||
    error instanceof RemoteProtocolError ||
    error instanceof DecompressError
  ) {
    return "ERR_BAD_RESPONSE";
  }
  return failureCode(error) ?? "ERR_NETWORK";
}

/** What has come of what is to come, told to whoever listens, as axios tells it. */
class Progress {
  readonly #clock: Clock;
  readonly #listener: ((event: AxiosProgressEvent) => void) | undefined;
  readonly #total: number | null;
  readonly #direction: "upload" | "download";
  readonly #startedAt: number;
  #loaded = 0;

  constructor(
    clock: Clock,
    listener: ((event: AxiosProgressEvent) => void) | undefined,
    total: number | null,
    direction: "upload" | "download",
  ) {
    this.#clock = clock;
    this.#listener = listener;
    this.#total = total;
    this.#direction = direction;
    this.#startedAt = clock.now();
  }

  /** @returns how many there were */
  add(bytes: number): number {
    this.#loaded += bytes;
    const listener = this.#listener;
    if (listener === undefined) return this.#loaded;
    const loaded = this.#loaded;
    const total = this.#total;
    const seconds = (this.#clock.now() - this.#startedAt) / 1000;
    const rate = seconds > 0 ? loaded / seconds : 0;
    const event: AxiosProgressEvent = { loaded, bytes, lengthComputable: total !== null, [this.#direction]: true };
    if (rate > 0) event.rate = rate;
    if (total !== null) {
      event.total = total;
      event.progress = Math.min(1, loaded / total);
      if (rate > 0 && total >= loaded) event.estimated = (total - loaded) / rate;
    }
    queueMicrotask(() => listener(event)); // what it throws is its own affair
    return loaded;
  }
}

/** The chunks of one sending, none of them large, each told before it goes out. */
function pieces(reader: BodyReader, tell: (bytes: number) => void): AsyncIterableIterator<Uint8Array> {
  let rest: Uint8Array | null = null;
  return {
    async next() {
      rest = rest === null || rest.length === 0 ? await reader.next() : rest;
      if (rest === null) return { done: true, value: undefined };
      const value = rest.subarray(0, PIECE_BYTES);
      rest = rest.subarray(PIECE_BYTES);
      try {
        tell(value.length);
      } catch (error) {
        reader.destroy(error); // an iterator that throws is not returned
        throw error;
      }
      return { done: false, value };
    },
    async return() {
      reader.destroy();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** A stream of the first kind, which pushes and cannot be read: the package form-data makes such ones. */
interface OldStream extends NodeJS.EventEmitter {
  pipe<T extends NodeJS.WritableStream>(to: T): T;
  getHeaders?(): Record<string, string>;
  getLength?(done: (error: Error | null, length: number) => void): void;
}

function isOldStream(data: object): data is OldStream {
  const { pipe, on, read } = data as { pipe?: unknown; on?: unknown; read?: unknown }; // looked at one by one
  return typeof pipe === "function" && typeof on === "function" && typeof read !== "function";
}

/** As a stream that can be read, with the fields that it has of itself. */
async function adopted(data: OldStream, headers: AxiosHeaders): Promise<Readable> {
  if (typeof data.getHeaders === "function") {
    headers.set(data.getHeaders());
    if (typeof data.getLength === "function" && !headers.hasContentLength()) {
      // Of a stream within it the length may not be known: then it is sent in chunks.
      const length = await promisify(data.getLength.bind(data))().catch(() => null);
      if (length !== null && Number.isFinite(length)) headers.setContentLength(length);
    }
  }
  const readable = new PassThrough();
  data.on("error", (error) => readable.destroy(error));
  return data.pipe(readable);
}
