/** The options of HTTP/2: names, defaults, and the check that refuses what cannot be meant. Pure. */

import { unknownOption, wrongType } from "../message/options.ts";

export interface H2Options {
  /** Requests at once on one connection at most, where the peer allows more. Default 0: what the peer allows. */
  maxConcurrentStreams?: number;
  /**
   * Where a connection has no room for another request: "dial" another one, as far as `maxConnsPerHost` goes; or "wait"
   * for room, `poolTimeout` at most, as RFC 9113 §9.1 has it (Go's StrictMaxConcurrentStreams). Default "dial", as Go.
   */
  whenFull?: "dial" | "wait";
  /** Bytes that may come for one response before somebody reads them: what an unread one costs. Default 256 KiB. */
  initialWindowSize?: number;
  /** The same for the whole connection. Default 16 MiB. */
  connectionWindowSize?: number;
  /** Nothing came for so long, in ms, though something is in flight: a ping is sent. Default 30 s; 0 sends none. */
  readIdleTimeout?: number;
  /** Who does not answer a ping within so long, in ms, is gone. Default 15 s, as Go. ConnectionClosedError. */
  pingTimeout?: number;
}

export type ResolvedH2Options = Required<H2Options>;

export const H2_DEFAULTS: ResolvedH2Options = {
  maxConcurrentStreams: 0,
  whenFull: "dial",
  initialWindowSize: 256 * 1024,
  connectionWindowSize: 16 * 1024 * 1024,
  readIdleTimeout: 30_000,
  pingTimeout: 15_000,
};

/** The largest window there is (RFC 9113 §6.9.1). */
const WINDOW_MAX = 2 ** 31 - 1;

/** @throws {TypeError} an unknown name, a wrong type, a number out of range */
export function resolveH2Options(options: H2Options): ResolvedH2Options {
  if (typeof options !== "object" || options === null) throw wrongType("options", "an object", options);
  const resolved: Record<string, unknown> = { ...H2_DEFAULTS };
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(H2_DEFAULTS, name)) throw unknownOption(name, Object.keys(H2_DEFAULTS));
    if (value === undefined) continue;
    check(name, value);
    resolved[name] = value;
  }
  return resolved as ResolvedH2Options; // every name of H2_DEFAULTS is there, and every other was checked
}

function check(name: string, value: unknown): void {
  if (name === "whenFull") {
    if (value !== "dial" && value !== "wait") throw wrongType(name, '"dial" or "wait"', value);
  } else if (name.endsWith("Timeout")) {
    if (typeof value !== "number" || !(value >= 0) || value === Number.POSITIVE_INFINITY) {
      throw wrongType(name, "a number of milliseconds, 0 or more (0 means none)", value);
    }
  } else if (name.endsWith("Size")) {
    const fits = typeof value === "number" && Number.isInteger(value) && value >= 65_535 && value <= WINDOW_MAX;
    if (!fits) throw wrongType(name, `a whole number of bytes, 65,535 to ${WINDOW_MAX}`, value);
  } else if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw wrongType(name, "a whole number, 0 or more", value);
  }
}
