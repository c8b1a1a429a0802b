import { expect, test } from "vitest";
import { Slot } from "../../lib/pool/slot.ts";
import { type Waiter, WantConn } from "../../lib/pool/want-conn.ts";

function fixture() {
  const log: string[] = [];
  const waiter: Waiter<number> = {
    given: (slot) => log.push(`conn ${slot.conn}`),
    refused: (error) => log.push(error.message),
  };
  const want = new WantConn<number, null>("k", waiter, null);
  const slot = new Slot<number>("k", 0);
  slot.conn = 7;
  return { want, slot, log };
}

test.each([
  ["deliver", "conn 7", "served"],
  ["fail", "failure", "failed"],
  ["cancel", undefined, "cancelled"],
] as const)("WantConn settles once: after %s() whoever comes second learns that it lost", (winner, heard, state) => {
  const { want, slot, log } = fixture();
  const settle = {
    deliver: () => want.deliver(slot),
    fail: () => want.fail(new Error("failure")),
    cancel: () => want.cancel(),
  };
  want.wait(1, false);
  expect(settle[winner]()).toBe(true);
  expect([settle.deliver(), settle.fail(), settle.cancel()]).toEqual([false, false, false]);
  expect(log).toEqual(heard === undefined ? [] : [heard]);
  expect(want.state).toBe(state);
});

test("WantConn waits again after it was served, and never otherwise", () => {
  const { want, slot, log } = fixture();
  want.wait(1, false);
  expect(() => want.wait(1, false)).toThrow("this wait is waiting");
  want.deliver(slot);
  want.wait(2, true);
  expect([want.batch, want.fresh, want.deliver(slot)]).toEqual([2, true, true]);
  want.wait(3, false);
  want.fail(new Error("failure"));
  expect(() => want.wait(4, false)).toThrow("this wait is failed");
  expect(log).toEqual(["conn 7", "conn 7", "failure"]);
});

test("WantConn is settled before it calls back", () => {
  const states: string[] = [];
  const waiter: Waiter<number> = { given: () => states.push(want.state), refused: () => {} };
  const want: WantConn<number, null> = new WantConn<number, null>("k", waiter, null);
  want.wait(1, false);
  want.deliver(new Slot<number>("k", 0));
  expect(states).toEqual(["served"]);
});

test("WantConn.deliverBehind() settles it as deliver() does, and tells who wants to hear of it", () => {
  const { want, slot, log } = fixture();
  expect(want.canFollow).toBe(false);
  want.wait(1, false);
  expect([want.deliverBehind(slot), want.state, log]).toEqual([true, "served", []]);
  expect([want.deliverBehind(slot), want.deliver(slot)]).toEqual([false, false]);
});
