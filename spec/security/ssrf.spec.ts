/** Family F: requests that went elsewhere than their URL says, and what let them. See README.md. */

import dns from "node:dns/promises";
import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  Client,
  explainProxy,
  LocalProtocolError,
  ProxyError,
  RedirectError,
  type RequestInput,
  Transport,
  type UserDialTarget,
} from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { answer } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { polluted } from "../support/polluted.ts";
import { rawProxy } from "../support/raw-proxy.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { redirect, Site } from "../support/site.ts";
import { answering, client } from "./support.ts";

checkLeaks();
afterEach(() => vi.restoreAllMocks());

describe("CVE-2022-35949, GHSA-8qr4-xgw6-wmr3, undici (R20): a path does not replace the origin", () => {
  test.each([
    ["in the URL", (url: string) => [`${url}//evil.test/x`, {}] as const],
    ["as a target", (url: string) => [url, { target: "//evil.test/x" }] as const],
  ])("//host %s", async (_, ask) => {
    await using peer = await scriptedPeer();
    const [url, init] = ask(peer.url(""));
    const call = peer.client.get(url, init);
    expect(await answer(await peer.accept())).toBe(peer.head("GET //evil.test/x"));
    expect((await call).connection).toMatchObject({ remotePort: peer.port });
  });

  test("http://host as a target is refused", async () => {
    await using it = client();
    const call = it.client.get("http://127.0.0.1:1/", { target: "http://evil.test/" });
    await expect(call).rejects.toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "target" });
  });
});

/** Whom a client dials for a URL; it gets no further. */
async function dialedFor(ask: (client: Client) => Promise<unknown>): Promise<UserDialTarget[]> {
  const targets: UserDialTarget[] = [];
  await using it = client({
    dial: (target) => {
      targets.push(target);
      return Promise.reject(new Error("no further"));
    },
  });
  await expect(ask(it.client)).rejects.toThrow();
  return targets;
}

describe("no redirect and no URL chooses a unix socket (R20)", () => {
  test.each(["unix:/run/docker.sock:/x", "unix://%2Frun%2Fdocker.sock/x", "file:///run/docker.sock", "socks5://evil/"])(
    "CVE-2022-33987, got: a redirect to %s",
    async (location) => {
      const site = new Site(() => redirect(302, location));
      await expect(new Client({ transport: site }).get("http://a.test/")).rejects.toThrow(RedirectError);
      expect(site.seen).toHaveLength(1);
    },
  );

  test("CVE-2022-33987, got: a redirect to http://unix:/path leads to a host of that name", async () => {
    const site = new Site((_, count) => (count === 0 ? redirect(302, "http://unix:/run/docker.sock:/x") : answering()));
    await new Client({ transport: site }).get("http://a.test/");
    const url = site.seen[1]?.url ?? "";
    expect(url).toBe("http://unix/run/docker.sock:/x");
    const targets = await dialedFor((client) => client.get(url));
    expect(targets).toMatchObject([{ host: "unix", port: 80 }]);
    expect(targets[0]?.path).toBeUndefined();
  });

  test("CVE-2026-21636, node: there is no socketPath to bring along", async () => {
    await using it = client();
    const call = it.client.get("http://127.0.0.1:1/", { socketPath: "/run/docker.sock" } as object);
    await expect(call).rejects.toThrow(/Unknown option "socketPath"/);
    expect(() => new Transport({ socketPath: "/run/docker.sock" } as object)).toThrow(/Unknown option "socketPath"/);
  });
});

test.each(["//evil.test/x", "/evil.test", "evil.test/x", "\\\\evil.test\\x"])(
  "CVE-2024-39338, axios (R20): %j is no URL of its own, and becomes none",
  async (url) => {
    const site = new Site(answering);
    await expect(new Client({ transport: site }).get(url)).rejects.toMatchObject({ field: "url" });
    expect(site.seen).toEqual([]);
  },
);

