/**
 * Whose certificate is judged, in every path: that of the target by the target's name, that of an https proxy by the
 * proxy's (R14). All four kinds of certificates, directly, through CONNECT, and through CONNECT over TLS.
 */

import { describe, expect, test } from "vitest";
import { Client, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { rawOrigin, rawProxy } from "../support/raw-proxy.ts";

checkLeaks();

const authority = new CertificateAuthority();
const names = ["IP:127.0.0.1", "DNS:origin.test"];
const CERTIFICATES = {
  valid: { certificate: authority.issue({ names }), code: null },
  expired: { certificate: authority.issue({ names, expired: true }), code: "CERT_HAS_EXPIRED" },
  "wrong host": {
    certificate: authority.issue({ names: ["DNS:other.test", "IP:127.0.0.2"] }),
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  "self-signed": { certificate: authority.issue({ names, selfSigned: true }), code: "DEPTH_ZERO_SELF_SIGNED_CERT" },
} as const;
const { valid } = CERTIFICATES;
type Kind = keyof typeof CERTIFICATES;
const KINDS = Object.keys(CERTIFICATES) as Kind[]; // its keys, as the language knows them

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
const PATHS = ["direct", "CONNECT", "CONNECT over TLS"] as const;
const cases = PATHS.flatMap((path) => KINDS.map((kind) => [path, kind] as const));

describe("the target's certificate", () => {
  test.each(cases)("%s, %s", async (path, kind) => {
    const { certificate, code } = CERTIFICATES[kind];
    await using origin = await rawOrigin(certificate);
    await using proxy = await rawProxy(path === "CONNECT over TLS" ? { tls: valid.certificate } : {});
    // A name, so that the right one is seen to be asked for: with a proxy nothing here resolves it.
    const host = path === "direct" ? "127.0.0.1" : "origin.test";
    const got = await get(origin.url("/", host), { tls: { ca }, ...(path === "direct" ? {} : { proxy: proxy.url }) });
    if (code === null) expect(got).toBe("the origin saw GET / HTTP/1.1");
    else {
      expect(got).toMatchObject({ name: "TlsError", cause: { code } });
      expect(got).not.toHaveProperty("proxy");
      expect(origin.heads).toEqual([]);
    }
  });
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

  test("a proxy that speaks no TLS is told as such", async () => {
    await using proxy = await rawProxy({ onRequest: (_, socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n") });
    const url = proxy.url.replace("http:", "https:");
    // Its server reads the handshake as a head that does not end; end it from the client's side.
    const got = await get("http://origin.test/", { proxy: url, tlsHandshakeTimeout: 100 });
    expect(got).toMatchObject({ phase: "tls", proxy: url });
  });
});
