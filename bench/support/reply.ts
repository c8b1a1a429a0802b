/**
 * The one response of the responder, in every length: whole, so that the contestant that only counts bytes knows how
 * many to count. A head as servers in front of JSON APIs send it, of nine fields; nothing in it changes from one
 * answer to the next, so that each contestant parses exactly the same bytes.
 */

const HEAD = [
  "HTTP/1.1 200 OK",
  "Server: responder",
  "Date: Thu, 01 Jan 2026 00:00:00 GMT",
  "Content-Type: application/json; charset=utf-8",
  "Content-Length: %",
  "Connection: keep-alive",
  "Cache-Control: private, max-age=0, must-revalidate",
  'ETag: W/"5f2c-lJ0p7yCqXw1kT3bN9vRzUe4hMsA"',
  "Vary: Accept-Encoding, Origin",
  "X-Request-Id: 8c1f4f0e-5b0a-4f0e-9a53-3d1c7a6b2e94",
  "",
  "",
].join("\r\n");

/** @param bodyBytes length of the body in bytes, ≥ 0 */
export function makeReply(bodyBytes: number): Buffer {
  return Buffer.concat([Buffer.from(HEAD.replace("%", String(bodyBytes)), "latin1"), Buffer.alloc(bodyBytes, "x")]);
}
