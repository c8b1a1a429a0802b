/**
 * What can be observed. Every station reports here, and only here: `timings` on a response, the timeline of the command
 * line and the logs of the specs are all made from these calls.
 *
 * A `CallTrace` belongs to one call of `Transport.roundTrip` (all its attempts). Its stamps are always taken, since they
 * are `response.timings`; events are built only where the mask says that somebody listens, so a station asks
 * `if (trace.mask & TRACE_POOL)` before it makes one.
 */

import { throwLater } from "./boundary.ts";
import type { Clock } from "./clock.ts";
import type { TlsFacts } from "./conn/conduit.ts";
import type { CloseReason, DialAttempt } from "./errors.ts";
import { type Headers, headersOver, PairLines } from "./message/headers.ts";
import type { ConnectionInfo } from "./message/response.ts";
import type { Timings } from "./message/timings.ts";
import { shownFields, shownText } from "./secrets.ts";

/** Groups of events, as bits of a mask. */
export const TRACE_CALL = 1;
export const TRACE_POOL = 2;
export const TRACE_DIAL = 4;
export const TRACE_CONN = 8;
export const TRACE_BODY = 16;

const GROUPS = {
  call: TRACE_CALL,
  pool: TRACE_POOL,
  dial: TRACE_DIAL,
  connection: TRACE_CONN,
  body: TRACE_BODY,
} as const;
export type TraceGroup = keyof typeof GROUPS;

/** Pairs as on the wire, in order and case; values of secret fields are hidden unless the listener asks for them. */
export type TraceFields = readonly (readonly [name: string, value: string])[];

/** Fields that are taken apart when somebody asks for them: most who listen do not, and it costs more than the event. */
export type AskedFields = () => TraceFields;

