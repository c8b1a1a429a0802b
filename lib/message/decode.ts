/**
 * Content decoding: a BodySource of decoded bytes around one of encoded bytes. The only file that knows node:zlib, which
 * is loaded at the first body that needs it (where Node has zstd, at the first request: whether to ask for that must be
 * tried). Lives as long as the body is read.
 *
 * Does nothing until somebody reads: what is closed unread is never decoded. A small body that is all there is decoded at
 * once, which costs a fifth of a stream; everything else goes through a stream for each coding, one chunk at a time, so
 * that memory stays bounded however large the content grows. The stream alone judges: where the short way meets anything
 * but success, the same bytes go the long way, and give the same bytes and the same error however they were split.
 *
 * What is decoded: gzip (and x-gzip), deflate, br, and zstd where Node has it and can be trusted; names without case; empty members of the
 * list and `identity` do not count. Decided where RFC 9110 §8.4 leaves it open:
 * - a list with a coding that is not known is left as it is, field and body (as Go and browsers do);
 * - more than three codings are refused: nobody honest stacks them, and each one multiplies;
 * - `deflate` is zlib's format (RFC 9110 §8.4.1.2), and raw deflate where the body does not begin like that (as browsers);
 * - gzip members and zstd frames may follow one another; any other byte behind the end is an error (as Go's gzip.Reader);
 * - no bytes at all decode to no bytes;
 * - zstd windows are at most 8 MiB (RFC 9659).
 *
 * Owns:  the zlib objects. They are made outside of any caller's async context, and destroyed at the end, at an error and
 *        at `close()`.
 * Never: touches the framing below: the source is read to its end, so that its connection serves others.
 *
 * RFC 9110 §8.4 (Content-Encoding), §12.5.3 (Accept-Encoding); RFC 1950, 1951, 1952, 7932, 8878; Go net/http gzipReader.
 */

import { AsyncResource } from "node:async_hooks";
import type { Transform } from "node:stream";
import { DecompressError, type ErrorFacts } from "../errors.ts";
import type { BodySource } from "./response-body.ts";

type Coding = "gzip" | "deflate" | "br" | "zstd";

const CODINGS: ReadonlyMap<string, Coding> = new Map<string, Coding>([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
]);

/** What is asked for: everything that is decoded. Called when a first head is written. */
export function acceptEncoding(): string {
  return zstdWorks() ? "gzip, deflate, br, zstd" : "gzip, deflate, br";
}

const CODINGS_MAX = 3;

/**
 * What a small body is, encoded and decoded: bytes decoded at once hold up the event loop, here by less than half a
 * millisecond.
 */
const AT_ONCE_BYTES_IN_MAX = 32 * 1024;
const AT_ONCE_BYTES_OUT_MAX = 256 * 1024;

/** What a stream gives at a time. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Any answer may grow to this: repetitive data compresses by any factor (a sparse table of 5 MB in br: 100,000), and so
 * much is set aside on the word of a peer anyway. Beyond, the ratio decides.
 */
const FREE_BYTES = 16 * 1024 * 1024;

export interface DecodeSettings {
  /** Decoded bytes for each encoded one, beyond the first 16 MiB of an answer; 0 means no limit. */
  readonly ratioMax: number;
  /** What an error says about the exchange. */
  facts(): ErrorFacts;
}

/**
 * The codings of a Content-Encoding field in the order in which they were applied; none where there is nothing to decode
 * or a coding is not known.
 */
export function codingsOf(field: string): readonly Coding[] {
  const codings: Coding[] = [];
  for (const member of field.split(",")) {
    const name = member.trim().toLowerCase();
    if (name === "" || name === "identity") continue;
    const coding = name === "zstd" && zstdWorks() ? name : CODINGS.get(name);
    if (coding === undefined) return [];
    codings.push(coding);
  }
  return codings;
}

/** The decoded content of a source. */
export class ContentDecoder implements BodySource {
  /** Nobody knows before the end. */
  readonly length = null;
  readonly #codings: readonly Coding[];
  readonly #settings: DecodeSettings;
  readonly #intake: Intake;
  readonly #stages: Stage[] = [];
  /** Null until it is known which way the body goes. */
  #output: Input | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** @param codings as `codingsOf` gives them, one at least */
  constructor(source: BodySource, codings: readonly Coding[], settings: DecodeSettings) {
    this.#codings = codings;
    this.#settings = settings;
    this.#intake = new Intake(source);
  }

