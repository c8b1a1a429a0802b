/**
 * Hooks: code of the caller's before a request, after its answer, and at its failure.
 *
 * `onRequest` comes first, once for each request that comes through here; then what is within; then `onResponse` or
 * `onError`, one of the two at most. What `onRequest` or `onResponse` throws fails the call as it is: no other hook hears
 * of it. Several sets of hooks are several wrappers: the outer one's `onRequest` runs first, its `onResponse` last, and it
 * sees what the inner one made of request and answer.
 *
 * Each may be asynchronous. The first two are waited for as long as the call's signal and deadline allow; `onError`, which
 * may hear that they ended, for as long as it takes.
 *
 * Never: changes a request or an answer by itself; leaves open what a hook's failure takes from the caller.
 */

import { kindOf } from "../message/options.ts";
import { Request } from "../message/request.ts";
import { Response } from "../message/response.ts";
import { Patience } from "../patience.ts";
import type { RoundTripCall, RoundTripper } from "../round-tripper.ts";
import { type Checks, checked, isFunction } from "./options.ts";
import { drop, type WrappedRoundTripper, Wrapper } from "./wrapper.ts";

type Awaitable<T> = T | Promise<T>;
type Nothing = void | undefined;

export interface Hooks {
  /**
   * Before a request is sent.
   *
   * @returns nothing, or a request to send in its place: `request.with({ … })`
   */
  onRequest?: (request: Request, call: RoundTripCall | undefined) => Awaitable<Request | Nothing>;
  /**
   * After the head of an answer came. It may look at the answer, or read it: then it has to return another in its place.
   *
   * @param request as it was sent
   * @returns nothing, or an answer to give in its place; the first one is then the hook's to read or to close
   */
  onResponse?: (response: Response, request: Request) => Awaitable<Response | Nothing>;
  /**
   * After no answer came: an abort by the caller's signal too.
   *
   * @returns nothing: the call fails with `error`; or an answer to give. What it throws takes the place of `error`
   */
  onError?: (error: unknown, request: Request) => Awaitable<Response | Nothing>;
}

const CHECKS: Checks<Hooks> = { onRequest: isFunction, onResponse: isFunction, onError: isFunction };

/**
 * Has hooks called for each request that goes through.
 *
 * @throws {TypeError} unknown or wrong hooks, or no round tripper
 * @example
 * withHooks(transport, { onRequest: (request) => request.with({ headers: [...request.headers.raw, ["X-Trace", id()]] }) })
 */
export function withHooks(next: RoundTripper, hooks: Hooks): WrappedRoundTripper {
  return new HookedRoundTripper(next, hooks);
}

class HookedRoundTripper extends Wrapper {
  readonly #hooks: Hooks;

  constructor(next: RoundTripper, hooks: Hooks) {
    super(next, "HookedRoundTripper");
    this.#hooks = checked(hooks, CHECKS);
  }

  protected async send(given: Request, call: RoundTripCall | undefined): Promise<Response> {
    const { onResponse, onError } = this.#hooks;
    const patience = new Patience(this.clock, given, call);
    const request = await this.#before(given, call, patience);
    let response: Response;
    try {
      response = await this.next.roundTrip(request, call);
    } catch (error) {
      if (onError === undefined) throw error;
      // Not within the call's time: it may be the end of that which the hook hears of.
      const answer = await onError(error, request);
      if (answer === undefined) throw error;
      return isAnswer(answer, "onError");
    }
    if (onResponse === undefined) return response;
    try {
      const answer = await patience.wait(onResponse(response, request), (late) => {
        if (late instanceof Response) drop(late);
      });
      return answer === undefined ? response : isAnswer(answer, "onResponse");
    } catch (error) {
      drop(response);
      throw error;
    }
  }

  /** The request to send. A body that can be read once is given up where that one does not take it along. */
  async #before(given: Request, call: RoundTripCall | undefined, patience: Patience): Promise<Request> {
    const { onRequest } = this.#hooks;
    if (onRequest === undefined) return given;
    given.body?.guard();
    try {
      const said = await patience.wait(onRequest(given, call), (late) => {
        if (late instanceof Request) late.body?.discard(new Error("The call is over"));
      });
      if (said === undefined) return given;
      if (!(said instanceof Request)) throw wrongResult("onRequest", "a Request", said);
      if (said.body !== given.body) given.body?.discard(new Error("Another request was sent in its place"));
      return said;
    } catch (error) {
      given.body?.discard(error);
      throw error;
    }
  }
}

function isAnswer(answer: unknown, hook: string): Response {
  if (answer instanceof Response) return answer;
  throw wrongResult(hook, "a Response", answer);
}

function wrongResult(hook: string, wanted: string, given: unknown): TypeError {
  return new TypeError(`Hook ${hook} must give ${wanted} or nothing: it gave ${kindOf(given)}`);
}
