/**
 * HTTP/2, on node:http2: `new Transport({ nextProtocols: { h2: h2() } })`. A server that chooses http/1.1 by ALPN is
 * served as without it, and node:http2 is not loaded then.
 */

import type { NextProtocol, NextProtocolConn, NextProtocolConnection } from "../next-protocol.ts";
import { H2Connection } from "./connection.ts";
import { type H2Options, resolveH2Options } from "./options.ts";

export type { H2Options } from "./options.ts";

/**
 * Speaks HTTP/2 on the connections where ALPN chose `h2`.
 *
 * @throws {TypeError} unknown or wrong options
 * @example
 * const client = new Client({ transport: new Transport({ nextProtocols: { h2: h2() } }) });
 */
export function h2(options: H2Options = {}): NextProtocol {
  const resolved = resolveH2Options(options);
  return (connection) => new H2Connection(connection, resolved);
}

/** Speaks HTTP/2 on one secured connection: what `h2()` does for each, for those who dial by themselves. */
export function http2RoundTripper(connection: NextProtocolConnection, options: H2Options = {}): NextProtocolConn {
  return new H2Connection(connection, resolveH2Options(options));
}
