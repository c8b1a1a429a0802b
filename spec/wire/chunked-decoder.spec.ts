/** The decoder by itself: its counts, its offsets and its limits, which through a parser show only in errors. */

import { describe, expect, test } from "vitest";
import { HeaderLimitError, RemoteProtocolError } from "../../lib/errors.ts";
import { ChunkedDecoder } from "../../lib/wire/chunked-decoder.ts";
import { ExchangeBudget } from "../../lib/wire/exchange-budget.ts";
import { type LenientFlag, lenientMask } from "../../lib/wire/lenient.ts";
import type { FieldLines, ParserLimits, ResponseSink } from "../../lib/wire/parser-events.ts";
import { LIMITS } from "./record.ts";

class Fixture {
  readonly budget: ExchangeBudget;
  readonly decoder: ChunkedDecoder;
  data = "";
  trailers: [string, string][] | null = null;

  constructor(flags: readonly LenientFlag[] | null = null, limits: Partial<ParserLimits> = {}) {
    this.budget = new ExchangeBudget({ ...LIMITS, ...limits });
    this.budget.reset();
    const lenient = flags && lenientMask(Object.fromEntries(flags.map((flag) => [flag, true])));
    this.decoder = new ChunkedDecoder(this.budget, lenient);
    this.decoder.reset();
  }

  /** Reads `text` from the midst of a buffer; what it left alone. */
  read(text: string): string {
    const before = 7;
    const view = Buffer.from(`${"\n".repeat(before)}${text}\n\n\n`, "latin1");
    const end = before + text.length;
    const sink: Partial<ResponseSink> = {
      data: (bytes, from, to) => {
        this.data += Buffer.from(bytes).toString("latin1", from, to);
      },
      trailers: (fields: FieldLines) => {
        this.trailers = Array.from({ length: fields.length }, (_, i) => [fields.name(i), fields.value(i)]);
      },
    };
    const pos = this.decoder.decode(view, before, end, sink as ResponseSink); // it tells nothing else
    return view.toString("latin1", pos, end);
  }

  refusal(...pieces: string[]): RemoteProtocolError | HeaderLimitError {
    try {
      for (const piece of pieces) this.read(piece);
    } catch (error) {
      if (error instanceof RemoteProtocolError || error instanceof HeaderLimitError) return error;
      throw error;
    }
    throw new Error("it was not refused");
  }
}

describe("ChunkedDecoder.decode()", () => {
  test("takes the framing off, counts what it gave on, and leaves the rest alone", () => {
    const f = new Fixture();
    expect(f.decoder.done).toBe(false);
    expect(f.read("4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\nrest")).toBe("rest");
    expect([f.data, f.decoder.dataBytes, f.decoder.done, f.trailers]).toEqual(["abcdefg", 7, true, null]);
    expect(f.decoder.wasLenient).toBe(false);
    expect(f.read("more")).toBe("more");
  });

  test.each(["9", "0A", "a", "f", "F", "00000000000000000000001"])("reads the size %s (RFC 9112 §7.1)", (size) => {
    const bytes = Number.parseInt(size, 16);
    const f = new Fixture();
    f.read(`${size}\r\n${"x".repeat(bytes)}\r\n0\r\n\r\n`);
    expect([f.decoder.dataBytes, f.decoder.done]).toEqual([bytes, true]);
  });

  test("takes 2^53 - 1 for the largest size, and refuses the next", () => {
    expect(() => new Fixture().read("1fffffffffffff\r\n")).not.toThrow();
    expect(new Fixture().refusal("20000000000000")).toMatchObject({
      message: "Cannot read chunked response body: chunk size above 2^53 (RFC 9112 §7.1) at byte 13 of it",
      offset: 13,
    });
  });

  test("begins anew after reset(), whatever came before", () => {
    const f = new Fixture();
    f.read("5;a=b\r\nab");
    f.decoder.reset();
    expect([f.decoder.dataBytes, f.decoder.done]).toEqual([0, false]);
    f.read("2\r\ncd\r\n0\r\n\r\n");
    expect([f.data, f.decoder.dataBytes, f.decoder.done]).toEqual(["abcd", 2, true]);
    f.decoder.reset();
    expect(f.refusal("x")).toMatchObject({ offset: 0 });
    f.decoder.reset();
    f.read("0\r\nt: 1\r\n");
    f.decoder.reset();
    f.read("0\r\nu: 2\r\n\r\n");
    expect(f.trailers).toEqual([["u", "2"]]);
  });

  test("comes back at once when its sink has stopped it", () => {
    const f = new Fixture();
    const view = Buffer.from("2\r\nab\r\n2\r\ncd\r\n");
    let calls = 0;
    const sink = {
      data: () => {
        calls++;
        f.decoder.stop();
      },
    };
    const pos = f.decoder.decode(view, 0, view.length, sink as unknown as ResponseSink); // it tells nothing else
    expect([calls, pos, f.decoder.done]).toEqual([1, 5, true]);
  });
});

