/** `--waterfall`, `--html`, `--har`, `--perfetto`: what a run leaves behind. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderWaterfall } from "../../lib/cli/waterfall.ts";
import { Recording } from "../../lib/observe.ts";
import type { TraceDetail, TraceEvent } from "../../lib/trace.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { cli, ok, rawServer, type SeenRequest } from "./support.ts";

checkLeaks();

const folder = tempFolder("waterfall");

const sayOk = ({ socket }: SeenRequest) => socket.write(ok("body\n"));

/** What a recording makes of these events. */
function recorded(
  ...events: [at: number, call: number | null, connection: number | null, detail: TraceDetail][]
): Recording {
  const recording = new Recording();
  const { on } = recording.trace as { on: (event: TraceEvent) => void }; // an object, never a function
  for (const [at, call, connection, detail] of events) on({ ...detail, at, call, connection, attempt: 1 });
  return recording;
}

const LOCAL = { localAddress: null, localPort: null, remoteAddress: null, remotePort: null };
const INFO = { id: 7, reused: false, served: 0, ...LOCAL, tls: null, proxy: null };
const HEAD = { framing: "length", statusText: "OK", httpVersion: "1.1", headers: () => [], early: false } as const;

test("renderWaterfall() draws each attempt where its time was, then the reasons", () => {
  const recording = recorded(
    [0, 1, null, { type: "call-start", method: "GET", url: "http://h/a", startedAt: 0, hop: 0 }],
    [10, 1, null, { type: "dial-start", host: "h", port: 80 }],
    [
      20,
      1,
      null,
      { type: "dial-done", id: 7, localAddress: null, localPort: null, remoteAddress: null, remotePort: null },
    ],
    [20, 1, 7, { type: "pool-assigned", reused: false, served: 0, idleMs: null, dialLeft: false, info: () => INFO }],
    [30, 1, 7, { type: "request-sent", bytes: 9 }],
    [60, 1, 7, { type: "first-byte" }],
    [60, 1, 7, { type: "head", status: 200, ...HEAD }],
    [100, 1, 7, { type: "end", bytes: 9 }],
    [100, null, 7, { type: "connection-closed", reason: "too-many-idle" }],
  );
  expect(renderWaterfall(recording, 47).split("\n")).toEqual([
    "1 attempt over 1 connection in 100 ms",
    "  GET /a 200 #7 ··──▒▒░░░░░░████████   100 ms",
    "  · queue  d dns  ─ connect  ═ tls  ▒ write  ░ wait  █ body",
    "    100 ms connection 7 is closed: more were idle than maxIdleConns allows, and it was the one unused longest",
    "",
  ]);
});

test("run() with --waterfall, --html, --har and --perfetto tells of all requests, without credentials", async () => {
  await using server = await rawServer(sayOk);
  const [html, har, perfetto] = ["o.html", "o.har", "o.json"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const url = server.url.replace("//", "//user:pass@");
  const result = await cli(["--waterfall", "--html", html, "--har", har, "--perfetto", perfetto, url, server.url]);
  expect(result.code).toBe(0);
  expect(result.stderr).toMatch(/^2 attempts over 1 connection in /);
  const files = await Promise.all([html, har, perfetto].map((path) => readFile(path, "utf8")));
  for (const text of [result.stderr, ...files]) expect(text).not.toMatch(/user:pass|dXNlcjpwYXNz/);
  expect(files[0]).toMatch(/^<!doctype html>/);
  expect(JSON.parse(files[1]!).log.entries).toHaveLength(2);
  expect(JSON.parse(files[2]!).traceEvents.length).toBeGreaterThan(10);
});

test("run() tells of a failure too, and of a file that cannot be written", async () => {
  await using server = await rawServer(({ socket }) => socket.destroy());
  const failed = await cli(["--waterfall", server.url]);
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toContain("is not sent again, since the connection was dialed for this request");
  await using good = await rawServer(sayOk);
  const unwritten = await cli(["--har", "/nowhere/at/all.har", good.url]);
  expect(unwritten.code).toBe(23);
  expect(unwritten.stderr).toContain("/nowhere/at/all.har");
});
