/**
 * Runs one load and looks at it from both ends: the client's trace, the server's accepts, the kernel's TIME_WAIT.
 */

import { Transport, type TransportOptions } from "../../lib/index.ts";
import { timeWaitCount } from "./kernel.ts";
import type { Origin } from "./origin-process.ts";
import type { Load } from "./report.ts";

/** A transport that counts its dials by its trace. */
export class CountedTransport {
  readonly transport: Transport;
  dialed = 0;

  constructor(options: TransportOptions = {}) {
    this.transport = new Transport({
      ...options,
      trace: {
        groups: ["dial"],
        on: (event) => {
          if (event.type === "dial-done") this.dialed++;
        },
      },
    });
  }
}

/**
 * @param run sends the load and tells how many were answered
 * @param dialed asked when the load is over; the connections must still be open then, since closing them is no churn
 */
export async function measure(
  name: string,
  origin: Origin,
  run: () => Promise<number>,
  dialed: () => number,
): Promise<Load> {
  const timeWaitBefore = timeWaitCount(origin.port);
  const startedAt = performance.now();
  const answered = await run();
  const ms = performance.now() - startedAt;
  const timeWaitAfter = timeWaitCount(origin.port);
  return { name, answered, dialed: dialed(), server: await origin.counts(), timeWaitBefore, timeWaitAfter, ms };
}
