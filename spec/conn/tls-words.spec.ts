/** TLS without a handshake: what goes into one, what is kept of it, and the words for one that failed. */

import { X509Certificate } from "node:crypto";
import { EventEmitter } from "node:events";
import { createSecureContext, type PeerCertificate, type TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { CONTEXT_OPTIONS, checkTlsOptions, TLS_OPTIONS, TlsLayer, tlsErrorOf } from "../../lib/conn/tls.ts";
import { checkPins, requirePin } from "../../lib/conn/tls-pins.ts";
import { TlsError } from "../../lib/errors.ts";
import { CertificateAuthority } from "../support/certs.ts";

const peer = { host: "a.test", port: 443 };
const certificate = {} as PeerCertificate; // nobody looks at it

/** A socket by its events, and what a layer asks of one. */
const fakeSocket = (given: Record<string, unknown> = {}) =>
  Object.assign(new EventEmitter(), { isSessionReused: () => false, ...given }) as unknown as TLSSocket; // all that is used

describe("the options of TLS", () => {
  test("are those of a context, of a connection, and our own", () => {
    expect(CONTEXT_OPTIONS).toEqual([
      ...["ca", "cert", "key", "passphrase", "pfx", "ciphers", "minVersion", "maxVersion", "crl", "sigalgs"],
      ...["ecdhCurve", "dhparam", "honorCipherOrder", "secureOptions", "secureProtocol", "sessionIdContext"],
      ...["sessionTimeout", "ticketKeys", "clientCertEngine", "privateKeyEngine", "privateKeyIdentifier"],
      ...["allowPartialTrustChain", "certificateCompression"],
    ]);
    expect(TLS_OPTIONS).toEqual([
      ...CONTEXT_OPTIONS,
      ...["servername", "rejectUnauthorized", "checkServerIdentity", "ALPNProtocols", "secureContext", "minDHSize"],
      ...["enableTrace", "requestOCSP", "pskCallback", "pins"],
    ]);
    for (const name of TLS_OPTIONS) expect(() => checkTlsOptions({ [name]: undefined })).not.toThrow();
  });

  test.each([
    [null, "null"],
    [[], "Array"],
    ["on", "string"],
  ])("are an object: %j is none", (options, kind) => {
    expect(() => checkTlsOptions(options)).toThrow(new TypeError(`Option tls must be an object: it is ${kind}`));
  });

  test.each<[string, unknown]>([
    ["rejectUnauthorized", false],
    ["minDHSize", 1],
    ["enableTrace", true],
    ["requestOCSP", true],
    ["pskCallback", () => null],
    ["ALPNProtocols", ["x"]],
  ])("%s goes to each connection", (name, value) => {
    expect(new TlsLayer({ [name]: value }).handshakeOptions(peer)).toMatchObject({ [name]: value });
  });

  test("those of a context go into one, which is made once; a given one is used", () => {
    const layer = new TlsLayer({ ciphers: "ECDHE-RSA-AES128-GCM-SHA256", minVersion: "TLSv1.2" });
    const { secureContext, ...rest } = layer.handshakeOptions(peer);
    expect(secureContext).toBeDefined();
    expect(layer.handshakeOptions({ ...peer, port: 1 }).secureContext).toBe(secureContext);
    expect("ciphers" in rest || "minVersion" in rest).toBe(false);
    expect(() => new TlsLayer({ ciphers: "NONE-SUCH" }).handshakeOptions(peer)).toThrow(TlsError);
    const given = createSecureContext();
    expect(new TlsLayer({ secureContext: given }).handshakeOptions(peer).secureContext).toBe(given);
  });
});

describe("TlsLayer.handshakeOptions()", () => {
  test("offers what the peer has, else the option, else http/1.1", () => {
    expect(new TlsLayer().handshakeOptions(peer).ALPNProtocols).toEqual(["http/1.1"]);
    expect(new TlsLayer({ ALPNProtocols: undefined }).handshakeOptions(peer).ALPNProtocols).toEqual(["http/1.1"]);
    const own = new TlsLayer({ ALPNProtocols: ["x"] });
    expect(own.handshakeOptions(peer).ALPNProtocols).toEqual(["x"]);
    expect(own.handshakeOptions({ ...peer, alpn: ["h2", "http/1.1"] }).ALPNProtocols).toEqual(["h2", "http/1.1"]);
  });

  test.each<[string, { host: string; serverName?: string }, string | undefined, string, string]>([
    ["the host", { host: "A.Test." }, undefined, "a.test", "a.test"],
    ["the target's serverName", { host: "a.test", serverName: "B.test" }, undefined, "b.test", "b.test"],
    ["tls.servername", { host: "a.test", serverName: "b.test" }, "C.test.", "c.test", "c.test"],
    ["an address, of which no name is asked", { host: "10.0.0.1" }, undefined, "", "10.0.0.1"],
    ["an address without its zone", { host: "fe80::1%eth0" }, undefined, "", "fe80::1"],
    ["a name with dots at its end but one", { host: "a.test.." }, undefined, "a.test.", "a.test."],
  ])("asks for and verifies %s", (_, target, servername, asked, verified) => {
    const names: string[] = [];
    const layer = new TlsLayer({
      ...(servername === undefined ? {} : { servername }),
      checkServerIdentity: (name) => void names.push(name) as undefined,
    });
    const options = layer.handshakeOptions({ port: 443, ...target });
    expect(options.servername).toBe(asked);
    expect(options.checkServerIdentity?.("what node says", certificate)).toBeUndefined();
    expect(names).toEqual([verified]);
  });

  test("what the check throws is its answer, as an Error", () => {
    const answer = (thrown: unknown) => {
      const checkServerIdentity = () => {
        throw thrown;
      };
      return new TlsLayer({ checkServerIdentity }).handshakeOptions(peer).checkServerIdentity?.("", certificate);
    };
    const broken = new RangeError("no");
    expect(answer(broken)).toBe(broken);
    expect(answer("a word")).toMatchObject({ message: "tls.checkServerIdentity has thrown", cause: "a word" });
  });

  test("verifies by node's own check where there is no other", () => {
    const { checkServerIdentity } = new TlsLayer().handshakeOptions(peer);
    const other = { subject: { CN: "b.test" }, subjectaltname: "DNS:b.test" } as PeerCertificate; // what is looked at
    expect(checkServerIdentity?.("", other)).toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
  });
});

describe("TlsLayer: sessions", () => {
  const kept = (layer: TlsLayer, whose: Parameters<TlsLayer["handshakeOptions"]>[0] = peer) =>
    layer.handshakeOptions(whose).session?.toString();

  test("that come before the last word are kept with it, and not without", () => {
    const layer = new TlsLayer();
    const socket = fakeSocket();
    layer.watch(socket, peer);
    socket.emit("session", Buffer.from("early"));
    expect(kept(layer)).toBeUndefined();
    layer.accept(socket, peer, "");
    expect(kept(layer)).toBe("early");
    socket.emit("session", Buffer.from("later"));
    expect(kept(layer)).toBe("later");
  });

  test("of other sockets are not touched by one that has none", () => {
    const layer = new TlsLayer();
    const socket = fakeSocket();
    layer.watch(socket, peer);
    layer.accept(socket, peer, "");
    socket.emit("session", Buffer.from("one"));
    layer.accept(fakeSocket(), peer, "");
    expect(kept(layer)).toBe("one");
    layer.clear();
    expect(kept(layer)).toBeUndefined();
  });

  test("belong to a name, a host, a port and what is offered", () => {
    const layer = new TlsLayer();
    const all = [
      peer,
      { ...peer, port: 444 },
      { ...peer, host: "b.test", serverName: "a.test" },
      { ...peer, serverName: "c.test" },
      { ...peer, alpn: ["h2", "http/1.1"] },
      { ...peer, alpn: ["h2http/1.1"] },
      { ...peer, alpn: [] },
      { ...peer, port: 444, alpn: ["h2", "http/1.1"] },
    ];
    for (const [i, whose] of all.entries()) {
      expect(kept(layer, whose)).toBeUndefined();
      const socket = fakeSocket();
      layer.watch(socket, whose);
      layer.accept(socket, whose, "");
      socket.emit("session", Buffer.from(`${i}`));
    }
    expect(all.map((whose) => kept(layer, whose))).toEqual(all.map((_, i) => `${i}`));
  });
});

describe("tlsErrorOf()", () => {
  const HTTP = "server gave HTTP response to HTTPS client";
  const CLOSED = "the connection was closed during the handshake";
  const UNKNOWN = "the issuer of its certificate is unknown";
  const CHAIN = "give the issuer's certificate as tls.ca; the server may have left out an intermediate one";
  const VERSIONS = "see tls.minVersion and tls.maxVersion";
  test.each([
    ["ERR_SSL_WRONG_VERSION_NUMBER", HTTP, "is this the port for https?"],
    ["ERR_SSL_PACKET_LENGTH_TOO_LONG", HTTP, "is this the port for https?"],
    [
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "its certificate is for other names",
      "ask for one of those, or set tls.servername if this is the server you mean",
    ],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is self-signed", "give it as tls.ca if you trust it"],
    [
      "SELF_SIGNED_CERT_IN_CHAIN",
      "its certificate comes from an authority that is not trusted",
      "give the authority's certificate as tls.ca if you trust it",
    ],
    ["UNABLE_TO_GET_ISSUER_CERT", UNKNOWN, "give the issuer's certificate as tls.ca"],
    ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", UNKNOWN, CHAIN],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", UNKNOWN, CHAIN],
    ["CERT_HAS_EXPIRED", "its certificate has expired", "it has to be renewed, unless this machine's clock is wrong"],
    ["CERT_NOT_YET_VALID", "its certificate is not valid yet", "is this machine's clock right?"],
    ["CERT_REVOKED", "its certificate was revoked", null],
    ["ECONNRESET", CLOSED, null],
    ["EPIPE", CLOSED, null],
    ["ERR_SSL_UNSUPPORTED_PROTOCOL", "no TLS version is common to both sides", VERSIONS],
    ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "the server refused this TLS version", VERSIONS],
    [
      "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
      "the server refused the handshake",
      "it may want other ciphers, or a client certificate (tls.cert and tls.key)",
    ],
    ["ERR_SOMETHING_ELSE", "the handshake failed", null],
  ])("says what %s means, and what to do", (code, state, advice) => {
    const cause = Object.assign(new Error("x"), { code });
    const error = tlsErrorOf(cause, "a.test:443");
    expect(error).toBeInstanceOf(TlsError);
    const hint = advice === null ? "" : `; ${advice}`;
    expect(error.message).toBe(`Cannot secure connection to a.test:443: ${state} (${code})${hint}`);
    expect(error.cause).toBe(cause);
  });

  test("of what has no code, or is no error, says that it failed; one of ours is passed on", () => {
    for (const cause of [new Error("x"), "a word", { code: "EPIPE" }]) {
      const error = tlsErrorOf(cause, "a.test:443");
      expect(error.message).toBe("Cannot secure connection to a.test:443: the handshake failed");
      expect(error.cause).toBe(cause);
    }
    const own = new TlsError("own");
    expect(tlsErrorOf(own, "a.test:443")).toBe(own);
  });
});

