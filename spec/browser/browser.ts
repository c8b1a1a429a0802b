/**
 * A real browser for specs of what people look at: Debian's Chromium, headless, with a profile of its own that is gone
 * afterwards. Where there is none, the specs are skipped, and a line says why.
 *
 * What a page must never do is watched for all of them: ask for anything but itself, or write an error to its console.
 */

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe } from "vitest";
import { tempFolder } from "../support/temp-folder.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PLACES = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser"];
const executablePath = PLACES.find((path) => path !== undefined && path !== "" && existsSync(path));

/** A page, and all that it did to the world. */
export interface Watched {
  readonly page: Page;
  /** URLs that it asked for, its own among them. */
  readonly requests: string[];
  /** Errors on its console, thrown in its scripts, and dialogs. */
  readonly faults: string[];
}

export interface Browser {
  /** A new page, that shows nothing yet. */
  open(size?: { width: number; height: number }, colorScheme?: "light" | "dark"): Promise<Watched>;
  /** Where a file of that name would be. */
  file(name: string): string;
}

export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 390, height: 844 };

/** Specs that need a browser. One for all of them, since it takes a second to start. */
export function inBrowser(name: string, specs: (browser: Browser) => void): void {
  if (executablePath === undefined) {
    console.warn(`${name}: skipped, since there is no Chromium (apt-get install chromium, or CHROMIUM=/path/to/it)`);
    describe.skip(name, () => specs({ open: () => Promise.reject(new Error("no browser")), file: (file) => file }));
    return;
  }
  describe(name, { timeout: 60_000 }, () => {
    const folder = tempFolder("browser");
    let context: BrowserContext;
    beforeAll(async () => {
      const options = { executablePath, headless: true, args: FLAGS };
      context = await chromium.launchPersistentContext(`${folder}/profile`, options);
    }, 60_000);
    afterAll(async () => {
      await context?.close();
    }, 60_000);
    specs({
      file: (file) => `${folder}/${file}`,
      async open(size = WIDE, colorScheme = "light") {
        const page = await context.newPage();
        const watched: Watched = { page, requests: [], faults: [] };
        page.on("request", (request) => watched.requests.push(request.url()));
        page.on("console", (message) => {
          if (message.type() === "error" || message.type() === "warning") watched.faults.push(message.text());
        });
        page.on("pageerror", (error) => watched.faults.push(`${error.stack}`));
        page.on("dialog", (dialog) => {
          watched.faults.push(`dialog: ${dialog.message()}`);
          dialog.dismiss().catch(() => {});
        });
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        return watched;
      },
    });
  });
}

export function fileUrl(path: string): string {
  return pathToFileURL(path).href;
}

/** Runs in the page: the texts whose contrast to what they stand on is too low, and what is drawn below its own bound. */
const FAINT = `(bars) => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (el) => {
    for (let at = el; at; at = at.parentElement) {
      const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  let seen = 0;
  for (const el of document.body.querySelectorAll("*")) {
    if (!el.checkVisibility || !el.checkVisibility()) continue;
    const text = [...el.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (text !== "" && el.tagName !== "SCRIPT") {
      seen++;
      const is = ratio(channels(getComputedStyle(el).color).slice(0, 3), ground(el));
      if (is < 4.5) found.push(text.slice(0, 40) + ": " + is.toFixed(2));
    }
    if (el.matches(bars)) {
      const own = getComputedStyle(el), color = el.tagName === "path" ? own.fill : own.backgroundColor;
      const is = ratio(channels(color).slice(0, 3), ground(el.parentElement));
      if (is < 3) found.push((el.className.baseVal || el.className || el.id) + " " + color + ": " + is.toFixed(2));
    }
  }
  return { found, seen };
}`;

/**
 * What of a page's text is below 4.5:1, and what of `bars` below 3:1 (WCAG 2.2 §1.4.3, §1.4.11).
 *
 * @param bars a selector of what is not text and must be seen all the same
 */
export async function faint(page: Page, bars: string): Promise<{ found: string[]; seen: number }> {
  return await page.evaluate(`(${FAINT})(${JSON.stringify(bars)})`);
}

/** Whether the page is wider than its window. */
export async function overflows(page: Page): Promise<boolean> {
  return await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
}
