/** ContentDecoder against node:zlib's encoders: the same bytes however they come, and nothing beyond its limits. */

import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { createGzip } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DecompressError } from "../../lib/errors.ts";
import { acceptEncoding, ContentDecoder, codingsOf } from "../../lib/message/decode.ts";
import { type BodySource, ResponseBody } from "../../lib/message/response-body.ts";
import { turns } from "../support/loop.ts";
import { ENCODERS, encode, FedSource, hasZstd, whole } from "./encoded.ts";

const TEXT = "What is said three times is true. What is said three times is true. What is said three times is true.";
const MIB = 2 ** 20;
/** Larger than what is decoded at once, both ways. */
const LARGE = Buffer.from(randomBytes(200_000).toString("hex"));

const WORDS = Object.keys(ENCODERS).filter((coding) => coding !== "raw");
/** The word of Content-Encoding for what an encoder makes. */
const wordOf = (coding: string) => (coding === "raw" ? "deflate" : coding);

function decoder(source: BodySource, field: string, ratioMax = 200): ContentDecoder {
  return new ContentDecoder(source, codingsOf(field), { ratioMax, facts: () => ({ origin: "http://peer" }) });
}

const decoded = async (source: BodySource, field: string, ratioMax?: number) =>
  Buffer.from(await new ResponseBody(decoder(source, field, ratioMax)).collect());

