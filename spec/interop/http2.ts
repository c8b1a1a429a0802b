/**
 * HTTP/2 through `nextProtocols`, against nginx and node:http2: a thousand requests at once over one connection, bodies in
 * both directions, and HTTP/1.1 where the server chooses that. Connections are counted by the servers.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import path from "node:path";
import { h2 } from "../../lib/h2/index.ts";
import { Client, Transport } from "../../lib/index.ts";
import { freePorts, portOf, startInstalled } from "../support/child.ts";
import { findOrInstall } from "../support/install.ts";
import { count, expect, type Report, textOf } from "../support/report.ts";
import { givesUpRoot, versionOf } from "./servers/real-server.ts";
import type { Site } from "./site.ts";

const AT_ONCE = 1_000;

export async function checkHttp2(report: Report, site: Site, rounds: number, quick: boolean): Promise<void> {
  await withNode(site, async (origin) => {
    console.log(`\nnode:http2: ${process.versions.node}`);
    await report.check(`node:http2: ${count(AT_ONCE)} at once`, () => atOnce(origin, site, rounds));
    await report.check("node:http2: a body up and down", () => echo(origin, site));
  });
  let nginx: Awaited<ReturnType<typeof startNginx>>;
  try {
    nginx = await startNginx(site);
  } catch (error) {
    if (quick) report.skip("nginx: http2", textOf(error));
    else report.fail("nginx: http2", textOf(error));
    return;
  }
  console.log(`nginx: ${nginx.version}`);
  try {
    await report.check(`nginx: ${count(AT_ONCE)} at once over HTTP/2`, () => atOnce(nginx.h2, site, rounds));
    await report.check("nginx: http/1.1 where it offers no h2", () => plain(nginx.h1, site));
  } finally {
    await nginx.close();
  }
}

function clientOf(site: Site): { client: Client; transport: Transport } {
  const transport = new Transport({ tls: { ca: site.ca }, nextProtocols: { h2: h2({ whenFull: "wait" }) } });
  return { client: new Client({ transport }), transport };
}

async function atOnce(origin: string, site: Site, rounds: number): Promise<string> {
  const { client, transport } = clientOf(site);
  const ports = new Set<string | null>();
  try {
    for (let round = 0; round < rounds; round++) {
      const one = async () => {
        const res = await client.get(`${origin}/small.txt`);
        ports.add(res.headers.get("x-client-port"));
        expect(res.httpVersion === "2" && res.status === 200, `HTTP/${res.httpVersion} ${res.status}`);
        expect(site.small.equals(await res.bytes()), "another body");
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
    }
    const { dialed, retries } = transport.stats();
    const text = `${count(AT_ONCE * rounds)} requests, dials ${dialed}, connections seen ${ports.size}, sent again ${retries}`;
    expect(dialed === 1 && ports.size === 1, `${text}, where one connection is due`);
    return text;
  } finally {
    await transport.destroy();
  }
}

async function echo(origin: string, site: Site): Promise<string> {
  const { client, transport } = clientOf(site);
  try {
    const bytes = 16 * 2 ** 20;
    const piece = Buffer.alloc(64 * 1024, 7);
    const body = async function* () {
      for (let sent = 0; sent < bytes; sent += piece.length) yield piece;
    };
    const back = await (await client.post(`${origin}/echo`, { body })).bytes();
    expect(back.length === bytes && back.every((byte) => byte === 7), `${back.length} bytes came back`);
    return `${count(bytes)} bytes`;
  } finally {
    await transport.destroy();
  }
}

async function plain(origin: string, site: Site): Promise<string> {
  const { client, transport } = clientOf(site);
  try {
    for (let i = 0; i < 10; i++) {
      const res = await client.get(`${origin}/small.txt`);
      expect(res.httpVersion === "1.1" && site.small.equals(await res.bytes()), `HTTP/${res.httpVersion}`);
    }
    const { dialed } = transport.stats();
    expect(dialed === 1, `${dialed} dials`);
    return "10 requests, dials 1";
  } finally {
    await transport.destroy();
  }
}

async function withNode(site: Site, run: (origin: string) => Promise<void>): Promise<void> {
  const server = createSecureServer({ cert: readFileSync(site.cert), key: readFileSync(site.key) });
  server.on("sessionError", () => {});
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "x-client-port": `${stream.session?.socket.remotePort}` });
    if (headers[":path"] === "/echo") stream.pipe(stream);
    else stream.end(site.small);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`https://127.0.0.1:${portOf(server)}`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function startNginx(site: Site) {
  const program = findOrInstall("nginx", ["nginx-light", "nginx"]);
  const [two = 0, one = 0] = await freePorts(2);
  const home = path.join(site.folder, `nginx-h2-${two}`);
  mkdirSync(home);
  const config = path.join(home, "nginx.conf");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${home}/${kind};`,
  );
  const server = (port: number, protocol: string) => `server {
    listen 127.0.0.1:${port} ssl${protocol};
    ssl_certificate ${site.cert}; ssl_certificate_key ${site.key};
    root ${site.root};
    keepalive_requests 1000000000;
    add_header x-client-port $remote_port;
  }`;
  writeFileSync(
    config,
    `daemon off; worker_processes 1; ${givesUpRoot ? "user www-data;" : ""}
    pid ${home}/nginx.pid; error_log ${home}/error.log; events { worker_connections 1024; }
    http { ${temporary.join(" ")} access_log off; ${server(two, " http2")} ${server(one, "")} }`,
  );
  const args = ["-p", home, "-c", config, "-e", path.join(home, "error.log")];
  const running = await startInstalled(program, args, [two, one]);
  const origin = (port: number) => `https://127.0.0.1:${port}`;
  const close = () => running[Symbol.asyncDispose]();
  return { version: versionOf(program, ["-v"]), h2: origin(two), h1: origin(one), close };
}