  tryRead(): Uint8Array | null | undefined {
    if (this.#failure !== null) throw this.#failure.error;
    try {
      return (this.#output ?? this.#begin())?.tryRead();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async read(): Promise<Uint8Array | null> {
    try {
      for (;;) {
        if (this.#failure !== null) throw this.#failure.error;
        const output = this.#output ?? this.#begin();
        const chunk = output === null ? await this.#intake.fill() : await output.read();
        if (chunk !== undefined && this.#failure === null) return chunk; // else closed meanwhile, or to be begun
      }
    } catch (error) {
      throw this.#failed(error);
    }
  }

  close(): void {
    this.#failure ??= { error: new Error("The response was closed") };
    for (const stage of this.#stages) stage.close();
    this.#intake.close();
  }

  /** Nothing can be had from it any more, so the connection need not bring the rest. */
  #failed(error: unknown): unknown {
    this.#failure ??= { error };
    this.close();
    return error;
  }

  /** Chooses the way; null where too little is there to choose. */
  #begin(): Input | null {
    const codings = this.#codings;
    if (codings.length > CODINGS_MAX) {
      throw this.#error("too-many-codings", codings.join(", "), `${codings.length} codings, one over the other`, 0);
    }
    const there = this.#intake.gather();
    if (there === "too little") return null;
    this.#output = (there === "all" ? this.#atOnce() : null) ?? this.#streamed();
    return this.#output;
  }

  #atOnce(): Input | null {
    const encoded = this.#intake.held;
    const decoded = encoded.length === 0 ? encoded : decodeAtOnce(encoded, this.#codings);
    return decoded === null ? null : new Whole(decoded);
  }

  #streamed(): Input {
    let input: Input = this.#intake;
    for (const coding of this.#codings.toReversed()) {
      const stage = new Stage(coding, input, {
        fits: (bytesOut) => this.#fits(bytesOut),
        error: (reason, what, bytesOut, cause) => this.#error(reason, coding, what, bytesOut, cause),
      });
      this.#stages.push(stage);
      input = stage;
    }
    return input;
  }

  #fits(bytesOut: number): boolean {
    const { ratioMax } = this.#settings;
    return bytesOut <= FREE_BYTES || ratioMax === 0 || bytesOut <= ratioMax * this.#intake.taken;
  }

  #error(reason: DecompressError["reason"], coding: string, what: string, bytesOut: number, cause?: unknown) {
    const bytesIn = this.#intake.taken;
    const text = `Cannot decode response body (${coding}): ${what}, after ${bytesIn} bytes in and ${bytesOut} out`;
    const facts = { phase: "body", ...this.#settings.facts(), ...(cause === undefined ? {} : { cause }) } as const;
    return new DecompressError(text, { reason, coding, bytesIn, bytesOut }, facts);
  }
}

/** Where a coding's bytes come from: the wire, or the coding that was applied after it. */
type Input = Pick<BodySource, "tryRead" | "read">;

/** The encoded bytes: those that were gathered before the way was chosen, then the source's next ones. */
class Intake implements Input {
  readonly #source: BodySource;
  readonly #held: Uint8Array[] = [];
  /** Bytes taken from the source. */
  taken = 0;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** Takes what is there, up to the size of a small body. */
  gather(): "all" | "enough" | "too little" {
    const { length } = this.#source;
    while (this.taken <= AT_ONCE_BYTES_IN_MAX) {
      let chunk: Uint8Array | null | undefined;
      try {
        chunk = this.#source.tryRead();
      } catch (error) {
        if (this.taken === 0) throw error;
        return "enough"; // what came before the error is decoded; then it is told again
      }
      if (chunk === null) return "all";
      if (chunk === undefined) {
        // A small body comes soon and whole; one of unknown length may be a feed whose reader waits for each piece.
        const whole = length !== null && length <= AT_ONCE_BYTES_IN_MAX;
        return this.taken === 0 || whole ? "too little" : "enough";
      }
      this.#hold(chunk);
    }
    return "enough";
  }

  /** Waits for more to gather. What it fails with, `gather` meets again. */
  async fill(): Promise<undefined> {
    const chunk = await this.#source.read().catch(() => null);
    if (chunk !== null) this.#hold(chunk);
  }

  #hold(chunk: Uint8Array): void {
    this.taken += chunk.length;
    this.#held.push(chunk);
  }

  /** All that was gathered; it stays. */
  get held(): Uint8Array {
    const [only] = this.#held;
    return only !== undefined && this.#held.length === 1 ? only : Buffer.concat(this.#held);
  }

  tryRead(): Uint8Array | null | undefined {
    return this.#held.shift() ?? this.#count(this.#source.tryRead());
  }

  async read(): Promise<Uint8Array | null> {
    return this.#held.shift() ?? this.#count(await this.#source.read());
  }

  #count<C extends Uint8Array | null | undefined>(chunk: C): C {
    this.taken += chunk?.length ?? 0;
    return chunk;
  }

  close(): void {
    this.#held.length = 0;
    this.#source.close();
  }
}

