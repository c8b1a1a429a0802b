/**
 * What `-v` shows on stderr: heads with `>` and `<`, and the transport's events with `*`.
 *
 * The heads come from a RoundTripper around the transport: it sees what the client sends and gets, after the client has
 * added its own fields, and changes nothing.
 */

import type { Writable } from "node:stream";
import type { Request, Response, RoundTripCall, RoundTripper, TraceListener, TransportOptions } from "../index.ts";
import { acceptEncoding } from "../message/decode.ts";
import { resolveOptions } from "../options.ts";
import { outgoingHead } from "../outgoing-head.ts";
import { shownText } from "../secrets.ts";
import { writeHead } from "../wire/request-writer.ts";
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
  readonly #options: TransportOptions;

  /** @param options those of the transport: they say what it sends by itself */
  constructor(inner: RoundTripper, out: Writable, options: TransportOptions) {
    this.#inner = inner;
    this.#out = out;
    this.#options = options;
  }

  async roundTrip(request: Request, call?: RoundTripCall): Promise<Response> {
    const [requestLine = "", ...lines] = requestHead(request, this.#options).split("\r\n");
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    this.#show(">", requestLine, fields);
    const response = await this.#inner.roundTrip(request, call);
    this.#show("<", statusLine(response), response.headers.raw);
    return response;
  }

  #show(mark: string, first: string, fields: readonly (readonly [name: string, value: string])[]): void {
    const lines = [
      printable(shownText(first)),
      ...fields.map(([name, value]) => printable(shownField(name, value))),
      "",
    ];
    for (const line of lines) this.#out.write(`${`${mark} ${line}`.trimEnd()}\n`);
  }
}

/** `HTTP/1.1 200 OK`, as the server said it. */
export function statusLine(response: Response): string {
  // Without a reason phrase the blank before it stays (RFC 9112 §4).
  return `HTTP/${response.httpVersion} ${response.status} ${response.statusText}`;
}

/** The lines up to the empty one. Bodies here are in memory, so that the body can begin again for the transport. */
function requestHead(request: Request, options: TransportOptions): string {
  const { userAgent, decompress, keepAlive } = resolveOptions(options);
  const { text } = writeHead(outgoingHead(request, request.body?.open() ?? null), {
    userAgent,
    acceptEncoding: decompress ? acceptEncoding() : null,
    absoluteForm: false,
    close: !keepAlive,
    extra: [],
  });
  return text.slice(0, text.indexOf("\r\n\r\n"));
}
