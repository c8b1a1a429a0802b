/**
 * Every bug that a fuzzer found is in fuzz/corpus, a file each, and stays mended. The bytes of a response are read whole, a
 * byte at a time and cut at every byte, and come to what the file says. A world of the simulator is gone through again; it
 * is another one as soon as the simulator draws anew, so its file names the spec that holds the rule itself.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { reportOf } from "../fuzz/simulator/report.ts";
import { simulate } from "../fuzz/simulator/simulate.ts";
import { type EventRecord, everyByte, record } from "./wire/record.ts";

interface Found {
  /** What went wrong, in plain words. */
  readonly broke: string;
  readonly rule: string;
  /** By which fuzz file. */
  readonly found: string;
}

interface ResponseFile extends Found {
  readonly kind: "response";
  /** Of the request that is answered. */
  readonly method: string;
  /** latin1 */
  readonly bytes: string;
  /** Part of the error that it must end in; or what it must come to. */
  readonly error?: string;
  readonly events?: readonly EventRecord[];
}

interface WorldFile extends Found {
  readonly kind: "world";
  readonly seed: number;
  readonly requests: number;
  /** Where the rule is held by itself. */
  readonly spec: string;
}

const folder = path.join(import.meta.dirname, "../fuzz/corpus");
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

describe("fuzz/corpus", () => {
  test.each(files)("%s", async (name) => {
    // The files are the project's own; the checks below fail on one of another shape.
    const file = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as ResponseFile | WorldFile;
    expect(Object.keys(file)).toEqual(expect.arrayContaining(["broke", "rule", "found"]));
    if (file.kind === "world") await goThrough(file);
    else read(file);
  });
});

function read(file: ResponseFile): void {
  expect(file.kind).toBe("response");
  expect(file.error ?? file.events).toBeDefined();
  const options = { method: file.method };
  const cuts = [[], everyByte(file.bytes), ...everyByte(file.bytes).map((at) => [at])];
  for (const each of cuts) {
    const { events, error } = record(file.bytes, each, options);
    if (file.error !== undefined) expect(error).toContain(file.error);
    else expect({ events, error }).toEqual({ events: file.events, error: null });
  }
}

async function goThrough({ seed, requests, spec }: WorldFile): Promise<void> {
  expect(existsSync(path.join(import.meta.dirname, "..", spec)), spec).toBe(true);
  const result = await simulate(seed, { requests });
  if (result.error !== null) throw new Error(reportOf(result));
}
