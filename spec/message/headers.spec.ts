import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { LocalProtocolError } from "../../lib/errors.ts";
import {
  type FieldLines,
  Headers,
  type HeadersInit,
  headersOver,
  normaliseHeaders,
} from "../../lib/message/headers.ts";

/** Field lines that count what is cut from them. */
function lines(pairs: readonly (readonly [string, string])[]): FieldLines & { values: number } {
  return {
    values: 0,
    length: pairs.length,
    name: (i) => pairs[i]![0],
    value(i) {
      this.values++;
      return pairs[i]![1];
    },
  };
}

const thrown = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe("normaliseHeaders()", () => {
  const want = [
    ["X-One", "1"],
    ["b", "2"],
  ];
  const inputs: [string, HeadersInit][] = [
    [
      "pairs",
      [
        ["X-One", "1"],
        ["b", "2"],
      ],
    ],
    ["a record", { "X-One": "1", b: "2" }],
    ["numbers in a record", { "X-One": 1, b: 2 }],
    [
      "a Map",
      new Map([
        ["X-One", "1"],
        ["b", "2"],
      ]),
    ],
    [
      "our Headers",
      new Headers([
        ["X-One", "1"],
        ["b", "2"],
      ]),
    ],
    [
      "a generator",
      (function* () {
        yield ["X-One", "1"];
        yield ["b", "2"];
      })(),
    ],
    [
      "outer blanks",
      [
        ["X-One", " 1\t"],
        ["b", "\t2"],
      ],
    ],
  ];
  test.each(inputs)("takes %s, in order and case", (_, init) => {
    expect(normaliseHeaders(init)).toEqual(want);
  });

  test("takes a standard Headers, which is lower-case already", () => {
    const standard = new globalThis.Headers([
      ["X-One", "1"],
      ["set-cookie", "a"],
      ["set-cookie", "b"],
    ]);
    expect(normaliseHeaders(standard)).toEqual([
      ["set-cookie", "a"],
      ["set-cookie", "b"],
      ["x-one", "1"],
    ]);
  });

  test("repeats a field for each value of a list", () => {
    expect(normaliseHeaders({ a: ["1", "2"] })).toEqual([
      ["a", "1"],
      ["a", "2"],
    ]);
  });

  test("__proto__ is a name like others, and what a prototype has is not the caller's", () => {
    expect(normaliseHeaders(JSON.parse('{"__proto__":"1"}'))).toEqual([["__proto__", "1"]]);
    expect(normaliseHeaders(Object.create({ inherited: "1" }))).toEqual([]);
  });

  test("coerces once and keeps what came out", () => {
    let asked = 0;
    const crafty = { toString: () => (asked++ === 0 ? "fine" : "evil\r\nx: y") };
    expect(normaliseHeaders([["a", crafty as never]])).toEqual([["a", "fine"]]);
    expect(asked).toBe(1);
  });

  test.each([
    ["a CR", [["x-a", "sec\rret"]], "header x-a"],
    ["an LF at the end", [["x-a", "secret\n"]], "header x-a"],
    ["a NUL", [["x-a", "sec\0ret"]], "header x-a"],
    ["a character above 0xFF", [["x-a", "secret€"]], "header x-a"],
    ["a blank in a name", [["x a", "secret"]], 'header "x a"'],
    ["a colon in a name", [["x:", "secret"]], 'header "x:"'],
    ["an empty name", [["", "secret"]], 'header ""'],
  ])("refuses %s, names the field and never shows the value", (_, init, field) => {
    const error = thrown(() => normaliseHeaders(init as HeadersInit));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect((error as LocalProtocolError).field).toBe(field);
    expect(inspect(error)).not.toMatch(/ret\b|secret/);
  });

  test.each([
    ["a string", "a: b"],
    ["a number", 1],
    ["null", null],
    ["a flat list", ["a", "b"]],
    ["two-letter strings for pairs", ["ab"]],
    ["a pair of one", [["a"]]],
    ["a pair of three", [["a", "b", "c"]]],
    ["undefined for a value", { a: undefined }],
    ["null for a value", [["a", null]]],
    ["a symbol for a value", { a: Symbol("x") }],
  ])("takes %s for a mistake of type", (_, init) => {
    expect(() => normaliseHeaders(init as unknown as HeadersInit)).toThrow(TypeError);
  });
});

