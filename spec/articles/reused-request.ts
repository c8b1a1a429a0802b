/**
 * (a) One Request, made once, sent again and again.
 *
 * The article's program did that with Go's client and a body that had been read to its end by the first send: from the
 * second on, the write failed against the declared length and the connection was lost, once for each try.
 */

import { Client, Request } from "../../lib/index.ts";
import { CountedTransport, measure } from "./load.ts";
import type { OriginProcess } from "./origin-process.ts";
import type { Report } from "./report.ts";

const BODY = JSON.stringify({ name: "persistent", tags: ["a", "b", "c"], text: "ä".repeat(500) });

export async function reusedRequest(report: Report, server: OriginProcess, quick: boolean): Promise<void> {
  const times = quick ? 20 : 100;
  report.title(`(a) one request with a body, sent ${times} times`);
  await send(report, server, times, "in turn");
  await send(report, server, times, "at once");
}

async function send(report: Report, server: OriginProcess, times: number, how: "in turn" | "at once"): Promise<void> {
  const origin = await server.listen({ expect: BODY });
  const counted = new CountedTransport();
  const client = new Client({ transport: counted.transport });
  const request = new Request(`${origin.url}/`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: BODY,
  });
  let answered = 0;
  const sendOne = async () => {
    const response = await client.do(request);
    await response.text();
    if (response.status === 200) answered++;
  };
  const run = async () => {
    if (how === "in turn") for (let i = 0; i < times; i++) await sendOne();
    else await Promise.all(Array.from({ length: times }, sendOne));
    return answered;
  };
  const load = await measure(how, origin, run, () => counted.dialed);
  await counted.transport.close();

  report.load(load);
  report.check(`${how}: every one is answered`, load.answered === times, load.answered);
  report.check(
    `${how}: every body arrives whole`,
    load.server.incomplete === 0,
    `${load.server.incomplete} incomplete`,
  );
  if (how === "in turn")
    report.check("in turn: one connection", load.dialed === 1 && load.server.accepted === 1, load.dialed);
  else report.check("at once: no more connections than requests", load.dialed <= times, load.dialed);
  report.checkNoTimeWait(load);
}
