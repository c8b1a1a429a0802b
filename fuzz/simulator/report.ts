/** What a run that failed has to say: the rule, the end of its log, and how to see it again. */

import type { RunResult } from "./simulate.ts";

/** Lines of the log that a failure shows. */
const LINES_SHOWN = 120;

function replayCommand(seed: number): string {
  return `make fuzz SEED=${seed} RUNS=1 NAME=simulator`;
}

export function reportOf({ seed, error, log }: RunResult): string {
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [
    `Simulator, seed ${seed}: ${what}`,
    `log, its last ${Math.min(LINES_SHOWN, log.length)} lines:`,
    ...log.slice(-LINES_SHOWN).map((line) => `  ${line}`),
    `replay: ${replayCommand(seed)}`,
  ].join("\n");
}
