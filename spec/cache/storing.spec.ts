/**
 * Bodies on their way into the store, and out of it: what does not come whole is not stored, the reader sets the pace,
 * and whatever the store does, requests go on.
 */

import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { MemoryStore } from "../../lib/cache/memory-store.ts";
import type { CacheStore, CacheWriter, StoredBody, StoredHead, StoredResponse } from "../../lib/cache/store.ts";
import { IncompleteBodyError, Response } from "../../lib/index.ts";
import { errorOf, gated, Harness, statusOf, URL_ } from "./harness.ts";

const KEY = `shared ${URL_}`;
const FIELDS = { "Cache-Control": "max-age=60" };

/** An answer whose body is pulled from `chunks`, which may end in an error. */
function flowing(chunks: (string | Error)[], pulled: string[] = [], fields: Record<string, string> = FIELDS): Response {
  async function* body(): AsyncGenerator<string> {
    for (const chunk of chunks) {
      if (chunk instanceof Error) throw chunk;
      pulled.push(chunk);
      yield chunk;
    }
  }
  return new Response(body(), { headers: fields });
}

/** A store that answers by promises, writes down what it is asked, and fails where it is told to. */
class SlowStore implements CacheStore {
  readonly inner = new MemoryStore();
  readonly log: string[] = [];
  /** What the named operation does in the place of its work. */
  instead: Partial<Record<string, () => unknown>> = {};

  find(key: string): Promise<readonly StoredResponse[]> {
    return this.#do("find", () => this.inner.find(key));
  }
  open(key: string, id: string): Promise<StoredBody | null> {
    return this.#do("open", () => {
      const chunks = this.inner.open(key, id);
      return chunks === null ? null : this.#stream(chunks);
    });
  }
  begin(key: string, head: StoredHead): Promise<CacheWriter | null> {
    return this.#do("begin", () => {
      const writer = this.inner.begin(key, head);
      if (writer === null) return null;
      return {
        write: (chunk) => this.#do("write", () => writer.write(chunk)),
        commit: (entry) => this.#do("commit", () => writer.commit(entry)),
        abort: () => this.#do("abort", () => writer.abort()),
      };
    });
  }
  update(key: string, entry: StoredResponse): Promise<void> {
    return this.#do("update", () => this.inner.update(key, entry));
  }
  delete(key: string, id?: string): Promise<void> {
    return this.#do("delete", () => this.inner.delete(key, id));
  }

  async *#stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of chunks) yield await this.#do("read", () => chunk);
    } finally {
      this.log.push("closed");
    }
  }

  async #do<T>(operation: string, work: () => T): Promise<Awaited<T>> {
    this.log.push(operation);
    const { [operation]: instead } = this.instead;
    if (instead !== undefined) return (await instead()) as Awaited<T>; // the spec's word for it
    return await work();
  }
}

