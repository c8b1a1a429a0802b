import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkCounters } from "../../bench/measure.ts";
import { concurrencyPoints, costSpec, ratioSpec, sizePoints } from "../../bench/plots.ts";
import { type Measured, summarize } from "../../bench/report.ts";
import { CONTESTANTS, GIB, quickened, SCENARIOS } from "../../bench/scenarios.ts";
import { markdown, replaceTables } from "../../bench/support/markdown.ts";
import { readOptions } from "../../bench/support/options.ts";
import type { ResponderStats } from "../../bench/support/protocol.ts";
import { makeReply } from "../../bench/support/reply.ts";

describe("makeReply()", () => {
  const fieldsOf = (path: string) => makeReply(path)!.head.toString().split("\r\n").length - 3;

  test.each([
    ["/0", 8],
    ["/2048", 8],
    ["/65536-chunked", 8],
    ["/2048-json", 8],
    ["/2048-close", 8],
    ["/2048-f35", 35],
    ["/2048-f2", 2],
    ["/2048-f140", 140],
  ])("%s has %d header fields", (path, count) => expect(fieldsOf(path)).toBe(count));

  test("the body has the length that the path says, and Content-Length says the same", () => {
    for (const size of [0, 1, 2_048, 65_536]) {
      const { bytes, head } = makeReply(`/${size}`)!;
      expect(bytes.length - head.length).toBe(size);
      expect(head.toString()).toContain(`\r\nContent-Length: ${size}\r\n`);
    }
  });

  test("chunks add up to the length, and end (RFC 9112 §7.1)", () => {
    const { bytes, head } = makeReply("/65536-chunked")!;
    const body = bytes.subarray(head.length).toString();
    expect(head.toString()).toMatch(/transfer-encoding: chunked/i);
    expect(head.toString()).not.toMatch(/content-length/i);
    expect(body).toBe(`${`2000\r\n${"x".repeat(8192)}\r\n`.repeat(8)}0\r\n\r\n`);
  });

  test("the JSON is JSON, of exactly that length, and says so itself", () => {
    for (const size of [512, 2_048, 65_536]) {
      const { bytes, head } = makeReply(`/${size}-json`)!;
      const body = bytes.subarray(head.length);
      expect(body.length).toBe(size);
      expect(JSON.parse(body.toString())).toMatchObject({ bytes: size });
    }
  });

  test("a body of a GiB is not held in memory", () => {
    const { bytes, head, streamedBytes } = makeReply(`/${GIB}`)!;
    expect(bytes).toEqual(head);
    expect(streamedBytes).toBe(GIB);
  });

  test("a redirect leads to the plain path; a path that means nothing has no reply", () => {
    expect(makeReply("/2048-redirect")!.head.toString()).toMatch(/^HTTP\/1\.1 302 .*\r\nLocation: \/2048\r\n/s);
    expect([makeReply("/"), makeReply("/x"), makeReply("/1-nothing")]).toEqual([null, null, null]);
  });
});

describe("checkCounters()", () => {
  const none: ResponderStats = {
    requests: 0,
    requestBodyBytes: 0,
    refused: 0,
    connections: 0,
    handshakes: 0,
    resumed: 0,
    held: 0,
    openConnections: 0,
    userUs: 0,
    sysUs: 0,
    wallMs: 0,
  };
  const upload = { requestBytes: 10, paths: ["/0"] };

  test("passes who sent what was counted, each hop of a redirect for itself", () => {
    checkCounters("c", none, { ...none, requests: 3, requestBodyBytes: 30 }, 3, upload);
    checkCounters("c", none, { ...none, requests: 6 }, 3, { requestBytes: 0, paths: ["/0-redirect", "/0"] });
  });

  test.each([
    ["fewer requests", { requests: 2, requestBodyBytes: 30 }, "says 3 requests, the responder served 2"],
    ["fewer bytes", { requests: 3, requestBodyBytes: 29 }, "30 body bytes, the responder read 29"],
    ["what cannot be read", { requests: 3, requestBodyBytes: 30, refused: 1 }, "could not read"],
  ])("refuses %s", (_, counted, message) => {
    expect(() => checkCounters("c", none, { ...none, ...counted }, 3, upload)).toThrow(message);
  });
});

