/**
 * Responses that a client must read, each differing from the others in one rule, and what it must understand: written by
 * hand from RFC 9110 and 9112, not recorded. `spec/wire/response-parser.spec.ts` runs each whole, a byte at a time and cut
 * at every byte.
 *
 * Then responses that it must refuse, each for one rule.
 */

import type { EventRecord, HeadRecord, Pairs } from "./record.ts";

export interface CorpusCase {
  /** The rule, in plain words, with its section. */
  readonly rule: string;
  /** Of the request that it answers; GET where absent. */
  readonly method?: string;
  /** latin1. */
  readonly bytes: string;
  readonly events: readonly EventRecord[];
  /** What follows the message and is not of it. */
  readonly rest?: string;
}

export interface RefusalCase {
  readonly rule: string;
  readonly method?: string;
  readonly bytes: string;
  /** Part of the error as `record` tells it. */
  readonly error: string;
}

// Words for the tables

type More = Partial<Omit<HeadRecord, "status" | "fields" | "framing">>;

function headRecord(status: number, framing: HeadRecord["framing"], fields: Pairs, more: More = {}): HeadRecord {
  return {
    status,
    statusText: "OK",
    minorVersion: 1,
    fields,
    framing,
    contentLength: null,
    keepAlive: framing !== "close" && framing !== "tunnel",
    keepAliveTimeoutMs: null,
    keepAliveMax: null,
    ...more,
  };
}

const head = (...args: Parameters<typeof headRecord>): EventRecord => ["head", headRecord(...args)];
const information = (...args: Parameters<typeof headRecord>): EventRecord => ["information", headRecord(...args)];
const data = (text: string): EventRecord => ["data", text];
const trailers = (...fields: [string, string][]): EventRecord => ["trailers", fields];
const end: EventRecord = ["end"];

