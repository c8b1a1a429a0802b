/** Our own response parser, told as the oracles tell theirs. */

import { type EventRecord, type Outcome, record } from "../../spec/wire/record.ts";
import type { Pairs, Reading, ReadMessage } from "./reading.ts";

export function ourReading(bytes: string, method: string): Reading {
  return readingOf(record(bytes, [], { method }));
}

function readingOf(outcome: Outcome): Reading {
  const messages: ReadMessage[] = [];
  const last = (change: Partial<ReadMessage>) => {
    const before = messages.pop();
    if (before !== undefined) messages.push({ ...before, ...change });
  };
  for (const event of outcome.events) {
    if (event[0] === "information" || event[0] === "head") messages.push(messageOf(event));
    else if (event[0] === "data") last({ body: event[1] });
    else if (event[0] === "trailers") last({ trailers: lower(event[1]) });
  }
  const early = outcome.finish === "no-response" ? "no response" : "";
  return { messages, error: outcome.error ?? early, rest: outcome.rest.length };
}

function messageOf([, head]: Extract<EventRecord, readonly ["information" | "head", unknown]>): ReadMessage {
  return {
    status: head.status,
    reason: head.statusText,
    minor: head.minorVersion,
    method: "",
    target: "",
    fields: lower(head.fields),
    body: "",
    trailers: [],
  };
}

function lower(pairs: Pairs): Pairs {
  return pairs.map(([name, value]) => [name.toLowerCase(), value]);
}
