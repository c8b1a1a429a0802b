/**
 * The examples of lib/adapters/README.md, run as a stranger would: in a folder of their own, with the package as it is
 * published and the libraries themselves. Each must print what its comments say, and please the compiler.
 */

import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf, type CountingServer, countingServer } from "../support/counting-server.ts";
import { modules, published } from "../support/published.ts";

const ORIGIN = "http://127.0.0.1:8080";
const page = readFileSync(new URL("../../lib/adapters/README.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/^##+ (.+)\n(?:(?!^#)[\s\S])*?```ts\n([\s\S]*?)```/gm)].map(
  ([, heading = "", code = ""]) => ({
    heading,
    code,
    prints: [...code.matchAll(/\/\/ prints: (.+)$/gm)].map(([, text]) => text),
  }),
);
const libraries = ["axios", "@aws-sdk/client-s3", "ky", "ofetch", "@octokit/core", "openai", "@anthropic-ai/sdk"];
const stranger = published("adapters-readme", [...libraries, "@types/node"]);

let server: CountingServer;
const objects = new Map<string, Buffer>();

beforeAll(async () => {
  server = await countingServer((req, res) => void serve(req, res));
});
afterAll(() => server[Symbol.asyncDispose]());

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = await bodyOf(req);
  const [path = ""] = `${req.url}`.split("?");
  const json = (value: unknown) => res.setHeader("content-type", "application/json").end(JSON.stringify(value));
  const events = (...data: object[]) => {
    res.setHeader("content-type", "text/event-stream");
    res.end(data.map((one) => `event: ${(one as { type?: string }).type}\ndata: ${JSON.stringify(one)}\n\n`).join(""));
  };
  if (path === "/users") json({ name: "Ada" });
  else if (path === "/large") res.end(Buffer.alloc(100_000));
  else if (path === "/repos/o/r") json({ full_name: "o/r" });
  else if (path.startsWith("/bucket/") && req.method === "PUT") {
    objects.set(path, body);
    res.end();
  } else if (path.startsWith("/bucket/")) res.end(objects.get(path));
  else if (path === "/v1/chat/completions") {
    events(...["hello", ", ", "world"].map((content) => ({ choices: [{ index: 0, delta: { content } }] })));
  } else if (path === "/v1/messages") {
    const message = {
      id: "m",
      type: "message",
      role: "assistant",
      content: [],
      usage: { input_tokens: 1, output_tokens: 0 },
    };
    events(
      { type: "message_start", message },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "hello, world" } },
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3 } },
      { type: "message_stop" },
    );
  } else res.writeHead(404).end();
}

describe("lib/adapters/README.md", () => {
  test("has an example for each library, and each prints something", () => {
    for (const name of [...libraries, "node:http"]) {
      expect(examples.filter(({ code }) => code.includes(`from "${name}"`))).toHaveLength(1);
    }
    expect(examples.filter(({ prints }) => prints.length === 0)).toEqual([]);
  });

  test.each(examples)(
    "$heading: its example prints what it says",
    async ({ heading, code, prints }) => {
      const file = join(stranger.dir, `${heading.replace(/\W+/g, "-")}.ts`);
      writeFileSync(file, code.replaceAll(ORIGIN, server.url));
      const tsx = pathToFileURL(join(modules, "tsx/dist/loader.mjs")).href;
      const { code: status, text } = await stranger.run(["--import", tsx, file]);
      for (const printed of prints) expect(text).toContain(printed);
      expect(status).toBe(0);
    },
    300_000,
  );

  test("its examples please the compiler, with the types of the package and of each library", async () => {
    const files = examples.map(({ heading, code }) => {
      const file = `checked-${heading.replace(/\W+/g, "-")}.ts`;
      writeFileSync(join(stranger.dir, file), code);
      return file;
    });
    const compilerOptions = {
      target: "es2022",
      lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: ["node"],
    };
    writeFileSync(join(stranger.dir, "tsconfig.checked.json"), JSON.stringify({ compilerOptions, files }));
    const tsc = join(modules, "typescript/bin/tsc");
    expect(await stranger.run([tsc, "-p", "tsconfig.checked.json"])).toEqual({ code: 0, text: "" });
  }, 300_000);
});
