/**
 * Decoding what real servers encode: the same bytes as on their disk, in every coding that they have, over connections
 * that live on; nothing decoded that was not asked for; and what grows beyond measure ends in an error.
 */

import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { brotliDecompressSync, deflateSync, gunzipSync, inflateRawSync, inflateSync } from "node:zlib";
import { DecompressError, type Response } from "../../lib/index.ts";
import { startProgram } from "../support/child.ts";
import { keystream } from "../support/keystream.ts";
import { count, expect, mebibytes, type Report, textOf } from "../support/report.ts";
import { type CountedClient, countedClient } from "./counted-client.ts";
import type { BomberReady } from "./servers/bomber.ts";
import { COMPRESSING } from "./servers/compressing.ts";
import type { Site } from "./site.ts";

export interface DecompressScale {
  readonly decodedGets: number;
  readonly bombBytes: number;
}

const FILES: Readonly<Record<string, number>> = {
  "short.json": 2_000,
  "page.json": 90_000,
  "large.json": 24 * 2 ** 20,
};
/** What a run may grow by while a bomb is held off: the 16 MiB that any answer may have, and garbage. */
const GROWTH_MAX = 96 * 2 ** 20;

/** Text of so many bytes that compresses to a quarter or so, and never the same for another seed. */
function text(seed: number, bytes: number): Buffer {
  const parts: string[] = [];
  for (const block of keystream(seed, Math.ceil(bytes / 10))) {
    for (let at = 0; at + 8 <= block.length; at += 8) {
      parts.push(
        `{"id":${block.readUInt32BE(at)},"name":"${block.toString("hex", at + 4, at + 8)}","kind":"thing"},\n`,
      );
    }
  }
  return Buffer.from(parts.join("").padEnd(bytes, " ").slice(0, bytes));
}

