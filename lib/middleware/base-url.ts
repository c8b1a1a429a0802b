/**
 * A base URL that cannot be escaped: what a relative reference becomes under it, and a round tripper that lets nothing
 * else through, a redirect neither.
 *
 * A reference is refused, never cleaned: one that has to be cleaned is another text to whoever checked it before. Refused is
 * what the parser would read as a scheme or a host (`//`); every backslash, blank, tab, line end and other control
 * character; dot segments that leave the base, plain or encoded (`%2e`), also between encoded slashes and backslashes, which
 * some servers decode first, and some twice.
 *
 * Pure but for the round tripper, which owns nothing.
 *
 * RFC 3986 §4.2 (relative references), §5.2.4 (dot segments); URL standard.
 */

import { LocalProtocolError } from "../errors.ts";
import { kindOf, wrongType } from "../message/options.ts";
import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

/** Query parameters: those of `undefined` are left out. */
export type Query = URLSearchParams | Readonly<Record<string, string | number | boolean | undefined>>;

/** What an origin and a path stand for: everything below that path. */
export class BaseUrl {
  readonly origin: string;
  /** Begins and ends with a slash. */
  readonly path: string;

  /**
   * @param url `https://api.example/v1/`; a slash is added at its end where it has none
   * @throws {TypeError} no http or https URL, or one with user name, password, query or fragment
   */
  constructor(url: string | URL) {
    if (typeof url !== "string" && kindOf(url) !== "URL") throw wrongType("base", "a string or a URL", url);
    let parsed: URL;
    try {
      parsed = new URL(`${url}`);
    } catch {
      throw wrongBase("it is no absolute URL"); // it may have a password in it
    }
    if (parsed.protocol !== "http:" && parsed.protocol !== "https:") throw wrongBase("it is neither http nor https");
    if (parsed.username !== "" || parsed.password !== "") throw wrongBase("it has a user name or a password");
    if (parsed.search !== "" || parsed.hash !== "") throw wrongBase("it has a query or a fragment");
    this.origin = parsed.origin;
    this.path = parsed.pathname.endsWith("/") ? parsed.pathname : `${parsed.pathname}/`;
    if (leaves(this.path)) throw wrongBase("its path has encoded slashes beside dots");
  }

  get href(): string {
    return this.origin + this.path;
  }

  /**
   * The URL of a path under the base: `users/7`, `users?page=2`, `""` for the base itself. One slash at its start means
   * nothing: `/users` is `users`.
   *
   * @param query added to what the path has of one
   * @throws {LocalProtocolError} it would lead elsewhere, or cannot be read in one way only
   */
  resolve(path: string, query?: Query): string {
    if (typeof path !== "string") throw wrongType("path", "a string", path);
    const problem = problemOf(path);
    if (problem !== null) throw refused(problem);
    const url = new URL(this.href + path.replace(/^\//, ""));
    if (query !== undefined) {
      const pairs = kindOf(query) === "URLSearchParams" ? (query as URLSearchParams) : Object.entries(query);
      for (const [name, value] of pairs) if (value !== undefined) url.searchParams.append(name, `${value}`);
    }
    if (!this.contains(url)) throw refused("it leaves the base");
    return url.href;
  }

  /** Whether an absolute URL is under the base, however a server may read its path. */
  contains(url: string | URL): boolean {
    let parsed: URL;
    try {
      parsed = new URL(`${url}`);
    } catch {
      return false;
    }
    return parsed.origin === this.origin && this.#covers(parsed.pathname);
  }

  /** Whether a request goes under the base; its `target` says where, whatever its URL. @internal */
  admits({ destination, target }: Request): boolean {
    return destination.origin === this.origin && this.#covers(target.split("?", 1)[0] ?? "");
  }

  #covers(path: string): boolean {
    // The base itself may be named without its slash.
    return (path.startsWith(this.path) || `${path}/` === this.path) && !leaves(path.slice(this.path.length));
  }
}

/** What is wrong with a reference as text, before any parser has read it; null where nothing is. */
function problemOf(path: string): string | null {
  if (/[\0-\x20\x7f\\]/.test(path)) return "it has a blank, a control character or a backslash";
  if (path.startsWith("//")) return "it names a host";
  const [beforeQuery = ""] = path.split(/[?#]/, 1);
  if (/^[^/]*:/.test(beforeQuery)) return "it names a scheme, or has a colon in its first segment: write ./ before it";
  return leaves(beforeQuery.replace(/^\//, "")) ? "it leaves the base" : null;
}

/**
 * Whether a path may climb over where it begins: read with `%2e`, `%2f` and `%5c` decoded, once or more often, as servers do
 * that stand behind others.
 */
function leaves(path: string): boolean {
  let depth = 0;
  for (const segment of decodedDots(path).split(/[/\\]/)) {
    if (segment === "..") {
      if (--depth < 0) return true;
    } else if (segment !== "." && segment !== "") depth++;
  }
  return false;
}

/** With what may be a dot or a slash as that, and any number of `25` of an encoded percent sign before. */
function decodedDots(path: string): string {
  return path.replace(/%(?:25)*(2e|2f|5c)/gi, (_, code: string) => {
    return String.fromCharCode(Number.parseInt(code, 16));
  });
}

function refused(problem: string): LocalProtocolError {
  return new LocalProtocolError("url", `Cannot make request: path under a base URL is refused: ${problem}`);
}

function wrongBase(problem: string): TypeError {
  return new TypeError(`A base URL must be an http or https URL with an origin and a path: ${problem}`);
}

/**
 * Lets only requests through that go under a base: others are refused before anything is sent, those of a redirect too.
 *
 * @throws {TypeError} no base, or no round tripper
 * @example
 * withBaseUrl(transport, "https://api.example/v1/")
 */
export function withBaseUrl(next: RoundTripper, base: string | URL | BaseUrl): WrappedRoundTripper {
  return new BasedRoundTripper(next, base instanceof BaseUrl ? base : new BaseUrl(base));
}

class BasedRoundTripper extends Wrapper {
  readonly #base: BaseUrl;

  constructor(next: RoundTripper, base: BaseUrl) {
    super(next, "BasedRoundTripper");
    this.#base = base;
  }

  protected async send(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    if (this.#base.admits(request)) return this.next.roundTrip(request, call);
    const text = `Cannot send request: ${request.method} ${request.url} is not under ${this.#base.href}`;
    const error = new LocalProtocolError("url", text, { origin: request.destination.origin });
    request.body?.discard(error);
    throw error;
  }
}
