/**
 * Compiled, never run: what of ours stands in for the platform's types, and what of the platform's is taken. The spec
 * beside it compiles this once with lib.dom and once with the types of Node alone.
 */

import type { Readable } from "node:stream";
import type { Client } from "../../lib/client.ts";
import type { Fetch, FetchInit } from "../../lib/fetch/fetch.ts";
import type { Headers as OurHeaders, HeadersInit as OurHeadersInit } from "../../lib/message/headers.ts";
import { Request as OurRequest } from "../../lib/message/request.ts";
import type { BodyReader, BodyInit as OurBodyInit } from "../../lib/message/request-body.ts";
import type { BodySource, Response as OurResponse, ResponseBacking } from "../../lib/message/response.ts";

/** Holds where `From` can be given for `To`. */
type Fits<From extends To, To> = [From, To];

export type Answers = [
  Fits<OurResponse, Response>,
  Fits<OurHeaders, Headers>,
  Fits<ReturnType<OurResponse["clone"]>, Response>,
  Fits<OurResponse["body"], Response["body"]>,
  Fits<
    Pick<OurRequest, "method" | "url" | "headers" | "signal" | "bodyUsed">,
    Pick<Request, "method" | "url" | "signal" | "bodyUsed">
  >,
];

export type Calls = [
  Fits<Fetch, typeof globalThis.fetch>,
  Fits<Client["fetch"], typeof globalThis.fetch>,
  // What SDKs declare that take one.
  Fits<Fetch, (input: string | URL | Request, init?: RequestInit) => Promise<Response>>,
  Fits<Parameters<typeof globalThis.fetch>[0], Parameters<Fetch>[0]>,
  Fits<RequestInit, FetchInit>,
  Fits<ReturnType<Fetch>, Promise<Response>>,
];

export type Inputs = [
  Fits<string, OurBodyInit>,
  Fits<Uint8Array, OurBodyInit>,
  Fits<DataView, OurBodyInit>,
  Fits<ArrayBuffer, OurBodyInit>,
  Fits<URLSearchParams, OurBodyInit>,
  Fits<Blob, OurBodyInit>,
  Fits<FormData, OurBodyInit>,
  Fits<ReadableStream<Uint8Array>, OurBodyInit>,
  Fits<Readable, OurBodyInit>,
  Fits<AsyncGenerator<string>, OurBodyInit>,
  Fits<() => Promise<Readable>, OurBodyInit>,
  Fits<() => AsyncGenerator<Uint8Array>, OurBodyInit>,
  Fits<Headers, OurHeadersInit>,
  Fits<OurHeaders, OurHeadersInit>,
  Fits<Map<string, string>, OurHeadersInit>,
  Fits<Record<string, string>, OurHeadersInit>,
  Fits<[string, string][], OurHeadersInit>,
];

export async function use(ours: OurResponse, theirs: Request): Promise<Response> {
  const again = new OurRequest(theirs, { headers: theirs.headers, signal: theirs.signal });
  const data = await ours.clone().json<{ a: number }>();
  const standard: Response = ours;
  for await (const chunk of ours) chunk.fill(data.a);
  new OurRequest(again.with({ body: () => ours.readable() }), { form: { a: 1, b: [true, "c"] } });
  return standard;
}

/** What a connection implements, in the least words. */
export type Seams = [
  Fits<{ tryRead(): null; read(): Promise<null>; close(): void; length: null }, BodySource>,
  ResponseBacking,
  BodyReader,
];
