/**
 * One exchange as a picture: where its milliseconds went, and on which connection.
 *
 * Pure: from `response.timings` and `response.connection` to lines of text. A phase is drawn where it began and ended,
 * not stacked after the one before, so that an answer which came before its request was sent shows as an overlap.
 */

import type { Timings } from "../index.ts";
import { formatBytes, formatMs, type Glyphs, plural, printable, UNICODE_GLYPHS } from "./format.ts";
import { redacted } from "./target.ts";

/** What is told about the connection; `response.connection` has it all. */
export interface ShownConnection {
  readonly id: number;
  readonly reused: boolean;
  readonly localAddress: string | null;
  readonly localPort: number | null;
  readonly remoteAddress: string | null;
  readonly remotePort: number | null;
  readonly tls: null | {
    readonly protocol: string | null;
    readonly cipher: string | null;
    readonly alpn: string | null;
    readonly resumed: boolean;
  };
  /** The proxy's URL, without credentials. */
  readonly proxy: string | null;
}

export interface ShownExchange {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  /** Body bytes as they were read by the caller. */
  readonly bytes: number;
  readonly timings: Timings;
  readonly connection: ShownConnection | null;
}

/** One bar: milliseconds since the call. */
export interface Phase {
  readonly name: "queue" | "dns" | "connect" | "tls" | "write" | "wait" | "body";
  readonly from: number;
  readonly to: number;
}

/** Cuts a call into phases. One that did not happen, or whose end is unknown, is left out. */
export function phasesOf(timings: Timings, reused: boolean): Phase[] {
  const { queued, dns, connect, tls, assigned, requestSent, firstByte, headers, end } = timings;
  const phases: Phase[] = [];
  const add = (name: Phase["name"], from: number, to: number | null) => {
    if (to !== null) phases.push({ name, from, to: Math.max(from, to) });
  };
  // A dial that lost the race against an idle connection may leave its stamps: they are no part of this wait.
  const dialed = !reused && connect !== null && assigned !== null && connect <= assigned;
  if (dialed) {
    const asked = queued ?? 0;
    add("queue", 0, asked);
    add("dns", asked, dns);
    add("connect", dns ?? asked, connect);
    add("tls", connect, tls);
  } else {
    add("queue", 0, assigned);
  }
  if (assigned !== null) add("write", assigned, requestSent);
  // An early answer ends the wait before the request is sent (RFC 9112 §9.5): the wait then begins with the write.
  const heard = headers ?? firstByte;
  if (heard !== null) add("wait", requestSent !== null && requestSent <= heard ? requestSent : (assigned ?? 0), heard);
  if (headers !== null) add("body", headers, end);
  return phases;
}

/** `127.0.0.1:80`, `[::1]:80`, or a word for what has no address. */
export function formatAddress(address: string | null, port: number | null): string {
  if (address === null || address === "") return "?";
  if (port === null || port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `connection 3, reused: 127.0.0.1:4711 → 127.0.0.1:80`. */
export function connectionLine(connection: ShownConnection | null, glyphs: Glyphs = UNICODE_GLYPHS): string {
  if (connection === null) return "no connection: not answered by a server";
  const { id, reused, tls } = connection;
  const local = formatAddress(connection.localAddress, connection.localPort);
  const remote = formatAddress(connection.remoteAddress, connection.remotePort);
  const facts = [`connection ${id}, ${reused ? "reused" : "new"}: ${local} ${glyphs.arrow} ${remote}`];
  if (tls !== null) {
    facts.push([tls.protocol, tls.cipher].filter((fact) => fact !== null).join(" ") || "TLS");
    if (tls.alpn !== null) facts.push(`ALPN ${tls.alpn}`);
    if (tls.resumed) facts.push("session resumed");
  }
  if (connection.proxy !== null) facts.push(`through ${connection.proxy}`);
  return facts.join(", ");
}

const NAME_WIDTH = 8;
const TIME_WIDTH = 8;
const BARS_MIN = 10;
const BARS_MAX = 60;

/**
 * The lines of a timeline, each ended by a line feed.
 *
 * @param columns of the terminal
 */
export function renderTimeline(exchange: ShownExchange, columns: number, glyphs: Glyphs = UNICODE_GLYPHS): string {
  const { timings, connection } = exchange;
  const phases = phasesOf(timings, connection?.reused ?? false);
  const total = phases.reduce((latest, phase) => Math.max(latest, phase.to), timings.end ?? 0);
  const status = `${exchange.status} ${printable(exchange.statusText)}`.trimEnd();
  const told = `${exchange.bytes < 1024 ? plural(exchange.bytes, "byte") : formatBytes(exchange.bytes)} in ${formatMs(total)}`;
  const lines = [
    `${exchange.method} ${redacted(exchange.url)} ${glyphs.arrow} ${status}, ${told}`,
    `  ${connectionLine(connection, glyphs)}`,
  ];
  // Two columns before, one on each side of the bars; the last column stays free, or some terminals wrap.
  const width = Math.min(BARS_MAX, Math.max(BARS_MIN, columns - NAME_WIDTH - TIME_WIDTH - 5));
  for (const phase of phases) {
    const name = phase.name.padEnd(NAME_WIDTH);
    const time = formatMs(phase.to - phase.from).padStart(TIME_WIDTH);
    lines.push(`  ${name} ${bar(phase, total, width, glyphs)} ${time}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Even what took no time gets one column: it happened, and the reader looks for where. */
function bar(phase: Phase, total: number, width: number, glyphs: Glyphs): string {
  const scale = total > 0 ? width / total : 0;
  const from = Math.min(width - 1, Math.floor(phase.from * scale));
  const to = Math.min(width, Math.max(from + 1, Math.round(phase.to * scale)));
  return `${" ".repeat(from)}${glyphs.full.repeat(to - from)}${" ".repeat(width - to)}`;
}
