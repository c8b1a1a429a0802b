/** HeadWriter by its templates: when one is used, and when it must not be. */

import { describe, expect, test } from "vitest";
import { LocalProtocolError } from "../../lib/errors.ts";
import { HeadWriter } from "../../lib/wire/head-writer.ts";
import { type OutgoingHead, type WriterOptions, writeHead } from "../../lib/wire/request-writer.ts";

const HEAD: OutgoingHead = {
  method: "POST",
  scheme: "http",
  authority: "a",
  target: "/one",
  fields: [
    ["A", "1"],
    ["B", "2"],
  ],
  bodyLength: 5,
  contentType: "text/plain",
  trailerNames: null,
  expectContinue: true,
};
const OPTIONS: WriterOptions = {
  userAgent: "me",
  acceptEncoding: "gzip",
  absoluteForm: false,
  close: false,
  extra: [],
};

describe("HeadWriter", () => {
  test.each<[string, Partial<OutgoingHead>]>([
    ["equal in all", {}],
    ["that has another target", { target: "/two?x=y" }],
    ["whose fields are equal, in lists of their own", { fields: [["A", "1"], ["B", "2"]] }], // biome-ignore format: one row
    ["whose fields are the same in another list", { fields: [...HEAD.fields] }],
  ])("uses its template for a head %s: the framing is that of the first", (_, change) => {
    const writer = new HeadWriter(OPTIONS);
    const first = writer.write(HEAD);
    const head = { ...HEAD, ...change };
    const second = writer.write(head);
    expect(second.framing).toBe(first.framing); // one that is written anew has a framing of its own
    expect(second).toEqual(writeHead(head, OPTIONS));
    expect(second.text.startsWith(`POST ${head.target} HTTP/1.1\r\n`)).toBe(true);
  });

  // Each falls into the same place among the templates: lengths are what that goes by.
  test.each<[string, Partial<OutgoingHead>]>([
    ["method", { method: "PATC" }],
    ["authority", { authority: "b" }],
    ["body length", { bodyLength: 21 }],
    ["type", { contentType: "text/html" }],
    ["expectation", { expectContinue: false }],
    ["trailers", { trailerNames: ["sum"] }],
    ["name of a field", { fields: [["A", "1"], ["C", "2"]] }], // biome-ignore format: one row
    ["value of a field", { fields: [["A", "3"], ["B", "2"]] }], // biome-ignore format: one row
    ["last value", { fields: [["A", "1"], ["B", "3"]] }], // biome-ignore format: one row
    [
      "number of fields",
      { fields: [...Array(18)].map((_, i) => [i === 0 ? "A" : "B", `${i === 0 ? 1 : 2}`] as const) },
    ],
  ])("uses none for a head with another %s", (_, change) => {
    for (const [one, other] of [
      [HEAD, { ...HEAD, ...change }],
      [{ ...HEAD, ...change }, HEAD],
    ] as const) {
      const writer = new HeadWriter(OPTIONS);
      const first = writer.write(one);
      const second = writer.write(other);
      expect(second.framing).not.toBe(first.framing);
      expect(second).toEqual(writeHead(other, OPTIONS));
    }
  });

  test.each([["*"], ["two"], ["/ two"], ["/two#f"], ["/two\r\nX: y"], [""]])(
    "looks at the target all the same: %j is refused",
    (target) => {
      const writer = new HeadWriter(OPTIONS);
      writer.write(HEAD);
      expect(() => writer.write({ ...HEAD, target })).toThrow(LocalProtocolError);
    },
  );

  test("makes none of a target that carries the authority, nor of *", () => {
    const connect = { ...HEAD, method: "CONNECT", target: "a:1", bodyLength: undefined, expectContinue: false };
    const writer = new HeadWriter(OPTIONS);
    writer.write(connect);
    expect(() => writer.write({ ...connect, target: "/" })).toThrow("CONNECT wants host:port");
    const proxied = new HeadWriter({ ...OPTIONS, absoluteForm: true });
    const first = proxied.write(HEAD);
    const second = proxied.write(HEAD);
    expect(second.framing).not.toBe(first.framing);
    expect(second.text).toMatch(/^POST http:\/\/a\/one HTTP/);
    const all = { ...HEAD, method: "OPTIONS", target: "*" };
    const star = writer.write(all);
    const path = writer.write({ ...all, target: "/x" });
    expect(path.framing).not.toBe(star.framing);
    expect(path.text).toMatch(/^OPTIONS \/x HTTP/);
  });

  test("keeps several kinds of heads at once", () => {
    const writer = new HeadWriter(OPTIONS);
    const kinds = [HEAD, { ...HEAD, method: "PUT" }, { ...HEAD, bodyLength: 6 }, { ...HEAD, authority: "abc" }];
    const first = kinds.map((head) => writer.write(head).framing);
    expect(kinds.map((head) => writer.write(head).framing === first[kinds.indexOf(head)])).toEqual(
      kinds.map(() => true),
    );
  });
});
