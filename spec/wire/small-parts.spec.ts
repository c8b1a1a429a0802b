/** The small parts that readers and writers of messages share, each by itself. */

import { describe, expect, test } from "vitest";
import { HeaderLimitError } from "../../lib/errors.ts";
import { cutBlanks, cutBlanksAfter, isToken } from "../../lib/wire/abnf.ts";
import { ByteHoard } from "../../lib/wire/byte-hoard.ts";
import { excerpt, excerptOfText } from "../../lib/wire/excerpt.ts";
import { ExchangeBudget } from "../../lib/wire/exchange-budget.ts";
import { TextFieldLines } from "../../lib/wire/field-lines.ts";
import { normalizeLineEnds } from "../../lib/wire/head-normalizer.ts";
import { LENIENT_NAMES, lenientHint, lenientMask, lets, withFlag } from "../../lib/wire/lenient.ts";
import type { FieldLines } from "../../lib/wire/parser-events.ts";
import { switchRefusal } from "../../lib/wire/upgrade.ts";

describe("excerpt() and excerptOfText()", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const text = Buffer.from(bytes).toString("latin1");
  const ALL = Array.from({ length: 256 }, (_, i) => {
    const known: Record<number, string> = { 9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\" };
    return known[i] ?? (i >= 32 && i <= 126 ? String.fromCharCode(i) : `\\x${i.toString(16).padStart(2, "0")}`);
  });

  test("show each byte as itself or escaped", () => {
    for (let at = 0; at < 256; at++) {
      expect(excerpt(bytes, at, at, at + 1)).toBe(ALL[at]);
      expect(excerptOfText(text.charAt(at), 0)).toBe(ALL[at]);
    }
  });

  test("show sixteen bytes on each side, and no more than there are", () => {
    for (const at of [0, 5, 16, 17, 100, 240, 250, 255]) {
      const from = Math.max(0, at - 16);
      const to = Math.min(256, at + 16);
      const shown = ALL.slice(from, to).join("");
      expect(excerpt(bytes, at, 0, 256)).toBe(shown);
      expect(excerptOfText(text, at)).toBe(shown);
    }
    expect(excerpt(bytes, 100, 98, 103)).toBe("bcdef");
    expect(excerpt(bytes, 100, 100, 100)).toBe("");
    expect(excerptOfText("", 0)).toBe("");
  });
});

describe("ByteHoard", () => {
  test("gives what was put in, however it grew, and nothing behind it", () => {
    const hoard = new ByteHoard();
    expect([hoard.length, hoard.at(0), hoard.text(), hoard.view().length]).toEqual([0, undefined, "", 0]);
    let all = "";
    for (const size of [1, 255, 1, 600, 3, 5000]) {
      const piece = String.fromCharCode(65 + (size % 26)).repeat(size);
      hoard.append(Buffer.from(`--${piece}--`), 2, 2 + size);
      all += piece;
      expect(hoard.length).toBe(all.length);
      expect(hoard.text()).toBe(all);
      expect(Buffer.from(hoard.view()).toString()).toBe(all);
      expect(hoard.at(all.length - 1)).toBe(all.charCodeAt(all.length - 1));
      expect(hoard.at(all.length)).toBeUndefined();
    }
    expect(hoard.at(0)).toBe(66);
  });

  test("doubles: many small pieces are not copied each time", () => {
    const hoard = new ByteHoard();
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 5000; i++) {
      hoard.append(Buffer.from("x"), 0, 1);
      buffers.add(hoard.view().buffer);
    }
    expect(buffers.size).toBe(6); // 256, 512, … 8192
  });
});

