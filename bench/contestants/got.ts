/** got with a keep-alive agent, the body taken as a Buffer; retries and the rest as they come. */
import type { Target } from "../support/protocol.ts";
import { makeAgents } from "./agents.ts";
import { awaiting, bytesOfJson, type Contestant, LIMIT_MS, peer, requestBody } from "./contestant.ts";

interface Got {
  readonly default: (url: string, options: object) => Promise<{ body: unknown }>;
}

export async function open(target: Target): Promise<Contestant> {
  const { default: got } = await peer<Got>("got");
  const { method, headers, read, extra, socketPath, path } = target;
  const url = socketPath === "" ? target.url : `http://unix:${socketPath}:${path}`;
  const limits = {
    lookup: LIMIT_MS,
    connect: LIMIT_MS,
    secureConnect: LIMIT_MS,
    socket: LIMIT_MS,
    send: LIMIT_MS,
    response: LIMIT_MS,
    read: LIMIT_MS,
    request: LIMIT_MS,
  };
  const fixed = {
    method,
    headers,
    agent: makeAgents(target),
    responseType: read === "json" ? "json" : "buffer",
    ...(socketPath === "" ? {} : { enableUnixSockets: true }),
    ...(target.requestBytes > 0 ? { body: requestBody(target) } : {}),
    ...(extra === "timeouts" ? { timeout: limits } : {}),
  };
  const send = () => got(url, extra === "signal" ? { ...fixed, signal: new AbortController().signal } : fixed);
  if (read === "json") return awaiting(target, async () => bytesOfJson((await send()).body));
  return awaiting(target, async () => ((await send()).body as Buffer).length); // what responseType "buffer" gives
}
