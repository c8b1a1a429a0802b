/** Progress: what is counted, how often it is told, that it ends once, and that bodies flow as they flow without. */

import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Client, Request, type RequestInit, Response } from "../../lib/index.ts";
import { type Progress, type ProgressOptions, withProgress, withRetry } from "../../lib/middleware.ts";
import { nextUncaught } from "../support/uncaught.ts";
import { errorOf, ORIGIN, settled, TimedSite, world } from "./harness.ts";

const KIB = 1024;

/** In a line each: `bytes/total state`. */
function listening(options: ProgressOptions = { everyMs: 0 }) {
  const up: string[] = [];
  const down: string[] = [];
  const line = ({ bytes, total, state }: Progress) => `${bytes}/${total} ${state}`;
  return {
    up,
    down,
    options: {
      onUpload: (progress: Progress) => void up.push(line(progress)),
      onDownload: (progress: Progress) => void down.push(line(progress)),
      ...options,
    },
  };
}

const ends = (lines: readonly string[]) => lines.filter((line) => !line.endsWith("going"));

describe("withProgress(): uploads", () => {
  test.each<[string, () => RequestInit["body"], string]>([
    ["a string", () => "x".repeat(150 * KIB), `${150 * KIB}`],
    ["bytes", () => new Uint8Array(150 * KIB).fill(120), `${150 * KIB}`],
    ["a Blob", () => new Blob(["x".repeat(150 * KIB)]), `${150 * KIB}`],
    ["a stream", () => Readable.from([Buffer.alloc(100 * KIB, "x"), Buffer.alloc(50 * KIB, "x")]), "null"],
    ["a factory", () => () => Readable.from([Buffer.alloc(150 * KIB, "x")]), "null"],
  ])("%s goes out whole and as it would without, told piece by piece", async (_, body, total) => {
    const told = listening();
    const { clock, transport, seen } = world(() => ({}));
    await settled(clock, transport.roundTrip(new Request(ORIGIN, { method: "PUT", body: body() })));
    const call = withProgress(transport, told.options).roundTrip(new Request(ORIGIN, { method: "PUT", body: body() }));
    expect((await settled(clock, call)).status).toBe(200);
    const [plain, counted] = seen;
    expect(counted?.request.head).toBe(plain?.request.head); // Content-Length or chunked, and Content-Type
    expect((await counted?.request.body())?.equals((await plain?.request.body()) as Buffer)).toBe(true);
    expect(told.up.length).toBeGreaterThanOrEqual(4);
    expect(told.up.map((line) => Number.parseInt(line, 10))).toEqual(
      [...told.up.map((line) => Number.parseInt(line, 10))].sort((a, b) => a - b),
    );
    expect(ends(told.up)).toEqual([`${150 * KIB}/${total} complete`]);
    await transport.close();
  });

  test("no more is counted than the connection asked to follow: backpressure holds", async () => {
    const told = listening();
    const { clock, transport } = world(() => (_request, conn) => conn.pause());
    const call = errorOf(
      withProgress(transport, told.options).roundTrip(
        new Request(ORIGIN, { method: "PUT", body: Buffer.alloc(5_000 * KIB) }),
      ),
    );
    await clock.settle();
    await clock.settle();
    expect(Number.parseInt(told.up.at(-1) ?? "0", 10)).toBeLessThan(300 * KIB);
    await transport.destroy();
    await call;
    expect(ends(told.up)).toHaveLength(1);
    expect(told.up.at(-1)).toMatch(/ stopped$/);
  });

  test("an early answer stops it, once", async () => {
    const told = listening();
    const { clock, transport } = world(() => (_request, conn) => {
      conn.reply("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    const body = new Request(ORIGIN, { method: "PUT", body: Buffer.alloc(5_000 * KIB) });
    const response = await settled(clock, withProgress(transport, told.options).roundTrip(body));
    expect(response.status).toBe(413);
    await clock.advance(100);
    expect(ends(told.up)).toEqual([told.up.at(-1)]);
    expect(told.up.at(-1)).toMatch(/ stopped$/);
    await transport.close();
  });

  test("a stream's own error fails the call as it is, and stops it", async () => {
    const told = listening();
    const { clock, transport } = world(() => ({}));
    const broken = new Error("disk");
    async function* body() {
      yield Buffer.alloc(10);
      throw broken;
    }
    const call = withProgress(transport, told.options).roundTrip(new Request(ORIGIN, { method: "PUT", body: body() }));
    expect(await errorOf(settled(clock, call))).toBe(broken);
    expect(told.up).toEqual(["10/null going", "10/null stopped"]);
    await transport.close();
  });

  test("each attempt of a retry policy is a transfer of its own, and so is each sending of one request", async () => {
    const told = listening();
    const { clock, transport } = world((_, count) => (count === 0 ? { status: 503 } : {}));
    const around = withProgress(withRetry(transport), told.options);
    const request = new Request(ORIGIN, { method: "PUT", body: "four" });
    await settled(clock, around.roundTrip(request));
    expect(told.up).toEqual(["4/4 going", "4/4 complete", "4/4 going", "4/4 complete"]);
    await settled(clock, around.roundTrip(request));
    expect(told.up).toHaveLength(6);
    await transport.close();
  });

  test("a stream is spent as it would be without: the second sending is refused", async () => {
    const told = listening();
    const { clock, transport } = world(() => ({}));
    const around = withProgress(transport, told.options);
    const request = new Request(ORIGIN, { method: "PUT", body: Readable.from(["x"]) });
    await settled(clock, around.roundTrip(request));
    expect(request.bodyUsed).toBe(true);
    expect(await errorOf(settled(clock, around.roundTrip(request)))).toMatchObject({ code: "ERR_HTTP_BODY_USED" });
    await transport.close();
  });

  test("a request without a body is no transfer, an empty body is one; a dial that fails stops it at 0", async () => {
    const told = listening();
    const { clock, transport } = world(() => ({}));
    const around = withProgress(transport, told.options);
    await settled(clock, around.roundTrip(new Request(ORIGIN, { method: "PUT" })));
    expect(told.up).toEqual([]);
    await settled(clock, around.roundTrip(new Request(ORIGIN, { method: "PUT", body: "" })));
    expect(told.up).toEqual(["0/0 complete"]);
    const body = Readable.from(["x"]);
    await errorOf(settled(clock, around.roundTrip(new Request("http://nobody.test/", { method: "PUT", body }))));
    expect(body.destroyed).toBe(true);
    expect(told.up.slice(1)).toEqual(["0/null stopped"]);
    await transport.close();
  });
});

describe("withProgress(): downloads", () => {
  const big = "x".repeat(300 * KIB);

  test.each<[string, (response: Response) => Promise<unknown>]>([
    ["text()", (response) => response.text()],
    ["bytes()", async (response) => Buffer.from(await response.bytes()).toString()],
    [
      "a loop",
      async (response) => {
        let text = "";
        for await (const chunk of response) text += Buffer.from(chunk).toString();
        return text;
      },
    ],
    ["a web stream", async (response) => new globalThis.Response(response.body).text()],
    [
      "a Node stream",
      async (response) => {
        let text = "";
        for await (const chunk of response.readable()) text += chunk;
        return text;
      },
    ],
    [
      "a clone",
      async (response) => {
        const copy = response.clone();
        const [text] = await Promise.all([response.text(), copy.text()]);
        return text;
      },
    ],
  ])("by %s: the same bytes, each counted once, one end", async (_, read) => {
    const told = listening();
    const { clock, transport } = world(() => ({ body: big }));
    const response = await settled(clock, withProgress(transport, told.options).roundTrip(new Request(ORIGIN)));
    expect(await settled(clock, read(response))).toBe(big);
    expect(told.down.length).toBeGreaterThan(1);
    expect(ends(told.down)).toEqual([`${big.length}/${big.length} complete`]);
    expect(told.down.at(-1)).toContain("complete");
    await transport.close();
  });

  test("keeps what the answer has besides: trailers, timings, connection; the connection is reused", async () => {
    const told = listening();
    const { clock, transport } = world(() => ({ body: "abc", framing: "chunked", trailers: [["X-Sum", "1"]] }));
    const around = withProgress(transport, told.options);
    const response = await settled(clock, around.roundTrip(new Request(ORIGIN)));
    expect(await response.text()).toBe("abc");
    expect(response.trailers?.get("x-sum")).toBe("1");
    expect(response.timings?.headers).not.toBeNull();
    expect(told.down).toEqual(["3/null going", "3/null complete"]);
    const second = await settled(clock, around.roundTrip(new Request(ORIGIN)));
    expect(second.connection).toMatchObject({ reused: true, served: 1 });
    await second.close();
    expect(told.down.at(-1)).toBe("0/null stopped");
    await transport.close();
  });

  test("decoded bytes count, of which nobody knows the total", async () => {
    const told = listening();
    const zipped = gzipSync("a".repeat(1_000));
    const { clock, transport } = world(() => ({ body: zipped, headers: [["Content-Encoding", "gzip"]] }));
    const response = await settled(clock, withProgress(transport, told.options).roundTrip(new Request(ORIGIN)));
    expect(await settled(clock, response.text())).toHaveLength(1_000);
    expect(ends(told.down)).toEqual(["1000/null complete"]);
    await transport.close();
  });

  test("leaving a loop, close(), a cut body and an abort stop it, once", async () => {
    const cut = world(() => (_request, conn) => {
      conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!");
      conn.end();
    });
    const told = listening();
    const response = await settled(cut.clock, withProgress(cut.transport, told.options).roundTrip(new Request(ORIGIN)));
    expect(await errorOf(settled(cut.clock, response.text()))).toMatchObject({ code: "ERR_HTTP_INCOMPLETE_BODY" });
    await response.close();
    expect(told.down).toEqual(["5/10 going", "5/10 stopped"]);

    const { clock, transport } = world(() => ({ body: big }));
    const left = listening();
    const other = await settled(clock, withProgress(transport, left.options).roundTrip(new Request(ORIGIN)));
    for await (const _ of other) break;
    await other.close();
    expect(ends(left.down)).toHaveLength(1);
    expect(left.down.at(-1)).toMatch(/stopped$/);

    const aborted = listening();
    const controller = new AbortController();
    const third = await settled(
      clock,
      withProgress(transport, aborted.options).roundTrip(new Request(ORIGIN), { signal: controller.signal }),
    );
    controller.abort("enough");
    await expect(third.text()).rejects.toBe("enough");
    expect(ends(aborted.down)).toHaveLength(1);
    await Promise.all([cut.transport.destroy(), transport.destroy()]);
  });

  test("HEAD and 204 have no body: no transfer", async () => {
    const told = listening();
    const { clock, transport } = world(({ method }) =>
      method === "HEAD" ? { headers: [["Content-Length", "5"]], framing: "none" } : { status: 204, framing: "none" },
    );
    const around = withProgress(transport, told.options);
    for (const method of ["HEAD", "GET"]) {
      await (await settled(clock, around.roundTrip(new Request(ORIGIN, { method })))).text();
    }
    expect(told.down).toEqual([]);
    await transport.close();
  });

  test("a Client's fetch gives the counted answer, of a redirect only the last one's body", async () => {
    const told = listening();
    const site = new TimedSite((_, count) =>
      count === 0 ? new Response(null, { status: 302, headers: { Location: "/b" } }) : new Response("there"),
    );
    const client = new Client({ transport: withProgress(site, told.options) });
    expect(await (await client.fetch(`${ORIGIN}/a`)).text()).toBe("there");
    expect(told.down).toEqual(["5/5 going", "5/5 complete"]);
  });
});

describe("withProgress(): how often", () => {
  /** An answer whose chunks come 10 ms apart, of 10 bytes each. */
  async function slowly(options: ProgressOptions): Promise<string[]> {
    const told = listening(options);
    const site = new TimedSite(() => {
      const { clock } = site;
      async function* body() {
        for (let i = 0; i < 20; i++) {
          yield "0123456789";
          clock.moveTo(clock.now() + 10);
        }
      }
      return new Response(body());
    });
    await (await withProgress(site, told.options).roundTrip(new Request(ORIGIN))).text();
    return told.down;
  }

  test("every 100 ms by default, on the transport's clock; the first bytes and the end at once", async () => {
    expect(await slowly({})).toEqual(["10/null going", "110/null going", "200/null complete"]);
  });

  test("everyMs and everyBytes both have to be reached", async () => {
    expect(await slowly({ everyMs: 0, everyBytes: 75 })).toEqual([
      "80/null going",
      "160/null going",
      "200/null complete",
    ]);
    expect(await slowly({ everyMs: 120, everyBytes: 50 })).toEqual([
      "50/null going",
      "170/null going",
      "200/null complete",
    ]);
  });

  test("a callback that throws has an exception of its own, and the transfer goes on untold", async () => {
    let calls = 0;
    const { clock, transport } = world(() => ({ body: "x".repeat(200 * KIB) }));
    const around = withProgress(transport, {
      everyMs: 0,
      onDownload() {
        calls++;
        throw new Error("bar");
      },
    });
    const response = await settled(clock, around.roundTrip(new Request(ORIGIN)));
    const thrown = nextUncaught();
    expect(await settled(clock, response.text())).toHaveLength(200 * KIB);
    expect(((await thrown) as Error).message).toBe("bar");
    expect(calls).toBe(1);
    await transport.close();
  });

  test("the request that came tells calls apart", async () => {
    const seen: Request[] = [];
    const site = new TimedSite(() => new Response("x"));
    const around = withProgress(site, {
      onUpload: ({ request }) => void seen.push(request),
      onDownload: ({ request }) => void seen.push(request),
    });
    const request = new Request(ORIGIN, { method: "PUT", body: "y" });
    await (await around.roundTrip(request)).text();
    expect(new Set(seen)).toEqual(new Set([request]));
    expect(seen).toHaveLength(4);
  });

  test("refuses wrong options", () => {
    const give = (options: object) => () => withProgress(new TimedSite(() => new Response()), options);
    expect(give({ onUpload: 1 })).toThrow("Option onUpload must be a function: it is number");
    expect(give({ everyMs: -1 })).toThrow("Option everyMs must be");
    expect(give({ everyBytes: 1.5 })).toThrow("Option everyBytes must be a whole number of bytes");
    expect(give({ onProgress() {} })).toThrow('Unknown option "onProgress"');
  });
});
