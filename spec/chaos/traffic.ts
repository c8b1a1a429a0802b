/**
 * What is asked and answered in a chaos run, made from a seed, so that the client, the server and the judge agree
 * without a word: every request carries a nonce of its own, and every body can be made again from the nonce.
 */

import { createHash } from "node:crypto";
import { keystream } from "../support/keystream.ts";
import { seeded } from "../support/seeded.ts";

/** What one fault asks for. */
export interface Load {
  readonly requests: number;
  readonly workers: number;
  /** The longest body, either way. */
  readonly bytesMax: number;
  /** The share of answers after which the server closes the connection. */
  readonly closeShare: number;
}

/** What every client is given to keep, in ms. */
export interface Limits {
  /** From the call to the last byte of the body. The one that is judged. */
  readonly total: number;
  readonly dial: number;
  /** To the head of the answer. */
  readonly headers: number;
  /** Between two pieces of the body. */
  readonly body: number;
}

export interface Job {
  readonly nonce: string;
  /** A POST has its body in memory; a stream is a POST whose body can be read only once, of no announced length. */
  readonly kind: "get" | "post" | "stream";
  readonly up: number;
  readonly down: number;
  /** How long the server thinks, in ms. */
  readonly think: number;
  readonly chunked: boolean;
  readonly close: boolean;
}

/** The `index`-th request of a fault; those of the warm-up have indices of their own, below 0. */
export function jobOf(fault: string, seed: number, index: number, load: Load): Job {
  const chance = seeded(numberOf(`${fault} ${seed} ${index}`));
  const kind = chance.pick<Job["kind"]>(["get", "get", "post", "stream"]);
  // As many of each order of magnitude: most are small, some long, some empty.
  const size = () => (chance.below(8) === 0 ? 0 : Math.floor(load.bytesMax ** chance.next()));
  return {
    nonce: `${fault}-${index < 0 ? `warm${-index}` : index}`,
    kind,
    up: kind === "get" ? 0 : size(),
    down: size(),
    think: chance.below(3) === 0 ? chance.below(15) : 0,
    chunked: chance.next() < 0.3,
    close: chance.next() < load.closeShare,
  };
}

/** Method and target of a job. */
export function requestOf(job: Job): { readonly method: "GET" | "POST"; readonly path: string } {
  const path = `/${job.nonce}?down=${job.down}&think=${job.think}&chunked=${job.chunked}&close=${job.close}`;
  return { method: job.kind === "get" ? "GET" : "POST", path };
}

/** The body that goes up or down with a nonce: no two are alike, and no part of one is part of another. */
export function contentOf(nonce: string, way: "up" | "down", bytes: number): Buffer {
  return Buffer.concat([...keystream(numberOf(`${way} ${nonce}`), bytes)]);
}

/** A body in pieces, for those who stream it. */
export async function* piecesOf(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += 16_000) {
    yield content.subarray(at, at + 16_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export const checksum = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

const numberOf = (text: string): number => createHash("sha256").update(text).digest().readInt32BE();
