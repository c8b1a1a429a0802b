/** Family B: responses read differently from how they were meant: desync, splitting, poisoning. See README.md. */

import { describe, expect, test } from "vitest";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { against, type Hostile } from "./support.ts";

checkLeaks();

const OK = "HTTP/1.1 200 OK\r\n";
const EVIL = `${OK}Content-Length: 4\r\n\r\nevil`;
const chunked = (body: string) => `${OK}Transfer-Encoding: chunked\r\n\r\n${body}`;
const REFUSED = "ERR_HTTP_REMOTE_PROTOCOL";

/** The result, and whether the connection may serve again. The next request must get its own answer in any case. */
type Case = readonly [incident: string, hostile: Hostile, result: string, reused: boolean];

const CASES: readonly Case[] = [
  [
    "GHSA-35p6-xmwp-9g52, undici (R6): a response on an idle connection is not the next request's",
    { wire: `${OK}Content-Length: 5\r\n\r\nfirst`, later: EVIL },
    "200 first",
    false,
  ],
  [
    "CVE-2026-48931, node http.Agent (R6): a response right behind the response is not the next request's",
    { wire: `${OK}Content-Length: 5\r\n\r\nfirst${EVIL}` },
    "200 first",
    false,
  ],
  [
    "aiohttp#13656 (R6): the beginning of a response on an idle connection does not swallow the next one",
    { wire: `${OK}Content-Length: 5\r\n\r\nfirst`, later: `${OK}X-Swallow: ` },
    "200 first",
    false,
  ],
  [
    "undici 8.12, bodiless statuses (R7): what 204 frames is no response",
    { wire: `HTTP/1.1 204 No Content\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}` },
    "204 ",
    false,
  ],
  [
    "undici 8.12, bodiless statuses (R7): what 304 sends though it has no body is no response",
    { wire: `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n${EVIL}` },
    "304 ",
    false,
  ],
  [
    "undici 8.12, bodiless statuses (R7): what follows an answer to HEAD is no response",
    { method: "HEAD", wire: EVIL + EVIL },
    "200 ",
    false,
  ],
  ["CVE-2025-22871, Go (R9): a bare LF ends no chunk size", { wire: chunked("5\nhello\r\n0\r\n\r\n") }, REFUSED, false],
  [
    "CVE-2023-39326, Go (R17): chunk extensions that outweigh the data",
    { wire: chunked(`1;${"x".repeat(1000)}\r\na\r\n`.repeat(100)) },
    "ERR_HTTP_HEADER_LIMIT",
    false,
  ],
  [
    "GHSA-f3pg-qwvg-p99c, hyper (R9): a plus in Content-Length",
    { wire: `${OK}Content-Length: +5\r\n\r\nhello` },
    REFUSED,
    false,
  ],
  [
    "GHSA-5h46-h7hh-c6x9, hyper (R9): a chunk size that overflows",
    { wire: chunked("f0000000000000003\r\nabc\r\n0\r\n\r\n") },
    REFUSED,
    false,
  ],
  [
    "GHSA-6hfq-h8hq-87mf, hyper (R9): Transfer-Encoding in two fields, chunked not in the last",
    { wire: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n` },
    REFUSED,
    false,
  ],
  [
    "GHSA-vqfr-h8mv-ghfj, h11 (R9): two bytes behind a chunk that are no CRLF",
    { wire: chunked("5\r\nhelloXX0\r\n\r\n") },
    REFUSED,
    false,
  ],
  [
    "CVE-2022-32213, llhttp (R9): a Transfer-Encoding that only begins like chunked",
    { wire: `${OK}Transfer-Encoding: chunkedx\r\n\r\n5\r\nhello\r\n0\r\n\r\n` },
    REFUSED,
    false,
  ],
  [
    "CVE-2022-32214, llhttp (R9): fields that LF alone delimits",
    { wire: `${OK}X: 1\nContent-Length: 5\r\n\r\nhello` },
    REFUSED,
    false,
  ],
  [
    "CVE-2022-32215, llhttp (R9): a Transfer-Encoding over two lines counts whole",
    { wire: `${OK}Transfer-Encoding: chunked\r\n , identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n` },
    REFUSED,
    false,
  ],
  [
    "CVE-2021-22959, llhttp (R9): a blank between name and colon",
    { wire: `${OK}Content-Length : 5\r\n\r\nhello` },
    REFUSED,
    false,
  ],
  [
    "CVE-2021-22960, llhttp (R9): a chunk extension is parsed, not skipped to some LF",
    { wire: chunked(`5;a\nb\r\nhello\r\n0\r\n\r\n`) },
    REFUSED,
    false,
  ],
  [
    "GHSA-cggh-pq45-6h9x, llhttp (R9): CR alone ends no field",
    { wire: `${OK}X: 1\rContent-Length: 5\r\n\r\nhello` },
    REFUSED,
    false,
  ],
  [
    "CVE-2020-8287, node (R9): Transfer-Encoding twice",
    { wire: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n` },
    REFUSED,
    false,
  ],
];

