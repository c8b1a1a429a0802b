/** Response parser: the corpus whole, byte by byte and cut at every byte; truncation; refusals; limits. */

import { describe, expect, test } from "vitest";
import type { ParserLimits } from "../../lib/wire/parser-events.ts";
import { ResponseParser } from "../../lib/wire/response-parser.ts";
import { CORPUS, REFUSALS } from "./corpus.ts";
import { everyByte, LIMITS, type Outcome, Recorder, record } from "./record.ts";

/** Every single cut; of long heads every cut near their ends, near what llhttp is fed at once, and some between. */
function cutsOf(bytes: string): number[] {
  const all = everyByte(bytes);
  if (all.length < 2000) return all;
  return all.filter((at) => at < 300 || at > bytes.length - 300 || at % 97 === 0 || Math.abs((at % 4096) - 2) < 5);
}

function sameHoweverCut(whole: Outcome, bytes: string, method: string | undefined): void {
  const options = method === undefined ? {} : { method };
  expect(record(bytes, everyByte(bytes), options), "a byte at a time").toEqual(whole);
  for (const cut of cutsOf(bytes)) {
    const outcome = record(bytes, [cut], options);
    // Comparing strings first: a deep comparison for each of some 20,000 runs would be most of the spec's time.
    if (JSON.stringify(outcome) !== JSON.stringify(whole)) expect(outcome, `cut at ${cut}`).toEqual(whole);
  }
}

describe("ResponseParser reads", () => {
  test.each(CORPUS)("$rule", ({ bytes, method, events, rest = "" }) => {
    const whole = record(bytes, [], method === undefined ? {} : { method });
    const ends = whole.events.some(([type, head]) => type === "head" && head.framing === "close");
    expect(whole).toEqual({ events, rest, finish: ends ? "ended" : "not-reading", error: null });
    sameHoweverCut(whole, bytes, method);
  });

  test("at least 60 cases, each with a rule of its own", () => {
    expect(new Set(CORPUS.map((c) => c.rule)).size).toBe(CORPUS.length);
    expect(CORPUS.length).toBeGreaterThanOrEqual(60);
  });
});

describe("ResponseParser refuses", () => {
  test.each(REFUSALS)("$rule", ({ bytes, method, error }) => {
    const whole = record(bytes, [], { ...(method === undefined ? {} : { method }), fin: false });
    expect(whole.error).toContain(error);
    expect(whole.events.some(([type]) => type === "end")).toBe(false);
    for (const cuts of [everyByte(bytes), ...everyByte(bytes).map((cut) => [cut])]) {
      const outcome = record(bytes, cuts, { ...(method === undefined ? {} : { method }), fin: false });
      expect(outcome, `cut at ${cuts.length > 1 ? "every byte" : cuts[0]}`).toEqual(whole);
    }
  });

  test("at least 40 cases, each with a rule of its own", () => {
    expect(new Set(REFUSALS.map((c) => c.rule)).size).toBe(REFUSALS.length);
    expect(REFUSALS.length).toBeGreaterThanOrEqual(40);
  });
});

describe("ResponseParser.finish()", () => {
  const framed = CORPUS.filter(({ events, rest, bytes }) => {
    const close = events.some(
      ([type, head]) => type === "head" && (head.framing === "close" || head.framing === "tunnel"),
    );
    return !close && rest === undefined && bytes.length < 2000;
  });
  test.each(framed)("tells every truncation of a framed message: $rule", ({ bytes, method }) => {
    for (let length = 0; length < bytes.length; length++) {
      const outcome = record(bytes.slice(0, length), [], method === undefined ? {} : { method });
      expect(
        outcome.events.some(([type]) => type === "end"),
        `after ${length} bytes`,
      ).toBe(false);
      if (length === 0) expect(outcome.finish).toBe("no-response");
      else expect(outcome.error, `after ${length} bytes`).toMatch(/^(IncompleteBodyError|ConnectionClosedError)$/);
    }
  });
});

