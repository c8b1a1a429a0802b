/**
 * One connection with up to ten requests in flight, over memory: whatever comes when, each answer belongs to its request,
 * every caller hears of its end once, what fails says truly whether it was written, and no request is written twice, nor
 * one behind a request that is not idempotent.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { rethrowInvariants } from "../lib/conn/persist-conn.ts";
import { HttpError } from "../lib/errors.ts";
import { Request } from "../lib/message/request.ts";
import { MemoryConn, post, type Sent } from "../spec/conn/memory-conn.ts";
import { runs } from "./runs.ts";

rethrowInvariants(true);

const FILE = "pipelining";

type Step =
  | { readonly kind: "ask"; readonly post: boolean }
  /** The peer answers the next request that it has, in so many pieces. */
  | { readonly kind: "answer"; readonly bytes: number; readonly framing: "length" | "chunked" | "close" | "says-close" }
  /** So many bytes of what the peer has said arrive. */
  | { readonly kind: "arrive"; readonly bytes: number }
  | { readonly kind: "abort"; readonly which: number; readonly timeout: boolean }
  | { readonly kind: "read"; readonly which: number; readonly how: "text" | "close" }
  | { readonly kind: "settle" }
  /** The peer reads nothing for a while, and then again. */
  | { readonly kind: "pause" | "resume" }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "end" | "reset" };

const which = fc.nat(20);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("ask" as const), post: fc.nat(9).map((n) => n === 0) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("answer" as const),
      bytes: fc.oneof(fc.nat(40), fc.nat(400_000)),
      framing: fc.constantFrom("length", "length", "length", "chunked", "chunked", "close", "says-close"),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("arrive" as const), bytes: fc.oneof(fc.nat(90), fc.nat(900_000)) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abort" as const), which, timeout: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("read" as const), which, how: fc.constantFrom("text", "text", "close") }),
  },
  { weight: 6, arbitrary: fc.constant({ kind: "settle" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("pause" as const, "resume" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("end" as const, "reset" as const) }) },
);

interface Asked {
  readonly path: string;
  readonly isPost: boolean;
  readonly sent: Sent;
  readonly left: Error;
  aborted: boolean;
  failures: number;
  /** What the peer said to it. */
  body: string | null;
  read: Promise<string | Error> | null;
}

test("requests behind each other get their own answers, and are told apart when their connection ends", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 10 }),
      fc.constantFrom(64 * 1024, 300, 60),
      fc.array(steps, { maxLength: 60 }),
      async (max, window, plan) => {
        await run(max, window, plan);
      },
    ),
    runs(FILE, 2),
  );
});

