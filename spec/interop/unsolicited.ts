/**
 * Answers that nobody asked for: one that was in the client's kernel at its last poll before the next write is never
 * taken for the answer to that request (RFC 9112 §9.2). One that comes later cannot be told apart by any client of
 * HTTP/1.1; such are counted here, and nothing else may go wrong with them.
 */

import { startProgram } from "../support/child.ts";
import { count, expect, type Report, tally, textOf } from "../support/report.ts";
import { seeded } from "../support/seeded.ts";
import { blockLoop } from "./monotonic.ts";
import type { DoubleAnswererReady, DoubleAnswererSettings, Sent } from "./servers/double-answerer.ts";
import { nextPlace, type Observed, WatchedClient } from "./watched-client.ts";

const DELAY_MAX_MS = 5;

export async function checkUnsolicited(report: Report, gets: number, seed: number): Promise<void> {
  await report.check("unsolicited: a second answer to one request", async () => {
    const settings: DoubleAnswererSettings = { seed, delayMax: DELAY_MAX_MS };
    await using server = await startProgram<DoubleAnswererReady, Sent[]>(
      new URL("./servers/double-answerer.ts", import.meta.url),
      settings,
    );
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
    return client.expectOneCloseEach(judge(observed, await server.report(), client.closeReasons));
  });
}

function judge(observed: readonly Observed[], sent: readonly Sent[], reasons: readonly string[]): string {
  const messageOf = inOrder(sent);
  let crossed = 0;
  const wrong: string[] = [];
  observed.forEach((one, i) => {
    const target = `/nonce-${i}`;
    if (one.error !== null) wrong.push(`${target} failed: ${textOf(one.error)}`);
    if (one.answer === null) return;
    const message = messageOf(one.answer.connection, one.port);
    const { status, body } = one.answer;
    if (message?.target !== body)
      wrong.push(`${target} was answered ${status} ${JSON.stringify(body)}, sent by nobody`);
    else if (body === target) return;
    else if (message.after >= one.seen) crossed++;
    else
      wrong.push(`${target} got what was sent for ${body} ${((one.seen - message.after) / 1e6).toFixed(3)} ms before`);
  });
  const unasked = sent.filter((message) => message.unasked).length;
  const closed = reasons.filter((reason) => reason === "unsolicited-bytes").length;
  const figures =
    `${count(observed.length)} requests, ${count(unasked)} unasked answers, ` +
    `${crossed} crossed and taken for an answer, ${wrong.length} wrong; connections ended by ${tally(reasons)}`;
  expect(wrong.length === 0, `${figures} (${wrong.slice(0, 3).join("; ")})`);
  expect(closed > observed.length / 10, `${figures}: too few closed for unsolicited-bytes`);
  return figures;
}

/**
 * Which message each answer was: the n-th answer that came through a connection is the n-th message that was sent into
 * it. (After one echo that crossed, the right answer is itself early for the next request, and so on.)
 *
 * @returns to be asked once for each answer, in order, by the client's number and port of its connection
 */
function inOrder(sent: readonly Sent[]): (connection: number, port: number | null) => Sent | undefined {
  const byServer = new Map<number, Sent[]>();
  for (const message of sent) {
    const messages = byServer.get(message.connection);
    if (messages === undefined) byServer.set(message.connection, [message]);
    else messages.push(message);
  }
  const byClient = new Map<number, Sent[]>();
  return (connection, port) => {
    let messages = byClient.get(connection);
    if (messages === undefined) {
      // A port may come again: then the connections of both sides pair off in the order in which they were made.
      for (const [number, candidate] of byServer) {
        if (candidate[0]?.port !== port) continue;
        messages = candidate;
        byServer.delete(number);
        break;
      }
      byClient.set(connection, messages ?? []);
    }
    return messages?.shift();
  };
}
