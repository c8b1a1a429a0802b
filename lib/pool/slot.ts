/**
 * One place in the pool: a dial, then the connection that it gave, until that is gone. Made when the dial starts; one
 * Slot per connection lifetime, so the transport keeps it beside its connection.
 *
 * Under `maxConnsPerHost` slots are what is counted, and a slot is in exactly one state. All fields are written by the
 * pool alone; the transport reads `key`, `state`, `conn`, `reused` and `since`.
 *
 * Never knows who waits for it (the pool keeps that), so that a pooled connection keeps no request, signal or context
 * alive.
 */

import { InvariantError } from "../errors.ts";
import { Link } from "./linked-list.ts";

/**
 * `dialing`: its dial is in progress, whether or not somebody is bound to it. `idle`: in the pool, watched. `busy`: lent
 * to an exchange, which may be draining. `closed`: gone, or no longer ours.
 */
export type SlotState = "dialing" | "idle" | "busy" | "closed";

/** Which state may follow which. A missing entry is our mistake: move() throws. */
export const SLOT_MOVES: Readonly<Record<SlotState, readonly SlotState[]>> = {
  dialing: ["busy", "idle", "closed"], // idle: nobody is left who asked for it
  idle: ["busy", "closed"],
  busy: ["idle", "closed"],
  closed: [],
};

export class Slot<C> {
  /** What connections it may stand for; may hold a proxy's credentials, and is never printed. */
  readonly key: string;
  state: SlotState = "dialing";
  /** The thing pooled; null while dialing. */
  conn: C | null = null;
  /** It has been in the pool, used or not, or was dialed for another request than the one that got it. */
  reused = false;
  /** How long it was idle before it was lent, in ms by the wall clock; null where it did not come out of the pool. */
  idledMs: number | null = null;
  /** When it came into its state, by the wall clock, in ms. */
  since: number;

  /** @internal The batch of turns that was open when it became idle. */
  idleBatch = 0;
  /** @internal How long it may be idle, in ms; 0: for ever. */
  idleMs = 0;
  /** @internal Its place among the dials, the idle or the busy ones. */
  readonly place: Link<Slot<C>>;
  /** @internal Its place in the LRU of all idle ones, among the dials that nobody is bound to, or the busy ones with room. */
  readonly side: Link<Slot<C>>;

  constructor(key: string, since: number) {
    this.key = key;
    this.since = since;
    this.place = new Link<Slot<C>>(this);
    this.side = new Link<Slot<C>>(this);
  }

  /** @internal Only the pool moves it, and links it where it belongs. */
  move(to: SlotState, now: number): void {
    if (!SLOT_MOVES[this.state].includes(to)) {
      throw new InvariantError(`Cannot move slot to ${to}: it is ${this.state}`);
    }
    this.state = to;
    this.since = now;
  }
}
