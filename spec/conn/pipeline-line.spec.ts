/** The rules of pipelining and the line of those behind, by themselves: no connection, no bytes (RFC 9112 §9.3.2). */

import { describe, expect, test } from "vitest";
import { canBeFollowed, Pipeline, pipelines, saysClose } from "../../lib/conn/pipeline.ts";
import { HttpError, InvariantError, TransportClosedError } from "../../lib/errors.ts";
import { Request, type RequestInit } from "../../lib/message/request.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import type { ResponseHead } from "../../lib/wire/parser-events.ts";
import type { WritableHead } from "../../lib/wire/request-writer.ts";
import { Sent } from "./memory-conn.ts";

const clock = new VirtualClock();
const sentOf = (init: RequestInit = {}): Sent => new Sent(new Request("http://peer/", init), clock, {});

/** What a head of an answer says of its connection. */
function headOf(fields: [string, string][], facts: Partial<ResponseHead> = {}): ResponseHead {
  return {
    status: 200,
    statusText: "",
    minorVersion: 1,
    fields: { length: fields.length, name: (i) => fields[i]![0], value: (i) => fields[i]![1] },
    framing: "length",
    contentLength: 1,
    contentEncoding: null,
    keepAlive: false,
    keepAliveTimeoutMs: null,
    keepAliveMax: null,
    ...facts,
  };
}

describe("pipelines()", () => {
  const plain: WritableHead = sentOf().exchange.outgoing;

  test("a plain GET, and none that expects a 100, asks for an upgrade, says close or has a body", () => {
    expect(pipelines("GET", plain)).toBe(true);
    expect(pipelines("GET", { ...plain, expectContinue: true })).toBe(false);
    expect(pipelines("GET", { ...plain, upgrade: ["h2c"] })).toBe(false);
    expect(pipelines("GET", { ...plain, close: true })).toBe(false);
    expect(pipelines("GET", { ...plain, framing: { kind: "chunked" } })).toBe(false);
    expect(pipelines("get", plain)).toBe(false);
  });
});

describe("canBeFollowed()", () => {
  const host = { readAsked() {}, bodyTaken() {}, bodyClosed() {} };

  test("before its answer, and behind a head that keeps the connection", () => {
    const { exchange } = sentOf();
    expect(canBeFollowed(exchange)).toBe(true);
    exchange.answer(headOf([], { keepAlive: true }), true, host);
    expect(canBeFollowed(exchange)).toBe(true);
  });

  test("not behind a head that ends the connection", () => {
    const { exchange } = sentOf();
    exchange.answer(headOf([]), true, host);
    expect(canBeFollowed(exchange)).toBe(false);
  });

  test("not behind one that is over, nor one whose reader wants no more", () => {
    const failed = sentOf().exchange;
    failed.fail(new Error("gone"));
    expect([failed.over, failed.discarding, canBeFollowed(failed)]).toEqual([true, false, false]);
    const closed = sentOf().exchange;
    closed.answer(headOf([], { keepAlive: true }), true, host);
    closed.close();
    expect([closed.over, closed.discarding, canBeFollowed(closed)]).toEqual([false, true, false]);
  });

  test("not behind what is not pipelined itself", () => {
    expect(canBeFollowed(sentOf({ method: "POST" }).exchange)).toBe(false);
  });
});

describe("saysClose() (RFC 9112 §9.6)", () => {
  test.each<[string, [string, string][], boolean]>([
    ["close", [["Connection", "close"]], true],
    ["CLOSE", [["CONNECTION", "CLOSE"]], true],
    ["in a list, first", [["connection", "close, x"]], true],
    ["in a list, first, without a blank", [["connection", "close,x"]], true],
    ["in a list, last", [["connection", "x, close"]], true],
    ["in a list, last, without a blank", [["connection", "x,close"]], true],
    ["in a list, between others", [["connection", "x , close\t, y"]], true],
    [
      "in the second of its fields",
      [
        ["Connection", "keep-alive"],
        ["Server", "x"],
        ["Connection", "close"],
      ],
      true,
    ],
    ["no fields", [], false],
    ["another option", [["Connection", "keep-alive"]], false],
    ["a longer option", [["Connection", "closed"]], false],
    ["another option that ends so", [["Connection", "disclose"]], false],
    ["another field", [["Proxy-Connection", "close"]], false],
  ])("%s", (_, fields, expected) => {
    expect(saysClose(headOf(fields))).toBe(expected);
  });

  test("not of HTTP/1.0, where a close is no word about requests behind, nor of what keeps the connection", () => {
    expect(saysClose(headOf([["Connection", "close"]], { minorVersion: 0 }))).toBe(false);
    expect(saysClose(headOf([["Connection", "close"]], { keepAlive: true }))).toBe(false);
  });
});

