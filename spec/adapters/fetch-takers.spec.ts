/** ky, ofetch and octokit with our `fetch`, against a server that counts its connections. */

import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { Octokit } from "@octokit/core";
import { RequestError } from "@octokit/request-error";
import ky, { HTTPError, type KyInstance, TimeoutError } from "ky";
import { type $Fetch, createFetch as createOfetch, FetchError } from "ofetch";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client, Transport } from "../../lib/index.ts";
import { bodyOf, type CountingServer, countingServer } from "../support/counting-server.ts";
import { checkLeaks } from "../support/leak-check.ts";

const leaks = checkLeaks();
let server: CountingServer;
let transport: Transport;
let client: Client;
/** Answers the next requests; the rest is echoed. */
let script: ((req: IncomingMessage, res: ServerResponse) => void)[];

beforeEach(async () => {
  transport = new Transport();
  client = new Client({ transport });
  script = [];
  server = await countingServer(async (req, res) => {
    const scripted = script.shift();
    if (scripted !== undefined) return scripted(req, res);
    const { pathname } = new URL(req.url as string, "http://server/");
    if (pathname === "/silence") return;
    if (pathname === "/part") {
      res.writeHead(200, { "content-type": "text/event-stream" }).write("part");
      return;
    }
    if (pathname === "/missing") {
      res.writeHead(404, { "content-type": "application/json" }).end('{"message":"Not Found"}');
      return;
    }
    const body = await bodyOf(req).catch(() => null);
    if (body === null) return; // aborted
    res.setHeader("content-type", "application/json; charset=utf-8");
    res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body: body.toString() }));
  });
});
afterEach(async () => {
  await transport.destroy();
  await server[Symbol.asyncDispose]();
});

async function failure<T extends Error>(call: PromiseLike<unknown>): Promise<T> {
  const error = await Promise.resolve(call).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as T; // as the test says
}

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

const busy = (_: unknown, res: ServerResponse) => void res.writeHead(503).end();

describe("ky with client.fetch", () => {
  let http: KyInstance;
  beforeEach(() => {
    http = ky.create({
      prefixUrl: server.url,
      fetch: client.fetch,
      retry: { limit: 2, delay: () => 0 },
    });
  });

  test("sends JSON, parameters and forms, one connection for all", async () => {
    const json = await http.post("a", { json: { x: 1 }, searchParams: { q: "1 2" } }).json<Echo>();
    expect(json).toMatchObject({ method: "POST", url: "/a?q=1+2", body: '{"x":1}' });
    expect(json.headers["content-type"]).toBe("application/json");
    const form = new FormData();
    form.append("f", new Blob(["content"]), "f.txt");
    expect((await http.put("a", { body: form }).json<Echo>()).body).toContain("content");
    expect((await http.put("a", { body: new URLSearchParams({ a: "b" }) }).json<Echo>()).body).toBe("a=b");
    const stream = Readable.toWeb(Readable.from([Buffer.from("str"), Buffer.from("eam")])) as ReadableStream;
    expect((await http.post("a", { body: stream }).json<Echo>()).body).toBe("stream");
    expect(server.accepted).toBe(1);
  });

  test("runs its hooks on copies, and tells of progress", async () => {
    const seen: string[] = [];
    const hooked = http.extend({
      hooks: {
        afterResponse: [async (_request, _options, response) => void seen.push((await response.json<Echo>()).url)],
      },
    });
    expect((await hooked.get("a").json<Echo>()).url).toBe("/a");
    expect(seen).toEqual(["/a"]);
    let loaded = 0;
    let sent = 0;
    const { body } = await http
      .post("a", {
        body: "x".repeat(1000),
        onDownloadProgress: ({ transferredBytes }) => {
          loaded = transferredBytes;
        },
        onUploadProgress: ({ transferredBytes }) => {
          sent = transferredBytes;
        },
      })
      .json<Echo>();
    expect([body.length, sent]).toEqual([1000, 1000]);
    expect(loaded).toBeGreaterThan(1000);
  });

  test("tries again, the body too, and says what failed in the end", async () => {
    script.push(busy, busy);
    expect((await http.put("a", { json: 1 }).json<Echo>()).body).toBe("1");
    expect(server.requests).toHaveLength(3);
    const error = await failure<HTTPError>(http.get("missing"));
    expect(error).toBeInstanceOf(HTTPError);
    expect(await error.response.json()).toEqual({ message: "Not Found" });
    script.push(...[1, 2, 3].map(() => (req: IncomingMessage) => void req.socket.destroy()));
    const lost = await failure(http.get("a"));
    expect([lost.message, (lost.cause as { code: string }).code]).toEqual([
      "fetch failed",
      "ERR_HTTP_CONNECTION_CLOSED",
    ]);
  });

  test("streams, and is ended by a signal and by its time limit", async () => {
    const controller = new AbortController();
    const response = await http.get("part", { signal: controller.signal });
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("part");
    controller.abort();
    await expect(reader?.read()).rejects.toMatchObject({ name: "AbortError" });
    await server.openAtMost(0);
    const slow = await failure(http.get("silence", { timeout: 50, retry: 0 }));
    expect(slow).toBeInstanceOf(TimeoutError);
    await server.openAtMost(0);
    expect(transport.stats()).toMatchObject({ busy: 0, waiting: 0 });
  });
});

