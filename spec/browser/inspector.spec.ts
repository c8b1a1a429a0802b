/** The live view in a browser: it changes as a program runs, explains, holds still for who looks, and can be read. */

import { expect, test } from "vitest";
import { type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { faint, inBrowser, NARROW, overflows, WIDE } from "./browser.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Two calls for one connection: one has it, the other waits. */
async function oneWaits(peer: ScriptedPeer) {
  const first = peer.client.get(peer.url("/first?access_token=secret"), { headers: { Cookie: "k=secret" } });
  const conn = await peer.accept();
  await conn.readHead();
  const second = peer.client.get(peer.url("/second"));
  return {
    /** Both are answered; the second answer closes the connection. */
    async answer() {
      conn.reply(OK);
      await (await first).bytes();
      await conn.readHead();
      conn.reply("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnone");
      await (await second).bytes();
    },
  };
}

inBrowser("transport.serveInspector()", (browser) => {
  test("its page changes as the program runs, and asks for nothing but its own", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const inspector = await peer.transport.serveInspector();
    const { page, requests, faults } = await browser.open();
    await page.goto(inspector.url);
    await page.locator('#link[data-state="live"]').waitFor();
    const figure = (name: string, value: string) =>
      page
        .locator("dl div")
        .filter({ hasText: new RegExp(`^${name}${value}$`) })
        .waitFor();
    await figure("calls", "0");

    const { answer } = await oneWaits(peer);
    await figure("busy", "1");
    await figure("waiting", "1");
    await page
      .locator(".connections .row")
      .filter({ hasText: "PersistConn {" })
      .filter({ hasText: "/first?access_token=[hidden]" })
      .waitFor();
    await page
      .locator(".waiters .row")
      .filter({ hasText: `http://${peer.authority}` })
      .waitFor();
    await page.locator(".pools .row").filter({ hasText: "1 busy, 1 waiting" }).waitFor();
    await page
      .locator(".calls .row")
      .filter({ hasText: "/first" })
      .filter({ hasText: "waits for the answer" })
      .waitFor();
    await page
      .locator(".calls .row")
      .filter({ hasText: "/second" })
      .filter({ hasText: "waits for a connection" })
      .waitFor();

    await answer();
    await page.locator(".calls .row").filter({ hasText: "/first" }).filter({ hasText: "200 OK" }).waitFor();
    await page.locator(".calls .row").filter({ hasText: "/second" }).filter({ hasText: "404 Not Found" }).waitFor();
    await figure("busy", "0");
    await page.locator(".connections .row").waitFor({ state: "detached" });
    await page.locator(".waiters .row").waitFor({ state: "detached" });
    await page.locator(".closes .row").filter({ hasText: "1 ×the answer said that it is the last" }).waitFor();

    expect(await page.content()).not.toContain("secret");
    expect(new Set(requests.map((url) => new URL(url).origin))).toEqual(new Set([new URL(inspector.url).origin]));
    await inspector.close();
    await page.locator('#link[data-state="lost"]').waitFor();
    expect(faults).toEqual([]);
    await page.close();
  });

  test("its page tells the story of an exchange to pointer and keyboard, and holds still for who looks", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const inspector = await peer.transport.serveInspector();
    const { page, faults } = await browser.open();
    await page.goto(inspector.url);
    await (await oneWaits(peer)).answer();
    const row = page.locator(".calls .row");
    await row.filter({ hasText: "404 Not Found" }).waitFor();
    await row.filter({ hasText: "/first" }).hover();
    const tip = page.locator("#tip");
    await tip.filter({ hasText: "is answered with 200 OK" }).waitFor();
    await page.locator("h3").filter({ hasText: "held while you look" }).waitFor();

    const third = peer.client.get(peer.url("/third"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(OK);
    await (await third).bytes();
    await page
      .locator("dl div")
      .filter({ hasText: /^calls3$/ })
      .waitFor();
    expect(await row.count()).toBe(2);
    await page.locator("h1").hover();
    await row.filter({ hasText: "/third" }).waitFor();
    await tip.waitFor({ state: "hidden" });

    await page.locator("h1").click();
    await page.keyboard.press("Tab");
    await tip.filter({ hasText: "/third" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await tip
      .filter({ hasText: "waits for a connection, behind" })
      .or(tip.filter({ hasText: "/second" }))
      .waitFor();
    await page.keyboard.press("Escape");
    await tip.waitFor({ state: "hidden" });
    await inspector.close();
    await page.locator('#link[data-state="lost"]').waitFor();
    expect(faults).toEqual([]);
    await page.close();
  });

  test("its page shows transports that come and go", async () => {
    await using one = await scriptedPeer();
    const two = await scriptedPeer();
    const inspector = await one.transport.serveInspector();
    const { page, faults } = await browser.open();
    await page.goto(inspector.url);
    await page.locator("section").waitFor();
    inspector.add(two.transport, "<b>the other</b>");
    await page.locator("section h2", { hasText: "<b>the other</b>" }).waitFor();
    await two[Symbol.asyncDispose]();
    await page.locator("section h2", { hasText: "<b>the other</b>" }).waitFor({ state: "detached" });
    expect(await page.locator("section").count()).toBe(1);
    await inspector.close();
    expect(faults).toEqual([]);
    await page.close();
  });

  test.each([
    ["wide by day", WIDE, "light"],
    ["wide by night", WIDE, "dark"],
    ["narrow by day", NARROW, "light"],
    ["narrow by night", NARROW, "dark"],
  ] as const)(
    "its page can be read, %s: text 4.5:1, marks 3:1 (WCAG 2.2), nothing beyond the window",
    async (_, size, scheme) => {
      await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
      const inspector = await peer.transport.serveInspector();
      const { page, faults } = await browser.open(size, scheme);
      await page.goto(inspector.url);
      const { answer } = await oneWaits(peer);
      await page.locator(".pools .row").filter({ hasText: "1 busy, 1 waiting" }).waitFor();
      await page.locator(".calls .row").first().hover();
      await page.locator("#tip").waitFor();
      const { found, seen } = await faint(page, ".meter i, #link i");
      expect(found).toEqual([]);
      expect(seen).toBeGreaterThan(30);
      expect(await overflows(page)).toBe(false);
      await answer();
      await inspector.close();
      await page.locator('#link[data-state="lost"]').waitFor();
      expect(faults).toEqual([]);
      await page.close();
    },
  );

  // What another page of the web could do with a browser that can reach this machine.
  test("no other page gets anything out of it, though it knew the address and all but the token", async () => {
    await using peer = await scriptedPeer();
    await using inspector = await peer.transport.serveInspector();
    const { page } = await browser.open();
    const call = page.goto(peer.url("/evil"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil");
    await call;
    const reached = (path: string) =>
      page.evaluate(`fetch(${JSON.stringify(path)}).then((r) => r.text(), (error) => "no: " + error.name)`);
    for (const path of [inspector.url, `${inspector.url}events`, new URL("/", inspector.url).href]) {
      expect(await reached(path)).toBe("no: TypeError");
    }
    const framed = page.evaluate(`new Promise((resolve) => {
      const frame = document.createElement("iframe");
      frame.src = ${JSON.stringify(inspector.url)};
      frame.onload = () => { let seen; try { seen = frame.contentDocument.title; } catch { seen = "no"; } resolve(seen); };
      document.body.append(frame);
    })`);
    expect(await framed).not.toContain("inspector");
    await page.close();
  });
});