describe("the scenarios", () => {
  test("each has its own name, and all that each asks of the responder exists", () => {
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
    for (const { responseBytes, ask } of SCENARIOS) {
      expect(makeReply(`/${responseBytes}${ask === "" ? "" : `-${ask}`}`)).not.toBeNull();
    }
  });

  test("quick ones differ in size alone", () => {
    for (const scenario of SCENARIOS) {
      const { requestBytes, responseBytes, workers, ...rest } = quickened(scenario);
      expect(scenario).toMatchObject(rest);
      expect(requestBytes + responseBytes).toBeLessThan(16 * 1024 * 1024);
      expect(workers).toBeLessThanOrEqual(2_000);
    }
  });

  test("--group must chooses what is judged, cold processes included", () => {
    const options = readOptions("/nowhere", ["--group", "must"])!;
    expect(options.scenarios.map(({ name }) => name)).toHaveLength(12);
    expect(options.coldRounds).toBe(25);
    expect(readOptions("/nowhere", ["--group", "tls"])!.coldRounds).toBe(0);
    expect(readOptions("/nowhere", ["--scenario", "cold"])!).toMatchObject({ scenarios: [], coldRounds: 25 });
  });

  test("by default there are five rounds or more, and everybody takes part", () => {
    const { settings, scenarios, contestants } = readOptions("/nowhere", [])!;
    expect(settings.rounds).toBeGreaterThanOrEqual(5);
    expect(scenarios).toEqual(SCENARIOS);
    expect(contestants).toEqual(CONTESTANTS);
  });

  test.each([
    [["--scenario", "get-1b"], "there is no get-1b"],
    [["--only", "curl"], "there is no curl"],
    [["--rounds", "0"], "0 is not a count"],
    [["--placement", "nowhere"], "there is no nowhere"],
  ])("%j is refused", (args, message) => expect(() => readOptions("/nowhere", args)).toThrow(message));
});

describe("the plots", () => {
  const round = {
    requests: 1,
    userUs: 1,
    sysUs: 1,
    perSecond: 1,
    responderShare: 0,
    p50Us: 1,
    p99Us: 1,
    handshakes: 0,
    resumed: 0,
  };
  const measured: Measured[] = SCENARIOS.map((scenario) => ({
    scenario,
    placement: null,
    rows: summarize([
      { name: "bare-socket", rounds: [{ ...round, cpuUs: 2 }] },
      { name: "persistconn", rounds: [{ ...round, cpuUs: 3 }] },
      { name: "axios", rounds: [], failure: "axios: exited early" },
    ]),
  }));

  test("the ratios have a point for each contestant but the bare socket and who failed", () => {
    const { data } = ratioSpec(measured) as unknown as { data: { values: { contestant: string; y: number }[] } };
    expect(data.values).toHaveLength(SCENARIOS.length);
    expect(new Set(data.values.map(({ contestant, y }) => `${contestant} ${y}`))).toEqual(new Set(["persistconn 1.5"]));
  });

  test("concurrency and size are drawn over what their scenarios vary, and nothing else", () => {
    const places = (points: readonly { x: number }[]) => [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
    expect(places(concurrencyPoints(measured))).toEqual([1, 10, 64, 500, 10_000]);
    expect(places(sizePoints(measured))).toEqual([0, 2_048, 65_536, 1_048_576, GIB]);
  });

  test("ours has the first colour, whoever stands first in the table", () => {
    const spec = costSpec("t", "x", concurrencyPoints(measured));
    expect(spec).toMatchObject({ encoding: { color: { scale: { domain: ["persistconn", "bare-socket"] } } } });
  });
});

describe("replaceTables()", () => {
  test("puts a table between its marks, again and again", () => {
    const table = markdown([
      ["a", "b"],
      ["1", "2"],
    ]);
    const once = replaceTables("x\n<!-- t -->\n<!-- end t -->\ny\n", { t: table });
    expect(once).toBe("x\n<!-- t -->\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n\n<!-- end t -->\ny\n");
    expect(replaceTables(once, { t: table })).toBe(once);
  });

  test("refuses a table that the file has no place for", () => {
    expect(() => replaceTables("nothing", { t: "" })).toThrow("Cannot write t: the file has no place for it");
  });

  test("TUNING.md has a place for each table that is measured", () => {
    const file = readFileSync(join(import.meta.dirname, "../../bench/TUNING.md"), "utf8");
    expect(replaceTables(file, { machine: "m", connections: "c", limits: "l", idle: "i" })).toContain("\n\nc\n\n");
  });
});
