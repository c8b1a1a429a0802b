/**
 * ResponseBody: the one reading of a response's content, in whatever form the caller likes: whole, as an iteration, as a
 * web stream or a Node stream. Made at the first look at the content; lives as long as the Response.
 *
 * What is there already is taken synchronously; only where bytes must be waited for is a promise made. The web stream is
 * made only when `body` is touched: it costs as much as a whole request.
 *
 * Owns:  which form reads (one does; the second is refused), and whether it ended or was closed.
 * Never: hands out bytes that anybody else holds; leaves a promise rejected that nobody asked for.
 *
 * Fetch standard, "Body mixin".
 */

import type { Readable } from "node:stream";
import type { ReadableByteStreamController } from "node:stream/web";
import { InvariantError } from "../errors.ts";
import { expectMemory } from "./body-memory.ts";

/** Body bytes as they come: the side that the connection implements. */
export interface BodySource {
  /** A chunk that is already here; null at the end; undefined: one must wait. Throws the body's error. */
  tryRead(): Uint8Array | null | undefined;
  /** The next chunk, or null at the end. Rejects with the body's error. One call at a time. */
  read(): Promise<Uint8Array | null>;
  /** The reader reads no more. Returns at once; idempotent. A read under way need not settle. */
  close(): void;
  /** Body bytes promised; null where nothing was. */
  readonly length: number | null;
  /**
   * From now on puts bytes into `whole`, in order, from `at` on, so that the chunks it gives are parts of that and need no
   * copy to be joined. Asked for while no chunk waits; a source that cannot may lack it.
   */
  gatherInto?(whole: Uint8Array, at: number): void;
  /**
   * Whether each chunk lies in a buffer of its own, unless it was asked to gather. (To look at a small chunk's buffer
   * makes one: until then V8 keeps the bytes inside the object.)
   */
  readonly chunksAreAlone?: boolean;
}

/** More is not set aside on the word of a peer that has not sent it. */
const WHOLE_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes that the caller owns alone. */
export type OwnBytes = Uint8Array<ArrayBuffer>;

export class ResponseBody {
  readonly #source: BodySource;
  #state: "unread" | "reading" | "ended" | "closed" = "unread";
  #stream: ReadableStream<OwnBytes> | null = null;
  /** Rejects the wait under way: the source need not, once it was closed. */
  #endWait: ((reason: unknown) => void) | null = null;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** Whether anything was read, or given up. */
  get used(): boolean {
    return this.#state !== "unread";
  }

  /** Whether reading may begin. */
  get usable(): boolean {
    return this.#state === "unread" && !(this.#stream?.locked ?? false);
  }

  /** The whole of it: at once when all is there. */
  collect(): OwnBytes | Promise<OwnBytes> {
    this.#begin();
    const first = this.#tryRead();
    if (first === null) return new Uint8Array(0);
    if (first === undefined) return this.#gather([]);
    const second = this.#tryRead();
    if (second === null) return this.#source.chunksAreAlone ? (first as OwnBytes) : own(first); // nearly every answer: one chunk, and nothing is copied
    return this.#gather(second === undefined ? [first] : [first, second]);
  }

