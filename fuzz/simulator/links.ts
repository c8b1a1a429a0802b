/**
 * The connections of a run: the client's end, watched; what the server means by it; and the dialer that makes them.
 *
 * A Link lives as long as the run, the connection or not: what was wrong with it explains what became of its requests.
 */

import type { Conduit, ConduitSink } from "../../lib/conn/conduit.ts";
import type { UserDial } from "../../lib/index.ts";
import type { MemoryNetwork } from "../../lib/testing/memory-network.ts";
import type { CallRecord } from "./calls.ts";
import type { Invariants } from "./invariants.ts";
import type { Settings } from "./settings.ts";
import type { World } from "./world.ts";

export class Link {
  readonly name: string;
  readonly host: string;
  readonly near: WatchedConduit;
  /** What the server has done to it that explains a failure; null while nothing. */
  fault: string | null = null;
  /** Where the server began to send what nobody asked for: behind so many bytes, and so many answers. */
  unsolicited: { readonly bytes: number; readonly answers: number } | null = null;

  /**
   * What nobody asked for came while a request was under way, and was taken for its answer, as any client of HTTP/1.1
   * must: from then on each request gets the answer of the one before, and nothing can be asked of the connection.
   */
  outOfStep = false;
  /** The server is in the middle of an answer: bytes that it sent now would be in the middle of that. */
  answering = false;

  constructor(name: string, host: string, near: WatchedConduit) {
    this.name = name;
    this.host = host;
    this.near = near;
  }
}

/** The client's end of a connection: passes everything through, and lets the invariants look on. */
export class WatchedConduit implements Conduit {
  readonly facts: Conduit["facts"];
  readonly refusalProvesNothingWritten: boolean;
  readonly #inner: Conduit;
  readonly #told: ConduitWatcher;
  open = true;
  paused = false;
  sawEnd = false;
  /** Bytes that the client was given. */
  delivered = 0;
  /** Requests that were written to it. */
  requests = 0;
  /** It brought bytes when no request was waiting for any. */
  tainted = false;
  /** The request that was written last, until the connection is idle again; and how much came before it. */
  exchange: CallRecord | null = null;
  exchangeFrom = 0;

  constructor(inner: Conduit, told: ConduitWatcher) {
    this.#inner = inner;
    this.#told = told;
    this.facts = inner.facts;
    this.refusalProvesNothingWritten = inner.refusalProvesNothingWritten;
  }

  get pendingBytes(): number {
    return this.#inner.pendingBytes;
  }

  attach(sink: ConduitSink): void {
    this.#inner.attach({
      data: (view, n) => {
        this.delivered += n;
        this.#told.data(n);
        sink.data(view, n);
        this.#told.taken();
      },
      drained: () => sink.drained(),
      end: () => {
        this.sawEnd = true;
        this.#told.said("sees the end");
        sink.end();
      },
      error: (error) => {
        this.#told.said(`breaks: ${error.message}`);
        sink.error(error);
      },
    });
  }

  write(data: string | readonly (Uint8Array | string)[]): "ok" | "full" | Error {
    const first = typeof data === "string" ? data : data[0];
    const nonce = typeof first === "string" ? nonceOf(first) : null;
    const answer = this.#inner.write(data);
    this.#told.wrote(nonce, answer);
    return answer;
  }

  pause(): void {
    this.paused = true;
    this.#inner.pause();
  }
  resume(): void {
    this.paused = false;
    this.#inner.resume();
  }
  end(): void {
    this.#inner.end();
  }
  destroy(): void {
    if (this.open) this.#told.said("is destroyed");
    this.open = false;
    this.#inner.destroy();
  }
  ref(): void {}
  unref(): void {}
}

interface ConduitWatcher {
  data(n: number): void;
  /** What came was dealt with. */
  taken(): void;
  wrote(nonce: number | null, answer: "ok" | "full" | Error): void;
  said(what: string): void;
}

/** The number in a request line of a simulated request. */
export function nonceOf(text: string): number | null {
  const found = /^[A-Z]+ \/r\/(\d+) HTTP/.exec(text);
  return found === null ? null : Number(found[1]);
}

/** The dialer of a run: over the network in memory, each connection watched. */
export function watchedDial(
  network: MemoryNetwork,
  world: World,
  settings: Settings,
  links: Map<number, Link>,
  invariants: Invariants,
  callOf: (nonce: number) => CallRecord | null,
): UserDial {
  const dialer = settings.secured ? network.dialTls : network.dial;
  return async (target, signal) => {
    const dial = { host: target.host, at: world.now };
    settings.dials.add(dial);
    const over = () => settings.dials.delete(dial);
    signal.addEventListener("abort", over);
    try {
      const inner = (await dialer(target, signal)) as Conduit; // a network in memory gives no stream
      const port = inner.facts.localPort as number; // it gives every connection one
      const name = `${target.host}#${links.size + 1}`;
      const near: WatchedConduit = new WatchedConduit(inner, {
        data: (n) => world.log(`${name} gets ${n}`),
        taken: () => invariants.delivered(link),
        wrote: (nonce, answer) => {
          const said = answer instanceof Error ? answer.message : answer;
          world.log(`${name} writes ${nonce === null ? "on" : `r${nonce}`}: ${said}`);
          if (nonce !== null) invariants.wrote(link, callOf(nonce), !(answer instanceof Error));
        },
        said: (what) => world.log(`${name} ${what}`),
      });
      const link = new Link(name, target.host, near);
      links.set(port, link);
      invariants.opened(link);
      world.log(`${name} stands`);
      if (signal.aborted) near.open = false; // nobody will ever have it
      return near;
    } finally {
      over();
      signal.removeEventListener("abort", over);
    }
  };
}
