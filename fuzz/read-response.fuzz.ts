/**
 * `readResponse` tells of any bytes, from any kind of source and in any pieces, what the parser tells of them: the final
 * response with its body and trailers, or a typed error; and the source is given up, whichever it was.
 */

import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HttpError, InvariantError } from "../lib/errors.ts";
import { type ResponseInput, readResponse } from "../lib/read-response.ts";
import { arbitraries } from "../lib/testing/arbitraries/arbitraries.ts";
import { cut } from "../lib/testing/arbitraries/splits.ts";
import { CORPUS, REFUSALS } from "../spec/wire/corpus.ts";
import { ourReading } from "./oracles/ours.ts";
import type { Pairs, ReadMessage } from "./oracles/reading.ts";
import { runs } from "./runs.ts";

const FILE = "read-response";
const arb = arbitraries(fc);
const messages = arb.responseMessages().map((message) => message.bytes);
const known = [...CORPUS, ...REFUSALS].map((c) => c.bytes).filter((bytes) => bytes.length < 1000);
const streams = fc.oneof(messages, arb.malformed(fc.oneof(messages, fc.constantFrom(...known))));

type SourceKind = "bytes" | "iterable" | "web" | "node";

/** These pieces as a source of that kind, and whether it was given up. */
function sourceOf(kind: SourceKind, pieces: readonly string[]): { source: ResponseInput; over: () => boolean } {
  const parts = pieces.map((piece) => Buffer.from(piece, "latin1"));
  let over = false;
  const iterable = async function* () {
    try {
      yield* parts;
    } finally {
      over = true;
    }
  };
  switch (kind) {
    case "bytes":
      return { source: Buffer.concat(parts), over: () => true };
    case "iterable":
      return { source: iterable(), over: () => over };
    case "node": {
      const source = Readable.from(parts);
      return { source, over: () => source.destroyed };
    }
    case "web":
      return { source: ReadableStream.from(iterable()), over: () => over };
  }
}

async function read(source: ResponseInput, method: string): Promise<ReadMessage | string> {
  try {
    const response = await readResponse(source, { method });
    const body = Buffer.from(await response.bytes()).toString("latin1");
    const { status, statusText, httpVersion, headers, trailers } = response;
    return {
      status,
      reason: statusText,
      minor: httpVersion === "1.1" ? 1 : 0,
      method: "",
      target: "",
      fields: lower(headers.raw),
      body,
      trailers: lower(trailers?.raw ?? []),
    };
  } catch (error) {
    if (!(error instanceof HttpError) || error instanceof InvariantError) throw error;
    return "refused";
  }
}

const lower = (pairs: Pairs): Pairs => pairs.map(([name, value]) => [name.toLowerCase(), value]);

test("readResponse() tells what the parser tells, whatever its source and its pieces, and gives the source up", async () => {
  await fc.assert(
    fc.asyncProperty(
      streams,
      arb.splits(),
      fc.constantFrom<SourceKind>("bytes", "iterable", "web", "node"),
      fc.constantFrom("GET", "GET", "HEAD"),
      async (bytes, splits, kind, method) => {
        const { source, over } = sourceOf(kind, cut(bytes, splits));
        const ours = ourReading(bytes, method);
        const expected = ours.error === "" ? ours.messages.at(-1) : "refused";
        expect(await read(source, method)).toEqual(expected);
        // A source that was never asked need not say that it was given up; one piece at least was asked for here.
        await new Promise((resolve) => setImmediate(resolve));
        if (bytes !== "") expect(over()).toBe(true);
      },
    ),
    runs(FILE),
  );
});
