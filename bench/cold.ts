/**
 * Import and first request: processes that live for one request, contestant after contestant, over and over. One round
 * holds one process of each, begun with another one each time, so that ratios are of neighbours in time.
 */
import { spawn } from "node:child_process";
import type { Entrant, Setting } from "./measure.ts";
import { contestantEnvironment, makeTarget } from "./measure.ts";
import type { Scenario } from "./scenarios.ts";
import { pinned } from "./support/machine.ts";
import type { ColdWindow, Target } from "./support/protocol.ts";

export interface ColdResult {
  readonly name: string;
  readonly rounds: readonly ColdWindow[];
  readonly failure?: string;
}

const PROCESS_LIMIT_MS = 30_000;

export async function measureCold(
  scenario: Scenario,
  entrants: readonly Entrant[],
  setting: Setting,
  rounds: number,
): Promise<ColdResult[]> {
  const target = makeTarget(scenario, setting);
  const results = entrants.map((entrant) => ({ entrant, rounds: [] as ColdWindow[], failure: null as string | null }));
  // The first of each only brings its files into memory: a cold process, not a cold disk.
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < results.length; i++) {
      const result = results[(i + round + 1) % results.length]!;
      if (result.failure !== null) continue;
      try {
        const window = await once(result.entrant, target, setting);
        if (round >= 0) result.rounds.push(window);
      } catch (error) {
        result.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return results.map(({ entrant: { name }, rounds: windows, failure }) =>
    failure === null ? { name, rounds: windows } : { name, rounds: windows, failure },
  );
}

function once({ name, coldCommand }: Entrant, target: Target, setting: Setting): Promise<ColdWindow> {
  const [file = "", ...args] = pinned(setting.core, [...coldCommand, JSON.stringify(target)]);
  return new Promise((resolve, reject) => {
    const env = { ...contestantEnvironment(setting.certFile) };
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"], env, timeout: PROCESS_LIMIT_MS });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code !== 0) return reject(new Error(`${name}: exited early (${signal ?? code})`));
      try {
        resolve(JSON.parse(output) as ColdWindow); // cold-worker.ts and main.go print these names
      } catch {
        reject(new Error(`${name}: stray output: ${output}`));
      }
    });
  });
}
