/**
 * The contract of Conduit (`lib/conn/conduit.ts`) as specs, run over every adapter: what the loops rely on holds for all
 * of them alike, so what is simulated in memory is what ships.
 */

import { setImmediate, setTimeout } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";

/** The far end, as a spec drives it. */
export interface FarEnd {
  /** All that came so far. */
  readonly received: Buffer;
  /** Whether our FIN came. */
  readonly sawEnd: boolean;
  send(bytes: Uint8Array): void;
  end(): void;
  /** Breaks the connection so that our side hears of an error. */
  reset(): void;
  pause(): void;
  resume(): void;
}

export interface Rig {
  readonly conduit: Conduit;
  readonly far: FarEnd;
  /** Takes everything down. */
  close(): Promise<void>;
}

export interface Adapter {
  readonly name: string;
  make(): Promise<Rig>;
  /** Whether a small write may answer "full" though the peer reads: TLS is always pending for a moment. */
  readonly alwaysPending?: boolean;
  /** Bytes that surely do not fit where nobody reads. */
  readonly tooMuch: number;
  readonly provesRefusal: boolean;
}

/** So many turns are taken without a pause: what has not come by then waits for the kernel, and needs no processor. */
const BUSY_TURNS = 1_000;

/** Waits for something to become true, turn by turn of the loop. */
export async function until(condition: () => boolean, what = "the condition"): Promise<void> {
  const giveUp = performance.now() + 10_000;
  for (let turn = 0; !condition(); turn++) {
    if (performance.now() > giveUp) throw new Error(`Waited for ${what} in vain`);
    await (turn < BUSY_TURNS ? setImmediate() : setTimeout(1));
  }
}

/** Lets everything happen that is under way. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 30; i++) await setImmediate();
}

/** A sink that keeps what it hears, and checks the parts of the contract that hold at every call. */
export class Recorder implements ConduitSink {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  readonly errors: Error[] = [];
  onData: ((n: number) => void) | null = null;
  #inside = false;
  #calling = false;

