/**
 * Leniencies by name. Each row is wrong in one way: off, the error names the flag; on, it is read, however it is split,
 * and the parser knows that it was not right.
 */

import { describe, expect, test } from "vitest";
import { RemoteProtocolError } from "../../lib/errors.ts";
import { LENIENT_NAMES, type LenientFlag, lenientMask } from "../../lib/wire/lenient.ts";
import { ResponseParser } from "../../lib/wire/response-parser.ts";
import { everyByte, LIMITS, Recorder, record } from "./record.ts";

const limitsOf = (...flags: LenientFlag[]) => ({
  ...LIMITS,
  lenient: lenientMask(Object.fromEntries(flags.map((flag) => [flag, true]))),
});

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

interface Row {
  readonly flag: LenientFlag;
  readonly what: string;
  readonly bytes: string;
  /** What is read of it. */
  readonly body: string;
  readonly framing: string;
  readonly fields?: readonly (readonly [string, string])[];
  readonly trailers?: readonly (readonly [string, string])[];
  /** The peer's FIN is needed to end it. */
  readonly close?: boolean;
}

const LENGTH_2 = { body: "ok", framing: "length" } as const;

const ROWS: readonly Row[] = [
  {
    flag: "headers",
    what: "a control byte in a value",
    bytes: "HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
    fields: [
      ["X-A", "a\x01b"],
      ["Content-Length", "2"],
    ],
  },
  {
    flag: "chunkedLength",
    what: "Content-Length and chunked: chunked counts (RFC 9112 §6.3)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "chunkedLength",
    what: "chunked and Content-Length, in that order",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "transferEncoding",
    what: "a coding behind chunked: ends with the connection",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n",
    body: "2\r\nok\r\n",
    framing: "close",
    close: true,
  },
  {
    flag: "transferEncoding",
    what: "a coding before chunked: left to the reader",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "transferEncoding",
    what: "identity",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
    body: "ok",
    framing: "close",
    close: true,
  },
  {
    flag: "version",
    what: "HTTP/1.2",
    bytes: "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
  },
  {
    flag: "version",
    what: "HTTP/2.0, which llhttp reads",
    bytes: "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
  },
  {
    flag: "optionalLfAfterCr",
    what: "a line of the head that ends with CR",
    bytes: "HTTP/1.1 200 OK\r\nX-A: b\rContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
    fields: [
      ["X-A", "b"],
      ["Content-Length", "2"],
    ],
  },
  {
    flag: "optionalLfAfterCr",
    what: "a head whose lines all end with CR, the empty one too",
    bytes: "HTTP/1.1 200 OK\rX-A: b\rContent-Length: 2\r\rok",
    ...LENGTH_2,
    fields: [
      ["X-A", "b"],
      ["Content-Length", "2"],
    ],
  },
  {
    flag: "optionalLfAfterCr",
    what: "an empty line that is a CR, behind which the body begins with CR and LF",
    bytes: "HTTP/1.1 200 OK\r\nX-A: b\rContent-Length: 4\r\n\ra\r\nb",
    body: "a\r\nb",
    framing: "length",
  },
  {
    flag: "optionalLfAfterCr",
    what: "a line that ends with CR, where the body begins with a CR",
    bytes: "HTTP/1.1 200 OK\r\nX-A: b\rContent-Length: 2\r\n\r\n\rk",
    body: "\rk",
    framing: "length",
  },
  {
    flag: "optionalLfAfterCr",
    what: "an empty line before the status line that is a CR",
    bytes: "\rHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
  },
  {
    flag: "optionalLfAfterCr",
    what: "a chunk line that ends with CR",
    bytes: `${CHUNKED}2\rok\r\n0\r\n\r\n`,
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "optionalLfAfterCr",
    what: "chunk data that ends with CR",
    bytes: `${CHUNKED}2\r\nok\r0\r\n\r\n`,
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "optionalLfAfterCr",
    what: "a trailer that ends with CR",
    bytes: `${CHUNKED}2\r\nok\r\n0\r\nA: b\rC: d\r\n\r\n`,
    body: "ok",
    framing: "chunked",
    trailers: [
      ["A", "b"],
      ["C", "d"],
    ],
  },
  {
    flag: "optionalCrBeforeLf",
    what: "a head whose lines end with LF",
    bytes: "HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok",
    ...LENGTH_2,
    fields: [
      ["X-A", "b"],
      ["Content-Length", "2"],
    ],
  },
  {
    flag: "optionalCrBeforeLf",
    what: "one line of the head that ends with LF",
    bytes: "HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
  },
  {
    flag: "optionalCrBeforeLf",
    what: "an empty line that is an LF, behind which the body begins with LF",
    bytes: "HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\n\nk",
    body: "\nk",
    framing: "length",
  },
  {
    flag: "optionalCrBeforeLf",
    what: "a folded field in such a head",
    bytes: "HTTP/1.1 200 OK\nX-A: b\n c\nContent-Length: 2\n\nok",
    ...LENGTH_2,
    fields: [
      ["X-A", "b c"],
      ["Content-Length", "2"],
    ],
  },
  {
    flag: "optionalCrBeforeLf",
    what: "an empty line before the status line that is an LF",
    bytes: "\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ...LENGTH_2,
  },
  {
    flag: "optionalCrBeforeLf",
    what: "chunks and trailers whose lines end with LF",
    bytes: `${CHUNKED}2\nok\n0\nA: b\n\n`,
    body: "ok",
    framing: "chunked",
    trailers: [["A", "b"]],
  },
  {
    flag: "optionalCrBeforeLf",
    what: "a last chunk without trailers whose lines end with LF",
    bytes: `${CHUNKED}2\r\nok\r\n0\n\n`,
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "optionalCrlfAfterChunk",
    what: "chunks that follow each other at once",
    bytes: `${CHUNKED}1\r\no1\r\nk0\r\n\r\n`,
    body: "ok",
    framing: "chunked",
  },
  {
    flag: "spacesAfterChunkSize",
    what: "blanks behind a chunk size",
    bytes: `${CHUNKED}2 \t \r\nok\r\n0  \r\n\r\n`,
    body: "ok",
    framing: "chunked",
  },
];

