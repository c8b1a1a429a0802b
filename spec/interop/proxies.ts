/**
 * What a program relies on behind the proxies of this world: connections are kept as far as the proxy keeps them, tunnels
 * lead where they should, and a proxy that wants a password, refuses or dies is told as what it is.
 *
 * Connections are counted by a relay of ours in front of the proxy, not by what the client says.
 */

import { once } from "node:events";
import net from "node:net";
import {
  Client,
  type HttpError,
  ProxyError,
  type Response,
  type TraceOption,
  Transport,
  type TransportOptions,
} from "../../lib/index.ts";
import { slowDialMs } from "../../lib/pool/pool.ts";
import { portOf } from "../support/child.ts";
import { count, expect, type Report, textOf } from "../support/report.ts";
import { startDante } from "./servers/dante.ts";
import { startNodeHttp, startNodeHttps } from "./servers/node.ts";
import { PASSWORD, type RealProxy, type StartProxy, USER } from "./servers/real-proxy.ts";
import type { RealServer } from "./servers/real-server.ts";
import { startSquid } from "./servers/squid.ts";
import { startTinyproxy } from "./servers/tinyproxy.ts";
import type { Site } from "./site.ts";

/** By the name that `--only` takes. */
export const PROXIES: Readonly<Record<string, StartProxy>> = {
  squid: startSquid,
  tinyproxy: startTinyproxy,
  dante: startDante,
};

const WORKERS = 16;
const FEW = 10;

/** A relay of bytes that counts connections. */
interface Relay extends AsyncDisposable {
  readonly port: number;
  connections: number;
}

async function relayTo(port: number): Promise<Relay> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (near) => {
    relay.connections++;
    const far = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket.setNoDelay(true));
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        (socket === near ? far : near).destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const relay = {
    port: portOf(server),
    connections: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return relay;
}

/** The same proxy behind a relay, with credentials where they are given. */
async function through<T>(
  proxy: string,
  userinfo: string,
  site: Site,
  options: TransportOptions,
  run: (client: Client, transport: Transport, relay: Relay) => Promise<T>,
): Promise<T> {
  const { protocol, port } = new URL(proxy);
  await using relay = await relayTo(Number(port));
  const transport = new Transport({
    tls: { ca: site.ca },
    proxy: `${protocol}//${userinfo}127.0.0.1:${relay.port}`,
    ...options,
  });
  try {
    return await run(new Client({ transport }), transport, relay);
  } finally {
    await transport.destroy();
  }
}