async function failure(reading: Promise<unknown>): Promise<DecompressError> {
  const error = await reading.then(
    () => null,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(DecompressError);
  return error;
}

describe("codingsOf()", () => {
  test.each<[field: string, codings: string[]]>([
    ["gzip", ["gzip"]],
    ["GZIP", ["gzip"]],
    ["x-gzip", ["gzip"]],
    ["X-Gzip", ["gzip"]],
    ["deflate", ["deflate"]],
    ["Br", ["br"]],
    ["gzip, br", ["gzip", "br"]],
    [" ,gzip ,\t,br,", ["gzip", "br"]],
    ["identity", []],
    ["identity, gzip", ["gzip"]],
    ["", []],
    [",", []],
    ["compress", []],
    ["gzip, compress", []],
    ["gzip;q=1", []],
    ["gzip br", []],
    ["aes128gcm", []],
    ["zstd", hasZstd ? ["zstd"] : []],
    ["gzip, gzip, gzip, gzip", ["gzip", "gzip", "gzip", "gzip"]],
  ])("codingsOf(%j) is %j (RFC 9110 §8.4)", (field, codings) => {
    expect(codingsOf(field)).toEqual(codings);
  });

  test("acceptEncoding() asks for each coding that is decoded, and for no other", () => {
    const asked = acceptEncoding().split(", ");
    expect(asked.flatMap(codingsOf)).toEqual(asked);
    expect([...asked].sort()).toEqual([...WORDS].sort());
  });
});

describe.each(Object.keys(ENCODERS))("a body in %s", (coding) => {
  const word = wordOf(coding);
  const encoded = encode(TEXT, coding);

  test("ContentDecoder gives the content whole", async () => {
    expect((await decoded(whole(encoded), word)).toString()).toBe(TEXT);
  });

  test("ContentDecoder gives a small body that is all there without a wait", () => {
    const body = decoder(whole(encoded), word);
    expect(Buffer.from(body.tryRead() ?? []).toString()).toBe(TEXT);
    expect(body.tryRead()).toBe(null);
    expect(body.tryRead()).toBe(null);
  });

  test("ContentDecoder gives the same at every split, and a byte at a time", async () => {
    for (let at = 1; at < encoded.length; at++) {
      const source = new FedSource();
      const reading = decoded(source.give(encoded.subarray(0, at)), word);
      await source.asked();
      source.give(encoded.subarray(at)).end();
      expect((await reading).toString()).toBe(TEXT);
    }
    const source = new FedSource();
    const reading = decoded(source, word);
    for (const byte of encoded) {
      await turns(1);
      source.give(Uint8Array.of(byte));
    }
    source.end();
    expect((await reading).toString()).toBe(TEXT);
  });

  test("ContentDecoder says of a body that is cut anywhere that it is, whether cut at once or in time", async () => {
    for (let at = 1; at < encoded.length; at++) {
      expect(await failure(decoded(whole(encoded.subarray(0, at)), word))).toMatchObject({
        code: "ERR_HTTP_DECOMPRESS",
        reason: "truncated",
        coding: word,
        bytesIn: at,
        phase: "body",
        origin: "http://peer",
      });
      const source = new FedSource();
      const reading = failure(decoded(source.give(encoded.subarray(0, at)), word));
      await source.asked();
      source.end();
      expect((await reading).reason).toBe("truncated");
    }
  });

  test("ContentDecoder gives the first piece before the second one comes", async () => {
    const source = new FedSource();
    const body = decoder(source, word);
    const bytes = encode(LARGE, coding);
    source.give(bytes.subarray(0, bytes.length >> 1));
    const first = await body.read();
    expect(first?.length).toBeGreaterThan(0);
    expect(LARGE.subarray(0, first?.length).equals(first ?? Buffer.alloc(0))).toBe(true);
    body.close();
  });

  test("ContentDecoder gives large contents, in pieces of any size", async () => {
    for (const size of [1000, 65_536, Number.MAX_SAFE_INTEGER]) {
      expect((await decoded(whole(encode(LARGE, coding), size), word)).equals(LARGE)).toBe(true);
    }
  });

  test("ContentDecoder refuses bytes behind the end, together with it or after it (Go gzip.ErrHeader)", async () => {
    for (const tail of [Buffer.alloc(1), Buffer.alloc(512), Buffer.from("tail"), encode(TEXT, "raw")]) {
      for (const content of [TEXT, LARGE]) {
        const bytes = encode(content, coding);
        for (const source of [whole(Buffer.concat([bytes, tail])), new FedSource().give(bytes).give(tail).end()]) {
          const { reason } = await failure(decoded(source, word));
          // What follows may be another member or frame, and is then one that is broken or cut.
          const follows =
            coding === "gzip" || coding === "zstd" ? ["trailing-data", "corrupt", "truncated"] : ["trailing-data"];
          expect(follows).toContain(reason);
        }
      }
    }
  });

  test("ContentDecoder gives no bytes for no bytes", async () => {
    expect((await decoded(whole(Buffer.alloc(0)), word)).length).toBe(0);
    expect((await decoded(whole(encode("", coding)), word)).length).toBe(0);
    const late = new FedSource();
    const reading = decoded(late, word);
    await turns(2);
    late.end();
    expect((await reading).length).toBe(0);
  });

  test("ContentDecoder stops at what is no such data, at its start or behind good data", async () => {
    const nonsense = Buffer.alloc(5_000, 0xff);
    expect((await failure(decoded(whole(nonsense), word))).reason).toBe("corrupt");
    const broken = Buffer.from(encode(LARGE, coding));
    broken.fill(0xff, 100_000, 110_000);
    const source = whole(broken, 10_000);
    const reading = decoder(source, word);
    // Without a checksum, bytes can be wrong and no error; but then they are as many as before, or the end is missed.
    const error = await failure(new ResponseBody(reading).collect() as Promise<unknown>).catch(() => null);
    if (coding === "gzip" || coding === "deflate") expect(error?.reason).toBe("corrupt");
    if (error !== null) {
      expect(source.closes).toBe(1);
      await expect(reading.read()).rejects.toBe(error);
      expect(() => reading.tryRead()).toThrow(error);
    }
  });
});

describe("members and frames", () => {
  const cases = [["gzip", encode("one", "gzip"), encode("two", "gzip")] as const];
  if (hasZstd) cases.push(["zstd" as "gzip", encode("one", "zstd"), encode("two", "zstd")]);
  test.each(cases)(
    "ContentDecoder gives the contents of all %s members, however they are split",
    async (word, one, two) => {
      const bytes = Buffer.concat([one, two, one]);
      for (let size = 1; size <= bytes.length; size++) {
        expect((await decoded(whole(bytes, size), word)).toString()).toBe("onetwoone");
      }
      for (let at = 1; at < bytes.length; at++) {
        const source = new FedSource().give(bytes.subarray(0, at));
        const reading = decoded(source, word);
        await source.asked();
        source.give(bytes.subarray(at)).end();
        expect((await reading).toString()).toBe("onetwoone");
      }
    },
  );
});

describe("chains", () => {
  test.each([
    ["gzip, br", ["gzip", "br"]],
    ["br, gzip", ["br", "gzip"]],
    ["gzip, gzip, gzip", ["gzip", "gzip", "gzip"]],
    ["deflate, identity, br, x-gzip", ["raw", "br", "gzip"]],
  ])("ContentDecoder takes %j off from the last to the first (RFC 9110 §8.4)", async (field, codings) => {
    expect((await decoded(whole(encode(TEXT, ...codings)), field)).toString()).toBe(TEXT);
    for (const size of [1, 7, 50_000]) {
      const source = whole(encode(size === 50_000 ? LARGE : TEXT, ...codings), size);
      expect((await decoded(source, field)).equals(size === 50_000 ? LARGE : Buffer.from(TEXT))).toBe(true);
    }
  });

  test("ContentDecoder gives nothing where one coding of a chain has nothing", async () => {
    expect((await decoded(whole(encode("", "br")), "gzip, br")).length).toBe(0);
    const source = new FedSource().give(encode("", "br")); // without its end, so that it goes through streams
    const reading = decoded(source, "gzip, br");
    await source.asked();
    source.end();
    expect((await reading).length).toBe(0);
  });

  test("ContentDecoder says which coding of a chain is broken", async () => {
    const cut = encode(encode(TEXT, "gzip").subarray(0, -1), "br");
    expect(await failure(decoded(whole(cut), "gzip, br"))).toMatchObject({ coding: "gzip", reason: "truncated" });
    expect(await failure(decoded(whole(encode(TEXT, "gzip", "br").subarray(0, -1)), "gzip, br"))).toMatchObject({
      coding: "br",
      reason: "truncated",
    });
  });

  test("ContentDecoder refuses a chain of four, and reads nothing of it (CVE-2022-32206)", async () => {
    const source = whole(encode(TEXT, "gzip", "gzip", "gzip", "gzip"));
    const error = await failure(decoded(source, "gzip, gzip, gzip, gzip"));
    expect(error).toMatchObject({ reason: "too-many-codings", coding: "gzip, gzip, gzip, gzip", bytesIn: 0 });
    expect([source.taken, source.closes]).toEqual([0, 1]);
  });
});

describe("the ratio", () => {
  const FREE = 16 * MIB;
  const zeros = encode(Buffer.alloc(64 * MIB), "gzip");

  /** Reads until the error, and counts. */
  async function readOut(body: ContentDecoder): Promise<{ bytes: number; error: unknown }> {
    let bytes = 0;
    try {
      for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) bytes += chunk.length;
      return { bytes, error: null };
    } catch (error) {
      return { bytes, error };
    }
  }

  test("ContentDecoder lets any content grow to 16 MiB", async () => {
    for (const coding of WORDS) {
      const body = decoder(whole(encode(Buffer.alloc(FREE), coding)), coding, 1);
      expect(await readOut(body)).toEqual({ bytes: FREE, error: null });
    }
  });

  test("ContentDecoder stops beyond 16 MiB where maxDecompressRatio is exceeded, and gives up the rest", async () => {
    const source = whole(zeros, 1000);
    const { bytes, error } = await readOut(decoder(source, "gzip", 200));
    expect(error).toBeInstanceOf(DecompressError);
    expect(error).toMatchObject({ reason: "ratio", coding: "gzip" });
    expect(bytes).toBeGreaterThan(FREE - 2 * MIB);
    expect(bytes).toBeLessThanOrEqual(FREE);
    expect(source.taken).toBeLessThan(40);
    expect(source.closes).toBe(1);
  });

  test("ContentDecoder goes by the ratio of what came to what it became", async () => {
    expect(await readOut(decoder(whole(zeros, 1000), "gzip", 1100))).toEqual({ bytes: 64 * MIB, error: null });
    expect(await readOut(decoder(whole(zeros, 1000), "gzip", 0))).toEqual({ bytes: 64 * MIB, error: null });
    expect((await readOut(decoder(whole(zeros, 1000), "gzip", 1000))).error).toMatchObject({ reason: "ratio" });
  });

  test("ContentDecoder measures each coding of a chain against what came", async () => {
    // The outer coding grows beyond measure; the inner one would throw all of it away (a file name without end).
    const name = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), Buffer.alloc(64 * MIB, "n")]);
    const error = await failure(decoded(whole(encode(name, "gzip")), "gzip, gzip"));
    expect(error).toMatchObject({ reason: "ratio" });
    expect(error.bytesOut).toBeLessThan(18 * MIB);
  });

  test("ContentDecoder decodes no faster than it is read", async () => {
    const source = whole(zeros, 10);
    const body = decoder(source, "gzip", 0);
    let bytes = 0;
    while (bytes < 40 * MIB) bytes += (await body.read())?.length ?? 0;
    await turns(1000);
    // One chunk at work, and what the streams hold: less than 256 KiB.
    expect(source.taken * 10).toBeLessThan(bytes / 1000 + 300);
    body.close();
  });
});