/** What happened at one station. `type` tells them apart. */
export type TraceDetail =
  // call
  | {
      readonly type: "call-start";
      readonly method: string;
      /** Without user name and password. */
      readonly url: string;
      /** Milliseconds since the epoch. */
      readonly startedAt: number;
      /** How many redirects led to it. */
      readonly hop: number;
    }
  /** An attempt failed with `error`, and another one follows. */
  | { readonly type: "retry"; readonly reason: string; readonly error: unknown }
  /** An attempt failed with `error`, and none follows. */
  | { readonly type: "retry-refused"; readonly reason: string; readonly error: unknown }
  /** The answer sends the request elsewhere, and a call of its own follows it. */
  | {
      readonly type: "redirect";
      readonly status: number;
      readonly method: string;
      /** Where to, without user name and password. */
      readonly url: string;
      /** Scheme, host or port are others. */
      readonly crossed: boolean;
      /** Names of the fields that stay behind. */
      readonly dropped: readonly string[];
    }
  | { readonly type: "call-failed"; readonly error: unknown }
  /** The head had been delivered; the reader of the body gets this. */
  | { readonly type: "body-failed"; readonly error: unknown }
  // pool
  | {
      readonly type: "pool-wait";
      readonly key: string;
      /** Whom a connection leads to at first: the proxy, or the target. */
      readonly hostPort: string;
      readonly idle: number;
      readonly waiting: number;
      readonly dials: number;
      readonly busy: number;
      /** `maxConnsPerHost`; 0: none. */
      readonly limit: number;
      /** The calls that wait before it, the first in line first; 16 at most. None are named where `idle` is enough for all. */
      readonly ahead: readonly number[];
      /** The calls that have the connections, the one that has had its own longest first; 16 at most; as `ahead`. */
      readonly holders: readonly number[];
    }
  | {
      readonly type: "pool-assigned";
      readonly reused: boolean;
      readonly served: number;
      /** How long it had been idle, in ms; null where it did not come out of the pool. */
      readonly idleMs: number | null;
      readonly info: () => ConnectionInfo;
      /** A dial had begun for this call, and goes on without it. */
      readonly dialLeft: boolean;
      /** It is written behind these calls' requests, whose answers come first (option pipelining); absent where behind none. */
      readonly behind?: readonly number[];
    }
  /** It went into the pool: for `keepMs` at most (0: for ever), after so many exchanges. */
  | { readonly type: "connection-idle"; readonly served: number; readonly keepMs: number }
  /** It was this call's turn to have it, but its server has closed others at about that age; it is closed instead. */
  | {
      readonly type: "connection-passed-over";
      readonly id: number;
      readonly idleMs: number;
      readonly closesAfterMs: number;
    }
  /** The exchange is over and its connection went back: into the pool, or it was closed there, for the reason told. */
  | { readonly type: "connection-returned"; readonly refused: CloseReason | null }
  // dial
  | {
      readonly type: "dial-start";
      readonly host: string;
      readonly port: number;
      /** The proxy's URL, without credentials; absent where there is none. */
      readonly proxy?: string;
    }
  | { readonly type: "dns-start"; readonly host: string }
  | { readonly type: "dns-done"; readonly addresses: readonly string[] }
  | { readonly type: "dns-failed"; readonly error: unknown }
  | { readonly type: "connect-start"; readonly address: string; readonly port: number }
  | { readonly type: "connect-done"; readonly tried: DialAttempt }
  | { readonly type: "tls-start" }
  | ({ readonly type: "tls-done" } & TlsFacts)
  | { readonly type: "tls-failed"; readonly error: unknown }
  | { readonly type: "tunnel-start"; readonly proxy: string; readonly target: string }
  | {
      readonly type: "tunnel-done";
      /** What the proxy answered to CONNECT; null for SOCKS. */
      readonly status: number | null;
    }
  | {
      readonly type: "dial-done";
      /** The id of the new connection. */
      readonly id: number;
      readonly localAddress: string | null;
      readonly localPort: number | null;
      /** The address dialed, the proxy's where there is one, or the path of a unix socket. */
      readonly remoteAddress: string | null;
      readonly remotePort: number | null;
    }
  | { readonly type: "dial-failed"; readonly error: unknown }
  /** Nobody wants what it would have brought. */
  | { readonly type: "dial-abandoned" }
  // connection
  /** Its first bytes go out: the head, and what of the body goes along. */
  | {
      readonly type: "request-write";
      readonly bytes: number;
      readonly target: string;
      readonly headers: AskedFields;
    }
  /** The head was handed over. */
  | { readonly type: "request-head"; readonly fields: AskedFields }
  /** The body waits for a 100. */
  | { readonly type: "continue-wait" }
  | { readonly type: "request-sent"; readonly bytes: number }
  | { readonly type: "first-byte" }
  | { readonly type: "information"; readonly status: number; readonly headers: () => Headers }
  | {
      readonly type: "head";
      readonly status: number;
      readonly framing: string;
      readonly statusText: string;
      readonly httpVersion: "1.0" | "1.1" | "2";
      readonly headers: AskedFields;
      /** It came before the request was wholly sent (RFC 9112 §9.5). */
      readonly early: boolean;
    }
  | { readonly type: "end"; readonly bytes: number }
  /** 101 or a 2xx to CONNECT: the connection is the caller's. `connection-closed` follows when that has ended. */
  | { readonly type: "handed-over"; readonly status: number }
  | { readonly type: "connection-closed"; readonly reason: CloseReason }
  // body
  | { readonly type: "body-data"; readonly bytes: number }
  | { readonly type: "body-sent"; readonly bytes: number };

/** What every event says beside its own facts. */
interface Stamps {
  /** Monotonic milliseconds of the transport's clock. */
  readonly at: number;
  /** The call it belongs to; null for what happens between calls. */
  readonly call: number | null;
  /** 1 for the first attempt; 0 before it. */
  readonly attempt: number;
  /** The connection it happened on; null before there is one. */
  readonly connection: number | null;
}

export type TraceEvent = TraceDetail & Stamps;

/** Makes an event of what a station has just made for it: the object itself, since a copy costs ten times as much. */
export function stamped(
  detail: TraceDetail,
  at: number,
  call: number | null,
  attempt: number,
  connection: number | null,
): TraceEvent {
  const event = detail as TraceDetail & { -readonly [name in keyof Stamps]: Stamps[name] }; // all four are set here
  event.at = at;
  event.call = call;
  event.attempt = attempt;
  event.connection = connection;
  return event;
}

/** Hears events. What it throws is reported as an uncaught exception of its own, never in the middle of the library. */
export type TraceListener = (event: TraceEvent) => void;

/** A listener, or a listener of some groups only. */
export type TraceOption =
  | TraceListener
  | {
      /** Default: all. */
      readonly groups?: readonly TraceGroup[];
      readonly on: TraceListener;
      /** See Authorization, Cookie and the like, and URLs with their signatures. Default false: they are hidden. */
      readonly secrets?: boolean;
    };

