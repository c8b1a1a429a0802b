/**
 * SOCKS5 through the package `socks`: a stand-in for it here (it is an optional peer, and not a dependency of these
 * specs), with the one call that is used, spoken to a proxy of raw bytes.
 */

import { connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Client, ProxyError, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { readText } from "../support/duplexes.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { rawOrigin } from "../support/raw-proxy.ts";
import { scriptedPeer } from "../support/scripted-peer.ts";
import { SteeredClock } from "../support/steered-clock.ts";

checkLeaks();

interface Asked {
  readonly command: string;
  readonly proxy: { host: string; port: number; type: number; userId?: string; password?: string };
  readonly destination: { host: string; port: number };
  readonly existing_socket: Duplex;
}

/** What the package does, in short: RFC 1928 over the stream that it is given; its errors carry its options. */
const stand = vi.hoisted(() => ({ missing: false, odd: false, asked: [] as unknown[] }));
vi.mock("socks", () => ({
  get SocksClient() {
    if (stand.odd) return undefined;
    return {
      async createConnection(options: Asked) {
        stand.asked.push(options);
        const { existing_socket: stream, proxy, destination } = options;
        const read = async (n: number) => {
          for (;;) {
            const bytes: Buffer | null = stream.read(n);
            if (bytes !== null) return bytes;
            await new Promise<void>((resolve, reject) => {
              const off = () => stream.off("readable", readable).off("close", closed);
              const readable = () => {
                off();
                resolve();
              };
              const closed = () => {
                off();
                reject(new Error("Socket closed"));
              };
              stream.on("readable", readable).on("close", closed);
            });
          }
        };
        const refuse = (message: string) => Object.assign(new Error(message), { options });
        const methods = proxy.userId === undefined ? [0] : [0, 2];
        stream.write(Buffer.from([5, methods.length, ...methods]));
        const [, method] = await read(2);
        if (method === 2) {
          const [user, password] = [proxy.userId ?? "", proxy.password ?? ""];
          stream.write(
            Buffer.from(
              `\x01${String.fromCharCode(user.length)}${user}${String.fromCharCode(password.length)}${password}`,
            ),
          );
          if ((await read(2))[1] !== 0) throw refuse(`Socks5 Authentication failed for ${password}`);
        }
        const { host, port } = destination;
        const address = /^[\d.]+$/.test(host)
          ? [1, ...host.split(".").map(Number)]
          : [3, host.length, ...Buffer.from(host)];
        stream.write(Buffer.from([5, 1, 0, ...address, port >> 8, port & 255]));
        const reply = await read(10);
        if (reply[1] !== 0) throw refuse("Socks5 proxy rejected connection - ConnectionRefused");
        stream.removeAllListeners("readable");
        stream.pause();
        return { socket: stream };
      },
    };
  },
}));

const authority = new CertificateAuthority();
const tls = authority.issue({ names: ["DNS:origin.test", "IP:127.0.0.1"] });

interface SocksProxy extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Socket[];
  /** What came before the tunnel, in hex, packet by packet. */
  readonly packets: string[];
}

