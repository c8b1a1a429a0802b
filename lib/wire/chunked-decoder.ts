/**
 * Takes the chunked framing off a response body: bytes in, body bytes and trailer fields out. One for each connection,
 * made at its first chunked response; `reset` begins a body.
 *
 * Ours rather than llhttp's, which has no callback for chunk heads (so no limit can be set on them), counts sizes modulo
 * 2^64, refuses the blanks that RFC 9112 §7.1.1 tells to accept, refuses a whole response for a Content-Length among its
 * trailers, and wants every body byte copied into its memory first. The specs hold it against llhttp byte for byte.
 *
 * Owns: where in the framing the next byte stands. Never: keeps body bytes; they are lent on as they come.
 *
 * RFC 9112 §7.1 (chunked), §7.1.1 (extensions), §7.1.2 (trailers), §2.2 (no bare CR, no bare LF).
 */

import { HeaderLimitError, RemoteProtocolError } from "../errors.ts";
import { ByteHoard } from "./byte-hoard.ts";
import { excerpt, excerptOfText } from "./excerpt.ts";
import type { ExchangeBudget } from "./exchange-budget.ts";
import { TextFieldLines } from "./field-lines.ts";
import { normalizeLineEnds } from "./head-normalizer.ts";
import { type LenientFlag, lenientHint, lets } from "./lenient.ts";
import { SPAN_NUMBERS } from "./llhttp/binding.ts";
import type { FieldLines, ResponseSink } from "./parser-events.ts";

/** Bytes of one chunk line, size and extensions: Go's and node's limit is of this order too. */
const CHUNK_LINE_BYTES_MAX = 4096;

/**
 * Bytes that the chunk lines of one body may have beyond 16 a chunk and twice its data. Without it a peer sends 4 KiB
 * of extension with each byte of body (CVE-2023-39326 was that in Go, whose rule this is).
 */
const CHUNK_EXCESS_BYTES_MAX = 16 * 1024;

const CHUNK_ALLOWANCE = 16;

// States. Those below IN_DATA are within a chunk line.
const SIZE_START = 0;
const SIZE = 1;
const BEFORE_SEMICOLON = 2;
const NAME_START = 3;
const NAME = 4;
const AFTER_NAME = 5;
const VALUE_START = 6;
const VALUE = 7;
const QUOTED = 8;
const QUOTED_PAIR = 9;
const AFTER_QUOTED = 10;
const LINE_LF = 11;
const IN_DATA = 12;
const DATA_CR = 13;
const DATA_LF = 14;
const TRAILER_LINE = 15;
const TRAILER_LF = 16;
const TRAILER_NEXT = 17;
const DONE = 18;

// Classes of the bytes of a chunk line.
const C_OTHER = 0;
const C_HEX = 1;
const C_TCHAR = 2;
const C_BLANK = 3;
const C_SEMICOLON = 4;
const C_EQUALS = 5;
const C_QUOTE = 6;
const C_BACKSLASH = 7;
const C_CR = 8;
const C_TEXT = 9;
const CLASSES = 10;

const HEX = "0123456789ABCDEFabcdef";
const TCHAR = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;

const CLASS_OF = Uint8Array.from({ length: 256 }, (_, byte) => {
  const c = String.fromCharCode(byte);
  if (HEX.includes(c)) return C_HEX;
  if (TCHAR.test(c)) return C_TCHAR;
  if (c === " " || c === "\t") return C_BLANK;
  if (c === ";") return C_SEMICOLON;
  if (c === "=") return C_EQUALS;
  if (c === '"') return C_QUOTE;
  if (c === "\\") return C_BACKSLASH;
  if (c === "\r") return C_CR;
  return byte > 32 && byte !== 127 ? C_TEXT : C_OTHER;
});

const REFUSED = 255;

/**
 * chunk      = chunk-size [ chunk-ext ] CRLF …
 * chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
 * The moves of a chunk line; what is not listed is refused, and a quoted string is why there are so many.
 */
