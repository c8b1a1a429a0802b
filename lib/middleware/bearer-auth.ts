/**
 * Bearer tokens: one with every request to its origins. A token that comes from a function is kept until it is refused by
 * a 401; then the function is asked for another, once for all calls that wait, and each call is sent once more with that.
 *
 * Owns:  the token, and the one asking for it that is under way. It belongs to no call: who waits for it waits as long as
 *        its own signal and deadline allow, and the others get it all the same.
 * Never: shows a token; sends a request a third time.
 *
 * RFC 6750 §2.1 (the field), §3.1 (invalid_token), §5.3 (TLS).
 */

import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { Bound, type BoundOptions, canRepeat, required, withAuthorization } from "./credentials.ts";
import { type Checks, checked, isBoolean } from "./options.ts";
import { drop, letGo, type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

/**
 * Gives a token.
 *
 * @param refused the one that a server has refused; null where none is known
 */
export type TokenSource = (refused: string | null) => string | Promise<string>;

export interface BearerAuthOptions extends BoundOptions {
  /** The token, or who gives it. What that throws fails the calls that wait for it. Required. */
  token: string | TokenSource;
}

/** b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

const CHECKS: Checks<BearerAuthOptions> = {
  token: (value) => (typeof value === "function" || isToken(value) ? null : "a token (RFC 6750 §2.1) or a function"),
  origins: () => null,
  allowHttp: isBoolean,
};

function isToken(value: unknown): value is string {
  return typeof value === "string" && B64TOKEN.test(value);
}

/**
 * Sends a bearer token to its origins.
 *
 * @throws {TypeError} unknown, wrong or missing options, or no round tripper
 * @example
 * withBearerAuth(transport, { token: async () => (await login()).accessToken, origins: "https://api.example" })
 */
export function withBearerAuth(next: RoundTripper, options: BearerAuthOptions): WrappedRoundTripper {
  return new BearerAuthRoundTripper(next, options);
}

class BearerAuthRoundTripper extends Wrapper {
  readonly #bound: Bound;
  readonly #source: TokenSource | null;
  #token: string | null;
  #refused: string | null = null;
  #asking: Promise<string> | null = null;

  constructor(next: RoundTripper, options: BearerAuthOptions) {
    super(next, "BearerAuthRoundTripper");
    const { token, origins, allowHttp = false } = checked(options, CHECKS);
    const given = required("token", token);
    this.#bound = new Bound(origins, allowHttp);
    this.#source = typeof given === "function" ? given : null;
    this.#token = typeof given === "function" ? null : given;
  }

  protected async send(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { next } = this;
    if (!this.#bound.covers(request)) return next.roundTrip(request, call);
    const patience = new Patience(this.clock, request, call);
    let token: string;
    let sent: Request;
    request.body?.guard();
    try {
      token = await patience.wait(this.#current());
      sent = withAuthorization(request, `Bearer ${token}`);
    } catch (error) {
      request.body?.discard(error);
      throw error;
    }
    const response = await next.roundTrip(sent, call);
    if (response.status !== 401 || this.#source === null) return response;
    this.#refuse(token);
    if (!canRepeat(request)) return response; // the next call has another token
    try {
      const other = await patience.wait(this.#current());
      if (other === token) return response;
      await letGo(response, this.clock, patience);
      sent = withAuthorization(request, `Bearer ${other}`);
    } catch (error) {
      drop(response);
      throw error;
    }
    return next.roundTrip(sent, call);
  }

  #current(): string | Promise<string> {
    return this.#token ?? this.#asking ?? this.#ask();
  }

  /** Another call may have another one already: then this one is asked for nothing. */
  #refuse(token: string): void {
    if (this.#token !== token) return;
    this.#token = null;
    this.#refused = token;
  }

  #ask(): Promise<string> {
    const source = this.#source as TokenSource; // a token that was given is never taken away
    const asking = Promise.resolve()
      .then(() => source(this.#refused))
      .then((token: unknown) => {
        if (!isToken(token)) {
          throw new TypeError("Option token must give a token (RFC 6750 §2.1): it gave something else");
        }
        this.#token = token;
        return token;
      });
    this.#asking = asking;
    const over = (): void => {
      this.#asking = null;
    };
    asking.then(over, over); // before anybody who waits
    return asking;
  }
}
