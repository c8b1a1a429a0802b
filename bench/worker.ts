/**
 * The process of one Node contestant in one scenario: opens it, warms it up, and measures the rounds it is told to run.
 * Runs as plain compiled JavaScript: no loader, no test runner, nothing else in the process.
 *
 * Argument: the contestant's name, the file of that name in contestants/.
 */
import type { Contestant, Open } from "./contestants/contestant.ts";
import { percentile } from "./statistics.ts";
import { serveLines } from "./support/line-server.ts";
import { mainThreadUs } from "./support/main-thread.ts";
import type { Order, Window } from "./support/protocol.ts";

let contestant: Contestant | undefined;

async function run(each: number, repeat = 1): Promise<Window> {
  if (contestant === undefined) throw new Error("worker: run before open");
  const count = each * repeat;
  const times = new Float64Array(count);
  const mainBefore = mainThreadUs();
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  for (let i = 0; i < repeat; i++) await contestant.run(each, times.subarray(i * each));
  const wallMs = performance.now() - before;
  const { user, system } = process.cpuUsage(cpuBefore);
  const mainAfter = mainThreadUs();
  const main = mainBefore === null || mainAfter === null ? {} : { mainUs: mainAfter - mainBefore };
  times.sort();
  const at = (share: number) => percentile(times, share) * 1000;
  return { count, wallMs, userUs: user, sysUs: system, ...main, p50Us: at(0.5), p99Us: at(0.99) };
}

serveLines(async (order: Order): Promise<object> => {
  switch (order.op) {
    case "open": {
      // The name comes from the bench's own list, and each file there exports `open`.
      const module = (await import(`./contestants/${process.argv[2]}.js`)) as { open: Open };
      contestant = await module.open(order.target);
      return {};
    }
    case "warm": {
      const start = performance.now();
      const elapsed = () => performance.now() - start;
      let last = await run(order.first);
      let done = last.count;
      for (let next = order.first * 2; ; next = Math.min(next * 2, 8192)) {
        if (elapsed() > 4 * order.millis || (elapsed() > order.millis && done >= order.requests)) return last;
        last = await run(next);
        done += next;
      }
    }
    case "run": {
      const { count, repeat, profile } = order;
      if (profile === undefined) return run(count, repeat);
      // Loaded only where it is asked for: elsewhere nothing of an inspector is in the process.
      const { profiled } = await import("./support/profiler.ts");
      return profiled(profile, () => run(count, repeat));
    }
  }
});
