/**
 * Basic authentication: user name and password with every request to their origins, from the first on, so that no request is
 * sent twice. User name and password are UTF-8 in Normalization Form C, whatever the server says: that is the only charset
 * it can name.
 *
 * Never: answers a challenge: where the credentials were sent and refused, the 401 is the caller's.
 *
 * RFC 7617 §2, §2.1 (charset), §2.2 (sending them unasked).
 */

import type { Request } from "../message/request.ts";
import type { Response } from "../message/response.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { Bound, type BoundOptions, isCredential, required, withAuthorization } from "./credentials.ts";
import { type Checks, checked, isBoolean } from "./options.ts";
import { type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

export interface BasicAuthOptions extends BoundOptions {
  /** Without a colon. Required. */
  username: string;
  /** Required. */
  password: string;
}

const CHECKS: Checks<BasicAuthOptions> = {
  username: (value) =>
    typeof value === "string" && value.includes(":") ? "a string without a colon" : isCredential(value),
  password: isCredential,
  origins: () => null,
  allowHttp: isBoolean,
};

/**
 * Sends user name and password to their origins.
 *
 * @throws {TypeError} unknown, wrong or missing options, or no round tripper
 * @example
 * withBasicAuth(transport, { username: "ann", password, origins: "https://api.example" })
 */
export function withBasicAuth(next: RoundTripper, options: BasicAuthOptions): WrappedRoundTripper {
  return new BasicAuthRoundTripper(next, options);
}

class BasicAuthRoundTripper extends Wrapper {
  readonly #bound: Bound;
  readonly #authorization: string;

  constructor(next: RoundTripper, options: BasicAuthOptions) {
    super(next, "BasicAuthRoundTripper");
    const { username, password, origins, allowHttp = false } = checked(options, CHECKS);
    const text = `${required("username", username)}:${required("password", password)}`.normalize("NFC");
    this.#bound = new Bound(origins, allowHttp);
    this.#authorization = `Basic ${Buffer.from(text, "utf8").toString("base64")}`;
  }

  protected send(request: Request, call: RoundTripCall | undefined): Promise<Response> {
    const covered = this.#bound.covers(request);
    return this.next.roundTrip(covered ? withAuthorization(request, this.#authorization) : request, call);
  }
}
