import type { Clock } from "../../lib/clock.ts";

/** A clock that stands still until it is told, for what only reads the time. */

export class StandingClock implements Clock {
  time = 0;
  readonly batch = 0;
  now(): number {
    return this.time;
  }
  wallNow(): number {
    return this.time;
  }
  deadline(): never {
    throw new Error("no deadline is wanted here");
  }
  turn(): never {
    throw new Error("no turn is wanted here");
  }
  hold(): never {
    throw new Error("no hold is wanted here");
  }
  release(): never {
    throw new Error("no hold is wanted here");
  }
}
