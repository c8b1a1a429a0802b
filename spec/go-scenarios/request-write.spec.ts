/** Go's tests of Request.Write, of what a request is made of and of what it is refused for, told to this client. */

import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, describe, expect, test } from "vitest";
import { Headers, LocalProtocolError, Request, type RequestInit, writeRequest } from "../../lib/index.ts";
import { VERSION } from "../../lib/options.ts";

const OURS = `User-Agent: persistconn/${VERSION}\r\nAccept: */*\r\n`;
const dir = mkdtempSync(join(tmpdir(), "spec-go-"));
const FILE = join(dir, "body");
writeFileSync(FILE, "0123456789");
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function* chunks(...items: (string | Error)[]) {
  for (const item of items) {
    if (item instanceof Error) throw item;
    yield item;
  }
}

async function written(url: string, init: RequestInit = {}): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of writeRequest(new Request(url, init))) parts.push(part);
  return Buffer.concat(parts).toString("latin1");
}

/** What was written before it failed, and what it failed with. */
async function cut(init: RequestInit): Promise<{ text: string; error: unknown }> {
  let text = "";
  try {
    for await (const part of writeRequest(new Request("http://example.com/", { method: "POST", ...init }))) {
      text += Buffer.from(part).toString("latin1");
    }
  } catch (error) {
    return { text, error };
  }
  return { text, error: null };
}

