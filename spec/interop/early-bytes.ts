/**
 * What client and server of the early answers agree on. The bytes of an upload that must not stray: requests of their own, end to end. Where some of them land before the
 * next request on a connection, a server reads `GET /smuggled`, or half a line; where the next request lands inside
 * the upload, the pattern breaks. Both sides know every byte by its place.
 */

const LINE = Buffer.from("GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n");
const REPEATS = 1600;
const PATTERN = Buffer.alloc(LINE.length * REPEATS, LINE);

/** Bytes `[at, at + length)` of the upload; a view, for reading only. */
export function patternAt(at: number, length: number): Buffer {
  const start = at % LINE.length;
  if (length <= PATTERN.length - LINE.length) return PATTERN.subarray(start, start + length);
  return Buffer.concat([
    PATTERN.subarray(start),
    patternAt(at + PATTERN.length - start, length - PATTERN.length + start),
  ]);
}

/** The body of the answer to request `n`: more than a careless reset leaves through by luck. */
export const answerBody = (n: string): string => `answer ${n} ${"0123456789".repeat(200)}`;
