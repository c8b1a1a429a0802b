/**
 * Answers that nobody asked for: one that was in the client's kernel at its last poll before the next write is never
 * taken for the answer to that request (RFC 9112 §9.2). One that comes later cannot be told apart by any client of
 * HTTP/1.1; such are counted here, and nothing else may go wrong with them.
 */

import { startProgram } from "./child.ts";
import { blockLoop } from "./monotonic.ts";
import { count, expect, type Report, tally, textOf } from "./report.ts";
import { seeded } from "./seeded.ts";
import type { DoubleAnswererReady, DoubleAnswererSettings, Unasked } from "./servers/double-answerer.ts";
import { nextPlace, type Observed, WatchedClient } from "./watched-client.ts";

const DELAY_MAX_MS = 5;

export async function checkUnsolicited(report: Report, gets: number, seed: number): Promise<void> {
  await report.check("unsolicited: a second answer to one request", async () => {
    const settings: DoubleAnswererSettings = { seed, delayMax: DELAY_MAX_MS };
    await using server = await startProgram<DoubleAnswererReady, Unasked[]>("servers/double-answerer.ts", settings);
    await using client = new WatchedClient();
    const chance = seeded(seed + 1);
    const observed: Observed[] = [];
    for (let i = 0; i < gets; i++) {
      await nextPlace(chance);
      // Half of them at once; the others after the loop stood still for about as long as an echo takes.
      const ms = chance.pick([0, chance.next() * DELAY_MAX_MS]);
      if (chance.next() < 0.5) blockLoop(ms);
      observed.push(await client.get(`http://127.0.0.1:${server.ready.port}/nonce-${i}`, ms));
    }
    return judge(observed, await server.report(), client.closeReasons);
  });
}

function judge(observed: readonly Observed[], unasked: readonly Unasked[], reasons: readonly string[]): string {
  let crossed = 0;
  const wrong: string[] = [];
  observed.forEach((one, i) => {
    const target = `/nonce-${i}`;
    if (one.error !== null) wrong.push(`${target} failed: ${textOf(one.error)}`);
    if (one.answer === null || one.answer.body === target) return;
    const { status, body } = one.answer;
    const echo = unasked.find((u) => u.target === body && u.port === one.port);
    if (echo === undefined) wrong.push(`${target} was answered ${status} ${JSON.stringify(body)}`);
    else if (echo.after >= one.seen) crossed++;
    else wrong.push(`${target} got the echo of ${body}, sent ${((one.seen - echo.after) / 1e6).toFixed(3)} ms before`);
  });
  const closed = reasons.filter((reason) => reason === "unsolicited-bytes").length;
  const figures =
    `${count(observed.length)} requests, ${count(unasked.length)} unasked answers, ` +
    `${crossed} crossed and taken for an answer, ${wrong.length} wrong; connections ended by ${tally(reasons)}`;
  expect(wrong.length === 0, `${figures} (${wrong.slice(0, 3).join("; ")})`);
  expect(closed > observed.length / 10, `${figures}: too few closed for unsolicited-bytes`);
  return figures;
}
