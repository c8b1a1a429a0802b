/**
 * The bodies of a run's requests: in memory, in parts, made for each sending, given once, as a Node stream; and some that
 * are no good: they throw, never come, are shorter or longer than was said, or end their own call while they are asked.
 *
 * Each that was begun is watched: it is asked for one thing at a time, and never after its end; and it is told of its end
 * exactly once, or comes to it itself.
 */

import { Readable } from "node:stream";
import type { BodyInit } from "../../lib/index.ts";
import type { Invariants } from "./invariants.ts";
import type { CallRecord, Trouble } from "./records.ts";
import type { World } from "./world.ts";

const TROUBLES = ["throws", "hangs", "short", "long", "aborts", "throws-on-return", "throws-when-made"] as const;

/** Bytes that say whose they are, wherever they are cut. */
export function patternOf(nonce: number, kind: "request" | "answer", bytes: number): Buffer {
  return Buffer.alloc(bytes, `${kind[0]}${nonce}.`);
}

/** A body, and what must be said of it. */
export interface DrawnBody {
  readonly body: BodyInit;
  readonly headers: readonly (readonly [string, string])[];
}

export class Bodies {
  opened = 0;
  over = 0;
  readonly #world: World;
  readonly #invariants: Invariants;

  constructor(world: World, invariants: Invariants) {
    this.#world = world;
    this.#invariants = invariants;
  }

  /** @param mayHang the call has a limit */
  draw(record: CallRecord, troubled: boolean, mayHang: boolean): DrawnBody {
    const { chance } = this.#world;
    if (troubled) {
      const trouble = chance.pick(TROUBLES);
      if (trouble !== "hangs" || mayHang) return this.#troubled(record, trouble);
    }
    const kind = chance.below(12);
    const of = (body: BodyInit) => ({ body, headers: [] });
    if (kind < 6) return of(record.body);
    if (kind === 6) return of(piecesOf(record.body, 1 + chance.below(record.body.length + 1)));
    if (kind < 9) return of(() => this.#iterable(record));
    if (kind < 11) return of(this.#iterable(record));
    return of(this.#stream(record));
  }

  #troubled(record: CallRecord, trouble: Trouble): DrawnBody {
    record.trouble = trouble;
    record.bodyError = new Error(`the body of ${record.name} is no good`);
    const again = this.#world.oneIn(2);
    if (trouble === "throws-when-made") {
      const make = () => {
        throw record.bodyError;
      };
      return { body: make, headers: [] };
    }
    if (trouble === "throws" && this.#world.oneIn(3)) return { body: this.#stream(record), headers: [] };
    const headers =
      trouble === "short" || trouble === "long" ? ([["Content-Length", `${record.body.length}`]] as const) : [];
    return { body: again ? () => this.#iterable(record) : this.#iterable(record), headers };
  }

  /** How much of it comes before something goes wrong; all, where nothing does. */
  #goodBytes({ body, trouble }: CallRecord): number {
    const cut = trouble === "throws" || trouble === "hangs" || trouble === "short" || trouble === "aborts";
    return cut ? this.#world.chance.below(body.length + 1) : body.length;
  }

  #iterable(record: CallRecord): AsyncIterable<Buffer> {
    const world = this.#world;
    const { body, trouble } = record;
    const chunk = 1 + world.chance.below(Math.max(1, body.length));
    const slow = world.oneIn(3);
    const good = this.#goodBytes(record);
    const open = () => {
      this.opened++;
      const violate = (what: string) => this.#invariants.violate("bodies-ended", `the body of ${record.name} ${what}`);
      let at = 0;
      let asked = false;
      let over = false;
      let told = false;
      const end = () => {
        if (!over) this.over++;
        over = true;
      };
      return {
        next: async (): Promise<IteratorResult<Buffer>> => {
          if (asked) violate("is asked while it is being asked");
          if (over) violate("is asked after its end");
          asked = true;
          if (slow) await world.wait(world.chance.below(30));
          asked = false;
          const left = (trouble === "long" ? body.length + 9 : good) - at;
          if (left <= 0) {
            if (trouble === "hangs") return new Promise(() => {});
            if (trouble === "aborts") record.abort?.();
            if (trouble === "throws") {
              end();
              throw record.bodyError;
            }
          }
          if (left <= 0) {
            // What ends its own call goes on as if nothing were.
            if (trouble === "aborts" && at < body.length) return { done: false, value: slice(body.length) };
            end();
            return { done: true, value: undefined };
          }
          return { done: false, value: slice(Math.min(at + chunk, at + left)) };
        },
        return: async (): Promise<IteratorResult<Buffer>> => {
          if (told) violate("is told twice that it is over");
          told = true;
          end();
          if (trouble === "throws-on-return") throw record.bodyError;
          return { done: true, value: undefined };
        },
      };
      function slice(to: number): Buffer {
        const from = at;
        at = to;
        return to <= body.length
          ? body.subarray(from, to)
          : Buffer.concat([body.subarray(from), Buffer.alloc(to - Math.max(from, body.length), "!")]);
      }
    };
    return { [Symbol.asyncIterator]: open };
  }

  #stream(record: CallRecord): Readable {
    const world = this.#world;
    const { body, trouble } = record;
    const chunk = 1 + world.chance.below(Math.max(1, body.length));
    const slow = world.oneIn(3);
    const good = this.#goodBytes(record);
    let at = 0;
    const stream = new Readable({
      read: async () => {
        if (slow) await world.wait(world.chance.below(30));
        if (stream.destroyed) return;
        if (at >= good) {
          if (trouble === "throws") stream.destroy(record.bodyError ?? undefined);
          else stream.push(null);
          return;
        }
        const from = at;
        at = Math.min(good, at + chunk);
        stream.push(body.subarray(from, at));
      },
    });
    this.opened++;
    stream.on("close", () => this.over++);
    return stream;
  }
}

function piecesOf(body: Buffer, bytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += bytes) pieces.push(body.subarray(at, at + bytes));
  return pieces;
}
