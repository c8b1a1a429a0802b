/** Request writer: what goes out, in which order, who wins, and what is refused. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvariantError, LocalProtocolError } from "../../lib/errors.ts";
import {
  CHUNK_END,
  chunkHeader,
  lastChunk,
  type OutgoingHead,
  type WriterOptions,
} from "../../lib/wire/request-writer.ts";
import { thrownBy } from "../support/thrown-by.ts";
import { write } from "./plain-head.ts";

interface Written {
  readonly rule: string;
  readonly head: Partial<OutgoingHead>;
  readonly options?: Partial<WriterOptions>;
  /** Lines after the request line and Host, as they stand between CRLFs. */
  readonly lines?: readonly string[];
  /** All of it, where the first two lines matter. */
  readonly text?: string;
  readonly framing?: unknown;
  readonly close?: boolean;
  readonly expectContinue?: boolean;
}

const all: Partial<WriterOptions> = { userAgent: "persistconn/1", acceptEncoding: "gzip, br" };
const POST: Partial<OutgoingHead> = { method: "POST", bodyLength: 5, contentType: "text/plain" };
const STREAM: Partial<OutgoingHead> = { method: "POST", bodyLength: null };

const WRITTEN: readonly Written[] = [
  {
    rule: "the order of what goes out by itself",
    head: { ...POST, fields: [["X-Mine", "1"]], expectContinue: true },
    options: { ...all, close: true, extra: [["Proxy-Authorization", "Basic eDp5"]] },
    text:
      "POST / HTTP/1.1\r\nHost: peer\r\nUser-Agent: persistconn/1\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\n" +
      "Content-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\nExpect: 100-continue\r\n" +
      "Proxy-Authorization: Basic eDp5\r\nX-Mine: 1\r\n\r\n",
    close: true,
    expectContinue: true,
  },
  {
    rule: "a GET without fields",
    head: { target: "/a?b=c", authority: "peer:8080" },
    options: all,
    text: "GET /a?b=c HTTP/1.1\r\nHost: peer:8080\r\nUser-Agent: persistconn/1\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\n\r\n",
  },
  {
    rule: "the caller's fields in their order and case, repeats and empty values too",
    head: {
      fields: [
        ["x-B", "2"],
        ["X-a", ""],
        ["x-B", "1"],
      ],
    },
    lines: ["Accept: */*", "x-B: 2", "X-a: ", "x-B: 1"],
  },
  {
    rule: "a value in latin1, with tabs (RFC 9110 §5.5)",
    head: { fields: [["X", "\xe4\tb\xff"]] },
    lines: ["Accept: */*", "X: \xe4\tb\xff"],
  },
  {
    rule: "a caller's field takes the place of ours, where it stands",
    head: {
      ...POST,
      fields: [
        ["first", "1"],
        ["USER-AGENT", "mine"],
        ["accept", "text/html"],
        ["accept-encoding", "identity"],
        ["content-TYPE", "text/html"],
        ["content-length", "5"],
      ],
    },
    options: all,
    lines: [
      "first: 1",
      "USER-AGENT: mine",
      "accept: text/html",
      "accept-encoding: identity",
      "content-TYPE: text/html",
      "content-length: 5",
    ],
    framing: { kind: "content-length", length: 5 },
  },
  {
    rule: "a caller's Host comes first all the same (RFC 9110 §7.2)",
    head: {
      fields: [
        ["A", "b"],
        ["hOsT", "other:81"],
      ],
    },
    text: "GET / HTTP/1.1\r\nhOsT: other:81\r\nAccept: */*\r\nA: b\r\n\r\n",
  },
  { rule: "an empty userAgent leaves User-Agent out", head: {}, lines: ["Accept: */*"] },
  {
    rule: "no Accept-Encoding with HEAD",
    head: { method: "HEAD" },
    options: { acceptEncoding: "gzip" },
    lines: ["Accept: */*"],
  },
  {
    rule: "no Accept-Encoding with Range",
    head: { fields: [["range", "bytes=0-1"]] },
    options: { acceptEncoding: "gzip" },
    lines: ["Accept: */*", "range: bytes=0-1"],
  },
  {
    rule: "an extra field gives way to the caller's of the same name",
    head: { fields: [["proxy-authorization", "Bearer x"]] },
    options: { extra: [["Proxy-Authorization", "Basic eDp5"]] },
    lines: ["Accept: */*", "proxy-authorization: Bearer x"],
  },

  // Targets
  {
    rule: "absolute-form for a proxy (RFC 9112 §3.2.2)",
    head: { target: "/a?b", authority: "peer:81" },
    options: { absoluteForm: true },
    text: "GET http://peer:81/a?b HTTP/1.1\r\nHost: peer:81\r\nAccept: */*\r\n\r\n",
  },
  {
    rule: "absolute-form with the caller's Host: the two are the same (RFC 9112 §3.2.2)",
    head: { fields: [["Host", "other"]] },
    options: { absoluteForm: true },
    text: "GET http://other/ HTTP/1.1\r\nHost: other\r\nAccept: */*\r\n\r\n",
  },
  {
    rule: "asterisk-form (RFC 9112 §3.2.4)",
    head: { method: "OPTIONS", target: "*" },
    text: "OPTIONS * HTTP/1.1\r\nHost: peer\r\nAccept: */*\r\n\r\n",
  },
  {
    rule: "asterisk-form to a proxy is an empty path (RFC 9112 §3.2.4)",
    head: { method: "OPTIONS", target: "*" },
    options: { absoluteForm: true },
    text: "OPTIONS http://peer HTTP/1.1\r\nHost: peer\r\nAccept: */*\r\n\r\n",
  },
  {
    rule: "authority-form (RFC 9112 §3.2.3)",
    head: { method: "CONNECT", target: "[::1]:443", authority: "[::1]:443" },
    text: "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nAccept: */*\r\n\r\n",
  },
  {
    rule: "a target goes out as given: no part of it is decoded or encoded",
    head: { target: "//x/../%2e%2E/{}|^`\"<>\\?a=b'&&" },
    text: "GET //x/../%2e%2E/{}|^`\"<>\\?a=b'&& HTTP/1.1\r\nHost: peer\r\nAccept: */*\r\n\r\n",
  },
  {
    rule: "a method is case-sensitive and may be anything that is a token (RFC 9110 §9.1)",
    head: { method: "m-Search!" },
    text: "m-Search! / HTTP/1.1\r\nHost: peer\r\nAccept: */*\r\n\r\n",
  },

  // Framing
  ...["POST", "PUT", "PATCH"].map((method) => ({
    rule: `${method} without a body says Content-Length: 0 (RFC 9110 §8.6)`,
    head: { method },
    lines: ["Accept: */*", "Content-Length: 0"],
    framing: { kind: "content-length", length: 0 },
  })),
  ...["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "post"].map((method) => ({
    rule: `${method} without a body says nothing of it (RFC 9110 §8.6)`,
    head: { method },
    lines: ["Accept: */*"],
    framing: { kind: "none" },
  })),
  {
    rule: "an empty body on GET is no body, and has no type",
    head: { bodyLength: 0, contentType: "text/plain" },
    lines: ["Accept: */*"],
    framing: { kind: "none" },
  },
  {
    rule: "GET may have a body (RFC 9110 §9.3.1)",
    head: { bodyLength: 3, contentType: "text/plain" },
    lines: ["Accept: */*", "Content-Type: text/plain", "Content-Length: 3"],
    framing: { kind: "content-length", length: 3 },
  },
  {
    rule: "a body of unknown length is chunked (RFC 9112 §6.1)",
    head: STREAM,
    lines: ["Accept: */*", "Transfer-Encoding: chunked"],
    framing: { kind: "chunked" },
  },
  {
    rule: "a caller's Content-Length frames a body of unknown length (RFC 9112 §6.2)",
    head: { ...STREAM, fields: [["Content-Length", "7"]] },
    lines: ["Accept: */*", "Content-Length: 7"],
    framing: { kind: "content-length", length: 7 },
  },
  {
    rule: "a caller's chunked frames a body of known length (RFC 9112 §6.1)",
    head: { ...POST, contentType: null, fields: [["transfer-encoding", " Chunked"]] },
    lines: ["Accept: */*", "transfer-encoding:  Chunked"],
    framing: { kind: "chunked" },
  },
  {
    rule: "a caller's Content-Length: 0 where there is no body",
    head: { method: "DELETE", fields: [["content-length", "0"]] },
    lines: ["Accept: */*", "content-length: 0"],
    framing: { kind: "content-length", length: 0 },
  },
  {
    rule: "trailers make the body chunked, and are announced (RFC 9110 §6.6.2)",
    head: { ...POST, contentType: null, trailerNames: ["Digest", "X-Sum"] },
    lines: ["Accept: */*", "Transfer-Encoding: chunked", "Trailer: Digest, X-Sum"],
    framing: { kind: "chunked" },
  },
  {
    rule: "a caller's Trailer that names them all takes the place of ours",
    head: { ...STREAM, trailerNames: ["Digest"], fields: [["trailer", "x, DIGEST"]] },
    lines: ["Accept: */*", "Transfer-Encoding: chunked", "trailer: x, DIGEST"],
  },

  // Connection, TE, Upgrade, Expect
  {
    rule: "close (RFC 9112 §9.6)",
    head: {},
    options: { close: true },
    lines: ["Accept: */*", "Connection: close"],
    close: true,
  },
  {
    rule: "a caller's close, in a list and in any case (RFC 9110 §7.6.1)",
    head: { fields: [["connection", "foo,\tCLOSE"]] },
    lines: ["Accept: */*", "connection: foo,\tCLOSE"],
    close: true,
  },
  {
    rule: "close joins a caller's Connection",
    head: { fields: [["Connection", "foo"]] },
    options: { close: true },
    lines: ["Accept: */*", "Connection: foo, close"],
    close: true,
  },
  {
    rule: "close joins an empty Connection",
    head: { fields: [["Connection", " "]] },
    options: { close: true },
    lines: ["Accept: */*", "Connection: close"],
    close: true,
  },
  {
    rule: "close is not said twice",
    head: { fields: [["Connection", "close"]] },
    options: { close: true },
    lines: ["Accept: */*", "Connection: close"],
    close: true,
  },
  {
    rule: "keep-alive does not close",
    head: { fields: [["Connection", "keep-alive"]] },
    lines: ["Accept: */*", "Connection: keep-alive"],
  },
  {
    rule: "TE is named in Connection (RFC 9110 §10.1.4)",
    head: { fields: [["te", "trailers"]] },
    lines: ["Accept: */*", "Connection: TE", "te: trailers"],
  },
  {
    rule: "TE joins the last Connection that the caller gave, unless one has it",
    head: {
      fields: [
        ["Connection", "a"],
        ["TE", "Trailers"],
        ["connection", "b"],
      ],
    },
    options: { close: true },
    lines: ["Accept: */*", "Connection: a", "TE: Trailers", "connection: b, close, TE"],
    close: true,
  },
  {
    rule: "TE that the caller named is not named again",
    head: {
      fields: [
        ["Connection", "te"],
        ["TE", "trailers"],
      ],
    },
    lines: ["Accept: */*", "Connection: te", "TE: trailers"],
  },
  {
    rule: "Upgrade is named in Connection (RFC 9110 §7.8)",
    head: { fields: [["Upgrade", "websocket"]] },
    lines: ["Accept: */*", "Connection: Upgrade", "Upgrade: websocket"],
  },
  {
    rule: "Upgrade may be a list, in several fields, with versions (RFC 9110 §7.8)",
    head: {
      fields: [
        ["Connection", "upgrade"],
        ["Upgrade", "h2c, foo/1"],
        ["upgrade", "bar"],
      ],
    },
    lines: ["Accept: */*", "Connection: upgrade", "Upgrade: h2c, foo/1", "upgrade: bar"],
  },
  {
    rule: "a caller's Expect waits (RFC 9110 §10.1.1)",
    head: { ...POST, contentType: null, fields: [["expect", "100-Continue"]] },
    lines: ["Accept: */*", "Content-Length: 5", "expect: 100-Continue"],
    expectContinue: true,
  },
  {
    rule: "expectContinue is not said twice",
    head: { ...STREAM, expectContinue: true, fields: [["Expect", "100-continue"]] },
    lines: ["Accept: */*", "Transfer-Encoding: chunked", "Expect: 100-continue"],
    expectContinue: true,
  },
  {
    rule: "expectContinue without content expects nothing (RFC 9110 §10.1.1)",
    head: { method: "POST", expectContinue: true },
    lines: ["Accept: */*", "Content-Length: 0"],
  },
];