describe("Pipeline", () => {
  /** A line of so many, the first of which are written; in `over` those whose callers have left. */
  function lineOf(size: number, taken: number, over: readonly number[] = []) {
    const line = new Pipeline();
    const sent = Array.from({ length: size }, () => sentOf());
    for (const { exchange } of sent) line.push(exchange);
    for (let i = 0; i < taken; i++) line.take();
    for (const i of over) sent[i]?.exchange.leave(new Error("left"));
    return { line, sent, exchanges: sent.map(({ exchange }) => exchange) };
  }

  test("take() gives those that are not written, in order, and then none", () => {
    const { line, exchanges } = lineOf(2, 0);
    expect([line.size, line.unwritten, line.nextBegun]).toEqual([2, 2, false]);
    expect(line.take()).toBe(exchanges[0]);
    expect([line.size, line.unwritten, line.nextBegun]).toEqual([2, 1, true]);
    expect(line.take()).toBe(exchanges[1]);
    expect(line.take()).toBe(undefined);
    expect([line.size, line.unwritten, line.nextBegun]).toEqual([2, 0, true]);
  });

  test("shift() gives the oldest, written or not", () => {
    const written = lineOf(3, 2);
    expect(written.line.shift()).toBe(written.exchanges[0]);
    expect([written.line.size, written.line.unwritten]).toEqual([2, 1]);
    const unwritten = lineOf(2, 0);
    expect(unwritten.line.shift()).toBe(unwritten.exchanges[0]);
    expect([unwritten.line.size, unwritten.line.unwritten, unwritten.line.nextBegun]).toEqual([1, 1, false]);
  });

  test("shift() of an empty line is a broken rule of our own", () => {
    const { line } = lineOf(0, 0);
    expect(() => line.shift()).toThrow(InvariantError);
    expect(() => line.shift()).toThrow("Cannot read the next answer: nobody waits for one");
    expect(line.unwritten).toBe(0);
  });

  test("drop() takes out what was not written, and nothing else", () => {
    const { line, exchanges } = lineOf(4, 2);
    line.drop(exchanges[0]!);
    line.drop(exchanges[1]!);
    line.drop(sentOf().exchange);
    expect(line.size).toBe(4);
    line.drop(exchanges[2]!);
    expect(exchanges.map((exchange) => line.has(exchange))).toEqual([true, true, false, true]);
    expect(line.take()).toBe(exchanges[3]);
  });

  test("has() and calls tell who stands in it", () => {
    const { line, exchanges } = lineOf(2, 1);
    expect(exchanges.map((exchange) => line.has(exchange))).toEqual([true, true]);
    expect(line.has(sentOf().exchange)).toBe(false);
    expect(line.calls).toEqual(exchanges.map(({ trace }) => trace.id));
  });

  test.each<[string, size: number, taken: number, over: number[], boolean]>([
    ["nobody", 0, 0, [], false],
    ["the next, who is written", 1, 1, [], true],
    ["the next, who is not", 2, 0, [], true],
    ["the next has left, written, and the one behind is not written", 2, 1, [0], false],
    ["the next has left, written, and the one behind is written", 2, 2, [0], true],
    ["all who were written have left", 3, 2, [0, 1], false],
    ["all have left", 2, 2, [0, 1], false],
  ])("awaited: %s", (_, size, taken, over, expected) => {
    expect(lineOf(size, taken, over).line.awaited).toBe(expected);
  });

  test.each<[string, size: number, taken: number, over: number[], boolean]>([
    ["nobody", 0, 0, [], false],
    ["none is written", 1, 0, [], false],
    ["one is written", 2, 1, [], true],
    ["the one that is written has left", 2, 1, [0], false],
    ["one of those that are written has left", 2, 2, [0], true],
  ])("bound: %s", (_, size, taken, over, expected) => {
    expect(lineOf(size, taken, over).line.bound).toBe(expected);
  });

  test("unsettled: as long as one of them has not heard", () => {
    expect(lineOf(0, 0).line.unsettled).toBe(false);
    expect(lineOf(2, 2, [0]).line.unsettled).toBe(true);
    expect(lineOf(2, 2, [0, 1]).line.unsettled).toBe(false);
  });

  test("pendingInFront() leaves what is more than all of theirs", () => {
    const { line, exchanges } = lineOf(2, 2);
    exchanges[0]!.bytesSubmitted = 10;
    exchanges[1]!.bytesSubmitted = 20;
    expect([35, 30, 25, 0].map((pending) => line.pendingInFront(pending))).toEqual([5, 0, 0, 0]);
  });

  describe("fail()", () => {
    function failing(
      taken: number,
      said: boolean,
      error: unknown = null,
      reason: "socket-error" | "transport-destroyed" = "socket-error",
    ) {
      const { line, sent, exchanges } = lineOf(3, taken);
      for (const [i, exchange] of exchanges.entries()) exchange.bytesSubmitted = i < taken ? 10 * (i + 1) : 0;
      line.fail("peer:80", reason, error, 25, said, true);
      return sent;
    }

    test("tells those that were written apart from those that were not, in words and in facts", () => {
      const [a, b, c] = failing(2, true) as [Sent, Sent, Sent];
      expect(a.error).toMatchObject({
        name: "ConnectionClosedError",
        message:
          "Cannot finish exchange with peer:80: it stood behind another request, and the connection was closed before its turn to be answered (socket-error)",
        phase: "headers",
        behind: true,
        unprocessed: true,
        safeToRetry: true,
      });
      expect(b.error).toMatchObject({ phase: "headers", behind: true, unprocessed: true });
      expect(c.error).toMatchObject({
        message:
          "Cannot finish exchange with peer:80: it stood behind another request, and the connection was closed before it was written (socket-error)",
        phase: "write",
        behind: true,
        bytesSubmitted: 0,
      });
      expect((c.error as HttpError).unprocessed).toBe(undefined);
    });

    test("says unprocessed only where the answer in front has said close", () => {
      for (const { error } of failing(3, false)) {
        expect(error).toBeInstanceOf(HttpError);
        expect((error as HttpError).unprocessed).toBe(undefined);
      }
    });

    test("reckons the bytes that still waited from the last one on", () => {
      const accepted = failing(2, false).map(({ error }) => (error as HttpError).bytesAccepted);
      expect(accepted).toEqual([5, 0, 0]); // of 10, 20 and none, with 25 still waiting
    });

    test("with a destroyed transport: all hear why, each with facts of its own where the error is ours", () => {
      const mine = new Error("enough");
      expect(failing(2, false, mine, "transport-destroyed").map(({ error }) => error)).toEqual([mine, mine, mine]);
      const ours = new TransportClosedError("gone");
      const errors = failing(2, false, ours, "transport-destroyed").map(({ error }) => error as HttpError);
      for (const error of errors) {
        expect(error).toBeInstanceOf(TransportClosedError);
        expect(error.message).toBe("gone");
        expect(error).not.toBe(ours);
      }
      expect(errors.map(({ bytesSubmitted, bytesAccepted }) => [bytesSubmitted, bytesAccepted])).toEqual([
        [10, 5],
        [20, 0],
        [0, 0],
      ]);
    });

    test.each<[heard: boolean, over: number[], order: number[]]>([
      [true, [], [3, 2, 1, 0]],
      [false, [], [0, 3, 2, 1]],
      [false, [0], [1, 3, 2]],
      [false, [0, 1, 2, 3], []],
    ])(
      "the oldest hears first, unless one in front has (%s), the others from the last on; %j have left",
      (heard, over, order) => {
        const { line, sent } = lineOf(4, 4, over);
        const told: number[] = [];
        for (const [i, one] of sent.entries()) one.failed = () => told.push(i);
        line.fail("peer:80", "socket-error", null, 0, false, heard);
        expect(told).toEqual(order);
      },
    );
  });
});
