/** The arbitraries: what they give is what their docs say, by rules and readers of the spec's own. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arbitraries } from "../../lib/testing/arbitraries/arbitraries.ts";
import { mutate } from "../../lib/testing/arbitraries/mutations.ts";
import { cut, cutsIn, type Splits } from "../../lib/testing/arbitraries/splits.ts";

const arb = arbitraries(fc);
/** What `check` returns is nothing to fast-check: a false would fail the property. */
function each<T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => void): void {
  fc.assert(
    fc.property(arbitrary, (value) => void check(value)),
    { numRuns: 300 },
  );
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** A header section or trailer section as pairs, by the plainest means. */
function pairsOf(section: string): [string, string][] {
  return section
    .split("\r\n")
    .filter((line) => line !== "")
    .map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "")];
    });
}

/** A chunked body, decoded by the plainest means; extensions hold no CRLF. */
function unchunk(bytes: string): { body: string; trailers: [string, string][]; rest: string } {
  let body = "";
  let at = 0;
  for (;;) {
    const eol = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.slice(at, eol), 16);
    at = eol + 2;
    if (size === 0) break;
    body += bytes.slice(at, at + size);
    expect(bytes.slice(at + size, at + size + 2)).toBe("\r\n");
    at += size + 2;
  }
  const empty = bytes.startsWith("\r\n", at);
  const end = empty ? at : bytes.indexOf("\r\n\r\n", at) + 2;
  return { body, trailers: empty ? [] : pairsOf(bytes.slice(at, end)), rest: bytes.slice(end + 2) };
}

describe("fields", () => {
  test("tokens() and fieldNames() are tokens (RFC 9110 §5.6.2)", () => {
    each(arb.tokens(), (token) => expect(token).toMatch(TOKEN));
    each(arb.fieldNames(), (name) => expect(name).toMatch(TOKEN));
  });

  test("fieldNames() never steer the message: no framing, routing or connection field", () => {
    each(arb.fieldNames(), (name) =>
      expect(name.toLowerCase()).not.toMatch(
        /^(?:content-length|transfer-encoding|connection|host|te|trailer|upgrade)$/,
      ),
    );
  });

  test("fieldValues() are values without outer blanks (RFC 9110 §5.5)", () => {
    each(arb.fieldValues(), (value) => expect(value).toMatch(VALUE));
  });

  test("headerSections() have a line for each field, with blanks around its value at most", () => {
    each(arb.headerSections(), ({ fields, lines }) => expect(pairsOf(lines.join(""))).toEqual(fields));
  });
});

describe("messages", () => {
  test("chunkedBodies() decode to their body and trailers (RFC 9112 §7.1)", () => {
    each(arb.chunkedBodies(), ({ body, chunks, trailers, bytes }) => {
      expect(chunks.join("")).toBe(body);
      expect(unchunk(bytes)).toEqual({ body, trailers, rest: "" });
    });
  });

  test("responseMessages() are on the wire what they say they are (RFC 9112 §4, §6.3)", () => {
    each(arb.responseMessages(), (message) => {
      let { bytes } = message;
      for (const { status, fields } of message.information) {
        const end = bytes.indexOf("\r\n\r\n") + 4;
        expect(bytes).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect(pairsOf(bytes.slice(bytes.indexOf("\r\n"), end))).toEqual(fields);
        bytes = bytes.slice(end);
      }
      const end = bytes.indexOf("\r\n\r\n") + 4;
      const [line = ""] = bytes.split("\r\n", 1);
      expect(line).toBe(`HTTP/1.${message.minorVersion} ${message.status} ${message.reason}`);
      expect(pairsOf(bytes.slice(line.length, end))).toEqual(message.fields);
      const { framing, body, trailers } = message;
      if (framing === "chunked") expect(unchunk(bytes.slice(end))).toEqual({ body, trailers, rest: "" });
      else expect([bytes.slice(end), trailers]).toEqual([body, []]);
      if (framing === "length") {
        expect(message.fields).toContainEqual([expect.stringMatching(/^content-length$/i), String(body.length)]);
      }
      if (message.method === "HEAD" || message.status === 204 || message.status === 304) expect(framing).toBe("none");
    });
  });

  test("responseMessages() keep to what they were asked for", () => {
    const asked = arb.responseMessages({ methods: ["PUT"], information: false, closeDelimited: false });
    each(asked, ({ method, information, framing }) => {
      expect([method, information]).toEqual(["PUT", []]);
      expect(framing).not.toBe("close");
    });
  });

  test("requestMessages() are on the wire what they say they are (RFC 9112 §3, §6.2)", () => {
    each(arb.requestMessages(), ({ method, target, host, fields, framing, body, chunks, trailers, bytes }) => {
      const end = bytes.indexOf("\r\n\r\n") + 4;
      const [line = ""] = bytes.split("\r\n", 1);
      expect(line).toBe(`${method} ${target} HTTP/1.1`);
      const [first, ...rest] = pairsOf(bytes.slice(line.length, end));
      expect(first).toEqual(["Host", host]);
      expect(rest.slice(0, fields.length)).toEqual(fields);
      expect(chunks.join("")).toBe(body);
      if (framing === "chunked") expect(unchunk(bytes.slice(end))).toEqual({ body, trailers, rest: "" });
      else expect(bytes.slice(end)).toBe(body);
    });
  });
});

