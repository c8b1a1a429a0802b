/**
 * A server whose answers grow: `/gzip/1000000` is a million zeros in gzip, `/gzip,br/…` in both, made while they are sent.
 * A program of its own, so that none of it shows in the memory of who reads them.
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createBrotliCompress, createDeflate, createGzip } from "node:zlib";
import { serveParent } from "../../support/child.ts";

export interface BomberReady {
  readonly port: number;
}

const BLOCK = Buffer.alloc(256 * 1024);

const ENCODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: () => createGzip(),
  deflate: () => createDeflate(),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= BLOCK.length) yield left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
}

const server = createServer(async (request, response) => {
  const [, codings = "", bytes = "0"] = (request.url ?? "").split("/");
  const encoders = codings.split(",").map((coding) => ENCODERS[coding]?.() ?? createGzip());
  response.writeHead(200, { "content-encoding": codings.replaceAll(",", ", ") });
  // A reader that has had enough breaks it off, which is what is looked for.
  await pipeline([Readable.from(zeros(Number(bytes))), ...encoders, response]).catch(() => {});
});

server.listen(0, "127.0.0.1", () => {
  serveParent<BomberReady, null>({ port: (server.address() as AddressInfo).port }, () => null); // it listens on TCP
});
