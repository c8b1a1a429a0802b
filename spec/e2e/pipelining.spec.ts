/**
 * Requests sent behind others on one connection (option pipelining, RFC 9112 §9.3.2): against a server of Node's, which
 * takes them so, and against peers of raw bytes that end in the middle. What is lost behind another request goes again
 * where nothing was written, where the server has said that it looks at nothing more, or where `replay` allows it.
 */

import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { Client, ConnectionClosedError, type Response, type TraceEvent, Transport } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";
import { type PeerConn, type PeerOptions, type ScriptedPeer, scriptedPeer } from "../support/scripted-peer.ts";

checkLeaks();

const authority = new CertificateAuthority();
const leaf = authority.issue({ names: ["IP:127.0.0.1"] });

const answer = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** A peer with one connection that has proved itself persistent, and what it was told. */
async function oneConn(
  options: PeerOptions = {},
): Promise<{ peer: ScriptedPeer; conn: PeerConn; events: TraceEvent[] }> {
  const events: TraceEvent[] = [];
  const peer = await scriptedPeer({
    maxConnsPerHost: 1,
    pipelining: 4,
    trace: (event) => void events.push(event),
    ...options,
  });
  const first = peer.client.get(peer.url("/first"));
  const conn = await peer.accept();
  await conn.expect(peer.head("GET /first"));
  conn.reply(answer("first"));
  await (await first).text();
  return { peer, conn, events };
}

/** Asks for these at once, and waits until all of them stand on the wire. */
async function ask(peer: ScriptedPeer, conn: PeerConn, ...paths: string[]): Promise<Promise<Response>[]> {
  const calls = paths.map((path) => peer.client.get(peer.url(path)));
  for (const call of calls) call.catch(() => {}); // each is looked at later
  for (const path of paths) await conn.expect(peer.head(`GET ${path}`));
  return calls;
}

const textOf = async (call: Promise<Response> | undefined): Promise<string | undefined> => (await call)?.text();
const errorOf = async (call: Promise<Response> | undefined): Promise<ConnectionClosedError> => {
  const error: unknown = await call?.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConnectionClosedError);
  return error as ConnectionClosedError;
};

describe("pipelining", () => {
  test.each(["http", "https"])(
    "many callers share few connections, and each gets its own answer from node:%s",
    async (scheme) => {
      let most = 0;
      const answers: RequestListener = (request, response) => {
        request.resume();
        response.end(`${request.method} ${request.url}`);
      };
      const server = scheme === "http" ? createServer(answers) : createTlsServer(leaf, answers);
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const transport = new Transport({
        maxConnsPerHost: 2,
        pipelining: 8,
        tls: { ca: authority.cert },
        trace: (event) => {
          if (event.type === "pool-assigned") most = Math.max(most, event.behind?.length ?? 0);
        },
      });
      const client = new Client({ transport });
      const base = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        await Promise.all(
          Array.from({ length: 24 }, async (_, worker) => {
            for (let i = 0; i < 20; i++) {
              const method = worker === 0 ? "POST" : worker === 1 ? "HEAD" : "GET";
              const response = await client.request(
                method,
                `${base}/${worker}/${i}`,
                method === "POST" ? { body: "x" } : {},
              );
              expect(await response.text()).toBe(method === "HEAD" ? "" : `${method} /${worker}/${i}`);
            }
          }),
        );
        const { dialed, pipelined, busy, idle } = transport.stats();
        expect({ dialed, busy, idle }).toEqual({ dialed: 2, busy: 0, idle: 2 });
        expect(pipelined).toBeGreaterThan(0);
        expect(most).toBeGreaterThan(0);
        expect(most).toBeLessThan(8);
      } finally {
        await transport.close();
        server.closeAllConnections();
        server.close();
      }
    },
  );

  test("is off by default, and with 0 or 1", async () => {
    for (const pipelining of [undefined, 0, 1]) {
      await using peer = (await oneConn(pipelining === undefined ? {} : { pipelining })).peer;
      if (pipelining === undefined) continue;
      const [conn] = peer.accepted;
      const calls = ["/a", "/b"].map((path) => peer.client.get(peer.url(path)));
      await conn?.expect(peer.head("GET /a"));
      conn?.reply(answer("a"));
      expect(await textOf(calls[0])).toBe("a");
      await conn?.expect(peer.head("GET /b"));
      conn?.reply(answer("b"));
      expect(await textOf(calls[1])).toBe("b");
      expect(peer.transport.stats().pipelined).toBe(0);
    }
  });

  test("answers come in order, and the trace says behind whom", async () => {
    const { peer, conn, events } = await oneConn();
    await using _ = peer;
    const calls = await ask(peer, conn, "/a", "/b", "/c");
    expect(peer.transport.stats()).toMatchObject({ busy: 1, waiting: 0, pipelined: 2 });
    conn.reply(answer("a") + answer("b") + answer("c"));
    expect(await Promise.all(calls.map(textOf))).toEqual(["a", "b", "c"]);
    const behind = events.flatMap((event) => (event.type === "pool-assigned" ? [event.behind?.length ?? 0] : []));
    expect(behind).toEqual([0, 0, 1, 2]);
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 1 });
  });

  test("no more than so many, and nothing that is not idempotent, nor behind it", async () => {
    const { peer, conn } = await oneConn({ pipelining: 2 });
    await using _ = peer;
    const calls = await ask(peer, conn, "/a", "/b");
    const post = peer.client.post(peer.url("/post"), { body: "x" });
    const after = peer.client.get(peer.url("/after"));
    conn.reply(answer("a"));
    expect(await textOf(calls[0])).toBe("a");
    conn.reply(answer("b"));
    expect(await textOf(calls[1])).toBe("b");
    expect((await conn.readRequest())?.method).toBe("POST");
    expect(peer.transport.stats().waiting).toBe(1);
    conn.reply(answer("posted"));
    expect(await textOf(post)).toBe("posted");
    await conn.expect(`x${peer.head("GET /after")}`);
    conn.reply(answer("after"));
    expect(await textOf(after)).toBe("after");
  });
});

