/** What a process holds after all that can go has gone. Needs `--expose-gc`. */
import type { Memory } from "./orders.ts";

export async function memoryHeld(): Promise<Memory> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20)); // finalizers and the freeing of pages come behind it
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, external };
}
