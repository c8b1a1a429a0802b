import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { DuplexConduit } from "../../lib/conn/duplex-conduit.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { conduitContract, type FarEnd, quiet, Recorder, until } from "./conduit-contract.ts";

checkLeaks();

class DuplexFarEnd implements FarEnd {
  readonly #stream: Duplex;
  readonly #chunks: Buffer[] = [];
  sawEnd = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk) => this.#chunks.push(chunk));
    for (const event of ["end", "close", "error"]) {
      stream.on(event, () => {
        this.sawEnd = true;
      });
    }
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  end(): void {
    this.#stream.end();
  }

  reset(): void {
    this.#stream.destroy(new Error("reset"));
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}

conduitContract({
  name: "a Duplex",
  tooMuch: 300_000,
  provesRefusal: false,
  async make() {
    const [one, two] = duplexPair();
    const conduit = new DuplexConduit(one);
    return {
      conduit,
      far: new DuplexFarEnd(two),
      async close() {
        conduit.destroy();
        two.destroy();
      },
    };
  },
});

describe("DuplexConduit", () => {
  test("tells nothing from inside a call, and in order, though the stream answers at once", async () => {
    const echo = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        this.push(`echo ${chunk}`);
        this.push(null);
        done();
      },
    });
    const conduit = new DuplexConduit(echo);
    const sink = new Recorder();
    conduit.attach(sink);
    await quiet();
    sink.call(() => conduit.write("hello"));
    await until(() => sink.count("end") > 0, "the end");
    expect(sink.story).toBe("data end");
    expect(sink.bytes.toString()).toBe("echo hello");
    conduit.destroy();
  });

  test("takes the strings of a stream with an encoding as the text they are", async () => {
    const [one, two] = duplexPair();
    one.setEncoding("utf8");
    const conduit = new DuplexConduit(one);
    const sink = new Recorder();
    conduit.attach(sink);
    two.write("grüße");
    await until(() => sink.bytes.length === 7, "the bytes");
    expect(sink.bytes.toString("utf8")).toBe("grüße");
    conduit.destroy();
  });

  test("a failed write is told, by its answer or as an error", async () => {
    const failing = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        done(new Error("it broke"));
      },
    });
    const conduit = new DuplexConduit(failing);
    const sink = new Recorder();
    conduit.attach(sink);
    expect(sink.call(() => conduit.write("hello"))).toMatchObject({ message: "it broke" });
    await until(() => sink.errors.length > 0, "the error");
    expect(sink.call(() => conduit.write("more"))).toMatchObject({ message: "it broke" });
    expect(sink.story).toBe("error");
  });

  test.each(["write", "writev", "final"])(
    "a stream whose _%s throws is broken by it, and is told as an error",
    async (method) => {
      const broken = new Error("it threw");
      const throwing = () => {
        throw broken;
      };
      const write = (_chunk: unknown, _encoding: unknown, done: () => void) => done();
      const stream = new Duplex({ read() {}, write, [method]: throwing });
      const conduit = new DuplexConduit(stream);
      const sink = new Recorder();
      conduit.attach(sink);
      await quiet();
      if (method === "final") sink.call(() => conduit.end());
      else expect(sink.call(() => conduit.write(method === "write" ? "hello" : ["two", "pieces"]))).toBe(broken);
      await until(() => sink.errors.length > 0, "the error");
      expect(sink.errors[0]).toBe(broken);
      expect(sink.story).toBe("error");
      expect(stream.destroyed).toBe(true);
    },
  );

  test("a stream that somebody else destroys is told as an error", async () => {
    const [one] = duplexPair();
    const conduit = new DuplexConduit(one);
    const sink = new Recorder();
    conduit.attach(sink);
    one.destroy();
    await until(() => sink.errors.length > 0, "the error");
    expect(sink.errors[0]).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
  });

  test("what was told within a call comes first, and what comes before that is told behind it", async () => {
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        this.emit("data", Buffer.from("within "));
        done();
      },
    });
    const conduit = new DuplexConduit(stream);
    const sink = new Recorder();
    conduit.attach(sink);
    sink.call(() => conduit.write("x"));
    stream.emit("data", Buffer.from("behind"));
    expect(sink.events).toEqual([]);
    await Promise.resolve();
    expect(sink.bytes.toString()).toBe("within behind");
    sink.call(() => conduit.write("x")); // one alone is told as well
    await Promise.resolve();
    stream.emit("data", Buffer.from("at once"));
    expect(sink.bytes.toString()).toBe("within behindwithin at once");
    conduit.destroy();
  });

  test("a write that fails later is told as an error, and not as taken", async () => {
    let fail: (error: Error) => void = () => {};
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        fail = done;
      },
    });
    const conduit = new DuplexConduit(stream);
    const sink = new Recorder();
    conduit.attach(sink);
    expect(sink.call(() => conduit.write("hello"))).toBe("full");
    fail(new Error("it broke"));
    await until(() => sink.errors.length > 0, "the error");
    await quiet();
    expect(sink.story).toBe("error");
    expect(sink.errors[0]?.message).toBe("it broke");
  });

  test("drained() is told after a write that was full, and not after one that was taken at once", async () => {
    let done: (() => void) | null = null;
    let holds = true;
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, taken) {
        if (holds) done = taken;
        else taken();
      },
    });
    const conduit = new DuplexConduit(stream);
    const sink = new Recorder();
    conduit.attach(sink);
    expect(sink.call(() => conduit.write("waits"))).toBe("full");
    (done as (() => void) | null)?.(); // set by the write
    await quiet();
    expect(sink.events).toEqual(["drained"]);
    holds = false;
    expect(sink.call(() => conduit.write("goes"))).toBe("ok");
    await quiet();
    expect(sink.events).toEqual(["drained"]);
    conduit.destroy();
  });

  test("write() after end() says that it is closed for writing, and breaks nothing", async () => {
    const [one, two] = duplexPair();
    const conduit = new DuplexConduit(one);
    const sink = new Recorder();
    conduit.attach(sink);
    sink.call(() => conduit.end());
    const words = { name: "ConnectionClosedError", message: "Cannot write to connection: it is closed for writing" };
    expect(sink.call(() => conduit.write("more"))).toMatchObject(words);
    await quiet();
    expect(sink.events).toEqual([]);
    conduit.destroy();
    expect(sink.call(() => conduit.write("more"))).toMatchObject(words);
    two.destroy();
  });

  test("a stream that is destroyed in the middle of its write is told by what it threw", () => {
    const broken = new Error("it threw");
    const stream = new Duplex({
      read() {},
      write() {
        this.destroy();
        throw broken;
      },
    });
    const conduit = new DuplexConduit(stream);
    conduit.attach(new Recorder());
    expect(conduit.write("hello")).toBe(broken);
  });

  test("what is thrown and no Error is the cause of one", async () => {
    const stream = new Duplex({
      read() {},
      write() {
        throw "a word"; // as code of users may
      },
    });
    const conduit = new DuplexConduit(stream);
    const sink = new Recorder();
    conduit.attach(sink);
    const error = { message: "Cannot use connection: its stream threw", cause: "a word" };
    expect(sink.call(() => conduit.write("hello"))).toMatchObject(error);
    await until(() => sink.errors.length > 0, "the error");
    expect(sink.errors).toMatchObject([error]);
  });

  test("a stream that is destroyed after its end, with our side open, is told as an error; after both ends it is not", async () => {
    const words = "Cannot use connection: its stream was destroyed from outside";
    for (const endsToo of [false, true]) {
      const [one, two] = duplexPair();
      const conduit = new DuplexConduit(one);
      const sink = new Recorder();
      conduit.attach(sink);
      two.resume().end();
      await until(() => sink.count("end") > 0, "the end");
      if (endsToo) conduit.end();
      await quiet();
      one.destroy();
      await quiet();
      expect(sink.errors.map(({ message }) => message)).toEqual(endsToo ? [] : [words]);
      two.destroy();
    }
  });

  test("ref() and unref() are the stream's, where it has them", () => {
    const calls: string[] = [];
    const [one, two] = duplexPair();
    Object.assign(one, { ref: () => calls.push("ref"), unref: () => calls.push("unref") });
    const conduit = new DuplexConduit(one);
    conduit.unref();
    conduit.ref();
    expect(calls).toEqual(["unref", "ref"]);
    const without = new DuplexConduit(two);
    without.unref();
    without.ref();
    conduit.destroy();
    without.destroy();
  });

  test("has no facts, unless they are given", () => {
    const [one, two] = duplexPair();
    expect(new DuplexConduit(one).facts).toMatchObject({ remoteAddress: null, tls: null });
    const facts = { localAddress: null, localPort: null, remoteAddress: "10.0.0.1", remotePort: 443, tls: null };
    expect(new DuplexConduit(two, facts).facts).toBe(facts);
    one.destroy();
    two.destroy();
  });
});
