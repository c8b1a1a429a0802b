/**
 * Dialers of users: the seam for unix sockets, networks in memory, SOCKS, policies. What one is told, and how what it
 * gives is taken: nothing that it returns is believed before it was looked at.
 */

import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Conduit } from "./conduit.ts";
import { discard, once } from "./connecting.ts";
import type { TlsOptions } from "./tls.ts";

/** What a dialer of a user is told. */
export interface UserDialTarget {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  readonly serverName?: string;
  /** The protocols that `dialTls` is to offer by ALPN, where there are others than http/1.1 to be chosen. */
  readonly alpn?: readonly string[];
  /** For `dialTls`: the options of the call over those of the transport; absent where the call has none of its own. */
  readonly tls?: TlsOptions;
  /** To be passed on to `net.connect` or `tls.connect`, where bytes are then read without a stream's buffering. */
  readonly onread: { readonly buffer: Uint8Array; readonly callback: (n: number, view: Uint8Array) => boolean };
}

/** What a dialer may give: a stream, or a Conduit that stands, which has no need of one (`persistconn/testing`). */
export type UserDialed = Socket | Duplex | Conduit;

/**
 * Makes a connection, or fails. The signal aborts when the dial is given up; what comes later is destroyed. A socket that
 * is still connecting may be returned.
 */
export type UserDial = (target: UserDialTarget, signal: AbortSignal) => Promise<UserDialed> | UserDialed;

/**
 * Calls a dialer, in the async context of this call, and waits until its connection stands.
 *
 * @param given is told of the stream as soon as there is one; who hears it owns the stream from then on
 * @throws whatever the dialer throws; {TypeError} when it gives no stream; the socket's error when it does not connect
 */
export async function dialByUser(
  dial: UserDial,
  target: UserDialTarget,
  signal: AbortSignal,
  given: (stream: Duplex | Conduit) => void,
): Promise<Duplex | Conduit> {
  const stream: unknown = await dial(target, signal);
  if (isConduit(stream)) {
    if (signal.aborted) {
      stream.destroy();
      throw signal.reason;
    }
    given(stream);
    return stream;
  }
  if (!isDuplex(stream)) {
    const what = stream === undefined || stream === null ? "nothing" : "no Duplex stream";
    throw new TypeError(`Dialer returned ${what}: it must return a net.Socket or a Duplex`);
  }
  if (signal.aborted) {
    discard(stream);
    throw signal.reason;
  }
  given(stream);
  if (stream.destroyed) throw stream.errored ?? new Error("The dialer returned a destroyed stream");
  if (stream instanceof Socket && stream.connecting) await connected(stream);
  return stream;
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    once(socket, "connect", (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** By shape, as streams are; no stream has `attach`. */
export function isConduit(value: unknown): value is Conduit {
  if (typeof value !== "object" || value === null) return false;
  const conduit = value as Partial<Conduit>; // each field is looked at
  return (
    typeof conduit.attach === "function" &&
    typeof conduit.write === "function" &&
    typeof conduit.destroy === "function" &&
    typeof conduit.facts === "object"
  );
}

function isDuplex(value: unknown): value is Duplex {
  if (typeof value !== "object" || value === null) return false;
  const stream = value as Partial<Duplex>; // each field is looked at
  return (
    typeof stream.write === "function" &&
    typeof stream.on === "function" &&
    typeof stream.destroy === "function" &&
    typeof stream.resume === "function"
  );
}
