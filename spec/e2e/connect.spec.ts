/** CONNECT by the caller, over real sockets: to node:http's proxies, raw ones, through tunnels and past policies. */

import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { connect as secure } from "node:tls";
import { describe, expect, test } from "vitest";
import { Client, denyPrivateAddresses, Request, Transport } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { readAll, readText, shout } from "../support/duplexes.ts";
import { OK } from "../support/exchanges.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { until } from "../support/loop.ts";
import { fieldOf, rawOrigin, rawProxy } from "../support/raw-proxy.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";

checkLeaks();
const authority = new CertificateAuthority();
const certificate = authority.issue({ names: ["IP:127.0.0.1"] });

describe("CONNECT", () => {
  test("carries lines both ways, each as it is written [TestTransportCONNECTBidi]", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.request("CONNECT", peer.url(), { target: "backend:443" });
    const conn = await peer.accept();
    expect(await conn.readHead()).toMatch(/^CONNECT backend:443 HTTP\/1.1\r\nHost: backend:443\r\n/);
    conn.reply("HTTP/1.1 200\r\n\r\n");
    const duplex = (await call).duplex();
    for (const line of ["foo\n", "bar\n", "baz\n"]) {
      duplex.write(line);
      await conn.expect(line);
      conn.reply(line.toUpperCase());
      expect(await readText(duplex, line.length)).toBe(line.toUpperCase());
    }
    duplex.destroy();
  });

  test("reaches an origin through node:http's proxy, and TLS goes on top", async () => {
    await using origin = await rawOrigin(certificate);
    const sockets: Duplex[] = [];
    const proxy = createServer().on("connect", (request, socket: Duplex, head) => {
      const { hostname, port } = new URL(`http://${request.url}`);
      const upstream = connect(Number(port), hostname, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
      sockets.push(socket, upstream);
      for (const stream of [socket, upstream]) stream.on("error", () => {});
      socket.on("close", () => upstream.destroy());
    });
    await once(proxy.listen(0, "127.0.0.1"), "listening");
    const { port } = proxy.address() as { port: number }; // it listens on TCP
    const transport = new Transport();
    const client = new Client({ transport });
    const res = await client.do(
      new Request(`http://127.0.0.1:${port}`, { method: "CONNECT", target: `127.0.0.1:${origin.port}` }),
    );
    const inner = secure({ socket: res.duplex(), ca: authority.cert, host: "127.0.0.1", servername: "" });
    inner.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(await readText(inner, 15)).toBe("HTTP/1.1 200 OK");
    inner.destroy();
    await until(() => transport.stats().handedOver === 0, "the tunnel is over");
    await transport.destroy();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  });

  test("ends one side at a time", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.request("CONNECT", peer.url());
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain(`CONNECT ${peer.authority} HTTP/1.1\r\nHost: ${peer.authority}\r\n`);
    conn.reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw bytes");
    const duplex = (await call).duplex();
    duplex.end("all of it");
    expect(await conn.readToEnd()).toBe("all of it");
    conn.reply(", and more");
    conn.end();
    expect(await readAll(duplex)).toBe("raw bytes, and more");
    await until(() => peer.transport.stats().handedOver === 0, "the tunnel is over");
  });

  test("that is refused gives an answer with its body, and the connection serves the next", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.request("CONNECT", peer.url(), { target: "backend:443" });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply(
      "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho",
    );
    const refused = await call;
    expect([refused.status, await refused.text()]).toEqual([407, "who"]);
    const again = peer.client.request("CONNECT", peer.url(), {
      target: "backend:443",
      headers: { "Proxy-Authorization": "Basic eDp5" },
    });
    expect(fieldOf(await conn.readHead(), "proxy-authorization")).toBe("Basic eDp5");
    conn.reply("HTTP/1.1 200 OK\r\n\r\n");
    const res = await again;
    expect(res.connection).toMatchObject({ reused: true, served: 1 });
    await res.close();
  });

  test("is followed nowhere by a redirect", async () => {
    await using peer = await scriptedPeer();
    const call = peer.client.request("CONNECT", peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 302 Go\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    expect((await call).status).toBe(302);
  });

  test("goes to the proxy of the transport, with the proxy's credentials", async () => {
    await using proxy = await rawProxy({
      onConnect: (_, socket) => {
        socket.removeAllListeners("data");
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        shout(socket);
      },
    });
    const transport = new Transport({ proxy: proxy.url.replace("//", "//me:secret@") });
    const res = await new Client({ transport }).request("CONNECT", "http://backend.test:22");
    const duplex = res.duplex();
    duplex.write("hello");
    expect(await readText(duplex, 5)).toBe("HELLO");
    expect(proxy.heads[0]).toMatch(/^CONNECT backend.test:22 HTTP/);
    expect(fieldOf(proxy.heads[0], "proxy-authorization")).toBe(`Basic ${btoa("me:secret")}`);
    expect(res.connection?.proxy).toBe(proxy.url);
    duplex.destroy();
    await transport.destroy();
  });

  test("says nothing of closing where keep-alive is off", async () => {
    await using peer = await scriptedPeer({ keepAlive: false });
    const call = peer.client.request("CONNECT", peer.url());
    const conn = await peer.accept();
    expect(await conn.readHead()).not.toMatch(/connection/i);
    conn.reply("HTTP/1.1 200 OK\r\n\r\n");
    await (await call).close();
  });

  test("gives its slot to who waits", async () => {
    await using peer = await scriptedPeer({ maxConnsPerHost: 1 });
    const call = peer.client.request("CONNECT", peer.url());
    const waiting = peer.client.get(peer.url());
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 200 OK\r\n\r\n");
    const next = await peer.accept();
    await next.readHead();
    next.reply(OK);
    expect(await (await waiting).text()).toBe("ok");
    await (await call).close();
  });

  test("asks allowAddress for where it leads, too, where that is an address", async () => {
    await using peer = await scriptedPeer({
      allowAddress: (address) => address === "127.0.0.1" || denyPrivateAddresses(address),
    });
    const call = peer.client.request("CONNECT", peer.url(), { target: "169.254.169.254:80" });
    await expect(call).rejects.toMatchObject({
      code: "ERR_HTTP_DIAL",
      message: "Cannot connect to 169.254.169.254:80: allowAddress refused it",
    });
    expect(peer.transport.stats().dialed).toBe(0);
  });

  test.each(["body", "json"])("with %s is refused before a connection is touched (RFC 9110 §9.3.6)", async (option) => {
    await using peer = await scriptedPeer();
    const call = peer.client.request("CONNECT", peer.url(), { [option]: "content" });
    await expect(call).rejects.toMatchObject({ code: "ERR_HTTP_LOCAL_PROTOCOL", field: "body" });
    expect(peer.transport.stats().dialed).toBe(0);
  });
});
