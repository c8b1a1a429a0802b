/**
 * What the event stream told, put together: each attempt of each call, and each connection with what it did when. All that
 * is drawn or exported (HAR, Trace Event Format, waterfalls) is made from this. Lives as long as its maker wants, and hears
 * while a transport has its `trace`.
 *
 * Owns:  what it recorded; never more than `maxAttempts` attempts and as many connections, the first ones.
 * Never: keeps bodies, or values of secret fields unless asked for.
 */

import type { CloseReason } from "../errors.ts";
import { wrongType } from "../message/options.ts";
import type { TraceEvent, TraceFields, TraceOption } from "../trace.ts";

export interface RecordingOptions {
  /** Attempts and connections kept; later ones are counted in `dropped`. Default 10,000. */
  maxAttempts?: number;
  /** Keep Authorization, Cookie and the like. Default false. */
  secrets?: boolean;
}

/** One attempt. Times are monotonic milliseconds of the transport's clock; null where it did not happen. */
export interface RecordedAttempt {
  readonly call: number;
  readonly attempt: number;
  readonly method: string;
  readonly url: string;
  /** How many redirects led to the call. */
  readonly hop: number;
  /** When it began: ms since the epoch. */
  readonly startedAt: number;
  readonly from: number;
  dialedAt: number | null;
  resolvedAt: number | null;
  connectedAt: number | null;
  securedAt: number | null;
  assignedAt: number | null;
  writtenAt: number | null;
  sentAt: number | null;
  firstByteAt: number | null;
  headAt: number | null;
  /** The last byte came, or it failed. */
  endAt: number | null;
  connection: number | null;
  reused: boolean;
  requestHeaders: TraceFields;
  bytesSent: number;
  status: number | null;
  statusText: string;
  httpVersion: "1.0" | "1.1" | "2";
  responseHeaders: TraceFields;
  /** Of the body, encoded as it came. */
  bytesReceived: number;
  outcome: "pending" | "answered" | "failed" | "retried" | "handed-over";
  error: unknown;
  redirectUrl: string;
  /** What happened to it, but for the bytes of its bodies. */
  readonly events: TraceEvent[];
}

export interface RecordedConnection {
  readonly id: number;
  /** Null where the dial began before the recording. */
  readonly dialedAt: number | null;
  readonly openedAt: number;
  readonly dialedFor: number | null;
  readonly peer: string;
  remoteAddress: string | null;
  remotePort: number | null;
  readonly idle: { readonly from: number; to: number | null }[];
  closedAt: number | null;
  closeReason: CloseReason | null;
}

interface DialSeen {
  readonly at: number;
  readonly peer: string;
}

const ATTEMPTS_MAX = 10_000;

export class Recording {
  /** For the option `trace` of a Transport or of a call. */
  readonly trace: TraceOption;
  readonly #max: number;
  readonly #attempts: RecordedAttempt[] = [];
  readonly #current = new Map<number, RecordedAttempt>();
  readonly #connections = new Map<number, RecordedConnection>();
  readonly #dials = new Map<number, DialSeen>();
  #dropped = 0;
  #now = 0;

  /** @throws {TypeError} options of the wrong type */
  constructor({ maxAttempts = ATTEMPTS_MAX, secrets = false }: RecordingOptions = {}) {
    if (!Number.isSafeInteger(maxAttempts) || maxAttempts < 1)
      throw wrongType("maxAttempts", "a whole number, 1 or more", maxAttempts);
    if (typeof secrets !== "boolean") throw wrongType("secrets", "a boolean", secrets);
    this.#max = maxAttempts;
    this.trace = { on: (event) => this.#hear(event), secrets };
  }

  /** In the order in which they began. */
  get attempts(): readonly RecordedAttempt[] {
    return this.#attempts;
  }
  /** In the order in which they were seen. */
  get connections(): readonly RecordedConnection[] {
    return [...this.#connections.values()];
  }
  /** Attempts and connections that there was no room for. */
  get dropped(): number {
    return this.#dropped;
  }
  /** When the last event was heard. */
  get now(): number {
    return this.#now;
  }

  #hear(event: TraceEvent): void {
    this.#now = Math.max(this.#now, event.at);
    if (event.type === "call-start") {
      const { call, method, url, hop, startedAt, at } = event;
      if (call !== null) this.#begin({ call, attempt: 1, method, url, hop, startedAt, from: at }, event);
      return;
    }
    this.#ofConnection(event);
    const attempt = event.call === null ? undefined : this.#current.get(event.call);
    if (attempt !== undefined) this.#ofAttempt(attempt, event);
  }

  #begin(
    facts: Pick<RecordedAttempt, "call" | "attempt" | "method" | "url" | "hop" | "startedAt" | "from">,
    event: TraceEvent,
  ): void {
    if (this.#attempts.length >= this.#max) {
      this.#dropped++;
      this.#current.delete(facts.call);
      return;
    }
    const attempt: RecordedAttempt = {
      ...facts,
      dialedAt: null,
      resolvedAt: null,
      connectedAt: null,
      securedAt: null,
      assignedAt: null,
      writtenAt: null,
      sentAt: null,
      firstByteAt: null,
      headAt: null,
      endAt: null,
      connection: null,
      reused: false,
      requestHeaders: [],
      bytesSent: 0,
      status: null,
      statusText: "",
      httpVersion: "1.1",
      responseHeaders: [],
      bytesReceived: 0,
      outcome: "pending",
      error: undefined,
      redirectUrl: "",
      events: [event],
    };
    this.#attempts.push(attempt);
    this.#current.set(facts.call, attempt);
  }

