/**
 * A look at a request body of unknown length before its head is written: an empty one is then sent as no body at all, since
 * servers that expect none with GET and its like stumble over a chunked one (Go issue 18257). Asked before a connection is,
 * so a body that fails at once costs none.
 *
 * Only with methods that usually have no body; a POST is chunked whatever comes. Not where the caller's own fields, trailers
 * or `Expect: 100-continue` say that there is a body, the last one because it must not be read before the 100.
 *
 * Never: waits longer than 200 ms; takes a byte that is not given back.
 *
 * Go net/http transferWriter.probeRequestBody.
 */

import type { Clock } from "./clock.ts";
import type { Request } from "./message/request.ts";
import type { BodyReader } from "./message/request-body.ts";
import type { WritableHead } from "./wire/request-writer.ts";

/** As Go: a body that takes longer is probably there, and its head must not wait for it. */
const PROBE_MS = 200;
const KEEP_ALIVE = { keepAlive: true } as const;

/** Go's requestMethodUsuallyLacksBody. */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "SEARCH"]);

/** Whether the head, as it was written, promises a body that may turn out to be none. */
export function needsProbe(request: Request, head: WritableHead): boolean {
  return (
    head.framing.kind === "chunked" &&
    !head.expectContinue &&
    request.trailers === null &&
    BODILESS.has(request.method) &&
    !request.hasField("transfer-encoding")
  );
}

/**
 * Waits for the body's first chunk, but no longer than 200 ms.
 *
 * @returns the body whole, to be read in the place of `body`; null when it is empty
 * @throws (rejects) the body's own error, or the reason of its destruction
 */
export function probeBody(body: BodyReader, clock: Clock): Promise<BodyReader | null> {
  return new Promise((resolve, reject) => {
    const first = body.next();
    const enough = clock.deadline(PROBE_MS, () => resolve(new ProbedReader(body, first)), KEEP_ALIVE);
    first.then(
      (chunk) => {
        enough.cancel();
        resolve(chunk === null ? null : new ProbedReader(body, first));
      },
      (error: unknown) => {
        enough.cancel();
        reject(error); // too late where the time was up: then whoever reads the body is told
      },
    );
  });
}

/** A body whose first chunk was asked for already. */
class ProbedReader implements BodyReader {
  readonly length = null;
  readonly memory = null;
  readonly #body: BodyReader;
  #first: Promise<Uint8Array | null> | null;

  constructor(body: BodyReader, first: Promise<Uint8Array | null>) {
    this.#body = body;
    this.#first = first;
  }

  next(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = null;
    return first ?? this.#body.next();
  }

  destroy(reason?: unknown): void {
    this.#body.destroy(reason);
  }
}
