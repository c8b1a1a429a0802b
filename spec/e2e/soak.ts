/**
 * A soak: 64 workers against nginx for a time, with bodies of all sizes, and everything that callers and servers do to a
 * client; resident memory, heap and handles must be as flat at the end as in the middle.
 *
 *     node --expose-gc --import tsx spec/e2e/soak.ts [minutes] [seed]
 *
 * Callers read whole bodies (0 B to 1 MiB, with a length or chunked) and slowly, upload from memory and from a stream,
 * abort at any moment, close early, and leave bodies unread. nginx limits requests on a connection, and every ten
 * seconds it is told to reload or one of its workers is killed. Each body read to its end is compared with what was sent.
 *
 * Every few seconds all workers stand still until nothing is under way (idle connections stay), garbage is collected, and
 * the figures are taken: so a figure has no body in flight in it. Judged, over the second half of the samples: the rise of
 * a straight line through them (least squares), and their most; at the end, after close(): nothing is left.
 *
 * Prints its samples and the verdict; exits with 1 where a bound is broken, a body is wrong, or an error is not one of
 * ours. The pauses between requests leave half a core free: what shows here is what piles up, not what is slow.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, HttpError, type Response, Transport } from "../../lib/index.ts";
import { type Nginx, startNginx } from "../interop/servers/nginx.ts";
import type { Received } from "../interop/servers/origin.ts";
import { makeSite } from "../interop/site.ts";
import { keystream } from "../support/keystream.ts";
import { count, mebibytes, tally, textOf } from "../support/report.ts";
import { type Chance, seeded } from "../support/seeded.ts";

const WORKERS = 64;
const SIZES = [0, 100, 1_024, 16_384, 131_072, 1_048_576] as const;
/** Of the sizes above, out of their sum: most bodies are small, as in life. */
const SIZE_WEIGHTS = [4, 30, 30, 20, 12, 4];
/** A worker rests up to so long between two requests. */
const REST_MS = 100;
const SLOW_READ_MS = 4;
/** A body left unread costs its connection after this. */
const UNREAD_MS = 50;
/** An answer of nginx's to a request that crossed a reload may never come. */
const CALL_LIMIT_MS = 20_000;
const INCIDENT_EVERY_MS = 10_000;
const SAMPLES = 60;
const SAMPLE_MS_MIN = 2_000;
/** How long what was begun may take to end while the workers stand still, and after close(). */
const PATIENCE_MS = 30_000;

/** How much the fitted line may rise from the middle to the end, whatever the length of the run. */
const RISE_MAX = { heap: 1.5 * 2 ** 20, external: 1 * 2 ** 20, resident: 24 * 2 ** 20, sockets: 32 };
/** With nothing under way there are idle connections to two ports, some of them dialed for requests that needed them no more. */
const SOCKETS_MAX = 4 * WORKERS;

interface Sample {
  readonly second: number;
  readonly requests: number;
  readonly resident: number;
  readonly heap: number;
  readonly external: number;
  readonly sockets: number;
  /** What is open in Node and of the network, as it tells itself. */
  readonly handles: number;
}

const { gc } = globalThis;
if (gc === undefined) throw new Error("Cannot measure the heap: run it with --expose-gc");
const minutes = Number(process.argv[2] ?? 5);
const seed = Number(process.argv[3] ?? 1);
if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error("soak.ts takes minutes and a whole number as the seed");
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
process.removeAllListeners("warning"); // of bodies left unread, as is meant here

class Soak {
  readonly transport = new Transport({ unreadBodyTimeout: UNREAD_MS });
  readonly client = new Client({ transport: this.transport, timeout: CALL_LIMIT_MS });
  readonly #origins: readonly [string, ...string[]];
  readonly ends = new Map<string, number>();
  readonly wrong: string[] = [];
  requests = 0;
  #stopped = false;
  /** Resolves when the workers may go on; null while they do. */
  #pause: PromiseWithResolver | null = null;
  #resting = 0;

