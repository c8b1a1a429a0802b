/** What the cases of incidents share: a request, what a hostile server answers, and whether the next request is safe. */

import { type CallInit, Client, Response, Transport, type TransportOptions } from "../../lib/index.ts";
import { turns } from "../support/loop.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";

export interface Hostile {
  /** After the head of the request was read. */
  readonly wire: string;
  readonly method?: string;
  readonly init?: CallInit;
  readonly options?: TransportOptions;
  /** Sent once the first response was read, while the connection lies idle. */
  readonly later?: string;
}

export interface Outcome {
  /** The body, or the error's code. */
  readonly result: string;
  /** What the next request was answered, which must be its own answer. */
  readonly next: string;
  /** Whether the next request went over the same connection. */
  readonly reused: boolean;
}

/** One request answered by `wire`, then another one, answered by `next` on whatever connection it comes. */
export async function against({ wire, method = "GET", init = {}, options = {}, later }: Hostile): Promise<Outcome> {
  await using peer = await scriptedPeer(options);
  const call = settled(peer.client.request(method, peer.url("/first"), init));
  const first = await peer.accept();
  await first.readHead();
  first.reply(wire);
  const result = await call;
  await turns(5);
  if (later !== undefined) {
    first.reply(later);
    await first.readToEnd();
  }
  const next = settled(peer.client.get(peer.url("/second")));
  const conn = await Promise.race([
    peer.accept(),
    first.readHead().then(
      () => first,
      () => peer.accept(),
    ),
  ]);
  if (conn !== first) await conn.readHead();
  conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
  return { result, next: await next, reused: conn === first };
}

/** The body of an answer with its status, or what went wrong. */
export async function settled(call: Promise<{ status: number; text(): Promise<string> }>): Promise<string> {
  try {
    const response = await call;
    return `${response.status} ${await response.text()}`;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** A client over a transport of its own, gone with the scope. */
export function client(options: TransportOptions = {}): { client: Client; transport: Transport } & AsyncDisposable {
  const transport = new Transport(options);
  return { client: new Client({ transport }), transport, [Symbol.asyncDispose]: () => transport.destroy() };
}

/** An answer without a network. */
export function answering(): Response {
  return new Response("ok");
}
