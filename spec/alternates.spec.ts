/** RoundTrippers registered for a scheme, and what happens where nobody registered one. */

import { describe, expect, test } from "vitest";
import {
  Client,
  ConnectionClosedError,
  errSkipAltProtocol,
  LocalProtocolError,
  RedirectError,
  Request,
  Response,
  type RoundTripCall,
  type RoundTripper,
  Transport,
  TransportClosedError,
} from "../lib/index.ts";
import { answer, OK } from "./support/exchanges.ts";
import { checkLeaks } from "./support/leak-check.ts";
import { scriptedPeer } from "./support/scripted-peer.ts";
import { Site } from "./support/site.ts";

const leaks = checkLeaks();

/** A RoundTripper of one function. */
function by(roundTrip: RoundTripper["roundTrip"]): RoundTripper {
  return { roundTrip };
}

async function textOf(request: Request): Promise<string> {
  let text = "";
  for await (const chunk of request.getBody() ?? []) text += Buffer.from(chunk).toString();
  return text;
}

describe("Transport.registerProtocol()", () => {
  test("has URLs of a scheme carried by the RoundTripper registered for it [TestTransportAltProto]", async () => {
    const transport = new Transport();
    const site = new Site(({ url }) => new Response(`seen ${url}`));
    transport.registerProtocol("foo", site);
    const res = await new Client({ transport }).get("foo://bar.com/path?q");
    expect([res.status, await res.text()]).toEqual([200, "seen foo://bar.com/path?q"]);
    expect(transport.stats()).toMatchObject({ calls: 1, dialed: 0 });
  });

  test.each([
    ["file:///etc/motd", { scheme: "file", hostname: "", port: 0, target: "/etc/motd", origin: "file://" }],
    ["memory:abc", { scheme: "memory", hostname: "", port: 0, target: "abc", origin: "memory://" }],
    [
      "foo2://u:p@[::1]:8/x",
      { scheme: "foo2", hostname: "::1", port: 8, authority: "[::1]:8", href: "foo2://[::1]:8/x" },
    ],
  ])("gives %s its parts", (url, parts) => {
    new Transport().registerProtocol(
      new URL(url).protocol.slice(0, -1),
      by(async () => new Response()),
    );
    expect(new Request(url).destination).toMatchObject(parts);
  });

  test("refuses a scheme twice, and what is none", () => {
    const transport = new Transport();
    transport.registerProtocol(
      "foo",
      by(async () => new Response()),
    );
    const again = () =>
      transport.registerProtocol(
        "foo",
        by(async () => new Response()),
      );
    expect(again).toThrow(new TypeError("Protocol foo is already registered"));
    for (const wrong of ["Foo", "foo:", "", "1foo"]) {
      expect(() =>
        transport.registerProtocol(
          wrong,
          by(async () => new Response()),
        ),
      ).toThrow(TypeError);
    }
    expect(() => transport.registerProtocol("bar", {} as RoundTripper)).toThrow(/roundTrip/);
  });

  test("leaves a scheme refused that nobody has registered", () => {
    const make = () => new Request("nobody-has-this://host/");
    expect(make).toThrow(LocalProtocolError);
    expect(make).toThrow(/its scheme is nobody-has-this, and only http and https are known.*registerProtocol/);
  });

  test("leaves it refused by a transport with which it was not registered, and gives the body up", async () => {
    new Transport().registerProtocol(
      "elsewhere",
      by(async () => new Response()),
    );
    let returned = false;
    async function* body() {
      try {
        yield "x";
      } finally {
        returned = true;
      }
    }
    const source = body();
    await source.next();
    const call = new Client().post("elsewhere://host/", { body: source });
    await expect(call).rejects.toThrow(LocalProtocolError);
    await expect(call).rejects.toThrow(/was not registered with this transport/);
    await expect.poll(() => returned).toBe(true);
  });

  test("does not take redirects to a registered scheme: a server shall not read files", async () => {
    await using peer = await scriptedPeer();
    peer.transport.registerProtocol(
      "secrets",
      by(async () => new Response("secret")),
    );
    const call = peer.client.get(peer.url());
    await answer(
      await peer.accept(),
      "HTTP/1.1 302 Found\r\nLocation: secrets:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    );
    await expect(call).rejects.toThrow(RedirectError);
  });

  test("takes http and https too, but not what asks for an upgrade", async () => {
    const transport = new Transport();
    transport.registerProtocol(
      "https",
      by(async () => new Response("elsewhere")),
    );
    const client = new Client({ transport });
    expect(await (await client.get("https://127.0.0.1:1/")).text()).toBe("elsewhere");
    const upgrade = client.get("https://127.0.0.1:1/", { headers: { Upgrade: "websocket" } });
    await expect(upgrade).rejects.toThrow(/Cannot connect to 127\.0\.0\.1:1/);
  });

  test("lets the alternate see the end of the time limit [TestAltProtoCancellation]", async () => {
    const transport = new Transport();
    let seen: unknown;
    const waits = (_: Request, call?: RoundTripCall) =>
      new Promise<Response>((_resolve, reject) => {
        call?.signal?.addEventListener("abort", () => {
          seen = call.signal?.reason;
          reject(seen);
        });
      });
    transport.registerProtocol("foo", by(waits));
    const call = new Client({ transport }).get("foo://bar.com/path", { timeout: 1 });
    await expect(call).rejects.toMatchObject({
      name: "TimeoutError",
      phase: "total",
      limit: 1,
      origin: "foo://bar.com",
    });
    await expect(call).rejects.toBe(seen);
  });

  test("lets it see an abort, also while a time limit runs, and leaves no listener", async () => {
    const transport = new Transport();
    const controller = new AbortController();
    leaks().watch(controller.signal);
    const waits = (_: Request, call?: RoundTripCall) =>
      new Promise<Response>((_resolve, reject) => {
        call?.signal?.addEventListener("abort", () => reject(call.signal?.reason), { once: true });
        queueMicrotask(() => controller.abort("enough"));
      });
    transport.registerProtocol("foo", by(waits));
    const call = new Client({ transport }).get("foo://bar.com/", { timeout: 60_000, signal: controller.signal });
    await expect(call).rejects.toBe("enough");
  });

  test("carries by itself what the alternate passes on, with the whole body [TestIssue32441]", async () => {
    await using peer = await scriptedPeer();
    const read: string[] = [];
    peer.transport.registerProtocol(
      "http",
      by(async (request) => {
        read.push(await textOf(request));
        throw errSkipAltProtocol;
      }),
    );
    const call = peer.client.post(peer.url(), { body: "the body" });
    const conn = await peer.accept();
    expect(await conn.readHead()).toContain("Content-Length: 8");
    expect(await conn.read(8)).toBe("the body");
    conn.reply(OK);
    expect((await call).status).toBe(200);
    expect(read).toEqual(["the body"]);
    expect(peer.transport.stats().calls).toBe(1);
  });

  test("sends again what was not processed, with the body anew [TestTransportBodyAltRewind]", async () => {
    const transport = new Transport();
    const read: string[] = [];
    const unprocessed = () => new ConnectionClosedError("No cached connection was available", { unprocessed: true });
    transport.registerProtocol(
      "foo",
      by(async (request) => {
        read.push(await textOf(request));
        if (read.length === 1) throw unprocessed();
        return new Response("ok");
      }),
    );
    const client = new Client({ transport });
    expect(await (await client.post("foo://host/", { body: () => "again" })).text()).toBe("ok");
    expect(read).toEqual(["again", "again"]);
    transport.registerProtocol(
      "never",
      by(async () => Promise.reject(unprocessed())),
    );
    await expect(client.get("never://host/")).rejects.toMatchObject({ unprocessed: true });
  });

  test("carries nothing once the transport is closed", async () => {
    const transport = new Transport();
    const site = new Site(() => new Response());
    transport.registerProtocol("foo", site);
    await transport.close();
    await expect(transport.roundTrip(new Request("foo://host/"))).rejects.toThrow(TransportClosedError);
    expect(site.seen).toEqual([]);
  });
});
