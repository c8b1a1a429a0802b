/**
 * One contestant under one fault, a program of its own in the namespace of clients, so that its memory, its descriptors
 * and what it leaves are nobody else's.
 *
 * Asked to `warm`, it sends some requests before the fault begins: code is compiled, connections are there. Asked to `go`,
 * it sends the load through its workers, at least until it hears that it is `enough`, and tells its parent after each
 * request how many have ended. Asked for the `end`, it closes the client and reports.
 */

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { programSettings, serveParent, tellParent } from "../support/child.ts";
import { textOf } from "../support/report.ts";
import { type Answer, type Contestant, type ContestantName, isTyped, nameOf, open } from "./contestants.ts";
import { checksum, contentOf, type Job, jobOf, type Limits, type Load } from "./traffic.ts";
import { type Outcome, SLACK_MS } from "./verdict.ts";

export interface ClientSettings {
  readonly contestant: ContestantName;
  readonly origin: string;
  readonly fault: string;
  readonly seed: number;
  readonly load: Load;
  readonly warm: number;
  readonly limits: Limits;
}

/** A request that takes so much longer than it may is counted as lost, and its worker goes on without it. */
const LOST_AFTER_MS = 6_000;
/** A worker that failed asks again after this, and later after each failure on end, as a caller with any sense would. */
const AFTER_ERROR_MS = 25;
const FAILURES_COUNTED = 8;
/** A fault that has not run its course by then never will. */
const LOADS_MAX = 20;
const CLOSE_LIMIT_MS = 5_000;
const TOLD_MAX = 5;

const settings = programSettings<ClientSettings>();
const uncaught: string[] = [];
process.on("uncaughtException", (error) => uncaught.push(textOf(error)));
process.on("unhandledRejection", (error) => uncaught.push(textOf(error)));

const socketsBefore = socketCount();
const handlesBefore = handles();
const client: Contestant = open(settings.contestant, settings.origin, settings.limits);

function socketCount(): number {
  let sockets = 0;
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:")) sockets++;
    } catch {
      // The descriptor by which the folder was read.
    }
  }
  return sockets;
}

function handles(): string[] {
  return process.getActiveResourcesInfo().filter((type) => /TCP|TLS|Timeout|Connect|Addr|Shutdown|Write/.test(type));
}

/** A line of /proc/self/status, in bytes. */
function memory(name: "VmRSS" | "VmHWM"): number {
  const line = new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line?.[1]) * 1024;
}

/** What is wrong with an answer; null where nothing is. */
function flawOf(job: Job, { status, nonce, received, body }: Answer): string | null {
  if (status !== 200) return `status ${status}`;
  if (nonce !== job.nonce) return `the answer to ${nonce}`;
  if (received !== checksum(contentOf(job.nonce, "up", job.up))) return "the server received another body";
  if (!contentOf(job.nonce, "down", job.down).equals(body)) return `another body of ${body.length} bytes`;
  return null;
}

/** Sends some requests one way or another, and marks where memory stands. A bad route may spoil some of them. */
async function warm(): Promise<null> {
  const { fault, seed, load, warm: count } = settings;
  let next = 0;
  const work = async () => {
    while (next < count) {
      const job = jobOf(fault, seed, -++next, { ...load, closeShare: 0 });
      const answer = await client.send(job).catch(() => null);
      const flaw = answer === null ? null : flawOf(job, answer);
      if (flaw !== null) throw new Error(`${job.nonce}, before the fault: ${flaw}`);
    }
  };
  await Promise.all(Array.from({ length: load.workers }, work));
  residentBefore = memory("VmRSS");
  writeFileSync("/proc/self/clear_refs", "5"); // the most of resident memory counts from here
  return null;
}

const seen = {
  right: 0,
  errors: {} as Record<string, number>, // filled by name
  untyped: [] as string[], // and these with the first few
  wrong: [] as string[],
  wrongCount: 0,
  lost: 0,
};
/** By how much each request settled past its deadline; 0 where it was in time. */
const overdue: number[] = [];
const delay = monitorEventLoopDelay({ resolution: 10 });
let residentBefore = 0;