describe("writeHead()", () => {
  test.each(WRITTEN)("$rule", ({ head, options, lines, text, framing, close = false, expectContinue = false }) => {
    const written = write(head, options);
    if (text !== undefined) expect(written.text).toBe(text);
    if (lines !== undefined) expect(written.text.split("\r\n").slice(2, -2)).toEqual(lines);
    expect(written.text.endsWith("\r\n\r\n")).toBe(true);
    if (framing !== undefined) expect(written.framing).toEqual(framing);
    expect(written.close).toBe(close);
    expect(written.expectContinue).toBe(expectContinue);
  });
});

interface Refused {
  readonly rule: string;
  readonly head: Partial<OutgoingHead>;
  readonly options?: Partial<WriterOptions>;
  /** `LocalProtocolError.field`. */
  readonly field: string;
}

const one = (name: string, value: string): Partial<OutgoingHead> => ({ fields: [[name, value]] });
const twice = (a: string, b: string, value: string): Partial<OutgoingHead> => ({
  fields: [
    [a, value],
    [b, value],
  ],
});

const REFUSED: readonly Refused[] = [
  // R1: nothing gets into the head that is not what it should be
  ...["", "G T", "GET\r\nX: y", "GET\n", "GÉT", "G(T", "GET\0"].map((method) => ({
    rule: `method ${JSON.stringify(method)} (RFC 9110 §9.1)`,
    head: { method },
    field: "method",
  })),
  ...[
    "",
    "x",
    "http://other/",
    "*",
    "/ ",
    "/\r\n",
    "/\n",
    "/\t",
    "/\0",
    "/\x7f",
    "/\xe4",
    "/\u{1F600}",
    "/\u010a",
    "/#f",
  ].map((target) => ({ rule: `target ${JSON.stringify(target)} (RFC 9112 §3.2)`, head: { target }, field: "target" })),
  { rule: "CONNECT to a path (RFC 9112 §3.2.3)", head: { method: "CONNECT", target: "/" }, field: "target" },
  { rule: "CONNECT without a port (RFC 9112 §3.2.3)", head: { method: "CONNECT", target: "peer" }, field: "target" },
  ...["", "a b", "peer\r\nX: y", "peer\n", "peer/", "user@peer", "[::1", "peer:80x", "p\xe9er", "peer\0", "%zz"].map(
    (authority) => ({
      rule: `authority ${JSON.stringify(authority)} (RFC 9110 §7.2)`,
      head: { authority },
      field: "url",
    }),
  ),
  ...["", "a b", "peer\r\nX: y", "peer, peer", "http://peer", "user@peer"].map((host) => ({
    rule: `Host ${JSON.stringify(host)} (RFC 9110 §7.2)`,
    head: one("Host", host),
    field: "header host",
  })),
  ...["a\r\nX: y", "a\nX: y", "a\ry", "a\0", "a\x1b", "a\x7f", "\u010d", "a\u010aX: y"].flatMap((value) => [
    {
      rule: `value ${JSON.stringify(value)} of a field (RFC 9110 §5.5)`,
      head: one("X-Mine", value),
      field: "header x-mine",
    },
    {
      rule: `Content-Type ${JSON.stringify(value)} of a body (CVE-2022-35948)`,
      head: { ...POST, contentType: value },
      field: "header content-type",
    },
    {
      rule: `User-Agent ${JSON.stringify(value)} of the options`,
      head: {},
      options: { userAgent: value },
      field: "header user-agent",
    },
    {
      rule: `Accept-Encoding ${JSON.stringify(value)} of the options`,
      head: {},
      options: { acceptEncoding: value },
      field: "header accept-encoding",
    },
    {
      rule: `value ${JSON.stringify(value)} of an extra field`,
      head: {},
      options: { extra: [["Proxy-Authorization", value] as const] },
      field: "header proxy-authorization",
    },
  ]),
  ...["", "a b", "a:", "a\r\nb", "\xe4", "(a)", "a\0"].map((name) => ({
    rule: `name ${JSON.stringify(name)} (RFC 9110 §5.1)`,
    head: one(name, "x"),
    field: `header ${JSON.stringify(name)}`,
  })),
  {
    rule: "the name of an extra field (RFC 9110 §5.1)",
    head: {},
    options: { extra: [["a b", "c"]] },
    field: 'header "a b"',
  },

  // R4: one of each that frames or routes
  ...["Host", "Content-Length", "Transfer-Encoding", "Expect", "Trailer"].map((name) => ({
    rule: `${name} twice, in different case (CVE-2026-1525)`,
    head: {
      ...STREAM,
      trailerNames: name === "Trailer" ? ["a"] : null,
      ...twice(
        name,
        name.toUpperCase(),
        { Host: "a", "Content-Length": "5", Expect: "100-continue", Trailer: "a" }[name] ?? "chunked",
      ),
    },
    field: `header ${name.toLowerCase()}`,
  })),
  {
    rule: "Content-Length beside Transfer-Encoding (RFC 9112 §6.2)",
    head: {
      ...STREAM,
      fields: [
        ["Content-Length", "5"],
        ["Transfer-Encoding", "chunked"],
      ],
    },
    field: "header transfer-encoding",
  },
  {
    rule: "Content-Length that is not the body's (RFC 9110 §8.6)",
    head: { ...POST, ...one("Content-Length", "4") },
    field: "header content-length",
  },
  {
    rule: "Content-Length where there is no body (RFC 9110 §8.6)",
    head: one("content-length", "4"),
    field: "header content-length",
  },
  ...["", "x", "+5", "5.0", "0x5", "5, 5", "-5", "9007199254740992", "5e0", "\xa05"].map((value) => ({
    rule: `Content-Length ${JSON.stringify(value)} (RFC 9110 §8.6)`,
    head: { ...STREAM, ...one("Content-Length", value) },
    field: "header content-length",
  })),
  ...["gzip", "gzip, chunked", "chunked, chunked", "identity", "", "chunked;q=1", "chunked\xa0"].map((value) => ({
    rule: `Transfer-Encoding ${JSON.stringify(value)} (RFC 9112 §6.1)`,
    head: { ...STREAM, ...one("Transfer-Encoding", value) },
    field: "header transfer-encoding",
  })),
  {
    rule: "chunked where there is no body",
    head: one("Transfer-Encoding", "chunked"),
    field: "header transfer-encoding",
  },
  { rule: "an empty Upgrade (RFC 9110 §7.8)", head: { fields: [["Upgrade", " , "]] }, field: "header upgrade" },
  {
    rule: "an Upgrade that is no list (RFC 9110 §7.8)",
    head: { fields: [["Upgrade", "a b"]] },
    field: "header upgrade",
  },
  { rule: "TRACE with a body (RFC 9110 §9.3.8)", head: { method: "TRACE", bodyLength: 1 }, field: "body" },
  {
    rule: "TRACE with a body of unknown length (RFC 9110 §9.3.8)",
    head: { method: "TRACE", bodyLength: null },
    field: "body",
  },
  {
    rule: "CONNECT with a body (RFC 9110 §9.3.6)",
    head: { method: "CONNECT", target: "peer:1", bodyLength: 1 },
    field: "body",
  },
  ...[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53].map((bodyLength) => ({
    rule: `a body of ${bodyLength} bytes`,
    head: { method: "POST", bodyLength },
    field: "body",
  })),

  // Trailers
  {
    rule: "trailers without a body (RFC 9112 §7.1.2)",
    head: { method: "POST", trailerNames: ["a"] },
    field: "trailers",
  },
  {
    rule: "trailers beside Content-Length (RFC 9112 §7.1.2)",
    head: { ...STREAM, trailerNames: ["a"], ...one("Content-Length", "5") },
    field: "trailers",
  },
  {
    rule: "a trailer whose name is no token (RFC 9110 §5.1)",
    head: { ...STREAM, trailerNames: ["a b"] },
    field: "trailers",
  },
  ...["Content-Length", "transfer-ENCODING", "Host", "Trailer", "Authorization", "Set-Cookie", "Content-Type"].map(
    (name) => ({
      rule: `${name} as a trailer (RFC 9110 §6.5.1)`,
      head: { ...STREAM, trailerNames: [name] },
      field: `trailer ${name.toLowerCase()}`,
    }),
  ),
  {
    rule: "Trailer without trailers (RFC 9110 §6.6.2)",
    head: { ...STREAM, ...one("Trailer", "a") },
    field: "header trailer",
  },
  {
    rule: "Trailer that does not name them all (RFC 9110 §6.6.2)",
    head: { ...STREAM, trailerNames: ["a", "b"], ...one("Trailer", "a") },
    field: "header trailer",
  },

  // Connection, TE, Expect
  {
    rule: "Connection that is no list of tokens (RFC 9110 §7.6.1)",
    head: one("Connection", "a b"),
    field: "header connection",
  },
  ...["Host", "content-length", "Transfer-Encoding"].map((name) => ({
    rule: `Connection that names ${name} (RFC 9110 §7.6.1)`,
    head: one("Connection", `close, ${name}`),
    field: "header connection",
  })),
  ...["gzip", "trailers, deflate;q=0.5", "chunked", "", "trailers\xa0"].map((value) => ({
    rule: `TE ${JSON.stringify(value)} (RFC 9110 §10.1.4; RFC 9112 §7.4)`,
    head: one("TE", value),
    field: "header te",
  })),
  ...["200-ok", "100-continue, x", ""].map((value) => ({
    rule: `Expect ${JSON.stringify(value)} (RFC 9110 §10.1.1)`,
    head: { ...POST, ...one("Expect", value) },
    field: "header expect",
  })),
  { rule: "Expect without content (RFC 9110 §10.1.1)", head: one("Expect", "100-continue"), field: "header expect" },
];

