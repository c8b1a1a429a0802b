/**
 * Digest authentication: a request that is refused with a challenge is sent once more with the answer to it, and those
 * that follow answer it from the start, counted, until the server wants another nonce.
 *
 * Only Digest is answered, where Basic is offered too: whoever stands between could else ask for the password itself. What
 * the password is for goes over plain http, too; whoever wants to keep out of MD5 says so (`algorithms`).
 *
 * A body that can be read once is sent once: where its request is refused, the 401 is the caller's, and the next request
 * answers the challenge from the start.
 *
 * Owns:  for each origin the session with its count. Two calls never use the same count.
 * Never: answers more than twice for one call, or the same challenge twice; checks `rspauth`; answers a proxy's 407: a
 *        proxy's credentials are the transport's, in the proxy's URL.
 *
 * RFC 7616 §3.3 (challenge), §3.4 (answer), §3.5 (Authentication-Info).
 */

import { createHash, randomBytes } from "node:crypto";
import { LocalProtocolError } from "../errors.ts";
import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { parseChallenges, parseParams } from "./challenges.ts";
import { Bound, canRepeat, isCredential, type Origins, required, withAuthorization } from "./credentials.ts";
import { chooseDigest, DIGEST_ALGORITHMS, type DigestAlgorithm, DigestSession, hashOf } from "./digest.ts";
import { type Checks, checked } from "./options.ts";
import { drop, letGo, type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

export interface DigestAuthOptions {
  /** Required. */
  username: string;
  /** Required. */
  password: string;
  /** To whom the credentials are proven; plain http may be among them. Required. */
  origins: Origins;
  /** What may be used. Default: all, the strongest that is offered. */
  algorithms?: readonly DigestAlgorithm[];
}

const CHECKS: Checks<DigestAuthOptions> = {
  username: isCredential,
  password: isCredential,
  origins: () => null,
  algorithms: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((one) => DIGEST_ALGORITHMS.includes(one))
      ? null
      : `a list of ${DIGEST_ALGORITHMS.join(", ")}`,
};

/** One for the challenge, one more for a nonce that was too old by then. */
const ANSWERS_MAX = 2;

/**
 * Proves user name and password to their origins.
 *
 * @throws {TypeError} unknown, wrong or missing options, or no round tripper
 * @example
 * withDigestAuth(transport, { username: "admin", password, origins: "http://camera.local" })
 */
export function withDigestAuth(next: RoundTripper, options: DigestAuthOptions): WrappedRoundTripper {
  return new DigestAuthRoundTripper(next, options);
}

class DigestAuthRoundTripper extends Wrapper {
  readonly #bound: Bound;
  readonly #username: string;
  readonly #password: string;
  readonly #algorithms: readonly DigestAlgorithm[];
  readonly #sessions = new Map<string, DigestSession>();

  constructor(next: RoundTripper, options: DigestAuthOptions) {
    super(next, "DigestAuthRoundTripper");
    const { username, password, origins, algorithms = DIGEST_ALGORITHMS } = checked(options, CHECKS);
    this.#username = required("username", username);
    this.#password = required("password", password);
    this.#bound = new Bound(origins, true);
    this.#algorithms = algorithms;
  }

  protected async send(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { clock, next } = this;
    if (!this.#bound.covers(request)) return next.roundTrip(request, call);
    const { origin } = request.destination;
    const patience = new Patience(clock, request, call);
    let session = this.#sessions.get(origin) ?? null;
    for (let answers = 0; ; answers++) {
      const sent = session === null ? request : await this.#answering(request, session, patience);
      const response = await next.roundTrip(sent, call);
      if (session !== null) learn(response, session);
      if (response.status !== 401) return response;
      const challenge = chooseDigest(parseChallenges(response.headers.get("www-authenticate")), this.#algorithms);
      if (challenge === null || (answers > 0 && !challenge.stale)) {
        // What was answered was the server's newest: the credentials are refused.
        if (session !== null && this.#sessions.get(origin) === session) this.#sessions.delete(origin);
        return response;
      }
      session = new DigestSession(challenge, this.#username, this.#password, randomBytes(16).toString("hex"));
      this.#sessions.set(origin, session);
      if (answers === ANSWERS_MAX || !canRepeat(request)) return response;
      try {
        await letGo(response, clock, patience);
      } catch (error) {
        drop(response);
        throw error;
      }
    }
  }

  /** The request with the session's next answer. */
  async #answering(request: Request, session: DigestSession, patience: Patience): Promise<Request> {
    const { qop, algorithm } = session.challenge;
    try {
      const bodyHash = qop === "auth-int" ? await patience.wait(hashBody(request, hashOf(algorithm))) : null;
      const { method, target } = request;
      return withAuthorization(request, session.authorization({ method, uri: target, bodyHash }));
    } catch (error) {
      request.body?.discard(error);
      throw error;
    }
  }
}

/** Reads the body once more than it is sent, so it has to be one that can be made again. */
async function hashBody(request: Request, name: string): Promise<string> {
  if (!canRepeat(request)) {
    throw new LocalProtocolError(
      "body",
      `Cannot authorise ${request.method} ${request.url}: the server wants auth-int, a hash of the body in the head, and this body can be read only once`,
    );
  }
  const hash = createHash(name);
  for await (const chunk of request.getBody() ?? []) hash.update(chunk);
  return hash.digest("hex");
}

/** What the server says of the requests to come. */
function learn(response: Response, session: DigestSession): void {
  const info = response.headers.get("authentication-info");
  const nonce = info === null ? undefined : parseParams(info).get("nextnonce");
  if (nonce !== undefined && nonce !== "") session.nextNonce(nonce);
}
