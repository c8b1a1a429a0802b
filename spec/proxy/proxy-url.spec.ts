/** Proxies as they are given: what is read of a URL, and that its credentials stay inside. */

import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { proxyOf } from "../../lib/proxy/proxy-url.ts";

describe("proxyOf()", () => {
  test.each([
    ["http://Proxy.Example:3128/path?q#f", { kind: "http", host: "proxy.example", port: 3128 }],
    ["proxy:3128", { kind: "http", host: "proxy", port: 3128 }],
    ["http://proxy", { kind: "http", host: "proxy", port: 80, shown: "http://proxy:80" }],
    ["https://proxy", { kind: "https", host: "proxy", port: 443 }],
    ["socks5://PROXY", { kind: "socks5", host: "proxy", port: 1080, shown: "socks5://proxy:1080" }],
    ["socks5h://[::1]:9", { kind: "socks5", host: "::1", port: 9, shown: "socks5h://[::1]:9" }],
    ["http://[::1]:3128", { kind: "http", host: "::1", port: 3128, shown: "http://[::1]:3128" }],
  ])("reads %s", (text, expected) => {
    expect(proxyOf(text)).toMatchObject(expected);
    expect(proxyOf(new URL(/^[a-z0-9]+:\/\//.test(text) ? text : `http://${text}`))).toMatchObject(expected);
  });

  test.each(["", "http://", "http://bad host", "ftp://proxy", "file:///x", "socks4://proxy", "http://h:99999"])(
    "refuses %j",
    (text) => {
      expect(() => proxyOf(text)).toThrow(/^Cannot use proxy: its (URL is not valid|scheme is \w+, and only )/);
    },
  );

  test("decodes the credentials, and makes Basic of them (RFC 7617)", () => {
    const proxy = proxyOf("http://u:%40%2F%3F!@proxy:1");
    expect(proxy.credentials).toEqual({ username: "u", password: "@/?!" });
    expect(proxy.authorization).toBe(`Basic ${Buffer.from("u:@/?!").toString("base64")}`);
    expect(proxyOf("http://ü@proxy").authorization).toBe(`Basic ${Buffer.from("ü:").toString("base64")}`);
    expect(proxyOf("http://proxy").authorization).toBeNull();
  });

  test("gives two keys for two sets of credentials, and shows neither", () => {
    const [one, two] = [proxyOf("http://a:secret1@p:1"), proxyOf("http://a:secret2@p:1")];
    expect(one.key).not.toBe(two.key);
    expect(one.shown).toBe("http://p:1");
    const seen = `${inspect(one, { showHidden: true, depth: 9 })} ${JSON.stringify(one)} ${String(one)}`;
    expect(seen).not.toMatch(/secret|c2VjcmV0/);
  });

  test("takes the credentials out of a text of the proxy's own", () => {
    const proxy = proxyOf("http://me:s%40cret@p");
    const token = Buffer.from("me:s@cret").toString("base64");
    expect(proxy.redact(`Basic ${token} / s@cret / s%40cret`)).toBe("Basic (hidden) / (hidden) / (hidden)");
    expect(proxyOf("http://p").redact("all of it")).toBe("all of it");
  });
});
