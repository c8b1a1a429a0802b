/** Which proxy the environment asks for, as tables: Go's own first, then what others were attacked with. */

import { describe, expect, test } from "vitest";
import { environmentProxy, explainProxy, ProxyError } from "../../lib/index.ts";

type Env = Record<string, string>;

/** What a request to `url` goes through: the proxy's URL, or null. */
function proxyOf(env: Env, url = "http://example.com/"): string | null {
  const proxy = environmentProxy(env)(new URL(url));
  return proxy === null ? null : proxy.href.replace(/\/$/, "");
}

const CGI = "Cannot use proxy: refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy";

const GO: readonly [name: string, env: Env, url: string | undefined, expected: string | null | Error][] = [
  ["host:port", { HTTP_PROXY: "127.0.0.1:8080" }, undefined, "http://127.0.0.1:8080"],
  ["name:port", { HTTP_PROXY: "cache.corp.example.com:1234" }, undefined, "http://cache.corp.example.com:1234"],
  ["name", { HTTP_PROXY: "cache.corp.example.com" }, undefined, "http://cache.corp.example.com"],
  ["https url", { HTTP_PROXY: "https://cache.corp.example.com" }, undefined, "https://cache.corp.example.com"],
  ["http ip url", { HTTP_PROXY: "http://127.0.0.1:8080" }, undefined, "http://127.0.0.1:8080"],
  ["https ip url", { HTTP_PROXY: "https://127.0.0.1:8080" }, undefined, "https://127.0.0.1:8080"],
  ["socks5", { HTTP_PROXY: "socks5://127.0.0.1" }, undefined, "socks5://127.0.0.1:1080"],
  [
    "http uses http var",
    { HTTP_PROXY: "http.proxy.tld", HTTPS_PROXY: "secure.proxy.tld" },
    "http://insecure.tld/",
    "http://http.proxy.tld",
  ],
  [
    "https uses https var",
    { HTTP_PROXY: "http.proxy.tld", HTTPS_PROXY: "secure.proxy.tld" },
    "https://secure.tld/",
    "http://secure.proxy.tld",
  ],
  [
    "https var full url",
    { HTTP_PROXY: "http.proxy.tld", HTTPS_PROXY: "https://secure.proxy.tld" },
    "https://secure.tld/",
    "https://secure.proxy.tld",
  ],
  ["cgi", { HTTP_PROXY: "http://10.1.2.3:8080", REQUEST_METHOD: "1" }, undefined, new Error(CGI)],
  ["unset", {}, undefined, null],
  ["no_proxy exact", { NO_PROXY: "example.com", HTTP_PROXY: "proxy" }, undefined, null],
  ["no_proxy dot", { NO_PROXY: ".example.com", HTTP_PROXY: "proxy" }, undefined, "http://proxy"],
  ["no_proxy partial label", { NO_PROXY: "ample.com", HTTP_PROXY: "proxy" }, undefined, "http://proxy"],
  ["no_proxy subdomain", { NO_PROXY: "example.com", HTTP_PROXY: "proxy" }, "http://foo.example.com/", null],
  ["no_proxy other", { NO_PROXY: ".foo.com", HTTP_PROXY: "proxy" }, undefined, "http://proxy"],
];

function expectProxy(env: Env, url: string | undefined, expected: string | null | Error): void {
  if (expected instanceof Error) expect(() => proxyOf(env, url)).toThrow(expected.message);
  else expect(proxyOf(env, url)).toBe(expected);
}

describe("environmentProxy() decides as Go does", () => {
  const cases = GO.map(([name, ...rest]) => [`${name} [TestProxyFromEnvironment/${name}]`, ...rest] as const);
  test.each(cases)("%s", (_, env, url, expected) => {
    expectProxy(env, url, expected);
  });

  test("the same under the lower-case names of the variables [TestProxyFromEnvironmentLowerCase]", () => {
    for (const [, env, url, expected] of GO) {
      const lower = Object.fromEntries(
        Object.entries(env).map(([name, value]) => [/_PROXY$/.test(name) ? name.toLowerCase() : name, value]),
      );
      expectProxy(lower, url, expected);
    }
  });

  test("an upper-case variable comes before a lower-case one, and an empty one counts as none", () => {
    expect(proxyOf({ HTTP_PROXY: "upper", http_proxy: "lower" })).toBe("http://upper");
    expect(proxyOf({ HTTP_PROXY: "", http_proxy: "lower" })).toBe("http://lower");
    expect(proxyOf({ HTTP_PROXY: "p", NO_PROXY: "", no_proxy: "*" })).toBeNull();
  });

  test("ALL_PROXY is not known", () => {
    expect(proxyOf({ ALL_PROXY: "p", all_proxy: "p" })).toBeNull();
  });

  test("a CGI environment does not stop HTTPS_PROXY, which no header can set", () => {
    expect(proxyOf({ HTTPS_PROXY: "p", REQUEST_METHOD: "GET" }, "https://example.com/")).toBe("http://p");
  });

  test("a proxy that cannot be used is an error that names the variable and not its value", () => {
    const ask = environmentProxy({ HTTP_PROXY: "http://user:hunter2@bad host:1", HTTPS_PROXY: "ftp://u:hunter2@p" });
    for (const [url, name] of [
      ["http://example.com/", "HTTP_PROXY"],
      ["https://example.com/", "HTTPS_PROXY"],
    ] as const) {
      const error = caught(() => ask(new URL(url)));
      expect(error).toBeInstanceOf(ProxyError);
      expect(error.message).toBe(`Cannot use proxy: the value of ${name} is no proxy's URL`);
      expect(JSON.stringify([error.message, error.stack, String(error.cause)])).not.toContain("hunter2");
    }
  });

  test("the environment is read once", () => {
    const env: Env = { HTTP_PROXY: "first" };
    const ask = environmentProxy(env);
    ask(new URL("http://example.com/"));
    env["HTTP_PROXY"] = "second";
    expect(ask(new URL("http://example.com/"))?.host).toBe("first");
  });
});

