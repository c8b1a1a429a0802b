/**
 * A request handler for the AWS SDK for JavaScript, version 3, and whatever else is made by Smithy: its requests over a
 * RoundTripper, as a rule a Transport. The SDK signs, retries and reads; this sends what was signed, byte for byte.
 *
 * Lives as long as the SDK's clients that have it, which may be several; owns nothing. `destroy()`, which each of them calls
 * at its end, leaves the transport alone.
 *
 * Its types are of the SDK's shape and not its own: they come from packages that a program need not have by name.
 *
 * Never: asks for an encoding, since what is stored encoded must come as it is stored, and the SDK compares checksums;
 * follows a redirect, which the SDK does by itself, signing anew.
 */

import { isAbortSignal } from "../abort.ts";
import { type Clock, clockOf } from "../clock.ts";
import { HttpError } from "../errors.ts";
import { wrongType } from "../message/options.ts";
import { Request } from "../message/request.ts";
import type { BodyInit } from "../message/request-body.ts";
import type { Response } from "../message/response.ts";
import type { RoundTripper } from "../round-tripper.ts";
import { CallEnd } from "./call-end.ts";
import { failureCode } from "./failure-code.ts";

/** A request of the SDK's. */
export interface AwsRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  /** Escaped already. */
  readonly path: string;
  /** Not escaped; a null is a name without a value. */
  readonly query?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly body?: unknown;
}

export interface AwsResponse {
  statusCode: number;
  reason?: string;
  headers: Record<string, string>;
  /** A Node stream, which is what the SDK has in Node. */
  body: NodeJS.ReadableStream;
}

export interface AwsHandlerOptions {
  /** To the head of the answer, where a call says nothing else; 0 means none. Default 0: the transport's own limits hold. */
  requestTimeout?: number;
}

export class AwsRequestHandler {
  readonly metadata: { readonly handlerProtocol: string } = { handlerProtocol: "http/1.1" };
  readonly #transport: RoundTripper;
  readonly #clock: Clock;
  #config: Record<string | symbol, unknown>;

  /**
   * @throws {TypeError} no RoundTripper
   * @example
   * const s3 = new S3Client({ requestHandler: new AwsRequestHandler(new Transport({ maxConnsPerHost: 50 })) });
   */
  constructor(transport: RoundTripper, options: AwsHandlerOptions = {}) {
    if (typeof transport?.roundTrip !== "function") {
      throw wrongType("transport", "a Transport, or an object with roundTrip()", transport);
    }
    this.#transport = transport;
    this.#clock = clockOf(transport);
    this.#config = { ...options };
  }

  /**
   * @throws (rejects) {Error} named as the SDK wants it, so that it can tell what may be tried again: AbortError,
   *   TimeoutError, or one with the system's `code`; the HttpError is its cause
   */
  async handle(
    request: AwsRequest,
    { abortSignal, requestTimeout }: { abortSignal?: unknown; requestTimeout?: number | undefined } = {},
  ): Promise<{ response: AwsResponse }> {
    if (isAbortSignal(abortSignal) && abortSignal.aborted) throw abortError(abortSignal);
    const end = new CallEnd(this.#clock);
    end.follow(abortSignal, abortError);
    const limit = requestTimeout ?? this.#config["requestTimeout"];
    const ms = typeof limit === "number" ? limit : 0;
    end.limit(ms, () => named("TimeoutError", `No answer within ${ms} ms (requestTimeout)`, "ETIMEDOUT"));
    try {
      const answer = await this.#transport.roundTrip(requestOf(request), { signal: end.signal });
      const body = answer.readable();
      end.handOver(body, answer);
      return { response: responseOf(answer, body) };
    } catch (error) {
      end.over();
      throw failureOf(error);
    }
  }

  /** Leaves the transport alone: it may serve others, and whoever made it closes it. */
  destroy(): void {}

  /** The SDK's extensions configure handlers so; `requestTimeout` counts. */
  updateHttpClientConfig(key: string | symbol, value: unknown): void {
    this.#config = { ...this.#config, [key]: value };
  }

  httpHandlerConfigs(): Record<string | symbol, unknown> {
    return this.#config;
  }
}

function requestOf({ method, protocol, hostname, port, path, query, headers, username, password, body }: AwsRequest) {
  const host = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  const authority = port === undefined ? host : `${host}:${port}`;
  const search = query === undefined ? "" : searchOf(query);
  const content = body === undefined || body === null || body === "" ? null : body;
  const fields: [string, string][] = [["Accept-Encoding", "identity"]];
  let authorized = false;
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (lower === "authorization") authorized = true;
    if (lower === "accept-encoding") continue;
    if (lower === "expect" && (content === null || headers["content-length"] === "0")) continue; // nothing to wait with
    fields.push([name, value]);
  }
  if (!authorized && (username !== undefined || password !== undefined)) {
    const credentials = Buffer.from(`${username ?? ""}:${password ?? ""}`).toString("base64");
    fields.push(["Authorization", `Basic ${credentials}`]);
  }
  return new Request(`${protocol}//${authority}/`, {
    method,
    // Verbatim, since it was signed: as part of a URL, a key with `..` in it would become another.
    target: `${path === "" ? "/" : path}${search === "" ? "" : `?${search}`}`,
    headers: fields,
    body: content as BodyInit | null, // it checks what it is
  });
}

/** In the order and with the escapes of the signature (AWS Signature Version 4, "canonical query string"). */
function searchOf(query: NonNullable<AwsRequest["query"]>): string {
  const parts: string[] = [];
  for (const name of Object.keys(query).sort()) {
    const value = query[name] ?? null;
    const values = value === null || typeof value === "string" ? [value] : value;
    for (const one of values) parts.push(one === null ? escaped(name) : `${escaped(name)}=${escaped(one)}`);
  }
  return parts.join("&");
}

/** All but the unreserved characters of RFC 3986 §2.3. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function responseOf(answer: Response, body: NodeJS.ReadableStream): AwsResponse {
  const headers: Record<string, string> = {};
  for (const [name, value] of answer.headers) {
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  return { statusCode: answer.status, reason: answer.statusText, headers, body };
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof HttpError)) return error; // an abort's, or whatever a body of the caller's threw
  return named(error.name, error.message, failureCode(error), error);
}

function abortError(signal: AbortSignal): Error {
  return named("AbortError", "Request aborted", undefined, signal.reason);
}

function named(name: string, text: string, code: string | undefined, cause?: unknown): Error {
  const error = new Error(text, cause === undefined ? {} : { cause });
  return Object.assign(error, { name }, code === undefined ? {} : { code });
}
