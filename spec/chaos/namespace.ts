/**
 * Network namespaces of a run. Each starts with nothing: no address, no route, no rule; all that is made in one is gone
 * with it. However the run ends, they go when it exits; those of a run that was killed outright go when the next begins,
 * with whatever still runs in them.
 */

import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";

const PREFIX = "persistconn-chaos-";
const living = new Set<string>();
const execute = promisify(execFile);

process.once("exit", () => {
  for (const name of living) spawnSync("ip", ["netns", "del", name]);
});

/** Runs a command and gives what it printed. @throws what it said on its error channel */
export async function run(command: string, args: readonly string[], input?: string): Promise<string> {
  const running = execute(command, args, { encoding: "utf8", timeout: 20_000 });
  if (input !== undefined) running.child.stdin?.end(input);
  try {
    return (await running).stdout;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
    throw new Error(`${command} ${args.join(" ")}: ${said || error}`);
  }
}

export class Namespace {
  readonly name: string;
  /** Before a command that shall run in it. */
  readonly inside: readonly string[];

  private constructor(name: string) {
    this.name = name;
    this.inside = ["ip", "netns", "exec", name];
  }

  static async make(label: string): Promise<Namespace> {
    const name = `${PREFIX}${process.pid}-${label}`;
    await run("ip", ["netns", "add", name]);
    living.add(name);
    const made = new Namespace(name);
    await made.ip("link set lo up");
    return made;
  }

  /** The file by which another program can enter it. */
  get path(): string {
    return `/run/netns/${this.name}`;
  }

  exec(command: string, args: readonly string[], input?: string): Promise<string> {
    const [first = "ip", ...rest] = this.inside;
    return run(first, [...rest, command, ...args], input);
  }

  ip(words: string): Promise<string> {
    return run("ip", ["-n", this.name, ...words.split(" ")]);
  }

  /** Replaces all rules. The table `chaos` is emptied with its counters. */
  async rules(text: string): Promise<void> {
    await this.exec("nft", ["-f", "-"], `flush ruleset\n${text}`);
  }

  async delete(): Promise<void> {
    if (living.delete(this.name)) await run("ip", ["netns", "del", this.name]);
  }
}

/** Removes what a run left that was killed outright. */
export async function sweep(): Promise<void> {
  const names = (await run("ip", ["netns", "list"])).split("\n").map((line) => line.split(" ")[0] ?? "");
  for (const name of names.filter((one) => one.startsWith(PREFIX))) {
    const owner = Number(name.slice(PREFIX.length).split("-")[0]);
    if (lives(owner)) continue;
    const left = (await run("ip", ["netns", "pids", name])).split("\n").filter(Boolean).map(Number);
    for (const pid of left) process.kill(pid, "SIGKILL");
    await run("ip", ["netns", "del", name]);
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