describe("a body that is stored on its way", () => {
  test("flows at its reader's pace", async () => {
    const harness = new Harness();
    const pulled: string[] = [];
    harness.next = () => flowing(["a", "b", "c"], pulled);
    const response = await harness.send();
    await harness.clock.settle();
    expect(pulled).toEqual([]);
    const chunks = response[Symbol.asyncIterator]();
    await chunks.next();
    await harness.clock.settle();
    expect(pulled).toEqual(["a"]);
    await chunks.next();
    await chunks.next();
    expect(await chunks.next()).toEqual({ done: true, value: undefined });
    expect(await harness.get()).toBe("200 abc | hit");
  });

  test("is kept apart from the chunks that its reader gets", async () => {
    const harness = new Harness();
    harness.next = () => flowing(["a", "b"]);
    for await (const chunk of await harness.send()) chunk.fill(0);
    expect(await harness.get()).toBe("200 ab | hit");
  });

  test("is not stored where it breaks, and the reader gets the error itself (RFC 9111 §3.3)", async () => {
    const store = new MemoryStore();
    const harness = new Harness(FIELDS, { store });
    const cut = new IncompleteBodyError("cut", 9, 1);
    harness.next = () => flowing(["a", cut]);
    expect(await errorOf((await harness.send()).text())).toBe(cut);
    expect(store).toMatchObject({ entries: 0, bytes: 0 });
    expect(await harness.did()).toBe("fwd=uri-miss; stored");
  });

  test("is not stored where its reader leaves", async () => {
    const store = new MemoryStore();
    const harness = new Harness(FIELDS, { store });
    harness.next = () => flowing(["a", "b"]);
    for await (const _ of await harness.send()) break;
    harness.next = () => flowing(["a", "b"]);
    await (await harness.send()).close();
    harness.next = () => flowing(["a", "b"]);
    await (await harness.send()).body?.cancel();
    expect(store).toMatchObject({ entries: 0, bytes: 0 });
    expect(await harness.did()).toBe("fwd=uri-miss; stored");
  });

  test.each(["in memory", "by promises"])(
    "is stored where its reader leaves what is all here already (%s)",
    async (kind) => {
      const store = kind === "in memory" ? new MemoryStore() : new SlowStore();
      const harness = new Harness(FIELDS, { store });
      await (await harness.send()).close();
      await harness.clock.settle();
      expect(await harness.get()).toBe("200 version 1 | hit");
    },
  );

  test("costs the store nothing where nobody reads it", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    harness.next = () => flowing(["a"]);
    await harness.send();
    await harness.clock.settle();
    expect(store.log).toEqual(["find"]);
  });

  test("is passed on and not stored beyond maxBodyBytes, whether its length is told or not", async () => {
    const store = new MemoryStore();
    const harness = new Harness(FIELDS, { store, maxBodyBytes: 4 });
    harness.next = () => flowing(["abc", "de"]);
    expect(await harness.get()).toBe("200 abcde | fwd=uri-miss; stored");
    harness.next = () => new Response("abcde", { headers: { ...FIELDS, "Content-Length": "5" } });
    expect(await harness.get()).toBe("200 abcde | fwd=uri-miss");
    expect(store).toMatchObject({ entries: 0, bytes: 0 });
    harness.next = () => flowing(["ab", "cd"]);
    await harness.get();
    expect(await harness.get()).toBe("200 abcd | hit");
  });

  test("is stored where it is empty, and where there is none", async () => {
    const harness = new Harness();
    harness.next = () => new Response("", { headers: FIELDS });
    await harness.get();
    expect(await harness.get()).toBe("200  | hit");
    harness.next = () => new Response(null, { headers: FIELDS });
    await harness.send({ url: `${URL_}?none` });
    expect(await harness.get({}, `${URL_}?none`)).toBe("200  | hit");
  });

  test("stays readable though its entry goes meanwhile", async () => {
    const store = new MemoryStore();
    const harness = new Harness(FIELDS, { store });
    await harness.get();
    const response = await harness.send();
    store.clear();
    expect(await response.text()).toBe("version 1");
  });
});

describe("a store that answers by promises", () => {
  test("serves as one in memory does", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    harness.next = () => flowing(["a", "b"]);
    expect(await harness.get()).toBe("200 ab | fwd=uri-miss; stored");
    expect(await harness.get()).toBe("200 ab | hit");
    const steps = "find begin write write commit find open read read closed";
    expect(store.log).toEqual(steps.split(" "));
    expect(harness.clock.armed).toBe(0);
  });

  test("holds its reader back: one chunk waits for it, and no more are pulled", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    const gate = gated<undefined>();
    store.instead = { write: () => gate.promise };
    const pulled: string[] = [];
    harness.next = () => flowing(["a", "b", "c"], pulled);
    const text = (await harness.send()).text();
    await harness.clock.settle();
    expect(pulled).toEqual(["a"]);
    store.instead = {};
    gate.resolve(undefined);
    expect(await text).toBe("abc");
  });

  test("has the body before its reader learns of the end", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    const gate = gated<undefined>();
    store.instead = { commit: () => gate.promise };
    let over = false;
    const reading = harness.get().then(() => {
      over = true;
    });
    await harness.clock.settle();
    expect(over).toBe(false);
    gate.resolve(undefined);
    await reading;
  });

  test("lets a stored body go that its reader leaves", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    harness.next = () => flowing(["a", "b"]);
    await harness.get();
    await (await harness.send()).close();
    await harness.clock.settle();
    expect(store.log.at(-1)).toBe("closed");
  });
});

