/**
 * Go's httptrace hooks on top of the stream of trace events: `clientTrace(hooks)` is a value for the option `trace`, of a
 * transport or of one call. Lives as long as that.
 *
 * Each attempt of a call calls its hooks anew, as Go does. Only the groups of events whose hooks are there are listened
 * to, so nobody pays for the others. What a hook throws is an uncaught exception of its own, and the call goes on: to end
 * a call from within, abort its signal (Go's Got1xxResponse, which can fail a call, is `onInformation` here).
 *
 * Over HTTP/2, as in Go, `putIdleConn` is silent, since nobody gives a connection back there that others use too; and
 * `wroteRequest` tells of requests that were sent, since a stream that fails closes no connection.
 *
 * Owns: the calls whose request is being written; an entry goes with the request's end, its connection's or its call's.
 *
 * Go net/http/httptrace ClientTrace.
 */

import { throwLater } from "./boundary.ts";
import type { TlsFacts } from "./conn/conduit.ts";
import type { CloseReason } from "./errors.ts";
import type { Headers } from "./message/headers.ts";
import { unknownOption, wrongType } from "./message/options.ts";
import type { ConnectionInfo } from "./message/response.ts";
import { bothTraces, type TraceEvent, type TraceGroup, type TraceOption } from "./trace.ts";

/** The connection that a call was given. */
export interface GotConnInfo {
  /** As in `response.connection`. */
  readonly conn: ConnectionInfo;
  /** It served another request before, was in the pool, or was dialed for another request. */
  readonly reused: boolean;
  /** It came out of the pool. */
  readonly wasIdle: boolean;
  /** How long it had been idle, in ms; 0 where it was not. */
  readonly idleTime: number;
}

/**
 * Hooks of one request, or of all of a transport. All are optional, run synchronously in the async context of their call,
 * and must not wait for anything.
 */
export interface ClientTrace {
  /** A connection is asked for. @param hostPort of the target, or of the proxy */
  getConn?(hostPort: string): void;
  gotConn?(info: GotConnInfo): void;
  /**
   * Not over HTTP/2.
   *
   * @param refused null: it is in the pool; else why it was closed instead. Before the caller learns of the body's end
   */
  putIdleConn?(refused: CloseReason | null): void;
  /** Of a 1xx, too. */
  gotFirstResponseByte?(): void;
  got100Continue?(): void;
  /** Each 1xx but 101; 100 too. */
  got1xxResponse?(status: number, headers: Headers): void;
  dnsStart?(info: { readonly host: string }): void;
  /** @param info `addresses` is empty where `error` is set */
  dnsDone?(info: { readonly addresses: readonly string[]; readonly error: unknown }): void;
  /** Once for each address that is tried, side by side. @param address `host:port`, or the path of a unix socket */
  connectStart?(network: "tcp" | "unix", address: string): void;
  /** @param error null: it stands; else the system's code, `"slower"` (than another address) or `"aborted"` */
  connectDone?(network: "tcp" | "unix", address: string, error: string | null): void;
  /** With a proxy, too; then the target's handshake follows. */
  tlsHandshakeStart?(): void;
  tlsHandshakeDone?(state: TlsFacts | null, error: unknown): void;
  /** For each field of the head with all its values, the transport's own too: what it is given may be a secret. */
  wroteHeaderField?(name: string, values: readonly string[]): void;
  wroteHeaders?(): void;
  /** The body waits for `100 Continue`. */
  wait100Continue?(): void;
  /** @param info `error` null: head and body are handed over; else why the connection was closed before that */
  wroteRequest?(info: { readonly error: CloseReason | null }): void;
}

/** Which groups of events each hook is made of. */
const GROUPS: { readonly [Hook in keyof Required<ClientTrace>]: TraceGroup } = {
  getConn: "pool",
  gotConn: "pool",
  putIdleConn: "pool",
  gotFirstResponseByte: "connection",
  got100Continue: "connection",
  got1xxResponse: "connection",
  dnsStart: "dial",
  dnsDone: "dial",
  connectStart: "dial",
  connectDone: "dial",
  tlsHandshakeStart: "dial",
  tlsHandshakeDone: "dial",
  wroteHeaderField: "connection",
  wroteHeaders: "connection",
  wait100Continue: "connection",
  wroteRequest: "connection",
};
const NAMES: readonly string[] = Object.keys(GROUPS);

/**
 * Makes a trace of Go's hooks.
 *
 * @param beneath another trace that hears the same: each event after `hooks`, as with Go's WithClientTrace on a context
 *   that has a trace already
 * @throws {TypeError} a hook that does not exist, or is no function
 *
 * @example
 * await client.get(url, { trace: clientTrace({ gotConn: ({ reused }) => console.log(reused ? "reused" : "new") }) });
 */
