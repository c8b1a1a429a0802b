/**
 * llhttp, as WASM: one instance for the process, made when the first connection is; one parser struct (80 bytes of WASM
 * memory) for each connection; one input area that all share, since an execute call is synchronous.
 *
 * The callbacks run inside WASM. They only store offsets and lengths in the span store in use: no strings, no calls into
 * other code, nothing that throws (a throw would unwind llhttp's frames and leave its state undefined).
 *
 * Never: holds a view on WASM memory across an allocation (memory that grows detaches every view on it), does work when
 * it is imported, or awaits (a top-level await would forbid `require()` of the package).
 */

import { Buffer } from "node:buffer";
import { HPE_PAUSED, HPE_USER, HTTP_RESPONSE } from "./constants.ts";
import { LLHTTP_WASM_BASE64 } from "./generated/llhttp-wasm.ts";

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
  llhttp_get_error_reason(parser: number): number;
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

const SPAN_FIELDS_FIRST = 64;

/**
 * Where the fields of one head are, as offsets from its first byte. Filled by the callbacks; pieces of a name or value
 * that was split between two reads are joined again here, since they touch.
 */
export class SpanStore {
  array: Int32Array;
  fields = 0;
  /** More fields than this stop the parser: see `overflowed`. */
  fieldsMax = 0;
  overflowed = false;
  status = 0;
  /** llhttp's opinion on whether the body ends with the connection. */
  needsEof = false;
  /** Added to a WASM address gives the offset in the head. */
  base = 0;
  /** WASM address after the last byte of this call's input. */
  inputEnd = 0;

  constructor(fieldsFirst: number = SPAN_FIELDS_FIRST) {
    this.array = new Int32Array(fieldsFirst * SPAN_NUMBERS);
  }

  restart(fieldsMax: number): void {
    this.fields = 0;
    this.fieldsMax = fieldsMax;
    this.overflowed = false;
  }

  /** A copy that a head which is not complete yet can keep while others use this store. */
  clone(): SpanStore {
    const copy = new SpanStore(0);
    copy.array = this.array.slice();
    copy.fields = this.fields;
    copy.fieldsMax = this.fieldsMax;
    return copy;
  }

  onName(at: number, length: number): number {
    const offset = at + this.base;
    let array = this.array;
    const next = this.fields * SPAN_NUMBERS;
    const last = next - SPAN_NUMBERS;
    // Names never touch each other (at least ":" CRLF lies between), so what touches is the rest of the same name.
    if (next > 0 && array[last]! + array[last + 1]! === offset) {
      array[last + 1]! += length;
    } else {
      if (next === array.length) {
        array = new Int32Array(next * 2);
        array.set(this.array);
        this.array = array;
      }
      array[next] = offset;
      array[next + 1] = length;
      array[next + 2] = 0;
      array[next + 3] = 0;
      this.fields++;
    }
    // Looked at when the name is complete, not before: so the same bytes meet the limit at the same place however they
    // are split, and a byte that is wrong in the name itself is told first.
    if (this.fields > this.fieldsMax && at + length !== this.inputEnd) {
      this.overflowed = true;
      return HPE_USER;
    }
    return 0;
  }

  onValue(at: number, length: number): number {
    const array = this.array;
    const last = (this.fields - 1) * SPAN_NUMBERS;
    if (array[last + 2] === 0) array[last + 2] = at + this.base;
    array[last + 3]! += length;
    return 0;
  }
}

/** The store for heads that arrive in one read, nearly all. Its content is nobody's after `execute` has returned. */
export const sharedSpans = new SpanStore();

let wasm: LlhttpExports | null = null;
let inputAddress = 0;
let input = new Uint8Array(0);
let spans = sharedSpans;

function instantiate(): LlhttpExports {
  // The types of this project's language library lack WebAssembly; every supported Node has it.
  // biome-ignore lint/style/noRestrictedGlobals: WebAssembly loads nothing; its types are those of the browser's library
  const platform = (globalThis as unknown as { readonly WebAssembly: WasmPlatform }).WebAssembly;
  const nothing = () => 0;
  const instance = new platform.Instance(new platform.Module(Buffer.from(LLHTTP_WASM_BASE64, "base64")), {
    env: {
      wasm_on_message_begin: nothing,
      wasm_on_url: nothing,
      wasm_on_status: nothing,
      wasm_on_header_field: (_parser: number, at: number, length: number) => spans.onName(at, length),
      wasm_on_header_value: (_parser: number, at: number, length: number) => spans.onValue(at, length),
      wasm_on_headers_complete: (parser: number, status: number) => {
        spans.status = status;
        spans.needsEof = exports.llhttp_message_needs_eof(parser) !== 0;
        return HPE_PAUSED;
      },
      wasm_on_body: nothing,
      wasm_on_message_complete: nothing,
    },
  });
  // The binary is pinned by its hash, and these are its exports.
  const exports = instance.exports as LlhttpExports;
  exports._initialize();
  inputAddress = exports.malloc(INPUT_BYTES);
  return exports;
}

/** Makes a parser struct; `freeParser` gives it back. The first call compiles the WASM (about 2 ms). */
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
  store.base = headOffset - inputAddress;
  store.inputEnd = inputAddress + end - start;
  spans = store;
  return wasm!.llhttp_execute(parser, inputAddress, end - start);
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
