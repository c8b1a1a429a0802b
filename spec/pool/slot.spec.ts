import { expect, test } from "vitest";
import { Slot, type SlotState } from "../../lib/pool/slot.ts";

const states: SlotState[] = ["dialing", "idle", "busy", "closed"];
const legal = new Set([
  "dialing→busy",
  "dialing→idle",
  "dialing→closed",
  "idle→busy",
  "idle→closed",
  "busy→idle",
  "busy→closed",
]);

test.each(states.flatMap((from) => states.map((to) => [from, to] as const)))(
  "Slot.move() from %s to %s",
  (from, to) => {
    const slot = new Slot<number>("k", 1);
    if (from !== "dialing") slot.move(from, 2);
    const move = (): void => slot.move(to, 3);
    if (legal.has(`${from}→${to}`)) {
      move();
      expect([slot.state, slot.since]).toEqual([to, 3]);
    } else expect(move).toThrow(`Cannot move slot to ${to}: it is ${from}`);
  },
);
