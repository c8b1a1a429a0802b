/**
 * Several listeners in the place of one: each hears the groups it asked for, and sees secrets where it asked for them.
 */

import { GROUP_OF, type TraceOption, tracerOf } from "../trace.ts";

/** What each of them hears; one that throws does not keep the event from the others. */
export function traceAll(...options: readonly TraceOption[]): TraceOption {
  const tracers = options.map((option) => tracerOf(option));
  return {
    secrets: true, // each tracer hides them from its own listener
    on(event) {
      const bit = GROUP_OF[event.type];
      for (const tracer of tracers) if (tracer.mask & bit) tracer.emit(event, bit);
    },
  };
}
