/** ResponseParser phase by phase: how far it has come, what an end means there, and what may be asked of it. */

import { describe, expect, test } from "vitest";
import { ConnectionClosedError, IncompleteBodyError, InvariantError, RemoteProtocolError } from "../../lib/errors.ts";
import { lenientMask } from "../../lib/wire/lenient.ts";
import { ResponseParser } from "../../lib/wire/response-parser.ts";
import { thrownBy } from "../support/thrown-by.ts";
import { REFUSALS } from "./corpus.ts";
import { everyByte, LIMITS, Recorder, record } from "./record.ts";

const LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CLOSE = "HTTP/1.1 200 OK\r\n\r\n";
const EARLY = "HTTP/1.1 103 Early\r\n\r\n";

/** A parser that has read this, in one read. */
function parserAfter(text: string, method = "GET", lenient?: number) {
  const parser = new ResponseParser(lenient === undefined ? LIMITS : { ...LIMITS, lenient });
  const sink = new Recorder();
  parser.begin(method);
  const read = (more: string) => {
    const bytes = Buffer.from(`###${more}##`, "latin1");
    return parser.execute(bytes, 3, 3 + more.length, sink) - 3;
  };
  const consumed = read(text);
  return { parser, sink, read, consumed };
}

describe("ResponseParser: how far a response has come", () => {
  test.each<[string, string, [midMessage: boolean, head: number, body: number], string?]>([
    ["nothing", "", [false, 0, 0]],
    ["a byte of the head", "H", [true, 1, 0]],
    ["a 1xx", EARLY, [true, EARLY.length, 0]],
    ["a 1xx and a part of the head", `${EARLY}HTTP`, [true, EARLY.length + 4, 0]],
    ["the head", LENGTH, [true, LENGTH.length, 0]],
    ["some of a length", `${LENGTH}abc`, [true, LENGTH.length, 3]],
    ["all of a length", `${LENGTH}abcde`, [false, LENGTH.length, 5]],
    ["some chunks", `${CHUNKED}3\r\nabc\r\n`, [true, CHUNKED.length, 3]],
    ["all chunks", `${CHUNKED}3\r\nabc\r\n0\r\n\r\n`, [false, CHUNKED.length, 3]],
    ["some of a body to the close", `${CLOSE}abcd`, [true, CLOSE.length, 4]],
    ["the head of a tunnel", `${CLOSE}abcd`, [false, CLOSE.length, 0], "CONNECT"],
  ])("after %s", (_, text, facts, method) => {
    const { parser } = parserAfter(text, method);
    expect([parser.midMessage, parser.headBytesSeen, parser.bodyBytes]).toEqual(facts);
    parser.free();
    expect(parser.midMessage).toBe(false);
  });

  test("a body in several reads is counted in all of them", () => {
    for (const [head, pieces] of [
      [CLOSE, ["abc", "de"]],
      [LENGTH, ["abc", "de"]],
      [CHUNKED, ["3\r\nabc\r\n", "2\r\nde\r\n"]],
    ] as const) {
      const { parser, read, sink } = parserAfter(head);
      for (const piece of pieces) read(piece);
      expect(parser.bodyBytes).toBe(5);
      expect(sink.events.at(head === LENGTH ? -2 : -1)).toEqual(["data", "abcde"]);
      parser.free();
    }
  });
});

