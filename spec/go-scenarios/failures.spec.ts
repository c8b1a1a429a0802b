/** Go's tests of what goes wrong, told to this client: whose error it is, who closes the body, what is left, what goes again. */

import { connect, createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { type CallInit, Client, HttpError, Request, Transport } from "../../lib/index.ts";
import { onward } from "../../lib/redirect.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { answer, OK, warm } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { type PeerConn, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "it was fulfilled",
    (reason: unknown) => reason,
  );

/** A server that does this with each connection, and a client for it. */
async function rawServer(serve: (socket: Socket) => void, options: ConstructorParameters<typeof Transport>[0] = {}) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number }; // it listens on TCP
  const transport = new Transport(options);
  return {
    transport,
    client: new Client({ transport }),
    port,
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      await transport.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Two ends in memory; what happens to the far one is part of what is scripted. */
function pair() {
  const ends = duplexPair();
  ends[1].on("error", () => {});
  return ends;
}

/** A stream that counts how often it was closed. */
function closing(bytes: string) {
  const body = Object.assign(Readable.from([Buffer.from(bytes)]), { closes: 0 });
  body.on("close", () => body.closes++);
  return body;
}

describe("a body that can be read once is closed once", () => {
  test("when it was sent [TestTransportClosesRequestBody]", async () => {
    await using peer = await scriptedPeer();
    const body = closing("hello");
    const call = peer.client.post(peer.url(), { body });
    const conn = await peer.accept();
    await conn.readHead();
    await conn.expect("5\r\nhello\r\n0\r\n\r\n");
    conn.reply(OK);
    await (await call).bytes();
    expect([body.destroyed, body.closes]).toEqual([true, 1]);
  });

  test("when it breaks: the call fails with its own error, and the server sees no clean end [TestTransportClosesBodyOnError]", async () => {
    await using peer = await scriptedPeer();
    const broken = new Error("fake error");
    const upload = new Upload();
    const call = reasonOf(peer.client.post(peer.url(), { body: upload }));
    const conn = await peer.accept();
    await conn.readHead();
    upload.give(1 << 20);
    await until(() => upload.pulls === 2, "it was sent");
    upload.fail(broken);
    expect(await call).toBe(broken);
    expect((await conn.readToEnd()).endsWith("0\r\n\r\n")).toBe(false);
  });

  test("when it breaks over a warm connection: its own error, and nothing is tried again [TestTransportBodyReadError]", async () => {
    await using peer = await scriptedPeer();
    const [conn] = await warm(peer);
    const broken = new Error("some body read error");
    const upload = new Upload();
    const call = reasonOf(peer.client.post(peer.url(), { body: upload }));
    await conn!.readHead();
    upload.fail(broken);
    expect(await call).toBe(broken);
    expect(upload.pulls).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, retries: 0 });
  });

  test("when its connection is dead before it is written to [TestConnClosedBeforeRequestIsWritten]", async () => {
    const [near, far] = pair();
    await using transport = new Transport({ dial: () => near });
    near.destroy(new Error("some write error"));
    const body = closing("hello");
    const error = await reasonOf(new Client({ transport }).post("http://fake.golang/", { body }));
    expect(error).toBeInstanceOf(HttpError);
    await turns(3);
    expect([body.destroyed, body.closes]).toEqual([true, 1]);
    far.destroy();
  });

  test("when the server answers 204 without reading, fifty times [TestClientCallsCloseOnlyOnce]", async () => {
    await using site = await rawServer((socket) => {
      socket.on("data", (bytes) => {
        if (String(bytes).includes("POST / ")) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      });
    });
    const uploads = Array.from({ length: 50 }, () => {
      const upload = new Upload();
      for (let i = 0; i < 3; i++) upload.give(100_000);
      return upload;
    });
    for (const upload of uploads) {
      const res = await site.client.post(site.url, { body: upload });
      expect(res.status).toBe(204);
      upload.end();
      await until(() => site.transport.stats().busy === 0, "the connection is back or gone");
      expect(upload.returned).toBeLessThanOrEqual(1);
      const { pulls } = upload;
      await turns(3);
      expect(upload.pulls).toBe(pulls);
    }
  });

  test("when garbage answers it [TestBadResponseAfterReadingBody]", async () => {
    await using peer = await scriptedPeer();
    const body = closing("hello");
    const call = reasonOf(peer.client.post(peer.url(), { body }));
    const conn = await peer.accept();
    await conn.readHead();
    await conn.expect("5\r\nhello\r\n0\r\n\r\n");
    conn.reply("some junk\r\n\r\n");
    expect(await call).toMatchObject({
      code: "ERR_HTTP_REMOTE_PROTOCOL",
      offset: 0,
      excerpt: "some junk\\r\\n\\r\\n",
      attempt: 1,
      reused: false,
      origin: peer.url().slice(0, -1),
    });
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, retries: 0 });
    await turns(3);
    expect([body.destroyed, body.closes]).toEqual([true, 1]);
  });

  test("when the server ends within 6 MiB of it [TestHandlerAbortRacesBodyRead]", async () => {
    await using peer = await scriptedPeer();
    const calls = [0, 1, 2, 3].map(() => {
      const upload = new Upload(64 * 1024);
      return { upload, call: reasonOf(peer.client.post(peer.url(), { body: upload })) };
    });
    for (const [n] of calls.entries()) {
      const conn = await peer.accept();
      await conn.readHead();
      await conn.read(n * 100_000);
      conn.reset();
    }
    for (const { upload, call } of calls) {
      expect(await call).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
      expect(upload.returned).toBe(1);
    }
  });

  const bad: [title: string, url: unknown, init: CallInit & { method?: string }, says: RegExp][] = [
    [
      "a method that is a blank [TestTransportClosesBodyOnInvalidRequests/invalid method]",
      "http://a/",
      { method: " " },
      /method/,
    ],
    ["no URL [TestTransportClosesBodyOnInvalidRequests/nil URL]", undefined, {}, /url/i],
    [
      "a name that is none, which is told [TestTransportClosesBodyOnInvalidRequests/invalid header key]",
      "http://a/",
      { headers: [["💡", "emoji"]] },
      /name/,
    ],
    [
      "a control byte in a value: its name is told and its value is not [TestTransportClosesBodyOnInvalidRequests/invalid header value]",
      "http://a/",
      { headers: { "X-Info": "s3cret\x07" } },
      /^(?!.*s3cret).*x-info/i,
    ],
    ["another scheme [TestTransportClosesBodyOnInvalidRequests/non HTTP scheme]", "faux://a/", {}, /scheme|http/],
    ["no host [TestTransportClosesBodyOnInvalidRequests/no host]", "http://", {}, /url/i],
  ];
  test.each(bad)("when the request is refused for %s", async (_, url, { method = "POST", ...init }, says) => {
    await using peer = await scriptedPeer();
    const body = closing("hello");
    const error = await reasonOf(peer.client.request(method, url as string, { ...init, body }));
    expect((error as Error).message).toMatch(says);
    await turns(3);
    expect([body.destroyed, body.closes]).toEqual([true, 1]);
    expect(peer.transport.stats().dialed).toBe(0);
  });
});