/** Where events go: nowhere (mask 0), or to one or two listeners. */
export interface Tracer {
  readonly mask: number;
  /** @param bit the event's group, looked up once for all listeners */
  emit(event: TraceEvent, bit: number): void;
}

const NO_TRACER: Tracer = { mask: 0, emit() {} };

/** Makes a tracer of a caller's option. A listener that throws must not unwind a socket's callback. */
export function tracerOf(option: TraceOption | undefined): Tracer {
  if (option === undefined) return NO_TRACER;
  const on = typeof option === "function" ? option : option.on;
  const { groups, secrets = false } = typeof option === "function" ? ALL_GROUPS : { ...ALL_GROUPS, ...option };
  const mask = groups.reduce((m, g) => m | GROUPS[g], 0);
  return {
    mask,
    emit(event) {
      try {
        on(secrets ? event : shown(event));
      } catch (error) {
        throwLater(error);
      }
    },
  };
}

const ALL_GROUPS: { readonly groups: readonly TraceGroup[]; readonly secrets?: boolean } = {
  groups: ["call", "pool", "dial", "connection", "body"],
};

/** The event as one may see it who did not ask for secrets. */
export function shown(event: TraceEvent): TraceEvent {
  switch (event.type) {
    case "call-start": {
      const { type, method, startedAt, hop, at, call, attempt, connection } = event;
      return { type, method, url: shownText(event.url), startedAt, hop, at, call, attempt, connection };
    }
    case "redirect":
      return { ...event, url: shownText(event.url) };
    case "request-write": {
      const { type, bytes, at, call, attempt, connection } = event;
      const headers = hiding(event.headers);
      return { type, bytes, target: shownText(event.target), headers, at, call, attempt, connection };
    }
    case "head": {
      const { type, status, framing, statusText, httpVersion, early, at, call, attempt, connection } = event;
      const headers = hiding(event.headers);
      return { type, status, framing, statusText, httpVersion, headers, early, at, call, attempt, connection };
    }
    case "request-head": {
      const { type, at, call, attempt, connection } = event;
      return { type, fields: hiding(event.fields), at, call, attempt, connection };
    }
    case "information": {
      const { headers } = event;
      return { ...event, headers: () => headersOver(new PairLines(shownFields(headers().raw))) };
    }
    default:
      return event;
  }
}

function hiding(fields: AskedFields): AskedFields {
  return () => shownFields(fields());
}

function both(a: Tracer, b: Tracer): Tracer {
  if (a.mask === 0) return b;
  if (b.mask === 0) return a;
  return {
    mask: a.mask | b.mask,
    emit(event, bit) {
      if (a.mask & bit) a.emit(event, bit);
      if (b.mask & bit) b.emit(event, bit);
    },
  };
}

/** A tracer whose listeners come and go while calls run; its mask is what they hear together. */
export class OpenTracer implements Tracer {
  mask = 0;
  /** Replaced, never changed: an event that is being told goes to those who listened when it came. */
  #tracers: readonly Tracer[];

  constructor(first: Tracer) {
    this.#tracers = [first];
    this.mask = first.mask;
  }

  /** Returns what takes it away again. Calls hear of who was there when they began. */
  add(option: TraceOption): () => void {
    const tracer = tracerOf(option);
    this.#set([...this.#tracers, tracer]);
    return () => this.#set(this.#tracers.filter((other) => other !== tracer));
  }

  emit(event: TraceEvent, bit: number): void {
    for (const tracer of this.#tracers) if (tracer.mask & bit) tracer.emit(event, bit);
  }

  #set(tracers: readonly Tracer[]): void {
    this.#tracers = tracers;
    this.mask = tracers.reduce((mask, tracer) => mask | tracer.mask, 0);
  }
}

/** Both listeners as one option: `first` hears each event before `second`, each in its own groups. */
export function bothTraces(first: TraceOption, second: TraceOption): TraceOption {
  const { mask, emit } = both(tracerOf(first), tracerOf(second));
  const names = Object.keys(GROUPS) as TraceGroup[]; // the names of that very object
  const on = (event: TraceEvent) => emit(event, GROUP_OF[event.type]);
  return { groups: names.filter((name) => mask & GROUPS[name]), on, secrets: true }; // each hides for itself
}

