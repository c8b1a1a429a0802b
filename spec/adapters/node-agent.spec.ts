/** Requests of node:http and node:https over the agents, which dial as their Transport does. */

import { once } from "node:events";
import { Agent, type ClientRequest, get as httpGet, type IncomingMessage, type RequestOptions } from "node:http";
import { type RequestOptions as HttpsRequestOptions, get as httpsGet } from "node:https";
import { createConnection, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import axios from "axios";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type NodeAgents, nodeAgents } from "../../lib/adapters/node-agent.ts";
import {
  DialError,
  denyPrivateAddresses,
  ProxyError,
  TlsError,
  Transport,
  type TransportOptions,
} from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { type CountingServer, countingServer } from "../support/counting-server.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until as comesAbout, turns } from "../support/loop.ts";
import { fieldOf, rawProxy } from "../support/raw-proxy.ts";
import { socksProxy } from "../support/socks-proxy.ts";
import { SteeredClock } from "../support/steered-clock.ts";

checkLeaks();
const authority = new CertificateAuthority();
const certificate = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost", "DNS:origin.test"] });
const trust = { ca: authority.cert };

let http: CountingServer;
let https: CountingServer;
const held: { agents: NodeAgents; transport: Transport }[] = [];

beforeEach(async () => {
  const answer = (req: IncomingMessage, res: { end(text?: string): void }) => {
    if (req.url === "/silence") return;
    res.end(`${req.method} ${req.url} for ${req.headers.host}`);
  };
  http = await countingServer(answer);
  https = await countingServer(answer, { ...certificate, ALPNProtocols: ["h2", "http/1.1"] });
});
afterEach(async () => {
  for (const { agents, transport } of held.splice(0)) {
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
    await transport.destroy();
  }
  await http[Symbol.asyncDispose]();
  await https[Symbol.asyncDispose]();
});

function agentsOf(
  options: TransportOptions = {},
  own?: Parameters<typeof nodeAgents>[1],
  clock?: SteeredClock,
): NodeAgents {
  const transport = clock === undefined ? new Transport(options) : new Transport(options, clock);
  const agents = nodeAgents(transport, own);
  held.push({ agents, transport });
  return agents;
}

const until = (holds: () => boolean) => comesAbout(holds, `${holds}`);

/** A dialer that never connects, and tells whether it was given up. */
function stuck(): { dial: NonNullable<TransportOptions["dial"]>; asked: number; givenUp: number } {
  const state = {
    asked: 0,
    givenUp: 0,
    dial: (_: unknown, signal: AbortSignal) => {
      state.asked++;
      return new Promise<never>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          state.givenUp++;
          reject(signal.reason);
        });
      });
    },
  };
  return state;
}

async function ask(url: string, agents: NodeAgents, options: HttpsRequestOptions = {}): Promise<string> {
  const request = send(url, agents, options);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return text(response);
}

function send(url: string, agents: NodeAgents, options: RequestOptions & HttpsRequestOptions = {}): ClientRequest {
  return url.startsWith("https:")
    ? httpsGet(url, { ...options, agent: agents.httpsAgent })
    : httpGet(url, { ...options, agent: agents.httpAgent });
}

async function failure(request: ClientRequest): Promise<Error & { code?: string; cause?: unknown }> {
  const [error] = await once(request, "error");
  return error;
}

