/**
 * The arithmetic of the bench: medians, percentiles, and the interval of a mean. Pure.
 */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws {RangeError} there are no values: nothing was measured, and no figure may stand for it */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take a median: there are no values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The value below which `share` of all lie (nearest rank).
 *
 * @param sorted ascending
 * @param share 0 to 1
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) throw new RangeError("Cannot take a percentile: there are no values");
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!;
}

/** Ratios round by round, between neighbours in time: what slowed both drops out. Rounds that one side lacks do not count. */
export function pairedRatios(of: readonly number[], to: readonly number[]): number[] {
  const ratios: number[] = [];
  for (let i = 0; i < Math.min(of.length, to.length); i++) {
    if (to[i]! > 0) ratios.push(of[i]! / to[i]!);
  }
  return ratios;
}

export interface MeanInterval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/**
 * The mean and its 95 % interval by Student's t, for independent values: one for each pair of processes, never one for
 * each request.
 *
 * @throws {RangeError} fewer than two values: they say nothing about their spread
 */
export function meanInterval(values: readonly number[]): MeanInterval {
  const count = values.length;
  if (count < 2) throw new RangeError(`Cannot take an interval: it needs two values or more, there are ${count}`);
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = tQuantile975(count - 1) * Math.sqrt(variance / count);
  return { mean, low: mean - half, high: mean + half, count };
}

/** Student's t for a two-sided 95 % interval, by degrees of freedom; the tables' first ten. */
const T_975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/**
 * From eleven degrees on, the expansion about the normal quantile (Abramowitz and Stegun, 26.7.5): right to 0.001 there.
 *
 * @param degrees ≥ 1
 */
export function tQuantile975(degrees: number): number {
  const listed = T_975[degrees - 1];
  if (listed !== undefined) return listed;
  const z = 1.959964;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}

/** The slope of the line of least squares through (x, y): y's change for one of x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  if (points.length < 2) throw new RangeError("Cannot take a slope: it needs two points or more");
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const squares = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / squares;
}
