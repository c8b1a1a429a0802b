/**
 * The simulator by itself, for a night: RUNS seeds (default 100,000) from SEED on (default: a fresh one, printed), of about
 * REQUESTS requests each (default 100), over WORKERS processes (default: one for each core). Prints its sums every ten
 * seconds, and each failure with its replay command as soon as it is found; ends with 1 if there was any. STOP=1 ends at
 * the first.
 *
 * A run that is cut short is not lost: each line of sums says which seed is the first that is not done, to go on from, and
 * counts no seed behind it that it cannot vouch for. The digest stands for every log line of those seeds: the same seeds
 * of the same code have the same one, whatever the number of workers.
 *
 * `make simulate RUNS=100000`
 */

import { type ChildProcess, fork } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { reportOf } from "./report.ts";
import { simulate } from "./simulate.ts";

/** Seeds that a worker is given at once. */
const BATCH = 50;
const TELL_EVERY_MS = 10_000;

interface Batch {
  readonly from: number;
  readonly to: number;
  readonly requests: number;
}

interface Outcome {
  readonly runs: number;
  readonly requests: number;
  readonly failed: number;
  readonly connections: number;
  /** Of processor time, in the worker. */
  readonly seconds: number;
  readonly digest: number;
  readonly reports: readonly string[];
}

function number(name: string, otherwise: number): number {
  const text = process.env[name] ?? "";
  return text === "" ? otherwise : Number(text);
}

const stops = number("STOP", 0) === 1;

function work(): void {
  process.on("message", async ({ from, to, requests }: Batch) => {
    const before = process.cpuUsage();
    const reports: string[] = [];
    const sum = { runs: 0, requests: 0, failed: 0, connections: 0, digest: 0 };
    for (let seed = from; seed < to; seed++) {
      const result = await simulate(seed, { requests });
      sum.runs++;
      sum.requests += result.requests;
      sum.failed += result.failed;
      sum.connections += result.connections;
      sum.digest = digested(sum.digest, result.fingerprint);
      if (result.error === null) continue;
      reports.push(reportOf(result));
      if (stops) break;
    }
    const { user, system } = process.cpuUsage(before);
    process.send?.({ ...sum, seconds: (user + system) / 1e6, reports } satisfies Outcome);
  });
}

function digested(digest: number, text: string): number {
  return createHash("sha1").update(`${digest} ${text}`).digest().readUInt32BE();
}

/** The sums of all seeds from the first on, as far as every one of them is done. */
class Sums {
  readonly #startedAt = performance.now();
  /** Batches that are done while one before them is not, by their first seed. */
  readonly #ahead = new Map<number, { batch: Batch; outcome: Outcome }>();
  #next: number;
  #runs = 0;
  #requests = 0;
  #failed = 0;
  #connections = 0;
  #seconds = 0;
  #digest = 0;
  violations = 0;

  constructor(first: number) {
    this.#next = first;
  }

  add(batch: Batch, outcome: Outcome): void {
    this.violations += outcome.reports.length;
    this.#ahead.set(batch.from, { batch, outcome });
    for (let done = this.#ahead.get(this.#next); done !== undefined; done = this.#ahead.get(this.#next)) {
      this.#ahead.delete(this.#next);
      this.#next = done.batch.to;
      this.#runs += done.outcome.runs;
      this.#requests += done.outcome.requests;
      this.#failed += done.outcome.failed;
      this.#connections += done.outcome.connections;
      this.#seconds += done.outcome.seconds;
      this.#digest = digested(this.#digest, `${done.outcome.digest}`);
    }
  }

  toString(): string {
    const wall = (performance.now() - this.#startedAt) / 1000;
    if (this.#runs === 0) return `no batch is done after ${wall.toFixed(0)} s`;
    return [
      `${this.#runs} runs, ${this.#requests} requests (${this.#failed} failed for a reason, ${this.#connections} connections)`,
      `${this.violations} violations`,
      `${wall.toFixed(0)} s: ${Math.round(this.#requests / wall)} requests/s`,
      `${Math.round(this.#requests / this.#seconds)} in a second of processor time`,
      `digest ${this.#digest.toString(16)}`,
      `next SEED=${this.#next}`,
    ].join(", ");
  }
}

async function lead(): Promise<void> {
  const first = number("SEED", randomInt(2 ** 31));
  const runs = number("RUNS", 100_000);
  const requests = number("REQUESTS", 100);
  const workers = number("WORKERS", availableParallelism());
  console.log(`seeds ${first} to ${first + runs - 1}, about ${requests} requests each, ${workers} workers`);
  const sums = new Sums(first);
  let next = first;
  const timer = setInterval(() => console.log(`${sums}`), TELL_EVERY_MS);
  const give = (worker: ChildProcess): Batch | null => {
    if (next >= first + runs) {
      worker.disconnect();
      return null;
    }
    const batch = { from: next, to: Math.min(next + BATCH, first + runs), requests };
    worker.send(batch);
    next = batch.to;
    return batch;
  };
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = fork(fileURLToPath(import.meta.url), ["--worker"]);
      let batch = give(worker);
      worker.on("message", (outcome: Outcome) => {
        if (batch === null) return;
        sums.add(batch, outcome);
        for (const report of outcome.reports) console.log(report);
        if (stops && sums.violations > 0) next = first + runs;
        batch = give(worker);
      });
      worker.on("exit", (code) => {
        if (code === 0) resolve();
        else reject(new Error(`A worker ended with ${code}, in seeds ${batch?.from} to ${batch?.to}`));
      });
    });
  try {
    await Promise.all(Array.from({ length: workers }, one));
  } finally {
    clearInterval(timer);
  }
  console.log(`${sums}`);
  if (sums.violations > 0) process.exitCode = 1;
}

if (process.argv.includes("--worker")) work();
else await lead();
