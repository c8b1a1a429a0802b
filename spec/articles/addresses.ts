/**
 * (c) A dialer that prints the addresses of each new connection: if no new one appears, the connection was reused.
 *
 * With TCP keep-alive of 5 s, as in the article: the probe cannot be seen without a packet capture, but the kernel's
 * timer for it can. Then a server that closes what is idle: the next request takes a new address, and none fails.
 */

import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { Client, Transport, type TransportOptions, type UserDial } from "../../lib/index.ts";
import { keepAliveTimerMs, kernelIsReadable } from "./kernel.ts";
import type { Origin, OriginProcess } from "./origin-process.ts";
import type { Report } from "./report.ts";

const KEEP_ALIVE_MS = 5_000;

interface Printed {
  readonly localPort: number;
  readonly line: string;
}

/** Dials as anybody would with node:net, and notes what it dialed. The transport sets keep-alive on what it is given. */
function printingDialer(report: Report, dialed: Printed[]): UserDial {
  return async (target, signal) => {
    const socket = connect({
      host: target.host,
      port: target.port,
      signal,
      // Passed on, it keeps the transport's reads on their fast path.
      onread: target.onread,
    });
    await once(socket, "connect", { signal });
    const line = `${socket.localAddress}:${socket.localPort} → ${socket.remoteAddress}:${socket.remotePort}`;
    dialed.push({ localPort: socket.localPort ?? 0, line });
    report.say(`dialed ${line}`);
    return socket;
  };
}

export async function addresses(report: Report, server: OriginProcess, quick: boolean): Promise<void> {
  report.title(`(c) a dialer that prints addresses, TCP keep-alive ${KEEP_ALIVE_MS} ms`);
  await oneAddress(report, await server.listen());
  await closedWhileIdle(report, await server.listen());
  if (!quick) await closedAtAnyMoment(report, await server.listen({ idleMs: 20 }));
}

async function oneAddress(report: Report, origin: Origin): Promise<void> {
  const dialed: Printed[] = [];
  const transport = new Transport({ dial: printingDialer(report, dialed), tcpKeepAlive: KEEP_ALIVE_MS });
  const client = new Client({ transport });
  const ports = new Set<number | null>();
  for (let i = 0; i < 30; i++) {
    const response = await client.get(`${origin.url}/`);
    await response.text();
    ports.add(response.connection?.localPort ?? null);
  }
  report.check("30 requests use one address", dialed.length === 1 && ports.size === 1, `${dialed.length} dialed`);
  report.check(
    "the response tells the address that the dialer saw",
    ports.has(dialed[0]?.localPort ?? -1),
    [...ports].join(", "),
  );
  await checkProbe(report, dialed[0]?.localPort ?? 0, origin.port);
  await transport.close();
}

async function checkProbe(report: Report, localPort: number, remotePort: number): Promise<void> {
  if (!kernelIsReadable()) return report.say("keep-alive probe: no /proc/net/tcp here");
  // Right after an exchange the socket's one timer may still stand for a retransmission.
  let left = keepAliveTimerMs(localPort, remotePort);
  for (let tries = 0; left === null && tries < 50; tries++) {
    await setTimeout(10);
    left = keepAliveTimerMs(localPort, remotePort);
  }
  const armed = left !== null && left > 0 && left <= KEEP_ALIVE_MS;
  report.check("a keep-alive probe is armed within 5 s", armed, left === null ? "no timer" : `in ${left} ms`);
}

/** The server closes each time while the connection is idle, and the client has heard of it before it asks again. */
async function closedWhileIdle(report: Report, origin: Origin): Promise<void> {
  const rounds = 5;
  const dialed: Printed[] = [];
  const reasons: string[] = [];
  let closed = () => {};
  const options: TransportOptions = {
    dial: printingDialer(report, dialed),
    trace: (event) => {
      if (event.type !== "connection-closed") return;
      reasons.push(event.reason);
      closed();
    },
  };
  const transport = new Transport(options);
  const client = new Client({ transport });
  let failed = 0;
  for (let i = 0; i < rounds; i++) {
    try {
      await (await client.post(`${origin.url}/`, { body: "a body that must not be sent twice" })).text();
    } catch {
      // Its connection is gone already: there is no close to wait for.
      failed++;
      continue;
    }
    const heard = new Promise<void>((resolve) => {
      closed = resolve;
    });
    await origin.closeIdle();
    await heard;
  }
  const ports = new Set(dialed.map((one) => one.localPort));
  report.check(
    "after each idle close the next request has a new address",
    ports.size === rounds,
    `${ports.size} addresses`,
  );
  report.check("none of them fails", failed === 0, `${failed} failed`);
  const asMeant = reasons.every((reason) => reason === "server-closed-idle");
  report.check(
    "each close is told as what it was",
    asMeant && reasons.length === rounds,
    [...new Set(reasons)].join(", "),
  );
  await transport.close();
}

/**
 * The server closes after 20 ms idle, and the requests come after 10 to 30 ms: some of them cross a close on the wire.
 * `replay: "replayable"` is Go's rule, under which a GET on a pooled connection may go out again.
 */
async function closedAtAnyMoment(report: Report, origin: Origin): Promise<void> {
  const requests = 60;
  const ports = new Set<number | null>();
  const transport = new Transport({ replay: "replayable" });
  const client = new Client({ transport });
  let failed = 0;
  for (let i = 0; i < requests; i++) {
    try {
      const response = await client.get(`${origin.url}/`);
      await response.text();
      ports.add(response.connection?.localPort ?? null);
    } catch {
      failed++;
    }
    await setTimeout(10 + (20 * i) / requests);
  }
  const name = `${requests} requests around the moment at which the server closes: none fails`;
  report.check(name, failed === 0, `${failed} failed`);
  const { retries, closed } = transport.stats();
  const told = `${ports.size} addresses, ${closed["server-closed-idle"] ?? 0} closed while idle, ${retries} sent again`;
  report.check("some of them find their connection closed, some not", ports.size > 1 && ports.size < requests, told);
  await transport.close();
}
