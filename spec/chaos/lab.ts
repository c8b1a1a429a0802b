/**
 * A place in which one client meets one server: a namespace for each, joined by a veth pair, and by a pair of TUN devices
 * for the relay of a bad route. There is no other way out of either: no default route, and no device of the machine's.
 * Serves fault after fault; reset() makes all as it was. What a fault does to the lab is done through it.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { keepTrack, type Program, startProgram } from "../support/child.ts";
import type { Kernel } from "./kernel.ts";
import { Namespace, run } from "./namespace.ts";
import type { ServerSettings } from "./server.ts";

const VETH = { client: "10.77.0.1", server: "10.77.0.2" };
const TUN = { client: "10.77.1.1", server: "10.77.1.2" };
export const PORT = 8080;
export const SHORT_BACKLOG_PORT = 8081;
const RANGE_SYSCTL = "net.ipv4.ip_local_port_range";
/** As Linux has it. */
const RANGE = "32768 60999";

/** What a bad route does with packets. Shares are in [0, 1]. */
export interface BadRoute {
  readonly delayMs: number;
  readonly jitterShare?: number;
  readonly jitterMs?: number;
  readonly lossShare?: number;
  readonly doubleShare?: number;
}

type Server = Program<null, null>;

export class Lab {
  readonly client: Namespace;
  readonly server: Namespace;
  readonly #kernel: Kernel;
  readonly #log: string;
  #running: Server | null = null;
  /** The descriptors of the running server without those of its connections. */
  #listening: number[] = [];
  readonly #successors: Server[] = [];
  #relay: ChildProcess | null = null;
  /** What the relay has said at its end. */
  #carried = "";

  private constructor(client: Namespace, server: Namespace, kernel: Kernel, log: string) {
    this.client = client;
    this.server = server;
    this.#kernel = kernel;
    this.#log = log;
  }

  static async make(label: string, kernel: Kernel, folder: string): Promise<Lab> {
    const client = await Namespace.make(`${label}-client`);
    const server = await Namespace.make(`${label}-server`);
    await run("ip", [
      "link",
      "add",
      "veth0",
      "netns",
      client.name,
      "type",
      "veth",
      "peer",
      "veth0",
      "netns",
      server.name,
    ]);
    for (const [end, own, peer] of [
      [client, "client", "server"],
      [server, "server", "client"],
    ] as const) {
      await end.ip(`addr add ${VETH[own]}/30 dev veth0`);
      await end.ip("link set veth0 up");
      if (!kernel.netem) {
        await end.ip("tuntap add dev tun0 mode tun");
        await end.ip(`addr add ${TUN[own]} peer ${TUN[peer]} dev tun0`);
        await end.ip("link set tun0 up");
      }
      if ((await end.ip("route show default")) !== "") throw new Error(`${end.name} has a way out`);
    }
    const log = path.join(folder, `${label}.log`);
    writeFileSync(log, "");
    const lab = new Lab(client, server, kernel, log);
    await lab.prepareServer();
    await lab.listen();
    return lab;
  }

  // ---- the server

