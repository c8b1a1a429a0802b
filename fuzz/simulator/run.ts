/**
 * The simulator by itself, for a night: RUNS seeds (default 100,000) from SEED on (default: a fresh one, printed), of about
 * REQUESTS requests each (default 100), over WORKERS processes (default: one for each core). Prints its rate, and each
 * failure with its replay command as soon as it is found; ends with 1 if there was any. STOP=1 ends at the first.
 *
 * `make simulate RUNS=100000`
 */

import { type ChildProcess, fork } from "node:child_process";
import { randomInt } from "node:crypto";
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
  readonly reports: readonly string[];
}

function number(name: string, otherwise: number): number {
  const text = process.env[name] ?? "";
  return text === "" ? otherwise : Number(text);
}

const stops = number("STOP", 0) === 1;

function work(): void {
  process.on("unhandledRejection", (error) => {
    throw error;
  });
  process.on("message", async ({ from, to, requests }: Batch) => {
    const outcome = { runs: 0, requests: 0, failed: 0, connections: 0, reports: [] as string[] };
    for (let seed = from; seed < to; seed++) {
      const result = await simulate(seed, { requests });
      outcome.runs++;
      outcome.requests += result.requests;
      outcome.failed += result.failed;
      outcome.connections += result.connections;
      if (result.error === null) continue;
      outcome.reports.push(reportOf(result));
      if (stops) break;
    }
    process.send?.(outcome);
  });
}

async function lead(): Promise<void> {
  const first = number("SEED", randomInt(2 ** 31));
  const runs = number("RUNS", 100_000);
  const requests = number("REQUESTS", 100);
  const workers = number("WORKERS", availableParallelism());
  console.log(`seeds ${first} to ${first + runs - 1}, about ${requests} requests each, ${workers} workers`);
  const startedAt = performance.now();
  const sum = { runs: 0, requests: 0, failed: 0, connections: 0, violations: 0 };
  let next = first;
  const told = () => {
    const seconds = (performance.now() - startedAt) / 1000;
    const rate = Math.round(sum.requests / seconds);
    return `${sum.runs} runs, ${sum.requests} requests (${sum.failed} failed for a reason, ${sum.connections} connections), ${sum.violations} violations, ${seconds.toFixed(0)} s: ${rate} requests/s`;
  };
  const timer = setInterval(() => console.log(told()), TELL_EVERY_MS);
  const give = (worker: ChildProcess) => {
    if (next >= first + runs) return worker.disconnect();
    const to = Math.min(next + BATCH, first + runs);
    worker.send({ from: next, to, requests } satisfies Batch);
    next = to;
  };
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = fork(fileURLToPath(import.meta.url), ["--worker"]);
      worker.on("message", (outcome: Outcome) => {
        for (const name of ["runs", "requests", "failed", "connections"] as const) sum[name] += outcome[name];
        sum.violations += outcome.reports.length;
        for (const report of outcome.reports) console.log(report);
        if (stops && sum.violations > 0) next = first + runs;
        give(worker);
      });
      worker.on("exit", (code) => {
        if (code === 0) resolve();
        else reject(new Error(`A worker ended with ${code}, among seeds up to ${next}`));
      });
      give(worker);
    });
  try {
    await Promise.all(Array.from({ length: workers }, one));
  } finally {
    clearInterval(timer);
  }
  console.log(told());
  if (sum.violations > 0) process.exitCode = 1;
}

if (process.argv.includes("--worker")) work();
else await lead();
