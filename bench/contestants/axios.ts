/** axios (its http adapter) with keep-alive agents, the body taken as a Buffer; defaults otherwise. */
import type { Target } from "../support/protocol.ts";
import { makeAgents } from "./agents.ts";
import { awaiting, bytesOfJson, type Contestant, LIMIT_MS, peer, requestBody } from "./contestant.ts";

interface Axios {
  readonly default: { request(options: object): Promise<{ data: unknown }> };
}

export async function open(target: Target): Promise<Contestant> {
  const { default: axios } = await peer<Axios>("axios");
  const { url, method, headers, read, extra, socketPath } = target;
  const agents = makeAgents(target);
  const fixed = {
    url,
    method,
    headers,
    adapter: "http",
    httpAgent: agents.http,
    httpsAgent: agents.https,
    responseType: read === "json" ? "json" : "arraybuffer",
    ...(socketPath === "" ? {} : { socketPath }),
    ...(target.requestBytes > 0 ? { data: requestBody(target) } : {}),
    ...(extra === "timeouts" ? { timeout: LIMIT_MS } : {}),
  };
  const send = () => axios.request(extra === "signal" ? { ...fixed, signal: new AbortController().signal } : fixed);
  if (read === "json") return awaiting(target, async () => bytesOfJson((await send()).data));
  return awaiting(target, async () => ((await send()).data as Buffer).length); // what "arraybuffer" gives on Node
}
