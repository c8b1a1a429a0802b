/**
 * What every server under test serves, made once for a run in a temporary folder of its own: a small file, a big one
 * of pseudo-random bytes, a certificate; and the origin that hashes uploads for the servers which cannot. It lives as
 * long as the process, and is gone when that exits.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Program, startProgram } from "../support/child.ts";
import { keystream } from "../support/keystream.ts";
import type { OriginReady, OriginSettings } from "./servers/origin.ts";

export interface Site {
  /** Everything that the run writes is below it. */
  readonly folder: string;
  /** The folder that is served: `small.txt`, `big.bin`. */
  readonly root: string;
  readonly small: Buffer;
  readonly bigBytes: number;
  /** Of `big.bin`, in hex. */
  readonly bigSha256: string;
  readonly seed: number;
  readonly cert: string;
  readonly key: string;
  /** The certificate, to trust. */
  readonly ca: string;
  /** Where POST /upload is answered with what arrived. */
  readonly uploadPort: number;
}

export async function makeSite(seed: number, bigBytes: number): Promise<Site> {
  const folder = mkdtempSync(path.join(tmpdir(), "persistconn-interop-"));
  // Servers that are killed at exit may write a last line while this removes what they write to.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 }));
  chmodSync(folder, 0o755); // workers of nginx and Apache give up root
  const root = path.join(folder, "root");
  mkdirSync(root);
  const small = Buffer.from("a small file of some two hundred bytes. ".repeat(5));
  writeFileSync(path.join(root, "small.txt"), small);
  const bigSha256 = writeBig(path.join(root, "big.bin"), seed, bigBytes);
  const cert = path.join(folder, "cert.pem");
  const key = path.join(folder, "key.pem");
  makeCertificate(cert, key);
  const settings: OriginSettings = { root, tls: null };
  const upload: Program<OriginReady, null> = await startProgram(
    new URL("./servers/origin.ts", import.meta.url),
    settings,
  );
  const ca = readFileSync(cert, "utf8");
  return { folder, root, small, bigBytes, bigSha256, seed, cert, key, ca, uploadPort: upload.ready.port };
}

function writeBig(file: string, seed: number, bytes: number): string {
  const hash = createHash("sha256");
  const fd = openSync(file, "w");
  for (const block of keystream(seed, bytes)) {
    hash.update(block);
    writeSync(fd, block);
  }
  closeSync(fd);
  return hash.digest("hex");
}

/** A certificate for 127.0.0.1 that signs itself and is worth nothing after two days. */
function makeCertificate(cert: string, key: string): void {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  execFileSync("openssl", ["req", "-x509", ...curve, "-days", "2", ...names, "-keyout", key, "-out", cert], {
    stdio: ["ignore", "ignore", "pipe"],
  });
}
