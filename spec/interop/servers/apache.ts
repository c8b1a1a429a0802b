/**
 * Apache httpd with the event MPM, in the foreground, all files in the site's folder.
 *
 * `MaxKeepAliveRequests` is 100 as it comes, and means a hundred answers that leave the connection open: the one
 * after them says close, so that a connection carries 101 requests.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { givesUpRoot, type RealServer, versionOf } from "./real-server.ts";

const MODULES = "/usr/lib/apache2/modules";
/** Some builds have these compiled in, and then no file for them. */
const WANTED = ["mpm_event", "unixd", "authz_core", "env", "headers", "proxy", "proxy_http"];

export async function startApache(site: Site): Promise<RealServer> {
  const program = findOrInstall("apache2", ["apache2"]);
  const [lifted = 0, stock = 0] = await freePorts(2);
  const home = path.join(site.folder, `apache-${lifted}`);
  mkdirSync(home);
  const config = path.join(home, "httpd.conf");
  writeFileSync(config, configuration(site, home, lifted, stock));
  const running = await startInstalled(program, ["-f", config, "-D", "FOREGROUND"], [lifted, stock]);
  return {
    version: versionOf(program, ["-v"]),
    lifted: `http://127.0.0.1:${lifted}`,
    stock: `http://127.0.0.1:${stock}`,
    requestsPerConnection: 101,
    limitName: "MaxKeepAliveRequests 100",
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

function configuration(site: Site, home: string, lifted: number, stock: number): string {
  const modules = WANTED.filter((name) => existsSync(`${MODULES}/mod_${name}.so`))
    .map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`)
    .join("\n");
  // Threads enough for all workers of a check at once: an event MPM that runs short of them ends idle connections.
  return `
ServerRoot ${home}
ServerName localhost
PidFile ${home}/httpd.pid
DefaultRuntimeDir ${home}
ErrorLog ${home}/error.log
Listen 127.0.0.1:${lifted}
Listen 127.0.0.1:${stock}
${modules}
${givesUpRoot ? "User www-data\nGroup www-data" : ""}
StartServers 2
ServerLimit 2
ThreadsPerChild 100
ThreadLimit 100
MaxRequestWorkers 200
MinSpareThreads 1
MaxSpareThreads 200
LimitRequestBody 0
DocumentRoot ${site.root}
<Directory ${site.root}>
  Require all granted
</Directory>
SetEnv proxy-sendchunked 1
ProxyPass /upload http://127.0.0.1:${site.uploadPort}/upload
Header always unset x-client-port
Header set x-client-port "expr=%{REMOTE_PORT}"
<VirtualHost 127.0.0.1:${lifted}>
  MaxKeepAliveRequests 0
</VirtualHost>
<VirtualHost 127.0.0.1:${stock}>
</VirtualHost>
`;
}
