/**
 * Transparent decompression over loopback: only what the transport asked for is decoded, the framing below is read to its
 * end, and what is closed is not decoded (RFC 9110 §8.4, §12.5.3; Go net/http gzipReader).
 */

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ConnectionClosedError, DecompressError, IncompleteBodyError, Request } from "../../lib/index.ts";
import { acceptEncoding } from "../../lib/message/decode.ts";
import { encode } from "../message/encoded.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";
import { type PeerConn, type PeerOptions, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";

const leaks = checkLeaks();

const TEXT = "What is said three times is true. ".repeat(3);
const LARGE = Buffer.from(randomBytes(150_000).toString("hex"));

/** A framed answer, as latin1. */
function answer(body: Buffer, { fields = "", chunk = 0, status = "200 OK" } = {}): string {
  const start = `HTTP/1.1 ${status}\r\n${fields}`;
  if (chunk === 0) return `${start}Content-Length: ${body.length}\r\n\r\n${body.toString("latin1")}`;
  let text = `${start}Transfer-Encoding: chunked\r\n\r\n`;
  for (let at = 0; at < body.length; at += chunk) {
    const piece = body.toString("latin1", at, at + chunk);
    text += `${piece.length.toString(16)}\r\n${piece}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}
const GZIP = "Content-Encoding: gzip\r\n";

/** A case with its tag, its last item, at the end of its rule, its first one. */
function tagged<T extends [rule: string, ...rest: unknown[], tag: string]>(one: T): T {
  const [rule, ...rest] = one;
  return [`${rule} [${rest.at(-1)}]`, ...rest] as unknown as T; // the same but for the first text
}

/** Sends `request`, answers with `reply`, and gives the response. */
async function exchange(
  peer: ScriptedPeer,
  reply: string,
  init: { method?: string; headers?: Record<string, string> } = {},
) {
  const { method = "GET", headers = {} } = init;
  const call = peer.client.request(method, peer.url(), { headers });
  const conn: PeerConn = peer.accepted[0] ?? (await peer.accept());
  await conn.expect(peer.head(`${method} /`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)));
  conn.reply(reply);
  return { response: await call, conn };
}

describe("what is asked for, and what is decoded", () => {
  const zipped = encode(TEXT, "gzip");
  const reply = answer(zipped, { fields: GZIP });
  const cases: [
    rule: string,
    init: { method?: string; headers?: Record<string, string> },
    options: PeerOptions,
    decoded: boolean,
    row: string,
  ][] = [
    ["asked by the transport: decoded", {}, {}, true, "TestRoundTripGzip/no accept"],
    [
      "the caller's Accept-Encoding: foo: raw",
      { headers: { "accept-encoding": "foo" } },
      {},
      false,
      "TestRoundTripGzip/accept foo",
    ],
    [
      "the caller's Accept-Encoding: gzip: raw",
      { headers: { "Accept-Encoding": "gzip" } },
      {},
      false,
      "TestRoundTripGzip/accept gzip",
    ],
    [
      "a Range asks for no coding: raw (Go issue 8923)",
      { headers: { Range: "bytes=0-9" } },
      {},
      false,
      "TestTransportRangeAndGzip",
    ],
    ["decompress: false asks for none: raw", {}, { decompress: false }, false, "TestH12_AutoGzip_Disabled"],
    ["a server that encodes because it was asked", {}, { decompress: true }, true, "TestH12_AutoGzip"],
  ];
  test.each(cases.map(tagged))("Transport.roundTrip(): %s", async (_, init, options, decodes) => {
    await using peer = await scriptedPeer(options);
    const { method = "GET" } = init;
    const call = peer.client.request(method, peer.url(), init.headers === undefined ? {} : { headers: init.headers });
    const conn = await peer.accept();
    const asked = /^accept-encoding: (.*)\r$/im.exec(await conn.readHead())?.[1];
    expect(asked).toBe(
      decodes ? acceptEncoding() : (init.headers?.["accept-encoding"] ?? init.headers?.["Accept-Encoding"]),
    );
    conn.reply(reply);
    const response = await call;
    expect(response.decompressed).toBe(decodes);
    expect(response.headers.get("content-encoding")).toBe(decodes ? null : "gzip");
    expect(response.headers.get("content-length")).toBe(decodes ? null : `${zipped.length}`);
    expect([...response.headers].map(([name]) => name)).toEqual(decodes ? [] : ["content-encoding", "content-length"]);
    expect(response.headers.raw).toEqual([
      ["Content-Encoding", "gzip"],
      ["Content-Length", `${zipped.length}`],
    ]);
    const body = Buffer.from(await response.bytes());
    expect(body.equals(decodes ? Buffer.from(TEXT) : zipped)).toBe(true);
    expect(peer.transport.stats()).toMatchObject({ idle: 1 });
  });

  test.each([
    ["gzip", true, "TestTransportContentEncodingCaseInsensitive/gzip"],
    ["GZIP", true, "TestTransportContentEncodingCaseInsensitive/GZIP"],
    ["X-GZip", true, "x-gzip"],
    ["identity, gzip", true, "identity"],
    ["aes128gcm", false, "unknown"],
    ["gzip, aes128gcm", false, "unknown over gzip"],
  ])("Transport.roundTrip() with Content-Encoding: %s in the answer decodes: %s [%s]", async (field, decodes) => {
    await using peer = await scriptedPeer();
    const { response } = await exchange(peer, answer(zipped, { fields: `Content-Encoding: ${field}\r\n` }));
    expect(response.decompressed).toBe(decodes);
    expect(response.headers.get("content-encoding")).toBe(decodes ? null : field);
    expect(Buffer.from(await response.bytes()).equals(decodes ? Buffer.from(TEXT) : zipped)).toBe(true);
  });

  test("two Content-Encoding fields are one list (RFC 9110 §5.3)", async () => {
    await using peer = await scriptedPeer();
    const fields = "content-encoding:  gzip \r\nX: y\r\nCONTENT-ENCODING: br\r\n";
    const { response } = await exchange(peer, answer(encode(TEXT, "gzip", "br"), { fields }));
    expect(await response.text()).toBe(TEXT);
    expect([...response.headers]).toEqual([["x", "y"]]);
  });

  test("the templates of heads keep apart who asked", async () => {
    await using peer = await scriptedPeer();
    for (const headers of [{}, { Range: "bytes=0-9" }, {}, { Range: "bytes=0-9" }, {}]) {
      const { response } = await exchange(peer, reply, { headers });
      expect(response.decompressed).toBe(!("Range" in headers));
      await response.bytes();
    }
  });

  test.each<[string, { method?: string }, string]>([
    ["HEAD", { method: "HEAD" }, `HTTP/1.1 200 OK\r\n${GZIP}Content-Length: 99\r\n\r\n`],
    ["204", {}, `HTTP/1.1 204 No Content\r\n${GZIP}\r\n`],
    ["304", {}, `HTTP/1.1 304 Not Modified\r\n${GZIP}Content-Length: 99\r\n\r\n`],
    ["Content-Length: 0", {}, `HTTP/1.1 200 OK\r\n${GZIP}Content-Length: 0\r\n\r\n`],
  ])("an answer without content is not decoded, and its fields stay: %s (as Go)", async (_, init, reply) => {
    await using peer = await scriptedPeer();
    const { response, conn } = await exchange(peer, reply, init);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(response.decompressed).toBe(false);
    expect(await response.text()).toBe("");
    expect(peer.transport.stats()).toMatchObject({ idle: 1 });
    conn.end();
  });

  test("a chunked answer with nothing in it decodes to nothing", async () => {
    await using peer = await scriptedPeer();
    const { response } = await exchange(peer, answer(Buffer.alloc(0), { fields: GZIP, chunk: 1 }));
    expect([response.decompressed, await response.text()]).toEqual([true, ""]);
  });

  test("HEAD asks for no coding; large and small bodies are decoded; closed halfway, reads fail [TestTransportGzip]", async () => {
    await using peer = await scriptedPeer();
    const small = await exchange(peer, answer(zipped, { fields: GZIP }));
    expect(await small.response.text()).toBe(TEXT);
    const large = await exchange(peer, answer(encode(LARGE, "gzip"), { fields: GZIP, chunk: 30_000 }));
    expect(Buffer.from(await large.response.bytes()).equals(LARGE)).toBe(true);
    const head = await exchange(peer, `HTTP/1.1 200 OK\r\n${GZIP}Content-Length: 9\r\n\r\n`, { method: "HEAD" });
    expect(head.response.headers.get("content-length")).toBe("9");
    const half = await exchange(peer, answer(encode(LARGE, "gzip"), { fields: GZIP }));
    const chunks = half.response[Symbol.asyncIterator]();
    expect((await chunks.next()).value?.length).toBeGreaterThan(0);
    await half.response.close();
    await expect(chunks.next()).rejects.toThrow("closed");
  });

  test("a body that decodes to itself is decoded once [TestTransportGzipRecursive]", async () => {
    await using peer = await scriptedPeer();
    const twice = encode(TEXT, "gzip", "gzip");
    const { response } = await exchange(peer, answer(twice, { fields: GZIP }));
    const once = Buffer.from(await response.bytes());
    expect(once.equals(encode(TEXT, "gzip"))).toBe(true);
    expect(response.headers.has("content-encoding")).toBe(false);
  });

  test("a decoded answer, written out, has the decoded text and no coding [TestH12_AutoGzipWithDumpResponse]", async () => {
    await using peer = await scriptedPeer();
    const { response } = await exchange(peer, answer(zipped, { fields: `${GZIP}X-A: b\r\n` }));
    const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`);
    expect([...lines, await response.text()]).toEqual(["x-a: b", TEXT]);
  });
});

