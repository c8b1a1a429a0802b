/**
 * What one connection tells a trace: every event, its fields and its moment; who hears only some groups; and what a
 * listener may do in the middle of it.
 */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rethrowInvariants } from "../../lib/conn/persist-conn.ts";
import { Headers } from "../../lib/message/headers.ts";
import type { TraceDetail, TraceGroup } from "../../lib/trace.ts";
import { Upload } from "../support/upload.ts";
import { answered, get, MemoryConn, post, type Sent, watchedConn } from "./memory-conn.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// What would be a broken rule of ours is an uncaught exception here.
beforeEach(() => rethrowInvariants(true));
afterEach(() => rethrowInvariants(false));

/** A field of an event, its function called where it is one. */
const asked = (value: unknown): unknown => {
  if (typeof value !== "function") return value;
  const answer: unknown = value();
  return answer instanceof Headers ? answer.raw : answer;
};

/** Events as they are, functions among their fields called. */
const told = (sent: Sent): unknown[] =>
  sent.traced.map((event) => Object.fromEntries(Object.entries(event).map(([name, value]) => [name, asked(value)])));

describe("the trace of one exchange", () => {
  test("has each event with its fields, its call, its connection and its moment", async () => {
    const conn = new MemoryConn({ acceptEncoding: "gzip" });
    await conn.clock.advance(10);
    const sent = conn.roundTrip(
      post("hello", { headers: { "X-One": "1", "x-two": " a: b " }, expectContinue: true, trailers: undefined }),
    );
    sent.exchange.trace.attempt = 2;
    await conn.settle();
    const head = conn.takeWritten();
    await conn.clock.advance(5);
    const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    conn.reply(early);
    await conn.clock.advance(5);
    const goOn = "HTTP/1.1 100 Continue\r\n\r\n";
    conn.reply(goOn);
    await conn.clock.advance(5);
    const answer = "HTTP/1.1 200 Fine\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    conn.reply(answer);
    await conn.clock.advance(5);
    conn.reply("2\r\nok\r\n");
    await conn.clock.advance(5);
    conn.reply("0\r\n\r\n");
    await conn.settle();
    const of = { call: 1, attempt: 2, connection: 1 };
    const fields = [
      ["Host", "peer"],
      ["Accept", "*/*"],
      ["Accept-Encoding", "gzip"],
      ["Content-Length", "5"],
      ["Expect", "100-continue"],
      ["Content-Type", "text/plain;charset=UTF-8"],
      ["X-One", "1"],
      ["x-two", "a: b"],
    ];
    expect(told(sent)).toEqual([
      { type: "request-write", at: 10, ...of, bytes: head.length, target: "/", headers: fields },
      { type: "request-head", at: 10, ...of, fields },
      { type: "continue-wait", at: 10, ...of },
      { type: "first-byte", at: 15, ...of },
      { type: "information", at: 15, ...of, status: 103, headers: [["Link", "</a>"]] },
      { type: "information", at: 20, ...of, status: 100, headers: [] },
      { type: "body-sent", at: 20, ...of, bytes: 5 },
      { type: "request-sent", at: 20, ...of, bytes: head.length + 5 },
      {
        type: "head",
        at: 25,
        ...of,
        status: 200,
        framing: "chunked",
        statusText: "Fine",
        httpVersion: "1.1",
        headers: [
          ["X-A", "1"],
          ["Transfer-Encoding", "chunked"],
        ],
        early: false,
      },
      { type: "body-data", at: 30, ...of, bytes: 2 },
      { type: "end", at: 35, ...of, bytes: (early + goOn + answer).length + 12 },
    ]);
    expect(sent.response?.timings).toMatchObject({ requestSent: 10, firstByte: 5, headers: 15, end: 25 });
  });

  test("tells of information's fields as Headers", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n");
    const [event] = sent.details("information");
    expect((event as { headers: () => Headers }).headers().get("link")).toBe("</a>");
  });

  test("tells an answer of HTTP/1.0, and one that came early", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, "HTTP/1.0 302 \r\nContent-Length: 0\r\n\r\n", post(new Upload()));
    expect(told(sent).filter((event) => (event as { type: string }).type === "head")).toMatchObject([
      {
        status: 302,
        framing: "none",
        statusText: "",
        httpVersion: "1.0",
        headers: [["Content-Length", "0"]],
        early: true,
      },
    ]);
  });

  test.each<[string, () => ReturnType<typeof post>, number[]]>([
    ["no body", () => get(), []],
    ["a body of no byte", () => post(""), []],
    ["a body that goes with its head", () => post("hello"), [5]],
    ["a body in memory, in chunks", () => post("hello", { headers: { "Transfer-Encoding": "chunked" } }), [5]],
    ["one of more than a write", () => post("x".repeat(70_000)), [65_536, 4_464]],
    ["one of a source", () => post([Buffer.from("hello"), Buffer.from("you")].values()), [5, 3]],
  ])("tells what of a body was sent: %s", async (_, request, sizes) => {
    const conn = new MemoryConn({ window: 2 ** 30 });
    const sent = await answered(conn, "", request());
    expect(sent.details("body-sent")).toEqual(sizes.map((bytes) => ({ bytes })));
    expect(sent.details("request-sent")).toEqual([{ bytes: conn.takeWritten().length }]);
    expect(sent.details("request-write")).toHaveLength(1);
    expect(sent.details("request-head")).toHaveLength(1);
  });

  test("tells how it ended: closed, failed behind its head, handed over", async () => {
    const closed = new MemoryConn();
    const first = await answered(closed, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345");
    const error = new Error("enough");
    closed.conn.abort(first.exchange, "aborted", error);
    expect(first.traced.slice(-2)).toEqual([
      expect.objectContaining({ type: "connection-closed", reason: "aborted" }),
      expect.objectContaining({ type: "body-failed", error }),
    ]);

    const unanswered = new MemoryConn();
    const second = await answered(unanswered, "HTTP/1.1 2");
    unanswered.conn.close("aborted", error);
    expect(second.traced.at(-1)).toMatchObject({ type: "connection-closed", reason: "aborted" });

    const over = new MemoryConn();
    const third = await answered(over, "HTTP/1.1 200 OK\r\n\r\n", get({ method: "CONNECT" }));
    expect(third.traced.at(-1)).toMatchObject({ type: "handed-over", status: 200 });
    over.conn.close("transport-closed");
    expect(third.traced.at(-1)).toMatchObject({ type: "handed-over" });
  });

  test("tells a redirect that is followed", async () => {
    const conn = new MemoryConn();
    const sent = await answered(conn, "HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n");
    const onward = { method: "GET", url: "http://peer/b", crossed: false, dropped: ["cookie"] };
    sent.exchange.followed(() => onward);
    expect(sent.details("redirect")).toEqual([{ status: 302, ...onward }]);
  });
});

