/** The page with the waterfall, in a browser: it draws, explains, zooms and can be read, and needs nothing but itself. */

import { writeFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { page as html, Recording } from "../../lib/observe.ts";
import type { TraceDetail } from "../../lib/trace.ts";
import { someExchanges } from "../observe/exchanges.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { type Browser, faint, fileUrl, inBrowser, NARROW, overflows, type Watched, WIDE } from "./browser.ts";

/** Opens the page of a recording, and waits until it has drawn. */
async function show(browser: Browser, text: string, ...how: Parameters<Browser["open"]>): Promise<Watched> {
  const path = browser.file(`${Math.random().toString(36).slice(2)}.html`);
  await writeFile(path, text);
  const watched = await browser.open(...how);
  await watched.page.goto(fileUrl(path));
  await watched.page.locator("#chart[data-to]").waitFor();
  return watched;
}

async function exchanges(): Promise<string> {
  const recording = new Recording();
  await using _ = await someExchanges(recording.trace);
  return html(recording, "a <title> & more");
}

/** So many requests over so many connections, without a network: what a long load leaves. */
function many(requests: number, connections: number): Recording {
  const recording = new Recording({ maxAttempts: requests });
  if (typeof recording.trace === "function") throw new Error("a recording has options");
  const { on } = recording.trace;
  const say = (detail: TraceDetail, at: number, call: number | null, connection: number | null) =>
    on({ ...detail, at, call, attempt: call === null ? 0 : 1, connection });
  const none = { localAddress: null, localPort: null, remoteAddress: "127.0.0.1", remotePort: 80 };
  for (let call = 1; call <= requests; call++) {
    const at = call * 3;
    const connection = (call % connections) + 1;
    const fresh = call <= connections;
    const url = `http://origin.test/items/${call}`;
    say({ type: "call-start", method: "GET", url, startedAt: 1e12 + at, hop: 0 }, at, call, null);
    if (fresh) {
      say({ type: "dial-start", host: "origin.test", port: 80 }, at, call, null);
      say({ type: "dial-done", id: connection, ...none }, at + 1, call, null);
    }
    const info = () => {
      throw new Error("nobody asks");
    };
    const assigned = { reused: !fresh, served: 0, idleMs: null, info, dialLeft: false };
    say({ type: "pool-assigned", ...assigned }, at + 2, call, connection);
    say({ type: "request-sent", bytes: 100 }, at + 3, call, connection);
    say({ type: "first-byte" }, at + 10 + (call % 20), call, connection);
    const head = { status: 200, statusText: "OK", framing: "length", httpVersion: "1.1", headers: () => [] } as const;
    say({ type: "head", ...head, early: false }, at + 10 + (call % 20), call, connection);
    say({ type: "end", bytes: 1000 }, at + 12 + (call % 30), call, connection);
    say({ type: "connection-idle", served: 1, keepMs: 90_000 }, at + 12 + (call % 30), null, connection);
  }
  return recording;
}

const shownRows = (page: Page) => page.locator("#chart").getAttribute("data-shown").then(Number);
const range = async (page: Page) => {
  const [from, to] = await Promise.all(
    ["data-from", "data-to"].map((name) => page.locator("#chart").getAttribute(name)),
  );
  return [Number(from), Number(to)] as const;
};
/** Waits until what is in view is shorter, or longer, than it was. */
async function zoomed(page: Page, than: number, how: "<" | ">"): Promise<void> {
  const span = async () => {
    const [from, to] = await range(page);
    return how === "<" ? than - (to - from) : to - from - than;
  };
  await expect.poll(span, { timeout: 20_000 }).toBeGreaterThan(0);
}

inBrowser("page()", (browser) => {
  test("page() asks for nothing but itself, and draws attempts, connections, the pool and the reasons", async () => {
    const { page, requests, faults } = await show(browser, await exchanges());
    expect(await page.title()).toBe("a <title> & more");
    expect(await page.locator("#summary").textContent()).toMatch(/^4 attempts over 2 connections in /);
    const kinds = await page.evaluate("[...document.querySelectorAll('.bar')].map((bar) => bar.dataset.kind)");
    for (const kind of ["connect", "write", "wait", "dial", "open", "idle"]) expect(kinds).toContain(kind);
    const rows = await page.locator(".row[data-row] .what").allTextContents();
    expect(rows.map((row) => row.replace(/\d+$/, "N"))).toEqual([
      "GET /a?n=1&m=N",
      "GET /moved",
      "GET /b",
      "POST /c",
      "connection N",
      "connection N",
    ]);
    const reasons = await page.locator("#reasons li span:last-child").allTextContents();
    expect(reasons.map((reason) => reason.replace(/\d+/g, "N"))).toEqual([
      "call N is sent on by N: GET http://N.N.N.N:N/b, the same origin",
      "connection N is closed: the answer said that it is the last (RFC N §N.N)",
      "connection N is closed: the server closed it before it had answered",
      "call N is not sent again, since the connection was dialed for this request",
      expect.stringMatching(/^call N fails: ConnectionClosedError: /),
    ]);
    for (const part of ["idle", "busy", "waiting"])
      expect(await page.locator(`#pool-${part}`).getAttribute("d")).toMatch(/^M\d/);
    expect(requests).toHaveLength(1);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("page() explains each bar and the pool under the pointer", async () => {
    const { page, faults } = await show(browser, await exchanges());
    const tip = page.locator("#tip");
    await page
      .locator('.bar[data-kind="connect"]')
      .first()
      .hover({ position: { x: 1, y: 5 } });
    const told = tip.filter({ hasText: "connect, " });
    await told.waitFor();
    expect(await told.textContent()).toMatch(
      /^GET \/a\?n=1&m=2http:.*200 OK over connection \d+, newconnect, [\d.]+ ms: /,
    );
    expect(await told.textContent()).toContain("is answered with 200 OK");
    await page.locator("#over").hover();
    await tip.filter({ hasText: /^The pool at [\d.]+ ms\d+ waiting for a connection\d+ busy\d+ idle$/ }).waitFor();
    await page.locator("h1").hover();
    await tip.waitFor({ state: "hidden" });
    expect(faults).toEqual([]);
    await page.close();
  });

  test("page() explains the same to who has no pointer: rows with the arrows up and down, bars with left and right", async () => {
    const { page, faults } = await show(browser, await exchanges());
    const tip = page.locator("#tip");
    for (const _ of ["in", "out", "all", "pool"]) await page.keyboard.press("Tab");
    await tip.filter({ hasText: "The pool at" }).waitFor();
    await page.keyboard.press("Tab");
    await tip.filter({ hasText: "GET /a?n=1&m=2" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await tip.filter({ hasText: "GET /moved" }).waitFor();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowRight");
    const first = await page.locator(".bar.on").getAttribute("data-kind");
    await tip.filter({ hasText: `${first}, ` }).waitFor();
    await page.keyboard.press("End");
    await tip
      .filter({ hasText: /^connection \d+to 127\.0\.0\.1:\d+open for [\d.]+ ms; closed: the server closed it/ })
      .waitFor();
    await page.keyboard.press("Escape");
    await tip.waitFor({ state: "hidden" });
    expect(faults).toEqual([]);
    await page.close();
  });

  test("page() zooms by buttons, keys, wheel and drag, and shows the rows that the time in view meets", async () => {
    const { page, faults } = await show(browser, html(many(300, 4)));
    const [, total] = await range(page);
    const all = await shownRows(page);
    const span = async () => {
      const [from, to] = await range(page);
      return to - from;
    };
    await page.locator("#in").click();
    await zoomed(page, total, "<");
    expect(await shownRows(page)).toBeLessThan(all);
    await page.keyboard.press("+");
    await zoomed(page, total * 0.3, "<");
    await page.keyboard.press("-");
    await zoomed(page, total * 0.3, ">");
    await page.keyboard.press("0");
    await zoomed(page, total * 0.99, ">");
    expect(await shownRows(page)).toBe(all);

    // The wheel alone scrolls; over the time, or with Ctrl, it zooms about the pointer.
    await page.locator("#over").hover();
    await page.mouse.wheel(0, -200);
    await zoomed(page, total * 0.75, "<");
    await page.keyboard.press("0");
    await zoomed(page, total * 0.99, ">");

    const box = await page.locator("#over").boundingBox();
    if (box === null) throw new Error("the time is not there");
    await page.mouse.move(box.x + box.width * 0.25, box.y + 30);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 3 });
    await page.mouse.up();
    await zoomed(page, total * 0.3, "<");
    const [from, to] = await range(page);
    expect(from / total).toBeCloseTo(0.25, 2);
    expect(to / total).toBeCloseTo(0.5, 2);

    // As deep as it goes, and no deeper; what is in view is cut, so that no bar is longer than its track.
    for (let i = 0; i < 30; i++) await page.locator("#in").click();
    await zoomed(page, total / 1e5, "<");
    const deep = await span();
    expect(deep).toBeGreaterThanOrEqual(1e-4 * 0.99);
    const widths = await page.evaluate(
      "[...document.querySelectorAll('.bar')].map((bar) => parseFloat(bar.style.width))",
    );
    for (const width of widths as number[]) expect(width).toBeLessThanOrEqual(100);
    await page.locator("#all").click();
    await zoomed(page, total * 0.99, ">");
    expect(faults).toEqual([]);
    await page.close();
  });

  test("page() of ten thousand requests draws what is in sight: as many elements as for a hundred", async () => {
    const recording = many(10_000, 64);
    const text = html(recording);
    expect(text.length).toBeLessThan(8e6);
    const { page, faults } = await show(browser, text);
    expect(await page.locator("#summary").textContent()).toMatch(/^10000 attempts over 64 connections in /);
    const elements = () => page.evaluate("document.querySelectorAll('*').length") as Promise<number>;
    expect(await elements()).toBeLessThan(1500);
    const [, total] = await range(page);
    await page.locator("#in").click();
    await zoomed(page, total, "<");
    expect(await elements()).toBeLessThan(1500);
    await page.locator(".row[tabindex='0']").focus();
    await page.keyboard.press("End");
    await page.locator(".row.lane:focus").waitFor();
    expect(await elements()).toBeLessThan(6000); // a connection's row has as many bars as can be told apart
    expect(faults).toEqual([]);
    await page.close();
  });

  test.each([
    ["wide by day", WIDE, "light"],
    ["wide by night", WIDE, "dark"],
    ["narrow by day", NARROW, "light"],
    ["narrow by night", NARROW, "dark"],
  ] as const)(
    "page() can be read, %s: text 4.5:1, bars 3:1 (WCAG 2.2), nothing beyond the window",
    async (_, size, scheme) => {
      const { page, faults } = await show(browser, await exchanges(), size, scheme);
      await page.locator(".bar").first().hover({ force: true });
      await page.locator("#tip").waitFor();
      const { found, seen } = await faint(page, ".bar, #legend i, #key i, #pool path");
      expect(found).toEqual([]);
      expect(seen).toBeGreaterThan(30);
      expect(await overflows(page)).toBe(false);
      expect(faults).toEqual([]);
      await page.close();
    },
  );

  test("page() shows what peers say as text", async () => {
    const recording = new Recording();
    await using peer = await scriptedPeer({ trace: recording.trace });
    const call = peer.client.get(peer.url("/</script><script>alert(1)</script>"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 </script><img src=x onerror=alert(1)>\r\nContent-Length: 0\r\n\r\n");
    await (await call).bytes();
    const { page, requests, faults } = await show(browser, html(recording, "</title><script>alert(1)</script>"));
    expect(await page.title()).toBe("</title><script>alert(1)</script>");
    await page.locator(".row[data-row]").first().hover();
    await page.locator("#tip").filter({ hasText: "<img src=x onerror=alert(1)>" }).waitFor();
    expect(await page.locator("img").count()).toBe(0);
    expect(requests).toHaveLength(1);
    expect(faults).toEqual([]);
    await page.close();
  });

  test("page() of nothing is a page", async () => {
    const { page, faults } = await show(browser, html(new Recording()));
    expect(await page.locator("#summary").textContent()).toBe("0 attempts over 0 connections in 0.00 ms");
    await page.keyboard.press("+");
    await page.locator("#over").hover();
    await page.locator("#tip").filter({ hasText: "nothing yet" }).waitFor();
    expect(faults).toEqual([]);
    await page.close();
  });
});
