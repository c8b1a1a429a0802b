/**
 * llhttp by itself, all of it, strict: the second opinion that the specs hold our parser against, and the subject of the
 * spec that pins how it behaves. Not the binding that ships: that one shows it heads only.
 */

import { brotliDecompressSync } from "node:zlib";
import { HPE_OK, HPE_PAUSED, HTTP_RESPONSE } from "../../lib/wire/llhttp/constants.ts";
import { LLHTTP_WASM_BROTLI } from "../../lib/wire/llhttp/generated/llhttp-wasm.ts";

export interface RawResult {
  /** Whether the first message was read to its end. */
  readonly complete: boolean;
  /** The reason of llhttp's error; null where there was none. */
  readonly error: string | null;
  /** Bytes before the place where it stopped. */
  readonly consumed: number;
  readonly status: number;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  /** Its opinion at the end of the head. */
  readonly needsEof: boolean;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(n: number): number;
  free(p: number): void;
  llhttp_alloc(type: number): number;
  llhttp_free(p: number): void;
  llhttp_execute(p: number, at: number, n: number): number;
  llhttp_message_needs_eof(p: number): number;
  llhttp_get_error_pos(p: number): number;
  llhttp_get_error_reason(p: number): number;
}

interface Platform {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

let state = { status: 0, fields: [] as [string, string][], body: "", needsEof: false, complete: false };

const latin1 = (at: number, n: number) => Buffer.from(wasm.memory.buffer, at, n).toString("latin1");

const { Module, Instance } = (globalThis as unknown as { WebAssembly: Platform }).WebAssembly; // not in the language's own types
const wasm = new Instance(new Module(brotliDecompressSync(Buffer.from(LLHTTP_WASM_BROTLI, "base64"))), {
  env: {
    wasm_on_message_begin: () => 0,
    wasm_on_url: () => 0,
    wasm_on_status: () => 0,
    wasm_on_header_field: (_: number, at: number, n: number) => {
      state.fields.push([latin1(at, n), ""]);
      return 0;
    },
    wasm_on_header_value: (_: number, at: number, n: number) => {
      state.fields.at(-1)![1] += latin1(at, n);
      return 0;
    },
    wasm_on_headers_complete: (parser: number, status: number) => {
      state.status = status;
      state.needsEof = wasm.llhttp_message_needs_eof(parser) !== 0;
      return 0;
    },
    wasm_on_body: (_: number, at: number, n: number) => {
      state.body += latin1(at, n);
      return 0;
    },
    wasm_on_message_complete: () => {
      state.complete = true;
      return HPE_PAUSED;
    },
  },
}).exports as Exports; // the binary is pinned by its hash, and these are its exports
wasm._initialize();

/** Feeds a response to GET, whole. */
export function rawLlhttp(text: string): RawResult {
  state = { status: 0, fields: [], body: "", needsEof: false, complete: false };
  const parser = wasm.llhttp_alloc(HTTP_RESPONSE);
  const at = wasm.malloc(text.length + 1);
  Buffer.from(wasm.memory.buffer).write(text, at, "latin1");
  const answer = wasm.llhttp_execute(parser, at, text.length);
  const consumed = answer === HPE_OK ? text.length : wasm.llhttp_get_error_pos(parser) - at;
  const failed = answer !== HPE_OK && !state.complete;
  const reasonAt = wasm.llhttp_get_error_reason(parser);
  const memory = Buffer.from(wasm.memory.buffer);
  const error = failed ? memory.toString("latin1", reasonAt, memory.indexOf(0, reasonAt)) : null;
  wasm.free(at);
  wasm.llhttp_free(parser);
  return { ...state, error, consumed };
}