describe("ResponseParser limits", () => {
  const limits = (some: Partial<ParserLimits>): ParserLimits => ({ ...LIMITS, ...some });

  /** Whether these bytes pass, however cut, under these limits: all cuts must agree. */
  function outcomeOf(bytes: string, some: Partial<ParserLimits>): string | null {
    const options = { limits: limits(some), fin: false };
    const whole = record(bytes, [], options);
    for (const cuts of [everyByte(bytes), ...cutsOf(bytes).map((cut) => [cut])]) {
      expect(record(bytes, cuts, options)).toEqual(whole);
    }
    return whole.error;
  }

  test("headBytesMax: a head of exactly so many bytes passes, one more does not", () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    expect(outcomeOf(`${head}ok`, { headBytesMax: head.length })).toBeNull();
    expect(outcomeOf(`${head}ok`, { headBytesMax: head.length - 1 })).toBe("HeaderLimitError maxResponseHeaderBytes");
  });

  test("headBytesMax spans the 1xx heads, the head and the trailers of an exchange", () => {
    const heads = "HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const trailer = "C: d\r\n";
    const bytes = `${heads}1\r\n.\r\n0\r\n${trailer}\r\n`;
    expect(outcomeOf(bytes, { headBytesMax: heads.length + trailer.length })).toBeNull();
    expect(outcomeOf(bytes, { headBytesMax: heads.length + trailer.length - 1 })).toBe(
      "HeaderLimitError maxResponseHeaderBytes",
    );
    expect(outcomeOf(bytes, { headBytesMax: heads.length - 1 })).toBe("HeaderLimitError maxResponseHeaderBytes");
  });

  test("headBytesMax: a chunked body without trailers needs none of it", () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(outcomeOf(`${head}1\r\n.\r\n0\r\n\r\n`, { headBytesMax: head.length })).toBeNull();
  });

  test("headBytesMax counts blanks before a value, empty lines in front and folded lines", () => {
    const blanks = `HTTP/1.1 200 OK\r\nA:${" ".repeat(5000)}b\r\n\r\n`;
    expect(record(blanks, [], { limits: limits({ headBytesMax: 1000 }) }).error).toBe(
      "HeaderLimitError maxResponseHeaderBytes",
    );
    const empty = "\r\n".repeat(600);
    expect(outcomeOf(empty, { headBytesMax: 1000 })).toBe("HeaderLimitError maxResponseHeaderBytes");
    const folded = `HTTP/1.1 200 OK\r\nA: b${"\r\n c".repeat(300)}\r\n\r\n`;
    expect(outcomeOf(folded, { headBytesMax: 1000 })).toBe("HeaderLimitError maxResponseHeaderBytes");
  });

  test("headerCountMax spans the 1xx heads, the head and the trailers of an exchange", () => {
    const bytes =
      "HTTP/1.1 103 E\r\nA: b\r\nC: d\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nE: f\r\nG: h\r\n\r\n";
    expect(outcomeOf(bytes, { headerCountMax: 5 })).toBeNull();
    for (const headerCountMax of [4, 3, 2, 1, 0]) {
      expect(outcomeOf(bytes, { headerCountMax })).toBe("HeaderLimitError maxResponseHeaders");
    }
  });

  test("headerCountMax: a name that is malformed is told as that, not as one too many", () => {
    const bytes = "HTTP/1.1 200 OK\r\nA: b\r\nC\0: d\r\n\r\n";
    expect(outcomeOf(bytes, { headerCountMax: 1 })).toContain("Invalid header token");
  });

  test("informationMax: so many 1xx pass, one more does not", () => {
    const bytes = `${"HTTP/1.1 102 Wait\r\n\r\n".repeat(3)}HTTP/1.1 204 None\r\n\r\n`;
    expect(outcomeOf(bytes, { informationMax: 3 })).toBeNull();
    expect(outcomeOf(bytes, { informationMax: 2 })).toBe("HeaderLimitError max1xxResponses");
  });

  test("all limits begin anew with each exchange", () => {
    const bytes = Buffer.from("HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 204 None\r\nC: d\r\n\r\n");
    const parser = new ResponseParser({ headBytesMax: bytes.length, headerCountMax: 2, informationMax: 1 });
    for (let exchange = 0; exchange < 3; exchange++) {
      parser.begin("GET");
      expect(parser.execute(bytes, 0, bytes.length, new Recorder())).toBe(bytes.length);
    }
    parser.free();
  });

  const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

  test("a chunk line has at most 4 KiB: extensions and leading zeros alike (RFC 9112 §7.1.1)", () => {
    const line = (n: number) => `${chunkedHead}1;${"e".repeat(n - 4)}\r\n.\r\n0\r\n\r\n`;
    expect(record(line(4096)).error).not.toBe("HeaderLimitError chunkLineBytes");
    expect(outcomeOf(`${chunkedHead}1;${"e".repeat(5000)}\r\n.\r\n0\r\n\r\n`, {})).toBe(
      "HeaderLimitError chunkLineBytes",
    );
    expect(outcomeOf(`${chunkedHead}${"0".repeat(5000)}\r\n\r\n`, {})).toBe("HeaderLimitError chunkLineBytes");
  });

  test("chunk lines may not outweigh the data by more than 16 KiB", () => {
    const chunk = `1;${"e".repeat(1000)}\r\n.\r\n`;
    expect(record(`${chunkedHead}${chunk.repeat(10)}0\r\n\r\n`).error).toBeNull();
    const many = `${chunkedHead}${chunk.repeat(40)}0\r\n\r\n`;
    expect(record(many).error).toBe("HeaderLimitError chunkExcessBytes");
    expect(record(many, everyByte(many)).error).toBe("HeaderLimitError chunkExcessBytes");
    const worthIt = `1f4;${"e".repeat(1000)}\r\n${".".repeat(500)}\r\n`;
    expect(record(`${chunkedHead}${worthIt.repeat(100)}0\r\n\r\n`).error).toBeNull();
  });

  test("a body of chunks of one byte passes", () => {
    const bytes = `${chunkedHead}${"1\r\n.\r\n".repeat(50_000)}0\r\n\r\n`;
    expect(record(bytes.slice(0, 200_000), []).error).toBe("IncompleteBodyError");
  });
});

