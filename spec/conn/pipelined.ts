/** Connections in memory that have proved themselves persistent, and carry several requests at once. */

import type { Conduit } from "../../lib/conn/conduit.ts";
import { HttpError } from "../../lib/errors.ts";
import { Request, type RequestInit } from "../../lib/message/request.ts";
import { MemoryConn, type Sent, WatchedConduit } from "./memory-conn.ts";

export const at = (path: string, init: RequestInit = {}): Request => new Request(`http://peer${path}`, init);
export const answer = (body: string, ...fields: string[]): string =>
  [`HTTP/1.1 200 OK`, `Content-Length: ${body.length}`, ...fields, "", body].join("\r\n");

/** A connection that has proved itself persistent. */
export async function proven(
  options: ConstructorParameters<typeof MemoryConn>[0] = {},
  wrap?: (near: Conduit) => Conduit,
): Promise<MemoryConn> {
  const conn = new MemoryConn(options, wrap);
  conn.roundTrip(at("/first"));
  await conn.settle();
  conn.reply(answer(""));
  await conn.settle();
  conn.takeWritten();
  conn.log.length = 0;
  return conn;
}

/** The same over a conduit that is watched, with nothing noted yet. */
export async function provenWatched(): Promise<{ conn: MemoryConn; conduit: WatchedConduit }> {
  let conduit: WatchedConduit | undefined;
  const conn = await proven({}, (near) => {
    conduit = new WatchedConduit(near);
    return conduit;
  });
  if (conduit === undefined) throw new Error("No conduit was asked for");
  conduit.writes.length = 0;
  conduit.calls.length = 0;
  return { conn, conduit };
}

/** A proven connection with requests in flight, all written. */
export async function carrying(...paths: string[]): Promise<{ conn: MemoryConn; sent: Sent[] }> {
  const conn = await proven();
  const [first = "/a", ...rest] = paths;
  const sent = [conn.roundTrip(at(first)), ...rest.map((path) => conn.follow(at(path)))];
  await conn.settle();
  conn.takeWritten();
  return { conn, sent };
}

export const pathsIn = (written: string): string[] =>
  [...written.matchAll(/^[A-Z]+ (\S+) HTTP/gm)].map(([, path]) => path!);

export function factsOf({ error }: Sent): Record<string, unknown> {
  if (!(error instanceof HttpError)) return { error };
  const { code, behind, unprocessed, bytesSubmitted, safeToRetry, phase } = error;
  return { code, behind, unprocessed, written: (bytesSubmitted ?? 0) > 0, safeToRetry, phase };
}

export const LOST = { code: "ERR_HTTP_CONNECTION_CLOSED", behind: true, safeToRetry: true };
