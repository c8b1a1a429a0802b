/**
 * From a target to a conduit: resolve, connect, secure, each within its time, given up at once when its signal aborts.
 *
 * A Dialer lives as long as its transport and owns what dials share: the TLS layer with its sessions, and which address
 * family worked last for a host. A dial owns every socket that it opens until its promise is settled: the one that won
 * goes out as a conduit, all others are destroyed, and neither listener nor deadline is left.
 *
 * Never: makes a socket in a caller's async context (it will serve others), or calls a caller's dialer outside of it.
 *
 * RFC 8305 (addresses), RFC 9110 §4.3.3 and §4.3.4 (who is dialed, who is verified). Go: net.Dialer, Transport.dialConn.
 */

import { connect, isIP, type NetConnectOpts, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { onAbort } from "../abort.ts";
import { bare, detached } from "../boundary.ts";
import type { Clock, Deadline } from "../clock.ts";
import { type DialAttempt, DialError, TimeoutError, TransportClosedError } from "../errors.ts";
import type { Conduit, TlsFacts } from "./conduit.ts";
import { discard, once } from "./connecting.ts";
import {
  CONDUIT,
  type Dialed,
  isTls,
  NEGOTIATED,
  type Product,
  STREAM,
  StreamReader,
  unrefStream,
} from "./dial-product.ts";
import { type Address, AddressRace, type Entrant, interleave, outcomeOf } from "./happy-eyeballs.ts";
import { FamilyMemory, type Lookup, lookUpAll } from "./resolve.ts";
import { type SocketKind, SocketReader } from "./socket-conduit.ts";
import { SOCKET_OPTIONS } from "./socket-options.ts";
import { nodeTls, TlsLayer, type TlsOptions, tlsErrorOf } from "./tls.ts";
import { dialByUser, isConduit, type UserDial, type UserDialTarget } from "./user-dial.ts";

export { type Dialed, NegotiatedStream } from "./dial-product.ts";
export type { UserDial, UserDialTarget };

export interface DialTarget {
  readonly scheme: "http" | "https";
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The path of a unix socket, which is dialed instead. */
  readonly path?: string;
  /** Whom TLS asks for and verifies, where that is not the host. */
  readonly serverName?: string;
  /** What texts call it, where that is not host and port. */
  readonly label?: string;
  /** The protocols to offer by ALPN, the preferred one first. What is chosen of those before http/1.1 is no conduit. */
  readonly alpn?: readonly string[];
  /** How it is secured, where that is not the dialer's way with targets: by a call's own options, or as proxies are. */
  readonly tls?: TlsLayer | "proxy";
}

export interface DialOptions {
  /** For DNS and all addresses together; 0 for none. */
  readonly dialTimeout: number;
  readonly tlsHandshakeTimeout: number;
  /** Idle time before the kernel probes; 0 turns probes off. */
  readonly tcpKeepAlive: number;
  readonly noDelay: boolean;
  readonly tls?: TlsOptions | undefined;
  /** Of proxies; where it is absent `tls` without what is the targets' alone. */
  readonly proxyTls?: TlsOptions | undefined;
  /** Gives plain bytes; TLS comes on top. */
  readonly dial?: UserDial | undefined;
  /** Gives a secured connection, for `https`. */
  readonly dialTls?: UserDial | undefined;
  /** Asked for each address before any is dialed. */
  readonly allowAddress?: ((address: string, port: number) => boolean) | undefined;
  readonly lookup?: Lookup | undefined;
  /** How long an address has before the next one is tried beside it (RFC 8305 §8). */
  readonly fallbackDelayMs?: number | undefined;
}

const FALLBACK_DELAY_MS = 250;

/** What a dial reports on its way. Of a step that was under way when the dial ended, the failure is told last. */
export interface DialTrace {
  dnsStart(host: string): void;
  dnsDone(addresses: readonly string[]): void;
  dnsFailed(error: unknown): void;
  connectStart(address: string, port: number): void;
  connectDone(attempt: DialAttempt): void;
  connected(): void;
  tlsStart(): void;
  tlsDone(facts: TlsFacts): void;
  tlsFailed(error: unknown): void;
}

/** A dial under way. */
export interface Dialing<T = Conduit> {
  /**
   * The connection. The sink of a conduit is to be attached at once; a stream is its taker's, listeners and all.
   *
   * Rejects with DialError, TlsError, TimeoutError (phase "dns", "connect" or "tls"), TransportClosedError, or the
   * signal's reason.
   */
  readonly promise: Promise<T>;
  /** From now on the process does not stay alive for it; nor does it for the connection, until that is ref'd. */
  unref(): void;
  /**
   * Whether the process stays alive for it all the same: a lookup and a connect are requests of the loop, which only their
   * end takes away, and only that of a connect is ours to bring about.
   */
  readonly holdsProcess: boolean;
}

export class Dialer {
  readonly #options: DialOptions;
  readonly #clock: Clock;
  readonly #tls: TlsLayer;
  readonly #proxyTls: TlsLayer;
  readonly #families = new FamilyMemory();
  readonly #dials = new Set<{ close(): void }>();

  /** @throws {TypeError} for options in `tls` that cannot be meant */
  constructor(options: DialOptions, clock: Clock) {
    this.#options = bare(options);
    this.#clock = clock;
    this.#tls = new TlsLayer(this.#options.tls);
    this.#proxyTls = new TlsLayer(this.#options.proxyTls ?? forProxies(this.#tls.options));
  }

  start(target: DialTarget, signal: AbortSignal, trace: DialTrace | null): Dialing {
    return this.#begin(target, signal, trace, CONDUIT, (dial) => dial.begin());
  }

  /** As `start`, but what ALPN chose may be another protocol than HTTP/1.1: then it is no conduit. */
  negotiate(target: DialTarget, signal: AbortSignal, trace: DialTrace | null): Dialing<Dialed> {
    return this.#begin(target, signal, trace, NEGOTIATED, (dial) => dial.begin());
  }

  /**
   * As `start`, but gives the stream itself: the first leg of a tunnel, which `over` ends, or what others speak over. It is
   * read by 'data'.
   */
  open(target: DialTarget, signal: AbortSignal, trace: DialTrace | null): Dialing<Duplex> {
    return this.#begin(target, signal, trace, STREAM, (dial) => dial.begin());
  }

  /**
   * Over a stream that stands already: the target at the far end of a tunnel, secured where its scheme asks for that. The
   * stream is the dial's from now on.
   */
  over(stream: Duplex, target: DialTarget, signal: AbortSignal, trace: DialTrace | null): Dialing {
    return this.#begin(target, signal, trace, CONDUIT, (dial) => dial.beginOver(stream));
  }

  /** `over`, as `negotiate`. */
  negotiateOver(stream: Duplex, target: DialTarget, signal: AbortSignal, trace: DialTrace | null): Dialing<Dialed> {
    return this.#begin(target, signal, trace, NEGOTIATED, (dial) => dial.beginOver(stream));
  }

  /** `over`, as `open`. */
  openOver(stream: Duplex, target: DialTarget, signal: AbortSignal, trace: DialTrace | null): Dialing<Duplex> {
    return this.#begin(target, signal, trace, STREAM, (dial) => dial.beginOver(stream));
  }

  /** Ends all dials under way with TransportClosedError, and forgets the TLS sessions. */
  close(): void {
    for (const dial of [...this.#dials]) dial.close();
    this.#tls.clear();
    this.#proxyTls.clear();
  }

  #begin<T>(
    target: DialTarget,
    signal: AbortSignal,
    trace: DialTrace | null,
    product: Product<T>,
    begin: (dial: Dial<T>) => void,
  ): Dialing<T> {
    const dial = new Dial(target, signal, trace, product, {
      options: this.#options,
      clock: this.#clock,
      tls: target.tls === "proxy" ? this.#proxyTls : (target.tls ?? this.#tls),
      families: this.#families,
      settled: () => this.#dials.delete(dial),
    });
    this.#dials.add(dial);
    begin(dial);
    return dial;
  }
}

/** What a dial has of its dialer. */
interface DialShared {
  readonly options: DialOptions;
  readonly clock: Clock;
  readonly tls: TlsLayer;
  readonly families: FamilyMemory;
  settled(): void;
}

/** What is to be destroyed if the dial is given up at this point. */
interface Current {
  destroy(reason: unknown): void;
  unref(): void;
}

/** A socket that a dial opened by itself. */
class OpenSocket implements Entrant {
  readonly socket: Socket;
  readonly reader: SocketReader | null;

  constructor(socket: Socket, reader: SocketReader | null) {
    this.socket = socket;
    this.reader = reader;
  }

  destroy(): void {
    discard(this.socket);
  }

  unref(): void {
    this.socket.unref();
  }
}

class Dial<T> implements Dialing<T> {
  readonly promise: Promise<T>;
  readonly #target: DialTarget;
  readonly #signal: AbortSignal;
  readonly #trace: DialTrace | null;
  readonly #product: Product<T>;
  readonly #shared: DialShared;
  readonly #peer: string;
  #resolve!: (product: T) => void; // set by the promise's executor, in the constructor
  #reject!: (reason: unknown) => void; // as above
  #settled = false;
  #phase: "dns" | "connect" | "tls" = "dns";
  #current: Current | null = null;
  #race: AddressRace<OpenSocket> | null = null;
  #deadline: Deadline | null = null;
  #deadlineAt = 0;
  #leaveSignal: () => void = () => {};
  #unreferenced = false;
  /** The step whose start was told and whose end was not. */
  #step: "dns" | "tls" | null = null;
  /** What came secured was told of by the dial that gave it. */
  #tunnelled = false;

  constructor(
    target: DialTarget,
    signal: AbortSignal,
    trace: DialTrace | null,
    product: Product<T>,
    shared: DialShared,
  ) {
    this.#target = bare(target);
    this.#signal = signal;
    this.#trace = trace;
    this.#product = product;
    this.#shared = shared;
    const { host, port, path, label } = this.#target;
    this.#peer = label ?? path ?? (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  begin(): void {
    const { options } = this.#shared;
    const { scheme, host, port, path } = this.#target;
    if (!this.#listen()) return;
    this.#limit(options.dialTimeout);
    const secured = scheme === "https" ? options.dialTls : undefined;
    const dial = secured ?? options.dial;
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
      // node:net would throw too, but only after it has made a handle that nobody could close.
      this.#fail(this.#dialError("there is no such port", [], undefined));
    } else if (dial !== undefined) {
      this.#askUser(dial, secured !== undefined);
    } else if (path !== undefined) {
      this.#connect([{ address: path, family: 0 }]);
    } else if (isIP(host) !== 0) {
      this.#admit([{ address: host, family: isIP(host) as 4 | 6 }]); // 0 was just excluded
    } else {
      this.#lookUp();
    }
  }

  beginOver(stream: Duplex): void {
    this.#current = currentOf(stream);
    this.#tunnelled = true;
    if (!this.#listen()) return;
    if (stream.destroyed) this.#fail(this.#dialError("its tunnel was closed", [], stream.errored ?? undefined));
    else if (this.#target.scheme === "https") this.#secureStream(stream);
    else this.#finishStream(stream, null);
  }

  close(): void {
    this.#fail(
      new TransportClosedError(`Cannot connect to ${this.#peer}: the transport was closed`, { safeToRetry: true }),
    );
  }

  get holdsProcess(): boolean {
    return !this.#settled && (this.#phase === "dns" || (this.#phase === "connect" && this.#race !== null));
  }

  unref(): void {
    if (this.#unreferenced || this.#settled) return;
    this.#unreferenced = true;
    this.#current?.unref();
    // The same deadline once more, since one cannot change what it keeps alive.
    if (this.#deadline !== null) this.#limit(Math.max(1, this.#deadlineAt - this.#shared.clock.now()));
  }

  #listen(): boolean {
    if (this.#signal.aborted) {
      this.#fail(this.#signal.reason);
      return false;
    }
    this.#leaveSignal = onAbort(this.#signal, () => this.#fail(this.#signal.reason));
    return true;
  }

  #limit(ms: number): void {
    this.#deadline?.cancel();
    this.#deadline = null;
    if (ms === 0) return;
    const { clock } = this.#shared;
    this.#deadlineAt = clock.now() + ms;
    this.#deadline = clock.deadline(ms, () => this.#expired(), { keepAlive: !this.#unreferenced });
  }

  #expired(): void {
    const { dialTimeout, tlsHandshakeTimeout } = this.#shared.options;
    if (this.#phase === "tls") {
      const text = `Cannot secure connection to ${this.#peer}: no end of the handshake within ${tlsHandshakeTimeout} ms (option tlsHandshakeTimeout)`;
      this.#fail(new TimeoutError("tls", "tlsHandshakeTimeout", tlsHandshakeTimeout, text, { safeToRetry: true }));
      return;
    }
    this.#race?.cancel("timeout");
    const cause = this.#dialError("the time is up", this.#race?.attempts ?? [], undefined);
    const missing = this.#phase === "dns" ? "no address" : "no connection";
    const text = `Cannot connect to ${this.#peer}: ${missing} within ${dialTimeout} ms (option dialTimeout)`;
    this.#fail(new TimeoutError(this.#phase, "dialTimeout", dialTimeout, text, { safeToRetry: true, cause }));
  }

  #fail(reason: unknown): void {
    if (this.#settled) return;
    const current = this.#current;
    this.#settle();
    current?.destroy(reason);
    if (this.#step === "dns") this.#trace?.dnsFailed(reason);
    else if (this.#step === "tls") this.#trace?.tlsFailed(reason);
    this.#reject(reason);
  }

  #settle(): void {
    this.#settled = true;
    this.#current = null;
    this.#leaveSignal();
    this.#limit(0);
    this.#shared.settled();
  }

  #dialError(state: string, attempts: readonly DialAttempt[], cause: unknown): DialError {
    const facts = { phase: this.#phase, ...(cause === undefined ? {} : { cause }) };
    return new DialError(`Cannot connect to ${this.#peer}: ${state}`, attempts, facts);
  }

  // ---- addresses

  #lookUp(): void {
    const { host } = this.#target;
    const lookup = this.#shared.options.lookup ?? lookUpAll;
    this.#step = "dns";
    this.#trace?.dnsStart(host);
    if (this.#settled) return; // by the listener
    lookup(host).then(
      (addresses) => {
        if (this.#settled) return;
        this.#step = null;
        this.#trace?.dnsDone(addresses.map(({ address }) => address));
        if (addresses.length === 0) this.#fail(this.#dialError("its name has no address", [], undefined));
        else this.#admit(interleave(addresses, this.#shared.families.get(host)));
      },
      (error: unknown) => this.#fail(this.#dialError(`its name was not resolved (${outcomeOf(error)})`, [], error)),
    );
  }

  /** Leaves the addresses that may be dialed. All are asked for here, since this still runs in the caller's context. */
  #admit(addresses: readonly Address[]): void {
    const { allowAddress } = this.#shared.options;
    if (allowAddress === undefined) {
      this.#connect(addresses);
      return;
    }
    const allowed: Address[] = [];
    const refused: DialAttempt[] = [];
    try {
      for (const { address, family } of addresses) {
        if (asksPolicy(allowAddress, address, this.#target.port)) allowed.push({ address, family });
        else refused.push({ address, family, port: this.#target.port, outcome: "refused-by-policy", ms: 0 });
      }
    } catch (error) {
      this.#fail(this.#dialError("allowAddress has thrown", refused, error));
      return;
    }
    for (const attempt of refused) this.#trace?.connectDone(attempt);
    if (allowed.length > 0) this.#connect(allowed);
    else this.#fail(this.#dialError("allowAddress refused every address", refused, undefined));
  }

  // ---- connection

  #connect(addresses: readonly Address[]): void {
    if (this.#settled) return; // a listener or a policy has given this dial up
    const { clock, options, families } = this.#shared;
    const { host } = this.#target;
    const port = this.#target.path === undefined ? this.#target.port : 0;
    this.#phase = "connect";
    const race = new AddressRace<OpenSocket>(addresses, port, clock, options.fallbackDelayMs ?? FALLBACK_DELAY_MS, {
      open: (address, done) => this.#open(address, done),
      started: ({ address }) => this.#trace?.connectStart(address, port),
      finished: (attempt) => this.#trace?.connectDone(attempt),
      won: (open, { family }) => {
        if (addresses.length > 1) families.set(host, family);
        this.#connected(open);
      },
      lost: (errors) => {
        const [only] = errors;
        const cause = errors.length === 1 ? only : new AggregateError(errors);
        const state = race.attempts.map(({ address, outcome }) => `${outcome} at ${address}`).join(", ");
        this.#fail(this.#dialError(state, race.attempts, cause));
      },
    });
    this.#race = race;
    this.#current = {
      destroy: () => race.cancel("aborted"),
      unref: () => race.unref(),
    };
    if (this.#unreferenced) race.unref();
    try {
      race.start();
    } catch (error) {
      race.cancel("failed");
      this.#fail(error); // TLS options of which no context can be made
    }
  }

  /**
   * One attempt. For TLS it is a TLSSocket from the start, since only such a one is read through `onread`; no byte of TLS
   * is sent before the connection stands, and those that lose the race never get there.
   */
  #open({ address }: Address, done: (error: Error | null) => void): OpenSocket {
    const { path, port, scheme } = this.#target;
    const reader = this.#product.reader();
    const where = path === undefined ? { host: address, port, autoSelectFamily: false } : { path };
    const how = { ...SOCKET_OPTIONS, ...where, ...(reader === null ? {} : { onread: reader }), allowHalfOpen: true };
    let socket: Socket;
    if (scheme === "https") {
      // The types of tls.connect lack what it passes on to net.connect; a variable may have more than its type.
      const options = bare({ ...how, ...this.#shared.tls.handshakeOptions(this.#target) });
      socket = detached<[ConnectionOptions], TLSSocket>(nodeTls().connect, options);
      this.#shared.tls.watch(socket as TLSSocket, this.#target); // tls.connect has just made it
    } else {
      const options: NetConnectOpts = bare(how);
      socket = detached<[NetConnectOpts], Socket>(connect, options);
    }
    once(socket, "connect", done);
    return new OpenSocket(socket, reader);
  }

  #connected({ socket, reader }: OpenSocket): void {
    if (this.#settled) return discard(socket); // a listener that heard of it has given this dial up
    const { scheme } = this.#target;
    this.#current = currentOf(socket);
    this.#tune(socket);
    this.#trace?.connected();
    if (scheme === "https") {
      this.#shakeHands(socket as TLSSocket, reader, false, false); // #open made it one
    } else {
      this.#finishSocket(socket, "plain", reader, false);
    }
  }

  #tune(socket: Socket): void {
    const { noDelay, tcpKeepAlive } = this.#shared.options;
    // By method: the options of the same names are not heard by tls.connect on Node 20 and 22.
    if (noDelay) socket.setNoDelay(true);
    if (tcpKeepAlive > 0) socket.setKeepAlive(true, tcpKeepAlive);
  }

  // ---- dialers of users

  #askUser(dial: UserDial, givesTls: boolean): void {
    const { clock } = this.#shared;
    const { scheme: _, tls, ...target } = this.#target;
    const { host, port, path } = target;
    const own = tls instanceof TlsLayer ? { tls: tls.options } : {};
    const reader = this.#product.reader() ?? new StreamReader();
    const { buffer, callback } = reader;
    const controller = new AbortController();
    const startedAt = clock.now();
    const attempt = (address: string, outcome: string): DialAttempt => {
      return { address, port, family: 0, outcome, ms: clock.now() - startedAt };
    };
    this.#phase = "connect";
    this.#current = { destroy: (reason) => controller.abort(reason), unref: () => {} };
    this.#trace?.connectStart(path ?? host, port);
    dialByUser(dial, bare({ ...target, ...own, onread: { buffer, callback } }), controller.signal, (stream) => {
      if (isConduit(stream)) {
        this.#current = { destroy: () => stream.destroy(), unref: () => stream.unref() };
        return;
      }
      this.#current = {
        destroy: (reason) => {
          controller.abort(reason);
          discard(stream);
        },
        unref: () => unrefStream(stream),
      };
      if (this.#unreferenced) unrefStream(stream);
    }).then(
      (stream) => {
        if (this.#settled) return;
        const address = isConduit(stream)
          ? stream.facts.remoteAddress
          : stream instanceof Socket
            ? stream.remoteAddress
            : null;
        this.#trace?.connectDone(attempt(address ?? path ?? host, "connected"));
        if (this.#settled) return; // by the listener
        if (isConduit(stream)) {
          this.#conduitGiven(stream, givesTls);
          return;
        }
        if (reader instanceof StreamReader) reader.pushTo(stream);
        this.#userConnected(stream, reader instanceof SocketReader ? reader : null, givesTls);
      },
      (error: unknown) => {
        if (this.#settled) return;
        const failed = attempt(path ?? host, outcomeOf(error));
        this.#trace?.connectDone(failed);
        this.#fail(error instanceof DialError ? error : this.#dialError("the dialer failed", [failed], error));
      },
    );
  }

  #conduitGiven(conduit: Conduit, givesTls: boolean): void {
    this.#trace?.connected();
    if (this.#settled) return; // by the listener
    try {
      if (this.#target.scheme === "https" && !givesTls) {
        throw new TypeError(
          "TLS needs a stream: a Conduit for https is given by dialTls, and is taken for a secured one",
        );
      }
      this.#finish(this.#product.ofConduit(conduit));
    } catch (error) {
      this.#fail(this.#dialError("the dialer failed", [], error));
    }
  }

  #userConnected(stream: Duplex, reader: SocketReader | null, givesTls: boolean): void {
    this.#current = currentOf(stream);
    this.#trace?.connected();
    const socket = stream instanceof Socket ? stream : null;
    if (socket !== null) this.#tune(socket);
    if (this.#target.scheme === "https" && !givesTls) {
      this.#secureStream(stream);
    } else if (socket === null || !isTls(socket)) {
      if (this.#accepts(null, true)) this.#finishStream(stream, reader);
    } else if (socket.getPeerFinished() === undefined) {
      this.#shakeHands(socket, reader, true, true); // the peer's Finished has not come: the dialer returned before it
    } else if (this.#accepts(socket, true)) {
      this.#finishSocket(socket, "tls", reader, true);
    }
  }

  // ---- TLS

  #secureStream(stream: Duplex): void {
    let secured: TLSSocket;
    try {
      const handshake = this.#shared.tls.handshakeOptions(this.#target);
      const options: ConnectionOptions = bare({ ...SOCKET_OPTIONS, socket: stream, ...handshake });
      secured = detached<[ConnectionOptions], TLSSocket>(nodeTls().connect, options);
    } catch (error) {
      this.#fail(tlsErrorOf(error, this.#peer));
      return;
    }
    this.#shared.tls.watch(secured, this.#target);
    this.#current = {
      destroy: () => {
        discard(secured);
        discard(stream);
      },
      unref: () => secured.unref(),
    };
    this.#shakeHands(secured, null, true, false);
  }

  /** @param foreign whether a dialer of the user has made it */
  #shakeHands(socket: TLSSocket, reader: SocketReader | null, listensToData: boolean, foreign: boolean): void {
    const { tls, options } = this.#shared;
    this.#phase = "tls";
    this.#limit(options.tlsHandshakeTimeout);
    this.#step = "tls";
    this.#trace?.tlsStart();
    once(socket, "secureConnect", (error) => {
      if (this.#settled) return;
      if (error === null) {
        if (this.#accepts(socket, foreign)) this.#finishSocket(socket, "tls", reader, listensToData);
      } else {
        tls.forgetSession(this.#target);
        this.#fail(tlsErrorOf(error, this.#peer));
      }
    });
  }

  /** Whether what is secured may be used; if not, the dial has failed. */
  #accepts(socket: TLSSocket | null, foreign: boolean): boolean {
    const { tls } = this.#shared;
    if (this.#target.scheme === "http") return true; // a dialer's own affair
    const what = `Cannot secure connection to ${this.#peer}`;
    try {
      if (foreign) tls.acceptForeign(socket, what);
      else tls.accept(socket!, this.#target, what); // what we secure is a TLSSocket
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  // ---- the end

  /** Of plain bytes, made elsewhere. */
  #finishStream(stream: Duplex, reader: SocketReader | null): void {
    if (!(stream instanceof Socket)) this.#finish(this.#product.ofStream(stream));
    else this.#finishSocket(stream, isTls(stream) ? "tls" : "plain", reader, true);
  }

  #finishSocket(socket: Socket, kind: SocketKind, reader: SocketReader | null, listensToData: boolean): void {
    const { clock } = this.#shared;
    const { path, alpn } = this.#target;
    this.#finish(this.#product.ofSocket({ socket, kind, reader, listensToData, path, clock }, alpn));
  }

  #finish(product: T): void {
    this.#settle();
    if (this.#unreferenced) this.#product.unref(product);
    const tls = this.#product.tlsOf(product);
    if (tls !== null && (this.#step === "tls" || !this.#tunnelled)) {
      if (this.#step === null) this.#trace?.tlsStart(); // a dialer has secured it, and its start is not known
      this.#trace?.tlsDone(tls);
    }
    this.#resolve(product);
  }
}

/** Pins and the name to verify are the target's; who is trusted, and as whom we come, holds for both, as in Go. */
function forProxies({ pins: _, servername: __, ...rest }: TlsOptions): TlsOptions {
  return rest;
}

/** @throws {TypeError} for an answer that is none: a promise is true to an `if`, and would let everything pass */
function asksPolicy(allows: NonNullable<DialOptions["allowAddress"]>, address: string, port: number): boolean {
  const answer: unknown = allows(address, port);
  if (typeof answer !== "boolean") throw new TypeError("allowAddress must return true or false");
  return answer;
}

function currentOf(stream: Duplex): Current {
  return { destroy: () => discard(stream), unref: () => unrefStream(stream) };
}
