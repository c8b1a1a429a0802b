/** A cache over an origin in memory, on virtual time. The origin's fields and its version are the spec's to set. */

import { CachingRoundTripper } from "../../lib/cache/caching-round-tripper.ts";
import type { CacheOptions } from "../../lib/cache/options.ts";
import { Request, type RequestInit, Response, type RoundTripCall } from "../../lib/index.ts";
import { formatHttpDate } from "../../lib/message/http-date.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { Site } from "../support/site.ts";

export const URL_ = "http://origin.test/thing";

export type Fields = Readonly<Record<string, string>>;

export class Harness {
  readonly clock = new VirtualClock();
  readonly site: Site;
  readonly cache: CachingRoundTripper;
  readonly errors: [operation: string, message: string][] = [];
  /** What the origin answers with, beside Date. */
  fields: Fields;
  status = 200;
  /** The body is `version N`; also the ETag, where `fields` has one with a `*`. */
  version = 1;
  /** Comes in the place of all that, once. */
  next: (() => Response | Promise<Response>) | null = null;

  constructor(fields: Fields = { "Cache-Control": "max-age=60" }, options: CacheOptions = {}) {
    this.fields = fields;
    this.site = new Site((request) => this.#answer(request));
    const onStoreError = (error: unknown, operation: string) => {
      this.errors.push([operation, (error as Error).message]);
    };
    this.cache = new CachingRoundTripper(this.site, { onStoreError, ...options }, this.clock);
  }

  send(init: RequestInit & { url?: string } = {}, call?: RoundTripCall): Promise<Response> {
    const { url = URL_, ...rest } = init;
    return this.cache.roundTrip(new Request(url, rest), call);
  }

  /** Sends, reads, and says in a line what came: status, body, and what the cache did. */
  async get(headers: Fields = {}, url = URL_, method = "GET"): Promise<string> {
    const response = await this.send({ url, method, headers });
    return `${response.status} ${await response.text()} | ${statusOf(response)}`;
  }

  /** What the cache did. */
  async did(headers: Fields = {}, url = URL_, method = "GET"): Promise<string> {
    const response = await this.send({ url, method, headers });
    await response.bytes();
    return statusOf(response);
  }

  seconds(n: number): Promise<void> {
    return this.clock.advance(n * 1000);
  }

  httpDate(secondsFromNow = 0): string {
    return formatHttpDate(this.clock.wallNow() + secondsFromNow * 1000);
  }

  get count(): number {
    return this.site.seen.length;
  }

  #answer(request: Request): Response | Promise<Response> {
    const { next } = this;
    this.next = null;
    if (next !== null) return next();
    const headers: [string, string][] = [["Date", this.httpDate()]];
    for (const [name, value] of Object.entries(this.fields)) {
      if (name.toLowerCase() === "date") headers.shift();
      headers.push([name, value.replace("*v", `v${this.version}`)]);
    }
    const tag = headers.find(([name]) => name === "ETag")?.[1];
    const modified = headers.find(([name]) => name === "Last-Modified")?.[1];
    const asked = request.headers.get("if-none-match");
    const since = request.headers.get("if-modified-since");
    const matches = asked === null ? since !== null && since === modified : tag !== undefined && asked.includes(tag);
    if (matches) return new Response(null, { status: 304, headers });
    if (request.method === "HEAD" || this.status === 204) return new Response(null, { status: this.status, headers });
    return new Response(`version ${this.version}`, { status: this.status, headers });
  }
}

/** The cache's own member of Cache-Status, without its name; the number after ttl left out. */
export function statusOf(response: Response): string {
  const members = (response.headers.get("cache-status") ?? "").split(", ");
  return (members.at(-1) ?? "").replace(/^persistconn; /, "").replace(/; ttl=-?\d+/, "");
}

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("It did not reject");
    },
    (error: unknown) => error,
  );
}

/** A promise that the spec settles. */
export function gated<T>(): { promise: Promise<T>; resolve(value: T): void; reject(reason: unknown): void } {
  let settle!: { resolve(value: T): void; reject(reason: unknown): void }; // set by the executor
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}
