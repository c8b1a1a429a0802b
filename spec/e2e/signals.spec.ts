/**
 * One signal for many requests, as a program has it for its shutdown: one listener while any of them is under way, none
 * after the last, and no warning.
 */

import { getEventListeners } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, Transport } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";

const REQUESTS = 10_000;
const HEAD_END = "\r\n\r\n";
const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers each head as soon as it came. */
let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer((socket) => {
    let rest = "";
    socket.setNoDelay(true).on("error", () => {});
    socket.on("data", (data) => {
      const heads = (rest + data.toString("latin1")).split(HEAD_END);
      rest = heads.pop() ?? "";
      if (heads.length > 0) socket.write(ANSWER.repeat(heads.length));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  url = `http://127.0.0.1:${address.port}/`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

checkLeaks();

/** A signal that counts who comes and goes. */
class CountedSignal {
  readonly #controller = new AbortController();
  added = 0;
  removed = 0;

  constructor() {
    const { signal } = this;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      this.added++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      this.removed++;
      removeEventListener.apply(signal, args);
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get listeners(): number {
    return getEventListeners(this.signal, "abort").length;
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }
}

/** What the process was warned of while `work` ran. */
async function warningsDuring(work: () => Promise<void>): Promise<string[]> {
  const names: string[] = [];
  const heard = (warning: Error) => names.push(warning.name);
  process.on("warning", heard);
  try {
    await work();
    await new Promise((resolve) => setImmediate(resolve)); // a warning is told a tick after it was made
  } finally {
    process.off("warning", heard);
  }
  return names;
}

describe("10,000 requests that share a signal", () => {
  test("at once add one listener to it, and the last of them takes it off", async () => {
    const transport = new Transport({ maxConnsPerHost: 32 });
    const client = new Client({ transport });
    const shared = new CountedSignal();
    const warnings = await warningsDuring(async () => {
      const { signal } = shared;
      const calls = Array.from({ length: REQUESTS }, () => client.get(url, { signal }).then((res) => res.text()));
      expect(shared).toMatchObject({ added: 1, removed: 0, listeners: 1 });
      const texts = await Promise.all(calls);
      expect(new Set(texts)).toEqual(new Set(["ok"]));
    });
    expect(warnings).toEqual([]);
    expect(shared).toMatchObject({ added: 1, removed: 1, listeners: 0 });
    await transport.close();
  });

  test("at once are all ended by it", async () => {
    const transport = new Transport({ maxConnsPerHost: 32 });
    const client = new Client({ transport });
    const shared = new CountedSignal();
    const reason = new Error("shutdown");
    const calls = Array.from({ length: REQUESTS }, () => client.get(url, { signal: shared.signal }));
    const ends = Promise.allSettled(calls);
    shared.abort(reason);
    for (const end of await ends) if (end.status === "fulfilled" || end.reason !== reason) throw new Error("Not ended");
    expect(shared).toMatchObject({ added: 1, removed: 1, listeners: 0 });
    expect(transport.stats()).toMatchObject({ busy: 0, waiting: 0 });
    await transport.close();
  });

  test("one after the other leave none on it", async () => {
    const transport = new Transport();
    const client = new Client({ transport });
    const shared = new CountedSignal();
    const warnings = await warningsDuring(async () => {
      for (let i = 0; i < REQUESTS; i++) {
        const response = await client.get(url, { signal: shared.signal });
        if ((await response.text()) !== "ok") throw new Error("Not ok");
        if (shared.listeners !== 0) throw new Error(`${shared.listeners} listeners after request ${i}`);
      }
    });
    expect(warnings).toEqual([]);
    expect(shared).toMatchObject({ added: REQUESTS, removed: REQUESTS, listeners: 0 });
    expect(transport.stats().dialed).toBe(1);
    await transport.close();
  });

  test("each with one of its own joined to it by AbortSignal.any() leave none on it", async () => {
    const transport = new Transport();
    const client = new Client({ transport });
    const shared = new CountedSignal();
    for (let i = 0; i < 100; i++) {
      const own = new AbortController();
      const signal = AbortSignal.any([shared.signal, own.signal]);
      await (await client.get(url, { signal })).text();
      expect(getEventListeners(signal, "abort")).toHaveLength(0);
    }
    expect(shared.listeners).toBe(0);
    await transport.close();
  });
});
