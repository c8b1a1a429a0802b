/**
 * A PersistConn over a conduit in memory and on virtual time, with the peer under the spec's hand; its owner and its
 * callers write down what they are told.
 */

import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";
import { Exchange, type ExchangeCaller } from "../../lib/conn/exchange.ts";
import { type MemoryConduit, type MemoryPairOptions, memoryPair } from "../../lib/conn/memory-conduit.ts";
import { type ConnOwner, PersistConn } from "../../lib/conn/persist-conn.ts";
import { HttpError, type TimeoutError } from "../../lib/errors.ts";
import { httpSchemeOf } from "../../lib/message/destination.ts";
import { Request, type RequestInit } from "../../lib/message/request.ts";
import type { Response } from "../../lib/message/response.ts";
import { resolveOptions, type TransportOptions } from "../../lib/options.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { CallTrace, type TraceEvent, type TraceGroup, tracerOf } from "../../lib/trace.ts";
import { lenientMask } from "../../lib/wire/lenient.ts";
import type { ResponseHead } from "../../lib/wire/parser-events.ts";
import { writeHead } from "../../lib/wire/request-writer.ts";

export const get = (init: RequestInit = {}): Request => new Request("http://peer/", init);

/** What a spec may say of a connection, beside the transport's own options. */
export interface MemoryConnOptions extends TransportOptions, MemoryPairOptions {
  /** As the transport asks for it; null, the default: not at all. */
  readonly acceptEncoding?: string;
  /** What the trace's listener hears; all unless given. */
  readonly groups?: readonly TraceGroup[];
  /** Whether the call has a hook for 1xx; it has unless this is false. */
  readonly hooked?: boolean;
  /** As PersistConn has it. */
  readonly proxyUrl?: string;
}

export const post = (body: RequestInit["body"], init: RequestInit = {}): Request =>
  new Request("http://peer/", { method: "POST", body, ...init });

/** One exchange, and what its caller was told. */
export class Sent implements ExchangeCaller {
  readonly exchange: Exchange;
  response: Response | null = null;
  error: unknown = null;
  /** How often `over()` was called. */
  overs = 0;
  /** How often code was run in the call's context. */
  inContexts = 0;
  readonly informed: number[] = [];
  /** The types of what was traced, in order. */
  readonly events: string[] = [];
  /** What was traced, in order. */
  readonly traced: TraceEvent[] = [];
  /** Is told each event behind the two lists. */
  onEvent: (event: TraceEvent) => void = () => {};
  onAnswer: (response: Response) => void = () => {};
  onInformed: (head: ResponseHead) => void = () => {};

  constructor(request: Request, clock: VirtualClock, options: MemoryConnOptions) {
    const { acceptEncoding = null, groups, hooked = true, proxyUrl: _proxyUrl, ...rest } = options;
    const resolved = resolveOptions(rest);
    const on = (event: TraceEvent) => {
      this.events.push(event.type);
      this.traced.push(event);
      this.onEvent(event);
    };
    const body = request.body?.open() ?? null;
    const { destination } = request;
    this.exchange = new Exchange({
      request,
      head: writeHead(
        {
          method: request.method,
          scheme: httpSchemeOf(destination),
          authority: destination.authority,
          target: request.target,
          fields: request.pairs,
          bodyLength: body === null ? undefined : body.length,
          contentType: null,
          trailerNames: request.trailers?.names ?? null,
          expectContinue: request.expectContinue,
        },
        { userAgent: "", acceptEncoding, absoluteForm: false, close: !resolved.keepAlive, extra: [] },
      ),
      body,
      limits: resolved,
      requireFraming: resolved.requireFraming,
      decompressRatioMax: resolved.maxDecompressRatio,
      trace: new CallTrace(1, clock, tracerOf(groups === undefined ? on : { groups, on }), tracerOf(undefined)),
      onInformation: hooked
        ? (head: ResponseHead) => {
            this.informed.push(head.status);
            this.onInformed(head);
          }
        : null,
      trailers: request.trailers === null ? null : () => request.trailers?.collect() ?? [],
      caller: this,
    });
  }

  answered(response: Response): void {
    this.response = response;
    this.onAnswer(response);
  }
  failed(error: unknown): void {
    this.error = error;
  }
  over(): void {
    this.overs++;
  }
  inContext(fn: () => void): void {
    this.inContexts++;
    fn();
  }

