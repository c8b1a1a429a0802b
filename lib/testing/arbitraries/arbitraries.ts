/**
 * The arbitraries that these specs test with, for the property tests of others: HTTP/1.1 messages good and bad, the ways
 * to cut them into reads, faults and schedules. fast-check is handed in, so whoever does not use this need not have it.
 *
 * ```ts
 * import fc from "fast-check";
 * const arb = arbitraries(fc);
 * fc.assert(
 *   fc.property(arb.responseMessages(), arb.splits(), (message, splits) => {
 *     for (const piece of cut(message.bytes, splits)) parser.feed(Buffer.from(piece, "latin1"));
 *     return parser.body === message.body;
 *   }),
 * );
 * ```
 *
 * All text is latin1: one byte in each char code.
 */

import { bodies, chunkExtensions, chunkedBodies } from "./bodies.ts";
import type { FastCheck } from "./fast-check.ts";
import { connectionPlans, faults, schedules } from "./faults.ts";
import { fieldNames, fieldValues, headerSections, tokens } from "./fields.ts";
import { malformed, mutations } from "./mutations.ts";
import { requestMessages, targets } from "./requests.ts";
import { reasonPhrases, responseMessages } from "./responses.ts";
import { splits } from "./splits.ts";

/** Every arbitrary of this folder, over this copy of fast-check. */
export function arbitraries(fc: FastCheck) {
  return {
    tokens: bind(fc, tokens),
    fieldNames: bind(fc, fieldNames),
    fieldValues: bind(fc, fieldValues),
    headerSections: bind(fc, headerSections),
    reasonPhrases: bind(fc, reasonPhrases),
    targets: bind(fc, targets),
    bodies: bind(fc, bodies),
    chunkExtensions: bind(fc, chunkExtensions),
    chunkedBodies: bind(fc, chunkedBodies),
    responseMessages: bind(fc, responseMessages),
    requestMessages: bind(fc, requestMessages),
    splits: bind(fc, splits),
    mutations: bind(fc, mutations),
    malformed: bind(fc, malformed),
    faults: bind(fc, faults),
    schedules: bind(fc, schedules),
    connectionPlans: bind(fc, connectionPlans),
  };
}

function bind<A extends unknown[], R>(fc: FastCheck, make: (fc: FastCheck, ...args: A) => R): (...args: A) => R {
  return (...args) => make(fc, ...args);
}
