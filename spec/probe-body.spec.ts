/** Bodies of unknown length with methods that usually have none: what the head says of them, and how long it waits. */

import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { CallInit } from "../lib/client.ts";
import { Request, writeRequest } from "../lib/index.ts";
import { OK } from "./support/exchanges.ts";
import { checkLeaks } from "./support/leak-check.ts";
import { turns } from "./support/loop.ts";
import { type ScriptedPeer, scriptedPeer } from "./support/scripted-peer.ts";
import { SteeredClock } from "./support/steered-clock.ts";
import { Upload } from "./support/upload.ts";

const leaks = checkLeaks();

const BODILESS = ["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "SEARCH"];
const CHUNKED = "\r\nTransfer-Encoding: chunked\r\n";
const LAST = "0\r\n\r\n";

async function* nothing() {}

/** Every kind of body whose length only its end tells, with this text in it. */
const KINDS: Record<string, (text: string) => CallInit["body"]> = {
  "a Node stream": (text) => Readable.from(text === "" ? [] : [Buffer.from(text)]),
  "a web stream": (text) => new Blob([text]).stream(),
  "an async iterable": (text) => (text === "" ? nothing() : Readable.from([text])),
  "an iterator": (text) => (text === "" ? [] : [text])[Symbol.iterator](),
  "chunks without a byte": (text) => ["", text, ""][Symbol.iterator](),
  "a factory": (text) => () => Readable.from([text]),
};

/** What the server sees of one request, up to what must come last. */
async function seen(peer: ScriptedPeer, method: string, init: CallInit, last: string): Promise<string> {
  const call = peer.client.request(method, peer.url(), init);
  const conn = await peer.accept();
  const head = await conn.readHead();
  const rest = last === "" ? "" : await conn.read(last.length);
  conn.reply(
    method === "HEAD"
      ? "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
      : OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
  );
  await (await call).bytes();
  const end = await conn.readToEnd(); // whatever else it sent
  conn.end();
  return head + rest + end;
}

describe.each(Object.entries(KINDS))("%s of unknown length", (_, make) => {
  test.each(BODILESS)("with %s is no body at all where it is empty", async (method) => {
    await using peer = await scriptedPeer();
    const wire = await seen(peer, method, { body: make("") }, "");
    expect(wire).not.toMatch(/transfer-encoding|content-length/i);
    expect(wire.endsWith("\r\n\r\n")).toBe(true);
  });

  test.each(BODILESS)("with %s is chunked where it is not", async (method) => {
    await using peer = await scriptedPeer();
    const wire = await seen(peer, method, { body: make("hello") }, `5\r\nhello\r\n${LAST}`);
    expect(wire).toContain(CHUNKED);
    expect(wire.endsWith(`\r\n\r\n5\r\nhello\r\n${LAST}`)).toBe(true);
  });

  test.each(["POST", "PUT", "PATCH", "MADEUP"])("with %s is chunked whatever it has", async (method) => {
    await using peer = await scriptedPeer();
    const wire = await seen(peer, method, { body: make("") }, LAST);
    expect(wire).toContain(CHUNKED);
    expect(wire.endsWith(`\r\n\r\n${LAST}`)).toBe(true);
  });
});

describe("a body that is looked at before its head is written", () => {
  test("is waited for no longer than 200 ms; what comes later comes whole [TestProbeZeroLengthBody]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const upload = new Upload();
    const call = peer.client.get(peer.url(), { body: upload });
    await clock.advance(199);
    expect(peer.transport.stats()).toMatchObject({ dialed: 0, dialing: 0 });
    await clock.advance(1);
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain(CHUNKED);
    upload.give(3);
    await conn.expect("3\r\nUUU\r\n");
    upload.give(2);
    await conn.expect("2\r\nUU\r\n");
    upload.end();
    await conn.expect(LAST);
    conn.reply(OK);
    const res = await call;
    expect(await res.text()).toBe("ok");
    expect(res.timings).toMatchObject({ queued: 200 });
    expect([upload.pulls, upload.returned]).toEqual([3, 0]);
  });

  test("may turn out empty after the head has promised it", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const upload = new Upload();
    const call = peer.client.get(peer.url(), { body: upload });
    await clock.advance(200);
    const conn = await peer.accept();
    await conn.readHead();
    upload.end();
    await conn.expect(LAST);
    conn.reply(OK);
    expect(await (await call).text()).toBe("ok");
  });

  test.each([
    ["with an Upload that fails", (upload: Upload) => upload.fail(new Error("broken"))],
    ["with a chunk that is none", null],
  ])("fails before a connection is touched: %s", async (_, fail) => {
    await using peer = await scriptedPeer();
    const upload = new Upload();
    const body = fail === null ? [42][Symbol.iterator]() : upload;
    const call = peer.client.get(peer.url(), { body });
    fail?.(upload);
    await expect(call).rejects.toThrow(fail === null ? /made of strings and bytes/ : "broken");
    expect(peer.transport.stats()).toMatchObject({ dialed: 0, dialing: 0, waiting: 0 });
  });

  test("that fails after the head has promised it fails the request", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const upload = new Upload();
    const call = peer.client.get(peer.url(), { body: upload });
    const failed = expect(call).rejects.toThrow("broken");
    await clock.advance(200);
    const conn = await peer.accept();
    await conn.readHead();
    upload.fail(new Error("broken"));
    await failed;
    await conn.readToEnd();
  });

  test.each(["signal", "timeout", "close", "destroy"])("is given up at once by %s", async (by) => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const abort = new AbortController();
    leaks().watch(abort.signal);
    const upload = new Upload();
    const call = peer.client.get(peer.url(), { body: upload, signal: abort.signal, timeout: 100 });
    const failed = expect(call).rejects.toMatchObject(
      { signal: { message: "no" }, timeout: { code: "ERR_HTTP_TIMEOUT" } }[by] ?? { code: "ERR_HTTP_TRANSPORT_CLOSED" },
    );
    await turns(2);
    if (by === "signal") abort.abort(new Error("no"));
    else if (by === "timeout") await clock.advance(100);
    else {
      await peer.transport[by as "close" | "destroy"]();
      upload.give(1); // it is seen when the look is over
    }
    await failed;
    expect(upload.returned).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ dialed: 0, waiting: 0 });
    await clock.advance(1_000);
  });

  test.each<[string, CallInit]>([
    ["an Expect, since it must not be read before the 100 [TestNoSniffExpectRequestBody]", { expectContinue: true }],
    ["trailers, which need it", { trailers: { names: ["Sum"], values: () => ({ Sum: "1" }) } }],
    ["a Transfer-Encoding of the caller's", { headers: { "Transfer-Encoding": "chunked" } }],
  ])("is not, with %s", async (_, init) => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const upload = new Upload();
    const call = peer.client.get(peer.url(), { body: upload, ...init });
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain("chunked\r\n"); // time stands still
    if (init.expectContinue) {
      await turns(5);
      expect(upload.pulls).toBe(0);
      conn.reply("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
      expect((await call).status).toBe(401);
      expect(upload.pulls).toBe(0);
      await conn.readToEnd();
      return;
    }
    upload.end();
    conn.reply(OK);
    await (await call).close();
  });

  test("is not, where its length is known", async () => {
    await using peer = await scriptedPeer();
    const wire = await seen(peer, "GET", { body: new Blob(["hello"]) }, "hello");
    expect(wire).toContain("\r\nContent-Length: 5\r\n");
  });

  test("stays empty when the request is sent again, whatever its factory would say then", async () => {
    await using peer = await scriptedPeer({ replay: "replayable" });
    const first = peer.client.get(peer.url("/warm"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await first).bytes();
    let made = 0;
    const call = peer.client.get(peer.url(), { body: () => (made++ === 0 ? nothing() : Readable.from(["late"])) });
    await conn.readHead();
    conn.reset();
    const fresh = await peer.accept();
    expect(await fresh.readHead()).not.toMatch(/transfer-encoding/i);
    fresh.reply(OK);
    expect(await (await call).text()).toBe("ok");
    expect(made).toBe(1);
    expect(fresh.pending).toBe("");
  });
});

