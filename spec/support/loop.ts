/** Waiting for what the event loop brings, bounded by turns and not by time. */

import { setImmediate } from "node:timers";

/** `n` turns of the loop. */
export async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}

const TURNS_MAX = 20_000;

/** Waits until `holds`, and fails naming `what` when it does not come about. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i === TURNS_MAX) throw new Error(`It never came about that ${what}`);
    await turns(1);
  }
}

/** Waits until `count()` has stood still for a while. */
export async function still(count: () => number): Promise<number> {
  let last = count();
  for (let quiet = 0; quiet < 100; quiet++) {
    await turns(1);
    const now = count();
    if (now !== last) quiet = 0;
    last = now;
  }
  return last;
}
