/**
 * Bodies, and the ways to cut one into chunks. Pure; strings hold one byte in each char code.
 *
 * RFC 9112 §7.1 (chunked), §7.1.1 (extensions), §7.1.2 (trailers).
 */

import type { Arbitrary, FastCheck } from "./fast-check.ts";
import { anyCase, blanks, charFrom, type FieldPair, fieldLines, fieldValues, tokens } from "./fields.ts";

/** A body in chunked coding. */
export interface ChunkedBody {
  /** What it decodes to. */
  readonly body: string;
  /** The same, chunk by chunk; none is empty. */
  readonly chunks: readonly string[];
  readonly trailers: readonly FieldPair[];
  /** As it goes on the wire, to the last CRLF. */
  readonly bytes: string;
}

export interface ChunkingOptions {
  /** Default 6. */
  readonly maxChunks?: number;
  /** Extensions behind sizes: legal, and rare enough that some readers get them wrong. Default true. */
  readonly extensions?: boolean;
  /** Default true. */
  readonly trailers?: boolean;
}

/** Bytes of a body: often such as a reader could take for framing. */
export function bodies(fc: FastCheck, maxLength = 200): Arbitrary<string> {
  const bytes = fc.string({ unit: charFrom(fc, 0, 255), maxLength });
  const telling = fc.constantFrom(
    "",
    "0",
    "\r\n",
    "0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "\xff\xfe\0",
  );
  const long = fc.tuple(charFrom(fc, 0, 255), fc.integer({ min: 1, max: maxLength })).map(([c, n]) => c.repeat(n));
  return fc.oneof({ weight: 4, arbitrary: bytes }, { weight: 2, arbitrary: telling }, { weight: 1, arbitrary: long });
}

/** A body in chunked coding: any chunks, sizes with zeros and in any case, extensions, trailers. */
export function chunkedBodies(fc: FastCheck, options: ChunkingOptions = {}): Arbitrary<ChunkedBody> {
  const { maxChunks = 6, extensions = true, trailers = true } = options;
  const extension = extensions ? chunkExtensions(fc) : fc.constant("");
  const data = bodies(fc, 60).filter((chunk) => chunk !== "");
  const chunk = fc.tuple(data, fc.nat({ max: 3 }), fc.nat(), extension);
  const section = trailers ? trailerSections(fc) : fc.constant({ fields: [], lines: [] });
  return fc
    .tuple(fc.array(chunk, { maxLength: maxChunks }), extension, section)
    .chain(([parts, lastExtension, trailer]) =>
      fc.tuple(...parts.map(([text]) => anyCase(fc, text.length.toString(16)))).map((sizes) => {
        let bytes = "";
        for (const [i, [text, zeros, , ext]] of parts.entries()) {
          bytes += `${"0".repeat(zeros)}${sizes[i]}${ext}\r\n${text}\r\n`;
        }
        return {
          body: parts.map(([text]) => text).join(""),
          chunks: parts.map(([text]) => text),
          trailers: trailer.fields,
          bytes: `${bytes}0${lastExtension}\r\n${trailer.lines.join("")}\r\n`,
        };
      }),
    );
}

/** chunk-ext (RFC 9112 §7.1.1), mostly none. */
export function chunkExtensions(fc: FastCheck): Arbitrary<string> {
  const value = fc.oneof(tokens(fc, 6), fc.constantFrom('""', '"a;b"', '"\\"\\\\"', '" \t\xff"'));
  const one = fc
    .tuple(blanks(fc), blanks(fc), tokens(fc, 6), fc.option(fc.tuple(blanks(fc), blanks(fc), value)))
    .map(([a, b, name, v]) => `${a};${b}${name}${v === null ? "" : `${v[0]}=${v[1]}${v[2]}`}`);
  const some = fc.array(one, { minLength: 1, maxLength: 3 }).map((all) => all.join(""));
  return fc.oneof({ weight: 4, arbitrary: fc.constant("") }, { weight: 1, arbitrary: some });
}

function trailerSections(fc: FastCheck) {
  const pair = fc.tuple(fc.constantFrom("X-Sum", "X-Trailer", "digest"), fieldValues(fc));
  const some = fc.array(pair, { minLength: 1, maxLength: 3 }).chain((fields) => fieldLines(fc, fields));
  return fc.oneof({ weight: 2, arbitrary: fc.constant({ fields: [], lines: [] }) }, { weight: 1, arbitrary: some });
}
