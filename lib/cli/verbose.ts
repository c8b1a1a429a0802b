/**
 * What `-v` shows on stderr: heads with `>` and `<`, and the transport's events with `*`.
 *
 * The heads come from a RoundTripper around the transport: it sees what the client sends and gets, after the client has
 * added its own fields, and changes nothing.
 */

import type { Writable } from "node:stream";
import {
  type Request,
  type Response,
  type RoundTripCall,
  type RoundTripper,
  type TraceListener,
  writeRequest,
} from "../index.ts";
import { eventLine } from "./events.ts";
import { printable } from "./format.ts";
import { shownField } from "./target.ts";

/** A listener that prints each event, its time counted from the first. */
export function showEvents(out: Writable): TraceListener {
  let since = -1;
  return (event) => {
    if (since < 0) since = event.at;
    out.write(`${eventLine(event, since)}\n`);
  };
}

/** Prints the head of each request that goes through it, and of each answer. */
export class ShowingRoundTripper implements RoundTripper {
  readonly #inner: RoundTripper;
  readonly #out: Writable;
  /** Fields, by lower-case name, that the transport was told not to send by itself. */
  readonly #dropped: ReadonlySet<string>;

  constructor(inner: RoundTripper, out: Writable, dropped: ReadonlySet<string>) {
    this.#inner = inner;
    this.#out = out;
    this.#dropped = dropped;
  }

  async roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    const [requestLine = "", ...lines] = (await requestHead(request)).split("\r\n");
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const sent = fields.filter(([name]) => !this.#dropped.has(name.toLowerCase()));
    this.#show(">", requestLine, sent);
    const response = await this.#inner.roundTrip(request, call);
    this.#show("<", statusLine(response), response.headers.raw);
    return response;
  }

  #show(mark: string, first: string, fields: readonly (readonly [name: string, value: string])[]): void {
    const lines = [printable(first), ...fields.map(([name, value]) => printable(shownField(name, value))), ""];
    for (const line of lines) this.#out.write(`${`${mark} ${line}`.trimEnd()}\n`);
  }
}

/** `HTTP/1.1 200 OK`, as the server said it. */
export function statusLine(response: Response): string {
  // Without a reason phrase the blank before it stays (RFC 9112 §4).
  return `HTTP/${response.httpVersion} ${response.status} ${response.statusText}`;
}

/** The lines up to the empty one. Bodies here are in memory, so that the body can begin again for the transport. */
async function requestHead(request: Request): Promise<string> {
  let text = "";
  for await (const bytes of writeRequest(request)) {
    text += Buffer.from(bytes).toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}