describe("the source", () => {
  test("ContentDecoder waits for all of a small body of known length, and decodes it at once", async () => {
    const encoded = encode(TEXT, "gzip");
    const source = new FedSource(encoded.length);
    source.give(encoded.subarray(0, 20));
    const body = decoder(source, "gzip");
    expect(body.tryRead()).toBe(undefined);
    const reading = body.read();
    source.give(encoded.subarray(20)).end();
    expect(Buffer.from((await reading) ?? []).toString()).toBe(TEXT);
    expect(body.tryRead()).toBe(null);
  });

  test("ContentDecoder gives what was flushed of a body of unknown length while the rest is to come", async () => {
    const gzip = createGzip();
    gzip.write("event: 1");
    await new Promise<void>((resolve) => gzip.flush(() => resolve()));
    const source = new FedSource();
    for (let piece = gzip.read(); piece !== null; piece = gzip.read()) source.give(piece);
    const body = decoder(source, "gzip");
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe("event: 1");
    expect(body.tryRead()).toBe(undefined);
    gzip.end("event: 2");
    source.give(Buffer.concat(await gzip.toArray())).end();
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe("event: 2");
    expect(await body.read()).toBe(null);
  });

  test.each([null, 1000])(
    "ContentDecoder gives what came before the source's error, then that error itself (length %s)",
    async (length) => {
      const reason = { of: "the caller" };
      const encoded = encode(LARGE, "gzip");
      for (const bytes of [10_000, 150_000]) {
        const body = decoder(new FedSource(length).give(encoded.subarray(0, bytes)).fail(reason), "gzip");
        let got = 0;
        const chunk = async () => {
          for (let next = await body.read(); next !== null; next = await body.read()) got += next.length;
        };
        await expect(chunk()).rejects.toBe(reason);
        expect(got).toBeGreaterThan(bytes);
        await expect(body.read()).rejects.toBe(reason);
      }
      const body = decoder(new FedSource(length).fail(reason), "gzip");
      expect(() => body.tryRead()).toThrow();
      await expect(body.read()).rejects.toBe(reason);
    },
  );

  test("ContentDecoder.close() without a read decodes nothing, and closes the source", async () => {
    const source = whole(encode(LARGE, "gzip"), 1000);
    const body = new ResponseBody(decoder(source, "gzip"));
    body.close();
    expect([source.taken, source.closes]).toEqual([0, 1]);
    expect(() => body.collect()).toThrow(TypeError);
  });

  test("ContentDecoder.close() in the middle ends the read under way, and later ones", async () => {
    const encoded = encode(LARGE, "gzip");
    for (const before of [0, 1000, 100_000]) {
      const source = new FedSource().give(encoded.subarray(0, before));
      const body = decoder(source, "gzip");
      const first = before > 10_000 ? await body.read() : null;
      const reading = body.read().then(
        () => "read",
        () => "refused",
      );
      const all = before > 10_000 ? [] : [reading];
      body.close();
      source.end();
      expect(await Promise.race([...all, reading])).not.toBe(first === null ? "read" : "");
      await expect(body.read()).rejects.toThrow("closed");
      expect(source.closes).toBeGreaterThan(0);
    }
  });

  test("ContentDecoder's two readers after tee() both get all of it, each its own bytes", async () => {
    // 16 KiB is what node:zlib makes room for at a time, 64 KiB what a stream here gives.
    for (const content of [Buffer.alloc(16 * 1024, "a"), LARGE, Buffer.alloc(2 * MIB, "b")]) {
      const [one, two] = new ResponseBody(decoder(whole(encode(content, "gzip")), "gzip")).tee();
      for await (const chunk of new ResponseBody(one).iterate()) chunk.fill(0);
      expect(content.equals((await new ResponseBody(two).collect()) as Uint8Array)).toBe(true);
    }
  });

  test("ContentDecoder does not hold up the loop for a small body that grows large", async () => {
    const body = decoder(whole(encode(Buffer.alloc(MIB), "gzip")), "gzip");
    expect(body.tryRead()).toBe(undefined);
    expect((await body.read())?.length).toBeGreaterThan(0);
    body.close();
  });
});