describe("nodeAgents(): sockets", () => {
  test("are used again, over http and https, as Node's agents do", async () => {
    const agents = agentsOf({ tls: trust });
    expect(agents.httpAgent).toBeInstanceOf(Agent);
    for (let i = 0; i < 5; i++) {
      expect(await ask(`${http.url}/${i}`, agents)).toBe(`GET /${i} for 127.0.0.1:${http.port}`);
      expect(await ask(`${https.url}/${i}`, agents)).toBe(`GET /${i} for 127.0.0.1:${https.port}`);
    }
    expect([http.accepted, https.accepted]).toEqual([1, 1]);
  });

  test("are as many as there are requests at once, or as maxSockets allows, those that are dialed counted", async () => {
    const agents = agentsOf({}, { maxSockets: 3 });
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => ask(`${http.url}/${i}`, agents)));
    expect(answers).toHaveLength(12);
    expect(http.accepted).toBe(3);
    expect(Object.values(agents.httpAgent.freeSockets).flat()).toHaveLength(3);
    expect(Object.keys(agents.httpAgent.sockets)).toEqual([]);
  });

  test("that fail make room for those who wait", async () => {
    let dials = 0;
    const transport: TransportOptions = {
      dial: ({ onread: _, ...target }) => {
        if (++dials === 1) throw new Error("not now");
        return byNode(target);
      },
    };
    const agents = agentsOf(transport, { maxSockets: 1 });
    const first = failure(send(`${http.url}/1`, agents));
    const second = ask(`${http.url}/2`, agents);
    expect((await first).message).toMatch(/the dialer failed/);
    expect(await second).toMatch(/^GET \/2/);
    expect([dials, (agents.httpAgent as unknown as { totalSocketCount: number }).totalSocketCount]).toEqual([2, 1]);
  });

  test("close with their server when they are idle, and another is dialed", async () => {
    const agents = agentsOf();
    await ask(`${http.url}/1`, agents);
    await until(() => Object.values(agents.httpAgent.freeSockets).flat().length === 1);
    http.server.closeIdleConnections();
    await until(() => Object.keys(agents.httpAgent.freeSockets).length === 0);
    await ask(`${http.url}/2`, agents);
    expect(http.accepted).toBe(2);
  });

  test("are told of in the transport's trace, and are none of its pool's", async () => {
    const events: string[] = [];
    const agents = agentsOf({ tls: trust, trace: ({ type }) => events.push(type) });
    await ask(`${https.url}/`, agents);
    expect(events).toEqual(["connect-start", "connect-done", "tls-start", "tls-done"]);
    expect(held[0]?.transport.stats()).toMatchObject({ dialed: 0, busy: 0, idle: 0 });
  });

  test("of both agents go to axios and its own adapter, which knows node:http alone", async () => {
    const instance = axios.create({ adapter: "http", proxy: false, ...agentsOf({ tls: trust }) });
    expect((await instance.get(`${http.url}/a`)).data).toBe(`GET /a for 127.0.0.1:${http.port}`);
    for (let i = 0; i < 3; i++) expect((await instance.post(`${https.url}/b`, "x")).status).toBe(200);
    expect([http.accepted, https.accepted]).toEqual([1, 1]);
  });
});

