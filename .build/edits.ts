/** Changes of a text at offsets of it, as those who look at its syntax tree find them. Pure. */

export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** @param edits none overlaps another; of two at one place the later one stands behind */
export function edited(code: string, edits: readonly Edit[]): string {
  let out = "";
  let from = 0;
  for (const { start, end, text } of [...edits].sort((a, b) => a.start - b.start)) {
    out += code.slice(from, start) + text;
    from = end;
  }
  return out + code.slice(from);
}
