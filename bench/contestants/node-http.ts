/** node:http (node:https over TLS) with a keep-alive Agent; the body is collected as one Buffer, or counted as it comes. */
import http from "node:http";
import https from "node:https";
import { pipeline } from "node:stream";
import type { Target } from "../support/protocol.ts";
import { listenToChannels } from "./channels.ts";
import { awaiting, bytesOfJson, type Contestant, LIMIT_MS, pieceStream, requestBody } from "./contestant.ts";

export function open(target: Target): Contestant {
  const { request, Agent } = target.tls ? https : http;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: target.workers,
    maxFreeSockets: Math.max(256, target.workers),
  });
  const { host, port, path, method, headers, read, extra, socketPath } = target;
  const where = socketPath === "" ? { host, port } : { socketPath };
  const options = { ...where, path, method, headers, agent, ...(extra === "timeouts" ? { timeout: LIMIT_MS } : {}) };
  const streams = read === "stream";
  const body = target.requestBytes > 0 && !streams ? requestBody(target) : undefined;
  if (extra === "hooks") listenToChannels("http:");
  const send = () =>
    new Promise<number>((resolve, reject) => {
      const call = extra === "signal" ? { ...options, signal: new AbortController().signal } : options;
      const sent = request(call, (response) => {
        let bytes = 0;
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (!streams) chunks.push(chunk);
        });
        response.on("end", () => {
          if (streams) return resolve(bytes);
          const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
          resolve(read === "json" ? bytesOfJson(JSON.parse(whole.toString())) : whole.length);
        });
        response.on("error", reject);
      });
      sent.on("error", reject);
      if (streams && target.requestBytes > 0) pipeline(pieceStream(target.requestBytes), sent, () => {});
      else sent.end(body);
    });
  return awaiting(target, send, () => agent.destroy());
}