  /** Chunk by chunk. Leaving early closes. */
  iterate(): AsyncIterableIterator<OwnBytes> {
    this.#begin();
    // next() may be called again before the last one settled; the source is read by one at a time.
    let last: Promise<unknown> = Promise.resolve();
    let waiting = 0;
    const step = async (): Promise<IteratorResult<OwnBytes>> => {
      const chunk = this.#tryRead();
      const value = chunk === undefined ? await this.#wait() : chunk;
      return value === null ? { done: true, value: undefined } : { done: false, value: own(value) };
    };
    const iterator: AsyncIterableIterator<OwnBytes> = {
      next: () => {
        const result = waiting++ === 0 ? step() : last.then(step, step);
        last = result.then(
          () => waiting--,
          () => waiting--,
        );
        return result;
      },
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** The web stream: the same one each time. Reads nothing until it is read. */
  stream(): ReadableStream<OwnBytes> {
    if (this.#stream !== null) return this.#stream;
    const { ReadableStream: WebStream } = process.getBuiltinModule("node:stream/web");
    const spent = this.used;
    const stream = new WebStream(
      {
        type: "bytes",
        pull: (controller: ReadableByteStreamController) => this.#feed(controller),
        cancel: () => this.close(),
      },
      { highWaterMark: 0 }, // so that a pull is a read of the caller's
    ) as ReadableStream<OwnBytes>; // every chunk that goes in went through own()
    if (spent) stream.getReader(); // what was read in another form shows as locked, and stays so
    this.#stream = stream;
    return stream;
  }

  /** The text of it, decoded as it comes. */
  textStream(): ReadableStream<string> {
    const chunks = this.iterate();
    const decoder = new TextDecoder();
    const { ReadableStream: WebStream } = process.getBuiltinModule("node:stream/web");
    return new WebStream<string>(
      {
        async pull(controller) {
          for (;;) {
            const { done, value } = await chunks.next();
            const text = done ? decoder.decode() : decoder.decode(value, { stream: true });
            if (text !== "") controller.enqueue(text);
            if (done) controller.close();
            if (done || text !== "") return;
          }
        },
        cancel: () => this.close(),
      },
      { highWaterMark: 0 },
    ) as ReadableStream<string>; // the global type, whichever library declares it
  }

  /** A Node Readable over it. Destroying it early closes. */
  readable(): Readable {
    this.#begin();
    const { Readable: NodeReadable } = process.getBuiltinModule("node:stream");
    const body = this;
    return new NodeReadable({
      read() {
        body.#pushInto(this);
      },
      destroy(error, done) {
        body.close();
        done(error);
      },
    });
  }

  /** The source itself, for a reading in the place of this one. This body is spent by it. */
  take(): BodySource {
    this.#begin();
    return this.#source;
  }

  /** Two sources in place of this one, for `clone()`. This body is spent by it. */
  tee(): [BodySource, BodySource] {
    this.#begin();
    return tee(this.#source);
  }

  /** Nobody reads on. A read under way and every later one reject. */
  close(): void {
    if (this.#state === "ended" || this.#state === "closed") return;
    this.#state = "closed";
    this.#source.close();
    this.#endWait?.(closedError());
    this.#endWait = null;
  }

  #begin(): void {
    if (this.#state === "closed") throw closedError();
    if (!this.usable) throw usedError();
    this.#state = "reading";
    this.#stream?.getReader(); // this reading goes round it, so it must look taken
  }

  #tryRead(): Uint8Array | null | undefined {
    if (this.#state === "closed") throw closedError();
    if (this.#state === "ended") return null;
    const chunk = this.#source.tryRead();
    if (chunk === null) this.#state = "ended";
    return chunk;
  }

  #wait(): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      this.#endWait = reject;
      this.#source.read().then((chunk) => {
        this.#endWait = null;
        if (chunk === null && this.#state === "reading") this.#state = "ended";
        resolve(chunk); // to nobody, when it was closed meanwhile
      }, reject);
    });
  }

  async #gather(chunks: Uint8Array[]): Promise<OwnBytes> {
    for (;;) {
      let chunk = this.#tryRead();
      if (chunk === undefined) {
        const { length } = this.#source;
        if (length !== null && length <= WHOLE_BYTES_MAX && this.#source.gatherInto !== undefined) {
          return this.#gatherWhole(chunks, length);
        }
        chunk = await this.#wait();
      }
      if (chunk === null) break;
      chunks.push(chunk);
    }
    return joined(chunks);
  }

  /**
   * The rest goes to its place in the whole as it comes. Nothing waits, so it starts behind what was taken. What counts
   * are the chunks: bytes that did not come as one are not given out, and neither is memory that nobody wrote.
   */
  async #gatherWhole(taken: readonly Uint8Array[], length: number): Promise<OwnBytes> {
    expectMemory(length);
    const whole = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer); // the source ends only when all of it is written
    let at = 0;
    for (const chunk of taken) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    this.#source.gatherInto?.(whole, at);
    for (let chunk = await this.#wait(); chunk !== null; chunk = await this.#wait()) {
      if (chunk.buffer !== whole.buffer) whole.set(chunk, at);
      at += chunk.length;
    }
    if (at !== length) throw new InvariantError(`Cannot read response body: ${at} of ${length} bytes came`);
    return whole;
  }

  async #feed(controller: ReadableByteStreamController): Promise<void> {
    if (this.#state === "unread") this.#state = "reading";
    let chunk = this.#tryRead();
    while (chunk === undefined || chunk?.length === 0)
      chunk = chunk === undefined ? await this.#wait() : this.#tryRead();
    if (chunk !== null) {
      controller.enqueue(own(chunk)); // it takes the whole ArrayBuffer away from whoever else holds it
      return;
    }
    controller.close();
    controller.byobRequest?.respond(0); // or a reader with a buffer of its own would wait for ever
  }

  /** One chunk for each `_read`: Node asks again, and would ask beside a loop of ours. */
  async #pushInto(stream: Readable): Promise<void> {
    try {
      let chunk = this.#tryRead();
      if (chunk === undefined) chunk = await this.#wait();
      if (!stream.destroyed) stream.push(chunk === null ? null : own(chunk));
    } catch (error) {
      stream.destroy(error as Error); // what a body fails with is an error, or the caller's own reason
    }
  }
}