describe("writeRequest() looks as well", () => {
  const written = async (init: ConstructorParameters<typeof Request>[1]): Promise<string> => {
    let text = "";
    for await (const bytes of writeRequest(new Request("http://a/", init)))
      text += Buffer.from(bytes).toString("latin1");
    return text;
  };

  test.each([
    ["GET", "", /Accept: \*\/\*\r\n\r\n$/],
    ["GET", "hello", /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/],
    ["POST", "hello", /Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/],
    ["POST", "", /Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n$/],
  ])("%s with %j", async (method, text, wire) => {
    for (const make of Object.values(KINDS)) expect(await written({ method, body: make(text) })).toMatch(wire);
  });

  test.each([
    ["a GET is chunked", "GET", "foo", "3\r\nfoo\r\n0\r\n\r\n", "TestRequestWriteTransport/GET unknown"],
    ["a POST is chunked", "POST", "foo", "3\r\nfoo\r\n0\r\n\r\n", "TestRequestWriteTransport/POST unknown"],
    ["a POST is chunked, empty", "POST", "", "0\r\n\r\n", "TestRequestWriteTransport/POST empty unknown"],
    ["only the terminator stands for no byte", "POST", "", "0\r\n\r\n", "TestRequestWrite/6"],
    ["one byte is one chunk", "POST", "x", "1\r\nx\r\n0\r\n\r\n", "TestRequestWrite/8"],
  ])("of unknown length: %s: %s %j is %j [%s]", async (_, method, text, body) => {
    const head = "Transfer-Encoding: chunked\r\n\r\n";
    expect((await written({ method, body: Readable.from([text]) })).endsWith(`${head}${body}`)).toBe(true);
  });

  test.each([
    ["a string", "TestRequestWriteTransport/GET empty reader", ""],
    ["a stream, which has no length,", "TestRequestWriteTransport/GET empty, CL -1", Readable.from([])],
  ])("a GET whose body is %s that is empty has neither length nor coding [%s]", async (_, __, body) => {
    const text = await written({ method: "GET", body });
    expect(text.endsWith("\r\n\r\n")).toBe(true);
    expect(text).not.toMatch(/^(content-length|transfer-encoding):/im);
  });

  test("for 200 ms at most [TestRequestWriteTransport/GET blocking body]", async () => {
    const clock = new SteeredClock();
    const upload = new Upload();
    const bytes = writeRequest(new Request("http://a/", { body: upload }), clock);
    const head = bytes.next();
    await turns(2);
    await clock.advance(200);
    expect(Buffer.from((await head).value ?? []).toString()).toMatch(/chunked\r\n\r\n$/);
    await bytes.return(undefined);
    expect(upload.returned).toBe(1);
  });
});
