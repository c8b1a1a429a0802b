/** The rows of a chaos run's table, and the rules that ours must keep under every fault. */

import { count } from "../support/report.ts";
import { CONTESTANTS } from "./contestants.ts";

/** What a deadline may be missed by: a timer of the client's is late by 10 ms at most, the rest is the kernel's. */
export const SLACK_MS = 500;
/** What the memory of a client may grow under a load of at most 16 bodies at once. */
const GROWTH_MAX = 64 * 2 ** 20;

/** How it went, as the client's process saw it. */
export interface Outcome {
  readonly requests: number;
  readonly right: number;
  /** Errors by name, and how often. */
  readonly errors: Readonly<Record<string, number>>;
  /** Errors that are none of lib/errors.ts, or name no phase: the first few. */
  readonly untyped: readonly string[];
  /** Answers that are wrong, or another request's: what was wrong with the first few. */
  readonly wrong: readonly string[];
  readonly wrongCount: number;
  /** Requests that had not settled long after their deadline. */
  readonly lost: number;
  /** Requests that settled past their deadline, the slack, and the longest time for which the process stood still. */
  readonly late: number;
  /** The longest time by which a request settled past its deadline, as a timer of its process saw that. */
  readonly latest: number;
  readonly stoodStill: number;
  /** Resident memory at the start of the load, and its most until the end, as the kernel has it. */
  readonly residentBefore: number;
  readonly residentMost: number;
  /** Connections in the client's hands when the last request had settled. */
  readonly pooled: number;
  /** Sockets and other handles that are there after close() and were not before the client was opened. */
  readonly left: readonly string[];
  /** What nobody caught. */
  readonly uncaught: readonly string[];
}

/** One client under one fault. */
export interface Result {
  readonly outcome: Outcome;
  /** POSTs of which the server saw more than one. */
  readonly twice: readonly string[];
}

/** Which rules are broken. Nobody allowed a retry of what may have been done, so no POST may be seen twice. */
export function judge({ outcome, twice }: Result, harmless: boolean): string[] {
  const { requests, right, errors, untyped, wrong, wrongCount, lost, late, latest, left, uncaught } = outcome;
  const failed = Object.values(errors).reduce((sum, times) => sum + times, 0);
  const growth = outcome.residentMost - outcome.residentBefore;
  const broken: string[] = [];
  if (lost > 0) broken.push(`${lost} requests never settled`);
  if (wrongCount > 0) broken.push(`${wrongCount} wrong answers: ${wrong.join("; ")}`);
  if (late > 0)
    broken.push(`${late} requests settled late, one by ${Math.round(latest)} ms, where ${SLACK_MS} are allowed`);
  if (twice.length > 0) broken.push(`POSTs sent more than once: ${twice.join(", ")}`);
  if (untyped.length > 0) broken.push(`errors without a type or a phase: ${untyped.join("; ")}`);
  if (growth > GROWTH_MAX) broken.push(`memory grew by ${mib(growth)} MiB, where ${mib(GROWTH_MAX)} are allowed`);
  if (left.length > 0) broken.push(`left after close(): ${left.join(", ")}`);
  if (uncaught.length > 0) broken.push(`uncaught: ${uncaught.join("; ")}`);
  if (right + failed + lost + wrongCount !== requests)
    broken.push("the sum of all ends is not the sum of the requests");
  if (harmless && right !== requests) broken.push(`${failed} errors, though nothing was done`);
  return broken;
}

const COLUMNS = [
  "client",
  "requests",
  "right",
  "errors",
  "wrong",
  "lost",
  "late",
  "latest",
  "still",
  "twice",
  "memory",
  "pooled",
  "left",
];
const WIDTHS = [13, 9, 7, 7, 6, 5, 5, 7, 6, 6, 7, 7, 5];

const line = (cells: readonly string[]) =>
  cells.map((cell, at) => (at === 0 ? cell.padEnd(WIDTHS[0] ?? 0) : cell.padStart(WIDTHS[at] ?? 0))).join("");

export const LEGEND = `right: answers with their own nonce and the right checksums, both ways    errors: by what they call themselves, at the end of the row
wrong: another request's, or not what was sent    lost: never settled    late: settled more than ${SLACK_MS} ms past its deadline
(besides the longest time that its process stood still)    latest: the longest time past a deadline, in ms
still: the longest time that the process stood still for want of a core, in ms
twice: POSTs of which the server saw more than one    memory: growth of the resident memory at its most, in MiB
pooled: connections when the last request had settled    left: sockets and handles after close()`;

export const header = (): string => `  ${line(COLUMNS)}  errors by code`;

export function row(at: number, { outcome, twice }: Result): string {
  const { requests, right, errors, wrongCount, lost, late, latest, stoodStill, pooled, left } = outcome;
  const failed = Object.values(errors).reduce((sum, times) => sum + times, 0);
  const figures = [requests, right, failed, wrongCount, lost, late].map((n) => count(n));
  const growth = `+${mib(outcome.residentMost - outcome.residentBefore)}`;
  const rest = [
    latest > 0 ? String(Math.round(latest)) : "none",
    String(Math.round(stoodStill)),
    count(twice.length),
    growth,
    count(pooled),
    count(left.length),
  ];
  const named = Object.entries(errors).sort((a, b) => b[1] - a[1]);
  const told = named.map(([name, times]) => `${name}: ${times}`).join(", ");
  return `  ${line([CONTESTANTS[at] ?? "", ...figures, ...rest])}  ${told}`;
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
