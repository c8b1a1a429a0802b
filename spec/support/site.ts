/**
 * Servers without a network: a RoundTripper that answers by a function and keeps what it was asked, bodies included, as a
 * transport would send it. For specs of what stands above the transport.
 */

import { type Request, Response, type RoundTripCall, type RoundTripper } from "../../lib/index.ts";

export interface Seen {
  readonly request: Request;
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly call: RoundTripCall | undefined;
}

export class Site implements RoundTripper {
  readonly seen: Seen[] = [];
  readonly #answer: (request: Request, count: number) => Response | Promise<Response>;

  /** @param answer gets the request, and how many came before it */
  constructor(answer: (request: Request, count: number) => Response | Promise<Response>) {
    this.#answer = answer;
  }

  async roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    if (call?.signal?.aborted) {
      request.body?.discard(call.signal.reason);
      throw call.signal.reason;
    }
    let body = "";
    for await (const chunk of request.getBody() ?? []) body += Buffer.from(chunk).toString();
    this.seen.push({ request, method: request.method, url: request.url, body, call });
    return this.#answer(request, this.seen.length - 1);
  }

  /** A field of each request, in order; null where it had none. */
  sent(field: string): (string | null)[] {
    return this.seen.map(({ request }) => request.headers.get(field));
  }

  /** Method and body of each request: `GET`, `POST "text"`. */
  get steps(): string[] {
    return this.seen.map(({ method, body }) => (body === "" ? method : `${method} ${JSON.stringify(body)}`));
  }
}

/** A 3xx with its Location, and other fields. */
export function redirect(status: number, location: string, ...fields: [string, string][]): Response {
  return new Response(null, { status, headers: [["Location", location], ...fields] });
}
