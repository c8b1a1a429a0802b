/**
 * A long run of requests that are aborted, closed early, left unread or read, as a seed has it; then nothing may be
 * left, and the heap must not have grown between the middle and the end.
 *
 *     node --expose-gc --import tsx spec/e2e/leaks.ts [count] [seed]
 *
 * The server is a process of its own, of raw sockets, and answers by the path. An abort comes a number of loop turns
 * after the call, or at the head, at the first chunk, or at the end.
 *
 * Prints its figures; exits with 1 where something is left, the heap has grown, or a request ended as none should.
 */

import { createHook } from "node:async_hooks";
import { type ChildProcess, fork } from "node:child_process";
import { getEventListeners, once } from "node:events";
import { createServer } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { type CallInit, Client } from "../../lib/client.ts";
import { SystemClock } from "../../lib/clock.ts";
import type { Response } from "../../lib/message/response.ts";
import { Transport } from "../../lib/transport.ts";

const COUNT = 100_000;
const WARM_UP = 2_000;
const CONCURRENCY = 64;
/** How much more or less may be in use at the end than at half. */
const HEAP_SHARE_MAX = 0.03;
const HEAP_BYTES_MAX = 2 * 1024 * 1024;
/** Less than a page of the parsers' memory. */
const EXTERNAL_BYTES_MAX = 60 * 1024;
/** How long what was begun may take to come to its end: drains, limits on unread bodies, closes. */
const PATIENCE_MS = 10_000;
const COLLECTIONS = 4;
const COLLECTION_PAUSE_MS = 10;
/** For bodies that are left unread on purpose. */
const UNREAD_MS = 20;

const SMALL = "small ".repeat(10);
/** One flat string: one of parts would be made flat at some time in the run, and count as growth. */
const LARGE = Buffer.alloc(200 * 1024, "x").toString("latin1");

// ---- the server

/** Whole bodies by their path; the other paths are `/never`, `/half` and `/reset`. */
const BODIES: Readonly<Record<string, string>> = {
  "/small": SMALL,
  "/chunked": SMALL,
  "/large": LARGE,
  "/close": SMALL,
};

function serve(): void {
  const ok = "HTTP/1.1 200 OK\r\n";
  const answers: Readonly<Record<string, string>> = {
    "/small": `${ok}Content-Length: ${SMALL.length}\r\n\r\n${SMALL}`,
    "/chunked": `${ok}Transfer-Encoding: chunked\r\n\r\n${SMALL.length.toString(16)}\r\n${SMALL}\r\n0\r\n\r\n`,
    "/large": `${ok}Content-Length: ${LARGE.length}\r\n\r\n${LARGE}`,
    "/close": `${ok}Content-Length: ${SMALL.length}\r\nConnection: close\r\n\r\n${SMALL}`,
    "/half": `${ok}Content-Length: ${2 * SMALL.length}\r\n\r\n${SMALL}`,
    "/never": "",
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    let rest = "";
    // A reset where the client has closed, so that no port of a long run lingers in TIME_WAIT.
    socket.on("error", () => {}).on("end", () => socket.resetAndDestroy());
    socket.on("data", (data) => {
      rest += data.toString("latin1");
      for (;;) {
        const head = rest.indexOf("\r\n\r\n");
        if (head < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(rest.slice(0, head))?.[1] ?? 0);
        const end = /transfer-encoding/i.test(rest.slice(0, head))
          ? rest.indexOf("0\r\n\r\n", head + 4) + 5
          : head + 4 + length;
        if (end < head + 4 || rest.length < end) return;
        const path = rest.split(" ", 2)[1] ?? "";
        rest = rest.slice(end);
        if (path === "/reset") socket.resetAndDestroy();
        else socket.write(answers[path] ?? "");
      }
    });
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (typeof address === "object" && address !== null) process.send?.(address.port);
  });
  process.on("disconnect", () => process.exit());
}

// ---- what is counted

/** A clock that tells how many deadlines stand on it. */
class WatchedClock extends SystemClock {
  linked = 0;
  override link(deadline: Parameters<SystemClock["link"]>[0]): void {
    if (deadline.index < 0) this.linked++;
    super.link(deadline);
  }
  override unlink(deadline: Parameters<SystemClock["unlink"]>[0]): void {
    this.linked--;
    super.unlink(deadline);
  }
}

/** Sockets that are open, by async id. */
const sockets = new Set<number>();
createHook({
  init(id, type) {
    if (type === "TCPWRAP") sockets.add(id);
  },
  destroy(id) {
    sockets.delete(id);
  },
}).enable();

// ---- one request

