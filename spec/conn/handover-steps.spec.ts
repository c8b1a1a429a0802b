/** A Handover over a conduit of the spec's own: what comes before it is taken, in which order it is given, and to whom. */

import { describe, expect, test } from "vitest";
import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";
import { Handover, type HandoverInit } from "../../lib/conn/handover.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

/** Does nothing by itself, and writes down what it is asked. */
class FakeConduit implements Conduit {
  readonly facts = { localAddress: null, localPort: null, remoteAddress: null, remotePort: null, tls: null };
  readonly refusalProvesNothingWritten = true;
  readonly pendingBytes = 0;
  readonly calls: string[] = [];
  sink: ConduitSink | null = null;
  answer: "ok" | "full" | Error = "ok";
  attach(sink: ConduitSink): void {
    this.sink = sink;
  }
  write(): "ok" | "full" | Error {
    this.calls.push("write");
    return this.answer;
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
  end(): void {
    this.calls.push("end");
  }
  destroy(): void {
    this.calls.push("destroy");
  }
  ref(): void {}
  unref(): void {}
}

function made(given: Partial<HandoverInit> & { early?: Uint8Array[] } = {}) {
  const conduit = new FakeConduit();
  const clock = new VirtualClock();
  const told: unknown[] = [];
  const handover = new Handover({
    conduit,
    clock,
    peer: "peer:80",
    early: [],
    ended: false,
    untakenMs: 1_000,
    untaken: (error) => void told.push(error),
    closed: (which) => void told.push(which),
    ...given,
  });
  const arrive = (text: string) => conduit.sink!.data(new Uint8Array(Buffer.from(`${text}, more`)), text.length);
  return { conduit, clock, told, handover, arrive };
}

/** What a stream gives, told in one list. */
function storyOf(stream: import("node:stream").Duplex): string[] {
  const story: string[] = [];
  stream.on("data", (chunk) => story.push(String(chunk)));
  stream.on("end", () => story.push("end"));
  stream.on("error", (error) => story.push(`error ${error.message}`));
  stream.on("close", () => story.push("close"));
  return story;
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describe("Handover, before it is taken", () => {
  test("is paused, and keeps what comes all the same, behind what came before, the end too", async () => {
    const { conduit, clock, handover, arrive } = made({ early: [bytes("one ")] });
    expect(conduit.calls).toEqual(["pause"]);
    arrive("two ");
    conduit.sink?.end();
    const story = storyOf(handover.take());
    await clock.settle();
    expect(story.join("")).toBe("one two end");
    expect(conduit.calls).toEqual(["pause"]);
  });

  test("keeps what comes where nothing came before, and an end alone", async () => {
    const { conduit, clock, handover, arrive } = made();
    arrive("all");
    conduit.sink?.end();
    const story = storyOf(handover.take());
    await clock.settle();
    expect(story).toEqual(["all", "end"]);
    const silent = made();
    silent.conduit.sink?.end();
    const none = storyOf(silent.handover.take());
    await clock.settle();
    expect(none).toEqual(["end"]);
  });

  test("that had ended when it was made gives its bytes, and the end", async () => {
    const { conduit, clock, handover } = made({ early: [bytes("last")], ended: true });
    const story = storyOf(handover.take());
    await clock.settle();
    expect(story).toEqual(["last", "end"]);
    expect(conduit.calls).toEqual(["pause"]);
  });

  test("that broke gives what came before, then the first error", async () => {
    const { conduit, clock, told, handover } = made({ early: [bytes("early")] });
    conduit.sink?.error(new Error("it broke"));
    conduit.sink?.error(new Error("and again"));
    expect(told).toEqual([handover]);
    expect(conduit.calls).toEqual(["pause", "destroy"]);
    expect(clock.armed).toBe(0);
    const story = storyOf(handover.take());
    await clock.settle();
    expect(story).toEqual(["early", "error it broke", "close"]);
  });

  test("that broke with nothing before it fails as soon as it is taken, unread", async () => {
    const { conduit, clock, handover } = made();
    conduit.sink?.error(new Error("it broke"));
    const stream = handover.take();
    expect(stream.destroyed).toBe(true);
    const errors: Error[] = [];
    stream.on("error", (error) => errors.push(error));
    await clock.settle();
    expect(errors).toMatchObject([{ message: "it broke" }]);
  });

  test("that is destroyed with a reason gives that, and no byte of what came before", async () => {
    const { clock, told, handover } = made({ early: [bytes("early")] });
    handover.destroy(new Error("no longer wanted"));
    handover.destroy(new Error("not a second time"));
    expect(told).toEqual([handover]);
    const story = storyOf(handover.take());
    await clock.settle();
    expect(story).toEqual(["error no longer wanted", "close"]);
  });

  test("is closed for good with its response", () => {
    const { conduit, told, handover } = made();
    handover.close();
    handover.close();
    expect([conduit.calls, told]).toEqual([["pause", "destroy"], [handover]]);
    expect(() => handover.take()).toThrow(new TypeError("Cannot take connection over: the response was closed"));
  });

  test("waits its time, and says who left it waiting", async () => {
    const { conduit, clock, told, handover } = made();
    await clock.advance(999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toMatchObject([
      {
        name: "TimeoutError",
        message: "Cannot hand connection to peer:80 over: nobody took it within 1000 ms (option unreadBodyTimeout)",
        phase: "unread-body",
        option: "unreadBodyTimeout",
        limit: 1_000,
      },
      {},
    ]);
    expect(told[1]).toBe(handover);
    expect(conduit.calls).toEqual(["pause", "destroy"]);
  });
});

describe("Handover, once it is taken", () => {
  test("gives no more of what is kept than its reader takes", async () => {
    const early = Array.from({ length: 8 }, () => new Uint8Array(32 * 1024));
    const { conduit, handover } = made({ early });
    const stream = handover.take();
    stream.read(0);
    expect(stream.readableLength).toBe(64 * 1024);
    let n = 0;
    stream.on("data", (chunk) => {
      n += chunk.length;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(n).toBe(8 * 32 * 1024);
    expect(conduit.calls).toEqual(["pause", "resume"]);
  });

  test("gives what comes while something is kept behind that, and the end behind all", async () => {
    const { conduit, clock, handover, arrive } = made({ early: [bytes("one ")] });
    const stream = handover.take();
    arrive("two ");
    conduit.sink?.end();
    const story = storyOf(stream);
    await clock.settle();
    expect(story.join("")).toBe("one two end");
  });

  test("resumes once, and pauses once where its reader lags", async () => {
    const { conduit, clock, handover, arrive } = made();
    const stream = handover.take();
    stream.on("readable", () => {});
    await clock.settle();
    expect(conduit.calls).toEqual(["pause", "resume"]);
    arrive("x");
    expect(String(stream.read())).toBe("x");
    await clock.settle();
    expect(conduit.calls).toEqual(["pause", "resume"]);
    arrive("y".repeat(64 * 1024));
    expect(conduit.calls).toEqual(["pause", "resume", "pause"]);
    arrive("z");
    expect(conduit.calls).toEqual(["pause", "resume", "pause"]);
    while (stream.read() !== null);
    await clock.settle();
    expect(conduit.calls).toEqual(["pause", "resume", "pause", "resume"]);
  });

  test("is destroyed with the reason that it is given", async () => {
    const { conduit, clock, told, handover } = made();
    const story = storyOf(handover.take());
    handover.destroy(new Error("no longer wanted"));
    await clock.settle();
    expect(story).toEqual(["error no longer wanted", "close"]);
    expect(conduit.calls).toContain("destroy");
    expect(told).toEqual([handover]);
  });

  test("is destroyed at once, though nobody reads it", () => {
    const { handover } = made();
    const stream = handover.take().on("error", () => {});
    handover.destroy(new Error("no longer wanted"));
    expect(stream.destroyed).toBe(true);
  });

  test("drained() without a write that waits is nothing; with one it ends that, once", async () => {
    const { conduit, clock, handover } = made();
    const stream = handover.take();
    conduit.sink?.drained();
    conduit.answer = "full";
    const ended: unknown[] = [];
    stream.write("x", (error) => ended.push(error ?? "ok"));
    await clock.settle();
    expect(ended).toEqual([]);
    conduit.sink?.drained();
    conduit.sink?.drained();
    await clock.settle();
    expect(ended).toEqual(["ok"]);
  });

  test("a write under way ends with the stream, and says why", async () => {
    for (const reason of [undefined, new Error("mine")]) {
      const { conduit, clock, handover } = made();
      const stream = handover.take();
      stream.on("error", () => {});
      conduit.answer = "full";
      const ended: unknown[] = [];
      stream.write("x", (error) => ended.push(error));
      await clock.settle();
      stream.destroy(reason);
      await clock.settle();
      const words = reason === undefined ? "Cannot write to stream: it was destroyed" : "mine";
      expect(ended).toMatchObject([{ message: words }]);
    }
  });
});
