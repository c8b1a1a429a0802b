/**
 * nginx, in clear and over TLS. One master and one worker, in the foreground, all files in the site's folder.
 *
 * `keepalive_requests` is 1000 as it comes (since 1.19.10): the answer to the thousandth request says close.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { givesUpRoot, type RealServer, versionOf } from "./real-server.ts";

const NO_LIMIT = "keepalive_requests 1000000000; keepalive_time 24h;";

/** nginx, and how to reach its processes: the file in which the master has its id. */
export interface Nginx extends RealServer {
  readonly pidFile: string;
}

export const startNginx = (site: Site): Promise<Nginx> => start(site, false);
export const startNginxTls = (site: Site): Promise<Nginx> => start(site, true);

async function start(site: Site, tls: boolean): Promise<Nginx> {
  const program = findOrInstall("nginx", ["nginx-light", "nginx"]);
  const [lifted = 0, stock = 0] = await freePorts(2);
  const home = path.join(site.folder, `nginx-${lifted}`);
  mkdirSync(home);
  const config = path.join(home, "nginx.conf");
  writeFileSync(config, configuration(site, home, tls, lifted, stock));
  // -e: its first messages would go to /var/log/nginx, which another user may not write
  const args = ["-p", home, "-c", config, "-e", path.join(home, "error.log")];
  const running = await startInstalled(program, args, [lifted, stock]);
  const scheme = tls ? "https" : "http";
  return {
    version: versionOf(program, ["-v"]),
    lifted: `${scheme}://127.0.0.1:${lifted}`,
    stock: `${scheme}://127.0.0.1:${stock}`,
    requestsPerConnection: 1000,
    limitName: "keepalive_requests 1000",
    pidFile: path.join(home, "nginx.pid"),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function configuration(site: Site, home: string, tls: boolean, lifted: number, stock: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${home}/${kind};`)
    .join("\n  ");
  const secure = tls ? `ssl_certificate ${site.cert}; ssl_certificate_key ${site.key};` : "";
  const server = (port: number, limit: string) => `
  server {
    listen 127.0.0.1:${port}${tls ? " ssl" : ""};
    ${secure}
    ${limit}
    root ${site.root};
    add_header x-client-port $remote_port;
    location = /upload {
      proxy_pass http://127.0.0.1:${site.uploadPort};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_hide_header x-client-port;
      proxy_request_buffering off;
      client_max_body_size 0;
    }
    location = /chunked {
      proxy_pass http://127.0.0.1:${site.uploadPort};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }`;
  return `
daemon off;
worker_processes 1;
${givesUpRoot ? "user www-data;" : ""}
pid ${home}/nginx.pid;
error_log ${home}/error.log;
events { worker_connections 1024; }
http {
  ${temporary}
  access_log off;
  ${server(lifted, NO_LIMIT)}
  ${server(stock, "")}
}
`;
}
