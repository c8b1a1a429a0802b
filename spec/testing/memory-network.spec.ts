import { describe, expect, test } from "vitest";
import { Client, Transport } from "../../lib/index.ts";
import { answers, memoryNetwork, type PeerConn, virtualClock } from "../../lib/testing/index.ts";

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk.toString("latin1");
  return text;
}

describe("memoryNetwork()", () => {
  test("listen() is reached by dial, and its connections have addresses", async () => {
    const network = memoryNetwork();
    await using peer = network.listen("origin.test", 8080, { behaviour: answers({ body: "hello" }) });
    await using transport = new Transport({ dial: network.dial });
    const client = new Client({ transport });
    const response = await client.get(peer.url("/x"));
    expect(peer.url("/x")).toBe("http://origin.test:8080/x");
    expect(await response.text()).toBe("hello");
    expect(response.connection).toMatchObject({ remoteAddress: "origin.test", remotePort: 8080, tls: null });
    expect(await (await client.get(peer.url())).text()).toBe("hello");
    expect(peer.accepted).toHaveLength(1);
  });

  test("what nobody listens to is refused, and so is what was closed", async () => {
    const network = memoryNetwork();
    await using transport = new Transport({ dial: network.dial });
    const client = new Client({ transport });
    await expect(client.get("http://nobody.test/")).rejects.toMatchObject({
      code: "ERR_HTTP_DIAL",
      attempts: [{ outcome: "ECONNREFUSED", address: "nobody.test" }],
    });
    const peer = network.listen("origin.test", 80, { behaviour: answers() });
    await peer.close();
    await expect(client.get("http://origin.test/")).rejects.toMatchObject({ code: "ERR_HTTP_DIAL" });
  });

  test("an address has one listener at a time", () => {
    const network = memoryNetwork();
    network.listen("origin.test");
    expect(() => network.listen("origin.test")).toThrow("Cannot listen at origin.test:80: somebody does");
    network.listen("origin.test", 81);
  });

  test("admit says what becomes of each dial: refused, ignored until the dialer gives up, or late", async () => {
    const clock = virtualClock();
    const network = memoryNetwork({ clock });
    const admitted = ["refused", "ignored", "accepted"] as const;
    network.listen("origin.test", 80, { behaviour: answers(), admit: (count) => admitted[count] ?? "accepted" });
    const transport = new Transport({ dial: network.dial, dialTimeout: 1_000 }, clock);
    const client = new Client({ transport });
    await expect(client.get("http://origin.test/")).rejects.toMatchObject({ code: "ERR_HTTP_DIAL" });
    const ignored = expect(client.get("http://origin.test/")).rejects.toMatchObject({ option: "dialTimeout" });
    await clock.advance(1_000);
    await ignored;
    const answered = client.get("http://origin.test/");
    await clock.settle();
    expect((await answered).status).toBe(200);
    const closed = transport.close();
    await clock.settle();
    await closed;
    expect(clock.armed).toBe(0);
  });

  test("listenTls() is reached by dialTls only, and is taken for secured", async () => {
    const network = memoryNetwork();
    await using peer = network.listenTls("origin.test", 443, { behaviour: answers({ body: "safe" }) });
    await using transport = new Transport({ dialTls: network.dialTls });
    const response = await new Client({ transport }).get(peer.url());
    expect(await response.text()).toBe("safe");
    expect(response.connection?.tls).toMatchObject({ protocol: "TLSv1.3" });
    await using plain = new Transport({ dial: network.dial });
    await expect(new Client({ transport: plain }).get("http://origin.test:443/")).rejects.toMatchObject({
      code: "ERR_HTTP_DIAL",
      cause: { code: "EPROTO" },
    });
  });

  test("a Conduit cannot be secured, nor tunnelled through: the error says what can", async () => {
    const network = memoryNetwork();
    network.listen("origin.test", 443, { behaviour: answers() });
    await using transport = new Transport({ dial: network.dial });
    await expect(new Client({ transport }).get("https://origin.test/")).rejects.toMatchObject({
      code: "ERR_HTTP_DIAL",
      cause: { message: expect.stringContaining("given by dialTls") },
    });
    network.listen("proxy.test", 3128);
    await using proxied = new Transport({ dial: network.dial, proxy: "http://proxy.test:3128", proxyTunnel: true });
    await expect(new Client({ transport: proxied }).get("http://origin.test/")).rejects.toThrow(/dialer failed/);
  });

  test("an aborted dial leaves nothing behind", async () => {
    const clock = virtualClock();
    const network = memoryNetwork({ clock });
    const peer = network.listen("origin.test", 80, { admit: () => "ignored" });
    const transport = new Transport({ dial: network.dial }, clock);
    const controller = new AbortController();
    const call = new Client({ transport }).get("http://origin.test/", { signal: controller.signal });
    const failed = expect(call).rejects.toBe("enough");
    await clock.settle();
    controller.abort("enough");
    await failed;
    const closed = transport.close();
    await clock.settle();
    await closed;
    expect(peer.accepted).toEqual([]);
    expect(clock.armed).toBe(0);
  });

  test("pair sets window, slices and schedule of each connection", async () => {
    const addresses: string[] = [];
    const ends = new Set<number>();
    const network = memoryNetwork({
      pair: (address) => {
        addresses.push(address);
        return {
          slice: () => 1,
          schedule: (task, end) => {
            ends.add(end);
            queueMicrotask(task);
          },
        };
      },
    });
    await using peer = network.listen("origin.test", 80, { behaviour: answers({ body: "bit by bit" }) });
    await using transport = new Transport({ dial: network.dial });
    expect(await (await new Client({ transport }).get(peer.url())).text()).toBe("bit by bit");
    expect(addresses).toEqual(["origin.test:80"]);
    expect([...ends].sort()).toEqual([0, 1]);
  });

  test("unknown options are refused", () => {
    expect(() => memoryNetwork({ clok: 1 } as never)).toThrow(/clok.*clock/);
    expect(() => memoryNetwork().listen("a", 1, { behavior: () => {} } as never)).toThrow(/behavior.*behaviour/);
  });
});

