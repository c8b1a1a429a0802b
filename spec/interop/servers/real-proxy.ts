/** A proxy under test, running with our own configuration on ports of 127.0.0.1, and how to start each kind. */

import type { Site } from "../site.ts";

/** What a proxy with a password wants: plain letters, since Tinyproxy's configuration takes no others. */
export const USER = "persistconn-interop";
export const PASSWORD = "interop.passw0rd";

export interface RealProxy extends AsyncDisposable {
  /** Its version, as it says it. */
  readonly version: string;
  /** Takes everybody. */
  readonly open: string;
  /** Wants USER and PASSWORD; without them here. */
  readonly withPassword: string;
  /** Another way to `open`, through TLS with the site's certificate; null where there is none. */
  readonly secured: string | null;
  /** The port of targets that it refuses; null where it refuses none. */
  readonly refusedPort: number | null;
  /** Whether its connections carry more than one request in absolute-form; SOCKS has no such requests: null. */
  readonly keepsAlive: boolean | null;
}

/** Starts one. @throws where it is not installed and cannot be */
export type StartProxy = (site: Site) => Promise<RealProxy>;
