/**
 * The TLS identities of one transport: what a call's own `tls` makes of the transport's, so that connections and sessions
 * are shared by calls that mean the same, and by no others. Identity is the whole of the options: trust, names, client
 * certificate, ciphers, pins; the bytes of a certificate count, the object that holds them does not.
 *
 * Lives as long as its transport. Owns a TlsLayer, with a secure context and sessions, for each identity of late.
 *
 * Never: believes an object that was changed since it was last seen; lets a digest out, which is made of secrets: the
 * world sees a number.
 *
 * Calls without `tls` never come here. RFC 9110 §4.3.4; CVE-2016-5420, CVE-2024-35195 are what shared connections led to.
 */

import { wrongType } from "../message/options.ts";
import { CONTEXT_OPTIONS, checkTlsOptions, TlsLayer, type TlsOptions } from "./tls.ts";

export interface TlsIdentity {
  /** 1 and up; not used again within a transport. */
  readonly id: number;
  readonly layer: TlsLayer;
}

/** Each may hold a secure context, some hundred KiB. One that is dropped gets another number when it comes again. */
const IDENTITIES_MAX = 256;

/** Who we are: taken whole, from the call or from the transport. A key of one is no good for a certificate of the other. */
const CLIENT_OPTIONS: readonly string[] = [
  "cert",
  "key",
  "passphrase",
  "pfx",
  "clientCertEngine",
  "privateKeyEngine",
  "privateKeyIdentifier",
];

interface Known {
  /** What the object held when it was looked at. */
  readonly contents: readonly unknown[];
  readonly identity: TlsIdentity | null;
}

export class TlsIdentities {
  readonly #base: TlsOptions;
  #baseDigest: string | null = null;
  readonly #known = new WeakMap<object, Known>();
  /** The most recently used last. */
  readonly #byDigest = new Map<string, TlsIdentity>();
  readonly #references = new WeakMap<object, number>();
  #lastReference = 0;
  #lastId = 0;

  /** @param base the transport's own options, checked */
  constructor(base: TlsOptions = {}) {
    this.#base = copyOfOptions(Object.entries(base));
  }

  /**
   * Whose connections a call with these options may use; null: those of calls without any.
   *
   * @throws {TypeError} see `checkTlsOptions`
   */
  of(options: TlsOptions): TlsIdentity | null {
    const contents = contentsOf(options);
    const known = this.#known.get(options);
    if (known !== undefined && isSame(known.contents, contents)) return known.identity;
    const merged = mergeTls(this.#base, checkTlsOptions(options));
    const identity = this.#find(checkTlsOptions(merged));
    this.#known.set(options, { contents, identity });
    return identity;
  }

  /** Forgets all, with their sessions. */
  clear(): void {
    for (const { layer } of this.#byDigest.values()) layer.clear();
    this.#byDigest.clear();
  }

  #find(options: TlsOptions): TlsIdentity | null {
    const digest = this.#digest(options);
    this.#baseDigest ??= this.#digest(this.#base);
    if (digest === this.#baseDigest) return null;
    let identity = this.#byDigest.get(digest);
    if (identity === undefined) identity = { id: ++this.#lastId, layer: new TlsLayer(options) };
    else this.#byDigest.delete(digest);
    this.#byDigest.set(digest, identity);
    if (this.#byDigest.size > IDENTITIES_MAX) {
      const [oldest] = this.#byDigest.keys();
      this.#byDigest.delete(oldest!); // there are more than IDENTITIES_MAX
    }
    return identity;
  }

  #digest(options: TlsOptions): string {
    const hash = process.getBuiltinModule("node:crypto").createHash("sha256");
    for (const [name, value] of Object.entries(options).sort(byName)) {
      hash.update(`${name}=`);
      this.#feed(hash, value);
    }
    return hash.digest("hex");
  }

  /** Each value with its kind and length, so that no two lists of values feed the same bytes. */
  #feed(hash: import("node:crypto").Hash, value: unknown): void {
    if (typeof value === "string") {
      hash.update(`s${Buffer.byteLength(value)}:`).update(value);
    } else if (ArrayBuffer.isView(value)) {
      const bytes = bytesOf(value);
      hash.update(`b${bytes.length}:`).update(bytes);
    } else if (Array.isArray(value)) {
      hash.update(`a${value.length}:`);
      for (const item of value) this.#feed(hash, item);
    } else if (isPlain(value)) {
      const entries = Object.entries(value).sort(byName);
      hash.update(`o${entries.length}:`);
      for (const [name, item] of entries) {
        this.#feed(hash, name);
        this.#feed(hash, item);
      }
    } else if (typeof value === "function" || (typeof value === "object" && value !== null)) {
      hash.update(`r${this.#referenceOf(value)};`); // nothing to compare but itself
    } else {
      hash.update(`${typeof value} ${String(value)};`);
    }
  }

  #referenceOf(value: object): number {
    let reference = this.#references.get(value);
    if (reference === undefined) {
      reference = ++this.#lastReference;
      this.#references.set(value, reference);
    }
    return reference;
  }
}

/** Belongs to the origin that a call is for, and to no other that it is redirected to. A context may hold a certificate. */
const OF_ONE_ORIGIN: readonly string[] = [...CLIENT_OPTIONS, "pskCallback", "secureContext", "servername"];

/** What is left of a call's options for another origin. What restricts stays: a pin of the first fails there. */
export function beyondOrigin(tls: TlsOptions): TlsOptions {
  return Object.fromEntries(Object.entries(tls).filter(([name]) => !OF_ONE_ORIGIN.includes(name)));
}

/**
 * The call's options in the place of the transport's, each by its name, but for two groups that are taken whole: who we
 * are, and what goes into a secure context where the call brings one. Lists and bytes are copied: what is made of them is
 * made later, and is to be what was looked at here.
 */
function mergeTls(base: TlsOptions, own: TlsOptions): TlsOptions {
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  const names = new Set(given.map(([name]) => name));
  const isWhole = CLIENT_OPTIONS.some((name) => names.has(name));
  const kept = Object.entries(base).filter(([name]) => {
    if (names.has("secureContext")) return !CONTEXT_OPTIONS.includes(name);
    return !(isWhole && CLIENT_OPTIONS.includes(name));
  });
  return copyOfOptions([...kept, ...given]);
}

function copyOfOptions(entries: readonly [string, unknown][]): TlsOptions {
  return Object.fromEntries(entries.map(([name, value]) => [name, copyOf(value)])) as TlsOptions; // as checked as they were
}

function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (ArrayBuffer.isView(value)) return Buffer.from(bytesOf(value));
  if (isPlain(value)) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyOf(item)]));
  return value;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Names and values, those in lists and plain objects too. Bytes stand for themselves: they must not be written to. */
function contentsOf(options: TlsOptions): readonly unknown[] {
  if (typeof options !== "object" || options === null) throw wrongType("tls", "an object", options);
  const contents: unknown[] = [];
  const visit = (value: unknown) => {
    contents.push(value);
    if (Array.isArray(value)) value.forEach(visit);
    else if (isPlain(value)) Object.entries(value).flat().forEach(visit);
  };
  Object.entries(options).flat().forEach(visit);
  return contents;
}

function isSame(before: readonly unknown[], now: readonly unknown[]): boolean {
  return before.length === now.length && before.every((value, index) => value === now[index]);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