/** What one of two readers has still to get. */
interface Branch {
  readonly queue: Uint8Array[];
  closed: boolean;
}

/** Two sources that each give the whole of one. The slower one's rest is kept for it, so it costs memory. */
function tee(source: BodySource): [BodySource, BodySource] {
  const branches: readonly Branch[] = [
    { queue: [], closed: false },
    { queue: [], closed: false },
  ];
  let over: null | { readonly error?: unknown } = null;
  let filling: Promise<void> | null = null;
  /** The first branch gets the chunk itself, every further one a copy: what is handed out belongs to one. */
  const share = (chunk: Uint8Array): void => {
    let next: Uint8Array = chunk;
    for (const branch of branches) {
      if (branch.closed) continue;
      branch.queue.push(next);
      next = chunk.slice();
    }
  };
  const sourceOf = (mine: Branch): BodySource => ({
    length: source.length,
    tryRead() {
      for (;;) {
        const chunk = mine.queue.shift();
        if (chunk !== undefined) return chunk;
        if (over !== null) {
          if ("error" in over) throw over.error;
          return null;
        }
        if (filling !== null) return undefined; // the next chunk is on its way to both
        try {
          const now = source.tryRead();
          if (now === undefined) return undefined;
          if (now === null) over = {};
          else share(now);
        } catch (error) {
          over = { error };
        }
      }
    },
    async read() {
      for (;;) {
        const now = this.tryRead();
        if (now !== undefined) return now;
        filling ??= source.read().then(
          (chunk) => {
            filling = null;
            if (chunk === null) over = {};
            else share(chunk);
          },
          (error) => {
            filling = null;
            over = { error };
          },
        );
        await filling;
      }
    },
    close() {
      mine.closed = true;
      mine.queue.length = 0;
      if (branches.every((other) => other.closed)) source.close();
    },
  });
  const [first, second] = branches.map(sourceOf);
  return [first!, second!]; // as many as there are branches
}

/**
 * The chunk as bytes that nobody else can reach. A source gives copies, so there is nothing to do, but for one that cut
 * several chunks from one copy: a stream that takes the buffer over would take it from all.
 */
function own(chunk: Uint8Array): OwnBytes {
  const { buffer, byteLength } = chunk;
  if (byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return new Uint8Array(chunk);
  return chunk.constructor === Uint8Array ? (chunk as OwnBytes) : new Uint8Array(buffer); // its buffer is no shared one: seen above
}

function joined(chunks: readonly Uint8Array[]): OwnBytes {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return own(only);
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer); // every byte of it is written below
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

export function usedError(): TypeError {
  return Object.assign(new TypeError("Cannot read response body: it was read before, or is locked to a reader"), {
    code: "ERR_HTTP_BODY_USED",
  });
}

function closedError(): TypeError {
  return Object.assign(new TypeError("Cannot read response body: the response was closed"), {
    code: "ERR_HTTP_BODY_USED",
  });
}
