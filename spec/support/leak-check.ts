/**
 * Fails a spec that leaves something behind: a socket, a server, a pipe, a timer that keeps the process alive, a listener
 * on a signal.
 *
 * Two sources, since each misses something. `process.getActiveResourcesInfo()` names what keeps the process alive, but not
 * what is unref'd, as idle connections are; async_hooks sees every handle made and closed, and where it was made.
 * Closing takes some turns of the loop, so a check looks until the leftovers are gone, and gives up after a while.
 */

import { createHook } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach } from "vitest";

const HANDLES = new Set(["TCPWRAP", "TCPSERVERWRAP", "PIPEWRAP", "PIPESERVERWRAP", "PROCESSWRAP", "UDPWRAP"]);
/** What the loop is at anyway while a check runs. */
const OURS = new Set(["Immediate", "Timeout"]);
const PATIENCE_MS = 2_000;
const LOOK_EVERY_MS = 5;

/** Handles open now, by async id, with the place where each was made. */
const open = new Map<number, string>();

createHook({
  init(id, type) {
    if (HANDLES.has(type)) open.set(id, `${type} made ${placeOf(new Error())}`);
  },
  destroy(id) {
    open.delete(id);
  },
}).enable();

export class LeakCheck {
  readonly #before = new Set(open.keys());
  readonly #active = countActive();
  readonly #signals: AbortSignal[] = [];

  /** The signal must have no listener left at the end. */
  watch(signal: AbortSignal): AbortSignal {
    this.#signals.push(signal);
    return signal;
  }

  /** @throws {Error} naming what is left, when it does not go away by itself */
  async done(): Promise<void> {
    let left = this.#left();
    for (let waited = 0; left.length > 0 && waited < PATIENCE_MS; waited += LOOK_EVERY_MS) {
      await setTimeout(LOOK_EVERY_MS);
      left = this.#left();
    }
    if (left.length > 0) throw new Error(`Left behind:\n  ${left.join("\n  ")}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.done();
  }

  #left(): string[] {
    const left = [...open].filter(([id]) => !this.#before.has(id)).map(([, what]) => what);
    if (left.length === 0) {
      for (const [type, count] of countActive()) {
        const more = count - (this.#active.get(type) ?? 0);
        if (more > 0) left.push(`${more} × ${type}, active`);
      }
    }
    for (const signal of this.#signals) {
      const listeners = getEventListeners(signal, "abort").length;
      if (listeners > 0) left.push(`${listeners} × listener on a signal`);
    }
    return left;
  }
}

/** Checks every test of a spec file; returns what gives the check of the test that runs. */
export function checkLeaks(): () => LeakCheck {
  let check: LeakCheck;
  beforeEach(() => {
    check = new LeakCheck();
  });
  afterEach(() => check.done());
  return () => check;
}

function countActive(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (!OURS.has(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

function placeOf(error: Error): string {
  const frames = (error.stack ?? "").split("\n").slice(2);
  const frame = frames.find((line) => /\/(lib|spec|fuzz|bench)\//.test(line) && !line.includes("node_modules"));
  return (frame ?? frames.at(-1) ?? "somewhere").trim();
}
