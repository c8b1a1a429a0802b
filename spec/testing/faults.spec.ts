/**
 * Each preset does what its name says: to this client over a network in memory, in virtual time, and to node:http over a
 * real socket.
 */

import { Agent, request as httpRequest } from "node:http";
import { describe, expect, test } from "vitest";
import { Client, type HttpError, Transport } from "../../lib/index.ts";
import * as kit from "../../lib/testing/index.ts";
import { checkLeaks } from "../support/leak-check.ts";

const { memoryNetwork, virtualClock, scriptedPeer } = kit;

/** What two requests in turn over one transport came to: a status and body, or the code of an error. */
async function twoCalls(behaviour: kit.Behaviour, { body = "" } = {}): Promise<string[]> {
  const clock = virtualClock();
  const network = memoryNetwork({ clock, pair: { window: 4096 } });
  network.listen("origin.test", 80, { behaviour });
  const transport = new Transport({ dial: network.dial, maxResponseHeaderBytes: 8192, bodyTimeout: 5_000 }, clock);
  const client = new Client({ transport, timeout: 60_000 });
  const outcomes: string[] = [];
  for (let i = 0; i < 2; i++) {
    let outcome: string | null = null;
    const call = body === "" ? client.get("http://origin.test/") : client.post("http://origin.test/", { body });
    call
      .then(async (response) => `${response.status} ${(await response.text()).slice(0, 12)}`)
      .catch((error: HttpError) => error.code)
      .then((text) => {
        outcome = text;
      });
    for (let ms = 0; outcome === null && ms < 70_000; ms += 500) await clock.advance(500);
    outcomes.push(outcome ?? "nothing");
  }
  const ended = transport.destroy();
  await clock.settle();
  await ended;
  await clock.advance(60_000); // what the peer still waits for
  expect(clock.armed).toBe(0);
  return outcomes;
}

const CLOSED = "ERR_HTTP_CONNECTION_CLOSED";
const REMOTE = "ERR_HTTP_REMOTE_PROTOCOL";
const LIMIT = "ERR_HTTP_HEADER_LIMIT";
const TIMEOUT = "ERR_HTTP_TIMEOUT";

const TABLE: readonly [name: string, behaviour: () => kit.Behaviour, first: string, second: string, body?: string][] = [
  ["answers", () => kit.answers(), "200 ok", "200 ok"],
  ["answers chunked", () => kit.answers({ body: "abc", framing: "chunked", chunkBytes: 1 }), "200 abc", "200 abc"],
  ["answers until close", () => kit.answers({ body: "abc", framing: "close" }), "200 abc", "200 abc"],
  ["inTurn", () => kit.inTurn(kit.answers({ body: "1" }), kit.answers({ body: "2" })), "200 1", "200 2"],
  ["resetAfter 0", () => kit.resetAfter(0), CLOSED, CLOSED],
  ["resetAfter in the body", () => kit.resetAfter(60), CLOSED, CLOSED],
  ["resetOnRequest", () => kit.resetOnRequest(), CLOSED, CLOSED],
  ["truncatedBody", () => kit.truncatedBody(), "ERR_HTTP_INCOMPLETE_BODY", "ERR_HTTP_INCOMPLETE_BODY"],
  ["staleKeepAlive", () => kit.staleKeepAlive(), "200 ok", "200 ok"],
  ["staleKeepAlive later", () => kit.staleKeepAlive(10_000), "200 ok", CLOSED],
  ["closeCrossingRequest", () => kit.closeCrossingRequest(), "200 ok", CLOSED],
  ["halfClose", () => kit.halfClose(), "200 ok", "200 ok"],
  ["neverAnswers", () => kit.neverAnswers(), TIMEOUT, TIMEOUT],
  ["neverReads", () => kit.neverReads(), TIMEOUT, TIMEOUT, "x".repeat(100_000)],
  ["lateAnswer", () => kit.lateAnswer(59_000), "200 ok", "200 ok"],
  ["slowLoris", () => kit.slowLoris(), "200 ok", "200 ok"],
  ["slowLoris beyond the time", () => kit.slowLoris({ everyMs: 4_000 }), TIMEOUT, TIMEOUT],
  ["earlyResponse", () => kit.earlyResponse(), "413 no", "413 no", "x".repeat(100_000)],
  ["unsolicitedResponse", () => kit.unsolicitedResponse(), "200 ok", "200 ok"],
  ["unsolicitedResponse later", () => kit.unsolicitedResponse(100), "200 ok", "200 ok"],
  ["responseSplitting", () => kit.responseSplitting(), REMOTE, REMOTE],
  ["garbage", () => kit.garbage(), REMOTE, REMOTE],
  ["hugeHeaders", () => kit.hugeHeaders(), LIMIT, LIMIT],
  ["chunkExtensionFlood", () => kit.chunkExtensionFlood(), LIMIT, LIMIT],
  ["informationalFlood", () => kit.informationalFlood(), LIMIT, LIMIT],
  ["endlessBody", () => kit.endlessBody("chunked", 4_000), TIMEOUT, TIMEOUT],
];

