/**
 * Loaded before an example: every name is an address of this machine, and the well-known ports are those of the world
 * that world.ts made, so that the example runs as it stands on the page.
 */

import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import tls from "node:tls";

const ports = JSON.parse(process.env.EXAMPLE_PORTS ?? "{}");
/** Where an example's own address leads; what goes over a socket or a path stays. */
function here(options) {
  const { port, path, socket } = options;
  return (path ?? socket) ? options : { ...options, host: "127.0.0.1", port: ports[port] ?? 1 };
}

dns.lookup = async () => [{ address: "127.0.0.1", family: 4 }];
for (const module of [net, tls]) {
  const { connect } = module;
  module.connect = (options, ...rest) => connect(here(options), ...rest);
}
syncBuiltinESMExports();