describe("ChunkedDecoder refuses, and says where", () => {
  const cases: [string, string[], string, number, LenientFlag | null][] = [
    ["no size", ["x"], "chunk size that is not hexadecimal (RFC 9112 §7.1)", 0, null],
    ["a sign in a size", ["2\r\nab\r\n", "1-"], "chunk size that is not hexadecimal (RFC 9112 §7.1)", 8, null],
    ["a size without digits", ["\r\n"], "chunk size that is not hexadecimal (RFC 9112 §7.1)", 0, null],
    ["an extension without a name", ["1;=x"], "invalid chunk extension (RFC 9112 §7.1.1)", 2, null],
    [
      "a line that ends after a semicolon",
      ["1;\r"],
      "chunk line that ends within an extension or after blanks (RFC 9112 §7.1.1)",
      2,
      null,
    ],
    [
      "a line that ends after an equals sign",
      ["1;a=\r"],
      "chunk line that ends within an extension or after blanks (RFC 9112 §7.1.1)",
      4,
      null,
    ],
    [
      "a line that ends after a name and blanks",
      ["1;a \r"],
      "chunk line that ends within an extension or after blanks (RFC 9112 §7.1.1)",
      4,
      null,
    ],
    [
      "a line that ends after blanks",
      ["1 \r"],
      "chunk line that ends within an extension or after blanks (RFC 9112 §7.1.1)",
      2,
      "spacesAfterChunkSize",
    ],
    ["DEL in a quoted value", ['1;a="\x7f'], "invalid chunk extension (RFC 9112 §7.1.1)", 5, null],
    ["NUL in a quoted value", ['1;a="\0'], "invalid chunk extension (RFC 9112 §7.1.1)", 5, null],
    ["a bare LF after a size", ["1\n"], "bare LF in a chunk line (RFC 9112 §2.2)", 1, "optionalCrBeforeLf"],
    ["a bare LF after blanks", ["1 \n"], "bare LF in a chunk line (RFC 9112 §2.2)", 2, null],
    ["a bare LF within an extension", ["1;\n"], "bare LF in a chunk line (RFC 9112 §2.2)", 2, null],
    ["a bare CR after a size", ["1\r", "x"], "bare CR in chunked framing (RFC 9112 §2.2)", 2, "optionalLfAfterCr"],
    ["a bare CR after data", ["1\r\na\r", "1"], "bare CR in chunked framing (RFC 9112 §2.2)", 5, "optionalLfAfterCr"],
    [
      "data that is longer than its size",
      ["1\r\nab"],
      "chunk data without its CRLF (RFC 9112 §7.1)",
      4,
      "optionalCrlfAfterChunk",
    ],
    ["a bare LF after data", ["1\r\na\n"], "chunk data without its CRLF (RFC 9112 §7.1)", 4, "optionalCrBeforeLf"],
    ["a bare CR in a trailer", ["0\r\na: b\r", "x"], "bare CR in a trailer (RFC 9112 §2.2)", 8, "optionalLfAfterCr"],
    ["a bare LF in a trailer", ["0\r\na: b\n"], "bare LF in a trailer (RFC 9112 §2.2)", 7, "optionalCrBeforeLf"],
    ["a bare LF for a trailer", ["0\r\n\n"], "bare LF in a trailer (RFC 9112 §2.2)", 3, "optionalCrBeforeLf"],
  ];

  test.each(cases)("%s", (_, pieces, reason, offset, lenient) => {
    const plain = `Cannot read chunked response body: ${reason} at byte ${offset} of it`;
    expect(new Fixture().refusal(...pieces)).toMatchObject({ message: plain, reason, offset });
    const hint = lenient === null ? "" : ` (lenient.${lenient} would let it pass)`;
    expect(new Fixture([]).refusal(...pieces)).toMatchObject({ message: plain + hint, offset });
  });

  test.each(cases.filter(([, , , , flag]) => flag !== null))(
    "%s, but for the one flag that lets it pass",
    (_, pieces, _reason, _offset, flag) => {
      const f = new Fixture([flag!]);
      for (const piece of pieces) f.read(piece);
      expect(f.decoder.wasLenient).toBe(true);
      const others = (
        ["optionalCrBeforeLf", "optionalLfAfterCr", "optionalCrlfAfterChunk", "spacesAfterChunkSize"] as const
      ).filter((other) => other !== flag);
      expect(() => new Fixture(others).refusal(...pieces)).not.toThrow();
    },
  );

  test("goes on with the very byte that came in place of the one let pass", () => {
    const f = new Fixture([
      "optionalCrlfAfterChunk",
      "optionalLfAfterCr",
      "optionalCrBeforeLf",
      "spacesAfterChunkSize",
    ]);
    expect(f.read("2 \r\nab2\ncd\n1\re\r1\r\nf\r\n0\nt: 1\n\nrest")).toBe("rest");
    expect([f.data, f.decoder.dataBytes, f.trailers]).toEqual(["abcdef", 6, [["t", "1"]]]);
  });
});

