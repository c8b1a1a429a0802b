/** What a run that failed has to say: the rule, the end of its log, and how to see it again. */

import type { RunResult } from "./simulate.ts";

/** Lines of the log that a failure shows. */
const LINES_SHOWN = 120;

function replayCommand({ seed, options: { requests } }: RunResult): string {
  const many = requests === undefined ? "" : ` REQUESTS=${requests}`;
  return `make fuzz SEED=${seed} RUNS=1 NAME=simulator${many}`;
}

export function reportOf(result: RunResult): string {
  const { seed, error, log } = result;
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [
    `Simulator, seed ${seed}: ${what}`,
    `log, its last ${Math.min(LINES_SHOWN, log.length)} lines:`,
    ...log.slice(-LINES_SHOWN).map((line) => `  ${line}`),
    `replay: ${replayCommand(result)}`,
  ].join("\n");
}
