/**
 * HTTP pipelining: the requests that a connection was given behind the one whose answer it reads. The line belongs to one
 * `PersistConn`, which makes it with the first request that follows another and drops it when it closes. Off unless the
 * option `pipelining` is above 1.
 *
 * Which requests: GET, HEAD and OPTIONS without a body, an upgrade, an expectation or a close, behind others of that kind,
 * on a connection that has carried an HTTP/1.1 answer to its end and stays open.
 *
 * What holds, and what happens in which order:
 * - Answers come in the order of the requests. The exchange in flight is the oldest; it alone is with the read loop. When
 *   its answer is complete, the next has its turn: before the caller of the first can learn of the end, and within the
 *   round that brought the bytes, whose rest is the next answer. A slow reader of one answer so holds all behind it.
 * - From the front on, those that were written come first, then those that were not. The write loop takes all of these at
 *   once when it has nothing outstanding, and writes them as one piece: refused at once, none was written. One whose turn
 *   comes before that has nothing in front of it, and is written as any other request.
 * - Time limits of an exchange run from its turn on. What an answer in front takes is no fault of the server's towards the
 *   one behind, and there is one deadline for each half. The total time of a call always runs.
 * - A caller leaves (abort). Not written: it is taken out, and nobody notices. Written, somewhere behind: its answer is
 *   read in its turn, and dropped as any unread body is, 256 KiB and 50 ms at most. In front, with others that were
 *   written behind it: the same; its head may take as long as its limit says. Nobody else's answer is to come any more:
 *   closed. A call in front whose total time is up closes too: its server does not answer, and the others are better off
 *   elsewhere.
 * - The connection ends before their turn: those behind are told apart. Not written: lost without a trace. Written: maybe
 *   acted upon, but idempotent (RFC 9112 §9.3.2); `behind` says so in their error. Behind an answer that said close:
 *   the server must not have processed them (RFC 9112 §9.6); `unprocessed` says so.
 *
 * Never: holds the exchange in flight, or one whose answer has begun.
 *
 * What it costs, and why it is off by default: bytes that nobody asked for are taken for the answer to the next request,
 * where a connection that serves one request at a time would close. A server that sends a body with its answer to HEAD, or
 * one answer too many, can so put every later answer in the wrong place.
 *
 * RFC 9112 §9.3.2 (pipelining), §9.6 (close); RFC 9110 §9.2.2 (idempotent methods).
 */

import {
  type CloseReason,
  ConnectionClosedError,
  type HttpError,
  InvariantError,
  TransportClosedError,
} from "../errors.ts";
import type { ResponseHead } from "../wire/parser-events.ts";
import type { WritableHead } from "../wire/request-writer.ts";
import type { Exchange } from "./exchange.ts";

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a request may be written behind another, and another behind it. */
export function pipelines(method: string, head: WritableHead): boolean {
  return (
    METHODS.has(method) &&
    head.framing.kind === "none" &&
    !head.close &&
    !head.expectContinue &&
    head.upgrade.length === 0
  );
}

/** Whether others may be written behind an exchange in flight: its answer will end, soon as far as that is known. */
export function canBeFollowed({ request, outgoing, responseHead, over, discarding }: Exchange): boolean {
  if (over || discarding || responseHead?.keepAlive === false) return false;
  return pipelines(request.method, outgoing);
}

/** Whether an answer says itself that nothing behind it is processed (RFC 9112 §9.6). */
export function saysClose({ minorVersion, keepAlive, fields }: ResponseHead): boolean {
  if (keepAlive || minorVersion === 0) return false;
  for (let i = 0; i < fields.length; i++) {
    if (fields.name(i).toLowerCase() === "connection" && /(^|[,\s])close([,\s]|$)/i.test(fields.value(i))) return true;
  }
  return false;
}

export class Pipeline {
  readonly #line: Exchange[] = [];
  /** How many of them, from the front on, the write loop has taken. */
  #taken = 0;

  get size(): number {
    return this.#line.length;
  }

  /** How many the write loop has not taken. */
  get unwritten(): number {
    return this.#line.length - this.#taken;
  }