  data(view: Uint8Array, n: number): void {
    this.#event("data", () => {
      expect(n).toBeGreaterThan(0);
      expect(n).toBeLessThanOrEqual(view.length);
      this.chunks.push(Buffer.from(view.subarray(0, n)));
      this.onData?.(n);
    });
  }

  drained(): void {
    this.#event("drained");
  }

  end(): void {
    this.#event("end");
  }

  error(error: Error): void {
    this.#event("error", () => {
      expect(error).toBeInstanceOf(Error);
      this.errors.push(error);
    });
  }

  /** Runs a method of the conduit, during which nothing may be told. */
  call<T>(method: () => T): T {
    this.#calling = true;
    try {
      return method();
    } finally {
      this.#calling = false;
    }
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** The events, with runs of data as one. */
  get story(): string {
    return this.events.filter((event, i) => event !== "data" || this.events[i - 1] !== "data").join(" ");
  }

  count(event: string): number {
    return this.events.filter((one) => one === event).length;
  }

  #event(event: string, take: () => void = () => {}): void {
    if (this.#inside) throw new Error(`${event} was told within another event`);
    if (this.#calling) throw new Error(`${event} was told from inside a call`);
    this.events.push(event);
    this.#inside = true;
    try {
      take();
    } finally {
      this.#inside = false;
    }
  }
}

/** Bytes that tell where they are from. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) + (i >> 16)) & 0xff;
  return bytes;
}

export function conduitContract(adapter: Adapter): void {
  describe(`Conduit over ${adapter.name}`, () => {
    const rigs: Rig[] = [];
    afterEach(async () => {
      for (const rig of rigs.splice(0)) await rig.close();
    });

    async function open(): Promise<Rig & { sink: Recorder }> {
      const rig = await adapter.make();
      rigs.push(rig);
      const sink = new Recorder();
      rig.conduit.attach(sink);
      return { ...rig, sink };
    }

    test("data() brings all bytes in order, and lends them only until it returns", async () => {
      const { conduit, far, sink } = await open();
      const views: Uint8Array[] = [];
      const data = sink.data.bind(sink);
      sink.data = (view, n) => {
        data(view, n);
        views.push(view);
      };
      const sent = pattern(300_000);
      far.send(sent);
      await until(() => sink.bytes.length === sent.length, "all bytes");
      expect(sink.bytes.equals(sent)).toBe(true);
      expect(conduit.pendingBytes).toBe(0);
    });

    test("write() sends the char codes of a string as bytes", async () => {
      const { conduit, far, sink } = await open();
      const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
      sink.call(() => conduit.write(all));
      await until(() => far.received.length === 256, "256 bytes");
      expect(far.received.toString("latin1")).toBe(all);
    });

    test("write() sends a list as one run, strings and bytes in order", async () => {
      const { conduit, far, sink } = await open();
      sink.call(() => conduit.write(["head \xe9 ", Buffer.from([1, 2, 3]), "", new Uint8Array([255]), " tail"]));
      await until(() => far.received.length === 16, "16 bytes");
      expect(far.received.toString("latin1")).toBe("head \xe9 \x01\x02\x03\xff tail");
      sink.call(() => conduit.write(["one"]));
      sink.call(() => conduit.write([]));
      await until(() => far.received.length === 19, "19 bytes");
    });

    test("write() says that a little was taken", async () => {
      const { conduit, far, sink } = await open();
      const answer = sink.call(() => conduit.write("little"));
      expect(answer).toBe(adapter.alwaysPending ? "full" : "ok");
      await until(() => far.received.length === 6, "6 bytes");
      await until(() => conduit.pendingBytes === 0, "nothing pending");
      await quiet();
      expect(sink.events).toEqual(adapter.alwaysPending ? ["drained"] : []);
    });

    test("write() answers full when the peer takes no more, and drained() follows once when all was taken", async () => {
      const { conduit, far, sink } = await open();
      far.pause();
      const sent = pattern(adapter.tooMuch);
      expect(sink.call(() => conduit.write([sent]))).toBe("full");
      expect(conduit.pendingBytes).toBeGreaterThan(0);
      await quiet();
      expect(sink.events).toEqual([]);
      far.resume();
      await until(() => sink.events.length > 0, "drained");
      expect(conduit.pendingBytes).toBe(0);
      await until(() => far.received.length === sent.length, "all bytes");
      expect(far.received.equals(sent)).toBe(true);
      await quiet();
      expect(sink.events).toEqual(["drained"]);
    });

    test("write() in small pieces answers full in the end, and drained() follows then too", async () => {
      const { conduit, far, sink } = await open();
      far.pause();
      const piece = "x".repeat(1000);
      let written = 0;
      do {
        expect(sink.call(() => conduit.write(piece))).not.toBeInstanceOf(Error);
        written += piece.length;
        if (adapter.alwaysPending && conduit.pendingBytes > 0) await quiet();
      } while (conduit.pendingBytes === 0 && written < adapter.tooMuch);
      expect(conduit.pendingBytes).toBeGreaterThan(0);
      await quiet();
      const before = sink.count("drained");
      far.resume();
      await until(() => sink.count("drained") > before, "drained");
      expect(conduit.pendingBytes).toBe(0);
      await until(() => far.received.length === written, "all bytes");
    });

    test("write() after a full one is told with it: drained() means that all was taken", async () => {
      const { conduit, far, sink } = await open();
      far.pause();
      sink.call(() => conduit.write([pattern(adapter.tooMuch)]));
      expect(sink.call(() => conduit.write("more"))).toBe("full");
      far.resume();
      await until(() => sink.events.length > 0, "drained");
      expect(conduit.pendingBytes).toBe(0);
      await quiet();
      expect(sink.events).toEqual(["drained"]);
    });

    test("end() sends FIN after what was written, and leaves the other direction open", async () => {
      const { conduit, far, sink } = await open();
      sink.call(() => conduit.write("last words"));
      sink.call(() => conduit.end());
      await until(() => far.sawEnd, "our FIN");
      expect(far.received.toString()).toBe("last words");
      far.send(Buffer.from("an answer"));
      await until(() => sink.bytes.length === 9, "the answer");
      expect(sink.call(() => conduit.write("more"))).toBeInstanceOf(Error);
      expect(sink.count("error")).toBe(0);
    });

    test("end is told once, after the data; the other direction stays open", async () => {
      const { conduit, far, sink } = await open();
      far.send(Buffer.from("bytes"));
      far.end();
      await until(() => sink.events.includes("end"), "the end");
      expect(sink.story).toBe("data end");
      sink.call(() => conduit.write("still heard"));
      await until(() => far.received.length === 11, "our bytes");
      await quiet();
      expect(sink.count("end")).toBe(1);
      expect(sink.count("error")).toBe(0);
    });

    test("end() of both sides is no error", async () => {
      const { conduit, far, sink } = await open();
      far.end();
      sink.call(() => conduit.end());
      await until(() => sink.events.includes("end") && far.sawEnd, "both ends");
      await quiet();
      expect(sink.story).toBe("end");
    });

    test("error is told once when the peer resets, and nothing after it; a write is refused then", async () => {
      const { conduit, far, sink } = await open();
      far.reset();
      await until(() => sink.errors.length > 0, "the error");
      await quiet();
      expect(sink.story).toBe("error");
      expect(sink.call(() => conduit.write("too late"))).toBeInstanceOf(Error);
      await quiet();
      expect(sink.story).toBe("error");
    });

    test("destroy() ends all events, is idempotent, and refuses what is written later", async () => {
      const { conduit, far, sink } = await open();
      far.send(pattern(100_000));
      far.pause();
      sink.call(() => conduit.write([pattern(adapter.tooMuch)]));
      sink.call(() => conduit.destroy());
      sink.call(() => conduit.destroy());
      far.resume();
      expect(sink.call(() => conduit.write("late"))).toBeInstanceOf(Error);
      await quiet();
      expect(sink.events).toEqual([]);
    });

    test("destroy() within data() ends all events", async () => {
      const { conduit, far, sink } = await open();
      sink.onData = () => conduit.destroy();
      far.send(pattern(200_000));
      far.end();
      await until(() => sink.events.length > 0, "the first data");
      await quiet();
      expect(sink.events).toEqual(["data"]);
    });

    test("destroy() tells the peer", async () => {
      const { conduit, far, sink } = await open();
      sink.call(() => conduit.destroy());
      await until(() => far.sawEnd, "the end at the peer");
    });

    test("pause() stops the data, resume() goes on, and no byte is lost", async () => {
      const { conduit, far, sink } = await open();
      sink.call(() => conduit.pause());
      const sent = pattern(400_000);
      far.send(sent);
      await quiet();
      expect(sink.bytes.length).toBeLessThanOrEqual(64 * 1024); // what TLS had decrypted may still come
      sink.call(() => conduit.resume());
      await until(() => sink.bytes.length === sent.length, "all bytes");
      expect(sink.bytes.equals(sent)).toBe(true);
    });

    test("pause() within data() and resume() later bring every byte once", async () => {
      const { conduit, far, sink } = await open();
      const sent = pattern(1_000_000);
      let resumed = 0;
      sink.onData = () => {
        conduit.pause();
        void setImmediate().then(() => {
          resumed++;
          conduit.resume();
        });
      };
      for (let at = 0; at < sent.length; at += 50_000) far.send(sent.subarray(at, at + 50_000));
      await until(() => sink.bytes.length === sent.length, "all bytes");
      expect(sink.bytes.equals(sent)).toBe(true);
      expect(resumed).toBeGreaterThan(1);
    });

    test("a paused conduit sees no end; it comes after resume()", async () => {
      const { conduit, far, sink } = await open();
      far.send(Buffer.from("first"));
      await until(() => sink.events.length > 0, "the first data");
      sink.call(() => conduit.pause());
      far.send(pattern(200_000));
      far.end();
      await quiet();
      expect(sink.count("end")).toBe(0);
      sink.call(() => conduit.resume());
      await until(() => sink.count("end") === 1, "the end");
      expect(sink.bytes.length).toBe(200_005);
      expect(sink.story).toBe("data end");
    });

    test("what a sink throws breaks the connection and is told to it as its error, never to the loop", async () => {
      const { conduit, far, sink } = await open();
      const broken = new Error("a broken rule");
      sink.onData = () => {
        throw broken;
      };
      far.send(Buffer.from("bytes"));
      await until(() => sink.errors.length > 0, "the error");
      await quiet();
      expect(sink.errors).toEqual([broken]);
      expect(sink.call(() => conduit.write("late"))).toBeInstanceOf(Error);
      await until(() => far.sawEnd, "the end at the peer");
    });

    test("what comes before attach() is told after it, in order, and not from inside it", async () => {
      const rig = await adapter.make();
      rigs.push(rig);
      rig.far.send(Buffer.from("a greeting"));
      rig.far.end();
      await quiet();
      const sink = new Recorder();
      sink.call(() => rig.conduit.attach(sink));
      await until(() => sink.count("end") === 1, "the end");
      expect(sink.bytes.toString()).toBe("a greeting");
      expect(sink.story).toBe("data end");
    });

    test("refusalProvesNothingWritten and ref() and unref() are there", async () => {
      const { conduit } = await open();
      expect(conduit.refusalProvesNothingWritten).toBe(adapter.provesRefusal);
      conduit.unref();
      conduit.ref();
    });
  });
}