describe("ChunkedDecoder limits", () => {
  test("the bytes of one line, in however many pieces it comes", () => {
    const message = "Cannot read chunked response body: more than 4096 bytes in a chunk line";
    const line = `1;${"a".repeat(4093)}`;
    const expected = { message, option: "chunkLineBytes", limit: 4096 };
    expect(() => new Fixture().read(`${line}\r`)).not.toThrow();
    expect(new Fixture().refusal(`${line}aa`)).toMatchObject({ ...expected, offset: 4096 });
    expect(new Fixture().refusal(...Array.from(`${line}aa`))).toMatchObject({ ...expected, offset: 4096 });
    expect(new Fixture().refusal(line.slice(0, 1000), `${line.slice(1000)}aa`)).toMatchObject({
      ...expected,
      offset: 4096,
    });
  });

  test("what lines may have beyond their data, which data pays back (CVE-2023-39326)", () => {
    // Each of these lines is 16 bytes and 100 beyond, with one byte of data that pays back 2.
    const chunk = `1;${"a".repeat(115)}\r\nx\r\n`;
    const owed = 118 - 16 - 2;
    const free = Math.floor(16_384 / owed);
    const f = new Fixture();
    for (let i = 0; i < free; i++) f.read(chunk);
    expect(f.refusal(chunk)).toMatchObject({
      message: "Cannot read chunked response body: more than 16384 bytes of chunk lines beyond data",
      option: "chunkExcessBytes",
      limit: 16_384,
      offset: free * chunk.length + 118,
    });
    const paid = new Fixture();
    for (let i = 0; i < free; i++) paid.read(chunk);
    paid.read(`2000\r\n${"x".repeat(0x2000)}\r\n`);
    for (let i = 0; i < free; i++) paid.read(chunk);
    expect(paid.decoder.dataBytes).toBe(2 * free + 0x2000);
  });

  test("owes nothing for lines of up to 16 bytes, however many, and is never paid in advance", () => {
    const f = new Fixture();
    for (let i = 0; i < 5_000; i++) f.read(`1;${"a".repeat(13)}\r\nx\r\n`);
    expect(f.decoder.dataBytes).toBe(5_000);
    const rich = new Fixture();
    rich.read(`8000\r\n${"x".repeat(0x8000)}\r\n`);
    const line = `1;${"a".repeat(4000)}\r\nx\r\n`;
    expect(rich.refusal(line, line, line, line, line)).toMatchObject({ option: "chunkExcessBytes" });
  });

  test("the bytes and the fields of trailers, by what is left of the exchange's", () => {
    const f = new Fixture(null, { headBytesMax: 20, headerCountMax: 3 });
    f.read("0\r\na: 1\r\nb: 2\r\n\r\n");
    expect([f.trailers, f.budget.headBytes, f.budget.fields]).toEqual([
      [
        ["a", "1"],
        ["b", "2"],
      ],
      8,
      1,
    ]);
    f.decoder.reset();
    expect(f.refusal("0\r\na: 1\r\nb: 2\r\n")).toMatchObject({ option: "maxResponseHeaderBytes" });
    const many = new Fixture(null, { headerCountMax: 1 });
    expect(many.refusal("0\r\na: 1\r\nb: 2\r\n\r\n")).toMatchObject({ option: "maxResponseHeaders", offset: 15 });
    const none = new Fixture(null, { headBytesMax: 0, headerCountMax: 0 });
    none.read("0\r\n\r\n");
    expect([none.decoder.done, none.budget.headBytes]).toEqual([true, 0]);
  });
});

describe("ChunkedDecoder reads trailers", () => {
  test.each(["0\r\nA: b\r\nc:\td \r\n\r\n", "0\r\nA:b\r\nc:d\r\n\r\n"])("%j, whole and byte by byte", (text) => {
    for (const pieces of [[text], Array.from(text)]) {
      const f = new Fixture();
      for (const piece of pieces) f.read(piece);
      expect([f.trailers, f.decoder.done]).toEqual([
        [
          ["A", "b"],
          ["c", "d"],
        ],
        true,
      ]);
    }
  });

  test.each(["b\r\n c", "b \r\n\tc", "b\t \t\r\n \t c", "\r\n b\r\n c"])(
    "and joins a line that is continued: %j (RFC 9112 §5.2)",
    (value) => {
      const f = new Fixture();
      f.read(`0\r\nA:${value}\r\nD: e\r\n\r\n`);
      expect(f.trailers).toEqual([
        ["A", "b c"],
        ["D", "e"],
      ]);
    },
  );

  test("and says which line is none, at its place in the body", () => {
    expect(new Fixture().refusal("1\r\nx\r\n0\r\na: 1\r\nno line\r\n\r\n")).toMatchObject({
      message: "Cannot read response trailers: invalid trailer field (RFC 9112 §7.1.2) at byte 15 of the body",
      offset: 15,
    });
    expect(new Fixture().refusal("1\r\nx\r\n", "0\r\na: 1\r\nno", " line\r\n\r\n")).toMatchObject({ offset: 15 });
  });
});
