/**
 * Pins: a connection counts as secured only where the peer's certificates have a key, or the leaf a fingerprint, that the
 * caller has named. Asked after the handshake and before anything else can use the connection. Pure but for node:crypto,
 * which the TLS behind it has loaded already.
 *
 * Two forms, each in the field's own words: `sha256/BASE64` is the SHA-256 of a SubjectPublicKeyInfo (RFC 7469 §2.4), of
 * any certificate of the verified chain, as OkHttp's CertificatePinner takes it; `AB:CD:…` is the SHA-256 of the leaf, as
 * Node's `fingerprint256` and `openssl x509 -fingerprint -sha256` show it.
 *
 * Never: counts a certificate that did not sign what stands below it. Node shows what the server sent, joined by names
 * alone, so that a made-up authority with a pinned key (which is public) could stand there (CVE-2016-2402 was this).
 * Where the chain is not verified only the leaf counts: the handshake has proved that one's key and no other.
 */

import type { KeyObject, X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { type PinMismatch, TlsError } from "../errors.ts";
import { wrongType } from "../message/options.ts";

const SPKI_PIN = /^sha256\/[A-Za-z0-9+/]{43}=$/;
const FINGERPRINT = /^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/i;

/** Longer than any chain that verifies; a list that the peer wrote shall not go on for ever. */
const CHAIN_MAX = 16;

/** @throws {TypeError} no list, an empty one, or what is no pin */
export function checkPins(pins: unknown): void {
  if (!Array.isArray(pins)) throw wrongType("tls.pins", "a list of pins", pins);
  if (pins.length === 0) throw new TypeError("Option tls.pins must have a pin: leave it out where nothing is pinned");
  for (const pin of pins) {
    if (typeof pin !== "string") throw wrongType("tls.pins", "a list of strings", pin);
    if (!FINGERPRINT.test(pin) && !isSpkiPin(pin)) {
      throw new TypeError(
        `Option tls.pins has ${JSON.stringify(pin)}: a pin is "sha256/" and the base64 of 32 bytes, or a SHA-256 fingerprint as AB:CD:…`,
      );
    }
  }
}

/** The last digit but one may hold bits that stand for nothing: such a pin would match no key, ever. */
function isSpkiPin(pin: string): boolean {
  return SPKI_PIN.test(pin) && Buffer.from(pin.slice(7), "base64").toString("base64") === pin.slice(7);
}

/**
 * Refuses a peer none of whose certificates is pinned.
 *
 * @param socket its handshake is complete
 * @param what the action, for the error: `Cannot secure connection to HOST:PORT`
 * @throws {TlsError} with what was expected and what was seen
 */
export function requirePin(socket: TLSSocket, pins: readonly string[], what: string): void {
  const { crypto, chain } = chainOf(socket);
  const [leaf] = chain;
  const counted = socket.authorized ? chain : chain.slice(0, 1);
  const keys = counted.map(({ publicKey }) => spkiPin(crypto, publicKey));
  const seen = leaf === undefined ? [] : [...keys, leaf.fingerprint256];
  if (pins.some((pin) => seen.includes(FINGERPRINT.test(pin) ? pin.toUpperCase() : pin))) return;
  throw pinError(what, stateOf(keys, socket.authorized), { expected: [...pins], seen });
}

/** For connections whose certificates nobody can be shown. */
export function pinError(what: string, state: string, pins: PinMismatch): TlsError {
  return new TlsError(`${what}: ${state} (option tls.pins)`, undefined, pins);
}

function stateOf(keys: readonly string[], verified: boolean): string {
  if (keys.length === 0) return "the peer showed no certificate, so no pin can match";
  const shown = keys.join(", ");
  if (!verified) return `its certificate is not pinned, and its chain, unverified, does not count; seen: ${shown}`;
  return `no certificate of its chain is pinned; seen, from the leaf on: ${shown}`;
}

/** The leaf, and each certificate that has signed the one before it. */
function chainOf(socket: TLSSocket): { crypto: typeof import("node:crypto"); chain: readonly X509Certificate[] } {
  const crypto = process.getBuiltinModule("node:crypto");
  const chain: X509Certificate[] = [];
  // Without a certificate Node gives an object without fields, or null.
  let shown: Partial<DetailedPeerCertificate> | null | undefined = socket.getPeerCertificate(true);
  while (shown?.raw !== undefined && chain.length < CHAIN_MAX) {
    const certificate: X509Certificate = new crypto.X509Certificate(shown.raw);
    const below = chain.at(-1);
    if (below !== undefined && !hasSigned(certificate, below)) break;
    chain.push(certificate);
    if (shown.issuerCertificate === shown) break; // an authority that has signed itself
    shown = shown.issuerCertificate;
  }
  return { crypto, chain };
}

function hasSigned(authority: X509Certificate, certificate: X509Certificate): boolean {
  if (!authority.ca || !certificate.checkIssued(authority)) return false;
  try {
    return certificate.verify(authority.publicKey);
  } catch {
    return false; // a key of a kind that nobody knows
  }
}

function spkiPin(crypto: typeof import("node:crypto"), key: KeyObject): string {
  const spki = key.export({ type: "spki", format: "der" });
  return `sha256/${crypto.createHash("sha256").update(spki).digest("base64")}`;
}
