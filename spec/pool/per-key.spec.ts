/** The rules of one key, each seen broken: a check that never fires would make every run against it look well. */

import { describe, expect, test } from "vitest";
import { LinkedList } from "../../lib/pool/linked-list.ts";
import { PerKey } from "../../lib/pool/per-key.ts";
import { Slot } from "../../lib/pool/slot.ts";
import { WantConn } from "../../lib/pool/want-conn.ts";
import { noLimits } from "./harness.ts";

type Key = PerKey<number, string>;

function slot(state: "dialing" | "idle" | "busy" = "dialing"): Slot<number> {
  const made = new Slot<number>("k", 0);
  if (state !== "dialing") made.move(state, 0);
  return made;
}

function want(): WantConn<number, string> {
  const made = new WantConn<number, string>("k", { given: () => {}, refused: () => {} }, "w");
  made.wait(0, false);
  return made;
}

function perKey(...steps: ((at: Key) => void)[]): Key {
  const at: Key = new PerKey("k", new LinkedList<Slot<number>>(), () => {});
  for (const step of steps) step(at);
  return at;
}

const waits = (at: Key): void => at.wants.push(want());
const waitsFresh = (at: Key): void => at.freshWants.push(want());
const isIdle = (at: Key): void => at.idle.push(slot("idle"));
const isBusy = (at: Key): void => at.busy.push(slot("busy").place);
/** It is lent, and takes more requests behind the one that it serves. */
const isRoomy = (at: Key): void => {
  const made = slot("busy");
  at.busy.push(made.place);
  at.roomy.push(made.side);
};
const waitsOrFollows = (at: Key): void => {
  const mine = want();
  mine.canFollow = true;
  at.wants.push(mine);
};
const turnAsked = (at: Key): void => {
  at.askedBatch = 1;
};
const claims =
  (count: number) =>
  (at: Key): void => {
    at.claimed = count;
  };
/** A dial that somebody counts on. */
const dials = (at: Key): void => {
  const mine = want();
  at.wants.push(mine);
  at.wants.bind(mine, slot());
  at.dialing++;
};
const dialsSpare = (at: Key): void => {
  at.spare.push(slot().side);
  at.dialing++;
};

describe("PerKey.nextFollower()", () => {
  test.each<[string, Key, max: number, boolean]>([
    ["all slots taken, and one with room", perKey(waitsOrFollows, isRoomy), 1, true],
    ["none with room", perKey(waitsOrFollows, isBusy), 1, false],
    ["a slot is free", perKey(waitsOrFollows, isRoomy), 2, false],
    ["slots without a limit", perKey(waitsOrFollows, isRoomy), 0, false],
    ["one is idle", perKey(waitsOrFollows, isRoomy, isIdle), 2, false],
    ["somebody waits for a dial of his own", perKey(waitsOrFollows, isRoomy, waitsFresh), 1, false],
    ["the first cannot follow", perKey(waits, waitsOrFollows, isRoomy), 1, false],
    ["nobody waits", perKey(isRoomy), 1, false],
  ])("%s", (_, at, maxConnsPerHost, expected) => {
    expect(at.nextFollower({ ...noLimits, maxConnsPerHost })).toBe(expected ? at.wants.first : null);
  });
});

describe("PerKey.check() passes", () => {
  test.each<[string, Key, Partial<typeof noLimits>, boolean]>([
    ["one who waits for a dial", perKey(dials), {}, false],
    ["a dial that nobody counts on", perKey(dialsSpare), {}, false],
    ["what is lent", perKey(isBusy), { maxConnsPerHost: 1 }, false],
    ["what is idle", perKey(isIdle), { maxConnsPerHost: 1 }, false],
    ["who may follow, a turn asked", perKey(waitsOrFollows, isRoomy, turnAsked), { maxConnsPerHost: 1 }, false],
    ["who waits where no slot is free", perKey(isBusy, waits), { maxConnsPerHost: 1 }, false],
    ["who waits so for a dial of his own", perKey(isBusy, waitsFresh), { maxConnsPerHost: 1 }, false],
    ["who waits for the turn", perKey(waits, isIdle, turnAsked, claims(1)), { maxIdleConnsPerHost: 0 }, false],
    ["what is idle for those who wait, after closeIdle()", perKey(waits, isIdle, turnAsked, claims(1)), {}, true],
  ])("%s", (_, at, limits, closeIdle) => {
    expect(() => at.check({ ...noLimits, ...limits }, closeIdle)).not.toThrow();
  });
});

describe("PerKey.check() finds broken:", () => {
  test.each<[string, Key, Partial<typeof noLimits>, boolean]>([
    ["a key without slot and want has no entry", perKey(), {}, false],
    ["slots ≤ maxConnsPerHost", perKey(isBusy, isBusy), { maxConnsPerHost: 1 }, false],
    ["a dial is bound, spare or detached", perKey(dials, dialsSpare, (at) => at.dialing++), {}, false],
    ["who lacks a dial finds no slot free", perKey(waits), {}, false],
    ["who lacks a dial finds no slot free", perKey(waits, isBusy), { maxConnsPerHost: 2 }, false],
    ["who lacks a dial finds no slot free", perKey(waitsFresh, isBusy), { maxConnsPerHost: 2 }, false],
    ["who lacks a dial finds none unbound", perKey(waits, dialsSpare), { maxConnsPerHost: 1 }, false],
    ["who takes no idle connection finds none to close", perKey(waitsFresh, isIdle), { maxConnsPerHost: 1 }, false],
    ["where some wait and some are idle, a turn was asked", perKey(waits, isIdle, claims(1)), {}, false],
    ["idle ≤ maxIdleConnsPerHost + takers", perKey(isIdle, isIdle), { maxIdleConnsPerHost: 1 }, false],
    ["claimed = min(idle, takers)", perKey(waits, isIdle, turnAsked), {}, false],
    ["claimed = min(idle, takers)", perKey(isIdle, claims(1)), {}, false],
    ["closeIdle() leaves none idle", perKey(isIdle), {}, true],
    ["who may follow another has asked a turn", perKey(waitsOrFollows, isRoomy), { maxConnsPerHost: 1 }, false],
    [
      "who may follow another has asked a turn",
      perKey(waitsOrFollows, isRoomy, turnAsked, (at) => {
        at.endedBatch = at.askedBatch;
      }),
      { maxConnsPerHost: 1 },
      false,
    ],
    ["what is lent is busy", perKey((at) => at.busy.push(slot("idle").place)), {}, false],
  ])("%s", (rule, at, limits, closeIdle) => {
    expect(() => at.check({ ...noLimits, ...limits }, closeIdle)).toThrow(
      expect.objectContaining({ message: `The pool breaks its rule: ${rule}` }),
    );
  });

  test("the queues and the idle list, which look at themselves", () => {
    const gone = want();
    const waiting = perKey((at) => at.wants.push(gone));
    const waitingFresh = perKey((at) => at.freshWants.push(want()));
    gone.cancel();
    expect(() => waiting.check(noLimits, false)).toThrow("A cancelled want stands in the queue");
    waitingFresh.freshWants.first?.cancel();
    expect(() => waitingFresh.check(noLimits, false)).toThrow("A cancelled want stands in the queue");
    const idle = perKey(isIdle);
    idle.idle.top?.move("busy", 0);
    expect(() => idle.check(noLimits, false)).toThrow("A busy slot stands among the idle ones");
  });
});
