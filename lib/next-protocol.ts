/**
 * The seam for protocols that ALPN chooses in place of HTTP/1.1: what the speaker of one is given, and what it must be.
 * Types only. The transport keeps its connections in the pool, one slot each, and has many requests share them.
 *
 * RFC 7301 (ALPN); Go net/http Transport.TLSNextProto.
 */

import type { Duplex } from "node:stream";
import type { Clock } from "./clock.ts";
import type { ConnectionInfo } from "./message/response-backing.ts";
import type { RoundTripper } from "./round-tripper.ts";
import type { CallTimeLimits } from "./time-limits.ts";

/** What the transport was told that is for whoever speaks to keep: its options of these names, defaults in their place. */
export interface NextProtocolSettings extends Readonly<Required<CallTimeLimits>> {
  readonly maxResponseHeaderBytes: number;
  readonly maxResponseHeaders: number;
  readonly max1xxResponses: number;
  readonly decompress: boolean;
  readonly maxDecompressRatio: number;
  readonly userAgent: string;
}

/** A secured connection on which a protocol was chosen. */
export interface NextProtocolConnection {
  /** As ALPN names it: `h2`. */
  readonly protocol: string;
  /** Where it leads: `host:port`. */
  readonly authority: string;
  /** The connection; the speaker's own from now on, listeners and all. Nothing of what came on it was taken. */
  readonly stream: Duplex;
  /** For `response.connection`. */
  readonly info: Omit<ConnectionInfo, "reused" | "served">;
  readonly settings: NextProtocolSettings;
  /** Time, as the transport measures it. */
  readonly clock: Clock;
  /** To be called when a field of the NextProtocolConn may say something else than before. */
  changed(): void;
}

/**
 * Speaks a protocol over one connection. Lives until it is closed, by itself or by the transport.
 *
 * A request goes again where it failed with a ConnectionClosedError that says `unprocessed`, whatever its method; one that
 * says nothing of the kind counts as written, however few bytes it tells.
 */
export interface NextProtocolConn extends RoundTripper {
  /**
   * "open"; "draining": takes nothing more, but what is in flight goes on, and another connection is dialed for others;
   * "closed": for good.
   */
  readonly state: "open" | "draining" | "closed";
  /** How many more requests it takes now. */
  readonly available: number;
  /** Requests that it was given and whose answers have not come to their end. At 0 the connection is idle. */
  readonly inFlight: number;
  /** Whether who finds none available waits here, in place of having another connection dialed. */
  readonly exclusive: boolean;
  /** Ends the connection at once, and fails what is in flight with `reason`, or an error of its own. Idempotent. */
  close(reason?: unknown): void;
  /** Whether the process stays alive for it. */
  ref(): void;
  unref(): void;
}

/** Begins to speak. What it throws fails the dial. */
export type NextProtocol = (connection: NextProtocolConnection) => NextProtocolConn;
