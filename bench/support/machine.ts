/**
 * The machine the bench runs on: what it is, and which cores to use.
 *
 * A contestant and the responder are pinned, so that the scheduler does not decide anew in every round. Where they stand
 * depends on the scenario. With one worker only one of the two ever has work, so they share a core: apart, each half of
 * a round trip would wake a core that has gone to sleep, and on virtual machines that wake-up is charged to whoever
 * writes (20 µs a request seen, for every contestant alike, against the 10 µs that a request costs). With many workers
 * both work at once and neither sleeps: there each has its own core.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** One-minute load when the bench started: above 0.5, something else was running. */
  readonly load: number;
  /** Cores to pin to; null where taskset or a second core is missing. */
  readonly pin: { readonly responder: number; readonly contestants: number } | null;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? "unknown",
    cores: all.length,
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
    pin: choosePins(),
  };
}

export type Placement = "together" | "apart";

/** Where the responder runs; the contestants are always on `pin.contestants`. Undefined: anywhere. */
export function responderCore(pin: Machine["pin"], placement: Placement): number | undefined {
  return placement === "together" ? pin?.contestants : pin?.responder;
}

/** The command that runs `command` on one core, or anywhere when there is no pinning. */
export function pinned(core: number | undefined, command: readonly string[]): readonly string[] {
  return core === undefined ? command : ["taskset", "-c", String(core), ...command];
}

function choosePins(): Machine["pin"] {
  if (spawnSync("taskset", ["--version"]).status !== 0) return null;
  const allowed = cpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status"))?.[1] ?? "");
  const [responder] = allowed;
  if (responder === undefined) return null;
  // Two threads of one core share its units: a sibling is only better than nothing.
  const siblings = cpuList(read(`/sys/devices/system/cpu/cpu${responder}/topology/thread_siblings_list`).trim());
  const others = allowed.filter((cpu) => cpu !== responder);
  const contestants = others.find((cpu) => !siblings.includes(cpu)) ?? others[0];
  return contestants === undefined ? null : { responder, contestants };
}

/** @param text as the kernel writes sets: "0-3,8" */
function cpuList(text: string): number[] {
  const list: number[] = [];
  for (const range of text.split(",").filter((part) => part !== "")) {
    const [first = 0, last = first] = range.split("-").map(Number);
    for (let cpu = first; cpu <= last; cpu++) list.push(cpu);
  }
  return list;
}

/** A file of the kernel's, or nothing where there is no such file (other systems). */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
