/** Go's tests of one request and its answer, whole: streaming, 1xx, 100-continue, trailers, lengths; over loopback. */

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { type CallInit, Client, Request, type Response, Transport } from "../../lib/index.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { answer, OK } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { type PeerConn, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const textOf = (chunk: IteratorResult<Uint8Array>) => Buffer.from(chunk.value ?? "").toString();

/** Node's server with this handler, and a client for it. */
async function served(handler: RequestListener) {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number }; // it listens on TCP
  const transport = new Transport();
  return {
    client: new Client({ transport }),
    transport,
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      await transport.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of req) body += chunk;
  return body;
}

describe("a body comes as it is sent", () => {
  test("piece by piece, and then its end [TestStreamingGet]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await answer(conn, CHUNKED);
    const body = (await call)[Symbol.asyncIterator]();
    for (const part of ["i", "am", "also", "known as comfortably numb"]) {
      conn.reply(`${part.length.toString(16)}\r\n${part}\r\n`);
      expect(textOf(await body.next())).toBe(part);
    }
    conn.reply("0\r\n\r\n");
    expect((await body.next()).done).toBe(true);
  });

  test("its first chunk at once, though the next one's line is still to come; if that is wrong, the read fails [TestChunkReadPartial]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await answer(conn, `${CHUNKED}7\r\n1234567`);
    const body = (await call)[Symbol.asyncIterator]();
    expect(textOf(await body.next())).toBe("1234567");
    conn.reply("xx");
    await expect(body.next()).rejects.toMatchObject({ code: "ERR_HTTP_REMOTE_PROTOCOL" });
  });

  test("and not after close() [TestResponseBodyReadAfterClose]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    await answer(await peer.accept());
    const res = await call;
    await turns(3);
    await res.close();
    await expect(res.bytes()).rejects.toMatchObject({ code: "ERR_HTTP_BODY_USED" });
    await expect(res.text()).rejects.toBeInstanceOf(TypeError);
  });
});

