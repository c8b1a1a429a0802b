/**
 * The bars of an attempt: where its time went, for whoever draws it. Pure.
 */

import type { RecordedAttempt } from "./recording.ts";

export type BarKind = "queue" | "dns" | "connect" | "tls" | "write" | "wait" | "body";

/** What each bar means, for who reads it the first time. */
export const BAR_WORDS: Readonly<Record<BarKind, string>> = {
  queue: "waits for a connection",
  dns: "the name is resolved",
  connect: "a connection is made",
  tls: "TLS is agreed on, and the new connection watched for a poll",
  write: "the request is written",
  wait: "the server thinks",
  body: "the answer arrives",
};

/** Times are those of the recording. */
export interface Bar {
  readonly kind: BarKind;
  readonly from: number;
  readonly to: number;
}

/**
 * One after the other, without gaps; what did not happen is left out.
 *
 * @param now where what is still under way ends
 */
export function barsOf(attempt: RecordedAttempt, now: number): Bar[] {
  const { from, dialedAt, resolvedAt, connectedAt, securedAt, assignedAt, sentAt, firstByteAt, headAt } = attempt;
  const end = attempt.endAt ?? now;
  const bars: Bar[] = [];
  let at = from;
  const until = (kind: BarKind, to: number | null) => {
    if (to === null || to < at || at >= end) return;
    const stop = Math.min(to, end);
    if (stop > at || kind !== "queue") bars.push({ kind, from: at, to: stop });
    at = stop;
  };
  until("queue", dialedAt ?? assignedAt ?? end);
  if (dialedAt !== null) {
    until("dns", resolvedAt);
    until("connect", connectedAt ?? assignedAt ?? end);
    until(securedAt === null ? "connect" : "tls", assignedAt ?? end);
  }
  if (assignedAt === null) return bars;
  until("write", firstByteAt === null ? (sentAt ?? end) : Math.min(sentAt ?? firstByteAt, firstByteAt));
  until("wait", headAt ?? end);
  until("body", end);
  return bars;
}
