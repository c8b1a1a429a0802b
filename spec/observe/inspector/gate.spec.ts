/** Who may see the inspector: heads as browsers, strangers and attackers send them. */

import { expect, test } from "vitest";
import { judge } from "../../../lib/observe/inspector/gate.ts";

const TOKEN = "t0kEn-of-32-characters-and-no-less";
const PORT = 4711;

function head(line: string, ...fields: string[]): string {
  return `${[line, ...fields].join("\r\n")}\r\n\r\n`;
}
const GET = `GET /${TOKEN}/ HTTP/1.1`;
const HOST = `Host: 127.0.0.1:${PORT}`;

const CASES: [what: string, head: string, status: number][] = [
  ["who has the token", head(GET, HOST), 200],
  ["by the name of loopback", head(GET, `Host: localhost:${PORT}`), 200],
  ["a browser, its address bar", head(GET, HOST, "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"), 200],
  ["lines that may be there twice", head(GET, HOST, "Accept: text/html", "Accept: */*"), 200],
  ["the page itself", head(GET, HOST, `Origin: http://127.0.0.1:${PORT}`, "Sec-Fetch-Site: same-origin"), 200],
  ["no token", head("GET / HTTP/1.1", HOST), 404],
  ["a wrong token", head("GET /nope/ HTTP/1.1", HOST), 404],
  ["a token that begins right", head(`GET /${TOKEN.slice(0, -1)}/ HTTP/1.1`, HOST), 404],
  ["the token, but no path behind it", head(`GET /${TOKEN} HTTP/1.1`, HOST), 404],
  ["the token behind another segment", head(`GET //${TOKEN}/ HTTP/1.1`, HOST), 404],
  ["the token with a dot segment", head(`GET /x/../${TOKEN}/ HTTP/1.1`, HOST), 404],
  ["absolute-form", head(`GET http://127.0.0.1:${PORT}/${TOKEN}/ HTTP/1.1`, HOST), 404],
  ["a rebound name (DNS rebinding)", head(GET, `Host: evil.example:${PORT}`), 421],
  ["a rebound name, and no port", head(GET, "Host: evil.example"), 421],
  ["another port", head(GET, "Host: 127.0.0.1:80"), 421],
  ["no port", head(GET, "Host: 127.0.0.1"), 421],
  ["a name that ends in ours", head(GET, `Host: x.localhost:${PORT}`), 421],
  ["no Host", head(GET), 400],
  ["two Hosts", head(GET, HOST, `Host: evil.example:${PORT}`), 400],
  ["another origin", head(GET, HOST, "Origin: http://evil.example"), 403],
  ["an opaque origin", head(GET, HOST, "Origin: null"), 403],
  ["our host, but https", head(GET, HOST, `Origin: https://127.0.0.1:${PORT}`), 403],
  ["another site, without an Origin", head(GET, HOST, "Sec-Fetch-Site: cross-site"), 403],
  ["another port of this machine", head(GET, HOST, "Sec-Fetch-Site: same-site"), 403],
  ["POST", head(`POST /${TOKEN}/ HTTP/1.1`, HOST), 405],
  ["HEAD", head(`HEAD /${TOKEN}/ HTTP/1.1`, HOST), 405],
  ["OPTIONS, as a preflight", head(`OPTIONS /${TOKEN}/ HTTP/1.1`, HOST, "Access-Control-Request-Method: GET"), 405],
  ["CONNECT", head(`CONNECT 127.0.0.1:${PORT} HTTP/1.1`, HOST), 405],
  ["content", head(GET, HOST, "Content-Length: 5"), 400],
  ["chunked content", head(GET, HOST, "Transfer-Encoding: chunked"), 400],
  ["a folded line", head(GET, HOST, "X: 1", " folded"), 400],
  ["a space before the colon", head(GET, "Host : 127.0.0.1"), 400],
  ["a NUL in a value", head(GET, HOST, "X: a\0b"), 400],
  ["bare LF as line ends", `${GET}\n${HOST}\n\r\n\r\n`, 400],
  ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\n", 400],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400],
  ["nothing", "\r\n\r\n", 400],
];

test.each(CASES)("judge() answers %s", (_, text, status) => {
  expect(judge(text, PORT, TOKEN).status).toBe(status);
});

test("judge() gives the path behind the token, without its query", () => {
  expect(judge(head(`GET /${TOKEN}/calls/1/2?x=/y HTTP/1.1`, HOST), PORT, TOKEN)).toEqual({
    status: 200,
    path: "/calls/1/2",
  });
});

test("judge() takes any part of a wrong token alike", () => {
  const wrong = judge(head("GET /a/ HTTP/1.1", HOST), PORT, TOKEN);
  expect(judge(head(`GET /${TOKEN.slice(0, 20)}/ HTTP/1.1`, HOST), PORT, TOKEN)).toEqual(wrong);
  expect(judge(head(`GET /${TOKEN}x/ HTTP/1.1`, HOST), PORT, TOKEN)).toEqual(wrong);
});