describe("errors", () => {
  test("two bytes of gzip are a cut body [TestTransportGzipShort]", async () => {
    await using peer = await scriptedPeer();
    const { response } = await exchange(peer, answer(Buffer.from([0x1f, 0x8b]), { fields: GZIP }));
    const error = await response.text().catch((reason) => reason);
    expect(error).toBeInstanceOf(DecompressError);
    expect(error).toMatchObject({
      code: "ERR_HTTP_DECOMPRESS",
      reason: "truncated",
      coding: "gzip",
      bytesIn: 2,
      bytesOut: 0,
      phase: "body",
      origin: peer.url("").replace(/\/$/, ""),
      reused: false,
      safeToRetry: false,
    });
    expect(peer.transport.stats()).toMatchObject({ idle: 1 }); // the message was whole
  });

  test("a broken body in the middle of the answer closes the connection, and a decoded start was given", async () => {
    await using peer = await scriptedPeer();
    const zipped = encode(LARGE, "gzip");
    zipped.fill(0, 100_000, 120_000);
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`HTTP/1.1 200 OK\r\n${GZIP}Content-Length: 9000000\r\n\r\n${zipped.toString("latin1")}`);
    const response = await call;
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of response) bytes += chunk.length;
    })();
    await expect(reading).rejects.toMatchObject({ reason: "corrupt" });
    expect(bytes).toBeGreaterThan(50_000);
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0, closed: { "body-closed-early": 1 } });
  });

  test("a body that the connection cuts is an error of the connection, behind what could be decoded", async () => {
    await using peer = await scriptedPeer();
    for (const framing of ["Content-Length: 9000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n20000\r\n"]) {
      const call = peer.client.get(peer.url());
      const conn = await peer.accept();
      await conn.readHead();
      conn.reply(`HTTP/1.1 200 OK\r\n${GZIP}${framing}${encode(LARGE, "gzip").toString("latin1", 0, 100_000)}`);
      const response = await call;
      let bytes = 0;
      const reading = (async () => {
        for await (const chunk of response) {
          if (bytes === 0) conn.end();
          bytes += chunk.length;
        }
      })();
      const error = await reading.catch((reason) => reason);
      expect(error instanceof IncompleteBodyError || error instanceof ConnectionClosedError).toBe(true);
      expect(bytes).toBeGreaterThan(100_000);
    }
  });

  test("an abort in the middle rejects with its own reason", async () => {
    await using peer = await scriptedPeer();
    const abort = new AbortController();
    const call = peer.client.get(peer.url(), { signal: leaks().watch(abort.signal) });
    const conn = await peer.accept();
    await conn.readHead();
    const zipped = encode(LARGE, "gzip").toString("latin1");
    conn.reply(`HTTP/1.1 200 OK\r\n${GZIP}Content-Length: ${zipped.length}\r\n\r\n${zipped.slice(0, 50_000)}`);
    const chunks = (await call)[Symbol.asyncIterator]();
    await chunks.next();
    const reason = { mine: true };
    abort.abort(reason);
    const rest = (async () => {
      while (!(await chunks.next()).done);
    })();
    await expect(rest).rejects.toBe(reason);
  });
});

