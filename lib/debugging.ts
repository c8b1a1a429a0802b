/**
 * `NODE_DEBUG=persistconn`: every event of every transport as a sentence on stderr, for a program that was not written to
 * be watched. Lives as long as the process; what the variable says is looked at when a transport is made.
 *
 * Never: shows a secret; lets a server's words move a terminal's cursor.
 */

import { debuglog } from "node:util";
import { explain, subjectOf } from "./observe/words.ts";
import type { TraceEvent, TraceListener } from "./trace.ts";

const log = debuglog("persistconn");

/** What prints the events, or null where nobody asked for them. */
export function debugListener(): TraceListener | null {
  return log.enabled ? print : null;
}

function print(event: TraceEvent): void {
  const on = event.call === null || event.connection === null ? "" : `, connection ${event.connection}`;
  log("%s ms %s%s %s", event.at.toFixed(3), subjectOf(event), on, visible(explain(event)));
}

/** Without control characters: reason phrases and errors have texts of others. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
