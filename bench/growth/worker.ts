/**
 * The process of one client whose growth is measured: the same contestants as everywhere, with orders to start requests
 * that are not waited for, and to say how much memory is held. Needs `--expose-gc`.
 *
 * Argument: the contestant's name.
 */
import type { Contestant, Open } from "../contestants/contestant.ts";
import { serveLines } from "../support/line-server.ts";
import { memoryHeld } from "./memory.ts";
import type { GrowthOrder } from "./orders.ts";

let contestant: Contestant | undefined;
const pending: Promise<void>[] = [];

serveLines(async (order: GrowthOrder): Promise<object> => {
  if (order.op === "open") {
    const module = (await import(`../contestants/${process.argv[2]}.js`)) as { open: Open };
    contestant = await module.open(order.target);
    return {};
  }
  if (contestant === undefined) throw new Error("growth: nothing is open");
  switch (order.op) {
    case "run":
    case "settle": {
      const before = process.cpuUsage();
      const start = performance.now();
      if (order.op === "run") await contestant.run(order.count, new Float64Array(order.count), order.workers);
      else await Promise.all(pending.splice(0));
      const { user, system } = process.cpuUsage(before);
      return { cpuUs: user + system, wallMs: performance.now() - start };
    }
    case "start": {
      const run = contestant.run(order.count, new Float64Array(order.count), order.count);
      run.catch(() => {}); // "settle" tells
      pending.push(run);
      return {};
    }
    case "memory":
      return memoryHeld();
  }
});