describe("ResponseParser: a head that is collected to be read again", () => {
  const FOLDED = "HTTP/1.1 200 OK\r\nA: b\r\n c";

  test.each([
    ["a line that ends with CR, and CRLF", `${FOLDED}\r\r\n`],
    ["a line that ends with LF, and CRLF", `${FOLDED}\n\r\n`],
    ["a line that ends with CRLF, and LF", `${FOLDED}\r\n\n`],
    ["a line that ends with CRLF, and CR", `${FOLDED}\r\n\r`],
  ])("is not at its end behind %s: an empty line is CRLF behind CRLF (RFC 9112 §2.2)", (_, text) => {
    for (const lenient of [undefined, 0]) {
      const { parser, sink, consumed } = parserAfter(text, "GET", lenient);
      expect([consumed, sink.events, parser.midMessage]).toEqual([text.length, [], true]);
      expect(thrownBy(() => parser.finish(sink))).toBeInstanceOf(ConnectionClosedError);
      parser.free();
    }
  });

  const OK = "HTTP/1.1 200 OK\r\n";
  const long = "x".repeat(5_000);
  test.each<[string, string, [string, string][]]>([
    ["a TAB", "A: b\r\n\tc\r\n", [["A", "b c"]]],
    ["a TAB behind an empty value", "A:\r\n\tc\r\n", [["A", "c"]]],
    ["a blank behind an empty value", "A:\r\n c\r\n", [["A", "c"]]],
    ["blanks and TABs", "A: b \t\r\n \t c\r\n", [["A", "b c"]]],
    [
      "a blank, beside bytes that are no ASCII",
      "A: caf\xe9\r\n \xfcb\r\nC: \xe4\r\nD: e\r\n",
      [
        ["A", "caf\xe9 \xfcb"],
        ["C", "\xe4"],
        ["D", "e"],
      ],
    ],
    [
      "a blank, in a head of more than one input of llhttp",
      `A: b\r\n c\r\nL: ${long}\r\nD: e\r\n`,
      [
        ["A", "b c"],
        ["L", long],
        ["D", "e"],
      ],
    ],
  ])("is read where a line is continued with %s, however it is cut (RFC 9112 §5.2)", (_, lines, fields) => {
    const text = `${OK}${lines}Content-Length: 0\r\n\r\n`;
    const whole = record(text, [], { fin: false });
    expect(whole).toMatchObject({
      error: null,
      events: [["head", { fields: [...fields, ["Content-Length", "0"]] }], ["end"]],
    });
    const cuts = everyByte(text).filter((at) => at < 60 || at > text.length - 60);
    for (const at of cuts) expect(record(text, [at], { fin: false }), `cut at ${at}`).toEqual(whole);
  });

  test("says the same of its connection behind bytes that are no ASCII", () => {
    const { parser, sink } = parserAfter(
      `${OK}A: \xe9\xe9\r\n \xe9\r\nKeep-Alive: timeout=5, max=9\r\nConnection: x, keep-alive\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(sink.events[0]).toMatchObject(["head", { keepAlive: true, keepAliveTimeoutMs: 5_000, keepAliveMax: 9 }]);
    parser.free();
  });

  test("is refused at the first byte that is wrong in it, however long it is", () => {
    const text = `${OK}A: b\r\n c\r\nBad Name: x\r\nL: ${long}\r\n\r\n`;
    const offset = `${OK}A: b c\r\nBad`.length; // of the head as it is read, where the line is one
    expect(thrownBy(() => parserAfter(text))).toMatchObject({ reason: "Invalid header token", offset });
    expect(thrownBy(() => parserAfter(text, "GET", 0))).toMatchObject({ reason: "Invalid header token", offset });
  });

  test("keeps a bare CR in a length: it is not cut off with what stands behind it (RFC 9112 §2.2)", () => {
    const text = `${OK}A: b\r\n c\r\nContent-Length: 3\rX: y\r\n\r\nabc`;
    expect(thrownBy(() => parserAfter(text))).toMatchObject({ reason: "Missing expected LF after header value" });
  });

  test.each([
    ["a blank in a name", `${OK}Abc `, "Invalid header token"],
    ["a name without a letter", `${OK}:`, "Invalid header token"],
    ["a name without a letter, in a later line", `${OK}A: b\r\n:`, "Invalid header token"],
    ["a blank before the first field", `${OK} A`, "Unexpected space after start line"],
    ["a letter in a length", `${OK}Content-Length: 5x`, "Invalid character in Content-Length"],
  ])("is not collected for %s: that is refused at once", (_, text, reason) => {
    for (const at of everyByte(text)) {
      expect(record(text, [at], { fin: false }).error, `cut at ${at}`).toContain(reason);
    }
    expect(record(text, [], { fin: false }).error).toContain(reason);
  });

  test("has let nothing pass where it is right, nor has a parser that is new", () => {
    const fresh = new ResponseParser({ ...LIMITS, lenient: lenientMask({ headers: true }) });
    expect(fresh.wasLenient).toBe(false);
    fresh.free();
    const { parser, sink } = parserAfter(`${FOLDED}\r\nContent-Length: 0\r\n\r\n`);
    expect(parser.wasLenient).toBe(false);
    expect(sink.events.map(([type]) => type)).toEqual(["head", "end"]);
    parser.free();
  });
});

describe("ResponseParser.finish()", () => {
  test.each<[string, string, string]>([
    ["nothing came", "", "no-response"],
    ["a body that ends so", `${CLOSE}abc`, "ended"],
    ["a response that has ended", `${LENGTH}abcde`, "not-reading"],
  ])("after %s", (_, text, outcome) => {
    const { parser, sink } = parserAfter(text);
    expect(parser.finish(sink)).toBe(outcome);
    expect(sink.events.filter(([type]) => type === "end")).toHaveLength(outcome === "no-response" ? 0 : 1);
    if (outcome === "ended") {
      expect(parser.finish(sink)).toBe("not-reading");
      parser.begin("GET"); // it may be used again
    }
    if (outcome === "no-response")
      expect(thrownBy(() => parser.execute(Buffer.from("x"), 0, 1, sink))).toBeInstanceOf(InvariantError);
    parser.free();
  });

  test.each<[string, string, number]>([
    ["in the head", "HTTP/1.1 200", 12],
    ["between a 1xx and what must follow it", EARLY, EARLY.length],
    ["in a head that is read again whole", "HTTP/1.1 200 OK\r\nA: b\r\n c", 25],
  ])("%s is a ConnectionClosedError that says after how many bytes", (_, text, bytesRead) => {
    const { parser, sink } = parserAfter(text);
    const error = thrownBy(() => parser.finish(sink));
    expect(error).toBeInstanceOf(ConnectionClosedError);
    expect(error).toMatchObject({
      message: `Cannot read response head: connection closed after ${bytesRead} bytes`,
      phase: "headers",
      bytesRead,
    });
    expect(thrownBy(() => parser.execute(Buffer.from("x"), 0, 1, sink))).toMatchObject({
      message: "Cannot read response: its parser has failed before",
    });
    parser.free();
  });

  test.each<[string, string, string, number | null]>([
    ["a length", `${LENGTH}abc`, "connection ended after 3 of 5 bytes", 5],
    ["chunks", `${CHUNKED}3\r\nabc\r\n`, "connection ended after 3 bytes, before the last chunk", null],
  ])("within %s is an IncompleteBodyError that says how much is missing", (_, text, words, expected) => {
    const { parser, sink } = parserAfter(text);
    const error = thrownBy(() => parser.finish(sink));
    expect(error).toBeInstanceOf(IncompleteBodyError);
    expect(error).toMatchObject({ message: `Cannot read response body: ${words}`, expected, received: 3 });
    expect(thrownBy(() => parser.execute(Buffer.from("x"), 0, 1, sink))).toBeInstanceOf(InvariantError);
    parser.free();
  });
});

describe("ResponseParser.begin(), free()", () => {
  test("begin() within a response is a broken rule of our own, and so it is after free()", () => {
    for (const [text, phase] of [
      ["", "head"],
      [`${LENGTH}abc`, "length"],
      [CHUNKED, "chunked"],
      [CLOSE, "close"],
    ] as const) {
      const { parser } = parserAfter(text);
      const error = thrownBy(() => parser.begin("GET"));
      expect(error).toBeInstanceOf(InvariantError);
      expect(error).toMatchObject({ message: `Cannot begin a response: parser is in phase ${phase}` });
      parser.free();
      expect(thrownBy(() => parser.begin("GET"))).toBeInstanceOf(InvariantError);
    }
  });

  test("begin() from the head of a message without a body is within it, too", () => {
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    let error: unknown = null;
    sink.head = () => {
      error = thrownBy(() => parser.begin("GET"));
    };
    parser.begin("GET");
    const bytes = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n", "latin1");
    parser.execute(bytes, 0, bytes.length, sink);
    expect(error).toMatchObject({ message: "Cannot begin a response: parser is in phase length" });
    parser.begin("GET");
    parser.free();
  });

  test("a second response begins with nothing of the first", () => {
    const { parser, sink, read } = parserAfter(`${EARLY}${LENGTH}abcde`);
    parser.begin("HEAD");
    expect([parser.midMessage, parser.headBytesSeen, parser.bodyBytes, parser.wasLenient]).toEqual([
      false,
      0,
      0,
      false,
    ]);
    expect(read(`${LENGTH}not of it`)).toBe(LENGTH.length);
    expect(sink.events.slice(-2).map(([type]) => type)).toEqual(["head", "end"]);
    expect(parser.headBytesSeen).toBe(LENGTH.length);
    parser.free();
  });

  test("a close that a 1xx said holds for its response, and for no other", () => {
    const { parser, sink, read } = parserAfter(`HTTP/1.1 103 Early\r\nConnection: close\r\n\r\n${LENGTH}abcde`);
    const keeps = () => sink.events.flatMap(([type, head]) => (type === "head" ? [head.keepAlive] : []));
    expect(keeps()).toEqual([false]);
    parser.begin("GET");
    read(`${LENGTH}abcde`);
    expect(keeps()).toEqual([false, true]);
    parser.free();
  });

  test("what was let pass is told of its response, and of no other: in a head, and in chunks", () => {
    const lenient = lenientMask({ optionalCrBeforeLf: true });
    for (const wrong of [`${LENGTH.replace("OK\r\n", "OK\n")}abcde`, `${CHUNKED}3\nabc\r\n0\r\n\r\n`]) {
      const { parser, read } = parserAfter(wrong, "GET", lenient);
      expect(parser.wasLenient).toBe(true);
      parser.begin("GET");
      expect(parser.wasLenient).toBe(false);
      read(`${LENGTH}abcde`);
      expect(parser.wasLenient).toBe(false);
      parser.free();
    }
  });

  test("free() from the sink ends all: nothing is told after it, and again it does nothing", () => {
    for (const [text, event] of [
      [`${LENGTH}abcde`, "head"],
      [`${LENGTH}abcde`, "data"],
      [`${CHUNKED}3\r\nabc\r\n0\r\n\r\n`, "data"],
      [`${EARLY}${LENGTH}abcde`, "information"],
    ] as const) {
      const parser = new ResponseParser(LIMITS);
      const sink = new Recorder();
      const tell = sink[event].bind(sink) as (...args: unknown[]) => void;
      sink[event] = (...args: unknown[]) => {
        tell(...args);
        parser.free();
        parser.free();
      };
      parser.begin("GET");
      const bytes = Buffer.from(text, "latin1");
      parser.execute(bytes, 0, bytes.length, sink);
      expect(sink.events.at(-1)?.[0]).toBe(event);
      expect(parser.execute(bytes, 0, bytes.length, sink)).toBe(0);
      expect(parser.finish(sink)).toBe("not-reading");
    }
  });

  test("what a sink throws after it has freed the parser is thrown on, and the parser stays freed", () => {
    const parser = new ResponseParser(LIMITS);
    const sink = new Recorder();
    const broken = new Error("mine");
    sink.head = () => {
      parser.free();
      throw broken;
    };
    parser.begin("GET");
    const bytes = Buffer.from(LENGTH, "latin1");
    expect(thrownBy(() => parser.execute(bytes, 0, bytes.length, sink))).toBe(broken);
    expect(parser.execute(bytes, 0, bytes.length, sink)).toBe(0);
  });
});

describe("a refusal", () => {
  test("speaks of CRs as line ends only where there is a CR that no LF follows", () => {
    for (const { rule, bytes, method } of REFUSALS) {
      const error = thrownBy(() => parserAfter(bytes, method, 0)) as { lenient?: string };
      expect(error, rule).toBeInstanceOf(RemoteProtocolError);
      if (error.lenient === "optionalLfAfterCr") expect(bytes, rule).toMatch(/\r(?!\n)/);
    }
  });

  test("shows the bytes around as they came, ASCII or not", () => {
    expect(thrownBy(() => parserAfter("HTTP/1.1 200 caf\xe9\x01\r\n\r\n"))).toMatchObject({
      reason: "control byte in the reason phrase (RFC 9112 §4)",
      offset: 17,
      excerpt: "TTP/1.1 200 caf\\xe9\\x01\\r\\n\\r\\n",
    });
  });

  test("says where, and which leniency would help, where there are any to be set", () => {
    const text = "HTTP/1.1 200 OK\nA: b\r\n\r\n";
    const strict = thrownBy(() => parserAfter(text));
    expect(strict).toMatchObject({
      name: "RemoteProtocolError",
      message: "Cannot read response head: Missing expected CR after response line at byte 16",
    });
    expect(thrownBy(() => parserAfter(text, "GET", 0))).toMatchObject({
      message:
        "Cannot read response head: Missing expected CR after response line at byte 16 (lenient.optionalCrBeforeLf would let it pass)",
      lenient: "optionalCrBeforeLf",
    });
  });

  test("counts its bytes from the first of the head, behind a 1xx and empty lines too", () => {
    const bad = "HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n";
    const offsetOf = (run: () => unknown) => (thrownBy(run) as { offset?: number }).offset;
    expect(offsetOf(() => parserAfter(bad))).toBe(18);
    expect(offsetOf(() => parserAfter(`${EARLY}${bad}`))).toBe(18);
    expect(offsetOf(() => parserAfter(`\r\n${bad}`))).toBe(18);
    for (let cut = 1; cut < 19; cut++) {
      expect(
        offsetOf(() => {
          const { read } = parserAfter(bad.slice(0, cut));
          read(bad.slice(cut));
        }),
      ).toBe(18);
    }
  });

  test("of a field too many comes with the end of its name, however that is cut; a byte that is wrong in it comes first", () => {
    const limited = (text: string, cut: number) => {
      const parser = new ResponseParser({ ...LIMITS, headerCountMax: 1 });
      const sink = new Recorder();
      parser.begin("GET");
      return thrownBy(() => {
        for (const part of [text.slice(0, cut), text.slice(cut)]) {
          const bytes = Buffer.from(`${"#".repeat(50)}${part}##`, "latin1");
          parser.execute(bytes, 50, 50 + part.length, sink);
        }
      });
    };
    const two = "HTTP/1.1 200 OK\r\nA: b\r\nLong-Name: d\r\n\r\n";
    const bad = two.replace("Name", "Na\0e");
    const whole = limited(two, 0) as { offset: number };
    expect(whole).toMatchObject({ option: "maxResponseHeaders", limit: 1 });
    for (let cut = 1; cut < two.length; cut++) {
      expect(limited(two, cut), `cut at ${cut}`).toMatchObject({ option: "maxResponseHeaders", offset: whole.offset });
      expect(limited(bad, cut), `cut at ${cut}`).toMatchObject({
        name: "RemoteProtocolError",
        offset: bad.indexOf("\0"),
      });
    }
  });

  test("of too many fields, or too many bytes, says which limit was passed", () => {
    const read = (text: string, limits: object) => {
      const parser = new ResponseParser({ ...LIMITS, ...limits });
      parser.begin("GET");
      const bytes = Buffer.from(text, "latin1");
      return thrownBy(() => parser.execute(bytes, 0, bytes.length, new Recorder()));
    };
    const two = "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n";
    expect(read(two, { headerCountMax: 2 })).toBeNull();
    expect(read(two, { headerCountMax: 1 })).toMatchObject({ option: "maxResponseHeaders", limit: 1 });
    expect(read(two, { headBytesMax: two.length })).toBeNull();
    expect(read(two, { headBytesMax: two.length - 1 })).toMatchObject({ option: "maxResponseHeaderBytes" });
    const early = "HTTP/1.1 103 Early\r\nA: b\r\n\r\n";
    expect(read(`${early}${two}`, { headerCountMax: 3 })).toBeNull();
    expect(read(`${early}${two}`, { headerCountMax: 2 })).toMatchObject({ option: "maxResponseHeaders" });
    expect(read(`${early}${two}`, { headBytesMax: early.length + two.length })).toBeNull();
    expect(read(`${early}${two}`, { headBytesMax: early.length + two.length - 1 })).toMatchObject({
      option: "maxResponseHeaderBytes",
    });
    expect(read(`${early}${early}${two}`, { informationMax: 1 })).toMatchObject({ option: "max1xxResponses" });
  });
});
