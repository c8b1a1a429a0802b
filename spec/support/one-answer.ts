/** One answer of raw bytes to one request over loopback: what the caller gets of it, and whether the connection lives on. */

import type { Response } from "../../lib/index.ts";
import { turns } from "./loop.ts";
import { type PeerOptions, scriptedPeer } from "./scripted-peer.ts";

export interface Answered {
  /** Null where the call failed. */
  readonly res: Response | null;
  /** The whole body; what of it was read before an error. */
  readonly body: string;
  /** What the call or the reading of the body failed with; null where neither did. */
  readonly error: unknown;
  /** The connection is in the pool. */
  readonly kept: boolean;
}

export interface Asked extends PeerOptions {
  readonly method?: string;
  /** The peer closes behind its answer. */
  readonly close?: boolean;
}

/** @param text the answer, as latin1 */
export async function oneAnswer(
  text: string,
  { method = "GET", close = false, ...options }: Asked = {},
): Promise<Answered> {
  await using peer = await scriptedPeer(options);
  const call = peer.client.request(method, peer.url());
  call.catch(() => {}); // looked at below, when the peer has said all
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply(text);
  if (close) conn.end();
  let body = "";
  let res: Response | null = null;
  let error: unknown = null;
  try {
    res = await call;
    for await (const chunk of res) body += Buffer.from(chunk).toString("latin1");
  } catch (failure) {
    error = failure;
  }
  await turns(5); // what came behind the answer is read, too
  return { res, body, error, kept: peer.transport.stats().idle === 1 };
}
