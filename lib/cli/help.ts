/**
 * The text of `--help`, made from the tables that the program itself goes by.
 */

import { flagRows } from "./args.ts";
import { exitRows } from "./exit-codes.ts";

export const USAGE = "persistconn [inspect] [OPTIONS] URL…";

export function helpText(): string {
  return `Usage: ${USAGE}

Sends an HTTP/1.1 request and prints the answer on stdout as it comes. Several URLs are asked one after the other over
the same transport. On a terminal, a timeline of each exchange goes to stderr.

  persistconn inspect [-n COUNT] [-c WORKERS] URL   a load (without -n until Ctrl-C) with a page that shows it as it runs
  persistconn inspect [--port PORT] -- COMMAND…     the same page for a program that uses this library, as it is

Options:
${columns(flagRows())}
Exit codes:
${columns(exitRows())}`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
}