/** Starts one proxy, puts it through everything, and ends it. */
export async function checkProxy(name: string, report: Report, site: Site, gets: number, quick: boolean) {
  const start = PROXIES[name];
  if (start === undefined) throw new Error(`no proxy is called ${name}`);
  if (name === "dante" && !(await hasSocks())) {
    report.skip(name, "the package `socks`, an optional peer, is not installed (npm install --no-save socks)");
    return;
  }
  let proxy: RealProxy;
  try {
    proxy = await start(site);
  } catch (error) {
    if (quick) report.skip(name, textOf(error));
    else report.fail(name, textOf(error));
    return;
  }
  console.log(`\n${name}: ${proxy.version}`);
  const plain = await startNodeHttp(site);
  const secure = await startNodeHttps(site);
  const all: Ways = { proxy, plain, secure, site };
  try {
    const once = proxy.keepsAlive === false ? gets : 1;
    const { open, secured, keepsAlive } = proxy;
    const way = keepsAlive === null ? "SOCKS" : "CONNECT";
    await report.check(`${name}: http`, () => sequential(all, open, plain, patience(proxy), gets, once));
    await report.check(`${name}: https (${way})`, () => sequential(all, open, secure, {}, gets, 1));
    if (keepsAlive !== null) {
      const tunnel = { proxyTunnel: true };
      await report.check(`${name}: http (CONNECT)`, () => sequential(all, open, plain, tunnel, gets, 1));
    }
    await report.check(`${name}: ${WORKERS} workers, https (${way})`, () => workers(all, gets));
    if (secured !== null) {
      await report.check(`${name} behind TLS: http`, () => sequential(all, secured, plain, {}, gets, 1));
      await report.check(`${name} behind TLS: https (CONNECT)`, () => sequential(all, secured, secure, {}, gets, 1));
    }
    await report.check(`${name}: with a password`, () => password(all));
    if (proxy.refusedPort !== null) {
      const { refusedPort } = proxy;
      await report.check(`${name}: refuses a target`, () => refuses(all, refusedPort));
    }
    await report.check(`${name}: cannot reach a target`, () => unreachable(all));
    await report.check(`${name}: dies in the middle of an answer`, () => dies(all));
  } finally {
    await plain[Symbol.asyncDispose]();
    await secure[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  }
}

/**
 * A proxy that closes behind each answer and does not say so is found out only where the close was polled in time; where
 * it was not, Go's rule sends a GET again, and ours tells the caller. Here it is Go's.
 */
function patience({ keepsAlive }: RealProxy): TransportOptions {
  return keepsAlive === false ? { replay: "replayable" } : {};
}

interface Ways {
  readonly proxy: RealProxy;
  readonly plain: RealServer;
  readonly secure: RealServer;
  readonly site: Site;
}

async function hasSocks(): Promise<boolean> {
  const name: string = "socks"; // a variable: the package is no dependency of this one
  return import(name).then(
    () => true,
    () => false,
  );
}

async function getSmall(client: Client, origin: string, site: Site): Promise<Response> {
  const answer = await client.get(`${origin}/small.txt`);
  const body = Buffer.from(await answer.bytes());
  expect(answer.status === 200, `status ${answer.status}: ${body.toString("latin1", 0, 200)}`);
  expect(body.equals(site.small), `another body: ${JSON.stringify(body.toString("latin1", 0, 100))}`);
  expect(answer.connection?.proxy?.includes("@") === false, `connection.proxy is ${answer.connection?.proxy}`);
  return answer;
}

function sequential(all: Ways, proxy: string, to: RealServer, options: TransportOptions, gets: number, due: number) {
  return through(proxy, "", all.site, options, async (client, transport, relay) => {
    for (let i = 0; i < gets; i++) await getSmall(client, to.lifted, all.site);
    return figures(transport, relay, gets, due);
  });
}

function figures(transport: Transport, relay: Relay, gets: number, due: number): string {
  const { dialed, retries } = transport.stats();
  const text = `${count(gets)} requests, dials ${count(dialed)}, connections seen by the proxy ${count(relay.connections)}`;
  expect(dialed === due && relay.connections === due, `${text}, where ${due} of each are due`);
  expect(retries === 0 || due > 1, `${retries} retries over one connection`);
  return retries === 0 ? text : `${text}; ${retries} sent again`;
}

function workers(all: Ways, gets: number): Promise<string> {
  const each = Math.ceil(gets / WORKERS);
  const slow = new SlowDials();
  return through(all.proxy.open, "", all.site, { trace: slow.trace }, async (client, transport, relay) => {
    const used = new Set<number | undefined>();
    const work = async () => {
      for (let i = 0; i < each; i++) used.add((await getSmall(client, all.secure.lifted, all.site)).connection?.id);
    };
    await Promise.all(Array.from({ length: WORKERS }, work));
    const { dialed } = transport.stats();
    const seen = relay.connections;
    const text = `${count(WORKERS * each)} requests over ${used.size} connections, dials ${dialed}, seen by the proxy ${seen}`;
    // What is idle may have answered before the last dials were done: those are seen, and not yet counted as dials.
    const right = used.size <= dialed && dialed <= seen && seen <= WORKERS + slow.count && !used.has(undefined);
    const slowly = slow.count === 0 ? "" : ` and ${slow.count} for slow dials`;
    expect(right, `${text}, where none may be more than the next, nor than ${WORKERS}${slowly}`);
    return text + (slow.count === 0 ? "" : `; ${slow.count} dials were slow`);
  });
}

/** Counts dials on which nobody but their own request counted any more: the pool may have begun another in their place. */
class SlowDials {
  #done = 0;
  readonly #begun = new Map<number | null, number>();
  readonly trace: TraceOption = {
    groups: ["dial"],
    on: ({ type, call, at }) => {
      if (type === "dial-start") this.#begun.set(call, at);
      else if (type === "dial-done") {
        if (at - (this.#begun.get(call) ?? at) >= slowDialMs) this.#done++;
        this.#begun.delete(call);
      }
    },
  };

  get count(): number {
    const now = performance.now(); // the clock of events
    return this.#done + [...this.#begun.values()].filter((at) => now - at >= slowDialMs).length;
  }
}

/** Right, wrong and none, for requests to the proxy and for tunnels. */
async function password(all: Ways): Promise<string> {
  const { proxy, plain, secure, site } = all;
  const right = `${USER}:${encodeURIComponent(PASSWORD)}@`;
  await through(proxy.withPassword, right, site, patience(proxy), async (client, _, relay) => {
    for (const { lifted } of [plain, secure]) for (let i = 0; i < FEW; i++) await getSmall(client, lifted, site);
    const due = (proxy.keepsAlive === false ? FEW : 1) + 1;
    expect(relay.connections === due, `${relay.connections} connections, where ${due} are due`);
  });
  const statuses = new Set<string>();
  for (const userinfo of ["", `${USER}:wrong-password@`]) {
    await through(proxy.withPassword, userinfo, site, {}, async (client) => {
      for (const { lifted } of [plain, secure]) {
        const asRequest = proxy.keepsAlive !== null && lifted === plain.lifted;
        const got = await outcome(client, `${lifted}/small.txt`);
        const status = got instanceof ProxyError || !(got instanceof Error) ? got.status : null;
        const right = asRequest ? !(got instanceof Error) : got instanceof ProxyError;
        // Tinyproxy takes itself for the origin, and answers 401.
        const due: readonly (number | null)[] = proxy.keepsAlive === null ? [null] : [407, 401];
        expect(right && due.includes(status), `${lifted} gave ${told(got)}`);
        statuses.add(`${status ?? "refused"}`);
        expect(!told(got).includes("wrong-password"), "the password is in the error");
      }
    });
  }
  return `${2 * FEW} requests with it; without it and with another: ${[...statuses].join(", ")}`;
}

async function outcome(client: Client, url: string): Promise<Response | HttpError> {
  try {
    const answer = await client.get(url);
    await answer.bytes();
    return answer;
  } catch (error) {
    return error as HttpError; // whatever it is, it is judged by the caller
  }
}

function told(got: Response | HttpError): string {
  return got instanceof Error ? textOf(got) : `status ${got.status}`;
}

async function refuses({ proxy, site }: Ways, port: number): Promise<string> {
  const words: string[] = [];
  for (const scheme of ["http", "https"]) {
    await through(proxy.open, "", site, {}, async (client, transport) => {
      const got = await outcome(client, `${scheme}://127.0.0.1:${port}/`);
      const asRequest = proxy.keepsAlive !== null && scheme === "http";
      const due = proxy.keepsAlive === null ? null : 403;
      const status = got instanceof ProxyError || !(got instanceof Error) ? got.status : undefined;
      expect((asRequest ? !(got instanceof Error) : got instanceof ProxyError) && status === due, told(got));
      if (got instanceof ProxyError && due !== null) expect(got.body.length > 0, "the error has no body");
      expect(transport.stats().dialing === 0 && transport.stats().busy === 0, "something is left");
      words.push(got instanceof Error ? `${scheme}: ${got.name} ${status ?? ""}`.trim() : `${scheme}: ${got.status}`);
    });
  }
  return words.join(", ");
}

/** A port where nobody listens. */
async function unreachable({ proxy, site }: Ways): Promise<string> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return through(proxy.open, "", site, {}, async (client) => {
    const got = await outcome(client, `https://127.0.0.1:${port}/`);
    expect(got instanceof ProxyError, told(got));
    return `ProxyError ${got.status ?? got.message}`;
  });
}

/** The proxy is killed while an answer comes through it, and the caller must learn of it, in both ways. */
async function dies({ proxy }: Ways): Promise<string> {
  const sockets = new Set<net.Socket>();
  const endless = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(5000)}`));
  });
  endless.listen(0, "127.0.0.1");
  await once(endless, "listening");
  const url = `http://127.0.0.1:${portOf(endless)}/`;
  const modes: TransportOptions[] = proxy.keepsAlive === null ? [{}] : [{}, { proxyTunnel: true }];
  try {
    const readers: Promise<unknown>[] = [];
    const transports = modes.map((mode) => new Transport({ proxy: proxy.open, ...mode }));
    for (const transport of transports) {
      const answer = await new Client({ transport }).get(url);
      readers.push(answer.bytes().catch((error: unknown) => error));
    }
    await proxy[Symbol.asyncDispose]();
    const errors = await Promise.all(readers);
    const names = errors.map((error) => (error instanceof Error ? error.name : "a body"));
    expect(
      names.every((name) => /^(IncompleteBody|ConnectionClosed)Error$/.test(name)),
      names.join(", "),
    );
    const after: string[] = [];
    for (const transport of transports) {
      const got = await outcome(new Client({ transport }), url);
      expect(got instanceof Error && got.proxy === proxy.open, told(got));
      after.push(got.name);
      await transport.destroy();
    }
    return `${names.join(", ")}; the next request: ${after.join(", ")}`;
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => endless.close(resolve));
  }
}
