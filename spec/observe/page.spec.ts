/**
 * What the page is made of: it needs nothing from anywhere, peers cannot get into it, its script is one. What it does in a
 * browser is in spec/browser.
 */

import { Script } from "node:vm";
import { expect, test } from "vitest";
import { page, Recording } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

interface Data {
  readonly texts: readonly string[];
  readonly attempts: readonly unknown[];
  readonly connections: readonly unknown[];
  readonly pool: readonly (readonly number[])[];
  readonly reasons: readonly (readonly [at: number, text: number])[];
}

/** Takes a page apart; a script that does not parse throws. */
function open(html: string): Data {
  const [, data] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html) ?? [];
  const [, script] = /<script>(.*?)<\/script>/s.exec(html) ?? [];
  new Script(script ?? "(");
  return JSON.parse(data ?? ""); // what page() wrote
}

test("page() has each attempt and each connection, what the pool held, and says why what was closed", async () => {
  const recording = new Recording();
  await using _ = await someExchanges(recording.trace);
  const { attempts, connections, pool, reasons, texts } = open(page(recording));
  expect([attempts.length, connections.length]).toEqual([4, 2]);
  const said = reasons.map(([, text]) => texts[text]?.replace(/\d+/g, "N"));
  expect(said).toEqual([
    "call N is sent on by N: GET http://N.N.N.N:N/b, the same origin",
    "connection N is closed: the answer said that it is the last (RFC N §N.N)",
    "connection N is closed: the server closed it before it had answered",
    "call N is not sent again, since the connection was dialed for this request",
    expect.stringMatching(/^call N fails: ConnectionClosedError: /),
  ]);
  const [, idle, busy, waiting] = pool.at(-1) ?? [];
  expect([idle, busy, waiting]).toEqual([0, 0, 0]);
  for (const [, ...held] of pool) expect(Math.min(...held)).toBeGreaterThanOrEqual(0);
});

test("page() loads nothing, and takes what peers say as data", async () => {
  const recording = new Recording();
  await using peer = await scriptedPeer({ trace: recording.trace });
  const call = peer.client.get(peer.url("/</script><script>alert(1)</script>"));
  const conn = await peer.accept();
  await conn.readHead();
  conn.reply("HTTP/1.1 200 </script><img src=x onerror=alert(1)>\r\nContent-Length: 0\r\n\r\n");
  await (await call).bytes();
  const html = page(recording, "</title><script>alert(1)</script>");
  expect(html.match(/<script/g)).toHaveLength(2);
  expect(html).not.toContain("<img");
  expect(html).toContain("default-src 'none'");
  expect(html.replace(/<script type.*?<\/script>/s, "")).not.toMatch(/https?:\/\//);
  open(html);
});

test("page() of nothing is a page", () => {
  expect(open(page(new Recording()))).toMatchObject({ attempts: [], connections: [], pool: [], reasons: [] });
});
