/**
 * A client in a process of its own that moves one big body and watches its own resident memory: a body that piles up
 * anywhere between the kernel and its reader shows there, and nothing else runs here that could hide it.
 */

import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Client, Transport } from "../../lib/index.ts";
import { programSettings, serveParent } from "../support/child.ts";
import { keystream } from "../support/keystream.ts";
import type { Received } from "./servers/origin.ts";

export interface TransferSettings {
  readonly origin: string;
  readonly ca: string;
  readonly way: "download" | "upload";
  readonly bytes: number;
  readonly seed: number;
}
export interface TransferReport {
  readonly bytes: number;
  /** What this side read or wrote. */
  readonly sha256: string;
  /** What the origin says it received; null for a download. */
  readonly received: Received | null;
  /** Resident memory before the first byte of the body, and the most of it until the last. */
  readonly residentBefore: number;
  readonly residentMost: number;
  readonly ms: number;
}

/** The reader waits so long after each so many bytes, and longer now and then: a GiB takes some five seconds more. */
const PAUSE_BYTES = 2 ** 20;
const PAUSE_MS = 2;
const LONG_PAUSE_EVERY = 32;
const LONG_PAUSE_MS = 60;
const SAMPLE_MS = 10;
const ROTATING_BYTES = 4 * 2 ** 20;
/** Before the start: loading, compiling and a young heap take some 25 MiB, whatever the client does with bodies. */
const WARM_GETS = 100;
const SETTLE_MS = 1_000;

const settings = programSettings<TransferSettings>();
const transport = new Transport({ tls: { ca: settings.ca } });
const client = new Client({ transport });
const hash = createHash("sha256");

async function download(): Promise<number> {
  let bytes = 0;
  let untilPause = PAUSE_BYTES;
  let pauses = 0;
  const answer = await client.get(`${settings.origin}/big.bin`);
  for await (const chunk of answer) {
    hash.update(chunk);
    bytes += chunk.length;
    untilPause -= chunk.length;
    if (untilPause > 0) continue;
    untilPause = PAUSE_BYTES;
    await pause(++pauses % LONG_PAUSE_EVERY === 0 ? LONG_PAUSE_MS : PAUSE_MS);
  }
  return bytes;
}

/**
 * A body that costs no memory of its own, so that what grows is the client's: some blocks, numbered anew and given
 * again and again. A client that held back as many of them would send the wrong numbers, and another SHA-256.
 */
async function* body(): AsyncGenerator<Uint8Array> {
  const blocks = [...keystream(settings.seed, ROTATING_BYTES)];
  for (let left = settings.bytes, n = 0; left > 0; n++) {
    const block = blocks[n % blocks.length]?.subarray(0, left);
    if (block === undefined) return;
    block.writeUInt32BE(n);
    hash.update(block);
    yield block;
    left -= block.length;
  }
}

async function upload(): Promise<Received> {
  const headers = { "content-length": String(settings.bytes) };
  const answer = await client.post(`${settings.origin}/upload?slow`, { headers, body: body() });
  return JSON.parse(await answer.text()); // the origin of servers/origin.ts answers so
}

async function transfer(): Promise<TransferReport> {
  for (let i = 0; i < WARM_GETS; i++) await (await client.get(`${settings.origin}/small.txt`)).bytes();
  await pause(SETTLE_MS);
  const residentBefore = process.memoryUsage.rss();
  let residentMost = residentBefore;
  const sample = () => {
    residentMost = Math.max(residentMost, process.memoryUsage.rss());
  };
  const sampling = setInterval(sample, SAMPLE_MS);
  const began = performance.now();
  const received = settings.way === "upload" ? await upload() : null;
  const bytes = received === null ? await download() : settings.bytes;
  const ms = performance.now() - began;
  sample();
  clearInterval(sampling);
  await transport.close();
  return { bytes, sha256: hash.digest("hex"), received, residentBefore, residentMost, ms };
}

serveParent(null, transfer);
