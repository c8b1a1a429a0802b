/** What a head means, told from its text and spans alone: nothing of llhttp decides here. */

import { describe, expect, test } from "vitest";
import { lenientMask } from "../../lib/wire/lenient.ts";
import { SpanStore } from "../../lib/wire/llhttp/binding.ts";
import type { ResponseHead } from "../../lib/wire/parser-events.ts";
import { HeadRefusal, interpretHead, type RequestKind, requestKind } from "../../lib/wire/response-head.ts";

interface How {
  readonly kind?: RequestKind;
  readonly closing?: boolean;
  readonly lenient?: number;
  /** llhttp's opinion; by default the one that agrees. */
  readonly needsEof?: boolean;
  /** The status as llhttp read it. */
  readonly status?: number;
}

/** @param lines the status line, then field lines; whole text where it has a line end already */
function head(lines: readonly string[], how: How = {}): ResponseHead {
  const text = `${lines.join("\r\n")}\r\n\r\n`;
  const spans = new SpanStore();
  spans.status = how.status ?? Number(text.slice(9, 12));
  const numbers: number[] = [];
  let at = (lines[0] ?? "").length + 2;
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    const value = /^[\t ]*/.exec(line.slice(colon + 1))?.[0].length ?? 0;
    const start = colon + 1 + value;
    numbers.push(at, colon, at + start, line.length - start);
    spans.fields++;
    at += line.length + 2;
  }
  // One span more than there are fields: what an earlier head has left in the table.
  spans.fields++;
  spans.put(Int32Array.from([...numbers, ...numbers.slice(-4)]), 0);
  spans.fields--;
  // In the midst of other bytes, as a read has them; what lies around must never be looked at.
  const base = 41;
  const bytes = new Uint8Array(base + text.length + 41).fill(0x4f);
  bytes.set(Buffer.from(text, "latin1"), base);
  bytes[base - 14] = 0x4b;
  const read = (needsEof: boolean): ResponseHead => {
    spans.needsEof = needsEof;
    return interpretHead(text, bytes, base, spans, how.kind ?? "other", how.closing ?? false, how.lenient ?? 0);
  };
  if (how.needsEof !== undefined) return read(how.needsEof);
  try {
    return read(false);
  } catch (error) {
    if (error instanceof HeadRefusal && error.reason.startsWith("framing understood")) return read(true);
    throw error;
  }
}

function refusal(lines: readonly string[], how: How = {}): Pick<HeadRefusal, "reason" | "offset" | "lenient"> {
  try {
    head(lines, how);
  } catch (error) {
    if (!(error instanceof HeadRefusal)) throw error;
    return { reason: error.reason, offset: error.offset, lenient: error.lenient };
  }
  throw new Error("it was not refused");
}

const OK = "HTTP/1.1 200 OK";

test("requestKind() tells HEAD and CONNECT from all others, by case (RFC 9110 §9.1)", () => {
  expect(["HEAD", "CONNECT", "GET", "head", "connect"].map(requestKind)).toEqual([
    ...["head", "connect", "other", "other", "other"],
  ]);
});

