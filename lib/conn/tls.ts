/**
 * TLS for one set of options: the secure context, whom to verify, sessions to resume, and what a failed handshake means.
 * Lives as long as the dialer that owns it; owns the context and the session cache.
 *
 * node:tls is loaded when the first of these is needed: it costs milliseconds that a client of plain HTTP does not owe.
 *
 * Never: resumes a session under another name, host, port or set of options than it was made for. Node 20 does not look
 * at the certificate's names again when a session is resumed, so a session is as good as the check that it once passed.
 *
 * RFC 9110 §4.3.4 (which certificate is good for an origin), RFC 6066 §3 (SNI), RFC 7301 (ALPN), RFC 8446 §4.6.1.
 */

import { isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate, SecureContext, SecureContextOptions, TLSSocket } from "node:tls";
import { bare } from "../boundary.ts";
import { TlsError } from "../errors.ts";
import { unknownOption, wrongType } from "../message/options.ts";
import { checkPins, pinError, requirePin } from "./tls-pins.ts";

/** What may be set, with the meaning that node:tls gives it. */
export interface TlsOptions
  extends SecureContextOptions,
    Pick<
      ConnectionOptions,
      | "secureContext"
      | "servername"
      | "rejectUnauthorized"
      | "checkServerIdentity"
      | "ALPNProtocols"
      | "minDHSize"
      | "enableTrace"
      | "pskCallback"
    > {
  requestOCSP?: boolean;
  /**
   * A certificate of the target's must match one of these, whatever else is said about trust: `sha256/BASE64`, the
   * SHA-256 of the public key (SPKI, RFC 7469 §2.4) of any certificate of the verified chain; or `AB:CD:…`, the SHA-256
   * fingerprint of the leaf. Judged before a byte of the request is sent. Where the chain is not verified
   * (`rejectUnauthorized: false`), the leaf alone counts.
   */
  pins?: readonly string[];
}

/** Goes into the one secure context, made once. */
export const CONTEXT_OPTIONS: readonly string[] = [
  "ca",
  "cert",
  "key",
  "passphrase",
  "pfx",
  "ciphers",
  "minVersion",
  "maxVersion",
  "crl",
  "sigalgs",
  "ecdhCurve",
  "dhparam",
  "honorCipherOrder",
  "secureOptions",
  "secureProtocol",
  "sessionIdContext",
  "sessionTimeout",
  "ticketKeys",
  "clientCertEngine",
  "privateKeyEngine",
  "privateKeyIdentifier",
  "allowPartialTrustChain",
  "certificateCompression",
];

/** Goes to each `tls.connect`. */
const CONNECT_OPTIONS = [
  "servername",
  "rejectUnauthorized",
  "checkServerIdentity",
  "ALPNProtocols",
  "secureContext",
  "minDHSize",
  "enableTrace",
  "requestOCSP",
  "pskCallback",
];

/** Judged here, and unknown to node:tls. */
const OWN_OPTIONS = ["pins"];

export const TLS_OPTIONS: readonly string[] = [...CONTEXT_OPTIONS, ...CONNECT_OPTIONS, ...OWN_OPTIONS];

/** Sessions kept at most: a few KiB each. */
const SESSIONS_MAX = 100;

/** Whom a handshake is with. */
export interface TlsPeer {
  readonly host: string;
  readonly port: number;
  /** Whom to ask for and to verify, where that is not the host and `servername` of the options says nothing. */
  readonly serverName?: string;
  /** The protocols to offer by ALPN, the preferred one first; where absent, the option `ALPNProtocols`, or http/1.1. */
  readonly alpn?: readonly string[];
}

/** What `tls.connect` gets besides the address or the stream. */
export interface HandshakeOptions extends ConnectionOptions {
  servername: string;
}

/** node:tls, loaded by the first who asks. */
export function nodeTls(): typeof import("node:tls") {
  return process.getBuiltinModule("node:tls");
}

/**
 * Refuses what is no object, has a name that nobody knows, or cannot have an effect.
 *
 * @throws {TypeError} naming the option
 */
export function checkTlsOptions(options: unknown): TlsOptions {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw wrongType("tls", "an object", options);
  }
  const tls: TlsOptions = bare(options); // its fields are node:tls's to check, but for those below
  for (const name of Object.keys(tls)) {
    if (!TLS_OPTIONS.includes(name)) throw unknownOption(`tls.${name}`, TLS_OPTIONS, "tls.");
  }
  const { rejectUnauthorized, checkServerIdentity, servername } = tls;
  if (rejectUnauthorized !== undefined && typeof rejectUnauthorized !== "boolean") {
    throw wrongType("tls.rejectUnauthorized", "a boolean", rejectUnauthorized);
  }
  if (checkServerIdentity !== undefined && typeof checkServerIdentity !== "function") {
    throw wrongType("tls.checkServerIdentity", "a function", checkServerIdentity);
  }
  if (servername !== undefined && typeof servername !== "string")
    throw wrongType("tls.servername", "a string", servername);
  if (tls.pins !== undefined) checkPins(tls.pins);
  if (tls.secureContext !== undefined) {
    const idle = CONTEXT_OPTIONS.find((name) => Object.hasOwn(tls, name));
    if (idle !== undefined) throw new TypeError(`Option tls.${idle} has no effect: tls.secureContext is given`);
  }
  return options;
}

