/**
 * Trace events as lines of text, for `-v`.
 *
 * Pure. Every event is one line: when, on which connection, what, and its facts as `name=value`. A new kind of event
 * needs no change here; an error in one is told by its message, and no credentials get through.
 */

import type { TraceEvent } from "../trace.ts";
import { formatMs, printable } from "./format.ts";
import { withoutCredentials } from "./target.ts";

/** What stands in front, and heads, which `-v` prints as they are. */
const COMMON = new Set(["type", "at", "call", "attempt", "connection", "headers"]);

/** `*   1.20 ms #3 dial-start host=127.0.0.1 port=80`. */
export function eventLine(event: TraceEvent, since: number): string {
  const time = formatMs(Math.max(0, event.at - since)).padStart(8);
  const connection = event.connection === null ? "" : ` #${event.connection}`;
  const facts = Object.entries(event)
    .filter(([name, value]) => !COMMON.has(name) && typeof value !== "function")
    .map(([name, value]) => ` ${name}=${factText(value)}`)
    .join("");
  return printable(withoutCredentials(`* ${time}${connection} ${event.type}${facts}`));
}

function factText(value: unknown): string {
  if (value instanceof Error) return value.message;
  if (Array.isArray(value)) return `[${value.map(factText).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value)
      .map(([name, inner]) => `${name}: ${factText(inner)}`)
      .join(", ")}}`;
  }
  return String(value);
}

/** The facts of an error, as `-v` prints them below its message: `code`, `phase`, and whatever else it knows. */
export function errorFacts(error: unknown): string[] {
  if (typeof error !== "object" || error === null) return [];
  const { code, cause, ...rest } = error as { code?: unknown; cause?: unknown }; // an HttpError's own fields
  const lines: string[] = [];
  if (code !== undefined) lines.push(`code: ${factText(code)}`);
  for (const [name, value] of Object.entries(rest)) {
    // A fact that nobody knew is an own property, too: the classes declare their fields.
    if (value !== undefined && name !== "name") lines.push(`${name}: ${factText(value)}`);
  }
  if (cause !== undefined) {
    const inner = cause as { code?: unknown }; // any value may be thrown: only looked at
    const mark =
      typeof inner === "object" && inner !== null && inner.code !== undefined ? ` (${factText(inner.code)})` : "";
    lines.push(`cause: ${factText(cause)}${mark}`);
  }
  return lines.map((line) => printable(withoutCredentials(line)));
}
