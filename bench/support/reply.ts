/**
 * The responses of the responder, made once for each path, whole, so that the contestant that only counts bytes knows how
 * many to count. A path is `/BYTES` or `/BYTES-ASK`, where ASK is
 *
 *   fN        N header fields instead of 8
 *   chunked   in chunks of 8 KiB, as servers send what they make while they send it
 *   json      a JSON object of that length, whose `bytes` says it
 *   redirect  a 302 to `/BYTES`
 *   close     the connection is closed behind it
 *   dMS       MS milliseconds later
 *
 * A head as servers in front of JSON APIs send it; nothing in it changes from one answer to the next, so that each
 * contestant parses exactly the same bytes.
 */

import { STREAMED_FROM } from "../scenarios.ts";

export interface Reply {
  /** All of it; the head alone where `streamedBytes` follow. */
  readonly bytes: Buffer;
  /** The head alone: the answer to HEAD. */
  readonly head: Buffer;
  /** Body bytes to be sent piece by piece behind `bytes`; 0 for most. */
  readonly streamedBytes: number;
  readonly close: boolean;
  readonly delayMs: number;
}

const FIELDS = [
  "Server: responder",
  "Date: Thu, 01 Jan 2026 00:00:00 GMT",
  "Content-Type: application/json; charset=utf-8",
  "Connection: keep-alive",
  "Cache-Control: private, max-age=0, must-revalidate",
  'ETag: W/"5f2c-lJ0p7yCqXw1kT3bN9vRzUe4hMsA"',
  "Vary: Accept-Encoding, Origin",
];
const CHUNK_BYTES = 8 * 1024;
const PATH = /^\/(\d+)(?:-([a-z]+)(\d*))?$/;

/** @returns null for a path that means nothing */
export function makeReply(path: string): Reply | null {
  const [, digits, ask = "", number = ""] = PATH.exec(path) ?? [];
  if (digits === undefined) return null;
  const bodyBytes = Number(digits);
  const framing = ask === "chunked" ? "Transfer-Encoding: chunked" : `Content-Length: ${bodyBytes}`;
  const plain = { streamedBytes: 0, close: false, delayMs: 0 };
  switch (ask) {
    case "":
    case "chunked":
      if (bodyBytes >= STREAMED_FROM && ask === "") {
        const head = makeHead("200 OK", [...FIELDS, framing]);
        return { ...plain, bytes: head, head, streamedBytes: bodyBytes };
      }
      return whole(
        makeHead("200 OK", [...FIELDS, framing]),
        ask === "" ? Buffer.alloc(bodyBytes, "x") : chunked(bodyBytes),
      );
    case "f": {
      // What is asked for beyond the usual ones: of the length and the look of tracing, security and CDN fields.
      const more = Array.from(
        { length: Math.max(0, Number(number) - FIELDS.length - 1) },
        (_, i) => `X-Service-Field-${i}: ${"8c1f4f0e5b0a4f0e".slice(0, 8 + (i % 9))}-${i}; scope=edge`,
      );
      const few = FIELDS.slice(0, Math.max(0, Number(number) - 1));
      return whole(makeHead("200 OK", [...few, framing, ...more]), Buffer.alloc(bodyBytes, "x"));
    }
    case "json":
      return whole(makeHead("200 OK", [...FIELDS, framing]), jsonBody(bodyBytes));
    case "redirect":
      return whole(makeHead("302 Found", [...FIELDS, `Location: /${bodyBytes}`, "Content-Length: 0"]), Buffer.alloc(0));
    case "close": {
      const fields = FIELDS.map((field) => field.replace("keep-alive", "close"));
      return { ...whole(makeHead("200 OK", [...fields, framing]), Buffer.alloc(bodyBytes, "x")), close: true };
    }
    case "d":
      return {
        ...whole(makeHead("200 OK", [...FIELDS, framing]), Buffer.alloc(bodyBytes, "x")),
        delayMs: Number(number),
      };
    default:
      return null;
  }
}

function makeHead(status: string, fields: readonly string[]): Buffer {
  return Buffer.from(`HTTP/1.1 ${[status, ...fields].join("\r\n")}\r\n\r\n`, "latin1");
}

function whole(head: Buffer, body: Buffer): Reply {
  return { bytes: Buffer.concat([head, body]), head, streamedBytes: 0, close: false, delayMs: 0 };
}

function chunked(bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const size = Math.min(left, CHUNK_BYTES);
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), Buffer.alloc(size, "x"), Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

/** Rows as an API lists them, and a text that fills the length up. */
function jsonBody(bytes: number): Buffer {
  const items: object[] = [];
  const text = (pad: number) => JSON.stringify({ bytes, items, pad: "x".repeat(pad) });
  while (text(0).length < bytes - 128) {
    items.push({ id: items.length, name: `item ${items.length}`, price: 12.5, tags: ["a", "b"], active: true });
  }
  return Buffer.from(text(Math.max(0, bytes - text(0).length)), "latin1");
}
