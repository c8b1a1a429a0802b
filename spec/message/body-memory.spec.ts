/** The one block from which glibc learns to keep what is freed: who asks for it, when, and what if there is none. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const LARGE = 16 * 1024;
const LEARNT = 32 * 1024 * 1024 - 8192;
const { platform } = process;

const asked: number[] = [];

/** The module as a process that has just begun sees it. */
async function fresh(): Promise<typeof import("../../lib/message/body-memory.ts")> {
  vi.resetModules();
  return import("../../lib/message/body-memory.ts");
}

beforeEach(() => {
  asked.length = 0;
  vi.spyOn(Buffer, "allocUnsafeSlow").mockImplementation((bytes) => {
    asked.push(bytes);
    return Buffer.alloc(0);
  });
  Object.defineProperty(process, "platform", { value: "linux" });
});

afterEach(() => {
  vi.restoreAllMocks();
  Object.defineProperty(process, "platform", { value: platform });
});

describe("expectMemory", () => {
  test("takes one block for the first large body, and no second one", async () => {
    const { expectMemory } = await fresh();
    expectMemory(LARGE - 1);
    expect(asked).toEqual([]);
    expectMemory(LARGE);
    expect(asked).toEqual([LEARNT]);
    expectMemory(64 * LARGE);
    expect(asked).toEqual([LEARNT]);
  });

  test("glibc learns from no block above 32 MiB, its own words of 16 bytes and whole pages counted", () => {
    expect(Math.ceil((LEARNT + 16) / 4096) * 4096).toBeLessThanOrEqual(32 * 1024 * 1024);
  });

  test("where there is not so much to be had, it does without, and does not ask again", async () => {
    const { expectMemory } = await fresh();
    vi.mocked(Buffer.allocUnsafeSlow).mockImplementation((bytes) => {
      asked.push(bytes);
      throw new RangeError("Array buffer allocation failed");
    });
    expectMemory(LARGE);
    expectMemory(LARGE);
    expect(asked).toEqual([LEARNT]);
  });

  test.each(["darwin", "win32"])("asks for nothing on %s, whose allocator does not learn so", async (name) => {
    Object.defineProperty(process, "platform", { value: name });
    const { expectMemory } = await fresh();
    expectMemory(LARGE);
    expect(asked).toEqual([]);
  });
});
