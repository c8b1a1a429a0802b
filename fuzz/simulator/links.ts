/** The dialer of a run: over the network in memory, each connection watched. */

import type { Conduit } from "../../lib/conn/conduit.ts";
import type { UserDial } from "../../lib/index.ts";
import { ConduitDuplex } from "../../lib/testing/conduit-duplex.ts";
import type { MemoryNetwork } from "../../lib/testing/memory-network.ts";
import type { Invariants } from "./invariants.ts";
import { type CallRecord, type ConduitWatcher, Link, WatchedConduit } from "./records.ts";
import type { Settings } from "./settings.ts";
import type { World } from "./world.ts";

export function watchedDial(
  network: MemoryNetwork,
  world: World,
  settings: Settings,
  links: Map<number, Link>,
  invariants: Invariants,
  callOf: (nonce: number) => CallRecord | null,
  stands: (link: Link, port: number) => void,
): UserDial {
  const dialer = settings.secured ? network.dialTls : network.dial;
  return async (target, signal) => {
    const dial = { host: target.host, at: world.now };
    const { dialing } = invariants; // before anything is awaited
    settings.dials.add(dial);
    const over = () => settings.dials.delete(dial);
    signal.addEventListener("abort", over);
    try {
      const inner = (await dialer(target, signal)) as Conduit; // a network in memory gives no stream
      const port = inner.facts.localPort as number; // it gives every connection one
      const name = `${target.host}#${links.size + 1}`;
      const lateness = () => (settings.secured ? world.chance.below(3) : 0);
      const told: ConduitWatcher = {
        data: (n) => world.log(`${name} gets ${n}`),
        taken: () => invariants.delivered(link),
        wrote: (nonces, answer) => {
          const said = answer instanceof Error ? answer.message : answer;
          world.log(
            `${name} writes ${nonces.length === 0 ? "on" : nonces.map((nonce) => `r${nonce}`).join(" ")}: ${said}`,
          );
          invariants.unsent(link);
          for (const nonce of nonces) invariants.wrote(link, callOf(nonce), !(answer instanceof Error));
        },
        said: (what) => world.log(`${name} ${what}`),
      };
      const near = new WatchedConduit(inner, told, lateness);
      const link = new Link(name, target.host, near, dialing);
      links.set(port, link);
      invariants.opened(link);
      world.log(`${name} stands`);
      stands(link, port);
      if (signal.aborted) near.open = false; // nobody will ever have it
      return settings.streams ? new ConduitDuplex(near) : near;
    } finally {
      over();
      signal.removeEventListener("abort", over);
    }
  };
}
