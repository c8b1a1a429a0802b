/**
 * One call through the cache: look, decide, then answer from the store, validate, or go to the network. Lives from the
 * call to the head of its answer; what is stored on the way lives on in the body.
 *
 * Owns:  the answers that the caller does not get: closed before it gets another.
 * Never: changes the caller's request; waits for the store longer than signal and deadline of the call allow; lets one
 *        caller wait for the body of another.
 *
 * RFC 9111 §4 (from the store), §4.3 (validation), §5.2.1.7 (only-if-cached); RFC 5861.
 */

import type { Clock } from "../clock.ts";
import { HttpError, InvariantError, LocalProtocolError, TransportClosedError } from "../errors.ts";
import { sameName } from "../message/headers.ts";
import type { Request } from "../message/request.ts";
import { Response, responseOf, takenApart } from "../message/response.ts";
import type { BodySource } from "../message/response-body.ts";
import { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { madeAnswer, openStored, PassedOn } from "./answers.ts";
import { type Directives, requestDirectives } from "./cache-control.ts";
import { type CacheStatus, type Forwarded, formatCacheStatus } from "./cache-status.ts";
import { describes, isConditional, isNotModified, speaksOf, unconditional, validating } from "./conditions.ts";
import { judge, mayReplaceError, type Standing } from "./freshness.ts";
import { abandon, type GuardedStore, quietly } from "./guarded-store.ts";
import type { Invalidations } from "./invalidations.ts";
import type { Policy } from "./policy.ts";
import { keyOf, select } from "./selection.ts";
import type { StoredResponse } from "./store.ts";
import {
  type Answered,
  ageOf,
  directivesOf,
  fieldsNow,
  fieldsOfNotModified,
  lifetimeOf,
  refreshed,
  storedHead,
  updated,
} from "./stored-response.ts";
import { Storing, StoringSource } from "./storing.ts";
import type { Validation } from "./validations.ts";

/** What all visits share. */
export interface VisitOwner {
  readonly next: RoundTripper;
  readonly clock: Clock;
  readonly store: GuardedStore;
  readonly invalidations: Invalidations;
  readonly shared: boolean;
  readonly maxBodyBytes: number;
  readonly name: string;
  policy(): Policy | Promise<Policy>;
  /** The validation of an entry that is under way. */
  validation(id: string): Promise<StoredResponse | null> | null;
  /** Begins one. Where one is under way, the second concerns nobody but its caller. */
  beginValidation(id: string): Validation;
  /** Has the entry validated behind an answer from it. */
  refresh(request: Request, entry: StoredResponse): void;
}

/** Answers that a stale one may stand in for (RFC 5861 §4). */
const SERVER_ERRORS = new Set([500, 502, 503, 504]);

/** When a request left, and which invalidations its answer knows of. */
interface Departure {
  readonly requestTime: number;
  readonly point: number;
}

export class Visit {
  readonly #owner: VisitOwner;
  readonly #request: Request;
  readonly #call: RoundTripCall | undefined;
  readonly #patience: Patience;
  readonly #key: string;
  readonly #asked: Directives;
  /** Set when the answer that is given is being stored. */
  storing: Storing | null = null;

  constructor(owner: VisitOwner, request: Request, call: RoundTripCall | undefined) {
    this.#owner = owner;
    this.#request = request;
    this.#call = call;
    this.#patience = new Patience(owner.clock, request, call);
    this.#key = keyOf(request, owner.shared);
    this.#asked = requestDirectives(request.headers);
  }

  async run(): Promise<Response> {
    this.#patience.check();
    await this.#patience.wait(this.#owner.policy()); // before anything is done that would need it
    const entries = await this.#patience.wait(this.#owner.store.find(this.#key));
    const entry = select(entries, this.#request);
    if (entry === null) return this.#miss(entries.length === 0 ? "uri-miss" : "vary-miss");
    const standing = this.#standing(entry);
    const verdict = judge(standing);
    if (verdict === "use" || verdict === "use-and-refresh") {
      const answer = await this.#fromStore(entry, { hit: true, ttl: standing.lifetime - standing.age });
      if (answer === null) return this.#miss("miss");
      if (verdict === "use-and-refresh") this.#owner.refresh(this.#request, entry);
      return answer;
    }
    if (this.#asked.has("only-if-cached")) return this.#gatewayTimeout();
    if (verdict === "stale") return this.#validateTogether(entry);
    return this.validate(entry, "request");
  }

  /** Passes a request on that the cache has no part in. */
  static async bypass(
    owner: VisitOwner,
    request: Request,
    call: RoundTripCall | undefined,
    fwd: Forwarded,
  ): Promise<Response> {
    return passedOn(owner, await owner.next.roundTrip(request, call), request, { fwd });
  }

  /** Asks whether the entry still holds, and answers with it or with what came instead. */
  async validate(entry: StoredResponse, fwd: Forwarded): Promise<Response> {
    const validation = this.#owner.beginValidation(entry.id);
    try {
      return await this.#validate(entry, fwd, validation);
    } finally {
      validation.settle(null);
    }
  }

  // ---- to the network

  async #miss(fwd: Forwarded): Promise<Response> {
    if (this.#asked.has("only-if-cached")) return this.#gatewayTimeout();
    return this.#forward(this.#request, fwd);
  }

  async #forward(request: Request, fwd: Forwarded): Promise<Response> {
    const departure = this.#departure();
    return this.#pass(await this.#owner.next.roundTrip(request, this.#call), fwd, departure);
  }

  /**
   * Who comes while a validation of the same entry is under way waits for its head: a 304 serves all, and after anything
   * else each asks for itself. Bodies are never waited for: they flow at the pace of whoever reads them.
   */
  async #validateTogether(entry: StoredResponse): Promise<Response> {
    const others = this.#owner.validation(entry.id);
    if (others !== null) {
      const current = await this.#patience.wait(others);
      const status = { fwd: "stale", fwdStatus: 304, collapsed: true } as const;
      const answer = current === null ? null : await this.#fromStore(current, status);
      if (answer !== null) return answer;
    }
    return this.validate(entry, "stale");
  }

  async #validate(entry: StoredResponse, fwd: Forwarded, validation: Validation): Promise<Response> {
    const conditional = validating(this.#request, entry);
    const departure = this.#departure();
    let response: Response;
    try {
      response = await this.#owner.next.roundTrip(conditional, this.#call);
    } catch (error) {
      if (this.#patience.over || isOurs(error) || !mayReplaceError(this.#standing(entry))) throw error;
      const answer = await this.#fromStore(entry, { fwd, ttl: this.#ttl(entry), detail: "stale-if-error" });
      if (answer === null) throw error;
      return answer;
    }
    try {
      if (response.status === 304 && conditional !== this.#request) {
        return await this.#notModified(response, entry, fwd, departure, validation);
      }
      if (SERVER_ERRORS.has(response.status) && mayReplaceError(this.#standing(entry))) {
        const status = { fwd, fwdStatus: response.status, ttl: this.#ttl(entry), detail: "stale-if-error" } as const;
        const answer = await this.#fromStore(entry, status);
        if (answer !== null) {
          quietly(() => response.close());
          return answer;
        }
      }
      if (this.#request.method === "HEAD") await this.#heard(response, entry, departure);
      const answer = await this.#pass(response, fwd, departure);
      // What was stored is not what there is now, and nothing takes its place.
      if (this.#request.method === "GET" && replaces(response.status) && this.storing === null) {
        await this.#patience.wait(this.#owner.store.delete(this.#key, entry.id));
      }
      return answer;
    } catch (error) {
      quietly(() => response.close());
      throw error;
    }
  }

  async #notModified(
    response: Response,
    entry: StoredResponse,
    fwd: Forwarded,
    departure: Departure,
    validation: Validation,
  ): Promise<Response> {
    const { store } = this.#owner;
    const { headers } = response;
    if (isConditional(this.#request) && !this.#answersUs(response, entry)) {
      return this.#pass(response, fwd, departure); // it is the caller's own version that holds
    }
    if (!speaksOf(headers, entry)) {
      // A server that confirms what we have not: nothing of ours may be taken for it (RFC 9111 §4.3.4).
      quietly(() => response.close());
      await this.#patience.wait(store.delete(this.#key, entry.id));
      return this.#forward(this.#request, fwd);
    }
    const answered = this.#answered(response, departure);
    const policy = await this.#patience.wait(this.#owner.policy());
    const kept = updated(entry, answered, policy, this.#owner.shared);
    validation.settle(kept);
    const current = kept ?? refreshed(entry, answered);
    // Cookies are never stored, but they are this answer's.
    const cookies = headers.raw.filter(([name]) => sameName(name, "set-cookie"));
    // The body is opened before its entry may go.
    const answer = await this.#fromStore(current, { fwd, fwdStatus: 304, ttl: this.#ttl(current) }, cookies);
    quietly(() => response.close());
    try {
      if (!this.#owner.invalidations.since(this.#key, departure.point)) {
        await this.#patience.wait(kept === null ? store.delete(this.#key, entry.id) : store.update(this.#key, kept));
      }
    } catch (error) {
      quietly(() => answer?.close());
      throw error;
    }
    return answer ?? this.#forward(this.#request, fwd); // the store forgot the body meanwhile
  }

  /** Whether a 304 to a request that had tags of the caller's and ours is about ours. */
  #answersUs(response: Response, entry: StoredResponse): boolean {
    if (!this.#request.hasField("if-none-match")) return true; // a date of the caller's was replaced by what is ours
    return response.headers.has("etag") && speaksOf(response.headers, entry);
  }

  /** What a HEAD's answer says of the stored answer to GET (RFC 9111 §4.3.5). */
  async #heard(response: Response, entry: StoredResponse, departure: Departure): Promise<void> {
    if (response.status !== 200 || entry.status !== 200) return;
    const said = describes(response.headers, entry);
    if (said === null || this.#owner.invalidations.since(this.#key, departure.point)) return;
    const policy = await this.#patience.wait(this.#owner.policy());
    const { store, shared } = this.#owner;
    const kept = said ? updated(entry, this.#answered(response, departure), policy, shared) : null;
    await this.#patience.wait(kept === null ? store.delete(this.#key, entry.id) : store.update(this.#key, kept));
  }

  // ---- answers

  /** An answer of the network, stored on its way where that may be. */
  async #pass(response: Response, fwd: Forwarded, departure: Departure): Promise<Response> {
    const owner = this.#owner;
    const head = await this.#storedHead(response, departure);
    if (head === null) return passedOn(owner, response, this.#request, { fwd });
    const key = this.#key;
    const { invalidations, maxBodyBytes, store } = owner;
    const valid = (): boolean => !invalidations.since(key, departure.point);
    const storing = new Storing(store, { key, head, maxBytes: maxBodyBytes, valid });
    this.storing = storing;
    const answer = passedOn(owner, response, this.#request, { fwd, stored: true }, (content) => {
      if (content !== null) return new StoringSource(content, storing, this.#patience);
      storing.end(); // there is no body to wait for
      return null;
    });
    try {
      while (storing.busy !== null) await this.#patience.wait(storing.busy);
    } catch (error) {
      quietly(() => answer.close());
      throw error;
    }
    return answer;
  }

  async #storedHead(response: Response, departure: Departure): Promise<ReturnType<typeof storedHead>> {
    if (this.#request.method !== "GET" || !(response instanceof Response) || response.bodyUsed) return null;
    // A body that ends with its connection looks whole when it was cut (RFC 9112 §8).
    if (response.framing === "close") return null;
    try {
      const policy = await this.#patience.wait(this.#owner.policy());
      const length = response.decompressed ? null : response.headers.get("content-length");
      const { maxBodyBytes, shared } = this.#owner;
      if (maxBodyBytes > 0 && length !== null && Number(length) > maxBodyBytes) return null;
      return storedHead(this.#answered(response, departure), policy, shared);
    } catch (error) {
      quietly(() => response.close());
      throw error;
    }
  }

  /** The entry as an answer to this request; null where its body is gone. */
  async #fromStore(
    entry: StoredResponse,
    status: CacheStatus,
    added: readonly (readonly [string, string])[] = [],
  ): Promise<Response | null> {
    const { clock, name, store } = this.#owner;
    const request = this.#request;
    const now = clock.wallNow();
    const notModified = isNotModified(request, entry, now);
    let body: BodySource | null = null;
    if (request.method !== "HEAD" && !notModified && !hasNoContent(entry.status)) {
      const opened = await this.#patience.wait(store.open(this.#key, entry.id), abandon);
      if (opened === null) return null;
      body = await openStored(store, this.#key, entry, opened, this.#patience);
      if (body === null) return null;
    }
    const fields = fieldsNow(entry, now);
    return madeAnswer({
      status: notModified ? 304 : entry.status,
      statusText: notModified ? "Not Modified" : entry.statusText,
      httpVersion: entry.httpVersion,
      fields: [
        ...(notModified ? fieldsOfNotModified(fields) : fields),
        ...added,
        ["Cache-Status", formatCacheStatus(name, status)],
      ],
      decompressed: entry.decompressed,
      body,
      request,
    });
  }

  #gatewayTimeout(): Response {
    return madeAnswer({
      status: 504,
      statusText: "Gateway Timeout",
      httpVersion: "1.1",
      fields: [
        ["Content-Length", "0"],
        ["Cache-Status", formatCacheStatus(this.#owner.name, { detail: "only-if-cached" })],
      ],
      decompressed: false,
      body: null,
      request: this.#request,
    });
  }

  // ---- facts

  #departure(): Departure {
    return { requestTime: this.#owner.clock.wallNow(), point: this.#owner.invalidations.now };
  }

  #answered(response: Response, { requestTime }: Departure): Answered {
    const { status, statusText, httpVersion, headers, decompressed } = response;
    const responseTime = this.#owner.clock.wallNow();
    return {
      request: this.#request,
      status,
      statusText,
      httpVersion,
      headers,
      decompressed,
      requestTime,
      responseTime,
    };
  }

  #standing(entry: StoredResponse): Standing {
    const age = ageOf(entry, this.#owner.clock.wallNow());
    const { shared } = this.#owner;
    return { age, lifetime: lifetimeOf(entry), response: directivesOf(entry), request: this.#asked, shared };
  }

  #ttl(entry: StoredResponse): number {
    return lifetimeOf(entry) - ageOf(entry, this.#owner.clock.wallNow());
  }
}

/**
 * Validates an entry for nobody in particular, and reads what comes instead of it into the store.
 *
 * @param signal ends it
 */
export async function refreshBehind(
  owner: VisitOwner,
  request: Request,
  entry: StoredResponse,
  signal: AbortSignal,
): Promise<void> {
  const visit = new Visit(owner, unconditional(request), { signal });
  const response = await visit.validate(entry, "stale");
  if (visit.storing === null) {
    await response.close();
    return;
  }
  for await (const _ of response) if (!visit.storing.going) break;
}

function passedOn(
  owner: VisitOwner,
  response: Response,
  request: Request,
  status: CacheStatus,
  around: (content: BodySource | null) => BodySource | null = (content) => content,
): Response {
  // One that was read already, or that is another's class, is passed on as it is.
  if (!(response instanceof Response) || response.bodyUsed) return response;
  const { redirected } = response;
  const { backing, content } = takenApart(response);
  const added = ["Cache-Status", formatCacheStatus(owner.name, status)] as const;
  return responseOf(new PassedOn(backing, around(content), request, redirected, added));
}

/** What would fail the same way without a server, or is our own mistake. */
function isOurs(error: unknown): boolean {
  if (error instanceof HttpError) {
    return (
      error instanceof LocalProtocolError || error instanceof TransportClosedError || error instanceof InvariantError
    );
  }
  return error instanceof TypeError;
}

/** Whether an answer says what there is now, also where it may not be stored itself. */
function replaces(status: number): boolean {
  return (status >= 200 && status <= 399 && status !== 304) || status === 404 || status === 410;
}

function hasNoContent(status: number): boolean {
  return status === 204;
}
