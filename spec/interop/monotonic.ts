/**
 * Stamps that two processes of one machine may compare, and a way to keep a process from polling.
 *
 * `process.hrtime.bigint()` reads CLOCK_MONOTONIC, which is one clock for the whole machine. As a number of
 * nanoseconds it is exact for the first 104 days after boot, and then to 2 ns.
 */

/** Nanoseconds of the machine's monotonic clock. */
export const stamp = (): number => Number(process.hrtime.bigint());

/** Holds the event loop for so many milliseconds: no poll, no timer, no callback runs meanwhile. */
export function blockLoop(ms: number): void {
  const until = stamp() + ms * 1e6;
  while (stamp() < until);
}