/** A chunked message: the head that all cases of chunked coding share, and these bytes after it. */
function chunked(rule: string, coded: string, body: readonly EventRecord[], rest?: string): CorpusCase {
  return {
    rule,
    bytes: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${coded}`,
    events: [head(200, "chunked", [["Transfer-Encoding", "chunked"]]), ...body, end],
    ...(rest === undefined ? {} : { rest }),
  };
}

/** A head with this field besides `Content-Length: 0`, and what the field is understood as. */
function field(rule: string, line: string, name: string, value: string, more: More = {}): CorpusCase {
  return {
    rule,
    bytes: `HTTP/1.1 200 OK\r\n${line}\r\nContent-Length: 0\r\n\r\n`,
    events: [
      head(
        200,
        "none",
        [
          [name, value],
          ["Content-Length", "0"],
        ],
        more,
      ),
      end,
    ],
  };
}

const LONG = "v".repeat(10_000);

export const CORPUS: readonly CorpusCase[] = [
  // Status line
  {
    rule: "a body of Content-Length bytes (RFC 9112 §6.3 rule 6)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    events: [head(200, "length", [["Content-Length", "5"]], { contentLength: 5 }), data("hello"), end],
  },
  {
    rule: "an empty reason phrase (RFC 9112 §4)",
    bytes: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    events: [head(200, "none", [["Content-Length", "0"]], { statusText: "" }), end],
  },
  {
    rule: "no reason phrase and no blank before it, as some servers have it (RFC 9112 §4)",
    bytes: "HTTP/1.1 204\r\n\r\n",
    events: [head(204, "none", [], { statusText: "" }), end],
  },
  {
    rule: "a reason phrase with blanks, tabs and latin1 (RFC 9112 §4: obs-text)",
    bytes: "HTTP/1.1 404 Nicht  gef\xfcnden\t!\r\nContent-Length: 0\r\n\r\n",
    events: [head(404, "none", [["Content-Length", "0"]], { statusText: "Nicht  gef\xfcnden\t!" }), end],
  },
  {
    rule: "a reason phrase of one character (RFC 9112 §4)",
    bytes: "HTTP/1.1 299 x\r\nContent-Length: 0\r\n\r\n",
    events: [head(299, "none", [["Content-Length", "0"]], { statusText: "x" }), end],
  },
  {
    rule: "a reason phrase that looks like a status line (RFC 9112 §4)",
    bytes: "HTTP/1.1 200 HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    events: [head(200, "none", [["Content-Length", "0"]], { statusText: "HTTP/1.1 200 OK" }), end],
  },
  {
    rule: "a status that is not registered (RFC 9110 §15)",
    bytes: "HTTP/1.1 799 Odd\r\nContent-Length: 1\r\n\r\n!",
    events: [head(799, "length", [["Content-Length", "1"]], { statusText: "Odd", contentLength: 1 }), data("!"), end],
  },
  {
    rule: "empty lines before the status line (RFC 9112 §2.2)",
    bytes: "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    events: [head(200, "none", [["Content-Length", "0"]]), end],
  },
  {
    rule: "HTTP/1.0 closes after its response (RFC 9112 §9.3)",
    bytes: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    events: [
      head(200, "length", [["Content-Length", "2"]], { minorVersion: 0, contentLength: 2, keepAlive: false }),
      data("ok"),
      end,
    ],
  },
  {
    rule: "HTTP/1.0 with keep-alive does not close (RFC 9112 §9.3)",
    bytes: "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
    events: [
      head(
        200,
        "length",
        [
          ["Connection", "Keep-Alive"],
          ["Content-Length", "2"],
        ],
        { minorVersion: 0, contentLength: 2 },
      ),
      data("ok"),
      end,
    ],
  },
  {
    rule: "HTTP/1.0 without length ends with the connection (RFC 9112 §6.3 rule 8)",
    bytes: "HTTP/1.0 200 OK\r\n\r\nall of it\r\n",
    events: [head(200, "close", [], { minorVersion: 0 }), data("all of it\r\n"), end],
  },

  // Bodies
  {
    rule: "a body that ends with the connection (RFC 9112 §6.3 rule 8)",
    bytes: "HTTP/1.1 200 OK\r\nServer: s\r\n\r\nuntil the end",
    events: [head(200, "close", [["Server", "s"]]), data("until the end"), end],
  },
  {
    rule: "a body that ends with the connection and is empty (RFC 9112 §6.3 rule 8)",
    bytes: "HTTP/1.1 200 OK\r\n\r\n",
    events: [head(200, "close", []), end],
  },
  {
    rule: "keep-alive cannot save a body that ends with the connection (RFC 9112 §9.3)",
    bytes: "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nx",
    events: [head(200, "close", [["Connection", "keep-alive"]]), data("x"), end],
  },
  {
    rule: "a body that looks like a response is a body (RFC 9112 §6)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    events: [
      head(200, "length", [["Content-Length", "19"]], { contentLength: 19 }),
      data("HTTP/1.1 200 OK\r\n\r\n"),
      end,
    ],
  },
  {
    rule: "a body of every byte (RFC 9112 §6)",
    bytes: `HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n${everyChar()}`,
    events: [head(200, "length", [["Content-Length", "256"]], { contentLength: 256 }), data(everyChar()), end],
  },
  {
    rule: "what follows the last body byte is not of the message (RFC 9112 §6.3)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
    events: [head(200, "length", [["Content-Length", "2"]], { contentLength: 2 }), data("ok"), end],
    rest: "HTTP/1.1 200 OK\r\n\r\n",
  },
  {
    rule: "not even a CRLF after it is (RFC 9112 §2.2)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
    events: [head(200, "length", [["Content-Length", "2"]], { contentLength: 2 }), data("ok"), end],
    rest: "\r\n",
  },
  {
    rule: "Content-Length with leading zeros (RFC 9110 §8.6: 1*DIGIT)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 0003\r\n\r\nabc",
    events: [head(200, "length", [["Content-Length", "0003"]], { contentLength: 3 }), data("abc"), end],
  },
  {
    rule: "Content-Length in odd case, without a blank (RFC 9110 §5.1)",
    bytes: "HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:3\r\n\r\nabc",
    events: [head(200, "length", [["cOnTeNt-LeNgTh", "3"]], { contentLength: 3 }), data("abc"), end],
  },
  {
    rule: "Content-Length with blanks around it (RFC 9110 §5.5)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: \t 3  \r\n\r\nabc",
    events: [head(200, "length", [["Content-Length", "3"]], { contentLength: 3 }), data("abc"), end],
  },
  {
    rule: "Content-Length with a TAB after it (RFC 9110 §5.6.3: OWS)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 3\t\r\n\r\nabc",
    events: [head(200, "length", [["Content-Length", "3"]], { contentLength: 3 }), data("abc"), end],
  },
  {
    rule: "the same Content-Length twice is one (RFC 9110 §8.6)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\ncontent-length: 3\r\n\r\nabc",
    events: [
      head(
        200,
        "length",
        [
          ["Content-Length", "3"],
          ["A", "b"],
        ],
        { contentLength: 3 },
      ),
      data("abc"),
      end,
    ],
  },
  {
    rule: "the same Content-Length as a list is one (RFC 9110 §8.6)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 3 , 3,3\r\n\r\nabc",
    events: [head(200, "length", [["Content-Length", "3"]], { contentLength: 3 }), data("abc"), end],
  },
  {
    rule: "the greatest Content-Length that can be counted, to a HEAD (RFC 9110 §8.6)",
    method: "HEAD",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740991\r\n\r\n",
    events: [head(200, "none", [["Content-Length", "9007199254740991"]]), end],
  },

  // Where there is no body, whatever the fields say
  {
    rule: "a response to HEAD has no body (RFC 9112 §6.3 rule 1)",
    method: "HEAD",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    events: [head(200, "none", [["Content-Length", "5"]]), end],
  },
  {
    rule: "a response to HEAD may say chunked (RFC 9112 §6.1)",
    method: "HEAD",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    events: [head(200, "none", [["Transfer-Encoding", "chunked"]]), end],
  },
  {
    rule: "a response to HEAD without framing ends there, and does not close (RFC 9112 §6.3 rule 1)",
    method: "HEAD",
    bytes: "HTTP/1.1 200 OK\r\n\r\n",
    events: [head(200, "none", []), end],
  },
  {
    rule: "methods are case-sensitive: head is not HEAD (RFC 9110 §9.1)",
    method: "head",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    events: [head(200, "length", [["Content-Length", "5"]], { contentLength: 5 }), data("hello"), end],
  },
  {
    rule: "a body sent to HEAD is left alone (RFC 9112 §6.3 rule 1)",
    method: "HEAD",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    events: [head(200, "none", [["Content-Length", "5"]]), end],
    rest: "hello",
  },
  {
    rule: "204 has no body (RFC 9112 §6.3 rule 1)",
    bytes: "HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n",
    events: [head(204, "none", [["Server", "s"]], { statusText: "No Content" }), end],
  },
  {
    rule: "204 that frames a body is not followed by another request (RFC 9110 §8.6)",
    bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    events: [head(204, "none", [["Content-Length", "5"]], { statusText: "No Content", keepAlive: false }), end],
    rest: "hello",
  },
  {
    rule: "204 with Content-Length: 0 does no harm (RFC 9110 §8.6)",
    bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    events: [head(204, "none", [["Content-Length", "0"]], { statusText: "No Content" }), end],
  },
  {
    rule: "204 that says chunked has no chunks (RFC 9112 §6.1)",
    bytes: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    events: [
      head(204, "none", [["Transfer-Encoding", "chunked"]], { statusText: "No Content", keepAlive: false }),
      end,
    ],
    rest: "0\r\n\r\n",
  },
  {
    rule: "304 has no body, and tells the length of another (RFC 9110 §15.4.5)",
    bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n',
    events: [
      head(
        304,
        "none",
        [
          ["Content-Length", "1234"],
          ["ETag", '"x"'],
        ],
        { statusText: "Not Modified" },
      ),
      end,
    ],
  },
  {
    rule: "205 is framed by its fields (RFC 9110 §15.3.6)",
    bytes: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
    events: [head(205, "none", [["Content-Length", "0"]], { statusText: "Reset Content" }), end],
  },

  // Tunnels
  {
    rule: "2xx to CONNECT begins a tunnel, whatever its fields say (RFC 9110 §9.3.6)",
    method: "CONNECT",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03\x01",
    events: [head(200, "tunnel", [["Content-Length", "5"]])],
    rest: "\x16\x03\x01",
  },
  {
    rule: "a transfer coding in a 2xx to CONNECT is ignored, known or not (RFC 9110 §9.3.6)",
    method: "CONNECT",
    bytes: "HTTP/1.1 299 Fine\r\nTransfer-Encoding: gzip\r\n\r\n",
    events: [head(299, "tunnel", [["Transfer-Encoding", "gzip"]], { statusText: "Fine" })],
  },
  {
    rule: "a refusal of CONNECT is an ordinary response (RFC 9110 §9.3.6)",
    method: "CONNECT",
    bytes: "HTTP/1.1 407 Auth\r\nContent-Length: 2\r\n\r\nno",
    events: [head(407, "length", [["Content-Length", "2"]], { statusText: "Auth", contentLength: 2 }), data("no"), end],
  },
  {
    rule: "after 101 the bytes are not HTTP (RFC 9110 §15.2.2)",
    bytes: "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nHTTP/1.1 no more",
    events: [
      head(
        101,
        "tunnel",
        [
          ["Upgrade", "x"],
          ["Connection", "upgrade"],
        ],
        { statusText: "Switching" },
      ),
    ],
    rest: "HTTP/1.1 no more",
  },
  {
    rule: "101 is a tunnel without Upgrade too (RFC 9110 §15.2.2)",
    bytes: "HTTP/1.1 101 Switching\r\n\r\n",
    events: [head(101, "tunnel", [], { statusText: "Switching" })],
  },
  {
    rule: "Upgrade in another status is an offer (RFC 9110 §7.8)",
    bytes: "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\n.",
    events: [
      head(
        200,
        "length",
        [
          ["Upgrade", "h2c"],
          ["Connection", "Upgrade"],
          ["Content-Length", "1"],
        ],
        { contentLength: 1 },
      ),
      data("."),
      end,
    ],
  },

  // 1xx
  {
    rule: "100 comes before the answer (RFC 9110 §15.2)",
    bytes: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    events: [
      information(100, "none", [], { statusText: "Continue" }),
      head(200, "length", [["Content-Length", "2"]], { contentLength: 2 }),
      data("ok"),
      end,
    ],
  },
  {
    rule: "several 1xx come before the answer (RFC 9110 §15.2)",
    bytes:
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" +
      "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
    events: [
      information(103, "none", [["Link", "</a>"]], { statusText: "Early Hints" }),
      information(102, "none", [], { statusText: "Processing" }),
      information(103, "none", [["Link", "</b>"]], { statusText: "Early Hints" }),
      head(204, "none", [], { statusText: "None" }),
      end,
    ],
  },
  {
    rule: "a 1xx that says close is followed by its answer, which is the last (RFC 9112 §9.6)",
    bytes: "HTTP/1.1 103 Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    events: [
      information(103, "none", [["Connection", "close"]], { statusText: "Hints", keepAlive: false }),
      head(200, "none", [["Content-Length", "0"]], { keepAlive: false }),
      end,
    ],
  },
  {
    rule: "a 1xx with the version HTTP/1.0 is followed by its answer (RFC 9110 §15.2)",
    bytes: "HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    events: [
      information(100, "none", [], { statusText: "Continue", minorVersion: 0, keepAlive: false }),
      head(200, "none", [["Content-Length", "0"]]),
      end,
    ],
  },
  {
    rule: "a 1xx to HEAD (RFC 9110 §15.2)",
    method: "HEAD",
    bytes: "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    events: [information(103, "none", [], { statusText: "Hints" }), head(200, "none", [["Content-Length", "9"]]), end],
  },
  {
    rule: "101 after 100 (RFC 9110 §7.8)",
    bytes: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Go\r\n\r\nraw",
    events: [information(100, "none", [], { statusText: "Continue" }), head(101, "tunnel", [], { statusText: "Go" })],
    rest: "raw",
  },

  // Chunked
  chunked("one chunk (RFC 9112 §7.1)", "5\r\nhello\r\n0\r\n\r\n", [data("hello")]),
  chunked("several chunks are one body (RFC 9112 §7.1)", "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n", [
    data("hello, world"),
  ]),
  chunked("no chunk at all (RFC 9112 §7.1)", "0\r\n\r\n", []),
  chunked('a last chunk of many zeros (RFC 9112 §7.1: 1*"0")', "1\r\n.\r\n0000000\r\n\r\n", [data(".")]),
  chunked(
    "sizes with leading zeros, in both cases (RFC 9112 §7.1: HEXDIG)",
    "000A\r\n0123456789\r\n0b\r\n0123456789.\r\n0\r\n\r\n",
    [data("01234567890123456789.")],
  ),
  chunked("data that looks like framing (RFC 9112 §7.1)", "5\r\n0\r\n\r\n\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", [
    data("0\r\n\r\n\r\n0\r\n\r\n"),
  ]),
  chunked("an extension is skipped (RFC 9112 §7.1.1)", "2;name\r\nok\r\n0;last=1\r\n\r\n", [data("ok")]),
  chunked(
    "an extension with a quoted value, a quoted pair and a semicolon in it (RFC 9112 §7.1.1)",
    '2;a="x\\"y; z\\\\";b=c\r\nok\r\n0\r\n\r\n',
    [data("ok")],
  ),
  chunked(
    "blanks around the semicolon and the equals sign (RFC 9112 §7.1.1: BWS)",
    '2 \t;\ta = b\t;c  =\t"d" ; e\r\nok\r\n0 ;x\r\n\r\n',
    [data("ok")],
  ),
  chunked("latin1 in a quoted value (RFC 9110 §5.6.4: obs-text)", '1;a="\xe4\x80"\r\n.\r\n0\r\n\r\n', [data(".")]),
  chunked("chunked data of CRLFs (RFC 9112 §7.1)", "4\r\n\r\n\r\n\r\n0\r\n\r\n", [data("\r\n\r\n")]),
  chunked(
    "what follows the last chunk is not of the message (RFC 9112 §7.1)",
    "1\r\n.\r\n0\r\n\r\n\r\nHTTP",
    [data(".")],
    "\r\nHTTP",
  ),
  chunked("trailers (RFC 9112 §7.1.2)", "1\r\n.\r\n0\r\nDigest: abc\r\nX: \r\n\r\n", [
    data("."),
    trailers(["Digest", "abc"], ["X", ""]),
  ]),
  chunked("trailers after no data, with blanks round a value (RFC 9110 §6.5)", "0\r\nA:\t b c \t\r\nA: d\r\n\r\n", [
    trailers(["A", "b c"], ["A", "d"]),
  ]),
  chunked(
    "framing fields among the trailers frame nothing (RFC 9110 §6.5.1)",
    "0\r\nContent-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\nhello",
    [
      trailers(
        ["Content-Length", "5"],
        ["Content-Length", "6"],
        ["Transfer-Encoding", "gzip"],
        ["Connection", "close"],
      ),
    ],
    "hello",
  ),
  chunked("a folded trailer (RFC 9112 §5.2)", "0\r\nA: b \r\n\t c\r\n\r\n", [trailers(["A", "b c"])]),
  chunked("a trailer in latin1 (RFC 9110 §5.5: obs-text)", "0\r\nName: \xff\xfe\r\n\r\n", [
    trailers(["Name", "\xff\xfe"]),
  ]),
  {
    rule: "chunked in any case (RFC 9112 §7)",
    bytes: "HTTP/1.1 200 OK\r\ntransfer-ENCODING: CHUNKed\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    events: [head(200, "chunked", [["transfer-ENCODING", "CHUNKed"]]), data("x"), end],
  },
  {
    rule: "chunked with a TAB after it (RFC 9110 §5.6.3: OWS)",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    events: [head(200, "chunked", [["Transfer-Encoding", "chunked"]]), data("x"), end],
  },
  {
    rule: "chunked in a list with empty members (RFC 9110 §5.6.1.2)",
    bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked ,\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    events: [head(200, "chunked", [["Transfer-Encoding", "chunked"]]), data("x"), end],
  },
  {
    rule: "chunked from HTTP/1.0 is read, and the connection used no more (RFC 9112 §6.1)",
    bytes: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    events: [
      head(
        200,
        "chunked",
        [
          ["Connection", "keep-alive"],
          ["Transfer-Encoding", "chunked"],
        ],
        { minorVersion: 0, keepAlive: false },
      ),
      data("x"),
      end,
    ],
  },

  // Fields
  field("a value without a blank before it (RFC 9112 §5)", "A:b", "A", "b"),
  field("an empty value (RFC 9110 §5.5)", "A:", "A", ""),
  field("a value of blanks is empty (RFC 9110 §5.5)", "A: \t ", "A", ""),
  field("blanks around a value are not of it, those within are (RFC 9110 §5.5)", "A:  \tb \t c\t ", "A", "b \t c"),
  field("a value in latin1 (RFC 9110 §5.5: obs-text)", "Name: \xc4\x80\xff", "Name", "\xc4\x80\xff"),
  field("a value with a colon and quotes (RFC 9110 §5.5)", 'A: b: "c"', "A", 'b: "c"'),
  field("a name of every kind of character (RFC 9110 §5.6.2)", "!#$%&'*+-.^_`|~09aZ: b", "!#$%&'*+-.^_`|~09aZ", "b"),
  field("a value of 10,000 bytes (RFC 9110 §5.4)", `Long: ${LONG}`, "Long", LONG),
  field("a name of 10,000 bytes (RFC 9110 §5.4)", `${LONG}: x`, LONG, "x"),
  field("obs-fold is one SP (RFC 9112 §5.2)", "A: b\r\n c", "A", "b c"),
  field("obs-fold with blanks on both sides is one SP (RFC 9112 §5.2)", "A: b \t\r\n \t c", "A", "b c"),
  field("obs-fold in several lines (RFC 9112 §5.2)", "A: b\r\n c\r\n\td", "A", "b c d"),
  field("obs-fold after nothing (RFC 9112 §5.2)", "A:\r\n b", "A", "b"),
  field("obs-fold before nothing (RFC 9112 §5.2)", "A: b\r\n ", "A", "b"),
  field("a name like those that frame, but longer (RFC 9110 §5.1)", "Content-Lengths: 7", "Content-Lengths", "7"),
  field("another name as long as Content-Length (RFC 9110 §5.1)", "Xontent-Length: 7", "Xontent-Length", "7"),
  {
    rule: "obs-fold in a framing field (RFC 9112 §5.2)",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length:\r\n 3\r\n\r\nabc",
    events: [head(200, "length", [["Content-Length", "3"]], { contentLength: 3 }), data("abc"), end],
  },
  {
    rule: "repeated names stay apart and in order (RFC 9110 §5.3)",
    bytes: "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nB: x\r\nset-cookie: c\r\nContent-Length: 0\r\n\r\n",
    events: [
      head(200, "none", [
        ["Set-Cookie", "a"],
        ["B", "x"],
        ["set-cookie", "c"],
        ["Content-Length", "0"],
      ]),
      end,
    ],
  },
  {
    rule: "__proto__ is a name like others (RFC 9110 §5.1)",
    bytes: "HTTP/1.1 200 OK\r\n__proto__: a\r\nconstructor: b\r\nContent-Length: 0\r\n\r\n",
    events: [
      head(200, "none", [
        ["__proto__", "a"],
        ["constructor", "b"],
        ["Content-Length", "0"],
      ]),
      end,
    ],
  },
  {
    rule: "a hundred fields (RFC 9110 §5.4)",
    bytes: `HTTP/1.1 200 OK\r\n${Array.from({ length: 100 }, (_, i) => `N${i}: v${i}\r\n`).join("")}Content-Length: 0\r\n\r\n`,
    events: [
      head(200, "none", [
        ...Array.from({ length: 100 }, (_, i) => [`N${i}`, `v${i}`] as const),
        ["Content-Length", "0"],
      ]),
      end,
    ],
  },

  // Persistence
  field("close (RFC 9112 §9.6)", "Connection: close", "Connection", "close", { keepAlive: false }),
  field("close in any case (RFC 9110 §7.6.1)", "CONNECTION: ClOsE", "CONNECTION", "ClOsE", { keepAlive: false }),
  field("close in a list (RFC 9110 §7.6.1)", "Connection: foo ,\tClose, bar", "Connection", "foo ,\tClose, bar", {
    keepAlive: false,
  }),
  field(
    "close beside keep-alive closes (RFC 9112 §9.3)",
    "Connection: keep-alive, close",
    "Connection",
    "keep-alive, close",
    {
      keepAlive: false,
    },
  ),
  field("0xA0 is no blank (RFC 9110 §5.6.3)", "A: \xa0b\xa0", "A", "\xa0b\xa0"),
  field(
    "Connection with a member that is no token, and close (RFC 9110 §7.6.1)",
    "Connection: a b, close",
    "Connection",
    "a b, close",
    { keepAlive: false },
  ),
  field("close and 0xA0 is another word (RFC 9110 §5.6.3)", "Connection: a, close\xa0", "Connection", "a, close\xa0"),
  field(
    "a word that contains close is another (RFC 9110 §7.6.1)",
    "Connection: close-notify",
    "Connection",
    "close-notify",
  ),
  {
    rule: "close in the second Connection field (RFC 9110 §5.3)",
    bytes: "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    events: [
      head(
        200,
        "none",
        [
          ["Connection", "keep-alive"],
          ["Connection", "close"],
          ["Content-Length", "0"],
        ],
        { keepAlive: false },
      ),
      end,
    ],
  },
  field("Keep-Alive: timeout (RFC 2068 §19.7.1.1)", "Keep-Alive: timeout=5", "Keep-Alive", "timeout=5", {
    keepAliveTimeoutMs: 5000,
  }),
  field(
    "Keep-Alive in another order and case, with blanks",
    "keep-alive: MAX = 100 ,Timeout= 7",
    "keep-alive",
    "MAX = 100 ,Timeout= 7",
    {
      keepAliveTimeoutMs: 7000,
      keepAliveMax: 100,
    },
  ),
  field(
    "Keep-Alive: what is no number is left out",
    "Keep-Alive: timeout=soon, max=3",
    "Keep-Alive",
    "timeout=soon, max=3",
    {
      keepAliveMax: 3,
    },
  ),
  {
    rule: "Keep-Alive over two fields (RFC 9110 §5.3)",
    bytes: "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nKeep-Alive: max=9\r\nContent-Length: 0\r\n\r\n",
    events: [
      head(
        200,
        "none",
        [
          ["Keep-Alive", "timeout=5"],
          ["Keep-Alive", "max=9"],
          ["Content-Length", "0"],
        ],
        { keepAliveTimeoutMs: 5000, keepAliveMax: 9 },
      ),
      end,
    ],
  },
];

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

