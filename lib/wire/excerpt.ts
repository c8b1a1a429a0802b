/** The bytes around an offence, for an error: printable ASCII as it is, everything else escaped. */

const AROUND = 16;

/**
 * @param at index in `view` of the byte that is wrong; up to 16 bytes on each side are shown
 * @param start first byte of `view` that may be shown
 * @param end after the last one
 */
export function excerpt(view: Uint8Array, at: number, start: number, end: number): string {
  let text = "";
  for (let i = Math.max(start, at - AROUND); i < Math.min(end, at + AROUND); i++) text += escaped(view[i]!);
  return text;
}

/** The same for a string of latin1. */
export function excerptOfText(text: string, at: number): string {
  let out = "";
  for (let i = Math.max(0, at - AROUND); i < Math.min(text.length, at + AROUND); i++)
    out += escaped(text.charCodeAt(i));
  return out;
}

function escaped(byte: number): string {
  if (byte === 13) return "\\r";
  if (byte === 10) return "\\n";
  if (byte === 9) return "\\t";
  if (byte === 92) return "\\\\";
  if (byte >= 32 && byte < 127) return String.fromCharCode(byte);
  return `\\x${(byte < 16 ? "0" : "") + byte.toString(16)}`;
}