/** Sends one request and notes its end. Returns whether there was an answer. */
async function one(job: Job): Promise<boolean> {
  // This process's own timer for the deadline: what it is late by for want of a core, the client may be late by, too. Timers
  // count from the loop's own time, which is old where the loop stood still, and are early by that.
  const deadline = performance.now() + settings.limits.total;
  let due = Infinity;
  const alarm = setTimeout(() => {
    due = Math.max(deadline, performance.now());
  }, settings.limits.total);
  let guard: NodeJS.Timeout | undefined;
  const never = new Promise<"lost">((resolve) => {
    guard = setTimeout(resolve, settings.limits.total + LOST_AFTER_MS, "lost");
  });
  try {
    const answer = await Promise.race([client.send(job), never]);
    if (answer === "lost") {
      seen.lost++;
      return false;
    }
    const flaw = flawOf(job, answer);
    if (flaw === null) seen.right++;
    else if (++seen.wrongCount <= TOLD_MAX) seen.wrong.push(`${job.nonce}: ${flaw}`);
    return true;
  } catch (error) {
    const name = nameOf(error);
    seen.errors[name] = (seen.errors[name] ?? 0) + 1;
    if (!isTyped(error) && seen.untyped.length < TOLD_MAX) seen.untyped.push(textOf(error));
    return false;
  } finally {
    clearTimeout(alarm);
    clearTimeout(guard);
    overdue.push(Math.max(0, performance.now() - due));
  }
}

/** Set when the fault has run its course: until then requests go on, and then until the load is done. */
let enough = false;

async function go(): Promise<null> {
  const { fault, seed, load } = settings;
  let next = 0;
  let settled = 0;
  delay.enable();
  const work = async () => {
    for (let failures = 0; next < load.requests || (!enough && next < load.requests * LOADS_MAX); ) {
      const well = await one(jobOf(fault, seed, next++, load));
      tellParent(++settled);
      failures = well ? 0 : failures + 1;
      if (!well) await sleep(AFTER_ERROR_MS * Math.min(failures, FAILURES_COUNTED));
    }
  };
  await Promise.all(Array.from({ length: load.workers }, work));
  delay.disable();
  return null;
}

/** What there was, and what is left of it. Its parent asks when the fault is over, which may be one of descriptors. */
async function end(): Promise<Outcome> {
  const stoodStill = delay.max / 1e6;
  const residentMost = memory("VmHWM");
  const pooled = socketCount() - socketsBefore;
  const late = overdue.filter((ms) => ms > SLACK_MS + stoodStill).length;
  const latest = Math.max(...overdue);
  return {
    ...seen,
    requests: overdue.length,
    late,
    latest,
    stoodStill,
    residentBefore,
    residentMost,
    pooled,
    left: await close(),
    uncaught,
  };
}

/** Closes the client. Returns what is left, when some time has passed in which it could go. */
async function close(): Promise<string[]> {
  const left = (): string[] => {
    const sockets = socketCount() - socketsBefore;
    const extra = handles().slice(handlesBefore.length);
    return [...(sockets > 0 ? [`${sockets} sockets`] : []), ...extra];
  };
  let closed = false;
  const closing = client.close().then(() => {
    closed = true;
  });
  closing.catch((error) => uncaught.push(textOf(error)));
  for (const since = performance.now(); performance.now() - since < CLOSE_LIMIT_MS; await sleep(5)) {
    if (closed && left().length === 0) return [];
  }
  return [...(closed ? [] : ["close() itself"]), ...left()];
}

const answers: Readonly<Record<string, () => Promise<Outcome | null>>> = {
  warm,
  go,
  end,
  async enough() {
    enough = true;
    return null;
  },
};
serveParent<null, Outcome | null>(null, (question) => {
  const answer = answers[question];
  if (answer === undefined) throw new Error(`nothing is known of ${question}`);
  return answer();
});
