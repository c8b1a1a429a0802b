/**
 * Whether two readers agree about some bytes, and if not, in what. They agree where neither got a whole message, however
 * each of them says so; or where both did, and it is the same.
 */

import { comparable, type Pairs, type Reading, type ReadMessage } from "./reading.ts";

export interface Difference {
  /** `laxer`: it read what we refuse. `stricter`: it refused what we read. `other`: both read it, and not alike. */
  readonly kind: "laxer" | "stricter" | "other";
  /** In which part of which message, for "other". */
  readonly part: string;
  readonly text: string;
}

/** @param without names of fields that the other reader takes away, or makes one of */
export function differenceOf(ours: Reading, theirs: Reading, without: ReadonlySet<string>): Difference | null {
  if (ours.error !== "" && theirs.error !== "") return null;
  if (ours.error !== "") return { kind: "laxer", part: "", text: ours.error };
  if (theirs.error !== "") return { kind: "stricter", part: "", text: theirs.error };
  const count = Math.max(ours.messages.length, theirs.messages.length);
  for (let i = 0; i < count; i++) {
    const found = inMessage(ours.messages[i], theirs.messages[i], without);
    if (found !== null)
      return { kind: "other", part: found[0], text: `message ${i}, ${found[0]}: ${found[1]} / ${found[2]}` };
  }
  if (theirs.rest !== null && ours.rest !== theirs.rest) {
    return { kind: "other", part: "rest", text: `rest: ${ours.rest} / ${theirs.rest}` };
  }
  return null;
}

function inMessage(
  ours: ReadMessage | undefined,
  theirs: ReadMessage | undefined,
  without: ReadonlySet<string>,
): [part: string, ours: string, theirs: string] | null {
  if (ours === undefined || theirs === undefined) return ["count", `${ours !== undefined}`, `${theirs !== undefined}`];
  for (const part of ["status", "reason", "minor", "method", "target", "body"] as const) {
    if (ours[part] !== theirs[part]) return [part, JSON.stringify(ours[part]), JSON.stringify(theirs[part])];
  }
  for (const part of ["fields", "trailers"] as const) {
    const [a, b] = [ours[part], theirs[part]].map((pairs: Pairs) => comparable(pairs, without));
    if (a !== b) return [part, JSON.stringify(a), JSON.stringify(b)];
  }
  return null;
}