describe("a request is refused before a connection is touched", () => {
  test.each([
    ["without a host [TestTransportNoHost]", "http://", {}, "url", /is not valid/],
    [
      "of an empty method, which Go takes for GET [TestTransportEmptyMethod]",
      "http://a/",
      { method: "" },
      "method",
      /"" is no token/,
    ],
    [
      "whose Host would bring another field [TestRequestSanitization]",
      "http://a/",
      { headers: { Host: "go.dev\r\nX-Evil:evil" } },
      "header Host",
      /value with characters that no field may have/,
    ],
    [
      "with a line end in the name of a trailer [TestValidateClientRequestTrailers/bad key]",
      "http://a/",
      { method: "POST", body: "x", trailers: { names: ["Trx\r\nX-Another-One"], values: {} } },
      "trailers",
      /is no token/,
    ],
  ] as [string, string, { method?: string } & CallInit, string, RegExp][])("%s", async (_, url, init, field, says) => {
    await using peer = await scriptedPeer();
    const { method = "GET", ...rest } = init;
    const error = await reasonOf(peer.client.request(method, url, rest));
    expect(error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field, message: expect.stringMatching(says) });
    // Node's own error of a URL has its text, and that may have a password.
    const cause = field === "url" ? { message: expect.stringContaining("Invalid URL") } : undefined;
    expect((error as Error).cause).toEqual(cause && expect.objectContaining(cause));
    expect((error as Error).cause ?? {}).not.toHaveProperty("input");
    expect(peer.transport.stats().dialed).toBe(0);
  });

  test("with a line end in the value of a trailer: its name is told and its value is not [TestValidateClientRequestTrailers/bad value]", async () => {
    await using peer = await scriptedPeer();
    const call = reasonOf(
      peer.client.post(peer.url(), {
        body: "x",
        trailers: { names: ["Trx"], values: { Trx: "s3cret\r\nX-Another-One: 1" } },
      }),
    );
    const error = (await call) as Error;
    expect(error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", message: expect.stringMatching(/trx/i) });
    expect(error.message).not.toContain("s3cret");
    for (const conn of peer.accepted) expect(await conn.readToEnd()).not.toContain("X-Another-One");
  });
});

