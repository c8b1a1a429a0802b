/**
 * A tunnel through a SOCKS5 proxy, spoken by the user's `socks` package over a stream that leads to the proxy. The package
 * is an optional peer: it is loaded when the first such proxy is used, and only then.
 *
 * Names always go to the proxy, with socks5 as with socks5h, and are never looked up here instead: whoever asks for a
 * proxy may do so in order that nobody here learns where one goes (CVE-2023-38545 is what became of a fallback).
 *
 * Never: lets the package's errors out. They carry the options, and those carry the password.
 *
 * RFC 1928 (SOCKS5), RFC 1929 (user name and password).
 */

import type { Duplex } from "node:stream";
import { ProxyError } from "../errors.ts";
import type { ProxyServer } from "./proxy-url.ts";

/** What is used of the package. */
interface SocksPackage {
  readonly SocksClient: {
    createConnection(options: object): Promise<{ readonly socket: Duplex }>;
  };
}

/** A variable: a literal would make the package a dependency to compilers and bundlers. */
const PACKAGE: string = "socks";

/** The package takes no 0; where our own limit is none, this one is out of the way. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/** Lengths stand in one byte (RFC 1928 §5, RFC 1929 §2). */
const LENGTH_MAX = 255;

/**
 * Has the proxy connect to `host`, and gives the stream that then leads there. The stream that was given is the tunnel's
 * from the call on; who wants to end the waiting destroys it.
 *
 * @param host a name or an address without brackets
 * @param limit in ms, 0 for none; the caller has its own, this one is for the package's timer
 * @throws {ProxyError} the package is missing, a length does not fit, or the proxy refused
 */
export async function socksThrough(
  stream: Duplex,
  proxy: ProxyServer,
  host: string,
  port: number,
  limit: number,
): Promise<Duplex> {
  const what = `Cannot open tunnel through proxy ${proxy.shown} to ${host.includes(":") ? `[${host}]` : host}:${port}`;
  const refuse = (state: string, cause?: unknown) =>
    new ProxyError(`${what}: ${state}`, null, { proxy: proxy.shown, ...(cause === undefined ? {} : { cause }) });
  const { credentials } = proxy;
  if (Buffer.byteLength(host) > LENGTH_MAX) throw refuse("the host's name is longer than 255 bytes");
  if (credentials !== null) {
    const { username, password } = credentials;
    if (username === "" || Buffer.byteLength(username) > LENGTH_MAX) {
      throw refuse("the user name must have 1 to 255 bytes");
    }
    if (Buffer.byteLength(password) > LENGTH_MAX) throw refuse("the password is longer than 255 bytes");
  }
  const { SocksClient } = await load(refuse);
  if (stream.destroyed) throw refuse("the connection was closed"); // meanwhile, and the package would wait for it
  try {
    const { socket } = await SocksClient.createConnection({
      command: "connect",
      proxy: {
        host: proxy.host,
        port: proxy.port,
        type: 5,
        ...(credentials === null ? {} : { userId: credentials.username, password: credentials.password }),
      },
      destination: { host, port },
      timeout: limit === 0 ? NO_LIMIT_MS : limit,
      existing_socket: stream,
    });
    return socket;
  } catch (error) {
    const state = error instanceof Error ? proxy.redact(error.message) : "it failed";
    throw refuse(state, new Error(state));
  }
}

async function load(refuse: (state: string, cause: unknown) => ProxyError): Promise<SocksPackage> {
  let loaded: unknown;
  try {
    loaded = await import(PACKAGE);
  } catch (cause) {
    throw refuse("SOCKS needs the package `socks`, which is not installed: npm install socks", cause);
  }
  const socks = loaded as Partial<SocksPackage>; // its one name is looked at
  if (typeof socks.SocksClient?.createConnection !== "function") {
    throw refuse("the package `socks` has no SocksClient.createConnection: version 2 is needed", undefined);
  }
  return socks as SocksPackage; // as just seen
}
