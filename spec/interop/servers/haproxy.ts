/**
 * HAProxy in front of nginx, both ours, in the foreground. HAProxy has no limit of requests on a client's connection:
 * what nginx behind it closes, it dials anew on its own side.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { startNginx } from "./nginx.ts";
import { type RealServer, versionOf } from "./real-server.ts";

export async function startHaproxy(site: Site): Promise<RealServer> {
  const program = findOrInstall("haproxy", ["haproxy"]);
  const behind = await startNginx(site);
  try {
    const [port = 0] = await freePorts(1);
    const home = path.join(site.folder, `haproxy-${port}`);
    mkdirSync(home);
    const config = path.join(home, "haproxy.cfg");
    writeFileSync(config, configuration(port, new URL(behind.stock).host));
    const running = await startInstalled(program, ["-db", "-q", "-f", config], [port]);
    const origin = `http://127.0.0.1:${port}`;
    return {
      version: `${versionOf(program, ["-v"])} in front of nginx ${behind.version}`,
      lifted: origin,
      stock: origin,
      requestsPerConnection: null,
      limitName: "no limit",
      async [Symbol.asyncDispose]() {
        await running[Symbol.asyncDispose]();
        await behind[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await behind[Symbol.asyncDispose]();
    throw error;
  }
}

function configuration(port: number, behind: string): string {
  return `
global
  maxconn 512
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:${port}
  http-response set-header x-client-port %[src_port]
  default_backend back
backend back
  server nginx ${behind}
`;
}
