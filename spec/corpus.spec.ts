/**
 * Every bug that a fuzzer found is in fuzz/corpus, a file each, and stays mended: its bytes are read whole, a byte at a
 * time and cut at every byte, and come to what the file says.
 */

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { type EventRecord, everyByte, record } from "./wire/record.ts";

interface CorpusFile {
  /** What went wrong, in plain words. */
  readonly broke: string;
  readonly rule: string;
  /** By which fuzz file. */
  readonly found: string;
  readonly kind: "response";
  /** Of the request that is answered. */
  readonly method: string;
  /** latin1 */
  readonly bytes: string;
  /** Part of the error that it must end in; or what it must come to. */
  readonly error?: string;
  readonly events?: readonly EventRecord[];
}

const folder = path.join(import.meta.dirname, "../fuzz/corpus");
const files = readdirSync(folder).filter((name) => name.endsWith(".json"));

describe("fuzz/corpus", () => {
  test.each(files)("%s", (name) => {
    // The files are the project's own; the checks below fail on one of another shape.
    const file = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as CorpusFile;
    expect(Object.keys(file)).toEqual(expect.arrayContaining(["broke", "rule", "found"]));
    expect(file.kind).toBe("response");
    expect(file.error ?? file.events).toBeDefined();
    const options = { method: file.method };
    const cuts = [[], everyByte(file.bytes), ...everyByte(file.bytes).map((at) => [at])];
    for (const each of cuts) {
      const { events, error } = record(file.bytes, each, options);
      if (file.error !== undefined) expect(error).toContain(file.error);
      else expect({ events, error }).toEqual({ events: file.events, error: null });
    }
  });
});
