/**
 * Ours, as users get it: the built dist/index.js, a Client on a Transport with its defaults (timers, pool, the turn
 * before a reuse: all on), the URL as a string, the body taken with `bytes()`. Only with more workers than the pool keeps
 * idle connections (256) is it told to keep as many.
 */
import type { Target } from "../support/protocol.ts";
import { awaiting, bytesOfJson, type Contestant, countBytes, LIMIT_MS, pieces, requestBody } from "./contestant.ts";

type Ours = typeof import("../../lib/index.ts");

const TIMEOUTS = {
  dialTimeout: LIMIT_MS,
  tlsHandshakeTimeout: LIMIT_MS,
  writeTimeout: LIMIT_MS,
  responseHeaderTimeout: LIMIT_MS,
  expectContinueTimeout: LIMIT_MS,
  bodyTimeout: LIMIT_MS,
  unreadBodyTimeout: LIMIT_MS,
  stalledReaderTimeout: LIMIT_MS,
  poolTimeout: LIMIT_MS,
} as const;

export function makeTransport({ Transport, unixDialer }: Ours, target: Target) {
  const kept = target.workers > 256 ? { maxIdleConnsPerHost: target.workers, maxIdleConns: target.workers } : {};
  return new Transport({
    ...kept,
    ...(target.limited ? { maxConnsPerHost: target.workers, poolTimeout: 600_000 } : {}),
    ...(target.connections > 0 ? { maxConnsPerHost: target.connections, pipelining: target.pipelining } : {}),
    ...(target.socketPath === "" ? {} : { dial: unixDialer(target.socketPath) }),
    ...(target.extra === "timeouts" ? TIMEOUTS : {}),
    // Every group of events, and a listener that does nothing with them.
    ...(target.extra === "hooks" ? { trace: () => {} } : {}),
    ...target.ownOptions?.transport,
  });
}

export async function open(target: Target): Promise<Contestant> {
  // The built file is not in the type program; its source is.
  const ours = (await import(target.persistconn)) as Ours;
  const transport = makeTransport(ours, target);
  const client = new ours.Client({ transport });
  const { url, headers, method, read, extra } = target;
  const streams = read === "stream";
  const body = streams ? undefined : requestBody(target);
  const fixed = { headers, ...(extra === "timeouts" ? { timeout: LIMIT_MS } : {}), ...target.ownOptions?.call };
  const init = () => {
    if (extra === "signal") return { ...fixed, signal: new AbortController().signal };
    return fixed;
  };
  const posted = method === "POST" && body !== undefined ? { ...fixed, body } : fixed;
  const send = () => {
    if (method === "POST") return client.post(url, streams ? { ...fixed, body: pieces(target.requestBytes) } : posted);
    return method === "HEAD" ? client.head(url, init()) : client.get(url, init());
  };
  const close = () => void transport.close();
  if (read === "json") return awaiting(target, async () => bytesOfJson(await (await send()).json()), close);
  if (streams) return awaiting(target, async () => countBytes(await send()), close);
  return awaiting(target, async () => (await (await send()).bytes()).byteLength, close);
}
