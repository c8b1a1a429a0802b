/**
 * Caddy, in the foreground, without its administration, its certificates and its home. It is Go's http.Server, which
 * has no limit of requests on a connection.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { type RealServer, versionOf } from "./real-server.ts";

export async function startCaddy(site: Site): Promise<RealServer> {
  const program = findOrInstall("caddy", ["caddy"]);
  const [port = 0] = await freePorts(1);
  const home = path.join(site.folder, `caddy-${port}`);
  mkdirSync(home);
  const config = path.join(home, "Caddyfile");
  writeFileSync(config, configuration(site, port));
  const args = ["run", "--config", config, "--adapter", "caddyfile"];
  const running = await startInstalled(program, args, [port], {
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_DATA_HOME: home,
  });
  const origin = `http://127.0.0.1:${port}`;
  return {
    version: versionOf(program, ["version"]),
    lifted: origin,
    stock: origin,
    requestsPerConnection: null,
    limitName: "no limit",
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function configuration(site: Site, port: number): string {
  return `
{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  header {
    x-client-port {http.request.remote.port}
    defer
  }
  reverse_proxy /upload 127.0.0.1:${site.uploadPort}
  file_server {
    root ${site.root}
  }
}
`;
}
