/**
 * What a transport shows to who watches it while it runs, as types, and where a watcher finds it: between `Transport`,
 * which has it, and the inspector, which knows no station.
 *
 * Never: holds a secret: keys without credentials, URLs without signatures.
 */

import { channel } from "node:diagnostics_channel";
import type { CloseReason } from "./errors.ts";
import type { TraceOption } from "./trace.ts";

/** What one key of the pool holds. */
interface PoolView {
  /** The way as people may see it: `|http|a.example:80`. */
  readonly key: string;
  readonly waiting: number;
  readonly dialing: number;
  readonly busy: number;
  readonly idle: number;
}

export interface ConnectionView {
  readonly id: number;
  readonly key: string;
  /** `dialing`: made, and watched for a poll before it is given out. */
  readonly state: "dialing" | "idle" | "busy" | "closed";
  /** `PersistConn { 127.0.0.1:80, read body, write done, 3 served }`. */
  readonly line: string;
  /** Whose exchange it has, and what that asks for; null where it has none, or many. */
  readonly call: number | null;
  readonly request: string | null;
  /** How long it has been in its state. */
  readonly ms: number;
}

export interface WaiterView {
  readonly call: number;
  readonly key: string;
  /** Since its call began. */
  readonly ms: number;
}

/** A transport at one moment. Lists are cut to what was asked for; `more` says by how much. */
export interface TransportView {
  /** On the transport's clock, as the events are. */
  readonly at: number;
  readonly figures: {
    readonly dialing: number;
    readonly busy: number;
    readonly idle: number;
    readonly waiting: number;
    readonly handedOver: number;
    readonly dialed: number;
    readonly dialsFailed: number;
    readonly calls: number;
    readonly retries: number;
  };
  readonly closed: Readonly<Partial<Record<CloseReason, number>>>;
  readonly pools: readonly PoolView[];
  readonly connections: readonly ConnectionView[];
  /** The first in line first. */
  readonly waiters: readonly WaiterView[];
  readonly more: { readonly pools: number; readonly connections: number; readonly waiters: number };
}

/** What can be watched. */
export interface Watched {
  /** @param max entries of each list */
  view(max: number): TransportView;
  /** Hears the calls that begin from now on; what it returns ends that. */
  listen(trace: TraceOption): () => void;
  /** Calls `fn` when the transport is closed or destroyed; what it returns takes that back. */
  whenClosed(fn: () => void): () => void;
}

/** Told of each transport that is made: how `persistconn inspect` finds those of a program that knows nothing of it. */
const TRANSPORTS = channel("persistconn:transport");

const shown = new WeakMap<object, Watched>();

/** A transport was made. */
export function showWatched(transport: object, watched: Watched): void {
  shown.set(transport, watched);
  if (!TRANSPORTS.hasSubscribers) return;
  const message: Watched = {
    // These three and nothing else of it: whoever subscribes is not of this library.
    view: (max) => watched.view(max),
    listen: (trace) => watched.listen(trace),
    whenClosed: (fn) => watched.whenClosed(fn),
  };
  TRANSPORTS.publish(message);
}

/** What a transport shows, or null where it is none of ours. */
export function watchedOf(transport: object): Watched | null {
  return shown.get(transport) ?? null;
}
