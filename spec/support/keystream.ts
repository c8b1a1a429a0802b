/** Bytes that look random and can be made again from a number: a body of them cannot be taken for another. */

import { createCipheriv } from "node:crypto";

const BLOCK_BYTES = 65_536;

/** Pseudo-random bytes without end to their pattern: the keystream of a cipher, in blocks that are the taker's own. */
export function* keystream(seed: number, bytes: number): Generator<Buffer> {
  const key = Buffer.alloc(16);
  key.writeInt32BE(seed | 0);
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let left = bytes; left > 0; left -= BLOCK_BYTES) {
    yield cipher.update(left < BLOCK_BYTES ? zeros.subarray(0, left) : zeros);
  }
}
