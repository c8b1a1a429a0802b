/**
 * Bytes of one connection's responses into events. One for each connection; holds one llhttp struct, given back by
 * `free`. The reader calls `begin` for each exchange, then `execute` with what it read, until `end` was told.
 *
 * Who does what: llhttp sees heads, and only heads. It stops where one ends, and its callbacks have stored where the
 * fields are. What the head means is worked out in response-head.ts; bodies with a length are counted here, chunked ones
 * are decoded in chunked-decoder.ts, and neither is copied. So the end of a message is exact, and what follows it is
 * never looked at.
 *
 * A head that arrives in one read (nearly all) costs one execute, one string and one copy of the spans. Otherwise its
 * bytes and spans are kept until it is whole.
 *
 * Never: keeps a view that was lent to it, or says anything more after a throw.
 *
 * RFC 9112 §2.2, §4–§8, §9.3, §9.6; RFC 9110 §6.5, §15.2.
 */

import { Buffer } from "node:buffer";
import { ConnectionClosedError, IncompleteBodyError, InvariantError, RemoteProtocolError } from "../errors.ts";
import { ByteHoard } from "./byte-hoard.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import { excerpt } from "./excerpt.ts";
import { ExchangeBudget } from "./exchange-budget.ts";
import { normalizeHead, normalizeLineEnds } from "./head-normalizer.ts";
import { LENIENT_NAMES, type LenientFlag, lenientHint, lets, withFlag } from "./lenient.ts";
import {
  allocParser,
  errorOffset,
  errorReason,
  execute as executeLlhttp,
  freeParser,
  INPUT_BYTES,
  resetParser,
  SpanStore,
  setLenient,
  sharedSpans,
} from "./llhttp/binding.ts";
import {
  HPE_INVALID_CONTENT_LENGTH,
  HPE_INVALID_HEADER_TOKEN,
  HPE_OK,
  HPE_PAUSED,
  HPE_UNEXPECTED_CONTENT_LENGTH,
  HPE_UNEXPECTED_SPACE,
} from "./llhttp/constants.ts";
import type { ParserLimits, ResponseHead, ResponseSink } from "./parser-events.ts";
import { BLANK_LINE, HeadRefusal, interpretHead, type RequestKind, requestKind } from "./response-head.ts";

/**
 * What `finish` found: `"ended"` a close-delimited body is complete now, and the sink was told; `"no-response"` no byte had
 * come since `begin`; `"not-reading"` no exchange was under way (before `begin`, after `end`, in a tunnel).
 */
export type FinishOutcome = "ended" | "no-response" | "not-reading";

/** A head, and how many fields it has. */
interface ParsedHead {
  readonly head: ResponseHead;
  readonly fields: number;
}

/** `done`: nothing is expected. `slow-head`: llhttp refused this head, and all of it is collected to be normalised. */
type Phase = "done" | "head" | "slow-head" | "length" | "chunked" | "close" | "tunnel" | "failed" | "freed";

/** The phases in which a byte that comes is read. */
const READING: Readonly<Record<Phase, boolean>> = {
  done: false,
  head: true,
  "slow-head": true,
  length: true,
  chunked: true,
  close: true,
  tunnel: false,
  failed: false,
  freed: false,
};

const CR = 13;
const LF = 10;
const SP = 32;
const TAB = 9;
const COMMA = 44;

/** How far behind the byte that llhttp names the one may lie at which it refuses. */
const LOOK_BEHIND_BYTES = 16;
const COLON = 58;

export class ResponseParser {
  readonly #budget: ExchangeBudget;
  /** What may pass; null: nothing, and nobody can change that. */
  readonly #lenient: number | null;
  #llhttp = allocParser();
  #phase: Phase = "done";

  // Of the exchange; set by begin().
  #kind: RequestKind = "other";
  #wasLenient = false;
  /** A 1xx of it said close. */
  #closing = false;
  #headBytes = 0;
  #bodyBytes = 0;
  /** Its response has ended during the current `execute`. */
  #ended = false;

  // Of the head being read.
  /** Bytes of it that were consumed in earlier calls or slices; 0: none has come. */
  #headOffset = 0;
  /** The CR of an empty line before it has come, its LF not. */
  #leadingCr = false;
  /** Its bytes and spans, where it did not come in one read. */
  #held: ByteHoard | null = null;
  #spans: SpanStore | null = null;
  /** Why llhttp refused it: told if normalising does not help. */
  #refusal: RemoteProtocolError | null = null;

