/**
 * The packages openai and @anthropic-ai/sdk with our `fetch`, against a server that speaks as much of both services as it
 * takes: answers, and streams of server-sent events that are left or aborted in the middle.
 */

import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { toFile } from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client, Transport } from "../../lib/index.ts";
import { bodyOf, type CountingServer, countingServer } from "../support/counting-server.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";

const leaks = checkLeaks();
const WORDS = ["Grüße", ", ", "world", "!"];

let server: CountingServer;
let transport: Transport;
let client: Client;
/** How the next requests are answered, before the service answers the rest. */
let script: ((req: IncomingMessage, res: ServerResponse) => void)[];
/** Streams stop after so many words, and go on when this is called. */
let pauseAfter: number;
let goOn: () => void;

beforeEach(async () => {
  transport = new Transport();
  client = new Client({ transport });
  script = [];
  pauseAfter = Number.POSITIVE_INFINITY;
  server = await countingServer(async (req, res) => {
    const scripted = script.shift();
    if (scripted !== undefined) return scripted(req, res);
    const body = (await bodyOf(req).catch(() => null))?.toString("utf8");
    if (body === undefined) return; // aborted
    if (req.url === "/v1/files") {
      const bytes = /filename="(.+)"[\s\S]*?\r\n\r\n([\s\S]*?)\r\n/.exec(body);
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ id: "file-1", object: "file", filename: bytes?.[1], bytes: bytes?.[2]?.length }));
      return;
    }
    const { stream, model } = JSON.parse(body) as { stream?: boolean; model: string };
    const service = req.url === "/v1/messages" ? anthropicService : openaiService;
    if (!stream) {
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify(service.whole(model)));
      return;
    }
    res.writeHead(200, { "content-type": "text/event-stream" });
    const { before, word, after } = service.events(model);
    res.write(before);
    for (const [index, text] of WORDS.entries()) {
      if (index === pauseAfter) {
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
      }
      // In two pieces, and through the middle of a character.
      const bytes = Buffer.from(word(text));
      const cut = bytes.indexOf(0xc3) + 1;
      res.write(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      res.write(bytes.subarray(cut));
    }
    res.end(after);
  });
});
afterEach(async () => {
  await transport.destroy();
  await server[Symbol.asyncDispose]();
});

interface Service {
  whole(model: string): unknown;
  events(model: string): { before: string; word: (text: string) => string; after: string };
}

