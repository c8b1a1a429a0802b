/**
 * A clock with real turns of the loop and time that moves only when a spec says so; for specs over real sockets, where
 * polls must be polls and nothing may depend on how fast the machine is.
 *
 * `beforeTurn` runs in the moment between a poll and the turn that waited for it: what a peer does there is in our
 * kernel when the turn fires, and was not yet there at its poll.
 */

import { type Clock, type Deadline, systemClock } from "../../lib/clock.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

export class SteeredClock implements Clock {
  readonly #time = new VirtualClock();
  /** Called before each turn that fires. */
  beforeTurn: (() => void) | null = null;
  /** Called when a turn is asked for. */
  onTurnAsked: (() => void) | null = null;
  /** Turns that fired. */
  turns = 0;

  now(): number {
    return this.#time.now();
  }
  wallNow(): number {
    return this.#time.wallNow();
  }
  deadline(ms: number, fire: () => void, options?: { keepAlive?: boolean }): Deadline {
    return this.#time.deadline(ms, fire, options);
  }
  turn(fire: (batch: number) => void): void {
    this.onTurnAsked?.();
    systemClock.turn((batch) => {
      this.turns++;
      this.beforeTurn?.();
      fire(batch);
    });
  }
  get batch(): number {
    return systemClock.batch;
  }
  hold(): void {
    systemClock.hold();
  }
  release(): void {
    systemClock.release();
  }

  /** Moves time, firing what becomes due. */
  advance(ms: number): Promise<void> {
    return this.#time.advance(ms);
  }
}
