/**
 * A Client over a cache over a Transport, over real connections: what is on the wire and what is not, that connections
 * live on, that encoded answers come decoded from the store too, and what a cut body leaves. At the end the package as it
 * is published, without the optional one.
 */

import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { CachingRoundTripper } from "../../lib/cache.ts";
import { Client, IncompleteBodyError } from "../../lib/index.ts";
import { FakeJar } from "../support/fake-jar.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";

const leaks = checkLeaks();
const root = new URL("../..", import.meta.url).pathname;

function caching(peer: ScriptedPeer): Client {
  return new Client({ transport: new CachingRoundTripper(peer.transport) });
}

const answer = (body: string, ...lines: string[]) =>
  `${["HTTP/1.1 200 OK", `Date: ${new Date().toUTCString()}`, `Content-Length: ${body.length}`, ...lines].join("\r\n")}\r\n\r\n${body}`;

describe("a Client over a cache", () => {
  test("asks the wire once, validates on the same connection, and answers the rest itself", async () => {
    await using peer = await scriptedPeer();
    const client = caching(peer);
    const first = client.get(peer.url("/a"));
    const conn = await peer.accept();
    await conn.expect(peer.head("GET /a"));
    conn.reply(answer("hello", "Cache-Control: max-age=60", 'ETag: "1"'));
    expect(await (await first).text()).toBe("hello");
    const hit = await client.get(peer.url("/a"));
    expect(hit.headers.get("cache-status")).toMatch(/^persistconn; hit; ttl=\d+$/);
    expect(hit.connection).toBeNull();
    expect(await hit.text()).toBe("hello");

    const validated = client.get(peer.url("/a"), { headers: { "Cache-Control": "no-cache" } });
    await conn.expect(peer.head("GET /a", "Cache-Control: no-cache", 'If-None-Match: "1"'));
    conn.reply('HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n');
    expect(await (await validated).text()).toBe("hello");
    expect(peer.transport.stats()).toMatchObject({ dialed: 1, calls: 2, idle: 1 });
    expect(conn.pending).toBe("");
  });

  test("gets decoded bodies from the store as from the wire", async () => {
    await using peer = await scriptedPeer();
    const client = caching(peer);
    const zipped = gzipSync("plain text").toString("latin1");
    const first = client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(answer(zipped, "Cache-Control: max-age=60", "Content-Encoding: gzip", "Vary: Accept-Encoding"));
    const fresh = await first;
    expect(await fresh.text()).toBe("plain text");
    const hit = await client.get(peer.url());
    expect(await hit.text()).toBe("plain text");
    for (const response of [fresh, hit]) {
      expect(response.decompressed).toBe(true);
      expect(response.headers.get("content-encoding")).toBeNull();
      expect(response.headers.get("content-length")).toBeNull();
      expect(response.headers.raw).toContainEqual(["Content-Encoding", "gzip"]);
    }
  });

  test("gets trailers, timings and connection of what came off the wire", async () => {
    await using peer = await scriptedPeer();
    const call = caching(peer).get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(
      `HTTP/1.1 200 OK\r\nDate: ${new Date().toUTCString()}\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n`,
    );
    const response = await call;
    expect(await response.text()).toBe("ok");
    expect(response).toMatchObject({ framing: "chunked", connection: { reused: false, served: 0 } });
    expect(response.trailers?.get("x-sum")).toBe("1");
    expect(response.timings?.end).toBeGreaterThan(0);
  });

  test.each([
    ["is cut", "Content-Length: 9\r\n\r\nhalf", true],
    ["ends with its connection", "Connection: close\r\n\r\nwhole?", false],
  ])("stores nothing of a body that %s", async (_, rest, fails) => {
    await using peer = await scriptedPeer();
    const client = caching(peer);
    const call = client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(`HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${rest}`);
    const text = (await call).text();
    conn.end();
    if (fails) await expect(text).rejects.toBeInstanceOf(IncompleteBodyError);
    else expect(await text).toBe("whole?");
    const again = client.get(peer.url());
    const second = await peer.accept();
    await second.readHead();
    second.reply(answer("new", "Cache-Control: no-store"));
    expect(await (await again).text()).toBe("new");
  });

  test.each(["before the head", "within the body"])("stores nothing of a call that is aborted %s", async (phase) => {
    await using peer = await scriptedPeer();
    const client = caching(peer);
    const abort = new AbortController();
    leaks().watch(abort.signal);
    const reason = new Error("enough");
    const call = client.get(peer.url(), { signal: abort.signal });
    const conn = await peer.accept();
    await conn.readHead();
    if (phase === "before the head") {
      abort.abort(reason);
      await expect(call).rejects.toBe(reason);
    } else {
      conn.reply("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nhalf");
      const chunks = (await call)[Symbol.asyncIterator]();
      await chunks.next();
      abort.abort(reason);
      await expect(chunks.next()).rejects.toBe(reason);
    }
    await conn.readToEnd();
    conn.end();
    const again = client.get(peer.url());
    const second = await peer.accept();
    await second.readHead();
    second.reply(answer("new"));
    expect(await (await again).text()).toBe("new");
  });

  test("follows redirects that are stored, without asking, and closes what it follows", async () => {
    await using peer = await scriptedPeer();
    const cookieJar = new FakeJar();
    const client = new Client({ transport: new CachingRoundTripper(peer.transport), cookieJar });
    const first = client.get(peer.url("/old"));
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(
      "HTTP/1.1 301 Moved Permanently\r\nLocation: /new\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n",
    );
    expect(await conn.readHead()).toContain("GET /new ");
    conn.reply(answer("here", "Cache-Control: max-age=60"));
    await (await first).bytes();
    const second = await client.get(peer.url("/old"));
    expect(second.redirected).toBe(true);
    expect(await second.text()).toBe("here");
    expect(peer.accepted).toHaveLength(1);
  });
});

describe("persistconn/cache, as it is published", () => {
  test("says what to install where the optional package is not, and loads it when it is first needed", async () => {
    const dir = mkdtempSync(join(tmpdir(), "spec-cache-"));
    try {
      const tsc = join(root, "node_modules/.bin/tsc");
      execFileSync(tsc, ["-p", "lib/tsconfig.json", "--outDir", join(dir, "dist"), "--noCheck"], { cwd: root });
      cpSync(join(root, "package.json"), join(dir, "package.json"));
      writeFileSync(
        join(dir, "program.js"),
        `import { Request, Response } from "persistconn";
        import { CachingRoundTripper } from "persistconn/cache";
        const cache = new CachingRoundTripper({ roundTrip: async () => new Response("ok") });
        const posted = await cache.roundTrip(new Request("http://a.test/", { method: "POST" }));
        const error = await cache.roundTrip(new Request("http://a.test/")).catch((error) => error);
        console.log(JSON.stringify([posted.status, error.name, error.code, error.package, error.message]));`,
      );
      const { stdout } = await promisify(execFile)(process.execPath, ["program.js"], { cwd: dir });
      expect(JSON.parse(stdout)).toEqual([
        200,
        "MissingPackageError",
        "ERR_HTTP_MISSING_PACKAGE",
        "http-cache-semantics",
        "Cannot use cache: it needs the package `http-cache-semantics`, which is not installed: npm install http-cache-semantics",
      ]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  }, 60_000);
});
