/** Family E: servers that exhausted the client: memory, time, the stack, the process. See README.md. */

import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import * as lib from "../../lib/index.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { still, turns, until } from "../support/loop.ts";
import { type PeerConn, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";
import { against, settled } from "./support.ts";

checkLeaks();

const MIB = 1024 * 1024;
const OK = "HTTP/1.1 200 OK\r\n";
const NOTHING = "HTTP/1.1 204 No Content\r\n\r\n";

/** 64 MiB of zeros in 64 KiB. */
const BOMB = gzipSync(Buffer.alloc(64 * MIB), { level: 9 });
const bombHead = (status = "200 OK", more = "") =>
  `HTTP/1.1 ${status}\r\nContent-Encoding: gzip\r\nContent-Length: ${BOMB.length}\r\n${more}\r\n`;

/** A call, and the connection on which its head was read. */
async function sent(peer: ScriptedPeer, init: lib.CallInit = {}): Promise<[Promise<lib.Response>, PeerConn]> {
  const call = peer.client.get(peer.url(), init);
  call.catch(() => {}); // looked at later
  const conn = await peer.accept();
  await conn.readHead();
  return [call, conn];
}

function drop(conn: PeerConn): void {
  conn.reply(bombHead());
  conn.socket.write(BOMB);
}

describe("encodings (R17)", () => {
  test.each([
    ["CVE-2022-32206, curl: a chain without end", [`Content-Encoding: ${"gzip, ".repeat(1000)}gzip`]],
    ["GHSA-gm62-xv2j-4w53, urllib3: a chain over many fields", new Array<string>(50).fill("Content-Encoding: gzip")],
    ["CVE-2026-22036, undici: a chain of six", ["Content-Encoding: gzip, br, gzip, br, gzip, br"]],
  ])("%s is refused", async (_, lines) => {
    await using peer = await scriptedPeer();
    const [call, conn] = await sent(peer);
    conn.reply(`${OK}${lines.join("\r\n")}\r\nContent-Length: 3\r\n\r\nabc`);
    await expect((await call).text()).rejects.toMatchObject({ reason: "too-many-codings" });
  });

  test("GHSA-2xpw-w6gg-jr37, urllib3: who reads a little of a bomb does not pay for all of it", async () => {
    await using peer = await scriptedPeer();
    const [call, conn] = await sent(peer);
    drop(conn);
    let bytes = 0;
    for await (const chunk of await call) {
      bytes += chunk.length;
      break;
    }
    expect(bytes).toBeLessThanOrEqual(MIB);
  });

  test("GHSA-38jv-5279-wg99, urllib3: the body of a redirect is not decoded", async () => {
    await using peer = await scriptedPeer({ maxDecompressRatio: 1 });
    const [call, conn] = await sent(peer);
    conn.reply(bombHead("302 Found", "Location: /next\r\n"));
    conn.socket.write(BOMB);
    await conn.readHead();
    conn.reply(NOTHING);
    expect((await call).status).toBe(204);
  });

  test("GHSA-mf9v-mfxr-j63j, urllib3: a body that is drained is not decoded", async () => {
    await using peer = await scriptedPeer({ maxDecompressRatio: 1 });
    const [call, conn] = await sent(peer);
    drop(conn);
    await (await call).close();
    await until(() => peer.transport.stats().idle === 1, "the connection is back");
  });

  const readers: [string, (response: lib.Response) => Promise<unknown>][] = [
    ["bytes()", (response) => response.bytes()],
    ["for await", (response) => count(response)],
    ["body", (response) => count(response.body as AsyncIterable<Uint8Array>)],
    ["readable()", (response) => count(response.readable())],
  ];
  const calls: [string, lib.CallInit][] = [
    ["GHSA-vf2m-468p-8v99, axios: streams", {}],
    ["GHSA-5c9x-8gcm-mpgx, axios: maxRedirects 0", { maxRedirects: 0 }],
  ];
  describe.each(calls)("%s are not out of the limits' reach", (_, init) => {
    test.each(readers)("by %s", async (_, read) => {
      await using peer = await scriptedPeer();
      const [call, conn] = await sent(peer, init);
      drop(conn);
      await expect(read(await call)).rejects.toMatchObject({ code: "ERR_HTTP_DECOMPRESS", reason: "ratio" });
    });
  });

  test("CVE-2020-15168, node-fetch: the limits hold behind a redirect", async () => {
    await using peer = await scriptedPeer();
    const [call, conn] = await sent(peer);
    conn.reply("HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n");
    await conn.readHead();
    drop(conn);
    await expect((await call).bytes()).rejects.toMatchObject({ code: "ERR_HTTP_DECOMPRESS", reason: "ratio" });
  });
});

async function count(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.length;
  return bytes;
}

describe("a body that nobody reads", () => {
  test("CVE-2024-24750, GHSA-9f24-jqhm-jfcw, undici (R18): it stays with the server", async () => {
    await using peer = await scriptedPeer();
    const [call, conn] = await sent(peer);
    conn.reply(`${OK}Content-Length: ${64 * MIB}\r\n\r\n`);
    conn.socket.write(Buffer.alloc(64 * MIB));
    const response = await call;
    const left = await still(() => conn.socket.writableLength);
    expect(left).toBeGreaterThan(0);
    await response.close();
  });

  test("undici#5360 (R19): the server's end while the client has paused ends nothing else", async () => {
    await using peer = await scriptedPeer();
    const [call, conn] = await sent(peer);
    conn.reply(`${OK}Content-Length: ${8 * MIB}\r\n\r\n`);
    conn.socket.end(Buffer.alloc(8 * MIB));
    const response = await call;
    await still(() => conn.socket.writableLength);
    expect((await response.bytes()).length).toBe(8 * MIB);
  });
});

test("CVE-2026-1526, CVE-2026-1528, CVE-2026-2229, CVE-2026-12151, undici: no frame of a WebSocket is parsed here", () => {
  expect(Object.keys(lib).filter((name) => /socket|frame/i.test(name))).toEqual([]);
});

test("CVE-2026-2581, GHSA-phc3-fgpg-7m6h, undici: nothing is kept for others: two equal requests are two", async () => {
  await using peer = await scriptedPeer();
  const [first, one] = await sent(peer);
  const [second, two] = await sent(peer);
  one.reply(`${OK}Content-Length: 1\r\n\r\n1`);
  two.reply(`${OK}Content-Length: 1\r\n\r\n2`);
  expect([await settled(first), await settled(second)]).toEqual(["200 1", "200 2"]);
});

describe("nothing is cached that nobody asked to be", () => {
  test.each([
    ["CVE-2026-13697, undici: an answer to credentials", "public, max-age=1000", { Authorization: "a" }],
    ["CVE-2026-9678, GHSA-pr7r-676h-xcf6, undici: an answer that sets a cookie", "s-maxage=1000", {}],
    ["CVE-2026-14643, undici: odd Cache-Control", 'max-age="-1=, ,=,;no-cache="', {}],
  ])("%s", async (_, control, headers) => {
    await using peer = await scriptedPeer();
    const [call, conn] = await sent(peer, { headers });
    conn.reply(`${OK}Cache-Control: ${control}\r\nSet-Cookie: a=1\r\nVary: *\r\nContent-Length: 3\r\n\r\none`);
    expect(await settled(call)).toBe("200 one");
    const again = peer.client.get(peer.url());
    await conn.readHead();
    conn.reply(`${OK}Content-Length: 3\r\n\r\ntwo`);
    expect(await settled(again)).toBe("200 two");
  });
});

describe("heads (R17)", () => {
  test.each([
    [
      "CVE-2022-32205, curl (R10): a flood of cookies",
      `${OK}${"Set-Cookie: a=1\r\n".repeat(1001)}\r\n`,
      "ERR_HTTP_HEADER_LIMIT",
    ],
    [
      "CVE-2022-35252, curl (R10): a control byte in a cookie",
      `${OK}Set-Cookie: a=\x01\r\n\r\n`,
      "ERR_HTTP_REMOTE_PROTOCOL",
    ],
    [
      "CVE-2023-38039, curl: fields without end",
      `${OK}${`X: ${"a".repeat(500)}\r\n`.repeat(600)}`,
      "ERR_HTTP_HEADER_LIMIT",
    ],
    ["endless 1xx, undici and node: too many", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(33), "ERR_HTTP_HEADER_LIMIT"],
  ])("%s", async (_, wire, code) => {
    expect(await against({ wire })).toEqual({ result: code, next: "200 second", reused: false });
  });

  test("CVE-2022-35252, curl (R10): a control byte of a jar's is not sent", async () => {
    const jar = { getCookieString: () => "a=\x01", setCookie() {} };
    await using transport = new lib.Transport();
    const call = new lib.Client({ transport, cookieJar: jar }).get("http://127.0.0.1:1/");
    await expect(call).rejects.toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "header Cookie" });
  });

  test("endless 1xx, undici and node: too slow: they do not restart the time limit", async () => {
    const clock = new VirtualClock();
    await using peer = await scriptedPeer({ clock, responseHeaderTimeout: 1000 });
    const call = peer.client.get(peer.url());
    let settledAt: number | null = null;
    const done = () => {
      settledAt = clock.now();
    };
    call.then(done, done);
    const accepted = peer.accept();
    let conn: PeerConn | null = null;
    accepted.then((it) => {
      conn = it;
    });
    while (conn === null || !(conn as PeerConn).pending.includes("\r\n\r\n")) await clock.settle();
    const start = clock.now();
    for (let i = 0; i < 12 && settledAt === null; i++) {
      (conn as PeerConn).reply("HTTP/1.1 103 Early Hints\r\n\r\n");
      for (let polls = 0; polls < 20; polls++) await clock.settle();
      await clock.advance(100);
    }
    await expect(call).rejects.toMatchObject({ option: "responseHeaderTimeout" });
    expect((settledAt ?? 0) - start).toBeLessThanOrEqual(1000 + 10);
  });
});