describe("what Node's server makes of an answer", () => {
  type Rows = readonly (readonly [
    title: string,
    method: string,
    handler: RequestListener,
    length: string | null,
    body: string,
  ])[];
  const rows: Rows = [
    [
      "to HEAD with 1234 bytes said: that length, no body [TestClientHeadContentLength]",
      "HEAD",
      (_, res) => void res.setHeader("Content-Length", "1234").end(),
      "1234",
      "",
    ],
    [
      "to HEAD with 0 bytes said: that length [TestClientHeadContentLength]",
      "HEAD",
      (_, res) => void res.setHeader("Content-Length", "0").end(),
      "0",
      "",
    ],
    [
      "to HEAD with nothing written: no body [TestH12_HeadContentLengthNoBody]",
      "HEAD",
      (_, res) => void res.end(),
      null,
      "",
    ],
    [
      "to HEAD with a small body written: its length where the server knows it [TestH12_HeadContentLengthSmallBody]",
      "HEAD",
      (_, res) => void res.setHeader("Content-Length", "5").end("hello"),
      "5",
      "",
    ],
    [
      "to HEAD with a large body written: no length where the server knows none [TestH12_HeadContentLengthLargeBody]",
      "HEAD",
      (_, res) => {
        res.write("x".repeat(1 << 20));
        res.end();
      },
      null,
      "",
    ],
    [
      "of a small body: its length [TestH12_SmallBody]",
      "GET",
      (_, res) => void res.end("small body"),
      "10",
      "small body",
    ],
    [
      "of a length that the handler said [TestH12_ExplicitContentLength]",
      "GET",
      (_, res) => void res.setHeader("Content-Length", "3").end("foo"),
      "3",
      "foo",
    ],
    [
      "whose head went out first: in chunks [TestH12_FlushBeforeBody]",
      "GET",
      (_, res) => {
        res.flushHeaders();
        res.end("foo");
      },
      null,
      "foo",
    ],
    [
      "whose head went out between two parts: in chunks, both parts [TestH12_FlushMidBody]",
      "GET",
      (_, res) => {
        res.write("foo");
        setImmediate(() => res.end("bar"));
      },
      null,
      "foobar",
    ],
    [
      "to HEAD with an explicit length: that [TestH12_Head_ExplicitLen]",
      "HEAD",
      (_, res) => void res.setHeader("Content-Length", "10").end(),
      "10",
      "",
    ],
    [
      "to HEAD with a length that is that of the body it has no need to send: that [TestH12_Head_ImplicitLen]",
      "HEAD",
      (_, res) => void res.setHeader("Content-Length", Buffer.byteLength("foo")).end("foo"),
      "3",
      "",
    ],
  ];
  test.each(rows)("%s", async (_, method, handler, length, body) => {
    await using site = await served(handler);
    const res = await site.client.request(method, site.url);
    expect(res.headers.get("content-length")).toBe(length);
    expect(await res.text()).toBe(body);
    if (method === "GET") expect(res.framing).toBe(length === null ? "chunked" : "length");
    expect(site.transport.stats()).toMatchObject({ idle: 1 });
  });

  test.each([
    ["HEAD", "[TestHeadBody]"],
    ["GET", "[TestGetBody]"],
  ])("%s may have a body, by length or in chunks, and the next request is framed right %s", async (method) => {
    const seen: string[] = [];
    await using site = await served(async (req, res) => {
      seen.push(`${req.headers["content-length"] ?? req.headers["transfer-encoding"] ?? "none"}: ${await bodyOf(req)}`);
      res.end();
    });
    for (const body of [undefined, "", "some body"]) {
      for (const chunked of body === "some body" ? [false, true] : [false]) {
        const init = { body, headers: chunked ? { "Transfer-Encoding": "chunked" } : {} };
        await (await site.client.request(method, site.url, init)).bytes();
      }
    }
    expect(seen).toEqual(["none: ", "none: ", "9: some body", "chunked: some body"]);
    expect(site.transport.stats().dialed).toBe(1);
  });

  test("five POSTs of one request with an empty text, all before the first answer is read: no bytes each [TestZeroLengthPostAndResponse]", async () => {
    const seen: string[] = [];
    await using site = await served(async (req, res) => {
      seen.push(await bodyOf(req));
      res.setHeader("Content-Length", "0").end();
    });
    const request = new Request(site.url, { method: "POST", body: "" });
    const answers: Response[] = [];
    for (let i = 0; i < 5; i++) answers.push(await site.client.do(request));
    for (const res of answers) expect((await res.bytes()).length).toBe(0);
    expect(seen).toEqual(["", "", "", "", ""]);
  });

  test("OPTIONS * comes as such, without a length [TestStarRequestMethod/OPTIONS]", async () => {
    const seen: unknown[] = [];
    await using site = await served((req, res) => {
      seen.push(req.method, req.url, req.headers["content-length"]);
      res.end();
    });
    await (await site.client.options(site.url, { target: "*" })).bytes();
    expect(seen).toEqual(["OPTIONS", "*", undefined]);
  });

  test("no User-Agent comes where the transport says none [TestTransportUserAgent/nil]", async () => {
    await using peer = await scriptedPeer({ userAgent: "" });
    const call = peer.client.get(peer.url());
    expect(await answer(await peer.accept())).not.toMatch(/user-agent/i);
    await (await call).bytes();
  });

  test("a POST behind Expect: 100-continue and its answer, both long, both whole [TestConcurrentReadWriteReqBody]", async () => {
    const text = "foo".repeat(100_000);
    await using site = await served((req: IncomingMessage, res: ServerResponse) => {
      req.pipe(res);
    });
    const res = await site.client.post(site.url, { body: text, expectContinue: true });
    expect(await res.text()).toBe(text);
  });
});

describe("a request goes out as its body comes", () => {
  test.each([
    ["a GET", {}, ""],
    ["a POST of a small form", { method: "POST", form: { x: "y" } }, "x=y"],
  ])("%s in one write [TestClientWrites]", async (_, init, body) => {
    const [near, far] = duplexPair();
    let writes = 0;
    const write = near._write.bind(near);
    near._write = (...args) => {
      writes++;
      write(...args);
    };
    await using transport = new Transport({ dial: () => near });
    let asked = "";
    far.on("data", (bytes: Buffer) => {
      asked += bytes;
    });
    const call = new Client({ transport }).do(new Request("http://a/", init));
    await until(() => asked.endsWith(`\r\n\r\n${body}`), "all of it is out");
    expect(writes).toBe(1);
    far.write(OK);
    await (await call).bytes();
    await transport.destroy();
    far.destroy();
  });

  test("each chunk before the next is asked for [TestTransportFlushesBodyChunks]", async () => {
    await using peer = await scriptedPeer();
    const upload = new Upload();
    const call = peer.client.post(peer.url(), { body: upload });
    const conn = await peer.accept();
    await conn.readHead();
    for (let i = 1; i <= 5; i++) {
      await until(() => upload.pulls === i, "a chunk is asked for");
      upload.give(3);
      await conn.expect("3\r\nUUU\r\n");
    }
    upload.end();
    await conn.expect("0\r\n\r\n");
    conn.reply(OK);
    await (await call).bytes();
  });

  test("its head before the first byte of a body that waits for the server [TestTransportFlushesRequestHeader]", async () => {
    await using peer = await scriptedPeer();
    const upload = new Upload();
    const call = peer.client.post(peer.url(), { body: upload });
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(upload.bytes).toBe(0);
    conn.reply(OK);
    expect((await call).status).toBe(200);
    upload.end();
    await conn.expect("0\r\n\r\n");
    await (await call).bytes();
  });
});

