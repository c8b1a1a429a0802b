import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { BodyUsedError, LocalProtocolError } from "../lib/errors.ts";
import { Request, type RequestInit } from "../lib/message/request.ts";
import { VERSION } from "../lib/options.ts";
import { writeRequest } from "../lib/write-request.ts";

async function written(request: Request): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of writeRequest(request)) parts.push(part);
  return Buffer.concat(parts).toString("latin1");
}

const OURS = `User-Agent: persistconn/${VERSION}\r\nAccept: */*\r\n`;
async function* chunks(...items: (string | Uint8Array)[]) {
  yield* items;
}

describe("writeRequest()", () => {
  const cases: [string, string, RequestInit, string][] = [
    ["a plain GET", "http://h:81/a?b#c", {}, `GET /a?b HTTP/1.1\r\nHost: h:81\r\n${OURS}\r\n`],
    [
      "a POST without a body",
      "http://h/",
      { method: "POST" },
      `POST / HTTP/1.1\r\nHost: h\r\n${OURS}Content-Length: 0\r\n\r\n`,
    ],
    [
      "JSON",
      "http://h/",
      { method: "POST", json: [1] },
      `POST / HTTP/1.1\r\nHost: h\r\n${OURS}Content-Length: 3\r\nContent-Type: application/json\r\n\r\n[1]`,
    ],
    [
      "text outside ASCII",
      "http://h/",
      { method: "PUT", body: "é", headers: { "content-type": "x/y" } },
      `PUT / HTTP/1.1\r\nHost: h\r\n${OURS}Content-Length: 2\r\ncontent-type: x/y\r\n\r\n\xc3\xa9`,
    ],
    [
      "a stream",
      "http://h/",
      { method: "POST", body: chunks("abc", "", "0123456789abcdef") },
      `POST / HTTP/1.1\r\nHost: h\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n`,
    ],
    [
      "a stream of declared length",
      "http://h/",
      { method: "POST", body: chunks("ab", "c"), headers: { "Content-Length": "3" } },
      `POST / HTTP/1.1\r\nHost: h\r\n${OURS}Content-Length: 3\r\n\r\nabc`,
    ],
    [
      "trailers",
      "http://h/",
      {
        method: "POST",
        body: "ab",
        headers: { "content-type": "x/y" },
        trailers: { names: ["X-Sum"], values: () => ({ "X-Sum": "2" }) },
      },
      `POST / HTTP/1.1\r\nHost: h\r\n${OURS}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\ncontent-type: x/y\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 2\r\n\r\n`,
    ],
    ["OPTIONS *", "http://h/", { method: "OPTIONS", target: "*" }, `OPTIONS * HTTP/1.1\r\nHost: h\r\n${OURS}\r\n`],
    ["CONNECT", "http://h/", { method: "CONNECT" }, `CONNECT h:80 HTTP/1.1\r\nHost: h\r\n${OURS}\r\n`],
  ];
  test.each(cases)("writes %s", async (_, url, init, text) => {
    expect(await written(new Request(url, init))).toBe(text);
  });

  test("writes a request as often as its body can be made", async () => {
    const request = new Request("http://h/", { method: "POST", body: () => chunks("abc") });
    expect(await written(request)).toBe(await written(request));
    const stream = new Request("http://h/", { method: "POST", body: Readable.from(["a"]) });
    await written(stream);
    await expect(written(stream)).rejects.toBeInstanceOf(BodyUsedError);
  });

  test("cuts a large body into chunks of 64 KiB", async () => {
    const body = () => chunks(new Uint8Array(64 * 1024 + 1).fill(0x61));
    const text = await written(new Request("http://h/", { method: "POST", body }));
    expect(text).toContain(`\r\n\r\n10000\r\n${"a".repeat(64 * 1024)}\r\n1\r\na\r\n0\r\n\r\n`);
  });

  test.each([
    ["shorter", "a"],
    ["longer", "abcd"],
  ])("a body that is %s than declared fails, and not one byte too many is written", async (_, text) => {
    const parts: string[] = [];
    const request = new Request("http://h/", {
      method: "POST",
      body: chunks(text),
      headers: { "content-length": "3" },
    });
    const write = async () => {
      for await (const part of writeRequest(request)) parts.push(Buffer.from(part).toString());
    };
    await expect(write()).rejects.toMatchObject({ name: "LocalProtocolError", field: "body" });
    expect(parts.slice(1).join("")).toBe(text.length < 3 ? text : "");
  });

  test("a request that cannot be sent destroys its stream, and so does leaving early", async () => {
    const refused = new Readable({ read() {} });
    const headers = { "content-length": "1", "transfer-encoding": "chunked" };
    await expect(written(new Request("http://h/", { method: "POST", body: refused, headers }))).rejects.toBeInstanceOf(
      LocalProtocolError,
    );
    expect(refused.destroyed).toBe(true);
    const left = Readable.from(["a", "b"]);
    for await (const _ of writeRequest(new Request("http://h/", { method: "POST", body: left }))) break;
    expect(left.destroyed).toBe(true);
  });
});
