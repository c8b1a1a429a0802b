/** The client of the whole module, which goes through the proxies of the process's environment, read at the first call. */

import { afterAll, expect, test, vi } from "vitest";
import { Client, defaultClient, explainProxy, get, proxyFromEnvironment, Transport } from "../lib/index.ts";
import { rawProxy } from "./support/raw-proxy.ts";

afterAll(() => {
  vi.unstubAllEnvs();
  defaultClient.closeIdleConnections();
});

test("get() goes through HTTP_PROXY, read once, and so does a transport that is told to", async () => {
  for (const name of ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"]) {
    vi.stubEnv(name, undefined);
  }
  await using proxy = await rawProxy();
  vi.stubEnv("HTTP_PROXY", `http://user:secret@127.0.0.1:${proxy.port}`);
  vi.stubEnv("NO_PROXY", "direct.test");
  const url = "http://origin.test/x";
  expect(await (await get(url)).text()).toBe(`the proxy saw GET ${url} HTTP/1.1`);
  vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:1");
  const again = await get(url);
  expect(await again.text()).toBe(`the proxy saw GET ${url} HTTP/1.1`);
  expect(again.connection).toMatchObject({ reused: true, proxy: proxy.url });
  expect(explainProxy(url)).toEqual({ proxy: proxy.url, reason: "HTTP_PROXY is set" });
  expect(explainProxy("http://direct.test/")).toEqual({ proxy: null, reason: "NO_PROXY has direct.test" });

  await using told = new Transport({ proxy: proxyFromEnvironment });
  expect(await (await new Client({ transport: told }).get(url)).text()).toMatch(/^the proxy saw/);
});
