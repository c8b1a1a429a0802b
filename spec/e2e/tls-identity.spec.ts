/**
 * TLS options of one call: what they replace, and that connections and sessions are shared by calls that mean the same
 * and by no others. Then one spec for each incident of other clients that came from a connection with the wrong identity,
 * named by the rule that keeps it away (R13 to R16).
 */

import { afterEach, describe, expect, test } from "vitest";
import { type CallInit, Client, type TlsOptions, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { type RawOrigin, rawOrigin, rawProxy } from "../support/raw-proxy.ts";
import { socksProxy } from "../support/socks-proxy.ts";

checkLeaks();

const authority = new CertificateAuthority();
const { cert: ca } = authority;
const names = ["DNS:localhost", "DNS:origin.test", "IP:127.0.0.1"];
const good = authority.issue({ names });
const alice = authority.issue({ names: ["DNS:alice.test"] });
const bob = authority.issue({ names: ["DNS:bob.test"] });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function clientOf(options: TransportOptions = { tls: { ca } }): { client: Client; transport: Transport } {
  const transport = new Transport(options);
  closing.push(() => transport.destroy());
  return { client: new Client({ transport }), transport };
}

async function originOf(tls: Parameters<typeof rawOrigin>[0] = good): Promise<RawOrigin> {
  const origin = await rawOrigin(tls);
  closing.push(() => origin[Symbol.asyncDispose]());
  return origin;
}

/** The connection that a call was given, its answer read. */
async function connectionOf(client: Client, url: string, init?: CallInit) {
  const response = await client.get(url, init);
  await response.text();
  return response.connection!; // it came over one
}

describe("RoundTripCall.tls", () => {
  test("is shared by calls that mean the same: by one object, by another one, by other forms of the same bytes", async () => {
    const origin = await originOf();
    const { client } = clientOf();
    const tls = { cert: alice.cert, key: alice.key };
    const first = await connectionOf(client, origin.url(), { tls });
    for (const same of [tls, { ...tls }, { key: alice.key, cert: alice.cert, ciphers: undefined as never }]) {
      expect(await connectionOf(client, origin.url(), { tls: same })).toMatchObject({ id: first.id, reused: true });
    }
    const bytes = { cert: Buffer.from(alice.cert), key: [{ pem: alice.key }] };
    const second = await connectionOf(client, origin.url(), { tls: bytes });
    const again = { cert: new Uint8Array(Buffer.from(alice.cert)), key: [{ pem: alice.key }] };
    expect((await connectionOf(client, origin.url(), { tls: again as TlsOptions })).id).toBe(second.id);
  });

  test("that says what the transport says already is that of calls without", async () => {
    const origin = await originOf();
    const { client } = clientOf();
    const plain = await connectionOf(client, origin.url());
    for (const tls of [{}, { ca }, { ca, rejectUnauthorized: undefined as never }]) {
      expect((await connectionOf(client, origin.url(), { tls })).id).toBe(plain.id);
    }
  });

  test.each<[string, TlsOptions]>([
    ["a client certificate", { cert: alice.cert, key: alice.key }],
    ["other authorities", { ca: [ca, alice.cert] }],
    ["no verification", { rejectUnauthorized: false }],
    ["another name", { servername: "origin.test" }],
    ["another protocol", { ALPNProtocols: ["http/1.1", "http/1.0"] }],
    ["other ciphers", { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256" }],
    ["other versions", { maxVersion: "TLSv1.2" }],
    ["a check of its own", { checkServerIdentity: () => undefined }],
  ])("with %s has connections and sessions of its own, both ways", async (_, tls) => {
    const origin = await originOf();
    const { client } = clientOf();
    const without = await connectionOf(client, origin.url());
    const own = await connectionOf(client, origin.url(), { tls });
    expect(own.id).not.toBe(without.id);
    expect(own.tls?.resumed).toBe(false);
    expect((await connectionOf(client, origin.url())).id).toBe(without.id);
    expect((await connectionOf(client, origin.url(), { tls })).id).toBe(own.id);
  });

  test("keeps its sessions apart where no connection is kept", async () => {
    const origin = await originOf();
    const { client } = clientOf({ tls: { ca }, keepAlive: false });
    const mine = { tls: { cert: alice.cert, key: alice.key } };
    const resumed = async (init: CallInit) => (await connectionOf(client, origin.url(), init)).tls?.resumed;
    expect([await resumed({}), await resumed({})]).toEqual([false, true]);
    expect([await resumed(mine), await resumed({ ...mine }), await resumed({})]).toEqual([false, true, true]);
    expect(await resumed({ tls: { cert: bob.cert, key: bob.key } })).toBe(false);
  });

  test("keeps what the transport says beside it, but for the client certificate, which is one with its key", async () => {
    const demanding = { ...good, ca, requestCert: true, rejectUnauthorized: true };
    const origin = await originOf(demanding);
    const { client } = clientOf({ tls: { ca, ...alice } });
    await connectionOf(client, origin.url());
    await connectionOf(client, origin.url(), { tls: bob }); // with the transport's ca
    const [first, second] = origin.sockets as unknown as { getPeerX509Certificate(): { subject: string } }[];
    expect(first!.getPeerX509Certificate().subject).not.toBe(second!.getPeerX509Certificate().subject);
    // A certificate alone does not take the transport's key, which is another one's.
    await expect(client.get(origin.url(), { tls: { cert: bob.cert } })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_HTTP_(TLS|CONNECTION_CLOSED)$/),
    });
  });

  test("sees what was changed in its object since the last call", async () => {
    const origin = await originOf();
    const { client } = clientOf({});
    const tls: TlsOptions & { ca: string[] } = { rejectUnauthorized: false, ca: [] };
    const open = await connectionOf(client, origin.url(), { tls });
    tls.rejectUnauthorized = true;
    await expect(client.get(origin.url(), { tls })).rejects.toMatchObject({ name: "TlsError" });
    tls.ca.push(ca);
    expect((await connectionOf(client, origin.url(), { tls })).id).not.toBe(open.id);
  });

  test("does not count for http, where all share the connection", async () => {
    await using origin = await rawOrigin();
    const { client } = clientOf();
    const first = await connectionOf(client, origin.url());
    expect((await connectionOf(client, origin.url(), { tls: alice })).id).toBe(first.id);
  });

  test.each([
    ["an unknown name", { pin: [] }, /Unknown option "tls.pin"/],
    ["what is no object", 1, /Option tls must be an object: it is number/],
    ["a context beside what goes into one", { secureContext: {}, ca }, /tls.ca has no effect/],
  ])("refuses %s before anything is touched, for http too", async (_, tls, message) => {
    const { client, transport } = clientOf();
    for (const url of ["https://origin.test/", "http://origin.test/"]) {
      await expect(client.get(url, { tls: tls as never })).rejects.toThrow(message);
    }
    expect(transport.stats()).toMatchObject({ dialing: 0, dialed: 0, dialsFailed: 0 });
  });

  test("is told to dialTls with the transport's, and absent where the call has none", async () => {
    const told: unknown[] = [];
    const dialTls = (target: { tls?: TlsOptions }) => {
      told.push(target.tls);
      throw new Error("no network here");
    };
    const { client } = clientOf({ tls: { ca }, dialTls });
    for (const init of [{}, { tls: { servername: "origin.test" } }]) {
      await expect(client.get("https://localhost/", init)).rejects.toThrow("the dialer failed");
    }
    expect(told).toEqual([undefined, { ca, servername: "origin.test" }]);
  });

  test("shows in traces as a number", async () => {
    const origin = await originOf();
    const keys: string[] = [];
    const { client } = clientOf({
      tls: { ca },
      trace: (event) => void (event.type === "pool-wait" && keys.push(event.key)),
    });
    await connectionOf(client, origin.url(), { tls: alice });
    await connectionOf(client, origin.url(), { tls: bob });
    await connectionOf(client, origin.url());
    const key = `|https|127.0.0.1:${origin.port}`;
    expect(keys).toEqual([`tls-1${key}`, `tls-2${key}`, key]);
  });
});

describe("a redirect of a call with tls", () => {
  test("to another origin leaves client certificate and servername behind for good; its pins and trust go along", async () => {
    const asking = { ...good, ca, requestCert: true, rejectUnauthorized: false };
    const other = await originOf(asking);
    const target = { url: "" };
    await using first = await rawOrigin(asking);
    const { client } = clientOf({});
    // The origins answer 200 only: the redirects are a RoundTripper's in front of them.
    const seen: (TlsOptions | undefined)[] = [];
    const { Response } = await import("../../lib/index.ts");
    const hops = [other.url("/a"), first.url("/back")];
    const redirecting = new Client({
      transport: {
        roundTrip: async (request, call) => {
          seen.push(call?.tls);
          const location = hops.shift();
          if (location === undefined) return client.transport.roundTrip(request, call);
          return new Response(null, { status: 302, headers: [["Location", location]] });
        },
      },
    });
    target.url = first.url("/");
    const tls = { ca, ...alice, servername: "origin.test" };
    await (await redirecting.get(target.url, { tls })).text();
    expect(seen).toEqual([tls, { ca }, { ca }]);
    expect(first.sockets.map((socket) => (socket as { authorized?: boolean }).authorized)).toEqual([false]);
  });
});

describe("incidents of others", () => {
  const wrongHost = authority.issue({ names: ["DNS:other.test"] });
  const pins = [`sha256/${"A".repeat(43)}=`];

  test("the origin's certificate is verified behind a proxy (R14: CVE-2022-32210 of undici)", async () => {
    const origin = await originOf(wrongHost);
    await using proxy = await rawProxy();
    const { client } = clientOf({ tls: { ca }, proxy: proxy.url });
    await expect(client.get(origin.url("/", "origin.test"))).rejects.toMatchObject({ name: "TlsError" });
    expect(origin.heads).toEqual([]);
  });

  test("the TLS options hold through SOCKS as they do elsewhere (R14: CVE-2026-9697 of undici)", async () => {
    const origin = await originOf();
    await using proxy = await socksProxy();
    for (const [options, init] of [
      [{ ca, pins }, {}],
      [{ ca }, { tls: { pins } }],
    ] as const) {
      const { client } = clientOf({ tls: options, proxy: proxy.url });
      await expect(client.get(origin.url("/", "origin.test"), init)).rejects.toThrow("tls.pins");
    }
    const { client } = clientOf({ proxy: proxy.url }); // without the authority
    await expect(client.get(origin.url("/", "origin.test"))).rejects.toMatchObject({ name: "TlsError" });
    expect(origin.heads).toEqual([]);
    expect(proxy.asked).toEqual(Array(3).fill(`origin.test:${origin.port}`));
  });

  test("an https proxy's certificate is verified, by its own name (R14: GHSA-5phf-pp7p-vc2r and CVE-2016-9015 of urllib3)", async () => {
    await using proxy = await rawProxy({ tls: wrongHost });
    for (const tls of [{ ca }, { ca, servername: "other.test" }]) {
      const { client } = clientOf({ tls, proxy: proxy.url });
      await expect(client.get("http://other.test/")).rejects.toMatchObject({ name: "TlsError", proxy: proxy.url });
    }
    expect(proxy.heads).toEqual([]);
  });

  test("a name is verified as it is looked up: in ASCII (R14: CVE-2021-0341 of okhttp)", async () => {
    const origin = await originOf(authority.issue({ names: ["DNS:xn--bcher-kva.test"] }));
    await using proxy = await rawProxy();
    const { client } = clientOf({ tls: { ca }, proxy: proxy.url });
    expect((await client.get(origin.url("/", "b\u00fccher.test"))).status).toBe(200);
    expect(proxy.connects[0]).toContain(`CONNECT xn--bcher-kva.test:${origin.port} `);
    // The Kelvin sign is a k to the URL, so to the look-up, and so to the check.
    await expect(client.get(origin.url("/", "b\u00fccher.\u212a.test"))).rejects.toMatchObject({ name: "TlsError" });
    expect(proxy.connects[1]).toContain("CONNECT xn--bcher-kva.k.test:");
  });

  test("a session is bound to the name that was verified (R15: CVE-2026-48934 of node)", async () => {
    const origin = await originOf(authority.issue({ names: ["DNS:localhost"] }));
    const { client } = clientOf({ tls: { ca }, keepAlive: false });
    const url = origin.url("/", "localhost");
    expect((await connectionOf(client, url)).tls?.resumed).toBe(false);
    expect((await connectionOf(client, url)).tls?.resumed).toBe(true);
    await expect(client.get(url, { tls: { servername: "other.test" } })).rejects.toMatchObject({ name: "TlsError" });
    await expect(client.get(origin.url())).rejects.toMatchObject({ name: "TlsError" }); // by its address
  });

  test("capitals and a final dot make no other name: one pool, one SNI (R14, R16: CVE-2026-48618 and CVE-2026-48928 of node)", async () => {
    const origin = await originOf();
    const { client } = clientOf();
    const plain = await connectionOf(client, origin.url("/", "localhost"));
    expect((await connectionOf(client, origin.url("/", "LOCALHOST"))).id).toBe(plain.id);
    expect((await connectionOf(client, origin.url("/", "localhost."))).id).toBe(plain.id);
    const named = { tls: { servername: "Origin.Test." } };
    const other = await connectionOf(client, origin.url("/", "localhost"), named);
    await connectionOf(client, origin.url("/", "localhost."), named);
    expect(other.id).not.toBe(plain.id);
    const asked = origin.sockets.map((socket) => (socket as { servername?: string }).servername);
    expect(asked).toEqual(["localhost", "origin.test"]);
  });

  test("a host with a final dot is verified, and https-only, like the one without (R16: CVE-2022-30115 of curl)", async () => {
    const origin = await originOf(authority.issue({ names: ["DNS:origin.test"] }));
    await using proxy = await rawProxy();
    const { client } = clientOf({ tls: { ca }, proxy: proxy.url });
    const dotted = origin.url("/", "origin.test.");
    const first = await connectionOf(client, dotted, { httpsOnly: true });
    expect((await connectionOf(client, origin.url("/", "origin.test"))).id).toBe(first.id);
    await expect(client.get("http://origin.test./", { httpsOnly: true })).rejects.toThrow("httpsOnly");
    // The name to verify may be another, with and without the dot.
    for (const url of [dotted, origin.url("/", "origin.test")]) {
      const named = client.get(url, { tls: { servername: "other.test" } });
      await expect(named).rejects.toMatchObject({ cause: { code: "ERR_TLS_CERT_ALTNAME_INVALID" } });
    }
  });

  test("a connection with one client certificate serves no call with another, or with none (R15: CVE-2016-5420 and CVE-2022-27782 of curl)", async () => {
    const origin = await originOf({ ...good, ca, requestCert: true, rejectUnauthorized: false });
    const { client } = clientOf();
    const ids = new Set<number>();
    for (const tls of [alice, bob, undefined]) {
      for (let i = 0; i < 2; i++) ids.add((await connectionOf(client, origin.url(), tls && { tls })).id);
    }
    expect(ids.size).toBe(3);
    const authorized = origin.sockets.map((socket) => (socket as { authorized?: boolean }).authorized);
    expect(authorized).toEqual([true, true, false]);
  });

  test("an unverified connection serves no call that verifies (R15: CVE-2024-35195 of requests)", async () => {
    const origin = await originOf(wrongHost);
    const { client } = clientOf();
    await connectionOf(client, origin.url(), { tls: { rejectUnauthorized: false } });
    await expect(client.get(origin.url())).rejects.toMatchObject({ name: "TlsError" });
    expect(origin.heads).toHaveLength(1);
  });

  test("another set of credentials for the proxy is another connection (R15: CVE-2022-22576 of curl)", async () => {
    const origin = await originOf();
    await using proxy = await rawProxy();
    const users = ["alice", "bob"];
    const { client } = clientOf({
      tls: { ca },
      proxy: (url) => proxy.url.replace("//", `//${users[Number(url.pathname.slice(1))]}:secret@`),
    });
    const ids: number[] = [];
    for (const path of ["/0", "/1", "/0"]) ids.push((await connectionOf(client, origin.url(path))).id);
    expect(ids[2]).toBe(ids[0]);
    expect(ids[1]).not.toBe(ids[0]);
  });

  test("two zones of one link-local address are two targets, or none at all (R15: CVE-2022-27775 of curl)", async () => {
    // The zone cannot get into a URL (WHATWG), so that no two keys could differ by it.
    const { client, transport } = clientOf();
    await expect(client.get("https://[fe80::1%25eth0]/")).rejects.toMatchObject({ field: "url" });
    expect(transport.stats().dialed).toBe(0);
  });

  test("a proxy whose certificate is wrong is dialed once for a call, and not for ever (undici issue 3897)", async () => {
    await using proxy = await rawProxy({ tls: wrongHost });
    const { client, transport } = clientOf({ tls: { ca }, proxy: proxy.url });
    await expect(client.get("https://origin.test/")).rejects.toMatchObject({ name: "TlsError" });
    expect(transport.stats()).toMatchObject({ dialsFailed: 1, retries: 0, dialing: 0 });
  });
});