describe("what is lost behind another request", () => {
  test("goes again where the answer in front said close: nobody has looked at it (RFC 9112 §9.6)", async () => {
    const { peer, conn } = await oneConn();
    await using _ = peer;
    const calls = await ask(peer, conn, "/a", "/b", "/c");
    conn.reply("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
    const next = await peer.accept();
    await next.expect(peer.head("GET /b"));
    next.reply(answer("b"));
    await next.expect(peer.head("GET /c")); // each by itself: not pipelined again (RFC 9112 §9.3.2)
    next.reply(answer("c"));
    expect(await Promise.all(calls.map(textOf))).toEqual(["a", "b", "c"]);
    expect(peer.transport.stats()).toMatchObject({ retries: 2, dialed: 2, pipelined: 2 });
  });

  test("fails where bytes of it were written, and replay is not allowed: its error says where it stood", async () => {
    const { peer, conn } = await oneConn();
    await using _ = peer;
    const calls = await ask(peer, conn, "/a", "/b", "/c");
    conn.reply(answer("a"));
    expect(await textOf(calls[0])).toBe("a");
    conn.reset();
    const [b, c] = [await errorOf(calls[1]), await errorOf(calls[2])];
    expect([b.behind, c.behind]).toEqual([undefined, true]);
    for (const { safeToRetry, bytesSubmitted, bytesRead, reused, attempt } of [b, c]) {
      expect({ safeToRetry, bytesRead, reused, attempt }).toEqual({
        safeToRetry: true,
        bytesRead: 0,
        reused: true,
        attempt: 1,
      });
      expect(bytesSubmitted).toBeGreaterThan(0);
    }
    expect(peer.transport.stats()).toMatchObject({ busy: 0, idle: 0, retries: 0 });
  });

  test("goes again where replay allows it, alone, and in order", async () => {
    const { peer, conn, events } = await oneConn({ replay: "replayable" });
    await using _ = peer;
    const calls = await ask(peer, conn, "/a", "/b", "/c", "/d");
    conn.reply(answer("a"));
    expect(await textOf(calls[0])).toBe("a");
    conn.reset();
    const next = await peer.accept();
    const seen: string[] = [];
    for (const _ of "bcd") {
      const request = await next.readRequest();
      seen.push(request?.target ?? "");
      expect(next.pending).toBe("");
      next.reply(answer(request?.target.slice(1) ?? ""));
    }
    expect(await Promise.all(calls.slice(1).map(textOf))).toEqual(["b", "c", "d"]);
    expect(seen).toEqual(["/b", "/c", "/d"]);
    const reasons = events.flatMap((event) => (event.type === "retry" ? [event.reason] : []));
    const behind = "it was written behind another request, whose end closed the connection";
    expect(reasons).toEqual(["no response byte came and the request is replayable", behind, behind]);
  });

  test("a caller that leaves takes nobody along", async () => {
    const { peer, conn } = await oneConn();
    await using _ = peer;
    const controllers = [new AbortController(), new AbortController()];
    const paths = ["/a", "/b"];
    const leaving = paths.map((path, i) => peer.client.get(peer.url(path), { signal: controllers[i]!.signal }));
    for (const call of leaving) call.catch(() => {});
    const staying = peer.client.get(peer.url("/c"));
    for (const path of [...paths, "/c"]) await conn.expect(peer.head(`GET ${path}`));
    for (const controller of controllers) controller.abort();
    await Promise.allSettled(leaving);
    conn.reply(answer("a") + answer("b") + answer("c"));
    expect(await textOf(staying)).toBe("c");
    await until(() => peer.transport.stats().idle === 1, "the connection is idle again");
    expect(peer.transport.stats()).toMatchObject({ busy: 0, dialed: 1, closed: {} });
  });

  test("close() waits for all that are in flight, and destroy() fails them", async () => {
    const { peer, conn } = await oneConn();
    await using _ = peer;
    const calls = await ask(peer, conn, "/a", "/b");
    const closed = peer.transport.close();
    conn.reply(answer("a"));
    expect(await textOf(calls[0])).toBe("a");
    conn.reply(answer("b"));
    expect(await textOf(calls[1])).toBe("b");
    await closed;

    const other = await oneConn();
    await using __ = other.peer;
    const lost = await ask(other.peer, other.conn, "/a", "/b");
    const reason = new Error("enough");
    await other.peer.transport.destroy(reason);
    for (const call of lost) await expect(call).rejects.toBe(reason);
  });
});
