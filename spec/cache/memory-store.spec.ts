/** The store in memory: what is kept, what goes first, and that its books are right after any moves. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryStore } from "../../lib/cache/memory-store.ts";
import type { StoredResponse } from "../../lib/cache/store.ts";

const OVERHEAD = 512 + 1; // and the key of one letter

function entry(id: string, bytes: number, variant = ""): StoredResponse {
  return {
    v: 1,
    id,
    vary: [],
    variant,
    status: 200,
    statusText: "OK",
    httpVersion: "1.1",
    fields: [],
    decompressed: false,
    authorized: false,
    requestTime: 0,
    responseTime: 0,
    freshUntil: 0,
    bytes,
  };
}

async function put(store: MemoryStore, key: string, id: string, bytes: number, variant = ""): Promise<boolean> {
  const made = entry(id, bytes, variant);
  const writer = store.begin(key, made);
  if (writer === null) return false;
  if ((await writer.write(new Uint8Array(bytes))) === false) {
    await writer.abort();
    return false;
  }
  await writer.commit(made);
  return true;
}

const ids = (store: MemoryStore, keys: string) => [...keys].flatMap((key) => store.find(key).map(({ id }) => id));

describe("MemoryStore", () => {
  test("forgets what was used longest ago, by entries", async () => {
    const store = new MemoryStore({ maxEntries: 2 });
    await put(store, "a", "1", 1);
    await put(store, "b", "2", 1);
    store.open("a", "1");
    await put(store, "c", "3", 1);
    expect(ids(store, "abc")).toEqual(["1", "3"]);
  });

  test("forgets what was used longest ago, by bytes", async () => {
    const store = new MemoryStore({ maxBytes: 3 * OVERHEAD + 30 });
    await put(store, "a", "1", 10);
    await put(store, "b", "2", 10);
    await put(store, "c", "3", 10);
    expect(store).toMatchObject({ entries: 3, bytes: 3 * OVERHEAD + 30 });
    await put(store, "d", "4", 11);
    expect(ids(store, "abcd")).toEqual(["3", "4"]);
  });

  test("refuses a body of more than half of it, and makes room while one is written", async () => {
    const store = new MemoryStore({ maxBytes: 4_000 });
    expect(await put(store, "a", "1", 2_001)).toBe(false);
    expect(store.bytes).toBe(0);
    await put(store, "b", "2", 1_900);
    const writer = store.begin("c", entry("3", 1_999));
    await writer?.write(new Uint8Array(1_999));
    expect(store).toMatchObject({ entries: 0, bytes: 1_999 });
    await writer?.abort();
    await writer?.abort();
    expect(store.bytes).toBe(0);
  });

  test("keeps one entry of a variant, the last, and so many variants of a key", async () => {
    const store = new MemoryStore({ maxVariants: 2 });
    await put(store, "a", "1", 1, "x");
    await put(store, "a", "2", 1, "x");
    await put(store, "a", "3", 1, "y");
    expect(ids(store, "a")).toEqual(["2", "3"]);
    await put(store, "a", "4", 1, "z");
    expect(ids(store, "a")).toEqual(["3", "4"]);
  });

  test("updates what is there, and nothing else", async () => {
    const store = new MemoryStore();
    await put(store, "a", "1", 1);
    store.update("a", { ...entry("1", 1), fields: [["ab", "cd"]] });
    expect(store.find("a")[0]?.fields).toEqual([["ab", "cd"]]);
    expect(store.bytes).toBe(OVERHEAD + 5);
    store.update("a", entry("2", 1));
    store.update("b", entry("1", 1));
    expect(store.entries).toBe(1);
  });

  test("deletes one, or all of a key", async () => {
    const store = new MemoryStore();
    for (const variant of ["x", "y", "z"]) await put(store, "a", variant, 1, variant);
    store.delete("a", "y");
    store.delete("b");
    expect(ids(store, "a")).toEqual(["x", "z"]);
    store.delete("a");
    expect(store).toMatchObject({ entries: 0, bytes: 0 });
  });

  test("keeps its books whatever happens", async () => {
    const key = fc.constantFrom("a", "b", "c");
    const variant = fc.constantFrom("", "x", "y");
    const move = fc.oneof(
      fc.record({ do: fc.constant("put" as const), key, variant, bytes: fc.nat(400) }),
      fc.record({ do: fc.constant("open" as const), key, variant, bytes: fc.constant(0) }),
      fc.record({ do: fc.constant("delete" as const), key, variant, bytes: fc.constant(0) }),
      fc.record({ do: fc.constant("update" as const), key, variant, bytes: fc.constant(0) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 60 }), async (moves) => {
        const store = new MemoryStore({ maxBytes: 3_000, maxEntries: 4, maxVariants: 2 });
        for (const [i, { do: action, key, variant, bytes }] of moves.entries()) {
          const known = store.find(key)[0];
          if (action === "put") await put(store, key, `${i}`, bytes, variant);
          else if (action === "delete") store.delete(key, known?.id);
          else if (known !== undefined && action === "open") expect(store.open(key, known.id)).not.toBeNull();
          else if (known !== undefined) store.update(key, { ...known, variant, fields: [["n", `${i}`]] });
          let entries = 0;
          let held = 0;
          for (const one of "abc") {
            const found = store.find(one);
            expect(new Set(found.map((each) => each.variant)).size).toBe(found.length);
            for (const each of found) {
              entries++;
              held += OVERHEAD + each.bytes + each.fields.flat().join("").length;
            }
          }
          expect(store).toMatchObject({ entries, bytes: held });
          expect(held).toBeLessThanOrEqual(3_000);
          expect(entries).toBeLessThanOrEqual(4);
        }
      }),
    );
  });
});
