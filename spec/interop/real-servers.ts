/**
 * What a program relies on when it talks to the servers of this world: connections are kept, limits are kept, bodies
 * arrive whole in both directions, and big ones do not pile up in memory.
 */

import { createHash } from "node:crypto";
import { startProgram } from "../support/child.ts";
import { keystream } from "../support/keystream.ts";
import { count, expect, mebibytes, type Report, seconds, textOf } from "../support/report.ts";
import { type CountedClient, countedClient } from "./counted-client.ts";
import { startApache } from "./servers/apache.ts";
import { startCaddy } from "./servers/caddy.ts";
import { startHaproxy } from "./servers/haproxy.ts";
import { startNginx, startNginxTls } from "./servers/nginx.ts";
import { startNodeHttp, startNodeHttps } from "./servers/node.ts";
import type { Received } from "./servers/origin.ts";
import type { RealServer, StartServer } from "./servers/real-server.ts";
import type { Site } from "./site.ts";
import type { TransferReport, TransferSettings } from "./transfer.ts";

/** How much of each; `--quick` asks for less. */
export interface Scale {
  readonly sequential: number;
  readonly perWorker: number;
}

/** By the name that `--only` takes. */
export const SERVERS: Readonly<Record<string, StartServer>> = {
  nginx: startNginx,
  "nginx-tls": startNginxTls,
  apache: startApache,
  haproxy: startHaproxy,
  caddy: startCaddy,
  "node-http": startNodeHttp,
  "node-https": startNodeHttps,
};

const WORKERS = 64;
const HEADS = 10;
const UPLOAD_BYTES = 10 * 2 ** 20;
/** What the memory of a client may grow while a body of any size passes through it. */
const GROWTH_MAX = 48 * 2 ** 20;

