/**
 * A `fetch` over what the program already has: a Client, or any RoundTripper (a Transport, a cache, a mock).
 */

import { Client } from "../client.ts";
import { wrongType } from "../message/options.ts";
import type { RoundTripper } from "../round-tripper.ts";
import type { Fetch } from "./fetch.ts";

/**
 * The standard call over a client: `client.fetch`. Over a RoundTripper it is that of a new Client around it, which is never
 * closed by anybody but whoever closes the RoundTripper.
 *
 * @throws {TypeError} neither of them
 * @example
 * const fetch = createFetch(new Client({ transport: new Transport({ proxy: "http://proxy.example:3128" }) }));
 * const sdk = new SomeSdk({ fetch });
 */
export function createFetch(client: Client | RoundTripper): Fetch {
  if (client instanceof Client) return client.fetch;
  if (typeof client !== "object" || client === null || typeof client.roundTrip !== "function") {
    throw wrongType("client", "a Client, or an object with roundTrip()", client);
  }
  return new Client({ transport: client }).fetch;
}
