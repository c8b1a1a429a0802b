/**
 * What an experiment says: figures, and checks of them. Counts the checks for the closing line.
 */

import type { Counts } from "./origin-process.ts";

/** One load, as it was seen from both ends. */
export interface Load {
  readonly name: string;
  readonly answered: number;
  /** By the client's own count. */
  readonly dialed: number;
  readonly server: Counts;
  readonly timeWaitBefore: number | null;
  readonly timeWaitAfter: number | null;
  readonly ms: number;
}

export class Report {
  passed = 0;
  failed = 0;

  title(text: string): void {
    process.stdout.write(`\n${text}\n`);
  }

  say(text: string): void {
    process.stdout.write(`      ${text}\n`);
  }

  load(load: Load): void {
    const { name, answered, dialed, server, timeWaitBefore, timeWaitAfter, ms } = load;
    const waits =
      timeWaitBefore === null ? "TIME_WAIT unknown" : `TIME_WAIT ${timeWaitBefore} before, ${timeWaitAfter} after`;
    const counted = `${answered} answered, ${dialed} dialed, ${server.accepted} accepted`;
    this.say(`${name.padEnd(34)} ${counted}, ${waits}, ${ms.toFixed(0)} ms`);
  }

  /** An expectation. `figure` is what was seen, whether it holds or not. */
  check(expectation: string, holds: boolean, figure: string | number | null): void {
    if (holds) this.passed++;
    else this.failed++;
    process.stdout.write(`${holds ? "PASS" : "FAIL"}  ${expectation}: ${figure}\n`);
  }

  /** The sockets left in TIME_WAIT by a load; without a kernel to ask it cannot fail. */
  checkNoTimeWait(load: Load): void {
    if (load.timeWaitBefore === null || load.timeWaitAfter === null) {
      this.say("TIME_WAIT: no /proc/net/tcp here");
      return;
    }
    const growth = load.timeWaitAfter - load.timeWaitBefore;
    this.check(`${load.name}: no growth in TIME_WAIT`, growth === 0, growth);
  }

  close(): number {
    process.stdout.write(`\n${this.passed} passed, ${this.failed} failed\n`);
    return this.failed === 0 ? 0 : 1;
  }
}