describe("ResponseParser", () => {
  const text = (s: string) => Buffer.from(s, "latin1");
  const OK = text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

  test("begin() may be called from end(): what is left in the read stays unread", () => {
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    sink.end = () => parser.begin("GET");
    const two = Buffer.concat([OK, OK]);
    parser.begin("GET");
    expect(parser.execute(two, 0, two.length, sink)).toBe(OK.length);
    expect(parser.execute(two, OK.length, two.length, sink)).toBe(two.length);
    parser.free();
  });

  test("begin() in the middle of a response is a broken invariant", () => {
    const parser = new ResponseParser(LIMITS);
    parser.begin("GET");
    parser.execute(OK, 0, 5, new Recorder());
    expect(() => parser.begin("GET")).toThrow("parser is in phase head");
    parser.free();
  });

  test.each(["information", "head", "data", "trailers", "end"] as const)("free() may be called from %s()", (event) => {
    const bytes = text(
      "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n1\r\n.\r\n0\r\nA: b\r\n\r\n",
    );
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    const seen = sink[event].bind(sink) as (...args: unknown[]) => void; // whichever it is, its arguments pass through
    sink[event] = (...args: unknown[]) => {
      seen(...args);
      parser.free();
    };
    parser.begin("GET");
    parser.execute(bytes, 0, bytes.length, sink);
    expect(sink.events.at(-1)?.[0]).toBe(event);
    parser.free();
  });

  test("heads of thousands of fields, read in turns in small pieces, do not get into each other's", () => {
    const FIELDS = 5000; // the table of the callbacks has room for 4,092 at first
    const limits = { ...LIMITS, headBytesMax: 2 ** 20, headerCountMax: FIELDS };
    const readers = ["a", "b"].map((name) => {
      const lines = Array.from({ length: FIELDS }, (_, i) => `${name}${i}: ${name.repeat(i % 7)}\r\n`).join("");
      return { name, bytes: text(`HTTP/1.1 204 None\r\n${lines}\r\n`), parser: new ResponseParser(limits), at: 0 };
    });
    const heads: string[][] = [];
    for (const { parser } of readers) parser.begin("GET");
    while (readers.some(({ bytes, at }) => at < bytes.length)) {
      for (const reader of readers) {
        const sink = new Recorder();
        sink.head = ({ fields }) => {
          heads.push(Array.from({ length: fields.length }, (_, i) => `${fields.name(i)}: ${fields.value(i)}`));
        };
        const end = Math.min(reader.bytes.length, reader.at + 997);
        reader.at = reader.parser.execute(reader.bytes, reader.at, end, sink);
      }
    }
    expect(heads).toHaveLength(2);
    for (const [i, { name, parser }] of readers.entries()) {
      expect(heads[i]).toEqual(Array.from({ length: FIELDS }, (_, n) => `${name}${n}: ${name.repeat(n % 7)}`));
      parser.free();
    }
  });

  test("what a sink throws passes through, and nothing is read after it", () => {
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    sink.head = () => {
      throw new Error("mine");
    };
    parser.begin("GET");
    expect(() => parser.execute(OK, 0, OK.length, sink)).toThrow("mine");
    expect(() => parser.execute(OK, 0, OK.length, sink)).toThrow("failed before");
    parser.free();
  });

  test("nothing is consumed before begin() and after the end", () => {
    const parser = new ResponseParser(LIMITS);
    expect(parser.execute(OK, 0, OK.length, new Recorder())).toBe(0);
    expect(parser.finish(new Recorder())).toBe("not-reading");
    parser.free();
  });

  test("midMessage, headBytesSeen and bodyBytes tell how far a response has come", () => {
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    parser.begin("GET");
    expect([parser.midMessage, parser.headBytesSeen, parser.bodyBytes]).toEqual([false, 0, 0]);
    parser.execute(OK, 0, 10, sink);
    expect([parser.midMessage, parser.headBytesSeen, parser.bodyBytes]).toEqual([true, 10, 0]);
    parser.execute(OK, 10, OK.length - 1, sink);
    expect([parser.midMessage, parser.headBytesSeen, parser.bodyBytes]).toEqual([true, 38, 1]);
    parser.execute(OK, OK.length - 1, OK.length, sink);
    expect([parser.midMessage, parser.headBytesSeen, parser.bodyBytes]).toEqual([false, 38, 2]);
    parser.free();
  });

  test("heads of several connections may be read in turns, a byte of each", () => {
    const cases = CORPUS.filter((c) => c.rest === undefined && c.bytes.length < 2000);
    const runs = cases.map((c) => ({
      c,
      parser: new ResponseParser(LIMITS),
      sink: new Recorder(),
      bytes: text(c.bytes),
    }));
    for (const { parser, c } of runs) parser.begin(c.method ?? "GET");
    for (let i = 0; i < 2000; i++) {
      for (const { parser, sink, bytes } of runs) if (i < bytes.length) parser.execute(bytes, i, i + 1, sink);
    }
    for (const { parser, sink, c } of runs) {
      parser.finish(sink);
      expect(sink.events).toEqual(c.events);
      parser.free();
    }
  });

  test("a plain Uint8Array view at an offset is read as a Buffer is", () => {
    const bytes = new Uint8Array(new ArrayBuffer(100), 7, 80);
    bytes.set(OK, 3);
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    parser.begin("GET");
    expect(parser.execute(bytes, 3, 3 + OK.length, sink)).toBe(3 + OK.length);
    expect(sink.events.at(1)).toEqual(["data", "ok"]);
    parser.free();
  });

  test("an error tells reason, offset and the bytes around, escaped", () => {
    const parser = new ResponseParser(LIMITS);
    const bytes = text("HTTP/1.1 200 OK\r\nBad\0Name: x\r\n\r\n");
    parser.begin("GET");
    expect(() => parser.execute(bytes, 0, bytes.length, new Recorder())).toThrow(
      expect.objectContaining({
        name: "RemoteProtocolError",
        code: "ERR_HTTP_REMOTE_PROTOCOL",
        message: "Cannot read response head: Invalid header token at byte 20",
        reason: "Invalid header token",
        offset: 20,
        excerpt: "/1.1 200 OK\\r\\nBad\\x00Name: x\\r\\n\\r\\n",
      }),
    );
    parser.free();
  });

  test("many parsers share one WASM instance, and its memory may grow under them", () => {
    const first = new ResponseParser(LIMITS);
    const parsers = Array.from({ length: 20_000 }, () => new ResponseParser(LIMITS));
    for (const parser of [first, ...parsers]) {
      const sink = new Recorder();
      parser.begin("GET");
      parser.execute(OK, 0, OK.length, sink);
      expect(sink.events.length).toBe(3);
      parser.free();
    }
  });
});