export class TlsLayer {
  /** As they were given; for dialers of the user. */
  readonly options: TlsOptions;
  readonly #context: TlsOptions;
  readonly #connect: TlsOptions;
  #secureContext: SecureContext | undefined;
  readonly #pins: readonly string[] | null;
  readonly #sessions = new SessionCache();
  /** Whose handshake has passed everything. */
  readonly #accepted = new WeakSet<TLSSocket>();
  /** Sessions that came before that. */
  readonly #early = new WeakMap<TLSSocket, Buffer>();

  /** @throws {TypeError} see `checkTlsOptions` */
  constructor(options: TlsOptions = {}) {
    this.options = checkTlsOptions(options);
    const { secureContext, pins, ...rest } = bare(this.options);
    const entries = Object.entries(rest).filter(([, value]) => value !== undefined);
    // Both halves of an object whose names were just checked.
    this.#context = bare(Object.fromEntries(entries.filter(([name]) => CONTEXT_OPTIONS.includes(name))) as TlsOptions);
    this.#connect = bare(Object.fromEntries(entries.filter(([name]) => CONNECT_OPTIONS.includes(name))) as TlsOptions);
    this.#secureContext = secureContext;
    this.#pins = pins === undefined ? null : [...pins];
  }

  /**
   * What to hand to `tls.connect`, for a handshake with `peer`.
   *
   * @throws {TlsError} when no secure context can be made of the options
   */
  handshakeOptions(peer: TlsPeer): HandshakeOptions {
    const name = this.#nameOf(peer);
    const check = this.#connect.checkServerIdentity ?? nodeTls().checkServerIdentity;
    return bare({
      ALPNProtocols: ["http/1.1"],
      ...this.#connect,
      ...(peer.alpn === undefined ? {} : { ALPNProtocols: [...peer.alpn] }),
      secureContext: this.#contextOf(),
      // SNI takes no address (RFC 6066 §3); Node 26 throws for one. What is verified is `name` all the same.
      servername: isIP(name) === 0 ? name : "",
      checkServerIdentity: (_: string, certificate: PeerCertificate) => {
        try {
          return check(name, certificate);
        } catch (error) {
          // It is called from a socket's event: thrown on, it would end the process and leave the dial without an end.
          return error instanceof Error ? error : new Error("tls.checkServerIdentity has thrown", { cause: error });
        }
      },
      session: this.#sessions.get(keyOf(peer, name)),
    });
  }

