/** Fields between HTTP/1.1 and HTTP/2, and the options of h2. */

import { describe, expect, test } from "vitest";
import { fieldOf, receivedFields, requestFields, trailerFields } from "../../lib/h2/fields.ts";
import { type H2Options, h2 } from "../../lib/h2/index.ts";
import { LocalProtocolError, Transport } from "../../lib/index.ts";

const head = (...lines: string[]) => `GET /p HTTP/1.1\r\n${["Host: a.example", ...lines].join("\r\n")}\r\n\r\n`;

describe("requestFields()", () => {
  const cases: [rule: string, lines: string[], fields: Record<string, unknown>][] = [
    ["lower-cases names", ["X-A: 1"], { "x-a": "1" }],
    ["keeps repeated fields apart, in order", ["X-A: 1", "x-a: 2"], { "x-a": ["1", "2"] }],
    [
      "joins the crumbs of cookies (RFC 9113 §8.2.3)",
      ["Cookie: a=1", "Cookie: b=2", "Cookie: c"],
      { cookie: "a=1; b=2; c" },
    ],
    [
      "drops connection-specific fields (RFC 9113 §8.2.2)",
      ["Transfer-Encoding: chunked", "Connection: close, X-Hop", "X-Hop: 1"],
      {},
    ],
    ["keeps te: trailers, though Connection names it", ["TE: trailers", "Connection: TE"], { te: "trailers" }],
    ["takes no name for a prototype's", ["__proto__: 1", "constructor: 2"], { constructor: "2" }],
  ];
  test.each(cases)("%s", (_, lines, fields) => {
    const {
      ":method": method,
      ":scheme": scheme,
      ":authority": authority,
      ":path": path,
      ...rest
    } = requestFields(head(...lines), "https");
    expect([method, scheme, authority, path]).toEqual(["GET", "https", "a.example", "/p"]);
    expect(Object.entries(rest).filter(([name]) => name !== "__proto__")).toEqual(Object.entries(fields));
  });
});

test("trailerFields() refuses what may not come behind a body (RFC 9110 §6.5.1)", () => {
  expect({ ...trailerFields([["X-Sum", "1"]]) }).toEqual({ "x-sum": "1" });
  expect(() => trailerFields([["Content-Length", "1"]])).toThrow(LocalProtocolError);
});

test("receivedFields() takes pseudo-fields out, keeps order, and counts as RFC 9113 §6.5.2 does", () => {
  const { status, pairs, bytes } = receivedFields([":status", "200", "b", "1", "a", "2", "b", "3"]);
  expect([status, pairs]).toEqual([
    200,
    [
      ["b", "1"],
      ["a", "2"],
      ["b", "3"],
    ],
  ]);
  expect(bytes).toBe(":status200b1a2b3".length + 4 * 32);
  expect([fieldOf(pairs, "b"), fieldOf(pairs, "c")]).toEqual(["1, 3", null]);
});

describe("h2()", () => {
  test.each([
    ["an unknown name", { maxStreams: 1 }],
    ["a negative count", { maxConcurrentStreams: -1 }],
    ["another word", { whenFull: "fail" }],
    ["a window smaller than RFC 9113 §6.9.2 begins with", { initialWindowSize: 1000 }],
    ["no number", { pingTimeout: "1s" }],
  ])("refuses %s", (_, options) => {
    expect(() => h2(options as H2Options)).toThrow(TypeError);
  });

  test("goes into nextProtocols, which refuses what nobody can speak", () => {
    expect(() => new Transport({ nextProtocols: { h2: h2() } })).not.toThrow();
    expect(() => new Transport({ nextProtocols: { "http/1.1": h2() } })).toThrow(/other than http\/1\.1/);
    expect(() => new Transport({ nextProtocols: { h2: {} as never } })).toThrow(TypeError);
    const both = () => new Transport({ nextProtocols: { h2: h2() }, tls: { ALPNProtocols: ["h2"] } });
    expect(both).toThrow(/nextProtocols and tls\.ALPNProtocols exclude each other/);
  });
});