  /** Whether the one whose turn is next was written: bytes behind the answer in front are its answer. */
  get nextBegun(): boolean {
    return this.#taken > 0;
  }

  /** Whether somebody waits for an answer to come who has no better place to wait for it. */
  get awaited(): boolean {
    const { length } = this.#line;
    for (let i = 0; i < length; i++) {
      if (i > 0 && i >= this.#taken) return false; // not written, and a dead one is in front: it goes elsewhere
      if (!this.#line[i]!.over) return true; // i is below the length
    }
    return false;
  }

  /** Whether an exchange in front is worth its time to those behind it: one of them was written and is wanted. */
  get bound(): boolean {
    return this.#line.some((exchange, i) => i < this.#taken && !exchange.over);
  }

  /** Whether a caller has still to hear what became of it. */
  get unsettled(): boolean {
    return this.#line.some((exchange) => !exchange.settled);
  }

  get calls(): number[] {
    return this.#line.map(({ trace }) => trace.id);
  }

  has(exchange: Exchange): boolean {
    return this.#line.includes(exchange);
  }

  push(exchange: Exchange): void {
    this.#line.push(exchange);
  }

  /** The first that was not written is being written; undefined where all were. */
  take(): Exchange | undefined {
    const exchange = this.#line[this.#taken];
    if (exchange !== undefined) this.#taken++;
    return exchange;
  }

  /** It is the turn of the oldest. */
  shift(): Exchange {
    const exchange = this.#line.shift();
    if (exchange === undefined) throw new InvariantError("Cannot read the next answer: nobody waits for one");
    if (this.#taken > 0) this.#taken--;
    return exchange;
  }

  /** Takes one out that was not written. */
  drop(exchange: Exchange): void {
    const at = this.#line.indexOf(exchange);
    if (at >= this.#taken) this.#line.splice(at, 1);
  }

  /** What of `pending` bytes, which wait to be sent, is not theirs but of the exchange in front. */
  pendingInFront(pending: number): number {
    return this.#line.reduce((left, { bytesSubmitted }) => Math.max(0, left - bytesSubmitted), pending);
  }

  /**
   * The connection has ended. Each goes again, in front of all others who wait, or fails: so the last hears of it first, and
   * they wait in their order. But the slot of the connection goes to whoever hears first, and that is the oldest.
   *
   * @param heard the exchange in front was unsettled, and has heard
   * @param pending bytes that waited to be sent, at the end of all
   * @param said the answer in front was read to its end, and said close
   */
  fail(peer: string, reason: CloseReason, error: unknown, pending: number, said: boolean, heard: boolean): void {
    const lost: [Exchange, unknown][] = [];
    let left = pending;
    for (const exchange of this.#line.toReversed()) {
      const facts = exchange.facts(Math.min(left, exchange.bytesSubmitted));
      left = Math.max(0, left - exchange.bytesSubmitted);
      const own = lostBehind(peer, reason, error, exchange.nothingWritten, said);
      lost.unshift([exchange, own === null ? error : own.addFacts(facts)]);
    }
    const first = heard ? lost.length : lost.findIndex(([exchange]) => !exchange.settled);
    for (const [exchange, told] of lost.splice(first, 1)) exchange.fail(told);
    for (const [exchange, told] of lost.reverse()) exchange.fail(told);
  }
}

/** The line of a connection that was never given a second request. Always empty. */
export const NO_LINE = new Pipeline();

/** An error of its own, or null: it fails with the one that there is, as everybody does. */
function lostBehind(
  peer: string,
  reason: CloseReason,
  error: unknown,
  unwritten: boolean,
  said: boolean,
): HttpError | null {
  // Whoever destroys the transport may say with what everybody fails.
  if (reason === "transport-destroyed") {
    return error instanceof TransportClosedError ? new TransportClosedError(error.message) : null;
  }
  const state = unwritten ? "before it was written" : "before its turn to be answered";
  return new ConnectionClosedError(
    `Cannot finish exchange with ${peer}: it stood behind another request, and the connection was closed ${state} (${reason})`,
    { phase: unwritten ? "write" : "headers", behind: true, ...(said && !unwritten ? { unprocessed: true } : {}) },
  );
}
