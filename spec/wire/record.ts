/**
 * Runs a ResponseParser over bytes that are cut in pieces, and notes what it tells. Adjacent data are joined, so that two
 * runs over the same bytes are equal exactly when a reader could not tell them apart.
 *
 * Each piece is lent in one scratch buffer, as a socket lends its reads, and overwritten when `execute` returns: a parser
 * that keeps what was only lent shows in the result.
 */

import { HeaderLimitError, RemoteProtocolError } from "../../lib/errors.ts";
import type { FieldLines, ParserLimits, ResponseHead, ResponseSink } from "../../lib/wire/parser-events.ts";
import { ResponseParser } from "../../lib/wire/response-parser.ts";

export type Pairs = readonly (readonly [string, string])[];

export interface HeadRecord {
  readonly status: number;
  readonly statusText: string;
  readonly minorVersion: 0 | 1;
  readonly fields: Pairs;
  readonly framing: ResponseHead["framing"];
  readonly contentLength: number | null;
  readonly keepAlive: boolean;
  readonly keepAliveTimeoutMs: number | null;
  readonly keepAliveMax: number | null;
}

export type EventRecord =
  | readonly ["information", HeadRecord]
  | readonly ["head", HeadRecord]
  | readonly ["data", string]
  | readonly ["trailers", Pairs]
  | readonly ["end"];

export interface Outcome {
  readonly events: readonly EventRecord[];
  /** What `execute` left alone. */
  readonly rest: string;
  /** What `finish` said after the last byte; null where there was no finish, or an error. */
  readonly finish: string | null;
  /** Class, reason and offset of what was thrown; null where nothing was. */
  readonly error: string | null;
}

export const LIMITS: ParserLimits = { headBytesMax: 256 * 1024, headerCountMax: 1000, informationMax: 32 };

function pairsOf(fields: FieldLines): Pairs {
  return Array.from({ length: fields.length }, (_, i) => [fields.name(i), fields.value(i)] as const);
}

function headOf(head: ResponseHead): HeadRecord {
  const { status, statusText, minorVersion, framing, contentLength, keepAlive, keepAliveTimeoutMs, keepAliveMax } =
    head;
  const fields = pairsOf(head.fields);
  return {
    status,
    statusText,
    minorVersion,
    fields,
    framing,
    contentLength,
    keepAlive,
    keepAliveTimeoutMs,
    keepAliveMax,
  };
}

export class Recorder implements ResponseSink {
  readonly events: EventRecord[] = [];
  information(head: ResponseHead): void {
    this.events.push(["information", headOf(head)]);
  }
  head(head: ResponseHead): void {
    this.events.push(["head", headOf(head)]);
  }
  data(view: Uint8Array, start: number, end: number): void {
    const text = Buffer.from(view.subarray(start, end)).toString("latin1");
    const last = this.events.at(-1);
    if (last?.[0] === "data") this.events[this.events.length - 1] = ["data", last[1] + text];
    else this.events.push(["data", text]);
  }
  trailers(fields: FieldLines): void {
    this.events.push(["trailers", pairsOf(fields)]);
  }
  end(): void {
    this.events.push(["end"]);
  }
}

/** The class, and what tells the reader which rule was broken. */
function errorRecord(error: unknown): string {
  if (error instanceof HeaderLimitError) return `HeaderLimitError ${error.option}`;
  if (error instanceof RemoteProtocolError) return `RemoteProtocolError ${error.reason} @${error.offset}`;
  if (error instanceof Error) return `${error.name}`;
  return String(error);
}

const scratch = Buffer.alloc(256 * 1024);

/**
 * @param bytes latin1
 * @param cuts positions at which `bytes` is cut into reads, ascending
 * @param fin whether the peer's FIN follows
 */
export function record(
  bytes: string,
  cuts: readonly number[] = [],
  { method = "GET", limits = LIMITS, fin = true }: { method?: string; limits?: ParserLimits; fin?: boolean } = {},
): Outcome {
  const parser = new ResponseParser(limits);
  const sink = new Recorder();
  let rest = "";
  try {
    parser.begin(method);
    let from = 0;
    for (const to of [...cuts, bytes.length]) {
      const n = scratch.write(bytes.slice(from, to), "latin1");
      const at = parser.execute(scratch, 0, n, sink);
      scratch.fill(0xaa, 0, n);
      if (at < n) {
        rest = bytes.slice(from + at);
        break;
      }
      from = to;
    }
    return { events: sink.events, rest, finish: fin ? parser.finish(sink) : null, error: null };
  } catch (error) {
    return { events: sink.events, rest, finish: null, error: errorRecord(error) };
  } finally {
    parser.free();
  }
}

/** The cuts of "one byte at a time". */
export function everyByte(bytes: string): number[] {
  return Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1);
}
