/**
 * A server that closes idle connections while the client's loop stands still: whatever was closed before the client's
 * last poll must never cost a request (RFC 9112 §9.3.1, §9.5). What closes after it has crossed the request on the
 * wire; no client can see that in time, and it must be told honestly, or sent again where the caller allows it.
 *
 * A close has crossed unless the server's stamp after it is earlier than `seen` (watched-client.ts).
 */

import { type Program, startProgram } from "../support/child.ts";
import { count, expect, type Report, tally, textOf } from "../support/report.ts";
import { type Chance, seeded } from "../support/seeded.ts";
import { blockLoop } from "./monotonic.ts";
import type { Close, IdleCloserReady, IdleCloserSettings } from "./servers/idle-closer.ts";
import { nextPlace, type Observed, WatchedClient } from "./watched-client.ts";

const IDLE_MAX_MS = 40;

type Server = Program<IdleCloserReady, Close[]>;

export async function checkIdleClose(report: Report, gets: number, seed: number): Promise<void> {
  const settings: IdleCloserSettings = { seed, idleMax: IDLE_MAX_MS };
  await using server: Server = await startProgram(new URL("./servers/idle-closer.ts", import.meta.url), settings);
  await report.check("idle-close: replay nothing-written", async () => {
    await using client = new WatchedClient();
    const observed = await load(client, server, gets, seeded(seed + 1));
    return client.expectOneCloseEach(judge(observed, await server.report(), client));
  });
  await report.check("idle-close: replay replayable", async () => {
    await using client = new WatchedClient({ replay: "replayable" });
    const observed = await load(client, server, gets, seeded(seed + 2));
    const failed = observed.filter((o) => o.error !== null);
    const closes = await server.report();
    const figures = `${count(gets)} requests, ${count(closes.length)} closes, ${failed.length} failed`;
    expect(failed.length === 0, `${figures}: ${textOf(failed[0]?.error)}`);
    expectEnoughCloses(closes, gets);
    return figures;
  });
}

/** One request after the other; the loop stands still before it is asked for, after that, or both. */
async function load(client: WatchedClient, server: Server, gets: number, chance: Chance): Promise<Observed[]> {
  const observed: Observed[] = [];
  for (let i = 0; i < gets; i++) {
    const ms = chance.next() * IDLE_MAX_MS;
    const before = chance.pick([0, 1, chance.next()]) * ms;
    await nextPlace(chance);
    if (before > 0) blockLoop(before);
    const target = `/${i}`;
    const one = await client.get(`http://127.0.0.1:${server.ready.port}${target}`, ms - before);
    expect(one.answer === null || one.answer.body === target, `${target} was answered ${one.answer?.body}`);
    observed.push(one);
  }
  return observed;
}

function judge(observed: readonly Observed[], closes: readonly Close[], client: WatchedClient): string {
  const failed = observed.filter((o) => o.error !== null);
  const unseen: string[] = [];
  for (const one of failed) {
    // A port may serve again for a later connection: its close is the last one that began before the failure.
    const close = closes.findLast((c) => c.port === one.port && c.before < one.ended);
    if (close === undefined) unseen.push(`no close explains it: ${textOf(one.error)}`);
    else if (close.after < one.seen) unseen.push(`closed ${((one.seen - close.after) / 1e6).toFixed(3)} ms before`);
  }
  const facts = failed.filter(({ error }) => error?.reused !== true || error.bytesRead !== 0);
  const figures =
    `${count(observed.length)} requests, ${count(closes.length)} closes seen, ` +
    `failures: ${failed.length - unseen.length} crossed, ${unseen.length} not crossed`;
  expect(unseen.length === 0, `${figures} (${unseen.slice(0, 3).join("; ")})`);
  expect(facts.length === 0, `${figures}; ${facts.length} without reused and bytesRead 0: ${textOf(facts[0]?.error)}`);
  expectEnoughCloses(closes, observed.length);
  return `${figures}; connections ended by ${tally(client.closeReasons)}`;
}

/** A run in which the server hardly closes proves nothing. */
function expectEnoughCloses(closes: readonly Close[], requests: number): void {
  expect(closes.length > requests / 10, `only ${closes.length} closes for ${requests} requests`);
}
