/**
 * Messages that are wrong, or nearly: a good one with a few changes of the kinds that smuggling, splitting and bad servers
 * are made of. Mutations are data, so that a failure shows them and they shrink to the one that matters.
 */

import type { Arbitrary, FastCheck } from "./fast-check.ts";
import { charFrom } from "./fields.ts";

/** One change; `at` is a fraction of the text's length. */
export type Mutation =
  | { readonly kind: "replace" | "insert"; readonly at: number; readonly text: string }
  | { readonly kind: "drop" | "double"; readonly at: number; readonly length: number }
  | { readonly kind: "cut-off"; readonly at: number }
  /** Puts a line behind the first, second … line end. */
  | { readonly kind: "add-line"; readonly at: number; readonly text: string }
  /** Changes one CRLF into this. */
  | { readonly kind: "line-end"; readonly at: number; readonly text: string };

/** Lines that change what a message means, or that are none. */
const LINES = [
  "Content-Length: 5",
  "Content-Length: 0",
  "Content-Length: 5, 5",
  "Content-Length: +5",
  "Content-Length: 5 ",
  "Content-Length: 5\t",
  "Content-Length: ",
  "Content-Length : 5",
  "Content-Length: 18446744073709551621",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: Chunked\t",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:",
  "Transfer-Encoding : chunked",
  "Connection: close",
  "Connection: keep-alive, close",
  " folded",
  "\tfolded",
  "no colon",
  ": no name",
  "a b: c",
  "A:\0",
  "A: \x7f",
  "",
  "HTTP/1.1 200 OK",
  "0",
  "5;a=b",
];

/** Small things that parsers stumble over. */
const CRUMBS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\x0b",
  "\xa0",
  "\xff",
  "0",
  "5",
  "ff",
  "-",
  "+",
  '"',
  "\\",
];

export function mutations(fc: FastCheck): Arbitrary<Mutation> {
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  const text = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...CRUMBS) },
    { weight: 1, arbitrary: fc.string({ unit: charFrom(fc, 0, 255), minLength: 1, maxLength: 3 }) },
  );
  const length = fc.integer({ min: 1, max: 12 });
  const line = fc.constantFrom(...LINES);
  const lineEnd = fc.constantFrom("\n", "\r", "", "\r\r\n", "\n\r", "\r\n\r\n", "\r\n ");
  return fc.oneof(
    fc.record({ kind: fc.constantFrom("replace", "insert"), at, text }),
    fc.record({ kind: fc.constantFrom("drop", "double"), at, length }),
    fc.record({ kind: fc.constant("cut-off"), at }),
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("add-line"), at, text: line }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("line-end"), at, text: lineEnd }) },
  ) as Arbitrary<Mutation>; // fast-check widens the kinds to string
}

/** `text` with these changes, in turn. */
export function mutate(text: string, changes: readonly Mutation[]): string {
  return changes.reduce(mutateOnce, text);
}

/** A message of `base` with one to `max` changes. */
export function malformed(fc: FastCheck, base: Arbitrary<string>, max = 3): Arbitrary<string> {
  return fc
    .tuple(base, fc.array(mutations(fc), { minLength: 1, maxLength: max }))
    .map(([text, changes]) => mutate(text, changes));
}

function mutateOnce(text: string, change: Mutation): string {
  const at = Math.floor(change.at * text.length);
  switch (change.kind) {
    case "replace":
      return text.slice(0, at) + change.text + text.slice(at + change.text.length);
    case "insert":
      return text.slice(0, at) + change.text + text.slice(at);
    case "drop":
      return text.slice(0, at) + text.slice(at + change.length);
    case "double":
      return text.slice(0, at + change.length) + text.slice(at);
    case "cut-off":
      return text.slice(0, at);
    case "add-line":
      return atLineEnd(text, change.at, (before, after) => `${before}\r\n${change.text}\r\n${after}`);
    case "line-end":
      return atLineEnd(text, change.at, (before, after) => before + change.text + after);
  }
}

/** Rewrites around one CRLF; as it was where there is none. */
function atLineEnd(text: string, fraction: number, rewrite: (before: string, after: string) => string): string {
  const lines = text.split("\r\n");
  if (lines.length === 1) return text;
  const n = 1 + Math.min(lines.length - 2, Math.floor(fraction * (lines.length - 1)));
  return rewrite(lines.slice(0, n).join("\r\n"), lines.slice(n).join("\r\n"));
}