test("CVE-2025-27152, axios (R20): there is no base URL that an absolute one could override", async () => {
  expect(() => new Client({ baseURL: "http://a.test/" } as object)).toThrow(/Unknown option "baseURL"/);
});

describe("NO_PROXY holds whatever the host is written like (R21)", () => {
  const env = { HTTP_PROXY: "http://proxy.test:3128", NO_PROXY: "internal.test,10.0.0.0/8,[fd00::1],192.0.2.7" };
  test.each([
    ["CVE-2025-62718, axios: a trailing dot", "http://internal.test./"],
    ["CVE-2025-62718, axios: upper case", "http://INTERNAL.Test/"],
    ["CVE-2025-62718, axios: a subdomain", "http://a.internal.test/"],
    ["GHSA-m7pr-hjqh-92cm, axios: IPv6 in brackets", "http://[fd00:0:0::1]/"],
    ["GHSA-m7pr-hjqh-92cm, axios: a mapped IPv4 address", "http://[::ffff:192.0.2.7]/"],
    ["GHSA-m7pr-hjqh-92cm, axios: an address in a block", "http://10.1.2.3/"],
    ["GHSA-pmwg-cvhr-8vh7, axios: an address as a number", "http://3221225991/"],
    ["GHSA-pmwg-cvhr-8vh7, axios: an address in hexadecimal", "http://0xa.0x01.0x2.3/"],
    ["GHSA-pmwg-cvhr-8vh7, axios: all of 127/8", "http://127.5.6.7/"],
    ["GHSA-pmwg-cvhr-8vh7, axios: loopback of IPv6", "http://[::1]/"],
    ["GHSA-pmwg-cvhr-8vh7, axios: loopback, mapped", "http://[::ffff:127.0.0.1]/"],
    ["GHSA-pmwg-cvhr-8vh7, axios: localhost and a dot", "http://localhost./"],
  ])("%s", (_, url) => {
    expect(explainProxy(url, env)).toMatchObject({ proxy: null });
  });

  test.each(["http://internal.test.evil/", "http://notinternal.test/", "http://11.0.0.1/"])("control: %s", (url) => {
    expect(explainProxy(url, env)).toMatchObject({ proxy: "http://proxy.test:3128" });
  });
});

describe.each(["http", "https"] as const)("CVE-2026-42264, GHSA-q8qp-cvcw-x6jj, axios (R12), over %s", (scheme) => {
  test("a polluted prototype chooses nothing: no way, no credentials, no authority", async () => {
    const [good, evil] = [new CertificateAuthority(), new CertificateAuthority()];
    const serverTls = good.issue({ names: ["IP:127.0.0.1"] });
    const own = { decompress: false, ...(scheme === "https" ? { tls: { ca: good.cert } } : {}) };
    await using peer = await scriptedPeer({ ...own, ...(scheme === "https" ? { serverTls } : {}) });
    const brought = {
      ...{ auth: { username: "u", password: "p" }, baseURL: "http://evil.test/", socketPath: "/run/docker.sock" },
      ...{ insecureHTTPParser: true, lenient: {}, proxy: "http://evil.test/", proxyTunnel: true, host: "evil.test" },
      ...{ target: "/evil", method: "EVIL", redirect: "error", tls: {}, allowAddress: () => false, timeout: 1 },
      ...{ dial: () => Promise.reject(new Error("dialed by the prototype")), headers: { evil: "1" }, ca: evil.cert },
      ...{ path: "/run/docker.sock", localAddress: "192.0.2.1", serverName: "evil.test", rejectUnauthorized: false },
    };
    const transport = polluted(brought, () => new Transport(own));
    const call = polluted(brought, () => new Client({ transport }).get(peer.url("/a"), {}));
    const conn = await Promise.race([peer.accept(), call.then(() => peer.accept())]);
    await conn.expect(peer.head("GET /a"));
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    expect((await call).connection).toMatchObject({ proxy: null });
    await transport.destroy();
  });
});