describe("an error says what went wrong", () => {
  test("and has the very error of the connection for its cause [TestTransportReturnsPeekError]", async () => {
    const wanted = new Error("wanted");
    const [near, far] = pair();
    await using transport = new Transport({ dial: () => near });
    far.on("data", () => near.destroy(wanted));
    const error = await reasonOf(new Client({ transport }).get("http://fake.tld/"));
    expect(error).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", cause: wanted });
    far.destroy();
  });

  test("and knows a connection that its server closed while it was idle [TestTransportPersistConnReadLoopEOF]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const [conn] = await warm(peer);
    clock.beforeTurn = () => {
      clock.beforeTurn = null;
      conn!.reset();
    };
    const error = await reasonOf(peer.client.post(peer.url(), { body: new Upload() }));
    expect(error).toMatchObject({
      code: "ERR_HTTP_CONNECTION_CLOSED",
      bytesSubmitted: 0,
      reused: true,
      safeToRetry: true,
    });
  });

  test("and names the limit that a head went beyond; a head within it passes [TestTransportResponseHeaderLength]", async () => {
    await using peer = await scriptedPeer({ maxResponseHeaderBytes: 512 * 1024 });
    const long = reasonOf(peer.client.get(peer.url("/long")));
    const conn = await peer.accept();
    await answer(conn, `HTTP/1.1 200 OK\r\nLong: ${"a".repeat(600 * 1024)}\r\n\r\n`);
    expect(await long).toMatchObject({
      code: "ERR_HTTP_HEADER_LIMIT",
      option: "maxResponseHeaderBytes",
      limit: 524288,
      message: expect.stringContaining("524288"),
    });
    const short = peer.client.get(peer.url("/short"));
    await answer(
      await peer.accept(),
      `HTTP/1.1 200 OK\r\nLong: ${"a".repeat(400 * 1024)}\r\nContent-Length: 0\r\n\r\n`,
    );
    expect((await short).headers.get("long")).toHaveLength(400 * 1024);
  });

  test.each([
    ["http://user:pass@h/ [TestStripPasswordFromError/message]", "http://user:pass@dummy.faketld/", "pass"],
    [
      "http://user:password@password.tld/ [TestStripPasswordFromError/same word in host]",
      "http://user:password@password.dummy.faketld/",
      ":password@",
    ],
    [
      "http://user:password@h/password [TestStripPasswordFromError/same word in path]",
      "http://user:password@dummy.faketld/password",
      ":password@",
    ],
    [
      "a password with escapes [TestStripPasswordFromError/escaped]",
      "http://user:pa%20ssword@dummy.faketld/",
      "ssword",
    ],
  ])("and no password, of %s", async (_, url, secret) => {
    await using transport = new Transport({
      dial: () => {
        throw new Error("network unreachable");
      },
    });
    const error = await reasonOf(new Client({ transport }).get(url));
    expect(error).toMatchObject({
      name: "DialError",
      origin: new URL(url).origin,
      attempt: 1,
      cause: { message: "network unreachable" },
    });
    const { inspect } = await import("node:util");
    for (const text of [(error as Error).message, inspect(error), JSON.stringify(error)])
      expect(text).not.toContain(secret);
    expect(inspect(error)).toContain("dummy.faketld");
  });

  test("when the n-th write fails: that one's error, and none is tried behind it [TestRequestWriteError]", async () => {
    for (let n = 1; n <= 6; n++) {
      const [near, far] = pair();
      const refused = new Error("fake write failure");
      let writes = 0;
      const write = (done: (error?: Error | null) => void) => done(++writes === n ? refused : null);
      near._write = (_chunk, _encoding, done) => write(done);
      near._writev = (_chunks, done) => write(done); // a chunk and what frames it go out together
      await using transport = new Transport({ dial: () => near });
      const upload = new Upload();
      for (let i = 0; i < 5; i++) upload.give(10);
      const call = reasonOf(new Client({ transport }).post("http://a/", { body: upload }));
      await until(() => writes === n, "that write was tried");
      expect(await call).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", cause: refused });
      await turns(5);
      expect([writes, upload.returned]).toEqual([n, 1]);
      far.destroy();
    }
  });

  test("when its server stops within a chunked body, however: never a clean end [TestInterruptWithPanic]", async () => {
    const short = { code: "ERR_HTTP_INCOMPLETE_BODY", received: 5 };
    const stops: [object, (conn: PeerConn) => void][] = [
      [short, (conn) => conn.end()],
      [{ code: "ERR_HTTP_CONNECTION_CLOSED", attempt: 1, reused: false }, (conn) => conn.reset()],
      [short, (conn) => conn.socket.destroy()],
    ];
    for (const [facts, stop] of stops) {
      await using peer = await scriptedPeer();
      const call = peer.client.get(peer.url());
      const conn = await peer.accept();
      await answer(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      const body = (await call)[Symbol.asyncIterator]();
      expect(Buffer.from((await body.next()).value as Uint8Array).toString()).toBe("hello");
      stop(conn);
      expect(await reasonOf(body.next())).toMatchObject(facts);
      expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0, retries: 0 });
    }
  });
});

