/**
 * The event stream on `node:diagnostics_channel`, for monitoring that was not written into the program: five channels, one
 * for each group of events (`persistconn:call`, `persistconn:pool`, `persistconn:dial`, `persistconn:connection`,
 * `persistconn:body`), whose message is the event; and the TracingChannel `persistconn:request`, of whole calls.
 *
 * They live as long as the process and serve all transports. Where nobody subscribes, a call looks at six channels.
 *
 * Never: shows a secret; lets a subscriber into the middle of the library (Node throws later what one throws).
 */

import { channel, tracingChannel } from "node:diagnostics_channel";
import {
  shown,
  TRACE_BODY,
  TRACE_CALL,
  TRACE_CONN,
  TRACE_DIAL,
  TRACE_POOL,
  type TraceEvent,
  type Tracer,
} from "./trace.ts";

const CALLS = channel("persistconn:call");
const POOL = channel("persistconn:pool");
const DIALS = channel("persistconn:dial");
const CONNECTIONS = channel("persistconn:connection");
const BODIES = channel("persistconn:body");
const CHANNEL_OF = new Map([
  [TRACE_CALL, CALLS],
  [TRACE_POOL, POOL],
  [TRACE_DIAL, DIALS],
  [TRACE_CONN, CONNECTIONS],
  [TRACE_BODY, BODIES],
]);

/**
 * A call of a transport, from its start to its last byte. `start` and `end` are told at its start, in the caller's async
 * context; `asyncStart` and `asyncEnd` when its last byte came or it failed, and then `error` before them.
 */
const REQUESTS = tracingChannel<RequestMessage, RequestMessage>("persistconn:request");

/** The message of `persistconn:request`: one object for all of a call, which a subscriber may add to. */
export interface RequestMessage {
  readonly call: number;
  readonly method: string;
  /** Without credentials. */
  readonly url: string;
  /** From the head of the answer on. */
  status?: number;
  /** Where it failed. */
  error?: unknown;
}

/** Calls whose start a subscriber of `persistconn:request` was told. */
const requests = new Map<number, RequestMessage>();

/** A transport's own tracer, and whoever subscribes to the channels, before or after it was made. */
export function withChannels(own: Tracer): Tracer {
  return {
    get mask() {
      return own.mask | subscribed() | (REQUESTS.hasSubscribers ? TRACE_CALL | TRACE_CONN : 0);
    },
    emit(event, bit) {
      if (own.mask & bit) own.emit(event, bit);
      const to = CHANNEL_OF.get(bit);
      if (to?.hasSubscribers) to.publish(shown(event));
      if (event.call === null) return;
      // A call whose start nobody was told is none of theirs.
      if (requests.size > 0 || (bit === TRACE_CALL && REQUESTS.hasSubscribers)) tellRequests(shown(event), event.call);
    },
  };
}

function subscribed(): number {
  return (
    (CALLS.hasSubscribers ? TRACE_CALL : 0) |
    (POOL.hasSubscribers ? TRACE_POOL : 0) |
    (DIALS.hasSubscribers ? TRACE_DIAL : 0) |
    (CONNECTIONS.hasSubscribers ? TRACE_CONN : 0) |
    (BODIES.hasSubscribers ? TRACE_BODY : 0)
  );
}

function tellRequests(event: TraceEvent, call: number): void {
  if (event.type === "call-start") {
    const message: RequestMessage = { call, method: event.method, url: event.url };
    requests.set(call, message);
    REQUESTS.start.publish(message);
    REQUESTS.end.publish(message);
    return;
  }
  const message = requests.get(call);
  if (message === undefined) return; // it began before there was a subscriber
  switch (event.type) {
    case "head":
      message.status = event.status;
      return;
    case "call-failed":
    case "body-failed":
      message.error = event.error;
      REQUESTS.error.publish(message);
      return ended(message);
    case "end":
    case "handed-over":
      return ended(message);
  }
}

function ended(message: RequestMessage): void {
  requests.delete(message.call);
  REQUESTS.asyncStart.publish(message);
  REQUESTS.asyncEnd.publish(message);
}