/** Small, fast, and good enough to choose by (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Random = () => number;

function pick<T>(random: Random, ...choices: readonly (readonly [number, T])[]): T {
  let at = random() * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, choice] of choices) {
    at -= weight;
    if (at < 0) return choice;
  }
  return choices[0]![1]; // rounding may leave a rest; every call has a choice
}

type End =
  | "read"
  | "unread"
  | "close"
  | "break"
  | "abort-before"
  | "abort-turns"
  | "abort-head"
  | "abort-chunk"
  | "abort-after";
type Reading = "text" | "iterate" | "web" | "node";

class Run {
  readonly clock = new WatchedClock();
  readonly transport = new Transport({}, this.clock);
  readonly client = new Client({ transport: this.transport });
  /** Given to many requests; never aborted. */
  readonly signal = new AbortController().signal;
  /** Of requests that may still be under way when their caller has left. */
  readonly #unread: AbortSignal[] = [];
  /** How many ended how. */
  readonly ends = new Map<string, number>();
  readonly #origin: string;
  readonly #seed: number;

  constructor(origin: string, seed: number) {
    this.#origin = origin;
    this.#seed = seed;
  }

  /** Sends the requests from `first` up to `last`, some at a time. */
  async send(first: number, last: number): Promise<void> {
    let next = first;
    const worker = async () => {
      while (next < last) await this.#one(next++);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  async #one(index: number): Promise<void> {
    const random = randomOf(this.#seed * 1_000_003 + index);
    const path = pick(
      random,
      [40, "/small"],
      [10, "/chunked"],
      [12, "/large"],
      [8, "/close"],
      [10, "/half"],
      [10, "/never"],
      [4, "/reset"],
    );
    const end = endOf(path, random);
    const controller = new AbortController();
    const reason = new Error(`request ${index}`);
    const withOwn = end.startsWith("abort") || random() < 0.5;
    const { signal } = withOwn ? controller : this;
    const init: CallInit = { ...bodyOf(random), signal };
    if (random() < 0.2) init.timeout = 60_000;
    if (end === "unread") {
      init.unreadBodyTimeout = UNREAD_MS;
      this.#unread.push(signal);
    }
    let outcome: string;
    try {
      if (end === "abort-before") controller.abort(reason);
      const call = this.client.request(init.body === undefined ? "GET" : "POST", this.#origin + path, init);
      if (end === "abort-turns") {
        call.catch(() => {}); // it may fail before it is awaited
        await turns(Math.floor(random() * 8));
        controller.abort(reason);
      }
      const response = await call;
      if (end === "abort-head") controller.abort(reason);
      await this.#use(response, path, end, random, () => controller.abort(reason));
      if (end === "abort-after") controller.abort(reason);
      outcome = "done";
    } catch (error) {
      if (error === reason) outcome = "aborted";
      else if (path === "/reset" && (error as Error).name === "ConnectionClosedError") outcome = "connection lost";
      else throw new Error(`Request ${index} (${path}, ${end}) failed`, { cause: error });
    }
    if (outcome === "done" && (path === "/reset" || end === "abort-before"))
      throw new Error(`Request ${index} has succeeded`);
    if (withOwn && end !== "unread" && listeners(signal) > 0) throw new Error(`Request ${index} still listens`);
    this.ends.set(outcome, (this.ends.get(outcome) ?? 0) + 1);
  }

  /** Listeners left on signals, to be asked when nothing is under way. */
  listening(): number {
    return [this.signal, ...this.#unread.splice(0)].reduce((sum, signal) => sum + listeners(signal), 0);
  }

  async #use(response: Response, path: string, end: End, random: Random, abort: () => void): Promise<void> {
    if (end === "unread") return;
    if (end === "close") return response.close();
    if (end === "break" || end === "abort-chunk") {
      for await (const _ of response) {
        if (end === "break") break;
        abort();
      }
      return;
    }
    const reading = pick<Reading>(random, [6, "text"], [2, "iterate"], [1, "web"], [1, "node"]);
    const text = await readBy(response, reading);
    if (text !== BODIES[path]) throw new Error(`Body of ${path}, read as ${reading}, has ${text.length} characters`);
  }
}

/** What a path allows: a body that never comes cannot be read, and an answer that never comes must be aborted. */
function endOf(path: string, random: Random): End {
  if (path === "/never") return pick(random, [1, "abort-before"], [9, "abort-turns"]);
  if (path === "/half") {
    return pick(
      random,
      [3, "close"],
      [3, "break"],
      [2, "unread"],
      [2, "abort-head"],
      [3, "abort-chunk"],
      [2, "abort-turns"],
    );
  }
  return pick(
    random,
    [12, "read"],
    [2, "unread"],
    [2, "close"],
    [2, "break"],
    [1, "abort-before"],
    [4, "abort-turns"],
    [1, "abort-head"],
    [1, "abort-chunk"],
    [1, "abort-after"],
  );
}

function bodyOf(random: Random): Pick<CallInit, "body"> {
  const stream = () => Readable.from(["one", "two", "three"]);
  return pick<() => Pick<CallInit, "body">>(
    random,
    [14, () => ({})],
    [3, () => ({ body: "a body in memory" })],
    [1, () => ({ body: Buffer.alloc(100 * 1024, "b") })],
    [1, () => ({ body: stream() })],
    [1, () => ({ body: stream })],
  )();
}

async function readBy(response: Response, reading: Reading): Promise<string> {
  if (reading === "text") return response.text();
  const source = reading === "iterate" ? response : reading === "web" ? response.body : response.readable();
  const chunks: Uint8Array[] = [];
  for await (const chunk of source ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

// ---- the whole

/** Waits until it is so; the figures say what was left where it never is. */
async function until(so: () => boolean): Promise<void> {
  for (let waited = 0; !so() && waited < PATIENCE_MS; waited += 5) await sleep(5);
}

/** All that the run holds when nothing is under way. */
async function rest(run: Run): Promise<{ left: string[]; memory: Memory }> {
  const { transport, clock } = run;
  const stats = () => transport.stats();
  // Drains, unread bodies, and the one dial that may outlive its aborted request.
  await until(() => stats().busy === 0 && stats().dialing <= 1);
  transport.closeIdleConnections();
  await until(() => stats().idle === 0 && sockets.size === 0 && clock.linked === 0);
  const { busy, idle, dialing, waiting } = stats();
  const active = process
    .getActiveResourcesInfo()
    .filter((type) => /TCP|TLS|Timeout|Connect|Addr|Shutdown|Write/.test(type));
  const left = Object.entries({
    "connections busy": busy,
    "connections idle": idle,
    dials: dialing,
    "requests waiting": waiting,
    sockets: sockets.size,
    deadlines: clock.linked,
    "listeners on signals": run.listening(),
    [`active resources (${active})`]: active.length,
  }).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`]));
  return { left, memory: await memoryInUse() };
}

/**
 * Without optimised code, and without dropping code that was not run lately, what the runtime keeps for itself stays the
 * same; with them it goes up and down by some hundred KiB for a hundred thousand requests. What remains is the block in
 * which the heap allocates next, at most 256 KiB, which counts as used.
 */
setFlagsFromString("--no-opt");
setFlagsFromString("--no-flush-bytecode");

interface Memory {
  readonly heap: number;
  /** Buffers, and the memory of the parsers. */
  readonly external: number;
}

async function memoryInUse(): Promise<Memory> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("Cannot measure the heap: run it with --expose-gc");
  for (let i = 0; i < COLLECTIONS; i++) {
    gc();
    await sleep(COLLECTION_PAUSE_MS); // what was found dead may have callbacks that let go of more
  }
  const { heapUsed: heap, external } = process.memoryUsage();
  return { heap, external };
}

async function main(count: number, seed: number): Promise<boolean> {
  const server: ChildProcess = fork(fileURLToPath(import.meta.url), ["serve"]);
  const [port] = (await once(server, "message")) as [number]; // the server says it first
  process.removeAllListeners("warning"); // of bodies left unread, as is meant here
  try {
    const run = new Run(`http://127.0.0.1:${port}`, seed);
    const startedAt = performance.now();
    // The runtime itself has a start: what only loading needed goes, tables get their size.
    await run.send(-WARM_UP, 0);
    await rest(run);
    run.ends.clear();
    await run.send(0, count / 2);
    const half = await rest(run);
    await run.send(count / 2, count);
    const end = await rest(run);
    const seconds = (performance.now() - startedAt) / 1000;

    const { dialed, closed } = run.transport.stats();
    console.log(`requests     ${count} in ${seconds.toFixed(1)} s, seed ${seed}: ${words(run.ends)}`);
    console.log(`connections  ${dialed} dialed; closed: ${words(Object.entries(closed))}`);
    console.log(`left         ${[...half.left, ...end.left].join(", ") || "nothing"}`);
    console.log(`heap         ${growth(half.memory.heap, end.memory.heap)}`);
    console.log(`external     ${growth(half.memory.external, end.memory.external)}`);
    return steady(half.memory, end.memory) && half.left.length === 0 && end.left.length === 0;
  } finally {
    server.disconnect();
  }
}

function steady(half: Memory, end: Memory): boolean {
  const change = Math.abs(end.heap - half.heap);
  const outside = end.external - half.external;
  return change < HEAP_BYTES_MAX && change < HEAP_SHARE_MAX * half.heap && outside < EXTERNAL_BYTES_MAX;
}

function growth(half: number, end: number): string {
  const [before, after, change] = [half, end, end - half].map((bytes) => `${Math.round(bytes / 1024)} KiB`);
  return `${before} at half, ${after} at the end: ${change}, ${((100 * (end - half)) / half).toFixed(2)} %`;
}

function words(counts: Iterable<readonly [string, number]>): string {
  return [...counts].map(([what, count]) => `${count} ${what}`).join(", ");
}

const [count = `${COUNT}`, seed = "1"] = process.argv.slice(2);
if (count === "serve") serve();
else if (!(await main(Number(count), Number(seed)))) process.exitCode = 1;
