/**
 * Whose credentials are for whom: the options that all kinds of authentication have, and the origins that they are bound
 * to. A request to any other origin, the first or where a redirect leads, goes out without; so does one that brings an
 * Authorization of its own.
 *
 * Over plain http a password or a token can be read by everybody on the way. RFC 6750 §5.3 forbids it for tokens, RFC 7617
 * §4 warns of it for passwords; so an http origin is refused when the wrapper is made, unless the caller says that it is meant.
 *
 * RFC 9110 §11.5 (protection space), §11.6.2 (Authorization).
 */

import { kindOf } from "../message/options.ts";
import type { Request } from "../message/request.ts";

/** One origin or several: `https://api.example`, without a path. */
export type Origins = string | URL | readonly (string | URL)[];

export interface BoundOptions {
  /** To whom the credentials are sent. Nobody else sees them. Required. */
  origins: Origins;
  /** Allows origins of plain http. Default false. */
  allowHttp?: boolean;
}

/** The origins, as the standard serialises them. */
export class Bound {
  readonly #origins: ReadonlySet<string>;

  /** @throws {TypeError} none, one that is none, or one of http where that is not allowed */
  constructor(origins: Origins | undefined, allowHttp: boolean) {
    const list = Array.isArray(origins) ? origins : [origins];
    if (list.length === 0) throw wrongOrigins("the list is empty");
    this.#origins = new Set(list.map((one) => originOf(one, allowHttp)));
  }

  /** Whether a request gets the credentials. */
  covers(request: Request): boolean {
    return this.#origins.has(request.destination.origin) && !request.hasField("authorization");
  }
}

function originOf(given: unknown, allowHttp: boolean): string {
  if (typeof given !== "string" && kindOf(given) !== "URL") throw wrongOrigins(`one is ${kindOf(given)}`);
  let url: URL;
  try {
    url = new URL(`${given}`);
  } catch {
    throw wrongOrigins("one is no absolute URL"); // it may have a password in it
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw wrongOrigins(`one is of scheme ${url.protocol.slice(0, -1)}`);
  if (url.username !== "" || url.password !== "") throw wrongOrigins("one has a user name or a password");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw wrongOrigins(`one is more than an origin: ${url.origin} is all that counts`);
  if (url.protocol === "http:" && !allowHttp) {
    throw wrongOrigins(`${url.origin} is plain http, where everybody on the way reads what is sent (option allowHttp)`);
  }
  return url.origin;
}

function wrongOrigins(problem: string): TypeError {
  return new TypeError(`Option origins must be an origin as https://host, or a list of them: ${problem}`);
}

/** RFC 7617 §2, RFC 7616 §3.4: text, and no control characters. */
export const isCredential = (value: unknown): string | null =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  typeof value === "string" && !/[\0-\x1f\x7f-\x9f]/.test(value) ? null : "a string without control characters";

/** @throws {TypeError} it is not there */
export function required<T>(name: string, value: T | undefined): T {
  if (value === undefined) throw new TypeError(`Option ${name} is required`);
  return value;
}

/** The request with these credentials. */
export function withAuthorization(request: Request, value: string): Request {
  return request.with({ headers: [["Authorization", value], ...request.pairs] });
}

/** Whether a request can be sent once more when it is refused. */
export function canRepeat({ body }: Request): boolean {
  return body === null || body.regenerable;
}
