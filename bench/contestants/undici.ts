/** What the bench uses of undici, and its `Pool.request` for every scenario. Its time-outs are as they come: 300 s each. */

import type { Target } from "../support/protocol.ts";
import { listenToChannels } from "./channels.ts";
import {
  awaiting,
  bytesOfJson,
  type Contestant,
  countBytes,
  LIMIT_MS,
  peer,
  pieces,
  requestBody,
} from "./contestant.ts";

export interface DispatchOptions {
  readonly origin?: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | AsyncIterable<Buffer>;
  readonly signal?: AbortSignal;
  readonly headersTimeout?: number;
  readonly bodyTimeout?: number;
}

export interface DispatchHandler {
  onConnect(abort: () => void): void;
  onHeaders(statusCode: number, headers: readonly Buffer[], resume: () => void): boolean;
  onData(chunk: Buffer): boolean;
  onComplete(trailers: readonly Buffer[]): void;
  onError(error: Error): void;
}

interface Body extends AsyncIterable<Uint8Array> {
  arrayBuffer(): Promise<ArrayBuffer>;
  json(): Promise<unknown>;
}

export interface Dispatcher {
  request(options: DispatchOptions): Promise<{ body: Body }>;
  dispatch(options: DispatchOptions, handler: DispatchHandler): boolean;
  compose(interceptor: unknown): Dispatcher;
  destroy(): Promise<void>;
}

export interface Undici {
  readonly Pool: new (origin: string, options: object) => Dispatcher;
  readonly interceptors: { redirect(options: { maxRedirections: number }): unknown };
}

export function makePool({ Pool }: Undici, target: Target): Dispatcher {
  return new Pool(new URL(target.url).origin, {
    connections: target.connections > 0 ? target.connections : target.workers,
    pipelining: target.pipelining,
    ...(target.keepsIdle ? { keepAliveTimeout: 600_000, keepAliveMaxTimeout: 600_000 } : {}),
    ...(target.socketPath === "" ? {} : { socketPath: target.socketPath }),
    ...(target.extra === "timeouts" ? { connect: { timeout: LIMIT_MS } } : {}),
  });
}

export function dispatchOptions(target: Target): DispatchOptions {
  const { method, path, headers, requestBytes, read } = target;
  return { method, path, headers, ...(requestBytes > 0 && read !== "stream" ? { body: requestBody(target) } : {}) };
}

export async function requesting(target: Target, name: "undici" | "undici-8"): Promise<Contestant> {
  const undici = await peer<Undici>(name);
  const made = makePool(undici, target);
  const redirected = target.paths.length > 1;
  const pool = redirected ? made.compose(undici.interceptors.redirect({ maxRedirections: 10 })) : made;
  const { read, extra, requestBytes } = target;
  if (extra === "hooks") listenToChannels("undici:");
  const limits = extra === "timeouts" ? { headersTimeout: LIMIT_MS, bodyTimeout: LIMIT_MS } : {};
  // Its interceptor resolves a Location against the origin of the options, not of the pool.
  const origin = redirected ? { origin: new URL(target.url).origin } : {};
  const fixed = { ...dispatchOptions(target), ...limits, ...origin };
  const send = () => {
    if (extra === "signal") return pool.request({ ...fixed, signal: new AbortController().signal });
    if (read === "stream" && requestBytes > 0) return pool.request({ ...fixed, body: pieces(requestBytes) });
    return pool.request(fixed);
  };
  const close = () => void made.destroy();
  if (read === "json") return awaiting(target, async () => bytesOfJson(await (await send()).body.json()), close);
  if (read === "stream") return awaiting(target, async () => countBytes((await send()).body), close);
  return awaiting(target, async () => (await (await send()).body.arrayBuffer()).byteLength, close);
}
