/** The Trace Event Format: slices that balance, lanes whose times go forward. */

import { expect, test } from "vitest";
import { Recording, type TraceFile, traceEvents } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

/** The rules by which Perfetto reads a file; what breaks them. */
function faults({ traceEvents: events }: TraceFile): string[] {
  const found: string[] = [];
  const open = new Map<number, string[]>();
  const calls = new Map<string, number>();
  let last = 0;
  for (const { name, ph, ts, tid, id } of events) {
    if (!Number.isInteger(ts) || ts < 0) found.push(`${name}: time ${ts}`);
    if (ts < last) found.push(`${name}: out of order`);
    last = ts;
    const stack = open.get(tid) ?? [];
    open.set(tid, stack);
    if (ph === "B") stack.push(name);
    if (ph === "E" && stack.pop() !== name) found.push(`${name}: ends what is not open`);
    if (stack.length > 1) found.push(`${name}: overlaps ${stack[0]}`);
    if (ph === "b") calls.set(`${id} ${name}`, (calls.get(`${id} ${name}`) ?? 0) + 1);
    if (ph === "e") calls.set(`${id} ${name}`, (calls.get(`${id} ${name}`) ?? 0) - 1);
  }
  for (const stack of open.values()) if (stack.length > 0) found.push(`${stack[0]}: never ends`);
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
    file.traceEvents.filter((event) => event.tid === tid && event.ph === "B").map(({ name }) => name.split(" ")[0]);
  const life = file.traceEvents.find(({ ph }) => ph === "B")?.tid;
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

test("traceEvents() of nothing is an empty file", () => {
  const { traceEvents: events } = traceEvents(new Recording());
  expect(events.map(({ ph }) => ph)).toEqual(["M"]);
});
