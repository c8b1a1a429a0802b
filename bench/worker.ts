/**
 * The process of one Node contestant in one scenario: opens it, warms it up, and measures the rounds it is told to run.
 * Runs as plain compiled JavaScript: no loader, no test runner, nothing else in the process.
 *
 * Argument: the contestant's name, the file of that name in contestants/.
 */
import type { Contestant, Open } from "./contestants/contestant.ts";
import { serveLines } from "./support/line-server.ts";
import type { Order, Window } from "./support/protocol.ts";

let contestant: Contestant | undefined;
let sequential = false;

async function run(count: number): Promise<Window> {
  if (contestant === undefined) throw new Error("worker: run before open");
  // One sample a request, taken by the one worker between two requests; with many workers a latency would only say how
  // many of them there are.
  const ends = sequential ? new Float64Array(count + 1) : null;
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  if (ends !== null) ends[count] = before;
  await contestant.run(count, ends);
  const wallMs = performance.now() - before;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { count, wallMs, userUs: user, sysUs: system, ...(ends === null ? {} : percentiles(ends, before)) };
}

/** @param ends the moments at which the requests ended, in order, and one slot to spare */
function percentiles(ends: Float64Array, start: number): { p50Us: number; p99Us: number } {
  const count = ends.length - 1;
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) times[i] = ends[i]! - (i === 0 ? start : ends[i - 1]!);
  times.sort();
  const at = (share: number) => times[Math.min(count - 1, Math.floor(count * share))]! * 1000;
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

serveLines(async (order: Order): Promise<object> => {
  switch (order.op) {
    case "open": {
      // The name comes from the bench's own list, and each file there exports `open`.
      const module = (await import(`./contestants/${process.argv[2]}.js`)) as { open: Open };
      contestant = await module.open(order.target);
      sequential = order.target.workers === 1;
      return {};
    }
    case "warm": {
      const start = performance.now();
      const elapsed = () => performance.now() - start;
      let last = await run(64);
      let done = last.count;
      for (let next = 128; ; next = Math.min(next * 2, 8192)) {
        if (elapsed() > 4 * order.millis || (elapsed() > order.millis && done >= order.requests)) return last;
        last = await run(next);
        done += next;
      }
    }
    case "run":
      return run(order.count);
  }
});
