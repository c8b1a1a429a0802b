/** The words with which a request is refused: what and where, and the rule; never the value of a field. */

import { describe, expect, test } from "vitest";
import { InvariantError, LocalProtocolError } from "../../lib/errors.ts";
import { lastChunk, type OutgoingHead, type WriterOptions } from "../../lib/wire/request-writer.ts";
import { thrownBy } from "../support/thrown-by.ts";
import { write } from "./plain-head.ts";

const one = (name: string, value: string): Partial<OutgoingHead> => ({ fields: [[name, value]] });
const STREAM: Partial<OutgoingHead> = { method: "POST", bodyLength: null };

const VALUE = "its value has a byte that no field may have (RFC 9110 §5.5)";

describe("writeHead() says why not", () => {
  test.each<[string, Partial<OutgoingHead>, Partial<WriterOptions>?]>([
    ["method: it is no token (RFC 9110 §9.1)", { method: "G T" }],
    ["target: it has a byte that no target may have (RFC 9112 §3.2)", { target: "/#f" }],
    ["target: CONNECT wants host:port (RFC 9112 §3.2.3)", { method: "CONNECT", target: "peer" }],
    ["target: * is for OPTIONS only (RFC 9112 §3.2.4)", { target: "*" }],
    ["target: it must begin with / (RFC 9112 §3.2.1)", { target: "a" }],
    ["url: it is no host with an optional port (RFC 9110 §7.2)", { authority: "a b" }],
    ["header host: it is no host with an optional port (RFC 9110 §7.2)", one("Host", "a b")],
    [`header x-mine: ${VALUE}`, one("X-Mine", "a\nb")],
    [`header content-type: ${VALUE}`, { ...STREAM, contentType: "a\nb" }],
    [`header user-agent: ${VALUE}`, {}, { userAgent: "a\nb" }],
    [`header accept-encoding: ${VALUE}`, {}, { acceptEncoding: "a\nb" }],
    [`header proxy-authorization: ${VALUE}`, {}, { extra: [["Proxy-Authorization", "a\nb"]] }],
    ['header "a b": its name is no token (RFC 9110 §5.1)', one("a b", "c")],
    [`header "${"x ".repeat(16)}": its name is no token (RFC 9110 §5.1)`, one("x ".repeat(40), "c")],
    ['header "": its name is no token (RFC 9110 §5.1)', {}, { extra: [["", "c"]] }],
    ...["Host", "Content-Length", "Transfer-Encoding", "Trailer", "Expect"].map(
      (name): [string, Partial<OutgoingHead>] => {
        const value = name === "Expect" ? "100-continue" : "1";
        return [
          `header ${name.toLowerCase()}: it is there twice`,
          { ...STREAM, fields: [[name, value], [name.toUpperCase(), value]] }, // biome-ignore format: one row
        ];
      },
    ),
    [
      "header expect: 100-continue is the only expectation there is (RFC 9110 §10.1.1)",
      { ...STREAM, ...one("Expect", "200-ok") },
    ],
    ["header expect: there is no body to wait with (RFC 9110 §10.1.1)", one("Expect", "100-continue")],
    [
      "header expect: there is no body to wait with (RFC 9110 §10.1.1)",
      { method: "POST", bodyLength: 0, ...one("Expect", "100-continue") },
    ],
    ["header te: trailers is all that can be asked for (RFC 9110 §10.1.4)", one("TE", "gzip")],
    ["header upgrade: it is no list of protocols (RFC 9110 §7.8)", one("Upgrade", "a b")],
    ["header upgrade: it is no list of protocols (RFC 9110 §7.8)", one("Upgrade", ",")],
    ["header connection: it is no list of tokens (RFC 9110 §7.6.1)", one("Connection", "a b")],
    ...["host", "content-length", "transfer-encoding"].map((name): [string, Partial<OutgoingHead>] => [
      `header connection: it names ${name}, which every recipient needs (RFC 9110 §7.6.1)`,
      one("Connection", `close, ${name.toUpperCase()}`),
    ]),
    ...["b", "a b"].map((value): [string, Partial<OutgoingHead>] => [
      "header trailer: it does not name the trailers of this request (RFC 9110 §6.6.2)",
      { ...STREAM, trailerNames: ["a"], ...one("Trailer", value) },
    ]),
    ["trailers: a name is no token (RFC 9110 §5.1)", { ...STREAM, trailerNames: ["a", "a b"] }],
    ["trailer host: it may not come after the body (RFC 9110 §6.5.1)", { ...STREAM, trailerNames: ["Host"] }],
  ])("%s", (words, head, options) => {
    const error = thrownBy(() => write(head, options));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({
      message: `Cannot write request, ${words}`,
      field: words.slice(0, words.indexOf(": ")),
    });
  });

  test.each<[string, string, string]>([
    ["trailer a: its value has a byte that no field may have", "A", "b\nc"],
    ["trailers: a name is no token (RFC 9110 §5.1)", "a b", "c"],
    ["trailer trailer: it may not come after the body (RFC 9110 §6.5.1)", "Trailer", "c"],
  ])("and so does lastChunk(): %s", (words, name, value) => {
    expect(thrownBy(() => lastChunk([[name, value]]))).toMatchObject({ message: `Cannot write request, ${words}` });
  });

  test("a line more than was written is a broken rule of our own, with how many there should be", () => {
    let read = 0;
    const shifty: [string, string] = ["A", "b"];
    Object.defineProperty(shifty, 1, { get: () => (read++ === 0 ? "b" : "b\nX: y") });
    const error = thrownBy(() => write({ fields: [shifty] }));
    expect(error).toBeInstanceOf(InvariantError);
    expect(error).toMatchObject({ message: "Cannot write request: its head has other than 5 lines" });
  });
});

