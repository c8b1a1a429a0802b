/** Squid, without a cache, and HAProxy in front of it for the way through TLS. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { PASSWORD, type RealProxy, USER } from "./real-proxy.ts";
import { givesUpRoot, versionOf } from "./real-server.ts";

/** Nobody listens there, and the configuration refuses it before that could matter. */
const REFUSED_PORT = 7;

export async function startSquid(site: Site): Promise<RealProxy> {
  const program = findOrInstall("squid", ["squid"]);
  const haproxy = findOrInstall("haproxy", ["haproxy"]);
  const [open = 0, guarded = 0, secured = 0] = await freePorts(3);
  const home = path.join(site.folder, `squid-${open}`);
  mkdirSync(home);
  const users = path.join(home, "users");
  const hash = execFileSync("openssl", ["passwd", "-apr1", PASSWORD], { encoding: "utf8" }).trim();
  writeFileSync(users, `${USER}:${hash}\n`);
  const config = path.join(home, "squid.conf");
  writeFileSync(config, squidConfiguration(open, guarded, users, home));
  const pem = path.join(home, "both.pem");
  writeFileSync(pem, readFileSync(site.cert, "utf8") + readFileSync(site.key, "utf8"));
  const front = path.join(home, "haproxy.cfg");
  writeFileSync(front, haproxyConfiguration(secured, open, pem));
  const squid = await startInstalled(program, ["-N", "-f", config], [open, guarded]);
  try {
    const terminator = await startInstalled(haproxy, ["-db", "-q", "-f", front], [secured]);
    return {
      version: versionOf(program, ["-v"]),
      open: `http://127.0.0.1:${open}`,
      withPassword: `http://127.0.0.1:${guarded}`,
      secured: `https://127.0.0.1:${secured}`,
      refusedPort: REFUSED_PORT,
      keepsAlive: true,
      async [Symbol.asyncDispose]() {
        await terminator[Symbol.asyncDispose]();
        await squid[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await squid[Symbol.asyncDispose]();
    throw error;
  }
}

function squidConfiguration(open: number, guarded: number, users: string, home: string): string {
  return `
http_port 127.0.0.1:${open} name=open
http_port 127.0.0.1:${guarded} name=guarded
auth_param basic program /usr/lib/squid/basic_ncsa_auth ${users}
auth_param basic realm interop
auth_param basic children 1
acl guarded myportname guarded
acl known proxy_auth REQUIRED
acl refused port ${REFUSED_PORT}
acl here src 127.0.0.1/32
http_access deny refused
http_access deny guarded !known
http_access allow here
http_access deny all
cache deny all
cache_mem 0
access_log none
cache_log /dev/null
cache_store_log none
netdb_filename none
pid_filename none
coredump_dir ${home}
${givesUpRoot ? "cache_effective_user proxy" : ""}
visible_hostname interop
shutdown_lifetime 0 seconds
`;
}

function haproxyConfiguration(port: number, behind: number, pem: string): string {
  return `
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:${port} ssl crt ${pem}
  default_backend back
backend back
  server squid 127.0.0.1:${behind}
`;
}
