/** How a request's body is framed, and the words with which it is refused. */

import { describe, expect, test } from "vitest";
import { LocalProtocolError } from "../../lib/errors.ts";
import { chooseFraming, isForbiddenTrailer } from "../../lib/wire/body-framing.ts";

type Input = Parameters<typeof chooseFraming>[0];

const input = (given: Partial<Input>): Input => ({
  method: "POST",
  bodyLength: undefined,
  trailers: false,
  contentLength: null,
  transferEncoding: null,
  ...given,
});

describe("chooseFraming() refuses, and says why", () => {
  test.each<[string, Partial<Input>]>([
    ["body: TRACE has no body (RFC 9110 §9.3.8)", { method: "TRACE", bodyLength: 1 }],
    ["body: CONNECT has no body (RFC 9110 §9.3.6)", { method: "CONNECT", bodyLength: null }],
    [
      "header transfer-encoding: it stands beside a Content-Length (RFC 9112 §6.2)",
      { transferEncoding: "chunked", contentLength: "1", bodyLength: 1 },
    ],
    ["header transfer-encoding: only chunked can be sent (RFC 9112 §6.1)", { transferEncoding: "gzip", bodyLength: 1 }],
    ["header transfer-encoding: there is no body", { transferEncoding: "chunked" }],
    [
      "trailers: only a chunked body has them, and Content-Length was given (RFC 9112 §7.1.2)",
      { trailers: true, contentLength: "1", bodyLength: 1 },
    ],
    ["header content-length: it says 2 bytes, the body has 3 (RFC 9110 §8.6)", { contentLength: "2", bodyLength: 3 }],
    ["header content-length: it says 2 bytes, the body has 0 (RFC 9110 §8.6)", { contentLength: "2" }],
    ["trailers: there is no body before them (RFC 9112 §7.1.2)", { trailers: true }],
    ["body: its length is no number of bytes", { bodyLength: -1 }],
    ["body: its length is no number of bytes", { bodyLength: 2 ** 53 }],
    ["header content-length: it is no number of bytes (RFC 9110 §8.6)", { contentLength: "1x", bodyLength: 1 }],
  ])("%s", (words, given) => {
    let error: unknown;
    try {
      chooseFraming(input(given));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({
      message: `Cannot write request, ${words}`,
      field: words.slice(0, words.indexOf(":")),
    });
  });

  test.each(["TRACE", "CONNECT"])("but takes an empty body for none, of %s too", (method) => {
    expect(chooseFraming(input({ method, bodyLength: 0 }))).toEqual({ kind: "none" });
  });

  test("and takes a length of several digits, with blanks round it, for what it is", () => {
    const framing = { kind: "content-length", length: 120 };
    expect(chooseFraming(input({ contentLength: " 120\t", bodyLength: 120 }))).toEqual(framing);
    expect(chooseFraming(input({ contentLength: "120", bodyLength: null }))).toEqual(framing);
  });
});

test("isForbiddenTrailer(): framing, routing, modifiers, authentication and format come before the content (RFC 9110 §6.5.1)", () => {
  const forbidden = [
    ...["transfer-encoding", "content-length", "host", "trailer", "te", "connection", "keep-alive", "proxy-connection"],
    ...["upgrade", "expect", "max-forwards", "cache-control", "pragma", "range", "if-match", "if-none-match"],
    ...["if-modified-since", "if-unmodified-since", "if-range", "authorization", "proxy-authorization", "cookie"],
    ...["set-cookie", "content-encoding", "content-type", "content-range"],
  ];
  for (const name of forbidden) {
    expect(isForbiddenTrailer(name), name).toBe(true);
    expect(isForbiddenTrailer(name.toUpperCase()), name).toBe(true);
  }
  for (const name of ["digest", "x-host", "", "etag"]) expect(isForbiddenTrailer(name)).toBe(false);
});
