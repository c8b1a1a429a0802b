/**
 * Where other readers of responses differ from ours, and why: each row with the section that it rests on. A difference
 * that no row explains fails the run; so does nothing else, which is why each row says as much as it can about the bytes.
 *
 * `laxer` rows are of bytes that a recipient must or may refuse, `stricter` ones of bytes that it must read, and `other`
 * ones of what both read.
 */

import type { Difference } from "./judge.ts";
import type { Oracle } from "./reading.ts";

interface Row {
  readonly oracles: readonly Oracle["name"][];
  readonly kind: Difference["kind"];
  /** Why it differs, with the section. */
  readonly why: string;
  /** The method of the request, and bytes that show it with each of these oracles. */
  readonly example: readonly [method: string, bytes: string];
  /** Of our error where we refused, of theirs where they did, or the part in which the two readings differ. */
  readonly text?: RegExp;
  /** What must stand in the heads, 1xx too. */
  readonly head?: RegExp;
  /** What must stand anywhere. */
  readonly bytes?: RegExp;
  /** Whether something must follow the message. */
  readonly rest?: true;
  /** Which llhttp the Node that runs this must have for the row to be about node: 20 has 9.3, and 22 to 26 have 9.4. */
  readonly llhttp?: "up to 9.3" | "from 9.4";
}

const [major = 0, minor = 0] = (process.versions["llhttp"] ?? "").split(".").map(Number);
const LLHTTP: Row["llhttp"] = major > 9 || (major === 9 && minor >= 4) ? "from 9.4" : "up to 9.3";

/** Whether the row is about this reader, in the version that is here. */
export function isAbout({ oracles, llhttp = LLHTTP }: Row, oracle: Oracle["name"]): boolean {
  return oracles.includes(oracle) && (oracle !== "node" || llhttp === LLHTTP);
}

/** Fields that a reader takes out of what it hands over, or rewrites. */
export const FIELDS_NOT_COMPARED: Readonly<Record<Oracle["name"], ReadonlySet<string>>> = {
  // Go hands framing over as TransferEncoding, ContentLength and Trailer, and "Connection: close" as Close.
  go: new Set(["transfer-encoding", "content-length", "trailer", "connection"]),
  // h11 writes the coding in lower case and equal Content-Lengths as one.
  h11: new Set(["transfer-encoding", "content-length"]),
  node: new Set(),
};

const CTL = String.raw`[\0-\x08\x0b\x0c\x0e-\x1f\x7f]`;
const BARE_CR = /\r(?!\n)/;
const BARE_LF = /(?<!\r)\n/;
const line = (name: string, rest = "") => new RegExp(String.raw`(?:^|\n)${name}[\t ]*:${rest}`, "i");
const BODILESS = /^(?:HEAD |.*?HTTP\/1\.[01] (?:1\d\d|204|304))/s;

