/**
 * The write loop of one persistent connection: takes an exchange from the write queue, writes its head and body, and
 * takes the next. Lives as long as the connection.
 *
 * Owns:  the write half's state, the write deadline, exchange.writeBegun and exchange.bytesSubmitted.
 * Never: has more than one write outstanding. A body goes out in slices of at most 64 KiB, each but the first after a
 *        poll of the event loop: an answer that came early is then read before a further write can make the kernel's
 *        reset destroy the socket with the answer unread (lost 40 of 40 without the poll, none with it).
 *
 * What counts as "nothing was written" is decided here and nowhere else: `write()` was not called for the request, or,
 * on plain TCP and unix sockets, its first write was refused at once with nothing else queued.
 *
 * RFC 9112 §6.2 (Content-Length), §7.1 (chunked), §9.5 (early answers); RFC 9110 §10.1.1 (100-continue).
 */

import type { Clock, Deadline } from "../clock.ts";
import { type CloseReason, ConnectionClosedError, LocalProtocolError, TimeoutError } from "../errors.ts";
import type { BodyReader } from "../message/request-body.ts";
import { fieldsOf, headParts, TRACE_BODY, TRACE_CONN } from "../trace.ts";
import { CHUNK_END, chunkHeader, lastChunk } from "../wire/request-writer.ts";
import type { AsyncQueue } from "./async-queue.ts";
import type { Conduit } from "./conduit.ts";
import { type State, WRITE_STATES, type WriteEvent, type WriteState } from "./conn-state.ts";
import type { Exchange } from "./exchange.ts";
import type { Pipeline } from "./pipeline.ts";

/** What the write loop asks of the connection that owns it. */
export interface WriteLoopHost {
  readonly conduit: Conduit;
  readonly clock: Clock;
  readonly peer: string;
  /** The request is wholly handed over. */
  requestSent(exchange: Exchange): void;
  close(reason: CloseReason, error?: unknown): void;
  /** The exchange in flight: the one whose answer is to come first. */
  readonly inFlight: Exchange | null;
  /** No answer came after a write was refused, nor did the connection's error. */
  lost(): void;
  broken(error: unknown): void;
}

/** The most that one write takes from a body. */
const SLICE_BYTES_MAX = 64 * 1024;
/** In-memory bodies up to this size go out with the head, in one write. */
const JOINED_BYTES_MAX = SLICE_BYTES_MAX;
/** Smaller pieces come out of Node's pool, and cost no allocation of their own. */
const PIECE_BYTES_MAX = Buffer.poolSize >>> 1;
/** A conduit that refused a write breaks as soon as it has read what was there; this is for one that does not. */
const ANSWER_MS_MAX = 1_000;

type Piece = Uint8Array | string;
const NONE: Exchange[] = [];

export class WriteLoop {
  readonly #host: WriteLoopHost;
  readonly #queue: AsyncQueue<Exchange>;
  /** Made with the first wait: over TCP most connections never have one. */
  #deadline: Deadline | null = null;

  #state: State<WriteState, WriteEvent> = WRITE_STATES.idle;
  #exchange: Exchange | null = null;
  /** Wakes the loop where it waits for the kernel, or for a 100. */
  #wake: (() => void) | null = null;
  #continued = false;
  #pendingBefore = 0;
  /** The exchange whose request is in one write that the kernel has not confirmed. */
  #whole: Exchange | null = null;
  /** The same of several that were pipelined in one write; empty where that is not so. */
  #followers: Exchange[] = NONE;
  #unsureBytes = 0;
  #awaiting: "nothing" | "kernel" | "continue" | "answer" = "nothing";
  #refusal: ConnectionClosedError | null = null;

  constructor(host: WriteLoopHost, queue: AsyncQueue<Exchange>) {
    this.#host = host;
    this.#queue = queue;
  }

  get state(): WriteState {
    return this.#state.name;
  }

