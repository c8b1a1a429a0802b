/**
 * A server on the loopback that asks for Digest and checks every answer by itself: the hash, that a count is used once, the
 * nonce, `uri`, `algorithm`, `qop`. Its hashes are calculated here, not by what is under test.
 */

import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface DigestServerOptions {
  /** Fields of a 401, where `NONCE` stands for a new one. Default: one challenge. */
  readonly challenges?: readonly string[];
  readonly username?: string;
  readonly password?: string;
  /** Requests after which a nonce is stale. */
  readonly uses?: number;
  /** Sends a new nonce in Authentication-Info with each answer. */
  readonly nextNonce?: boolean;
}

export class DigestServer {
  /** `200`, `401 new`, `401 stale` or `401 wrong: why`, for each request. */
  readonly log: string[] = [];
  readonly authorizations: Map<string, string>[] = [];
  sockets = 0;
  readonly #options: DigestServerOptions;
  readonly #nonces = new Map<string, Set<string>>();
  /** The nonce of the challenge that a nextnonce goes back to: A1 of -sess has that one (RFC 7616 §3.4.2). */
  readonly #primes = new Map<string, string>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  constructor(options: DigestServerOptions = {}) {
    this.#options = options;
    this.#server.on("connection", () => this.sockets++);
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const verdict = this.#judge(request, body);
    this.log.push(verdict);
    if (verdict === "200") {
      if (this.#options.nextNonce) {
        const next = this.#nonce();
        const nonce = this.authorizations.at(-1)?.get("nonce") ?? "";
        this.#primes.set(next, this.#primes.get(nonce) ?? nonce);
        response.setHeader("Authentication-Info", `qop=auth, nextnonce="${next}"`);
      }
      response.end(`hello, ${body.length} bytes`);
      return;
    }
    const nonce = this.#nonce();
    const { challenges = ['Digest realm="spec", qop="auth", algorithm=SHA-256, nonce="NONCE", opaque="o"'] } =
      this.#options;
    const stale = verdict === "401 stale" ? ", stale=true" : "";
    response.writeHead(401, { "WWW-Authenticate": challenges.map((one) => one.replaceAll("NONCE", nonce) + stale) });
    response.end("x".repeat(10_000)); // to be drained
  }

  #nonce(): string {
    const nonce = randomBytes(9).toString("base64");
    this.#nonces.set(nonce, new Set());
    return nonce;
  }

  #judge(request: IncomingMessage, body: Buffer): string {
    const { username = "ann", password = 's3cret, "it" is', uses = Number.POSITIVE_INFINITY } = this.#options;
    const field = request.headers.authorization;
    if (field === undefined) return "401 new";
    const [, rest = ""] = /^Digest (.*)$/.exec(field) ?? [];
    const given = new Map<string, string>();
    for (const [, name = "", quoted, word = ""] of rest.matchAll(/([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)) {
      given.set(name, quoted === undefined ? word : quoted.replace(/\\(.)/g, "$1"));
    }
    this.authorizations.push(given);
    const seen = this.#nonces.get(given.get("nonce") ?? "");
    if (seen === undefined) return "401 wrong: unknown nonce";
    const algorithm = given.get("algorithm") ?? "MD5";
    const name = { MD5: "md5", "SHA-256": "sha256", "SHA-512-256": "sha512-256" }[algorithm.replace("-sess", "")];
    const hash = (text: string | Buffer) =>
      createHash(name as string)
        .update(text)
        .digest("hex");
    const realm = given.get("realm");
    const user = given.get("userhash") === "true" ? hash(`${username}:${realm}`) : username;
    const said = given.get("username") ?? decodeURIComponent((given.get("username*") ?? "").replace("UTF-8''", ""));
    if (said !== user) return "401 wrong: username";
    if (given.get("uri") !== request.url) return "401 wrong: uri";
    const [nonce, nc, cnonce, qop] = ["nonce", "nc", "cnonce", "qop"].map((one) => given.get(one));
    let a1 = hash(`${username}:${realm}:${password}`);
    if (algorithm.endsWith("-sess")) a1 = hash(`${a1}:${this.#primes.get(nonce ?? "") ?? nonce}:${cnonce}`);
    const a2 = hash(`${request.method}:${request.url}${qop === "auth-int" ? `:${hash(body)}` : ""}`);
    const expected =
      qop === undefined ? hash(`${a1}:${nonce}:${a2}`) : hash(`${a1}:${nonce}:${nc}:${cnonce}:${qop}:${a2}`);
    if (given.get("response") !== expected) return "401 wrong: response";
    if (qop !== undefined) {
      if (!/^[0-9a-f]{8}$/.test(nc ?? "") || seen.has(nc ?? "")) return `401 wrong: nc ${nc} again`;
      seen.add(nc ?? "");
    }
    return seen.size > uses ? "401 stale" : "200";
  }
}