  // Of the body being read.
  #bodyLength = 0;
  #chunked: ChunkedDecoder | null = null;

  constructor(limits: ParserLimits) {
    this.#budget = new ExchangeBudget(limits);
    this.#lenient = limits.lenient ?? null;
  }

  /** Whether something of this exchange's response was let pass that is wrong: its connection must not be used again. */
  get wasLenient(): boolean {
    return this.#wasLenient || this.#chunked?.wasLenient === true;
  }

  /** Bytes of heads that were consumed since `begin`, 1xx included, trailers not. */
  get headBytesSeen(): number {
    return this.#headBytes;
  }

  /** Body bytes since `begin`, framing left out. Up to date when `execute` has returned or thrown. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** Whether a byte of a response has come since `begin`, and its end has not. */
  get midMessage(): boolean {
    const phase = this.#phase;
    return phase === "head" ? this.#headBytes > 0 : phase !== "done" && phase !== "tunnel" && phase !== "freed";
  }

  /** The next response answers a request with this method. Resets the limits, which hold for one exchange. */
  begin(method: string): void {
    if (this.#phase !== "done") throw new InvariantError(`Cannot begin a response: parser is in phase ${this.#phase}`);
    this.#phase = "head";
    this.#kind = requestKind(method);
    this.#closing = false;
    this.#wasLenient = false;
    if (this.#chunked !== null) this.#chunked.wasLenient = false;
    this.#headBytes = 0;
    this.#bodyBytes = 0;
    this.#leadingCr = false;
    this.#headOffset = 0;
    this.#budget.reset();
  }

  /**
   * Reads `view[start, end)` and calls the sink, which may call `begin` from `end()`, and `free` from anywhere.
   *
   * @returns the position after the last byte consumed: less than `end` only when the message has ended, or a tunnel has
   *   begun; what is left is not of this exchange
   * @throws {RemoteProtocolError} the peer broke HTTP; {HeaderLimitError} it sent more than the limits allow; and what
   *   the sink throws. After a throw nothing but `free` may be called
   */
  execute(view: Uint8Array, start: number, end: number, sink: ResponseSink): number {
    if (this.#phase === "failed") throw new InvariantError("Cannot read response: its parser has failed before");
    this.#ended = false;
    try {
      let pos = start;
      // Not by phase alone: the sink may have begun the next exchange from `end()`, and what is left is not its answer.
      while (pos < end && !this.#ended && READING[this.#phase]) pos = this.#read(view, pos, end, sink);
      return pos;
    } catch (error) {
      if (this.#phase !== "freed") this.#phase = "failed";
      throw error;
    }
  }

  #read(view: Uint8Array, pos: number, end: number, sink: ResponseSink): number {
    switch (this.#phase) {
      case "head":
        return this.#readHead(view, pos, end, sink);
      case "slow-head":
        return this.#readSlowHead(view, pos, end, sink);
      case "length":
        return this.#readLength(view, pos, end, sink);
      case "chunked":
        return this.#readChunked(view, pos, end, sink);
      case "close":
        this.#bodyBytes += end - pos;
        sink.data(view, pos, end);
        return end;
      default:
        return pos;
    }
  }

  /**
   * The peer has sent its last byte.
   *
   * @throws {IncompleteBodyError} inside a framed body; {ConnectionClosedError} inside a head, or between a 1xx and what
   *   must follow it
   */
  finish(sink: ResponseSink): FinishOutcome {
    const phase = this.#phase;
    switch (phase) {
      case "head":
      case "slow-head":
        this.#phase = "failed";
        if (this.#headBytes === 0) return "no-response";
        throw new ConnectionClosedError(`Cannot read response head: connection closed after ${this.#headBytes} bytes`, {
          phase: "headers",
          bytesRead: this.#headBytes,
        });
      case "close":
        this.#phase = "done";
        sink.end();
        return "ended";
      case "length": {
        const expected = this.#bodyBytes + this.#bodyLength;
        this.#phase = "failed";
        throw new IncompleteBodyError(
          `Cannot read response body: connection ended after ${this.#bodyBytes} of ${expected} bytes`,
          expected,
          this.#bodyBytes,
        );
      }
      case "chunked":
        this.#phase = "failed";
        throw new IncompleteBodyError(
          `Cannot read response body: connection ended after ${this.#bodyBytes} bytes, before the last chunk`,
          null,
          this.#bodyBytes,
        );
      default:
        return "not-reading";
    }
  }

  /** Gives the WASM memory back. Idempotent; may be called from the sink. */
  free(): void {
    if (this.#phase === "freed") return;
    this.#phase = "freed";
    this.#chunked?.stop();
    this.#held = null;
    this.#spans = null;
    freeParser(this.#llhttp);
    this.#llhttp = 0;
  }

  // Heads

  #readHead(view: Uint8Array, start: number, end: number, sink: ResponseSink): number {
    let pos = start;
    if (this.#headOffset === 0) {
      const first = view[pos]!;
      if (first === CR || first === LF || this.#leadingCr) {
        pos = this.#skipEmptyLines(view, pos, end);
        if (pos === end) return end;
      }
      resetParser(this.#llhttp);
      sharedSpans.restart(this.#budget.fields);
    }
    // Where the part of this head begins that lies in `view`; the rest is held.
    const from = pos;
    const budget = this.#budget;
    const spans = this.#spans ?? sharedSpans;
    while (pos < end) {
      if (budget.headBytes === 0) throw budget.bytesExceeded();
      const slice = Math.min(end - pos, INPUT_BYTES, budget.headBytes);
      const answer = executeLlhttp(this.#llhttp, spans, this.#headOffset, view, pos, pos + slice);
      if (answer === HPE_OK) {
        this.#consume(slice);
        pos += slice;
      } else if (answer === HPE_PAUSED) {
        const consumed = errorOffset(this.#llhttp);
        this.#consume(consumed);
        pos += consumed;
        if (this.#held === null) {
          this.#headIsWhole(latin1(view, from, pos), view, from, spans, sink);
        } else {
          this.#held.append(view, from, pos);
          this.#headIsWhole(this.#held.text(), this.#held.view(), 0, spans, sink);
        }
        return pos;
      } else {
        return this.#headRefused(answer, spans, view, from, pos, end);
      }
    }
    this.#hold(view, from, end);
    this.#spans ??= sharedSpans.clone();
    return end;
  }

  #consume(bytes: number): void {
    this.#headOffset += bytes;
    this.#headBytes += bytes;
    this.#budget.headBytes -= bytes;
  }

  #hold(view: Uint8Array, start: number, end: number): void {
    this.#held ??= new ByteHoard();
    this.#held.append(view, start, end);
  }

  /**
   * Empty lines before a status line. No grammar has them, but servers that send one too many after a body without a
   * length are old friends, and llhttp skips them; it also skips a lone CR or LF, which we refuse (RFC 9112 §2.2).
   */
  #skipEmptyLines(view: Uint8Array, start: number, end: number): number {
    let pos = start;
    for (; pos < end; pos++) {
      const byte = view[pos]!;
      if (byte !== (this.#leadingCr ? LF : CR)) {
        if (!this.#leadingCr && byte !== LF) break;
        const flag = this.#leadingCr ? "optionalLfAfterCr" : "optionalCrBeforeLf";
        if (!lets(this.#lenient ?? 0, flag)) {
          throw this.#refusalAt("bare CR or LF before the status line (RFC 9112 §2.2)", 0, view, pos, start, end, flag);
        }
        this.#wasLenient = true;
        if (this.#leadingCr) {
          this.#leadingCr = false; // it was a line of its own; this byte is looked at anew
          pos--;
          continue;
        }
        this.#leadingCr = true; // as if its CR had come
      }
      if (this.#budget.headBytes === 0) throw this.#budget.bytesExceeded();
      this.#leadingCr = !this.#leadingCr;
      this.#budget.headBytes--;
      this.#headBytes++;
    }
    return pos;
  }

  /**
   * llhttp has refused a head, at a byte in `view[pos, end)`. Where that may be one of the things that a recipient must
   * read, the head is collected and tried again; everything else ends here.
   */
  #headRefused(answer: number, spans: SpanStore, view: Uint8Array, from: number, pos: number, end: number): number {
    if (spans.overflowed) throw this.#budget.fieldsExceeded(this.#headOffset + errorOffset(this.#llhttp));
    const at = pos + errorOffset(this.#llhttp);
    const offset = this.#headOffset + errorOffset(this.#llhttp);
    const reason = errorReason(this.#llhttp);
    const heldBefore = this.#held?.length ?? 0;
    // What stands at an offset of the head, whether it is held or still in view.
    const byteAt = (i: number) => {
      if (i < heldBefore) return this.#held?.at(i);
      const inView = from + i - heldBefore;
      return inView < end ? view[inView] : undefined;
    };
    const flag = mayNormalize(answer, offset, byteAt) ? "allowed" : this.#passableBy(answer, view, from, end, offset);
    const refusal = this.#refusalAt(reason, offset, view, at, from, end, flag);
    if (flag !== "allowed") throw refusal;
    this.#refusal = refusal;
    this.#phase = "slow-head";
    this.#consume(at - pos);
    this.#hold(view, from, at);
    return at;
  }

  /** Collects the rest of a head, line by line, up to its empty line. */
  #readSlowHead(view: Uint8Array, start: number, end: number, sink: ResponseSink): number {
    const held = this.#held!;
    let pos = start;
    while (pos < end) {
      if (this.#budget.headBytes === 0) throw this.#budget.bytesExceeded();
      const stop = Math.min(end, pos + this.#budget.headBytes);
      const lf = view.indexOf(LF, pos);
      let next = lf >= 0 && lf < stop ? lf + 1 : stop;
      if (lets(this.#lenient ?? 0, "optionalLfAfterCr")) {
        if (view[pos] !== LF && this.#endsAt(held.length)) {
          this.#tryNormalized(held.text(), this.#refusal!, sink); // the CR that came last was the empty line
          break;
        }
        const cr = view.indexOf(CR, pos);
        if (cr >= 0 && cr + 1 < next) next = cr + 1;
      }
      held.append(view, pos, next);
      this.#consume(next - pos);
      pos = next;
      if (held.at(held.length - 1) === LF && this.#endsAt(held.length)) {
        this.#tryNormalized(held.text(), this.#refusal!, sink);
        break;
      }
    }
    return pos;
  }

  /** Whether the first `n` bytes held of a head end with a line end and an empty line. */
  #endsAt(n: number): boolean {
    const empty = this.#lineEndBefore(n);
    return empty > 0 && this.#lineEndBefore(empty) > 0;
  }

  /** Where the line end begins that ends at `n`; -1 where there is none. */
  #lineEndBefore(n: number): number {
    const held = this.#held!;
    const lenient = this.#lenient ?? 0;
    if (held.at(n - 1) === CR) return lets(lenient, "optionalLfAfterCr") ? n - 1 : -1;
    if (held.at(n - 1) !== LF) return -1;
    if (held.at(n - 2) === CR) return n - 2;
    return lets(lenient, "optionalCrBeforeLf") ? n - 1 : -1;
  }

  /**
   * Which flag would let llhttp pass the refused byte: "allowed" where those that are on do, null where none does.
   *
   * @param answer llhttp's, where it refused without any
   * @param offset of that byte in the head, whose bytes are those held and then `view[from, end)`
   */
  #passableBy(
    answer: number,
    view: Uint8Array,
    from: number,
    end: number,
    offset: number,
  ): LenientFlag | "allowed" | null {
    const on = this.#lenient;
    // A line in front of the first field is no field, whatever llhttp would make of it (RFC 9112 §2.2).
    if (on === null || answer === HPE_UNEXPECTED_SPACE) return null;
    const head = Buffer.concat([this.#held?.view() ?? new Uint8Array(0), view.subarray(from, end)]);
    // Line ends are mended before llhttp sees the head again, so it is not asked about them: it knows a bare CR in some
    // places only.
    if (head[offset - 1] === CR && head[offset] !== LF) {
      return lets(on, "optionalLfAfterCr") ? "allowed" : "optionalLfAfterCr";
    }
    // Up to the byte at which llhttp refuses, and no further: the answer must not hang on how much has come already. That
    // byte may be the one before the one that it names, or lie a little behind it.
    let n = Math.min(head.length, Math.max(1, offset));
    while (n < head.length && n < offset + LOOK_BEHIND_BYTES && this.#passes(head.subarray(0, n), 0)) n++;
    const refused = head.subarray(0, n);
    if (on !== 0 && this.#passes(refused, on)) return "allowed";
    return LENIENT_NAMES.find((flag) => this.#passes(refused, withFlag(on, flag))) ?? null;
  }

  #passes(head: Uint8Array, lenient: number): boolean {
    const parser = this.#llhttp;
    const spans = new SpanStore();
    spans.restart(Number.MAX_SAFE_INTEGER);
    resetParser(parser);
    setLenient(parser, lenient);
    try {
      for (let pos = 0; pos < head.length; pos += INPUT_BYTES) {
        const answer = executeLlhttp(parser, spans, pos, head, pos, Math.min(head.length, pos + INPUT_BYTES));
        if (answer === HPE_OK) continue;
        return answer === HPE_PAUSED;
      }
      return true;
    } finally {
      setLenient(parser, 0);
    }
  }

  /** Reads a whole head that was refused: in the form that llhttp reads, then with what may pass. */
  #tryNormalized(head: string, refusal: RemoteProtocolError, sink: ResponseSink): void {
    const normal = normalizeHead(head);
    let refused = refusal;
    let parsed: ParsedHead | null = null;
    try {
      // Where nothing was changed this is refused again, and then says what could let it pass.
      if (normal !== head || this.#lenient !== null) parsed = this.#parseWhole(normal, 0);
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      refused = error;
    }
    const lenient = this.#lenient ?? 0;
    if (parsed === null) {
      if (lenient === 0) throw refused;
      parsed = this.#parseWhole(normalizeHead(normalizeLineEnds(head, lenient)), lenient);
      this.#wasLenient = true;
    }
    this.#deliverHead(parsed.head, parsed.fields, sink);
  }

  /** @throws {RemoteProtocolError} */
  #parseWhole(normal: string, lenient: number): ParsedHead {
    const bytes = Buffer.from(normal, "latin1");
    const spans = sharedSpans;
    spans.restart(this.#budget.fields);
    resetParser(this.#llhttp);
    setLenient(this.#llhttp, lenient);
    let offset = 0;
    let answer = HPE_OK;
    for (let pos = 0; pos < bytes.length && answer === HPE_OK; pos += INPUT_BYTES) {
      answer = executeLlhttp(this.#llhttp, spans, pos, bytes, pos, Math.min(bytes.length, pos + INPUT_BYTES));
      if (answer !== HPE_OK) offset = pos + errorOffset(this.#llhttp);
    }
    setLenient(this.#llhttp, 0);
    if (spans.overflowed) throw this.#budget.fieldsExceeded(offset);
    if (answer !== HPE_PAUSED || offset !== bytes.length) {
      const reason = answer === HPE_PAUSED ? BLANK_LINE : errorReason(this.#llhttp);
      this.#held = null; // all of it is in `bytes`
      const flag = this.#passableBy(answer, bytes, 0, bytes.length, offset);
      throw this.#refusalAt(reason, offset, bytes, offset, 0, bytes.length, flag);
    }
    try {
      const head = interpretHead(normal, bytes, 0, spans, this.#kind, this.#closing, lenient);
      return { head, fields: spans.fields };
    } catch (error) {
      throw this.#asProtocolError(error, normal);
    }
  }

  #headIsWhole(text: string, bytes: Uint8Array, base: number, spans: SpanStore, sink: ResponseSink): void {
    let head: ResponseHead;
    try {
      head = interpretHead(text, bytes, base, spans, this.#kind, this.#closing, 0);
    } catch (error) {
      this.#tryNormalized(text, this.#asProtocolError(error, text), sink);
      return;
    }
    this.#deliverHead(head, spans.fields, sink);
  }

  #deliverHead(head: ResponseHead, fields: number, sink: ResponseSink): void {
    this.#budget.fields -= fields;
    this.#headOffset = 0;
    this.#leadingCr = false;
    this.#held = null;
    this.#spans = null;
    this.#refusal = null;
    switch (head.framing) {
      case "none":
        if (head.status < 200) {
          this.#budget.countInformation();
          // A 1xx says what holds for the connection, and the final answer is still to come (RFC 9112 §9.6).
          if (head.minorVersion === 1 && !head.keepAlive) this.#closing = true;
          this.#phase = "head";
          sink.information(head);
        } else {
          this.#phase = "length";
          this.#bodyLength = 0;
          sink.head(head);
          this.#end(sink);
        }
        return;
      case "length":
        this.#phase = "length";
        this.#bodyLength = head.contentLength!;
        break;
      case "chunked":
        this.#phase = "chunked";
        this.#chunked ??= new ChunkedDecoder(this.#budget, this.#lenient);
        this.#chunked.reset();
        break;
      case "close":
        this.#phase = "close";
        break;
      case "tunnel":
        this.#phase = "tunnel";
        break;
    }
    sink.head(head);
  }

  // Bodies

  #readLength(view: Uint8Array, start: number, end: number, sink: ResponseSink): number {
    const stop = Math.min(end, start + this.#bodyLength);
    this.#bodyLength -= stop - start;
    this.#bodyBytes += stop - start;
    sink.data(view, start, stop);
    if (this.#bodyLength === 0) this.#end(sink);
    return stop;
  }

  #readChunked(view: Uint8Array, start: number, end: number, sink: ResponseSink): number {
    const decoder = this.#chunked!;
    try {
      const pos = decoder.decode(view, start, end, sink);
      if (decoder.done) this.#end(sink);
      return pos;
    } finally {
      this.#bodyBytes = decoder.dataBytes;
    }
  }

  /** Tells the end, unless the sink has freed the parser meanwhile. */
  #end(sink: ResponseSink): void {
    if (this.#phase === "freed") return;
    this.#phase = "done";
    this.#ended = true;
    sink.end();
  }

  // Errors

  #refusalAt(
    reason: string,
    offset: number,
    view: Uint8Array,
    at: number,
    from: number,
    end: number,
    flag: LenientFlag | "allowed" | null = null,
  ) {
    const lenient = this.#lenient === null || flag === "allowed" ? null : flag;
    const message = `Cannot read response head: ${reason} at byte ${offset}${lenientHint(lenient)}`;
    return new RemoteProtocolError(message, { reason, offset, excerpt: excerpt(view, at, from, end), lenient });
  }

  /** A refusal of response-head.ts as the error that it is; anything else is a mistake of ours and passes. */
  #asProtocolError(error: unknown, head: string): RemoteProtocolError {
    if (!(error instanceof HeadRefusal)) throw error;
    const bytes = Buffer.from(head, "latin1");
    return this.#refusalAt(error.reason, error.offset, bytes, error.offset, 0, bytes.length, error.lenient);
  }
}

/** Whether llhttp's refusal at this offset may be of something that head-normalizer.ts brings into its form. */
function mayNormalize(answer: number, offset: number, byteAt: (i: number) => number | undefined): boolean {
  if (answer === HPE_UNEXPECTED_CONTENT_LENGTH) return true;
  const byte = byteAt(offset);
  // Straight behind the colon it is Transfer-Encoding that forbids it, and the byte there was not looked at.
  if (answer === HPE_INVALID_CONTENT_LENGTH) return byteAt(offset - 1) !== COLON && (byte === TAB || byte === COMMA);
  if (answer !== HPE_INVALID_HEADER_TOKEN) return false;
  // obs-fold: a line that begins with blanks. llhttp stops on the first of them, or after an empty value behind them.
  let i = byte === SP || byte === TAB ? offset : offset - 1;
  if (byteAt(i) !== SP && byteAt(i) !== TAB) return false;
  while (byteAt(i) === SP || byteAt(i) === TAB) i--;
  // Behind CR CR LF llhttp stops one byte late: that a blank stands there is seen only if it came along. It is a bare CR.
  return byteAt(i) === LF && byteAt(i - 1) === CR && byteAt(i - 2) !== CR;
}

// A Buffer knows latin1 and a plain Uint8Array does not; the reader lends the same one each time.
let lentView: Uint8Array | null = null;
let lentBuffer = Buffer.alloc(0);

function latin1(view: Uint8Array, start: number, end: number): string {
  if (view !== lentView) {
    lentBuffer = view instanceof Buffer ? view : Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    lentView = view;
  }
  return lentBuffer.toString("latin1", start, end);
}
