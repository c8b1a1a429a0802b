/**
 * llhttp, as WASM: one instance for the process, made when the first connection is; one parser struct (80 bytes of WASM
 * memory) for each connection; one input area that all share, since an execute call is synchronous.
 *
 * The callbacks are WASM themselves (spans.wat). They only store offsets and lengths in a table that is read here when
 * llhttp has returned: no strings, no call into JavaScript, nothing that throws (a throw would unwind llhttp's frames and
 * leave its state undefined).
 *
 * Never: holds a view on WASM memory across an allocation (memory that grows detaches every view on it), does work when
 * it is imported, or awaits (a top-level await would forbid `require()` of the package).
 */

import { Buffer } from "node:buffer";
import { type LenientFlag, lets } from "../lenient.ts";
import { HPE_PAUSED, HTTP_RESPONSE } from "./constants.ts";
import { LLHTTP_WASM_BROTLI } from "./generated/llhttp-wasm.ts";
import { SPANS_WASM_BASE64 } from "./generated/spans-wasm.ts";

/** The exports of the WASM that we use. A pointer is a byte offset into its memory. */
interface LlhttpExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  llhttp_reset(parser: number): void;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_message_needs_eof(parser: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_set_lenient_headers(parser: number, on: number): void;
  llhttp_set_lenient_chunked_length(parser: number, on: number): void;
  llhttp_set_lenient_version(parser: number, on: number): void;
  llhttp_set_lenient_optional_cr_before_lf(parser: number, on: number): void;
  llhttp_get_error_reason(parser: number): number;
}

/** The exports of spans.wat: callbacks of llhttp's, and the memory that they write. */
interface SpansExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly nothing: (parser: number) => number;
  readonly ignoreSpan: (parser: number, at: number, length: number) => number;
  readonly onName: (parser: number, at: number, length: number) => number;
  readonly onValue: (parser: number, at: number, length: number) => number;
  readonly onHead: (parser: number, status: number, upgrade: number, keepAlive: number) => number;
}

/** What this file needs of the platform's WebAssembly, which the language's own type library does not describe. */
interface WasmPlatform {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

/**
 * Bytes per execute call. A head comes with up to 64 KiB of body in the same read, and what is fed is copied first: so
 * feed little at a time. Most heads fit; a longer one takes another call, which is no different from a split read.
 */
export const INPUT_BYTES = 4096;

/** Numbers in a span store for each field: where its name is and how long, where its value is and how long. */
export const SPAN_NUMBERS = 4;

// The words of spans.wat's memory, and where its spans begin.
const FIELDS = 0;
const FIELDS_MAX = 1;
const BASE = 2;
const INPUT_END = 3;
const STATUS = 4;
const OVERFLOWED = 5;
const FIRST_SPAN = 16;

const INT32_MAX = 2 ** 31 - 1;

/**
 * Where the fields of one head are, as offsets from its first byte: filled while llhttp runs, by the callbacks of
 * spans.wat. Pieces of a name or value that was split between two reads are joined again there, since they touch.
 */
export class SpanStore {
  array = new Int32Array(0);
  fields = 0;
  /** More fields than this stop the parser: see `overflowed`. */
  fieldsMax = 0;
  overflowed = false;
  status = 0;
  /** llhttp's opinion on whether the body ends with the connection. */
  needsEof = false;

  restart(fieldsMax: number): void {
    this.fields = 0;
    this.fieldsMax = fieldsMax;
  }

  /** A copy that a head which is not complete yet can keep while others use this store. */
  clone(): SpanStore {
    const copy = new SpanStore();
    copy.fields = this.fields;
    copy.fieldsMax = this.fieldsMax;
    copy.put(this.array, 0);
    return copy;
  }

