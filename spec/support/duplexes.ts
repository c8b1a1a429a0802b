/** Both ends of a stream that a spec talks through, as text. */

import { once } from "node:events";
import type { Duplex } from "node:stream";

/** Reads exactly `n` bytes, as latin1; fails where the stream ends or breaks before. */
export async function readText(stream: Duplex, n: number): Promise<string> {
  let text = "";
  while (text.length < n) {
    const chunk: Buffer | null = stream.read(Math.min(n - text.length, Math.max(1, stream.readableLength)));
    if (chunk !== null) text += chunk.toString("latin1");
    else if (stream.destroyed || stream.readableEnded) throw new Error(`It ended after ${JSON.stringify(text)}`);
    else await change(stream);
  }
  return text;
}

/** Waits for the next thing that can be read, or for the end of it. */
async function change(stream: Duplex): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  const events = ["readable", "end", "close"].map((name) => once(stream, name, { signal }));
  try {
    await Promise.race(events);
  } finally {
    for (const event of events) event.catch(() => {});
    over.abort();
  }
}

/** Reads to the end. */
export async function readAll(stream: Duplex): Promise<string> {
  let text = "";
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) text += (chunk as Buffer).toString("latin1");
  return text;
}

/** Answers each chunk with its capitals, and the end with an end. */
export function shout(stream: Duplex): void {
  stream.on("data", (chunk: Buffer) => stream.write(chunk.toString("latin1").toUpperCase(), "latin1"));
  stream.on("end", () => stream.end());
  stream.on("error", () => {}); // resets are part of what is specced; 'close' follows
}
