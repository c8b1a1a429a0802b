/**
 * Whose certificate is judged, in every path: that of the target by the target's name, that of an https proxy by the
 * proxy's (R14). The matrix of {direct, CONNECT, CONNECT over TLS, SOCKS5} and every kind of certificate, the server's and
 * the client's.
 */

import { describe, expect, test } from "vitest";
import { Client, type TlsOptions, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { rawOrigin, rawProxy } from "../support/raw-proxy.ts";
import { type SocksProxy, socksProxy } from "../support/socks-proxy.ts";

checkLeaks();

const authority = new CertificateAuthority();
const stranger = new CertificateAuthority("Authority that nobody knows");
const names = ["IP:127.0.0.1", "DNS:origin.test", "DNS:localhost"];
const CERTIFICATES = {
  valid: { certificate: authority.issue({ names }), code: null },
  expired: { certificate: authority.issue({ names, expired: true }), code: "CERT_HAS_EXPIRED" },
  "wrong host": {
    certificate: authority.issue({ names: ["DNS:other.test", "IP:127.0.0.2"] }),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  "self-signed": { certificate: authority.issue({ names, selfSigned: true }), code: "DEPTH_ZERO_SELF_SIGNED_CERT" },
  "untrusted CA": { certificate: stranger.issue({ names }), code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" },
} as const;
const { valid } = CERTIFICATES;
type Kind = keyof typeof CERTIFICATES;
const KINDS = Object.keys(CERTIFICATES) as Kind[]; // its keys, as the language knows them
const LITERALS = {
  "an address among its names": { certificate: authority.issue({ names: ["IP:127.0.0.1"] }), code: null },
  "names, and no address": {
    certificate: authority.issue({ names: ["DNS:origin.test", "DNS:localhost"] }),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  "the address as a DNS name": {
    certificate: authority.issue({ names: ["DNS:127.0.0.1"] }),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
} as const;

async function get(url: string, options: TransportOptions): Promise<unknown> {
  const transport = new Transport(options);
  try {
    return await (await new Client({ transport }).get(url)).text();
  } catch (error) {
    return error;
  } finally {
    await transport.destroy();
  }
}

const ca = authority.cert;
const PATHS = ["direct", "CONNECT", "CONNECT over TLS", "SOCKS5"] as const;
type Path = (typeof PATHS)[number];

interface Through extends AsyncDisposable {
  readonly options: TransportOptions;
  /** A name of the target that is good in this path. */
  readonly host: string;
}

async function through(path: Path): Promise<Through> {
  let proxy: SocksProxy | Awaited<ReturnType<typeof rawProxy>>;
  // A name that nobody here could resolve is seen to be asked for as it is.
  if (path === "direct") return { options: {}, host: "localhost", [Symbol.asyncDispose]: async () => {} };
  if (path === "SOCKS5") proxy = await socksProxy();
  else proxy = await rawProxy(path === "CONNECT" ? {} : { tls: valid.certificate });
  const dispose = () => proxy[Symbol.asyncDispose]();
  return { options: { proxy: proxy.url }, host: "origin.test", [Symbol.asyncDispose]: dispose };
}

/** Each path with each of the others. */
function crossed<T>(others: readonly T[]): [Path, T][] {
  return PATHS.flatMap((path) => others.map((other): [Path, T] => [path, other]));
}

describe("the target's certificate", () => {
  test.each(crossed(KINDS))("%s, %s", async (path, kind) => {
    const { certificate, code } = CERTIFICATES[kind];
    await using origin = await rawOrigin(certificate);
    await using way = await through(path);
    const got = await get(origin.url("/", way.host), { tls: { ca }, ...way.options });
    if (code === null) expect(got).toBe("the origin saw GET / HTTP/1.1");
    else {
      expect(got).toMatchObject({ name: "TlsError", phase: "tls", safeToRetry: true, cause: { code } });
      expect(got).not.toHaveProperty("proxy");
      expect(origin.heads).toEqual([]);
    }
  });

  const literals = Object.keys(LITERALS) as (keyof typeof LITERALS)[]; // as above
  test.each(crossed(literals))("%s, the target being an address: %s", async (path, kind) => {
    const { certificate, code } = LITERALS[kind];
    await using origin = await rawOrigin(certificate);
    await using way = await through(path);
    const got = await get(origin.url(), { tls: { ca }, ...way.options });
    if (code === null) expect(got).toBe("the origin saw GET / HTTP/1.1");
    else {
      expect(got).toMatchObject({ name: "TlsError", cause: { code } });
      expect(origin.heads).toEqual([]);
    }
  });

  test.each(PATHS)("%s: tls.pins are judged, of the target and not of a proxy", async (path) => {
    await using origin = await rawOrigin(authority.issue({ names }));
    await using way = await through(path);
    const url = origin.url("/", way.host);
    const wrong = await get(url, { tls: { ca, pins: [`sha256/${"A".repeat(43)}=`] }, ...way.options });
    expect(wrong).toMatchObject({ name: "TlsError", message: expect.stringContaining("is pinned") });
    expect(origin.heads).toEqual([]);
    const { seen } = (wrong as { pins: { seen: string[] } }).pins;
    for (const pin of seen) expect(await get(url, { tls: { ca, pins: [pin] }, ...way.options })).toMatch(/^the origin/);
  });
});

describe("a client certificate", () => {
  const demanding = { ...valid.certificate, ca, requestCert: true, rejectUnauthorized: true };
  const clients: Record<string, { identity: TlsOptions; good: boolean }> = {
    "is missing": { identity: {}, good: false },
    "is the right one": { identity: { ...authority.issue({ names: ["DNS:client.test"] }) }, good: true },
    "is of another authority": { identity: { ...stranger.issue({ names: ["DNS:client.test"] }) }, good: false },
  };
  for (const [how, options] of [
    ["the transport's", (tls: TlsOptions) => ({ transport: { ca, ...tls }, call: undefined })],
    ["the call's", (tls: TlsOptions) => ({ transport: { ca }, call: tls })],
  ] as const) {
    test.each(crossed(Object.keys(clients)))(`${how}, %s: it %s`, async (path, name) => {
      const { identity, good } = clients[name]!; // one of its keys
      await using origin = await rawOrigin(demanding);
      await using way = await through(path);
      const { transport: tls, call } = options(identity);
      await using transport = new Transport({ tls, ...way.options });
      const client = new Client({ transport });
      const answer = client.get(origin.url("/", way.host), call === undefined ? {} : { tls: call });
      if (good) expect(await (await answer).text()).toBe("the origin saw GET / HTTP/1.1");
      // With TLS 1.3 the refusal comes after the handshake, in place of an answer.
      else
        await expect(answer).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_HTTP_(TLS|CONNECTION_CLOSED)$/),
        });
      expect(origin.heads).toHaveLength(good ? 1 : 0);
    });
  }
});

describe("an https proxy's certificate", () => {
  const both = (["http", "https"] as const).flatMap((scheme) => KINDS.map((kind) => [scheme, kind] as const));
  test.each(both)("for an %s target, %s", async (scheme, kind) => {
    const { certificate, code } = CERTIFICATES[kind];
    await using origin = await rawOrigin(scheme === "https" ? valid.certificate : undefined);
    await using proxy = await rawProxy({ tls: certificate });
    const secret = proxy.url.replace("//", "//user:secret@");
    const got = await get(origin.url(), { tls: { ca }, proxy: secret });
    if (code === null) expect(got).toMatch(/^the (proxy|origin) saw GET /);
    else {
      expect(got).toMatchObject({ name: "TlsError", proxy: proxy.url, cause: { code } });
      expect(proxy.heads).toEqual([]);
    }
  });

  test("is judged by the proxy's host, whatever tls.servername says of targets", async () => {
    await using origin = await rawOrigin(authority.issue({ names: ["DNS:other.test"] }));
    await using proxy = await rawProxy({ tls: valid.certificate });
    const named = { ca, servername: "other.test" };
    expect(await get(origin.url(), { tls: named, proxy: proxy.url })).toBe("the origin saw GET / HTTP/1.1");
    // And the other way round: the proxy's certificate for the target's name is no good.
    await using wrong = await rawProxy({ tls: authority.issue({ names: ["DNS:other.test"] }) });
    expect(await get(origin.url(), { tls: named, proxy: wrong.url })).toMatchObject({
      name: "TlsError",
      proxy: wrong.url,
    });
  });

  test("and its trust are those of proxyTls, where that is given; tls is then the target's alone", async () => {
    const inner = new CertificateAuthority("Authority of the proxies");
    const client = inner.issue({ names: ["DNS:client.test"] });
    const tls = { ...inner.issue({ names: ["DNS:proxy.test"] }), ca: inner.cert, requestCert: true };
    await using origin = await rawOrigin(valid.certificate);
    await using proxy = await rawProxy({ tls });
    const proxyTls = { ca: inner.cert, servername: "proxy.test", ...client };
    for (const url of [origin.url(), "http://origin.test/"]) {
      expect(await get(url, { tls: { ca }, proxyTls, proxy: proxy.url })).toMatch(/^the (proxy|origin) saw GET /);
      expect(await get(url, { tls: { ca }, proxyTls: { ca }, proxy: proxy.url })).toMatchObject({ proxy: proxy.url });
      const pinned = { ...proxyTls, pins: [`sha256/${"A".repeat(43)}=`] };
      expect(await get(url, { tls: { ca }, proxyTls: pinned, proxy: proxy.url })).toMatchObject({
        name: "TlsError",
        proxy: proxy.url,
        pins: { expected: pinned.pins },
      });
    }
    expect(proxy.sockets.every((socket) => (socket as { authorized?: boolean }).authorized)).toBe(true);
  });

  test("is not judged by a call's tls, nor is the call's client certificate shown to it", async () => {
    await using origin = await rawOrigin(valid.certificate);
    await using proxy = await rawProxy({
      tls: { ...valid.certificate, ca, requestCert: true, rejectUnauthorized: false },
    });
    await using transport = new Transport({ tls: { ca }, proxy: proxy.url });
    const client = new Client({ transport });
    const mine = { ...authority.issue({ names: ["DNS:client.test"] }), servername: "origin.test" };
    await (await client.get(origin.url(), { tls: mine })).text();
    expect(proxy.sockets.map((socket) => (socket as { authorized?: boolean }).authorized)).toEqual([false]);
    const untrusting = client.get("http://origin.test/", { tls: { ca: stranger.cert, rejectUnauthorized: false } });
    expect(await (await untrusting).text()).toBe("the proxy saw GET http://origin.test/ HTTP/1.1");
  });

  test("a proxy that speaks no TLS is told as such", async () => {
    await using proxy = await rawProxy({ onRequest: (_, socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n") });
    const url = proxy.url.replace("http:", "https:");
    // Its server reads the handshake as a head that does not end; end it from the client's side.
    const got = await get("http://origin.test/", { proxy: url, tlsHandshakeTimeout: 100 });
    expect(got).toMatchObject({ phase: "tls", proxy: url });
  });
});