describe("Headers", () => {
  test("iterates as the standard does: sorted, lower-case, combined, cookies apart; raw keeps what was given", () => {
    const given: [string, string][] = [
      ["B", "1"],
      ["Set-Cookie", "x"],
      ["a", "2"],
      ["b", "3"],
      ["set-cookie", "y"],
    ];
    const headers = new Headers(given);
    expect([...headers]).toEqual([
      ["a", "2"],
      ["b", "1, 3"],
      ["set-cookie", "x"],
      ["set-cookie", "y"],
    ]);
    expect([...headers.keys()]).toEqual(["a", "b", "set-cookie", "set-cookie"]);
    expect([...headers.values()]).toEqual(["2", "1, 3", "x", "y"]);
    expect(headers.raw).toEqual(given);
    expect(headers.getSetCookie()).toEqual(["x", "y"]);
    expect(headers.get("SET-cookie")).toBe("x, y");
    const seen: string[] = [];
    headers.forEach(function (this: unknown, value, name, parent) {
      seen.push(`${this} ${name}=${value} ${parent === headers}`);
    }, "t");
    expect(seen[0]).toBe("t a=2 true");
  });

  test("agrees with the platform's over a run of changes", () => {
    const ours = new Headers({ "X-A": " 1 ", b: "2\r\n" });
    const theirs = new globalThis.Headers({ "X-A": " 1 ", b: "2\r\n" });
    for (const headers of [ours, theirs]) {
      headers.append("x-a", "3");
      headers.set("B", "4");
      headers.append("c", "5");
      headers.delete("C");
      headers.set("d", "6");
      headers.append("Set-Cookie", "k=v");
    }
    expect([...ours]).toEqual([...theirs]);
    expect(ours.get("none")).toBe(theirs.get("none"));
    expect(ours.has("X-a")).toBe(true);
    expect(String(ours)).toBe(String(theirs));
  });

  test("set() keeps the place of the first and takes the others away", () => {
    const headers = new Headers([
      ["a", "1"],
      ["B", "2"],
      ["c", "3"],
      ["b", "4"],
    ]);
    headers.set("b", "5");
    expect(headers.raw).toEqual([
      ["a", "1"],
      ["b", "5"],
      ["c", "3"],
    ]);
  });

  test("an iteration sees changes made meanwhile", () => {
    const headers = new Headers({ a: "1", b: "2" });
    const seen: string[] = [];
    for (const [name] of headers) {
      seen.push(name);
      headers.delete("b");
      if (seen.length === 1) headers.append("c", "3");
    }
    expect(seen).toEqual(["a", "c"]);
  });

  test.each([
    ["a bad name", [["a b", "1"]]],
    ["a bad value", [["a", "1\n2"]]],
    ["a value above 0xFF", [["a", "€"]]],
  ])("the constructor throws a TypeError for %s, as the standard", (_, init) => {
    expect(() => new Headers(init as HeadersInit)).toThrow(TypeError);
    expect(() => new globalThis.Headers(init as [string, string][])).toThrow(TypeError);
  });

  test.each(["append", "set", "get", "has", "delete"] as const)(
    "%s() throws a TypeError for a name that is no token",
    (method) => {
      expect(() => new Headers()[method]("a b", "1")).toThrow(TypeError);
    },
  );

  test("over field lines it is immutable, and a copy can be changed", () => {
    const headers = headersOver(lines([["A", "1"]]));
    for (const change of [() => headers.append("b", "2"), () => headers.set("a", "2"), () => headers.delete("a")]) {
      expect(change).toThrow(TypeError);
    }
    const copy = new Headers(headers);
    copy.append("B", "2");
    expect(copy.raw).toEqual([
      ["A", "1"],
      ["B", "2"],
    ]);
    expect(headers.raw).toEqual([["A", "1"]]);
  });

  test("get() cuts only the values of the name it looks for", () => {
    const source = lines([
      ["Date", "d"],
      ["Content-Type", "t"],
      ["Server", "s"],
    ]);
    const headers = headersOver(source);
    expect(headers.get("content-type")).toBe("t");
    expect(headers.has("server")).toBe(true);
    expect(source.values).toBe(1);
  });

  test("hidden fields show in raw only, and do not get into a copy", () => {
    const headers = headersOver(
      lines([
        ["Content-Encoding", "gzip"],
        ["A", "1"],
      ]),
      new Set(["content-encoding"]),
    );
    expect(headers.get("content-encoding")).toBeNull();
    expect(headers.has("Content-Encoding")).toBe(false);
    expect([...headers]).toEqual([["a", "1"]]);
    expect(headers.raw).toHaveLength(2);
    expect(new Headers(headers).raw).toEqual([["A", "1"]]);
  });

  test("inspect shows fields and hides secrets", () => {
    expect(inspect(new Headers({ A: "1", Authorization: "Basic c2VjcmV0", Cookie: "k=v" }))).toBe(
      "Headers { A: 1, Authorization: …, Cookie: … }",
    );
  });
});

