/**
 * What `make run` shows: real requests over one transport, each with its answer, its timeline and its connection.
 *
 *     npx tsx spec/demo/run.ts         against a small origin, started in a process of its own
 *     npx tsx spec/demo/run.ts URL     two requests to that URL, the second over the first one's connection
 *
 * Ends by itself: what is idle keeps no process alive.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { glyphsFor } from "../../lib/cli/format.ts";
import { redacted, targetOf } from "../../lib/cli/target.ts";
import { renderTimeline } from "../../lib/cli/timeline.ts";
import { type CallInit, Client, type Response, Transport } from "../../lib/index.ts";

const transport = new Transport();
const client = new Client({ transport, timeout: 30_000 });
const glyphs = glyphsFor(process.env);
const columns = Math.min(100, process.stdout.columns ?? 100);

function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** Sends one request, reads its answer, and draws what happened. */
async function show(title: string, method: string, url: string, init?: CallInit): Promise<void> {
  say(`── ${title}`);
  const response = await client.request(method, url, init);
  const text = await response.text();
  say(excerpt(text));
  if (response.trailers !== null && response.trailers.raw.length > 0) {
    say(`trailers: ${response.trailers.raw.map(([name, value]) => `${name}: ${value}`).join(", ")}`);
  }
  say(drawn(method, url, response, Buffer.byteLength(text)));
}

function drawn(method: string, url: string, response: Response, bytes: number): string {
  const { timings, connection, status, statusText } = response;
  if (timings === null) return "";
  return renderTimeline({ method, url, status, statusText, bytes, timings, connection }, columns, glyphs);
}

function excerpt(text: string): string {
  const most = 400;
  const shown = text.length > most ? `${text.slice(0, most)} … (${text.length} characters)` : text;
  return shown.trimEnd() === "" ? "(no body)" : shown.trimEnd();
}

async function tour(base: string): Promise<void> {
  await show("GET, on a connection dialed for it", "GET", `${base}/`);
  await show("GET again, on the same connection", "GET", `${base}/`);
  await show("POST of JSON", "POST", `${base}/echo`, { json: { reusable: true, times: 100 } });
  await show("chunked, with trailers", "GET", `${base}/chunked`);
  await show("HEAD", "HEAD", `${base}/bytes/1000`);
  await show("a 103 before the answer", "GET", `${base}/early-hints`, {
    onInformation: ({ status, headers }) => say(`${status} came first: link: ${headers.get("link")}`),
  });
  await show("an answer after 100 ms", "GET", `${base}/delay/100`);
  await show("an answer that closes its connection", "GET", `${base}/close`);

  say("── 8 requests at once, twice: the first dial, the second find their connections");
  for (const round of [1, 2]) {
    const asked = Array.from({ length: 8 }, async () => {
      const response = await client.get(`${base}/delay/20`);
      await response.text();
      const { id, reused } = response.connection ?? {};
      return `#${id} ${reused ? "reused" : "new"}`;
    });
    say(`round ${round}: ${(await Promise.all(asked)).join(", ")}`);
  }
}

async function withOrigin(use: (base: string) => Promise<void>): Promise<void> {
  // The loader that runs this file in TypeScript is inherited with execArgv.
  const child: ChildProcess = fork(new URL("./origin.ts", import.meta.url));
  const [message] = await once(child, "message");
  const { port } = message as { port: number }; // what origin.ts says first
  try {
    await use(`http://127.0.0.1:${port}`);
  } finally {
    const exited = once(child, "exit");
    child.disconnect();
    await exited;
  }
}

async function twice(text: string): Promise<void> {
  const target = targetOf(text);
  if (!target.ok) throw new Error(target.message);
  await show(`GET ${redacted(target.url)}`, "GET", target.url);
  await show("the same again", "GET", target.url);
}

const url = process.argv[2];
if (url === undefined) await withOrigin(tour);
else await twice(url);

const { calls, dialed, retries } = transport.stats();
say(`\n${calls} calls over ${dialed} connections, ${retries} retries`);
await transport.close();