  #ofAttempt(attempt: RecordedAttempt, event: TraceEvent): void {
    const { at } = event;
    if (event.type === "body-data") attempt.bytesReceived += event.bytes;
    else if (event.type !== "body-sent") attempt.events.push(event);
    if (attempt.assignedAt === null) this.#beforeConnection(attempt, event);
    switch (event.type) {
      case "request-write":
        attempt.writtenAt = at;
        attempt.requestHeaders = event.headers();
        return;
      case "request-sent":
        attempt.sentAt = at;
        attempt.bytesSent = event.bytes;
        return;
      case "first-byte":
        attempt.firstByteAt = at;
        return;
      case "head":
        attempt.headAt = at;
        attempt.status = event.status;
        attempt.statusText = event.statusText;
        attempt.httpVersion = event.httpVersion;
        attempt.responseHeaders = event.headers();
        return;
      case "redirect":
        attempt.redirectUrl = event.url;
        return;
      case "end":
        return this.#end(attempt, at, "answered");
      case "handed-over":
        return this.#end(attempt, at, "handed-over");
      case "call-failed":
      case "body-failed":
        attempt.error = event.error;
        return this.#end(attempt, at, "failed");
      case "retry": {
        attempt.error = event.error;
        this.#end(attempt, at, "retried");
        const { call, method, url, hop, startedAt, from } = attempt;
        const next = {
          call,
          method,
          url,
          hop,
          attempt: attempt.attempt + 1,
          from: at,
          startedAt: startedAt + at - from,
        };
        return this.#begin(next, event);
      }
    }
  }

  #beforeConnection(attempt: RecordedAttempt, event: TraceEvent): void {
    const { at } = event;
    switch (event.type) {
      case "dial-start":
        attempt.dialedAt = at;
        return;
      case "dns-done":
        attempt.resolvedAt = at;
        return;
      case "connect-done":
        if (event.tried.outcome === "connected") attempt.connectedAt = at;
        return;
      case "tls-done":
        attempt.securedAt = at;
        return;
      case "pool-assigned":
        attempt.assignedAt = at;
        attempt.connection = event.connection;
        attempt.reused = event.reused;
        if (!event.reused) return;
        // What its own dial did was not what it waited for.
        attempt.dialedAt = null;
        attempt.resolvedAt = null;
        attempt.connectedAt = null;
        attempt.securedAt = null;
    }
  }

  /** The first end stands: an answer may be whole before its connection is closed. */
  #end(attempt: RecordedAttempt, at: number, outcome: RecordedAttempt["outcome"]): void {
    if (attempt.outcome !== "pending") return;
    attempt.endAt = at;
    attempt.outcome = outcome;
  }

  #ofConnection(event: TraceEvent): void {
    const { at, call } = event;
    if (event.type === "dial-start" && call !== null) {
      const { host, port, proxy } = event;
      this.#dials.set(call, { at, peer: `${host}:${port}${proxy === undefined ? "" : ` through ${proxy}`}` });
    } else if (event.type === "dial-failed" || event.type === "dial-abandoned") {
      if (call !== null) this.#dials.delete(call);
    } else if (event.type === "dial-done") {
      const dial = call === null ? undefined : this.#dials.get(call);
      if (call !== null) this.#dials.delete(call);
      if (this.#connections.size >= this.#max) return void this.#dropped++;
      const { id, remoteAddress, remotePort } = event;
      this.#connections.set(id, {
        id,
        dialedAt: dial?.at ?? null,
        openedAt: at,
        dialedFor: call,
        peer: dial?.peer ?? "",
        remoteAddress,
        remotePort,
        idle: [],
        closedAt: null,
        closeReason: null,
      });
    }
    const connection = event.connection === null ? undefined : this.#connections.get(event.connection);
    if (connection === undefined) return;
    const last = connection.idle.at(-1);
    if (event.type === "connection-idle") connection.idle.push({ from: at, to: null });
    else if (event.type === "pool-assigned") {
      if (last !== undefined) last.to ??= at;
    } else if (event.type === "connection-closed") {
      if (last !== undefined) last.to ??= at;
      connection.closedAt ??= at;
      connection.closeReason ??= event.reason;
    }
  }
}