describe("Location is read", () => {
  const next = (location: string | null): string | null => {
    const request = new Request("http://bar.com/baz");
    const hop = { request, fields: request.pairs };
    const onwards = onward(hop, 302, location === null ? [] : [location], { httpsOnly: false, strictRedirects: false });
    return onwards.kind === "hop" ? onwards.hop.request.url : null;
  };
  test("against the URL of the request [TestLocationResponse/relative]", () => {
    expect(next("/foo")).toBe("http://bar.com/foo");
  });
  test("as it is where it is absolute [TestLocationResponse/absolute]", () => {
    expect(next("http://foo.com/")).toBe("http://foo.com/");
  });
  test("as nothing where there is none: the answer is the answer [TestLocationResponse/none]", () => {
    expect(next(null)).toBeNull();
  });
});

describe("a connection that dies", () => {
  test("under the pool costs no request: the third of three goes over another [TestTransportServerClosingUnexpectedly]", async () => {
    await using peer = await scriptedPeer();
    const [conn] = await warm(peer);
    const second = peer.client.get(peer.url("/2"));
    await answer(conn!);
    const before = (await second).connection?.id;
    await (await second).bytes();
    conn!.socket.destroy();
    const third = peer.client.get(peer.url("/3"));
    await answer(await peer.accept());
    expect((await third).connection?.id).not.toBe(before);
    await (await third).bytes();
    const { dialed, idle, retries } = peer.transport.stats();
    expect({ dialed, idle }).toEqual({ dialed: 2, idle: 1 });
    expect(retries).toBeLessThanOrEqual(1); // whether its end was seen before the third began
  });

  test("behind each answer without a word: 500 GETs end one way or the other [TestStressSurpriseServerCloses]", async () => {
    await using site = await rawServer((socket) => {
      socket.on("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        socket.destroySoon();
      });
    });
    const ends: unknown[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (let i = 0; i < 25; i++) ends.push(await reasonOf(site.client.get(site.url).then((res) => res.bytes())));
      }),
    );
    expect(ends).toHaveLength(500);
    for (const end of ends)
      if (end !== "it was fulfilled") expect(end).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
    expect(ends.filter((end) => end === "it was fulfilled").length).toBeGreaterThan(0);
    await until(() => site.transport.stats().busy === 0, "none is busy");
  });

  const retried: [title: string, method: string, init: CallInit, written: boolean][] = [
    [
      'after a byte of a GET: it goes again, under replay: "replayable" [TestRetryRequestsOnError/IdempotentNoBodySomeWritten]',
      "GET",
      {},
      true,
    ],
    [
      "after a byte of a GET with a body that can be made again: likewise, body and all [TestRetryRequestsOnError/IdempotentGetBodySomeWritten]",
      "GET",
      { body: "foo\n" },
      true,
    ],
    [
      "before a byte of a DELETE: it goes again, though it is not replayable [TestRetryRequestsOnError/NothingWrittenNoBody]",
      "DELETE",
      {},
      false,
    ],
    [
      "before a byte of a POST whose body can be made again: likewise, body and all [TestRetryRequestsOnError/NothingWrittenGetBody]",
      "POST",
      { body: "foo\n" },
      false,
    ],
  ];
  test.each(retried)("%s", async (_, method, init, written) => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, replay: written ? "replayable" : "nothing-written" });
    const [stale] = await warm(peer);
    const request = new Request(peer.url(), { method, ...init } as { method: string });
    if (!written) {
      clock.beforeTurn = () => {
        clock.beforeTurn = null;
        stale!.reset();
      };
    }
    const call = peer.client.do(request);
    if (written) {
      await stale!.readHead();
      stale!.reset();
    }
    const conn = await peer.accept();
    expect(await conn.readHead()).toMatch(new RegExp(`^${method} / HTTP/1.1\r\n`));
    if (init.body !== undefined) await conn.expect("foo\n");
    conn.reply(OK);
    const res = await call;
    expect(res.request).toBe(request);
    expect(await res.text()).toBe("ok");
    expect(peer.transport.stats()).toMatchObject({ retries: 1, dialed: 2 });
  });
});

