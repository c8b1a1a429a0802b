/** Steps that most specs over a scripted peer begin with. */

import type { PeerConn, ScriptedPeer } from "./scripted-peer.ts";

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers the request that a connection has, or will have. */
export async function answer(conn: PeerConn, text = OK): Promise<string> {
  const head = await conn.readHead();
  conn.reply(text);
  return head;
}

/**
 * Leaves `n` connections idle that were used once; the last one went back last, so it is the first to be taken.
 *
 * @returns the peer's ends of them, in the order in which they went back
 */
export async function warm(peer: ScriptedPeer, n = 1): Promise<PeerConn[]> {
  const calls = Array.from({ length: n }, () => peer.client.get(peer.url("/warm")));
  const conns: PeerConn[] = [];
  for (let i = 0; i < n; i++) {
    const conn = await peer.accept();
    await conn.readHead();
    conns.push(conn);
  }
  for (const conn of conns) {
    const before = peer.transport.stats().idle;
    conn.reply(OK);
    while (peer.transport.stats().idle === before) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const call of calls) await (await call).bytes();
  return conns;
}