test("CVE-2026-42264, GHSA-q8qp-cvcw-x6jj, axios (R12): an authority that the prototype brings along vouches for nobody", async () => {
  const evil = new CertificateAuthority();
  await using peer = await scriptedPeer({ serverTls: evil.issue({ names: ["IP:127.0.0.1"] }) });
  const brought = { ca: evil.cert, rejectUnauthorized: false, secureContext: {} };
  const call = polluted(brought, () => peer.client.get(peer.url()));
  await expect(call).rejects.toMatchObject({ code: "ERR_HTTP_TLS" });
});

describe("CVE-2023-26159, follow-redirects (R20): one parser says where a URL leads", () => {
  test.each([
    "http://a.test\\@evil.test/",
    "http://a.test#@evil.test/",
    "http://a.test?@evil.test/",
    "http://a.test:80@evil.test/",
    "http://a%2etest/",
    "http://[::1]:80/",
  ])("%s", async (text) => {
    const wanted = (() => {
      try {
        return new URL(text).hostname.replace(/^\[|\]$/g, "");
      } catch {
        return null;
      }
    })();
    const ways: [string, (client: Client) => Promise<unknown>][] = [
      ["text", (client) => client.get(text)],
      ["URL", (client) => client.get((wanted === null ? text : new URL(text)) as RequestInput)],
    ];
    for (const [, ask] of ways) {
      expect((await dialedFor(ask)).map(({ host }) => host)).toEqual(wanted === null ? [] : [wanted]);
    }
    const site = new Site((_, count) => (count === 0 ? redirect(302, text) : answering()));
    const call = new Client({ transport: site }).get("http://b.test/");
    if (wanted === null) await expect(call).rejects.toThrow(RedirectError);
    else {
      await call;
      expect(site.seen[1]?.request.destination.hostname).toBe(wanted);
    }
  });

  test("a Location that is no URL is not read in some other way", async () => {
    const site = new Site(() => redirect(302, "http://[evil.test/"));
    await expect(new Client({ transport: site }).get("http://b.test/")).rejects.toThrow(RedirectError);
  });
});

test.each([
  ["is refused", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"],
  ["is no HTTP", "nonsense\r\n\r\n"],
  ["is nothing", ""],
])("CVE-2026-48615, node (R13): no credentials in the error of a tunnel whose answer %s", async (_, wire) => {
  await using proxy = await rawProxy({ onConnect: (_head, socket) => void socket.end(wire) });
  const events: unknown[] = [];
  const options = {
    proxy: proxy.url.replace("//", "//user:s3cret@"),
    trace: (event: unknown) => void events.push(event),
  };
  await using it = client(options);
  const error = await it.client.get("https://a.test/").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(Error);
  const told = inspect([error, events, it.transport, it.client], { depth: 10, showHidden: true });
  for (const secret of ["s3cret", btoa("user:s3cret")]) expect(told).not.toContain(secret);
  expect(proxy.connects[0]).toContain(btoa("user:s3cret"));
});

test("CVE-2023-38545, curl (R22): a name too long for SOCKS5 is an error, and not looked up here", async () => {
  const lookup = vi.spyOn(dns, "lookup");
  await using proxy = await rawProxy();
  await using it = client({ proxy: proxy.url.replace("http:", "socks5h:") });
  const host = `${"a".repeat(60)}.`.repeat(5).concat("test");
  expect(host.length).toBeGreaterThan(255);
  await expect(it.client.get(`http://${host}/`)).rejects.toThrow(ProxyError);
  expect(lookup.mock.calls.map(([name]) => name)).not.toContain(host);
  expect(proxy.heads).toEqual([]);
});

test("R20: what is no http or https URL is refused before anything is dialed", async () => {
  for (const url of ["file:///etc/passwd", "gopher://a.test/", "data:,x", "blob:http://a.test/x", "unix:/run/x"]) {
    await using it = client();
    await expect(it.client.get(url)).rejects.toThrow(LocalProtocolError);
  }
});