describe("ofetch with client.fetch", () => {
  let ofetch: $Fetch;
  beforeEach(() => {
    ofetch = createOfetch({ fetch: client.fetch, Headers, defaults: { baseURL: server.url } });
  });

  test("sends objects, queries and streams, one connection for all", async () => {
    const echo = await ofetch<Echo>("/a", { method: "POST", body: { x: 1 }, query: { q: "1 2" } });
    expect(echo).toMatchObject({ method: "POST", url: "/a?q=1+2", body: '{"x":1}' });
    const sent = await ofetch<Echo>("/a", { method: "PUT", body: Readable.from(["str", "eam"]) as never });
    expect(sent.body).toBe("stream");
    const raw = await ofetch.raw<Echo>("/a");
    expect([raw.status, raw._data?.method]).toEqual([200, "GET"]);
    expect(server.accepted).toBe(1);
  });

  test("gives a stream of events, which can be left", async () => {
    const stream = (await ofetch("/part", { responseType: "stream" })) as ReadableStream<Uint8Array>;
    const reader = stream.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("part");
    await reader.cancel();
    await server.openAtMost(0);
  });

  test("tries again, and says what failed in the end", async () => {
    script.push(busy);
    expect((await ofetch<Echo>("/a")).method).toBe("GET");
    expect(server.requests).toHaveLength(2);
    const missing = await failure<FetchError>(ofetch("/missing"));
    expect(missing).toBeInstanceOf(FetchError);
    expect([missing.status, missing.data]).toEqual([404, { message: "Not Found" }]);
    const lost = (req: IncomingMessage) => void req.socket.destroy();
    script.push(lost, lost);
    const { cause } = await failure(ofetch("/a"));
    expect((cause as Error).cause).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
  });

  test("is ended by a signal and by its time limit", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const failed = failure(ofetch("/silence", { signal: controller.signal }));
    await once(server.server, "request");
    controller.abort();
    expect(((await failed).cause as Error).name).toBe("AbortError");
    const slow = await failure(ofetch("/silence", { timeout: 50, retry: 0 }));
    expect((slow.cause as Error).name).toBe("TimeoutError");
    await server.openAtMost(0);
    expect(transport.stats()).toMatchObject({ busy: 0, waiting: 0 });
  });
});

describe("octokit with client.fetch", () => {
  let octokit: Octokit;
  beforeEach(() => {
    octokit = new Octokit({ baseUrl: server.url, auth: "secret", request: { fetch: client.fetch } });
  });

  test("asks routes, one connection for all", async () => {
    const { data, status, url } = await octokit.request("POST /repos/{owner}/{repo}/issues", {
      owner: "o",
      repo: "r",
      title: "t",
    });
    expect([status, url]).toEqual([200, `${server.url}/repos/o/r/issues`]);
    const echo = data as unknown as Echo; // the server's, not GitHub's
    expect(echo).toMatchObject({ method: "POST", body: '{"title":"t"}' });
    expect(echo.headers.authorization).toBe("token secret");
    for (let i = 0; i < 5; i++) await octokit.request("GET /user");
    await Promise.all([1, 2, 3].map((n) => octokit.request("GET /n/{n}", { n })));
    expect(server.accepted).toBeLessThanOrEqual(4);
  });

  test("has answers without content, and of bytes", async () => {
    script.push((_, res) => res.writeHead(204).end());
    expect((await octokit.request("DELETE /x")).status).toBe(204);
    script.push((_, res) => res.setHeader("content-type", "application/octet-stream").end("bytes"));
    const { data } = await octokit.request("GET /x");
    expect(Buffer.from(data as ArrayBuffer).toString()).toBe("bytes");
  });

  test("fails as it does", async () => {
    const missing = await failure<RequestError>(octokit.request("GET /missing"));
    expect(missing).toBeInstanceOf(RequestError);
    expect([missing.status, missing.message]).toEqual([404, "Not Found"]);
    script.push((req) => void req.socket.destroy());
    const lost = await failure<RequestError>(octokit.request("GET /x"));
    expect([lost.status, (lost.cause as Error).cause]).toMatchObject([500, { code: "ERR_HTTP_CONNECTION_CLOSED" }]);
    expect(lost.message).toMatch(/the connection was closed|connection/);
  });

  test("is ended by a signal", async () => {
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const failed = failure(octokit.request("GET /silence", { request: { signal: controller.signal } }));
    await once(server.server, "request");
    controller.abort();
    expect((await failed).name).toBe("AbortError");
    await server.openAtMost(0);
  });
});