  constructor(nginx: Nginx) {
    this.#origins = [nginx.lifted, nginx.stock];
  }

  async work(index: number): Promise<void> {
    const chance = seeded(seed * 1_000_003 + index);
    while (!this.#stopped) {
      this.requests++;
      this.#count(await this.#one(chance));
      this.#resting++;
      await sleep(chance.below(REST_MS));
      await this.#pause?.promise;
      this.#resting--;
    }
  }

  /** Runs `look` while nothing is under way. */
  async still<T>(look: () => Promise<T>): Promise<T> {
    this.#pause = withResolver();
    await until(() => this.#resting === WORKERS && this.transport.stats().busy === 0, "the workers do not stand still");
    const seen = await look();
    this.#pause.resolve();
    this.#pause = null;
    return seen;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #one(chance: Chance): Promise<string> {
    const kind = pick(chance, KINDS);
    try {
      await this.#do(kind, chance);
      return kind;
    } catch (error) {
      if (error === ABORTED) return "aborted";
      if (error instanceof HttpError) return `${error.code}/${error.phase}`;
      if (this.wrong.length < 10) this.wrong.push(`${kind}: ${textOf(error)}`);
      return "wrong";
    }
  }

  async #do(kind: Kind, chance: Chance): Promise<void> {
    const origin = chance.pick(this.#origins);
    const bytes = sizeOf(chance);
    if (kind === "upload" || kind === "upload-stream") return this.#upload(origin, kind, bytes);
    const url = kind === "chunked" ? `${origin}/chunked?bytes=${bytes}` : `${origin}/${bytes}.bin`;
    if (kind === "head") return void (await (await this.client.head(url)).bytes());
    if (kind.startsWith("abort")) return this.#aborted(url, kind, chance);
    const answer = await this.client.get(url);
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    if (kind === "unread") return;
    if (kind === "close") return answer.close();
    const got = kind === "slow" ? await slowly(answer) : Buffer.from(await answer.bytes());
    if (kind === "chunked") check(got.length === bytes && got.every((byte) => byte === 0x63), got.length, bytes);
    else check(got.equals(contents.get(bytes) ?? Buffer.alloc(0)), got.length, bytes);
  }

  async #upload(origin: string, kind: Kind, bytes: number): Promise<void> {
    const content = contents.get(bytes) ?? Buffer.alloc(0);
    const body = kind === "upload" ? content : Readable.from(slices(content));
    const answer = await this.client.post(`${origin}/upload`, { body });
    if (answer.status === 502) return void (await answer.bytes()); // its origin is well; nginx was just killed or reloaded
    const received: Received = JSON.parse(await answer.text()); // the site's origin answers so
    check(received.bytes === bytes && received.sha256 === sums.get(bytes), received.bytes, bytes);
  }

  async #aborted(url: string, kind: Kind, chance: Chance): Promise<void> {
    const controller = new AbortController();
    const abort = () => controller.abort(ABORTED);
    const call = this.client.get(url, { signal: controller.signal });
    call.catch(() => {}); // it may fail before it is awaited
    if (kind === "abort-turns") {
      for (let turns = chance.below(8); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      abort();
    }
    if (kind === "abort-time") {
      await sleep(chance.below(5));
      abort();
    }
    const answer = await call;
    if (kind === "abort-head") abort();
    for await (const _ of answer) abort();
  }

  #count(end: string): void {
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
  }
}

const KINDS = {
  read: 40,
  chunked: 12,
  slow: 6,
  head: 3,
  upload: 8,
  "upload-stream": 5,
  unread: 3,
  close: 5,
  "abort-turns": 6,
  "abort-time": 6,
  "abort-head": 3,
  "abort-chunk": 3,
};
type Kind = keyof typeof KINDS;
const ABORTED = new Error("aborted by its caller");

