/**
 * All requests of a run as a picture for a terminal: a line for each attempt, drawn where its time was; below it the
 * reasons of closes, retries and failures in words. Pure.
 */

import { type BarKind, barsOf, type RecordedAttempt, type Recording, reasonsOf } from "../observe.ts";
import { formatMs, type Glyphs, plural, printable, UNICODE_GLYPHS } from "./format.ts";

/** Longer runs are for `--html`. */
const ROWS_MAX = 100;
const LABEL_MAX = 34;
const TIME_WIDTH = 8;

const UNICODE_BARS: Readonly<Record<BarKind, string>> = {
  queue: "·",
  dns: "d",
  connect: "─",
  tls: "═",
  write: "▒",
  wait: "░",
  body: "█",
};
const ASCII_BARS: typeof UNICODE_BARS = {
  ...UNICODE_BARS,
  queue: ".",
  connect: "-",
  tls: "=",
  write: "w",
  wait: "~",
  body: "#",
};

/** The lines of a waterfall, each ended by a line feed. @param columns of the terminal */
export function renderWaterfall(recording: Recording, columns: number, glyphs: Glyphs = UNICODE_GLYPHS): string {
  const { attempts, connections, now } = recording;
  const shown = attempts.slice(0, ROWS_MAX);
  const start = shown.reduce((first, { from }) => Math.min(first, from), now);
  const end = shown.reduce((last, { endAt }) => Math.max(last, endAt ?? now), start);
  const chars = glyphs === UNICODE_GLYPHS ? UNICODE_BARS : ASCII_BARS;
  const labels = shown.map((attempt) => labelOf(attempt));
  const labelWidth = Math.max(...labels.map(({ length }) => length), 0);
  const width = Math.max(10, columns - labelWidth - TIME_WIDTH - 6);
  const lines = [
    `${plural(attempts.length, "attempt")} over ${plural(connections.length, "connection")} in ${formatMs(end - start)}`,
  ];
  shown.forEach((attempt, i) => {
    const scale = end > start ? width / (end - start) : 0;
    const cells = new Array<string>(width).fill(" ");
    for (const { kind, from, to } of barsOf(attempt, now)) {
      const first = Math.min(width - 1, Math.floor((from - start) * scale));
      const last = Math.min(width, Math.max(first + 1, Math.round((to - start) * scale)));
      cells.fill(chars[kind], first, last);
    }
    const time = formatMs((attempt.endAt ?? now) - attempt.from).padStart(TIME_WIDTH);
    lines.push(`  ${labels[i]!.padEnd(labelWidth)} ${cells.join("")} ${time}`);
  });
  if (attempts.length > shown.length) lines.push(`  and ${attempts.length - shown.length} more, which --html shows`);
  const legend = Object.entries(chars).map(([kind, char]) => `${char} ${kind}`);
  lines.push(`  ${legend.join("  ")}`);
  for (const { at, text } of reasonsOf(recording).slice(0, ROWS_MAX))
    lines.push(`  ${formatMs(Math.max(0, at - start)).padStart(TIME_WIDTH)} ${printable(text)}`);
  return `${lines.join("\n")}\n`;
}

function labelOf({ method, url, status, outcome, connection }: RecordedAttempt): string {
  const target = printable(`${method} ${url.replace(/^[a-z]+:\/\/[^/]*/i, "")}`);
  const cut = target.length > LABEL_MAX ? `${target.slice(0, LABEL_MAX - 1)}~` : target;
  return `${cut} ${status ?? outcome}${connection === null ? "" : ` #${connection}`}`;
}
