/**
 * What the scripts of the tour stand on: a client, a network in memory, a clock that stands still until it is moved, and
 * a printer that tells every event of the stream in words, between what the script says the other side does.
 *
 * Nothing here is hidden from users: all of it is `persistconn` and `persistconn/testing`.
 */

import { Client, type Response, Transport, type TransportOptions } from "../../lib/index.ts";
import { errorWords, explain, subjectOf } from "../../lib/observe.ts";
import {
  type ListenOptions,
  type MemoryNetwork,
  memoryNetwork,
  type PeerConn,
  type ScriptedPeer,
  type VirtualClock,
  virtualClock,
} from "../../lib/testing/index.ts";

/** An answer that leaves its connection open. */
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export class Stage implements AsyncDisposable {
  readonly clock: VirtualClock = virtualClock();
  readonly network: MemoryNetwork = memoryNetwork({ clock: this.clock });
  readonly peer: ScriptedPeer;
  readonly transport: Transport;
  readonly client: Client;
  #silent = false;

  /** @param admit asked for each dial, counted from 0 */
  constructor(options: TransportOptions = {}, admit: ListenOptions["admit"] = undefined) {
    this.peer = this.network.listen("origin.test", 80, { admit });
    const trace = {
      groups: ["call", "pool", "dial", "connection", "body"] as const,
      on: (event: Parameters<typeof explain>[0]) => this.#print(`${subjectOf(event)} ${explain(event)}`),
    };
    this.transport = new Transport({ dial: this.network.dial, ...options, trace }, this.clock);
    this.client = new Client({ transport: this.transport });
  }

  /** What the script does, or has the server do. */
  say(text: string): void {
    this.#print(`— ${text}`);
  }

  /** Waits for something that needs no time, and lets everything else happen that needs none. */
  async until<T>(done: Promise<T>): Promise<T> {
    let settled = false;
    const ends = () => {
      settled = true;
    };
    done.then(ends, ends);
    while (!settled) await this.clock.settle();
    return done;
  }

  /** One request that is answered and read to its end, behind the scenes: its connection is idle then. */
  async served(): Promise<PeerConn> {
    this.#silent = true;
    const call = this.client.get(this.url());
    const conn = await this.until(this.peer.accept());
    await this.until(conn.readHead());
    conn.reply(OK);
    await this.until((await this.until(call)).text());
    this.#silent = false;
    this.say("a first request was answered; its connection is idle");
    return conn;
  }

  /** Reads an answer to its end, and tells what the caller got. */
  async read(call: Promise<Response>): Promise<void> {
    try {
      const response = await this.until(call);
      const text = await this.until(response.text());
      this.say(`the caller has ${response.status} and ${JSON.stringify(text)}`);
    } catch (error) {
      this.say(`the caller has ${errorWords(error)}`);
    }
  }

  /** Runs something between the poll that the next request waits for and what it does then. */
  afterNextPoll(fn: () => void): void {
    const { clock } = this;
    const turn = clock.turn.bind(clock);
    clock.turn = (fire) => {
      clock.turn = turn;
      turn((batch) => {
        fn();
        fire(batch);
      });
    };
  }

  url(path = "/"): string {
    return this.peer.url(path);
  }

  #print(text: string): void {
    if (!this.#silent) console.log(`${String(this.clock.now()).padStart(6)} ms  ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#silent = true;
    await this.transport.destroy();
    await this.peer.close();
  }
}
