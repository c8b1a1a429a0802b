/**
 * A Client whose URLs are paths under a base, and which goes nowhere else: `api.get("users/7")`. What it is given as text is
 * a path; URLs and Requests are absolute and pass where they are under the base.
 *
 * Owns:  the transport, where none was given: `close()` closes that one and no other.
 * Never: sends to anywhere else, a redirect of the server's or a `checkRedirect` of the caller's neither.
 */

import { type CallInit, Client, type ClientOptions, type RequestInput } from "../client.ts";
import type { Fetch } from "../fetch/fetch.ts";
import type { Response } from "../message/response.ts";
import { Transport } from "../transport.ts";
import { BaseUrl, withBaseUrl } from "./base-url.ts";

/**
 * @example
 * const api = new BaseUrlClient("https://api.example/v1/", { timeout: 10_000 });
 * await api.post("users", { json: { name: "ann" } });
 */
export class BaseUrlClient extends Client {
  readonly base: BaseUrl;
  readonly #own: Transport | null;
  #boundFetch: Fetch | null = null;

  /** @throws {TypeError} no base, or unknown or wrong options */
  constructor(base: string | URL | BaseUrl, options: ClientOptions = {}) {
    const within = base instanceof BaseUrl ? base : new BaseUrl(base);
    const own = options?.transport === undefined ? new Transport() : null;
    super({ ...options, transport: withBaseUrl(options?.transport ?? (own as Transport), within) }); // one of the two is there
    this.base = within;
    this.#own = own;
  }

  /** As a Client's, with a path for a URL: so are `get`, `post` and the others. */
  override request(method: string, url: RequestInput, init?: CallInit): Promise<Response> {
    try {
      return super.request(method, typeof url === "string" ? this.base.resolve(url) : url, init);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As a Client's, with a path for a URL. */
  override get fetch(): Fetch {
    const { base } = this;
    const absolute = super.fetch;
    this.#boundFetch ??= (input, init) => {
      if (typeof input !== "string") return absolute(input, init);
      try {
        return absolute(base.resolve(input), init);
      } catch (error) {
        return Promise.reject(new TypeError((error as Error).message, { cause: error })); // as fetch refuses a URL
      }
    };
    return this.#boundFetch;
  }

  override async close(): Promise<void> {
    await this.#own?.close();
  }
}