describe("an abort", () => {
  test.each(["find", "open", "read", "begin", "write", "commit", "delete", "update"])(
    "while the store is at %s ends the call with its reason and leaves nothing",
    async (operation) => {
      const store = new SlowStore();
      const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' }, { store });
      const method = operation === "delete" ? "POST" : "GET";
      if (["open", "read", "update"].includes(operation)) await harness.get();
      if (operation === "update") await harness.seconds(61);
      store.log.length = 0;
      const gate = gated<never>();
      store.instead = { [operation]: () => gate.promise };
      const abort = new AbortController();
      const reason = new Error("enough");
      const call = errorOf(harness.send({ method }, { signal: abort.signal }).then((response) => response.text()));
      await harness.clock.settle();
      expect(store.log.at(-1)).toBe(operation);
      abort.abort(reason);
      expect(await call).toBe(reason);
      expect(getEventListeners(abort.signal, "abort")).toEqual([]);
      store.instead = {};
      gate.reject(new Error("too late"));
      await harness.clock.settle();
      // Nothing half is there: the next call works.
      expect(await harness.get()).toContain("200 version 1");
      expect(harness.clock.armed).toBe(0);
    },
  );

  test("lets what comes afterwards go: a body that is opened, a writer that is begun", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    await harness.get();
    let returned = 0;
    let aborted = 0;
    const gate = gated<undefined>();
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: (): Promise<never> => new Promise(() => {}),
        return: async (): Promise<IteratorResult<never>> => ({ done: true, value: returned++ }),
      }),
    };
    store.instead = { open: () => gate.promise.then(() => body) };
    const abort = new AbortController();
    const call = errorOf(harness.send({}, { signal: abort.signal }));
    await harness.clock.settle();
    abort.abort();
    await call;
    gate.resolve(undefined);
    await harness.clock.settle();
    expect(returned).toBe(1);

    const later = gated<undefined>();
    store.instead = {
      begin: () => later.promise.then(() => ({ write: () => {}, commit: () => {}, abort: () => void aborted++ })),
    };
    const second = new AbortController();
    const reading = errorOf(
      harness.send({ url: `${URL_}?2` }, { signal: second.signal }).then((response) => response.text()),
    );
    await harness.clock.settle();
    second.abort();
    await reading;
    later.resolve(undefined);
    await harness.clock.settle();
    expect(aborted).toBe(1);
  });

  test("by the deadline ends a wait for the store", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store, storeTimeout: 0 });
    store.instead = { find: () => new Promise(() => {}) };
    const call = errorOf(harness.send({}, { deadline: { at: 500, limit: 500 } }));
    await harness.clock.advance(500);
    expect(await call).toMatchObject({ phase: "total", option: "timeout", limit: 500 });
    expect(harness.clock.armed).toBe(0);
  });
});

