/**
 * Digest authentication, the calculation: which challenge is answered, and with what. Pure but for the count of a session.
 *
 * All text is in binary strings, one byte in each char code: what the server said goes into the hash and back to it byte for
 * byte, whatever its charset; user name and password are UTF-8.
 *
 * `qop=auth` is chosen where it is offered. What has no qop at all is answered as RFC 2069 did, since cameras and the like
 * still ask so; `-sess` needs one.
 *
 * RFC 7616; RFC 8187 (username*).
 */

import { createHash, getHashes } from "node:crypto";
import type { Challenge } from "./challenges.ts";

export type DigestAlgorithm = "MD5" | "MD5-sess" | "SHA-256" | "SHA-256-sess" | "SHA-512-256" | "SHA-512-256-sess";

/**
 * The best first. RFC 7616 §3.7 would leave the choice to the server's order; whoever stands between can write that.
 * SHA-512-256 comes behind SHA-256, which is as strong: RFC 7616 does not say what it is, its example cuts SHA-512 to 256
 * bits, and by erratum 4897 it is SHA-512/256, as here; servers do either.
 */
export const DIGEST_ALGORITHMS: readonly DigestAlgorithm[] = [
  "SHA-256",
  "SHA-256-sess",
  "SHA-512-256",
  "SHA-512-256-sess",
  "MD5",
  "MD5-sess",
];

const HASHES: ReadonlyMap<string, string> = new Map([
  ["SHA-256", "sha256"],
  ["SHA-512-256", "sha512-256"],
  ["MD5", "md5"],
]);

export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | null;
  readonly algorithm: DigestAlgorithm;
  /** As the server wrote it, to be sent back; null where it said none. */
  readonly algorithmText: string | null;
  readonly qop: "auth" | "auth-int" | null;
  readonly userhash: boolean;
  /** The credentials were right, and the nonce too old. */
  readonly stale: boolean;
}

/**
 * The challenge to be answered: the strongest of those that can be. Null where there is none.
 *
 * @param allowed algorithms that may be used
 */
export function chooseDigest(
  challenges: readonly Challenge[],
  allowed: readonly DigestAlgorithm[] = DIGEST_ALGORITHMS,
): DigestChallenge | null {
  let best: DigestChallenge | null = null;
  for (const challenge of challenges) {
    const known = readDigest(challenge);
    if (known === null || !allowed.includes(known.algorithm) || !isAvailable(known.algorithm)) continue;
    if (best === null || strength(known) > strength(best)) best = known;
  }
  return best;
}

function readDigest({ scheme, params }: Challenge): DigestChallenge | null {
  const realm = params.get("realm");
  const nonce = params.get("nonce");
  if (scheme !== "digest" || realm === undefined || nonce === undefined) return null;
  const algorithmText = params.get("algorithm") ?? null;
  const lower = (algorithmText ?? "MD5").toLowerCase();
  const algorithm = DIGEST_ALGORITHMS.find((name) => name.toLowerCase() === lower);
  if (algorithm === undefined) return null;
  const offered = params
    .get("qop")
    ?.split(",")
    .map((word) => word.trim().toLowerCase());
  const qop = offered === undefined ? null : offered.includes("auth") ? "auth" : "auth-int";
  if (qop === "auth-int" && !offered?.includes(qop)) return null;
  if (qop === null && isSession(algorithm)) return null;
  const flag = (name: string): boolean => params.get(name)?.toLowerCase() === "true";
  const opaque = params.get("opaque") ?? null;
  return { realm, nonce, opaque, algorithm, algorithmText, qop, userhash: flag("userhash"), stale: flag("stale") };
}

/** The hash counts, and then that a qop keeps the answer from being used for another request. */
function strength({ algorithm, qop }: DigestChallenge): number {
  const hashes = [...HASHES.keys()];
  return 2 * (hashes.length - hashes.indexOf(baseOf(algorithm))) + (qop === null ? 0 : 1);
}