/** A body that was decoded at once. */
class Whole implements Input {
  #bytes: Uint8Array | null;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.length === 0 ? null : bytes;
  }
  tryRead(): Uint8Array | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }
  async read(): Promise<Uint8Array | null> {
    return this.tryRead();
  }
}

interface StageHost {
  /** Whether so many decoded bytes are in proportion to what was received. */
  fits(bytesOut: number): boolean;
  error(reason: DecompressError["reason"], what: string, bytesOut: number, cause?: unknown): DecompressError;
}

/**
 * One coding, taken off by a zlib stream. Pulled: a chunk goes in when all that the one before it gave was taken.
 * The stream's events only wake the reader, who looks for himself at what has changed.
 */
class Stage implements Input {
  readonly #coding: Coding;
  readonly #input: Input;
  readonly #host: StageHost;
  /** Null until the first bytes. */
  #engine: Engine | null = null;
  /** "hungry": wants the next chunk; "busy": at work on one; "ending": was told that there is no more. */
  #state: "hungry" | "busy" | "ending" | "over" = "hungry";
  /** The chunk at work, and how much the engine had consumed before it. */
  #chunk: Uint8Array = NOTHING;
  #consumedBefore = 0;
  #bytesOut = 0;
  #ended = false;
  #broken: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(coding: Coding, input: Input, host: StageHost) {
    this.#coding = coding;
    this.#input = input;
    this.#host = host;
  }

  tryRead(): Uint8Array | null | undefined {
    for (;;) {
      if (this.#state === "over") return null;
      const decoded: Buffer | null = this.#engine?.read() ?? null;
      if (decoded !== null) return this.#given(decoded);
      if (this.#broken !== null) throw this.#broke(this.#broken);
      if (this.#ended) this.#end();
      else if (this.#state !== "hungry") return undefined;
      else {
        const chunk = this.#input.tryRead();
        if (chunk === undefined) return undefined;
        this.#feed(chunk);
      }
    }
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const now = this.tryRead();
      if (now !== undefined) return now;
      if (this.#state === "hungry") this.#feed(await this.#input.read());
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  close(): void {
    this.#state = "over";
    this.#engine?.destroy();
    this.#engine = null;
    this.#woken();
  }

  #given(decoded: Buffer): Uint8Array {
    this.#bytesOut += decoded.length;
    if (!this.#host.fits(this.#bytesOut)) {
      throw this.#host.error("ratio", "it grows out of proportion (option maxDecompressRatio)", this.#bytesOut);
    }
    return new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.length); // a Buffer's slice() would be no copy
  }

  #broke(cause: Error): DecompressError {
    // Node's word for all codings, zlib's or not.
    const cut = "code" in cause && cause.code === "Z_BUF_ERROR";
    return cut
      ? this.#host.error("truncated", "its data ends too early", this.#bytesOut, cause)
      : this.#host.error("corrupt", `its data is broken (${cause.message})`, this.#bytesOut, cause);
  }

  /** @param chunk null: there is no more */
  #feed(chunk: Uint8Array | null): void {
    if (this.#state !== "hungry") return; // closed meanwhile
    const engine = this.#engine;
    if (engine !== null) {
      if (chunk !== null) return this.#work(engine, chunk);
      this.#state = "ending";
      engine.end();
      return;
    }
    if (chunk === null && this.#chunk.length === 0) return this.close(); // no bytes at all
    this.#chunk =
      chunk === null || this.#chunk.length === 0 ? (chunk ?? this.#chunk) : Buffer.concat([this.#chunk, chunk]);
    if (chunk !== null && this.#chunk.length < FORMAT_BYTES) return;
    this.#work(this.#engineFor(this.#chunk), this.#chunk);
  }

  #engineFor(start: Uint8Array): Engine {
    const engine = engineScope.runInAsyncScope(() => makeEngine(formatOf(this.#coding, start)));
    const wake = () => this.#woken();
    engine.on("readable", wake);
    engine.on("end", () => {
      if (this.#engine === engine) this.#ended = true;
      wake();
    });
    engine.on("error", (error) => {
      this.#broken ??= error;
      wake();
    });
    this.#engine = engine;
    return engine;
  }

  #work(engine: Engine, chunk: Uint8Array): void {
    this.#state = "busy";
    this.#chunk = chunk;
    this.#consumedBefore = engine.bytesWritten;
    engine.write(chunk, () => {
      // What is not taken whole is followed by the end: the data ended within it.
      const taken = engine.bytesWritten - this.#consumedBefore === chunk.length;
      if (taken && this.#engine === engine && this.#state === "busy") this.#state = "hungry";
      this.#woken();
    });
  }

  /** The engine saw the end of its data: it is the end of all where it was told so, else something follows. */
  #end(): void {
    const engine = this.#engine as Engine; // whose end it is
    const rest = this.#chunk.subarray(engine.bytesWritten - this.#consumedBefore);
    if (this.#state === "ending") return this.close();
    if (this.#coding !== "zstd" || rest.length === this.#chunk.length) {
      throw this.#host.error("trailing-data", "more bytes follow its end", this.#bytesOut);
    }
    // Node reads one frame; they may follow one another (RFC 8878 §3).
    engine.destroy();
    this.#ended = false;
    this.#work(this.#engineFor(rest), rest);
  }

  #woken(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

const NOTHING = new Uint8Array(0);

// ---- node:zlib

type Zlib = typeof import("node:zlib");

/** What the types of Node 20 do not know. */
interface ZstdPart {
  createZstdDecompress(options: object): Engine;
  zstdDecompressSync(bytes: Uint8Array, options: object): unknown;
  readonly constants: { readonly ZSTD_d_windowLogMax: number };
}

type Engine = Transform & { readonly bytesWritten: number };

type Format = "gzip" | "zlib" | "raw" | "br" | "zstd";

/** Makes every engine in a context of its own: a stream keeps the one that it was made in. */
const engineScope = new AsyncResource("persistconn.decode");

/** Bytes that tell the format. */
const FORMAT_BYTES = 2;

/** The two bytes of a zlib header: method 8, a window of at most 32 KiB, and a multiple of 31 (RFC 1950 §2.2). */
function formatOf(coding: Coding, start: Uint8Array): Format {
  if (coding !== "deflate") return coding;
  const [method = 0, flags = 0] = start;
  const zlib = (method & 0x0f) === 8 && method >> 4 <= 7 && ((method << 8) | flags) % 31 === 0;
  return zlib || start.length < FORMAT_BYTES ? "zlib" : "raw";
}

function makeEngine(format: Format): Engine {
  const zlib = process.getBuiltinModule("node:zlib");
  const options = { chunkSize: CHUNK_BYTES };
  switch (format) {
    case "gzip":
      return zlib.createGunzip(options);
    case "zlib":
      return zlib.createInflate(options);
    case "raw":
      return zlib.createInflateRaw(options);
    case "br":
      return zlib.createBrotliDecompress(options);
    case "zstd":
      return zstdOf(zlib).createZstdDecompress({ ...options, ...zstdWindow(zlib) });
  }
}

/** A frame's magic number, and no frame behind it. */
const CUT_FRAME = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd);

let zstd: boolean | null = null;

/** Whether Node has zstd, and one that tells a body that was cut: many releases took it for whole (Node issue 64592). */
function zstdWorks(): boolean {
  if (zstd !== null) return zstd;
  zstd = false;
  if (process.versions["zstd"] !== undefined) {
    try {
      zstdOf(process.getBuiltinModule("node:zlib")).zstdDecompressSync(CUT_FRAME, {});
    } catch {
      zstd = true;
    }
  }
  return zstd;
}

function zstdOf(zlib: Zlib): ZstdPart {
  return zlib as unknown as ZstdPart; // used only where process.versions says that it is there
}

/** A window of 8 MiB is all that a content coding may ask for (RFC 9659 §3). */
function zstdWindow(zlib: Zlib): object {
  return { params: { [zstdOf(zlib).constants.ZSTD_d_windowLogMax]: 23 } };
}

/** All at once; null where that is not a success, whatever the reason. */
function decodeAtOnce(encoded: Uint8Array, codings: readonly Coding[]): Uint8Array | null {
  let bytes = encoded;
  try {
    for (const coding of codings.toReversed()) {
      if (bytes.length === 0) return bytes;
      const { buffer, engine } = decodeSync(formatOf(coding, bytes), bytes);
      if (engine.bytesWritten !== bytes.length) return null;
      bytes = buffer;
    }
  } catch {
    return null;
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

interface SyncResult {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

function decodeSync(format: Format, bytes: Uint8Array): SyncResult {
  const zlib = process.getBuiltinModule("node:zlib");
  const options = { info: true, maxOutputLength: AT_ONCE_BYTES_OUT_MAX };
  return decode() as SyncResult; // what `info` asks for; the types speak of the plain Buffer only

  function decode(): unknown {
    switch (format) {
      case "gzip":
        return zlib.gunzipSync(bytes, options);
      case "zlib":
        return zlib.inflateSync(bytes, options);
      case "raw":
        return zlib.inflateRawSync(bytes, options);
      case "br":
        return zlib.brotliDecompressSync(bytes, options);
      case "zstd":
        return zstdOf(zlib).zstdDecompressSync(bytes, { ...options, ...zstdWindow(zlib) });
    }
  }
}