describe("ExchangeBudget", () => {
  const budget = () => {
    const one = new ExchangeBudget({ headBytesMax: 100, headerCountMax: 5, informationMax: 2 });
    one.reset();
    return one;
  };

  test("has the limits whole after reset(), and none before", () => {
    const one = new ExchangeBudget({ headBytesMax: 100, headerCountMax: 5, informationMax: 2 });
    expect([one.headBytes, one.fields]).toEqual([0, 0]);
    one.reset();
    expect([one.headBytes, one.fields]).toEqual([100, 5]);
  });

  test("lets the responses with a 1xx status that are allowed through, and not one more; anew after reset()", () => {
    const one = budget();
    for (let i = 0; i < 2; i++) {
      one.countInformation();
      one.countInformation();
      let error: unknown;
      try {
        one.countInformation();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(HeaderLimitError);
      expect(error).toMatchObject({
        message: "Cannot read response: more than 2 responses with a 1xx status",
        option: "max1xxResponses",
        limit: 2,
        offset: 0,
      });
      one.reset();
    }
  });

  test("says which limit was passed", () => {
    expect(budget().bytesExceeded()).toMatchObject({
      message: "Cannot read response head: more than 100 bytes in the heads and trailers of one exchange",
      option: "maxResponseHeaderBytes",
      limit: 100,
      offset: 100,
    });
    expect(budget().fieldsExceeded(42)).toMatchObject({
      message: "Cannot read response head: more than 5 fields in the heads and trailers of one exchange",
      option: "maxResponseHeaders",
      limit: 5,
      offset: 42,
    });
  });
});

describe.each<[string, string, readonly number[] | null]>([
  ["with what the parser has found", "A: 1 \r\nbc:\t2", [0, 1, 3, 2, 7, 2, 11, 1]],
  ["with the lines alone", "HTTP/1.1 200 OK\r\nA: 1 \r\nbc:\t \t2\r\nmore: than asked\r\n\r\n", null],
])("TextFieldLines, %s", (_, text, spans) => {
  const lines = new TextFieldLines(text, 2, spans);

  test("cuts names and values when they are asked for, without the blanks around", () => {
    expect([lines.name(0), lines.value(0), lines.name(1), lines.value(1)]).toEqual(["A", "1", "bc", "2"]);
    expect([lines.value(1), lines.name(1)]).toEqual(["2", "bc"]);
    expect(lines.length).toBe(2);
  });

  test.each([-1, 2, 3, Number.NaN])("refuses an index that it has not: %d", (index) => {
    for (const ask of [() => lines.name(index), () => lines.value(index)]) {
      expect(ask).toThrow(new RangeError(`no field ${index} of 2`));
    }
  });
});

test("TextFieldLines finds empty values, and colons within them", () => {
  const lines = new TextFieldLines("HTTP/1.1 200 a: b\r\nA:\r\nB: \t\r\nC: d: e\r\n\r\n", 3, null);
  expect([0, 1, 2].map((i) => [lines.name(i), lines.value(i)])).toEqual([
    ["A", ""],
    ["B", ""],
    ["C", "d: e"],
  ]);
});

describe("leniencies", () => {
  test("lenientMask() is made of those that are true, and of nothing where nothing is said", () => {
    expect([lenientMask(undefined), lenientMask({})]).toEqual([0, 0]);
    const off = lenientMask({ headers: false, version: undefined as unknown as boolean }); // as callers without types
    expect(off).toBe(0);
    for (const name of LENIENT_NAMES) {
      const mask = lenientMask({ [name]: true });
      expect(LENIENT_NAMES.filter((other) => lets(mask, other))).toEqual([name]);
      expect(withFlag(0, name)).toBe(mask);
      expect(withFlag(mask, name)).toBe(mask);
      expect(lets(0, name)).toBe(false);
    }
  });

  test("lenientHint() names the flag that would help, if one would", () => {
    expect(lenientHint("headers")).toBe(" (lenient.headers would let it pass)");
    expect(lenientHint(null)).toBe("");
  });

  test("normalizeLineEnds() makes CRLF of those line ends that may pass", () => {
    const text = "a\rb\nc\r\nd\r";
    expect(normalizeLineEnds(text, 0)).toBe(text);
    expect(normalizeLineEnds(text, lenientMask({ optionalLfAfterCr: true }))).toBe("a\r\nb\nc\r\nd\r\n");
    expect(normalizeLineEnds(text, lenientMask({ optionalCrBeforeLf: true }))).toBe("a\rb\r\nc\r\nd\r");
    expect(normalizeLineEnds(text, lenientMask({ optionalLfAfterCr: true, optionalCrBeforeLf: true }))).toBe(
      "a\r\nb\r\nc\r\nd\r\n",
    );
  });
});

describe("abnf", () => {
  test("isToken() asks for a string: what prints as one is none", () => {
    expect(isToken(["GET"] as unknown as string)).toBe(false); // as JavaScript callers can pass
  });

  test.each([
    ["", "", ""],
    [" \t ", "", ""],
    ["a", "a", "a"],
    [" a\t", " a", "a"],
    ["\t a b ", "\t a b", "a b"],
    ["\xa0a\xa0", "\xa0a\xa0", "\xa0a\xa0"],
  ])("cutBlanksAfter() and cutBlanks() of %j", (text, after, both) => {
    expect([cutBlanksAfter(text), cutBlanks(text)]).toEqual([after, both]);
  });
});

describe("switchRefusal()", () => {
  /** Refuses an index that it has not, as the lines of a response do. */
  const strict = (...fields: [string, string][]): FieldLines => {
    const at = (index: number): [string, string] => {
      const field = fields[index];
      if (field === undefined) throw new RangeError(`no field ${index}`);
      return field;
    };
    return { length: fields.length, name: (index) => at(index)[0], value: (index) => at(index)[1] };
  };

  test("asks for no field that is not there, and takes the option from Connection alone", () => {
    expect(switchRefusal(["foo"], strict(["Upgrade", "foo"], ["Connection", "upgrade"]))).toBeNull();
    expect(switchRefusal(["foo"], strict(["Upgrade", "foo"], ["X-Other", "upgrade"]))).toBe(
      "status 101 whose Connection does not say upgrade (RFC 9110 §7.8)",
    );
    expect(switchRefusal(["foo"], strict(["Upgrade", "foox"], ["Connection", "upgrade"]))).toBe(
      "status 101 to a protocol that was not offered (RFC 9110 §7.8)",
    );
  });

  test.each<[string, string[], [string, string][]]>([
    ["status 101 without Upgrade in the request (RFC 9110 §15.2.2)", [], [["Upgrade", "foo"], ["Connection", "upgrade"]]], // biome-ignore format: one row
    ["status 101 whose Upgrade is no list of protocols (RFC 9110 §7.8)", ["foo"], [["Upgrade", "a b"]]],
    ["status 101 without Upgrade (RFC 9110 §15.2.2)", ["foo"], [["Connection", "upgrade"]]],
  ])("%s", (words, offered, fields) => {
    expect(switchRefusal(offered, strict(...fields))).toBe(words);
  });
});