describe("the status line (RFC 9112 §4)", () => {
  test.each([
    ["HTTP/1.1 200 OK", "OK"],
    ["HTTP/1.1 200 OX", "OX"],
    ["HTTP/1.1 200 XK", "XK"],
    ["HTTP/1.1 200 O", "O"],
    ["HTTP/1.1 200 OKAY", "OKAY"],
    ["HTTP/1.1 200 ", ""],
    ["HTTP/1.1 200", ""],
    ["HTTP/1.1 404 Not\tFound", "Not\tFound"],
    ["HTTP/1.1 200 \xe9", "\xe9"],
  ])("%j has the reason %j, with and without fields", (line, reason) => {
    expect(head([line]).statusText).toBe(reason);
    expect(head([line, "a: b"]).statusText).toBe(reason);
  });

  test.each([
    ["a NUL", "HTTP/1.1 200 O\0K", 14],
    ["a DEL", "HTTP/1.1 200 O\x7fK", 14],
    ["a control byte first", "HTTP/1.1 200 \x1fK", 13],
  ])("%s in the reason is refused where it stands", (_, line, offset) => {
    expect(refusal([line])).toEqual({
      reason: "control byte in the reason phrase (RFC 9112 §4)",
      offset,
      lenient: null,
    });
  });

  test("a bare CR is refused within the reason, and where llhttp took another byte for the LF (RFC 9112 §2.2)", () => {
    const reason = "bare CR after the status line (RFC 9112 §2.2)";
    const lenient = "optionalLfAfterCr";
    expect(refusal(["HTTP/1.1 200 O\rK"])).toEqual({ reason, offset: 14, lenient });
    const text = "HTTP/1.1 200 OK\rxa: b\r\n\r\n";
    const spans = new SpanStore();
    spans.status = 200;
    spans.fields = 1;
    spans.put(Int32Array.of(17, 1, 20, 1), 0);
    const read = (end: string) => {
      const bytes = Buffer.from(text.replace("\rx", end), "latin1");
      return () => interpretHead(bytes.toString("latin1"), bytes, 0, spans, "other", false, 0);
    };
    expect(read("\rx")).toThrow(expect.objectContaining({ reason, offset: 15, lenient }));
    expect(read("x\n")).toThrow(expect.objectContaining({ reason, offset: 15, lenient }));
  });

  test("a status below 100 is refused, and 100 is none (RFC 9110 §15)", () => {
    expect(refusal(["HTTP/1.1 099 X"])).toEqual({
      reason: "status below 100 (RFC 9110 §15)",
      offset: 9,
      lenient: null,
    });
    expect(head(["HTTP/1.1 100 Continue"]).status).toBe(100);
  });

  test.each([
    ["HTTP/1.0", 0],
    ["HTTP/1.1", 1],
  ] as const)("%s is read", (version, minor) => {
    expect(head([`${version} 200 OK`]).minorVersion).toBe(minor);
  });

  test.each(["HTTP/1.2", "HTTP/2.0", "HTTP/2.1", "HTTP/0.9", "HTTP/0.1"])(
    "%s is refused, and read where that is let pass: a higher one as 1.1, a lower one as 1.0 (RFC 9110 §2.5)",
    (version) => {
      expect(refusal([`${version} 200 OK`])).toEqual({
        reason: "version other than HTTP/1.1 and HTTP/1.0 (RFC 9112 §2.3)",
        offset: 0,
        lenient: "version",
      });
      const lenient = lenientMask({ version: true });
      expect(head([`${version} 200 OK`], { lenient }).minorVersion).toBe(version < "HTTP/1" ? 0 : 1);
    },
  );

  test.each(["RTSP/1.0", "ICE/1.00"])("%s is refused whatever is let pass", (version) => {
    const lenient = lenientMask({ version: true });
    expect(refusal([`${version} 200 OK`], { lenient, status: 200 })).toMatchObject({ offset: 0, lenient: null });
  });
});

