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

  test("drained() is told when nothing waits beyond the window any more, and not before", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule, window: 4, slice: () => 1 });
    const near = new Recorder();
    a.attach(near);
    b.attach(new Recorder());
    expect(a.write("123456")).toBe("full");
    const left: number[] = [];
    while (hand.waiting > 0) {
      hand.step();
      if (near.count("drained") > 0) left.push(a.pendingBytes);
    }
    expect(left[0]).toBe(0);
    expect(near.events).toEqual(["drained"]);
  });

  test("an empty write is nothing, and nothing is told of it", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    b.attach(new Recorder());
    expect([a.write(""), a.write([new Uint8Array()])]).toEqual(["ok", "ok"]);
    expect(hand.waiting).toBe(0);
  });

  test("what is told while it is paused waits for resume(), though its task was on its way", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    b.attach(sink);
    a.write("bytes");
    b.pause();
    hand.run();
    expect(sink.events).toEqual([]);
    b.resume();
    hand.run();
    expect(sink.events).toEqual(["data"]);
  });

  test("where nobody listens yet nothing is read: closing it is a reset", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    a.write("unread");
    expect(hand.waiting).toBe(0);
    b.destroy();
    hand.run();
    expect(sink.errors[0]).toMatchObject({ message: "read ECONNRESET", code: "ECONNRESET", syscall: "read" });
  });

  test("a second end(), destroy() or reset(), and one after another, is nothing", () => {
    for (const how of [
      ["end", "end"],
      ["end", "destroy"],
      ["destroy", "end"],
      ["destroy", "destroy"],
      ["reset", "reset"],
      ["reset", "destroy"],
      ["reset", "end"],
    ] as const) {
      const hand = byHand();
      const [a, b] = memoryPair({ schedule: hand.schedule });
      const sink = new Recorder();
      b.attach(sink);
      a[how[0]]();
      hand.run();
      expect(sink.events).toHaveLength(1);
      a[how[1]]();
      expect(hand.waiting, how.join(" ")).toBe(0);
    }
  });

  test("an end that meets a closed peer is no reset, nor is a FIN that nobody has read", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    b.destroy();
    a.end();
    hand.run();
    expect(sink.story).toBe("end");
    const [c, d] = memoryPair({ schedule: hand.schedule });
    const other = new Recorder();
    c.attach(other);
    c.end();
    d.destroy();
    hand.run();
    expect(other.story).toBe("end");
  });

  test.each([
    ["destroy() with bytes unread", (_: MemoryConduit, b: MemoryConduit) => b.destroy()],
    ["reset()", (_: MemoryConduit, b: MemoryConduit) => b.reset()],
  ])("after %s the errors are those of a system", (_, breaks) => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    a.write("unread");
    breaks(a, b);
    hand.run();
    expect(sink.errors).toMatchObject([{ message: "read ECONNRESET", code: "ECONNRESET", syscall: "read" }]);
    expect(a.write("more")).toMatchObject({ message: "write EPIPE", code: "EPIPE", syscall: "write" });
  });

  test("bytes that reach a closed end break with the error of a read", () => {
    const hand = byHand();
    const [a, b] = memoryPair({ schedule: hand.schedule });
    const sink = new Recorder();
    a.attach(sink);
    b.destroy();
    a.write("into the void");
    a.write("and more");
    hand.run();
    expect(sink.story).toBe("end error");
    expect(sink.errors).toMatchObject([{ message: "read ECONNRESET", code: "ECONNRESET", syscall: "read" }]);
  });

  test("write() says that it is closed where it closed itself", () => {
    const words = { name: "ConnectionClosedError", message: "Cannot write to connection: it is closed for writing" };
    const [a, b] = memoryPair();
    a.end();
    expect(a.write("x")).toMatchObject(words);
    const hand = byHand();
    const [c, d] = memoryPair({ schedule: hand.schedule });
    d.reset();
    c.destroy();
    hand.run();
    expect(c.write("x")).toMatchObject(words);
    b.destroy();
  });

  test("an end without a peer is a mistake of who made it", () => {
    expect(() => new MemoryConduit({}, 0).end()).toThrow("Cannot use memory conduit: it has no peer");
  });

  test("refusalProvesNothingWritten is what its facts say", () => {
    const tls = { protocol: "TLSv1.3", cipher: null, alpn: null, resumed: false };
    const [a, b] = memoryPair({ facts: [{ tls }, {}] });
    expect([a.refusalProvesNothingWritten, b.refusalProvesNothingWritten]).toEqual([false, true]);
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
