import { expect, test } from "vitest";
import { type ConnWay, connKey, identityKey } from "../../lib/pool/conn-key.ts";

const http = { proxy: null, scheme: "http", host: "a.example", port: 80 } as const;
const https = { proxy: null, scheme: "https", host: "a.example", port: 443 } as const;

test.each<[string, ConnWay, string]>([
  ["http, direct [TestCacheKeys/direct http]", http, "|http|a.example:80"],
  ["https, direct [TestCacheKeys/direct https]", https, "|https|a.example:443"],
  ["another port", { ...http, port: 8080 }, "|http|a.example:8080"],
  ["IPv6", { ...http, host: "[::1]" }, "|http|[::1]:80"],
  [
    "http through an http proxy [TestCacheKeys/http via proxy]",
    { ...http, proxy: "http://proxy:3128" },
    "http://proxy:3128|http|",
  ],
  ["http through an https proxy", { ...http, proxy: "https://proxy" }, "https://proxy|http|"],
  [
    "the same with CONNECT",
    { ...http, proxy: "http://proxy:3128", tunnel: true },
    "http://proxy:3128|http|a.example:80",
  ],
  [
    "https through a proxy [TestCacheKeys/https via proxy]",
    { ...https, proxy: "http://proxy:3128" },
    "http://proxy:3128|https|a.example:443",
  ],
  ["http through SOCKS", { ...http, proxy: "socks5://proxy:1080" }, "socks5://proxy:1080|http|a.example:80"],
  ["a unix socket", { ...http, path: "/run/app.sock" }, "|http|a.example:80|/run/app.sock"],
])("connKey() of %s", (_name, way, key) => {
  expect(connKey(way)).toBe(key);
});

test("connKey() is one for all http targets of one proxy", () => {
  const proxy = "http://proxy:3128";
  expect(connKey({ ...http, proxy })).toBe(connKey({ ...http, host: "b.example", port: 8080, proxy }));
});

test.each<[string, ConnWay, ConnWay]>([
  ["scheme", http, { ...https, port: 80 }],
  ["host", http, { ...http, host: "b.example" }],
  ["port", http, { ...http, port: 81 }],
  ["proxy", { ...https, proxy: "http://p" }, { ...https, proxy: "http://q" }],
  ["credentials of the proxy", { ...https, proxy: "http://u:1@p" }, { ...https, proxy: "http://u:2@p" }],
  ["direct or not", https, { ...https, proxy: "http://p" }],
  ["tunnel or not", { ...http, proxy: "http://p" }, { ...http, proxy: "http://p", tunnel: true }],
  ["path of the socket", { ...http, path: "/a" }, { ...http, path: "/b" }],
  ["socket or not", http, { ...http, path: "" }],
  ["a path that looks like more", { ...http, path: "/a|http|b:1" }, { ...http, path: "/a" }],
])("connKey() tells %s apart", (_name, one, other) => {
  expect(connKey(one)).not.toBe(connKey(other));
});

test("connKey() takes no SOCKS proxy for an HTTP one, whatever its credentials look like", () => {
  const proxy = "socks5://http:x@proxy:1080";
  expect(connKey({ ...http, proxy })).toBe(`${proxy}|http|a.example:80`);
  expect(connKey({ ...http, proxy: "socks5://http://proxy" })).toContain("|a.example:80");
});

test.each([
  ["|https|a.example:443", "tls-3|https|a.example:443"],
  ["http://proxy:3128|https|a.example:443", "tls-3|http://proxy:3128|https|a.example:443"],
  ["http://proxy:3128|http|", "tls-3|http://proxy:3128|http|"],
])("identityKey() of %s puts the identity in front, with one bar behind it", (key, own) => {
  expect(identityKey(key, 3)).toBe(own);
});
