/**
 * The page: it needs nothing from anywhere, peers cannot get into it, and its script runs and draws. The script is run on
 * as much of a document as it uses.
 */

import { Script } from "node:vm";
import { expect, test } from "vitest";
import { page, Recording } from "../../lib/observe.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { someExchanges } from "./exchanges.ts";

checkLeaks();

type Listener = (event: object) => void;

/** As much of an element as the script uses. */
class FakeElement {
  readonly name: string;
  readonly attributes: Record<string, string> = {};
  children: FakeElement[] = [];
  readonly style: Record<string, string> = {};
  readonly dataset: Record<string, unknown> = {};
  readonly listeners: Record<string, Listener> = {};
  textContent = "";
  hidden = true;
  clientWidth = 1000;
  offsetWidth = 10;
  offsetHeight = 10;
  onclick: (() => void) | null = null;
  constructor(name: string) {
    this.name = name;
  }
  setAttribute(name: string, value: unknown): void {
    this.attributes[name] = `${value}`;
  }
  append(...children: FakeElement[]): void {
    this.children.push(...children);
  }
  replaceChildren(...children: FakeElement[]): void {
    this.children = children;
  }
  addEventListener(name: string, listener: Listener): void {
    this.listeners[name] = listener;
  }
  getBoundingClientRect(): object {
    return { left: 0, top: 0 };
  }
  /** Itself and all below it. */
  all(): FakeElement[] {
    return [this, ...this.children.flatMap((child) => (child instanceof FakeElement ? child.all() : []))];
  }
}

/** Opens a page. */
function open(html: string) {
  const [, data] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)!;
  const [, script] = /<script>(.*?)<\/script>/s.exec(html)!;
  const elements = new Map<string, FakeElement>();
  const byId = (id: string) => {
    if (!elements.has(id)) elements.set(id, new FakeElement(id));
    return elements.get(id)!; // just set
  };
  byId("data").textContent = data!;
  const make = (name: string) => new FakeElement(name);
  const document = {
    getElementById: byId,
    createElement: make,
    createElementNS: (_: string, name: string) => make(name),
  };
  new Script(script!).runInNewContext({ document, addEventListener() {}, innerWidth: 1200, innerHeight: 800 });
  const bars = () =>
    byId("chart")
      .all()
      .filter(({ attributes }) => attributes["class"] === "bar");
  return { byId, bars };
}

test("page() draws each attempt and each connection, and says why what was closed", async () => {
  const recording = new Recording();
  await using _ = await someExchanges(recording.trace);
  const { byId, bars } = open(page(recording, "a <title> & more"));
  expect(byId("summary").textContent).toMatch(/^4 attempts over 2 connections in /);
  const kinds = new Set(bars().map(({ attributes }) => attributes["data-kind"]));
  for (const kind of ["connect", "write", "wait", "dial", "open", "idle"]) expect(kinds).toContain(kind);
  const reasons = byId("reasons").children.map(({ textContent }) => textContent.replace(/\d+/g, "N"));
  expect(reasons.map((reason) => reason.slice(reason.indexOf("  ") + 2))).toEqual([
    "call N is sent on by N: GET http://N.N.N.N:N/b, the same origin",
    "connection N is closed: the answer said that it is the last (RFC N §N.N)",
    "connection N is closed: the server closed it before it had answered",
    "call N is not sent again, since the connection was dialed for this request",
    expect.stringMatching(/^call N fails: ConnectionClosedError: /),
  ]);
});

test("page() explains a bar on hover, and zooms", async () => {
  const recording = new Recording();
  await using _ = await someExchanges(recording.trace);
  const { byId, bars } = open(page(recording));
  const connect = bars().find(({ attributes }) => attributes["data-kind"] === "connect")!;
  connect.listeners["pointermove"]?.({ clientX: 5, clientY: 5 });
  const tip = byId("tip");
  expect(tip.hidden).toBe(false);
  expect(tip.textContent).toMatch(
    /^GET \/a\?n=1&m=2, connection \d+, new\nconnect: a connection is made, [\d.]+ ms\n\n/,
  );
  expect(tip.textContent).toContain("is answered with 200 OK");

  const svg = () => byId("chart").children[0]!.dataset;
  const total = svg()["to"] as number;
  byId("in").onclick?.();
  expect(svg()["to"] as number).toBeLessThan(total);
  byId("chart").listeners["wheel"]?.({ deltaY: 1, clientX: 600, preventDefault() {} });
  byId("all").onclick?.();
  expect(svg()).toMatchObject({ from: 0, to: total });
});

test("page() loads nothing, and takes what peers say as text", async () => {
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
  expect(html.replace(/<script type.*?<\/script>/s, "").match(/https?:\/\/[^"]*/g)).toEqual([
    "http://www.w3.org/2000/svg",
  ]); // a name, not an address
  open(html);
});

test("page() of nothing is a page", () => {
  expect(open(page(new Recording())).byId("summary").textContent).toBe("0 attempts over 0 connections in 0.00 ms");
});
