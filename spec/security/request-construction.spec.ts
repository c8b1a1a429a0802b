/** Family A: requests that said on the wire what their caller did not: CR, LF, smuggling. See README.md. */

import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { type CallInit, Client, LocalProtocolError, Request, Transport } from "../../lib/index.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { polluted } from "../support/polluted.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { settled } from "./support.ts";

checkLeaks();

const SPLIT = "x\r\n\r\nGET /evil HTTP/1.1\r\nX: 1";

/** What only JavaScript can give, whatever the types say. */
type Anything = never;

/** A body that looks like a Blob, and has the type of its own choice. */
const blobLike = (type: string) => ({
  [Symbol.toStringTag]: "Blob",
  size: 1,
  type,
  arrayBuffer: async () => new ArrayBuffer(1),
  stream: () => new Blob(["x"]).stream(),
  slice() {},
});

interface Ask {
  readonly method?: string;
  /** Behind the authority. */
  readonly path?: string;
  /** In place of the authority. */
  readonly host?: string;
  readonly init?: CallInit;
}

const pairs = (...headers: [string, string][]): Ask => ({ method: "POST", init: { headers, body: "hello" } });

const REFUSED: readonly (readonly [incident: string, ask: Ask, field: string])[] = [
  ["CVE-2022-31150, undici (R1): CR LF in a header's value", pairs(["x-a", SPLIT]), "header x-a"],
  ["CVE-2022-31150, undici (R1): CR LF in a path", { init: { target: `/${SPLIT}` } }, "target"],
  ["CVE-2022-31150, undici (R1): CR LF in a method", { method: `GET /${SPLIT}` }, "method"],
  ["CVE-2022-35948, undici (R1): CR LF in Content-Type", pairs(["content-type", SPLIT]), "header content-type"],
  ["CVE-2023-23936, undici (R1, R2): CR LF in Host", pairs(["host", SPLIT]), "header host"],
  [
    "CVE-2026-1527, undici (R1, R2): CR LF in Upgrade",
    { init: { headers: { connection: "upgrade", upgrade: SPLIT } } },
    "header upgrade",
  ],
  [
    "CVE-2026-15157, undici (R1, R2): CR LF in the type of what looks like a Blob",
    { method: "POST", init: { body: blobLike(SPLIT) as Anything } },
    "body",
  ],
  [
    "CVE-2026-1525, undici (R4): two Content-Lengths in different case",
    pairs(["Content-Length", "5"], ["content-length", "6"]),
    "header content-length",
  ],
  ["CVE-2023-29406, Go (R1, R2): a Host with more than a host", pairs(["Host", "a.test/x y"]), "header host"],
  ["CVE-2016-5699, Python (R1): a header's value that ends in LF", pairs(["x-a", "1\n"]), "header x-a"],
  ["CVE-2019-9740, Python and urllib3 (R1): CR LF in a query", { path: `/?a=1 HTTP/1.1\r\nX: 1` }, "url"],
  ["CVE-2019-9947, Python and urllib3 (R1): CR LF in a path", { path: `/a HTTP/1.1\r\nX: 1` }, "url"],
  ["CVE-2020-26137, urllib3 (R1): CR LF in a method", { method: "PUT\r\nX: 1" }, "method"],
  [
    "CVE-2018-12116, node (R1): characters that become CR LF as latin1",
    { init: { target: "/\u{10d}\u{10a}x" } },
    "target",
  ],
  ["CVE-2026-48930, node (R1): NUL in a host's name", { host: "127.0.0.1\0.evil.test" }, "url"],
];

describe("refused before a connection is touched", () => {
  test.each(REFUSED)("%s", async (_, { method = "GET", path = "/", host, init }, field) => {
    await using peer = await scriptedPeer();
    const url = `http://${host ?? peer.authority}${path}`;
    const error = await peer.client.request(method, url, init).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LocalProtocolError);
    expect(error).toMatchObject({ field });
    expect((error as Error).message).not.toMatch(/[\r\n]/);
    expect(peer.transport.stats()).toMatchObject({ dialed: 0, dialing: 0 });
  });

  test("control: what is sound goes out", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.post(peer.url("/a?b"), { ...pairs(["x-a", "1"], ["Host", "a.test"]).init });
    const conn = await peer.accept();
    expect(await conn.readHead()).toMatch(/^POST \/a\?b HTTP\/1\.1\r\nHost: a\.test\r\n/);
    await conn.expect("hello");
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    expect((await call).status).toBe(204);
  });
});

