/**
 * What a run keeps of its requests and of its connections: the client's end, watched, and what the server means by it.
 *
 * A record lives as long as the run, its connection or not: what was wrong with it explains what became of its requests.
 */

import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";

/** What is wrong with a request's body. */
export type Trouble = "throws" | "hangs" | "short" | "long" | "aborts" | "throws-on-return" | "throws-when-made";

/** One request, and what became of it. */
export class CallRecord {
  readonly nonce: number;
  readonly method: string;
  readonly startedAt: number;
  readonly timeout: number;
  /** What the server must get. */
  readonly body: Buffer;
  /** Go's isReplayable. */
  readonly replayable: boolean;
  /** What the server says to it: set when it answers, before a byte of the answer goes out. */
  answer: { readonly status: number; readonly body: Buffer; readonly framing: string } | null = null;
  /** The connections that it was given. */
  readonly links: Link[] = [];
  /** How often its head was handed over. */
  writes = 0;
  gotBytes = false;
  /** Bytes of the body that its caller has taken. */
  taken = 0;
  sentAt: number | null = null;
  headAt: number | null = null;
  /** Its last byte came off the wire, or none will. */
  wireOver = false;
  failed = false;
  settled = false;
  /** Its caller has closed the answer, or was told of its failure: what is left may be drained for a moment, beyond the call's own time. */
  left = false;
  aborted = false;
  /** What is wrong with its body, and what that throws. */
  trouble: Trouble | null = null;
  bodyError: Error | null = null;
  /** Aborts it, where its caller can. */
  abort: (() => void) | null = null;

  constructor(nonce: number, method: string, startedAt: number, timeout: number, body: Buffer) {
    this.nonce = nonce;
    this.method = method;
    this.startedAt = startedAt;
    this.timeout = timeout;
    this.body = body;
    this.replayable = method === "GET" || method === "HEAD";
  }

  get name(): string {
    return `r${this.nonce}`;
  }
}

export class Link {
  readonly name: string;
  readonly host: string;
  readonly near: WatchedConduit;
  /** What the server has done to it that explains a failure; null while nothing. */
  fault: string | null = null;
  /** Where the server began to send what nobody asked for: behind so many bytes, and so many answers. */
  unsolicited: { readonly bytes: number; readonly answers: number } | null = null;

  /**
   * What nobody asked for came while a request was under way, and was taken for its answer, as any client of HTTP/1.1
   * must: from then on each request gets the answer of the one before, and nothing can be asked of the connection.
   */
  outOfStep = false;
  /** The last answer lasts until the connection ends: whatever comes is a part of it. */
  untilClose = false;
  /** The server has said close, and looks at nothing that comes behind. */
  saidClose = false;
  /** The server is in the middle of an answer: bytes that it sent now would be in the middle of that. */
  answering = false;
  /** The first request of the connection asked a proxy for a tunnel, and is none of the callers'. */
  tunnelled = false;
  /** The call whose dial it was, and whether that is done: the dial may lead through a tunnel. */
  readonly dialedFor: number | null;
  dialed = false;

  constructor(name: string, host: string, near: WatchedConduit, dialedFor: number | null) {
    this.name = name;
    this.host = host;
    this.near = near;
    this.dialedFor = dialedFor;
  }
}

/** The client's end of a connection: passes everything through, and lets the invariants look on. */
export class WatchedConduit implements Conduit {
  readonly facts: Conduit["facts"];
  readonly refusalProvesNothingWritten: boolean;
  readonly #inner: Conduit;
  readonly #told: ConduitWatcher;
  open = true;
  paused = false;
  sawEnd = false;
  /** Bytes that the client was given. */
  delivered = 0;
  /** When something happened to it last, counted over all connections. */
  stamp = ++stamps;
  /** Requests that were written to it. */
  requests = 0;
  /** It brought bytes when no request was waiting for any. */
  tainted = false;
  /** The requests that were written, the oldest first, until each has its answer; and how much came before that of the first. */
  readonly inFlight: CallRecord[] = [];
  exchangeFrom = 0;

  /** Deliveries that still come after a pause, as TLS has it; -1: the pause has come through. */
  #pausesIn = -1;
  readonly #lateness: () => number;

  /** @param lateness how many deliveries come after a pause */
  constructor(inner: Conduit, told: ConduitWatcher, lateness: () => number) {
    this.#inner = inner;
    this.#lateness = lateness;
    this.#told = told;
    this.facts = inner.facts;
    this.refusalProvesNothingWritten = inner.refusalProvesNothingWritten;
  }

  get pendingBytes(): number {
    return this.#inner.pendingBytes;
  }

  attach(sink: ConduitSink): void {
    this.#inner.attach({
      data: (view, n) => {
        this.delivered += n;
        this.stamp = ++stamps;
        this.#told.data(n);
        if (this.paused && this.#pausesIn > 0) this.#pauseIn(this.#pausesIn - 1);
        sink.data(view, n);
        this.#told.taken();
      },
      drained: () => sink.drained(),
      end: () => {
        this.sawEnd = true;
        this.#told.said("sees the end");
        sink.end();
      },
      error: (error) => {
        this.#told.said(`breaks: ${error.message}`);
        sink.error(error);
      },
    });
  }

  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    const first = typeof data === "string" ? data : data[0];
    const nonces = first === undefined ? [] : noncesOf(first);
    const answer = this.#inner.write(data);
    this.#told.wrote(nonces, answer);
    return answer;
  }

  pause(): void {
    this.paused = true;
    this.#pauseIn(this.#lateness());
  }
  resume(): void {
    this.paused = false;
    this.#inner.resume();
  }
  #pauseIn(deliveries: number): void {
    this.#pausesIn = deliveries;
    if (deliveries === 0) this.#inner.pause();
  }
  end(): void {
    this.#inner.end();
  }
  destroy(): void {
    if (this.open) this.#told.said("is destroyed");
    this.open = false;
    this.#inner.destroy();
  }
  ref(): void {}
  unref(): void {}
}

let stamps = 0;

export interface ConduitWatcher {
  data(n: number): void;
  /** What came was dealt with. */
  taken(): void;
  wrote(nonces: readonly number[], answer: "ok" | "full" | Error): void;
  said(what: string): void;
}

/** The numbers in the request lines of simulated requests: of one, or of those that were pipelined in one write. */
function noncesOf(start: string | Uint8Array): number[] {
  const text =
    typeof start === "string"
      ? start
      : Buffer.from(start.buffer, start.byteOffset, Math.min(HEADS_BYTES_MAX, start.length)).toString("latin1");
  const nonces: number[] = [];
  for (let at = 0; ; ) {
    REQUEST_LINE.lastIndex = at;
    const found = REQUEST_LINE.exec(text);
    if (found === null) return nonces;
    nonces.push(Number(found[1]));
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) return nonces;
    at = end + 4;
  }
}

/** More than all heads take that go out in one write. */
const HEADS_BYTES_MAX = 4_096;
const REQUEST_LINE = /[A-Z]+ (?:http:\/\/[a-z.]+)?\/r\/(\d+) HTTP/y;
