/**
 * Many requests by a few workers, and what came of them: `-n` and `-c`.
 *
 * Knows nothing of HTTP but what one exchange tells at its end. A failure ends no worker: it is counted by its kind.
 */

import type { Clock } from "../clock.ts";
import { formatBytes, formatMs, type Glyphs, plural, printable, UNICODE_GLYPHS } from "./format.ts";
import { renderHistogram } from "./histogram.ts";
import { withoutCredentials } from "./target.ts";

/** One exchange, told after the last byte. */
export interface LoadAnswer {
  readonly status: number;
  readonly reused: boolean;
  readonly bytes: number;
}

interface LoadFailure {
  count: number;
  /** The message of the first of this kind. */
  readonly example: string;
}

export interface LoadResult {
  readonly asked: number;
  readonly concurrency: number;
  readonly elapsedMs: number;
  /** Of the answered ones, shortest first. */
  readonly latencies: Float64Array;
  readonly statuses: ReadonlyMap<number, number>;
  readonly failures: ReadonlyMap<string, LoadFailure>;
  readonly reused: number;
  readonly bytes: number;
  /** What failed first; it chooses the exit code. Null where nothing did. */
  readonly firstFailure: { readonly error: unknown } | null;
}

export interface LoadOptions {
  readonly count: number;
  readonly concurrency: number;
  readonly clock: Clock;
  /** No further request begins once it is aborted; what an abort cuts off counts neither as answered nor as failed. */
  readonly signal: AbortSignal;
  /** Told of each end: an answer, or a failure. */
  readonly ended?: (answered: boolean) => void;
}

/** Sends `count` requests, at most `concurrency` at a time. Resolves when the last one has ended; never rejects. */
export async function runLoad(send: () => Promise<LoadAnswer>, options: LoadOptions): Promise<LoadResult> {
  const { count, concurrency, clock, signal, ended } = options;
  const latencies = new Float64Array(count);
  const statuses = new Map<number, number>();
  const failures = new Map<string, LoadFailure>();
  let firstFailure: { error: unknown } | null = null;
  let begun = 0;
  let answered = 0;
  let reused = 0;
  let bytes = 0;

  const worker = async () => {
    while (begun < count && !signal.aborted) {
      begun++;
      const startedAt = clock.now();
      try {
        const answer = await send();
        latencies[answered++] = clock.now() - startedAt;
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.reused) reused++;
        bytes += answer.bytes;
        ended?.(true);
      } catch (error) {
        if (signal.aborted) return;
        firstFailure ??= { error };
        const kind = failureKind(error);
        const known = failures.get(kind);
        if (known === undefined) failures.set(kind, { count: 1, example: messageOf(error) });
        else known.count++;
        ended?.(false);
      }
    }
  };

  const startedAt = clock.now();
  await Promise.all(Array.from({ length: Math.min(count, concurrency) }, worker));
  const elapsedMs = clock.now() - startedAt;
  const answeredIn = latencies.subarray(0, answered).sort();
  return {
    asked: count,
    concurrency,
    elapsedMs,
    latencies: answeredIn,
    statuses,
    failures,
    reused,
    bytes,
    firstFailure,
  };
}

/** `DialError ECONNREFUSED`, `TimeoutError in headers`: the class, and the one fact that tells two of a class apart. */
export function failureKind(error: unknown): string {
  if (!(error instanceof Error)) return "thrown value";
  const { phase, cause } = error as { phase?: unknown; cause?: { code?: unknown } | null }; // an HttpError's; both unknown elsewhere
  const code = cause?.code;
  if (typeof code === "string") return `${error.name} ${code}`;
  return typeof phase === "string" ? `${error.name} in ${phase}` : error.name;
}

function messageOf(error: unknown): string {
  return printable(withoutCredentials(error instanceof Error ? error.message : String(error)));
}

/** A picture fits where it is read later. */
const COLUMNS = 80;

/** The value below which `share` of the sorted ones lie (nearest rank). */
export function percentile(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

/**
 * The summary, in lines.
 *
 * @param dialed connections that were made, as the transport's trace counted them
 */
export function renderLoad(result: LoadResult, dialed: number, glyphs: Glyphs = UNICODE_GLYPHS): string {
  const { asked, concurrency, elapsedMs, latencies, statuses, failures, reused, bytes } = result;
  const answered = latencies.length;
  const rate = elapsedMs > 0 ? Math.round((answered * 1000) / elapsedMs) : 0;
  const byStatus = [...statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${n} with ${status}`);
  const failed = [...failures.values()].reduce((sum, failure) => sum + failure.count, 0);
  const unsent = asked - answered - failed;
  const share = answered > 0 ? ` (${((100 * reused) / answered).toFixed(1)} %)` : "";
  const rows: [string, string][] = [
    ["requests", `${asked} by ${plural(concurrency, "worker")} in ${formatMs(elapsedMs)}, ${rate} answers a second`],
    ["answers", byStatus.join(", ") || "none"],
    ["failures", String(failed)],
  ];
  for (const [kind, { count, example }] of failures) rows.push(["", `${count} × ${kind}: ${example}`]);
  if (unsent > 0) rows.push(["interrupted", `${unsent} not sent or not finished`]);
  rows.push(["connections", `${dialed} dialed; ${plural(reused, "answer")} on a reused one${share}`]);
  if (answered > 0) {
    const at = (share: number) => formatMs(percentile(latencies, share));
    rows.push(["latency", `p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)}`]);
  }
  rows.push(["received", `${formatBytes(bytes)} of bodies`]);
  const lines = rows.map(([name, text]) => name.padEnd(13) + text);
  return [...lines, ...renderHistogram(latencies, COLUMNS, glyphs)].map((line) => `${line}\n`).join("");
}