describe("a store that fails", () => {
  const ways: [way: string, fail: () => unknown, message: string][] = [
    [
      "throws",
      () => {
        throw new Error("broken");
      },
      "broken",
    ],
    ["rejects", () => Promise.reject(new Error("broken")), "broken"],
    ["does not answer", () => new Promise(() => {}), "no answer within 5000 ms (option storeTimeout)"],
  ];
  const operations = ["find", "open", "read", "begin", "write", "commit", "update", "delete"];
  const rows = operations.flatMap((operation) => ways.map((way) => [operation, ...way] as const));

  test.each(rows)("at %s: it %s: the request does not", async (operation, _, fail, message) => {
    const store = new SlowStore();
    const harness = new Harness({ "Cache-Control": "max-age=60", ETag: '"a"' }, { store });
    await harness.get();
    if (operation === "update") await harness.seconds(61);
    if (["begin", "write", "commit"].includes(operation)) store.inner.clear();
    store.instead = { [operation]: fail };
    const call = harness.get({}, URL_, operation === "delete" ? "POST" : "GET");
    await harness.seconds(5);
    expect(await call).toContain("200 version 1");
    expect(harness.errors).toContainEqual([operation, message]);
    expect(harness.clock.armed).toBe(0);
  });

  const gifts: [what: string, operation: string, give: () => unknown, message: string | RegExp][] = [
    ["no list", "find", () => null, "find() must give a list: it gave null"],
    ["no entries", "find", () => [{ v: 0 }, null, "x"], "find() gave what is no entry"],
    ["no body", "open", () => 7, /./],
    ["no bytes", "open", () => ["text"], /0 of 9 bytes/],
    ["too few bytes", "open", () => [], /0 of 9 bytes/],
  ];
  test.each(gifts)("by giving %s is passed over", async (_, operation, give, message) => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    await harness.get();
    store.instead = { [operation]: give };
    expect(await harness.get()).toContain("200 version 1 | fwd=");
    expect(harness.errors[0]?.[1]).toMatch(message);
  });

  test("in the middle of a body is an IncompleteBodyError, never a short body, and the entry goes", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    await harness.get();
    store.instead = { open: () => [Buffer.from("ver"), Buffer.from("si")] };
    const response = await harness.send();
    expect(statusOf(response)).toBe("hit");
    expect(await errorOf(response.text())).toMatchObject({ name: "IncompleteBodyError", expected: 9, received: 5 });
    store.instead = {};
    await harness.clock.settle();
    expect(await harness.did()).toBe("fwd=uri-miss; stored");
  });

  test("by giving too much is the same", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    await harness.get();
    store.instead = { open: () => [Buffer.from("version 1"), Buffer.from("2")] };
    expect(await errorOf((await harness.send()).text())).toBeInstanceOf(IncompleteBodyError);
  });

  test("that wants no more of a body is left alone, and reports nothing", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store });
    store.instead = { write: () => false };
    harness.next = () => flowing(["a", "b"]);
    expect(await harness.get()).toBe("200 ab | fwd=uri-miss; stored");
    store.instead = { begin: () => null };
    expect(await harness.get()).toBe("200 version 1 | fwd=uri-miss; stored");
    await harness.clock.settle();
    expect(store.log.filter((step) => step === "abort" || step === "commit")).toEqual(["abort"]);
    expect(harness.errors).toEqual([]);
    expect(store.inner.bytes).toBe(0);
  });

  test("warns once for each operation where no hook listens", async () => {
    const store = new SlowStore();
    const harness = new Harness(FIELDS, { store, onStoreError: null });
    store.instead = { find: () => Promise.reject(new Error("no disk")) };
    const warnings: Error[] = [];
    const listener = (warning: Error) => warnings.push(warning);
    process.on("warning", listener);
    await harness.get();
    await harness.get();
    await harness.clock.settle();
    process.removeListener("warning", listener);
    expect(warnings.map(({ message }) => message)).toEqual([
      "Cache store failed to find: no disk; requests go on without it (option onStoreError)",
    ]);
  });
});

describe("what else is in a store", () => {
  test("is found under keys that say how it was stored: shared and private caches do not mix", async () => {
    const store = new MemoryStore();
    const mine = new Harness({ "Cache-Control": "private, max-age=60" }, { store, shared: false });
    await mine.get();
    const all = new Harness({ "Cache-Control": "private, max-age=60" }, { store });
    expect(await all.get()).toBe("200 version 1 | fwd=uri-miss");
    expect(store.find(KEY)).toEqual([]);
  });

  test("may be JSON: an entry survives it", async () => {
    const store = new SlowStore();
    const harness = new Harness({ "Cache-Control": "max-age=60", Vary: "X-A" }, { store });
    await harness.get({ "X-A": "1" });
    const text = JSON.stringify(store.inner.find(KEY));
    store.instead = { find: () => JSON.parse(text) };
    expect(await harness.get({ "X-A": "1" })).toBe("200 version 1 | hit");
  });
});