describe("what is read of a field takes time by its length, and not by its square", () => {
  const blanks = " \t".repeat(100_000);
  /** Some ms here; a regular expression that looks at inner blanks again and again takes half a minute. */
  const LINEAR_MS = 2_000;

  test.each([
    ["CVE-2023-24807, GHSA-r6ch-mqf9-qc9w, undici: Headers", () => new lib.Headers({ a: `x${blanks}x` }).get("a")],
    ["CVE-2021-3749, axios: trimming", () => new lib.Request("http://a.test/", { headers: { a: `x${blanks}x` } })],
    ["CVE-2022-2596, node-fetch: a URL", () => new lib.Request(`http://a.test/${"/../".repeat(50_000)}`)],
  ])("%s", (_, read) => {
    const start = performance.now();
    read();
    expect(performance.now() - start).toBeLessThan(LINEAR_MS);
  });

  test.each(["Content-Encoding", "Content-Type", "Keep-Alive", "Connection", "Set-Cookie", "Location", "Trailer"])(
    "CVE-2023-24807, GHSA-r6ch-mqf9-qc9w, undici: %s of a response",
    async (name) => {
      await using peer = await scriptedPeer();
      const [call, conn] = await sent(peer);
      const start = performance.now();
      conn.reply(`${OK}${name}: x${blanks},x\r\nContent-Length: 0\r\n\r\n`);
      await settled(call);
      expect(performance.now() - start).toBeLessThan(LINEAR_MS);
    },
  );
});

test("CVE-2025-47279, undici: certificates that fail again and again leave nothing behind", async () => {
  const leaf = new CertificateAuthority().issue({ names: ["IP:127.0.0.1"] });
  await using peer = await scriptedPeer({ serverTls: leaf });
  for (let i = 0; i < 30; i++) {
    await expect(peer.client.get(peer.url())).rejects.toMatchObject({ code: "ERR_HTTP_TLS" });
  }
  await turns(5);
  expect(peer.transport.stats()).toMatchObject({ dialing: 0, busy: 0, idle: 0, waiting: 0, dialsFailed: 30 });
  await until(
    () => process.getActiveResourcesInfo().filter((type) => type === "TCPSocketWrap").length === 0,
    "all closed",
  );
});