const LINE_MOVES = moves([
  [SIZE_START, { [C_HEX]: SIZE }],
  [SIZE, { [C_HEX]: SIZE, [C_BLANK]: BEFORE_SEMICOLON, [C_SEMICOLON]: NAME_START, [C_CR]: LINE_LF }],
  [BEFORE_SEMICOLON, { [C_BLANK]: BEFORE_SEMICOLON, [C_SEMICOLON]: NAME_START }],
  [NAME_START, { [C_BLANK]: NAME_START, [C_HEX]: NAME, [C_TCHAR]: NAME }],
  [
    NAME,
    {
      [C_HEX]: NAME,
      [C_TCHAR]: NAME,
      [C_BLANK]: AFTER_NAME,
      [C_EQUALS]: VALUE_START,
      [C_SEMICOLON]: NAME_START,
      [C_CR]: LINE_LF,
    },
  ],
  [AFTER_NAME, { [C_BLANK]: AFTER_NAME, [C_EQUALS]: VALUE_START, [C_SEMICOLON]: NAME_START }],
  [VALUE_START, { [C_BLANK]: VALUE_START, [C_HEX]: VALUE, [C_TCHAR]: VALUE, [C_QUOTE]: QUOTED }],
  [
    VALUE,
    {
      [C_HEX]: VALUE,
      [C_TCHAR]: VALUE,
      [C_BLANK]: BEFORE_SEMICOLON,
      [C_SEMICOLON]: NAME_START,
      [C_CR]: LINE_LF,
    },
  ],
  [QUOTED, { ...textMoves(QUOTED), [C_QUOTE]: AFTER_QUOTED, [C_BACKSLASH]: QUOTED_PAIR }],
  [QUOTED_PAIR, { ...textMoves(QUOTED), [C_QUOTE]: QUOTED, [C_BACKSLASH]: QUOTED }],
  [AFTER_QUOTED, { [C_BLANK]: BEFORE_SEMICOLON, [C_SEMICOLON]: NAME_START, [C_CR]: LINE_LF }],
]);

function textMoves(to: number): Record<number, number> {
  return Object.fromEntries([C_HEX, C_TCHAR, C_BLANK, C_SEMICOLON, C_EQUALS, C_TEXT].map((c) => [c, to]));
}

function moves(rows: readonly (readonly [number, Record<number, number>])[]): Uint8Array {
  const table = new Uint8Array(LINE_LF * CLASSES).fill(REFUSED);
  for (const [from, row] of rows) for (const [c, to] of Object.entries(row)) table[from * CLASSES + Number(c)] = to;
  return table;
}

function hexValue(byte: number): number {
  return byte <= 57 ? byte - 48 : (byte | 0x20) - 87;
}

export class ChunkedDecoder {
  readonly #budget: ExchangeBudget;
  #state = DONE;
  /** The size of the chunk whose line is being read, then what is left of its data. */
  #size = 0;
  #lineBytes = 0;
  #excess = 0;
  /** Body bytes given on since `reset`. */
  dataBytes = 0;
  /** Bytes of the encoded body before the current `decode` call. */
  #offset = 0;
  #trailer: ByteHoard | null = null;
  /** What may pass; null: nothing, and nobody can change that. */
  readonly #lenient: number | null;
  /** Something was let pass that is wrong. */
  wasLenient = false;

  constructor(budget: ExchangeBudget, lenient: number | null) {
    this.#budget = budget;
    this.#lenient = lenient;
  }

  /** Whether the body was read to its end. */
  get done(): boolean {
    return this.#state === DONE;
  }

  /** Begins a body. */
  reset(): void {
    this.#state = SIZE_START;
    this.#size = 0;
    this.#lineBytes = 0;
    this.#excess = 0;
    this.#offset = 0;
    this.dataBytes = 0;
    this.#trailer = null;
  }

  /** Makes `decode` return when the sink that it is calling comes back: for a sink that frees the parser. */
  stop(): void {
    this.#state = DONE;
    this.#trailer = null;
  }

