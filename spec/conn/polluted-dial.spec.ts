/**
 * Dials while the prototype of all objects is polluted: node:net and node:tls ask their options for names that nobody
 * gave, and copy them into ordinary objects before they do.
 */

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import type { Conduit } from "../../lib/conn/conduit.ts";
import { Dialer, type Dialing, type DialOptions, type DialTarget } from "../../lib/conn/dial.ts";
import { unixDialer } from "../../lib/conn/unix.ts";
import { Client, Transport } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { polluted } from "../support/polluted.ts";
import { rawOrigin } from "../support/raw-proxy.ts";

const authority = new CertificateAuthority();
const tls = { ca: authority.cert };
const certificate = authority.issue({ names: ["IP:127.0.0.1"] });
const options: DialOptions = { dialTimeout: 10_000, tlsHandshakeTimeout: 10_000, tcpKeepAlive: 0, noDelay: false, tls };
const signal = new AbortController().signal;

const sockets: Socket[] = [];
const servers: Server[] = [];
const ports = { http: 0, https: 0 };
beforeAll(async () => {
  for (const scheme of ["http", "https"] as const) {
    const take = (socket: Socket) => void sockets.push(socket.on("error", () => {}));
    const server = scheme === "http" ? createServer(take) : createTlsServer(certificate, take);
    server.on("tlsClientError", () => {});
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports[scheme] = (server.address() as { port: number }).port;
  }
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
});

const thrower = () => {
  throw new Error("The prototype's function was called");
};
/** Where to go, what to go by, whom to trust: each would be heard if it were not named. */
const POLLUTIONS: [string, unknown][] = [
  ["path", "/nowhere.sock"],
  ["socketPath", "/nowhere.sock"],
  ["socket", {}],
  ["fd", 999],
  ["lookup", thrower],
  ["family", 6],
  ["hints", -1],
  ["localAddress", "203.0.113.1"],
  ["localPort", 1],
  ["timeout", 1],
  ["session", Buffer.from("no session")],
  ["ca", "nobody"],
  ["cert", "nobody"],
  ["secureContext", {}],
  ["servername", "other.test"],
  ["serverName", "other.test"],
  ["checkServerIdentity", thrower],
  ["rejectUnauthorized", false],
  ["pskCallback", thrower],
  ["ciphers", "none"],
  ["minVersion", "none"],
  ["label", "another"],
  ["tls", "proxy"],
];

async function standing(dialing: Dialing): Promise<Conduit["facts"]> {
  const conduit = await dialing.promise;
  conduit.destroy();
  return conduit.facts;
}

describe.each(["http", "https"] as const)("Dialer.start() for %s", (scheme) => {
  test.each(POLLUTIONS)("goes where it was told, with a polluted %s", async (name, value) => {
    const dialer = new Dialer(options, systemClock);
    const target: DialTarget = Object.assign(Object.create(null), { scheme, host: "127.0.0.1", port: ports[scheme] });
    const facts = await standing(polluted({ [name]: value }, () => dialer.start(target, signal, null)));
    expect(facts).toMatchObject({ remoteAddress: "127.0.0.1", remotePort: ports[scheme] });
    expect(facts.tls === null).toBe(scheme === "http");
    dialer.close();
  });
});

test("Dialer looks names up as it was told, with a polluted lookup and fallbackDelayMs", async () => {
  const dialer = new Dialer(options, systemClock);
  const target: DialTarget = { scheme: "http", host: "localhost", port: ports.http };
  await standing(polluted({ lookup: thrower, fallbackDelayMs: "x" }, () => dialer.start(target, signal, null)));
  dialer.close();
});

test.each(["path", "fd", "session", "servername"])(
  "unixDialer() and Transport go where they were told, with a polluted %s",
  async (name) => {
    const value = POLLUTIONS.find(([polluting]) => polluting === name)?.[1];
    const dial = unixDialer("/dev/null/is-no-folder");
    const target = { host: "x", port: 80, onread: { buffer: Buffer.alloc(1), callback: () => true } };
    const socket = polluted({ [name]: value }, () => dial(target, signal)) as Socket;
    const error = await new Promise((resolve) => socket.once("error", resolve));
    expect(error).toMatchObject({ address: "/dev/null/is-no-folder" });

    for (const secured of [undefined, certificate]) {
      await using origin = await rawOrigin(secured);
      await using transport = new Transport({ tls });
      const response = await polluted({ [name]: value }, () => new Client({ transport }).get(origin.url()));
      expect(await response.text()).toBe("the origin saw GET / HTTP/1.1");
    }
  },
);
