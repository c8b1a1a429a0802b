/** What an idle connection keeps alive: itself, and nothing of the requests that it carried. */

import { AsyncLocalStorage } from "node:async_hooks";
import { createServer } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Request, type RequestInit } from "../../lib/message/request.ts";
import { Transport } from "../../lib/transport.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

test.each<[string, RequestInit]>([
  ["a GET [TestTransportGCRequest/NoBody]", {}],
  ["a body in one write [TestTransportGCRequest/Body]", { method: "POST", body: "hello" }],
  ["a body in slices", { method: "POST", body: "x".repeat(200_000) }],
  ["a body from a factory", { method: "POST", body: () => ["a", "b"] }],
])("an idle connection keeps no request, signal, response or async context alive after %s", async (_, init) => {
  const server = createServer((socket) => {
    let received = 0;
    let expected = Number.POSITIVE_INFINITY;
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (received === 0) {
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        expected = /chunked/i.test(text) ? Number.POSITIVE_INFINITY : text.indexOf("\r\n\r\n") + 4 + length;
      }
      received += chunk.length;
      if (received < expected && !text.endsWith("0\r\n\r\n")) return;
      received = 0;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number }; // it listens on TCP
  const transport = new Transport();
  const storage = new AsyncLocalStorage<object>();

  const exchange = async (): Promise<Record<string, WeakRef<object>>> => {
    const request = new Request(`http://127.0.0.1:${port}/`, init);
    const { signal } = new AbortController();
    const context = {};
    const response = await storage.run(context, () => transport.roundTrip(request, { signal, onInformation() {} }));
    await response.bytes();
    const held = { request, signal, context, response };
    return Object.fromEntries(Object.entries(held).map(([name, value]) => [name, new WeakRef(value)]));
  };
  for (let i = 0; i < 2; i++) {
    const held = await exchange();
    let alive: string[] = [];
    for (let polls = 0; polls < 20; polls++) {
      await turn();
      collect();
      alive = Object.keys(held).filter((name) => held[name]?.deref() !== undefined);
      if (alive.length === 0) break;
    }
    expect(alive).toEqual([]);
    expect(transport.stats()).toMatchObject({ idle: 1, dialed: 1 });
  }
  await transport.close();
  server.close();
});