export const REFUSALS: readonly RefusalCase[] = [
  // Status line
  { rule: "not HTTP at all", bytes: "SSH-2.0-OpenSSH_9.2\r\n", error: "Expected HTTP/" },
  { rule: "HTTP/2.0 (RFC 9112 §2.3)", bytes: "HTTP/2.0 200 OK\r\n\r\n", error: "version other than" },
  { rule: "HTTP/0.9 (RFC 9112 §2.3)", bytes: "HTTP/0.9 200 OK\r\n\r\n", error: "version other than" },
  { rule: "HTTP/1.2 (RFC 9112 §2.3)", bytes: "HTTP/1.2 200 OK\r\n\r\n", error: "version" },
  { rule: "RTSP (RFC 9112 §2.3)", bytes: "RTSP/1.0 200 OK\r\n\r\n", error: "version other than" },
  { rule: "ICE (RFC 9112 §2.3)", bytes: "ICE/1.0 200 OK\r\n\r\n", error: "version other than" },
  { rule: "lower case http (RFC 9112 §2.3)", bytes: "http/1.1 200 OK\r\n\r\n", error: "Expected HTTP/" },
  { rule: "two blanks before the status (RFC 9112 §4)", bytes: "HTTP/1.1  200 OK\r\n\r\n", error: "Invalid status" },
  { rule: "status of two digits (RFC 9110 §15)", bytes: "HTTP/1.1 20 OK\r\n\r\n", error: "status" },
  { rule: "status of four digits (RFC 9110 §15)", bytes: "HTTP/1.1 2000 OK\r\n\r\n", error: "status" },
  { rule: "status with a sign (RFC 9110 §15)", bytes: "HTTP/1.1 +20 OK\r\n\r\n", error: "status" },
  { rule: "status 000 (RFC 9110 §15)", bytes: "HTTP/1.1 000 OK\r\n\r\n", error: "status below 100" },
  { rule: "status 099 (RFC 9110 §15)", bytes: "HTTP/1.1 099 OK\r\nA: b\r\n\r\n", error: "status below 100" },
  {
    rule: "a control byte in the reason phrase (RFC 9112 §4)",
    bytes: "HTTP/1.1 200 O\x01K\r\n\r\n",
    error: "control byte",
  },
  { rule: "NUL in the reason phrase (RFC 9112 §4)", bytes: "HTTP/1.1 200 OK\0\r\nA: b\r\n\r\n", error: "control byte" },
  { rule: "DEL in the reason phrase (RFC 9112 §4)", bytes: "HTTP/1.1 200 OK\x7f\r\n\r\n", error: "control byte" },
  {
    rule: "bare LF after the status line (RFC 9112 §2.2)",
    bytes: "HTTP/1.1 200 OK\nA: b\r\n\r\n",
    error: "Missing expected CR",
  },
  {
    rule: "bare CR in the reason phrase (RFC 9112 §2.2)",
    bytes: "HTTP/1.1 200 O\rK: b\r\n\r\n",
    error: "Expected LF after CR",
  },
  {
    rule: "bare CR after the status line (RFC 9112 §2.2)",
    bytes: "HTTP/1.1 200 OK\r\rContent-Length: 4\r\n\r\n",
    error: "bare CR after the status line",
  },
  {
    rule: "bare LF before the status line (RFC 9112 §2.2)",
    bytes: "\nHTTP/1.1 200 OK\r\n\r\n",
    error: "bare CR or LF",
  },
  {
    rule: "bare CR before the status line (RFC 9112 §2.2)",
    bytes: "\rHTTP/1.1 200 OK\r\n\r\n",
    error: "bare CR or LF",
  },

  // Fields
  { rule: "a blank before the first field (RFC 9112 §2.2)", bytes: `${OK} A: b\r\n\r\n`, error: "Unexpected space" },
  {
    rule: "a TAB before the first field: the status line cannot be folded (RFC 9112 §2.2)",
    bytes: `${OK}\tA: b\r\n\r\n`,
    error: "Invalid header token",
  },
  {
    rule: "a TAB before the first field, and a fold behind it (RFC 9112 §2.2)",
    bytes: `${OK}\tContent-Length: 3\r\nA: b\r\n c\r\n\r\nabc`,
    error: "Invalid header token",
  },
  {
    rule: "a tab and spaces before the first field, where equal lengths follow (RFC 9112 §2.2)",
    bytes: `${OK}\t  A: b\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    error: "Invalid header token",
  },
  { rule: "a blank before the colon (RFC 9112 §5.1)", bytes: `${OK}A : b\r\n\r\n`, error: "Invalid header token" },
  { rule: "a field without a colon (RFC 9112 §5)", bytes: `${OK}Abc\r\n\r\n`, error: "Invalid header token" },
  { rule: "an empty name (RFC 9112 §5)", bytes: `${OK}: b\r\n\r\n`, error: "Invalid header token" },
  { rule: "a name in latin1 (RFC 9110 §5.1)", bytes: `${OK}N\xe4me: b\r\n\r\n`, error: "Invalid header token" },
  { rule: "NUL in a value (RFC 9110 §5.5)", bytes: `${OK}A: b\0c\r\n\r\n`, error: "Invalid header value char" },
  {
    rule: "a control byte in a value (RFC 9110 §5.5)",
    bytes: `${OK}A: b\x1b[31m\r\n\r\n`,
    error: "Invalid header value char",
  },
  { rule: "DEL in a value (RFC 9110 §5.5)", bytes: `${OK}A: \x7f\r\n\r\n`, error: "Invalid header value char" },
  { rule: "bare CR in a value (RFC 9112 §2.2)", bytes: `${OK}A: b\rc\r\n\r\n`, error: "Missing expected LF" },
  { rule: "bare LF after a value (RFC 9112 §2.2)", bytes: `${OK}A: b\nC: d\r\n\r\n`, error: "Missing expected CR" },
  { rule: "bare LF for the empty line (RFC 9112 §2.2)", bytes: `${OK}A: b\r\n\n`, error: "Invalid header field char" },
  {
    rule: "bare LF, then a line that begins with a blank: no obs-fold, which is CRLF and blanks (RFC 9112 §5.2)",
    bytes: `${OK}A: b\r\n\n c`,
    error: "Invalid header field char",
  },
  { rule: "bare CR for the empty line (RFC 9112 §2.2)", bytes: `${OK}A: b\r\n\rX`, error: "Expected LF" },
  {
    rule: "a control byte after obs-fold (RFC 9110 §5.5)",
    bytes: `${OK}A: b\r\n \x01\r\n\r\n`,
    error: "Invalid header value char",
  },
  {
    rule: "a bare CR after obs-fold (RFC 9112 §2.2)",
    bytes: `${OK}A: b\r\n c\rD: e\r\n\r\n`,
    error: "Missing expected LF",
  },
  {
    rule: "a blank line of blanks as the first field (RFC 9112 §2.2)",
    bytes: `${OK} \r\n\r\n`,
    error: "Unexpected space",
  },

  // Framing
  {
    rule: "Content-Length that is empty (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: \r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length with a sign (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: +5\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length below zero (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: -5\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length in hexadecimal (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 0x5\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length with a fraction (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 5.0\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length with a blank inside (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 1 2\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length with a TAB inside (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 1\t2\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "two Content-Lengths that differ (RFC 9112 §6.3 rule 5)",
    bytes: `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "a list of Content-Lengths that differ (RFC 9112 §6.3 rule 5)",
    bytes: `${OK}Content-Length: 5, 6\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "a list of Content-Lengths with an empty member (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 5,\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "equal Content-Lengths that are no numbers (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 5x, 5x\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length of 2^53 (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 9007199254740992\r\n\r\n`,
    error: "above 2^53",
  },
  {
    rule: "Content-Length of 2^64 (RFC 9110 §8.6)",
    bytes: `${OK}Content-Length: 18446744073709551616\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length that differs, to a HEAD (RFC 9112 §6.3)",
    method: "HEAD",
    bytes: `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
    error: "Content-Length",
  },
  {
    rule: "Content-Length before Transfer-Encoding (RFC 9112 §6.3 rule 3)",
    bytes: `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    error: "Transfer-Encoding can't be present",
  },
  {
    rule: "Content-Length after Transfer-Encoding (RFC 9112 §6.3 rule 3)",
    bytes: `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`,
    error: "Content-Length can't be present",
  },
  {
    rule: "an empty Transfer-Encoding (RFC 9112 §6.1)",
    bytes: `${OK}Transfer-Encoding:\r\n\r\n`,
    error: "empty Transfer-Encoding",
  },
  {
    rule: "an empty Transfer-Encoding beside Content-Length (RFC 9112 §6.3)",
    bytes: `${OK}Transfer-Encoding:\r\nContent-Length: 4\r\n\r\nabcd`,
    error: "Transfer-Encoding",
  },
  {
    rule: "gzip (RFC 9112 §6.1: we asked for none)",
    bytes: `${OK}Transfer-Encoding: gzip\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "gzip, chunked (RFC 9112 §6.1)",
    bytes: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "chunked, gzip (RFC 9112 §6.1)",
    bytes: `${OK}Transfer-Encoding: chunked, gzip\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "chunked, chunked (RFC 9112 §6.1)",
    bytes: `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "chunked in two fields (RFC 9112 §6.1)",
    bytes: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    error: "Transfer-Encoding",
  },
  {
    rule: "identity (RFC 9112 §7)",
    bytes: `${OK}Transfer-Encoding: identity\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "xchunked (RFC 9112 §7)",
    bytes: `${OK}Transfer-Encoding: xchunked\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "chunked with a parameter (RFC 9112 §7.1)",
    bytes: `${OK}Transfer-Encoding: chunked;x=y\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "chunked before 0xA0, which is no blank (RFC 9110 §5.6.3)",
    bytes: `${OK}Transfer-Encoding: chunked\xa0\r\n\r\n`,
    error: "other than one chunked",
  },
  {
    rule: "chunked behind a vertical tab (RFC 9110 §5.5)",
    bytes: `${OK}Transfer-Encoding: \vchunked\r\n\r\n`,
    error: "RemoteProtocolError",
  },

  // Chunks
  { rule: "an empty chunk size (RFC 9112 §7.1)", bytes: `${CHUNKED}\r\n`, error: "not hexadecimal" },
  { rule: "a chunk size that is not hexadecimal (RFC 9112 §7.1)", bytes: `${CHUNKED}5g\r\n`, error: "not hexadecimal" },
  {
    rule: "a chunk size with 0x (RFC 9112 §7.1)",
    bytes: `${CHUNKED}0x5\r\nhello\r\n0\r\n\r\n`,
    error: "not hexadecimal",
  },
  { rule: "a chunk size with a sign (RFC 9112 §7.1)", bytes: `${CHUNKED}+5\r\nhello\r\n`, error: "not hexadecimal" },
  { rule: "a blank before a chunk size (RFC 9112 §7.1)", bytes: `${CHUNKED} 5\r\nhello\r\n`, error: "not hexadecimal" },
  {
    rule: "blanks after a chunk size without extension (RFC 9112 §7.1)",
    bytes: `${CHUNKED}5 \r\nhello\r\n`,
    error: "after blanks",
  },
  { rule: "a chunk size of 2^53 (RFC 9112 §7.1)", bytes: `${CHUNKED}20000000000000\r\n`, error: "above 2^53" },
  { rule: "a chunk size of 2^64 + 1 (RFC 9112 §7.1)", bytes: `${CHUNKED}10000000000000001\r\n`, error: "above 2^53" },
  { rule: "bare LF after a chunk size (RFC 9112 §2.2)", bytes: `${CHUNKED}5\nhello\r\n`, error: "bare LF" },
  { rule: "bare CR after a chunk size (RFC 9112 §2.2)", bytes: `${CHUNKED}5\r5\r\nhello\r\n`, error: "bare CR" },
  { rule: "bare LF in a chunk extension (RFC 9112 §2.2)", bytes: `${CHUNKED}5;a\nb\r\nhello\r\n`, error: "bare LF" },
  {
    rule: "bare LF in a quoted extension value (RFC 9112 §2.2)",
    bytes: `${CHUNKED}5;a="\n"\r\nhello\r\n`,
    error: "bare LF",
  },
  {
    rule: "an extension without a name (RFC 9112 §7.1.1)",
    bytes: `${CHUNKED}5;\r\nhello\r\n`,
    error: "within an extension",
  },
  {
    rule: "an extension without a value after its = (RFC 9112 §7.1.1)",
    bytes: `${CHUNKED}5;a=\r\nhello\r\n`,
    error: "within an extension",
  },
  {
    rule: "an extension with a quoted value that does not end (RFC 9112 §7.1.1)",
    bytes: `${CHUNKED}5;a="b\r\nhello\r\n`,
    error: "within an extension",
  },
  {
    rule: "NUL in an extension (RFC 9112 §7.1.1)",
    bytes: `${CHUNKED}5;a=\0\r\nhello\r\n`,
    error: "invalid chunk extension",
  },
  {
    rule: "more data than the chunk size says (RFC 9112 §7.1)",
    bytes: `${CHUNKED}4\r\nhello\r\n0\r\n\r\n`,
    error: "without its CRLF",
  },
  {
    rule: "less data than the chunk size says (RFC 9112 §7.1)",
    bytes: `${CHUNKED}6\r\nhello\r\n0\r\n\r\n`,
    error: "RemoteProtocolError",
  },
  {
    rule: "bare LF after chunk data (RFC 9112 §2.2)",
    bytes: `${CHUNKED}5\r\nhello\n0\r\n\r\n`,
    error: "without its CRLF",
  },
  {
    rule: "two bytes after chunk data that are no CRLF (RFC 9112 §7.1)",
    bytes: `${CHUNKED}5\r\nhelloXX0\r\n\r\n`,
    error: "without its CRLF",
  },
  {
    rule: "a blank before the colon of a trailer (RFC 9112 §5.1)",
    bytes: `${CHUNKED}0\r\nA : b\r\n\r\n`,
    error: "invalid trailer",
  },
  { rule: "a trailer without a colon (RFC 9112 §5)", bytes: `${CHUNKED}0\r\nAbc\r\n\r\n`, error: "invalid trailer" },
  {
    rule: "a folded line as the first trailer (RFC 9112 §5.2)",
    bytes: `${CHUNKED}0\r\n A: b\r\n\r\n`,
    error: "invalid trailer",
  },
  { rule: "NUL in a trailer (RFC 9110 §5.5)", bytes: `${CHUNKED}0\r\nA: \0\r\n\r\n`, error: "invalid trailer" },
  { rule: "bare LF in a trailer (RFC 9112 §2.2)", bytes: `${CHUNKED}0\r\nA: b\nC: d\r\n\r\n`, error: "bare LF" },
  { rule: "bare CR in a trailer (RFC 9112 §2.2)", bytes: `${CHUNKED}0\r\nA: b\rC: d\r\n\r\n`, error: "bare CR" },
  { rule: "bare LF for the empty line after trailers (RFC 9112 §2.2)", bytes: `${CHUNKED}0\r\n\n`, error: "bare LF" },

  // 1xx
  {
    rule: "a malformed answer after a 1xx (RFC 9112 §4)",
    bytes: "HTTP/1.1 100 Continue\r\n\r\nHTTP/9.9 200 OK\r\n\r\n",
    error: "version",
  },
  {
    rule: "a 1xx with a body (RFC 9110 §15.2)",
    bytes: "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
    error: "Expected HTTP/",
  },
];

function everyChar(): string {
  return Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
}
