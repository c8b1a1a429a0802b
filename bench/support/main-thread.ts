/** What the kernel has charged to the main thread of this process alone. */
import { readFileSync } from "node:fs";

/**
 * @returns µs since the thread began; up to a tick of the kernel's old. Null where the system does not tell, which is
 *   wherever it is not Linux
 */
export function mainThreadUs(): number | null {
  try {
    // "ns on a core, ns waiting for one, times it got one"; all of it 0 where the kernel does not count.
    const ns = Number.parseInt(readFileSync("/proc/thread-self/schedstat", "latin1"), 10);
    return ns > 0 ? ns / 1000 : null;
  } catch {
    return null;
  }
}
