/**
 * What may be stored, and for how long it is fresh, by the user's own `http-cache-semantics`. The package is an optional
 * peer: it is loaded when the first response could be stored or used, and only then.
 *
 * It gets the fields in a form of ours: it splits Cache-Control at every comma, also within quotes, takes names as they
 * are written, and knows no must-understand.
 *
 * RFC 9111 §3 (what may be stored), §3.5 (Authorization), §4.2.1 (lifetime), §5.2.2 (what responses say).
 */

import { HttpError } from "../errors.ts";
import { type Directives, secondsOf } from "./cache-control.ts";

/** What is used of the package. */
interface PolicyOfPackage {
  storable(): boolean;
  maxAge(): number;
}
type PolicyClass = new (
  request: { readonly method: string; readonly url: string; readonly headers: Record<string, string> },
  response: { readonly status: number; readonly headers: Record<string, string> },
  options: { readonly shared: boolean; readonly cacheHeuristic: number; readonly immutableMinTimeToLive: number },
) => PolicyOfPackage & { now(): number };

/** A variable: a literal would make the package a dependency to compilers and bundlers. */
const PACKAGE: string = "http-cache-semantics";

/** An optional package that is needed is not there, or is another than was expected. */
export class MissingPackageError extends HttpError {
  override readonly name = "MissingPackageError";
  readonly code = "ERR_HTTP_MISSING_PACKAGE";
  /** As npm knows it. */
  readonly package: string;
  constructor(name: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.package = name;
  }
}

/** A response to GET, as far as it matters here. */
interface Candidate {
  readonly url: string;
  /** The request had an Authorization field. */
  readonly authorized: boolean;
  readonly request: Directives;
  readonly status: number;
  readonly response: Directives;
  readonly fields: (lower: string) => string | null;
  readonly responseTime: number;
}

/** Seconds for which a response is fresh; null where it may not be stored. */
export type Policy = (candidate: Candidate) => number | null;

export interface PolicyOptions {
  readonly shared: boolean;
  /** Part of the time since Last-Modified for which a response without a lifetime is taken as fresh. */
  readonly heuristic: number;
}

/** What the package understands of a response, without arguments that it would misread. */
const FLAGS = ["no-cache", "no-store", "private", "public", "must-revalidate", "proxy-revalidate", "immutable"];
const SECONDS = ["max-age", "s-maxage"];
const DATES = ["expires", "last-modified", "date"];

/** Statuses whose meaning is known here, for must-understand (RFC 9111 §5.2.2.3). */
const UNDERSTOOD = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]);

/** @throws (rejects) {MissingPackageError} */
export async function loadPolicy(options: PolicyOptions): Promise<Policy> {
  const Base = await load();
  let received = 0;
  class Timed extends Base {
    override now(): number {
      return received; // what a missing Date field is replaced by; the clock of the machine is not asked
    }
  }
  const settings = { shared: options.shared, cacheHeuristic: options.heuristic, immutableMinTimeToLive: 0 };
  return (candidate) => {
    const { response, request, fields } = candidate;
    if (response.has("must-understand") && !UNDERSTOOD.has(candidate.status)) return null;
    received = candidate.responseTime;
    const headers: Record<string, string> = { "cache-control": controlFor(response) };
    for (const name of DATES) {
      const value = fields(name);
      if (value !== null) headers[name] = value;
    }
    const policy = new Timed(
      {
        method: "GET",
        url: candidate.url,
        headers: {
          ...(candidate.authorized ? { authorization: "given" } : {}),
          ...(request.has("no-store") ? { "cache-control": "no-store" } : {}),
        },
      },
      { status: candidate.status, headers },
      settings,
    );
    return policy.storable() ? Math.max(0, policy.maxAge()) : null;
  };
}

function controlFor(response: Directives): string {
  const words: string[] = [];
  for (const name of FLAGS) {
    if (!response.has(name)) continue;
    // A cache that knows the status does not heed the no-store beside must-understand (RFC 9111 §5.2.2.3).
    if (name === "no-store" && response.has("must-understand")) continue;
    words.push(name);
  }
  for (const name of SECONDS) {
    const seconds = secondsOf(response, name);
    if (seconds !== null) words.push(`${name}=${seconds}`);
  }
  return words.join(", ");
}

async function load(): Promise<PolicyClass> {
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(PACKAGE);
  } catch (cause) {
    throw new MissingPackageError(
      PACKAGE,
      `Cannot use cache: it needs the package \`${PACKAGE}\`, which is not installed: npm install ${PACKAGE}`,
      cause,
    );
  }
  const Class = loaded.default as PolicyClass | undefined; // what is used of it is looked at
  const methods = Class?.prototype as Partial<PolicyOfPackage> | undefined;
  if (typeof methods?.storable !== "function" || typeof methods.maxAge !== "function") {
    throw new MissingPackageError(
      PACKAGE,
      `Cannot use cache: the package \`${PACKAGE}\` has no CachePolicy: version 4 is needed`,
    );
  }
  return Class as PolicyClass;
}
