/**
 * What a parser may let pass that is wrong, by name: one for each leniency of llhttp, all off. Pure.
 *
 * A response is always read strictly first; where it is refused, it is read again with what is allowed. So what is on
 * changes nothing for good responses, and a connection on which it was needed is known, and not used again: whoever sends
 * such a thing may mean its end to lie elsewhere (RFC 9112 §11.2).
 */

/** Names and bits; README.md of this folder says what each one lets pass. */
const FLAGS = {
  headers: 1,
  chunkedLength: 2,
  keepAlive: 4,
  transferEncoding: 8,
  version: 16,
  dataAfterClose: 32,
  optionalLfAfterCr: 64,
  optionalCrBeforeLf: 128,
  optionalCrlfAfterChunk: 256,
  spacesAfterChunkSize: 512,
} as const;

export type LenientFlag = keyof typeof FLAGS;

/** `{ optionalCrBeforeLf: true }`. */
export type LenientOptions = { readonly [Flag in LenientFlag]?: boolean };

export const LENIENT_NAMES = Object.keys(FLAGS) as readonly LenientFlag[]; // the names of that very object

/** The set of flags as a number, and 0 for none. */
export function lenientMask(options: LenientOptions | undefined): number {
  if (options === undefined) return 0;
  return LENIENT_NAMES.reduce((mask, name) => (options[name] === true ? mask | FLAGS[name] : mask), 0);
}

export function lets(mask: number, flag: LenientFlag): boolean {
  return (mask & FLAGS[flag]) !== 0;
}

/** `mask` and one flag more. */
export function withFlag(mask: number, flag: LenientFlag): number {
  return mask | FLAGS[flag];
}

/** What an error says of the flag that would have let it pass. */
export function lenientHint(flag: LenientFlag | null): string {
  return flag === null ? "" : ` (lenient.${flag} would let it pass)`;
}
