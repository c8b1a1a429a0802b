/**
 * Pins: which certificates may be pinned, in which form; and that nothing gets round them: no forged chain, no resumed
 * session, no dialer.
 */

import { createHash, X509Certificate } from "node:crypto";
import { connect as connectTls, createServer, type TlsOptions as ServerOptions, type TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { checkTlsOptions } from "../../lib/conn/tls.ts";
import { Client, TlsError, type TlsOptions, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { duplexPair } from "../support/duplex-pair.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { rawOrigin } from "../support/raw-proxy.ts";

checkLeaks();

const authority = new CertificateAuthority();
const middle = authority.intermediate();
const names = ["DNS:localhost", "IP:127.0.0.1"];
const leaf = authority.issue({ names, by: middle });
const served = { key: leaf.key, cert: `${leaf.cert}${middle.cert}` };
const stranger = authority.issue({ names });
const { cert: ca } = authority;

function keyPin(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256/${createHash("sha256").update(spki).digest("base64")}`;
}
const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256;

async function got(url: string, tls: TlsOptions, options: TransportOptions = {}): Promise<unknown> {
  const transport = new Transport({ ...options, tls });
  try {
    return (await new Client({ transport }).get(url)).status;
  } catch (error) {
    return error;
  } finally {
    await transport.destroy();
  }
}

describe("tls.pins takes", () => {
  test.each([
    ["the leaf's key", keyPin(leaf.cert)],
    ["the key of an intermediate authority", keyPin(middle.cert)],
    ["the key of the root", keyPin(ca)],
    ["the leaf's fingerprint, as Node's fingerprint256", fingerprint(leaf.cert)],
    ["the same in small letters", fingerprint(leaf.cert).toLowerCase()],
  ])("%s, alone and among others", async (_, pin) => {
    await using origin = await rawOrigin(served);
    expect(await got(origin.url(), { ca, pins: [pin] })).toBe(200);
    expect(await got(origin.url(), { ca, pins: [keyPin(stranger.cert), pin] })).toBe(200);
  });
});

describe("tls.pins refuses", () => {
  test.each([
    ["another key", keyPin(stranger.cert)],
    ["another leaf's fingerprint", fingerprint(stranger.cert)],
    ["the fingerprint of an authority: that is for leaves", fingerprint(ca)],
  ])("%s, with what was seen, before a byte of the request", async (_, pin) => {
    await using origin = await rawOrigin(served);
    const error = await got(origin.url(), { ca, pins: [pin] });
    expect(error).toBeInstanceOf(TlsError);
    const keys = [leaf.cert, middle.cert, ca].map(keyPin);
    expect(error).toMatchObject({
      code: "ERR_HTTP_TLS",
      phase: "tls",
      safeToRetry: true,
      pins: { expected: [pin], seen: [...keys, fingerprint(leaf.cert)] },
      message: expect.stringContaining(
        `no certificate of its chain is pinned; seen, from the leaf on: ${keys.join(", ")}`,
      ),
    });
    expect(origin.heads).toEqual([]);
  });

  test("a chain with a pinned key in a certificate that has signed nothing (CVE-2016-2402 of okhttp)", async () => {
    // The pinned authority's public key under the name of another trusted one, which has signed the leaf.
    const other = new CertificateAuthority("Another authority");
    const misissued = other.issue({ names });
    const forged = authority.forgedAs(other);
    const chain = { key: misissued.key, cert: `${misissued.cert}${forged}` };
    await using origin = await rawOrigin(chain);
    const trust = [ca, other.cert];
    expect(await got(origin.url(), { ca: trust })).toBe(200);
    expect(keyPin(forged)).toBe(keyPin(ca));
    expect(await got(origin.url(), { ca: trust, pins: [keyPin(ca)] })).toMatchObject({
      name: "TlsError",
      pins: { seen: expect.not.arrayContaining([keyPin(ca)]) },
    });
    expect(origin.heads).toHaveLength(1); // of the call without pins
  });

  test("an authority of a chain that is not verified, though it has signed the leaf", async () => {
    await using origin = await rawOrigin(served);
    const unverified = { rejectUnauthorized: false };
    expect(await got(origin.url(), { ...unverified, pins: [keyPin(middle.cert)] })).toMatchObject({
      name: "TlsError",
      pins: { seen: [keyPin(leaf.cert), fingerprint(leaf.cert)] },
      message: expect.stringContaining("unverified, does not count"),
    });
    expect(origin.heads).toEqual([]);
    expect(await got(origin.url(), { ...unverified, pins: [keyPin(leaf.cert)] })).toBe(200);
    expect(await got(origin.url(), { ...unverified, pins: [fingerprint(leaf.cert)] })).toBe(200);
  });

  test("a certificate that fails otherwise, though its key is pinned", async () => {
    const expired = authority.issue({ names, expired: true });
    await using origin = await rawOrigin(expired);
    expect(await got(origin.url(), { ca, pins: [keyPin(expired.cert)] })).toMatchObject({
      cause: { code: "CERT_HAS_EXPIRED" },
    });
  });
});

describe.each(["TLSv1.2", "TLSv1.3"] as const)("tls.pins and sessions, %s", (version) => {
  const sessions = { ca, maxVersion: version, keepAlive: false };

  async function resumptions(url: string, tls: TlsOptions, count: number): Promise<(boolean | string | undefined)[]> {
    await using transport = new Transport({ tls, keepAlive: false });
    const client = new Client({ transport });
    const seen: (boolean | string | undefined)[] = [];
    for (let i = 0; i < count; i++) {
      try {
        const response = await client.get(url);
        await response.text();
        seen.push(response.connection?.tls?.resumed);
      } catch (error) {
        seen.push((error as Error).name);
      }
    }
    return seen;
  }

  test("a session of a peer that was pinned is resumed", async () => {
    await using origin = await rawOrigin(served);
    const { keepAlive: _, ...tls } = sessions;
    expect(await resumptions(origin.url(), { ...tls, pins: [keyPin(leaf.cert)] }, 3)).toEqual([false, true, true]);
  });

  test("one of a peer that was refused is not kept, so it cannot get in by it", async () => {
    await using origin = await rawOrigin(served);
    const { keepAlive: _, ...tls } = sessions;
    expect(await resumptions(origin.url(), { ...tls, pins: [keyPin(stranger.cert)] }, 4)).toEqual(
      Array(4).fill("TlsError"),
    );
    expect(origin.heads).toEqual([]);
  });

  test("one that was made without the pin, or under another, is not used with it", async () => {
    await using origin = await rawOrigin(served);
    const { keepAlive: _, ...tls } = sessions;
    await using transport = new Transport({ tls, keepAlive: false });
    const client = new Client({ transport });
    for (const expected of [false, true]) {
      const response = await client.get(origin.url());
      await response.text();
      expect(response.connection?.tls?.resumed).toBe(expected);
    }
    await expect(client.get(origin.url(), { tls: { pins: [keyPin(stranger.cert)] } })).rejects.toThrow("tls.pins");
    const pinned = await client.get(origin.url(), { tls: { pins: [keyPin(leaf.cert)] } });
    expect(pinned.connection?.tls?.resumed).toBe(false);
    await pinned.text();
  });
});

describe("tls.pins with dialTls", () => {
  async function server(options: ServerOptions) {
    const sockets: TLSSocket[] = [];
    const tls = createServer(options, (socket) => {
      sockets.push(socket.on("error", () => {}));
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    });
    tls.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => tls.listen(0, "127.0.0.1", resolve));
    const { port } = tls.address() as { port: number };
    return {
      port,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => tls.close(resolve));
      },
    };
  }

  test("are judged on what the dialer gives, its handshake done or not", async () => {
    await using origin = await server(served);
    const dial = () => connectTls({ port: origin.port, host: "127.0.0.1", ca, servername: "localhost" });
    const done = async () => {
      const socket = dial();
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      return socket;
    };
    for (const dialTls of [dial, done]) {
      expect(await got("https://localhost/", { pins: [keyPin(middle.cert)] }, { dialTls })).toBe(200);
      expect(await got("https://localhost/", { pins: [keyPin(stranger.cert)] }, { dialTls })).toMatchObject({
        name: "TlsError",
        pins: { expected: [keyPin(stranger.cert)] },
      });
    }
  });

  test("refuse what shows no certificates: a stream that is no TLSSocket, a session that was resumed", async () => {
    const [near, far] = duplexPair();
    far.resume();
    expect(await got("https://localhost/", { pins: [keyPin(leaf.cert)] }, { dialTls: () => near })).toMatchObject({
      name: "TlsError",
      message: expect.stringContaining("dialTls gave no TLSSocket"),
      pins: { seen: [] },
    });
    expect(near.destroyed).toBe(true);
    far.destroy();

    await using origin = await server({ ...served, maxVersion: "TLSv1.2" });
    const options = { port: origin.port, host: "127.0.0.1", ca, servername: "localhost" };
    const first = connectTls(options);
    const session = await new Promise<Buffer>((resolve) => first.once("session", resolve));
    first.destroy();
    const dial = () => connectTls({ ...options, session });
    const done = async () => {
      const socket = dial();
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      return socket;
    };
    for (const dialTls of [dial, done]) {
      expect(await got("https://localhost/", { pins: [keyPin(leaf.cert)] }, { dialTls })).toMatchObject({
        name: "TlsError",
        message: expect.stringContaining("dialTls resumed a session"),
      });
    }
  });
});

describe("checkTlsOptions()", () => {
  test.each([
    ["no list", "sha256/x", /tls.pins must be a list of pins/],
    ["an empty list, which would pin nothing", [], /tls.pins must have a pin/],
    ["what is no text", [1], /a list of strings: it is number/],
    ["another hash", ["sha1/AAAAAAAAAAAAAAAAAAAAAAAAAAA="], /a pin is "sha256\/"/],
    ["a hash of another length", ["sha256/AAAA"], /a pin is/],
    ["bits that stand for nothing", [`sha256/${"A".repeat(42)}B=`], /a pin is/],
    ["hex without colons", ["ab".repeat(32)], /a pin is/],
    ["something in front of a key", [`xxxxsha256/${"A".repeat(43)}=`], /a pin is/],
    ["something behind a key", [`sha256/${"A".repeat(43)}=x`], /a pin is/],
    ["something in front of a fingerprint", [`0${Array(32).fill("AB").join(":")}`], /a pin is/],
    ["something behind a fingerprint", [`${Array(32).fill("AB").join(":")}:AB`], /a pin is/],
  ])("refuses %s as pins", (_, pins, message) => {
    expect(() => checkTlsOptions({ pins })).toThrow(message);
    expect(() => checkTlsOptions({ pins })).toThrow(TypeError);
  });
});
