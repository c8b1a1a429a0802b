/** node:http (node:https over TLS) with a keep-alive Agent; the body is collected as one Buffer. */
import http from "node:http";
import https from "node:https";
import type { Target } from "../support/protocol.ts";
import { awaiting, type Contestant, requestBody } from "./contestant.ts";

export function open(target: Target): Contestant {
  const { request, Agent } = target.tls ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: target.workers });
  const { host, port, path, method, headers } = target;
  const options = { host, port, path, method, headers, agent };
  const body = target.requestBytes > 0 ? requestBody(target) : undefined;
  return awaiting(
    target,
    () =>
      new Promise((resolve, reject) => {
        const sent = request(options, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).length));
          response.on("error", reject);
        });
        sent.on("error", reject);
        sent.end(body);
      }),
  );
}
