import { describe, expect, test } from "vitest";
import { Client, Request, Response } from "../../lib/index.ts";
import { type Cassette, recorder, replayer } from "../../lib/testing/index.ts";
import { Site } from "../support/site.ts";
import { Upload } from "../support/upload.ts";

const rejson = (cassette: Cassette): Cassette => JSON.parse(JSON.stringify(cassette));

describe("recorder()", () => {
  test("keeps requests and answers, bodies included, and hands both on as they were", async () => {
    const site = new Site(() => new Response(new Uint8Array([0xff, 0x00]), { status: 201, headers: [["X-A", "b"]] }));
    const recording = recorder(site);
    const client = new Client({ transport: recording });
    const response = await client.post("http://site.test/p?q", { body: "sent", headers: { "X-C": "d" } });
    expect([response.status, response.headers.get("x-a"), response.url]).toEqual([201, "b", "http://site.test/p?q"]);
    expect([...(await response.bytes())]).toEqual([0xff, 0x00]);
    expect(site.steps).toEqual(['POST "sent"']);
    expect(rejson(recording.cassette)).toEqual({
      version: 1,
      entries: [
        {
          request: {
            method: "POST",
            url: "http://site.test/p?q",
            headers: [
              ["Content-Type", "text/plain;charset=UTF-8"],
              ["X-C", "d"],
            ],
            body: { text: "sent" },
          },
          response: {
            status: 201,
            statusText: "",
            headers: [["X-A", "b"]],
            body: { base64: "/wA=" },
            trailers: [],
          },
        },
      ],
    });
  });

  test("sends a body that can be read only once, once, and whole", async () => {
    const site = new Site(() => new Response("ok"));
    const upload = new Upload();
    const call = recorder(site).roundTrip(new Request("http://site.test/", { method: "POST", body: upload }));
    upload.give(3);
    upload.end();
    await call;
    expect(site.steps).toEqual(['POST "UUU"']);
  });

  test("replaces credentials, and what redact names", async () => {
    const site = new Site(() => new Response("ok", { headers: [["Set-Cookie", "id=1"]] }));
    const recording = recorder(site, { redact: (name) => name === "x-key" });
    const headers = { Authorization: "Bearer s", Cookie: "a=b", "X-Key": "k", "X-Other": "o" };
    const response = await new Client({ transport: recording }).get("http://site.test/", { headers });
    expect(response.headers.getSetCookie()).toEqual(["id=1"]);
    const text = JSON.stringify(recording.cassette);
    expect(text).not.toMatch(/Bearer|a=b|"k"|id=1/);
    expect(text).toContain('["X-Other","o"]');
    expect(text.match(/\[redacted\]/g)).toHaveLength(4);
  });

  test("keeps failures too, which fail again when replayed", async () => {
    const boom = Object.assign(new Error("gone"), { code: "EGONE" });
    const recording = recorder(new Site(() => Promise.reject(boom)));
    await expect(new Client({ transport: recording }).get("http://site.test/")).rejects.toBe(boom);
    const replayed = new Client({ transport: replayer(rejson(recording.cassette)) });
    await expect(replayed.get("http://site.test/")).rejects.toMatchObject({ code: "EGONE", message: "Error: gone" });
  });
});

describe("replayer()", () => {
  const cassette: Cassette = {
    version: 1,
    entries: ["one", "two"].map((text) => ({
      request: { method: "GET", url: "http://site.test/n", headers: [], body: null },
      response: { status: 200, statusText: "OK", headers: [["X-N", text]], body: { text }, trailers: [["T", "v"]] },
    })),
  };

  test("answers in the order of recording, each entry once, with trailers and URL", async () => {
    const transport = replayer(cassette);
    const client = new Client({ transport });
    const first = await client.get("http://site.test/n");
    expect([await first.text(), first.headers.get("x-n"), first.url]).toEqual(["one", "one", "http://site.test/n"]);
    expect(first.trailers?.get("t")).toBe("v");
    expect(transport.unused).toHaveLength(1);
    expect(await (await client.get("http://site.test/n")).text()).toBe("two");
    expect(transport.unused).toEqual([]);
    await expect(client.get("http://site.test/n")).rejects.toMatchObject({
      code: "ERR_HTTP_UNMATCHED_REQUEST",
      nearest: "entry 0: it has answered already",
    });
  });

  test("repeat: the last that matches answers again", async () => {
    const client = new Client({ transport: replayer(cassette, { repeat: true }) });
    const texts: string[] = [];
    for (let i = 0; i < 4; i++) texts.push(await (await client.get("http://site.test/n")).text());
    expect(texts).toEqual(["one", "two", "two", "two"]);
  });

  test("an unmatched request is told what came nearest, and how it differs", async () => {
    const client = new Client({ transport: replayer(cassette) });
    await expect(client.post("http://site.test/n", { body: "x" })).rejects.toThrow(
      'Cannot replay POST http://site.test/n: no entry of 2 matches; nearest is entry 0: its method is GET; its body is none, not "x"',
    );
    const empty = new Client({ transport: replayer({ version: 1, entries: [] }) });
    await expect(empty.get("http://site.test/")).rejects.toThrow(/the cassette is empty/);
  });

  test("match decides by itself", async () => {
    const transport = replayer(cassette, { match: (recorded, asked) => recorded.method === asked.method });
    expect(await (await new Client({ transport }).get("http://elsewhere.test/")).text()).toBe("one");
  });

  test("a cassette of another version is refused, and so are unknown options", () => {
    expect(() => replayer({ version: 2 } as never)).toThrow(TypeError);
    expect(() => replayer(cassette, { matches: () => true } as never)).toThrow(/matches.*match/);
    expect(() => recorder(new Site(() => new Response()), { redacted: true } as never)).toThrow(/redact/);
  });

  test("an aborted signal rejects with its reason, and answers nothing", async () => {
    const transport = replayer(cassette);
    const signal = AbortSignal.abort("no");
    await expect(new Client({ transport }).get("http://site.test/n", { signal })).rejects.toBe("no");
    expect(transport.unused).toHaveLength(2);
  });
});
