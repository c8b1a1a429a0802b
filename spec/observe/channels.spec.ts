/** `node:diagnostics_channel`: whoever subscribes hears, a transport made before too, and nobody else pays. */

import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import type { TraceEvent } from "../../lib/index.ts";
import type { RequestMessage } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { nextUncaught } from "../support/uncaught.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

/** Hears a channel until it is disposed of. */
function heard<T>(name: string, fn: (message: T) => void): Disposable {
  const on = (message: unknown) => fn(message as T); // what this channel carries
  subscribe(name, on);
  return { [Symbol.dispose]: () => void unsubscribe(name, on) };
}

test("persistconn:GROUP carries the events of its group, secrets hidden, beside the transport's own listener", async () => {
  const own: TraceEvent[] = [];
  const events: TraceEvent[] = [];
  using _calls = heard<TraceEvent>("persistconn:call", (event) => events.push(event));
  using _conns = heard<TraceEvent>("persistconn:connection", (event) => events.push(event));
  await using _ = await someExchanges({ groups: ["pool"], on: (event) => own.push(event) });
  const types = new Set(events.map(({ type }) => type));
  expect([...types].sort()).toEqual(
    [
      "call-start",
      "request-head",
      "request-write",
      "request-sent",
      "first-byte",
      "head",
      "end",
      "redirect",
      "connection-closed",
      "retry-refused",
      "call-failed",
    ].sort(),
  );
  expect(new Set(own.map(({ type }) => type))).toEqual(
    new Set(["pool-wait", "pool-assigned", "connection-idle", "connection-returned"]),
  );
  const write = events.find((event) => event.type === "request-write");
  expect(write?.headers()).toContainEqual(["Cookie", "[hidden]"]);
});

test("a subscriber that comes later hears from the next call on", async () => {
  await using peer = await scriptedPeer();
  const types: string[] = [];
  using _dials = heard<TraceEvent>("persistconn:dial", ({ type }) => types.push(type));
  const call = peer.client.get(peer.url());
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await (await call).bytes();
  expect(types).toEqual(["dial-start", "connect-start", "connect-done", "dial-done"]);
});

test("what a subscriber throws is an uncaught exception of its own, and the call goes on", async () => {
  await using peer = await scriptedPeer();
  const thrown = nextUncaught();
  using _heads = heard<TraceEvent>("persistconn:connection", ({ type }) => {
    if (type === "head") throw new Error("mine");
  });
  const call = peer.client.get(peer.url());
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  expect((await call).status).toBe(204);
  expect(await thrown).toMatchObject({ message: "mine" });
});

test("tracing:persistconn:request has one message for all of a call, told first in the caller's context", async () => {
  const storage = new AsyncLocalStorage<string>();
  const log: string[] = [];
  const messages = new Map<number, RequestMessage>();
  const at = (name: string) => (message: unknown) => {
    const request = message as RequestMessage; // what this channel carries
    const known = messages.get(request.call);
    if (known !== undefined) expect(request).toBe(known);
    messages.set(request.call, request);
    const { status = "-", error } = request;
    log.push(
      `${name} ${request.method} ${new URL(request.url).pathname} ${status}${error === undefined ? "" : " failed"}`,
    );
    if (name === "start") expect(storage.getStore()).toBe("caller");
  };
  const channel = tracingChannel("persistconn:request");
  const subscribers = {
    start: at("start"),
    end: at("end"),
    asyncStart: at("asyncStart"),
    asyncEnd: at("asyncEnd"),
    error: at("error"),
  };
  channel.subscribe(subscribers);
  try {
    await using _ = await storage.run("caller", () => someExchanges(() => {}));
    const told = (path: string, ...names: string[]) => names.map((name) => name.replace("/", path));
    expect(log).toEqual([
      ...told("/a", "start GET / -", "end GET / -", "asyncStart GET / 200", "asyncEnd GET / 200"),
      ...told("/moved", "start GET / -", "end GET / -", "asyncStart GET / 302", "asyncEnd GET / 302"),
      ...told("/b", "start GET / -", "end GET / -", "asyncStart GET / 404", "asyncEnd GET / 404"),
      ...told("/c", "start POST / -", "end POST / -", "error POST / - failed"),
      ...told("/c", "asyncStart POST / - failed", "asyncEnd POST / - failed"),
    ]);
  } finally {
    channel.unsubscribe(subscribers);
  }
});