describe("many at once", () => {
  test("ContentDecoder keeps fifty bodies apart", async () => {
    const bodies = Array.from({ length: 50 }, (_, i) => Buffer.from(`${i} `.repeat(1 + i * 2_000)));
    const read = bodies.map((body, i) => {
      const coding = WORDS[i % WORDS.length] as string; // i modulo the length
      return decoded(whole(encode(body, coding), 1 + i * 37), coding);
    });
    for (const [i, body] of (await Promise.all(read)).entries()) expect(body.equals(bodies[i] as Buffer)).toBe(true);
  });

  test("any content, encoded by any chain and split anywhere, is decoded to itself", async () => {
    const chains = fc.array(fc.constantFrom(...Object.keys(ENCODERS)), { minLength: 1, maxLength: 3 });
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat(20_000))
        .map(([part, n]) => Buffer.alloc(n, part)),
    );
    await fc.assert(
      fc.asyncProperty(content, chains, fc.array(fc.nat(5_000)), fc.boolean(), async (bytes, codings, cuts, late) => {
        const encoded = encode(bytes, ...codings);
        const source = new FedSource();
        const reading = decoded(source, codings.map(wordOf).join(", "));
        let at = 0;
        for (const cut of [...cuts].sort((a, b) => a - b)) {
          if (cut <= at || cut >= encoded.length) continue;
          source.give(encoded.subarray(at, cut));
          at = cut;
          if (late) await turns(1);
        }
        source.give(encoded.subarray(at)).end();
        expect((await reading).equals(bytes)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe("the surroundings", () => {
  test("ContentDecoder makes its streams outside of the reader's async context", async () => {
    const store = new AsyncLocalStorage<string>();
    const made: (string | undefined)[] = [];
    const hook = createHook({
      init(_id, type) {
        if (type === "ZLIB") made.push(store.getStore());
      },
    });
    hook.enable();
    const text = await store.run("the reader", async () => {
      const bytes = await decoded(whole(encode(LARGE, "gzip", "br")), "gzip, br");
      expect(store.getStore()).toBe("the reader");
      return bytes;
    });
    hook.disable();
    expect(text.equals(LARGE)).toBe(true);
    // The encoders of this spec are made in it; the decoders nowhere.
    expect(made.filter((where) => where === undefined)).toHaveLength(2);
  });

  test("a Transport does not load node:zlib when it is made", () => {
    const lib = fileURLToPath(new URL("../../lib/index.ts", import.meta.url));
    const program = `
      const asked = [];
      const real = process.getBuiltinModule;
      process.getBuiltinModule = (name) => { asked.push(name); return real.call(process, name); };
      const { Transport } = await import(${JSON.stringify(lib)});
      new Transport();
      console.log(asked.includes("node:zlib"));
    `;
    const args = ["--import", "tsx", "--input-type=module", "-e", program];
    expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("false\n");
  });
});
