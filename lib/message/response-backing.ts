/**
 * What stands behind a Response, as types: an exchange on a connection, a decoder around one, or what `new Response`
 * made. Whoever implements it keeps the facts; the Response only shows them.
 */

import type { Duplex } from "node:stream";
import type { FieldLines, HeadersInit } from "./headers.ts";
import type { Request } from "./request.ts";
import type { BodySource } from "./response-body.ts";
import type { Timings } from "./timings.ts";

/** Facts of the connection that carried an exchange, taken once for each connection: never the socket. */
export interface ConnectionInfo {
  /** Counts the connections of the process. */
  readonly id: number;
  /** It had been in the pool before, or was dialed for another request. */
  readonly reused: boolean;
  /** Exchanges that it carried before this one. */
  readonly served: number;
  readonly localAddress: string | null;
  readonly localPort: number | null;
  /** The address dialed, or the path of a unix socket. */
  readonly remoteAddress: string | null;
  readonly remotePort: number | null;
  readonly tls: {
    readonly protocol: string | null;
    readonly cipher: string | null;
    readonly alpn: string | null;
    /** Whether the session was resumed. */
    readonly resumed: boolean;
  } | null;
  /** The proxy's URL, without credentials. */
  readonly proxy: string | null;
}

/**
 * How the end of the body was known (RFC 9112 §6.3); "close" cannot tell a whole body from a cut one. "tunnel": there is no
 * body and no more HTTP, but `duplex()`. "stream": HTTP/2 says where it ends (RFC 9113 §8.1).
 */
export type Framing = "none" | "length" | "chunked" | "close" | "tunnel" | "stream";

/** Where a redirect that is followed leads, and what does not go along. */
export interface OnwardFacts {
  readonly method: string;
  readonly url: string;
  readonly crossed: boolean;
  readonly dropped: readonly string[];
}

/** A connection that an answer handed over. */
export interface Handed {
  /** The same stream each time. Throws a TypeError where it was closed before. */
  take(): Duplex;
  /** Destroys it, taken or not. */
  close(): void;
}

/** What stands behind a Response. */
export interface ResponseBacking {
  readonly status: number;
  readonly statusText: string;
  readonly httpVersion: "1.0" | "1.1" | "2";
  readonly fields: FieldLines;
  readonly framing: Framing;
  /** Null where the method or status allows no body: HEAD, 204, 304. */
  readonly body: BodySource | null;
  readonly url: string;
  readonly request: Request | null;
  readonly redirected: boolean;
  /** The content was decoded: `headers` shows neither its encoding nor its length, `headers.raw` does. */
  readonly decompressed: boolean;
  /** The standard's word; "basic" where it is not said. */
  readonly type?: "basic" | "default" | "error";
  /** Null until the last byte came. */
  trailers(): FieldLines | null;
  timings(): Timings | null;
  readonly connection: ConnectionInfo | null;
  /** The connection, where the answer handed it over (101, a 2xx to CONNECT). */
  readonly handed?: Handed | null;
  /** A redirect that is followed: for who listens. */
  followed?(onward: () => OnwardFacts): void;
  /** Calls `fn` once the last byte came off the wire or none will come: at once where that is so. */
  whenOver?(fn: () => void): void;
}

export interface ResponseInit {
  readonly status?: number | undefined;
  readonly statusText?: string | undefined;
  readonly headers?: HeadersInit | undefined;
  // What the standard does not know, so that caches and mocks can make any Response:
  readonly url?: string | undefined;
  readonly trailers?: HeadersInit | undefined;
  readonly timings?: Timings | undefined;
  readonly connection?: ConnectionInfo | undefined;
  readonly request?: Request | undefined;
}
