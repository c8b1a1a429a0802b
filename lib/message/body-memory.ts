/**
 * The memory of large bodies, so that the allocator keeps what is freed.
 *
 * Every body is memory of its own, and V8 frees it at a collection, up to 32 MiB at once. glibc gives the top of its
 * heap back to the kernel as soon as 128 KiB of it are free, so a busy program would have each body faulted in page by
 * page again: most of what a body of 1 MiB costs (`bench/TUNING.md`, "Large bodies, and the allocator"). glibc has the remedy:
 * when a block is freed that it had mapped on its own, it takes blocks of that size for what this program uses, and from
 * then on keeps twice as much (mallopt(3), M_MMAP_THRESHOLD, "dynamic"). Any program gets there that once frees 32 MiB in
 * one piece. Here one such block is taken, which no one writes to, so it is address space and no memory, and left to the
 * next collection, until which `process.memoryUsage().external` counts it. From then on up to 64 MiB of what was freed stay
 * with each of the allocator's arenas (one, unless threads use it too), and smaller blocks are not mapped on their own.
 *
 * Who sets MALLOC_TRIM_THRESHOLD_ or MALLOC_MMAP_THRESHOLD_ has chosen: glibc then moves neither. Other allocators do not
 * look at it.
 */

/** From this size on. The memory of smaller bodies lies among what else is in use. */
const LARGE_BYTES = 16 * 1024;

/** The largest that glibc learns from is 32 MiB with its own words before it, in whole pages. */
const LEARNT_BYTES = 32 * 1024 * 1024 - 8192;

let asked = process.platform !== "linux";

/** To be told before `bytes` of memory are taken for what comes of a body, or for the whole of it. */
export function expectMemory(bytes: number): void {
  if (asked || bytes < LARGE_BYTES) return;
  asked = true;
  try {
    Buffer.allocUnsafeSlow(LEARNT_BYTES);
  } catch {
    // So much address space is not to be had here: then nothing is kept, and nothing else changes.
  }
}
