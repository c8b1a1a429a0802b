/**
 * The shape: a caller hands its exchange to a write loop and to a read loop through queues, and gets the body back
 * through a third. Counted, and tried: where a queue swallows what is pushed, nothing comes out at its other end.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, Request, Transport } from "../../lib/index.ts";
import { turns } from "../support/loop.ts";
import { QueueTap } from "../support/queue-tap.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";

const REQUESTS = 1_000;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** `/framing/chunk/chunks`: a body of so many chunks of that size. */
const server = createServer((req: IncomingMessage, res: ServerResponse) => {
  const [, framing, size, count] = (req.url as string).split("/");
  const chunk = Buffer.alloc(Number(size), "x");
  if (framing === "length") res.setHeader("content-length", chunk.length * Number(count));
  let left = Number(count);
  const write = (): void => {
    while (left-- > 0) if (!res.write(chunk)) return void res.once("drain", write);
    res.end();
  };
  req.resume().on("end", write);
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe("the queues between callers and loops", () => {
  test.each([1, 50])("1,000 GETs by %i workers make 1,000 passes through each of them", async (workers) => {
    await using client = new Client();
    using tap = new QueueTap();
    let left = REQUESTS;
    await Promise.all(
      Array.from({ length: workers }, async () => {
        while (left-- > 0) expect(await (await client.get(`${url}/length/5/1`)).text()).toBe("xxxxx");
      }),
    );
    expect(tap.write).toMatchObject({ pushed: REQUESTS, passed: REQUESTS });
    expect(tap.exchange).toMatchObject({ pushed: REQUESTS, passed: REQUESTS });
    expect(tap.body).toMatchObject({ pushed: REQUESTS, passed: REQUESTS, bytes: 5 * REQUESTS });
  });

  test("POSTs with bodies of every way of writing pass as GETs do", async () => {
    await using client = new Client();
    using tap = new QueueTap();
    const bodies = ["x", "x".repeat(200_000), () => "x", async function* () {}, new Blob(["x"])];
    for (const body of bodies) await (await client.post(`${url}/length/5/1`, { body: body as string })).bytes();
    expect(tap.write).toMatchObject({ pushed: bodies.length, passed: bodies.length });
    expect(tap.exchange).toMatchObject({ pushed: bodies.length, passed: bodies.length });
  });

  describe.each(["length", "chunked"])("a body framed by %s", (framing) => {
    test.each([
      [1, 1],
      [10, 100],
      [1_000, 50],
      [16_384, 40],
      [65_536, 16],
      [300_000, 5],
    ])("of %i bytes, %i times: every chunk that the caller gets has passed its queue", async (size, count) => {
      await using client = new Client();
      using tap = new QueueTap();
      const res = await client.get(`${url}/${framing}/${size}/${count}`);
      let chunks = 0;
      let bytes = 0;
      for await (const chunk of res) {
        expect(tap.body.chunks.has(chunk)).toBe(true);
        chunks++;
        bytes += chunk.length;
      }
      expect(bytes).toBe(size * count);
      expect(tap.body).toMatchObject({ pushed: chunks, passed: chunks, bytes });
    });

    const ways = {
      "bytes()": async (path: string, client: Client) => (await (await client.get(path)).bytes()).length,
      "text()": async (path: string, client: Client) => (await (await client.get(path)).text()).length,
      "the web stream": async (path: string, client: Client) => {
        let bytes = 0;
        for await (const chunk of (await client.get(path)).body as AsyncIterable<Uint8Array>) bytes += chunk.length;
        return bytes;
      },
      "the Node stream": async (path: string, client: Client) => {
        let bytes = 0;
        for await (const chunk of (await client.get(path)).readable()) bytes += (chunk as Buffer).length;
        return bytes;
      },
    };
    test.each(Object.entries(ways))("read by %s: as many bytes as the caller gets", async (_, read) => {
      await using client = new Client();
      using tap = new QueueTap();
      expect(await read(`${url}/${framing}/16384/40`, client)).toBe(16_384 * 40);
      expect(tap.body.bytes).toBe(16_384 * 40);
      expect(tap.body.passed).toBe(tap.body.pushed);
    });
  });
});

describe("nothing goes round", () => {
  test("the write queue: where it swallows, no byte leaves", async () => {
    await using peer = await scriptedPeer();
    using tap = new QueueTap();
    tap.swallow = "write";
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toThrow();
    const conn = await peer.accept();
    await turns(50);
    expect(conn.pending).toBe("");
    expect(tap.exchange.pushed).toBe(1);
    await peer.transport.destroy();
    await failed;
  });

  test("the exchange queue: where it swallows, the answer is nobody's", async () => {
    await using peer = await scriptedPeer();
    using tap = new QueueTap();
    tap.swallow = "exchange";
    const call = peer.client.get(peer.url());
    const failed = expect(call).rejects.toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED", bytesRead: 0 });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await failed;
    expect(peer.transport.stats().closed).toEqual({ "unsolicited-bytes": 1 });
  });

  test("the body queue: where it swallows, the caller gets no byte", async () => {
    await using peer = await scriptedPeer();
    using tap = new QueueTap();
    tap.swallow = "body";
    for (const parts of [[OK], ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "o", "k"]]) {
      const call = peer.transport.roundTrip(new Request(peer.url()));
      const conn = peer.accepted[0] ?? (await peer.accept());
      await conn.readHead();
      for (const part of parts) {
        conn.reply(part);
        await turns(5);
      }
      const res = await call;
      const chunks = [];
      for await (const chunk of res) chunks.push(chunk);
      expect(chunks).toEqual([]);
    }
  });

  test("the body queue, where the whole was promised a place: what did not pass is not given out", async () => {
    await using peer = await scriptedPeer();
    await using transport = new Transport();
    const call = new Client({ transport }).get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    const res = await call;
    using tap = new QueueTap();
    tap.swallow = "body";
    const text = res.text();
    conn.reply("ok");
    await expect(text).rejects.toMatchObject({ code: "ERR_HTTP_INVARIANT" });
  });
});
