import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { isAbortSignal, onAbort } from "../lib/abort.ts";
import { nextUncaught } from "./support/uncaught.ts";

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("onAbort()", () => {
  test("calls subscribers once, in the order in which they came", () => {
    const controller = new AbortController();
    const calls: number[] = [];
    for (const n of [1, 2, 3]) onAbort(controller.signal, () => calls.push(n));
    controller.abort();
    controller.abort();
    expect(calls).toEqual([1, 2, 3]);
  });

  test("keeps one listener on a signal however many wait, and none when the last has left", () => {
    const { signal } = new AbortController();
    const leave = Array.from({ length: 100 }, () => onAbort(signal, () => {}));
    expect(listeners(signal)).toBe(1);
    for (const fn of leave.slice(1)) fn();
    expect(listeners(signal)).toBe(1);
    leave[0]?.();
    expect(listeners(signal)).toBe(0);
  });

  test("leaves no listener after the abort", () => {
    const controller = new AbortController();
    onAbort(controller.signal, () => {});
    controller.abort();
    expect(listeners(controller.signal)).toBe(0);
  });

  test("listens anew after the last has left", () => {
    const controller = new AbortController();
    onAbort(controller.signal, () => {})();
    let called = 0;
    onAbort(controller.signal, () => called++);
    controller.abort();
    expect(called).toBe(1);
  });

  test.each([[0], [1], [2]])("lets subscriber %i of three leave, and calls the others", (gone) => {
    const controller = new AbortController();
    const calls: number[] = [];
    const leave = [0, 1, 2].map((n) => onAbort(controller.signal, () => calls.push(n)));
    leave[gone]?.();
    leave[gone]?.();
    controller.abort();
    expect(calls).toEqual([0, 1, 2].filter((n) => n !== gone));
  });

  test("does not call one whom another took off during the abort", () => {
    const controller = new AbortController();
    const calls: string[] = [];
    onAbort(controller.signal, () => {
      calls.push("first");
      leaveSecond();
      leaveFirst();
    });
    const leaveFirst = () => {};
    const leaveSecond = onAbort(controller.signal, () => calls.push("second"));
    onAbort(controller.signal, () => calls.push("third"));
    controller.abort();
    expect(calls).toEqual(["first", "third"]);
  });

  test("calls the others when one throws, and lets the error out by itself", async () => {
    const controller = new AbortController();
    const thrown = nextUncaught();
    let called = 0;
    onAbort(controller.signal, () => {
      throw new Error("of the first");
    });
    onAbort(controller.signal, () => called++);
    controller.abort();
    expect(called).toBe(1);
    expect(await thrown).toMatchObject({ message: "of the first" });
  });

  test("takes any object that looks like a signal", () => {
    const target = new EventTarget();
    const signal = Object.assign(target, { aborted: false, reason: undefined });
    let called = 0;
    onAbort(signal, () => called++);
    signal.dispatchEvent(new Event("abort"));
    expect(called).toBe(1);
  });
});

test.each([
  [new AbortController().signal, true],
  [AbortSignal.abort(), true],
  [Object.assign(new EventTarget(), { aborted: false }), true],
  [new EventTarget(), false],
  [{ aborted: false }, false],
  [null, false],
  [undefined, false],
  ["signal", false],
])("isAbortSignal() goes by shape: case %#", (value, expected) => {
  expect(isAbortSignal(value)).toBe(expected);
});