/** @param users none: no method but "none" is taken; `reply` is the answer's second byte */
async function socksProxy({ user = "", silent = false, reply = 0 } = {}): Promise<SocksProxy> {
  const sockets: Socket[] = [];
  const packets: string[] = [];
  const upstreams: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    let step = 0;
    const read = (bytes: Buffer) => {
      packets.push(bytes.toString("hex"));
      if (silent) return;
      if (step === 0) {
        socket.write(Buffer.from([5, user === "" ? 0 : 2]));
        step = user === "" ? 2 : 1;
      } else if (step === 1) {
        const good = bytes.includes(Buffer.from(user));
        socket.write(Buffer.from([1, good ? 0 : 1]));
        step = 2;
      } else {
        socket.off("data", read);
        socket.write(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]));
        if (reply !== 0) return;
        const port = bytes.readUInt16BE(bytes.length - 2);
        const upstream = connect(port, "127.0.0.1");
        upstream.on("error", () => socket.destroy());
        socket.on("close", () => upstream.destroy());
        upstreams.push(upstream);
        socket.pipe(upstream).pipe(socket);
      }
    };
    socket.on("data", read);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address() as { port: number }; // it listens on TCP
  return {
    port: address.port,
    sockets,
    packets,
    async [Symbol.asyncDispose]() {
      for (const socket of [...sockets, ...upstreams]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function through(options: TransportOptions, clock?: SteeredClock) {
  const transport = clock === undefined ? new Transport(options) : new Transport(options, clock);
  return { client: new Client({ transport }), transport, [Symbol.asyncDispose]: () => transport.destroy() };
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error("It did not fail")),
    (error: unknown) => error,
  );

afterEach(() => {
  stand.odd = false;
  stand.asked.length = 0;
});

describe("a socks5 proxy", () => {
  test.each(["socks5", "socks5h"])(
    "by %s gets the name, for http and https, and the target an origin-form [TestSOCKS5Proxy]",
    async (scheme) => {
      await using proxy = await socksProxy();
      await using plain = await rawOrigin();
      await using secure = await rawOrigin(tls);
      await using c = through({ tls: { ca: authority.cert }, proxy: `${scheme}://127.0.0.1:${proxy.port}` });
      for (const origin of [plain, secure]) {
        const port = origin.port.toString(16).padStart(4, "0");
        for (let i = 0; i < 2; i++) {
          const res = await c.client.get(origin.url("/a", "origin.test"));
          expect(await res.text()).toBe("the origin saw GET /a HTTP/1.1");
          expect(res.connection).toMatchObject({ reused: i > 0, proxy: `${scheme}://127.0.0.1:${proxy.port}` });
        }
        const name = Buffer.from("\x0borigin.test").toString("hex");
        expect(proxy.packets.splice(0)).toEqual(["050100", `05010003${name}${port}`]);
        await (await c.client.get(origin.url("/a", "127.0.0.1"))).text();
        expect(proxy.packets.splice(0)).toEqual(["050100", `050100017f000001${port}`]);
      }
      expect(proxy.sockets).toHaveLength(4);
    },
  );

  test("gets user name and password (RFC 1929)", async () => {
    await using proxy = await socksProxy({ user: "me" });
    await using origin = await rawOrigin();
    await using c = through({ proxy: `socks5://me:s%40cret@127.0.0.1:${proxy.port}` });
    await (await c.client.get(origin.url())).text();
    expect(proxy.packets[0]).toBe("05020002");
    expect(proxy.packets[1]).toBe(Buffer.from("\x01\x02me\x06s@cret").toString("hex"));
  });

  test("that refuses is a ProxyError without the password, which the package's error has", async () => {
    await using wants = await socksProxy({ user: "other" });
    await using refuses = await socksProxy({ reply: 5 });
    for (const [proxy, state] of [
      [wants, "Socks5 Authentication failed for (hidden)"],
      [refuses, "Socks5 proxy rejected connection - ConnectionRefused"],
    ] as const) {
      await using c = through({ proxy: `socks5://me:s%40cret@127.0.0.1:${proxy.port}` });
      const error = await failure(c.client.get("http://origin.test/"));
      const shown = `socks5://127.0.0.1:${proxy.port}`;
      expect(error).toMatchObject({
        name: "ProxyError",
        status: null,
        proxy: shown,
        message: `Cannot open tunnel through proxy ${shown} to origin.test:80: ${state}`,
      });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/s@cret|s%40cret/);
      await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");
    }
  });

  test.each([
    [
      "a host of 256 bytes",
      `http://${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(64)}/`,
      "me:x",
      "the host's name is longer than 255 bytes",
    ],
    ["a user name of 256 bytes", "http://a/", `${"u".repeat(256)}:x`, "the user name must have 1 to 255 bytes"],
    ["no user name", "http://a/", ":x", "the user name must have 1 to 255 bytes"],
    ["a password of 256 bytes", "http://a/", `me:${"p".repeat(256)}`, "the password is longer than 255 bytes"],
  ])("never gets %s (R22)", async (_, url, userinfo, state) => {
    await using proxy = await socksProxy();
    await using c = through({ proxy: `socks5://${userinfo}@127.0.0.1:${proxy.port}` });
    const error = await failure(c.client.get(url));
    expect(error).toBeInstanceOf(ProxyError);
    expect((error as Error).message.endsWith(`: ${state}`)).toBe(true);
    expect([proxy.packets, stand.asked]).toEqual([[], []]);
  });

  test("that does not answer in time leaves nothing, nor does one that is aborted", async () => {
    const clock = new SteeredClock();
    await using proxy = await socksProxy({ silent: true });
    await using c = through({ proxy: `socks5://127.0.0.1:${proxy.port}` }, clock);
    const call = failure(c.client.get("http://origin.test/"));
    await until(() => proxy.packets.length === 1, "the proxy is asked");
    await clock.advance(60_000);
    expect(await call).toMatchObject({ phase: "proxy", option: "proxyConnectTimeout" });
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");

    const second = failure(c.client.get("http://origin.test/"));
    await until(() => proxy.packets.length === 2, "the proxy is asked again");
    await c.transport.destroy();
    expect(await second).toMatchObject({ code: "ERR_HTTP_TRANSPORT_CLOSED" });
    await until(() => proxy.sockets.every((socket) => socket.destroyed), "the connection is closed");
    await turns(5);
  });

  test.each(["http", "https"])("carries an upgraded connection over %s", async (scheme) => {
    await using proxy = await socksProxy();
    await using peer = await scriptedPeer(scheme === "https" ? { serverTls: tls } : {});
    await using c = through({ tls: { ca: authority.cert }, proxy: `socks5://127.0.0.1:${proxy.port}` });
    const call = c.client.get(peer.url("/up"), { headers: { Upgrade: "foo" } });
    const conn = await peer.accept();
    await conn.readHead();
    conn.reply("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nearly");
    const duplex = (await call).duplex();
    expect(await readText(duplex, 5)).toBe("early");
    duplex.write("hello");
    await conn.expect("hello");
    conn.reply("again");
    expect(await readText(duplex, 5)).toBe("again");
    duplex.destroy();
  });

  test("needs version 2 of the package", async () => {
    await using proxy = await socksProxy();
    stand.odd = true;
    await using c = through({ proxy: `socks5://127.0.0.1:${proxy.port}` });
    expect(await failure(c.client.get("http://a/"))).toMatchObject({
      message: expect.stringMatching(/: the package `socks` has no SocksClient.createConnection: version 2 is needed$/),
    });
  });
});
