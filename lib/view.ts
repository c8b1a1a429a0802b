/**
 * A transport at one moment, for who watches: made when it is asked for, from what the pool and the connections say of
 * themselves. Costs nobody anything before.
 *
 * Never: keeps or changes anything; shows a key with its credentials.
 */

import type { Clock } from "./clock.ts";
import type { Held, HeldAside } from "./held.ts";
import { Lease } from "./lease.ts";
import { shownText } from "./secrets.ts";
import type { CallTrace } from "./trace.ts";
import type { ConnectionView, TransportView, WaiterView } from "./watched.ts";
import type { Way } from "./way.ts";

interface Counts {
  readonly waiting: number;
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
}

/** What it is made from. */
export interface Viewed {
  readonly clock: Clock;
  readonly leases: Iterable<Held>;
  /** Connections that are held outside of the pool. */
  readonly aside: Iterable<HeldAside>;
  /** For whom dials are in progress. */
  readonly dialsFor: Iterable<{ readonly way: Way }>;
  readonly pool: {
    stats(): { readonly keys: ReadonlyMap<string, Counts> };
    whoHas(key: string, max: number): { waits: { readonly way: Way; readonly trace: CallTrace }[] };
  };
  stats(): TransportView["figures"] & { readonly closed: TransportView["closed"] };
}

/** @param max entries of each list */
export function viewOf({ clock, leases, aside, dialsFor, pool, stats }: Viewed, max: number): TransportView {
  const { closed, dialing, busy, idle, waiting, handedOver, dialed, dialsFailed, calls, retries } = stats();
  const names = new Map<string, string>(); // how the keys may be shown
  for (const { way } of dialsFor) names.set(way.key, way.shownKey);
  const connections: ConnectionView[] = [];
  const waiters: WaiterView[] = [];
  const pools: TransportView["pools"][number][] = [];
  const all = { pools: 0, connections: 0, waiters: 0 };
  const connection = (lease: Held, key: string) => {
    if (++all.connections <= max) connections.push(connectionOf(lease, key, clock));
  };
  const poolOf = (from: Viewed["pool"], nameOf: (key: string, first: Way | undefined) => string) => {
    const { keys } = from.stats();
    for (const [key, counts] of keys) {
      const { waits } = counts.waiting > 0 ? from.whoHas(key, max) : { waits: [] };
      const shownKey = nameOf(key, waits[0]?.way);
      all.waiters += counts.waiting;
      for (const { trace } of waits) {
        if (waiters.length < max) waiters.push({ call: trace.id, key: shownKey, ms: clock.now() - trace.startedAt });
      }
      if (++all.pools <= max) pools.push({ ...pickCounts(counts), key: shownKey });
    }
  };
  for (const lease of leases) {
    names.set(lease.slot.key, lease.shownKey);
    connection(lease, lease.shownKey);
  }
  poolOf(pool, (key, first) => first?.shownKey ?? names.get(key) ?? "");
  const riding = Math.max(0, waiting - all.waiters); // for room on a connection that others use
  for (const { lease, way, pool: own } of aside) {
    const key = `${way.shownKey} (newClientConn)`;
    if (lease !== null) connection(lease, key);
    poolOf(own, () => key);
  }
  return {
    at: clock.now(),
    figures: { dialing, busy, idle, waiting, handedOver, dialed, dialsFailed, calls, retries },
    closed,
    pools,
    connections,
    waiters,
    more: {
      pools: all.pools - pools.length,
      connections: all.connections - connections.length,
      waiters: riding + all.waiters - waiters.length,
    },
  };
}

function pickCounts({ waiting, dialing, busy, idle }: Counts): Counts {
  return { waiting, dialing, busy, idle };
}

function connectionOf(lease: Held, key: string, clock: Clock): ConnectionView {
  const exchange = lease instanceof Lease && lease.slot.state === "busy" ? lease.exchange : null;
  return {
    id: lease.id,
    key,
    state: lease.slot.state,
    line: shownText(process.getBuiltinModule("node:util").inspect(lease)),
    call: exchange?.trace.id ?? null,
    request: exchange === null ? null : shownText(`${exchange.request.method} ${exchange.request.url}`),
    ms: Math.max(0, clock.wallNow() - lease.slot.since),
  };
}
