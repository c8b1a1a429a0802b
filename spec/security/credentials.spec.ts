/** Family C: credentials that crossed to another origin, or to the wrong end of a proxy. See README.md. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { Client, Headers, type HeadersInit, LocalProtocolError, type Response } from "../../lib/index.ts";
import { FakeJar } from "../support/fake-jar.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { fieldOf, rawOrigin, rawProxy } from "../support/raw-proxy.ts";
import { redirect, Site } from "../support/site.ts";
import { answering, client } from "./support.ts";

checkLeaks();

const HERE = "https://shop.test/cart";
const THERE = "https://other.test/";
const SECRETS = {
  Authorization: "Bearer s3cret",
  Cookie: "id=s3cret",
  "Proxy-Authorization": "Basic s3cret",
  "X-Api-Key": "s3cret",
};

interface Journey {
  /** Where the call begins; HERE. */
  readonly from?: string;
  /** Where each answer sends it on to. */
  readonly via: readonly string[];
  readonly headers?: HeadersInit;
  readonly status?: number;
}

/** No secret is in any request behind the first. */
const CASES: readonly (readonly [incident: string, journey: Journey])[] = [
  ["CVE-2022-31151, GHSA-q768-x9m6-m9qp, undici: Cookie to another host", { via: [THERE] }],
  ["CVE-2023-45143, GHSA-wqq4-5wpv-mx2g, undici: Cookie to another host, from fetch", { via: [THERE], status: 307 }],
  ["CVE-2024-24758, GHSA-3787-6prv-h9w3, undici: Proxy-Authorization, from fetch", { via: [THERE], status: 308 }],
  [
    "CVE-2024-30260, GHSA-m4v8-wqvr-p9f7, undici: Authorization and Proxy-Authorization, from request",
    { via: [THERE] },
  ],
  [
    "undici 8.12, redirect handler (R3): pairs in place of a record",
    { via: [THERE], headers: Object.entries(SECRETS) },
  ],
  ["CVE-2022-0235, node-fetch: both, to another host", { via: [THERE] }],
  ["CVE-2022-0155, follow-redirects: Cookie, to another host", { via: ["//other.test/"] }],
  ["CVE-2022-0536, follow-redirects: Authorization, from https to http", { via: ["http://shop.test/"] }],
  ["CVE-2024-28849, follow-redirects: Proxy-Authorization, to another host", { via: [THERE] }],
  ["CVE-2026-40895, GHSA-r4q5-vmmm-2653, follow-redirects: a header of one's own that authorises", { via: [THERE] }],
  ["CVE-2023-45289, Go: a host that ends like the first one", { via: ["https://evilshop.test/"] }],
  ["CVE-2023-45289, Go: a subdomain", { via: ["https://a.shop.test/"] }],
  ["CVE-2023-45289, Go: a zone that ends like the first host", { from: "https://[::1]/", via: ["https://[::2]/"] }],
  ["CVE-2024-45336, Go: dropped once, back on a later hop of the same host", { via: [THERE, `${THERE}a`, HERE, "/b"] }],
  ["CVE-2025-4673, Go: Proxy-Authorization to another host", { via: [THERE] }],
  ["CVE-2018-18074, requests: from https to http of the same host", { via: ["http://shop.test/"] }],
  ["CVE-2014-1829, requests: Authorization to another host", { via: [THERE] }],
  ["CVE-2014-1830, requests: Proxy-Authorization to another host", { via: [THERE] }],
  ["GHSA-v845-jxx5-vc9f, urllib3: Cookie to another host", { via: [THERE], headers: new Headers(SECRETS) }],
  ["GHSA-34jh-p97f-mpxf, urllib3: Proxy-Authorization", { via: [THERE], headers: new Map(Object.entries(SECRETS)) }],
  ["CVE-2022-27774, curl: the same host, another port", { via: ["https://shop.test:8443/"] }],
  ["CVE-2022-27774, curl: the same host, another protocol", { from: "http://shop.test/", via: [HERE] }],
  ["CVE-2022-27776, curl: the same host by its default port's other scheme", { via: ["http://shop.test:443/"] }],
  ["CVE-2018-1000007, curl: a custom Authorization header", { via: [THERE], headers: [["authorization", "s3cret"]] }],
];

describe("a redirect to another origin carries nothing that proves who one is (R11)", () => {
  describe.each(["Client.get()", "Client.do() of a standard Request"])("by %s", (entry) => {
    test.each(CASES)("%s", async (_, { from = HERE, via, headers = SECRETS, status = 302 }) => {
      const site = new Site((_, count) => {
        const to = via[count];
        return to === undefined ? answering() : redirect(status, to);
      });
      const client = new Client({ transport: site });
      if (entry === "Client.get()") await client.get(from, { headers });
      else await client.do(new globalThis.Request(from, { headers: headers as Record<string, string> }));
      const [first, ...rest] = site.seen;
      expect(shown(first)).toContain("s3cret");
      expect(rest).toHaveLength(via.length);
      for (const hop of rest) expect(shown(hop)).not.toContain("s3cret");
    });
  });

  test("control: within its origin it carries all of them", async () => {
    const site = new Site((_, count) => (count === 0 ? redirect(302, "/next") : answering()));
    await new Client({ transport: site }).get(HERE, { headers: SECRETS });
    for (const name of Object.keys(SECRETS)) expect(site.sent(name)[1]).toContain("s3cret");
  });
});

function shown(seen: Site["seen"][number] | undefined): string {
  return `${seen?.url} ${seen?.request.headers.raw.join("\n")} ${seen?.body}`;
}

