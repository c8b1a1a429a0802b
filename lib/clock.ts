/**
 * Time: the only file that sets timers, asks for turns of the loop, or reads a clock. Handed to Client, Transport and
 * PersistConn, and replaced whole in specs by a virtual one.
 */

export interface Clock {
  /** Monotonic milliseconds, with fractions. */
  now(): number;
  /** Milliseconds since the epoch; goes on while the machine sleeps. */
  wallNow(): number;
  /**
   * Calls `fire` once, `ms` after now. `ms` 0 makes a disarmed deadline, to be armed with `reset`.
   * Never early; late by at most 10 ms or 1 % on a free loop. Before a due deadline fires, the loop polls once, so that
   * an answer which already waits is not called late: what it does may still cancel or reset the deadline.
   * A deadline does not keep the process alive unless `keepAlive` is set.
   */
  deadline(ms: number, fire: () => void, options?: { keepAlive?: boolean }): Deadline;
  /**
   * Calls `fire` after one full poll of the event loop (two `setImmediate`s with the poll between them). Who asks before
   * the first of them ran shares it: they stand in one batch, and are called in the order in which they asked.
   * `fire` gets the number of its batch; see `batch`.
   */
  turn(fire: (batch: number) => void): void;
  /**
   * The number of the batch that a turn asked for now would belong to. Numbers grow by one whenever a batch closes, so
   * what was stamped with `batch` b has seen a full poll when a turn of a batch ≥ b fires.
   */
  readonly batch: number;
}

export interface Deadline {
  /**
   * Arms it anew, `ms` from `now` (default: the clock's); 0 disarms it. Cheap: a deadline that only moves later is left
   * where it stands and looked at when its old time comes.
   */
  reset(ms: number, now?: number): void;
  /** Takes it off the clock for good. Idempotent. */
  cancel(): void;
}