/** Runtimes lack some: a Node that is FIPS's has no MD5. */
function isAvailable(algorithm: DigestAlgorithm): boolean {
  return getHashes().includes(hashOf(algorithm));
}

function isSession(algorithm: DigestAlgorithm): boolean {
  return algorithm.endsWith("-sess");
}

function baseOf(algorithm: DigestAlgorithm): string {
  return algorithm.replace(/-sess$/, "");
}

/** Node's name. */
export function hashOf(algorithm: DigestAlgorithm): string {
  return HASHES.get(baseOf(algorithm)) ?? ""; // every one is there
}

/** What one request says that it is asked for. */
export interface DigestRequest {
  readonly method: string;
  /** As it stands in the request line. */
  readonly uri: string;
  /** The hash of the body, in hex: for `auth-int`. */
  readonly bodyHash: string | null;
}

/** Requests that answer one challenge, counted. Lives until its nonce is refused. */
export class DigestSession {
  readonly challenge: DigestChallenge;
  readonly #username: string;
  readonly #user: string;
  readonly #cnonce: string;
  /** H(A1): made once, also where it has the first nonce in it (RFC 7616 §3.4.2). The password is not needed again. */
  readonly #secret: string;
  #nonce: string;
  #count = 0;

  /** @param cnonce of the client's making; chance, in characters that need no escape */
  constructor(challenge: DigestChallenge, username: string, password: string, cnonce: string) {
    this.challenge = challenge;
    this.#username = username.normalize("NFC");
    this.#user = binary(this.#username);
    this.#cnonce = cnonce;
    this.#nonce = challenge.nonce;
    const own = this.#hash(`${this.#user}:${challenge.realm}:${binary(password.normalize("NFC"))}`);
    this.#secret = isSession(challenge.algorithm) ? this.#hash(`${own}:${challenge.nonce}:${cnonce}`) : own;
  }

  /** The server wants another nonce for what follows (RFC 7616 §3.5). */
  nextNonce(nonce: string): void {
    if (nonce === this.#nonce) return;
    this.#nonce = nonce;
    this.#count = 0;
  }

  /** The value of Authorization; each is counted, so each is for one request. */
  authorization({ method, uri, bodyHash }: DigestRequest): string {
    const { realm, opaque, algorithmText, qop, userhash } = this.challenge;
    const count = (++this.#count).toString(16).padStart(8, "0");
    const asked = this.#hash(qop === "auth-int" ? `${method}:${uri}:${bodyHash}` : `${method}:${uri}`);
    const between = qop === null ? "" : `${count}:${this.#cnonce}:${qop}:`;
    const response = this.#hash(`${this.#secret}:${this.#nonce}:${between}${asked}`);
    const parts = [
      userhash ? `username="${this.#hash(`${this.#user}:${realm}`)}"` : this.#name(),
      `realm=${quoted(realm)}`,
      `nonce=${quoted(this.#nonce)}`,
      `uri=${quoted(uri)}`,
      `response="${response}"`,
    ];
    if (algorithmText !== null) parts.push(`algorithm=${algorithmText}`);
    if (opaque !== null) parts.push(`opaque=${quoted(opaque)}`);
    if (qop !== null) parts.push(`qop=${qop}`, `nc=${count}`, `cnonce="${this.#cnonce}"`);
    if (userhash) parts.push("userhash=true");
    return `Digest ${parts.join(", ")}`;
  }

  #name(): string {
    const name = this.#username;
    if (/^[ -~]*$/.test(name)) return `username=${quoted(name)}`;
    const escaped = encodeURIComponent(name).replace(
      /['()*]/g,
      (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
    );
    return `username*=UTF-8''${escaped}`;
  }

  #hash(text: string): string {
    return createHash(hashOf(this.challenge.algorithm)).update(text, "latin1").digest("hex");
  }
}

function binary(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