/** Bodies by their length, and their SHA-256. */
const contents = new Map<number, Buffer>(SIZES.map((bytes) => [bytes, Buffer.concat([...keystream(seed, bytes)])]));
const sums = new Map([...contents].map(([bytes, body]) => [bytes, createHash("sha256").update(body).digest("hex")]));

function pick(chance: Chance, weights: Readonly<Record<Kind, number>>): Kind {
  const entries = Object.entries(weights) as [Kind, number][]; // its keys are Kind
  let at = chance.below(entries.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [kind, weight] of entries) {
    at -= weight;
    if (at < 0) return kind;
  }
  return "read";
}

function sizeOf(chance: Chance): number {
  let at = chance.below(SIZE_WEIGHTS.reduce((sum, weight) => sum + weight, 0));
  for (const [index, weight] of SIZE_WEIGHTS.entries()) {
    at -= weight;
    if (at < 0) return SIZES[index] ?? 0;
  }
  return 0;
}

function check(holds: boolean, got: number, wanted: number): void {
  if (!holds) throw new Error(`another body: ${got} bytes, where ${wanted} are right`);
}

function* slices(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += 20_000) yield content.subarray(at, at + 20_000);
}

async function slowly(answer: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer) {
    chunks.push(chunk);
    await sleep(SLOW_READ_MS);
  }
  return Buffer.concat(chunks);
}

interface PromiseWithResolver {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}
function withResolver(): PromiseWithResolver {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function until(so: () => boolean, otherwise: string): Promise<void> {
  for (const since = performance.now(); !so(); await sleep(5)) {
    if (performance.now() - since > PATIENCE_MS) throw new Error(`After ${PATIENCE_MS / 1000} s ${otherwise}`);
  }
}

// ---- what is measured

function socketCount(): number {
  let sockets = 0;
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:")) sockets++;
    } catch {
      // The descriptor by which the folder was read.
    }
  }
  return sockets;
}

const handleCount = () =>
  process.getActiveResourcesInfo().filter((type) => /TCP|TLS|Connect|Addr|Shutdown|Write/.test(type)).length;

/** Sockets that were there before the first request: the channels to the programs of the run, and their output. */
let socketsBefore = 0;

async function sample(soak: Soak, startedAt: number): Promise<Sample> {
  for (let i = 0; i < 3; i++) {
    gc?.();
    await sleep(5); // what was found dead may have callbacks that let go of more
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    second: Math.round((performance.now() - startedAt) / 1000),
    requests: soak.requests,
    resident: rss,
    heap: heapUsed,
    external,
    sockets: socketCount() - socketsBefore,
    handles: handleCount(),
  };
}

// ---- what is done to nginx