describe("framing (RFC 9112 §6.3)", () => {
  test.each<[string, string[], How, Pick<ResponseHead, "framing" | "contentLength" | "keepAlive">]>([
    ["a length", [OK, "Content-Length: 5"], {}, { framing: "length", contentLength: 5, keepAlive: true }],
    ["no bytes", [OK, "Content-Length: 0"], {}, { framing: "none", contentLength: null, keepAlive: true }],
    ["chunked", [OK, "Transfer-Encoding: chunked"], {}, { framing: "chunked", contentLength: null, keepAlive: true }],
    ["neither", [OK], {}, { framing: "close", contentLength: null, keepAlive: false }],
    [
      "chunked of HTTP/1.0",
      ["HTTP/1.0 200 OK", "Connection: keep-alive", "Transfer-Encoding: chunked"],
      {},
      { framing: "chunked", contentLength: null, keepAlive: false },
    ],
    ["204", ["HTTP/1.1 204 X"], {}, { framing: "none", contentLength: null, keepAlive: true }],
    [
      "204 with a length",
      ["HTTP/1.1 204 X", "Content-Length: 5"],
      {},
      { framing: "none", contentLength: null, keepAlive: false },
    ],
    [
      "204 with no bytes",
      ["HTTP/1.1 204 X", "Content-Length: 0"],
      {},
      { framing: "none", contentLength: null, keepAlive: true },
    ],
    [
      "204 with a coding",
      ["HTTP/1.1 204 X", "Transfer-Encoding: chunked"],
      {},
      { framing: "none", contentLength: null, keepAlive: false },
    ],
    ["103", ["HTTP/1.1 103 X"], {}, { framing: "none", contentLength: null, keepAlive: true }],
    [
      "103 with a length",
      ["HTTP/1.1 103 X", "Content-Length: 5"],
      {},
      { framing: "none", contentLength: null, keepAlive: false },
    ],
    [
      "304 with a length",
      ["HTTP/1.1 304 X", "Content-Length: 5"],
      {},
      { framing: "none", contentLength: null, keepAlive: true },
    ],
    [
      "HEAD with a length",
      [OK, "Content-Length: 5"],
      { kind: "head" },
      { framing: "none", contentLength: null, keepAlive: true },
    ],
    [
      "HEAD with nothing",
      [OK],
      { kind: "head", needsEof: true },
      { framing: "none", contentLength: null, keepAlive: true },
    ],
    ["101", ["HTTP/1.1 101 X", "Content-Length: x"], {}, { framing: "tunnel", contentLength: null, keepAlive: false }],
    [
      "CONNECT with 200",
      [OK, "Content-Length: x"],
      { kind: "connect" },
      { framing: "tunnel", contentLength: null, keepAlive: false },
    ],
    [
      "CONNECT with 299",
      ["HTTP/1.1 299 X"],
      { kind: "connect" },
      { framing: "tunnel", contentLength: null, keepAlive: false },
    ],
    [
      "CONNECT with 300",
      ["HTTP/1.1 300 X", "Content-Length: 5"],
      { kind: "connect" },
      { framing: "length", contentLength: 5, keepAlive: true },
    ],
    [
      "CONNECT with 103",
      ["HTTP/1.1 103 X"],
      { kind: "connect" },
      { framing: "none", contentLength: null, keepAlive: true },
    ],
    [
      "CONNECT with 407",
      ["HTTP/1.1 407 X", "Content-Length: 0"],
      { kind: "connect" },
      { framing: "none", contentLength: null, keepAlive: true },
    ],
  ])("of %s", (_, lines, how, expected) => {
    expect(head(lines, how)).toMatchObject(expected);
  });

  test("that llhttp reads in another way is refused, at the coding where there is one", () => {
    const reason = "framing understood in two ways (RFC 9112 §6.3)";
    expect(refusal([OK, "Content-Length: 5"], { needsEof: true })).toEqual({ reason, offset: 0, lenient: null });
    expect(refusal([OK], { needsEof: false })).toEqual({ reason, offset: 0, lenient: null });
    expect(refusal([OK, "Transfer-Encoding: chunked"], { needsEof: true })).toEqual({
      reason,
      offset: 36,
      lenient: null,
    });
    expect(refusal(["HTTP/1.1 204 X"], { needsEof: true }).reason).toBe(reason);
    expect(refusal([OK, "Content-Length: 5"], { kind: "connect", status: 300, needsEof: true }).reason).toBe(reason);
  });

  test("of HEAD, and of what is no HTTP any more, is not llhttp's to know", () => {
    for (const needsEof of [true, false]) {
      expect(head([OK, "Content-Length: 5"], { kind: "head", needsEof }).framing).toBe("none");
      expect(head(["HTTP/1.1 101 X"], { needsEof }).framing).toBe("tunnel");
    }
  });
});

