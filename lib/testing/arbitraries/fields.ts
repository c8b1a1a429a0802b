/**
 * Tokens, field values and header sections, all of them legal, the odd ones more often than in life: empty values, blanks
 * around them, obs-text, names in any case, the same name again. Pure; strings hold one byte in each char code.
 *
 * RFC 9110 §5.1 (names), §5.5 (values), §5.6.2 (tokens), §5.6.3 (blanks); RFC 9112 §5 (lines).
 */

import type { Arbitrary, FastCheck } from "./fast-check.ts";

/** Name and value, without the blanks around it. */
export type FieldPair = readonly [name: string, value: string];

/** Fields, and the same fields as lines: each ends with CRLF. */
export interface FieldSection {
  readonly fields: readonly FieldPair[];
  readonly lines: readonly string[];
}

const TCHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";

/** Fields that decide about framing, routing or the connection: a random one of them would change what a message is. */
const STEERING = new Set(
  "content-length transfer-encoding connection trailer host te upgrade expect keep-alive proxy-connection content-encoding range content-type user-agent accept accept-encoding".split(
    " ",
  ),
);

const ORDINARY = [
  "A",
  "X-Id",
  "x-id",
  "Set-Cookie",
  "ETag",
  "Date",
  "Server",
  "Vary",
  "cache-control",
  "X_Y",
  "content-md5",
];

/** token (RFC 9110 §5.6.2): a method, a field name. */
export function tokens(fc: FastCheck, maxLength = 12): Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...TCHARS), minLength: 1, maxLength });
}

/** A field name that has no say in framing, routing or the connection. */
export function fieldNames(fc: FastCheck): Arbitrary<string> {
  const named = fc.constantFrom(...ORDINARY);
  const unnamed = tokens(fc, 20).filter((name) => !STEERING.has(name.toLowerCase()));
  return fc.oneof({ weight: 3, arbitrary: named }, { weight: 2, arbitrary: unnamed });
}

/** field-value (RFC 9110 §5.5) as a reader gives it: no blanks at its ends, any legal byte between. */
export function fieldValues(fc: FastCheck, maxLength = 40): Arbitrary<string> {
  const ascii = fc.string({ unit: charFrom(fc, 0x20, 0x7e), maxLength });
  const legal = fc.oneof(charFrom(fc, 0x20, 0x7e), charFrom(fc, 0x80, 0xff), fc.constant("\t"));
  const bytes = fc.string({ unit: legal, maxLength });
  const telling = fc.constantFrom(
    "",
    "0",
    "chunked",
    "close",
    "a, b",
    ", ,",
    "a;b=c",
    '"q\\"d"',
    "v".repeat(300),
    "\xa0x\xa0",
  );
  return fc
    .oneof({ weight: 3, arbitrary: ascii }, { weight: 2, arbitrary: bytes }, { weight: 2, arbitrary: telling })
    .map((value) => value.replace(/^[\t ]+|[\t ]+$/g, ""));
}

/** OWS (RFC 9110 §5.6.3): mostly the one blank that everybody writes. */
export function blanks(fc: FastCheck): Arbitrary<string> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant("") }, fc.constantFrom(" ", "\t", "  ", " \t "));
}

/** Lines for these fields, with any blanks around their values. */
export function fieldLines(fc: FastCheck, fields: readonly FieldPair[]): Arbitrary<FieldSection> {
  const blank = fc.tuple(fc.constantFrom(" ", " ", " ", "", "\t", "  "), blanks(fc));
  return fc.array(blank, { minLength: fields.length, maxLength: fields.length }).map((around) => ({
    fields,
    lines: fields.map(([name, value], i) => `${name}:${around[i]![0]}${value}${around[i]![1]}\r\n`),
  }));
}

/** A header section that steers nothing: what it holds has to come out as it went in. */
export function headerSections(fc: FastCheck, maxFields = 6): Arbitrary<FieldSection> {
  return fc
    .array(fc.tuple(fieldNames(fc), fieldValues(fc)), { maxLength: maxFields })
    .chain((fields) => fieldLines(fc, fields));
}

/** A word with its letters in any case: field names and coding names are compared without it. */
export function anyCase(fc: FastCheck, word: string): Arbitrary<string> {
  return fc
    .oneof(fc.constant(0), fc.nat())
    .map((mask) => [...word].map((c, i) => ((mask >> (i % 31)) & 1 ? swapCase(c) : c)).join(""));
}

/** One char code of `min..max`. */
export function charFrom(fc: FastCheck, min: number, max: number): Arbitrary<string> {
  return fc.integer({ min, max }).map((code) => String.fromCharCode(code));
}

function swapCase(c: string): string {
  return c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase();
}