export function clientTrace(hooks: ClientTrace, beneath?: TraceOption): TraceOption {
  if (typeof hooks !== "object" || hooks === null) throw wrongType("hooks", "an object", hooks);
  const groups = new Set<TraceGroup>();
  for (const [name, hook] of Object.entries(hooks)) {
    if (!Object.hasOwn(GROUPS, name)) throw unknownOption(name, NAMES);
    if (hook === undefined) continue;
    if (typeof hook !== "function") throw wrongType(name, "a function", hook);
    groups.add(GROUPS[name as keyof ClientTrace]); // hasOwn has just said that it is one of them
    if (name === "wroteRequest") groups.add("call");
  }
  const dispatch = new Dispatch({ ...hooks });
  const own: TraceOption = { groups: [...groups], on: (event) => dispatch.on(event), secrets: true };
  return beneath === undefined ? own : bothTraces(own, beneath);
}

class Dispatch {
  readonly #hooks: ClientTrace;
  /** Requests that are being written; true where HTTP/2 has answered one before that was over. */
  readonly #writing = new Map<number | null, boolean>();

  constructor(hooks: ClientTrace) {
    this.#hooks = hooks;
  }

  on(event: TraceEvent): void {
    const hooks = this.#hooks;
    switch (event.type) {
      case "pool-wait":
        return safely(() => hooks.getConn?.(event.hostPort));
      case "pool-assigned": {
        const { reused, idleMs } = event;
        return safely(() =>
          hooks.gotConn?.({ conn: event.info(), reused, wasIdle: idleMs !== null, idleTime: idleMs ?? 0 }),
        );
      }
      case "connection-returned":
        return safely(() => hooks.putIdleConn?.(event.refused));
      case "first-byte":
        return safely(() => hooks.gotFirstResponseByte?.());
      case "information":
        if (event.status === 100) safely(() => hooks.got100Continue?.());
        return safely(() => hooks.got1xxResponse?.(event.status, event.headers()));
      case "dns-start":
        return safely(() => hooks.dnsStart?.({ host: event.host }));
      case "dns-done":
        return safely(() => hooks.dnsDone?.({ addresses: event.addresses, error: null }));
      case "dns-failed":
        return safely(() => hooks.dnsDone?.({ addresses: [], error: event.error }));
      case "connect-start":
        return safely(() => hooks.connectStart?.(...whereOf(event)));
      case "connect-done": {
        const { outcome } = event.tried;
        if (outcome === "refused-by-policy") return; // it was never begun
        return safely(() => hooks.connectDone?.(...whereOf(event.tried), outcome === "connected" ? null : outcome));
      }
      case "tls-start":
        return safely(() => hooks.tlsHandshakeStart?.());
      case "tls-done": {
        const { protocol, cipher, alpn, resumed } = event;
        return safely(() => hooks.tlsHandshakeDone?.({ protocol, cipher, alpn, resumed }, null));
      }
      case "tls-failed":
        return safely(() => hooks.tlsHandshakeDone?.(null, event.error));
      case "request-write":
        if (hooks.wroteRequest !== undefined) this.#writing.set(event.call, false);
        return;
      case "request-head":
        return this.#wroteHead(event.fields);
      case "continue-wait":
        return safely(() => hooks.wait100Continue?.());
      case "request-sent":
        return this.#written(event.call, null);
      case "connection-closed":
        return this.#written(event.call, event.reason);
      case "head":
        if (event.httpVersion === "2" && this.#writing.has(event.call)) this.#writing.set(event.call, true);
        return;
      case "end":
        if (this.#writing.get(event.call)) this.#writing.delete(event.call); // the rest of it is never sent
        return;
      case "retry":
      case "call-failed":
      case "body-failed":
        this.#writing.delete(event.call); // where no connection was closed with it (HTTP/2)
    }
  }

  #wroteHead(fields: () => readonly (readonly [string, string])[]): void {
    const hooks = this.#hooks;
    if (hooks.wroteHeaderField !== undefined) {
      for (const { name, values } of grouped(fields())) safely(() => hooks.wroteHeaderField?.(name, values));
    }
    safely(() => hooks.wroteHeaders?.());
  }

  #written(call: number | null, error: CloseReason | null): void {
    if (this.#writing.delete(call)) safely(() => this.#hooks.wroteRequest?.({ error }));
  }
}

/** A hook that throws stops neither the others nor the library. */
function safely(hook: () => void): void {
  try {
    hook();
  } catch (error) {
    throwLater(error);
  }
}

/** Fields of one name together, where the first of them stands. */
function grouped(fields: readonly (readonly [string, string])[]): Iterable<{ name: string; values: string[] }> {
  const groups = new Map<string, { name: string; values: string[] }>();
  for (const [name, value] of fields) {
    const known = groups.get(name.toLowerCase());
    if (known === undefined) groups.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  return groups.values();
}

function whereOf({ address, port }: { readonly address: string; readonly port: number }): ["tcp" | "unix", string] {
  if (port === 0) return ["unix", address]; // no other address is dialed without a port
  return ["tcp", address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`];
}