describe("a trace's listener of some groups", () => {
  const GROUPS: Record<string, readonly TraceDetail["type"][]> = {
    connection: [
      "request-write",
      "request-head",
      "continue-wait",
      "first-byte",
      "information",
      "request-sent",
      "head",
      "end",
      "connection-closed",
    ],
    body: ["body-sent", "body-data"],
    call: ["redirect", "body-failed"],
    pool: [],
    dial: [],
  };

  /** One that is answered, and one of each way to go wrong. */
  async function eventful(groups: readonly TraceGroup[]): Promise<string[]> {
    const conn = new MemoryConn({ groups });
    const first = conn.roundTrip(post("hello", { expectContinue: true }));
    await conn.settle();
    conn.reply(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    await conn.settle();
    first.exchange.followed(() => ({ method: "GET", url: "http://peer/", crossed: false, dropped: [] }));
    const second = await answered(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345", post("hello"));
    conn.conn.close("timeout", new Error("enough"));
    const third = new MemoryConn({ groups });
    const over = await answered(third, "HTTP/1.1 200 OK\r\n\r\n", get({ method: "CONNECT" }));
    const fourth = new MemoryConn({ groups });
    const sliced = await answered(fourth, "", post([Buffer.from("hello")].values()));
    return [first, second, over, sliced].flatMap(({ events }) => events);
  }

  test.each(Object.keys(GROUPS) as TraceGroup[])("hears those of %s, and no other", async (group) => {
    const own = new Set<string>(await eventful([group]));
    const expected = group === "connection" ? [...GROUPS[group]!, "handed-over"] : GROUPS[group];
    expect([...own].sort()).toEqual([...expected!].sort());
  });

  test("of no group costs no event, and changes nothing", async () => {
    expect(await eventful([])).toEqual([]);
  });
});

describe("a trace's listener that closes the connection", () => {
  const patient = () => post("hello", { expectContinue: true });
  const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const whole = `${CHUNKED}2\r\nok\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n`;

  /** What comes of an exchange whose listener closes the connection at the first event of a type. */
  async function closedAt(type: TraceDetail["type"], request: ReturnType<typeof post>, replies: readonly string[]) {
    const { conn, conduit } = watchedConn();
    const sent = conn.roundTrip(request);
    sent.onEvent = (event) => {
      if (event.type === type) conn.conn.abort(sent.exchange, "aborted", "enough");
    };
    await conn.settle();
    for (const reply of replies) {
      conn.reply(reply);
      await conn.settle();
    }
    const written = conn.takeWritten();
    await conn.clock.advance(10_000);
    expect(conn.takeWritten()).toBe("");
    expect(conn.clock.armed).toBe(0);
    expect(conduit.calls).toEqual(["destroy"]);
    return { conn, sent, written };
  }

  test.each<[TraceDetail["type"], string, () => ReturnType<typeof post>, string[], string[]]>([
    ["request-write", "a body with its head", () => post("hello"), [OK], ["connection-closed"]],
    ["request-head", "a body with its head", () => post("hello"), [OK], ["connection-closed"]],
    ["request-head", "a body of a source", () => post(new Upload(10)), [OK], ["connection-closed"]],
    ["body-sent", "a body with its head", () => post("hello"), [OK], ["connection-closed"]],
    ["body-sent", "a body of a source", () => post(new Upload(10)), [OK], ["connection-closed"]],
    ["continue-wait", "a body that waits", patient, [OK], ["connection-closed"]],
    ["request-sent", "no body", () => get(), [OK], ["connection-closed"]],
    ["first-byte", "no body", () => get(), [OK], ["connection-closed"]],
    [
      "information",
      "no body",
      () => get(),
      [`HTTP/1.1 103 A\r\n\r\nHTTP/1.1 103 B\r\n\r\n${OK}`],
      ["connection-closed"],
    ],
    ["information", "a body that waits", patient, [`HTTP/1.1 100 A\r\n\r\n${OK}`], ["connection-closed"]],
    ["head", "no body", () => get(), [OK], ["connection-closed"]],
    ["body-data", "chunks and trailers", () => get(), [whole], ["connection-closed", "body-failed"]],
  ])("at %s of %s: nothing follows but the word of it", async (type, _, request, replies, last) => {
    const { conn, sent, written } = await closedAt(type, request(), replies);
    expect(sent.events.slice(sent.events.indexOf(type) + 1)).toEqual(expect.arrayContaining(last));
    const after = sent.events.slice(sent.events.lastIndexOf("connection-closed") + 1);
    // The head was handed over already, where its own event closed the connection; it is told, and no more than that.
    expect(after.filter((event) => event !== "request-head")).toEqual(last.slice(1));
    expect(conn.log).toEqual(["closed aborted"]);
    expect(sent.overs).toBe(1);
    if (last.length > 1) await expect(sent.response?.text()).rejects.toBe("enough");
    else expect(sent).toMatchObject({ response: null, error: "enough" });
    if (type === "request-write") expect(written).toBe("");
    else if (type === "continue-wait") expect(written).toMatch(/\r\n\r\n$/);
  });

  test("at the end of an answer: it counts as closed before its end", async () => {
    const { conn, sent } = await closedAt("end", get(), [OK]);
    expect(sent.events.slice(-3)).toEqual(["end", "connection-closed", "body-failed"]);
    expect(conn.log).toEqual(["closed aborted"]);
    expect(sent.overs).toBe(1);
    await expect(sent.response?.bytes()).rejects.toBe("enough");
  });

  test("at the end of an answer without a body: nobody is left to tell", async () => {
    const { conn, sent } = await closedAt("end", get(), ["HTTP/1.1 204 No Content\r\n\r\n"]);
    expect(sent.events.slice(-2)).toEqual(["connection-closed", "body-failed"]);
    expect([sent.response?.status, sent.error, conn.log]).toEqual([204, null, ["closed aborted"]]);
  });

  test("at its hand-over: the connection is closed, and nothing was handed over", async () => {
    const { conn, sent } = await closedAt("handed-over", get({ method: "CONNECT" }), ["HTTP/1.1 200 OK\r\n\r\nearly"]);
    expect(sent).toMatchObject({ response: null, error: "enough" });
    expect([conn.log, conn.conn.served]).toEqual([["closed aborted"], 0]);
  });

  test("at the request's end that a head confirms: nothing is handed over either", async () => {
    const { conn, conduit } = watchedConn();
    conduit.pending = 1;
    const sent = conn.roundTrip(get({ method: "CONNECT" }));
    sent.onEvent = ({ type }) => {
      if (type === "request-sent") conn.conn.abort(sent.exchange, "aborted", "enough");
    };
    await conn.settle();
    conn.reply("HTTP/1.1 200 OK\r\n\r\nearly");
    await conn.settle();
    expect(sent).toMatchObject({ response: null, error: "enough" });
    expect([conn.log, conn.clock.armed]).toEqual([["closed aborted"], 0]);
  });
});