describe("writeHead() refuses", () => {
  test.each(REFUSED)("$rule", ({ head, options, field }) => {
    const error = thrownBy(() => write(head, options));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect((error as LocalProtocolError).field).toBe(field);
  });

  test("and never prints the value of a field", () => {
    const secret = "hunter2";
    for (const head of [
      one("Authorization", `${secret}\n`),
      one("Host", `${secret} x`),
      one("Connection", `${secret} x`),
      one("TE", secret),
      { ...STREAM, ...one("Content-Length", secret) },
      { ...STREAM, ...one("Transfer-Encoding", secret) },
    ]) {
      expect(`${thrownBy(() => write(head))}`).not.toContain(secret);
    }
    expect(`${thrownBy(() => write(one(`Authorization: Bearer ${"x".repeat(40)}${secret}`, "")))}`).not.toContain(
      secret,
    );
  });

  test("a value that prints differently each time (an object with its own toString)", () => {
    let asked = 0;
    const shifty = { toString: () => (asked++ === 0 ? "fine" : "a\r\nX: y"), length: 4 } as unknown as string; // what JavaScript callers can pass
    expect(thrownBy(() => write(one("A", shifty)))).toBeInstanceOf(LocalProtocolError);
    expect(thrownBy(() => write({ target: shifty }))).toBeInstanceOf(LocalProtocolError);
    expect(thrownBy(() => write({ ...POST, contentType: shifty }))).toBeInstanceOf(LocalProtocolError);
  });

  test("a field that changes between the check and the writing: the lines are counted last", () => {
    for (const later of ["b\r\nX: y", "b\nX: y", "b\rX: y"]) {
      let read = 0;
      const shifty: [string, string] = ["A", "b"];
      Object.defineProperty(shifty, 1, { get: () => (read++ === 0 ? "b" : later) });
      expect(thrownBy(() => write({ fields: [shifty] }))).toBeInstanceOf(InvariantError);
    }
  });

  test("or writes exactly the lines that it was given, whatever these are", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 8 }),
      fc
        .array(fc.constantFrom("a", "\r", "\n", "\r\n", ":", " ", "\0", "\xe4", "\u010a", "/", "x: y"), {
          maxLength: 5,
        })
        .map((p) => p.join("")),
      fc.constantFrom(
        "GET",
        "POST",
        "/",
        "/a?b",
        "peer",
        "peer:80",
        "Host",
        "Connection",
        "close",
        "TE",
        "trailers",
        "5",
        "chunked",
      ),
    );
    fc.assert(
      fc.property(
        text,
        text,
        text,
        fc.array(fc.tuple(text, text), { maxLength: 3 }),
        text,
        (method, target, authority, fields, type) => {
          const head = { method, target, authority, fields, bodyLength: null, contentType: type };
          let written: string;
          try {
            written = write(head).text;
          } catch (error) {
            expect(error).toBeInstanceOf(LocalProtocolError);
            return;
          }
          const lines = written.split("\r\n");
          expect(lines[0]).toBe(`${method} ${target} HTTP/1.1`);
          expect(lines.slice(-2)).toEqual(["", ""]);
          for (const [name, value] of fields)
            expect(lines.some((line) => line.startsWith(`${name}: ${value}`))).toBe(true);
          expect(written).not.toMatch(/[^\t\r\n\x20-\x7e\x80-\xff]/);
          expect(written.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("after a good value of the same kind too: what is remembered is the value, not that there was one", () => {
    expect(write({}, all).text).toContain("persistconn/1");
    expect(thrownBy(() => write({}, { ...all, userAgent: "persistconn/1\r\nX: y" }))).toBeInstanceOf(
      LocalProtocolError,
    );
    expect(thrownBy(() => write({}, { ...all, acceptEncoding: "gzip\nX: y" }))).toBeInstanceOf(LocalProtocolError);
    expect(thrownBy(() => write({ authority: "peer\r\nX: y" }))).toBeInstanceOf(LocalProtocolError);
    expect(write({}, all).text).toContain("persistconn/1");
  });
});

describe("chunks", () => {
  test("chunkHeader() is the size in hexadecimal (RFC 9112 §7.1)", () => {
    expect([1, 10, 255, 65_536].map(chunkHeader)).toEqual(["1\r\n", "a\r\n", "ff\r\n", "10000\r\n"]);
    expect(CHUNK_END).toBe("\r\n");
  });

  test("chunkHeader() makes no empty chunk: it would end the body (RFC 9112 §7.1)", () => {
    expect(() => chunkHeader(0)).toThrow("it is empty");
  });

  test("lastChunk() ends a body, with its trailers in order (RFC 9112 §7.1.2)", () => {
    expect(lastChunk([])).toBe("0\r\n\r\n");
    expect(
      lastChunk([
        ["Digest", "abc"],
        ["x", ""],
      ]),
    ).toBe("0\r\nDigest: abc\r\nx: \r\n\r\n");
  });

  test.each([
    ["a name that is no token", "a b", "c", "trailers"],
    ["a line break in a value", "a", "b\r\nc: d", "trailer a"],
    ["Content-Length (RFC 9110 §6.5.1)", "Content-Length", "5", "trailer content-length"],
    ["Transfer-Encoding (RFC 9110 §6.5.1)", "TRANSFER-encoding", "chunked", "trailer transfer-encoding"],
  ])("lastChunk() refuses %s", (_, name, value, field) => {
    const error = thrownBy(() => lastChunk([[name, value]]));
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect((error as LocalProtocolError).field).toBe(field);
  });
});
