/**
 * The line that moves during a long download. Lives for one body; owns the last line of the terminal while it shows,
 * and gives it back clean.
 *
 * Never: sets a timer. It moves when bytes come, and a download that stalls shows as a line that stands still.
 */

import type { Clock } from "../clock.ts";
import { formatBytes, type Glyphs, UNICODE_GLYPHS } from "./format.ts";

/** What is over before that needs no line. */
const SHOW_AFTER_MS = 500;
/** Ten a second are as many as an eye follows; more would be paid for in writes. */
const REDRAW_AFTER_MS = 100;

interface Terminal {
  write(text: string): unknown;
}

export class Progress {
  readonly #out: Terminal;
  readonly #columns: number;
  readonly #clock: Clock;
  readonly #glyphs: Glyphs;
  /** Bytes to come; null where nobody said. */
  readonly #total: number | null;
  readonly #startedAt: number;
  #drawnAt: number;
  #bytes = 0;
  #shown = false;

  constructor(out: Terminal, columns: number, clock: Clock, total: number | null, glyphs: Glyphs = UNICODE_GLYPHS) {
    this.#out = out;
    this.#columns = columns;
    this.#clock = clock;
    this.#total = total;
    this.#glyphs = glyphs;
    this.#startedAt = clock.now();
    this.#drawnAt = this.#startedAt + SHOW_AFTER_MS - REDRAW_AFTER_MS;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const now = this.#clock.now();
    if (now - this.#drawnAt < REDRAW_AFTER_MS) return;
    this.#drawnAt = now;
    this.#shown = true;
    const line = progressLine(this.#bytes, this.#total, now - this.#startedAt, this.#columns, this.#glyphs);
    this.#out.write(`\r${line}\u001b[K`);
  }

  /** Wipes the line. Idempotent. */
  end(): void {
    if (this.#shown) this.#out.write("\r\u001b[K");
    this.#shown = false;
  }
}

/** The text of the line, shorter than the terminal is wide. */
export function progressLine(
  bytes: number,
  total: number | null,
  elapsedMs: number,
  columns: number,
  glyphs: Glyphs = UNICODE_GLYPHS,
): string {
  const rate = elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  const speed = `${formatBytes(Math.round(rate))}/s`;
  if (total === null || total === 0) return `${formatBytes(bytes)}  ${speed}`.slice(0, columns - 1);
  const share = Math.min(1, bytes / total);
  const left = rate > 0 ? formatLeft((total - bytes) / rate) : "?";
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const told = `  ${formatBytes(bytes)} of ${formatBytes(total)}  ${speed}  ${left} left`;
  const width = Math.min(40, columns - 1 - percent.length - 2 - told.length);
  const filled = Math.floor(share * width);
  const bar = width < 5 ? "" : `  ${glyphs.full.repeat(filled)}${glyphs.empty.repeat(width - filled)}`;
  return `${percent}${bar}${told}`.slice(0, columns - 1);
}

/** `3 s`, `2 min 5 s`, `1 h 0 min`. */
export function formatLeft(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