export async function checkDecompression(report: Report, site: Site, scale: DecompressScale, quick: boolean) {
  await bombs(report, scale.bombBytes); // first, while memory is what it is at the start
  const files = path.join(site.folder, "decompress");
  const contents = new Map<string, Buffer>();
  for (const folder of [files, path.join(files, "plain"), path.join(files, "deflate")]) {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
  }
  for (const [name, bytes] of Object.entries(FILES)) {
    const content = text(site.seed + bytes, bytes);
    contents.set(name, content);
    writeFileSync(path.join(files, "plain", name), content);
    writeFileSync(path.join(files, "deflate", name), deflateSync(content));
  }
  for (const [name, start] of Object.entries(COMPRESSING)) {
    let server: Awaited<ReturnType<typeof start>>;
    try {
      server = await start(site, files);
    } catch (error) {
      if (quick) report.skip(`decompress: ${name}`, textOf(error));
      else report.fail(`decompress: ${name}`, textOf(error));
      continue;
    }
    try {
      for (const [coding, url] of Object.entries(server.codings)) {
        const check = (what: string, run: (counted: CountedClient) => Promise<string>) =>
          report.check(`decompress: ${name} ${server.version}, ${coding}: ${what}`, async () => {
            await using counted = countedClient();
            return await run(counted);
          });
        await check("GET", (counted) => gets(counted, url, coding, contents, scale.decodedGets));
        await check("not asked", (counted) => notAsked(counted, url, coding, contents));
      }
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }
}

const wordOf = (coding: string) => (coding === "raw deflate" ? "deflate" : coding);
const rawField = (answer: Response, name: string) =>
  answer.headers.raw.find((pair) => pair[0].toLowerCase() === name)?.[1] ?? null;

async function gets(
  { client, transport }: CountedClient,
  url: string,
  coding: string,
  contents: ReadonlyMap<string, Buffer>,
  times: number,
): Promise<string> {
  let bytes = 0;
  for (const [name, content] of contents) {
    for (let i = 0; i < (content.length > 2 ** 20 ? 2 : times); i++) {
      const answer = await client.get(url + name);
      expect(answer.status === 200, `status ${answer.status}`);
      const sent = rawField(answer, "content-encoding");
      expect(sent === wordOf(coding), `Content-Encoding is ${sent}`);
      expect(answer.decompressed && !answer.headers.has("content-encoding"), "not decoded");
      const hash = createHash("sha256");
      if (i % 2 === 0) hash.update(await answer.bytes());
      else for await (const chunk of answer) hash.update(chunk);
      const whole = createHash("sha256").update(content).digest("hex");
      expect(hash.digest("hex") === whole, `${name} has another SHA-256`);
      bytes += content.length;
    }
  }
  const { dialed } = transport.stats();
  expect(dialed === 1, `${dialed} connections, where one is due`);
  return `${count(2 * times + 2)} bodies, ${mebibytes(bytes)} decoded, same SHA-256, connections 1`;
}

async function notAsked(
  { client, transport }: CountedClient,
  url: string,
  coding: string,
  contents: ReadonlyMap<string, Buffer>,
): Promise<string> {
  const name = "page.json";
  const content = contents.get(name) ?? Buffer.alloc(0);
  const raw = await client.get(url + name, { headers: { "accept-encoding": wordOf(coding) } });
  expect(
    raw.headers.get("content-encoding") === wordOf(coding) && !raw.decompressed,
    "the caller's own was taken away",
  );
  const encoded = await raw.bytes();
  expect(encoded.length < content.length && decodeBy(coding, encoded).equals(content), "the caller's own was changed");
  const head = await client.head(url + name);
  expect(!head.decompressed && (await head.bytes()).length === 0, "HEAD has a decoded body");
  const part = await client.get(url + name, { headers: { range: "bytes=0-9" } });
  expect(!part.decompressed, "a part was decoded");
  await part.bytes();
  const plain = await client.get(url + name, { headers: { "accept-encoding": "identity" } });
  const bytes = Buffer.from(await plain.bytes());
  // A file that was encoded before is served as it is, whoever asks.
  const same = plain.headers.has("content-encoding") ? decodeBy(coding, bytes) : bytes;
  expect(!plain.decompressed && same.equals(content), "identity was changed");
  const { dialed } = transport.stats();
  expect(dialed === 1, `${dialed} connections, where one is due`);
  return "own Accept-Encoding, HEAD, Range, identity: as they came, connections 1";
}

/** node:zlib in one go, as the other opinion. */
function decodeBy(coding: string, bytes: Uint8Array): Buffer {
  if (coding === "gzip") return gunzipSync(bytes);
  if (coding === "br") return brotliDecompressSync(bytes);
  return coding === "deflate" ? inflateSync(bytes) : inflateRawSync(bytes);
}

async function bombs(report: Report, bombBytes: number): Promise<void> {
  await using bomber = await startProgram<BomberReady, null>(new URL("./servers/bomber.ts", import.meta.url), {});
  for (const codings of ["gzip", "deflate", "br", "gzip,gzip"]) {
    await report.check(`decompress: a bomb of ${mebibytes(bombBytes)} in ${codings}`, async () => {
      await using counted = countedClient();
      const before = process.memoryUsage.rss();
      let most = before;
      const sampling = setInterval(() => {
        most = Math.max(most, process.memoryUsage.rss());
      }, 5);
      try {
        const answer = await counted.client.get(`http://127.0.0.1:${bomber.ready.port}/${codings}/${bombBytes}`);
        const error = await answer.bytes().catch((reason: unknown) => reason);
        expect(error instanceof DecompressError && error.reason === "ratio", `it ended in ${textOf(error)}`);
        most = Math.max(most, process.memoryUsage.rss());
        const growth = `memory ${mebibytes(before)} + ${mebibytes(most - before)}`;
        expect(most - before < GROWTH_MAX, growth);
        return `${error.code} after ${count(error.bytesIn)} bytes in and ${mebibytes(error.bytesOut)} out, ${growth}`;
      } finally {
        clearInterval(sampling);
      }
    });
  }
}
