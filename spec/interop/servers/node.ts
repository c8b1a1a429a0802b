/** node:http and node:https as servers under test. `maxRequestsPerSocket` is 0 as it comes: no limit. */

import { type Program, startProgram } from "../../support/child.ts";
import type { Site } from "../site.ts";
import type { OriginReady, OriginSettings } from "./origin.ts";
import type { RealServer } from "./real-server.ts";

export const startNodeHttp = (site: Site): Promise<RealServer> => start(site, false);
export const startNodeHttps = (site: Site): Promise<RealServer> => start(site, true);

async function start(site: Site, tls: boolean): Promise<RealServer> {
  const settings: OriginSettings = { root: site.root, tls: tls ? { cert: site.cert, key: site.key } : null };
  const running: Program<OriginReady, null> = await startProgram(new URL("./origin.ts", import.meta.url), settings);
  const origin = `${tls ? "https" : "http"}://127.0.0.1:${running.ready.port}`;
  return {
    version: process.versions.node,
    lifted: origin,
    stock: origin,
    requestsPerConnection: null,
    limitName: "maxRequestsPerSocket 0: no limit",
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
