/**
 * Where a stream of bytes is cut into reads. Cuts are fractions, so that they shrink on their own and fit any length; and
 * two kinds that fractions seldom hit have a name: every byte by itself, and around each CR and LF.
 */

import type { Arbitrary, FastCheck } from "./fast-check.ts";

export type Splits = "whole" | "every-byte" | "line-ends" | readonly number[];

/** Any way to cut. */
export function splits(fc: FastCheck, maxCuts = 6): Arbitrary<Splits> {
  const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: maxCuts });
  const named: Arbitrary<Splits> = fc.constantFrom("whole", "every-byte", "line-ends");
  return fc.oneof({ weight: 3, arbitrary: fractions as Arbitrary<Splits> }, { weight: 1, arbitrary: named }); // oneof wants one type
}

/** The positions at which these splits cut `text`: ascending, none at its ends, none twice. */
export function cutsIn(text: string, where: Splits): number[] {
  const inside = (at: number) => at > 0 && at < text.length;
  if (where === "whole") return [];
  if (where === "every-byte") return Array.from({ length: Math.max(0, text.length - 1) }, (_, i) => i + 1);
  const cuts =
    where === "line-ends"
      ? [...text].flatMap((c, i) => (c === "\r" || c === "\n" ? [i, i + 1] : []))
      : where.map((fraction) => Math.floor(fraction * text.length));
  return [...new Set(cuts)].filter(inside).sort((a, b) => a - b);
}

/** The pieces of `text`; none is empty. */
export function cut(text: string, where: Splits): string[] {
  const cuts = cutsIn(text, where);
  return [0, ...cuts].map((from, i) => text.slice(from, cuts[i] ?? text.length)).filter((piece) => piece !== "");
}