const openaiService: Service = {
  whole: (model) => ({
    id: "c1",
    object: "chat.completion",
    model,
    choices: [{ index: 0, message: { role: "assistant", content: WORDS.join("") }, finish_reason: "stop" }],
  }),
  events: (model) => {
    const data = (delta: object, finish_reason: string | null = null) =>
      `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", model, choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    return {
      before: ": hello\n\n",
      word: (content) => data({ content }),
      after: `${data({}, "stop")}data: [DONE]\n\n`,
    };
  },
};

const anthropicService: Service = {
  whole: (model) => ({
    id: "m1",
    type: "message",
    role: "assistant",
    model,
    content: [{ type: "text", text: WORDS.join("") }],
    stop_reason: "end_turn",
    usage: { input_tokens: 1, output_tokens: 4 },
  }),
  events: (model) => {
    const event = (data: { type: string }) => `event: ${data.type}\r\ndata: ${JSON.stringify(data)}\r\n\r\n`;
    const message = {
      id: "m1",
      type: "message",
      role: "assistant",
      model,
      content: [],
      usage: { input_tokens: 1, output_tokens: 0 },
    };
    const start = { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } };
    const delta = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 4 } };
    return {
      before: event({ type: "message_start", message } as { type: string }) + event(start),
      word: (text) =>
        event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } } as { type: string }),
      after: event({ type: "content_block_stop" }) + event(delta) + event({ type: "message_stop" }),
    };
  },
};

interface Options {
  signal?: AbortSignal;
  timeout?: number;
  maxRetries?: number;
}

/** What both packages can do, in the same words. */
interface Sdk {
  readonly errors: Readonly<Record<"aborted" | "lost" | "late" | "limited", abstract new (...args: never[]) => Error>>;
  ask(options?: Options): Promise<string>;
  /** Words as they come; `stop` is the stream's own way to end it. */
  stream(options?: Options): Promise<{ words: AsyncIterator<string>; stop: () => void }>;
}

async function* wordsOf<T>(
  events: AsyncIterable<T>,
  word: (event: T) => string | null | undefined,
): AsyncGenerator<string> {
  for await (const event of events) {
    const text = word(event);
    if (text) yield text;
  }
}

function openai(): Sdk {
  const sdk = new OpenAI({ apiKey: "key", baseURL: `${server.url}/v1`, fetch: client.fetch });
  const messages = [{ role: "user" as const, content: "hello" }];
  return {
    errors: {
      aborted: OpenAI.APIUserAbortError,
      lost: OpenAI.APIConnectionError,
      late: OpenAI.APIConnectionTimeoutError,
      limited: OpenAI.RateLimitError,
    },
    ask: async (options) => {
      const { choices } = await sdk.chat.completions.create({ model: "m", messages }, options);
      return choices[0]?.message.content ?? "";
    },
    stream: async (options) => {
      const stream = await sdk.chat.completions.create({ model: "m", messages, stream: true }, options);
      const words = wordsOf(stream, ({ choices }) => choices[0]?.delta.content);
      return { words, stop: () => stream.controller.abort() };
    },
  };
}

function anthropic(): Sdk {
  const sdk = new Anthropic({ apiKey: "key", baseURL: server.url, fetch: client.fetch });
  const ask = { model: "m", max_tokens: 10, messages: [{ role: "user" as const, content: "hello" }] };
  return {
    errors: {
      aborted: Anthropic.APIUserAbortError,
      lost: Anthropic.APIConnectionError,
      late: Anthropic.APIConnectionTimeoutError,
      limited: Anthropic.RateLimitError,
    },
    ask: async (options) => {
      const { content } = await sdk.messages.create(ask, options);
      return content.map((block) => (block.type === "text" ? block.text : "")).join("");
    },
    stream: async (options) => {
      const stream = await sdk.messages.create({ ...ask, stream: true }, options);
      const words = wordsOf(stream, (event) =>
        event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : null,
      );
      return { words, stop: () => stream.controller.abort() };
    },
  };
}

async function failure(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error; // as was just seen
}

async function rest(words: AsyncIterator<string>): Promise<string> {
  let text = "";
  for (let next = await words.next(); !next.done; next = await words.next()) text += next.value;
  return text;
}

describe.each([
  ["openai", openai],
  ["@anthropic-ai/sdk", anthropic],
])("%s with client.fetch", (_, make) => {
  test("asks, one connection for all", async () => {
    const sdk = make();
    for (let i = 0; i < 5; i++) expect(await sdk.ask()).toBe("Grüße, world!");
    expect(server.accepted).toBe(1);
  });

  test("streams events to their end, whatever pieces they come in; the connection serves on", async () => {
    const sdk = make();
    for (let i = 0; i < 3; i++) {
      const { words } = await sdk.stream();
      expect(await rest(words)).toBe("Grüße, world!");
    }
    await until(() => transport.stats().idle === 1, "the connection is idle");
    expect(await sdk.ask()).toBe("Grüße, world!");
    expect(server.accepted).toBe(1);
  });

  test("gets each event when it comes", async () => {
    pauseAfter = 1;
    const { words } = await make().stream();
    expect((await words.next()).value).toBe("Grüße"); // the second is not even written
    goOn();
    expect(await rest(words)).toBe(", world!");
  });

  test.each<
    [string, (stream: { words: AsyncIterator<string>; stop: () => void }, controller: AbortController) => void]
  >([
    ["left", ({ words }) => void words.return?.()],
    ["ended by its own controller", ({ stop }) => stop()],
    ["ended by the caller's signal", (_, controller) => controller.abort()],
  ])("%s in the middle of a stream closes that connection and no other", async (_, end) => {
    const sdk = make();
    const controller = new AbortController(); // both packages leave a listener of their own on it
    pauseAfter = 1;
    const leaving = await sdk.stream({ signal: controller.signal });
    const staying = await sdk.stream();
    for (const { words } of [leaving, staying]) expect((await words.next()).value).toBe("Grüße");
    expect([server.open, transport.stats().busy]).toEqual([2, 2]);
    const closed = server.openAtMost(1);
    end(leaving, controller);
    await closed;
    expect(transport.stats()).toMatchObject({ busy: 1, idle: 0, waiting: 0 });
    goOn();
    expect(await rest(staying.words)).toBe(", world!");
    pauseAfter = 99;
    await until(() => transport.stats().idle === 1, "the other connection is idle");
    expect(await sdk.ask()).toBe("Grüße, world!");
    expect(server.accepted).toBe(2);
  });

  test("is ended by a signal before the head", async () => {
    const sdk = make();
    const controller = new AbortController();
    leaks().watch(controller.signal);
    script.push(() => {});
    const failed = failure(sdk.ask({ signal: controller.signal }));
    await once(server.server, "request");
    controller.abort();
    expect(await failed).toBeInstanceOf(sdk.errors.aborted);
    await server.openAtMost(0);
    expect(transport.stats()).toMatchObject({ busy: 0, waiting: 0 });
  });

  test("is ended by its time limit", async () => {
    const sdk = make();
    script.push(() => {});
    expect(await failure(sdk.ask({ timeout: 50, maxRetries: 0 }))).toBeInstanceOf(sdk.errors.late);
    await server.openAtMost(0);
  });

  test("tries again after a 429 and a lost connection", async () => {
    const sdk = make();
    script.push(
      (_, res) => res.writeHead(429, { "retry-after-ms": "1", "content-type": "application/json" }).end("{}"),
      (req) => req.socket.destroy(),
    );
    expect(await sdk.ask({ maxRetries: 2 })).toBe("Grüße, world!");
    expect(server.requests).toHaveLength(3);
    script.push((_, res) =>
      res.writeHead(429, { "content-type": "application/json" }).end('{"error":{"message":"slow"}}'),
    );
    expect(await failure(sdk.ask({ maxRetries: 0 }))).toBeInstanceOf(sdk.errors.limited);
  });

  test("says that a connection was lost, and by which error of ours", async () => {
    const sdk = make();
    script.push((req) => req.socket.destroy());
    const error = await failure(sdk.ask({ maxRetries: 0 }));
    expect(error).toBeInstanceOf(sdk.errors.lost);
    const { cause } = error.cause as Error; // of the TypeError that a fetch throws
    expect(cause).toMatchObject({ code: "ERR_HTTP_CONNECTION_CLOSED" });
  });

  test("a stream that is cut fails, and is not taken for a short one", async () => {
    const sdk = make();
    pauseAfter = 1;
    const { words } = await sdk.stream();
    await words.next();
    const failed = failure(rest(words));
    server.cut();
    expect((await failed).message).toMatch(/closed|incomplete|Cannot|reset/i);
    goOn();
  });
});

test("openai uploads a file", async () => {
  const sdk = new OpenAI({ apiKey: "key", baseURL: `${server.url}/v1`, fetch: client.fetch });
  const file = await toFile(Buffer.from("content"), "f.txt");
  expect(await sdk.files.create({ file, purpose: "batch" })).toMatchObject({ filename: "f.txt", bytes: 7 });
});