  /** The events of one type, without what all have. */
  details(type: TraceEvent["type"]): Record<string, unknown>[] {
    const found = this.traced.filter((event) => event.type === type);
    return found.map(
      ({ at: _at, call: _call, attempt: _attempt, connection: _connection, type: _type, ...own }) => own,
    );
  }

  /** The facts of the error, or its words where it is not ours. */
  get facts(): Record<string, unknown> {
    if (!(this.error instanceof HttpError)) return { error: this.error };
    const { code, phase, attempt, reused, bytesSubmitted, bytesAccepted, bytesRead, safeToRetry } = this.error;
    return { code, phase, attempt, reused, bytesSubmitted, bytesAccepted, bytesRead, safeToRetry };
  }
}

/** Writes down what it is told beside writes, and each write as its pieces; lets the spec tell the connection things. */
export class WatchedConduit implements Conduit {
  readonly facts: Conduit["facts"];
  readonly refusalProvesNothingWritten: boolean;
  readonly calls: string[] = [];
  readonly writes: (string | Uint8Array)[][] = [];
  /** Bytes that it says are not taken; every write answers "full" where it is not 0, and is not "drained" by itself. */
  pending = 0;
  /** Whether pauses are kept to; what was decrypted already comes all the same. */
  deaf = false;
  onWrite: () => void = () => {};
  readonly #inner: Conduit;
  #sink: ConduitSink | null = null;

  constructor(inner: Conduit) {
    this.#inner = inner;
    this.facts = inner.facts;
    this.refusalProvesNothingWritten = inner.refusalProvesNothingWritten;
  }

  get pendingBytes(): number {
    return this.pending + this.#inner.pendingBytes;
  }
  /** To tell the connection something at once. */
  get sink(): ConduitSink {
    if (this.#sink === null) throw new Error("Nobody listens");
    return this.#sink;
  }
  attach(sink: ConduitSink): void {
    this.#sink = sink;
    this.#inner.attach(sink);
  }
  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    this.writes.push(typeof data === "string" ? [data] : [...data]);
    this.onWrite();
    const answer = this.#inner.write(data);
    return this.pending > 0 && answer === "ok" ? "full" : answer;
  }
  pause(): void {
    this.calls.push("pause");
    if (!this.deaf) this.#inner.pause();
  }
  resume(): void {
    this.calls.push("resume");
    this.#inner.resume();
  }
  end(): void {
    this.calls.push("end");
    this.#inner.end();
  }
  destroy(): void {
    this.calls.push("destroy");
    this.#inner.destroy();
  }
  ref(): void {
    this.calls.push("ref");
  }
  unref(): void {
    this.calls.push("unref");
  }
}

/** Refuses the write of a number, counted from 1, and all after it; and says nothing more, as a conduit may. */
export class RefusingConduit implements Conduit {
  readonly facts: Conduit["facts"];
  readonly refusalProvesNothingWritten: boolean;
  readonly #inner: Conduit;
  readonly #refusesFrom: number;
  #writes = 0;

  constructor(inner: Conduit, refusesFrom: number, proves = inner.refusalProvesNothingWritten) {
    this.#inner = inner;
    this.facts = inner.facts;
    this.refusalProvesNothingWritten = proves;
    this.#refusesFrom = refusesFrom;
  }

  get pendingBytes(): number {
    return this.#inner.pendingBytes;
  }
  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    if (++this.#writes < this.#refusesFrom) return this.#inner.write(data);
    return Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" });
  }
  attach(sink: ConduitSink): void {
    this.#inner.attach(sink);
  }
  pause(): void {
    this.#inner.pause();
  }
  resume(): void {
    this.#inner.resume();
  }
  end(): void {
    this.#inner.end();
  }
  destroy(): void {
    this.#inner.destroy();
  }
  ref(): void {
    this.#inner.ref();
  }
  unref(): void {
    this.#inner.unref();
  }
}

