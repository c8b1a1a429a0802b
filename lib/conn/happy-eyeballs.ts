/**
 * Which of a host's addresses gets the connection (RFC 8305): attempts start in an order that takes turns between the
 * address families, one after the other fails or a quarter of a second after it began, and run side by side; the first
 * that stands wins, and the others are destroyed. Knows no socket: `open` makes whatever is raced.
 *
 * Node has this built in (`autoSelectFamily`), but its attempts exclude each other: a slow route is aborted at the end of
 * its quarter second, however good it is.
 *
 * An AddressRace lives from `start` until it has told one outcome, or was cancelled. It owns the attempts in flight and
 * one deadline; both are gone when it ends.
 */

import type { Clock, Deadline } from "../clock.ts";
import type { DialAttempt } from "../errors.ts";

export interface Address {
  readonly address: string;
  /** 0 for the path of a unix socket. */
  readonly family: 4 | 6 | 0;
}

/** What is raced. */
export interface Entrant {
  destroy(): void;
  unref(): void;
}

export interface RaceHooks<E extends Entrant> {
  /** Starts an attempt; `done` is called once, later: with null when the connection stands, or with why it does not. */
  open(address: Address, done: (error: Error | null) => void): E;
  started(address: Address): void;
  finished(attempt: DialAttempt): void;
  /** The race is over: `entrant` stands, all others are gone. */
  won(entrant: E, address: Address): void;
  /** The race is over: no address is left. Errors in the order in which they came. */
  lost(errors: readonly Error[]): void;
}

/**
 * The order in which to try: families in turn, beginning with `firstFamily` or with the family of the first address,
 * within a family as the resolver had them (RFC 8305 §4).
 */
export function interleave(addresses: readonly Address[], firstFamily?: Address["family"]): Address[] {
  const first = firstFamily ?? addresses[0]?.family;
  const lead = addresses.filter(({ family }) => family === first);
  const other = addresses.filter(({ family }) => family !== first);
  const order: Address[] = [];
  for (let i = 0; i < Math.max(lead.length, other.length); i++) {
    if (i < lead.length) order.push(lead[i]!); // i < length
    if (i < other.length) order.push(other[i]!); // i < length
  }
  return order;
}

interface Running<E> {
  readonly address: Address;
  readonly startedAt: number;
  readonly entrant: E;
}

export class AddressRace<E extends Entrant> {
  readonly #addresses: readonly Address[];
  readonly #port: number;
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #hooks: RaceHooks<E>;
  readonly #running = new Set<Running<E>>();
  readonly #attempts: DialAttempt[] = [];
  readonly #errors: Error[] = [];
  readonly #deadline: Deadline;
  #next = 0;
  #over = false;
  #unreferenced = false;

  /** @param addresses in the order in which to try them; at least one */
  constructor(addresses: readonly Address[], port: number, clock: Clock, delayMs: number, hooks: RaceHooks<E>) {
    this.#addresses = addresses;
    this.#port = port;
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#hooks = hooks;
    // No need to keep the process alive: while this is armed, the attempt before it does.
    this.#deadline = clock.deadline(0, () => this.#startNext());
  }

  /** What became of the attempts that are over, in that order. */
  get attempts(): readonly DialAttempt[] {
    return this.#attempts;
  }

  start(): void {
    this.#startNext();
  }

  /** Ends the race without an outcome, and destroys every attempt. */
  cancel(outcome: string): void {
    if (this.#over) return;
    this.#end();
    this.#destroyRunning(outcome);
  }

  /** Attempts do not keep the process alive from now on. */
  unref(): void {
    this.#unreferenced = true;
    for (const { entrant } of this.#running) entrant.unref();
  }

  #startNext(): void {
    const address = this.#addresses[this.#next++]!; // whoever calls has seen that there is one more
    this.#hooks.started(address);
    if (this.#over) return; // who heard of it has cancelled the race
    const startedAt = this.#clock.now();
    const entrant = this.#hooks.open(address, (error) => this.#done(running, error));
    const running: Running<E> = { address, startedAt, entrant };
    this.#running.add(running);
    if (this.#unreferenced) entrant.unref();
    this.#deadline.reset(this.#next < this.#addresses.length ? this.#delayMs : 0);
  }

  #done(running: Running<E>, error: Error | null): void {
    if (this.#over || !this.#running.delete(running)) return;
    if (error === null) {
      this.#end();
      this.#record(running, "connected");
      this.#destroyRunning("slower");
      this.#hooks.won(running.entrant, running.address);
      return;
    }
    this.#errors.push(error);
    running.entrant.destroy();
    this.#record(running, outcomeOf(error));
    if (this.#next < this.#addresses.length) {
      this.#startNext(); // RFC 8305 §5: no reason to wait any longer
    } else if (this.#running.size === 0) {
      this.#end();
      this.#hooks.lost(this.#errors);
    }
  }

  #end(): void {
    this.#over = true;
    this.#deadline.cancel();
  }

  #destroyRunning(outcome: string): void {
    for (const running of this.#running) {
      running.entrant.destroy();
      this.#record(running, outcome);
    }
    this.#running.clear();
  }

  #record({ address, startedAt }: Running<E>, outcome: string): void {
    const ms = this.#clock.now() - startedAt;
    const attempt: DialAttempt = { ...address, port: this.#port, outcome, ms };
    this.#attempts.push(attempt);
    this.#hooks.finished(attempt);
  }
}

/** The system's code of an error, or its name. */
export function outcomeOf(error: unknown): string {
  if (!(error instanceof Error)) return "rejected";
  const { code } = error as NodeJS.ErrnoException; // system errors have it
  return typeof code === "string" ? code : error.name;
}