function caught(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error; // what a spec throws is one
  }
  throw new Error("It did not throw");
}

/** [NO_PROXY, URL, whether it goes directly] */
const BYPASS: readonly [list: string, url: string, direct: boolean][] = [
  ["", "http://localhost/", true],
  ["", "http://LOCALHOST:3000/", true],
  ["", "http://localhost./", true],
  ["", "http://app.localhost/", false],
  ["", "http://127.0.0.1/", true],
  ["", "http://127.1.2.3/", true],
  ["", "http://2130706433/", true], // the URL standard reads it as 127.0.0.1
  ["", "http://[::1]/", true],
  ["", "http://[::ffff:127.0.0.1]/", true],
  ["", "http://[::2]/", false],
  ["", "http://example.com/", false],
  ["*", "http://example.com/", true],
  [" other.com , * ", "http://10.0.0.1/", true],
  ["example.com", "http://EXAMPLE.com/", true],
  ["EXAMPLE.COM", "http://example.com/", true],
  ["example.com", "http://example.com./", true],
  ["example.com.", "http://example.com/", true],
  ["example.com", "http://a.b.example.com/", true],
  ["example.com", "http://badexample.com/", false],
  ["example.com", "http://example.com.evil.org/", false],
  [".example.com", "http://example.com/", false],
  [".example.com", "http://a.example.com/", true],
  ["*.example.com", "http://example.com/", false],
  ["*.example.com", "http://a.example.com/", true],
  ["*.example.com:80", "http://a.example.com/", true],
  ["*.example.com:80", "http://a.example.com:81/", false],
  ["example.com:80", "http://example.com/", true],
  ["example.com:443", "https://example.com/", true],
  ["example.com:8080", "http://example.com/", false],
  ["example.com:8080", "http://a.example.com:8080/", true],
  ["10.0.0.1", "http://10.0.0.1/", true],
  ["10.0.0.1:80", "http://10.0.0.1/", true],
  ["10.0.0.1:81", "http://10.0.0.1/", false],
  ["10.0.0.1", "http://[::ffff:10.0.0.1]/", true],
  ["::ffff:10.0.0.1", "http://10.0.0.1/", true],
  ["10.0.0.0/8", "http://10.255.0.1/", true],
  ["10.0.0.0/8", "http://11.0.0.1/", false],
  ["10.0.0.0/8", "http://[::ffff:10.1.1.1]/", true],
  ["192.168.4.0/22", "http://192.168.7.255/", true],
  ["192.168.4.0/22", "http://192.168.8.0/", false],
  ["10.0.0.0/33", "http://10.0.0.1/", false],
  ["0.0.0.0/0", "http://1.2.3.4/", true],
  ["0.0.0.0/0", "http://example.com/", false],
  ["fd00::/8", "http://[fd12::1]/", true],
  ["fd00::/8", "http://[fe80::1]/", false],
  ["[fd00::1]:8080", "http://[fd00::1]:8080/", true],
  ["[fd00::1]:8080", "http://[fd00::1]/", false],
  ["[fd00::1]", "http://[fd00::1]/", true],
  ["fd00::1", "http://[fd00:0:0::1]/", true],
  ["0.1", "http://10.0.0.1/", false],
  [".0.0.1", "http://10.0.0.1/", false],
  ["bücher.example", "http://xn--bcher-kva.example/", true],
  ["xn--bcher-kva.example", "http://bücher.example/", true],
  [",, ,", "http://example.com/", false],
  [".", "http://example.com/", false],
  [":80", "http://example.com/", false],
];

describe("NO_PROXY", () => {
  test.each(BYPASS)("%j and %s: directly? %j", (list, url, direct) => {
    expect(proxyOf({ HTTP_PROXY: "p", HTTPS_PROXY: "p", NO_PROXY: list }, url) === null).toBe(direct);
  });
});

describe("explainProxy()", () => {
  const env = { HTTP_PROXY: "http://user:hunter2@proxy:3128", no_proxy: "a.org, 10.0.0.0/8" };
  test.each([
    ["http://example.com/", "http://proxy:3128", "HTTP_PROXY is set"],
    ["http://b.a.org/", null, "no_proxy has a.org"],
    ["http://10.1.1.1/", null, "no_proxy has 10.0.0.0/8"],
    ["http://localhost/", null, "localhost is never proxied"],
    ["http://127.0.0.1/", null, "loopback addresses are never proxied: 127.0.0.1"],
    ["https://example.com/", null, "HTTPS_PROXY is not set"],
    ["ftp://example.com/", null, "ftp URLs have no proxy variable"],
  ])("tells why %s goes through %j", (url, proxy, reason) => {
    expect(explainProxy(url, env)).toEqual({ proxy, reason });
  });

  test("tells of a request that would fail, without the value", () => {
    expect(explainProxy("http://example.com/", { ...env, REQUEST_METHOD: "GET" })).toEqual({
      proxy: null,
      reason: `the request fails: ${CGI}`,
    });
  });
});
