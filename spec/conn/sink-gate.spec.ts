/** The gate by itself: what it lets through, keeps, and does with a sink that throws. */

import { describe, expect, test } from "vitest";
import type { ConduitSink } from "../../lib/conn/conduit.ts";
import { SinkGate } from "../../lib/conn/sink-gate.ts";
import { nextUncaught } from "../support/uncaught.ts";

/** A gate, what its sink heard, and what happened to the connection behind it. */
class Gated implements ConduitSink {
  readonly heard: string[] = [];
  readonly gate = new SinkGate({ destroy: () => void this.heard.push("broken down") });
  /** What the sink throws, by event. */
  readonly throws: Partial<Record<keyof ConduitSink, unknown>> = {};
  /** Runs within an event. */
  within: () => void = () => {};

  data(view: Uint8Array, n: number): void {
    this.#hear("data", `data ${Buffer.from(view.subarray(0, n)).toString()}`);
  }
  drained(): void {
    this.#hear("drained");
  }
  end(): void {
    this.#hear("end");
  }
  error(error: Error): void {
    this.#hear("error", `error ${error.message}`);
  }
  attach(): this {
    this.gate.attach(this, () => void this.heard.push("then"));
    return this;
  }
  send(text: string): void {
    this.gate.data(Buffer.from(`${text}, and what was read before`), text.length);
  }

  #hear(event: keyof ConduitSink, text: string = event): void {
    this.heard.push(text);
    this.within();
    if (event in this.throws) throw this.throws[event];
  }
}

const microtasks = async () => {
  for (let i = 0; i < 3; i++) await Promise.resolve();
};

describe("SinkGate", () => {
  test("lets events through as they come, one end at most, one error, and nothing after it", async () => {
    const gated = new Gated().attach();
    const { gate, heard } = gated;
    expect([gate.attached, gate.closed, gate.ended]).toEqual([true, false, false]);
    gated.send("one");
    gate.drained();
    gate.end();
    gate.end();
    expect(gate.ended).toBe(true);
    gated.send("after the end");
    gate.error(new Error("first"));
    expect(gate.closed).toBe(true);
    gate.error(new Error("second"));
    gated.send("late");
    gate.drained();
    gate.end();
    await microtasks();
    expect(heard).toEqual(["data one", "drained", "end", "data after the end", "error first"]);
  });

  test("close() ends all events, and is seen", () => {
    const gated = new Gated().attach();
    gated.gate.close();
    expect(gated.gate.closed).toBe(true);
    gated.send("late");
    gated.gate.drained();
    gated.gate.end();
    gated.gate.error(new Error("late"));
    expect(gated.heard).toEqual([]);
    expect(gated.gate.ended).toBe(false);
  });

  test("keeps what comes before a sink, copied, in order, and tells it after attach(); then reading may go on", async () => {
    const gated = new Gated();
    const lent = new Uint8Array(Buffer.from("lent")); // no Buffer, as what adapters lend
    gated.gate.data(lent, 3);
    lent.fill(0xdb);
    gated.gate.drained();
    gated.gate.end();
    expect(gated.gate.attached).toBe(false);
    gated.attach();
    gated.send("came meanwhile");
    expect(gated.heard).toEqual([]);
    await microtasks();
    expect(gated.heard).toEqual(["data len", "drained", "end", "data came meanwhile", "then"]);
    expect(gated.gate.attached).toBe(true);
  });

  test("keeps an error that comes before a sink; then reading does not go on", async () => {
    const gated = new Gated();
    gated.gate.error(new Error("early"));
    expect(gated.gate.closed).toBe(false);
    gated.attach();
    await microtasks();
    expect(gated.heard).toEqual(["error early"]);
  });

  test("attach() with nothing kept has nothing to tell; again, it moves the events to the new sink", async () => {
    const first = new Gated().attach();
    expect(first.gate.attached).toBe(true);
    const second = new Gated();
    first.gate.attach(second, () => {});
    first.send("moved");
    await microtasks();
    expect(first.heard).toEqual([]);
    expect(second.heard).toEqual(["data moved"]);
  });

  test.each(["data", "drained", "end"] as const)(
    "a sink that throws at %s has its connection broken down, and is told what it threw",
    async (event) => {
      const gated = new Gated().attach();
      gated.throws[event] = new Error("a broken rule");
      if (event === "data") gated.send("x");
      else gated.gate[event]();
      expect(gated.heard.slice(1)).toEqual(["broken down", "error a broken rule"]);
      gated.gate.end();
      gated.gate.error(new Error("late"));
      expect(gated.heard).toHaveLength(3);
      expect(gated.gate.closed).toBe(true);
    },
  );

  test("what is no Error is told as the cause of one", () => {
    const gated = new Gated().attach();
    gated.throws.drained = "a word";
    const errors: Error[] = [];
    gated.error = (error) => void errors.push(error);
    gated.gate.drained();
    expect(errors[0]).toMatchObject({ message: "Cannot take an event", cause: "a word" });
  });

  test("what a sink throws at error, or after it closed the gate, is thrown on where it harms nobody", async () => {
    const gated = new Gated().attach();
    gated.throws.error = new Error("thrown at error");
    let uncaught = nextUncaught();
    gated.gate.error(new Error("it broke"));
    expect(await uncaught).toBe(gated.throws.error);

    const closing = new Gated().attach();
    closing.within = () => closing.gate.close();
    closing.throws.data = new Error("thrown after close");
    uncaught = nextUncaught();
    closing.send("x");
    expect(await uncaught).toBe(closing.throws.data);
    expect(closing.heard).toEqual(["data x", "broken down"]);

    const twice = new Gated().attach();
    twice.throws.end = new Error("thrown at end");
    twice.throws.error = new Error("and at its error");
    uncaught = nextUncaught();
    twice.gate.end();
    expect(await uncaught).toBe(twice.throws.error);
    expect(twice.heard).toEqual(["end", "broken down", "error thrown at end"]);
  });
});
