/** HAR 1.2: held against the published schema, and read as a browser's developer tools would. */

import { createRequire } from "node:module";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { type Har, har, Recording } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

const require = createRequire(import.meta.url);
const { Ajv } = require("ajv") as typeof import("ajv");
const schemas = require("har-schema") as Record<string, object>;

/** What the schema has against it. */
function faults(archive: unknown): unknown {
  const ajv = new Ajv({ strict: false });
  addFormats.default(ajv);
  // draft-06 says the same as draft-07 in all that is used here.
  for (const schema of Object.values(schemas)) {
    const { $schema: _, ...rest } = schema as { $schema?: string }; // JSON
    ajv.addSchema(rest);
  }
  ajv.validate("har.json#", archive);
  return ajv.errors;
}

async function archived(recording: Recording): Promise<Har> {
  await using _ = await someExchanges(recording.trace);
  return JSON.parse(JSON.stringify(har(recording))) as Har; // as a file has it
}

test("har() gives what the published schema of HAR 1.2 takes", async () => {
  const archive = await archived(new Recording());
  expect(faults(archive)).toBeNull();
  expect(faults({ log: { ...archive.log, entries: [{ ...archive.log.entries[0], time: "x" }] } })).not.toBeNull();
  expect(faults(har(new Recording()))).toBeNull();
});

test("har() has an entry for each attempt, with its connection, its story and its failure", async () => {
  const { entries } = (await archived(new Recording())).log;
  expect(entries.map(({ request, response }) => [request.method, response.status, response.statusText])).toEqual([
    ["GET", 200, "OK"],
    ["GET", 302, "Found"],
    ["GET", 404, "Not Found"],
    ["POST", 0, ""],
  ]);
  const [first, moved, second, lost] = entries;
  expect(first?.request.queryString).toEqual([
    { name: "n", value: "1" },
    { name: "m", value: "2" },
  ]);
  expect(first?.response.content).toEqual({ size: 2, mimeType: "text/plain" });
  expect(first?.serverIPAddress).toBe("127.0.0.1");
  expect(first?.request.headers.find(({ name }) => name === "X-Mine")).toEqual({ name: "X-Mine", value: "1" });
  expect(moved?.response.redirectURL).toMatch(/\/b$/);
  expect(new Set([first, moved, second].map((entry) => entry?.connection)).size).toBe(1);
  expect(lost?.response._error).toContain("ConnectionClosedError");
  expect(lost?._events.map(({ text }) => text)).toContain(
    "is not sent again, since the connection was dialed for this request",
  );
});

test("har() times add up, and what did not happen is -1", async () => {
  const { entries } = (await archived(new Recording())).log;
  for (const { time, timings } of entries) {
    const { blocked, dns, connect, send, wait, receive } = timings;
    const sum = [blocked, dns, connect, send, wait, receive].reduce((all, ms) => all + Math.max(0, ms), 0);
    expect(time).toBeCloseTo(sum, 6);
  }
  expect(entries[0]?.timings).toMatchObject({ dns: -1, ssl: -1 });
  expect(entries[0]?.timings.connect).toBeGreaterThan(0);
  expect(entries[1]?.timings.connect).toBe(-1); // reused
});

test("har() shows secrets only to whoever asked for them", async () => {
  const hidden = await archived(new Recording());
  expect(hidden.log.entries[0]?.request.headers).toContainEqual({ name: "Cookie", value: "[hidden]" });
  expect(hidden.log.entries[0]?.request.cookies).toEqual([]);
  const shown = await archived(new Recording({ secrets: true }));
  expect(shown.log.entries[0]?.request.cookies).toEqual([{ name: "k", value: "v" }]);
  expect(shown.log.entries[0]?.response.cookies).toEqual([{ name: "s", value: "t" }]);
});

test("Recording keeps the first attempts, and counts the others", async () => {
  const recording = new Recording({ maxAttempts: 1 });
  const archive = await archived(recording);
  expect(archive.log.entries).toHaveLength(1);
  expect(recording.dropped).toBe(4); // three attempts and a connection
  expect(() => new Recording({ maxAttempts: 0 })).toThrow(/maxAttempts must be/);
});