describe("a request goes out", () => {
  const rows: [title: string, url: string, init: RequestInit, text: string][] = [
    [
      "with Host and User-Agent first, then the rest, in the caller's order where Go sorts [TestRequestWrite/0]",
      "http://www.techcrunch.com/",
      {
        headers: [
          ["Accept", "text/html"],
          ["Accept-Language", "en-us"],
          ["Keep-Alive", "300"],
          ["Proxy-Connection", "keep-alive"],
          ["User-Agent", "Fake"],
          ["Accept-Charset", "utf-8"],
        ],
      },
      "GET / HTTP/1.1\r\nHost: www.techcrunch.com\r\nAccept: text/html\r\nAccept-Language: en-us\r\nKeep-Alive: 300\r\nProxy-Connection: keep-alive\r\nUser-Agent: Fake\r\nAccept-Charset: utf-8\r\n\r\n",
    ],
    [
      "GET, chunked because the caller says so, with its terminator [TestRequestWrite/1]",
      "http://www.google.com/search",
      { body: "abcdef", headers: { "Transfer-Encoding": "chunked", "Content-Type": "x/y" } },
      `GET /search HTTP/1.1\r\nHost: www.google.com\r\n${OURS}Transfer-Encoding: chunked\r\nContent-Type: x/y\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n`,
    ],
    [
      "POST, chunked, with the caller's close [TestRequestWrite/2]",
      "http://www.google.com/search",
      { method: "POST", body: chunks("abcdef"), headers: { Connection: "close" } },
      `POST /search HTTP/1.1\r\nHost: www.google.com\r\n${OURS}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n`,
    ],
    [
      "POST with its length, and the caller's close [TestRequestWrite/3]",
      "http://www.google.com/search",
      { method: "POST", body: Buffer.from("abcdef"), headers: { Connection: "close" } },
      `POST /search HTTP/1.1\r\nHost: www.google.com\r\n${OURS}Content-Length: 6\r\nConnection: close\r\n\r\nabcdef`,
    ],
    [
      "with the Host that the caller says [TestRequestWrite/5]",
      "http://localhost/search",
      { headers: { Host: "www.google.com" } },
      `GET /search HTTP/1.1\r\nHost: www.google.com\r\n${OURS}\r\n`,
    ],
    [
      "POST with a stream that turns out empty: chunks, and none but the last [TestRequestWrite/6]",
      "http://example.com/",
      { method: "POST", body: chunks() },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "POST without a body: length 0 [TestRequestWrite/7]",
      "http://example.com/",
      { method: "POST" },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 0\r\n\r\n`,
    ],
    [
      "POST with a stream of one byte: one chunk of one byte [TestRequestWrite/8]",
      "http://example.com/",
      { method: "POST", body: chunks("x") },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    ],
    [
      "with a target that is escaped as the caller wants it, verbatim [TestRequestWrite/16]",
      "http://www.google.com/",
      { target: "/%2F/%2F/" },
      `GET /%2F/%2F/ HTTP/1.1\r\nHost: www.google.com\r\n${OURS}\r\n`,
    ],
    [
      "with a target that begins with //, verbatim: a path, where Go writes absolute-form [TestRequestWrite/17]",
      "http://x.google.com/",
      { target: "//y.google.com/%2F/%2F/" },
      `GET //y.google.com/%2F/%2F/ HTTP/1.1\r\nHost: x.google.com\r\n${OURS}\r\n`,
    ],
    [
      "with a name in capitals in capitals [TestRequestWrite/18]",
      "http://example.com/",
      { headers: { "ALL-CAPS": "x" } },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}ALL-CAPS: x\r\n\r\n`,
    ],
    [
      "without a line for a field whose list of values is empty [TestRequestWrite/24]",
      "http://example.com/",
      { headers: { "X-Empty": [], "X-Full": ["1"] } },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}X-Full: 1\r\n\r\n`,
    ],
    [
      "PATCH without a body: length 0 [TestRequestWrite/26]",
      "http://example.com/",
      { method: "PATCH" },
      `PATCH / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 0\r\n\r\n`,
    ],
    [
      "GET without a body: neither length nor coding [TestRequestWriteTransport/GET nil]",
      "http://example.com/",
      {},
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}\r\n`,
    ],
    [
      "GET with a stream of a length that the caller says [TestRequestWriteTransport/GET CL 7]",
      "http://example.com/",
      { body: chunks("foo", "bar!"), headers: { "Content-Length": "7" } },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 7\r\n\r\nfoobar!`,
    ],
    [
      "POST with a stream: in chunks, without a look at it before [TestRequestWriteTransport/POST unknown]",
      "http://example.com/",
      { method: "POST", body: chunks("foo", "bar") },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\n\r\n`,
    ],
    [
      "POST with a stream that is empty: in chunks all the same [TestRequestWriteTransport/POST empty unknown]",
      "http://example.com/",
      { method: "POST", body: chunks() },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "CONNECT with host and port for a target, the scheme's port where the URL has none [TestRequestWrite/21]",
      "http://www.google.com/",
      { method: "CONNECT" },
      `CONNECT www.google.com:80 HTTP/1.1\r\nHost: www.google.com\r\n${OURS}\r\n`,
    ],
    [
      "CONNECT with a Host of the caller's: the target stays the URL's, which cannot be another [TestRequestWrite/22]",
      "https://www.google.com/",
      { method: "CONNECT", headers: { Host: "example.com" } },
      `CONNECT www.google.com:443 HTTP/1.1\r\nHost: example.com\r\n${OURS}\r\n`,
    ],
    [
      "CONNECT to a port that the URL names: in target and Host [TestConnectRequest]",
      "http://example.com:123/",
      { method: "CONNECT" },
      `CONNECT example.com:123 HTTP/1.1\r\nHost: example.com:123\r\n${OURS}\r\n`,
    ],
    [
      "OPTIONS * [TestStarRequest]",
      "http://example.com/",
      { method: "OPTIONS", target: "*" },
      `OPTIONS * HTTP/1.1\r\nHost: example.com\r\n${OURS}\r\n`,
    ],
    [
      "with its length where it is known and not 0 [TestH12_RequestContentLength_Known_NonZero]",
      "http://example.com/",
      { method: "POST", body: Buffer.from("FOUR") },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 4\r\n\r\nFOUR`,
    ],
    [
      "with length 0 where that is known [TestH12_RequestContentLength_Known_Zero]",
      "http://example.com/",
      { method: "POST", body: Buffer.alloc(0) },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 0\r\n\r\n`,
    ],
    [
      "in chunks where its length is not known [TestH12_RequestContentLength_Unknown]",
      "http://example.com/",
      { method: "POST", body: chunks("FOUR") },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n4\r\nFOUR\r\n0\r\n\r\n`,
    ],
    [
      "as hex CRLF data CRLF for each chunk, and 0 CRLF CRLF [TestChunk]",
      "http://example.com/",
      { method: "POST", body: chunks("hello, ", "world! 0123456789abcdef") },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n7\r\nhello, \r\n17\r\nworld! 0123456789abcdef\r\n0\r\n\r\n`,
    ],
    [
      "with a buffer and its length [TestTransportRequestWriteRoundTrip/buffer]",
      "http://example.com/",
      { method: "POST", body: Buffer.from("0123456789"), headers: { "Content-Length": "10" } },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 10\r\n\r\n0123456789`,
    ],
    [
      "with a buffer, its length found [TestTransportRequestWriteRoundTrip/buffer, no length]",
      "http://example.com/",
      { method: "POST", body: Buffer.from("0123456789") },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Content-Length: 10\r\n\r\n0123456789`,
    ],
    [
      "with a buffer, chunked where the caller says so [TestTransportRequestWriteRoundTrip/buffer, length -1]",
      "http://example.com/",
      { method: "POST", body: Buffer.from("0123456789"), headers: { "Transfer-Encoding": "chunked" } },
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n`,
    ],
    [
      "with every User-Agent of the caller's: Go sends the first only [TestTransportUserAgent/multiple]",
      "http://example.com/",
      {
        headers: [
          ["User-Agent", "foo"],
          ["User-Agent", "bar"],
        ],
      },
      "GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: foo\r\nUser-Agent: bar\r\n\r\n",
    ],
    [
      "with the caller's User-Agent [TestTransportUserAgent/custom]",
      "http://example.com/",
      { headers: { "User-Agent": "foo" } },
      "GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: foo\r\n\r\n",
    ],
    [
      "with its own User-Agent where the caller says none [TestTransportUserAgent/default]",
      "http://example.com/",
      {},
      `GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: persistconn/${VERSION}\r\nAccept: */*\r\n\r\n`,
    ],
    [
      "with a User-Agent that the caller leaves empty, empty: Go leaves it out [TestTransportUserAgent/empty]",
      "http://example.com/",
      { headers: { "User-Agent": "" } },
      "GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: \r\n\r\n",
    ],
    [
      "with a name in capitals: that is a name [TestTransportRejectsInvalidHeaders/capital key]",
      "http://example.com/",
      { headers: { Foo: "capital-key" } },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}Foo: capital-key\r\n\r\n`,
    ],
    [
      "with an empty value [TestTransportRejectsInvalidHeaders/empty value]",
      "http://example.com/",
      { headers: { Foo: "" } },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}Foo: \r\n\r\n`,
    ],
    [
      "with bytes above ASCII in a value, one for one [TestTransportRejectsInvalidHeaders/non-ASCII value]",
      "http://example.com/",
      { headers: { Foo: Buffer.from("бар").toString("latin1") } },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}Foo: ${Buffer.from("бар").toString("latin1")}\r\n\r\n`,
    ],
    [
      "with the host in punycode [TestTransportIDNA]",
      "http://παράδειγμα/",
      {},
      `GET / HTTP/1.1\r\nHost: xn--hxajbheg2az3al\r\n${OURS}\r\n`,
    ],
    [
      "with repeats line by line in the caller's order [TestHeaderWrite]",
      "http://example.com/",
      {
        headers: [
          ["B", "1"],
          ["A", "x"],
          ["B", ""],
          ["B", " 2 "],
        ],
      },
      `GET / HTTP/1.1\r\nHost: example.com\r\n${OURS}B: 1\r\nA: x\r\nB: \r\nB: 2\r\n\r\n`,
    ],
  ];
  test.each(rows)("%s", async (_, url, init, text) => {
    expect(await written(url, init)).toBe(text);
  });

  test.each([
    ["in chunks, its length being unknown [TestTransportRequestWriteRoundTrip/file, no length]", {}],
    [
      "in chunks where the caller says so [TestTransportRequestWriteRoundTrip/file, negative length]",
      { "Transfer-Encoding": "chunked" },
    ],
  ])("with a file %s", async (_, headers) => {
    const text = await written("http://example.com/", { method: "POST", body: createReadStream(FILE), headers });
    expect(text).toBe(
      `POST / HTTP/1.1\r\nHost: example.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n`,
    );
  });

  test("and its stream is closed behind it [TestRequestWriteClosesBody]", async () => {
    const body = Readable.from([Buffer.from("my body")]);
    expect(await written("http://foo.com/", { method: "POST", body })).toBe(
      `POST / HTTP/1.1\r\nHost: foo.com\r\n${OURS}Transfer-Encoding: chunked\r\n\r\n7\r\nmy body\r\n0\r\n\r\n`,
    );
    expect(body.destroyed).toBe(true);
  });
});

describe("a body that is not what was said of it", () => {
  test("ends short of its length: that is the error [TestRequestWrite/9]", async () => {
    const { text, error } = await cut({ body: chunks("12345"), headers: { "Content-Length": "10" } });
    expect(error).toMatchObject({
      name: "LocalProtocolError",
      field: "body",
      message: expect.stringMatching(/5 bytes, 10/),
    });
    expect(text.endsWith("12345")).toBe(true);
  });

  test("goes on beyond its length: that is the error, and no byte too many goes out [TestRequestWrite/10]", async () => {
    const { text, error } = await cut({ body: chunks("1234", "5678"), headers: { "Content-Length": "4" } });
    expect(error).toMatchObject({
      name: "LocalProtocolError",
      field: "body",
      message: expect.stringMatching(/8 bytes, 4/),
    });
    expect(text.endsWith("\r\n\r\n1234")).toBe(true);
  });

  test("is in memory and was said to be longer: refused before a byte goes out, Go ignores the field [TestRequestWrite/4]", async () => {
    const { text, error } = await cut({ body: "abcdef", headers: { "Content-Length": "10" } });
    expect([text, error]).toEqual(["", expect.any(LocalProtocolError)]);
  });

  test("is not there: refused before a byte goes out [TestRequestWrite/11]", async () => {
    const { text, error } = await cut({ headers: { "Content-Length": "5" } });
    expect([text, error]).toEqual(["", expect.any(LocalProtocolError)]);
  });

  const broken = new Error("custom reader error");
  test.each([
    ["after a byte fails with its own error [TestRequestWrite/12]", ["x", broken]],
    ["at once fails with its own error [TestRequestWrite/13]", [broken]],
  ] as [string, (string | Error)[]][])("breaks %s", async (_, items) => {
    const { text, error } = await cut({ body: chunks(...items) });
    expect(error).toBe(broken);
    expect(text.endsWith("0\r\n\r\n")).toBe(false);
  });
});

describe("a request is refused when it is made or written, before a byte goes out", () => {
  const post: RequestInit = { method: "POST", body: "x" };
  const rows: [title: string, url: string, init: RequestInit, field: string | null, words: string][] = [
    [
      "without a host: there is always one, where Go writes an empty Host [TestRequestWrite/14]",
      "http:///",
      {},
      "url",
      "is not valid",
    ],
    [
      "without a host, whatever Host says, where Go writes an empty one [TestRequestWrite/15]",
      "http://",
      { headers: { Host: "bad.example.com" } },
      "url",
      "is not valid",
    ],
    [
      "with an IPv6 zone in its URL, which Go takes out: it is no URL (RFC 9110 §4.2) [TestRequestWrite/19]",
      "http://[fe80::1%25en0]/",
      {},
      "url",
      "is not valid",
    ],
    [
      "with an IPv6 zone in its Host, which Go takes out [TestRequestWrite/20]",
      "http://a/",
      { headers: { Host: "[fe80::1%en0]:8080" } },
      "header host",
      "no host with an optional port",
    ],
    [
      "with a field of no value, which Go leaves out [TestRequestWrite/23]",
      "http://a/",
      { headers: { "X-Nil": undefined } as never },
      null,
      "has no value",
    ],
    [
      "with a line end in its query, verbatim [TestRequestWrite/25]",
      "http://a/",
      { target: "/?q=a\nb" },
      "target",
      "must start with /",
    ],
    ["with a line end in its URL [TestRequestWrite/25]", "http://a/?q=a\nb", {}, "url", "a line end"],
    [
      "with a line end in a trailer's name [TestRequestWrite/28]",
      "http://a/",
      { ...post, trailers: { names: ["X-A\r\nEvil"], values: {} } },
      "trailers",
      "is no token",
    ],
    [
      "with a NUL in a value [TestTransportRejectsInvalidHeaders/NUL value]",
      "http://a/",
      { headers: { Foo: "foo\0bar" } },
      "header Foo",
      "characters that no field may have",
    ],
    [
      "with a line end in a value [TestTransportRejectsInvalidHeaders/LF value]",
      "http://a/",
      { headers: { Foo: "foo\nbar" } },
      "header Foo",
      "characters that no field may have",
    ],
    [
      "with a line end in a name [TestTransportRejectsInvalidHeaders/LF key]",
      "http://a/",
      { headers: { "bad\nkey": "v" } },
      'header "bad\\nkey"',
      "must be a token",
    ],
    [
      "with a blank in a name [TestTransportRejectsInvalidHeaders/space key]",
      "http://a/",
      { headers: { "bad key": "v" } },
      'header "bad key"',
      "must be a token",
    ],
    [
      "with a name outside ASCII [TestTransportRejectsInvalidHeaders/non-ASCII key]",
      "http://a/",
      { headers: { фу: "v" } },
      'header "фу"',
      "must be a token",
    ],
    [
      "with an empty name [TestTransportRejectsInvalidHeaders/empty key]",
      "http://a/",
      { headers: [["", "v"]] },
      'header ""',
      "must be a token",
    ],
    [
      "with a line end in its Host, which Go drops [TestRequestBadHostHeader]",
      "http://a/",
      { headers: { Host: "foo\nbar" } },
      "header Host",
      "characters that no field may have",
    ],
    [
      "with a line end in its User-Agent, which Go turns into a blank [TestRequestBadUserAgent]",
      "http://a/",
      { headers: { "User-Agent": "evil\r\nX-Evil: evil" } },
      "header User-Agent",
      "characters that no field may have",
    ],
    [
      "with a Host that something follows, which Go cut off once [TestCleanHost]",
      "http://a/",
      { headers: { Host: "www.google.com/foo" } },
      "header host",
      "no host with an optional port",
    ],
    [
      "with a Host that a blank follows, which Go cut off once [TestCleanHost]",
      "http://a/",
      { headers: { Host: "www.google.com foo" } },
      "header host",
      "no host with an optional port",
    ],
    [
      "with a method that is no token [TestRequestInvalidMethod]",
      "http://a/",
      { method: "bad method" },
      "method",
      "is no token",
    ],
    [
      "with an empty method, which Go takes for GET [TestRequestInvalidMethod]",
      "http://a/",
      { method: "" },
      "method",
      "is no token",
    ],
    [
      "with a port that is no number [TestTransportRejectsAlphaPort]",
      "http://dummy.tld:123foo/bar",
      {},
      "url",
      "is not valid",
    ],
    [
      "for * with a method that has none, which Go sends [TestStarRequestMethod/FOO]",
      "http://a/",
      { method: "FOO", target: "*" },
      "target",
      "for OPTIONS only",
    ],
    [
      "with a line end in a value, which Go turns into a blank [TestHeaderWrite]",
      "http://a/",
      { headers: { Foo: "a\r\nb" } },
      "header Foo",
      "characters that no field may have",
    ],
  ];
  test.each(rows)("%s", async (_, url, init, field, words) => {
    let out = "";
    const write = async () => {
      for await (const part of writeRequest(new Request(url, init))) out += Buffer.from(part).toString("latin1");
    };
    await expect(write()).rejects.toMatchObject({
      name: field === null ? "TypeError" : "LocalProtocolError",
      message: expect.stringContaining(words),
      ...(field !== null && { field, code: "ERR_HTTP_LOCAL_PROTOCOL" }),
    });
    expect(out).toBe("");
  });

  test("with a line end in a trailer's value, found when it is known: nothing of it goes out [TestRequestWrite/29]", async () => {
    const { text, error } = await cut({
      body: "x",
      trailers: { names: ["X-A"], values: () => ({ "X-A": "a\r\nEvil: 1" }) },
    });
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(text).not.toContain("Evil");
    expect(text).not.toContain("\r\n0\r\n");
  });
});

describe("Request", () => {
  test.each([
    ["http://127.0.0.1/", "127.0.0.1"],
    ["http://127.0.0.1:8080/", "127.0.0.1:8080"],
    ["http://192.168.0.1/", "192.168.0.1"],
    ["http://[fe80::1]/", "[fe80::1]"],
    ["http://[fe80::1]:8080/", "[fe80::1]:8080"],
    ["http://example.com:/", "example.com"],
    ["http://example.com:80/", "example.com"],
    ["https://example.com:8443/", "example.com:8443"],
    ["http://www.example.com/", "www.example.com"],
  ])("%s has for Host what the URL has, an empty port left out: %s [TestNewRequestHost]", async (url, host) => {
    expect(await written(url)).toContain(`\r\nHost: ${host}\r\n`);
  });

  test.each([
    ["bytes", Buffer.from("123"), 3],
    ["text", "1234", 4],
    ["no bytes", Buffer.alloc(0), 0],
    ["an array of chunks", ["1", "23"], 3],
    ["a Blob", new Blob(["12345"]), 5],
    ["a Node stream", Readable.from([Buffer.from("123")]), null],
    ["an iterator over bytes", chunks("123"), null],
  ] as [string, RequestInit["body"], number | null][])(
    "knows the length of %s: %j [TestNewRequestContentLength]",
    (_, body, length) => {
      expect(new Request("http://a/", { method: "POST", body }).body?.length).toBe(length);
    },
  );

  test.each([
    ["bytes", Buffer.from("abc"), true],
    ["text", "abc", true],
    ["a Blob", new Blob(["abc"]), true],
    ["a Node stream over bytes", Readable.from([Buffer.from("abc")]), false],
    ["a web stream of a Blob", new Blob(["abc"]).stream(), false],
    ["an iterator", chunks("abc"), false],
  ] as [string, RequestInit["body"], boolean][])(
    "takes %s for what is in memory: %s [TestDetectInMemoryReaders]",
    (_, init, inMemory) => {
      const { body } = new Request("http://a/", { method: "POST", body: init });
      expect([body?.length !== null, body?.regenerable]).toEqual([inMemory, inMemory]);
      body?.discard(new Error("not sent"));
    },
  );

  test.each([
    ["bytes", Buffer.from("hello")],
    ["text", "hello"],
    ["a Blob", new Blob(["hello"])],
  ] as [string, RequestInit["body"]][])("gives %s again when it was read [TestNewRequestGetBody]", async (_, body) => {
    const request = new Request("http://a/", { method: "POST", body });
    for (let i = 0; i < 2; i++) {
      let text = "";
      for await (const chunk of request.getBody() ?? []) text += Buffer.from(chunk).toString();
      expect(text).toBe("hello");
    }
  });

  test("with() leaves the request that it copies as it was [TestRequestCloneTransferEncoding]", () => {
    const request = new Request("http://a/", {
      method: "POST",
      body: "x",
      headers: { "Transfer-Encoding": "chunked" },
    });
    const copy = request.with({ headers: [["X-Other", "1"]] });
    expect(copy.headers.get("transfer-encoding")).toBeNull();
    expect(request.headers.get("transfer-encoding")).toBe("chunked");
  });

  test("its Headers are copied, not shared; from nothing comes something empty [TestCloneOrMakeHeader]", () => {
    const { headers } = new Request("http://a/", { headers: { A: "1" } });
    const copy = new Headers(headers);
    copy.append("A", "2");
    expect([copy.get("a"), headers.get("a")]).toEqual(["1, 2", "1"]);
    for (const init of [undefined, {}]) {
      const made = new Headers(init);
      made.set("B", "2");
      expect([...made]).toEqual([["b", "2"]]);
    }
  });

  test("compares names by ASCII alone: a letter that folds to one is none of them [TestNoUnicodeStrings]", () => {
    for (const name of ["\u212Aeep-Alive", "Tran\u017Ffer-Encoding", "Ho\u017Ft"]) {
      expect(() => new Request("http://a/", { headers: { [name]: "x" } })).toThrow(LocalProtocolError);
    }
    const { headers } = new Request("http://a/", { headers: { "Keep-Alive": "x" } });
    expect(() => headers.get("\u212Aeep-Alive")).toThrow(TypeError);
    expect(() => new Request("http://a/", { method: "PO\u017FT" })).toThrow(LocalProtocolError);
  });
});
