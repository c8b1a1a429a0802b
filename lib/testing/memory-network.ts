/**
 * A network in memory: listeners with addresses, and the dialers that reach them. Connections are pairs of conduits that
 * keep the contract of plain TCP (`conn/memory-conduit.ts`), so a Transport over this network runs the code that it runs
 * over sockets, from the conduit up. Nothing waits for real time, and nothing is random. Lives as long as it is used; owns
 * its listeners.
 *
 * Never: reaches the real network. What nobody listens to is refused.
 */

import type { Duplex } from "node:stream";
import { onAbort } from "../abort.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Conduit, TlsFacts } from "../conn/conduit.ts";
import { type MemoryConduit, type MemoryPairOptions, memoryPair } from "../conn/memory-conduit.ts";
import type { UserDial, UserDialTarget } from "../conn/user-dial.ts";
import { ConduitDuplex } from "./conduit-duplex.ts";
import { type Behaviour, PeerConn } from "./peer-conn.ts";
import { checkNames, ScriptedPeer } from "./scripted-peer.ts";

/** What becomes of a dial: an address that does not answer is `ignored` until its dialer gives up. */
export type Admission = "accepted" | "refused" | "ignored";

export type PairOptions = Omit<MemoryPairOptions, "facts">;

export interface MemoryNetworkOptions {
  /** What `wait` of its peers goes by. Default: the real one. */
  readonly clock?: Clock | undefined;
  /**
   * How the connections behave, or a function that says it for each: `window` (bytes taken in each direction before a
   * write waits, default 64 KiB), `slice` (how many of the available bytes the next delivery brings, default all) and
   * `schedule` (runs a delivery later, in the order given for each end: 0 the client's; default a microtask).
   */
  readonly pair?: PairOptions | ((address: string) => PairOptions) | undefined;
}

export interface ListenOptions {
  /** Answers every request of every connection; without one, the test takes them with `accept()`. */
  readonly behaviour?: Behaviour | undefined;
  /** Asked for each dial, counted from 0. Default: accepted. */
  readonly admit?: ((count: number) => Admission | Promise<Admission>) | undefined;
}

/** One address of the network. */
interface Site {
  readonly scheme: "http" | "https";
  readonly peer: ScriptedPeer;
  readonly admit: NonNullable<ListenOptions["admit"]>;
  dials: number;
}

/** What a client is told of the TLS that a `listenTls` address pretends. */
const PRETENDED_TLS: TlsFacts = {
  protocol: "TLSv1.3",
  cipher: "TLS_AES_128_GCM_SHA256",
  alpn: null,
  resumed: false,
};

const FIRST_PORT = 49_152;

export class MemoryNetwork {
  readonly #options: MemoryNetworkOptions;
  readonly #clock: Clock;
  readonly #sites = new Map<string, Site>();
  #ports = FIRST_PORT;

  constructor(options: MemoryNetworkOptions) {
    checkNames(options, ["clock", "pair"]);
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Listens at an address of this network.
   *
   * @throws {Error} somebody does already
   */
  listen(host: string, port = 80, options: ListenOptions = {}): ScriptedPeer {
    return this.#listen("http", host, port, options);
  }

  /** As `listen`, for `dialTls`: no TLS is spoken, but clients take the connection for a secured one. */
  listenTls(host: string, port = 443, options: ListenOptions = {}): ScriptedPeer {
    return this.#listen("https", host, port, options);
  }

  /** The option `dial` of a Transport. */
  readonly dial: UserDial = (target, signal) => this.#dial("http", target, signal);

  /** The option `dialTls` of a Transport. */
  readonly dialTls: UserDial = (target, signal) => this.#dial("https", target, signal);

  /** A connection as a stream, for clients that want one. */
  async connect(host: string, port = 80, signal: AbortSignal = new AbortController().signal): Promise<Duplex> {
    return new ConduitDuplex(await this.#dial("http", { host, port }, signal));
  }

  #listen(scheme: "http" | "https", host: string, port: number, options: ListenOptions): ScriptedPeer {
    checkNames(options, ["behaviour", "admit"]);
    const address = `${host}:${port}`;
    if (this.#sites.has(address)) throw new Error(`Cannot listen at ${address}: somebody does`);
    const peer = new ScriptedPeer(scheme, options.behaviour);
    const close = async () => {
      this.#sites.delete(address);
    };
    this.#sites.set(address, { scheme, peer, admit: options.admit ?? (() => "accepted"), dials: 0 });
    return peer.listensAt({ host, port, close });
  }

  async #dial(
    scheme: "http" | "https",
    { host, port }: Pick<UserDialTarget, "host" | "port">,
    signal: AbortSignal,
  ): Promise<Conduit> {
    const address = `${host}:${port}`;
    const site = this.#sites.get(address);
    const asked = site === undefined ? "refused" : site.admit(site.dials++);
    const admission = await Promise.race([asked, aborted(signal)]);
    if (admission === "ignored") await aborted(signal);
    // Looked at anew: the listener may have been closed meanwhile.
    if (admission === "refused" || site === undefined || this.#sites.get(address) !== site) {
      throw Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: "ECONNREFUSED", syscall: "connect" });
    }
    if (site.scheme !== scheme) {
      throw Object.assign(new Error(`${address} speaks ${site.scheme}`), { code: "EPROTO", syscall: "connect" });
    }
    const [near, far] = this.#pair(host, port, scheme === "https" ? PRETENDED_TLS : null);
    site.peer.take(new PeerConn(far, this.#clock));
    return near;
  }

  #pair(remoteAddress: string, remotePort: number, tls: TlsFacts | null): [MemoryConduit, MemoryConduit] {
    const { pair = {} } = this.#options;
    const here = { address: "client", port: this.#ports++ };
    return memoryPair({
      ...(typeof pair === "function" ? pair(`${remoteAddress}:${remotePort}`) : pair),
      facts: [
        { localAddress: here.address, localPort: here.port, remoteAddress, remotePort, tls },
        { localAddress: remoteAddress, localPort: remotePort, remoteAddress: here.address, remotePort: here.port, tls },
      ],
    });
  }
}

/**
 * Makes a network in memory.
 *
 * @throws {TypeError} an option that does not exist
 * @example
 * const network = memoryNetwork();
 * const peer = network.listen("origin.test", 80, { behaviour: resetAfter(10) });
 * const transport = new Transport({ dial: network.dial });
 */
export function memoryNetwork(options: MemoryNetworkOptions = {}): MemoryNetwork {
  return new MemoryNetwork(options);
}

/** Rejects with the signal's reason; never resolves. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else onAbort(signal, () => reject(signal.reason));
  });
}
