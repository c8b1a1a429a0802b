/** The Trace Event Format: slices that balance, lanes whose times go forward, and what Chrome's own parser makes of them. */

import { afterEach, expect, test } from "vitest";
import { Recording, type TraceFile, traceEvents } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

/** The rules by which Perfetto reads a file; what breaks them. */
function faults({ traceEvents: events }: TraceFile): string[] {
  const found: string[] = [];
  const ends = new Map<number, number>();
  const calls = new Map<string, number>();
  let last = 0;
  for (const { name, ph, ts, dur, tid, id } of events) {
    if (!Number.isInteger(ts) || ts < 0) found.push(`${name}: time ${ts}`);
    if (ts < last) found.push(`${name}: out of order`);
    last = ts;
    if (ph === "X") {
      if (dur === undefined || !Number.isInteger(dur) || dur < 0) found.push(`${name}: is ${dur} long`);
      if (ts < (ends.get(tid) ?? 0)) found.push(`${name}: overlaps the one before`);
      ends.set(tid, ts + (dur ?? 0));
    }
    if (ph === "b") calls.set(`${id} ${name}`, (calls.get(`${id} ${name}`) ?? 0) + 1);
    if (ph === "e") calls.set(`${id} ${name}`, (calls.get(`${id} ${name}`) ?? 0) - 1);
  }
  for (const [call, n] of calls) if (n !== 0) found.push(`${call}: does not balance`);
  return found;
}

test("traceEvents() balances: a lane for the life of each connection, one for each of its loops", async () => {
  const recording = new Recording();
  await using _ = await someExchanges(recording.trace);
  const file = JSON.parse(JSON.stringify(traceEvents(recording))) as TraceFile; // as a file has it
  expect(faults(file)).toEqual([]);
  const names = file.traceEvents
    .filter(({ name }) => name === "thread_name")
    .map(({ args }) => args?.["name"] as string);
  expect(names.map((name) => name.replace(/\d+/g, "N").replace(/ to .*/, ""))).toEqual([
    "connection N",
    "connection N: write loop",
    "connection N: read loop",
    "connection N",
    "connection N: write loop",
    "connection N: read loop",
  ]);
  const slices = (tid: number | undefined) =>
    file.traceEvents.filter((event) => event.tid === tid && event.ph === "X").map(({ name }) => name.split(" ")[0]);
  const life = file.traceEvents.find(({ ph }) => ph === "X")?.tid;
  expect(slices(life)).toEqual(["dial", "GET", "idle", "GET", "idle", "GET"]);
  expect(slices((life ?? 0) + 1)).toEqual(["write", "write", "write"]);
  expect(slices((life ?? 0) + 2)).toEqual(["wait", "head", "body", "wait", "head", "body", "wait", "head", "body"]);
  expect(file.traceEvents.filter(({ ph }) => ph === "i").map(({ name }) => name)).toEqual([
    "closed: the answer said that it is the last (RFC 9112 §9.3)",
    "closed: the server closed it before it had answered",
  ]);
});

test("traceEvents() ends with the recording what is still under way", async () => {
  const recording = new Recording();
  await using peer = await scriptedPeer({ trace: recording.trace });
  const call = peer.client.get(peer.url());
  const conn = await peer.accept();
  await conn.readHead();
  expect(faults(traceEvents(recording))).toEqual([]);
  conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  await call;
  expect(faults(traceEvents(recording))).toEqual([]);
  conn.reply("ok");
  await (await call).bytes();
  expect(faults(traceEvents(recording))).toEqual([]);
});

/** As much of Chrome DevTools' parser as is used; its types want those of a browser. */
interface Engine {
  readonly Processor: {
    readonly TraceProcessor: {
      createWithAllHandlers(): { parse(events: unknown, options: object): Promise<void>; readonly data: Parsed };
    };
  };
  readonly Helpers: {
    readonly Trace: {
      createMatchedSortedSyntheticEvents(events: unknown[]): { name: string; ts: number; dur: number }[];
    };
  };
}
interface Parsed {
  readonly Renderer: {
    readonly processes: ReadonlyMap<
      number,
      { readonly threads: ReadonlyMap<number, { name: string; entries: Entry[] }> }
    >;
  };
}
interface Entry {
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
}

const GLOBALS = globalThis as { DOMRect?: unknown; window?: unknown }; // what a browser would have
afterEach(() => {
  delete GLOBALS.DOMRect;
  delete GLOBALS.window;
});

test("traceEvents() is read by the parser of Chrome's DevTools as it was meant: lanes, slices and calls", async () => {
  const recording = new Recording();
  await using _ = await someExchanges(recording.trace);
  const { traceEvents: events } = JSON.parse(JSON.stringify(traceEvents(recording))) as TraceFile; // as a file has it
  GLOBALS.DOMRect = class {};
  GLOBALS.window = globalThis;
  const name = "@paulirish/trace_engine";
  const { Processor, Helpers } = (await import(name)) as Engine; // the part of it above
  const processor = Processor.TraceProcessor.createWithAllHandlers();
  await processor.parse(events, {});
  const threads = processor.data.Renderer.processes.get(1)?.threads ?? new Map();
  expect([...threads.values()].map((thread) => thread.name.replace(/\d+/g, "N").replace(/ to .*/, ""))).toEqual([
    "connection N",
    "connection N: write loop",
    "connection N: read loop",
    "connection N",
    "connection N: write loop",
    "connection N: read loop",
  ]);
  for (const [tid, { entries }] of threads) {
    const slices = events.filter((event) => event.tid === tid && event.ph === "X");
    const facts = ({ name, ts, dur }: Pick<Entry, "name" | "ts"> & { readonly dur?: number }) => [name, ts, dur];
    expect(entries.map(facts)).toEqual(slices.map(facts));
  }
  const calls = Helpers.Trace.createMatchedSortedSyntheticEvents(events.filter(({ ph }) => ph === "b" || ph === "e"));
  expect(calls.map(({ name }) => name.replace(/:\d+/, ""))).toEqual([
    "GET http://127.0.0.1/a?n=1&m=2",
    "GET http://127.0.0.1/moved",
    "GET http://127.0.0.1/b",
    "POST http://127.0.0.1/c",
  ]);
  const longest = recording.attempts.map(({ from, endAt }) => Math.round(((endAt ?? from) - from) * 1000));
  calls.forEach(({ dur }, i) => {
    expect(Math.abs(dur - (longest[i] ?? -10))).toBeLessThanOrEqual(1);
  });
});

test("traceEvents() of nothing is an empty file", () => {
  const { traceEvents: events } = traceEvents(new Recording());
  expect(events.map(({ ph }) => ph)).toEqual(["M"]);
});