describe("splits", () => {
  test("cut() loses nothing, whatever the splits; and no piece is empty", () => {
    each(fc.tuple(arb.bodies(), arb.splits()), ([text, where]) => {
      const pieces = cut(text, where);
      expect(pieces.join("")).toBe(text);
      expect(pieces).not.toContain("");
      expect(pieces.length).toBe(text === "" ? 0 : cutsIn(text, where).length + 1);
    });
  });

  test.each<[Splits, string[]]>([
    ["whole", ["a\r\nb"]],
    ["every-byte", ["a", "\r", "\n", "b"]],
    ["line-ends", ["a", "\r", "\n", "b"]],
    [
      [0.5, 0, 1, 0.5],
      ["a\r", "\nb"],
    ],
  ])("cut() at %j", (where, pieces) => {
    expect(cut("a\r\nb", where)).toEqual(pieces);
  });
});

describe("mutations", () => {
  test.each([
    [{ kind: "insert", at: 0.5, text: "X" } as const, "a\r\nXb\r\n"],
    [{ kind: "replace", at: 0, text: "XY" } as const, "XY\nb\r\n"],
    [{ kind: "drop", at: 0.5, length: 1 } as const, "a\r\n\r\n"],
    [{ kind: "double", at: 0, length: 1 } as const, "aa\r\nb\r\n"],
    [{ kind: "cut-off", at: 0.5 } as const, "a\r\n"],
    [{ kind: "add-line", at: 0, text: "X" } as const, "a\r\nX\r\nb\r\n"],
    [{ kind: "line-end", at: 0.9, text: "\n" } as const, "a\r\nb\n"],
  ])("mutate() does %j", (change, result) => {
    expect(mutate("a\r\nb\r\n", [change])).toBe(result);
  });

  test("mutate() leaves what has no line end as it is where it would change one", () => {
    expect(mutate("ab", [{ kind: "line-end", at: 0.5, text: "\n" }])).toBe("ab");
  });

  test("mutate() takes any mutation of any text", () => {
    each(fc.tuple(arb.bodies(), fc.array(arb.mutations())), ([text, changes]) => {
      expect(mutate(text, changes)).toMatch(/^[\0-\xff]*$/);
    });
  });

  test("malformed() differs from its base more often than not", () => {
    const base = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    const some = fc.sample(arb.malformed(fc.constant(base)), { numRuns: 200, seed: 1 });
    expect(some.filter((text) => text !== base).length).toBeGreaterThan(180);
  });
});

describe("faults and schedules", () => {
  test("connectionPlans() are plain data: JSON gives them back", () => {
    each(arb.connectionPlans(), (plan) => expect(JSON.parse(JSON.stringify(plan))).toEqual(plan));
  });

  test("faults() keep to their limits, and every kind comes", () => {
    const drawn = fc.sample(arb.faults(), { numRuns: 2_000, seed: 1 });
    expect(new Set(drawn.map(({ kind }) => kind)).size).toBe(13);
    each(arb.faults({ maxMs: 10, maxBytes: 5 }), (fault) => {
      if ("ms" in fault) expect(fault.ms).toBeLessThanOrEqual(10);
      if ("bytes" in fault && fault.kind !== "slow") expect(fault.bytes).toBeLessThanOrEqual(5);
    });
  });

  test("schedules() never run dry: each list has a first", () => {
    each(arb.schedules(), ({ reads, delays, picks }) => {
      expect([reads.length, delays.length, picks.length]).not.toContain(0);
      expect(Math.min(...reads)).toBeGreaterThan(0);
    });
  });
});

test("arbitraries() give the same values for the same seed", () => {
  const sample = () =>
    fc.sample(fc.tuple(arb.responseMessages(), arb.requestMessages(), arb.connectionPlans()), { seed: 7, numRuns: 20 });
  expect(sample()).toEqual(sample());
});
