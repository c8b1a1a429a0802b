/**
 * Content that grows beyond measure ends in a DecompressError, and neither that nor a large content whose reader allows it
 * piles up in memory. `BOMB_MIB=10240` makes it 10 GiB.
 */

import { createConnection } from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, DecompressError, Transport, type TransportOptions } from "../../lib/index.ts";
import type { BomberReady } from "../interop/servers/bomber.ts";
import { type Program, startProgram } from "../support/child.ts";

const MIB = 2 ** 20;
const BYTES = Number(process.env["BOMB_MIB"] ?? "256") * MIB;
/** Garbage of 64 KiB chunks until it is collected; the content would be a multiple. */
const GROWTH_MAX = 80 * MIB;
const LIMIT_MS = 20_000 + BYTES / 50_000;

let bomber: Program<BomberReady, null>;
beforeAll(async () => {
  bomber = await startProgram(new URL("../interop/servers/bomber.ts", import.meta.url), {});
});
afterAll(() => bomber[Symbol.asyncDispose]());

/** What the resident memory grows by while `run` is at work, at most. */
async function growthOf(run: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  let over = false;
  const sampling = (async () => {
    while (!over) {
      most = Math.max(most, process.memoryUsage.rss());
      await setTimeout(5);
    }
  })();
  await run().finally(() => {
    over = true;
  });
  await sampling;
  return most - before;
}

const client = (options: TransportOptions = {}) => {
  const transport = new Transport(options);
  return { client: new Client({ transport }), transport, [Symbol.asyncDispose]: () => transport.destroy() };
};

describe.each(["gzip", "deflate", "br", "gzip,gzip", "br,gzip,br"])("a bomb in %s", (codings) => {
  const url = () => `http://127.0.0.1:${bomber.ready.port}/${codings}/${BYTES}`;

  test("ends in a DecompressError that says how far it got, in bounded memory", { timeout: LIMIT_MS }, async () => {
    await using it = client();
    const growth = await growthOf(async () => {
      const response = await it.client.get(url());
      const error = await response.bytes().catch((reason) => reason);
      expect(error).toBeInstanceOf(DecompressError);
      expect(error).toMatchObject({ code: "ERR_HTTP_DECOMPRESS", reason: "ratio" });
      expect(error.bytesOut).toBeGreaterThan(16 * MIB);
      expect(error.bytesOut).toBeLessThan(Math.max(17 * MIB, 201 * error.bytesIn));
    });
    expect(growth).toBeLessThan(GROWTH_MAX);
  });

  test("close() in the middle ends it", { timeout: LIMIT_MS }, async () => {
    await using it = client({ maxDecompressRatio: 0 });
    const response = await it.client.get(url());
    let bytes = 0;
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes > 20 * MIB) break;
    }
    expect(bytes).toBeLessThan(40 * MIB);
  });
});

test("with maxDecompressRatio 0 all of it passes through, in bounded memory", { timeout: LIMIT_MS }, async () => {
  await using it = client({ maxDecompressRatio: 0 });
  let bytes = 0;
  const growth = await growthOf(async () => {
    for await (const chunk of await it.client.get(`http://127.0.0.1:${bomber.ready.port}/gzip/${BYTES}`)) {
      bytes += chunk.length;
    }
  });
  expect(bytes).toBe(BYTES);
  expect(growth).toBeLessThan(GROWTH_MAX);
  expect(it.transport.stats()).toMatchObject({ idle: 1 });
});

test("the server of the bombs is still there", async () => {
  const socket = createConnection(bomber.ready.port, "127.0.0.1");
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.destroy();
});
