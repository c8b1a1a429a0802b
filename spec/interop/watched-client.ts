/**
 * One request at a time through a client, with what is needed to judge a race afterwards: when the loop can last have
 * polled before the request was written, when it was written, and on which connection.
 *
 * The bound on the last poll. Between asking for a connection and writing on a used one, the client owes a full poll
 * of the loop: one `setImmediate`, a poll, another. `seen` is stamped by a `setImmediate` of ours, asked for in the
 * same turn as the request and after it. The loop runs all immediates of a phase before it polls again, so:
 *   - the client's first immediate runs in the phase in which ours runs, or in a later one, never in an earlier one
 *     (nothing of ours asks while a batch of the client stands open: one request is under way, and its predecessor
 *     has ended); the poll that follows the client's first immediate therefore began after `seen`;
 *   - whatever was in the kernel by `seen` is thus found by that poll, and a client that does not act on it is wrong.
 * The bound is early, never late: what came between `seen` and the true start of the poll counts as having crossed.
 */

import { Client, type HttpError, type Response, Transport, type TransportOptions } from "../../lib/index.ts";
import { expect } from "../support/report.ts";
import type { Chance } from "../support/seeded.ts";
import { blockLoop, stamp } from "./monotonic.ts";

/** One request, seen from here. All stamps are nanoseconds of the machine's clock. */
export interface Observed {
  /** The client's last poll before the write of this request began after this. */
  readonly seen: number;
  /** The write of its last attempt; null where there was none. */
  readonly written: number | null;
  /** The answer, or the error, was there. */
  readonly ended: number;
  /** The client's port of the connection of its last attempt; null where it cannot be told. */
  readonly port: number | null;
  readonly answer: { readonly status: number; readonly connection: number; readonly body: string } | null;
  readonly error: HttpError | null;
}

export class WatchedClient implements AsyncDisposable {
  readonly #client: Client;
  readonly #transport: Transport;
  readonly #portOf = new Map<number, number>();
  #written: number | null = null;
  #connection: number | null = null;
  /** Why connections were closed, in order, and which. */
  readonly closeReasons: string[] = [];
  readonly #closed = new Set<number | null>();

  constructor(options: TransportOptions = {}) {
    this.#transport = new Transport({
      ...options,
      trace: {
        groups: ["connection"],
        on: (event) => {
          if (event.type === "connection-closed") {
            this.closeReasons.push(event.reason);
            this.#closed.add(event.connection);
          }
          if (event.type !== "request-write") return;
          this.#written = stamp();
          this.#connection = event.connection;
        },
      },
    });
    this.#client = new Client({ transport: this.#transport });
  }

  /** Gives the figures back. Throws unless each connection was closed once, as the trace has it. */
  expectOneCloseEach(figures: string): string {
    const [told, connections] = [this.closeReasons.length, this.#closed.size];
    expect(told === connections, `${figures}; but the trace tells ${told} closes of ${connections} connections`);
    return figures;
  }

  /** GETs `url`; the loop stands still for `blockAfter` ms between the asking and the first chance to poll. */
  async get(url: string, blockAfter = 0): Promise<Observed> {
    this.#written = null;
    this.#connection = null;
    const call = this.#client.get(url);
    call.catch(() => {}); // it is awaited below, after the wait
    let seen = stamp();
    setImmediate(() => {
      seen = stamp();
    });
    if (blockAfter > 0) blockLoop(blockAfter);
    let answer: Observed["answer"] = null;
    let error: HttpError | null = null;
    try {
      const got = await call;
      const body = await got.text();
      answer = { status: got.status, connection: this.#remember(got), body };
    } catch (thrown) {
      error = thrown as HttpError; // whatever it is, its fields are judged by the caller
    }
    const ended = stamp();
    const connection = answer?.connection ?? this.#connection;
    const port = connection === null ? null : (this.#portOf.get(connection) ?? null);
    return { seen, written: this.#written, ended, port, answer, error };
  }

  #remember(answer: Response): number {
    const { connection } = answer;
    if (connection === null || connection.localPort === null) throw new Error("an answer that came through nothing");
    this.#portOf.set(connection.id, connection.localPort);
    return connection.id;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#transport.close();
  }
}

/** From which place of the loop the next request comes: rules that hold for one of them only do not hold. */
export async function nextPlace(chance: Chance): Promise<void> {
  const place = chance.below(4);
  if (place === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  else if (place === 1) await new Promise<void>((resolve) => setTimeout(resolve, chance.below(3)));
  else if (place === 2) await new Promise<void>((resolve) => process.nextTick(resolve));
}
