/**
 * (b) Fifty-one workers that post a hundred times each to one host.
 *
 * With more than two at a time, Go's default (two idle connections a host) closes what it will need again, and the
 * article's machine filled up with TIME_WAIT. The same loads run through Go's own client where there is one.
 */

import { setTimeout } from "node:timers/promises";
import { Client, type Transport, type TransportOptions } from "../../lib/index.ts";
import { GoClient, type GoMode, type GoRun } from "./go.ts";
import { CountedTransport, measure } from "./load.ts";
import type { OriginProcess } from "./origin-process.ts";
import type { Load, Report } from "./report.ts";

const WORKERS = 51;
const BODY = JSON.stringify({ worker: "one of many", text: "x".repeat(200) });
/** The server takes 1 to 5 ms: so workers overlap, and fall out of step. */
const SERVER = { expect: BODY, delayMs: [1, 5] } as const;

/** Between two posts of a worker, where it pauses: the article's second, shortened. Idle connections are what it makes. */
const PAUSE = [5, 15] as const;
const NONE = [0, 0] as const;

type Range = readonly [leastMs: number, mostMs: number];

export async function workers(report: Report, server: OriginProcess, quick: boolean): Promise<void> {
  const posts = quick ? 20 : 100;
  const all = WORKERS * posts;
  report.title(`(b) ${WORKERS} workers post ${posts} times each; the server answers after 1 to 5 ms`);
  const answers = (load: Load) => {
    report.load(load);
    report.check(`${load.name}: every one is answered`, load.answered === all, load.answered);
    report.check(
      `${load.name}: every body arrives whole`,
      load.server.incomplete === 0,
      `${load.server.incomplete} incomplete`,
    );
  };

  for (const [name, pause] of [
    ["defaults", NONE],
    ["defaults, pausing", PAUSE],
  ] as const) {
    const load = await shared(server, { name, posts, pause }, {});
    answers(load);
    report.check(`${name}: no more dials than workers`, seen(load) <= WORKERS, seen(load));
    report.checkNoTimeWait(load);
  }

  // Without a pause a connection that comes back is wanted at once, and the limit on idle ones has little to close: here,
  // where a worker asks again before the turn of the loop is over, nothing at all.
  answers(await shared(server, { name: "at most 2 idle", posts, pause: NONE }, { maxIdleConnsPerHost: 2 }));
  const two = await shared(
    server,
    { name: "at most 2 idle, pausing", posts, pause: PAUSE },
    { maxIdleConnsPerHost: 2 },
  );
  answers(two);
  report.check(`${two.name}: clearly more dials than workers`, seen(two) > 3 * WORKERS, seen(two));

  const each = await perWorker(server, { name: "a transport for each worker", posts, pause: NONE });
  answers(each);
  report.check(`${each.name}: one dial each`, seen(each) === WORKERS, seen(each));
  report.checkNoTimeWait(each);

  await go(report, server, posts);
}

/** Dials by whichever end counted more. */
function seen(load: Load): number {
  return Math.max(load.dialed, load.server.accepted);
}

interface Plan {
  readonly name: string;
  readonly posts: number;
  readonly pause: Range;
}

async function work({ posts, pause }: Plan, url: string, transportOf: (worker: number) => Transport): Promise<number> {
  let answered = 0;
  const [least, most] = pause;
  const worker = async (_: unknown, index: number) => {
    const client = new Client({ transport: transportOf(index) });
    for (let i = 0; i < posts; i++) {
      const response = await client.post(url, { body: BODY, headers: { "Content-Type": "application/json" } });
      await response.text();
      if (response.status === 200) answered++;
      if (most > 0) await setTimeout(least + Math.random() * (most - least));
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return answered;
}

async function shared(server: OriginProcess, plan: Plan, options: TransportOptions): Promise<Load> {
  const origin = await server.listen(SERVER);
  const counted = new CountedTransport(options);
  const run = () => work(plan, origin.url, () => counted.transport);
  const load = await measure(plan.name, origin, run, () => counted.dialed);
  await counted.transport.close();
  return load;
}

async function perWorker(server: OriginProcess, plan: Plan): Promise<Load> {
  const origin = await server.listen(SERVER);
  const counted = Array.from({ length: WORKERS }, () => new CountedTransport());
  const run = () => work(plan, origin.url, (index) => counted[index]!.transport);
  const dialed = () => counted.reduce((sum, one) => sum + one.dialed, 0);
  const load = await measure(plan.name, origin, run, dialed);
  await Promise.all(counted.map((one) => one.transport.close()));
  return load;
}

/** Go's defaults, with room for idle connections, and the article's own way. Figures only: it is not ours to judge. */
async function go(report: Report, server: OriginProcess, posts: number): Promise<void> {
  const client = GoClient.build();
  if (client === null) return report.say("go not installed");
  report.say(client.version);
  try {
    const loads: [name: string, GoMode, Range][] = [
      ["Go: defaults", "default", NONE],
      ["Go: defaults, pausing", "default", PAUSE],
      ["Go: 256 idle", "wide", NONE],
      ["Go: 256 idle, pausing", "wide", PAUSE],
      ["Go: a transport for each worker", "per-worker", NONE],
    ];
    for (const [name, mode, pause] of loads) {
      const origin = await server.listen(SERVER);
      let ran: GoRun | null = null;
      const run = async () => {
        ran = await client.run({ url: origin.url, body: BODY, workers: WORKERS, posts, mode, pause });
        return ran.answered;
      };
      report.load(await measure(name, origin, run, () => ran?.dialed ?? 0));
      await (ran as GoRun | null)?.close(); // assigned by run()
    }
  } finally {
    client.remove();
  }
}