  /** Listens for the sessions that this socket is given; to be called before its handshake. */
  watch(socket: TLSSocket, peer: TlsPeer): void {
    const key = keyOf(peer, this.#nameOf(peer));
    // Those of TLS 1.2 come before `secureConnect`, when the pins are not judged yet.
    socket.on("session", (session) => {
      if (this.#accepted.has(socket)) this.#sessions.set(key, session);
      else this.#early.set(socket, session);
    });
  }

  /**
   * The last word on a handshake that is complete: pins are judged, and only then its sessions are kept for the next dial
   * of the same peer.
   *
   * A resumed session shows no certificates, and needs none: it is of this layer's own cache, so its peer has passed the
   * same pins, and the resumption proves that it is that peer.
   *
   * @param what for the error: `Cannot secure connection to HOST:PORT`
   * @throws {TlsError} it is not pinned
   */
  accept(socket: TLSSocket, peer: TlsPeer, what: string): void {
    if (this.#pins !== null && !socket.isSessionReused()) requirePin(socket, this.#pins, what);
    this.#accepted.add(socket);
    const session = this.#early.get(socket);
    if (session !== undefined) this.#sessions.set(keyOf(peer, this.#nameOf(peer)), session);
  }

  /**
   * The same for what a dialer of the user has secured; where the certificates cannot be seen, nothing is pinned.
   *
   * @param socket null: no TLSSocket
   * @throws {TlsError} it is not pinned, or that cannot be seen
   */
  acceptForeign(socket: TLSSocket | null, what: string): void {
    if (this.#pins === null) return;
    const unseen = { expected: this.#pins, seen: [] };
    if (socket === null) throw pinError(what, "dialTls gave no TLSSocket, whose certificates could be judged", unseen);
    if (socket.isSessionReused())
      throw pinError(what, "dialTls resumed a session, which shows no certificates", unseen);
    requirePin(socket, this.#pins, what);
  }

  /** A session that took part in a failed handshake is not tried again. */
  forgetSession(peer: TlsPeer): void {
    this.#sessions.delete(keyOf(peer, this.#nameOf(peer)));
  }

  clear(): void {
    this.#sessions.clear();
  }

  /** Who the certificate must speak for: a name in lower case without its final dot, or an address without its zone. */
  #nameOf(peer: TlsPeer): string {
    const name = this.#connect.servername ?? peer.serverName ?? peer.host;
    if (isIP(name) !== 0) return name.replace(/%.*/, "");
    return name.toLowerCase().replace(/\.$/, "");
  }

  #contextOf(): SecureContext {
    if (this.#secureContext !== undefined) return this.#secureContext;
    try {
      this.#secureContext = nodeTls().createSecureContext(this.#context);
      return this.#secureContext;
    } catch (cause) {
      throw new TlsError("Cannot make secure context: the options in tls are not usable", { cause });
    }
  }
}

/** Options and context are the same for all sessions of one layer; the key holds what else a handshake depends on. */
function keyOf({ host, port, alpn }: TlsPeer, name: string): string {
  return alpn === undefined ? `${name} ${host} ${port}` : `${name} ${host} ${port} ${alpn.join(",")}`;
}

/** The most recently used last. References are strong: a cache that the collector empties resumes nothing. */
class SessionCache {
  readonly #sessions = new Map<string, Buffer>();

  get(key: string): Buffer | undefined {
    const session = this.#sessions.get(key);
    if (session !== undefined) this.set(key, session);
    return session;
  }

  set(key: string, session: Buffer): void {
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size > SESSIONS_MAX) {
      const [oldest] = this.#sessions.keys();
      this.#sessions.delete(oldest!); // there are more than SESSIONS_MAX
    }
  }

  delete(key: string): void {
    this.#sessions.delete(key);
  }

  clear(): void {
    this.#sessions.clear();
  }
}

/** What the codes of failed handshakes mean, and what can be done. */
const MEANINGS: Readonly<Record<string, readonly [state: string, advice: string | null]>> = {
  // A server that does not speak TLS answers in plain text, whose first bytes are no TLS version (Go issue 11111).
  ERR_SSL_WRONG_VERSION_NUMBER: ["server gave HTTP response to HTTPS client", "is this the port for https?"],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ["server gave HTTP response to HTTPS client", "is this the port for https?"],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "its certificate is for other names",
    "ask for one of those, or set tls.servername if this is the server you mean",
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["its certificate is self-signed", "give it as tls.ca if you trust it"],
  SELF_SIGNED_CERT_IN_CHAIN: [
    "its certificate comes from an authority that is not trusted",
    "give the authority's certificate as tls.ca if you trust it",
  ],
  UNABLE_TO_GET_ISSUER_CERT: ["the issuer of its certificate is unknown", "give the issuer's certificate as tls.ca"],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    "the issuer of its certificate is unknown",
    "give the issuer's certificate as tls.ca; the server may have left out an intermediate one",
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    "the issuer of its certificate is unknown",
    "give the issuer's certificate as tls.ca; the server may have left out an intermediate one",
  ],
  CERT_HAS_EXPIRED: ["its certificate has expired", "it has to be renewed, unless this machine's clock is wrong"],
  CERT_NOT_YET_VALID: ["its certificate is not valid yet", "is this machine's clock right?"],
  CERT_REVOKED: ["its certificate was revoked", null],
  ECONNRESET: ["the connection was closed during the handshake", null],
  EPIPE: ["the connection was closed during the handshake", null],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ["no TLS version is common to both sides", "see tls.minVersion and tls.maxVersion"],
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: [
    "the server refused this TLS version",
    "see tls.minVersion and tls.maxVersion",
  ],
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: [
    "the server refused the handshake",
    "it may want other ciphers, or a client certificate (tls.cert and tls.key)",
  ],
};

/** The error of a failed handshake, with its meaning. `peer` is `host:port`. */
export function tlsErrorOf(error: unknown, peer: string): TlsError {
  if (error instanceof TlsError) return error;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined; // system and SSL errors have it
  const [state, advice] = MEANINGS[code ?? ""] ?? ["the handshake failed", null];
  const known = code === undefined ? "" : ` (${code})`;
  const hint = advice === null ? "" : `; ${advice}`;
  return new TlsError(`Cannot secure connection to ${peer}: ${state}${known}${hint}`, { cause: error });
}