async function run(max: number, window: number, plan: readonly Step[]): Promise<void> {
  const conn = new MemoryConn({ window });
  const all: Asked[] = [];
  /** What the peer has said and what has not arrived, as text; what it got; requests that it has not answered. */
  let said = "";
  let got = "";
  const written: string[] = [];
  let answered = 0;
  let over = false;

  const ask = (isPost: boolean) => {
    if (conn.conn.closeReason !== null) return;
    const idle = conn.conn.inFlight === null;
    if (!idle && (isPost || !conn.conn.takesFollower(max))) return;
    const path = `/${all.length}`;
    const request = isPost ? post("x", {}).with({ url: `http://peer${path}` }) : new Request(`http://peer${path}`);
    const sent = idle ? conn.roundTrip(request) : conn.follow(request);
    const left = new Error(`${path} left`);
    const asked: Asked = { path, isPost, sent, left, aborted: false, failures: 0, body: null, read: null };
    const { failed } = sent;
    sent.failed = (error) => {
      asked.failures++;
      failed.call(sent, error);
    };
    all.push(asked);
    expect(all.filter(({ sent: one }) => !one.exchange.over).length).toBeLessThanOrEqual(max);
  };
  const look = () => {
    got += conn.takeWritten();
    for (const [, method, path] of got.matchAll(/(GET|POST) (\S+) HTTP\/1\.1\r\n/g)) written.push(`${method} ${path}`);
    got = "";
  };
  const answer = (bytes: number, framing: (Step & { kind: "answer" })["framing"]) => {
    look();
    const next = written[answered];
    if (next === undefined || over) return;
    answered++;
    const asked = all.find(({ path }) => next.endsWith(` ${path}`));
    if (asked === undefined) throw new Error(`${next} was asked by nobody`);
    const body = `${asked.path} `.repeat(Math.ceil(bytes / 3)).slice(0, bytes);
    asked.body = body;
    if (framing === "chunked") {
      const chunk = bytes === 0 ? "" : `${bytes.toString(16)}\r\n${body}\r\n`;
      said += `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`;
    } else if (framing === "close") {
      said += `HTTP/1.1 200 OK\r\n\r\n${body}`;
      over = true;
    } else {
      const close = framing === "says-close" ? "Connection: close\r\n" : "";
      said += `HTTP/1.1 200 OK\r\n${close}Content-Length: ${bytes}\r\n\r\n${body}`;
      over = framing === "says-close";
    }
  };
  const read = (asked: Asked | undefined, how: "text" | "close") => {
    const response = asked?.sent.response;
    if (asked === undefined || response == null || asked.read !== null) return;
    if (how === "close") {
      asked.read = Promise.resolve(new Error("closed"));
      void response.close();
    } else asked.read = response.text().catch((error: Error) => error);
  };

  // It must have proved itself persistent, or nothing follows.
  ask(false);
  await conn.settle();
  answer(0, "length");
  conn.reply(said);
  said = "";
  await conn.settle();
  for (const step of plan) {
    switch (step.kind) {
      case "ask":
        ask(step.post);
        break;
      case "answer":
        answer(step.bytes, step.framing);
        break;
      case "arrive":
        conn.reply(said.slice(0, step.bytes));
        said = said.slice(step.bytes);
        break;
      case "abort": {
        const asked = all[step.which];
        if (asked === undefined || asked.aborted || asked.sent.exchange.over) break;
        asked.aborted = true;
        conn.conn.abort(asked.sent.exchange, step.timeout ? "timeout" : "aborted", asked.left);
        break;
      }
      case "read":
        read(all[step.which], step.how);
        break;
      case "settle":
        await conn.settle();
        break;
      case "pause":
        conn.peer.pause();
        break;
      case "resume":
        conn.peer.resume();
        break;
      case "advance":
        await conn.clock.advance(step.ms);
        break;
      default:
        if (step.kind === "end") conn.peer.end();
        else conn.peer.reset();
    }
  }
  // The peer answers all that it has; then it ends.
  conn.peer.resume();
  await conn.settle();
  look();
  // What was asked is written as soon as the peer takes it, whoever waits in front.
  if (conn.conn.closeReason === null)
    for (const { path, sent } of all)
      if (!sent.exchange.over) expect(written.filter((line) => line.endsWith(` ${path}`))).toHaveLength(1);
  while (!over && answered < written.length) answer(3, "length");
  conn.reply(said);
  for (const asked of all) read(asked, "text");
  await conn.settle();
  for (const asked of all) read(asked, "text");
  await conn.settle();
  conn.peer.end();
  await conn.clock.advance(700_000);

  expect(new Set(written).size).toBe(written.length);
  for (const { path, isPost, sent, left, aborted, failures, body, read: reading } of all) {
    expect(sent.exchange.over).toBe(true);
    expect(sent.overs).toBe(1);
    expect(failures).toBe(sent.response === null ? 1 : 0);
    const result = reading === null ? null : await reading;
    if (typeof result === "string" && sent.response?.framing !== "close") expect(result).toBe(body);
    else if (typeof result === "string") expect(body?.startsWith(result)).toBe(true); // cut as nobody can tell
    if (sent.response !== null || aborted) continue;
    const { error } = sent;
    if (!(error instanceof HttpError)) throw new Error(`${path} failed with none of ours`, { cause: error });
    expect(error).not.toBe(left);
    if (error.bytesSubmitted === 0) expect(written).not.toContain(`${isPost ? "POST" : "GET"} ${path}`);
    if (error.behind === true) expect(error.bytesRead).toBe(0);
    if (error.behind === true) expect(isPost).toBe(false);
  }
  expect(conn.conn.closeReason).not.toBe(null);
  expect(conn.clock.armed).toBe(0);
}
