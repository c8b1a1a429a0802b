/**
 * The chaos run: `npx tsx spec/chaos/run.ts [--quick] [--only FAULT] [--seed N]`, as root on Linux.
 *
 * Our client, undici and node:http, each in a process and in network namespaces of its own, each against a server of its
 * own, under the same faults, which the kernel makes. Prints one table: for each fault how it was made and how often it
 * struck, and for each client what became of its requests. Peers are told, not judged. The run fails (exit 1) unless, for
 * ours, under every fault:
 *
 *   - every request settles, and no later than its deadline and a slack (client.ts has it; the time for which the process
 *     itself stood still is allowed besides, since the machine may be busy);
 *   - every answer is its request's own, by the nonce that it carries, and whole, by checksums both ways;
 *   - no POST reaches the server twice: nobody allowed that;
 *   - every error is one of lib/errors.ts and names its phase;
 *   - resident memory grows by no more than verdict.ts has;
 *   - after close() no socket and no handle is left, and nothing went uncaught;
 *   - and under no fault at all there is no error.
 *
 * A fault that did not strike fails, too. Without root, a tool or a part of the kernel, the run says what it lacks and
 * fails. Tools that Debian has are installed.
 *
 * The faults (faults.ts), and what makes them:
 *
 *   delay, reorder, bad-route   netem where the kernel has it; else relay.py, which carries packets between TUN devices
 *                               of the two namespaces and holds back, loses and doubles what the seed says
 *   loss                        nftables: a random share of all packets is dropped (the kernel's chance, not the seed's)
 *   narrow                      tbf, both ways
 *   silent-drop                 nftables: the ports of connections that stand go into a set whose packets are dropped
 *   blackhole                   nftables: SYNs are dropped, after ss -K has made all clients dial
 *   reset, refuse               nftables: reject with tcp reset, for packets of connections, and for SYNs
 *   ss-kill                     ss -K, at either end
 *   server-kill                 SIGKILL; a prepared successor listens some requests later
 *   frozen                      SIGSTOP and SIGCONT
 *   ports                       sysctl net.ipv4.ip_local_port_range, which each namespace has for itself
 *   backlog                     listen(2) with a backlog of 1, and SIGSTOP, so that nothing is accepted
 *   client-fds, server-fds      prlimit --nofile on the running process
 *
 * Traffic cannot leave: a namespace has the devices of lab.ts, no default route, and no device of the machine. However the
 * run ends, processes (child.ts), namespaces and with them rules and devices (namespace.ts) are taken away.
 *
 * --quick   a fifth of the load
 * --only    one fault
 * --seed    the requests, their order, and what relay.py does to packets
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { startProgram } from "../support/child.ts";
import { seconds, textOf } from "../support/report.ts";
import type { ClientSettings } from "./client.ts";
import { CONTESTANTS, type ContestantName, undiciVersion } from "./contestants.ts";
import { FAULTS, type Fault, type Scene } from "./faults.ts";
import { type Kernel, kernelVersion, missing, tryKernel } from "./kernel.ts";
import { descriptors, Lab, PORT } from "./lab.ts";
import type { Limits, Load } from "./traffic.ts";
import { header, judge, LEGEND, type Outcome, type Result, row } from "./verdict.ts";

const LIMITS: Limits = { total: 2_500, dial: 1_200, headers: 1_500, body: 1_500 };
/** Faults at a time: most of the time their clients wait. */
const LANES = 3;
/** Of the requests: so many follow the last step of a fault. */
const RECOVERY_SHARE = 0.2;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const { quick, only } = values;
const seed = Number(values.seed);
if (!Number.isInteger(seed)) throw new Error(`--seed takes a whole number, not ${values.seed}`);
const names = FAULTS.map(({ name }) => name);
if (only !== undefined && !names.includes(only)) throw new Error(`--only takes one of ${names.join(", ")}`);
const load: Load = { requests: quick ? 96 : 480, workers: 16, bytesMax: 32_768, closeShare: 0.02 };

/** How often the fault struck, and the words for it. */
interface Struck {
  readonly struck: readonly [times: number, what: string];
}

/** How many requests have ended, for those who wait for that. */
class Progress {
  count = 0;
  #wanted = Infinity;
  #wake = (_: boolean) => {};

