/**
 * A server under test, running with our own configuration on ports of 127.0.0.1, and how to start each kind.
 * It answers GET and HEAD /small.txt and /big.bin from the site's files, hands POST /upload to the site's origin
 * unbuffered, and says in `x-client-port` from which port each request came: so the number of connections is what the
 * server saw, not what the client says.
 */

import { spawnSync } from "node:child_process";
import type { Site } from "../site.ts";

export interface RealServer extends AsyncDisposable {
  /** Its version, as it says it. */
  readonly version: string;
  /** Origin whose limit of requests on one connection is lifted, e.g. `http://127.0.0.1:4711`. */
  readonly lifted: string;
  /** Origin with that limit as it comes. */
  readonly stock: string;
  /** Requests that one connection carries at `stock`; null where there is no limit. */
  readonly requestsPerConnection: number | null;
  /** What the server calls it. */
  readonly limitName: string;
}

/** Starts one. @throws where it is not installed and cannot be */
export type StartServer = (site: Site) => Promise<RealServer>;

/** The first thing in a program's answer that looks like a version. */
export function versionOf(program: string, args: string[]): string {
  const ran = spawnSync(program, args, { encoding: "utf8" });
  return /\d+\.\d+(\.\d+)?/.exec(ran.stdout + ran.stderr)?.[0] ?? "of unknown version";
}

/** Whom a server's workers should be: root's servers give it up, and refuse to work without such a line. */
export const givesUpRoot = process.getuid?.() === 0;