describe("fault presets, to this client in memory and virtual time", () => {
  test.each(TABLE)("%s", async (_name, behaviour, first, second, body = "") => {
    expect(await twoCalls(behaviour(), { body })).toEqual([first, second]);
  });
});

/** What node:http makes of it. */
function byNodeHttp(url: string, body: string): Promise<string> {
  return new Promise((resolve) => {
    const agent = new Agent();
    const over = (text: string) => {
      agent.destroy();
      resolve(text);
    };
    const request = httpRequest(url, { method: body === "" ? "GET" : "POST", agent }, (response) => {
      let got = "";
      response.on("data", (chunk: Buffer) => {
        got += chunk.toString("latin1");
      });
      response.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
      response.on("end", () => over(`${response.statusCode} ${got.slice(0, 12)}`));
    });
    request.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
    request.end(body);
  });
}

describe("fault presets, to node:http over a real socket", () => {
  checkLeaks();
  test.each<[name: string, behaviour: () => kit.Behaviour, outcome: string | RegExp]>([
    ["answers", () => kit.answers(), "200 ok"],
    ["resetAfter 0", () => kit.resetAfter(0), "ECONNRESET"],
    ["resetAfter in the body", () => kit.resetAfter(60), "ECONNRESET"],
    ["truncatedBody", () => kit.truncatedBody(), "ECONNRESET"],
    ["halfClose", () => kit.halfClose(), "200 ok"],
    ["slowLoris", () => kit.slowLoris({ bytes: 10, everyMs: 1 }), "200 ok"],
    ["responseSplitting", () => kit.responseSplitting(), /^HPE_/],
    ["garbage", () => kit.garbage(), /^HPE_/],
    ["hugeHeaders", () => kit.hugeHeaders(), "HPE_HEADER_OVERFLOW"],
    ["chunkExtensionFlood", () => kit.chunkExtensionFlood(), /^HPE_|ECONNRESET|200/],
  ])("%s", async (_name, behaviour, outcome) => {
    await using peer = await scriptedPeer({ behaviour: behaviour() });
    expect(await byNodeHttp(peer.url(), "")).toEqual(
      typeof outcome === "string" ? outcome : expect.stringMatching(outcome),
    );
  });
});

describe("answerBytes()", () => {
  test("frames by length, by chunks with trailers, by close, or not at all", () => {
    const text = (init: kit.AnswerInit) => kit.answerBytes(init).toString("latin1");
    expect(text({ body: "hey" })).toBe("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhey");
    expect(text({ body: "hey", framing: "chunked", chunkBytes: 2, trailers: [["A", "b"]] })).toBe(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n1\r\ny\r\n0\r\nA: b\r\n\r\n",
    );
    expect(text({ body: "hey", framing: "close", headers: [["X", "y"]] })).toBe(
      "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nhey",
    );
    expect(text({ status: 304, statusText: "Not Modified", framing: "none", body: "dropped" })).toBe(
      "HTTP/1.1 304 Not Modified\r\n\r\n",
    );
  });
});