describe("nodeAgents(): the way", () => {
  test("leads through an HTTP proxy by CONNECT, for http too", async () => {
    await using proxy = await rawProxy();
    const agents = agentsOf({ tls: trust, proxy: proxy.url.replace("//", "//user:secret@") });
    expect(await ask(`${http.url}/a`, agents)).toBe(`GET /a for 127.0.0.1:${http.port}`);
    expect(await ask(`${https.url}/b`, agents)).toBe(`GET /b for 127.0.0.1:${https.port}`);
    expect(await ask(`${https.url}/c`, agents)).toBe(`GET /c for 127.0.0.1:${https.port}`);
    expect(proxy.connects.map((head) => head.split(" ")[1])).toEqual([
      `127.0.0.1:${http.port}`,
      `127.0.0.1:${https.port}`,
    ]);
    expect(fieldOf(proxy.connects[0], "proxy-authorization")).toMatch(/^Basic /);
    expect(proxy.heads).toHaveLength(2);
  });

  test("leads through an https proxy", async () => {
    await using proxy = await rawProxy({ tls: certificate });
    const agents = agentsOf({ tls: trust, proxy: proxy.url });
    expect(await ask(`${https.url}/b`, agents)).toBe(`GET /b for 127.0.0.1:${https.port}`);
    expect(proxy.connects).toHaveLength(1);
  });

  test("leads through a SOCKS proxy", async () => {
    await using proxy = await socksProxy();
    const agents = agentsOf({ tls: trust, proxy: proxy.url });
    expect(await ask(`${http.url}/a`, agents)).toMatch(/^GET \/a/);
    expect(await ask(`https://origin.test:${https.port}/b`, agents)).toBe(`GET /b for origin.test:${https.port}`);
    expect(proxy.asked).toEqual([`127.0.0.1:${http.port}`, `origin.test:${https.port}`]);
  });

  test("fails with a proxy that refuses, whose answer is in the cause", async () => {
    await using proxy = await rawProxy({
      onConnect: (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    });
    const error = await failure(send(`${http.url}/`, agentsOf({ proxy: proxy.url })));
    expect(error.cause).toBeInstanceOf(ProxyError);
    expect(error.cause).toMatchObject({ status: 403 });
  });

  test("is refused where the address policy says so", async () => {
    const error = await failure(send(`${http.url}/`, agentsOf({ allowAddress: denyPrivateAddresses })));
    expect(error.cause).toBeInstanceOf(DialError);
    expect(error.message).toMatch(/allowAddress refused/);
    expect(http.accepted).toBe(0);
  });

  test("is a dialer's of the user's", async () => {
    const targets: unknown[] = [];
    const agents = agentsOf({
      dial: ({ onread: _, ...target }) => {
        targets.push({ ...target });
        return byNode({ ...target, host: "127.0.0.1", port: http.port });
      },
    });
    expect(await ask("http://made.up/", agents)).toBe("GET / for made.up");
    expect(targets).toEqual([{ host: "made.up", port: 80 }]);
  });

  test.each(["socketPath", "lookup", "localAddress"])("is not the one that %s of a request names", async (name) => {
    const value = name === "lookup" ? () => {} : "/run/other";
    const error = await failure(send(`${http.url}/`, agentsOf(), { [name]: value }));
    expect(error.message).toContain(`Option ${name}`);
    expect(http.accepted).toBe(0);
  });
});

describe("nodeAgents(): TLS", () => {
  const socketOf = async (request: ClientRequest): Promise<TLSSocket> => {
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const { socket } = response; // Node takes it away at the end
    await text(response);
    return socket as TLSSocket; // of https
  };

  test("is verified by the transport's options", async () => {
    const socket = await socketOf(send(`${https.url}/`, agentsOf({ tls: trust })));
    expect([socket.authorized, socket.encrypted]).toEqual([true, true]);
    const error = await failure(send(`${https.url}/`, agentsOf()));
    expect(error.cause).toBeInstanceOf(TlsError);
    expect(error.code).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  });

  test("is pinned", async () => {
    const socket = await socketOf(send(`${https.url}/`, agentsOf({ tls: trust })));
    const pin = socket.getPeerCertificate().fingerprint256;
    expect(await ask(`${https.url}/`, agentsOf({ tls: { ...trust, pins: [pin] } }))).toMatch(/^GET/);
    const other = pin.replace(/^../, (byte) => (byte === "00" ? "11" : "00"));
    const error = await failure(send(`${https.url}/`, agentsOf({ tls: { ...trust, pins: [other] } })));
    expect(error.cause).toMatchObject({ code: "ERR_HTTP_TLS", pins: { expected: [other] } });
  });

  test("resumes the sessions of the transport", async () => {
    const agents = agentsOf({ tls: trust }, { keepAlive: false });
    expect((await socketOf(send(`${https.url}/1`, agents))).isSessionReused()).toBe(false);
    expect((await socketOf(send(`${https.url}/2`, agents))).isSessionReused()).toBe(true);
    expect(https.accepted).toBe(2);
  });

  test("has the options of the request over the transport's, on a socket of its own", async () => {
    const agents = agentsOf();
    const options = { ca: authority.cert, servername: "origin.test" };
    const socket = await socketOf(send(`${https.url}/1`, agents, options));
    expect([socket.authorized, socket.servername]).toEqual([true, "origin.test"]);
    await failure(send(`${https.url}/2`, agents));
    await socketOf(send(`${https.url}/3`, agents, options));
    expect(https.requests).toEqual(["GET /1", "GET /3"]);
    const lax = await socketOf(send(`${https.url}/4`, agents, { rejectUnauthorized: false }));
    expect(lax.authorized).toBe(false);
  });

  test("speaks HTTP/1.1, whatever the transport offers", async () => {
    const nobody = () => {
      throw new Error("nobody speaks it");
    };
    const agents = agentsOf({ tls: trust, nextProtocols: { h2: nobody } });
    expect((await socketOf(send(`${https.url}/`, agents))).alpnProtocol).toBe("http/1.1");
  });
});

describe("nodeAgents(): a dial that is given up", () => {
  test.each<[string, (request: ClientRequest) => void, string]>([
    ["destroy()", (request) => request.destroy(), "socket hang up"],
    ["destroy(error)", (request) => request.destroy(new Error("enough")), "enough"],
  ])("by %s ends at once", async (_, end, message) => {
    const way = stuck();
    const request = send(`${http.url}/`, agentsOf({ dial: way.dial }));
    const failed = failure(request);
    const closed = new Promise((resolve) => request.once("close", resolve));
    await until(() => way.asked === 1);
    end(request);
    expect((await failed).message).toBe(message);
    await closed;
    expect([way.givenUp, request.destroyed]).toEqual([1, true]);
  });

  test("by the request's signal ends at once", async () => {
    const way = stuck();
    const controller = new AbortController();
    const failed = failure(send(`${http.url}/`, agentsOf({ dial: way.dial }), { signal: controller.signal }));
    await until(() => way.asked === 1);
    controller.abort();
    expect((await failed).name).toBe("AbortError");
    expect(way.givenUp).toBe(1);
  });

  test("by agent.destroy() ends at once, with every other", async () => {
    const way = stuck();
    const agents = agentsOf({ dial: way.dial });
    const failed = [1, 2].map((n) => failure(send(`${http.url}/${n}`, agents)));
    await until(() => way.asked === 2);
    agents.httpAgent.destroy();
    expect((await Promise.all(failed)).map(({ code }) => code)).toEqual(["ECONNRESET", "ECONNRESET"]);
    expect(way.givenUp).toBe(2);
    expect((agents.httpAgent as unknown as { totalSocketCount: number }).totalSocketCount).toBe(0);
    expect(Object.keys(agents.httpAgent.sockets)).toEqual([]);
  });

  test("is told of by the request's time limit", async () => {
    const way = stuck();
    const clock = new SteeredClock();
    const request = send(`${http.url}/`, agentsOf({ dial: way.dial }, {}, clock), { timeout: 2_000 });
    const timedOut = once(request, "timeout");
    await until(() => way.asked === 1);
    await clock.advance(2_000);
    await timedOut;
    const failed = failure(request);
    request.destroy();
    await failed;
  });

  test("by the transport's limit says which", async () => {
    const clock = new SteeredClock();
    const way = stuck();
    const failed = failure(send(`${http.url}/`, agentsOf({ dial: way.dial, dialTimeout: 1_000 }, {}, clock)));
    await until(() => way.asked === 1);
    await clock.advance(1_000);
    const error = await failed;
    expect(error.code).toBe("ETIMEDOUT");
    expect(error.cause).toMatchObject({ option: "dialTimeout", limit: 1_000 });
  });

  test("while its tunnel is opened closes the proxy's connection", async () => {
    await using proxy = await rawProxy({ onConnect: () => {} });
    const request = send(`${https.url}/`, agentsOf({ tls: trust, proxy: proxy.url }));
    const failed = failure(request);
    await until(() => proxy.connects.length === 1);
    request.destroy();
    await failed;
    await until(() => proxy.sockets.every((socket: Socket) => socket.destroyed || socket.readableEnded));
  });
});

describe("nodeAgents(): failures", () => {
  test("have the system's code, and ours as their cause", async () => {
    const deaf = createServer().listen(0, "127.0.0.1");
    await once(deaf, "listening");
    const { port } = deaf.address() as { port: number };
    await new Promise((resolve) => deaf.close(resolve));
    const error = await failure(send(`http://127.0.0.1:${port}/`, agentsOf()));
    expect(error.code).toBe("ECONNREFUSED");
    expect(error.cause).toMatchObject({ code: "ERR_HTTP_DIAL", attempts: [{ outcome: "ECONNREFUSED" }] });
  });

  test("a closed transport dials no more", async () => {
    const agents = agentsOf();
    await held[0]?.transport.close();
    expect((await failure(send(`${http.url}/`, agents))).cause).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
  });

  test("a request that is aborted closes its connection", async () => {
    const agents = agentsOf();
    const request = send(`${http.url}/silence`, agents);
    const failed = failure(request);
    await once(http.server, "request");
    request.destroy();
    await failed;
    await http.openAtMost(0);
  });

  test("agent.destroy() leaves nothing, idle or at work, and leaves the transport alone", async () => {
    const agents = agentsOf({ tls: trust });
    await Promise.all([ask(`${http.url}/1`, agents), ask(`${https.url}/1`, agents)]);
    const failed = failure(send(`${http.url}/silence`, agents));
    await once(http.server, "request");
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
    await failed;
    await Promise.all([http.openAtMost(0), https.openAtMost(0)]);
    await turns(2);
    expect(await ask(`${http.url}/2`, agents)).toMatch(/^GET \/2/);
  });

  test("only a Transport has a dialer", () => {
    expect(() => nodeAgents({ roundTrip() {} } as never)).toThrow(/transport must be a Transport/);
  });
});

/** Dials by Node's own means. */
function byNode({ host, port }: { host: string; port: number }): Socket {
  return createConnection({ host, port });
}