  /** Takes over what `table` has from number `start` on. */
  put(table: Int32Array, start: number): void {
    const end = this.fields * SPAN_NUMBERS;
    if (end > this.array.length) {
      const larger = new Int32Array(end * 2);
      larger.set(this.array);
      this.array = larger;
    }
    this.array.set(table.subarray(start, end), start);
  }
}

/**
 * The store for heads that arrive in one read, nearly all: its array is the callbacks' own table. Its content is nobody's
 * after `execute` has returned.
 */
export const sharedSpans = new SpanStore();

let wasm: LlhttpExports | null = null;
let inputAddress = 0;
let input = new Uint8Array(0);
/** The memory of spans.wat, and its first words. */
let table: SpansExports["memory"] = { buffer: new ArrayBuffer(0) };
let words = new Int32Array(0);

function instantiate(): LlhttpExports {
  // The types of this project's language library lack WebAssembly; every supported Node has it.
  // biome-ignore lint/style/noRestrictedGlobals: WebAssembly loads nothing; its types are those of the browser's library
  const platform = (globalThis as unknown as { readonly WebAssembly: WasmPlatform }).WebAssembly;
  const load = (binary: Uint8Array, imports: object) =>
    new platform.Instance(new platform.Module(binary), imports).exports;
  // The binaries are pinned, one by its hash and one by its source, and these are their exports.
  const spans = load(Buffer.from(SPANS_WASM_BASE64, "base64"), {}) as SpansExports;
  // Loaded here and not with this file: who only imports the package needs none of it.
  const { brotliDecompressSync } = process.getBuiltinModule("node:zlib");
  const exports = load(brotliDecompressSync(Buffer.from(LLHTTP_WASM_BROTLI, "base64")), {
    env: {
      wasm_on_message_begin: spans.nothing,
      wasm_on_url: spans.ignoreSpan,
      wasm_on_status: spans.ignoreSpan,
      wasm_on_header_field: spans.onName,
      wasm_on_header_value: spans.onValue,
      wasm_on_headers_complete: spans.onHead,
      wasm_on_body: spans.ignoreSpan,
      wasm_on_message_complete: spans.nothing,
    },
  }) as LlhttpExports;
  exports._initialize();
  inputAddress = exports.malloc(INPUT_BYTES);
  table = spans.memory;
  viewTable();
  return exports;
}

/** Memory that has grown has detached every view on it. */
function viewTable(): void {
  words = new Int32Array(table.buffer, 0, FIRST_SPAN);
  sharedSpans.array = new Int32Array(table.buffer, FIRST_SPAN * Int32Array.BYTES_PER_ELEMENT);
}

/** Makes a parser struct; `freeParser` gives it back. The first call unpacks and compiles the WASM (about 4 ms). */
export function allocParser(): number {
  wasm ??= instantiate();
  const parser = wasm.llhttp_alloc(HTTP_RESPONSE);
  // The allocation may have grown the memory, and a view made before that is detached now.
  if (input.buffer !== wasm.memory.buffer) input = new Uint8Array(wasm.memory.buffer, inputAddress, INPUT_BYTES);
  return parser;
}

export function freeParser(parser: number): void {
  wasm!.llhttp_free(parser);
}

/** Forgets what was parsed: the next byte fed begins a message. */
export function resetParser(parser: number): void {
  wasm!.llhttp_reset(parser);
}

/**
 * Sets what llhttp lets pass in heads. Outlives a reset, so who sets it takes it back. Not among it: codings, of which it
 * refuses none in a response; and a CR alone as a line end, which is mended before it sees the head again.
 */
export function setLenient(parser: number, mask: number): void {
  const on = (flag: LenientFlag) => (lets(mask, flag) ? 1 : 0);
  wasm!.llhttp_set_lenient_headers(parser, on("headers"));
  wasm!.llhttp_set_lenient_chunked_length(parser, on("chunkedLength"));
  wasm!.llhttp_set_lenient_version(parser, on("version"));
  wasm!.llhttp_set_lenient_optional_cr_before_lf(parser, on("optionalCrBeforeLf"));
}

/**
 * Feeds `view[start, end)`, at most INPUT_BYTES.
 *
 * @param store gets the spans
 * @param headOffset the offset in the head of the byte at `start`
 * @returns HPE_OK: all consumed, the head goes on; HPE_PAUSED: the head is complete, `errorOffset` tells where it ends;
 *   else an error, with `errorOffset` and `errorReason`
 */
export function execute(
  parser: number,
  store: SpanStore,
  headOffset: number,
  view: Uint8Array,
  start: number,
  end: number,
): number {
  input.set(view.subarray(start, end));
  const isShared = store === sharedSpans;
  // The callbacks touch the last field of those before, and append; so no more is carried over of a head that dribbles.
  const last = Math.max(0, store.fields - 1) * SPAN_NUMBERS;
  if (!isShared) sharedSpans.array.set(store.array.subarray(last, store.fields * SPAN_NUMBERS), last);
  words[FIELDS] = store.fields;
  words[FIELDS_MAX] = Math.min(store.fieldsMax, INT32_MAX);
  words[BASE] = headOffset - inputAddress;
  words[INPUT_END] = inputAddress + end - start;
  words[OVERFLOWED] = 0;
  const answer = wasm!.llhttp_execute(parser, inputAddress, end - start);
  if (words.length === 0) viewTable();
  store.fields = words[FIELDS]!;
  store.overflowed = words[OVERFLOWED] === 1;
  if (answer === HPE_PAUSED) {
    store.status = words[STATUS]!;
    store.needsEof = wasm!.llhttp_message_needs_eof(parser) !== 0;
  }
  if (!isShared) store.put(sharedSpans.array, last);
  return answer;
}

/** After an answer other than HPE_OK: how many bytes of the input lie before the place where llhttp stopped. */
export function errorOffset(parser: number): number {
  return wasm!.llhttp_get_error_pos(parser) - inputAddress;
}

/** llhttp's words for its last error. */
export function errorReason(parser: number): string {
  const at = wasm!.llhttp_get_error_reason(parser);
  if (at === 0) return "unknown";
  const memory = Buffer.from(wasm!.memory.buffer);
  return memory.toString("latin1", at, memory.indexOf(0, at));
}
