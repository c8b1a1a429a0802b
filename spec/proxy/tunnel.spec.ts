/** CONNECT over a stream: what is read, where it stops, and that nothing of it stays on the stream. */

import type { Duplex } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { connectThrough } from "../../lib/proxy/tunnel.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { turns } from "../support/loop.ts";

const LIMITS = { headBytesMax: 1_000, headerCountMax: 10, informationMax: 2 };
const HEAD = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";

let pair: [Duplex, Duplex] | null = null;
afterEach(() => {
  for (const stream of pair ?? []) stream.destroy();
});

function open(signal = new AbortController().signal) {
  pair = duplexPair();
  const [near, far] = pair;
  for (const stream of pair) stream.on("error", () => {});
  const before = near.eventNames().map((name) => near.listenerCount(name));
  const reply = connectThrough(near, HEAD, LIMITS, signal, (ms, fire) => systemClock.deadline(ms, fire));
  const left = () => near.eventNames().map((name) => near.listenerCount(name));
  return { near, far, reply, before, left };
}

describe("connectThrough()", () => {
  test("leaves what came behind the head to the tunnel, however it is split", async () => {
    const text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-One: 1\r\n\r\nfirst bytes";
    for (let at = 1; at < text.length; at++) {
      const { near, far, reply, before, left } = open();
      far.write(text.slice(0, at));
      await turns(1);
      far.end(text.slice(at));
      expect(await reply).toEqual({ status: 200, statusText: "OK", headers: [["X-One", "1"]], body: "" });
      expect(left()).toEqual(before);
      expect(near.isPaused()).toBe(true);
      let got = "";
      for await (const chunk of near.resume()) got += chunk;
      expect(got).toBe("first bytes");
    }
  });

  test("writes the head as it is given, and takes an answer that was there before", async () => {
    const { far, reply } = open();
    far.write("HTTP/1.1 204 Odd\r\n\r\n");
    expect((await reply).status).toBe(204);
    expect(String(far.read())).toBe(HEAD);
  });

  test("leaves no listener when it fails, nor on the signal", async () => {
    const abort = new AbortController();
    const { reply, before, left } = open(abort.signal);
    abort.abort("enough");
    await expect(reply).rejects.toBe("enough");
    expect(left()).toEqual(before);
  });

  test("fails at once over a stream that is gone, or for a signal that is aborted", async () => {
    const [near, far] = duplexPair();
    near.destroy();
    const timer = (ms: number, fire: () => void) => systemClock.deadline(ms, fire);
    const { signal } = new AbortController();
    await expect(connectThrough(near, HEAD, LIMITS, signal, timer)).rejects.toThrow("The connection was closed");
    await expect(connectThrough(far, HEAD, LIMITS, AbortSignal.abort("no"), timer)).rejects.toBe("no");
    far.destroy();
  });

  test("counts its own limit over all heads of the answer", async () => {
    const { far, reply } = open();
    far.write(`HTTP/1.1 100 Continue\r\nX: ${"y".repeat(600)}\r\n\r\nHTTP/1.1 200 OK\r\nX: ${"y".repeat(600)}\r\n`);
    await expect(reply).rejects.toMatchObject({ name: "HeaderLimitError", option: "maxResponseHeaderBytes" });
  });
});
