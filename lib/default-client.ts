/**
 * The client behind the functions of the module: `get(url)` and its kin. Made when this file is loaded, which costs
 * nothing to speak of: no connection, no parser and no timer is there before the first call. It goes through the proxies that the
 * environment names, as Go's does; a Transport of one's own does that where it is told to.
 *
 * Go net/http DefaultClient.
 */

import { type CallInit, Client, type RequestInput } from "./client.ts";
import type { Fetch } from "./fetch/fetch.ts";
import type { Response } from "./message/response.ts";
import { proxyFromEnvironment } from "./proxy/environment.ts";
import { Transport } from "./transport.ts";

/** Belongs to everybody, so nobody can end it: its `close()` is `closeIdleConnections()`. */
class SharedClient extends Client {
  override async close(): Promise<void> {
    this.closeIdleConnections();
  }
}

/**
 * Behind `get(url)` and its kin, with default options but one: `proxy: proxyFromEnvironment`, which a `new Client()` does
 * not have. `close()` closes what is idle and nothing else: other code of the program may be using it.
 */
export const defaultClient: Client = /* @__PURE__ */ new SharedClient({
  transport: /* @__PURE__ */ new Transport({ proxy: proxyFromEnvironment }),
});

/** `defaultClient.request`: any method, as given. */
export function request(method: string, url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.request(method, url, init);
}

export function get(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.get(url, init);
}

export function head(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.head(url, init);
}

export function options(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.options(url, init);
}

export function post(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.post(url, init);
}

export function put(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.put(url, init);
}

export function patch(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.patch(url, init);
}

/** DELETE, under a name that a module may have. */
export function del(url: RequestInput, init?: CallInit): Promise<Response> {
  return defaultClient.delete(url, init);
}

/** `defaultClient.fetch`: the standard call. */
export const fetch: Fetch = (input, init) => defaultClient.fetch(input, init);
