/**
 * A cookie jar of tough-cookie's shape, for specs: host, name and value, no more. It knows Max-Age=0, tells what it was
 * asked, and may answer by promises or fail.
 */

import type { CookieJar } from "../../lib/index.ts";

export class FakeJar implements CookieJar {
  readonly calls: string[] = [];
  readonly options: unknown[] = [];
  readonly #cookies = new Map<string, Map<string, string>>();
  readonly #async: boolean;

  constructor({ async = false } = {}) {
    this.#async = async;
  }

  /** What it holds for a host, by name. */
  held(host: string): Record<string, string> {
    return Object.fromEntries(this.#of(host));
  }

  getCookieString(url: string): string | Promise<string> {
    this.calls.push(`get ${url}`);
    const text = [...this.#of(new URL(url).host)].map(([name, value]) => `${name}=${value}`).join("; ");
    return this.#async ? Promise.resolve(text) : text;
  }

  setCookie(cookie: string, url: string, options: unknown): unknown {
    this.calls.push(`set ${url} ${cookie}`);
    this.options.push(options);
    const [pair = "", ...attributes] = cookie.split(";").map((part) => part.trim());
    const equals = pair.indexOf("=");
    if (equals < 1) {
      const error = new Error("Cookie failed to parse");
      if (this.#async) return Promise.reject(error);
      throw error;
    }
    const of = this.#of(new URL(url).host);
    if (attributes.includes("Max-Age=0")) of.delete(pair.slice(0, equals));
    else of.set(pair.slice(0, equals), pair.slice(equals + 1));
    return this.#async ? Promise.resolve({ key: pair }) : { key: pair };
  }

  #of(host: string): Map<string, string> {
    let of = this.#cookies.get(host);
    if (of === undefined) {
      of = new Map();
      this.#cookies.set(host, of);
    }
    return of;
  }
}
