/**
 * The faults of a chaos run. Each says how it is made, what it asks of the client, and what tells that it happened: a row
 * whose fault did not happen proves nothing, and fails.
 *
 * What happens in the middle of a load happens when a share of its requests has ended, never after a time: a slow machine
 * meets the same faults as a fast one. In the windows in which nothing can succeed, requests end by the client's limits.
 */

import type { Program } from "../support/child.ts";
import { descriptors, type Lab, limitDescriptors, PORT, SHORT_BACKLOG_PORT } from "./lab.ts";
import type { Limits, Load } from "./traffic.ts";

/** One fault at work on one client. */
export interface Scene {
  readonly lab: Lab;
  readonly client: Program<null, unknown>;
  /** The client's descriptors before it had a connection. */
  readonly clientBefore: readonly number[];
  readonly seed: number;
  /** How often the fault struck, where its steps count that. */
  struck: number;
}

type Act = (scene: Scene) => Promise<void>;

export interface Fault {
  readonly name: string;
  /** What is done, and by what means. */
  readonly how: string;
  readonly load?: Partial<Load>;
  readonly limits?: Partial<Limits>;
  /** Over the route that badRoute() spoils. */
  readonly spoilt?: boolean;
  /** Of the server; PORT where none is given. */
  readonly port?: number;
  /** Before the client's first connection. */
  readonly prepare?: Act;
  /** After the warm-up, before the load. */
  readonly begin?: Act;
  /** In turn, each when such a share of the requests has ended after the one before was done. */
  readonly steps?: readonly (readonly [share: number, act: Act])[];
  /** After the load: how often it struck, and the words for it. */
  readonly struck: (scene: Scene) => Promise<readonly [times: number, what: string]>;
}

/** A table with the counter `hits`, sets, and a chain for what comes in. */
const rules = (sets: string, ...lines: readonly string[]) => `table inet chaos {
  counter hits { }
  ${sets}
  chain in { type filter hook input priority 0; ${lines.join("; ")}; }
}`;
const IS_SYN = "tcp flags & (syn | ack) == syn";
const IS_OF_CONNECTION = "tcp flags & (syn | fin | rst) == 0x0";

const hits =
  (what: string): Fault["struck"] =>
  async ({ lab }) => [await lab.hits(), what];
const counted =
  (what: string): Fault["struck"] =>
  async ({ struck }) => [struck, what];

const kill =
  (end: "client" | "server"): Act =>
  async (scene) => {
    scene.struck += await scene.lab.kill(end);
  };

/** Packets of connections that stand now are dropped from now on, both ways. */
const silence: Act = async ({ lab }) => {
  const ports = await lab.establishedPorts();
  if (ports.length === 0) return;
  const add = `add element inet chaos dead { ${ports.join(", ")} }`;
  await lab.server.exec("nft", [add]);
  await lab.client.exec("nft", [add]);
};

const stopServer: Act = async (scene) => {
  process.kill(scene.lab.serverPid, "SIGSTOP");
  scene.struck++;
};
const continueServer: Act = async ({ lab }) => {
  process.kill(lab.serverPid, "SIGCONT");
};

const killServer: Act = async (scene) => {
  await scene.lab.killServer();
  scene.struck++;
};
const restartServer: Act = ({ lab }) => lab.listen();

const FEW = 6;
const FEW_PORTS = [50_000, 50_000 + FEW - 1] as const;

