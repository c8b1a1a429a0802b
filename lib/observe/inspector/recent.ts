/**
 * The last exchanges of a running transport, for the live view: what each is at, and its story in words.
 *
 * Lives as long as its transport is watched. Owns at most `ROWS_MAX` rows, with `STORY_MAX` lines each: what is over
 * longest goes first, then what began first.
 * Never: shows a secret: it hears what a listener hears who did not ask for any, and texts are cut.
 */

import { shownText } from "../../secrets.ts";
import type { TraceEvent } from "../../trace.ts";
import { errorWords, explain } from "../words.ts";

const ROWS_MAX = 100;
const STORY_MAX = 40;
const TEXT_MAX = 300;

/** One call, as the page shows it. */
export interface RecentRow {
  readonly call: number;
  readonly method: string;
  readonly url: string;
  readonly startedAt: number;
  attempt: number;
  /** What it does now, or how it ended. */
  state: string;
  outcome: "pending" | "answered" | "failed";
  connection: number | null;
  reused: boolean;
  bytes: number;
  endAt: number | null;
}

interface Kept {
  readonly row: RecentRow;
  /** Of the last change; later changes have greater ones. */
  version: number;
  readonly story: { readonly at: number; readonly text: string }[];
  untold: number;
}

export class Recent {
  readonly #calls = new Map<number, Kept>();
  #version = 0;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Rises with each change. */
  get version(): number {
    return this.#version;
  }

  readonly hear = (event: TraceEvent): void => {
    this.#version++;
    this.#changed();
    if (event.call === null) return;
    const kept = event.type === "call-start" ? this.#begin(event) : this.#calls.get(event.call);
    if (kept === undefined) return; // it began before anybody watched, or went for want of room
    kept.version = this.#version;
    if (event.type === "body-data") {
      kept.row.bytes += event.bytes;
      return;
    }
    if (event.type === "body-sent") return;
    if (kept.story.length < STORY_MAX)
      kept.story.push({ at: event.at - kept.row.startedAt, text: cut(explain(event)) });
    else kept.untold++;
    this.#move(kept.row, event);
  };

  /** Rows that changed after a version, the one that began last first. */
  since(version: number): RecentRow[] {
    return [...this.#calls.values()].filter((kept) => kept.version > version).map(({ row }) => row);
  }

  /** Numbers of all calls that are kept. */
  get calls(): number[] {
    return [...this.#calls.keys()];
  }

  /** What happened to one, or null where it is not kept any more. */
  story(call: number): { readonly lines: readonly { at: number; text: string }[]; readonly untold: number } | null {
    const kept = this.#calls.get(call);
    return kept === undefined ? null : { lines: kept.story, untold: kept.untold };
  }

  #begin({ call, method, url, at }: TraceEvent & { type: "call-start" }): Kept {
    this.#makeRoom();
    const row: RecentRow = {
      call: call ?? 0, // a call that starts has its number
      method: cut(method),
      url: cut(url),
      startedAt: at,
      attempt: 1,
      state: "looks for a connection",
      outcome: "pending",
      connection: null,
      reused: false,
      bytes: 0,
      endAt: null,
    };
    const kept: Kept = { row, version: 0, story: [], untold: 0 };
    this.#calls.set(row.call, kept);
    return kept;
  }

  #makeRoom(): void {
    if (this.#calls.size < ROWS_MAX) return;
    let oldest: number | null = null;
    let first = Number.POSITIVE_INFINITY;
    for (const [call, { row }] of this.#calls) {
      if (row.endAt !== null && row.endAt < first) [oldest, first] = [call, row.endAt];
    }
    for (const call of this.#calls.keys()) {
      this.#calls.delete(oldest ?? call);
      return;
    }
  }

  #move(row: RecentRow, event: TraceEvent): void {
    if (event.attempt > row.attempt) row.attempt = event.attempt;
    switch (event.type) {
      case "pool-wait":
        row.state = "waits for a connection";
        return;
      case "dial-start":
        row.state = "waits for its dial";
        return;
      case "pool-assigned":
        row.connection = event.connection;
        row.reused = event.reused;
        row.state = "has its connection";
        return;
      case "request-write":
        row.state = "is written";
        return;
      case "continue-wait":
        row.state = "waits for a 100";
        return;
      case "request-sent":
        if (row.outcome === "pending" && !/^\d/.test(row.state)) row.state = "waits for the answer";
        return;
      case "head":
        row.state = cut(`${event.status} ${event.statusText}`.trimEnd());
        return;
      case "retry":
        row.state = "is sent again";
        row.connection = null;
        return;
      case "call-failed":
      case "body-failed":
        row.state = cut(errorWords(event.error));
        return this.#end(row, event.at, "failed");
      case "handed-over":
        row.state = `${event.status}, handed over`;
        return this.#end(row, event.at, "answered");
      case "end":
        return this.#end(row, event.at, "answered");
    }
  }

  #end(row: RecentRow, at: number, outcome: "answered" | "failed"): void {
    if (row.endAt !== null) return;
    row.endAt = at;
    row.outcome = outcome;
  }
}

function cut(text: string): string {
  const safe = shownText(text);
  return safe.length > TEXT_MAX ? `${safe.slice(0, TEXT_MAX - 1)}…` : safe;
}
