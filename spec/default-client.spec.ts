/** The client of the whole module, which goes through the proxies of the process's environment, read at the first call. */

import { afterAll, expect, test, vi } from "vitest";
import {
  Client,
  defaultClient,
  environmentProxy,
  explainProxy,
  get,
  proxyFromEnvironment,
  Transport,
} from "../lib/index.ts";
import { rawProxy } from "./support/raw-proxy.ts";
import { scriptedPeer } from "./support/scripted-peer.ts";

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

test("close() closes what is idle, and leaves others their calls and the next ones", async () => {
  await using peer = await scriptedPeer();
  const reading = get(peer.url("/busy"));
  const busy = await peer.accept();
  await busy.readHead();
  const answered = get(peer.url("/idle"));
  const idle = await peer.accept();
  await idle.readHead();
  idle.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await answered;
  await defaultClient.close();
  expect(await idle.readToEnd()).toBe("");
  busy.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbusy");
  expect(await (await reading).text()).toBe("busy");
  const next = get(peer.url("/next"));
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  expect((await next).status).toBe(204);
});

test("a Client on a new Transport() does not look at the environment", async () => {
  vi.stubEnv("HTTP_PROXY", "http://proxy.test:3128");
  const dialed: string[] = [];
  const dial = ({ host }: { host: string }) => {
    dialed.push(host);
    return Promise.reject(new Error("no network"));
  };
  for (const options of [{ dial }, { dial, proxy: environmentProxy({ HTTP_PROXY: "http://proxy.test:3128" }) }]) {
    await using transport = new Transport(options);
    await expect(new Client({ transport }).get("http://origin.test/")).rejects.toThrow();
  }
  expect(dialed).toEqual(["origin.test", "proxy.test"]);
});
