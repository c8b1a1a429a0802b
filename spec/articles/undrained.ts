/**
 * (e) Answers read to their end, closed unread, and left alone: what each costs in connections.
 *
 * Up to 64 KiB are read ahead whether or not anybody reads, so a small answer has left its connection before the caller
 * looks at it, and forgetting it costs nothing. A large one that is left alone holds its connection until
 * `unreadBodyTimeout`; closed unread, one of which more than 256 KiB is still to come closes its connection, since a new
 * one is cheaper than the rest of the bytes.
 */

import { Client, type Response } from "../../lib/index.ts";
import { CountedTransport, measure } from "./load.ts";
import type { OriginProcess } from "./origin-process.ts";
import type { Load, Report } from "./report.ts";

const SMALL = 1024;
const LARGE = 4 * 1024 * 1024;

type Treatment = "read to the end" | "closed unread" | "left alone";

export async function undrained(report: Report, server: OriginProcess, quick: boolean): Promise<void> {
  const times = quick ? 20 : 100;
  report.title(`(e) ${times} answers in turn: read, closed unread, left alone`);

  for (const treatment of ["read to the end", "closed unread", "left alone"] as const) {
    const small = await ask(server, times, SMALL, treatment);
    report.load(small);
    report.check(`small, ${treatment}: one connection`, small.dialed === 1, small.dialed);
  }
  const read = await ask(server, times, LARGE, "read to the end");
  report.load(read);
  report.check("large, read to the end: one connection", read.dialed === 1, read.dialed);

  const closed = await ask(server, times, LARGE, "closed unread");
  report.load(closed);
  report.check("large, closed unread: each closes its connection", closed.dialed === times, closed.dialed);

  const left = await ask(server, times, LARGE, "left alone");
  report.load(left);
  report.check("large, left alone: each holds its connection", left.dialed === times, left.dialed);
}

async function ask(server: OriginProcess, times: number, size: number, treatment: Treatment): Promise<Load> {
  const origin = await server.listen();
  const counted = new CountedTransport();
  const client = new Client({ transport: counted.transport });
  // Kept, so that what is left alone is left alone by the garbage collector too.
  const kept: Response[] = [];
  const run = async () => {
    for (let i = 0; i < times; i++) {
      const response = await client.get(`${origin.url}/bytes/${size}`);
      kept.push(response);
      if (treatment === "read to the end") await response.bytes();
      else if (treatment === "closed unread") await response.close();
      // A small answer is read ahead within a few turns of the loop; a caller that goes on at once may be faster.
      else await readAhead(response, size);
    }
    return kept.length;
  };
  const name = `${size === SMALL ? "small" : "large"}, ${treatment}`;
  const load = await measure(name, origin, run, () => counted.dialed);
  // Not close(), which would wait for the exchanges that nobody ends.
  await counted.transport.destroy();
  return load;
}

async function readAhead(response: Response, size: number): Promise<void> {
  if (size > SMALL) return;
  while (response.timings?.end === null) await new Promise((resolve) => setImmediate(resolve));
}