/** The ids of its workers, as the kernel has them. */
function workersOf(master: number): number[] {
  return readFileSync(`/proc/${master}/task/${master}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

/** A reload, or the end of a worker with all its connections, in turn. The master starts another worker. */
function incident(nginx: Nginx, index: number): string {
  const master = Number(readFileSync(nginx.pidFile, "utf8"));
  if (index % 2 === 0) {
    process.kill(master, "SIGHUP");
    return "reloads";
  }
  const [worker] = workersOf(master);
  if (worker !== undefined) process.kill(worker, "SIGKILL");
  return "workers killed";
}

// ---- the verdict

/** The rise of the straight line through the values, from the first to the last, by least squares. */
function fittedRise(values: readonly number[]): number {
  const n = values.length;
  const meanX = (n - 1) / 2;
  const meanY = values.reduce((sum, value) => sum + value, 0) / n;
  let covariance = 0;
  let variance = 0;
  for (const [x, y] of values.entries()) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  return (covariance / variance) * (n - 1);
}

function judge(samples: readonly Sample[]): string[] {
  const half = samples.slice(Math.floor(samples.length / 2));
  const broken: string[] = [];
  for (const what of ["resident", "heap", "external", "sockets"] as const) {
    const values = half.map((one) => one[what]);
    const rise = fittedRise(values);
    const told = (value: number) => (what === "sockets" ? value.toFixed(1) : mebibytes(value));
    const line = `${what.padEnd(9)} ${told(values[0] ?? 0)} to ${told(values.at(-1) ?? 0)}, most ${told(Math.max(...values))}; the fitted line rises by ${told(rise)}, bound ${told(RISE_MAX[what])}`;
    console.log(line);
    if (!(rise <= RISE_MAX[what])) broken.push(line);
  }
  const most = Math.max(...samples.flatMap(({ sockets, handles }) => [sockets, handles]));
  if (most > SOCKETS_MAX) broken.push(`${most} sockets or handles, where at most ${SOCKETS_MAX} are due`);
  return broken;
}

function print({ second, requests, resident, heap, external, sockets, handles }: Sample): void {
  const cells = [second, count(requests), mebibytes(resident), mebibytes(heap), mebibytes(external), sockets, handles];
  console.log(cells.map((cell) => String(cell).padStart(12)).join(""));
}

/** Has nginx reload or lose a worker every so often, until told to stop. Returns what it did. */
function trouble(nginx: Nginx): { readonly done: string[]; stop(): void } {
  const done: string[] = [];
  const timer = setInterval(() => done.push(incident(nginx, done.length)), INCIDENT_EVERY_MS);
  return { done, stop: () => clearInterval(timer) };
}

async function main(): Promise<boolean> {
  const site = await makeSite(seed, 0);
  for (const [bytes, content] of contents) writeFileSync(path.join(site.root, `${bytes}.bin`), content);
  await using nginx = await startNginx(site);
  socketsBefore = socketCount();
  const soak = new Soak(nginx);
  console.log(`nginx ${nginx.version}, ${WORKERS} workers, ${minutes} min, seed ${seed}`);
  const names = ["second", "requests", "resident", "heap", "external", "sockets", "handles"];
  console.log(names.map((name) => name.padStart(12)).join(""));
  const startedAt = performance.now();
  const workers = Promise.all(Array.from({ length: WORKERS }, (_, index) => soak.work(index)));
  const troubles = trouble(nginx);
  const samples: Sample[] = [];
  const every = Math.max(SAMPLE_MS_MIN, (minutes * 60_000) / SAMPLES);
  while (performance.now() - startedAt < minutes * 60_000) {
    await sleep(every);
    const taken = await soak.still(() => sample(soak, startedAt));
    samples.push(taken);
    print(taken);
  }
  troubles.stop();
  soak.stop();
  await workers;
  const seconds = (performance.now() - startedAt) / 1000;
  await soak.transport.close();
  const nothingLeft = () => socketCount() === socketsBefore && handleCount() === 0;
  await until(nothingLeft, "something is open").catch(() => {}); // the figures below say what

  const { dialed, closed } = soak.transport.stats();
  const perSecond = Math.round(soak.requests / seconds);
  console.log(`\n${count(soak.requests)} requests, ${count(perSecond)} a second; nginx: ${tally(troubles.done)}`);
  console.log(`ends: ${words(soak.ends)}`);
  console.log(`${count(dialed)} connections dialed; closed: ${words(Object.entries(closed))}`);
  const broken = judge(samples);
  const left = `${socketCount() - socketsBefore} sockets and ${handleCount()} handles after close()`;
  console.log(left);
  if (!nothingLeft()) broken.push(left);
  if (soak.wrong.length > 0) broken.push(`wrong: ${soak.wrong.join("; ")}`);
  for (const what of broken) console.log(`FAILED  ${what}`);
  if (broken.length === 0) console.log("flat");
  return broken.length === 0;
}

/** The most frequent first. */
function words(counts: Iterable<readonly [string, number]>): string {
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  return sorted.map(([what, n]) => `${what}: ${count(n)}`).join(", ");
}

process.exit((await main()) ? 0 : 1);
