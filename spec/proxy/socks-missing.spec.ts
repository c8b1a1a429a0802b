/** Without the package `socks` a request through such a proxy says what to install, and nothing else is different. */

import { expect, test, vi } from "vitest";
import { Client, Transport } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { rawOrigin } from "../support/raw-proxy.ts";

checkLeaks();

vi.mock("socks", () => {
  throw Object.assign(new Error("Cannot find package 'socks'"), { code: "ERR_MODULE_NOT_FOUND" });
});

test("a socks5 proxy without the package is a ProxyError that says what to install", async () => {
  await using standing = await rawOrigin();
  const proxy = `socks5://user:secret@127.0.0.1:${standing.port}`;
  await using transport = new Transport({ proxy });
  const error = await new Client({ transport }).get("http://origin.test/").catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: "ERR_HTTP_PROXY",
    message: `Cannot open tunnel through proxy socks5://127.0.0.1:${standing.port} to origin.test:80: SOCKS needs the package \`socks\`, which is not installed: npm install socks`,
  });
});
