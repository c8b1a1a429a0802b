/** The keep-alive agents of node:http that those built on it are given: as many connections as workers, as all have. */
import http from "node:http";
import https from "node:https";
import type { Target } from "../support/protocol.ts";

/** @param more what the agent hands to its dials */
export function makeAgents({ workers }: Target, more: object = {}): { http: http.Agent; https: https.Agent } {
  const options = { keepAlive: true, maxSockets: workers, maxFreeSockets: Math.max(256, workers), ...more };
  return { http: new http.Agent(options), https: new https.Agent(options) };
}
