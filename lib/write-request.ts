/**
 * Writes one request as the bytes that a connection would send with default options (Go's Request.Write): the same head,
 * the same framing, checked by the same rules. Only Accept-Encoding is left out, as in Go: who asks for a coding has to
 * decode it, and `readResponse` does not.
 *
 * Owns: this sending of the body, from the first chunk asked for to the last or to `return()`.
 *
 * RFC 9112 §3, §6, §7.1; Go net/http Request.Write.
 */

import { type Clock, systemClock } from "./clock.ts";
import { LocalProtocolError } from "./errors.ts";
import type { Request } from "./message/request.ts";
import { resolveOptions } from "./options.ts";
import { outgoingHead } from "./outgoing-head.ts";
import { needsProbe, probeBody } from "./probe-body.ts";
import { CHUNK_END, chunkHeader, lastChunk, type WriterOptions, writeHead } from "./wire/request-writer.ts";

/** As much of a body as a connection writes at once, so a chunk of a chunked body is at most this long. */
const SLICE_BYTES_MAX = 64 * 1024;

const OPTIONS = {
  userAgent: resolveOptions({}).userAgent,
  acceptEncoding: null,
  absoluteForm: false,
  close: false,
  extra: [],
} as const satisfies WriterOptions;

/**
 * The bytes of a request, head first. `Expect: 100-continue` is written where it was asked for, and not waited for: there
 * is nobody who could answer.
 *
 * @throws (while iterating) {LocalProtocolError} it cannot be sent as it is; {BodyUsedError} its body was sent before;
 *   and the body's own error
 */
export async function* writeRequest(
  request: Request,
  clock: Clock = systemClock,
): AsyncGenerator<Uint8Array, undefined> {
  let body = request.body?.open() ?? null;
  try {
    let head = writeHead(outgoingHead(request, body), OPTIONS);
    if (body !== null && needsProbe(request, head)) {
      body = await probeBody(body, clock);
      if (body === null) head = writeHead(outgoingHead(request, null), OPTIONS);
    }
    yield bytes(head.text);
    if (body === null) return;
    const declared = head.framing.kind === "content-length" ? head.framing.length : null;
    const chunked = head.framing.kind === "chunked";
    let sent = 0;
    for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
      sent += chunk.length;
      // More than was promised would be read as the next request (RFC 9112 §6.3).
      if (declared !== null && sent > declared) throw wrongLength(declared, `at least ${sent}`);
      for (let at = 0; at < chunk.length; at += SLICE_BYTES_MAX) {
        const slice = chunk.subarray(at, at + SLICE_BYTES_MAX);
        if (chunked) yield bytes(chunkHeader(slice.length));
        yield slice;
        if (chunked) yield bytes(CHUNK_END);
      }
    }
    if (declared !== null && sent < declared) throw wrongLength(declared, `${sent}`);
    if (chunked) yield bytes(lastChunk(request.trailers?.collect() ?? []));
  } finally {
    body?.destroy(new Error("The request is not written on"));
  }
}

function wrongLength(declared: number, found: string): LocalProtocolError {
  return new LocalProtocolError("body", `Cannot write request, body: it has ${found} bytes, ${declared} were declared`);
}

/** Heads hold one byte in each char code. */
function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
