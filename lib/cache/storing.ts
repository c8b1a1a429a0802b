/**
 * A body on its way to the caller and into the store at once. The reader sets the pace: what it does not ask for is not
 * read, and where the store is slower than the reader, one chunk waits for it and the reader with it.
 *
 * The store learns of the body at its first chunk, so that an answer that nobody reads costs it nothing.
 *
 * Owns:  the writer, from `begin` on: it is committed or aborted, once.
 * Never: stores a body whose end was not seen, or that was asked for before its key was invalidated; fails the reader for
 *        what the store does.
 *
 * RFC 9111 §3.3 (incomplete responses), §4.4.
 */

import type { BodySource } from "../message/response-body.ts";
import type { Patience } from "../patience.ts";
import type { GuardedStore, MaybePromise } from "./guarded-store.ts";
import type { CacheWriter, StoredHead } from "./store.ts";

export interface StoringPlan {
  readonly key: string;
  readonly head: StoredHead;
  /** Of the body; 0 for none. */
  readonly maxBytes: number;
  /** Whether what was asked for may still be stored now. */
  readonly valid: () => boolean;
}

export class Storing {
  readonly #store: GuardedStore;
  readonly #plan: StoringPlan;
  #state: "storing" | "stored" | "dropped" = "storing";
  #writer: CacheWriter | null = null;
  #bytes = 0;
  /** A step of the store under way; it never rejects. */
  #step: Promise<void> | null = null;

  constructor(store: GuardedStore, plan: StoringPlan) {
    this.#store = store;
    this.#plan = plan;
  }

  /** Whether bytes are still wanted. */
  get going(): boolean {
    return this.#state === "storing";
  }

  /** What the next step must wait for; null where nothing is under way. */
  get busy(): Promise<void> | null {
    return this.#step;
  }

  /** Takes a copy: the chunk is the reader's own. */
  write(chunk: Uint8Array): void {
    if (this.#state !== "storing") return;
    this.#bytes += chunk.length;
    const { maxBytes } = this.#plan;
    if (maxBytes > 0 && this.#bytes > maxBytes) return this.drop();
    const copy = new Uint8Array(chunk);
    this.#run(() => this.#withWriter((writer) => this.#store.write(this.#plan.key, writer, copy), false));
  }

  /** The end was seen. */
  end(): void {
    if (this.#state !== "storing") return;
    this.#run(() => this.#withWriter((writer) => this.#commit(writer), true));
  }

  /** The rest of it, its end seen, for nobody who waits. */
  async finish(rest: readonly Uint8Array[]): Promise<void> {
    for (const chunk of rest) {
      while (this.#step !== null) await this.#step;
      this.write(chunk);
    }
    while (this.#step !== null) await this.#step;
    this.end();
  }

  /** There is no end, or it is not wanted. Idempotent. */
  drop(): void {
    if (this.#state !== "storing") return;
    this.#state = "dropped";
    const writer = this.#writer;
    this.#writer = null;
    if (writer !== null) this.#store.abort(this.#plan.key, writer);
  }

  /** @returns whether it goes on */
  #commit(writer: CacheWriter): MaybePromise<boolean> {
    const { key, head, valid } = this.#plan;
    if (!valid()) return false;
    const done = this.#store.commit(key, writer, { ...head, bytes: this.#bytes });
    // From here on it is the store's, also where it fails: there is nothing to abort.
    this.#state = "stored";
    this.#writer = null;
    return done;
  }

  #withWriter(next: (writer: CacheWriter) => MaybePromise<boolean>, atEnd: boolean): MaybePromise<boolean> {
    if (this.#writer !== null) return next(this.#writer);
    const go = (writer: CacheWriter | null): MaybePromise<boolean> => {
      if (writer === null) return false;
      if (this.#state !== "storing") {
        this.#store.abort(this.#plan.key, writer); // dropped while it was on its way
        return false;
      }
      this.#writer = writer;
      return next(writer);
    };
    if (atEnd && !this.#plan.valid()) return false;
    const begun = this.#store.begin(this.#plan.key, this.#plan.head);
    return begun instanceof Promise ? begun.then(go) : go(begun);
  }

  #run(step: () => MaybePromise<boolean>): void {
    const done = step();
    if (!(done instanceof Promise)) {
      if (!done) this.drop();
      return;
    }
    this.#step = done.then((goesOn) => {
      this.#step = null;
      if (!goesOn) this.drop();
    });
  }
}

/** What the reader reads. */
export class StoringSource implements BodySource {
  readonly #inner: BodySource;
  readonly #storing: Storing;
  readonly #patience: Patience;
  #ended = false;

  constructor(inner: BodySource, storing: Storing, patience: Patience) {
    this.#inner = inner;
    this.#storing = storing;
    this.#patience = patience;
  }

  get length(): number | null {
    return this.#inner.length;
  }

  tryRead(): Uint8Array | null | undefined {
    if (this.#storing.busy !== null) return undefined;
    if (this.#ended) return null;
    try {
      return this.#took(this.#inner.tryRead());
    } catch (error) {
      this.#storing.drop();
      throw error;
    }
  }

  async read(): Promise<Uint8Array | null> {
    try {
      for (;;) {
        // The store is waited for, but not after the call was ended.
        while (this.#storing.busy !== null) await this.#patience.wait(this.#storing.busy);
        const now = this.tryRead();
        if (now !== undefined) return now;
        if (this.#storing.busy !== null) continue;
        const chunk = this.#took(await this.#inner.read());
        if (chunk !== undefined) return chunk;
      }
    } catch (error) {
      this.#storing.drop();
      this.#inner.close();
      throw error;
    }
  }

  /**
   * A reader that leaves may leave what is here already, to its very end: a Client does so with the body of a redirect.
   * That is stored. Nothing is waited for.
   */
  close(): void {
    if (this.#ended) return;
    const rest: Uint8Array[] = [];
    try {
      let chunk = this.#storing.going ? this.#inner.tryRead() : undefined;
      for (; chunk instanceof Uint8Array; chunk = this.#inner.tryRead()) rest.push(chunk);
      if (chunk === null) {
        this.#ended = true;
        void this.#storing.finish(rest); // it never rejects
      }
    } catch {
      // It was cut, which nobody wants to know any more.
    }
    if (!this.#ended) this.#storing.drop();
    this.#inner.close();
  }

  /** The reader learns of the end when the store has it: who asks again at once finds it there. */
  #took(chunk: Uint8Array | null | undefined): Uint8Array | null | undefined {
    if (chunk === undefined) return undefined;
    if (chunk !== null) {
      this.#storing.write(chunk);
      return chunk;
    }
    this.#ended = true;
    this.#storing.end();
    return this.#storing.busy === null ? null : undefined;
  }
}