describe("the next request gets its own answer, whatever came before", () => {
  test.each(CASES)("%s", async (_, hostile, result, reused) => {
    expect(await against(hostile)).toEqual({ result, reused, next: "200 second" });
  });

  test("control: an answer that is sound leaves a connection that serves again", async () => {
    const outcome = await against({ wire: `${OK}Content-Length: 5\r\n\r\nfirst` });
    expect(outcome).toEqual({ result: "200 first", reused: true, next: "200 second" });
  });
});

test.each([
  ["200 OK", "sends the body all the same"],
  ["417 Expectation Failed", "does not send it, and closes"],
])("CVE-2024-24791, Go (R8): %s in the place of 100: the client %s", async (status) => {
  await using peer = await scriptedPeer();
  const call = peer.client.post(peer.url("/up"), { body: "hello", expectContinue: true });
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nok`);
  const response = await call;
  expect(await response.text()).toBe("ok");
  const next = peer.client.get(peer.url("/next"));
  const rest = status.startsWith("200") ? await conn.read(5) : await conn.readToEnd();
  expect(rest).toBe(status.startsWith("200") ? "hello" : "");
  const other = status.startsWith("200") ? conn : await peer.accept();
  expect(await other.readHead()).toMatch(/^GET \/next /);
  other.reply("HTTP/1.1 204 No Content\r\n\r\n");
  expect((await next).status).toBe(204);
});

describe("cookies are handed on as they came (R10)", () => {
  test.each([
    [
      "CVE-2026-9679, GHSA-p88m-4jfj-68fv, undici: percent-encoding is not decoded",
      "a=%0D%0ASet-Cookie:%20b=1; Path=/",
    ],
    ["CVE-2026-11525, GHSA-g8m3-5g58-fq7m, undici: SameSite is not read by substring", "a=1; SameSite=NotStrictAtAll"],
    ["CVE-2026-16728, undici: attributes within a value are the jar's to judge", 'a="1; Domain=evil.test"'],
    ["CVE-2026-16729, undici: attributes in a name are too", "a; Path=/=1"],
  ])("%s", async (_, cookie) => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`${OK}Set-Cookie: ${cookie}\r\nContent-Length: 0\r\n\r\n`);
    const response = await call;
    expect(response.headers.getSetCookie()).toEqual([cookie]);
    expect(response.headers.raw[0]).toEqual(["Set-Cookie", cookie]);
  });
});

test("CVE-2026-21710, node (R12): a field called __proto__ is data", async () => {
  await using peer = await scriptedPeer();
  const call = peer.client.get(peer.url());
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(`${OK}__proto__: one\r\n__proto__: two\r\nconstructor: three\r\nContent-Length: 0\r\n\r\n`);
  const { headers } = await call;
  expect([headers.get("__proto__"), headers.get("constructor"), headers.get("toString")]).toEqual([
    "one, two",
    "three",
    null,
  ]);
  expect([...headers.keys()]).toEqual(["__proto__", "constructor", "content-length"]);
  expect({}).not.toHaveProperty("one");
  await until(() => peer.transport.stats().idle === 1, "it is over");
});
