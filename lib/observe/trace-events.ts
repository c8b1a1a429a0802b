/**
 * A recording in the Trace Event Format, for Perfetto and `chrome://tracing`: for each connection a lane of its life (dial,
 * exchanges, idle times), one of its write loop and one of its read loop; above them each call, from its start to its end.
 * Pure.
 *
 * A slice of a lane is one event with its length, which no reader can pair wrongly: DevTools' own pairs begins and ends of
 * all lanes on one stack. What was still under way ends with the recording. The slices of a lane do not overlap, and stand
 * in the order of their times.
 *
 * The format: "Trace Event Format", Google, 2016; `ts` is in microseconds.
 */

import type { RecordedAttempt, RecordedConnection, Recording } from "./recording.ts";
import { CLOSE_WORDS, errorWords, explain } from "./words.ts";

export interface TraceFileEvent {
  readonly name: string;
  readonly cat: string;
  /** X: a slice of a lane; b and e: a call; i: an instant; M: names. */
  readonly ph: "X" | "b" | "e" | "i" | "M";
  readonly ts: number;
  /** Of a slice: how long it is, in microseconds. */
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  /** Which call, of b and e. */
  readonly id?: number;
  /** Of an instant: the lane's. */
  readonly s?: "t";
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface TraceFile {
  readonly traceEvents: readonly TraceFileEvent[];
  readonly displayTimeUnit: "ms";
}

const PID = 1;

/** One lane: keeps its slices apart and in order, whatever the stamps say. */
class Lane {
  readonly events: TraceFileEvent[] = [];
  readonly #tid: number;
  readonly #cat: string;
  #at = 0;

  constructor(tid: number, cat: string, name: string) {
    this.#tid = tid;
    this.#cat = cat;
    const named = { cat: "__metadata", ph: "M" as const, ts: 0, pid: PID, tid };
    this.events.push({ ...named, name: "thread_name", args: { name } });
    this.events.push({ ...named, name: "thread_sort_index", args: { sort_index: tid } });
  }

  slice(name: string, from: number, to: number, args: Readonly<Record<string, unknown>>): void {
    const begin = this.#after(from);
    this.#push({ name, ph: "X", ts: begin, dur: this.#after(to) - begin, args });
  }

  instant(name: string, at: number): void {
    this.#push({ name, ph: "i", ts: this.#after(at), s: "t" });
  }

  #after(at: number): number {
    this.#at = Math.max(this.#at, at);
    return this.#at;
  }

  #push(event: Pick<TraceFileEvent, "name" | "ph" | "ts" | "dur" | "s" | "args">): void {
    this.events.push({ cat: this.#cat, pid: PID, tid: this.#tid, ...event });
  }
}

/** The file as data: `JSON.stringify` makes the file of it. */
export function traceEvents(recording: Recording): TraceFile {
  const { attempts, connections } = recording;
  const begins = [...attempts.map(({ from }) => from), ...connections.map((c) => c.dialedAt ?? c.openedAt)];
  const start = begins.reduce((first, at) => Math.min(first, at), recording.now);
  const micros = (at: number) => Math.round((at - start) * 1000);
  const end = micros(recording.now);
  const byConnection = new Map<number, RecordedAttempt[]>();
  for (const attempt of attempts) {
    if (attempt.connection === null) continue;
    const those = byConnection.get(attempt.connection);
    if (those === undefined) byConnection.set(attempt.connection, [attempt]);
    else those.push(attempt);
  }
  const events: TraceFileEvent[] = [
    { name: "process_name", cat: "__metadata", ph: "M", ts: 0, pid: PID, tid: 0, args: { name: "persistconn" } },
  ];
  for (const connection of connections) {
    const carried = (byConnection.get(connection.id) ?? []).sort((a, b) => (a.assignedAt ?? 0) - (b.assignedAt ?? 0));
    events.push(...lanesOf(connection, carried, micros, end));
  }
  events.push(...attempts.flatMap((attempt) => callOf(attempt, micros, end)));
  // Stable: what has the same time stays in the order of its lane.
  events.sort((a, b) => a.ts - b.ts);
  return { traceEvents: events, displayTimeUnit: "ms" };
}

function lanesOf(
  connection: RecordedConnection,
  carried: readonly RecordedAttempt[],
  micros: (at: number) => number,
  end: number,
): TraceFileEvent[] {
  const { id, peer } = connection;
  const life = new Lane(3 * id, "connection", `connection ${id} to ${peer}`);
  const writes = new Lane(3 * id + 1, "write", `connection ${id}: write loop`);
  const reads = new Lane(3 * id + 2, "read", `connection ${id}: read loop`);
  const until = (at: number | null) => (at === null ? end : micros(at));

  const { dialedAt, openedAt } = connection;
  life.slice("dial", micros(dialedAt ?? openedAt), micros(openedAt), { for: connection.dialedFor });
  const periods: { from: number; to: number; name: string; args: Readonly<Record<string, unknown>> }[] = [
    ...connection.idle.map(({ from, to }) => ({ from: micros(from), to: until(to), name: "idle", args: {} })),
    ...carried.map((attempt) => ({
      from: micros(attempt.assignedAt ?? attempt.from),
      to: until(attempt.endAt),
      name: nameOf(attempt),
      args: argsOf(attempt),
    })),
  ];
  for (const { from, to, name, args } of periods.sort((a, b) => a.from - b.from)) life.slice(name, from, to, args);
  if (connection.closedAt !== null && connection.closeReason !== null) {
    life.instant(`closed: ${CLOSE_WORDS[connection.closeReason]}`, micros(connection.closedAt));
  }
  for (const attempt of carried) {
    const { writtenAt, sentAt, firstByteAt, headAt, endAt, bytesSent, bytesReceived } = attempt;
    if (writtenAt !== null) {
      writes.slice(`write ${nameOf(attempt)}`, micros(writtenAt), until(sentAt ?? endAt), { bytes: bytesSent });
    }
    if (writtenAt !== null && firstByteAt === null) {
      reads.slice("wait", until(sentAt ?? writtenAt), until(endAt), { call: attempt.call });
    }
    if (firstByteAt !== null) {
      reads.slice("wait", Math.min(until(sentAt ?? writtenAt), micros(firstByteAt)), micros(firstByteAt), {
        call: attempt.call,
      });
      reads.slice("head", micros(firstByteAt), until(headAt ?? endAt), { status: attempt.status });
    }
    if (headAt !== null) reads.slice("body", micros(headAt), until(endAt), { bytes: bytesReceived });
  }
  return [...life.events, ...writes.events, ...reads.events];
}

/** The call as an asynchronous slice: from its start on, its wait for a connection too. */
function callOf(attempt: RecordedAttempt, micros: (at: number) => number, end: number): TraceFileEvent[] {
  const common = { name: nameOf(attempt), cat: "call", pid: PID, tid: 0, id: attempt.call };
  const to = attempt.endAt === null ? end : micros(attempt.endAt);
  return [
    { ...common, ph: "b", ts: micros(attempt.from), args: argsOf(attempt) },
    { ...common, ph: "e", ts: to },
  ];
}

function nameOf({ method, url, attempt }: RecordedAttempt): string {
  return `${method} ${url}${attempt > 1 ? ` (attempt ${attempt})` : ""}`;
}

function argsOf(attempt: RecordedAttempt): Readonly<Record<string, unknown>> {
  const { call, status, outcome, error, reused, connection } = attempt;
  const story = attempt.events.map((event) => explain(event));
  return {
    call,
    connection,
    reused,
    status,
    outcome,
    story,
    ...(error === undefined ? {} : { error: errorWords(error) }),
  };
}