test("CVE-2018-12116, node (R1): a URL's own such characters go out percent-encoded", async () => {
  await using peer = await scriptedPeer();
  const call = peer.client.get(peer.url("/\u{10d}\u{10a}x"));
  const conn = await peer.accept();
  expect(await conn.readHead()).toMatch(/^GET \/%C4%8D%C4%8Ax HTTP\/1\.1\r\n/);
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await call;
});

test("undici#5579 (R3): a value whose toString() answers differently the second time has no second time", async () => {
  await using peer = await scriptedPeer();
  let asked = 0;
  const shifty = { toString: () => (++asked === 1 ? "sound" : SPLIT) };
  const request = new Request(peer.url(), { headers: { "x-a": shifty as Anything } });
  const call = peer.client.do(request);
  const conn = await peer.accept();
  await conn.expect(peer.head("GET /", "x-a: sound"));
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await call;
  expect(asked).toBe(1);
});

describe("undici 8.12, bodies that are not as long as declared (R5)", () => {
  test.each([
    ["longer", "hello, GET /evil HTTP/1.1\r\n\r\n"],
    ["shorter", "hel"],
  ])("one that is %s fails, and its connection serves nobody", async (_, body) => {
    await using peer = await scriptedPeer();
    const call = settled(
      peer.client.post(peer.url(), { body: Readable.from([Buffer.from(body)]), headers: { "content-length": "5" } }),
    );
    const conn = await peer.accept();
    await conn.readHead();
    expect((await conn.readToEnd()).length).toBeLessThanOrEqual(5);
    expect(await call).toBe("ERR_HTTP_LOCAL_PROTOCOL");
    expect(peer.transport.stats()).toMatchObject({ idle: 0, busy: 0 });
  });
});

/** A form of the caller's own making, of one file. */
function formOf(name: string, file: object): Anything {
  const entries = () => [[name, file]].values();
  const none = () => null;
  const methods = { append: none, get: none, getAll: none, has: none, set: none, delete: none, forEach: none };
  const form = { [Symbol.toStringTag]: "FormData", ...methods, entries, keys: entries, values: entries };
  return { ...form, [Symbol.iterator]: entries } as Anything;
}

describe("GHSA-445q-vr5w-6q77, axios (R1): no part of a form ends its own line", () => {
  test("by the type of a file", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.post(peer.url(), { body: formOf("a", { ...blobLike(SPLIT), name: "a" }) });
    await expect(call).rejects.toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
    expect(peer.accepted).toEqual([]);
  });

  test("by the name of a field or of a file", async () => {
    await using peer = await scriptedPeer();
    const evil = 'a"\r\nX-Evil: 1';
    const call = peer.client.post(peer.url(), { body: formOf(evil, new File(["x"], evil)) });
    const conn = await peer.accept();
    const body = await conn.read(Number(/content-length: (\d+)/i.exec(await conn.readHead())?.[1]));
    expect(body.split("\r\n")[1]).toBe(
      'Content-Disposition: form-data; name="a%22%0D%0AX-Evil: 1"; filename="a%22%0D%0AX-Evil: 1"',
    );
    conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
    await call;
  });
});

test("CVE-2026-40175, axios (R12): a header that a polluted prototype brings along is not sent", async () => {
  await using peer = await scriptedPeer();
  const call = polluted({ "x-evil": "1", headers: { "x-evil": "1" }, body: "evil" }, () =>
    peer.client.post(peer.url(), { headers: { "x-mine": "1" } }),
  );
  const conn = await peer.accept();
  await conn.expect(peer.head("POST /", "Content-Length: 0", "x-mine: 1"));
  conn.reply("HTTP/1.1 204 No Content\r\n\r\n");
  await call;
});

test("CVE-2025-22150, undici: a boundary cannot be guessed from the one before", () => {
  const random = Math.random;
  Math.random = () => 0.5;
  try {
    const boundaries = Array.from({ length: 100 }, () => {
      const form = new FormData();
      form.append("a", "1");
      const type = new Request("http://a.test/", { method: "POST", body: form }).headers.get("content-type");
      return /boundary=(.*)$/.exec(type ?? "")?.[1] ?? "";
    });
    expect(new Set(boundaries).size).toBe(100);
    for (const boundary of boundaries) expect(boundary).toMatch(/[0-9a-zA-Z_-]{20,}$/);
  } finally {
    Math.random = random;
  }
});

test("R1: what goes out by itself is validated like the rest", async () => {
  for (const make of [
    () => new Client({ headers: { "x-a": SPLIT } }).get("http://127.0.0.1:1/"),
    () => new Transport({ userAgent: SPLIT }).roundTrip(new Request("http://127.0.0.1:1/")),
  ]) {
    await expect((async () => make())()).rejects.toThrow(LocalProtocolError);
  }
});
