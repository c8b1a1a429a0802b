/** The last exchanges: how many, which, and how long their stories are. */

import { expect, test } from "vitest";
import { Recent } from "../../../lib/observe/inspector/recent.ts";
import type { TraceDetail } from "../../../lib/trace.ts";

function recent() {
  let changes = 0;
  const kept = new Recent(() => changes++);
  const say = (call: number | null, detail: TraceDetail, at = 0) =>
    kept.hear({ ...detail, at, call, attempt: 1, connection: null });
  const start = (call: number, url = "http://a.test/", at = 0) =>
    say(call, { type: "call-start", method: "GET", url, startedAt: 0, hop: 0 }, at);
  return { kept, say, start, changes: () => changes };
}

test("Recent keeps a hundred calls: what is over longest goes first, what is under way last", () => {
  const { kept, say, start } = recent();
  start(1);
  for (let call = 2; call <= 1000; call++) {
    start(call, "http://a.test/", call);
    say(call, { type: "end", bytes: 1 }, call);
  }
  expect(kept.calls).toHaveLength(100);
  expect(kept.calls.slice(0, 2)).toEqual([1, 902]);
});

test("Recent keeps a hundred calls though none of them ever ends", () => {
  const { kept, start } = recent();
  for (let call = 1; call <= 1000; call++) start(call);
  expect(kept.calls).toHaveLength(100);
  expect(kept.calls[0]).toBe(901);
});

test("Recent cuts stories and texts, and says so", () => {
  const { kept, say, start } = recent();
  start(1, `http://a.test/${"x".repeat(5000)}`);
  for (let i = 0; i < 500; i++) say(1, { type: "information", status: 102, headers: () => null as never }); // not asked for
  const { lines, untold } = kept.story(1)!;
  expect([lines.length, untold]).toEqual([40, 461]);
  for (const { text } of lines) expect(text.length).toBeLessThanOrEqual(300);
  expect(kept.since(0)[0]?.url).toHaveLength(300);
  expect(kept.story(2)).toBeNull();
});

test("Recent gives the rows that changed after a version", () => {
  const { kept, say, start, changes } = recent();
  start(1);
  start(2);
  const { version } = kept;
  say(2, { type: "body-data", bytes: 10 });
  say(null, { type: "connection-closed", reason: "aborted" });
  say(7, { type: "first-byte" }); // began before anybody watched
  expect(kept.since(version)).toMatchObject([{ call: 2, bytes: 10 }]);
  expect(kept.since(kept.version)).toEqual([]);
  expect(changes()).toBe(5);
});