  reach(count: number): void {
    this.count = count;
    if (count >= this.#wanted) this.#wake(true);
  }

  /** There will be no more. */
  end(): void {
    this.#wake(this.count >= this.#wanted);
    this.#wanted = -1;
  }

  /** @throws where the load ended before */
  async until(count: number): Promise<void> {
    if (this.count >= count) return;
    const reached = await new Promise<boolean>((resolve) => {
      if (this.#wanted === -1) resolve(false);
      this.#wanted = count;
      this.#wake = resolve;
    });
    if (!reached) throw new Error(`the load ended with ${this.count} requests, before the fault had run its course`);
  }
}

/** Takes the steps of a fault, then lets the client recover for a while, and tells it that this is enough. */
async function play(
  steps: NonNullable<Fault["steps"]>,
  scene: Scene,
  settled: Progress,
  requests: number,
): Promise<void> {
  for (const [share, act] of steps) {
    await settled.until(settled.count + share * requests);
    await act(scene);
  }
  if (steps.length > 0) await settled.until(settled.count + RECOVERY_SHARE * requests);
  await scene.client.report("enough");
}

/** One client under one fault. */
async function one(fault: Fault, contestant: ContestantName, lab: Lab): Promise<Result & Struck> {
  const settings: ClientSettings = {
    contestant,
    origin: `http://${lab.address(fault.spoilt ?? false)}:${fault.port ?? PORT}`,
    fault: fault.name,
    seed,
    load: { ...load, ...fault.load },
    warm: 2 * load.workers,
    limits: { ...LIMITS, ...fault.limits },
  };
  const settled = new Progress();
  const file = new URL("./client.ts", import.meta.url);
  await using client = await startProgram<null, Outcome | null>(file, settings, {
    behind: lab.client.inside,
    heard: (count) => settled.reach(count),
  });
  const scene: Scene = { lab, client, clientBefore: descriptors(client.pid), seed, struck: 0 };
  await fault.prepare?.(scene);
  await client.report("warm");
  await fault.begin?.(scene);
  const loaded = client.report("go").then(() => settled.end());
  await Promise.all([loaded, play(fault.steps ?? [], scene, settled, settings.load.requests)]);
  const struck = await fault.struck(scene);
  const outcome = await client.report("end");
  if (outcome === null) throw new Error("the client has nothing to report");
  await lab.reset();
  const seen = new Map<string, number>();
  for (const nonce of lab.posts(`${fault.name}-`)) seen.set(nonce, (seen.get(nonce) ?? 0) + 1);
  const twice = [...seen].filter(([, often]) => often > 1).map(([nonce]) => nonce);
  return { outcome, twice, struck };
}

/** All clients under one fault, at once. Returns the lines of the table and what is broken. */
async function all(fault: Fault, labs: readonly Lab[]): Promise<{ lines: string[]; broken: string[] }> {
  const results = await Promise.all(CONTESTANTS.map((name, at) => one(fault, name, labs[at] as Lab))); // one lab for each
  const broken = results.flatMap((result, at) => {
    const none = result.struck[0] === 0 ? [`${CONTESTANTS[at]}: the fault did not strike`] : [];
    return at === 0 ? [...none, ...judge(result, fault.name === "none")] : none;
  });
  // "12 | 9 | 14 packets dropped": the figures of the three, and what they count.
  const figures = results.map(({ struck: [times] }) => times).join(" | ");
  const what = results[0]?.struck[1];
  const lines = [
    `${fault.name}: ${fault.how}${what === "" ? "" : ` [${figures} ${what}]`}`,
    ...results.map((result, at) => row(at, result)),
    ...broken.map((what) => `  FAILED  ${what}`),
  ];
  return { lines, broken };
}

async function main(kernel: Kernel): Promise<boolean> {
  const began = performance.now();
  const folder = mkdtempSync(path.join(tmpdir(), "persistconn-chaos-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const wanted = FAULTS.filter(({ name }) => only === undefined || only === name);
  console.log(`${await kernelVersion()}: ${kernel.told}`);
  console.log(`Node ${process.versions.node}, undici ${undiciVersion()}; seed ${seed}${quick ? ", quick" : ""}`);
  const { requests, workers } = load;
  const { total, dial, headers, body } = LIMITS;
  console.log(
    `${requests} requests by ${workers} workers; limits: ${total} ms in all, ${dial} to connect, ${headers} to the head, ${body} between pieces`,
  );
  console.log(`${LEGEND}\n\n${header()}`);

  const done: Awaited<ReturnType<typeof all>>[] = [];
  const broken: string[] = [];
  let printed = 0;
  const print = () => {
    for (let ended = done[printed]; ended !== undefined; ended = done[++printed]) {
      for (const line of ended.lines) console.log(line);
      broken.push(...ended.broken.map((what) => `${wanted[printed]?.name}: ${what}`));
    }
  };
  let next = 0;
  const lane = async (name: string) => {
    const labs = await Promise.all(CONTESTANTS.map((_, at) => Lab.make(`${name}${at}`, kernel, folder)));
    for (let at = next++; at < wanted.length; at = next++) {
      const fault = wanted[at] as Fault; // below its length
      done[at] = await all(fault, labs);
      print();
    }
    await Promise.all(labs.map((lab) => lab.end()));
  };
  await Promise.all(Array.from({ length: Math.min(LANES, wanted.length) }, (_, at) => lane(`lane${at}-`)));
  console.log(
    `\n${wanted.length} faults in ${seconds(performance.now() - began)}: ${broken.length === 0 ? "all rules kept" : `${broken.length} rules broken`}`,
  );
  for (const what of broken) console.log(`  ${what}`);
  return broken.length === 0;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
const lacks = missing();
let kernel: Kernel | null = null;
try {
  if (lacks.length === 0) kernel = await tryKernel();
} catch (error) {
  lacks.push(textOf(error));
}
for (const lack of lacks) console.log(`Cannot run: ${lack}`);
let passed = false;
try {
  if (kernel !== null) passed = await main(kernel);
} catch (error) {
  console.log(`FAILED  ${textOf(error)}`);
}
// Said outright: what a failed run left open must not keep it from ending.
process.exit(passed ? 0 : 1);
