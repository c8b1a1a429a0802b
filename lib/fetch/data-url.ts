/**
 * What a data: URL says, as a Response. No connection, no client: the answer stands in the URL.
 *
 * Fetch standard, "data: URL processor"; Infra standard, "forgiving-base64 decode"; RFC 2397.
 */

import { PairLines } from "../message/headers.ts";
import { serializedMimeType } from "../message/mime-type.ts";
import { type Response, responseOf } from "../message/response.ts";
import { MemoryBacking } from "./memory-backing.ts";

/** Where the URL does not say what it is. */
const UNSAID = "text/plain;charset=US-ASCII";

export function isDataUrl(text: string): boolean {
  return /^data:/i.test(text);
}

/**
 * @param method HEAD has no body here either
 * @throws {TypeError} it is none: no comma, or base64 that cannot be decoded; its content is never shown
 */
export function answerOf(url: string, method: string): Response {
  const text = withoutFragment(new URL(url).href);
  const comma = text.indexOf(",");
  if (comma < 0) throw new TypeError("Cannot read data: URL: it has no comma between type and content");
  const said = text.slice("data:".length, comma).replace(/^ +| +$/g, "");
  const content = percentDecoded(text.slice(comma + 1));
  const base64 = /^(.*); *base64$/is.exec(said);
  const bytes = base64 === null ? content : base64Decoded(content.toString("latin1"));
  const type = base64 === null ? said : (base64[1] ?? "");
  const contentType = serializedMimeType(type.startsWith(";") ? `text/plain${type}` : type) ?? UNSAID;
  const facts = {
    status: 200,
    statusText: "OK",
    httpVersion: "1.1",
    fields: new PairLines([["Content-Type", contentType]]),
    framing: method === "HEAD" ? "none" : "length",
    url: text,
    request: null,
    redirected: false,
    decompressed: false,
    connection: null,
    trailers: () => new PairLines([]),
    timings: () => null,
  } as const;
  return responseOf(new MemoryBacking(facts, method === "HEAD" ? null : new Uint8Array(bytes)));
}

function withoutFragment(href: string): string {
  const at = href.indexOf("#");
  return at < 0 ? href : href.slice(0, at);
}

/** What is no escape stays as it is; the URL parser left ASCII only. */
function percentDecoded(text: string): Buffer {
  return Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
}

/** Node's own decoder takes anything, so what the standard refuses is looked for first. */
function base64Decoded(text: string): Buffer {
  let dense = text.replace(/[\t\n\f\r ]/g, "");
  if (dense.length % 4 === 0) dense = dense.replace(/={1,2}$/, "");
  if (dense.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(dense)) {
    throw new TypeError("Cannot read data: URL: its content is no base64");
  }
  return Buffer.from(dense, "base64");
}
