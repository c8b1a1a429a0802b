/** Go's tests of cancelling and of time limits, told to this client: over loopback, time under the spec's hand. */

import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { type CallInit, Request, type Response } from "../../lib/index.ts";
import { answer, warm } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";
import { Upload } from "../support/upload.ts";

checkLeaks();

const HALF = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** What a promise rejects with. */
const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "it was fulfilled",
    (reason: unknown) => reason,
  );

/** A call of which half the body has come and was read. */
async function halfRead(peer: ScriptedPeer, method: string, init: CallInit) {
  const call = peer.client.request(method, peer.url(), init);
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(HALF);
  const res = await call;
  const body = res[Symbol.asyncIterator]();
  expect(Buffer.from((await body.next()).value as Uint8Array).toString()).toBe("12345");
  return { conn, res, body };
}

describe("an abort ends a call with its own reason", () => {
  test.each([
    ["within the body, whose connection is closed [TestTransportCancelRequest]", "GET", undefined, "call"],
    ["within the body, given with the request [TestCancelRequestWithChannel]", "GET", undefined, "request"],
    ["within the answer to a POST, and every later read [TestTransportCancelRequestWithBody]", "POST", "hello", "call"],
    [
      "within the answer to a POST, given with the request: no more bytes, nothing held [TestCancelRequestWithBodyWithChannel]",
      "POST",
      "hello",
      "request",
    ],
    ["after half of the body, which was readable [TestCancelRequestMidBody]", "GET", undefined, "call"],
  ] as const)("%s", async (_, method, sent, by) => {
    await using peer = await scriptedPeer();
    const controller = new AbortController();
    const { signal } = controller;
    const init = { method, ...(sent === undefined ? {} : { body: sent }) };
    const call =
      by === "call"
        ? peer.client.do(new Request(peer.url(), init), { signal })
        : peer.client.do(new Request(peer.url(), { ...init, signal }));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(HALF);
    const body = (await call)[Symbol.asyncIterator]();
    expect(Buffer.from((await body.next()).value as Uint8Array).toString()).toBe("12345");
    const next = body.next();
    const reason = new Error("no longer wanted");
    controller.abort(reason);
    expect(await reasonOf(next)).toBe(reason);
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
  });

  test.each([
    ["while it waits for the head [TestTransportCancelRequestInDo]", "GET", undefined],
    ["while it waits for the head with its body sent [TestTransportCancelRequestWithBodyInDo]", "POST", "hello"],
    ["when the request is written and no byte came [TestTransportCancelBeforeResponseHeaders]", "GET", undefined],
  ])("%s", async (_, method, body) => {
    await using peer = await scriptedPeer();
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const init = body === undefined ? {} : { body: Readable.from([Buffer.from(body)]) };
    const call = peer.client.request(method, peer.url(), { ...init, signal: controller.signal });
    const conn = await peer.accept();
    await conn.readHead();
    if (body !== undefined) await conn.expect("5\r\nhello\r\n0\r\n\r\n");
    controller.abort(reason);
    expect(await reasonOf(call)).toBe(reason);
    await conn.readToEnd();
    if (init.body !== undefined) expect(init.body.destroyed).toBe(true);
  });

  test("while its dialer stands, at once [TestTransportCancelRequestInDial]", async () => {
    let signalled: AbortSignal | null = null;
    await using peer = await scriptedPeer({
      dial: (_, signal) => {
        signalled = signal;
        return new Promise((__, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    });
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const call = peer.client.get(peer.url(), { signal: controller.signal });
    await until(() => signalled !== null, "it dials");
    controller.abort(reason);
    expect(await reasonOf(call)).toBe(reason);
    peer.transport.closeIdleConnections(); // the dial outlives its request, for the next one of its key
    await until(() => peer.transport.stats().dialing === 0, "no dial is left");
  });

  test("that lay on the request before the call, and nothing is dialed [TestCancelRequestWithChannelBeforeDo_Cancel]", async () => {
    await using peer = await scriptedPeer();
    const reason = new Error("never wanted");
    expect(await reasonOf(peer.client.do(new Request(peer.url(), { signal: AbortSignal.abort(reason) })))).toBe(reason);
    expect(peer.transport.stats()).toMatchObject({ dialed: 0, dialing: 0 });
  });

  test("that lay on the call before it began, and nothing is dialed [TestCancelRequestWithChannelBeforeDo_Context]", async () => {
    await using peer = await scriptedPeer();
    const reason = new Error("never wanted");
    expect(await reasonOf(peer.client.get(peer.url(), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(peer.transport.stats()).toMatchObject({ dialed: 0, dialing: 0 });
  });

  test("before a dialer that would fail loudly is asked [TestTransportCheckContextDoneEarly]", async () => {
    let dials = 0;
    await using peer = await scriptedPeer({
      dial: () => {
        dials++;
        throw new Error("dialed");
      },
    });
    const reason = new Error("never wanted");
    expect(await reasonOf(peer.client.get(peer.url(), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    await turns(5);
    expect(dials).toBe(0);
  });

  test("that comes between the dial and the first byte, exactly [TestTransportDialCancelRace]", async () => {
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    await using peer = await scriptedPeer({
      trace: ({ type }) => {
        if (type === "pool-assigned") controller.abort(reason);
      },
    });
    expect(await reasonOf(peer.client.get(peer.url(), { signal: controller.signal }))).toBe(reason);
    const conn = await peer.accept();
    await turns(5);
    expect(conn.pending).toBe("");
    expect(peer.transport.stats()).toMatchObject({ busy: 0, dialing: 0 });
  });

  test("whatever the time limit beside it says [TestClientTimeoutCancel]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const controller = new AbortController();
    const { body } = await halfRead(peer, "GET", { signal: controller.signal, timeout: 3_600_000 });
    const reason = new Error("no longer wanted");
    const next = body.next();
    controller.abort(reason);
    expect(await reasonOf(next)).toBe(reason);
  });

  test("and not with a time limit's [TestClientDoCanceledVsTimeout/cancel]", async () => {
    await using peer = await scriptedPeer({ clock: new SteeredClock() });
    const controller = new AbortController();
    const call = peer.client.get(peer.url(), { signal: controller.signal, timeout: 1_000 });
    await (await peer.accept()).readHead();
    controller.abort();
    expect(await reasonOf(call)).toMatchObject({ name: "AbortError" });
  });

  test("and no other that shares its connection behind it [TestCancelRequestWhenSharingConnection]", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const first = peer.client.get(peer.url("/1"));
    const conn = await peer.accept();
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const second = reasonOf(peer.client.get(peer.url("/2"), { signal: controller.signal }));
    await answer(conn); // the first has its answer, its body unread
    const res = await first;
    expect(await conn.readHead()).toContain("GET /2 ");
    controller.abort(reason);
    expect(await second).toBe(reason);
    expect(await res.text()).toBe("ok");
  });

  test("and when it does, request and body are its caller's again [TestErrorWriteLoopRace]", async () => {
    for (let i = 0; i < 20; i++) {
      await using peer = await scriptedPeer();
      const upload = new Upload();
      const controller = new AbortController();
      const call = peer.client.post(peer.url(), { body: upload, signal: controller.signal });
      const conn = await peer.accept();
      upload.give(10_000);
      if (i % 2 === 0) await conn.readHead();
      await turns(i);
      controller.abort(new Error("no longer wanted"));
      await reasonOf(call);
      const { pulls } = upload;
      upload.give(10_000);
      await turns(5);
      expect([upload.pulls, upload.returned]).toEqual([pulls, 1]);
    }
  });

  test("and nobody reads its body any more, though another call sends what that one took [TestTransportAndServerSharedBodyRace]", async () => {
    await using peer = await scriptedPeer();
    const inbound = new Upload();
    const controller = new AbortController();
    const call = peer.client.post(peer.url(), { body: inbound, signal: controller.signal });
    const conn = await peer.accept();
    inbound.give(1000);
    await conn.readHead();
    await conn.expect(`3e8\r\n${"U".repeat(1000)}\r\n`);
    await until(() => inbound.pulls === 2, "the next chunk was asked for");
    const reason = new Error("no longer wanted");
    controller.abort(reason);
    expect(await reasonOf(call)).toBe(reason);
    expect(inbound.returned).toBe(1);
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, retries: 0, idle: 0, closed: { aborted: 1 } });
    inbound.give(7); // to a read that nobody waits for: it reaches no wire
    await turns(5);
    expect(inbound.pulls).toBe(2);
    expect((await conn.readToEnd()).length).toBe(0);
  });
});

describe("a time limit", () => {
  test("on the head fails a slow answer only, and the next request works [TestTransportResponseHeaderTimeout]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock, responseHeaderTimeout: 500 });
    let conn = (await warm(peer))[0]!;
    const slow = reasonOf(peer.client.get(peer.url("/slow")));
    await conn.readHead();
    await clock.advance(500);
    const error = await slow;
    expect(error).toMatchObject({
      name: "TimeoutError",
      phase: "headers",
      option: "responseHeaderTimeout",
      limit: 500,
    });
    expect((error as Error).message).toMatch(/response/);
    const fast = peer.client.get(peer.url("/fast"));
    conn = await peer.accept();
    await answer(conn);
    expect(await (await fast).text()).toBe("ok");
  });

  test.each([
    ["before the head: the server sees the connection end [TestClientTimeoutKillsConn_BeforeHeaders]", false],
    [
      "within the body: the read fails, the server sees the connection end [TestClientTimeoutKillsConn_AfterHeaders]",
      true,
    ],
  ])("on the whole call %s", async (_, headers) => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const call = peer.client.get(peer.url(), { timeout: 1_000 });
    call.catch(() => {});
    const conn = await peer.accept();
    await conn.readHead();
    let failing: Promise<unknown> = call;
    if (headers) {
      conn.reply(HALF);
      failing = (await call).text();
    }
    const error = reasonOf(failing);
    await clock.advance(1_000);
    expect(await error).toMatchObject({
      name: "TimeoutError",
      option: "timeout",
      limit: 1_000,
      origin: peer.url().slice(0, -1),
      attempt: 1,
      reused: false,
    });
    await conn.readToEnd();
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, retries: 0, busy: 0, closed: { timeout: 1 } });
  });

  test("on the whole call while nobody answers says so [TestClientTimeout_Headers]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const error = reasonOf(peer.client.get(peer.url(), { timeout: 500 }));
    await (await peer.accept()).readHead();
    await clock.advance(500);
    const origin = peer.url().slice(0, -1);
    expect(await error).toMatchObject({ name: "TimeoutError", phase: "total", option: "timeout", limit: 500, origin });
    expect(await error).toMatchObject({ attempt: 1, bytesRead: 0 });
  });

  test("of an hour is over with the body, and read and close are none of its business [TestClientTimeoutDoesNotExpire]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const call = peer.client.get(peer.url(), { timeout: 3_600_000 });
    await answer(await peer.accept());
    const res = await call;
    expect(await res.text()).toBe("ok");
    await res.close();
    await clock.advance(3_600_000);
    expect(peer.transport.stats().closed).toEqual({ "idle-timeout": 1 });
  });

  test("on the whole call reaches a custom dialer as its signal; without one that never fires [TestClientPropagatesTimeoutToContext]", async () => {
    for (const timeout of [1_000, 0]) {
      const clock = new SteeredClock();
      const signals: AbortSignal[] = [];
      await using peer = await scriptedPeer({
        clock,
        dialTimeout: 0,
        poolTimeout: 0,
        dial: (_, signal) => {
          signals.push(signal);
          return new Promise((__, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        },
      });
      const failed = reasonOf(peer.client.get(peer.url(), { timeout }));
      await until(() => signals.length === 1, "it dials");
      await clock.advance(3_600_000);
      await turns(3);
      if (timeout === 0) {
        expect(signals[0]!.aborted).toBe(false);
        await peer.transport.destroy();
        await failed;
      } else {
        expect(await failed).toMatchObject({ name: "TimeoutError", option: "timeout" });
        peer.transport.closeIdleConnections(); // a dial outlives its request, for the next one of its key
        expect(signals[0]!.aborted).toBe(true);
      }
    }
  });

  test("is a TimeoutError, and no abort [TestClientDoCanceledVsTimeout/timeout]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const controller = new AbortController();
    const error = reasonOf(peer.client.get(peer.url(), { timeout: 100, signal: controller.signal }));
    await (await peer.accept()).readHead();
    await clock.advance(100);
    expect(await error).toMatchObject({ name: "TimeoutError", code: "ERR_HTTP_TIMEOUT", limit: 100, attempt: 1 });
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, retries: 0, closed: { timeout: 1 } });
    expect(controller.signal.aborted).toBe(false);
  });

  test("ends an endless body [TestIssue4191_InfiniteGetTimeout]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const call = peer.client.get(peer.url(), { timeout: 1_000 });
    const conn = await peer.accept();
    await answer(conn, CHUNKED);
    const res = await call;
    const endless = feed(conn);
    const reading = reasonOf(drain(res));
    await clock.advance(1_000);
    expect(await reading).toMatchObject({ name: "TimeoutError" });
    endless.stop();
  });

  test("ends an endless body that is the body of another call, and that call [TestIssue4191_InfiniteGetToPutTimeout]", async () => {
    const clock = new SteeredClock();
    await using peer = await scriptedPeer({ clock });
    const get = peer.client.get(peer.url("/get"), { timeout: 1_000 });
    const source = await peer.accept();
    await answer(source, CHUNKED);
    const res = await get;
    const endless = feed(source);
    const put = reasonOf(peer.client.put(peer.url("/put"), { body: res }));
    const target = await peer.accept();
    expect(await target.readHead()).toContain("PUT /put ");
    await target.read(1000);
    await clock.advance(1_000);
    expect(await put).toMatchObject({ name: "TimeoutError", option: "timeout", limit: 1_000 });
    endless.stop();
    await until(() => peer.transport.stats().busy === 0, "both connections are gone");
    expect(peer.transport.stats()).toMatchObject({ dialed: 2, retries: 0, idle: 0 });
  });
});

/** Sends chunks for as long as the client takes them. */
function feed(conn: PeerConn): { stop(): void } {
  const chunk = `3e8\r\n${"x".repeat(1000)}\r\n`;
  let stopped = false;
  const more = () => {
    for (let i = 0; !stopped && i < 20; i++) if (conn.socket.destroyed || !conn.socket.write(chunk)) break;
    if (!stopped && !conn.socket.destroyed) setImmediate(more);
  };
  more();
  return {
    stop: () => {
      stopped = true;
    },
  };
}

async function drain(res: Response): Promise<void> {
  for await (const chunk of res) if (chunk.length === 0) throw new Error("an empty chunk");
}