describe("Content-Length (RFC 9110 §8.6)", () => {
  const MAX = 2 ** 53 - 1;
  test.each([
    ["0007", 7],
    [String(MAX), MAX],
    ["90 \t ", 90],
  ])("%j", (value, length) => {
    expect(head([OK, `content-LENGTH: ${value}`]).contentLength).toBe(length);
  });

  test.each([
    ["5x", "Content-Length is not a number (RFC 9110 §8.6)", 34],
    ["/5", "Content-Length is not a number (RFC 9110 §8.6)", 33],
    ["5:", "Content-Length is not a number (RFC 9110 §8.6)", 34],
    ["", "empty Content-Length (RFC 9110 §8.6)", 32],
    ["9007199254740992", "Content-Length above 2^53 (RFC 9110 §8.6)", 33],
  ])("%j is refused", (value, reason, offset) => {
    expect(refusal([OK, `Content-Length:${value === "" ? "" : " "}${value}`])).toEqual({
      reason,
      offset,
      lenient: null,
    });
    expect(refusal([OK, `Content-Length:${value === "" ? "" : " "}${value}`], { kind: "head" }).reason).toBe(reason);
  });
});

describe("Transfer-Encoding (RFC 9112 §6.1)", () => {
  test.each([
    [["Transfer-Encoding: gzip"], "transfer coding other than one chunked (RFC 9112 §6.1, §7)"],
    [["Transfer-Encoding: gzip, chunked"], "transfer coding other than one chunked (RFC 9112 §6.1, §7)"],
    [["Transfer-Encoding:"], "empty Transfer-Encoding (RFC 9112 §6.1)"],
    [["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "more than one Transfer-Encoding (RFC 9112 §6.1)"],
  ])("%j is refused", (lines, reason) => {
    expect(refusal([OK, ...lines])).toMatchObject({ reason, lenient: "transferEncoding" });
  });

  test.each<[string[], string]>([
    [["Transfer-Encoding: gzip"], "close"],
    [["Transfer-Encoding:"], "close"],
    [["Transfer-Encoding: gzip, Chunked"], "chunked"],
    [["Transfer-Encoding: gzip", "x: y", "transfer-encoding: chunked "], "chunked"],
    [["Transfer-Encoding: chunked", "x: chunked", "transfer-encoding: gzip"], "close"],
    [["Transfer-Encoding: chunked,, ", "x: y"], "chunked"],
  ])("%j is framed by what comes last, where that is let pass", (lines, framing) => {
    const read = head([OK, ...lines], { lenient: lenientMask({ transferEncoding: true }) });
    expect(read).toMatchObject({ framing, keepAlive: framing === "chunked" });
  });

  test("other fields of the same length are not taken for it", () => {
    expect(head([OK, "Transfer_Encoding: gzip", "Content-Length: 3"]).framing).toBe("length");
    expect(head([OK, "Content-Lengtj: 4", "Content-Length: 3", "Content.Length: 4"]).contentLength).toBe(3);
    expect(head([OK, "Content-Encodinh: gzip", "Content-Length: 3"]).contentEncoding).toBeNull();
  });
});

describe("Connection (RFC 9112 §9.3)", () => {
  const keeps = (version: string, values: string[], how: How = {}): boolean =>
    head([`HTTP/${version} 200 OK`, "Content-Length: 0", ...values.map((value) => `Connection: ${value}`)], how)
      .keepAlive;

  test.each<[string, string[], boolean]>([
    ["1.1", [], true],
    ["1.1", ["close"], false],
    ["1.1", ["CLOSE"], false],
    ["1.1", ["closed"], true],
    ["1.1", ["x, close"], false],
    ["1.1", ["x ,\tclose ,y"], false],
    ["1.1", ["keep-alive"], true],
    ["1.1", ["close", "keep-alive"], false],
    ["1.1", ["keep-alive, close"], false],
    ["1.0", [], false],
    ["1.0", ["keep-alive"], true],
    ["1.0", ["Keep-Alive "], true],
    ["1.0", ["x, keep-alive"], true],
    ["1.0", ["x, keep-alives"], false],
    ["1.0", ["upgrade"], false],
    ["1.0", ["keep-alive", "close"], false],
  ])("HTTP/%s with %j keeps it: %s", (version, values, kept) => {
    expect(keeps(version, values)).toBe(kept);
  });

  test("is not kept where a 1xx before has said close (§9.6)", () => {
    expect(keeps("1.1", [], { closing: true })).toBe(false);
    expect(keeps("1.1", ["keep-alive"], { closing: true })).toBe(false);
  });

  test("a field of its length and other letters says nothing", () => {
    expect(head([OK, "Content-Length: 0", "Connectiom: close"]).keepAlive).toBe(true);
  });
});

describe("Keep-Alive (RFC 2068 §19.7.1.1)", () => {
  const hint = (...values: string[]) => {
    const { keepAliveTimeoutMs, keepAliveMax } = head([
      OK,
      "Content-Length: 0",
      ...values.map((v) => `Keep-Alive: ${v}`),
    ]);
    return [keepAliveTimeoutMs, keepAliveMax];
  };

  test.each<[string[], (number | null)[]]>([
    [[], [null, null]],
    [["timeout=5, max=100"], [5000, 100]],
    [["MAX=7; Timeout = 6"], [6000, 7]],
    [
      ["timeout=5", "max=9"],
      [5000, 9],
    ],
    [
      ["timeout=5", "timeout=6, max=1"],
      [5000, 1],
    ],
    [["timeout=5, timeout=9"], [5000, null]],
    [["max=1, max=2"], [null, 1]],
    [["timeout=-1, max=x"], [null, null]],
    [["timeout=1234567890"], [null, null]],
    [["timeout=5x, timeout=4"], [4000, null]],
    [["timeout"], [null, null]],
    [["other=3, max=4"], [null, 4]],
  ])("%j", (values, expected) => {
    expect(hint(...values)).toEqual(expected);
  });

  test("is read anew when it changes by a letter, and when it is longer or shorter", () => {
    expect(hint("timeout=5")).toEqual([5000, null]);
    expect(hint("timeout=6")).toEqual([6000, null]);
    expect(hint("timeout=65")).toEqual([65_000, null]);
    expect(hint("timeout=6")).toEqual([6000, null]);
    expect(hint("max=5")).toEqual([null, 5]);
    expect(hint("max=5")).toEqual([null, 5]);
  });

  test("a field of its length and other letters says nothing", () => {
    expect(head([OK, "Content-Length: 0", "Keep-Alivf: timeout=5"]).keepAliveTimeoutMs).toBeNull();
  });
});

test("Content-Encoding is told as one list over all its fields, without the blanks around them (RFC 9110 §5.3)", () => {
  const lines = [OK, "Content-Length: 0"];
  expect(head(lines).contentEncoding).toBeNull();
  expect(head([...lines, "Content-Encoding: gzip \t"]).contentEncoding).toBe("gzip");
  expect(head([...lines, "content-encoding: a", "x: y", "CONTENT-ENCODING: b"]).contentEncoding).toBe("a, b");
  expect(head([...lines, "Content-Encoding:  \t "]).contentEncoding).toBe("");
});

test("the fields are those of the text, each once, whatever is read afterwards", () => {
  const { fields } = head([OK, "Content-Length: 0", "A: b", "c:  d "]);
  head([OK, "Other: thing"]);
  const pairs = Array.from({ length: fields.length }, (_, i) => [fields.name(i), fields.value(i)]);
  expect(pairs).toEqual([
    ["Content-Length", "0"],
    ["A", "b"],
    ["c", "d"],
  ]);
});