/** Two answers: a redirect, then the end. */
function moving(to: string, status = 302, ...fields: [string, string][]): Site {
  return new Site((_, count): Response => (count === 0 ? redirect(status, to, ...fields) : answering()));
}

test("CVE-2021-22876, curl (R11): the credentials of a URL do not stand in the Referer", async () => {
  const site = moving(THERE);
  await new Client({ transport: site }).get("https://user:s3cret@shop.test/cart#s3cret");
  expect(site.sent("referer")).toEqual([null, "https://shop.test/cart"]);
  expect(site.sent("authorization")[1]).toBeNull();
});

test("CVE-2015-2296, requests (R10): a cookie set by a hop belongs to the host that set it", async () => {
  const jar = new FakeJar();
  const site = moving(THERE, 302, ["Set-Cookie", "id=s3cret"]);
  await new Client({ transport: site, cookieJar: jar }).get(HERE);
  expect(jar.held("shop.test")).toEqual({ id: "s3cret" });
  expect(site.sent("cookie")).toEqual([null, null]);
});

test("CVE-2024-47081, requests: no credentials are looked up by a host that a parser cut out", async () => {
  const site = new Site(answering);
  await new Client({ transport: site }).get("http://shop.test:@evil.test/");
  const [seen] = site.seen;
  expect(seen?.request.destination.hostname).toBe("evil.test");
  expect(seen?.request.headers.get("authorization")).toBe(`Basic ${btoa("shop.test:")}`); // what the URL says, no more
});

test("GHSA-g4mx-q9vg-27p4, urllib3 (R11): a 303 takes body and method away", async () => {
  const site = moving("/done", 303);
  await new Client({ transport: site }).put(HERE, { body: "s3cret", headers: { "Content-Type": "a/b" } });
  expect(site.steps).toEqual(['PUT "s3cret"', "GET"]);
  expect([site.sent("content-type")[1], site.sent("content-length")[1]]).toEqual([null, null]);
});

test("CVE-2023-45857, axios: no field is made of a cookie", async () => {
  const jar = new FakeJar();
  jar.setCookie("XSRF-TOKEN=s3cret", HERE, {});
  const site = new Site(answering);
  await new Client({ transport: site, cookieJar: jar }).post(HERE);
  const names = site.seen[0]?.request.headers.raw.filter(([, value]) => value.includes("s3cret")).map(([name]) => name);
  expect(names).toEqual(["Cookie"]);
});

describe("through a proxy (R13)", () => {
  test("GHSA-qccp-gfcp-xxvc, urllib3 (R11): a redirect drops as much as without one", async () => {
    await using proxy = await rawProxy({
      onRequest(head, socket) {
        const more = head.startsWith("GET http://shop.test/") ? "302 Found\r\nLocation: http://other.test/" : "200 OK";
        socket.write(`HTTP/1.1 ${more}\r\nContent-Length: 0\r\n\r\n`);
      },
    });
    await using it = client({ proxy: proxy.url.replace("//", "//user:pass@") });
    await it.client.get("http://shop.test/", { headers: { Authorization: "s3cret", Cookie: "s3cret" } });
    expect(proxy.heads).toHaveLength(2);
    expect(proxy.heads[0]).toContain("s3cret");
    expect(proxy.heads[1]).not.toContain("s3cret");
    expect(fieldOf(proxy.heads[1], "proxy-authorization")).toBe(`Basic ${btoa("user:pass")}`); // it is the proxy's own
  });

  test("CVE-2023-32681, requests: the proxy's credentials are in no request that a tunnel carries", async () => {
    await using origin = await rawOrigin();
    await using proxy = await rawProxy();
    await using it = client({ proxy: proxy.url.replace("//", "//user:s3cret@"), proxyTunnel: true });
    const site = await it.client.get(origin.url());
    expect(await site.text()).toContain("the origin saw");
    expect(fieldOf(proxy.connects[0], "proxy-authorization")).toBe(`Basic ${btoa("user:s3cret")}`);
    expect(fieldOf(origin.heads[0], "proxy-authorization")).toBeNull();
  });

  const forms: [string, HeadersInit][] = [
    ["a record", { "Proxy-Authorization": "s3cret" }],
    ["pairs", [["proxy-authorization", "s3cret"]]],
    ["a Map", new Map([["Proxy-Authorization", "s3cret"]])],
    ["a Headers", new Headers({ "Proxy-Authorization": "s3cret" })],
    ["a standard Headers", new globalThis.Headers({ "Proxy-Authorization": "s3cret" })],
  ];
  test.each(forms)(
    "GHSA-6cv7-626c-qhqw, undici (R3): Proxy-Authorization in %s is not sent through a tunnel to the origin",
    async (_, headers) => {
      await using origin = await rawOrigin();
      await using proxy = await rawProxy();
      await using it = client({ proxy: proxy.url, proxyTunnel: true });
      const error = await it.client.get(origin.url(), { headers }).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(LocalProtocolError);
      expect(error).toMatchObject({ field: "header proxy-authorization" });
      expect(inspect(error)).not.toContain("s3cret");
      expect([proxy.heads, origin.heads]).toEqual([[], []]);
    },
  );

  test("GHSA-6cv7-626c-qhqw, undici: control: it reaches a proxy that gets the request itself", async () => {
    await using proxy = await rawProxy();
    await using it = client({ proxy: proxy.url });
    await (await it.client.get("http://shop.test/", { headers: { "Proxy-Authorization": "Basic own" } })).text();
    expect(fieldOf(proxy.heads[0], "proxy-authorization")).toBe("Basic own");
  });
});