describe("the connection", () => {
  const zipped = encode(TEXT, "gzip");

  const framings: [rule: string, how: { fields: string; chunk?: number }, row: string][] = [
    ["chunked: its terminator is read too", { fields: GZIP, chunk: 7 }, "TestTransportReuseConnection_Gzip_Chunked"],
    ["with a length", { fields: GZIP }, "TestTransportReuseConnection_Gzip_ContentLength"],
  ];
  test.each(framings.map(tagged))("a decoded answer leaves its connection to the next request, %s", async (_, how) => {
    await using peer = await scriptedPeer();
    for (let served = 0; served < 3; served++) {
      const { response } = await exchange(peer, answer(zipped, how));
      expect(await response.text()).toBe(TEXT);
      expect(response.connection).toMatchObject({ served, reused: served > 0 });
    }
    expect(peer.accepted).toHaveLength(1);
  });

  test("the terminator that comes behind the last encoded byte is waited for, the content is not", async () => {
    await using peer = await scriptedPeer();
    const whole = answer(zipped, { fields: GZIP, chunk: 1000 });
    const { response, conn } = await exchange(peer, whole.slice(0, -5));
    const chunks = response[Symbol.asyncIterator]();
    expect(Buffer.from((await chunks.next()).value as Uint8Array).toString()).toBe(TEXT);
    expect(peer.transport.stats()).toMatchObject({ busy: 1, idle: 0 });
    const last = chunks.next();
    conn.reply(whole.slice(-5));
    expect((await last).done).toBe(true);
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 1 });
  });

  test("trailers come behind a decoded body", async () => {
    await using peer = await scriptedPeer();
    const whole = answer(zipped, { fields: GZIP, chunk: 1000 });
    const { response } = await exchange(peer, `${whole.slice(0, -2)}X-Sum: 1\r\n\r\n`);
    expect(await response.text()).toBe(TEXT);
    expect(response.trailers?.get("x-sum")).toBe("1");
  });

  test("close() of an unread encoded body drains it undecoded, and leaves the connection", async () => {
    await using peer = await scriptedPeer();
    // Decoded, it would be an error at its first byte.
    const { response } = await exchange(peer, answer(Buffer.alloc(200_000, 0xff), { fields: GZIP }));
    await response.close();
    await until(() => peer.transport.stats().idle === 1, "the connection is idle");
    await expect(response.text()).rejects.toThrow("closed");
  });

  test("one task reads the decoded body while another closes it: the read ends [TestTransportGzipConcurrentCloseAndRead]", async () => {
    await using peer = await scriptedPeer();
    for (let after = 0; after < 8; after++) {
      const call = peer.client.get(peer.url());
      const conn = await peer.accept();
      await conn.readHead();
      conn.reply(answer(encode(LARGE, "gzip"), { fields: `${GZIP}Connection: close\r\n`, chunk: 5_000 }));
      const response = await call;
      const reading = (async () => {
        for await (const _ of response);
      })();
      for (let i = 0; i < after; i++) await new Promise((resolve) => setImmediate(resolve));
      await response.close();
      await reading.catch((error) => expect(error).toMatchObject({ code: "ERR_HTTP_BODY_USED" }));
      conn.socket.destroy();
    }
  });

  test("clone() gives both the decoded content", async () => {
    await using peer = await scriptedPeer();
    for (const content of [Buffer.from(TEXT), LARGE]) {
      const { response } = await exchange(peer, answer(encode(content, "gzip"), { fields: GZIP }));
      const copy = response.clone();
      expect([copy.decompressed, copy.headers.has("content-encoding")]).toEqual([true, false]);
      const [one, two] = await Promise.all([response.bytes(), copy.bytes()]);
      expect([content.equals(one), content.equals(two)]).toEqual([true, true]);
    }
  });

  test.each(["gzip", "deflate", "br"])("every form of reading gives the content of %s", async (coding) => {
    await using peer = await scriptedPeer();
    const content = JSON.stringify({ text: TEXT, long: LARGE.toString() });
    const reply = answer(encode(content, coding), { fields: `Content-Encoding: ${coding}\r\n`, chunk: 20_000 });
    const next = async () => (await exchange(peer, reply)).response;
    expect(await (await next()).json()).toEqual(JSON.parse(content));
    expect(Buffer.from(await (await next()).arrayBuffer()).toString()).toBe(content);
    expect(await (await (await next()).blob()).text()).toBe(content);
    expect(Buffer.concat(await (await next()).readable().toArray()).toString()).toBe(content);
    const pieces: Uint8Array[] = [];
    for await (const piece of (await next()).body ?? []) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe(content);
    expect(peer.accepted).toHaveLength(1);
  });

  test("a Request sent many times at once is decoded each time", async () => {
    await using peer = await scriptedPeer();
    const request = new Request(peer.url());
    const calls = Array.from({ length: 20 }, () => peer.client.do(request));
    const conns = await Promise.all(calls.map(() => peer.accept()));
    for (const [i, conn] of conns.entries()) {
      await conn.readHead();
      conn.reply(
        answer(encode(`${TEXT} ${i % 2 === 0 ? LARGE : ""}`, i % 3 === 0 ? "br" : "gzip"), {
          fields: `Content-Encoding: ${i % 3 === 0 ? "br" : "gzip"}\r\n`,
          chunk: i * 100,
        }),
      );
    }
    const texts = await Promise.all(calls.map(async (call) => (await call).text()));
    expect(texts.map((text) => text.startsWith(TEXT))).toEqual(texts.map(() => true));
    expect(texts.filter((text) => text.length > LARGE.length)).toHaveLength(10);
  });
});