/** Rows for responses. The method of the request stands in front of `head` and of `bytes`, with a blank behind it. */
export const RESPONSE_DIFFERENCES: readonly Row[] = [
  // Laxer: lines
  {
    oracles: ["go", "h11"],
    kind: "laxer",
    why: "a bare LF may be taken for a line end (RFC 9112 §2.2); we refuse it, since others do not take it for one",
    example: ["GET", "HTTP/1.1 200 OK\n\r\n"],
    bytes: BARE_LF,
  },
  {
    oracles: ["go"],
    kind: "laxer",
    why: "a bare CR must be refused or become SP (RFC 9112 §2.2); Go keeps it",
    example: ["GET", "HTTP/1.1 200 OK\r \r\n\r\n"],
    bytes: BARE_CR,
  },
  {
    oracles: ["node"],
    kind: "laxer",
    why: "llhttp skips any CR and LF in front of the status line (RFC 9112 §2.2: empty lines are CRLF)",
    example: ["GET", "\nHTTP/1.1 200 OK\r\n\r\n"],
    text: /before the status line/,
    head: /^\w+ (?:\r\n)*(?:\r|\n)/,
  },
  {
    oracles: ["node"],
    kind: "laxer",
    why: "llhttp lets a bare CR pass in the status line (RFC 9112 §2.2)",
    llhttp: "up to 9.3",
    example: ["GET", "HTTP/1.1 204\r\r\r\n"],
    text: /bare CR after the status line/,
    head: BARE_CR,
  },
  // Laxer: status line
  {
    oracles: ["go", "h11", "node"],
    kind: "laxer",
    why: "a control byte is no part of a reason phrase (RFC 9112 §4)",
    example: ["GET", "HTTP/1.1 200 O\x7fK\r\n\r\n"],
    text: /control byte in the reason phrase/,
    head: new RegExp(CTL),
  },
  {
    oracles: ["go", "h11", "node"],
    kind: "laxer",
    why: "of versions only HTTP/1.1 and HTTP/1.0 have this format (RFC 9112 §2.3)",
    example: ["GET", "HTTP/2.0 200 OK\r\n\r\n"],
    text: /version/i,
    head: /HTTP\/(?!1\.[01] )|^\w+ (?!HTTP)/,
  },
  {
    oracles: ["go", "node"],
    kind: "laxer",
    why: "status codes are three digits from 100 up (RFC 9110 §15)",
    example: ["GET", "HTTP/1.1 099 OK\r\n\r\n"],
    text: /status below 100|Invalid status code/,
    head: /HTTP\/1\.[01] (?![1-9]\d\d[ \r])/,
  },
  // Laxer: fields
  {
    oracles: ["go"],
    kind: "laxer",
    why: "a field name is a token, and no blank stands behind it (RFC 9110 §5.1, RFC 9112 §5.1); Go leaves such a line out or keeps it as it is",
    example: ["GET", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n"],
    text: /Invalid header (?:field char|token)|invalid trailer field/,
    bytes: /(?:^|\n)[^\r\n:]*[^\r\n:!#$%&'*+\-.^_`|~0-9A-Za-z][^\r\n:]*:|\n:/,
  },
  {
    oracles: ["go", "h11"],
    kind: "laxer",
    why: "control bytes in a value must be refused or become SP (RFC 9110 §5.5)",
    example: ["GET", "HTTP/1.1 204\r\nA: \x7f\r\n\r\n"],
    text: /Invalid header value char|invalid trailer field/,
    bytes: new RegExp(CTL),
  },
  // Laxer: framing
  {
    oracles: ["go", "h11"],
    kind: "laxer",
    why: "Transfer-Encoding beside Content-Length may be refused, and is by us (RFC 9112 §6.3 rule 3)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"],
    text: /can't be present with|Content-Length/,
    head: line("transfer-encoding"),
  },
  {
    oracles: ["go"],
    kind: "laxer",
    why: "where no body follows Go does not look at Content-Length; we do not believe such a sender (RFC 9110 §8.6)",
    example: ["GET", "HTTP/1.1 204 No Content\r\nContent-Length: +5\r\n\r\n"],
    text: /Content-Length/,
    head: BODILESS,
  },
  {
    oracles: ["h11"],
    kind: "laxer",
    why: "a length above 2^53 is refused, whether a body follows or not (RFC 9110 §8.6); Python counts on",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n"],
    text: /Content-Length (?:overflow|above)/,
    head: BODILESS,
  },
  {
    oracles: ["go"],
    kind: "laxer",
    why: "an empty Content-Length is no number (RFC 9110 §8.6); Go takes it for none",
    example: ["GET", "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n"],
    text: /Empty Content-Length/i,
    head: line("content-length", "[\\t ]*\\r"),
  },
  {
    oracles: ["go"],
    kind: "laxer",
    why: "in HTTP/1.0 Go ignores Transfer-Encoding; it must be refused as faulty or read, and the connection closed (RFC 9112 §6.1)",
    example: ["GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: identity\r\n\r\nbody"],
    head: /HTTP\/1\.0 [\s\S]*\ntransfer-encoding[\t ]*:/i,
  },
  {
    oracles: ["node"],
    kind: "laxer",
    why: "llhttp takes two fields that say chunked for one (RFC 9112 §6.1: once)",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    text: /more than one Transfer-Encoding/,
    head: /\ntransfer-encoding[\t ]*:[\s\S]*\ntransfer-encoding[\t ]*:/i,
  },
  {
    oracles: ["node"],
    kind: "laxer",
    why: "llhttp takes a coding that it does not know, an empty one or one with TAB behind it for a body until the end (RFC 9112 §6.1, RFC 9110 §5.6.3)",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nbody"],
    head: line("transfer-encoding", "(?![\\t ]*chunked *\\r)"),
  },
  {
    oracles: ["go"],
    kind: "laxer",
    why: "a chunk size has a digit (RFC 9112 §7.1); Go takes none for 0",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n"],
    text: /chunk size that is not hexadecimal/,
    bytes: /\r\n(?:\r\n|;)/,
  },
  {
    oracles: ["node"],
    kind: "laxer",
    why: "a length that a double cannot count exactly is refused, whether a body follows or not (RFC 9110 §8.6)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9007199254740992\r\n\r\n"],
    text: /Content-Length above/,
    head: BODILESS,
  },
  // Stricter
  {
    oracles: ["go", "h11"],
    kind: "stricter",
    why: "blanks around ; and = of a chunk extension must be read (RFC 9112 §7.1.1)",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 ;a = b\r\nok\r\n0\r\n\r\n"],
    text: /invalid byte in chunk length|illegal chunk header/,
    bytes: /\n[0-9a-f]+[\t ]+;/i,
  },
  {
    oracles: ["h11"],
    kind: "stricter",
    why: "chunk sizes may have zeros in front (RFC 9112 §7.1: 1*HEXDIG); h11 reads 20 digits",
    example: [
      "GET",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000000000000001\r\nx\r\n0\r\n\r\n",
    ],
    text: /illegal chunk header/,
    bytes: /\n0[0-9a-f]{20,}/i,
  },
  {
    oracles: ["node"],
    kind: "stricter",
    why: "blanks around ; and = of a chunk extension must be read (RFC 9112 §7.1.1)",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 ;a = b\r\nok\r\n0\r\n\r\n"],
    text: /Invalid character in chunk (?:size|extensions)/,
    bytes: /\n[0-9a-f]+[^\r\n]*[\t ]|=""|"[^\r]*[\t\x80-\xff;\\]/i,
  },
  {
    oracles: ["node"],
    kind: "stricter",
    why: "Content-Length may have a TAB behind it (RFC 9110 §5.5), and equal ones may be read as one (RFC 9110 §8.6)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"],
    text: /Content-Length/,
    head: line("content-length"),
  },
  {
    oracles: ["go"],
    kind: "stricter",
    why: "a list of equal Content-Lengths may be read as one (RFC 9110 §8.6)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"],
    text: /Content-Length/,
    head: line("content-length", "[^\\r]*,"),
  },
  {
    oracles: ["go", "h11"],
    kind: "stricter",
    why: "empty lines in front of the status line are skipped, as a server should (RFC 9112 §2.2)",
    example: ["GET", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    text: /malformed HTTP|no response line|illegal status line/,
    head: /^\w+ (?:\r\n)+|\r\n\r\n\r\n/,
  },
  {
    oracles: ["go", "h11"],
    kind: "stricter",
    why: "where no body follows, Transfer-Encoding says nothing that would have to be understood (RFC 9112 §6.3 rule 1)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n"],
    text: /transfer.encoding/i,
    head: BODILESS,
  },
  {
    oracles: ["node"],
    kind: "stricter",
    llhttp: "from 9.4",
    why: "where no body follows, an empty Transfer-Encoding says nothing that would have to be understood (RFC 9112 §6.3 rule 1)",
    example: ["GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding:\r\n\r\n"],
    text: /Empty Transfer-Encoding/,
    head: BODILESS,
  },
  {
    oracles: ["h11"],
    kind: "stricter",
    why: "h11 wants no 101 that nobody asked for; that is for who sent the request to judge (RFC 9110 §15.2.2)",
    example: ["GET", "HTTP/1.1 101 Switching\r\n\r\n"],
    text: /_SWITCH_UPGRADE/,
    head: / 101/,
  },
  {
    oracles: ["node"],
    kind: "stricter",
    why: "bytes behind the message are not of it: they fail the connection, not the response (RFC 9112 §6.3)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\n\r\nbody"],
    text: /Parse Error/,
    rest: true,
  },
  {
    oracles: ["node"],
    kind: "stricter",
    why: "obs-fold must be read as SP (RFC 9112 §5.2)",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
    text: /header (?:token|value)/,
    bytes: /\r\n[\t ]/,
  },
  {
    oracles: ["h11"],
    kind: "stricter",
    why: "framing fields among the trailers have no effect (RFC 9110 §6.5.1)",
    example: [
      "GET",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
    text: /Content-Length|Transfer-Encoding/i,
    bytes: /\n0[^\r]*\r\n(?:[^\r]+\r\n)*(?:content-length|transfer-encoding):/i,
  },
  {
    oracles: ["go", "h11"],
    kind: "stricter",
    why: "empty members of a list say nothing (RFC 9110 §5.6.1.2)",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked ,\r\n\r\n0\r\n\r\n"],
    text: /transfer.encoding/i,
    head: line("transfer-encoding", "(?:[^\\r]*,)"),
  },
  {
    oracles: ["node"],
    kind: "stricter",
    why: "a 1xx that says close says it of the connection, and the answer still comes (RFC 9112 §9.6, RFC 9110 §15.2)",
    example: ["GET", "HTTP/1.1 103 Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
    text: /Data after/,
    head: /HTTP\/1\.(?:0 1|1 1\d\d [^\r]*\r\n(?:[^\r]+\r\n)*connection[\t ]*:)/i,
  },
  // Other
  {
    oracles: ["go"],
    kind: "other",
    why: "chunked from HTTP/1.0 is read, and the connection closed (RFC 9112 §6.1); Go ignores it there",
    example: ["GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
    text: /^body$/,
    head: /HTTP\/1\.0 [\s\S]*\ntransfer-encoding[\t ]*:/i,
  },
  {
    oracles: ["h11"],
    kind: "other",
    why: "obs-fold becomes one or more SP (RFC 9112 §5.2): how many is free",
    example: ["HEAD", "HTTP/1.1 200 OK\r\nA: b \t\r\n \t c\r\n\r\n"],
    text: /^(?:fields|trailers)$/,
    bytes: /\r\n[\t ]/,
  },
  {
    oracles: ["go"],
    kind: "other",
    why: "the SP of an obs-fold at a value's end is a blank around it (RFC 9112 §5.2, RFC 9110 §5.5); Go leaves it there",
    example: ["GET", "HTTP/1.1 200 OK\r\nA: b\r\n \r\nContent-Length: 0\r\n\r\n"],
    text: /^(?:fields|trailers)$/,
    bytes: /\r\n[\t ]+\r\n/,
  },
  {
    oracles: ["node"],
    kind: "other",
    why: "llhttp takes chunked with a TAB behind it for a coding that it does not know, and reads until the end (RFC 9110 §5.6.3)",
    example: ["GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n1\r\nx\r\n0\r\n\r\n"],
    text: /^body$/,
    head: line("transfer-encoding", "(?![\\t ]*chunked *\\r)"),
  },
];

/** The row that explains the difference; null where none does. */
export function explain(
  oracle: Oracle["name"],
  { kind, part, text }: Difference,
  { method, bytes, rest }: { readonly method: string; readonly bytes: string; readonly rest: number | null },
): Row | null {
  const head = `${method} ${headsOf(bytes)}`;
  const found = RESPONSE_DIFFERENCES.find(
    (row) =>
      row.kind === kind &&
      isAbout(row, oracle) &&
      (row.text?.test(kind === "other" ? part : text) ?? true) &&
      (row.head?.test(head) ?? true) &&
      (row.bytes?.test(bytes) ?? true) &&
      (row.rest === undefined || (rest ?? 0) > 0),
  );
  return found ?? null;
}

/** What stands in front of it, the 1xx heads and the final one. */
function headsOf(bytes: string): string {
  let at = /^[\r\n]*/.exec(bytes)![0].length;
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n", at);
    if (end < 0) return bytes;
    const information = /^(?:\r\n)*HTTP\/1\.[01] 1(?!01)\d\d/.test(bytes.slice(at, end + 4));
    at = end + 4;
    if (!information) return bytes.slice(0, at);
  }
}
