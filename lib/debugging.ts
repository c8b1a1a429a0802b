/**
 * `NODE_DEBUG=persistconn`: every event of every transport as a sentence on stderr, for a program that was not written to
 * be watched. Lives as long as the process; what the variable says is looked at when a transport is made.
 *
 * The words are loaded when there is something to say, since nearly every program goes without; what happens until they
 * are there is kept, and printed in its order.
 *
 * Never: shows a secret; lets a server's words move a terminal's cursor.
 */

import type { TraceEvent, TraceListener } from "./trace.ts";

/** Events that nobody could put into words yet. */
const early: TraceEvent[] = [];
let print: TraceListener = keep;

/** What prints the events, or null where nobody asked for them. */
export function debugListener(): TraceListener | null {
  if (!process.env["NODE_DEBUG"]) return null;
  const { enabled } = process.getBuiltinModule("node:util").debuglog("persistconn");
  return enabled ? (event) => print(event) : null;
}

function keep(event: TraceEvent): void {
  if (early.push(event) > 1) return;
  void import("./observe/words.ts").then(({ explain, subjectOf }) => {
    const log = process.getBuiltinModule("node:util").debuglog("persistconn");
    print = (told) => {
      const on = told.call === null || told.connection === null ? "" : `, connection ${told.connection}`;
      log("%s ms %s%s %s", told.at.toFixed(3), subjectOf(told), on, visible(explain(told)));
    };
    for (const told of early.splice(0)) print(told);
  });
}

/** Without control characters: reason phrases and errors have texts of others. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
