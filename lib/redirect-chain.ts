/**
 * One call of a Client that is more than one round trip: the hops of a chain of redirects, and the cookie jar on each of
 * them. Lives from the call, or from the first answer that redirects, to the answer that is delivered; a call without a
 * jar that is not redirected never makes one.
 *
 * Owns:  the answers that are followed: closed before the next hop, so that their connections live on.
 * Never: changes the caller's request; sends a one-shot body twice; waits for the caller's own code (jar, checkRedirect)
 *        longer than signal and time limit of the call allow.
 *
 * RFC 9110 §15.4; Go net/http Client.do.
 */

import { onAbort } from "./abort.ts";
import type { Clock, Deadline } from "./clock.ts";
import { beyondOrigin } from "./conn/tls-identity.ts";
import { type CookieJar, nameOf, withCookies, withoutCookies } from "./cookies.ts";
import { RedirectError, TimeoutError, TooManyRedirectsError } from "./errors.ts";
import { sameName } from "./message/headers.ts";
import { kindOf } from "./message/options.ts";
import { basicAuthorization, Request } from "./message/request.ts";
import { drained, markFollowed, markRedirected, type Response } from "./message/response.ts";
import { type Hop, isRedirect, onward, replacedHop } from "./redirect.ts";
import { errUseLastResponse, type ResolvedRedirects, redirectsMax } from "./redirect-options.ts";
import type { RoundTripCall, RoundTripper } from "./round-tripper.ts";

/** A little longer than a connection drains, whose own limit ends it nearly always. */
const DRAIN_WAIT_MS = 60;

const KEEP_ALIVE = { keepAlive: true } as const;

/** What a chain has of its Client. */
export interface ChainOwner {
  readonly transport: RoundTripper;
  readonly jar: CookieJar | null;
  readonly clock: Clock;
}

export class Chain {
  readonly #owner: ChainOwner;
  readonly #rules: ResolvedRedirects;
  #call: RoundTripCall | undefined;
  /** What was sent, or is about to be, without the jar's cookies; the oldest first. */
  readonly #via: Request[];
  #hop: Hop;

  /** @param request the first, with the client's default fields */
  constructor(owner: ChainOwner, rules: ResolvedRedirects, call: RoundTripCall | undefined, request: Request) {
    this.#owner = owner;
    this.#rules = rules;
    this.#call = call;
    this.#via = [request];
    this.#hop = { request, fields: request.pairs };
  }

