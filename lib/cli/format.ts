/**
 * Numbers and bars as they stand on a screen. Pure; widths are in columns.
 */

/** `0.42 ms`, `12.3 ms`, `123 ms`, `1.23 s`: three digits tell what matters. */
export function formatMs(ms: number): string {
  if (ms >= 9999.5) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 99.95) return `${ms.toFixed(0)} ms`;
  if (ms >= 9.995) return `${ms.toFixed(1)} ms`;
  return `${ms.toFixed(2)} ms`;
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;

/** `812 B`, `1.5 KiB`, `12.3 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let size = bytes / 1024;
  let unit = 0;
  while (size >= 1023.95 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size.toFixed(1)} ${UNITS[unit]}`;
}

/** How many of something: `1 request`, `2 requests`. */
export function plural(n: number, one: string, many: string = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** The characters of bars and arrows; plain ones where the terminal's locale has no others. */
export interface Glyphs {
  readonly full: string;
  readonly empty: string;
  readonly arrow: string;
}

export const UNICODE_GLYPHS: Glyphs = { full: "█", empty: "░", arrow: "→" };
export const ASCII_GLYPHS: Glyphs = { full: "#", empty: ".", arrow: "->" };

/** Chooses by the locale's variables, in the order in which POSIX has them win. */
export function glyphsFor(env: Readonly<Record<string, string | undefined>>): Glyphs {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  return /utf-?8/i.test(locale) ? UNICODE_GLYPHS : ASCII_GLYPHS;
}

/** Peer-made text for a terminal: a control byte must not move the cursor or change a colour. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
