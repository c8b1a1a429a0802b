/**
 * Agents for node:http and node:https whose sockets come from a Transport's dialer, for libraries that know nothing else:
 * its proxies, TLS options and pins, address policy, time limits of the dial, and sessions to resume.
 *
 * They dial, and no more. Node writes and parses on the socket, and its agent keeps the idle ones: a connection is either
 * Node's or the pool's, since whoever parses has taken bytes that the other would miss. So none of them shows in
 * `transport.stats()`, but each as a dial in the trace, and what the pool promises about stale connections does not hold.
 *
 * Lives until `destroy()`. Owns its sockets and the dials under way; never the transport.
 *
 * The one file that imports node:https: who asks for an agent has loaded it, and nothing else can be one. Beside the
 * documented `createConnection` it overrides `createSocket`, as agents on npm have for ten years: only that knows the
 * request, which may be given up while it has no socket yet. Where a Node did not call it, such a dial would go on to its
 * end.
 *
 * Node: "Class: http.Agent", `agent.createConnection`.
 */

// biome-ignore lint/style/noRestrictedImports: a type loads nothing
import type { ClientRequest, Agent as HttpAgent, AgentOptions as HttpAgentOptions } from "node:http";
// biome-ignore lint/style/noRestrictedImports: who asks for an agent has loaded it
import { Agent, type AgentOptions } from "node:https";
import { Duplex } from "node:stream";
import { throwLater } from "../boundary.ts";
import type { Clock } from "../clock.ts";
import { TLS_OPTIONS, type TlsOptions } from "../conn/tls.ts";
import { HttpError } from "../errors.ts";
import { wrongType } from "../message/options.ts";
import { Transport } from "../transport.ts";
import { failureCode } from "./failure-code.ts";

/** What Node hands down with a request, the agent's own options over it. */
interface SocketOptions {
  readonly host?: string | null;
  readonly port?: number | string | null;
  /** Among which sockets it is counted. */
  readonly _agentKey?: string;
  readonly [name: string]: unknown;
}

type Done = (error: Error | null, socket?: Duplex) => void;

/** The part of http.Agent that its documentation leaves out. */
interface AgentParts {
  totalSocketCount: number;
  createSocket(request: ClientRequest, options: SocketOptions, done: Done): void;
  removeSocket(socket: Duplex, options: SocketOptions): void;
  keepSocketAlive(socket: Duplex): boolean;
}

const parts = Agent.prototype as unknown as AgentParts; // they are there, see above

/** They name another way than the transport's, or another end. */
const REFUSED: readonly string[] = ["socketPath", "lookup", "localAddress"];

/** The names by which most libraries take them. */
export interface NodeAgents {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: Agent;
}

/**
 * @param options of Node's agents: `maxSockets`, `maxFreeSockets`, `timeout`, …; `keepAlive` is true unless it says no. TLS
 *   options of the agents or of a request stand over the transport's, as `tls` of a call
 * @throws {TypeError} no Transport
 * @example
 * const { httpsAgent } = nodeAgents(new Transport({ proxy: "http://proxy.example:3128" }));
 * https.get("https://example.org/", { agent: httpsAgent }, (res) => res.resume());
 */
export function nodeAgents(transport: Transport, options: HttpAgentOptions & AgentOptions = {}): NodeAgents {
  if (!(transport instanceof Transport)) throw wrongType("transport", "a Transport", transport);
  return {
    httpAgent: new DialingAgent(transport, "http:", options),
    httpsAgent: new DialingAgent(transport, "https:", options),
  };
}

/** Of either scheme: an agent of https is one of http whose names tell TLS options apart. */
class DialingAgent extends Agent {
  readonly #transport: Transport;
  readonly #scheme: "http:" | "https:";
  /** The request for which Node asks for a connection, while it does. */
  #asking: ClientRequest | null = null;

  constructor(transport: Transport, scheme: "http:" | "https:", options: AgentOptions) {
    super({ keepAlive: true, ...options });
    this.#transport = transport;
    this.#scheme = scheme;
    Object.assign(this, { protocol: scheme, defaultPort: scheme === "https:" ? 443 : 80 }); // Node reads them there
  }

  createSocket(request: ClientRequest, options: SocketOptions, done: Done): void {
    this.#asking = request;
    try {
      parts.createSocket.call(this, request, options, done);
    } finally {
      this.#asking = null;
    }
  }