describe("normaliseHeaders() of records that resemble an earlier one", () => {
  const first = { accept: "a/b", "x-n": " 1 ", "x-m": "2" };
  const FIRST = [
    ["accept", "a/b"],
    ["x-n", "1"],
    ["x-m", "2"],
  ];
  const all = (init: HeadersInit) => normaliseHeaders(init).map((pair) => [...pair]);

  test.each<[string, HeadersInit, string[][]]>([
    ["the same again", { ...first }, FIRST],
    ["another last value", { ...first, "x-m": "3" }, [...FIRST.slice(0, 2), ["x-m", "3"]]],
    ["another first value", { ...first, accept: "c" }, [["accept", "c"], ...FIRST.slice(1)]],
    ["another case of a name", { Accept: "a/b", "x-n": "1", "x-m": "2" }, [["Accept", "a/b"], ...FIRST.slice(1)]],
    ["another name", { accept: "a/b", "x-n": "1", "x-o": "2" }, [...FIRST.slice(0, 2), ["x-o", "2"]]],
    ["fewer", { accept: "a/b", "x-n": "1" }, FIRST.slice(0, 2)],
    ["more", { ...first, z: "4" }, [...FIRST, ["z", "4"]]],
    [
      "a repeated field",
      { accept: "a/b", "x-n": ["1", "5"], "x-m": "2" },
      [FIRST[0]!, FIRST[1]!, ["x-n", "5"], FIRST[2]!],
    ],
    ["a value that was not trimmed yet", { ...first, "x-n": "1" }, FIRST],
  ])("%s", (_, then, expected) => {
    expect(all(first)).toEqual(FIRST);
    expect(all(then)).toEqual(expected);
    expect(all(first)).toEqual(FIRST);
    expect(all(then)).toEqual(expected);
  });

  test("a value that became bad is refused, and each is read once", () => {
    expect(all(first)).toEqual(FIRST);
    expect(() => normaliseHeaders({ ...first, "x-m": "2\r\nevil: 1" })).toThrow(LocalProtocolError);
    let reads = 0;
    const counting = {
      accept: "a/b",
      "x-n": " 1 ",
      get "x-m"() {
        return `${2 + reads++}`;
      },
    };
    expect(all(counting)).toEqual(FIRST);
    expect(reads).toBe(1);
    expect(all(counting)).toEqual([...FIRST.slice(0, 2), ["x-m", "3"]]);
    expect(reads).toBe(2);
  });
});