  /**
   * Reads `view[start, end)`; tells the sink about data and trailers, not about the end.
   *
   * @returns the position after the last byte consumed; less than `end` only when `done`
   * @throws {RemoteProtocolError | HeaderLimitError}
   */
  decode(view: Uint8Array, start: number, end: number, sink: ResponseSink): number {
    let pos = start;
    while (pos < end) {
      if (this.#state < LINE_LF) {
        pos = this.#readLine(view, start, pos, end);
      } else if (this.#state === IN_DATA) {
        const from = pos;
        pos = Math.min(end, from + this.#size);
        this.#size -= pos - from;
        this.dataBytes += pos - from;
        if (this.#size === 0) this.#state = DATA_CR;
        sink.data(view, from, pos);
      } else if (this.#state >= TRAILER_LINE) {
        if (this.#state === DONE) return pos;
        pos = this.#readTrailer(view, start, pos, end, sink);
      } else if (this.#readLineEnd(view[pos]!, view, start, pos, end)) {
        pos++;
      }
    }
    this.#offset += end - start;
    return pos;
  }

  #readLine(view: Uint8Array, start: number, from: number, end: number): number {
    let pos = from;
    let state = this.#state;
    const stop = Math.min(end, from + CHUNK_LINE_BYTES_MAX - this.#lineBytes);
    while (pos < stop && state < LINE_LF) {
      const byte = view[pos]!;
      const next = LINE_MOVES[state * CLASSES + CLASS_OF[byte]!]!;
      if (next === REFUSED) {
        const flag = lineFlag(state, byte);
        if (flag === null || !this.#lets(flag))
          throw this.#refusal(lineReason(state, byte), view, start, pos, end, flag);
        state = LINE_LF;
        if (byte === 13) pos++; // an LF ends the line itself
        break;
      }
      if (next === SIZE) {
        this.#size = this.#size * 16 + hexValue(byte);
        if (this.#size > Number.MAX_SAFE_INTEGER) {
          throw this.#refusal("chunk size above 2^53 (RFC 9112 §7.1)", view, start, pos, end, null);
        }
      }
      state = next;
      pos++;
    }
    this.#state = state;
    this.#lineBytes += pos - from;
    if (state < LINE_LF && pos < end) {
      throw this.#limit("chunkLineBytes", CHUNK_LINE_BYTES_MAX, "bytes in a chunk line", start, pos);
    }
    return pos;
  }

  /** The single bytes between the parts of a chunk; false where this one belongs to what follows. */
  #readLineEnd(byte: number, view: Uint8Array, start: number, pos: number, end: number): boolean {
    if (this.#state === DATA_CR) {
      if (byte === 13) {
        this.#state = DATA_LF;
        return true;
      }
      const flag = byte === 10 ? "optionalCrBeforeLf" : "optionalCrlfAfterChunk";
      if (!this.#lets(flag))
        throw this.#refusal("chunk data without its CRLF (RFC 9112 §7.1)", view, start, pos, end, flag);
      this.#state = SIZE_START;
      return byte === 10;
    }
    if (byte !== 10 && !this.#lets("optionalLfAfterCr")) {
      throw this.#refusal("bare CR in chunked framing (RFC 9112 §2.2)", view, start, pos, end, "optionalLfAfterCr");
    }
    if (this.#state === DATA_LF) {
      this.#state = SIZE_START;
      return byte === 10;
    }
    // An honest peer sends larger chunks rather than longer lines, so what it may owe is small and paid back by data.
    this.#excess = Math.max(0, this.#excess + this.#lineBytes - CHUNK_ALLOWANCE - 2 * this.#size);
    if (this.#excess > CHUNK_EXCESS_BYTES_MAX) {
      throw this.#limit("chunkExcessBytes", CHUNK_EXCESS_BYTES_MAX, "bytes of chunk lines beyond data", start, pos);
    }
    this.#lineBytes = 0;
    this.#state = this.#size === 0 ? TRAILER_NEXT : IN_DATA;
    return byte === 10;
  }

  #lets(flag: LenientFlag): boolean {
    if (!lets(this.#lenient ?? 0, flag)) return false;
    this.wasLenient = true;
    return true;
  }

  /**
   * trailer-section = *( field-line CRLF ), then CRLF. Kept until its empty line has come, then read at once. The bare
   * CR and LF are refused when they are met, so that the search for the end cannot be led astray.
   */
  #readTrailer(view: Uint8Array, start: number, from: number, end: number, sink: ResponseSink): number {
    // The CRLF of the empty line is not a field's: it comes free of charge.
    const kept = this.#trailer?.length ?? 0;
    const stop = Math.min(end, from + this.#budget.headBytes + 2 - kept);
    let state = this.#state;
    let pos = from;
    while (pos < stop && state !== DONE) {
      const byte = view[pos]!;
      if (state === TRAILER_LF) {
        state = this.#size === 1 ? DONE : TRAILER_NEXT;
        if (byte !== 10) {
          const flag = "optionalLfAfterCr";
          if (!this.#lets(flag))
            throw this.#refusal("bare CR in a trailer (RFC 9112 §2.2)", view, start, pos, end, flag);
          continue; // it belongs to what follows
        }
      } else if (byte === 13) {
        // #size is free here: 1 marks that this CR stands on an empty line.
        this.#size = state === TRAILER_NEXT ? 1 : 0;
        state = TRAILER_LF;
      } else if (byte === 10) {
        const flag = "optionalCrBeforeLf";
        if (!this.#lets(flag)) throw this.#refusal("bare LF in a trailer (RFC 9112 §2.2)", view, start, pos, end, flag);
        state = state === TRAILER_NEXT ? DONE : TRAILER_NEXT;
      } else {
        state = TRAILER_LINE;
      }
      pos++;
    }
    this.#state = state;
    if (state !== DONE) {
      if (pos < end) throw this.#budget.bytesExceeded();
      this.#trailer ??= new ByteHoard();
      this.#trailer.append(view, from, pos);
      return pos;
    }
    // Nearly every chunked body ends with no trailer at all.
    if (this.#trailer === null && pos - from === 2) return pos;
    this.#trailer ??= new ByteHoard();
    this.#trailer.append(view, from, pos);
    const text = this.wasLenient ? normalizeLineEnds(this.#trailer.text(), this.#lenient ?? 0) : this.#trailer.text();
    this.#trailer = null;
    this.#budget.headBytes -= text.length - 2;
    if (text.length > 2) sink.trailers(this.#trailerFields(text, this.#offset + pos - start - text.length));
    return pos;
  }

  /** @param offset of the section in the encoded body */
  #trailerFields(section: string, offset: number): FieldLines {
    // obs-fold becomes SP (RFC 9112 §5.2); its offsets in an error are those of the unfolded text.
    const text = section.replace(/(?<![\t ])[\t ]*\r\n[\t ]+/g, " ");
    // The look-ahead keeps it linear: without it blanks could be given back to the value one by one.
    const line = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*((?![\t ])[\t\x20-\x7e\x80-\xff]*)\r\n/y;
    const spans: number[] = [];
    let at = 0;
    while (at < text.length - 2) {
      line.lastIndex = at;
      const match = line.exec(text);
      if (match === null) {
        const detail = { reason: "invalid trailer field (RFC 9112 §7.1.2)", offset: offset + at };
        const message = `Cannot read response trailers: ${detail.reason} at byte ${detail.offset} of the body`;
        throw new RemoteProtocolError(message, { ...detail, excerpt: excerptOfText(text, at) });
      }
      const value = match[2]!;
      const next = at + match[0].length;
      spans.push(at, match[1]!.length, next - 2 - value.length, value.length);
      at = next;
      if (--this.#budget.fields < 0) throw this.#budget.fieldsExceeded(offset + at);
    }
    return new TextFieldLines(text, spans.length / SPAN_NUMBERS, spans);
  }

  #refusal(
    reason: string,
    view: Uint8Array,
    start: number,
    pos: number,
    end: number,
    flag: LenientFlag | null,
  ): RemoteProtocolError {
    const offset = this.#offset + pos - start;
    const lenient = this.#lenient === null ? null : flag;
    const message = `Cannot read chunked response body: ${reason} at byte ${offset} of it${lenientHint(lenient)}`;
    return new RemoteProtocolError(message, { reason, offset, excerpt: excerpt(view, pos, start, end), lenient });
  }

  #limit(option: string, limit: number, what: string, start: number, pos: number): HeaderLimitError {
    const message = `Cannot read chunked response body: more than ${limit} ${what}`;
    return new HeaderLimitError(option, limit, message, this.#offset + pos - start);
  }
}

/** What would let a byte of a chunk line pass: it ends the line where it may not. */
function lineFlag(state: number, byte: number): LenientFlag | null {
  const mayEnd = LINE_MOVES[state * CLASSES + C_CR] !== REFUSED;
  if (byte === 10 && mayEnd) return "optionalCrBeforeLf";
  return byte === 13 && state === BEFORE_SEMICOLON ? "spacesAfterChunkSize" : null;
}

function lineReason(state: number, byte: number): string {
  if (byte === 10) return "bare LF in a chunk line (RFC 9112 §2.2)";
  if (state <= SIZE) return "chunk size that is not hexadecimal (RFC 9112 §7.1)";
  if (byte === 13) return "chunk line that ends within an extension or after blanks (RFC 9112 §7.1.1)";
  return "invalid chunk extension (RFC 9112 §7.1.1)";
}
