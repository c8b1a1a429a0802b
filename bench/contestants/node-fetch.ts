/** node-fetch with a keep-alive agent, the body taken with `arrayBuffer()`. */
import type { Target } from "../support/protocol.ts";
import { makeAgents } from "./agents.ts";
import { awaiting, bytesOfJson, type Contestant, LIMIT_MS, peer, requestBody } from "./contestant.ts";

interface NodeFetch {
  readonly default: (
    url: string,
    init: object,
  ) => Promise<{ arrayBuffer(): Promise<ArrayBuffer>; json(): Promise<unknown> }>;
}

export async function open(target: Target): Promise<Contestant> {
  const { default: fetch } = await peer<NodeFetch>("node-fetch");
  const { url, method, headers, read, extra, socketPath, tls } = target;
  // It has no option for a unix socket; its agent dials what it is told.
  const agents = makeAgents(target, socketPath === "" ? {} : { socketPath });
  const agent = tls ? agents.https : agents.http;
  const fixed = { method, headers, agent, ...(target.requestBytes > 0 ? { body: requestBody(target) } : {}) };
  const send = () => {
    if (extra === "signal") return fetch(url, { ...fixed, signal: new AbortController().signal });
    if (extra === "timeouts") return fetch(url, { ...fixed, signal: AbortSignal.timeout(LIMIT_MS) });
    return fetch(url, fixed);
  };
  if (read === "json") return awaiting(target, async () => bytesOfJson(await (await send()).json()));
  return awaiting(target, async () => (await (await send()).arrayBuffer()).byteLength);
}