/** The group of each event, as its bit. */
export const GROUP_OF: Record<TraceDetail["type"], number> = {
  "call-start": TRACE_CALL,
  retry: TRACE_CALL,
  "retry-refused": TRACE_CALL,
  redirect: TRACE_CALL,
  "call-failed": TRACE_CALL,
  "body-failed": TRACE_CALL,
  "pool-wait": TRACE_POOL,
  "pool-assigned": TRACE_POOL,
  "connection-idle": TRACE_POOL,
  "connection-returned": TRACE_POOL,
  "connection-passed-over": TRACE_POOL,
  "dial-start": TRACE_DIAL,
  "dns-start": TRACE_DIAL,
  "dns-done": TRACE_DIAL,
  "dns-failed": TRACE_DIAL,
  "connect-start": TRACE_DIAL,
  "connect-done": TRACE_DIAL,
  "tls-start": TRACE_DIAL,
  "tls-done": TRACE_DIAL,
  "tls-failed": TRACE_DIAL,
  "tunnel-start": TRACE_DIAL,
  "tunnel-done": TRACE_DIAL,
  "dial-done": TRACE_DIAL,
  "dial-failed": TRACE_DIAL,
  "dial-abandoned": TRACE_DIAL,
  "request-write": TRACE_CONN,
  "request-head": TRACE_CONN,
  "continue-wait": TRACE_CONN,
  "request-sent": TRACE_CONN,
  "first-byte": TRACE_CONN,
  information: TRACE_CONN,
  head: TRACE_CONN,
  end: TRACE_CONN,
  "handed-over": TRACE_CONN,
  "connection-closed": TRACE_CONN,
  "body-data": TRACE_BODY,
  "body-sent": TRACE_BODY,
};

const lent = new WeakMap<object, CallTrace>();

/** Lets whoever carries a call on write into its trace: stamps, and events as its own. `call` is what it is given. */
export function lendTrace(call: object, trace: CallTrace): void {
  lent.set(call, trace);
}

/** The trace that came along with a call, or null. */
export function lentTrace(call: object | undefined): CallTrace | null {
  return call === undefined ? null : (lent.get(call) ?? null);
}

/** The stamps of one call; -1 where it did not happen. Written by the station that each is named for. */
export class CallTrace {
  readonly id: number;
  readonly clock: Clock;
  readonly #tracer: Tracer;
  readonly mask: number;
  attempt = 0;
  connection: number | null = null;

  readonly startedAt: number;
  queuedAt = -1;
  dnsAt = -1;
  connectAt = -1;
  tlsAt = -1;
  assignedAt = -1;
  requestSentAt = -1;
  firstByteAt = -1;
  headersAt = -1;
  endAt = -1;

  constructor(id: number, clock: Clock, transport: Tracer, call: Tracer) {
    this.id = id;
    this.clock = clock;
    this.#tracer = transport.mask === 0 && call.mask === 0 ? NO_TRACER : both(transport, call);
    this.mask = this.#tracer.mask;
    this.startedAt = clock.now();
  }

  /** Tells the listeners. The caller has looked at `mask` first. */
  emit(detail: TraceDetail, at: number = this.clock.now()): void {
    const bit = GROUP_OF[detail.type];
    this.#tracer.emit(stamped(detail, at, this.id, this.attempt, this.connection), bit);
  }

  timings(): Timings {
    const since = (at: number) => (at < 0 ? null : at - this.startedAt);
    return {
      // Told when somebody asks, since few do, and reading that clock too would cost every call.
      startedAt: Math.round(this.clock.wallNow() - (this.clock.now() - this.startedAt)),
      queued: since(this.queuedAt),
      dns: since(this.dnsAt),
      connect: since(this.connectAt),
      tls: since(this.tlsAt),
      assigned: since(this.assignedAt),
      requestSent: since(this.requestSentAt),
      firstByte: since(this.firstByteAt),
      headers: since(this.headersAt),
      end: since(this.endAt),
    };
  }
}

/** A head of our own writing, for who listens. */
export function headParts(text: string): { target: string; headers: AskedFields } {
  const from = text.indexOf(" ") + 1;
  return { target: text.slice(from, text.indexOf(" ", from)), headers: () => fieldsOf(text) };
}

/** The fields of a head of our own writing: every line behind the first, up to the empty one. */
export function fieldsOf(text: string): TraceFields {
  const lines = text.split("\r\n").slice(1, -2);
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 2)] as const; // the writer sets one blank behind it
  });
}