  /** The whole call, from its first hop on. */
  async run(): Promise<Response> {
    return this.follow(await this.#send());
  }

  /** The rest of the call, from the answer of its first hop on. */
  async follow(first: Response): Promise<Response> {
    let answer = first;
    for (;;) {
      let next: Hop | null;
      try {
        next = await this.#next(answer);
        if (next !== null) {
          this.#tell(answer, next);
          await this.#leave(answer, next);
        }
      } catch (error) {
        answer.close().catch(ignore);
        throw error;
      }
      if (next === null) {
        if (this.#via.length > 1) markRedirected(answer);
        return answer;
      }
      this.#leaveOrigin(next);
      this.#hop = next;
      this.#via.push(next.request);
      answer = await this.#send();
    }
  }

  // ---- one hop

  async #send(): Promise<Response> {
    const { transport, jar } = this.#owner;
    const hop = this.#via.length - 1;
    if (hop > 0) this.#call = { ...this.#call, hop };
    const request = authorized(this.#hop.request);
    if (jar === null) return transport.roundTrip(request, this.#call);
    let sent = request;
    request.body?.guard();
    try {
      const cookies = await this.#within(() => jar.getCookieString(request.url));
      if (cookies !== "") sent = request.with({ headers: withCookies(request.pairs, cookies) });
    } catch (error) {
      request.body?.discard(error);
      throw error;
    }
    const response = await transport.roundTrip(sent, this.#call);
    try {
      for (const value of response.headers.getSetCookie()) await this.#within(() => offer(jar, value, request.url));
    } catch (error) {
      response.close().catch(ignore);
      throw error;
    }
    return response;
  }

  // ---- between two hops

  /** What comes after an answer; null where nothing does. */
  async #next(answer: Response): Promise<Hop | null> {
    const rules = this.#rules;
    if (!isRedirect(answer.status) || rules.redirect === "manual") return null;
    const { request } = this.#hop;
    const from = `Cannot follow redirect ${answer.status} of ${request.method} ${request.url}`;
    const refused = (why: string, location: string | null) =>
      new RedirectError(`${from}: ${why}`, { status: answer.status, url: request.url, location }, originOf(request));
    if (rules.redirect === "error") throw refused('option redirect is "error"', null);

    const locations = answer.headers.raw.filter(([name]) => sameName(name, "location")).map(([, value]) => value);
    const onwards = onward(this.#carried(answer), answer.status, locations, rules);
    if (onwards.kind === "answer") return null;
    if (onwards.kind === "refused") throw refused(onwards.reason, onwards.url);
    const { hop } = onwards;
    const { url } = hop.request;

    const limit = redirectsMax(rules);
    if (this.#via.length > limit) {
      const text = `${from} to ${url}: ${limit} were followed already (option maxRedirects)`;
      const detail = { status: answer.status, url: request.url, location: url };
      throw new TooManyRedirectsError(limit, text, detail, originOf(request));
    }
    const replacement = await this.#checked(hop.request, answer);
    if (replacement === errUseLastResponse) return null;
    if (replacement instanceof Error) throw replacement;
    if (replacement === hop.request) return hop;
    if (rules.httpsOnly && replacement.destination.scheme !== "https") {
      throw refused("checkRedirect leads away from https (option httpsOnly)", replacement.url);
    }
    return replacedHop(hop, replacement);
  }

  /** A cookie that the caller gave and an answer sets anew is the jar's from then on (Go issue 17494). */
  #carried(answer: Response): Hop {
    if (this.#owner.jar === null) return this.#hop;
    const { request, fields } = this.#hop;
    return { request, fields: withoutCookies(fields, new Set(answer.headers.getSetCookie().map(nameOf))) };
  }

  /** What the caller says to the next request: itself or another one; or an error. */
  async #checked(request: Request, answer: Response): Promise<Request | Error> {
    const { checkRedirect } = this.#rules;
    if (checkRedirect === null) return request;
    let said: unknown;
    try {
      said = await this.#within(() => checkRedirect(request, [...this.#via], answer));
    } catch (error) {
      if (error === errUseLastResponse) return errUseLastResponse;
      throw error;
    }
    if (said === undefined) return request;
    if (said instanceof Request || said instanceof Error) return said;
    // true and false, most of all, are meant in two ways.
    throw new TypeError(
      `checkRedirect must give nothing, a Request, errUseLastResponse or another error: it gave ${kindOf(said)}`,
    );
  }

  #tell(answer: Response, next: Hop): void {
    const { request: from } = this.#hop;
    const { request: to } = next;
    markFollowed(answer, () => ({
      method: to.method,
      url: to.url,
      crossed: to.destination.origin !== from.destination.origin,
      dropped: authorized(from)
        .pairs.map(([name]) => name)
        .filter((name) => !authorized(to).hasField(name.toLowerCase())),
    }));
  }

  /** A client certificate of the call is for its first origin: a chain that has left that does not get it back. */
  #leaveOrigin(next: Hop): void {
    const tls = this.#call?.tls;
    if (tls === undefined || next.request.destination.origin === this.#hop.request.destination.origin) return;
    this.#call = { ...this.#call, tls: beyondOrigin(tls) };
  }

  /**
   * Closes an answer that is followed. Where the next hop can use its connection it waits for that: a drain is bounded,
   * and mostly over in less time than a dial.
   */
  async #leave(answer: Response, next: Hop): Promise<void> {
    const drain = drained(answer);
    if (drain === null || next.request.destination.origin !== this.#hop.request.destination.origin) return;
    // What is drained keeps no process alive, but this call does.
    const { clock } = this.#owner;
    let stopWaiting = () => {};
    const limit = new Promise<void>((resolve) => {
      stopWaiting = resolve;
    });
    const enough = clock.deadline(DRAIN_WAIT_MS, stopWaiting, KEEP_ALIVE);
    try {
      await this.#within(() => Promise.race([drain, limit]));
    } finally {
      enough.cancel();
    }
  }

  // ---- the call's end

  /** Runs code that is not ours and waits for it, but no longer than the call may last. */
  #within<T>(work: () => T | PromiseLike<T>): T | Promise<T> {
    const { signal, deadline } = this.#call ?? {};
    if (signal?.aborted) throw signal.reason;
    const left = deadline === undefined ? 0 : deadline.at - this.#owner.clock.now();
    if (deadline !== undefined && left <= 0) throw this.#timedOut(deadline.limit);
    const given = work();
    if (!isThenable(given) || (signal === undefined && deadline === undefined)) return given as T | Promise<T>; // await takes both
    return new Promise<T>((resolve, reject) => {
      let timer: Deadline | null = null;
      const detach = signal === undefined ? null : onAbort(signal, () => end(reject, signal.reason));
      const end = <V>(settle: (value: V) => void, value: V): void => {
        detach?.();
        timer?.cancel();
        settle(value);
      };
      if (deadline !== undefined) {
        const { limit } = deadline;
        timer = this.#owner.clock.deadline(left, () => end(reject, this.#timedOut(limit)), KEEP_ALIVE);
      }
      given.then(
        (value) => end(resolve, value),
        (error: unknown) => end(reject, error),
      );
    });
  }

  #timedOut(limit: number): TimeoutError {
    const { request } = this.#hop;
    const what = `Cannot finish ${request.method} ${request.url}`;
    const text = `${what}: not complete within ${limit} ms (option timeout)`;
    return new TimeoutError("total", "timeout", limit, text, originOf(request));
  }
}

/** The request with Basic credentials where its URL has them and its fields have none (as Go). */
export function authorized(request: Request): Request {
  const authorization = basicAuthorization(request);
  if (authorization === null) return request;
  return request.with({ headers: [["Authorization", authorization], ...request.pairs] });
}

/** Gives a jar a cookie. One that it cannot take is no fault of the call: its answer has come. */
async function offer(jar: CookieJar, value: string, url: string): Promise<void> {
  try {
    await jar.setCookie(value, url, { ignoreError: true });
  } catch {
    // Jars that do not know ignoreError throw.
  }
}

function originOf(request: Request): { origin: string } {
  return { origin: request.destination.origin };
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function ignore(): void {}
