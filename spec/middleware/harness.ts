/** What the specs of wrappers stand on: an origin in memory on virtual time, and a site without a network. */

import { type Request, type Response, Transport } from "../../lib/index.ts";
import {
  type AnswerInit,
  answerBytes,
  type Behaviour,
  type MemoryNetwork,
  memoryNetwork,
  type PeerRequest,
  type ScriptedPeer,
  type VirtualClock,
  virtualClock,
} from "../../lib/testing/index.ts";
import { Site } from "../support/site.ts";

export interface World {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  readonly transport: Transport;
  readonly origin: ScriptedPeer;
  /** What came, as `METHOD target`, with the body where there was one. */
  readonly seen: { readonly line: string; readonly request: PeerRequest; readonly at: number }[];
}

/** An origin that answers by `answer`, whose argument counts the requests from 0. `null` resets the connection. */
export function world(answer: (request: PeerRequest, count: number) => AnswerInit | Behaviour | null): World {
  const clock = virtualClock();
  const network = memoryNetwork({ clock });
  const seen: World["seen"] = [];
  const behaviour: Behaviour = async (request, conn) => {
    const count = seen.push({ line: `${request.method} ${request.target}`, request, at: clock.now() }) - 1;
    const init = answer(request, count);
    if (typeof init === "function") return init(request, conn);
    if (init === null) return conn.reset();
    await request.body();
    conn.reply(answerBytes(init));
  };
  const origin = network.listen("origin.test", 80, { behaviour });
  const transport = new Transport({ dial: network.dial }, clock);
  return { clock, network, transport, origin, seen };
}

export const ORIGIN = "http://origin.test";

/** A Site on virtual time. */
export class TimedSite extends Site {
  readonly clock = virtualClock();
  readonly times: number[] = [];
  closed: string[] = [];

  constructor(answer: (request: Request, count: number) => Response | Promise<Response>) {
    super((request, count) => {
      this.times.push(this.clock.now());
      return answer(request, count);
    });
  }

  closeIdleConnections(): void {
    this.closed.push("idle");
  }
  async close(): Promise<void> {
    this.closed.push("close");
  }
  async destroy(reason?: unknown): Promise<void> {
    this.closed.push(`destroy ${reason}`);
  }
}

/** What a promise came to, without waiting for it twice. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error("It did not reject");
    },
    (error: Error) => error,
  );
}

/** Lets time pass until a call has settled: each delay in turn, at most a hundred of them. */
export async function settled<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let over = false;
  promise.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  await clock.settle();
  for (let i = 0; i < 100 && !over; i++) await clock.advance(clock.untilNext ?? 1);
  return promise;
}
