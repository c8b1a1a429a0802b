/**
 * V8's sampling profiler around one measured window, inside the process that is measured. It costs the process some
 * percent: what a profiled window is good for are shares, not microseconds.
 */
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import type { Profiling } from "./protocol.ts";

/** Writes the profile as developer tools open it, a .cpuprofile, when `work` is done. */
export async function profiled<T>({ file, intervalUs }: Profiling, work: () => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: intervalUs });
    await session.post("Profiler.start");
    const result = await work();
    const { profile } = await session.post("Profiler.stop");
    writeFileSync(file, JSON.stringify(profile));
    return result;
  } finally {
    session.disconnect();
  }
}