export const FAULTS: readonly Fault[] = [
  {
    name: "none",
    how: "a veth pair, and nothing done to it; limits ten times as long, so that a busy machine makes no errors",
    limits: { total: 25_000, dial: 12_000, headers: 15_000, body: 15_000 },
    struck: async () => [1, ""],
  },
  {
    name: "delay",
    how: "50 ms each way",
    spoilt: true,
    prepare: ({ lab, seed }) => lab.badRoute({ delayMs: 50 }, seed),
    struck: async ({ lab }) => [(await lab.endOfRoute()).carried, "packets carried"],
  },
  {
    name: "reorder",
    how: "5 ms each way, for a quarter of the packets up to 20 ms more, and those are overtaken",
    spoilt: true,
    prepare: ({ lab, seed }) => lab.badRoute({ delayMs: 5, jitterShare: 0.25, jitterMs: 20 }, seed),
    struck: async ({ lab }) => [(await lab.endOfRoute()).harmed, "packets held back"],
  },
  {
    name: "bad-route",
    how: "20 ms each way, jitter of 20 ms for a fifth, 2 of 100 packets lost, 2 doubled",
    spoilt: true,
    prepare: ({ lab, seed }) =>
      lab.badRoute({ delayMs: 20, jitterShare: 0.2, jitterMs: 20, lossShare: 0.02, doubleShare: 0.02 }, seed),
    struck: async ({ lab }) => [(await lab.endOfRoute()).harmed, "packets held back, lost or doubled"],
  },
  {
    name: "loss",
    how: "nftables drops 4 of 100 packets each way (numgen random)",
    async begin({ lab }) {
      const drop = rules("", "numgen random mod 100 < 4 counter name hits drop");
      await lab.server.rules(drop);
      await lab.client.rules(drop);
    },
    struck: hits("packets dropped"),
  },
  {
    name: "narrow",
    how: "tbf on both ends: 4 Mbit/s, bodies up to 64 KiB",
    load: { bytesMax: 65_536 },
    begin: ({ lab }) => lab.queue("tbf rate 4mbit burst 16kb latency 300ms"),
    struck: async ({ lab }) => [await lab.overlimits(), "packets held back"],
  },
  {
    name: "silent-drop",
    how: "nftables drops all packets of the connections that stand twice, both ways; new ones work",
    async begin({ lab }) {
      const set = "set dead { type inet_service; }";
      await lab.server.rules(rules(set, "tcp sport @dead counter name hits drop"));
      await lab.client.rules(rules(set, "tcp dport @dead counter name hits drop"));
    },
    steps: [
      [0.2, silence],
      [0.3, silence],
    ],
    struck: hits("packets dropped"),
  },
  {
    name: "blackhole",
    how: "nftables drops each SYN, after ss -K, until 15 % of the requests have ended so",
    steps: [
      [
        0.2,
        async (scene) => {
          await scene.lab.server.rules(rules("", `${IS_SYN} counter name hits drop`));
          await scene.lab.kill("client");
        },
      ],
      [
        0.15,
        async (scene) => {
          scene.struck = await scene.lab.hits();
          await scene.lab.server.rules("");
        },
      ],
    ],
    struck: counted("SYNs dropped"),
  },
  {
    name: "reset",
    how: "nftables rejects 2 of 100 packets of standing connections with a TCP reset",
    begin: ({ lab }) =>
      lab.server.rules(
        rules(
          "",
          `tcp dport ${PORT} ${IS_OF_CONNECTION} numgen random mod 100 < 2 counter name hits reject with tcp reset`,
        ),
      ),
    struck: hits("packets answered by a reset"),
  },
  {
    name: "refuse",
    how: "nftables rejects half of the SYNs with a TCP reset; the server closes after half of its answers",
    load: { closeShare: 0.5 },
    begin: ({ lab }) =>
      lab.server.rules(rules("", `${IS_SYN} numgen random mod 100 < 50 counter name hits reject with tcp reset`)),
    struck: hits("SYNs answered by a reset"),
  },
  {
    name: "ss-kill",
    how: "ss -K on all connections after every tenth of the requests, at the client's end and the server's in turn",
    steps: Array.from({ length: 9 }, (_, index) => [0.1, kill(index % 2 === 0 ? "client" : "server")]),
    struck: counted("connections killed"),
  },
  {
    name: "server-kill",
    how: "SIGKILL to the server, twice; another listens after 5 % of the requests have ended so",
    async prepare({ lab }) {
      await lab.prepareServer();
      await lab.prepareServer();
    },
    steps: [
      [0.2, killServer],
      [0.05, restartServer],
      [0.3, killServer],
      [0.05, restartServer],
    ],
    struck: counted("servers killed"),
  },
  {
    name: "frozen",
    how: "SIGSTOP to the server until 10 % of the requests have ended so; its kernel goes on accepting and acknowledging",
    steps: [
      [0.2, stopServer],
      [0.1, continueServer],
    ],
    struck: counted("times stopped"),
  },
  {
    name: "ports",
    how: `${FEW} ephemeral ports for all workers (ip_local_port_range); the server closes after 5 of 100 answers`,
    load: { closeShare: 0.05 },
    async begin({ lab }) {
      await lab.kill("client");
      await lab.portRange(FEW_PORTS.join(" "));
    },
    struck: async ({ lab }) => [await lab.portsOf(FEW_PORTS), `of ${FEW} ports used`],
  },
  {
    name: "backlog",
    how: "a backlog of one and a server that accepts nothing (SIGSTOP), after ss -K, until 15 % of the requests have ended so",
    port: SHORT_BACKLOG_PORT,
    steps: [
      [
        0.2,
        async (scene) => {
          await stopServer(scene);
          await scene.lab.kill("client");
        },
      ],
      [
        0.15,
        async (scene) => {
          scene.struck = await scene.lab.listenDrops();
          await continueServer(scene);
        },
      ],
    ],
    struck: counted("connections not queued by the kernel"),
  },
  {
    name: "client-fds",
    how: `${FEW} file descriptors for all of the client's workers (prlimit --nofile)`,
    async begin({ lab, client, clientBefore }) {
      await limitDescriptors(client.pid, clientBefore, FEW);
      await lab.kill("client");
    },
    steps: [
      [
        0.5,
        async (scene) => {
          scene.struck = descriptors(scene.client.pid).filter((fd) => !scene.clientBefore.includes(fd)).length;
        },
      ],
    ],
    async struck({ client, struck }) {
      await limitDescriptors(client.pid, [], null);
      return [struck, `of ${FEW} descriptors in use at half of the load`];
    },
  },
  {
    name: "server-fds",
    how: `${FEW} file descriptors for the server's connections (prlimit --nofile): it accepts and closes at once`,
    async begin({ lab }) {
      await lab.limitServer(FEW);
      await lab.kill("client");
    },
    steps: [
      [
        0.5,
        async (scene) => {
          scene.struck = scene.lab.serverConnections();
        },
      ],
    ],
    struck: counted(`of ${FEW} descriptors in use at half of the load`),
  },
];
