/**
 * Whole responses, well formed, each with what a reader must understand: any legal status line and header section, any
 * framing that fits, 1xx responses before it, a body in one piece or in chunks. Pure; strings hold one byte in each char
 * code.
 *
 * RFC 9112 §4 (status line), §6.3 (where the body ends), §7.1; RFC 9110 §15.2 (1xx).
 */

import { bodies, chunkedBodies } from "./bodies.ts";
import type { Arbitrary, FastCheck } from "./fast-check.ts";
import { anyCase, charFrom, type FieldPair, fieldLines, headerSections } from "./fields.ts";

/** A 1xx response. */
export interface InformationMessage {
  readonly status: number;
  readonly fields: readonly FieldPair[];
}

export interface ResponseMessage {
  /** Of the request that it answers: it decides whether there is a body. */
  readonly method: string;
  /** The 1xx responses in front of it. */
  readonly information: readonly InformationMessage[];
  readonly minorVersion: 0 | 1;
  readonly status: number;
  readonly reason: string;
  /** All fields, framing too, in order. */
  readonly fields: readonly FieldPair[];
  readonly framing: "none" | "length" | "chunked" | "close";
  readonly body: string;
  readonly trailers: readonly FieldPair[];
  /** All of it on the wire. With `framing: "close"` the connection's end belongs to it. */
  readonly bytes: string;
}

export interface ResponseMessageOptions {
  /** Of the requests that are answered. Default GET, HEAD, POST. */
  readonly methods?: readonly string[];
  /** 1xx in front. Default true. */
  readonly information?: boolean;
  /** Default true. */
  readonly chunkExtensions?: boolean;
  /** Whether a body may end with the connection. Default true. */
  readonly closeDelimited?: boolean;
}

const COMMON = [200, 200, 201, 206, 301, 400, 404, 416, 500, 503];
const BODILESS = [204, 304];

/** Responses that a client must read. */
export function responseMessages(fc: FastCheck, options: ResponseMessageOptions = {}): Arbitrary<ResponseMessage> {
  const { methods = ["GET", "GET", "POST", "HEAD"], information = true, chunkExtensions = true } = options;
  const status = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...COMMON) },
    { weight: 1, arbitrary: fc.constantFrom(...BODILESS) },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 999 }) },
  );
  const framings =
    options.closeDelimited === false ? (["length", "chunked"] as const) : (["length", "chunked", "close"] as const);
  const line = fc.record({
    method: fc.constantFrom(...methods),
    minorVersion: fc.constantFrom(1, 1, 1, 1, 0) as Arbitrary<0 | 1>, // fast-check widens the two to number
    status,
    reason: reasonPhrases(fc),
  });
  return fc
    .tuple(
      line,
      fc.constantFrom(...framings),
      bodies(fc),
      chunkedBodies(fc, { extensions: chunkExtensions }),
      headerSections(fc),
      information ? informations(fc) : fc.constant([]),
      fc.tuple(anyCase(fc, "Content-Length"), anyCase(fc, "Transfer-Encoding"), anyCase(fc, "chunked")),
    )
    .chain(([start, wanted, text, chunked, section, before, [lengthName, codingName, coding]]) => {
      const bodiless = start.method === "HEAD" || BODILESS.includes(start.status);
      const kind = wanted === "chunked" && start.minorVersion === 0 ? "length" : wanted;
      // What a HEAD or 304 declares is what a GET would have got; a 204 declares nothing (RFC 9110 §8.6).
      const framingField: FieldPair[] =
        start.status === 204 || kind === "close"
          ? []
          : kind === "chunked"
            ? [[codingName, coding]]
            : [[lengthName, String(text.length)]];
      const body = bodiless ? "" : kind === "chunked" ? chunked.body : text;
      const framing = bodiless || (kind === "length" && body === "") ? "none" : kind;
      return fc.tuple(fieldLines(fc, framingField), fc.nat({ max: section.fields.length })).map(([own, at]) => {
        const head = `HTTP/1.${start.minorVersion} ${start.status} ${start.reason}\r\n${insert(section.lines, at, own.lines).join("")}\r\n`;
        return {
          ...start,
          information: before.map(({ status: code, fields }) => ({ status: code, fields })),
          fields: insert(section.fields, at, own.fields),
          framing,
          body,
          trailers: framing === "chunked" ? chunked.trailers : [],
          bytes:
            before.map((each) => each.bytes).join("") +
            head +
            (bodiless ? "" : kind === "chunked" ? chunked.bytes : text),
        };
      });
    });
}

/** reason-phrase (RFC 9112 §4): also none, blanks and obs-text. */
export function reasonPhrases(fc: FastCheck): Arbitrary<string> {
  const char = fc.oneof(charFrom(fc, 0x21, 0x7e), fc.constant(" "), charFrom(fc, 0x80, 0xff));
  const made = fc.string({ unit: char, maxLength: 20 }).map((text) => text.trim());
  return fc.oneof({ weight: 3, arbitrary: fc.constantFrom("OK", "Not Found", "") }, { weight: 1, arbitrary: made });
}

function informations(fc: FastCheck) {
  const one = fc
    .tuple(fc.constantFrom(100, 102, 103, 199), headerSections(fc, 2))
    .map(([status, { fields, lines }]) => ({
      status,
      fields,
      bytes: `HTTP/1.1 ${status} So far\r\n${lines.join("")}\r\n`,
    }));
  return fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(one, { maxLength: 3 }) });
}

function insert<T>(into: readonly T[], at: number, what: readonly T[]): T[] {
  return [...into.slice(0, at), ...what, ...into.slice(at)];
}
