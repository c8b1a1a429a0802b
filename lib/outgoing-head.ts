/**
 * A request as the request writer wants it: the one step between what callers hold and what goes on the wire, shared by
 * the transport and `writeRequest`, so that both write the same head.
 */

import { httpSchemeOf } from "./message/destination.ts";
import type { Request } from "./message/request.ts";
import type { BodyReader } from "./message/request-body.ts";
import type { OutgoingHead } from "./wire/request-writer.ts";

/** @param body this sending of the request's body; null when there is none */
export function outgoingHead(request: Request, body: BodyReader | null): OutgoingHead {
  const { authority, hostPort } = request.destination;
  const { method, target } = request;
  return {
    method,
    scheme: httpSchemeOf(request.destination),
    // Of a CONNECT that is sent to one host for another, the other's (RFC 9112 §3.2.3).
    authority: method === "CONNECT" && target !== hostPort ? target : authority,
    target,
    fields: request.pairs,
    bodyLength: body === null ? undefined : body.length,
    contentType: null, // the request has it among its fields
    trailerNames: request.trailers?.names ?? null,
    expectContinue: request.expectContinue,
  };
}
