/**
 * How far a load is, told while it runs: on a terminal a line that moves, elsewhere a line of its own now and then. Lives
 * for one load; owns the last line of the terminal while it shows, and gives it back clean.
 *
 * Never: sets a timer. It moves when answers come, and a load that stalls shows as a line that stands still.
 */

import type { Clock } from "../clock.ts";
import { type Glyphs, plural, UNICODE_GLYPHS } from "./format.ts";
import { formatLeft } from "./progress.ts";

/** What is over before that needs no line. */
const SHOW_AFTER_MS = 500;
const REDRAW_AFTER_MS = 100;
/** In a log, each line stays. */
const LINE_AFTER_MS = 10_000;

export class LoadProgress {
  readonly #out: { write(text: string): unknown };
  readonly #clock: Clock;
  readonly #count: number;
  readonly #columns: number | null;
  readonly #glyphs: Glyphs;
  readonly #startedAt: number;
  #nextAt: number;
  #done = 0;
  #failed = 0;
  #shown = false;

  /** @param columns of the terminal; null where it is none */
  constructor(
    out: { write(text: string): unknown },
    clock: Clock,
    count: number,
    columns: number | null,
    glyphs: Glyphs = UNICODE_GLYPHS,
  ) {
    this.#out = out;
    this.#clock = clock;
    this.#count = count;
    this.#columns = columns;
    this.#glyphs = glyphs;
    this.#startedAt = clock.now();
    this.#nextAt = this.#startedAt + (columns === null ? LINE_AFTER_MS : SHOW_AFTER_MS);
  }

  /** One more has ended. */
  add(answered: boolean): void {
    this.#done++;
    if (!answered) this.#failed++;
    const now = this.#clock.now();
    if (now < this.#nextAt || this.#done === this.#count) return;
    const elapsed = now - this.#startedAt;
    if (this.#columns === null) {
      this.#nextAt = now + LINE_AFTER_MS;
      this.#out.write(`${loadLine(this.#done, this.#count, this.#failed, elapsed, 0, this.#glyphs)}\n`);
    } else {
      this.#nextAt = now + REDRAW_AFTER_MS;
      this.#shown = true;
      const line = loadLine(this.#done, this.#count, this.#failed, elapsed, this.#columns, this.#glyphs);
      this.#out.write(`\r${line}\u001b[K`);
    }
  }

  /** Wipes the line. Idempotent. */
  end(): void {
    if (this.#shown) this.#out.write("\r\u001b[K");
    this.#shown = false;
  }
}

/** The text of the line. @param columns of a terminal, which it is shorter than; 0: as long as it is, without a bar */
export function loadLine(
  done: number,
  count: number,
  failed: number,
  elapsedMs: number,
  columns: number,
  glyphs: Glyphs = UNICODE_GLYPHS,
): string {
  const rate = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0;
  const left = rate > 0 ? formatLeft((count - done) / rate) : "?";
  const failures = failed > 0 ? `  ${plural(failed, "failure")}` : "";
  const percent = `${Math.floor((done / count) * 100)} %`;
  const told = `  ${done} of ${count}  ${Math.round(rate)}/s  ${left} left${failures}`;
  if (columns === 0) return percent + told;
  const width = Math.min(40, columns - 1 - 5 - 2 - told.length);
  const filled = Math.floor((done / count) * width);
  const bar = width < 5 ? "" : `  ${glyphs.full.repeat(filled)}${glyphs.empty.repeat(width - filled)}`;
  return `${percent.padStart(5)}${bar}${told}`.slice(0, columns - 1);
}