  get serverPid(): number {
    if (this.#running === null) throw new Error("the server does not run");
    return this.#running.pid;
  }

  /** Starts a server that listens when listen() says so: the successor of one that is to be killed. */
  async prepareServer(): Promise<void> {
    const settings: ServerSettings = { log: this.#log, port: PORT, shortBacklogPort: SHORT_BACKLOG_PORT };
    const file = new URL("./server.ts", import.meta.url);
    this.#successors.push(await startProgram<null, null>(file, settings, { behind: this.server.inside }));
  }

  async killServer(): Promise<void> {
    await this.#running?.[Symbol.asyncDispose]();
    this.#running = null;
  }

  async listen(): Promise<void> {
    const next = this.#successors.shift();
    if (next === undefined) throw new Error("no server is prepared");
    await next.report("listen");
    this.#running = next;
    this.#listening = descriptors(next.pid);
  }

  /** Lets the server hold so many connections. */
  limitServer(connections: number): Promise<void> {
    return limitDescriptors(this.serverPid, this.#listening, connections);
  }

  /** How many descriptors of the server's are connections. */
  serverConnections(): number {
    return descriptors(this.serverPid).filter((fd) => !this.#listening.includes(fd)).length;
  }

  /** The nonces that begin so, of each POST that reached a server, as often as it did. */
  posts(prefix: string): string[] {
    return readFileSync(this.#log, "utf8")
      .split("\n")
      .filter((nonce) => nonce.startsWith(prefix));
  }

  // ---- the route

  /** The address of the server on a route that badRoute() can spoil, or on one that rules and queues act on. */
  address(spoilt: boolean): string {
    return spoilt && !this.#kernel.netem ? TUN.server : VETH.server;
  }

  /** Makes the route bad, one way as the other. */
  async badRoute(bad: BadRoute, seed: number): Promise<void> {
    const { delayMs, jitterShare = 0, jitterMs = 0, lossShare = 0, doubleShare = 0 } = bad;
    if (this.#kernel.netem) {
      // netem holds all packets but those of `reorder` back, where the relay holds back some: the same seen from afar.
      const reorder = jitterShare === 0 ? "" : ` reorder ${100 * (1 - jitterShare)}%`;
      const words = `netem delay ${delayMs + jitterMs}ms${reorder} loss ${100 * lossShare}% duplicate ${100 * doubleShare}%`;
      await this.queue(words);
      return;
    }
    const ends = [this.client, this.server].map((end) => [end.path, "tun0"]);
    const settings = { ends, seed, delayMs, jitterShare, jitterMs, lossShare, doubleShare };
    const program = fileURLToPath(new URL("./relay.py", import.meta.url));
    const relay = spawn("python3", [program, JSON.stringify(settings)], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    });
    keepTrack(relay);
    this.#relay = relay;
    const lines = createInterface({ input: relay.stdout });
    const ended = once(relay, "exit").then(() => Promise.reject(new Error("the relay ended at once")));
    ended.catch(() => {}); // later it is meant to
    await Promise.race([once(lines, "line"), ended]);
    lines.on("line", (line) => {
      this.#carried = line;
    });
  }

  /** How many packets the bad route has carried, and to how many it did more than delay them; ends it. */
  async endOfRoute(): Promise<{ carried: number; harmed: number }> {
    if (this.#relay === null) {
      const told = await this.client.exec("tc", ["-s", "qdisc", "show", "dev", "veth0"]);
      const carried = Number(/Sent \d+ bytes (\d+) pkt/.exec(told)?.[1] ?? 0);
      return { carried, harmed: carried }; // netem does not tell them apart
    }
    await this.#endRelay();
    const { carried, lost, doubled, heldBack } = JSON.parse(this.#carried); // relay.py says so
    return { carried, harmed: lost + doubled + heldBack };
  }

  async #endRelay(): Promise<void> {
    const relay = this.#relay;
    if (relay === null) return;
    this.#relay = null;
    const closed = once(relay, "close");
    relay.stdin?.end();
    if (relay.exitCode === null && relay.signalCode === null) await closed;
  }

  /** A queueing discipline on both ends of the pair. */
  async queue(words: string): Promise<void> {
    for (const end of [this.client, this.server]) {
      await end.exec("tc", ["qdisc", "replace", "dev", "veth0", "root", ...words.split(" ")]);
    }
  }

  /** How often the queues of both ends had to hold a packet back. */
  async overlimits(): Promise<number> {
    let sum = 0;
    for (const end of [this.client, this.server]) {
      const told = await end.exec("tc", ["-s", "qdisc", "show", "dev", "veth0"]);
      sum += Number(/overlimits (\d+)/.exec(told)?.[1] ?? 0);
    }
    return sum;
  }

  /** Packets that went through the rules' counter `hits`, at both ends. */
  async hits(): Promise<number> {
    let sum = 0;
    for (const end of [this.client, this.server]) {
      const told = await end.exec("nft", ["list", "counters"]);
      for (const [, packets] of told.matchAll(/packets (\d+)/g)) sum += Number(packets);
    }
    return sum;
  }

  /** The client's ports of connections that stand. */
  async establishedPorts(): Promise<number[]> {
    const told = await this.client.exec("ss", ["-Htn", "state", "established"]);
    return [...told.matchAll(/10\.77\.\d\.1:(\d+)/g)].map(([, port]) => Number(port));
  }

  /** The client's ports of all connections that either end's kernel still knows, closed ones included. */
  async portsOf(range: readonly [from: number, to: number]): Promise<number> {
    const ports = new Set<number>();
    for (const end of [this.client, this.server]) {
      const told = await end.exec("ss", ["-Htan"]);
      for (const [, port] of told.matchAll(/10\.77\.\d\.1:(\d+)/g)) ports.add(Number(port));
    }
    return [...ports].filter((port) => port >= range[0] && port <= range[1]).length;
  }

  /** `ss -K` at one end: the kernel aborts all connections that stand. Returns how many it says it did. */
  async kill(end: "client" | "server"): Promise<number> {
    const told = await this[end].exec("ss", ["-KHtn", "state", "established"]);
    return told.split("\n").filter(Boolean).length;
  }

  async portRange(range: string): Promise<void> {
    await this.client.exec("sysctl", ["-q", "-w", `${RANGE_SYSCTL}=${range}`]);
  }

  /** How often the server's kernel could not queue a connection. */
  async listenDrops(): Promise<number> {
    const [names = "", values = ""] = (await this.server.exec("cat", ["/proc/net/netstat"])).split("\n");
    const at = names.split(" ").indexOf("ListenDrops");
    return Number(values.split(" ")[at]);
  }

  // ---- between faults

  async reset(): Promise<void> {
    await this.#endRelay();
    if (this.#running === null) await this.listen();
    process.kill(this.serverPid, "SIGCONT");
    await limitDescriptors(this.serverPid, [], null);
    for (const end of [this.client, this.server]) {
      await end.rules("");
      await end.exec("tc", ["qdisc", "del", "dev", "veth0", "root"]).catch(() => {}); // there may be none
    }
    await this.portRange(RANGE);
    await this.kill("server");
  }

  async end(): Promise<void> {
    await this.#endRelay();
    await this.killServer();
    for (const one of this.#successors) await one[Symbol.asyncDispose]();
    await this.client.delete();
    await this.server.delete();
  }
}

/** Open descriptors of a process. */
export const descriptors = (pid: number): number[] => readdirSync(`/proc/${pid}/fd`).map(Number);

/** Lets a process hold so many descriptors beside those named; null lifts the limit. */
export async function limitDescriptors(pid: number, beside: readonly number[], more: number | null): Promise<void> {
  const lifted = 10_000;
  let limit = more === null ? lifted : 0;
  // The kernel's limit is on their numbers, of which it gives the lowest free one.
  for (let free = 0; more !== null && free < more; limit++) if (!beside.includes(limit)) free++;
  await run("prlimit", [`--pid=${pid}`, `--nofile=${limit}:${lifted}`]);
}