/** Reads it, and tells what the parser said of it. */
function readWith(bytes: string, limits: typeof LIMITS): { sink: Recorder; wasLenient: boolean } {
  const parser = new ResponseParser(limits);
  const sink = new Recorder();
  try {
    parser.begin("GET");
    parser.execute(Buffer.from(bytes, "latin1"), 0, bytes.length, sink);
    parser.finish(sink);
    return { sink, wasLenient: parser.wasLenient };
  } finally {
    parser.free();
  }
}

describe.each(ROWS.map((row) => [row.flag, row.what, row] as const))("lenient.%s: %s", (flag, _, row) => {
  test("off: refused, and the error names it", () => {
    let error: unknown;
    try {
      readWith(row.bytes, limitsOf());
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(RemoteProtocolError);
    expect(error).toMatchObject({
      lenient: flag,
      message: expect.stringContaining(`(lenient.${flag} would let it pass)`),
    });
  });

  test("every other flag on: refused all the same", () => {
    const others = LENIENT_NAMES.filter((name) => name !== flag);
    const { error } = record(row.bytes, [], { limits: limitsOf(...others) });
    expect(error).toMatch(/^RemoteProtocolError/);
  });

  test("where it is not on offer: refused, and nothing is said of it", () => {
    expect(() => readWith(row.bytes, LIMITS)).toThrow(RemoteProtocolError);
    expect(() => readWith(row.bytes, LIMITS)).not.toThrow(/lenient/);
  });

  test("on: read, however it is split, and known to be wrong", () => {
    const limits = limitsOf(flag);
    const whole = record(row.bytes, [], { limits, fin: row.close === true });
    expect(whole.error).toBeNull();
    expect(whole.rest).toBe("");
    const [head, ...rest] = whole.events;
    expect(head).toMatchObject(["head", { framing: row.framing, ...(row.fields && { fields: row.fields }) }]);
    const trailers = row.trailers === undefined ? [] : [["trailers", row.trailers]];
    expect(rest).toEqual([["data", row.body], ...trailers, ["end"]]);
    expect(readWith(row.bytes, limits).wasLenient).toBe(true);

    const options = { limits, fin: row.close === true };
    expect(record(row.bytes, everyByte(row.bytes), options)).toEqual(whole);
    for (let at = 1; at < row.bytes.length; at++) expect(record(row.bytes, [at], options), `${at}`).toEqual(whole);
  });
});

describe("what is right", () => {
  const right = `HTTP/1.1 103 Early Hints\r\n\r\n${CHUNKED}2\r\nok\r\n0\r\nA: b\r\n\r\n`;
  const folded = "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok";

  test.each([right, folded])("is read the same with all flags on, and not taken for wrong", (bytes) => {
    const limits = limitsOf(...LENIENT_NAMES);
    expect(record(bytes, [], { limits })).toEqual(record(bytes));
    expect(record(bytes, everyByte(bytes), { limits })).toEqual(record(bytes));
    expect(readWith(bytes, limits).wasLenient).toBe(false);
  });

  test("of a second exchange is right, whatever the first was", () => {
    const parser = new ResponseParser(limitsOf("optionalCrBeforeLf"));
    const sink = new Recorder();
    parser.begin("GET");
    const wrong = Buffer.from("HTTP/1.1 204 No Content\n\n", "latin1");
    parser.execute(wrong, 0, wrong.length, sink);
    expect(parser.wasLenient).toBe(true);
    parser.begin("GET");
    expect(parser.wasLenient).toBe(false);
    parser.free();
  });
});

describe("what no flag lets pass", () => {
  test.each([
    ["Content-Lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
    ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["a protocol that is not HTTP", "ICE/1.0 200 OK\r\n\r\n"],
    ["a chunk size that is none", `${CHUNKED}zz\r\n`],
    ["NUL in the reason phrase", "HTTP/1.1 200 a\0b\r\n\r\n"],
    ["what is not HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["a blank before the first field", "HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok"],
    ["a blank before the first field, behind a line end that is let pass", "HTTP/1.1 200 OK\n Content-Length: 2\n\nok"],
    ["a blank line of blanks", "HTTP/1.1 200 OK\r\n \r\n\r\n"],
    ["a blank line of blanks, behind a line end that is let pass", "HTTP/1.1 200 OK\n \nA: b\n\n"],
  ])("%s", (_, bytes) => {
    expect(() => readWith(bytes, limitsOf(...LENIENT_NAMES))).toThrow(RemoteProtocolError);
    expect(() => readWith(bytes, limitsOf(...LENIENT_NAMES))).not.toThrow(/lenient/);
  });

  test("a blank before the first field, which is told as that and not as another fault (RFC 9112 §2.2)", () => {
    const told = (bytes: string, ...flags: LenientFlag[]) =>
      record(bytes, [], { limits: limitsOf(...flags), fin: false }).error;
    const blank = "blank between the status line and the first field (RFC 9112 §2.2)";
    const fields = " A: b\r\nContent-Length: 0\r\n\r\n";
    for (const flags of [[], ["headers"]] as const) {
      expect(told(`HTTP/1.1 200 OK\r\n${fields}`, ...flags)).toBe(
        "RemoteProtocolError Unexpected space after start line @18",
      );
    }
    expect(told(`HTTP/1.1 200 OK\n${fields}`, "headers", "optionalCrBeforeLf")).toBe(
      `RemoteProtocolError ${blank} @17`,
    );
    expect(told("HTTP/1.1 200 OK\n \n\n", "headers", "optionalCrBeforeLf")).toBe(`RemoteProtocolError ${blank} @20`);
    expect(told(`HTTP/1.1 200 OK\n${fields}`, "optionalCrBeforeLf")).toBe(
      "RemoteProtocolError Unexpected space after start line @18",
    );
  });

  test("the limits", () => {
    const limits = { ...limitsOf(...LENIENT_NAMES), headBytesMax: 100, headerCountMax: 2 };
    const long = `HTTP/1.1 200 OK\nX: ${"a".repeat(200)}`;
    expect(record(long, [], { limits }).error).toBe("HeaderLimitError maxResponseHeaderBytes");
    const many = "HTTP/1.1 200 OK\nA: 1\nB: 2\nC: 3\n\n";
    expect(record(many, [], { limits }).error).toBe("HeaderLimitError maxResponseHeaders");
  });
});

/** llhttp's other two: here nothing is refused that they would let pass. */
describe("keepAlive and dataAfterClose", () => {
  test("what follows a message that says close never fails it", () => {
    const bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n";
    const strict = record(bytes, [], { fin: false });
    expect(strict).toMatchObject({ error: null, rest: "HTTP/1.1 200 OK\r\n\r\n" });
    expect(record(bytes, [], { fin: false, limits: limitsOf("keepAlive", "dataAfterClose") })).toEqual(strict);
  });
});