describe("nothing is left", () => {
  test("of 25 GETs that a server held and then let go [TestTransportPersistConnLeak]", async () => {
    await using peer = await scriptedPeer();
    const calls = Array.from({ length: 25 }, () => peer.client.get(peer.url()));
    const conns: PeerConn[] = [];
    for (const _ of calls) conns.push(await peer.accept());
    expect(peer.transport.stats().busy).toBe(25);
    for (const conn of conns) await answer(conn, "HTTP/1.1 204 No Content\r\n\r\n");
    for (const call of calls) expect((await call).status).toBe(204);
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 25 });
    peer.client.closeIdleConnections();
    for (const conn of conns) await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0 });
  });

  test("of 20 POSTs whose bodies are longer than they said: each fails, and says so [TestTransportPersistConnLeakShortBody]", async () => {
    await using peer = await scriptedPeer();
    for (let i = 0; i < 20; i++) {
      const upload = new Upload();
      upload.give(100);
      const error = await reasonOf(peer.client.post(peer.url(), { body: upload, headers: { "Content-Length": "20" } }));
      expect(error).toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
      expect(upload.returned).toBe(1);
    }
    await until(() => peer.transport.stats().busy === 0, "none is busy");
    for (const conn of peer.accepted) expect(await conn.readToEnd()).not.toContain("UUU");
  });

  test("of connections that died before they were ever idle: they can be collected [TestTransportPersistConnLeakNeverIdle]", async () => {
    const sockets: WeakRef<Socket>[] = [];
    await using site = await rawServer((socket) => socket.once("data", () => socket.resetAndDestroy()), {
      dial: ({ host, port, onread }) => {
        const socket = connect({ host, port, onread, allowHalfOpen: true });
        sockets.push(new WeakRef(socket));
        return socket;
      },
    });
    const post = async () => {
      expect(await reasonOf(site.client.post(site.url, { body: "foobar" }))).toMatchObject({
        code: "ERR_HTTP_CONNECTION_CLOSED",
      });
    };
    for (let i = 0; i < 10; i++) await post();
    const alive = () => sockets.filter((socket) => socket.deref() !== undefined).length;
    for (let i = 0; i < 50 && alive() > 1; i++) {
      await turns(2);
      collect();
    }
    expect(alive()).toBeLessThanOrEqual(1); // the last one may still be in a register
    expect(site.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
  });

  test("of what belonged to 64 POSTs that shared one connection [TestTransportPersistConnContextLeakMaxConnsPerHost]", async () => {
    await using site = await rawServer(
      (socket) => socket.on("data", (bytes) => void (String(bytes).includes("hello") && socket.write(OK))),
      { maxConnsPerHost: 1 },
    );
    const signals: WeakRef<AbortSignal>[] = [];
    const post = async () => {
      const { signal } = new AbortController();
      signals.push(new WeakRef(signal));
      await (await site.client.post(site.url, { body: "hello", signal })).bytes();
    };
    await Promise.all(Array.from({ length: 64 }, post));
    const alive = () => signals.filter((signal) => signal.deref() !== undefined).length;
    for (let i = 0; i < 50 && alive() > 1; i++) {
      await turns(2);
      collect();
    }
    expect(alive()).toBeLessThanOrEqual(1); // the last one may still be in a register
    expect(site.transport.stats()).toMatchObject({ idle: 1, dialed: 1, waiting: 0 });
  });

  test("of an upload whose server answered at once and then closed [TestTransportReqCancelerCleanupOnRequestBodyWriteError]", async () => {
    await using peer = await scriptedPeer();
    const upload = new Upload(64 * 1024);
    const call = peer.client.post(peer.url(), { body: upload, headers: { "Content-Length": `${2 ** 30}` } });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    const res = await call;
    conn.socket.destroy();
    expect(await res.text()).toBe("1");
    await res.close();
    await until(() => peer.transport.stats().busy === 0, "the connection is gone");
    expect(upload.returned).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ idle: 0, waiting: 0, dialing: 0 });
  });
});