/** Starts one server, puts it through everything, and ends it. */
export async function checkServer(name: string, report: Report, site: Site, scale: Scale, quick: boolean) {
  const start = SERVERS[name];
  if (start === undefined) throw new Error(`no server is called ${name}`);
  let server: RealServer;
  try {
    server = await start(site);
  } catch (error) {
    // On a developer's machine it may be missing; the whole run is there to say so.
    if (quick) report.skip(name, textOf(error));
    else report.fail(name, textOf(error));
    return;
  }
  console.log(`\n${name}: ${server.version}`);
  try {
    const trust = () => countedClient({ tls: { ca: site.ca } });
    const check = (what: string, run: (counted: CountedClient) => Promise<string>) =>
      report.check(`${name}: ${what}`, async () => {
        await using counted = trust();
        return await run(counted);
      });
    await check("sequential GETs, limit lifted", (c) => sequential(c, server.lifted, site, scale.sequential, 1));
    const [gets, dials] = stockLoad(server, scale.sequential, quick);
    await check(`sequential GETs, ${server.limitName}`, (c) => sequential(c, server.stock, site, gets, dials));
    await check(`${WORKERS} workers`, (c) => workers(c, server.lifted, site, scale.perWorker));
    await check(`HEAD ${HEADS} times, then GET`, (c) => heads(c, server.lifted, site));
    await check("POST bodies, in memory and streamed", (c) => posts(c, server.lifted, site));
    await report.check(`${name}: download to a slow reader`, () => bigBody(server.lifted, site, "download"));
    await report.check(`${name}: upload to a slow reader`, () => bigBody(server.lifted, site, "upload"));
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

/** Requests that reach past the limit (twice in a whole run), and the dials that they must cost. */
function stockLoad(server: RealServer, sequentialGets: number, quick: boolean): [gets: number, dials: number] {
  const each = server.requestsPerConnection;
  if (each === null) return [sequentialGets, 1];
  const gets = Math.max(sequentialGets, (quick ? 1 : 2) * each + 1);
  return [gets, Math.ceil(gets / each)];
}

async function getSmall(counted: CountedClient, origin: string, site: Site): Promise<void> {
  const answer = await counted.client.get(`${origin}/small.txt`);
  counted.through(answer);
  const body = Buffer.from(await answer.bytes());
  expect(answer.status === 200, `status ${answer.status}`);
  expect(body.equals(site.small), `another body: ${JSON.stringify(body.toString("latin1", 0, 100))}`);
}

function expectConnections(counted: CountedClient, holds: (n: number) => boolean, wanted: string): string {
  const { dials, used, ports } = counted;
  const figures = `dials ${dials}, connections used ${used.size}, seen by the server ${ports.size}`;
  expect(holds(dials) && used.size <= dials, `${figures}, where ${wanted} dials are due, and no more used`);
  expect(ports.size === used.size, `${figures}, where the last two must agree`);
  return figures;
}

async function sequential(counted: CountedClient, origin: string, site: Site, gets: number, dials: number) {
  for (let i = 0; i < gets; i++) await getSmall(counted, origin, site);
  return `${count(gets)} requests, ${expectConnections(counted, (n) => n === dials, `exactly ${dials}`)}`;
}

async function workers(counted: CountedClient, origin: string, site: Site, each: number): Promise<string> {
  const work = async () => {
    for (let i = 0; i < each; i++) await getSmall(counted, origin, site);
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  return `${count(WORKERS * each)} requests, ${expectConnections(counted, (n) => n <= WORKERS, `at most ${WORKERS}`)}`;
}

async function heads(counted: CountedClient, origin: string, site: Site): Promise<string> {
  for (let i = 0; i < HEADS; i++) {
    const answer = await counted.client.head(`${origin}/small.txt`);
    counted.through(answer);
    expect(answer.status === 200, `status ${answer.status}`);
    expect(answer.headers.get("content-length") === String(site.small.length), "another content-length");
    expect((await answer.bytes()).length === 0, "a body");
  }
  await getSmall(counted, origin, site);
  return `${HEADS + 1} requests, ${expectConnections(counted, (n) => n === 1, "exactly 1")}`;
}

async function posts(counted: CountedClient, origin: string, site: Site): Promise<string> {
  const whole = Buffer.concat([...keystream(site.seed + 1, UPLOAD_BYTES)]);
  async function* streamed() {
    for (let at = 0; at < whole.length; at += 50_000) yield whole.subarray(at, at + 50_000);
  }
  const bodies: [Buffer, Buffer | AsyncGenerator<Uint8Array>][] = [];
  for (const bytes of [0, 2048, whole.length]) bodies.push([whole.subarray(0, bytes), whole.subarray(0, bytes)]);
  bodies.push([whole, streamed()]);
  for (const [sent, body] of bodies) {
    const answer = await counted.client.post(`${origin}/upload`, { body });
    counted.through(answer);
    expect(answer.status === 200, `status ${answer.status} for ${count(sent.length)} bytes`);
    const received: Received = JSON.parse(await answer.text()); // the site's origin answers so
    expectSame(received, { bytes: sent.length, sha256: createHash("sha256").update(sent).digest("hex") });
  }
  const figures = expectConnections(counted, (n) => n === 1, "exactly 1");
  return `0 B, 2 KiB, 10 MiB, 10 MiB chunked: same SHA-256, ${figures}`;
}

async function bigBody(origin: string, site: Site, way: "download" | "upload"): Promise<string> {
  const settings: TransferSettings = { origin, ca: site.ca, way, bytes: site.bigBytes, seed: site.seed };
  await using transfer = await startProgram<null, TransferReport>(new URL("./transfer.ts", import.meta.url), settings);
  const report = await transfer.report();
  if (way === "download") expectSame(report, { bytes: site.bigBytes, sha256: site.bigSha256 });
  else expectSame(report.received, { bytes: site.bigBytes, sha256: report.sha256 });
  const growth = report.residentMost - report.residentBefore;
  const memory = `memory ${mebibytes(report.residentBefore)} + ${mebibytes(growth)}`;
  expect(growth < GROWTH_MAX, `${memory}, where ${mebibytes(GROWTH_MAX)} more are allowed`);
  return `${mebibytes(site.bigBytes)} in ${seconds(report.ms)}, same SHA-256, ${memory}`;
}

function expectSame(received: Received | null, sent: Received): void {
  expect(received !== null && received.bytes === sent.bytes, `${received?.bytes} bytes arrived of ${sent.bytes}`);
  expect(received.sha256 === sent.sha256, `${count(sent.bytes)} bytes arrived with another SHA-256`);
}