describe("requirePin()", () => {
  const authority = new CertificateAuthority();
  const leaf = authority.issue({ names: ["DNS:a.test"] });
  const pins = [`sha256/${"A".repeat(43)}=`];
  const WHAT = "Cannot secure connection to a.test:443";

  /** What a socket shows whose peer has sent these, the leaf first. */
  function shown(...certificates: readonly (string | Buffer)[]): TLSSocket {
    let below: Record<string, unknown> | undefined;
    const all = certificates.map((one) => ({ raw: typeof one === "string" ? new X509Certificate(one).raw : one }));
    for (const one of all.reverse()) below = { ...one, issuerCertificate: below };
    return { getPeerCertificate: () => below ?? {}, authorized: true } as unknown as TLSSocket; // all that is asked
  }

  function refusal(socket: TLSSocket): TlsError {
    try {
      requirePin(socket, pins, WHAT);
    } catch (error) {
      return error as TlsError; // it throws no other
    }
    throw new Error("It was let pass");
  }

  test.each([[{}], [null], [undefined]])("says that the peer showed no certificate: %j", (nothing) => {
    const error = refusal({ getPeerCertificate: () => nothing, authorized: false } as unknown as TLSSocket);
    expect(error.message).toBe(`${WHAT}: the peer showed no certificate, so no pin can match (option tls.pins)`);
    expect(error.pins).toEqual({ expected: pins, seen: [] });
  });

  test("counts no certificate that is no authority, though its key has signed the one below", () => {
    const below = authority.issue({ names: ["DNS:a.test"], by: { name: "leaf1", ...leaf } });
    expect(refusal(shown(below.cert, leaf.cert, authority.cert)).pins?.seen).toHaveLength(2); // the leaf's key and print
    expect(refusal(shown(leaf.cert, authority.cert)).pins?.seen).toHaveLength(3);
  });

  test("counts no authority of another name, or whose key nobody knows", () => {
    const other = new CertificateAuthority("Another");
    expect(refusal(shown(leaf.cert, other.cert)).pins?.seen).toHaveLength(2);
    const { raw } = new X509Certificate(authority.cert);
    const kind = Buffer.from("2a8648ce3d0201", "hex"); // id-ecPublicKey
    const at = raw.indexOf(kind);
    expect(at).toBeGreaterThan(0);
    const strange = Buffer.from(raw);
    strange[at + kind.length - 1] = 0x7f;
    expect(() => new X509Certificate(strange).publicKey).toThrow();
    expect(refusal(shown(leaf.cert, strange)).pins?.seen).toHaveLength(2);
  });

  test("looks at sixteen certificates, however many there are", () => {
    const many = Array.from({ length: 40 }, () => authority.cert); // each has signed the next, as itself
    expect(refusal(shown(...many)).pins?.seen).toHaveLength(16 + 1);
  });

  test("says where checkPins() found what is no text", () => {
    expect(() => checkPins([1])).toThrow("Option tls.pins must be a list of strings: it is number");
    expect(() => checkPins("x")).toThrow("Option tls.pins must be a list of pins: it is string");
    expect(() => checkPins([])).toThrow("Option tls.pins must have a pin: leave it out where nothing is pinned");
    expect(() => checkPins(["x"])).toThrow(
      'Option tls.pins has "x": a pin is "sha256/" and the base64 of 32 bytes, or a SHA-256 fingerprint as AB:CD:…',
    );
  });
});