export class MemoryConn implements ConnOwner {
  readonly clock = new VirtualClock();
  readonly conn: PersistConn;
  readonly peer: MemoryConduit;
  /** The errors that its owner heard of with `connUnread`. */
  readonly warnings: TimeoutError[] = [];
  /** What its owner was told, in order. */
  readonly log: string[] = [];
  readonly #options: MemoryConnOptions;
  readonly #near: MemoryConduit;
  #received = "";
  sawEnd = false;
  sawReset = false;
  /** Is told, within the connection's own work, that it is idle. */
  onIdle: () => void = () => {};

  /** @param wrap puts a conduit of the spec's own in front of the memory one */
  constructor(options: MemoryConnOptions = {}, wrap: (near: Conduit) => Conduit = (near) => near) {
    const { window, schedule, slice, facts, ...rest } = options;
    const pair: Record<string, unknown> = { window, schedule, slice, facts };
    for (const name of Object.keys(pair)) if (pair[name] === undefined) delete pair[name];
    const [near, far] = memoryPair(pair);
    this.#options = rest;
    this.#near = near;
    this.peer = far;
    const sink: ConduitSink = {
      data: (view, n) => {
        this.#received += Buffer.from(view.subarray(0, n)).toString("latin1");
      },
      drained() {},
      end: () => {
        this.sawEnd = true;
      },
      error: () => {
        this.sawReset = true;
      },
    };
    far.attach(sink);
    const { acceptEncoding: _acceptEncoding, groups: _groups, hooked: _hooked, proxyUrl, ...own } = rest;
    const resolved = resolveOptions(own);
    this.conn = new PersistConn({
      id: 1,
      conduit: wrap(near),
      clock: this.clock,
      owner: this,
      limits: {
        headBytesMax: resolved.maxResponseHeaderBytes,
        headerCountMax: resolved.maxResponseHeaders,
        informationMax: resolved.max1xxResponses,
        lenient: lenientMask(resolved.lenient),
      },
      peer: "peer:80",
      ...(proxyUrl === undefined ? {} : { proxy: proxyUrl }),
    });
  }

  connIdle(_conn: PersistConn, keepAliveMs: number | null): void {
    this.log.push(keepAliveMs === null ? "idle" : `idle ${keepAliveMs}`);
    this.onIdle();
  }
  connNext(): void {
    this.log.push("next");
  }
  connClosed(_conn: PersistConn, reason: string): void {
    this.log.push(`closed ${reason}`);
  }
  connHandedOver(): void {
    this.log.push("handed over");
  }
  connHandoverClosed(): void {
    this.log.push("handover closed");
  }
  connExpired(): void {
    this.log.push("expired");
  }
  connUnread(_conn: PersistConn, _exchange: Exchange, error: TimeoutError): void {
    this.log.push(`unread ${error.option}`);
    this.warnings.push(error);
  }

  /** Sends a request at once. */
  roundTrip(request: Request): Sent {
    const sent = new Sent(request, this.clock, this.#options);
    this.conn.roundTrip(sent.exchange);
    return sent;
  }

  /** Sends a request behind those in flight, in a microtask. */
  follow(request: Request): Sent {
    const sent = new Sent(request, this.clock, this.#options);
    this.conn.follow(sent.exchange);
    return sent;
  }

  /** Whether the connection has destroyed its conduit. */
  get destroyed(): boolean {
    return this.#near.destroyed;
  }

  /** What the peer has received and no step has taken, as latin1. */
  takeWritten(): string {
    const taken = this.#received;
    this.#received = "";
    return taken;
  }

  reply(text: string): void {
    this.peer.write(text);
  }

  /** Lets everything run that is ready, time standing still. */
  settle(): Promise<void> {
    return this.clock.settle();
  }
}

/** A connection over a conduit that is watched. */
export function watchedConn(options: MemoryConnOptions = {}): { conn: MemoryConn; conduit: WatchedConduit } {
  let conduit: WatchedConduit | undefined;
  const conn = new MemoryConn(options, (near) => {
    conduit = new WatchedConduit(near);
    return conduit;
  });
  return { conn, conduit: conduit as unknown as WatchedConduit }; // the constructor has just called back
}

/** One exchange, whose whole answer comes in one piece. */
export async function answered(conn: MemoryConn, reply: string, request = get()): Promise<Sent> {
  const sent = conn.roundTrip(request);
  await conn.settle();
  conn.reply(reply);
  await conn.settle();
  return sent;
}
