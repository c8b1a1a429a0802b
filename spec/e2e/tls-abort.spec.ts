/** Aborts in each phase of a dial that ends in TLS, and whom the connection serves that such a dial brings all the same. */

import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Client, Transport, type TransportOptions } from "../../lib/index.ts";
import { CertificateAuthority } from "../support/certs.ts";
import { checkLeaks } from "../support/leak-check.ts";
import { turns, until } from "../support/loop.ts";
import { rawOrigin, rawProxy, tunnelTo } from "../support/raw-proxy.ts";
import { socksProxy } from "../support/socks-proxy.ts";

const leaks = checkLeaks();

const authority = new CertificateAuthority();
const tls = { ca: authority.cert };
const good = authority.issue({ names: ["DNS:origin.test", "IP:127.0.0.1"] });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function kept<T extends AsyncDisposable>(server: T): T {
  closing.push(() => server[Symbol.asyncDispose]());
  return server;
}

interface Scene {
  readonly options: TransportOptions;
  readonly url: string;
  /** Who is connected in the phase that is waited for. */
  readonly sockets: () => readonly Socket[];
  readonly reached: () => boolean;
}

/** A server that takes no handshake: it waits for a head that does not come. */
const silent = async () => kept(await rawOrigin());

const SCENES: Record<string, () => Promise<Scene>> = {
  "the handshake with the target": async () => {
    const origin = await silent();
    const url = `https://127.0.0.1:${origin.port}/`;
    return { options: { tls }, url, sockets: () => origin.sockets, reached: () => origin.sockets.length === 1 };
  },
  "the handshake with an https proxy": async () => {
    const proxy = await silent();
    const options = { tls, proxy: `https://127.0.0.1:${proxy.port}` };
    const url = "https://origin.test/";
    return { options, url, sockets: () => proxy.sockets, reached: () => proxy.sockets.length === 1 };
  },
  "CONNECT over TLS": async () => {
    const proxy = kept(await rawProxy({ tls: good, onConnect: () => {} }));
    const options = { tls, proxy: proxy.url };
    const url = "https://origin.test/";
    return { options, url, sockets: () => proxy.sockets, reached: () => proxy.connects.length === 1 };
  },
  "the handshake behind CONNECT over TLS": async () => {
    const origin = await silent();
    const proxy = kept(await rawProxy({ tls: good }));
    const options = { tls, proxy: proxy.url };
    const url = `https://origin.test:${origin.port}/`;
    return { options, url, sockets: () => proxy.sockets, reached: () => origin.sockets.length === 1 };
  },
  "the reply of a SOCKS proxy": async () => {
    const proxy = kept(await socksProxy({ silent: true }));
    const options = { tls, proxy: proxy.url };
    const url = "https://origin.test/";
    return { options, url, sockets: () => proxy.sockets, reached: () => proxy.asked.length === 1 };
  },
  "the handshake behind a SOCKS proxy": async () => {
    const origin = await silent();
    const proxy = kept(await socksProxy());
    const options = { tls, proxy: proxy.url };
    const url = `https://origin.test:${origin.port}/`;
    return { options, url, sockets: () => proxy.sockets, reached: () => origin.sockets.length === 1 };
  },
};

describe.each(Object.keys(SCENES))("an abort in %s", (name) => {
  test.each(["the transport's tls", "a tls of the call's own"])(
    "rejects with its reason and leaves nothing, with %s",
    async (whose) => {
      const { options, url, sockets, reached } = await SCENES[name]!(); // one of its keys
      const transport = new Transport(options);
      const controller = new AbortController();
      const own = whose === "the transport's tls" ? {} : { tls: { servername: "origin.test" } };
      const call = new Client({ transport })
        .get(url, { ...own, signal: leaks().watch(controller.signal) })
        .catch((error: unknown) => error);
      await until(reached, `the dial stands in ${name}`);
      await turns(10);
      const reason = new Error("enough");
      controller.abort(reason);
      expect(await call).toBe(reason);
      // The dial goes on for the next request of its key, and ends with the transport.
      expect(transport.stats()).toMatchObject({ dialing: 1, waiting: 0 });
      await transport.close();
      await until(() => sockets().every((socket) => socket.destroyed), "its connection is closed");
      expect(transport.stats()).toMatchObject({ dialing: 0, busy: 0, idle: 0 });
    },
  );
});

test("a dial that outlives its call brings a connection for calls of the same TLS identity, and for no others", async () => {
  const origin = kept(await rawOrigin(good));
  const held: (() => void)[] = [];
  const proxy = kept(
    await rawProxy({
      onConnect: (_, socket) => {
        held.push(() => {
          const upstream = tunnelTo(origin.port, socket);
          closing.push(() => upstream.destroy());
        });
      },
    }),
  );
  const transport = new Transport({ tls, proxy: proxy.url });
  closing.push(() => transport.destroy());
  const client = new Client({ transport });
  const mine = authority.issue({ names: ["DNS:client.test"] });
  const controller = new AbortController();
  const url = origin.url("/", "origin.test");
  const call = client
    .get(url, { tls: mine, signal: leaks().watch(controller.signal) })
    .catch((error: unknown) => error);
  await until(() => held.length === 1, "CONNECT has come");
  controller.abort();
  await call;
  held[0]?.();
  await until(() => transport.stats().idle === 1, "its connection is in the pool");

  const other = client.get(url);
  await until(() => held.length === 2, "another call has dialed for itself");
  held[1]?.();
  const [a, b] = [await other, await client.get(url, { tls: { ...mine } })];
  expect([a.connection?.id === b.connection?.id, b.connection?.reused]).toEqual([false, true]);
  await Promise.all([a.text(), b.text()]);
  expect(transport.stats().dialed).toBe(2);
});
