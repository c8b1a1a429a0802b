/**
 * What a chaos run needs of the machine: tools, which it installs where it may, and what the kernel can do, which it
 * tries in a namespace of its own. What is missing is named; a run without it would prove nothing.
 */

import { existsSync } from "node:fs";
import { findOrInstall } from "../support/install.ts";
import { textOf } from "../support/report.ts";
import { undiciVersion } from "./contestants.ts";
import { Namespace, run, sweep } from "./namespace.ts";

export interface Kernel {
  /** Whether routes are made bad by netem; else by relay.py over TUN. */
  readonly netem: boolean;
  readonly told: string;
}

const TOOLS: readonly (readonly [program: string, packages: readonly string[]])[] = [
  ["ip", ["iproute2"]],
  ["tc", ["iproute2"]],
  ["ss", ["iproute2"]],
  ["nft", ["nftables"]],
  ["prlimit", ["util-linux"]],
];

/** What keeps the run from being made here; empty where nothing does. */
export function missing(): string[] {
  if (process.platform !== "linux") return [`Linux: this is ${process.platform}`];
  const lacks: string[] = [];
  if (process.getuid?.() !== 0) lacks.push("root: namespaces, rules and limits are root's to make");
  for (const [program, packages] of TOOLS) lacks.push(...lackOf(program, packages));
  if (undiciVersion() === null) lacks.push("undici: `npm ci` in bench/ installs it");
  return lacks;
}

function lackOf(program: string, packages: readonly string[]): string[] {
  try {
    findOrInstall(program, packages);
    return [];
  } catch (error) {
    return [textOf(error)];
  }
}

/** Tries what the faults are made of. @throws what the kernel does not do */
export async function tryKernel(): Promise<Kernel> {
  await sweep();
  const place = await Namespace.make("try");
  try {
    await place.ip("link add veth0 type veth peer name veth1");
    const netem = await does(() => qdisc(place, "netem delay 1ms"));
    if (!netem && !existsSync("/dev/net/tun")) throw new Error("The kernel has neither netem nor /dev/net/tun");
    if (!netem) {
      const lack = lackOf("python3", ["python3-minimal"]);
      if (lack.length > 0) throw new Error(`The kernel has no netem, and for the relay in its place: ${lack}`);
      await place.ip("tuntap add dev tun0 mode tun");
    }
    await qdisc(place, "tbf rate 1mbit burst 16kb latency 100ms");
    await place.rules(`table inet chaos {
      set dead { type inet_service; }
      chain in {
        type filter hook input priority 0;
        tcp sport @dead numgen random mod 100 < 1 drop
        tcp flags & (syn | ack) == syn reject with tcp reset
      }
    }`);
    await place.exec("sysctl", ["-q", "-w", "net.ipv4.ip_local_port_range=50000 50010"]);
    const route = netem ? "netem" : "no netem: a relay over TUN in its place";
    return { netem, told: `${route}; nftables numgen, sets, reject; tbf; ss -K is tried by its fault` };
  } finally {
    await place.delete();
  }
}

const qdisc = (place: Namespace, words: string) =>
  place.exec("tc", ["qdisc", "replace", "dev", "veth0", "root", ...words.split(" ")]);

async function does(what: () => Promise<unknown>): Promise<boolean> {
  try {
    await what();
    return true;
  } catch {
    return false;
  }
}

/** Linux, as it calls itself. */
export const kernelVersion = async (): Promise<string> => (await run("uname", ["-sr"])).trim();