  override createConnection(options: SocketOptions, done: Done): undefined {
    const refused = REFUSED.find((name) => options[name] !== undefined && options[name] !== null);
    if (refused !== undefined) {
      done(new TypeError(`Option ${refused} is not for this agent: its Transport says how to connect (option dial)`));
      return;
    }
    const stop = new AbortController();
    // Node counts a connection against maxSockets when it has it: until then this counts, and is what destroy() destroys.
    const dialing = new Duplex({
      destroy(error, closed) {
        stop.abort(error ?? hangUp());
        closed(null);
      },
    });
    const leave = this.#asking === null ? () => {} : watch(this.#asking, this.#transport.clock, dialing);
    this.#count(dialing, options);
    this.#transport
      .openStream(this.#urlOf(options), stop.signal, this.#tlsOf(options))
      .then((stream) => {
        if (!stop.signal.aborted) return stream;
        stream.destroy();
        throw stop.signal.reason;
      })
      .then(
        (stream) => {
          leave();
          this.#uncount(dialing, options);
          stream.allowHalfOpen = false; // as Node's own: an idle one shall close with its server
          done(null, stream);
          stream.resume(); // behind Node's listener: that of a tunnel was paused when the proxy had answered
        },
        (error: unknown) => {
          leave();
          done(nodeError(error));
          this.#parts.totalSocketCount--;
          this.#parts.removeSocket(dialing, options); // and whoever waits for room gets it
        },
      )
      .catch(throwLater); // what a listener threw
    return;
  }

  /** A dialer of the user's may have given a stream that is no socket, and Node keeps only sockets. */
  override keepSocketAlive(socket: Duplex): boolean {
    return "setKeepAlive" in socket && parts.keepSocketAlive.call(this, socket);
  }

  get #parts(): AgentParts {
    return this as unknown as AgentParts; // as above
  }

  #count(dialing: Duplex, { _agentKey = "" }: SocketOptions): void {
    const sockets = this.sockets as unknown as Record<string, Duplex[]>; // Node says Socket of whatever it is given
    sockets[_agentKey] ??= [];
    sockets[_agentKey].push(dialing);
    this.#parts.totalSocketCount++;
  }

  #uncount(dialing: Duplex, { _agentKey = "" }: SocketOptions): void {
    const counted = this.sockets[_agentKey] as unknown as Duplex[]; // as above; it is among them
    counted.splice(counted.indexOf(dialing), 1);
    this.#parts.totalSocketCount--;
  }

  #urlOf({ host, port }: SocketOptions): string {
    const name = host ?? "localhost";
    return `${this.#scheme}//${name.includes(":") ? `[${name}]` : name}:${port ?? (this.#scheme === "https:" ? 443 : 80)}/`;
  }

  /** What Node would give to tls.connect, as far as it is not the transport's affair. */
  #tlsOf(options: SocketOptions): TlsOptions | undefined {
    if (this.#scheme === "http:") return undefined;
    const tls: Record<string, unknown> = {};
    for (const name of TLS_OPTIONS) {
      // Node derives the name from the host, and can speak HTTP/1.1 alone.
      if (name === "ALPNProtocols" || (name === "servername" && isImplied(options))) continue;
      if (options[name] !== undefined && options[name] !== null) tls[name] = options[name];
    }
    return Object.keys(tls).length === 0 ? undefined : tls;
  }
}

function isImplied({ servername, host }: SocketOptions): boolean {
  return servername === "" || servername === host;
}

/**
 * A request that is given up while its connection is dialed: Node would tell nobody before it has a socket. Its option
 * `timeout` counts meanwhile, as it does while Node connects by itself.
 *
 * @returns ends that
 */
function watch(request: ClientRequest, clock: Clock, dialing: Duplex): () => void {
  const { destroy } = request;
  const had = Object.hasOwn(request, "destroy");
  request.destroy = (error) => {
    dialing.destroy(error ?? hangUp());
    return destroy.call(request, error);
  };
  const { timeout = 0 } = request as { timeout?: number }; // Node keeps the option there
  const deadline = timeout > 0 ? clock.deadline(timeout, () => request.emit("timeout")) : null;
  return () => {
    deadline?.cancel();
    if (had) request.destroy = destroy;
    else Reflect.deleteProperty(request, "destroy");
  };
}

/** What Node says of a request that ended without an answer and without a reason. */
function hangUp(): Error {
  return Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
}

/** With the code that programs for Node's own client look at. */
function nodeError(error: unknown): Error {
  if (!(error instanceof HttpError)) return error as Error; // an abort's, or whatever a function of the caller's threw
  return Object.assign(new Error(error.message, { cause: error }), { code: failureCode(error) ?? error.code });
}
