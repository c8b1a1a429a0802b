/**
 * How latencies are spread, as a picture for a terminal: a row for each step of a scale that grows by ratios, since
 * latencies do. Pure.
 */

import { formatMs, type Glyphs, UNICODE_GLYPHS } from "./format.ts";

/** Steps of a decade: coarse ones, and finer ones where those would make few rows. */
const COARSE = [1, 2, 5];
const FINE = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
const ROWS_WANTED = 6;
/** Below this the percentiles say it all. */
const LEAST = 20;

export interface Bucket {
  /** Milliseconds; above the one before, up to and with this. */
  readonly to: number;
  readonly count: number;
}

/** @param sorted shortest first; none below 0 */
export function bucketsOf(sorted: Float64Array): Bucket[] {
  const coarse = cutBy(sorted, COARSE);
  return coarse.length >= ROWS_WANTED ? coarse : cutBy(sorted, FINE);
}

function cutBy(sorted: Float64Array, steps: readonly number[]): Bucket[] {
  const buckets: Bucket[] = [];
  const first = sorted[0];
  if (first === undefined) return buckets;
  let power = Math.floor(Math.log10(Math.max(first, 0.001)));
  let at = 0;
  for (let step = 0; at < sorted.length; step++) {
    if (step === steps.length) {
      step = 0;
      power++;
    }
    const to = steps[step]! * 10 ** power; // step is within steps
    const from = at;
    while (at < sorted.length && sorted[at]! <= to) at++;
    if (at > from || buckets.length > 0) buckets.push({ to, count: at - from });
  }
  return buckets;
}

/** Lines, without line feeds; none where there is too little to draw. @param columns of the whole picture */
export function renderHistogram(sorted: Float64Array, columns: number, glyphs: Glyphs = UNICODE_GLYPHS): string[] {
  if (sorted.length < LEAST) return [];
  const buckets = bucketsOf(sorted);
  const most = buckets.reduce((max, { count }) => Math.max(max, count), 1);
  const counts = String(most).length;
  const width = Math.max(10, columns - 13 - 10 - counts - 9);
  return buckets.map(({ to, count }, i) => {
    const name = i === 0 ? "up to" : "";
    const share = `${((100 * count) / sorted.length).toFixed(1)} %`.padStart(7);
    // What is there at all gets a column: the slow few are what one looks for.
    const bar = glyphs.full.repeat(count === 0 ? 0 : Math.max(1, Math.round((count / most) * width)));
    return `${name.padEnd(13)}${formatMs(to).replace(/\.0+ /, " ").padStart(8)}  ${String(count).padStart(counts)} ${share}  ${bar}`.trimEnd();
  });
}
