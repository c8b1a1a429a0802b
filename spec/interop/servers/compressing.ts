/**
 * Real servers that encode what they serve: nginx (gzip, br by its module), Apache (gzip, br) and HAProxy (deflate, and
 * raw deflate under the same name) as they go; nginx and Apache also files that were deflated before, since neither does
 * that itself. All files are in the site's folder.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePorts, startInstalled } from "../../support/child.ts";
import { findOrInstall, findOrInstallFile } from "../../support/install.ts";
import type { Site } from "../site.ts";
import { givesUpRoot, versionOf } from "./real-server.ts";

interface CompressingServer extends AsyncDisposable {
  readonly version: string;
  /** By what it sends: `gzip`, `deflate`, `raw deflate`, `br`: the URL below which the files are, with its slash. */
  readonly codings: Readonly<Record<string, string>>;
}

/** Where the files are: `plain/` to be encoded as they go, `deflate/` under the same names encoded already. */
type StartCompressing = (site: Site, files: string) => Promise<CompressingServer>;

const NGINX_BROTLI = "/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so";
const APACHE_MODULES = "/usr/lib/apache2/modules";

async function startNginx(site: Site, files: string): Promise<CompressingServer> {
  const program = findOrInstall("nginx", ["nginx-light", "nginx"]);
  const module = findOrInstallFile(NGINX_BROTLI, "libnginx-mod-http-brotli-filter");
  const [gzip = 0, br = 0] = await freePorts(2);
  const home = path.join(site.folder, `nginx-${gzip}`);
  mkdirSync(home);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${home}/${kind};`)
    .join("\n  ");
  const config = path.join(home, "nginx.conf");
  writeFileSync(
    config,
    `
load_module ${module};
daemon off;
worker_processes 1;
${givesUpRoot ? "user www-data;" : ""}
pid ${home}/nginx.pid;
error_log ${home}/error.log;
events { worker_connections 1024; }
http {
  ${temporary}
  access_log off;
  default_type application/json;
  keepalive_requests 1000000;
  root ${files};
  server {
    listen 127.0.0.1:${gzip};
    gzip on;
    gzip_types application/json;
    location /deflate/ { gzip off; add_header Content-Encoding deflate; }
  }
  server {
    listen 127.0.0.1:${br};
    brotli on;
    brotli_types application/json;
  }
}
`,
  );
  const args = ["-p", home, "-c", config, "-e", path.join(home, "error.log")];
  const running = await startInstalled(program, args, [gzip, br]);
  return {
    version: versionOf(program, ["-v"]),
    codings: {
      gzip: `http://127.0.0.1:${gzip}/plain/`,
      deflate: `http://127.0.0.1:${gzip}/deflate/`,
      br: `http://127.0.0.1:${br}/plain/`,
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function startApache(site: Site, files: string): Promise<CompressingServer> {
  const program = findOrInstall("apache2", ["apache2"]);
  const [gzip = 0, br = 0] = await freePorts(2);
  const home = path.join(site.folder, `apache-${gzip}`);
  mkdirSync(home);
  const wanted = ["mpm_event", "unixd", "authz_core", "headers", "filter", "mime", "deflate", "brotli"];
  const modules = wanted
    .filter((name) => existsSync(`${APACHE_MODULES}/mod_${name}.so`))
    .map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`)
    .join("\n");
  const config = path.join(home, "httpd.conf");
  writeFileSync(
    config,
    `
ServerRoot ${home}
ServerName localhost
PidFile ${home}/httpd.pid
DefaultRuntimeDir ${home}
ErrorLog ${home}/error.log
Listen 127.0.0.1:${gzip}
Listen 127.0.0.1:${br}
${modules}
${givesUpRoot ? "User www-data\nGroup www-data" : ""}
MaxKeepAliveRequests 0
DocumentRoot ${files}
TypesConfig /dev/null
<Directory ${files}>
  Require all granted
  ForceType application/json
</Directory>
<VirtualHost 127.0.0.1:${gzip}>
  <Location /plain/>
    SetOutputFilter DEFLATE
  </Location>
  <Location /deflate/>
    Header set Content-Encoding deflate
  </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:${br}>
  SetOutputFilter BROTLI_COMPRESS
</VirtualHost>
`,
  );
  const running = await startInstalled(program, ["-f", config, "-D", "FOREGROUND"], [gzip, br]);
  return {
    version: versionOf(program, ["-v"]),
    codings: {
      gzip: `http://127.0.0.1:${gzip}/plain/`,
      deflate: `http://127.0.0.1:${gzip}/deflate/`,
      br: `http://127.0.0.1:${br}/plain/`,
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function startHaproxy(site: Site, files: string): Promise<CompressingServer> {
  const program = findOrInstall("haproxy", ["haproxy"]);
  const behind = await startApache(site, files);
  try {
    const ports = await freePorts(3);
    const [gzip = 0, deflate = 0, raw = 0] = ports;
    const config = path.join(site.folder, `haproxy-${gzip}.cfg`);
    const front = (name: string, port: number) => `
frontend ${name}
  bind 127.0.0.1:${port}
  filter compression
  compression algo ${name}
  compression type application/json
  compression offload
  default_backend back
`;
    writeFileSync(
      config,
      `
global
  maxconn 512
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${front("gzip", gzip)}${front("deflate", deflate)}${front("raw-deflate", raw)}
backend back
  server apache ${new URL(behind.codings["gzip"] ?? "").host}
`,
    );
    const running = await startInstalled(program, ["-db", "-q", "-f", config], ports);
    return {
      version: versionOf(program, ["-v"]),
      codings: {
        gzip: `http://127.0.0.1:${gzip}/plain/`,
        deflate: `http://127.0.0.1:${deflate}/plain/`,
        "raw deflate": `http://127.0.0.1:${raw}/plain/`,
      },
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

export const COMPRESSING: Readonly<Record<string, StartCompressing>> = {
  nginx: startNginx,
  apache: startApache,
  haproxy: startHaproxy,
};