describe("MemoryNetwork.connect()", () => {
  async function joined(): Promise<{
    stream: Awaited<ReturnType<ReturnType<typeof memoryNetwork>["connect"]>>;
    conn: PeerConn;
  }> {
    const network = memoryNetwork({ pair: { window: 1024 } });
    const peer = network.listen("toy.test", 7);
    const stream = await network.connect("toy.test", 7);
    return { stream, conn: await peer.accept() };
  }

  test("gives a stream with both directions, each ended by itself", async () => {
    const { stream, conn } = await joined();
    stream.end("question");
    expect(await conn.readToEnd()).toBe("question");
    conn.reply("answer");
    conn.end();
    expect(await textOf(stream)).toBe("answer");
    await conn.closed;
  });

  test("its writes wait while the peer reads nothing, and go on when it does", async () => {
    const { stream, conn } = await joined();
    conn.pause();
    const all = "x".repeat(100_000);
    stream.end(all);
    await conn.wait(0);
    expect(stream.writableLength).toBeGreaterThan(0);
    conn.resume();
    expect(await conn.readToEnd()).toBe(all);
    stream.destroy();
  });

  test("its reading pauses the connection where nobody takes what came", async () => {
    const { stream, conn } = await joined();
    conn.reply("y".repeat(500_000));
    await conn.wait(0);
    expect(conn.channel.pendingBytes).toBeGreaterThan(0);
    conn.end();
    expect((await textOf(stream)).length).toBe(500_000);
  });

  test("a reset of the peer's is an error of the stream", async () => {
    const { stream, conn } = await joined();
    conn.reset();
    await expect(textOf(stream)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("a destroyed stream ends the connection", async () => {
    const { stream, conn } = await joined();
    stream.destroy();
    expect(await conn.readToEnd()).toBe("");
    conn.end();
    await conn.closed;
  });
});
