/**
 * The trailer fields of a request: their names are told in the head, their values come after the body, so that a digest
 * of what was streamed can be one. Which fields may not be trailers (RFC 9110 §6.5.1) the writer knows.
 *
 * RFC 9110 §6.5 (trailers), §6.6.2 (Trailer); RFC 9112 §7.1.2.
 */

import { LocalProtocolError } from "../errors.ts";
import { isToken } from "../wire/abnf.ts";
import { type HeaderPair, type HeadersInit, normaliseHeaders, sameName } from "./headers.ts";
import { kindOf, unknownOption } from "./options.ts";

export interface TrailersInit {
  /** For the Trailer field. No other field can come. */
  readonly names: Iterable<string>;
  /** The fields, or a function that is called after the last byte of the body, once for each sending. */
  readonly values: HeadersInit | (() => HeadersInit);
}

const TRAILER_NAMES: readonly string[] = ["names", "values"];

export class RequestTrailers {
  /** As given; at least one. */
  readonly names: readonly string[];
  readonly #values: () => readonly HeaderPair[];

  /** @throws {LocalProtocolError} a name that is no token; fields that were not announced */
  constructor(init: TrailersInit) {
    if (typeof init !== "object" || init === null || typeof init.names !== "object" || init.names === null) {
      throw new TypeError(`Option trailers must be { names, values }: it is ${kindOf(init)}`);
    }
    for (const option of Object.keys(init))
      if (!TRAILER_NAMES.includes(option)) throw unknownOption(`trailers.${option}`, TRAILER_NAMES, "trailers.");
    this.names = Object.freeze([...init.names].map((name) => checkedName(`${name}`)));
    if (this.names.length === 0)
      throw new LocalProtocolError("trailers", "Cannot make request: trailers have no names");
    const { values } = init;
    if (typeof values === "function") {
      this.#values = () => this.#announced(values());
    } else {
      const fixed = this.#announced(values);
      this.#values = () => fixed;
    }
  }

  /**
   * The fields to send. Runs the caller's function: whoever asks does so in the async context of the call.
   *
   * @throws what that function throws; {LocalProtocolError} a field that was not announced or is malformed
   */
  collect(): readonly HeaderPair[] {
    return this.#values();
  }

  #announced(init: HeadersInit): readonly HeaderPair[] {
    const pairs = normaliseHeaders(init);
    for (const [name] of pairs) {
      const lower = name.toLowerCase();
      if (this.names.some((known) => sameName(known, lower))) continue;
      throw new LocalProtocolError(
        `trailer ${name}`,
        `Cannot send request: trailer ${name} was not announced in names`,
      );
    }
    return pairs;
  }
}

function checkedName(name: string): string {
  if (!isToken(name)) {
    throw new LocalProtocolError(
      "trailers",
      `Cannot make request: trailer name ${JSON.stringify(name.slice(0, 64))} is no token`,
    );
  }
  return name;
}
