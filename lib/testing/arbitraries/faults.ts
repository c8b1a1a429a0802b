/**
 * What can go wrong on a connection and when things happen on it, as plain data: whoever plays a network (a scripted peer,
 * a simulator, a proxy on loopback) gives them effect. They hold no function, so that they print, shrink and can be kept in
 * a file. Times are milliseconds, positions bytes.
 */

import { bodies } from "./bodies.ts";
import type { Arbitrary, FastCheck } from "./fast-check.ts";

/** One thing that a peer, or the way to it, does wrong. */
export type Fault =
  /** The dial is refused, or takes this long. */
  | { readonly kind: "dial-refused" }
  | { readonly kind: "dial-slow"; readonly ms: number }
  /** After so many bytes of the answer: a reset, an end of stream, nothing more ever, nothing for a while. */
  | { readonly kind: "reset-after"; readonly bytes: number }
  | { readonly kind: "end-after"; readonly bytes: number }
  | { readonly kind: "silence-after"; readonly bytes: number }
  | { readonly kind: "pause-after"; readonly bytes: number; readonly ms: number }
  /** Every read brings so many bytes, so far apart. */
  | { readonly kind: "slow"; readonly bytes: number; readonly ms: number }
  /** The answer begins when so many bytes of the request have come, whether or not it is whole. */
  | { readonly kind: "early-answer"; readonly afterBytes: number }
  /** The peer stops reading after so many bytes of the request. */
  | { readonly kind: "deaf-after"; readonly bytes: number }
  /** The answer comes twice; or something that nobody asked for comes behind it, at once or on the idle connection. */
  | { readonly kind: "answered-twice" }
  | { readonly kind: "unsolicited"; readonly ms: number; readonly text: string }
  /** The idle connection ends after this long: a close that may cross the next request. */
  | { readonly kind: "idle-close"; readonly ms: number; readonly reset: boolean }
  /** The answer is not the one that was meant: this byte of it is another. */
  | { readonly kind: "corrupt"; readonly at: number; readonly byte: number };

/** When things happen: numbers that a player consumes one after the other and starts again with. */
export interface Schedule {
  /** How many bytes the next reads bring. */
  readonly reads: readonly number[];
  /** How long the next events wait. */
  readonly delays: readonly number[];
  /** Which of the things that are ready goes first: an index, taken modulo how many are ready. */
  readonly picks: readonly number[];
}

/** What one connection goes through: who dials next gets the next of these. */
export interface ConnectionPlan {
  readonly faults: readonly Fault[];
  readonly schedule: Schedule;
}

export function faults(
  fc: FastCheck,
  options: { readonly maxMs?: number; readonly maxBytes?: number } = {},
): Arbitrary<Fault> {
  const { maxMs = 60_000, maxBytes = 2_000 } = options;
  const bytes = fc.oneof(fc.constantFrom(0, 1), fc.nat({ max: maxBytes }));
  const ms = fc.oneof(fc.constantFrom(0, 1), fc.nat({ max: maxMs }));
  const just = <T extends string>(kind: T) => fc.constant(kind);
  return fc.oneof(
    fc.record({ kind: just("dial-refused") }),
    fc.record({ kind: just("dial-slow"), ms }),
    fc.record({ kind: fc.constantFrom("reset-after", "end-after", "silence-after", "deaf-after"), bytes }),
    fc.record({ kind: just("pause-after"), bytes, ms }),
    fc.record({ kind: just("slow"), bytes: fc.integer({ min: 1, max: 100 }), ms }),
    fc.record({ kind: just("early-answer"), afterBytes: bytes }),
    fc.record({ kind: just("answered-twice") }),
    fc.record({ kind: just("unsolicited"), ms, text: bodies(fc, 40).filter((text) => text !== "") }),
    fc.record({ kind: just("idle-close"), ms, reset: fc.boolean() }),
    fc.record({ kind: just("corrupt"), at: bytes, byte: fc.nat({ max: 255 }) }),
  ) as Arbitrary<Fault>; // fast-check widens the kinds to string
}

export function schedules(fc: FastCheck): Arbitrary<Schedule> {
  const size = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 100 }), fc.constant(65_536));
  const delay = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 5_000 }) });
  return fc.record({
    reads: fc.array(size, { minLength: 1, maxLength: 12 }),
    delays: fc.array(delay, { minLength: 1, maxLength: 12 }),
    picks: fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 24 }),
  });
}

/** Mostly one fault or none: of two, the first to strike hides the other. */
export function connectionPlans(fc: FastCheck): Arbitrary<ConnectionPlan> {
  const some = fc.oneof(
    fc.constant([]),
    fc.array(faults(fc), { minLength: 1, maxLength: 1 }),
    fc.array(faults(fc), { maxLength: 3 }),
  );
  return fc.record({ faults: some, schedule: schedules(fc) });
}
