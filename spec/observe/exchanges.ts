/** A few exchanges over loopback for the specs of what is made of their events. */

import type { TransportOptions } from "../../lib/index.ts";
import { type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";

type TraceOption = NonNullable<TransportOptions["trace"]>;

/** An answer, a reuse whose connection is then closed, a redirect, and a call that fails. */
export async function someExchanges(trace: TraceOption): Promise<ScriptedPeer> {
  const peer = await scriptedPeer({ trace });
  const first = peer.client.get(peer.url("/a?n=1&m=2"), { headers: { Cookie: "k=v", "X-Mine": "1" } });
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: s=t; Path=/\r\nContent-Length: 2\r\n\r\nok");
  await (await first).bytes();

  const moved = peer.client.get(peer.url("/moved"));
  await conn.readHead();
  conn.reply("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
  await conn.readHead();
  conn.reply("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnone");
  await (await moved).bytes();

  const lost = peer.client.post(peer.url("/c"), { body: "x".repeat(1000) });
  const other = await peer.accept();
  await other.readHead();
  other.end();
  await lost.catch(() => {});
  return peer;
}