describe("1xx", () => {
  test("100 in front of each answer is not the answer [TestTransportReading100Continue]", async () => {
    await using peer = await scriptedPeer();
    let conn: PeerConn | null = null;
    for (let id = 0; id < 5; id++) {
      const call = peer.client.post(peer.url(), { headers: { "Request-Id": `${id}` }, body: "x".repeat(id) });
      conn ??= await peer.accept();
      expect(await conn.readHead()).toContain(`\r\nRequest-Id: ${id}\r\n`);
      await conn.expect("x".repeat(id));
      conn.reply(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nEcho-Id: ${id}\r\n\r\nok`);
      const res = await call;
      expect([res.status, res.headers.get("echo-id")]).toEqual([200, `${id}`]);
      await res.bytes();
    }
    expect(peer.transport.stats().dialed).toBe(1);
  });

  const early = (n: number) => `HTTP/1.1 123 OK\r\nX-Header: ${"a".repeat(n)}\r\n\r\n`;

  test("ten of 100 bytes are more than maxResponseHeaderBytes: 1000 [TestTransportLimits1xxResponses]", async () => {
    await using peer = await scriptedPeer({ maxResponseHeaderBytes: 1000 });
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toMatchObject({
      code: "ERR_HTTP_HEADER_LIMIT",
      option: "maxResponseHeaderBytes",
      limit: 1000,
    });
    await answer(await peer.accept(), `${early(100).repeat(10)}HTTP/1.1 204 No Content\r\n\r\n`);
    await failed;
  });

  test("are counted though somebody hears each of them: the limits are of the exchange, where Go's begin anew [TestTransportDoesNotLimitDelivered1xxResponses]", async () => {
    await using peer = await scriptedPeer({ max1xxResponses: 10, maxResponseHeaderBytes: 2000 });
    for (const [n, bytes, whole] of [
      [10, 100, true],
      [11, 100, false],
      [10, 300, false],
    ] as const) {
      let heard = 0;
      const call = peer.client.get(peer.url(), {
        onInformation: () => {
          heard++;
        },
        headers: { Connection: "close" },
      });
      call.catch(() => {});
      await answer(await peer.accept(), `${early(bytes).repeat(n)}HTTP/1.1 204 No Content\r\n\r\n`);
      if (whole) {
        expect((await call).status).toBe(204);
        expect(heard).toBe(n);
      } else await expect(call).rejects.toMatchObject({ code: "ERR_HTTP_HEADER_LIMIT" });
    }
  });

  test("103 twice is heard with its links, and its fields are not the answer's [TestEarlyHintsRequest]", async () => {
    await using peer = await scriptedPeer();
    const heard: unknown[] = [];
    const call = peer.client.get(peer.url(), {
      onInformation: ({ status, headers }) => {
        heard.push([status, headers.get("link"), headers.has("content-length")]);
      },
    });
    const links = ["</style.css>; rel=preload; as=style", "</script.js>; rel=preload; as=script"];
    await answer(
      await peer.accept(),
      `HTTP/1.1 103 Early Hints\r\nLink: ${links[0]}\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: ${links[0]}\r\nLink: ${links[1]}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello`,
    );
    const res = await call;
    expect(await res.text()).toBe("Hello");
    expect(res.headers.has("link")).toBe(false);
    expect(heard).toEqual([
      [103, links[0], false],
      [103, links.join(", "), false],
    ]);
  });
});

describe("Expect: 100-continue", () => {
  const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
  const rows: [title: string, reply: string, sent: boolean, kept: boolean, status: number][] = [
    ["100, then 200: the body is sent [TestTransportExpect100Continue/100]", CONTINUE, true, true, 200],
    [
      "200 with close: it is not [TestTransportExpect100Continue/200]",
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      false,
      false,
      200,
    ],
    [
      "500 with close: it is not [TestTransportExpect100Continue/500]",
      "HTTP/1.1 500 Oops\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      false,
      false,
      500,
    ],
    [
      "500 of no bytes with keep-alive: it is not, and the connection is closed [TestTransportExpect100Continue/keepalive]",
      "HTTP/1.1 500 Oops\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
      false,
      false,
      500,
    ],
    [
      "200 with close after the connection was to be kept: it is not [TestTransportExpect100Continue200ResponseWithConnClose]",
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      false,
      false,
      200,
    ],
    [
      "500 that keeps the connection: it is not, and that connection serves no other, where Go sends it [TestTransportExpect100Continue500ResponseNoConnClose]",
      "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno",
      false,
      false,
      500,
    ],
  ];
  test.each(rows)("answered with %s", async (_, reply, sent, kept, status) => {
    await using peer = await scriptedPeer({ clock: new SteeredClock() });
    const call = peer.client.post(peer.url(), { body: "hello", expectContinue: true });
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain("\r\nExpect: 100-continue\r\n");
    conn.reply(reply);
    if (sent) {
      await conn.expect("hello");
      conn.reply(OK);
    }
    const res = await call;
    expect(res.status).toBe(status);
    await res.bytes();
    if (!kept) expect(await conn.readToEnd()).toBe("");
    expect(peer.transport.stats().idle).toBe(kept ? 1 : 0);
  });

  test("answered with nothing until the time is up, and then 500: the body was sent [TestTransportExpect100Continue500ResponseTimeout]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, expectContinueTimeout: 1 });
    const call = peer.client.post(peer.url(), { body: "hello", expectContinue: true });
    const conn = await peer.accept();
    await conn.readHead();
    await turns(10);
    await clock.advance(1);
    await conn.expect("hello");
    conn.reply("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    expect((await call).status).toBe(500);
    await (await call).bytes();
  });
});

describe("trailers", () => {
  const trailed = async (...parts: string[]) => {
    await using peer = await scriptedPeer();
    const call = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    const states: unknown[] = [];
    conn.reply(parts[0]!);
    const res = await call;
    const body = res[Symbol.asyncIterator]();
    for (const part of parts.slice(1)) {
      states.push(res.trailers);
      conn.reply(part);
      await body.next();
    }
    while (!(await body.next()).done);
    return { res, states };
  };

  test("that were announced over two lines: not known before the end; then those that came, and Trailer stays a field [TestTrailersServerToClient]", async () => {
    const { res, states } = await trailed(
      "HTTP/1.1 200 OK\r\nTrailer: Server-Trailer-A, Server-Trailer-B\r\nTrailer: Server-Trailer-C\r\nTransfer-Encoding: chunked\r\n\r\n",
      "5\r\nHello\r\n",
      "0\r\nServer-Trailer-A: valuea\r\nServer-Trailer-C: valuec\r\n\r\n",
    );
    expect(states).toEqual([null, null]);
    expect(res.trailers?.raw).toEqual([
      ["Server-Trailer-A", "valuea"],
      ["Server-Trailer-C", "valuec"],
    ]);
    expect(res.trailers?.has("server-trailer-b")).toBe(false);
    expect(res.headers.get("trailer")).toBe("Server-Trailer-A, Server-Trailer-B, Server-Trailer-C");
    expect(res.headers.has("content-length")).toBe(false);
  });

  test("of Node's server that sent its head early: known after the last byte [TestTrailersServerToClientFlush]", async () => {
    await using site = await served((_, res) => {
      res.setHeader("Trailer", "Server-Trailer-A");
      res.flushHeaders();
      res.write("Hello");
      res.addTrailers({ "Server-Trailer-A": "valuea" });
      res.end();
    });
    const res = await site.client.get(site.url);
    expect(await res.text()).toBe("Hello");
    expect([res.framing, res.trailers?.get("server-trailer-a")]).toEqual(["chunked", "valuea"]);
  });

  test("that nobody announced: all of them, two of one name too [TestServerUndeclaredTrailers]", async () => {
    const { res } = await trailed(`${CHUNKED}3\r\nfoo\r\n`, "0\r\nFoo: Bar\r\nBaz: multi1\r\nBaz: multi2\r\n\r\n");
    expect([...(res.trailers ?? [])]).toEqual([
      ["baz", "multi1, multi2"],
      ["foo", "Bar"],
    ]);
  });
});

describe("a POST whose answer comes early", () => {
  test("401 to an endless body: answer and body are there, the upload stops [TestIssue3595]", async () => {
    await using peer = await scriptedPeer();
    const upload = new Upload(16 * 1024);
    const call = peer.client.post(peer.url(), { body: upload } satisfies CallInit);
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 401 Unauthorized\r\nContent-Length: 13\r\n\r\nseems to work");
    const res = await call;
    expect([res.status, await res.text()]).toEqual([401, "seems to work"]);
    expect(upload.returned).toBe(1);
  });
});
