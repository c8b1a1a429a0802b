import { describe, expect, test } from "vitest";
import { MemoryConduit, type MemoryPairOptions, memoryPair } from "../../lib/conn/memory-conduit.ts";
import { conduitContract, type FarEnd, pattern, Recorder } from "./conduit-contract.ts";

/** The other end of a pair as the contract drives it. */
class MemoryFarEnd implements FarEnd {
  readonly #conduit: MemoryConduit;
  readonly #chunks: Buffer[] = [];
  sawEnd = false;

  constructor(conduit: MemoryConduit) {
    this.#conduit = conduit;
    conduit.attach({
      data: (view, n) => void this.#chunks.push(Buffer.from(view.subarray(0, n))),
      drained() {},
      end: () => {
        this.sawEnd = true;
      },
      error: () => {
        this.sawEnd = true;
      },
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    this.#conduit.write([bytes]);
  }

  end(): void {
    this.#conduit.end();
  }

  reset(): void {
    this.#conduit.reset();
  }

  pause(): void {
    this.#conduit.pause();
  }

  resume(): void {
    this.#conduit.resume();
  }
}

function adapter(name: string, options: MemoryPairOptions) {
  return {
    name,
    tooMuch: 300_000,
    provesRefusal: true,
    async make() {
      const [conduit, other] = memoryPair(options);
      return { conduit, far: new MemoryFarEnd(other), async close() {} };
    },
  };
}

conduitContract(adapter("memory", {}));
conduitContract(adapter("memory in small slices", { slice: (available) => Math.min(available, 977), window: 5000 }));

/** A scheduler that runs one task at a time, when told. */
function byHand() {
  const tasks: (() => void)[] = [];
  return {
    schedule: (task: () => void) => void tasks.push(task),
    step: () => tasks.shift()?.(),
    run() {
      while (tasks.length > 0) tasks.shift()?.();
    },
    get waiting() {
      return tasks.length;
    },
  };
}

describe("memoryPair()", () => {
  test("delivers nothing by itself: each delivery is one task of the scheduler", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule, slice: () => 4 });
    const sink = new Recorder();
    b.attach(sink);
    a.write("12345678");
    a.end();
    expect(sink.events).toEqual([]);
    hand.step();
    expect(sink.bytes.toString()).toBe("1234");
    hand.step();
    expect(sink.bytes.toString()).toBe("12345678");
    hand.step();
    expect(sink.story).toBe("data end");
    expect(hand.waiting).toBe(0);
  });

  test("overwrites what it lent as soon as the sink returns", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    let kept: Uint8Array = new Uint8Array();
    b.attach({
      data: (view, n) => {
        kept = view.subarray(0, n);
        expect(Buffer.from(kept).toString()).toBe("lent");
      },
      drained() {},
      end() {},
      error(error) {
        throw error;
      },
    });
    a.write("lent");
    hand.run();
    expect([...kept]).toEqual([0xdb, 0xdb, 0xdb, 0xdb]);
  });

  test("takes bytes up to the window, tells what waits beyond it, and copies what it takes", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule, window: 10, slice: () => 6 });
    const [near, far] = [new Recorder(), new Recorder()];
    a.attach(near);
    b.attach(far);
    const bytes = Buffer.from("0123456789");
    expect(a.write([bytes])).toBe("ok");
    bytes.fill(0);
    expect(a.write("abcdefgh")).toBe("full");
    expect(a.pendingBytes).toBe(8);
    hand.step();
    expect(a.pendingBytes).toBe(2);
    hand.run();
    expect(a.pendingBytes).toBe(0);
    expect(near.events).toEqual(["drained"]);
    expect(far.bytes.toString()).toBe("0123456789abcdefgh");
  });

  test("a slice may span what was written in several pieces", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    b.attach(sink);
    a.write(["one ", "two "]);
    a.write("three");
    hand.run();
    expect(sink.events).toEqual(["data"]);
    expect(sink.bytes.toString()).toBe("one two three");
  });

  test("reset() lets the peer read what was under way, then breaks; its writes are refused from then on", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    b.write("an early answer");
    b.reset();
    expect(a.write("accepted, and lost")).toBe("ok");
    hand.run();
    expect(a.write("refused")).toMatchObject({ code: "EPIPE" });
    expect(sink.bytes.toString()).toBe("an early answer");
    expect(sink.story).toBe("data error");
    expect(sink.errors[0]).toMatchObject({ code: "ECONNRESET" });
  });

  test("destroy() with nothing unread is a FIN; bytes that come later are answered with a reset", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    b.destroy();
    hand.run();
    expect(sink.story).toBe("end");
    expect(a.write("nobody is there")).toBe("ok");
    hand.run();
    expect(sink.story).toBe("end error");
    expect(a.write("and now it is known")).toMatchObject({ code: "EPIPE" });
  });

  test("destroy() with bytes unread is a reset", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    a.write(pattern(10).toString("latin1"));
    b.destroy();
    hand.run();
    expect(sink.story).toBe("error");
  });

  test("has the facts that it is given", () => {
    const [a, b] = memoryPair({ facts: [{ remoteAddress: "10.0.0.1", remotePort: 80 }, { localPort: 80 }] });
    expect(a.facts).toEqual({
      localAddress: null,
      localPort: null,
      remoteAddress: "10.0.0.1",
      remotePort: 80,
      tls: null,
    });
    expect(b.facts).toMatchObject({ localPort: 80, remotePort: null });
    expect(a).toBeInstanceOf(MemoryConduit);
  });
});