  /** Bytes of the last write that the kernel has not surely taken. A broken socket no longer tells what it still had. */
  get unsureBytes(): number {
    return this.#unsureBytes;
  }

  /** Why a write was refused that was not the first of its request; the connection lives no longer than an answer needs. */
  get refusal(): ConnectionClosedError | null {
    return this.#refusal;
  }

  /**
   * Serves what is in the queue, then sleeps until there is more; until the queue is closed. Never throws: what fails
   * closes the connection. Between two exchanges nothing of it runs or is kept.
   */
  readonly run = (): void => {
    while (!this.#over) {
      const exchange = this.#queue.tryTake();
      if (exchange === undefined) {
        if (!this.#queue.closed) this.#queue.sleep(this.run);
        return;
      }
      const busy = this.#guarded(exchange);
      if (busy !== null) return void busy.then(this.run);
    }
  };

  /** Writes an exchange; null when there was nothing to wait for. */
  #guarded(exchange: Exchange): Promise<void> | null {
    try {
      return this.#write(exchange)?.catch((error: unknown) => this.#host.broken(error)) ?? null;
    } catch (error) {
      this.#host.broken(error);
      return null;
    }
  }

  /** Whether the rest of the request in flight shall not be written. */
  get #over(): boolean {
    return this.#state.name === "closed" || this.#state.name === "stopped";
  }

  /** Starts an exchange; null when all of it was handed over without waiting, which is the common case. */
  #write(exchange: Exchange): Promise<void> | null {
    this.#state = this.#state.begin;
    this.#exchange = exchange;
    this.#continued = false; // here, since a 100 may also come when its request is sent already
    const head = exchange.outgoing;
    const body = exchange.outgoingBody;
    const memory = body?.memory ?? null;
    const whole = !head.expectContinue && head.framing.kind !== "chunked";
    const joined = memory !== null && memory.length <= JOINED_BYTES_MAX && whole;
    if (body !== null && !joined) return this.#writeLong(exchange, body);

    let data: string | Piece[] = head.text;
    let bytes = head.text.length;
    if (memory !== null) {
      bytes += memory.length;
      data = typeof memory === "string" ? head.text + memory : (onePiece(head.text, memory) ?? [head.text, memory]);
    }
    switch (this.#hand(exchange, data, bytes)) {
      case "ok":
        this.#wholeSent(exchange);
        return null;
      case "full":
        this.#whole = exchange;
        return this.#kernelTook().then(() => {
          if (this.#whole === exchange) this.wholeSent(exchange);
        });
      default:
        return null;
    }
  }

  /**
   * Writes requests behind one that is sent, as one piece: heads only, since what is pipelined has no body. Called where
   * the write half is done with the last one.
   */
  follow(line: Pipeline): void {
    if (line.unwritten === 0) return;
    this.#state = this.#state.follow;
    const { conduit } = this.#host;
    const exchanges: Exchange[] = [];
    let text = "";
    for (let exchange = line.take(); exchange !== undefined; exchange = line.take()) {
      exchange.writeBegun = true;
      exchanges.push(exchange);
      text += exchange.outgoing.text;
      if (exchange.trace.mask & TRACE_CONN) {
        const head = exchange.outgoing.text;
        exchange.trace.emit({ type: "request-write", bytes: head.length, ...headParts(head) });
        if (this.#over) return; // by a listener
      }
    }
    this.#exchange = exchanges[0] ?? null;
    const alone = conduit.pendingBytes === 0;
    this.#unsureBytes = text.length;
    const answer = conduit.write(text);
    const refused = answer instanceof Error;
    if (!refused || !alone || !conduit.refusalProvesNothingWritten)
      for (const exchange of exchanges) exchange.bytesSubmitted = exchange.outgoing.text.length;
    if (refused) {
      const state = "the connection was lost before it was written";
      const text = `Cannot write request to ${this.#host.peer}: ${state}`;
      const error = new ConnectionClosedError(text, { phase: "write", cause: answer });
      // Whoever was written before may have been answered: that is read first.
      return this.#refused(this.#host.inFlight === exchanges[0], error);
    }
    for (const { trace, outgoing } of exchanges) {
      if (trace.mask & TRACE_CONN) trace.emit({ type: "request-head", fields: () => fieldsOf(outgoing.text) });
      if (this.#over) return; // by a listener
    }
    this.#followers = exchanges;
    if (answer === "ok") {
      this.#unsureBytes = 0;
      return this.#followed(exchanges.length);
    }
    void this.#kernelTook().then(() => {
      if (this.#followers === exchanges) this.#followed(exchanges.length);
    });
    // What is in front takes its time; only a request whose turn it is may complain that nobody takes it.
    if (this.#host.inFlight !== exchanges[0]) this.#deadline?.reset(0);
  }

  /** The first `n` of those that were pipelined are sent. */
  #followed(n: number): void {
    const sent = this.#followers.splice(0, n);
    if (this.#followers.length === 0) {
      this.#followers = NONE;
      this.#state = this.#state.end;
      this.#exchange = null;
    } else this.#exchange = this.#followers[0] as Exchange; // there is one
    for (const exchange of sent) if (!this.#over) this.#host.requestSent(exchange); // a listener may have ended it
  }

  /** Its turn to be answered has come, and it is not sent: from now on its time limit runs. */
  turnOf(exchange: Exchange): void {
    if (this.#awaiting !== "kernel") return;
    this.#pendingBefore = this.#host.conduit.pendingBytes;
    this.#arm(exchange.limits.writeTimeout);
  }

  /** A body that does not go out in one write with its head. */
  async #writeLong(exchange: Exchange, body: BodyReader): Promise<void> {
    const head = exchange.outgoing;
    // A body in memory begins right behind the head; one that must be waited for, or for which a 100 is, lets it go first.
    let unsent = body.memory !== null && !head.expectContinue ? head.text : "";
    if (unsent === "" && !(await this.#put(exchange, head.text, head.text.length))) return;
    if (head.expectContinue && !this.#continued) {
      await this.#continue(exchange.limits.expectContinueTimeout);
      if (this.#over) return;
    }
    const chunked = head.framing.kind === "chunked";
    const declared = head.framing.kind === "content-length" ? head.framing.length : null;
    let sent = 0;
    for (;;) {
      const chunk = await this.#next(body);
      if (this.#over || chunk === undefined) return;
      if (chunk === null) break;
      if (declared !== null && sent + chunk.length > declared) {
        return this.#bodyFailed(lengthError(this.#host.peer, declared, `at least ${sent + chunk.length}`));
      }
      for (let at = 0; at < chunk.length; at += SLICE_BYTES_MAX) {
        const slice = chunk.length <= SLICE_BYTES_MAX ? chunk : chunk.subarray(at, at + SLICE_BYTES_MAX);
        const before = chunked ? unsent + chunkHeader(slice.length) : unsent;
        if (unsent === "") await this.#poll();
        if (this.#over) return;
        unsent = "";
        const data: Piece[] = before === "" ? [slice] : [before, slice];
        if (chunked) data.push(CHUNK_END);
        const bytes = before.length + slice.length + (chunked ? CHUNK_END.length : 0);
        if (!(await this.#put(exchange, data, bytes))) return;
        sent += slice.length;
        if (exchange.trace.mask & TRACE_BODY) exchange.trace.emit({ type: "body-sent", bytes: slice.length });
      }
    }
    if (declared !== null && sent < declared) {
      return this.#bodyFailed(lengthError(this.#host.peer, declared, `${sent}`));
    }
    if (chunked) {
      let last: string;
      try {
        last = lastChunk(exchange.outgoingTrailers?.() ?? []);
      } catch (error) {
        return this.#bodyFailed(error);
      }
      if (unsent === "") await this.#poll();
      const data = unsent + last;
      if (this.#over || !(await this.#put(exchange, data, data.length))) return;
    }
    this.#sent(exchange);
  }

  /** The next chunk; null at the end; undefined when the source failed, and the connection is closed then. */
  async #next(body: BodyReader): Promise<Uint8Array | null | undefined> {
    try {
      return await body.next();
    } catch (error) {
      // Half a body is on the wire, so the connection cannot live; the source's own error is what the caller must see.
      if (!this.#over) this.#host.close("body-error", error);
      return undefined;
    }
  }

  #bodyFailed(error: unknown): void {
    this.#host.close("body-error", error);
  }

  // ---- one write

  /** Hands bytes over and waits until the kernel has them; false when the loop shall stop. */
  async #put(exchange: Exchange, data: string | readonly Piece[], bytes: number): Promise<boolean> {
    const answer = this.#hand(exchange, data, bytes);
    if (answer === "full") await this.#kernelTook();
    return answer !== "failed" && !this.#over;
  }

  #hand(exchange: Exchange, data: string | readonly Piece[], bytes: number): "ok" | "full" | "failed" {
    const { conduit } = this.#host;
    const first = !exchange.writeBegun;
    const alone = conduit.pendingBytes === 0;
    exchange.writeBegun = true;
    this.#unsureBytes = bytes;
    if (first && exchange.trace.mask & TRACE_CONN)
      exchange.trace.emit({ type: "request-write", bytes, ...headParts(exchange.outgoing.text) });
    const answer = conduit.write(data);
    if (answer instanceof Error) {
      const provenUnwritten = first && alone && conduit.refusalProvesNothingWritten;
      if (!provenUnwritten) exchange.bytesSubmitted += bytes;
      this.#refused(
        first,
        new ConnectionClosedError(
          `Cannot write request to ${this.#host.peer}: the connection was lost after ${exchange.bytesSubmitted} bytes`,
          { phase: "write", cause: answer },
        ),
      );
      return "failed";
    }
    exchange.bytesSubmitted += bytes;
    if (answer === "ok") this.#unsureBytes = 0;
    if (first && exchange.trace.mask & TRACE_CONN) {
      const { text } = exchange.outgoing;
      exchange.trace.emit({ type: "request-head", fields: () => fieldsOf(text) });
      if (this.#over) return "failed"; // by a listener
    }
    return answer;
  }

  /**
   * A write was refused. Behind a first one there is nothing to wait for. Where a part of the request has left, the
   * peer may have answered before it closed, and then its answer comes before the connection's error does, or with the
   * next polls (Go issue 11745).
   */
  #refused(first: boolean, error: ConnectionClosedError): void {
    if (first) return this.#host.close("socket-error", error);
    this.#refusal = error;
    this.#exchange?.outgoingBody?.destroy(error);
    this.stop();
    this.#awaiting = "answer";
    this.#arm(ANSWER_MS_MAX);
  }

  #sent(exchange: Exchange): void {
    this.#state = this.#state.end;
    this.#exchange = null;
    this.#host.requestSent(exchange);
  }

  // ---- waiting

  /** One full poll of the event loop: what the peer sent meanwhile is read before the next write. */
  #poll(): Promise<void> {
    return new Promise((resolve) => {
      this.#host.clock.turn(() => resolve());
    });
  }

  #kernelTook(): Promise<void> {
    this.#awaiting = "kernel";
    this.#pendingBefore = this.#host.conduit.pendingBytes;
    this.#arm((this.#exchange as Exchange).limits.writeTimeout); // set while a write is outstanding
    return this.#sleep();
  }

  #continue(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    const trace = this.#exchange?.trace;
    if (trace !== undefined && trace.mask & TRACE_CONN) {
      trace.emit({ type: "continue-wait" });
      if (this.#over) return Promise.resolve(); // by a listener
    }
    this.#awaiting = "continue";
    this.#arm(ms);
    return this.#sleep();
  }

  #arm(ms: number): void {
    if (this.#state.name === "closed") return; // nobody would cancel it
    this.#deadline ??= this.#host.clock.deadline(0, () => this.#expired());
    this.#deadline.reset(ms);
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #awake(): void {
    this.#awaiting = "nothing";
    this.#deadline?.reset(0);
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** The kernel has taken all. */
  drained(): void {
    this.#unsureBytes = 0;
    if (this.#awaiting === "kernel") this.#awake();
  }

  /** A 100 came, or a final answer that wants the body all the same (CVE-2024-24791: all of it or none, never half). */
  continued(): void {
    this.#continued = true;
    if (this.#awaiting === "continue") this.#awake();
  }

  #expired(): void {
    if (this.#awaiting === "answer") return this.#host.lost();
    if (this.#awaiting === "continue") return this.#awake(); // no 100 in time: send (RFC 9110 §10.1.1)
    const exchange = this.#exchange;
    if (this.#awaiting !== "kernel" || exchange === null) return;
    const pending = this.#host.conduit.pendingBytes;
    const limit = exchange.limits.writeTimeout;
    if (pending < this.#pendingBefore) {
      // It is slow, but it takes bytes: the limit speaks of a kernel that takes none.
      this.#pendingBefore = pending;
      this.#arm(limit);
      return;
    }
    this.#host.close(
      "timeout",
      new TimeoutError(
        "write",
        "writeTimeout",
        limit,
        `Cannot write request to ${this.#host.peer}: the peer took no byte within ${limit} ms (option writeTimeout)`,
      ),
    );
  }

  // ---- from the connection

  /**
   * A request that went into one write is sent when the kernel has confirmed it, or when the head of its answer is
   * there, whichever is told first: over TLS the confirmation may come after the whole of a quick answer, and the
   * connection must be idle before the caller can learn of that. What might still wait goes out before what follows.
   *
   * @param answered whose head is there: what was pipelined behind it may still wait
   */
  wholeSent(answered: Exchange): void {
    const exchange = this.#whole;
    this.#whole = null;
    if (this.#followers.length > 0) return this.#answered(answered);
    if (exchange === null || this.#over) return;
    if (this.#awaiting === "kernel") this.#awake();
    this.#wholeSent(exchange);
  }

  #answered(exchange: Exchange): void {
    const last = this.#followers.at(-1);
    if (this.#over) return;
    if (last === exchange) this.#awake();
    this.#followed(this.#followers.indexOf(exchange) + 1);
  }

  #wholeSent(exchange: Exchange): void {
    const bytes = exchange.outgoingBody?.memory?.length ?? 0;
    if (bytes > 0 && exchange.trace.mask & TRACE_BODY) exchange.trace.emit({ type: "body-sent", bytes });
    if (!this.#over) this.#sent(exchange); // a listener may have ended it
  }

  /** Writes no more of the request in flight. */
  stop(): void {
    if (this.#state.name !== "writing") return;
    this.#state = this.#state.stop;
    this.#exchange = null;
    this.#whole = null;
    this.#followers = NONE;
    this.#awake();
  }

  recycle(): void {
    this.#state = this.#state.recycle;
  }

  closed(): void {
    this.#state = this.#state.close;
    this.#exchange = null;
    this.#followers = NONE;
    this.#awake();
    this.#deadline?.cancel();
  }
}

/** Both in one piece, where that is a small one: to copy it costs less than a write of two. Else null. */
function onePiece(head: string, body: Uint8Array): Piece[] | null {
  const bytes = head.length + body.length;
  if (bytes >= PIECE_BYTES_MAX) return null;
  const piece = Buffer.allocUnsafe(bytes);
  piece.write(head, "latin1");
  piece.set(body, head.length);
  return [piece];
}

function lengthError(peer: string, declared: number, sent: string): LocalProtocolError {
  return new LocalProtocolError(
    "body",
    `Cannot write request body to ${peer}: Content-Length says ${declared} bytes, the body has ${sent}`,
    { phase: "write" },
  );
}