describe("writeHead() and what is asked for besides", () => {
  const lines = (head: Partial<OutgoingHead>, options: Partial<WriterOptions> = {}) =>
    write(head, options).text.split("\r\n").slice(2, -2);

  test("encodingAsked says whether our Accept-Encoding went out", () => {
    const options = { acceptEncoding: "gzip" };
    const asked = (head: Partial<OutgoingHead>, own: Partial<WriterOptions> = options) =>
      write(head, own).encodingAsked;
    expect(asked({})).toBe(true);
    expect([
      asked({}, {}),
      asked({ method: "HEAD" }),
      asked(one("Range", "bytes=0-1")),
      asked(one("Accept-Encoding", "br")),
    ]).toEqual([false, false, false, false]);
  });

  test("the transport's close is not said with Upgrade or CONNECT, and the caller's is", () => {
    const close = { close: true };
    expect(write({}, close)).toMatchObject({ close: true });
    expect(write(one("Upgrade", "foo"), close)).toMatchObject({ close: false, upgrade: ["foo"] });
    expect(lines(one("Upgrade", "foo"), close)).toEqual(["Accept: */*", "Connection: Upgrade", "Upgrade: foo"]);
    const tunnel = { method: "CONNECT", target: "peer:1" };
    expect(write(tunnel, close)).toMatchObject({ close: false });
    expect(lines(tunnel, close)).toEqual(["Accept: */*"]);
    expect(write({ ...tunnel, ...one("Connection", "close") }, close)).toMatchObject({ close: true });
  });

  test("an extra field stands beside others of the caller's, of the same length too, and gives way to its own name", () => {
    const extra = { extra: [["X-Abc", "1"]] as const };
    const added = ["Accept: */*", "X-Abc: 1"];
    expect(lines({}, extra)).toEqual(added);
    expect(lines(one("X-Xyz", "2"), extra)).toEqual([...added, "X-Xyz: 2"]);
    const own: Partial<OutgoingHead> = { fields: [["x-aBC", "2"], ["Other", "3"]] }; // biome-ignore format: one row
    expect(lines(own, extra)).toEqual(["Accept: */*", "x-aBC: 2", "Other: 3"]);
  });

  test("a field whose name is as long as Host stays where it is", () => {
    expect(lines(one("Date", "today"))).toEqual(["Accept: */*", "Date: today"]);
  });

  test("an empty list of trailers is none", () => {
    const chunked = { ...STREAM, trailerNames: [] };
    expect(lines(chunked)).toEqual(["Accept: */*", "Transfer-Encoding: chunked"]);
    expect(lines({ ...chunked, ...one("Content-Length", "5") })).toEqual(["Accept: */*", "Content-Length: 5"]);
  });
});
